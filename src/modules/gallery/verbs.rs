//! `inkring gallery verify`: whether the files of the gallery are those that records name, and what they were.

use std::collections::HashSet;
use std::fmt::Display;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;

use super::super::options::gallery_directory;
use super::super::records::kinds::Kind;
use super::super::records::record::Key;
use super::claims::unclaimed;
use super::item::named;
use super::shelf::{Found, Hash, Name, Part, Shelf};
use super::store::{behind, binned};
use crate::feature::verb::{self, FOUND_PROBLEMS, Program, fail, misconfigured, print};
use crate::store::options::DATABASE;
use crate::store::{Error, OpenError, Reader, open_read_only};

/// Files of each sort that are named; the rest is counted.
pub(in crate::modules) const NAMED_MAX_FILES: usize = 100;
/// Records, and files, that are looked at together.
const SLICE: usize = 500;

/// The verbs of the gallery.
#[derive(Debug, Subcommand)]
pub(in crate::modules) enum Verb {
    /// Find gallery files that are missing, damaged or not in any record
    #[command(subcommand)]
    Gallery(Asked),
}

/// What can be done with it.
#[derive(Debug, Subcommand)]
pub(in crate::modules) enum Asked {
    /// Compare every file with its name, which is the SHA-256 of its content, and with the records
    ///
    /// A server may be running. It removes files that no record names, not even one in the bin, by itself within a
    /// day or two.
    #[command(
        after_help = "Exit codes: 0 the gallery is intact, 1 it cannot be read, 2 usage, 3 a file is missing, damaged \
            or not in any record, or the settings are wrong."
    )]
    Verify,
}

/// Why it could not be looked at.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error("the database cannot be read: {0}")]
    Read(#[from] Error),
    #[error("the files cannot be read: {0}")]
    Files(#[from] io::Error),
}

impl verb::Verb for Verb {
    fn run(self, program: &Program<'_>) -> ExitCode {
        let Self::Gallery(Asked::Verify) = self;
        let settings = match (program.settings)() {
            Ok(settings) => settings,
            Err(error) => return misconfigured(&error),
        };
        let looked = open_read_only(settings.database(&DATABASE), &program.schema)
            .map_err(Ended::from)
            .and_then(|reader| look(&reader, &gallery_directory(&settings)));
        match looked {
            Ok(seen) => seen.report(),
            Err(error) => fail("the gallery cannot be checked", &error, 1),
        }
    }
}

/// Some of what was found, and how much that is.
#[derive(Debug, Default, PartialEq, Eq)]
struct Listed {
    count: u64,
    named: Vec<String>,
}

impl Listed {
    fn add(&mut self, what: impl Display) {
        self.count += 1;
        if self.named.len() < NAMED_MAX_FILES {
            self.named.push(what.to_string());
        }
    }

    /// A line for each, after these words.
    fn lines(&self, words: &str) -> String {
        let more = self.count - self.named.len() as u64;
        let named = self.named.iter().map(|name| format!("{words} {name}\n"));
        let more = (more > 0).then(|| format!("{words} {more} more\n"));
        named.chain(more).collect()
    }
}

/// What was seen.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    files: u64,
    missing: Listed,
    damaged: Listed,
    orphans: Listed,
}

impl Seen {
    fn report(&self) -> ExitCode {
        let Self { files, missing, damaged, orphans } = self;
        let is_well = missing.count + damaged.count + orphans.count == 0;
        let verdict = if is_well { "the gallery is intact" } else { "THE GALLERY IS NOT INTACT" };
        let facts =
            [("files", *files), ("missing", missing.count), ("damaged", damaged.count), ("orphans", orphans.count)];
        let facts: String = facts.iter().map(|(name, count)| format!("  {name:<14} {count}\n")).collect();
        print(&format!("{verdict}\n{facts}"));
        if is_well {
            return ExitCode::SUCCESS;
        }
        let lines = [missing.lines("missing:"), damaged.lines("damaged:"), orphans.lines("of no record:")].concat();
        fail("some files are missing, damaged or not in any record", &lines.trim_end(), FOUND_PROBLEMS)
    }
}

/// Looks at all files and all records.
fn look(reader: &Reader, directory: &Path) -> Result<Seen, Ended> {
    let mut seen = Seen::default();
    let shelf = Shelf::at(directory);
    // Records first: of a file that goes meanwhile the record has gone before.
    each_named(reader, |name| {
        if !shelf.path(&name, Part::Original).exists() {
            seen.missing.add(name);
        }
    })?;
    if !directory.is_dir() {
        return Ok(seen);
    }
    let mut slice: Vec<(Name, String)> = Vec::new();
    shelf.walk(&mut |found| {
        match found {
            Found::Original(name) => {
                seen.files += 1;
                if shelf.is_whole(&name)? == Some(false) {
                    seen.damaged.add(name);
                }
                slice.push((name, name.to_string()));
            }
            Found::Beside { of, path } => {
                slice.push((Name { hash: of, kind: super::kind::Kind::named("") }, path.display().to_string()));
            }
            Found::Foreign(path) => seen.orphans.add(path.display()),
        }
        if slice.len() == SLICE {
            orphaned(reader, std::mem::take(&mut slice), &mut seen.orphans)?;
        }
        Ok::<_, Ended>(())
    })?;
    orphaned(reader, slice, &mut seen.orphans)?;
    Ok(seen)
}

fn orphaned(reader: &Reader, slice: Vec<(Name, String)>, orphans: &mut Listed) -> Result<(), Error> {
    let names = slice.iter().map(|(name, _)| *name).collect();
    let unclaimed: HashSet<Hash> = unclaimed(reader, names)?.into_iter().map(|name| name.hash).collect();
    slice.into_iter().filter(|(name, _)| unclaimed.contains(&name.hash)).for_each(|(_, path)| orphans.add(path));
    Ok(())
}

/// Shows `see` every file that a record names, be it in the bin, as often as it is named.
fn each_named(reader: &Reader, mut see: impl FnMut(Name)) -> Result<(), Error> {
    let Some(kind) = Kind::of_module("gallery") else { return Ok(()) };
    for page in [behind, binned] {
        let mut after = Key::range(kind).0;
        loop {
            let slice = page(reader, kind, after, SLICE)?;
            slice.iter().flat_map(|(_, json)| named(json)).for_each(&mut see);
            match slice.last() {
                Some((last, _)) if slice.len() == SLICE => after = *last,
                _ => break,
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_up_to_a_number_and_counted_beyond() {
        let mut listed = Listed::default();
        (0..=NAMED_MAX_FILES).for_each(|number| listed.add(number));
        let lines = listed.lines("missing:");
        assert_eq!(lines.lines().count(), NAMED_MAX_FILES + 1);
        assert!(lines.starts_with("missing: 0\n") && lines.ends_with("missing: 1 more\n"), "{lines}");
    }
}
