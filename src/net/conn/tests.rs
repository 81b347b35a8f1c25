use std::io::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use super::*;
use crate::clock::Clock;
use crate::net::http1::{Limits, Request};
use crate::net::slots::{Caps, Slots};
use crate::net::{Reply, Timeouts};

const SECOND: Duration = Duration::from_secs(1);

/// Answers GET at once and anything else when it is told to.
struct Stub;

impl Service for Stub {
    fn body_limit(&self, _: &Request<'_>) -> usize {
        0
    }
    fn call(&mut self, request: &Request<'_>, _: IpAddr, _: Ticket) -> Reply {
        if request.method == Method::GET {
            return Reply::Now(Response::text(http::StatusCode::OK, "now"));
        }
        Reply::Later(Box::new(|woken| match woken {
            Woken::Resumed => Response::text(http::StatusCode::OK, "later"),
            Woken::TimedOut => Response::text(http::StatusCode::SERVICE_UNAVAILABLE, "too late"),
        }))
    }
    fn reject(&mut self, _: &Reject, _: Option<&Request<'_>>, _: IpAddr) -> Response {
        Response::text(http::StatusCode::REQUEST_TIMEOUT, "rejected")
    }
    fn refuse(&mut self) -> Response {
        Response::text(http::StatusCode::SERVICE_UNAVAILABLE, "refused")
    }
}

/// A connection whose socket was full when it answered the first request of `sent`.
fn congested(sent: &str) -> (Conn, std::net::TcpStream, Tools<Stub>) {
    // A busy kernel may make room late, and the answer fits in; another connection then.
    loop {
        let (mut conn, client, mut tools) = filled(sent);
        assert_eq!(conn.turn(0, &mut tools), Flow::Wait);
        if !conn.outbox.is_empty() {
            return (conn, client, tools);
        }
    }
}

/// A connection whose socket takes no byte more until the client reads, and which has `sent` to read itself.
fn filled(sent: &str) -> (Conn, std::net::TcpStream, Tools<Stub>) {
    let (mut conn, client, tools) = connected(sent);
    // What the kernel still moves along makes room again; that ends when the client's side is full as well.
    for _ in 0..10 {
        while conn.source().write(&[b'.'; 4096]).is_ok() {}
        std::thread::park_timeout(Duration::from_millis(5));
    }
    (conn, client, tools)
}

/// A connection which has `sent` to read.
fn connected(sent: &str) -> (Conn, std::net::TcpStream, Tools<Stub>) {
    let (mut conn, mut client, tools) = accepted();
    client.write_all(sent.as_bytes()).unwrap();
    while conn.source().peek(&mut [0; 256]).ok() != Some(sent.len()) {}
    conn.readable = true;
    (conn, client, tools)
}

/// A connection of which nothing is known yet.
fn accepted() -> (Conn, std::net::TcpStream, Tools<Stub>) {
    let limits = Limits { head_bytes: 1024, headers: 8, target_bytes: 256 };
    let timeouts = Timeouts {
        head: 2 * SECOND,
        body: 3 * SECOND,
        keep_alive: 100 * SECOND,
        write_stall: 10 * SECOND,
        parked: 4 * SECOND,
    };
    let tools = Tools::new(Stub, limits, timeouts, Arc::default(), Clock::system());
    let caps = Caps { connections: 1, per_address: 1, exempt: Box::new(|_| false) };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (stream, peer) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    let slot = Arc::new(Slots::new(caps, Arc::default())).take(peer.ip()).ok().unwrap();
    let stream = mio::net::TcpStream::from_std(stream);
    let conn = Conn::new(Accepted { stream, peer: peer.ip(), _slot: slot }, &tools);
    (conn, client, tools)
}

/// The client reads what is there, and the rest leaves.
fn relieve(conn: &mut Conn, client: &mut std::net::TcpStream, tools: &mut Tools<Stub>) {
    client.set_nonblocking(true).unwrap();
    while !conn.outbox.is_empty() {
        while client.read(&mut [0; 64 * 1024]).is_ok() {}
        conn.turn(0, tools);
    }
}

