//! Appends, passes, replays and reads at the same moment on real connections (G2, G3, G4).

use std::collections::{BTreeSet, HashMap};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::support::ledger::Ledger;
use crate::support::random::Random;
use crate::support::{Answer, Client, Server};

const MEMBERS: [&str; 4] = ["alice", "bob", "carol", "dave"];
/// Of each member, so that everyone races with themself too.
const CONNECTIONS: usize = 2;
const ATTEMPTS: usize = 80;

/// A draft by alice, with the other members added.
fn shared_draft(server: &Server) -> String {
    let draft_id = server.create_draft(MEMBERS[0]);
    for other in &MEMBERS[1..] {
        let path = format!("/v1/collab/drafts/{draft_id}/collaborators?collaborator_id={other}");
        server.post_as(MEMBERS[0], &path, &json!({})).expect(200);
    }
    draft_id
}

fn append(client: &mut Client, user: &str, draft_id: &str, content: &str, key: &str) -> Answer {
    let body = json!({ "content": content, "idempotency_key": key });
    client.post(&format!("/v1/collab/drafts/{draft_id}/segments"), Some(user), &body)
}

fn pass(client: &mut Client, user: &str, draft_id: &str, to_user: &str, key: &str) -> Answer {
    let body = json!({ "to_user_id": to_user, "idempotency_key": key });
    client.post(&format!("/v1/collab/drafts/{draft_id}/pass-ring"), Some(user), &body)
}

#[test]
fn of_racing_appends_and_passes_exactly_those_of_the_holder_are_made() {
    let server = Server::start();
    let draft_id = shared_draft(&server);
    let mut random = Random::seeded();
    let racers = MEMBERS.len() * CONNECTIONS;
    // Connected first: a thread that fails before the barrier would leave the others waiting there.
    let connected: Vec<_> = (0..racers).map(|_| (server.connect(), random.fork())).collect();
    let (start, racing) = (Barrier::new(racers), AtomicBool::new(true));
    let granted: Vec<Granted> = thread::scope(|scope| {
        let (server, draft_id, start, racing) = (&server, draft_id.as_str(), &start, &racing);
        let readers = [(); 2].map(|()| scope.spawn(|| read_while(racing, server.connect(), draft_id)));
        let run = |(racer, (client, random))| scope.spawn(move || race(client, draft_id, racer, random, start));
        let threads: Vec<_> = connected.into_iter().enumerate().map(run).collect();
        let granted: Vec<_> = threads.into_iter().map(thread::ScopedJoinHandle::join).collect();
        racing.store(false, Ordering::Relaxed);
        assert!(readers.map(|reader| reader.join().unwrap()).iter().all(|reads| *reads > 0));
        granted.into_iter().flat_map(Result::unwrap).collect()
    });
    // The order of commits, as the events have it, played back: whoever acts must hold the ring at that moment.
    let ledger = Ledger::open(&server.database());
    ledger.audit();
    let events: Vec<String> = ledger.column("SELECT type || data FROM events ORDER BY seq", []);
    let (mut holder, mut made) = (MEMBERS[0].to_owned(), Vec::new());
    let segments = ledger.segments();
    for event in &events {
        let (kind, data) = event.split_at(event.find('{').unwrap());
        let data: Value = serde_json::from_str(data).unwrap();
        match kind {
            "collab.segment_added" => {
                assert_eq!(data["user_id"], *holder);
                made.push((holder.clone(), segments[data["segment_id"].as_str().unwrap()].content.clone()));
            }
            "collab.ring_passed" => {
                assert_eq!(data["from_user_id"], *holder);
                let to_user = data["to_user_id"].as_str().unwrap().to_owned();
                made.push((holder, to_user.clone()));
                holder = to_user;
            }
            _ => assert!(made.is_empty(), "{event}"),
        }
    }
    let sorted = |mut changes: Vec<Granted>| {
        changes.sort();
        changes
    };
    assert!(made.len() > ATTEMPTS / 8, "hardly a race: {} of {} granted", made.len(), racers * ATTEMPTS);
    assert_eq!(sorted(granted), sorted(made), "what was answered 200 is what was made");
}

/// Who did what: wrote this content, or passed the ring to this user.
type Granted = (String, String);

