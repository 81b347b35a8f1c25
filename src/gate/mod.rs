//! What every request passes, in order, and what every answer carries.
//!
//! 1. request id ([`RequestId`]), so that everything after can name it
//! 2. CORS: a preflight is answered here ([`Cors`])
//! 3. rate limit by address: 429 ([`Limiter`]); probes and handshakes of sockets are not counted
//! 4. routing: 404, 405 with `Allow`, 307 to the path with or without its last slash ([`Routes`])
//! 5. rate limit by user and route: 429. It needs the identity, but answers nothing in the place of 7
//! 6. the body, parsed: 422 `json_invalid` ([`validate::Body`])
//! 7. identity: 401 ([`Identity`]); or, on the way to a socket, the handshake ([`handshake`])
//! 8. the handler: shape (422), then meaning (404, 403, …), then the change
//!
//! The order is contract 01 §0.3, where both limits stand before routing. On the way out every answer gets its request id,
//! CORS and security headers, and one `request.complete` line in the log. A panic in a handler is a 500 for that request and
//! nothing else.

mod address;
mod call;
pub mod code;
mod cors;
pub mod counters;
mod error;
mod exchange;
mod handshake;
pub mod headers;
pub mod identity;
pub mod limit;
mod live;
pub mod options;
mod policy;
mod problem;
mod reply;
mod routes;
mod service;
pub mod validate;

pub use address::UntrustedProxy;
pub use call::{Call, Outcome};
pub use code::{Code, CodeRow};
pub use cors::Cors;
pub use counters::Counters;
pub use error::ApiError;
pub use headers::Headers;
pub use identity::options::{KeysError, OpenedKeys};
pub use identity::{
    BadKeys, BadToken, Caller, Demands, Form, Identity, KeyFile, Keys, MINT_MAX_HOURS, TOKEN_MAX_BYTES,
    USER_ID_MAX_CHARS, Verifier, is_user_id, mint, unverified,
};
pub use limit::{Limiter, Limits, RatePolicy};
pub use live::{Following, Live};
pub use policy::{NewPolicy, Policies, Policy};
#[cfg(test)]
pub(crate) use reply::park;
pub use reply::{Parked, Reply, Times, Waiting};
pub use routes::{Access, Handler, Kind, Reads, Route, Routes};
pub use service::{Gate, Guard};
