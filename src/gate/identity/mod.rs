//! The identity of a caller.
//!
//! One place for every way of stating it: a signed token where there is a key to verify it with ([`Verifier`]), else
//! `X-User-Id`, taken at its word while `AUTH_TRUST_USER_HEADER` says so (ruling 3). A token that was sent decides: one
//! that is not good is a 401, whatever the other header says (contract 01 §0.4; for sockets too, ruling 3).

mod bad_token;
pub(super) mod bounds;
mod keys;
pub mod options;
mod revocations;
mod ticket;
mod token;
mod trust;
mod user;

use std::borrow::Cow;

pub use bad_token::{BadToken, TOKEN_MAX_BYTES};
pub(super) use keys::KeyWatch;
pub use keys::{BadKeys, Form, KeyFile, Keys};
pub use revocations::{JTI_MAX_CHARS, REVOCATIONS_MAX, Revocation, Revocations, TokenId};
pub use ticket::{TICKET_SECONDS, Tickets};
pub use token::{Demands, MINT_MAX_HOURS, Verifier, mint, unverified};
pub use trust::{Trust, header_trust};
pub use user::{Caller, Claims, USER_ID_MAX_CHARS, is_user_id};

use super::error::ApiError;
use crate::clock::Timestamp;
use crate::clock::steady::Reading;
use crate::net::http1::Headers;
use crate::net::{Peer, Request};
use user::user_id_rules;

/// What a socket's handshake names before a token that it offers as a protocol (ruling 13).
pub(super) const BEARER_PROTOCOL: &str = "bearer";
/// What a token begins with that is one protocol by itself (contract 03 §3.2).
const BEARER_PREFIX: &str = "bearer.";
/// How a token is sent with a request, for hints.
const IN_HEADER: &str = "Authorization: Bearer TOKEN";

/// The query's name for a token, on every route for sockets.
const IN_QUERY: &str = "access_token";

/// How a token is sent in the query of a socket's handshake, for hints: under the route's own name for it, where it has one.
pub(super) fn in_query_of(query_token: Option<&str>) -> String {
    format!("?{}=TOKEN", query_token.unwrap_or(IN_QUERY))
}

/// The same of all the ways.
pub(super) fn in_handshake(query_token: Option<&str>) -> String {
    // bearer.TOKEN is left out: a browser closes a socket that offers it alone.
    format!("as {}, in the header {IN_HEADER}, or as the subprotocols bearer and TOKEN", in_query_of(query_token))
}

/// How requests state their identity.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Who is trusted without proof.
    pub trust: Trust,
    /// What verifies tokens; without it they are not looked at.
    pub verifier: Option<Verifier>,
    /// What sockets are opened with by those whose `X-User-Id` is trusted.
    pub tickets: Tickets,
}

/// A token as it was sent.
type Sent<'a> = Result<Cow<'a, [u8]>, BadToken>;

impl Identity {
    /// Who sent this request over the connection of `peer`; nothing when nobody is named.
    ///
    /// # Errors
    /// 401 when the token is not good or among the `revoked`; 422 when `X-User-Id` is over [`USER_ID_MAX_CHARS`], not UTF-8, or has control
    /// characters, or when there are several: a proxy that adds its own must not be outvoted by its client.
    pub fn establish(
        &self,
        request: &Request<'_>,
        peer: Peer,
        revoked: &Revocations,
        now: Timestamp,
    ) -> Result<Option<Caller>, ApiError> {
        self.decide(in_header(&request.headers), (request, peer), revoked, now)
    }

    /// Who opens a socket with this request. A browser cannot send headers of its own with it, so the token may also be
    /// offered as a protocol or stand in the query, as `access_token` or under the name that the route gives it; of several
    /// places the first one counts (ruling 13, contract 03 §3.2). In place of a token there may be a ticket, which is as good as
    /// `X-User-Id`.
    ///
    /// # Errors
    /// As [`Identity::establish`].
    pub fn establish_socket(
        &self,
        request: &Request<'_>,
        peer: Peer,
        query_token: Option<&str>,
        revoked: &Revocations,
        now: Reading,
    ) -> Result<Option<Caller>, ApiError> {
        let sent =
            in_header(&request.headers).or_else(|| in_protocols(request)).or_else(|| in_query(request, query_token));
        if let Some(Ok(token)) = &sent
            && let Some(ticket) = Tickets::within(token)
            && self.trust.believes_header
        {
            let user = self.tickets.user(ticket, now.elapsed).map_err(|bad| bad.error("Get a new ticket"))?;
            return Ok(Some(Caller { user, until: None, claims: None }));
        }
        self.decide(sent, (request, peer), revoked, now.wall)
    }

