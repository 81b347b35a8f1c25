use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use super::*;
use crate::clock::{Clock, Timestamp};
use crate::net::http1::{HeadLimits, Intake, Request};
use crate::net::listener::{Peer, Stream};
use crate::net::outbox::SLICES_MAX;
use crate::net::slots::{Caps, Slots};
use crate::net::socket::Message;
use crate::net::{Answer, Body, Frame, Outgoing, Session, SocketLimits, SocketNote, Timeouts};

const SECOND: Duration = Duration::from_secs(1);

/// Answers GET at once and anything else when it is told to, unless a test says how.
#[derive(Default)]
pub(super) struct Stub {
    pub(super) replies: Option<Box<dyn FnMut() -> Answer>>,
    /// Whether bodies are taken in pieces, and how much of them.
    pub(super) in_pieces: bool,
    pub(super) body_max: usize,
}

impl Service for Stub {
    fn intake(&self, _: &Request<'_>) -> Intake {
        if self.in_pieces { Intake::Pieces(self.body_max) } else { Intake::Whole(self.body_max) }
    }
    fn call(&mut self, request: &Request<'_>, _: Peer, _: Ticket) -> Answer {
        if let Some(reply) = &mut self.replies {
            return reply();
        }
        if request.method == Method::GET {
            return Answer::Now(Response::text(http::StatusCode::OK, "now"));
        }
        Answer::Later(Box::new(|woken| match woken {
            Woken::Resumed => Response::text(http::StatusCode::OK, "later"),
            Woken::TimedOut => Response::text(http::StatusCode::SERVICE_UNAVAILABLE, "too late"),
        }))
    }
    fn reject(&mut self, reject: &Reject, _: Option<&Request<'_>>, _: Option<&[u8]>, _: Peer) -> Response {
        let status = match reject {
            Reject::BodyTooLarge(_) => http::StatusCode::PAYLOAD_TOO_LARGE,
            _ => http::StatusCode::REQUEST_TIMEOUT,
        };
        Response { body: Body::Bytes(format!("{reject:?}").into_bytes().into()), ..Response::text(status, "") }
    }
    fn refuse(&mut self) -> Response {
        Response::text(http::StatusCode::SERVICE_UNAVAILABLE, "refused")
    }
}

/// A connection whose socket was full when it answered the first request of `sent`.
fn congested(sent: &str) -> (Conn, UnixStream, Tools<Stub>) {
    let (mut conn, client, mut tools) = connected(sent);
    // The kernel keeps what is written in pieces, so a small answer could still find room behind large ones.
    while conn.source().write(&[b'.'; 4096]).is_ok() {}
    while conn.source().write(b".").is_ok() {}
    assert_eq!(conn.turn(0, &mut tools), Flow::Wait);
    assert!(!conn.outbox.is_empty());
    (conn, client, tools)
}

/// A connection which has `sent` to read.
pub(super) fn connected(sent: &str) -> (Conn, UnixStream, Tools<Stub>) {
    let (mut conn, mut client, tools) = accepted();
    client.write_all(sent.as_bytes()).unwrap();
    conn.readable = true;
    (conn, client, tools)
}

/// A connection of which nothing is known yet.
pub(super) fn accepted() -> (Conn, UnixStream, Tools<Stub>) {
    let limits = HeadLimits { head_bytes: 1024, headers: 8, target_bytes: 256 };
    let timeouts = Timeouts {
        head: 2 * SECOND,
        body: 3 * SECOND,
        keep_alive: 100 * SECOND,
        write_stall: 10 * SECOND,
        parked: 4 * SECOND,
    };
    let tools = Tools::new(vec![Stub::default()], limits, timeouts, Arc::default(), Clock::manual(Timestamp(0)));
    let caps = Caps { connections: 1, per_address: 1, exempt: Box::new(|_| false) };
    let (ours, client) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    client.set_nonblocking(true).unwrap();
    let slot = Arc::new(Slots::new(caps, Arc::default())).take(Peer::Unix).ok().unwrap();
    let stream = Stream::Unix(mio::net::UnixStream::from_std(ours));
    let conn = Conn::new(Accepted { stream, peer: Peer::Unix, door: 0, _slot: slot }, &tools);
    (conn, client, tools)
}

/// So much time goes by, and a turn begins.
pub(super) fn pass(tools: &mut Tools<Stub>, time: Duration) {
    tools.clock.advance(i64::try_from(time.as_micros()).unwrap());
    tools.tick();
}

