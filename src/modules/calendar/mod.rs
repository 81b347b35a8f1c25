//! When things are: entries that recur, reminders, and calendars as files. All of it is values and rules, without a clock.

pub mod event;
pub mod expand;
pub mod ics_lines;
pub mod ics_read;
pub mod ics_read_zone;
pub mod ics_text;
pub mod ics_write;
pub mod ics_zone;
pub mod reminder;
pub mod rule;
