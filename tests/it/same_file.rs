//! A database is a file and not a name (decision 0027): whoever comes to it by another name meets the server that has it,
//! and a server whose file is taken away takes no more changes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::process::Process;
use crate::support::{PATIENCE, Server, inkring, wait_for};

fn append(server: &Server, draft_id: &str, content: &str) -> crate::support::Answer {
    let body = json!({ "content": content, "idempotency_key": content });
    server.post_as("alice", &format!("/v1/collab/drafts/{draft_id}/segments"), &body)
}

fn contents(server: &Server, draft_id: &str) -> Vec<String> {
    let draft = server.get_as("alice", &format!("/v1/collab/drafts/{draft_id}")).expect(200);
    let segments = draft["data"]["segments"].as_array().unwrap().clone();
    segments.iter().map(|segment| segment["content"].as_str().unwrap().to_owned()).collect()
}

/// What a start on this database says, which must not come up.
#[track_caller]
fn refused(server: &Server, database: &str) -> String {
    let mut command = server.command();
    command.env("DATABASE_URL", format!("sqlite:{database}")).env("OPS_ADDR", "off");
    let mut process = Process::spawn(command.stdout(Stdio::null()).stderr(Stdio::piped())).unwrap();
    let status = process.wait(PATIENCE).unwrap().expect("it started, and was not to");
    assert!(!status.success());
    let output = command.output().unwrap();
    String::from_utf8(output.stderr).unwrap()
}

