use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::mpsc::channel;

use super::check::verify;
use super::error::TAKEN_MAX;
use super::options::Options;
use super::partial::SAME_SECOND_MAX;
use super::restore::{RestoreError, restore};
use super::running::{Backups, Fact, Streamed};
use super::*;
use crate::audit;
use crate::clock::Timestamp;
use crate::observe::metrics::Metrics;
use crate::store::testing::Deaf;
use crate::store::{Migration, Schema, Writer, run_chore};

const HOUR: i64 = 3_600_000_000;
const FILLED: Migration = Migration { version: 2, sql: "CREATE TABLE filled (id TEXT UNIQUE, text TEXT) STRICT;" };
const INSERT: &str = "INSERT INTO filled VALUES (hex(randomblob(16)), printf('%.*c', 1000, '#'))";

fn schema() -> Schema {
    Schema::of(&[store::MIGRATIONS, &[FILLED], audit::MIGRATIONS])
}

/// A writer on a database with a hundred rows, and backups of it once a day.
fn house(here: &Path, clock: &Clock) -> (Writer, Backups) {
    let database = here.join("a.db");
    let writer = Writer::start(store::open(&database, &schema()).unwrap(), 16, Arc::new(Deaf), clock.clone()).unwrap();
    for _ in 0..100 {
        run_chore(&writer.handle(), |tx| tx.change(INSERT, &[])).unwrap();
    }
    let (directory, every) = (Some(here.join("backups")), Some(Duration::from_secs(24 * 3600)));
    let options = Options { database, directory, every, keep: None };
    let backups = Backups::new(writer.handle(), schema(), Arc::new([]), options, clock.clone());
    (writer, backups)
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_backup_is_one_private_file_with_its_manifest_and_verifies() {
    let directory = tempfile::tempdir().unwrap();
    let (writer, backups) = house(directory.path(), &Clock::manual(Timestamp(1_766_484_000_123_456)));
    let report = backups.now().unwrap();
    let second = backups.now().unwrap();
    let there = directory.path().join("backups");
    let (one, two) = ("inkring-20251223T100000Z", "inkring-20251223T100000Z-2");
    let all = [format!("{two}.db"), format!("{two}.db.json"), format!("{one}.db"), format!("{one}.db.json")];
    assert_eq!(names(&there), all);
    for name in all {
        assert_eq!(std::fs::metadata(there.join(name)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(report.path, there.join(format!("{one}.db")));
    assert_eq!(Manifest::beside(&report.path), Ok(Some(report.manifest.clone())));
    assert_eq!(report.manifest.rows["filled"], 100);
    for report in [report, second] {
        let checked = verify(&report.path, &schema()).unwrap();
        assert_eq!(checked.problems, [""; 0]);
        assert_eq!((checked.sha256, checked.schema_version), (report.manifest.sha256, Some(schema().version())));
    }
    drop(backups);
    writer.stop();
}

#[test]
fn a_second_one_at_the_same_time_is_refused_and_a_stop_ends_the_first() {
    let directory = tempfile::tempdir().unwrap();
    let (writer, backups) = house(directory.path(), &Clock::system());
    let (told, begun) = channel();
    let (go, wait) = channel::<()>();
    let handle = writer.handle();
    let held = std::thread::spawn(move || {
        run_chore(&handle, move |_| {
            told.send(()).unwrap();
            wait.recv().unwrap();
            Ok(0)
        })
    });
    begun.recv().unwrap();
    let first = backups.clone();
    let first = std::thread::spawn(move || first.now());
    while writer.handle().view().queued() == 0 {
        std::thread::yield_now();
    }
    assert!(matches!(backups.now(), Err(BackupError::UnderWay)));
    backups.stop();
    go.send(()).unwrap();
    held.join().unwrap().unwrap();
    assert!(matches!(first.join().unwrap(), Err(BackupError::Stopping)));
    assert!(matches!(backups.now(), Err(BackupError::Stopping)));
    assert_eq!(names(&directory.path().join("backups")), [""; 0]);
    assert_eq!(backups.last().failures, 0, "neither was an attempt that failed");
    drop(backups);
    writer.stop();
}

#[test]
fn so_many_copies_are_taken_away_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let (writer, backups) = house(directory.path(), &Clock::system());
    let mut taken: Vec<_> = (0..TAKEN_MAX).map(|_| backups.stream().unwrap()).collect();
    assert!(matches!(backups.stream(), Err(BackupError::Taken)));
    assert!(backups.now().is_ok(), "those that stay are another matter");
    taken.pop();
    assert!(backups.stream().is_ok());
    drop((taken, backups));
    writer.stop();
}

#[test]
fn one_to_take_away_has_no_name_and_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let (writer, backups) = house(directory.path(), &Clock::system());
    let Streamed { mut file, manifest } = backups.stream().unwrap();
    let there = directory.path().join("backups");
    assert_eq!(names(&there), [""; 0]);
    assert!(backups.last().success.is_none(), "it is not one of those in BACKUP_DIR");
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    let path = receive(&there, &manifest, &mut bytes.as_slice(), &schema(), &[]).unwrap().0.path;
    assert_eq!(verify(&path, &schema()).unwrap().problems, [""; 0]);
    let second = receive(&there, &manifest, &mut bytes.as_slice(), &schema(), &[]).unwrap().0.path;
    let number = second.display().to_string();
    assert!(number.ends_with("Z-2.db") && second != path, "both of one second are kept: {number}");
    assert_eq!(verify(&second, &schema()).unwrap().problems, [""; 0]);
    assert_eq!(Manifest::beside(&second).unwrap().unwrap().name, second.file_name().unwrap().to_str().unwrap());
    let other = Manifest { name: "inkring-20000101T000000Z.db".to_owned(), ..manifest };
    bytes[5000] ^= 1;
    assert!(receive(&there, &other, &mut bytes.as_slice(), &schema(), &[]).is_err());
    let error = receive(&there, &other, &mut &bytes[..4096], &schema(), &[]).unwrap_err().to_string();
    assert!(error.contains("damaged") || error.contains("malformed"), "{error}");
    assert_eq!(names(&there).len(), 4, "what is not good is not kept");
    drop(backups);
    writer.stop();
}

#[test]
fn what_a_killed_one_has_left_is_removed_by_the_next_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let (writer, backups) = house(directory.path(), &Clock::manual(Timestamp(HOUR)));
    let there = directory.path().join("backups");
    std::fs::create_dir(&there).unwrap();
    let left = "inkring-20251223T100000Z.db";
    for name in [
        format!(".{left}.partial"),
        format!(".{left}.partial-wal"),
        format!(".{left}.partial.json"),
        format!("{left}.json"),
    ] {
        std::fs::write(there.join(name), "half").unwrap();
    }
    // One of them was killed when its files had their name already.
    for name in [format!(".{left}.partial.files"), format!("{left}.files")] {
        std::fs::create_dir_all(there.join(name).join("media/ab")).unwrap();
    }
    let others = [".hidden.partial", "inkring-20251224T100000Z.db", "inkring-20251224T100000Z.db.json", "notes.txt"];
    for name in others {
        std::fs::write(there.join(name), "mine").unwrap();
    }
    backups.now().unwrap();
    let kept: Vec<_> = names(&there).into_iter().filter(|name| !name.contains("19700101")).collect();
    assert_eq!(kept, others);
    drop(backups);
    writer.stop();
}

#[test]
fn the_next_one_is_due_by_the_newest_manifest_also_after_a_restart_and_a_failure_is_tried_again_later() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::manual(Timestamp(1_000 * HOUR));
    let (writer, backups) = house(directory.path(), &clock);
    let fact = |age: Option<i64>, warning: Option<&str>| {
        let age = age.map(|hours| Duration::from_secs(hours as u64 * 3600));
        Some(Fact { age, warning: warning.map(str::to_owned) })
    };
    assert!(backups.due(), "there is none");
    assert_eq!(backups.fact(), fact(None, None));
    backups.now().unwrap();
    assert!(!backups.due());
    clock.advance(23 * HOUR);
    let options = backups.shared.options.clone();
    drop(backups);
    let backups = Backups::new(writer.handle(), schema(), Arc::new([]), options.clone(), clock.clone());
    assert_eq!((backups.due(), backups.fact()), (false, fact(Some(23), None)));
    clock.advance(HOUR);
    assert!(backups.due());
    // A file where the directory was.
    let there = directory.path().join("backups");
    std::fs::rename(&there, directory.path().join("elsewhere")).unwrap();
    std::fs::write(&there, "").unwrap();
    let error = backups.now().unwrap_err().to_string();
    assert!(error.contains("backups") && error.contains("can write to"), "{error}");
    assert_eq!(backups.fact(), fact(Some(24), Some("the last attempt failed; the log says why")));
    assert!(!backups.due(), "not at once");
    clock.advance(HOUR);
    assert!(backups.due());
    std::fs::remove_file(&there).unwrap();
    std::fs::rename(directory.path().join("elsewhere"), &there).unwrap();
    let again = Backups::new(writer.handle(), schema(), Arc::new([]), options, clock.clone());
    clock.advance(24 * HOUR);
    assert_eq!(again.fact(), fact(Some(49), Some("the newest is 49 hours old")));
    backups.now().unwrap();
    assert_eq!(backups.fact(), fact(Some(0), None));
    // What this process made is as old as the time that has passed, wherever the clock goes.
    for jump in [-50, 50 * 24 * 365, -50 * 24 * 365] {
        clock.set(jump * HOUR);
        assert_eq!((backups.due(), backups.fact()), (false, fact(Some(0), None)), "{jump}");
    }
    clock.advance(23 * HOUR);
    assert!(!backups.due());
    clock.advance(HOUR);
    assert!(backups.due(), "a clock that was set back does not put it off for ever");
    drop((backups, again));
    writer.stop();
}

