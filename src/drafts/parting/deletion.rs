//! Deleting a draft. It is gone for everybody at once; the housekeeper takes its texts out.

use std::rc::Rc;

use http::{Method, StatusCode};

use super::store;
use crate::audit::Field;
use crate::drafts::change::Change;
use crate::drafts::desk::Desk;
use crate::drafts::model::Head;
use crate::gate::{ApiError, Call, Outcome, Route, Routes};
use crate::net::Response;
use crate::store::Tx;

/// What is served.
pub(in crate::drafts) const ROUTES: [Route; 1] =
    [Route::user(&Method::DELETE, "/v1/collab/drafts/{draft_id}").about("draft_id").mutation().does("Delete a draft")];

/// Adds these routes for one shard.
pub(in crate::drafts) fn routes(routes: &mut Routes, desk: &Rc<Desk>) {
    let [to_delete] = ROUTES;
    desk.add(routes, to_delete, delete_draft);
}

fn delete_draft(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let change = Change::of(desk, call);
    let draft_id = change.draft_id.clone();
    let job = move |tx: &mut Tx<'_>| {
        let mut head = change.expected(tx)?;
        change.may_govern(&head)?;
        delete(tx, &change, &mut head)
    };
    desk.change_then(call, draft_id, job, |_, _, ()| Ok(Response::empty(StatusCode::NO_CONTENT)))
}

/// Deletes a draft, and tells its sockets.
///
/// # Errors
/// When the store fails.
pub(in crate::drafts) fn delete(tx: &mut Tx<'_>, change: &Change, head: &mut Head) -> Result<(), ApiError> {
    store::delete(tx, head, &change.request_id)?;
    change.count(tx, |metrics| &metrics.deleted);
    change.record(tx, "collab.delete_draft", || {
        [
            ("creator_id", Field::Text(&head.creator_id)),
            ("segments", Field::Number(head.segments)),
            ("by", Field::Text(change.by)),
        ]
    })?;
    let (sockets, draft_id) = (change.sockets.clone(), change.draft_id.clone());
    tx.after_commit(move || sockets.draft_deleted(&draft_id));
    Ok(())
}
