//! Whose a draft is, and whether it takes appends: it is handed over, locked and unlocked.

use std::rc::Rc;

use http::Method;

use super::store;
use crate::audit::Field;
use crate::drafts::change::{Change, KEY, ring_of};
use crate::drafts::counters::Counters;
use crate::drafts::desk::Desk;
use crate::drafts::keys::store::Operation;
use crate::drafts::model::{ACTIVE, Head, LOCKED};
use crate::drafts::ring;
use crate::drafts::store::{DRAFT_LOCKED, DRAFT_UNLOCKED};
use crate::gate::validate::{Check, Length};
use crate::gate::{ApiError, Call, Outcome, Route, Routes};
use crate::observe::metrics::Counter;
use crate::store::Tx;

/// What is served.
pub(in crate::drafts) const ROUTES: [Route; 3] = [
    Route::json(&Method::POST, "/v1/collab/drafts/{draft_id}/transfer")
        .about("draft_id")
        .mutation()
        .does("Transfer a draft to a member"),
    Route::json(&Method::POST, "/v1/collab/drafts/{draft_id}/lock")
        .about("draft_id")
        .mutation()
        .does("Lock a draft against appends"),
    Route::json(&Method::POST, "/v1/collab/drafts/{draft_id}/unlock")
        .about("draft_id")
        .mutation()
        .does("Unlock a draft"),
];

/// Adds these routes for one shard.
pub(in crate::drafts) fn routes(routes: &mut Routes, desk: &Rc<Desk>) {
    let [to_transfer, to_lock, to_unlock] = ROUTES;
    desk.add(routes, to_transfer, transfer);
    desk.add(routes, to_lock, |desk, call| set_standing(desk, call, &TO_LOCK));
    desk.add(routes, to_unlock, |desk, call| set_standing(desk, call, &TO_UNLOCK));
}

fn transfer(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let mut check = Check::new();
    let body = check.object(&call.body);
    let to_user = check.text(body, "to_user_id", Length::ANY);
    let key = check.text(body, "idempotency_key", KEY);
    check.done()?;
    let change = Change::of(desk, call);
    desk.change(call, change.draft_id.clone(), move |tx| {
        let rule = |tx: &Tx<'_>, head: &Head| {
            let member = change.is_member(tx, head, &to_user)?;
            ring::may_transfer(ring_of(head), &change.actor, member)
                .map_err(|refusal| change.refused(refusal, &to_user))
        };
        change.once(tx, (Operation::Transfer, Some(&key)), rule, |tx, head| {
            // To oneself it is no change.
            if to_user != head.creator_id {
                store::transfer(tx, head, &to_user, &change.request_id)?;
                change.count(tx, |metrics| &metrics.transferred);
                change.record(tx, "collab.transfer_draft", || {
                    [("to_user_id", Field::Text(&to_user)), ("idempotency_key", Field::Text(&key))]
                })?;
            }
            Ok(None)
        })
    })
}

/// What a draft is to become.
struct Standing {
    status: &'static str,
    operation: Operation,
    event: &'static str,
    action: &'static str,
    counter: fn(&Counters) -> &Counter,
}

static TO_LOCK: Standing = Standing {
    status: LOCKED,
    operation: Operation::Lock,
    event: DRAFT_LOCKED,
    action: "collab.lock_draft",
    counter: |metrics| &metrics.locked,
};

static TO_UNLOCK: Standing = Standing {
    status: ACTIVE,
    operation: Operation::Unlock,
    event: DRAFT_UNLOCKED,
    action: "collab.unlock_draft",
    counter: |metrics| &metrics.unlocked,
};

fn set_standing(desk: &Rc<Desk>, call: &Call<'_>, wanted: &'static Standing) -> Result<Outcome, ApiError> {
    let mut check = Check::new();
    let body = check.object(&call.body);
    let key = check.text(body, "idempotency_key", KEY);
    check.done()?;
    let change = Change::of(desk, call);
    desk.change(call, change.draft_id.clone(), move |tx| {
        change.once(
            tx,
            (wanted.operation, Some(&key)),
            |_, head| change.may_govern(head),
            |tx, head| {
                // What is so already is not made so.
                if head.status != wanted.status {
                    store::set_status(tx, head, wanted.status, wanted.event, &change.request_id)?;
                    change.count(tx, wanted.counter);
                    change.record(tx, wanted.action, || [("idempotency_key", Field::Text(&key))])?;
                }
                Ok(None)
            },
        )
    })
}
