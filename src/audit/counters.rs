//! What is counted of the audit log: by the log itself, and looked at.

use super::Audit;
use crate::observe::metrics::{AUDIT, Metrics, Row, raise_to, set_usize};

pub(crate) static WRITTEN: Row =
    Row::counter(&AUDIT, "audit_rows_total").says("Rows of the audit log that are on disk", "Is everything recorded?");

pub(crate) static FAILURES: Row = Row::counter(&AUDIT, "audit_failures_total")
    .says("Attempts to write rows of the audit log that failed", "Is everything recorded?");

pub(crate) static LOST: Row = Row::counter(&AUDIT, "audit_lost_total")
    .says("Rows of the audit log that were given up", "Is everything recorded?");

pub(crate) static WAITING: Row = Row::gauge(&AUDIT, "audit_waiting")
    .says("Rows of the audit log that could not be written yet", "How many audit rows wait?");

pub(crate) const ROWS: &[&Row] = &[&WRITTEN, &FAILURES, &LOST, &WAITING];

impl Audit {
    /// Shows what it counts to whoever asks for metrics.
    pub fn show(&self, metrics: &Metrics) {
        let audit = self.clone();
        let (rows, failures) = (metrics.counter(&WRITTEN), metrics.counter(&FAILURES));
        let (lost, waiting) = (metrics.counter(&LOST), metrics.gauge(&WAITING));
        metrics.sample_with(move || {
            raise_to(&rows, audit.rows());
            raise_to(&failures, audit.failures());
            raise_to(&lost, audit.lost());
            set_usize(&waiting, audit.waiting());
        });
    }
}
