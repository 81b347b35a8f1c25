//! Out of the bytes of a calendar file, its components: lines put together again, names and parameters taken apart. One
//! component is in memory at a time, whatever the file has.

use super::ics_text::unescaped;

/// Bytes of one line, its folds put together. Longer ones are pictures and the like; they are passed over, and an event that needs one
/// is refused.
pub const LINE_MAX_BYTES: usize = 64 * 1024;
/// Lines of one event, or of one zone.
pub const COMPONENT_MAX_LINES: usize = 2_000;

/// One line, taken apart.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// In the file, from 1.
    pub(super) number: usize,
    /// In capitals.
    pub(super) name: String,
    /// Names in capitals, quotes taken off.
    params: Vec<(String, String)>,
    pub(super) value: String,
}

impl Line {
    /// A parameter, by its name in capitals.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Its value as a text, without blanks around it; none if nothing is left.
    pub(super) fn text(&self) -> Option<String> {
        Some(unescaped(&self.value).trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// Takes apart `NAME;PARAM="a:b":value`.
    fn of(number: usize, text: &str) -> Option<Self> {
        let mut quoted = false;
        let mut begin = 0;
        let mut pieces = Vec::new();
        let mut colon = None;
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                b'"' => quoted = !quoted,
                b';' if !quoted => {
                    pieces.push(&text[begin..at]);
                    begin = at + 1;
                }
                b':' if !quoted => {
                    pieces.push(&text[begin..at]);
                    colon = Some(at);
                    break;
                }
                _ => {}
            }
        }
        let value = text[colon? + 1..].to_owned();
        let mut pieces = pieces.into_iter();
        let name = pieces.next()?.trim().to_ascii_uppercase();
        let params = pieces.filter_map(|piece| piece.split_once('='));
        let params = params.map(|(name, value)| (name.trim().to_ascii_uppercase(), value.trim_matches('"').to_owned()));
        Some(Self { number, name, params: params.collect(), value })
    }
}

/// A component right inside the calendar: an event, a zone.
#[derive(Debug)]
pub(super) struct Component {
    pub(super) name: String,
    /// Where it begins.
    pub(super) number: usize,
    pub(super) lines: Vec<Line>,
    /// What is inside it: alarms of an event, observances of a zone.
    pub(super) parts: Vec<(String, Vec<Line>)>,
    /// Why it cannot be read, if so.
    pub(super) problem: Option<String>,
}

/// Walks the components of a file.
pub(super) struct Components<'b> {
    lines: RawLines<'b>,
    /// Whether there was a `BEGIN:VCALENDAR`.
    pub(super) begun: bool,
    /// The value of `VERSION`, if there was one.
    pub(super) version: Option<String>,
}

impl<'b> Components<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { lines: RawLines { rest: bytes, number: 1 }, begun: false, version: None }
    }

    /// Reads on until the end of the component that begins here.
    fn component(&mut self, name: String, number: usize) -> Component {
        let mut component = Component { name, number, lines: Vec::new(), parts: Vec::new(), problem: None };
        let mut inside: Vec<String> = Vec::new();
        let mut count = 0;
        for raw in &mut self.lines {
            let number = raw.number;
            let line = match raw.line() {
                Ok(Some(line)) => line,
                Ok(None) => continue,
                Err(problem) => {
                    component.problem.get_or_insert(problem);
                    continue;
                }
            };
            match (line.name.as_str(), line.value.trim().to_ascii_uppercase()) {
                ("END", ended) if ended == component.name => {
                    if let Some(open) = inside.last() {
                        component.problem.get_or_insert(format!(
                            "line {number}: {} ends before the {open} inside it",
                            component.name
                        ));
                    }
                    return component;
                }
                ("BEGIN", name) if name == component.name => {
                    component.problem.get_or_insert(format!("line {number}: a {name} begins inside another"));
                }
                ("BEGIN", name) => {
                    count += 1;
                    inside.truncate(COMPONENT_MAX_LINES);
                    inside.push(name.clone());
                    if inside.len() == 1 && count <= COMPONENT_MAX_LINES {
                        component.parts.push((name, Vec::new()));
                    }
                }
                ("END", _) => drop(inside.pop()),
                _ => {
                    count += 1;
                    if count > COMPONENT_MAX_LINES {
                        let name = &component.name;
                        let problem = format!("line {number}: this {name} has more than {COMPONENT_MAX_LINES} lines");
                        component.problem.get_or_insert(problem);
                        continue;
                    }
                    match (inside.len(), component.parts.last_mut()) {
                        (0, _) => component.lines.push(line),
                        (1, Some((_, lines))) => lines.push(line),
                        _ => {}
                    }
                }
            }
        }
        component.problem = Some(format!("line {number}: the file ends inside this {}", component.name));
        component
    }
}

