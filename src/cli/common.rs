//! What every verb does: load the configuration, print, fail.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::config::{self, ConfigError, Loaded, Sources};
use crate::net::Endpoint;
use crate::net::client::{Answer, Ask, AskError};
use crate::settings::Secret;

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

/// Asks the private plane of a server on this machine, as somebody who has its token.
pub(super) fn ask_privately(
    ask: Ask<'_>,
    to: &Endpoint,
    token: Option<&Secret>,
    patience: Duration,
) -> Result<Answer, AskError> {
    let bearer = token.map(|token| format!("Bearer {}", String::from_utf8_lossy(token.bytes())));
    let mut headers = ask.headers.to_vec();
    headers.extend(bearer.iter().map(|bearer| ("Authorization", bearer.as_str())));
    let to = to.from_here();
    Ask { headers: &headers, ..ask }.send(&to, &to.host(), patience)
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
