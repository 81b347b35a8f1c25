//! The server against a model of it that fits on a page: the same operations, the same answers (G2, G3, G4).
//!
//! Every answer is compared with the model's, status, code and draft, and after every step the draft is read back on
//! another connection. What fails is shrunk to the shortest run of operations that still does.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use crate::support::ledger::Ledger;
use crate::support::random::Random;
use crate::support::{Answer, Client, Server};

const USERS: usize = 5;
const CASES: usize = 6;
const OPERATIONS: std::ops::Range<usize> = 300..500;

/// Users, drafts and keys by number; a draft that does not exist yet is one that is unknown.
#[derive(Debug, Clone)]
enum Operation {
    Create { user: usize, initial: Option<String> },
    Append { user: Who, draft: usize, key: usize, content: String },
    Pass { user: Who, draft: usize, key: usize, to: usize },
    Add { user: Who, draft: usize, whom: usize },
    Part { user: Who, draft: usize, whom: usize },
    Transfer { user: Who, draft: usize, key: usize, to: usize },
    Lock { user: Who, draft: usize, key: usize, unlock: bool },
    Reclaim { user: Who, draft: usize, key: usize },
    Redact { user: Who, draft: usize, order: usize },
    Delete { user: Who, draft: usize },
    Get { draft: usize },
    List { user: usize },
}

#[derive(Debug, Clone, Copy)]
enum Who {
    Holder,
    Creator,
    User(usize),
}

// ── The model ───────────────────────────────────────────────────────────────────────────────────────────────────────

