//! What the house is made of: the list of everyone who declares something. A feature is one line of it.

use crate::feature::{self, Feature, schema_of};
use crate::gate::{Code, CodeRow, Route};
use crate::observe::metrics::{self, Row};
use crate::settings::{self, BoundRow, Endpoint, Knob, Section, Settings};
use crate::store::Schema;
use crate::{
    audit, backup, behaviour, drafts, gate, health, housekeeper, hub, modules, net, observe, ops, pages, people, plane,
    pool, rooms, store, systemd,
};

/// The features, in the order in which they start.
pub const FEATURES: &[&Feature] = &[
    &health::FEATURE,
    &ops::FEATURE,
    &people::FEATURE,
    &drafts::FEATURE,
    &backup::FEATURE,
    &behaviour::FEATURE,
    &rooms::FEATURE,
    &modules::FEATURE,
    // Last: a page is served where what it stands on is.
    &pages::FEATURE,
];

/// The settings of each owner.
fn owners() -> Vec<&'static [&'static Knob]> {
    let platform = [settings::KNOBS, net::options::KNOBS, pool::KNOBS, store::options::KNOBS, observe::options::KNOBS];
    let gate = gate::options::KNOBS.iter().copied();
    let others = [housekeeper::KNOBS, audit::options::KNOBS, hub::options::KNOBS, plane::options::KNOBS];
    let features = FEATURES.iter().map(|feature| feature.knobs);
    platform.into_iter().chain(gate).chain(others).chain(features).collect()
}

/// The database: everybody's tables.
#[must_use]
pub fn schema() -> Schema {
    schema_of(FEATURES)
}

/// Every place where clients are served, as configured: the public ones, then the doors of features.
pub(crate) fn places(settings: &Settings) -> Vec<Endpoint> {
    settings.endpoints(&net::options::LISTEN).iter().cloned().chain(doors(settings).map(|(_, place)| place)).collect()
}

/// Where the doors of features are, as configured, each with the setting that says so.
pub(crate) fn doors(settings: &Settings) -> impl Iterator<Item = (&'static Knob, Endpoint)> {
    let doors = FEATURES.iter().flat_map(|feature| feature.doors);
    doors.flat_map(|door| (door.places)(settings).into_iter().map(|place| (door.knob, place)))
}

/// Every setting, as they are shown.
pub(crate) fn knobs() -> Vec<&'static Knob> {
    settings::in_order(&owners())
}

/// Every setting, owner by owner.
pub(crate) fn declared() -> impl Iterator<Item = &'static Knob> {
    owners().into_iter().flatten().copied()
}

/// Why a server would not start with these settings, on whatever machine: a sentence for each.
#[must_use]
pub(crate) fn mistakes(settings: &Settings) -> Vec<String> {
    let of_features = FEATURES.iter().flat_map(|feature| (feature.mistakes)(settings));
    net::tls::server::mistake(settings).into_iter().chain(of_features).collect()
}

/// Every family of metrics, in the order of the page.
#[must_use]
pub fn rows() -> Vec<&'static Row> {
    let platform = [metrics::ROWS, pool::ROWS, gate::counters::ROWS, hub::counters::ROWS, net::counters::ROWS];
    let others = [store::counters::ROWS, audit::counters::ROWS];
    let features = FEATURES.iter().map(|feature| feature.counters);
    metrics::in_order(&platform.into_iter().chain(others).chain(features).collect::<Vec<_>>())
}

