//! Drafts written in turn (contract 01 §1): a draft has one ring, only its holder may append, the holder passes it on.
//!
//! The way of an append: [`turns`] checks its shape and hands a job to the writer; the job asks [`store`] for the
//! draft's head and [`ring`] for the verdict, and writes segment, event and key in one transaction; after the commit
//! [`view`] brings the shard's rendered copy up to date and the answer leaves.

mod access;
mod analytics;
mod authors;
mod bounds;
mod card;
pub mod chain;
mod change;
mod counters;
mod damage;
mod desk;
mod doctor;
mod erase;
mod error;
mod export;
mod feature;
mod figures;
mod frame;
mod history;
mod insights;
mod invites;
pub mod keys;
mod list;
mod metrics;
pub mod model;
mod newer;
mod openapi;
mod operator;
mod options;
mod parting;
mod parts;
mod pieces;
pub mod proof;
mod receipt;
mod replay;
mod retention;
pub mod ring;
mod routes;
mod shared;
pub mod smart;
mod smart_pass;
mod smoke;
mod socket;
pub mod store;
mod tickets;
mod timeline;
mod turns;
mod version;
mod view;
mod walk;
mod watchers;
mod watching;

use crate::store::Migration;

pub use feature::FEATURE;

/// The tables of drafts.
pub const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, sql: include_str!("migrations/001_drafts.sql") },
    Migration { version: 3, sql: include_str!("migrations/003_last_change.sql") },
    Migration { version: 5, sql: include_str!("migrations/005_turns.sql") },
    Migration { version: 5, sql: include_str!("migrations/005_chain.sql") },
    Migration { version: 5, sql: include_str!("migrations/005_results.sql") },
    Migration { version: 5, sql: include_str!("migrations/005_invites.sql") },
    Migration { version: 5, sql: include_str!("migrations/005_authors.sql") },
];
