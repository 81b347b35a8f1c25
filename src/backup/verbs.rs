//! `inkring backup`, `verify` and `restore`. A running server makes its backups itself, so `backup` asks it; the other two
//! are for when none runs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;

use super::check::{Checked, verify};
use super::error::BackupError;
use super::files::Returned;
use super::manifest::{Files, Manifest};
use super::operator::MANIFEST_HEADER;
use super::options::Options;
use super::partial::{NAMES_NOT_SYNCED, Placed};
use super::restore::{RestoreError, Restored, restore};
use super::{Report, alone, receive};
use crate::clock::Clock;
use crate::feature::verb::{self, FOUND_PROBLEMS, Misconfigured, Program, fail, misconfigured, print};
use crate::feature::{FilesAt, Newer};
use crate::plane::door::{NotDone, Server};
use crate::settings::Settings;
use crate::store::options::DATABASE;
use crate::store::{OpenError, Reader, directory_of, lock_database, require};
use crate::text::visible;

/// How long a server may take for a backup, of which nothing is heard until it is done and checked.
pub(super) const BACKUP_PATIENCE: Duration = Duration::from_secs(3600);

/// The verbs of backups.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Back up the database, whether or not its server is running
    ///
    /// A running server is asked through its private plane (OPS_ADDR, with OPS_TOKEN), and makes the backup between
    /// two changes. A backup is one verified file with its manifest next to it, NAME.db and NAME.db.json, and, if the
    /// gallery has files, a directory with them, NAME.db.files.
    Backup {
        /// The directory to write to [default: BACKUP_DIR]
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
    },
    /// Check a backup: its pages, its manifest, its files, its audit log
    #[command(after_help = "Exit codes: 0 the backup is good, 1 it cannot be read, 2 usage, 3 it is not good.")]
    Verify {
        /// The backup
        file: PathBuf,
    },
    /// Replace the database, and the files of the gallery, with a backup. The server must be stopped
    ///
    /// The backup is verified first. The old database is moved aside, and what was newer in it is listed.
    #[command(after_help = "Exit codes: 0 done, 1 failure, 2 usage, 3 the backup is not good.")]
    Restore {
        /// The backup
        file: PathBuf,
        /// Check everything, without changing anything
        #[arg(long)]
        check: bool,
    },
}

