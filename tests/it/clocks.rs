//! A wall clock that is years off for a while: nothing that cannot be made again is lost by it, nothing is taken for newer
//! or older than it is, and times come back to it when it is right (decision 0026).
//!
//! The wall clock of a real process is moved by a library that is loaded before the C library ([`Moved`]); elapsed time is
//! not. Where an hour has to pass, the server runs in this process, with a clock that is moved by hand.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use inkring::clock::{Clock, HOUR_MICROS, SECOND_MICROS};
use inkring::config::{self, Sources};
use inkring::features::FEATURES;
use inkring::observe::LogHandle;
use inkring::systemd::{Inherited, Notify};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::yjs::typed;
use crate::support::{Client, Server, inkring, needs, preload, wait_for};

/// Adds the seconds in a file to what the wall clock shows.
const LIBRARY: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long moved_by(void) {
  static int file = -1;
  char text[32] = {0};
  if (file < 0) file = open(getenv("MOVED_CLOCK"), O_RDONLY | O_CLOEXEC);
  return file >= 0 && pread(file, text, sizeof text - 1, 0) > 0 ? atol(text) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *at) {
  int failed = syscall(SYS_clock_gettime, clock, at);
  if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) at->tv_sec += moved_by();
  return failed;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  at->tv_sec = now.tv_sec;
  at->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *at) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (at) *at = now.tv_sec;
  return now.tv_sec;
}
"#;

const DAY: i64 = 86_400;
const YEAR: i64 = 365 * DAY;

/// The library, built once; nothing where there is no C compiler.
#[track_caller]
fn library() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let built = BUILT.get_or_init(|| preload::build("moved-clock", LIBRARY));
    if built.is_none() {
        needs::skip("a C compiler");
    }
    built.as_deref()
}

/// The wall clock of processes that are told of it.
struct Moved {
    _directory: tempfile::TempDir,
    file: File,
    settings: [(String, String); 2],
}

impl Moved {
    #[track_caller]
    fn new() -> Option<Self> {
        let library = library()?.display().to_string();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("seconds");
        let file = File::create(&path).unwrap();
        let path = path.display().to_string();
        let settings = [("LD_PRELOAD".to_owned(), library), ("MOVED_CLOCK".to_owned(), path)];
        let moved = Self { _directory: directory, file, settings };
        moved.by(0);
        Some(moved)
    }

    /// In one write, so that nobody reads half of it.
    fn by(&self, seconds: i64) {
        self.file.write_all_at(format!("{seconds:<24}").as_bytes(), 0).unwrap();
    }

    fn server(&self, settings: &[(&str, &str)]) -> Server {
        let moved = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Server::with(&moved.chain(settings.iter().copied()).collect::<Vec<_>>())
    }
}

/// Everything that is removed by age, and soon.
const KEPT: [(&str, &str); 6] = [
    ("AUDIT_ENABLED", "true"),
    ("AUDIT_RETENTION_DAYS", "90"),
    ("HOUSEKEEPING_SECONDS", "1"),
    ("BACKUP_DIR", "backups"),
    ("BACKUP_KEEP_DAYS", "30"),
    ("METRICS_PUBLIC", "true"),
];
const SEGMENTS: &str = "/v1/collab/drafts/{}/segments";

fn append(server: &Server, draft: &str, key: &str) -> Value {
    let body = json!({ "content": key, "idempotency_key": key });
    server.post_as("alice", &SEGMENTS.replace("{}", draft), &body).expect(200)
}

/// How many segments say this.
fn segments(draft: &Value, content: &str) -> usize {
    draft["data"]["segments"].as_array().unwrap().iter().filter(|segment| segment["content"] == content).count()
}

fn count(database: &Path, table: &str) -> i64 {
    let database = Connection::open(database).unwrap();
    database.query_row(&format!("SELECT count(*) FROM {table}"), (), |row| row.get(0)).unwrap()
}

fn backups(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory.join("backups")).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(".db"));
    names.sort_unstable();
    names
}

/// Waits until the housekeeper has been all the way round once more: each round notes the newest row of the audit log.
fn a_round_passes(server: &Server, draft: &str, key: &str) {
    for key in [key.to_owned(), format!("{key}, and again")] {
        append(server, draft, &key);
        let head = count(&server.database(), "audit_events");
        server.wait_for_log(|line| line["message"] == "audit.head" && line["id"] == head);
    }
}

