//! Makes a database, and brings an older one up to date.

use rusqlite::{Connection, TransactionBehavior};

use super::identity::{APPLICATION_ID, user_version};
use crate::store::migrations::{SCHEMA, SCHEMA_VERSION, after};

/// Makes an empty database ours.
pub(super) fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.commit()
}

/// Brings an older database to the present schema, all the way or not at all.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let from = user_version(connection)?;
    let steps = after(from);
    if steps.is_empty() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in steps {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()?;
    log::info!(from, to = SCHEMA_VERSION; "store.migrated");
    Ok(())
}
