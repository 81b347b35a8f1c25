//! How rooms lie in the database (contract 03 §4.4): the statements, and nothing else.

use crate::clock::Timestamp;
use crate::store::{Error, Query, Tx};

/// What is in the column `format` of a snapshot: an update of version 1.
const FORMAT: i64 = 1;

/// A room's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RoomRow {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) created_at: Timestamp,
    pub(super) used_at: Timestamp,
    /// Why it is only read, if it is.
    pub(super) quarantine: Option<String>,
    /// Bytes of its newest snapshot.
    pub(super) snapshot_bytes: i64,
    /// Updates that no snapshot has, and their bytes, as of when they were counted last ([`count`]).
    pub(super) log_rows: i64,
    pub(super) log_bytes: i64,
}

const FIND: &str = "SELECT id, name, created_at, used_at, quarantine, snapshot_bytes, log_rows, log_bytes FROM rooms \
                    WHERE name = ?1";
const LIST: &str = "SELECT id, name, created_at, used_at, quarantine, snapshot_bytes, log_rows, log_bytes FROM rooms \
                    WHERE name > ?1 ORDER BY name LIMIT ?2";
const UNUSED: &str = "SELECT id, name, created_at, used_at, quarantine, snapshot_bytes, log_rows, log_bytes FROM rooms \
                      WHERE used_at < ?1 ORDER BY used_at LIMIT ?2";

fn row(row: &crate::store::Row<'_>) -> Result<RoomRow, Error> {
    Ok(RoomRow {
        id: row.get(0)?,
        name: row.get(1)?,
        created_at: row.get(2)?,
        used_at: row.get(3)?,
        quarantine: row.get(4)?,
        snapshot_bytes: row.get(5)?,
        log_rows: row.get(6)?,
        log_bytes: row.get(7)?,
    })
}

/// The room of this name, if it was ever written to.
pub(super) fn find(query: &impl Query, name: &str) -> Result<Option<RoomRow>, Error> {
    query.one(FIND, &[name.into()], row)
}

/// Rooms by name, from behind `after` on.
pub(super) fn list(query: &impl Query, after: &str, count: usize) -> Result<Vec<RoomRow>, Error> {
    query.all(LIST, &[after.into(), count.into()], row)
}

/// Rooms that nobody has used since, the longest unused first.
pub(super) fn unused(query: &impl Query, since: Timestamp, count: usize) -> Result<Vec<RoomRow>, Error> {
    query.all(UNUSED, &[since.into(), count.into()], row)
}

/// A snapshot as it lies there.
#[derive(Debug)]
pub(super) struct StoredSnapshot {
    /// The last update that it has.
    pub(super) seq: i64,
    pub(super) format: i64,
    pub(super) sha256: Vec<u8>,
    pub(super) bytes: Vec<u8>,
}

impl StoredSnapshot {
    /// Whether it is of the only form there is.
    pub(super) fn is_known(&self) -> bool {
        self.format == FORMAT
    }
}

/// The snapshot of a room that is the `nth` newest, from 0.
pub(super) fn snapshot(query: &impl Query, room: i64, nth: usize) -> Result<Option<StoredSnapshot>, Error> {
    let sql =
        "SELECT seq, format, sha256, bytes FROM room_snapshots WHERE room = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2";
    query.one(sql, &[room.into(), nth.into()], |row| {
        Ok(StoredSnapshot { seq: row.get(0)?, format: row.get(1)?, sha256: row.get(2)?, bytes: row.get(3)? })
    })
}

/// Has `take` see every update of a room behind this one, in order; false ends it.
pub(super) fn updates(
    query: &impl Query,
    room: i64,
    after: i64,
    mut take: impl FnMut(i64, &[u8]) -> bool,
) -> Result<(), Error> {
    let sql = "SELECT seq, bytes FROM room_updates WHERE room = ?1 AND seq > ?2 ORDER BY seq";
    let mut goes_on = true;
    query.each(sql, &[room.into(), after.into()], |row| {
        if goes_on {
            goes_on = take(row.get(0)?, row.get(1)?);
        }
        Ok(())
    })
}

/// The number of a room; it is made if there is none.
pub(super) fn make(tx: &mut Tx<'_>, name: &str, creator: &str) -> Result<i64, Error> {
    let now = tx.now();
    tx.change(
        "INSERT INTO rooms (name, creator_id, created_at, used_at) VALUES (?1, ?2, ?3, ?3) ON CONFLICT (name) DO NOTHING",
        &[name.into(), creator.into(), now.into()],
    )?;
    let id = tx.lock("SELECT id FROM rooms WHERE name = ?1", &[name.into()], |row| row.get(0))?;
    id.ok_or_else(|| Error::Damaged(format!("the room {name:?} was made and is not there")))
}

/// Adds an update.
pub(super) fn append(tx: &mut Tx<'_>, room: i64, seq: i64, user: &str, bytes: &[u8]) -> Result<(), Error> {
    let now = tx.now();
    tx.run(
        "INSERT INTO room_updates (room, seq, created_at, user_id, bytes) VALUES (?1, ?2, ?3, ?4, ?5)",
        &[room.into(), seq.into(), now.into(), user.into(), bytes.into()],
    )
}

/// Takes down what is in the log of a room, and that somebody was there.
pub(super) fn count(tx: &mut Tx<'_>, room: i64) -> Result<(), Error> {
    let now = tx.now();
    let sql = "UPDATE rooms SET log_rows = (SELECT count(*) FROM room_updates WHERE room = ?1), \
               log_bytes = (SELECT coalesce(sum(length(bytes)), 0) FROM room_updates WHERE room = ?1), used_at = ?2 \
               WHERE id = ?1";
    tx.change(sql, &[room.into(), now.into()]).map(drop)
}

