//! `inkring metrics report`: what happened, out of the files of events.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::names::Names;
use super::report::{DAYS_DEFAULT, REPORT_DAYS_MAX, Report, TOP_DEFAULT, TOP_MAX, Wanted};
use super::{forms, options, reading};
use crate::clock::Clock;
use crate::feature::verb::{fail, print, whole};
use crate::settings::Settings;
use crate::text::visible;

pub(super) const EXIT_CODES: &str =
    "Exit codes: 0 done, 1 failure or a file that could not be read, 2 usage, 3 the settings are wrong.";

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The number of days, ending today
    #[arg(long, value_name = "N", default_value_t = DAYS_DEFAULT, value_parser = whole(1, REPORT_DAYS_MAX))]
    days: u32,
    /// The format
    #[arg(long, default_value = "table")]
    format: Form,
    /// Count programs (bots) like people
    #[arg(long)]
    with_programs: bool,
    /// How many paths, links and referrers to list
    #[arg(long, value_name = "N", default_value_t = TOP_DEFAULT, value_parser = whole(1, TOP_MAX))]
    top: u32,
    /// The directory of metrics.jsonl [default: from METRICS_JSONL]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    /// For people
    Table,
    /// For spreadsheets
    Csv,
    /// For programs, one object
    Json,
}

pub(super) fn run(options: &Options, settings: &Settings) -> ExitCode {
    let path = options.data_dir.as_deref().map_or_else(|| options::file(settings), options::in_directory);
    let names = Names::of(&path);
    if !names.directory().is_dir() {
        return fail("there is no report", &format!("there is no directory {}", names.directory().display()), 1);
    }
    let Options { days, with_programs, top, .. } = *options;
    match reading::report(&names, Wanted { now: Clock::system().now(), days, with_programs, top }) {
        Ok(report) => say(&report, options.format),
        Err(error) => fail("there is no report", &error, 1),
    }
}

fn say(report: &Report, form: Form) -> ExitCode {
    print(&match form {
        Form::Table => forms::table(report),
        Form::Csv => forms::csv(report),
        // Texts and numbers always serialise.
        Form::Json => serde_json::to_string(report).unwrap_or_default() + "\n",
    });
    if report.faults.is_empty() {
        return ExitCode::SUCCESS;
    }
    let faults: Vec<_> = report.faults.iter().map(|fault| visible(fault)).collect();
    fail("some files could not be read", &faults.join("\n"), 1)
}
