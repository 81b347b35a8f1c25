//! `inkring metrics`: looks after the files of events by hand, or has the server do it that writes them, and says what is in
//! them. `rotate` takes the flags of the original's script in either of their spellings (contract 02 C2).

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::asking;
use super::files::{NotOurs, Ownership};
use super::names::Names;
use super::operator::ROTATE;
use super::options::{self, Rules};
use super::upkeep::pass_alone;
use super::{verb_erase, verb_import, verb_report};
use crate::clock::Clock;
use crate::feature::verb::{self, Misconfigured, Program, fail, misconfigured, print, whole};
use crate::plane::door::NotDone;
use crate::settings::Settings;
use crate::text::visible;

const MIB: f64 = 1024.0 * 1024.0;

/// The verbs of behaviour metrics.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Manage the files of behaviour metrics
    #[command(subcommand)]
    Metrics(Metrics),
}

/// What can be done about them.
#[derive(Debug, Subcommand)]
pub(super) enum Metrics {
    /// Rotate the event file, compress old files and remove expired ones
    ///
    /// A server that writes them does this by itself every METRICS_ROTATE_SECONDS; if it is running, it is asked to
    /// do so now, through its private plane (OPS_ADDR, with OPS_TOKEN). Flags that are not given default to the
    /// settings.
    #[command(after_help = "Exit codes: 0 done, 1 failure, 2 usage, 3 the settings are wrong.")]
    Rotate(Options),
    /// Report events and visitors per day, and the most frequent pages, links and referrers
    ///
    /// Reads all event files, compressed or not, and changes nothing. Days are UTC, by the time an event arrived.
    /// Programs that identify themselves in their User-Agent have a column of their own and are excluded from the
    /// rest. In csv, the first cell of each row says what it is, and text that a spreadsheet would take for a formula
    /// is prefixed with an apostrophe.
    #[command(after_help = verb_report::EXIT_CODES)]
    Report(verb_report::Options),
    /// Erase all events of one visitor
    ///
    /// Rewrites the files that contain them, compressed or not, one after the other. If a server writes the files, it
    /// is asked to do so, through its private plane (OPS_ADDR, with OPS_TOKEN). Backups and copies of the files are
    /// not changed.
    #[command(after_help = "Exit codes: 0 done, 1 failure, 2 usage, 3 the settings are wrong.")]
    Erase(verb_erase::Options),
    /// Import an event file of another system, plain or compressed
    ///
    /// Each line goes to the file of the day on which its event arrived or, if it does not say, happened. Lines that
    /// are in the files already are skipped. The server may be running.
    #[command(after_help = "Exit codes: 0 done, 1 failure, 2 usage, 3 the settings are wrong.")]
    Import(verb_import::Options),
}

/// Whoever mistypes a flag is shown both spellings of each (contract 02 R2).
#[derive(Debug, Args)]
#[command(
    override_usage = "inkring metrics rotate [--once] [--data-dir <DIR>] [--gzip-after|--gzip-after-days <DAYS>] \
                            [--retention|--delete-after-days <DAYS>] [--max-mb <MIB>] [--interval <SECONDS>]"
)]
pub(super) struct Options {
    /// Run once; otherwise repeat until killed
    #[arg(long)]
    once: bool,
    /// The directory of metrics.jsonl [default: from METRICS_JSONL]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Compress files older than this many days; 0 compresses none
    #[arg(long, visible_alias = "gzip-after-days", value_name = "DAYS", allow_negative_numbers = true)]
    gzip_after: Option<i64>,
    /// Remove files older than this many days; 0 removes none
    #[arg(long, visible_alias = "delete-after-days", value_name = "DAYS", allow_negative_numbers = true)]
    retention: Option<i64>,
    /// Start a new file when this one has reached this many MiB; 0 rotates at once, a negative number never
    #[arg(long, value_name = "MIB", allow_negative_numbers = true)]
    max_mb: Option<f64>,
    /// Seconds between the end of one run and the start of the next
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = whole(1, u64::MAX))]
    interval: u64,
}

impl verb::Verb for Verb {
    fn run(self, program: &Program<'_>) -> ExitCode {
        let Self::Metrics(verb) = self;
        let settings = match (program.settings)() {
            Ok(settings) => settings,
            Err(error) => return misconfigured(&error),
        };
        match verb {
            Metrics::Rotate(options) => run_rotate(&options, &settings),
            Metrics::Report(options) => verb_report::run(&options, &settings),
            Metrics::Erase(options) => verb_erase::run(&options, &settings),
            Metrics::Import(options) => verb_import::run(&options, &settings),
        }
    }
}

fn run_rotate(options: &Options, settings: &Settings) -> ExitCode {
    loop {
        let ended = match rotate(options, settings) {
            Ok(done) => done.say(),
            Err(error) => fail("nothing was rotated", &error, 1),
        };
        if options.once {
            return ended;
        }
        pause(Duration::from_secs(options.interval));
    }
}

