//! When things are: entries that recur, reminders, and calendars as files. Most of it is values and rules, without a clock;
//! what is asked for and kept is in `routes`, `occurrences`, `files` and `store`.

mod entry;
pub mod event;
pub mod expand;
mod files;
pub mod ics_lines;
pub mod ics_read;
pub mod ics_read_zone;
pub mod ics_text;
pub mod ics_write;
pub mod ics_zone;
mod occurrences;
pub mod reminder;
mod routes;
pub mod rule;
pub mod shapes;
pub(super) mod store;

pub(super) use occurrences::{EXPANDED_MAX_BYTES, STRETCH_MAX_DAYS};
pub(super) use routes::{LISTS, ROUTES, add};
pub(super) use store::RECURRING_MAX;
