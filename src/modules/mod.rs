//! A household's seven modules (contract 04): ci, kazkar, podija, nastrij, malya, gallery and calendar. Six of them keep
//! records by one engine ([`records`]); ci routes what people capture to them.

pub mod access;
mod all_kinds;
mod bounds;
pub mod calendar;
pub mod ci;
mod counters;
mod desk;
mod doctor;
mod errors;
mod feature;
pub mod gallery;
mod importing;
mod kazkar;
pub mod limits;
mod listeners;
mod listening;
mod malya;
mod module;
pub mod nastrij;
mod news;
mod openapi;
mod options;
pub mod participant;
mod podija;
mod promote;
pub mod records;
mod registry;
mod session;
mod smoke;
mod states;
mod status;
mod takeover;
mod verbs;
pub mod zone;

pub use feature::FEATURE;

use crate::store::Migration;

/// The tables of the modules, and views of them.
const MIGRATIONS: &[Migration] = &[
    Migration { version: 5, sql: include_str!("migrations/005_records.sql") },
    Migration { version: 5, sql: include_str!("migrations/005_links.sql") },
    Migration { version: 5, sql: include_str!("migrations/005_sessions.sql") },
    Migration { version: 5, sql: include_str!("migrations/005_captures.sql") },
    Migration { version: 5, sql: include_str!("migrations/005_calendar.sql") },
    Migration { version: 5, sql: include_str!("migrations/005_reminders.sql") },
    Migration { version: 5, sql: include_str!("migrations/005_views.sql") },
];
