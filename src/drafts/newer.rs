//! What is lost when a backup takes the place of a database.

use super::store;
use crate::feature::Newer;
use crate::store::{Error, Reader};

/// Drafts that are named; the rest is counted.
pub(super) const LISTED_MAX_DRAFTS: usize = 20;

/// Names the drafts of which the database knows more than its backup.
pub(super) fn newer(database: &Reader, backup: &Reader) -> Result<Newer, Error> {
    let mut newer = Newer { what: "drafts", ..Newer::default() };
    store::event_seqs(database, |draft_id, seq| {
        let known = store::event_seq(backup, draft_id)?;
        if known.is_some_and(|known| known >= seq) {
            return Ok(());
        }
        if newer.lines.len() < LISTED_MAX_DRAFTS {
            let there = known.map_or("not in the backup".to_owned(), |known| format!("{known} in the backup"));
            newer.lines.push(format!("{draft_id}  {seq} events, {there}"));
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
        assert_eq!(newer(&backup, &backup).unwrap(), Newer { what: "drafts", lines: Vec::new(), more: 0 });
        let found = newer(&now, &backup).unwrap();
        assert_eq!((found.lines.len(), found.more), (LISTED_MAX_DRAFTS, 2));
        assert_eq!(found.lines[0], "01  2 events, not in the backup");
        assert_eq!(newer(&database(1, 3), &backup).unwrap().lines, ["00  3 events, 2 in the backup"]);
    }
}
