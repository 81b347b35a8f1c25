//! When things are: entries that recur, reminders, and calendars as files. Most of it is values and rules, without a clock;
//! what is asked for and kept is in `routes`, `occurrences`, `files` and `store`.

mod entry;
pub mod event;
pub mod expand;
mod files;
mod ics_fields;
pub mod ics_lines;
pub mod ics_read;
mod ics_read_event;
pub mod ics_read_zone;
pub mod ics_text;
pub mod ics_write;
pub mod ics_zone;
mod import;
mod occurrences;
mod on_day;
pub mod reminder;
mod reminders;
mod routes;
pub mod rule;
pub mod shapes;
pub(super) mod store;
mod telling;
mod turns;

pub(super) use import::ICS_EVENT_MAX_BYTES;
pub(super) use occurrences::{EXPANDED_MAX_BYTES, STRETCH_MAX_DAYS};
pub(super) use on_day::{Coming, coming, recurring, recurs};
pub(super) use routes::{LISTS, ROUTES, add};
pub(super) use store::{Found, RECURRING_MAX};
pub(super) use telling::task;
pub(super) use turns::Turns;
