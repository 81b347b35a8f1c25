//! What is configured of backups.

use std::path::PathBuf;
use std::time::Duration;

use crate::settings::{Knob, OPERATIONS, Settings, int, text};
use crate::store;

pub(crate) static DIRECTORY: Knob = text(&OPERATIONS, "BACKUP_DIR")
    .first()
    .refusing()
    .private()
    .meaning("The directory for backups. If not set, backups are made only by hand.");

pub(crate) static INTERVAL_HOURS: Knob = Knob::new(&OPERATIONS, "BACKUP_INTERVAL_HOURS", int(0, 8760, "hours"), "24")
    .only_with(&[&DIRECTORY])
    .meaning("Interval between automatic backups, if BACKUP_DIR is set. 0 makes none: use inkring backup or SIGUSR1.");

pub(crate) static KEEP_DAYS: Knob = Knob::new(&OPERATIONS, "BACKUP_KEEP_DAYS", int(0, 36_500, "days"), "30")
    .at_bound("removed, but never the newest three", "older_ones_go_but_never_the_newest_three_nor_what_is_not_ours")
    .only_with(&[&DIRECTORY])
    .meaning("How long backups are kept. The newest three are never removed. 0 keeps all of them forever.");

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