/// Every bound, `more` among them: section by section, and in each of them the settings first.
pub(crate) fn bounds(more: &[&'static [BoundRow]]) -> Vec<BoundRow> {
    let platform = [net::bounds::BOUNDS, pool::BOUNDS, hub::options::BOUNDS, store::BOUNDS, observe::bounds::BOUNDS];
    let others = [audit::bounds::BOUNDS, feature::BOUNDS, plane::bounds::BOUNDS, systemd::bounds::BOUNDS];
    let owned = platform.iter().chain(gate::bounds::BOUNDS).chain(&others).chain(more).copied();
    let owned = owned.chain(FEATURES.iter().map(|feature| feature.bounds)).flatten().copied();
    let knobs = knobs();
    let mut bounds: Vec<BoundRow> = knobs.iter().filter_map(|knob| BoundRow::of_knob(knob)).chain(owned).collect();
    let place = |section: &Section| knobs.iter().position(|knob| knob.section.title == section.title);
    bounds.sort_by_key(|bound| place(bound.section).unwrap_or(knobs.len()));
    bounds
}

/// What is served to clients.
#[must_use]
pub fn routes() -> Vec<Route> {
    FEATURES.iter().rev().flat_map(|feature| feature.routes).copied().flatten().copied().collect()
}

/// The same by feature: first what clients come for, and last what only asks how the server is.
pub(crate) fn paths() -> Vec<(&'static str, Vec<Route>)> {
    let main = FEATURES.iter().position(|feature| feature.name == drafts::FEATURE.name).unwrap_or_default();
    let (before, from) = FEATURES.split_at(main);
    let routes = |feature: &&Feature| -> Vec<Route> { feature.routes.iter().copied().flatten().copied().collect() };
    let parts = from.iter().chain(before).map(|feature| (feature.name, routes(feature)));
    parts.filter(|(_, routes)| !routes.is_empty()).collect()
}

/// What is served to the operator.
#[must_use]
pub fn operator_routes() -> Vec<Route> {
    plane::ROUTES.iter().chain(FEATURES.iter().flat_map(|feature| feature.operator)).copied().collect()
}

/// Every error, in the order of the page.
#[must_use]
pub fn codes() -> Vec<&'static CodeRow> {
    let mut codes: Vec<_> = Code::ALL.iter().map(|code| code.row()).collect();
    for row in FEATURES.iter().flat_map(|feature| feature.codes) {
        let before = row.after.and_then(|before| codes.iter().position(|code| code.word == before.as_str()));
        codes.insert(before.map_or(codes.len(), |at| at + 1), row);
    }
    codes
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::gate::code;
    use metrics::{Kind, Metrics, PREFIX, STANDARD};

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
                assert!(
                    found.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new())).is_none(),
                    "{name} comes twice"
                );
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
    fn every_family_is_served_as_its_row_says() {
        let metrics = Metrics::default();
        for row in rows() {
            let values = vec!["x"; row.labels.len()];
            match (row.kind, values.is_empty()) {
                (Kind::Counter, true) => _ = metrics.counter(row),
                (Kind::Counter, false) => _ = metrics.counters(row).with(&values),
                (Kind::Gauge, true) => _ = metrics.gauge(row),
                (Kind::Gauge, false) => _ = metrics.gauges(row).with(&values),
                (Kind::Histogram(_), true) => _ = metrics.histogram(row),
                (Kind::Histogram(_), false) => _ = metrics.histograms(row).with(&values),
            }
        }
        let declared: BTreeMap<String, (String, BTreeSet<String>)> = rows()
            .iter()
            .map(|row| {
                let labels = row.labels.iter().map(|label| (*label).to_owned()).collect();
                (row.name.to_owned(), (row.kind.as_str().to_owned(), labels))
            })
            .collect();
        assert_eq!(described(&metrics.encode()), declared, "left: what is served; right: the rows");
    }

    #[test]
    fn the_table_keeps_the_rules_of_prometheus() {
        let rows = rows();
        for row in &rows {
            let name = row.name;
            assert_eq!(rows.iter().filter(|other| other.name == name).count(), 1, "{name} comes twice");
            assert_eq!(name.ends_with("_total"), row.kind == Kind::Counter, "{name}");
            assert!(name.starts_with(PREFIX) || name.starts_with(STANDARD), "{name} could be anybody's");
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
        let mut questions: Vec<&str> = rows.iter().map(|row| row.question).collect();
        questions.dedup();
        let asked: BTreeSet<&str> = questions.iter().copied().collect();
        assert_eq!(asked.len(), questions.len(), "families of one question stand together");
        let mut sections: Vec<_> = rows.iter().map(|row| row.section.title).collect();
        sections.dedup();
        let titles = [
            "Process",
            "HTTP",
            "Limits and identity",
            "Sockets",
            "Drafts",
            "Storage",
            "Audit log",
            "Backups",
            "Behaviour metrics",
            "Rooms",
            "Modules",
        ];
        assert_eq!(sections, titles);
    }

    #[test]
    fn the_page_of_the_schema_is_what_the_program_prints() {
        assert!(schema().text() == include_str!("../schema.sql"), "out of date: inkring schema > schema.sql");
    }

    #[test]
    fn the_page_of_the_errors_is_what_the_program_prints() {
        let page = code::markdown(&codes());
        assert!(page == include_str!("../docs/ERRORS.md"), "out of date: inkring errors > docs/ERRORS.md");
    }

    #[test]
    fn versions_have_no_gap_and_there_is_a_database_of_each_to_migrate() {
        let features = FEATURES.iter().map(|feature| feature.schema);
        let owners: Vec<_> = features.chain([store::MIGRATIONS, audit::MIGRATIONS]).flatten().collect();
        for version in 1..=schema().version() {
            assert!(owners.iter().any(|step| step.version == version), "{version}");
            let corpus = format!("{}/tests/data/schema-{version}.sql", env!("CARGO_MANIFEST_DIR"));
            assert!(std::fs::exists(&corpus).unwrap(), "{corpus} is missing");
        }
    }
}
