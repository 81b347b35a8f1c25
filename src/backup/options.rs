//! What is configured of backups.

use std::path::PathBuf;
use std::time::Duration;

use crate::settings::{Knob, OPERATIONS, Settings, int, text};
use crate::store;

pub(crate) static DIRECTORY: Knob = text(&OPERATIONS, "BACKUP_DIR")
    .first()
    .refusing()
    .private()
    .meaning("The directory that backups are written to. Without one there are none but those asked for by hand.");

pub(crate) static INTERVAL_HOURS: Knob = Knob::new(&OPERATIONS, "BACKUP_INTERVAL_HOURS", int(0, 8760, "hours"), "24")
    .meaning(
        "How often a backup is made by itself when there is a BACKUP_DIR. 0 leaves it to inkring backup and SIGUSR1.",
    );

pub(crate) static KEEP_DAYS: Knob = Knob::new(&OPERATIONS, "BACKUP_KEEP_DAYS", int(0, 36_500, "days"), "30")
    .at_bound("removed, but never the newest three", "older_ones_go_but_never_the_newest_three_nor_what_is_not_ours")
    .meaning("After how many days a backup is removed; the newest three never are. 0 keeps them for ever.");

pub(crate) const KNOBS: &[&Knob] = &[&DIRECTORY, &INTERVAL_HOURS, &KEEP_DAYS];

/// What is configured.
#[derive(Debug, Clone)]
pub(super) struct Options {
    /// The database.
    pub database: PathBuf,
    /// Where backups are put.
    pub directory: Option<PathBuf>,
    /// How often one is made by itself, if at all.
    pub every: Option<Duration>,
    /// How long one is kept; for ever if nothing is said.
    pub keep: Option<Duration>,
}

impl Options {
    /// As configured.
    #[must_use]
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            database: settings.database(&store::options::DATABASE).to_owned(),
            directory: settings.path(&DIRECTORY),
            every: settings.span(&INTERVAL_HOURS, 3600),
            keep: settings.span(&KEEP_DAYS, 86_400),
        }
    }
}
