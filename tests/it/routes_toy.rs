//! What a route may say that it needs, on the routes of a toy: how much of a body and in which form, a pace, a rate, headers. The
//! toy takes bodies in the two ways that there are: where it may block (a file and a row), and on the shard (lines).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use http::{Method, StatusCode};
use inkring::clock::Clock;
use inkring::config::{self, Sources};
use inkring::feature::{Feature, House, Running, ShardParts, Sink, StartError, hand_in};
use inkring::features;
use inkring::gate::headers::ASSET;
use inkring::gate::{
    ApiError, Asset, BodyReceiver, Call, Code, Content, Outcome, Parked, Parking, Reply, Route, Routes,
};
use inkring::net::client::{Ask, Remote};
use inkring::net::{Body, Endpoint, Pace, Response, Source, Take};
use inkring::observe::LogHandle;
use inkring::server::Server;
use inkring::settings::{self, Knob, Section, Settings};
use inkring::store::{Migration, Tx, WriterHandle};
use inkring::systemd::{Inherited, Notify};
use parking_lot::Mutex;
use serde_json::json;
use tempfile::NamedTempFile;

use crate::gate::once;
use crate::support::{Client, PATIENCE, wait_for};

const TABLES: &[Migration] = &[Migration { version: 4, sql: "CREATE TABLE kept (name TEXT, bytes INTEGER) STRICT;" }];
static TOYS: Section = Section { title: "Toys", after: None };
static HOUSE: Knob = settings::text(&TOYS, "TOY_HOUSE").meaning("Which of the houses of these tests it is.");
/// The most that a file may have, and that one which takes its time.
const KEPT_MAX_BYTES: usize = 400_000;
const STUCK_BYTES: usize = 64 * 1024 * 1024;
const SECOND: Duration = Duration::from_secs(1);

static STREAMS: Feature = Feature { knobs: &[&HOUSE], schema: TABLES, ..Feature::new("streams", start) };

/// What the sinks of one server and its test share.
pub struct Shared {
    pub directory: PathBuf,
    /// Says what happens to sinks.
    told: Sender<String>,
    /// Nobody sends anything: the sink of `/stuck` waits until nobody can.
    go: Mutex<Receiver<()>>,
}

/// The servers of tests that run at the same time, by their directories.
static HOUSES: Mutex<BTreeMap<String, Arc<Shared>>> = Mutex::new(BTreeMap::new());

struct Streams(Arc<Shared>);

fn start(settings: &Settings, _: &House) -> Result<Arc<dyn Running>, StartError> {
    Ok(Arc::new(Streams(Arc::clone(&HOUSES.lock()[settings.text(&HOUSE).unwrap()]))))
}

/// A file that becomes one when it is whole, and a row that says so.
struct Upload {
    shared: Arc<Shared>,
    name: String,
    writer: WriterHandle,
    file: Option<NamedTempFile>,
    bytes: i64,
}

impl Upload {
    fn begin(shared: Arc<Shared>, name: String, writer: WriterHandle) -> Result<Self, ApiError> {
        let file = Some(NamedTempFile::new_in(&shared.directory).map_err(unwritable)?);
        let _ = shared.told.send(format!("{name} opened"));
        Ok(Self { shared, name, writer, file, bytes: 0 })
    }
}

fn unwritable(error: std::io::Error) -> ApiError {
    ApiError::new(Code::StorageUnavailable, "The file could not be kept").with_context(error.to_string())
}

impl Sink for Upload {
    type Kept = i64;

    fn write(&mut self, bytes: &[u8]) -> Result<(), ApiError> {
        self.bytes += bytes.len() as i64;
        match self.name.as_str() {
            "stuck" => _ = self.shared.go.lock().recv(),
            "full" if self.bytes > 40_000 => return Err(unwritable(ErrorKind::StorageFull.into())),
            "panics" => std::panic::resume_unwind(Box::new("on purpose")),
            _ => {}
        }
        self.file.as_mut().unwrap().write_all(bytes).map_err(unwritable)
    }

