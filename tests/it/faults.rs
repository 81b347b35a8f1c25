//! When the storage fails: changes are refused and everything else goes on, until it works again (decision 0009). The
//! faults are real ones, of the system that the server runs on.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};

use crate::support::ledger::Ledger;
use crate::support::socket::{PING, Socket};
use crate::support::{Answer, Server, wait_for};

/// From now on the server can make no file longer than this; every write beyond fails.
fn limit_files(server: &Server, bytes: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(server.pid()).unwrap());
    let maximum = prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap().maximum;
    assert_eq!(maximum, None, "only the soft limit is ours to raise again");
}

fn log_bytes(server: &Server) -> u64 {
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

/// A shell's way to put a small file system under the database, and whether this machine lets anyone do so.
const SMALL_DISK: &str = "mkdir -p data && mount -t tmpfs -o size=16m tmpfs data";

fn disks_can_be_made() -> bool {
    let directory = tempfile::tempdir().unwrap();
    let made = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "/bin/sh", "-c", SMALL_DISK])
        .current_dir(directory.path())
        .stderr(Stdio::null())
        .status();
    made.is_ok_and(|status| status.success())
}

#[test]
fn a_full_disk_gives_up_its_reserve_and_has_it_back_when_there_is_room() {
    if !disks_can_be_made() {
        let skipped = b"skipped: no small file system can be mounted here (unshare --user --mount)\n";
        std::io::stderr().write_all(skipped).unwrap();
        return;
    }
    let before = format!(
        "[ -n \"$APART\" ] || {{ APART=1 exec unshare --user --map-root-user --mount /bin/sh -c '{SMALL_DISK}; exec \"$0\" \
         \"$@\"' \"$0\" \"$@\"; }}"
    );
    let server = Server::after(&[("RESERVE_FILE_BYTES", "2097152")], &before);
    let data = PathBuf::from(format!("/proc/{}/root", server.pid()))
        .join(server.directory.path().strip_prefix("/").unwrap())
        .join("data");
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
