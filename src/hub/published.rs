//! Committed events on their way to the shards.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::net::{self, Frame};
use crate::store::Event;

/// A shard's mailbox, which takes batches.
pub type Mailbox = net::Mailbox<Batch>;

/// The events of one commit that a shard has listeners for, in order.
pub type Batch = Arc<[Arc<Published>]>;

/// The text of an event, without and with its number.
pub type Encode = fn(&Event, numbered: bool) -> String;

/// An event and its frames.
#[derive(Debug)]
pub struct Published {
    /// What happened.
    pub event: Event,
    /// When its commit had returned.
    pub committed: Instant,
    /// For subscribers who do not count.
    pub plain: Frame,
    pub(super) numbered: OnceLock<Frame>,
    pub(super) encode: Encode,
}

impl Published {
    /// For subscribers who count. Encoded when the first of them is found.
    #[must_use]
    pub fn numbered(&self) -> &Frame {
        self.numbered.get_or_init(|| Frame::text(&(self.encode)(&self.event, true)))
    }
}
