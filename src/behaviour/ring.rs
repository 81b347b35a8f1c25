//! The last events, for the snapshot.

use std::collections::VecDeque;
use std::sync::Arc;

use super::event::Event;

/// Memory of all events in the ring, whatever its capacity: when there are very large ones, fewer of them are kept.
pub(super) const RING_MAX_BYTES: usize = 8 * 1024 * 1024;

/// The last events, oldest first.
#[derive(Debug)]
pub(super) struct Ring {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    capacity: usize,
}

impl Ring {
    /// An empty one for so many.
    pub(super) fn new(capacity: usize) -> Self {
        Self { events: VecDeque::new(), bytes: 0, capacity }
    }

    /// Adds one; the oldest go as far as there is no room.
    pub(super) fn push(&mut self, event: Arc<Event>) {
        self.bytes += event.bytes();
        self.events.push_back(event);
        while self.events.len() > self.capacity || (self.bytes > RING_MAX_BYTES && self.events.len() > 1) {
            let Some(oldest) = self.events.pop_front() else { return };
            self.bytes -= oldest.bytes();
        }
    }

    /// Forgets the events of a visitor.
    pub(super) fn forget(&mut self, visitor_id: &str) {
        self.events.retain(|event| event.visitor_id != visitor_id);
        self.bytes = self.events.iter().map(|event| event.bytes()).sum();
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    /// How many there may be.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// The last so many, oldest first.
    pub(super) fn last(&self, count: usize) -> Vec<Arc<Event>> {
        self.events.range(self.events.len().saturating_sub(count)..).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn event(name: &str, bytes: usize) -> Arc<Event> {
        let (visitor_id, metadata) = ("v-0001a".to_owned(), "x".repeat(bytes));
        Arc::new(Event { visitor_id, name: name.to_owned(), timestamp: Timestamp(0), metadata, user_agent: None })
    }

    fn names(ring: &Ring, count: usize) -> Vec<String> {
        ring.last(count).iter().map(|event| event.name.clone()).collect()
    }

    #[test]
    fn the_oldest_go_first() {
        let mut ring = Ring::new(3);
        assert!(names(&ring, 5).is_empty());
        ["a", "b", "c", "d"].into_iter().for_each(|name| ring.push(event(name, 0)));
        assert_eq!((ring.len(), ring.capacity()), (3, 3));
        assert_eq!(
            (names(&ring, 2), names(&ring, 9)),
            (vec!["c".into(), "d".into()], vec!["b".into(), "c".into(), "d".into()])
        );
    }

    #[test]
    fn large_events_make_fewer_of_them() {
        let mut ring = Ring::new(1_000_000);
        (0..1000).for_each(|_| ring.push(event("large", 65_536)));
        assert!((100..128).contains(&ring.len()), "{}", ring.len());
        (0..20_000).for_each(|_| ring.push(event("small", 0)));
        assert!(ring.len() > 10_000 && ring.bytes <= RING_MAX_BYTES, "{} {}", ring.len(), ring.bytes);
        ring.push(event("beyond", RING_MAX_BYTES));
        assert_eq!(names(&ring, 2), ["beyond"], "the newest stays");
    }
}
