//! A draft as a file (contract 01 §1.14 with R12 and R13): Markdown or JSON, with credits.
//!
//! The file is one text within the answer, so JSON within JSON; both are made piece by piece, and what is held is a piece, and for
//! the credits who has written which segments.

use std::fmt::Write as _;

use super::authors::{Author, Authors};
use super::model::{Head, display_name};
use super::store::{self, Segment};
use super::walk::Walk;
use crate::net::body::PIECE_BYTES;
use crate::store::{Error, Reader};

/// Segments that are read and told at once.
const STEP_ROWS: i64 = 32;
/// Collaborators, or ids of an author's segments, that are told at once.
const NAMES: usize = 500;

/// In which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// For people.
    Markdown,
    /// For programs.
    Json,
}

impl Format {
    /// Both, as clients write them.
    pub(super) const WORDS: [&str; 2] = ["markdown", "json"];

    /// As clients write it.
    fn as_str(self) -> &'static str {
        let [markdown, json] = Self::WORDS;
        match self {
            Self::Markdown => markdown,
            Self::Json => json,
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Markdown => "md",
            Self::Json => "json",
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Markdown => "text/markdown",
            Self::Json => "application/json",
        }
    }
}

/// One answer, as far as it was told.
#[derive(Debug)]
pub(super) struct Export {
    walk: Walk,
    format: Format,
    /// Who has written; none where no credits are wanted.
    authors: Option<Authors>,
    request_id: String,
    next: Next,
}

/// What comes next.
#[derive(Debug)]
enum Next {
    Opening,
    Segments,
    /// From this row on, and whether one was told.
    Collaborators(i64, bool),
    /// From this author on, and from this byte of the ids of their segments.
    Credits(Vec<Author>, usize, usize),
    Closing,
    Nothing,
}

impl Export {
    /// Of the draft with this head, for this request.
    pub(super) fn new(head: Head, format: Format, with_credits: bool, request_id: String) -> Self {
        let authors = with_credits.then(Authors::default);
        Self { walk: Walk::new(head), format, authors, request_id, next: Next::Opening }
    }

    /// Appends what comes next, until `out` has about [`PIECE_BYTES`]; false when that was all.
    ///
    /// # Errors
    /// When the store fails, or has not what the head counts.
    pub(super) fn next(&mut self, reader: &Reader, out: &mut Vec<u8>) -> Result<bool, Error> {
        while out.len() < PIECE_BYTES && !matches!(self.next, Next::Nothing) {
            let next = std::mem::replace(&mut self.next, Next::Nothing);
            self.next = self.tell(reader, next, out)?;
        }
        Ok(!matches!(self.next, Next::Nothing))
    }

    /// Tells a part of the answer, and what comes after it.
    fn tell(&mut self, reader: &Reader, part: Next, out: &mut Vec<u8>) -> Result<Next, Error> {
        let mut text = String::new();
        let next = match part {
            Next::Opening => {
                self.envelope(out);
                opening(&self.walk.head, self.format, &mut text);
                Next::Segments
            }
            Next::Segments => {
                let (format, authors) = (self.format, &mut self.authors);
                let more = self.walk.segments(reader, STEP_ROWS, |segment| {
                    push_segment(&segment, format, &mut text);
                    authors.iter_mut().for_each(|authors| authors.take(&segment));
                })?;
                match (more, self.format) {
                    (true, _) => Next::Segments,
                    (false, Format::Markdown) => self.credits(&mut text),
                    (false, Format::Json) => {
                        text.push_str(if self.walk.head.segments == 0 { "],\n" } else { "\n  ],\n" });
                        text.push_str("  \"collaborators\": [");
                        Next::Collaborators(0, false)
                    }
                }
            }
            Next::Collaborators(after, mut told) => {
                let head = &self.walk.head;
                let (limit, mut last) = (i64::try_from(NAMES).unwrap_or(i64::MAX), after);
                store::collaborators(reader, head.row, &head.creator_id, after, limit, |row, user| {
                    text.push_str(if told { ",\n    " } else { "\n    " });
                    ascii(user, &mut text);
                    (told, last) = (true, row);
                })?;
                if last > after {
                    Next::Collaborators(last, told)
                } else {
                    text.push_str(if told { "\n  ]" } else { "]" });
                    self.credits(&mut text)
                }
            }
            Next::Credits(authors, at, told) => match authors.get(at) {
                Some(author) if self.format == Format::Markdown => {
                    push_credit_line(author, &mut text);
                    Next::Credits(authors, at + 1, 0)
                }
                Some(author) => match push_credit(author, at == 0, told, &mut text) {
                    Some(told) => Next::Credits(authors, at, told),
                    None => Next::Credits(authors, at + 1, 0),
                },
                None => {
                    text.push_str(if self.format == Format::Json { "\n  ]" } else { "" });
                    Next::Closing
                }
            },
            Next::Closing => {
                text.push_str(if self.format == Format::Json { "\n}" } else { "" });
                escape(&text, out);
                out.extend_from_slice(b"\"},\"request_id\":");
                quote(&self.request_id, out);
                out.push(b'}');
                return Ok(Next::Nothing);
            }
            Next::Nothing => Next::Nothing,
        };
        escape(&text, out);
        Ok(next)
    }

