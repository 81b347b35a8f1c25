//! Takes over files of events of another system, such as the original's: each line to the file of its day.
//!
//! Lines stay as they are. One that stands in the files already is not taken again, so the same file may be imported twice, or
//! again when it has grown, or after an import that was killed: of lines that are equal to the last byte there are then
//! as many as there were in the one of the two that had more.

use std::collections::{BTreeMap, HashMap};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::hash::BuildHasher as _;
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use foldhash::fast::RandomState;

use super::files::{self, sync_names};
use super::line::Line;
use super::names::{Named, Names, Shard};
use super::pieces::{self, Piece};
use super::reading::each_file;
use super::time::Day;
use crate::clock::Timestamp;
use crate::store::chown_like;

/// Lines of the files that are there, with which those of the new one are compared.
pub(super) const IMPORT_KNOWN_MAX: usize = 4_000_000;
/// Days of one file.
pub(super) const IMPORT_DAYS_MAX: usize = 4000;
/// Lines that are named because they are no event.
const NAMED_MAX: usize = 10;
/// What waits to be written, of all days.
const WAITING_MAX_BYTES: usize = 4 * 1024 * 1024;
/// Names that are tried for a file, when a server gives names as well.
const NAMES_TRIED_MAX: usize = 100;

/// What was imported.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Imported {
    pub(super) lines: u64,
    /// How many of each day.
    pub(super) days: BTreeMap<Day, u64>,
    /// Those that stood there before.
    pub(super) known: u64,
    /// Those that are no event.
    pub(super) bad: u64,
    /// The numbers of the first of these.
    pub(super) named: Vec<u64>,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotImported {
    #[error("it cannot be read: {0}")]
    Unread(io::Error),
    #[error("another import is under way")]
    Another,
    #[error(
        "the files that are there have more than {0} lines, too many to compare with; import into an empty \
         directory (--data-dir) and move the files"
    )]
    TooManyKnown(usize),
    #[error("it has lines of more than {IMPORT_DAYS_MAX} days")]
    TooManyDays,
    #[error("the files that are there cannot all be read: {0}")]
    Unknown(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Imports a file, plain or compressed.
///
/// # Errors
/// When it cannot be read to its end, or something cannot be written. What was imported up to then stays, by whole days; do it
/// again, and the rest comes as well.
pub(super) fn import(names: &Names, path: &Path) -> Result<Imported, NotImported> {
    let from = open(path).map_err(NotImported::Unread)?;
    let stage = Stage::open(names)?;
    let mut known = Known::of(names, IMPORT_KNOWN_MAX)?;
    let (mut imported, mut sorted) = (Imported::default(), Sorted::new(&stage));
    let (mut pieces, mut number) = (from, 0);
    while let Some(piece) = pieces.next().map_err(NotImported::Unread)? {
        number += u64::from(piece.ends() || piece.is_line);
        let line = piece.bytes.trim_ascii_end();
        if piece.is_line && line.is_empty() {
            continue;
        }
        match day_of(&piece) {
            Some(_) if known.take(line) => imported.known += 1,
            Some(day) => {
                sorted.add(day, line)?;
                imported.lines += 1;
                *imported.days.entry(day).or_default() += 1;
            }
            // A piece of a line that goes on is counted with its end.
            None if !piece.is_line && !piece.ends() => {}
            None => {
                imported.bad += 1;
                if imported.named.len() < NAMED_MAX {
                    imported.named.push(number);
                }
            }
        }
    }
    sorted.write()?;
    for day in imported.days.keys() {
        stage.put(names, *day)?;
    }
    stage.close();
    Ok(imported)
}

/// By its first two bytes, whatever its name.
fn open(path: &Path) -> io::Result<pieces::Pieces<Box<dyn io::Read>>> {
    let mut file = File::open(path)?;
    let mut first = Vec::new();
    (&file).take(2).read_to_end(&mut first)?;
    file.rewind()?;
    Ok(pieces::open(file, first == [0x1f, 0x8b]))
}

/// The day of an event: that on which it came, or else that which it says.
fn day_of(piece: &Piece<'_>) -> Option<Day> {
    piece.is_line.then(|| Line::parse(piece.bytes)).flatten()?.at().map(Day::of)
}

/// Lines that are there already, and how often.
struct Known {
    lines: HashMap<u64, u32, RandomState>,
    hasher: RandomState,
}

impl Known {
    /// Those of all files, `most` of them at most.
    fn of(names: &Names, most: usize) -> Result<Self, NotImported> {
        let mut known = Self { lines: HashMap::default(), hasher: RandomState::default() };
        let mut count = 0;
        let read = each_file(names, Timestamp(i64::MIN), |piece| {
            count += 1;
            if count <= most {
                let hash = known.hasher.hash_one(piece.bytes.trim_ascii_end());
                *known.lines.entry(hash).or_default() += 1;
            }
        })?;
        if count > most {
            return Err(NotImported::TooManyKnown(most));
        }
        match read.faults.is_empty() {
            true => Ok(known),
            false => Err(NotImported::Unknown(read.faults.join("; "))),
        }
    }

    /// Whether one more of these lines is there.
    fn take(&mut self, line: &[u8]) -> bool {
        match self.lines.get_mut(&self.hasher.hash_one(line)) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        }
    }
}

