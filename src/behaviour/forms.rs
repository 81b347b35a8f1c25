//! A report as it is printed: a table for people, and one for spreadsheets. Its JSON is [`Report`] as it is.

use std::fmt::Write as _;

use super::report::{OfName, Report, Top};
use crate::text::{csv_cell, cut, visible};

/// The headings of the CSV form.
const CSV_HEADER: &str = "section,day,name,events,visitors,programs\r\n";
/// What stands for all events for whose names there was no room.
const OTHERS: &str = "(others)";
/// Characters of a name in the table for people.
const NAME_MAX_CHARS: usize = 60;

/// As one table of CSV (RFC 4180) whose first column says what a row is: a `day`, an `event` of a day, `total`, a `path`, a
/// `link`, a `referrer`.
pub(super) fn csv(report: &Report) -> String {
    let mut out = CSV_HEADER.to_owned();
    let mut row =
        |section: &str, day: &str, name: Option<&str>, events: u64, visitors: Option<u64>, programs: Option<u64>| {
            // Writing to a String cannot fail.
            let _ = write!(out, "{section},{day},");
            name.into_iter().for_each(|name| csv_cell(name, &mut out));
            let _ = write!(out, ",{events}");
            for number in [visitors, programs] {
                out.push(',');
                number.into_iter().for_each(|number| _ = write!(out, "{number}"));
            }
            out.push_str("\r\n");
        };
    for day in &report.days {
        row("day", &day.day, None, day.events, Some(day.visitors), Some(day.programs));
        for of_name in &day.by_event {
            row("event", &day.day, Some(shown(of_name)), of_name.events, None, Some(of_name.programs));
        }
    }
    row("total", "", None, report.events, Some(report.visitors), Some(report.programs));
    for (section, top) in [("path", &report.paths), ("link", &report.links), ("referrer", &report.referrers)] {
        for of_text in &top.rows {
            row(section, "", Some(&of_text.name), of_text.events, None, None);
        }
    }
    out
}

/// For people and their terminals.
pub(super) fn table(report: &Report) -> String {
    let about = |exact| if exact { "" } else { "~" };
    let mut out = format!("Events from {} to {} (UTC)\n\n", report.from, report.to);
    let mut row = |cells: [&str; 4]| {
        let [name, events, visitors, programs] = cells;
        let _ = writeln!(out, "{}{events:>10}  {visitors:>10}  {programs:>10}", padded(name, 32));
    };
    row(["day", "events", "visitors", "programs"]);
    for day in &report.days {
        let visitors = format!("{}{}", about(day.visitors_exact), day.visitors);
        row([&day.day, &day.events.to_string(), &visitors, &day.programs.to_string()]);
        for of_name in &day.by_event {
            let name = format!("  {}", visible(shown(of_name)));
            row([&name, &of_name.events.to_string(), "", &of_name.programs.to_string()]);
        }
    }
    let visitors = format!("{}{}", about(report.visitors_exact), report.visitors);
    row(["all", &report.events.to_string(), &visitors, &report.programs.to_string()]);
    for (title, top) in [
        ("path of page_view", &report.paths),
        ("link of link_click", &report.links),
        ("referrer of page_view", &report.referrers),
    ] {
        list(title, top, &mut out);
    }
    out.push('\n');
    notes(report).iter().for_each(|note| _ = writeln!(out, "{note}"));
    out
}

fn shown(of_name: &OfName) -> &str {
    of_name.event.as_deref().unwrap_or(OTHERS)
}

fn list(title: &str, top: &Top, out: &mut String) {
    if top.rows.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{}{:>10}", padded(title, 62), "events");
    for row in &top.rows {
        let _ = writeln!(out, "{}{:>10}", padded(&visible(&row.name), 62), row.events);
    }
    if top.missed_at_most > 0 {
        let _ = writeln!(out, "each up to {} too low: there are too many different ones to track", top.missed_at_most);
    }
}

/// The text, and blanks up to this width.
fn padded(text: &str, width: usize) -> String {
    let text = cut(text, NAME_MAX_CHARS);
    let blanks = width.saturating_sub(text.chars().count()).max(1);
    format!("{text}{}", " ".repeat(blanks))
}

/// What a reader of the figures should know.
fn notes(report: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    let lines = report.lines;
    notes.push(format!(
        "{} of {} lines in {} files are of these days; {} are not events",
        lines.counted, lines.read, report.files, lines.bad
    ));
    notes.push(match report.with_programs {
        true => format!("{} events from programs are included", report.programs),
        false => format!("{} events from programs are excluded, except in their own column", report.programs),
    });
    if !(report.visitors_exact && report.days.iter().all(|day| day.visitors_exact)) {
        notes.push("~ means accurate to about 3 %: there were too many visitors to count exactly".to_owned());
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::super::report::{Tally, Wanted};
    use super::*;
    use crate::clock::Timestamp;

    fn report(event: &str, path: &str) -> Report {
        let wanted = Wanted { now: Timestamp(1_760_013_297_000_000), days: 2, with_programs: false, top: 5 };
        let mut tally = Tally::new(wanted);
        let (event, path) = (serde_json::json!(event), serde_json::json!(path));
        for agent in ["null", "\"curl/8\""] {
            let line = format!(
                "{{\"visitor_id\": \"v-000001\", \"event\": {event}, \"timestamp\": \"2025-10-09T00:00:00Z\", \
                 \"metadata\": {{\"path\": {path}}}, \"user_agent\": {agent}}}"
            );
            tally.line(line.as_bytes());
        }
        tally.done()
    }

    #[test]
    fn a_spreadsheet_gets_one_table_without_formulas() {
        assert_eq!(
            csv(&report("page_view", "=1+1,\"x\"")),
            "section,day,name,events,visitors,programs\r\n\
             day,2025-10-08,,0,0,0\r\n\
             day,2025-10-09,,1,1,1\r\n\
             event,2025-10-09,\"page_view\",1,,1\r\n\
             total,,,1,1,1\r\n\
             path,,\"'=1+1,\"\"x\"\"\",1,,\r\n"
        );
    }

    #[test]
    fn a_terminal_is_driven_by_nobody() {
        let text = table(&report("x\u{1b}[2J\n", &"p".repeat(500)));
        assert!(text.contains("\\u{1b}[2J\\n") && !text.contains('\u{1b}'), "{text}");
        assert!(text.lines().all(|line| line.chars().count() < 100), "{text}");
        let text = table(&report("page_view", &format!("/{}", "p".repeat(500))));
        assert!(text.contains("pppp...<truncated>") && text.lines().all(|line| line.chars().count() < 100), "{text}");
    }
}
