//! Another configuration for a server that runs: what of it is taken, and what has to wait for the next start.

use super::{ConfigError, Loaded, Sources, read};
use crate::features;
use crate::settings::{Knob, Setting, Settings};

/// A setting that has another value than before, both as they may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The name of the setting.
    pub name: &'static str,
    /// The value that it had.
    pub old: String,
    /// The value that it is given now.
    pub new: String,
}

impl Change {
    fn between(knob: &Knob, old: &Setting, new: &Setting) -> Self {
        Self { name: knob.name, old: old.shown(), new: new.shown() }
    }
}

/// What a reload comes to.
#[derive(Clone, Debug)]
pub struct Reloaded {
    /// What the server is to run with from now on: what it runs with, and of the new values those that it can take.
    pub loaded: Loaded,
    /// What is taken.
    pub taken: Vec<Change>,
    /// What is not, until the next start.
    pub waiting: Vec<Change>,
}

/// Reads the configuration again for a server that runs with another one.
///
/// It is held to the rules of a start, and to stricter ones where guessing is worse than staying as it is: a bad value is
/// refused though a start would use the default instead, unless the server runs with that default already. If the server
/// is strict, so is this, whatever the new configuration says. Defaults are those of the `ENV` that it runs with, and what it comes
/// to has to be good together with all that waits.
///
/// # Errors
///
/// Everything that is wrong, all at once. Nothing is to be taken then.
pub fn reload(running: &Loaded, sources: &Sources) -> Result<Reloaded, ConfigError> {
    let found = read(sources, running.settings.strict(), Some(running))?;
    let (mut taken, mut waiting) = (Vec::new(), Vec::new());
    let mut settings = Vec::new();
    // Both have one setting for each knob, in the order of the table.
    for (old, new) in running.settings.iter().zip(found.settings.iter()) {
        let (knob, changed) = (new.knob, new.value != old.value);
        if changed {
            let change = Change::between(knob, old, new);
            if knob.reloads { &mut taken } else { &mut waiting }.push(change);
        }
        settings.push(if changed && !knob.reloads { old.clone() } else { new.clone() });
    }
    let settings = Settings::new(settings, running.settings.strict());
    // A value that would do beside one that waits need not do beside the one in force: in production more is asked of a password.
    let problems = features::mistakes(&settings);
    if !problems.is_empty() {
        return Err(ConfigError { problems, warnings: found.warnings });
    }
    Ok(Reloaded { loaded: Loaded { settings, ..found }, taken, waiting })
}