    fn decide(
        &self,
        sent: Option<Sent<'_>>,
        (request, peer): (&Request<'_>, Peer),
        revoked: &Revocations,
        now: Timestamp,
    ) -> Result<Option<Caller>, ApiError> {
        match (&self.verifier, sent) {
            (Some(verifier), Some(token)) => {
                let caller = token.and_then(|token| verifier.verify(&token, now))?;
                let is_revoked = caller.claims.as_ref().is_some_and(|claims| revoked.revoke(&caller.user, claims));
                if is_revoked { Err(BadToken::Revoked.into()) } else { Ok(Some(caller)) }
            }
            _ => Ok(self.named(request, peer)?.map(|user| Caller { user, until: None, claims: None })),
        }
    }

    /// 401: nobody is named. Says what to send, or why what was sent does not count here.
    pub fn unknown(&self, request: &Request<'_>, peer: Peer) -> ApiError {
        let headers = &request.headers;
        let hint = self.disregarded(headers, peer, IN_HEADER).unwrap_or_else(|| self.wanted(peer));
        ApiError::unauthorized().with_hint(hint)
    }

    /// The same of a socket's handshake, for its hint: here a token may also be sent `in_handshake`.
    pub(super) fn unknown_on_socket(&self, headers: &Headers<'_>, peer: Peer, query_token: Option<&str>) -> String {
        if self.verifier.is_none() {
            let until_then = if self.trust.believes_header_of(peer) { "; until then, send X-User-Id: ID" } else { "" };
            return format!("This server has no key to verify tokens: its operator has to set one{until_then}");
        }
        let token = format!("a token {}", in_handshake(query_token));
        let wanted = || {
            let or_name = if self.trust.believes_header_of(peer) { "; or send X-User-Id: ID" } else { "" };
            format!("Send {token}{or_name}")
        };
        self.disregarded(headers, peer, &token).unwrap_or_else(wanted)
    }

    /// What to send to say who sends this.
    fn wanted(&self, peer: Peer) -> String {
        match (&self.verifier, self.trust.believes_header_of(peer)) {
            (Some(_), false) => format!("Send {IN_HEADER}"),
            (Some(_), true) => format!("Send {IN_HEADER}, or X-User-Id: ID"),
            (None, true) => "Send X-User-Id: ID".to_owned(),
            (None, false) => {
                "X-User-Id is not trusted from here, and this server has no key to verify tokens: its operator has to set one"
                    .to_owned()
            }
        }
    }

    /// Why what was sent to say who sends this was not looked at; `token` is how a token is sent.
    fn disregarded(&self, headers: &Headers<'_>, peer: Peer, token: &str) -> Option<String> {
        let has = |name| headers.all(name).any(|value| !value.is_empty());
        let believes = self.trust.believes_header_of(peer);
        if in_header(headers).is_some() && self.verifier.is_none() {
            let remedy = if believes { "send X-User-Id: ID" } else { "its operator has to set one" };
            return Some(format!(
                "Authorization is ignored, because this server has no key to verify tokens: {remedy}"
            ));
        }
        if has("x-user-id") && !believes && self.verifier.is_some() {
            return Some(format!("X-User-Id is not trusted from here: send {token}"));
        }
        (has("authorization") && self.verifier.is_some()).then(|| {
            format!("Authorization is ignored, because it does not begin with Bearer and a space: send {token}")
        })
    }

    fn named(&self, request: &Request<'_>, peer: Peer) -> Result<Option<String>, ApiError> {
        let mut values = request.headers.all("x-user-id").filter(|value| !value.is_empty());
        let Some(value) = values.next().filter(|_| self.trust.believes_header_of(peer)) else { return Ok(None) };
        let user = String::from_utf8_lossy(value);
        let mut check = user_id_rules(&user);
        if values.any(|other| other != value) {
            check.refuse("header", "X-User-Id", &user, "Header should not be given with different values");
        }
        check.done().map_err(|error| error.marked_auth_failure("user_id"))?;
        Ok(Some(user.into_owned()))
    }
}

/// The subprotocols that a handshake offers, in its order: without `bearer`, and without tokens, which follow that or are
/// `bearer.TOKEN`.
pub(super) fn offered<'a>(headers: &Headers<'a>) -> impl Iterator<Item = &'a str> + use<'a> {
    let mut after_bearer = false;
    headers.items("sec-websocket-protocol").filter_map(move |protocol| {
        let is_token = std::mem::replace(&mut after_bearer, protocol == BEARER_PROTOCOL.as_bytes());
        std::str::from_utf8(protocol).ok().filter(|name| {
            let bears_one = is_token || after_bearer || name.starts_with(BEARER_PREFIX);
            !name.is_empty() && !bears_one
        })
    })
}