#[test]
fn there_are_only_so_many_in_a_second() {
    let directory = tempfile::tempdir().unwrap();
    let at = Timestamp(1_766_484_000_000_000);
    let begun = |number| {
        std::fs::write(directory.path().join(manifest::name(at, number)), "").unwrap();
        Partial::create(directory.path(), at)
    };
    assert!((1..SAME_SECOND_MAX).all(|number| begun(number).is_ok()));
    assert!(matches!(begun(SAME_SECOND_MAX), Err(BackupError::File { .. })));
}

#[test]
fn a_backup_that_is_dated_in_the_future_is_no_proof_of_anything() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::manual(Timestamp(1_766_484_000_000_000));
    let (writer, backups) = house(directory.path(), &clock);
    backups.now().unwrap();
    clock.advance(400 * 24 * HOUR);
    backups.now().unwrap();
    clock.set(-350 * 24 * HOUR);
    let options = backups.shared.options.clone();
    let again = Backups::new(writer.handle(), schema(), Arc::new([]), options.clone(), clock.clone());
    let age = Some(Duration::from_secs(50 * 86_400));
    let fact = Fact { age, warning: Some("the newest is 1200 hours old".to_owned()) };
    assert_eq!((again.due(), again.fact()), (true, Some(fact)), "the one before it is");
    clock.set(-60 * 24 * HOUR);
    let metrics = Metrics::default();
    again.show(&metrics);
    let fact = Fact { age: None, warning: Some("the newest is dated in the future".to_owned()) };
    assert_eq!((again.due(), again.fact()), (true, Some(fact)));
    assert!(metrics.encode().contains("\ninkring_backup_last_success_timestamp_seconds 0.0\n"), "{}", metrics.encode());
    let fact = again.fact();
    let loaded = Backups::new(writer.handle(), schema(), Arc::new([]), options, clock);
    assert_eq!((loaded.due(), loaded.fact()), (true, fact), "where there is no other");
    drop((backups, again, loaded, metrics));
    writer.stop();
}

