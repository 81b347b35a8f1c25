//! The private plane: who may come in, what it answers, and what cannot bring it down.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use http::Method;
use inkring::clock::Clock;
use inkring::config::{self, Sources};
use inkring::feature::{Feature, Running, ShardParts};
use inkring::features;
use inkring::gate::{Route, Routes};
use inkring::net::Endpoint;
use inkring::net::client::{Ask, Remote};
use inkring::observe::LogHandle;
use inkring::systemd::{Inherited, Notify};
use parking_lot::Mutex;
use serde_json::Value;

use crate::support::socket::Socket;
use crate::support::{Answer, Client, PATIENCE, Server, inkring, shelled, wait_for};
use crate::systemd::{HANDS_OVER, as_stdin};

const ON: (&str, &str) = ("OPS_ADDR", "127.0.0.1:0");
const TOKEN: &str = "a token of more than sixteen bytes";

/// A server with its private plane on.
pub struct Operated {
    pub server: Server,
    pub plane: Endpoint,
}

impl Operated {
    pub fn with(settings: &[(&str, &str)]) -> Self {
        Self::of(Server::with(&[&[ON], settings].concat()))
    }

    pub fn of(server: Server) -> Self {
        let line = server.wait_for_log(|line| line["message"] == "ops.started");
        let address = line["address"].as_str().unwrap();
        let plane = match address.strip_prefix("unix:") {
            Some(path) => Endpoint::Unix(server.directory.path().join(path)),
            None => Endpoint::Tcp(address.parse().unwrap()),
        };
        Self { server, plane }
    }

    pub fn ask(&self, method: &str, target: &str, host: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        ask(&self.plane, Ask { method, target, headers, body }, host)
    }

    pub fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, "localhost", &[], b"")
    }

    /// What is remembered of the last minutes, once it is as it should be.
    pub fn recent(&self, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        wait_for(|| {
            let samples = self.get("/recent").expect(200)["samples"].as_array().unwrap().clone();
            wanted(&samples).then_some(samples)
        })
    }

    /// A connection to speak bytes on.
    fn line(&self) -> Client {
        let Endpoint::Tcp(address) = &self.plane else { panic!("not on TCP") };
        Client::connect(*address)
    }
}

fn ask(plane: &Endpoint, ask: Ask<'_>, host: &str) -> Answer {
    let mut answer = ask.send(&Remote::at(plane.clone()).named(host), PATIENCE).unwrap();
    let names = [
        "allow",
        "cache-control",
        "content-length",
        "content-security-policy",
        "content-type",
        "www-authenticate",
        "x-content-type-options",
        "x-frame-options",
        "x-request-id",
    ];
    let headers = names.iter().filter_map(|name| Some(((*name).to_owned(), answer.header(name)?.to_owned()))).collect();
    let mut body = Vec::new();
    answer.read_to_end(&mut body).unwrap();
    Answer { status: answer.status, reason: String::new(), headers, body }
}