/// Nothing is ever sent: this is how to wait with an end.
fn pause(time: Duration) {
    let (_never, wait) = channel::<()>();
    let _ = wait.recv_timeout(time);
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Config(#[from] Misconfigured),
    #[error("there is no directory {}", .0.display())]
    NoDirectory(PathBuf),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Asked(#[from] NotDone),
}

/// What was done, as [`Passed::to_json`](super::state::Passed::to_json) has it.
struct Done {
    file: String,
    passed: Value,
}

impl Done {
    fn say(&self) -> ExitCode {
        let passed = &self.passed;
        let count = |name: &str| passed[name].as_u64().unwrap_or_default();
        let rotated =
            passed["rotated"].as_str().map_or_else(|| "not yet due".to_owned(), |name| visible(name).into_owned());
        let mut text = format!("{}\n", self.file);
        for (name, value) in [
            ("rotated", rotated),
            ("compressed", count("compressed").to_string()),
            ("removed", count("removed").to_string()),
        ] {
            text.push_str(&format!("  {name:<14} {value}\n"));
        }
        if count("waiting_for_the_clock") > 0 {
            let waiting = count("waiting_for_the_clock");
            text.push_str(&format!(
                "  {waiting} more have expired, and are removed when the server's clock has been steady for an hour\n"
            ));
        }
        print(&text);
        let faults = passed["faults"].as_array().map(Vec::as_slice).unwrap_or_default();
        if faults.is_empty() {
            return ExitCode::SUCCESS;
        }
        let faults: Vec<String> =
            faults.iter().filter_map(Value::as_str).map(|fault| visible(fault).into_owned()).collect();
        fail("some of it could not be done", &faults.join("\n"), 1)
    }
}

fn rotate(options: &Options, settings: &Settings) -> Result<Done, Ended> {
    let path = options.data_dir.as_deref().map_or_else(|| options::file(settings), options::in_directory);
    let (names, file) = (Names::of(&path), path.display().to_string());
    if !names.directory().is_dir() {
        return Err(Ended::NoDirectory(names.directory().to_owned()));
    }
    let rules = options.rules(Rules::of(settings));
    let ownership = Arc::new(Ownership::of(names.clone()));
    match pass_alone(&names, &ownership, rules, Clock::system().now()) {
        Ok(passed) => Ok(Done { file, passed: passed.to_json() }),
        Err(NotOurs::Theirs(pid)) => {
            let target = format!("{ROTATE}?{}", options.query());
            let passed = asking::ask(&target, b"", settings, pid, &file)?;
            Ok(Done { file, passed })
        }
        Err(NotOurs::Io(error)) => Err(error.into()),
    }
}

impl Options {
    /// The rules, with what the flags say in their place.
    fn rules(&self, mut rules: Rules) -> Rules {
        let days = |days: i64| Some(u32::try_from(days.max(0)).unwrap_or(u32::MAX)).filter(|days| *days > 0);
        if let Some(asked) = self.gzip_after {
            rules.gzip_after_days = days(asked);
        }
        if let Some(asked) = self.retention {
            rules.keep_days = days(asked);
        }
        if let Some(bytes) = self.max_bytes() {
            rules.max_bytes = u64::try_from(bytes).ok();
        }
        rules
    }

    /// Bytes at which another file is begun; less than 0 for never.
    fn max_bytes(&self) -> Option<i64> {
        // What is no number of MiB becomes 0 or the most there is.
        self.max_mb.map(|mib| (mib * MIB).ceil() as i64)
    }

    /// The same for a server.
    fn query(&self) -> String {
        let asked =
            [("max_bytes", self.max_bytes()), ("gzip_after_days", self.gzip_after), ("keep_days", self.retention)];
        let asked = asked.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?)));
        asked.collect::<Vec<_>>().join("&")
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn rules(flags: &[&str]) -> (Rules, String) {
        let configured = Rules { max_bytes: Some(7), gzip_after_days: Some(3), keep_days: Some(30) };
        let line = Line::try_parse_from([&["rotate"], flags].concat()).unwrap();
        (line.options.rules(configured), line.options.query())
    }

    #[test]
    fn both_spellings_of_the_flags_are_taken() {
        let expected = Rules { max_bytes: Some(67_108_864), gzip_after_days: Some(5), keep_days: None };
        let seed = [
            "--data-dir",
            "/data",
            "--interval",
            "300",
            "--gzip-after-days",
            "5",
            "--delete-after-days",
            "0",
            "--max-mb",
            "64",
        ];
        let script = ["--once", "--gzip-after", "5", "--retention", "-1", "--max-mb", "64"];
        assert_eq!(rules(&seed), (expected, "max_bytes=67108864&gzip_after_days=5&keep_days=0".to_owned()));
        assert_eq!(rules(&script), (expected, "max_bytes=67108864&gzip_after_days=5&keep_days=-1".to_owned()));
        let (none, query) = rules(&[]);
        assert_eq!((none.max_bytes, none.keep_days, query.as_str()), (Some(7), Some(30), ""));
        assert_eq!(rules(&["--max-mb", "0"]).0.max_bytes, Some(0));
        assert_eq!(rules(&["--max-mb", "0.5"]).0.max_bytes, Some(524_288));
        assert_eq!(rules(&["--max-mb", "-1"]).0.max_bytes, None);
        let wrong = Line::try_parse_from(["rotate", "--gzip-afer", "5"]).map(drop).unwrap_err().to_string();
        for flag in ["--gzip-afer", "--gzip-after", "--gzip-after-days", "--retention", "--delete-after-days"] {
            assert!(wrong.split([' ', '|', '[', '\'']).any(|word| word == flag), "{flag}: {wrong}");
        }
    }
}
