//! Idempotency keys in SQL. A key is of one draft, one actor and one operation (ruling 1).

use crate::clock::Timestamp;
use crate::store::{Error, Query as _, Reader, Tx};

/// A change that carries an idempotency key.
#[derive(Debug, Clone, Copy)]
pub enum Operation {
    /// Append a segment.
    Append,
    /// Pass the ring.
    Pass,
    /// Pass the ring to whom a rule chooses.
    SmartPass,
    /// Invite somebody.
    Invite,
    /// Hand the draft over.
    Transfer,
    /// Lock it.
    Lock,
    /// Unlock it.
    Unlock,
    /// Take the ring back.
    Reclaim,
    /// Take a text out.
    Redact,
}

impl Operation {
    /// Whether it adds a hash to the chain, or needs one in place of a text.
    pub(in crate::drafts) fn is_about_hashes(self) -> bool {
        matches!(self, Self::Append | Self::Redact)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Append => "append_segment",
            Self::Pass => "pass_ring",
            Self::SmartPass => "pass_ring_smart",
            Self::Invite => "create_invite",
            Self::Transfer => "transfer_draft",
            Self::Lock => "lock_draft",
            Self::Unlock => "unlock_draft",
            Self::Reclaim => "reclaim_ring",
            Self::Redact => "redact_segment",
        }
    }
}

/// What an idempotency key was spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// The version that the draft had then; `None` for a key of an older program.
    pub version: Option<i64>,
    /// The order of the segment, if it was one.
    pub segment_order: Option<i64>,
}

/// What an idempotency key was spent on before, if it was: the change has been made.
pub fn spent_on(tx: &Tx<'_>, draft: i64, actor: &str, operation: Operation, key: &str) -> Result<Option<Spent>, Error> {
    let sql = "SELECT version, segment_order FROM idempotency_keys \
               WHERE draft = ?1 AND actor_id = ?2 AND operation = ?3 AND key = ?4";
    let values = [draft.into(), actor.into(), operation.as_str().into(), key.into()];
    tx.one(sql, &values, |row| Ok(Spent { version: row.get(0)?, segment_order: row.get(1)? }))
}

/// Spends an idempotency key on a change that was made.
pub fn spend_key(
    tx: &mut Tx<'_>,
    draft: i64,
    actor: &str,
    operation: Operation,
    key: &str,
    spent: Spent,
) -> Result<(), Error> {
    let sql = "INSERT INTO idempotency_keys (draft, actor_id, operation, key, created_at, version, segment_order) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let values = [
        draft.into(),
        actor.into(),
        operation.as_str().into(),
        key.into(),
        tx.now().into(),
        spent.version.into(),
        spent.segment_order.into(),
    ];
    tx.run(sql, &values)
}

/// Spends an idempotency key like [`spend_key`], and keeps what the change answers beside the draft for a replay to say it again.
pub fn spend_key_with(
    tx: &mut Tx<'_>,
    draft: i64,
    actor: &str,
    operation: Operation,
    key: &str,
    result: &str,
) -> Result<(), Error> {
    let sql = "INSERT INTO idempotency_keys (draft, actor_id, operation, key, created_at, result) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let spent = [draft.into(), actor.into(), operation.as_str().into(), key.into(), tx.now().into(), result.into()];
    tx.run(sql, &spent)
}

/// What was kept with an idempotency key, if it was spent before.
pub fn result_of(
    tx: &Tx<'_>,
    draft: i64,
    actor: &str,
    operation: Operation,
    key: &str,
) -> Result<Option<String>, Error> {
    let sql = "SELECT result FROM idempotency_keys WHERE draft = ?1 AND actor_id = ?2 AND operation = ?3 AND key = ?4";
    tx.one(sql, &[draft.into(), actor.into(), operation.as_str().into(), key.into()], |row| row.get(0))
}

/// A spent idempotency key with all that it belongs to, in the order of their index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpentKey {
    /// The draft's row.
    pub draft: i64,
    /// Who has spent it.
    pub actor: String,
    /// For what.
    pub operation: String,
    /// The key.
    pub text: String,
}

/// The next keys in the order of their index, at most `limit`, with their times.
pub fn spent_keys(reader: &Reader, after: Option<&SpentKey>, limit: i64) -> Result<Vec<(SpentKey, Timestamp)>, Error> {
    let sql = "SELECT draft, actor_id, operation, key, created_at FROM idempotency_keys \
               WHERE (draft, actor_id, operation, key) > (?1, ?2, ?3, ?4) \
               ORDER BY draft, actor_id, operation, key LIMIT ?5";
    let (draft, [actor, operation, text]) = match after {
        Some(SpentKey { draft, actor, operation, text }) => (*draft, [actor.as_str(), operation, text]),
        None => (i64::MIN, [""; 3]),
    };
    reader.all(sql, &[draft.into(), actor.into(), operation.into(), text.into(), limit.into()], |row| {
        let key = SpentKey { draft: row.get(0)?, actor: row.get(1)?, operation: row.get(2)?, text: row.get(3)? };
        Ok((key, row.get(4)?))
    })
}

/// Removes keys. How many it was.
pub fn remove_keys(tx: &mut Tx<'_>, keys: &[SpentKey]) -> Result<u64, Error> {
    let sql = "DELETE FROM idempotency_keys WHERE draft = ?1 AND actor_id = ?2 AND operation = ?3 AND key = ?4";
    let mut removed = 0;
    for SpentKey { draft, actor, operation, text } in keys {
        removed += tx.change(sql, &[(*draft).into(), actor.into(), operation.into(), text.into()])?;
    }
    Ok(removed)
}

/// Gives keys this time. How many it was.
///
/// # Errors
/// When the store fails.
pub fn date_keys(tx: &mut Tx<'_>, keys: &[SpentKey], at: Timestamp) -> Result<u64, Error> {
    let sql = "UPDATE idempotency_keys SET created_at = ?5 \
               WHERE draft = ?1 AND actor_id = ?2 AND operation = ?3 AND key = ?4";
    let mut dated = 0;
    for SpentKey { draft, actor, operation, text } in keys {
        dated += tx.change(sql, &[(*draft).into(), actor.into(), operation.into(), text.into(), at.into()])?;
    }
    Ok(dated)
}
