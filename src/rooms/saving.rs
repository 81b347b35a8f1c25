//! How updates reach the disk: one job of the writer per room at a time, which takes along whatever waits when it runs.

use std::sync::Arc;

use super::live::{After, Room, Sender, Taken};
use super::update::Update;
use super::{compaction, store};
use crate::net::socket::code;
use crate::store::{Error, Job, JobTimes, StoreError, Tx, Verdict, WriterHandle};

/// Updates that one job writes; the rest comes with the next one.
const JOB_MAX_ROWS: usize = 500;

/// Takes an update into a room and sees to it that it is stored.
pub(super) fn change(
    room: &Arc<Room>,
    update: &Update<'_>,
    bytes: &[u8],
    user: &Arc<str>,
    sender: Option<Sender<'_>>,
) -> Taken {
    // Said before anything is shown to the others: once it can be stored, everyone is asked for it.
    if let Some(fault) = room.shared().house.writer.view().read_only() {
        return Taken::ReadOnly(format!("Nothing can be stored at present: {}", fault.reason()).into());
    }
    let (taken, begins) = room.update(update, bytes, user, sender);
    if begins && !submit(room) {
        room.give_up(code::TRY_AGAIN, TOO_MUCH_WAITS);
        return Taken::Busy(TOO_MUCH_WAITS);
    }
    taken
}

/// Why a room is given up. Clients come back with all that is not on disk.
const TOO_MUCH_WAITS: &str = "Too many changes wait to be stored; reconnect and offer them again";
const NOT_STORED: &str = "The change could not be stored; reconnect and offer it again";

/// Hands in a job for what waits in this room. False if the writer has no room for it.
fn submit(room: &Arc<Room>) -> bool {
    let job = Save { room: Arc::clone(room), written: None };
    room.shared().house.writer.submit(Box::new(job)).is_ok()
}

struct Save {
    room: Arc<Room>,
    /// The room's row, and the number of the last update that was written.
    written: Option<(i64, i64)>,
}

impl Save {
    fn write(&self, tx: &mut Tx<'_>) -> Result<Option<(i64, i64)>, Error> {
        let (row, updates, counts) = self.room.unsaved(JOB_MAX_ROWS);
        let (Some(first), Some(last)) = (updates.first(), updates.last()) else { return Ok(None) };
        let row = match row {
            Some(row) => row,
            None => store::make(tx, self.room.name.as_str(), &first.user)?,
        };
        for update in &updates {
            store::append(tx, row, update.seq, &update.user, update.bytes())?;
        }
        if counts {
            store::count(tx, row)?;
        }
        Ok(Some((row, last.seq)))
    }
}

impl Job for Save {
    fn run(&mut self, tx: &mut Tx<'_>) -> Verdict {
        self.written = None;
        match self.write(tx) {
            Ok(written) => {
                self.written = written;
                Verdict::Keep
            }
            Err(error) => {
                log::error!(room = self.room.name.as_str(), error = error.to_string(); "room.save_failed");
                Verdict::Undo
            }
        }
    }

    fn settle(self: Box<Self>, outcome: Result<JobTimes, StoreError>) {
        match (outcome, self.written) {
            (Ok(times), Some((row, through))) => {
                let took = (times.queued + times.commit).as_secs_f64();
                self.room.shared().counters.commit_seconds.observe(took);
                let After { has_more, is_due } = self.room.saved(row, through);
                if has_more && !submit(&self.room) {
                    self.room.give_up(code::TRY_AGAIN, TOO_MUCH_WAITS);
                } else if is_due {
                    compaction::ask(&self.room);
                }
            }
            (Err(error), _) => {
                log::error!(room = self.room.name.as_str(), error = error.to_string(); "room.not_saved");
                self.room.give_up(code::INTERNAL, NOT_STORED);
            }
            (Ok(_), None) => self.room.give_up(code::INTERNAL, NOT_STORED),
        }
    }
}

/// Takes down that a room is damaged, and says so once.
pub(super) fn quarantine(room: &Arc<Room>, row: i64, reason: &Arc<str>) {
    log::error!(room = room.name.as_str(), reason = &**reason; "room.quarantined");
    let reason = Arc::clone(reason);
    note(&room.shared().house.writer, move |tx| store::quarantine(tx, row, &reason));
}

/// Takes down that somebody was in a room until now, and what is in its log.
pub(super) fn touch(writer: &WriterHandle, row: i64) {
    note(writer, move |tx| store::count(tx, row));
}

/// Writes something that nobody waits for, and that may be lost when the writer is busy.
fn note(writer: &WriterHandle, write: impl FnMut(&mut Tx<'_>) -> Result<(), Error> + Send + 'static) {
    _ = writer.submit(Box::new(Note(write)));
}

struct Note<W>(W);

impl<W: FnMut(&mut Tx<'_>) -> Result<(), Error> + Send> Job for Note<W> {
    fn run(&mut self, tx: &mut Tx<'_>) -> Verdict {
        if (self.0)(tx).is_ok() { Verdict::Keep } else { Verdict::Undo }
    }

    fn settle(self: Box<Self>, _: Result<JobTimes, StoreError>) {}
}
