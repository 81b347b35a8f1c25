//! The side door: for a few callers, each of whom may take long, as an operator's requests do. It knows no product.
//!
//! One thread accepts. Each caller has a thread of their own and one request: the connection closes behind the answer, so
//! nothing is pipelined and nobody stays. Requests come out of the same [`Decoder`] as those at the front, so heads and
//! bodies are bounded in the same way. What a desk answers may be a stream ([`Answer::stream`]) that takes minutes, and
//! nobody but its caller waits for it.
//!
//! Bounds ([`Bounds`]): callers at once, of whom those beyond wait in the kernel's queue; bytes of head and body; the time
//! to send a request, to take a short answer, and in which something of a long one must be taken. What is not bounded is
//! how long somebody takes a stream who takes a little of it now and then.
//!
//! Errors of accept end nothing: each is counted, and tried again after [`RETRY`].

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token, Waker};
use parking_lot::{Condvar, Mutex};

use super::Endpoint;
use super::http1::{Decoder, Intake, Limits, Part, Reject, Request, Step, slots};
use super::listener::Listener as Listening;
use super::response::{Manner, Response, encode, encode_head, http_date};
use crate::clock::Clock;
use crate::observe::repeat::Sampler;

/// How long after an accept that failed the next is tried.
const RETRY: Duration = Duration::from_millis(100);
/// A caller's thread looks this often whether the door is being closed.
const GLANCE: Duration = Duration::from_millis(250);
/// How long a caller is given to stop sending once it has its answer, so that closing does not take the answer along.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);
/// And how much of what it still sends is read.
const LEAVE_MAX_BYTES: usize = 256 * 1024;
/// Read and written at once.
const CHUNK_BYTES: usize = 64 * 1024;

const LISTENER: Token = Token(0);
const STOP: Token = Token(1);

/// Who is calling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// From this address.
    Tcp(SocketAddr),
    /// Through a Unix socket.
    Unix,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

/// What answers. Shared by the threads of all callers, and may block.
pub trait Desk: Send + Sync + 'static {
    /// Answers a request.
    fn answer(&self, request: &Request<'_>, peer: Peer) -> Answer;

    /// The answer to bytes that are no request. `request` is there when its head was good and only its body was not.
    fn reject(&self, reject: &Reject, request: Option<&Request<'_>>, peer: Peer) -> Response;
}

/// An answer, whose body may be a stream.
pub struct Answer {
    /// Everything but the stream.
    pub response: Response,
    /// Comes instead of the response's body.
    pub stream: Option<Stream>,
}

/// A body that is too large to be held.
pub struct Stream {
    /// How many bytes it has. Fewer break the connection off, so that half a body is never taken for a whole one.
    pub bytes: u64,
    /// Where they come from.
    pub from: Box<dyn Read + Send>,
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self { response, stream: None }
    }
}

/// What callers may cost.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Callers at once.
    pub callers: usize,
    /// Of a head.
    pub limits: Limits,
    /// Bytes of a body.
    pub body_bytes: usize,
    /// To send a whole request.
    pub request: Duration,
    /// To take a whole answer that is no stream.
    pub answer: Duration,
    /// To take something of a stream.
    pub stall: Duration,
}

/// A running side door.
pub struct SideDoor {
    endpoint: Option<Endpoint>,
    threads: Arc<Threads>,
    waker: Waker,
    acceptor: JoinHandle<()>,
    clock: Clock,
}

/// How many callers there are, and whether the door is being closed.
#[derive(Default)]
struct Threads {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    callers: usize,
    closing: bool,
}

/// One caller's place.
struct Place(Arc<Threads>);

impl Threads {
    /// A place for one more caller, waiting for it; none when the door is being closed.
    fn take(self: &Arc<Self>, max: usize) -> Option<Place> {
        let mut state = self.state.lock();
        while !state.closing && state.callers >= max {
            self.changed.wait(&mut state);
        }
        if state.closing {
            return None;
        }
        state.callers += 1;
        Some(Place(Arc::clone(self)))
    }

    fn is_closing(&self) -> bool {
        self.state.lock().closing
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.state.lock().callers -= 1;
        self.0.changed.notify_all();
    }
}

