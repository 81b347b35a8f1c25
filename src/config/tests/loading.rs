//! How sources become a configuration, and what stops that.

use std::path::Path;
use std::time::Duration;

use super::{from_env, knob, problems};
use crate::config::knobs::KNOBS;
use crate::config::*;
use crate::gate::Demands;
use crate::observe;
use crate::settings::{Endpoint, Kind, OnBad, Origin};

#[test]
fn nothing_set_gives_every_default() {
    let Loaded { settings, warnings, missing: _ } = from_env(&[]).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(settings.iter().count(), KNOBS.len());
    assert!(settings.iter().all(|setting| setting.origin == Origin::Default));
    assert_eq!(settings.word(knob("ENV")), "development");
    assert_eq!(settings.endpoints(knob("LISTEN_ADDR")), [Endpoint::Tcp("127.0.0.1:8000".parse().unwrap())]);
    assert_eq!(settings.database(knob("DATABASE_URL")), Path::new("data/inkring.db"));
    let log = observe::Options { level: log::LevelFilter::Info, format: observe::Format::Pretty };
    assert_eq!(observe::Options::of(&settings), log);
    assert_eq!(settings.origins(knob("ALLOWED_ORIGINS")).len(), 6);
    assert!(settings.flag(knob("AUTH_TRUST_USER_HEADER")) && !settings.strict() && !settings.production());
    assert!(settings.networks(knob("TRUSTED_PROXIES")).is_empty());
    assert_eq!(settings.seconds(knob("KEEP_ALIVE_SECONDS")), Duration::from_secs(75));
    assert_eq!(settings.count(knob("DRAFT_CACHE_BYTES")), 4 << 20);
}

#[test]
fn a_default_that_is_set_changes_nothing() {
    let defaults: Vec<_> = KNOBS.iter().map(|knob| (knob.name, knob.default)).collect();
    let (set, unset) = (from_env(&defaults).unwrap(), from_env(&[]).unwrap());
    for (set, unset) in set.settings.iter().zip(unset.settings.iter()) {
        assert_eq!(set.value, unset.value, "{}", set.knob.name);
    }
    assert_eq!(features::places(&set.settings), features::places(&unset.settings));
    assert!(set.warnings.is_empty(), "{:?}", set.warnings);
}

