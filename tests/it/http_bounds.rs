//! The bounds of the front door (G5, G6), each reached on purpose from outside, with what is answered there and that
//! nobody else feels it.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Answer, Client, Server, hold_writer, raise_descriptor_limit, wait_for};

const GET: &str = "GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n";
const NEW_DRAFT: &str = r#"{"title":"A draft","platform":"x"}"#;

/// A request to create a draft: these header lines (each ended), then this body.
fn create(headers: &str, body: &str) -> String {
    format!("POST /v1/collab/drafts HTTP/1.1\r\nHost: t\r\nX-User-Id: alice\r\n{headers}\r\n{body}")
}

fn create_draft() -> String {
    create(&format!("Content-Length: {}\r\n", NEW_DRAFT.len()), NEW_DRAFT)
}

/// A draft whose answer is some 64 KB.
fn create_big_draft(server: &Server) -> String {
    let draft = server.create_draft("alice");
    let mut client = server.connect();
    for key in 0..80 {
        let segment = json!({ "content": "x".repeat(500), "idempotency_key": key.to_string() });
        client.post(&format!("/v1/collab/drafts/{draft}/segments"), Some("alice"), &segment).expect(200);
    }
    draft
}

/// Whether someone else is served, and at once.
#[track_caller]
fn assert_others_are_served(server: &Server) {
    let began = Instant::now();
    server.get("/healthz").expect(200);
    assert!(began.elapsed() < Duration::from_secs(2), "another client waited {:?}", began.elapsed());
}

/// Sends one byte of `bytes` every 100 ms until there is an answer, and returns it and how long it took.
fn drip(client: &mut Client, bytes: &str) -> (Answer, Duration) {
    let began = Instant::now();
    let mut sender = client.stream.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for byte in bytes.bytes() {
                if sender.write_all(&[byte]).is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let answer = client.answer();
        let took = began.elapsed();
        // Ends the sender too, unless the server's close already has.
        let _ = client.stream.shutdown(Shutdown::Write);
        assert!(client.is_closed());
        (answer, took)
    })
}

/// A deadline of one second was kept: not before, and not much later on a busy machine.
#[track_caller]
fn assert_about_a_second(took: Duration) {
    assert!(took > Duration::from_millis(900) && took < Duration::from_secs(4), "{took:?}");
}

fn refusals(line: &Value, cap: &str) -> bool {
    line["message"] == "connection.refused" && line["cap"] == cap
}

#[test]
fn so_many_of_those_who_are_refused_are_held_for_a_moment_and_all_are_told() {
    // Those who are refused are held for half a second, 16 of them at most (`REFUSED_MAX`), and one more is being told.
    const REFUSED: usize = 60;
    let server = Server::with(&[("MAX_CONNECTIONS", "1")]);
    let mut inside = server.connect();
    inside.get("/healthz", None).expect(200);
    let descriptors = || std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
    let (before, mut most) = (descriptors(), 0);
    // They stay, and read their answer only when all are there.
    let mut outside: Vec<Client> = Vec::new();
    for _ in 0..REFUSED {
        let mut client = server.connect();
        client.read_more().unwrap();
        outside.push(client);
        most = most.max(descriptors());
    }
    assert!((before + 2..=before + 17).contains(&most), "{before} descriptors, and {most} at the most");
    for client in &mut outside {
        assert_eq!(client.answer().expect_error(503).0, "overloaded");
        assert!(client.is_closed());
    }
    inside.get("/healthz", None).expect(200);
}

#[test]
fn one_connection_too_many_is_answered_503_until_another_leaves() {
    let server = Server::with(&[("MAX_CONNECTIONS", "4")]);
    let mut inside: Vec<Client> = (0..4).map(|_| server.connect()).collect();
    for client in &mut inside {
        client.get("/healthz", None).expect(200);
    }
    for sends_first in [false, true] {
        let mut outside = server.connect();
        if sends_first {
            outside.send(GET);
        }
        let answer = outside.answer();
        assert_eq!(answer.expect_error(503).0, "overloaded");
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(outside.is_closed());
    }
    let line = server.wait_for_log(|line| refusals(line, "Connections"));
    assert_eq!(line["refused"], 1);
    for client in &mut inside {
        client.get("/healthz", None).expect(200);
    }
    inside.pop();
    wait_for(|| (server.get("/healthz").status == 200).then_some(()));
}