/// What `/readyz` says of this; it says that the server is ready.
fn check(server: &Server, name: &str) -> Value {
    let ready = server.get("/readyz?verbose=1").expect(200);
    ready["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap().clone()
}

fn metric(server: &Server, name: &str) -> f64 {
    let metrics = server.get("/metrics");
    let line = metrics.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    line.unwrap_or_else(|| panic!("{name} is not in {}", metrics.text()))
}

/// How often the last run of the server has logged this.
fn logged(server: &Server, message: &str) -> usize {
    let log = server.log();
    let lines = log.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.take_while(|line| line["message"] != "server.started").filter(|line| line["message"] == message).count()
}

/// A server that has made a backup on each of these days, and a change on the first and the last of them.
fn with_a_past(moved: &Moved, days: &[i64]) -> (Server, String) {
    moved.by(days[0] * DAY);
    let mut server = moved.server(&KEPT);
    let draft = server.create_draft("alice");
    append(&server, &draft, "one");
    for (made, day) in days.iter().enumerate() {
        moved.by(day * DAY);
        if made > 0 {
            server.signal("USR1");
        }
        wait_for(|| (server.log().matches("\"backup.done\"").count() == made + 1).then_some(()));
    }
    append(&server, &draft, "two");
    assert!(server.terminate().success());
    (server, draft)
}

/// What there is to lose: backups, rows of the audit log, and keys.
fn treasures(server: &Server) -> (Vec<String>, i64, i64) {
    let database = server.database();
    (backups(server.directory.path()), count(&database, "audit_events"), count(&database, "idempotency_keys"))
}

/// Nothing of that is gone; one backup more may have been made, because the newest looked old.
#[track_caller]
fn nothing_is_lost(server: &Server, (made, rows, keys): &(Vec<String>, i64, i64), changes: i64) {
    let (left, rows_left, keys_left) = treasures(server);
    assert!(made.iter().all(|name| left.contains(name)) && left.len() <= made.len() + 1, "{left:?} of {made:?}");
    assert_eq!((rows_left, keys_left), (rows + changes, keys + changes));
}

#[test]
fn seconds_in_another_year_destroy_nothing() {
    let Some(moved) = Moved::new() else { return };
    let (mut server, draft) = with_a_past(&moved, &[-21, -20, -19, -18, -3, -2, 0]);
    let there = treasures(&server);
    assert_eq!((there.0.len(), there.1, there.2), (7, 4, 2));
    server.launch();
    assert_eq!((check(&server, "clock")["ok"].clone(), metric(&server, "inkring_clock_suspect")), (json!(true), 0.0));
    for (round, jump) in (1..).zip([400 * DAY, 12 * YEAR]) {
        moved.by(jump);
        a_round_passes(&server, &draft, &format!("at {jump}"));
        let said = check(&server, "clock");
        let warning = said["warning"].as_str().unwrap();
        assert!(said["ok"] == false && warning.starts_with("the clock has jumped; "), "{said}");
        assert_eq!(metric(&server, "inkring_clock_suspect"), 1.0);
        let ahead = metric(&server, "inkring_clock_ahead_seconds");
        assert!((ahead - jump as f64).abs() < 60.0, "{ahead}");
        moved.by(0);
        a_round_passes(&server, &draft, &format!("after {jump}"));
        nothing_is_lost(&server, &there, 4 * round);
    }
    assert_eq!(segments(&append(&server, &draft, "two"), "two"), 1, "a retry with its key is one change");
    for removed in ["audit.removed", "backup.removed", "idempotency_keys.removed"] {
        assert_eq!(logged(&server, removed), 0, "{removed}");
    }
    assert_eq!(logged(&server, "clock.jumped"), 1, "one line an hour, however often it jumps");
    let log = server.log();
    let line = log.lines().rev().find(|line| line.contains("\"clock.jumped\"")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert!(line["level"] == "WARN" && (line["seconds"].as_i64().unwrap() - 400 * DAY).abs() < 60, "{line}");
    assert!(line["remedy"].as_str().unwrap().contains("NTP"), "{line}");

    let started = metric(&server, "process_start_time_seconds");
    assert!((started - Clock::system().now().seconds() as f64).abs() < 600.0, "{started}");

    // Until it has been right for an hour, times stand where the jump has left them, and everybody says so.
    let ahead = metric(&server, "inkring_stored_times_ahead_seconds");
    assert!((ahead - (12 * YEAR) as f64).abs() < 60.0, "{ahead}");
    let warning = check(&server, "clock")["warning"].as_str().unwrap().to_owned();
    assert!(warning.contains("the newest change is dated 4379 days ahead") && warning.contains("steady for an hour"));
    let mut doctor = inkring(server.directory.path());
    doctor.args(["doctor", "--json"]).envs(KEPT).env("LISTEN_ADDR", server.address.to_string());
    let findings: Value = serde_json::from_slice(&doctor.output().unwrap().stdout).unwrap();
    let clock = findings.as_array().unwrap().iter().find(|finding| finding["check"] == "clock").unwrap();
    assert_eq!(clock["state"], "red");
    assert!(clock["found"].as_str().unwrap().contains("4379 days behind the newest change"), "{clock}");
    assert!(clock["remedy"].as_str().unwrap().contains("once the clock has been steady for an hour"), "{clock}");
    assert!(server.terminate().success());
}

#[test]
fn a_board_that_boots_in_another_year_and_is_mended_loses_nothing() {
    let Some(moved) = Moved::new() else { return };
    let (mut server, draft) = with_a_past(&moved, &[-80, -60, -40, -3, -2, 0]);
    let there = treasures(&server);
    for (round, boots) in (1..).zip([12 * YEAR, -56 * YEAR]) {
        moved.by(boots);
        server.launch();
        a_round_passes(&server, &draft, &format!("booted at {boots}"));
        // Killed in the midst of it, and started again.
        server.kill();
        server.launch();
        a_round_passes(&server, &draft, &format!("again at {boots}"));
        if boots > 0 {
            for what in ["audit rows", "backups", "idempotency keys"] {
                let line = server.wait_for_log(|line| line["message"] == "retention.waits" && line["what"] == what);
                assert!(line["reason"].as_str().unwrap().contains("than the time since the start explains"), "{line}");
            }
            assert_eq!(metric(&server, "inkring_clock_suspect"), 1.0);
        }
        moved.by(0);
        a_round_passes(&server, &draft, &format!("mended after {boots}"));
        let started = metric(&server, "process_start_time_seconds");
        assert!((started - Clock::system().now().seconds() as f64).abs() < 600.0, "the start is dated anew: {started}");
        let (left, rows, keys) = treasures(&server);
        assert!(there.0.iter().all(|name| left.contains(name)), "{left:?} of {:?}", there.0);
        assert_eq!((rows, keys), (there.1 + 6 * round, there.2 + 6 * round));
        assert!(server.terminate().success());
    }
    server.launch();
    assert_eq!(segments(&append(&server, &draft, "one"), "one"), 1);
    assert!(server.terminate().success());
}

#[test]
fn a_backup_of_the_future_is_no_proof_that_there_is_a_new_one() {
    let Some(moved) = Moved::new() else { return };
    moved.by(400 * DAY);
    let by_hand = [&KEPT[..], &[("BACKUP_INTERVAL_HOURS", "0")]].concat();
    let mut server = moved.server(&by_hand);
    server.signal("USR1");
    server.wait_for_log(|line| line["message"] == "backup.done");
    moved.by(800 * DAY);
    let (ok, age) = (json!(true), check(&server, "backup")["age_seconds"].as_u64().unwrap());
    assert!(check(&server, "backup")["ok"] == ok && age < 60, "this process made it: {age}");
    assert!(server.terminate().success());
    moved.by(0);
    server.launch();
    let said = check(&server, "backup");
    assert_eq!((&said["ok"], &said["age_seconds"]), (&json!(false), &Value::Null));
    assert_eq!(said["warning"], "the newest is dated in the future");
    assert_eq!(metric(&server, "inkring_backup_last_success_timestamp_seconds"), 0.0);
    let mut doctor = inkring(server.directory.path());
    doctor.args(["doctor", "--json"]).envs(by_hand).env("LISTEN_ADDR", server.address.to_string());
    let findings: Value = serde_json::from_slice(&doctor.output().unwrap().stdout).unwrap();
    let backup = findings.as_array().unwrap().iter().find(|finding| finding["check"] == "backup").unwrap();
    assert!(backup["state"] == "red" && backup["found"].as_str().unwrap().contains("dated in the future"), "{backup}");
    // One that is made now is.
    server.signal("USR1");
    wait_for(|| (server.log().matches("\"backup.done\"").count() == 2).then_some(()));
    assert_eq!(check(&server, "backup")["ok"], true);
    assert!(metric(&server, "inkring_backup_last_success_timestamp_seconds") > 1e9);
}

#[test]
fn a_clock_that_was_never_set_makes_no_expired_token_good() {
    let Some(moved) = Moved::new() else { return };
    let mut server = moved.server(&[("JWT_SECRET", "7a1f0c5de2b94838b6a0d7c4e19f5a33")]);
    let token = |days: i64| {
        moved.by(days * DAY);
        let minted = server.command().args(["token", "mint", "--user", "alice", "--hours", "24"]).output().unwrap();
        assert!(minted.status.success(), "{minted:?}");
        format!("Bearer {}", String::from_utf8(minted.stdout).unwrap().trim())
    };
    let (expired, good) = (token(-30), token(0));
    let ask = |server: &Server, token: &str| {
        let answer = server.connect().request("GET", "/v1/collab/drafts", &[("Authorization", token)], b"");
        (answer.status, answer.text().contains("Token expired"))
    };
    let body = json!({ "title": "A draft", "platform": "x" }).to_string();
    let headers = [("Authorization", &*good), ("Content-Type", "application/json")];
    server.connect().request("POST", "/v1/collab/drafts", &headers, body.as_bytes()).expect(200);
    assert!(server.terminate().success());
    for years in [0, -56, 0] {
        moved.by(years * YEAR);
        server.launch();
        assert_eq!((ask(&server, &expired), ask(&server, &good)), ((401, true), (200, false)), "{years}");
        assert!(server.terminate().success());
    }
}

/// A server in this process, and the hands of its clock.
struct Here {
    directory: tempfile::TempDir,
    settings: Vec<(&'static str, &'static str)>,
    clock: Clock,
    running: Option<inkring::server::Server>,
}

impl Here {
    /// At this hour.
    fn start() -> Self {
        Self::with(&[])
    }

    /// With these settings besides.
    fn with(settings: &[(&'static str, &'static str)]) -> Self {
        let mut here = Self {
            directory: tempfile::tempdir().unwrap(),
            settings: settings.to_vec(),
            clock: Clock::manual(Clock::system().now()),
            running: None,
        };
        here.launch();
        here
    }

    fn database(&self) -> PathBuf {
        self.directory.path().join("here.db")
    }

    fn launch(&mut self) {
        let database = format!("sqlite:{}", self.database().display());
        let more = self.settings.iter().copied();
        let own = [("DATABASE_URL", &*database), ("LISTEN_ADDR", "127.0.0.1:0"), ("OPS_ADDR", "off"), ("SHARDS", "1")];
        let pairs: Vec<_> = KEPT.into_iter().filter(|(name, _)| *name != "BACKUP_DIR").chain(own).chain(more).collect();
        let loaded = config::load(&Sources::from_pairs(&pairs, &[]), false).unwrap();
        let (inherited, notify, logs) = (Inherited::default(), Notify::default(), LogHandle::default());
        let running =
            inkring::server::Server::start(FEATURES, &loaded.settings, inherited, notify, &logs, self.clock.clone());
        self.running = Some(running.unwrap());
    }

    fn stop(&mut self) {
        self.running.take().unwrap().stop();
    }

    fn client(&self) -> Client {
        let endpoint = self.running.as_ref().unwrap().endpoints()[0].to_string();
        Client::connect(endpoint.trim_start_matches("http://").parse().unwrap())
    }

    fn create(&self) -> String {
        let body = json!({ "title": "A draft", "platform": "x" });
        let made = self.client().post("/v1/collab/drafts", Some("alice"), &body).expect(200);
        made["data"]["draft_id"].as_str().unwrap().to_owned()
    }

    /// The year in which it is said to have been appended.
    fn append(&self, draft: &str, key: &str) -> String {
        let body = json!({ "content": key, "idempotency_key": key });
        let draft = self.client().post(&SEGMENTS.replace("{}", draft), Some("alice"), &body).expect(200);
        let segments = draft["data"]["segments"].as_array().unwrap();
        let at = segments.last().unwrap()["created_at"].as_str().unwrap();
        assert!(draft["data"]["metrics"]["avgMinutesBetweenPasses"].as_f64().is_none_or(|minutes| minutes >= 0.0));
        at[..4].to_owned()
    }

    /// Nothing else is ready either while a commit runs over a move of the clock, which then seems to take that long.
    fn clock_is_well(&self) -> bool {
        let ready = self.client().get("/readyz?verbose=1", None).json();
        ready["checks"]
            .as_array()
            .is_some_and(|checks| checks.iter().any(|check| check["name"] == "clock" && check["ok"] == true))
    }

    /// Waits while seconds go by: what was at work when the clock was moved comes again a second after that.
    fn until(&self, come: impl Fn(&Self) -> bool) {
        wait_for(|| {
            self.clock.advance(SECOND_MICROS);
            come(self).then_some(())
        });
    }

    fn rows(&self, action: &str) -> Vec<(i64, String)> {
        let database = Connection::open(self.database()).unwrap();
        let mut rows = database.prepare("SELECT ts, metadata FROM audit_events WHERE action = ?1 ORDER BY id").unwrap();
        rows.query_map([action], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    }
}

#[test]
fn times_follow_the_clock_again_once_it_has_been_right_for_an_hour() {
    let mut here = Here::start();
    let (this_year, then) = (here.append(&here.create(), "first"), 12 * YEAR * 1_000_000);
    let draft = here.create();
    here.clock.set(then);
    let that_year = here.append(&draft, "in the jump");
    let made_then = here.create();
    assert!(that_year > this_year && here.rows(FOLLOWED).is_empty());
    here.clock.set(-then);
    assert_eq!(here.append(&draft, "after it"), that_year, "times do not go back at once");
    // Not by a restart either, and the hour begins anew.
    here.clock.advance(HOUR_MICROS / 2);
    here.stop();
    here.launch();
    here.clock.advance(HOUR_MICROS / 2);
    assert_eq!(here.append(&draft, "and after a restart"), that_year);
    assert!(!here.clock_is_well());
    here.clock.advance(HOUR_MICROS / 2);
    here.until(Here::clock_is_well);
    for draft in [&draft, &made_then, &here.create()] {
        assert_eq!(here.append(draft, "followed"), this_year, "whatever was written about it in the jump");
    }
    let now = here.clock.now().0;
    let rows = here.rows(FOLLOWED);
    let [(at, metadata)] = &rows[..] else { panic!("one row: {rows:?}") };
    let metadata: Value = serde_json::from_str(metadata).unwrap();
    assert!((now - at).abs() < HOUR_MICROS && metadata["ahead_seconds"].as_i64().unwrap() > 11 * YEAR, "{metadata}");
    assert!(metadata["newest_change"].as_str().unwrap().starts_with(&that_year), "{metadata}");
    here.stop();
    here.launch();
    assert!(here.clock_is_well());
    assert_eq!(here.append(&draft, "followed after a restart"), this_year);
    assert_eq!(here.rows(FOLLOWED).len(), 1);
    here.stop();
    let verified = inkring(here.directory.path())
        .args(["audit", "verify"])
        .env("DATABASE_URL", format!("sqlite:{}", here.database().display()))
        .output()
        .unwrap();
    assert!(verified.status.success(), "{verified:?}");
}

const FOLLOWED: &str = "server.times_follow_the_clock";

#[test]
fn after_the_hour_what_is_old_goes_and_what_was_spent_in_the_jump_lives_its_day() {
    let mut here = Here::start();
    let draft = here.create();
    here.append(&draft, "old");
    here.clock.set(12 * YEAR * 1_000_000);
    here.append(&draft, "in the jump");
    here.clock.set(-12 * YEAR * 1_000_000);
    assert!(!here.clock_is_well());
    let keys = |here: &Here| count(&here.database(), "idempotency_keys");
    // A day and an hour later the old one goes, and the other is dated anew.
    here.clock.advance(26 * HOUR_MICROS);
    here.until(|here| keys(here) == 1);
    here.append(&draft, "in the jump");
    assert_eq!(here.rows("collab.append_segment").len(), 2, "a retry with its key is no change");
    here.clock.advance(26 * HOUR_MICROS);
    here.until(|here| keys(here) == 0);
    // Rows of the audit log go in their order: those of the jump with the first that is too old behind them.
    here.append(&draft, "late");
    here.clock.advance(91 * DAY * 1_000_000);
    here.until(|here| count(&here.database(), "audit_events") == 0);
    here.stop();
}

#[test]
fn a_room_that_nobody_uses_goes_after_its_days_unless_rooms_are_off() {
    for (is_on, left) in [("true", 0), ("false", 1)] {
        let mut here = Here::with(&[("ROOMS_RETENTION_DAYS", "30"), ("ROOMS_ENABLED", is_on)]);
        here.stop();
        let update = here.directory.path().join("update");
        std::fs::write(&update, typed(5, 0, "Hi")).unwrap();
        let imported = inkring(here.directory.path())
            .args(["room", "import", "lesson"])
            .arg(&update)
            .env("DATABASE_URL", format!("sqlite:{}", here.database().display()))
            .output()
            .unwrap();
        assert!(imported.status.success(), "{imported:?}");
        here.launch();
        let draft = here.create();
        // What else is old has gone twice: every task has run since the room was old.
        for _ in 0..2 {
            here.append(&draft, "key");
            here.clock.advance(31 * DAY * 1_000_000);
            here.until(|here| count(&here.database(), "idempotency_keys") == 0);
        }
        here.until(|here| count(&here.database(), "rooms") == left);
        here.stop();
    }
}
