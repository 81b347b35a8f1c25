//! How it stops: nothing new is taken, what was begun is finished within its time, and what is left is one whole file.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Server, hold_writer, wait_for};

const NEW_DRAFT: &str = r#"{"title":"A draft","platform":"x"}"#;

fn create_draft() -> String {
    let head = "POST /v1/collab/drafts HTTP/1.1\r\nHost: t\r\nX-User-Id: alice\r\nContent-Length:";
    format!("{head} {}\r\n\r\n{NEW_DRAFT}", NEW_DRAFT.len())
}

fn wait_until_stopping(server: &Server) {
    server.wait_for_log(|line| line["message"] == "server.stopping");
}

/// Everything is in the one file: no log beside it holds anything.
fn assert_checkpointed(server: &Server) {
    let wal = server.database().with_extension("db-wal");
    assert_eq!(std::fs::metadata(wal).map_or(0, |file| file.len()), 0);
}

#[test]
fn either_signal_ends_it_with_0_and_the_log_moved_into_the_database() {
    for signal in ["TERM", "INT"] {
        // It is waited for, for less than this: with nothing to do it takes no time.
        let mut server = Server::with(&[("DRAIN_SECONDS", "600")]);
        let draft = server.create_draft("alice");
        server.signal(signal);
        assert_eq!(server.wait().code(), Some(0), "{signal}");
        assert_checkpointed(&server);
        let lines = server.log();
        assert!(lines.lines().last().is_some_and(|line| line.contains("server.stopped")), "{lines}");
        server.launch();
        server.get(&format!("/v1/collab/drafts/{draft}")).expect(200);
    }
}

