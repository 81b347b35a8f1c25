//! What the house is made of: the list of everyone who declares something. A feature is one line of it.

use crate::settings::{self, Knob, in_order};
use crate::{audit, backup, drafts, gate, housekeeper, hub, net, observe, ops, store};

/// What each of them lists.
fn owners() -> Vec<&'static [&'static Knob]> {
    let platform = [settings::KNOBS, net::options::KNOBS, store::options::KNOBS, observe::options::KNOBS];
    let gate = gate::options::KNOBS.iter().copied();
    let others = [housekeeper::KNOBS, audit::options::KNOBS, hub::options::KNOBS];
    let features = [drafts::options::KNOBS, ops::options::KNOBS, backup::options::KNOBS];
    platform.into_iter().chain(gate).chain(others).chain(features).collect()
}

/// Every setting, as they are shown.
pub(crate) fn knobs() -> Vec<&'static Knob> {
    in_order(&owners())
}

/// Every setting, owner by owner.
pub(crate) fn declared() -> impl Iterator<Item = &'static Knob> {
    owners().into_iter().flatten().copied()
}
