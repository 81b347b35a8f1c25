//! Keeps the event log of each draft at its newest `EVENTS_KEPT_PER_DRAFT` events, by a [`Task`] of the housekeeper.
//!
//! What is too old is removed oldest first, in small jobs that wait in the writer's queue like everyone else's changes,
//! one at a time. So whatever ends a run, even SIGKILL, what is left of a log is its end without a gap; and a
//! client that asks for what is gone gets an answer that does not begin where it should (`complete: false`).
//!
//! Drafts that are too long are found by looking at all of them, in slices. That is cheaper than it sounds, and than an
//! index, which every change of every draft would have to keep up: 100,000 drafts take 18 ms when none is too long,
//! and 50 ms when every fifth is. Nothing is looked at as long as nothing has been committed.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use super::store;
use crate::housekeeper::{Stop, Task};
use crate::store::{Error, Pruned, Pruner, Reader, WriterHandle};

/// Drafts that are looked at in one reading: a bound of memory, and of how long a reading can hold back a checkpoint.
pub(super) const SLICE_DRAFTS: i64 = 1000;
/// Events that one job removes, at most: some milliseconds of the writer, even when each lies on a page of its own.
pub(super) const REMOVED_MAX_EVENTS: i64 = 500;

/// The task that keeps the newest `kept` events of each draft.
pub(super) fn task(reader: Rc<Reader>, writer: WriterHandle, kept: usize, every: Duration) -> Task {
    let kept = i64::try_from(kept).unwrap_or(i64::MAX);
    let mut retention = Retention { pruner: Pruner::new(reader, writer, "events.removal_put_off"), kept };
    Task { name: "event retention", every, run: Box::new(move |stop| retention.run(stop)) }
}

struct Retention {
    pruner: Pruner,
    kept: i64,
}

impl Retention {
    fn run(&mut self, stop: &Stop) {
        if !self.pruner.is_tidy() {
            self.shorten_all(stop);
        }
    }

    /// Brings all drafts back to their bound; how many there were, and what was removed.
    fn shorten_all(&mut self, stop: &Stop) -> (usize, Pruned) {
        let (kept, mut drafts) = (self.kept, 0);
        let (removed, _) = self.pruner.run(stop, |run| {
            let newest = store::newest_draft(run.reader)?;
            let mut after = 0;
            while after < newest {
                run.go_on()?;
                let mut excesses = VecDeque::from(excesses(run.reader, after, kept)?);
                while !excesses.is_empty() {
                    let too_long = excesses.len();
                    let job = next_job(&mut excesses);
                    run.remove(move |tx| job.iter().map(|one| store::remove_events(tx, one.draft, one.through)).sum())?;
                    drafts += too_long - excesses.len();
                }
                after += SLICE_DRAFTS;
            }
            Ok(())
        });
        let Pruned { rows: events, jobs } = removed;
        if jobs > 0 {
            log::info!(events, drafts, jobs, kept; "events.removed");
        }
        (drafts, removed)
    }
}

/// Events of a draft that are too old, from the oldest to the newest of them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Excess {
    draft: i64,
    oldest: i64,
    through: i64,
}

/// Everything of a draft's log up to a seq.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Removal {
    draft: i64,
    through: i64,
}

/// What to remove next, at most [`REMOVED_MAX_EVENTS`]: as much of the first excess as fits, then of the next. Takes
/// away from `excesses` what it plans; empty when there is nothing more.
fn next_job(excesses: &mut VecDeque<Excess>) -> Vec<Removal> {
    let (mut job, mut room) = (Vec::new(), REMOVED_MAX_EVENTS);
    while let Some(first) = excesses.front_mut().filter(|_| room > 0) {
        let through = first.through.min(first.oldest + room - 1);
        room -= through - first.oldest + 1;
        job.push(Removal { draft: first.draft, through });
        first.oldest = through + 1;
        if first.oldest > first.through {
            excesses.pop_front();
        }
    }
    job
}

