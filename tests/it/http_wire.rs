//! HTTP/1.1 as it crosses the wire: what is understood, in which order it is answered, and what is refused so that
//! nothing behind it can pass for a request.

use std::io::Write as _;
use std::net::Shutdown;

use serde_json::json;

use crate::support::{Client, Server};

/// Stands behind everything refused: were it taken for a request, a second answer would follow.
const SMUGGLED: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: smuggled\r\n\r\n";

const CREATE: &str = "POST /v1/collab/drafts HTTP/1.1\r\nHost: test\r\nX-User-Id: alice\r\n";
const NEW_DRAFT: &str = r#"{"title":"A draft","platform":"x"}"#;

/// A request to create a draft: these header lines (each ended), then this body.
fn create(headers: &str, body: &str) -> String {
    format!("{CREATE}{headers}\r\n{body}")
}

/// A body in chunks of this many bytes.
fn chunked(body: &str, size: usize) -> String {
    let chunks = body.as_bytes().chunks(size);
    let lines: String =
        chunks.map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), std::str::from_utf8(chunk).unwrap())).collect();
    format!("{lines}0\r\n\r\n")
}

#[test]
fn a_connection_is_kept_for_the_next_request() {
    let server = Server::start();
    let mut client = server.connect();
    for _ in 0..3 {
        let answer = client.get("/healthz", None);
        answer.expect(200);
        assert_eq!(answer.header("connection"), None);
    }
}

#[test]
fn pipelined_requests_are_answered_in_order_whether_they_read_or_write() {
    let server = Server::start();
    let mut client = server.connect();
    let mut bytes = String::new();
    for number in 0..100 {
        match number % 3 {
            0 => {
                bytes.push_str(&format!("GET /nowhere/{number} HTTP/1.1\r\nHost: t\r\nX-Request-Id: r{number}\r\n\r\n"))
            }
            1 => bytes.push_str(&format!(
                "{CREATE}X-Request-Id: r{number}\r\nContent-Length: {}\r\n\r\n{NEW_DRAFT}",
                NEW_DRAFT.len()
            )),
            _ => bytes.push_str(&format!(
                "{CREATE}X-Request-Id: r{number}\r\nTransfer-Encoding: chunked\r\n\r\n{}",
                chunked(NEW_DRAFT, 7)
            )),
        }
    }
    client.send(bytes);
    for number in 0..100 {
        let answer = client.answer();
        assert_eq!(answer.status, if number % 3 == 0 { 404 } else { 200 }, "{number}: {}", answer.text());
        assert_eq!(answer.header("x-request-id"), Some(format!("r{number}").as_str()));
    }
}

#[test]
fn head_is_answered_like_get_without_the_body() {
    let server = Server::start();
    let draft = server.create_draft("alice");
    let path = format!("/v1/collab/drafts/{draft}?now=2030-01-01T00:00:00Z");
    let mut client = server.connect();
    let head = client.request("HEAD", &path, &[], b"");
    let get = client.get(&path, None);
    assert_eq!((head.status, get.status), (200, 200));
    assert_eq!(head.header("content-length"), Some(get.body.len().to_string().as_str()));
    assert_eq!(head.header("content-type"), get.header("content-type"));
    assert_eq!(client.request("HEAD", "/nowhere", &[], b"").status, 404);
    client.get("/healthz", None).expect(200);
}

