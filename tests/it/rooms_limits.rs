//! What of rooms is held back, counted or asked for before it is done: streams that gather, rooms that one user makes, what a room
//! takes on disk, and clients that say nothing.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::ops::Operated;
use crate::support::Server;
use crate::support::socket::{Frame, PROTOCOL_PONG, Sent, Socket};
use crate::support::yjs::{Peer, sync, typed};

/// Enters a room as somebody.
#[track_caller]
fn enter_as(server: &Server, user: &str, room: &str) -> Peer {
    let mut peer = Peer::open(server, &format!("/rooms/{room}"), &[("X-User-Id", user)]).1;
    assert_eq!(peer.binary()[..2], [0, 0]);
    peer
}

#[test]
fn of_a_stream_nothing_waits_for_what_does_not_come() {
    let server = Server::start();
    let (mut writer, mut reader) = (Peer::enter(&server, "/rooms/notes"), Peer::enter(&server, "/rooms/notes"));
    let began = Instant::now();
    for burst in 0..20 {
        // The first one leaves at once, the others gather and leave together though nothing comes after them.
        for number in 0..3 {
            writer.send_update(&typed(5, burst * 3 + number, "x"));
        }
        for number in 0..3 {
            assert_eq!(reader.binary(), sync(2, &typed(5, burst * 3 + number, "x")), "all of them, in order");
        }
    }
    // Far more than gathering takes, and less than half of one sweep or keep-alive for each burst.
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn a_user_makes_so_many_rooms_and_the_next_one_is_only_read() {
    let server = Server::with(&[("ROOMS_MAX_NEW_PER_HOUR", "2")]);
    for room in ["a", "b"] {
        let mut alice = enter_as(&server, "alice", room);
        alice.change(&typed(5, 0, "x"));
        alice.change(&typed(5, 1, "y"));
    }
    let (mut alice, mut bob) = (enter_as(&server, "alice", "c"), enter_as(&server, "bob", "c"));
    alice.send_update(&typed(5, 0, "x"));
    let denied = alice.binary();
    let said = String::from_utf8_lossy(&denied[3..]);
    assert!(
        denied.starts_with(&[2, 0]) && said.contains("at most 2 rooms within an hour: come back in 30 min"),
        "{said}"
    );
    bob.change(&typed(6, 0, "z"));
    assert_eq!(alice.binary(), sync(2, &typed(6, 0, "z")), "she sees what others make");
    alice.change(&typed(5, 0, "x"));
    assert_eq!(bob.binary(), sync(2, &typed(5, 0, "x")), "and writes to what is there");
    enter_as(&server, "alice", "a").change(&typed(7, 0, "x"));
}

#[test]
fn what_a_room_takes_is_so_in_the_list_at_once_and_in_its_row_after_the_stop() {
    let mut operated = Operated::with(&[]);
    let listed = |operated: &Operated| -> Value {
        let list = operated.get("/rooms");
        list.expect(200)["rooms"][0].clone()
    };
    let (mut peer, mut bytes) = (Peer::enter(&operated.server, "/rooms/notes"), 0);
    for clock in 0..3 {
        let update = typed(5, clock, "x");
        peer.change(&update);
        bytes += update.len();
        assert_eq!(listed(&operated)["bytes"], json!(bytes));
    }
    assert!(operated.server.terminate().success());
    let database = rusqlite::Connection::open(operated.server.database()).unwrap();
    let row = database.query_row("SELECT log_rows, log_bytes FROM rooms", (), |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
    });
    assert_eq!(row.unwrap(), (3, bytes as i64));
}

#[test]
fn who_says_nothing_is_pinged_and_told_in_json_once_it_has_answered() {
    let server = Server::with(&[("ROOMS_JSON_WAIT_MS", "1")]);
    let open = |path: &str| {
        let (answer, mut socket) = Socket::open(&server, path, &[]);
        assert_eq!(answer.status, 101);
        socket.answers_pings = false;
        assert_eq!(socket.next(), Frame::Binary(vec![0, 0, 1, 0]));
        assert_eq!(socket.next(), Frame::Ping(Vec::new()));
        socket
    };
    for path in ["/rooms/notes", "/rooms?room=notes"] {
        let mut silent = open(path);
        silent.assert_quiet();
        silent.send(&Sent::new(PROTOCOL_PONG, []));
        assert_eq!(silent.json()["type"], "init", "{path}");
        // What a provider said before the ping reached it comes before its pong.
        let mut provider = Peer { socket: open(path) };
        provider.send(&[0, 0, 1, 0]);
        provider.socket.send(&Sent::new(PROTOCOL_PONG, []));
        assert_eq!(provider.binary(), [0, 1, 2, 0, 0]);
        provider.socket.assert_quiet();
    }
}
