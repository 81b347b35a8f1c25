//! The other end: one blocking request, as the program's own verbs and its watchdog make them.
//!
//! It asks in HTTP/1.0, so an answer is never chunked and ends with its connection, be it from this server, its private
//! plane, or a reverse proxy in front of it, with TLS or without.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with, sockopt};
use rustls::{ClientConnection, StreamOwned};

use super::tls::client::{Refused, Secured};
use crate::clock::Clock;
use crate::settings::Endpoint;

/// An answer's head is not longer than this.
const HEAD_MAX_BYTES: usize = 64 * 1024;
/// Nor has it more headers.
const HEAD_MAX_HEADERS: usize = 100;
/// Of an answer that says what is wrong, no more is read.
pub(super) const DETAIL_MAX_BYTES: u64 = 65_536;

/// How an alert begins, in which TLS says that something else was sent (RFC 8446 §5.1).
const TLS_ALERT: [u8; 2] = [21, 3];

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens there, or nobody took the call in time.
    #[error("cannot connect to {0}: {1}")]
    Connect(Endpoint, io::Error),
    /// The connection broke, or nothing came in time.
    #[error("no answer from {0}: {1}")]
    Broken(Endpoint, io::Error),
    /// What came back is not HTTP.
    #[error("the response of {0} is not HTTP")]
    NotHttp(Endpoint),
    /// What came back is TLS.
    #[error("{0} speaks TLS: use https://")]
    IsTls(Endpoint),
    /// There is no TLS with it, or it is not the server that it should be.
    #[error("TLS with {0} failed: {1}")]
    Tls(Endpoint, String),
}

impl AskError {
    /// Whether nothing listens there, as far as can be told from here.
    #[must_use]
    pub fn is_nobody(&self) -> bool {
        use io::ErrorKind::{ConnectionRefused, NotFound};
        matches!(self, Self::Connect(_, error) if matches!(error.kind(), ConnectionRefused | NotFound))
    }
}

/// A server to be asked.
#[derive(Debug, Clone)]
pub struct Remote {
    at: Endpoint,
    host: String,
    secured: Option<Secured>,
}

impl Remote {
    /// The one that listens at this place.
    pub fn at(at: Endpoint) -> Self {
        Self { host: at.host(), at, secured: None }
    }

    /// The same, called by this name in `Host`.
    #[must_use]
    pub fn named(self, host: &str) -> Self {
        Self { host: host.to_owned(), ..self }
    }

    /// The same over TLS.
    #[must_use]
    pub fn secured(self, secured: Secured) -> Self {
        Self { secured: Some(secured), ..self }
    }

    /// Where it is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.at
    }

    /// What it is called in `Host`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether it is asked over TLS.
    pub fn is_secured(&self) -> bool {
        self.secured.is_some()
    }

    /// What is asked of it, as a person writes it.
    pub fn url(&self, target: &str) -> String {
        match &self.at {
            Endpoint::Tcp(_) => format!("{}://{}{target}", if self.is_secured() { "https" } else { "http" }, self.host),
            Endpoint::Unix(_) => format!("{} {target}", self.at),
        }
    }

    /// Calls it, for this long and as long as is left of it then.
    ///
    /// # Errors
    /// When nobody takes the call in time, or somebody else does.
    pub fn call(&self, patience: Duration) -> Result<Call, AskError> {
        let stream = Bounded::connect(&self.at, patience).map_err(|error| AskError::Connect(self.at.clone(), error))?;
        let Some(secured) = &self.secured else { return Ok(Call::Plain(stream)) };
        match secured.connect(stream) {
            Ok(stream) => Ok(Call::Secured(Box::new(stream))),
            Err(Refused::Server(why)) => Err(AskError::Tls(self.at.clone(), why)),
            Err(Refused::Connection(error)) => Err(AskError::Broken(self.at.clone(), error)),
        }
    }
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// `GET`, `POST`, …
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// Headers besides `Host`, `Content-Length` and `Connection`; without line breaks.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body; an empty one is none.
    pub body: &'a [u8],
}

impl<'a> Ask<'a> {
    /// A `GET` without anything.
    pub fn get(target: &'a str) -> Self {
        Self { method: "GET", target, headers: &[], body: b"" }
    }

