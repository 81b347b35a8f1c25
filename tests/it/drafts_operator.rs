//! `inkring draft`, and the same on the private plane, against a server that runs and a database that none has open.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};

use crate::ops::Operated;
use crate::support::socket::Socket;
use crate::support::{Server, besides_settings, inkring};

/// Where verbs are run: beside a server, or where one was.
struct Place {
    directory: PathBuf,
    plane: Option<String>,
}

impl Place {
    fn served(operated: &Operated) -> Self {
        Self { directory: operated.server.directory.path().to_owned(), plane: Some(operated.plane.to_string()) }
    }

    fn stopped(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), plane: None }
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = inkring(&self.directory);
        command.arg("draft").args(arguments).env("AUDIT_ENABLED", "true");
        command.envs(self.plane.as_deref().map(|plane| ("OPS_ADDR", plane)));
        let Output { status, stdout, stderr } = command.output().unwrap();
        (status.code().unwrap(), String::from_utf8(stdout).unwrap(), besides_settings(stderr))
    }

    #[track_caller]
    fn said(&self, arguments: &[&str]) -> String {
        let (code, stdout, stderr) = self.run(arguments);
        assert_eq!((code, stderr.as_str()), (0, ""));
        stdout
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.said(&[arguments, &["--json"]].concat())).unwrap()
    }

    #[track_caller]
    fn fails(&self, arguments: &[&str], code: i32, why: &str) {
        let (found, _, stderr) = self.run(arguments);
        assert_eq!(found, code, "{stderr}");
        assert!(stderr.contains(why), "{why}: {stderr}");
    }
}

fn served() -> Operated {
    Operated::with(&[("AUDIT_ENABLED", "true")])
}

fn titled(server: &Server, user: &str, title: &str) -> String {
    let made = server.post_as(user, "/v1/collab/drafts", &json!({ "title": title, "platform": "x" })).expect(200);
    made["data"]["draft_id"].as_str().unwrap().to_owned()
}

fn append(server: &Server, draft: &str, user: &str, content: &str) {
    let path = format!("/v1/collab/drafts/{draft}/segments");
    server.post_as(user, &path, &json!({ "content": content, "idempotency_key": content })).expect(200);
}

fn pass(server: &Server, draft: &str, from: &str, to: &str) {
    let added = format!("/v1/collab/drafts/{draft}/collaborators?collaborator_id={to}");
    server.connect().request("POST", &added, &[("X-User-Id", from)], b"").expect(200);
    let path = format!("/v1/collab/drafts/{draft}/pass-ring");
    server.post_as(from, &path, &json!({ "to_user_id": to, "idempotency_key": "p" })).expect(200);
}

/// Ids of what was listed.
fn ids(said: &Value) -> Vec<&str> {
    said["drafts"].as_array().unwrap().iter().map(|draft| draft["draft_id"].as_str().unwrap()).collect()
}

#[test]
fn an_operator_finds_drafts_page_by_page() {
    let mut operated = served();
    let server = &operated.server;
    let [a, b, c] = [("alice", "A Tale"), ("bob", "a tall order 100%"), ("alice", "Else\u{1b}[2J")]
        .map(|(user, title)| titled(server, user, title));
    let place = Place::served(&operated);
    let holds = |place: &Place| {
        assert_eq!(ids(&place.json(&["list"])), [&c, &b, &a]);
        assert_eq!(ids(&place.json(&["list", "--title", "A TA"])), [&b, &a]);
        assert_eq!(ids(&place.json(&["list", "--title", "%"])), [&b], "no wildcard");
        assert_eq!(ids(&place.json(&["list", "--user", "alice"])), [&c, &a]);
        assert_eq!(ids(&place.json(&["list", "--user", "alice", "--title", "tale"])), [&a]);
        assert_eq!(ids(&place.json(&["list", "--user", "nobody"])), [""; 0]);
        let first = place.json(&["list", "-n", "2"]);
        assert_eq!((ids(&first), first["next"].as_str()), (vec![c.as_str(), &b], Some(b.as_str())));
        let second = place.json(&["list", "-n", "2", "--before", &b]);
        assert_eq!((ids(&second), &second["next"]), (vec![a.as_str()], &Value::Null));
        let table = place.said(&["list"]);
        assert!(table.starts_with("DRAFT ") && table.contains(&a) && !table.contains('\u{1b}'), "{table}");
        place.fails(&["list", "-n", "0"], 2, "'0' for '--limit <N>': use a whole number from 1 to 200");
        place.fails(&["list", "-n", "201"], 2, "use a whole number from 1 to 200");
        place.fails(&["list", "--before", "nothing"], 1, "Draft nothing not found");
    };
    holds(&place);
    assert_eq!(
        operated.get("/drafts?limit=201").expect(422)["error"]["message"],
        "limit must be a whole number from 1 to 200"
    );
    operated.server.terminate();
    holds(&Place::stopped(&place.directory));
}

