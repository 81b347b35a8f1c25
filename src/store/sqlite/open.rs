//! Opening the database: is it ours, is it ours alone, and does it behave as promised.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::OpenFlags;
use rusqlite::config::DbConfig;
use rusqlite::types::Value as SqliteValue;

use super::connection::Connection;
use super::definition::{Definition, KeptDefinition, distrust};
use super::files::{create_file, directory_of, require_directory_sync, sync_directory, with_suffix};
use super::identity::{application_id, check_ours};
use super::last_change::LastChange;
use super::lock::DatabaseLock;
use super::migrate::{BeforeMigration, create, migrate};
use super::place::{OpenFiles, real_path};
use super::reserve::Reserve;
use super::restoring::lock_database;
use super::survey::Survey;
use crate::clock::{Clock, Timekeeper};
use crate::store::counters::Counters;
use crate::store::error::{Error, OpenError};
use crate::store::reader::Reader;
use crate::store::schema::Schema;
use crate::store::state::WriterState;

/// Pages of the database that the writer keeps, as SQLite wants it said: in KiB, and negative.
const WRITER_PAGES: &str = "-4096";
/// The same in bytes.
pub(crate) const WRITER_PAGES_BYTES: u64 = 4096 * 1024;
/// Pages that each reader keeps.
const READER_PAGES: &str = "-1024";
/// The same in bytes.
pub(crate) const READER_PAGES_BYTES: u64 = 1024 * 1024;
/// Statements kept prepared by each connection; more than the code has.
const STATEMENTS_CACHED: usize = 256;

/// An open database: the connection that writes, and what is needed to open readers.
#[derive(Debug)]
pub struct Store {
    pub(super) connection: Connection,
    pub(super) state: Arc<WriterState>,
    /// Held for as long as this process may write.
    pub(super) lock: DatabaseLock,
    pub(super) reserve: Reserve,
    pub(super) last_change: LastChange,
    pub(super) metrics: Arc<Counters>,
    /// Where changes have their times from; without it from the writer's clock.
    pub(super) timekeeper: Option<Timekeeper>,
    /// Whether a process that was killed has left a log. It may have been about to empty it.
    pub(super) log_was_left: bool,
    created: bool,
    path: PathBuf,
}

/// As [`open_after`], where nobody wants anything of an older database.
///
/// # Errors
/// As there.
pub fn open(named: &Path, schema: &Schema) -> Result<Store, OpenError> {
    open_after(named, schema, &mut |_| Ok(()))
}

/// Opens the database that `named` leads to, creating it and its directory (mode 0700; files 0600) when absent. An older one is
/// shown to `before` while it is as it was, and then brought up to date.
///
/// # Errors
/// When another process has it, when it is not ours, when `before` fails, or when SQLite or the file system refuses.
pub fn open_after(named: &Path, schema: &Schema, before: BeforeMigration<'_>) -> Result<Store, OpenError> {
    let path = &real_path(named).map_err(|source| OpenError::File { path: named.to_owned(), source })?;
    let reserve = Reserve::beside(path);
    match open_once(named, schema, before) {
        // What an earlier run left in reserve is for this, too: on a full disk SQLite has no room for its index of the log.
        Err(OpenError::Database { source, .. })
            if matches!(source, Error::Full(_) | Error::Io(_) | Error::NotOpened(_)) && reserve.release() =>
        {
            log::warn!(error = source.to_string(), reserve = reserve.path().display().to_string(); "store.reserve_released");
            open_once(named, schema, before)
        }
        opened => opened,
    }
}

