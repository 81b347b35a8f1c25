//! Idempotency keys: what was asked for with one is done once, for as long as it is kept ([`retention`]).

pub(super) mod retention;
pub mod store;