/// Whether a handshake offers the protocol `bearer`, which is then the one to answer with unless its session has chosen another:
/// a browser closes a socket that takes none of those it offered.
pub(super) fn offers_bearer(request: &Request<'_>) -> bool {
    protocols(request).any(|protocol| protocol == BEARER_PROTOCOL.as_bytes())
}

/// `Authorization: Bearer TOKEN`, the scheme spelt exactly so, with one blank or more (RFC 9110 §11.4); other schemes say
/// nothing to us.
fn in_header<'a>(headers: &Headers<'a>) -> Option<Sent<'a>> {
    let tokens = headers.all("authorization").filter_map(|value| match value {
        // The blank before an empty token has gone with the end of the line.
        b"Bearer" => Some(Cow::Borrowed(&b""[..])),
        _ => value.strip_prefix(b"Bearer ").map(|token| Cow::Borrowed(token.trim_ascii_start())),
    });
    only(tokens)
}

/// `Sec-WebSocket-Protocol: bearer, TOKEN` or `bearer.TOKEN`.
fn in_protocols<'a>(request: &Request<'a>) -> Option<Sent<'a>> {
    let mut follows = false;
    only(protocols(request).chain([&b""[..]]).filter_map(move |protocol| {
        let is_token = std::mem::replace(&mut follows, protocol == BEARER_PROTOCOL.as_bytes());
        let token = if is_token { Some(protocol) } else { protocol.strip_prefix(BEARER_PREFIX.as_bytes()) };
        token.map(Cow::Borrowed)
    }))
}

/// `?access_token=TOKEN`, or under another name, too.
fn in_query<'a>(request: &Request<'a>, also: Option<&str>) -> Option<Sent<'a>> {
    let pairs = form_urlencoded::parse(request.query().as_bytes())
        .filter(|(name, _)| name == IN_QUERY || also.is_some_and(|also| name == also));
    only(pairs.map(|(_, token)| match token {
        Cow::Borrowed(token) => Cow::Borrowed(token.as_bytes()),
        Cow::Owned(token) => Cow::Owned(token.into_bytes()),
    }))
}

/// The protocols that a handshake offers.
fn protocols<'a>(request: &Request<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    request.headers.items("sec-websocket-protocol")
}

