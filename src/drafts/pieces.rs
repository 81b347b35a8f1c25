//! Drafts that are not held whole: each is read and rendered piece by piece, as its client takes it.
//!
//! Its head, read once, says what belongs to it: what is added while the pieces are read is left for the next answer, and all of
//! them are of one moment. When something is changed or removed meanwhile that belongs to it, the answer cannot be finished.

use super::model::Head;
use super::parts::{self, Gathered, Metrics, Place};
use super::store;
use crate::net::body::PIECE_BYTES;
use crate::store::{Error, Reader};

/// The Draft object of one draft, as far as it was told.
#[derive(Debug)]
pub(super) struct Pieces {
    head: Head,
    metrics: Metrics,
    /// Whether there are segments after those that are told; `None` when it is the draft and no page of it.
    more: Option<bool>,
    place: Place,
    gathered: Gathered,
    next: Next,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Opening,
    Segments,
    Passes,
    Collaborators,
    Nothing,
}

impl Pieces {
    /// The draft with this head.
    pub(super) fn new(head: Head, metrics: Metrics) -> Self {
        let (place, gathered) = (Place::default(), Gathered::default());
        Self { head, metrics, more: None, place, gathered, next: Next::Opening }
    }

    /// The draft with this head, and of its segments no more than `limit` behind the one with the order `after`, or from the first
    /// one on.
    pub(super) fn page(head: Head, after: Option<i64>, limit: i64) -> Self {
        let first = after.map_or(0, |after| after.saturating_add(1)).min(head.segments);
        let end = first.saturating_add(limit).min(head.segments);
        let (place, more) = (Place::of_page(first, end), Some(end < head.segments));
        Self { place, more, ..Self::new(head, Metrics::Null) }
    }

    /// The draft's version.
    pub(super) fn version(&self) -> i64 {
        self.head.event_seq
    }

    /// Appends what comes next, until `out` has about [`PIECE_BYTES`]; false when that was all.
    ///
    /// # Errors
    /// When the store fails, or has not what the head counts; `Busy` when the draft was rewritten since its head was read.
    pub(super) fn next(&mut self, reader: &Reader, out: &mut Vec<u8>) -> Result<bool, Error> {
        let read = self.read(reader, out);
        // Asked afterwards: what was read after a change is not told as of the moment before it.
        match store::rewritten(reader, &self.head.draft_id)? {
            Some(rewritten) if rewritten == self.head.rewritten => read,
            _ => Err(parts::rewritten_meanwhile()),
        }
    }

    fn read(&mut self, reader: &Reader, out: &mut Vec<u8>) -> Result<bool, Error> {
        let Self { head, metrics, more, place, gathered, next } = self;
        while *next != Next::Nothing && out.len() < PIECE_BYTES {
            *next = match *next {
                Next::Opening => {
                    parts::opening(head, out);
                    Next::Segments
                }
                Next::Segments if place.segments(reader, head, gathered, out)? => Next::Segments,
                Next::Segments => {
                    parts::before_passes(head, out);
                    Next::Passes
                }
                Next::Passes if place.passes(reader, head, gathered, out)? => Next::Passes,
                Next::Passes => {
                    parts::before_collaborators(head, out);
                    Next::Collaborators
                }
                Next::Collaborators if place.collaborators(reader, head, out)? => Next::Collaborators,
                Next::Collaborators | Next::Nothing => {
                    match *more {
                        Some(more) => parts::closing_page(head, more, out),
                        None => parts::closing(head, gathered, *metrics, out),
                    }
                    Next::Nothing
                }
            };
        }
        Ok(*next != Next::Nothing)
    }
}
