//! What sockets cost in memory is what their bounds say (G5), whatever their clients send and whatever they leave unread.

use std::io::Write;
use std::time::Duration;

use crate::support::socket::{Frame, PROTOCOL_PING, Sent, Socket, TEXT, connect_narrow, handshake, path};
use crate::support::{Server, wait_for};

/// Just below the longest message.
const LARGE: usize = 1_048_000;

fn sockets(server: &Server, number: usize) -> Vec<Socket> {
    let open = |_| {
        let mut client = connect_narrow(server);
        client.send(handshake(&path("d"), &[("X-User-Id", "bob")]));
        let (answer, mut socket) = Socket::answered(client);
        assert_eq!(answer.status, 101);
        socket.text();
        socket
    };
    (0..number).map(open).collect()
}

/// The server has dealt with all that was sent to it before: it works in order, and this comes last.
fn assert_others_are_served(server: &Server) {
    let mut other = Socket::watch(server, "other", "alice");
    other.send_text(r#"{"type":"ping"}"#);
    assert!(other.text().contains("pong"));
}

/// Kilobytes that the server has grown by.
fn grown(server: &Server, before: u64) -> u64 {
    server.memory_kb("VmRSS").saturating_sub(before)
}

#[test]
fn pongs_that_are_not_read_cost_no_more_than_their_bound() {
    const SOCKETS: usize = 8;
    let server = Server::with(&[("SHARDS", "1")]);
    let mut all = sockets(&server, SOCKETS);
    let before = server.memory_kb("VmRSS");
    // The first fill what the kernels keep; the others are so small that what they cost is all overhead.
    let full = Sent::new(PROTOCOL_PING, [b'x'; 125]).encode().repeat(2000);
    let empty = Sent::new(PROTOCOL_PING, []).encode().repeat(100_000);
    for socket in &mut all {
        // A socket that is cut off has met its bound.
        let _ = socket.client.stream.write_all(&full).and_then(|()| socket.client.stream.write_all(&empty));
    }
    assert_others_are_served(&server);
    let grown = grown(&server, before);
    assert!(grown < 300 * SOCKETS as u64, "{grown} kB for {SOCKETS} sockets");
}

#[test]
fn half_messages_cost_no_more_than_all_clients_of_a_shard_may() {
    const SOCKETS: usize = 50;
    let server = Server::with(&[("SHARDS", "1")]);
    let mut all = sockets(&server, SOCKETS);
    let before = server.memory_kb("VmRSS");
    // Whole as a frame, so that it is kept twice: as it came, and as a part of the message.
    let half = Sent::new(TEXT, vec![b' '; LARGE]).more().encode();
    for socket in &mut all {
        let _ = socket.client.stream.write_all(&half);
    }
    assert_others_are_served(&server);
    let grown = grown(&server, before);
    assert!(grown < 80 * 1024, "{grown} kB for {SOCKETS} sockets");
    let said = all.iter_mut().map(|socket| {
        socket.client.stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        socket.next()
    });
    let told = said.filter(|frame| matches!(frame, Frame::Close(1013, _))).count();
    assert!((10..40).contains(&told), "{told} of {SOCKETS} had to make room, and were told to come back");
}

#[test]
fn a_socket_gives_back_what_a_large_message_took() {
    const SOCKETS: usize = 50;
    let server = Server::with(&[("SHARDS", "1")]);
    let mut all = sockets(&server, SOCKETS);
    let before = server.memory_kb("VmRSS");
    let whole = Sent::new(TEXT, format!("1{}", " ".repeat(LARGE - 1))).encode();
    for socket in &mut all {
        socket.send_bytes(&whole);
        socket.send_text(r#"{"type":"ping"}"#);
        assert!(socket.text().contains("pong"), "it has read all of it");
    }
    let grown = grown(&server, before);
    assert!(grown < 8 * 1024, "{grown} kB for {SOCKETS} idle sockets");
}

#[test]
fn half_a_message_has_its_time_though_pings_go_on() {
    let server = Server::with(&[("BODY_TIMEOUT_SECONDS", "1")]);
    let mut socket = Socket::watch(&server, "d", "bob");
    socket.send(&Sent::new(TEXT, "1").more());
    let reason = wait_for(|| {
        socket.send(&Sent::new(PROTOCOL_PING, []));
        match socket.next() {
            Frame::Pong(_) => None,
            Frame::Close(1008, reason) => Some(reason),
            frame => panic!("{frame:?}"),
        }
    });
    assert_eq!(reason, "A message was begun and not finished in time");
}