#[test]
fn every_path_answers_and_every_answer_is_guarded() {
    let operated = Operated::with(&[]);
    let page = operated.get("/");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    assert!(page.text().starts_with("<!doctype html>"));
    assert_eq!(operated.get("/healthz").expect(200)["status"], "ok");
    assert_eq!(operated.get("/log-level").expect(200)["level"], "info");
    let status = operated.get("/status").expect(200);
    assert_eq!(status["version"], inkring::version::VERSION);
    assert_eq!(status["public_address"], operated.server.address.to_string());
    assert_eq!(status["ready"], serde_json::json!({ "ok": true, "reasons": [] }));
    assert!(status["database"]["bytes"].as_u64().unwrap() > 0 && status["database"]["disk_free_bytes"].is_u64());
    assert_eq!(operated.get("/audit").expect(200), serde_json::json!({ "enabled": false, "rows": [] }));
    for (method, target, status) in [
        ("GET", "/nowhere", 404),
        ("DELETE", "/", 405),
        ("POST", "/metrics", 405),
        ("HEAD", "/backup", 405),
        ("PUT", "/log-level", 422),
        ("GET", "/audit?limit=201", 422),
        ("GET", "/audit?after=x", 422),
        ("GET", "/recent?after=-1", 422),
        ("GET", "//", 404),
    ] {
        if method != "HEAD" {
            operated.ask(method, target, "localhost", &[], b"").expect_error(status);
        }
    }
    assert_eq!(operated.ask("DELETE", "/backup", "localhost", &[], b"").header("allow"), Some("GET, POST"));
    for target in ["/", "/status", "/nowhere", "/metrics"] {
        let answer = operated.get(target);
        for (name, value) in
            [("cache-control", "no-store"), ("x-content-type-options", "nosniff"), ("x-frame-options", "DENY")]
        {
            assert_eq!(answer.header(name), Some(value), "{target}");
        }
        assert!(answer.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"), "{target}");
    }
    // The public port has none of it.
    for target in ["/metrics", "/paths", "/recent", "/status", "/audit", "/log-level", "/backup"] {
        assert_eq!(operated.server.get(target).status, 404, "{target}");
    }
    assert!(operated.server.get("/").expect(200).get("modules").is_some(), "its root is another's");
}

#[test]
fn the_last_minutes_are_remembered_whether_somebody_looks_or_not() {
    let operated = Operated::with(&[]);
    let draft = operated.server.create_draft("alice");
    let _watcher = Socket::watch(&operated.server, &draft, "bob");
    operated.server.get("/nowhere");
    for probe in ["/healthz", "/readyz", "/health", "/ready"] {
        operated.server.get(probe);
    }
    let samples = operated.recent(|samples| samples.last().is_some_and(|last| last["answered"][3] == 1));
    let last = samples.last().unwrap();
    // The handshake, the draft, and the path that there is not; probes are no traffic.
    assert_eq!(last["answered"], serde_json::json!([1, 1, 0, 1, 0]));
    assert_eq!((&last["sockets"], &last["watched"], &last["queued"]), (&1.into(), &1.into(), &0.into()));
    let commits = |sample: &Value| -> u64 {
        sample["commits"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).sum()
    };
    assert!(commits(last) >= 1, "{last}");
    let nth = last["nth"].as_u64().unwrap();
    assert_eq!(nth, samples.len() as u64);
    // Who knows them asks for those that have come since.
    let newer = operated.get(&format!("/recent?after={nth}")).expect(200);
    assert!(newer["samples"].as_array().unwrap().iter().all(|sample| sample["nth"].as_u64() > Some(nth)));
    assert!(newer["now_ms"].as_u64() >= last["at_ms"].as_u64() && newer["every_ms"] == 2000, "{newer}");
}

#[test]
fn the_busiest_paths_are_those_of_the_last_hour() {
    let operated = Operated::with(&[]);
    let none = operated.get("/paths").expect(200);
    assert_eq!(none["paths"], serde_json::json!([]));
    let draft = operated.server.create_draft("alice");
    for _ in 0..3 {
        operated.server.get(&format!("/v1/collab/drafts/{draft}"));
    }
    operated.server.get("/nowhere");
    operated.server.get("/nowhere");
    // Probes are no traffic, and neither is the operator.
    operated.server.get("/healthz");
    operated.get("/status");
    let told = operated.get("/paths").expect(200);
    let rows = told["paths"].as_array().unwrap();
    let paths: Vec<_> =
        rows.iter().map(|row| (row["path"].as_str().unwrap(), row["requests"].as_u64().unwrap())).collect();
    assert_eq!(paths, [("/v1/collab/drafts/{draft_id}", 3), ("unmatched", 2), ("/v1/collab/drafts", 1)], "{told}");
    for row in rows {
        let took = row["took"].as_array().unwrap();
        assert_eq!(took.iter().map(|count| count.as_u64().unwrap()).sum::<u64>(), row["requests"].as_u64().unwrap());
        assert_eq!(took.len(), told["seconds"].as_array().unwrap().len() + 1);
    }
    assert!(told["covers_seconds"].as_u64() < Some(3660), "{told}");
}

/// A feature that stands last, and sees what the others have added.
struct Onlooker;

static ONLOOKER: Feature = Feature::new("onlooker", |_, _| Ok(Arc::new(Onlooker)));
static SERVED: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());

