//! Files of the gallery on the disk, by the hash of what is in them: `ab/abcd….jpg`, with what is made of them beside it. The same
//! picture is there once, however often and under whatever names it is uploaded.
//!
//! A file is written under a name of its own in `incoming/`, synced, and only then renamed to its hash; its copies are there
//! before it, so that whoever finds it finds them as well. A crash at any moment leaves nothing but what is in `incoming/`, which
//! is emptied at the next start, or a file that no record knows, which [`Shelf::walk`] finds.
//!
//! A file goes with its last record, while another upload may just bring the same again. So an upload holds its file
//! ([`Held`]) until its record is written, and who removes one looks for records when nobody holds it and nobody can begin to.

use std::collections::HashMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex};
use sha2::{Digest as _, Sha256};

use super::kind::Kind;
use crate::feature::make_private;
use crate::store::{is_not_offered, sync_directory};
use crate::text::hex;

/// The directory of what is not whole.
const INCOMING: &str = "incoming";
/// What is read at once to compare a file with its name.
const PIECE_BYTES: usize = 64 * 1024;

/// SHA-256 of what is in a file.
pub type Hash = [u8; 32];

/// The name of a file: its hash, and an end that says what it is. Written as `abcd….jpg`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name {
    /// Of what is in it.
    pub hash: Hash,
    /// What it is.
    pub kind: &'static Kind,
}

impl Name {
    /// The name that is written so; none if it is not one of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (hex, extension) = text.split_once('.')?;
        let digit = |digit: u8| (digit as char).to_digit(16).filter(|_| !digit.is_ascii_uppercase());
        let mut hash = [0; 32];
        let digits = hex.as_bytes().as_chunks::<2>();
        if digits.0.len() != hash.len() || !digits.1.is_empty() {
            return None;
        }
        for (byte, [high, low]) in hash.iter_mut().zip(digits.0) {
            *byte = (digit(*high)? << 4 | digit(*low)?) as u8;
        }
        Some(Self { hash, kind: Kind::stored_as(extension)? })
    }

    /// The hash in hexadecimal.
    #[must_use]
    pub fn hex(&self) -> String {
        hex(&self.hash)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.hex(), self.kind.extension)
    }
}

/// What there is of an upload: itself, and what was made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// As it was sent.
    Original,
    /// The same picture without what says where it was taken. Only there if it differs.
    Clean,
    /// A thumbnail, as JPEG.
    Small,
    /// A larger one.
    Large,
}

impl Part {
    /// All of them, the original last: it stands for the rest.
    pub const ALL: [Self; 4] = [Self::Clean, Self::Small, Self::Large, Self::Original];

    fn file_name(self, name: &Name) -> String {
        let (hex, extension) = (name.hex(), name.kind.extension);
        match self {
            Self::Original => format!("{hex}.{extension}"),
            Self::Clean => format!("{hex}.clean.{extension}"),
            Self::Small => format!("{hex}.small.jpg"),
            Self::Large => format!("{hex}.large.jpg"),
        }
    }
}

/// The directory of all files, and what is going on with them. Everything here may block.
#[derive(Debug)]
pub struct Shelf {
    directory: PathBuf,
    /// Numbers of what is written, so that each has a name of its own.
    next: AtomicU64,
    /// Files that are held or being removed. One for each upload and removal under way, which the pool bounds.
    busy: Mutex<HashMap<Hash, Busy>>,
    removed: Condvar,
}

#[derive(Debug, PartialEq, Eq)]
enum Busy {
    /// By so many uploads.
    Held(usize),
    Removing,
}

/// What became of a file that was to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It is gone.
    Gone,
    /// It stays: a record has it.
    Wanted,
    /// It stays: an upload of the same is under way, which removes it if it comes to nothing.
    Held,
}

/// A file that was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// An upload.
    Original(Name),
    /// What belongs to one.
    Beside {
        /// The hash of that.
        of: Hash,
        /// Where it is.
        path: PathBuf,
    },
    /// What is none of ours.
    Foreign(PathBuf),
}

