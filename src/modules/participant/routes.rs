//! The participant over HTTP (contract 04 §1.10).

use std::rc::Rc;

use http::Method;

use super::super::desk::Desk;
use super::super::records::answer;
use super::diagnosis::diagnose;
use super::request::{Message, missing_key};
use crate::clock::Clock;
use crate::gate::validate::{Body, Check, Problem};
use crate::gate::{ApiError, Call, Outcome, Route, Routes};

/// What is served.
pub(in crate::modules) const ROUTES: [Route; 1] = [Route::json(&Method::POST, "/api/participant/message")
    .anyone()
    .does("Diagnose a run from its log; requires `X-API-KEY`")];

/// Adds them for one shard.
pub(in crate::modules) fn add(desk: &Rc<Desk>, to: &mut Routes) {
    let [message] = ROUTES;
    desk.add_limited_by_itself(to, message, |desk, call| answered(desk, call));
}

fn answered(desk: &Desk, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let Some(given) = call.headers.get("x-api-key") else {
        let of_body = read(&call.body).err().unwrap_or_default();
        let problems: Vec<Problem> = std::iter::once(missing_key()).chain(of_body).collect();
        return Err(ApiError::invalid(&problems));
    };
    let door = &desk.shared.participant;
    door.open(given)?;
    door.count(call.clock.now(), Clock::monotonic_micros() / 1000)?;
    let message = read(&call.body).map_err(|problems| ApiError::invalid(&problems))?;
    Ok(Outcome::Now(answer(&diagnose(message.log()))))
}

fn read(body: &Body) -> Result<Message, Vec<Problem>> {
    let mut check = Check::new();
    match check.object(body) {
        Some(members) => Message::read(members),
        None => Err(check.into_problems()),
    }
}
