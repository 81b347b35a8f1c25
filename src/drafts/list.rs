//! The list of a user's drafts: what it has room for, and how a long one is told in pieces.

use std::io::Write as _;
use std::sync::Arc;

use serde_json::json;

use super::damage::Damaged;
use super::model::{LIST_MAX_BYTES, LIST_MAX_DRAFTS};
use super::parts::Metrics;
use super::pieces::Pieces;
use super::store;
use crate::gate::ApiError;
use crate::net::body::PIECE_BYTES;
use crate::store::Reader;

/// All that stands before the drafts.
pub(super) const OPENING: &[u8] = b"{\"data\":[";

/// Which drafts a list has room for. They are looked at newest first, so that what is left out is the oldest.
#[derive(Debug)]
pub(super) struct Tally {
    /// Newest first.
    ids: Vec<Arc<str>>,
    /// There are older ones than these.
    has_older: bool,
    /// How many were looked at, and what those take that are shown.
    at: usize,
    bytes: usize,
    shown: Vec<Arc<str>>,
    unreadable: Vec<Arc<str>>,
}

impl Tally {
    /// Of these drafts, newest first; none was looked at.
    pub(super) fn new(mut ids: Vec<Arc<str>>) -> Self {
        let has_older = ids.len() > LIST_MAX_DRAFTS;
        ids.truncate(LIST_MAX_DRAFTS);
        Self { ids, has_older, at: 0, bytes: 0, shown: Vec::new(), unreadable: Vec::new() }
    }

    /// The next draft to look at, if there is one and room for it.
    pub(super) fn next(&self) -> Option<&Arc<str>> {
        self.ids.get(self.at).filter(|_| self.bytes <= LIST_MAX_BYTES)
    }

    /// It is shown, and takes so many bytes.
    pub(super) fn show(&mut self, bytes: usize) {
        self.shown.extend(self.ids.get(self.at).cloned());
        self.at += 1;
        self.bytes += bytes;
    }

    /// It is damaged: named and left out; the others are no worse for it.
    pub(super) fn leave_out(&mut self) {
        self.unreadable.extend(self.ids.get(self.at).cloned());
        self.at += 1;
    }

    /// It was deleted after the list was made.
    pub(super) fn pass_over(&mut self) {
        self.at += 1;
    }

    /// What those take that are shown so far.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends all that stands behind the drafts.
    pub(super) fn closing(&self, out: &mut Vec<u8>) {
        // Writing to a Vec cannot fail.
        let _ = write!(out, "],\"count\":{}", self.shown.len());
        if !self.unreadable.is_empty() {
            let names: Vec<&str> = self.unreadable.iter().map(|id| &**id).collect();
            let _ = write!(out, ",\"unreadable\":{}", json!(names));
        }
        if let Some(oldest) = self.ids[..self.at].last().filter(|_| self.has_older || self.at < self.ids.len()) {
            let _ = write!(out, ",\"truncated\":true,\"next_before\":\"{oldest}\"");
        }
        out.push(b'}');
    }
}

/// A list that is not held whole. What it has room for is found out before the first draft is told, because that is the oldest:
/// each draft is read twice.
#[derive(Debug)]
pub(super) struct ListPieces {
    tally: Tally,
    damaged: Damaged,
    now: Now,
}

/// What is being done.
#[derive(Debug)]
enum Now {
    /// The next draft is measured: so many bytes so far.
    Measuring(Option<Pieces>, usize),
    /// The next draft is told, with this one and so many after it left to tell.
    Telling(Option<Pieces>, usize),
}

impl ListPieces {
    /// What this tally has room for.
    pub(super) fn new(tally: Tally, damaged: Damaged) -> Self {
        Self { tally, damaged, now: Now::Measuring(None, 0) }
    }

    /// Appends what comes next, if it has come so far, about [`PIECE_BYTES`]; false when that was all.
    ///
    /// # Errors
    /// When the store fails; for a draft that is damaged, only if it was sound before.
    pub(super) fn next(&mut self, reader: &Reader, out: &mut Vec<u8>) -> Result<bool, ApiError> {
        match self.now {
            Now::Measuring(..) => self.measure(reader, out).map(|()| true),
            Now::Telling(..) => self.tell(reader, out),
        }
    }

    /// Measures about a piece of what is to come.
    fn measure(&mut self, reader: &Reader, out: &mut Vec<u8>) -> Result<(), ApiError> {
        let (mut scratch, mut measured) = (Vec::with_capacity(PIECE_BYTES), 0);
        while measured < PIECE_BYTES {
            let Now::Measuring(pieces, bytes) = &mut self.now else { return Ok(()) };
            let Some(draft_id) = self.tally.next() else {
                out.extend_from_slice(OPENING);
                self.now = Now::Telling(None, self.tally.shown.len());
                return Ok(());
            };
            scratch.clear();
            let Some(pieces) = begun(pieces, reader, draft_id)? else {
                self.tally.pass_over();
                self.now = Now::Measuring(None, 0);
                continue;
            };
            let more = pieces.next(reader, &mut scratch).map_err(ApiError::from);
            measured += scratch.len();
            *bytes += scratch.len();
            match more {
                Ok(true) => continue,
                Ok(false) => {
                    let bytes = *bytes;
                    self.tally.show(bytes);
                }
                Err(error) if error.is_damage() => {
                    self.damaged.note(draft_id, &error);
                    self.tally.leave_out();
                }
                Err(error) => return Err(error),
            }
            self.now = Now::Measuring(None, 0);
        }
        Ok(())
    }

    fn tell(&mut self, reader: &Reader, out: &mut Vec<u8>) -> Result<bool, ApiError> {
        let Self { tally, damaged, now } = self;
        while out.len() < PIECE_BYTES {
            let Now::Telling(pieces, left) = now else { return Ok(true) };
            let Some(draft_id) = left.checked_sub(1).and_then(|oldest| tally.shown.get(oldest)) else {
                tally.closing(out);
                return Ok(false);
            };
            let is_begun = pieces.is_some();
            let Some(pieces) = begun(pieces, reader, draft_id)? else {
                // Deleted since it was measured: one less to tell, and to count.
                *left -= 1;
                tally.shown.remove(*left);
                continue;
            };
            if !is_begun && *left < tally.shown.len() {
                out.push(b',');
            }
            let more = pieces.next(reader, out).map_err(ApiError::from);
            if !more.inspect_err(|error| damaged.note(draft_id, error))? {
                *now = Now::Telling(None, *left - 1);
            }
        }
        Ok(true)
    }
}

/// The pieces that were begun, or those of the draft as it is now, if it is there.
fn begun<'p>(
    pieces: &'p mut Option<Pieces>,
    reader: &Reader,
    draft_id: &str,
) -> Result<Option<&'p mut Pieces>, ApiError> {
    if pieces.is_none() {
        *pieces = store::head(reader, draft_id)?.map(|head| Pieces::new(head, Metrics::Null));
    }
    Ok(pieces.as_mut())
}
