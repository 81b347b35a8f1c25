//! How sessions lie in the database: the statements, and nothing else.

use super::session::{Hash, LIFE, Times};
use crate::clock::Timestamp;
use crate::store::{Error, Query, Row, Tx};

/// Sessions that there may be at once. One more ends the one that was not seen for longest.
pub(in crate::modules) const SESSIONS_MAX: usize = 200;

/// A session as it lies there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::modules) struct Session {
    pub(in crate::modules) id: i64,
    pub(in crate::modules) times: Times,
    /// Where it was opened from, and by which program.
    pub(in crate::modules) address: String,
    pub(in crate::modules) agent: Option<String>,
}

const BY_HASH: &str = "SELECT id, created_at, last_seen_at, address, agent FROM household_sessions WHERE hash = ?1";
const ALL: &str =
    "SELECT id, created_at, last_seen_at, address, agent FROM household_sessions ORDER BY last_seen_at DESC, id DESC";

fn row(row: &Row<'_>) -> Result<Session, Error> {
    Ok(Session {
        id: row.get(0)?,
        times: Times { created_at: row.get(1)?, last_seen_at: row.get(2)? },
        address: row.get(3)?,
        agent: row.get(4)?,
    })
}

/// The session of this token.
pub(in crate::modules) fn session(query: &impl Query, hash: &Hash) -> Result<Option<Session>, Error> {
    query.one(BY_HASH, &[hash.into()], row)
}

/// All sessions, the one that was seen last first.
pub(in crate::modules) fn all(query: &impl Query) -> Result<Vec<Session>, Error> {
    query.all(ALL, &[], row)
}

/// Opens a session, and removes those that are over: too old, or too many.
pub(in crate::modules) fn open(tx: &mut Tx<'_>, hash: &Hash, address: &str, agent: Option<&str>) -> Result<i64, Error> {
    let now = tx.now();
    let old: Timestamp = now.earlier(LIFE);
    tx.change("DELETE FROM household_sessions WHERE last_seen_at <= ?1", &[old.into()])?;
    let id = tx.insert(
        "INSERT INTO household_sessions (hash, created_at, last_seen_at, address, agent) VALUES (?1, ?2, ?2, ?3, ?4)",
        &[hash.into(), now.into(), address.into(), agent.into()],
    )?;
    let more = "DELETE FROM household_sessions WHERE id IN \
                (SELECT id FROM household_sessions WHERE id <> ?1 ORDER BY last_seen_at DESC, id DESC LIMIT 1000 OFFSET ?2)";
    tx.change(more, &[id.into(), (SESSIONS_MAX - 1).into()])?;
    Ok(id)
}

/// Writes down that a session was seen, if it is still there.
pub(in crate::modules) fn seen(tx: &mut Tx<'_>, id: i64) -> Result<(), Error> {
    let now = tx.now();
    tx.change("UPDATE household_sessions SET last_seen_at = ?2 WHERE id = ?1", &[id.into(), now.into()]).map(|_| ())
}

/// Ends a session, and says whether it was there.
pub(in crate::modules) fn end(tx: &mut Tx<'_>, id: i64) -> Result<bool, Error> {
    tx.change("DELETE FROM household_sessions WHERE id = ?1", &[id.into()]).map(|ended| ended > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::MIGRATIONS;
    use crate::store::testing::House;

    #[test]
    fn so_many_sessions_there_are_and_old_ones_end() {
        let house = House::at(Timestamp(0), MIGRATIONS);
        for number in 0..=SESSIONS_MAX {
            house.clock.advance(1_000_000);
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&number.to_be_bytes());
            house.write(move |tx| _ = open(tx, &hash, "192.0.2.1", None).unwrap());
        }
        let sessions = all(&*house.reader).unwrap();
        assert_eq!(sessions.len(), SESSIONS_MAX);
        assert!(sessions.iter().all(|session| session.id > 1), "the first one has ended");
        let first = sessions[SESSIONS_MAX - 1].id;
        house.clock.advance(1_000_000);
        house.write(move |tx| seen(tx, first).unwrap());
        assert_eq!(all(&*house.reader).unwrap()[0].id, first);
        house.clock.advance(i64::try_from(LIFE.as_micros()).unwrap());
        house.write(|tx| _ = open(tx, &[9; 32], "192.0.2.1", Some("later")).unwrap());
        let left = all(&*house.reader).unwrap();
        assert_eq!((left.len(), left[0].agent.as_deref()), (1, Some("later")));
        let id = left[0].id;
        house.write(move |tx| assert_eq!([end(tx, id).unwrap(), end(tx, id).unwrap()], [true, false]));
    }
}
