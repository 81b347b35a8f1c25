//! Measures the release build of inkring against comparison servers, on this machine, over
//! loopback: `cargo run --release -p inkring-bench -- http|append|receipts|events|limits|backup|fanout|idle|rooms|modules|tls|start|versus`.
//!
//! A figure only counts when the answers behind it were right: every mode checks what it is
//! answered, prints how many answers were wrong or missing, and then exits with 1.

#![allow(clippy::disallowed_methods, reason = "a benchmark is about real time")]

mod append;
mod backup;
mod bare;
mod engine;
mod events;
mod fanout;
mod http;
mod idle;
mod limits;
mod load;
mod modules;
mod options;
mod process;
mod receipts;
mod room;
mod rooms;
mod start;
mod subscriber;
mod table;
mod tls;
mod versus;

use std::env;
use std::process::ExitCode;

use options::{Options, Result, USAGE};

fn run() -> Result<u64> {
    let mut words = env::args().skip(1);
    let mode = words.next().unwrap_or_default();
    match mode.as_str() {
        // Hidden: what the benchmark starts itself as.
        "pin" => process::pin_and_exec(words),
        "bare" => bare::serve(),
        "http" => http::run(&Options::parse(words)?),
        "append" => append::run(&Options::parse(words)?),
        "receipts" => receipts::run(&Options::parse(words)?),
        "events" => events::run(&Options::parse(words)?),
        "limits" => limits::run(&Options::parse(words)?),
        "backup" => backup::run(&Options::parse(words)?),
        "fanout" => fanout::run(&Options::parse(words)?),
        "idle" => idle::run(&Options::parse(words)?),
        "rooms" => rooms::run(&Options::parse(words)?),
        "modules" => modules::run(&Options::parse(words)?),
        "tls" => tls::run(&Options::parse(words)?),
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
