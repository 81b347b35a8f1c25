//! Passing the ring to whom a rule chooses (contract 01 §1.9 with R7).

use serde_json::{Value, json};

use crate::support::ledger::Ledger;
use crate::support::{Answer, Client, PATIENCE, Server};

const MEMBERS: [&str; 3] = ["dave", "bob", "carol"];

/// A draft of alice's with these collaborators.
fn draft(server: &Server, client: &mut Client, collaborators: &[&str]) -> String {
    let path = format!("/v1/collab/drafts/{}", server.create_draft("alice"));
    for user in collaborators {
        client.post(&format!("{path}/collaborators?collaborator_id={user}"), Some("alice"), &json!({})).expect(200);
    }
    path
}

fn pass(client: &mut Client, path: &str, user: &str, strategy: &str, key: &str) -> Answer {
    let body = json!({ "strategy": strategy, "idempotency_key": key });
    client.post(&format!("{path}/pass-ring/smart"), Some(user), &body)
}

fn append(client: &mut Client, path: &str, user: &str, key: &str) {
    let body = json!({ "content": "words", "idempotency_key": key });
    client.post(&format!("{path}/segments"), Some(user), &body).expect(200);
}

fn hand_to(client: &mut Client, path: &str, from: &str, to: &str, key: &str) {
    let body = json!({ "to_user_id": to, "idempotency_key": key });
    client.post(&format!("{path}/pass-ring"), Some(from), &body).expect(200);
}

#[test]
fn each_rule_chooses_whom_the_contract_says() {
    let server = Server::start();
    let mut client = server.connect();
    let path = draft(&server, &mut client, &MEMBERS);
    append(&mut client, &path, "alice", "1");

    let answer = pass(&mut client, &path, "alice", "most_inactive", "a").expect(200);
    let names: Vec<&String> = answer.as_object().unwrap().keys().collect();
    assert_eq!(names, ["data", "selected_to_user_id", "strategy_used", "reasoning", "metrics"]);
    assert_eq!((&answer["selected_to_user_id"], &answer["strategy_used"]), (&json!("bob"), &json!("most_inactive")));
    assert_eq!(answer["data"]["ring_state"]["current_holder_id"], "bob");
    assert_eq!(answer["data"]["metrics"], Value::Null);
    let metrics = json!({ "strategy": "most_inactive", "candidate_count": 3, "computed_from": "activity_history" });
    assert_eq!(answer["metrics"], metrics);
    assert!(answer["reasoning"].as_str().is_some_and(|why| !why.is_empty()));

    append(&mut client, &path, "bob", "2");
    let mut selected = |user: &str, strategy: &str, key: &str| {
        pass(&mut client, &path, user, strategy, key).expect(200)["selected_to_user_id"].as_str().unwrap().to_owned()
    };
    assert_eq!(selected("bob", "best_next", "b"), "carol", "she has not written yet, and comes before dave");
    assert_eq!(selected("carol", "round_robin", "c"), "dave");
    assert_eq!(selected("dave", "round_robin", "d"), "alice", "from the last to the first");
    assert_eq!(selected("alice", "back_to_creator", "e"), "bob", "the creator holds it already");
    assert_eq!(selected("bob", "back_to_creator", "f"), "alice");
}

#[test]
fn whoever_wrote_longest_ago_is_the_most_inactive() {
    let server = Server::start();
    let mut client = server.connect();
    let path = draft(&server, &mut client, &["bob", "carol"]);
    for (turn, pair) in ["carol", "bob", "alice"].into_iter().zip(["alice", "carol", "bob"]).enumerate() {
        let (user, before) = pair;
        hand_to(&mut client, &path, before, user, &format!("p{turn}"));
        append(&mut client, &path, user, &format!("s{turn}"));
    }
    assert_eq!(pass(&mut client, &path, "alice", "most_inactive", "a").expect(200)["selected_to_user_id"], "carol");
}

