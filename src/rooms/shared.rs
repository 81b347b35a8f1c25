//! What all shards and the desk work with.

use parking_lot::Mutex;

use super::counters::Counters;
use super::desk::Errands;
use super::makers::Makers;
use super::options::{Options, Times};
use super::refusals::Refusals;
use crate::feature::House;
use crate::gate::Live;
use crate::hub::Seats;

/// Shared by all.
pub(super) struct Shared {
    /// For sockets that are opened from now on, and updates that come from now on.
    pub(super) options: Live<Options>,
    pub(super) times: Times,
    /// Where what may block is handed in.
    pub(super) errands: Errands,
    /// Sockets of rooms, counted apart from those of others.
    pub(super) seats: Seats,
    pub(super) refusals: Mutex<Refusals>,
    /// Locked after a room, never before one.
    pub(super) makers: Mutex<Makers>,
    pub(super) counters: Counters,
    pub(super) house: House,
}