impl Running for Onlooker {
    fn routes(&self, _: &ShardParts, routes: &mut Routes) {
        SERVED.lock().extend(routes.templates());
    }
}

/// The templates that a server with everything on serves to clients.
fn templates_served() -> BTreeSet<&'static str> {
    let directory = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}/inkring.db", directory.path().display());
    let own = [("DATABASE_URL", &*database), ("LISTEN_ADDR", "127.0.0.1:0"), ("OPS_ADDR", "off")];
    let pairs = [&own[..], &[("SHARDS", "1"), ("METRICS_PUBLIC", "true")]].concat();
    let settings = config::load(&Sources::from_pairs(&pairs, &[]), false).unwrap().settings;
    let list: Vec<&Feature> = features::FEATURES.iter().copied().chain([&ONLOOKER]).collect();
    let (inherited, notify) = (Inherited::default(), Notify::default());
    let log = LogHandle::default();
    let server = inkring::server::Server::start(&list, &settings, inherited, notify, &log, Clock::system()).unwrap();
    server.stop();
    SERVED.lock().clone()
}

#[test]
fn what_is_served_is_what_is_declared() {
    let (public, private) = (features::routes(), features::operator_routes());
    let declared: BTreeSet<&str> = public.iter().map(|route| route.template).collect();
    assert_eq!(templates_served(), declared, "left: what is served; right: what features declare");
    let operated = Operated::with(&[("METRICS_PUBLIC", "true")]);
    let methods = |of: &[Route], path: &str| {
        let head = |route: &Route| (route.with_head && route.method == Method::GET).then_some("HEAD");
        let here = of.iter().filter(|route| route.template == path);
        // One path may have a route for sockets and another for plain requests: their methods are named once.
        let mut methods = Vec::new();
        for method in here.flat_map(|route| [route.method.as_str()].into_iter().chain(head(route))) {
            methods.extend(Some(method).filter(|method| !methods.contains(method)));
        }
        methods
    };
    // A method that is not served there.
    let other = |of: &[&str]| if of.contains(&"DELETE") { "PATCH" } else { "DELETE" };
    for path in public.iter().map(|route| route.template) {
        let methods = methods(&public, path);
        let answer = operated.server.connect().request(other(&methods), path, &[], b"");
        assert_eq!((answer.status, answer.header("allow")), (405, Some(&*methods.join(", "))), "{path}");
    }
    for path in private.iter().map(|route| route.template) {
        let methods = methods(&private, path);
        let answer = operated.ask(other(&methods), path, "localhost", &[], b"");
        assert_eq!((answer.status, answer.header("allow")), (405, Some(&*methods.join(", "))), "{path}");
    }
}

#[test]
fn status_says_why_it_is_not_ready_and_shows_no_secret() {
    let secret = "a key of at least thirty-two bytes";
    let operated = Operated::with(&[("JWT_SECRET", secret), ("OPS_TOKEN", TOKEN)]);
    let bearer = format!("Bearer {TOKEN}");
    let status = |operated: &Operated| operated.ask("GET", "/status", "x", &[("Authorization", &bearer)], b"");
    let answer = status(&operated);
    assert_eq!(answer.expect(200)["configuration"]["tokens_by"], "JWT_SECRET");
    assert!(!answer.text().contains(secret) && !answer.text().contains(TOKEN));
    let database = rusqlite::Connection::open(operated.server.database()).unwrap();
    database.execute_batch("ALTER TABLE probe RENAME TO gone").unwrap();
    let reasons = wait_for(|| {
        let ready = status(&operated).expect(200)["ready"].clone();
        (ready["ok"] == false).then(|| ready["reasons"].clone())
    });
    assert_eq!(reasons, serde_json::json!(["missing tables: probe"]));
    let log = operated.server.log();
    assert!(!log.contains(secret) && !log.contains(TOKEN));
}

