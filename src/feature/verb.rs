//! Verbs of the command line that features bring, and how every verb speaks.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::str::FromStr;

use clap::error::ErrorKind;
use clap::{ArgMatches, Command, FromArgMatches, Subcommand};

use super::erase::Erase;
use super::files::KeptFiles;
use super::newer::Compare;
use crate::gate::is_user_id;
use crate::settings::{Knob, Settings};
use crate::store::Schema;

/// As much as is read of what should be a token: more than one may have, so that it is known to be too long.
pub const TOKEN_STDIN_MAX_BYTES: u64 = 65_536;

/// A user id, as an argument.
///
/// # Errors
/// A sentence with the bound.
pub fn user_id(text: &str) -> Result<String, String> {
    let rules = "a user id has 1 to 100 characters, none of them a control character";
    if is_user_id(text) { Ok(text.to_owned()) } else { Err(rules.to_owned()) }
}

/// A whole number from `least` to `most`, as an argument.
pub fn whole<T>(least: T, most: T) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync
where
    T: FromStr + PartialOrd + Display + Copy + Send + Sync,
{
    move |text| match text.parse() {
        Ok(number) if least <= number && number <= most => Ok(number),
        _ => Err(format!("use a whole number from {least} to {most}")),
    }
}

/// The id of a user, named bare or by `--user`, so that one spelling is right with every verb.
#[derive(Debug)]
pub struct Whom(String);

/// Both spellings, of which there is one.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Spelt {
    /// The user id
    #[arg(value_name = "USER", value_parser = user_id)]
    bare: Option<String>,
    /// The user id
    #[arg(long, value_name = "USER", value_parser = user_id)]
    user: Option<String>,
}

impl Whom {
    /// Their user id.
    #[must_use]
    pub fn id(self) -> String {
        self.0
    }
}

impl FromArgMatches for Whom {
    fn from_arg_matches(asked: &ArgMatches) -> Result<Self, clap::Error> {
        let Spelt { bare, user } = Spelt::from_arg_matches(asked)?;
        bare.or(user).map(Self).ok_or_else(|| clap::Error::new(ErrorKind::MissingRequiredArgument))
    }

    fn update_from_arg_matches(&mut self, asked: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(asked)?;
        Ok(())
    }
}

impl clap::Args for Whom {
    fn augment_args(verb: Command) -> Command {
        Spelt::augment_args(verb)
    }

    fn augment_args_for_update(verb: Command) -> Command {
        Spelt::augment_args_for_update(verb)
    }
}

/// Exit code when a check ran and found problems, or the settings are wrong.
pub const FOUND_PROBLEMS: u8 = 3;

/// What a verb may ask of the program that it is a verb of.
pub struct Program<'a> {
    /// The database of a server with its features.
    pub schema: Schema,
    /// Tables of which an operator is told how many rows are in a backup.
    pub counted: Vec<&'static str>,
    /// What lies beside the database and belongs in its backups.
    pub files: Vec<&'static KeptFiles>,
    /// What takes one person out of what features keep.
    pub erasers: Vec<Erase>,
    /// What says what a backup lacks.
    pub newer: Vec<Compare>,
    /// Reads the configuration of the server, after it has said where from.
    pub settings: &'a dyn Fn() -> Result<Settings, Misconfigured>,
    /// What is to be said of a secret that can be guessed, though the settings are good.
    pub weakness: &'a dyn Fn(&'static Knob) -> Option<String>,
}

/// Why there are no settings. Displays a sentence for each mistake.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Misconfigured(pub String);

/// Verbs, as clap takes them from the command line.
pub trait Verb: Subcommand {
    /// Does what was asked for.
    fn run(self, program: &Program<'_>) -> ExitCode;
}

/// The verbs of one feature.
pub struct Verbs {
    add: fn(Command) -> Command,
    has: fn(&str) -> bool,
    run: fn(&ArgMatches, &Program<'_>) -> ExitCode,
}

impl Verbs {
    /// Those of this type.
    pub const fn of<V: Verb>() -> Self {
        Self { add: V::augment_subcommands, has: V::has_subcommand, run: run::<V> }
    }

    /// Adds them to a program, behind what it has.
    pub fn add_to(&self, program: Command) -> Command {
        (self.add)(program)
    }

    /// Whether this is the name of one of them.
    pub fn has(&self, name: &str) -> bool {
        (self.has)(name)
    }

    /// Runs the one that was asked for.
    pub fn run(&self, asked: &ArgMatches, program: &Program<'_>) -> ExitCode {
        (self.run)(asked, program)
    }
}

fn run<V: Verb>(asked: &ArgMatches, program: &Program<'_>) -> ExitCode {
    match V::from_arg_matches(asked) {
        Ok(verb) => verb.run(program),
        Err(message) => message.exit(),
    }
}

/// Prints to stdout; a reader who has left is no error of ours.
pub fn print(text: &str) -> ExitCode {
    let _ = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
    ExitCode::SUCCESS
}

/// Says on stderr what did not work and why, for this exit code.
pub fn fail(what: &str, error: &dyn Display, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "inkring: {what}:\n{error}");
    ExitCode::from(code)
}

/// Says on stderr what is worth a look and keeps nothing from being done.
pub fn warn(sentence: &str) {
    let _ = writeln!(io::stderr(), "warning: {sentence}");
}

/// Says that the settings are wrong, for a verb whose exit code says so.
pub fn misconfigured(error: &dyn Display) -> ExitCode {
    fail("the configuration is wrong", error, FOUND_PROBLEMS)
}
