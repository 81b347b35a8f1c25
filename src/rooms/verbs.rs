//! `inkring room`: what an operator does with rooms by hand. A server that runs is asked over its private plane; the rooms of
//! a database that nobody serves are read and changed where they lie.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::load;
use super::name::RoomName;
use super::options::{DOCUMENT_MAX_BYTES, Options};
use super::store::{self, RoomRow};
use super::update::Update;
use super::verbs_running::{Export, Rooms};
use super::verbs_stopped::{self as stopped, NotChanged};
use crate::feature::verb::{self, FOUND_PROBLEMS, Program, fail, misconfigured, print};
use crate::plane::door::{self, NotDone, Place, Server};
use crate::settings::Settings;
use crate::store::options::DATABASE;
use crate::store::{Error, OpenError, Reader, open_read_only};
use crate::text::{size, visible};

/// Rooms that are read at a time.
const SLICE_ROOMS: usize = 500;
/// Damaged rooms that are named; the rest is counted.
pub(super) const NAMED_MAX_DAMAGED: usize = 100;

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failure, 2 usage, 3 the settings are wrong.";

/// The verbs of rooms.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List, export, import, delete and verify rooms
    #[command(subcommand)]
    Room(Asked),
}

/// What can be done with rooms.
#[derive(Debug, Subcommand)]
pub(super) enum Asked {
    /// List the rooms by name, with sockets, size, last use and damage
    ///
    /// A running server is asked through its private plane (OPS_ADDR, with OPS_TOKEN).
    #[command(after_help = EXIT_CODES)]
    List {
        /// The format
        #[arg(long, default_value = "text")]
        format: Form,
    },
    /// Write the document of a room, as one Yjs update, to a new file or to standard output
    ///
    /// A running server is asked through its private plane (OPS_ADDR, with OPS_TOKEN). If the room is damaged, the
    /// export contains what can be read.
    #[command(after_help = EXIT_CODES)]
    Export {
        /// The room
        #[arg(value_parser = room)]
        name: RoomName,
        /// The file [default: standard output]
        file: Option<PathBuf>,
    },
    /// Merge a Yjs update, such as an export, into a room, which is created if it does not exist
    ///
    /// A running server is asked through its private plane (OPS_ADDR, with OPS_TOKEN); everyone in the room sees the
    /// change at once. Changes that the room already has are skipped.
    #[command(after_help = EXIT_CODES)]
    Import {
        /// The room
        #[arg(value_parser = room)]
        name: RoomName,
        /// The file with the update
        file: PathBuf,
    },
    /// Delete a room and its contents. Only a backup or an export can bring it back
    ///
    /// A running server is asked through its private plane (OPS_ADDR, with OPS_TOKEN), and closes the room's sockets.
    #[command(after_help = EXIT_CODES)]
    Delete {
        /// The room
        #[arg(value_parser = room)]
        name: RoomName,
        /// Delete it
        #[arg(long)]
        yes: bool,
    },
    /// Check the stored data of one room or all rooms for damage, without changing anything. The server may be
    /// running
    ///
    /// A damaged room can be read up to the damage, but nobody can change it.
    #[command(
        after_help = "Exit codes: 0 everything is intact, 1 it cannot be read, 2 usage, 3 something is damaged, or the \
            settings are wrong."
    )]
    Verify {
        /// The room [default: all rooms]
        #[arg(value_parser = room)]
        name: Option<RoomName>,
    },
}

const NOT_DELETED: &str = "nothing was deleted";

/// In which form rooms are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// A table
    Text,
    /// One JSON object
    Json,
}

