//! What is counted of the audit log: by the log itself, and looked at.

use super::Audit;
use crate::observe::metrics::{AUDIT, Metrics, Row, raise_to};

pub(crate) static WRITTEN: Row =
    Row::counter(&AUDIT, "inkring_audit_rows_total").says("Audit log rows on disk", "Is everything recorded?");

pub(crate) static FAILURES: Row = Row::counter(&AUDIT, "inkring_audit_failures_total")
    .says("Failed attempts to write audit log rows", "Is everything recorded?");

pub(crate) const ROWS: &[&Row] = &[&WRITTEN, &FAILURES];

impl Audit {
    /// Has metrics show what it counts.
    pub fn show(&self, metrics: &Metrics) {
        let audit = self.clone();
        let (rows, failures) = (metrics.counter(&WRITTEN), metrics.counter(&FAILURES));
        metrics.sample_with(move || {
            raise_to(&rows, audit.rows());
            raise_to(&failures, audit.failures());
        });
    }
}
