//! What every test needs: the test kit, and what knows the database.

pub mod browser;
pub mod ledger;
pub mod needs;
pub mod preload;
pub mod shell;
pub mod tls;
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

/// Settings for tests of the modules that ask faster than a household does.
pub const UNHURRIED: [(&str, &str); 2] = [("MODULES_LIMIT_PER_MINUTE", "10000"), ("MODULES_LIMIT_PER_HOUR", "10000")];

/// A server whose modules may be asked as fast as a test can.
pub fn household() -> Server {
    Server::with(&UNHURRIED)
}
