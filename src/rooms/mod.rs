//! Live rooms: documents that stock Yjs clients edit together, who is there, and how they find each other
//! (contract 03). The server integrates no document: it keeps ranges of structs as their bytes, which is all that
//! clients need to agree.

mod access;
mod admit;
pub mod awareness;
mod base;
mod bounds;
mod compaction;
mod counters;
mod deletes;
mod desk;
pub mod dialect;
mod doctor;
mod erase;
mod feature;
pub mod json;
pub mod lib0;
mod live;
mod load;
mod loading;
mod makers;
pub mod message;
pub mod name;
mod newer;
mod operator;
mod options;
mod owners;
mod plan;
mod rates;
mod refusals;
pub mod refused;
mod registry;
mod retention;
pub mod room;
mod routes;
mod run;
mod saving;
mod shared;
pub mod signal;
mod signal_socket;
mod smoke;
mod snapshot;
mod socket;
mod store;
mod structs;
pub mod update;
pub mod vector;
mod verbs;
mod verbs_running;
mod verbs_stopped;

pub use feature::FEATURE;

use crate::store::Migration;

/// The tables of rooms.
const MIGRATIONS: &[Migration] = &[Migration { version: 4, sql: include_str!("migrations/004_rooms.sql") }];
