//! docs/deploy/nginx.conf and docs/deploy/Caddyfile, run as they are but for addresses, certificates and the names of
//! hosts: requests, sockets, who the client is, and how much one of them may hold.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use inkring::settings::Endpoint;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::repository::read;
use crate::support::process::Process;
use crate::support::socket::{Frame, PING, Socket, path};
use crate::support::yjs::{Peer, typed};
use crate::support::{Answer, Client, PATIENCE, Server, inkring, needs, wait_for};

const DRAFTS: &str = "/v1/collab/drafts";
const SECRET: &str = "5f0b8e27c1d94a63b7e2f1a09c84d653";
/// Two clients of the proxy. The proxy itself comes from 127.0.0.1, which is trusted.
const CLIENTS: [[u8; 4]; 2] = [[127, 0, 0, 2], [127, 0, 0, 3]];

/// A proxy in front of a server of its own.
struct Proxied {
    server: Server,
    address: SocketAddr,
    _directory: tempfile::TempDir,
    _proxy: Process,
}

/// Replaces exactly one place.
#[track_caller]
fn put(text: &mut String, from: &str, to: &str) {
    assert_eq!(text.matches(from).count(), 1, "{from}");
    *text = text.replace(from, to);
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// nginx with the shipped file among its own, everything below `directory`.
fn nginx(program: &Path, directory: &Path, port: u16, server: &Endpoint) -> Command {
    let mut shipped = read("docs/deploy/nginx.conf");
    put(&mut shipped, "\n    server 127.0.0.1:8000;", &format!("\n    server {server};"));
    // Tests speak no TLS.
    put(&mut shipped, "    listen 443 ssl http2;\n", &format!("    listen 127.0.0.1:{port};\n"));
    put(&mut shipped, "    listen [::]:443 ssl http2;\n", "");
    for name in ["ssl_certificate ", "ssl_certificate_key "] {
        let line = shipped.lines().find(|line| line.trim_start().starts_with(name)).unwrap().to_owned();
        put(&mut shipped, &format!("{line}\n"), "");
    }
    put(&mut shipped, "    listen 80;\n", "    listen unix:plain.sock;\n");
    put(&mut shipped, "    listen [::]:80;\n", "");
    std::fs::write(directory.join("inkring.conf"), shipped).unwrap();
    // One process, so that none is left when it is killed.
    let temporary =
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|what| format!("{what}_temp_path {what};\n"));
    let main = format!(
        "daemon off; master_process off; pid nginx.pid; error_log stderr; events {{ worker_connections 1024; }}\n\
         http {{ access_log off; {} include inkring.conf; }}\n",
        temporary.concat()
    );
    std::fs::write(directory.join("nginx.conf"), main).unwrap();
    let mut command = Command::new(program);
    command.arg("-p").arg(directory).args(["-c", "nginx.conf", "-e", "stderr"]).current_dir(directory);
    command
}

/// Caddy with the shipped file behind a line of its own.
fn caddy(program: &Path, directory: &Path, port: u16, server: &Endpoint) -> Command {
    let mut shipped = read("docs/deploy/Caddyfile");
    let server = server.to_string().replace("unix:", "unix/");
    put(&mut shipped, "\treverse_proxy 127.0.0.1:8000 {", &format!("\treverse_proxy {server} {{"));
    put(&mut shipped, "\ndrafts.example.org {\n", &format!("\nhttp://:{port} {{\n\tbind 127.0.0.1\n"));
    let text = format!("{{\n\tadmin off\n\tauto_https off\n}}\n{shipped}");
    std::fs::write(directory.join("Caddyfile"), text).unwrap();
    let mut command = Command::new(program);
    command.args(["run", "--config", "Caddyfile", "--adapter", "caddyfile"]).current_dir(directory);
    command.env("HOME", directory).env_remove("XDG_DATA_HOME").env_remove("XDG_CONFIG_HOME");
    command
}

impl Proxied {
    /// One of the two, if it is installed.
    #[track_caller]
    fn by(name: &str, settings: &[(&str, &str)]) -> Option<Self> {
        Self::reaching(name, settings, |server| Endpoint::Tcp(server.address))
    }

