//! All rows as text: a page of documentation, and a dashboard for Grafana.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::row::{Kind, Row};

/// The page up to its tables.
const INTRODUCTION: &str = include_str!("intro.md");

/// Panels of the dashboard beside each other, of the 24 columns that Grafana has.
const PANELS_PER_ROW: usize = 3;
const PANEL_WIDTH: usize = 24 / PANELS_PER_ROW;
const PANEL_HEIGHT: usize = 8;

/// The text of `docs/METRICS.md`.
pub fn markdown(rows: &[&Row]) -> String {
    let mut text = INTRODUCTION.to_owned();
    for section in sections(rows) {
        let title = section[0].section.title;
        let _ = write!(text, "\n## {title}\n\n| Metric | Type | Labels | Meaning | Question |\n");
        text.push_str("| --- | --- | --- | --- | --- |\n");
        for Row { name, kind, labels, help, question, .. } in section {
            let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
            let (kind, labels) = (kind.as_str(), labels.join(", "));
            let _ = writeln!(text, "| `{name}` | {kind} | {labels} | {help}. | {question} |");
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

/// The text of `docs/deploy/grafana-dashboard.json`: a panel for each question, in the sections of the page.
pub fn grafana(rows: &[&Row]) -> String {
    let mut panels = Vec::new();
    let mut top = 0;
    for section in sections(rows) {
        panels.push(json!({
            "type": "row", "id": panels.len() + 1, "title": section[0].section.title, "collapsed": false, "panels": [],
            "gridPos": { "x": 0, "y": top, "w": 24, "h": 1 },
        }));
        top += 1;
        let mut questions: Vec<&str> = section.iter().map(|row| row.question).collect();
        questions.dedup();
        for (at, question) in questions.iter().enumerate() {
            let place = json!({
                "x": at % PANELS_PER_ROW * PANEL_WIDTH, "y": top + at / PANELS_PER_ROW * PANEL_HEIGHT,
                "w": PANEL_WIDTH, "h": PANEL_HEIGHT,
            });
            panels.push(panel(rows, panels.len() + 1, question, &place));
        }
        top += questions.len().div_ceil(PANELS_PER_ROW) * PANEL_HEIGHT;
    }
    let variables = json!([
        { "name": "source", "label": "Source", "type": "datasource", "query": "prometheus" },
        {
            "name": "instance", "label": "Server", "type": "query", "query": "label_values(build_info, instance)",
            "datasource": source(), "includeAll": true, "multi": true, "refresh": 2,
            "current": { "text": "All", "value": "$__all" },
        },
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

/// A panel that answers a question with every family that does.
fn panel(rows: &[&Row], id: usize, question: &str, place: &Value) -> Value {
    let rows: Vec<&Row> = rows.iter().copied().filter(|row| row.question == question).collect();
    let targets: Vec<(String, String)> = rows.iter().flat_map(|row| queries(row)).collect();
    let targets: Vec<Value> = targets
        .iter()
        .zip('A'..)
        .map(|((query, legend), id)| json!({ "refId": id, "expr": query, "legendFormat": legend }))
        .collect();
    let helps: Vec<String> = rows.iter().map(|row| format!("{}: {}.", row.name, row.help)).collect();
    let unit = rows.first().map_or("short", |row| unit(row));
    json!({
        "type": "timeseries", "id": id, "title": question, "description": helps.join("\n"), "datasource": source(),
        "gridPos": place, "targets": targets,
        "fieldConfig": { "defaults": { "unit": unit, "min": 0 }, "overrides": [] },
    })
}

/// What to ask of a family, and what to call the answers.
fn queries(row: &Row) -> Vec<(String, String)> {
    const OF: &str = r#"{instance=~"$instance"}"#;
    let Row { name, kind, labels, .. } = row;
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
        Kind::Counter if labels.is_empty() => vec![(format!("rate({name}{OF}[$__rate_interval])"), short.to_owned())],
        Kind::Counter => {
            let by = labels.join(", ");
            vec![(format!("sum by ({by}) (rate({name}{OF}[$__rate_interval]))"), legend(""))]
        }
        Kind::Histogram(_) => {
            let by = [&["le"], *labels].concat().join(", ");
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