#[test]
fn whoever_has_called_before_the_signal_is_answered() {
    let mut server = Server::start();
    let mut clients: Vec<_> = (0..100).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send("GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n");
    }
    server.signal("TERM");
    for client in &mut clients {
        assert_eq!(client.answer().status, 200);
    }
    drop(clients);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn idle_connections_are_closed_and_new_ones_not_accepted() {
    let mut server = Server::start();
    let held = hold_writer(&server.database());
    let mut busy = server.connect();
    busy.send(create_draft());
    let mut used = server.connect();
    used.get("/healthz", None).expect(200);
    let mut fresh = server.connect();
    fresh.get("/healthz", None).expect(200);
    server.signal("TERM");
    assert!(used.is_closed() && fresh.is_closed());
    wait_for(|| TcpStream::connect(server.address).is_err().then_some(()));
    drop(held);
    busy.answer().expect(200);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_change_under_way_is_answered_before_the_end_and_is_on_disk() {
    let mut server = Server::start();
    let held = hold_writer(&server.database());
    let mut parked: Vec<_> = (0..3).map(|_| server.connect()).collect();
    for client in &mut parked {
        client.send(create_draft());
    }
    // Later on the same shard's way than the changes, so that those are parked by now on any number of shards.
    for _ in 0..8 {
        server.get("/healthz").expect(200);
    }
    server.signal("TERM");
    wait_until_stopping(&server);
    drop(held);
    let mut drafts = Vec::new();
    for client in &mut parked {
        let answer = client.answer();
        assert_eq!(answer.header("connection"), Some("close"));
        drafts.push(answer.expect(200)["data"]["draft_id"].as_str().unwrap().to_owned());
        assert!(client.is_closed());
    }
    drop(parked);
    assert_eq!(server.wait().code(), Some(0));
    assert_checkpointed(&server);
    server.launch();
    for draft in drafts {
        server.get(&format!("/v1/collab/drafts/{draft}")).expect(200);
    }
}

#[test]
fn a_request_half_sent_at_the_signal_is_still_answered() {
    let mut server = Server::start();
    let mut client = server.connect();
    let request = create_draft();
    client.send(&request[..request.len() - 5]);
    let mut probe = server.connect();
    probe.send("GET /readyz HTTP/1.1\r\nHost: t\r\n");
    for _ in 0..8 {
        server.get("/healthz").expect(200);
    }
    server.signal("TERM");
    wait_until_stopping(&server);
    client.send(&request[request.len() - 5..]);
    client.answer().expect(200);
    assert!(client.is_closed());
    // Who can still ask is told that it is not ready.
    probe.send("\r\n");
    let answer = probe.answer();
    assert!(answer.expect_error(503).1.contains("draining"), "{}", answer.text());
    assert!(probe.is_closed());
    drop((client, probe));
    assert_eq!(server.wait().code(), Some(0));
}

/// Whether the first request, sent after the signal, came between the shard's hearing of it and its hanging up. On a busy machine
/// it may come before, and is answered as ever, or after.
fn is_waited_for() -> bool {
    // Whoever would be waited for as long as this is not waited for here.
    let mut server = Server::with(&[("DRAIN_SECONDS", "600"), ("HEAD_TIMEOUT_SECONDS", "600")]);
    let mut late = server.connect();
    let mut silent = server.connect();
    // Taken after them, so that they are taken by now.
    for _ in 0..8 {
        server.get("/healthz").expect(200);
    }
    let began = Instant::now();
    server.signal("TERM");
    wait_until_stopping(&server);
    late.send("GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n");
    let sent = began.elapsed();
    let answer = late.try_answer(false);
    let Some(answer) = answer else {
        assert!(sent > Duration::from_millis(900), "it was hung up on after {sent:?}");
        return false;
    };
    assert_eq!(answer.status, 200);
    let came_before = answer.header("connection") != Some("close");
    drop(late);
    assert!(silent.is_closed());
    assert_eq!(server.wait().code(), Some(0));
    !came_before
}

#[test]
fn the_first_request_of_a_caller_already_taken_is_waited_for_but_not_for_long() {
    assert!((0..20).any(|_| is_waited_for()), "this machine is too busy to tell");
}

#[test]
fn a_client_that_is_stuck_does_not_keep_it_beyond_the_drain_time() {
    // Nothing else would end it in a time that is waited here, however busy the machine is.
    let mut server = Server::with(&[("DRAIN_SECONDS", "1"), ("HEAD_TIMEOUT_SECONDS", "600")]);
    let mut stuck = server.connect();
    stuck.send("GET /hea");
    for _ in 0..8 {
        server.get("/healthz").expect(200);
    }
    let began = Instant::now();
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    assert!(began.elapsed() > Duration::from_millis(900), "{:?}", began.elapsed());
    assert!(stuck.is_closed());
    assert_checkpointed(&server);
}

#[test]
fn a_change_that_cannot_be_committed_within_the_drain_time_ends_with_0_too() {
    let mut server = Server::with(&[("DRAIN_SECONDS", "1")]);
    let held = hold_writer(&server.database());
    let mut client = server.connect();
    client.send(create_draft());
    for _ in 0..8 {
        server.get("/healthz").expect(200);
    }
    server.signal("TERM");
    // Its connection is closed without an answer: whether it was stored, a retry with the same key would tell.
    assert!(client.try_answer(false).is_none());
    drop(held);
    assert_eq!(server.wait().code(), Some(0));
    assert_checkpointed(&server);
    server.launch();
    assert_eq!(server.get_as("alice", "/v1/collab/drafts").expect(200)["count"], 1);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for (signal, code) in [("TERM", 128 + 15), ("INT", 128 + 2)] {
        let mut server = Server::with(&[("DRAIN_SECONDS", "600"), ("BODY_TIMEOUT_SECONDS", "600")]);
        let draft = server.create_draft("alice");
        let mut stuck = server.connect();
        stuck.send("POST /v1/collab/drafts HTTP/1.1\r\nHost: t\r\nX-User-Id: alice\r\nContent-Length: 9\r\n\r\n");
        for _ in 0..8 {
            server.get("/healthz").expect(200);
        }
        server.signal("TERM");
        wait_until_stopping(&server);
        // In less time than there is left to drain, though what is said in the same moment is one word.
        let ended = wait_for(|| {
            server.signal(signal);
            server.ended()
        });
        assert_eq!(ended.code(), Some(code), "{signal}");
        // What was acknowledged is there all the same.
        server.launch();
        let segment = json!({ "content": "x", "idempotency_key": "1" });
        server.post_as("alice", &format!("/v1/collab/drafts/{draft}/segments"), &segment).expect(200);
    }
}