/// The client reads what is there, and the rest leaves.
fn relieve(conn: &mut Conn, client: &mut UnixStream, tools: &mut Tools<Stub>) {
    while !conn.outbox.is_empty() {
        while client.read(&mut [0; 64 * 1024]).is_ok() {}
        conn.turn(0, tools);
    }
}

#[test]
fn a_head_begun_behind_an_unsent_answer_has_its_own_time_once_that_is_sent() {
    let (mut conn, mut client, mut tools) = congested("GET / HTTP/1.1\r\nHost: t\r\n\r\nGET /");
    pass(&mut tools, 9 * SECOND);
    assert_eq!(conn.expire(&mut tools), Flow::Wait, "nothing is asked of it while we do not read");
    relieve(&mut conn, &mut client, &mut tools);
    pass(&mut tools, SECOND);
    assert_eq!(conn.expire(&mut tools), Flow::Wait);
    pass(&mut tools, SECOND);
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
        pass(&mut tools, 3 * SECOND);
        assert_eq!(conn.expire(&mut tools), Flow::Wait);
        pass(&mut tools, SECOND);
        assert_eq!(conn.expire(&mut tools), Flow::Again);
        assert!(matches!(conn.state, State::Idle));
    }
}

#[test]
fn what_is_held_for_a_client_is_counted_and_given_back_with_it() {
    let (mut conn, _client, mut tools) = congested("GET / HTTP/1.1\r\nHost: t\r\n\r\nGET / HT");
    conn.settle(&mut tools.held);
    assert_eq!(conn.share().bytes(), conn.outbox.cost() + conn.input.capacity());
    assert!(!conn.outbox.is_empty() && conn.input.capacity() > 0);
    let mut other = Share::default();
    tools.held = Held::new(conn.share().bytes());
    conn.share = Share::default();
    conn.settle(&mut tools.held);
    tools.held.settle(&mut other, 1);
    assert!(tools.held.is_too_much(&other));
    assert_eq!(conn.make_room(&mut tools), Flow::Close);
    conn.give_back(&mut tools.held);
    tools.held.settle(&mut other, 2);
    assert!(!tools.held.is_too_much(&Share::default()));
}

#[test]
fn a_socket_for_which_too_much_is_held_is_told_to_come_back() {
    let (mut conn, mut client, mut tools) = upgraded(None);
    sends(&mut conn, &mut client, &mut tools, 0x01, &"x".repeat(100));
    conn.settle(&mut tools.held);
    assert!(conn.share().bytes() >= 200, "half a message is held for it: {:?}", conn.share());
    assert_eq!(conn.make_room(&mut tools), Flow::Again);
    conn.turn(0, &mut tools);
    conn.settle(&mut tools.held);
    assert_eq!(conn.share().bytes(), 0);
    let close = crate::net::Frame::close(1013, "Reading too slowly; reconnect and catch up");
    assert_eq!(answer(&mut client), String::from_utf8_lossy(close.as_bytes()));
}

#[test]
fn an_answer_to_a_client_that_has_left_is_counted_like_any_other() {
    let both = "GET / HTTP/1.1\r\nHost: t\r\n\r\nPUT / HTTP/1.1\r\nHost: t\r\n\r\n";
    let (mut conn, client, mut tools) = congested(both);
    // It leaves with bytes unread, so the connection is reset.
    drop(client);
    pass(&mut tools, 4 * SECOND);
    assert_eq!(conn.expire(&mut tools), Flow::Close, "the answer to PUT finds nobody");
    assert!(conn.outbox.cost() > 0);
    conn.settle(&mut tools.held);
    assert_eq!(conn.share().bytes(), conn.outbox.cost());
}

#[test]
fn an_answer_that_does_not_move_ends_the_connection_whatever_else_goes_on() {
    for sent in ["GET / HTTP/1.1\r\nHost: t\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"] {
        let (mut conn, _client, mut tools) = congested(sent);
        pass(&mut tools, 9 * SECOND);
        assert_eq!(conn.expire(&mut tools), Flow::Wait);
        pass(&mut tools, SECOND);
        assert_eq!(conn.expire(&mut tools), Flow::Close);
    }
}

