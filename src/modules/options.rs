//! What is configured of the modules.

use super::zone::Zone;
use crate::settings::{Kind, Knob, Section, Settings, flag};

/// The heading of all that belongs to them.
pub(super) static MODULES: Section = Section { title: "Modules", after: None };

pub(crate) static ENABLED: Knob = flag(&MODULES, "MODULES_ENABLED", "true").refusing().in_status("modules_enabled").meaning(
    "Whether there are the household's modules at all, at /api/v1. false leaves them out; what is stored of them stays.",
);

pub(crate) static TIMEZONE: Knob = Knob::new(&MODULES, "HOUSEHOLD_TIMEZONE", Kind::Text, "Europe/Kyiv").refusing().meaning(
    "Where the household lives, by the name of its zone in the tz database. Times that people type are of its clocks, and stay \
     what they typed whatever becomes of the zone or of the server's.",
);

pub(crate) const KNOBS: &[&Knob] = &[&ENABLED, &TIMEZONE];

/// Where the household lives.
pub(super) fn zone(settings: &Settings) -> Result<Zone, String> {
    let name = settings.text(&TIMEZONE).unwrap_or_default();
    Zone::named(name).ok_or_else(|| {
        format!("HOUSEHOLD_TIMEZONE={name} is no zone of the tz database; it has names like Europe/Kyiv")
    })
}
