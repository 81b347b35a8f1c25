//! Has a running server follow a configuration that was changed: all of it that can be followed, or nothing.

use log::kv::Value;
use log::{Level, LevelFilter};

use super::{log_level, sources};
use crate::config::{self, Change, Loaded};
use crate::observe::{self, LogHandle};
use crate::server::Server;

/// Reads the configuration again, takes what a running server can take, and logs what came of it.
pub(super) fn reload(running: &mut Loaded, server: &Server, logs: &LogHandle) {
    let read = sources().and_then(|sources| config::reload(running, &sources)).map_err(|error| error.problems);
    // The server goes last of those that may refuse; from there on nothing fails.
    let taken = read.and_then(|read| match server.reload(&read.loaded.config) {
        Ok(warning) => Ok((read, warning)),
        Err(error) => Err(vec![error.to_string()]),
    });
    let (mut read, warning) = match taken {
        Ok(taken) => taken,
        Err(problems) => {
            for problem in &problems {
                log::error!(problem = problem.as_str(); "config.reload_failed");
            }
            return;
        }
    };
    let (level_before, level) = (logs.level(), log_level(&read.loaded.config));
    // It may have been changed since the start by other means than the configuration.
    if level_before != level && !read.taken.iter().any(|change| change.name == "LOG_LEVEL") {
        read.taken.push(Change { name: "LOG_LEVEL", old: word(level_before), new: word(level) });
    }
    // What is said of the change itself is let through if either level would.
    logs.set_level(level_before.max(level));
    for sentence in read.loaded.warnings.iter().filter(|sentence| !running.warnings.contains(sentence)).chain(&warning)
    {
        log::warn!("{sentence}");
    }
    log_changes(&read.taken, &read.waiting);
    logs.set_level(level);
    *running = read.loaded;
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

/// A level as it is written in the configuration.
fn word(level: LevelFilter) -> String {
    level.as_str().to_ascii_lowercase()
}