    /// Sends it and reads the head of the answer, all within `patience`, however little of it comes by how often. The text of
    /// its body has to come in that time as well; a body that is read piece by piece may take as long for each.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn send(&self, to: &Remote, patience: Duration) -> Result<Answer, AskError> {
        self.over(to.call(patience)?, &to.at, &to.host)
    }

    /// The same over a call that is made already; `to` is what errors call the other end.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn over(&self, mut call: Call, to: &Endpoint, host: &str) -> Result<Answer, AskError> {
        let broken = |error| AskError::Broken(to.clone(), error);
        let mut request = format!("{} {} HTTP/1.0\r\nHost: {host}\r\n", self.method, self.target);
        for (name, value) in self.headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() || self.method == "POST" {
            request.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        request.push_str("Connection: close\r\n\r\n");
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(self.body);
        // Who refuses early, and hangs up, has answered all the same.
        let written = call.write_all(&bytes).and_then(|()| call.flush());
        match Answer::read(call) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(bytes)) => Err(match written {
                Ok(()) if bytes.starts_with(&TLS_ALERT) => AskError::IsTls(to.clone()),
                Ok(()) => AskError::NotHttp(to.clone()),
                Err(error) => broken(error),
            }),
            Err(error) => Err(broken(written.err().unwrap_or(error))),
        }
    }
}

/// A call that a server has taken.
pub enum Call {
    /// As it is.
    Plain(Bounded),
    /// Over TLS.
    Secured(Box<StreamOwned<ClientConnection, Bounded>>),
}

impl Call {
    /// One end of a connection that is there already.
    pub fn of(stream: UnixStream, patience: Duration) -> Self {
        Self::Plain(Bounded::new(Stream::Unix(stream), patience))
    }

    /// From now on it may take as long again.
    pub fn begin_anew(&mut self) {
        match self {
            Self::Plain(stream) => stream.begin_anew(),
            Self::Secured(stream) => stream.sock.begin_anew(),
        }
    }

    /// What the server has shown of who it is, if it had to.
    pub fn certificate(&self) -> Option<&[u8]> {
        match self {
            Self::Plain(_) => None,
            Self::Secured(stream) => Some(stream.conn.peer_certificates()?.first()?.as_ref()),
        }
    }
}

impl Read for Call {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Secured(stream) => stream.read(buffer),
        }
    }
}

impl Write for Call {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Secured(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Secured(stream) => stream.flush(),
        }
    }
}

/// A connection that is over at a time, however little of it comes by how often.
pub struct Bounded {
    stream: Stream,
    patience: Duration,
    until: Instant,
    clock: Clock,
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Bounded {
    fn connect(to: &Endpoint, patience: Duration) -> io::Result<Self> {
        let clock = Clock::system();
        let until = clock.instant() + patience;
        let stream = match to {
            Endpoint::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, patience)?;
                stream.set_nodelay(true)?;
                Stream::Tcp(stream)
            }
            Endpoint::Unix(path) => Stream::Unix(in_time(connect_unix(path, patience))?),
        };
        Ok(Self { stream, patience, until, clock })
    }

    fn new(stream: Stream, patience: Duration) -> Self {
        let clock = Clock::system();
        Self { stream, patience, until: clock.instant() + patience, clock }
    }

    fn begin_anew(&mut self) {
        self.until = self.clock.instant() + self.patience;
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.until.saturating_duration_since(self.clock.instant());
        if left.is_zero() { Err(nothing_in_time()) } else { Ok(Some(left)) }
    }
}

/// The standard library waits for ever where the other end's queue is full.
fn connect_unix(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(patience))?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket.into())
}

fn nothing_in_time() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "nothing in time")
}

