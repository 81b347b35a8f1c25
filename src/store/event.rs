//! What a committed change tells the rest of the house.

use std::sync::Arc;

use crate::clock::Timestamp;

/// One thing that happened, as it was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What it happened to: a draft's id.
    pub topic: Arc<str>,
    /// Its number within the topic, from 1, without gaps.
    pub seq: i64,
    /// What happened, such as `collab.segment_added`.
    pub kind: &'static str,
    /// The particulars, a JSON object.
    pub data: String,
    /// The request that caused it.
    pub request_id: String,
    /// When it was written.
    pub at: Timestamp,
}

/// Who is told of events, in commit order and only after the commit. Called on the writer's thread: must be quick.
pub trait Publisher: Send + Sync {
    /// Takes the events of one commit, never none, out of `events`; what is left there is dropped.
    fn publish(&self, events: &mut Vec<Event>);
}