impl Iterator for Components<'_> {
    type Item = Component;

    fn next(&mut self) -> Option<Component> {
        while let Some(raw) = self.lines.next() {
            let number = raw.number;
            let Ok(Some(line)) = raw.line() else { continue };
            let value = line.value.trim().to_ascii_uppercase();
            match line.name.as_str() {
                "BEGIN" if value == "VCALENDAR" => self.begun = true,
                "BEGIN" if self.begun => return Some(self.component(value, number)),
                "VERSION" => self.version = Some(value),
                _ => {}
            }
        }
        None
    }
}

/// A line with its folds put together.
struct RawLine {
    number: usize,
    bytes: Vec<u8>,
    is_cut: bool,
}

/// Lines without which an event would be another.
const NEEDED: [&str; 15] = [
    "UID",
    "SUMMARY",
    "DESCRIPTION",
    "LOCATION",
    "DTSTART",
    "DTEND",
    "DURATION",
    "RRULE",
    "RDATE",
    "EXDATE",
    "RECURRENCE-ID",
    "STATUS",
    "CATEGORIES",
    "TRIGGER",
    "CONTACT",
];

impl RawLine {
    /// None for an empty line, and for what is passed over.
    fn line(self) -> Result<Option<Line>, String> {
        let number = self.number;
        let name = self.bytes.split(|byte| matches!(byte, b';' | b':')).next().unwrap_or_default();
        let is_needed = NEEDED.iter().any(|needed| needed.as_bytes().eq_ignore_ascii_case(name));
        if self.is_cut {
            let problem = || format!("line {number}: it has more than {LINE_MAX_BYTES} bytes");
            return if is_needed { Err(problem()) } else { Ok(None) };
        }
        let Ok(text) = String::from_utf8(self.bytes) else {
            return if is_needed { Err(format!("line {number}: it is not UTF-8")) } else { Ok(None) };
        };
        if text.trim().is_empty() {
            return Ok(None);
        }
        Ok(Line::of(number, &text))
    }
}

struct RawLines<'b> {
    rest: &'b [u8],
    number: usize,
}

impl<'b> RawLines<'b> {
    /// The bytes up to the next end of a line, which is CRLF or LF.
    fn piece(&mut self) -> &'b [u8] {
        let end = memchr::memchr(b'\n', self.rest);
        let (piece, rest) = match end {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        self.number += 1;
        piece.strip_suffix(b"\r").unwrap_or(piece)
    }
}

impl Iterator for RawLines<'_> {
    type Item = RawLine;

    fn next(&mut self) -> Option<RawLine> {
        if self.rest.is_empty() {
            return None;
        }
        let number = self.number;
        let mut bytes = Vec::new();
        let mut is_cut = false;
        let mut piece = self.piece();
        loop {
            let room = LINE_MAX_BYTES - bytes.len();
            is_cut |= piece.len() > room;
            bytes.extend_from_slice(&piece[..piece.len().min(room)]);
            match self.rest.first() {
                Some(b' ' | b'\t') => piece = &self.piece()[1..],
                _ => return Some(RawLine { number, bytes, is_cut }),
            }
        }
    }
}
