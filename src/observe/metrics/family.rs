//! Families as their rows have them, and how to come by their metrics without a lock.

use std::cell::RefCell;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Metric;

use super::row::{Kind, Row};
use super::{Fraction, Metrics, SecondsCounter};

/// Names and values of labels.
type Labels = Vec<(&'static str, String)>;

impl Metrics {
    /// What counts a family without labels.
    pub fn counter(&self, row: &'static Row) -> Counter {
        self.add(row, Counter::default())
    }

    /// What counts seconds.
    pub fn seconds(&self, row: &'static Row) -> SecondsCounter {
        self.add(row, SecondsCounter::default())
    }

    /// What shows a family without labels.
    pub fn gauge(&self, row: &'static Row) -> Gauge {
        self.add(row, Gauge::default())
    }

    /// The same for a number with a fraction.
    pub fn fraction(&self, row: &'static Row) -> Fraction {
        self.add(row, Fraction::default())
    }

    /// What measures a family without labels.
    pub fn histogram(&self, row: &'static Row) -> Histogram {
        self.add(row, Buckets::of(row).new_metric())
    }

    /// A family of counters.
    pub fn counters(&self, row: &'static Row) -> Labelled<Counter> {
        self.labelled(row, Counter::default)
    }

    /// A family of gauges.
    pub fn gauges(&self, row: &'static Row) -> Labelled<Gauge> {
        self.labelled(row, Gauge::default)
    }

    /// A family of histograms.
    pub fn histograms(&self, row: &'static Row) -> Labelled<Histogram, Buckets> {
        self.labelled(row, Buckets::of(row))
    }

    fn labelled<M, C>(&self, row: &'static Row, make: C) -> Labelled<M, C>
    where
        C: MetricConstructor<M> + Clone,
        Family<Labels, M, C>: Metric,
    {
        let family = self.add(row, Family::new_with_constructor(make));
        Labelled { names: row.labels, family }
    }

    fn add<M: Metric + Clone>(&self, row: &Row, metric: M) -> M {
        if row.is_of_the_original {
            self.0.public_names.lock().push((row.name, row.public_name()));
        }
        // The library appends it to the samples of counters by itself.
        let name = if row.kind == Kind::Counter { row.name.trim_end_matches("_total") } else { row.name };
        self.0.registry.lock().register(name, row.help, metric.clone());
        metric
    }
}

/// Makes the histograms of a family.
#[derive(Debug, Clone, Copy)]
pub struct Buckets(&'static [f64]);

impl Buckets {
    fn of(row: &Row) -> Self {
        match row.kind {
            Kind::Histogram(bounds) => Self(bounds),
            Kind::Counter | Kind::Gauge => Self(&[]),
        }
    }
}

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

/// A family with labels. A frequent caller keeps the metric that it was given.
#[derive(Debug)]
pub struct Labelled<M, C = fn() -> M> {
    names: &'static [&'static str],
    family: Family<Labels, M, C>,
}

impl<M: Clone, C: MetricConstructor<M>> Labelled<M, C> {
    /// The metric with these values of the labels, in the order of its row.
    pub fn with(&self, values: &[&str]) -> M {
        let labels = self.names.iter().zip(values).map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.family.get_or_create_owned(&labels)
    }
}

impl<M, C: Clone> Clone for Labelled<M, C> {
    fn clone(&self) -> Self {
        Self { names: self.names, family: self.family.clone() }
    }
}

/// Metrics that one thread has been given and finds again without a lock. For keys of which there are few.
#[derive(Debug)]
pub struct MetricCache<K, M>(RefCell<Vec<(K, M)>>);

impl<K, M> Default for MetricCache<K, M> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<K: PartialEq, M> MetricCache<K, M> {
    /// Does something with the metric of this key, which is made the first time.
    pub fn with(&self, key: K, make: impl FnOnce() -> M, act: impl FnOnce(&M)) {
        let mut kept = self.0.borrow_mut();
        let at = kept.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            kept.push((key, make()));
            kept.len() - 1
        });
        act(&kept[at].1);
    }
}