/// What was sent if all of it is the same: which of two tokens is meant is nothing to guess at.
fn only<'a>(mut tokens: impl Iterator<Item = Cow<'a, [u8]>>) -> Option<Sent<'a>> {
    let first = tokens.next()?;
    Some(if tokens.all(|other| other == first) { Ok(first) } else { Err(BadToken::Several) })
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    use std::time::Duration;

    use super::*;
    use crate::net::HeadLimits;
    use crate::net::http1::{Decoder, Intake, Step, slots};

    const NOW: Reading = Reading { wall: Timestamp(0), elapsed: Duration::ZERO };
    const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn token(user: &str) -> String {
        encode(&Header::default(), &json!({ "sub": user }), &EncodingKey::from_secret(KEY)).unwrap()
    }

    /// What `look` makes of a request with this query and these header lines.
    fn with<T>(query: &str, headers: &[&str], look: impl FnOnce(&Request<'_>) -> T) -> T {
        let lines: String = headers.iter().flat_map(|line| [line, "\r\n"]).collect();
        let bytes = format!("GET /{query} HTTP/1.1\r\nHost: t\r\n{lines}\r\n");
        let limits = HeadLimits { head_bytes: 65_536, headers: 64, target_bytes: 65_536 };
        let (mut decoder, mut slots) = (Decoder::new(limits), slots());
        match decoder.decode(bytes.as_bytes(), &mut slots, |_| Intake::Whole(0)).unwrap() {
            Step::Request { request, .. } => look(&request),
            other => panic!("{other:?}"),
        }
    }

    const HERE: Peer = Peer::Unix;

    fn identity(believes: bool, key: bool) -> Identity {
        let verifier = key.then(|| Verifier::hs256(KEY, Demands::default()));
        let trust = Trust { believes_header: believes, ..Trust::default() };
        Identity { trust, verifier, tickets: Tickets::default() }
    }

    /// The user, or the status and what the client is told.
    type Said = Result<String, (u16, Option<String>)>;

    fn said(found: Result<Option<Caller>, ApiError>) -> Said {
        let user = found.and_then(|caller| caller.map(|caller| caller.user).ok_or_else(ApiError::unauthorized));
        user.map_err(|error| (error.status().as_u16(), error.message().map(str::to_owned)))
    }

    fn on_socket(query: &str, headers: &[&str]) -> Said {
        with(query, headers, |request| {
            said(identity(true, true).establish_socket(request, HERE, None, &Revocations::default(), NOW))
        })
    }

    fn user(name: &str) -> Said {
        Ok(name.to_owned())
    }

    fn invalid() -> Said {
        Err((401, Some("Invalid token".to_owned())))
    }

    #[test]
    fn a_socket_takes_its_token_from_three_places_the_first_of_which_counts() {
        let [a, b, c] = ["a", "b", "c"].map(token);
        let (header, protocols) =
            (format!("Authorization: Bearer {a}"), format!("Sec-WebSocket-Protocol: bearer, {b}"));
        let (query, named) = (format!("?access_token={c}"), "X-User-Id: d");
        assert_eq!(on_socket(&query, &[&header, &protocols, named]), user("a"));
        assert_eq!(on_socket(&query, &[&protocols, named]), user("b"));
        assert_eq!(on_socket(&query, &[named]), user("c"));
        assert_eq!(on_socket("", &[named]), user("d"));
        // A bad one is not passed over.
        assert_eq!(on_socket(&query, &["Authorization: Bearer x", &protocols, named]), invalid());
        assert_eq!(on_socket(&query, &["Sec-WebSocket-Protocol: bearer, x", named]), invalid());
        assert_eq!(on_socket("?access_token=x", &[named]), invalid());
        for empty in ["?access_token=", "?access_token"] {
            assert_eq!(on_socket(empty, &[named]), invalid());
        }
        assert_eq!(on_socket(&query, &["Authorization: Bearer ", named]), invalid());
        assert_eq!(on_socket(&query, &["Sec-WebSocket-Protocol: bearer", named]), invalid());
        // Elsewhere the other two places are not looked at.
        let plain = |query: &str, headers: &[&str]| {
            with(query, headers, |request| {
                said(identity(true, true).establish(request, HERE, &Revocations::default(), Timestamp(0)))
            })
        };
        assert_eq!(plain(&query, &[&protocols, named]), user("d"));
        assert_eq!(plain(&query, &[&header, named]), user("a"));
    }

    #[test]
    fn protocols_are_read_over_all_lines_and_no_other_counts() {
        let [a, b] = ["a", "b"].map(token);
        let line = |protocols: &str| format!("Sec-WebSocket-Protocol: {protocols}");
        for lines in [
            vec![line(&format!("bearer,{a}"))],
            vec![line(&format!("chat , bearer ,\t{a} , more"))],
            vec![line("bearer"), line(&a)],
            vec![line(&format!("bearer, {a}, bearer, {a}"))],
        ] {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            assert_eq!(on_socket("", &lines), user("a"), "{lines:?}");
            assert!(with("", &lines, offers_bearer), "{lines:?}");
        }
        assert_eq!(on_socket("", &[&line(&format!("bearer, {a}, bearer, {b}"))]), invalid(), "which one is meant?");
        // One that is a protocol by itself.
        assert_eq!(on_socket("", &[&line(&format!("chat, bearer.{a}"))]), user("a"));
        assert_eq!(on_socket("", &[&line(&format!("bearer.{a}, bearer, {a}"))]), user("a"));
        assert_eq!(on_socket("", &[&line(&format!("bearer.{a}, bearer, {b}"))]), invalid());
        assert_eq!(on_socket("", &[&line(&format!("bearer.{a}, bearer.{b}"))]), invalid());
        assert_eq!(on_socket("", &[&line("bearer."), "X-User-Id: d"]), invalid());
        for other in [format!("Bearer, {a}"), format!("bearer {a}"), format!("chat, {a}"), a.clone(), String::new()] {
            assert_eq!(on_socket("", &[&line(&other), "X-User-Id: d"]), user("d"), "{other}");
            assert!(!with("", &[&line(&other)], offers_bearer), "{other}");
        }
        assert!(!with("", &[], offers_bearer));
    }

    #[test]
    fn what_is_offered_is_never_a_token() {
        for (line, expected) in [
            ("chat, bearer, abc, more", "chat more"),
            ("bearer, bearer, abc", ""),
            ("bearer, chat", ""),
            ("bearer.abc, chat, bearer.", "chat"),
            ("bearer", ""),
            (" a ,\tb", "a b"),
            ("", ""),
        ] {
            let offered = with("", &[&format!("Sec-WebSocket-Protocol: {line}")], |request| {
                offered(&request.headers).collect::<Vec<_>>().join(" ")
            });
            assert_eq!(offered, expected, "{line}");
        }
    }

    #[test]
    fn the_query_is_decoded_and_may_repeat_itself_but_not_differ() {
        let [a, b] = ["a", "b"].map(token);
        let escaped: String = a.bytes().map(|byte| format!("%{byte:02x}")).collect();
        assert_eq!(on_socket(&format!("?since=1&access_token={escaped}"), &[]), user("a"));
        assert_eq!(on_socket(&format!("?access_token={a}&access_token={a}"), &[]), user("a"));
        assert_eq!(on_socket(&format!("?access_token={a}&access_token={b}"), &[]), invalid());
        // Under another name only where the route says so, and then both count.
        let on_route = |query: &str| {
            let establish = |request: &Request<'_>| {
                said(identity(true, true).establish_socket(request, HERE, Some("token"), &Revocations::default(), NOW))
            };
            with(query, &["X-User-Id: d"], establish)
        };
        assert_eq!(on_socket(&format!("?token={a}"), &["X-User-Id: d"]), user("d"));
        assert_eq!(on_route(&format!("?token={a}")), user("a"));
        assert_eq!(on_route(&format!("?token={a}&access_token={a}")), user("a"));
        assert_eq!(on_route(&format!("?token={a}&access_token={b}")), invalid());
        assert_eq!(on_route("?token"), invalid());
        let (header, other) = (format!("Authorization: Bearer {a}"), format!("Authorization: Bearer {b}"));
        assert_eq!(on_socket("", &[&header, &header]), user("a"));
        assert_eq!(on_socket("", &[&header, &other]), invalid());
    }

    #[test]
    fn without_a_key_no_token_is_looked_at_and_without_trust_no_name() {
        let a = token("a");
        let (header, query) = (format!("Authorization: Bearer {a}"), format!("?access_token={a}"));
        let headers = [header.as_str(), "Sec-WebSocket-Protocol: bearer, x", "X-User-Id: d"];
        let found = |trust, key| {
            with(&query, &headers, |request| {
                let identity = identity(trust, key);
                let socket = identity.establish_socket(request, HERE, None, &Revocations::default(), NOW);
                [identity.establish(request, HERE, &Revocations::default(), Timestamp(0)), socket].map(said)
            })
        };
        assert_eq!(found(true, false), [user("d"), user("d")]);
        assert_eq!(found(true, true), [user("a"), user("a")]);
        assert_eq!(found(false, true), [user("a"), user("a")]);
        assert_eq!(found(false, false), [Err((401, None)), Err((401, None))]);
    }
}
