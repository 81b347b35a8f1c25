//! Every change tells of itself once, after its commit, in commit order (G2); what changes nothing tells nothing (G4).
//! What was told can be read again, in parts, as far back as the log is kept.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use inkring::clock::Clock;
use inkring::drafts::keys::store::{self as keys, Operation, Spent};
use inkring::drafts::ring::{self, Ring, Room};
use inkring::drafts::store::{self, NewDraft};
use inkring::store::{Event, Job, JobTimes, Publisher, StoreError, Tx, Verdict, Writer, WriterHandle, open};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::support::ledger::Ledger;
use crate::support::random::Random;
use crate::support::{Answer, Client, Server, wait_for};

const THREADS: usize = 4;
const CHANGES: usize = 150;
const DRAFTS: usize = 3;
const USERS: [&str; 3] = ["alice", "bob", "mallory"];

/// Hears what is published, and looks whether it is committed by then.
struct Listener {
    ledger: Mutex<Ledger>,
    heard: Mutex<Vec<Event>>,
}

impl Publisher for Listener {
    fn publish(&self, events: &mut Vec<Event>) {
        let newest = self.ledger.lock().column::<i64>("SELECT count(*) FROM events", []);
        let mut heard = self.heard.lock();
        heard.append(events);
        assert_eq!(newest, [heard.len() as i64], "told of what is not committed, or not told of what is");
    }
}

/// A change made of a closure; tells how it was settled.
struct Change<F>(F, Sender<Result<(), StoreError>>);

impl<F: FnMut(&mut Tx<'_>) -> Verdict + Send> Job for Change<F> {
    fn run(&mut self, tx: &mut Tx<'_>) -> Verdict {
        (self.0)(tx)
    }
    fn settle(self: Box<Self>, outcome: Result<JobTimes, StoreError>) {
        self.1.send(outcome.map(|_| ())).unwrap();
    }
}

fn submit(
    writer: &WriterHandle,
    change: impl FnMut(&mut Tx<'_>) -> Verdict + Send + 'static,
) -> Receiver<Result<(), StoreError>> {
    let (settled, outcome) = channel();
    writer.submit(Box::new(Change(change, settled))).ok().unwrap();
    outcome
}

fn start(database: &Path) -> (Writer, Arc<Listener>) {
    let opened = open(database, &inkring::features::schema()).unwrap();
    let listener = Arc::new(Listener { ledger: Mutex::new(Ledger::open(database)), heard: Mutex::default() });
    let writer = Writer::start(opened, 1024, Arc::clone(&listener) as _, Clock::system()).unwrap();
    let handle = writer.handle();
    for draft in 0..DRAFTS {
        let create = move |tx: &mut Tx<'_>| {
            let [draft_id, title, platform] = [draft_id(draft), "A draft".to_owned(), "x".to_owned()];
            let new = NewDraft { draft_id, creator_id: USERS[0].to_owned(), title, platform, initial_segment: None };
            store::create(tx, &new, "create").unwrap();
            let head = store::lock_head(tx, &new.draft_id).unwrap().unwrap();
            store::add_collaborator(tx, &head, USERS[1], "contributor", "add").unwrap();
            Verdict::Keep
        };
        submit(&handle, create).recv().unwrap().unwrap();
    }
    (writer, listener)
}

fn draft_id(draft: usize) -> String {
    format!("draft-{draft}")
}

