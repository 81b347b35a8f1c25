//! What is configured of drafts.

use std::sync::Arc;

use super::model::LEASE_MAX_SECONDS;
use crate::hub::options::{socket_limits, socket_origins};
use crate::hub::{self, SeatLimits};
use crate::net::SocketLimits;
use crate::settings::{ACCESS, Knob, RATES, SOCKETS, STORAGE, Section, Settings, flag, int};
use crate::{gate, store};

/// Limits on drafts.
pub(crate) static DRAFTS: Section = Section { title: "Drafts", after: Some(&RATES) };

pub(crate) static EVENTS_KEPT: Knob =
    Knob::new(&STORAGE, "EVENTS_KEPT_PER_DRAFT", int(100, 10_000_000, "events"), "10000")
        .after(&store::options::RESERVE)
        .at_bound("the oldest are removed", "a_log_is_kept_to_its_bound_and_says_when_it_no_longer_reaches_back")
        .meaning(
            "How many of a draft's newest events are kept for clients to catch up with; older ones are removed in \
             small steps. A client that asks for older events is told that the response is incomplete.",
        );

pub(crate) static PUBLIC_READ: Knob = flag(&ACCESS, "DRAFTS_PUBLIC_READ", "true")
    .for_production()
    .in_status("drafts_public_read")
    .refusing()
    .after(&gate::options::ORIGINS)
    .meaning(
        "Lets anyone who knows a draft's id read it and its events, and any user watch it. With false, only its \
         creator and collaborators can.",
    );

pub(crate) static MAX_COLLABORATORS: Knob =
    Knob::new(&DRAFTS, "MAX_COLLABORATORS_PER_DRAFT", int(0, 100_000, "collaborators"), "1000")
        .at_bound("429 `limit_exceeded`", "only_the_creator_adds_up_to_the_cap")
        .meaning(
            "Maximum number of collaborators per draft. Adding more fails with 429 limit_exceeded. 0 means no limit.",
        );

pub(crate) static MAX_SEGMENTS: Knob =
    Knob::new(&DRAFTS, "MAX_SEGMENTS_PER_DRAFT", int(0, 10_000_000, "segments"), "10000")
        .at_bound("429 `limit_exceeded`", "segments_and_passes_are_taken_up_to_their_caps_and_retries_beyond_them")
        .meaning(
            "Maximum number of segments per draft. Appending more fails with 429 limit_exceeded. 0 means no limit.",
        );

pub(crate) static MAX_PASSES: Knob = Knob::new(&DRAFTS, "MAX_PASSES_PER_DRAFT", int(0, 10_000_000, "passes"), "20000")
    .at_bound("429 `limit_exceeded`", "segments_and_passes_are_taken_up_to_their_caps_and_retries_beyond_them")
    .meaning(
        "Maximum number of passes of the ring per draft. Passing it again fails with 429 limit_exceeded. 0 means no \
         limit.",
    );

pub(crate) static RING_LEASE: Knob = Knob::new(
    &DRAFTS,
    "RING_LEASE_SECONDS",
    int(0, LEASE_MAX_SECONDS.unsigned_abs(), "seconds"),
    "0",
)
.at_bound("the creator may take the ring back", "a_ring_is_taken_back_when_its_lease_is_over_and_not_before")
.meaning(
    "How long the holder of a ring may neither append nor pass before the creator may take the ring back. A lease \
     set on the draft itself takes precedence. 0 means forever.",
);

pub(crate) static CACHE_BYTES: Knob =
    Knob::new(&DRAFTS, "DRAFT_CACHE_BYTES", int(0, 1_073_741_824, "bytes"), "4194304")
        .at_bound(
            "the least recently used are dropped",
            "what_was_not_asked_for_lately_is_dropped_and_what_is_too_large_is_not_kept",
        )
        .meaning("How many bytes of rendered drafts each shard caches in memory. 0 caches none.");

pub(crate) static SOCKETS_PER_DRAFT: Knob =
    Knob::new(&SOCKETS, "WS_MAX_SOCKETS_PER_DRAFT", int(1, 1_000_000, "sockets"), "100")
        .reloading()
        .after(&hub::options::PER_USER)
        .at_bound("refused with 1008", "caps_of_drafts_and_users_are_each_of_one_draft_and_one_user")
        .only_with(&[&hub::options::LIMITED])
        .meaning(
            "Maximum number of sockets watching one draft, if the limits are on. Under its older name the limit also \
     applies while they are off, and 0 means no limit; if both are set, the lower one applies.",
        );

pub(crate) static SOCKETS_CAP: Knob =
    Knob::new(&SOCKETS, "MAX_WS_CONNECTIONS_PER_DRAFT", int(0, 1_000_000, "sockets"), "0")
        .reloading()
        .after(&hub::options::ORIGINS)
        .alias_of(&SOCKETS_PER_DRAFT)
        .meaning("Maximum number of sockets watching one draft, whether or not the limits are on. 0 means no limit.");

pub(crate) const KNOBS: &[&Knob] = &[
    &EVENTS_KEPT,
    &PUBLIC_READ,
    &MAX_COLLABORATORS,
    &MAX_SEGMENTS,
    &MAX_PASSES,
    &RING_LEASE,
    &CACHE_BYTES,
    &SOCKETS_PER_DRAFT,
    &SOCKETS_CAP,
];

/// How drafts are served; a cap of 0 is none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    /// Collaborators of one draft.
    pub(super) max_collaborators: usize,
    /// Segments of one draft.
    pub(super) max_segments: usize,
    /// Passes of its ring.
    pub(super) max_passes: usize,
    /// How long a holder may be silent, where the draft says nothing else; 0 is for ever.
    pub(super) lease_seconds: u64,
    /// Bytes of rendered drafts that each shard keeps.
    pub(super) cache_bytes: usize,
    /// Whether drafts are read by anyone, or by their members only.
    pub(super) public_read: bool,
    /// Events kept of each draft.
    pub(super) events_kept: usize,
}

impl Options {
    /// As configured.
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            max_collaborators: settings.count(&MAX_COLLABORATORS),
            max_segments: settings.count(&MAX_SEGMENTS),
            max_passes: settings.count(&MAX_PASSES),
            lease_seconds: settings.seconds(&RING_LEASE).as_secs(),
            cache_bytes: settings.count(&CACHE_BYTES),
            public_read: settings.flag(&PUBLIC_READ),
            events_kept: settings.count(&EVENTS_KEPT),
        }
    }
}

/// Bounds of the sockets of drafts.
#[derive(Debug, Clone)]
pub(super) struct SocketOptions {
    /// Which pages may open sockets; `None`: any, and clients that are not pages.
    pub(super) origins: Option<Vec<String>>,
    /// How many sockets there may be.
    pub(super) seats: SeatLimits,
    /// Bounds of each.
    pub(super) limits: Arc<SocketLimits>,
}

impl SocketOptions {
    /// As configured, with the limits that are off made as wide as they can be.
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            origins: socket_origins(settings),
            seats: SeatLimits::of(settings, &SOCKETS_PER_DRAFT, &SOCKETS_CAP),
            limits: Arc::new(socket_limits(settings)),
        }
    }
}
