//! What the housekeeper does for the log: removes rows that are too old, and notes the head of the chain in the server's
//! log, which is kept elsewhere than the database.
//!
//! Rows are removed from the beginning of the chain only, in small jobs that wait in the writer's queue like everyone
//! else's changes; each leaves id and hash of the last one it took as the anchor, in the same transaction. The order of
//! rows counts, and how old they are is asked of the [`Timekeeper`].

use std::rc::Rc;
use std::time::Duration;

use super::chain::Link;
use super::store;
use crate::clock::{DAY, Retention, Timekeeper};
use crate::housekeeper::{Stop, Task};
use crate::store::{ChoreError, Error, Pruned, Pruner, Reader, Run, WriterHandle};
use crate::text::hex;

/// Rows that one job removes, at most.
pub(super) const REMOVED_MAX_ROWS: i64 = 500;

/// The task that looks after the log. Rows are kept for `days`, 0 is for ever.
#[must_use]
pub fn task(reader: Rc<Reader>, writer: WriterHandle, days: u32, every: Duration, timekeeper: &Timekeeper) -> Task {
    let mut upkeep = Upkeep::new(reader, writer, days, timekeeper);
    Task { name: "audit upkeep", every, run: Box::new(move |stop| upkeep.run(stop)) }
}

const PUT_OFF: &str = "audit.upkeep_put_off";

struct Upkeep {
    pruner: Pruner,
    days: u32,
    /// Nothing if they are kept for ever.
    retention: Option<Retention>,
    /// The row that was the head when it was last logged.
    noted: i64,
}

impl Upkeep {
    fn new(reader: Rc<Reader>, writer: WriterHandle, days: u32, timekeeper: &Timekeeper) -> Self {
        let retention = (days > 0).then(|| timekeeper.retention("audit rows", DAY * days));
        Self { pruner: Pruner::new(reader, writer, PUT_OFF), days, retention, noted: 0 }
    }

    fn run(&mut self, stop: &Stop) {
        let retention = &mut self.retention;
        let (Pruned { rows, .. }, ended) = self.pruner.run(stop, |run| match retention {
            Some(retention) => remove_old(run, retention),
            None => Ok(()),
        });
        if rows > 0 {
            log::info!(rows, days = self.days; "audit.removed");
        }
        if ended.is_some()
            && let Err(reason) = self.note_head()
        {
            log::warn!(error = reason.to_string(); "{PUT_OFF}");
        }
    }

    /// Who keeps the server's log elsewhere can hold the chain to it later.
    fn note_head(&mut self) -> Result<(), Error> {
        let Link { id, hash } = store::head(self.pruner.reader())?;
        if id != self.noted {
            log::info!(id, hash = hex(&hash); "audit.head");
            self.noted = id;
        }
        Ok(())
    }
}

