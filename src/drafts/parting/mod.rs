//! Nobody is stuck and nothing is for ever: members leave or are removed ([`leaving`]), a draft is handed over, locked and
//! unlocked ([`standing`]), a ring that nobody uses is taken back ([`lease`]), a text is taken out ([`redaction`]), and a draft
//! deleted ([`deletion`]); the housekeeper then takes its texts out ([`purge`]).
//!
//! What each of them does to a draft is a function of its own beside the handler, for an operator to do the same: it is given a
//! [`Change`](super::change::Change) that says who does it.

pub(super) mod deletion;
pub(super) mod lease;
pub(super) mod leaving;
pub(super) mod purge;
pub(super) mod redaction;
pub(super) mod standing;
mod store;

pub(super) use store::delete;
