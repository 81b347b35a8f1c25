//! Takes the texts out of drafts that were deleted, by a [`Task`] of the housekeeper, and after [`GONE_DAYS`] the knowledge that
//! they were there.
//!
//! Segments are emptied where they lie, in small jobs; names, passes and events are removed. What is left is rows without a word
//! in them. The draft's own row is emptied last, so that a run that was cut short is taken up again.

use std::rc::Rc;
use std::time::Duration;

use super::store::{self, Remains};
use crate::clock::{DAY, Retention, Timekeeper};
use crate::housekeeper::{Stop, Task};
use crate::store::{ChoreError, Pruned, Pruner, Reader, Run, WriterHandle};

/// For so long those who ask for a deleted draft are told that it was deleted. From then on it never was.
pub(in crate::drafts) const GONE_DAYS: u32 = 7;
/// Segments that one job empties, or rows of each other kind that it removes, at most: some milliseconds of the writer, even
/// when each lies on a page of its own.
pub(in crate::drafts) const PURGED_MAX_ROWS: i64 = 500;
/// Deleted drafts that are looked up at once.
const SLICE_DRAFTS: i64 = 100;

/// The task that purges deleted drafts.
#[must_use]
pub(in crate::drafts) fn task(
    reader: Rc<Reader>,
    writer: WriterHandle,
    every: Duration,
    timekeeper: &Timekeeper,
) -> Task {
    let mut purge = Purge::new(reader, writer, timekeeper);
    Task { name: "deleted drafts", every, run: Box::new(move |stop| purge.run(stop)) }
}

struct Purge {
    pruner: Pruner,
    retention: Retention,
}

impl Purge {
    fn new(reader: Rc<Reader>, writer: WriterHandle, timekeeper: &Timekeeper) -> Self {
        let pruner = Pruner::new(reader, writer, "drafts.purge_put_off");
        Self { pruner, retention: timekeeper.retention("deleted drafts", DAY * GONE_DAYS) }
    }

    fn run(&mut self, stop: &Stop) {
        if !self.pruner.is_tidy() {
            let (Pruned { rows, jobs }, drafts) = self.pruner.run(stop, purge_all);
            if jobs > 0 {
                log::info!(drafts = drafts.unwrap_or_default(), rows, jobs; "drafts.purged");
            }
        }
        let horizon = self.retention.horizon();
        let oldest = match store::oldest_deleted(self.pruner.reader()) {
            Ok(oldest) => oldest,
            Err(error) => return log::warn!(error = error.to_string(); "drafts.purge_put_off"),
        };
        let is_due = oldest.is_some_and(|oldest| oldest < horizon.before);
        if is_due && self.retention.allows(&horizon, oldest) {
            self.pruner.run(stop, |run| {
                while run.remove(move |tx| store::forget(tx, horizon.before, PURGED_MAX_ROWS))? > 0 {}
                Ok(())
            });
        }
    }
}