/// What ran out of time says so, and not that it would block.
fn in_time<T>(done: io::Result<T>) -> io::Result<T> {
    done.map_err(|error| if error.kind() == io::ErrorKind::WouldBlock { nothing_in_time() } else { error })
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left()?;
        in_time(match &mut self.stream {
            Stream::Tcp(stream) => stream.set_read_timeout(left).and_then(|()| stream.read(buffer)),
            Stream::Unix(stream) => stream.set_read_timeout(left).and_then(|()| stream.read(buffer)),
        })
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.left()?;
        in_time(match &mut self.stream {
            Stream::Tcp(stream) => stream.set_write_timeout(left).and_then(|()| stream.write(bytes)),
            Stream::Unix(stream) => stream.set_write_timeout(left).and_then(|()| stream.write(bytes)),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        // Neither kind keeps anything back.
        Ok(())
    }
}

/// An answer, whose body is still to be read.
pub struct Answer {
    /// The status.
    pub status: u16,
    headers: Vec<(String, String)>,
    began: io::Cursor<Vec<u8>>,
    length: Option<u64>,
    taken: u64,
    rest: Call,
}

impl Answer {
    /// When what comes is no HTTP, the error is what came.
    fn read(mut stream: Call) -> io::Result<Result<Self, Vec<u8>>> {
        let mut bytes = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            let count = match stream.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            bytes.extend_from_slice(&chunk[..count]);
            let mut headers = [httparse::EMPTY_HEADER; HEAD_MAX_HEADERS];
            let mut head = httparse::Response::new(&mut headers);
            match head.parse(&bytes) {
                Ok(httparse::Status::Complete(end)) => {
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    let headers: Vec<_> =
                        head.headers.iter().map(|header| (header.name.to_owned(), text(header.value))).collect();
                    let status = head.code.unwrap_or_default();
                    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
                    let length = length.and_then(|(_, value)| value.trim().parse().ok());
                    let began = io::Cursor::new(bytes.split_off(end));
                    return Ok(Ok(Self { status, headers, began, length, taken: 0, rest: stream }));
                }
                Ok(httparse::Status::Partial) if count > 0 && bytes.len() < HEAD_MAX_BYTES => {}
                Ok(httparse::Status::Partial) | Err(_) => return Ok(Err(bytes)),
            }
        }
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// What the server has shown of who it is, if it had to.
    pub fn certificate(&self) -> Option<&[u8]> {
        self.rest.certificate()
    }

    /// What is wrong, in the words of an answer that is an error of ours: its `detail`.
    pub fn detail(self) -> Option<String> {
        let body: serde_json::Value = serde_json::from_str(&self.text(DETAIL_MAX_BYTES).ok()?).ok()?;
        Some(body.get("detail")?.as_str()?.to_owned())
    }

    /// The whole body as text, of which no more than `max` bytes are read.
    ///
    /// # Errors
    /// When it breaks off, or is not there in time.
    pub fn text(self, max: u64) -> io::Result<String> {
        let mut bytes = Vec::new();
        InTime(self).take(max).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A piece of the body. It is an error when it ends before its `Content-Length`, so that half a file is never taken for a
    /// whole one.
    fn piece(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.length.map_or(u64::MAX, |length| length.saturating_sub(self.taken));
        let room = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        if room == 0 {
            return Ok(0);
        }
        let mut count = self.began.read(&mut buffer[..room])?;
        if count == 0 {
            count = self.rest.read(&mut buffer[..room])?;
        }
        if count == 0 && self.length.is_some() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the answer broke off before its end"));
        }
        self.taken += count as u64;
        Ok(count)
    }
}

/// The body as a whole, in the time that there is for all of it.
struct InTime(Answer);

impl Read for InTime {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.piece(buffer)
    }
}