impl SideDoor {
    /// Opens it on a bound place.
    ///
    /// # Errors
    /// When the system refuses a poll, a thread, or the listener's registration.
    pub fn open(listening: Listening, bounds: Bounds, desk: Arc<dyn Desk>, clock: Clock) -> io::Result<Self> {
        let endpoint = listening.endpoint();
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), STOP)?;
        let listener = Listener::register(listening, &poll)?;
        let threads = Arc::new(Threads::default());
        let (shared, time) = (Arc::clone(&threads), clock.clone());
        let acceptor = Acceptor { poll, listener, threads: shared, bounds: Arc::new(bounds), desk, clock: time };
        let acceptor = std::thread::Builder::new().name("side-door".into()).spawn(move || acceptor.run())?;
        Ok(Self { endpoint, threads, waker, acceptor, clock })
    }

    /// Where it listens. None for a Unix socket without a path.
    #[must_use]
    pub fn endpoint(&self) -> Option<&Endpoint> {
        self.endpoint.as_ref()
    }

    /// Stops accepting, breaks off what is being read or written, and waits up to `patience` for desks to finish what they
    /// do. Returns how many have not.
    pub fn close(self, patience: Duration) -> usize {
        self.threads.state.lock().closing = true;
        self.threads.changed.notify_all();
        let woken = self.waker.wake().is_ok();
        if !woken || self.acceptor.join().is_err() {
            log::error!(thread = "side-door"; "thread.panicked");
        }
        let deadline = self.clock.instant() + patience;
        let mut state = self.threads.state.lock();
        while state.callers > 0 && !self.threads.changed.wait_until(&mut state, deadline).timed_out() {}
        state.callers
    }
}

enum Listener {
    Tcp(mio::net::TcpListener),
    Unix(mio::net::UnixListener),
}

impl Listener {
    fn register(listening: Listening, poll: &Poll) -> io::Result<Self> {
        Ok(match listening {
            Listening::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                let mut listener = mio::net::TcpListener::from_std(listener);
                poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
                Self::Tcp(listener)
            }
            Listening::Unix(listener) => {
                listener.set_nonblocking(true)?;
                let mut listener = mio::net::UnixListener::from_std(listener);
                poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
                Self::Unix(listener)
            }
        })
    }

    fn accept(&self) -> io::Result<(Line, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                Ok((Line::Tcp(stream.into()), Peer::Tcp(peer)))
            }
            Self::Unix(listener) => Ok((Line::Unix(listener.accept()?.0.into()), Peer::Unix)),
        }
    }
}

struct Acceptor {
    poll: Poll,
    listener: Listener,
    threads: Arc<Threads>,
    bounds: Arc<Bounds>,
    desk: Arc<dyn Desk>,
    clock: Clock,
}

impl Acceptor {
    fn run(mut self) {
        let mut events = Events::with_capacity(8);
        let mut retry = false;
        while !self.threads.is_closing() {
            if let Err(error) = self.poll.poll(&mut events, retry.then_some(RETRY))
                && error.kind() != ErrorKind::Interrupted
            {
                count(&error);
            }
            retry = !self.accept_all();
        }
    }

    /// Accepts until nobody waits (true) or it fails (false: try again later).
    fn accept_all(&self) -> bool {
        while let Some(place) = self.threads.take(self.bounds.callers) {
            match self.listener.accept() {
                Ok((line, peer)) => self.receive(line, peer, place),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                // The caller left, or a signal came, before we got to it: nothing is wrong here.
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
                Err(error) => {
                    count(&error);
                    return false;
                }
            }
        }
        true
    }

    /// Gives a caller a thread; without one it is hung up on.
    fn receive(&self, line: Line, peer: Peer, place: Place) {
        let visit = Visit {
            line,
            peer,
            bounds: Arc::clone(&self.bounds),
            desk: Arc::clone(&self.desk),
            clock: self.clock.clone(),
            place,
        };
        let thread = std::thread::Builder::new().name("side-caller".into()).spawn(move || visit.run());
        if let Err(error) = thread {
            count(&error);
        }
    }
}

fn count(error: &io::Error) {
    static ERRORS: Sampler = Sampler::new();
    if let Some(errors) = ERRORS.hit() {
        log::error!(error = error.to_string(), errors; "side_door.failed");
    }
}

/// A connection.
enum Line {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Line {
    fn set_up(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => {
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(GLANCE))?;
                stream.set_write_timeout(Some(GLANCE))
            }
            Self::Unix(stream) => {
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(GLANCE))?;
                stream.set_write_timeout(Some(GLANCE))
            }
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn end_writing(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }
}

