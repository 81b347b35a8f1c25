//! The audit log: who changed what, when and from where, in the transaction of the change itself (contract 01 §6).
//!
//! A feature asks [`Audit::witness`] on the shard whether this request is to be recorded, and has the [`Witness`] write
//! its [`Entry`] inside the job. A row that cannot be written takes its change with it. Rows form a chain of hashes
//! ([`chain`]) that [`verify`] follows; [`upkeep`] removes old ones from its beginning and leaves an anchor.

pub(crate) mod bounds;
pub mod chain;
pub mod counters;
mod entry;
pub mod erasing;
pub mod mark;
pub mod marking;
pub mod options;
pub mod read;
mod since;
pub mod store;
pub mod upkeep;
pub mod verify;
mod witness;

use crate::store::Migration;

pub use entry::{Entry, Field};
pub use since::since;
pub use witness::{Audit, Witness};

/// The tables of the log.
pub const MIGRATIONS: &[Migration] = &[Migration { version: 2, sql: include_str!("migrations/002_audit.sql") }];