fn open_once(named: &Path, schema: &Schema, before: BeforeMigration<'_>) -> Result<Store, OpenError> {
    let mut lock = lock_database(named)?;
    let path = &lock.database().to_owned();
    require_directory_sync(path)?;
    let fresh = create_file(path)?;
    if fresh {
        lock.take_itself()?;
    }
    let failed = |error: rusqlite::Error| OpenError::Database { path: path.to_owned(), source: error.into() };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let log_was_left = std::fs::metadata(with_suffix(path, "-wal")).is_ok_and(|log| log.len() > 0);
    let mut connection = rusqlite::Connection::open_with_flags(path, flags).map_err(failed)?;
    if !fresh {
        check_ours(&connection, path, schema)?;
    }
    set_pragmas(&connection, path)?;
    let created = application_id(&connection).map_err(failed)? == 0;
    if created {
        create(&mut connection, schema).map_err(failed)?;
        let directory = directory_of(path);
        sync_directory(directory).map_err(|source| OpenError::File { path: directory.to_owned(), source })?;
    } else {
        migrate(&mut connection, schema, &lock, before)?;
    }
    // It was compared when it was opened, or is new: what it consists of now is what our migrations make.
    let definition = KeptDefinition::of(Definition::found(&connection).map_err(failed)?);
    let connection = Connection(connection);
    // A row that cannot be read fails the request that asks for it, not the start.
    let last_change = LastChange::read(&connection).unwrap_or_else(|error| {
        log::warn!(error = error.to_string(); "store.newest_change_unknown");
        LastChange::unknown()
    });
    let (state, reserve) = (Arc::new(WriterState::of(OpenFiles::of(path), definition)), Reserve::beside(path));
    state.set_newest(last_change.bound());
    let (metrics, timekeeper, path) = (Arc::default(), None, path.to_owned());
    Ok(Store { connection, state, lock, reserve, last_change, metrics, timekeeper, log_was_left, created, path })
}

impl Store {
    /// Whether there was none before.
    #[must_use]
    pub fn created(&self) -> bool {
        self.created
    }

    /// Has its writer counted here.
    pub fn count_by(&mut self, metrics: Arc<Counters>) {
        self.metrics = metrics;
    }

    /// Has a timekeeper made that knows the newest time in it, and sees each that is stored from now on.
    pub fn keep_time(&mut self, clock: Clock) -> Timekeeper {
        let state = Arc::clone(&self.state);
        let timekeeper = Timekeeper::new(clock, move || state.newest());
        self.timekeeper = Some(timekeeper.clone());
        timekeeper
    }

    /// Keeps this much room beside the database, to be given back when the disk is full; 0 is none. Without it things
    /// go on, but a full disk is harder to leave.
    pub fn keep_reserve(&mut self, bytes: u64) {
        self.reserve.set_bytes(bytes);
        if let Err(error) = self.reserve.make() {
            let reserve = self.reserve.path().display().to_string();
            log::warn!(error = error.to_string(), reserve, bytes; "store.reserve_failed");
        }
    }

    /// A read-only connection for one thread.
    ///
    /// # Errors
    /// When SQLite cannot open the file once more.
    pub fn reader(&self) -> Result<Reader, OpenError> {
        self.readers().open()
    }

    /// What opens further ones, on whatever thread needs one.
    pub fn readers(&self) -> Readers {
        Readers { path: self.path.clone(), state: Arc::clone(&self.state) }
    }

    /// What looks at this database and its writer.
    pub fn survey(&self) -> Survey {
        Survey::new(&self.path, Arc::clone(&self.state))
    }
}

/// Opens readers of a database that is open, for threads that are no shard's: each of theirs costs some 150 KB. One that is not
/// closed before the writer ends keeps the log beside the database from being removed.
#[derive(Debug, Clone)]
pub struct Readers {
    path: PathBuf,
    state: Arc<WriterState>,
}

