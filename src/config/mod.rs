//! The configuration: from the environment and `.env` to one typed [`Config`].
//!
//! Every setting is a row of [`knobs::KNOBS`]. [`load`] looks each one up in
//! the [`Sources`], parses it by its kind, applies the rules that concern
//! several settings at once, and reports everything that is wrong together,
//! so that an operator corrects a configuration in one round.

pub mod docs;
pub mod knobs;
mod network;
mod production;
mod reload;
mod sources;
#[cfg(test)]
mod tests;
mod typed;
pub mod value;

pub use network::Network;
pub use reload::{Change, Reloaded, reload};
pub use sources::{Origin, Sources, open_to_others};
pub use typed::{
    AuditConfig, Config, ConnectionLimits, DraftLimits, Environment, JwtConfig, LogConfig, LogFormat, LogLevel,
    Operations, Secret,
};
pub use value::Fraction;

use std::fmt;

use knobs::{KNOBS, Knob, OnBad, TOKEN_KEYS};
use sources::Given;
use value::{BadValue, MASK, Value, parse};

use crate::net::Endpoint;

/// A configuration that was accepted.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings in their types.
    pub config: Config,
    /// One setting for each knob, in the order of the table.
    pub settings: Vec<Setting>,
    /// What an operator should know: one sentence each.
    pub warnings: Vec<String>,
}

/// The value a knob has, and why.
#[derive(Clone)]
pub struct Setting {
    /// The knob.
    pub knob: &'static Knob,
    /// Its value.
    pub value: Value,
    /// Where the value came from.
    pub origin: Origin,
}

impl Setting {
    /// The value as it may be shown: a secret is masked, but that there is none may be known.
    #[must_use]
    pub fn shown(&self) -> String {
        let text = self.value.to_string();
        if self.knob.secret && !text.is_empty() { MASK.to_owned() } else { text }
    }
}

/// Written by hand so that a secret never ends up in a log by way of `{:?}`.
impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={} ({})", self.knob.name, self.shown(), self.origin)
    }
}

/// A configuration that was refused. Displays one problem per line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.join("\n"))]
pub struct ConfigError {
    /// Everything that is wrong: one sentence each.
    pub problems: Vec<String>,
}

impl From<BadValue> for ConfigError {
    fn from(bad: BadValue) -> Self {
        Self { problems: vec![bad.to_string()] }
    }
}

/// The shortest key of signed tokens that is not remarked on: as long as what HS256 makes with it (RFC 7518 §3.2).
const SECRET_MIN_BYTES: usize = 32;

/// The shortest token of the private plane.
const OPS_TOKEN_MIN_BYTES: usize = 16;

/// Examples of keys, ours and others', that are long enough.
const KNOWN_SECRETS: [&str; 2] = ["only-for-the-examples-of-this-page", "a-string-secret-at-least-256-bits-long"];

/// Reads the configuration.
///
/// With `force_strict` it is as strict as with `CONFIG_STRICT=true`; the
/// setting itself is still reported as it was given.
///
/// # Errors
///
/// Everything that keeps the server from starting, all at once.
pub fn load(sources: &Sources, force_strict: bool) -> Result<Loaded, ConfigError> {
    read(sources, force_strict, None)
}