fn room(text: &str) -> Result<RoomName, String> {
    RoomName::new(text).map_err(|bad| bad.to_string())
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error("the database cannot be read: {0}")]
    Read(#[from] Error),
    #[error(transparent)]
    Asked(#[from] NotDone),
    #[error(transparent)]
    Changed(#[from] NotChanged),
    #[error("there is no room {}", visible(.0))]
    NoRoom(String),
    #[error("{} already exists; give another file, or move it away", .0.display())]
    Exists(PathBuf),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("standard output: {0}")]
    Output(io::Error),
    #[error("{} is not a Yjs update: {why}", path.display())]
    NoUpdate { path: PathBuf, why: String },
}

impl verb::Verb for Verb {
    fn run(self, program: &Program<'_>) -> ExitCode {
        let Self::Room(asked) = self;
        let settings = match (program.settings)() {
            Ok(settings) => settings,
            Err(error) => return misconfigured(&error),
        };
        let desk = Desk { settings: &settings, program };
        let (ended, not_done) = match &asked {
            Asked::List { format } => (desk.list(*format), "the rooms cannot be listed"),
            Asked::Export { name, file } => (desk.export(name, file.as_deref()), "nothing was exported"),
            Asked::Import { name, file } => (desk.import(name, file), "nothing was imported"),
            Asked::Delete { name, yes: true } => (desk.delete(name), NOT_DELETED),
            Asked::Delete { name, yes: false } => (desk.ask_before_deleting(name), NOT_DELETED),
            Asked::Verify { name } => (desk.verify(name.as_ref()), "the rooms cannot be checked"),
        };
        ended.unwrap_or_else(|error| fail(not_done, &error, 1))
    }
}

/// Where a verb works.
struct Desk<'a> {
    settings: &'a Settings,
    program: &'a Program<'a>,
}