/// An append or a pass by anyone, often refused, sometimes a replay, sometimes failing after it was made.
fn change(random: &mut Random, request_id: String) -> impl FnMut(&mut Tx<'_>) -> Verdict + Send + 'static {
    let (draft, key, user) = (draft_id(random.below(DRAFTS)), random.below(60).to_string(), *random.pick(&USERS));
    let (appends, fails) = (random.one_in(2), random.one_in(8));
    move |tx| {
        let mut head = store::lock_head(tx, &draft).unwrap().unwrap();
        let operation = if appends { Operation::Append } else { Operation::Pass };
        if keys::spent_on(tx, head.row, user, operation, &key).unwrap().is_some() {
            return Verdict::Keep;
        }
        let ring = Ring { creator: &head.creator_id, holder: &head.holder_id };
        let other = USERS[usize::from(head.holder_id == USERS[0])];
        let permitted = match appends {
            true => ring::may_append(ring, user, user != "mallory", Room { taken: 0, cap: 0 }),
            false => ring::may_pass(ring, user, true, Room { taken: 0, cap: 0 }),
        };
        if permitted.is_err() {
            return Verdict::Undo;
        }
        match appends {
            true => _ = store::append(tx, &mut head, &request_id, &request_id, &request_id).unwrap(),
            false => store::pass(tx, &mut head, other, &request_id).unwrap(),
        }
        let spent = Spent { version: Some(head.event_seq), segment_order: None };
        keys::spend_key(tx, head.row, user, operation, &key, spent).unwrap();
        if fails { Verdict::Undo } else { Verdict::Keep }
    }
}

/// The rows of `events` in the order of their commits, as the events they were published as.
fn rows(ledger: &Ledger) -> Vec<Value> {
    let sql = "SELECT json_array(d.draft_id, seq, type, data, request_id, e.created_at) \
               FROM events AS e JOIN drafts AS d ON d.id = e.draft ORDER BY e.id";
    ledger.column::<String>(sql, []).iter().map(|row| serde_json::from_str(row).unwrap()).collect()
}

#[test]
fn events_are_published_once_each_after_their_commit_and_in_its_order() {
    let directory = tempfile::tempdir().unwrap();
    let (writer, listener) = start(&directory.path().join("a.db"));
    let mut random = Random::seeded();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (writer, mut random) = (writer.handle(), random.fork());
            scope.spawn(move || {
                let asked: Vec<_> = (0..CHANGES)
                    .map(|number| submit(&writer, change(&mut random, format!("request-{thread}-{number}"))))
                    .collect();
                assert!(asked.into_iter().all(|outcome| outcome.recv().unwrap().is_ok()));
            });
        }
    });
    writer.stop();
    let heard = listener.heard.lock();
    let published = heard.iter().map(|Event { topic, seq, kind, data, request_id, at }| {
        json!([topic.name(), seq, kind, data, request_id, at.0])
    });
    let ledger = listener.ledger.lock();
    assert_eq!(published.collect::<Vec<_>>(), rows(&ledger));
    assert!(heard.len() > 2 * DRAFTS, "nothing was granted");
    ledger.audit();
}

#[test]
fn a_commit_that_fails_publishes_nothing_and_fails_for_everyone_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let (writer, listener) = start(&directory.path().join("a.db"));
    let (handle, before) = (writer.handle(), listener.heard.lock().len());
    let append = |request_id: &'static str| {
        move |tx: &mut Tx<'_>| {
            let mut head = store::lock_head(tx, "draft-0").unwrap().unwrap();
            store::append(tx, &mut head, request_id, "text", request_id).unwrap();
            Verdict::Keep
        }
    };
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    // Holds the writer until the others wait, then leaves a foreign key behind that the commit will find broken.
    let doomed = move |tx: &mut Tx<'_>| {
        wait.lock().recv().unwrap();
        tx.run("PRAGMA defer_foreign_keys = ON", &[]).unwrap();
        tx.run("INSERT INTO ring_passes VALUES (1, 404, 'a', 'b', 0)", &[]).unwrap();
        Verdict::Keep
    };
    let together = [submit(&handle, doomed), submit(&handle, append("lost")), submit(&handle, |_| Verdict::Undo)];
    go.send(()).unwrap();
    for outcome in together {
        assert!(matches!(outcome.recv().unwrap(), Err(StoreError::Failed(_))));
    }
    assert_eq!(listener.heard.lock().len(), before);
    submit(&handle, append("kept")).recv().unwrap().unwrap();
    drop(handle);
    writer.stop();
    let heard = listener.heard.lock();
    assert_eq!(heard[before..].iter().map(|event| event.request_id.as_str()).collect::<Vec<_>>(), ["kept"]);
    let ledger = listener.ledger.lock();
    assert_eq!(rows(&ledger).len(), heard.len());
    let lost = "SELECT count(*) FROM draft_segments WHERE segment_id = 'lost' OR segment_order <> 0";
    assert_eq!(ledger.column::<i64>(lost, []), [0]);
}

