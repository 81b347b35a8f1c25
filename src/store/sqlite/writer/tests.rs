use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use parking_lot::Mutex;

use rusqlite::Connection;

use super::super::last_change::last_change;
use super::super::open::open;
use super::super::tallies::TallyTable;
use super::super::texts::{Order, Search, TextGroup, TextWords};
use super::*;
use crate::net::Frame;
use crate::observe::metrics::Metrics;
use crate::store::counters::Counters;
use crate::store::event::{Event, Space, Topic};
use crate::store::reader::Query as _;
use crate::store::schema::Migration;
use crate::store::testing::{opened, schema};

type Outcome = Result<JobTimes, StoreError>;

/// A job made of a closure; tells the test how it was settled.
struct Probe<F>(F, Sender<(&'static str, Outcome)>, &'static str);

impl<F: FnMut(&mut Tx<'_>) -> Verdict + Send> Job for Probe<F> {
    fn run(&mut self, tx: &mut Tx<'_>) -> Verdict {
        (self.0)(tx)
    }
    fn settle(self: Box<Self>, outcome: Outcome) {
        self.1.send((self.2, outcome)).unwrap();
    }
}

#[derive(Default)]
struct Heard(Mutex<Vec<Event>>);

impl Publisher for Heard {
    fn publish(&self, events: &mut Vec<Event>) {
        self.0.lock().extend_from_slice(events);
    }
}

fn event(seq: i64) -> Event {
    static SPACE: Space = Space { name: "tests", log_field: "test", encode: |_, _| Frame::ping() };
    let (topic, data) = (Topic::new(&SPACE, "t"), "{}".into());
    Event { topic, seq, kind: "k", data, request_id: "r".into(), at: Timestamp(0) }
}

fn mark(tx: &mut Tx<'_>, at: i64) {
    tx.run(
        "INSERT INTO probe (id, probed_at) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET probed_at = ?1",
        &[at.into()],
    )
    .unwrap();
}

const FILLED: &[Migration] = &[Migration {
    version: 1,
    sql: "CREATE TABLE filled (id INTEGER PRIMARY KEY, text TEXT, other INTEGER REFERENCES filled (id)) STRICT",
}];

/// A store with a table for rows of any size, one of which refers to another.
fn with_table(path: &std::path::Path) -> Store {
    open(path, &schema(FILLED)).unwrap()
}

#[test]
fn a_failing_and_a_panicking_job_roll_back_alone() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = opened(&directory.path().join("a.db"));
    let metrics = Metrics::default();
    store.count_by(Arc::new(Counters::new(&metrics)));
    let reader = store.reader().unwrap();
    let heard = Arc::new(Heard::default());
    let writer = Writer::start(store, 16, Arc::clone(&heard) as _, Clock::system()).unwrap();
    let handle = writer.handle();
    let (settled, outcomes) = channel();
    // The first job holds the writer until the other three wait, so that they share a batch.
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let first = move |tx: &mut Tx<'_>| {
        wait.lock().recv().unwrap();
        mark(tx, 1);
        tx.publish(event(1));
        Verdict::Keep
    };
    let undone = |tx: &mut Tx<'_>| {
        mark(tx, 2);
        tx.publish(event(2));
        Verdict::Undo
    };
    let panics = |tx: &mut Tx<'_>| {
        mark(tx, 3);
        tx.publish(event(3));
        panic!("on purpose")
    };
    let last = |tx: &mut Tx<'_>| {
        let seen: Option<i64> = tx.one("SELECT probed_at FROM probe", &[], |row| row.get(0)).unwrap();
        assert_eq!(seen, Some(1));
        tx.publish(event(4));
        Verdict::Keep
    };
    handle.submit(Box::new(Probe(first, settled.clone(), "first"))).ok().unwrap();
    handle.submit(Box::new(Probe(undone, settled.clone(), "undone"))).ok().unwrap();
    handle.submit(Box::new(Probe(panics, settled.clone(), "panics"))).ok().unwrap();
    handle.submit(Box::new(Probe(last, settled, "last"))).ok().unwrap();
    go.send(()).unwrap();
    let outcomes: Vec<_> = outcomes.iter().take(4).collect();
    let names: Vec<_> = outcomes.iter().map(|(name, outcome)| (*name, outcome.is_ok())).collect();
    assert_eq!(names, [("first", true), ("undone", true), ("panics", false), ("last", true)]);
    assert_eq!(heard.0.lock().iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 4]);
    assert_eq!(reader.version(), Some(1));
    drop(handle);
    writer.stop();
    let log = std::fs::metadata(directory.path().join("a.db-wal")).unwrap().len();
    assert_eq!(log, 0, "the log was not moved into the database");
    let counted = metrics.encode();
    for line in [
        "inkring_commit_batch_jobs_sum 4.0",
        "inkring_commit_batch_jobs_count 1",
        "inkring_commit_duration_seconds_count 1",
        "inkring_writer_queue_wait_seconds_count 4",
        "inkring_checkpoint_duration_seconds_count 1",
        "inkring_checkpoint_busy_total 0",
    ] {
        assert!(counted.lines().any(|known| known == line), "{line} is not in\n{counted}");
    }
}