#[track_caller]
fn verb_fails(directory: &Path, database: &str, verb: &[&str]) -> String {
    let output = inkring(directory).env("DATABASE_URL", format!("sqlite:{database}")).args(verb).output().unwrap();
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn backup_of(server: &Server) -> PathBuf {
    let made = inkring(server.directory.path()).args(["backup", "--to", "kept"]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    server.directory.path().join(String::from_utf8(made.stdout).unwrap().lines().next().unwrap())
}

#[test]
fn a_running_server_is_met_by_whatever_name_its_database_is_called() {
    let mut server = Server::absent(&[]);
    let directory = server.directory.path().to_owned();
    let at = |name: &str| directory.join(name);
    // The database lies on another disk, and a link leads there.
    fs::create_dir_all(at("data")).unwrap();
    fs::create_dir(at("disk")).unwrap();
    server.launch();
    let draft_id = server.create_draft("alice");
    append(&server, &draft_id, "one").expect(200);
    assert!(server.terminate().success());
    let backup = backup_of(&server);
    fs::rename(server.database(), at("disk/inkring.db")).unwrap();
    fs::remove_file(at("data/inkring.db.lock")).unwrap();
    fs::remove_file(at("data/inkring.db.reserve")).unwrap_or_default();
    symlink("../disk/inkring.db", server.database()).unwrap();
    symlink("disk/inkring.db", at("third.db")).unwrap();
    server.launch();
    append(&server, &draft_id, "two").expect(200);
    let pid = server.pid();
    for name in ["disk/inkring.db", "third.db", "data/inkring.db"] {
        let said = refused(&server, name);
        assert!(said.contains(&format!("in use by another inkring (process {pid})")), "{name}: {said}");
        let said = verb_fails(server.directory.path(), name, &["restore", backup.to_str().unwrap()]);
        assert!(said.contains(&format!("in use by another inkring (process {pid})")), "{name}: {said}");
    }
    for beside in ["inkring.db-wal", "inkring.db.lock", "inkring.db.reserve"] {
        assert!(at("disk").join(beside).exists() && !at("data").join(beside).exists(), "{beside}");
    }
    append(&server, &draft_id, "three").expect(200);
    server.kill();
    // At rest it is restored where it really lies, and the link still leads there.
    let restored = inkring(server.directory.path()).args(["restore", backup.to_str().unwrap()]).output().unwrap();
    assert!(restored.status.success(), "{restored:?}");
    assert!(server.database().is_symlink());
    server.launch();
    assert_eq!(contents(&server, &draft_id), ["one"]);
}

#[test]
fn a_hard_link_or_a_removed_lock_does_not_make_room_for_a_second_server() {
    let mut server = Server::start();
    let draft_id = server.create_draft("alice");
    append(&server, &draft_id, "one").expect(200);
    assert!(server.terminate().success());
    let backup = backup_of(&server);
    server.launch();
    let hard = server.directory.path().join("hard.db");
    let pid = server.pid();
    fs::hard_link(server.database(), &hard).unwrap();
    let says = format!("in use by another inkring (process {pid})");
    let said = refused(&server, "hard.db");
    assert!(said.contains(&says) && said.contains("another name"), "{said}");
    let said = verb_fails(server.directory.path(), "hard.db", &["restore", backup.to_str().unwrap()]);
    assert!(said.contains(&says), "{said}");
    fs::remove_file(server.directory.path().join("data/inkring.db.lock")).unwrap();
    let said = refused(&server, "data/inkring.db");
    assert!(said.contains(&says) && said.contains(".lock was removed"), "{said}");
    let said = verb_fails(server.directory.path(), "data/inkring.db", &["restore", backup.to_str().unwrap()]);
    assert!(said.contains(&says), "{said}");
    append(&server, &draft_id, "two").expect(200);
    assert!(server.terminate().success());
    // Two names are two logs: which of them counts nobody can know later.
    let said = refused(&server, "data/inkring.db");
    assert!(said.contains("has 2 names (hard links)") && said.contains("-samefile"), "{said}");
    fs::remove_file(hard).unwrap();
    server.launch();
    assert_eq!(contents(&server, &draft_id), ["one", "two"]);
}

#[test]
fn a_link_to_a_disk_that_is_not_there_does_not_become_a_new_database() {
    let server = Server::absent(&[]);
    fs::create_dir_all(server.directory.path().join("disk")).unwrap();
    fs::create_dir_all(server.directory.path().join("data")).unwrap();
    symlink("../disk/inkring.db", server.database()).unwrap();
    let said = refused(&server, "data/inkring.db");
    assert!(said.contains("which does not exist; mount the disk"), "{said}");
    assert!(!server.directory.path().join("disk/inkring.db").exists());
}

#[track_caller]
fn assert_displaced(server: &Server, draft_id: &str) {
    // Without a change, and at once.
    let unready = server.get("/readyz");
    assert_eq!(unready.expect_error(503).0, "storage_readonly");
    assert_eq!(unready.json()["detail"], "database read-only: its files were moved, removed or replaced");
    for content in ["two", "three"] {
        let (code, message) = append(server, draft_id, content).expect_error(503);
        assert_eq!((code.as_str(), message.contains("nothing was changed")), ("storage_readonly", true), "{message}");
    }
    server.get("/healthz").expect(200);
    assert_eq!(contents(server, draft_id), ["one"]);
}

#[test]
fn a_log_removed_under_the_server_ends_changes_and_loses_none_that_was_acknowledged() {
    let mut server = Server::start();
    let draft_id = server.create_draft("alice");
    append(&server, &draft_id, "one").expect(200);
    server.get("/readyz").expect(200);
    fs::remove_file(server.database().with_extension("db-wal")).unwrap();
    assert_displaced(&server, &draft_id);
    let line = server.wait_for_log(|line| line["message"] == "store.readonly");
    let error = line["error"].as_str().unwrap();
    assert!(error.contains("inkring.db-wal has been moved or removed") && error.contains("start it again"), "{line}");
    server.kill();
    server.launch();
    assert_eq!(contents(&server, &draft_id), ["one"]);
    append(&server, &draft_id, "four").expect(200);
}

#[test]
fn a_database_moved_or_replaced_under_the_server_ends_changes_until_it_is_back() {
    let server = Server::start();
    let draft_id = server.create_draft("alice");
    append(&server, &draft_id, "one").expect(200);
    let aside = server.database().with_file_name("aside.db");
    fs::rename(server.database(), &aside).unwrap();
    assert_displaced(&server, &draft_id);
    fs::write(server.database(), fs::read(&aside).unwrap()).unwrap();
    assert_displaced(&server, &draft_id);
    fs::rename(&aside, server.database()).unwrap();
    wait_for(|| (server.get("/readyz").status == 200).then_some(()));
    append(&server, &draft_id, "four").expect(200);
    assert_eq!(contents(&server, &draft_id), ["one", "four"]);
}

#[test]
fn a_directory_moved_under_an_idle_server_is_found_by_the_housekeeper() {
    let server = Server::with(&[("HOUSEKEEPING_SECONDS", "1")]);
    let data = server.directory.path().join("data");
    fs::rename(&data, server.directory.path().join("elsewhere")).unwrap();
    let line: Value = server.wait_for_log(|line| line["message"] == "store.readonly");
    assert_eq!(line["reason"], "its files were moved, removed or replaced");
    fs::rename(server.directory.path().join("elsewhere"), &data).unwrap();
    server.wait_for_log(|line| line["message"] == "store.writable");
}
