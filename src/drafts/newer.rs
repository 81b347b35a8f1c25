//! What is lost when a backup takes the place of a database.

use super::store;
use crate::store::{Error, Reader};

/// Drafts that are named; the rest is counted.
pub(super) const LISTED_MAX_DRAFTS: usize = 20;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_newer_is_named_up_to_a_number_and_counted_beyond() {
        let database = |drafts: usize, seq: i64| {
            let reader = Reader::in_memory(crate::drafts::MIGRATIONS);
            for draft in 0..drafts {
                reader.batch(&format!(
                    "INSERT INTO drafts (draft_id, creator_id, title, platform, holder_id, event_seq, passed_at, \
                     created_at, updated_at) VALUES ('{draft:02}', 'a', 't', 'x', 'a', {seq}, 0, 0, 0)"
                ));
            }
            reader
        };
        let (now, backup) = (database(LISTED_MAX_DRAFTS + 3, 2), database(1, 2));
        assert_eq!(newer(&backup, &backup).unwrap(), Newer::default());
        let found = newer(&now, &backup).unwrap();
        assert_eq!((found.drafts.len(), found.more), (LISTED_MAX_DRAFTS, 2));
        assert_eq!(newer(&database(1, 3), &backup).unwrap().drafts[0].seq_in_backup, Some(2));
    }
}
