//! The configuration: from the environment and a settings file to [`Settings`].
//!
//! Every setting is one of [`knobs::KNOBS`]. [`load`] looks each one up in
//! the [`Sources`], parses it by its kind, applies the rules that concern
//! several settings at once, and reports everything that is wrong together,
//! so that an operator corrects a configuration in one round.

pub(crate) mod bounds;
pub mod docs;
mod error;
mod grammar;
mod guessable;
mod idle;
pub mod knobs;
pub mod parse;
mod path;
mod production;
mod reload;
mod shown;
mod sources;
#[cfg(test)]
mod tests;

pub use error::ConfigError;
pub(crate) use grammar::{Malformed, pairs};
pub use path::{INSTALLED, SettingsPath};
pub use reload::{Change, Reloaded, reload};
pub use shown::{Line, Shown, show};
pub use sources::Sources;

use crate::features::{self, FEATURES};
use crate::gate::identity::header_trust;
use crate::gate::identity::options::SECRET;
use crate::net::options::{LISTEN as PUBLIC, TLS_REDIRECT};
use crate::plane::options::{LISTEN, TOKEN};
use crate::settings::{ENVIRONMENT, Endpoint, Knob, OnBad, Origin, STRICT, Secret, Setting, Settings, Value};
use guessable::guessable;
use knobs::KNOBS;
use parse::{BadValue, parse, printable};
use sources::{Given, token_keys};

/// A configuration that was accepted.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// One setting for each knob, in the order of the table.
    pub settings: Settings,
    /// What an operator should know: one sentence each.
    pub warnings: Vec<String>,
    /// What is not set without which strict production would not start.
    pub missing: Vec<&'static str>,
}

/// How to make a good one.
const MAKE_SECRET: &str = "for example the output of `openssl rand -hex 32`";

/// Reads the configuration.
///
/// With `force_strict` it is as strict as with `CONFIG_STRICT=true`; the
/// setting itself is still reported as it was given.
///
/// # Errors
///
/// Everything that keeps the server from starting, all at once, with the warnings.
pub fn load(sources: &Sources, force_strict: bool) -> Result<Loaded, ConfigError> {
    read(sources, force_strict, None)
}

/// Reads the configuration: for a start, or for the server that runs with another one.
fn read(sources: &Sources, force_strict: bool, running: Option<&Loaded>) -> Result<Loaded, ConfigError> {
    let production = match running {
        // What kind of installation this is does not change under a server, so neither do the defaults that follow.
        Some(running) => running.settings.production(),
        None => says_production(sources),
    };
    let strict = force_strict || says_strict(sources);

    let mut findings = Findings { strict, problems: Vec::new(), warnings: Vec::new() };
    let mut settings = Vec::with_capacity(KNOBS.len());
    for knob in KNOBS.iter() {
        settings.push(match resolve(knob, sources, production) {
            Ok(setting) => setting,
            Err(bad) => {
                let default = unset(knob, production)?;
                let guess = format!("{bad}; using the default {}", default.shown());
                // A running server has something better than a guess, unless it runs with this very one.
                let is_new = running.is_some_and(|running| !running.warnings.contains(&guess));
                if strict || is_new || knob.on_bad == OnBad::Refuse {
                    findings.problems.push(bad.to_string());
                } else {
                    findings.warnings.push(guess);
                }
                default
            }
        });
    }
    for sentence in sources.unknown_names() {
        findings.mistake(sentence);
    }
    findings.warnings.extend(sources.near_names());
    // What cannot be found was refused above.
    for given in KNOBS.iter().filter_map(|knob| sources.find(knob).ok().flatten()) {
        given.exposed.into_iter().for_each(|sentence| findings.mistake(sentence));
    }
    // Elsewhere the doctor tells: whoever tries this out has one like any other file.
    if strict || production {
        sources.exposed_file().into_iter().for_each(|sentence| findings.mistake(sentence));
    }

    let settings = Settings::new(settings, strict);
    findings.problems.extend(several_keys(sources));
    findings.problems.extend(open_plane(&settings, sources));
    findings.problems.extend(features::mistakes(&settings));
    if let Some(sentence) = two_in_one_place(&settings) {
        // With the default, the server would start without a plane.
        let found =
            if settings.of(&LISTEN).origin.is_given() { &mut findings.problems } else { &mut findings.warnings };
        found.push(sentence);
    }
    findings.problems.extend(doors_in_one_place(&settings));
    let needs = production::needs(&settings, sources, production);
    if strict || production {
        findings.warnings.extend(needs.cautions);
        needs.sentences.into_iter().for_each(|sentence| findings.mistake(sentence));
    }
    if !production {
        findings.warnings.extend(production::unwritten(&settings));
    }
    findings.warnings.extend(idle::without_effect(&settings, sources));
    not_expanded(&settings).into_iter().for_each(|sentence| findings.mistake(sentence));
    for (knob, sentence) in weak_secrets(&settings, sources) {
        // One that is refused in any case is that once.
        if !findings.problems.iter().any(|problem| problem.starts_with(knob.name)) {
            findings.mistake(sentence);
        }
    }
    let places = features::places(&settings);
    match header_trust(&settings, &places) {
        Ok(caution) => findings.warnings.extend(caution),
        Err(refusal) => findings.problems.push(refusal),
    }
    if let Some(address) = places.iter().find_map(Endpoint::reachable) {
        let open = FEATURES.iter().filter_map(|feature| (feature.open)(&settings));
        findings.warnings.extend(open.map(|what| format!("other machines can reach {address}, where {what}")));
    }

    let Findings { problems, warnings, .. } = findings;
    if problems.is_empty() {
        Ok(Loaded { settings, warnings, missing: needs.missing })
    } else {
        Err(ConfigError { problems, warnings })
    }
}

