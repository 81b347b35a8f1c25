//! Removes idempotency keys that no retry needs any more, by a [`Task`] of the housekeeper.
//!
//! A key is good for [`KEY_LIFE_HOURS`] at least; used again after it was removed, it is a new one. Old keys are found by
//! looking at all of them, in slices, on a connection that only reads. An index by age would be as large as the table
//! itself, and every change of every draft would have to keep it up, while this comes once an hour at the most: nothing is
//! looked at before the oldest key that is left is old enough, and a little older.
//!
//! How old keys are is asked of the [`Timekeeper`]. A key whose time cannot be, because a clock was wrong, gets another one
//! as soon as the clock is trusted, and lives from then on.

use std::rc::Rc;
use std::time::Duration;

use super::store::{self, SpentKey};
use crate::clock::steady::Horizon;
use crate::clock::{HOUR, Retention, Timekeeper, Timestamp};
use crate::housekeeper::{Stop, Task};
use crate::store::{ChoreError, Error, Pruned, Pruner, Reader, Run, Tx, WriterHandle};

/// For so long a key is kept at the least.
pub(in crate::drafts) const KEY_LIFE_HOURS: u32 = 24;
/// And for so much longer at the most, so that not every run has to look at all keys to remove a few.
const SLACK: Duration = HOUR;
/// Keys that are looked at in one reading: a bound of memory, and of how long a reading can hold back a checkpoint.
pub(in crate::drafts) const SLICE_KEYS: i64 = 1000;
/// Keys that one job removes, or dates anew, at most: some milliseconds of the writer, even when each lies on a page of its
/// own.
pub(in crate::drafts) const REMOVED_MAX_KEYS: usize = 500;

/// The task that removes old keys.
#[must_use]
pub(in crate::drafts) fn task(
    reader: Rc<Reader>,
    writer: WriterHandle,
    every: Duration,
    timekeeper: &Timekeeper,
) -> Task {
    let mut keys = SpentKeys::new(reader, writer, timekeeper);
    Task { name: "idempotency keys", every, run: Box::new(move |stop| keys.run(stop)) }
}

struct SpentKeys {
    pruner: Pruner,
    retention: Retention,
    /// The time of the oldest key that the last look has left; without any, that of the look: the next to come is younger.
    oldest: Option<Timestamp>,
}

impl SpentKeys {
    fn new(reader: Rc<Reader>, writer: WriterHandle, timekeeper: &Timekeeper) -> Self {
        let pruner = Pruner::new(reader, writer, "idempotency_keys.removal_put_off");
        Self { pruner, retention: timekeeper.retention("idempotency keys", HOUR * KEY_LIFE_HOURS), oldest: None }
    }

    fn run(&mut self, stop: &Stop) {
        let horizon = self.retention.horizon();
        // Found by a clock that was set back since, it must not put things off for longer than they ever take.
        let known = self.oldest.filter(|oldest| *oldest <= horizon.now);
        let looks = || self.pruner.run(stop, |run| look(run, &horizon)).1;
        let Some(oldest) = known.or_else(looks) else { return };
        self.oldest = Some(oldest);
        let due = Horizon { before: horizon.before.earlier(SLACK), ..horizon };
        if !self.retention.allows(&due, self.oldest) || oldest >= due.before {
            return;
        }
        let (Pruned { rows: keys, jobs }, ended) = self.pruner.run(stop, |run| remove_old(run, &horizon));
        if keys > 0 {
            log::info!(keys, jobs, hours = KEY_LIFE_HOURS; "idempotency_keys.removed");
        }
        self.oldest = ended.or(self.oldest);
    }
}

/// The time of the oldest key whose time can be, or now.
fn look(run: &mut Run<'_>, horizon: &Horizon) -> Result<Timestamp, ChoreError> {
    let mut oldest = horizon.now;
    each_key(run, |_, _, created_at| {
        oldest = if horizon.is_credible(created_at) { oldest.min(created_at) } else { oldest };
        Ok(())
    })?;
    Ok(oldest)
}

/// Removes every key that is too old, and dates those anew whose time cannot be, if the clock is trusted. The time of the
/// oldest that is left, or now.
fn remove_old(run: &mut Run<'_>, horizon: &Horizon) -> Result<Timestamp, ChoreError> {
    let (now, mut oldest, mut dated) = (horizon.now, horizon.now, 0);
    let (mut old, mut undated) = (Vec::new(), Vec::new());
    let remove = store::remove_keys;
    // None of them is removed.
    let date = move |tx: &mut Tx<'_>, keys: &[SpentKey]| store::date_keys(tx, keys, now).map(|_| 0);
    each_key(run, |run, key, created_at| {
        if !horizon.is_credible(created_at) {
            undated.extend(horizon.is_steady.then_some(key));
            dated += u64::from(horizon.is_steady);
        } else if created_at < horizon.before {
            old.push(key);
        } else {
            oldest = oldest.min(created_at);
        }
        change_if(run, &mut old, REMOVED_MAX_KEYS, remove)?;
        change_if(run, &mut undated, REMOVED_MAX_KEYS, date)
    })?;
    change_if(run, &mut old, 1, remove)?;
    change_if(run, &mut undated, 1, date)?;
    if dated > 0 {
        log::info!(keys = dated; "idempotency_keys.dated_anew");
    }
    Ok(oldest)
}

