//! File systems that have less than a disk of this machine has, as shares and sticks do: what they lack costs no backup, and is
//! called by its name. A failing disk is something else.
//!
//! A library that is loaded before the C library refuses to sync directories, as CIFS and some FUSE mounts do.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use crate::support::{Server, inkring, needs, preload};

/// `fsync` of a directory below `UNSYNCED` fails with the error of the number `UNSYNCED_ERROR`.
const LIBRARY: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int fsync(int file) {
  struct stat found;
  char link[64], path[4096] = {0};
  const char *below = getenv("UNSYNCED");
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  if (below && !fstat(file, &found) && S_ISDIR(found.st_mode) && readlink(link, path, sizeof path - 1) > 0 && strstr(path, below)) {
    errno = atoi(getenv("UNSYNCED_ERROR"));
    return -1;
  }
  return syscall(SYS_fsync, file);
}
"#;

const EINVAL: &str = "22";
const EIO: &str = "5";

#[track_caller]
fn library() -> Option<&'static str> {
    static BUILT: OnceLock<Option<String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| Some(preload::build("unsynced", LIBRARY)?.display().to_string()));
    if built.is_none() {
        needs::skip("a C compiler");
    }
    built.as_deref()
}

/// Exit code, standard output and standard error of a verb, where directories called so cannot be synced.
fn verb(here: &Path, library: &str, (below, error): (&str, &str), words: &[&str]) -> (Option<i32>, String, String) {
    let mut command = inkring(here);
    command.env("LD_PRELOAD", library).env("UNSYNCED", below).env("UNSYNCED_ERROR", error);
    command.env("LISTEN_ADDR", "127.0.0.1:0");
    let output = command.args(words).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn backups(directory: &Path) -> usize {
    let names = fs::read_dir(directory).map(|found| found.map(|entry| entry.unwrap().path()).collect::<Vec<_>>());
    names.unwrap_or_default().iter().filter(|path| path.extension().is_some_and(|end| end == "db")).count()
}

#[test]
fn a_share_that_cannot_sync_directories_has_backups_and_one_warning() {
    let Some(library) = library() else { return };
    let settings =
        [("LD_PRELOAD", library), ("UNSYNCED", "/stick"), ("UNSYNCED_ERROR", EINVAL), ("BACKUP_DIR", "stick")];
    let mut server = Server::with(&settings);
    server.create_draft("alice");
    let here = server.directory.path().to_owned();
    let made = |count| {
        server.signal("USR1");
        crate::support::wait_for(|| (backups(&here.join("stick")) == count).then_some(()));
    };
    let before = backups(&here.join("stick"));
    made(before + 1);
    let line = server.wait_for_log(|line| line["message"] == "backup.name_not_synced");
    assert_eq!(
        (&line["level"], line["reason"].to_string().contains("cannot sync directories")),
        (&"WARN".into(), true)
    );
    server.wait_for_log(|line| line["message"] == "backup.done");
    made(before + 2);
    assert!(server.terminate().success());
    let log = server.log();
    assert_eq!((log.matches("backup.name_not_synced").count(), log.matches("backup.failed").count()), (1, 0), "{log}");

    let (code, out, err) = verb(&here, library, ("/other", EINVAL), &["backup", "--to", "other"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("  note: the file system there cannot sync directories"), "{out}");
    let backup = here.join(out.lines().next().unwrap());
    assert_eq!(verb(&here, library, ("/other", EINVAL), &["verify", backup.to_str().unwrap()]).0, Some(0));
    let (code, out, _) = verb(&here, library, ("/nowhere", EINVAL), &["backup", "--to", "third"]);
    assert_eq!((code, out.contains("note:")), (Some(0), false), "{out}");
}

#[test]
fn a_directory_that_fails_to_be_synced_has_no_backup() {
    let Some(library) = library() else { return };
    let mut server = Server::start();
    server.create_draft("alice");
    assert!(server.terminate().success());
    let here = server.directory.path();
    let (code, _, err) = verb(here, library, ("/other", EIO), &["backup", "--to", "other"]);
    assert_eq!((code, backups(&here.join("other"))), (Some(1), 0));
    assert!(err.contains("Input/output error") && err.contains("check that disk"), "{err}");
    assert!(!err.contains("may write to"), "{err}");
}

#[test]
fn a_database_where_directories_cannot_be_synced_is_refused_by_that_name() {
    let Some(library) = library() else { return };
    let mut server = Server::start();
    server.create_draft("alice");
    assert!(server.terminate().success());
    let here = server.directory.path();
    let (_, out, _) = verb(here, library, ("/nowhere", EINVAL), &["backup", "--to", "kept"]);
    let backup = out.lines().next().unwrap();
    let says = "is on a file system that cannot sync directories (Invalid argument";
    for words in [&["serve"][..], &["restore", backup]] {
        let (code, _, err) = verb(here, library, ("/data", EINVAL), words);
        assert_eq!(code, Some(1), "{err}");
        assert!(err.contains(says) && err.contains("set DATABASE_URL to a file on a local disk"), "{err}");
    }
    // What is there can still be taken away from it.
    assert_eq!(verb(here, library, ("/data", EINVAL), &["backup", "--to", "rescued"]).0, Some(0));
}
