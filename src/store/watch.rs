//! Sees to it that a server says so when its database is no longer where others look for it, or no longer what it was made,
//! also when nobody asks or changes anything: by a [`Task`].

use std::rc::Rc;
use std::time::Duration;

use super::chore::run_chore;
use super::handle::WriterHandle;
use super::reader::Reader;
use crate::housekeeper::Task;

/// The task that looks at the files of the database, and at what it is made of.
pub fn task(reader: Rc<Reader>, writer: WriterHandle, every: Duration) -> Task {
    let mut said = None;
    let mut look = move || {
        if writer.view().read_only().is_none() && writer.view().displaced().is_some() {
            // The writer looks before it commits, and says what it finds; it is the one that has to stop.
            let _ = run_chore(&writer, |tx| tx.probe().map(|()| 0));
        }
        match reader.altered() {
            Ok(altered) if altered != said => {
                match &altered {
                    Some(found) => log::error!(found = found.as_str(); "store.altered"),
                    None => log::warn!("store.as_made_again"),
                }
                said = altered;
            }
            Ok(_) => {}
            Err(error) => log::warn!(error = error.to_string(); "store.not_looked_at"),
        }
    };
    Task { name: "database files", every, run: Box::new(move |_| look()) }
}
