//! Takes the lines of one visitor out of files that nobody writes. Each file is written anew under another name, synced, and put
//! in place of the old one by its new name: killed in between, the old one is there as it was.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use memchr::memmem;
use serde::Deserialize;
use serde_json::{Value, json};

use super::files::{self, LEVEL, sync_names};
use super::json::write_text;
use super::names::{Named, Names};
use super::pieces::{self, Piece};
use crate::store::chown_like;

/// Whose lines go.
#[derive(Debug)]
pub(super) struct Visitor {
    pub(super) id: String,
    /// As JSON has it.
    quoted: String,
}

/// What was erased.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Erased {
    pub(super) lines: u64,
    pub(super) files: u64,
    /// What went wrong, in sentences. What has gone wrong for one file was done for the others.
    pub(super) faults: Vec<String>,
}

impl Erased {
    /// As the private plane has it.
    pub(super) fn to_json(&self) -> Value {
        json!({ "lines": self.lines, "files": self.files, "faults": self.faults })
    }
}

#[derive(Deserialize)]
struct Whose<'l> {
    #[serde(borrow)]
    visitor_id: Cow<'l, str>,
}

impl Visitor {
    /// The one with this id; blanks around it do not count, as they do not when it is stored.
    pub(super) fn new(id: &str) -> Self {
        let (id, mut quoted) = (id.trim().to_owned(), String::new());
        write_text(&id, &mut quoted);
        Self { id, quoted }
    }

    /// Whether a line is theirs. One that cannot be read is, if the id stands in it.
    fn has(&self, piece: &Piece<'_>) -> bool {
        match serde_json::from_slice::<Whose<'_>>(piece.bytes) {
            Ok(whose) => piece.is_line && whose.visitor_id == self.id,
            Err(_) => piece.is_line && memmem::find(piece.bytes, self.quoted.as_bytes()).is_some(),
        }
    }
}

/// How many lines a file has of this visitor; none if there is no such file.
pub(super) fn count(path: &Path, packed: bool, visitor: &Visitor) -> io::Result<u64> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        opened => opened?,
    };
    let (mut pieces, mut count) = (pieces::open(file, packed), 0);
    while let Some(piece) = pieces.next()? {
        count += u64::from(visitor.has(&piece));
    }
    Ok(count)
}

/// Erases a visitor from all files but the one that is written. Whoever calls it has the right to change them.
pub(super) fn from_shards(names: &Names, visitor: &Visitor) -> Erased {
    let mut erased = Erased::default();
    let found = match files::list(names) {
        Ok(found) => found,
        Err(error) => {
            erased.faults.push(format!("the directory cannot be read: {error}"));
            return erased;
        }
    };
    for found in found {
        let Named::Shard(shard) = names.read(&found.name) else { continue };
        let path = names.path(&shard.name);
        let done = count(&path, shard.packed, visitor)
            .and_then(|lines| if lines > 0 { rewrite(names, &path, shard.packed, visitor) } else { Ok(0) });
        match done {
            Ok(0) => {}
            Ok(lines) => {
                erased.lines += lines;
                erased.files += 1;
            }
            Err(error) => erased.faults.push(format!("{}: {error}", shard.name)),
        }
    }
    erased
}

fn rewrite(names: &Names, path: &Path, packed: bool, visitor: &Visitor) -> io::Result<u64> {
    let partial = names.path(&names.scratch());
    let done = rewrite_into(path, &partial, packed, visitor).and_then(|(lines, kept)| {
        if kept > 0 {
            std::fs::rename(&partial, path)?
        } else {
            std::fs::remove_file(path)?
        }
        Ok(lines)
    });
    // Also of a file of which nothing is left.
    let _ = std::fs::remove_file(&partial);
    let lines = done?;
    sync_names(names.directory())?;
    Ok(lines)
}

/// Returns how many lines were left out, and how many bytes were not.
fn rewrite_into(path: &Path, partial: &Path, packed: bool, visitor: &Visitor) -> io::Result<(u64, u64)> {
    let source = File::open(path)?;
    let before = source.metadata()?;
    let target = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(partial)?;
    let mut pieces = pieces::open(source, packed);
    let (target, counts) = if packed {
        let mut encoder = GzEncoder::new(BufWriter::new(target), Compression::new(LEVEL));
        let counts = keep_others(&mut pieces, visitor, &mut encoder)?;
        (encoder.finish()?, counts)
    } else {
        let mut target = BufWriter::new(target);
        let counts = keep_others(&mut pieces, visitor, &mut target)?;
        (target, counts)
    };
    let target = target.into_inner().map_err(io::IntoInnerError::into_error)?;
    let after = std::fs::metadata(path)?;
    if (before.len(), before.modified()?) != (after.len(), after.modified()?) {
        return Err(io::Error::other("it was written to while it was read"));
    }
    let _ = chown_like(&target, path);
    target.set_modified(before.modified()?)?;
    target.sync_all()?;
    Ok(counts)
}

