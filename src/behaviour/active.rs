//! The file that is written, where others may put their hands on it at any time: it is looked at before each write, and each
//! write goes to its end, so nothing is written into a hole, and to no file that has another name by now.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use rustix::fs::{Access, OFlags, access};
use rustix::io::Errno;

use super::files::{self, Ownership, sync_names};
use super::line::{BEGINNING, LINE_MAX_BYTES, Line};
use super::names::{Named, Names};
use super::plan::is_due;
use super::time::Day;
use crate::clock::{SECOND_MICROS, Timestamp};
use crate::feature::make_private;

/// Files of one day that are tried for a name, when others give names as well.
const NAMES_TRIED_MAX: usize = 100;

/// How the file was found otherwise than it was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disturbance {
    /// There is none any more; what was written lies under another name, or nowhere.
    Gone,
    /// Another one lies in its place.
    Replaced,
    /// It has become shorter.
    Shorter,
    /// Somebody has written to it.
    Longer,
    /// Its last line was not whole, and this much of it was cut off.
    Torn { bytes: u64 },
}

/// The active file.
pub(super) struct Active {
    names: Names,
    ownership: Arc<Ownership>,
    open: Option<Open>,
    disturbed: Vec<Disturbance>,
}

struct Open {
    file: File,
    id: (u64, u64),
    /// How long it was after our last look.
    bytes: u64,
    /// The day on which its first line came, if it has one.
    first_line: Option<Day>,
    /// Whether something was written since the last sync.
    dirty: bool,
}

impl Active {
    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.names.active()
    }

    /// One that is opened when it is needed.
    pub(super) fn new(names: Names, ownership: Arc<Ownership>) -> Self {
        Self { names, ownership, open: None, disturbed: Vec::new() }
    }

    /// Its size; none if it is not open.
    pub(super) fn bytes(&self) -> Option<u64> {
        self.open.as_ref().map(|open| open.bytes)
    }

    /// Whether something was written since the last sync.
    pub(super) fn is_dirty(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.dirty)
    }

    /// How it was found otherwise than it was left, since somebody last asked.
    pub(super) fn disturbed(&mut self) -> Vec<Disturbance> {
        std::mem::take(&mut self.disturbed)
    }

    /// Appends whole lines, all of them or none. The first of a file came `now`.
    pub(super) fn append(&mut self, lines: &[u8], now: Timestamp) -> io::Result<()> {
        // Once more if somebody removes it in between.
        for _ in 0..2 {
            let open = self.opened()?;
            open.write(lines, now)?;
            let after = open.file.metadata()?;
            open.bytes = after.len();
            if after.nlink() > 0 {
                return Ok(());
            }
            self.disturbed.push(Disturbance::Gone);
            self.open = None;
        }
        Err(io::Error::other("it was removed right after it was created"))
    }

    /// Whether events could be written, as far as can be told without writing any. Makes the directory, and no file.
    pub(super) fn probe(&mut self) -> io::Result<()> {
        make_private(self.names.directory())?;
        if self.find()?.is_some() {
            return self.opened().map(drop);
        }
        Ok(access(self.names.directory(), Access::WRITE_OK | Access::EXEC_OK)?)
    }

    /// Whether it may have to be moved aside on that day, by what is known of it: without a look, for each write looks anyway.
    pub(super) fn may_be_due(&self, now: Timestamp, max_bytes: Option<u64>) -> bool {
        let is_due = |open: &Open| is_due(open.first_line, open.bytes, Day::of(now), max_bytes);
        self.open.as_ref().is_none_or(is_due)
    }

    /// Moves it aside if it is due on that day, and says under which name.
    pub(super) fn rotate_if_due(&mut self, now: Timestamp, max_bytes: Option<u64>) -> io::Result<Option<String>> {
        if self.find()?.is_none() {
            return Ok(None);
        }
        let Open { bytes, first_line, .. } = *self.opened()?;
        match first_line.filter(|_| is_due(first_line, bytes, Day::of(now), max_bytes)) {
            Some(day) => self.rotate(day).map(Some),
            None => Ok(None),
        }
    }

    /// Everything is on the disk before it has its new name.
    fn rotate(&mut self, day: Day) -> io::Result<String> {
        self.opened()?.sync()?;
        let mut taken = files::shards(&self.names)?;
        for _ in 0..NAMES_TRIED_MAX {
            let name = self.names.free(day, taken.iter());
            match files::rename(self.names.active(), &self.names.path(&name)) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    let Named::Shard(other) = self.names.read(&name) else { return Err(error) };
                    taken.push(other);
                }
                renamed => {
                    renamed?;
                    self.open = None;
                    sync_names(self.names.directory())?;
                    return Ok(name);
                }
            }
        }
        Err(ErrorKind::AlreadyExists.into())
    }

    /// Brings to the disk what was written.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.open.as_mut().map_or(Ok(()), Open::sync)
    }

    /// Forgets what it knew of the file, which is looked at anew when it is next needed.
    pub(super) fn forget(&mut self) {
        self.open = None;
    }

    /// What lies at its place, be it ours or not.
    fn find(&mut self) -> io::Result<Option<Metadata>> {
        match std::fs::symlink_metadata(self.names.active()) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if self.open.is_some() {
                    self.leave(Disturbance::Gone)?;
                }
                Ok(None)
            }
            Err(error) => {
                self.open = None;
                Err(error)
            }
        }
    }

    /// Lets go of a file that is not in its place any more. What was written to it stays, wherever it is.
    fn leave(&mut self, why: Disturbance) -> io::Result<()> {
        self.disturbed.push(why);
        self.open.take().map_or(Ok(()), |mut open| open.sync())
    }

    /// The file that lies at its place now, made if there is none, with a whole last line.
    fn opened(&mut self) -> io::Result<&mut Open> {
        let found = self.find()?;
        let (known, here) = (self.open.as_ref().map(|open| open.id), found.as_ref().map(id));
        if known.is_some() && known != here {
            self.leave(Disturbance::Replaced)?;
        }
        match &mut self.open {
            Some(open) => {
                let bytes = found.map_or(0, |found| found.len());
                if bytes != open.bytes {
                    self.disturbed.push(if bytes < open.bytes { Disturbance::Shorter } else { Disturbance::Longer });
                    open.look(bytes, &mut self.disturbed)?;
                }
            }
            None => {
                let mut open = self.open_found(found.as_ref())?;
                open.look(open.bytes, &mut self.disturbed)?;
                self.open = Some(open);
            }
        }
        self.open.as_mut().ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn open_found(&self, found: Option<&Metadata>) -> io::Result<Open> {
        make_private(self.names.directory())?;
        self.ownership.take()?;
        let path = self.names.active();
        match found.map(Metadata::file_type) {
            Some(kind) if kind.is_symlink() => {
                if !self.names.is_link_to_shard() {
                    return Err(io::Error::other("it is a symbolic link; use the file itself"));
                }
                std::fs::remove_file(path)?;
            }
            Some(kind) if kind.is_dir() => return Err(Errno::ISDIR.into()),
            Some(kind) if !kind.is_file() => return Err(io::Error::other("it is not a regular file")),
            _ => {}
        }
        // Of a pipe that was put here meanwhile there would be no end to wait for.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
        let mut options = OpenOptions::new();
        options.append(true).read(true).create(true).mode(0o600).custom_flags(flags);
        let file = options.open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        sync_names(self.names.directory())?;
        Ok(Open { id: id(&metadata), bytes: metadata.len(), file, first_line: None, dirty: false })
    }
}

