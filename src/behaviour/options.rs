//! What is configured of behaviour metrics.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::bucket::Rate;
use crate::gate::HashedSecret;
use crate::settings::{Kind, Knob, Section, Settings, flag, int, secret, text};

/// The heading of all that belongs to them.
pub(super) static BEHAVIOUR: Section = Section { title: "Behaviour metrics", after: None };

const MIB: u64 = 1024 * 1024;

pub(crate) static FILE: Knob =
    Knob::new(&BEHAVIOUR, "METRICS_JSONL", Kind::Text, "./data/metrics.jsonl").refusing().private().meaning(
        "The file that events are appended to, one JSON object per line. Rotated files are kept next to it, and its \
         directory is created if missing. Responses contain the path as written here, or only the file name if it \
         is absolute.",
    );

pub(crate) static DIRECTORY: Knob = text(&BEHAVIOUR, "METRICS_DIR")
    .refusing()
    .ignored_with(&FILE)
    .meaning("The directory for metrics.jsonl. Ignored if METRICS_JSONL is set.");

pub(crate) static RING_CAPACITY: Knob =
    Knob::new(&BEHAVIOUR, "METRICS_RING_CAPACITY", int(1, 100_000, "events"), "500")
        .refusing()
        .at_bound("the oldest are dropped", "the_ring_keeps_the_newest_and_starts_with_those_of_the_file")
        .meaning("How many of the newest events are kept in memory for /api/metrics/behavior.");

pub(crate) static SAMPLE_RATE: Knob = Knob::new(&BEHAVIOUR, "METRICS_SAMPLE_RATE", Kind::Fraction, "1.0")
    .refusing()
    .reloading()
    .in_status("metrics_sample_rate")
    .meaning(
        "The fraction of events written to the file, chosen at random. 1.0 writes all, 0 none (to stop writing at \
         once).",
    );

pub(crate) static PER_SECOND: Knob = Knob::new(&BEHAVIOUR, "METRICS_RATE_PER_SECOND", int(0, 100_000, "requests"), "5")
    .refusing()
    .reloading()
    .at_bound("429 `rate_limited`", "a_burst_is_limited_as_by_nginx_and_only_that")
    .meaning(
        "Maximum number of requests with events per second from one address. 0 refuses all of them, as an emergency \
         brake.",
    );

pub(crate) static BURST: Knob = Knob::new(&BEHAVIOUR, "METRICS_BURST", int(0, 100_000, "requests"), "10")
    .refusing()
    .reloading()
    .at_bound("429 `rate_limited`", "a_burst_is_limited_as_by_nginx_and_only_that")
    .meaning("How many of these requests may arrive at once in addition to the first.");

pub(crate) static SNAPSHOT_TOKEN: Knob =
    secret(&BEHAVIOUR, "METRICS_SNAPSHOT_TOKEN").strong_from(16).refusing().reloading().meaning(
        "The Bearer token for full visitor ids in /api/metrics/behavior. Requests from this machine do not need it. If \
     not set, everyone sees full ids.",
    );

pub(crate) static MAX_MB: Knob = Knob::new(&BEHAVIOUR, "METRICS_MAX_MB", int(0, 1_000_000, "MiB"), "64")
    .refusing()
    .reloading()
    .at_bound("a new file is started", "writers_lose_no_line_over_many_rotations")
    .meaning(
        "Maximum size of the file before a new one is started. With 0, a new one is started only at the end of the \
         day.",
    );

pub(crate) static GZIP_AFTER_DAYS: Knob = Knob::new(&BEHAVIOUR, "METRICS_GZIP_AFTER_DAYS", int(0, 36_500, "days"), "3")
    .refusing()
    .reloading()
    .meaning("How old a rotated file may be before it is compressed, by the day in its name. 0 compresses none.");

pub(crate) static RETENTION_DAYS: Knob = Knob::new(&BEHAVIOUR, "METRICS_RETENTION_DAYS", int(0, 36_500, "days"), "30")
    .refusing()
    .reloading()
    .in_status("metrics_retention_days")
    .at_bound("removed, compressed or not", "a_file_is_compressed_and_removed_by_the_day_in_its_name")
    .meaning(
        "How old a rotated file may be before it is removed, by the day in its name. 0 keeps all of them forever.",
    );

pub(crate) static ROTATE_SECONDS: Knob =
    Knob::new(&BEHAVIOUR, "METRICS_ROTATE_SECONDS", int(1, 86_400, "seconds"), "300").refusing().meaning(
        "How often files are checked for rotation, compression and removal. The end of the day and the size are also \
     checked on each event.",
    );

pub(crate) static CLIENT_SAMPLE_RATE: Knob = Knob::new(&BEHAVIOUR, "METRICS_CLIENT_SAMPLE_RATE", Kind::Fraction, "1.0")
    .refusing()
    .reloading()
    .also(&["VITE_METRICS_SAMPLE_RATE"])
    .meaning(
        "The fraction of events that pages send at all, chosen at random by the script /static/metrics.js. 1.0 \
         sends all, 0 none. METRICS_SAMPLE_RATE applies to the events that are sent. Open pages pick up a new value \
         when they are next loaded.",
    );

