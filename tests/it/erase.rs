//! `inkring user erase`: what is found of a person, what is gone, what stays and why.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::ops::Operated;
use crate::support::socket::Socket;
use crate::support::{Server, besides_settings, inkring};

const TEXT: &str = "the-text-of-mallory-that-has-to-go";

fn run(directory: &Path, plane: Option<&str>, arguments: &[&str]) -> (i32, String, String) {
    let mut command = inkring(directory);
    command.args(arguments).env("AUDIT_ENABLED", "true");
    command.envs(plane.map(|plane| ("OPS_ADDR", plane)));
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), besides_settings(stderr))
}

#[track_caller]
fn done(ran: (i32, String, String)) -> String {
    assert_eq!((ran.0, ran.2.as_str()), (0, ""));
    ran.1
}

fn made(server: &Server, user: &str, title: &str) -> String {
    let made = server.post_as(user, "/v1/collab/drafts", &json!({ "title": title, "platform": "x" })).expect(200);
    made["data"]["draft_id"].as_str().unwrap().to_owned()
}

fn add(server: &Server, draft: &str, creator: &str, user: &str) {
    let path = format!("/v1/collab/drafts/{draft}/collaborators?collaborator_id={user}");
    server.connect().request("POST", &path, &[("X-User-Id", creator)], b"").expect(200);
}

fn pass(server: &Server, draft: &str, from: &str, to: &str) {
    let path = format!("/v1/collab/drafts/{draft}/pass-ring");
    server.post_as(from, &path, &json!({ "to_user_id": to, "idempotency_key": "p" })).expect(200);
}

fn append(server: &Server, draft: &str, user: &str, content: &str) {
    let path = format!("/v1/collab/drafts/{draft}/segments");
    server.post_as(user, &path, &json!({ "content": content, "idempotency_key": content })).expect(200);
}

/// A line of the report: found, gone, stays.
fn line(said: &Value, what: &str) -> [u64; 3] {
    let line = said["report"].as_array().unwrap().iter().find(|line| line["what"] == what);
    let line = line.unwrap_or_else(|| panic!("no {what}: {said}"));
    ["found", "gone", "stays"].map(|name| line[name].as_u64().unwrap())
}

/// Mallory has made a draft with others, one alone, and writes in one of alice, whose ring they hold. Ids of the three.
fn household(server: &Server) -> [String; 3] {
    let shared = made(server, "mallory", "mallory's title");
    append(server, &shared, "mallory", TEXT);
    add(server, &shared, "mallory", "bob");
    add(server, &shared, "mallory", "carol");
    let alone = made(server, "mallory", "alone");
    append(server, &alone, "mallory", TEXT);
    let alices = made(server, "alice", "A tale");
    append(server, &alices, "alice", "once");
    add(server, &alices, "alice", "mallory");
    pass(server, &alices, "alice", "mallory");
    append(server, &alices, "mallory", TEXT);
    [shared, alone, alices]
}

/// What is left is what should be.
#[track_caller]
fn assert_erased(server: &Server, said: &Value, [shared, alone, alices]: &[String; 3]) {
    let pseudonym = said["pseudonym"].as_str().unwrap();
    for (what, found) in [
        ("drafts they created, with others in them", 1),
        ("drafts they created, alone", 1),
        ("memberships", 3),
        ("rings they held", 2),
        ("segments they wrote", 3),
        ("passes of a ring from or to them", 1),
    ] {
        assert_eq!(line(said, what)[0], found, "{what}: {said}");
    }
    let shown = server.get(&format!("/v1/collab/drafts/{shared}")).expect(200)["data"].clone();
    assert_eq!((&shown["creator_id"], &shown["title"]), (&json!("bob"), &json!("[erased]")));
    assert_eq!(shown["ring_state"]["current_holder_id"], "bob");
    assert_eq!(
        (&shown["segments"][0]["user_id"], &shown["segments"][0]["content"]),
        (&json!(pseudonym), &json!("[redacted]"))
    );
    assert!([404, 410].contains(&server.get(&format!("/v1/collab/drafts/{alone}")).status));
    let shown = server.get(&format!("/v1/collab/drafts/{alices}")).expect(200)["data"].clone();
    assert_eq!(
        (&shown["ring_state"]["current_holder_id"], &shown["segments"][1]["content"]),
        (&json!("alice"), &json!("[redacted]"))
    );
    append(server, alices, "alice", "and on");
    for draft in [shared, alices] {
        for path in [format!("/v1/collab/drafts/{draft}"), format!("/v1/collab/drafts/{draft}/events")] {
            let text = server.get_as("alice", &path).text().to_owned();
            assert!(!text.contains("mallory") && !text.contains(TEXT), "{path}: {text}");
        }
    }
}