/// What is too old in the slice of drafts after row `after`. Rows of drafts are numbered without gaps.
fn excesses(reader: &Reader, after: i64, kept: i64) -> Result<Vec<Excess>, Error> {
    let long = store::long_logs(reader, after, after + SLICE_DRAFTS, kept)?;
    let excess = |(draft, oldest, through): (i64, Option<i64>, i64)| {
        let oldest = oldest.filter(|oldest| *oldest <= through)?;
        Some(Excess { draft, oldest, through })
    };
    Ok(long.into_iter().filter_map(excess).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::drafts::replay;
    use crate::store::testing;

    const KEPT: i64 = 100;

    /// A database whose drafts have logs of these lengths, and what shortens them.
    struct House {
        store: testing::House,
        retention: Retention,
    }

    impl House {
        fn with(lengths: &[i64]) -> Self {
            let store = testing::House::at(Timestamp(0), crate::drafts::MIGRATIONS);
            let pruner = Pruner::new(Rc::clone(&store.reader), store.handle(), "put_off");
            let retention = Retention { pruner, kept: KEPT };
            let mut sql = String::new();
            for (draft, length) in (1..).zip(lengths) {
                sql.push_str(&format!(
                    "INSERT INTO drafts (id, draft_id, creator_id, title, platform, holder_id, event_seq, passed_at, \
                     created_at, updated_at) VALUES ({draft}, '{}', 'a', 't', 'x', 'a', {length}, 0, 0, 0);
                     INSERT INTO events (draft, seq, type, data, request_id, created_at) WITH RECURSIVE \
                     seqs (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM seqs WHERE seq < {length}) \
                     SELECT {draft}, seq, 'collab.segment_added', '{{}}', 'r', 0 FROM seqs;",
                    draft - 1
                ));
            }
            store.batch(sql);
            Self { store, retention }
        }

        /// Number of events and the seq of the oldest, per draft; what is left must be the end of the log.
        fn logs(&self) -> Vec<(i64, i64)> {
            let sql = "SELECT count(*), min(seq), max(seq), event_seq FROM drafts AS d JOIN events AS e \
                       ON e.draft = d.id GROUP BY d.id ORDER BY d.id";
            let rows = self.store.reader.numbers(sql).into_iter().map(|[count, oldest, newest, head]| {
                assert_eq!((newest, newest - oldest + 1), (head, count), "the end of the log without a gap");
                (count, oldest)
            });
            rows.collect()
        }

        fn run(&mut self) -> (usize, Pruned) {
            let (_goes_on, stop) = Stop::channel();
            self.retention.shorten_all(&stop)
        }

        fn end(self) {
            drop(self.retention);
            self.store.end();
        }
    }

    fn excess(draft: i64, oldest: i64, through: i64) -> Excess {
        Excess { draft, oldest, through }
    }

    #[test]
    fn jobs_are_small_and_take_the_oldest_first() {
        let removal = |draft, through| Removal { draft, through };
        let mut excesses = VecDeque::from([excess(1, 1, 2), excess(2, 11, 1110), excess(3, 7, 7), excess(4, 1, 397)]);
        assert_eq!(next_job(&mut excesses), [removal(1, 2), removal(2, 508)]);
        assert_eq!(next_job(&mut excesses), [removal(2, 1008)]);
        assert_eq!(next_job(&mut excesses), [removal(2, 1110), removal(3, 7), removal(4, 397)]);
        assert_eq!(next_job(&mut excesses), []);
        assert!(excesses.is_empty());
    }

    #[test]
    fn the_newest_events_of_each_draft_stay() {
        let mut house = House::with(&[1, KEPT - 1, KEPT, KEPT + 1, 3 * KEPT, 1500, 2]);
        assert_eq!(house.run(), (3, Pruned { rows: 1 + 200 + 1400, jobs: 4 }));
        let logs = [(1, 1), (KEPT - 1, 1), (KEPT, 1), (KEPT, 2), (KEPT, 201), (KEPT, 1401), (2, 1)];
        assert_eq!(house.logs(), logs);
        assert_eq!(house.run(), (0, Pruned::default()));
        let reader = &house.store.reader;
        for (since, complete) in [(0, false), (1399, false), (1400, true), (1450, true), (1500, true), (1501, false)] {
            assert_eq!(replay::since(reader, "5", since).unwrap().complete, complete, "{since}");
            assert_eq!(replay::page(reader, "5", since, 10).unwrap().unwrap().complete, complete, "{since}");
        }
        house.end();
    }

    #[test]
    fn more_drafts_than_a_slice_are_found_all() {
        let lengths: Vec<i64> = (0..2 * SLICE_DRAFTS + 2).map(|number| KEPT + i64::from(number % 500 == 1)).collect();
        let mut house = House::with(&lengths);
        assert_eq!(house.run(), (5, Pruned { rows: 5, jobs: 3 }));
        assert!(house.logs().iter().all(|(count, _)| *count == KEPT));
        house.end();
    }

    #[test]
    fn nothing_is_looked_at_when_nothing_was_committed() {
        let mut house = House::with(&[KEPT]);
        let (_goes_on, stop) = Stop::channel();
        house.retention.run(&stop);
        assert!(house.retention.pruner.is_tidy());
        // Had it looked, it would find a log that is now too long for it.
        house.retention.kept = 1;
        house.retention.run(&stop);
        assert_eq!(house.logs(), [(KEPT, 1)]);
        house.store.write(|_| {});
        house.retention.run(&stop);
        assert_eq!(house.logs(), [(1, KEPT)]);
        house.end();
    }

    #[test]
    fn a_job_that_fails_removes_nothing_and_is_tried_again() {
        let mut house = House::with(&[KEPT + 1]);
        house.store.batch("CREATE TRIGGER stands BEFORE DELETE ON events BEGIN SELECT raise(ABORT, 'it stands'); END");
        assert_eq!((house.run(), house.logs()), ((0, Pruned::default()), vec![(KEPT + 1, 1)]));
        house.store.batch("DROP TRIGGER stands");
        house.run();
        assert_eq!(house.logs(), [(KEPT, 2)]);
        house.end();
    }
}
