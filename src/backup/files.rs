//! Files that go with a backup, in a directory beside it with a list of them: `NAME.db.files/list.txt`, and below it those of each
//! feature. A file that the backup before has is linked and not copied, and so is one of the server's own where the file system
//! lets it; what is in one never changes ([`KeptFiles`](crate::feature::KeptFiles)), so that nothing is shared that would.
//!
//! A line of the list is `SHA-256 bytes path`, and lines are in the order of their paths: so neither writing nor reading one
//! needs more memory however many there are.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::error::BackupError;
use super::halt::{CHUNK_BYTES, Halt, checksum};
use super::manifest::{Files, LIST, files_beside};
use super::room::check_room;
use crate::feature::FilesAt;
use crate::store;
use crate::text::hex;

/// A line of it: a path has at most 4,096 bytes on Linux.
pub(super) const LINE_MAX_BYTES: u64 = 4096 + 96;

/// One line of a list.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    sha256: String,
    bytes: u64,
    /// Below the directory of the files: `media/ab/abcd.jpg`.
    path: String,
}

impl Line {
    fn text(&self) -> String {
        format!("{} {} {}\n", self.sha256, self.bytes, self.path)
    }

    /// Reads one. Its path leads nowhere but below the directory of a feature.
    fn parse(text: &str) -> Option<Self> {
        let (sha256, rest) = text.split_once(' ')?;
        let (bytes, path) = rest.split_once(' ')?;
        let is_hex = sha256.len() == 64 && sha256.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        let is_plain = path.split('/').all(|part| !["", ".", ".."].contains(&part));
        let has_owner = path.split_once('/').is_some_and(|(owner, rest)| !owner.contains('.') && !rest.is_empty());
        let bytes = bytes.parse().ok()?;
        (is_hex && is_plain && has_owner).then(|| Self { sha256: sha256.to_owned(), bytes, path: path.to_owned() })
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::File { path, source }
}

// ---- taking them along ----

/// Puts the files there are into the directory of a backup that is being made, which comes into being with the first. `before` is
/// another backup, whose files are shared.
///
/// The database was copied a moment ago. What is named in the copy was there then, and is still: a file goes an hour after its
/// last record has gone for good at the earliest, and such a record goes again as soon as the copy is put in place.
pub(super) fn carry(
    from: &[FilesAt],
    backup: &Path,
    before: Option<&(PathBuf, Files)>,
    halt: &Halt,
) -> Result<Option<Files>, BackupError> {
    let mut carrying = Carrying {
        to: files_beside(backup),
        before: None,
        list: None,
        made: BTreeSet::new(),
        current: PathBuf::new(),
        halt,
    };
    for FilesAt { kept, directory } in from {
        // Lines of each feature begin with its name, and features are in no order: each has the list to itself.
        carrying.before = before.and_then(|(path, files)| Before::open(path, files));
        let mut failure = None;
        let walked = (kept.each)(directory, &mut |path| {
            carrying.take(&directory.join(path), &Path::new(kept.name).join(path)).map_err(|error| {
                failure = Some(error);
                io::Error::other("a file of a backup")
            })
        });
        match failure {
            Some(error) => return Err(error),
            None => walked.map_err(at(directory))?,
        }
    }
    carrying.end()
}

struct Carrying<'a> {
    to: PathBuf,
    before: Option<Before>,
    list: Option<List>,
    /// Directories that were made, of which names are to be synced.
    made: BTreeSet<PathBuf>,
    /// The last of them.
    current: PathBuf,
    halt: &'a Halt,
}

/// A list that is being written.
struct List {
    file: BufWriter<File>,
    hasher: Sha256,
    count: u64,
    bytes: u64,
}

