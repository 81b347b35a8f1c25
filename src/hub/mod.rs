//! Where committed events go: from the writer to everyone in the house who listens.
//!
//! The writer publishes after each commit, in commit order (G2). Listeners are registered once, when the server is
//! built; each is called on the writer's thread with the events of one commit and must only hand them on.

use std::sync::Arc;

use crate::store::{Event, Publisher};

/// Hands committed events to its listeners.
#[derive(Default)]
pub struct Hub {
    listeners: Vec<Arc<dyn Publisher>>,
}

impl Hub {
    /// A hub with these listeners; each hears every event.
    #[must_use]
    pub fn new(listeners: Vec<Arc<dyn Publisher>>) -> Self {
        Self { listeners }
    }
}

impl Publisher for Hub {
    fn publish(&self, events: &[Event]) {
        for Event { topic, seq, kind, request_id, .. } in events {
            log::debug!(event_type = kind, draft_id = topic.as_ref(), seq, request_id = request_id.as_str(); "event.published");
        }
        for listener in &self.listeners {
            listener.publish(events);
        }
    }
}
