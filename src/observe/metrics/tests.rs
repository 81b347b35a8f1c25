use std::collections::{BTreeMap, BTreeSet};

use super::*;
use table::{Kind, TABLE};

fn metrics() -> Metrics {
    Metrics::new("3.0", Timestamp(1_700_000_000_000_000), LogHandle::default())
}

/// Gives every family at least one sample.
fn touch(metrics: &Metrics) {
    let route = metrics.http.route("/x/{id}");
    route.answered(&Method::GET, StatusCode::OK, Duration::from_millis(3));
    route.blocked();
    metrics.http.rejected(StatusCode::BAD_REQUEST);
    metrics.http.auth_failed("missing");
    let _ = (metrics.sockets.refused.with(&["user"]), metrics.drafts.conflicts.with(&["ring_required"]));
    metrics.sockets.deliveries().sent("collab.ring_passed", 3);
}

/// What the text says of each family: type, and the labels of its samples.
fn described(text: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut found: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
    let mut help = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = Some(rest.split_once(' ').unwrap().0);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(help.take(), Some(name), "HELP stands right before TYPE");
            assert!(found.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new())).is_none(), "{name} comes twice");
        } else {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
            let parts = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
            let family = parts.filter(|name| found.contains_key(*name)).unwrap_or(name);
            let known = &mut found.get_mut(family).unwrap_or_else(|| panic!("{line} is not described")).1;
            let labels = labels.trim_end_matches('}').split("\",").filter_map(|label| label.split_once('='));
            known.extend(labels.map(|(label, _)| label.to_owned()).filter(|label| label != "le"));
        }
    }
    found
}

#[test]
fn the_registry_is_the_table() {
    let metrics = metrics();
    touch(&metrics);
    let found = described(&metrics.encode());
    let table: BTreeMap<String, (String, BTreeSet<String>)> = TABLE
        .iter()
        .map(|row| {
            let labels = row.labels.iter().map(|label| (*label).to_owned()).collect();
            (row.name.to_owned(), (row.kind.as_str().to_owned(), labels))
        })
        .collect();
    assert_eq!(found, table, "left: what is served; right: the table");
}

#[test]
fn the_table_keeps_the_rules_of_prometheus() {
    for row in TABLE {
        let name = row.name;
        assert_eq!(TABLE.iter().filter(|other| other.name == name).count(), 1, "{name} comes twice");
        assert_eq!(name.ends_with("_total"), row.kind == Kind::Counter, "{name}");
        let words = [&[name], row.labels].concat();
        let plain = |word: &&str| word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_');
        assert!(words.iter().all(plain), "{words:?}");
        assert!(!row.help.contains(['\\', '\n']) && !row.help.ends_with('.'), "{name}: {}", row.help);
        assert!(row.question.ends_with('?') && !row.question.contains('|'), "{name}: {}", row.question);
        for forbidden in ["user", "draft", "id", "address", "le"] {
            assert!(!row.labels.contains(&forbidden), "{name} has the label {forbidden}");
        }
        if let Kind::Histogram(bounds) = row.kind {
            assert!(bounds.is_sorted_by(|a, b| a < b), "{name}");
        }
    }
    // A question is asked in one place only.
    let mut questions: Vec<&str> = TABLE.iter().map(|row| row.question).collect();
    questions.dedup();
    let asked: BTreeSet<&str> = questions.iter().copied().collect();
    assert_eq!(asked.len(), questions.len(), "families of one question stand together");
    let mut sections: Vec<_> = TABLE.iter().map(|row| row.section).collect();
    sections.dedup();
    assert_eq!(sections, table::Section::ALL);
}

#[test]
fn what_is_looked_at_is_looked_at_when_somebody_asks() {
    let metrics = metrics();
    let asked = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&asked);
    metrics.sample_with(move |metrics| {
        let times = counted.fetch_add(1, Ordering::Relaxed) + 1;
        metrics.storage.queue_depth.set(i64::try_from(times).unwrap());
        reach(&metrics.audit.rows, 10 - times);
    });
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    assert!(metrics.encode().contains("\nwriter_queue_depth 1\n"));
    let text = metrics.encode();
    assert!(
        text.contains("\nwriter_queue_depth 2\n") && text.contains("\naudit_rows_total 9\n"),
        "a counter never goes back"
    );
    metrics.stop_sampling();
    assert_eq!(Arc::strong_count(&asked), 1, "what it held is let go");
    assert!(!metrics.encode().is_empty());
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[test]
fn values_that_clients_choose_are_bounded() {
    let metrics = metrics();
    let route = metrics.http.route(UNMATCHED);
    for number in 0..1000_u16 {
        let method = Method::from_bytes(format!("X{number}").as_bytes()).unwrap();
        route.answered(&method, StatusCode::NOT_FOUND, Duration::ZERO);
        metrics.net.closed(3000 + number);
    }
    let text = metrics.encode();
    assert!(text.contains("\nhttp_requests_total{method=\"other\",path=\"unmatched\",status=\"404\"} 1000\n"));
    assert!(text.contains("\nws_closed_total{code=\"other\"} 1000\n"));
    assert!(text.lines().count() < 300, "{}", text.lines().count());
}

#[test]
fn readiness_that_changes_is_counted_and_one_that_stays_is_not() {
    let metrics = metrics();
    let told = |said: &[bool]| {
        said.iter().for_each(|ready| metrics.ready.said(*ready));
        (metrics.ready.ready.get(), metrics.ready.changes.get())
    };
    assert_eq!(told(&[]), (1, 0));
    assert_eq!(told(&[true, true]), (1, 0));
    assert_eq!(told(&[false, false]), (0, 1));
    assert_eq!(told(&[true]), (1, 2));
}

#[test]
fn a_request_is_in_flight_until_it_is_answered_or_given_up() {
    let http = Http::default();
    let route = Rc::new(http.route("/x"));
    let (first, second) = (route.take(), route.take());
    assert_eq!(http.in_flight.get(), 2);
    drop(first);
    drop(second);
    assert_eq!(http.in_flight.get(), 0);
}

#[test]
fn backups_are_told_of_in_seconds_and_bytes() {
    let metrics = metrics();
    metrics.backup.newest(Timestamp(1_700_000_000_250_000), Some(Duration::from_millis(1500)), 4096);
    reach(&metrics.backup.failures, 1);
    reach(&metrics.backup.verify_failures, 1);
    let text = metrics.encode();
    for line in [
        "backup_last_success_timestamp_seconds 1700000000.25",
        "backup_last_duration_seconds 1.5",
        "backup_last_size_bytes 4096",
        "backup_failures_total 1",
        "backup_verify_failures_total 1",
        "start_time_seconds 1700000000.0",
        "build_info{version=\"0.1.0\",sqlite=\"3.0\"} 1",
    ] {
        assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
    }
}