impl Desk<'_> {
    fn database(&self) -> &Path {
        self.settings.database(&DATABASE)
    }

    fn place(&self) -> Result<Place, Ended> {
        Ok(Place::of(self.database(), &self.program.schema)?)
    }

    fn server(&self, pid: String) -> Result<Rooms<'_>, Ended> {
        Ok(Rooms(Server::of(self.settings, pid)?))
    }

    /// Reads the database, be it served or not.
    fn reader(&self) -> Result<Reader, Ended> {
        Ok(open_read_only(self.database(), &self.program.schema)?)
    }

    fn list(&self, form: Form) -> Result<ExitCode, Ended> {
        let mut listed = Vec::new();
        let mut see = |rooms: Vec<Value>| match form {
            Form::Text => _ = print(&table(&rooms)),
            Form::Json => listed.extend(rooms),
        };
        let place = self.place()?;
        if form == Form::Text {
            print(HEADINGS);
        }
        match place {
            Place::Stopped { reader, .. } => {
                each_slice(&reader, |rows| {
                    see(rows.iter().map(|row| super::owners::described(row, None)).collect());
                    Ok(())
                })?;
            }
            Place::Served(pid) => self.server(pid)?.list(see)?,
        }
        Ok(match form {
            Form::Text => ExitCode::SUCCESS,
            Form::Json => print(&format!("{}\n", json!({ "rooms": listed }))),
        })
    }

    fn export(&self, name: &RoomName, file: Option<&Path>) -> Result<ExitCode, Ended> {
        if let Some(file) = file.filter(|file| file.exists()) {
            return Err(Ended::Exists(file.to_owned()));
        }
        let Export { bytes, damage } = match self.place()? {
            Place::Stopped { reader, .. } => {
                let loaded = load::load(&reader, name.as_str())?;
                if loaded.row.is_none() {
                    return Err(no_room(name));
                }
                let damage = loaded.quarantine.map(|damage| damage.to_string());
                Export { bytes: loaded.document.snapshot().encode(), damage }
            }
            Place::Served(pid) => self.server(pid)?.export(name)?.ok_or_else(|| no_room(name))?,
        };
        if let Some(damage) = damage {
            let (name, damage) = (visible(name.as_str()), visible(&damage));
            let _ = writeln!(
                io::stderr(),
                "inkring: the room {name} is damaged ({damage}): only what is before that was exported"
            );
        }
        let Some(file) = file else {
            let mut out = io::stdout().lock();
            return match out.write_all(&bytes).and_then(|()| out.flush()) {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Ended::Output(error)),
                _ => Ok(ExitCode::SUCCESS),
            };
        };
        write_new(file, &bytes)?;
        Ok(print(&lines(&file.display().to_string(), &[("room", &visible(name.as_str())), ("bytes", &bytes.len())])))
    }

    fn import(&self, name: &RoomName, file: &Path) -> Result<ExitCode, Ended> {
        let bytes = read_whole(file)?;
        let no_update = |why: String| Ended::NoUpdate { path: file.to_owned(), why };
        let update = Update::parse(&bytes).map_err(|refused| no_update(refused.to_string()))?;
        let most = Options::of(self.settings).document_bytes;
        let imported = match door::open(self.database(), &self.program.schema)? {
            Ok(store) => stopped::import(store, name, &update, &bytes, most)?,
            Err(pid) => self.server(pid)?.import(name, &bytes)?,
        };
        let structs: u64 = update.blocks().iter().map(|block| u64::from(block.count)).sum();
        let merged = format!(
            "{} bytes: {structs} structs of {} clients, {} ranges of deletions",
            bytes.len(),
            update.blocks().len(),
            update.deletions().len()
        );
        Ok(print(&lines(&visible(name.as_str()), &[("merged", &merged), ("newest update", &imported)])))
    }

    /// Says what would be gone.
    fn ask_before_deleting(&self, name: &RoomName) -> Result<ExitCode, Ended> {
        let row = store::find(&self.reader()?, name.as_str())?.ok_or_else(|| no_room(name))?;
        let (bytes, used_at) = (row.snapshot_bytes + row.log_bytes, row.used_at.offset_style());
        let name = visible(name.as_str());
        let asks = format!(
            "pass --yes to delete the room {name} of {bytes} bytes, last used {used_at}; only a backup or an export can bring it back"
        );
        Ok(fail(NOT_DELETED, &asks, 2))
    }

    fn delete(&self, name: &RoomName) -> Result<ExitCode, Ended> {
        let known = store::find(&self.reader()?, name.as_str())?;
        let was_there = match door::open(self.database(), &self.program.schema)? {
            Ok(store) => stopped::delete(store, name, self.settings)?,
            Err(pid) => self.server(pid)?.delete(name)?,
        };
        if !was_there {
            return Err(no_room(name));
        }
        let said = match known {
            None => lines(&format!("{} is deleted", visible(name.as_str())), &[("bytes", &0)]),
            Some(row) => lines(
                &format!("{} is deleted", visible(name.as_str())),
                &[
                    ("bytes", &(row.snapshot_bytes + row.log_bytes)),
                    ("created", &row.created_at.offset_style()),
                    ("last used", &row.used_at.offset_style()),
                ],
            ),
        };
        Ok(print(&said))
    }

    fn verify(&self, name: Option<&RoomName>) -> Result<ExitCode, Ended> {
        let reader = self.reader()?;
        let mut checked = Checked::default();
        match name {
            Some(name) => {
                let row = store::find(&reader, name.as_str())?.ok_or_else(|| no_room(name))?;
                checked.look(&reader, &row)?;
            }
            None => each_slice(&reader, |rows| rows.iter().try_for_each(|row| checked.look(&reader, row)))?,
        }
        let Checked { rooms, damaged, named } = checked;
        let verdict = if damaged == 0 { "all rooms are intact" } else { "SOME ROOMS ARE DAMAGED" };
        print(&lines(verdict, &[("rooms", &rooms), ("damaged", &damaged)]));
        if damaged == 0 {
            return Ok(ExitCode::SUCCESS);
        }
        let more = damaged - named.len() as u64;
        let more = if more > 0 { format!("\nand {more} more") } else { String::new() };
        let text = format!("{}{more}", named.join("\n"));
        Ok(fail(
            "rooms are damaged; they can be read up to the damage, and nobody can change them",
            &text,
            FOUND_PROBLEMS,
        ))
    }
}

/// What a look at rooms has found.
#[derive(Default)]
struct Checked {
    rooms: u64,
    damaged: u64,
    named: Vec<String>,
}

impl Checked {
    fn look(&mut self, reader: &Reader, row: &RoomRow) -> Result<(), Error> {
        self.rooms += 1;
        let damage = match load::load(reader, &row.name) {
            Ok(loaded) => loaded.quarantine.map(|reason| reason.to_string()),
            Err(error) if error.is_damage() => Some(error.to_string()),
            Err(error) => return Err(error),
        };
        let Some(damage) = damage else { return Ok(()) };
        self.damaged += 1;
        if self.named.len() < NAMED_MAX_DAMAGED {
            self.named.push(visible(&format!("{}: {damage}", row.name)).into_owned());
        }
        Ok(())
    }
}