impl Shelf {
    /// The shelf in this directory, which is made if it is not there. What an upload left behind that did not end is removed.
    ///
    /// # Errors
    /// When it cannot be made, or not be emptied of that.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let incoming = directory.join(INCOMING);
        make_private(&incoming)?;
        for entry in std::fs::read_dir(&incoming)? {
            std::fs::remove_file(entry?.path())?;
        }
        sync_names(directory)?;
        Ok(Self::at(directory))
    }

    /// The same for who only looks, while a server may be at work there.
    #[must_use]
    pub fn at(directory: &Path) -> Self {
        let busy = Mutex::new(HashMap::new());
        Self { directory: directory.to_owned(), next: AtomicU64::new(0), busy, removed: Condvar::new() }
    }

    /// Where a part of an upload is, if it is there.
    #[must_use]
    pub fn path(&self, name: &Name, part: Part) -> PathBuf {
        let file_name = part.file_name(name);
        self.directory.join(&file_name[..2]).join(file_name)
    }

    /// Whether an upload of so many bytes is there. One that was cut short by a failing disk is not: the next one replaces it.
    #[must_use]
    pub fn has(&self, name: &Name, bytes: u64) -> bool {
        std::fs::metadata(self.path(name, Part::Original)).is_ok_and(|there| there.len() == bytes)
    }

    /// Begins a file.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn begin(&self) -> io::Result<Writing> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.join(INCOMING).join(number.to_string());
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Writing { file, path: Some(path), hasher: Sha256::new(), bytes: 0 })
    }

    /// Puts an upload in its place, with what was made of it; where it is there already, what was written goes.
    ///
    /// # Errors
    /// When something cannot be synced or renamed. What is in place then has no original, or is whole.
    pub fn keep(
        self: &Arc<Self>,
        original: Whole,
        kind: &'static Kind,
        beside: Vec<(Part, Whole)>,
    ) -> io::Result<Held> {
        let name = Name { hash: original.hash, kind };
        let mut held = self.hold(name);
        let path = self.path(&name, Part::Original);
        let directory = path.parent().unwrap_or(&self.directory);
        if self.has(&name, original.bytes) {
            return Ok(held);
        }
        if !directory.is_dir() {
            make_private(directory)?;
            sync_names(&self.directory)?;
        }
        for (part, whole) in beside {
            whole.rename(&self.path(&name, part))?;
        }
        original.rename(&path)?;
        sync_names(directory)?;
        held.is_new = true;
        Ok(held)
    }

    /// Takes hold of a file, so that nobody removes it.
    fn hold(self: &Arc<Self>, name: Name) -> Held {
        let mut busy = self.busy.lock();
        while busy.get(&name.hash) == Some(&Busy::Removing) {
            self.removed.wait(&mut busy);
        }
        match busy.entry(name.hash).or_insert(Busy::Held(0)) {
            Busy::Held(count) => *count += 1,
            // Never: the end of that was awaited above, under the same lock.
            Busy::Removing => {}
        }
        Held { name, is_new: false, shelf: Arc::clone(self) }
    }

    /// Removes an upload and what was made of it, unless an upload holds it or a record has it. `is_wanted` is asked for that when
    /// no upload of it can begin any more; until it has answered, those wait.
    ///
    /// # Errors
    /// What `is_wanted` fails with, and when something cannot be removed. The original goes first: what is left is found as
    /// [`Found::Beside`], and goes by [`Shelf::remove_beside`].
    pub fn remove<E: From<io::Error>>(
        &self,
        name: &Name,
        is_wanted: impl FnOnce() -> Result<bool, E>,
    ) -> Result<Removal, E> {
        self.unless_held(name.hash, is_wanted, || {
            for part in Part::ALL.into_iter().rev() {
                remove_file(&self.path(name, part))?;
            }
            let path = self.path(name, Part::Original);
            sync_names(path.parent().unwrap_or(&self.directory))
        })
    }

    /// Removes what was made of an upload that is not there any more, in the same way.
    ///
    /// # Errors
    /// As [`Shelf::remove`].
    pub fn remove_beside<E: From<io::Error>>(
        &self,
        of: Hash,
        path: &Path,
        is_wanted: impl FnOnce() -> Result<bool, E>,
    ) -> Result<Removal, E> {
        self.unless_held(of, is_wanted, || remove_file(path))
    }

    fn unless_held<E: From<io::Error>>(
        &self,
        hash: Hash,
        is_wanted: impl FnOnce() -> Result<bool, E>,
        remove: impl FnOnce() -> io::Result<()>,
    ) -> Result<Removal, E> {
        {
            let mut busy = self.busy.lock();
            if busy.contains_key(&hash) {
                return Ok(Removal::Held);
            }
            busy.insert(hash, Busy::Removing);
        }
        let _removing = Removing { shelf: self, hash };
        if is_wanted()? {
            return Ok(Removal::Wanted);
        }
        remove()?;
        Ok(Removal::Gone)
    }

    /// Whether what is in an upload is what its name says; none if it is not there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_whole(&self, name: &Name) -> io::Result<Option<bool>> {
        let mut file = match File::open(self.path(name, Part::Original)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let (mut hasher, mut piece) = (Sha256::new(), vec![0; PIECE_BYTES]);
        loop {
            match file.read(&mut piece) {
                Ok(0) => return Ok(Some(Hash::from(hasher.finalize()) == name.hash)),
                Ok(count) => hasher.update(&piece[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Tells `each` every file that there is, in the order of their paths, but for those that are just coming in.
    ///
    /// # Errors
    /// When a directory cannot be read, and what `each` fails with.
    pub fn walk<E: From<io::Error>>(&self, each: &mut impl FnMut(Found) -> Result<(), E>) -> Result<(), E> {
        for path in sorted(&self.directory)? {
            if path.ends_with(INCOMING) {
                continue;
            }
            if !std::fs::symlink_metadata(&path)?.is_dir() {
                each(Found::Foreign(path))?;
                continue;
            }
            for file in sorted(&path)? {
                each(self.found(file))?;
            }
        }
        Ok(())
    }

    fn found(&self, path: PathBuf) -> Found {
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(name) = name.and_then(Name::parse)
            && self.path(&name, Part::Original) == path
        {
            return Found::Original(name);
        }
        // `abcd….small.jpg` is that of an upload of any kind.
        let parts = name.and_then(|name| Some((name.split_once('.')?, name.rsplit_once('.')?.1)));
        let beside = parts.and_then(|((hex, _), extension)| Name::parse(&format!("{hex}.{extension}")));
        match beside.filter(|name| Part::ALL.iter().any(|part| self.path(name, *part) == path)) {
            Some(name) => Found::Beside { of: name.hash, path },
            None => Found::Foreign(path),
        }
    }
}

/// A removal that is under way.
struct Removing<'a> {
    shelf: &'a Shelf,
    hash: Hash,
}

impl Drop for Removing<'_> {
    fn drop(&mut self) {
        self.shelf.busy.lock().remove(&self.hash);
        self.shelf.removed.notify_all();
    }
}

/// An upload that is in its place. Nobody removes it until this is dropped, which is when its record is written, or will never be.
#[derive(Debug)]
#[must_use = "the file may be removed when this is dropped"]
pub struct Held {
    /// What it is called.
    pub name: Name,
    /// Whether it was not there before.
    pub is_new: bool,
    shelf: Arc<Shelf>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut busy = self.shelf.busy.lock();
        match busy.get_mut(&self.name.hash) {
            Some(Busy::Held(count)) if *count > 1 => *count -= 1,
            _ => {
                busy.remove(&self.name.hash);
            }
        }
    }
}

/// A file that is being written. Dropped before its end, it is removed.
#[derive(Debug)]
pub struct Writing {
    file: File,
    /// Until it is whole.
    path: Option<PathBuf>,
    hasher: Sha256,
    bytes: u64,
}

impl Writing {
    /// How much was written.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// It is whole. Nothing of it is synced yet.
    #[must_use]
    pub fn end(mut self) -> Whole {
        let hash = std::mem::take(&mut self.hasher).finalize().into();
        let file = self.file.try_clone();
        Whole { hash, bytes: self.bytes, file, path: self.path.take().unwrap_or_default() }
    }
}

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // What stays is removed at the next start.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A file that was written to its end. Dropped before it is in its place, it is removed.
#[derive(Debug)]
pub struct Whole {
    /// Of what is in it.
    pub hash: Hash,
    /// How much that is.
    pub bytes: u64,
    file: io::Result<File>,
    path: PathBuf,
}

impl Whole {
    /// The file, to be read.
    ///
    /// # Errors
    /// When there are too many open ones.
    pub fn file(&self) -> io::Result<&File> {
        self.file.as_ref().map_err(|error| error.kind().into())
    }

    fn rename(self, to: &Path) -> io::Result<()> {
        self.file()?.sync_all()?;
        // What is left to remove is nothing then.
        std::fs::rename(&self.path, to)
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        let _ = remove_file(&self.path);
    }
}

/// What is in a directory. There are 256 of them, so that never much is in one.
fn sorted(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = std::fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort_unstable();
    Ok(paths)
}

/// A new name is on disk when its directory is. Some file systems cannot say so, and then nothing can be done about it.
fn sync_names(directory: &Path) -> io::Result<()> {
    match sync_directory(directory) {
        Err(error) if is_not_offered(&error) => Ok(()),
        synced => synced,
    }
}

fn remove_file(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    fn shelf() -> (tempfile::TempDir, Arc<Shelf>) {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Arc::new(Shelf::open(&directory.path().join("media")).unwrap());
        (directory, shelf)
    }

    fn written(shelf: &Shelf, bytes: &[u8]) -> Whole {
        let mut writing = shelf.begin().unwrap();
        bytes.chunks(3).for_each(|piece| writing.write_all(piece).unwrap());
        assert_eq!(writing.bytes(), bytes.len() as u64);
        writing.end()
    }

    fn put(shelf: &Arc<Shelf>, bytes: &[u8]) -> Held {
        let beside = vec![(Part::Small, written(shelf, b"small")), (Part::Clean, written(shelf, b"clean"))];
        shelf.keep(written(shelf, bytes), Kind::named("image/png"), beside).unwrap()
    }

    fn incoming(shelf: &Shelf) -> usize {
        std::fs::read_dir(shelf.directory.join(INCOMING)).unwrap().count()
    }

    fn walked(shelf: &Shelf) -> Vec<Found> {
        let mut found = Vec::new();
        shelf
            .walk(&mut |file| -> io::Result<()> {
                found.push(file);
                Ok(())
            })
            .unwrap();
        found
    }

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.png";

    #[test]
    fn an_upload_is_there_once_by_its_hash() {
        let (_directory, shelf) = shelf();
        let first = put(&shelf, b"abc");
        assert_eq!((first.name.to_string().as_str(), first.is_new), (ABC, true));
        assert_eq!(Name::parse(ABC), Some(first.name));
        let path = shelf.path(&first.name, Part::Original);
        assert!(path.ends_with(format!("ba/{ABC}")));
        assert_eq!(std::fs::read(path).unwrap(), b"abc");
        assert_eq!(std::fs::read(shelf.path(&first.name, Part::Clean)).unwrap(), b"clean");
        let second = put(&shelf, b"abc");
        assert_eq!((second.name, second.is_new), (first.name, false));
        assert_eq!(incoming(&shelf), 0);
        assert_eq!(shelf.is_whole(&first.name).unwrap(), Some(true));
        let mut found = walked(&shelf);
        found.sort_by_key(|file| matches!(file, Found::Beside { .. }));
        assert_eq!(found[0], Found::Original(first.name));
        let is_beside =
            |file: &Found| matches!(file, Found::Beside { of, path } if *of == first.name.hash && path.exists());
        assert!(found.len() == 3 && found[1..].iter().all(is_beside), "{found:?}");
    }

    #[test]
    fn what_is_not_whole_is_not_there() {
        let (directory, shelf) = shelf();
        let mut writing = shelf.begin().unwrap();
        writing.write_all(b"half").unwrap();
        assert_eq!(incoming(&shelf), 1);
        drop(writing);
        drop(written(&shelf, b"whole, and nobody wants it"));
        assert_eq!(incoming(&shelf), 0);
        // A crash removes nothing; the next start does.
        shelf.begin().unwrap().path = None;
        assert_eq!(incoming(&shelf), 1);
        let again = Shelf::open(&directory.path().join("media")).unwrap();
        assert_eq!(incoming(&again), 0);
        assert_eq!(walked(&again), []);
    }

    #[test]
    fn a_disk_that_fails_leaves_nothing_half_there() {
        let (_directory, shelf) = shelf();
        // The place of the second copy is taken by a directory, so it cannot be put there.
        let name = Name::parse(ABC).unwrap();
        std::fs::create_dir_all(shelf.path(&name, Part::Clean)).unwrap();
        let beside = vec![(Part::Small, written(&shelf, b"small")), (Part::Clean, written(&shelf, b"clean"))];
        let original = written(&shelf, b"abc");
        assert!(shelf.keep(original, Kind::named("image/png"), beside).is_err());
        assert_eq!(shelf.is_whole(&name).unwrap(), None);
        assert_eq!(incoming(&shelf), 0);
        assert!(shelf.busy.lock().is_empty());
        // A full disk, as far as a file can be one.
        let full = OpenOptions::new().read(true).write(true).open("/dev/full").unwrap();
        let mut writing = Writing { file: full, path: None, hasher: Sha256::new(), bytes: 0 };
        assert_eq!(writing.write_all(b"x").unwrap_err().kind(), ErrorKind::StorageFull);
    }

    #[test]
    fn a_file_goes_when_nobody_wants_it() {
        let (_directory, shelf) = shelf();
        let held = put(&shelf, b"abc");
        let name = held.name;
        let remove = |is_wanted| shelf.remove(&name, || Ok::<_, io::Error>(is_wanted)).unwrap();
        assert_eq!(remove(false), Removal::Held);
        let again = put(&shelf, b"abc");
        drop(held);
        assert_eq!(remove(false), Removal::Held);
        drop(again);
        assert_eq!(remove(true), Removal::Wanted);
        assert!(shelf.remove(&name, || Err(io::Error::other("no records"))).is_err());
        assert_eq!(shelf.is_whole(&name).unwrap(), Some(true));
        assert_eq!(remove(false), Removal::Gone);
        assert_eq!(walked(&shelf), []);
        assert_eq!(remove(false), Removal::Gone);
        assert!(put(&shelf, b"abc").is_new);
    }

    #[test]
    fn an_upload_waits_for_the_removal_of_the_same() {
        let (_directory, shelf) = shelf();
        let name = put(&shelf, b"abc").name;
        let (begun, has_begun) = channel();
        let removal = shelf.remove(&name, || {
            let shelf = Arc::clone(&shelf);
            let upload = std::thread::spawn(move || {
                let original = written(&shelf, b"abc");
                begun.send(()).unwrap();
                shelf.keep(original, Kind::named("image/png"), Vec::new()).unwrap().is_new
            });
            has_begun.recv().unwrap();
            Ok::<_, io::Error>(upload.is_finished())
        });
        assert_eq!(removal.unwrap(), Removal::Gone);
        // It comes after that, and is there.
        let held = shelf.hold(name);
        drop(held);
        let _ = shelf.keep(written(&shelf, b"abc"), name.kind, Vec::new()).unwrap();
        assert_eq!(shelf.is_whole(&name).unwrap(), Some(true));
    }

    #[test]
    fn damage_and_strangers_are_found() {
        let (_directory, shelf) = shelf();
        let name = put(&shelf, b"abc").name;
        std::fs::write(shelf.path(&name, Part::Original), b"ab").unwrap();
        assert_eq!(shelf.is_whole(&name).unwrap(), Some(false));
        // Sent again, it is whole again.
        assert!(put(&shelf, b"abc").is_new);
        assert_eq!(shelf.is_whole(&name).unwrap(), Some(true));
        let strangers = ["x.txt", "ba/x.png", &format!("zz/{ABC}"), &format!("ba/{}.exe", &ABC[..64])];
        std::fs::create_dir(shelf.directory.join("zz")).unwrap();
        for stranger in strangers {
            std::fs::write(shelf.directory.join(stranger), b"").unwrap();
        }
        let found = walked(&shelf);
        for stranger in strangers {
            assert!(found.contains(&Found::Foreign(shelf.directory.join(stranger))), "{stranger}");
        }
        assert_eq!(found.len(), strangers.len() + 3);
    }

    #[test]
    fn names_that_are_none_are_refused() {
        let hex = &ABC[..64];
        for text in [
            "",
            ".png",
            "ab.png",
            &ABC[1..],
            &format!("{hex}0.png"),
            &format!("{hex}.exe"),
            &ABC.to_uppercase(),
            "../../x.png",
            &format!("{hex}.small.jpg"),
            &format!("{}g.png", &hex[1..]),
        ] {
            assert_eq!(Name::parse(text), None, "{text}");
        }
    }
}