#[test]
fn http_1_0_is_closed_unless_it_asks_to_be_kept() {
    let server = Server::start();
    let mut client = server.connect();
    client.send("GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(client.answer().header("connection"), Some("keep-alive"));
    client.send("GET /healthz HTTP/1.0\r\n\r\n");
    let answer = client.answer();
    answer.expect(200);
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(client.is_closed());
}

#[test]
fn connection_close_closes_and_leaves_the_rest_unanswered() {
    let server = Server::start();
    for value in ["close", "Close", "keep-alive, close", "upgrade,close"] {
        let mut client = server.connect();
        client.send(format!("GET /healthz HTTP/1.1\r\nHost: t\r\nConnection: {value}\r\n\r\n"));
        client.send(SMUGGLED);
        let answer = client.answer();
        answer.expect(200);
        assert_eq!(answer.header("connection"), Some("close"), "{value}");
        assert!(client.is_closed(), "{value}");
    }
}

#[test]
fn a_client_that_shuts_its_side_still_gets_its_answers() {
    let server = Server::start();
    let mut client = server.connect();
    let write = create(&format!("Content-Length: {}\r\n", NEW_DRAFT.len()), NEW_DRAFT);
    let read = "GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n";
    client.send(format!("{read}{write}{read}{write}{read}"));
    client.stream.shutdown(Shutdown::Write).unwrap();
    for _ in 0..5 {
        client.answer().expect(200);
    }
    assert!(client.is_closed());
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_request_is_let_go() {
    let server = Server::start();
    for part in ["GET /hea", &format!("{CREATE}Content-Length: 10\r\n\r\n12345")] {
        let mut client = server.connect();
        client.send(part);
        client.stream.shutdown(Shutdown::Write).unwrap();
        assert!(client.is_closed(), "{part:?}");
    }
}

#[test]
fn continue_is_said_once_and_only_to_a_client_that_waits_for_it() {
    let server = Server::start();
    for framing in [format!("Content-Length: {}\r\n", NEW_DRAFT.len()), "Transfer-Encoding: chunked\r\n".to_owned()] {
        let body = if framing.starts_with('C') { NEW_DRAFT.to_owned() } else { chunked(NEW_DRAFT, 10) };
        let mut client = server.connect();
        client.send(create(&format!("Expect: 100-Continue\r\n{framing}"), ""));
        assert_eq!(client.answer().status, 100, "{framing}");
        for byte in body.as_bytes() {
            client.send([*byte]);
        }
        client.answer().expect(200);

        // The body is there already: asking for it would be noise.
        client.send(create(&format!("Expect: 100-continue\r\n{framing}"), &body));
        client.answer().expect(200);
        client.get("/healthz", None).expect(200);
    }
}

#[test]
fn continue_is_never_said_to_http_1_0_and_no_other_expectation_is_met() {
    let server = Server::start();
    let mut client = server.connect();
    let length = NEW_DRAFT.len();
    client.send(format!(
        "POST /v1/collab/drafts HTTP/1.0\r\nX-User-Id: alice\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
    ));
    client.send(NEW_DRAFT);
    client.answer().expect(200);
    for expect in ["Expect: 200-ok\r\n", "Expect: 100-continue\r\nExpect: more\r\n", "Expect:\r\n"] {
        let mut client = server.connect();
        client.send(create(&format!("{expect}Content-Length: {length}\r\n"), ""));
        assert_eq!(client.answer().expect_error(417).0, "http_error", "{expect}");
        assert!(client.is_closed());
    }
}

#[test]
fn nothing_is_continued_for_a_body_over_the_limit() {
    let server = Server::with(&[("BODY_MAX_BYTES", "1024")]);
    let mut client = server.connect();
    client.send(create("Expect: 100-continue\r\nContent-Length: 1025\r\n", ""));
    client.answer().expect_error(413);
    assert!(client.is_closed());
}

#[test]
fn a_body_arrives_whole_however_it_is_framed_and_split() {
    let server = Server::start();
    let mut client = server.connect();
    let fixed = create(&format!("Content-Length: {}\r\n", NEW_DRAFT.len()), NEW_DRAFT);
    let rich = create(
        "Transfer-Encoding: Chunked\r\nTrailer: X-Sum\r\n",
        "5;name=value;other=\"a b\"\r\n{\"tit\r\n01D;x\r\nle\":\"A draft\",\"platform\":\"x\"}\r\n000;last\r\nX-Sum: 1\r\nX-Other: 2\r\n\r\n",
    );
    for request in [&fixed, &create("Transfer-Encoding: chunked\r\n", &chunked(NEW_DRAFT, 1)), &rich] {
        for at in 1..request.len() {
            client.send(&request[..at]);
            client.send(&request[at..]);
            assert_eq!(client.answer().expect(200)["data"]["title"], "A draft", "split at {at}");
        }
        for byte in request.as_bytes() {
            client.send([*byte]);
        }
        client.answer().expect(200);
    }
}

#[test]
fn a_chunked_body_may_be_empty() {
    let server = Server::start();
    let mut client = server.connect();
    client.send("GET /healthz HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    client.answer().expect(200);
    client.get("/healthz", None).expect(200);
}

#[test]
fn absolute_targets_are_served_by_their_path() {
    let server = Server::start();
    let draft = server.create_draft("alice");
    let mut client = server.connect();
    for target in ["http://any.host/healthz", "https://any.host:8443/healthz?x=/y", "HTTP://any.host/healthz"] {
        client.request("GET", target, &[], b"").expect(200);
    }
    let path = format!("http://any.host/v1/collab/drafts/{draft}?now=nonsense/");
    assert_eq!(client.get(&path, None).expect_error(400).0, "validation_error");
    assert_eq!(client.get("http://any.host", None).expect(200)["status"], "success", "it is the root that is meant");
    client.get("*", None).expect_error(404);
}

#[test]
fn one_empty_line_before_a_request_is_skipped() {
    let server = Server::start();
    let mut client = server.connect();
    for _ in 0..3 {
        client.send("\r\nGET /healthz HTTP/1.1\r\nHost: t\r\n\r\n");
        client.answer().expect(200);
    }
    client.send(format!("\r\n{}", create(&format!("Content-Length: {}\r\n", NEW_DRAFT.len()), "")));
    client.send(NEW_DRAFT);
    client.answer().expect(200);
}

/// What must be answered with an error and end the connection.
struct Refused {
    name: &'static str,
    bytes: Vec<u8>,
    status: u16,
}

fn refused(name: &'static str, bytes: impl Into<Vec<u8>>, status: u16) -> Refused {
    Refused { name, bytes: bytes.into(), status }
}

/// A GET with these lines after its Host.
fn with(lines: &str) -> String {
    format!("GET /healthz HTTP/1.1\r\nHost: t\r\n{lines}\r\n")
}

/// A chunked request with this in place of a body.
fn chunks(body: &str) -> String {
    create("Transfer-Encoding: chunked\r\n", body)
}

/// A Content-Length that no two readers agree on, before one byte.
fn length(value: &str) -> String {
    create(&format!("Content-Length: {value}\r\n"), "1")
}

fn smuggling() -> Vec<Refused> {
    let tls_hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03hello\r\n\r\n".to_vec();
    let headers: String = (0..65).map(|number| format!("x-{number}: y\r\n")).collect();
    vec![
        // Two framings, or one that can be read in two ways.
        refused("length and coding", create("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400),
        refused("coding and length", create("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"), 400),
        refused("two lengths, the same", create("Content-Length: 1\r\nContent-Length: 1\r\n", "1"), 400),
        refused("two lengths", create("Content-Length: 1\r\nContent-Length: 2\r\n", "1"), 400),
        refused("two lengths, other case", create("Content-Length: 1\r\ncontent-length: 1\r\n", "1"), 400),
        refused("length with plus", length("+1"), 400),
        refused("negative length", length("-1"), 400),
        refused("hexadecimal length", length("0x10"), 400),
        refused("list of lengths", length("1, 1"), 400),
        refused("length with a space inside", length("1 1"), 400),
        refused("length with a fraction", length("1.0"), 400),
        refused("empty length", length(""), 400),
        refused("length of other digits", length("\u{661}"), 400),
        refused("huge length", length("99999999999999999999999999"), 413),
        refused("largest length", length("18446744073709551615"), 413),
        refused("space in the length's name", create("Content-Length : 1\r\n", "1"), 400),
        refused("coding identity", create("Transfer-Encoding: identity\r\n", "1"), 400),
        refused("unknown coding", create("Transfer-Encoding: cow\r\n", "0\r\n\r\n"), 400),
        refused("gzip, chunked", create("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 400),
        refused("chunked, chunked", create("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), 400),
        refused("chunked, identity", create("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"), 400),
        refused(
            "chunked twice",
            create("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
            400,
        ),
        refused("chunked in quotes", create("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"), 400),
        refused("chunked with a parameter", create("Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n"), 400),
        refused("chunked with a control", create("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"), 400),
        refused("xchunked", create("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), 400),
        refused("empty coding", create("Transfer-Encoding:\r\n", "0\r\n\r\n"), 400),
        refused("space after the coding's name", create("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), 400),
        refused("coding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        // Chunks.
        refused("chunk size not a number", chunks("x\r\n"), 400),
        refused("empty chunk size", chunks("\r\n"), 400),
        refused("chunk size with plus", chunks("+1\r\n1\r\n0\r\n\r\n"), 400),
        refused("negative chunk size", chunks("-1\r\n1\r\n0\r\n\r\n"), 400),
        refused("chunk size with 0x", chunks("0x1\r\n1\r\n0\r\n\r\n"), 400),
        refused("space before chunk size", chunks(" 1\r\n1\r\n0\r\n\r\n"), 400),
        refused("space after chunk size", chunks("1 \r\n1\r\n0\r\n\r\n"), 400),
        refused("chunk size past 32 bits", chunks("100000000\r\n"), 400),
        refused("chunk size past 64 bits", chunks("10000000000000001\r\n1\r\n0\r\n\r\n"), 400),
        refused("chunk size over the limit", chunks("ffffffff\r\n"), 413),
        refused("chunk size ended by LF", chunks("1\n1\r\n0\r\n\r\n"), 400),
        refused("chunk size ended by CR", chunks("1\r1\r\n0\r\n\r\n"), 400),
        refused("NUL in chunk size", chunks("1\0\r\n1\r\n0\r\n\r\n"), 400),
        refused("LF in chunk extension", chunks("1;a\n\r\n1\r\n0\r\n\r\n"), 400),
        refused("endless chunk extension", chunks(&format!("1;{}", "a".repeat(300))), 400),
        refused("chunk longer than it said", chunks("1\r\n12\r\n0\r\n\r\n"), 400),
        refused("chunk ended by LF", chunks("1\r\n1\n0\r\n\r\n"), 400),
        refused("chunk not ended", chunks("1\r\n10\r\n\r\n"), 400),
        refused("trailer ended by LF", chunks("0\r\nX-Sum: 1\n\r\n"), 400),
        refused("trailer that is a request line", chunks("0\r\nGET /x HTTP/1.1\r\n\r\n"), 400),
        refused("trailer without a name", chunks("0\r\n: 1\r\n\r\n"), 400),
        refused("trailer with a blank before the colon", chunks("0\r\nX-Sum : 1\r\n\r\n"), 400),
        refused("folded trailer", chunks("0\r\nX-Sum: 1\r\n 2\r\n\r\n"), 400),
        refused("endless trailer", chunks(&format!("0\r\n{}", "X-Sum: 1\r\n".repeat(2000))), 400),
        // Lines.
        refused("bare LF after the request line", "GET /healthz HTTP/1.1\nHost: t\r\n\r\n", 400),
        refused("bare LF everywhere", "GET /healthz HTTP/1.1\nHost: t\n\n", 400),
        refused("bare LF after a header", with("X: y\n"), 400),
        refused("bare LF in a header value", with("X: y\nZ: 1\r\n"), 400),
        refused("bare CR after the request line", "GET /healthz HTTP/1.1\rHost: t\r\n\r\n", 400),
        refused("bare CR in the target", "GET /heal\rthz HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        refused("bare CR in a header name", with("X\rY: z\r\n"), 400),
        refused("bare CR in a header value", with("X: y\rZ: 1\r\n"), 400),
        refused("CR CR LF", with("X: y\r\r\n"), 400),
        refused("bare CR before the end", with("X: y\r\n\r"), 400),
        refused("NUL in the method", "G\0T /healthz HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        refused("NUL in the target", "GET /heal\0thz HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        refused("NUL in a header name", with("X\0Y: z\r\n"), 400),
        refused("NUL in a header value", with("X: y\0z\r\n"), 400),
        refused("control in a header value", with("X: y\x01z\r\n"), 400),
        refused("DEL in a header value", with("X: y\x7fz\r\n"), 400),
        refused("folded header", with("X: y\r\n z\r\n"), 400),
        refused("folded header by tab", with("X: y\r\n\tz\r\n"), 400),
        refused("folded first header", "GET /healthz HTTP/1.1\r\n Host: t\r\n\r\n", 400),
        refused("space before the colon", with("X : y\r\n"), 400),
        refused("tab before the colon", with("X\t: y\r\n"), 400),
        refused("header without a colon", with("X\r\n"), 400),
        refused("header without a name", with(": y\r\n"), 400),
        refused("header name not ASCII", with("X\u{e9}: y\r\n"), 400),
        refused("header name in brackets", with("X[0]: y\r\n"), 400),
        refused("too many headers", with(&headers), 431),
        refused("two empty lines first", "\r\n\r\nGET /healthz HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        refused("LF first", "\nGET /healthz HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        // Host.
        refused("no Host", "GET /healthz HTTP/1.1\r\n\r\n", 400),
        refused("two Hosts", with("Host: u\r\n"), 400),
        refused("two Hosts, the same", with("Host: t\r\n"), 400),
        refused("two Hosts in HTTP/1.0", "GET /healthz HTTP/1.0\r\nHost: t\r\nHost: t\r\n\r\n", 400),
        refused("two Hosts in one", "GET /healthz HTTP/1.1\r\nHost: t, u\r\n\r\n", 400),
        refused("a Host with a space", "GET /healthz HTTP/1.1\r\nHost: t u\r\n\r\n", 400),
        refused("a Host with a path", "GET /healthz HTTP/1.1\r\nHost: t/u\r\n\r\n", 400),
        refused("a Host with a user", "GET /healthz HTTP/1.1\r\nHost: t@u\r\n\r\n", 400),
        // The request line.
        refused("no method", " /healthz HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        refused("method not a token", "G(T /healthz HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        refused("no target", "GET HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        refused("two spaces", "GET  /healthz HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        refused("tab for a space", "GET\t/healthz HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        refused("space in the target", "GET /heal thz HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        refused("no version", "GET /healthz\r\nHost: t\r\n\r\n", 400),
        refused("target without a slash", "GET healthz HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        refused("target of another scheme", "GET ftp://t/healthz HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        refused("absolute target without a host", "GET http:///healthz HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        refused("absolute target without a path", "GET http://t?x=/healthz HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        refused("lower-case http", "GET /healthz http/1.1\r\nHost: t\r\n\r\n", 400),
        refused("HTTP/1.2", "GET /healthz HTTP/1.2\r\nHost: t\r\n\r\n", 505),
        refused("HTTP/1.10", "GET /healthz HTTP/1.10\r\nHost: t\r\n\r\n", 400),
        refused("HTTP/2.0", "GET /healthz HTTP/2.0\r\nHost: t\r\n\r\n", 505),
        refused("HTTP/0.9", "GET /healthz HTTP/0.9\r\nHost: t\r\n\r\n", 505),
        refused("preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        refused("CONNECT", "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n", 501),
        // Something else entirely.
        refused("hello of TLS", tls_hello, 400),
        refused("garbage", b"\x80\xff\xfe garbage \x01\x02\r\n\r\n".to_vec(), 400),
        refused("SSH", "SSH-2.0-OpenSSH_9.6\r\n\r\n", 400),
        refused("SMTP", "EHLO mail.example.com\r\n", 400),
    ]
}

#[test]
fn what_two_readers_could_read_in_two_ways_is_refused_and_closed() {
    let server = Server::start();
    for Refused { name, bytes, status } in smuggling() {
        for separate in [false, true] {
            let mut client = server.connect();
            if separate {
                client.send(&bytes);
                // The connection may be closed by now, which is what this is about.
                let _ = client.stream.write_all(SMUGGLED);
            } else {
                client.send([&bytes, SMUGGLED].concat());
            }
            let answer = client.answer();
            assert_eq!(answer.status, status, "{name}: {}", answer.text());
            answer.expect_error(status);
            assert_eq!(answer.header("connection"), Some("close"), "{name}");
            assert!(client.is_closed(), "{name}: something followed");
        }
    }
    assert!(!server.log().contains("smuggled"));
}

#[test]
fn who_speaks_tls_to_a_port_of_http_is_told_by_the_log() {
    let server = Server::start();
    let mut client = server.connect();
    client.send([0x16]);
    assert!(
        client.answer().expect_error(400).1.contains("a TLS handshake, but this port speaks plain HTTP: use http://")
    );
    let line = server.wait_for_log(|line| line["message"] == "request.rejected");
    assert!(line["error_message"].as_str().unwrap().contains("TLS"), "{line}");
}

#[test]
fn what_is_strange_but_clear_is_served() {
    let server = Server::start();
    let mut client = server.connect();
    let length = NEW_DRAFT.len();
    let strange = [
        with("X:\r\n"),
        with("X:y\r\n"),
        with("X: \t y \t \r\n"),
        with("X: \u{e9}\r\n"),
        "GET /healthz HTTP/1.1\r\nhOsT:\r\n\r\n".to_owned(),
        "GET /healthz HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n".to_owned(),
        "GET /healthz?\u{e9} HTTP/1.1\r\nHost: t\r\n\r\n".to_owned(),
        "GET /%68ealthz HTTP/1.1\r\nHost: t\r\n\r\n".to_owned(),
        create(&format!("Content-Length: {length} \t\r\n"), NEW_DRAFT),
        create(&format!("Content-Length: 0000{length}\r\n"), NEW_DRAFT),
        create("Transfer-Encoding: CHUNKED \r\n", &chunked(NEW_DRAFT, 5)),
    ];
    for request in strange {
        client.send(&request);
        let answer = client.answer();
        assert_eq!(answer.status, 200, "{request:?}: {}", answer.text());
    }
}

#[test]
fn a_body_that_nobody_reads_is_not_a_request() {
    let server = Server::start();
    let draft = server.create_draft("alice");
    let mut client = server.connect();
    let body = std::str::from_utf8(SMUGGLED).unwrap();
    for path in ["/healthz", "/nowhere", &format!("/v1/collab/drafts/{draft}")] {
        client.request("GET", path, &[("X-Request-Id", "outer")], body.as_bytes());
        let answer = client.request("POST", "/healthz", &[("X-Request-Id", "next")], body.as_bytes());
        assert_eq!((answer.status, answer.header("x-request-id")), (405, Some("next")));
    }
    let invalid = json!({ "title": 1 }).to_string();
    assert_eq!(client.request("POST", "/v1/collab/drafts", &[], invalid.as_bytes()).status, 401);
    client.get("/healthz", None).expect(200);
}

#[test]
fn answers_carry_the_current_date_and_their_own_length() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    for path in ["/healthz", "/nowhere"] {
        let answer = client.get(path, None);
        assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
        assert!(answer.header("date").is_some_and(|date| date.ends_with(" GMT") && !date.contains("1970")));
    }
}
