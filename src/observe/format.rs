//! One log record to the bytes of one line.
//!
//! Responsibility: field collection, escaping, cutting and the three line
//! layouts (JSON, pretty, pretty for systemd's journal). Everything is pure:
//! the time is a parameter, no environment, no I/O, no globals.
//!
//! Invariants: the result always ends in the only newline it contains, whatever
//! bytes a client managed to get into a field; every text is cut to
//! [`MAX_TEXT`] code points and a record keeps at most [`MAX_FIELDS`] fields, so
//! a line has a bounded size; a JSON line is one object without duplicate keys.
//!
//! Threads: called on whatever thread logs; nothing is shared. A `Display` in a
//! field may panic, which leaves no half-written state behind.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::ops::Range;

use jiff::Timestamp;
use log::kv::{self, Key, Value, VisitSource, VisitValue};
use log::{Level, Record};

use crate::text::{CUT_MARK, is_hidden};

/// Code points kept of the message, of a text value and of a key.
pub(super) const MAX_TEXT: usize = 500;

/// Fields kept per record; the rest is only counted, in `fields_dropped`.
pub(super) const MAX_FIELDS: usize = 32;

/// Target of our own crate and the `logger` of everything it logs.
pub(super) const OWN: &str = "inkring";

/// Number of the fields beyond [`MAX_FIELDS`].
const FIELDS_DROPPED: &str = "fields_dropped";

/// Keys the line itself uses. A field of that name would make a duplicate key,
/// which parsers resolve differently: a way to forge a level or a timestamp.
const RESERVED: [&str; 5] = ["timestamp", "level", "logger", "message", FIELDS_DROPPED];

/// The line that is written for each request.
const REQUEST: &str = "request.complete";

/// What people can do without on a line that would not fit their screen: figures, and what another line or page has.
const DETAILS: [(&str, &[&str]); 2] = [
    (REQUEST, &["route", "latency_bucket", "bytes", "handler_us", "queue_us", "commit_us"]),
    ("server.started", &["database", "shards", "connections", "descriptors"]),
];

/// Layout of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// One compact JSON object.
    Json,
    /// For a developer's eyes: `time LEVEL message key=value…`.
    Pretty {
        /// It goes to a terminal: colour the level with ANSI escapes, and leave out of requests that went well what only
        /// somebody who searches a log needs.
        colour: bool,
    },
    /// Pretty for the journal, which keeps the time itself and takes the
    /// priority from a `<n>` prefix.
    Journal,
}

/// Formats `record`, logged at `at`, as one line including its newline.
pub(super) fn line(style: Style, at: Timestamp, record: &Record<'_>) -> Vec<u8> {
    let json = style == Style::Json;
    let mut fields = Fields::new(json);
    // The collector itself never fails; a source that does keeps what it gave.
    let _ = record.key_values().visit(&mut fields);

    let mut out = Vec::with_capacity(192 + fields.bytes.len());
    if json {
        json_line(&mut out, at, record, &fields);
    } else {
        pretty_line(&mut out, style, at, record, &fields);
    }
    out.push(b'\n');
    out
}

/// The line about `count` lines that were lost in the sink.
pub(super) fn dropped_line(style: Style, at: Timestamp, count: u64) -> Vec<u8> {
    let record_fields = [("count", count)];
    line(
        style,
        at,
        &Record::builder()
            .level(Level::Warn)
            .target(OWN)
            .args(format_args!("log.dropped"))
            .key_values(&record_fields)
            .build(),
    )
}

fn json_line(out: &mut Vec<u8>, at: Timestamp, record: &Record<'_>, fields: &Fields) {
    out.extend_from_slice(b"{\"timestamp\":\"");
    let digits = if at.subsec_nanosecond() / 1_000 == 0 { 0 } else { 6 };
    put(out, format_args!("{at:.digits$}"));
    out.extend_from_slice(b"\",\"level\":\"");
    out.extend_from_slice(record.level().as_str().as_bytes());
    out.extend_from_slice(b"\",\"logger\":");
    quoted(out, &Text::of_str(logger(record.target())));
    out.extend_from_slice(b",\"message\":");
    quoted(out, &Text::of_args(record.args()));
    for (key, value) in fields.iter() {
        out.push(b',');
        out.extend_from_slice(key);
        out.push(b':');
        out.extend_from_slice(value);
    }
    if fields.dropped > 0 {
        put(out, format_args!(",\"{FIELDS_DROPPED}\":{}", fields.dropped));
    }
    out.push(b'}');
}