#[test]
fn what_is_deferred_runs_after_the_commit_of_what_is_kept_and_is_dropped_otherwise() {
    struct Dropped(Sender<&'static str>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.send("dropped").unwrap();
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let store = with_table(&directory.path().join("a.db"));
    let reader = store.reader().unwrap();
    let writer = Writer::start(store, 16, Arc::new(Heard::default()), Clock::system()).unwrap();
    let (settled, outcomes) = channel();
    let (told, tells) = channel();
    let run = |verdict, doomed: bool| {
        let mut held = Some(Dropped(told.clone()));
        let job = move |tx: &mut Tx<'_>| {
            let held = held.take().unwrap();
            tx.after_commit(move || held.0.send("ran").unwrap());
            mark(tx, 1);
            if doomed {
                // A foreign key that leads nowhere is found by the commit.
                tx.batch("PRAGMA defer_foreign_keys = ON; INSERT INTO filled VALUES (1, '', 404)").unwrap();
            }
            verdict
        };
        writer.handle().submit(Box::new(Probe(job, settled.clone(), ""))).ok().unwrap();
        let outcome = outcomes.recv().unwrap().1;
        assert_eq!(outcome.is_err(), doomed);
        tells.try_iter().collect::<Vec<_>>()
    };
    assert_eq!(run(Verdict::Keep, false), ["ran", "dropped"]);
    assert_eq!(reader.version(), Some(1));
    assert_eq!(run(Verdict::Undo, false), ["dropped"]);
    assert_eq!(run(Verdict::Keep, true), ["dropped"]);
    assert_eq!(run(Verdict::Keep, false), ["ran", "dropped"]);
    writer.stop();
}

#[test]
fn the_log_is_moved_into_the_database_after_so_many_rows_in_however_few_jobs() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let writer = Writer::start(with_table(&path), 16, Arc::new(Heard::default()), Clock::manual(Timestamp(0)));
    let writer = writer.unwrap();
    let (settled, outcomes) = channel();
    let bytes_after = |rows: u64| {
        let insert = move |tx: &mut Tx<'_>| {
            let rows = i64::try_from(rows).unwrap();
            let sql = "WITH RECURSIVE numbers (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM numbers LIMIT ?1) \
                       INSERT INTO filled (text) SELECT hex(randomblob(16)) FROM numbers";
            tx.change(sql, &[rows.into()]).unwrap();
            Verdict::Keep
        };
        // A job is settled before the checkpoint that it may lead to; the next one begins after that.
        let nothing = |_: &mut Tx<'_>| Verdict::Keep;
        for job in [
            Box::new(Probe(insert, settled.clone(), "")) as Box<dyn Job>,
            Box::new(Probe(nothing, settled.clone(), "")),
        ] {
            writer.handle().submit(job).ok().unwrap();
            outcomes.recv().unwrap().1.unwrap();
        }
        std::fs::metadata(&path).unwrap().len()
    };
    // One row is the note of the last change.
    let before = bytes_after(1);
    assert_eq!(bytes_after(CHECKPOINT_EVERY_ROWS - 3), before);
    assert!(bytes_after(1) > before);
    writer.stop();
}