    fn end(mut self, reply: Reply<i64>) {
        let (name, bytes) = (self.name.clone(), self.bytes);
        if let Err(error) = self.file.take().unwrap().persist(self.shared.directory.join(&name)) {
            return reply.done(Err(unwritable(error.error)));
        }
        hand_in(&self.writer, reply, move |tx: &mut Tx<'_>| {
            tx.run("INSERT INTO kept (name, bytes) VALUES (?1, ?2)", &[name.as_str().into(), bytes.into()])?;
            Ok(bytes)
        });
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let thread = std::thread::current().name().unwrap_or_default().to_owned();
        let _ = self.shared.told.send(format!("{} closed on {thread} after {}", self.name, self.bytes));
    }
}

/// Makes a row of each line, on the shard: as many as there are in a piece with one change, for which it pauses.
struct Lines {
    writer: WriterHandle,
    parking: Parking,
    rest: Vec<u8>,
    waits: Option<Parked<()>>,
    lines: usize,
}

impl Lines {
    fn insert(&self, parking: &Parking, lines: Vec<String>) -> Parked<()> {
        let (reply, parked) = parking.park();
        hand_in(&self.writer, reply, move |tx: &mut Tx<'_>| {
            for line in &lines {
                tx.run("INSERT INTO kept (name, bytes) VALUES (?1, 0)", &[line.as_str().into()])?;
            }
            Ok(())
        });
        parked
    }

    fn whole_lines(&mut self, end: usize) -> Result<Vec<String>, ApiError> {
        let whole: Vec<u8> = self.rest.drain(..end).collect();
        let lines = whole.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let lines: Vec<String> = lines.map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        self.lines += lines.len();
        if lines.iter().any(|line| line == "panic") {
            std::panic::resume_unwind(Box::new("on purpose"));
        }
        if lines.iter().any(|line| line == "bad") {
            return Err(ApiError::new(Code::ValidationError, format!("Line {} is bad", self.lines)));
        }
        Ok(lines)
    }
}

impl BodyReceiver for Lines {
    fn piece(&mut self, bytes: &[u8]) -> Result<Take, ApiError> {
        self.rest.extend_from_slice(bytes);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return Ok(Take::More) };
        let lines = self.whole_lines(end + 1)?;
        self.waits = Some(self.insert(&self.parking, lines));
        Ok(Take::Pause)
    }

    fn resumed(&mut self) -> Result<Take, ApiError> {
        match self.waits.as_ref().map(Parked::ready) {
            Some(None) => Ok(Take::Pause),
            Some(Some(inserted)) => inserted.map(|()| Take::More),
            None => Ok(Take::More),
        }
    }

    fn end(mut self: Box<Self>, parking: &Parking) -> Result<Outcome, ApiError> {
        let lines = self.whole_lines(self.rest.len())?;
        let count = self.lines;
        Ok(Outcome::Parked(self.insert(parking, lines).for_change().then(move |()| said(&json!({ "lines": count })))))
    }
}

fn said(what: &serde_json::Value) -> Result<Response, ApiError> {
    Ok(Response::json(StatusCode::OK, what.to_string().into_bytes()))
}