/// Appends and passes as fast as answers come, whether holding the ring or not; returns what was granted.
fn race(mut client: Client, draft_id: &str, racer: usize, mut random: Random, start: &Barrier) -> Vec<Granted> {
    let user = MEMBERS[racer % MEMBERS.len()];
    let mut granted = Vec::new();
    start.wait();
    for attempt in 0..ATTEMPTS {
        let key = format!("{racer}/{attempt}");
        let (answer, what, refusal) = if random.one_in(2) {
            (append(&mut client, user, draft_id, &key, &key), key, "ring_required")
        } else {
            let to_user = random.pick(&MEMBERS);
            (pass(&mut client, user, draft_id, to_user, &key), (*to_user).to_owned(), "forbidden")
        };
        if answer.status == 200 {
            granted.push((user.to_owned(), what));
        } else {
            assert_eq!(answer.expect_error(403).0, refusal);
        }
    }
    granted
}

/// Reads the draft until the race is over; returns how often. Every single answer makes sense, and never shows less
/// than the one before.
fn read_while(racing: &AtomicBool, mut client: Client, draft_id: &str) -> usize {
    let mut before = Value::Null;
    for reads in 0.. {
        if !racing.load(Ordering::Relaxed) {
            return reads;
        }
        let draft = client.get(&format!("/v1/collab/drafts/{draft_id}"), None).expect(200)["data"].take();
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let (segments, history) = (list(&draft["segments"]), list(&draft["ring_state"]["holders_history"]));
        assert!(segments.iter().enumerate().all(|(order, segment)| segment["segment_order"] == order), "{draft}");
        assert!(segments.iter().all(|segment| history.contains(&segment["user_id"])), "{draft}");
        assert_eq!(history.last(), Some(&draft["ring_state"]["current_holder_id"]));
        assert!(history.iter().all(|holder| MEMBERS.iter().any(|member| holder == member)), "{draft}");
        let last = segments.last().map_or("", |segment| segment["created_at"].as_str().unwrap());
        let passed_at = draft["ring_state"]["passed_at"].as_str().unwrap();
        assert_eq!(draft["updated_at"], last.max(passed_at), "{draft}");
        assert!(segments.starts_with(&list(&before["segments"])), "{before} and then {draft}");
        assert!(history.starts_with(&list(&before["ring_state"]["holders_history"])), "{before} and then {draft}");
        assert!(draft["updated_at"].as_str() >= before["updated_at"].as_str(), "{before} and then {draft}");
        before = draft;
    }
    unreachable!("the race ends")
}

/// Everything that moves a ring or a member, by everybody, at once: at every moment of the order of commits one member holds the
/// ring.
#[test]
fn however_members_come_and_go_at_once_one_of_them_holds_the_ring() {
    let server = Server::with(&[("RING_LEASE_SECONDS", "1")]);
    let draft_id = shared_draft(&server);
    let mut random = Random::seeded();
    let racers = MEMBERS.len() * CONNECTIONS;
    let connected: Vec<_> = (0..racers).map(|_| (server.connect(), random.fork())).collect();
    let start = Barrier::new(racers);
    thread::scope(|scope| {
        let (draft_id, start) = (draft_id.as_str(), &start);
        for (racer, (client, random)) in connected.into_iter().enumerate() {
            scope.spawn(move || come_and_go(client, draft_id, racer, random, start));
        }
    });
    let ledger = Ledger::open(&server.database());
    ledger.audit();
    let events: Vec<String> = ledger.column("SELECT type || data FROM events ORDER BY seq", []);
    let (mut creator, mut holder) = (MEMBERS[0].to_owned(), MEMBERS[0].to_owned());
    let mut members = BTreeSet::from([creator.clone()]);
    let mut seen = BTreeSet::new();
    for event in &events {
        let (kind, data) = event.split_at(event.find('{').unwrap());
        let data: Value = serde_json::from_str(data).unwrap();
        let user = |name: &str| data[name].as_str().unwrap().to_owned();
        match kind {
            "collab.ring_passed" => {
                assert_eq!(user("from_user_id"), holder, "{event}");
                holder = user("to_user_id");
                assert!(data["reason"].is_null() || holder == creator, "{event}");
                seen.insert(data["reason"].to_string());
            }
            "collab.collaborator_added" => assert!(members.insert(user("collaborator_id")), "{event}"),
            "collab.collaborator_removed" => assert!(members.remove(&user("collaborator_id")), "{event}"),
            "collab.draft_transferred" => {
                assert_eq!(user("from_user_id"), creator, "{event}");
                creator = user("to_user_id");
            }
            "collab.segment_added" => assert_eq!(user("user_id"), holder, "{event}"),
            _ => {}
        }
        seen.insert(kind.to_owned());
        assert!(members.contains(&holder) && members.contains(&creator), "{event}");
    }
    assert!(seen.len() >= 7, "hardly a race: {seen:?}");
}

