//! Makes a database, and brings an older one up to date.

use rusqlite::{Connection, TransactionBehavior};

use super::identity::{APPLICATION_ID, user_version};
use crate::store::schema::Schema;

/// Makes an empty database ours.
pub(super) fn create(connection: &mut Connection, schema: &Schema) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for step in schema.after(0) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", schema.version())?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.commit()
}

/// Brings an older database to the present schema, all the way or not at all.
pub(super) fn migrate(connection: &mut Connection, schema: &Schema) -> rusqlite::Result<()> {
    let (from, to) = (user_version(connection)?, schema.version());
    if from >= to {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in schema.after(from) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", to)?;
    transaction.commit()?;
    log::info!(from, to; "store.migrated");
    Ok(())
}