impl Running for Streams {
    fn routes(&self, parts: &ShardParts, routes: &mut Routes) {
        let (writer, shared) = (parts.writer.clone(), Arc::clone(&self.0));
        let upload = {
            let parts = parts.clone();
            move |call: &Call<'_>| {
                let (shared, name, writer) = (Arc::clone(&shared), call.param("name").to_owned(), parts.writer.clone());
                if name == "forbidden" {
                    return Err(ApiError::new(Code::Forbidden, "Not this one"));
                }
                let open = move || Upload::begin(shared, name, writer);
                Ok(parts.receive(call, open, |bytes| said(&json!({ "bytes": bytes }))))
            }
        };
        let lines = move |call: &Call<'_>| {
            let (writer, parking) = (writer.clone(), call.as_ref().clone());
            Ok(Outcome::Receive(Box::new(Lines { writer, parking, rest: Vec::new(), waits: None, lines: 0 })))
        };
        let echo = |call: &Call<'_>| said(&json!({ "bytes": call.bytes.len() })).map(Outcome::Now);
        let quick = Pace { stall: SECOND, grace: SECOND, bytes_per_second: 1000 };
        let (public, user) =
            (|template| Route::public(&Method::PUT, template), |template| Route::user(&Method::PUT, template));
        routes.add(user("/kept/{name}").streaming(KEPT_MAX_BYTES), upload.clone());
        routes.add(user("/rare/{name}").streaming(KEPT_MAX_BYTES).mutation(), upload.clone());
        routes.add(public("/quick/{name}").streaming(KEPT_MAX_BYTES).paced(quick), upload.clone());
        routes.add(public("/stuck/{name}").streaming(STUCK_BYTES), upload.clone());
        routes.add(public("/whole/{name}").taking(50_000), upload);
        routes.add(public("/lines").streaming(KEPT_MAX_BYTES), lines);
        routes.add(public("/echo").taking(10).carrying(&ASSET), echo);
        routes.add(public("/own").taking(10).counted_by_itself(), echo);
        let (parts, shared) = (parts.clone(), Arc::clone(&self.0));
        let file = move |call: &Call<'_>| {
            let path = shared.directory.join(call.param("name"));
            parts.file(call, move || Content::open(&path, "image/jpeg", CACHED))
        };
        let shared = Arc::clone(&self.0);
        let produced = move |_: &Call<'_>| {
            let source = Box::new(Lined { shared: Arc::clone(&shared), left: LINED_PIECES });
            Ok(Outcome::Now(Response {
                body: Body::Source { length: None, source },
                ..Response::empty(StatusCode::OK)
            }))
        };
        routes.add(Route::public(&Method::GET, "/files/{name}").carrying(&ASSET), file);
        let asset = |call: &Call<'_>| PAGE.answer(call).map(Outcome::Now);
        routes.add(Route::public(&Method::GET, "/page").carrying(&ASSET), asset);
        routes.add(Route::public(&Method::GET, "/produced"), produced);
        let waiting = Rc::new(RefCell::new(Vec::<Reply<()>>::new()));
        let answered = Rc::clone(&waiting);
        routes.add(Route::public(&Method::GET, "/turn"), move |call| {
            let (reply, parked) = call.park();
            waiting.borrow_mut().push(reply);
            Ok(Outcome::Parked(parked.then(|()| Ok(Response::empty(StatusCode::NO_CONTENT)))))
        });
        routes.at_turn_end(|| panic!("on purpose"));
        routes.at_turn_end(move || answered.borrow_mut().drain(..).for_each(|reply| reply.done(Ok(()))));
    }
}

/// How long files and the page may be cached.
pub const CACHED: &str = "private, max-age=60";
/// A page of the program.
pub const PAGE_TEXT: &str = "<p>Good day</p>";
static PAGE: Asset = Asset::new(PAGE_TEXT.as_bytes(), "text/html; charset=utf-8", CACHED);
/// How many pieces of a mebibyte are produced.
pub const LINED_PIECES: usize = 64;

/// Produces pieces, and says so.
struct Lined {
    shared: Arc<Shared>,
    left: usize,
}

impl Source for Lined {
    fn next(&mut self, out: &mut Vec<u8>) -> std::io::Result<bool> {
        let _ = self.shared.told.send("produced".to_owned());
        out.resize(1 << 20, b'x');
        self.left -= 1;
        Ok(self.left > 0)
    }
}

/// A server with the toy, and what its test sees.
pub struct ToyHouse {
    pub address: SocketAddr,
    server: Server,
    private: Endpoint,
    pub told: Receiver<String>,
    /// Dropped, the sink of `/stuck` goes on.
    go: Option<Sender<()>>,
    directory: tempfile::TempDir,
}

