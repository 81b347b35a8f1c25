//! The bin: what was deleted can be brought back for [`BIN_DAYS`], and is then removed by a [`Task`] of the housekeeper.

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::desk::Desk;
use super::super::records::fact::title;
use super::super::records::kinds::Kind;
use super::super::records::store::Stored;
use super::super::records::wanted::PAGE_MAX_RECORDS;
use super::super::records::{answer, key_of};
use super::super::zone::utc_text;
use super::item::{opened, url};
use super::store::{self, Binned};
use crate::clock::DAY;
use crate::clock::steady::TIME_MIN;
use crate::feature::House;
use crate::gate::validate::Check;
use crate::gate::{ApiError, Call, Outcome};
use crate::housekeeper::{Stop, Task};
use crate::store::{Error, Pruner, Reader};

/// Days for which what was deleted can be brought back.
pub(in crate::modules) const BIN_DAYS: u32 = 30;
/// Records that one job removes at most: some milliseconds of the writer.
const PURGED_MAX: u64 = 200;

/// Lists what was deleted.
pub(super) fn list(desk: &Desk, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let mut check = Check::new();
    let skip = check.query_number(call.query_value("skip"), "skip", 0..=i64::MAX).unwrap_or_default();
    let limit = check.query_number(call.query_value("limit"), "limit", 1..=i64::MAX);
    check.done()?;
    let limit = limit.unwrap_or(PAGE_MAX_RECORDS).min(PAGE_MAX_RECORDS);
    let active = desk.active_modules();
    let fetch = move |reader: &Reader| {
        // One more, to know whether there are more.
        let mut found = store::binned(reader, limit + 1, skip)?;
        let has_more = i64::try_from(found.len()).is_ok_and(|count| count > limit);
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let mut deleted = Vec::with_capacity(found.len());
        for binned in &found {
            deleted.extend(described(binned, &active)?);
        }
        Ok(json!({ "deleted": deleted, "more": has_more }))
    };
    desk.parts.read(call, fetch, |listed| Ok(answer(&listed)))
}

/// Removes what was deleted for good.
pub(super) fn purge(desk: &Desk, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let kind = Kind::of_module(call.param("module")).ok_or_else(ApiError::no_route)?;
    purged(desk, call, kind, |_| ())
}

/// The same of a record of this kind; `then` sees to what is to go with it.
pub(in crate::modules) fn purged(
    desk: &Desk,
    call: &Call<'_>,
    kind: &'static Kind,
    then: impl FnOnce(&Stored) + 'static,
) -> Result<Outcome, ApiError> {
    desk.active(kind.module)?;
    let (key, hand) = (key_of(call, kind)?, desk.hand(call));
    desk.parts.change(
        call,
        move |tx| hand.purge(tx, kind, key),
        move |gone| {
            then(&gone);
            Ok(answer(&json!({ "message": format!("{} removed for good", kind.noun) })))
        },
    )
}

/// A record in the bin, if its module is active.
fn described(binned: &Binned, active: &[&'static str]) -> Result<Option<Value>, Error> {
    let Some((kind, fields)) = opened(binned.key, binned.json.as_bytes())? else { return Ok(None) };
    if !active.contains(&kind.module) {
        return Ok(None);
    }
    let id = binned.key.id();
    Ok(Some(json!({
        "module": kind.module, "id": id, "title": title(kind, &fields), "deleted_at": utc_text(binned.deleted_at),
        "restorable_until": utc_text(binned.deleted_at.later(DAY * BIN_DAYS)),
        "restore": format!("{}/restore", url(kind.module, kind.collection, id)),
    })))
}

/// The task that removes what was deleted long ago.
pub(in crate::modules) fn task(house: &House, reader: &Rc<Reader>, every: Duration) -> Task {
    let mut retention = house.timekeeper.retention("deleted records", DAY * BIN_DAYS);
    let mut pruner = Pruner::new(Rc::clone(reader), house.writer.clone(), "bin.removal_put_off");
    let run = move |stop: &Stop| {
        let horizon = retention.horizon();
        // What has an earlier date was deleted by a clock that was wrong, and stays until somebody looks.
        let Ok(oldest) = store::oldest_binned(pruner.reader(), TIME_MIN) else { return };
        let oldest = oldest.filter(|at| horizon.is_credible(*at));
        if !retention.allows(&horizon, oldest) || oldest.is_none_or(|oldest| oldest >= horizon.before) {
            return;
        }
        let (removed, _) = pruner.run(stop, |run| {
            let before = horizon.before;
            while run.remove(move |tx| store::purge(tx, TIME_MIN, before, PURGED_MAX))? == PURGED_MAX {}
            Ok(())
        });
        if removed.rows > 0 {
            log::info!(records = removed.rows, jobs = removed.jobs, days = BIN_DAYS; "bin.removed");
        }
    };
    Task { name: "bin", every, run: Box::new(run) }
}
