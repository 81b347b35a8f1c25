//! Who is asking.
//!
//! One place for every way of saying so: a signed token where there is a key to verify it with ([`Verifier`]), else
//! `X-User-Id`, taken at its word while `AUTH_TRUST_USER_HEADER` says so (ruling 3). A token that was sent decides: one
//! that is not good is a 401, whatever the other header says (contract 01 §0.4; for sockets too, ruling 3).

use std::borrow::Cow;

use super::error::ApiError;
use super::token::{BadToken, Verifier};
use super::validate::{Check, Length};
use crate::clock::Timestamp;
use crate::net::Request;

/// The longest user id, in code points.
pub const USER_ID_MAX_CHARS: usize = 100;

/// What a socket's handshake names before a token that it offers as a protocol (ruling 13).
pub(super) const BEARER_PROTOCOL: &str = "bearer";

/// How requests say who is asking.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Whether `X-User-Id` is believed.
    pub trust_user_header: bool,
    /// What verifies tokens; without it they are not looked at.
    pub verifier: Option<Verifier>,
}

/// A token as it was sent.
type Sent<'a> = Result<Cow<'a, [u8]>, BadToken>;

impl Identity {
    /// The user who sent this request.
    ///
    /// # Errors
    /// 401 when nobody is named or the token is not good; 422 when `X-User-Id` is over [`USER_ID_MAX_CHARS`], not UTF-8,
    /// or has control characters, or when there are several: a proxy that adds its own must not be outvoted by its
    /// client.
    pub fn establish(&self, request: &Request<'_>, now: Timestamp) -> Result<String, ApiError> {
        self.decide(in_header(request), request, now)
    }

    /// The user who opens a socket with this request. A browser cannot send headers of its own with it, so the token
    /// may also be offered as a protocol or stand in the query; of several places the first one counts (ruling 13).
    ///
    /// # Errors
    /// As [`Identity::establish`].
    pub fn establish_socket(&self, request: &Request<'_>, now: Timestamp) -> Result<String, ApiError> {
        let sent = in_header(request).or_else(|| in_protocols(request)).or_else(|| in_query(request));
        self.decide(sent, request, now)
    }

    fn decide(&self, sent: Option<Sent<'_>>, request: &Request<'_>, now: Timestamp) -> Result<String, ApiError> {
        match (&self.verifier, sent) {
            (Some(verifier), Some(token)) => Ok(token.and_then(|token| verifier.verify(&token, now))?),
            _ => self.named(request),
        }
    }

    fn named(&self, request: &Request<'_>) -> Result<String, ApiError> {
        let mut values = request.headers.all("x-user-id").filter(|value| self.trust_user_header && !value.is_empty());
        let value = values.next().ok_or_else(ApiError::unauthorized)?;
        let user = String::from_utf8_lossy(value);
        let mut check = user_id_rules(&user);
        if values.any(|other| other != value) {
            check.refuse("header", "X-User-Id", &user, "Header should not be given with different values");
        }
        check.done()?;
        Ok(user.into_owned())
    }
}

/// Holds a user id to its rules, wherever it comes from.
pub(super) fn user_id_rules(user: &str) -> Check {
    let mut check = Check::new();
    check.length("header", "X-User-Id", user, Length::between(1, USER_ID_MAX_CHARS));
    check.user_name("header", "X-User-Id", user);
    check
}

/// Whether a handshake offers the protocol `bearer`, which is then the one to answer with: a browser closes a socket
/// that takes none of those it offered.
#[must_use]
pub(super) fn offers_bearer(request: &Request<'_>) -> bool {
    protocols(request).any(|protocol| protocol == BEARER_PROTOCOL.as_bytes())
}

/// `Authorization: Bearer TOKEN`, spelt exactly so; other schemes say nothing to us.
fn in_header<'a>(request: &Request<'a>) -> Option<Sent<'a>> {
    let tokens = request.headers.all("authorization").filter_map(|value| match value {
        // The blank before an empty token has gone with the end of the line.
        b"Bearer" => Some(Cow::Borrowed(&b""[..])),
        _ => value.strip_prefix(b"Bearer ").map(Cow::Borrowed),
    });
    only(tokens)
}

/// `Sec-WebSocket-Protocol: bearer, TOKEN`.
fn in_protocols<'a>(request: &Request<'a>) -> Option<Sent<'a>> {
    let mut after = protocols(request).skip(1);
    let pairs = protocols(request).map(|protocol| (protocol, after.next().unwrap_or_default()));
    only(pairs.filter(|(protocol, _)| *protocol == BEARER_PROTOCOL.as_bytes()).map(|(_, token)| Cow::Borrowed(token)))
}

/// `?access_token=TOKEN`.
fn in_query<'a>(request: &Request<'a>) -> Option<Sent<'a>> {
    let pairs = form_urlencoded::parse(request.query().as_bytes()).filter(|(name, _)| name == "access_token");
    only(pairs.map(|(_, token)| match token {
        Cow::Borrowed(token) => Cow::Borrowed(token.as_bytes()),
        Cow::Owned(token) => Cow::Owned(token.into_bytes()),
    }))
}

/// The protocols that a handshake offers, over all lines of the header.
fn protocols<'a>(request: &Request<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let lines = request.headers.all("sec-websocket-protocol");
    lines.flat_map(|line| line.split(|&byte| byte == b',').map(<[u8]>::trim_ascii))
}

/// What was sent if all of it is the same: which of two tokens is meant is nothing to guess at.
fn only<'a>(mut tokens: impl Iterator<Item = Cow<'a, [u8]>>) -> Option<Sent<'a>> {
    let first = tokens.next()?;
    Some(if tokens.all(|other| other == first) { Ok(first) } else { Err(BadToken::Several) })
}
