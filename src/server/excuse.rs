//! When a server that is not ready is to be left alone by its watchdog.

use crate::audit::Audit;
use crate::store::{STALLED_AFTER, WriterView};

/// Why a server that is not ready should be left alone all the same: what is wrong is known, and a restart would mend
/// nothing, or lose what waits in memory. Each call looks at the time since the one before.
pub(super) fn excuse(writer: WriterView, audit: Option<Audit>) -> impl FnMut() -> Option<&'static str> + Send {
    let mut commits = writer.commits();
    move || {
        let before = std::mem::replace(&mut commits, writer.commits());
        let moves = commits != before;
        if !moves && writer.busy_for().is_some_and(|busy| busy > STALLED_AFTER) {
            return None;
        }
        if writer.read_only().is_some() {
            return Some("no changes are taken until the disk takes some");
        }
        if moves {
            return Some("changes are made all the same");
        }
        audit.as_ref().filter(|audit| audit.waiting() > 0).map(|_| "a restart would lose rows of the audit log")
    }
}