/// One caller, from the first byte to the last.
struct Visit {
    line: Line,
    peer: Peer,
    bounds: Arc<Bounds>,
    desk: Arc<dyn Desk>,
    clock: Clock,
    place: Place,
}

impl Visit {
    fn run(mut self) {
        // A caller who breaks off has nobody to be told of it.
        let _ = self.line.set_up().and_then(|()| self.serve()).and_then(|()| self.see_off());
    }

    fn serve(&mut self) -> io::Result<()> {
        let deadline = self.clock.instant() + self.bounds.request;
        let mut decoder = Decoder::new(self.bounds.limits.clone());
        let (mut input, mut chunk) = (Vec::new(), [0; 4096]);
        loop {
            let count = match self.patiently(deadline, |line| line.read(&mut chunk)) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                // Silence from the start is no request that could be answered.
                Err(error) if error.kind() == ErrorKind::TimedOut && !input.is_empty() => {
                    let seconds = self.bounds.request.as_secs();
                    let reject = match decoder.part() {
                        Part::Head => Reject::HeadTimeout(seconds),
                        Part::Body => Reject::BodyTimeout(seconds),
                    };
                    let response = self.desk.reject(&reject, None, self.peer);
                    return self.send(response.into(), false);
                }
                Err(error) => return Err(error),
            };
            input.extend_from_slice(&chunk[..count]);
            let (mut space, mut again) = (slots(), slots());
            let limit = self.bounds.body_bytes;
            let (answer, head_only) = match decoder.decode(&input, &mut space, |_| Intake::Whole(limit)) {
                Ok(Step::More { consumed, send_continue }) => {
                    input.drain(..consumed);
                    if send_continue {
                        self.write_all(b"HTTP/1.1 100 Continue\r\n\r\n", deadline)?;
                    }
                    continue;
                }
                Ok(Step::Head { request, .. } | Step::Request { request, .. }) => {
                    (self.desk.answer(&request, self.peer), request.method == http::Method::HEAD)
                }
                Err(reject) => {
                    let request = decoder.head(&input, &mut again);
                    (self.desk.reject(&reject, request.as_ref(), self.peer).into(), false)
                }
            };
            return self.send(answer, head_only);
        }
    }

    fn send(&mut self, answer: Answer, head_only: bool) -> io::Result<()> {
        let Answer { response, stream } = answer;
        let manner = Manner { head_only, http11: true, keep_alive: false };
        let date = http_date(self.clock.now().0.div_euclid(1_000_000));
        let mut out = Vec::new();
        let deadline = self.clock.instant() + self.bounds.answer;
        let Some(Stream { bytes, mut from }) = stream else {
            encode(&response, manner, &date, &mut out);
            return self.write_all(&out, deadline);
        };
        encode_head(&response, Some(bytes), manner, &date, &mut out);
        self.write_all(&out, deadline)?;
        let (mut left, mut chunk) = (if head_only { 0 } else { bytes }, vec![0; CHUNK_BYTES]);
        while left > 0 {
            let room = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
            let count = from.read(&mut chunk[..room])?;
            if count == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let mut rest = &chunk[..count];
            while !rest.is_empty() {
                // Who takes all the time never lets a write fail, which is where the others find out.
                if self.place.0.is_closing() {
                    return Err(ErrorKind::ConnectionAborted.into());
                }
                let deadline = self.clock.instant() + self.bounds.stall;
                let written = self.patiently(deadline, |line| line.write(rest))?;
                rest = &rest[written..];
            }
            left -= count as u64;
        }
        Ok(())
    }

    fn write_all(&mut self, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = self.patiently(deadline, |line| line.write(bytes))?;
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Reads what is still being sent, for a little while.
    fn see_off(&mut self) -> io::Result<()> {
        self.line.end_writing()?;
        let deadline = self.clock.instant() + LEAVE_WITHIN;
        let (mut taken, mut chunk) = (0, [0; 4096]);
        while taken < LEAVE_MAX_BYTES {
            match self.patiently(deadline, |line| line.read(&mut chunk))? {
                0 => break,
                count => taken += count,
            }
        }
        Ok(())
    }

    /// Tries until it succeeds, the deadline has passed, or the door is being closed. Whoever sends or takes a byte at a
    /// time gets no more time by it.
    fn patiently(
        &mut self,
        deadline: Instant,
        mut step: impl FnMut(&mut Line) -> io::Result<usize>,
    ) -> io::Result<usize> {
        while self.clock.instant() < deadline {
            match step(&mut self.line) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if self.place.0.is_closing() {
                        return Err(ErrorKind::ConnectionAborted.into());
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
        Err(ErrorKind::TimedOut.into())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use http::StatusCode;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);
    const MEGABYTES: u64 = 64 * 1024 * 1024;

    /// `/whole` is a stream as long as it says, `/half` one that ends too early, `/endless` one that never does.
    struct Streams;

    impl Desk for Streams {
        fn answer(&self, request: &Request<'_>, _: Peer) -> Answer {
            let (says, bytes) = match request.path() {
                "/half" => (MEGABYTES, 10),
                "/endless" => (u64::MAX, u64::MAX),
                _ => (MEGABYTES, MEGABYTES),
            };
            let stream = Stream { bytes: says, from: Box::new(io::repeat(b'x').take(bytes)) };
            Answer { response: Response::empty(StatusCode::OK), stream: Some(stream) }
        }

        fn reject(&self, reject: &Reject, _: Option<&Request<'_>>, _: Peer) -> Response {
            let silent = matches!(reject, Reject::HeadTimeout(_) | Reject::BodyTimeout(_));
            Response::empty(if silent { StatusCode::REQUEST_TIMEOUT } else { StatusCode::BAD_REQUEST })
        }
    }

    fn open(callers: usize) -> (SideDoor, TcpStream) {
        let short = Duration::from_secs(1);
        let limits = Limits { head_bytes: 1024, headers: 16, target_bytes: 256 };
        let bounds = Bounds { callers, limits, body_bytes: 64, request: short, answer: short, stall: short };
        let any = Endpoint::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let listening = Listening::bind(&any, 0o600).unwrap().listener;
        let door = SideDoor::open(listening, bounds, Arc::new(Streams), Clock::system()).unwrap();
        let line = call(&door);
        (door, line)
    }

    fn call(door: &SideDoor) -> TcpStream {
        let Some(Endpoint::Tcp(address)) = door.endpoint() else { panic!("not on TCP") };
        let line = TcpStream::connect(address).unwrap();
        line.set_read_timeout(Some(PATIENCE)).unwrap();
        line
    }

    fn rest(mut line: TcpStream) -> Vec<u8> {
        let mut bytes = Vec::new();
        line.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_stream_comes_whole_or_breaks_off() {
        let (door, mut line) = open(4);
        line.write_all(b"GET /whole HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let bytes = rest(line);
        let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        assert_eq!((bytes.len() - head) as u64, MEGABYTES);
        assert!(String::from_utf8_lossy(&bytes[..head]).contains("content-length: 67108864\r\n"));
        let mut line = call(&door);
        line.write_all(b"GET /half HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert!(rest(line).ends_with(b"\r\n\r\nxxxxxxxxxx"), "what there was, and no more");
        let mut line = call(&door);
        line.write_all(b"HEAD /whole HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert!(rest(line).ends_with(b"\r\n\r\n"));
    }

    #[test]
    fn who_stalls_is_cut_off_and_those_who_wait_come_in() {
        let (door, mut reads_nothing) = open(1);
        reads_nothing.write_all(b"GET /whole HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let silent = call(&door);
        let mut half = call(&door);
        half.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        let mut body = call(&door);
        body.write_all(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n").unwrap();
        // One after the other, since there is one place.
        assert_eq!(rest(silent), b"");
        for line in [half, body] {
            assert!(rest(line).starts_with(b"HTTP/1.1 408 "));
        }
        assert!((rest(reads_nothing).len() as u64) < MEGABYTES);
    }

    #[test]
    fn closing_breaks_off_what_is_under_way() {
        let (door, mut line) = open(4);
        line.write_all(b"GET /whole HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        line.read_exact(&mut [0; 1000]).unwrap();
        let _silent = call(&door);
        let mut taken = call(&door);
        taken.write_all(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        taken.read_exact(&mut [0; 1000]).unwrap();
        let takes = std::thread::spawn(move || io::copy(&mut taken, &mut io::sink()));
        let Some(Endpoint::Tcp(address)) = door.endpoint().cloned() else { panic!("not on TCP") };
        assert_eq!(door.close(PATIENCE), 0);
        let _ = takes.join().unwrap();
        let refused = TcpStream::connect(address).map(rest);
        assert!(refused.is_err(), "nobody listens any more");
    }
}
