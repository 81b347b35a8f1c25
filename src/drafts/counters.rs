//! What is counted of drafts.

use crate::hub::{self, Seats};
use crate::net;
use crate::observe::metrics::{Counter, Labelled, Metrics, Row, SOCKETS, set_usize};
use crate::settings::Section;

/// Drafts and their rings.
static DRAFTS: Section = Section { title: "Drafts", after: Some(&SOCKETS) };

pub(crate) static ROOMS: Row = Row::gauge(&SOCKETS, "inkring_drafts_active_rooms")
    .of_the_original()
    .after(&hub::counters::ACTIVE)
    .says("Drafts with at least one watcher", "How many sockets are watching?");

pub(crate) static REPLAY: Row =
    Row::counter(&SOCKETS, "inkring_ws_replay_total").by(&["result"]).after(&net::counters::BYTES).says(
        "Sockets that caught up: full, nothing is missing; partial, only the newest events; none, no events",
        "Do returning clients get everything they missed?",
    );

pub(crate) static MUTATIONS: Row = Row::counter(&DRAFTS, "inkring_collab_mutations_total")
    .of_the_original()
    .by(&["type"])
    .says("Committed changes; repeated requests do not count", "What is changed?");

pub(crate) static CONFLICTS: Row = Row::counter(&DRAFTS, "inkring_ring_conflicts_total")
    .by(&["code"])
    .says("Changes refused by the rules of the ring, by rule", "Do clients act out of turn?");

pub(crate) const ROWS: &[&Row] = &[&ROOMS, &REPLAY, &MUTATIONS, &CONFLICTS];

/// What is counted.
#[derive(Debug)]
pub(super) struct Counters {
    /// Drafts made.
    pub(super) created: Counter,
    /// Segments appended.
    pub(super) appended: Counter,
    /// Rings passed.
    pub(super) passed: Counter,
    /// Collaborators added.
    pub(super) added: Counter,
    /// Members who left.
    pub(super) left: Counter,
    /// Members who were removed.
    pub(super) removed: Counter,
    /// Drafts handed over.
    pub(super) transferred: Counter,
    /// Drafts locked.
    pub(super) locked: Counter,
    /// Drafts unlocked.
    pub(super) unlocked: Counter,
    /// Leases set.
    pub(super) leased: Counter,
    /// Rings taken back.
    pub(super) reclaimed: Counter,
    /// Texts taken out.
    pub(super) redacted: Counter,
    /// Drafts deleted.
    pub(super) deleted: Counter,
    /// Changes that the ring refused, by the word for the rule.
    pub(super) conflicts: Labelled<Counter>,
    /// Sockets that caught up and miss nothing.
    pub(super) replay_full: Counter,
    /// Sockets that caught up with the newest events only.
    pub(super) replay_partial: Counter,
    /// Sockets that missed something and were sent nothing of it.
    pub(super) replay_none: Counter,
}

impl Counters {
    /// With nothing counted.
    pub(super) fn new(metrics: &Metrics) -> Self {
        let (mutations, replay) = (metrics.counters(&MUTATIONS), metrics.counters(&REPLAY));
        Self {
            created: mutations.with(&["create_draft"]),
            appended: mutations.with(&["append_segment"]),
            passed: mutations.with(&["pass_ring"]),
            added: mutations.with(&["add_collaborator"]),
            left: mutations.with(&["leave_draft"]),
            removed: mutations.with(&["remove_collaborator"]),
            transferred: mutations.with(&["transfer_draft"]),
            locked: mutations.with(&["lock_draft"]),
            unlocked: mutations.with(&["unlock_draft"]),
            leased: mutations.with(&["set_lease"]),
            reclaimed: mutations.with(&["reclaim_ring"]),
            redacted: mutations.with(&["redact_segment"]),
            deleted: mutations.with(&["delete_draft"]),
            conflicts: metrics.counters(&CONFLICTS),
            replay_full: replay.with(&["full"]),
            replay_partial: replay.with(&["partial"]),
            replay_none: replay.with(&["none"]),
        }
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::new(&Metrics::default())
    }
}

/// Has metrics show how many drafts are watched.
pub(super) fn show_rooms(metrics: &Metrics, seats: Seats) {
    let rooms = metrics.gauge(&ROOMS);
    metrics.sample_with(move || set_usize(&rooms, seats.topics()));
}