fn pretty_line(out: &mut Vec<u8>, style: Style, at: Timestamp, record: &Record<'_>, fields: &Fields) {
    let level = record.level();
    match style {
        Style::Journal => put(out, format_args!("<{}>{level:<5} ", priority(level))),
        Style::Pretty { colour: true } => {
            put(out, format_args!("{at:.3} \x1b[{}m{level:<5}\x1b[0m ", hue(level)));
        }
        Style::Pretty { colour: false } | Style::Json => {
            put(out, format_args!("{at:.3} {level:<5} "));
        }
    }
    let message = Text::of_args(record.args());
    escape(out, message.kept(), false);
    out.extend_from_slice(message.mark());
    // Our own name on every line would only be noise; a dependency's is news.
    let logger = logger(record.target());
    if logger != OWN {
        out.extend_from_slice(b" logger=");
        bare_or_quoted(out, &Text::of_str(logger));
    }
    let is_request = message.kept() == REQUEST;
    let left_out = DETAILS.iter().find(|(event, _)| *event == message.kept()).map_or(&[][..], |(_, names)| names);
    let of_request =
        |name: &[u8]| fields.iter().find(|(key, _)| is_request && *key == name).map_or(&b""[..], |(_, value)| value);
    let path = of_request(b"path");
    let went_well = matches!(of_request(b"status"), [b'1'..=b'3', _, _]);
    let is_glanced_at = went_well && style == (Style::Pretty { colour: true });
    let is_left_out = |key: &[u8], value: &[u8]| {
        // The id of a thing; that of a person says who has asked, whatever stands in the path.
        let is_of_a_thing = key.ends_with(b"_id") && key != b"user_id";
        let is_in_path = || is_of_a_thing && path.split(|byte| *byte == b'/').any(|part| part == value);
        let is_for_searches = || key == b"request_id" || key == b"ip" && matches!(value, b"127.0.0.1" | b"::1");
        value.is_empty()
            || left_out.iter().any(|name| name.as_bytes() == key)
            || is_in_path()
            || (is_glanced_at && is_for_searches())
    };
    for (key, value) in fields.iter().filter(|(key, value)| !is_left_out(key, value)) {
        out.push(b' ');
        out.extend_from_slice(key);
        out.push(b'=');
        out.extend_from_slice(value);
    }
    if fields.dropped > 0 {
        put(out, format_args!(" {FIELDS_DROPPED}={}", fields.dropped));
    }
}

/// Module paths are of no use to a reader of events: all of ours are one logger.
fn logger(target: &str) -> &str {
    match target.strip_prefix(OWN) {
        Some(rest) if rest.is_empty() || rest.starts_with("::") => OWN,
        _ => target,
    }
}

/// Syslog priority, as in sd-daemon(3).
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// ANSI foreground colour.
fn hue(level: Level) -> u8 {
    match level {
        Level::Error => 31,
        Level::Warn => 33,
        Level::Info => 32,
        Level::Debug => 34,
        Level::Trace => 35,
    }
}

/// Fields of a record, already encoded for the line they go to.
///
/// Keys and values are slices of one buffer: a record costs two allocations
/// however many fields it has, and a key is compared in its final form (after
/// renaming and cutting), so the line cannot end up with a key twice.
struct Fields {
    json: bool,
    bytes: Vec<u8>,
    entries: Vec<(Range<usize>, Range<usize>)>,
    dropped: u64,
}

impl Fields {
    fn new(json: bool) -> Self {
        Self { json, bytes: Vec::new(), entries: Vec::new(), dropped: 0 }
    }