#[test]
fn with_a_token_nothing_but_healthz_is_answered_without_it() {
    let operated = Operated::with(&[("OPS_TOKEN", TOKEN)]);
    let with = |value: &str| operated.ask("GET", "/status", "ops.example.org", &[("Authorization", value)], b"");
    let wanted = "The private plane requires OPS_TOKEN: send it as Authorization: Bearer TOKEN, or as the password of HTTP Basic";
    for target in ["/", "/metrics", "/status", "/audit", "/log-level", "/backup", "/nowhere"] {
        let answer = operated.get(target);
        assert_eq!(answer.expect_error(401).1, wanted);
        assert!(answer.header("www-authenticate").unwrap().starts_with("Basic realm=\"inkring\""), "{target}");
    }
    assert_eq!(operated.get("/healthz").status, 200);
    // x: and the token, and the same with another last letter.
    let basic = "Basic eDphIHRva2VuIG9mIG1vcmUgdGhhbiBzaXh0ZWVuIGJ5dGVz";
    assert_eq!(with(&format!("Bearer {TOKEN}")).status, 200);
    assert_eq!(with(basic).status, 200);
    for wrong in ["Bearer x", "Bearer a token of more than sixteen byteS", "Basic eDp4"] {
        assert_eq!(with(wrong).expect_error(401).1, "This is not the server's OPS_TOKEN", "{wrong}");
    }
    for no_form in ["Bearer", "Basic !", "Digest x", "", TOKEN] {
        assert_eq!(with(no_form).expect_error(401).1, wanted, "{no_form}");
    }
    operated.server.wait_for_log(|line| line["message"] == "auth.failed" && line["reason"] == "ops_token");
    assert!(!operated.server.log().contains(TOKEN));
}

#[test]
fn pages_of_other_sites_are_kept_out() {
    let operated = Operated::with(&[]);
    let status_of =
        |method, target, host, headers: &[(&str, &str)]| operated.ask(method, target, host, headers, b"").status;
    for host in ["127.0.0.1", "localhost:1", "[::1]:9090", "10.1.2.3"] {
        assert_eq!(status_of("GET", "/status", host, &[]), 200, "{host}");
    }
    // A name of somebody else's that was made to lead here.
    for target in ["/", "/status", "/healthz", "/backup"] {
        operated.ask("GET", target, "rebound.example.org", &[], b"").expect_error(421);
    }
    // Another site's page in the same browser.
    for site in ["cross-site", "same-site"] {
        for (method, target) in [("GET", "/backup"), ("POST", "/backup"), ("PUT", "/log-level"), ("GET", "/status")] {
            let headers = [("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", "no-cors")];
            operated.ask(method, target, "localhost", &headers, b"").expect_error(403);
        }
        let link = [("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", "navigate")];
        assert_eq!(status_of("GET", "/", "localhost", &link), 200, "a link to the page");
        assert_eq!(status_of("GET", "/backup", "localhost", &link), 403, "a link to a backup");
    }
    for origin in ["http://example.org", "null", "http://localhost:9091", "http://localhost.example.org"] {
        assert_eq!(status_of("PUT", "/log-level", "localhost:9090", &[("Origin", origin)]), 403, "{origin}");
    }
    let own = [("Origin", "http://localhost:9090"), ("Sec-Fetch-Site", "same-origin")];
    assert_eq!(status_of("PUT", "/log-level", "localhost:9090", &own), 422, "it comes in; there is no word in it");
}

