//! What is known of a backup: a small file of JSON beside it.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::clock::Timestamp;
use crate::store;

/// No manifest is longer; of what should be one no more is read.
pub(super) const MANIFEST_MAX_BYTES: u64 = 65_536;

/// A backup as it was when it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// The name of the file.
    pub name: String,
    /// When it was begun. What was acknowledged before is in it.
    pub created_at: Moment,
    /// The version of the inkring that made it.
    pub inkring: String,
    /// The version of the database in it.
    pub schema_version: i32,
    /// How long the file is.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
    /// How many rows each table has.
    pub rows: BTreeMap<String, u64>,
    /// When the newest change in it was made, if there is any.
    pub newest_change: Option<Moment>,
    /// The files that go with it, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Files>,
}

/// What a manifest says of the files of its backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Files {
    /// How many there are.
    pub count: u64,
    /// What is in all of them together.
    pub bytes: u64,
    /// The SHA-256 of the list of them, in hexadecimal digits.
    pub list_sha256: String,
}

/// A time as it is written in a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(pub Timestamp);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.offset_style().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let at: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        Ok(Self(Timestamp(at.as_microsecond())))
    }
}

impl Manifest {
    /// One line of JSON.
    #[must_use]
    pub(super) fn to_line(&self) -> String {
        // Strings and numbers have nothing in them that could not be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads one out of JSON, of which the name is held to be one of ours: it will become the name of a file.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let manifest: Self = serde_json::from_str(text).map_err(|error| format!("the manifest is invalid: {error}"))?;
        if is_name(&manifest.name) {
            Ok(manifest)
        } else {
            Err("the manifest names a file that is not a backup".to_owned())
        }
    }

    /// Whether the backup there is as long as this says, and its files are with it.
    #[must_use]
    pub(super) fn describes(&self, backup: &Path) -> bool {
        std::fs::metadata(backup).is_ok_and(|found| found.len() == self.bytes)
            && (self.files.is_none() || files_beside(backup).join(LIST).is_file())
    }

    /// The one beside a backup, if there is one.
    ///
    /// # Errors
    /// When it cannot be read or is none.
    pub(super) fn beside(backup: &Path) -> Result<Option<Self>, String> {
        let path = path_beside(backup);
        let mut text = String::new();
        match std::fs::File::open(&path).and_then(|file| file.take(MANIFEST_MAX_BYTES).read_to_string(&mut text)) {
            Ok(_) => Self::parse(&text).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("the manifest {} cannot be read: {error}", path.display())),
        }
    }
}

/// Where the manifest of a backup lies.
pub(super) fn path_beside(backup: &Path) -> PathBuf {
    let mut name = backup.as_os_str().to_owned();
    name.push(".json");
    name.into()
}

/// The list of the files of a backup, in their directory. No feature's name is one with a point in it.
pub(super) const LIST: &str = "list.txt";

/// Where the files of a backup lie, or of what becomes one.
pub(super) fn files_beside(backup: &Path) -> PathBuf {
    store::with_suffix(backup, ".files")
}

