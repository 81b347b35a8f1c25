//! What is counted and measured (contract 01 §9 with R23), and the files that are made of it.

use std::collections::BTreeSet;

use inkring::observe::metrics::table::{self, Kind, TABLE};

use crate::repository::read;
use crate::support::{Server, inkring};

const PUBLIC: (&str, &str) = ("METRICS_PUBLIC", "true");

#[test]
fn metrics_are_public_only_where_that_was_asked_for() {
    let closed = Server::start();
    assert_eq!(closed.get("/metrics").expect_error(404).0, "not_found");
    let open = Server::with(&[PUBLIC]);
    let answer = open.get("/metrics");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = answer.text();
    assert!(text.starts_with("# HELP build_info ") && text.ends_with('\n') && !text.contains("# EOF"), "{text}");
}

#[test]
fn the_page_and_the_dashboard_are_what_the_program_prints() {
    let directory = tempfile::tempdir().unwrap();
    for (form, file) in [("markdown", "docs/METRICS.md"), ("grafana", "docs/deploy/grafana-dashboard.json")] {
        let ran = inkring(directory.path()).args(["metrics-docs", form]).output().unwrap();
        assert!(ran.status.success() && ran.stderr.is_empty());
        let printed = String::from_utf8(ran.stdout).unwrap();
        assert!(printed == read(file), "{file} is out of date: inkring metrics-docs {form} > {file}");
    }
    let page = read("docs/METRICS.md");
    for row in TABLE {
        assert!(page.contains(&format!("| `{}` | {} |", row.name, row.kind.as_str())), "{}", row.name);
    }
}

/// One rule of docs/deploy/alerts.yml.
#[derive(Debug, Default)]
struct Alert {
    name: String,
    expr: String,
    summary: String,
    runbook: String,
}

/// Reads the rules. The file keeps to a form so strict that each line can be told by its beginning, and any other line
/// fails; what keeps to it is YAML.
fn alerts() -> Vec<Alert> {
    let page = read("docs/deploy/alerts.yml");
    let body: Vec<&str> = page.lines().skip_while(|line| line.starts_with("# ")).collect();
    assert_eq!(body[..3], ["groups:", "  - name: inkring", "    rules:"]);
    let quoted = |value: &str| -> String {
        let inside = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        let inside = inside.unwrap_or_else(|| panic!("a text stands in quotes: {value}"));
        assert!(!inside.contains(['"', '\\']), "{value}");
        inside.to_owned()
    };
    let mut found: Vec<Alert> = Vec::new();
    let mut keys = BTreeSet::new();
    for line in &body[3..] {
        let text = line.trim_start();
        let (indent, (key, value)) =
            (line.len() - text.len(), text.split_once(':').unwrap_or_else(|| panic!("{line}")));
        let value = value.trim_start();
        if key == "- alert" {
            found.push(Alert { name: value.to_owned(), ..Alert::default() });
            keys.clear();
            assert_eq!(indent, 6, "{line}");
            continue;
        }
        assert!(keys.insert(key), "{line}: twice in one rule");
        let alert = found.last_mut().unwrap_or_else(|| panic!("{line}"));
        match (indent, key) {
            (8, "expr") => alert.expr = value.to_owned(),
            (8, "for") => {
                assert!(value.strip_suffix('m').is_some_and(|minutes| minutes.parse::<u32>().is_ok()), "{line}")
            }
            (8, "labels" | "annotations") => assert_eq!(value, "", "{line}"),
            (10, "severity") => assert!(["page", "ticket"].contains(&value), "{line}"),
            (10, "summary") => alert.summary = quoted(value),
            (10, "runbook_url") => alert.runbook = quoted(value),
            _ => panic!("{line}"),
        }
        // What YAML would read otherwise than it looks.
        let plain =
            !value.contains(": ") && !value.contains(" #") && !value.starts_with(['{', '[', '*', '&', '!', '|', '>']);
        assert!(plain || value.starts_with('"'), "{line}: put it in quotes");
    }
    found
}

/// `BackupTooOld` as a heading's anchor: `backup-too-old`.
fn kebab(name: &str) -> String {
    let mut anchor = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !anchor.is_empty() {
            anchor.push('-');
        }
        anchor.push(letter.to_ascii_lowercase());
    }
    anchor
}

/// Holds every word of a query to be a family of the table, a label of one, or a word of PromQL.
fn check_query(query: &str) -> BTreeSet<&'static str> {
    const WORDS: [&str; 12] = [
        "absent",
        "and",
        "by",
        "histogram_quantile",
        "increase",
        "instance",
        "le",
        "or",
        "predict_linear",
        "rate",
        "sum",
        "time",
    ];
    let mut families = BTreeSet::new();
    // Texts and durations are no names.
    let bare: String = query.split('"').step_by(2).collect();
    let bare: String = bare.split(['[', ']']).step_by(2).collect::<Vec<_>>().join(" ");
    for word in bare.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_')) {
        let part = ["_bucket", "_sum", "_count"].iter().find_map(|part| word.strip_suffix(part)).unwrap_or(word);
        let of_histogram = table::find(part).filter(|row| matches!(row.kind, Kind::Histogram(_)));
        if let Some(row) = table::find(word).filter(|row| !matches!(row.kind, Kind::Histogram(_))).or(of_histogram) {
            families.insert(row.name);
        } else {
            let label = TABLE.iter().any(|row| row.labels.contains(&word));
            let number = word.is_empty() || word.starts_with(|letter: char| letter.is_ascii_digit());
            assert!(label || number || WORDS.contains(&word), "{word} of {query} is not in the table");
        }
    }
    families
}

#[test]
fn alerts_ask_for_metrics_that_there_are_and_lead_to_the_runbook() {
    let alerts = alerts();
    assert!(alerts.len() > 15, "{alerts:?}");
    let mut names = BTreeSet::new();
    for Alert { name, expr, summary, runbook } in &alerts {
        assert!(names.insert(name), "{name} comes twice");
        assert!(!check_query(expr).is_empty(), "{name} asks for nothing: {expr}");
        assert!(summary.len() > 20, "{name}: {summary}");
        assert_eq!(*runbook, format!("docs/OPERATIONS.md#{}", kebab(name)));
    }
}

#[test]
fn the_dashboard_asks_for_every_family_and_nothing_else() {
    let dashboard: serde_json::Value = serde_json::from_str(&read("docs/deploy/grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let asked: BTreeSet<&str> = targets.flat_map(|target| check_query(target["expr"].as_str().unwrap())).collect();
    let table: BTreeSet<&str> = TABLE.iter().map(|row| row.name).collect();
    assert_eq!(asked, table);
    let mut ids: Vec<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    ids.dedup();
    assert_eq!(ids.len(), panels.len());
}

#[test]
#[should_panic(expected = "is not in the table")]
fn a_metric_that_there_is_not_is_found() {
    check_query("rate(http_request_total[5m])");
}