#[test]
fn who_takes_an_answer_a_little_at_a_time_is_cut_off() {
    let (mut conn, _client, mut tools) = congested("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    // What it has taken so far earns it some time, and the last byte moved only just now.
    conn.taken = 10 * ANSWER_MIN_BYTES_PER_SECOND;
    let last = ANSWER_GRACE + 10 * SECOND;
    for (time, flow) in [(last - Duration::from_millis(1), Flow::Wait), (Duration::from_millis(1), Flow::Close)] {
        pass(&mut tools, time);
        conn.stalled = tools.now + SECOND;
        assert_eq!(conn.expire(&mut tools), flow);
    }
    // Who takes all of it begins anew.
    let (mut conn, mut client, mut tools) = congested("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    conn.taken = 7;
    relieve(&mut conn, &mut client, &mut tools);
    pass(&mut tools, 50 * SECOND);
    assert_eq!(conn.expire(&mut tools), Flow::Wait);
    assert!(conn.taken > 7, "what leaves is counted");
}

#[test]
fn a_connection_has_a_slice_of_time_and_at_least_one_request_of_it() {
    let three = "GET / HTTP/1.1\r\nHost: t\r\n\r\n".repeat(3);
    let (mut conn, mut client, mut tools) = connected(&three);
    let clock = tools.clock.clone();
    tools.services[0].replies = Some(Box::new(move || {
        clock.advance(1500);
        Answer::Now(Response::text(http::StatusCode::OK, "now"))
    }));
    assert_eq!(conn.turn(0, &mut tools), Flow::Again, "the third comes after the others");
    assert_eq!(answer(&mut client).matches("200 OK").count(), 2);
    assert_eq!(conn.turn(0, &mut tools), Flow::Wait);
    assert_eq!(answer(&mut client).matches("200 OK").count(), 1);
}

#[test]
fn an_answer_is_made_at_once_while_there_is_time_and_for_nobody_who_has_left() {
    for (left, late) in [(false, false), (false, true), (true, false), (true, true)] {
        let (mut conn, mut client, mut tools) = connected("PUT / HTTP/1.1\r\nHost: t\r\n\r\n");
        let made = std::rc::Rc::new(std::cell::Cell::new(0));
        let making = std::rc::Rc::clone(&made);
        tools.services[0].replies = Some(Box::new(move || {
            let making = std::rc::Rc::clone(&making);
            Answer::Later(Box::new(move |_| {
                making.set(making.get() + 1);
                Response::text(http::StatusCode::OK, "later")
            }))
        }));
        assert_eq!(conn.turn(0, &mut tools), Flow::Wait);
        let State::Parked(parked) = &conn.state else { panic!("not parked") };
        let ticket = parked.ticket;
        tools.begin_slice();
        if late {
            tools.clock.advance(2000);
            tools.look();
        }
        conn.has_left = left;
        let flow = conn.resume(ticket, &mut tools);
        assert_eq!((flow, made.get()), if left && !late { (Flow::Close, 0) } else { (Flow::Again, i32::from(!late)) });
        if late {
            let flow = conn.turn(0, &mut tools);
            assert_eq!((flow, made.get()), if left { (Flow::Close, 0) } else { (Flow::Wait, 1) });
        }
        assert_eq!(answer(&mut client).ends_with("later"), !left);
    }
}

#[test]
fn who_sends_too_much_after_its_last_answer_is_not_listened_to_any_longer() {
    let (mut conn, mut client, mut tools) = connected("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(conn.turn(0, &mut tools), Flow::Wait);
    let mut sent = 0;
    let flow = loop {
        sent += client.write(&[b'x'; 16 * 1024]).unwrap();
        conn.readable = true;
        match conn.turn(0, &mut tools) {
            Flow::Close => break Flow::Close,
            _ => assert!(sent <= LINGER_MAX_BYTES, "{sent}"),
        }
    };
    assert!(flow == Flow::Close && sent > LINGER_MAX_BYTES);
}

#[test]
fn at_a_stop_a_caller_who_said_nothing_yet_is_waited_for_and_an_idle_one_is_not() {
    let (mut conn, _client, mut tools) = accepted();
    tools.stopping = true;
    conn.last_look(tools.now);
    assert_eq!(conn.turn(0, &mut tools), Flow::Wait);
    assert!(!conn.is_quiet());
    pass(&mut tools, FIRST_REQUEST_GRACE - Duration::from_millis(1));
    assert_eq!(conn.expire(&mut tools), Flow::Wait);
    pass(&mut tools, Duration::from_millis(1));
    assert_eq!(conn.expire(&mut tools), Flow::Close);

    let (mut conn, mut client, mut tools) = accepted();
    client.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
    conn.readable = true;
    assert_eq!(conn.turn(0, &mut tools), Flow::Wait);
    conn.last_look(tools.now);
    assert!(conn.is_quiet());
}

/// A moment before `time` nothing happens, and then this.
fn expires(conn: &mut Conn, tools: &mut Tools<Stub>, time: Duration) -> Flow {
    pass(tools, time - Duration::from_millis(1));
    assert_eq!(conn.expire(tools), Flow::Wait, "it is not time");
    pass(tools, Duration::from_millis(1));
    conn.expire(tools)
}

fn answer(client: &mut UnixStream) -> String {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 1024]);
    while let Ok(read @ 1..) = client.read(&mut chunk) {
        bytes.extend_from_slice(&chunk[..read]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn who_says_nothing_is_hung_up_on_and_who_says_half_a_head_is_told_why() {
    let (mut conn, mut client, mut tools) = accepted();
    assert_eq!(expires(&mut conn, &mut tools, 2 * SECOND), Flow::Close);
    assert_eq!(answer(&mut client), "");
    let (mut conn, mut client, mut tools) = connected("GET / HTTP/1.1\r\n");
    assert_eq!(conn.turn(0, &mut tools), Flow::Wait);
    // Another byte gives it no more time.
    pass(&mut tools, SECOND);
    client.write_all(b"H").unwrap();
    conn.readable = true;
    conn.turn(0, &mut tools);
    assert_eq!(expires(&mut conn, &mut tools, SECOND), Flow::Again);
    let said = answer(&mut client);
    assert!(said.starts_with("HTTP/1.1 408 ") && said.ends_with("HeadTimeout(2)"), "{said}");
}

#[test]
fn a_body_that_is_collected_has_a_time_of_its_own_from_the_end_of_its_head() {
    let (mut conn, mut client, mut tools) = connected("PUT / HTTP/1.1\r\nHost: t\r\n");
    tools.services[0].body_max = 9;
    conn.turn(0, &mut tools);
    pass(&mut tools, SECOND);
    client.write_all(b"Content-Length: 9\r\n\r\nhal").unwrap();
    conn.readable = true;
    conn.turn(0, &mut tools);
    assert_eq!(expires(&mut conn, &mut tools, 3 * SECOND), Flow::Again);
    assert!(answer(&mut client).ends_with("BodyTimeout(3)"));
}

#[test]
fn an_idle_connection_is_kept_for_its_time_and_a_closed_one_lingers_for_its_own() {
    let (mut conn, mut client, mut tools) = connected("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    conn.turn(0, &mut tools);
    assert_eq!(expires(&mut conn, &mut tools, 100 * SECOND), Flow::Close);
    let (mut last, mut leaving, mut tools) = connected("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(last.turn(0, &mut tools), Flow::Wait);
    assert!(matches!(last.state, State::Lingering(_)));
    // What it still sends is thrown away and gives it no more time.
    leaving.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    last.readable = true;
    assert_eq!(last.turn(0, &mut tools), Flow::Wait);
    assert_eq!(expires(&mut last, &mut tools, LINGER), Flow::Close);
    assert!(answer(&mut leaving).ends_with("now") && answer(&mut client).ends_with("now"));
}

/// Says nothing but "tick", every seven seconds.
#[derive(Default)]
struct Ticking {
    opened: bool,
    until: Option<Instant>,
}

impl Session for Ticking {
    fn open(&mut self, _: Ticket, _: &mut Outgoing<'_>) {}
    fn message(&mut self, _: &Message<'_>, out: &mut Outgoing<'_>) {
        out.text("heard");
    }
    fn note(&mut self, note: SocketNote, out: &mut Outgoing<'_>) {
        out.binary(&note.downcast::<Vec<u8>>().unwrap());
    }
    fn caught_up(&mut self, out: &mut Outgoing<'_>) {
        out.text("present");
    }
    fn tick(&mut self, now: Instant, out: &mut Outgoing<'_>) -> Option<Instant> {
        if std::mem::replace(&mut self.opened, true) {
            out.text("tick");
        }
        Some(now + 7 * SECOND)
    }
    fn until(&self) -> Option<Instant> {
        self.until
    }
    fn closed(&mut self, _: u16) {}
}

/// A connection that became a socket, pinged every five seconds.
fn upgraded(until: Option<Duration>) -> (Conn, UnixStream, Tools<Stub>) {
    let (mut conn, mut client, mut tools) = connected("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    let until = until.map(|after| tools.now + after);
    let limits = Arc::new(SocketLimits {
        message_bytes: 1024,
        message_time: 30 * SECOND,
        messages_per_second: 2,
        outbox_bytes: 1024,
        outbox_frames: 1024,
        stall: 3 * SECOND,
        ping: 5 * SECOND,
    });
    tools.services[0].replies = Some(Box::new(move || {
        let session = Box::new(Ticking { until, ..Ticking::default() });
        Answer::Upgrade(Response::empty(http::StatusCode::SWITCHING_PROTOCOLS), session, Arc::clone(&limits))
    }));
    assert_eq!(conn.turn(0, &mut tools), Flow::Wait);
    assert!(conn.is_socket() && answer(&mut client).starts_with("HTTP/1.1 101 "));
    (conn, client, tools)
}

/// Looks at the clock of a socket, as a sweep does; what the client is sent.
fn swept(conn: &mut Conn, client: &mut UnixStream, tools: &mut Tools<Stub>) -> String {
    let flow = conn.expire(tools);
    if flow == Flow::Again {
        conn.turn(0, tools);
    }
    answer(client)
}

fn sends(conn: &mut Conn, client: &mut UnixStream, tools: &mut Tools<Stub>, first: u8, payload: &str) {
    let length = 0x80 | u8::try_from(payload.len()).unwrap();
    client.write_all(&[&[first, length, 0, 0, 0, 0], payload.as_bytes()].concat()).unwrap();
    conn.readable = true;
    conn.turn(0, tools);
}

const PING: &str = "\u{fffd}\0";

#[test]
fn a_socket_that_answers_pings_stays_whatever_the_times_of_http_and_its_timer_goes_off() {
    let (mut conn, mut client, mut tools) = upgraded(None);
    let mut heard = Vec::new();
    for second in 1..=30 {
        pass(&mut tools, SECOND);
        let said = swept(&mut conn, &mut client, &mut tools);
        if said.contains("tick") {
            heard.push((second, "tick"));
        }
        if said.contains(PING) {
            heard.push((second, "ping"));
            sends(&mut conn, &mut client, &mut tools, 0x8a, "");
        }
    }
    let expected =
        [(5, "ping"), (7, "tick"), (10, "ping"), (14, "tick"), (15, "ping"), (20, "ping"), (21, "tick"), (25, "ping")];
    assert_eq!(heard[..8], expected);
    assert!(conn.is_socket());
}

#[test]
fn a_socket_that_answers_no_ping_is_closed_without_a_word() {
    let (mut conn, mut client, mut tools) = upgraded(None);
    pass(&mut tools, 5 * SECOND);
    assert!(swept(&mut conn, &mut client, &mut tools).contains(PING));
    pass(&mut tools, 5 * SECOND);
    // Its timer has gone off in between; there is nothing else to say.
    let _ = conn.expire(&mut tools);
    assert!(!conn.is_socket());
}

#[test]
fn a_socket_ends_with_what_it_was_opened_with() {
    let (mut conn, mut client, mut tools) = upgraded(Some(4 * SECOND));
    pass(&mut tools, 4 * SECOND - Duration::from_millis(1));
    assert_eq!(swept(&mut conn, &mut client, &mut tools), "");
    pass(&mut tools, Duration::from_millis(1));
    assert!(!swept(&mut conn, &mut client, &mut tools).is_empty());
    assert!(!conn.is_socket());
}

#[test]
fn pongs_are_no_messages_and_a_second_begins_anew() {
    let (mut conn, mut client, mut tools) = upgraded(None);
    for _ in 0..3 {
        for _ in 0..2 {
            sends(&mut conn, &mut client, &mut tools, 0x81, "x");
            sends(&mut conn, &mut client, &mut tools, 0x8a, "");
        }
        pass(&mut tools, SECOND);
    }
    assert!(conn.is_socket());
    for _ in 0..3 {
        sends(&mut conn, &mut client, &mut tools, 0x81, "x");
    }
    assert!(!conn.is_socket(), "one too many within a second");
}

#[test]
fn a_socket_whose_client_reads_nothing_is_closed_after_its_own_time() {
    let (mut conn, _client, mut tools) = upgraded(None);
    while conn.source().write(&[b'.'; 4096]).is_ok() {}
    while conn.source().write(b".").is_ok() {}
    let State::Socket(socket) = &conn.state else { panic!("no socket") };
    let ticket = socket.ticket();
    assert!(conn.deliver(ticket, &Frame::text("news"), tools.now));
    assert_eq!(conn.turn(0, &mut tools), Flow::Wait);
    assert_eq!(expires(&mut conn, &mut tools, 3 * SECOND), Flow::Again);
    assert!(!conn.is_socket());
}

#[test]
fn who_stops_reading_and_resumes_gets_every_plain_frame_in_order_and_is_told_once_what_passed() {
    let (mut conn, mut client, mut tools) = upgraded(None);
    while conn.source().write(&[b'.'; 4096]).is_ok() {}
    while conn.source().write(b".").is_ok() {}
    let State::Socket(socket) = &conn.state else { panic!("no socket") };
    let ticket = socket.ticket();
    let deliver = |conn: &mut Conn, tools: &mut Tools<Stub>, frame: Frame| {
        assert!(conn.deliver(ticket, &frame, tools.now));
        assert_eq!(conn.turn(0, tools), Flow::Wait);
    };
    for number in 0..6 {
        deliver(&mut conn, &mut tools, Frame::text(&format!("plain {number}")));
        deliver(&mut conn, &mut tools, Frame::text("cursor").passing());
        deliver(&mut conn, &mut tools, Frame::text("cursor").passing());
    }
    let mut said = answer(&mut client);
    for _ in 0..3 {
        assert_eq!(conn.turn(0, &mut tools), Flow::Wait);
        said += &answer(&mut client);
    }
    let mut words: Vec<&str> = said.trim_start_matches('.').split(['\u{fffd}', '\u{7}']).collect();
    words.retain(|word| !word.is_empty());
    assert_eq!(words.len(), 7, "{words:?}");
    for (number, word) in words[..6].iter().enumerate() {
        assert!(word.ends_with(&format!("plain {number}")), "{words:?}");
    }
    assert_eq!(words[6], "present");
    deliver(&mut conn, &mut tools, Frame::text("cursor").passing());
    assert!(answer(&mut client).ends_with("cursor"), "who reads gets it");
}

#[test]
fn a_stream_gathers_after_a_write_and_a_single_frame_never() {
    let (mut conn, _client, mut tools) = upgraded(None);
    let State::Socket(socket) = &conn.state else { panic!("no socket") };
    let (ticket, news, stream) = (socket.ticket(), Frame::text("news"), Frame::text("edit").gathering());
    pass(&mut tools, GATHER);
    assert_eq!(conn.gathers_until(&stream, tools.now), None, "nothing was written for a while");
    assert!(conn.deliver(ticket, &stream, tools.now));
    conn.turn(0, &mut tools);
    let until = tools.now + GATHER;
    for _ in 0..7 {
        pass(&mut tools, Duration::from_millis(1));
        assert_eq!(conn.gathers_until(&stream, tools.now), Some(until), "from the last write, not from the last frame");
        assert_eq!(conn.gathers_until(&news, tools.now), None, "only what may");
        assert!(conn.deliver(ticket, &stream, tools.now));
    }
    for _ in 7..=SLICES_MAX / 2 {
        assert!(conn.deliver(ticket, &stream, tools.now));
    }
    assert_eq!(conn.gathers_until(&stream, tools.now), None, "as many as one write takes, and half of that is enough");
    conn.turn(0, &mut tools);
    pass(&mut tools, GATHER);
    assert_eq!(conn.gathers_until(&stream, tools.now), None);
}

#[test]
fn a_note_reaches_the_socket_that_it_is_for_and_no_other() {
    let (mut conn, mut client, mut tools) = upgraded(None);
    let State::Socket(socket) = &conn.state else { panic!("no socket") };
    let (ticket, other) = (socket.ticket(), Ticket { serial: 99, ..socket.ticket() });
    assert!(!conn.tell(other, Box::new(()), &mut tools));
    assert!(conn.tell(ticket, Box::new(vec![1_u8, 2]), &mut tools));
    conn.turn(0, &mut tools);
    assert_eq!(answer(&mut client).as_bytes(), "\u{fffd}\u{2}\u{1}\u{2}".as_bytes());
    // What its session did not expect is its own end.
    assert!(conn.tell(ticket, Box::new("?"), &mut tools));
    assert!(!conn.is_socket());
}
