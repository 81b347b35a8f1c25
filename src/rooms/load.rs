//! How a room comes back from the disk (contract 03 §4.4): its newest snapshot, and the updates behind it. What is damaged
//! does not end the process and is not passed over in silence: the room is read up to there, and nobody may change it.

use sha2::{Digest as _, Sha256};

use super::live::{Loaded, Log};
use super::room::{Applied, Document};
use super::store::{self, RoomRow, StoredSnapshot};
use super::update::Update;
use crate::store::{Error, Reader};

/// What is stored of the room of this name. Nothing at all is an empty room.
///
/// # Errors
/// When it cannot be read; damage is none, it is said in [`Loaded::quarantine`].
pub(super) fn load(reader: &Reader, name: &str) -> Result<Loaded, Error> {
    reader.snapshot(|reader| {
        let Some(row) = store::find(reader, name)? else {
            return Ok(Loaded {
                row: None,
                document: Document::default(),
                seq: 0,
                log: Log::default(),
                quarantine: None,
            });
        };
        read(reader, &row)
    })
}

/// What is stored of this room.
pub(super) fn read(reader: &Reader, row: &RoomRow) -> Result<Loaded, Error> {
    let (mut document, mut seq) = (Document::default(), 0);
    let mut quarantine = row.quarantine.clone();
    for nth in 0..2 {
        let Some(snapshot) = store::snapshot(reader, row.id, nth)? else { break };
        match restored(&snapshot) {
            Ok(restored) => {
                (document, seq) = (restored, snapshot.seq);
                break;
            }
            Err(damage) => {
                quarantine.get_or_insert_with(|| format!("snapshot {}: {damage}", snapshot.seq));
            }
        }
    }
    let (mut damage, mut rows, mut bytes_of_all) = (None, 0, 0);
    store::updates(reader, row.id, seq, |number, bytes| {
        let applied = Update::parse(bytes).map_err(|refused| refused.to_string()).and_then(|update| {
            match document.apply(&update) {
                Applied::Gap => Err("it builds on something that is not there".to_owned()),
                _ => Ok(()),
            }
        });
        match applied {
            Ok(()) => {
                seq = number;
                rows += 1;
                bytes_of_all += bytes.len() as i64;
            }
            Err(reason) => damage = Some(format!("update {number}: {reason}")),
        }
        damage.is_none()
    })?;
    // A server that was killed has not counted all; where damage ends the reading, its last count is nearer.
    let (rows, bytes) = if damage.is_some() { (row.log_rows, row.log_bytes) } else { (rows, bytes_of_all) };
    let quarantine = quarantine.or(damage);
    let log = Log { rows, bytes, snapshot_bytes: row.snapshot_bytes };
    Ok(Loaded { row: Some(row.id), document, seq, log, quarantine: quarantine.map(Into::into) })
}

/// The document of a snapshot.
fn restored(snapshot: &StoredSnapshot) -> Result<Document, String> {
    if !snapshot.is_known() {
        return Err(format!("it has the unknown format {}", snapshot.format));
    }
    if *Sha256::digest(&snapshot.bytes) != *snapshot.sha256 {
        return Err("its SHA-256 is another".to_owned());
    }
    let update = Update::parse(&snapshot.bytes).map_err(|refused| refused.to_string())?;
    let mut document = Document::default();
    match document.apply(&update) {
        Applied::Gap => Err("it is not whole".to_owned()),
        _ => Ok(document),
    }
}
