//! Reads `multipart/form-data` (RFC 7578) as it comes: pieces of any size in, heads and data of parts out. What is held is what
//! may be the beginning of a boundary, or a head that has not come whole.

use memchr::memmem;
use percent_encoding::percent_decode_str;

/// What the head of a part may have.
pub const HEAD_MAX_BYTES: usize = 8 * 1024;
/// What RFC 2046 allows a boundary.
pub const BOUNDARY_MAX_BYTES: usize = 70;
/// Parts of a body.
pub const PARTS_MAX: usize = 100;
/// As much as is looked at in one step.
const STEP_BYTES: usize = 16 * 1024;

/// Why a body is no form. Sentences for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The type says nothing of a boundary.
    #[error("The Content-Type multipart/form-data has no boundary")]
    NoBoundary,
    /// A boundary that cannot be one.
    #[error("The boundary of the form is not 1 to {BOUNDARY_MAX_BYTES} of the characters that RFC 2046 allows")]
    Boundary,
    /// The body ends without its last boundary.
    #[error("The form is incomplete: its last boundary is missing")]
    Cut,
    /// Something stands behind a boundary.
    #[error("A boundary of the form is not followed by the end of its line")]
    Line,
    /// A head that does not end.
    #[error("The header of a part of the form is over the limit of {HEAD_MAX_BYTES} bytes")]
    Head,
    /// A line of a head that is none.
    #[error("The header of a part of the form has an invalid line")]
    Header,
    /// A part without a name.
    #[error("A part of the form has no Content-Disposition: form-data with a name")]
    Nameless,
    /// A part in base64, or in some other encoding of e-mail.
    #[error("The part {0:?} of the form has a Content-Transfer-Encoding, which is not supported")]
    Encoded(String),
    /// Parts beyond the bound.
    #[error("The form has more than {PARTS_MAX} parts")]
    Parts,
}

/// Who a part is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The name of its field.
    pub name: String,
    /// The name of its file, if it is one; with folders, if its sender has put them there.
    pub file_name: Option<String>,
}

/// What has come.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A part begins.
    Part(Head),
    /// A piece of it.
    Data(&'a [u8]),
    /// It is whole.
    End,
}

/// The boundary that a `Content-Type` names; none if that is not `multipart/form-data`.
///
/// # Errors
/// When it is a form, and names no boundary that can be one.
pub fn boundary(content_type: &str) -> Option<Result<String, Malformed>> {
    let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let found = Parameters(parameters).find(|(name, _)| name.eq_ignore_ascii_case("boundary"));
    let Some((_, boundary)) = found else { return Some(Err(Malformed::NoBoundary)) };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    let fits = (1..=BOUNDARY_MAX_BYTES).contains(&boundary.len()) && !boundary.ends_with(' ');
    Some(if fits && boundary.bytes().all(allowed) { Ok(boundary) } else { Err(Malformed::Boundary) })
}

enum State {
    /// Before the first boundary.
    Preamble,
    /// Behind a boundary, in its line.
    Boundary,
    Head,
    Data,
    /// Behind the last boundary.
    Epilogue,
}

/// Takes a body piece by piece.
pub struct Parser {
    /// A line's end, two hyphens, and the boundary.
    delimiter: Vec<u8>,
    state: State,
    parts: usize,
    /// What cannot be told yet what it is.
    held: Vec<u8>,
}

impl Parser {
    /// One for a body with this boundary.
    #[must_use]
    pub fn new(boundary: &str) -> Self {
        // The first boundary needs no line before itself; this is that line.
        let held = b"\r\n".to_vec();
        let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
        Self { delimiter, state: State::Preamble, parts: 0, held }
    }

