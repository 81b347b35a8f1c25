//! A soak: everything at once for a while, drafts, sockets, refusals, reloads and backups. Every answer is one that was
//! expected, and in the end the process is as large as it was at the beginning (G5).
//!
//! It takes `INKRING_SOAK_SECONDS`; without that 10, and 20 where `CI=true`.

use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::ledger::Ledger;
use crate::support::random::Random;
use crate::support::socket::{Frame, PING, Sent, Socket, TEXT, path};
use crate::support::{Answer, Client, PATIENCE, Server, inkring, wait_for};

const DRAFTS: &str = "/v1/collab/drafts";

/// What is in use where other people use it. Caches and tables are small, so that they are full when the warm-up is over.
const SETTINGS: [(&str, &str); 15] = [
    ("SHARDS", "2"),
    ("TRUSTED_PROXIES", "127.0.0.1"),
    ("RATE_LIMIT_ENABLED", "true"),
    ("RATE_LIMIT_KEYS", "1000"),
    ("WS_LIMITS_ENABLED", "true"),
    ("DRAFT_CACHE_BYTES", "262144"),
    ("EVENTS_KEPT_PER_DRAFT", "100"),
    ("AUDIT_ENABLED", "true"),
    ("AUDIT_RETENTION_DAYS", "1"),
    ("HOUSEKEEPING_SECONDS", "1"),
    ("BACKUP_DIR", "backups"),
    ("BACKUP_INTERVAL_HOURS", "0"),
    ("METRICS_PUBLIC", "true"),
    ("LOG_LEVEL", "warn"),
    ("OPS_ADDR", "unix:ops.sock"),
];

/// Reloads come so often, …
const TICK: Duration = Duration::from_millis(250);
/// … and with each so manieth of them a backup.
const TICKS_PER_BACKUP: usize = 8;

/// How much more memory there may be in the last third of the time than when the warm-up is over. Within ten seconds it is
/// 2 MB while the caches of the database fill, 4 MB where a busy machine lets them fill late, and within a minute half of one, so
/// this is twice the most. Whatever were kept of each request or socket would be seen in a minute from some 100 bytes and 8 KB on, and in ten seconds from six times as much.
const GROWN_MAX_KB: u64 = 8 * 1024;
/// Threads that come with a first need: two of the blocking pool, one that makes a backup, one for a caller of the plane.
const THREADS_MORE_MAX: u64 = 4;
/// Descriptors that are in use meanwhile: each of the five workers has two connections, the sockets that were left rudely are
/// seen to be gone a moment later, and a backup has a few files open.
const DESCRIPTORS_MORE_MAX: usize = 40;

/// What the workers share.
struct Soak<'s> {
    server: &'s Server,
    goes_on: AtomicBool,
    /// Whoever asks comes from an address of its own.
    addresses: AtomicU32,
    requests: AtomicUsize,
    sockets: AtomicUsize,
    refused: AtomicUsize,
    malformed: AtomicUsize,
    /// Segments that were acknowledged.
    segments: AtomicUsize,
}

/// When one ends, so do all.
struct Over<'s>(&'s AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Somebody new: a name and an address that nobody had before.
struct Person {
    name: String,
    address: String,
}

impl Person {
    fn headers(&self) -> [(&str, &str); 3] {
        [("X-User-Id", &self.name), ("X-Forwarded-For", &self.address), ("Content-Type", "application/json")]
    }
}

impl<'s> Soak<'s> {
    fn new(server: &'s Server) -> Self {
        Self {
            server,
            goes_on: AtomicBool::new(true),
            addresses: AtomicU32::new(0x0b00_0000),
            requests: AtomicUsize::new(0),
            sockets: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            malformed: AtomicUsize::new(0),
            segments: AtomicUsize::new(0),
        }
    }

    /// Does this again and again until the time is over, or one of them has failed.
    fn again(&self, mut once: impl FnMut()) {
        let _over = Over(&self.goes_on);
        while self.goes_on.load(Ordering::Relaxed) {
            once();
        }
    }

    fn somebody(&self) -> Person {
        let number = self.addresses.fetch_add(1, Ordering::Relaxed);
        Person { name: format!("user-{number}"), address: Ipv4Addr::from_bits(number).to_string() }
    }