#[test]
fn over_http_each_change_is_one_event_under_its_request_id_and_replays_and_refusals_are_none() {
    let server = Server::with(&[("LOG_LEVEL", "debug")]);
    let mut client = server.connect();
    let mut post = |user: &str, path: &str, body: Value, request_id: &str| -> Answer {
        let headers = [("X-User-Id", user), ("X-Request-Id", request_id), ("Content-Type", "application/json")];
        client.request("POST", path, &headers, body.to_string().as_bytes())
    };
    let new = json!({ "title": "t", "platform": "x", "initial_segment": "one" });
    let created = post("alice", "/v1/collab/drafts", new, "created").expect(200);
    let path = format!("/v1/collab/drafts/{}", created["data"]["draft_id"].as_str().unwrap());
    let append = json!({ "content": "two", "idempotency_key": "1" });
    let pass = |to: &str| json!({ "to_user_id": to, "idempotency_key": "1" });
    let (segments, ring, add) = ("/segments", "/pass-ring", "/collaborators?collaborator_id=bob");
    let steps = [
        ("alice", segments, append.clone(), "appended", 200),
        ("alice", segments, append.clone(), "append-again", 200),
        ("alice", ring, pass("bob"), "pass-to-a-stranger", 403),
        ("bob", segments, append.clone(), "append-by-a-stranger", 403),
        ("bob", add, json!({}), "add-by-a-stranger", 403),
        ("alice", add, json!({}), "added", 200),
        ("alice", add, json!({}), "add-again", 200),
        ("bob", segments, append.clone(), "append-without-the-ring", 403),
        ("bob", ring, pass("bob"), "pass-without-the-ring", 403),
        ("alice", ring, pass("bob"), "passed", 200),
        ("alice", ring, pass("alice"), "pass-again", 200),
        ("alice", segments, append.clone(), "append-once-more", 200),
        ("alice", segments, json!({ "content": "", "idempotency_key": "2" }), "append-nothing", 422),
        ("bob", segments, append, "appended-by-bob", 200),
    ];
    for (user, to, body, request_id, status) in steps {
        post(user, &format!("{path}{to}"), body, request_id).expect(status);
    }
    let published = || -> Vec<Value> {
        let log = server.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line.to_string().contains("event.published")).collect()
    };
    wait_for(|| published().iter().any(|line| line["request_id"] == "appended-by-bob").then_some(()));
    let told: Vec<_> =
        published().iter().map(|line| json!([line["seq"], line["event_type"], line["request_id"]])).collect();
    let changes = [
        json!([1, "collab.draft_created", "created"]),
        json!([2, "collab.segment_added", "appended"]),
        json!([3, "collab.collaborator_added", "added"]),
        json!([4, "collab.ring_passed", "passed"]),
        json!([5, "collab.segment_added", "appended-by-bob"]),
    ];
    assert_eq!(told, changes);
    let ledger = Ledger::open(&server.database());
    let kept: Vec<_> = rows(&ledger).iter().map(|row| json!([row[1], row[2], row[4]])).collect();
    assert_eq!(kept, changes);
    ledger.audit();
}

