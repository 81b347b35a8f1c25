//! How sources become a configuration, and what stops that.

use std::path::PathBuf;
use std::time::Duration;

use super::{from_env, knob, problems};
use crate::config::knobs::{KNOBS, Kind, OnBad};
use crate::config::*;

#[test]
fn nothing_set_gives_every_default() {
    let Loaded { config, settings, warnings } = from_env(&[]).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(settings.len(), KNOBS.len());
    assert!(settings.iter().all(|setting| setting.origin == Origin::Default));
    assert_eq!(config.env, Environment::Development);
    assert_eq!(config.listen, "127.0.0.1:8000".parse().unwrap());
    assert_eq!(config.database, PathBuf::from("data/inkring.db"));
    assert_eq!(config.log, LogConfig { level: LogLevel::Info, format: LogFormat::Pretty });
    assert_eq!(config.origins.len(), 7);
    assert!(config.trust_user_header && !config.strict && config.trusted_proxies.is_empty());
    assert_eq!(config.connections.keep_alive, Duration::from_secs(75));
    assert_eq!(config.drafts.cache_bytes, 4 << 20);
}

#[test]
fn every_choice_has_a_type() {
    for knob in KNOBS {
        let Kind::Choice(words) = knob.kind else {
            continue;
        };
        for word in words {
            let config = from_env(&[(knob.name, &word.to_uppercase())]).unwrap().config;
            match knob.name {
                "ENV" => assert_eq!(config.env.as_str(), *word),
                "LOG_LEVEL" => assert_eq!(config.log.level.as_str(), *word),
                _ => {}
            }
        }
    }
}

#[test]
fn precedence_and_aliases() {
    let both = "http://a.example";
    let read = |env: &[(&str, &str)], dotenv: &[(&str, &str)]| {
        let loaded = load(&Sources::from_pairs(env, dotenv), false).unwrap();
        let found = loaded.settings.iter().find(|s| s.knob.name == "ALLOWED_ORIGINS").unwrap();
        (found.shown(), found.origin)
    };
    let (name, alias) = ("ALLOWED_ORIGINS", "CORS_ORIGINS");
    let expect = |origin| (both.to_owned(), origin);
    assert_eq!(read(&[(alias, both)], &[(name, "*")]), expect(Origin::Environment));
    assert_eq!(read(&[(alias, "*"), (name, both)], &[]), expect(Origin::Environment));
    assert_eq!(read(&[], &[(alias, "*"), (name, both)]), expect(Origin::DotEnv));
    assert_eq!(read(&[(name, " ")], &[(name, ""), (alias, both)]), expect(Origin::DotEnv));
    assert_eq!(read(&[(name, "")], &[]).1, Origin::Default);
    assert_eq!(problems(&[(alias, "x")], &[])[0].split(' ').next(), Some("CORS_ORIGINS=x"));
}

#[test]
fn a_bad_value_falls_back_or_stops_the_start() {
    let loaded = from_env(&[("SHARDS", "257"), ("LOG_LEVEL", "loud")]).unwrap();
    assert_eq!(
        loaded.warnings,
        [
            "SHARDS=257 is out of range: 0 to 256 shards; using the default 0",
            "LOG_LEVEL=loud is not one of the choices: use off, error, warn, info, debug or trace; \
             using the default info",
        ]
    );
    assert_eq!(loaded.config.shards, 0);
    for knob in KNOBS.iter().filter(|knob| knob.on_bad == OnBad::Refuse) {
        // Text may be anything but that.
        let (bad, shown) = match (knob.kind, knob.secret) {
            (_, true) => ("?\u{1}!", "********"),
            (Kind::Text, false) => ("?\u{1}!", "?"),
            _ => ("?!", "?"),
        };
        let found = problems(&[(knob.name, bad), ("SHARDS", "257")], &[]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(&format!("{}={shown}", knob.name)), "{found:?}");
    }
}

#[test]
fn strict_lists_everything_at_once() {
    let env = [("SHARDS", "257"), ("CONFIG_STRICT", "yes"), ("LISTEN_ADDR", "localhost:80")];
    let error = load(&Sources::from_pairs(&env, &[("SHRADS", "1")]), false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "LISTEN_ADDR=localhost:80 is not an address: use IP:PORT, such as 127.0.0.1:8000 or \
         [::]:8000\n\
         SHARDS=257 is out of range: 0 to 256 shards\n\
         unknown variable SHRADS in .env; did you mean SHARDS?\n\
         Missing required configuration: ALLOWED_ORIGINS"
    );
    let forced = load(&Sources::from_pairs(&[("ALLOWED_ORIGINS", "*")], &[]), true).unwrap_err();
    assert_eq!(forced.problems.len(), 1);
    assert!(forced.problems[0].starts_with("ALLOWED_ORIGINS contains *"));
    // Bad is not missing: one problem for one mistake.
    let bad = load(&Sources::from_pairs(&[("ALLOWED_ORIGINS", "x")], &[]), true).unwrap_err();
    assert_eq!(bad.problems.len(), 1);
    let fine = load(&Sources::from_pairs(&[("CORS_ORIGINS", "https://x.example")], &[]), true);
    assert!(fine.unwrap().config.strict);
}

