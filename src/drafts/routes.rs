//! A draft is made and read (contract 01 §1.3–1.5); changes stand in [`turns`](super::turns).

use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::Arc;

use http::{Method, StatusCode};
use uuid::Uuid;

use super::access::missing;
use super::change::check_new_name;
use super::desk::{Desk, unasked};
use super::frame::frame_text;
use super::model::{
    CONTENT_MAX_CHARS, LIST_MAX_DRAFTS, PAGE_EVENTS, PAGE_MAX_EVENTS, PAGE_MAX_SEGMENTS, PAGE_SEGMENTS, TITLE_MAX_CHARS,
};
use super::parting::{deletion, lease, leaving, redaction, standing};
use super::parts::Metrics;
use super::pieces::Pieces;
use super::receipt::Made;
use super::replay::{self, Page};
use super::shared::Shared;
use super::store::{self, NewDraft};
use super::version::{self, Known};
use super::{analytics, card, history, insights, invites, proof, smart_pass, tickets, turns, view, watchers};
use crate::audit::{Entry, Field};
use crate::feature::ShardParts;
use crate::gate::validate::{Check, Length};
use crate::gate::{ApiError, Call, Code, Outcome, Route, Routes};
use crate::net::Response;
use crate::store::Reader;

/// A HEAD whose answer would take more rows than this is not told its length.
pub(super) const HEAD_MAX_ROWS: i64 = PAGE_EVENTS;

/// What is served.
pub(super) const ROUTES: [Route; 4] = [
    Route::json(&Method::POST, "/v1/collab/drafts").mutation().does("Create a draft"),
    Route::user(&Method::GET, "/v1/collab/drafts").does("List your drafts"),
    Route::public(&Method::GET, "/v1/collab/drafts/{draft_id}").about("draft_id").does("Read a draft"),
    Route::public(&Method::GET, "/v1/collab/drafts/{draft_id}/events")
        .about("draft_id")
        .does("Read the events of a draft"),
];

/// Adds the routes of drafts for one shard.
pub(super) fn routes(routes: &mut Routes, parts: ShardParts, shared: Shared) {
    let desk = Desk::new(parts, shared);
    let [to_create, to_list, to_get, to_events] = ROUTES;
    desk.add(routes, to_create, create);
    desk.add(routes, to_list, list);
    desk.add_reading(routes, to_get, get);
    desk.add_reading(routes, to_events, events);
    turns::routes(routes, &desk);
    proof::routes(routes, &desk);
    smart_pass::routes(routes, &desk);
    card::routes(routes, &desk);
    invites::routes(routes, &desk);
    history::routes(routes, &desk);
    analytics::routes(routes, &desk);
    insights::routes(routes, &desk);
    watchers::routes(routes, &desk);
    tickets::routes(routes, &desk);
    leaving::routes(routes, &desk);
    standing::routes(routes, &desk);
    lease::routes(routes, &desk);
    redaction::routes(routes, &desk);
    deletion::routes(routes, &desk);
}

fn create(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let mut check = Check::new();
    let body = check.object(&call.body);
    let title = check.text(body, "title", Length::between(1, TITLE_MAX_CHARS));
    let platform = check.text(body, "platform", Length::ANY);
    let initial = check.optional_text(body, "initial_segment", Length::between(0, CONTENT_MAX_CHARS));
    check.done()?;
    let new = NewDraft {
        draft_id: Uuid::new_v4().to_string(),
        creator_id: call.user.to_owned(),
        title,
        platform,
        initial_segment: initial.filter(|text| !text.is_empty()).map(|text| (Uuid::new_v4().to_string(), text)),
    };
    let (witness, request_id) = (desk.witness(call), call.request_id.as_str().to_owned());
    let created = desk.shared.counters.created.clone();
    let shown = Rc::clone(desk);
    desk.parts.change(
        call,
        move |tx| {
            check_new_name(tx, ("header", "X-User-Id"), &new.creator_id)?;
            store::create(tx, &new, &request_id)?;
            let created = created.clone();
            tx.after_commit(move || _ = created.inc());
            if let Some(witness) = &witness {
                let (request_id, user_id, subject) = (&request_id, &new.creator_id, &new.draft_id);
                let metadata = &[("title", Field::Text(&new.title)), ("platform", Field::Text(&new.platform))];
                let action = "collab.create_draft";
                witness.record(tx, &Entry { request_id, user_id, action, subject, metadata })?;
            }
            Ok(Arc::from(&*new.draft_id))
        },
        move |draft_id| shown.changed(&draft_id, Made::Now(None)),
    )
}

