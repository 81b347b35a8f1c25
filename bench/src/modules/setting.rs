//! What the measures of the modules have in common: how much is asked for, what they say, and how their servers are started.

use std::path::{Path, PathBuf};

use crate::load::Report;
use crate::options::{Options, Result};
use crate::process;

/// What every measure is given.
pub struct Setting<'o> {
    pub options: &'o Options,
    pub program: PathBuf,
    /// For the server and for the load, where the two are kept apart.
    pub cores: Option<(usize, usize)>,
}

impl Setting<'_> {
    /// How many rounds: so many unless something else is asked for, and one to see whether it works.
    pub fn rounds(&self, usual: usize) -> usize {
        self.options.rounds.unwrap_or(if self.options.quick { 1 } else { usual })
    }

    /// How many records: all of them, or a few to see whether it works.
    pub fn records(&self) -> usize {
        if self.options.quick { 5_000 } else { 100_000 }
    }

    /// How long a round is measured: so long, and half a second at most to see whether it works.
    pub fn seconds(&self, usual: f64) -> f64 {
        if self.options.quick { usual.min(0.5) } else { usual }
    }
}

/// A line of the table, of which a measure may have several.
pub struct Row {
    pub name: String,
    pub ours: String,
    pub against: String,
    pub verdict: String,
}

/// The lines of a measure, and how much was wrong or missing.
#[derive(Default)]
pub struct Measured {
    pub rows: Vec<Row>,
    pub failures: u64,
    /// Of one core, in percent, what everything else on the machine used: the most of all rounds.
    pub others: f64,
}

impl Measured {
    /// Looks at what a round says of itself besides its figures.
    pub fn look_at(&mut self, report: &Report) {
        self.failures += report.wrong + report.unanswered;
        self.others = self.others.max(100.0 * report.other_cpu / report.seconds);
        report.first_complaint.iter().for_each(|complaint| println!("wrong answer: {complaint}"));
    }

    /// Adds a line.
    pub fn row(&mut self, name: impl Into<String>, ours: String, against: String, verdict: String) {
        self.rows.push(Row { name: name.into(), ours, against, verdict });
    }
}

/// What all servers here are told: each client may ask as often as that can be configured, and says itself who it is.
const SETTINGS: [(&str, &str); 3] =
    [("MODULES_LIMIT_PER_MINUTE", "10000"), ("MODULES_LIMIT_PER_HOUR", "10000"), ("TRUSTED_PROXIES", "127.0.0.0/8")];

/// The header by which a request comes from the client of this number.
pub fn client_header(number: usize) -> String {
    format!("X-Forwarded-For: 11.0.{}.{}\r\n", number / 256 % 256, number % 256)
}

/// A server that has what is in a directory.
pub fn server_in(directory: tempfile::TempDir, program: &Path, core: Option<usize>) -> Result<process::Server> {
    process::Server::inkring_in(directory, program, core, &SETTINGS)
}
