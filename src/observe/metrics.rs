//! What is counted and measured, for Prometheus (contract 01 §9 with R23).
//!
//! Each part of the house declares its families as [`Row`]s in its own `counters.rs`, asks [`Metrics`] for them when it
//! starts, and knows no other. What is counted on the way of a request is an atomic that was found beforehand; what only has
//! to be looked at is looked at when somebody asks ([`Metrics::sample_with`]), and never in between.
//!
//! No label ever holds what a client has sent: values of labels are routes, statuses and words of our own (G5, G7).

mod family;
mod own;
mod page;
mod process;
mod row;
mod spread;
mod text;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use prometheus_client::encoding::text::encode_registry;
pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::gauge::Gauge;
pub use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::clock::Timestamp;
pub use family::{Buckets, Labelled, MetricCache};
pub(crate) use own::{ROWS, START_TIME};
pub use own::{count_process, show_clock};
pub use page::{grafana, markdown};
pub use row::{
    AUDIT, BACKUPS, HTTP, Kind, LIMITS, Overview, PREFIX, PROCESS, Row, SECONDS, SOCKETS, STANDARD, STORAGE, in_order,
};
pub use spread::{SPREAD_BUCKETS, Spread};

/// The `content-type` of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A gauge of a number with a fraction.
pub type Fraction = Gauge<f64, AtomicU64>;

/// A counter of seconds.
pub type SecondsCounter = Counter<f64, AtomicU64>;

/// Looks at something and sets gauges.
type GaugeReader = Arc<dyn Fn() + Send + Sync>;

/// All metrics of a server. Clones share them.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Locked at the start, and to write the text.
    registry: Mutex<Registry>,
    readers: Mutex<Vec<GaugeReader>>,
    /// Names of families, and those that they have on the public address.
    public_names: Mutex<Vec<(&'static str, &'static str)>>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Has this set gauges whenever somebody asks.
    pub fn sample_with(&self, reader: impl Fn() + Send + Sync + 'static) {
        self.0.readers.lock().push(Arc::new(reader));
    }

    /// Looks at nothing any more, and lets go of what that took.
    pub fn stop_sampling(&self) {
        self.0.readers.lock().clear();
    }

    /// Everything as it is now, in the text format 0.0.4. Takes a few system calls and, in the readers of gauges, a look into
    /// the database; threads that count wait for none of it.
    pub fn encode(&self) -> String {
        self.text(&[])
    }

    /// The same with the names that the original has for what it has, too (contract 01 §9).
    pub fn encode_for_the_public(&self) -> String {
        self.text(&self.0.public_names.lock().clone())
    }

    fn text(&self, names: &[(&str, &str)]) -> String {
        let readers = self.0.readers.lock().clone();
        readers.iter().for_each(|read| read());
        let mut open_metrics = String::new();
        // Writing to a String cannot fail.
        let _ = encode_registry(&mut open_metrics, &self.0.registry.lock());
        text::classic(&open_metrics, names)
    }
}

/// A time as Prometheus has it.
pub fn seconds_since_1970(at: Timestamp) -> f64 {
    at.0 as f64 / 1e6
}

/// Brings a counter to what is counted elsewhere.
pub fn raise_to(counter: &Counter, count: u64) {
    // Two who ask at the same time must not turn it back.
    counter.inner().fetch_max(count, Ordering::Relaxed);
}

/// Sets a gauge to a number of things.
pub fn set_usize(gauge: &Gauge, number: usize) {
    gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
}

#[cfg(test)]
mod tests;