#[test]
fn replays_and_refusals_write_not_one_byte() {
    let server = Server::start();
    let draft_id = server.create_draft("alice");
    let path = format!("/v1/collab/drafts/{draft_id}");
    let append = json!({ "content": "Once", "idempotency_key": "1" });
    let pass = json!({ "to_user_id": "alice", "idempotency_key": "1" });
    server.post_as("alice", &format!("{path}/segments"), &append).expect(200);
    server.post_as("alice", &format!("{path}/pass-ring"), &pass).expect(200);
    let files = || ["inkring.db", "inkring.db-wal"].map(|name| std::fs::read(server.database().with_file_name(name)));
    let before = files().map(Result::unwrap);
    for (user, status) in [("alice", 200), ("mallory", 403)] {
        server.post_as(user, &format!("{path}/segments"), &append).expect(status);
        server.post_as(user, &format!("{path}/pass-ring"), &pass).expect(status);
        server.post_as(user, &format!("{path}/collaborators?collaborator_id=alice"), &json!({})).expect(status);
    }
    assert!(files().map(Result::unwrap) == before, "something was written");
}

/// The event log of a draft, as far as one answer has it.
fn log_of(client: &mut Client, draft_id: &str, query: &str) -> Value {
    client.get(&format!("/v1/collab/drafts/{draft_id}/events{query}"), None).expect(200)
}

fn seqs(page: &Value) -> Vec<i64> {
    page["data"].as_array().unwrap().iter().map(|event| event["seq"].as_i64().unwrap()).collect()
}

/// Whatever is asked, without the events: from, to, complete, more.
fn place(page: &Value) -> Value {
    json!([page["from"], page["to"], page["complete"], page["more"]])
}

fn append(client: &mut Client, draft_id: &str, key: &str) {
    let body = json!({ "content": key, "idempotency_key": key });
    client.post(&format!("/v1/collab/drafts/{draft_id}/segments"), Some("alice"), &body).expect(200);
}

#[test]
fn the_log_of_a_draft_is_read_as_it_was_told_to_the_letter() {
    let server = Server::start();
    let mut client = server.connect();
    let mut post = |path: &str, body: Value, request_id: &str| -> Value {
        let headers = [("X-User-Id", "alice"), ("X-Request-Id", request_id), ("Content-Type", "application/json")];
        client.request("POST", path, &headers, body.to_string().as_bytes()).expect(200)
    };
    let new = json!({ "title": "A \"t\"\n\u{1}", "platform": "ø", "initial_segment": "one" });
    let created = post("/v1/collab/drafts", new, "created");
    let draft_id = created["data"]["draft_id"].as_str().unwrap();
    let path = format!("/v1/collab/drafts/{draft_id}");
    post(&format!("{path}/collaborators?collaborator_id=bob&role=editor"), json!({}), "added");
    let append = json!({ "content": "two", "idempotency_key": "1" });
    let appended = post(&format!("{path}/segments"), append, "\"a\\b\"");
    let pass = json!({ "to_user_id": "bob", "idempotency_key": "1" });
    let passed = post(&format!("{path}/pass-ring"), pass, "passed");
    let (created_at, segment) = (&created["data"]["created_at"], &appended["data"]["segments"][1]);
    let passed_at = &passed["data"]["ring_state"]["passed_at"];
    let answer = client.get(&format!("{path}/events"), None);
    // When a collaborator joined, nothing but the event says.
    let added_at = answer.json()["data"][1]["ts"].clone();
    assert!(created_at.as_str() <= added_at.as_str() && added_at.as_str() <= segment["created_at"].as_str());
    let whole = json!({
        "data": [
            { "type": "collab.draft_created", "draft_id": draft_id, "ts": created_at, "request_id": "created", "seq": 1,
              "data": { "draft_id": draft_id, "creator_id": "alice", "title": "A \"t\"\n\u{1}", "platform": "ø",
                        "created_at": created_at } },
            { "type": "collab.collaborator_added", "draft_id": draft_id, "ts": added_at, "request_id": "added", "seq": 2,
              "data": { "draft_id": draft_id, "collaborator_id": "bob", "role": "editor" } },
            { "type": "collab.segment_added", "draft_id": draft_id, "ts": segment["created_at"],
              "request_id": "\"a\\b\"", "seq": 3,
              "data": { "draft_id": draft_id, "segment_id": segment["segment_id"], "user_id": "alice",
                        "segment_order": 1, "created_at": segment["created_at"] } },
            { "type": "collab.ring_passed", "draft_id": draft_id, "ts": passed_at, "request_id": "passed", "seq": 4,
              "data": { "draft_id": draft_id, "from_user_id": "alice", "to_user_id": "bob", "passed_at": passed_at } },
        ],
        "from": 0, "to": 4, "complete": true, "more": false,
    });
    assert_eq!(answer.text(), whole.to_string());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let head = client.request("HEAD", &format!("{path}/events"), &[], b"");
    assert_eq!((head.status, head.header("content-length")), (200, Some(answer.body.len().to_string().as_str())));
    for (query, events, at) in [
        ("?since=0&limit=1000", vec![1, 2, 3, 4], json!([0, 4, true, false])),
        ("?since=2", vec![3, 4], json!([2, 4, true, false])),
        ("?since=1&limit=2", vec![2, 3], json!([1, 4, true, true])),
        ("?since=4", vec![], json!([4, 4, true, false])),
        ("?since=5", vec![], json!([5, 4, false, false])),
        ("?since=9223372036854775807", vec![], json!([i64::MAX, 4, false, false])),
        ("?since=7&since=3&unknown=1", vec![4], json!([3, 4, true, false])),
    ] {
        let page = log_of(&mut client, draft_id, query);
        assert_eq!((seqs(&page), place(&page)), (events, at), "{query}");
    }
}