#[test]
fn production() {
    let loaded = from_env(&[("ENV", "production")]).unwrap();
    assert!(!loaded.config.trust_user_header);
    assert_eq!(loaded.config.log.format, LogFormat::Json);
    let trust = loaded.settings.iter().find(|s| s.knob.name == "AUTH_TRUST_USER_HEADER").unwrap();
    assert_eq!((trust.shown().as_str(), trust.origin), ("false", Origin::ProductionDefault));
    assert_eq!(loaded.warnings.len(), 2, "{:?}", loaded.warnings);
    assert_eq!(loaded.warnings[0], "Missing required configuration: ALLOWED_ORIGINS");
    assert!(loaded.warnings[1].contains("no request can be identified"));

    let env = [("ENV", "production"), ("AUTH_TRUST_USER_HEADER", "1"), ("ALLOWED_ORIGINS", "*")];
    let loaded = from_env(&env).unwrap();
    assert!(loaded.config.trust_user_header);
    assert!(loaded.warnings[0].starts_with("ALLOWED_ORIGINS contains *"));
    assert!(loaded.warnings[1].contains("only a trusted proxy"));
}

#[test]
fn production_with_tokens_has_nothing_to_remark() {
    let key = "k".repeat(32);
    let env = [("ENV", "production"), ("ALLOWED_ORIGINS", "https://x.example"), ("JWT_SECRET", key.as_str())];
    assert_eq!(from_env(&env).unwrap().warnings, [""; 0]);
    let trusting = from_env(&[&env[..], &[("AUTH_TRUST_USER_HEADER", "true")]].concat()).unwrap();
    assert_eq!(trusting.warnings.len(), 1);
    assert!(trusting.warnings[0].contains("only a trusted proxy"));
}

#[test]
fn a_short_key_is_remarked_on_and_refused_when_strict() {
    for name in ["JWT_SECRET", "CLERK_SECRET_KEY"] {
        for (bytes, fine) in [(1, false), (31, false), (32, true), (500, true)] {
            let key = "k".repeat(bytes);
            let env = [(name, key.as_str()), ("ALLOWED_ORIGINS", "https://x.example")];
            let loaded = from_env(&env).unwrap();
            assert_eq!(loaded.config.jwt.secret.as_ref().unwrap().bytes(), key.as_bytes());
            assert_eq!(loaded.warnings.is_empty(), fine, "{:?}", loaded.warnings);
            let strict = load(&Sources::from_pairs(&env, &[]), true);
            assert_eq!(strict.is_ok(), fine);
            for said in loaded.warnings.into_iter().chain(strict.err().map(|error| error.to_string())) {
                assert!(said.starts_with(&format!("{name}=******** is shorter than 32 bytes")), "{said}");
            }
        }
    }
    // Code points do not count: this is 32 bytes in 16 characters.
    assert!(from_env(&[("JWT_SECRET", &"é".repeat(16))]).unwrap().warnings.is_empty());
}

#[test]
fn tokens_are_held_to_what_is_set() {
    let JwtConfig { secret, issuer, audience } = from_env(&[]).unwrap().config.jwt;
    assert_eq!((secret, issuer, audience), (None, None, None));
    let env = [("JWT_ISSUER", "https://id.example"), ("JWT_AUDIENCE", " ink ring ")];
    let JwtConfig { issuer, audience, .. } = from_env(&env).unwrap().config.jwt;
    assert_eq!((issuer.as_deref(), audience.as_deref()), (Some("https://id.example"), Some("ink ring")));
}

#[test]
fn unknown_names_matter_in_the_file_only() {
    let sources = Sources::from_pairs(&[("HOME", "/")], &[("MAX_CONECTIONS", "1"), ("ZZZ", "")]);
    assert_eq!(
        load(&sources, false).unwrap().warnings,
        ["unknown variable MAX_CONECTIONS in .env; did you mean MAX_CONNECTIONS?", "unknown variable ZZZ in .env",]
    );
}

#[test]
fn from_process_reads_the_file_in_the_directory() {
    let dir = std::env::temp_dir().join(format!("inkring-config-{}", std::process::id()));
    let file = dir.join(".env");
    std::fs::create_dir_all(&dir).unwrap();
    let drain = || {
        let sources = Sources::from_process(&dir).map_err(|error| error.to_string())?;
        Ok(sources.find(knob("DRAIN_SECONDS")).map(|given| given.text.to_owned()))
    };
    let refusal = |text: &str| -> Result<Option<String>, String> { Err(text.to_owned()) };
    assert_eq!(drain(), Ok(None));
    std::fs::write(&file, "export DRAIN_SECONDS='3' # seconds\n").unwrap();
    assert_eq!(drain(), Ok(Some("3".to_owned())));
    std::fs::write(&file, "DRAIN_SECONDS=hunter2 x\n").unwrap();
    assert_eq!(drain(), refusal(".env line 1 is malformed (DRAIN_SECONDS)"));
    std::fs::write(&file, b"A=\xff\n").unwrap();
    assert_eq!(drain(), refusal(".env is not valid UTF-8"));
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert!(drain().unwrap_err().starts_with(".env cannot be read: "));
    std::fs::remove_dir_all(&dir).unwrap();
}
