//! What the private plane serves of drafts.

use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::Value;

use super::{DRAFTS_PAGE_MAX, SEGMENTS_PAGE_MAX, Search, Slice};
use crate::feature::{House, ShardParts};
use crate::gate::{ApiError, Call, Outcome, Route, Routes};
use crate::net::Response;
use crate::plane;
use crate::plane::record::Operator;

/// Drafts in a page unless it is said how many.
pub(super) const DRAFTS_PAGE: usize = 50;
/// Segments in a page unless it is said how many.
pub(super) const SEGMENTS_PAGE: i64 = 50;

/// What is served to the operator.
pub(in crate::drafts) const ROUTES: [Route; 3] = [
    Route::public(&Method::GET, "/drafts").does(
        "List drafts, newest first: in the query `user` is one of their members, `title` a part of their title, `before` the last \
         id of the page before and `limit` how many",
    ),
    Route::public(&Method::GET, "/drafts/{draft_id}").does(
        "Show a draft, its members, and segments: in the query `segments_after` is the last order of the page before and `limit` \
         how many",
    ),
    Route::public(&Method::POST, "/drafts/{draft_id}/release-ring").does("Have the creator hold the ring of a draft"),
];

/// Adds them.
pub(in crate::drafts) fn routes(routes: &mut Routes, parts: &ShardParts, house: &House) {
    let [to_list, to_show, to_release] = ROUTES;
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
        shard.read(call, move |reader| super::show(reader, &draft_id, slice), |said| Ok(answer(&said)))
    });
    let (shard, house) = (parts.clone(), house.clone());
    routes.add(to_release, move |call| release_ring(&shard, &house, call));
}

fn release_ring(parts: &ShardParts, house: &House, call: &Call<'_>) -> Result<Outcome, ApiError> {
    plane::meant_for_us(call, "database")?;
    plane::log_request(call, "POST");
    let draft_id: Arc<str> = call.param("draft_id").into();
    let operator = Operator::of_call(house.audit.as_ref(), call);
    parts.change(call, move |tx| super::release_ring(tx, &draft_id, &operator), |said| Ok(answer(&said)))
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