    /// Takes the next piece, and tells `each` what has come with it.
    ///
    /// # Errors
    /// When the body is no form, and whatever `each` fails with. Nothing may be fed after that.
    pub fn feed<E: From<Malformed>>(
        &mut self,
        piece: &[u8],
        each: &mut impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        for step in piece.chunks(STEP_BYTES) {
            let mut bytes = std::mem::take(&mut self.held);
            bytes.extend_from_slice(step);
            let mut at = 0;
            while let Some(taken) = self.step(&bytes[at..], each)? {
                at += taken;
            }
            bytes.drain(..at);
            self.held = bytes;
        }
        Ok(())
    }

    /// The body has ended.
    ///
    /// # Errors
    /// When there is no last boundary.
    pub fn finish(self) -> Result<(), Malformed> {
        // Without a line's end behind it, it is one as well.
        let ended = matches!(self.state, State::Epilogue);
        if ended { Ok(()) } else { Err(Malformed::Cut) }
    }

    /// How many of these bytes are done with; none if it takes more of them to go on.
    fn step<E: From<Malformed>>(
        &mut self,
        bytes: &[u8],
        each: &mut impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<Option<usize>, E> {
        match self.state {
            State::Preamble | State::Data => self.up_to_boundary(bytes, each),
            State::Boundary => Ok(self.line(bytes)?),
            State::Head => {
                // A part without any header has no name; then the line's end stands right there.
                let end = if bytes.starts_with(b"\r\n") { Some(0) } else { memmem::find(bytes, b"\r\n\r\n") };
                let Some(end) = end else {
                    return if bytes.len() > HEAD_MAX_BYTES { Err(Malformed::Head.into()) } else { Ok(None) };
                };
                if end > HEAD_MAX_BYTES {
                    return Err(Malformed::Head.into());
                }
                let head = head(&bytes[..end])?;
                self.parts += 1;
                if self.parts > PARTS_MAX {
                    return Err(Malformed::Parts.into());
                }
                self.state = State::Data;
                each(Event::Part(head))?;
                Ok(Some(end + 4))
            }
            State::Epilogue => Ok((!bytes.is_empty()).then_some(bytes.len())),
        }
    }

    /// What comes before the next boundary.
    fn up_to_boundary<E: From<Malformed>>(
        &mut self,
        bytes: &[u8],
        each: &mut impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<Option<usize>, E> {
        let is_data = matches!(self.state, State::Data);
        let mut tell = |data: &[u8]| if is_data && !data.is_empty() { each(Event::Data(data)) } else { Ok(()) };
        if let Some(at) = memmem::find(bytes, &self.delimiter) {
            tell(&bytes[..at])?;
            if is_data {
                each(Event::End)?;
            }
            self.state = State::Boundary;
            return Ok(Some(at + self.delimiter.len()));
        }
        // What could be the beginning of one stays.
        let from = bytes.len().saturating_sub(self.delimiter.len() - 1);
        let kept = (from..bytes.len()).find(|at| self.delimiter.starts_with(&bytes[*at..])).unwrap_or(bytes.len());
        tell(&bytes[..kept])?;
        Ok((kept > 0).then_some(kept))
    }

    /// The rest of a boundary's line: two hyphens say that it is the last, and blanks mean nothing.
    fn line(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        if bytes.starts_with(b"--") {
            self.state = State::Epilogue;
            return Ok(Some(2));
        }
        let blanks = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        match &bytes[blanks..] {
            [b'\r', b'\n', ..] => {
                self.state = State::Head;
                Ok(Some(blanks + 2))
            }
            [] | [b'\r'] if bytes.len() <= BOUNDARY_MAX_BYTES => Ok(None),
            [b'-'] if blanks == 0 => Ok(None),
            _ => Err(Malformed::Line),
        }
    }
}

fn head(bytes: &[u8]) -> Result<Head, Malformed> {
    let text = String::from_utf8_lossy(bytes);
    let (mut found, mut encoded) = (None, false);
    for line in text.split("\r\n").filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or(Malformed::Header)?;
        if name.is_empty() || name.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
            return Err(Malformed::Header);
        }
        if name.eq_ignore_ascii_case("content-disposition") && found.is_none() {
            found = disposition(value);
        }
        if name.eq_ignore_ascii_case("content-transfer-encoding") {
            let plain = ["7bit", "8bit", "binary"];
            encoded |= !plain.iter().any(|plain| value.trim().eq_ignore_ascii_case(plain));
        }
    }
    let head = found.ok_or(Malformed::Nameless)?;
    if encoded { Err(Malformed::Encoded(head.name)) } else { Ok(head) }
}