#[test]
fn what_is_no_event_log_is_refused_shape_first() {
    let server = Server::start();
    let mut client = server.connect();
    let path = format!("/v1/collab/drafts/{}/events", server.create_draft("alice"));
    let (code, message) = client.get("/v1/collab/drafts/nowhere/events?since=1", None).expect_error(404);
    assert_eq!((code.as_str(), message.as_str()), ("not_found", "Draft nowhere not found"));
    let (number, least, most) = (
        "Input should be a valid integer, unable to parse string as an integer",
        |least: i64| format!("Input should be greater than or equal to {least}"),
        |most: i64| format!("Input should be less than or equal to {most}"),
    );
    let problem = |kind: &str, name: &str, msg: &str, input: &str, ctx: Option<Value>| -> Value {
        let mut problem = json!({ "type": kind, "loc": ["query", name], "msg": msg, "input": input });
        ctx.into_iter().for_each(|ctx| problem["ctx"] = ctx);
        problem
    };
    let not_a_number = |name, input: &str| problem("int_parsing", name, number, input, None);
    let too_small =
        |name, min, input: &str| problem("greater_than_equal", name, &least(min), input, Some(json!({ "ge": min })));
    let too_large =
        |name, max, input: &str| problem("less_than_equal", name, &most(max), input, Some(json!({ "le": max })));
    let long = "9".repeat(300);
    let cut = format!("{}...<truncated>", "9".repeat(200));
    for (query, problems) in [
        ("?since=", vec![not_a_number("since", "")]),
        ("?since=1.5", vec![not_a_number("since", "1.5")]),
        ("?since=-1", vec![too_small("since", 0, "-1")]),
        ("?since=-9223372036854775809", vec![too_small("since", 0, "-9223372036854775809")]),
        ("?since=9223372036854775808", vec![too_large("since", i64::MAX, "9223372036854775808")]),
        ("?limit=0", vec![too_small("limit", 1, "0")]),
        ("?limit=1001", vec![too_large("limit", 1000, "1001")]),
        (&format!("?limit={long}"), vec![too_large("limit", 1000, &cut)]),
        ("?limit=x&since=%C3%B8", vec![not_a_number("since", "ø"), not_a_number("limit", "x")]),
    ] {
        for path in [&path, "/v1/collab/drafts/nowhere/events"] {
            let answer = client.get(&format!("{path}{query}"), None);
            assert_eq!(answer.expect_error(422).0, "validation_error");
            assert_eq!(answer.json()["detail"], Value::Array(problems.clone()), "{query}");
        }
    }
    let (_, message) = client.get(&format!("{path}?since=-1&limit=0"), None).expect_error(422);
    assert_eq!(message, format!("query.since: {}; query.limit: {}", least(0), least(1)));
    assert_eq!(client.post(&path, Some("alice"), &json!({})).header("allow"), Some("GET, HEAD"));
}

