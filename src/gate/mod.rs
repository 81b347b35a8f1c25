//! What every request passes, in order, and what every answer carries.
//!
//! 1. request id ([`RequestId`]), so that everything after can name it
//! 2. CORS: a preflight is answered here ([`Cors`])
//!    and, on loopback, whether the name that was asked for may be ours: 421 ([`Hosts`])
//! 3. rate limit by address: 429 ([`Limiter`]); probes and sockets that are let in are not counted
//! 4. routing: 404, 405 with `Allow`; a slash at the end more or less makes no difference ([`Routes`])
//! 5. rate limit by user and route: 429, and the token of 3 is given back. It needs the identity, but answers nothing in place of 7
//! 6. the body, parsed: 422 `json_invalid` ([`validate::Body`]), unless its handler asks something first ([`Reads::JsonLater`])
//! 7. identity: 401 ([`Identity`]), for a token that was revoked, too ([`Revoked`]); or, on the way to a socket, the handshake ([`handshake`])
//! 8. the handler: shape (422), then meaning (404, 403, …), then the change
//! 9. a body that the handler takes piece by piece ([`BodyReceiver`]): what goes wrong in it, then its answer
//!
//! The order is contract 01 §0.3, where both limits stand before routing. On the way out every answer gets its request id,
//! CORS and security headers, and one `request.complete` line in the log. A panic in a handler is a 500 for that request and
//! nothing else.
//!
//! How a body is read is its route's to say ([`Reads`]). One that is held whole is here before 1, and no larger than a few
//! requests: it is judged by its length alone, 413. One that is taken piece by piece is judged by the length that it says it has,
//! 413, and then nothing of it is read before 9, nor is its sender told to go on (`100 Continue`): whoever is refused in 1 to 8
//! is answered at once, and the connection closes, since a body would follow. In 9 there is one answer, too: of the receiver at
//! the end, of its first error, or of what the body lacks (400, 408, 413); in the middle of a body the connection closes after it.

mod address;
pub(crate) mod bounds;
mod call;
pub mod code;
mod conditional;
mod content;
mod cors;
pub mod counters;
mod error;
mod exchange;
mod handshake;
pub mod headers;
mod held;
mod host;
pub mod identity;
mod leading;
pub mod limit;
mod live;
pub mod options;
mod places;
mod policy;
mod problem;
mod receive;
mod reply;
mod revoked;
mod routes;
mod secret;
mod service;
mod traffic;
pub mod validate;

pub use address::UntrustedProxy;
pub use call::{BodyReceiver, Call, Outcome, Parking, Sender};
pub use code::{Code, CodeRow};
pub use conditional::Conditions;
pub use content::{Asset, Content};
pub use cors::Cors;
pub use counters::Counters;
pub use error::{ApiError, NO_ROUTE};
pub use headers::Headers;
pub use host::{Hosts, host_and_port, is_here};
pub use identity::options::{KeysError, OpenedKeys, verifies_tokens};
pub use identity::{
    BadKeys, BadToken, Caller, Claims, Demands, Form, Identity, JTI_MAX_CHARS, KeyFile, Keys, MINT_MAX_HOURS,
    REVOCATIONS_MAX, Revocation, Revocations, TICKET_SECONDS, TOKEN_MAX_BYTES, Tickets, TokenId, USER_ID_MAX_CHARS,
    Verifier, is_user_id, mint, unverified,
};
pub use limit::{Limiter, RateLimits, RatePolicy, ReplayMeter};
pub use live::{Following, Live};
pub use places::Places;
pub use policy::{Addresses, NewPolicy, Policies, Policy, PolicyError};
#[cfg(test)]
pub(crate) use reply::park;
pub use reply::{Parked, Reply, Times, Waiting};
pub use revoked::{Revoked, RevokedHere};
pub use routes::{Access, Handler, Kind, PACE, Reads, Route, Routes, operator_table, paths};
pub use secret::{HashedSecret, shown_by};
pub use service::{Gate, Guard};
pub use traffic::{Answered, STATUS_CLASSES, Traffic};