impl Carrying<'_> {
    fn take(&mut self, source: &Path, path: &Path) -> Result<(), BackupError> {
        if self.halt.asked() {
            return Err(BackupError::Stopping);
        }
        let found = match std::fs::symlink_metadata(source) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            found => found.map_err(at(source))?,
        };
        let named = path.to_str().filter(|path| !path.contains('\n'));
        let (true, Some(named)) = (found.is_file(), named) else {
            let error =
                io::Error::new(ErrorKind::InvalidInput, "it is not a regular file, or its name cannot be listed");
            return Err(at(source)(error));
        };
        let target = self.to.join(path);
        self.make_room_for(&target)?;
        let bytes = found.len();
        let known = self.before.as_mut().and_then(|before| before.link(named, bytes, &target));
        let sha256 = match known {
            Some(sha256) => sha256,
            None => match self.bring(source, &target, bytes)? {
                Some(sha256) => sha256,
                None => return Ok(()),
            },
        };
        self.note(&Line { sha256, bytes, path: named.to_owned() })
    }

    /// Links a file of the server's, or copies it where it cannot be linked, and says its SHA-256; nothing if it is gone.
    fn bring(&self, source: &Path, target: &Path, bytes: u64) -> Result<Option<String>, BackupError> {
        let linked = std::fs::hard_link(source, target);
        let summed = match linked {
            Ok(()) => File::open(target).and_then(|mut file| checksum(&mut file, self.halt)),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            // Another file system, or one without links, or one that belongs to somebody else: whatever it is, a copy says more.
            Err(_) => {
                check_room(&self.to, bytes)?;
                match copy(source, target, self.halt) {
                    Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                    summed => summed,
                }
            }
        };
        let (found, sha256) = summed.map_err(at(target))?.ok_or(BackupError::Stopping)?;
        if found == bytes {
            Ok(Some(sha256))
        } else {
            Err(BackupError::Damaged(format!("{} changed while it was copied", source.display())))
        }
    }

    fn make_room_for(&mut self, target: &Path) -> Result<(), BackupError> {
        let directory = target.parent().unwrap_or(&self.to);
        if self.current == directory {
            return Ok(());
        }
        let above = directory.ancestors().take_while(|above| above.starts_with(&self.to));
        self.made.extend(above.map(Path::to_owned));
        self.current = directory.to_owned();
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(at(directory))
    }

    fn note(&mut self, line: &Line) -> Result<(), BackupError> {
        let path = self.to.join(LIST);
        let list = match &mut self.list {
            Some(list) => list,
            none => {
                let file = new_file(&path).map_err(at(&path))?;
                none.insert(List { file: BufWriter::new(file), hasher: Sha256::new(), count: 0, bytes: 0 })
            }
        };
        let text = line.text();
        list.hasher.update(text.as_bytes());
        list.count += 1;
        list.bytes += line.bytes;
        list.file.write_all(text.as_bytes()).map_err(at(&path))
    }

    fn end(self) -> Result<Option<Files>, BackupError> {
        let Some(List { file, hasher, count, bytes }) = self.list else { return Ok(None) };
        let path = self.to.join(LIST);
        let file = file.into_inner().map_err(io::IntoInnerError::into_error);
        file.and_then(|file| file.sync_all()).map_err(at(&path))?;
        for directory in &self.made {
            match store::sync_directory(directory) {
                Err(error) if !store::is_not_offered(&error) => return Err(at(directory)(error)),
                _ => {}
            }
        }
        Ok(Some(Files { count, bytes, list_sha256: hex(&hasher.finalize()) }))
    }
}

fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// Copies a file to a new one, synced, and says its length and SHA-256; nothing when told to halt.
fn copy(source: &Path, target: &Path, halt: &Halt) -> io::Result<Option<(u64, String)>> {
    let mut from = File::open(source)?;
    let mut to = new_file(target)?;
    let (mut hasher, mut bytes, mut chunk) = (Sha256::new(), 0, vec![0; CHUNK_BYTES]);
    loop {
        if halt.asked() {
            return Ok(None);
        }
        match from.read(&mut chunk)? {
            0 => break,
            count => {
                hasher.update(&chunk[..count]);
                to.write_all(&chunk[..count])?;
                bytes += count as u64;
            }
        }
    }
    to.sync_all()?;
    Ok(Some((bytes, hex(&hasher.finalize()))))
}

/// The backup before, read beside what is walked.
struct Before {
    directory: PathBuf,
    lines: Lines,
    next: Option<Line>,
}

impl Before {
    /// Nothing where its list is not what its manifest says: then everything is taken anew.
    fn open(backup: &Path, files: &Files) -> Option<Self> {
        let directory = files_beside(backup);
        let mut lines = Lines::open(&directory, files).ok()?;
        let next = lines.next().and_then(Result::ok);
        Some(Self { directory, lines, next })
    }

    /// Links a file to the one that it has, and says its SHA-256; nothing if it has none, or it cannot be linked.
    fn link(&mut self, path: &str, bytes: u64, target: &Path) -> Option<String> {
        while self.next.as_ref().is_some_and(|line| line.path.as_str() < path) {
            self.next = self.lines.next().and_then(Result::ok);
        }
        let line = self.next.as_ref().filter(|line| line.path == path && line.bytes == bytes)?;
        let there = self.directory.join(path);
        let is_whole = std::fs::symlink_metadata(&there).is_ok_and(|found| found.is_file() && found.len() == bytes);
        (is_whole && std::fs::hard_link(&there, target).is_ok()).then(|| line.sha256.clone())
    }
}

