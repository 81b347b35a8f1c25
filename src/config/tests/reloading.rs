//! Another configuration for a running server: what is taken, what waits, and what is refused as a whole.

use super::{from_env, knob};
use crate::config::knobs::KNOBS;
use crate::config::*;
use crate::settings::{Kind, Knob, Value};

/// What a server with these settings makes of those.
fn reloaded(before: &[(&str, &str)], after: &[(&str, &str)]) -> Result<Reloaded, ConfigError> {
    reload(&from_env(before).unwrap(), &Sources::from_pairs(&[], after))
}

fn names(changes: &[Change]) -> Vec<&'static str> {
    changes.iter().map(|change| change.name).collect()
}

fn values(loaded: &Loaded) -> Vec<Value> {
    loaded.settings.iter().map(|setting| setting.value.clone()).collect()
}

/// A good value that is not the default.
fn another(knob: &Knob) -> String {
    let other = |words: &[&str]| (*words.iter().rev().find(|word| **word != knob.default).unwrap()).to_owned();
    match knob.kind {
        // Not any text is one of these.
        Kind::Text if knob.name == "WS_HOST" => "localhost".to_owned(),
        Kind::Text if knob.name == "WS_PORT" => "4321".to_owned(),
        Kind::Text if knob.name == "HOUSEHOLD_TIMEZONE" => "Europe/Berlin".to_owned(),
        Kind::Flag => (knob.default != "true").to_string(),
        Kind::Integer { min, max, .. } => if knob.default == max.to_string() { min } else { max }.to_string(),
        Kind::Fraction => "0.5".to_owned(),
        Kind::Choice(words) => other(words),
        Kind::Endpoints => "127.0.0.1:1".to_owned(),
        Kind::Endpoint => if knob.default == "off" { "127.0.0.1:1" } else { "off" }.to_owned(),
        Kind::Database => "sqlite:another.db".to_owned(),
        Kind::Origins => "https://another.example".to_owned(),
        Kind::Networks => "10.0.0.0/8".to_owned(),
        Kind::Text => "another-another-another-another-".to_owned(),
    }
}

#[test]
fn each_setting_is_either_taken_and_in_force_or_waits_and_changes_nothing() {
    for knob in KNOBS.iter().copied() {
        // The numbers of a limit count only while it is on.
        let on =
            [("RATE_LIMIT_ENABLED", "true"), ("WS_LIMITS_ENABLED", "true"), ("ALLOWED_ORIGINS", "https://a.example")];
        // Of TLS none goes without the others, and an address is not for other machines.
        let tls = [("TLS_CERT_FILE", "cert.pem"), ("TLS_KEY_FILE", "key.pem"), ("WS_HOST", "127.0.0.1")];
        let on: Vec<(&str, &str)> = on.into_iter().filter(|(name, _)| *name != knob.name).chain(tls).collect();
        let running = from_env(&on).unwrap();
        let text = another(knob);
        let others = on.iter().copied().filter(|(name, _)| *name != knob.name);
        let changed: Vec<(&str, &str)> = others.chain([(knob.name, text.as_str())]).collect();
        let found = reload(&running, &Sources::from_pairs(&[], &changed)).unwrap();
        let (listed, other) =
            if knob.reloads { (&found.taken, &found.waiting) } else { (&found.waiting, &found.taken) };
        assert_eq!((names(listed), names(other)), (vec![knob.name], vec![]));
        assert_eq!(values(&found.loaded) != values(&running), knob.reloads, "{}", knob.name);
        // Once more: what was taken is no change any more, what waits still does.
        let again = reload(&found.loaded, &Sources::from_pairs(&[], &changed)).unwrap();
        assert_eq!((again.taken.is_empty(), again.waiting.is_empty()), (true, knob.reloads), "{}", knob.name);
        // And back.
        let back = reload(&found.loaded, &Sources::from_pairs(&[], &on)).unwrap();
        assert_eq!((names(&back.taken), back.waiting), (names(&found.taken), vec![]), "{}", knob.name);
        assert_eq!(values(&back.loaded), values(&running));
    }
}

#[test]
fn a_change_shows_both_values_and_of_a_secret_neither() {
    let found =
        reloaded(&[("LOG_LEVEL", "warn"), ("SHARDS", "2")], &[("LOG_LEVEL", "debug"), ("JWT_SECRET", "hunter2")]);
    let found = found.unwrap();
    let shown = |change: &Change| format!("{} {} {}", change.name, change.old, change.new);
    assert_eq!(found.taken.iter().map(shown).collect::<Vec<_>>(), ["LOG_LEVEL warn debug", "JWT_SECRET  ********"]);
    assert_eq!(found.waiting.iter().map(shown).collect::<Vec<_>>(), ["SHARDS 2 0"]);
    let rotated = reload(&found.loaded, &Sources::from_pairs(&[("JWT_SECRET", "hunter3")], &[]));
    let rotated = format!("{:?}", rotated.unwrap());
    assert!(rotated.contains("JWT_SECRET") && !rotated.contains("hunter"), "{rotated}");
}

