//! What is configured of the modules.

use std::path::PathBuf;

use super::limits::PER_HOUR_MAX;
use super::zone::Zone;
use crate::settings::{Kind, Knob, Section, Settings, flag, int, secret, text};
use crate::store::options::DATABASE;

/// The heading of all that belongs to them.
pub(super) static MODULES: Section = Section { title: "Modules", after: None };

pub(crate) static ENABLED: Knob = flag(&MODULES, "MODULES_ENABLED", "true").refusing().in_status("modules_enabled").meaning(
    "Whether there are the household's modules at all, at /api/v1. false leaves them out; what is stored of them stays.",
);

pub(crate) static TIMEZONE: Knob = Knob::new(&MODULES, "HOUSEHOLD_TIMEZONE", Kind::Text, "Europe/Kyiv").refusing().meaning(
    "Where the household lives, by the name of its zone in the tz database. Times that people type are of its clocks, and stay \
     what they typed whatever becomes of the zone or of the server's.",
);

pub(crate) static PER_MINUTE: Knob =
    Knob::new(&MODULES, "MODULES_LIMIT_PER_MINUTE", int(1, PER_HOUR_MAX as u64, "requests"), "60")
        .reloading()
        .at_bound("429 `rate_limit_exceeded`", "the_61st_call_is_refused_and_probes_are_not")
        .meaning("How many requests one client address may send to the modules within any minute.");

pub(crate) static PER_HOUR: Knob =
    Knob::new(&MODULES, "MODULES_LIMIT_PER_HOUR", int(1, PER_HOUR_MAX as u64, "requests"), "1000")
        .reloading()
        .at_bound("429 `rate_limit_exceeded`", "the_hour_has_a_limit_of_its_own")
        .meaning("How many within any hour.");

pub(crate) static PASSWORD: Knob = secret(&MODULES, "HOUSEHOLD_PASSWORD").for_production().refusing().reloading().needed_with(&ENABLED).meaning(
    "What the modules ask for: it is given at POST /api/session, which opens a session. In production nobody uses them while \
     there is none; elsewhere everybody may who reaches the server. Another one ends no session.",
);

pub(crate) static CHAT: Knob = flag(&MODULES, "CHAT_ENABLED", "true")
    .meaning("Whether POST /api/v1/ci/chat answers, from the household's own records. false has it answer 503.");

pub(crate) static PARTICIPANT_KEY: Knob =
    secret(&MODULES, "CIMEIKA_PARTICIPANT_KEY").also(&["PARTICIPANT_API_KEY"]).refusing().meaning(
        "The key that those show in X-API-KEY who ask POST /api/participant/message about logs. Without one nobody is let in, and \
         it answers 500.",
    );

pub(crate) static GALLERY_DIR: Knob = text(&MODULES, "GALLERY_DIR").refusing().private().meaning(
    "The directory of the files that are uploaded to the gallery. Unless set, it is `media` beside the database.",
);

pub(crate) static GALLERY_MAX_BYTES: Knob =
    Knob::new(&MODULES, "GALLERY_MAX_BYTES", int(1, GALLERY_MOST_BYTES as u64, "bytes"), "52428800")
        .at_bound("413 `payload_too_large`", "what_is_no_upload_leaves_nothing")
        .meaning("How large a file may be that is uploaded to the gallery.");

pub(crate) static GALLERY_KEEP_LOCATION: Knob = flag(&MODULES, "GALLERY_KEEP_LOCATION", "false").meaning(
    "Whether files of the gallery are served with what they say of where they were taken. false serves a copy without; the file \
     itself stays as it was sent.",
);

/// What a file of the gallery may have at most, whatever is configured.
pub(super) const GALLERY_MOST_BYTES: usize = 4 * 1024 * 1024 * 1024;

pub(crate) const KNOBS: &[&Knob] = &[
    &ENABLED,
    &TIMEZONE,
    &PER_MINUTE,
    &PER_HOUR,
    &PASSWORD,
    &CHAT,
    &PARTICIPANT_KEY,
    &GALLERY_DIR,
    &GALLERY_MAX_BYTES,
    &GALLERY_KEEP_LOCATION,
];

/// Where the files of the gallery are.
pub(super) fn gallery_directory(settings: &Settings) -> PathBuf {
    settings.path(&GALLERY_DIR).unwrap_or_else(|| settings.database(&DATABASE).with_file_name("media"))
}

/// Where the household lives.
pub(super) fn zone(settings: &Settings) -> Result<Zone, String> {
    let name = settings.text(&TIMEZONE).unwrap_or_default();
    Zone::named(name).ok_or_else(|| {
        format!("HOUSEHOLD_TIMEZONE={name} is no zone of the tz database; it has names like Europe/Kyiv")
    })
}
