//! Killed at any instant (G10), the server keeps what it acknowledged (G1) and leaves nothing half done (G4).
//!
//! Each round: 64 writers at work, SIGKILL after a random number of answers, a look into the dead database, a
//! restart, and every change that was left unanswered tried again with its key. `INKRING_CRASH_ROUNDS` is how many
//! rounds (10 unless set), `INKRING_TEST_SEED` repeats the choices of an earlier run.

use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::ledger::{Ledger, Written};
use crate::support::random::Random;
use crate::support::{Answer, Client, PATIENCE, Server, wait_for};

const ROUNDS: usize = 10;
const WRITERS: usize = 64;
/// Writers with a draft of their own; the others share.
const ALONE: usize = 32;
/// Writers who share one draft.
const SHARING: usize = 4;
/// Answers after which a round's server is killed, at most.
const ANSWERS_MAX: usize = 600;

#[test]
fn what_was_acknowledged_survives_kill_9_whole_and_once() {
    let rounds = std::env::var("INKRING_CRASH_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let mut random = Random::seeded();
    let mut server = Server::start();
    let mut book = Book::default();
    for round in 0..rounds {
        let unanswered = storm(&mut server, round, &mut random, &mut book);
        let dead = Ledger::open(&server.database());
        dead.audit();
        let written = dead.segments();
        book.hold_against(&written, &unanswered);
        let spent = spent_keys(&dead);
        assert!(book.spent.is_subset(&spent), "an acknowledged key is gone: {:?}", book.spent.difference(&spent));
        drop(dead);
        server.launch();
        for draft_id in &book.drafts_of_round {
            assert_eq!(read(&server, draft_id).segments, of_draft(&written, draft_id), "{draft_id}");
        }
        for attempt in unanswered {
            retry(&server, &attempt, spent.contains(&attempt.spends()), &mut book);
        }
    }
    assert!(server.terminate().success());
    let ledger = Ledger::open(&server.database());
    ledger.audit();
    assert_eq!(ledger.segments(), book.written);
    assert_eq!(spent_keys(&ledger), book.spent);
}

#[test]
fn a_first_start_cut_short_at_any_instant_is_made_good_by_the_next() {
    let mut random = Random::seeded();
    for stage in ["data", "data/inkring.db.lock", "data/inkring.db", "data/inkring.db-wal", "data/inkring.db-shm"] {
        for _ in 0..3 {
            let mut server = Server::start_cut_short(|directory| {
                let begun = Instant::now();
                while !directory.join(stage).exists() {
                    assert!(begun.elapsed() < PATIENCE, "no {stage}");
                    thread::yield_now();
                }
                (0..random.below(2_000)).for_each(|_| thread::yield_now());
            });
            server.launch();
            server.create_draft("alice");
            server.kill();
            Ledger::open(&server.database()).audit();
        }
    }
}

#[test]
fn killed_while_old_events_are_removed_a_log_is_still_its_end_without_a_gap() {
    const KEPT: i64 = 100;
    const EVENTS: i64 = 15_000;
    let mut server = Server::with(&[("EVENTS_KEPT_PER_DRAFT", "100"), ("HOUSEKEEPING_SECONDS", "1")]);
    let drafts = [server.create_draft("alice"), server.create_draft("alice")];
    assert!(server.terminate().success());
    let database = rusqlite::Connection::open(server.database()).unwrap();
    let long = "WITH RECURSIVE seqs (seq) AS (SELECT 2 UNION ALL SELECT seq + 1 FROM seqs WHERE seq < ?1)
                INSERT INTO events (draft, seq, type, data, request_id, created_at)
                SELECT d.id, s.seq, 'collab.collaborator_added', '{}', 'r', d.created_at FROM seqs AS s, drafts AS d";
    database.execute(long, [EVENTS]).unwrap();
    database.execute("UPDATE drafts SET event_seq = ?1", [EVENTS]).unwrap();
    drop(database);
    // For each draft how many events are left; they must be the newest.
    let left = |server: &Server| -> Vec<i64> {
        let sql =
            "SELECT count(*) FROM events GROUP BY draft HAVING max(seq) - count(*) + 1 = min(seq) AND max(seq) = ?1";
        Ledger::open(&server.database()).column(sql, [EVENTS])
    };
    let mut before = vec![EVENTS; 2];
    for kills in [true, true, true, false] {
        server.launch();
        wait_for(|| (left(&server) != before).then_some(()));
        if kills {
            server.kill();
        } else {
            assert!(server.terminate().success());
        }
        before = left(&server);
        assert_eq!(before.len(), 2, "a gap");
        if before == [KEPT; 2] {
            break;
        }
    }
    server.launch();
    wait_for(|| (left(&server) == [KEPT; 2]).then_some(()));
    for draft_id in drafts {
        let page = server.get(&format!("/v1/collab/drafts/{draft_id}/events?since={}", EVENTS - KEPT)).expect(200);
        assert_eq!((&page["complete"], &page["data"][0]["seq"]), (&json!(true), &json!(EVENTS - KEPT + 1)));
    }
}

/// What the writers were told.
#[derive(Default)]
struct Book {
    /// By segment id.
    written: HashMap<String, Written>,
    spent: HashSet<Spent>,
    drafts_of_round: HashSet<String>,
}

/// Draft, actor, operation and key of a change that was made.
type Spent = (String, String, &'static str, String);

impl Book {
    /// Everything acknowledged is there as acknowledged, and the rest are changes still unanswered, each once.
    fn hold_against(&self, found: &HashMap<String, Written>, unanswered: &[Attempt]) {
        for (segment_id, written) in &self.written {
            assert_eq!(found.get(segment_id), Some(written), "acknowledged as segment {segment_id}");
        }
        let mut open: Vec<_> = unanswered.iter().filter_map(Attempt::content).collect();
        for (_, extra) in found.iter().filter(|(segment_id, _)| !self.written.contains_key(*segment_id)) {
            let asked = open.iter().position(|content| *content == extra.content);
            open.swap_remove(asked.unwrap_or_else(|| panic!("nobody asked once more for {extra:?}")));
        }
    }
}

fn spent_keys(ledger: &Ledger) -> HashSet<Spent> {
    let sql = "SELECT json_array(draft_id, actor_id, operation, key) FROM idempotency_keys AS k \
               JOIN drafts AS d ON d.id = k.draft";
    let rows: Vec<String> = ledger.column(sql, []);
    rows.iter()
        .map(|row| {
            let [draft_id, actor, operation, key]: [String; 4] = serde_json::from_str(row).unwrap();
            (draft_id, actor, if operation == "pass_ring" { "pass-ring" } else { "segments" }, key)
        })
        .collect()
}

/// A change that a writer asks for until it is answered.
#[derive(Debug, Clone)]
struct Attempt {
    draft_id: String,
    user: String,
    operation: &'static str,
    body: Value,
}

impl Attempt {
    fn path(&self) -> String {
        format!("/v1/collab/drafts/{}/{}", self.draft_id, self.operation)
    }

    fn content(&self) -> Option<&str> {
        self.body["content"].as_str()
    }

    fn spends(&self) -> Spent {
        let key = self.body["idempotency_key"].as_str().unwrap().to_owned();
        (self.draft_id.clone(), self.user.clone(), self.operation, key)
    }
}

/// Lets all writers loose, kills the server while they write, notes what they were told; what they were not told
/// about is returned.
fn storm(server: &mut Server, round: usize, random: &mut Random, book: &mut Book) -> Vec<Attempt> {
    let user = |writer: usize| format!("writer-{writer}");
    let mut drafts = Vec::new();
    for first in (ALONE..WRITERS).step_by(SHARING) {
        let draft_id = server.create_draft(&user(first));
        for other in first + 1..first + SHARING {
            let path = format!("/v1/collab/drafts/{draft_id}/collaborators?collaborator_id={}", user(other));
            server.post_as(&user(first), &path, &json!({})).expect(200);
        }
        drafts.push((draft_id, (first..first + SHARING).map(user).collect::<Vec<_>>()));
    }
    let (answered, answers) = channel();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| Writer {
            client: server.connect(),
            user: user(writer),
            round,
            shared: writer.checked_sub(ALONE).map(|sharing| drafts[sharing / SHARING].clone()),
            random: random.fork(),
            answered: answered.clone(),
            told: Vec::new(),
        })
        .collect();
    let enough = random.below(ANSWERS_MAX);
    let logs: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = writers.into_iter().map(|writer| scope.spawn(|| writer.write_until_cut_off())).collect();
        let seen = (0..enough).take_while(|_| answers.recv_timeout(PATIENCE).is_ok()).count();
        // First of all, so that every writer comes to an end whatever is wrong.
        server.kill();
        let logs = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(seen, enough, "the writers fell silent");
        logs
    });
    book.drafts_of_round = drafts.into_iter().map(|(draft_id, _)| draft_id).collect();
    let mut unanswered = Vec::new();
    for (told, cut_off) in logs {
        for (attempt, segment) in told {
            book.drafts_of_round.insert(attempt.draft_id.clone());
            book.spent.insert(attempt.spends());
            book.written.extend(segment);
        }
        unanswered.extend(cut_off);
    }
    unanswered
}