#[test]
fn one_address_cannot_take_every_connection() {
    let server = Server::with(&[("MAX_CONNECTIONS_PER_ADDRESS", "2")]);
    let mut inside: Vec<Client> = (0..2).map(|_| server.connect()).collect();
    for client in &mut inside {
        client.get("/healthz", None).expect(200);
    }
    let mut outside = server.connect();
    assert_eq!(outside.answer().expect_error(503).0, "overloaded");
    assert!(outside.is_closed());
    server.wait_for_log(|line| refusals(line, "Address"));
    drop(inside);
    wait_for(|| (server.get("/healthz").status == 200).then_some(()));
}

#[test]
fn a_trusted_proxy_may_open_more_than_an_address_may() {
    let server = Server::with(&[("MAX_CONNECTIONS_PER_ADDRESS", "2"), ("TRUSTED_PROXIES", "127.0.0.0/8")]);
    let mut inside: Vec<Client> = (0..8).map(|_| server.connect()).collect();
    for client in &mut inside {
        client.get("/healthz", None).expect(200);
    }
}

#[test]
fn a_head_is_read_up_to_its_bounds_and_not_one_further() {
    let settings = [("HEAD_MAX_BYTES", "1024"), ("HEAD_MAX_HEADERS", "8"), ("TARGET_MAX_BYTES", "256")];
    let server = Server::with(&settings);
    let padded = |bytes: usize| {
        let head = "GET /healthz HTTP/1.1\r\nHost: t\r\nX: \r\n\r\n";
        head.replace("X: ", &format!("X: {}", "x".repeat(bytes - head.len())))
    };
    let headers = |lines: usize| format!("GET /healthz HTTP/1.1\r\nHost: t\r\n{}\r\n", "X: y\r\n".repeat(lines - 1));
    let target =
        |bytes: usize| format!("GET /healthz?{} HTTP/1.1\r\nHost: t\r\n\r\n", "x".repeat(bytes - "/healthz?".len()));
    let mut client = server.connect();
    for within in [padded(1024), headers(8), target(256)] {
        client.send(within);
        client.answer().expect(200);
    }
    let endless = "x".repeat(1024);
    let beyond = [
        (padded(1025), 431),
        (headers(9), 431),
        (target(257), 414),
        (target(2000), 414),
        (format!("GET /healthz HTTP/1.1\r\nHost: t\r\nX: {endless}"), 431),
        (format!("GET /{endless}"), 414),
        (endless.clone(), 414),
    ];
    for (bytes, status) in beyond {
        let mut client = server.connect();
        client.send(&bytes);
        let (code, message) = client.answer().expect_error(status);
        assert_eq!(code, "http_error", "{message}");
        assert!(client.is_closed());
    }
}

#[test]
fn a_header_line_without_end_costs_its_sender_the_connection_and_the_server_nothing() {
    let server = Server::start();
    let before = server.memory_kb("VmRSS");
    let mut client = server.connect();
    client.send("GET /healthz HTTP/1.1\r\nHost: t\r\nX: ");
    let line = vec![b'x'; 64 * 1024];
    // For a moment what it sends is thrown away, so that it can read its refusal; then it has nobody to send to.
    wait_for(|| client.stream.write_all(&line).is_err().then_some(()));
    let grown = server.memory_kb("VmHWM").saturating_sub(before);
    assert!(grown < 4 * 1024, "the line took {grown} kB");
    assert_others_are_served(&server);
}