fn disposition(value: &str) -> Option<Head> {
    let (kind, parameters) = value.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return None;
    }
    let (mut name, mut file_name, mut extended) = (None, None, None);
    for (parameter, value) in Parameters(parameters) {
        match parameter.to_ascii_lowercase().as_str() {
            "name" => name = name.or(Some(unescaped(&value))),
            "filename" => file_name = file_name.or(Some(unescaped(&value))),
            "filename*" => extended = extended.or_else(|| extended_value(&value)),
            _ => {}
        }
    }
    Some(Head { name: name?, file_name: extended.or(file_name) })
}

/// Browsers write three characters in a way of their own, and nothing else (the form encoding of the HTML standard).
fn unescaped(value: &str) -> String {
    value.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n")
}

/// `UTF-8''%D0%A4…` (RFC 8187).
fn extended_value(value: &str) -> Option<String> {
    let mut parts = value.splitn(3, '\'');
    let (charset, _language, encoded) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes = percent_decode_str(encoded);
    charset.eq_ignore_ascii_case("utf-8").then(|| bytes.decode_utf8_lossy().into_owned())
}

/// The parameters of a header: `; name="value"; other=value`.
struct Parameters<'a>(&'a str);

impl Iterator for Parameters<'_> {
    type Item = (String, String);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.0.trim_start_matches(|letter: char| letter == ';' || letter.is_whitespace());
        let (name, rest) = rest.split_once('=')?;
        let rest = rest.trim_start();
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => {
                let (value, rest) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
                (value.trim_end().to_owned(), rest)
            }
        };
        self.0 = rest;
        Some((name.trim().to_owned(), value))
    }
}

