//! Taking one person out of what features keep, and saying what was found, what is gone, and what stays and why.

use serde_json::{Value, json};

use crate::gate::ApiError;
use crate::store::{Topic, Tx};

/// The person who is taken out.
#[derive(Debug, Clone, Copy)]
pub struct Person<'a> {
    /// Their user id.
    pub user: &'a str,
    /// What stands in its place where something of theirs stays: chosen at random, and kept nowhere beside the name.
    pub pseudonym: &'a str,
    /// What the change is found by in the log.
    pub request_id: &'a str,
}

/// Takes a person out of what one feature keeps, in the transaction of all of it.
pub type Erase = fn(&mut Tx<'_>, &Person<'_>) -> Result<Erasure, ApiError>;

/// What came of it.
#[derive(Debug, Default)]
pub struct Erasure {
    /// What became of each kind of thing.
    pub report: Vec<Erased>,
    /// What is gone altogether, and may be listened to: told to [`Running::erased`](super::Running::erased) once it is on disk.
    pub gone: Vec<Topic>,
}

/// What became of one kind of thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    /// What it is, in a few words.
    pub what: &'static str,
    /// How many of it were found.
    pub found: u64,
    /// How many of those are gone, or say nothing of the person any more.
    pub gone: u64,
    /// What became of them; of what stays, why.
    pub how: &'static str,
}

impl Erased {
    /// All that were found.
    pub fn all(what: &'static str, found: u64, how: &'static str) -> Self {
        Self { what, found, gone: found, how }
    }

    /// Of what is not looked at, or stays.
    pub fn stays(what: &'static str, found: u64, why: &'static str) -> Self {
        Self { what, found, gone: 0, how: why }
    }

    /// As it is told.
    pub fn to_json(&self) -> Value {
        let Self { what, found, gone, how } = self;
        json!({ "what": what, "found": found, "gone": gone, "stays": found - gone, "how": how })
    }
}
