//! Settings that do nothing because of another one. Whoever gives one means something by it, and would not notice.

use super::sources::Sources;
use crate::settings::{Kind, Knob, Setting, Settings};
use crate::text::listed;

/// A sentence for each reason why settings do nothing. One at its default, or one that asks for nothing, is as good as not given.
pub(super) fn without_effect(settings: &Settings, sources: &Sources) -> Vec<String> {
    let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
    let given = settings.iter().filter(|setting| setting.origin.is_given());
    for setting in given.filter(|setting| setting.value.is_on() && setting.value.to_string() != setting.knob.default) {
        let Some(why) = why_idle(setting, settings) else { continue };
        let (name, _) = sources.name_given(setting.knob);
        match reasons.iter_mut().find(|(reason, _)| *reason == why) {
            Some((_, names)) => names.push(name),
            None => reasons.push((why, vec![name])),
        }
    }
    let sentence = |(why, names): (String, Vec<String>)| {
        let verb = if names.len() == 1 { "has" } else { "have" };
        format!("{} {verb} no effect {why}", listed(&names, "and"))
    };
    reasons.into_iter().map(sentence).collect()
}

/// Why this setting does nothing, if it does nothing.
fn why_idle(setting: &Setting, settings: &Settings) -> Option<String> {
    let Knob { only_with, ignored_with, .. } = setting.knob;
    let is_off = |knob: &&Knob| !settings.of(knob).value.is_on();
    match only_with {
        [switch] if switch.kind == Kind::Flag && is_off(switch) => return Some(format!("with {}=false", switch.name)),
        [_, ..] if only_with.iter().all(is_off) => {
            let names: Vec<_> = only_with.iter().map(|knob| knob.name).collect();
            return Some(format!("without {}", listed(&names, "or")));
        }
        _ => {}
    }
    let first = ignored_with.filter(|first| settings.of(first).origin.is_given() && !is_off(first))?;
    Some(format!("with {}, which is also set", first.name))
}
