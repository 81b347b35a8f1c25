//! What every verb does: load the configuration, print, fail.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::config::{self, ConfigError, Loaded, SettingsPath, Sources};

/// Exit code when a check ran and found problems, or the settings are wrong.
pub(super) const FOUND_PROBLEMS: u8 = 3;

/// Reads the configuration, after it has said where from.
pub(super) fn load(path: &SettingsPath) -> Result<Loaded, ConfigError> {
    config::load(&sources(path)?, false)
}

/// What the configuration is made of, after it has said where from.
pub(super) fn sources(path: &SettingsPath) -> Result<Sources, ConfigError> {
    Sources::read(path).inspect(tell)
}

/// Says where the configuration comes from: on stderr, because on stdout there may be data.
pub(super) fn tell(sources: &Sources) {
    // In one piece: several verbs may write to one terminal.
    let line = format!("inkring: settings from {}\n", sources.described());
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Prints to stdout; a reader who has left is no error of ours.
pub(super) fn print(text: &str) -> ExitCode {
    let _ = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
    ExitCode::SUCCESS
}

/// The settings are wrong, of a verb whose exit code says so.
pub(super) fn misconfigured(error: &ConfigError) -> ExitCode {
    fail("the configuration is wrong", error, FOUND_PROBLEMS)
}

pub(super) fn fail(what: &str, error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "inkring: {what}:\n{error}");
    ExitCode::from(code)
}
