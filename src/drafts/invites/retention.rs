//! Forgets invitations that expired long ago, by a [`Task`] of the housekeeper, whatever became of them: who has accepted one is a
//! member by another row.

use std::rc::Rc;
use std::time::Duration;

use super::store;
use crate::clock::{DAY, Retention, Timekeeper};
use crate::housekeeper::{Stop, Task};
use crate::store::{ChoreError, Error, Pruned, Pruner, Reader, Run, Tx, WriterHandle};

/// For so long an invitation is kept after it has expired.
pub(in crate::drafts) const INVITE_KEPT_DAYS: u32 = 30;
/// Invitations that one job removes, at most.
pub(in crate::drafts) const REMOVED_MAX_INVITES: i64 = 500;

/// The task that forgets old invitations.
#[must_use]
pub(in crate::drafts) fn task(
    reader: Rc<Reader>,
    writer: WriterHandle,
    every: Duration,
    timekeeper: &Timekeeper,
) -> Task {
    let mut invites = OldInvites::new(reader, writer, timekeeper);
    Task { name: "invitations", every, run: Box::new(move |stop| invites.run(stop)) }
}

struct OldInvites {
    pruner: Pruner,
    retention: Retention,
}

impl OldInvites {
    fn new(reader: Rc<Reader>, writer: WriterHandle, timekeeper: &Timekeeper) -> Self {
        let pruner = Pruner::new(reader, writer, "invitations.removal_put_off");
        Self { pruner, retention: timekeeper.retention("invitations", DAY * INVITE_KEPT_DAYS) }
    }

    fn run(&mut self, stop: &Stop) {
        let horizon = self.retention.horizon();
        // The index gives it at once, so it is looked at each time.
        let look = |run: &mut Run<'_>| -> Result<_, ChoreError> { Ok(store::first_expiry(run.reader)?) };
        let Some(oldest) = self.pruner.run(stop, look).1.flatten() else { return };
        let credible = Some(oldest).filter(|at| horizon.is_credible(*at));
        if oldest >= horizon.before || !self.retention.allows(&horizon, credible) {
            return;
        }
        let remove_all = |run: &mut Run<'_>| -> Result<(), ChoreError> {
            let remove = move |tx: &mut Tx<'_>| -> Result<u64, Error> {
                store::remove_expired(tx, horizon.before, REMOVED_MAX_INVITES)
            };
            while run.remove(remove)? >= REMOVED_MAX_INVITES.unsigned_abs() {}
            Ok(())
        };
        let (Pruned { rows: invites, jobs }, _) = self.pruner.run(stop, remove_all);
        if invites > 0 {
            log::info!(invites, jobs, days = INVITE_KEPT_DAYS; "invitations.removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{DAY_MICROS, HOUR_MICROS, Timestamp};
    use crate::store::testing;

    const NOW: i64 = 1_766_484_000_000_000;

    #[test]
    fn invitations_are_forgotten_when_they_expired_long_ago_in_small_jobs() {
        let store = testing::House::at(Timestamp(NOW - HOUR_MICROS), crate::drafts::MIGRATIONS);
        let timekeeper = Timekeeper::new(store.clock.clone(), || None);
        let mut invites = OldInvites::new(Rc::clone(&store.reader), store.handle(), &timekeeper);
        store.clock.advance(HOUR_MICROS);
        store.batch(
            "INSERT INTO drafts (draft_id, creator_id, title, platform, holder_id, passed_at, created_at, updated_at) \
             VALUES ('d', 'a', 't', 'x', 'a', 0, 0, 0)",
        );
        let expired = |days: i64, micros: i64, count: i64| {
            let at = NOW - days * DAY_MICROS + micros;
            store.batch(format!(
                "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {count}) \
                 INSERT INTO draft_invites (draft, invite_id, created_by, target_user, token_hash, token_hint, created_at, \
                 expires_at) SELECT 1, {at} || '-' || x, 'a', 'b', x'00', '', 0, {at} FROM n"
            ));
        };
        expired(-3, 0, 1);
        expired(0, 0, 1);
        expired(30, 0, 1);
        expired(30, -1, REMOVED_MAX_INVITES + 1);
        let (_goes_on, stop) = Stop::channel();
        let left = || store.reader.number("SELECT count(*) FROM draft_invites");
        let commits = store.commits(|| invites.run(&stop));
        assert_eq!((left(), commits), (3, 2));
        assert_eq!(store.commits(|| invites.run(&stop)), 0, "nothing is old enough");
        drop(invites);
        store.end();
    }
}
