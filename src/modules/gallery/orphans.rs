//! Files that no record names, be it in the bin: they go when they are a day old. So a file goes with its last record, once
//! that has gone from the bin, and what a crash has left behind goes as well.

use std::collections::HashSet;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::claims::{is_claimed, unclaimed};
use super::kind::Kind;
use super::shelf::{Found, Hash, Name, Part, Removal, Shelf};
use crate::clock::{DAY, HOUR, Retention, SECOND_MICROS, Timekeeper, Timestamp};
use crate::housekeeper::{Stop, Task};
use crate::store::Reader;

/// Files that are compared with the bin at once.
const BATCH_FILES: usize = 1000;

/// The task that removes them, hour by hour.
pub(super) fn task(shelf: &Arc<Shelf>, timekeeper: &Timekeeper, reader: &Rc<Reader>) -> Task {
    let mut sweep = Sweep::new(shelf, timekeeper, reader);
    Task { name: "gallery", every: EVERY, run: Box::new(move |stop| sweep.run(stop)) }
}

/// Nobody waits for the room that they take.
const EVERY: Duration = HOUR;

struct Sweep {
    shelf: Arc<Shelf>,
    reader: Rc<Reader>,
    retention: Retention,
}

/// A file that may be one, with what is removed of it.
struct Old {
    name: Name,
    /// For what was made of a file.
    beside: Option<PathBuf>,
}

impl Sweep {
    fn new(shelf: &Arc<Shelf>, timekeeper: &Timekeeper, reader: &Rc<Reader>) -> Self {
        let retention = timekeeper.retention("files of the gallery", DAY);
        Self { shelf: Arc::clone(shelf), reader: Rc::clone(reader), retention }
    }

    fn run(&mut self, stop: &Stop) {
        match self.pass(stop) {
            Ok(0) => {}
            Ok(files) => log::info!(files; "gallery.orphans_removed"),
            Err(error) => log::warn!(error = error.to_string(); "gallery.removal_put_off"),
        }
    }

    /// Looks at every file there is, and says how many are gone.
    fn pass(&mut self, stop: &Stop) -> io::Result<usize> {
        let horizon = self.retention.horizon();
        let shelf = Arc::clone(&self.shelf);
        let (mut old, mut removed) = (Vec::new(), 0);
        let mut oldest: Option<Timestamp> = None;
        shelf.walk(&mut |found| {
            if stop.asked() {
                return Ok(());
            }
            let (name, path, beside) = match found {
                Found::Original(name) => (name, shelf.path(&name, Part::Original), None),
                Found::Beside { of, path } => (Name { hash: of, kind: Kind::named("") }, path.clone(), Some(path)),
                Found::Foreign(_) => return Ok(()),
            };
            let Some(written) = written(&path)? else { return Ok(()) };
            if horizon.is_credible(written) && written < horizon.before {
                oldest = Some(oldest.map_or(written, |oldest| oldest.min(written)));
                old.push(Old { name, beside });
            }
            if old.len() < BATCH_FILES {
                return Ok(());
            }
            if !self.retention.allows(&horizon, oldest) {
                old.clear();
                return Ok(());
            }
            removed += self.remove(std::mem::take(&mut old))?;
            Ok::<_, io::Error>(())
        })?;
        if !old.is_empty() && self.retention.allows(&horizon, oldest) {
            removed += self.remove(old)?;
        }
        Ok(removed)
    }

    fn remove(&self, old: Vec<Old>) -> io::Result<usize> {
        let names = old.iter().map(|old| old.name).collect();
        let orphans: HashSet<Hash> =
            unclaimed(&*self.reader, names).map_err(io::Error::other)?.into_iter().map(|name| name.hash).collect();
        let mut removed = 0;
        for Old { name, beside } in old.into_iter().filter(|old| orphans.contains(&old.name.hash)) {
            // Once more, now that no upload of it can begin.
            let wanted = || is_claimed(&*self.reader, &name).map_err(io::Error::other);
            let removal = match &beside {
                None => self.shelf.remove(&name, wanted)?,
                Some(path) => self.shelf.remove_beside(name.hash, path, wanted)?,
            };
            removed += usize::from(removal == Removal::Gone);
        }
        Ok(removed)
    }
}