#[test]
fn a_head_begun_behind_an_unsent_answer_has_its_own_time_once_that_is_sent() {
    let (mut conn, mut client, mut tools) = congested("GET / HTTP/1.1\r\nHost: t\r\n\r\nGET /");
    tools.now += 9 * SECOND;
    assert_eq!(conn.expire(&mut tools), Flow::Wait, "nothing is asked of it while we do not read");
    relieve(&mut conn, &mut client, &mut tools);
    tools.now += SECOND;
    assert_eq!(conn.expire(&mut tools), Flow::Wait);
    tools.now += SECOND;
    assert_eq!(conn.expire(&mut tools), Flow::Again);
    assert!(matches!(conn.state, State::Closing));
}

#[test]
fn a_parked_request_is_answered_in_time_whatever_waits_before_it() {
    for relieved in [false, true] {
        let both = "GET / HTTP/1.1\r\nHost: t\r\n\r\nPUT / HTTP/1.1\r\nHost: t\r\n\r\n";
        let (mut conn, mut client, mut tools) = congested(both);
        if relieved {
            relieve(&mut conn, &mut client, &mut tools);
        }
        tools.now += 3 * SECOND;
        assert_eq!(conn.expire(&mut tools), Flow::Wait);
        tools.now += SECOND;
        assert_eq!(conn.expire(&mut tools), Flow::Again);
        assert!(matches!(conn.state, State::Idle));
    }
}

#[test]
fn what_all_clients_together_do_not_read_is_bounded() {
    let get = "GET / HTTP/1.1\r\nHost: t\r\n\r\n";
    let (conn, _client, mut tools) = congested(get);
    let (other, _other_client, other_tools) = congested(get);
    assert_eq!(tools.unsent, conn.unsent());
    tools.unsent_max = tools.unsent - 1;
    let (mut other, mut all) = (other, tools);
    all.unsent += other_tools.unsent;
    other.accepted.stream.set_nodelay(true).unwrap();
    all.answers.extend_from_slice(b"more");
    assert!(other.send(&mut all).is_err(), "the one whose answer is too much for the shard is let go");
}

#[test]
fn an_answer_to_a_client_that_has_left_is_counted_like_any_other() {
    let both = "GET / HTTP/1.1\r\nHost: t\r\n\r\nPUT / HTTP/1.1\r\nHost: t\r\n\r\n";
    let (mut conn, client, mut tools) = congested(both);
    // It leaves with bytes unread, so the connection is reset.
    drop(client);
    tools.now += 4 * SECOND;
    assert_eq!(conn.expire(&mut tools), Flow::Close, "the answer to PUT finds nobody");
    assert!(conn.unsent() > 0);
    assert_eq!(tools.unsent, conn.unsent());
}

#[test]
fn an_answer_that_does_not_move_ends_the_connection_whatever_else_goes_on() {
    for sent in ["GET / HTTP/1.1\r\nHost: t\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"] {
        let (mut conn, _client, mut tools) = congested(sent);
        tools.now += 9 * SECOND;
        assert_eq!(conn.expire(&mut tools), Flow::Wait);
        tools.now += SECOND;
        assert_eq!(conn.expire(&mut tools), Flow::Close);
    }
}

#[test]
fn at_a_stop_a_caller_who_said_nothing_yet_is_waited_for_and_an_idle_one_is_not() {
    let (mut conn, _client, mut tools) = accepted();
    tools.stopping = true;
    conn.last_look(tools.now);
    assert_eq!(conn.turn(0, &mut tools), Flow::Wait);
    assert!(!conn.is_quiet());
    tools.now += FIRST_REQUEST_GRACE - Duration::from_millis(1);
    assert_eq!(conn.expire(&mut tools), Flow::Wait);
    tools.now += Duration::from_millis(1);
    assert_eq!(conn.expire(&mut tools), Flow::Close);

    let (mut conn, mut client, mut tools) = accepted();
    client.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
    while conn.source().peek(&mut [0; 256]).is_err() {}
    conn.readable = true;
    assert_eq!(conn.turn(0, &mut tools), Flow::Wait);
    conn.last_look(tools.now);
    assert!(conn.is_quiet());
}
