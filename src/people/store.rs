//! How revocations lie in the database: the statements, and nothing else.

use super::revocation::Kept;
use crate::clock::Timestamp;
use crate::gate::Revocation;
use crate::store::{Error, Query, Row, Tx};

const ALL: &str = "SELECT jti, user_id, before, revoked_at, expires_at FROM revocations ORDER BY id";

fn row(row: &Row<'_>) -> Result<Kept, Error> {
    let (jti, user, before): (Option<String>, Option<String>, Option<Timestamp>) =
        (row.get(0)?, row.get(1)?, row.get(2)?);
    let revocation = match (jti, user, before) {
        (Some(jti), None, None) => Revocation::Token(jti),
        (None, Some(user), Some(before)) => Revocation::User { user, before },
        _ => return Err(Error::Damaged("a revocation is neither of a token nor of a user".to_owned())),
    };
    Ok(Kept { revocation, revoked_at: row.get(3)?, expires_at: row.get(4)? })
}

/// All of them, in the order in which they were made.
pub(super) fn all(db: &impl Query) -> Result<Vec<Kept>, Error> {
    db.all(ALL, &[], row)
}

/// How many there are.
pub(super) fn count(db: &impl Query) -> Result<usize, Error> {
    Ok(db.one("SELECT count(*) FROM revocations", &[], |row| row.get::<i64>(0))?.unwrap_or_default() as usize)
}

/// How many are of this user's tokens.
pub(super) fn of_user(db: &impl Query, user: &str) -> Result<u64, Error> {
    let sql = "SELECT count(*) FROM revocations WHERE user_id = ?1";
    Ok(db.one(sql, &[user.into()], |row| row.get::<i64>(0))?.unwrap_or_default() as u64)
}

/// The one of this token or user, if there is one.
pub(super) fn find(db: &impl Query, revocation: &Revocation) -> Result<Option<Kept>, Error> {
    let sql = "SELECT jti, user_id, before, revoked_at, expires_at FROM revocations WHERE jti = ?1 OR user_id = ?2";
    let (jti, user) = match revocation {
        Revocation::Token(jti) => (Some(jti.as_str()), None),
        Revocation::User { user, .. } => (None, Some(user.as_str())),
    };
    db.one(sql, &[jti.into(), user.into()], row)
}

/// Keeps one, in place of an earlier one of the same token or user.
pub(super) fn keep(tx: &mut Tx<'_>, kept: &Kept) -> Result<(), Error> {
    let (jti, user, before) = match &kept.revocation {
        Revocation::Token(jti) => (Some(jti.as_str()), None, None),
        Revocation::User { user, before } => (None, Some(user.as_str()), Some(*before)),
    };
    tx.change("DELETE FROM revocations WHERE jti = ?1 OR user_id = ?2", &[jti.into(), user.into()])?;
    let sql = "INSERT INTO revocations (jti, user_id, before, revoked_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)";
    tx.run(sql, &[jti.into(), user.into(), before.into(), kept.revoked_at.into(), kept.expires_at.into()])
}

/// Removes the one of this token or user.
pub(super) fn remove(tx: &mut Tx<'_>, revocation: &Revocation) -> Result<u64, Error> {
    let (jti, user) = match revocation {
        Revocation::Token(jti) => (Some(jti.as_str()), None),
        Revocation::User { user, .. } => (None, Some(user.as_str())),
    };
    tx.change("DELETE FROM revocations WHERE jti = ?1 OR user_id = ?2", &[jti.into(), user.into()])
}
