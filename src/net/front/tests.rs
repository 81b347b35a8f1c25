use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use http::StatusCode;

use super::*;
use crate::net::body::ReadSource;
use crate::net::{Answer, Body, Bound, Intake, Peer, Reject, Request, Response, SocketFile, Sockets, Ticket};
use crate::observe::metrics::Metrics;
use crate::pool::Pool;

const PATIENCE: Duration = Duration::from_secs(30);
const STREAM_BYTES: u64 = 3 * 1024 * 1024;

/// Says its name and who asks, or streams.
struct Hall(&'static str);

impl Service for Hall {
    fn intake(&self, _: &Request<'_>) -> Intake {
        Intake::Whole(0)
    }
    fn call(&mut self, request: &Request<'_>, peer: Peer, _: Ticket) -> Answer {
        let response = Response::empty(StatusCode::OK);
        let source = |bytes| Box::new(ReadSource(io::repeat(b'x').take(bytes)));
        let body = match request.path() {
            "/stream" => Body::Source { length: Some(STREAM_BYTES), source: source(STREAM_BYTES) },
            "/endless" => Body::Source { length: None, source: source(u64::MAX) },
            _ => Body::Bytes(format!("{} {peer}", self.0).into_bytes().into()),
        };
        Answer::Now(Response { body, ..response })
    }
    fn reject(&mut self, _: &Reject, _: Option<&Request<'_>>, _: Option<&[u8]>, _: Peer) -> Response {
        Response::empty(StatusCode::BAD_REQUEST)
    }
    fn refuse(&mut self) -> Response {
        Response::text(StatusCode::SERVICE_UNAVAILABLE, self.0)
    }
}

struct Nobody;

impl Notes for Nobody {
    type Note = ();
    fn deliver(&mut self, (): (), _: &mut impl Sockets) {}
}

struct House {
    front: Front<()>,
    pool: Pool,
    directory: tempfile::TempDir,
    _files: Vec<SocketFile>,
}

/// A front with a Unix socket for each door, named after it, for so many connections.
fn house(doors: &'static [(&'static str, usize)]) -> House {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let pool = Pool::start("pool", 1);
    let mut files = Vec::new();
    let built = doors.iter().map(|(name, connections)| {
        let place = Endpoint::Unix(directory.path().join(name));
        let caps = Caps { connections: *connections, per_address: 100, exempt: Box::new(|_| false) };
        let Bound { listener, file } = Listener::bind(&place, 0o600).unwrap();
        files.extend(file);
        Door { listeners: vec![listener], caps: Some(caps), tls: None }
    });
    let built = built.collect();
    let timeouts =
        Timeouts { head: PATIENCE, body: PATIENCE, keep_alive: PATIENCE, write_stall: PATIENCE, parked: PATIENCE };
    let metrics = Arc::new(Counters::new(&Metrics::default()));
    let limits = HeadLimits { head_bytes: 1024, headers: 8, target_bytes: 64 };
    let options = Options { name: "test-", limits, timeouts, pool: pool.handle(), metrics, clock };
    let make = |(), _| (doors.iter().map(|(name, _)| Hall(name)).collect::<Vec<_>>(), Nobody);
    let front = Front::start(built, options, vec![(), ()], make).unwrap();
    House { front, pool, directory, _files: files }
}

impl House {
    fn place(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn stop(self, drain: Duration) {
        self.front.stop(drain);
        self.pool.stop();
    }
}

fn call(place: &Path, path: &str) -> UnixStream {
    let mut stream = UnixStream::connect(place).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    stream
}

/// A connection that stays, where only one may: that of an earlier caller is counted until the shard has seen it close.
fn enter(place: &Path) -> UnixStream {
    let began = Clock::system().instant();
    loop {
        let mut stream = UnixStream::connect(place).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // Refused, it may be closed before the request is written.
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n");
        let mut answer = [0; 512];
        let bytes = stream.read(&mut answer).unwrap_or(0);
        if answer[..bytes].starts_with(b"HTTP/1.1 200 ") {
            return stream;
        }
        assert!(Clock::system().instant() - began < PATIENCE, "the first caller's slot was never given back");
    }
}

fn rest(mut stream: UnixStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn each_door_has_its_own_service_and_its_own_caps_and_another_front_shares_nothing() {
    let other = house(&[("cellar", 4)]);
    let house = house(&[("hall", 1), ("yard", 9)]);
    assert!(rest(call(&house.place("hall"), "/")).ends_with("\r\n\r\nhall unix"));
    let inside = enter(&house.place("hall"));
    let refused = rest(UnixStream::connect(house.place("hall")).unwrap());
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.ends_with("hall"), "{refused}");
    for _ in 0..3 {
        assert!(rest(call(&house.place("yard"), "/")).ends_with("\r\n\r\nyard unix"));
        assert!(rest(call(&other.place("cellar"), "/")).ends_with("\r\n\r\ncellar unix"));
    }
    drop(inside);
    house.stop(Duration::ZERO);
    assert!(rest(call(&other.place("cellar"), "/")).ends_with("cellar unix"), "the other one goes on");
    other.stop(Duration::ZERO);
}

#[test]
fn those_who_read_slowly_hold_no_thread_that_another_needs() {
    let house = house(&[("hall", 99)]);
    // There is one thread to fetch pieces, and eight who want them and do not read.
    let slow: Vec<_> = (0..8).map(|_| call(&house.place("hall"), "/stream")).collect();
    let fast = rest(call(&house.place("hall"), "/stream"));
    let length = |answer: &str| answer.split_once("\r\n\r\n").unwrap().1.len() as u64;
    assert_eq!(length(&fast), STREAM_BYTES);
    for stream in slow {
        assert_eq!(length(&rest(stream)), STREAM_BYTES, "and theirs is whole when they do");
    }
    house.stop(Duration::ZERO);
}

#[test]
fn a_stream_without_end_is_cut_at_the_end_of_the_drain() {
    let house = house(&[("hall", 9)]);
    let mut stream = call(&house.place("hall"), "/endless");
    stream.read_exact(&mut [0; 1024]).unwrap();
    house.stop(Duration::from_millis(100));
    let cut = rest(stream);
    assert!(!cut.ends_with("0\r\n\r\n"), "nobody takes it for whole");
}
