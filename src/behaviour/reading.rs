//! Reads all files of events once, while a server may go on to write, rotate and compress them.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::files;
use super::names::{Named, Names, packed, plain};
use super::pieces::{self, Piece};
use super::report::{Report, Tally, Wanted};
use crate::clock::{DAY, Timestamp};
use crate::text::visible;

/// Faults of files that a report names.
const FAULTS_SHOWN: usize = 20;

/// A report over the files with these names, as far as they may have something of its days.
///
/// # Errors
/// When the directory cannot be read. What is wrong with a file is in the report.
pub(super) fn report(names: &Names, wanted: Wanted) -> io::Result<Report> {
    let mut tally = Tally::new(wanted);
    // What was last written to before the first day has nothing of it. A day more, for clocks that are corrected.
    let since = wanted.from().begins().earlier(DAY);
    let read = each_file(names, since, |piece| match piece {
        Piece { is_line: true, bytes } => tally.line(bytes),
        piece if piece.ends() => tally.too_long(),
        _ => {}
    })?;
    let mut report = tally.done();
    (report.files, report.faults) = (read.files, read.faults);
    Ok(report)
}

/// What was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) files: u64,
    /// What could not be read, in sentences.
    pub(super) faults: Vec<String>,
}

/// Hands on what stands in all files that were written to since then, each once.
pub(super) fn each_file(names: &Names, since: Timestamp, mut each: impl FnMut(Piece<'_>)) -> io::Result<Read> {
    let mut read = Read::default();
    // Opened before the others are listed: it may be one of them by then.
    let active = open_regular(names.active());
    let active_id = active.as_ref().ok().and_then(|file| file.metadata().ok()).map(|found| id(&found));
    let mut found = files::list(names)?;
    found.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    let is_there = |name: &str| found.binary_search_by(|found| found.name.as_str().cmp(name)).is_ok();
    let mut take = |name: &str, opened: io::Result<File>, is_packed: bool| {
        let done = opened.and_then(|file| hand_on(file, is_packed, &mut each));
        match done {
            Ok(()) => read.files += 1,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) if read.faults.len() < FAULTS_SHOWN => read.faults.push(format!("{}: {error}", visible(name))),
            Err(_) => {}
        }
    };
    for found in &found {
        let Named::Shard(shard) = names.read(&found.name) else { continue };
        // Of both forms of a file the plain one counts.
        if found.modified < since || (shard.packed && is_there(plain(&shard.name))) {
            continue;
        }
        let opened = match File::open(names.path(&shard.name)) {
            // It was compressed since it was listed.
            Err(error) if error.kind() == ErrorKind::NotFound && !shard.packed => {
                let name = packed(&shard.name);
                take(&name, File::open(names.path(&name)), true);
                continue;
            }
            opened => opened,
        };
        let is_active = opened.as_ref().ok().and_then(|file| file.metadata().ok()).map(|found| id(&found));
        if is_active.is_none() || is_active != active_id {
            take(&shard.name, opened, shard.packed);
        }
    }
    let name = names.active().file_name().unwrap_or_default().to_string_lossy();
    take(&name, active, false);
    Ok(read)
}

fn hand_on(file: File, is_packed: bool, each: &mut impl FnMut(Piece<'_>)) -> io::Result<()> {
    let mut pieces = pieces::open(file, is_packed);
    while let Some(piece) = pieces.next()? {
        each(piece);
    }
    Ok(())
}

/// A file that is one: of a pipe there would be no end to wait for.
fn open_regular(path: &Path) -> io::Result<File> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    File::open(path)
}

fn id(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gz(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn read(names: &Names) -> (String, Read) {
        let mut text = Vec::new();
        let read = each_file(names, Timestamp(0), |piece| text.extend_from_slice(piece.bytes)).unwrap();
        (String::from_utf8(text).unwrap(), read)
    }

    #[test]
    fn every_file_is_read_once_in_whatever_form() {
        let directory = tempfile::tempdir().unwrap();
        let names = Names::of(&directory.path().join("metrics.jsonl"));
        let put = |name: &str, bytes: &[u8]| std::fs::write(names.path(name), bytes).unwrap();
        assert_eq!(read(&names), (String::new(), Read::default()));
        put("metrics-2025-10-08.jsonl.gz", &gz("8\n"));
        put("metrics-2025-10-09.jsonl", b"9\n");
        put("metrics-2025-10-09.jsonl.gz", &gz("9\n"));
        put("metrics-2025-10-10.jsonl.gz.tmp", b"half");
        put("metrics-of-old.jsonl", b"old\n");
        put("other", b"other\n");
        put("metrics.jsonl", b"active");
        let (text, found) = read(&names);
        assert_eq!((text.as_str(), found), ("8\n9\nold\nactive", Read { files: 4, faults: Vec::new() }));
        // As the original has it, and as it is between two steps of a rotation.
        std::fs::remove_file(names.active()).unwrap();
        std::os::unix::fs::symlink("metrics-2025-10-09.jsonl", names.active()).unwrap();
        assert_eq!(read(&names).0, "8\nold\n9\n");
        // What is damaged is said, and what stands before the damage is read.
        let many: String = (0..100_000).map(|number| format!("{number}\n")).collect();
        let bytes = gz(&many);
        put("metrics-2025-10-07.jsonl.gz", &bytes[..bytes.len() / 2]);
        let (text, found) = read(&names);
        assert!(text.starts_with("0\n1\n2\n") && text.ends_with("8\nold\n9\n"));
        assert!(found.faults.len() == 1 && found.faults[0].starts_with("metrics-2025-10-07.jsonl.gz: "), "{found:?}");
    }

    #[test]
    fn what_was_not_written_to_since_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let names = Names::of(&directory.path().join("metrics.jsonl"));
        std::fs::write(names.path("metrics-2025-10-08.jsonl"), "old\n").unwrap();
        let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_760_000_000);
        File::options().append(true).open(names.path("metrics-2025-10-08.jsonl")).unwrap().set_modified(old).unwrap();
        let since = |seconds: i64| {
            let read = each_file(&names, Timestamp(seconds * 1_000_000), |_| ()).unwrap();
            read.files
        };
        assert_eq!((since(1_759_999_999), since(1_760_000_001)), (1, 0));
    }
}
