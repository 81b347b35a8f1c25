//! Counts the tests that were skipped in this run of cargo, last of all (targets run in alphabetical order). Where
//! `CI=true`, one that was skipped is a failure. `it/support/needs.rs` writes the list.
#![allow(clippy::print_stdout, missing_docs)]

use std::collections::BTreeSet;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut lines = BTreeSet::new();
    let this_run = format!("skipped-{}", std::os::unix::process::parent_id());
    for entry in std::fs::read_dir(env!("CARGO_TARGET_TMPDIR")).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_str() == Some(&this_run) {
            let list = std::fs::read_to_string(entry.path()).unwrap_or_default();
            lines.extend(list.lines().map(str::to_owned));
        }
        // What a run of one target left behind goes too.
        if name.to_str().is_some_and(|name| name.starts_with("skipped-")) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    println!();
    for line in &lines {
        println!("{line}");
    }
    println!("skipped tests: {}", lines.len());
    if !lines.is_empty() && std::env::var("CI").as_deref() == Ok("true") {
        println!("CI=true: every test has to run");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