/// When a file was written; nothing if it has gone since.
fn written(path: &Path) -> io::Result<Option<Timestamp>> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        metadata => Ok(Some(Timestamp(metadata?.mtime().saturating_mul(SECOND_MICROS)))),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::super::MIGRATIONS;
    use super::super::super::records::kinds::Kind as RecordKind;
    use super::super::super::records::record::Key;
    use super::*;
    use crate::clock::Clock;
    use crate::store::testing::House;

    const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

    /// A file of so many days, with or without its original.
    fn file(shelf: &Arc<Shelf>, text: &str, days: u64) -> Name {
        let mut writing = shelf.begin().unwrap();
        writing.write_all(text.as_bytes()).unwrap();
        let mut small = shelf.begin().unwrap();
        small.write_all(b"small").unwrap();
        let held = shelf.keep(writing.end(), Kind::named("text/plain"), vec![(Part::Small, small.end())]).unwrap();
        let written = std::time::UNIX_EPOCH + Duration::from_micros(NOW.0 as u64) - DAY * days as u32;
        for part in [Part::Original, Part::Small] {
            std::fs::File::open(shelf.path(&held.name, part)).unwrap().set_modified(written).unwrap();
        }
        held.name
    }

    #[test]
    fn what_no_record_names_goes_when_it_is_a_day_old() {
        let house = House::at(NOW, MIGRATIONS);
        let directory = tempfile::tempdir().unwrap();
        let shelf = Arc::new(Shelf::open(&directory.path().join("media")).unwrap());
        let there = |name: &Name, part| shelf.path(name, part).exists();
        let [old, new, listed, shown, binned, half] =
            [("old", 2), ("new", 0), ("listed", 9), ("shown", 9), ("binned", 9), ("half", 9)]
                .map(|(text, days)| file(&shelf, text, days));
        std::fs::remove_file(shelf.path(&half, Part::Original)).unwrap();
        let kind = RecordKind::of_module("gallery").unwrap();
        let (first, second, third) =
            (Key::of(kind, 1).unwrap().0, Key::of(kind, 2).unwrap().0, Key::of(kind, 3).unwrap().0);
        house.write(move |tx| {
            for (key, field, name, more) in
                [(first, "url", listed, ""), (second, "thumbnail_url", shown, "?size=small")]
            {
                let value = format!("/media/{name}{more}");
                tx.run(
                    "INSERT INTO record_facts (name, value, key) VALUES (?1, ?2, ?3)",
                    &[field.into(), (&value).into(), key.into()],
                )
                .unwrap();
            }
            let json = format!(r#"{{"url":"/media/{binned}"}}"#);
            tx.run(
                "INSERT INTO record_bin (key, json, created_at, deleted_at) VALUES (?1, ?2, 0, 0)",
                &[third.into(), (&json).into()],
            )
            .unwrap();
        });
        let clock = Clock::manual(NOW);
        let mut sweep = Sweep::new(&shelf, &Timekeeper::new(clock.clone(), || Some(NOW)), &house.reader);
        let (_goes_on, stop) = Stop::channel();
        assert_eq!(sweep.pass(&stop).unwrap(), 0, "nothing is removed by a clock that nobody knows yet");
        clock.advance(2 * crate::clock::HOUR_MICROS);
        assert_eq!(sweep.pass(&stop).unwrap(), 3, "a file with its thumbnail, and what was left of another");
        for (name, stays) in [(old, false), (new, true), (listed, true), (shown, true), (binned, true)] {
            assert_eq!((there(&name, Part::Original), there(&name, Part::Small)), (stays, stays), "{name}");
        }
        assert!(!there(&half, Part::Small));
        house.write(|tx| tx.batch("DELETE FROM record_bin").unwrap());
        assert_eq!(sweep.pass(&stop).unwrap(), 2);
        assert!(!there(&binned, Part::Original) && there(&listed, Part::Original));
        // An upload of the same, whose record is not there yet.
        house.write(|tx| tx.batch("DELETE FROM record_facts").unwrap());
        let mut again = shelf.begin().unwrap();
        again.write_all(b"listed").unwrap();
        let held = shelf.keep(again.end(), Kind::named("text/plain"), Vec::new()).unwrap();
        assert!(!held.is_new);
        assert_eq!(sweep.pass(&stop).unwrap(), 2, "that of the other");
        assert!(there(&listed, Part::Original) && there(&listed, Part::Small));
    }
}
