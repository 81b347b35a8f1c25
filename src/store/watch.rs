//! Sees to it that a server whose database is no longer where others look for it says so, also when nobody changes
//! anything: by a [`Task`].

use std::time::Duration;

use super::chore::run_chore;
use super::handle::WriterHandle;
use crate::housekeeper::Task;

/// The task that looks at the files of the database.
#[must_use]
pub fn task(writer: WriterHandle, every: Duration) -> Task {
    let look = move || {
        if writer.view().read_only().is_none() && writer.view().displaced().is_some() {
            // The writer looks before it commits, and says what it finds; it is the one that has to stop.
            let _ = run_chore(&writer, |tx| tx.probe().map(|()| 0));
        }
    };
    Task { name: "database files", every, run: Box::new(move |_| look()) }
}