/// One of the two settings that decide how the others are read. If it is bad, that is found where all of them are read.
fn early(knob: &'static Knob, sources: &Sources) -> Option<Value> {
    resolve(knob, sources, false).ok().map(|setting| setting.value)
}

fn says_production(sources: &Sources) -> bool {
    early(&ENVIRONMENT, sources) == Some(Value::Choice("production"))
}

fn says_strict(sources: &Sources) -> bool {
    early(&STRICT, sources) == Some(Value::Flag(true))
}

/// What was found wrong so far.
struct Findings {
    strict: bool,
    problems: Vec<String>,
    warnings: Vec<String>,
}

impl Findings {
    /// Notes what only a strict configuration refuses.
    fn mistake(&mut self, sentence: String) {
        let found = if self.strict { &mut self.problems } else { &mut self.warnings };
        found.push(sentence);
    }
}

/// The setting of `knob` as given, or its default.
fn resolve(knob: &'static Knob, sources: &Sources, production: bool) -> Result<Setting, BadValue> {
    match sources.find(knob)? {
        None => unset(knob, production),
        Some(Given { name, text, origin, .. }) => {
            let value = parse(knob, &name, &text).map_err(|bad| match knob.port {
                // As it was typed, without the colon that makes an address of it.
                Some(port) if port == name => {
                    let typed = printable(text.strip_prefix(':').unwrap_or(&text));
                    BadValue::new(format!("{name}={typed} is not a port: use a number from 0 to 65535"))
                }
                _ => bad,
            })?;
            Ok(Setting { knob, value, origin })
        }
    }
}

/// The setting of `knob` when nobody gives it a value.
fn unset(knob: &'static Knob, production: bool) -> Result<Setting, BadValue> {
    let (text, origin) = match knob.in_production {
        Some(text) if production => (text, Origin::ProductionDefault),
        _ => (knob.default, Origin::Default),
    };
    let value = parse(knob, knob.name, text)?;
    Ok(Setting { knob, value, origin })
}

/// More than one key: which of them counts is nothing to guess at.
fn several_keys(sources: &Sources) -> Option<String> {
    let names = token_keys(sources);
    (names.len() > 1).then(|| {
        format!("{} are set together: tokens are verified with one of them, so remove the others", names.join(" and "))
    })
}

/// Why the private plane may not be opened as it is configured. Never only a warning: it hands out the whole database.
fn open_plane(settings: &Settings, sources: &Sources) -> Option<String> {
    let (name, masked) = sources.name_given(&TOKEN);
    match (settings.endpoint(&LISTEN), settings.secret(&TOKEN)) {
        (_, Some(token)) if is_short(&TOKEN, &token) => Some(too_short(&TOKEN, &name, &masked)),
        (Some(place @ Endpoint::Tcp(address)), None) if place.reachable().is_some() => Some(format!(
            "OPS_ADDR={address} can be reached from other machines, and the private plane gives access to the whole \
             database: set OPS_TOKEN, or use 127.0.0.1:{}",
            address.port()
        )),
        _ => None,
    }
}

