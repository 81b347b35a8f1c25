//! The log for people and programs: in slices, so that a slow reader never holds back the database.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::value::RawValue;

use crate::clock::{OffsetStyle, Timestamp};
use crate::store::{Error, Row};
use crate::text::{csv_cell, hex, is_hidden, visible};

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
            if let Some(text) = text {
                csv_cell(text, out);
            }
        }
        let _ = write!(out, ",{},{}\r\n", self.prev_hash, self.hash);
    }

    /// What the row is about, by its action: all of them share one column, which is named after what most rows are about.
    fn what_subject(&self) -> &'static str {
        let family = self.action.as_deref().and_then(|action| action.split('.').next()).unwrap_or_default();
        let is_of_one_token = self.metadata.as_deref().is_some_and(|metadata| metadata.starts_with("{\"jti\":"));
        match family {
            "room" => "room",
            "record" => "record",
            "token" if is_of_one_token => "jti",
            "token" | "user" => "user",
            "session" | "calendar_feed" | "audit" | "server" => "subject",
            _ => "draft",
        }
    }

    /// Appends a line for a terminal: what clients chose is quoted and escaped.
    pub fn line(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "{} {} {} {} {}={} ip={} request={} {}",
            self.id,
            self.ts.offset_style(),
            text(&self.user_id),
            text(&self.action),
            self.what_subject(),
            text(&self.subject),
            text(&self.ip),
            text(&self.request_id),
            // The last, and a text of ours with what clients chose inside of its quotes.
            self.metadata.as_deref().map_or("-".into(), visible),
        );
    }
}

/// A field as the log shows it: in quotes when it has more than one word, or could be taken for another field.
fn text(value: &Option<String>) -> Cow<'_, str> {
    let Some(text) = value.as_deref() else { return "-".into() };
    let is_bare = |letter: char| letter.is_ascii_graphic() && !matches!(letter, '"' | '=' | '\\');
    let is_word =
        |letter: char| is_bare(letter) || (!letter.is_ascii() && !letter.is_whitespace() && !is_hidden(letter));
    if text != "-" && !text.is_empty() && text.chars().all(is_word) {
        return text.into();
    }
    let mut shown = String::from('"');
    for letter in text.chars() {
        if is_hidden(letter) || matches!(letter, '"' | '\\') {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown.push('"');
    shown.into()
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
            "7,2025-12-23T10:00:00+00:00,\"r\",\"alice\",\"collab.pass_ring\",,\"{\"\"b\"\":1,\"\"a\"\":\"\"x, \\\"\"y\\\"\"\"\"}\",\
             \"::1\",,00,ff\r\n"
        );
        assert_eq!(
            text_of(&row, AuditRow::line),
            "7 2025-12-23T10:00:00+00:00 alice collab.pass_ring draft=- ip=::1 request=r {\"b\":1,\"a\":\"x, \\\"y\\\"\"}\n"
        );
    }

    #[test]
    fn a_line_says_what_its_row_is_about() {
        for (action, metadata, label) in [
            ("collab.delete_draft", "{}", "draft"),
            ("room.deleted", "{\"room\":\"s\"}", "room"),
            ("record.created", "{}", "record"),
            ("token.revoked", "{\"jti\":\"s\"}", "jti"),
            ("token.revoked", "{\"user_id\":\"s\",\"before\":\"\"}", "user"),
            ("user.erased", "{}", "user"),
            ("session.opened", "{}", "subject"),
        ] {
            let row =
                AuditRow { action: Some(action.into()), subject: Some("s".into()), ..row("alice", Some(metadata)) };
            let line = text_of(&row, AuditRow::line);
            assert!(line.contains(&format!(" {action} {label}=s ip=")), "{line}");
        }
    }

    #[test]
    fn what_is_no_json_is_shown_as_text_and_lines_stay_lines() {
        for metadata in ["{", "{\n}", "\u{1b}[2J"] {
            let line = text_of(&row("alice", Some(metadata)), AuditRow::jsonl);
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!((value["metadata"].as_str(), line.matches('\n').count()), (Some(metadata), 1));
        }
        let line = text_of(&row("a\u{1b}[2J\u{202e}b\n\u{9b}", None), AuditRow::line);
        assert!(line.contains(r#""a\u{1b}[2J\u{202e}b\n\u{9b}" collab"#), "{line}");
    }

    #[test]
    fn a_field_of_a_line_is_one_field() {
        let line = |user: &str| text_of(&row(user, None), AuditRow::line);
        assert!(
            line("bob collab.pass_ring draft=x ip=10.0.0.1")
                .contains(" \"bob collab.pass_ring draft=x ip=10.0.0.1\" collab.pass_ring ")
        );
        assert!(line("a\"b\\").contains(r#" "a\"b\\" collab"#));
        assert!(line("a\u{2062}\u{61c}\u{e0041}").contains(r#" "a\u{2062}\u{61c}\u{e0041}" collab"#));
        assert!(
            line("李").contains(" 李 collab")
                && line("").contains(r#" "" collab"#)
                && line("-").contains(r#" "-" collab"#)
        );
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
        fn a_csv_record_reads_back_whatever_is_in_it(user in "[=',;\"\r\n\ta\u{fe}]{0,12}", metadata in ".{0,20}") {
            let record = text_of(&row(&user, Some(&metadata)), AuditRow::csv);
            let read = cells(&record);
            prop_assert_eq!(read.len(), 11);
            for (cell, text) in [(&read[3], &user), (&read[6], &metadata)] {
                let mut bare = String::new();
                let mut letters = cell.chars().peekable();
                while let Some(letter) = letters.next() {
                    let begins = bare.is_empty() || bare.ends_with([',', ';', '\t', '\r', '\n']);
                    let guards = letters.peek().is_some_and(|next| "=+-@'＝＋－＠".contains(*next) || bare.is_empty());
                    if letter == '\'' && begins && guards {
                        bare.extend(letters.next());
                    } else {
                        bare.push(letter);
                    }
                }
                prop_assert_eq!(&bare, text);
            }
        }
    }
}
