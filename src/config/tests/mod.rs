//! The configuration as an operator meets it: what is read, refused and shown.

mod loading;
mod reloading;
mod secrets;
mod texts;
mod values;

use std::collections::BTreeSet;

use super::knobs::{GUARDS, KNOBS, Knob, Section, TOKEN_KEYS};
use super::value::parse;
use super::{ConfigError, Loaded, Sources, load};

fn knob(name: &str) -> &'static Knob {
    KNOBS.iter().find(|knob| knob.name == name).unwrap()
}

fn from_env(env: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    load(&Sources::from_pairs(env, &[]), false)
}

fn problems(env: &[(&str, &str)], dotenv: &[(&str, &str)]) -> Vec<String> {
    load(&Sources::from_pairs(env, dotenv), false).unwrap_err().problems
}

fn complaint(name: &str, text: &str) -> String {
    parse(knob(name), name, text).unwrap_err().to_string()
}

#[test]
fn the_table_is_sound() {
    let files = KNOBS.iter().flat_map(Knob::file_names);
    let names: Vec<String> = KNOBS.iter().flat_map(Knob::names).map(str::to_owned).chain(files).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "a name comes twice");
    for knob in KNOBS {
        for text in [Some(knob.default), knob.in_production].into_iter().flatten() {
            let value = parse(knob, knob.name, text).unwrap();
            assert_eq!(value.to_string(), text, "{} is not in its shortest form", knob.name);
        }
        assert!(Section::ALL.contains(&knob.section));
        assert!(knob.meaning.ends_with('.'), "{}", knob.name);
    }
    for name in GUARDS.iter().map(|(name, _)| *name).chain(TOKEN_KEYS) {
        knob(name);
    }
}
