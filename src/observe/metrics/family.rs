//! Families as the table has them, and how to come by their metrics without a lock.

use std::cell::RefCell;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use super::Fraction;
use super::table::{self, Kind, Row};

/// Names and values of labels.
type Labels = Vec<(&'static str, String)>;

/// Registers families under the names, labels and words of the table.
#[derive(Debug, Default)]
pub(super) struct Families {
    pub(super) registry: Registry,
}

impl Families {
    pub(super) fn counter(&mut self, name: &str) -> Counter {
        self.add(row(name), Counter::default())
    }

    pub(super) fn gauge(&mut self, name: &str) -> Gauge {
        self.add(row(name), Gauge::default())
    }

    pub(super) fn fraction(&mut self, name: &str) -> Fraction {
        self.add(row(name), Fraction::default())
    }

    pub(super) fn histogram(&mut self, name: &str) -> Histogram {
        let row = row(name);
        self.add(row, Buckets::of(row).new_metric())
    }

    pub(super) fn counters(&mut self, name: &str) -> Labelled<Counter> {
        self.labelled(row(name), Counter::default)
    }

    pub(super) fn gauges(&mut self, name: &str) -> Labelled<Gauge> {
        self.labelled(row(name), Gauge::default)
    }

    pub(super) fn histograms(&mut self, name: &str) -> Labelled<Histogram, Buckets> {
        let row = row(name);
        self.labelled(row, Buckets::of(row))
    }

    fn labelled<M, C>(&mut self, row: &'static Row, make: C) -> Labelled<M, C>
    where
        C: MetricConstructor<M> + Clone,
        Family<Labels, M, C>: Metric,
    {
        let family = self.add(row, Family::new_with_constructor(make));
        Labelled { names: row.labels, family }
    }

    fn add<M: Metric + Clone>(&mut self, row: &Row, metric: M) -> M {
        // The library appends it to the samples of counters by itself.
        let name = if row.kind == Kind::Counter { row.name.trim_end_matches("_total") } else { row.name };
        self.registry.register(name, row.help, metric.clone());
        metric
    }
}

/// The family of this name. One that is not in the table is a mistake in the program, met by the first start of any test.
fn row(name: &str) -> &'static Row {
    table::find(name).unwrap_or_else(|| panic!("the table of metrics has no {name}"))
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

/// A family with labels. Whoever comes often keeps the metric that it was given.
#[derive(Debug)]
pub struct Labelled<M, C = fn() -> M> {
    names: &'static [&'static str],
    family: Family<Labels, M, C>,
}

impl<M: Clone, C: MetricConstructor<M>> Labelled<M, C> {
    /// The metric with these values of the labels, in the order of the table.
    #[must_use]
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
pub struct Kept<K, M>(RefCell<Vec<(K, M)>>);

impl<K, M> Default for Kept<K, M> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<K: PartialEq, M> Kept<K, M> {
    /// Does something with the metric of this key, which is made the first time.
    pub(super) fn with(&self, key: K, make: impl FnOnce() -> M, act: impl FnOnce(&M)) {
        let mut kept = self.0.borrow_mut();
        let at = kept.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            kept.push((key, make()));
            kept.len() - 1
        });
        act(&kept[at].1);
    }
}