/// Removes the files of a backup, if there are any.
pub(super) fn remove_files(backup: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(files_beside(backup)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// What a backup begun at this time is called; the second one of a second has a number.
pub(super) fn name(at: Timestamp, number: u32) -> String {
    let stamp = at.compact();
    if number < 2 { format!("inkring-{stamp}.db") } else { format!("inkring-{stamp}-{number}.db") }
}

/// Whether something is called like a backup of ours.
pub(super) fn is_name(name: &str) -> bool {
    let stamp = name.strip_prefix("inkring-").and_then(|name| name.strip_suffix(".db"));
    stamp.is_some_and(|stamp| {
        let letters = |stamp: &str| stamp.bytes().all(|one| one.is_ascii_digit() || matches!(one, b'T' | b'Z' | b'-'));
        (16..=19).contains(&stamp.len()) && letters(stamp)
    })
}

/// The names of backups in a directory, by their manifests, the newest first. The backups themselves need not be there.
///
/// # Errors
/// When the directory cannot be read.
pub(super) fn names(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?.file_name();
        let name = entry.to_str().and_then(|name| name.strip_suffix(".json")).filter(|name| is_name(name));
        names.extend(name.map(str::to_owned));
    }
    names.sort_unstable_by(|one, other| other.cmp(one));
    Ok(names)
}

/// The newest backup that is there, by its manifest, and whole. One that is dated in the future was made by a clock that
/// was wrong, nobody knows how old it is: it is the newest only where there is no other.
pub(super) fn newest(directory: &Path, now: Timestamp) -> io::Result<Option<(PathBuf, Manifest)>> {
    let whole = |name: String| {
        let path = directory.join(&name);
        let manifest = Manifest::beside(&path).ok().flatten()?;
        manifest.describes(&path).then_some((path, manifest))
    };
    let mut of_the_future = None;
    for (path, manifest) in names(directory)?.into_iter().filter_map(whole) {
        if manifest.created_at.0.age(now).is_some() {
            return Ok(Some((path, manifest)));
        }
        of_the_future.get_or_insert((path, manifest));
    }
    Ok(of_the_future)
}

/// The newest of these backups that has files, and what its manifest says of them.
pub(super) fn newest_with_files(directory: &Path) -> Option<(PathBuf, Files)> {
    names(directory).ok()?.into_iter().find_map(|name| {
        let path = directory.join(name);
        let manifest = Manifest::beside(&path).ok().flatten().filter(|manifest| manifest.describes(&path))?;
        Some((path, manifest.files?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_one_line_and_reads_back() {
        let at = Moment(Timestamp(1_766_484_000_123_456));
        let manifest = Manifest {
            name: name(at.0, 1),
            created_at: at,
            inkring: "0.1.0".to_owned(),
            schema_version: 2,
            bytes: 4096,
            sha256: "00".repeat(32),
            rows: BTreeMap::from([("drafts".to_owned(), 3)]),
            newest_change: None,
            files: None,
        };
        let line = manifest.to_line();
        let expected = format!(
            "{{\"name\":\"inkring-20251223T100000Z.db\",\"created_at\":\"2025-12-23T10:00:00.123456+00:00\",\
             \"inkring\":\"0.1.0\",\"schema_version\":2,\"bytes\":4096,\"sha256\":\"{}\",\"rows\":{{\"drafts\":3}},\
             \"newest_change\":null}}",
            "00".repeat(32)
        );
        assert_eq!(line, expected);
        assert_eq!(Manifest::parse(&line), Ok(manifest));
        let elsewhere = line.replace("inkring-20251223T100000Z.db", "../../etc/passwd");
        assert!(Manifest::parse(&elsewhere).unwrap_err().contains("not a backup"));
        assert!(Manifest::parse("{}").is_err());
    }

    #[test]
    fn a_manifest_is_read_up_to_its_bound() {
        let directory = tempfile::tempdir().unwrap();
        let backup = directory.path().join("a.db");
        let line = format!(
            "{{\"name\":\"inkring-20251223T100000Z.db\",\"created_at\":\"2025-12-23T10:00:00+00:00\",\"inkring\":\"0.1.0\",\
             \"schema_version\":2,\"bytes\":1,\"sha256\":\"{}\",\"rows\":{{}},\"newest_change\":null}}",
            "00".repeat(32)
        );
        let read = |bytes: u64| {
            let blanks = " ".repeat(bytes as usize - line.len());
            std::fs::write(path_beside(&backup), format!("{blanks}{line}")).unwrap();
            Manifest::beside(&backup)
        };
        assert!(matches!(read(MANIFEST_MAX_BYTES), Ok(Some(_))));
        assert!(read(MANIFEST_MAX_BYTES + 1).is_err());
    }

    #[test]
    fn names_are_told_from_others_and_sort_by_time() {
        for number in [1, 2, 99] {
            assert!(is_name(&name(Timestamp(0), number)), "{number}");
        }
        for other in ["inkring.db", "inkring-20251223T100000Z.db.json", "inkring-/../20251223T10000.db", "x.db", ""] {
            assert!(!is_name(other), "{other}");
        }
        assert!(name(Timestamp(0), 1) < name(Timestamp(1_000_000), 1));
        assert!(name(Timestamp(0), 2) < name(Timestamp(1_000_000), 1));
    }
}
