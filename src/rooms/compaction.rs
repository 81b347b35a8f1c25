//! How the log of a room becomes a snapshot (contract 03 §4.4): on the desk and from memory, read back before it may take the
//! place of anything, and stored in one transaction with the removal of what it has.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::live::Room;
use super::room::{Applied, Document, Snapshot};
use super::store;
use super::update::Update;
use crate::store::{Job, JobTimes, StoreError, Tx, Verdict};

/// Has the desk compact a room. It is tried again later if too much waits.
pub(super) fn ask(room: &Arc<Room>) {
    let asked = Arc::clone(room);
    if !room.shared().errands.run(move |_| compact(&asked)) {
        room.end_compaction(None);
    }
}

/// Makes a snapshot and hands it to the writer.
pub(super) fn compact(room: &Arc<Room>) {
    let Some((row, seq, snapshot)) = room.begin_compaction() else { return };
    let (clock, counters) = (&room.shared().house.clock, &room.shared().counters);
    let began = clock.instant();
    let Some(bytes) = compacted(room, &snapshot) else { return room.end_compaction(None) };
    counters.compact_seconds.observe((clock.instant() - began).as_secs_f64());
    let sha256 = Sha256::digest(&bytes).to_vec();
    let job = Compact { room: Arc::clone(room), row, seq, sha256, bytes };
    if room.shared().house.writer.submit(Box::new(job)).is_err() {
        room.end_compaction(None);
    }
}

/// The document as one update, after the room has taken over the shorter form.
fn compacted(room: &Room, snapshot: &Snapshot) -> Option<Vec<u8>> {
    let compacted = snapshot.compact();
    let bytes = compacted.encode();
    let mut again = Document::default();
    let is_whole = Update::parse(&bytes).is_ok_and(|update| !matches!(again.apply(&update), Applied::Gap))
        && again.vector() == snapshot.vector();
    if !is_whole {
        log::error!(room = room.name.as_str(), bytes = bytes.len(); "room.snapshot_not_whole");
        return None;
    }
    room.adopt(&compacted);
    Some(bytes)
}

struct Compact {
    room: Arc<Room>,
    row: i64,
    seq: i64,
    sha256: Vec<u8>,
    bytes: Vec<u8>,
}

impl Job for Compact {
    fn run(&mut self, tx: &mut Tx<'_>) -> Verdict {
        match store::compact(tx, self.row, self.seq, &self.sha256, &self.bytes) {
            Ok(()) => Verdict::Keep,
            Err(error) => {
                log::error!(room = self.room.name.as_str(), error = error.to_string(); "room.not_compacted");
                Verdict::Undo
            }
        }
    }

    fn settle(self: Box<Self>, outcome: Result<JobTimes, StoreError>) {
        if outcome.is_ok() {
            self.room.shared().counters.compactions.inc();
        }
        self.room.end_compaction(outcome.is_ok().then_some(self.bytes.len()));
    }
}
