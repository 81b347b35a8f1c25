//! Has a running server follow a configuration that was changed: all of it that can be followed, or nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};

use log::Level;
use log::kv::Value;

use crate::config::{self, Change, ConfigError, Loaded, Reloaded, SettingsPath, Sources};
use crate::observe::options::{LEVEL, word};
use crate::observe::{self, LogHandle};
use crate::server::Server;

/// Reads the configuration again, takes what a running server can take, and logs what came of it.
pub(super) fn reload(path: &SettingsPath, running: &mut Loaded, server: &Server, logs: &LogHandle) {
    // Nothing is changed before all of it was found to be good, so a panic on the way leaves everything as it was. The
    // panic hook has logged what happened.
    let taken = catch_unwind(AssertUnwindSafe(|| take(path, running, server)));
    let panicked = || ConfigError::of("the reload panicked".to_owned(), Vec::new());
    match taken.unwrap_or_else(|_| Err(panicked())) {
        Ok(taken) => {
            log_what_changed(&taken, running, logs);
            *running = taken.loaded;
        }
        Err(ConfigError { problems, warnings }) => {
            for problem in &problems {
                log::error!(problem = problem.as_str(); "config.reload_failed");
            }
            for sentence in warnings.iter().filter(|sentence| !running.warnings.contains(sentence)) {
                log::warn!("{sentence}");
            }
        }
    }
}

/// Has the server follow what the configuration says now; or everything that is wrong with it.
fn take(path: &SettingsPath, running: &Loaded, server: &Server) -> Result<Reloaded, ConfigError> {
    let mut read = Sources::read(path).and_then(|sources| config::reload(running, &sources))?;
    // The server goes last of those that may refuse, and changes nothing if it does.
    match server.reload(&read.loaded.settings) {
        Ok(warnings) => {
            read.loaded.warnings.extend(warnings);
            Ok(read)
        }
        Err(problem) => Err(ConfigError::of(problem, read.loaded.warnings)),
    }
}

/// Sets the level of the log to the configured one, and says what else has changed.
fn log_what_changed(now: &Reloaded, before: &Loaded, logs: &LogHandle) {
    let (level_before, level) = (logs.level(), observe::Options::of(&now.loaded.settings).level);
    let mut taken = now.taken.clone();
    // It may have been changed since the start by other means than the configuration.
    if level_before != level && !taken.iter().any(|change| change.name == LEVEL.name) {
        taken.push(Change { name: LEVEL.name, old: word(level_before), new: word(level) });
    }
    // What is said of the change itself is let through if either level would.
    logs.set_level(level_before.max(level));
    for sentence in now.loaded.warnings.iter().filter(|sentence| !before.warnings.contains(sentence)) {
        log::warn!("{sentence}");
    }
    log_changes(&taken, &now.waiting);
    logs.set_level(level);
}

/// One line with a field for each change; the names of those that wait stand before, should there be too many fields.
fn log_changes(taken: &[Change], waiting: &[Change]) {
    let names: Vec<&str> = waiting.iter().map(|change| change.name).collect();
    let names = Some(names.join(", ")).filter(|names| !names.is_empty());
    let shown = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
    let arrow = |change: &Change| (change.name, format!("{} → {}", shown(&change.old), shown(&change.new)));
    let changes: Vec<(&str, String)> = taken.iter().chain(waiting).map(arrow).collect();
    let mut fields = vec![("changed", Value::from(changes.len()))];
    fields.extend(names.as_deref().map(|names| ("needs_restart", Value::from(names))));
    fields.extend(changes.iter().map(|(name, change)| (*name, Value::from(change.as_str()))));
    observe::event(Level::Info, "config.reloaded", &fields);
}
