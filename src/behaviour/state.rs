//! What shards, the sink and the housekeeper know of each other's work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::counters::Counters;
use super::event::Event;
use super::ring::Ring;
use super::time::utc;
use crate::clock::Timestamp;

/// In the place of a size.
const NO_FILE: u64 = u64::MAX;

/// Shared by all. No lock is held for longer than it takes to copy something.
pub(super) struct State {
    ring: Mutex<Ring>,
    file_bytes: AtomicU64,
    trouble: Mutex<Option<String>>,
    passed: Mutex<Option<Passed>>,
    pub(super) counters: Counters,
}

/// What a look after the files has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Passed {
    /// When.
    pub(super) at: Timestamp,
    /// The name that the active file got, if it was due.
    pub(super) rotated: Option<String>,
    /// How many were compressed.
    pub(super) compressed: usize,
    /// How many were removed.
    pub(super) removed: usize,
    /// How many would be, but for a clock that is not to be trusted yet.
    pub(super) waiting: usize,
    /// What went wrong, in sentences.
    pub(super) faults: Vec<String>,
}

impl Passed {
    /// Nothing yet.
    pub(super) fn begun(at: Timestamp) -> Self {
        Self { at, rotated: None, compressed: 0, removed: 0, waiting: 0, faults: Vec::new() }
    }

    /// As health, the status and the verb have it.
    pub(super) fn to_json(&self) -> Value {
        json!({
            "at": utc(self.at).to_string(),
            "ok": self.faults.is_empty(),
            "rotated": self.rotated,
            "compressed": self.compressed,
            "removed": self.removed,
            "waiting_for_the_clock": self.waiting,
            "faults": self.faults,
        })
    }
}

impl State {
    /// With this ring.
    pub(super) fn new(ring: Ring, counters: Counters) -> Self {
        let (trouble, passed) = (Mutex::new(None), Mutex::new(None));
        Self { ring: Mutex::new(ring), file_bytes: AtomicU64::new(NO_FILE), trouble, passed, counters }
    }

    /// Adds events to the ring.
    pub(super) fn remember(&self, events: impl IntoIterator<Item = Event>) {
        // Outside the lock.
        let events: Vec<Arc<Event>> = events.into_iter().map(Arc::new).collect();
        let mut ring = self.ring.lock();
        events.into_iter().for_each(|event| ring.push(event));
    }

    /// Forgets the events of a visitor.
    pub(super) fn forget(&self, visitor_id: &str) {
        self.ring.lock().forget(visitor_id);
    }

    /// How many events the ring has, and how many it may have.
    pub(super) fn ring_size(&self) -> (usize, usize) {
        let ring = self.ring.lock();
        (ring.len(), ring.capacity())
    }

    /// How many events the ring has, and the last so many of them, oldest first.
    pub(super) fn last(&self, count: usize) -> (usize, Vec<Arc<Event>>) {
        let ring = self.ring.lock();
        (ring.len(), ring.last(count))
    }

    /// The size of the active file, as far as the sink knows; none if there is no file.
    pub(super) fn file_bytes(&self) -> Option<u64> {
        Some(self.file_bytes.load(Ordering::Relaxed)).filter(|bytes| *bytes != NO_FILE)
    }

    pub(super) fn set_file_bytes(&self, bytes: Option<u64>) {
        self.file_bytes.store(bytes.unwrap_or(NO_FILE), Ordering::Relaxed);
    }

    /// Why events cannot be written, if they cannot.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    /// Takes down whether events can be written. Returns whether that is news.
    pub(super) fn set_trouble(&self, trouble: Option<String>) -> bool {
        let mut known = self.trouble.lock();
        let is_news = known.is_some() != trouble.is_some();
        *known = trouble;
        is_news
    }

    /// What the last look after the files has done.
    pub(super) fn passed(&self) -> Option<Passed> {
        self.passed.lock().clone()
    }

    pub(super) fn set_passed(&self, passed: Passed) {
        *self.passed.lock() = Some(passed);
    }
}
