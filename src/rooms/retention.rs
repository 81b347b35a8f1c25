//! Deletes rooms that nobody has used for `ROOMS_RETENTION_DAYS`, by a [`Task`] of the housekeeper.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::name::RoomName;
use super::registry::Registry;
use super::store;
use crate::audit::Field;
use crate::feature::House;
use crate::housekeeper::{Stop, Task};
use crate::store::{Error, Pruner, Reader};

/// Rooms that one run of the search finds at most; the next ones come with the next run.
const SLICE_ROOMS: usize = 100;

/// The task; none if rooms are kept for ever.
pub(super) fn task(
    house: &House,
    registry: &Arc<Registry>,
    reader: &Rc<Reader>,
    days: u32,
    every: Duration,
) -> Option<Task> {
    if days == 0 {
        return None;
    }
    let kept = Duration::from_secs(u64::from(days) * 24 * 60 * 60);
    let House { writer, timekeeper, audit, .. } = house.clone();
    let mut retention = timekeeper.retention("rooms", kept);
    let mut pruner = Pruner::new(Rc::clone(reader), writer, "rooms.removal_put_off");
    let registry = Arc::downgrade(registry);
    let run = move |stop: &Stop| {
        let Some(registry) = registry.upgrade() else { return };
        let horizon = retention.horizon();
        let Ok(oldest) = store::unused(pruner.reader(), horizon.now, 1) else { return };
        let oldest = oldest.first().map(|row| row.used_at).filter(|at| horizon.is_credible(*at));
        if !retention.allows(&horizon, oldest) || oldest.is_none_or(|oldest| oldest >= horizon.before) {
            return;
        }
        let (removed, _) = pruner.run(stop, |run| {
            for row in store::unused(run.reader, horizon.before, SLICE_ROOMS)? {
                // Who is in a room uses it, whenever that was last taken down.
                let is_used = RoomName::new(&row.name).is_ok_and(|name| registry.find(&name).is_some());
                if is_used || !horizon.is_credible(row.used_at) {
                    continue;
                }
                let (audit, before) = (audit.clone(), horizon.before);
                run.remove(move |tx| {
                    let removed = store::delete_unused(tx, &row.name, before)?;
                    if let Some(audit) = audit.as_ref().filter(|_| removed) {
                        let recorded = audit.record_own(tx, "room.expired", &[("room", Field::Text(&row.name))]);
                        recorded.map_err(|error| Error::Other(error.to_string()))?;
                    }
                    Ok(removed.into())
                })?;
            }
            Ok(())
        });
        if removed.rows > 0 {
            log::info!(rooms = removed.rows, days; "rooms.removed");
        }
    };
    Some(Task { name: "room retention", every, run: Box::new(run) })
}