#[test]
fn a_person_is_erased_from_a_server_that_runs_and_the_report_says_what_stays() {
    let operated = Operated::with(&[("AUDIT_ENABLED", "true")]);
    let (server, plane) = (&operated.server, operated.plane.to_string());
    let drafts = household(server);
    let verb = |arguments: &[&str]| run(server.directory.path(), Some(&plane), arguments);
    let before = operated.get("/audit?limit=200").text().to_owned();
    let dry: Value = serde_json::from_str(&done(verb(&["user", "erase", "mallory", "--json"]))).unwrap();
    assert_eq!(dry["dry_run"], true);
    assert_eq!(operated.get("/audit?limit=200").text(), before, "it is only tried");
    assert!(server.get(&format!("/v1/collab/drafts/{}", drafts[0])).text().contains(TEXT));
    let plain = done(verb(&["user", "erase", "mallory"]));
    assert!(plain.contains("Nothing was changed") && plain.contains("--yes"), "{plain}");
    assert_eq!(done(verb(&["user", "erase", "nobody-known"])), "nothing is stored about 'nobody-known'\n");

    let said: Value = serde_json::from_str(&done(verb(&["user", "erase", "mallory", "--yes", "--json"]))).unwrap();
    assert_eq!(line(&said, "segments they wrote"), line(&dry, "segments they wrote"));
    assert_erased(server, &said, &drafts);
    let rows = operated.get("/audit?limit=200").text().to_owned();
    assert!(!rows.contains("mallory") && rows.contains("user.erased"), "{rows}");
    assert!(line(&said, "audit rows of what they did")[1] >= 6, "{said}");
    for what in ["backups", "the log of the server", "behaviour events"] {
        line(&said, what);
    }
    // The chain holds, and so do the chains of the drafts.
    done(verb(&["audit", "verify"]));
    // Once more there is nothing left.
    let again: Value = serde_json::from_str(&done(verb(&["user", "erase", "mallory", "--yes", "--json"]))).unwrap();
    assert_eq!(line(&again, "segments they wrote"), [0; 3]);
    assert_eq!(line(&again, "audit rows that named them"), [0; 3]);
}

#[test]
fn a_person_is_erased_from_the_database_of_a_server_that_does_not_run() {
    let mut server = Server::with(&[("AUDIT_ENABLED", "true")]);
    let drafts = household(&server);
    server.terminate();
    let directory = server.directory.path().to_owned();
    let plain = done(run(&directory, None, &["user", "erase", "mallory", "--yes"]));
    assert!(plain.starts_with("mallory is erased") && plain.contains("backups"), "{plain}");
    let said: Value =
        serde_json::from_str(&done(run(&directory, None, &["user", "erase", "alice", "--json"]))).unwrap();
    assert_eq!(line(&said, "drafts they created, alone")[0], 1);
    server.launch();
    let shown = server.get(&format!("/v1/collab/drafts/{}", drafts[2])).expect(200)["data"].clone();
    assert_eq!((&shown["creator_id"], &shown["segments"][1]["content"]), (&json!("alice"), &json!("[redacted]")));
    let (code, _, stderr) = run(&directory, None, &["user", "erase", &"x".repeat(101)]);
    assert!(code == 2 && stderr.contains("1 to 100 characters"), "{stderr}");
}

#[test]
fn sockets_of_who_is_erased_and_of_drafts_that_go_with_them_are_closed_at_once() {
    for public_read in ["false", "true"] {
        let operated = Operated::with(&[("DRAFTS_PUBLIC_READ", public_read)]);
        let server = &operated.server;
        let (alone, alices) = (made(server, "mallory", "alone"), made(server, "alice", "A tale"));
        add(server, &alices, "alice", "mallory");
        let mut theirs = Socket::watch(server, &alices, "mallory");
        let mut alice = Socket::watch(server, &alices, "alice");
        let mut of_alone = Socket::watch(server, &alone, "mallory");
        let erase = |dry: bool| {
            let body = json!({ "user": "mallory", "dry_run": dry }).to_string();
            operated.ask("POST", "/users/erase", "localhost", &[], body.as_bytes()).expect(200);
        };
        erase(true);
        [&mut theirs, &mut alice, &mut of_alone].into_iter().for_each(Socket::assert_quiet);
        erase(false);
        assert_eq!(of_alone.json()["type"], "collab.draft_deleted");
        assert_eq!(of_alone.json()["code"], "gone");
        of_alone.assert_closed(4410, "The draft was deleted");
        for socket in [&mut theirs, &mut alice] {
            assert_eq!(socket.json()["type"], "collab.person_erased");
        }
        alice.assert_quiet();
        // Where anybody may read, they may as well.
        if public_read == "true" {
            theirs.assert_quiet();
        } else {
            assert_eq!(theirs.json()["code"], "forbidden");
            theirs.assert_closed(4403, "No longer a member of this draft");
        }
    }
}
