//! When the storage fails: changes are refused and everything else goes on, until it works again (decision 0009). The
//! faults are real ones, of the system that the server runs on.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rusqlite::Connection;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};

use crate::support::ledger::Ledger;
use crate::support::needs::{on_small_disk, small_disk};
use crate::support::socket::{PING, Socket};
use crate::support::{Answer, Server, wait_for};

/// From now on the server can make no file longer than this; every write beyond fails.
pub fn limit_files(server: &Server, bytes: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(server.pid()).unwrap());
    let maximum = prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap().maximum;
    assert_eq!(maximum, None, "only the soft limit is ours to raise again");
}

pub fn log_bytes(server: &Server) -> u64 {
    fs::metadata(server.database().with_extension("db-wal")).unwrap().len()
}

fn append(server: &Server, draft_id: &str, content: &str) -> Answer {
    let path = format!("/v1/collab/drafts/{draft_id}/segments");
    server.post_as("alice", &path, &json!({ "content": content, "idempotency_key": content }))
}

fn contents(draft: &Value) -> Vec<String> {
    let segments = draft["data"]["segments"].as_array().unwrap();
    segments.iter().map(|segment| segment["content"].as_str().unwrap().to_owned()).collect()
}

fn read(server: &Server, draft_id: &str) -> Answer {
    server.get_as("alice", &format!("/v1/collab/drafts/{draft_id}"))
}

fn events(server: &Server, draft_id: &str) -> Answer {
    server.get_as("alice", &format!("/v1/collab/drafts/{draft_id}/events"))
}

fn lines(server: &Server, message: &str) -> usize {
    server.log().matches(&format!("\"message\":\"{message}\"")).count()
}

fn assert_refused(answer: &Answer) {
    let (code, message) = answer.expect_error(503);
    assert_eq!((code.as_str(), answer.header("retry-after")), ("storage_readonly", Some("2")), "{message}");
    assert_eq!(message, "The storage takes no changes at present; nothing was changed");
}

#[track_caller]
fn assert_unready(server: &Server, reason: &str) {
    let answer = server.get("/readyz");
    assert_eq!(answer.expect_error(503).0, "storage_readonly");
    let detail = format!("database read-only: {reason}");
    assert_eq!((&answer.json()["status"], &answer.json()["detail"]), (&json!("error"), &json!(detail)));
    server.get("/healthz").expect(200);
}

fn pings(socket: &mut Socket) {
    socket.send_text(PING);
    assert_eq!(socket.json()["type"], "pong");
}

#[test]
fn while_writing_fails_changes_are_refused_and_reads_and_sockets_go_on_until_it_works_again() {
    const REFUSED: usize = 30;
    let mut server = Server::start();
    let draft_id = server.create_draft("alice");
    append(&server, &draft_id, "one").expect(200);
    let mut socket = Socket::watch(&server, &draft_id, "alice");

    limit_files(&server, Some(log_bytes(&server)));
    let (code, message) = append(&server, &draft_id, "two").expect_error(503);
    // Its log may have reached the disk, so nobody can say that nothing was changed.
    assert_eq!(code, "storage_unavailable");
    assert_eq!(message, "The change could not be stored; retry with the same idempotency key");
    let written = log_bytes(&server);
    for number in 0..REFUSED {
        assert_refused(&append(&server, &draft_id, &format!("refused {number}")));
    }
    assert_refused(&server.post_as("bob", "/v1/collab/drafts", &json!({ "title": "t", "platform": "x" })));
    assert_unready(&server, "reading or writing its files fails");
    assert_eq!(contents(&read(&server, &draft_id).expect(200)), ["one"]);
    assert_eq!(server.get_as("alice", "/v1/collab/drafts").expect(200)["count"], 1);
    assert_eq!(events(&server, &draft_id).expect(200)["to"], 2);
    pings(&mut socket);
    let (welcome, second) = Socket::watch_since(&server, &draft_id, "alice", 2);
    assert_eq!(welcome["seq"], 2);
    drop(second);
    assert_eq!(log_bytes(&server), written, "what is refused does not touch the disk");
    let line = server.wait_for_log(|line| line["message"] == "store.readonly");
    assert_eq!((&line["level"], &line["failed"]), (&json!("ERROR"), &json!(1)));

    limit_files(&server, None);
    wait_for(|| (server.get("/readyz").status == 200).then_some(()));
    append(&server, &draft_id, "two").expect(200);
    append(&server, &draft_id, "three").expect(200);
    assert_eq!(contents(&read(&server, &draft_id).expect(200)), ["one", "two", "three"]);
    for order in [1, 2] {
        let event = socket.json();
        assert_eq!((&event["type"], &event["data"]["segment_order"]), (&json!("collab.segment_added"), &json!(order)));
    }
    socket.assert_quiet();
    let line = server.wait_for_log(|line| line["message"] == "store.writable");
    assert!(line["refused"].as_u64().unwrap() > REFUSED as u64, "{line}");
    assert_eq!((lines(&server, "store.readonly"), lines(&server, "store.writable")), (1, 1));
    assert!(server.terminate().success());
    Ledger::open(&server.database()).audit();
}