#[test]
fn the_audit_log_is_read_newest_first_and_by_user_draft_and_action() {
    let operated = Operated::with(&[("AUDIT_ENABLED", "true")]);
    let drafts = ["alice", "bob", "<img onerror>"].map(|user| operated.server.create_draft(user));
    let rows = |target: &str| {
        let body = operated.get(target).expect(200);
        body["rows"].as_array().unwrap().clone()
    };
    // The server's own rows are nobody's.
    let users =
        |rows: &[Value]| rows.iter().filter_map(|row| Some(row["user_id"].as_str()?.to_owned())).collect::<Vec<_>>();
    let all = rows("/audit");
    assert_eq!(users(&all), ["<img onerror>", "bob", "alice"]);
    assert_eq!(users(&rows("/audit?limit=1")), ["<img onerror>"]);
    assert_eq!(users(&rows("/audit?user=bob")), ["bob"]);
    assert_eq!(users(&rows(&format!("/audit?draft={}", drafts[0]))), ["alice"]);
    assert_eq!(rows("/audit?action=collab.create_draft").len(), 3);
    assert_eq!(rows("/audit?action=audit.started").len(), 1);
    assert_eq!(rows("/audit?action=none&user=").len(), 0);
    let last = all[0]["id"].as_i64().unwrap();
    assert_eq!(rows(&format!("/audit?after={last}")).len(), 0);
    operated.server.create_draft("carol");
    assert_eq!(users(&rows(&format!("/audit?after={last}"))), ["carol"]);
}

#[test]
fn heads_and_bodies_are_bounded_and_nobody_can_stall_the_plane() {
    let operated = Operated::with(&[]);
    let mut line = operated.line();
    line.send("PUT /log-level HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4611686018427387904\r\n\r\n");
    line.answer().expect_error(413);
    let mut line = operated.line();
    line.send("PUT /log-level HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n");
    line.answer().expect_error(413);
    let mut line = operated.line();
    line.send("GET / HTTP/1.1\r\nHost: localhost\r\nX: ");
    line.send(vec![b'x'; 64 * 1024]);
    line.answer().expect_error(431);
    let mut line = operated.line();
    line.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1000));
    line.answer().expect(200);
    assert!(line.try_answer(false).is_none(), "one request per connection");
    for (head, status) in [("X: y\r\n".repeat(64), 431), ("X: y\r\n".repeat(63), 200)] {
        let mut line = operated.line();
        line.send(format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{head}\r\n"));
        assert_eq!(line.answer().status, status);
    }
    for (bytes, status) in [(4097, 414), (4096, 200)] {
        let mut line = operated.line();
        line.send(format!("GET {:x<bytes$} HTTP/1.1\r\nHost: localhost\r\n\r\n", "/healthz?"));
        assert_eq!(line.answer().status, status);
    }
    let operated = Operated::with(&[]);
    let silent: Vec<Client> = (0..64).map(|_| operated.line()).collect();
    assert_eq!(operated.line().answer().expect_error(503).0, "overloaded");
    drop(silent);
    wait_for(|| (operated.get("/healthz").status == 200).then_some(()));
}

#[test]
fn descriptors_that_run_out_end_nothing() {
    let operated = Operated::of(Server::limited(&[ON, ("SHARDS", "1")], 64));
    // The front holds 32 of them; with those at the plane there are more than descriptors.
    let clients: Vec<Client> = (0..100).map(|_| operated.server.connect()).collect();
    let callers: Vec<Client> = (0..16).map(|_| operated.line()).collect();
    operated.server.wait_for_log(|line| line["message"] == "accept.failed");
    drop((clients, callers));
    for _ in 0..20 {
        operated.get("/status").expect(200);
    }
}

#[test]
fn a_unix_socket_is_for_its_user_alone_and_goes_with_the_server() {
    let mut operated = Operated::of(Server::with(&[("OPS_ADDR", "unix:ops.sock")]));
    let Endpoint::Unix(path) = operated.plane.clone() else { panic!("not a Unix socket") };
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    operated.ask("GET", "/status", "any.example.org", &[], b"").expect(200);
    // What a killed server leaves behind is replaced.
    operated.server.kill();
    assert!(path.exists());
    operated.server.launch();
    operated.get("/healthz").expect(200);
    assert_eq!(mode(&path), 0o600);
    assert!(operated.server.terminate().success());
    assert!(!path.exists(), "it goes with the server");
}

