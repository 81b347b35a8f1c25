//! The log for people and programs: in slices, so that a slow reader never holds back the database.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::value::RawValue;

use super::chain::hex;
use crate::clock::{OffsetStyle, Timestamp};
use crate::store::{Error, Row};
use crate::text::visible;

/// Rows that are searched for those of somebody, so that nobody waits for a search through all of them.
pub const SEARCHED_MAX_ROWS: i64 = 100_000;

/// The columns of the CSV form, in their order.
pub const CSV_HEADER: &str = "id,ts,request_id,user_id,action,draft_id,metadata,ip,user_agent,prev_hash,hash\r\n";

/// A row as it is shown.
#[derive(Debug)]
pub struct AuditRow {
    /// Its place in the log.
    pub id: i64,
    ts: Timestamp,
    request_id: Option<String>,
    user_id: Option<String>,
    action: Option<String>,
    subject: Option<String>,
    metadata: Option<String>,
    ip: Option<String>,
    user_agent: Option<String>,
    prev_hash: String,
    hash: String,
}

/// Which rows are wanted; what is not said does not matter.
#[derive(Debug, Default)]
pub struct Wanted<'a> {
    /// Those behind this one.
    pub after: i64,
    /// Of this user.
    pub user: Option<&'a str>,
    /// About this.
    pub subject: Option<&'a str>,
    /// With this action.
    pub action: Option<&'a str>,
}

/// A row with all its columns, as it is shown.
pub(super) fn row_of(row: &Row<'_>) -> Result<AuditRow, Error> {
    // What was tampered with need not be text.
    let text = |at: usize| -> Result<Option<String>, Error> {
        Ok(row.bytes(at)?.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
    };
    let hash = |at: usize| -> Result<String, Error> { Ok(hex(row.bytes(at)?.unwrap_or_default())) };
    Ok(AuditRow {
        id: row.get(0)?,
        ts: row.get(1)?,
        request_id: text(2)?,
        user_id: text(3)?,
        action: text(4)?,
        subject: text(5)?,
        metadata: text(6)?,
        ip: text(7)?,
        user_agent: text(8)?,
        prev_hash: hash(9)?,
        hash: hash(10)?,
    })
}

/// A row as one JSON object.
#[derive(serde::Serialize)]
struct Json<'a> {
    id: i64,
    ts: OffsetStyle,
    request_id: Option<&'a str>,
    user_id: Option<&'a str>,
    action: Option<&'a str>,
    #[serde(rename = "draft_id")]
    subject: Option<&'a str>,
    metadata: Option<Metadata<'a>>,
    ip: Option<&'a str>,
    user_agent: Option<&'a str>,
    prev_hash: &'a str,
    hash: &'a str,
}

/// The object as it was stored, byte for byte; or a text, when it was tampered with and is no JSON.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum Metadata<'a> {
    Object(&'a RawValue),
    Text(&'a str),
}

impl AuditRow {
    /// Appends a line of JSON.
    pub fn jsonl(&self, out: &mut String) {
        self.json(out);
        out.push('\n');
    }

    /// Appends one JSON object.
    pub fn json(&self, out: &mut String) {
        let metadata = self.metadata.as_deref().map(|text| match serde_json::from_str(text) {
            Ok(object) if !text.contains('\n') => Metadata::Object(object),
            _ => Metadata::Text(text),
        });
        let json = Json {
            id: self.id,
            ts: self.ts.offset_style(),
            request_id: self.request_id.as_deref(),
            user_id: self.user_id.as_deref(),
            action: self.action.as_deref(),
            subject: self.subject.as_deref(),
            metadata,
            ip: self.ip.as_deref(),
            user_agent: self.user_agent.as_deref(),
            prev_hash: &self.prev_hash,
            hash: &self.hash,
        };
        // Texts and numbers always serialise.
        out.push_str(&serde_json::to_string(&json).unwrap_or_default());
    }

    /// Appends a line of CSV (RFC 4180). NULL is an empty cell.
    pub fn csv(&self, out: &mut String) {
        // Writing to a String cannot fail.
        let _ = write!(out, "{},{}", self.id, self.ts.offset_style());
        let texts =
            [&self.request_id, &self.user_id, &self.action, &self.subject, &self.metadata, &self.ip, &self.user_agent];
        for text in texts {
            out.push(',');
            cell(text.as_deref().unwrap_or_default(), out);
        }
        let _ = write!(out, ",{},{}\r\n", self.prev_hash, self.hash);
    }

    /// Appends a line for a terminal: what clients chose is quoted and escaped.
    pub fn line(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "{} {} {} {} draft={} ip={} request={} {}",
            self.id,
            self.ts.offset_style(),
            text(&self.user_id),
            text(&self.action),
            text(&self.subject),
            text(&self.ip),
            text(&self.request_id),
            text(&self.metadata),
        );
    }
}

