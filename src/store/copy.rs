//! A copy of the database, made while it is written to.
//!
//! The writer copies some pages between two commits, on its own connection. So SQLite itself brings those already copied
//! up to date with each commit, and the copy ends in about as many steps as it has pages for, whatever is written
//! meanwhile. From any other connection each commit would make it begin again.

use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::{Backup, Progress, StepResult};

use super::chore::{PutOff, run_chore};
use super::fault::Fault;
use super::writer::WriterHandle;

/// Pages copied in one step: about a millisecond of the writer.
const PAGES_PER_STEP: i32 = 100;
/// A copy that has taken this many times the steps it should is given up: somebody else writes to the database.
const STEPS_FACTOR: u32 = 4;
/// From one look at what the caller wants meanwhile to the next.
const MEANWHILE_EVERY: Duration = Duration::from_millis(50);

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The writer did not begin.
    #[error(transparent)]
    PutOff(#[from] PutOff),
    /// A page could not be read, or not be written to the copy.
    #[error("a page could not be copied: {0}")]
    Page(#[from] rusqlite::Error),
    /// The database has become one that takes no changes, and nobody knows what can still be read.
    #[error("the database takes no changes: {}", .0.reason())]
    Storage(Fault),
    /// Another process keeps the database to itself.
    #[error("another process has locked the database")]
    Locked,
    /// It began again and again.
    #[error("after {0} steps it was still not done: another process writes to the database")]
    Endless(u32),
    /// The caller does not want it any more, or there is no writer any more.
    #[error("it was given up because the server stops")]
    GivenUp,
}

/// What the writer is asked for.
pub(super) struct Copying {
    /// Empty, and nobody else's.
    pub(super) to: Connection,
    /// Gone when nobody waits for it.
    pub(super) wanted: Weak<()>,
    pub(super) done: SyncSender<Result<Copied, CopyError>>,
}

/// A whole copy.
pub struct Copied {
    /// The connection that it was written through; to be closed by the caller.
    pub to: Connection,
    /// In how many steps.
    pub steps: u32,
}

/// Has the writer copy the database into the empty one at the other end of `to`, which must not be used meanwhile, and
/// waits for it. Every now and then `meanwhile` is called; when it says false, the copy is given up. What comes out
/// is the database as of the last step, with everything acknowledged before.
///
/// # Errors
/// When there is no copy; what was written is to be thrown away.
pub fn copy(writer: &WriterHandle, to: Connection, mut meanwhile: impl FnMut() -> bool) -> Result<Copied, CopyError> {
    let waits = Arc::new(());
    let (done, outcome) = sync_channel(1);
    let mut request = Some(Copying { to, wanted: Arc::downgrade(&waits), done });
    run_chore(writer, move |tx| {
        tx.copy(request.take());
        Ok(0)
    })?;
    loop {
        match outcome.recv_timeout(MEANWHILE_EVERY) {
            Ok(copied) => return copied,
            Err(RecvTimeoutError::Timeout) if meanwhile() => {}
            Err(_) => return Err(CopyError::GivenUp),
        }
    }
}

/// The same without a writer, for a database that no server has open.
///
/// # Errors
/// When there is no copy.
pub fn copy_alone(from: &Connection, to: &mut Connection) -> Result<u32, CopyError> {
    let backup = Backup::new(from, to)?;
    let mut steps = Steps::default();
    while !steps.take(&backup)? {}
    Ok(steps.taken)
}

/// Counts the steps of a copy, and measures them.
#[derive(Debug, Default)]
pub(super) struct Steps {
    pub(super) taken: u32,
    pages: i32,
    grown: i32,
}

impl Steps {
    /// Takes one. True when it was the last.
    pub(super) fn take(&mut self, backup: &Backup<'_, '_>) -> Result<bool, CopyError> {
        // What the database grows by between two steps comes on top, so that the end always comes nearer.
        let stepped = backup.step(PAGES_PER_STEP.saturating_add(self.grown))?;
        match stepped {
            StepResult::Done => {
                self.taken += 1;
                Ok(true)
            }
            StepResult::More => self.count(backup.progress()).map(|()| false),
            _ => Err(CopyError::Locked),
        }
    }

    fn count(&mut self, progress: Progress) -> Result<(), CopyError> {
        self.grown = if self.taken == 0 { 0 } else { progress.pagecount.saturating_sub(self.pages).max(0) };
        self.taken += 1;
        self.pages = progress.pagecount;
        let least = u32::try_from(progress.pagecount / PAGES_PER_STEP).unwrap_or_default() + 1;
        if self.taken > least.saturating_mul(STEPS_FACTOR) { Err(CopyError::Endless(self.taken)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::{Event, Publisher, Writer, open};
    use super::*;
    use crate::clock::Clock;

    struct Deaf;

    impl Publisher for Deaf {
        fn publish(&self, _: &mut Vec<Event>) {}
    }

    const INSERT: &str = "INSERT INTO drafts (draft_id, creator_id, title, platform, holder_id, passed_at, created_at, \
                          updated_at) SELECT hex(randomblob(16)), '', hex(zeroblob(400)), '', '', 0, 0, 0";

    /// Inserts this many drafts, each of which takes a quarter of a page.
    fn many(drafts: u32) -> String {
        format!("WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n LIMIT {drafts}) {INSERT} FROM n")
    }

    fn filled(directory: &std::path::Path, drafts: u32) -> super::super::Store {
        let store = open(&directory.join("a.db")).unwrap();
        store.connection.execute(&many(drafts), ()).unwrap();
        store
    }

    fn drafts(connection: &Connection) -> i64 {
        connection.query_row("SELECT count(*) FROM drafts", (), |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_copy_has_every_change_made_meanwhile_and_takes_no_more_steps_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let store = filled(directory.path(), 20_000);
        let pages: u32 = store.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        let writer = Writer::start(store, 16, Arc::new(Deaf), Clock::system()).unwrap();
        let to = Connection::open(directory.path().join("copy.db")).unwrap();
        let (handle, enough) = (writer.handle(), AtomicBool::new(false));
        let (copied, written) = std::thread::scope(|scope| {
            let writes = scope.spawn(|| {
                let mut written = 0;
                while !enough.load(Ordering::Relaxed) {
                    // The first one is large enough for a checkpoint behind it.
                    let sql = if written == 0 { many(8_000) } else { INSERT.to_owned() };
                    written += run_chore(&handle, move |tx| tx.connection().execute(&sql, ())).unwrap();
                    // Refused ones roll their savepoint back, and that is nothing to begin again for.
                    let refused = run_chore(&handle, |tx| {
                        tx.connection().execute(INSERT, ())?;
                        Err(rusqlite::Error::QueryReturnedNoRows)
                    });
                    assert!(refused.is_err());
                }
                written
            });
            let copied = copy(&writer.handle(), to, || true).unwrap();
            enough.store(true, Ordering::Relaxed);
            (copied, writes.join().unwrap())
        });
        let least = pages.div_ceil(PAGES_PER_STEP as u32);
        let grown = u32::try_from(written).unwrap() / 4;
        let most = least + grown.div_ceil(PAGES_PER_STEP as u32) + 2;
        assert!((least..=most).contains(&copied.steps), "{} steps, {least} to {most}", copied.steps);
        drop(copied.to);
        let copy = Connection::open(directory.path().join("copy.db")).unwrap();
        let sound: String = copy.query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap();
        // At the last step some of what the other thread wrote may still have been to come.
        let there = drafts(&copy) - 20_000;
        assert_eq!(sound, "ok");
        assert!((8_000..=written as i64).contains(&there), "{there} of {written}");
        drop(handle);
        writer.stop();
    }

    #[test]
    fn a_copy_that_cannot_be_written_fails_alone() {
        let directory = tempfile::tempdir().unwrap();
        let writer = Writer::start(filled(directory.path(), 2_000), 16, Arc::new(Deaf), Clock::system()).unwrap();
        let to = Connection::open(directory.path().join("copy.db")).unwrap();
        to.query_row("PRAGMA max_page_count = 20", (), |_| Ok(())).unwrap();
        let error = copy(&writer.handle(), to, || true).err().unwrap();
        assert!(matches!(error, CopyError::Page(_)), "{error}");
        assert_eq!(writer.handle().read_only(), None);
        run_chore(&writer.handle(), |tx| tx.connection().execute(INSERT, ())).unwrap();
        let to = Connection::open(directory.path().join("another.db")).unwrap();
        copy(&writer.handle(), to, || true).unwrap();
        writer.stop();
    }

    #[test]
    fn a_copy_that_begins_again_and_again_has_an_end() {
        let mut steps = Steps::default();
        let mut last = Ok(());
        while last.is_ok() {
            last = steps.count(Progress { remaining: 250, pagecount: 250 });
        }
        assert_eq!(steps.taken, 13, "{last:?}");
    }

    #[test]
    fn changes_through_the_same_connection_cost_no_step_and_through_another_one_there_is_no_end() {
        let directory = tempfile::tempdir().unwrap();
        let store = filled(directory.path(), 4_000);
        let other = Connection::open(directory.path().join("a.db")).unwrap();
        let pages: i32 = other.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        let from = |connection: &Connection| {
            let mut to = Connection::open_in_memory().unwrap();
            let backup = Backup::new(connection, &mut to).unwrap();
            let mut steps = Steps::default();
            while !steps.take(&backup)? {
                store.connection.execute(INSERT, ()).unwrap();
            }
            Ok(steps.taken)
        };
        let least = pages as u32 / PAGES_PER_STEP as u32 + 1;
        assert_eq!(from(&store.connection).unwrap(), least);
        let error: CopyError = from(&other).unwrap_err();
        assert!(matches!(error, CopyError::Endless(steps) if steps == STEPS_FACTOR * least + 1), "{error}");
    }

    #[test]
    fn without_a_server_the_whole_is_copied_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let store = filled(directory.path(), 1_000);
        let mut to = Connection::open(directory.path().join("copy.db")).unwrap();
        assert!(copy_alone(&store.connection, &mut to).unwrap() >= 2);
        assert_eq!(drafts(&to), 1_000);
    }
}
