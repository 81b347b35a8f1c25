//! Room on the disk for what is about to be written.

use std::path::Path;

use super::error::{BackupError, ROOM_LEFT_BYTES};
use crate::store;

/// Whether so many bytes find room, and leave some.
pub(super) fn check_room(directory: &Path, bytes: u64) -> Result<(), BackupError> {
    // Where nobody can tell, the writing will.
    let Ok(store::Room { free_bytes: free, .. }) = store::room(directory) else { return Ok(()) };
    let wanted = bytes.saturating_add(ROOM_LEFT_BYTES);
    if free < wanted { Err(BackupError::NoRoom { directory: directory.to_owned(), free, wanted }) } else { Ok(()) }
}