impl Readers {
    /// A read-only connection for the thread that asks.
    ///
    /// # Errors
    /// When SQLite cannot open the file once more.
    pub fn open(&self) -> Result<Reader, OpenError> {
        let failed = |error: rusqlite::Error| OpenError::Database { path: self.path.clone(), source: error.into() };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = rusqlite::Connection::open_with_flags(&self.path, flags).map_err(failed)?;
        connection.busy_timeout(Duration::from_millis(250)).map_err(failed)?;
        keep_prepared(&connection).map_err(failed)?;
        distrust(&connection).map_err(failed)?;
        for (pragma, value) in [("query_only", "ON"), ("mmap_size", "0"), ("cache_size", READER_PAGES)] {
            connection.pragma_update(None, pragma, value).map_err(failed)?;
        }
        Ok(Reader::new(Connection(connection), Some(Arc::clone(&self.state))))
    }
}

/// How long the writer waits for a lock.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Sets every pragma that the promises rest on, reads each back, and logs what is in force.
fn set_pragmas(connection: &rusqlite::Connection, path: &Path) -> Result<(), OpenError> {
    let failed = |error: rusqlite::Error| OpenError::Database { path: path.to_owned(), source: error.into() };
    // Nobody else writes; the wait is for a checkpoint that meets a reader.
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    keep_prepared(connection).map_err(failed)?;
    distrust(connection).map_err(failed)?;
    // This can only be chosen before the first page is written. A database that somebody has written anew without it is as
    // good as any, and only never gets smaller.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(failed)?;
    // Name, value to set, value as read back.
    let pragmas = [
        ("journal_mode", "WAL", "wal"),
        ("synchronous", "FULL", "2"),
        ("foreign_keys", "ON", "1"),
        // What is removed is overwritten with zeros, so that no copy of the file has it.
        ("secure_delete", "ON", "1"),
        ("trusted_schema", "OFF", "0"),
        ("wal_autocheckpoint", "0", "0"),
        ("journal_size_limit", "67108864", "67108864"),
        ("temp_store", "MEMORY", "2"),
        ("cache_size", WRITER_PAGES, WRITER_PAGES),
        ("mmap_size", "0", "0"),
    ];
    let mut in_force = Vec::with_capacity(pragmas.len());
    for (pragma, value, wanted) in pragmas {
        connection.pragma_update_and_check(None, pragma, value, |_| Ok(())).or_else(without_rows).map_err(failed)?;
        let found = connection
            .pragma_query_value(None, pragma, |row| row.get::<_, SqliteValue>(0))
            .map(|value| match value {
                SqliteValue::Integer(number) => number.to_string(),
                SqliteValue::Text(text) => text,
                other => format!("{other:?}"),
            })
            .map_err(failed)?;
        if found != wanted {
            return Err(OpenError::Pragma { path: path.to_owned(), pragma, found, wanted });
        }
        in_force.push(format!("{pragma}={found}"));
    }
    log::info!(path = path.display().to_string(), sqlite = rusqlite::version(); "store.opened");
    log::debug!(pragmas = in_force.join(" "); "store.pragmas");
    Ok(())
}

