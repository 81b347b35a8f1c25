//! Members leave, or are removed. The ring of one who holds it goes to the creator, in the same change.

use std::rc::Rc;

use http::{Method, StatusCode};

use super::store;
use crate::audit::Field;
use crate::drafts::change::{Change, ring_of};
use crate::drafts::desk::Desk;
use crate::drafts::invites;
use crate::drafts::model::Head;
use crate::drafts::receipt::Made;
use crate::drafts::ring::{self, Parting};
use crate::gate::{ApiError, Call, Outcome, Route, Routes};
use crate::net::Response;
use crate::store::Tx;

/// How members call themselves in the path.
const ME: &str = "me";

/// What is served.
pub(in crate::drafts) const ROUTES: [Route; 1] =
    [Route::user(&Method::DELETE, "/v1/collab/drafts/{draft_id}/collaborators/{user_id}")
        .about("draft_id")
        .mutation()
        .does("Leave a draft (`me`), or remove a collaborator")];

/// Adds these routes for one shard.
pub(in crate::drafts) fn routes(routes: &mut Routes, desk: &Rc<Desk>) {
    let [to_part] = ROUTES;
    desk.add(routes, to_part, part);
}

fn part(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let change = Change::of(desk, call);
    let whom = match call.param("user_id") {
        ME => change.actor.clone(),
        other => other.to_owned(),
    };
    let draft_id = change.draft_id.clone();
    let job = move |tx: &mut Tx<'_>| {
        let mut head = change.expected(tx)?;
        let member = change.is_member(tx, &head, &whom)?;
        let parting = ring::may_part(ring_of(&head), &change.actor, &whom, member);
        let parting = parting.map_err(|refusal| change.refused(refusal, &whom))?;
        remove(tx, &change, &mut head, &whom, parting)?;
        Ok(parting)
    };
    desk.change_then(call, draft_id, job, |desk, draft_id, parting| match parting {
        // Who has left may be one who may not read it any more.
        Parting::Left => Ok(Response::empty(StatusCode::NO_CONTENT)),
        Parting::Removed => desk.changed(draft_id, Made::Now(None)),
    })
}

/// Takes a member out of a draft who is not its creator. Its ring, if it is held there, goes to the creator; its sockets are told.
///
/// # Errors
/// When the store fails.
pub(in crate::drafts) fn remove(
    tx: &mut Tx<'_>,
    change: &Change,
    head: &mut Head,
    whom: &str,
    parting: Parting,
) -> Result<(), ApiError> {
    let held = head.holder_id == whom;
    if held {
        let creator = head.creator_id.clone();
        store::hand_over(tx, head, &creator, parting.as_str(), &change.request_id)?;
    }
    store::remove_member(tx, head, whom, parting, &change.request_id)?;
    invites::store::revoke_of(tx, head.row, whom)?;
    let action = match parting {
        Parting::Left => {
            change.count(tx, |metrics| &metrics.left);
            "collab.leave_draft"
        }
        Parting::Removed => {
            change.count(tx, |metrics| &metrics.removed);
            "collab.remove_collaborator"
        }
    };
    change.record(tx, action, || {
        [
            ("collaborator_id", Field::Text(whom)),
            ("ring_to", Field::Text(if held { &head.creator_id } else { "" })),
            ("by", Field::Text(change.by)),
        ]
    })?;
    let (sockets, draft_id, whom) = (change.sockets.clone(), change.draft_id.clone(), whom.to_owned());
    tx.after_commit(move || sockets.user_parted(&draft_id, &whom));
    Ok(())
}
