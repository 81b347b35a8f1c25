//! What is lost when a backup takes the place of a database.

use crate::store::{Error, Reader};

/// Compares a database with a backup of it.
pub type Compare = fn(&Reader, &Reader) -> Result<Newer, Error>;

/// What a database has and its backup has not.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Newer {
    /// What it is, in the plural.
    pub what: &'static str,
    /// The first of them, each in a line that says how far it is ahead.
    pub lines: Vec<String>,
    /// How many more there are.
    pub more: u64,
}