#[test]
fn a_minute_after_a_change_the_log_is_moved_into_the_database_however_quiet_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let (clock, metrics) = (Clock::manual(Timestamp(0)), Metrics::default());
    let mut store = with_table(&path);
    store.count_by(Arc::new(Counters::new(&metrics)));
    let writer = Writer::start(store, 16, Arc::new(Heard::default()), clock.clone()).unwrap();
    let (settled, outcomes) = channel();
    let run = |work: fn(&mut Tx<'_>) -> Verdict| {
        writer.handle().submit(Box::new(Probe(work, settled.clone(), ""))).ok().unwrap();
        outcomes.recv().unwrap().1.unwrap();
    };
    // Wakes the writer, as the end of its wait would; it looks at the time between two jobs.
    let nothing = || (0..2).for_each(|_| run(|_| Verdict::Keep));
    let insert =
        || run(|tx| tx.run("INSERT INTO filled (text) VALUES ('x')", &[]).map_or(Verdict::Undo, |()| Verdict::Keep));
    let checkpoints = || {
        let text = metrics.encode();
        let line = text.lines().find_map(|line| line.strip_prefix("inkring_checkpoint_duration_seconds_count "));
        line.unwrap().parse::<u32>().unwrap()
    };
    let rows_in_the_database_alone = || {
        let alone = directory.path().join("alone.db");
        std::fs::copy(&path, &alone).unwrap();
        let rows = Connection::open(&alone).unwrap().query_row("SELECT count(*) FROM filled", (), |row| row.get(0));
        rows.unwrap_or(-1)
    };
    let (minute, second) = (CHECKPOINT_AFTER.as_micros() as i64, 1_000_000);
    nothing();
    assert_eq!((checkpoints(), rows_in_the_database_alone()), (0, -1), "not even the table");
    clock.advance(minute);
    nothing();
    assert_eq!((checkpoints(), rows_in_the_database_alone()), (1, 0), "what was there at the start");
    clock.advance(10 * minute);
    nothing();
    assert_eq!(checkpoints(), 1, "nothing is to be moved");
    insert();
    // A job is settled before the writer looks at the time of it.
    nothing();
    clock.advance(minute - second);
    insert();
    nothing();
    assert_eq!((checkpoints(), rows_in_the_database_alone()), (1, 0));
    clock.advance(second);
    nothing();
    assert_eq!((checkpoints(), rows_in_the_database_alone()), (2, 2));
    writer.stop();
}

