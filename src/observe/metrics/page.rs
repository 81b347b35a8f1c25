//! All rows as text: a page of documentation, and a dashboard for Grafana.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::row::{Kind, Overview, Row};

/// The page up to its tables.
const INTRODUCTION: &str = include_str!("intro.md");

/// Panels of the dashboard beside each other, of the 24 columns that Grafana has.
const PANELS_PER_ROW: usize = 3;
const PANEL_WIDTH: usize = 24 / PANELS_PER_ROW;
const PANEL_HEIGHT: usize = 8;
const FIGURE_HEIGHT: usize = 4;
/// Figures, and a row of panels.
const OVERVIEW_HEIGHT: usize = FIGURE_HEIGHT + PANEL_HEIGHT;

/// The text of `docs/METRICS.md`.
pub fn markdown(rows: &[&Row]) -> String {
    let mut text = INTRODUCTION.to_owned();
    for section in sections(rows) {
        let title = section[0].section.title;
        let _ = write!(text, "\n## {title}\n\n| Metric | Type | Labels | Meaning | Question |\n");
        text.push_str("| --- | --- | --- | --- | --- |\n");
        for row in section {
            let Row { name, kind, labels, help, question, .. } = row;
            let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
            let (kind, labels) = (kind.as_str(), labels.join(", "));
            let public =
                if row.is_of_the_original { format!(" In public `{}`.", row.public_name()) } else { String::new() };
            let _ = writeln!(text, "| `{name}` | {kind} | {labels} | {help}.{public} | {question} |");
        }
    }
    text.push_str("\n## Buckets\n\n| Metric | Upper bounds |\n| --- | --- |\n");
    for row in rows {
        if let Kind::Histogram(bounds) = row.kind {
            let bounds: Vec<String> = bounds.iter().map(f64::to_string).collect();
            let _ = writeln!(text, "| `{}` | {} |", row.name, bounds.join(", "));
        }
    }
    text
}

