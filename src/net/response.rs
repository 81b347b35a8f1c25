//! Answers and how they become bytes.

use std::borrow::Cow;
use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method, StatusCode};

use super::body::Body;
use super::http1::Request;
use super::request_id::RequestId;

/// One answer, before it knows which connection it leaves on.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// `content-type`; empty for an answer without one.
    pub content_type: &'static str,
    /// Headers that this answer has of its own, each at most once.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The request that it answers, as `x-request-id`.
    pub request_id: Option<RequestId>,
    /// More headers of its own, written beforehand: lines each ended by CRLF.
    pub header_lines: Option<Arc<str>>,
    /// Header lines that never vary, each ended by CRLF, written as they are.
    pub fixed_headers: &'static str,
    /// The body; `content-length` follows from it.
    pub body: Body,
    /// Close the connection afterwards whatever the client wished.
    pub close: bool,
}

impl Response {
    /// An answer with a JSON body.
    pub fn json(status: StatusCode, body: impl Into<Cow<'static, [u8]>>) -> Self {
        Self::new(status, "application/json", body)
    }

    /// An answer with a plain text body.
    pub fn text(status: StatusCode, body: &'static str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", body.as_bytes())
    }

    /// An answer without a body.
    pub fn empty(status: StatusCode) -> Self {
        Self::new(status, "", &b""[..])
    }