#[derive(Debug, Clone, Default, PartialEq)]
struct Draft {
    creator: usize,
    collaborators: Vec<usize>,
    /// All members in order of joining.
    joined: Vec<usize>,
    segments: Vec<(usize, String)>,
    history: Vec<usize>,
    keys: HashSet<(usize, &'static str, usize)>,
    locked: bool,
    deleted: bool,
}

type Answered = Result<(), (u16, &'static str)>;

const FORBIDDEN: Answered = Err((403, "forbidden"));

impl Draft {
    fn new(creator: usize, initial: Option<&String>) -> Self {
        let segments = initial.filter(|text| !text.is_empty()).map(|text| (creator, text.clone()));
        Self {
            creator,
            history: vec![creator],
            joined: vec![creator],
            segments: segments.into_iter().collect(),
            ..Self::default()
        }
    }

    fn holder(&self) -> usize {
        self.history[self.history.len() - 1]
    }

    fn has(&self, user: usize) -> bool {
        user == self.creator || self.collaborators.contains(&user)
    }

    fn append(&mut self, user: usize, key: usize, content: &str) -> Answered {
        match self.keys.contains(&(user, "append", key)) {
            true => return Ok(()),
            false if !self.has(user) => return FORBIDDEN,
            false if self.holder() != user => return Err((403, "ring_required")),
            false if self.locked => return Err((409, "draft_locked")),
            false => self.keys.insert((user, "append", key)),
        };
        self.segments.push((user, content.to_owned()));
        Ok(())
    }

    fn pass(&mut self, user: usize, key: usize, to: usize) -> Answered {
        match self.keys.contains(&(user, "pass", key)) {
            true => return Ok(()),
            false if self.holder() != user || !self.has(to) => return FORBIDDEN,
            false => self.keys.insert((user, "pass", key)),
        };
        self.history.push(to);
        Ok(())
    }

    fn add(&mut self, user: usize, whom: usize) -> Answered {
        if user != self.creator {
            return FORBIDDEN;
        }
        if !self.has(whom) {
            self.collaborators.push(whom);
            self.joined.push(whom);
        }
        Ok(())
    }
}

impl Draft {
    fn part(&mut self, user: usize, whom: usize) -> Answered {
        let refused = match (user == whom, self.has(whom)) {
            (true, false) => FORBIDDEN,
            (true, true) if whom == self.creator => Err((409, "creator_cannot_leave")),
            (false, _) if user != self.creator => FORBIDDEN,
            (false, false) => Err((404, "not_found")),
            _ => Ok(()),
        };
        refused?;
        if self.holder() == whom {
            self.history.push(self.creator);
        }
        self.collaborators.retain(|member| *member != whom);
        // The ids of its rows are in the order of joining, and the creator has one of them.
        self.joined.retain(|member| *member != whom);
        Ok(())
    }

    /// Something that only the creator does, and with one key once.
    fn govern(
        &mut self,
        user: usize,
        (what, key): (&'static str, usize),
        then: impl FnOnce(&mut Self) -> Answered,
    ) -> Answered {
        match self.keys.contains(&(user, what, key)) {
            true => return Ok(()),
            false if user != self.creator => return FORBIDDEN,
            false => then(self)?,
        }
        self.keys.insert((user, what, key));
        Ok(())
    }

    fn transfer(&mut self, user: usize, key: usize, to: usize) -> Answered {
        self.govern(user, ("transfer", key), |draft| {
            if !draft.has(to) {
                return FORBIDDEN;
            }
            draft.creator = to;
            draft.collaborators = draft.joined.iter().copied().filter(|member| *member != to).collect();
            Ok(())
        })
    }

    fn lock(&mut self, user: usize, key: usize, unlock: bool) -> Answered {
        self.govern(user, (if unlock { "unlock" } else { "lock" }, key), |draft| {
            draft.locked = !unlock;
            Ok(())
        })
    }

    /// The lease is longer than any test.
    fn reclaim(&mut self, user: usize, key: usize) -> Answered {
        self.govern(user, ("reclaim", key), |draft| {
            let held = draft.holder() == draft.creator;
            Err((409, if held { "ring_already_held" } else { "ring_lease_active" }))
        })
    }

    fn redact(&mut self, user: usize, order: usize) -> Answered {
        if user != self.creator {
            return FORBIDDEN;
        }
        let segment = self.segments.get_mut(order).ok_or((404, "not_found"))?;
        segment.1 = "[redacted]".to_owned();
        Ok(())
    }
}

// ── The same on the wire ────────────────────────────────────────────────────────────────────────────────────────────

/// One run of operations: users and drafts that no other run knows, a connection for each user.
struct Run {
    users: Vec<String>,
    clients: Vec<Client>,
    draft_ids: Vec<String>,
    model: Vec<Draft>,
}

impl Run {
    fn new(server: &Server, number: usize) -> Self {
        let users: Vec<_> = (0..USERS).map(|user| format!("user-{user}-of-{number}")).collect();
        let clients = users.iter().map(|_| server.connect()).collect();
        Self { users, clients, draft_ids: Vec::new(), model: Vec::new() }
    }

    fn step(&mut self, operation: &Operation) {
        let before = self.model.clone();
        let mut touched = None;
        match operation {
            Operation::Create { user, initial } => {
                let body = json!({ "title": "A draft", "platform": "x", "initial_segment": initial });
                let created = self.post(*user, "/v1/collab/drafts", &body).expect(200);
                self.draft_ids.push(created["data"]["draft_id"].as_str().unwrap().to_owned());
                self.model.push(Draft::new(*user, initial.as_ref()));
                touched = Some(self.model.len() - 1);
                self.compare(self.model.len() - 1, &created["data"]);
            }
            Operation::Append { user, draft, key, content } => {
                let (user, draft) = self.who(*user, *draft);
                let body = json!({ "content": content, "idempotency_key": key_text(*key) });
                let answer = self.post(user, &self.path(draft, "/segments"), &body);
                self.judge(draft, &answer, |draft| draft.append(user, *key, content));
                touched = Some(draft);
            }
            Operation::Pass { user, draft, key, to } => {
                let (user, draft) = self.who(*user, *draft);
                let body = json!({ "to_user_id": self.users[*to], "idempotency_key": key_text(*key) });
                let answer = self.post(user, &self.path(draft, "/pass-ring"), &body);
                self.judge(draft, &answer, |draft| draft.pass(user, *key, *to));
                touched = Some(draft);
            }
            Operation::Add { user, draft, whom } => {
                let (user, draft) = self.who(*user, *draft);
                let path = self.path(draft, &format!("/collaborators?collaborator_id={}", self.users[*whom]));
                let answer = self.post(user, &path, &json!({}));
                self.judge(draft, &answer, |draft| draft.add(user, *whom));
                touched = Some(draft);
            }
            Operation::Part { user, draft, whom } => {
                let (user, draft) = self.who(*user, *draft);
                let path = self.path(draft, &format!("/collaborators/{}", self.users[*whom]));
                let answer = self.send("DELETE", user, &path);
                self.judge(draft, &answer, |draft| draft.part(user, *whom));
                touched = Some(draft);
            }
            Operation::Transfer { user, draft, key, to } => {
                let (user, draft) = self.who(*user, *draft);
                let body = json!({ "to_user_id": self.users[*to], "idempotency_key": key_text(*key) });
                let answer = self.post(user, &self.path(draft, "/transfer"), &body);
                self.judge(draft, &answer, |draft| draft.transfer(user, *key, *to));
                touched = Some(draft);
            }
            Operation::Lock { user, draft, key, unlock } => {
                let (user, draft) = self.who(*user, *draft);
                let path = self.path(draft, if *unlock { "/unlock" } else { "/lock" });
                let answer = self.post(user, &path, &json!({ "idempotency_key": key_text(*key) }));
                self.judge(draft, &answer, |draft| draft.lock(user, *key, *unlock));
                touched = Some(draft);
            }
            Operation::Reclaim { user, draft, key } => {
                let (user, draft) = self.who(*user, *draft);
                let path = self.path(draft, "/reclaim-ring");
                let answer = self.post(user, &path, &json!({ "idempotency_key": key_text(*key) }));
                self.judge(draft, &answer, |draft| draft.reclaim(user, *key));
                touched = Some(draft);
            }
            Operation::Redact { user, draft, order } => {
                let (user, draft) = self.who(*user, *draft);
                let path = self.path(draft, "");
                let read = self.clients[user].get(&path, None).json();
                let id = read["data"]["segments"][*order]["segment_id"].as_str().unwrap_or("none").to_owned();
                let path = self.path(draft, &format!("/segments/{id}/redact"));
                let answer = self.post(user, &path, &json!({ "reason": "as it pleases" }));
                self.judge(draft, &answer, |draft| draft.redact(user, *order));
                touched = Some(draft);
            }
            Operation::Delete { user, draft } => {
                let (user, draft) = self.who(*user, *draft);
                let answer = self.send("DELETE", user, &self.path(draft, ""));
                self.judge(draft, &answer, |draft| match user == draft.creator {
                    false => FORBIDDEN,
                    true => {
                        draft.deleted = true;
                        Ok(())
                    }
                });
                touched = Some(draft);
            }
            Operation::Get { draft } => touched = Some(*draft),
            Operation::List { user } => {
                let list = self.clients[*user].get("/v1/collab/drafts", Some(&self.users[*user])).expect(200);
                let own: Vec<_> = (0..self.model.len())
                    .filter(|draft| self.model[*draft].has(*user) && !self.model[*draft].deleted)
                    .collect();
                assert_eq!(list["count"], own.len());
                let shown = list["data"].as_array().unwrap();
                assert_eq!(shown.len(), own.len());
                own.iter().zip(shown).for_each(|(draft, shown)| self.compare(*draft, shown));
            }
        }
        if let Some(draft) = touched {
            // Whose connection is left to chance: shards must agree.
            let reader = (self.draft_ids.len() + before.iter().map(|draft| draft.keys.len()).sum::<usize>()) % USERS;
            let path = self.path(draft, "");
            let read = self.clients[reader].get(&path, None);
            self.judge(draft, &read, |_| Ok(()));
        }
        for (before, after) in before.iter().zip(&self.model) {
            assert!(after.has(after.holder()) && after.history.starts_with(&before.history));
            let written = before.segments.iter().zip(&after.segments);
            assert!(written.clone().count() == before.segments.len(), "segments stay where they are");
            assert!(written.into_iter().all(|(was, is)| was.0 == is.0 && (was.1 == is.1 || is.1 == "[redacted]")));
        }
    }

    /// Holds an answer to what the model says.
    fn judge(&mut self, draft: usize, answer: &Answer, change: impl FnOnce(&mut Draft) -> Answered) {
        let judged = match self.model.get_mut(draft) {
            None => Err((404, "not_found")),
            Some(draft) if draft.deleted => Err((410, "gone")),
            Some(draft) => change(draft),
        };
        match judged {
            // Who leaves, or deletes, is shown nothing.
            Ok(()) if answer.status == 204 => assert!(answer.body.is_empty()),
            Ok(()) => self.compare(draft, &answer.expect(200)["data"]),
            Err((status, code)) => assert_eq!(answer.expect_error(status).0, code),
        }
    }

    fn compare(&self, draft: usize, shown: &Value) {
        let model = &self.model[draft];
        let names = |users: &[usize]| users.iter().map(|user| self.users[*user].clone()).collect::<Vec<_>>();
        let segments: Vec<_> = shown["segments"].as_array().unwrap().iter().collect();
        assert_eq!(segments.len(), model.segments.len(), "{shown}");
        for (order, (segment, (author, content))) in segments.into_iter().zip(&model.segments).enumerate() {
            let found = (&segment["segment_order"], &segment["user_id"], &segment["content"]);
            assert_eq!(found, (&json!(order), &json!(self.users[*author]), &json!(content)));
        }
        assert_eq!(shown["status"], if model.locked { "locked" } else { "active" });
        assert_eq!(shown["draft_id"], *self.draft_ids[draft]);
        assert_eq!(shown["creator_id"], *self.users[model.creator]);
        assert_eq!(shown["ring_state"]["current_holder_id"], *self.users[model.holder()]);
        assert_eq!(shown["ring_state"]["holders_history"], json!(names(&model.history)));
        assert_eq!(shown["collaborators"], json!(names(&model.collaborators)));
    }

    fn who(&self, user: Who, draft: usize) -> (usize, usize) {
        let known = self.model.get(draft);
        let user = match user {
            Who::Holder => known.map_or(0, Draft::holder),
            Who::Creator => known.map_or(0, |draft| draft.creator),
            Who::User(user) => user,
        };
        (user, draft)
    }

    fn path(&self, draft: usize, rest: &str) -> String {
        format!("/v1/collab/drafts/{}{rest}", self.draft_ids.get(draft).map_or("unknown", String::as_str))
    }

    fn send(&mut self, method: &str, user: usize, path: &str) -> Answer {
        self.clients[user].request(method, path, &[("X-User-Id", &self.users[user])], b"")
    }

    fn post(&mut self, user: usize, path: &str, body: &Value) -> Answer {
        self.clients[user].post(path, Some(&self.users[user]), body)
    }
}

/// Key 0 is the empty one, which is a key like any other (ruling 1).
fn key_text(key: usize) -> String {
    if key == 0 { String::new() } else { format!("key {key}") }
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let who = || prop_oneof![4 => Just(Who::Holder), 1 => Just(Who::Creator), 3 => (0..USERS).prop_map(Who::User)];
    // More than are ever made in most runs, so that some are unknown.
    let draft = || prop_oneof![3 => 0..2_usize, 1 => 2..8_usize];
    let key = || prop_oneof![1 => 0..8_usize, 4 => 8..1000_usize];
    let text = || prop_oneof![3 => "[a-z ]{1,20}", 1 => "[\\PC\"\\\\\n\u{0}]{1,40}"];
    let create = (0..USERS, prop::option::of(prop_oneof![Just(String::new()), text()]));
    let operation = prop_oneof![
        1 => create.prop_map(|(user, initial)| Operation::Create { user, initial }),
        12 => (who(), draft(), key(), text())
            .prop_map(|(user, draft, key, content)| Operation::Append { user, draft, key, content }),
        10 => (who(), draft(), key(), 0..USERS).prop_map(|(user, draft, key, to)| Operation::Pass { user, draft, key, to }),
        4 => (who(), draft(), 0..USERS).prop_map(|(user, draft, whom)| Operation::Add { user, draft, whom }),
        3 => (who(), draft(), 0..USERS).prop_map(|(user, draft, whom)| Operation::Part { user, draft, whom }),
        2 => (who(), draft(), key(), 0..USERS)
            .prop_map(|(user, draft, key, to)| Operation::Transfer { user, draft, key, to }),
        3 => (who(), draft(), key(), prop::bool::weighted(0.7))
            .prop_map(|(user, draft, key, unlock)| Operation::Lock { user, draft, key, unlock }),
        1 => (who(), draft(), key()).prop_map(|(user, draft, key)| Operation::Reclaim { user, draft, key }),
        2 => (who(), draft(), 0..12_usize).prop_map(|(user, draft, order)| Operation::Redact { user, draft, order }),
        1 => (who(), 1..4_usize).prop_map(|(user, draft)| Operation::Delete { user, draft }),
        1 => (0..8_usize).prop_map(|draft| Operation::Get { draft }),
        2 => (0..USERS).prop_map(|user| Operation::List { user }),
    ];
    vec(operation, OPERATIONS)
}

#[test]
fn whatever_is_asked_in_whatever_order_the_server_answers_as_the_model_does() {
    let server = Server::with(&[("RING_LEASE_SECONDS", "86400")]);
    let mut random = Random::seeded();
    let seed: Vec<u8> = (0..4).flat_map(|_| random.next().to_le_bytes()).collect();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut runs = 0;
    let mut run = |operations: &[Operation]| {
        runs += 1;
        let mut run = Run::new(&server, runs);
        operations.iter().for_each(|operation| run.step(operation));
    };
    for _ in 0..CASES {
        let operations = operations().new_tree(&mut runner).unwrap().current();
        if catch_unwind(AssertUnwindSafe(|| run(&operations))).is_err() {
            let shortest = shortest(operations, |fewer| catch_unwind(AssertUnwindSafe(|| run(fewer))).is_err());
            let lines: Vec<_> = shortest.iter().map(|operation| format!("{operation:?}")).collect();
            panic!("the server and the model part ways, see above, after:\n{}", lines.join("\n"));
        }
    }
    Ledger::open(&server.database()).audit();
}

/// Leaves out operations, many and then few at a time, for as long as the rest still fails.
fn shortest(mut operations: Vec<Operation>, mut fails: impl FnMut(&[Operation]) -> bool) -> Vec<Operation> {
    let mut chunk = operations.len();
    while chunk > 1 {
        chunk = chunk.div_ceil(2);
        // From the end: what comes after the failure goes first.
        for at in (0..operations.len()).step_by(chunk).rev() {
            let (before, rest) = operations.split_at(at);
            let fewer = [before, &rest[chunk.min(rest.len())..]].concat();
            if fails(&fewer) {
                operations = fewer;
            }
        }
    }
    operations
}
