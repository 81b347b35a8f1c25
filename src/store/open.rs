//! Opening the database: is it ours, is it ours alone, and does it behave as promised.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt as _, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::Reader;
use super::counters::Counters;
use super::fault::Fault;
use super::migrations::{self, SCHEMA_VERSION};
use super::reserve::Reserve;
use super::restoring;
use super::survey::Survey;
use super::writer::WriterState;
use crate::clock::Timestamp;

/// Marks a file as ours: `inkr` in ASCII (`PRAGMA application_id`).
pub const APPLICATION_ID: i32 = 0x696e_6b72;

const SCHEMA: &str = include_str!("../../schema.sql");

/// Statements kept prepared by each connection; more than the code has.
const STATEMENTS_CACHED: usize = 64;

/// Why the database cannot be used. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or a file beside the database cannot be made or opened.
    #[error(
        "{path} cannot be made or opened: {source}; set DATABASE_URL to a file in a directory that inkring may write to",
        path = path.display()
    )]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process writes to it.
    #[error(
        "{path} is in use by another inkring (process {pid}); stop it first, or set DATABASE_URL to another file",
        path = path.display()
    )]
    InUse {
        /// The database.
        path: PathBuf,
        /// The process that holds the lock, as far as it told.
        pid: String,
    },
    /// It is an SQLite database of some other program, or no database at all.
    #[error(
        "{path} is not an inkring database ({found}); set DATABASE_URL to another file, or move this one away",
        path = path.display()
    )]
    Foreign {
        /// The database.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// There is nothing to read.
    #[error("there is no database at {path}; name another file, or set DATABASE_URL", path = path.display())]
    Absent {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// An older inkring wrote it, and who only reads cannot bring it up to date.
    #[error(
        "{path} has schema version {found}, and this inkring reads version {SCHEMA_VERSION}; \
         make a backup and start this inkring's server on it once, which brings it up to date",
        path = path.display()
    )]
    Older {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i32,
    },
    /// A newer inkring wrote it.
    #[error(
        "{path} has schema version {found}, and this inkring knows versions up to {SCHEMA_VERSION}; \
         run the newer inkring, or restore a backup made before the upgrade",
        path = path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i32,
    },
    /// A pragma did not take, so a promise could not be kept.
    #[error("{path}: PRAGMA {pragma} is {found} and must be {wanted}", path = path.display())]
    Pragma {
        /// The database.
        path: PathBuf,
        /// Which pragma.
        pragma: &'static str,
        /// Its value as read back.
        found: String,
        /// The value it must have.
        wanted: &'static str,
    },
    /// SQLite refused.
    #[error("{path} cannot be used as a database: {source}", path = path.display())]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// What it said.
        source: rusqlite::Error,
    },
}

/// An open database: the connection that writes, and what is needed to open readers.
#[derive(Debug)]
pub struct Store {
    pub(super) connection: Connection,
    pub(super) state: Arc<WriterState>,
    /// Held for as long as this process may write.
    pub(super) lock: File,
    pub(super) reserve: Reserve,
    /// The time of the newest change that is stored; no later one is older.
    pub(super) newest: Timestamp,
    pub(super) metrics: Arc<Counters>,
    path: PathBuf,
}

/// Opens the database at `path`, creating it and its directory (mode 0700; files 0600) when absent.
///
/// # Errors
/// When another process has it, when it is not ours, or when SQLite or the file system refuses.
pub fn open(path: &Path) -> Result<Store, OpenError> {
    let reserve = Reserve::beside(path);
    match open_once(path) {
        // What an earlier run left in reserve is for this, too: on a full disk SQLite has no room for its index of the log.
        Err(OpenError::Sqlite { source, .. })
            if matches!(Fault::of(&source), Some(Fault::Full | Fault::Io | Fault::NotOpened)) && reserve.release() =>
        {
            log::warn!(error = source.to_string(), reserve = reserve.path().display().to_string(); "store.reserve_released");
            open_once(path)
        }
        opened => opened,
    }
}