    fn ask(&self, client: &mut Client, who: &Person, method: &str, path: &str, body: &Value) -> Answer {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        client.request(method, path, &who.headers(), body.as_bytes())
    }

    fn create(&self, client: &mut Client, who: &Person) -> String {
        let body = json!({ "title": "A soak", "platform": "x" });
        let made = self.ask(client, who, "POST", DRAFTS, &body).expect(200);
        made["data"]["draft_id"].as_str().unwrap().to_owned()
    }

    fn append(&self, client: &mut Client, who: &Person, draft: &str, number: usize) {
        let body = json!({ "content": "x".repeat(number % 500 + 1), "idempotency_key": number.to_string() });
        let appended = self.ask(client, who, "POST", &format!("{DRAFTS}/{draft}/segments"), &body).expect(200);
        assert_eq!(appended["data"]["draft_id"], draft);
        self.segments.fetch_add(1, Ordering::Relaxed);
    }

    /// A draft from its beginning to its second writer, with a retry and a refusal on the way.
    fn write_a_draft(&self, client: &mut Client) {
        let (author, second) = (self.somebody(), self.somebody());
        let draft = self.create(client, &author);
        let at = format!("{DRAFTS}/{draft}");
        for number in 0..5 {
            self.append(client, &author, &draft, number);
        }
        let retry = json!({ "content": "x", "idempotency_key": "0" });
        let retried = self.ask(client, &author, "POST", &format!("{at}/segments"), &retry).expect(200);
        assert_eq!(retried["data"]["segments"].as_array().unwrap().len(), 5);
        let add = format!("{at}/collaborators?collaborator_id={}&role=writer", second.name);
        self.ask(client, &author, "POST", &add, &Value::Null).expect(200);
        self.ask(client, &second, "POST", &format!("{at}/segments"), &retry).expect_error(403);
        let pass = json!({ "to_user_id": second.name, "idempotency_key": "pass" });
        self.ask(client, &author, "POST", &format!("{at}/pass-ring"), &pass).expect(200);
        self.append(client, &second, &draft, 6);
        let read = self.ask(client, &author, "GET", &at, &Value::Null).expect(200);
        assert_eq!(read["data"]["segments"].as_array().unwrap().len(), 6);
        self.ask(client, &second, "GET", DRAFTS, &Value::Null).expect(200);
        self.ask(client, &second, "GET", &format!("{at}/events?limit=100"), &Value::Null).expect(200);
    }

    /// Watches a new draft, hears of a change, and leaves in one way of many.
    fn watch_a_draft(&self, client: &mut Client, random: &mut Random) {
        let who = self.somebody();
        let draft = self.create(client, &who);
        let target = format!("{}?since=0", path(&draft));
        let (answer, mut socket) = Socket::open(self.server, &target, &who.headers()[..2]);
        assert_eq!((answer.status, socket.json()["type"].as_str()), (101, Some("connected")));
        self.sockets.fetch_add(1, Ordering::Relaxed);
        // What it catches up with, and how far that goes.
        assert_eq!(
            [socket.json(), socket.json()].map(|frame| frame["type"].clone()),
            ["collab.draft_created", "resumed"]
        );
        self.append(client, &who, &draft, 0);
        assert_eq!(socket.json()["type"], "collab.segment_added");
        socket.send_text(PING);
        assert_eq!(socket.json()["type"], "pong");
        match random.below(6) {
            0 => socket.close(),
            1 => socket.abort(),
            2 => socket.send_bytes([0x81, 0xff, 0]),
            3 => {
                socket.send(&Sent { mask: None, ..Sent::new(TEXT, PING) });
                let end = socket.next();
                assert!(matches!(end, Frame::Close(1002, _)), "{end:?}");
            }
            4 => {
                socket.send_text("this is no JSON");
                while !matches!(socket.next(), Frame::Close(..)) {}
            }
            _ => drop(socket),
        }
    }