/// Reads the configuration: for a start, or for the server that runs with another one.
fn read(sources: &Sources, force_strict: bool, running: Option<&Loaded>) -> Result<Loaded, ConfigError> {
    // Two settings decide how the others are read. If one of them is bad,
    // that is found again below, and refused.
    let early = |name: &str| {
        let knob = KNOBS.iter().find(|knob| knob.name == name)?;
        resolve(knob, sources, false).ok().map(|setting| setting.value)
    };
    let production = match running {
        // What kind of installation this is does not change under a server, so neither do the defaults that follow.
        Some(running) => running.config.env == Environment::Production,
        None => early("ENV") == Some(Value::Choice("production")),
    };
    let strict = force_strict || early("CONFIG_STRICT") == Some(Value::Flag(true));

    let mut findings = Findings { strict, problems: Vec::new(), warnings: Vec::new() };
    let mut settings = Vec::with_capacity(KNOBS.len());
    for knob in KNOBS {
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
    // What cannot be found was refused above.
    for given in KNOBS.iter().filter_map(|knob| sources.find(knob).ok().flatten()) {
        given.exposed.into_iter().for_each(|sentence| findings.mistake(sentence));
    }

    let config = Config::from_settings(&settings, strict)?;
    findings.problems.extend(several_keys(sources));
    findings.problems.extend(open_plane(&config, sources));
    if strict || production {
        for sentence in production::needs(&config, &settings, sources, production) {
            findings.mistake(sentence);
        }
    }
    if let Some(sentence) = weak_secret(&config, sources) {
        findings.mistake(sentence);
    }
    if production && config.trust_user_header {
        findings.warnings.push(production::TRUSTING.to_owned());
    }

    let Findings { problems, warnings, .. } = findings;
    if problems.is_empty() { Ok(Loaded { config, settings, warnings }) } else { Err(ConfigError { problems }) }
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
        Some(Given { name, text, origin, .. }) => Ok(Setting { knob, value: parse(knob, &name, &text)?, origin }),
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

/// Those settings of [`TOKEN_KEYS`] that are given, be it badly, by the names they are given under.
fn token_keys(sources: &Sources) -> Vec<String> {
    let knobs = TOKEN_KEYS.iter().filter_map(|name| KNOBS.iter().find(|knob| knob.name == *name));
    let name = |knob: &'static Knob| match sources.find(knob) {
        Ok(given) => given.map(|given| given.name),
        Err(_) => Some(knob.name.to_owned()),
    };
    knobs.filter_map(name).collect()
}

/// More than one key: which of them counts is nothing to guess at.
fn several_keys(sources: &Sources) -> Option<String> {
    let names = token_keys(sources);
    (names.len() > 1).then(|| {
        format!("{} are set together: tokens are verified with one of them, so remove the others", names.join(" and "))
    })
}

/// Why the private plane may not be opened as it is configured. Never only a warning: it hands out the whole database.
fn open_plane(config: &Config, sources: &Sources) -> Option<String> {
    let Operations { endpoint, token, .. } = &config.operations;
    let (name, masked) = given_name("OPS_TOKEN", sources)?;
    match (endpoint, token) {
        (_, Some(token)) if token.bytes().len() < OPS_TOKEN_MIN_BYTES => Some(format!(
            "{name}{masked} is shorter than {OPS_TOKEN_MIN_BYTES} bytes, so it can be tried out: use a longer one, such as \
             16 random bytes in hexadecimal"
        )),
        (Some(Endpoint::Tcp(address)), None) if !address.ip().to_canonical().is_loopback() => Some(format!(
            "OPS_ADDR={address} can be reached from other machines, and the private plane hands out the whole database: set \
             OPS_TOKEN, or use 127.0.0.1:{}",
            address.port()
        )),
        _ => None,
    }
}

/// The name that a secret was given by, or its own, and what stands for its value in a sentence about it.
fn given_name(name: &str, sources: &Sources) -> Option<(String, String)> {
    let knob = KNOBS.iter().find(|knob| knob.name == name)?;
    Some(match sources.find(knob).ok().flatten() {
        Some(Given { name, origin: Origin::Environment | Origin::DotEnv, .. }) => (name, format!("={MASK}")),
        Some(Given { name, .. }) => (name, String::new()),
        None => (name.to_owned(), String::new()),
    })
}

/// What is wrong with a key that can be guessed, under the name it was given by.
fn weak_secret(config: &Config, sources: &Sources) -> Option<String> {
    let secret = config.jwt.secret.as_ref()?.bytes();
    let is_known = KNOWN_SECRETS.iter().any(|known| known.as_bytes() == secret);
    let why = if secret.len() < SECRET_MIN_BYTES {
        format!(
            "is shorter than {SECRET_MIN_BYTES} bytes, so whoever has one token can try out keys until they can sign \
             others: use a longer one"
        )
    } else if is_known {
        "is an example that everyone knows, so that anyone can sign: use one of your own".to_owned()
    } else {
        return None;
    };
    let (name, masked) = given_name("JWT_SECRET", sources)?;
    Some(format!("{name}{masked} {why}, such as 32 random bytes in hexadecimal"))
}
