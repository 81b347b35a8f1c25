//! What is shown: the example, the page and the effective configuration.

use std::collections::BTreeSet;
use std::path::Path;

use super::{effective, from_env};
use crate::config::knobs::KNOBS;
use crate::config::parse::parse;
use crate::config::*;
use crate::settings::MASK;
use crate::settings::{GENERAL, Knob, Origin, Setting, Settings, int};

static SECRET: Knob = Knob { secret: true, ..Knob::new(&GENERAL, "TOKEN_NUMBER", int(1, 9, "things"), "7") };

#[test]
fn secrets_are_masked_everywhere() {
    let bad = parse(&SECRET, SECRET.name, "424242").unwrap_err();
    assert_eq!(bad.to_string(), "TOKEN_NUMBER=******** is out of range: 1 to 9 things");
    let value = parse(&SECRET, SECRET.name, "7").unwrap();
    let setting = Setting { knob: &SECRET, value, origin: Origin::Environment };
    assert_eq!(setting.shown(), MASK);
    assert_eq!(format!("{setting:?}"), "TOKEN_NUMBER=******** (environment)");
    let mut loaded = from_env(&[]).unwrap();
    loaded.settings = Settings::new(vec![setting], false);
    assert_eq!(effective(&loaded.settings), "# You will not need these\nTOKEN_NUMBER=********  # environment\n");
}

#[test]
fn no_setting_that_is_secret_is_ever_shown() {
    let secrets: Vec<&Knob> = KNOBS.iter().copied().filter(|knob| knob.secret).collect();
    assert!(!secrets.is_empty());
    for knob in secrets {
        assert!(knob.default.is_empty(), "{}: a secret that everyone knows is none", knob.name);
        for name in knob.names() {
            for text in ["hunter2", "hunter2-hunter2-hunter2-hunter2-hunter2"] {
                let loaded = match from_env(&[(name, text)]) {
                    Ok(loaded) => loaded,
                    Err(refused) => {
                        assert!(text == "hunter2" && !refused.to_string().contains("hunter2"), "{refused}");
                        continue;
                    }
                };
                let shown = format!("{loaded:?}") + &effective(&loaded.settings);
                assert!(shown.contains(&format!("{}=********", knob.name)));
                assert!(!shown.contains("hunter2"), "{shown}");
            }
            let bad = from_env(&[(name, "hunter2\u{1}")]).unwrap_err();
            assert_eq!(bad.to_string(), format!("{name}=******** contains control characters: use text on one line"));
        }
        let unset = effective(&from_env(&[]).unwrap().settings);
        assert!(unset.lines().any(|line| line.trim_end().starts_with(&format!("{}= ", knob.name))), "{unset}");
    }
}

/// The settings with a place of their own in what is shown.
fn listed() -> impl Iterator<Item = &'static Knob> {
    KNOBS.iter().copied().filter(|knob| knob.alias_of.is_none())
}

#[test]
fn another_name_is_shown_where_it_was_given_and_told_with_its_setting() {
    const OTHER: &str = "MAX_WS_CONNECTIONS_PER_DRAFT";
    let given = effective(&from_env(&[(OTHER, "7")]).unwrap().settings);
    assert!(given.contains("MAX_WS_CONNECTIONS_PER_DRAFT=7 "), "{given}");
    assert!(!effective(&from_env(&[]).unwrap().settings).contains(OTHER));
    assert!(docs::markdown(&KNOBS).contains("| `WS_MAX_SOCKETS_PER_DRAFT`<br>also `MAX_WS_CONNECTIONS_PER_DRAFT` |"));
    assert!(docs::env_example(&KNOBS).contains("# Also read under its old name MAX_WS_CONNECTIONS_PER_DRAFT."));
}

