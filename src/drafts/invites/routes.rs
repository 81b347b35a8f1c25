//! What is asked of invitations, and by whom. Who asks is known by the header, as everywhere; clients of the original name
//! themselves in the query as well, and then both have to agree (ruling 8).

use std::rc::Rc;
use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::invite::{
    Acceptance, Denial, EXPIRES_HOURS, EXPIRES_MAX_HOURS, Invite, KEPT_MAX_INVITES, PENDING_MAX_INVITES, ROLE, Wanted,
};
use super::store;
use super::token::Token;
use crate::audit::Field;
use crate::clock::{HOUR_MICROS, Timestamp};
use crate::drafts::access::{member, missing, not_member};
use crate::drafts::change::{Change, KEY, check_new_name, ring_of};
use crate::drafts::desk::Desk;
use crate::drafts::error::{INVITE_ACCEPTED, INVITE_EXPIRED, INVITE_REVOKED, LIMIT_EXCEEDED};
use crate::drafts::keys::store::{self as keys, Operation};
use crate::drafts::model::{Head, display_name};
use crate::drafts::ring::{self, Addition, Room};
use crate::drafts::store as drafts;
use crate::gate::validate::{Check, ECHO_CHARS, Length};
use crate::gate::{ApiError, Call, Code, Outcome, Route, Routes, USER_ID_MAX_CHARS};
use crate::net::Response;
use crate::store::{Error, Reader, Tx};
use crate::text::cut;

/// What is served.
pub(in crate::drafts) const ROUTES: [Route; 5] = [
    Route::json(&Method::POST, "/v1/collab/drafts/{draft_id}/invites")
        .about("draft_id")
        .mutation()
        .does("Invite someone to a draft"),
    Route::user(&Method::GET, "/v1/collab/drafts/{draft_id}/invites")
        .about("draft_id")
        .does("List the invitations to a draft"),
    Route::user(&Method::GET, "/v1/collab/invites/{invite_id}").does("Read an invitation that you received"),
    Route::json(&Method::POST, "/v1/collab/invites/{invite_id}/accept").mutation().does("Accept an invitation"),
    Route::json(&Method::POST, "/v1/collab/invites/{invite_id}/revoke").mutation().does("Revoke an invitation"),
];

/// The longest token that is looked at: longer ones are as wrong as any.
const TOKEN: Length = Length::between(0, 255);
/// Where a token stands when an invitation is looked at: not in the query, which proxies log.
const TOKEN_HEADER: &str = "x-invite-token";

/// Adds these routes for one shard.
pub(in crate::drafts) fn routes(routes: &mut Routes, desk: &Rc<Desk>) {
    let [to_create, to_list, to_look, to_accept, to_revoke] = ROUTES;
    desk.add(routes, to_create, create);
    desk.add(routes, to_list, list);
    desk.add(routes, to_look, look);
    desk.add(routes, to_accept, accept);
    desk.add(routes, to_revoke, revoke);
}

/// A new invitation as it is to be, or one that was made before with the same key.
struct Made {
    invite: Invite,
    now: Timestamp,
}

fn create(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let mut check = Check::new();
    check_user(call, &mut check);
    let body = check.object(&call.body);
    let wanted = Wanted {
        handle: check.optional_text(body, "target_handle", Length::ANY),
        user_id: check.optional_text(body, "target_user_id", Length::between(1, USER_ID_MAX_CHARS)),
    };
    for (name, text) in [("target_handle", &wanted.handle), ("target_user_id", &wanted.user_id)] {
        text.iter().for_each(|text| check.user_name("body", name, text));
    }
    let hours = check.number(body, "expires_in_hours", 1..=EXPIRES_MAX_HOURS).unwrap_or(EXPIRES_HOURS);
    let key = check.text(body, "idempotency_key", KEY);
    check.done()?;
    let change = Change::of(desk, call);
    let draft_id = Arc::clone(&change.draft_id);
    let invite_id = uuid::Uuid::new_v4().to_string();
    let tokens = desk.shared.tokens.clone();
    let token = tokens.of(&invite_id);
    let create = move |tx: &mut Tx<'_>| {
        let (head, now) = (change.head(tx)?, tx.now());
        if let Some(earlier) = keys::result_of(tx, head.row, &change.actor, Operation::Invite, &key)? {
            // Forgotten within the life of its key, as one of very many.
            let invite = store::find(tx, &earlier)?.ok_or_else(|| invite_not_found(&earlier))?;
            return Ok(Made { invite, now });
        }
        if !ring::may_invite(ring_of(&head), &change.actor) {
            return Err(ApiError::new(Code::Forbidden, "Only draft owner or ring holder can create invites"));
        }
        let target_user = wanted.user(&change.actor).map_err(|why| ApiError::new(Code::HttpError, why))?;
        check_new_name(tx, ("body", "target_user_id"), &target_user)?;
        make_room(tx, &head, now)?;
        let invite = Invite {
            invite_id: invite_id.clone(),
            draft_id: head.draft_id.clone(),
            created_by: change.actor.clone(),
            target_user,
            target_handle: wanted.handle.clone(),
            token_hash: token.hash().to_vec(),
            token_hint: token.hint().to_owned(),
            created_at: now,
            expires_at: Timestamp(now.0.saturating_add(hours * HOUR_MICROS)),
            accepted_at: None,
            revoked_at: None,
        };
        keys::spend_key_with(tx, head.row, &change.actor, Operation::Invite, &key, &invite.invite_id)?;
        store::insert(tx, head.row, &invite)?;
        change.record(tx, "collab.create_invite", || {
            [
                ("invite_id", Field::Text(&invite.invite_id)),
                ("target_user_id", Field::Text(&invite.target_user)),
                ("expires_in_hours", Field::Number(hours)),
                ("idempotency_key", Field::Text(&key)),
            ]
        })?;
        Ok(Made { invite, now })
    };
    desk.change_then(call, draft_id, create, move |_, _, Made { invite, now }| {
        // The token of an earlier start is known to nobody but who was given it.
        let token = Some(tokens.of(&invite.invite_id)).filter(|token| token.is(&invite.token_hash));
        let share_url = token.map(|token| format!("/collab/invite/{}?token={}", invite.invite_id, token.0));
        Ok(success(&json!({
            "invite_id": invite.invite_id,
            "target_user_id": invite.target_user,
            "target_handle": invite.target_handle,
            "status": invite.status(now),
            "created_at": invite.created_at.offset_style(),
            "expires_at": invite.expires_at.offset_style(),
            "token_hint": invite.token_hint,
            "share_url": share_url,
        })))
    })
}