fn list(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let before = call.query_value("before").filter(|text| !text.is_empty());
    let user = call.user.to_owned();
    let is_head = call.method == Method::HEAD;
    let limit = if is_head { 1 } else { LIST_MAX_DRAFTS + 1 };
    let fetch = move |reader: &Reader| {
        // An unknown draft has nothing before it; an empty page would pass for the end of the list.
        let unknown = || ApiError::new(Code::ValidationError, "Unknown draft in 'before' parameter");
        let before = before.map(|draft_id| store::row(reader, &draft_id)?.ok_or_else(unknown)).transpose()?;
        Ok(store::newest_of_user(reader, &user, before, limit)?)
    };
    let shown = Rc::clone(desk);
    desk.parts.read(call, fetch, move |ids| if is_head { Ok(unasked(None)) } else { shown.list(ids) })
}

fn get(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let now = desk.moment(call)?;
    let mut check = Check::new();
    let after = check.query_number(call.query_value("segments_after"), "segments_after", 0..=i64::MAX);
    let limit = check.query_number(call.query_value("limit"), "limit", 1..=PAGE_MAX_SEGMENTS);
    check.done()?;
    let included = call.query_value("include").unwrap_or_default();
    let metrics = match included.split(',').any(|part| part == "lease") {
        true => Metrics::WithLease { now, of_server: desk.shared.options.lease_seconds },
        false => Metrics::At(now),
    };
    let draft_id: Arc<str> = call.param("draft_id").into();
    let may_read = desk.may_read(&draft_id, call);
    if after.is_some() || limit.is_some() {
        return page(desk, call, draft_id, (after, limit.unwrap_or(PAGE_SEGMENTS)));
    }
    let (wanted, damaged) = (Arc::clone(&draft_id), desk.shared.damaged.clone());
    let seen = desk.views.borrow().seen(&draft_id);
    let is_head = call.method == Method::HEAD;
    let rows_max = if is_head { HEAD_MAX_ROWS } else { i64::MAX };
    let fetch = move |reader: &Reader| {
        may_read.ask(reader)?;
        let fetched = view::fetch(reader, &wanted, seen, rows_max).map_err(ApiError::from);
        fetched.inspect_err(|error| damaged.note(&wanted, error))
    };
    let (shown, known) = (Rc::clone(desk), Known::of(call));
    desk.parts.read(call, fetch, move |fetched| match shown.unchanged(&draft_id, &fetched, &known) {
        Some(unchanged) => Ok(unchanged),
        None if is_head => shown.answer_to_head(&draft_id, fetched, metrics),
        None => shown.answer(&draft_id, fetched, metrics),
    })
}

/// A page of a draft's segments: only these are read.
fn page(
    desk: &Rc<Desk>,
    call: &Call<'_>,
    draft_id: Arc<str>,
    (after, limit): (Option<i64>, i64),
) -> Result<Outcome, ApiError> {
    let (may_read, wanted) = (desk.may_read(&draft_id, call), Arc::clone(&draft_id));
    let fetch = move |reader: &Reader| {
        may_read.ask(reader)?;
        store::head(reader, &wanted)?.ok_or_else(|| missing(reader, &wanted))
    };
    let (shown, known, is_head) = (Rc::clone(desk), Known::of(call), call.method == Method::HEAD);
    desk.parts.read(call, fetch, move |head| match head.event_seq {
        version if known.is(version) => Ok(version::not_modified(version)),
        version if is_head => Ok(version::tagged(unasked(None), version)),
        _ => shown.in_pieces(&draft_id, Pieces::page(head, after, limit), Vec::new()),
    })
}

fn events(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let mut check = Check::new();
    let since = check.query_number(call.query_value("since"), "since", 0..=i64::MAX).unwrap_or(0);
    let limit = check.query_number(call.query_value("limit"), "limit", 1..=PAGE_MAX_EVENTS).unwrap_or(PAGE_EVENTS);
    check.done()?;
    let draft_id: Arc<str> = call.param("draft_id").into();
    let may_read = desk.may_read(&draft_id, call);
    if call.method == Method::HEAD && limit > HEAD_MAX_ROWS {
        let fetch = move |reader: &Reader| {
            may_read.ask(reader)?;
            match store::head(reader, &draft_id)? {
                Some(_) => Ok(()),
                None => Err(missing(reader, &draft_id)),
            }
        };
        return desk.parts.read(call, fetch, |_| Ok(unasked(None)));
    }
    let (wanted, damaged) = (draft_id, desk.shared.damaged.clone());
    let fetch = move |reader: &Reader| {
        may_read.ask(reader)?;
        let page = replay::page(reader, &wanted, since, limit).map_err(ApiError::from);
        page.inspect_err(|error| damaged.note(&wanted, error))?.ok_or_else(|| missing(reader, &wanted))
    };
    desk.parts.read(call, fetch, move |page| {
        let Page { head, events, complete, more } = page;
        let mut body = "{\"data\":[".to_owned();
        for (at, event) in events.iter().enumerate() {
            body.push_str(if at == 0 { "" } else { "," });
            body.push_str(&frame_text(event, true));
        }
        // Writing to a String cannot fail.
        let _ = write!(body, r#"],"from":{since},"to":{head},"complete":{complete},"more":{more}}}"#);
        Ok(Response::json(StatusCode::OK, body.into_bytes()))
    })
}