#[test]
fn ten_settings_come_first_and_then_those_for_production() {
    const TEN: [&str; 10] = [
        "ENV",
        "LISTEN_ADDR",
        "DATABASE_URL",
        "LOG_LEVEL",
        "ALLOWED_ORIGINS",
        "JWT_SECRET",
        "TRUSTED_PROXIES",
        "OPS_ADDR",
        "OPS_TOKEN",
        "BACKUP_DIR",
    ];
    const PRODUCTION: [&str; 9] = [
        "CONFIG_STRICT",
        "TLS_CERT_FILE",
        "TLS_KEY_FILE",
        "DRAFTS_PUBLIC_READ",
        "AUTH_TRUST_USER_HEADER",
        "JWT_PUBLIC_KEY_FILE",
        "JWT_JWKS_FILE",
        "WS_ALLOWED_ORIGINS",
        "HOUSEHOLD_PASSWORD",
    ];
    let example = docs::env_example(&KNOBS);
    let (first, rest) = example.split_once("# === For production\n").unwrap();
    let (production, others) = rest.split_once("# === You will not need these\n").unwrap();
    let names = |text: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix('#')?.split_once('='));
        lines.map(|(name, _)| name.to_owned()).filter(|name| !name.starts_with(' ')).collect()
    };
    assert_eq!(names(first), TEN);
    assert_eq!(names(production), PRODUCTION);
    assert_eq!(names(others).len(), listed().count() - TEN.len() - PRODUCTION.len());
    let page = docs::markdown(&KNOBS);
    let (first, rest) = page.split_once("\n## For production\n").unwrap();
    let (production, _) = rest.split_once("\n## Where values come from\n").unwrap();
    let rows = |text: &str| -> Vec<String> {
        text.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split('`').next()?.to_owned())).collect()
    };
    assert_eq!((rows(first), rows(production)), (TEN.map(str::to_owned).into(), PRODUCTION.map(str::to_owned).into()));
}

#[test]
fn effective_has_one_aligned_line_per_knob() {
    let sources = Sources::from_pairs(&[("ENV", "production")], &[("SHARDS", "3")]);
    let text = effective(&load(&sources, false).unwrap().settings);
    let rows: Vec<&str> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert_eq!(rows.len(), listed().count());
    let columns: BTreeSet<_> = rows.iter().map(|line| line.find("  # ").unwrap()).collect();
    let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap();
    assert!(line("ENV=production ").ends_with("  # environment"));
    assert!(line("SHARDS=3 ").ends_with("  # settings file"));
    assert!(line("AUTH_TRUST_USER_HEADER=false ").ends_with("  # default in production"));
    assert!(line("DRAIN_SECONDS=10 ").ends_with("  # default"));
    assert!(columns.len() > 1, "values keep at least two blanks before the origin");

    let headings = text.lines().filter_map(|line| line.strip_prefix("# "));
    let page = docs::markdown(&KNOBS);
    let of_page = page.lines().filter_map(|line| line.strip_prefix("## "));
    let headings: Vec<&str> = headings.collect();
    assert_eq!(headings, ["What you need first", "For production", "You will not need these"]);
    assert_eq!(headings, of_page.filter(|heading| headings.contains(heading)).collect::<Vec<_>>());
}

#[test]
fn the_example_loads_when_uncommented() {
    let example = docs::env_example(&KNOBS);
    assert!(pairs(&example).unwrap().is_empty());
    assert!(example.lines().all(|line| line.chars().count() <= 80 || line.starts_with("#ALLOWED")));
    let uncomment = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => rest.to_owned(),
        _ => line.to_owned(),
    };
    let text: Vec<String> = example.lines().map(uncomment).collect();
    let pairs = pairs(&text.join("\n")).unwrap();
    assert_eq!(pairs.len(), listed().count());
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    // Everything is set, so that even a strict server would start with it.
    let loaded = load(&Sources::from_pairs(&[], &pairs), true).unwrap();
    assert!(loaded.warnings.is_empty());
    for setting in loaded.settings.iter() {
        assert_eq!(setting.value, parse(setting.knob, "", setting.knob.default).unwrap());
    }
}

#[test]
fn the_page_has_a_row_for_every_knob() {
    let page = docs::markdown(&KNOBS);
    assert!(page.starts_with("<!-- generated by `inkring config-docs markdown`; do not edit -->"));
    for knob in listed() {
        let row = format!("| `{}`", knob.name);
        let line = page.lines().find(|line| line.starts_with(&row)).unwrap();
        assert_eq!(line.matches(" | ").count(), 3, "{line}");
        assert!(line.contains(knob.meaning));
    }
}

#[test]
fn the_files_in_the_repository_are_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (path, form, text) in [
        (".env.example", "env", docs::env_example(&KNOBS)),
        ("docs/CONFIGURATION.md", "markdown", docs::markdown(&KNOBS)),
    ] {
        let stored = std::fs::read_to_string(root.join(path)).unwrap();
        assert!(stored == text, "run `inkring config-docs {form} > {path}`");
    }
}
