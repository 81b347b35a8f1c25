//! What every request passes and every answer carries (contract 01 §0.3–0.5, §3, §5; rulings 3, 11 and 15).

use serde_json::{Value, json};

use crate::support::socket::Socket;
use crate::support::{Answer, Client, Server, wait_for};

const DRAFTS: &str = "/v1/collab/drafts";
const JSON: (&str, &str) = ("Content-Type", "application/json");
const ALICE: (&str, &str) = ("X-User-Id", "alice");
const LOCAL: &str = "http://localhost:3000";
const PREFLIGHT: (&str, &str) = ("Access-Control-Request-Method", "POST");

/// What a fresh connection answers to these bytes.
fn raw(server: &Server, bytes: impl AsRef<[u8]>) -> Answer {
    let mut client = server.connect();
    client.send(bytes);
    client.answer()
}

/// Bytes that are no request, or one that is refused before its body is read, by the status they earn.
fn rejects() -> Vec<(u16, String)> {
    let many: String = (0..65).map(|n| format!("x-{n}: 1\r\n")).collect();
    vec![
        (400, "GET / HTTP/1.1\r\n\r\n".to_owned()),
        (413, format!("POST {DRAFTS} HTTP/1.1\r\nHost: t\r\nContent-Length: 65537\r\n\r\n")),
        (413, format!("POST {DRAFTS} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n10001\r\n")),
        (414, format!("GET /{} HTTP/1.1\r\nHost: t\r\n\r\n", "x".repeat(8192))),
        (417, "GET / HTTP/1.1\r\nHost: t\r\nExpect: the-unexpected\r\n\r\n".to_owned()),
        (431, format!("GET / HTTP/1.1\r\nHost: t\r\nx: {}\r\n\r\n", "x".repeat(16 * 1024))),
        (431, format!("GET / HTTP/1.1\r\nHost: t\r\n{many}\r\n")),
        (501, "CONNECT t:80 HTTP/1.1\r\nHost: t\r\n\r\n".to_owned()),
        (505, "GET / HTTP/2.0\r\nHost: t\r\n\r\n".to_owned()),
    ]
}

/// One answer of every kind that a running server gives.
fn one_of_each(server: &Server, extra: &[(&str, &str)]) -> Vec<(&'static str, Answer)> {
    let draft = server.create_draft("alice");
    let mut client = server.connect();
    let mut send = |method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]| {
        client.request(method, path, &[headers, extra].concat(), body)
    };
    let segments = format!("{DRAFTS}/{draft}/segments");
    let good: &[u8] = br#"{"content":"x","idempotency_key":"k"}"#;
    let all = vec![
        ("200", send("GET", &format!("{DRAFTS}/{draft}"), &[], b"")),
        ("200 after a commit", send("POST", &segments, &[JSON, ALICE], good)),
        ("200 to HEAD", send("HEAD", "/healthz", &[], b"")),
        ("200 with another slash", send("GET", "/healthz/", &[], b"")),
        ("400", send("GET", &format!("{DRAFTS}/x?now=x"), &[], b"")),
        ("401", send("GET", DRAFTS, &[], b"")),
        ("403", send("POST", &segments, &[JSON, ("X-User-Id", "eve")], good)),
        ("404", send("GET", &format!("{DRAFTS}/x"), &[], b"")),
        ("404 to HEAD", send("HEAD", "/nowhere", &[], b"")),
        ("404 without a route", send("GET", "/nowhere", &[], b"")),
        ("404 for *", send("OPTIONS", "*", &[], b"")),
        ("405", send("DELETE", DRAFTS, &[], b"")),
        ("413", send("POST", DRAFTS, &[JSON, ALICE], &[b' '; 65537])),
    ];
    let mut client = server.connect();
    let shape = client.request("POST", DRAFTS, &[&[JSON, ALICE], extra].concat(), b"{");
    [all, vec![("422", shape)]].concat()
}

#[track_caller]
/// The one value of this header.
pub fn once(name: &str, answer: &Answer) -> String {
    let values: Vec<_> = answer.headers.iter().filter(|(known, _)| known == name).collect();
    assert_eq!(values.len(), 1, "{name} in {:?}", answer.headers);
    values[0].1.clone()
}