/// Does whatever comes to mind, allowed or not.
fn come_and_go(mut client: Client, draft_id: &str, racer: usize, mut random: Random, start: &Barrier) {
    let user = MEMBERS[racer % MEMBERS.len()];
    let path = format!("/v1/collab/drafts/{draft_id}");
    start.wait();
    for attempt in 0..ATTEMPTS {
        let (key, whom) = (format!("{racer}/{attempt}"), *random.pick(&MEMBERS));
        let body = json!({ "to_user_id": whom, "idempotency_key": key });
        let mut ask = |method: &str, what: &str, body: &Value| {
            let headers = [("X-User-Id", user), ("Content-Type", "application/json")];
            client.request(method, &format!("{path}{what}"), &headers, body.to_string().as_bytes())
        };
        let answer = match random.below(12) {
            0 | 1 => append(&mut client, user, draft_id, &key, &key),
            2..=4 => pass(&mut client, user, draft_id, whom, &key),
            5..=8 => ask("POST", &format!("/collaborators?collaborator_id={whom}"), &json!({})),
            9 if random.one_in(2) => ask("DELETE", "/collaborators/me", &json!({})),
            9 => ask("DELETE", &format!("/collaborators/{whom}"), &json!({})),
            10 => ask("POST", "/transfer", &body),
            _ => ask("POST", "/reclaim-ring", &body),
        };
        assert!([200, 204, 403, 404, 409].contains(&answer.status), "{}", answer.text());
    }
}

#[test]
fn one_key_on_two_connections_at_the_same_moment_is_one_change() {
    const ROUNDS: usize = 40;
    let server = Server::start();
    let draft_id = shared_draft(&server);
    let mut twins = [server.connect(), server.connect()];
    for round in 0..ROUNDS {
        // The ring goes to and fro between alice and bob.
        let (user, other, key) = (MEMBERS[round % 2], MEMBERS[(round + 1) % 2], round.to_string());
        let appended = at_once(&mut twins, |twin, client| append(client, user, &draft_id, &format!("by {twin}"), &key));
        let shown = appended.map(|answer| answer.expect(200)["data"]["segments"][round].take());
        assert_eq!(shown[0], shown[1], "both are shown the one segment");
        let passed = at_once(&mut twins, |_, client| pass(client, user, &draft_id, other, &key));
        assert_eq!(passed.map(|answer| answer.status), [200, 200]);
    }
    let ledger = Ledger::open(&server.database());
    ledger.audit();
    let counts = "SELECT segment_count || ' ' || pass_count FROM drafts";
    assert_eq!(ledger.column::<String>(counts, []), [format!("{ROUNDS} {ROUNDS}")]);
}

/// Does this on both connections at the same moment.
fn at_once(twins: &mut [Client; 2], act: impl Fn(usize, &mut Client) -> Answer + Sync) -> [Answer; 2] {
    let start = Barrier::new(2);
    let act = |twin, client| {
        start.wait();
        act(twin, client)
    };
    let [one, other] = twins;
    thread::scope(|scope| {
        let other = scope.spawn(|| act(1, other));
        [act(0, one), other.join().unwrap()]
    })
}

#[test]
fn sixty_four_creates_at_the_same_moment_are_sixty_four_drafts() {
    let server = Server::start();
    let start = Barrier::new(64);
    let create = |number: usize, mut client: Client| {
        let user = MEMBERS[number % MEMBERS.len()];
        let body = json!({ "title": number.to_string(), "platform": "x", "initial_segment": "Once" });
        start.wait();
        let created = client.post("/v1/collab/drafts", Some(user), &body).expect(200)["data"].take();
        assert_eq!(created["title"], number.to_string());
        assert_eq!((&created["creator_id"], &created["ring_state"]["current_holder_id"]), (&json!(user), &json!(user)));
        assert_eq!(created["segments"][0]["content"], "Once");
        (user, created["draft_id"].as_str().unwrap().to_owned())
    };
    let mut created: HashMap<&str, BTreeSet<String>> = HashMap::new();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..64).map(|number| (number, server.connect())).collect();
        let create = &create;
        let threads: Vec<_> =
            clients.into_iter().map(|(number, client)| scope.spawn(move || create(number, client))).collect();
        for (user, draft_id) in threads.into_iter().map(|thread| thread.join().unwrap()) {
            created.entry(user).or_default().insert(draft_id);
        }
    });
    Ledger::open(&server.database()).audit();
    for (user, drafts) in created {
        let list = server.get_as(user, "/v1/collab/drafts").expect(200);
        let ids: BTreeSet<_> = list["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|draft| draft["draft_id"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!((ids.len(), list["count"].as_u64()), (16, Some(16)));
        assert_eq!(ids, drafts, "of {user}");
    }
}
