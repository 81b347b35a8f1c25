//! What a handler is given and what it gives back.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderName, HeaderValue, Method};

use super::error::ApiError;
use super::identity::{self, Claims, Identity};
use super::limit::{Limiter, ReplayMeter};
use super::reply::{self, Parked, Reply, Waiting};
use super::validate::Body;
use crate::clock::Clock;
use crate::net::http1::Headers;
use crate::net::{Peer, RequestId, Response, Resume, Session, SocketLimits, Take, Ticket};

/// One request as a handler sees it: routed, parsed, its sender known.
pub struct Call<'a> {
    /// The method as sent: a route for `GET` is asked for `HEAD`, too.
    pub method: &'a Method,
    /// The id to write beside whatever it causes.
    pub request_id: &'a RequestId,
    /// The sender, on routes that ask for one; empty on public routes, and on others when nobody is known.
    pub user: &'a str,
    /// The same with what makes the difference where nobody need be known: see [`Access::Either`](super::Access::Either) and
    /// [`Access::Socket`](super::Access::Socket). [`Sender::Nobody`] on routes that do not ask.
    pub sender: Sender<'a>,
    /// When what the sender showed is no longer good; only on socket routes, which outlast their request.
    pub known_until: Option<Instant>,
    /// Where the request comes from, seen through trusted proxies.
    pub client: IpAddr,
    /// Who has connected: a proxy, or the client itself.
    pub peer: Peer,
    /// The header lines, for what is not said elsewhere.
    pub headers: Headers<'a>,
    /// Names and values of the path's parts, decoded.
    pub params: matchit::Params<'a, 'a>,
    /// The path as sent.
    pub path: &'a str,
    /// That of the route that it has led to.
    pub(super) template: &'static str,
    /// The raw query.
    pub query: &'a str,
    /// The body, on routes that read JSON.
    pub body: Body,
    /// The body as sent; empty on routes that take it in pieces.
    pub bytes: &'a [u8],
    /// The time, for whom it concerns.
    pub clock: &'a Clock,
    pub(super) parking: &'a Parking,
    pub(super) limiter: Option<&'a Limiter>,
    /// What decides who sends this, and the route's name for a token in the query.
    pub(super) identity: &'a Identity,
    pub(super) query_token: Option<&'static str>,
}

/// What a request shows of who has sent it.
#[derive(Debug, Clone, Copy)]
pub enum Sender<'a> {
    /// Nothing.
    Nobody,
    /// A token or a name that is not taken; only on routes for sockets, others have answered this.
    Refused(&'a ApiError),
    /// Somebody, by a token that says this, or by a name that is trusted (`X-User-Id`).
    Known {
        /// Who it is.
        user: &'a str,
        /// All that the token says, none with a name.
        claims: Option<&'a Claims>,
    },
}

/// Where an answer that comes later is brought, and whatever a receiver has paused for.
#[derive(Clone)]
pub struct Parking {
    shard: Arc<dyn Resume>,
    ticket: Ticket,
}

impl Parking {
    /// For the requests of this shard, of which each has its turn.
    #[must_use]
    pub fn of(shard: Arc<dyn Resume>) -> Self {
        Self { shard, ticket: Ticket::NOBODY }
    }

    /// From now on for the request with this ticket.
    pub(super) fn turn_to(&mut self, ticket: Ticket) {
        self.ticket = ticket;
    }

    /// What tells the sockets of this shard something.
    pub(super) fn shard(&self) -> Arc<dyn Resume> {
        Arc::clone(&self.shard)
    }

    /// The first end goes to whatever will answer. The second makes the response of it, at most once a request; or it tells a
    /// receiver that has paused whether it may go on.
    #[must_use]
    pub fn park<T: Send>(&self) -> (Reply<T>, Parked<T>) {
        reply::park(Arc::clone(&self.shard), self.ticket)
    }
}

impl AsRef<Parking> for Parking {
    fn as_ref(&self) -> &Parking {
        self
    }
}

impl AsRef<Parking> for Call<'_> {
    fn as_ref(&self) -> &Parking {
        self.parking
    }
}

impl<'a> Call<'a> {
    /// Parks the request: the first end goes to whatever will answer, the second makes the response of it. At most once a
    /// request.
    #[must_use]
    pub fn park<T: Send>(&self) -> (Reply<T>, Parked<T>) {
        self.parking.park()
    }

    /// What counts the events that a socket of the sender catches up with; none while rates are not limited.
    #[must_use]
    pub fn replay_meter(&self) -> Option<ReplayMeter> {
        self.limiter.map(|limiter| limiter.replays_of(self.user, self.client))
    }