#[test]
fn whatever_fails_under_eight_writers_each_change_is_made_once_and_in_its_order() {
    const WRITERS: usize = 8;
    // A log of every refusal would soon meet the limit itself.
    let mut server = Server::with(&[("LOG_LEVEL", "error")]);
    let drafts: Vec<_> = (0..WRITERS).map(|_| server.create_draft("alice")).collect();
    let enough = AtomicBool::new(false);
    let written: Vec<Vec<String>> = thread::scope(|scope| {
        let (server, enough) = (&server, &enough);
        let write = |draft_id| {
            move || {
                let mut written = Vec::new();
                while !enough.load(Ordering::Relaxed) {
                    let content = format!("number {}", written.len());
                    // What is refused is tried again with the same key, as the answer says.
                    wait_for(|| match append(server, draft_id, &content) {
                        answer if answer.status == 200 => Some(()),
                        answer => {
                            let code = answer.expect_error(503).0;
                            assert!(["storage_readonly", "storage_unavailable"].contains(&code.as_str()), "{code}");
                            None
                        }
                    });
                    written.push(content);
                }
                written
            }
        };
        let writers: Vec<_> = drafts.iter().map(|draft_id| scope.spawn(write(draft_id))).collect();
        for _ in 0..3 {
            limit_files(server, Some(log_bytes(server)));
            wait_for(|| (server.get("/readyz").status == 503).then_some(()));
            limit_files(server, None);
            wait_for(|| (server.get("/readyz").status == 200).then_some(()));
        }
        enough.store(true, Ordering::Relaxed);
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    for (draft_id, written) in drafts.iter().zip(&written) {
        assert_eq!(&contents(&read(&server, draft_id).expect(200)), written);
    }
    // What is in the file by then is what was answered, whatever the log has been through.
    server.kill();
    Ledger::open(&server.database()).audit();
    server.launch();
    for (draft_id, written) in drafts.iter().zip(&written) {
        assert_eq!(&contents(&read(&server, draft_id).expect(200)), written);
    }
}

#[test]
fn a_full_disk_gives_up_its_reserve_and_has_it_back_when_there_is_room() {
    let Some(before) = small_disk("data") else { return };
    let server = Server::after(&[("RESERVE_FILE_BYTES", "2097152")], &before);
    let data = on_small_disk(&server, "data");
    let (filler, reserve) = (data.join("filler"), data.join("inkring.db.reserve"));
    assert_eq!(fs::metadata(&reserve).unwrap().len(), 2_097_152);
    let fill = || {
        let mut file = File::options().create(true).append(true).open(&filler).unwrap();
        while file.write(&[b'x'; 4096]).is_ok_and(|written| written > 0) {}
    };
    let draft_id = server.create_draft("alice");
    append(&server, &draft_id, "one").expect(200);
    let mut socket = Socket::watch(&server, &draft_id, "alice");
    // There may be some room left in pages already taken; and what the reserve gave back has to be filled as well, or
    // the server helps itself.
    let mut made = vec!["one".to_owned()];
    wait_for(|| {
        fill();
        let content = format!("more {}", made.len());
        let answer = append(&server, &draft_id, &content);
        if answer.status == 200 {
            made.push(content);
            return None;
        }
        // A disk that is full is met before the commit, so it is known that nothing was changed.
        assert_refused(&answer);
        fill();
        (!reserve.exists() && server.get("/readyz").status == 503).then_some(())
    });
    assert_unready(&server, "the disk is full");
    assert_eq!(contents(&read(&server, &draft_id).expect(200)), made);
    for _ in 1..made.len() {
        assert_eq!(socket.json()["type"], "collab.segment_added");
    }
    pings(&mut socket);

    fs::remove_file(&filler).unwrap();
    wait_for(|| (server.get("/readyz").status == 200).then_some(()));
    assert_eq!(fs::metadata(&reserve).unwrap().len(), 2_097_152);
    made.push("last".to_owned());
    append(&server, &draft_id, "last").expect(200);
    assert_eq!(contents(&read(&server, &draft_id).expect(200)), made);
    // The disk is gone with the process, so it is looked at while it is there.
    fs::copy(data.join("inkring.db"), server.directory.path().join("copy.db")).unwrap();
    fs::copy(data.join("inkring.db-wal"), server.directory.path().join("copy.db-wal")).unwrap();
    Ledger::open(&server.directory.path().join("copy.db")).audit();
}

/// Stops the server, does this to its database, and starts it again.
fn tamper(server: &mut Server, change: impl FnOnce(&Connection)) {
    assert!(server.terminate().success());
    let database = Connection::open(server.database()).unwrap();
    database.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    change(&database);
    database.close().unwrap();
    server.launch();
}

/// A draft with three segments, a pass, a collaborator, and their events.
fn full_draft(server: &Server) -> String {
    let draft_id = server.create_draft("alice");
    for content in ["first", "second", "third"] {
        append(server, &draft_id, content).expect(200);
    }
    let path = format!("/v1/collab/drafts/{draft_id}");
    server.post_as("alice", &format!("{path}/collaborators?collaborator_id=bob"), &json!({})).expect(200);
    for (from, to) in [("alice", "bob"), ("bob", "alice")] {
        let body = json!({ "to_user_id": to, "idempotency_key": from });
        server.post_as(from, &format!("{path}/pass-ring"), &body).expect(200);
    }
    draft_id
}

#[test]
fn a_draft_whose_rows_are_damaged_is_500_and_everything_else_goes_on() {
    let mut server = Server::start();
    let sound = full_draft(&server);
    let damages = [
        "DELETE FROM draft_segments WHERE draft = ?1 AND segment_order = 1",
        "DELETE FROM draft_segments WHERE draft = ?1 AND segment_order = 2",
        "UPDATE drafts SET segment_count = 2 WHERE id = ?1",
        "UPDATE drafts SET pass_count = 3 WHERE id = ?1",
        "DELETE FROM draft_collaborators WHERE draft = ?1 AND user_id = 'bob'",
        "UPDATE draft_segments SET content = x'ff00' WHERE draft = ?1 AND segment_order = 1",
        "UPDATE draft_segments SET content = CAST(x'ff00' AS TEXT) WHERE draft = ?1 AND segment_order = 1",
        "UPDATE draft_segments SET created_at = 'yesterday' WHERE draft = ?1 AND segment_order = 1",
    ];
    let drafts: Vec<_> = damages.iter().map(|_| full_draft(&server)).collect();
    tamper(&mut server, |database| {
        // A column that holds what it does not say takes a schema that says nothing.
        let strict = |from: &str, to: &str| {
            database.execute_batch("PRAGMA writable_schema = ON").unwrap();
            let sql = "UPDATE sqlite_schema SET sql = replace(sql, ?1, ?2) WHERE name = 'draft_segments'";
            assert_eq!(database.execute(sql, [from, to]).unwrap(), 1);
            database.execute_batch("PRAGMA writable_schema = RESET").unwrap();
        };
        strict(") STRICT", ") /*STRICT*/");
        for (draft_id, damage) in drafts.iter().zip(damages) {
            let sql = damage.replace("?1", "(SELECT id FROM drafts WHERE draft_id = ?1)");
            // The head names itself; the others ask for its row.
            let sql = sql.replace("WHERE id = (SELECT id", "WHERE id IN (SELECT id");
            assert_eq!(database.execute(&sql, [draft_id]).unwrap(), 1, "{damage}");
        }
        strict(") /*STRICT*/", ") STRICT");
    });
    for (draft_id, damage) in drafts.iter().zip(damages) {
        let before = lines(&server, "draft.damaged");
        let (code, message) = match damage.contains("segment_count = 2") {
            // It looks sound until the next segment finds its place taken.
            true => append(&server, draft_id, "fourth").expect_error(500),
            false => read(&server, draft_id).expect_error(500),
        };
        assert_eq!((code.as_str(), message.as_str()), ("internal_error", "Unexpected error"), "{damage}");
        let line = server.wait_for_log(|line| line["message"] == "draft.damaged" && line["draft_id"] == **draft_id);
        assert_eq!(line["level"], "ERROR", "{line}");
        // It takes no changes either, and is reported once.
        append(&server, draft_id, "fourth").expect_error(500);
        server.wait_for_log(|line| {
            line["draft_id"] == **draft_id && line["context"].as_str().is_some_and(|text| text.contains("is damaged"))
        });
        assert_eq!(lines(&server, "draft.damaged"), before + 1);
        // Its neighbour is none the worse.
        append(&server, &sound, damage).expect(200);
        assert_eq!(contents(&read(&server, &sound).expect(200)).last().map(String::as_str), Some(damage));
    }
    let list = server.get_as("alice", "/v1/collab/drafts").expect(200);
    let mut unreadable = drafts.clone();
    let looks_sound = unreadable.remove(2);
    unreadable.reverse();
    assert_eq!(list["unreadable"], json!(unreadable), "newest first");
    let listed: Vec<_> = list["data"].as_array().unwrap().iter().map(|draft| draft["draft_id"].clone()).collect();
    assert_eq!(listed, [json!(sound), json!(looks_sound)]);
    assert_eq!(list["count"], 2);
    server.get("/readyz").expect(200);
    assert_eq!(lines(&server, "store.readonly"), 0);
}

#[test]
fn damaged_events_end_the_reading_of_their_log_only() {
    let mut server = Server::start();
    let sound = full_draft(&server);
    let damages = [
        "UPDATE events SET type = 'collab.renamed' WHERE draft = ?1 AND seq = 3",
        "DELETE FROM events WHERE draft = ?1 AND seq = 3",
    ];
    let drafts: Vec<_> = damages.iter().map(|_| full_draft(&server)).collect();
    tamper(&mut server, |database| {
        for (draft_id, damage) in drafts.iter().zip(damages) {
            let sql = damage.replace("?1", "(SELECT id FROM drafts WHERE draft_id = ?1)");
            assert!(database.execute(&sql, [draft_id]).unwrap() > 0, "{damage}");
        }
    });
    for draft_id in &drafts {
        assert_eq!(events(&server, draft_id).expect_error(500).0, "internal_error");
        let path = format!("{}?since=0", crate::support::socket::path(draft_id));
        let (frame, mut socket) = Socket::open_as(&server, &path, "alice");
        assert_eq!((&frame["type"], &frame["code"]), (&json!("error"), &json!("internal_error")));
        socket.assert_closed(1011, "Unexpected error");
        read(&server, draft_id).expect(200);
    }
    assert_eq!(events(&server, &sound).expect(200)["to"], 7);
    let (_, mut socket) = Socket::watch_since(&server, &sound, "alice", 7);
    assert_eq!(socket.json()["type"], "resumed");
    append(&server, &sound, "fourth").expect(200);
    assert_eq!(socket.json()["seq"], 8);
}

#[test]
fn a_broken_page_is_an_error_of_the_drafts_on_it_only() {
    const SEGMENTS: usize = 60;
    // A page of segments is met by who reads them, one of keys by the change that looks for its own.
    for on_page in ["brittle", "frail"] {
        let mut server = Server::start();
        let (sound, broken) = (server.create_draft("alice"), server.create_draft("alice"));
        let append_again = |server: &Server, number: usize| {
            let content = format!("{number} {}", "brittle".repeat(60));
            let key = format!("{number} {}", "frail".repeat(40));
            let path = format!("/v1/collab/drafts/{broken}/segments");
            server.post_as("alice", &path, &json!({ "content": content, "idempotency_key": key }))
        };
        for number in 0..SEGMENTS {
            append_again(&server, number).expect(200);
        }
        append(&server, &sound, "sound one").expect(200);
        assert!(server.terminate().success());
        // In the middle of the tree: an insertion beside a page may look into that page.
        break_page(&server, on_page, &format!("35 {on_page}"));
        server.launch();
        let damaged = (0..SEGMENTS).find(|number| append_again(&server, *number).status == 500);
        let damaged = damaged.expect("some change meets the page");
        append_again(&server, damaged).expect_error(500);
        append(&server, &sound, "sound two").expect(200);
        assert_eq!(contents(&read(&server, &sound).expect(200)), ["sound one", "sound two"]);
        if on_page == "brittle" {
            assert_eq!(read(&server, &broken).expect_error(500).0, "internal_error");
            let list = server.get_as("alice", "/v1/collab/drafts").expect(200);
            assert_eq!((&list["count"], &list["unreadable"]), (&json!(1), &json!([broken])));
        }
        server.get("/readyz").expect(200);
        assert_eq!((lines(&server, "draft.damaged"), lines(&server, "store.readonly")), (1, 0));
    }
}

/// Makes the page of the database that is full of this and has this entry none that SQLite knows.
fn break_page(server: &Server, full_of: &str, entry: &str) {
    const PAGE: usize = 4096;
    let mut file = File::options().read(true).write(true).open(server.database()).unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    let count = |page: &[u8], what: &str| page.windows(what.len()).filter(|part| *part == what.as_bytes()).count();
    let fits = |page: &[u8]| count(page, full_of) * full_of.len() > PAGE / 2 && count(page, entry) == 1;
    let at = bytes.chunks(PAGE).position(fits).expect("a leaf of one draft only");
    file.seek(SeekFrom::Start((at * PAGE) as u64)).unwrap();
    file.write_all(&[0xff]).unwrap();
}