#[test]
fn a_full_queue_gives_the_job_back() {
    let directory = tempfile::tempdir().unwrap();
    let store = opened(&directory.path().join("a.db"));
    let writer = Writer::start(store, 2, Arc::new(Heard::default()), Clock::system()).unwrap();
    let handle = writer.handle();
    let (settled, outcomes) = channel();
    let (go, wait) = channel::<()>();
    let (began, begun) = channel::<()>();
    let wait = Mutex::new(wait);
    let hold = move |_: &mut Tx<'_>| {
        began.send(()).unwrap();
        wait.lock().recv().unwrap();
        Verdict::Keep
    };
    handle.submit(Box::new(Probe(hold, settled.clone(), "hold"))).ok().unwrap();
    begun.recv().unwrap();
    assert!(handle.view().busy_for().is_some());
    for _ in 0..2 {
        handle.submit(Box::new(Probe(|_: &mut Tx<'_>| Verdict::Keep, settled.clone(), "waits"))).ok().unwrap();
    }
    assert_eq!(handle.view().queued(), 2);
    assert!(handle.submit(Box::new(Probe(|_: &mut Tx<'_>| Verdict::Keep, settled, "refused"))).is_err());
    go.send(()).unwrap();
    assert_eq!(outcomes.iter().take(3).filter(|(_, outcome)| outcome.is_ok()).count(), 3);
    drop(handle);
    writer.stop();
}

/// A writer that does nothing by itself.
fn by_hand(store: &Store, clock: Clock) -> (WriterHandle, WriterThread<'_>) {
    let began = clock.instant();
    let (handle, jobs) = queue(Arc::clone(&store.state), 16, clock.clone(), began);
    (handle, WriterThread::new(store, jobs, Arc::new(Heard::default()), clock, began))
}

fn commit_what_waits(thread: &mut WriterThread<'_>) {
    let first = thread.jobs.try_recv().unwrap();
    thread.commit_batch(first);
}

#[test]
fn while_read_only_jobs_are_refused_where_they_are_handed_in_and_a_probe_ends_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let mut store = opened(&path);
    store.keep_reserve(1 << 16);
    let (handle, mut thread) = by_hand(&store, Clock::system());
    let (settled, outcomes) = channel();
    let keep = || Box::new(Probe(|_: &mut Tx<'_>| Verdict::Keep, settled.clone(), "")) as Box<dyn Job>;
    let refused = |outcome| matches!(outcome, Err(StoreError::ReadOnly(Fault::Full)));
    // One waits already when it begins.
    handle.submit(keep()).ok().unwrap();
    thread.store.state.set_fault(Some(Fault::Full));
    let full = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None);
    thread.begin_read_only(Fault::Full, &LostTransaction::at_commit(full), 1);
    assert!(refused(outcomes.try_recv().unwrap().1));
    assert!(!thread.store.reserve.path().exists(), "the reserve is given up");
    let log = directory.path().join("a.db-wal");
    assert_eq!(std::fs::metadata(&log).unwrap().len(), 0, "and the log lies in the database");
    handle.submit(keep()).ok().unwrap();
    assert!(refused(outcomes.try_recv().unwrap().1), "settled before it is handed over");
    assert_eq!((handle.view().queued(), handle.view().read_only()), (0, Some(Fault::Full)));
    assert!(matches!(thread.next(), Some(NextStep::Probe)), "nothing waits, so time passes");
    // Someone in the way is no room either.
    let other = Connection::open(&path).unwrap();
    thread.store.connection.0.busy_timeout(Duration::ZERO).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    thread.probe();
    assert_eq!(handle.view().read_only(), Some(Fault::Full));
    drop(other);
    thread.probe();
    assert_eq!(handle.view().read_only(), None);
    assert!(thread.store.reserve.path().exists());
    handle.submit(keep()).ok().unwrap();
    commit_what_waits(&mut thread);
    outcomes.try_recv().unwrap().1.unwrap();
}

#[test]
fn a_full_batch_leaves_the_rest_to_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let store = opened(&directory.path().join("a.db"));
    let (clock, (settled, outcomes)) = (Clock::system(), channel());
    let (handle, jobs) = queue(Arc::clone(&store.state), BATCH_MAX + 1, clock.clone(), clock.instant());
    let mut thread = WriterThread::new(&store, jobs, Arc::new(Heard::default()), clock.clone(), clock.instant());
    for _ in 0..=BATCH_MAX {
        handle.submit(Box::new(Probe(|_: &mut Tx<'_>| Verdict::Keep, settled.clone(), ""))).ok().unwrap();
    }
    for settled_and_left in [(BATCH_MAX, 1), (1, 0)] {
        commit_what_waits(&mut thread);
        assert_eq!((outcomes.try_iter().count(), handle.view().queued()), settled_and_left);
    }
}

#[test]
fn a_batch_takes_along_what_comes_meanwhile_for_as_long_as_a_commit_takes() {
    let directory = tempfile::tempdir().unwrap();
    let store = opened(&directory.path().join("a.db"));
    let clock = Clock::manual(Timestamp(0));
    let (handle, mut thread) = by_hand(&store, clock.clone());
    let (settled, outcomes) = channel();
    // Each hands in another one while it runs, which takes a millisecond.
    let handing = || {
        let (handle, told, clock) = (handle.clone(), settled.clone(), clock.clone());
        let run = move |tx: &mut Tx<'_>| {
            mark(tx, 1);
            clock.advance(1_000);
            let later = Probe(|_: &mut Tx<'_>| Verdict::Keep, told.clone(), "later");
            handle.submit(Box::new(later)).ok().unwrap();
            Verdict::Keep
        };
        Box::new(Probe(run, settled.clone(), "first")) as Box<dyn Job>
    };
    let mut left_after = |commit_took: Option<Duration>, jobs: usize| {
        thread.commit_took = commit_took;
        (0..jobs).for_each(|_| handle.submit(handing()).ok().unwrap());
        commit_what_waits(&mut thread);
        let left = handle.view().queued();
        while handle.view().queued() > 0 {
            commit_what_waits(&mut thread);
        }
        assert!(outcomes.try_iter().all(|(_, outcome)| outcome.is_ok()));
        left
    };
    assert_eq!(left_after(None, 1), 0, "nobody knows yet how long a commit takes");
    assert_eq!(left_after(Some(Duration::from_micros(1_001)), 1), 0, "to wait for the next one would take longer");
    assert_eq!(left_after(Some(Duration::from_micros(1_000)), 1), 1, "by now it is as cheap to commit");
    assert_eq!(left_after(Some(Duration::from_micros(1_000)), 3), 3, "those that waited when it began are all of it");
    assert_eq!(thread.commit_took, Some(Duration::ZERO), "as this clock shows it");
}

#[test]
fn a_copy_ends_where_nobody_wants_it_or_the_storage_fails_or_nobody_can_hand_in_changes() {
    let directory = tempfile::tempdir().unwrap();
    let store = opened(&directory.path().join("a.db"));
    let (handle, mut thread) = by_hand(&store, Clock::system());
    let mut to = CopyTarget(Connection::open_in_memory().unwrap());
    let waits = Arc::new(());
    let wanted = Arc::downgrade(&waits);
    assert!(thread.copy(&mut to, &wanted).is_ok());
    assert!(matches!(thread.copy(&mut to, &Weak::new()), Err(CopyError::GivenUp)));
    let full = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None);
    thread.begin_read_only(Fault::Full, &LostTransaction::at_commit(full), 1);
    assert!(matches!(thread.copy(&mut to, &wanted), Err(CopyError::Storage(Fault::Full))));
    thread.probe();
    assert!(thread.copy(&mut to, &wanted).is_ok());
    drop(handle);
    assert!(matches!(thread.copy(&mut to, &wanted), Err(CopyError::GivenUp)));
}

#[test]
fn a_change_that_is_too_large_for_the_room_left_is_lost_alone() {
    let directory = tempfile::tempdir().unwrap();
    let store = with_table(&directory.path().join("a.db"));
    let (handle, mut thread) = by_hand(&store, Clock::system());
    let pages: i64 = thread.store.connection.0.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    let limit = format!("PRAGMA max_page_count = {}", pages + 2);
    thread.store.connection.0.query_row(&limit, (), |_| Ok(())).unwrap();
    let (settled, outcomes) = channel();
    let large = |tx: &mut Tx<'_>| {
        let error = tx.run("INSERT INTO filled (text) VALUES (hex(zeroblob(50000)))", &[]).unwrap_err();
        assert!(matches!(error, Error::Full(_)), "{error:?}");
        Verdict::Undo
    };
    let small = |tx: &mut Tx<'_>| {
        mark(tx, 1);
        Verdict::Keep
    };
    for job in [Box::new(Probe(large, settled.clone(), "")) as Box<dyn Job>, Box::new(Probe(small, settled, ""))] {
        handle.submit(job).ok().unwrap();
        commit_what_waits(&mut thread);
    }
    assert!(matches!(outcomes.try_recv().unwrap().1, Err(StoreError::Undone(_))));
    outcomes.try_recv().unwrap().1.unwrap();
    assert_eq!(handle.view().read_only(), None, "a row of our own could be committed");
}

#[test]
fn a_job_that_meets_a_damaged_page_fails_by_itself_and_who_comes_after_it_is_none_the_worse() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let store = with_table(&path);
    let fill = "WITH RECURSIVE numbers (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM numbers LIMIT 100) \
                INSERT INTO filled (text) SELECT printf('%.*c', 400, '#') FROM numbers";
    store.connection.batch(fill).unwrap();
    drop(store);
    let mut bytes = std::fs::read(&path).unwrap();
    let full = |page: &[u8]| page.iter().filter(|byte| **byte == b'#').count() > 3000;
    let at = bytes.chunks(4096).position(full).unwrap() * 4096;
    bytes[at] = 0xff;
    std::fs::write(&path, bytes).unwrap();

    let store = with_table(&path);
    let (handle, mut thread) = by_hand(&store, Clock::system());
    let (settled, outcomes) = channel();
    let marks = |tx: &mut Tx<'_>| {
        mark(tx, 1);
        tx.publish(event(1));
        Verdict::Keep
    };
    let reads = |tx: &mut Tx<'_>| {
        let read = tx.exists("SELECT sum(length(text)) FROM filled", &[]);
        assert!(matches!(read, Err(Error::Damaged(_))), "{read:?}");
        Verdict::Undo
    };
    handle.submit(Box::new(Probe(marks, settled.clone(), "before"))).ok().unwrap();
    handle.submit(Box::new(Probe(reads, settled.clone(), "reads"))).ok().unwrap();
    handle.submit(Box::new(Probe(marks, settled, "after"))).ok().unwrap();
    commit_what_waits(&mut thread);
    // SQLite takes back all that was in the transaction; who was is told that nothing was changed.
    assert!(matches!(outcomes.try_recv().unwrap(), ("before", Err(StoreError::Undone(_)))));
    assert!(matches!(outcomes.try_recv().unwrap(), ("reads", Ok(_))), "its own answer stands");
    assert_eq!((handle.view().queued(), handle.view().read_only()), (1, None));
    commit_what_waits(&mut thread);
    assert!(matches!(outcomes.try_recv().unwrap(), ("after", Ok(_))));
}

#[test]
fn times_do_not_go_back_when_the_clock_does_nor_when_the_server_is_started_again() {
    const HOUR: i64 = 3_600_000_000;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let times = |clock: &Clock, jumps: &[i64]| -> Vec<i64> {
        let store = opened(&path);
        let (handle, mut thread) = by_hand(&store, clock.clone());
        let (settled, outcomes) = channel();
        let (told, times) = channel();
        for jump in jumps {
            clock.advance(*jump);
            let told = told.clone();
            let change = move |tx: &mut Tx<'_>| {
                mark(tx, 1);
                told.send(tx.now().0).unwrap();
                Verdict::Keep
            };
            handle.submit(Box::new(Probe(change, settled.clone(), ""))).ok().unwrap();
            assert_eq!(handle.view().busy_for(), None);
            commit_what_waits(&mut thread);
            outcomes.try_recv().unwrap().1.unwrap();
        }
        times.try_iter().collect()
    };
    let clock = Clock::manual(Timestamp(10 * HOUR));
    assert_eq!(times(&clock, &[0, HOUR, -HOUR, 1]), [10 * HOUR, 11 * HOUR, 11 * HOUR, 11 * HOUR]);
    // Where the last change can have been at the latest, time begins.
    let (clock, begins) = (Clock::manual(Timestamp(10 * HOUR)), 11 * HOUR + 100_000);
    assert_eq!(times(&clock, &[0, 2 * HOUR, -HOUR]), [begins, 12 * HOUR, 12 * HOUR]);
}

#[test]
fn the_last_change_is_noted_at_most_every_100_ms_and_only_when_something_was_changed() {
    let directory = tempfile::tempdir().unwrap();
    let store = opened(&directory.path().join("a.db"));
    let reader = store.reader().unwrap();
    let clock = Clock::manual(Timestamp(1_000_000));
    let (handle, mut thread) = by_hand(&store, clock.clone());
    let (settled, outcomes) = channel();
    let mut after = |jump: i64, changes: bool| {
        clock.advance(jump);
        let work = move |tx: &mut Tx<'_>| {
            if changes {
                mark(tx, 1);
            }
            Verdict::Keep
        };
        handle.submit(Box::new(Probe(work, settled.clone(), ""))).ok().unwrap();
        commit_what_waits(&mut thread);
        outcomes.try_recv().unwrap().1.unwrap();
        last_change(&reader).unwrap().map(|at| at.0)
    };
    assert_eq!(after(0, false), None);
    assert_eq!(after(0, true), Some(1_000_000));
    assert_eq!(after(99_999, true), Some(1_000_000));
    assert_eq!(after(1, false), Some(1_000_000));
    assert_eq!(after(0, true), Some(1_100_000));
    assert_eq!(after(-500_000, true), Some(1_100_000));
}