#[test]
fn a_head_has_its_time_however_its_bytes_are_spread() {
    let server = Server::with(&[("HEAD_TIMEOUT_SECONDS", "1")]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (answer, took) = drip(&mut server.connect(), &"GET / HTTP/1.1\r\nX: ".repeat(20));
            assert_eq!(answer.expect_error(408).0, "http_error");
            assert_about_a_second(took);
        });
        scope.spawn(|| {
            let mut client = server.connect();
            let began = Instant::now();
            client.send("GET /healthz HTTP/1.1\r\nHost: t\r\n");
            client.answer().expect_error(408);
            assert_about_a_second(began.elapsed());
            assert!(client.is_closed());
        });
        scope.spawn(|| {
            // Behind a request that was answered, too.
            let mut client = server.connect();
            client.send(format!("{GET}GET /"));
            client.answer().expect(200);
            let began = Instant::now();
            client.answer().expect_error(408);
            assert_about_a_second(began.elapsed());
        });
        scope.spawn(|| {
            let began = Instant::now();
            assert!(server.connect().is_closed(), "who says nothing is told nothing");
            assert_about_a_second(began.elapsed());
        });
    });
}

#[test]
fn a_body_has_its_time_however_its_bytes_are_spread() {
    let server = Server::with(&[("BODY_TIMEOUT_SECONDS", "1")]);
    std::thread::scope(|scope| {
        for (framing, body) in [("Content-Length: 1000", "x"), ("Transfer-Encoding: chunked", "1\r\nx\r\n")] {
            let server = &server;
            scope.spawn(move || {
                let mut client = server.connect();
                client.send(create(&format!("{framing}\r\n"), ""));
                let (answer, took) = drip(&mut client, &body.repeat(100));
                assert_eq!(answer.expect_error(408).0, "http_error", "{framing}");
                assert_about_a_second(took);
            });
        }
    });
}

#[test]
fn a_body_is_read_up_to_its_bound_and_not_one_byte_further() {
    let server = Server::with(&[("BODY_MAX_BYTES", "1024")]);
    let body = |bytes: usize| format!("{NEW_DRAFT}{}", " ".repeat(bytes - NEW_DRAFT.len()));
    let chunked =
        |bytes: usize| format!("100\r\n{}\r\n{:x}\r\n{}\r\n", &body(bytes)[..256], bytes - 256, &body(bytes)[256..]);
    let mut client = server.connect();
    client.send(create("Content-Length: 1024\r\n", &body(1024)));
    client.answer().expect(200);
    client.send(create("Transfer-Encoding: chunked\r\n", &format!("{}0\r\n\r\n", chunked(1024))));
    client.answer().expect(200);
    let beyond = [
        // Announced: refused before any of it is sent, and when all of it is.
        create("Content-Length: 1025\r\n", ""),
        create("Content-Length: 1025\r\n", &body(1025)),
        create("Content-Length: 1025\r\nExpect: 100-continue\r\n", ""),
        create("Transfer-Encoding: chunked\r\n", &chunked(1025)),
        create("Transfer-Encoding: chunked\r\n", "401\r\n"),
        create("Transfer-Encoding: chunked\r\n", &"1\r\nx\r\n".repeat(1025)),
    ];
    for bytes in beyond {
        let mut client = server.connect();
        client.send(&bytes);
        assert_eq!(client.answer().expect_error(413).0, "payload_too_large");
        assert!(client.is_closed());
    }
    for (letters, status) in [(254, 413), (255, 400)] {
        let mut client = server.connect();
        client.send(create("Transfer-Encoding: chunked\r\n", &format!("{:x<letters$}\r\n", "401;")));
        client.answer().expect_error(status);
    }
    // Only the refused ones changed nothing.
    let drafts = server.get_as("alice", "/v1/collab/drafts").expect(200);
    assert_eq!(drafts["count"], 2);
}

#[test]
fn an_idle_connection_is_closed_after_its_time() {
    let server = Server::with(&[("KEEP_ALIVE_SECONDS", "1")]);
    let mut client = server.connect();
    client.get("/healthz", None).expect(200);
    let began = Instant::now();
    assert!(client.is_closed());
    assert_about_a_second(began.elapsed());
}

