//! What is lost of rooms when a backup takes the place of a database.

use super::store;
use crate::feature::Newer;
use crate::store::{Error, Reader};

/// Names the rooms of which the database knows more than its backup.
pub(super) fn newer(database: &Reader, backup: &Reader) -> Result<Newer, Error> {
    let mut newer = Newer::of("rooms", "updates");
    store::last_updates(database, |name, seq| {
        newer.compare(name, seq, store::last_update(backup, name)?);
        Ok(())
    })?;
    Ok(newer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_compared_by_their_updates() {
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
        let backup = database(1, 2, 1);
        assert!(newer(&backup, &backup).unwrap().lines.is_empty());
        let lines = ["room 01  3 updates, 2 in the backup", "room 02  3 updates, not in the backup"];
        assert_eq!(newer(&database(2, 3, 1), &backup).unwrap().lines, lines);
        // What a snapshot has is in no row of its own any more.
        assert_eq!(newer(&database(1, 1, 5), &backup).unwrap().lines, ["room 01  5 updates, 2 in the backup"]);
    }
}