    /// Encoded pairs in the order in which the keys first came up.
    fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries.iter().map(|(key, value)| {
            let slice = |range: &Range<usize>| self.bytes.get(range.clone()).unwrap_or_default();
            (slice(key), slice(value))
        })
    }

    fn text(&mut self, text: &Text<'_>) {
        if self.json {
            quoted(&mut self.bytes, text);
        } else {
            bare_or_quoted(&mut self.bytes, text);
        }
    }
}

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let start = self.bytes.len();
        let name = key.as_str();
        if RESERVED.contains(&name) {
            self.text(&Text::of_str(&format!("field_{name}")));
        } else {
            self.text(&Text::of_str(name));
        }
        let end = self.bytes.len();
        let (before, key) = self.bytes.split_at(start);
        let known = self.entries.iter().position(|(range, _)| before.get(range.clone()) == Some(key));

        if known.is_none() && self.entries.len() >= MAX_FIELDS {
            self.bytes.truncate(start);
            self.dropped += 1;
            return Ok(());
        }
        // A value that fails to format itself must not take the line along.
        if value.visit(&mut *self).is_err() {
            self.bytes.truncate(end);
            self.text(&Text::of_str("<unprintable>"));
        }
        let value = end..self.bytes.len();
        // Last wins. The entry keeps its place; the old value stays in the
        // buffer unreferenced, which is cheaper than moving the others.
        match known.and_then(|index| self.entries.get_mut(index)) {
            Some(entry) => entry.1 = value,
            None => self.entries.push((start..end, value)),
        }
        Ok(())
    }
}

impl<'v> VisitValue<'v> for &mut Fields {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), kv::Error> {
        self.text(&Text::of_args(&format_args!("{value}")));
        Ok(())
    }

    /// A field without a value is null for machines, and not there for people.
    fn visit_null(&mut self) -> Result<(), kv::Error> {
        if self.json {
            self.bytes.extend_from_slice(b"null");
        }
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
        put(&mut self.bytes, format_args!("{value}"));
        Ok(())
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), kv::Error> {
        put(&mut self.bytes, format_args!("{value}"));
        Ok(())
    }

    fn visit_u128(&mut self, value: u128) -> Result<(), kv::Error> {
        put(&mut self.bytes, format_args!("{value}"));
        Ok(())
    }

    fn visit_i128(&mut self, value: i128) -> Result<(), kv::Error> {
        put(&mut self.bytes, format_args!("{value}"));
        Ok(())
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), kv::Error> {
        if self.json && !value.is_finite() {
            // JSON has no NaN and no infinity; serde_json does the same.
            return self.visit_null();
        }
        // Debug, not Display: 1e300 instead of 301 digits, and 1.0 stays a float.
        put(&mut self.bytes, format_args!("{value:?}"));
        Ok(())
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), kv::Error> {
        put(&mut self.bytes, format_args!("{value}"));
        Ok(())
    }

    fn visit_str(&mut self, value: &str) -> Result<(), kv::Error> {
        self.text(&Text::of_str(value));
        Ok(())
    }

    fn visit_char(&mut self, value: char) -> Result<(), kv::Error> {
        self.visit_str(value.encode_utf8(&mut [0; 4]))
    }
}

/// A text cut to [`MAX_TEXT`] code points.
enum Text<'a> {
    Borrowed { kept: &'a str, cut: bool },
    Owned { kept: String, cut: bool },
}

impl<'a> Text<'a> {
    fn of_str(text: &'a str) -> Self {
        // No text has more code points than bytes: short ones need no walk.
        let end = if text.len() <= MAX_TEXT { None } else { text.char_indices().nth(MAX_TEXT).map(|(at, _)| at) };
        Self::Borrowed { kept: end.and_then(|end| text.get(..end)).unwrap_or(text), cut: end.is_some() }
    }

    fn of_args(args: &fmt::Arguments<'a>) -> Self {
        if let Some(text) = args.as_str() {
            return Self::of_str(text);
        }
        let mut cutter = Cutter::default();
        // A failing Display leaves what it wrote before it failed.
        let _ = cutter.write_fmt(*args);
        Self::Owned { kept: cutter.kept, cut: cutter.cut }
    }

    fn kept(&self) -> &str {
        match self {
            Self::Borrowed { kept, .. } => kept,
            Self::Owned { kept, .. } => kept,
        }
    }

    /// What goes behind the kept part.
    fn mark(&self) -> &'static [u8] {
        let (Self::Borrowed { cut, .. } | Self::Owned { cut, .. }) = self;
        if *cut { CUT_MARK.as_bytes() } else { b"" }
    }
}

/// Takes formatted output and keeps only its beginning, so that the Display of
/// something huge never exists in memory as a whole.
#[derive(Default)]
struct Cutter {
    kept: String,
    count: usize,
    cut: bool,
}

impl fmt::Write for Cutter {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if self.count == MAX_TEXT {
                // Not an error: there are Displays that unwrap their writes.
                self.cut = true;
                break;
            }
            self.kept.push(c);
            self.count += 1;
        }
        Ok(())
    }
}