#[test]
fn a_client_that_never_reads_is_cut_off_and_stalls_nobody() {
    let server = Server::with(&[("WRITE_STALL_SECONDS", "1")]);
    let draft = create_big_draft(&server);
    let before = server.memory_kb("VmRSS");
    let mut client = server.connect();
    client.stream.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    let requests = format!("GET /v1/collab/drafts/{draft} HTTP/1.1\r\nHost: t\r\n\r\n").repeat(200);
    let began = Instant::now();
    // It goes on asking until the door is shut on it; unread answers to all of it would be gigabytes.
    let end = wait_for(|| match client.stream.write(requests.as_bytes()) {
        Ok(_) => None,
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            assert_others_are_served(&server);
            None
        }
        Err(error) => Some(error.kind()),
    });
    assert!(matches!(end, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{end}");
    assert!(began.elapsed() > Duration::from_millis(900), "{:?}", began.elapsed());
    let grown = server.memory_kb("VmHWM").saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} kB for one client");
    assert_others_are_served(&server);
}

#[test]
fn a_client_that_asks_without_reading_is_not_listened_to_and_then_answered_in_order() {
    let server = Server::start();
    let before = server.memory_kb("VmRSS");
    let mut client = server.connect();
    client.stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let padding = "x".repeat(300);
    let requests: String = (0..100_000)
        .map(|number| format!("GET /healthz HTTP/1.1\r\nHost: t\r\nX-Request-Id: r{number}\r\nX: {padding}\r\n\r\n"))
        .collect();
    let mut sent = 0;
    while let Ok(bytes) = client.stream.write(&requests.as_bytes()[sent..]) {
        sent += bytes;
        assert!(sent < requests.len(), "the server took all of it in");
    }
    let grown = server.memory_kb("VmHWM").saturating_sub(before);
    assert!(grown < 4 * 1024, "{grown} kB for one client");
    assert_others_are_served(&server);
    let whole = requests[..sent].matches("\r\n\r\n").count();
    for number in 0..whole {
        assert_eq!(client.answer().header("x-request-id"), Some(format!("r{number}").as_str()));
    }
}

#[test]
fn a_client_that_sends_without_end_after_its_refusal_stalls_nobody() {
    let server = Server::with(&[("SHARDS", "1")]);
    let mut client = server.connect();
    client.send("nonsense\r\n\r\n");
    client.answer().expect_error(400);
    let junk = vec![b'x'; 1024 * 1024];
    std::thread::scope(|scope| {
        let flood = scope.spawn(|| while client.stream.write_all(&junk).is_ok() {});
        while !flood.is_finished() {
            assert_others_are_served(&server);
        }
    });
}

#[test]
fn a_full_writer_queue_is_answered_503_and_nothing_is_changed() {
    let server = Server::with(&[("WRITER_QUEUE_JOBS", "1")]);
    let held = hold_writer(&server.database());
    let mut clients: Vec<Client> = (0..8).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(create_draft());
    }
    // One is with the writer, one waits, and the others are told at once.
    wait_for(|| (server.log().matches("\"error_code\":\"overloaded\"").count() >= 6).then_some(()));
    assert_others_are_served(&server);
    drop(held);
    let answers: Vec<Answer> = clients.iter_mut().map(Client::answer).collect();
    let stored = answers.iter().filter(|answer| answer.status == 200).count();
    // Those that were taken have been answered, so the queue is empty: the others may try again, on the same connection.
    for (client, answer) in clients.iter_mut().zip(answers).filter(|(_, answer)| answer.status != 200) {
        assert_eq!(answer.expect_error(503).0, "overloaded");
        assert_eq!(answer.header("retry-after"), Some("1"));
        client.send(create_draft());
        client.answer().expect(200);
    }
    assert!((1..=2).contains(&stored), "{stored} stored");
    assert_eq!(server.get_as("alice", "/v1/collab/drafts").expect(200)["count"], 8);
}

#[test]
fn a_change_not_confirmed_in_time_is_answered_503_and_its_late_end_disturbs_nobody() {
    let server = Server::with(&[("COMMIT_TIMEOUT_SECONDS", "1")]);
    let held = hold_writer(&server.database());
    let mut client = server.connect();
    let began = Instant::now();
    client.send(create_draft());
    client.send(GET);
    let answer = client.answer();
    assert_about_a_second(began.elapsed());
    let (code, message) = answer.expect_error(503);
    assert_eq!(code, "overloaded");
    assert!(message.contains("may still be stored"), "{message}");
    assert_eq!(answer.header("retry-after"), Some("1"));
    client.answer().expect(200);
    drop(held);
    wait_for(|| (client.get("/v1/collab/drafts", Some("alice")).expect(200)["count"] == 1).then_some(()));
    client.get("/healthz", None).expect(200);
}

