//! What subscribers may rely on (G2): one order for everyone, nothing lost and nothing twice however often they leave and
//! come back, and that one of them who does not keep up costs the others nothing (G5, G6).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::random::Random;
use crate::support::socket::{Frame, PING, Sent, Socket, TEXT, connect_narrow, path};
use crate::support::{Client, Server, raise_descriptor_limit, wait_for};

const DRAFTS: &str = "/v1/collab/drafts";
/// At most so many events are told again to who was away.
const REPLAY_MAX: u64 = 1_000;
const TOO_SLOW: &str = "Reading too slowly; reconnect and catch up";
const RESTARTING: &str = "The server is restarting; reconnect and catch up";

/// One who changes a draft over a connection of its own.
struct Writer {
    client: Client,
    draft: String,
    /// Tells its keys from those of others.
    name: usize,
    changes: usize,
}

impl Writer {
    fn new(server: &Server, draft: &str, name: usize) -> Self {
        Self { client: server.connect(), draft: draft.to_owned(), name, changes: 0 }
    }

    fn post(&mut self, user: &str, path: &str, body: &Value) -> u16 {
        // As long as ids may be, so that events take room.
        let request_id = format!("{:x<128}", format!("{}-{}-", self.name, self.changes));
        let headers = [("X-User-Id", user), ("X-Request-Id", &request_id), ("Content-Type", "application/json")];
        let path = format!("{DRAFTS}/{}/{path}", self.draft);
        self.client.request("POST", &path, &headers, body.to_string().as_bytes()).status
    }

    fn key(&mut self) -> String {
        self.changes += 1;
        format!("{}-{}", self.name, self.changes)
    }

    /// Appends as whoever holds the ring.
    fn append(&mut self) {
        let body = json!({ "content": "x", "idempotency_key": self.key() });
        self.until_granted("segments", &body);
    }

    /// Passes the ring on from whoever holds it.
    fn pass(&mut self, to: &str) {
        let body = json!({ "to_user_id": to, "idempotency_key": self.key() });
        self.until_granted("pass-ring", &body);
    }

    fn until_granted(&mut self, path: &str, body: &Value) {
        let granted = (0..10_000).any(|attempt| {
            let user = ["alice", "bob"][attempt % 2];
            let status = self.post(user, path, body);
            assert!(matches!(status, 200 | 403), "{status}");
            status == 200
        });
        assert!(granted, "nobody held the ring for long");
    }
}

/// A draft of alice's with bob in it: two events.
fn shared_draft(server: &Server) -> String {
    let draft = server.create_draft("alice");
    let add = format!("{DRAFTS}/{draft}/collaborators?collaborator_id=bob");
    server.post_as("alice", &add, &json!({})).expect(200);
    draft
}

/// So many events in all, made of passes, whose answers stay short.
fn fill(server: &Server, draft: &str, events: u64) {
    let (_, mut socket) = Socket::watch_since(server, draft, "alice", 0);
    let head = socket_head(&mut socket);
    thread::scope(|scope| {
        for name in 0..8 {
            let share = (events - head + name) / 8;
            scope.spawn(move || {
                let mut writer = Writer::new(server, draft, 1_000 + name as usize);
                for _ in 0..share {
                    writer.pass("alice");
                }
            });
        }
    });
}

/// Reads up to the marker that ends a replay, and says how far it has come.
fn socket_head(socket: &mut Socket) -> u64 {
    loop {
        let text = socket.json();
        if text["type"] == "resumed" {
            return text["to"].as_u64().unwrap();
        }
    }
}

/// What was replayed: the numbers of the events in the order in which they came, and the marker behind them.
fn replayed(socket: &mut Socket) -> (Vec<u64>, Value) {
    let mut seqs = Vec::new();
    loop {
        let text = socket.json();
        if text["type"] == "resumed" {
            return (seqs, text);
        }
        seqs.push(text["seq"].as_u64().unwrap_or_else(|| panic!("{text}")));
    }
}