/// The public address and the private plane cannot listen in the same place.
fn two_in_one_place(settings: &Settings) -> Option<String> {
    let private = settings.endpoint(&LISTEN)?;
    let public = settings.endpoints(&PUBLIC).iter().find(|public| public.excludes(private))?;
    Some(format!(
        "OPS_ADDR={private} conflicts with LISTEN_ADDR={public}: give the private plane another address, or \
         disable it with OPS_ADDR=off"
    ))
}

/// Neither can the doors of features and the one that leads to TLS: of two in one place, the later one does not open.
fn doors_in_one_place(settings: &Settings) -> Vec<String> {
    let own = features::doors(settings).map(|(knob, place)| (knob.name, place));
    let redirect = settings.endpoint(&TLS_REDIRECT).cloned().map(|place| (TLS_REDIRECT.name, place));
    let mut taken: Vec<(&str, Endpoint)> = Vec::new();
    taken.extend(settings.endpoints(&PUBLIC).iter().cloned().map(|place| (PUBLIC.name, place)));
    taken.extend(settings.endpoint(&LISTEN).cloned().map(|place| (LISTEN.name, place)));
    let mut sentences = Vec::new();
    for (name, place) in own.chain(redirect) {
        if let Some((other, there)) = taken.iter().find(|(_, other)| other.excludes(&place)) {
            sentences.push(format!("{name}={place} conflicts with {other}={there}: use another address"));
        }
        taken.push((name, place));
    }
    sentences
}

/// Paths that begin with what a shell would replace: here they are taken as they are written, and a directory `~` comes to be.
fn not_expanded(settings: &Settings) -> Vec<String> {
    let given = settings.iter().filter(|setting| setting.origin.is_given() && !setting.knob.secret);
    let sentences = given.filter_map(|setting| {
        let shown = setting.shown();
        let path = ["sqlite:", "unix:"].iter().find_map(|scheme| shown.strip_prefix(scheme)).unwrap_or(&shown);
        let is_home =
            |home: &&str| path.strip_prefix(*home).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let home = ["~", "$HOME", "${HOME}"].into_iter().find(is_home)?;
        let (name, shown) = (setting.knob.name, printable(&shown));
        Some(format!("{name}={shown}: {home} is not replaced by a home directory here; write the whole path"))
    });
    sentences.collect()
}

/// What is wrong with secrets that can be guessed, under the names they were given by.
fn weak_secrets(settings: &Settings, sources: &Sources) -> Vec<(&'static Knob, String)> {
    let given = KNOBS.iter().filter(|knob| knob.strength.is_some());
    let given = given.filter_map(|knob| Some((*knob, settings.secret(knob)?)));
    given.filter_map(|(knob, secret)| Some((knob, why_weak(knob, &secret, sources)?))).collect()
}

/// The same of one secret, whatever the other settings are.
#[must_use]
pub fn weakness(knob: &'static Knob, sources: &Sources) -> Option<String> {
    match resolve(knob, sources, false).ok()?.value {
        Value::Text(text) if !text.is_empty() => why_weak(knob, &Secret::new(text), sources),
        _ => None,
    }
}

fn why_weak(knob: &Knob, secret: &Secret, sources: &Sources) -> Option<String> {
    let (name, masked) = sources.name_given(knob);
    let min_bytes = knob.strength?;
    if !is_short(knob, secret) {
        let why = guessable(secret.bytes(), min_bytes)?;
        return Some(format!("{name}{masked} {why}, so it can be guessed: use one of your own, {MAKE_SECRET}"));
    }
    Some(if knob.name == SECRET.name {
        format!(
            "{name}{masked} is shorter than {min_bytes} bytes, so anyone who has one token can find the key by trying, and \
             sign others: use a longer one, {MAKE_SECRET}"
        )
    } else {
        too_short(knob, &name, &masked)
    })
}

fn is_short(knob: &Knob, secret: &Secret) -> bool {
    knob.strength.is_some_and(|min_bytes| secret.bytes().len() < min_bytes)
}

fn too_short(knob: &Knob, name: &str, masked: &str) -> String {
    let min_bytes = knob.strength.unwrap_or_default();
    format!(
        "{name}{masked} is shorter than {min_bytes} bytes, so it can be guessed by trying: use a longer one, {MAKE_SECRET}"
    )
}