/// Appends `text` with JSON escapes; quotes only need them inside of quotes.
fn escape(out: &mut Vec<u8>, text: &str, quotes: bool) {
    let mut buffer = [0; 4];
    for c in text.chars() {
        match c {
            '"' if quotes => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            c if is_hidden(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    put(out, format_args!("\\u{unit:04x}"));
                }
            }
            c => out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes()),
        }
    }
}

/// A JSON string.
fn quoted(out: &mut Vec<u8>, text: &Text<'_>) {
    out.push(b'"');
    escape(out, text.kept(), true);
    out.extend_from_slice(text.mark());
    out.push(b'"');
}

/// A value of a pretty line: as it is if nobody can mistake where it ends.
fn bare_or_quoted(out: &mut Vec<u8>, text: &Text<'_>) {
    let kept = text.kept();
    let odd = |c: char| matches!(c, '"' | '=' | '\\') || c.is_whitespace() || is_hidden(c);
    if kept.is_empty() || kept.chars().any(odd) {
        quoted(out, text);
    } else {
        out.extend_from_slice(kept.as_bytes());
        out.extend_from_slice(text.mark());
    }
}

/// Formats onto a vector.
fn put(out: &mut Vec<u8>, args: fmt::Arguments<'_>) {
    // Writing to a vector cannot fail.
    let _ = out.write_fmt(args);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    const PRETTY: Style = Style::Pretty { colour: false };

    fn at() -> Timestamp {
        "2025-12-23T07:30:51.926253Z".parse().unwrap()
    }

    fn render(style: Style, message: &str, fields: &[(&str, Value<'_>)]) -> String {
        let bytes = line(
            style,
            at(),
            &Record::builder()
                .level(Level::Info)
                .target("inkring::http")
                .args(format_args!("{message}"))
                .key_values(&fields)
                .build(),
        );
        one_line(bytes)
    }

    /// Checks that it is exactly one line and takes the newline off.
    fn one_line(bytes: Vec<u8>) -> String {
        let text = String::from_utf8(bytes).unwrap();
        let body = text.strip_suffix('\n').unwrap();
        assert!(!body.chars().any(is_hidden), "unescaped control in {body:?}");
        body.to_owned()
    }

    fn parsed(message: &str, fields: &[(&str, Value<'_>)]) -> Json {
        serde_json::from_str(&render(Style::Json, message, fields)).unwrap()
    }

    fn text(value: &str) -> Value<'_> {
        Value::from(value)
    }

    #[test]
    fn golden_json() {
        assert_eq!(
            render(
                Style::Json,
                "request.complete",
                &[
                    ("request_id", text("01-ab")),
                    ("user_id", Value::from(42_u64)),
                    ("status", Value::from(200_u16)),
                    ("cached", Value::from(false)),
                ],
            ),
            r#"{"timestamp":"2025-12-23T07:30:51.926253Z","level":"INFO","logger":"inkring","message":"request.complete","request_id":"01-ab","user_id":42,"status":200,"cached":false}"#
        );
    }

    #[test]
    fn golden_pretty() {
        let fields = [
            ("request_id", text("01-ab")),
            ("user_id", Value::from(42_u64)),
            ("path", text("/a b")),
            ("query", text("q=1")),
            ("quote", text("\"")),
            ("route", text("/things")),
            ("queue_us", Value::from(7_u64)),
            ("empty", text("")),
            ("ctl", text("a\nb\u{1b}")),
            ("back", text("C:\\x")),
            ("none", Value::null()),
        ];
        let tail =
            r#"request_id=01-ab user_id=42 path="/a b" query="q=1" quote="\"" empty="" ctl="a\nb\u001b" back="C:\\x""#;
        assert_eq!(
            render(PRETTY, "request.complete", &fields),
            format!("2025-12-23T07:30:51.926Z INFO  request.complete {tail}")
        );
        assert_eq!(render(Style::Journal, "request.complete", &fields), format!("<6>INFO  request.complete {tail}"));
    }

    #[test]
    fn a_request_that_went_well_fits_a_terminal() {
        const TERMINAL: Style = Style::Pretty { colour: true };
        let said = |style, status: u16, ip| {
            let fields = [
                ("method", text("POST")),
                ("path", text("/api/v1/malya/ideas")),
                ("status", Value::from(status)),
                ("ms", Value::from(3.749)),
                ("user_id", text("alice")),
                ("ip", text(ip)),
                ("request_id", text("1e5f8659-9e62-4805-ab03-4b223d2c7252")),
            ];
            let record_fields = &fields[..];
            let record = Record::builder()
                .level(Level::Info)
                .target(OWN)
                .args(format_args!("request.complete"))
                .key_values(&record_fields)
                .build();
            String::from_utf8(line(style, at(), &record)).unwrap().trim_end().to_owned()
        };
        let on_terminal = said(TERMINAL, 200, "127.0.0.1");
        assert!(on_terminal.ends_with(" status=200 ms=3.749 user_id=alice"), "{on_terminal}");
        // The colours take no place.
        assert!(on_terminal.replace("\x1b[32m", "").replace("\x1b[0m", "").len() <= 120, "{on_terminal}");
        // Where somebody is far away, or is told an id that they may ask about, it is there.
        assert!(said(TERMINAL, 304, "192.0.2.7").ends_with(" user_id=alice ip=192.0.2.7"));
        let id = "request_id=1e5f8659-9e62-4805-ab03-4b223d2c7252";
        assert!(said(TERMINAL, 409, "::1").ends_with(&format!(" ip=::1 {id}")));
        // So it is in what is searched later.
        for style in [PRETTY, Style::Journal] {
            assert!(said(style, 200, "127.0.0.1").ends_with(&format!(" ip=127.0.0.1 {id}")));
        }
        assert!(said(Style::Json, 200, "127.0.0.1").contains("request_id"));
    }

    #[test]
    fn the_start_is_told_to_people_without_figures() {
        let fields = [
            ("address", text("127.0.0.1:8000")),
            ("database", text("inkring.db")),
            ("shards", Value::from(2)),
            ("version", text("1.0")),
        ];
        for style in [PRETTY, Style::Journal] {
            assert!(
                render(style, "server.started", &fields).ends_with("server.started address=127.0.0.1:8000 version=1.0")
            );
        }
        assert!(render(Style::Json, "server.started", &fields).contains(r#""shards":2"#));
        assert!(render(PRETTY, "store.opened", &fields).contains(" database=inkring.db shards=2 "));
    }

    #[test]
    fn people_read_the_draft_of_a_request_once() {
        let said = |style, message, path, id| render(style, message, &[("path", text(path)), ("draft_id", text(id))]);
        let path = "/v1/collab/drafts/2ac3010c/segments";
        for style in [PRETTY, Style::Journal] {
            assert!(said(style, "request.complete", path, "2ac3010c").ends_with(&format!(" path={path}")));
            // Only the whole id stands for it, and only on this line.
            assert!(said(style, "request.complete", path, "2ac3010").ends_with(" draft_id=2ac3010"));
            assert!(said(style, "app.error", path, "2ac3010c").ends_with(" draft_id=2ac3010c"));
        }
        // Programs find it where it always is.
        assert!(said(Style::Json, "request.complete", path, "2ac3010c").ends_with(r#""draft_id":"2ac3010c"}"#));
    }

    #[test]
    fn colour_is_on_the_level_only() {
        let bytes = line(
            Style::Pretty { colour: true },
            at(),
            &Record::builder().level(Level::Error).target(OWN).args(format_args!("a\x1b[2Jb")).build(),
        );
        assert_eq!(String::from_utf8(bytes).unwrap(), "2025-12-23T07:30:51.926Z \x1b[31mERROR\x1b[0m a\\u001b[2Jb\n");
    }

    #[test]
    fn journal_priorities() {
        let of = |level| {
            let record = Record::builder().level(level).target(OWN).build();
            one_line(line(Style::Journal, at(), &record))
        };
        assert_eq!(of(Level::Error), "<3>ERROR ");
        assert_eq!(of(Level::Warn), "<4>WARN  ");
        assert_eq!(of(Level::Info), "<6>INFO  ");
        assert_eq!(of(Level::Debug), "<7>DEBUG ");
        assert_eq!(of(Level::Trace), "<7>TRACE ");
    }

    #[test]
    fn timestamps_have_six_digits_or_none_and_are_not_rounded() {
        let stamp = |at: &str| {
            let record = Record::builder().target(OWN).build();
            let at = at.parse().unwrap();
            let json: Json = serde_json::from_slice(&line(Style::Json, at, &record)).unwrap();
            let pretty = one_line(line(PRETTY, at, &record));
            (json["timestamp"].as_str().unwrap().to_owned(), pretty.split(' ').next().unwrap().to_owned())
        };
        let pair = |json: &str, pretty: &str| (json.to_owned(), pretty.to_owned());
        assert_eq!(stamp("2025-12-23T07:30:51Z"), pair("2025-12-23T07:30:51Z", "2025-12-23T07:30:51.000Z"));
        assert_eq!(stamp("2025-12-23T07:30:51.1Z"), pair("2025-12-23T07:30:51.100000Z", "2025-12-23T07:30:51.100Z"));
        assert_eq!(stamp("2025-12-23T07:30:51.000000999Z"), pair("2025-12-23T07:30:51Z", "2025-12-23T07:30:51.000Z"));
        assert_eq!(
            stamp("2025-12-31T23:59:59.999999999Z"),
            pair("2025-12-31T23:59:59.999999Z", "2025-12-31T23:59:59.999Z")
        );
    }

    #[test]
    fn logger_is_ours_or_the_target() {
        assert_eq!(logger("inkring"), "inkring");
        assert_eq!(logger("inkring::http::parse"), "inkring");
        assert_eq!(logger("inkring_bench"), "inkring_bench");
        assert_eq!(logger("mio::poll"), "mio::poll");
        let record = Record::builder().level(Level::Warn).target("mio::poll").args(format_args!("hm")).build();
        assert_eq!(one_line(line(PRETTY, at(), &record)), "2025-12-23T07:30:51.926Z WARN  hm logger=mio::poll");
        assert!(one_line(line(Style::Json, at(), &record)).contains(r#""logger":"mio::poll""#));
    }

    #[test]
    fn json_types_are_kept() {
        struct Shown;
        impl fmt::Display for Shown {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("shown \"it\"")
            }
        }
        let debug = ["a"];
        let some = Some(5_u8);
        let none: Option<&str> = None;
        let json = parsed(
            "m",
            &[
                ("u64", Value::from(u64::MAX)),
                ("i64", Value::from(i64::MIN)),
                ("f64", Value::from(0.25)),
                ("whole", Value::from(2.0)),
                ("huge", Value::from(1e300)),
                ("nan", Value::from(f64::NAN)),
                ("infinite", Value::from(f64::NEG_INFINITY)),
                ("yes", Value::from(true)),
                ("char", Value::from('"')),
                ("digits", text("007")),
                ("some", kv::ToValue::to_value(&some)),
                ("none", kv::ToValue::to_value(&none)),
                ("display", Value::from_display(&Shown)),
                ("debug", Value::from_debug(&debug)),
            ],
        );
        let expected = json!({
            "timestamp": "2025-12-23T07:30:51.926253Z", "level": "INFO",
            "logger": "inkring", "message": "m",
            "u64": u64::MAX, "i64": i64::MIN, "f64": 0.25, "whole": 2.0, "huge": 1e300,
            "nan": null, "infinite": null, "yes": true, "char": "\"", "digits": "007",
            "some": 5, "none": null, "display": "shown \"it\"", "debug": "[\"a\"]",
        });
        assert_eq!(json, expected);
        let keys = |json: &Json| json.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&json), keys(&expected));
        let wide = render(Style::Json, "m", &[("wide", Value::from(u128::MAX))]);
        assert!(wide.ends_with(r#""wide":340282366920938463463374607431768211455}"#));
    }

    #[test]
    fn injection_stays_one_line_and_parses_back() {
        let evil =
            "a\n{\"level\":\"INFO\"}\r\n\t\u{0}\u{1b}[2K\u{7f}\u{85}\u{9b}\u{2028}\u{2029}\u{202e}\u{feff}\\\"' =é😀";
        let json = parsed(evil, &[("path", text(evil)), (evil, text("v"))]);
        assert_eq!(json["message"], evil);
        assert_eq!(json["path"], evil);
        assert_eq!(json[evil], "v");
        // `render` itself checks that there is one line and no raw control.
        for style in [PRETTY, Style::Journal] {
            let line = render(style, evil, &[("path", text(evil)), (evil, text("v"))]);
            assert!(line.contains(r"a\n{"), "{line}");
            assert!(line.contains(r"\u001b[2K\u007f\u0085\u009b\u2028\u2029\u202e"), "{line}");
        }
    }

    #[test]
    fn every_control_character_is_escaped() {
        let all: String = ('\0'..='\u{a0}').chain('\u{2000}'..='\u{2070}').collect();
        for chunk in all.chars().collect::<Vec<_>>().chunks(100) {
            let chunk: String = chunk.iter().collect();
            assert_eq!(parsed("m", &[("t", text(&chunk))])["t"], chunk);
        }
    }

    #[test]
    fn texts_are_cut_at_500_code_points() {
        let exact = "😀".repeat(MAX_TEXT);
        let over = "😀".repeat(MAX_TEXT + 1);
        let cut = format!("{exact}...<truncated>");
        let display = format_args!("{over}").to_string();
        let json = parsed(
            &over,
            &[
                ("exact", text(&exact)),
                ("over", text(&over)),
                ("display", Value::from_display(&display)),
                (&over, text("key")),
            ],
        );
        assert_eq!(json["message"], *cut);
        assert_eq!(json["exact"], *exact);
        assert_eq!(json["over"], *cut);
        assert_eq!(json["display"], *cut);
        assert_eq!(json[&cut], "key");
        assert_eq!(parsed(&exact, &[])["message"], *exact);
        // Code points are counted before they are escaped.
        let newlines = "\n".repeat(MAX_TEXT);
        assert_eq!(parsed("m", &[("t", text(&newlines))])["t"], *newlines);
        assert!(render(PRETTY, "m", &[("t", text(&over))]).ends_with(&format!(" t={cut}")));
        assert!(render(PRETTY, "m", &[("t", text(&" ".repeat(600)))]).ends_with(" ...<truncated>\""));
    }

    #[test]
    fn reserved_names_are_renamed_and_duplicates_resolved() {
        let line = render(
            Style::Json,
            "real",
            &[
                ("level", text("ERROR")),
                ("message", text("forged")),
                ("a", Value::from(1)),
                ("b", Value::from(2)),
                ("timestamp", text("never")),
                ("logger", text("x")),
                ("a", text("last")),
                ("fields_dropped", Value::from(9)),
                ("field_level", text("later")),
            ],
        );
        assert_eq!(
            line,
            r#"{"timestamp":"2025-12-23T07:30:51.926253Z","level":"INFO","logger":"inkring","message":"real","field_level":"later","field_message":"forged","a":"last","b":2,"field_timestamp":"never","field_logger":"x","field_fields_dropped":9}"#
        );
    }

    #[test]
    fn at_most_32_fields() {
        let names: Vec<String> = (0..40).map(|n| format!("f{n}")).collect();
        let fields = |count: usize| -> Vec<(&str, Value<'_>)> {
            names.iter().take(count).map(|name| (name.as_str(), Value::from(name.as_str()))).collect()
        };
        let json = parsed("m", &fields(32));
        assert_eq!(json.as_object().unwrap().len(), 4 + 32);
        assert_eq!(json.get("fields_dropped"), None);

        let json = parsed("m", &fields(33));
        assert_eq!(json.as_object().unwrap().len(), 4 + 32 + 1);
        assert_eq!(json["f31"], "f31");
        assert_eq!(json.get("f32"), None);
        assert_eq!(json["fields_dropped"], 1);

        // A field that is already in may still change.
        let mut more = fields(40);
        more.push(("f0", text("changed")));
        let json = parsed("m", &more);
        assert_eq!(json["f0"], "changed");
        assert_eq!(json["fields_dropped"], 8);
        assert!(render(PRETTY, "m", &fields(33)).ends_with(" f31=f31 fields_dropped=1"));
    }

    #[test]
    fn a_failing_display_keeps_the_line() {
        struct Failing;
        impl fmt::Display for Failing {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("half")?;
                Err(fmt::Error)
            }
        }
        let json = parsed("m", &[("bad", Value::from_display(&Failing)), ("ok", text("x"))]);
        assert_eq!(json["bad"], "half");
        assert_eq!(json["ok"], "x");
    }

    #[test]
    fn golden_dropped_line() {
        assert_eq!(
            one_line(dropped_line(Style::Json, at(), 7)),
            r#"{"timestamp":"2025-12-23T07:30:51.926253Z","level":"WARN","logger":"inkring","message":"log.dropped","count":7}"#
        );
        assert_eq!(one_line(dropped_line(Style::Journal, at(), 7)), "<4>WARN  log.dropped count=7");
    }
}
