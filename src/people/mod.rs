//! What an operator does about people: revokes their tokens, takes a person out ([`erasing`]).
//!
//! The rule that every request asks is the gate's ([`crate::gate::Revocations`]). Here is how revocations are kept
//! ([`store`]), made and listed ([`revoking`]), over the private plane and by the verbs.

mod erasing;
mod feature;
mod revocation;
mod revoking;
mod store;
mod token;
mod user;

use crate::store::Migration;

pub use feature::FEATURE;

/// The tables.
const MIGRATIONS: &[Migration] = &[Migration { version: 5, sql: include_str!("migrations/005_revocations.sql") }];