    /// The same, passing on to this place.
    #[track_caller]
    fn reaching(name: &str, settings: &[(&str, &str)], place: impl Fn(&Server) -> Endpoint) -> Option<Self> {
        let Some(program) = needs::proxy(name) else {
            needs::skip(name);
            return None;
        };
        let own = [("TRUSTED_PROXIES", "127.0.0.1"), ("JWT_SECRET", SECRET), ("LOG_LEVEL", "debug")];
        let server = Server::with(&[&own[..], settings].concat());
        let directory = tempfile::tempdir().unwrap();
        // Somebody else may have taken the port meanwhile.
        let started = (0..5).find_map(|_| {
            let port = free_port();
            let make = if name == "nginx" { nginx } else { caddy };
            let mut command = make(&program, directory.path(), port, &place(&server));
            let log = std::fs::File::create(directory.path().join("log")).unwrap();
            let mut proxy = Process::spawn(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log)).unwrap();
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            let up = wait_for(|| {
                let ended = proxy.wait(std::time::Duration::ZERO).unwrap().map(|_| false);
                ended.or_else(|| TcpStream::connect(address).ok().map(|_| true))
            });
            up.then_some((proxy, address))
        });
        let said = std::fs::read_to_string(directory.path().join("log")).unwrap_or_default();
        let (proxy, address) = started.unwrap_or_else(|| panic!("{name} does not start: {said}"));
        Some(Self { server, address, _directory: directory, _proxy: proxy })
    }

    /// A connection to the proxy by this client.
    fn connect(&self, client: [u8; 4]) -> Client {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((client, 0)).into()).unwrap();
        socket.connect(&self.address.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client { stream, received: Vec::new() }
    }

    fn watch(&self, client: [u8; 4], draft: &str) -> (Answer, Socket) {
        Socket::upgrade(self.connect(client), &path(draft), &[bearer().header()])
    }
}

/// Who alice is; the proxies let no name through.
struct Bearer(String);

fn bearer() -> Bearer {
    bearer_with(&json!({}))
}

/// The same with these claims besides.
fn bearer_with(more: &Value) -> Bearer {
    let mut claims = json!({ "sub": "alice", "exp": 4_000_000_000_u32 });
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let token = encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap();
    Bearer(format!("Bearer {token}"))
}

impl Bearer {
    fn header(&self) -> (&'static str, &str) {
        ("Authorization", &self.0)
    }
}