// ---- looking at them, and bringing them back ----

/// The lines of a list that is what its manifest says.
struct Lines(BufReader<File>);

impl Lines {
    /// Why it is not, in a sentence.
    fn open(directory: &Path, files: &Files) -> Result<Self, String> {
        let path = directory.join(LIST);
        let unread = |error: io::Error| format!("the list of its files, {}: {error}", path.display());
        let mut file = File::open(&path).map_err(unread)?;
        let (_, sha256) = checksum(&mut file, &Halt::default()).map_err(unread)?.unwrap_or_default();
        if sha256 != files.list_sha256 {
            return Err("the list of its files has another SHA-256 than its manifest says: it was changed".to_owned());
        }
        file.rewind().map_err(unread)?;
        Ok(Self(BufReader::new(file)))
    }
}

impl Iterator for Lines {
    type Item = Result<Line, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut text = Vec::new();
        match (&mut self.0).take(LINE_MAX_BYTES).read_until(b'\n', &mut text) {
            Ok(0) => None,
            Err(error) => Some(Err(format!("the list of its files cannot be read: {error}"))),
            Ok(_) => {
                let line = text.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok());
                let said = || format!("its list of files has a line that is none: {}", String::from_utf8_lossy(&text));
                Some(line.and_then(Line::parse).ok_or_else(said))
            }
        }
    }
}

/// What is wrong with the files of a backup, a sentence each, up to so many.
pub(super) fn problems(backup: &Path, files: &Files, most: usize, halt: &Halt) -> Vec<String> {
    let directory = files_beside(backup);
    let lines = match Lines::open(&directory, files) {
        Ok(lines) => lines,
        Err(sentence) => return vec![sentence],
    };
    let (mut problems, mut more) = (Vec::new(), 0_u64);
    let found =
        lines.filter_map(|line| line.and_then(|line| fault(&directory, &line, halt)).map_or_else(Some, |()| None));
    for problem in found {
        if problems.len() < most {
            problems.push(problem);
        } else {
            more += 1;
        }
    }
    problems.extend((more > 0).then(|| format!("and {more} more of its files")));
    problems
}

fn fault(directory: &Path, Line { sha256, bytes, path }: &Line, halt: &Halt) -> Result<(), String> {
    let there = directory.join(path);
    let found = File::open(&there).and_then(|mut file| checksum(&mut file, halt));
    match found.map_err(|error| format!("its file {path}: {error}"))? {
        Some((found, _)) if found != *bytes => {
            Err(format!("its file {path} has {found} bytes, and its list says {bytes}"))
        }
        Some((_, found)) if found != *sha256 => Err(format!("its file {path} has another SHA-256 than its list says")),
        _ => Ok(()),
    }
}

/// What a restore did with files, or would do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Returned {
    /// How many the backup has.
    pub count: u64,
    /// Of those, how many were not there as they should be.
    pub written: u64,
    /// What is in those.
    pub bytes: u64,
}

/// Brings every file of a backup, which was looked at, back to where the server has it, unless it is there and whole. Nothing else
/// is changed there: until the database is in its place, both it and the old one find all their files. With `only_look` it counts.
///
/// # Errors
/// The path, and what the system said.
pub(super) fn bring_back(
    backup: &Path,
    files: &Files,
    to: &[FilesAt],
    database: &Path,
    only_look: bool,
) -> Result<Returned, (PathBuf, io::Error)> {
    let from = files_beside(backup);
    let strange = |sentence: String| (from.clone(), io::Error::new(ErrorKind::InvalidData, sentence));
    let mut returned = Returned::default();
    let mut changed: Vec<PathBuf> = Vec::new();
    for line in Lines::open(&from, files).map_err(strange)? {
        let line = line.map_err(strange)?;
        let owner = line.path.split_once('/').and_then(|(owner, rest)| {
            let owner = to.iter().find(|files| files.kept.name == owner)?;
            Some(owner.directory.join(rest))
        });
        let Some(target) = owner else {
            return Err(strange(format!("{} is of a feature that this inkring has not", line.path)));
        };
        returned.count += 1;
        if is_there(&target, &line) {
            continue;
        }
        returned.written += 1;
        returned.bytes += line.bytes;
        if !only_look {
            place(&from.join(&line.path), &target, &line, database).map_err(|error| (target.clone(), error))?;
            let directory = store::directory_of(&target);
            if changed.last().is_none_or(|last| last != directory) {
                changed.push(directory.to_owned());
            }
        }
    }
    for directory in changed {
        match store::sync_directory(&directory) {
            Err(error) if !store::is_not_offered(&error) => return Err((directory, error)),
            _ => {}
        }
    }
    Ok(returned)
}