/// The text of `docs/deploy/grafana-dashboard.json`: an overview, and below it, folded, a panel for each question, in the
/// sections of the page.
pub fn grafana(rows: &[&Row]) -> String {
    let mut panels = overview(rows);
    // Those of folded rows are numbered on.
    let mut id = panels.len();
    let mut next = || {
        id += 1;
        id
    };
    // Of a folded row only its title takes room.
    for (top, section) in (OVERVIEW_HEIGHT..).zip(sections(rows)) {
        let row = next();
        let mut questions: Vec<&str> = section.iter().map(|row| row.question).collect();
        questions.dedup();
        let folded: Vec<Value> = questions
            .iter()
            .enumerate()
            .map(|(at, question)| {
                let place = json!({
                    "x": at % PANELS_PER_ROW * PANEL_WIDTH, "y": top + 1 + at / PANELS_PER_ROW * PANEL_HEIGHT,
                    "w": PANEL_WIDTH, "h": PANEL_HEIGHT,
                });
                panel(rows, next(), question, &place)
            })
            .collect();
        panels.push(json!({
            "type": "row", "id": row, "title": section[0].section.title, "collapsed": true, "panels": folded,
            "gridPos": { "x": 0, "y": top, "w": 24, "h": 1 },
        }));
    }
    let variables = json!([
        { "name": "source", "label": "Source", "type": "datasource", "query": "prometheus" },
        chosen("job", "Job", "label_values(inkring_build_info, job)"),
        chosen("instance", "Server", r#"label_values(inkring_build_info{job=~"$job"}, instance)"#),
    ]);
    let dashboard = json!({
        "title": "inkring", "uid": "inkring", "tags": ["inkring"], "schemaVersion": 39, "editable": true,
        "description": "Made by `inkring metrics-docs grafana` of the table of metrics.",
        "refresh": "30s", "time": { "from": "now-6h", "to": "now" }, "templating": { "list": variables },
        "panels": panels,
    });
    // A value of JSON always serialises; the error type only has no way to say so.
    serde_json::to_string_pretty(&dashboard).unwrap_or_default() + "\n"
}

fn sections<'r>(rows: &'r [&'r Row]) -> impl Iterator<Item = &'r [&'r Row]> {
    rows.chunk_by(|row, next| row.section.title == next.section.title)
}

fn source() -> Value {
    json!({ "type": "prometheus", "uid": "${source}" })
}

/// A variable that is chosen from what this query finds.
fn chosen(name: &str, label: &str, query: &str) -> Value {
    json!({
        "name": name, "label": label, "type": "query", "query": query, "datasource": source(), "includeAll": true,
        "multi": true, "refresh": 2, "current": { "text": "All", "value": "$__all" },
    })
}

/// What one looks at first: figures beside each other, and below them courses.
fn overview(rows: &[&Row]) -> Vec<Value> {
    let figures: Vec<&Row> =
        rows.iter().copied().filter(|row| matches!(row.overview, Some(Overview::Figure))).collect();
    let width = 24 / figures.len().max(1);
    let of_figures = figures.iter().enumerate().map(|(at, row)| {
        let place = json!({ "x": at * width, "y": 0, "w": width, "h": FIGURE_HEIGHT });
        let targets = targets(queries(row, row.labels));
        let shown = if row.labels.is_empty() { "value" } else { "name" };
        json!({
            "type": "stat", "id": at + 1, "title": row.question, "description": help(row), "datasource": source(),
            "gridPos": place, "targets": targets,
            "options": { "reduceOptions": { "calcs": ["lastNotNull"] }, "textMode": shown, "graphMode": "none" },
            "fieldConfig": { "defaults": { "unit": unit(row) }, "overrides": [] },
        })
    });
    let courses = rows.iter().filter_map(|row| match row.overview {
        Some(Overview::Course(labels)) => Some((row, labels)),
        _ => None,
    });
    let of_courses = courses.enumerate().map(|(at, (row, labels))| {
        let place = json!({
            "x": at % PANELS_PER_ROW * PANEL_WIDTH, "y": FIGURE_HEIGHT + at / PANELS_PER_ROW * PANEL_HEIGHT,
            "w": PANEL_WIDTH, "h": PANEL_HEIGHT,
        });
        series(figures.len() + 1 + at, row.question, &help(row), &place, targets(queries(row, labels)), unit(row))
    });
    of_figures.chain(of_courses).collect()
}

/// A panel that answers a question with every family that does.
fn panel(rows: &[&Row], id: usize, question: &str, place: &Value) -> Value {
    let rows: Vec<&Row> = rows.iter().copied().filter(|row| row.question == question).collect();
    let asked = rows.iter().flat_map(|row| queries(row, row.labels)).collect();
    let helps: Vec<String> = rows.iter().map(|row| help(row)).collect();
    let unit = rows.first().map_or("short", |row| unit(row));
    series(id, question, &helps.join("\n"), place, targets(asked), unit)
}

fn help(row: &Row) -> String {
    format!("{}: {}.", row.name, row.help)
}

fn series(id: usize, title: &str, description: &str, place: &Value, targets: Vec<Value>, unit: &str) -> Value {
    json!({
        "type": "timeseries", "id": id, "title": title, "description": description, "datasource": source(),
        "gridPos": place, "targets": targets,
        "fieldConfig": { "defaults": { "unit": unit, "min": 0 }, "overrides": [] },
    })
}

fn targets(queries: Vec<(String, String)>) -> Vec<Value> {
    let named = queries.into_iter().zip('A'..);
    named.map(|((query, legend), id)| json!({ "refId": id, "expr": query, "legendFormat": legend })).collect()
}

/// What to ask of a family, by these of its labels, and what to call the answers.
fn queries(row: &Row, labels: &[&str]) -> Vec<(String, String)> {
    const OF: &str = r#"{job=~"$job",instance=~"$instance"}"#;
    let Row { name, kind, .. } = row;
    let legend = |first: &str| {
        let labels = labels.iter().map(|label| format!("{{{{{label}}}}}"));
        let words: Vec<String> =
            std::iter::once(first.to_owned()).filter(|first| !first.is_empty()).chain(labels).collect();
        words.join(" ")
    };
    let short = name.trim_end_matches("_total");
    match kind {
        Kind::Gauge if name.ends_with("time_seconds") || name.ends_with("timestamp_seconds") => {
            vec![(format!("time() - ({name}{OF} > 0)"), "{{instance}}".to_owned())]
        }
        Kind::Gauge => vec![(format!("{name}{OF}"), legend(name))],
        Kind::Counter if row.labels.is_empty() => {
            vec![(format!("rate({name}{OF}[$__rate_interval])"), short.to_owned())]
        }
        Kind::Counter => {
            let by = labels.join(", ");
            vec![(format!("sum by ({by}) (rate({name}{OF}[$__rate_interval]))"), legend(""))]
        }
        Kind::Histogram(_) => {
            let by = [&["le"], labels].concat().join(", ");
            let quantile = |part: &str, word: &str| {
                let rate = format!("sum by ({by}) (rate({name}_bucket{OF}[$__rate_interval]))");
                (format!("histogram_quantile({part}, {rate})"), legend(word))
            };
            vec![quantile("0.5", "half"), quantile("0.99", "99 %")]
        }
    }
}

/// What the axis of a family's panel is in.
fn unit(row: &Row) -> &'static str {
    match row.kind {
        Kind::Counter if row.name.ends_with("_bytes_total") => "Bps",
        Kind::Counter => "ops",
        _ if row.name.ends_with("_seconds") => "s",
        _ if row.name.ends_with("_bytes") => "bytes",
        _ => "short",
    }
}