fn text(value: &Option<String>) -> Cow<'_, str> {
    value.as_deref().map_or("-".into(), visible)
}

/// One cell. Text that a spreadsheet would take for a formula gets an apostrophe in front, and so does text that begins
/// with one: with one apostrophe taken away, the text is as it was.
fn cell(text: &str, out: &mut String) {
    let guarded = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\'', '＝', '＋', '－', '＠']);
    let quoted = text.contains([',', '"', '\r', '\n']) || guarded;
    if !quoted {
        out.push_str(text);
        return;
    }
    out.push('"');
    if guarded {
        out.push('\'');
    }
    out.push_str(&text.replace('"', "\"\""));
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(user_id: &str, metadata: Option<&str>) -> AuditRow {
        AuditRow {
            id: 7,
            ts: Timestamp(1_766_484_000_000_000),
            request_id: Some("r".to_owned()),
            user_id: Some(user_id.to_owned()),
            action: Some("collab.pass_ring".to_owned()),
            subject: None,
            metadata: metadata.map(str::to_owned),
            ip: Some("::1".to_owned()),
            user_agent: None,
            prev_hash: "00".to_owned(),
            hash: "ff".to_owned(),
        }
    }

    fn text_of(row: &AuditRow, form: fn(&AuditRow, &mut String)) -> String {
        let mut text = String::new();
        form(row, &mut text);
        text
    }

    #[test]
    fn a_row_has_three_forms() {
        let row = row("alice", Some(r#"{"b":1,"a":"x, \"y\""}"#));
        assert_eq!(
            text_of(&row, AuditRow::jsonl),
            "{\"id\":7,\"ts\":\"2025-12-23T10:00:00+00:00\",\"request_id\":\"r\",\"user_id\":\"alice\",\
             \"action\":\"collab.pass_ring\",\"draft_id\":null,\"metadata\":{\"b\":1,\"a\":\"x, \\\"y\\\"\"},\
             \"ip\":\"::1\",\"user_agent\":null,\"prev_hash\":\"00\",\"hash\":\"ff\"}\n"
        );
        assert_eq!(
            text_of(&row, AuditRow::csv),
            "7,2025-12-23T10:00:00+00:00,r,alice,collab.pass_ring,,\"{\"\"b\"\":1,\"\"a\"\":\"\"x, \\\"\"y\\\"\"\"\"}\",\
             ::1,,00,ff\r\n"
        );
        assert_eq!(
            text_of(&row, AuditRow::line),
            "7 2025-12-23T10:00:00+00:00 alice collab.pass_ring draft=- ip=::1 request=r {\"b\":1,\"a\":\"x, \\\"y\\\"\"}\n"
        );
    }

    #[test]
    fn what_is_no_json_is_shown_as_text_and_lines_stay_lines() {
        for metadata in ["{", "{\n}", "\u{1b}[2J"] {
            let line = text_of(&row("alice", Some(metadata)), AuditRow::jsonl);
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!((value["metadata"].as_str(), line.matches('\n').count()), (Some(metadata), 1));
        }
        let line = text_of(&row("a\u{1b}[2J\u{202e}b\n\u{9b}", None), AuditRow::line);
        assert!(line.contains(r"a\u{1b}[2J\u{202e}b\n\u{9b} collab"), "{line}");
    }

    #[test]
    fn no_cell_is_a_formula() {
        for text in ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "'x", "＝1"] {
            let mut out = String::new();
            cell(text, &mut out);
            assert_eq!(out, format!("\"'{text}\""));
        }
        for text in ["", "alice", "a=b", " x", "2001:db8::1"] {
            let mut out = String::new();
            cell(text, &mut out);
            assert_eq!(out, text);
        }
    }

    /// The cells of one record, as RFC 4180 reads them.
    fn cells(record: &str) -> Vec<String> {
        let (mut cells, mut quoted) = (vec![String::new()], false);
        let mut letters = record.strip_suffix("\r\n").unwrap().chars().peekable();
        while let Some(letter) = letters.next() {
            let cell = cells.last_mut().unwrap();
            match letter {
                '"' if quoted && letters.next_if_eq(&'"').is_some() => cell.push('"'),
                '"' => quoted = !quoted,
                ',' if !quoted => cells.push(String::new()),
                letter => cell.push(letter),
            }
        }
        assert!(!quoted);
        cells
    }

    proptest! {
        #[test]
        fn a_csv_record_reads_back_whatever_is_in_it(user in "[=',\"\r\n\ta\u{fe}]{0,12}", metadata in ".{0,20}") {
            let record = text_of(&row(&user, Some(&metadata)), AuditRow::csv);
            let read = cells(&record);
            prop_assert_eq!(read.len(), 11);
            for (cell, text) in [(&read[3], &user), (&read[6], &metadata)] {
                prop_assert_eq!(cell.strip_prefix('\'').unwrap_or(cell), text.as_str());
            }
        }
    }
}
