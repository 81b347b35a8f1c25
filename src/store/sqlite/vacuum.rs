//! Gives the disk back what removed rows have left free in the database, by a [`Task`].
//!
//! SQLite can only cut off the end of a file, so pages from there are moved into the free ones: work for the writer, done
//! in small jobs that wait in its queue like everyone else's changes. What will soon be written again is not worth moving
//! anything for, so some pages stay free, and nothing is done until there are twice as many. The file itself gets shorter
//! with the next checkpoint.

use std::rc::Rc;
use std::time::Duration;

use rusqlite::Connection;

use crate::housekeeper::{Stop, Task};
use crate::store::error::Error;
use crate::store::handle::WriterHandle;
use crate::store::prune::{Pruned, Pruner};
use crate::store::reader::{Query as _, Reader};
use crate::store::tx::Tx;

/// As many pages (of 4096 bytes) stay free at the least …
pub(super) const FREE_KEPT_PAGES: u64 = 1024;
/// … and one for so many that are in use.
const USED_PER_FREE_PAGE: u64 = 8;
/// Pages that one job gives back, at most: a few milliseconds of the writer.
pub(super) const VACUUM_STEP_PAGES: u64 = 64;
/// `PRAGMA auto_vacuum` of a database that can give back pages one by one.
const INCREMENTAL: i64 = 2;

/// The task that keeps no more free than will soon be used.
pub fn task(reader: Rc<Reader>, writer: WriterHandle, every: Duration) -> Task {
    let pruner = Pruner::new(reader, writer, "store.vacuum_put_off");
    let mut vacuum = Vacuum { pruner, kept_min: FREE_KEPT_PAGES, is_possible: None };
    Task { name: "vacuum", every, run: Box::new(move |stop| vacuum.run(stop)) }
}

struct Vacuum {
    pruner: Pruner,
    /// [`FREE_KEPT_PAGES`], but in tests.
    kept_min: u64,
    /// Whether the database was made for it, once that is known.
    is_possible: Option<bool>,
}

/// How large a database is, and how much of it is free.
#[derive(Debug, PartialEq, Eq)]
struct Pages {
    all: u64,
    free: u64,
}

impl Vacuum {
    fn run(&mut self, stop: &Stop) {
        if self.is_possible != Some(false) && !self.pruner.is_tidy() {
            self.give_back(stop);
        }
    }

    /// Gives back what is free but for what will soon be used.
    fn give_back(&mut self, stop: &Stop) -> Pruned {
        let (kept_min, mut is_possible) = (self.kept_min, self.is_possible);
        let (given, _) = self.pruner.run(stop, |run| {
            if !can(run.reader, &mut is_possible)? {
                return Ok(());
            }
            let Pages { all, free } = Pages::of(&run.reader.connection().0).map_err(Error::from)?;
            let kept = kept_min.max(all.saturating_sub(free) / USED_PER_FREE_PAGE);
            let mut excess = free.saturating_sub(kept);
            if excess <= kept {
                return Ok(());
            }
            while excess > 0 {
                let pages = run.remove(move |tx| Ok(give_back(tx, excess.min(VACUUM_STEP_PAGES))?))?;
                // Others may have used what was free before.
                if pages == 0 {
                    return Ok(());
                }
                excess = excess.saturating_sub(pages);
            }
            Ok(())
        });
        self.is_possible = is_possible;
        let Pruned { rows: pages, jobs } = given;
        if jobs > 0 {
            log::info!(pages, jobs; "store.vacuumed");
        }
        given
    }
}

/// Whether the database was made for it.
fn can(reader: &Reader, is_possible: &mut Option<bool>) -> Result<bool, Error> {
    if let Some(known) = *is_possible {
        return Ok(known);
    }
    let mode: i64 = reader.connection().0.pragma_query_value(None, "auto_vacuum", |row| row.get(0))?;
    let possible = mode == INCREMENTAL;
    if !possible {
        log::info!(
            auto_vacuum = mode;
            "this database was created without auto_vacuum=INCREMENTAL: space of removed data is reused, but the \
             file never shrinks"
        );
    }
    *is_possible = Some(possible);
    Ok(possible)
}

impl Pages {
    fn of(connection: &Connection) -> rusqlite::Result<Self> {
        let count = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        let (all, free) = (count("page_count")?, count("freelist_count")?);
        Ok(Self { all: all.unsigned_abs(), free: free.unsigned_abs() })
    }
}

/// Takes so many pages off the database's end, as far as there are free ones. How many it was.
fn give_back(tx: &mut Tx<'_>, pages: u64) -> rusqlite::Result<u64> {
    let connection = &tx.connection().0;
    let before = Pages::of(connection)?.all;
    {
        // It does one page with each step, and each is a row without columns.
        let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
        let mut steps = statement.query(())?;
        while steps.next()?.is_some() {}
    }
    let given = before.saturating_sub(Pages::of(connection)?.all);
    tx.moved_pages(given);
    Ok(given)
}

#[cfg(test)]
mod tests {
    use super::super::check::{Depth, faults};
    use super::*;
    use crate::clock::{Clock, Timestamp};
    use crate::store::schema::Migration;
    use crate::store::testing;

    const FILLED: &[Migration] =
        &[Migration { version: 1, sql: "CREATE TABLE filled (key TEXT PRIMARY KEY) STRICT, WITHOUT ROWID" }];

    const KEPT: u64 = 100;

    struct House {
        store: testing::House,
        vacuum: Vacuum,
    }