    /// All that stands before the file.
    fn envelope(&self, out: &mut Vec<u8>) {
        let (draft_id, format) = (&self.walk.head.draft_id, self.format);
        out.extend_from_slice(b"{\"data\":{\"draft_id\":");
        quote(draft_id, out);
        out.extend_from_slice(b",\"format\":");
        quote(format.as_str(), out);
        out.extend_from_slice(b",\"filename\":");
        quote(&format!("draft_{draft_id}.{}", format.extension()), out);
        out.extend_from_slice(b",\"content_type\":");
        quote(format.content_type(), out);
        out.extend_from_slice(b",\"content\":\"");
    }

    /// Begins the credits, if they are wanted and there are any.
    fn credits(&mut self, text: &mut String) -> Next {
        let authors = self.authors.take().map(Authors::into_list).unwrap_or_default();
        if authors.is_empty() {
            return Next::Closing;
        }
        text.push_str(match self.format {
            Format::Markdown => "\n---\n\n\n## Credits\n\n\nThis draft was written by:\n\n",
            Format::Json => ",\n  \"credits\": [",
        });
        Next::Credits(authors, 0, 0)
    }
}

/// An empty platform reads back as "X" (contract 01 §1.2).
fn platform(head: &Head) -> &str {
    if head.platform.is_empty() { "X" } else { &head.platform }
}

fn opening(head: &Head, format: Format, text: &mut String) {
    let (created_at, updated_at) = (head.created_at.offset_style(), head.updated_at.offset_style());
    let (platform, status) = (platform(head), &head.status);
    // Writing to a String cannot fail.
    let _ = match format {
        Format::Markdown => {
            let created_at = created_at.to_string().replacen('T', " ", 1);
            // A title is one line, whatever its text is.
            let [title, platform] = [&head.title, platform].map(|text| text.lines().collect::<Vec<_>>().join(" "));
            write!(
                text,
                "# {title}\n\n*Platform: {platform}*\n\n*Status: {status}*\n\n*Created: {created_at}*\n\n\n---\n\n"
            )
        }
        Format::Json => {
            text.push('{');
            for (at, (name, value)) in [
                ("draft_id", head.draft_id.as_str()),
                ("title", &head.title),
                ("platform", platform),
                ("status", status),
                ("created_at", &created_at.to_string()),
                ("updated_at", &updated_at.to_string()),
            ]
            .into_iter()
            .enumerate()
            {
                let _ = write!(text, "{}\n  \"{name}\": ", if at == 0 { "" } else { "," });
                ascii(value, text);
            }
            write!(text, ",\n  \"segments\": [")
        }
    };
}

fn push_segment(segment: &Segment<'_>, format: Format, text: &mut String) {
    let Segment { order, segment_id, user_id, content, created_at, .. } = segment;
    let display = display_name(user_id);
    // Writing to a String cannot fail.
    let _ = match format {
        Format::Markdown => write!(text, "\n### Segment {order} — by {display}\n\n{content}\n\n"),
        Format::Json => {
            text.push_str(if *order == 0 { "\n    {" } else { ",\n    {" });
            let _ = write!(text, "\n      \"segment_id\": ");
            ascii(segment_id, text);
            let _ = write!(text, ",\n      \"segment_order\": {order},\n      \"user_id\": ");
            ascii(user_id, text);
            let _ = write!(text, ",\n      \"author_display\": \"{display}\",\n      \"content\": ");
            ascii(content, text);
            write!(text, ",\n      \"created_at\": \"{}\"\n    }}", created_at.offset_style())
        }
    };
}

