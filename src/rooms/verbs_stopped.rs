//! Rooms of a database that no server has open, for the verbs.

use std::net::{IpAddr, Ipv4Addr};

use super::load;
use super::name::RoomName;
use super::room::Applied;
use super::store;
use super::update::Update;
use crate::audit::{Audit, Entry, Field};
use crate::plane::door::count_change;
use crate::settings::Settings;
use crate::store::{ChoreError, Error, OpenError, Store};

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
    #[error("the room is read-only because it is damaged: {0}")]
    Quarantined(String),
    #[error(
        "the room would become larger than ROOMS_MAX_DOCUMENT_BYTES={most}: it has {has} bytes, and the update {more}"
    )]
    Full { has: usize, more: usize, most: usize },
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
    count_change::<NotChanged>(store, move |tx| {
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
    let deleted = count_change::<NotChanged>(store, move |tx| {
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
