//! What is configured of the log.

use log::LevelFilter;

use super::{Format, Options};
use crate::settings::{Kind, Knob, LOGS, Settings, flag};

pub(crate) static LEVEL: Knob =
    Knob::new(&LOGS, "LOG_LEVEL", Kind::Choice(&["off", "error", "warn", "info", "debug", "trace"]), "info")
        .first()
        .reloading()
        .meaning("Lowest level of messages that are logged.");

pub(crate) static FORMAT: Knob = Knob::new(&LOGS, "LOG_FORMAT", Kind::Choice(&["auto", "pretty", "json"]), "auto")
    .meaning("Format of log lines. auto means json in production, otherwise pretty.");

pub(crate) static CLIENT_ADDRESS: Knob = flag(&LOGS, "LOG_CLIENT_ADDRESS", "true").meaning(
    "Logs client addresses: ip in request.complete, request.limited, request.abandoned and auth.failed, and peer in \
     request.rejected. Programs that ban addresses based on the log (docs/deploy/fail2ban) need them. Warnings \
     about single connections and proxies contain addresses regardless.",
);

pub(crate) const KNOBS: &[&Knob] = &[&LEVEL, &FORMAT, &CLIENT_ADDRESS];

impl Options {
    /// As configured. `auto` is settled by where the server runs.
    pub fn of(settings: &Settings) -> Self {
        let format = match settings.word(&FORMAT) {
            "json" => Format::Json,
            "auto" if settings.production() => Format::Json,
            _ => Format::Pretty,
        };
        // Proof: the words of the knob are those of the library, as a test says.
        Self { level: level(settings.word(&LEVEL)).unwrap_or(LevelFilter::Info), format }
    }
}

/// The level that this word stands for, in any case.
pub fn level(word: &str) -> Option<LevelFilter> {
    word.parse().ok()
}

/// A level as it is written in the configuration.
pub fn word(level: LevelFilter) -> String {
    level.as_str().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_has_its_word_in_order() {
        let Kind::Choice(words) = LEVEL.kind else { panic!() };
        assert_eq!(words, LevelFilter::iter().map(word).collect::<Vec<_>>());
        assert!(words.iter().all(|text| level(text).map(word).as_deref() == Some(text)));
    }
}