#[test]
fn a_setting_that_does_nothing_because_of_another_is_told_once_for_each_reason() {
    let warnings = |env: &[(&str, &str)]| from_env(env).unwrap().warnings;
    let (key, limits) = (KEY, ("WS_LIMITS_ENABLED", "true"));
    for (env, says) in [
        (&[("TLS_HSTS_SECONDS", "86400")][..], "TLS_HSTS_SECONDS has no effect without TLS_CERT_FILE"),
        (
            &[("BACKUP_KEEP_DAYS", "9"), ("BACKUP_INTERVAL_HOURS", "6")],
            "BACKUP_INTERVAL_HOURS and BACKUP_KEEP_DAYS have no effect without BACKUP_DIR",
        ),
        (
            &[("WS_ALLOWED_ORIGINS", "https://a.example")],
            "WS_ALLOWED_ORIGINS has no effect with WS_LIMITS_ENABLED=false",
        ),
        (
            &[("RATE_LIMIT_KEYS", "5000"), ("ENV", "production"), ("RATE_LIMIT_ENABLED", "false")],
            "RATE_LIMIT_KEYS has no effect with RATE_LIMIT_ENABLED=false",
        ),
        (&[("AUDIT_SAMPLE_RATE", "0.5")], "AUDIT_SAMPLE_RATE has no effect with AUDIT_ENABLED=false"),
        (
            &[("JWT_ISSUER", "me"), ("ROOMS_REQUIRE_GRANT", "true")],
            "JWT_ISSUER and ROOMS_REQUIRE_GRANT have no effect without JWT_SECRET, JWT_PUBLIC_KEY_FILE or JWT_JWKS_FILE",
        ),
        (
            &[("JWT_KEYS_RELOAD_SECONDS", "5"), key],
            "JWT_KEYS_RELOAD_SECONDS has no effect without JWT_PUBLIC_KEY_FILE or JWT_JWKS_FILE",
        ),
        (
            &[("METRICS_DIR", "m"), ("METRICS_JSONL", "./j.jsonl")],
            "METRICS_DIR has no effect with METRICS_JSONL, which is also set",
        ),
        (
            &[("ROOMS_ADDR", "127.0.0.1:1"), ("WS_PORT", "2"), ("ROOMS_ENABLED", "false")],
            "ROOMS_ADDR and WS_PORT have no effect with ROOMS_ENABLED=false",
        ),
        (
            &[("ROOMS_ADDR", "127.0.0.1:1"), ("WS_HOST", "127.0.0.1")],
            "WS_HOST has no effect with ROOMS_ADDR, which is also set",
        ),
        (
            &[("GALLERY_MAX_BYTES", "5"), ("MODULES_ENABLED", "false")],
            "GALLERY_MAX_BYTES has no effect with MODULES_ENABLED=false",
        ),
    ] {
        let found = warnings(env);
        assert!(found.iter().any(|warning| warning == says), "{says}: {found:?}");
        assert_eq!(found.iter().filter(|warning| warning.contains("no effect")).count(), 1, "{found:?}");
        // It is a caution and no mistake: strict takes it, and says it.
        let strictly = [env, &[("ALLOWED_ORIGINS", "https://a.example")]].concat();
        let strictly: Vec<_> = strictly.into_iter().filter(|(name, _)| *name != "ENV").collect();
        assert!(
            load(&Sources::from_pairs(&strictly, &[]), true).unwrap().warnings.contains(&says.to_owned()),
            "{says}"
        );
    }
    // What is on by its own default is on, and what asks for nothing misses nothing.
    for env in [
        &[("RATE_LIMIT_KEYS", "5000"), ("RATE_LIMIT_ENABLED", "true")][..],
        &[("WS_MAX_SOCKETS_GLOBAL", "7"), limits, ("WS_ALLOWED_ORIGINS", "https://a.example")],
        &[("TLS_HSTS_SECONDS", "0"), ("BACKUP_INTERVAL_HOURS", "0"), ("ROOMS_ADDR", "off"), ("WS_HOST", "127.0.0.1")],
        &[("JWT_ISSUER", "me"), key, ("AUTH_TRUST_USER_HEADER", "false")],
        &[("METRICS_DIR", "m")],
    ] {
        assert_eq!(warnings(env), [""; 0], "{env:?}");
    }
}

#[test]
fn where_other_machines_reach_it_what_is_open_to_anybody_is_warned_of() {
    let warnings = |more: &[(&str, &str)]| {
        let env = [&[("AUTH_TRUST_USER_HEADER", "false")], more].concat();
        from_env(&env).unwrap().warnings
    };
    let household = "other machines can reach 0.0.0.0, where anyone can read and change the household's records: set \
                     HOUSEHOLD_PASSWORD, or MODULES_ENABLED=false, or listen on 127.0.0.1";
    let rooms = "other machines can reach 0.0.0.0, where anyone can read and write every room: set JWT_SECRET, or \
                 ROOMS_ENABLED=false, or ROOMS_REQUIRE_TOKEN=false if intended, or listen on 127.0.0.1";
    let (open, password) = (("LISTEN_ADDR", "0.0.0.0:8000"), ("HOUSEHOLD_PASSWORD", "long enough for anybody"));
    assert_eq!(warnings(&[]), [""; 0]);
    assert_eq!(warnings(&[open]), [rooms, household]);
    assert_eq!(warnings(&[open, password]), [rooms]);
    assert_eq!(warnings(&[open, password, ("ROOMS_REQUIRE_TOKEN", "false")]), [""; 0], "who has said so knows");
    assert_eq!(warnings(&[open, ("MODULES_ENABLED", "false"), KEY]), [""; 0]);
    assert_eq!(warnings(&[("ROOMS_ADDR", "0.0.0.0:1234"), password]), [rooms], "by whatever door");
}

#[test]
fn a_door_for_others_is_refused_as_the_public_one_is() {
    for door in [("ROOMS_ADDR", "0.0.0.0:1234"), ("WS_PORT", "1234"), ("WS_HOST", "0.0.0.0")] {
        let problems = from_env(&[door]).unwrap_err().problems;
        assert!(
            problems.len() == 1 && problems[0].contains("X-User-Id header is trusted on the address 0.0.0.0"),
            "{problems:?}"
        );
    }
}

