//! Who has a draft open: the users whose sockets watch it at this moment. Nothing of it is kept.

use std::rc::Rc;
use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::json;

use super::access::MayRead;
use super::desk::Desk;
use super::frame::TOPICS;
use crate::gate::{ApiError, Call, Outcome, Route, Routes};
use crate::hub::Sitters;
use crate::net::Response;
use crate::store::{Reader, Topic};

/// Users whom one answer names.
pub(super) const NAMED_MAX_WATCHERS: usize = 100;

/// What is served.
pub(super) const ROUTES: [Route; 1] = [Route::user(&Method::GET, "/v1/collab/drafts/{draft_id}/watchers")
    .about("draft_id")
    .does("List who watches a draft")];

/// Adds the route for one shard.
pub(super) fn routes(routes: &mut Routes, desk: &Rc<Desk>) {
    let [to_watchers] = ROUTES;
    desk.add(routes, to_watchers, watchers);
}

/// For members alone, whoever may read the draft: who looks at it is nobody else's business.
fn watchers(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let draft_id: Arc<str> = call.param("draft_id").into();
    let member = MayRead::new(false, &draft_id, call.user);
    let seats = desk.shared.house.seats.clone();
    let fetch = move |reader: &Reader| {
        member.ask(reader)?;
        Ok((seats.sitters(&Topic::new(&TOPICS, Arc::clone(&draft_id)), NAMED_MAX_WATCHERS), draft_id.clone()))
    };
    desk.parts.read(call, fetch, |(Sitters { users, count }, draft_id): (Sitters, Arc<str>)| {
        let users: Vec<&str> = users.iter().map(|user| &**user).collect();
        let body = json!({ "data": { "draft_id": &*draft_id, "watchers": users, "count": count } });
        Ok(Response::json(StatusCode::OK, body.to_string().into_bytes()))
    })
}
