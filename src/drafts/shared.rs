//! What all shards work with.

use std::sync::Arc;

use super::counters::Counters;
use super::damage::Damaged;
use super::invites::Tokens;
use super::options::{Options, SocketOptions};
use super::watching::Watching;
use crate::feature::House;
use crate::gate::Live;

/// What all shards work with. Clones share it.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) options: Options,
    /// For sockets that are opened from now on.
    pub(super) sockets: Live<SocketOptions>,
    pub(super) damaged: Damaged,
    /// What makes the tokens of invitations.
    pub(super) tokens: Tokens,
    pub(super) counters: Arc<Counters>,
    /// Which sockets watch which draft.
    pub(super) watching: Watching,
    pub(super) house: House,
}
