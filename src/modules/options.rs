//! What is configured of the modules.

use std::path::PathBuf;

use super::access::password::MIN_CHARS;
use super::limits::PER_HOUR_MAX;
use super::zone::Zone;
use crate::settings::{Kind, Knob, Section, Settings, flag, int, secret, text};
use crate::store::options::DATABASE;

/// The heading of all that belongs to them.
pub(super) static MODULES: Section = Section { title: "Modules", after: None };

pub(crate) static ENABLED: Knob = flag(&MODULES, "MODULES_ENABLED", "true")
    .refusing()
    .in_status("modules_enabled")
    .meaning("Serves the household's modules at /api/v1. With false they are not served; their stored data is kept.");

pub(crate) static TIMEZONE: Knob =
    Knob::new(&MODULES, "HOUSEHOLD_TIMEZONE", Kind::Text, "Europe/Kyiv").refusing().meaning(
        "The household's time zone, by its name in the tz database. Times that people enter are local times of this \
     zone, and stay as entered even if the zone's rules or the server's zone change. The default is the zone of the original's \
     household, which its existing clients expect: set your own.",
    );

pub(crate) static PER_MINUTE: Knob =
    Knob::new(&MODULES, "MODULES_LIMIT_PER_MINUTE", int(1, PER_HOUR_MAX as u64, "requests"), "60")
        .reloading()
        .at_bound("429 `rate_limit_exceeded`", "the_61st_call_is_refused_and_probes_are_not")
        .only_with(&[&ENABLED])
        .meaning("Maximum number of requests to the modules from one client address per minute.");

pub(crate) static PER_HOUR: Knob =
    Knob::new(&MODULES, "MODULES_LIMIT_PER_HOUR", int(1, PER_HOUR_MAX as u64, "requests"), "1000")
        .reloading()
        .at_bound("429 `rate_limit_exceeded`", "the_hour_has_a_limit_of_its_own")
        .only_with(&[&ENABLED])
        .meaning("Maximum number of requests to the modules from one client address per hour.");

pub(crate) static PASSWORD: Knob = secret(&MODULES, "HOUSEHOLD_PASSWORD")
    .strong_from(MIN_CHARS)
    .for_production()
    .refusing()
    .reloading()
    .needed_with(&ENABLED)
    .meaning(
        "The password of the modules. POST /api/session exchanges it for a session. Without one, nobody can use the \
     modules in production; elsewhere anyone who can reach the server can. Changing it does not end open sessions.",
    );

pub(crate) static CHAT: Knob = flag(&MODULES, "CHAT_ENABLED", "true")
    .meaning("Answers POST /api/v1/ci/chat from the household's own records. With false it returns 503.");

pub(crate) static PARTICIPANT_KEY: Knob =
    secret(&MODULES, "CIMEIKA_PARTICIPANT_KEY").strong_from(16).also(&["PARTICIPANT_API_KEY"]).refusing().meaning(
        "The key that clients of POST /api/participant/message, which answers questions about logs, send as \
         X-API-KEY. Without one, every request to it gets 500.",
    );

pub(crate) static GALLERY_DIR: Knob = text(&MODULES, "GALLERY_DIR")
    .refusing()
    .private()
    .meaning("The directory for files uploaded to the gallery. The default is `media` next to the database.");

pub(crate) static GALLERY_MAX_BYTES: Knob =
    Knob::new(&MODULES, "GALLERY_MAX_BYTES", int(1, GALLERY_MOST_BYTES as u64, "bytes"), "52428800")
        .at_bound("413 `payload_too_large`", "what_is_no_upload_leaves_nothing")
        .only_with(&[&ENABLED])
        .meaning("Maximum size of a file uploaded to the gallery, in bytes.");

pub(crate) static GALLERY_KEEP_LOCATION: Knob =
    flag(&MODULES, "GALLERY_KEEP_LOCATION", "false").only_with(&[&ENABLED]).meaning(
        "Serves gallery files with the location recorded in them. With false, clients get a copy without the location; \
     the stored file is not changed.",
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
        format!("HOUSEHOLD_TIMEZONE={name} is not a zone of the tz database; use a name such as Europe/Kyiv")
    })
}