pub(crate) static CONSENT: Knob =
    Knob::new(&BEHAVIOUR, "METRICS_CONSENT", Kind::Choice(&["opt-out", "opt-in"]), "opt-out")
        .refusing()
        .reloading()
        .meaning(
            "Whether the script in pages counts visitors who have not chosen yet: opt-out counts them, opt-in waits \
             for their consent. Visitors who have declined, and browsers that send DNT or GPC, are never counted.",
        );

pub(crate) static DEV_GATE: Knob = flag(&BEHAVIOUR, "METRICS_DEV_GATE", "true").refusing().reloading().meaning(
    "Shows a badge with the latest events on pages opened with ?dev=1. This is a convenience, not access control.",
);

pub(crate) const KNOBS: &[&Knob] = &[
    &FILE,
    &DIRECTORY,
    &RING_CAPACITY,
    &SAMPLE_RATE,
    &PER_SECOND,
    &BURST,
    &SNAPSHOT_TOKEN,
    &MAX_MB,
    &GZIP_AFTER_DAYS,
    &RETENTION_DAYS,
    &ROTATE_SECONDS,
    &CLIENT_SAMPLE_RATE,
    &CONSENT,
    &DEV_GATE,
];

/// The file that is written.
pub(super) fn file(settings: &Settings) -> PathBuf {
    let named = settings.path(&FILE).unwrap_or_else(|| PathBuf::from(FILE.default));
    match settings.path(&DIRECTORY) {
        Some(directory) if !settings.of(&FILE).origin.is_given() => in_directory(&directory),
        _ => named,
    }
}

/// The file in a directory of which no other name is known.
pub(super) fn in_directory(directory: &Path) -> PathBuf {
    directory.join("metrics.jsonl")
}

/// The file as answers name it: never where on the machine it is.
pub(super) fn shown(file: &Path) -> String {
    if file.is_absolute() {
        return file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    }
    let named: PathBuf = file.components().filter(|part| *part != Component::CurDir).collect();
    named.to_string_lossy().into_owned()
}

/// What a reload replaces.
pub(super) struct Live {
    /// From 0 for none to 1 for all.
    pub(super) sample_rate: f64,
    pub(super) rate: Rate,
    /// What shows whole ids, if everyone does not see them.
    pub(super) token: Option<HashedSecret>,
    pub(super) rules: Rules,
    pub(super) client: Client,
}

impl Live {
    /// As configured.
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            sample_rate: settings.fraction(&SAMPLE_RATE).as_f64(),
            rate: Rate { per_second: settings.small(&PER_SECOND), burst: settings.small(&BURST) },
            token: settings.secret(&SNAPSHOT_TOKEN).map(|token| HashedSecret::new(token.bytes())),
            rules: Rules::of(settings),
            client: Client::of(settings),
        }
    }
}

/// What the script in pages goes by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Client {
    /// From 0 for none to 1 for all.
    pub(super) sample_rate: f64,
    /// `opt-out` or `opt-in`.
    pub(super) consent: &'static str,
    /// Whether `?dev=1` shows the badge.
    pub(super) dev_gate: bool,
}

impl Client {
    /// As configured.
    fn of(settings: &Settings) -> Self {
        Self {
            sample_rate: settings.fraction(&CLIENT_SAMPLE_RATE).as_f64(),
            consent: settings.word(&CONSENT),
            dev_gate: settings.flag(&DEV_GATE),
        }
    }
}

/// When files are moved aside, compressed and removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    /// The size at which another file is begun; none for only at the end of a day.
    pub(super) max_bytes: Option<u64>,
    /// After how many days a file is compressed, if ever.
    pub(super) gzip_after_days: Option<u32>,
    /// After how many days it is removed, if ever.
    pub(super) keep_days: Option<u32>,
}

impl Rules {
    /// As configured.
    pub(super) fn of(settings: &Settings) -> Self {
        let days = |knob| Some(settings.small(knob)).filter(|days| *days > 0);
        Self {
            max_bytes: Some(u64::from(settings.small(&MAX_MB)) * MIB).filter(|bytes| *bytes > 0),
            gzip_after_days: days(&GZIP_AFTER_DAYS),
            keep_days: days(&RETENTION_DAYS),
        }
    }
}

/// How often files are looked after.
pub(super) fn every(settings: &Settings) -> Duration {
    settings.seconds(&ROTATE_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_answer_tells_where_on_the_machine_the_file_is() {
        for (file, says) in [
            ("./data/metrics.jsonl", "data/metrics.jsonl"),
            ("data/./metrics.jsonl", "data/metrics.jsonl"),
            ("/var/lib/inkring/metrics.jsonl", "metrics.jsonl"),
            ("../a/metrics.jsonl", "../a/metrics.jsonl"),
        ] {
            assert_eq!(shown(Path::new(file)), says);
        }
    }
}
