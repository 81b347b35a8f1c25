//! What a committed change tells the rest of the house.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::net::Frame;

/// A feature's topics: a name that keeps them apart from those of other features, and how their events are written.
pub struct Space {
    /// What stands before the name of a topic: `rooms` in `rooms/3f2a`.
    pub name: &'static str,
    /// What the name of a topic is called in the log.
    pub log_field: &'static str,
    /// The frame of an event, with its seq (`true`) for those who count. Called once for each, on a thread that others wait
    /// for: must be quick.
    pub encode: fn(&Event, bool) -> Frame,
}

/// What one can listen to. Clones share the name.
#[derive(Clone)]
pub struct Topic {
    space: &'static Space,
    name: Arc<str>,
}

impl Topic {
    /// The topic of this name in a space.
    pub fn new(space: &'static Space, name: impl Into<Arc<str>>) -> Self {
        Self { space, name: name.into() }
    }

    /// Whether it is in this space.
    pub fn is_of(&self, space: &Space) -> bool {
        self.space.name == space.name
    }

    /// The space that it is in.
    pub fn space(&self) -> &'static Space {
        self.space
    }

    /// Its name in its space: the id of what it is about.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl PartialEq for Topic {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.space.name == other.space.name
    }
}

impl Eq for Topic {}

impl Hash for Topic {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Few names are in two spaces, and those are told apart by `eq`.
        self.name.hash(state);
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.space.name, self.name)
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One thing that happened, as it was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What it happened to.
    pub topic: Topic,
    /// Its number within the topic, from 1, without gaps.
    pub seq: i64,
    /// What happened, in a word that clients know.
    pub kind: &'static str,
    /// The details, a JSON object.
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