/// What is the same behind both.
fn assert_served(proxied: &Proxied) {
    let bearer = bearer();
    let headers = [bearer.header(), ("Content-Type", "application/json")];
    let mut client = proxied.connect(CLIENTS[0]);
    let body = json!({ "title": "Proxied", "platform": "x" }).to_string();
    let made = client.request("POST", DRAFTS, &headers, body.as_bytes()).expect(200);
    let draft = made["data"]["draft_id"].as_str().unwrap();

    // A socket hears of a change at once, and answers.
    let (answer, mut socket) = proxied.watch(CLIENTS[0], draft);
    assert_eq!((answer.status, socket.json()["type"].as_str()), (101, Some("connected")), "{answer:?}");
    let body = json!({ "content": "x", "idempotency_key": "k" }).to_string();
    let segments = format!("{DRAFTS}/{draft}/segments");
    client.request("POST", &segments, &headers, body.as_bytes()).expect(200);
    assert_eq!(socket.json()["type"], "collab.segment_added");
    socket.send_text(PING);
    assert_eq!(socket.json()["type"], "pong");
    socket.close();

    // Nobody brings a name from outside, and what is refused is refused in the server's own shape.
    client.request("GET", DRAFTS, &[("X-User-Id", "eve")], b"").expect_error(401);
    let (code, message) = client.request("POST", DRAFTS, &headers, &[b' '; 100_000]).expect_error(413);
    assert_eq!((code.as_str(), message.contains("65536")), ("payload_too_large", true), "{message}");
    // That answer may have ended the connection.
    let mut client = proxied.connect(CLIENTS[0]);
    assert_eq!(client.request("GET", "/metrics", &[], b"").status, 404);

    // Rooms by every spelling of their name, a document larger than other bodies may be, and signalling.
    let owner = bearer_with(&json!({ "perm": "admin" }));
    let document = typed(5, 0, &"x".repeat(1_000_000));
    let put = client.request("PUT", "/rooms/%D0%BA%2Fa/update", &[owner.header()], &document);
    assert_eq!(put.expect(200), json!({ "seq": 1 }));
    for path in ["/rooms/%D0%BA/a?yjs=0", "/rooms?room=%D0%BA/a&json=1&yjs=0"] {
        let (answer, mut socket) = Socket::upgrade(proxied.connect(CLIENTS[0]), path, &[bearer.header()]);
        assert_eq!((answer.status, socket.json()["type"].as_str()), (101, Some("init")), "{answer:?}");
        socket.close();
    }
    let (_, socket) = Socket::upgrade(proxied.connect(CLIENTS[0]), "/rooms/%D0%BA/a", &[bearer.header()]);
    let mut peer = Peer { socket };
    assert_eq!(peer.binary()[..2], [0, 0]);
    assert!(peer.document() == document, "another document");
    let (_, mut socket) = Socket::upgrade(proxied.connect(CLIENTS[0]), "/signal", &[bearer.header()]);
    socket.send_text(PING);
    assert_eq!(socket.json()["type"], "pong");
    socket.close();

    // A request in the body of another is none, whatever else is said of where that body ends.
    let body = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n";
    for line in [
        "X: y",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding:\x0bchunked",
        "Transfer-Encoding : chunked",
        "Transfer_Encoding: chunked",
        "X: y\r\n Transfer-Encoding: chunked",
        "Content-Length: 5",
        "Content-Length : 5",
        "Content_Length: 5",
    ] {
        let mut client = proxied.connect(CLIENTS[0]);
        let length = body.len();
        client.send(format!(
            "POST {DRAFTS} HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: {length}\r\n{line}\r\n\r\n{body}"
        ));
        while client.read_more().is_ok() {}
        assert_eq!(client.received.windows(9).filter(|part| part == b"HTTP/1.1 ").count(), 1, "{line}");
    }
    proxied.server.get("/after-all-of-them");
    proxied.server.wait_for_log(|line| line["path"] == "/after-all-of-them");
    assert!(!proxied.server.log().contains("smuggled"));
}

