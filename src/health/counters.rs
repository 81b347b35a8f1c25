//! What is counted of readiness.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::observe::metrics::{Counter, Gauge, Metrics, Overview, PROCESS, Row, START_TIME};

pub(crate) static READY: Row = Row::gauge(&PROCESS, "inkring_ready")
    .at_the_top(Overview::Figure)
    .after(&START_TIME)
    .says("1 if /readyz succeeds, otherwise 0; a scrape of the private plane checks it first", "Is it ready?");

pub(crate) static CHANGES: Row = Row::counter(&PROCESS, "inkring_readiness_changes_total")
    .after(&READY)
    .says("Readiness changes", "Does readiness flap?");

pub(crate) const ROWS: &[&Row] = &[&READY, &CHANGES];

/// What `/readyz` says.
#[derive(Debug)]
pub struct Ready {
    last: AtomicBool,
    ready: Gauge,
    changes: Counter,
}

impl Ready {
    /// With nothing counted.
    pub fn new(metrics: &Metrics) -> Self {
        let (ready, changes) = (metrics.gauge(&READY), metrics.counter(&CHANGES));
        // It is made by a server that starts, and one that has started is ready until somebody finds out otherwise.
        ready.set(1);
        Self { last: AtomicBool::new(true), ready, changes }
    }

    /// It has just said so.
    pub fn said(&self, ready: bool) {
        if self.last.swap(ready, Ordering::Relaxed) != ready {
            self.changes.inc();
            self.ready.set(i64::from(ready));
        }
    }
}

impl Default for Ready {
    fn default() -> Self {
        Self::new(&Metrics::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_that_changes_is_counted_and_one_that_stays_is_not() {
        let counted = Ready::default();
        let told = |said: &[bool]| {
            said.iter().for_each(|ready| counted.said(*ready));
            (counted.ready.get(), counted.changes.get())
        };
        assert_eq!(told(&[]), (1, 0));
        assert_eq!(told(&[true, true]), (1, 0));
        assert_eq!(told(&[false, false]), (0, 1));
        assert_eq!(told(&[true]), (1, 2));
    }
}
