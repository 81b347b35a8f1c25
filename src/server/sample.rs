//! What is only looked at when somebody asks for metrics.

use std::sync::Arc;

use crate::audit::Audit;
use crate::backup::Backups;
use crate::clock::Clock;
use crate::gate::{Live, Policy};
use crate::hub::Seats;
use crate::observe::metrics::{Metrics, reach, show};
use crate::store::{Figures, Survey};

/// What is only looked at when somebody asks for metrics.
pub(super) struct Sampled {
    /// The database, its disk and the writer's queue.
    pub(super) survey: Arc<Survey>,
    /// Jobs that may wait.
    pub(super) queue_jobs: usize,
    /// Sockets and what they watch.
    pub(super) seats: Seats,
    /// The limits in force.
    pub(super) policy: Live<Policy>,
    /// The audit log, if there is one.
    pub(super) audit: Option<Audit>,
    /// The backups.
    pub(super) backups: Backups,
    /// The time.
    pub(super) clock: Clock,
}

impl Sampled {
    /// Looks now.
    pub(super) fn sample(&self, metrics: &Metrics) {
        let (storage, sockets) = (&metrics.storage, &metrics.sockets);
        let Figures { queued_jobs, read_only, database_bytes, wal_bytes, freelist_bytes, disk_free_bytes } =
            self.survey.figures();
        show(&storage.queue_depth, queued_jobs);
        show(&storage.queue_limit, self.queue_jobs);
        show(&storage.readonly, usize::from(read_only));
        for (gauge, bytes) in [
            (&storage.database_bytes, database_bytes),
            (&storage.wal_bytes, wal_bytes),
            (&storage.freelist_bytes, freelist_bytes),
            (&storage.disk_free_bytes, disk_free_bytes),
        ] {
            // What could not be looked at stays as it was.
            if let Some(bytes) = bytes {
                show(gauge, usize::try_from(bytes).unwrap_or(usize::MAX));
            }
        }
        show(&sockets.active, self.seats.open());
        show(&sockets.rooms, self.seats.topics());
        let (policy, now) = (self.policy.now(), self.clock.instant());
        show(&metrics.http.limited_keys, policy.limiter.as_ref().map_or(0, |limiter| limiter.keys(now)));
        let last = self.backups.last();
        if let Some(newest) = last.success {
            metrics.backup.newest(newest.at, newest.took, newest.bytes);
        }
        reach(&metrics.backup.failures, last.failures);
        reach(&metrics.backup.verify_failures, last.unsound);
        if let Some(audit) = &self.audit {
            show(&metrics.audit.waiting, audit.waiting());
            reach(&metrics.audit.rows, audit.rows());
            reach(&metrics.audit.failures, audit.failures());
            reach(&metrics.audit.lost, audit.lost());
        }
    }
}
