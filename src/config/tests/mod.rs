//! The configuration as an operator meets it: what is read, refused and shown.

mod loading;
mod reloading;
mod secrets;
mod texts;
mod values;

use std::collections::BTreeSet;

use super::knobs::KNOBS;
use super::parse::parse;
use super::{ConfigError, Line, Loaded, Sources, docs, load};
use crate::settings::{Kind, Knob, Settings};

fn knob(name: &str) -> &'static Knob {
    KNOBS.iter().copied().find(|knob| knob.name == name).unwrap()
}

fn from_env(env: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    load(&Sources::from_pairs(env, &[]), false)
}

/// Settings that are good, as they are shown.
fn effective(settings: &Settings) -> String {
    docs::effective(&settings.iter().map(Line::from).collect::<Vec<_>>(), false)
}

fn problems(env: &[(&str, &str)], dotenv: &[(&str, &str)]) -> Vec<String> {
    load(&Sources::from_pairs(env, dotenv), false).unwrap_err().problems
}

fn complaint(name: &str, text: &str) -> String {
    parse(knob(name), name, text).unwrap_err().to_string()
}

#[test]
fn the_table_is_sound() {
    let files = KNOBS.iter().flat_map(|knob| knob.file_names());
    let names: Vec<String> = KNOBS.iter().flat_map(|knob| knob.names()).map(str::to_owned).chain(files).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "a name comes twice");
    for knob in KNOBS.iter().copied() {
        for text in [Some(knob.default), knob.in_production].into_iter().flatten() {
            let value = parse(knob, knob.name, text).unwrap();
            assert_eq!(value.to_string(), text, "{} is not in its shortest form", knob.name);
        }
        assert!(knob.meaning.ends_with('.'), "{}", knob.name);
    }
    let guards: Vec<_> = KNOBS.iter().filter(|knob| knob.guards_against.is_some()).map(|knob| knob.kind).collect();
    assert_eq!(guards, [Kind::Flag; 3]);
}
