//! Removes idempotency keys that no retry needs any more, by a [`Task`] of the housekeeper.
//!
//! A key is good for [`KEY_LIFE_HOURS`] at least; used again after it was removed, it is a new one. Old keys are found by
//! looking at all of them, in slices, on a connection that only reads. An index by age would be as large as the table
//! itself, and every change of every draft would have to keep it up, while this comes once an hour at the most: nothing is
//! looked at before the oldest key that is left is old enough, and a little older.

use std::rc::Rc;
use std::time::Duration;

use super::store::{self, SpentKey};
use crate::clock::{Clock, HOUR_MICROS, Timestamp};
use crate::housekeeper::{Stop, Task};
use crate::store::{ChoreError, Pruned, Pruner, Reader, Run, WriterHandle};

/// For so long a key is kept at the least.
pub(super) const KEY_LIFE_HOURS: i64 = 24;
/// And for so much longer at the most, so that not every run has to look at all keys to remove a few.
const KEY_SLACK_HOURS: i64 = 1;
/// From the time of a key to the run that removes it.
const DUE_MAX_MICROS: i64 = (KEY_LIFE_HOURS + KEY_SLACK_HOURS) * HOUR_MICROS;
/// Keys that are looked at in one reading: a bound of memory, and of how long a reading can hold back a checkpoint.
pub(super) const SLICE_KEYS: i64 = 1000;
/// Keys that one job removes, at most: some milliseconds of the writer, even when each lies on a page of its own.
pub(super) const REMOVED_MAX_KEYS: usize = 500;

/// The task that removes old keys.
#[must_use]
pub(super) fn task(reader: Rc<Reader>, writer: WriterHandle, every: Duration, clock: Clock) -> Task {
    let pruner = Pruner::new(reader, writer, "idempotency_keys.removal_put_off");
    let mut keys = SpentKeys { pruner, clock, due: Timestamp(i64::MIN) };
    Task { name: "idempotency keys", every, run: Box::new(move |stop| keys.run(stop)) }
}

struct SpentKeys {
    pruner: Pruner,
    clock: Clock,
    /// Before this there is nothing to do.
    due: Timestamp,
}

impl SpentKeys {
    fn run(&mut self, stop: &Stop) {
        let now = self.clock.now();
        // A clock that was set back must not put it off for longer than it ever takes.
        if (1..=DUE_MAX_MICROS).contains(&self.due.0.saturating_sub(now.0)) {
            return;
        }
        let before = Timestamp(now.0 - KEY_LIFE_HOURS * HOUR_MICROS);
        let (Pruned { rows: keys, jobs }, ended) = self.pruner.run(stop, |run| remove_old(run, before));
        if jobs > 0 {
            log::info!(keys, jobs, hours = KEY_LIFE_HOURS; "idempotency_keys.removed");
        }
        // Without any key the next to come is as young as can be.
        if let Some(oldest) = ended {
            self.due = Timestamp(oldest.unwrap_or(now).0.saturating_add(DUE_MAX_MICROS));
        }
    }
}