fn count(name: &str, answer: &Answer) -> usize {
    answer.headers.iter().filter(|(known, _)| known == name).count()
}

#[test]
fn every_answer_carries_the_same_headers_once() {
    let server = Server::start();
    let rejected = rejects().into_iter().map(|(status, bytes)| {
        let answer = raw(&server, bytes);
        assert_eq!(answer.status, status, "{}", answer.text());
        ("rejected", answer)
    });
    for (kind, answer) in one_of_each(&server, &[]).into_iter().chain(rejected) {
        for (name, value) in [
            ("cache-control", "no-store"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("referrer-policy", "no-referrer"),
            ("vary", "Origin"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(once(name, &answer), value, "{kind}");
        }
        once("x-request-id", &answer);
        once("content-length", &answer);
        assert!(once("date", &answer).ends_with(" GMT"), "{kind}");
        assert_eq!(once("content-type", &answer), "application/json", "{kind}: no charset (contract 01 §0.2)");
        assert_eq!(count("access-control-allow-origin", &answer), 0, "{kind}: no Origin, no CORS");
        assert_eq!(count("server", &answer), 0);
    }
}

#[test]
fn every_error_is_an_envelope_whose_id_is_the_headers() {
    let server = Server::start();
    for (status, bytes) in rejects() {
        let answer = raw(&server, bytes);
        let (code, message) = answer.expect_error(status);
        assert_eq!(code, if status == 413 { "payload_too_large" } else { "http_error" });
        assert_eq!(answer.json()["detail"], message);
        assert_eq!(once("connection", &answer), "close", "{message}");
    }
    for (kind, answer) in one_of_each(&server, &[("X-Request-Id", "RID-1")]) {
        assert_eq!(once("x-request-id", &answer), "RID-1", "{kind}: the client's id comes back (contract 01 §5)");
        if answer.status >= 400 && !kind.ends_with("HEAD") {
            answer.expect_error(answer.status);
            assert_eq!(answer.json().as_object().unwrap().len(), 2, "error and detail, nothing else");
        }
    }
}

#[test]
fn a_body_that_is_refused_unread_still_answers_its_own_request() {
    let server = Server::start();
    for framing in ["Content-Length: 70000", "Transfer-Encoding: chunked"] {
        let answer = raw(
            &server,
            format!(
                "POST {DRAFTS} HTTP/1.1\r\nHost: t\r\nOrigin: {LOCAL}\r\nX-Request-Id: mine\r\n{framing}\r\n\r\nffffff\r\n"
            ),
        );
        let (code, message) = answer.expect_error(413);
        assert_eq!(
            (code.as_str(), message.as_str()),
            ("payload_too_large", "The request body is over the limit of 65536 bytes")
        );
        assert_eq!(once("x-request-id", &answer), "mine");
        assert_eq!(once("access-control-allow-origin", &answer), LOCAL, "or the page could not read it (ruling 15)");
    }
    let mut client = server.connect();
    client.send("HEAD /healthz HTTP/1.1\r\nHost: t\r\nContent-Length: 70000\r\n\r\n");
    assert_eq!(client.answer_to_head().status, 413);
    assert!(client.is_closed(), "an answer to HEAD has no body, even to refuse");
}

#[test]
fn a_body_that_does_not_come_is_answered_as_its_own_request_too() {
    let server = Server::with(&[("BODY_TIMEOUT_SECONDS", "1")]);
    let mut clients = ["Content-Length: 9\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\n9\r\n{"].map(|body| {
        let mut client = server.connect();
        client.send(format!("POST {DRAFTS} HTTP/1.1\r\nHost: t\r\nOrigin: {LOCAL}\r\nX-Request-Id: mine\r\n{body}"));
        client
    });
    for client in &mut clients {
        let answer = client.answer();
        assert_eq!(answer.expect_error(408).1, "The request body was not complete within 1 s");
        assert_eq!(once("x-request-id", &answer), "mine");
        assert_eq!(once("access-control-allow-origin", &answer), LOCAL);
    }
}

#[test]
fn a_broken_database_is_a_500_that_tells_nothing_of_the_inside() {
    let server = Server::start();
    let draft = server.create_draft("alice");
    let database = rusqlite::Connection::open(server.database()).unwrap();
    database.execute_batch("PRAGMA foreign_keys = OFF; DROP TABLE drafts;").unwrap();
    let body = br#"{"title":"t","platform":"x","content":"c","to_user_id":"u","idempotency_key":"k"}"#;
    let mut client = server.connect();
    for (method, path) in [
        ("POST", DRAFTS.to_owned()),
        ("GET", DRAFTS.to_owned()),
        ("GET", format!("{DRAFTS}/x")),
        ("POST", format!("{DRAFTS}/{draft}/segments")),
        ("POST", format!("{DRAFTS}/{draft}/pass-ring")),
        ("POST", format!("{DRAFTS}/{draft}/collaborators?collaborator_id=bob")),
    ] {
        let answer = client.request(method, &path, &[ALICE, JSON, ("Origin", LOCAL)], body);
        let expected = ("internal_error".to_owned(), "Unexpected error".to_owned());
        assert_eq!(answer.expect_error(500), expected, "{method} {path} (R20a)");
        assert_eq!(answer.json()["detail"], "Unexpected error");
        assert_eq!(once("access-control-allow-origin", &answer), LOCAL, "R29");
        let id = once("x-request-id", &answer);
        let line = server.wait_for_log(|line| line["request_id"] == id && line["level"] == "ERROR");
        assert_eq!(line["message"], "unhandled.exception");
        assert!(line["context"].as_str().unwrap().contains("no such table"), "the log has the details: {line}");
    }
    client.get("/healthz", None).expect(200);
}

#[test]
fn changes_beyond_the_writers_queue_are_told_to_come_again() {
    let server = Server::with(&[("WRITER_QUEUE_JOBS", "1")]);
    let stranger = rusqlite::Connection::open(server.database()).unwrap();
    stranger.execute_batch("BEGIN IMMEDIATE").unwrap();
    // One may wait in the writer's hands and one in its queue.
    let mut clients: Vec<_> = (0..6).map(|_| server.connect()).collect();
    let body = r#"{"title":"t","platform":"x"}"#;
    for client in &mut clients {
        let length = body.len();
        client.send(format!(
            "POST {DRAFTS} HTTP/1.1\r\nHost: t\r\nX-User-Id: alice\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
    }
    let refused = || server.log().lines().filter(|line| line.contains("\"overloaded\"")).count();
    wait_for(|| (refused() >= 4).then_some(()));
    stranger.execute_batch("ROLLBACK").unwrap();
    let (made, refused): (Vec<_>, Vec<_>) =
        clients.iter_mut().map(Client::answer).partition(|answer| answer.status == 200);
    for answer in &refused {
        let message = "Too many changes are waiting to be written; nothing was changed";
        assert_eq!(answer.expect_error(503), ("overloaded".to_owned(), message.to_owned()));
        assert_eq!(once("retry-after", answer), "1");
    }
    assert!(!made.is_empty());
    assert_eq!(server.get_as("alice", DRAFTS).expect(200)["count"], made.len(), "what was refused did not happen (G4)");
}

#[test]
fn request_ids_are_kept_when_they_are_at_most_128_visible_ascii_characters() {
    let server = Server::start();
    let mut client = server.connect();
    let mut id =
        |value: &str| once("x-request-id", &client.request("GET", "/healthz", &[("x-ReQuEsT-iD", value)], b""));
    for fit in ["1", "RID-1", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", &"x".repeat(128)] {
        assert_eq!(id(fit), fit);
    }
    let long = "x".repeat(129);
    for unfit in ["", "a b", "a\tb", "é", long.as_str()] {
        let given = id(unfit);
        assert!(uuid::Uuid::parse_str(&given).is_ok(), "{unfit:?}: {given}");
    }
    assert_ne!(id(""), id(""), "each request has its own");
    let both = [("X-Request-Id", "first"), ("X-Request-Id", "second")];
    assert_eq!(once("x-request-id", &client.request("GET", "/healthz", &both, b"")), "first");
}

#[test]
fn a_preflight_is_answered_before_anything_else() {
    let server = Server::start();
    let mut client = server.connect();
    for path in [DRAFTS, "/nowhere", "/healthz"] {
        let wanted = ("Access-Control-Request-Headers", "x-user-id,content-type");
        let answer = client.request("OPTIONS", path, &[("Origin", LOCAL), PREFLIGHT, wanted], b"");
        assert_eq!((answer.status, answer.text()), (200, "OK"));
        assert_eq!(once("content-type", &answer), "text/plain; charset=utf-8");
        assert_eq!(once("access-control-allow-origin", &answer), LOCAL);
        assert_eq!(once("access-control-allow-credentials", &answer), "true");
        assert_eq!(once("access-control-allow-headers", &answer), "x-user-id,content-type");
        assert_eq!(once("access-control-max-age", &answer), "600");
        let methods = once("access-control-allow-methods", &answer);
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            assert!(methods.split(", ").any(|known| known == method), "{methods}");
        }
        assert_eq!(once("vary", &answer), "Origin");
    }
    for origin in ["https://evil.example", "null", "http://localhost:3000.evil.example", "http://localhost:30000", "*"]
    {
        let answer = client.request("OPTIONS", DRAFTS, &[("Origin", origin), PREFLIGHT], b"");
        assert_eq!((answer.status, answer.text()), (400, "Disallowed CORS origin"), "{origin}");
        assert_eq!(count("access-control-allow-origin", &answer), 0);
        assert_eq!(count("access-control-allow-methods", &answer), 0);
    }
}

#[test]
fn a_listed_origin_may_read_every_answer_and_another_none() {
    let server = Server::start();
    for (kind, answer) in one_of_each(&server, &[("Origin", LOCAL)]) {
        assert_eq!(once("access-control-allow-origin", &answer), LOCAL, "{kind}");
        assert_eq!(once("access-control-allow-credentials", &answer), "true", "{kind}");
        assert!(once("access-control-expose-headers", &answer).contains("x-request-id"), "{kind}");
        once("vary", &answer);
    }
    for (kind, answer) in one_of_each(&server, &[("Origin", "https://evil.example")]) {
        assert_eq!(count("access-control-allow-origin", &answer), 0, "{kind}");
        assert_eq!(once("access-control-allow-credentials", &answer), "true", "{kind} (contract 01 §0.3)");
    }
}

#[test]
fn the_list_of_origins_may_be_a_star_or_come_by_its_other_name() {
    let any = Server::with(&[("ALLOWED_ORIGINS", "*")]);
    for (kind, answer) in one_of_each(&any, &[("Origin", "https://anyone.example")]) {
        assert_eq!(once("access-control-allow-origin", &answer), "*", "{kind}");
        assert_eq!(count("access-control-allow-credentials", &answer), 0, "{kind}: * goes without credentials");
    }
    let headers = [("Origin", "null"), PREFLIGHT];
    assert_eq!(any.connect().request("OPTIONS", DRAFTS, &headers, b"").status, 200);

    let alias = Server::with(&[("CORS_ORIGINS", "https://one.example, https://TWO.example:443\nhttp://three.example")]);
    let mut client = alias.connect();
    for origin in ["https://one.example", "https://two.example", "http://three.example"] {
        let answer = client.request("GET", "/healthz", &[("Origin", origin)], b"");
        assert_eq!(once("access-control-allow-origin", &answer), origin);
    }
    let answer = client.request("GET", "/healthz", &[("Origin", LOCAL)], b"");
    assert_eq!(count("access-control-allow-origin", &answer), 0, "a list replaces the default");
}

#[test]
fn a_known_path_without_the_method_says_which_methods_it_has() {
    let server = Server::start();
    let draft = format!("{DRAFTS}/some-id");
    let mut client = server.connect();
    for (method, path, allow) in [
        ("DELETE", DRAFTS, "POST, GET, HEAD"),
        ("OPTIONS", DRAFTS, "POST, GET, HEAD"),
        ("PUT", draft.as_str(), "GET, HEAD, DELETE"),
        ("GET", &format!("{draft}/segments"), "POST"),
        ("HEAD", &format!("{draft}/segments"), "POST"),
        ("PATCH", &format!("{draft}/pass-ring"), "POST"),
        ("BREW", &format!("{draft}/collaborators"), "POST"),
        ("POST", "/healthz", "GET, HEAD"),
        ("OPTIONS", "/readyz", "GET, HEAD"),
        ("get", "/healthz", "GET, HEAD"),
    ] {
        let answer = client.request(method, path, &[], b"");
        assert_eq!(answer.status, 405, "{method} {path}");
        assert_eq!(once("allow", &answer), allow, "{method} {path}");
        if method == "HEAD" {
            continue;
        }
        let id = once("x-request-id", &answer);
        let envelope = json!({ "code": "http_error", "message": "Method Not Allowed", "request_id": id });
        assert_eq!(answer.json(), json!({ "error": envelope, "detail": "Method Not Allowed" }));
    }
    let answer = client.request("GET", "/nowhere", &[], b"");
    let envelope = json!({ "code": "not_found", "message": "Not Found", "request_id": once("x-request-id", &answer) });
    assert_eq!(answer.expect(404), json!({ "error": envelope, "detail": "Not Found" }));
}

#[test]
fn head_is_get_without_the_body() {
    let server = Server::start();
    let draft = server.create_draft("alice");
    let mut client = server.connect();
    for path in
        [format!("{DRAFTS}/{draft}?now=2100-01-01"), "/healthz".to_owned(), "/readyz".to_owned(), "/nowhere".to_owned()]
    {
        let headers = [("X-Request-Id", "same")];
        let (get, head) = (client.request("GET", &path, &headers, b""), client.request("HEAD", &path, &headers, b""));
        let without_date = |answer: &Answer| {
            let headers = answer.headers.iter().filter(|(name, _)| name != "date").cloned();
            headers.collect::<Vec<_>>()
        };
        assert_eq!((head.status, without_date(&head)), (get.status, without_date(&get)), "{path}");
        assert!(head.body.is_empty() && !get.body.is_empty());
    }
    assert_eq!(client.request("HEAD", DRAFTS, &[], b"").status, 401);
}

#[test]
fn a_slash_at_the_end_makes_no_difference_and_nobody_is_redirected() {
    // Behind a proxy or not, whatever it says of the scheme.
    for settings in [&[][..], &[("TRUSTED_PROXIES", "127.0.0.1")]] {
        let server = Server::with(settings);
        let draft = server.create_draft("alice");
        let proto = ("X-Forwarded-Proto", "HTTPS,http");
        let mut client = server.connect();
        let mut send = |method: &str, path: &str, body: &[u8]| {
            let answer = client.request(method, path, &[ALICE, JSON, proto], body);
            assert_eq!(count("location", &answer), 0, "{path}");
            answer
        };
        send("GET", "/healthz/?q", b"").expect(200);
        assert_eq!(send("HEAD", "/healthz/", b"").status, 200);
        send("GET", &format!("{DRAFTS}/{draft}/"), b"").expect(200);
        let good = br#"{"content":"x","idempotency_key":"k"}"#;
        send("POST", &format!("{DRAFTS}/{draft}/segments/?a=b"), good).expect(200);
        let made = send("POST", &format!("{DRAFTS}/"), br#"{"title":"t","platform":"x"}"#);
        assert_eq!(made.expect(200)["data"]["title"], "t");
        let listed = send("GET", &format!("{DRAFTS}/"), b"").expect(200);
        assert_eq!(listed, send("GET", DRAFTS, b"").expect(200));
        assert_eq!(send("DELETE", &format!("{DRAFTS}/"), b"").status, 405);
        for nowhere in ["/nowhere/", "//", "/healthz//", "//healthz/", "/%2Fhealthz/"] {
            assert_eq!(send("GET", nowhere, b"").status, 404, "{nowhere}");
        }
        // A token in the query of a handshake is not repeated in a header.
        let socket = format!("/v1/ws/drafts/{draft}/?access_token=S");
        let (answer, mut socket) = Socket::open(&server, &socket, &[ALICE]);
        assert_eq!(answer.status, 101);
        assert_eq!(socket.json()["type"], "connected");
    }
    let server = Server::start();
    for hostile in ["a b", "<script>", "evil.example/path", "me@evil.example", "a:b@evil.example", "x?y", "x#y", "a\\b"]
    {
        let answer = raw(&server, format!("GET /healthz/ HTTP/1.1\r\nHost: {hostile}\r\n\r\n"));
        assert_eq!((answer.status, answer.header("location")), (400, None), "Host: {hostile}");
    }
}

#[test]
fn a_name_that_was_made_to_lead_here_is_answered_nothing() {
    let ask = |server: &Server, host: &str| {
        raw(server, format!("GET {DRAFTS} HTTP/1.1\r\nHost: {host}\r\nX-User-Id: alice\r\n\r\n")).status
    };
    let server = Server::with(&[("ALLOWED_ORIGINS", "https://app.example:8443,http://localhost:3000")]);
    for host in ["rebind.example", "rebind.example:8000", "127.0.0.1.rebind.example", "app.example.rebind.example"] {
        assert_eq!(ask(&server, host), 421, "{host}");
    }
    let answer = raw(&server, "GET /healthz HTTP/1.1\r\nHost: rebind.example\r\nOrigin: http://rebind.example\r\n\r\n");
    answer.expect_error(421);
    for host in
        ["127.0.0.1", "127.0.0.1:8000", "[::1]:8000", "localhost", "a.localhost:80", "box:8000", "App.example", ""]
    {
        assert_eq!(ask(&server, host), 200, "{host}");
    }
    // A proxy passes on what its clients ask for; without belief in a bare name there is nothing to take.
    assert_eq!(ask(&Server::with(&[("TRUSTED_PROXIES", "127.0.0.1")]), "drafts.example"), 200);
    assert_eq!(ask(&Server::with(&[("AUTH_TRUST_USER_HEADER", "false")]), "drafts.example"), 401);
}

#[test]
fn a_refused_head_tells_a_page_of_ours_why() {
    let server = Server::start();
    let page = format!("Host: t\r\nOrigin: {LOCAL}\r\n");
    for (status, bytes) in rejects().into_iter().filter(|(status, _)| [413, 414, 417, 431].contains(status)) {
        let answer = raw(&server, bytes.replacen("Host: t\r\n", &page, 1));
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(once("access-control-allow-origin", &answer), LOCAL, "{status}");
        let answer = raw(&server, bytes.replacen("Host: t\r\n", "Host: t\r\nOrigin: http://evil.example\r\n", 1));
        assert_eq!((answer.status, count("access-control-allow-origin", &answer)), (status, 0));
    }
}

#[test]
fn bodies_are_read_as_the_original_reads_them_and_what_is_compressed_is_not() {
    let server = Server::start();
    let mut client = server.connect();
    let mut create =
        |body: &[u8], more: &[(&str, &str)]| client.request("POST", DRAFTS, &[&[ALICE, JSON], more].concat(), body);
    let text = r#"{"title":"Ünal","platform":"x","more":null}"#;
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for body in [[b"\xef\xbb\xbf", text.as_bytes()].concat(), utf16, text.replace("null", "NaN").into_bytes()] {
        assert_eq!(create(&body, &[]).expect(200)["data"]["title"], "Ünal", "{body:?}");
    }
    create(text.as_bytes(), &[("Content-Encoding", "identity")]).expect(200);
    for encoding in ["gzip", "br", "identity, gzip"] {
        let answer = create(b"\x1f\x8b\x08", &[("Content-Encoding", encoding)]);
        let (_, message) = answer.expect_error(415);
        assert!(message.contains(encoding.rsplit(' ').next().unwrap()), "{message}");
        assert_eq!(once("accept-encoding", &answer), "identity");
    }
}

#[test]
fn without_a_name_the_answer_is_the_contracts_401() {
    let server = Server::start();
    let bearer = ("Authorization", "Bearer some-token");
    let mut client = server.connect();
    for headers in
        [&[][..], &[("X-User-Id", "")], &[bearer], &[("Authorization", "Basic YWxpY2U6"), ("X-User-Id", "  ")]]
    {
        let answer = client.request("GET", DRAFTS, headers, b"");
        let id = once("x-request-id", &answer);
        assert_eq!(answer.status, 401);
        // Beyond the contract there is a hint, at the end of its object.
        let hint = answer.json()["error"]["hint"].as_str().unwrap_or_default().to_owned();
        assert!(hint.contains("X-User-Id"), "{hint}");
        assert_eq!(
            answer.text(),
            format!(
                "{{\"error\":{{\"code\":\"http_error\",\"message\":{{\"error\":\"unauthorized\",\"message\":\"Missing \
                 Authorization (Bearer JWT) or X-User-Id header\"}},\"request_id\":\"{id}\",\"hint\":\"{hint}\"}},\"detail\":{{\"error\":\
                 \"unauthorized\",\"message\":\"Missing Authorization (Bearer JWT) or X-User-Id header\"}}}}"
            )
        );
        assert_eq!(count("www-authenticate", &answer), 0, "contract 01 §0.4");
    }
    let known = client.request("GET", DRAFTS, &[bearer, ALICE], b"");
    assert_eq!(known.status, 200, "without a key to verify it, a token is ignored");
}

#[test]
fn production_believes_the_user_header_only_when_told_to() {
    for (settings, status) in [
        (&[("ENV", "production")][..], 401),
        (&[("ENV", "production"), ("AUTH_TRUST_USER_HEADER", "true")], 200),
        (&[("AUTH_TRUST_USER_HEADER", "false")], 401),
        (&[("ENV", "test")], 200),
    ] {
        let server = Server::with(settings);
        assert_eq!(server.get_as("alice", DRAFTS).status, status, "{settings:?}");
        assert_eq!(server.get("/healthz").status, 200);
    }
}

#[test]
fn a_body_is_json_by_its_content_type_or_without_one() {
    let server = Server::start();
    let mut client = server.connect();
    let body = br#"{"title":"t","platform":"x"}"#;
    for json in
        ["application/json", "Application/JSON; charset=utf-8", "application/vnd.draft+json", "application/json;x"]
    {
        client.request("POST", DRAFTS, &[ALICE, ("Content-Type", json)], body).expect(200);
    }
    client.request("POST", DRAFTS, &[ALICE], body).expect(200);
    for other in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "text/json",
        "application/jsonp",
        "x",
    ] {
        let answer = client.request("POST", DRAFTS, &[ALICE, ("Content-Type", other)], body);
        let msg = "Input should be a valid dictionary or object to extract fields from";
        let input = std::str::from_utf8(body).unwrap();
        assert_eq!(
            answer.expect(422)["detail"],
            json!([{ "type": "model_attributes_type", "loc": ["body"], "msg": msg, "input": input }]),
            "{other}"
        );
    }
}

#[test]
fn each_row_of_the_422_catalogue_is_the_contracts() {
    let server = Server::start();
    let mut client = server.connect();
    let mut invalid = |path: &str, body: &str| {
        let answer = client.request("POST", path, &[ALICE, JSON], body.as_bytes());
        let (code, message) = answer.expect_error(422);
        assert_eq!(code, "validation_error");
        (answer.json()["detail"].take(), message)
    };
    let no_object = "Input should be a valid dictionary or object to extract fields from";
    let missing =
        |loc: Value, input: Value| json!({ "type": "missing", "loc": loc, "msg": "Field required", "input": input });
    let segments = format!("{DRAFTS}/x/segments");
    for (path, body, detail) in [
        (DRAFTS, "", json!([missing(json!(["body"]), Value::Null)])),
        (DRAFTS, "null", json!([missing(json!(["body"]), Value::Null)])),
        (DRAFTS, r#"{"title":"t"}"#, json!([missing(json!(["body", "platform"]), json!({ "title": "t" }))])),
        (
            &format!("{DRAFTS}/x/collaborators"),
            "{}",
            json!([missing(json!(["query", "collaborator_id"]), Value::Null)]),
        ),
        (DRAFTS, "[1]", json!([{ "type": "model_attributes_type", "loc": ["body"], "msg": no_object, "input": [1] }])),
        (
            DRAFTS,
            "\"t\"",
            json!([{ "type": "model_attributes_type", "loc": ["body"], "msg": no_object, "input": "t" }]),
        ),
        (
            DRAFTS,
            r#"{"title":{"a":1},"platform":null}"#,
            json!([
                { "type": "string_type", "loc": ["body", "title"], "msg": "Input should be a valid string", "input": { "a": 1 } },
                { "type": "string_type", "loc": ["body", "platform"], "msg": "Input should be a valid string", "input": null },
            ]),
        ),
        (
            DRAFTS,
            r#"{"title":"","platform":"x","initial_segment":false}"#,
            json!([
                { "type": "string_too_short", "loc": ["body", "title"], "msg": "String should have at least 1 character",
                  "input": "", "ctx": { "min_length": 1 } },
                { "type": "string_type", "loc": ["body", "initial_segment"], "msg": "Input should be a valid string", "input": false },
            ]),
        ),
        (
            &segments,
            &format!(r#"{{"content":"{}","idempotency_key":"k"}}"#, "x".repeat(501)),
            json!([{ "type": "string_too_long", "loc": ["body", "content"], "msg": "String should have at most 500 characters",
                     "input": "x".repeat(200) + "...<truncated>", "ctx": { "max_length": 500 } }]),
        ),
    ] {
        let (found, message) = invalid(path, body);
        assert_eq!(found, detail, "{body}");
        assert!(
            detail.as_array().unwrap().iter().all(|item| message.contains(item["msg"].as_str().unwrap())),
            "{message}"
        );
    }
    for (body, offset) in [("{", 1), ("{\"ä\": tru}", 9), ("nope", 1), ("{\n\n  x", 5), ("{} {}", 3)] {
        let (mut found, _) = invalid(DRAFTS, body);
        assert!(!found[0]["ctx"]["error"].take().as_str().unwrap().is_empty());
        assert_eq!(
            found,
            json!([{ "type": "json_invalid", "loc": ["body", offset], "msg": "JSON decode error", "input": {},
                     "ctx": { "error": null } }]),
            "{body}"
        );
    }
    assert_eq!(invalid(DRAFTS, &"[".repeat(60_000)).0[0]["type"], "json_invalid", "depth is bounded (G5)");
    assert_eq!(invalid(DRAFTS, &"1".repeat(60_000)).0[0]["type"], "json_invalid");
}

#[test]
fn a_large_wrong_value_makes_a_small_answer() {
    let server = Server::start();
    let large = "x".repeat(60_000);
    let many: String = (0..9_000).map(|n| format!("\"{n}\":1,")).collect::<String>().chars().take(60_000).collect();
    let mut client = server.connect();
    let mut bytes = |path: &str, headers: &[(&str, &str)], body: &str| {
        let answer = client.request("POST", path, headers, body.as_bytes());
        answer.expect_error(422);
        assert!(answer.text().contains("...<truncated>"), "{}", answer.text());
        answer.body.len()
    };
    for body in [
        format!(r#"{{"title":"{large}","platform":"x"}}"#),
        format!(r#"{{"title":["{large}"],"platform":"x"}}"#),
        format!(r#"{{"title":{{"{part}":1}},"platform":{{"a":{{"b":["{part}"]}}}}}}"#, part = &large[..20_000]),
        format!(r#"{{"title":[{}1],"platform":"x"}}"#, "1,".repeat(29_000)),
        format!(r#"{{{}"title":"t"}}"#, many.rsplit_once(',').map_or("", |(whole, _)| &many[..whole.len() + 1])),
        format!("[\"{large}\"]"),
    ] {
        let size = bytes(DRAFTS, &[ALICE, JSON], &body);
        assert!(size < 4096, "{size} bytes in answer to {}", &body[..40]);
    }
    assert!(bytes(DRAFTS, &[ALICE, ("Content-Type", "text/plain")], &large) < 4096);
    assert!(bytes(&format!("{DRAFTS}/x/collaborators?collaborator_id={}", &large[..8000]), &[ALICE], "") < 4096);
    assert!(bytes(DRAFTS, &[("X-User-Id", &large[..15_000])], "{}") < 4096);
}
