//! What is counted of the modules.

use std::sync::Arc;

use super::options::MODULES;
use super::records::kinds::{KINDS, Kind};
use crate::observe::metrics::{Counter, Metrics, Row};

pub(crate) static RECORDS: Row = Row::counter(&MODULES, "inkring_modules_records_written_total")
    .by(&["module"])
    .says("Records created, changed, deleted or restored", "Which modules are used?");

pub(crate) static UPLOADS: Row = Row::counter(&MODULES, "inkring_modules_uploads_total")
    .says("Files uploaded to the gallery and stored with a record", "How much is uploaded to the gallery?");

pub(crate) static UPLOADED: Row = Row::counter(&MODULES, "inkring_modules_uploaded_bytes_total")
    .says("Bytes of these files", "How much is uploaded to the gallery?");

pub(crate) static REFUSED: Row = Row::counter(&MODULES, "inkring_modules_sign_ins_refused_total").by(&["reason"]).says(
    "Password attempts that were wrong, or came from an address with too many wrong ones",
    "Is anyone guessing passwords?",
);

pub(crate) const ROWS: &[&Row] = &[&RECORDS, &UPLOADS, &UPLOADED, &REFUSED];

/// All of it. Clones count together.
#[derive(Debug, Clone)]
pub(super) struct Counters(Arc<Counted>);

#[derive(Debug)]
struct Counted {
    /// In the order of the kinds.
    records: Vec<Counter>,
    uploads: Counter,
    uploaded: Counter,
    wrong: Counter,
    too_often: Counter,
}

impl Counters {
    /// Those of a server.
    pub(super) fn new(metrics: &Metrics) -> Self {
        let (records, refused) = (metrics.counters(&RECORDS), metrics.counters(&REFUSED));
        Self(Arc::new(Counted {
            records: KINDS.iter().map(|kind| records.with(&[kind.module])).collect(),
            uploads: metrics.counter(&UPLOADS),
            uploaded: metrics.counter(&UPLOADED),
            wrong: refused.with(&["wrong_password"]),
            too_often: refused.with(&["too_often"]),
        }))
    }

    /// A record of this kind was written.
    pub(super) fn record(&self, kind: &Kind) {
        let place = KINDS.iter().position(|known| known.number == kind.number);
        if let Some(counter) = place.and_then(|place| self.0.records.get(place)) {
            counter.inc();
        }
    }

    /// A file of so many bytes is in the gallery.
    pub(super) fn upload(&self, bytes: u64) {
        self.0.uploads.inc();
        self.0.uploaded.inc_by(bytes);
    }

    /// A password was wrong.
    pub(super) fn wrong_password(&self) {
        self.0.wrong.inc();
    }

    /// Somebody has tried too many.
    pub(super) fn too_often(&self) {
        self.0.too_often.inc();
    }
}