/// Refuses more invitations than may wait, and forgets the oldest that does not wait when there are as many as are kept.
fn make_room(tx: &mut Tx<'_>, head: &Head, now: Timestamp) -> Result<(), ApiError> {
    let (pending, kept) = store::count(tx, head.row, now)?;
    if pending >= PENDING_MAX_INVITES {
        let message = format!(
            "{pending} invitations to draft {} wait for an answer, and more than {PENDING_MAX_INVITES} may not; revoke some",
            head.draft_id
        );
        return Err(ApiError::new(Code::Of(&LIMIT_EXCEEDED), message));
    }
    if kept >= KEPT_MAX_INVITES {
        store::forget(tx, head.row, now, kept - KEPT_MAX_INVITES + 1)?;
    }
    Ok(())
}

fn list(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let mut check = Check::new();
    check_user(call, &mut check);
    check.done()?;
    let (draft_id, user) = (call.param("draft_id").to_owned(), call.user.to_owned());
    let now = desk.shared.house.clock.now();
    let fetch = move |reader: &Reader| {
        // Who is invited is nobody's business but the members', also where anybody may read the draft.
        let head = member(reader, &draft_id, &user, || not_member(&user, &draft_id))?;
        Ok(told(reader, head.row, now)?)
    };
    desk.parts.read(call, fetch, move |summaries| {
        let body = json!({ "success": true, "count": summaries.len(), "data": summaries });
        Ok(Response::json(StatusCode::OK, body.to_string().into_bytes()))
    })
}

/// All invitations to a draft, as its members see them.
///
/// # Errors
/// When the store fails.
pub(in crate::drafts) fn told(reader: &Reader, draft: i64, now: Timestamp) -> Result<Vec<Value>, Error> {
    Ok(store::of_draft(reader, draft)?.iter().map(|invite| json!(invite.summary(now, None))).collect())
}

fn look(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let mut check = Check::new();
    check_user(call, &mut check);
    check.done()?;
    let token = call.headers.get(TOKEN_HEADER).map(|value| String::from_utf8_lossy(value).into_owned());
    let token = Token(token.unwrap_or_default());
    let (invite_id, user) = (call.param("invite_id").to_owned(), call.user.to_owned());
    let fetch = move |reader: &Reader| {
        let invite = store::find(reader, &invite_id)?.ok_or_else(|| invite_not_found(&invite_id))?;
        invite.may_see(&token, &user).map_err(|denial| denied(denial, &invite, &user))?;
        let head = drafts::head(reader, &invite.draft_id)?.ok_or_else(|| missing(reader, &invite.draft_id))?;
        Ok((invite, head.title))
    };
    let now = desk.shared.house.clock.now();
    desk.parts.read(call, fetch, move |(invite, title)| {
        let mut data = json!(invite.summary(now, None));
        data["draft_title"] = title.into();
        data["created_by_display"] = display_name(&invite.created_by).into();
        Ok(success(&data))
    })
}