fn is_there(path: &Path, line: &Line) -> bool {
    let is_as_long = std::fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && found.len() == line.bytes);
    is_as_long
        && File::open(path)
            .and_then(|mut file| checksum(&mut file, &Halt::default()))
            .is_ok_and(|found| found.is_some_and(|(_, sha256)| sha256 == line.sha256))
}

/// Copies a file, and gives it its name when it is whole. It belongs to whom the database belongs to.
fn place(from: &Path, to: &Path, line: &Line, database: &Path) -> io::Result<()> {
    let directory = store::directory_of(to);
    make_directory(directory, database)?;
    // A name of its own, but the same at the next try, so that nothing is left of one that was killed.
    let half = store::with_suffix(to, ".restoring");
    let _ = std::fs::remove_file(&half);
    let copied = copy(from, &half, &Halt::default()).and_then(|found| match found {
        Some((bytes, sha256)) if bytes == line.bytes && sha256 == line.sha256 => Ok(()),
        _ => Err(io::Error::new(ErrorKind::InvalidData, "the copy is not what the backup has")),
    });
    let placed = copied
        .and_then(|()| store::chown_like(&File::open(&half)?, database))
        .and_then(|()| std::fs::rename(&half, to));
    if placed.is_err() {
        let _ = std::fs::remove_file(&half);
    }
    placed
}