/// Statements are prepared once. Without the planner's stability guarantee SQLite would compile those with a
/// bound LIMIT or range anew whenever the bound value changes: on every call.
fn keep_prepared(connection: &rusqlite::Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Some pragmas answer with their new value and some with no row; both are fine.
fn without_rows(error: rusqlite::Error) -> rusqlite::Result<()> {
    if matches!(error, rusqlite::Error::QueryReturnedNoRows) { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::super::identity::{APPLICATION_ID, table_names, tables, user_version};
    use super::super::look::{open_any_version, open_immutable, open_read_only};
    use super::super::migrate::Pending;
    use super::*;
    use crate::store::reader::Query as _;
    use crate::store::schema::Migration;
    use crate::store::testing::schema;

    fn temporary() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new").join("inkring.db");
        (directory, path)
    }

    #[test]
    fn pages_are_said_in_two_ways_and_are_as_many() {
        for (said, bytes) in [(WRITER_PAGES, WRITER_PAGES_BYTES), (READER_PAGES, READER_PAGES_BYTES)] {
            assert_eq!(said, format!("-{}", bytes / 1024));
        }
    }

    #[test]
    fn a_new_file_is_made_whole_and_private() {
        use std::os::unix::fs::PermissionsExt;
        let (_directory, path) = temporary();
        let store = open(&path, &schema(&[])).unwrap();
        assert_eq!(application_id(&store.connection.0).unwrap(), APPLICATION_ID);
        assert!(table_names(&store.connection.0).unwrap().contains(&"probe".to_owned()));
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    }

    #[test]
    fn a_second_writer_is_refused_by_name() {
        let (_directory, path) = temporary();
        let _store = open(&path, &schema(&[])).unwrap();
        let error = open(&path, &schema(&[])).unwrap_err().to_string();
        assert!(error.contains(&format!("in use by another inkring (process {})", std::process::id())), "{error}");
    }

    #[test]
    fn a_newer_or_foreign_file_is_refused_and_left_as_it_is() {
        let (_directory, path) = temporary();
        drop(open(&path, &schema(&[])).unwrap());
        let (connection, version) = (Connection::open(&path).unwrap(), schema(&[]).version());
        connection.pragma_update(None, "user_version", version + 1).unwrap();
        let error = open(&path, &schema(&[])).unwrap_err().to_string();
        let (newer, ours) = (version + 1, version);
        let says = format!("has schema version {newer}, and this inkring knows versions up to {ours}");
        assert!(error.contains(&says), "{error}");
        assert!(open_read_only(&path, &schema(&[])).unwrap_err().to_string().contains(&says));
        connection.pragma_update(None, "user_version", version).unwrap();
        connection.pragma_update(None, "application_id", 7).unwrap();
        let error = open(&path, &schema(&[])).unwrap_err().to_string();
        assert!(error.contains("application id 0x7"), "{error}");
        connection.pragma_update(None, "application_id", 0).unwrap();
        assert!(open(&path, &schema(&[])).unwrap_err().to_string().contains("of another program"));
        drop(connection);
        let text = path.with_file_name("notes.txt");
        std::fs::write(&text, "these are my notes, and they are longer than an SQLite header".repeat(40)).unwrap();
        assert!(open(&text, &schema(&[])).unwrap_err().to_string().contains("it is not an SQLite file"));
    }

    const OLD: &[Migration] = &[Migration { version: 1, sql: "CREATE TABLE old (text TEXT NOT NULL) STRICT;" }];
    const NEW: &[Migration] = &[
        OLD[0],
        Migration { version: 6, sql: "CREATE TABLE added (number INTEGER NOT NULL) STRICT;" },
        Migration { version: 7, sql: "INSERT INTO added SELECT length(text) FROM old;" },
    ];

    #[test]
    fn an_older_file_is_brought_up_to_date_with_all_that_is_in_it() {
        let (_directory, path) = temporary();
        let (old, new) = (schema(OLD), schema(NEW));
        open(&path, &old).unwrap().connection.batch("INSERT INTO old VALUES ('seven')").unwrap();
        let found = open_read_only(&path, &new).unwrap_err().to_string();
        assert!(found.contains("has schema version 5, and this inkring reads version 7"), "{found}");
        assert!(open_any_version(&path, &new).is_ok());
        let migrated = open(&path, &new).unwrap();
        assert_eq!(user_version(&migrated.connection.0), Ok(7));
        assert_eq!(migrated.connection.one("SELECT number FROM added", &[], |row| row.get(0)), Ok(Some(5_i64)));
        drop(migrated);
        drop(open(&path, &new).unwrap());
        open_read_only(&path, &new).unwrap();
        assert!(open(&path, &old).unwrap_err().to_string().contains("has schema version 7, and this inkring knows"));
    }

    #[test]
    fn who_wants_something_of_an_older_file_has_it_before_anything_is_changed() {
        let (_directory, path) = temporary();
        let (old, new) = (schema(OLD), schema(NEW));
        let nobody = &mut |_: &Pending<'_>| panic!("nothing is older");
        open_after(&path, &old, nobody).unwrap().connection.batch("INSERT INTO old VALUES ('seven')").unwrap();
        drop(open_after(&path, &old, nobody).unwrap());
        let refuses = open_after(&path, &new, &mut |_| Err("there is no backup".into()));
        let says = "has schema version 5, and migrating it to 7 cannot be undone: there is no backup; nothing in it";
        assert!(refuses.unwrap_err().to_string().contains(says));
        let mut seen = Vec::new();
        let mut looks = |pending: &Pending<'_>| {
            let reader = super::super::look::open_locked(pending.lock, &new)?;
            seen.push((pending.from, pending.to, user_version(&reader.connection().0)?));
            Ok(())
        };
        let opened = open_after(&path, &new, &mut looks).unwrap();
        assert_eq!((user_version(&opened.connection.0), seen), (Ok(7), vec![(5, 7, 5)]));
    }

    #[test]
    fn a_migration_that_fails_leaves_the_file_as_it_was() {
        let (_directory, path) = temporary();
        open(&path, &schema(OLD)).unwrap().connection.batch("INSERT INTO old VALUES ('seven')").unwrap();
        let connection = Connection::open(&path).unwrap();
        let before = table_names(&connection).unwrap();
        let fails = &[OLD[0], NEW[1], Migration { version: 7, sql: "INSERT INTO old VALUES (NULL)" }];
        assert!(open(&path, &schema(fails)).unwrap_err().to_string().contains("NOT NULL constraint failed: old.text"));
        assert_eq!((user_version(&connection).unwrap(), table_names(&connection).unwrap()), (5, before));
        drop(connection);
        open(&path, &schema(NEW)).unwrap();
    }

    #[test]
    fn who_only_looks_changes_nothing_and_needs_no_lock() {
        let (_directory, path) = temporary();
        assert!(open_read_only(&path, &schema(&[])).unwrap_err().to_string().contains("there is no database at"));
        assert!(!path.exists());
        let store = open(&path, &schema(&[])).unwrap();
        let reader = open_read_only(&path, &schema(&[])).unwrap();
        assert!(reader.connection().change("DELETE FROM probe", &[]).is_err());
        drop((store, reader));
        open_read_only(&path, &schema(&[])).unwrap();
    }

    #[test]
    fn at_rest_a_file_is_read_without_leaving_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("100% of #1?.db");
        assert!(open_immutable(&path, &schema(&[])).unwrap_err().to_string().contains("there is no database at"));
        drop(open(&path, &schema(&[])).unwrap());
        let names = || std::fs::read_dir(directory.path()).unwrap().count();
        let before = names();
        let reader = open_immutable(&path, &schema(&[])).unwrap();
        assert!(tables(&reader).unwrap().contains(&"probe".to_owned()));
        assert!(reader.connection().change("DELETE FROM probe", &[]).is_err());
        drop(reader);
        assert_eq!(names(), before);
    }

    #[test]
    fn an_empty_file_left_by_a_start_cut_short_is_made_whole() {
        let (directory, _) = temporary();
        let path = directory.path().join("inkring.db");
        std::fs::write(&path, "").unwrap();
        open(&path, &schema(&[])).unwrap();
    }

    #[test]
    fn a_thread_of_its_own_opens_a_reader_of_its_own_and_sees_what_is_committed() {
        let (_directory, path) = temporary();
        let store = open(&path, &schema(&[])).unwrap();
        let readers = store.readers();
        store.connection.0.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (7)").unwrap();
        let look = move || readers.open().unwrap().one("SELECT x FROM t", &[], |row| row.get::<i64>(0)).unwrap();
        assert_eq!(std::thread::spawn(look).join().unwrap(), Some(7));
    }

    #[test]
    fn a_reader_cannot_write() {
        let (_directory, path) = temporary();
        let store = open(&path, &schema(&[])).unwrap();
        let reader = store.reader().unwrap();
        assert!(reader.connection().change("DELETE FROM probe", &[]).is_err());
    }
}