    fn new(status: StatusCode, content_type: &'static str, body: impl Into<Cow<'static, [u8]>>) -> Self {
        let (headers, body) = (Vec::new(), Body::Bytes(body.into()));
        Self {
            status,
            content_type,
            headers,
            request_id: None,
            header_lines: None,
            fixed_headers: "",
            body,
            close: false,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// What the request of an answer decides about its bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// A HEAD request: everything but the body.
    pub(crate) head_only: bool,
    pub(crate) http11: bool,
    pub(crate) keep_alive: bool,
}

impl Manner {
    /// How to answer this request; at a stop, nothing follows it.
    pub(crate) fn of(request: &Request<'_>, stopping: bool) -> Self {
        let (head_only, http11) = (request.method == Method::HEAD, request.http11);
        Self { head_only, http11, keep_alive: request.keep_alive && !stopping }
    }
}

/// Appends the answer's bytes to `out`, but nothing that has to come from a source. `date` is the `Date` value.
pub(crate) fn encode(response: &Response, manner: Manner, date: &str, out: &mut Vec<u8>) {
    let body = response.body.bytes();
    out.reserve(512 + response.fixed_headers.len() + body.len());
    encode_head(response, response.body.length(), manner, date, out);
    if !manner.head_only {
        out.extend_from_slice(body);
    }
}

/// The same without the body, of which there will be `length` bytes; if nobody knows, it is sent in chunks, or ends with the
/// connection where the client does not know chunks, and a HEAD is told nothing of it.
pub(crate) fn encode_head(response: &Response, length: Option<u64>, manner: Manner, date: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(response.status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(response.status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\ndate: ");
    out.extend_from_slice(date.as_bytes());
    if !response.content_type.is_empty() {
        out.extend_from_slice(b"\r\ncontent-type: ");
        out.extend_from_slice(response.content_type.as_bytes());
    }
    if response.status == StatusCode::SWITCHING_PROTOCOLS {
        out.extend_from_slice(b"\r\nconnection: Upgrade\r\nupgrade: websocket\r\n");
    } else if let Some(length) = length.filter(|_| response.status != StatusCode::NOT_MODIFIED) {
        out.extend_from_slice(b"\r\ncontent-length: ");
        out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
        out.extend_from_slice(b"\r\n");
    } else if length.is_none() && manner.http11 && !manner.head_only {
        out.extend_from_slice(b"\r\ntransfer-encoding: chunked\r\n");
    } else {
        // RFC 9110 §8.6: the length in a 304 would be that of the 200 instead of it. What a HEAD is told can be left out (§9.3.2),
        // and a body that is announced would have some wait for it.
        out.extend_from_slice(b"\r\n");
    }
    match (manner.keep_alive, manner.http11) {
        (false, _) => out.extend_from_slice(b"connection: close\r\n"),
        (true, false) => out.extend_from_slice(b"connection: keep-alive\r\n"),
        (true, true) => {}
    }
    for (name, value) in &response.headers {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if let Some(lines) = &response.header_lines {
        out.extend_from_slice(lines.as_bytes());
    }
    if let Some(request_id) = &response.request_id {
        out.extend_from_slice(b"x-request-id: ");
        out.extend_from_slice(request_id.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(response.fixed_headers.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// An answer for whoever is given no more than that, written beforehand but for its date.
#[derive(Debug)]
pub(crate) struct Refusal {
    to_date: Vec<u8>,
    from_date: Vec<u8>,
}

impl Refusal {
    /// This answer, after which the connection closes.
    pub(crate) fn new(response: &Response) -> Self {
        let (manner, mut to_date) = (Manner { head_only: false, http11: true, keep_alive: false }, Vec::new());
        encode(response, manner, "", &mut to_date);
        let line = b"\r\ndate: ";
        let found = to_date.windows(line.len()).position(|window| window == line);
        let from_date = to_date.split_off(found.map_or(0, |at| at + line.len()));
        Self { to_date, from_date }
    }

    /// Its bytes, with this value of `Date`.
    pub(crate) fn dated(&self, date: &str) -> Vec<u8> {
        [&self.to_date, date.as_bytes(), &self.from_date].concat()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::net::body::ReadSource;

    fn encoded(response: &Response, manner: Manner) -> String {
        let mut out = Vec::new();
        encode(response, manner, "D", &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_body_is_counted_and_left_out_for_head() {
        let response = Response::json(StatusCode::OK, &b"{}"[..]);
        let get = Manner { head_only: false, http11: true, keep_alive: true };
        let expected = "HTTP/1.1 200 OK\r\ndate: D\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n";
        assert_eq!(encoded(&response, get), format!("{expected}{{}}"));
        assert_eq!(encoded(&response, Manner { head_only: true, ..get }), expected);
    }

    #[test]
    fn a_refusal_is_the_answer_with_the_date_of_the_moment() {
        let response = Response::text(StatusCode::SERVICE_UNAVAILABLE, "full");
        let expected = encoded(&response, Manner { head_only: false, http11: true, keep_alive: false });
        assert_eq!(Refusal::new(&response).dated("D"), expected.as_bytes());
    }

    #[test]
    fn the_connection_header_says_what_the_client_cannot_assume() {
        let response = Response::empty(StatusCode::NO_CONTENT);
        let manner = |http11, keep_alive| Manner { head_only: false, http11, keep_alive };
        assert!(!encoded(&response, manner(true, true)).contains("connection"));
        assert!(encoded(&response, manner(true, false)).contains("connection: close\r\n"));
        assert!(encoded(&response, manner(false, true)).contains("connection: keep-alive\r\n"));
    }

    #[test]
    fn a_body_of_unknown_length_is_in_chunks_or_ends_with_the_connection() {
        let source = || Box::new(ReadSource(io::empty()));
        let unknown =
            Response { body: Body::Source { length: None, source: source() }, ..Response::empty(StatusCode::OK) };
        let manner = |http11| Manner { head_only: false, http11, keep_alive: false };
        assert!(encoded(&unknown, manner(true)).contains("\r\ntransfer-encoding: chunked\r\n"));
        let old = encoded(&unknown, manner(false));
        assert!(!old.contains("transfer-encoding") && !old.contains("content-length"), "{old}");
        let unsent = encoded(&unknown, Manner { head_only: true, ..manner(true) });
        assert!(!unsent.contains("transfer-encoding") && !unsent.contains("content-length"), "{unsent}");
        let body = Body::Source { length: Some(7), source: source() };
        let known = Response { body, ..Response::empty(StatusCode::OK) };
        assert!(encoded(&known, manner(true)).contains("\r\ncontent-length: 7\r\n"));
        let same = encoded(&Response::empty(StatusCode::NOT_MODIFIED), manner(true));
        assert_eq!(same, "HTTP/1.1 304 Not Modified\r\ndate: D\r\nconnection: close\r\n\r\n");
    }
}
