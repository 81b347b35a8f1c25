//! How files are called (contract 02 §2.3 and §2.4): the one that is written, `metrics.jsonl`, and those that it leaves behind,
//! `metrics-2025-10-09.jsonl`, `metrics-2025-10-09.1.jsonl` and so on, each with `.gz` behind it once it is compressed.

use std::path::{Path, PathBuf};

use super::time::Day;
use crate::store::{directory_of, with_suffix};

const LINES: &str = ".jsonl";
const PACKED: &str = ".gz";
/// Behind the name of a file that is being made, and was left behind if nobody makes it.
const UNFINISHED: &str = ".gz.tmp";

/// The names around one active file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    active: PathBuf,
    directory: PathBuf,
    /// What shards begin with: `metrics-`.
    prefix: String,
}

/// A file that is not written any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shard {
    /// Its name.
    pub(super) name: String,
    /// The day on which its first line came, if its name says so.
    pub(super) day: Option<Day>,
    /// Which one of that day; 0 for the one without a number.
    pub(super) number: u32,
    /// Whether it is compressed.
    pub(super) packed: bool,
}

/// What a name in the directory stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    Shard(Shard),
    /// What was to become a compressed shard.
    Unfinished,
    /// Nothing of ours.
    Other,
}

impl Names {
    /// Those around this active file.
    pub(super) fn of(active: &Path) -> Self {
        let name = active.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let prefix = format!("{}-", name.strip_suffix(LINES).unwrap_or(&name));
        Self { active: active.to_owned(), directory: directory_of(active).to_owned(), prefix }
    }

    /// The file that is written.
    pub(super) fn active(&self) -> &Path {
        &self.active
    }

    /// What says which process may write it.
    pub(super) fn lock(&self) -> PathBuf {
        with_suffix(&self.active, ".lock")
    }

    /// Whether the file that is written is a link to a shard beside it, as the original has it: what it leads to has its name
    /// already.
    pub(super) fn is_link_to_shard(&self) -> bool {
        let target = std::fs::read_link(&self.active).ok();
        target.as_deref().and_then(Path::to_str).is_some_and(|name| matches!(self.read(name), Named::Shard(_)))
    }

    /// Where all of them are.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The path of a file there.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The name of a shard of this day.
    pub(super) fn shard(&self, day: Day, number: u32) -> String {
        let number = if number > 0 { format!(".{number}") } else { String::new() };
        format!("{}{day}{number}{LINES}", self.prefix)
    }

    /// The first name for a shard of this day that none of these files has, compressed or not.
    pub(super) fn free<'n>(&self, day: Day, taken: impl Iterator<Item = &'n Shard>) -> String {
        let taken: Vec<u32> = taken.filter(|shard| shard.day == Some(day)).map(|shard| shard.number).collect();
        // There are fewer of them than numbers.
        let free = (0..=u32::MAX).find(|number| !taken.contains(number)).unwrap_or(u32::MAX);
        self.shard(day, free)
    }

    /// A file that is being made to take the place of another one. Left behind, it is [`Named::Unfinished`].
    pub(super) fn scratch(&self) -> String {
        format!("{}erase{UNFINISHED}", self.prefix)
    }

    /// A directory in which imported files are made.
    pub(super) fn stage(&self) -> String {
        format!("{}import.tmp", self.prefix)
    }

    /// What a name stands for.
    pub(super) fn read(&self, name: &str) -> Named {
        let Some(rest) = name.strip_prefix(&self.prefix) else { return Named::Other };
        if rest.ends_with(UNFINISHED) {
            return Named::Unfinished;
        }
        let plain = rest.strip_suffix(PACKED);
        let Some(middle) = plain.unwrap_or(rest).strip_suffix(LINES) else { return Named::Other };
        let (day, number) = match (Day::parse(middle), middle.split_once('.')) {
            (Some(day), _) => (Some(day), 0),
            // As we write it: without zeros in front, and never 0.
            (None, Some((day, number))) => match number.parse::<u32>() {
                Ok(parsed) if parsed > 0 && parsed.to_string() == number => (Day::parse(day), parsed),
                _ => (None, 0),
            },
            (None, None) => (None, 0),
        };
        Named::Shard(Shard { name: name.to_owned(), day, number, packed: plain.is_some() })
    }
}

/// The name of a plain shard once it is compressed.
pub(super) fn packed(name: &str) -> String {
    format!("{name}{PACKED}")
}

/// The name of that while it is made.
pub(super) fn unfinished(name: &str) -> String {
    format!("{name}{UNFINISHED}")
}

/// The name that a compressed shard had before.
pub(super) fn plain(name: &str) -> &str {
    name.strip_suffix(PACKED).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_contracts() {
        let names = Names::of(Path::new("./data/metrics.jsonl"));
        let day = Day::parse("2025-10-09").unwrap();
        assert_eq!(names.directory(), Path::new("./data"));
        assert_eq!(names.lock(), Path::new("./data/metrics.jsonl.lock"));
        assert_eq!(names.shard(day, 0), "metrics-2025-10-09.jsonl");
        assert_eq!(packed(&names.shard(day, 12)), "metrics-2025-10-09.12.jsonl.gz");
        assert_eq!(unfinished("metrics-2025-10-09.jsonl"), "metrics-2025-10-09.jsonl.gz.tmp");
        for number in [0, 1, 12] {
            for name in [names.shard(day, number), packed(&names.shard(day, number))] {
                let packed = name.ends_with(".gz");
                let shard = Shard { name: name.clone(), day: Some(day), number, packed };
                assert_eq!(names.read(&name), Named::Shard(shard), "{name}");
                assert_eq!(plain(&name), names.shard(day, number));
            }
        }
        assert_eq!(names.read("metrics-2025-10-09.jsonl.gz.tmp"), Named::Unfinished);
        assert_eq!(names.read(&names.scratch()), Named::Unfinished);
        for other in ["metrics.jsonl", "metrics.jsonl.lock", "metrics-2025-10-09.txt", "inkring.db", "metrics-x", ""] {
            assert_eq!(names.read(other), Named::Other, "{other}");
        }
        for foreign in ["metrics-before.jsonl", "metrics-2025-10-09.01.jsonl", "metrics-2025-02-30.jsonl.gz"] {
            assert!(matches!(names.read(foreign), Named::Shard(Shard { day: None, .. })), "{foreign}");
        }
        let bare = Names::of(Path::new("events"));
        assert_eq!((bare.directory(), bare.shard(day, 0).as_str()), (Path::new("."), "events-2025-10-09.jsonl"));
    }

    #[test]
    fn a_name_is_free_if_neither_form_of_it_is_taken() {
        let names = Names::of(Path::new("metrics.jsonl"));
        let day = Day::parse("2025-10-09").unwrap();
        let shards: Vec<Shard> = [
            "metrics-2025-10-09.jsonl.gz",
            "metrics-2025-10-09.1.jsonl",
            "metrics-2025-10-10.2.jsonl",
            "metrics-2025-10-09.3.jsonl",
        ]
        .into_iter()
        .filter_map(|name| if let Named::Shard(shard) = names.read(name) { Some(shard) } else { None })
        .collect();
        assert_eq!(names.free(day, shards.iter()), "metrics-2025-10-09.2.jsonl");
        assert_eq!(names.free(day, [].iter()), "metrics-2025-10-09.jsonl");
    }
}