/// Hands `each` every key with its time, in slices between which the run may end.
fn each_key(
    run: &mut Run<'_>,
    mut each: impl FnMut(&mut Run<'_>, SpentKey, Timestamp) -> Result<(), ChoreError>,
) -> Result<(), ChoreError> {
    let mut after = None;
    loop {
        run.go_on()?;
        let slice = store::spent_keys(run.reader, after.as_ref(), SLICE_KEYS)?;
        let Some((last, _)) = slice.last() else { return Ok(()) };
        after = Some(last.clone());
        for (key, created_at) in slice {
            each(run, key, created_at)?;
        }
    }
}

/// Has a job change so many keys or more, if there are so many.
fn change_if(
    run: &mut Run<'_>,
    keys: &mut Vec<SpentKey>,
    least: usize,
    change: impl Fn(&mut Tx<'_>, &[SpentKey]) -> Result<u64, Error> + Send + 'static,
) -> Result<(), ChoreError> {
    if keys.len() >= least {
        let keys = std::mem::take(keys);
        run.remove(move |tx| change(tx, &keys))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::HOUR_MICROS;
    use crate::store::testing;

    const NOW: i64 = 1_766_484_000_000_000;
    const LIFE: i64 = KEY_LIFE_HOURS as i64 * HOUR_MICROS;

    struct House {
        store: testing::House,
        keys: SpentKeys,
    }

    impl House {
        /// With that many keys for each age in hours, spread over three drafts, an hour after the start.
        fn with(ages: &'static [(i64, i64)]) -> Self {
            let house = Self::before(HOUR_MICROS, ages);
            house.store.clock.advance(HOUR_MICROS);
            house
        }

        /// The same so much before.
        fn before(micros: i64, ages: &'static [(i64, i64)]) -> Self {
            let store = testing::House::at(Timestamp(NOW - micros), crate::drafts::MIGRATIONS);
            let timekeeper = Timekeeper::new(store.clock.clone(), || None);
            let keys = SpentKeys::new(Rc::clone(&store.reader), store.handle(), &timekeeper);
            for draft in 1..=3 {
                store.batch(format!(
                    "INSERT INTO drafts (draft_id, creator_id, title, platform, holder_id, passed_at, created_at, \
                     updated_at) VALUES ({draft}, 'a', 't', 'x', 'a', 0, 0, 0)"
                ));
            }
            let house = Self { store, keys };
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
                    let sql = "INSERT INTO idempotency_keys (draft, actor_id, operation, key, created_at) \
                               VALUES (?1, ?2, ?3, ?4, ?5)";
                    tx.run(sql, &values).unwrap();
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
        house.store.clock.advance(HOUR_MICROS);
        house.run();
        assert_eq!(house.ages(), [(0, 5), (23, 7), (24, 9)], "not every run looks at all keys to remove a few");
        house.store.clock.advance(1);
        house.run();
        assert_eq!(house.ages(), [(0, 5)]);
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
        house.store.clock.advance(15 * HOUR_MICROS);
        assert_eq!(house.jobs(), 0);
        house.store.clock.advance(1);
        assert_eq!(house.jobs(), 1);
        assert_eq!(house.ages(), []);
        house.spend(NOW - 100 * HOUR_MICROS, 1);
        house.store.clock.advance(LIFE + HOUR_MICROS);
        assert_eq!(house.jobs(), 0, "without any key the next to come is young");
        house.store.clock.advance(1);
        assert_eq!(house.jobs(), 1);
        house.end();
    }

    #[test]
    fn a_clock_that_is_years_off_for_a_while_removes_no_key_and_puts_nothing_off_for_ever() {
        let mut house = House::with(&[(0, 1), (2, 3)]);
        for years in [12, -60, 300] {
            let jump = years * 365 * LIFE;
            house.store.clock.set(jump);
            house.run();
            // A key that is spent meanwhile.
            house.spend(NOW + jump, 1);
            house.store.clock.advance(HOUR_MICROS / 2);
            house.run();
            house.store.clock.set(-jump);
            house.run();
            assert_eq!(house.store.reader.number("SELECT count(*) FROM idempotency_keys"), 5);
            house.store.batch(format!("DELETE FROM idempotency_keys WHERE created_at = {}", NOW + jump));
        }
        house.store.clock.advance(LIFE);
        house.run();
        assert_eq!(house.ages(), []);
        house.end();
    }

    #[test]
    fn a_key_whose_time_cannot_be_lives_from_when_the_clock_is_believed() {
        let mut house = House::before(HOUR_MICROS, &[(1, 2)]);
        house.spend(NOW + 400 * LIFE, 3);
        house.spend(7, 4);
        house.run();
        let lives = |house: &House| house.store.reader.number("SELECT count(*) FROM idempotency_keys");
        house.store.clock.advance(LIFE + 2 * HOUR_MICROS);
        house.run();
        assert_eq!(lives(&house), 7);
        let dated = format!("SELECT count(*) FROM idempotency_keys WHERE created_at = {}", NOW + LIFE + HOUR_MICROS);
        assert_eq!(house.store.reader.number(&dated), 7);
        house.store.clock.advance(LIFE + HOUR_MICROS);
        house.run();
        assert_eq!(lives(&house), 7);
        house.store.clock.advance(1);
        house.run();
        assert_eq!(lives(&house), 0);
        house.end();
    }

    #[test]
    fn after_a_long_time_off_an_hour_is_waited_for() {
        let mut house = House::before(0, &[(1, 1), (27, 3)]);
        assert_eq!(house.jobs(), 0);
        house.store.clock.advance(HOUR_MICROS - 1);
        assert_eq!(house.jobs(), 0);
        house.store.clock.advance(1);
        assert_eq!(house.jobs(), 1);
        assert_eq!(house.ages(), [(1, 1)]);
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
