//! Tickets for sockets, for those who are known by a name alone: a page can send no `X-User-Id` with a WebSocket.

use std::rc::Rc;

use http::{Method, StatusCode};
use serde_json::json;

use super::desk::Desk;
use crate::gate::{ApiError, Call, Code, Outcome, Route, Routes, TICKET_SECONDS};
use crate::net::Response;

/// What is served.
pub(super) const ROUTES: [Route; 1] =
    [Route::user(&Method::POST, "/v1/ws/tickets").does("Get a ticket for opening a socket as yourself")];

/// Adds the route for one shard.
pub(super) fn routes(routes: &mut Routes, desk: &Rc<Desk>) {
    let [to_issue] = ROUTES;
    desk.add(routes, to_issue, issue);
}

/// A ticket knows nothing of what a token says, when it ends or that it was revoked: whoever has one shows that.
fn issue(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    if call.claims().is_some() {
        return Err(ApiError::new(Code::Forbidden, "You do not need a ticket: open the socket with your token"));
    }
    let ticket = desk.shared.house.tickets.issue(call.user, call.clock.reading().elapsed);
    let ticket = ticket.map_err(|error| ApiError::internal(format!("a ticket cannot be signed: {error}")))?;
    let body = json!({ "data": { "ticket": ticket, "expires_in": TICKET_SECONDS } });
    Ok(Outcome::Now(Response::json(StatusCode::OK, body.to_string().into_bytes())))
}