    /// What the sender's token says, if they have shown one.
    pub fn claims(&self) -> Option<&'a Claims> {
        match self.sender {
            Sender::Known { claims, .. } => claims,
            Sender::Nobody | Sender::Refused(_) => None,
        }
    }

    /// Whether there is a key that a token can be verified with.
    pub fn verifies_tokens(&self) -> bool {
        self.identity.verifier.is_some()
    }

    /// For the hint of who opens a socket and is nobody: what to send, or why what was sent does not count here.
    pub fn how_to_be_known(&self) -> String {
        self.identity.unknown_on_socket(&self.headers, self.peer, self.query_token)
    }

    /// How to send a token in the query of a socket's handshake here, for who has no room for [all the ways](Self::how_to_send_a_token).
    pub fn how_to_send_a_token_briefly(&self) -> String {
        identity::in_query_of(self.query_token)
    }

    /// The ways to send a token with a socket's handshake here, for a hint.
    pub fn how_to_send_a_token(&self) -> String {
        identity::in_handshake(self.query_token)
    }

    /// A part of the path by its name in the template.
    pub fn param(&self, name: &str) -> &str {
        self.params.get(name).unwrap_or_default()
    }

    /// What the template's `{*…}` stands for, as sent: escapes are still escapes, whatever they are, so that what [`Call::param`]
    /// cannot say, a `%80` or whether a slash was one, is here. Empty where the template has no such part.
    pub fn raw_rest(&self) -> &'a str {
        raw_rest(self.template, self.path)
    }

    /// The subprotocols that the client offers, in its order; never its token, nor the `bearer` before it. A session may choose one
    /// of them ([`Session::protocol`]).
    pub fn offered_protocols(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        identity::offered(&self.headers)
    }

    /// A parameter of the query, decoded; the last one if it was given more than once.
    pub fn query_value(&self, name: &str) -> Option<String> {
        let pairs = form_urlencoded::parse(self.query.as_bytes());
        pairs.filter(|(key, _)| key == name).last().map(|(_, value)| Cow::into_owned(value))
    }
}

/// The part of a path that has led to a template which stands for the `{*…}` at its end. A slash may be escaped and still leads
/// there, and no other part has any.
fn raw_rest<'p>(template: &str, path: &'p str) -> &'p str {
    let Some((before, _)) = template.split_once("{*") else { return "" };
    let mut rest = path;
    for _ in before.matches('/') {
        let escaped = rest.find("%2F").into_iter().chain(rest.find("%2f")).map(|at| (at, at + 3));
        let ends = rest.find('/').map(|at| (at, at + 1)).into_iter().chain(escaped).min();
        rest = ends.map_or("", |(_, end)| &rest[end..]);
    }
    rest
}

/// What a handler answers.
pub enum Outcome {
    /// The answer.
    Now(Response),
    /// The answer comes from elsewhere: what [`Parked`] made of it.
    Parked(Waiting),
    /// The body goes to this, piece by piece, and it answers.
    Receive(Box<dyn BodyReceiver>),
    /// The connection becomes a WebSocket of this session. Only on routes for sockets.
    Socket(Box<dyn Session>, Arc<SocketLimits>),
    /// The same, but only to be told why it gets nothing: counted against its address, as any request.
    NoSocket(Box<dyn Session>, Arc<SocketLimits>),
}

impl Outcome {
    /// The same with these headers on its answer. What takes a body or becomes a socket answers without them.
    #[must_use]
    pub fn carrying(self, headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>) -> Self {
        match self {
            Self::Now(mut response) => {
                response.headers.extend(headers);
                Self::Now(response)
            }
            Self::Parked(waiting) => Self::Parked(waiting.carrying(headers.into_iter().collect())),
            other @ (Self::Receive(_) | Self::Socket(..) | Self::NoSocket(..)) => other,
        }
    }
}

/// Takes the body of one request piece by piece. It lives on the shard and must not block; what has to goes to the pool
/// (`feature::ShardParts::receive`). Dropped before its end, the body is not whole: the client has left, was too slow or sent
/// too much, or the server stops.
pub trait BodyReceiver {
    /// Takes the next piece and says whether it wants more. On a route that takes a stream a piece is no longer than what is
    /// read from a socket at once; elsewhere it is the whole body.
    ///
    /// # Errors
    /// The answer. Nothing more is read then, and the connection closes after it.
    fn piece(&mut self, bytes: &[u8]) -> Result<Take, ApiError>;

    /// It had paused, and the [`Parking`] of its call was resumed. Nothing is read while it pauses, so that the client feels it;
    /// a pause beyond the time for parked requests is answered 503.
    ///
    /// # Errors
    /// As above.
    fn resumed(&mut self) -> Result<Take, ApiError>;

    /// The body is whole and nothing is paused for: answers, at once or parked here.
    ///
    /// # Errors
    /// The answer.
    fn end(self: Box<Self>, parking: &Parking) -> Result<Outcome, ApiError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_path_is_what_was_sent() {
        for (path, rest) in [
            ("/things/a", "a"),
            ("/things/a/b%2Fc//", "a/b%2Fc//"),
            ("/things//a", "/a"),
            ("/th%69ngs%2fa%2F%80%zz", "a%2F%80%zz"),
            ("%2Fthings/%2F/é", "%2F/é"),
            ("/things/", ""),
            ("/things", ""),
        ] {
            assert_eq!(raw_rest("/things/{*rest}", path), rest, "{path}");
        }
        assert_eq!(raw_rest("/{kind}/of/{*rest}", "/%80/of/a/b"), "a/b");
        assert_eq!(raw_rest("/{*rest}", "/of/a"), "of/a");
        assert_eq!(raw_rest("/things/{name}", "/things/a"), "");
    }
}
