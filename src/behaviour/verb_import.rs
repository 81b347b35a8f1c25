//! `inkring metrics import`: takes over a file of events of another system.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::import::{Imported, import};
use super::names::Names;
use super::options::{self, Rules};
use super::time::Day;
use crate::clock::Clock;
use crate::feature::verb::{fail, print};
use crate::settings::Settings;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The file, with lines as the original writes them, plain or gzipped
    #[arg(value_name = "FILE")]
    from: PathBuf,
    /// The directory of metrics.jsonl [default: from METRICS_JSONL]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

pub(super) fn run(options: &Options, settings: &Settings) -> ExitCode {
    let path = options.data_dir.as_deref().map_or_else(|| options::file(settings), options::in_directory);
    let names = Names::of(&path);
    if !names.directory().is_dir() {
        let why = format!("there is no directory {}; start the server once to create it", names.directory().display());
        return fail("nothing was imported", &why, 1);
    }
    match import(&names, &options.from) {
        Ok(imported) => {
            print(&said(&path.display().to_string(), &imported, Rules::of(settings), Day::of(Clock::system().now())))
        }
        Err(error) => fail(&format!("{} was not imported", options.from.display()), &error, 1),
    }
}

fn said(file: &str, imported: &Imported, rules: Rules, today: Day) -> String {
    let mut text = format!("{file}\n  imported       {} lines of {} days\n", imported.lines, imported.days.len());
    text.push_str(&format!("  already there  {}\n  not an event   {}", imported.known, imported.bad));
    if let Some((last, named)) = imported.named.split_last() {
        let named: String = named.iter().map(|number| format!("{number}, ")).collect();
        let more = if imported.bad > imported.named.len() as u64 { ", …" } else { "" };
        text.push_str(&format!(" (line {named}{last}{more})"));
    }
    text.push('\n');
    let is_old = |day: &&Day| rules.keep_days.is_some_and(|keep| day.before(today) > i64::from(keep));
    let old = imported.days.keys().filter(is_old).count();
    if old > 0 {
        text.push_str(&format!(
            "  {old} of these days are older than METRICS_RETENTION_DAYS, and will be removed at the next rotation\n"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_no_event_is_named_and_what_will_not_stay_is_said() {
        let (old, today) = (Day::parse("2025-08-01").unwrap(), Day::parse("2025-10-09").unwrap());
        let rules = Rules { max_bytes: None, gzip_after_days: None, keep_days: Some(30) };
        let imported = Imported { lines: 3, days: [(old, 1), (today, 2)].into(), known: 4, bad: 3, named: vec![7, 9] };
        assert_eq!(
            said("data/metrics.jsonl", &imported, rules, today),
            "data/metrics.jsonl\n  imported       3 lines of 2 days\n  already there  4\n  not an event   3 (line 7, 9, …)\n  \
             1 of these days are older than METRICS_RETENTION_DAYS, and will be removed at the next rotation\n"
        );
        let none = said("x", &Imported::default(), rules, today);
        assert!(none.ends_with("  not an event   0\n"), "{none}");
    }
}
