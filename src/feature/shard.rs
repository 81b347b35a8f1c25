//! What a feature's handlers work with on a shard.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::Check;
use crate::hub::{Mailbox, Topics};
use crate::store::Reader;

/// What the handlers of one shard work with.
#[derive(Clone)]
pub struct ShardParts {
    /// Reads what is committed.
    pub reader: Rc<Reader>,
    /// Who on this shard listens to what.
    pub topics: Rc<RefCell<Topics>>,
    /// Where this shard is reached.
    pub mailbox: Arc<Mailbox>,
    /// What `/readyz` asks of everyone.
    pub checks: Arc<[Check]>,
}