#[test]
fn a_place_that_is_taken_is_left_alone_and_said() {
    let directory = tempfile::tempdir().unwrap();
    let refused = |ops: &str| {
        let output = inkring(directory.path()).env("LISTEN_ADDR", "127.0.0.1:0").env("OPS_ADDR", ops).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = refused(&address);
    assert!(said.contains(&format!("cannot listen on OPS_ADDR={address} for the private plane: ")), "{said}");
    assert!(said.contains("use another address, or disable it with OPS_ADDR=off"), "{said}");

    let socket = directory.path().join("ops.sock");
    let _answering = UnixListener::bind(&socket).unwrap();
    assert!(refused("unix:ops.sock").contains("cannot listen on OPS_ADDR=unix:ops.sock"));
    assert!(socket.exists());
    let file = directory.path().join("precious");
    std::fs::write(&file, "precious").unwrap();
    assert!(refused("unix:precious").contains("cannot listen on OPS_ADDR=unix:precious"));
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
}

#[test]
fn a_plane_that_others_can_reach_wants_a_token() {
    let directory = tempfile::tempdir().unwrap();
    let check = |settings: &[(&str, &str)], verb: &str| {
        let mut command = inkring(directory.path());
        command.arg(verb).env("LISTEN_ADDR", "127.0.0.1:0").envs(settings.iter().copied());
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:9090", "[::ffff:192.0.2.1]:9090"] {
        for verb in ["check-config", "serve"] {
            let (code, said) = check(&[("OPS_ADDR", address)], verb);
            assert_eq!(code, Some(3), "{address}");
            assert!(said.contains(&format!("OPS_ADDR={address} can be reached from other machines")), "{said}");
        }
    }
    let (code, said) = check(&[("OPS_ADDR", "0.0.0.0:0"), ("OPS_TOKEN", "fifteen bytes..")], "check-config");
    assert_eq!(code, Some(3));
    assert!(said.contains("OPS_TOKEN=******** is shorter than 16 bytes") && !said.contains("fifteen"), "{said}");
    for good in [&[("OPS_ADDR", "127.0.0.2:0")][..], &[("OPS_ADDR", "0.0.0.0:0"), ("OPS_TOKEN", TOKEN)]] {
        assert_eq!(check(good, "check-config").0, Some(0), "{good:?}");
    }
}

#[test]
fn a_default_address_that_is_taken_leaves_the_plane_out_and_one_that_is_set_stops_the_start() {
    const DEFAULT: &str = "127.0.0.1:8001";
    // If this fails, somebody else on this machine has it, which is as good.
    let _taken = TcpListener::bind(DEFAULT);
    let server = Server::with(&[("OPS_ADDR", "")]);
    server.get("/readyz").expect(200);
    let sentence = "the private plane is off, because 127.0.0.1:8001, the default of OPS_ADDR, is in use: set OPS_ADDR to \
                    another address, or to off";
    assert_eq!(server.wait_for_log(|line| line["message"] == sentence)["level"], "WARN");
    let server = Server::with(&[("OPS_ADDR", ""), ("LOG_FORMAT", "pretty")]);
    wait_for(|| server.banner().contains(&format!("\n  warning       {sentence}\n")).then_some(()));
    assert!(!server.banner().contains("operator"), "{}", server.banner());

    let output = Server::absent(&[("OPS_ADDR", DEFAULT)]).command().stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains("cannot listen on OPS_ADDR=127.0.0.1:8001 for the private plane: Address already in use"),
        "{said}"
    );
}