#[test]
fn a_reader_that_goes_on_from_page_to_page_misses_nothing_of_what_is_being_written() {
    let server = Server::start();
    let draft_id = server.create_draft("alice");
    let (writers, appends) = (3, 80);
    let newest = 1 + writers * appends;
    thread::scope(|scope| {
        for writer in 0..writers {
            let (mut client, draft_id) = (server.connect(), &draft_id);
            scope.spawn(move || (0..appends).for_each(|at| append(&mut client, draft_id, &format!("{writer}-{at}"))));
        }
        for limit in [1, 7, 1000] {
            let (mut client, draft_id) = (server.connect(), &draft_id);
            scope.spawn(move || {
                let mut since = 0;
                while since < newest {
                    let page = log_of(&mut client, draft_id, &format!("?since={since}&limit={limit}"));
                    let (events, to) = (seqs(&page), page["to"].as_i64().unwrap());
                    let last = to.min(since + limit);
                    assert_eq!(events, (since + 1..=last).collect::<Vec<_>>());
                    assert_eq!(place(&page), json!([since, to, true, last < to]));
                    since = last;
                }
            });
        }
    });
}

#[test]
fn a_log_is_kept_to_its_bound_and_says_when_it_no_longer_reaches_back() {
    let server = Server::with(&[("EVENTS_KEPT_PER_DRAFT", "100"), ("HOUSEKEEPING_SECONDS", "1")]);
    let (mut client, draft_id, short) = (server.connect(), server.create_draft("alice"), server.create_draft("bob"));
    (0..130).for_each(|at| append(&mut client, &draft_id, &at.to_string()));
    let page = wait_for(|| {
        let page = log_of(&mut client, &draft_id, "?limit=1000");
        // Before and after, what there is goes up to the newest, and nothing is said to be complete that is not.
        let events = seqs(&page);
        assert_eq!(events, (events[0]..=131).collect::<Vec<_>>());
        assert_eq!(place(&page), json!([0, 131, events[0] == 1, false]));
        (events.len() == 100).then_some(page)
    });
    assert_eq!(seqs(&page)[0], 32);
    for (since, complete) in [(0, false), (30, false), (31, true), (131, true)] {
        let page = log_of(&mut client, &draft_id, &format!("?since={since}&limit=10"));
        let first = if since == 131 { None } else { Some(since.max(31) + 1) };
        assert_eq!((seqs(&page).first().copied(), &page["complete"]), (first, &json!(complete)), "{since}");
    }
    assert_eq!(place(&log_of(&mut client, &short, "")), json!([0, 1, true, false]));
    let draft = client.get(&format!("/v1/collab/drafts/{draft_id}"), None).expect(200);
    assert_eq!(draft["data"]["segments"].as_array().unwrap().len(), 130, "only events are removed");
    append(&mut client, &draft_id, "one more");
    wait_for(|| (seqs(&log_of(&mut client, &draft_id, "?limit=1000")).first() == Some(&33)).then_some(()));
    // How many runs it took depends on how fast they were written.
    wait_for(|| {
        let log = server.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let removed = lines.filter(|line| line.to_string().contains("events.removed"));
        let events: i64 = removed.map(|line| line["events"].as_i64().unwrap()).sum();
        (events == 32).then_some(())
    });
}
