//! The verbs of the modules.

use std::process::ExitCode;

use clap::Subcommand;

use super::{gallery, takeover};
use crate::feature::verb::{self, Program};

/// All of them.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    #[command(flatten)]
    Gallery(gallery::Verb),
    #[command(flatten)]
    Modules(takeover::Verb),
}

impl verb::Verb for Verb {
    fn run(self, program: &Program<'_>) -> ExitCode {
        match self {
            Self::Gallery(verb) => verb.run(program),
            Self::Modules(verb) => verb.run(program),
        }
    }
}
