//! What is counted of backups: by who makes them, and looked at.

use std::time::Duration;

use super::running::Backups;
use crate::clock::Timestamp;
use crate::observe::metrics::{BACKUPS, Fraction, Gauge, Metrics, Overview, Row, raise_to, seconds_since_1970};

pub(crate) static LAST_SUCCESS: Row =
    Row::gauge(&BACKUPS, "inkring_backup_last_success_timestamp_seconds").at_the_top(Overview::Figure).says(
        "When the last good backup was started, in seconds since 1970; 0 if there is none, or if it is dated in the \
     future",
        "How old is the last backup?",
    );

pub(crate) static LAST_DURATION: Row = Row::gauge(&BACKUPS, "inkring_backup_last_duration_seconds")
    .says("Duration of the last backup", "How long does a backup take?");

pub(crate) static LAST_BYTES: Row =
    Row::gauge(&BACKUPS, "inkring_backup_last_size_bytes").says("Size of the last backup", "How large is a backup?");

pub(crate) static FAILURES: Row =
    Row::counter(&BACKUPS, "inkring_backup_failures_total").says("Failed backups", "Do backups fail?");

pub(crate) static VERIFY_FAILURES: Row = Row::counter(&BACKUPS, "inkring_backup_verify_failures_total")
    .says("Backups that failed verification", "Do backups fail?");

pub(crate) const ROWS: &[&Row] = &[&LAST_SUCCESS, &LAST_DURATION, &LAST_BYTES, &FAILURES, &VERIFY_FAILURES];

/// What shows the newest backup.
struct Newest {
    last_success: Fraction,
    duration: Fraction,
    bytes: Gauge,
}

impl Newest {
    fn new(metrics: &Metrics) -> Self {
        let (last_success, duration) = (metrics.fraction(&LAST_SUCCESS), metrics.fraction(&LAST_DURATION));
        Self { last_success, duration, bytes: metrics.gauge(&LAST_BYTES) }
    }

    /// It was begun then, if that is known, took so long, if that is, and has so many bytes.
    fn set(&self, at: Option<Timestamp>, took: Option<Duration>, bytes: u64) {
        self.last_success.set(at.map_or(0.0, seconds_since_1970));
        if let Some(took) = took {
            self.duration.set(took.as_secs_f64());
        }
        self.bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}

impl Backups {
    /// Has metrics show the newest one, and how many failed.
    pub(super) fn show(&self, metrics: &Metrics) {
        let (backups, shown) = (self.clone(), Newest::new(metrics));
        let (failures, unsound) = (metrics.counter(&FAILURES), metrics.counter(&VERIFY_FAILURES));
        metrics.sample_with(move || {
            let last = backups.last();
            if let Some(newest) = last.success {
                // By its age, so that whoever compares it with the time now has what is so.
                let now = backups.reading();
                shown.set(newest.age(now).map(|age| now.wall.earlier(age)), newest.took, newest.bytes);
            }
            raise_to(&failures, last.failures);
            raise_to(&unsound, last.unsound);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backups_are_told_of_in_seconds_and_bytes() {
        let metrics = Metrics::default();
        let newest = Newest::new(&metrics);
        newest.set(Some(Timestamp(1_700_000_000_250_000)), Some(Duration::from_millis(1500)), 4096);
        let text = metrics.encode();
        for line in [
            "inkring_backup_last_success_timestamp_seconds 1700000000.25",
            "inkring_backup_last_duration_seconds 1.5",
            "inkring_backup_last_size_bytes 4096",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
        }
    }
}
