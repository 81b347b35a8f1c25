//! What every verb does: load the configuration, print, fail.

use std::io::{self, Write};

use crate::config::{self, ConfigError, Loaded, SettingsPath, Sources};
pub(super) use crate::feature::verb::{FOUND_PROBLEMS, fail, misconfigured, print};

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
