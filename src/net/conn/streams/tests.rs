use std::cell::RefCell;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use http::StatusCode;

use super::*;
use crate::clock::Clock;
use crate::net::body::{Body, PIECE_BYTES, Source};
use crate::net::conn::tests::{Stub, accepted, connected, pass};
use crate::net::response::Response;
use crate::net::service::{Answer, Pace, Receiver};

const SECOND: Duration = Duration::from_secs(1);
const GET: &str = "GET / HTTP/1.1\r\nHost: t\r\n\r\n";

/// Gives these pieces; an empty text fails.
struct Pieces(Vec<&'static str>);

impl Source for Pieces {
    fn next(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        match self.0.remove(0) {
            "" => return Err(io::Error::other("on purpose")),
            "panic" => std::panic::resume_unwind(Box::new("on purpose")),
            text => out.extend_from_slice(text.as_bytes()),
        }
        Ok(!self.0.is_empty())
    }
}

/// Gives a full piece for ever.
struct Endless;

impl Source for Endless {
    fn next(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        out.resize(PIECE_BYTES, b'x');
        Ok(true)
    }
}

/// A connection that was asked `request` and answers it from a source.
fn streaming(
    request: &str,
    length: Option<u64>,
    mut source: impl FnMut() -> Box<dyn Source + Send> + 'static,
) -> (Conn, UnixStream, Tools<Stub>) {
    let (mut conn, client, mut tools) = connected(request);
    tools.services[0].replies = Some(Box::new(move || {
        let body = Body::Source { length, source: source() };
        Answer::Now(Response { body, ..Response::empty(StatusCode::OK) })
    }));
    assert_eq!(conn.turn(0, &mut tools), Flow::Wait);
    (conn, client, tools)
}

fn pieces(texts: &'static [&'static str]) -> impl FnMut() -> Box<dyn Source + Send> + 'static {
    move || Box::new(Pieces(texts.to_vec()))
}

/// Does what shard and pool do, until nothing is asked for any more. Whether the connection goes on.
fn pump(conn: &mut Conn, tools: &mut Tools<Stub>) -> bool {
    while let Some((ticket, fetch)) = conn.fetch(tools) {
        if conn.piece(ticket, fetch.run(), tools) == Flow::Close {
            return false;
        }
        let _ = conn.turn(0, tools);
    }
    true
}

fn read(client: &mut UnixStream) -> String {
    let (mut read, mut chunk) = (Vec::new(), [0; 4096]);
    while let Ok(bytes @ 1..) = client.read(&mut chunk) {
        read.extend_from_slice(&chunk[..bytes]);
    }
    String::from_utf8(read).unwrap()
}