#[test]
fn a_disk_without_room_for_it_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    check_room(directory.path(), 1).unwrap();
    let error = check_room(directory.path(), u64::MAX / 2).unwrap_err().to_string();
    assert!(error.contains("bytes free and the copy needs") && error.contains("free some space"), "{error}");
}

#[test]
fn a_copy_of_a_damaged_database_is_no_backup() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let (writer, backups) = house(directory.path(), &Clock::system());
    let options = backups.shared.options.clone();
    drop(backups);
    writer.stop();
    let mut bytes = std::fs::read(&path).unwrap();
    let full = |page: &[u8]| page.iter().filter(|byte| **byte == b'#').count() > 2900;
    let at = bytes.chunks(4096).position(full).unwrap() * 4096;
    bytes[at] = 0xff;
    std::fs::write(&path, bytes).unwrap();
    let writer = Writer::start(store::open(&path, &schema()).unwrap(), 16, Arc::new(Deaf), Clock::system()).unwrap();
    let backups = Backups::new(writer.handle(), schema(), Arc::new([]), options, Clock::system());
    let error = backups.now().unwrap_err();
    assert!(matches!(error, BackupError::Damaged(_) | BackupError::Unchecked(_)), "{error}");
    assert_eq!(names(&directory.path().join("backups")), [""; 0]);
    assert_eq!((backups.last().failures, backups.last().unsound), (1, 1));
    run_chore(&writer.handle(), |tx| tx.change("UPDATE probe SET probed_at = 1", &[])).unwrap();
    drop(backups);
    writer.stop();
}