/// Removes every key from before that time; the time of the oldest one that is left, if one is.
fn remove_old(run: &mut Run<'_>, before: Timestamp) -> Result<Option<Timestamp>, ChoreError> {
    let (mut old, mut oldest, mut after) = (Vec::new(), None, None);
    let remove = |run: &mut Run<'_>, keys: Vec<SpentKey>| run.remove(move |tx| store::remove_keys(tx, &keys));
    loop {
        run.go_on()?;
        let slice = store::spent_keys(run.reader, after.as_ref(), SLICE_KEYS)?;
        let Some((last, _)) = slice.last() else { break };
        after = Some(last.clone());
        for (key, created_at) in slice {
            if created_at < before {
                old.push(key);
            } else {
                oldest = Some(oldest.map_or(created_at, |other: Timestamp| other.min(created_at)));
            }
            if old.len() == REMOVED_MAX_KEYS {
                remove(run, std::mem::take(&mut old))?;
            }
        }
    }
    if !old.is_empty() {
        remove(run, old)?;
    }
    Ok(oldest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing;

    const NOW: i64 = 1_766_484_000_000_000;
    const LIFE: i64 = KEY_LIFE_HOURS * HOUR_MICROS;

    struct House {
        store: testing::House,
        keys: SpentKeys,
    }

    impl House {
        /// With that many keys for each age in hours, spread over three drafts.
        fn with(ages: &'static [(i64, i64)]) -> Self {
            let store = testing::House::at(Timestamp(NOW), crate::drafts::MIGRATIONS);
            let (reader, writer, clock) = (Rc::clone(&store.reader), store.handle(), store.clock.clone());
            for draft in 1..=3 {
                store.batch(format!(
                    "INSERT INTO drafts (draft_id, creator_id, title, platform, holder_id, passed_at, created_at, \
                     updated_at) VALUES ({draft}, 'a', 't', 'x', 'a', 0, 0, 0)"
                ));
            }
            let house = Self {
                store,
                keys: SpentKeys { pruner: Pruner::new(reader, writer, "put_off"), clock, due: Timestamp(i64::MIN) },
            };
            for (hours, count) in ages {
                house.spend(NOW - hours * HOUR_MICROS, *count);
            }
            house
        }

        fn spend(&self, at: i64, count: i64) {
            self.store.write(move |tx| {
                for number in 0..count {
                    let operation = if number % 2 == 0 { "pass_ring" } else { "append_segment" };
                    let actor = ["alice", "bob"][usize::try_from(number / 2 % 2).unwrap()];
                    let (draft, key) = (number % 3 + 1, format!("{at}-{number}"));
                    let values = [draft.into(), actor.into(), operation.into(), (&key).into(), at.into()];
                    tx.run("INSERT INTO idempotency_keys VALUES (?1, ?2, ?3, ?4, ?5)", &values).unwrap();
                }
            });
        }

        /// How many keys there are of each age in hours.
        fn ages(&self) -> Vec<(i64, i64)> {
            let sql =
                format!("SELECT ({NOW} - created_at) / 3600000000 AS age, count(*) FROM idempotency_keys GROUP BY age");
            self.store.reader.numbers(&sql).into_iter().map(|[age, count]| (age, count)).collect()
        }

        fn run(&mut self) {
            let (_goes_on, stop) = Stop::channel();
            self.keys.run(&stop);
        }

        fn jobs(&mut self) -> u64 {
            let (_goes_on, stop) = Stop::channel();
            self.store.commits(|| self.keys.run(&stop))
        }

        fn end(self) {
            drop(self.keys);
            self.store.end();
        }
    }

    #[test]
    fn a_key_is_kept_for_its_life_and_removed_after_it() {
        let mut house = House::with(&[(0, 5), (23, 7), (24, 9), (25, 3), (1000, 2)]);
        house.run();
        assert_eq!(house.ages(), [(0, 5), (23, 7), (24, 9)], "exactly so old is not too old");
        house.keys.clock.advance(1);
        house.keys.due = Timestamp(NOW);
        house.run();
        assert_eq!(house.ages(), [(0, 5), (23, 7)]);
        house.end();
    }

    #[test]
    fn many_keys_are_found_in_slices_and_removed_in_small_jobs() {
        let mut house = House::with(&[(1, 1501), (30, 1501), (40, 1), (2, 700)]);
        assert_eq!(house.jobs(), 1502_u64.div_ceil(REMOVED_MAX_KEYS as u64));
        assert_eq!(house.ages(), [(1, 1501), (2, 700)]);
        house.end();
    }

    #[test]
    fn nothing_is_looked_at_before_the_oldest_key_is_old_enough() {
        let mut house = House::with(&[(10, 1)]);
        house.run();
        // Had it looked, it would find these.
        house.spend(NOW - 100 * HOUR_MICROS, 4);
        house.keys.clock.advance(15 * HOUR_MICROS - 1);
        assert_eq!(house.jobs(), 0);
        house.keys.clock.advance(1);
        assert_eq!(house.jobs(), 1);
        assert_eq!(house.ages(), []);
        house.spend(NOW - 100 * HOUR_MICROS, 1);
        house.keys.clock.advance(LIFE + HOUR_MICROS - 1);
        assert_eq!(house.jobs(), 0, "without any key the next to come is young");
        house.keys.clock.advance(1);
        assert_eq!(house.jobs(), 1);
        house.end();
    }

    #[test]
    fn a_clock_that_was_set_back_puts_nothing_off_for_ever() {
        let mut house = House::with(&[(0, 1)]);
        house.keys.clock.advance(1000 * LIFE);
        house.run();
        assert_eq!(house.ages(), []);
        house.keys.clock.advance(-1000 * LIFE);
        house.spend(NOW - 25 * HOUR_MICROS, 1);
        assert_eq!(house.jobs(), 1);
        house.end();
    }

    #[test]
    fn a_stop_or_a_failure_puts_the_rest_off() {
        let mut house = House::with(&[(30, 3)]);
        let (goes_on, stop) = Stop::channel();
        drop(goes_on);
        house.keys.run(&stop);
        assert_eq!(house.ages(), [(30, 3)]);
        house.store.batch(
            "CREATE TRIGGER stands BEFORE DELETE ON idempotency_keys WHEN OLD.draft = 3 \
             BEGIN SELECT raise(ABORT, 'it stands'); END",
        );
        house.run();
        assert_eq!(house.ages(), [(30, 3)], "all of a job or nothing");
        house.store.batch("DROP TRIGGER stands");
        house.run();
        assert_eq!(house.ages(), []);
        house.end();
    }
}
