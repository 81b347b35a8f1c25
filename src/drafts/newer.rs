//! What is lost when a backup takes the place of a database.

use super::store;
use crate::store::{Error, Reader};

/// Drafts that are named; the rest is counted.
const LISTED_MAX_DRAFTS: usize = 20;

/// What a database has and its backup has not.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Newer {
    /// The first drafts of which the database knows more.
    pub drafts: Vec<NewerDraft>,
    /// How many more there are.
    pub more: u64,
}

/// A draft of which a database knows more than its backup.
#[derive(Debug, PartialEq, Eq)]
pub struct NewerDraft {
    /// Its id.
    pub draft_id: String,
    /// The number of its newest event in the database.
    pub seq: i64,
    /// That in the backup; nothing if the backup does not have the draft.
    pub seq_in_backup: Option<i64>,
}

/// Compares the two.
///
/// # Errors
/// When one of them cannot be read.
pub fn newer(database: &Reader, backup: &Reader) -> Result<Newer, Error> {
    let mut newer = Newer::default();
    store::event_seqs(database, |draft_id, seq| {
        let seq_in_backup = store::event_seq(backup, draft_id)?;
        if seq_in_backup.is_some_and(|known| known >= seq) {
            return Ok(());
        }
        if newer.drafts.len() < LISTED_MAX_DRAFTS {
            newer.drafts.push(NewerDraft { draft_id: draft_id.to_owned(), seq, seq_in_backup });
        } else {
            newer.more += 1;
        }
        Ok(())
    })?;
    Ok(newer)
}