#[test]
fn a_bad_value_is_never_replaced_by_a_guess_unless_that_is_what_it_runs_with() {
    let bad = [("LOG_LEVEL", "chatty"), ("WS_PING_SECONDS", "0"), ("RATE_LIMIT_ENABLED", "maybe")];
    let problems = reloaded(&[], &bad).unwrap_err().problems;
    let begins: Vec<&str> = problems.iter().map(|problem| problem.split(' ').next().unwrap()).collect();
    assert_eq!(begins, ["LOG_LEVEL=chatty", "RATE_LIMIT_ENABLED=maybe", "WS_PING_SECONDS=0"]);
    // A variable of the process that was bad from the start cannot be fixed, and must not stand in the way for ever.
    let running = from_env(&[("LOG_LEVEL", "chatty")]).unwrap();
    let found =
        reload(&running, &Sources::from_pairs(&[("LOG_LEVEL", "chatty")], &[("WS_PING_SECONDS", "9")])).unwrap();
    assert_eq!(names(&found.taken), ["WS_PING_SECONDS"]);
    assert_eq!(found.loaded.warnings, running.warnings);
    assert!(reload(&found.loaded, &Sources::from_pairs(&[("LOG_LEVEL", "loud")], &[])).is_err(), "another bad one");
}

#[test]
fn a_strict_server_stays_strict_and_a_new_one_would_have_to_start() {
    let strict = [("CONFIG_STRICT", "true"), ("ALLOWED_ORIGINS", "https://a.example")];
    let problems = reloaded(&strict, &[("CONFIG_STRICT", "false")]).unwrap_err().problems;
    assert_eq!(problems, ["Missing required configuration: ALLOWED_ORIGINS"]);
    let problems = reloaded(&[], &[("CONFIG_STRICT", "true")]).unwrap_err().problems;
    assert_eq!(problems, ["Missing required configuration: ALLOWED_ORIGINS"]);
    let relaxed = [("CONFIG_STRICT", "false"), ("ALLOWED_ORIGINS", "https://a.example")];
    let found = reloaded(&strict, &relaxed).unwrap();
    assert_eq!(names(&found.waiting), ["CONFIG_STRICT"]);
    assert!(found.loaded.settings.strict());
}

#[test]
fn what_follows_from_the_environment_waits_with_it() {
    for (before, after) in [("development", "production"), ("production", "development")] {
        let found = reloaded(&[("ENV", before)], &[("ENV", after)]).unwrap();
        assert_eq!((names(&found.taken), names(&found.waiting)), (vec![], vec!["ENV"]), "{before} to {after}");
        assert_eq!(values(&found.loaded), values(&from_env(&[("ENV", before)]).unwrap()));
    }
    let trusting = [("ENV", "development"), ("AUTH_TRUST_USER_HEADER", "true")];
    let found = reloaded(&[("ENV", "production")], &trusting).unwrap();
    assert_eq!(names(&found.taken), ["AUTH_TRUST_USER_HEADER"], "said in so many words, it is taken");
}

#[test]
fn a_value_has_to_be_good_beside_those_that_stay() {
    let strong = [("ENV", "production"), ("HOUSEHOLD_PASSWORD", "a heron in the evening mist")];
    let weak = [("ENV", "development"), ("HOUSEHOLD_PASSWORD", "short")];
    assert!(from_env(&weak).is_ok(), "a server could start with it");
    let problems = reloaded(&strong, &weak).unwrap_err().problems;
    assert!(problems.len() == 1 && problems[0].starts_with("HOUSEHOLD_PASSWORD has 5 characters"), "{problems:?}");
}

#[test]
fn the_page_and_the_example_mark_what_a_reload_takes_and_nothing_else() {
    let (page, example) = (docs::markdown(&KNOBS), docs::env_example(&KNOBS));
    for knob in KNOBS.iter().copied().filter(|knob| knob.alias_of.is_none()) {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{}`", knob.name))).unwrap();
        assert_eq!(row.contains("**Reloadable.**"), knob.reloads, "{row}");
        let before = example.split(&format!("\n#{}=", knob.name)).next().unwrap();
        let comment: Vec<&str> =
            before.rsplit("\n\n").next().unwrap().split_whitespace().filter(|w| *w != "#").collect();
        assert_eq!(comment.join(" ").contains("Reloadable."), knob.reloads, "{comment:?}");
    }
    assert!(knob("LOG_LEVEL").reloads && !knob("LISTEN_ADDR").reloads);
}
