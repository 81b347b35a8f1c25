//! One family of metrics, as data: the registry, `docs/METRICS.md` and the Grafana dashboard are made of it.

use crate::settings::{Listed, Section, in_sections};

/// Upper bounds of buckets in seconds: from half a millisecond, below which nothing needs to be known, to the ten seconds
/// after which a client has long given up.
pub const SECONDS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The process.
pub static PROCESS: Section = Section::of_platform("Process");
/// Requests and connections.
pub static HTTP: Section = Section::of_platform("HTTP");
/// Who is turned away.
pub static LIMITS: Section = Section::of_platform("Limits and identity");
/// WebSockets and the events they are told.
pub static SOCKETS: Section = Section::of_platform("Sockets");
/// The writer and the database.
pub static STORAGE: Section = Section::of_platform("Storage");
/// The audit log.
pub static AUDIT: Section = Section::of_platform("Audit log");
/// Copies of the database.
pub static BACKUPS: Section = Section::of_platform("Backups");

/// Those of the platform, in the order of the page.
const PLATFORM: [&Section; 7] = [&PROCESS, &HTTP, &LIMITS, &SOCKETS, &STORAGE, &AUDIT, &BACKUPS];

/// What a family measures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Something that happened, counted since the start.
    Counter,
    /// How something stands.
    Gauge,
    /// How values are spread, up to these upper bounds and beyond.
    Histogram(&'static [f64]),
}

impl Kind {
    /// As in the `# TYPE` line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// One family.
#[derive(Debug)]
pub struct Row {
    /// Where it belongs.
    pub section: &'static Section,
    /// The family behind which it is listed, where it does not follow those of its owner.
    pub after: Option<&'static Self>,
    /// As its samples are named; for a histogram without `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// What it measures.
    pub kind: Kind,
    /// Its labels, in their order. None of them ever names a user, or anything else that a client made up.
    pub labels: &'static [&'static str],
    /// What a sample is, for the `# HELP` line; without a full stop, and without what would have to be escaped there.
    pub help: &'static str,
    /// The question it answers. Families that answer the same one share a panel of the dashboard.
    pub question: &'static str,
    /// Whether the original has it, under this name without `inkring_` (contract 01 §9): so it is called on the public address.
    pub is_of_the_original: bool,
    /// How it is shown at the top of the dashboard, if it is.
    pub overview: Option<Overview>,
}

/// How a family is shown at the top of the dashboard, where one looks first.
#[derive(Debug, Clone, Copy)]
pub enum Overview {
    /// Its value now.
    Figure,
    /// Its course, by these of its labels.
    Course(&'static [&'static str]),
}

/// What the names of our families begin with, but for those that every program has ([`STANDARD`]).
pub const PREFIX: &str = "inkring_";
/// What the names of families begin with that every program has, as the client libraries of Prometheus name them.
pub const STANDARD: &str = "process_";

impl Row {
    const fn new(section: &'static Section, name: &'static str, kind: Kind) -> Self {
        let (is_of_the_original, overview) = (false, None);
        Self { section, after: None, name, kind, labels: &[], help: "", question: "", is_of_the_original, overview }
    }

    /// A counter.
    pub const fn counter(section: &'static Section, name: &'static str) -> Self {
        Self::new(section, name, Kind::Counter)
    }

    /// A gauge.
    pub const fn gauge(section: &'static Section, name: &'static str) -> Self {
        Self::new(section, name, Kind::Gauge)
    }

    /// A histogram with these upper bounds.
    pub const fn histogram(section: &'static Section, name: &'static str, bounds: &'static [f64]) -> Self {
        Self::new(section, name, Kind::Histogram(bounds))
    }

    /// With these labels.
    #[must_use]
    pub const fn by(self, labels: &'static [&'static str]) -> Self {
        Self { labels, ..self }
    }

    /// One that the original has.
    #[must_use]
    pub const fn of_the_original(self) -> Self {
        Self { is_of_the_original: true, ..self }
    }

    /// Shown at the top of the dashboard.
    #[must_use]
    pub const fn at_the_top(self, as_what: Overview) -> Self {
        Self { overview: Some(as_what), ..self }
    }

    /// Its name on the public address.
    pub fn public_name(&self) -> &'static str {
        if self.is_of_the_original { self.name.strip_prefix(PREFIX).unwrap_or(self.name) } else { self.name }
    }

    /// Listed behind another family of its section.
    #[must_use]
    pub const fn after(self, other: &'static Self) -> Self {
        Self { after: Some(other), ..self }
    }

    /// With what a sample is, and the question that it answers.
    #[must_use]
    pub const fn says(self, help: &'static str, question: &'static str) -> Self {
        Self { help, question, ..self }
    }
}

impl Listed for Row {
    fn place(&self) -> (&'static Section, Option<&'static Self>) {
        (self.section, self.after)
    }
}

/// The families of these owners, in the order of the page.
pub fn in_order(owners: &[&[&'static Row]]) -> Vec<&'static Row> {
    in_sections(&PLATFORM, owners)
}