/// A directory beside the files in which new ones are made whole.
struct Stage {
    directory: PathBuf,
    /// Locked by the one who imports.
    lock: File,
    /// Whose file a new one becomes.
    like: PathBuf,
}

impl Stage {
    /// What a killed import has left there goes.
    fn open(names: &Names) -> Result<Self, NotImported> {
        let directory = names.path(&names.stage());
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        let lock = File::open(&directory)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(NotImported::Another),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        for entry in std::fs::read_dir(&directory)? {
            std::fs::remove_file(entry?.path())?;
        }
        Ok(Self { directory, lock, like: names.active().to_owned() })
    }

    fn path(&self, day: Day) -> PathBuf {
        self.directory.join(day.to_string())
    }

    /// Gives the lines of a day their place, once they are on the disk.
    fn put(&self, names: &Names, day: Day) -> io::Result<()> {
        let path = self.path(day);
        let file = File::open(&path)?;
        let _ = chown_like(&file, &self.like);
        file.sync_all()?;
        let mut taken: Vec<Shard> = files::shards(names)?;
        for _ in 0..NAMES_TRIED_MAX {
            let name = names.free(day, taken.iter());
            match files::rename(&path, &names.path(&name)) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    let Named::Shard(other) = names.read(&name) else { return Err(error) };
                    taken.push(other);
                }
                renamed => return renamed.and_then(|()| sync_names(names.directory())),
            }
        }
        Err(ErrorKind::AlreadyExists.into())
    }

    /// The next one need not find it empty.
    fn close(self) {
        let _ = std::fs::remove_dir(&self.directory);
        drop(self.lock);
    }
}

/// Lines on their way to the files of their days.
struct Sorted<'s> {
    stage: &'s Stage,
    days: BTreeMap<Day, Vec<u8>>,
    waiting: usize,
}

impl<'s> Sorted<'s> {
    fn new(stage: &'s Stage) -> Self {
        Self { stage, days: BTreeMap::new(), waiting: 0 }
    }

    fn add(&mut self, day: Day, line: &[u8]) -> Result<(), NotImported> {
        if self.days.len() >= IMPORT_DAYS_MAX && !self.days.contains_key(&day) {
            return Err(NotImported::TooManyDays);
        }
        let lines = self.days.entry(day).or_default();
        lines.extend_from_slice(line);
        lines.push(b'\n');
        self.waiting += line.len() + 1;
        if self.waiting > WAITING_MAX_BYTES { Ok(self.write()?) } else { Ok(()) }
    }