/// An event as those see it who do not count.
fn without_seq(text: &str, seq: u64) -> String {
    let (numbered, plain) = (format!(r#","seq":{seq},"data":"#), r#","data":"#);
    assert_eq!(text.matches(&numbered).count(), 1, "{text}");
    text.replace(&numbered, plain)
}

/// Reads numbered events until this one, and returns their texts without the numbers, which must be the next ones.
fn read_numbered(socket: &mut Socket, mut last: u64, until: u64) -> Vec<String> {
    let mut texts = Vec::new();
    while last < until {
        let text = socket.text();
        let json: Value = serde_json::from_str(&text).unwrap();
        if json["type"] == "resumed" {
            assert_eq!((&json["to"], &json["complete"]), (&json!(last), &json!(true)));
            continue;
        }
        last += 1;
        assert_eq!(json["seq"], last, "{text}");
        texts.push(without_seq(&text, last));
    }
    texts
}

#[test]
fn fifty_subscribers_see_one_order_while_eight_write() {
    const WRITERS: usize = 8;
    const CHANGES: usize = 30;
    const BEFORE: u64 = 2;
    let server = Server::with(&[("SHARDS", "4")]);
    let draft = shared_draft(&server);
    let total = BEFORE + (WRITERS * CHANGES) as u64;
    let mut random = Random::seeded();
    let written = AtomicUsize::new(0);
    let (server, draft, written) = (&server, draft.as_str(), &written);
    let (plain, numbered) = thread::scope(|scope| {
        let plain: Vec<_> = (0..20)
            .map(|_| {
                let mut socket = Socket::watch(server, draft, "eve");
                scope.spawn(move || (BEFORE..total).map(|_| socket.text()).collect::<Vec<_>>())
            })
            .collect();
        let early: Vec<_> = (0..15)
            .map(|_| {
                let mut socket = Socket::watch_since(server, draft, "bob", 0).1;
                scope.spawn(move || read_numbered(&mut socket, 0, total))
            })
            .collect();
        for name in 0..WRITERS {
            let mut random = random.fork();
            scope.spawn(move || {
                let mut writer = Writer::new(server, draft, name);
                for _ in 0..CHANGES {
                    match random.below(3) {
                        0 => writer.pass(["alice", "bob"][random.below(2)]),
                        _ => writer.append(),
                    }
                    written.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // The others come while it is going on, some at each stage.
        let late = (0..15).map(|number| {
            wait_for(|| (written.load(Ordering::Relaxed) >= number * WRITERS * CHANGES / 16).then_some(()));
            scope.spawn(move || {
                let mut socket = Socket::watch_since(server, draft, "bob", 0).1;
                read_numbered(&mut socket, 0, total)
            })
        });
        let late: Vec<_> = late.collect();
        let numbered = early.into_iter().chain(late).map(|reader| reader.join().unwrap()).collect::<Vec<_>>();
        (plain.into_iter().map(|reader| reader.join().unwrap()).collect::<Vec<_>>(), numbered)
    });
    assert_eq!(plain.len() + numbered.len(), 50);
    for texts in &numbered {
        assert_eq!(texts, &numbered[0]);
    }
    for texts in &plain {
        assert_eq!(texts[..], numbered[0][BEFORE as usize..]);
    }
    let is_append = |text: &&String| text.contains("collab.segment_added");
    let orders = numbered[0].iter().filter(is_append).map(|text| {
        let event: Value = serde_json::from_str(text).unwrap();
        event["data"]["segment_order"].as_u64().unwrap()
    });
    let orders: Vec<_> = orders.collect();
    assert_eq!(orders, (0..orders.len() as u64).collect::<Vec<_>>(), "and it is the order of the segments");
}

#[test]
fn who_leaves_and_comes_back_under_fire_misses_nothing_and_hears_nothing_twice() {
    const EVENTS: u64 = 1_000;
    const WRITERS: u64 = 4;
    let server = Server::with(&[("SHARDS", "4")]);
    let draft = shared_draft(&server);
    let mut random = Random::seeded();
    let (server, draft) = (&server, draft.as_str());
    thread::scope(|scope| {
        for name in 0..WRITERS {
            let share = (EVENTS - 2 + name) / WRITERS;
            scope.spawn(move || {
                let mut writer = Writer::new(server, draft, name as usize);
                for change in 0..share {
                    // Few appends: the answer to each change is the whole draft.
                    if change % 10 == 0 { writer.append() } else { writer.pass("alice") }
                }
            });
        }
        for _ in 0..6 {
            let mut random = random.fork();
            scope.spawn(move || {
                let (mut last, mut visits) = (0, 0);
                while last < EVENTS {
                    last = visit(server, draft, last, &mut random, EVENTS);
                    visits += 1;
                }
                assert!(visits > 5, "{visits} visits");
            });
        }
    });
}

/// Comes back behind the event `last`, reads a random number of frames and leaves in one of many ways.
fn visit(server: &Server, draft: &str, mut last: u64, random: &mut Random, until: u64) -> u64 {
    let since = last;
    let (welcome, mut socket) = Socket::watch_since(server, draft, "bob", since);
    let head = welcome["seq"].as_u64().unwrap_or_else(|| panic!("{welcome}"));
    assert!(head >= since, "{welcome}");
    let mut resumed = false;
    for _ in 0..random.below(150) {
        if resumed && last == until {
            break;
        }
        let text = socket.json();
        if text["type"] == "resumed" {
            assert_eq!(text, json!({ "type": "resumed", "from": since, "to": head, "complete": true }));
            assert_eq!((last, resumed), (head, false), "all that the welcome spoke of has come, and nothing more");
            resumed = true;
        } else {
            assert_eq!(text["seq"], last + 1, "{text}");
            last += 1;
            assert!(resumed || last <= head, "{text} before the end of the replay up to {head}");
        }
    }
    match random.below(4) {
        0 => socket.abort(),
        1 => socket.half_close(),
        2 => socket.send_close(1001),
        _ => {}
    }
    last
}

#[test]
fn the_welcome_of_who_catches_up_says_how_far_it_is_and_who_holds_the_ring() {
    let server = Server::start();
    let draft = shared_draft(&server);
    let welcome_and_end = |draft: &str, since: u64| {
        let (welcome, mut socket) = Socket::watch_since(&server, draft, "eve", since);
        let (seqs, resumed) = replayed(&mut socket);
        (welcome, seqs, resumed.to_string(), socket)
    };
    let end = |from: u64, to: u64, complete: bool| {
        format!(r#"{{"type":"resumed","from":{from},"to":{to},"complete":{complete}}}"#)
    };
    let (welcome, seqs, resumed, _) = welcome_and_end(&draft, 0);
    let members: Vec<_> = welcome.as_object().unwrap().keys().map(String::as_str).collect();
    let known = ["type", "draft_id", "user_id", "ts", "request_id", "connection_id", "seq", "ring_holder"];
    assert_eq!(members, known);
    assert_eq!((&welcome["seq"], &welcome["ring_holder"]), (&json!(2), &json!("alice")));
    assert_eq!((seqs, resumed), (vec![1, 2], end(0, 2, true)));
    Writer::new(&server, &draft, 0).pass("bob");
    let (welcome, seqs, resumed, _) = welcome_and_end(&draft, 2);
    assert_eq!((&welcome["seq"], &welcome["ring_holder"]), (&json!(3), &json!("bob")));
    assert_eq!((seqs, resumed), (vec![3], end(2, 3, true)));
    let (_, seqs, resumed, mut up_to_date) = welcome_and_end(&draft, 3);
    assert_eq!((seqs, resumed), (vec![], end(3, 3, true)));
    // From the future, of a database that was put back, say: there is nothing to tell but that something is wrong.
    let (_, seqs, resumed, mut ahead) = welcome_and_end(&draft, 4);
    assert_eq!((seqs, resumed), (vec![], end(4, 3, false)));
    let (_, seqs, resumed, _) = welcome_and_end(&draft, i64::MAX as u64);
    assert_eq!((seqs, resumed), (vec![], end(i64::MAX as u64, 3, false)));
    let (welcome, seqs, resumed, mut of_none) = welcome_and_end("no-such-draft", 0);
    assert_eq!((&welcome["seq"], &welcome["ring_holder"]), (&json!(0), &Value::Null));
    assert_eq!((seqs, resumed), (vec![], end(0, 0, true)));
    let (welcome, seqs, resumed, _) = welcome_and_end("no-such-draft", 1);
    assert_eq!((&welcome["seq"], &welcome["ring_holder"]), (&json!(0), &Value::Null));
    assert_eq!((seqs, resumed), (vec![], end(1, 0, false)));
    // Either way it goes on from there.
    Writer::new(&server, &draft, 1).pass("alice");
    for socket in [&mut up_to_date, &mut ahead] {
        assert_eq!(socket.json()["seq"], 4);
    }
    of_none.assert_quiet();
}

#[test]
fn what_is_replayed_is_what_was_told_when_it_happened_and_how_a_draft_began() {
    let server = Server::start();
    let draft = server.create_draft("alice");
    let mut live = Socket::watch_since(&server, &draft, "alice", 1).1;
    assert_eq!(replayed(&mut live).0, [0; 0]);
    let mut writer = Writer::new(&server, &draft, 0);
    writer.append();
    writer.pass("alice");
    let mut back = Socket::watch_since(&server, &draft, "alice", 0).1;
    let first = back.text();
    let created: Value = serde_json::from_str(&first).unwrap();
    let (ts, request_id, at) = (&created["ts"], &created["request_id"], &created["data"]["created_at"]);
    assert_eq!(
        first,
        format!(
            r#"{{"type":"collab.draft_created","draft_id":"{draft}","ts":{ts},"request_id":{request_id},"seq":1,"data":{{"draft_id":"{draft}","creator_id":"alice","title":"A draft","platform":"x","created_at":{at}}}}}"#
        )
    );
    for _ in 0..2 {
        assert_eq!(back.text(), live.text(), "the same bytes");
    }
    assert_eq!(back.json()["type"], "resumed");
    // And over HTTP, in pages.
    let events = |since: u64, limit: u64| {
        server.get(&format!("{DRAFTS}/{draft}/events?since={since}&limit={limit}")).expect(200)
    };
    let page = events(0, 2);
    let mut about = page.clone();
    about.as_object_mut().unwrap().shift_remove("data");
    assert_eq!(about.to_string(), r#"{"from":0,"to":3,"complete":true,"more":true}"#);
    assert_eq!(page["data"][0], created);
    assert_eq!(page["data"].as_array().unwrap().len(), 2);
    let page = events(2, 2);
    assert_eq!((&page["data"][0]["seq"], &page["more"]), (&json!(3), &json!(false)));
}

#[test]
fn who_was_away_for_too_long_is_told_the_newest_thousand_and_that_it_is_not_all() {
    const EVENTS: u64 = REPLAY_MAX + 100;
    let server = Server::start();
    let draft = shared_draft(&server);
    fill(&server, &draft, EVENTS);
    for (since, first, complete) in [(0, 101, false), (99, 101, false), (100, 101, true), (1_050, 1_051, true)] {
        let (welcome, mut socket) = Socket::watch_since(&server, &draft, "bob", since);
        assert_eq!(welcome["seq"], EVENTS);
        // More bytes than WS_OUTBOX_BYTES, which bounds what a slow reader leaves unread, not what it may ask for.
        let (seqs, resumed) = replayed(&mut socket);
        assert_eq!(seqs, (first..=EVENTS).collect::<Vec<_>>(), "since {since}");
        assert_eq!(resumed, json!({ "type": "resumed", "from": since, "to": EVENTS, "complete": complete }));
        socket.assert_quiet();
    }
}

#[test]
fn a_replay_may_be_longer_than_what_a_slow_reader_is_allowed() {
    const EVENTS: u64 = 400;
    let server = Server::with(&[("WS_OUTBOX_BYTES", "1024")]);
    let draft = shared_draft(&server);
    fill(&server, &draft, EVENTS);
    // Some 150 KB, of which the kernels take a third.
    let (welcome, mut socket) = watch_narrow(&server, &format!("{}?since=0", path(&draft)));
    assert_eq!(welcome["seq"], EVENTS);
    assert_eq!(replayed(&mut socket).0, (1..=EVENTS).collect::<Vec<_>>());
    socket.assert_quiet();
}

#[test]
fn events_that_are_no_longer_kept_are_told_to_be_missing() {
    const KEPT: u64 = 100;
    const EVENTS: u64 = 150;
    let server = Server::with(&[("EVENTS_KEPT_PER_DRAFT", "100"), ("HOUSEKEEPING_SECONDS", "1")]);
    let draft = shared_draft(&server);
    fill(&server, &draft, EVENTS);
    let replay = |since: u64| {
        let (_, mut socket) = Socket::watch_since(&server, &draft, "bob", since);
        let (seqs, resumed) = replayed(&mut socket);
        assert_eq!(seqs.last(), Some(&EVENTS));
        (seqs, resumed["complete"].as_bool().unwrap())
    };
    wait_for(|| (!replay(EVENTS - KEPT - 1).1).then_some(()));
    let (seqs, complete) = replay(0);
    assert_eq!((seqs, complete), ((EVENTS - KEPT + 1..=EVENTS).collect(), false));
    assert_eq!(replay(EVENTS - KEPT), ((EVENTS - KEPT + 1..=EVENTS).collect(), true));
}

/// A socket over a connection that holds little, and its welcome.
fn watch_narrow(server: &Server, path: &str) -> (Value, Socket) {
    let (answer, mut socket) = Socket::upgrade(connect_narrow(server), path, &[("X-User-Id", "slow")]);
    assert_eq!(answer.status, 101);
    let welcome = socket.json();
    assert_eq!(welcome["type"], "connected", "{welcome}");
    (welcome, socket)
}

/// Reads what was sent before the server gave up on this reader; how many events that was.
#[track_caller]
fn assert_given_up(socket: &mut Socket) -> usize {
    let mut events = 0;
    loop {
        match socket.next() {
            Frame::Text(_) => events += 1,
            Frame::Close(1013, reason) => {
                assert_eq!(reason, TOO_SLOW);
                return events;
            }
            // Half of a frame may be all that it took, behind which no close can be said.
            frame if frame.is_end() => return events,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn who_does_not_keep_up_is_closed_and_the_others_get_everything_in_time() {
    const EVENTS: u64 = 500;
    let server = Server::with(&[("WS_OUTBOX_BYTES", "4096"), ("WS_STALL_SECONDS", "600"), ("WS_PING_SECONDS", "600")]);
    let draft = shared_draft(&server);
    let (_, mut slow) = watch_narrow(&server, &path(&draft));
    let readers: Vec<_> = (0..4).map(|_| Socket::watch_since(&server, &draft, "bob", 2).1).collect();
    thread::scope(|scope| {
        for mut reader in readers {
            scope.spawn(move || read_numbered(&mut reader, 2, EVENTS));
        }
        // One after another, so that none of those who read is ever behind by more than a few.
        let mut writer = Writer::new(&server, &draft, 0);
        for _ in 2..EVENTS {
            writer.pass("alice");
        }
    });
    let got = assert_given_up(&mut slow);
    assert!(got < EVENTS as usize / 2, "{got} events are more than it could hold");
    let line = server.wait_for_log(|line| line["message"] == "ws.disconnected" && line["user_id"] == "slow");
    assert_eq!(line["code"], 1013, "{line}");
}

#[test]
fn who_reads_nothing_for_too_long_while_something_waits_is_closed() {
    let server = Server::with(&[("WS_OUTBOX_BYTES", "67108864"), ("WS_STALL_SECONDS", "1")]);
    let (_, mut slow) = watch_narrow(&server, &path("d1"));
    let mut other = Socket::watch(&server, "d1", "alice");
    let began = Instant::now();
    // Some 300 KB of answers, far below what may be unread and far above what the kernels take.
    slow.send_bytes(Sent::new(TEXT, PING).encode().repeat(3_000));
    server.wait_for_log(|line| line["message"] == "ws.disconnected" && line["user_id"] == "slow");
    assert!(began.elapsed() > Duration::from_millis(900), "{:?}", began.elapsed());
    assert!(assert_given_up(&mut slow) < 3_000);
    other.assert_quiet();
}

#[test]
fn who_reads_slowly_but_reads_is_not_closed_for_it() {
    let server = Server::with(&[("WS_OUTBOX_BYTES", "1048576"), ("WS_STALL_SECONDS", "3")]);
    let (_, mut slow) = watch_narrow(&server, &path("d1"));
    slow.send_bytes(Sent::new(TEXT, PING).encode().repeat(2_000));
    // Twice as long as is too long, with something waiting all the while, but always moving.
    let began = Instant::now();
    for _ in 0..2_000 {
        assert_eq!(slow.json()["type"], "pong");
        thread::sleep(Duration::from_millis(3));
    }
    assert!(began.elapsed() > Duration::from_secs(6));
    slow.assert_quiet();
}

#[test]
fn at_the_end_every_socket_is_told_to_come_back() {
    const SOCKETS: usize = 50;
    let mut server = Server::with(&[("SHARDS", "4")]);
    let draft = shared_draft(&server);
    let mut sockets: Vec<_> = (0..SOCKETS).map(|_| Socket::watch(&server, &draft, "alice")).collect();
    // An HTTP connection beside them, idle.
    server.get("/healthz").expect(200);
    let began = Instant::now();
    server.signal("TERM");
    thread::scope(|scope| {
        for socket in &mut sockets {
            scope.spawn(|| socket.assert_closed(1012, RESTARTING));
        }
    });
    assert_eq!(server.wait().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

#[test]
fn sockets_that_do_not_answer_the_goodbye_do_not_keep_it() {
    let mut server = Server::with(&[("DRAIN_SECONDS", "2")]);
    let draft = shared_draft(&server);
    let mut sockets: Vec<_> = (0..5).map(|_| Socket::watch(&server, &draft, "alice")).collect();
    let (_, mut stuck) = watch_narrow(&server, &path(&draft));
    stuck.send_bytes(Sent::new(TEXT, PING).encode().repeat(1_000));
    sockets[0].assert_quiet();
    let began = Instant::now();
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    for socket in &mut sockets {
        assert_eq!(socket.next(), Frame::Close(1012, RESTARTING.to_owned()));
        let end = socket.next();
        assert!(end.is_end(), "{end:?}");
    }
}

#[test]
fn who_was_sent_away_by_a_restart_catches_up_after_it() {
    let mut server = Server::start();
    let draft = shared_draft(&server);
    let mut socket = Socket::watch_since(&server, &draft, "bob", 0).1;
    assert_eq!(socket_head(&mut socket), 2);
    Writer::new(&server, &draft, 0).append();
    assert_eq!(server.terminate().code(), Some(0));
    // Whether the event came before the goodbye or not, it is known afterwards how far one was.
    let last = match socket.next() {
        Frame::Text(_) => 3,
        _ => 2,
    };
    server.launch();
    Writer::new(&server, &draft, 1).append();
    let mut socket = Socket::watch_since(&server, &draft, "bob", last).1;
    assert_eq!(read_numbered(&mut socket, last, 4).len() as u64, 4 - last);
    assert_eq!(socket.json()["complete"], true);
}

#[test]
fn a_thousand_sockets_leave_nothing_behind() {
    const SOCKETS: usize = 1_000;
    raise_descriptor_limit(2_500);
    let settings = [
        ("WS_LIMITS_ENABLED", "true"),
        ("WS_MAX_SOCKETS_GLOBAL", "1000"),
        ("WS_MAX_SOCKETS_PER_DRAFT", "100"),
        ("WS_MAX_SOCKETS_PER_USER", "4"),
        ("MAX_CONNECTIONS_PER_ADDRESS", "2500"),
        ("WS_PING_SECONDS", "600"),
    ];
    let server = Server::with(&settings);
    let fresh = server.memory_kb("VmRSS");
    // Every seat of every draft and user is taken, so that one that was not given back would be missed.
    let watcher = |number: usize| (format!("d{}", number % 10), format!("u{}", number / 4));
    let mut random = Random::seeded();
    let mut wave = || {
        let mut sockets: Vec<_> = (0..SOCKETS)
            .map(|number| {
                let (draft, user) = watcher(number);
                wait_for(|| Socket::try_watch(&server, &draft, &user))
            })
            .collect();
        assert!(Socket::try_watch(&server, "d", "u").is_none(), "one too many");
        while let Some(socket) = sockets.pop() {
            match random.below(4) {
                0 => socket.abort(),
                1 => socket.close(),
                _ => drop(socket),
            }
        }
    };
    wave();
    wave();
    let warm = server.memory_kb("VmRSS");
    for _ in 0..3 {
        wave();
    }
    // All gone: whoever comes next has the seats to itself.
    wait_for(|| {
        let sockets: Option<Vec<_>> = (0..100).map(|n| Socket::try_watch(&server, "d0", &format!("v{n}"))).collect();
        sockets.map(|_| ())
    });
    // Another 3,000 sockets took 3 MB if each of them left a kilobyte.
    let after = server.memory_kb("VmRSS");
    assert!(after < warm + 2 * 1024, "{warm} kB after two waves, {after} kB after five");
    assert!(after < fresh + 8 * 1024, "{fresh} kB at first, {after} kB in the end");
}
