//! Writing in turn (contract 01 §1.6–1.8): append, pass the ring, add a collaborator.

use std::rc::Rc;
use std::sync::Arc;

use http::Method;
use uuid::Uuid;

use super::change::{Change, KEY, check_new_name, ring_of};
use super::desk::Desk;
use super::keys::store::Operation;
use super::model::{CONTENT_MAX_CHARS, Head, ROLE_MAX_CHARS};
use super::ring::{self, Addition, Room};
use super::store;
use crate::audit::Field;
use crate::gate::validate::{Check, Length};
use crate::gate::{ApiError, Call, Outcome, Route, Routes, USER_ID_MAX_CHARS};
use crate::store::Tx;

/// What is served.
pub(super) const ROUTES: [Route; 3] = [
    Route::json(&Method::POST, "/v1/collab/drafts/{draft_id}/segments")
        .about("draft_id")
        .mutation()
        .does("Append a segment"),
    Route::json(&Method::POST, "/v1/collab/drafts/{draft_id}/pass-ring")
        .about("draft_id")
        .mutation()
        .does("Pass the ring"),
    Route::user(&Method::POST, "/v1/collab/drafts/{draft_id}/collaborators")
        .about("draft_id")
        .mutation()
        .does("Add a collaborator"),
];

/// Adds these routes for one shard.
pub(super) fn routes(routes: &mut Routes, desk: &Rc<Desk>) {
    let [to_append, to_pass, to_add] = ROUTES;
    desk.add(routes, to_append, append_segment);
    desk.add(routes, to_pass, pass_ring);
    desk.add(routes, to_add, add_collaborator);
}

fn append_segment(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let mut check = Check::new();
    let body = check.object(&call.body);
    let content = check.text(body, "content", Length::between(1, CONTENT_MAX_CHARS));
    let key = check.text(body, "idempotency_key", KEY);
    check.done()?;
    let change = Change::of(desk, call);
    let segment_id = Uuid::new_v4().to_string();
    let cap = desk.shared.options.max_segments;
    desk.change(call, Arc::clone(&change.draft_id), move |tx| {
        let rule = |tx: &Tx<'_>, head: &Head| {
            let member = change.is_member(tx, head, &change.actor)?;
            let room = Room { taken: head.segments, cap };
            ring::may_append(ring_of(head), &change.actor, member, room)
                .and_then(|()| ring::is_open(head.is_locked()))
                .map_err(|refusal| change.refused(refusal, ""))
        };
        change.once(tx, (Operation::Append, Some(&key)), rule, |tx, head| {
            let link = store::append(tx, head, &segment_id, &content, &change.request_id)?;
            change.count(tx, |metrics| &metrics.appended);
            change.record(tx, "collab.append_segment", || {
                let chars = i64::try_from(content.chars().count()).unwrap_or(i64::MAX);
                [
                    ("segment_id", Field::Text(&segment_id)),
                    ("content_len", Field::Number(chars)),
                    ("idempotency_key", Field::Text(&key)),
                ]
            })?;
            Ok(Some(link))
        })
    })
}

fn pass_ring(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let mut check = Check::new();
    let body = check.object(&call.body);
    let to_user = check.text(body, "to_user_id", Length::ANY);
    let key = check.text(body, "idempotency_key", KEY);
    check.done()?;
    let change = Change::of(desk, call);
    let cap = desk.shared.options.max_passes;
    desk.change(call, Arc::clone(&change.draft_id), move |tx| {
        let rule = |tx: &Tx<'_>, head: &Head| {
            let member = change.is_member(tx, head, &to_user)?;
            let room = Room { taken: head.passes, cap };
            ring::may_pass(ring_of(head), &change.actor, member, room)
                .map_err(|refusal| change.refused(refusal, &to_user))
        };
        change.once(tx, (Operation::Pass, Some(&key)), rule, |tx, head| {
            store::pass(tx, head, &to_user, &change.request_id)?;
            change.count(tx, |metrics| &metrics.passed);
            change.record(tx, "collab.pass_ring", || {
                [
                    ("from_user_id", Field::Text(&head.holder_id)),
                    ("to_user_id", Field::Text(&to_user)),
                    ("idempotency_key", Field::Text(&key)),
                ]
            })?;
            Ok(None)
        })
    })
}

fn add_collaborator(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let mut check = Check::new();
    let user = call.query_value("collaborator_id");
    let user = check.query_text(user, "collaborator_id", Length::between(1, USER_ID_MAX_CHARS));
    check.user_name("query", "collaborator_id", &user);
    let role = call.query_value("role").unwrap_or_else(|| "contributor".to_owned());
    check.length("query", "role", &role, Length::between(0, ROLE_MAX_CHARS));
    check.done()?;
    let change = Change::of(desk, call);
    let cap = desk.shared.options.max_collaborators;
    desk.change(call, Arc::clone(&change.draft_id), move |tx| {
        let head = change.expected(tx)?;
        let member = change.is_member(tx, &head, &user)?;
        let room = Room { taken: head.collaborators, cap };
        let addition = ring::may_add(ring_of(&head), &change.actor, member, room)
            .map_err(|refusal| change.refused(refusal, &user))?;
        if addition == Addition::New {
            check_new_name(tx, ("query", "collaborator_id"), &user)?;
            store::add_collaborator(tx, &head, &user, &role, &change.request_id)?;
            change.count(tx, |metrics| &metrics.added);
            change.record(tx, "collab.add_collaborator", || {
                [("collaborator_id", Field::Text(&user)), ("role", Field::Text(&role))]
            })?;
        }
        Ok(false)
    })
}
