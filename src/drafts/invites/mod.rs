//! Invitations to a draft (contract 01 §1.10 and §1.11, with ruling 8 and R14): made, listed, looked at, accepted, revoked.
//!
//! Whoever is invited gets a link with a token, and accepts as the user that the invitation names; both are needed. What an
//! invitation is and who may do what to it is in [`invite`], without a store or a clock.

mod invite;
pub(super) mod retention;
mod routes;
pub(super) mod store;
mod token;

pub(super) use invite::{EXPIRES_MAX_HOURS, KEPT_MAX_INVITES, PENDING_MAX_INVITES};
pub(super) use routes::{ROUTES, routes, told};
pub(super) use token::Tokens;