struct Writer {
    client: Client,
    user: String,
    round: usize,
    /// The draft shared with these users, oneself included.
    shared: Option<(String, Vec<String>)>,
    random: Random,
    answered: Sender<()>,
    told: Vec<(Attempt, Option<(String, Written)>)>,
}

/// What a writer was told, and the change it was not told about, if it came so far as to ask for one.
type Log = (Vec<(Attempt, Option<(String, Written)>)>, Option<Attempt>);

impl Writer {
    fn write_until_cut_off(mut self) -> Log {
        let (draft_id, members) = match self.shared.take() {
            Some(shared) => shared,
            None => match try_post(
                &mut self.client,
                &self.user,
                "/v1/collab/drafts",
                &json!({"title": "t", "platform": "x"}),
            ) {
                Some(answer) => {
                    let created = answer.expect(200);
                    (created["data"]["draft_id"].as_str().unwrap().to_owned(), vec![self.user.clone()])
                }
                None => return (self.told, None),
            },
        };
        for number in 0.. {
            let letters = "ink ring ø 環 ".chars().cycle().take(self.random.below(400));
            let content = format!("{}/{}/{number} {}", self.round, self.user, letters.collect::<String>());
            let append = self.attempt(&draft_id, "segments", json!({"content": content}), number);
            if !self.insist(&append) {
                return (self.told, Some(append));
            }
            if members.len() > 1 && self.random.one_in(2) {
                let to_user = self.random.pick(&members).clone();
                let pass = self.attempt(&draft_id, "pass-ring", json!({"to_user_id": to_user}), number);
                if !self.insist(&pass) {
                    return (self.told, Some(pass));
                }
            }
        }
        unreachable!("a writer writes until it is cut off")
    }

