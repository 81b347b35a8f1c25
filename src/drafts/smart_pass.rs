//! Passing the ring to whom a rule chooses (contract 01 §1.9); the rules are in [`smart`](super::smart).

use std::rc::Rc;
use std::sync::Arc;

use http::Method;
use serde_json::json;

use super::change::{Change, KEY, ring_of};
use super::desk::Desk;
use super::error::NO_CANDIDATES;
use super::keys::store::{self as keys, Operation};
use super::ring::{self, Room};
use super::smart::{self, Selection, Strategy};
use super::store;
use crate::audit::Field;
use crate::gate::validate::Check;
use crate::gate::{ApiError, Call, Code, Outcome, Route, Routes};
use crate::store::{Error, Tx};

/// What is served.
pub(super) const ROUTES: [Route; 1] = [Route::json(&Method::POST, "/v1/collab/drafts/{draft_id}/pass-ring/smart")
    .about("draft_id")
    .mutation()
    .does("Pass the ring to a member chosen by a rule")];

/// Adds these routes for one shard.
pub(super) fn routes(routes: &mut Routes, desk: &Rc<Desk>) {
    let [to_pass] = ROUTES;
    desk.add(routes, to_pass, pass_ring_smart);
}

fn pass_ring_smart(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let mut check = Check::new();
    let body = check.object(&call.body);
    let strategy = check.choice(body, ("strategy", "enum"), &Strategy::WORDS);
    let strategy = strategy.and_then(Strategy::of).unwrap_or(Strategy::MostInactive);
    // The original had no rule that asks a model, and neither have we: it is read, recorded, and changes nothing.
    let allow_ai = check.flag(body, "allow_ai").unwrap_or(true);
    let key = check.text(body, "idempotency_key", KEY);
    check.done()?;
    let change = Change::of(desk, call);
    let cap = desk.shared.options.max_passes;
    let pass = move |tx: &mut Tx<'_>| {
        let mut head = change.head(tx)?;
        if let Some(kept) = keys::result_of(tx, head.row, &change.actor, Operation::SmartPass, &key)? {
            let selection = serde_json::from_str(&kept);
            return Ok((selection.map_err(|error| Error::Damaged(format!("a kept selection: {error}")))?, true));
        }
        change.is_expected(&head)?;
        // To whom it goes is not known yet, but a member.
        let room = Room { taken: head.passes, cap };
        ring::may_pass(ring_of(&head), &change.actor, true, room).map_err(|refusal| change.refused(refusal, ""))?;
        let members = store::members(tx, head.row)?;
        let written = store::last_written(tx, head.row)?;
        let selection = smart::select(ring_of(&head), &members, &written, strategy).ok_or_else(no_candidates)?;
        // Texts and numbers always serialise; the error type only has no way to say so.
        let kept = serde_json::to_string(&selection).map_err(|error| Error::Other(error.to_string()))?;
        let to_user = &selection.to_user_id;
        keys::spend_key_with(tx, head.row, &change.actor, Operation::SmartPass, &key, &kept)?;
        store::pass(tx, &mut head, to_user, &change.request_id)?;
        change.count(tx, |metrics| &metrics.passed);
        change.record(tx, "collab.pass_ring", || {
            [
                ("from_user_id", Field::Text(&head.holder_id)),
                ("to_user_id", Field::Text(to_user)),
                ("idempotency_key", Field::Text(&key)),
            ]
        })?;
        change.record(tx, "collab.pass_ring_smart", || {
            [
                ("to_user_id", Field::Text(to_user)),
                ("strategy", Field::Text(strategy.as_str())),
                ("allow_ai", Field::Flag(allow_ai)),
                ("idempotency_key", Field::Text(&key)),
                ("candidate_count", Field::Number(i64::try_from(selection.candidate_count).unwrap_or(i64::MAX))),
                ("reasoning", Field::Text(&selection.reasoning)),
            ]
        })?;
        Ok((selection, false))
    };
    let draft_id: Arc<str> = call.param("draft_id").into();
    desk.change_then(call, draft_id, pass, |desk, draft_id, (selection, replayed): (Selection, bool)| {
        desk.answer_with(draft_id, desk.fetch(draft_id)?, desk.metrics(replayed), beside(&selection))
    })
}

/// The members beside the draft that say who was chosen and why.
fn beside(selection: &Selection) -> Vec<u8> {
    let Selection { to_user_id, strategy, reasoning, candidate_count } = selection;
    let metrics =
        json!({ "strategy": strategy, "candidate_count": candidate_count, "computed_from": "activity_history" });
    let members = json!({
        "selected_to_user_id": to_user_id, "strategy_used": strategy, "reasoning": reasoning, "metrics": metrics,
    });
    let mut text = members.to_string().into_bytes();
    // Not an object of its own, but more members of the one around the draft.
    text.pop();
    if let Some(brace) = text.first_mut() {
        *brace = b',';
    }
    text
}

fn no_candidates() -> ApiError {
    ApiError::new(Code::Of(&NO_CANDIDATES), "No eligible collaborators to pass the ring to.")
}