fn open_once(path: &Path) -> Result<Store, OpenError> {
    make_directory(path)?;
    let lock = take_lock(path)?;
    finish_restore(path)?;
    let fresh = create_file(path)?;
    let sqlite = |source| OpenError::Sqlite { path: path.to_owned(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(sqlite)?;
    if !fresh {
        check_ours(&connection, path)?;
    }
    set_pragmas(&connection, path)?;
    if application_id(&connection).map_err(sqlite)? == 0 {
        apply_schema(&mut connection).map_err(sqlite)?;
        let directory = directory_of(path);
        sync_directory(directory).map_err(|source| OpenError::File { path: directory.to_owned(), source })?;
    } else {
        migrate(&mut connection).map_err(sqlite)?;
    }
    let newest = newest_change(&connection);
    let (state, reserve) = (Arc::new(WriterState::default()), Reserve::beside(path));
    Ok(Store { connection, state, lock, reserve, newest, metrics: Arc::default(), path: path.to_owned() })
}

/// When the last change was made. Times do not go back from one change to the next and each leaves an event, of which only
/// the oldest are ever removed, so this is the row added last: one look, however large the database is. Without one, and
/// when it cannot be read, it is the beginning of time.
#[must_use]
pub fn newest_change(connection: &Connection) -> Timestamp {
    let sql = "SELECT coalesce((SELECT created_at FROM events ORDER BY id DESC LIMIT 1), ?1)";
    let newest = connection.query_row(sql, [i64::MIN], |row| row.get(0));
    // A row that cannot be read is a matter for whoever asks for it, not for the start.
    Timestamp(newest.unwrap_or_else(|error| {
        log::warn!(error = error.to_string(); "store.newest_change_unknown");
        i64::MIN
    }))
}

fn make_directory(path: &Path) -> Result<(), OpenError> {
    if path.is_dir() {
        return Err(OpenError::Foreign { path: path.to_owned(), found: "it is a directory".to_owned() });
    }
    match path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        Some(directory) => {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
            made.map_err(|source| OpenError::File { path: directory.to_owned(), source })
        }
        None => Ok(()),
    }
}

/// What a restore that was cut short has left to do is done before the database is looked at.
fn finish_restore(path: &Path) -> Result<(), OpenError> {
    let finished = restoring::finish(path).map_err(|source| OpenError::File { path: path.to_owned(), source })?;
    if let Some(old) = finished {
        log::warn!(path = path.display().to_string(), old = old.display().to_string(); "store.restore_finished");
    }
    Ok(())
}

/// A database that no server has open, and that none opens for as long as this is kept.
#[derive(Debug)]
pub struct Kept {
    path: PathBuf,
    _lock: File,
}

impl Kept {
    /// Keeps the database at `path` from every server; it need not be there. Its directory is made if absent.
    ///
    /// # Errors
    /// When a server has it ([`OpenError::InUse`]), or when the file system refuses.
    pub fn take(path: &Path) -> Result<Self, OpenError> {
        make_directory(path)?;
        let lock = take_lock(path)?;
        finish_restore(path)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A connection to it as it is: nothing is brought up to date.
    ///
    /// # Errors
    /// When there is nothing, when it is not ours or of a newer version, or when SQLite refuses.
    pub fn open(&self) -> Result<Connection, OpenError> {
        open_existing(&self.path, &self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)
    }
}

/// The process that has the database open to write, as far as it told; changes nothing.
///
/// # Errors
/// When its lock cannot be read.
pub fn in_use(path: &Path) -> Result<Option<String>, OpenError> {
    let lock_path = lock_path(path);
    let mut lock = match File::open(&lock_path) {
        Ok(lock) => lock,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(OpenError::File { path: lock_path, source }),
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(holder(&mut lock))),
        Err(TryLockError::Error(source)) => Err(OpenError::File { path: lock_path, source }),
    }
}

/// A connection that only reads, for a verb: the server may run, be stopped or be dead.
///
/// # Errors
/// When there is nothing, when it is not ours or of another version, or when SQLite refuses.
pub fn look(path: &Path) -> Result<Connection, OpenError> {
    current(path, look_as_it_is(path)?)
}

/// The same for a database that nobody has open, of which not even SQLite's two files beside it come to be. What is read
/// counts only if nobody has opened it meanwhile.
///
/// # Errors
/// As for [`look`].
pub fn look_at_rest(path: &Path) -> Result<Connection, OpenError> {
    // In the name of a file that is a URI, ? and # and % would mean something.
    const KEPT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC.remove(b'/').remove(b'.');
    let name = percent_encoding::percent_encode(path.as_os_str().as_encoded_bytes(), KEPT);
    let uri = PathBuf::from(format!("file:{name}?immutable=1"));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    current(path, open_existing(path, &uri, flags)?)
}

/// It, unless it is of an older version.
fn current(path: &Path, connection: Connection) -> Result<Connection, OpenError> {
    let found = schema_version(&connection).map_err(|source| OpenError::Sqlite { path: path.to_owned(), source })?;
    if found < SCHEMA_VERSION { Err(OpenError::Older { path: path.to_owned(), found }) } else { Ok(connection) }
}

/// The same as [`look`] where an older version will do.
///
/// # Errors
/// When there is nothing, when it is not ours or of a newer version, or when SQLite refuses.
pub fn look_as_it_is(path: &Path) -> Result<Connection, OpenError> {
    open_existing(path, path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// `name` is what SQLite calls it.
fn open_existing(path: &Path, name: &Path, access: OpenFlags) -> Result<Connection, OpenError> {
    if !path.exists() {
        return Err(OpenError::Absent { path: path.to_owned() });
    }
    let sqlite = |source| OpenError::Sqlite { path: path.to_owned(), source };
    let connection = Connection::open_with_flags(name, access | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(sqlite)?;
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(sqlite)?;
    check_ours(&connection, path)?;
    connection.pragma_update(None, "trusted_schema", "OFF").map_err(sqlite)?;
    Ok(connection)
}

impl Store {
    /// Has its writer counted here.
    pub fn count_by(&mut self, metrics: Arc<Counters>) {
        self.metrics = metrics;
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
        let sqlite = |source| OpenError::Sqlite { path: self.path.clone(), source };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags).map_err(sqlite)?;
        connection.busy_timeout(std::time::Duration::from_millis(250)).map_err(sqlite)?;
        keep_prepared(&connection).map_err(sqlite)?;
        for (pragma, value) in
            [("query_only", "ON"), ("trusted_schema", "OFF"), ("mmap_size", "0"), ("cache_size", "-1024")]
        {
            connection.pragma_update(None, pragma, value).map_err(sqlite)?;
        }
        Ok(Reader::new(connection, Arc::clone(&self.state)))
    }

    /// What looks at this database and its writer, through a connection of its own.
    ///
    /// # Errors
    /// As [`Store::reader`].
    pub fn survey(&self) -> Result<Survey, OpenError> {
        Ok(Survey::new(&self.path, self.reader()?, Arc::clone(&self.state)))
    }
}

/// Names of the tables that a database of this version has, in alphabetical order.
///
/// # Errors
/// When SQLite cannot read the schema.
pub fn tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement =
        connection.prepare_cached("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")?;
    statement.query_map((), |row| row.get(0))?.collect()
}

/// What is called like a database, with something added: its lock, its log.
#[must_use]
pub fn beside(database: &Path, suffix: impl AsRef<OsStr>) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn lock_path(path: &Path) -> PathBuf {
    beside(path, ".lock")
}

fn holder(lock: &mut File) -> String {
    let mut pid = String::new();
    let _ = lock.read_to_string(&mut pid);
    if pid.trim().is_empty() { "unknown".to_owned() } else { pid.trim().to_owned() }
}

/// SQLite lets many processes write; our answers, numbering and caches rely on there being one.
/// Gives a file beside a database to whom the database belongs, or its directory while there is none: whoever runs the
/// server must be able to open it, also when root was here before.
///
/// # Errors
/// When it belongs to somebody else and cannot be given away.
pub fn hand_over(file: &File, database: &Path) -> std::io::Result<()> {
    let wanted = std::fs::metadata(database).or_else(|_| std::fs::metadata(directory_of(database)))?;
    let found = file.metadata()?;
    if (wanted.uid(), wanted.gid()) == (found.uid(), found.gid()) {
        return Ok(());
    }
    match fchown(file, Some(wanted.uid()), Some(wanted.gid())) {
        // The group is a matter of taste, and the directory's may be one that we are not in.
        Err(_) if wanted.uid() == found.uid() => Ok(()),
        owned => owned,
    }
}

fn take_lock(path: &Path) -> Result<File, OpenError> {
    let lock_path = lock_path(path);
    let file = |source| OpenError::File { path: lock_path.clone(), source };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut lock = options.open(&lock_path).map_err(file)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(OpenError::InUse { path: path.to_owned(), pid: holder(&mut lock) });
        }
        Err(TryLockError::Error(source)) => return Err(file(source)),
    }
    // Only root can, and only for root it matters.
    let _ = hand_over(&lock, path);
    lock.set_len(0).and_then(|()| lock.rewind()).map_err(file)?;
    // The lock is what counts. Who holds it is a service to people, and no reason not to serve reads on a full disk.
    if let Err(error) = writeln!(lock, "{}", std::process::id()) {
        log::warn!(error = error.to_string(), path = lock_path.display().to_string(); "store.lock_unsigned");
    }
    Ok(lock)
}

