//! What is counted of sockets and of what they are told.

use std::time::Duration;

use super::Seats;
use crate::net;
use crate::observe::metrics::{Counter, Histogram, Labelled, MetricCache, Metrics, Row, SECONDS, SOCKETS, set_usize};

pub(crate) static OPENED: Row = Row::counter(&SOCKETS, "inkring_ws_connections_total")
    .of_the_original()
    .says("Accepted sockets", "How many sockets are opened?");

pub(crate) static ACTIVE: Row = Row::gauge(&SOCKETS, "inkring_ws_active_connections")
    .of_the_original()
    .says("Open sockets", "How many sockets are watching?");

pub(crate) static REFUSED: Row = Row::counter(&SOCKETS, "inkring_ws_refused_total")
    .by(&["reason"])
    .says("Sockets refused with a reason and closed", "Which sockets are refused?");

pub(crate) static SENT: Row = Row::counter(&SOCKETS, "inkring_ws_messages_sent_total")
    .of_the_original()
    .by(&["event_type"])
    .after(&net::counters::SLOW_CLOSED)
    .says("Events sent to sockets, counted once per delivery, live or on catch-up", "What are watchers sent?");

pub(crate) static DELIVER: Row =
    Row::histogram(&SOCKETS, "inkring_append_to_deliver_seconds", SECONDS).after(&net::counters::BYTES).says(
        "Time from the commit of an event until it is queued for the last socket of a shard, once per event and \
         shard",
        "How fast are events delivered?",
    );

pub(crate) const ROWS: &[&Row] = &[&OPENED, &ACTIVE, &REFUSED, &SENT, &DELIVER];

/// What is counted.
#[derive(Debug)]
pub struct Counters {
    /// Sockets that were let in.
    pub opened: Counter,
    /// Sockets turned away, by the word for why.
    pub refused: Labelled<Counter>,
    sent: Labelled<Counter>,
    deliver: Histogram,
}

impl Counters {
    /// With nothing counted.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            opened: metrics.counter(&OPENED),
            refused: metrics.counters(&REFUSED),
            sent: metrics.counters(&SENT),
            deliver: metrics.histogram(&DELIVER),
        }
    }

    /// What counts deliveries on one thread.
    pub fn deliveries(&self) -> Deliveries {
        Deliveries { sent: self.sent.clone(), kept: MetricCache::default(), took: self.deliver.clone() }
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::new(&Metrics::default())
    }
}

impl Seats {
    /// Has metrics show how many are taken.
    pub fn show(&self, metrics: &Metrics) {
        let (seats, active) = (self.clone(), metrics.gauge(&ACTIVE));
        metrics.sample_with(move || set_usize(&active, seats.open()));
    }
}

/// Counts deliveries on one thread.
#[derive(Debug)]
pub struct Deliveries {
    sent: Labelled<Counter>,
    kept: MetricCache<&'static str, Counter>,
    took: Histogram,
}

impl Deliveries {
    /// An event of this kind was handed to so many sockets.
    pub fn sent(&self, kind: &'static str, sockets: u64) {
        self.kept.with(kind, || self.sent.with(&[kind]), |sent| _ = sent.inc_by(sockets));
    }

    /// The last of them had it so long after its commit.
    pub fn took(&self, took: Duration) {
        self.took.observe(took.as_secs_f64());
    }
}

impl Default for Deliveries {
    fn default() -> Self {
        Counters::default().deliveries()
    }
}