#[test]
fn two_thousand_connections_at_once_are_all_answered() {
    raise_descriptor_limit(2_500);
    let server = Server::with(&[("MAX_CONNECTIONS_PER_ADDRESS", "5000")]);
    let before = server.memory_kb("VmRSS");
    let mut clients: Vec<Client> = (0..2_000).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(GET);
    }
    for client in &mut clients {
        client.answer().expect(200);
    }
    for client in &mut clients {
        client.get("/healthz", None).expect(200);
    }
    let grown = server.memory_kb("VmRSS").saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} kB for 2000 idle connections");
}

#[test]
fn a_thousand_silent_connections_slow_nobody_down() {
    raise_descriptor_limit(1_500);
    let server = Server::with(&[("MAX_CONNECTIONS_PER_ADDRESS", "5000")]);
    let mut silent: Vec<Client> = (0..1_000).map(|_| server.connect()).collect();
    for client in silent.iter_mut().step_by(2) {
        client.send("GET /hea");
    }
    for _ in 0..20 {
        assert_others_are_served(&server);
        server.create_draft("alice");
    }
    for client in silent.iter_mut().step_by(2) {
        client.send("lthz HTTP/1.1\r\nHost: t\r\n\r\n");
        client.answer().expect(200);
    }
}

#[test]
fn running_out_of_descriptors_ends_nothing() {
    let server = Server::limited(&[("SHARDS", "2")], 64);
    let mut first = server.connect();
    let path = format!("/v1/collab/drafts/{}", first.post("/v1/collab/drafts", Some("alice"), &json!({ "title": "t", "platform": "x" })).expect(200)["data"]["draft_id"].as_str().unwrap());
    let mut clients: Vec<Client> = (0..200).map(|_| server.connect()).collect();
    for client in &mut clients {
        // Those already refused may be closed.
        let _ = client.stream.write_all(GET.as_bytes());
    }
    server.wait_for_log(|line| line["message"] == "accept.failed");
    server.wait_for_log(|line| refusals(line, "Connections"));
    // Who is inside is served, reads and writes alike.
    first.get(&path, None).expect(200);
    let segment = json!({ "content": "x", "idempotency_key": "1" });
    first.post(&format!("{path}/segments"), Some("alice"), &segment).expect(200);
    let answers: Vec<Option<u16>> =
        clients.iter_mut().map(|client| client.try_answer(false).map(|answer| answer.status)).collect();
    let count = |status| answers.iter().filter(|answer| **answer == Some(status)).count();
    assert!(count(200) >= 20 && count(503) >= 1, "{answers:?}");
    assert!(answers.iter().flatten().all(|status| [200, 503].contains(status)), "{answers:?}");
    drop(clients);
    // As they leave there is room again, for more than one.
    let mut again = wait_for(|| {
        let mut clients: Vec<Client> = (0..20).map(|_| server.connect()).collect();
        let _ = clients.iter_mut().try_for_each(|client| client.stream.write_all(GET.as_bytes()));
        let all = clients.iter_mut().all(|client| client.try_answer(false).is_some_and(|answer| answer.status == 200));
        all.then_some(clients)
    });
    again[0].get(&path, None).expect(200);
}

#[test]
fn a_client_that_resets_its_connection_leaves_nothing_behind() {
    let server = Server::with(&[("MAX_CONNECTIONS_PER_ADDRESS", "8")]);
    for _ in 0..100 {
        let mut client = server.connect();
        client.send(GET);
        // Closing with an answer unread resets the connection.
        wait_for(|| (client.stream.peek(&mut [0; 1]).unwrap() == 1).then_some(()));
    }
    wait_for(|| (server.get("/healthz").status == 200).then_some(()));
    let mut client = server.connect();
    client.send(create_draft());
    drop(client);
    let mut rest = Vec::new();
    let mut client = server.connect();
    client.send(GET.replace("Host", "Connection: close\r\nHost"));
    client.stream.read_to_end(&mut rest).unwrap();
    assert!(rest.starts_with(b"HTTP/1.1 200 OK\r\n"));
}