/// Removes from the beginning what is too old.
fn remove_old(run: &mut Run<'_>, retention: &mut Retention) -> Result<(), ChoreError> {
    let horizon = retention.horizon();
    let oldest = store::oldest(run.reader, &horizon)?;
    let last = match oldest {
        Some(oldest) if oldest < horizon.before => store::last_old(run.reader, &horizon)?,
        _ => None,
    };
    if !retention.allows(&horizon, oldest) {
        return Ok(());
    }
    if let Some(last) = last {
        while run.remove(move |tx| store::remove(tx, last, REMOVED_MAX_ROWS))? == REMOVED_MAX_ROWS as u64 {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::verify::verify;
    use crate::audit::{Audit, Entry, Field};
    use crate::clock::{DAY_MICROS, HOUR_MICROS, Timestamp};
    use crate::store::{run_chore, testing};

    const NOW: i64 = 1_766_484_000_000_000;

    struct House {
        store: testing::House,
        audit: Audit,
        upkeep: Upkeep,
    }

    impl House {
        /// An hour after the start.
        fn new(days: u32) -> Self {
            let store = testing::House::at(Timestamp(NOW - HOUR_MICROS), crate::audit::MIGRATIONS);
            let timekeeper = Timekeeper::new(store.clock.clone(), || None);
            store.clock.advance(HOUR_MICROS);
            Self {
                upkeep: Upkeep::new(Rc::clone(&store.reader), store.handle(), days, &timekeeper),
                audit: Audit::new(1.0),
                store,
            }
        }

        /// Changes of that kind, recorded; whether the job is kept.
        fn change(&self, number: i64, is_kept: bool) -> bool {
            let audit = self.audit.clone();
            let undone = || Error::Other("undone".to_owned());
            let done = run_chore(&self.store.handle(), move |tx| {
                tx.batch(&format!(
                    "INSERT INTO probe (id, probed_at) VALUES (1, {number}) ON CONFLICT DO UPDATE SET probed_at = {number}"
                ))?;
                let witness = audit.witness("192.0.2.1".parse().unwrap(), None).unwrap();
                let metadata = &[("number", Field::Number(number))];
                let entry = Entry { request_id: "r", user_id: "alice", action: "test.change", subject: "d", metadata };
                witness.record(tx, &entry).map_err(|_| undone())?;
                if is_kept { Ok(1) } else { Err(undone()) }
            });
            done.is_ok()
        }

        /// The numbers of the changes that are recorded, in their order; the chain must hold.
        fn recorded(&self) -> Vec<i64> {
            assert_eq!(verify(&self.store.reader, None).unwrap().fault, None);
            let sql = "SELECT metadata ->> 'number' FROM audit_events ORDER BY id";
            self.store.reader.numbers(sql).into_iter().map(|[number]| number).collect()
        }

        fn changed(&self) -> i64 {
            self.store.reader.number("SELECT probed_at FROM probe")
        }

        fn run(&mut self) {
            let (_goes_on, stop) = Stop::channel();
            self.upkeep.run(&stop);
        }

        fn end(self) {
            drop(self.upkeep);
            self.store.end();
        }
    }

    #[test]
    fn old_rows_go_from_the_beginning_in_small_jobs_and_the_chain_still_holds() {
        let mut house = House::new(7);
        for number in 1..=3 {
            house.change(number, true);
        }
        house.run();
        assert_eq!((house.recorded(), house.upkeep.noted), (vec![1, 2, 3], 3));
        house.store.clock.advance(7 * DAY_MICROS);
        house.run();
        assert_eq!(house.recorded(), [1, 2, 3], "exactly so old is not too old");
        house.store.clock.advance(1);
        for number in 4..=5 {
            house.change(number, true);
        }
        house.run();
        assert_eq!(house.recorded(), [4, 5]);
        assert_eq!(store::anchor(&*house.store.reader).unwrap().id, 3);
        house.store.clock.advance(8 * DAY_MICROS);
        house.run();
        assert_eq!(house.recorded(), [0; 0]);
        house.change(6, true);
        assert_eq!(
            (house.recorded(), store::head(&*house.store.reader).unwrap().id),
            (vec![6], 6),
            "ids are not used again"
        );
        house.end();
    }

    #[test]
    fn many_old_rows_are_removed_in_several_jobs() {
        let mut house = House::new(1);
        let audit = house.audit.clone();
        let many = 2 * REMOVED_MAX_ROWS + 7;
        house.store.write(move |tx| {
            for number in 0..many {
                let witness = audit.witness("::1".parse().unwrap(), None).unwrap();
                let metadata = &[("number", Field::Number(number))];
                let entry = Entry { request_id: "r", user_id: "a", action: "test", subject: "d", metadata };
                witness.record(tx, &entry).unwrap();
            }
        });
        house.store.clock.advance(2 * DAY_MICROS);
        let before = house.store.reader.version().unwrap();
        house.change(many, true);
        house.run();
        assert_eq!(house.recorded(), [many]);
        assert_eq!(house.store.reader.version().unwrap() - before, 1 + 3);
        house.end();
    }

    #[test]
    fn a_row_that_is_not_too_old_stops_the_removal_even_when_older_ones_come_after_it() {
        let mut house = House::new(7);
        house.change(1, true);
        house.change(2, true);
        house.change(3, true);
        // As after a start with the clock set back.
        let set_back = "UPDATE audit_events SET ts = ts - 100 * 86400000000 WHERE id <> 2";
        house.store.batch(set_back);
        house.run();
        let left = house.store.reader.number("SELECT count(*) FROM audit_events");
        assert_eq!((left, store::anchor(&*house.store.reader).unwrap().id), (2, 1));
        house.end();
    }

    #[test]
    fn a_clock_that_is_years_off_for_a_while_removes_no_row() {
        let mut house = House::new(7);
        for number in 1..=3 {
            house.change(number, true);
        }
        for years in [12, -60] {
            house.store.clock.set(years * 365 * DAY_MICROS);
            house.run();
            house.change(4 + years, true);
            house.store.clock.advance(HOUR_MICROS / 2);
            house.run();
            house.store.clock.set(-years * 365 * DAY_MICROS);
            house.run();
        }
        assert_eq!(house.recorded().len(), 5);
        house.store.clock.advance(HOUR_MICROS);
        house.run();
        assert_eq!(house.recorded().len(), 5);
        house.store.clock.advance(7 * DAY_MICROS);
        house.run();
        assert_eq!(house.recorded(), [16, -56], "those of a time that is not yet wait for one that is old");
        house.end();
    }

    #[test]
    fn a_row_whose_time_cannot_be_goes_with_the_next_that_is_too_old() {
        let mut house = House::new(7);
        for number in 1..=6 {
            house.change(number, true);
        }
        // Written at the first start of a board without a clock, and in a year that is not yet.
        house.store.batch("UPDATE audit_events SET ts = 7 WHERE id <= 2");
        house.store.batch("UPDATE audit_events SET ts = ts + 4000 * 86400000000 WHERE id = 4");
        let left = |house: &House| house.store.reader.number("SELECT count(*) FROM audit_events");
        house.run();
        house.store.clock.advance(7 * DAY_MICROS);
        house.run();
        assert_eq!(left(&house), 6);
        house.store.batch("UPDATE audit_events SET ts = ts + 3600000000 WHERE id >= 5");
        house.store.clock.advance(1);
        house.run();
        assert_eq!((left(&house), store::anchor(&*house.store.reader).unwrap().id), (3, 3));
        house.store.clock.advance(HOUR_MICROS);
        house.run();
        assert_eq!(left(&house), 0);
        house.end();
    }

    #[test]
    fn after_a_long_time_off_an_hour_is_waited_for() {
        let mut house = House::new(7);
        house.change(1, true);
        house.store.clock.advance(8 * DAY_MICROS);
        // As at the next start.
        let timekeeper = Timekeeper::new(house.store.clock.clone(), || None);
        house.upkeep = Upkeep::new(Rc::clone(&house.store.reader), house.store.handle(), 7, &timekeeper);
        house.run();
        assert_eq!((house.recorded(), timekeeper.look().waiting), (vec![1], vec!["audit rows"]));
        assert!(timekeeper.look().suspect.is_some());
        house.store.clock.advance(HOUR_MICROS);
        house.run();
        assert_eq!((house.recorded(), timekeeper.look().suspect), (vec![], None));
        assert_eq!(timekeeper.look().waiting, [""; 0]);
        house.end();
    }

    #[test]
    fn a_row_that_cannot_be_written_takes_its_change_with_it() {
        let house = House::new(0);
        house.change(1, true);
        let refuses = "CREATE TRIGGER refuses AFTER INSERT ON audit_events BEGIN SELECT raise(FAIL, 'no more'); END";
        house.store.batch(refuses);
        assert!(!house.change(2, true));
        assert_eq!((house.recorded(), house.changed(), house.audit.failures()), (vec![1], 1, 1));
        house.store.batch("DROP TRIGGER refuses; ALTER TABLE audit_events RENAME TO elsewhere");
        assert!(!house.change(3, true));
        house.store.batch("ALTER TABLE elsewhere RENAME TO audit_events");
        assert!(house.change(4, true) && !house.change(5, false));
        assert_eq!((house.recorded(), house.changed(), house.audit.rows()), (vec![1, 4], 4, 2));
        house.end();
    }

    #[test]
    fn a_trigger_that_rolls_everything_back_fails_the_change_and_records_nothing() {
        let house = House::new(0);
        let rolls_back =
            "CREATE TRIGGER ends BEFORE INSERT ON audit_events BEGIN SELECT raise(ROLLBACK, 'all of it'); END";
        house.change(1, true);
        house.store.batch(rolls_back);
        assert!(!house.change(2, true));
        // The writer has put a row of its own there, to see whether the storage is at fault.
        assert_ne!(house.changed(), 2);
        house.store.batch("DROP TRIGGER ends");
        assert!(house.change(3, true));
        assert_eq!(house.recorded(), [1, 3]);
        house.end();
    }
}