/// The body piece by piece, each of which may take its time: a large one takes long, and who waits for it sees it grow.
impl Read for Answer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.rest.begin_anew();
        self.piece(buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn at(endpoint: &Endpoint) -> Remote {
        Remote::at(endpoint.clone())
    }

    /// Answers one call with these bytes; returns what was asked.
    fn answering(bytes: &'static [u8]) -> (Endpoint, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let to = Endpoint::Tcp(listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let mut asked = Vec::new();
            let mut chunk = [0; 1024];
            while !asked.ends_with(b"\r\n\r\n{}") && !asked.ends_with(b"close\r\n\r\n") {
                let count = stream.read(&mut chunk).unwrap();
                asked.extend_from_slice(&chunk[..count]);
            }
            stream.write_all(bytes).unwrap();
            String::from_utf8(asked).unwrap()
        });
        (to, thread)
    }

    #[test]
    fn a_request_is_sent_and_its_answer_read() {
        let (to, asked) = answering(b"HTTP/1.1 201 Created\r\nX-A: b\r\nContent-Length: 2\r\n\r\nhi and more");
        let ask = Ask { method: "POST", target: "/x?y=1", headers: &[("X-User-Id", "alice")], body: b"{}" };
        let answer = ask.send(&Remote::at(to).named("example.org"), PATIENCE).unwrap();
        assert_eq!((answer.status, answer.header("x-a")), (201, Some("b")));
        assert_eq!(answer.text(100).unwrap(), "hi");
        let expected = "POST /x?y=1 HTTP/1.0\r\nHost: example.org\r\nX-User-Id: alice\r\nContent-Length: 2\r\n\
                        Connection: close\r\n\r\n{}";
        assert_eq!(asked.join().unwrap(), expected);
    }

    #[test]
    fn half_a_body_is_an_error_and_a_body_without_length_ends_with_its_connection() {
        let (to, _asked) = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal");
        let error = Ask::get("/").send(&at(&to), PATIENCE).unwrap().text(100).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        let (to, _asked) = answering(b"HTTP/1.0 200 OK\r\n\r\nall of it");
        assert_eq!(Ask::get("/").send(&at(&to), PATIENCE).unwrap().text(6).unwrap(), "all of");
    }

    /// Sends a beginning and then one byte after the other, for as long as anyone listens, to every caller.
    fn dripping(beginning: &'static [u8]) -> Endpoint {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let to = Endpoint::Tcp(listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut sent = stream.write_all(beginning);
                while sent.is_ok() {
                    std::thread::park_timeout(Duration::from_millis(10));
                    sent = stream.write_all(b"a");
                }
            }
        });
        to
    }

    #[test]
    fn an_answer_that_drips_is_not_waited_for_longer_than_one_that_does_not_come() {
        const SHORT: Duration = Duration::from_millis(300);
        let to = dripping(b"HTTP/1.0 200 OK\r\nX-A: ");
        let error = Ask::get("/").send(&at(&to), SHORT).err().unwrap();
        assert_eq!(error.to_string(), format!("no answer from {to}: nothing in time"));
        let to = dripping(b"HTTP/1.0 200 OK\r\n\r\n");
        let error = Ask::get("/").send(&at(&to), SHORT).unwrap().text(1 << 20).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        // Piece by piece it may take longer than that in all.
        let mut answer = Ask::get("/").send(&at(&to), PATIENCE).unwrap();
        let Call::Plain(rest) = &mut answer.rest else { panic!() };
        rest.until = rest.clock.instant();
        answer.read_exact(&mut [0; 20]).unwrap();
    }

    #[test]
    fn a_call_that_nobody_takes_is_given_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let listener = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let to = Endpoint::Unix(path);
        // As many as the kernel lets wait, and one more.
        let mut waiting = Vec::new();
        let error = loop {
            match Bounded::connect(&to, Duration::from_millis(200)) {
                Ok(call) => waiting.push(call),
                Err(error) => break error,
            }
        };
        assert_eq!((error.to_string().as_str(), waiting.is_empty()), ("nothing in time", false));
    }

    #[test]
    fn what_is_wrong_is_said_in_a_detail_if_at_all() {
        let says = |bytes| Ask::get("/").send(&at(&answering(bytes).0), PATIENCE).unwrap().detail();
        let drains = b"HTTP/1.0 503 x\r\n\r\n{\"status\":\"error\",\"detail\":\"draining\"}";
        assert_eq!(says(drains).as_deref(), Some("draining"));
        for bytes in [
            &b"HTTP/1.0 503 x\r\n\r\n"[..],
            b"HTTP/1.0 503 x\r\n\r\n{}",
            b"HTTP/1.0 503 x\r\n\r\n{\"detail\":{\"a\":1}}",
            b"HTTP/1.0 503 x\r\n\r\n<html>",
        ] {
            assert_eq!(says(bytes), None, "{bytes:?}");
        }
        let long = |blanks: usize| -> &'static [u8] {
            format!("HTTP/1.0 503 x\r\n\r\n{{\"detail\":\"x\"{}}}", " ".repeat(blanks)).leak().as_bytes()
        };
        let short = "{\"detail\":\"x\"}".len();
        let most = DETAIL_MAX_BYTES as usize - short;
        assert_eq!([most, most + 1].map(|blanks| says(long(blanks))), [Some("x".to_owned()), None]);
    }

    #[test]
    fn what_is_no_http_is_said_to_be_none() {
        for bytes in [&b"SSH-2.0-OpenSSH_9.2\r\n"[..], b"", b"HTTP/1.1 200"] {
            let (to, _asked) = answering(bytes);
            assert!(matches!(Ask::get("/").send(&at(&to), PATIENCE), Err(AskError::NotHttp(_))), "{bytes:?}");
        }
        let (to, _asked) = answering(b"\x15\x03\x03\0\x02\x02\x0a");
        assert!(matches!(Ask::get("/").send(&at(&to), PATIENCE), Err(AskError::IsTls(_))));
        let gone = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let error = Ask::get("/").send(&at(&Endpoint::Tcp(gone)), PATIENCE).err().unwrap().to_string();
        assert!(error.starts_with(&format!("cannot connect to {gone}: ")), "{error}");
    }
}