/// Up to the closing quote. A backslash is taken away only before what curl puts it before: Windows has them in its paths.
fn unquoted(quoted: &str) -> (String, &str) {
    let mut value = String::new();
    let mut letters = quoted.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => {
                let escaped = letters.next_if(|(_, next)| matches!(next, '"' | '\\'));
                value.push(escaped.map_or('\\', |(_, next)| next));
            }
            _ => value.push(letter),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The parts of a body that comes in pieces of this size.
    fn parts(body: &[u8], boundary: &str, size: usize) -> Result<Vec<(Head, Vec<u8>)>, Malformed> {
        let (mut found, mut open) = (Vec::new(), false);
        let mut parser = Parser::new(boundary);
        for piece in body.chunks(size.max(1)) {
            parser.feed(piece, &mut |event| -> Result<(), Malformed> {
                match event {
                    Event::Part(head) => {
                        assert!(!std::mem::replace(&mut open, true));
                        found.push((head, Vec::new()));
                    }
                    Event::Data(data) => {
                        assert!(open && !data.is_empty());
                        found.last_mut().unwrap().1.extend_from_slice(data);
                    }
                    Event::End => assert!(std::mem::replace(&mut open, false)),
                }
                Ok(())
            })?;
            assert!(parser.held.len() <= HEAD_MAX_BYTES + 4);
        }
        parser.finish()?;
        assert!(!open);
        Ok(found)
    }

    fn named(name: &str, file_name: Option<&str>) -> Head {
        Head { name: name.to_owned(), file_name: file_name.map(str::to_owned) }
    }

    const BODY: &[u8] = b"preamble --B\r\n--B \t\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\n\xd0\x87\xd0\xb6\r\n--B\r\n\
        content-disposition:form-data; name=file; filename=\"a.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n\
        \r\n--A\r\n\r\n--\r\n-\r--B\r\n\r\n--B\r\nContent-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n--B--\r\nepilogue\r\n--B\r\n";

    fn body_parts() -> Vec<(Head, Vec<u8>)> {
        vec![
            (named("title", None), "Їж".into()),
            (named("file", Some("a.jpg")), b"\r\n--A\r\n\r\n--\r\n-\r--B\r\n".to_vec()),
            (named("empty", None), Vec::new()),
        ]
    }

    #[test]
    fn pieces_of_every_size_give_the_same() {
        for size in 1..=BODY.len() {
            assert_eq!(parts(BODY, "B", size), Ok(body_parts()), "{size}");
        }
    }

    #[test]
    fn a_body_that_is_cut_anywhere_is_no_form() {
        let end = memmem::find(BODY, b"--B--").unwrap() + 5;
        for length in 0..BODY.len() {
            for size in [1, 7, BODY.len()] {
                let found = parts(&BODY[..length], "B", size);
                if length < end {
                    assert_eq!(found, Err(Malformed::Cut), "{length}");
                } else {
                    assert_eq!(found, Ok(body_parts()), "{length}");
                }
            }
        }
    }

    #[test]
    fn names_are_read_as_browsers_and_curl_write_them() {
        for (line, file_name) in [
            ("filename=\"a b.jpg\"", "a b.jpg"),
            ("filename=plain.jpg", "plain.jpg"),
            ("filename=\"Фото 1.jpg\"", "Фото 1.jpg"),
            // A browser; an old curl; a Windows of old; and what is only a name.
            ("filename=\"a%22b%0D%0A.jpg\"", "a\"b\r\n.jpg"),
            ("filename=\"a\\\"b\\\\c.jpg\"", "a\"b\\c.jpg"),
            ("filename=\"C:\\dir\\a.jpg\"", "C:\\dir\\a.jpg"),
            ("filename=\"100%41; name=x.jpg\"", "100%41; name=x.jpg"),
            ("filename=\"old.jpg\"; filename*=UTF-8''%D0%A4%D0%BE.jpg", "Фо.jpg"),
            ("FileName*=utf-8'uk'%D0%A4; filename=old.jpg", "Ф"),
            ("filename=\"old.jpg\"; filename*=KOI8-R''%E6", "old.jpg"),
            ("filename=\"\"", ""),
            ("filename=\"never ends", "never ends"),
        ] {
            let body = format!("--B\r\nContent-Disposition: form-data; name=\"f\"; {line}\r\n\r\nx\r\n--B--");
            let found = parts(body.as_bytes(), "B", 10).unwrap();
            assert_eq!(found, [(named("f", Some(file_name)), b"x".to_vec())], "{line}");
        }
    }

    #[test]
    fn what_is_no_form_is_told_so() {
        let part = |head: &str| format!("--B\r\n{head}\r\n\r\nx\r\n--B--");
        let many = "--B\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n".repeat(PARTS_MAX + 1);
        let encoded = "Content-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64";
        for (body, error) in [
            (String::new(), Malformed::Cut),
            ("no form at all".to_owned(), Malformed::Cut),
            ("--Bx\r\n".to_owned(), Malformed::Line),
            ("--B\n\n".to_owned(), Malformed::Line),
            (format!("--B{}", " ".repeat(100)), Malformed::Line),
            (part("Content-Type: text/plain"), Malformed::Nameless),
            (part("Content-Disposition: attachment; name=a"), Malformed::Nameless),
            (part("Content-Disposition: form-data; filename=a"), Malformed::Nameless),
            ("--B\r\n\r\nx\r\n--B--".to_owned(), Malformed::Nameless),
            (part("no header"), Malformed::Header),
            (part("a b: c"), Malformed::Header),
            (part(": c"), Malformed::Header),
            (part(encoded), Malformed::Encoded("a".to_owned())),
            (part(&format!("X: {}", "y".repeat(HEAD_MAX_BYTES))), Malformed::Head),
            (format!("--B\r\nX: {}", "y".repeat(HEAD_MAX_BYTES)), Malformed::Head),
            (format!("{many}--B--"), Malformed::Parts),
        ] {
            for size in [1, 1000, body.len()] {
                assert_eq!(parts(body.as_bytes(), "B", size), Err(error.clone()), "{:?}", &body[..body.len().min(60)]);
            }
            assert!(error.to_string().starts_with("A ") || error.to_string().starts_with("The "));
        }
        let fits =
            parts(part("content-transfer-encoding: 8BIT\r\nContent-Disposition: form-data; name=a").as_bytes(), "B", 9);
        assert_eq!(fits.unwrap().len(), 1);
    }

    #[test]
    fn a_boundary_is_as_the_standard_has_it() {
        let long = "x".repeat(70);
        for (content_type, found) in [
            ("multipart/form-data; boundary=abc", Some(Ok("abc"))),
            ("Multipart/Form-Data ; charset=utf-8; Boundary=\"a b\"", Some(Ok("a b"))),
            (
                "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
                Some(Ok("----WebKitFormBoundary7MA4YWxkTrZu0gW")),
            ),
            (&format!("multipart/form-data; boundary={long}"), Some(Ok(&long[..]))),
            (&format!("multipart/form-data; boundary={long}x"), Some(Err(Malformed::Boundary))),
            ("multipart/form-data; boundary=", Some(Err(Malformed::Boundary))),
            ("multipart/form-data; boundary=\"a \"", Some(Err(Malformed::Boundary))),
            ("multipart/form-data; boundary=a\u{e4}", Some(Err(Malformed::Boundary))),
            ("multipart/form-data", Some(Err(Malformed::NoBoundary))),
            ("multipart/mixed; boundary=a", None),
            ("image/jpeg", None),
            ("", None),
        ] {
            assert_eq!(boundary(content_type), found.map(|found| found.map(str::to_owned)), "{content_type}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        /// Data that is full of what nearly is a boundary comes out as it went in.
        #[test]
        fn data_comes_out_as_it_went_in(
            datas in proptest::collection::vec(
                proptest::collection::vec(prop_oneof![
                    Just(b"\r\n".to_vec()), Just(b"\r\n--".to_vec()), Just(b"\r\n--boundar".to_vec()), Just(b"--boundary".to_vec()),
                    Just(b"\r".to_vec()), proptest::collection::vec(any::<u8>(), 0..50),
                ], 0..12),
                0..4,
            ),
            size in 1_usize..60,
        ) {
            let datas: Vec<Vec<u8>> = datas.into_iter().map(|data| data.concat()).collect();
            prop_assume!(datas.iter().all(|data| {
                let whole = [b"\r\n", &data[..]].concat();
                memmem::find(&whole, b"\r\n--boundary").is_none()
            }));
            let mut body = Vec::new();
            for (number, data) in datas.iter().enumerate() {
                body.extend(format!("--boundary\r\nContent-Disposition: form-data; name=\"{number}\"\r\n\r\n").bytes());
                body.extend(data);
                body.extend(b"\r\n");
            }
            body.extend(b"--boundary--\r\n");
            let found: Vec<Vec<u8>> = parts(&body, "boundary", size).unwrap().into_iter().map(|(_, data)| data).collect();
            prop_assert_eq!(found, datas);
        }

        #[test]
        fn any_body_is_a_form_or_an_error_in_pieces_of_any_size(
            pieces in proptest::collection::vec(prop_oneof![
                Just("--B"), Just("\r\n"), Just("--"), Just("Content-Disposition: form-data; name=a"), Just("x"), Just(";"), Just("\""), Just(" "),
            ], 0..40),
            size in 1_usize..20,
        ) {
            let body = pieces.concat();
            prop_assert_eq!(parts(body.as_bytes(), "B", size), parts(body.as_bytes(), "B", body.len()));
        }
    }
}
