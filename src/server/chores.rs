//! What the housekeeper has to do. It does one thing after the other, so one connection is enough for all of it.

use std::rc::Rc;

use crate::audit::{self, Audit};
use crate::backup::{self, Backups};
use crate::clock::Clock;
use crate::config::Config;
use crate::drafts;
use crate::gate::KeyWatch;
use crate::housekeeper::{Task, vacuum};
use crate::store::{Reader, WriterHandle};

/// All that is needed to make its tasks on its own thread.
pub(super) struct Chores {
    pub(super) config: Config,
    pub(super) writer: WriterHandle,
    pub(super) keys: KeyWatch,
    pub(super) audit: Option<Audit>,
    pub(super) backups: Backups,
    pub(super) clock: Clock,
}

impl Chores {
    pub(super) fn tasks(self, reader: Reader) -> Vec<Task> {
        let Self { config, writer, keys, audit, backups, clock } = self;
        let (reader, every, days) = (Rc::new(reader), config.housekeeping, config.audit.retention_days);
        let mut tasks = vec![
            drafts::retention::task(Rc::clone(&reader), writer.clone(), config.drafts.events_kept, every),
            drafts::spent_keys::task(Rc::clone(&reader), writer.clone(), every, clock.clone()),
            keys.task(config.jwt.reload),
        ];
        if audit.is_some() || days > 0 {
            tasks.push(audit::upkeep::task(audit, Rc::clone(&reader), writer.clone(), days, every, clock));
        }
        if config.operations.backups.directory.is_some() {
            tasks.push(backup::task(backups, every));
        }
        // Last, so that it finds what the others have freed.
        tasks.push(vacuum::task(reader, writer, every));
        tasks
    }
}

/// Where backups are put, and when.
pub(super) fn backup_options(config: &Config) -> backup::Options {
    let wanted = &config.operations.backups;
    backup::Options {
        database: config.database.clone(),
        directory: wanted.directory.clone(),
        every: wanted.every,
        keep: wanted.keep,
    }
}
