//! The entry action: one box that turns a line of text into records of the right modules.

pub mod classify;
mod date_parts;
mod date_words;
mod feeling_words;
pub mod legend;
pub mod related;
pub mod seo;
pub mod state;
pub mod when;
pub mod words;
