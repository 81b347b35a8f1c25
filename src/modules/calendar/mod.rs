//! When things are: entries that recur, reminders, and calendars as files.
