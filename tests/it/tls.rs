//! TLS of the server itself: what is the same as without, and what there is besides.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::version::{TLS12, TLS13};
use serde_json::{Value, json};

use crate::support::socket::{Frame, PING, Socket, path};
use crate::support::tls::{Encrypted, authority, certificate, client, connect, file, over, speaking, tunnel};
use crate::support::{Client, PATIENCE, Server, inkring};
use crate::systemd::{HANDS_OVER, as_stdin};

const DRAFTS: &str = "/v1/collab/drafts";
/// Handshakes under way on a shard.
const HANDSHAKES_MAX: usize = 256;

/// A server with TLS, its certificate in its own directory.
fn serving(settings: &[(&str, &str)]) -> Server {
    let mut server = absent(settings);
    server.launch();
    server
}

fn absent(settings: &[(&str, &str)]) -> Server {
    let own = [("TLS_CERT_FILE", "cert.pem"), ("TLS_KEY_FILE", "key.pem")];
    let server = Server::absent(&[&own[..], settings].concat());
    show(&server, "server");
    server
}

/// Puts another certificate in its place.
fn show(server: &Server, name: &str) {
    let key = server.directory.path().join("key.pem");
    std::fs::copy(file(&format!("{name}.key.pem")), &key).unwrap();
    chmod(&key, 0o600);
    std::fs::copy(file(&format!("{name}.pem")), server.directory.path().join("cert.pem")).unwrap();
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

/// What is shown to who calls now.
fn shown(address: SocketAddr) -> Vec<u8> {
    let stream = connect(address);
    stream.conn.peer_certificates().unwrap()[0].to_vec()
}

/// What is answered to one request, head and body, until the connection has ended as it should.
fn ask(mut stream: Encrypted, target: &str) -> String {
    stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Whether the server has hung up, without waiting longer than for anything else.
fn is_over(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    match stream.read(&mut [0; 64]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn requests_are_answered_one_after_the_other_and_the_end_is_said() {
    let server = serving(&[("LOG_FORMAT", "pretty")]);
    assert!(server.banner().contains(&format!("  listening on  https://{}\n", server.address)), "{}", server.banner());
    let mut client = Client::connect(tunnel(server.address));
    let made = client.post(DRAFTS, Some("alice"), &json!({ "title": "Safe", "platform": "x" })).expect(200);
    let draft = made["data"]["draft_id"].as_str().unwrap();
    client.send(format!("GET {DRAFTS}/{draft} HTTP/1.1\r\nHost: t\r\nX-User-Id: alice\r\n\r\n").repeat(100));
    for _ in 0..100 {
        assert_eq!(client.answer().expect(200)["data"]["title"], "Safe");
    }
    // More than a record holds, in both directions.
    let body = json!({ "content": "x", "idempotency_key": "k" }).to_string() + &" ".repeat(60_000);
    let headers = [("X-User-Id", "alice"), ("Content-Type", "application/json")];
    let appended = client.request("POST", &format!("{DRAFTS}/{draft}/segments"), &headers, body.as_bytes()).expect(200);
    assert_eq!(appended["data"]["segments"][0]["content"], "x");
    // Nobody has cut off the end: it is said.
    let answer = ask(connect(server.address), "/healthz");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with('}'), "{answer}");
}

#[test]
fn metrics_count_handshakes_by_their_outcome_and_have_the_end_of_the_certificate() {
    let server = serving(&[("METRICS_PUBLIC", "true")]);
    let mut silent = TcpStream::connect(server.address).unwrap();
    silent.write_all(b"no handshake at all\r\n\r\n").unwrap();
    while silent.read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
    let mut client = Client::connect(tunnel(server.address));
    client.get("/healthz", None).expect(200);
    // Over the same connection, so that its handshake is over for certain.
    let scrape = client.get("/metrics", None);
    let answer = scrape.text();
    for line in [
        "inkring_tls_handshakes_total{outcome=\"failed\"} 1",
        "inkring_tls_handshakes_total{outcome=\"done\"} 1",
        // 2120-01-01.
        "inkring_tls_certificate_end_timestamp_seconds 4733510400.0",
    ] {
        assert!(answer.lines().any(|known| known == line), "{line} is not in\n{answer}");
    }
    // What a client had before does not count for it any more.
    show(&server, "renewed");
    server.signal("HUP");
    server.wait_for_log(|line| line["message"] == "tls.changed");
    let answer = ask(connect(server.address), "/metrics");
    assert!(answer.contains("\ninkring_tls_certificate_end_timestamp_seconds 4701974400.0\n"), "{answer}");
}

#[test]
fn what_is_large_comes_whole_however_slowly_it_is_read() {
    const SEGMENTS: usize = 700;
    let mut server = serving(&[]);
    let made = Client::connect(tunnel(server.address))
        .post(DRAFTS, Some("alice"), &json!({ "title": "Long", "platform": "x" }))
        .expect(200);
    let draft = made["data"]["draft_id"].as_str().unwrap();
    server.kill();
    let database = rusqlite::Connection::open(server.database()).unwrap();
    let fill = format!(
        "WITH RECURSIVE n (at) AS (SELECT 0 UNION ALL SELECT at + 1 FROM n WHERE at < {SEGMENTS} - 1)
         INSERT INTO draft_segments (draft, segment_order, segment_id, user_id, content, created_at)
         SELECT d.id, n.at, 'segment ' || n.at, 'alice', printf('%.3000c', 'x'), d.created_at FROM drafts AS d, n;
         UPDATE drafts SET segment_count = {SEGMENTS}, event_seq = event_seq + 1;"
    );
    database.execute_batch(&fill).unwrap();
    database.close().unwrap();
    server.launch();
    let segments = |body: &[u8]| {
        let body: Value = serde_json::from_slice(body).unwrap();
        body["data"]["segments"].as_array().unwrap().len()
    };
    let target = format!("{DRAFTS}/{draft}");
    let answer = Client::connect(tunnel(server.address)).get(&target, Some("alice"));
    assert_eq!((answer.status, answer.header("transfer-encoding")), (200, Some("chunked")));
    assert_eq!(segments(&answer.body), SEGMENTS);
    // To HTTP/1.0 it ends with its connection, and only a good-bye tells that this is all.
    let narrow = Client::connect_narrow(server.address).unwrap().stream;
    let mut slow = over(client(), narrow);
    slow.write_all(format!("GET {target} HTTP/1.0\r\nX-User-Id: alice\r\n\r\n").as_bytes()).unwrap();
    let mut answer = Vec::new();
    slow.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(segments(&answer[end..]), SEGMENTS);
}

#[test]
fn who_asks_and_does_not_read_is_cut_off_and_others_are_served() {
    let server = serving(&[("SHARDS", "1"), ("WRITE_STALL_SECONDS", "1")]);
    let narrow = Client::connect_narrow(server.address).unwrap().stream;
    narrow.set_nonblocking(false).unwrap();
    let mut hog = over(client(), narrow);
    let before = server.memory_kb("VmRSS");
    let asked = "GET /openapi.json HTTP/1.1\r\nHost: t\r\n\r\n".repeat(200);
    hog.sock.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let _ = hog.write_all(asked.as_bytes());
    for _ in 0..20 {
        assert!(ask(connect(server.address), "/healthz").starts_with("HTTP/1.1 200 "));
    }
    let line = server.wait_for_log(|line| line["message"] == "connection.cut_off");
    assert_eq!(line["reason"], "nothing of its answer moved");
    let grown = server.memory_kb("VmRSS").saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} KB");
}

#[test]
fn a_draft_is_watched_through_tls() {
    let server = serving(&[]);
    let address = tunnel(server.address);
    let mut client = Client::connect(address);
    let made = client.post(DRAFTS, Some("alice"), &json!({ "title": "Live", "platform": "x" })).expect(200);
    let draft = made["data"]["draft_id"].as_str().unwrap();
    let (answer, mut socket) = Socket::upgrade(Client::connect(address), &path(draft), &[("X-User-Id", "alice")]);
    assert_eq!((answer.status, socket.json()["type"].as_str()), (101, Some("connected")));
    for number in 0..50 {
        let body = json!({ "content": "x".repeat(500), "idempotency_key": number.to_string() });
        client.post(&format!("{DRAFTS}/{draft}/segments"), Some("alice"), &body).expect(200);
    }
    for _ in 0..50 {
        assert_eq!(socket.json()["type"], "collab.segment_added");
    }
    socket.send_text(PING);
    assert_eq!(socket.json()["type"], "pong");
    socket.close();
}

#[test]
fn a_stop_says_good_bye_to_sockets_and_to_who_is_idle() {
    let mut server = serving(&[]);
    let (answer, mut socket) =
        Socket::upgrade(Client::connect(tunnel(server.address)), &path("d"), &[("X-User-Id", "alice")]);
    assert_eq!((answer.status, socket.json()["type"].as_str()), (101, Some("connected")));
    let mut idle = connect(server.address);
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
    assert!(idle.read(&mut [0; 4096]).unwrap() > 0);
    server.signal("TERM");
    assert!(matches!(socket.next(), Frame::Close(1012, _)));
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).unwrap();
    drop((idle, socket));
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn both_versions_are_spoken_and_no_other_protocol() {
    let server = serving(&[]);
    for version in [&TLS12, &TLS13] {
        let mut config = speaking(&[version]);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let stream = over(config, TcpStream::connect(server.address).unwrap());
        assert_eq!(stream.conn.protocol_version(), Some(version.version));
        assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert!(ask(stream, "/healthz").starts_with("HTTP/1.1 200 "));
    }
    let mut config = client();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = "localhost".try_into().unwrap();
    let mut connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let error = connection.complete_io(&mut TcpStream::connect(server.address).unwrap()).unwrap_err();
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
}

#[test]
fn who_does_not_speak_tls_is_told_so_if_it_speaks_http() {
    let server = serving(&[]);
    let answer = server.get("/healthz");
    let (_, message) = answer.expect_error(400);
    assert_eq!(message, "Malformed request: this port speaks TLS: use https://");
    // What came is read to its end, so that the answer is not lost.
    let mut client = server.connect();
    client.send(format!("POST {DRAFTS} HTTP/1.1\r\nHost: t\r\nContent-Length: 50000\r\n\r\n{}", "x".repeat(50_000)));
    client.answer().expect_error(400);
    for rubbish in
        [&b"\0\0\0\0\0\0\0\0"[..], b"\x16\x03\x01\xff\xff", b"\x16\x03\x01\0\x05hello", b"\x80\x2e\x01\0\x02"]
    {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.write_all(rubbish).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // At most an alert.
        let mut rest = Vec::new();
        match stream.read_to_end(&mut rest) {
            Ok(_) => assert!(rest.is_empty() || rest[0] == 21, "{rest:?}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
    assert!(ask(connect(server.address), "/healthz").starts_with("HTTP/1.1 200 "));
}

#[test]
fn half_a_handshake_has_the_time_of_a_head() {
    let server = serving(&[("HEAD_TIMEOUT_SECONDS", "1")]);
    let name = "localhost".try_into().unwrap();
    let mut connection = rustls::ClientConnection::new(Arc::new(client()), name).unwrap();
    let mut hello = Vec::new();
    connection.write_tls(&mut hello).unwrap();
    let began = Instant::now();
    let mut streams: Vec<TcpStream> = [0, 1, hello.len() / 2, hello.len()]
        .iter()
        .map(|count| {
            let mut stream = TcpStream::connect(server.address).unwrap();
            stream.write_all(&hello[..*count]).unwrap();
            stream
        })
        .collect();
    assert!(ask(connect(server.address), "/healthz").starts_with("HTTP/1.1 200 "));
    for stream in &mut streams {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // The last one is answered before it falls silent.
        while stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {}
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn strangers_who_never_finish_a_handshake_take_no_more_than_their_places() {
    let server = serving(&[("SHARDS", "1"), ("MAX_CONNECTIONS", "400"), ("MAX_CONNECTIONS_PER_ADDRESS", "1000")]);
    let mut guest = Client::connect(tunnel(server.address));
    guest.get("/healthz", None).expect(200);
    // More than there are places for everybody, and yet there is always one.
    let mut strangers = Vec::new();
    for number in 0..2 * HANDSHAKES_MAX {
        strangers.push(TcpStream::connect(server.address).unwrap());
        if number % 64 == 0 {
            assert!(ask(connect(server.address), "/healthz").starts_with("HTTP/1.1 200 "));
        }
    }
    assert!(is_over(&mut strangers[0]), "who has waited longest goes first");
    guest.get("/healthz", None).expect(200);
}

#[test]
fn a_new_certificate_is_shown_from_then_on_and_a_bad_one_never() {
    let server = serving(&[("HOUSEKEEPING_SECONDS", "1")]);
    let mut before = Client::connect(tunnel(server.address));
    before.get("/healthz", None).expect(200);
    assert_eq!(shown(server.address), certificate("server"));
    show(&server, "renewed");
    let line = server.wait_for_log(|line| line["message"] == "tls.changed");
    assert_eq!((&line["file"], &line["until"]), (&json!("cert.pem"), &json!("2119-01-01")));
    assert_eq!(shown(server.address), certificate("renewed"));
    before.get("/healthz", None).expect(200);
    std::fs::write(server.directory.path().join("key.pem"), "half a ke").unwrap();
    let line = server.wait_for_log(|line| line["message"] == "tls.not_changed");
    assert_eq!(line["error"], "TLS_KEY_FILE=key.pem contains no private key in PEM");
    assert_eq!(shown(server.address), certificate("renewed"));
    let ready = Client::connect(tunnel(server.address)).get("/readyz?verbose=1", None).expect(200);
    let check = ready["checks"].as_array().unwrap().iter().find(|check| check["name"] == "tls").unwrap();
    assert_eq!(
        (&check["until"], &check["warning"]),
        (&json!("2119-01-01"), &json!("TLS_KEY_FILE=key.pem contains no private key in PEM"))
    );
}

#[test]
fn a_reload_looks_at_once() {
    let server = serving(&[("HOUSEKEEPING_SECONDS", "3600")]);
    show(&server, "renewed");
    server.signal("HUP");
    server.wait_for_log(|line| line["message"] == "config.reloaded");
    assert_eq!(shown(server.address), certificate("renewed"));
    std::fs::write(server.directory.path().join("cert.pem"), "").unwrap();
    server.signal("HUP");
    let line = server.wait_for_log(|line| line["message"] == "config.reload_failed");
    assert_eq!(line["problem"], "TLS_CERT_FILE=cert.pem has no certificate in PEM");
    assert_eq!(shown(server.address), certificate("renewed"));
}

#[test]
fn plain_http_is_redirected_on_a_socket_that_systemd_holds() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut server = absent(&[]);
    server.before = Some(format!("{HANDS_OVER}; export LISTEN_FDNAMES=redirect"));
    server.launch_with(as_stdin(held.try_clone().unwrap()));
    let mut client = Client::connect(held.local_addr().unwrap());
    client.send("GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = client.answer();
    let location = format!("https://localhost:{}/a", server.address.port());
    assert_eq!((answer.status, answer.header("location")), (308, Some(&*location)));
}

#[test]
fn plain_http_is_led_to_tls_at_an_address_of_its_own() {
    let server = serving(&[("TLS_REDIRECT_ADDR", "127.0.0.1:0"), ("TLS_HSTS_SECONDS", "31536000")]);
    let opened =
        server.wait_for_log(|line| line["message"] == "server.door_opened" && line["door"] == "redirect to TLS");
    let address: SocketAddr = opened["address"].as_str().unwrap().parse().unwrap();
    let port = server.address.port();
    for (host, target, location) in [
        ("localhost", "/a?b=c%20d", Some(format!("https://localhost:{port}/a?b=c%20d"))),
        ("localhost:80", "/", Some(format!("https://localhost:{port}/"))),
        ("[::1]:80", "/", Some(format!("https://[::1]:{port}/"))),
        ("evil.example/x?", "/", None),
        ("", "/", None),
    ] {
        let mut client = Client::connect(address);
        client.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        let answer = client.answer();
        assert_eq!(answer.header("location"), location.as_deref(), "{host}");
        assert_eq!(answer.status, if location.is_some() { 308 } else { 400 }, "{host}");
        assert_eq!(answer.header("strict-transport-security"), None, "it counts only over TLS (RFC 6797 §7.2)");
    }
    let posted = Client::connect(address).post(DRAFTS, Some("alice"), &json!({ "title": "x", "platform": "x" }));
    assert_eq!(posted.status, 308);
    let answer = ask(connect(server.address), "/healthz");
    assert!(answer.contains("\r\nstrict-transport-security: max-age=31536000\r\n"), "{answer}");
    for refused in ["/nothing", "no-target"] {
        assert!(ask(connect(server.address), refused).contains("strict-transport-security"), "{refused}");
    }
    let without = ask(connect(serving(&[]).address), "/healthz");
    assert!(!without.contains("strict-transport-security"), "{without}");
}

/// What a verb says, by the settings of a server with TLS at this address.
fn said(directory: &Path, address: SocketAddr, arguments: &[&str], settings: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = inkring(directory);
    command.args(arguments).env("LISTEN_ADDR", address.to_string());
    command.envs([("TLS_CERT_FILE", "cert.pem"), ("TLS_KEY_FILE", "key.pem")]).envs(settings.iter().copied());
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    (output.status.code(), text)
}

#[test]
fn the_verbs_know_a_server_with_tls() {
    let server = serving(&[]);
    let (directory, address) = (server.directory.path(), server.address);
    let (code, text) = said(directory, address, &["healthcheck"], &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains(&format!("ready: https://{address}/readyz\n")), "{text}");
    let (_, text) = said(directory, address, &["doctor"], &[]);
    assert!(text.contains("green   tls "), "{text}");
    assert!(text.contains("cert.pem is valid until 2120-01-01"), "{text}");
    assert!(
        text.contains(&format!("green   server         process {} has the database open and is ready", server.pid())),
        "{text}"
    );
    let url = format!("https://localhost:{}", address.port());
    let (code, text) = said(directory, address, &["smoke", "--base-url", &url, "--ca", &authority()], &[]);
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn a_health_check_holds_its_own_server_to_the_authority_that_it_is_given() {
    let server = serving(&[]);
    let (directory, address) = (server.directory.path(), server.address);
    let ready = format!("ready: https://{address}/readyz\n");
    for trusting in [&["--ca", &authority()][..], &["--insecure"]] {
        let (code, text) = said(directory, address, &[&["healthcheck"], trusting].concat(), &[]);
        assert!(code == Some(0) && text.contains(&ready), "{trusting:?}: {text}");
        assert_eq!(text.contains("is not verified"), trusting[0] == "--insecure", "{text}");
    }
    let stranger = file("renewed.pem");
    let (code, text) = said(directory, address, &["healthcheck", "--ca", stranger.to_str().unwrap()], &[]);
    assert!(code == Some(1) && text.contains("not ready: ") && text.contains("certificate"), "{text}");
    let (code, text) = said(directory, address, &["healthcheck", "--ca", "nowhere.pem"], &[]);
    assert!(code == Some(2) && text.contains("--ca: "), "{text}");
    // The doctor looks at its own server by other means.
    for trusting in [&["--ca", &authority()][..], &["--insecure"]] {
        let (code, text) = said(directory, address, &[&["doctor"], trusting].concat(), &[]);
        let says = format!("{} is for --url: give both", trusting[0]);
        assert!(code == Some(2) && text.contains(&says), "{trusting:?}: {text}");
    }
}

#[test]
fn a_key_that_everybody_can_read_is_told_at_the_start_and_refused_by_the_strict() {
    const SAYS: &str =
        "TLS_KEY_FILE=key.pem has mode 0644, which lets every user of this machine use the key: chmod o=";
    let mut server = absent(&[("HOUSEKEEPING_SECONDS", "3600")]);
    let key = server.directory.path().join("key.pem");
    chmod(&key, 0o644);
    server.launch();
    let warned = || server.log().matches(SAYS).count();
    assert_eq!(warned(), 1, "{}", server.log());
    // A renewal by a script that forgets the mode.
    chmod(&key, 0o600);
    show(&server, "renewed");
    chmod(&key, 0o644);
    server.signal("HUP");
    server.wait_for_log(|line| line["message"] == "config.reloaded");
    assert_eq!(warned(), 2);
    let strict = [("CONFIG_STRICT", "true"), ("ALLOWED_ORIGINS", "https://a.example")];
    let (directory, address) = (server.directory.path(), SocketAddr::from(([127, 0, 0, 1], 0)));
    for verb in ["check-config", "serve"] {
        let (code, text) = said(directory, address, &[verb], &strict);
        assert!(code != Some(0) && text.contains(SAYS), "{verb}: {text}");
    }
    // As systemd hands out credentials.
    for mode in [0o400, 0o440] {
        chmod(&key, mode);
        let (code, text) = said(directory, address, &["check-config"], &strict);
        assert!(code == Some(0) && !text.contains("has mode"), "{text}");
    }
}

#[test]
fn smoke_and_demo_believe_their_own_server_and_ask_another_who_it_is() {
    // Nobody but the tests knows who signed its certificate.
    let server = serving(&[]);
    let (directory, address) = (server.directory.path(), server.address);
    let url = format!("https://localhost:{}", address.port());
    for verb in ["smoke", "demo"] {
        let (code, text) = said(directory, address, &[verb, "--base-url", &url], &[]);
        assert!(code == Some(1) && text.contains("certificate"), "{verb}: {text}");
        let (code, text) = said(directory, address, &[verb, "--ca", "nowhere.pem"], &[]);
        assert!(code == Some(2) && text.contains("--ca: "), "{verb}: {text}");
        let (code, text) = said(directory, address, &[verb], &[]);
        assert!(code == Some(0) && !text.contains("--insecure"), "{verb}: {text}");
    }
    // The household is there by now: whoever hears that has been let in.
    for trusting in [&["--ca", &authority()][..], &["--insecure"]] {
        let (code, text) = said(directory, address, &[&["demo", "--base-url", &url], trusting].concat(), &[]);
        assert!(code == Some(1) && text.contains("household records"), "{trusting:?}: {text}");
        assert_eq!(text.contains("is not verified"), trusting[0] == "--insecure", "{text}");
    }
}

#[test]
fn what_cannot_be_shown_stops_the_start_and_is_found_before() {
    let directory = tempfile::tempdir().unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    for name in ["server.pem", "server.key.pem", "renewed.key.pem", "expired.pem", "expired.key.pem"] {
        std::fs::copy(file(name), directory.path().join(name)).unwrap();
    }
    for (certificate, key, more, says) in [
        ("server.pem", "", ("ENV", "test"), "TLS_CERT_FILE is set and TLS_KEY_FILE is not"),
        ("", "server.key.pem", ("ENV", "test"), "TLS_KEY_FILE is set and TLS_CERT_FILE is not"),
        ("none.pem", "server.key.pem", ("ENV", "test"), "none.pem cannot be read"),
        ("server.pem", "renewed.key.pem", ("ENV", "test"), "renewed.key.pem is not the key of"),
        (
            "",
            "",
            ("TLS_REDIRECT_ADDR", "127.0.0.1:0"),
            "TLS_REDIRECT_ADDR=127.0.0.1:0 redirects to TLS, which is not set up",
        ),
    ] {
        let settings = [("TLS_CERT_FILE", certificate), ("TLS_KEY_FILE", key), more];
        let (code, text) = said(directory.path(), address, &["check-config"], &settings);
        assert!(code == Some(3) && text.contains(says), "{text}");
        let (code, text) = said(directory.path(), address, &["serve"], &settings);
        assert!(code != Some(0) && text.contains(says), "{text}");
    }
    let expired = [("TLS_CERT_FILE", "expired.pem"), ("TLS_KEY_FILE", "expired.key.pem")];
    let key = directory.path().join("expired.key.pem");
    chmod(&key, 0o644);
    let (code, text) = said(directory.path(), address, &["check-config"], &expired);
    assert!(
        code == Some(0) && text.contains("warning: the certificate of TLS_CERT_FILE expired on 2021-01-01"),
        "{text}"
    );
    assert!(
        text.contains("expired.key.pem has mode 0644, which lets every user of this machine use the key"),
        "{text}"
    );
    let (_, text) = said(directory.path(), address, &["doctor"], &expired);
    assert!(text.contains("red     tls            the certificate of TLS_CERT_FILE expired on 2021-01-01"), "{text}");
}
