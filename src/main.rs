//! The `inkring` program: see [`inkring::cli`] for its verbs.

use std::process::ExitCode;

fn main() -> ExitCode {
    inkring::cli::run()
}