#[test]
fn an_operator_sees_a_draft_whole_and_page_by_page() {
    let mut operated = served();
    let server = &operated.server;
    let draft = titled(server, "alice", "A tale");
    for number in 0..5 {
        append(server, &draft, "alice", &format!("part {number}"));
    }
    pass(server, &draft, "alice", "bob");
    let place = Place::served(&operated);
    let holds = |place: &Place| {
        let said = place.json(&["show", &draft]);
        assert_eq!((&said["draft"]["creator_id"], &said["draft"]["holder_id"]), (&json!("alice"), &json!("bob")));
        assert_eq!(
            (&said["draft"]["segments"], &said["draft"]["passes"], &said["more"]),
            (&json!(5), &json!(1), &json!(false))
        );
        let members: Vec<_> = said["members"].as_array().unwrap().iter().map(|one| &one["user_id"]).collect();
        assert_eq!(members, ["alice", "bob"]);
        let orders = |said: &Value| -> Vec<i64> {
            said["segments"].as_array().unwrap().iter().map(|one| one["segment_order"].as_i64().unwrap()).collect()
        };
        assert_eq!(orders(&said), [0, 1, 2, 3, 4]);
        let page = place.json(&["show", &draft, "-n", "2", "--segments-after", "1"]);
        assert_eq!((orders(&page), &page["more"]), (vec![2, 3], &json!(true)));
        let plain = place.said(&["show", &draft, "-n", "2"]);
        assert!(
            plain.contains("  holder         bob\n") && plain.ends_with("there are more: --segments-after 1\n"),
            "{plain}"
        );
        place.fails(&["show", &draft, "-n", "501"], 2, "use a whole number from 1 to 500");
        place.fails(&["show", "no such draft"], 1, "Draft no such draft not found");
    };
    holds(&place);
    operated.server.terminate();
    holds(&Place::stopped(&place.directory));
}

#[test]
fn an_operator_frees_a_ring_and_those_who_watch_are_told() {
    let mut operated = served();
    let server = &operated.server;
    let draft = titled(server, "alice", "A tale");
    pass(server, &draft, "alice", "bob");
    let mut socket = Socket::watch(server, &draft, "bob");
    let place = Place::served(&operated);
    let said = place.said(&["release-ring", &draft]);
    assert_eq!(said, format!("{draft}: the ring went from bob to alice\n"));
    let told = socket.json();
    assert_eq!((&told["type"], &told["data"]["to_user_id"]), (&json!("collab.ring_passed"), &json!("alice")), "{told}");
    append(server, &draft, "alice", "mine again");
    assert_eq!(socket.json()["type"], "collab.segment_added");
    // Once more there is nothing to do, and nobody is told.
    assert_eq!(place.json(&["release-ring", &draft])["released"], false);
    socket.assert_quiet();
    let rows = operated.get("/audit?action=collab.reclaim_ring").expect(200);
    let row = &rows["rows"][0];
    assert_eq!(
        (rows["rows"].as_array().unwrap().len(), &row["user_id"], &row["draft_id"]),
        (1, &json!("operator"), &json!(draft))
    );
    place.fails(&["release-ring", "nothing"], 1, "Draft nothing not found");

    pass(&operated.server, &titled(&operated.server, "carol", "Another"), "carol", "dave");
    let another = place.json(&["list", "--user", "dave"])["drafts"][0]["draft_id"].as_str().unwrap().to_owned();
    operated.server.terminate();
    let stopped = Place::stopped(&place.directory);
    assert_eq!(stopped.json(&["release-ring", &another])["holder_id"], "carol");
    operated.server.launch();
    append(&operated.server, &another, "carol", "written");
}

