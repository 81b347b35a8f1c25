//! Writes the manual pages of all verbs and the completions for shells into a directory, for packages:
//! `cargo run --example manual -- DIRECTORY`.

use std::path::PathBuf;
use std::{env, fs, io};

use clap_complete::{Shell, generate_to};

fn main() -> io::Result<()> {
    let directory = env::args_os().nth(1).map(PathBuf::from);
    let directory = directory.ok_or_else(|| io::Error::other("name the directory to write into"))?;
    fs::create_dir_all(&directory)?;
    let mut program = inkring::cli::program();
    clap_mangen::generate_to(program.clone(), &directory)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut program, "inkring", &directory)?;
    }
    Ok(())
}
