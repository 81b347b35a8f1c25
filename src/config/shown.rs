//! The settings as an operator is shown them, whatever is wrong with some.

use super::parse::echo;
use super::{ConfigError, SettingsPath, Sources, load, resolve, says_production, says_strict, unset};
use crate::settings::{Knob, OnBad, Setting};

/// One setting as it is shown.
pub struct Line {
    pub(super) knob: &'static Knob,
    /// Its value; a secret is masked.
    pub(super) value: String,
    /// Where that comes from, or what is wrong with it.
    pub(super) note: String,
    /// Whether somebody has set it.
    pub(super) is_given: bool,
}

impl From<&Setting> for Line {
    fn from(setting: &Setting) -> Self {
        let (note, is_given) = (setting.origin.to_string(), setting.origin.is_given());
        Self { knob: setting.knob, value: setting.shown(), note, is_given }
    }
}

/// Every setting, and what keeps a server from starting with them.
pub struct Shown {
    /// One for each knob, in the order of the table.
    pub lines: Vec<Line>,
    /// What these settings are read from.
    pub sources: Sources,
    /// Whether all of that could be read.
    pub is_all: bool,
    /// Everything that is wrong.
    pub refused: Option<ConfigError>,
}

/// Reads the configuration to show it: what cannot be read or is wrong keeps nothing else from being shown.
#[must_use]
pub fn show(path: &SettingsPath) -> Shown {
    let (sources, unread) = Sources::what_can_be_read(path);
    let (production, strict) = (says_production(&sources), says_strict(&sources));
    let mut problems = unread.clone();
    let mut line = |knob| match resolve(knob, &sources, production) {
        Ok(setting) => Line::from(&setting),
        Err(bad) => {
            let is_refused = strict || knob.on_bad == OnBad::Refuse;
            problems.extend(is_refused.then(|| bad.to_string()));
            wrong(knob, &sources, production, is_refused)
        }
    };
    let lines = super::KNOBS.iter().map(|knob| line(*knob)).collect();
    let is_all = unread.is_empty();
    let refused = match is_all {
        true => load(&sources, false).err(),
        // What belongs together cannot be told while some of it is not known.
        false => Some(ConfigError { problems, warnings: sources.near_names().collect() }),
    };
    Shown { lines, sources, is_all, refused }
}

/// A setting whose value is not one: as it was given, if that is refused, and else what is used in its place.
fn wrong(knob: &'static Knob, sources: &Sources, production: bool, is_refused: bool) -> Line {
    let (text, origin) = match sources.find(knob) {
        Ok(Some(given)) => (echo(knob, &given.text), given.origin.to_string()),
        // There is no telling what was meant.
        _ => return Line { knob, value: String::new(), note: "wrong".to_owned(), is_given: true },
    };
    match unset(knob, production) {
        Ok(default) if !is_refused => {
            let note = format!("{}, because {text} is wrong ({origin})", default.origin);
            Line { knob, value: default.shown(), note, is_given: true }
        }
        _ => Line { knob, value: text, note: format!("wrong ({origin})"), is_given: true },
    }
}
