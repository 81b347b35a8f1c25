//! Backups of a running server, and what becomes of them (decision 0012).

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use inkring::clock::{Clock, Timestamp};
use rusqlite::Connection;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};

use crate::support::ledger::Ledger;
use crate::support::{Server, hold_writer, inkring, wait_for};

/// The housekeeper makes the first backup after a second.
const SOON: [(&str, &str); 2] = [("BACKUP_DIR", "backups"), ("HOUSEKEEPING_SECONDS", "1")];

fn run(directory: &Path, settings: &[(&str, &str)], verb: &[&str]) -> Output {
    inkring(directory).envs(settings.iter().copied()).args(verb).output().unwrap()
}

#[track_caller]
fn succeeds(directory: &Path, settings: &[(&str, &str)], verb: &[&str]) -> String {
    let output = run(directory, settings, verb);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn fails(directory: &Path, settings: &[(&str, &str)], verb: &[&str], code: i32) -> String {
    let output = run(directory, settings, verb);
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn append(server: &Server, draft_id: &str, content: &str) -> Value {
    let body = json!({ "content": content, "idempotency_key": content });
    server.post_as("alice", &format!("/v1/collab/drafts/{draft_id}/segments"), &body).expect(200)
}

fn get(server: &Server, draft_id: &str) -> Vec<u8> {
    let answer = server.get_as("alice", &format!("/v1/collab/drafts/{draft_id}"));
    answer.expect(200);
    answer.body
}

fn segments(body: &[u8]) -> Vec<Value> {
    let draft: Value = serde_json::from_slice(body).unwrap();
    draft["data"]["segments"].as_array().unwrap().clone()
}

/// The backup that the log tells of.
fn made(server: &Server) -> PathBuf {
    let line = server.wait_for_log(|line| line["message"] == "backup.done");
    server.directory.path().join("backups").join(line["name"].as_str().unwrap())
}

fn manifest(backup: &Path) -> Value {
    serde_json::from_slice(&fs::read(format!("{}.json", backup.display())).unwrap()).unwrap()
}

/// A directory with a database, a backup of it that lacks the last append, and nobody who serves it.
fn left_behind() -> (Server, String, PathBuf) {
    let mut server = Server::start();
    let draft_id = server.create_draft("alice");
    append(&server, &draft_id, "one");
    assert!(server.terminate().success());
    fs::write(server.directory.path().join("notes"), "mine").unwrap();
    let refused = fails(server.directory.path(), &[], &["backup", "--to", "notes"], 1);
    let why = "notes: Not a directory (os error 20); backups need a directory that inkring can write to";
    assert!(refused.contains(why), "{refused}");
    let said = succeeds(server.directory.path(), &[], &["backup", "--to", "backups"]);
    let backup = server.directory.path().join(said.lines().next().unwrap());
    server.launch();
    append(&server, &draft_id, "two");
    assert!(server.terminate().success());
    (server, draft_id, backup)
}

/// As if no backup had ever been made, nor tried.
fn forget_backups(server: &Server) {
    fs::remove_dir_all(server.directory.path().join("backups")).unwrap_or_default();
    fs::write(server.directory.path().join("server.log"), "").unwrap();
}

#[test]
fn a_backup_made_under_load_has_what_was_acknowledged_and_brings_it_back_to_the_byte() {
    let mut server = Server::with(&SOON);
    let drafts: Vec<_> = (0..4).map(|_| server.create_draft("alice")).collect();
    assert!(server.terminate().success());
    forget_backups(&server);
    server.launch();
    let enough = AtomicBool::new(false);
    // Each draft as it was answered after each append, and when each segment was written.
    let seen: Vec<Vec<(String, Vec<u8>)>> = thread::scope(|scope| {
        let (server, enough) = (&server, &enough);
        let writers: Vec<_> = drafts
            .iter()
            .map(|draft_id| {
                scope.spawn(move || {
                    let mut seen = Vec::new();
                    while !enough.load(Ordering::Relaxed) {
                        append(server, draft_id, &format!("number {}", seen.len()));
                        let body = get(server, draft_id);
                        let last = segments(&body).pop().unwrap();
                        seen.push((last["created_at"].as_str().unwrap().to_owned(), body));
                    }
                    seen
                })
            })
            .collect();
        made(server);
        enough.store(true, Ordering::Relaxed);
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let backup = made(&server);
    server.kill();
    let manifest = manifest(&backup);
    let newest = manifest["newest_change"].as_str().unwrap();
    fs::remove_dir_all(server.directory.path().join("data")).unwrap();
    let said = succeeds(server.directory.path(), &[], &["restore", backup.to_str().unwrap()]);
    assert!(said.contains("is now data/inkring.db") && said.contains("there was no database before"), "{said}");
    server.launch();
    let mut total = 0;
    for (draft_id, seen) in drafts.iter().zip(&seen) {
        let body = get(&server, draft_id);
        let count = segments(&body).len();
        // Times have six digits after the point or none, and sort as text does but for that.
        let acknowledged =
            seen.iter().filter(|(at, _)| *at.trim_end_matches("+00:00") < *newest.trim_end_matches("+00:00"));
        assert!(count >= acknowledged.count(), "{draft_id}: {count} segments");
        if count > 0 {
            assert!(body == seen[count - 1].1, "{draft_id} is as it was after {count} segments");
        }
        total += count;
    }
    assert_eq!(manifest["rows"]["draft_segments"], total);
    append(&server, &drafts[0], "and on it goes");
    assert!(server.terminate().success());
    Ledger::open(&server.database()).audit();
}

#[test]
fn while_a_server_runs_nothing_is_restored_and_backups_go_to_its_private_plane() {
    let server = Server::with(&SOON);
    let draft_id = server.create_draft("alice");
    let backup = made(&server);
    append(&server, &draft_id, "one");
    for verb in [&["restore", backup.to_str().unwrap()][..], &["restore", "--check", backup.to_str().unwrap()]] {
        let said = fails(server.directory.path(), &[], verb, 1);
        assert!(said.contains(&format!("in use by another inkring (process {})", server.pid())), "{said}");
    }
    let said = fails(server.directory.path(), &[], &["backup", "--to", "elsewhere"], 1);
    assert!(said.contains(&format!("process {} has the database open", server.pid())), "{said}");
    assert!(said.contains("private plane") && said.contains("OPS_ADDR"), "{said}");
    assert_eq!(segments(&get(&server, &draft_id)).len(), 1);
    assert!(!server.directory.path().join("elsewhere").exists());
}

#[test]
fn a_restore_moves_the_old_database_aside_as_one_set_and_says_what_was_newer() {
    let (mut server, draft_id, backup) = left_behind();
    let here = server.directory.path().to_owned();
    server.launch();
    let other = server.create_draft("bob");
    server.kill();
    let file = backup.to_str().unwrap();
    let bytes = fs::read(server.database()).unwrap();
    let said = succeeds(&here, &[], &["restore", "--check", file]);
    assert!(said.contains("nothing was changed") && said.contains("newer in the old one: 2"), "{said}");
    assert_eq!(fs::read(server.database()).unwrap(), bytes);
    let said = succeeds(&here, &[], &["restore", file]);
    assert!(said.contains(&format!("    {draft_id}  3 events, 2 in the backup\n")), "{said}");
    assert!(said.contains(&format!("    {other}  1 events, not in the backup\n")), "{said}");
    let old = said.split("the old database is ").nth(1).unwrap().split(',').next().unwrap().to_owned();
    assert!(here.join(format!("{old}-wal")).exists(), "with its log");
    server.launch();
    assert_eq!(segments(&get(&server, &draft_id)).len(), 1);
    assert_eq!(server.get_as("bob", &format!("/v1/collab/drafts/{other}")).status, 404);
    assert!(server.terminate().success());

    // The way back is the same, with what was in the log.
    let said = succeeds(&here, &[], &["restore", &old]);
    assert!(said.contains("nothing was newer in the old one") && said.contains("no manifest"), "{said}");
    server.launch();
    assert_eq!(segments(&get(&server, &draft_id)).len(), 2);
    server.get_as("bob", &format!("/v1/collab/drafts/{other}")).expect(200);
}

#[test]
fn a_flipped_byte_or_a_missing_end_is_found_and_not_restored() {
    let (server, _, backup) = left_behind();
    let here = server.directory.path();
    let file = backup.to_str().unwrap();
    let good = fs::read(&backup).unwrap();
    let before = fs::read(server.database()).unwrap();
    assert!(succeeds(here, &[], &["verify", file]).starts_with("the backup is good\n"));
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    let describes = manifest(&backup);
    let mut counted = describes.clone();
    counted["rows"]["drafts"] = json!(2);
    let described = PathBuf::from(format!("{file}.json"));
    // What a copy of a running server's file is, while all that was written is still in its log.
    let bare = here.join("bare.db");
    rusqlite::Connection::open(&bare).unwrap().pragma_update(None, "journal_mode", "wal").unwrap();
    let bare = fs::read(bare).unwrap();
    assert!(!bare.is_empty());
    for (bytes, manifest, says) in [
        (&flipped[..], Some(&describes), "the file has another SHA-256 than its manifest says"),
        (&good[..good.len() - 4096], Some(&describes), "bytes, and its manifest says"),
        (&good[..good.len() / 2], None, "malformed"),
        (&good[..], Some(&counted), "rows of drafts: 1, and its manifest says 2"),
        (b"", None, "it is empty"),
        (&bare[..], None, "it has no tables"),
        (b"these are my notes", None, "it is not an inkring database: it is not an SQLite file"),
    ] {
        fs::write(&backup, bytes).unwrap();
        match manifest {
            Some(manifest) => fs::write(&described, manifest.to_string()).unwrap(),
            None => fs::remove_file(&described).unwrap_or_default(),
        }
        for verb in [&["verify", file][..], &["restore", file], &["restore", "--check", file]] {
            let said = fails(here, &[], verb, 3);
            assert!(said.contains(says), "{verb:?}: {said}");
        }
    }
    assert_eq!(fs::read(server.database()).unwrap(), before);
    for verb in ["verify", "restore"] {
        assert!(fails(here, &[], &[verb, "nowhere.db"], 1).contains("nowhere.db: No such file"));
    }
    assert!(fails(here, &[], &["restore", "data/inkring.db"], 1).contains("the database itself"));
    fs::write(&backup, &good).unwrap();
    let connection = Connection::open(&backup).unwrap();
    connection.pragma_update(None, "user_version", 1000).unwrap();
    drop(connection);
    assert!(fails(here, &[], &["restore", file], 3).contains("it has schema version 1000"));
    let said = fails(here, &[("DATABASE_URL", &format!("sqlite:{file}"))], &["backup", "--to", "elsewhere"], 1);
    assert!(said.contains("run the newer inkring") && !said.contains("damaged"), "{said}");
}

#[test]
fn a_backup_that_cannot_be_written_is_told_and_stops_nothing() {
    let mut server = Server::with(&SOON);
    let draft_id = server.create_draft("alice");
    assert!(server.terminate().success());
    forget_backups(&server);
    // No file may become longer than this, and the database is already.
    server.then_after("ulimit -S -f 117");
    server.launch();
    let line = server.wait_for_log(|line| line["message"] == "backup.failed");
    let error = line["error"].as_str().unwrap();
    assert!(error.contains("backups") && error.contains("could not be copied"), "{error}");
    let pid = Pid::from_raw(i32::try_from(server.pid()).unwrap());
    prlimit(pid, Resource::Fsize, Rlimit { current: None, maximum: None }).unwrap();
    append(&server, &draft_id, "one");
    let there = server.directory.path().join("backups");
    assert_eq!(fs::read_dir(&there).unwrap().count(), 0, "what was begun is gone");
    let body = server.get("/readyz?verbose=1").expect(200);
    let warns = json!({
        "name": "backup", "ok": false, "age_seconds": null, "warning": "the last attempt failed; the log says why",
    });
    assert_eq!(body["checks"].as_array().unwrap().last(), Some(&warns));
    assert!(server.terminate().success());

    // A file is where the directory should be.
    server.then_after("true");
    fs::remove_dir(&there).unwrap();
    fs::write(&there, "").unwrap();
    server.launch();
    let failed =
        |line: &Value| line["message"] == "backup.failed" && line["error"].to_string().contains("can write to");
    server.wait_for_log(failed);
    append(&server, &draft_id, "two");
    let said =
        fails(server.directory.path(), &[("DATABASE_URL", "sqlite:other.db")], &["backup", "--to", "backups"], 1);
    assert!(said.contains("there is no database at other.db; set DATABASE_URL to where it is"), "{said}");
}

#[test]
fn backups_that_are_too_old_are_removed_and_a_restart_makes_no_new_one_before_its_time() {
    let mut server = Server::with(&SOON);
    let backup = made(&server);
    assert!(server.terminate().success());
    let there = backup.parent().unwrap().to_owned();
    // One that is so little too old that the time since the last run explains it, and two that are not.
    let older = [30 * 86_400 + 1800, 2 * 86_400, 86_400].map(|seconds| {
        let at = Timestamp(Clock::system().now().0 - seconds * 1_000_000);
        let name = format!("inkring-{}.db", at.compact());
        fs::copy(&backup, there.join(&name)).unwrap();
        let mut described = manifest(&backup);
        described["name"] = json!(name);
        described["created_at"] = json!(at.offset_style().to_string());
        fs::write(there.join(format!("{name}.json")), described.to_string()).unwrap();
        name
    });
    fs::write(there.join("mine.db"), "mine").unwrap();
    server.launch();
    let line = server.wait_for_log(|line| line["message"] == "backup.removed");
    assert_eq!(line["name"], older[0]);
    wait_for(|| (fs::read_dir(&there).unwrap().count() == 7).then_some(()));
    assert!(backup.exists() && there.join("mine.db").exists() && !there.join(&older[0]).exists());
    let ready = server.get("/readyz?verbose=1").expect(200);
    let mut checks = ready["checks"].as_array().unwrap().iter();
    let age = checks.find(|check| check["name"] == "backup").unwrap()["age_seconds"].as_u64();
    assert!(age.is_some(), "a restart knows of the backup");
    assert_eq!(server.log().matches("backup.done").count(), 1);
}

/// Someone who has the database open and is no server.
fn hold(directory: &Path) -> File {
    fs::create_dir_all(directory.join("data")).unwrap();
    let mut lock = File::create(directory.join("data/inkring.db.lock")).unwrap();
    lock.try_lock().unwrap();
    lock.write_all(b"4711\n").unwrap();
    lock
}

/// A private plane that is asked once.
fn plane(answer: Vec<u8>) -> (String, thread::JoinHandle<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let (mut asked, mut chunk) = (Vec::new(), [0; 1024]);
        while !asked.ends_with(b"\r\n\r\n") {
            let count = stream.read(&mut chunk).unwrap();
            asked.extend_from_slice(&chunk[..count]);
        }
        stream.write_all(&answer).unwrap();
        String::from_utf8(asked).unwrap()
    });
    (address, asked)
}

#[test]
fn a_running_server_is_asked_for_its_backup() {
    let (server, _, backup) = left_behind();
    let here = server.directory.path();
    let _lock = hold(here);
    let described = manifest(&backup).to_string();
    let good = fs::read(&backup).unwrap();
    let answer = |status: &str, headers: &str, length: usize, body: &[u8]| {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n");
        [head.as_bytes(), body].concat()
    };
    let ask = |bytes: Vec<u8>, verb: &[&str]| {
        let (address, asked) = plane(bytes);
        let settings = [("OPS_ADDR", address.as_str()), ("OPS_TOKEN", "sixteen bytes or more")];
        (run(here, &settings, verb), asked.join().unwrap())
    };
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();

    let (output, asked) = ask(answer("200 OK", "", described.len(), described.as_bytes()), &["backup"]);
    assert!(output.status.success(), "{output:?}");
    assert!(asked.starts_with("POST /backup HTTP/1.0\r\n"), "{asked}");
    assert!(asked.contains("\r\nAuthorization: Bearer sixteen bytes or more\r\n"), "{asked}");
    let said = text(output.stdout);
    assert!(said.contains(backup.file_name().unwrap().to_str().unwrap()) && said.contains("BACKUP_DIR"), "{said}");

    let header = format!("x-backup-manifest: {described}\r\n");
    let (output, asked) = ask(answer("200 OK", &header, good.len(), &good), &["backup", "--to", "elsewhere"]);
    assert!(output.status.success(), "{output:?}");
    assert!(asked.starts_with("GET /backup HTTP/1.0\r\n"), "{asked}");
    let taken = here.join("elsewhere").join(backup.file_name().unwrap());
    assert!(fs::read(&taken).unwrap() == good);
    assert_eq!(manifest(&taken), manifest(&backup));
    assert_eq!(fs::metadata(&taken).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(succeeds(here, &[], &["verify", taken.to_str().unwrap()]).starts_with("the backup is good\n"));

    let mut flipped = good.clone();
    // Where nothing is read: behind the entries of the map of pages.
    flipped[2 * 4096 - 1] ^= 1;
    let error = r#"{"error":{"code":"backup_under_way","message":"a backup is already in progress"}}"#;
    let public = r#"{"error":{"code":"not_found","message":"Not Found"}}"#;
    let strange = header.replace("inkring-2", "../inkring-2");
    for (bytes, says) in [
        (answer("200 OK", &header, good.len(), &flipped), "SHA-256 is not what its manifest says"),
        (answer("200 OK", &header, good.len(), &good[..good.len() / 2]), "broke off"),
        (answer("200 OK", "", good.len(), &good), "there is no x-backup-manifest"),
        (answer("200 OK", &strange, good.len(), &good), "names a file that is not a backup"),
        (
            answer("409 Conflict", "", error.len(), error.as_bytes()),
            "backup_under_way: a backup is already in progress",
        ),
        (answer("401 Unauthorized", "", 0, b""), "set OPS_TOKEN"),
        (answer("404 Not Found", "", 0, b""), "is OPS_ADDR the private plane of an inkring?"),
        (answer("404 Not Found", "", public.len(), public.as_bytes()), "is OPS_ADDR the private plane of an inkring?"),
        (b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), "is not HTTP"),
    ] {
        let (output, _) = ask(bytes, &["backup", "--to", "third"]);
        let said = text(output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(says), "{says}: {said}");
    }
    assert!(fs::read_dir(here.join("third")).unwrap().next().is_none(), "what is not whole is not kept");
    let gone = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().to_string();
    let said = fails(here, &[("OPS_ADDR", &gone)], &["backup"], 1);
    assert!(said.contains("process 4711") && said.contains("does not answer") && said.contains("OPS_ADDR"), "{said}");
}

/// Where the private plane of a server listens.
fn plane_of(server: &Server) -> String {
    let line = server.wait_for_log(|line| line["message"] == "ops.started");
    line["address"].as_str().unwrap().to_owned()
}

#[test]
fn a_server_makes_the_backups_that_it_is_asked_for_and_only_of_its_own_database() {
    let token = ("OPS_TOKEN", "sixteen bytes or more");
    for address in ["127.0.0.1:0", "unix:ops.sock"] {
        // By itself it makes none.
        let settings = [("BACKUP_DIR", "backups"), ("BACKUP_INTERVAL_HOURS", "0"), ("OPS_ADDR", address), token];
        let server = Server::with(&settings);
        let here = server.directory.path();
        let address = plane_of(&server);
        let settings = [("BACKUP_DIR", "backups"), ("OPS_ADDR", address.as_str()), token];
        let draft_id = server.create_draft("alice");
        append(&server, &draft_id, "one");

        let said = succeeds(here, &settings, &["backup"]);
        let kept = here.join(said.lines().next().unwrap());
        assert!(kept.starts_with(here.join("backups")) && said.contains("\n  drafts         1\n"), "{said}");
        assert_eq!(manifest(&kept)["rows"]["draft_segments"], 1);
        assert!(succeeds(here, &[], &["verify", kept.to_str().unwrap()]).starts_with("the backup is good\n"));

        append(&server, &draft_id, "two");
        let said = succeeds(here, &settings, &["backup", "--to", "elsewhere"]);
        let taken = here.join(said.lines().next().unwrap());
        assert!(taken.starts_with(here.join("elsewhere")), "{said}");
        assert_eq!(manifest(&taken)["rows"]["draft_segments"], 2);
        assert!(succeeds(here, &[], &["verify", taken.to_str().unwrap()]).starts_with("the backup is good\n"));
        assert_eq!(fs::read_dir(here.join("backups")).unwrap().count(), 2, "what was sent is not kept as well");
        server.wait_for_log(|line| line["message"] == "backup.made_to_send");
        assert_eq!(server.log().matches("\"backup.done\"").count(), 1);

        let tokenless = [settings[0], settings[1]];
        for verb in [&["backup"][..], &["backup", "--to", "third"]] {
            assert!(fails(here, &tokenless, verb, 1).contains("set OPS_TOKEN to the server's"));
        }
        // Another server has this database, and has no plane.
        let other = Server::start();
        let there = match address.strip_prefix("unix:") {
            Some(path) => format!("unix:{}", here.join(path).display()),
            None => address.clone(),
        };
        for verb in [&["backup"][..], &["backup", "--to", "third"]] {
            let said = fails(other.directory.path(), &[("OPS_ADDR", &there), token], verb, 1);
            assert!(said.contains(&format!("This is process {}", server.pid())), "{said}");
            assert!(said.contains("set OPS_ADDR to that of the server that has it"), "{said}");
        }
        assert!(!here.join("third").exists() && !other.directory.path().join("third").exists());
        assert_eq!(fs::read_dir(here.join("backups")).unwrap().count(), 2);
    }
}

#[test]
fn sigusr1_makes_a_backup_and_what_comes_of_it_is_always_in_the_log() {
    let settings = [("BACKUP_DIR", "backups"), ("BACKUP_INTERVAL_HOURS", "0"), ("OPS_ADDR", "unix:ops.sock")];
    let mut server = Server::with(&settings);
    server.create_draft("alice");
    let there = server.directory.path().join("backups");
    thread::scope(|scope| {
        let held = hold_writer(&server.database());
        let asked = scope.spawn(|| run(server.directory.path(), &settings, &["backup"]));
        wait_for(|| fs::read_dir(&there).is_ok_and(|mut begun| begun.next().is_some()).then_some(()));
        server.signal("USR1");
        let line = server.wait_for_log(|line| line["message"] == "backup.not_begun");
        assert!(line["reason"].as_str().unwrap().contains("already in progress"), "{line}");
        drop(held);
        assert!(asked.join().unwrap().status.success());
    });
    // Its line comes behind its answer, and shall not be taken for the next one's.
    made(&server);
    forget_backups(&server);
    server.signal("USR1");
    let backup = made(&server);
    assert_eq!(manifest(&backup)["rows"]["drafts"], 1);
    assert!(succeeds(server.directory.path(), &[], &["verify", backup.to_str().unwrap()]).starts_with("the backup is"));
    assert!(server.terminate().success());

    let server = Server::start();
    server.signal("USR1");
    let line = server.wait_for_log(|line| line["message"] == "backup.not_begun");
    assert!(line["reason"].as_str().unwrap().contains("BACKUP_DIR is not set"), "{line}");
    server.get("/readyz").expect(200);
}

/// Puts a database of the first version where the server's is, with one draft in it.
fn of_the_first_version(server: &Server) {
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", server.database().display()));
    }
    let connection = Connection::open(server.database()).unwrap();
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").unwrap();
    connection.execute_batch(include_str!("../data/schema-1.sql")).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    connection.pragma_update(None, "application_id", 0x696e_6b72).unwrap();
    let draft = "INSERT INTO drafts VALUES (1, 'old', 'a', 'Before', 'x', 'active', 'a', 0, 0, 0, 1, 10, 10, 10); \
                 INSERT INTO draft_collaborators VALUES (1, 1, 'a', 'owner', 10); \
                 INSERT INTO events VALUES (1, 1, 1, 'collab.draft_created', '{}', 'r', 10)";
    connection.execute_batch(draft).unwrap();
}

fn version(path: &Path) -> i32 {
    Connection::open(path).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

#[test]
fn before_a_database_is_brought_up_to_date_there_is_a_good_backup_of_it_as_it_was() {
    let mut server = Server::with(&[("BACKUP_DIR", "kept"), ("BACKUP_INTERVAL_HOURS", "0")]);
    let kept = server.directory.path().join("kept");
    let backups = || {
        fs::read_dir(&kept).map_or(0, |found| {
            found.filter(|name| name.as_ref().unwrap().path().extension().is_some_and(|end| end == "db")).count()
        })
    };
    assert!(server.terminate().success());
    assert_eq!(backups(), 0, "a new one, and one that is up to date, need none");
    of_the_first_version(&server);

    // No room to write to, so the start is refused, and nothing is changed.
    fs::write(&kept, "a file").unwrap();
    let refused = server.command().stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!((refused.status.code(), version(&server.database())), (Some(1), 1), "{said}");
    for part in ["has schema version 1", "needs a backup first, and that failed", "kept", "unset BACKUP_DIR"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    fs::remove_file(&kept).unwrap();

    server.launch();
    let done = server.wait_for_log(|line| line["message"] == "backup.done");
    let migrated = server.wait_for_log(|line| line["message"] == "store.migrated");
    assert!(done["ts"].as_str() <= migrated["ts"].as_str() && done["from"] == 1, "{done} {migrated}");
    let backup = kept.join(done["name"].as_str().unwrap());
    assert_eq!((version(&backup), manifest(&backup)["rows"]["drafts"].clone(), backups()), (1, 1.into(), 1));
    succeeds(server.directory.path(), &[], &["verify", backup.to_str().unwrap()]);
    assert!(server.terminate().success());

    // The way back, and a start that has one already.
    succeeds(server.directory.path(), &[], &["restore", backup.to_str().unwrap()]);
    server.launch();
    server.wait_for_log(|line| line["message"] == "backup.found_before_migration");
    assert_eq!(backups(), 1);
    server.get("/v1/collab/drafts/old").expect(200);
    assert!(server.terminate().success());
    server.launch();
    assert_eq!((backups(), server.log().matches("store.migrated").count()), (1, 2));
}

#[test]
fn without_a_place_for_backups_a_database_is_brought_up_to_date_and_the_log_says_that_there_is_none() {
    let mut server = Server::start();
    assert!(server.terminate().success());
    of_the_first_version(&server);
    server.launch();
    let line = server.wait_for_log(|line| line["message"] == "backup.none_before_migration");
    assert_eq!((&line["level"], &line["from"]), (&"WARN".into(), &1.into()));
    assert!(line["remedy"].as_str().unwrap().contains("BACKUP_DIR"));
    server.get("/v1/collab/drafts/old").expect(200);
}

#[test]
fn without_a_server_a_database_of_an_older_version_is_backed_up_as_it_is() {
    let mut server = Server::start();
    assert!(server.terminate().success());
    let here = server.directory.path().to_owned();
    of_the_first_version(&server);
    assert!(fails(&here, &[], &["backup"], 1).contains("BACKUP_DIR"));
    let said = succeeds(&here, &[], &["backup", "--to", "before/the upgrade"]);
    let backup = here.join(said.lines().next().unwrap());
    assert_eq!(manifest(&backup)["schema_version"], 1);
    assert_eq!(version(&server.database()), 1);
    succeeds(&here, &[], &["verify", backup.to_str().unwrap()]);
    succeeds(&here, &[], &["restore", backup.to_str().unwrap()]);
    server.launch();
    server.create_draft("alice");
    assert!(server.terminate().success());
    assert!(version(&server.database()) > 1, "the start brings it up to date");
}

#[test]
fn the_file_of_a_running_server_is_no_backup() {
    let server = Server::start();
    server.create_draft("alice");
    let (here, live) = (server.directory.path(), server.database());
    let live = live.to_str().unwrap();
    let says = format!("process {} has it open: it is the database of a running server, not a backup", server.pid());
    let output = run(here, &[], &["verify", live]);
    let [said, complaints] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(output.status.code() == Some(3) && complaints.contains(&says), "{complaints}");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "THE BACKUP IS NOT GOOD");
    assert!(!said.contains(&says), "once is enough: {said}");
    let elsewhere = [("DATABASE_URL", "sqlite:elsewhere/inkring.db")];
    assert!(fails(here, &elsewhere, &["restore", live], 3).contains(&says));
    assert!(!here.join("elsewhere/inkring.db").exists());
}

#[test]
fn a_restore_killed_at_any_instant_leaves_the_old_or_the_new_database_whole() {
    let (mut server, draft_id, backup) = left_behind();
    let file = backup.to_str().unwrap().to_owned();
    for wait_ms in [0, 1, 2, 3, 4, 5, 6, 8, 10, 14, 20, 60] {
        let mut restore = inkring(server.directory.path());
        let mut restore = restore.args(["restore", &file]).stdout(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(wait_ms));
        restore.kill().unwrap();
        restore.wait().unwrap();
        server.launch();
        let count = segments(&get(&server, &draft_id)).len();
        assert!([1, 2].contains(&count), "{count} segments");
        if count == 1 {
            append(&server, &draft_id, &format!("two, after {wait_ms} ms"));
        }
        server.kill();
    }
    let data = fs::read_dir(server.directory.path().join("data")).unwrap();
    let left = data.filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().contains(".restoring-2"));
    assert_eq!(left.count(), 0, "what was decided was finished");
}