/// Makes what is missing of a directory, for the owner of the database alone.
fn make_directory(directory: &Path, database: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(above) = directory.parent().filter(|above| !above.as_os_str().is_empty()) {
        make_directory(above, database)?;
    }
    DirBuilder::new().mode(0o700).create(directory)?;
    store::chown_like(&File::open(directory)?, database)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;
    use crate::feature::KeptFiles;

    const KEPT: KeptFiles = KeptFiles { name: "kept", directory: |_| PathBuf::new(), each };

    fn each(directory: &Path, see: &mut dyn FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
        let mut names: Vec<_> = std::fs::read_dir(directory)?.map(|entry| entry.unwrap().file_name()).collect();
        names.sort_unstable();
        names.iter().try_for_each(|name| see(Path::new(name)))
    }

    /// A directory of files, and one for backups.
    struct Here(tempfile::TempDir);

    impl Here {
        fn with(files: &[(&str, &str)]) -> Self {
            let here = Self(tempfile::tempdir().unwrap());
            std::fs::create_dir(here.path("kept")).unwrap();
            files.iter().for_each(|(name, text)| std::fs::write(here.path("kept").join(name), text).unwrap());
            here
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn carry(&self, name: &str, before: Option<&(PathBuf, Files)>) -> Option<Files> {
            carry(&self.kept(), &self.path(name), before, &Halt::default()).unwrap()
        }

        fn kept(&self) -> [FilesAt; 1] {
            [FilesAt { kept: &KEPT, directory: self.path("kept") }]
        }

        fn inode(&self, path: &str) -> u64 {
            std::fs::metadata(self.path(path)).unwrap().ino()
        }
    }

    #[test]
    fn what_the_backup_before_has_is_shared_and_what_it_has_otherwise_is_not() {
        let here = Here::with(&[("a", "one"), ("b", "two"), ("c", "three")]);
        let first = here.carry("1.db", None).unwrap();
        assert_eq!((first.count, first.bytes), (3, 11));
        assert_eq!(here.inode("1.db.files/kept/a"), here.inode("kept/a"), "the same file system");
        // Removed, grown, new, and gone from the backup itself.
        std::fs::remove_file(here.path("kept/a")).unwrap();
        std::fs::write(here.path("kept/new"), "two").unwrap();
        std::fs::rename(here.path("kept/new"), here.path("kept/b")).unwrap();
        std::fs::write(here.path("kept/0"), "zero").unwrap();
        std::fs::remove_file(here.path("1.db.files/kept/c")).unwrap();
        let before = (here.path("1.db"), first);
        let second = here.carry("2.db", Some(&before)).unwrap();
        assert_eq!(second.count, 3);
        assert_eq!(here.inode("2.db.files/kept/b"), here.inode("1.db.files/kept/b"), "by its name and length");
        assert_ne!(here.inode("2.db.files/kept/b"), here.inode("kept/b"));
        assert_eq!(here.inode("2.db.files/kept/c"), here.inode("kept/c"));
        let (path, files) = (here.path("2.db"), second);
        assert_eq!(problems(&path, &files, 10, &Halt::default()), [""; 0]);
        // A list that is not what its manifest says is not trusted at all.
        std::fs::write(here.path("1.db.files").join(LIST), "").unwrap();
        here.carry("3.db", Some(&before)).unwrap();
        assert_eq!(here.inode("3.db.files/kept/b"), here.inode("kept/b"));
    }

    #[test]
    fn without_files_there_is_no_directory_and_a_stop_ends_it() {
        let here = Here::with(&[]);
        assert_eq!(here.carry("1.db", None), None);
        assert!(!here.path("1.db.files").exists());
        std::fs::write(here.path("kept/a"), "one").unwrap();
        let halt = Halt::default();
        halt.ask();
        let stopped = carry(&here.kept(), &here.path("1.db"), None, &halt);
        assert!(matches!(stopped, Err(BackupError::Stopping)));
    }

    #[test]
    fn a_copy_is_what_it_was_and_never_over_another() {
        let here = Here::with(&[("a", "one")]);
        let (bytes, sha256) = copy(&here.path("kept/a"), &here.path("b"), &Halt::default()).unwrap().unwrap();
        assert_eq!((bytes, &sha256[..8]), (3, "7692c3ad"));
        assert_eq!(std::fs::read(here.path("b")).unwrap(), b"one");
        assert!(copy(&here.path("kept/a"), &here.path("b"), &Halt::default()).is_err());
    }

    #[test]
    fn so_many_faults_are_told_and_the_others_counted() {
        let here = Here::with(&[("a", "one"), ("b", "two"), ("c", "three")]);
        let files = here.carry("1.db", None).unwrap();
        std::fs::remove_dir_all(here.path("1.db.files/kept")).unwrap();
        let said = problems(&here.path("1.db"), &files, 2, &Halt::default());
        assert!(said[0].starts_with("its file kept/a: ") && said[1].starts_with("its file kept/b: "), "{said:?}");
        assert_eq!(said[2..], ["and 1 more of its files"]);
    }

    #[test]
    fn a_line_leads_nowhere_but_below_the_directory_of_a_feature() {
        let sum = "0a".repeat(32);
        let line = Line { sha256: sum.clone(), bytes: 7, path: "media/ab/a b.jpg".to_owned() };
        assert_eq!(Line::parse(line.text().trim_end()), Some(line));
        for path in [
            "",
            "media",
            "media/",
            "/etc/passwd",
            "media//etc/passwd",
            "media/../x",
            "media/./x",
            "list.txt/x",
            "../x/y",
        ] {
            assert_eq!(Line::parse(&format!("{sum} 7 {path}")), None, "{path}");
        }
        for text in [format!("{sum} -7 a/b"), format!("{sum} a/b"), format!("{} 7 a/b", &sum[1..]), "".to_owned()] {
            assert_eq!(Line::parse(&text), None, "{text}");
        }
    }

    #[test]
    fn a_line_of_a_list_is_read_up_to_its_bound() {
        let here = Here::with(&[]);
        std::fs::create_dir(here.path("1.db.files")).unwrap();
        let read = |bytes: u64| {
            let head = format!("{} 7 a/", "0a".repeat(32));
            let text = format!("{head}{}\n", "x".repeat(bytes as usize - head.len() - 1));
            std::fs::write(here.path("1.db.files").join(LIST), &text).unwrap();
            let list_sha256 = hex(&Sha256::digest(&text));
            let files = Files { count: 1, bytes: 7, list_sha256 };
            Lines::open(&here.path("1.db.files"), &files).unwrap().next().unwrap().is_ok()
        };
        assert!(read(LINE_MAX_BYTES) && !read(LINE_MAX_BYTES + 1));
    }

    #[test]
    fn a_feature_that_is_not_there_gets_nothing() {
        let here = Here::with(&[("a", "one")]);
        let files = here.carry("1.db", None).unwrap();
        let (path, database) = (here.path("1.db"), here.path("kept.db"));
        assert!(
            bring_back(&path, &files, &[], &database, false)
                .unwrap_err()
                .1
                .to_string()
                .contains("this inkring has not")
        );
        std::fs::remove_dir_all(here.path("kept")).unwrap();
        let returned = |only_look| bring_back(&path, &files, &here.kept(), &database, only_look).unwrap();
        assert_eq!(returned(true), Returned { count: 1, written: 1, bytes: 3 });
        assert_eq!(returned(false), Returned { count: 1, written: 1, bytes: 3 });
        assert_eq!(returned(false), Returned { count: 1, written: 0, bytes: 0 });
        assert_eq!(std::fs::read(here.path("kept/a")).unwrap(), b"one");
        assert_ne!(here.inode("kept/a"), here.inode("1.db.files/kept/a"), "the backup is its own");
    }
}