fn keep_others<R: io::Read>(
    pieces: &mut pieces::Pieces<R>,
    visitor: &Visitor,
    target: &mut impl Write,
) -> io::Result<(u64, u64)> {
    let (mut left_out, mut kept) = (0, 0);
    while let Some(piece) = pieces.next()? {
        if visitor.has(&piece) {
            left_out += 1;
        } else {
            target.write_all(piece.bytes)?;
            kept += piece.bytes.len() as u64;
        }
    }
    Ok((left_out, kept))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::MultiGzDecoder;

    use super::*;

    fn line(visitor: &str) -> String {
        format!("{{\"visitor_id\": {visitor}, \"event\": \"x\"}}\n")
    }

    #[test]
    fn the_lines_of_one_visitor_go_and_all_others_stay_byte_for_byte() {
        let directory = tempfile::tempdir().unwrap();
        let names = Names::of(&directory.path().join("metrics.jsonl"));
        let (ours, other) = ("\"v-\\u006fne\"", "\"v-one-more\"");
        let text = [
            line("\"v-one\""),
            line(other),
            line(ours),
            "no line\n".to_owned(),
            "\n".to_owned(),
            "{\"visitor_id\": \"v-one\", \"n\": NaN}\n".to_owned(),
            line("\"v-two\"").replace("\"x\"", "\"v-one\""),
            "torn".to_owned(),
        ];
        let kept = [&text[1], &text[3], &text[4], &text[6], &text[7]].map(String::as_str).concat();
        let text = text.concat();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        std::fs::write(names.path("metrics-2025-10-07.jsonl.gz"), encoder.finish().unwrap()).unwrap();
        std::fs::write(names.path("metrics-2025-10-08.jsonl"), &text).unwrap();
        std::fs::write(names.path("metrics-2025-10-09.jsonl"), line("\"v-one\"")).unwrap();
        std::fs::write(names.path("metrics-2025-10-10.jsonl"), line("\"v-two\"")).unwrap();
        std::fs::write(names.active(), line("\"v-one\"")).unwrap();
        let modified = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_760_000_000);
        let plain = names.path("metrics-2025-10-08.jsonl");
        File::options().append(true).open(&plain).unwrap().set_modified(modified).unwrap();
        let visitor = Visitor::new(" v-one ");
        assert_eq!(count(names.active(), false, &visitor).unwrap(), 1);
        assert_eq!(from_shards(&names, &visitor), Erased { lines: 7, files: 3, faults: Vec::new() });
        assert_eq!(std::fs::read_to_string(&plain).unwrap(), kept);
        assert_eq!(std::fs::metadata(&plain).unwrap().modified().unwrap(), modified);
        let mut unpacked = String::new();
        let packed = File::open(names.path("metrics-2025-10-07.jsonl.gz")).unwrap();
        MultiGzDecoder::new(packed).read_to_string(&mut unpacked).unwrap();
        assert_eq!(unpacked, kept);
        let mut left: Vec<_> = files::list(&names).unwrap().into_iter().map(|found| found.name).collect();
        left.sort_unstable();
        assert_eq!(
            left,
            ["metrics-2025-10-07.jsonl.gz", "metrics-2025-10-08.jsonl", "metrics-2025-10-10.jsonl", "metrics.jsonl"],
            "nothing is left of a file in which there was nobody else"
        );
        assert_eq!(from_shards(&names, &visitor), Erased::default());
    }

    #[test]
    fn a_file_that_cannot_be_read_to_its_end_is_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let names = Names::of(&directory.path().join("metrics.jsonl"));
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        (0..10_000).for_each(|number| encoder.write_all(line(&format!("\"v-{number}\"")).as_bytes()).unwrap());
        let bytes = encoder.finish().unwrap();
        let path = names.path("metrics-2025-10-07.jsonl.gz");
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let erased = from_shards(&names, &Visitor::new("v-1"));
        assert_eq!((erased.lines, erased.faults.len()), (0, 1), "{erased:?}");
        assert_eq!(std::fs::read(&path).unwrap(), &bytes[..bytes.len() / 2]);
        assert_eq!(files::list(&names).unwrap().len(), 1);
    }
}