#[test]
fn every_choice_is_taken_in_any_case() {
    for knob in KNOBS.iter().copied() {
        let Kind::Choice(words) = knob.kind else {
            continue;
        };
        for word in words {
            let settings = from_env(&[(knob.name, &word.to_uppercase())]).unwrap().settings;
            assert_eq!(settings.word(knob), *word);
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
    assert_eq!(read(&[], &[(alias, "*"), (name, both)]), expect(Origin::SettingsFile));
    assert_eq!(read(&[(name, " ")], &[(name, ""), (alias, both)]), expect(Origin::SettingsFile));
    assert_eq!(read(&[(name, "")], &[]).1, Origin::Default);
    assert_eq!(problems(&[(alias, "x")], &[])[0].split(' ').next(), Some("CORS_ORIGINS=x"));
}

#[test]
fn a_port_alone_is_heard_when_nothing_else_says_where() {
    let read = |env: &[(&str, &str)], file: &[(&str, &str)]| {
        // Other machines could reach it.
        let env = [env, &[("AUTH_TRUST_USER_HEADER", "true")]].concat();
        let loaded = load(&Sources::from_pairs(&env, file), false).unwrap();
        let found = loaded.settings.iter().find(|s| s.knob.name == "LISTEN_ADDR").unwrap();
        (found.shown(), found.origin)
    };
    let (port, address) = (("PORT", "9000"), ("LISTEN_ADDR", "127.0.0.1:1"));
    assert_eq!(read(&[port], &[]), ("0.0.0.0:9000".to_owned(), Origin::Environment));
    assert_eq!(read(&[], &[port]), ("0.0.0.0:9000".to_owned(), Origin::SettingsFile));
    assert_eq!(read(&[port], &[address]), ("127.0.0.1:1".to_owned(), Origin::SettingsFile));
    assert_eq!(read(&[port, address], &[]), ("127.0.0.1:1".to_owned(), Origin::Environment));
    assert!(problems(&[("PORT", "http")], &[])[0].starts_with("PORT=http is not a port"));
}

#[test]
fn a_bad_value_falls_back_or_stops_the_start() {
    let loaded = from_env(&[("SHARDS", "257"), ("LOG_LEVEL", "loud")]).unwrap();
    assert_eq!(
        loaded.warnings,
        [
            "SHARDS=257 is out of range: 0 to 256 shards; using the default 0",
            "LOG_LEVEL=loud is not one of the choices: use off, error, warn, info, debug or trace; using the default info",
        ]
    );
    assert_eq!(loaded.settings.count(knob("SHARDS")), 0);
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
    let env = [("SHARDS", "257"), ("CONFIG_STRICT", "yes"), ("LISTEN_ADDR", "a.example:80")];
    let error = load(&Sources::from_pairs(&env, &[("SHRADS", "1")]), false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "LISTEN_ADDR=a.example:80 is not an address: use IP:PORT, such as 127.0.0.1:8000 or \
         [::]:8000, or localhost:PORT, or :PORT, or unix:PATH; a name is not looked up\n\
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
    assert!(fine.unwrap().settings.strict());
}

/// What production has to be told, but for the key.
const TOLD: [(&str, &str); 4] = [
    ("ENV", "production"),
    ("ALLOWED_ORIGINS", "https://x.example"),
    ("WS_ALLOWED_ORIGINS", "https://x.example"),
    ("HOUSEHOLD_PASSWORD", "a heron in the evening mist"),
];
/// What production turns on by itself.
const GUARDS: [&str; 3] = ["RATE_LIMIT_ENABLED", "WS_LIMITS_ENABLED", "AUDIT_ENABLED"];
/// 32 bytes.
const KEY: (&str, &str) = ("JWT_SECRET", "7b1f0c5de2a94838b6f0d7c4e19a5a33");

#[test]
fn production() {
    let loaded = from_env(&[("ENV", "production")]).unwrap();
    assert!(!loaded.settings.flag(knob("AUTH_TRUST_USER_HEADER")));
    assert_eq!(observe::Options::of(&loaded.settings).format, observe::Format::Json);
    let trust = loaded.settings.iter().find(|s| s.knob.name == "AUTH_TRUST_USER_HEADER").unwrap();
    assert_eq!((trust.shown().as_str(), trust.origin), ("false", Origin::ProductionDefault));
    assert_eq!(loaded.warnings.len(), 2, "{:?}", loaded.warnings);
    assert_eq!(
        loaded.warnings[0],
        "Missing required configuration: ALLOWED_ORIGINS, JWT_SECRET, WS_ALLOWED_ORIGINS, HOUSEHOLD_PASSWORD"
    );
    assert!(loaded.warnings[1].contains("requests cannot be identified"));

    let env = [&TOLD[..], &[("AUTH_TRUST_USER_HEADER", "1"), ("CORS_ORIGINS", "*")]].concat();
    let env: Vec<_> = env.into_iter().filter(|(name, _)| *name != "ALLOWED_ORIGINS").collect();
    let loaded = from_env(&env).unwrap();
    assert!(loaded.settings.flag(knob("AUTH_TRUST_USER_HEADER")));
    assert_eq!(loaded.warnings.len(), 2, "{:?}", loaded.warnings);
    assert!(loaded.warnings[0].starts_with("ALLOWED_ORIGINS contains *"));
    assert!(loaded.warnings[1].contains("only a trusted proxy"));
}

#[test]
fn production_with_all_it_needs_has_nothing_to_remark() {
    for key in [KEY, ("JWT_PUBLIC_KEY_FILE", "key.pem"), ("JWT_JWKS_FILE", "keys.json")] {
        let env = [&TOLD[..], &[key]].concat();
        let strict = load(&Sources::from_pairs(&env, &[]), true).unwrap();
        assert_eq!(strict.warnings, [""; 0], "{key:?}");
        let trusting = from_env(&[&env[..], &[("AUTH_TRUST_USER_HEADER", "true")]].concat()).unwrap();
        assert_eq!(trusting.warnings.len(), 1);
        assert!(trusting.warnings[0].contains("only a trusted proxy"));
    }
    // To believe the header is a choice that strict respects, but it has to be made (rulings 3 and 5).
    let trusting = [&TOLD[..], &[("AUTH_TRUST_USER_HEADER", "true")]].concat();
    let loaded = load(&Sources::from_pairs(&trusting, &[]), true).unwrap();
    assert_eq!(loaded.warnings.len(), 1);
}

#[test]
fn strict_production_says_everything_that_is_missing_or_wrong_at_once() {
    let nothing = load(&Sources::from_pairs(&[("ENV", "production")], &[]), true).unwrap_err();
    assert_eq!(
        nothing.to_string(),
        "Missing required configuration: ALLOWED_ORIGINS, JWT_SECRET, WS_ALLOWED_ORIGINS, HOUSEHOLD_PASSWORD\n\
         there is no source of identity, so requests cannot be identified: set JWT_SECRET or \
         JWT_PUBLIC_KEY_FILE or JWT_JWKS_FILE, or, behind a proxy that authenticates its users, AUTH_TRUST_USER_HEADER=true"
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    let database = format!("sqlite:{}/inkring.db", file.path().display());
    let env = [
        ("ENV", "production"),
        ("CONFIG_STRICT", "true"),
        ("SHARDS", "many"),
        ("ALLOWED_ORIGINS", "https://x.example *"),
        ("JWT_SECRET", "hunter2"),
        ("RATE_LIMIT_ENABLED", "no"),
        ("AUDIT_ENABLED", "true"),
        ("DATABASE_URL", database.as_str()),
    ];
    let wrong = load(&Sources::from_pairs(&env, &[]), false).unwrap_err();
    assert_eq!(
        wrong.to_string(),
        format!(
            "SHARDS=many is not a whole number: use 0 to 256 shards\n\
             Missing required configuration: WS_ALLOWED_ORIGINS, HOUSEHOLD_PASSWORD\n\
             ALLOWED_ORIGINS contains *, which lets the pages of any site call this server: list the origins instead\n\
             RATE_LIMIT_ENABLED=false in production: clients can send any number of requests; remove it, or set it to true\n\
             DATABASE_URL={database}: {} is not a directory\n\
             JWT_SECRET=******** is shorter than 32 bytes, so anyone who has one token can find the key by trying, and \
             sign others: use a longer one, for example the output of `openssl rand -hex 32`",
            file.path().display()
        )
    );
    // The same without strict: one warning each, and it would start.
    let env: Vec<_> = env.into_iter().filter(|(name, _)| *name != "CONFIG_STRICT").collect();
    assert_eq!(from_env(&env).unwrap().warnings.len(), 6);
}

#[test]
fn production_turns_limits_and_the_audit_log_on_and_strict_does_not_let_them_be_turned_off() {
    let told = [&TOLD[..], &[KEY]].concat();
    for name in GUARDS {
        assert!(!from_env(&[]).unwrap().settings.flag(knob(name)), "{name} is off in development");
        let loaded = load(&Sources::from_pairs(&told, &[]), true).unwrap();
        assert_eq!(loaded.settings.of(knob(name)).origin, Origin::ProductionDefault);
        assert!(loaded.settings.flag(knob(name)), "{name}");
        // Said again it is no mistake.
        let said = [&told[..], &[(name, "on")]].concat();
        assert_eq!(load(&Sources::from_pairs(&said, &[]), true).unwrap().warnings, [""; 0]);
        // Turned off on purpose: heard, and remarked on; strict refuses it.
        let off = [&told[..], &[(name, "off")]].concat();
        let loaded = from_env(&off).unwrap();
        assert!(!loaded.settings.flag(knob(name)) && loaded.missing.is_empty());
        // And so is what has no effect then, such as the origins of sockets.
        let idle = format!("no effect with {name}=false");
        let warnings: Vec<_> = loaded.warnings.iter().filter(|warning| !warning.ends_with(&idle)).collect();
        let [warning] = warnings[..] else { panic!("{warnings:?}") };
        assert!(warning.starts_with(&format!("{name}=false in production: ")), "{warning}");
        assert_eq!(load(&Sources::from_pairs(&off, &[]), true).unwrap_err().problems, [warning.as_str()]);
    }
}

#[test]
fn what_is_bad_in_production_is_not_missing_as_well() {
    let bad = [
        TOLD[0],
        TOLD[1],
        ("RATE_LIMIT_ENABLED", "maybe"),
        ("WS_ALLOWED_ORIGINS", "a.example"),
        ("JWT_SECRET", "\u{1}?"),
        TOLD[3],
    ];
    let found = load(&Sources::from_pairs(&bad, &[]), true).unwrap_err().problems;
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn one_key_has_to_do() {
    let files = [("JWT_PUBLIC_KEY_FILE", "key.pem"), ("JWT_JWKS_FILE", "keys.json")];
    for (set, names) in [
        (vec![KEY, files[0]], "JWT_SECRET and JWT_PUBLIC_KEY_FILE"),
        (vec![("CLERK_SECRET_KEY", KEY.1), files[1]], "CLERK_SECRET_KEY and JWT_JWKS_FILE"),
        (vec![files[0], files[1]], "JWT_PUBLIC_KEY_FILE and JWT_JWKS_FILE"),
        (vec![KEY, files[0], files[1]], "JWT_SECRET and JWT_PUBLIC_KEY_FILE and JWT_JWKS_FILE"),
    ] {
        let said = format!("{names} are set together: tokens are verified with one of them, so remove the others");
        assert_eq!(problems(&set, &[]), [said.as_str()], "strict or not");
        assert_eq!(problems(&set[1..], &set[..1]), [said], "wherever they are set");
    }
}

#[test]
fn an_example_is_no_key() {
    let env = [("JWT_SECRET", "only-for-the-examples-of-this-page"), ("ALLOWED_ORIGINS", "https://x.example")];
    assert!(from_env(&env).unwrap().warnings[0].starts_with("JWT_SECRET=******** is a published example"));
    assert!(load(&Sources::from_pairs(&env, &[]), true).is_err());
}

/// A key alone keeps nobody out, which is said unless this is set.
const CLOSED: (&str, &str) = ("AUTH_TRUST_USER_HEADER", "false");

#[test]
fn a_short_key_is_remarked_on_and_refused_when_strict() {
    for name in ["JWT_SECRET", "CLERK_SECRET_KEY"] {
        for (bytes, fine) in [(1, false), (31, false), (32, true), (500, true)] {
            let text: String = (0..40).map(|turn| format!("{turn}k7XqZw-mB:eRtY+uIoP")).collect();
            let key = text[..bytes].to_owned();
            let env = [(name, key.as_str()), ("ALLOWED_ORIGINS", "https://x.example"), CLOSED];
            let loaded = from_env(&env).unwrap();
            assert_eq!(loaded.settings.text(knob("JWT_SECRET")), Some(key.as_str()));
            assert_eq!(loaded.warnings.is_empty(), fine, "{:?}", loaded.warnings);
            let strict = load(&Sources::from_pairs(&env, &[]), true);
            assert_eq!(strict.is_ok(), fine);
            for said in loaded.warnings.into_iter().chain(strict.err().map(|error| error.to_string())) {
                assert!(said.starts_with(&format!("{name}=******** is shorter than 32 bytes")), "{said}");
            }
        }
    }
    // Code points do not count: this is 32 bytes in 16 characters.
    let wide = "éàüßöäčžšłńęążøå";
    assert_eq!((wide.chars().count(), wide.len()), (16, 32));
    assert!(from_env(&[("JWT_SECRET", wide), CLOSED]).unwrap().warnings.is_empty());
}

#[test]
fn tokens_are_held_to_what_is_set() {
    let Demands { issuer, audience, expiry, max_life: _ } = Demands::of(&from_env(&[]).unwrap().settings);
    assert_eq!((issuer, audience, expiry), (None, None, false));
    let env = [("JWT_ISSUER", "https://id.example"), ("JWT_AUDIENCE", " ink ring "), ("ENV", "production")];
    let Demands { issuer, audience, expiry, max_life: _ } = Demands::of(&from_env(&env).unwrap().settings);
    assert_eq!((issuer.as_deref(), audience.as_deref()), (Some("https://id.example"), Some("ink ring")));
    assert!(expiry);
}

#[test]
fn unknown_names_matter_in_the_file_only() {
    let sources = Sources::from_pairs(&[("HOME", "/")], &[("MAX_CONECTIONS", "1"), ("ZZZ", "")]);
    assert_eq!(
        load(&sources, false).unwrap().warnings,
        [
            "unknown variable MAX_CONECTIONS in .env; did you mean MAX_CONNECTIONS?",
            "unknown variable ZZZ in .env; inkring print-config lists all settings",
        ]
    );
}

#[test]
fn the_file_in_the_directory_is_read() {
    let dir = std::env::temp_dir().join(format!("inkring-config-{}", std::process::id()));
    let file = dir.join(".env");
    std::fs::create_dir_all(&dir).unwrap();
    let at = file.display();
    let drain = || {
        let sources = Sources::read(&SettingsPath::directory(&dir)).map_err(|error| error.to_string())?;
        Ok(sources.find(knob("DRAIN_SECONDS")).unwrap().map(|given| given.text.into_owned()))
    };
    assert_eq!(drain(), Ok(None));
    std::fs::write(&file, "export DRAIN_SECONDS='3' # seconds\n").unwrap();
    assert_eq!(drain(), Ok(Some("3".to_owned())));
    std::fs::write(&file, "DRAIN_SECONDS='hunter2\n").unwrap();
    let unclosed = format!("{at} line 1 is malformed (DRAIN_SECONDS): the quote is never closed");
    assert_eq!(drain(), Err(unclosed));
    std::fs::write(&file, b"A=1\nA=\xff\n").unwrap();
    assert_eq!(drain(), Err(format!("{at} line 2 is not valid UTF-8")));
    std::fs::write(&file, vec![b'#'; 1_048_577]).unwrap();
    assert_eq!(drain(), Err(format!("{at} is longer than 1048576 bytes: it is not a settings file")));
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert_eq!(drain(), Err(format!("{at} cannot be read: it is not a file")));
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_private_plane_that_others_can_reach_wants_a_token() {
    const TOKEN: (&str, &str) = ("OPS_TOKEN", "exactly sixteen.");
    let said = |env: &[(&str, &str)]| from_env(env).map(|loaded| loaded.warnings).map_err(|error| error.problems);
    for address in ["0.0.0.0:9090", "[::]:9090", "192.0.2.1:9090", "[::ffff:192.0.2.1]:9090"] {
        let address = ("OPS_ADDR", address);
        for strict in ["false", "true"] {
            let problems = problems(&[address, ("CONFIG_STRICT", strict)], &[]);
            let sentence = format!(
                "OPS_ADDR={} can be reached from other machines, and the private plane gives access to the whole database: set \
                 OPS_TOKEN, or use 127.0.0.1:9090",
                address.1
            );
            assert!(problems.contains(&sentence), "{problems:?}");
        }
        assert_eq!(said(&[address, TOKEN]), Ok(Vec::new()));
    }
    for address in ["127.0.0.1:9090", "127.1.2.3:1", "[::1]:9090", "[::ffff:127.0.0.1]:9090", "unix:x.sock", "off"] {
        assert_eq!(said(&[("OPS_ADDR", address)]), Ok(Vec::new()));
    }
    let short = "OPS_TOKEN=******** is shorter than 16 bytes, so it can be guessed by trying: use a longer one, for example the \
                 output of `openssl rand -hex 32`";
    assert_eq!(said(&[("OPS_TOKEN", "only fifteen..."), ("OPS_ADDR", "off")]), Err(vec![short.to_owned()]));
}

#[test]
fn a_path_that_only_a_shell_would_understand_is_told() {
    for (name, value, home) in [
        ("BACKUP_DIR", "~/backups", Some("~")),
        ("DATABASE_URL", "sqlite:~/ink.db", Some("~")),
        ("METRICS_JSONL", "$HOME/events.jsonl", Some("$HOME")),
        ("LISTEN_ADDR", "unix:${HOME}/ink.sock", Some("${HOME}")),
        ("BACKUP_DIR", "~ink/backups", None),
        ("BACKUP_DIR", "a/~/b", None),
        ("JWT_SECRET", "~/k7XqZw-mB:eRtY+uIoP2f9LdNs5Vg8HcJa", None),
    ] {
        let env = [("ALLOWED_ORIGINS", "https://x.example"), CLOSED, (name, value)];
        let warned = from_env(&env).unwrap().warnings;
        let said = home.map(|home| {
            format!("{name}={value}: {home} is not replaced by a home directory here; write the whole path")
        });
        assert_eq!(warned, Vec::from_iter(said.clone()), "{name}={value}");
        let strictly = load(&Sources::from_pairs(&env, &[]), true).map_err(|refused| refused.problems);
        assert_eq!(strictly.err().unwrap_or_default(), Vec::from_iter(said));
    }
}

#[test]
fn every_secret_that_strangers_can_try_is_to_be_long_and_by_chance() {
    let strict = |name: &str, value: &str| {
        let env = [("ALLOWED_ORIGINS", "https://x.example"), CLOSED, (name, value)];
        let problems = |force| load(&Sources::from_pairs(&env, &[]), force).map(|loaded| loaded.warnings);
        let warned = problems(false).unwrap_or_else(|refused| refused.problems);
        (warned, problems(true).map_err(|refused| refused.problems).err().unwrap_or_default())
    };
    let tried = KNOBS.iter().filter_map(|knob| Some((knob.name, knob.strength?)));
    let tried: Vec<(&str, usize)> = tried.collect();
    assert_eq!(tried.len(), KNOBS.iter().filter(|knob| knob.secret).count(), "{tried:?}");
    for (name, bytes) in tried {
        let good = "q7Zk2mWx9RtV4bNsE5gHj8LpQ3cYd6Fa".get(..bytes).unwrap();
        assert_eq!(strict(name, good), (vec![], vec![]), "{name}");
        for (value, why) in [
            (&good[1..], format!("{name}=******** is shorter than {bytes} bytes")),
            (
                &"ab".repeat(bytes),
                format!("{name}=******** is one text repeated, so it can be guessed: use one of your own"),
            ),
        ] {
            let (warned, refused) = strict(name, value);
            for said in [&warned, &refused] {
                let about: Vec<_> = said.iter().filter(|sentence| sentence.starts_with(name)).collect();
                assert!(about.len() == 1 && about[0].starts_with(&why), "{name}: {said:?}");
            }
        }
    }
    // What production refuses in any case is said once.
    let env = [("ENV", "production"), ("HOUSEHOLD_PASSWORD", "short")];
    let refused = load(&Sources::from_pairs(&env, &[]), false).unwrap_err();
    let said = refused.problems.iter().chain(&refused.warnings).filter(|said| said.starts_with("HOUSEHOLD_PASSWORD"));
    assert_eq!(said.count(), 1, "{:?} {:?}", refused.problems, refused.warnings);
}

#[test]
fn strict_production_asks_for_the_password_of_the_household_while_there_are_modules() {
    let missing = |more: &[(&str, &str)]| {
        let env = [&TOLD[..3], &[KEY], more].concat();
        load(&Sources::from_pairs(&env, &[]), true).map_err(|error| error.to_string()).err()
    };
    assert_eq!(missing(&[]).as_deref(), Some("Missing required configuration: HOUSEHOLD_PASSWORD"));
    assert_eq!(missing(&[TOLD[3]]), None);
    assert_eq!(missing(&[("MODULES_ENABLED", "false")]), None);
}

#[test]
fn what_a_start_refuses_by_the_settings_alone_is_refused_here() {
    for (name, value, says) in [
        ("HOUSEHOLD_PASSWORD", "short", "HOUSEHOLD_PASSWORD has 5 characters"),
        ("HOUSEHOLD_TIMEZONE", "Mars/X", "HOUSEHOLD_TIMEZONE=Mars/X is not a zone"),
        ("WS_HOST", "here", "WS_HOST=here is neither"),
        ("WS_PORT", "70000", "WS_PORT=70000 is not a port"),
        ("ROOMS_ADDR", "127.0.0.1:8000", "ROOMS_ADDR=127.0.0.1:8000 conflicts with LISTEN_ADDR=127.0.0.1:8000"),
        ("ROOMS_ADDR", "0.0.0.0:8001", "ROOMS_ADDR=0.0.0.0:8001 conflicts with OPS_ADDR=127.0.0.1:8001"),
    ] {
        let told: Vec<_> = TOLD.iter().copied().filter(|(told, _)| *told != name).chain([KEY, (name, value)]).collect();
        for strict in [true, false] {
            let problems = load(&Sources::from_pairs(&told, &[]), strict).unwrap_err().problems;
            assert!(problems.len() == 1 && problems[0].starts_with(says), "{name}: {problems:?}");
        }
    }
    let short = from_env(&[("HOUSEHOLD_PASSWORD", "short")]).unwrap();
    assert!(
        short.warnings[0].contains("shorter than 12 bytes"),
        "in development it is a warning: {:?}",
        short.warnings
    );
    let tls = [("TLS_CERT_FILE", "cert.pem"), ("TLS_KEY_FILE", "key.pem"), ("TLS_REDIRECT_ADDR", "127.0.0.1:8000")];
    let taken = "TLS_REDIRECT_ADDR=127.0.0.1:8000 conflicts with LISTEN_ADDR=127.0.0.1:8000: use another address";
    assert_eq!(problems(&tls, &[]), [taken]);
    let off = [("ROOMS_ENABLED", "false"), ("ROOMS_ADDR", "127.0.0.1:8000")];
    assert!(from_env(&off).is_ok(), "there is no such door");
}

#[test]
fn strict_production_has_every_directory_writable_that_it_needs() {
    for (name, value, is_needed) in [
        ("DATABASE_URL", "sqlite:/proc/x/y.db", true),
        ("GALLERY_DIR", "/proc/x", true),
        ("BACKUP_DIR", "/proc/x", false),
        ("METRICS_JSONL", "/proc/x/y", false),
        ("METRICS_DIR", "/sys/x", false),
    ] {
        let told = [&TOLD[..], &[KEY, (name, value)]].concat();
        // Where the server starts without it, strict is warned, too.
        let strictly = load(&Sources::from_pairs(&told, &[]), true);
        let found = if is_needed { strictly.unwrap_err().problems } else { strictly.unwrap().warnings };
        let place = if value.contains("proc") { "/proc" } else { "/sys" };
        let says = format!("{name}={value}: {place} cannot be written");
        assert!(found.len() == 1 && found[0].starts_with(&says), "{name}: {found:?}");
        assert_eq!(from_env(&told).unwrap().warnings.len(), 1, "without strict it is a warning");
        let warned = from_env(&[(name, value)]).unwrap().warnings;
        assert_eq!(warned.len(), usize::from(name != "DATABASE_URL"), "{name}: the start itself meets it: {warned:?}");
    }
    let directory = tempfile::tempdir().unwrap();
    let fresh = directory.path().join("not/yet");
    let told = [&TOLD[..], &[KEY, ("BACKUP_DIR", fresh.to_str().unwrap())]].concat();
    assert!(load(&Sources::from_pairs(&told, &[]), true).is_ok(), "the server makes it");
}
