//! The database, opened, with a reader for everyone who needs one.

use std::sync::Arc;

use crate::observe::metrics::Metrics;
use crate::settings::Settings;
use crate::store::options::{DATABASE, RESERVE};
use crate::store::{self, BeforeMigration, OpenError, Reader, Readers, Schema, Store, Survey};

/// The open database and its readers.
pub(super) struct Database {
    pub(super) store: Store,
    /// One for each shard.
    pub(super) readers: Vec<Reader>,
    pub(super) housekeeping_reader: Reader,
    /// For the private plane, if there is one.
    pub(super) plane_reader: Option<Reader>,
    /// What opens further ones.
    pub(super) more_readers: Readers,
    /// What looks at its files.
    pub(super) survey: Arc<Survey>,
}

impl Database {
    pub(super) fn open(
        settings: &Settings,
        schema: &Schema,
        before: BeforeMigration<'_>,
        metrics: &Metrics,
        shards: usize,
        has_plane: bool,
    ) -> Result<Self, OpenError> {
        let mut store = store::open_after(settings.database(&DATABASE), schema, before)?;
        if store.created() {
            let path = settings.database(&DATABASE).display().to_string();
            // Where a database has been for long, a new one means that the setting is wrong.
            match settings.production() {
                true => log::warn!(path; "store.created"),
                false => log::info!(path; "store.created"),
            }
        }
        store.keep_reserve(settings.count(&RESERVE) as u64);
        store.count_by(Arc::new(store::Counters::new(metrics)));
        Ok(Self {
            readers: (0..shards).map(|_| store.reader()).collect::<Result<Vec<_>, OpenError>>()?,
            housekeeping_reader: store.reader()?,
            plane_reader: has_plane.then(|| store.reader()).transpose()?,
            more_readers: store.readers(),
            survey: Arc::new(store.survey()),
            store,
        })
    }
}