fn accept(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let mut check = Check::new();
    check_user(call, &mut check);
    let body = check.object(&call.body);
    let token = Token(check.text(body, "token", TOKEN));
    // An accepted invitation is accepted for good, by whom it names: that is its key.
    check.text(body, "idempotency_key", KEY);
    check.done()?;
    let mut change = Change::of(desk, call);
    let invite_id = call.param("invite_id").to_owned();
    let cap = desk.shared.options.max_collaborators;
    let accept = move |tx: &mut Tx<'_>| {
        let mut invite = store::find(tx, &invite_id)?.ok_or_else(|| invite_not_found(&invite_id))?;
        change.draft_id = Arc::from(&*invite.draft_id);
        let (head, now) = (change.head(tx)?, tx.now());
        let accepted = invite.may_accept(&token, &change.actor, now);
        if accepted.map_err(|denial| denied(denial, &invite, &change.actor))? == Acceptance::Again {
            return Ok((invite, now));
        }
        change.is_expected(&head)?;
        let member = change.is_member(tx, &head, &change.actor)?;
        let room = Room { taken: head.collaborators, cap };
        let addition = ring::may_join(member, room).map_err(|refusal| change.refused(refusal, ""))?;
        if addition == Addition::New {
            check_new_name(tx, ("header", "X-User-Id"), &change.actor)?;
            drafts::add_collaborator(tx, &head, &change.actor, ROLE, &change.request_id)?;
            change.count(tx, |metrics| &metrics.added);
        }
        store::accept(tx, &invite_id)?;
        invite.accepted_at = Some(now);
        change.record(tx, "collab.accept_invite", || {
            [
                ("invite_id", Field::Text(&invite_id)),
                ("collaborator_id", Field::Text(&change.actor)),
                ("role", Field::Text(ROLE)),
            ]
        })?;
        Ok((invite, now))
    };
    desk.parts.change(call, accept, |(invite, now): (Invite, Timestamp)| {
        Ok(success(&json!(invite.summary(now, Some(invite.welcome())))))
    })
}

fn revoke(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let mut check = Check::new();
    check_user(call, &mut check);
    let body = check.object(&call.body);
    // A revoked invitation is revoked for good: that is its key.
    check.text(body, "idempotency_key", KEY);
    check.done()?;
    let mut change = Change::of(desk, call);
    let invite_id = call.param("invite_id").to_owned();
    let revoke = move |tx: &mut Tx<'_>| {
        let mut invite = store::find(tx, &invite_id)?.ok_or_else(|| invite_not_found(&invite_id))?;
        change.draft_id = Arc::from(&*invite.draft_id);
        let (head, now) = (change.head(tx)?, tx.now());
        let changes = invite.may_revoke(&change.actor, &head.creator_id, now);
        if changes.map_err(|denial| denied(denial, &invite, &change.actor))? {
            store::revoke(tx, &invite_id)?;
            invite.revoked_at = Some(now);
            change.record(tx, "collab.revoke_invite", || {
                [("invite_id", Field::Text(&invite_id)), ("target_user_id", Field::Text(&invite.target_user))]
            })?;
        }
        Ok((invite, now))
    };
    desk.parts.change(call, revoke, |(invite, now): (Invite, Timestamp)| Ok(success(&json!(invite.summary(now, None)))))
}

/// Refuses a query that names somebody else than who asks.
fn check_user(call: &Call<'_>, check: &mut Check) {
    if let Some(named) = call.query_value("user_id").filter(|named| named != call.user) {
        check.refuse("query", "user_id", &named, "Should be the user who asks: that is who the header says");
    }
}

fn success(data: &Value) -> Response {
    let body = json!({ "success": true, "data": data });
    Response::json(StatusCode::OK, body.to_string().into_bytes())
}

fn invite_not_found(invite_id: &str) -> ApiError {
    ApiError::new(Code::NotFound, format!("Invite not found: {}", cut(invite_id, ECHO_CHARS)))
}

/// The words for a denial to this user.
fn denied(denial: Denial, invite: &Invite, user: &str) -> ApiError {
    match denial {
        Denial::Token => ApiError::new(Code::Forbidden, "Invalid token"),
        Denial::User => {
            let (target, user) = (cut(&invite.target_user, ECHO_CHARS), cut(user, ECHO_CHARS));
            ApiError::new(Code::Forbidden, format!("This invite is for {target}, not {user}"))
        }
        Denial::Revoked => ApiError::new(Code::Of(&INVITE_REVOKED), "This invite has been revoked"),
        Denial::Expired => {
            let at = invite.expires_at.offset_style();
            ApiError::new(Code::Of(&INVITE_EXPIRED), format!("This invite has expired at {at}"))
        }
        Denial::Accepted => {
            ApiError::new(Code::Of(&INVITE_ACCEPTED), "This invite was accepted; revoking it removes nobody")
        }
        Denial::NotInviter => {
            let creator = cut(&invite.created_by, ECHO_CHARS);
            ApiError::new(Code::Forbidden, format!("Only {creator} can revoke this invite"))
        }
    }
}