#[test]
fn a_chain_of_the_audit_log_that_is_broken_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let (writer, backups) = house(directory.path(), &Clock::system());
    let path = backups.now().unwrap().path;
    std::fs::remove_file(manifest::path_beside(&path)).unwrap();
    store::testing::vandalise(
        &path,
        "INSERT INTO audit_events (id, ts, action, prev_hash, hash) VALUES (1, 0, 'x', zeroblob(32), zeroblob(32))",
    );
    let problems = verify(&path, &schema()).unwrap().problems;
    assert!(problems.len() == 1 && problems[0].starts_with("the audit log is not intact: "), "{problems:?}");
    drop(backups);
    writer.stop();
}

#[test]
fn a_restore_that_cannot_be_finished_says_so_and_the_next_start_finishes_it() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("a.db");
    let now = Timestamp(1_766_484_000_123_456);
    let (writer, backups) = house(directory.path(), &Clock::manual(now));
    let backup = backups.now().unwrap().path;
    run_chore(&writer.handle(), |tx| tx.change(INSERT, &[])).unwrap();
    drop(backups);
    writer.stop();
    // Where one of the old files should go.
    let in_the_way = directory.path().join("a.db.before-20251223T100000Z-journal");
    std::fs::create_dir(&in_the_way).unwrap();
    std::fs::write(directory.path().join("a.db-journal"), "").unwrap();
    let error = restore(&backup, &database, &schema(), &[], now, false, |_, _| Ok(())).unwrap_err();
    assert!(matches!(error, RestoreError::Unfinished { .. }), "{error}");
    assert!(store::open(&database, &schema()).is_err(), "neither of the two is opened meanwhile");
    std::fs::remove_dir(&in_the_way).unwrap();
    let store = store::open(&database, &schema()).unwrap();
    drop(store);
    let rows = |path: &Path| verify(path, &schema()).unwrap().rows["filled"];
    assert_eq!((rows(&database), rows(&directory.path().join("a.db.before-20251223T100000Z"))), (100, 101));
}