/// Shows `see` all rooms by name, some at a time.
fn each_slice(reader: &Reader, mut see: impl FnMut(&[RoomRow]) -> Result<(), Error>) -> Result<(), Error> {
    let mut after = String::new();
    loop {
        let rows = store::list(reader, &after, SLICE_ROOMS)?;
        see(&rows)?;
        match rows.last() {
            Some(last) if rows.len() == SLICE_ROOMS => after.clone_from(&last.name),
            _ => return Ok(()),
        }
    }
}

fn no_room(name: &RoomName) -> Ended {
    Ended::NoRoom(name.as_str().to_owned())
}

fn lines(first: &str, facts: &[(&str, &dyn Display)]) -> String {
    let facts = facts.iter().map(|(name, value)| format!("  {name:<14} {value}\n"));
    format!("{first}\n{}", facts.collect::<String>())
}

const HEADINGS: &str = "NAME                              SOCKETS       BYTES  LAST USED                  QUARANTINE\n";

/// Rooms as lines under [`HEADINGS`].
fn table(rooms: &[Value]) -> String {
    let line = |room: &Value| {
        let text = |name: &str| visible(room[name].as_str().unwrap_or_default()).into_owned();
        let number = |name: &str| room[name].as_u64().unwrap_or_default();
        let used = text("last_used_at");
        // To the second, which is how people look at it.
        let used = used.split_once('.').map_or(used.clone(), |(seconds, _)| format!("{seconds}Z"));
        let (name, quarantine) = (text("name"), text("quarantine"));
        let line =
            format!("{name:<32}  {:>7}  {:>10}  {used:<25}  {quarantine}", number("sockets"), size(number("bytes")));
        format!("{}\n", line.trim_end())
    };
    rooms.iter().map(line).collect()
}

/// Writes a file that is not there yet; if that fails, there is none.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Ended> {
    let opened = File::options().write(true).create_new(true).mode(0o600).open(path);
    let mut file = opened.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => Ended::Exists(path.to_owned()),
        _ => Ended::File { path: path.to_owned(), source },
    })?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|source| {
        // Half a document would pass for a whole one.
        _ = fs::remove_file(path);
        Ended::File { path: path.to_owned(), source }
    })
}

fn read_whole(path: &Path) -> Result<Vec<u8>, Ended> {
    let failed = |source| Ended::File { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(DOCUMENT_MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > DOCUMENT_MAX_BYTES {
        let why = format!("it is larger than the {DOCUMENT_MAX_BYTES} bytes that a document may have");
        return Err(Ended::NoUpdate { path: path.to_owned(), why });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_named_up_to_a_number_and_counted_beyond() {
        let reader = Reader::in_memory(crate::rooms::MIGRATIONS);
        for room in 0..=NAMED_MAX_DAMAGED {
            reader.batch(&format!(
                "INSERT INTO rooms (name, creator_id, created_at, used_at, quarantine) \
                 VALUES ('room {room:03}', 'a', 0, 0, 'update 7: short')"
            ));
        }
        reader.batch("INSERT INTO rooms (name, creator_id, created_at, used_at) VALUES ('well', 'a', 0, 0)");
        let mut checked = Checked::default();
        each_slice(&reader, |rows| rows.iter().try_for_each(|row| checked.look(&reader, row))).unwrap();
        let bound = NAMED_MAX_DAMAGED as u64;
        assert_eq!((checked.rooms, checked.damaged), (bound + 2, bound + 1));
        assert_eq!((checked.named.len(), &*checked.named[1]), (NAMED_MAX_DAMAGED, "room 001: update 7: short"));
    }

    #[test]
    fn what_a_room_is_called_does_nothing_to_the_table() {
        let room = json!({ "name": "a\nb", "sockets": 2, "bytes": 1500, "last_used_at": "2026-01-02T03:04:05.678901+00:00",
            "quarantine": null });
        let line = "a\\nb                                    2        1 kB  2026-01-02T03:04:05Z\n";
        assert_eq!(table(&[room]), line);
    }
}