    fn attempt(&self, draft_id: &str, operation: &'static str, mut body: Value, number: usize) -> Attempt {
        body["idempotency_key"] = format!("{}-{number}", self.round).into();
        Attempt { draft_id: draft_id.to_owned(), user: self.user.clone(), operation, body }
    }

    /// Asks until it is granted. False when the connection ends first.
    fn insist(&mut self, attempt: &Attempt) -> bool {
        while let Some(answer) = try_post(&mut self.client, &self.user, &attempt.path(), &attempt.body) {
            if answer.status == 200 {
                let segment = attempt.content().map(|content| {
                    let shown = Draft::of(&answer.expect(200)["data"]);
                    let at = shown.segments.iter().position(|(_, segment)| segment.content == content);
                    shown.segments[at.expect("the answer shows what it acknowledges")].clone()
                });
                self.told.push((attempt.clone(), segment));
                // Nobody listens any more once the server is being killed.
                let _ = self.answered.send(());
                return true;
            }
            assert_eq!(attempt.operation, "segments", "a holder may pass: {}", answer.text());
            assert_eq!(answer.expect_error(403).0, "ring_required");
        }
        false
    }
}

/// A request on a connection that may end at any moment; nothing when it does.
fn try_post(client: &mut Client, user: &str, path: &str, body: &Value) -> Option<Answer> {
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: test\r\nX-User-Id: {user}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.stream.write_all((head + &body).as_bytes()).ok()?;
    client.try_answer(false)
}

/// Tries an unanswered change again, twice, with the same key: what was made before is not made again, and what was
/// not is made once if it still may be.
fn retry(server: &Server, attempt: &Attempt, made_before: bool, book: &mut Book) {
    let before = read(server, &attempt.draft_id);
    let granted = made_before || before.holder == attempt.user;
    assert!(granted || before.members > 1, "who writes alone always may: {attempt:?}");
    for _ in 0..2 {
        let answer = server.post_as(&attempt.user, &attempt.path(), &attempt.body);
        assert_eq!(answer.status, if granted { 200 } else { 403 }, "{attempt:?}: {}", answer.text());
    }
    let after = read(server, &attempt.draft_id);
    let (added, passed) = match (granted && !made_before, attempt.content()) {
        (false, _) => (0, 0),
        (true, Some(_)) => (1, 0),
        (true, None) => (0, 1),
    };
    assert_eq!((after.segments.len(), after.passes), (before.segments.len() + added, before.passes + passed));
    assert_eq!(after.segments[..before.segments.len()], before.segments);
    if granted {
        book.spent.insert(attempt.spends());
        if let Some(content) = attempt.content() {
            let copies: Vec<_> = after.segments.into_iter().filter(|(_, segment)| segment.content == content).collect();
            assert_eq!(copies.len(), 1, "{attempt:?}");
            book.written.extend(copies);
        }
    }
}

/// What a client sees of a draft.
struct Draft {
    segments: Vec<(String, Written)>,
    holder: String,
    passes: usize,
    members: usize,
}

impl Draft {
    fn of(data: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let segment = |(at, segment): (usize, &Value)| {
            assert_eq!(segment["segment_order"], at);
            let (author, content) = (text(&segment["user_id"]), text(&segment["content"]));
            (
                text(&segment["segment_id"]),
                Written { draft_id: text(&data["draft_id"]), order: at as i64, author, content },
            )
        };
        Self {
            segments: data["segments"].as_array().unwrap().iter().enumerate().map(segment).collect(),
            holder: text(&data["ring_state"]["current_holder_id"]),
            passes: data["ring_state"]["holders_history"].as_array().unwrap().len() - 1,
            members: data["collaborators"].as_array().unwrap().len() + 1,
        }
    }
}

fn read(server: &Server, draft_id: &str) -> Draft {
    Draft::of(&server.get(&format!("/v1/collab/drafts/{draft_id}")).expect(200)["data"])
}

fn of_draft(written: &HashMap<String, Written>, draft_id: &str) -> Vec<(String, Written)> {
    let own = written.iter().filter(|(_, segment)| segment.draft_id == draft_id);
    let mut segments: Vec<_> = own.map(|(segment_id, segment)| (segment_id.clone(), segment.clone())).collect();
    segments.sort_by_key(|(_, segment)| segment.order);
    segments
}
