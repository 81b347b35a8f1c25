//! HTTP as bytes: a strict reader of answers, and one blocking connection.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::PATIENCE;

/// The head of an answer.
pub struct Head {
    pub status: u16,
    pub content_length: Option<usize>,
    /// Whether the body comes in chunks.
    pub chunked: bool,
    /// Where the body begins.
    pub end: usize,
}

/// Reads the head that `bytes` begin with; `None` while it is incomplete. Strict: what no server here should ever send is an
/// error, not something to cope with.
pub fn head(bytes: &[u8]) -> Result<Option<Head>, &'static str> {
    let mut status = None;
    let (mut content_length, mut chunked) = (None, false);
    let mut rest = bytes;
    loop {
        let Some(end) = rest.iter().position(|&byte| byte == b'\n') else { return Ok(None) };
        let line = rest[..end].strip_suffix(b"\r").ok_or("a bare line feed")?;
        rest = &rest[end + 1..];
        if status.is_none() {
            let code = line.strip_prefix(b"HTTP/1.1 ").ok_or("not HTTP/1.1")?;
            let (code, _) = code.split_at_checked(3).ok_or("no status")?;
            status = Some(number(code).ok_or("no status")? as u16);
        } else if line.is_empty() {
            let status = status.ok_or("no status")?;
            return Ok(Some(Head { status, content_length, chunked, end: bytes.len() - rest.len() }));
        } else {
            let colon = line.iter().position(|&byte| byte == b':').ok_or("not a header")?;
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            if name.eq_ignore_ascii_case(b"content-length") {
                let value = number(value).ok_or("not a length")?;
                if content_length.replace(value).is_some() {
                    return Err("two lengths");
                }
            } else if name.eq_ignore_ascii_case(b"transfer-encoding")
                && (value != b"chunked" || std::mem::replace(&mut chunked, true))
            {
                return Err("not one plain body");
            }
            if chunked && content_length.is_some() {
                return Err("a length and chunks");
            }
        }
    }
}

