//! The entry action: one box that turns a line of text into records of the right modules.

pub(super) mod capture;
pub(super) mod chat;
pub mod classify;
mod date_parts;
mod date_words;
pub(super) mod documents;
mod earlier;
mod feeling_words;
pub mod legend;
pub mod related;
pub(super) mod routes;
pub mod seo;
pub mod state;
mod store;
pub(super) mod talk;
pub mod when;
pub mod words;
