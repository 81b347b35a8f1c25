//! What was published, on its way to the shards.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::net::{self, Frame, SocketId};
use crate::store::{Event, Topic};

/// A shard's mailbox, which takes batches.
pub type Mailbox = net::Mailbox<Batch>;

/// How other threads reach one socket.
pub type SocketAddress = net::SocketAddress<Batch>;

/// What was published at once and a shard has listeners for, in order.
pub type Batch = Arc<[Arc<Published>]>;

/// Something that was published, and its frames.
#[derive(Debug)]
pub struct Published {
    pub(super) what: What,
    /// When it happened: when its commit had returned.
    pub(super) at: Instant,
    /// For subscribers who do not count.
    pub(super) plain: Frame,
}

#[derive(Debug)]
pub(super) enum What {
    /// An event that was committed.
    Committed { event: Event, numbered: OnceLock<Frame> },
    /// A frame that is not kept, and who does not get it.
    Passing { topic: Topic, kind: &'static str, except: Option<SocketId> },
}

impl Published {
    pub(super) fn topic(&self) -> &Topic {
        match &self.what {
            What::Committed { event, .. } => &event.topic,
            What::Passing { topic, .. } => topic,
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match &self.what {
            What::Committed { event, .. } => event.kind,
            What::Passing { kind, .. } => kind,
        }
    }

    /// For a subscriber who has all events up to `seen`: what it is to get, if anything.
    pub(super) fn after(&self, seen: &mut i64) -> Option<&Frame> {
        let What::Committed { event, numbered } = &self.what else { return Some(&self.plain) };
        if event.seq <= *seen {
            return None;
        }
        *seen = event.seq;
        // Encoded when the first of those who count is found.
        Some(numbered.get_or_init(|| (event.topic.space().encode)(event, true)))
    }
}