/// Creates the file with our mode, which SQLite copies to its -wal and -shm. True if it was not there.
fn create_file(path: &Path) -> Result<bool, OpenError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(source) => Err(OpenError::File { path: path.to_owned(), source }),
    }
}

/// Refuses what another program or a newer inkring wrote, before anything in it is changed.
fn check_ours(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let foreign = |found: String| OpenError::Foreign { path: path.to_owned(), found };
    let sqlite = |source| OpenError::Sqlite { path: path.to_owned(), source };
    let id = application_id(connection).map_err(|error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => foreign("it is not an SQLite file".to_owned()),
        _ => sqlite(error),
    })?;
    let version = schema_version(connection).map_err(sqlite)?;
    // An empty file is a database not yet made: the start that was to make it was cut short.
    let empty = id == 0 && version == 0 && tables(connection).map_err(sqlite)?.is_empty();
    match id {
        _ if empty => Ok(()),
        APPLICATION_ID if version > SCHEMA_VERSION => Err(OpenError::Newer { path: path.to_owned(), found: version }),
        APPLICATION_ID if version < 1 => Err(foreign(format!("schema version {version}"))),
        APPLICATION_ID => Ok(()),
        0 => Err(foreign("an SQLite database of another program".to_owned())),
        id => Err(foreign(format!("an SQLite database with application id {id:#x}"))),
    }
}

