//! The lease of a ring: when its holder has been silent for so long, the creator may take it back. An operator may at any time.

use std::rc::Rc;
use std::time::Duration;

use http::Method;

use super::store;
use crate::audit::Field;
use crate::drafts::change::{Change, KEY, ring_of};
use crate::drafts::desk::Desk;
use crate::drafts::keys::store::Operation;
use crate::drafts::model::{Head, LEASE_MAX_SECONDS};
use crate::drafts::receipt::Made;
use crate::drafts::ring;
use crate::gate::validate::Check;
use crate::gate::{ApiError, Call, Outcome, Route, Routes};
use crate::store::Tx;

/// What is served.
pub(in crate::drafts) const ROUTES: [Route; 2] = [
    Route::json(&Method::PUT, "/v1/collab/drafts/{draft_id}/lease")
        .about("draft_id")
        .mutation()
        .does("Set how long the ring's holder may be silent"),
    Route::json(&Method::POST, "/v1/collab/drafts/{draft_id}/reclaim-ring")
        .about("draft_id")
        .mutation()
        .does("Take the ring back from a silent holder"),
];

/// Adds these routes for one shard.
pub(in crate::drafts) fn routes(routes: &mut Routes, desk: &Rc<Desk>) {
    let [to_set, to_reclaim] = ROUTES;
    desk.add(routes, to_set, set_lease);
    desk.add(routes, to_reclaim, reclaim);
}

fn set_lease(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let mut check = Check::new();
    let body = check.object(&call.body);
    let seconds = check.required_number(body, "seconds", 0..=LEASE_MAX_SECONDS);
    check.done()?;
    let change = Change::of(desk, call);
    desk.change(call, change.draft_id.clone(), move |tx| {
        let mut head = change.expected(tx)?;
        change.may_govern(&head)?;
        if head.lease_seconds != Some(seconds) {
            store::set_lease(tx, &mut head, seconds, &change.request_id)?;
            change.count(tx, |metrics| &metrics.leased);
            change.record(tx, "collab.set_lease", || [("seconds", Field::Number(seconds))])?;
        }
        Ok(Made::Now(None))
    })
}

fn reclaim(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let mut check = Check::new();
    let body = check.object(&call.body);
    let key = check.text(body, "idempotency_key", KEY);
    check.done()?;
    let change = Change::of(desk, call);
    let of_server = desk.shared.options.lease_seconds;
    desk.change(call, change.draft_id.clone(), move |tx| {
        let rule = |tx: &Tx<'_>, head: &Head| {
            let lease = Duration::from_secs(head.lease(of_server));
            let silent = tx.now().ahead_of(head.updated_at);
            ring::may_reclaim(ring_of(head), &change.actor, lease, silent)
                .map_err(|refusal| change.refused(refusal, &head.holder_id))
        };
        change.once(tx, (Operation::Reclaim, Some(&key)), rule, |tx, head| {
            take_back(tx, &change, head, "lease").map(|()| None)
        })
    })
}

/// Hands the ring to the creator, who does not have it. `reason` says why, in a word.
///
/// # Errors
/// When the store fails.
pub(in crate::drafts) fn take_back(
    tx: &mut Tx<'_>,
    change: &Change,
    head: &mut Head,
    reason: &'static str,
) -> Result<(), ApiError> {
    let (from, to) = (head.holder_id.clone(), head.creator_id.clone());
    store::hand_over(tx, head, &to, reason, &change.request_id)?;
    change.count(tx, |metrics| &metrics.reclaimed);
    change.record(tx, "collab.reclaim_ring", || {
        [
            ("from_user_id", Field::Text(&from)),
            ("to_user_id", Field::Text(&to)),
            ("reason", Field::Text(reason)),
            ("by", Field::Text(change.by)),
        ]
    })?;
    Ok(())
}