impl ToyHouse {
    pub fn start(pairs: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let ((tell, told), (go, may_go)) = (channel(), channel());
        let kept = directory.path().join("kept");
        std::fs::create_dir(&kept).unwrap();
        let shared = Arc::new(Shared { directory: kept, told: tell, go: Mutex::new(may_go) });
        let name = directory.path().display().to_string();
        HOUSES.lock().insert(name.clone(), shared);
        let database = format!("sqlite:{name}/toy.db");
        let own = [("DATABASE_URL", &*database), ("LISTEN_ADDR", "127.0.0.1:0"), ("OPS_ADDR", "127.0.0.1:0")];
        let loaded = config::load(&Sources::from_pairs(&[&own, pairs].concat(), &[]), false).unwrap();
        let value = config::parse::parse(&HOUSE, HOUSE.name, &name).unwrap();
        let house = settings::Setting { knob: &HOUSE, value, origin: settings::Origin::SettingsFile };
        let settings = Settings::new(loaded.settings.iter().cloned().chain([house]).collect(), false);
        let list: Vec<&Feature> = features::FEATURES.iter().copied().chain([&STREAMS]).collect();
        let none = (Inherited::default(), Notify::default());
        let server = Server::start(&list, &settings, none.0, none.1, &LogHandle::default(), Clock::system()).unwrap();
        let Endpoint::Tcp(address) = server.endpoints()[0] else { panic!("a TCP address was asked for") };
        let private = server.private_endpoint().unwrap().clone();
        Self { address, server, private, told, go: Some(go), directory }
    }

    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// Where what is taken is kept, and files are.
    pub fn kept(&self, name: &str) -> PathBuf {
        self.directory.path().join("kept").join(name)
    }

    /// What is told next.
    pub fn told(&self) -> String {
        self.told.recv_timeout(PATIENCE).unwrap()
    }

    /// Names of the files that there are, those that are not whole included.
    fn files(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.directory.path().join("kept")).unwrap();
        let mut names: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn rows(&self) -> Vec<(String, i64)> {
        let database = rusqlite::Connection::open(self.directory.path().join("toy.db")).unwrap();
        let mut rows = database.prepare("SELECT name, bytes FROM kept ORDER BY rowid").unwrap();
        rows.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    }

    /// The value of a sample.
    pub fn metric(&self, sample: &str) -> f64 {
        let answer = Ask::get("/metrics").send(&Remote::at(self.private.clone()), PATIENCE).unwrap();
        let text = answer.text(1 << 20).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    pub fn stop(self) {
        HOUSES.lock().remove(&self.directory.path().display().to_string());
        self.server.stop();
    }
}

/// The head of a PUT.
fn put(path: &str, headers: &str) -> String {
    format!("PUT {path} HTTP/1.1\r\nHost: t\r\nX-User-Id: ann\r\n{headers}\r\n")
}

pub fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at % 251) as u8).collect()
}

/// In chunks of so many bytes.
fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let chunks =
        body.chunks(size).flat_map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    chunks.chain(*b"0\r\n\r\n").collect()
}

#[test]
fn a_body_is_taken_piece_by_piece_where_it_may_block_and_answered_when_its_row_is_written() {
    let house = ToyHouse::start(&[]);
    let mut client = house.client();
    let body = bytes(300_000);
    client.send([put("/kept/a", "Content-Length: 300000\r\n").as_bytes(), &body].concat());
    assert_eq!(client.answer().expect(200), json!({ "bytes": 300_000 }));
    assert_eq!(house.told(), "a opened");
    let closed = house.told();
    assert!(closed.starts_with("a closed on blocking-") && closed.ends_with(" after 300000"), "{closed}");
    for (name, size) in [("b", 7), ("c", 100_000)] {
        let head = put(&format!("/kept/{name}"), "Transfer-Encoding: chunked\r\n");
        client.send([head.as_bytes(), &chunked(&body, size)].concat());
        assert_eq!(client.answer().expect(200), json!({ "bytes": 300_000 }), "the same connection");
    }
    client.send(put("/kept/d", "Content-Length: 0\r\n"));
    assert_eq!(client.answer().expect(200), json!({ "bytes": 0 }));
    // A body that was collected goes the same way.
    client.send([put("/whole/e", "Content-Length: 50000\r\n").as_bytes(), &body[..50_000]].concat());
    assert_eq!(client.answer().expect(200), json!({ "bytes": 50_000 }));
    assert_eq!(house.files(), ["a", "b", "c", "d", "e"]);
    for name in ["a", "b", "c"] {
        assert!(std::fs::read(house.kept(name)).unwrap() == body, "{name}");
    }
    let rows = house.rows();
    assert_eq!(rows.iter().map(|(_, bytes)| *bytes).collect::<Vec<_>>(), [300_000, 300_000, 300_000, 0, 50_000]);
    assert_eq!(house.metric("inkring_http_requests_total{method=\"PUT\",path=\"/kept/{name}\",status=\"200\"}"), 4.0);
    assert_eq!(house.metric("inkring_http_in_flight"), 0.0);
    house.stop();
}

