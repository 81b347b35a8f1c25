//! Writes into the chain that recording begins or ends, at the start of a server.
//!
//! Nothing is kept beside the log: how things stood is read from its newest mark. That is looked for among so many of the
//! newest rows only; where there is none, because that many changes came after it or it was too old and was removed, how
//! things stand is said once more. A restart that finds what is so already adds nothing.

use std::time::Duration;

use super::mark::{Part, STARTED, STOPPED, is_news};
use super::store;
use super::{Audit, Field};
use crate::housekeeper::Task;
use crate::store::{ChoreError, Error, Tx, WriterHandle, run_chore};

/// Newest rows among which the newest mark is looked for.
pub(super) const MARK_SEARCHED_MAX_ROWS: i64 = 10_000;

fn part_of(audit: Option<&Audit>) -> Part {
    Part::of(audit.map_or(0.0, Audit::rate))
}

/// Writes into the chain that recording has begun or ended, unless it says so already. Whether it could.
pub fn record(writer: &WriterHandle, audit: Option<&Audit>) -> bool {
    let sample_rate = part_of(audit).as_f64();
    match write(writer, audit) {
        Ok(false) => true,
        Ok(true) if sample_rate > 0.0 => {
            log::info!(sample_rate; "audit.started");
            true
        }
        Ok(true) => {
            log::warn!(reason = "the settings no longer ask for it"; "audit.stopped");
            true
        }
        Err(error) => {
            log::warn!(error = error.to_string(), sample_rate; "audit.mark_put_off");
            false
        }
    }
}

/// Tries it again until it could be written: for a start whose storage took no changes.
pub fn task(writer: WriterHandle, audit: Option<Audit>, every: Duration) -> Task {
    let mut done = false;
    let run = move |_: &_| {
        if !done {
            done = record(&writer, audit.as_ref());
        }
    };
    Task { name: "audit mark", every, run: Box::new(run) }
}

/// Whether there was something to say.
fn write(writer: &WriterHandle, audit: Option<&Audit>) -> Result<bool, ChoreError> {
    let part = part_of(audit);
    let audit = audit.cloned().unwrap_or_else(|| Audit::new(0.0));
    run_chore(writer, move |tx| mark(tx, &audit, part).map(u64::from)).map(|rows| rows > 0)
}

fn mark(tx: &mut Tx<'_>, audit: &Audit, now: Part) -> Result<bool, Error> {
    let newest = store::newest_mark(tx, MARK_SEARCHED_MAX_ROWS)?;
    if !is_news(newest, store::head(tx)?.id > 0, now) {
        return Ok(false);
    }
    let off_since = newest.filter(|mark| mark.part == Part(0)).map(|mark| mark.at.offset_style().to_string());
    let recorded = match (now, &off_since) {
        (Part(0), _) => audit.record_own(tx, STOPPED, &[]),
        (part, None) => audit.record_own(tx, STARTED, &[("sample_rate", Field::Fraction(part.as_f64()))]),
        (part, Some(since)) => {
            let details = [("sample_rate", Field::Fraction(part.as_f64())), ("off_since", Field::Text(since))];
            audit.record_own(tx, STARTED, &details)
        }
    };
    recorded.map_err(|error| Error::Other(error.to_string()))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::mark::Gap;
    use crate::audit::verify::verify;
    use crate::audit::{Entry, MIGRATIONS};
    use crate::clock::Timestamp;
    use crate::store::testing::House;

    const NOW: Timestamp = Timestamp(1_766_484_000_000_000);

    fn on(rate: f64) -> Option<Audit> {
        Some(Audit::new(rate))
    }

    /// Every row: its action, and its details.
    fn said(house: &House) -> Vec<String> {
        let rows = store::slice(&house.reader, 0, Timestamp(0)).unwrap();
        let line = |row: &crate::audit::read::AuditRow| {
            let mut line = String::new();
            row.line(&mut line);
            let words: Vec<&str> = line.split_whitespace().collect();
            format!("{} {}", words[3], words[7])
        };
        rows.iter().map(line).collect()
    }

    #[test]
    fn a_restart_adds_a_row_only_where_things_stand_otherwise_than_the_log_says() {
        let house = House::at(NOW, MIGRATIONS);
        let started = |details: &str| format!("audit.started {{\"sample_rate\":{details}}}");
        let mut expected = Vec::new();
        for (audit, adds) in [
            (None, None),
            (on(0.0), None),
            (on(1.0), Some(started("1.0"))),
            (on(7.0), None),
            (on(0.25), Some(started("0.25"))),
            (on(0.25), None),
            (on(0.0), Some("audit.stopped -".to_owned())),
            (None, None),
            (on(1.0), Some(started("1.0,\"off_since\":\"2025-12-23T10:00:00+00:00\""))),
            (None, Some("audit.stopped -".to_owned())),
        ] {
            assert!(record(&house.handle(), audit.as_ref()));
            expected.extend(adds);
            assert_eq!(said(&house), expected, "{audit:?}");
        }
        let report = verify(&house.reader, None).unwrap();
        let gap = |recorded, from, until: Option<i64>| Gap {
            recorded,
            from: (from, NOW),
            until: until.map(|until| (until, NOW)),
        };
        assert_eq!((report.fault, report.gaps.earlier), (None, 0));
        assert_eq!(report.gaps.newest, [gap(0.25, 2, Some(3)), gap(0.0, 3, Some(4)), gap(0.0, 5, None)]);
        house.end();
    }

    #[test]
    fn where_the_newest_mark_is_far_away_or_gone_it_is_said_once_more() {
        let house = House::at(NOW, MIGRATIONS);
        let changes = |count: i64| {
            let audit = Audit::new(1.0);
            house.write(move |tx| {
                for _ in 0..count {
                    let witness = audit.witness("::1".parse().unwrap(), None).unwrap();
                    let entry = Entry { request_id: "r", user_id: "a", action: "test", subject: "d", metadata: &[] };
                    witness.record(tx, &entry).unwrap();
                }
            });
        };
        let rows = || house.reader.number("SELECT max(id) FROM audit_events");
        record(&house.handle(), on(1.0).as_ref());
        changes(MARK_SEARCHED_MAX_ROWS - 1);
        record(&house.handle(), on(1.0).as_ref());
        assert_eq!(rows(), MARK_SEARCHED_MAX_ROWS, "the mark is the last that is looked at");
        changes(1);
        record(&house.handle(), on(1.0).as_ref());
        assert_eq!(rows(), MARK_SEARCHED_MAX_ROWS + 2);
        // As retention does.
        house.write(|tx| _ = store::remove(tx, i64::MAX, i64::MAX).unwrap());
        record(&house.handle(), None);
        record(&house.handle(), None);
        assert_eq!(said(&house), ["audit.stopped -"], "a log of which nothing is left was one");
        house.end();
    }

    #[test]
    fn what_the_storage_refuses_is_tried_again() {
        let house = House::at(NOW, MIGRATIONS);
        house.batch("ALTER TABLE audit_events RENAME TO elsewhere");
        assert!(!record(&house.handle(), on(1.0).as_ref()));
        let mut task = task(house.handle(), on(1.0), Duration::from_secs(1));
        let (_goes_on, stop) = crate::housekeeper::Stop::channel();
        (task.run)(&stop);
        house.batch("ALTER TABLE elsewhere RENAME TO audit_events");
        (task.run)(&stop);
        (task.run)(&stop);
        assert_eq!(said(&house), ["audit.started {\"sample_rate\":1.0}"]);
        drop(task);
        house.end();
    }
}
