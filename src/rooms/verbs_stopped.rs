//! Rooms of a database that no server has open, for the verbs.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use super::load;
use super::name::RoomName;
use super::room::Applied;
use super::store;
use super::update::Update;
use crate::audit::{Audit, Entry, Field};
use crate::clock::Clock;
use crate::hub::Hub;
use crate::settings::Settings;
use crate::store::{
    ChoreError, DatabaseLock, Error, OpenError, Pending, Reader, Schema, Store, Tx, Writer, lock_database, open_after,
    open_locked, run_chore, schema_version,
};

/// Who changes rooms here, for the rows and for the audit log.
const OPERATOR: &str = "operator";

/// Why a room was not changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotChanged {
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error("the database cannot be read: {0}")]
    Read(#[from] Error),
    #[error("it was not stored: {0}")]
    Chore(#[from] ChoreError),
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
    #[error("the update builds on something that the room does not have")]
    Gap,
    #[error("the room is only read, because it is damaged: {0}")]
    Quarantined(String),
    #[error(
        "the room would become larger than ROOMS_MAX_DOCUMENT_BYTES={most}: it has {has} bytes, and the update {more}"
    )]
    Full { has: usize, more: usize, most: usize },
}

/// Where a database is read.
pub(super) enum Place {
    /// Here: no server has it, and none can have it while this is kept.
    Stopped { reader: Reader, _lock: DatabaseLock },
    /// By the process with this number, as far as it told.
    Served(String),
}

impl Place {
    /// Where this database is read.
    ///
    /// # Errors
    /// It cannot be read at all, or is of another version.
    pub(super) fn of(database: &Path, schema: &Schema) -> Result<Self, OpenError> {
        require(database)?;
        let lock = match lock_database(database) {
            Ok(lock) => lock,
            Err(OpenError::InUse { pid, .. } | OpenError::InUseAsIs { pid, .. }) => return Ok(Self::Served(pid)),
            Err(error) => return Err(error),
        };
        let reader = open_locked(&lock, schema)?;
        let path = || database.to_owned();
        let found = schema_version(&reader).map_err(|source| OpenError::Database { path: path(), source })?;
        if found < schema.version() {
            return Err(OpenError::Older { path: path(), found, known: schema.version() });
        }
        Ok(Self::Stopped { reader, _lock: lock })
    }
}

/// Opens a database to change it, as a server would; or says which process has it. It is neither made nor brought up to date:
/// that is for a server, which makes a backup first.
///
/// # Errors
/// It cannot be opened.
pub(super) fn open(database: &Path, schema: &Schema) -> Result<Result<Store, String>, OpenError> {
    require(database)?;
    let mut before = |_: &Pending<'_>| Err("start its server once, which can make a backup first".into());
    match open_after(database, schema, &mut before) {
        Ok(store) => Ok(Ok(store)),
        Err(OpenError::InUse { pid, .. } | OpenError::InUseAsIs { pid, .. }) => Ok(Err(pid)),
        Err(error) => Err(error),
    }
}

fn require(database: &Path) -> Result<(), OpenError> {
    if database.exists() { Ok(()) } else { Err(OpenError::Absent { path: database.to_owned() }) }
}

/// Merges an update, which was read from `bytes`, into a room, whose document may have `most` bytes. The number of its last
/// update then.
///
/// # Errors
/// Why nothing was merged.
pub(super) fn import(
    store: Store,
    name: &RoomName,
    update: &Update<'_>,
    bytes: &[u8],
    most: usize,
) -> Result<i64, NotChanged> {
    let mut loaded = {
        let reader = store.reader()?;
        load::load(&reader, name.as_str())?
    };
    if let Some(reason) = loaded.quarantine {
        return Err(NotChanged::Quarantined(reason.to_string()));
    }
    let (has, more) = (loaded.document.bytes(), bytes.len());
    if has + more > most {
        return Err(NotChanged::Full { has, more, most });
    }
    let new = match loaded.document.apply(update) {
        Applied::Gap => return Err(NotChanged::Gap),
        Applied::Known => return Ok(loaded.seq),
        Applied::Whole => bytes.to_owned(),
        Applied::Reduced(reduced) => reduced,
    };
    let (seq, name) = (loaded.seq + 1, name.clone());
    change(store, move |tx| {
        let row = store::make(tx, name.as_str(), OPERATOR)?;
        store::append(tx, row, seq, OPERATOR, &new)?;
        store::count(tx, row)?;
        Ok(1)
    })?;
    Ok(seq)
}

/// Deletes a room, with a row in the audit log if there is one. Whether there was such a room.
///
/// # Errors
/// Why nothing was deleted.
pub(super) fn delete(store: Store, name: &RoomName, settings: &Settings) -> Result<bool, NotChanged> {
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let witness = Audit::of(settings).and_then(|audit| audit.witness(here, Some(b"inkring room delete")));
    let name = name.clone();
    let deleted = change(store, move |tx| {
        let found = store::delete(tx, name.as_str())?;
        if let Some(witness) = witness.as_ref().filter(|_| found) {
            let metadata = [("room", Field::Text(name.as_str()))];
            let (subject, action) = (name.as_str(), "room.deleted");
            let entry = Entry { request_id: "room-delete", user_id: OPERATOR, action, subject, metadata: &metadata };
            witness.record(tx, &entry).map_err(|error| Error::Other(error.to_string()))?;
        }
        Ok(found.into())
    })?;
    Ok(deleted > 0)
}

/// Has a writer make one change, and waits until it is on disk and the database is closed.
fn change(
    store: Store,
    work: impl FnMut(&mut Tx<'_>) -> Result<u64, Error> + Send + 'static,
) -> Result<u64, NotChanged> {
    let clock = Clock::system();
    // Nobody is told of it here.
    let writer = Writer::start(store, 1, Arc::new(Hub::new(clock.clone())), clock)?;
    let done = run_chore(&writer.handle(), work);
    writer.stop();
    Ok(done?)
}
