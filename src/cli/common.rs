//! What every verb does: load the configuration, print, fail.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::config::{self, ConfigError, Loaded, Sources};

/// Exit code when a check ran and found problems.
pub(super) const FOUND_PROBLEMS: u8 = 3;

pub(super) fn load(strict: bool) -> Result<Loaded, ConfigError> {
    config::load(&sources()?, strict)
}

pub(super) fn sources() -> Result<Sources, ConfigError> {
    Sources::from_process(Path::new("."))
}

/// How long so many seconds are, as people say it.
pub(super) fn span(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..120 => (seconds, "seconds"),
        120..7200 => (seconds / 60, "minutes"),
        7200..172_800 => (seconds / 3600, "hours"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{count} {unit}")
}

/// Prints to stdout; a reader who has left is no error of ours.
pub(super) fn print(text: &str) -> ExitCode {
    let _ = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
    ExitCode::SUCCESS
}

pub(super) fn fail(what: &str, error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "inkring: {what}:\n{error}");
    ExitCode::from(code)
}