fn id(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl Open {
    /// Writes at the end, wherever that is. What was written of lines that find no room is cut off again.
    fn write(&mut self, lines: &[u8], now: Timestamp) -> io::Result<()> {
        self.dirty = true;
        let mut written = 0;
        while written < lines.len() {
            match self.file.write(&lines[written..]) {
                Ok(0) => return Err(self.undo(written, ErrorKind::WriteZero.into())),
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.undo(written, error)),
            }
        }
        self.first_line.get_or_insert(Day::of(now));
        Ok(())
    }

    /// What cannot be cut off now is found torn by the next look, because the length is not what it was.
    fn undo(&mut self, written: usize, error: io::Error) -> io::Error {
        let ours = self.bytes + written as u64;
        if written > 0 && self.file.metadata().is_ok_and(|metadata| metadata.len() == ours) {
            let _ = self.file.set_len(self.bytes);
        }
        error
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.dirty {
            self.file.sync_data()?;
            self.dirty = false;
        }
        Ok(())
    }

    /// Looks at a file of which nothing is known but that it has so many bytes now.
    fn look(&mut self, bytes: u64, disturbed: &mut Vec<Disturbance>) -> io::Result<()> {
        self.bytes = bytes;
        self.mend(disturbed)?;
        self.first_line = if self.bytes > 0 { Some(self.day_of_first_line()?) } else { None };
        Ok(())
    }

    /// Has the last line end. One that is not whole is cut off if it is one of ours; whatever else stands there is left alone.
    fn mend(&mut self, disturbed: &mut Vec<Disturbance>) -> io::Result<()> {
        let tail = self.read(self.bytes.saturating_sub(LINE_MAX_BYTES as u64), LINE_MAX_BYTES)?;
        if tail.is_empty() || tail.ends_with(b"\n") {
            return Ok(());
        }
        let line = tail.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        let is_ours = line.starts_with(BEGINNING.as_bytes()) || BEGINNING.as_bytes().starts_with(line);
        if is_ours && Line::parse(line).is_none() {
            self.bytes -= line.len() as u64;
            self.file.set_len(self.bytes)?;
            disturbed.push(Disturbance::Torn { bytes: line.len() as u64 });
        } else {
            self.file.write_all(b"\n")?;
            self.bytes += 1;
        }
        self.dirty = true;
        Ok(())
    }

    /// As the line says. One of the original does not, and then it is the day on which the file was last written.
    fn day_of_first_line(&self) -> io::Result<Day> {
        let head = self.read(0, LINE_MAX_BYTES)?;
        let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
        if let Some(at) = Line::parse(line).and_then(|line| line.received_at()) {
            return Ok(Day::of(at));
        }
        let since = self.file.metadata()?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Day::of(Timestamp(i64::try_from(since.as_secs()).unwrap_or_default().saturating_mul(SECOND_MICROS))))
    }

    /// So many bytes from here on, as far as there are.
    fn read(&self, from: u64, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        let mut filled = 0;
        while filled < count {
            match self.file.read_at(&mut bytes[filled..], from + filled as u64)? {
                0 => break,
                more => filled += more,
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::clock::DAY;

    const NOW: Timestamp = Timestamp(1_760_013_297_000_000);

    struct House {
        directory: tempfile::TempDir,
        active: Active,
    }

    fn house() -> House {
        let directory = tempfile::tempdir().unwrap();
        let active = fresh(&directory);
        House { directory, active }
    }

    fn fresh(directory: &tempfile::TempDir) -> Active {
        let names = Names::of(&directory.path().join("metrics.jsonl"));
        Active::new(names.clone(), Arc::new(Ownership::of(names)))
    }

    /// A line that came then.
    fn line(number: usize, at: Timestamp) -> String {
        let at = super::super::time::utc(at);
        format!(
            "{{\"visitor_id\": \"v-{number:06}\", \"event\": \"x\", \"timestamp\": \"{at}\", \"metadata\": {{}}, \
             \"user_agent\": null, \"received_at\": \"{at}\"}}\n"
        )
    }

    impl House {
        fn path(&self, name: &str) -> PathBuf {
            self.directory.path().join(name)
        }

        fn append(&mut self, number: usize) -> io::Result<()> {
            self.active.append(line(number, NOW).as_bytes(), NOW)
        }

        /// The numbers of the lines in a file.
        fn numbers(&self, name: &str) -> Vec<usize> {
            let text = std::fs::read_to_string(self.path(name)).unwrap();
            assert!(text.is_empty() || text.ends_with('\n'), "{text}");
            text.lines().map(|line| line[18..24].parse().unwrap()).collect()
        }

        fn disturbed(&mut self) -> Vec<Disturbance> {
            self.active.disturbed()
        }
    }

    #[test]
    fn other_hands_are_noticed_and_nothing_is_written_where_nobody_looks() {
        let mut house = house();
        house.append(1).unwrap();
        assert!(house.disturbed().is_empty());
        std::fs::rename(house.path("metrics.jsonl"), house.path("moved")).unwrap();
        house.append(2).unwrap();
        assert_eq!((house.numbers("moved"), house.numbers("metrics.jsonl")), (vec![1], vec![2]));
        std::fs::remove_file(house.path("metrics.jsonl")).unwrap();
        house.append(3).unwrap();
        assert_eq!(house.disturbed(), [Disturbance::Gone; 2]);
        std::fs::write(house.path("other"), line(4, NOW)).unwrap();
        std::fs::rename(house.path("other"), house.path("metrics.jsonl")).unwrap();
        house.append(5).unwrap();
        assert_eq!((house.numbers("metrics.jsonl"), house.disturbed()), (vec![4, 5], vec![Disturbance::Replaced]));
        // Copied and truncated, as log rotators do.
        File::options().write(true).open(house.path("metrics.jsonl")).unwrap().set_len(0).unwrap();
        house.append(6).unwrap();
        assert_eq!((house.numbers("metrics.jsonl"), house.disturbed()), (vec![6], vec![Disturbance::Shorter]));
        let length = std::fs::metadata(house.path("metrics.jsonl")).unwrap().len();
        File::options().write(true).open(house.path("metrics.jsonl")).unwrap().set_len(length - 10).unwrap();
        house.append(7).unwrap();
        let torn = Disturbance::Torn { bytes: length - 10 };
        assert_eq!((house.numbers("metrics.jsonl"), house.disturbed()), (vec![7], vec![Disturbance::Shorter, torn]));
        let mut other = File::options().append(true).open(house.path("metrics.jsonl")).unwrap();
        other.write_all(line(8, NOW).as_bytes()).unwrap();
        house.append(9).unwrap();
        assert_eq!((house.numbers("metrics.jsonl"), house.disturbed()), (vec![7, 8, 9], vec![Disturbance::Longer]));
        assert_eq!(house.active.bytes(), Some(std::fs::metadata(house.path("metrics.jsonl")).unwrap().len()));
    }

    #[test]
    fn a_torn_line_of_ours_is_cut_and_nothing_else_is() {
        let whole = line(1, NOW);
        for (left, kept) in [
            (format!("{whole}{}", &whole[..40]), whole.clone()),
            (format!("{whole}{{\"visi"), whole.clone()),
            (whole[..50].to_owned(), String::new()),
            // A whole one without its end, and a text of somebody's.
            (format!("{whole}{}", whole.trim_end()), format!("{whole}{whole}")),
            ("root:x:0:0".to_owned(), "root:x:0:0\n".to_owned()),
            (format!("{whole}{{\"other\": 1"), format!("{whole}{{\"other\": 1\n")),
            ("x".repeat(LINE_MAX_BYTES + 5), "x".repeat(LINE_MAX_BYTES + 5) + "\n"),
        ] {
            let mut house = house();
            std::fs::write(house.path("metrics.jsonl"), &left).unwrap();
            house.append(7).unwrap();
            let found = std::fs::read_to_string(house.path("metrics.jsonl")).unwrap();
            assert!(found == format!("{kept}{}", line(7, NOW)), "{left:.80}: {found:.300}");
            assert_eq!(house.disturbed().len(), usize::from(kept.len() < left.len()), "{left:.80}");
        }
    }

    #[test]
    fn what_is_no_file_is_an_error_until_it_is_one_again() {
        let mut house = house();
        house.append(1).unwrap();
        let path = house.path("metrics.jsonl");
        std::fs::rename(&path, house.path("moved")).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert_eq!(house.append(2).unwrap_err().to_string(), "Is a directory (os error 21)");
        assert!(house.active.probe().is_err());
        std::fs::remove_dir(&path).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", &path).unwrap();
        assert!(house.append(3).unwrap_err().to_string().contains("symbolic link"));
        std::fs::remove_file(&path).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(
            house.append(4).unwrap_err().to_string().contains("not a regular file"),
            "and nobody waits for a reader"
        );
        std::fs::remove_file(&path).unwrap();
        house.active.probe().unwrap();
        assert!(!path.exists(), "a probe makes none");
        house.append(5).unwrap();
        assert_eq!((house.numbers("moved"), house.numbers("metrics.jsonl")), (vec![1], vec![5]));
    }

    #[test]
    fn the_originals_link_gives_way_to_a_file() {
        let mut house = house();
        std::fs::write(house.path("metrics-2025-10-01.jsonl"), line(1, NOW)).unwrap();
        std::os::unix::fs::symlink("metrics-2025-10-01.jsonl", house.path("metrics.jsonl")).unwrap();
        house.append(2).unwrap();
        assert_eq!((house.numbers("metrics-2025-10-01.jsonl"), house.numbers("metrics.jsonl")), (vec![1], vec![2]));
    }

    #[test]
    fn it_is_moved_aside_under_the_day_of_its_first_line_and_over_nothing() {
        let mut house = house();
        assert_eq!(house.active.rotate_if_due(NOW, Some(0)).unwrap(), None, "there is none");
        house.append(1).unwrap();
        house.active.append(line(2, NOW.later(DAY)).as_bytes(), NOW.later(DAY)).unwrap();
        assert_eq!(house.active.rotate_if_due(NOW, None).unwrap(), None);
        std::fs::write(house.path("metrics-2025-10-09.jsonl.gz"), "").unwrap();
        std::fs::write(house.path("metrics-2025-10-09.2.jsonl"), "").unwrap();
        // Also by a process that has not written it.
        drop(std::mem::replace(&mut house.active, fresh(&house.directory)));
        let name = "metrics-2025-10-09.1.jsonl";
        assert_eq!(house.active.rotate_if_due(NOW.later(DAY), None).unwrap().as_deref(), Some(name));
        assert_eq!(house.numbers(name), [1, 2]);
        assert!(!house.path("metrics.jsonl").exists());
        house.append(3).unwrap();
        house.active.probe().unwrap();
        assert_eq!(house.active.rotate_if_due(NOW, Some(0)).unwrap().as_deref(), Some("metrics-2025-10-09.3.jsonl"));
        house.active.opened().unwrap();
        assert_eq!(house.active.rotate_if_due(NOW, Some(0)).unwrap(), None, "no empty ones are made");
        assert!(house.disturbed().is_empty());
    }
}