    /// One who asks more than there is for one, and one who may not watch: neither is heard beyond the limit.
    fn be_refused(&self, client: &mut Client, hammer: &Person) {
        for _ in 0..20 {
            let answer = self.ask(client, hammer, "GET", DRAFTS, &Value::Null);
            assert!([200, 429].contains(&answer.status), "{}", answer.text());
            self.refused.fetch_add(usize::from(answer.status == 429), Ordering::Relaxed);
        }
        let (answer, mut socket) = Socket::open(self.server, &path("d"), &[("X-Forwarded-For", &hammer.address)]);
        match answer.status {
            101 => {
                assert_eq!(socket.json()["code"], "forbidden");
                assert!(matches!(socket.next(), Frame::Close(1008, _)));
            }
            status => assert_eq!(status, 429, "{}", answer.text()),
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// What is no request, or none that could be served.
    fn be_malformed(&self, random: &mut Random) {
        let who = self.somebody();
        let from = format!("Host: t\r\nX-User-Id: {}\r\nX-Forwarded-For: {}\r\n", who.name, who.address);
        let cases = [
            (format!("GET / HTTP/1.1\n{from}\r\n"), 400),
            (format!("GET / HTTP/2.0\r\n{from}\r\n"), 505),
            (format!("POST {DRAFTS} HTTP/1.1\r\n{from}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"), 400),
            (format!("POST {DRAFTS} HTTP/1.1\r\n{from}Content-Length: 70000\r\n\r\n"), 413),
            (format!("GET /{} HTTP/1.1\r\n{from}\r\n", "a".repeat(9000)), 414),
            (format!("GET / HTTP/1.1\r\n{from}X: {}\r\n\r\n", "a".repeat(20_000)), 431),
            (format!("GET /{} HTTP/1.1\r\n{from}\r\n", who.name), 404),
            (format!("{} {DRAFTS} HTTP/1.1\r\n{from}\r\n", who.name.to_uppercase()), 405),
            (format!("GET {DRAFTS} HTTP/1.1\r\nHost: t\r\nX-Forwarded-For: {}\r\n\r\n", who.address), 401),
            (format!("POST {DRAFTS} HTTP/1.1\r\n{from}Content-Length: 2\r\n\r\n{{}}"), 422),
        ];
        let (sent, status) = random.pick(&cases);
        let mut client = self.server.connect();
        // The rest of what is too long may find the connection closed.
        let _ = client.stream.write_all(sent.as_bytes());
        let answer = client.answer();
        assert_eq!(answer.status, *status, "{sent}: {}", answer.text());
        self.malformed.fetch_add(1, Ordering::Relaxed);
    }
}

/// The process as the kernel sees it.
#[derive(Debug, Clone, Copy)]
struct Sample {
    resident_kb: u64,
    descriptors: usize,
    threads: u64,
}

impl Sample {
    fn of(server: &Server) -> Self {
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
        Self { resident_kb: server.memory_kb("VmRSS"), descriptors, threads: server.memory_kb("Threads") }
    }
}

fn median(samples: &[Sample]) -> u64 {
    let mut sizes: Vec<u64> = samples.iter().map(|sample| sample.resident_kb).collect();
    sizes.sort_unstable();
    sizes[sizes.len() / 2]
}

fn duration() -> Duration {
    let given = std::env::var("INKRING_SOAK_SECONDS").ok();
    let in_ci = std::env::var("CI").as_deref() == Ok("true");
    Duration::from_secs(given.map_or(if in_ci { 20 } else { 10 }, |given| {
        given.parse().unwrap_or_else(|_| panic!("INKRING_SOAK_SECONDS={given} is no number of seconds"))
    }))
}

/// Changes a setting and has it taken.
fn reload(server: &Server, tick: usize) {
    let origin = if tick.is_multiple_of(2) { "https://even.example" } else { "https://odd.example" };
    let settings = server.directory.path().join(".env");
    std::fs::write(&settings, format!("ALLOWED_ORIGINS={origin}\n")).unwrap();
    server.signal("HUP");
    let taken = || {
        let answer = server.connect().request("GET", "/healthz", &[("Origin", origin)], b"");
        (answer.header("access-control-allow-origin") == Some(origin)).then_some(())
    };
    wait_for(taken);
}

/// Makes a backup, and room by removing those before it.
fn back_up(server: &Server) {
    let here = server.directory.path();
    for entry in std::fs::read_dir(here.join("backups")).into_iter().flatten().flatten() {
        std::fs::remove_file(entry.path()).unwrap();
    }
    verb(server, &["backup"]);
}

#[track_caller]
fn verb(server: &Server, words: &[&str]) {
    let settings = [("OPS_ADDR", "unix:ops.sock"), ("BACKUP_DIR", "backups"), ("AUDIT_ENABLED", "true")];
    let output = inkring(server.directory.path()).envs(settings).args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
}

/// How many requests were answered with a status that begins with this digit.
fn answered(server: &Server, class: char) -> f64 {
    let metrics = server.get("/metrics");
    let status = format!(",status=\"{class}");
    let lines = metrics.text().lines();
    let lines = lines.filter(|line| line.starts_with("http_requests_total{") && line.contains(&status));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

#[test]
fn after_a_soak_the_server_is_as_large_as_before_and_every_answer_was_expected() {
    let mut random = Random::seeded();
    let server = Server::with(&SETTINGS);
    let soak = Soak::new(&server);
    let (began, lasts) = (Instant::now(), duration());
    // What is there when nobody is connected, once everything was done for the first time.
    let mut client = server.connect();
    soak.write_a_draft(&mut client);
    drop(client);
    back_up(&server);
    reload(&server, 1);
    assert!(answered(&server, '2') > 10.0);
    let idle = Sample::of(&server);
    let mut samples = Vec::new();
    thread::scope(|scope| {
        let soak = &soak;
        for mut random in [random.fork(), random.fork()] {
            scope.spawn(move || {
                let mut client = soak.server.connect();
                soak.again(|| soak.write_a_draft(&mut client));
            });
            scope.spawn(move || {
                let mut client = soak.server.connect();
                soak.again(|| {
                    soak.watch_a_draft(&mut client, &mut random);
                    soak.be_malformed(&mut random);
                });
            });
        }
        scope.spawn(move || {
            let mut client = soak.server.connect();
            let hammer = soak.somebody();
            soak.again(|| soak.be_refused(&mut client, &hammer));
        });
        let _over = Over(&soak.goes_on);
        let mut tick = 0;
        while began.elapsed() < lasts && soak.goes_on.load(Ordering::Relaxed) {
            reload(&server, tick);
            if tick.is_multiple_of(TICKS_PER_BACKUP) {
                back_up(&server);
            }
            server.get("/readyz").expect(200);
            samples.push((began.elapsed(), Sample::of(&server)));
            thread::sleep(TICK);
            tick += 1;
        }
    });
    let counted = [&soak.requests, &soak.sockets, &soak.refused, &soak.malformed].map(|n| n.load(Ordering::Relaxed));
    assert!(counted.iter().all(|count| *count > 10), "requests, sockets, refusals, malformed: {counted:?}");

    // Descriptors and threads: those of the clients are gone with them.
    let left = wait_for(|| Some(Sample::of(&server)).filter(|sample| sample.descriptors <= idle.descriptors));
    assert!(left.threads <= idle.threads + THREADS_MORE_MAX, "{} threads, {} before", left.threads, idle.threads);
    let most = samples.iter().map(|(_, sample)| sample.descriptors).max().unwrap();
    assert!(most <= idle.descriptors + DESCRIPTORS_MORE_MAX, "{most} descriptors, {} when idle", idle.descriptors);
    // Memory, from the end of the warm-up on.
    let warm: Vec<Sample> = samples.iter().filter(|(at, _)| *at > lasts / 3).map(|(_, sample)| *sample).collect();
    let third = warm.len().div_ceil(3);
    let (early, late) = (median(&warm[..third]), median(&warm[warm.len() - third..]));
    assert!(late <= early + GROWN_MAX_KB, "{early} kB after the warm-up, {late} kB at the end: {counted:?}");
    assert_eq!(answered(&server, '5'), 0.0);
    assert!(!server.log().contains("\"level\":\"ERROR\""), "{}", server.log());
    let ledger = Ledger::open(&server.database());
    ledger.audit();
    assert_eq!(ledger.segments().len(), soak.segments.load(Ordering::Relaxed), "acknowledged and stored");
    verb(&server, &["audit", "verify"]);
    let backups = std::fs::read_dir(server.directory.path().join("backups")).unwrap();
    let newest = backups.map(|entry| entry.unwrap().path()).find(|path| path.extension() == Some("db".as_ref()));
    verb(&server, &["verify", newest.unwrap().to_str().unwrap()]);
    assert!(began.elapsed() < lasts + PATIENCE, "it ends by itself");
}