fn push_credit_line(author: &Author, text: &mut String) {
    let Author { user_id, count, first_at, last_at, .. } = author;
    let (display, [from, to]) = (display_name(user_id), [first_at, last_at].map(|at| at.date()));
    // Writing to a String cannot fail.
    let _ = write!(text, "- **{display}**: {count} segment(s) ({from} to {to})\n\n");
}

/// Appends what is not told yet of an author, up to a bound of ids, and returns up to which byte of them it is; none when it is all.
fn push_credit(author: &Author, is_first: bool, told: usize, text: &mut String) -> Option<usize> {
    let Author { user_id, count, first_at, last_at, .. } = author;
    if told == 0 {
        text.push_str(if is_first { "\n    {" } else { ",\n    {" });
        text.push_str("\n      \"user_id\": ");
        ascii(user_id, text);
        // Writing to a String cannot fail.
        let _ = write!(text, ",\n      \"segment_count\": {count},\n      \"segment_ids\": [");
    }
    let mut at = told;
    for segment_id in author.segment_ids(told).take(NAMES) {
        text.push_str(if at == 0 { "\n        " } else { ",\n        " });
        ascii(segment_id, text);
        at += segment_id.len() + 1;
    }
    if author.segment_ids(at).next().is_some() {
        return Some(at);
    }
    let [from, to] = [first_at, last_at].map(|at| at.offset_style());
    let _ = write!(
        text,
        "\n      ],\n      \"first_contribution\": \"{from}\",\n      \"last_contribution\": \"{to}\"\n    }}"
    );
    None
}

