//! What is lost when a backup takes the place of a database.

use super::store;
use crate::feature::Newer;
use crate::store::{Error, Reader};

/// Names the drafts of which the database knows more than its backup.
pub(super) fn newer(database: &Reader, backup: &Reader) -> Result<Newer, Error> {
    let mut newer = Newer::of("drafts", "events");
    store::event_seqs(database, |draft_id, seq| {
        newer.compare(draft_id, seq, store::event_seq(backup, draft_id)?);
        Ok(())
    })?;
    Ok(newer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drafts_are_compared_by_their_events() {
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
        let backup = database(1, 2);
        assert!(newer(&backup, &backup).unwrap().lines.is_empty());
        let lines = ["00  3 events, 2 in the backup", "01  3 events, not in the backup"];
        assert_eq!(newer(&database(2, 3), &backup).unwrap().lines, lines);
    }
}