#[test]
fn nothing_is_read_of_a_body_that_may_not_come() {
    let limits = [("RATE_LIMIT_ENABLED", "true"), ("RATE_LIMIT_BURST_DEFAULT", "4")];
    let house = ToyHouse::start(&limits);
    let stranger = |path: &str| put(path, "").replace("X-User-Id: ann\r\n\r\n", "");
    for (head, status, code) in [
        (stranger("/kept/a"), 401, "http_error"),
        (stranger("/rare/a"), 401, "http_error"),
        (put("/kept/forbidden", "").replace("\r\n\r\n", "\r\n"), 403, "forbidden"),
    ] {
        for expect in ["Expect: 100-continue\r\n", ""] {
            let mut client = house.client();
            client.send(format!("{head}{expect}Content-Length: 300000\r\n\r\n"));
            let answer = client.answer();
            assert_eq!(answer.expect_error(status).0, code, "{head}");
            assert_eq!(once("connection", &answer), "close", "a body would follow");
            assert!(client.is_closed());
        }
    }
    // The rate of a mutation is half: two at once.
    let mut client = house.client();
    for _ in 0..2 {
        client.send(put("/rare/a", "Expect: 100-continue\r\nContent-Length: 1\r\n"));
        assert_eq!(client.answer().status, 100, "this one is wanted");
        client.send("x");
        assert_eq!(client.answer().status, 200);
    }
    client.send(put("/rare/a", "Content-Length: 300000\r\n"));
    let answer = client.answer();
    assert_eq!(answer.expect_error(429).0, "rate_limited");
    assert!(client.is_closed());
    let mut client = house.client();
    client.send(put("/quick/a", &format!("Content-Length: {}\r\n", KEPT_MAX_BYTES + 1)));
    assert_eq!(client.answer().expect_error(413).0, "payload_too_large");
    drop(client);
    let opened: Vec<String> = house.told.try_iter().filter(|told| told.ends_with("opened")).collect();
    assert_eq!(opened, ["a opened", "a opened"], "for those two");
    house.stop();
}

#[test]
fn what_goes_wrong_in_the_middle_is_answered_once_and_leaves_nothing() {
    let house = ToyHouse::start(&[]);
    let (length, chunks) = ("Content-Length: 200000\r\n", "Transfer-Encoding: chunked\r\n");
    let too_large = chunked(&bytes(KEPT_MAX_BYTES + 1), 50_000);
    let garbled = [&chunked(&bytes(50_000), 50_000)[..50_006], b"more"].concat();
    for (name, framing, sent, status, message) in [
        ("full", length, bytes(100_000), 503, "The file could not be kept"),
        ("panics", length, bytes(100_000), 500, "Unexpected error"),
        ("large", chunks, too_large, 413, "The request body is over the limit of 400000 bytes"),
        ("garbled", chunks, garbled, 400, "Malformed request: a chunk that does not end where it said"),
    ] {
        let mut client = house.client();
        let id = format!("X-Request-Id: {name}\r\nOrigin: http://localhost:3000\r\n");
        client.send([put(&format!("/kept/{name}"), &(id + framing)).as_bytes(), &sent].concat());
        let answer = client.answer();
        assert_eq!(answer.expect_error(status).1, message);
        assert_eq!(once("x-request-id", &answer), name);
        assert_eq!(once("access-control-allow-origin", &answer), "http://localhost:3000");
        assert_eq!(once("connection", &answer), "close");
        assert!(client.is_closed(), "{name} is answered once");
        assert_eq!(house.told(), format!("{name} opened"));
        assert!(house.told().starts_with(&format!("{name} closed on blocking-")));
        let sample =
            format!("inkring_http_requests_total{{method=\"PUT\",path=\"/kept/{{name}}\",status=\"{status}\"}}");
        assert_eq!(house.metric(&sample), 1.0);
    }
    assert_eq!((house.files(), house.rows()), (vec![], vec![]));
    assert_eq!(house.metric("inkring_http_in_flight"), 0.0);
    house.stop();
}

