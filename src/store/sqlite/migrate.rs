//! Makes a database, and brings an older one up to date.

use std::error::Error;

use rusqlite::{Connection, TransactionBehavior};

use super::identity::{APPLICATION_ID, user_version};
use super::lock::DatabaseLock;
use crate::store::error::OpenError;
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

/// An older database that nobody has changed yet, and that is about to be brought up to date.
#[derive(Debug)]
pub struct Pending<'a> {
    /// Held while this is looked at.
    pub lock: &'a DatabaseLock,
    /// The version that it has.
    pub from: i32,
    /// The version that it is to have.
    pub to: i32,
}

/// What somebody does with an older database before it is brought up to date; if that fails, it is not.
pub type BeforeMigration<'a> = &'a mut dyn FnMut(&Pending<'_>) -> Result<(), Box<dyn Error + Send + Sync>>;

/// Brings an older database to the present schema, all the way or not at all.
pub(super) fn migrate(
    connection: &mut Connection,
    schema: &Schema,
    lock: &DatabaseLock,
    before: BeforeMigration<'_>,
) -> Result<(), OpenError> {
    let path = || lock.database().to_owned();
    let failed = |error: rusqlite::Error| OpenError::Database { path: path(), source: error.into() };
    let (from, to) = (user_version(connection).map_err(failed)?, schema.version());
    if from >= to {
        return Ok(());
    }
    before(&Pending { lock, from, to }).map_err(|source| OpenError::NotMigrated { path: path(), from, to, source })?;
    step_by_step(connection, schema, from).map_err(failed)?;
    log::info!(from, to; "store.migrated");
    Ok(())
}

fn step_by_step(connection: &mut Connection, schema: &Schema, from: i32) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in schema.after(from) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", schema.version())?;
    transaction.commit()
}