    /// Rows that take up a page and a little more each.
    fn fill(rows: std::ops::Range<i64>) -> String {
        format!(
            "INSERT INTO filled SELECT printf('%08d', value) || hex(zeroblob(900)) FROM (WITH RECURSIVE n (value) AS \
             (SELECT {} UNION ALL SELECT value + 1 FROM n WHERE value + 1 < {}) SELECT value FROM n)",
            rows.start, rows.end
        )
    }

    impl House {
        fn on(store: testing::House) -> Self {
            let (reader, writer) = (Rc::clone(&store.reader), store.handle());
            Self {
                store,
                vacuum: Vacuum { pruner: Pruner::new(reader, writer, "put_off"), kept_min: KEPT, is_possible: None },
            }
        }

        /// With 2000 rows.
        fn new() -> Self {
            let house = Self::on(testing::House::at(Timestamp(0), FILLED));
            house.store.batch(fill(0..2000));
            house
        }

        fn remove(&self, rows: std::ops::Range<i64>) {
            let (start, end) = (rows.start, rows.end);
            self.store.batch(format!("DELETE FROM filled WHERE key >= '{start:08}' AND key < '{end:08}'"));
        }

        fn pages(&self) -> Pages {
            Pages::of(&self.store.reader.connection().0).unwrap()
        }

        fn rows(&self) -> i64 {
            assert_eq!(faults(&self.store.reader, Depth::Indexes, 1), Ok(Vec::new()));
            self.store.reader.number("SELECT count(*) FROM filled")
        }

        fn run(&mut self) -> Pruned {
            let (_goes_on, stop) = Stop::channel();
            self.vacuum.give_back(&stop)
        }

        fn end(self) -> tempfile::TempDir {
            drop(self.vacuum);
            self.store.end()
        }
    }

    #[test]
    fn what_is_free_goes_in_small_steps_but_for_what_will_be_used_again() {
        let mut house = House::new();
        assert_eq!(house.run(), Pruned::default());
        // From the beginning, so that pages of the end have to move there.
        house.remove(0..1500);
        let before = house.pages();
        assert!(before.free > 4 * KEPT, "{before:?}");
        let given = house.run();
        let after = house.pages();
        let kept = KEPT.max((before.all - before.free) / USED_PER_FREE_PAGE);
        // With every thousandth page that goes, a page of SQLite's own goes as well.
        assert!(after.free.abs_diff(kept) < 4, "{before:?} {after:?}");
        assert_eq!(before.all - after.all, given.rows);
        assert!(given.jobs >= given.rows / (VACUUM_STEP_PAGES + 4), "{given:?}");
        assert_eq!(house.rows(), 500);
        assert_eq!(house.run(), Pruned::default());
        let file = house.store.path();
        let _directory = house.end();
        assert_eq!(std::fs::metadata(file).unwrap().len(), after.all * 4096);
    }

    #[test]
    fn a_little_that_is_free_is_left_for_the_next_rows() {
        let mut house = House::new();
        house.remove(0..150);
        let free = house.pages().free;
        assert!(free > KEPT && free < 2 * KEPT, "{free}");
        assert_eq!(house.run(), Pruned::default());
        house.end();
    }

    #[test]
    fn the_file_gets_shorter_on_the_way_and_the_log_not_longer_and_longer() {
        let mut house = House::new();
        house.store.batch(fill(10_000..14_000));
        house.remove(0..13_000);
        let given = house.run();
        assert!(given.rows > 4000, "{given:?}");
        let file = std::fs::metadata(house.store.path()).unwrap().len() / 4096;
        // What is behind the last checkpoint is in the log alone.
        assert!(file <= house.pages().all + 1100, "{file} pages: {:?}", house.pages());
        assert_eq!(house.rows(), 1000);
        house.end();
    }

    #[test]
    fn nothing_is_looked_at_when_nothing_was_committed() {
        let mut house = House::new();
        let (_goes_on, stop) = Stop::channel();
        house.remove(0..1500);
        house.vacuum.kept_min = u64::MAX;
        house.vacuum.run(&stop);
        // Had it looked, it would find pages to give back.
        house.vacuum.kept_min = KEPT;
        let before = house.pages();
        house.vacuum.run(&stop);
        assert_eq!(house.pages(), before);
        house.store.write(|_| {});
        house.vacuum.run(&stop);
        assert!(house.pages().all < before.all);
        house.end();
    }

    #[test]
    fn a_stop_ends_it_between_two_steps() {
        let mut house = House::new();
        house.remove(0..1500);
        let before = house.pages();
        let (goes_on, stop) = Stop::channel();
        drop(goes_on);
        house.vacuum.run(&stop);
        assert_eq!((house.pages(), house.vacuum.pruner.is_tidy()), (before, false));
        house.end();
    }

    #[test]
    fn a_database_that_was_not_made_for_it_is_left_alone() {
        let house = House::new();
        house.remove(0..1500);
        let directory = house.end();
        let connection = Connection::open(directory.path().join("a.db")).unwrap();
        connection.execute_batch("PRAGMA auto_vacuum = NONE; PRAGMA journal_mode = DELETE; VACUUM").unwrap();
        let mode: i64 = connection.pragma_query_value(None, "auto_vacuum", |row| row.get(0)).unwrap();
        assert_eq!(mode, 0);
        drop(connection);
        let mut house = House::on(testing::House::open(directory, Clock::system(), FILLED));
        house.store.batch(fill(20_000..22_000));
        house.remove(20_000..22_000);
        let before = house.pages();
        assert!(before.free > 2 * KEPT);
        assert_eq!(house.run(), Pruned::default());
        assert_eq!((house.pages(), house.vacuum.is_possible, house.rows()), (before, Some(false), 500));
        house.end();
    }
}
