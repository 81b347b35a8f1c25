//! A draft looked back on, by its members: its timeline, who has written what, and all of it as a file (contract 01 §1.13, §1.14).
//!
//! Reading is recorded nowhere: the audit log is about changes.

use std::rc::Rc;
use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::json;

use super::access::member;
use super::authors::{Author, Authors};
use super::desk::{Desk, unasked};
use super::export::{Export, Format};
use super::store::{self, Order};
use super::timeline::{TIMELINE_EVENTS, TIMELINE_MAX_EVENTS, told};
use super::walk::{STEP_ROWS, Walk};
use crate::gate::validate::{Body, Check};
use crate::gate::{ApiError, Call, Code, Outcome, Route, Routes};
use crate::net::Response;
use crate::net::body::PIECE_BYTES;
use crate::store::Reader;

/// What is served.
pub(super) const ROUTES: [Route; 3] = [
    Route::user(&Method::GET, "/v1/timeline/drafts/{draft_id}").about("draft_id").does("Read the timeline of a draft"),
    Route::user(&Method::GET, "/v1/timeline/drafts/{draft_id}/attribution")
        .about("draft_id")
        .does("Read who wrote which segments of a draft"),
    Route::json(&Method::POST, "/v1/export/drafts/{draft_id}")
        .about("draft_id")
        .does("Export a draft as Markdown or JSON"),
];

/// Adds these routes for one shard.
pub(super) fn routes(routes: &mut Routes, desk: &Rc<Desk>) {
    let [to_timeline, to_attribution, to_export] = ROUTES;
    desk.add(routes, to_timeline, timeline);
    desk.add(routes, to_attribution, attribution);
    desk.add(routes, to_export, export);
}

fn no_access() -> ApiError {
    ApiError::new(Code::Forbidden, "You don't have access to this draft")
}

fn timeline(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let mut check = Check::new();
    let limit = check.query_number(call.query_value("limit"), "limit", 1..=TIMELINE_MAX_EVENTS);
    let limit = limit.unwrap_or(TIMELINE_EVENTS);
    let asc = check.query_flag(call.query_value("asc"), "asc").unwrap_or(true);
    check.done()?;
    // One that cannot be read is none, as in the original.
    let cursor: Option<i64> = call.query_value("cursor").and_then(|text| text.parse().ok());
    let (order, cursor) = match asc {
        true => (Order::OldestFirst, cursor.unwrap_or(0)),
        false => (Order::NewestFirst, cursor.unwrap_or(i64::MAX)),
    };
    let (draft_id, user) = (call.param("draft_id").to_owned(), call.user.to_owned());
    let fetch = move |reader: &Reader| {
        let head = member(reader, &draft_id, &user, no_access)?;
        let happenings = store::happenings(reader, head.row, order, cursor, limit + 1)?;
        let oldest = store::oldest_event(reader, head.row)?;
        Ok((head, happenings, oldest))
    };
    let request_id = call.request_id.as_str().to_owned();
    desk.parts.read(call, fetch, move |(head, mut happenings, oldest)| {
        let limit = usize::try_from(limit).unwrap_or_default();
        let more = happenings.len() > limit;
        happenings.truncate(limit);
        let next_cursor = happenings.last().filter(|_| more).map(|last| last.seq.to_string());
        let events: Vec<_> = happenings.iter().map(|happening| told(&head.draft_id, happening)).collect();
        let complete = oldest.is_none_or(|oldest| oldest <= 1);
        let data = json!({
            "draft_id": head.draft_id, "events": events, "next_cursor": next_cursor, "complete": complete,
        });
        let body = json!({ "data": data, "request_id": request_id });
        Ok(Response::json(StatusCode::OK, body.to_string().into_bytes()))
    })
}

fn attribution(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let (draft_id, user): (Arc<str>, _) = (call.param("draft_id").into(), call.user.to_owned());
    let (wanted, is_head) = (Arc::clone(&draft_id), call.method == Method::HEAD);
    let fetch = move |reader: &Reader| member(reader, &wanted, &user, no_access);
    let (desk, request_id) = (Rc::clone(desk), call.request_id.as_str().to_owned());
    let parts = desk.parts.clone();
    parts.read(call, fetch, move |head| {
        if is_head {
            return Ok(unasked(None));
        }
        let rewritten = head.rewritten;
        let mut attribution =
            Attribution { walk: Walk::new(head), authors: Authors::default(), told: None, request_id };
        desk.told((&draft_id, rewritten), move |reader, out| attribution.next(reader, out))
    })
}

/// Who has written what, as far as it was told.
struct Attribution {
    walk: Walk,
    authors: Authors,
    /// All authors, and how many were told, once all segments are known.
    told: Option<(Vec<Author>, usize)>,
    request_id: String,
}

impl Attribution {
    fn next(&mut self, reader: &Reader, out: &mut Vec<u8>) -> Result<bool, ApiError> {
        let Some((list, at)) = &mut self.told else {
            let authors = &mut self.authors;
            if !self.walk.segments(reader, STEP_ROWS, |segment| authors.take(&segment))? {
                self.told = Some((std::mem::take(authors).into_list(), 0));
                let draft_id = json!(self.walk.head.draft_id);
                out.extend_from_slice(format!(r#"{{"data":{{"draft_id":{draft_id},"contributors":["#).as_bytes());
            }
            return Ok(true);
        };
        while let Some(author) = list.get(*at).filter(|_| out.len() < PIECE_BYTES) {
            let contributor = json!({
                "user_id": author.user_id,
                "segment_count": author.count,
                "segment_ids": author.segment_ids(0).collect::<Vec<_>>(),
                "first_ts": author.first_at.offset_style(),
                "last_ts": author.last_at.offset_style(),
            });
            out.extend_from_slice(if *at == 0 { b"" } else { b"," });
            out.extend_from_slice(contributor.to_string().as_bytes());
            *at += 1;
        }
        if *at < list.len() {
            return Ok(true);
        }
        out.extend_from_slice(format!(r#"]}},"request_id":{}}}"#, json!(self.request_id)).as_bytes());
        Ok(false)
    }
}

fn export(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let mut check = Check::new();
    let (mut format, mut with_credits) = (Format::Markdown, true);
    if call.body != Body::Absent {
        let body = check.object(&call.body);
        format = match check.required_choice(body, ("format", "literal_error"), &Format::WORDS) {
            Some("json") => Format::Json,
            _ => Format::Markdown,
        };
        with_credits = check.flag(body, "include_credits").unwrap_or(true);
    }
    check.done()?;
    let (draft_id, user): (Arc<str>, _) = (call.param("draft_id").into(), call.user.to_owned());
    let wanted = Arc::clone(&draft_id);
    let fetch = move |reader: &Reader| member(reader, &wanted, &user, no_access);
    let (desk, request_id) = (Rc::clone(desk), call.request_id.as_str().to_owned());
    let parts = desk.parts.clone();
    parts.read(call, fetch, move |head| {
        let rewritten = head.rewritten;
        let mut export = Export::new(head, format, with_credits, request_id);
        desk.told((&draft_id, rewritten), move |reader, out| Ok(export.next(reader, out)?))
    })
}