#[test]
fn times_follow_the_clock_again_when_they_are_told_to_and_only_if_that_is_kept() {
    const HOUR: i64 = 3_600_000_000;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let clock = Clock::manual(Timestamp(1000 * HOUR));
    let (settled, outcomes) = channel();
    let (told, times) = channel();
    let change = |thread: &mut WriterThread<'_>, handle: &WriterHandle, follows: bool, verdict: Verdict| {
        let told = told.clone();
        let work = move |tx: &mut Tx<'_>| {
            if follows {
                tx.follow();
            }
            tx.not_before(Timestamp(1000 * HOUR));
            mark(tx, 1);
            told.send(tx.now().0 / HOUR).unwrap();
            verdict
        };
        handle.submit(Box::new(Probe(work, settled.clone(), ""))).ok().unwrap();
        commit_what_waits(thread);
        outcomes.try_recv().unwrap().1.unwrap();
        (times.try_recv().unwrap(), thread.store.state.newest().unwrap().0 / HOUR)
    };
    {
        let store = opened(&path);
        let (handle, mut thread) = by_hand(&store, clock.clone());
        assert_eq!(change(&mut thread, &handle, false, Verdict::Keep), (1000, 1000));
        clock.set(-900 * HOUR);
        assert_eq!(change(&mut thread, &handle, false, Verdict::Keep), (1000, 1000));
        assert_eq!(change(&mut thread, &handle, true, Verdict::Undo), (100, 1000));
        assert_eq!(change(&mut thread, &handle, true, Verdict::Keep), (100, 100));
        assert_eq!(change(&mut thread, &handle, false, Verdict::Keep), (100, 100), "whatever the row says");
    }
    let store = opened(&path);
    assert_eq!(by_hand(&store, clock).1.store.state.newest(), Some(Timestamp(100 * HOUR + 100_000)));
}

