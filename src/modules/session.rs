//! Sessions over HTTP: opened by the household's password, listed, and ended.

use std::rc::Rc;

use http::header::{RETRY_AFTER, SET_COOKIE};
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use super::access::session::{LIFE, Token, clear_cookie, is_over_tls};
use super::access::{close, list, open};
use super::desk::Desk;
use super::errors::WRONG_PASSWORD;
use super::records::answer;
use super::zone::utc_text;
use crate::gate::validate::{Check, Length};
use crate::gate::{ApiError, Call, Code, Outcome, Route, Routes};
use crate::net::Response;
use crate::store::Tx;

/// What is served.
pub(super) const ROUTES: [Route; 4] = [
    Route::json(&Method::POST, "/api/session")
        .anyone()
        .does("Open a session with the household's password: a cookie for browsers, and a token for programs"),
    Route::public(&Method::GET, "/api/session").does("List the household's sessions"),
    Route::public(&Method::DELETE, "/api/session").does("End the current session"),
    Route::public(&Method::DELETE, "/api/session/{id}").does("End a session"),
];

/// Adds them for one shard.
pub(super) fn add(desk: &Rc<Desk>, to: &mut Routes) {
    let [begin, sessions, end_own, end_any] = ROUTES;
    desk.add_open(to, begin, log_in);
    // These two ask for the session themselves, so that it is looked up once.
    desk.add_open(to, sessions, |desk, call| {
        let own = desk.session(call)?.map(|session| session.id);
        let (closed, now) = (desk.rules().is_closed(), call.clock.now());
        desk.parts.read(
            call,
            |reader| Ok(list(reader)?),
            move |sessions| {
                let good = sessions.into_iter().filter(|session| session.times.is_good(now));
                let shown: Vec<Value> = good
                    .map(|session| {
                        json!({
                            "id": session.id, "created_at": utc_text(session.times.created_at),
                            "last_seen_at": utc_text(session.times.last_seen_at), "address": session.address,
                            "agent": session.agent, "current": own == Some(session.id),
                        })
                    })
                    .collect();
                Ok(answer(&json!({ "required": closed, "sessions": shown })))
            },
        )
    });
    desk.add_open(to, end_own, |desk, call| {
        let Some(session) = desk.session(call)? else { return Ok(Outcome::Now(forgotten(call)?)) };
        let gone = forgotten(call)?;
        end(desk, call, session.id, move || Ok(gone))
    });
    desk.add(to, end_any, |desk, call| {
        let id = call.param("id").parse().map_err(|_| no_session())?;
        end(desk, call, id, || Ok(answer(&json!({ "message": "Session ended" }))))
    });
}

fn no_session() -> ApiError {
    ApiError::new(Code::NotFound, "There is no such session")
}

/// Ends a session and answers with what `then` makes.
fn end(
    desk: &Desk,
    call: &Call<'_>,
    id: i64,
    then: impl FnOnce() -> Result<Response, ApiError> + 'static,
) -> Result<Outcome, ApiError> {
    let hand = desk.hand(call);
    let job = move |tx: &mut Tx<'_>| {
        if !close(tx, id)? {
            return Err(no_session());
        }
        hand.note(tx, "session.ended", format_args!("session/{id}"), &[])
    };
    desk.parts.change(call, job, move |()| then())
}

/// An answer by which a browser forgets its session.
fn forgotten(call: &Call<'_>) -> Result<Response, ApiError> {
    cookie(answer(&json!({ "message": "Session ended" })), &clear_cookie(is_secure(call)))
}

fn is_secure(call: &Call<'_>) -> bool {
    is_over_tls(call.headers.get("x-forwarded-proto"), call.headers.get("origin"))
}

fn cookie(response: Response, text: &str) -> Result<Response, ApiError> {
    let value = HeaderValue::from_str(text).map_err(|error| ApiError::internal(error.to_string()))?;
    Ok(response.with(SET_COOKIE, value))
}

/// After too many wrong ones: when one may be tried again.
fn too_often(desk: &Desk, seconds: u64) -> ApiError {
    desk.shared.counters.too_often();
    let message = format!("Too many wrong passwords from this address; try again in {seconds} s");
    ApiError::new(Code::RateLimited, message).with_header(RETRY_AFTER, seconds.into())
}

fn log_in(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let mut check = Check::new();
    let members = check.object(&call.body);
    let password = check.text(members, "password", Length::between(1, 1000));
    check.done()?;
    let is_right = {
        let rules = desk.rules();
        let now = desk.shared.house.clock.instant();
        let tried = desk.shared.door.try_password(&rules, &password, call.client, now);
        let tried = tried.map_err(|seconds| too_often(desk, seconds))?;
        match tried {
            Some(is_right) => is_right,
            None if !rules.is_closed() => return Ok(Outcome::Now(answer(&json!({ "required": false })))),
            None => return Err(rules.refusal()),
        }
    };
    if !is_right {
        desk.shared.counters.wrong_password();
        let wrong = ApiError::new(Code::Of(&WRONG_PASSWORD), "That is not the household's password");
        return Err(wrong.marked_auth_failure("household_password"));
    }
    let token = Token::new();
    let (hash, secure, text) = (token.hash(), is_secure(call), token.text());
    let agent =
        call.headers.get("user-agent").map(|agent| crate::text::cut(&String::from_utf8_lossy(agent), 200).into_owned());
    let address = call.client.to_string();
    let hand = desk.hand(call);
    let job = move |tx: &mut Tx<'_>| {
        let id = open(tx, &hash, &address, agent.as_deref())?;
        hand.note(tx, "session.opened", format_args!("session/{id}"), &[])?;
        Ok(id)
    };
    desk.parts.change(call, job, move |id| {
        let body = json!({ "required": true, "id": id, "token": text, "expires_in": LIFE.as_secs() });
        let response = Response::json(StatusCode::OK, body.to_string().into_bytes());
        cookie(response, &token.set_cookie(secure))
    })
}