/// What is far too large is refused in the same shape, whichever way its length is told, by whoever says so.
fn assert_refused(proxied: &Proxied, sizes: &[usize], says: &str) {
    for &bytes in sizes {
        let body = vec![b' '; bytes];
        let chunks = [format!("{bytes:x}\r\n").as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
        for answer in
            [with_length(proxied, DRAFTS, &body), sent(proxied, DRAFTS, "Transfer-Encoding: chunked\r\n", &chunks)]
        {
            assert_eq!(answer.header("content-type"), Some("application/json"), "{answer:?}");
            let (code, message) = answer.expect_error(413);
            assert_eq!((code.as_str(), message.contains(says)), ("payload_too_large", true), "{message}");
        }
    }
}

#[test]
fn nginx_as_it_is_shipped_serves_requests_and_sockets_and_lets_no_name_through() {
    if let Some(proxied) = Proxied::by("nginx", &[]) {
        assert_served(&proxied);
        assert_refused(&proxied, &[200_000, 3_000_000], "than this proxy accepts");
    }
}

#[test]
fn caddy_as_it_is_shipped_serves_requests_and_sockets_and_lets_no_name_through() {
    if let Some(proxied) = Proxied::by("caddy", &[]) {
        assert_served(&proxied);
        // As much as the server reads of what it has refused, so that its answer is never lost.
        assert_refused(&proxied, &[200_000, 1_000_000], "65536 bytes");
    }
}

#[test]
fn both_pass_on_to_a_unix_socket_and_are_believed_there() {
    for name in ["nginx", "caddy"] {
        let directory = tempfile::tempdir().unwrap();
        let place = Endpoint::Unix(directory.path().join("http"));
        let both = format!("127.0.0.1:0,{place}");
        let settings = [("LISTEN_ADDR", both.as_str()), ("TRUSTED_PROXIES", "unix")];
        let Some(proxied) = Proxied::reaching(name, &settings, |_| place.clone()) else { continue };
        let mut client = proxied.connect(CLIENTS[0]);
        client.request("GET", DRAFTS, &[bearer().header()], b"").expect(200);
        let (answer, mut socket) = proxied.watch(CLIENTS[0], "d");
        assert_eq!((answer.status, socket.json()["type"].as_str()), (101, Some("connected")), "{answer:?}");
        socket.close();
        assert!(!proxied.server.log().contains("proxy.header_not_trusted"), "{name}");
    }
}

/// A body that may be refused before it is sent.
fn sent(proxied: &Proxied, path: &str, headers: &str, body: &[u8]) -> Answer {
    let mut client = proxied.connect(CLIENTS[0]);
    let mut sending = client.stream.try_clone().unwrap();
    let head = format!("POST {path} HTTP/1.1\r\nHost: t\r\n{headers}\r\n");
    std::thread::scope(|scope| {
        scope.spawn(move || sending.write_all(&[head.as_bytes(), body].concat()));
        client.answer()
    })
}

fn with_length(proxied: &Proxied, path: &str, body: &[u8]) -> Answer {
    sent(proxied, path, &format!("Content-Length: {}\r\n", body.len()), body)
}

/// Files and records come through, as large as the server takes them; what is larger it refuses itself.
fn assert_takes_uploads(name: &str) {
    const UPLOAD: &str = "/api/v1/gallery/upload";
    const MOST: usize = 1_000_000;
    let settings = [("GALLERY_MAX_BYTES", "1000000"), ("BODY_TIMEOUT_SECONDS", "10")];
    let Some(proxied) = Proxied::by(name, &settings) else { return };
    let photo: Vec<u8> = (0..400_000_u32).map(|byte| (byte % 251) as u8).collect();
    let item = with_length(&proxied, &format!("{UPLOAD}?name=a.bin"), &photo).expect(200);
    assert_eq!(item["file_size"], json!(photo.len()));
    let address = item["url"].as_str().unwrap();
    assert!(proxied.connect(CLIENTS[0]).get(address, None).body == photo, "{name}: not what was sent");
    let head = "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"b.bin\"\r\n\r\n";
    let form = [head.as_bytes(), &photo[1..], b"\r\n--B--\r\n"].concat();
    let headers = format!("Content-Type: multipart/form-data; boundary=B\r\nContent-Length: {}\r\n", form.len());
    sent(&proxied, &format!("{UPLOAD}/"), &headers, &form).expect(200);
    let chunks = [format!("{:x}\r\n", photo.len()).as_bytes(), &photo, b"\r\n0\r\n\r\n"].concat();
    sent(&proxied, &format!("{UPLOAD}?name=c.bin"), "Transfer-Encoding: chunked\r\n", &chunks).expect(200);

    // A little beyond what it takes; how far beyond, the file says.
    for bytes in [MOST + 1, MOST + 500_000] {
        let (code, message) = with_length(&proxied, UPLOAD, &vec![7; bytes]).expect_error(413);
        assert_eq!(
            (code.as_str(), message.contains("1000000 bytes")),
            ("payload_too_large", true),
            "{name}: {message}"
        );
    }

    let filler = "X-FILLER:a line of a calendar\r\n".repeat(13_000);
    let calendar = format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//A//B//EN\r\n{filler}BEGIN:VEVENT\r\nUID:a@example.org\r\n\
         SUMMARY:A\r\nDTSTART;VALUE=DATE:20260801\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    );
    assert_eq!(with_length(&proxied, "/api/v1/calendar/import", calendar.as_bytes()).expect(200)["made"], 1);
    let mut lines = proxied.connect(CLIENTS[0]).get("/api/v1/export", None).body;
    lines.resize(400_000, b'\n');
    assert_eq!(with_length(&proxied, "/api/v1/import", &lines).expect(200)["refused"], 0);

    // Whatever takes more than other requests may have, now and later, is named in the file.
    let routes = inkring(proxied.server.directory.path()).args(["routes", "public"]).output().unwrap().stdout;
    let routes = String::from_utf8(routes).unwrap();
    let mut taking_more = 0;
    for line in routes.lines().filter_map(|line| line.strip_prefix("| `")) {
        let Some((route, rest)) = line.split_once('`') else { continue };
        let most = rest.split_once("at most ").and_then(|(_, most)| most.split_once(" bytes |"));
        let Some(most) = most.and_then(|(most, _)| most.parse::<usize>().ok()) else { continue };
        if most <= 128_000 {
            continue;
        }
        taking_more += 1;
        let path = route.split_once(' ').unwrap().1.replace("{*room}", "r/update");
        // As a POST it is refused or taken by the server, and not by what is in front of it.
        let answer = with_length(&proxied, &path, &[b'\n'; 200_000]);
        assert!(!answer.text().contains("the proxy"), "{name} refuses {route}: {}", answer.text());
        assert!(answer.header("x-content-type-options").is_some(), "{name} refuses {route}: {}", answer.text());
    }
    assert!(taking_more >= 4, "{routes}");
}