#[test]
fn one_place_for_both_is_found_beforehand() {
    let directory = tempfile::tempdir().unwrap();
    let check = |listen: &str, ops: &str| {
        let mut command = inkring(directory.path());
        command.arg("check-config").env("LISTEN_ADDR", listen).env("OPS_ADDR", ops).env("ENV", "production");
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
        (output.status.code().unwrap(), text)
    };
    for (listen, ops) in [
        ("127.0.0.1:8000", "127.0.0.1:8000"),
        ("0.0.0.0:8000", "127.0.0.1:8000"),
        ("127.0.0.1:7000,[::]:8000", "127.0.0.1:8000"),
        ("unix:s", "unix:s"),
    ] {
        let (code, text) = check(listen, ops);
        let public = listen.rsplit(',').next().unwrap();
        assert_eq!(code, 3, "{listen} {ops}: {text}");
        assert!(
            text.contains(&format!("OPS_ADDR={ops} conflicts with LISTEN_ADDR={public}: give the private")),
            "{text}"
        );
    }
    let (code, text) = check("127.0.0.1:8001", "");
    assert!(
        code == 0 && text.contains("warning: OPS_ADDR=127.0.0.1:8001 conflicts with LISTEN_ADDR=127.0.0.1:8001"),
        "{text}"
    );
    for (listen, ops) in
        [("127.0.0.1:0", "127.0.0.1:0"), ("127.0.0.1:8000", "127.0.0.2:8000"), ("127.0.0.1:8000", "off")]
    {
        let (code, text) = check(listen, ops);
        assert!(code == 0 && !text.contains("listens"), "{text}");
    }
}

/// A server that was handed this socket for its private plane.
fn handed(socket: Stdio, settings: &[(&str, &str)], alone: &str) -> Operated {
    let mut server = Server::absent(settings);
    server.before = Some(format!("{HANDS_OVER}; export LISTEN_FDNAMES=ops; {alone}"));
    server.launch_with(socket);
    Operated::of(server)
}

#[test]
fn a_socket_that_was_handed_over_is_served_and_left_where_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ops.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let mut operated = handed(as_stdin(listener), &[], "true");
    assert_eq!(operated.plane, Endpoint::Unix(path.clone()));
    operated.get("/status").expect(200);
    assert!(operated.server.terminate().success());
    assert!(path.exists(), "whoever made it may want it again");

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let operated = handed(as_stdin(listener.try_clone().unwrap()), &[], "true");
    assert_eq!(operated.plane, Endpoint::Tcp(address));
    assert_eq!(operated.get("/status").expect(200)["ready"]["ok"], true);

    let open = TcpListener::bind("0.0.0.0:0").unwrap();
    let mut server = Server::absent(&[]);
    server.before = Some(format!("{HANDS_OVER}; export LISTEN_FDNAMES=ops"));
    let mut command = shelled(&server.command(), server.before.as_ref().unwrap());
    let output = command.stdin(as_stdin(open)).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("can be reached from other machines, and the plane gives access to the whole database"),
        "{said}"
    );
}

#[test]
fn the_level_of_the_log_is_changed_while_the_server_runs() {
    let operated = Operated::with(&[("OPS_TOKEN", TOKEN)]);
    let bearer = format!("Bearer {TOKEN}");
    let level = |method, body: &[u8]| {
        operated.ask(method, "/log-level", "x", &[("Authorization", &bearer)], body).expect(200)["level"].clone()
    };
    let ask = |id| operated.server.connect().request("GET", "/nowhere", &[("X-Request-Id", id)], b"").status;
    assert_eq!(level("GET", b""), "info");
    assert_eq!((level("PUT", b"error"), ask("unseen")), ("error".into(), 404));
    assert_eq!((level("PUT", b"info"), ask("seen")), ("info".into(), 404));
    operated.server.wait_for_log(|line| line["request_id"] == "seen");
    assert!(!operated.server.log().contains("unseen"));
    for (body, says) in [(&b" Warn\n"[..], "warn"), (b"off", "off"), (b"DEBUG", "debug")] {
        assert_eq!(level("PUT", body), says);
    }
    for no_word in [&b"loud"[..], b"", b"warn info", b"\xff"] {
        operated.ask("PUT", "/log-level", "x", &[("Authorization", &bearer)], no_word).expect_error(422);
    }
    assert_eq!(level("GET", b""), "debug");
}
