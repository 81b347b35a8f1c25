//! Taking a text out of a draft: the segment stays, with its place, its author and its hashes.

use std::rc::Rc;

use http::Method;

use super::store;
use crate::audit::Field;
use crate::drafts::change::{Change, KEY};
use crate::drafts::desk::Desk;
use crate::drafts::keys::store::Operation;
use crate::drafts::model::{Head, REASON_MAX_CHARS};
use crate::gate::validate::{Check, ECHO_CHARS, Length};
use crate::gate::{ApiError, Call, Code, Outcome, Route, Routes};
use crate::store::Tx;
use crate::text::cut;

/// What is served.
pub(in crate::drafts) const ROUTES: [Route; 1] =
    [Route::json(&Method::POST, "/v1/collab/drafts/{draft_id}/segments/{segment_id}/redact")
        .about("draft_id")
        .mutation()
        .does("Redact a segment's text")];

/// Adds these routes for one shard.
pub(in crate::drafts) fn routes(routes: &mut Routes, desk: &Rc<Desk>) {
    let [to_redact] = ROUTES;
    desk.add(routes, to_redact, redact_segment);
}

fn redact_segment(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let mut check = Check::new();
    let body = check.object(&call.body);
    let reason = check.text(body, "reason", Length::between(1, REASON_MAX_CHARS));
    // A text is gone once and for all, so that a retry needs none.
    let key = check.optional_text(body, "idempotency_key", KEY);
    check.done()?;
    let change = Change::of(desk, call);
    let segment_id = call.param("segment_id").to_owned();
    desk.change(call, change.draft_id.clone(), move |tx| {
        change.once(
            tx,
            (Operation::Redact, key.as_deref()),
            |_, head| change.may_govern(head),
            |tx, head| redact(tx, &change, head, &segment_id, &reason).map(|()| None),
        )
    })
}

/// Takes the text out of a segment whose hashes are known. Nothing is changed where it is gone already.
///
/// # Errors
/// 404 when the draft has no such segment.
pub(in crate::drafts) fn redact(
    tx: &mut Tx<'_>,
    change: &Change,
    head: &mut Head,
    segment_id: &str,
    reason: &str,
) -> Result<(), ApiError> {
    let no_such_segment = || {
        let [segment, draft] = [segment_id, &*head.draft_id].map(|text| cut(text, ECHO_CHARS));
        ApiError::new(Code::NotFound, format!("Segment {segment} not found in draft {draft}"))
    };
    let target = store::segment(tx, head.row, segment_id)?.ok_or_else(no_such_segment)?;
    if target.is_redacted {
        return Ok(());
    }
    store::redact(tx, head, target.order, segment_id, &change.request_id)?;
    change.count(tx, |metrics| &metrics.redacted);
    change.record(tx, "collab.redact_segment", || {
        [("segment_id", Field::Text(segment_id)), ("reason", Field::Text(reason)), ("by", Field::Text(change.by))]
    })?;
    Ok(())
}
