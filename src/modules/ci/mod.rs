//! The entry action: one box that turns a line of text into records of the right modules.

mod date_parts;
mod date_words;
pub mod when;
pub mod words;