#[test]
fn what_is_to_be_done_at_the_end_of_a_turn_is_done_whatever_becomes_of_the_rest() {
    let house = ToyHouse::start(&[]);
    let mut clients: Vec<Client> = (0..10).map(|_| house.client()).collect();
    for _ in 0..3 {
        for client in &mut clients {
            client.send("GET /turn HTTP/1.1\r\nHost: toys\r\n\r\n");
        }
        assert!(clients.iter_mut().all(|client| client.answer().status == 204));
    }
    house.stop();
}

#[test]
fn a_client_who_leaves_in_the_middle_leaves_nothing_behind() {
    let house = ToyHouse::start(&[]);
    for resets in [false, true] {
        let mut client = house.client();
        client.send([put("/kept/a", "Content-Length: 100000\r\n").as_bytes(), &bytes(60_000)].concat());
        assert_eq!(house.told(), "a opened");
        if resets {
            socket2::SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap();
            drop(client);
        } else {
            client.stream.shutdown(Shutdown::Write).unwrap();
            assert!(client.is_closed());
        }
        let closed = house.told();
        assert!(closed.starts_with("a closed on blocking-"), "{closed}");
    }
    wait_for(|| house.files().is_empty().then_some(()));
    assert_eq!(house.metric("inkring_http_in_flight"), 0.0);
    house.stop();
}

#[test]
fn a_body_that_stalls_or_comes_too_slowly_is_given_up() {
    let house = ToyHouse::start(&[]);
    let (mut stalls, mut drips) = (house.client(), house.client());
    stalls.send([put("/quick/stalls", "Content-Length: 100000\r\n").as_bytes(), &bytes(99_999)].concat());
    drips.send(put("/quick/drips", "Content-Length: 100000\r\n"));
    // A byte now and then keeps it from stalling, but not from being slow.
    drips.stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    while drips.read_more().is_err() {
        drips.send("x");
    }
    for (client, message) in [
        (&mut stalls, "Nothing of the request body came for 1 s"),
        (&mut drips, "The request body came with fewer than 1000 bytes a second"),
    ] {
        client.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let answer = client.answer();
        assert_eq!(answer.expect_error(408), ("http_error".to_owned(), message.to_owned()));
        assert!(client.is_closed());
    }
    drop((stalls, drips));
    assert_eq!(house.told(), "stalls opened", "of the other there was too little to open anything for");
    assert!(house.told().starts_with("stalls closed on blocking-"));
    wait_for(|| house.files().is_empty().then_some(()));
    house.stop();
}

