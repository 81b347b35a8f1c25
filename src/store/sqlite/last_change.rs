//! When the last change was made: a row of the store's own, so that no feature has to be asked, and a new one cannot be
//! forgotten.
//!
//! Writing it with every commit would cost each a page. So a transaction writes it only when its time is
//! [`NOTED_EVERY`] or more beyond what is noted, and no change is ever so much beyond the note. After a start time
//! begins where the last change can have been at the latest.

use std::time::Duration;

use super::connection::Connection;
use super::identity::user_version;
use crate::clock::Timestamp;
use crate::store::error::Error;
use crate::store::reader::{Query as _, Reader};
use crate::store::schema::LAST_CHANGE_SINCE;

/// The time between two notes, while changes are made.
const NOTED_EVERY: Duration = Duration::from_millis(100);

/// When the last change was made, or at most 100 ms before; nothing before the first one, and nothing where an older inkring
/// wrote the file.
///
/// # Errors
/// When it cannot be read.
pub fn last_change(reader: &Reader) -> Result<Option<Timestamp>, Error> {
    noted(reader.connection())
}

fn noted(connection: &Connection) -> Result<Option<Timestamp>, Error> {
    if user_version(&connection.0)? < LAST_CHANGE_SINCE {
        return Ok(None);
    }
    let noted = connection.one("SELECT last_change FROM probe WHERE id = 1", &[], |row| row.get(0))?;
    Ok(noted.flatten())
}

/// The writer's side of it.
#[derive(Debug, Clone)]
pub(super) struct LastChange {
    /// What is on disk.
    noted: Timestamp,
    /// What the transaction that is open has written.
    written: Option<Timestamp>,
}

impl LastChange {
    /// As it is found.
    pub(super) fn read(connection: &Connection) -> Result<Self, Error> {
        Ok(Self { noted: noted(connection)?.unwrap_or(Timestamp(i64::MIN)), written: None })
    }

    /// As if there had been none.
    pub(super) fn unknown() -> Self {
        Self { noted: Timestamp(i64::MIN), written: None }
    }

    /// What is noted.
    pub(super) fn noted(&self) -> Timestamp {
        self.noted
    }

    /// The first time at which no change can have been made yet.
    pub(super) fn bound(&self) -> Timestamp {
        if self.noted.0 == i64::MIN { self.noted } else { self.noted.later(NOTED_EVERY) }
    }

    /// Notes the time of the newest change in the transaction that is about to be committed, if it is time, or times of
    /// changes follow the clock again.
    pub(super) fn note(&mut self, connection: &Connection, newest: Timestamp) -> rusqlite::Result<()> {
        let sql = "INSERT INTO probe (id, probed_at, last_change) VALUES (1, ?1, ?1) \
                   ON CONFLICT (id) DO UPDATE SET last_change = excluded.last_change";
        if newest >= self.bound() || newest < self.noted {
            connection.0.prepare_cached(sql)?.execute([newest.0])?;
            self.written = Some(newest);
        }
        Ok(())
    }

    /// The transaction is over.
    pub(super) fn settle(&mut self, committed: bool) {
        if let Some(written) = self.written.take().filter(|_| committed) {
            self.noted = written;
        }
    }
}