/// Purges every draft that was deleted. How many it were.
fn purge_all(run: &mut Run<'_>) -> Result<u64, ChoreError> {
    let mut drafts = 0;
    loop {
        let slice = store::to_purge(run.reader, SLICE_DRAFTS)?;
        if slice.is_empty() {
            return Ok(drafts);
        }
        for Remains { draft, segments } in slice {
            for from in (0..segments).step_by(PURGED_MAX_ROWS as usize) {
                run.remove(move |tx| store::purge_segments(tx, draft, from, from + PURGED_MAX_ROWS))?;
            }
            while run.remove(move |tx| store::purge_rest(tx, draft, PURGED_MAX_ROWS))? > 0 {}
            run.remove(move |tx| store::purge_head(tx, draft))?;
            drafts += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{HOUR_MICROS, Timestamp};
    use crate::store::testing;

    const NOW: i64 = 1_766_484_000_000_000;

    struct House {
        store: testing::House,
        purge: Purge,
    }

    impl House {
        /// Of three drafts the second is deleted, with that many segments and events.
        fn with(segments: i64) -> Self {
            let store = testing::House::at(Timestamp(NOW), crate::drafts::MIGRATIONS);
            let timekeeper = Timekeeper::new(store.clock.clone(), || None);
            let purge = Purge::new(Rc::clone(&store.reader), store.handle(), &timekeeper);
            for draft in 1..=3 {
                store.batch(format!(
                    "INSERT INTO drafts (id, draft_id, creator_id, title, platform, holder_id, segment_count, passed_at, \
                     created_at, updated_at, deleted_at) VALUES \
                     ({draft}, 'd{draft}', 'a', 't', 'x', 'a', {segments}, 0, 0, 0, {}); \
                     INSERT INTO draft_collaborators (draft, user_id, role, joined_at) VALUES ({draft}, 'a', 'owner', 0); \
                     INSERT INTO ring_passes (draft, from_user, to_user, passed_at) VALUES ({draft}, 'a', 'a', 0); \
                     WITH RECURSIVE n (at) AS (SELECT 0 UNION ALL SELECT at + 1 FROM n WHERE at < {segments} - 1) \
                     INSERT INTO draft_segments (draft, segment_order, segment_id, user_id, content, created_at) \
                     SELECT {draft}, at, 's' || at, 'a', 'words', 0 FROM n; \
                     INSERT INTO events (draft, seq, type, data, request_id, created_at) \
                     SELECT {draft}, segment_order + 1, 'collab.segment_added', '{{}}', 'r', 0 FROM draft_segments \
                     WHERE draft = {draft}",
                    if draft == 2 { NOW.to_string() } else { "NULL".to_owned() }
                ));
            }
            // A clock that has just begun to run is not trusted.
            store.clock.advance(HOUR_MICROS);
            Self { store, purge }
        }

        fn run(&mut self) {
            let (_goes_on, stop) = Stop::channel();
            self.purge.run(&stop);
        }

        fn number(&self, sql: &str) -> i64 {
            self.store.reader.number(sql)
        }

        fn end(self) {
            drop(self.purge);
            self.store.end();
        }
    }

    #[test]
    fn a_deleted_draft_is_emptied_in_small_jobs_and_nothing_of_others() {
        let segments = 2 * PURGED_MAX_ROWS + 1;
        let mut house = House::with(segments);
        let (_goes_on, stop) = Stop::channel();
        let jobs = house.store.commits(|| house.purge.run(&stop));
        // Of segments three, of the rest as many and one that finds nothing, and the draft's own row.
        assert_eq!(jobs, 3 + 4 + 1);
        for (table, left) in [("draft_collaborators", 2), ("ring_passes", 2), ("events", 2 * segments)] {
            assert_eq!(house.number(&format!("SELECT count(*) FROM {table}")), left, "{table}");
        }
        assert_eq!(house.number("SELECT count(*) FROM draft_segments WHERE content = 'words'"), 2 * segments);
        let emptied = "SELECT count(*) FROM draft_segments WHERE content || segment_id || user_id = ''";
        assert_eq!(house.number(emptied), segments, "the rows stay where they are");
        assert_eq!(house.number("SELECT count(*) FROM drafts WHERE title || platform || creator_id = ''"), 1);
        house.run();
        house.run();
        assert!(house.purge.pruner.is_tidy());
        house.end();
    }

    #[test]
    fn what_was_cut_short_is_taken_up_again() {
        let mut house = House::with(3);
        house
            .store
            .batch("CREATE TRIGGER stands BEFORE DELETE ON ring_passes BEGIN SELECT raise(ABORT, 'it stands'); END");
        house.run();
        assert_eq!(house.number("SELECT count(*) FROM drafts WHERE creator_id = ''"), 0);
        house.store.batch("DROP TRIGGER stands");
        house.run();
        assert_eq!(house.number("SELECT count(*) FROM drafts WHERE creator_id = ''"), 1);
        house.end();
    }

    #[test]
    fn after_a_week_nobody_can_tell_that_it_was_there() {
        let mut house = House::with(1);
        let told = "SELECT count(*) FROM drafts WHERE deleted_at > 0";
        house.run();
        house.store.clock.advance((i64::from(GONE_DAYS) * 24 - 1) * HOUR_MICROS);
        house.run();
        assert_eq!(house.number(told), 1, "exactly so old is not too old");
        house.store.clock.advance(1);
        house.run();
        assert_eq!((house.number(told), house.number("SELECT count(*) FROM drafts WHERE deleted_at = 0")), (0, 1));
        house.end();
    }
}
