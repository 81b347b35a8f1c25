//! A copy of the database, made while it is written to.
//!
//! The writer copies some pages between two commits, on its own connection. So SQLite itself brings those already copied
//! up to date with each commit, and the copy ends in about as many steps as it has pages for, whatever is written
//! meanwhile. From any other connection each commit would make it begin again.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use rusqlite::backup::Backup;

use super::copying::{Copied, CopyTarget, Copying, Steps};
use crate::store::chore::run_chore;
use crate::store::error::{CopyError, Error};
use crate::store::handle::WriterHandle;
use crate::store::reader::{Query as _, Reader};

/// From one look at what the caller wants meanwhile to the next.
const MEANWHILE_EVERY: Duration = Duration::from_millis(50);

/// Has the writer copy the database into an empty file, and waits for it. Every now and then `meanwhile` is called; when it says false, the copy is given up. What comes out
/// is the database as of the last step, with everything acknowledged before.
///
/// # Errors
/// When there is no copy; what was written is to be thrown away.
pub fn copy(writer: &WriterHandle, to: CopyTarget, mut meanwhile: impl FnMut() -> bool) -> Result<Copied, CopyError> {
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
pub fn copy_alone(from: &Reader, to: &mut CopyTarget) -> Result<u32, CopyError> {
    let backup = Backup::new(&from.connection().0, &mut to.0).map_err(Error::from)?;
    let mut steps = Steps::default();
    while !steps.take(&backup)? {}
    Ok(steps.taken)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};

    use rusqlite::Connection;
    use rusqlite::backup::Progress;

    use super::super::copying::{PAGES_PER_STEP, STEPS_FACTOR};
    use super::super::open::Store;
    use super::super::writer::Writer;
    use super::*;
    use crate::clock::Clock;
    use crate::store::testing::{Deaf, opened};

    const INSERT: &str = "INSERT INTO filled SELECT hex(randomblob(16)), hex(zeroblob(400))";

    /// Inserts this many rows, each of which takes a quarter of a page.
    fn many(rows: u32) -> String {
        format!("WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n LIMIT {rows}) {INSERT} FROM n")
    }

    fn filled(directory: &Path, rows: u32) -> Store {
        let store = opened(&directory.join("a.db"));
        store.connection.batch("CREATE TABLE filled (id TEXT NOT NULL UNIQUE, text TEXT NOT NULL) STRICT").unwrap();
        store.connection.batch(&many(rows)).unwrap();
        store
    }

    fn rows(connection: &Connection) -> i64 {
        connection.query_row("SELECT count(*) FROM filled", (), |row| row.get(0)).unwrap()
    }

    fn target(directory: &Path, name: &str) -> CopyTarget {
        CopyTarget(Connection::open(directory.join(name)).unwrap())
    }

    #[test]
    fn a_copy_has_every_change_made_meanwhile_and_takes_no_more_steps_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let store = filled(directory.path(), 20_000);
        let pages: u32 = store.connection.0.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        let writer = Writer::start(store, 16, Arc::new(Deaf), Clock::system()).unwrap();
        let to = target(directory.path(), "copy.db");
        let (handle, enough) = (writer.handle(), AtomicBool::new(false));
        let (copied, written) = std::thread::scope(|scope| {
            let writes = scope.spawn(|| {
                let mut written = 0;
                while !enough.load(Ordering::Relaxed) {
                    // The first one is large enough for a checkpoint behind it.
                    let sql = if written == 0 { many(8_000) } else { INSERT.to_owned() };
                    written += run_chore(&handle, move |tx| tx.connection().change(&sql, &[])).unwrap();
                    // Refused ones roll their savepoint back, and that is nothing to begin again for.
                    let refused = run_chore(&handle, |tx| {
                        tx.run(INSERT, &[])?;
                        Err(Error::Other("refused".to_owned()))
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
        let there = rows(&copy) - 20_000;
        assert_eq!(sound, "ok");
        assert!((8_000..=written as i64).contains(&there), "{there} of {written}");
        drop(handle);
        writer.stop();
    }

    #[test]
    fn a_copy_that_cannot_be_written_fails_alone() {
        let directory = tempfile::tempdir().unwrap();
        let writer = Writer::start(filled(directory.path(), 2_000), 16, Arc::new(Deaf), Clock::system()).unwrap();
        let to = target(directory.path(), "copy.db");
        to.0.query_row("PRAGMA max_page_count = 20", (), |_| Ok(())).unwrap();
        let error = copy(&writer.handle(), to, || true).err().unwrap();
        assert!(matches!(error, CopyError::Page(_)), "{error}");
        assert_eq!(writer.handle().view().read_only(), None);
        run_chore(&writer.handle(), |tx| tx.change(INSERT, &[])).unwrap();
        let to = target(directory.path(), "another.db");
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
                store.connection.change(INSERT, &[]).unwrap();
            }
            Ok(steps.taken)
        };
        let least = pages as u32 / PAGES_PER_STEP as u32 + 1;
        assert_eq!(from(&store.connection.0).unwrap(), least);
        let error: CopyError = from(&other).unwrap_err();
        assert!(matches!(error, CopyError::Endless(steps) if steps == STEPS_FACTOR * least + 1), "{error}");
    }

    #[test]
    fn without_a_server_the_whole_is_copied_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let store = filled(directory.path(), 1_000);
        let mut to = target(directory.path(), "copy.db");
        assert!(copy_alone(&store.reader().unwrap(), &mut to).unwrap() >= 2);
        assert_eq!(rows(&to.0), 1_000);
    }
}