#[test]
fn what_was_written_before_somebody_left_still_counts() {
    let server = Server::start();
    let mut client = server.connect();
    let path = draft(&server, &mut client, &["bob", "carol"]);
    hand_to(&mut client, &path, "alice", "bob", "1");
    append(&mut client, &path, "bob", "s");
    hand_to(&mut client, &path, "bob", "alice", "2");
    client.request("DELETE", &format!("{path}/collaborators/bob"), &[("X-User-Id", "alice")], b"").expect(200);
    client.post(&format!("{path}/collaborators?collaborator_id=bob"), Some("alice"), &json!({})).expect(200);
    let ring = client.get(&format!("{path}/analytics/ring"), Some("alice")).json();
    let selected = pass(&mut client, &path, "alice", "most_inactive", "a").expect(200);
    assert_eq!(selected["selected_to_user_id"], "carol", "she has not written, and bob has: {ring}");
}

#[test]
fn what_is_sent_is_read_as_laxly_as_the_original_reads_it() {
    let server = Server::start();
    let mut client = server.connect();
    let path = format!("{}/pass-ring/smart", draft(&server, &mut client, &["bob"]));
    let mut holder = ["alice", "bob"].into_iter().cycle();
    let flags = [json!(true), json!(0), json!(1.0), json!("yes"), json!("OFF"), json!("t")];
    for (number, allow_ai) in flags.into_iter().enumerate() {
        let body = json!({ "allow_ai": allow_ai, "idempotency_key": number.to_string() });
        let answer = client.post(&path, holder.next(), &body).expect(200);
        assert_eq!(answer["strategy_used"], "most_inactive", "what is not said");
    }
    let mut problem = |body: Value| {
        let detail = client.post(&path, Some("alice"), &body).expect(422)["detail"].take();
        let items = detail.as_array().unwrap().iter();
        items.map(|item| format!("{} {}", item["type"].as_str().unwrap(), item["loc"][1])).collect::<Vec<_>>()
    };
    assert_eq!(problem(json!({})), [r#"missing "idempotency_key""#]);
    assert_eq!(
        problem(json!({ "strategy": "by_lot", "allow_ai": "perhaps", "idempotency_key": "k".repeat(256) })),
        [r#"enum "strategy""#, r#"bool_parsing "allow_ai""#, r#"string_too_long "idempotency_key""#]
    );
    assert_eq!(
        problem(json!({ "strategy": null, "allow_ai": [], "idempotency_key": 1 })),
        [r#"enum "strategy""#, r#"bool_type "allow_ai""#, r#"string_type "idempotency_key""#]
    );
    let item = client.post(&path, Some("alice"), &json!({ "strategy": "x", "idempotency_key": "" })).expect(422);
    let expected = "'most_inactive', 'round_robin', 'back_to_creator' or 'best_next'";
    assert_eq!(item["detail"][0]["msg"], format!("Input should be {expected}"));
    assert_eq!(item["detail"][0]["ctx"], json!({ "expected": expected }));
}

#[test]
fn refusals_come_in_order_and_change_nothing() {
    let server = Server::with(&[("MAX_PASSES_PER_DRAFT", "1"), ("AUDIT_ENABLED", "true")]);
    let mut client = server.connect();
    let alone = draft(&server, &mut client, &[]);
    let unknown = "/v1/collab/drafts/5b98e005-078d-437b-b5e9-9cab5d5251d1";
    client.post(&format!("{unknown}/pass-ring/smart"), None, &json!({})).expect(401);
    client.post(&format!("{unknown}/pass-ring/smart"), Some("alice"), &json!({})).expect(422);
    assert_eq!(pass(&mut client, unknown, "alice", "round_robin", "k").expect_error(404).0, "not_found");
    let (code, message) = pass(&mut client, &alone, "bob", "round_robin", "k").expect_error(403);
    assert_eq!(code, "forbidden");
    assert!(message.starts_with("User bob is not ring holder for draft "), "{message}");
    for strategy in ["most_inactive", "round_robin", "back_to_creator", "best_next"] {
        let (code, message) = pass(&mut client, &alone, "alice", strategy, "k").expect_error(409);
        assert_eq!(code, "no_collaborator_candidates");
        assert_eq!(message, "No eligible collaborators to pass the ring to.");
    }
    let two = draft(&server, &mut client, &["bob"]);
    pass(&mut client, &two, "alice", "round_robin", "k").expect(200);
    assert_eq!(pass(&mut client, &two, "bob", "round_robin", "k").expect_error(429).0, "limit_exceeded");
    let ledger = Ledger::open(&server.database());
    let count = |sql: &str| ledger.column::<i64>(sql, [])[0];
    assert_eq!(count("SELECT count(*) FROM ring_passes"), 1);
    assert_eq!(count("SELECT count(*) FROM idempotency_keys"), 1);
    assert_eq!(count("SELECT count(*) FROM events WHERE type = 'collab.ring_passed'"), 1);
    let rows: Vec<String> = ledger.column(
        "SELECT json_array(action, json(metadata)) FROM audit_events WHERE action LIKE 'collab.pass%' ORDER BY id",
        [],
    );
    let rows: Vec<Value> = rows.iter().map(|row| serde_json::from_str(row).unwrap()).collect();
    assert_eq!(rows.len(), 2, "one change, and who chose");
    let passed = json!({ "from_user_id": "alice", "to_user_id": "bob", "idempotency_key": "k" });
    assert_eq!(rows[0], json!(["collab.pass_ring", passed]));
    assert_eq!(rows[1][0], "collab.pass_ring_smart");
    let details = rows[1][1].as_object().unwrap();
    let names: Vec<&String> = details.keys().collect();
    assert_eq!(names, ["to_user_id", "strategy", "allow_ai", "idempotency_key", "candidate_count", "reasoning"]);
    assert_eq!((&details["allow_ai"], &details["candidate_count"]), (&json!(true), &json!(1)));
}

#[test]
fn a_replay_says_who_was_chosen_and_shows_the_draft_as_it_is_even_after_a_restart() {
    let mut server = Server::start();
    let mut client = server.connect();
    let path = draft(&server, &mut client, &MEMBERS);
    let first = pass(&mut client, &path, "alice", "round_robin", "k").expect(200);
    hand_to(&mut client, &path, "bob", "dave", "p");
    server.kill();
    server.launch();
    let mut client = server.connect();
    let again = pass(&mut client, &path, "alice", "back_to_creator", "k").expect(200);
    for member in ["selected_to_user_id", "strategy_used", "reasoning", "metrics"] {
        assert_eq!(again[member], first[member], "{member}");
    }
    assert_eq!(again["selected_to_user_id"], "bob");
    assert_eq!(again["data"]["ring_state"]["holders_history"], json!(["alice", "bob", "dave"]));
    assert_eq!(pass(&mut client, &path, "alice", "round_robin", "other").expect_error(403).0, "forbidden");
    // The key of a plain pass is another one.
    let body = json!({ "to_user_id": "bob", "idempotency_key": "k" });
    client.post(&format!("{path}/pass-ring"), Some("dave"), &body).expect(200);
    assert_eq!(pass(&mut client, &path, "bob", "back_to_creator", "k").expect(200)["selected_to_user_id"], "alice");
}

#[test]
fn of_many_at_once_one_passes() {
    let server = Server::start();
    let mut client = server.connect();
    let path = draft(&server, &mut client, &MEMBERS);
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let ask = |number: usize| {
            let mut client = Client::try_connect(server.address, PATIENCE).unwrap();
            pass(&mut client, &path, "alice", "round_robin", &number.to_string()).status
        };
        let asked: Vec<_> = (0..8).map(|number| scope.spawn(move || ask(number))).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
    assert!(answers.iter().all(|status| [200, 403].contains(status)), "{answers:?}");
    assert_eq!(client.get(&path, None).expect(200)["data"]["ring_state"]["holders_history"], json!(["alice", "bob"]));
}