fn body(client: &mut UnixStream) -> String {
    read(client).split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[test]
fn a_source_of_known_length_is_sent_piece_by_piece_and_the_connection_goes_on() {
    let both = format!("{GET}{GET}");
    let (mut conn, mut client, mut tools) = streaming(&both, Some(10), pieces(&["hello", "world"]));
    assert!(pump(&mut conn, &mut tools));
    let answers = read(&mut client);
    assert_eq!(answers.matches("\r\ncontent-length: 10\r\n").count(), 2, "the next request has its turn: {answers}");
    assert!(answers.ends_with("helloworld"));
    assert!(matches!(conn.state, State::Idle));
    assert!(conn.outbox.is_empty());
}

#[test]
fn a_source_of_unknown_length_is_chunked_or_ends_with_the_connection() {
    let (mut conn, mut client, mut tools) = streaming(GET, None, pieces(&["hello", "big world"]));
    assert!(pump(&mut conn, &mut tools));
    assert_eq!(body(&mut client), "5\r\nhello\r\n9\r\nbig world\r\n0\r\n\r\n");
    assert!(matches!(conn.state, State::Idle));
    let old = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let (mut conn, mut client, mut tools) = streaming(old, None, pieces(&["hello", "world"]));
    assert!(pump(&mut conn, &mut tools));
    assert_eq!(body(&mut client), "helloworld");
    assert!(matches!(conn.state, State::Lingering(_)));
    let (mut conn, mut client, mut tools) =
        streaming("HEAD / HTTP/1.1\r\nHost: t\r\n\r\n", Some(5), pieces(&["hello"]));
    assert!(conn.fetch(&tools).is_none(), "nobody wants the body");
    assert!(pump(&mut conn, &mut tools) && body(&mut client).is_empty());
}

#[test]
fn a_source_that_fails_or_has_not_what_it_said_breaks_the_connection_off() {
    for (length, texts) in [
        (None, &["hello", ""][..]),
        (None, &["hello", "panic"]),
        (Some(6), &["hello"]),
        (Some(4), &["hello"]),
        (Some(9), &["hello", "world"]),
    ] {
        let (mut conn, mut client, mut tools) = streaming(GET, length, pieces(texts));
        assert!(!pump(&mut conn, &mut tools), "{texts:?}");
        assert!(!body(&mut client).ends_with("0\r\n\r\n"), "{texts:?}");
        assert_eq!(tools.metrics.broken_off.get(), 1, "{texts:?}");
    }
    let (mut conn, client, mut tools) = streaming(GET, None, || Box::new(Endless));
    drop(client);
    pump(&mut conn, &mut tools);
    assert_eq!(tools.metrics.broken_off.get(), 0, "a client that leaves breaks off nothing of ours");
}

#[test]
fn a_slow_reader_is_not_read_ahead_for_and_is_cut_off() {
    let (mut conn, mut client, mut tools) = streaming(GET, None, || Box::new(Endless));
    assert!(pump(&mut conn, &mut tools));
    assert!((REFILL_BYTES..REFILL_BYTES + 2 * PIECE_BYTES).contains(&conn.outbox.cost()), "{}", conn.outbox.cost());
    pass(&mut tools, 9 * SECOND);
    assert_eq!(conn.expire(&mut tools), Flow::Wait);
    // Something moves, and it has its time again.
    while matches!(client.read(&mut [0; 4096]), Ok(1..)) {}
    conn.turn(0, &mut tools);
    assert!(pump(&mut conn, &mut tools) && conn.outbox.cost() >= REFILL_BYTES);
    pass(&mut tools, 9 * SECOND);
    assert_eq!(conn.expire(&mut tools), Flow::Wait);
    pass(&mut tools, SECOND);
    assert_eq!(conn.expire(&mut tools), Flow::Close);
}

/// A connection that was asked `request` and answers it with a body that its shard makes.
fn making(request: &str, mut source: impl FnMut() -> Box<dyn Source> + 'static) -> (Conn, UnixStream, Tools<Stub>) {
    let (conn, client, mut tools) = connected(request);
    tools.services[0].replies =
        Some(Box::new(move || Answer::Now(Response { body: Body::Made(source()), ..Response::empty(StatusCode::OK) })));
    (conn, client, tools)
}

/// Takes 1 ms for each piece, and counts them.
struct Slow(Rc<RefCell<usize>>, Clock);

impl Source for Slow {
    fn next(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        self.1.advance(1000);
        *self.0.borrow_mut() += 1;
        // Every other piece has only come closer.
        out.resize(*self.0.borrow() % 2, b'x');
        Ok(*self.0.borrow() < 5)
    }
}

#[test]
fn a_body_that_the_shard_makes_takes_no_more_than_its_slice_in_a_turn() {
    let made = Rc::new(RefCell::new(0));
    let (mut conn, mut client, mut tools) = connected(GET);
    let (count, clock) = (Rc::clone(&made), tools.clock.clone());
    tools.services[0].replies = Some(Box::new(move || {
        let body = Body::Made(Box::new(Slow(Rc::clone(&count), clock.clone())));
        Answer::Now(Response { body, ..Response::empty(StatusCode::OK) })
    }));
    for pieces in [2, 4] {
        assert_eq!(conn.turn(0, &mut tools), Flow::Again, "the others have their turn");
        assert_eq!(*made.borrow(), pieces);
        tools.tick();
    }
    assert_eq!(conn.turn(0, &mut tools), Flow::Wait);
    assert_eq!(body(&mut client), "1\r\nx\r\n1\r\nx\r\n1\r\nx\r\n0\r\n\r\n");
    assert!(matches!(conn.state, State::Idle));
}

#[test]
fn a_body_that_the_shard_makes_waits_for_its_reader_and_is_not_made_for_a_head() {
    let (mut conn, mut client, mut tools) = making(GET, || Box::new(Endless));
    assert_eq!(conn.turn(0, &mut tools), Flow::Wait);
    let held = conn.outbox.cost();
    assert!((1..2 * PIECE_BYTES).contains(&held), "{held}");
    assert!(conn.fetch(&tools).is_none(), "the pool has nothing to do with it");
    assert_eq!(conn.turn(0, &mut tools), Flow::Wait);
    assert_eq!(conn.outbox.cost(), held);
    pass(&mut tools, 9 * SECOND);
    while matches!(client.read(&mut [0; 4096]), Ok(1..)) {}
    conn.turn(0, &mut tools);
    pass(&mut tools, 9 * SECOND);
    assert_eq!(conn.expire(&mut tools), Flow::Wait, "something has moved");
    pass(&mut tools, SECOND);
    assert_eq!(conn.expire(&mut tools), Flow::Close);
    let fails = || -> Box<dyn Source> { Box::new(Pieces(vec!["panic"])) };
    let (mut conn, mut client, mut tools) = making("HEAD / HTTP/1.1\r\nHost: t\r\n\r\n", fails);
    assert_eq!(conn.turn(0, &mut tools), Flow::Wait);
    assert_eq!(body(&mut client), "");
    assert!(matches!(conn.state, State::Idle));
}

#[test]
fn a_body_that_the_shard_cannot_make_breaks_the_connection_off() {
    for texts in [&["hello", ""], &["hello", "panic"]] {
        let (mut conn, mut client, mut tools) = making(GET, || Box::new(Pieces(texts.to_vec())));
        assert_eq!(conn.turn(0, &mut tools), Flow::Close);
        assert!(body(&mut client).ends_with("5\r\nhello\r\n"));
        assert_eq!(tools.metrics.broken_off.get(), 1);
    }
    let (mut conn, client, mut tools) = making(GET, || Box::new(Endless));
    drop(client);
    assert_eq!(conn.turn(0, &mut tools), Flow::Close);
    assert_eq!(tools.metrics.broken_off.get(), 0, "nothing of ours broke");
    let asked = Rc::new(RefCell::new(0));
    let count = Rc::clone(&asked);
    let (mut conn, _client, mut tools) = making(GET, move || Box::new(Slow(Rc::clone(&count), Clock::system())));
    conn.has_left = true;
    assert_eq!((conn.turn(0, &mut tools), *asked.borrow()), (Flow::Close, 0), "nothing is made for nobody");
}

#[test]
fn a_source_that_gives_nothing_is_not_waited_for_without_end() {
    let (mut conn, _client, mut tools) = streaming(GET, None, || Box::new(Endless));
    let (mut ticket, fetch) = conn.fetch(&tools).unwrap();
    assert!(conn.fetch(&tools).is_none(), "asked once at a time");
    pass(&mut tools, 4 * SECOND - Duration::from_millis(1));
    assert_eq!(conn.expire(&mut tools), Flow::Wait);
    pass(&mut tools, Duration::from_millis(1));
    assert_eq!(conn.expire(&mut tools), Flow::Close);
    assert_eq!(tools.metrics.broken_off.get(), 1);
    ticket.serial += 1;
    assert_eq!(conn.piece(ticket, fetch.run(), &mut tools), Flow::Wait, "a piece for another answer");
}

/// Keeps what it is given, and does what it was told for each piece.
struct Basket {
    kept: Rc<RefCell<String>>,
    says: Rc<RefCell<Vec<Take>>>,
}

impl Receiver for Basket {
    fn piece(&mut self, bytes: &[u8]) -> Take {
        self.kept.borrow_mut().push_str(std::str::from_utf8(bytes).unwrap());
        self.says.borrow_mut().pop().unwrap_or(Take::More)
    }

    fn resumed(&mut self, woken: Woken) -> Take {
        self.kept.borrow_mut().push_str(&format!("<{woken:?}>"));
        self.says.borrow_mut().pop().unwrap_or(Take::More)
    }

    fn end(self: Box<Self>, _: Ticket) -> Answer {
        self.kept.borrow_mut().push('.');
        Answer::Now(Response::text(StatusCode::CREATED, "kept"))
    }

    fn broken(self: Box<Self>, why: &Reject) -> Response {
        self.kept.borrow_mut().push('!');
        let status = if matches!(why, Reject::BodyTooLarge(_)) { 413 } else { 408 };
        let body = Body::Bytes(format!("{why:?}").into_bytes().into());
        Response { body, ..Response::empty(StatusCode::from_u16(status).unwrap()) }
    }
}

struct House {
    conn: Conn,
    client: UnixStream,
    tools: Tools<Stub>,
    kept: Rc<RefCell<String>>,
    says: Rc<RefCell<Vec<Take>>>,
}

/// A connection whose bodies go to a basket, at no less than ten bytes a second after two seconds, and within three of
/// silence.
fn receiving(in_pieces: bool) -> House {
    let (conn, client, mut tools) = accepted();
    let (kept, says) = (Rc::<RefCell<String>>::default(), Rc::<RefCell<Vec<Take>>>::default());
    let pace = Pace { stall: 3 * SECOND, grace: 2 * SECOND, bytes_per_second: 10 };
    let (in_basket, told) = (Rc::clone(&kept), Rc::clone(&says));
    let basket = move || Box::new(Basket { kept: Rc::clone(&in_basket), says: Rc::clone(&told) });
    tools.services[0] =
        Stub { replies: Some(Box::new(move || Answer::Receive(basket(), pace))), in_pieces, body_max: 100 };
    House { conn, client, tools, kept, says }
}

impl House {
    fn send(&mut self, text: &str) -> Flow {
        self.client.write_all(text.as_bytes()).unwrap();
        self.conn.readable = true;
        self.conn.turn(0, &mut self.tools)
    }

    fn kept(&self) -> String {
        self.kept.take()
    }

    fn ticket(&self) -> Ticket {
        let State::Uploading(upload) = &self.conn.state else { panic!("no body is on its way") };
        upload.ticket()
    }

    fn pass(&mut self, time: Duration) -> Flow {
        pass(&mut self.tools, time);
        self.conn.expire(&mut self.tools)
    }
}

fn put(framing: &str) -> String {
    format!("PUT / HTTP/1.1\r\nHost: t\r\n{framing}\r\n\r\n")
}

#[test]
fn a_body_is_handed_on_as_it_comes_and_answered_at_its_end() {
    for (framing, first, rest) in [
        ("Content-Length: 10", "hello", "world"),
        ("Transfer-Encoding: chunked", "3\r\nhel\r\n5\r\nlo", "wor\r\n2\r\nld\r\n0\r\n\r\n"),
    ] {
        let mut house = receiving(true);
        house.send(&format!("{}{first}", put(framing)));
        assert_eq!(house.kept(), "hello");
        assert_eq!(read(&mut house.client), "");
        // The next request is behind it, and has its own body.
        house.send(&format!("{rest}{}a", put("Content-Length: 2")));
        assert_eq!(house.kept(), "world.a");
        house.send("b");
        assert_eq!(house.kept(), "b.");
        assert_eq!(read(&mut house.client).matches("HTTP/1.1 201 ").count(), 2);
        assert!(matches!(house.conn.state, State::Idle));
    }
    let mut whole = receiving(false);
    whole.send(&format!("{}hello", put("Content-Length: 5")));
    assert_eq!(whole.kept(), "hello.", "a body that was collected goes the same way");
}

#[test]
fn who_pauses_is_sent_no_more_until_its_ticket_is_resumed() {
    let mut house = receiving(true);
    house.says.borrow_mut().push(Take::Pause);
    house.send(&format!("{}3\r\nhel\r\n2\r\nlo\r\n", put("Transfer-Encoding: chunked")));
    assert_eq!(house.kept(), "hel");
    assert_eq!(house.send("5\r\nworld\r\n0\r\n\r\n"), Flow::Wait);
    assert_eq!(house.kept(), "", "nothing is read");
    assert_eq!(house.pass(3 * SECOND), Flow::Wait, "the client cannot help it");
    let ticket = house.ticket();
    assert_eq!(house.conn.resume(Ticket { serial: ticket.serial + 1, ..ticket }, &mut house.tools), Flow::Wait);
    assert_eq!(house.conn.resume(ticket, &mut house.tools), Flow::Again);
    house.conn.turn(0, &mut house.tools);
    assert_eq!(house.kept(), "<Resumed>loworld.");
}

#[test]
fn the_end_waits_for_a_pause_that_began_with_the_last_piece() {
    for in_pieces in [true, false] {
        let mut house = receiving(in_pieces);
        house.says.borrow_mut().push(Take::Pause);
        let next = put("Content-Length: 2");
        assert_eq!(house.send(&format!("{}hello{next}ab", put("Content-Length: 5"))), Flow::Wait);
        assert_eq!((house.kept(), read(&mut house.client)), ("hello".to_owned(), String::new()), "{in_pieces}");
        let ticket = house.ticket();
        assert_eq!(house.conn.resume(ticket, &mut house.tools), Flow::Again);
        house.conn.turn(0, &mut house.tools);
        assert_eq!(house.kept(), "<Resumed>.ab.", "the next one has its turn");
        assert_eq!(read(&mut house.client).matches("HTTP/1.1 201 ").count(), 2);
        assert!(matches!(house.conn.state, State::Idle));
    }
}

#[test]
fn an_answer_to_the_last_piece_keeps_the_connection() {
    let mut house = receiving(true);
    house.says.borrow_mut().push(Take::Answer(Response::text(StatusCode::OK, "had it")));
    house.send(&format!("{}hello{}", put("Content-Length: 5"), put("Content-Length: 0")));
    assert_eq!(house.kept(), "hello.");
    let said = read(&mut house.client);
    assert!(said.contains("had it") && said.ends_with("kept") && !said.contains("connection: close"), "{said}");
}

#[test]
fn a_pause_without_end_ends_the_connection() {
    let mut house = receiving(true);
    house.says.borrow_mut().push(Take::Pause);
    house.send(&format!("{}he", put("Content-Length: 10")));
    assert_eq!(house.pass(4 * SECOND - Duration::from_millis(1)), Flow::Wait);
    let busy = Response::text(StatusCode::SERVICE_UNAVAILABLE, "busy");
    house.says.borrow_mut().push(Take::Answer(busy));
    assert_eq!(house.pass(Duration::from_millis(1)), Flow::Again);
    assert_eq!(house.kept(), "he<TimedOut>");
    assert!(read(&mut house.client).starts_with("HTTP/1.1 503 "));
    assert!(matches!(house.conn.state, State::Closing));
}

#[test]
fn a_body_that_stalls_or_drips_is_given_up() {
    let mut stalls = receiving(true);
    stalls.send(&format!("{}{}", put("Content-Length: 99"), "x".repeat(50)));
    assert_eq!(stalls.pass(3 * SECOND - Duration::from_millis(1)), Flow::Wait);
    assert_eq!(stalls.pass(Duration::from_millis(1)), Flow::Again);
    assert!(stalls.kept().ends_with("x!"));
    let said = read(&mut stalls.client);
    assert!(said.starts_with("HTTP/1.1 408 ") && said.contains("BodyStalled(3)"), "{said}");
    let mut drips = receiving(true);
    drips.send(&put("Content-Length: 99"));
    for seconds in 1..=2 {
        drips.send("x");
        assert_eq!(drips.pass(SECOND), Flow::Wait, "{seconds}");
    }
    assert_eq!(drips.pass(Duration::from_millis(200)), Flow::Again, "two bytes have earned two tenths");
    let said = read(&mut drips.client);
    assert!(said.contains("connection: close") && said.contains("BodyTooSlow(10)"), "{said}");
}

#[test]
fn a_body_over_its_limit_is_refused_wherever_that_is_seen() {
    let mut declared = receiving(true);
    declared.send(&put("Content-Length: 101"));
    assert!(read(&mut declared.client).starts_with("HTTP/1.1 413 "));
    assert_eq!(declared.kept(), "");
    let mut chunked = receiving(true);
    chunked.send(&format!("{}5\r\nhello\r\n60\r\n", put("Transfer-Encoding: chunked")));
    assert!(read(&mut chunked.client).starts_with("HTTP/1.1 413 "));
    assert_eq!(chunked.kept(), "hello!", "never whole");
}

#[test]
fn a_client_is_told_to_go_on_only_if_its_body_is_wanted() {
    let asks = put("Expect: 100-continue\r\nContent-Length: 5");
    let mut house = receiving(true);
    house.send(&asks);
    assert_eq!(read(&mut house.client), "HTTP/1.1 100 Continue\r\n\r\n");
    house.send("hello");
    assert_eq!(house.kept(), "hello.");
    let mut refusing = receiving(true);
    refusing.tools.services[0].replies =
        Some(Box::new(|| Answer::Now(Response::text(StatusCode::FORBIDDEN, "not from you"))));
    refusing.send(&asks);
    let said = read(&mut refusing.client);
    assert!(said.starts_with("HTTP/1.1 403 ") && said.contains("connection: close"), "{said}");
    assert!(matches!(refusing.conn.state, State::Lingering(_)), "what it sends all the same is thrown away");
}

#[test]
fn a_receiver_may_answer_early_and_one_that_panics_ends_its_connection() {
    let mut early = receiving(true);
    early.says.borrow_mut().push(Take::Answer(Response::text(StatusCode::INSUFFICIENT_STORAGE, "full")));
    early.send(&format!("{}he", put("Content-Length: 10")));
    let said = read(&mut early.client);
    assert!(said.starts_with("HTTP/1.1 507 ") && said.contains("connection: close"), "{said}");
    let mut panics = receiving(true);
    panics.client.write_all(&[put("Content-Length: 10").as_bytes(), &[0xff]].concat()).unwrap();
    panics.conn.readable = true;
    panics.conn.turn(0, &mut panics.tools);
    assert_eq!(read(&mut panics.client), "");
    assert!(matches!(panics.conn.state, State::Lingering(_)));
}