impl verb::Verb for Verb {
    fn run(self, program: &Program<'_>) -> ExitCode {
        match self {
            Self::Backup { to } => run_backup(to.as_deref(), program),
            Self::Verify { file } => run_verify(&file, program),
            Self::Restore { file, check } => run_restore(&file, check, program),
        }
    }
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Config(#[from] Misconfigured),
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error(transparent)]
    Asked(#[from] NotDone),
}

fn run_backup(to: Option<&Path>, program: &Program<'_>) -> ExitCode {
    match make(to, program) {
        Ok(text) => print(&text),
        Err(Ended::Config(error)) => misconfigured(&error),
        Err(error) => fail("backup failed", &error, 1),
    }
}

/// Makes it, by whom it must be, and says what was made.
fn make(to: Option<&Path>, program: &Program<'_>) -> Result<String, Ended> {
    let (settings, schema) = ((program.settings)()?, &program.schema);
    let Options { database, directory: configured, .. } = Options::of(&settings);
    let files = files_at(program, &settings);
    let configured = configured.as_deref();
    if !directory_of(&database).exists() {
        return Err(OpenError::Absent { path: database }.into());
    }
    // The holder of the lock is asked; only with the lock the file is touched. A connection refused proves nothing.
    match lock_database(&database) {
        Ok(lock) => {
            require(&database)?;
            let directory = to.or(configured).ok_or(BackupError::NoDirectory)?;
            let report = alone(&lock, directory, schema, &files, &Clock::system())?;
            let Report { path, is_name_synced, manifest, .. } = report;
            Ok(placed(&Placed { path, is_name_synced }, &manifest, program))
        }
        Err(OpenError::InUse { pid, .. } | OpenError::InUseAsIs { pid, .. }) => {
            let server = Server::of(&settings, pid)?.patiently(BACKUP_PATIENCE);
            let answer = |method| server.done(server.ask(method, "/backup", b"")?);
            match to {
                None => {
                    let manifest =
                        Manifest::parse(&server.text(answer("POST")?)?).map_err(|why| server.strange(why))?;
                    let place = configured.map_or_else(
                        || format!("{} in the server's BACKUP_DIR", manifest.name),
                        |directory| directory.join(&manifest.name).display().to_string(),
                    );
                    Ok(made(&place, &manifest, program))
                }
                Some(directory) => {
                    let mut body = answer("GET")?;
                    let described =
                        body.header(MANIFEST_HEADER).ok_or_else(|| format!("there is no {MANIFEST_HEADER}"));
                    let manifest = described.and_then(Manifest::parse).map_err(|why| server.strange(why))?;
                    let (there, manifest) = receive(directory, &manifest, &mut body, schema, &files)?;
                    Ok(placed(&there, &manifest, program))
                }
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// What goes with the backups of a server with these settings.
fn files_at(program: &Program<'_>, settings: &Settings) -> Vec<FilesAt> {
    program.files.iter().map(|files| files.at(settings)).collect()
}

fn placed(placed: &Placed, manifest: &Manifest, program: &Program<'_>) -> String {
    let mut text = made(&placed.path.display().to_string(), manifest, program);
    if !placed.is_name_synced {
        text.push_str(&format!("  note: {NAMES_NOT_SYNCED}\n"));
    }
    text
}

fn made(place: &str, manifest: &Manifest, program: &Program<'_>) -> String {
    let mut text = format!("{place}\n");
    let mut line = |name: &str, value: &str| text.push_str(&format!("  {name:<14} {value}\n"));
    line("bytes", &manifest.bytes.to_string());
    line("sha256", &visible(&manifest.sha256));
    line("schema", &manifest.schema_version.to_string());
    for table in &program.counted {
        line(table, &manifest.rows.get(*table).copied().unwrap_or_default().to_string());
    }
    let newest = manifest.newest_change.map_or_else(|| "none".to_owned(), |at| at.0.offset_style().to_string());
    line("newest change", &newest);
    manifest.files.iter().for_each(|files| line("files", &counted(files)));
    text
}

fn counted(files: &Files) -> String {
    format!("{}, of {} bytes", files.count, files.bytes)
}

fn run_verify(file: &Path, program: &Program<'_>) -> ExitCode {
    match verify(file, &program.schema) {
        Ok(checked) => {
            print(&found(file, &checked, program));
            match checked.problems.is_empty() {
                true => ExitCode::SUCCESS,
                false => fail("the backup is not good", &safe_lines(&checked.problems), FOUND_PROBLEMS),
            }
        }
        Err(error) => fail("the backup cannot be read", &format!("{}: {error}", file.display()), 1),
    }
}

/// Problems may repeat what a file of anybody's says.
fn safe_lines(problems: &[String]) -> String {
    problems.iter().map(|problem| visible(problem)).collect::<Vec<_>>().join("\n")
}

fn found(file: &Path, checked: &Checked, program: &Program<'_>) -> String {
    let verdict = if checked.problems.is_empty() { "the backup is good" } else { "THE BACKUP IS NOT GOOD" };
    let mut text = format!("{verdict}\n  file           {}\n", file.display());
    let mut line = |name: &str, value: String| text.push_str(&format!("  {name:<14} {value}\n"));
    line("bytes", checked.bytes.to_string());
    line("sha256", checked.sha256.clone());
    line(
        "manifest",
        match &checked.manifest {
            Some(manifest) => {
                format!("of {}, by inkring {}", manifest.created_at.0.offset_style(), visible(&manifest.inkring))
            }
            None => "none: only the file itself could be checked".to_owned(),
        },
    );
    if let Some(version) = checked.schema_version {
        line("schema", version.to_string());
    }
    for (table, rows) in program.counted.iter().filter_map(|table| Some((table, checked.rows.get(*table)?))) {
        line(table, rows.to_string());
    }
    if let Some(at) = checked.newest_change {
        line("newest change", at.0.offset_style().to_string());
    }
    let files = checked.manifest.as_ref().and_then(|manifest| manifest.files.as_ref());
    files.iter().for_each(|files| line("files", counted(files)));
    if let Some(rows) = checked.audit_rows {
        line("audit log", format!("{rows} rows, chain intact"));
    }
    text
}

fn run_restore(file: &Path, only_check: bool, program: &Program<'_>) -> ExitCode {
    let settings = match (program.settings)() {
        Ok(settings) => settings,
        Err(error) => return fail("the configuration is wrong", &error, 1),
    };
    let database = settings.database(&DATABASE);
    let newer =
        |database: &Reader, backup: &Reader| program.newer.iter().map(|compare| compare(database, backup)).collect();
    let files = files_at(program, &settings);
    match restore(file, database, &program.schema, &files, Clock::system().now(), only_check, newer) {
        Ok(restored) => print(&outcome(file, database, &restored, only_check)),
        Err(RestoreError::Bad { path, problems }) => {
            let text = format!("{}\n{}", path.display(), safe_lines(&problems));
            fail("the backup is not good, and nothing was changed", &text, FOUND_PROBLEMS)
        }
        Err(error @ RestoreError::Unfinished { .. }) => fail("the restore is not finished", &error, 1),
        Err(error) => fail("restore failed", &error, 1),
    }
}

fn outcome(file: &Path, database: &Path, restored: &Restored<Vec<Newer>>, only_check: bool) -> String {
    let (file, database) = (file.display(), database.display());
    let mut text = match only_check {
        true => format!("{file} is good and can replace {database}; nothing was changed\n"),
        false => format!("{file} is now {database}\n"),
    };
    if restored.checked.manifest.is_none() {
        text.push_str("  it has no manifest, so only the file itself could be checked\n");
    }
    if let Some(Returned { count, written, bytes }) = &restored.files {
        let done = if only_check { "would be written" } else { "were written" };
        text.push_str(&format!(
            "  files: {count}, of which {written} with {bytes} bytes {done}; the others are there\n"
        ));
    }
    match &restored.old {
        Some(old) => text.push_str(&format!("  the old database is {}, with its -wal and -shm\n", old.display())),
        None if restored.newer.is_none() => text.push_str("  there was no database before\n"),
        None => {}
    }
    match &restored.newer {
        None => {}
        Some(Err(why)) => {
            text.push_str(&format!("  whether anything was newer in the old one is unknown: {}\n", visible(why)))
        }
        Some(Ok(newer)) if newer.iter().all(|newer| newer.lines.is_empty()) => {
            text.push_str("  nothing was newer in the old one\n");
        }
        Some(Ok(newer)) => {
            for Newer { what, lines, more, .. } in newer.iter().filter(|newer| !newer.lines.is_empty()) {
                let total = lines.len() as u64 + more;
                text.push_str(&format!("  {what} that were newer in the old one: {total}\n"));
                lines.iter().for_each(|line| text.push_str(&format!("    {}\n", visible(line))));
                if *more > 0 {
                    text.push_str(&format!("    and {more} more\n"));
                }
            }
        }
    }
    text
}
