//! Measures the release build of inkring against comparison servers, on this machine, over
//! loopback: `cargo run --release -p inkring-bench -- http|append|limits|backup|fanout|idle|start|versus`.
//!
//! A figure only counts when the answers behind it were right: every mode checks what it is
//! answered, prints how many answers were wrong or missing, and then exits with 1.

#![allow(clippy::disallowed_methods, reason = "a benchmark is about real time")]

mod append;
mod backup;
mod bare;
mod engine;
mod fanout;
mod http;
mod idle;
mod limits;
mod load;
mod process;
mod room;
mod start;
mod subscriber;
mod table;
mod versus;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// What every server says to `GET /healthz`.
pub const HEALTHY: &str = r#"{"status":"ok"}"#;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const USAGE: &str = "\
usage: inkring-bench http|append|limits|backup|fanout|idle|start|versus [options]
  http     GET /healthz against axum and tiny_http, and GET of a draft against our own /healthz
  append   64 clients append segments, against the bare storage engine
  limits   the same with every check on against every check off, the price of a 429, a million addresses
  backup   the same while a database of 1 GB is backed up, against the same without; and a server that idles
  fanout   an append reaches 1,000 subscribers, against a bare loop and axum, and 100 in time
  idle     10,000 sockets with nothing to say: their memory and their pings
  start    start to first answer, idle memory, 2,000 connections at once
  versus   this build against another one (--before PATH), alternating: a change must not cost speed
options:
  --seconds N    length of one measured round (http and fanout 0.5, append, limits and backup 5, idle 30)
  --rounds N     rounds, of which medians are printed (http 31, fanout 9 and 21, limits 5, append 3,
                 backup 1, start 10, versus 11)
  --megabytes N  backup: the size of the database (1024)
  --before PATH  versus: the release build of an inkring to compare with
  --peers-only   http or fanout without inkring, to see what the comparison servers do here
  --unpinned     http, fanout or idle with server and load on all cores, as the system places them";

/// What the command line may change; `None` is the mode's own default.
#[derive(Default)]
pub struct Options {
    pub seconds: Option<f64>,
    pub rounds: Option<usize>,
    pub megabytes: Option<usize>,
    pub before: Option<PathBuf>,
    pub peers_only: bool,
    pub unpinned: bool,
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self::default();
        while let Some(word) = words.next() {
            if word == "--before" {
                options.before = Some(words.next().ok_or("--before wants a path")?.into());
                continue;
            }
            let mut number = || words.next().ok_or(format!("{word} wants a number"));
            match word.as_str() {
                "--seconds" => options.seconds = Some(number()?.parse()?),
                "--rounds" => options.rounds = Some(number()?.parse()?),
                "--megabytes" => options.megabytes = Some(number()?.parse()?),
                "--peers-only" => options.peers_only = true,
                "--unpinned" => options.unpinned = true,
                _ => return Err(format!("unknown option {word}\n{USAGE}").into()),
            }
        }
        if options.rounds == Some(0) || options.seconds.is_some_and(|s| !(0.1..=600.0).contains(&s)) {
            return Err("at least one round, of 0.1 to 600 seconds".into());
        }
        Ok(options)
    }

    pub fn window(&self, seconds: f64) -> load::Window {
        load::Window {
            warm_up: Duration::from_millis(100),
            measured: Duration::from_secs_f64(self.seconds.unwrap_or(seconds)),
            patience: Duration::from_secs(2),
        }
    }
}

fn run() -> Result<u64> {
    let mut words = env::args().skip(1);
    let mode = words.next().unwrap_or_default();
    match mode.as_str() {
        // Hidden: what the benchmark starts itself as.
        "pin" => process::pin_and_exec(words),
        "bare" => bare::serve(),
        "http" => http::run(&Options::parse(words)?),
        "append" => append::run(&Options::parse(words)?),
        "limits" => limits::run(&Options::parse(words)?),
        "backup" => backup::run(&Options::parse(words)?),
        "fanout" => fanout::run(&Options::parse(words)?),
        "idle" => idle::run(&Options::parse(words)?),
        "start" => start::run(&Options::parse(words)?),
        "versus" => versus::run(&Options::parse(words)?),
        _ => Err(USAGE.into()),
    }
}

// Returning instead of `process::exit` lets every guard (children, directories) drop first.
fn main() -> ExitCode {
    match run() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failures) => {
            eprintln!("FAILED: {failures} wrong or missing answers");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("inkring-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