#[test]
fn an_operator_verifies_a_draft_while_it_is_served_and_finds_what_was_changed() {
    let mut operated = served();
    let server = &operated.server;
    let draft = titled(server, "alice", "A tale");
    for content in ["once", "upon", "a time"] {
        append(server, &draft, "alice", content);
    }
    let place = Place::served(&operated);
    let said = place.json(&["verify", &draft]);
    let told = server.get(&format!("/v1/collab/drafts/{draft}/chain")).expect(200);
    let last = &told["data"]["segments"][2]["chain_sha256"];
    assert_eq!((&said["holds"], &said["segments"], &said["chain_sha256"]), (&json!(true), &json!(3), last));
    assert!(place.said(&["verify", &draft]).starts_with("the chain is intact\n"));
    place.fails(&["verify", "nothing"], 1, "Draft nothing not found");
    operated.server.terminate();
    let database = rusqlite::Connection::open(operated.server.database()).unwrap();
    database.execute("UPDATE draft_segments SET content = 'Upon' WHERE segment_order = 1", []).unwrap();
    drop(database);
    let stopped = Place::stopped(&place.directory);
    stopped.fails(&["verify", &draft], 3, "the text of segment 1 is not the one that was hashed");
}

#[test]
fn an_operator_removes_a_member_takes_a_text_out_and_deletes_a_draft() {
    let mut operated = served();
    let server = &operated.server;
    let draft = titled(server, "alice", "A tale");
    append(server, &draft, "alice", "what has to go");
    pass(server, &draft, "alice", "bob");
    append(server, &draft, "bob", "what stays");
    let place = Place::served(&operated);
    let said = place.json(&["remove-member", &draft, "bob"]);
    assert_eq!((&said["user_id"], &said["holder_id"]), (&json!("bob"), &json!("alice")));
    place.fails(&["remove-member", &draft, "bob"], 1, "bob");
    place.fails(&["remove-member", &draft, "alice"], 1, "creator_cannot_leave");
    append(server, &draft, "alice", "mine again");

    let shown = place.json(&["show", &draft]);
    let segment = shown["segments"][0]["segment_id"].as_str().unwrap().to_owned();
    place.fails(&["redact", &draft, &segment], 2, "--reason");
    place.fails(
        &["redact", &draft, &segment, "--reason", &"x".repeat(501)],
        2,
        "1 to 500 characters; this one has 501",
    );
    place.fails(&["redact", &draft, "nothing", "--reason", "r"], 1, "Segment nothing not found");
    let said = place.said(&["redact", &draft, &segment, "--reason", "somebody asked"]);
    assert_eq!(said, format!("{draft}: the text of segment {segment} is redacted\n"));
    place.said(&["redact", &draft, &segment, "--reason", "once more"]);
    let text = server.get(&format!("/v1/collab/drafts/{draft}")).text().to_owned();
    assert!(text.contains("[redacted]") && !text.contains("what has to go") && text.contains("what stays"), "{text}");
    assert_eq!(place.json(&["verify", &draft])["taken_out"], 1);

    let asked = format!("pass --yes to delete draft {draft}, \"");
    place.fails(&["delete", &draft], 2, &asked);
    place.fails(&["delete", &draft], 2, "\" by alice, with 3 segments; only a backup can bring it back");
    place.fails(&["delete", "nonsense"], 1, "not found");
    assert_eq!(place.json(&["delete", &draft, "--yes"])["segments"], 3);
    assert_eq!(server.get(&format!("/v1/collab/drafts/{draft}")).status, 410);
    place.fails(&["delete", &draft, "--yes"], 1, "the server refused");
    let rows = operated.get("/audit?user=operator&limit=10").expect(200);
    let actions: Vec<_> = rows["rows"].as_array().unwrap().iter().map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["collab.delete_draft", "collab.redact_segment", "collab.remove_collaborator"]);
    assert_eq!(rows["rows"][1]["metadata"]["reason"], "somebody asked");

    let another = titled(&operated.server, "carol", "Another");
    pass(&operated.server, &another, "carol", "dave");
    operated.server.terminate();
    let stopped = Place::stopped(&place.directory);
    assert_eq!(stopped.json(&["remove-member", &another, "dave"])["holder_id"], "carol");
    assert_eq!(stopped.json(&["delete", &another, "--yes"])["deleted"], true);
    stopped.fails(&["show", &another], 1, "was deleted");
}
