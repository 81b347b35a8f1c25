//! What is lost of rooms when a backup takes the place of a database.

use super::store;
use crate::feature::Newer;
use crate::store::{Error, Reader};

/// Rooms that are named; the rest is counted.
pub(super) const LISTED_MAX_ROOMS: usize = 20;

/// Names the rooms of which the database knows more than its backup.
pub(super) fn newer(database: &Reader, backup: &Reader) -> Result<Newer, Error> {
    let mut newer = Newer { what: "rooms", ..Newer::default() };
    store::last_updates(database, |name, seq| {
        let known = store::last_update(backup, name)?;
        if known.is_some_and(|known| known >= seq) {
            return Ok(());
        }
        if newer.lines.len() < LISTED_MAX_ROOMS {
            let there = known.map_or("not in the backup".to_owned(), |known| format!("{known} in the backup"));
            newer.lines.push(format!("{name}  {seq} updates, {there}"));
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
        let database = |rooms: usize, seq: i64, snapshot: i64| {
            let reader = Reader::in_memory(crate::rooms::MIGRATIONS);
            for room in 1..=rooms {
                reader.batch(&format!(
                    "INSERT INTO rooms (id, name, creator_id, created_at, used_at) VALUES ({room}, 'room {room:02}', 'a', 0, 0); \
                     INSERT INTO room_updates (room, seq, created_at, user_id, bytes) VALUES ({room}, {seq}, 0, 'a', x'0000'); \
                     INSERT INTO room_snapshots (room, seq, created_at, format, sha256, bytes) \
                     VALUES ({room}, {snapshot}, 0, 1, x'00', x'0000')"
                ));
            }
            reader
        };
        let (now, backup) = (database(LISTED_MAX_ROOMS + 3, 2, 1), database(1, 2, 1));
        assert_eq!(newer(&backup, &backup).unwrap(), Newer { what: "rooms", lines: Vec::new(), more: 0 });
        let found = newer(&now, &backup).unwrap();
        assert_eq!((found.lines.len(), found.more), (LISTED_MAX_ROOMS, 2));
        assert_eq!(found.lines[0], "room 02  2 updates, not in the backup");
        // What a snapshot has is in no row of its own any more.
        assert_eq!(newer(&database(1, 1, 5), &backup).unwrap().lines, ["room 01  5 updates, 2 in the backup"]);
    }
}
