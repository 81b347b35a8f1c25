//! What the housekeeper has to do. It does one thing after the other, so one connection is enough for all of it.

use std::rc::Rc;

use crate::audit::{self, Audit, options::RETENTION_DAYS};
use crate::backup::{self, Backups};
use crate::clock::Clock;
use crate::drafts;
use crate::gate::Policies;
use crate::housekeeper::{self, Task};
use crate::settings::Settings;
use crate::store::{self, Reader, WriterHandle};

/// All that is needed to make its tasks on its own thread.
pub(super) struct Chores {
    pub(super) settings: Settings,
    pub(super) writer: WriterHandle,
    pub(super) policies: Policies,
    pub(super) audit: Option<Audit>,
    pub(super) backups: Backups,
    pub(super) clock: Clock,
}

impl Chores {
    pub(super) fn tasks(self, reader: Reader) -> Vec<Task> {
        let Self { settings, writer, policies, audit, backups, clock } = self;
        let (every, days) = (settings.seconds(&housekeeper::EVERY), settings.small(&RETENTION_DAYS));
        let (reader, kept) = (Rc::new(reader), drafts::Options::of(&settings).events_kept);
        let mut tasks = vec![
            drafts::retention::task(Rc::clone(&reader), writer.clone(), kept, every),
            drafts::spent_keys::task(Rc::clone(&reader), writer.clone(), every, clock.clone()),
            policies.task(&settings),
        ];
        if audit.is_some() || days > 0 {
            tasks.push(audit::upkeep::task(audit, Rc::clone(&reader), writer.clone(), days, every, clock));
        }
        if backup::Options::of(&settings).directory.is_some() {
            tasks.push(backup::task(backups, every));
        }
        // Last, so that it finds what the others have freed.
        tasks.push(store::vacuum_task(reader, writer, every));
        tasks
    }
}
