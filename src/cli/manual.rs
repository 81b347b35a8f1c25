//! `inkring manual`: what shells and `man` know of the program, written into a directory.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap_complete::{Shell, generate_to};

use super::common::{fail, print};

/// Shells that are told which verbs and options there are.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 done, 1 failure, 2 usage.")]
pub(super) struct Options {
    /// The directory; created if it does not exist; files with the same names are replaced
    directory: PathBuf,
}

/// Writes a page for each verb of `program`, and its completions for each shell.
pub(super) fn run(options: &Options, program: clap::Command) -> ExitCode {
    let directory = options.directory.display();
    match write(options, program) {
        Ok(()) => print(&format!(
            "{directory} has the manual pages (*.1) and the completions for bash (inkring.bash), zsh (_inkring) and fish \
             (inkring.fish)\n"
        )),
        Err(error) => fail(&format!("the manual cannot be written into {directory}"), &error, 1),
    }
}

fn write(options: &Options, mut program: clap::Command) -> io::Result<()> {
    std::fs::create_dir_all(&options.directory).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => io::ErrorKind::NotADirectory.into(),
        _ => error,
    })?;
    clap_mangen::generate_to(program.clone(), &options.directory)?;
    SHELLS.into_iter().try_for_each(|shell| generate_to(shell, &mut program, "inkring", &options.directory).map(drop))
}