fn application_id(connection: &Connection) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, "application_id", |row| row.get(0))
}

/// Its schema version (`PRAGMA user_version`).
///
/// # Errors
/// When SQLite cannot read it.
pub fn schema_version(connection: &Connection) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Sets every pragma that the promises rest on, reads each back, and logs what is in force.
fn set_pragmas(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let sqlite = |source| OpenError::Sqlite { path: path.to_owned(), source };
    // Nobody else writes; the wait is for a checkpoint that meets a reader.
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(sqlite)?;
    keep_prepared(connection).map_err(sqlite)?;
    // This can only be chosen before the first page is written. A database that somebody has written anew without it is as
    // good as any, and only never gets smaller.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(sqlite)?;
    // Name, value to set, value as read back.
    let pragmas = [
        ("journal_mode", "WAL", "wal"),
        ("synchronous", "FULL", "2"),
        ("foreign_keys", "ON", "1"),
        ("trusted_schema", "OFF", "0"),
        ("wal_autocheckpoint", "0", "0"),
        ("journal_size_limit", "67108864", "67108864"),
        ("temp_store", "MEMORY", "2"),
        ("cache_size", "-4096", "-4096"),
        ("mmap_size", "0", "0"),
    ];
    let mut in_force = Vec::with_capacity(pragmas.len());
    for (pragma, value, wanted) in pragmas {
        connection.pragma_update_and_check(None, pragma, value, |_| Ok(())).or_else(without_rows).map_err(sqlite)?;
        let found = connection
            .pragma_query_value(None, pragma, |row| row.get::<_, rusqlite::types::Value>(0))
            .map(|value| match value {
                rusqlite::types::Value::Integer(number) => number.to_string(),
                rusqlite::types::Value::Text(text) => text,
                other => format!("{other:?}"),
            })
            .map_err(sqlite)?;
        if found != wanted {
            return Err(OpenError::Pragma { path: path.to_owned(), pragma, found, wanted });
        }
        in_force.push(format!("{pragma}={found}"));
    }
    log::info!(path = path.display().to_string(), sqlite = rusqlite::version(), pragmas = in_force.join(" "); "store.opened");
    Ok(())
}