#[test]
fn a_change_is_not_before_what_it_changes() {
    let directory = tempfile::tempdir().unwrap();
    let store = opened(&directory.path().join("a.db"));
    let (handle, mut thread) = by_hand(&store, Clock::manual(Timestamp(5)));
    let (settled, _outcomes) = channel();
    let (told, times) = channel();
    for at in [3, 9, 7] {
        let told = told.clone();
        let change = move |tx: &mut Tx<'_>| {
            tx.not_before(Timestamp(at));
            told.send(tx.now().0).unwrap();
            Verdict::Keep
        };
        handle.submit(Box::new(Probe(change, settled.clone(), ""))).ok().unwrap();
        commit_what_waits(&mut thread);
    }
    assert_eq!(times.try_iter().collect::<Vec<_>>(), [5, 9, 9], "nor is one that comes after it");
}

#[test]
fn a_job_that_panics_when_it_is_settled_does_not_end_the_writer() {
    struct Careless;
    impl Job for Careless {
        fn run(&mut self, _: &mut Tx<'_>) -> Verdict {
            Verdict::Keep
        }
        fn settle(self: Box<Self>, _: Result<JobTimes, StoreError>) {
            panic!("on purpose");
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let store = opened(&directory.path().join("a.db"));
    let (handle, mut thread) = by_hand(&store, Clock::system());
    let (settled, outcomes) = channel();
    handle.submit(Box::new(Careless)).ok().unwrap();
    handle.submit(Box::new(Probe(|_: &mut Tx<'_>| Verdict::Keep, settled, ""))).ok().unwrap();
    commit_what_waits(&mut thread);
    outcomes.try_recv().unwrap().1.unwrap();
}

#[test]
fn what_a_batch_counts_is_written_once_but_for_what_is_undone() {
    static COUNTED: TallyTable = TallyTable {
        read: "SELECT a, b, c, writes FROM counted WHERE id = ?1",
        write: "INSERT INTO counted (id, a, b, c, writes) VALUES (?1, ?2, ?3, ?4, ?5 + 1) \
                ON CONFLICT (id) DO UPDATE SET a = ?2, b = ?3, c = ?4, writes = ?5 + 1",
    };
    let table = "CREATE TABLE counted (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, c INTEGER, writes INTEGER) STRICT";
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory.path().join("a.db"), &schema(&[Migration { version: 1, sql: table }])).unwrap();
    let reader = store.reader().unwrap();
    let (handle, mut thread) = by_hand(&store, Clock::system());
    let (settled, outcomes) = channel();
    let submit = |work: Box<dyn FnMut(&mut Tx<'_>) -> Verdict + Send>| {
        assert!(handle.submit(Box::new(Probe(work, settled.clone(), "job"))).is_ok());
    };
    let count = |row: i64, more: i64, verdict: Verdict| {
        submit(Box::new(move |tx| {
            let [a, b, _, _] = tx.tally(&COUNTED, row).unwrap();
            (*a, *b) = (*a + more, *b - more);
            verdict
        }));
    };
    for batch in 1..=2 {
        count(1, 1, Verdict::Keep);
        count(1, 100, Verdict::Undo);
        count(2, 1000, Verdict::Undo);
        count(1, 1, Verdict::Keep);
        submit(Box::new(|tx| {
            tx.tally(&COUNTED, 1).unwrap()[2] = 7;
            panic!("on purpose");
        }));
        count(3, 0, Verdict::Keep);
        count(2, 1, Verdict::Keep);
        commit_what_waits(&mut thread);
        assert_eq!(outcomes.try_iter().filter(|(_, outcome)| outcome.is_ok()).count(), 6);
        let rows = reader.numbers("SELECT id, a, b, c, writes FROM counted ORDER BY id");
        assert_eq!(rows, [[1, 2 * batch, -2 * batch, 0, batch], [2, batch, -batch, 0, batch]]);
    }
    // A transaction that is lost has counted nothing, and the next one knows it.
    count(1, 5, Verdict::Keep);
    submit(Box::new(|tx| {
        tx.batch("ROLLBACK").unwrap();
        Verdict::Keep
    }));
    commit_what_waits(&mut thread);
    assert!(outcomes.try_iter().all(|(_, outcome)| outcome.is_err()));
    count(1, 1, Verdict::Keep);
    commit_what_waits(&mut thread);
    assert_eq!(reader.numbers("SELECT a, writes FROM counted WHERE id = 1"), [[5, 3]]);
}

fn words(title: &str, body: &str) -> Arc<TextWords> {
    Arc::new(TextWords::of(TextGroup(1), title, body))
}

#[test]
fn texts_of_a_batch_are_found_after_it_but_for_those_of_a_job_that_is_undone() {
    let directory = tempfile::tempdir().unwrap();
    let store = opened(&directory.path().join("a.db"));
    let reader = store.reader().unwrap();
    let writer = Writer::start(store, 16, Arc::new(Heard::default()), Clock::system()).unwrap();
    let handle = writer.handle();
    let (settled, outcomes) = channel();
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let submit = |work: Box<dyn FnMut(&mut Tx<'_>) -> Verdict + Send>| {
        assert!(handle.submit(Box::new(Probe(work, settled.clone(), "job"))).is_ok());
    };
    submit(Box::new(move |tx| {
        wait.lock().recv().unwrap();
        tx.add_text(1, &words("oak", ""));
        mark(tx, 1);
        Verdict::Keep
    }));
    submit(Box::new(|tx| {
        tx.add_text(2, &words("oak", ""));
        Verdict::Undo
    }));
    submit(Box::new(|tx| {
        tx.add_text(3, &words("oak", &"leaf ".repeat(TEXTS_MAX_BYTES / 5 + 1)));
        Verdict::Keep
    }));
    submit(Box::new(|tx| {
        tx.add_text(4, &words("oak", ""));
        tx.replace_text(1, &words("elm", ""));
        Verdict::Keep
    }));
    submit(Box::new(|tx| {
        tx.remove_text(4);
        Verdict::Keep
    }));
    go.send(()).unwrap();
    let times: Vec<_> = (0..5).map(|_| outcomes.recv().unwrap().1.unwrap()).collect();
    assert!(times.iter().all(|other| other.commit == times[0].commit), "they were one batch");
    let found = |text: &str| {
        let (mut found, search) = (Vec::new(), Search::of(text).unwrap());
        let take = |number| {
            found.push(number);
            Ok(true)
        };
        reader.search(&search, &[TextGroup(1)], Order::Oldest, take).unwrap();
        found
    };
    assert_eq!((found("oak"), found("elm"), found("leaf")), (vec![3], vec![1], vec![3]));
    drop(handle);
    writer.stop();
}