#[test]
fn nginx_as_it_is_shipped_hands_on_what_the_server_takes_in_as_it_comes() {
    assert_takes_uploads("nginx");
}

#[test]
fn caddy_as_it_is_shipped_hands_on_what_the_server_takes_in_as_it_comes() {
    assert_takes_uploads("caddy");
}

/// So many sockets of one client are served, one more is not, and another client notices nothing (finding 7).
fn assert_bounded(proxied: &Proxied, most: usize) {
    let [one, other] = CLIENTS;
    let mut held = Vec::new();
    for number in 0..most {
        let (answer, mut socket) = proxied.watch(one, "d");
        assert_eq!(answer.status, 101, "{number}: {}", answer.text());
        assert_eq!(socket.json()["type"], "connected");
        held.push(socket);
    }
    // By the client that it is and not by the one that it says it is.
    let spoofed = ("X-Forwarded-For", "192.0.2.7");
    let bearer = bearer();
    let (answer, _) = Socket::upgrade(proxied.connect(one), &path("d"), &[bearer.header(), spoofed]);
    assert_eq!(answer.status, 503, "{}", answer.text());
    let served = proxied.connect(other).request("GET", DRAFTS, &[bearer.header()], b"");
    served.expect(200);
    let (answer, mut socket) = proxied.watch(other, "d");
    assert_eq!((answer.status, socket.json()["type"].as_str()), (101, Some("connected")));
    // A place is free again with its socket.
    held.pop().unwrap().close();
    wait_for(|| (proxied.watch(one, "d").0.status == 101).then_some(()));
    for mut socket in held {
        socket.send_text(PING);
        assert!(matches!(socket.next(), Frame::Text(_)));
    }
}

#[test]
fn behind_nginx_a_client_holds_so_many_sockets_and_asks_so_often() {
    let Some(proxied) = Proxied::by("nginx", &[]) else { return };
    let limit = read("docs/deploy/nginx.conf");
    let limit = limit.lines().find_map(|line| line.trim().strip_prefix("limit_conn inkring_conn ")?.strip_suffix(';'));
    assert_bounded(&proxied, limit.unwrap().parse().unwrap());
    // All in one piece, so that they are faster than they may be.
    let mut client = proxied.connect(CLIENTS[0]);
    client.send("GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n".repeat(1000));
    let statuses: Vec<u16> = (0..1000).map_while(|_| client.try_answer(false).map(|answer| answer.status)).collect();
    let refused = statuses.iter().filter(|status| **status == 429).count();
    assert!(refused > 0 && statuses.contains(&200), "{refused} of {} were refused", statuses.len());
    assert_eq!(proxied.connect(CLIENTS[1]).get("/healthz", None).status, 200);
}

#[test]
fn behind_caddy_a_client_holds_so_many_sockets_as_the_server_lets_it() {
    let Some(proxied) = Proxied::by("caddy", &[("MAX_CONNECTIONS_PER_ADDRESS", "8")]) else { return };
    assert_bounded(&proxied, 8);
}
