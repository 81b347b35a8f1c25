//! `inkring metrics erase`: all that came from one visitor goes.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};

use super::asking;
use super::erase::Visitor;
use super::files::{NotOurs, Ownership};
use super::names::Names;
use super::operator::ERASE;
use super::options;
use super::upkeep::erase_alone;
use crate::clock::Clock;
use crate::feature::verb::{fail, print};
use crate::settings::Settings;
use crate::text::visible;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The visitor's id, which the page generated and the browser stores as visitor_id
    #[arg(long, value_name = "ID", value_parser = visitor)]
    visitor: String,
    /// The directory of metrics.jsonl [default: from METRICS_JSONL]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

fn visitor(id: &str) -> Result<String, String> {
    if id.trim().is_empty() { Err("an id has at least one character".to_owned()) } else { Ok(id.to_owned()) }
}

pub(super) fn run(options: &Options, settings: &Settings) -> ExitCode {
    let path = options.data_dir.as_deref().map_or_else(|| options::file(settings), options::in_directory);
    let (names, file) = (Names::of(&path), path.display().to_string());
    if !names.directory().is_dir() {
        let why = format!("there is no directory {}", names.directory().display());
        return fail("nothing was erased", &why, 1);
    }
    let (ownership, visitor) = (Arc::new(Ownership::of(names.clone())), Visitor::new(&options.visitor));
    let erased = match erase_alone(&names, &ownership, &visitor, Clock::system().now()) {
        Ok(erased) => erased.to_json(),
        Err(NotOurs::Theirs(pid)) => {
            let body = json!({ "visitor_id": visitor.id }).to_string();
            match asking::ask(ERASE, body.as_bytes(), settings, pid, &file) {
                Ok(erased) => erased,
                Err(error) => return fail("nothing was erased", &error, 1),
            }
        }
        Err(NotOurs::Io(error)) => return fail("nothing was erased", &error, 1),
    };
    say(&file, &erased)
}

/// As [`Erased::to_json`](super::erase::Erased::to_json) has it.
fn say(file: &str, erased: &Value) -> ExitCode {
    let count = |name: &str| erased[name].as_u64().unwrap_or_default();
    print(&format!("{file}\n  lines erased   {}\n  files changed  {}\n", count("lines"), count("files")));
    let faults: Vec<_> =
        erased["faults"].as_array().into_iter().flatten().filter_map(Value::as_str).map(visible).collect();
    if faults.is_empty() { ExitCode::SUCCESS } else { fail("some of it could not be erased", &faults.join("\n"), 1) }
}
