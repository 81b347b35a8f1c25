//! What the private plane serves of drafts.

use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::Value;

use super::deed::Deed;
use super::page::{PAGE, SHOWN};
use super::{DRAFTS_PAGE_MAX, SEGMENTS_PAGE_MAX, Search, Slice};
use crate::drafts::change::Change;
use crate::drafts::shared::Shared;
use crate::feature::ShardParts;
use crate::gate::{ApiError, Call, Outcome, Route, Routes};
use crate::net::Response;
use crate::plane;
use crate::plane::door::object;
use crate::plane::record::Operator;

/// Drafts in a page unless it is said how many.
pub(super) const DRAFTS_PAGE: usize = 50;
/// Segments in a page unless it is said how many.
pub(super) const SEGMENTS_PAGE: i64 = 50;

/// The body of a deed: a reason in JSON may have six bytes for each of its characters.
const DEED_BODY_MAX_BYTES: usize = 4096;

/// What is served to the operator.
pub(in crate::drafts) const ROUTES: [Route; 8] = [
    Route::public(&Method::GET, SHOWN).does("Show the page of drafts"),
    Route::public(&Method::GET, "/drafts").does(
        "List drafts, newest first; query: `user`, a member; `title`, a part of the title; `before`, the last id of \
         the previous page; `limit`",
    ),
    Route::public(&Method::GET, "/drafts/{draft_id}").does(
        "Read a draft, its members, its invitations and segments; query: `segments_after`, the last order of the \
         previous page, and `limit`",
    ),
    Route::public(&Method::GET, "/drafts/{draft_id}/verify")
        .does("Verify the hash chain of a draft, and report where it breaks"),
    Route::public(&Method::POST, "/drafts/{draft_id}/release-ring").does("Give the ring of a draft to its creator"),
    Route::public(&Method::POST, "/drafts/{draft_id}/remove-member").taking(DEED_BODY_MAX_BYTES).does(
        "Remove a member from a draft; the body is `{\"user\":\"…\"}`. If they hold the ring, it goes to the \
             creator",
    ),
    Route::public(&Method::POST, "/drafts/{draft_id}/redact")
        .taking(DEED_BODY_MAX_BYTES)
        .does("Redact the text of a segment permanently; the body is `{\"segment_id\":\"…\",\"reason\":\"…\"}`"),
    Route::public(&Method::DELETE, "/drafts/{draft_id}").does("Delete a draft, for everyone and at once"),
];

/// Adds them.
pub(in crate::drafts) fn routes(routes: &mut Routes, parts: &ShardParts, shared: &Shared) {
    let [to_page, to_list, to_show, to_verify, to_release, to_remove, to_redact, to_delete] = ROUTES;
    routes.add(to_page, |_| Ok(Outcome::Now(PAGE.answer())));
    let shard = parts.clone();
    routes.add(to_list, move |call| {
        plane::meant_for_us(call, "database")?;
        let search = Search {
            user: given(call, "user"),
            title: given(call, "title"),
            before: given(call, "before"),
            limit: number(call, "limit", DRAFTS_PAGE as i64, 1, DRAFTS_PAGE_MAX as i64)? as usize,
        };
        shard.read(call, move |reader| super::list(reader, &search), |said| Ok(answer(&said)))
    });
    let shard = parts.clone();
    routes.add(to_show, move |call| {
        plane::meant_for_us(call, "database")?;
        let draft_id = call.param("draft_id").to_owned();
        let slice = Slice {
            after: number(call, "segments_after", -1, -1, i64::MAX)?,
            limit: number(call, "limit", SEGMENTS_PAGE, 1, SEGMENTS_PAGE_MAX)?,
        };
        let now = call.clock.now();
        shard.read(call, move |reader| super::show(reader, &draft_id, slice, now), |said| Ok(answer(&said)))
    });
    let (shard, readers) = (parts.clone(), shared.house.readers.clone());
    routes.add(to_verify, move |call| {
        plane::meant_for_us(call, "database")?;
        let (draft_id, readers) = (call.param("draft_id").to_owned(), readers.clone());
        // All of a draft is read and hashed, however large it is: on a connection of its own, off the shard.
        let verify = move || {
            let reader = readers.open().map_err(|error| ApiError::internal(error.to_string()))?;
            reader.snapshot(|reader| Ok(super::verify(reader, &draft_id)))?
        };
        shard.block(call, verify, |said| Ok(answer(&said)))
    });
    let with = |read: fn(&Call<'_>) -> Result<Deed, ApiError>| {
        let (parts, shared) = (parts.clone(), shared.clone());
        move |call: &Call<'_>| change(&parts, &shared, call, read)
    };
    routes.add(to_release, with(|_| Ok(Deed::ReleaseRing)));
    routes.add(to_remove, with(|call| Deed::remove_member(&object(call.bytes, DEED_BODY_MAX_BYTES)?)));
    routes.add(to_redact, with(|call| Deed::redact(&object(call.bytes, DEED_BODY_MAX_BYTES)?)));
    routes.add(to_delete, with(|_| Ok(Deed::Delete)));
}

fn change(
    parts: &ShardParts,
    shared: &Shared,
    call: &Call<'_>,
    read: fn(&Call<'_>) -> Result<Deed, ApiError>,
) -> Result<Outcome, ApiError> {
    plane::meant_for_us(call, "database")?;
    plane::log_request(call, call.method.as_str());
    let deed = read(call)?;
    let operator = Operator::of_call(shared.house.audit.as_ref(), call);
    let (sockets, counters) = (shared.watching.clone(), Arc::clone(&shared.counters));
    let change = Change::of_operator(call.param("draft_id"), operator, sockets, counters);
    parts.change(call, move |tx| deed.run(tx, &change), |said| Ok(answer(&said)))
}

fn answer(value: &Value) -> Response {
    Response::json(StatusCode::OK, value.to_string().into_bytes())
}

fn given(call: &Call<'_>, name: &str) -> Option<String> {
    call.query_value(name).filter(|value| !value.is_empty())
}

fn number(call: &Call<'_>, name: &str, default: i64, min: i64, max: i64) -> Result<i64, ApiError> {
    let Some(text) = given(call, name) else { return Ok(default) };
    text.parse()
        .ok()
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| ApiError::malformed(format!("{name} must be a whole number from {min} to {max}")))
}