/// Puts a snapshot in place of the updates that it has; the one before it is kept.
pub(super) fn compact(tx: &mut Tx<'_>, room: i64, seq: i64, sha256: &[u8], bytes: &[u8]) -> Result<(), Error> {
    let now = tx.now();
    // The room may have been deleted meanwhile.
    if !tx.exists("SELECT 1 FROM rooms WHERE id = ?1", &[room.into()])? {
        return Ok(());
    }
    tx.change("DELETE FROM room_updates WHERE room = ?1 AND seq <= ?2", &[room.into(), seq.into()])?;
    tx.change(
        "DELETE FROM room_snapshots WHERE room = ?1 AND seq < (SELECT max(seq) FROM room_snapshots WHERE room = ?1)",
        &[room.into()],
    )?;
    tx.change(
        "INSERT INTO room_snapshots (room, seq, created_at, format, sha256, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
         ON CONFLICT (room, seq) DO UPDATE SET created_at = excluded.created_at, format = excluded.format, \
         sha256 = excluded.sha256, bytes = excluded.bytes",
        &[room.into(), seq.into(), now.into(), FORMAT.into(), sha256.into(), bytes.into()],
    )?;
    tx.run(
        "UPDATE rooms SET snapshot_bytes = ?2, \
         log_rows = (SELECT count(*) FROM room_updates WHERE room = ?1), \
         log_bytes = (SELECT coalesce(sum(length(bytes)), 0) FROM room_updates WHERE room = ?1) WHERE id = ?1",
        &[room.into(), bytes.len().into()],
    )
}

/// Says why a room is only read from now on.
pub(super) fn quarantine(tx: &mut Tx<'_>, room: i64, reason: &str) -> Result<(), Error> {
    tx.change("UPDATE rooms SET quarantine = ?2 WHERE id = ?1", &[room.into(), reason.into()]).map(drop)
}

/// Removes a room and all of it. Whether there was one.
pub(super) fn delete(tx: &mut Tx<'_>, name: &str) -> Result<bool, Error> {
    let id: Option<i64> = tx.lock("SELECT id FROM rooms WHERE name = ?1", &[name.into()], |row| row.get(0))?;
    let Some(id) = id else { return Ok(false) };
    remove(tx, id).map(|()| true)
}

/// Removes a room that nobody has used since. Whether there was one.
pub(super) fn delete_unused(tx: &mut Tx<'_>, name: &str, since: Timestamp) -> Result<bool, Error> {
    let sql = "SELECT id FROM rooms WHERE name = ?1 AND used_at < ?2";
    let id: Option<i64> = tx.lock(sql, &[name.into(), since.into()], |row| row.get(0))?;
    let Some(id) = id else { return Ok(false) };
    remove(tx, id).map(|()| true)
}

fn remove(tx: &mut Tx<'_>, id: i64) -> Result<(), Error> {
    tx.change("DELETE FROM room_updates WHERE room = ?1", &[id.into()])?;
    tx.change("DELETE FROM room_snapshots WHERE room = ?1", &[id.into()])?;
    tx.run("DELETE FROM rooms WHERE id = ?1", &[id.into()])
}

/// Has `see` every room, by name, with the number of its last update.
pub(super) fn last_updates(
    query: &impl Query,
    mut see: impl FnMut(&str, i64) -> Result<(), Error>,
) -> Result<(), Error> {
    let sql = "SELECT name, max(coalesce((SELECT max(seq) FROM room_updates WHERE room = rooms.id), 0), \
               coalesce((SELECT max(seq) FROM room_snapshots WHERE room = rooms.id), 0)) FROM rooms ORDER BY name";
    query.each(sql, &[], |row| see(row.get(0)?, row.get(1)?))
}

/// The number of the last update of a room, if there is such a room.
pub(super) fn last_update(query: &impl Query, name: &str) -> Result<Option<i64>, Error> {
    let sql = "SELECT max(coalesce((SELECT max(seq) FROM room_updates WHERE room = rooms.id), 0), \
               coalesce((SELECT max(seq) FROM room_snapshots WHERE room = rooms.id), 0)) FROM rooms WHERE name = ?1";
    query.one(sql, &[name.into()], |row| row.get(0))
}

/// How many rooms there are, and how many of them are only read because they are damaged.
pub(super) fn counts(query: &impl Query) -> Result<(i64, i64), Error> {
    let counts =
        query.one("SELECT count(*), count(quarantine) FROM rooms", &[], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(counts.unwrap_or_default())
}

/// Rooms that are only read because they are damaged, by name, and why.
pub(super) fn quarantined(query: &impl Query, count: usize) -> Result<Vec<(String, String)>, Error> {
    let sql = "SELECT name, quarantine FROM rooms WHERE quarantine IS NOT NULL ORDER BY name LIMIT ?1";
    query.all(sql, &[count.into()], |row| Ok((row.get(0)?, row.get(1)?)))
}
/// Puts another name in place of a user, as the maker of rooms and the sender of updates. How many of both there were.
pub(super) fn rename(tx: &mut Tx<'_>, user: &str, name: &str) -> Result<(u64, u64), Error> {
    let values = [user.into(), name.into()];
    let rooms = tx.change("UPDATE rooms SET creator_id = ?2 WHERE creator_id = ?1", &values)?;
    let updates = tx.change("UPDATE room_updates SET user_id = ?2 WHERE user_id = ?1", &values)?;
    Ok((rooms, updates))
}
