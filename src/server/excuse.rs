//! When a server that is not ready is to be left alone by its watchdog.

use crate::store::{STALLED_AFTER, WriterView};

/// Why a server that is not ready should be left alone all the same: what is wrong is known, and a restart would fix
/// nothing. Each call looks at the time since the one before.
pub(super) fn excuse(writer: WriterView) -> impl FnMut() -> Option<&'static str> + Send {
    let mut commits = writer.commits();
    move || {
        let before = std::mem::replace(&mut commits, writer.commits());
        let moves = commits != before;
        if !moves && writer.busy_for().is_some_and(|busy| busy > STALLED_AFTER) {
            return None;
        }
        if writer.read_only().is_some() {
            return Some("no changes are accepted until the disk can be written to");
        }
        moves.then_some("changes are still being made")
    }
}