fn number(digits: &[u8]) -> Option<usize> {
    let plain = !digits.is_empty() && digits.len() < 10 && digits.iter().all(u8::is_ascii_digit);
    plain.then(|| digits.iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0')))
}

/// One connection.
pub struct Client {
    pub stream: TcpStream,
    /// What has come and was not taken yet.
    pub received: Vec<u8>,
}

impl Client {
    /// Connects; panics when that fails.
    pub fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address, PATIENCE).unwrap()
    }

    /// Connects, and waits no longer than this for anything that comes.
    pub fn try_connect(address: SocketAddr, patience: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::new() })
    }

    /// A connection for which the kernels keep some 50 KB at most instead of megabytes, so that who does not read it is
    /// soon known to be slow: the size of segments, which ours announces, is what the server's buffer is measured by.
    pub fn connect_narrow(address: SocketAddr) -> io::Result<Self> {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        socket.set_recv_buffer_size(2048)?;
        socket.set_tcp_mss(536)?;
        socket.connect(&address.into())?;
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, received: Vec::new() })
    }

    /// Sends these bytes and nothing else.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends these bytes and reads the one answer to them.
    pub fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.stream.write_all(request)?;
        self.read_answer(false)
    }

    /// The next answer on this connection; panics when there is none.
    pub fn answer(&mut self) -> Answer {
        self.try_answer(false).expect("the connection ended instead of an answer")
    }

    /// The next answer to a HEAD request.
    pub fn answer_to_head(&mut self) -> Answer {
        self.try_answer(true).expect("the connection ended instead of an answer")
    }

    /// The next answer, or nothing when the server has closed (or reset) the connection.
    pub fn try_answer(&mut self, to_head: bool) -> Option<Answer> {
        match self.read_answer(to_head) {
            Ok(answer) => Some(answer),
            Err(error) if is_end(&error) => None,
            Err(error) => panic!("no answer: {error}"),
        }
    }

    fn read_answer(&mut self, to_head: bool) -> io::Result<Answer> {
        let head = loop {
            if let Some(head) = head(&self.received).map_err(io::Error::other)? {
                break head;
            }
            self.read_more()?;
        };
        let bodiless = to_head || head.status < 200;
        if head.chunked && !bodiless {
            return self.read_chunks(head.end);
        }
        let end = head.end + head.content_length.filter(|_| !bodiless).unwrap_or(0);
        while self.received.len() < end {
            self.read_more()?;
        }
        let mut answer = Answer::of_head(&self.received[..head.end]);
        answer.body = self.received[head.end..end].to_vec();
        self.received.drain(..end);
        Ok(answer)
    }

    /// The rest of an answer whose body begins here and comes in chunks.
    fn read_chunks(&mut self, head: usize) -> io::Result<Answer> {
        let (mut answer, mut at) = (Answer::of_head(&self.received[..head]), head);
        loop {
            let line = self.received[at..].windows(2).take(18).position(|end| end == b"\r\n");
            let Some(line) = line else {
                self.read_more()?;
                continue;
            };
            let digits = std::str::from_utf8(&self.received[at..at + line]).unwrap();
            let size = usize::from_str_radix(digits, 16).map_err(io::Error::other)?;
            let data = at + line + 2;
            while self.received.len() < data + size + 2 {
                self.read_more()?;
            }
            assert_eq!(&self.received[data + size..data + size + 2], b"\r\n", "the end of a chunk");
            answer.body.extend_from_slice(&self.received[data..data + size]);
            at = data + size + 2;
            if size == 0 {
                self.received.drain(..at);
                return Ok(answer);
            }
        }
    }

    /// Reads what there is; at the end of the connection that is an error.
    pub fn read_more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(bytes) => {
                self.received.extend_from_slice(&buffer[..bytes]);
                Ok(())
            }
            // Whoever stops and continues a program interrupts what it waits for.
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether the server has closed the connection and sent nothing more.
    pub fn is_closed(&mut self) -> bool {
        while self.received.is_empty() {
            match self.read_more() {
                Ok(()) => {}
                Err(error) if is_end(&error) => return true,
                Err(error) => panic!("no end: {error}"),
            }
        }
        false
    }

    /// Sends a request and reads its answer.
    pub fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        self.send(bytes);
        if method == "HEAD" { self.answer_to_head() } else { self.answer() }
    }

    pub fn get(&mut self, path: &str, user: Option<&str>) -> Answer {
        let user = user.map(|user| ("X-User-Id", user));
        self.request("GET", path, user.as_slice(), b"")
    }

    pub fn post(&mut self, path: &str, user: Option<&str>, body: &Value) -> Answer {
        let mut headers = vec![("Content-Type", "application/json")];
        headers.extend(user.map(|user| ("X-User-Id", user)));
        self.request("POST", path, &headers, body.to_string().as_bytes())
    }
}

fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// One answer as a client sees it.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub reason: String,
    /// Names in lower case, in the order of the wire.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    fn of_head(head: &[u8]) -> Self {
        let text = std::str::from_utf8(head).unwrap();
        let mut lines = text.trim_end().split("\r\n");
        let status_line = lines.next().unwrap();
        let (version, rest) = status_line.split_once(' ').unwrap();
        assert_eq!(version, "HTTP/1.1", "{status_line}");
        let (status, reason) = rest.split_once(' ').unwrap();
        let headers = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Self { status: status.parse().unwrap(), reason: reason.to_owned(), headers, body: Vec::new() }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The JSON of an answer that must have this status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }

    /// Holds an error to its one shape and returns its code and message.
    #[track_caller]
    pub fn expect_error(&self, status: u16) -> (String, String) {
        let body = self.expect(status);
        let id = self.header("x-request-id").expect("every answer names its request");
        assert_eq!(body["error"]["request_id"], id, "{body}");
        assert!(body.get("detail").is_some(), "{body}");
        let message = &body["error"]["message"];
        let message = message.as_str().map_or_else(|| message.to_string(), str::to_owned);
        (body["error"]["code"].as_str().unwrap().to_owned(), message)
    }
}