#[test]
fn a_sink_that_takes_nothing_holds_up_its_own_sender_and_nobody_else() {
    let mut house = ToyHouse::start(&[("SHARDS", "1")]);
    let mut client = house.client();
    let body = vec![b'x'; STUCK_BYTES];
    client.send(put("/stuck/stuck", &format!("Content-Length: {STUCK_BYTES}\r\n")));
    assert!(client.stream.write(&body[..100_000]).unwrap() > 0);
    assert_eq!(house.told(), "stuck opened");
    // All that the kernels and we have room for, which is far from all.
    client.stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut sent = 100_000;
    while let Ok(written) = client.stream.write(&body[sent..]) {
        sent += written;
    }
    assert!(sent < STUCK_BYTES / 2, "{sent} of {STUCK_BYTES} bytes were read");
    assert_eq!(house.client().request("PUT", "/echo", &[], b"hello").expect(200), json!({ "bytes": 5 }));
    client.stream.set_write_timeout(Some(PATIENCE)).unwrap();
    house.go = None;
    client.send(&body[sent..]);
    assert_eq!(client.answer().expect(200), json!({ "bytes": STUCK_BYTES }));
    house.stop();
}

#[test]
fn a_sink_that_does_not_come_back_in_time_is_answered_for() {
    let mut house = ToyHouse::start(&[("COMMIT_TIMEOUT_SECONDS", "1")]);
    let mut client = house.client();
    client.send([put("/stuck/stuck", "Content-Length: 100000\r\n").as_bytes(), &bytes(50_000)].concat());
    assert_eq!(client.answer().expect_error(503).0, "overloaded");
    assert!(client.is_closed());
    house.go = None;
    assert_eq!(house.told(), "stuck opened");
    assert!(house.told().starts_with("stuck closed on blocking-"));
    drop(client);
    house.stop();
}

#[test]
fn lines_become_rows_as_they_come_and_the_first_bad_one_ends_it() {
    let house = ToyHouse::start(&[]);
    let mut client = house.client();
    let lines: Vec<String> = (0..5000).map(|number| format!("line {number}")).collect();
    let body = lines.join("\n");
    client.send([put("/lines", "Transfer-Encoding: chunked\r\n").as_bytes(), &chunked(body.as_bytes(), 999)].concat());
    assert_eq!(client.answer().expect(200), json!({ "lines": 5000 }));
    assert!(house.rows().iter().map(|(name, _)| name).eq(&lines), "each once and in order");
    for (sent, length, status, message) in [
        ("good\nbad\n", 1000, 400, "Line 2 is bad"),
        ("panic\n", 1000, 500, "Unexpected error"),
        ("good\npanic", 10, 500, "Unexpected error"),
    ] {
        let mut client = house.client();
        client.send(put("/lines", &format!("Content-Length: {length}\r\n")) + sent);
        assert_eq!(client.answer().expect_error(status).1, message);
        if length == 10 {
            client.send(put("/lines", "Content-Length: 0\r\n"));
            assert_eq!(client.answer().status, 200, "that body was whole, so it goes on");
        } else {
            assert!(client.is_closed());
        }
    }
    drop(client);
    assert_eq!(house.rows().len(), 5001, "what came in a piece before stays");
    house.stop();
}

#[test]
fn a_body_that_is_held_whole_has_the_bound_of_its_route_and_answers_carry_its_headers() {
    let house = ToyHouse::start(&[]);
    let mut client = house.client();
    let answer = client.request("PUT", "/echo", &[], b"1234567890");
    assert_eq!(answer.expect(200), json!({ "bytes": 10 }));
    assert_eq!(once("cross-origin-resource-policy", &answer), "same-origin");
    assert_eq!(once("cache-control", &answer), "no-store", "only files are cached");
    assert_eq!(client.request("PUT", "/echo", &[], b"12345678901").expect_error(413).0, "payload_too_large");
    drop(client);
    house.stop();
}

#[test]
fn a_route_that_counts_by_itself_takes_nothing_from_the_limits_of_the_gate() {
    let house = ToyHouse::start(&[("RATE_LIMIT_ENABLED", "true"), ("RATE_LIMIT_BURST_DEFAULT", "1")]);
    let mut client = house.client();
    for _ in 0..50 {
        client.request("PUT", "/own", &[], b"hello").expect(200);
    }
    let others: Vec<u16> = (0..2).map(|_| client.request("PUT", "/echo", &[], b"hello").status).collect();
    assert_eq!(others, [200, 429], "the bucket of the address was full");
    drop(client);
    house.stop();
}
