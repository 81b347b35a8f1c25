//! Moods: a quick log of them, and what they look like over time.

pub mod analytics;
mod routes;

pub(super) use routes::{ANALYTICS_ENTRIES_MAX, ROUTES, add};
