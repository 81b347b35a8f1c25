//! What every test needs: the test kit, and what knows the database.

pub mod browser;
pub mod ledger;
pub mod needs;
pub mod preload;
pub mod shell;
pub mod yjs;

use std::path::Path;

pub use inkring_testkit::*;

/// Keeps the server's writer from writing until dropped; its patience with us ends after 5 s.
pub fn hold_writer(database: &Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(database).unwrap();
    connection.busy_timeout(PATIENCE).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}