/// Appends a text as JSON in ASCII, with its quotation marks, as the original's files have it.
fn ascii(value: &str, text: &mut String) {
    // A text always serialises; the error type only has no way to say so.
    let quoted = serde_json::to_string(value).unwrap_or_default();
    let mut units = [0; 2];
    for letter in quoted.chars() {
        if letter.is_ascii() && letter != '\u{7f}' {
            text.push(letter);
        } else {
            for unit in letter.encode_utf16(&mut units) {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
}

/// Appends a text as JSON, with its quotation marks.
fn quote(value: &str, out: &mut Vec<u8>) {
    // Neither a text nor a Vec can fail to serialise.
    let _ = serde_json::to_writer(out, value);
}

/// Appends a part of a text as JSON, without quotation marks.
fn escape(part: &str, out: &mut Vec<u8>) {
    let quoted = serde_json::to_string(part).unwrap_or_default();
    out.extend_from_slice(quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().as_bytes());
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A draft of so many segments by two authors in turn, of this text.
    fn reader(segments: i64, content: &str) -> Reader {
        let reader = Reader::in_memory(crate::drafts::MIGRATIONS);
        reader.batch(&format!(
            "INSERT INTO drafts (draft_id, creator_id, title, platform, holder_id, segment_count, collaborator_count, \
             passed_at, created_at, updated_at) VALUES ('d', 'alice', 'Лист' || char(10) || '\"', '', 'alice', {segments}, 1, \
             0, 1000000, 1); \
             INSERT INTO draft_collaborators (draft, user_id, role, joined_at) VALUES (1, 'alice', 'owner', 0), \
             (1, 'bob', 'x', 0); \
             WITH RECURSIVE n (at) AS (SELECT 0 UNION ALL SELECT at + 1 FROM n WHERE at < {segments} - 1) \
             INSERT INTO draft_segments (draft, segment_order, segment_id, user_id, content, created_at) \
             SELECT 1, at, 's' || at, CASE at % 3 WHEN 1 THEN 'bob' ELSE 'alice' END, '{content}', at FROM n \
             WHERE {segments} > 0"
        ));
        reader
    }

    fn exported(reader: &Reader, format: Format, with_credits: bool) -> (Value, usize) {
        let head = store::head(reader, "d").unwrap().unwrap();
        let mut export = Export::new(head, format, with_credits, "r\"1".to_owned());
        let (mut told, mut largest) = (Vec::new(), 0);
        loop {
            let mut piece = Vec::new();
            let more = export.next(reader, &mut piece).unwrap();
            largest = largest.max(piece.len());
            told.extend_from_slice(&piece);
            if !more {
                return (serde_json::from_slice(&told).unwrap(), largest);
            }
        }
    }

    #[test]
    fn markdown_is_laid_out_as_the_contract_says() {
        let (answer, _) = exported(&reader(2, "мир \\ \"x\""), Format::Markdown, true);
        let data = &answer["data"];
        assert_eq!(answer["request_id"], "r\"1");
        assert_eq!((&data["format"], &data["filename"]), (&json!("markdown"), &json!("draft_d.md")));
        assert_eq!((&data["draft_id"], &data["content_type"]), (&json!("d"), &json!("text/markdown")));
        assert_eq!(
            data["content"],
            "# Лист \"\n\n*Platform: X*\n\n*Status: active*\n\n*Created: 1970-01-01 00:00:01+00:00*\n\n\n---\n\n\n\
             ### Segment 0 — by @u_ecc9e8\n\nмир \\ \"x\"\n\n\n### Segment 1 — by @u_29920a\n\nмир \\ \"x\"\n\n\n\
             ---\n\n\n## Credits\n\n\nThis draft was written by:\n\n\
             - **@u_ecc9e8**: 1 segment(s) (1970-01-01 to 1970-01-01)\n\n\
             - **@u_29920a**: 1 segment(s) (1970-01-01 to 1970-01-01)\n\n"
        );
        let plain = exported(&reader(2, "x"), Format::Markdown, false).0["data"]["content"].to_string();
        assert!(!plain.contains("Credits"), "{plain}");
        let empty = exported(&reader(0, "x"), Format::Markdown, true).0["data"]["content"].to_string();
        assert!(empty.ends_with("---\\n\\n\""), "{empty}");
    }

    #[test]
    fn json_is_a_file_in_ascii_with_the_members_of_the_contract() {
        for (segments, with_credits) in [(0, true), (1, true), (3, false), (7, true)] {
            let (answer, _) = exported(&reader(segments, "мир 🖋 \\"), Format::Json, with_credits);
            let text = answer["data"]["content"].as_str().unwrap();
            assert!(text.is_ascii() && text.starts_with("{\n  \"draft_id\": \"d\",\n  \"title\": "), "{text}");
            let file: Value = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string_pretty(&file).unwrap().lines().count(), text.lines().count(), "{text}");
            assert_eq!((&file["title"], &file["platform"]), (&json!("Лист\n\""), &json!("X")));
            assert_eq!(file["collaborators"], json!(["bob"]));
            let listed = file["segments"].as_array().unwrap();
            assert_eq!(listed.len(), usize::try_from(segments).unwrap());
            for (order, segment) in listed.iter().enumerate() {
                assert_eq!((&segment["segment_order"], &segment["content"]), (&json!(order), &json!("мир 🖋 \\")));
            }
            let credits = file["credits"].as_array();
            assert_eq!(credits.is_some(), with_credits && segments > 0);
            if segments == 7 {
                let ids = json!(["s0", "s2", "s3", "s5", "s6"]);
                let credit = &credits.unwrap()[0];
                assert_eq!((&credit["user_id"], &credit["segment_count"]), (&json!("alice"), &json!(5)));
                assert_eq!(credit["segment_ids"], ids);
                assert_eq!(credit["last_contribution"], "1970-01-01T00:00:00.000006+00:00");
            }
        }
    }

    #[test]
    fn a_large_draft_comes_in_pieces() {
        let reader = reader(3000, &"ї".repeat(500));
        for format in [Format::Markdown, Format::Json] {
            let (answer, largest) = exported(&reader, format, false);
            let text = answer["data"]["content"].as_str().unwrap();
            assert!(text.len() > 3_000_000 && largest < 8 * PIECE_BYTES, "{} {largest}", text.len());
        }
    }
}
