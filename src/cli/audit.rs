//! `inkring audit`: reads the audit log of a database, whether its server runs or not. Changes nothing.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::common::{FOUND_PROBLEMS, fail, load};
use crate::audit;
use crate::audit::mark::{Gap, RowPlace};
use crate::audit::options::ENABLED;
use crate::audit::read::{AuditRow, CSV_HEADER};
use crate::audit::verify::{Report, verify};
use crate::clock::{Clock, Timestamp};
use crate::config::SettingsPath;
use crate::feature::verb::whole;
use crate::features;
use crate::store::options::DATABASE;
use crate::store::{self, Reader};
use crate::text::hex;

/// How often `--follow` looks for new rows.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Verify the hash chain, and name the first row that was altered, removed or moved
    ///
    /// Prints the number of rows, the times of the first and the last one, and the head of the chain. Keep the head
    /// elsewhere: anyone who can write to the database can rewrite the whole chain or cut off its end, which only a
    /// comparison with an earlier head (--head) shows.
    #[command(after_help = "Exit codes: 0 the chain is intact, 1 it cannot be read, 2 usage, 3 it is broken.")]
    Verify {
        #[command(flatten)]
        database: Database,
        /// A head printed or logged earlier (64 hexadecimal digits), which must still be in the chain
        #[arg(long, value_name = "HASH", value_parser = hash)]
        head: Option<Hash>,
    },
    /// Write rows to standard output, oldest first
    ///
    /// In jsonl, each line is one row as a JSON object. In csv (RFC 4180), NULL is an empty cell, and text that a
    /// spreadsheet would take for a formula is prefixed with an apostrophe.
    Export {
        #[command(flatten)]
        database: Database,
        /// Only rows from this time on: 2026-01-31, 2026-01-31T12:00:00Z, or an age such as 24h or 7d
        #[arg(long, value_name = "TIME|DURATION")]
        since: Option<String>,
        /// The format
        #[arg(long, default_value = "jsonl")]
        format: Form,
    },
    /// Show the newest rows, one line each
    Tail {
        #[command(flatten)]
        database: Database,
        /// The number of rows
        #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 10, value_parser = whole(0, u32::MAX))]
        lines: u32,
        /// Keep running and show each new row, until interrupted
        #[arg(short, long)]
        follow: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct Database {
    /// The database [default: from DATABASE_URL]
    #[arg(long, value_name = "DB")]
    file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Form {
    /// One JSON object per line
    Jsonl,
    /// A table with a header line
    Csv,
}

/// Bytes given as hexadecimal digits.
#[derive(Debug, Clone)]
pub(super) struct Hash(Vec<u8>);

fn hash(text: &str) -> Result<Hash, String> {
    let digits: Option<Vec<u8>> = text.chars().map(|digit| digit.to_digit(16).map(|digit| digit as u8)).collect();
    match digits {
        Some(digits) if digits.len() == 64 => {
            Ok(Hash(digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect()))
        }
        _ => Err("a hash has 64 hexadecimal digits".to_owned()),
    }
}

/// Why a verb did not come to its end.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// These verbs are the ones that may also be given a file.
    #[error("there is no database at {}; give another --file, or set DATABASE_URL", .0.display())]
    Absent(PathBuf),
    #[error(transparent)]
    Store(store::OpenError),
    #[error("the database cannot be read: {0}")]
    Database(#[from] store::Error),
    #[error("--since: {0}")]
    Since(String),
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
}

pub(super) fn run(verb: Verb, path: &SettingsPath) -> ExitCode {
    let ended = match verb {
        Verb::Verify { database, head } => database.open(path).and_then(|log| run_verify(&log, head.as_ref())),
        Verb::Export { database, since, format } => export(&database, path, since.as_deref(), format),
        Verb::Tail { database, lines, follow } => database.open(path).and_then(|log| tail(&log, lines, follow)),
    };
    match ended {
        Ok(code) => code,
        // A reader who has left has seen enough.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error @ Failure::Since(_)) => fail("the command line is wrong", &error, 2),
        Err(error) => fail("the audit log cannot be read", &error, 1),
    }
}

impl Database {
    fn open(&self, path: &SettingsPath) -> Result<Log, Failure> {
        let (path, is_off) = match &self.file {
            // Whose it is nobody knows.
            Some(path) => (path.clone(), false),
            None => {
                let settings = load(path)?.settings;
                (settings.database(&DATABASE).to_owned(), !settings.flag(&ENABLED))
            }
        };
        let reader = store::open_read_only(&path, &features::schema()).map_err(|error| match error {
            store::OpenError::Absent { path } => Failure::Absent(path),
            other => Failure::Store(other),
        })?;
        Ok(Log { reader, is_off })
    }
}

/// The audit log of a database.
struct Log {
    reader: Reader,
    /// Whether the settings leave it out.
    is_off: bool,
}

impl Log {
    /// Says why there is no row: on stderr, because on stdout there may be data.
    fn tell_if_off(&self) {
        if self.is_off {
            let _ = writeln!(io::stderr(), "inkring: nothing is recorded: AUDIT_ENABLED is off");
        }
    }
}

fn run_verify(log: &Log, head: Option<&Hash>) -> Result<ExitCode, Failure> {
    let report = verify(&log.reader, head.map(|hash| hash.0.as_slice()))?;
    let mut out = io::stdout().lock();
    out.write_all(summary(&report).as_bytes())?;
    out.flush()?;
    if report.rows == 0 {
        log.tell_if_off();
    }
    Ok(match report.fault {
        None => ExitCode::SUCCESS,
        Some(fault) => fail("the audit log is not intact", &fault, FOUND_PROBLEMS),
    })
}

fn summary(report: &Report) -> String {
    let verdict = if report.fault.is_none() { "the chain is intact" } else { "THE CHAIN IS BROKEN" };
    let mut text = format!("{verdict}\n  rows   {}\n", report.rows);
    if let Some(((first, began), (last, ended))) = report.ends {
        text.push_str(&format!("  first  {first} of {}\n", began.offset_style()));
        text.push_str(&format!("  last   {last} of {}\n", ended.offset_style()));
    }
    if report.anchor.id > 0 {
        text.push_str(&format!("  begins after row {}; older rows were removed\n", report.anchor.id));
    }
    if report.gaps.earlier > 0 {
        text.push_str(&format!("  gaps   {} more before these\n", report.gaps.earlier));
    }
    report.gaps.newest.iter().for_each(|gap| text.push_str(&format!("  gap    {}\n", described(gap))));
    text.push_str(&format!("  head   {}\n", hex(&report.head.hash)));
    text
}

/// What was not recorded, and between which rows.
fn described(gap: &Gap) -> String {
    let what = match gap.recorded {
        none if none <= 0.0 => "nothing recorded".to_owned(),
        part => format!("only {part} of the changes recorded"),
    };
    let place = |(id, at): RowPlace| format!("row {id} of {}", at.offset_style());
    match gap.until {
        Some(until) => format!("{what} from {} to {}", place(gap.from), place(until)),
        None => format!("{what} since {}", place(gap.from)),
    }
}

fn export(database: &Database, path: &SettingsPath, since: Option<&str>, form: Form) -> Result<ExitCode, Failure> {
    let since = match since {
        Some(text) => audit::since(text, Clock::system().now()).map_err(Failure::Since)?,
        None => Timestamp(i64::MIN),
    };
    let Log { reader, .. } = database.open(path)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let write: fn(&AuditRow, &mut String) = match form {
        Form::Jsonl => AuditRow::jsonl,
        Form::Csv => {
            out.write_all(CSV_HEADER.as_bytes())?;
            AuditRow::csv
        }
    };
    write_from(&reader, i64::MIN, since, write, &mut out)?;
    Ok(ExitCode::SUCCESS)
}

fn tail(log: &Log, lines: u32, follow: bool) -> Result<ExitCode, Failure> {
    let reader = &log.reader;
    if audit::store::slice(reader, i64::MIN, Timestamp(i64::MIN))?.is_empty() {
        log.tell_if_off();
    }
    let mut out = BufWriter::new(io::stdout().lock());
    let mut after = audit::store::before_newest(reader, lines)?;
    // Nothing is ever sent: this is how to wait with an end.
    let (_never, wait) = mpsc::channel::<()>();
    loop {
        after = write_from(reader, after, Timestamp(i64::MIN), AuditRow::line, &mut out)?;
        if !follow {
            return Ok(ExitCode::SUCCESS);
        }
        let _ = wait.recv_timeout(FOLLOW_EVERY);
    }
}

/// Writes every row behind `after`, slice by slice, and returns the id of the last one.
fn write_from(
    reader: &Reader,
    mut after: i64,
    since: Timestamp,
    write: fn(&AuditRow, &mut String),
    out: &mut impl Write,
) -> Result<i64, Failure> {
    let mut text = String::new();
    loop {
        let rows = audit::store::slice(reader, after, since)?;
        let Some(last) = rows.last() else {
            out.flush()?;
            return Ok(after);
        };
        after = last.id;
        text.clear();
        rows.iter().for_each(|row| write(row, &mut text));
        out.write_all(text.as_bytes())?;
    }
}