    fn write(&mut self) -> io::Result<()> {
        for (day, lines) in self.days.iter_mut().filter(|(_, lines)| !lines.is_empty()) {
            let mut options = OpenOptions::new();
            options.append(true).create(true).mode(0o600).open(self.stage.path(*day))?.write_all(lines)?;
            // Its memory goes as well: there may be many days.
            *lines = Vec::new();
        }
        self.waiting = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn line(number: usize, day: &str) -> String {
        format!(
            "{{\"visitor_id\": \"v-{number:06}\", \"event\": \"x\", \"timestamp\": \"{day}T12:00:00Z\", \"metadata\": {{}}, \
             \"user_agent\": null}}\n"
        )
    }

    fn text(names: &Names, name: &str) -> String {
        std::fs::read_to_string(names.path(name)).unwrap()
    }

    #[test]
    fn lines_go_to_the_files_of_their_days_and_none_twice() {
        let directory = tempfile::tempdir().unwrap();
        let names = Names::of(&directory.path().join("data/metrics.jsonl"));
        crate::feature::make_private(names.directory()).unwrap();
        let file = directory.path().join("old");
        let (one, two) = (line(1, "2025-10-08"), line(2, "2025-10-09"));
        // Twice the same is twice.
        let first = [&one, &two, "no line\n", "\n", &one, &line(3, "2025-13-08")].map(|line| line.to_owned()).concat();
        std::fs::write(&file, &first).unwrap();
        std::fs::write(names.path("metrics-2025-10-09.jsonl"), line(9, "2025-10-09")).unwrap();
        let imported = import(&names, &file).unwrap();
        assert_eq!((imported.lines, imported.known, imported.bad, imported.named.as_slice()), (3, 0, 2, &[3, 6][..]));
        assert_eq!(text(&names, "metrics-2025-10-08.jsonl"), one.repeat(2));
        assert_eq!(text(&names, "metrics-2025-10-09.1.jsonl"), two);
        assert_eq!(import(&names, &file).unwrap().known, 3);
        // Grown, and compressed; the last line without its end.
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(format!("{first}{one}{}", line(4, "2025-10-09").trim_end()).as_bytes()).unwrap();
        std::fs::write(&file, encoder.finish().unwrap()).unwrap();
        let imported = import(&names, &file).unwrap();
        assert_eq!((imported.lines, imported.known), (2, 3));
        assert_eq!(text(&names, "metrics-2025-10-08.1.jsonl"), one);
        assert_eq!(text(&names, "metrics-2025-10-09.2.jsonl"), line(4, "2025-10-09"));
        assert!(!names.path(&names.stage()).exists());
    }

    #[test]
    fn what_a_killed_import_left_half_made_is_not_taken_for_whole() {
        let directory = tempfile::tempdir().unwrap();
        let names = Names::of(&directory.path().join("metrics.jsonl"));
        let stage = names.path(&names.stage());
        std::fs::create_dir(&stage).unwrap();
        std::fs::write(stage.join("2025-10-08"), "half").unwrap();
        let file = directory.path().join("old");
        std::fs::write(&file, line(1, "2025-10-08")).unwrap();
        let held = Stage::open(&names).unwrap();
        assert!(matches!(import(&names, &file), Err(NotImported::Another)));
        held.close();
        assert_eq!(import(&names, &file).unwrap().lines, 1);
        assert_eq!(text(&names, "metrics-2025-10-08.jsonl"), line(1, "2025-10-08"));
    }

    #[test]
    fn a_file_has_so_many_days_and_no_more() {
        let directory = tempfile::tempdir().unwrap();
        let names = Names::of(&directory.path().join("metrics.jsonl"));
        let day = Day::parse("2001-01-01").unwrap();
        let lines: String =
            (0..=IMPORT_DAYS_MAX).map(|number| line(number, &day.plus(number as i64).to_string())).collect();
        let file = directory.path().join("old");
        std::fs::write(&file, lines).unwrap();
        assert!(matches!(import(&names, &file), Err(NotImported::TooManyDays)));
        assert_eq!(files::shards(&names).unwrap(), [], "nothing of it");
    }

    #[test]
    fn lines_are_compared_with_so_many_and_no_more() {
        let directory = tempfile::tempdir().unwrap();
        let names = Names::of(&directory.path().join("metrics.jsonl"));
        let lines: String = (0..3).map(|number| line(number, "2025-10-08")).collect();
        std::fs::write(names.path("metrics-2025-10-08.jsonl"), &lines).unwrap();
        std::fs::write(names.active(), line(0, "2025-10-09")).unwrap();
        let mut known = Known::of(&names, 4).unwrap();
        assert!(lines.lines().all(|line| known.take(line.as_bytes())) && !known.take(b"another"));
        let error = Known::of(&names, 3).map(|_| ()).unwrap_err();
        assert!(error.to_string().starts_with("the files that are there have more than 3 lines, "), "{error}");
    }
}