/// Statements are prepared once. Without the planner's stability guarantee SQLite would compile those with a
/// bound LIMIT or range anew whenever the bound value changes: on every call.
fn keep_prepared(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Some pragmas answer with their new value and some with no row; both are fine.
fn without_rows(error: rusqlite::Error) -> rusqlite::Result<()> {
    if matches!(error, rusqlite::Error::QueryReturnedNoRows) { Ok(()) } else { Err(error) }
}

fn apply_schema(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.commit()
}

/// Brings an older database to the present schema, all the way or not at all.
fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let from = schema_version(connection)?;
    let steps = migrations::after(from);
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

/// The directory of a file.
#[must_use]
pub fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A new file is only on disk when its name is.
///
/// # Errors
/// When the directory cannot be synced.
pub fn sync_directory(directory: &Path) -> std::io::Result<()> {
    File::open(directory).and_then(|directory| directory.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn temporary() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new").join("inkring.db");
        (directory, path)
    }

    #[test]
    fn a_new_file_is_made_whole_and_private() {
        use std::os::unix::fs::PermissionsExt;
        let (_directory, path) = temporary();
        let store = open(&path).unwrap();
        assert_eq!(application_id(&store.connection).unwrap(), APPLICATION_ID);
        assert!(tables(&store.connection).unwrap().contains(&"drafts".to_owned()));
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    }

    #[test]
    fn a_second_writer_is_refused_by_name() {
        let (_directory, path) = temporary();
        let _store = open(&path).unwrap();
        let error = open(&path).unwrap_err().to_string();
        assert!(error.contains(&format!("in use by another inkring (process {})", std::process::id())), "{error}");
    }

    #[test]
    fn a_newer_or_foreign_file_is_refused_and_left_as_it_is() {
        let (_directory, path) = temporary();
        drop(open(&path).unwrap());
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
        let error = open(&path).unwrap_err().to_string();
        let (newer, ours) = (SCHEMA_VERSION + 1, SCHEMA_VERSION);
        let says = format!("has schema version {newer}, and this inkring knows versions up to {ours}");
        assert!(error.contains(&says), "{error}");
        assert!(look(&path).unwrap_err().to_string().contains(&says));
        connection.pragma_update(None, "user_version", SCHEMA_VERSION).unwrap();
        connection.pragma_update(None, "application_id", 7).unwrap();
        let error = open(&path).unwrap_err().to_string();
        assert!(error.contains("application id 0x7"), "{error}");
        connection.pragma_update(None, "application_id", 0).unwrap();
        assert!(open(&path).unwrap_err().to_string().contains("of another program"));
        drop(connection);
        let text = path.with_file_name("notes.txt");
        std::fs::write(&text, "these are my notes, and they are longer than an SQLite header".repeat(40)).unwrap();
        assert!(open(&text).unwrap_err().to_string().contains("it is not an SQLite file"));
    }

    /// A file as the first version of inkring left it, with one draft.
    fn of_version_1(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let connection = Connection::open(path).unwrap();
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").unwrap();
        connection.execute_batch(include_str!("../../tests/data/schema-1.sql")).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        let draft = "INSERT INTO drafts (draft_id, creator_id, title, platform, holder_id, passed_at, created_at, \
                     updated_at) VALUES ('d', 'a', 't', 'x', 'a', 1, 2, 3)";
        connection.execute(draft, ()).unwrap();
    }

    /// Every table and index as it was declared, without comments and spacing.
    fn declared(connection: &Connection) -> Vec<String> {
        let sql = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map((), |row| row.get::<_, String>(0)).unwrap();
        rows.map(|sql| sql.unwrap().split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn a_file_of_version_1_is_brought_to_the_schema_of_today_with_all_that_is_in_it() {
        let (_directory, path) = temporary();
        of_version_1(&path);
        let found = look(&path).unwrap_err().to_string();
        assert!(found.contains("has schema version 1") && found.contains("start this inkring's server"), "{found}");
        let migrated = open(&path).unwrap();
        assert_eq!(schema_version(&migrated.connection).unwrap(), SCHEMA_VERSION);
        let kept: String = migrated.connection.query_row("SELECT draft_id FROM drafts", (), |row| row.get(0)).unwrap();
        assert_eq!(kept, "d");
        let (_other, new) = temporary();
        assert_eq!(declared(&migrated.connection), declared(&open(&new).unwrap().connection));
        drop(migrated);
        drop(open(&path).unwrap());
        look(&path).unwrap();
    }

    #[test]
    fn a_migration_that_fails_leaves_the_file_as_it_was() {
        let (_directory, path) = temporary();
        of_version_1(&path);
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("CREATE TABLE audit_anchor (in_the_way TEXT) STRICT").unwrap();
        let before = declared(&connection);
        assert!(open(&path).unwrap_err().to_string().contains("audit_anchor already exists"));
        assert_eq!((schema_version(&connection).unwrap(), declared(&connection)), (1, before));
        connection.execute_batch("DROP TABLE audit_anchor").unwrap();
        drop(connection);
        open(&path).unwrap();
    }

    #[test]
    fn who_only_looks_changes_nothing_and_needs_no_lock() {
        let (_directory, path) = temporary();
        assert!(look(&path).unwrap_err().to_string().contains("there is no database at"));
        assert!(!path.exists());
        let store = open(&path).unwrap();
        let connection = look(&path).unwrap();
        assert!(connection.execute("DELETE FROM drafts", ()).is_err());
        drop((store, connection));
        look(&path).unwrap();
    }

    #[test]
    fn at_rest_a_file_is_read_without_leaving_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("100% of #1?.db");
        assert!(look_at_rest(&path).unwrap_err().to_string().contains("there is no database at"));
        drop(open(&path).unwrap());
        let names = || std::fs::read_dir(directory.path()).unwrap().count();
        let before = names();
        let connection = look_at_rest(&path).unwrap();
        assert!(tables(&connection).unwrap().contains(&"drafts".to_owned()));
        assert!(connection.execute("DELETE FROM drafts", ()).is_err());
        drop(connection);
        assert_eq!(names(), before);
    }

    #[test]
    fn an_empty_file_left_by_a_start_cut_short_is_made_whole() {
        let (directory, _) = temporary();
        let path = directory.path().join("inkring.db");
        std::fs::write(&path, "").unwrap();
        open(&path).unwrap();
    }

    #[test]
    fn a_reader_cannot_write() {
        let (_directory, path) = temporary();
        let store = open(&path).unwrap();
        let reader = store.reader().unwrap();
        assert!(reader.connection().execute("DELETE FROM drafts", ()).is_err());
    }
}
