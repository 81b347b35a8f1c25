//! What the housekeeper does for backups: makes the next one when it is time, and removes those that are too old.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::manifest::{self, Manifest};
use super::running::Backups;
use crate::clock::Timestamp;
use crate::housekeeper::Task;

/// The task that looks after both every so often.
pub(super) fn task(backups: Backups, every: Duration) -> Task {
    let run = move |_: &_| {
        if backups.due() {
            // What came of it is logged, and kept for the status.
            let _ = backups.now();
        }
        let options = &backups.shared.options;
        let (Some(directory), Some(keep)) = (&options.directory, options.keep) else { return };
        if let Err(error) = remove_older(directory, keep, backups.now_is()) {
            log::warn!(directory = directory.display().to_string(), error = error.to_string(); "backup.not_removed");
        }
    };
    Task { name: "backups", every, run: Box::new(run) }
}

/// Removes backups older than `keep`, but never the newest one that is whole, and nothing that is not called like a
/// backup and has no manifest.
fn remove_older(directory: &Path, keep: Duration, now: Timestamp) -> io::Result<()> {
    let names = match manifest::names(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        names => names?,
    };
    let limit = now.0.saturating_sub(i64::try_from(keep.as_micros()).unwrap_or(i64::MAX));
    let oldest_kept = manifest::name(Timestamp(limit), 1);
    if names.iter().all(|name| *name >= oldest_kept) {
        return Ok(());
    }
    let newest = manifest::newest(directory)?;
    for name in names.iter().filter(|name| **name < oldest_kept) {
        let path = directory.join(name);
        if newest.as_ref().is_none_or(|(newest, _)| *newest == path) {
            continue;
        }
        let Ok(Some(described)) = Manifest::beside(&path) else { continue };
        if described.name != *name || described.created_at.0.0 >= limit {
            continue;
        }
        // The manifest goes last: without it nobody would know whose the file is.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => std::fs::remove_file(manifest::path_beside(&path))?,
        }
        log::info!(
            name = name.as_str(), directory = directory.display().to_string(), bytes = described.bytes;
            "backup.removed"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::manifest::Moment;
    use super::*;

    const DAY: i64 = 86_400_000_000;

    fn put(directory: &Path, day: i64, bytes: u64, whole: bool) {
        let at = Timestamp(day * DAY);
        let name = manifest::name(at, 1);
        let path = directory.join(&name);
        std::fs::write(&path, vec![0; if whole { bytes as usize } else { 0 }]).unwrap();
        let (inkring, sha256) = (String::new(), String::new());
        let (created_at, rows) = (Moment(at), BTreeMap::new());
        let manifest =
            Manifest { name, created_at, inkring, schema_version: 2, bytes, sha256, rows, newest_change: None };
        std::fs::write(manifest::path_beside(&path), manifest.to_line()).unwrap();
    }

    fn days(directory: &Path) -> Vec<i64> {
        let mut days: Vec<_> =
            (0..100).filter(|day| directory.join(manifest::name(Timestamp(day * DAY), 1)).exists()).collect();
        days.sort_unstable();
        days
    }

    #[test]
    fn older_ones_go_but_never_the_newest_whole_one_nor_what_is_not_ours() {
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path();
        let keep = Duration::from_secs(10 * 86_400);
        let after = |day: i64| remove_older(here, keep, Timestamp(day * DAY)).unwrap();
        for day in [1, 2, 3, 12] {
            put(here, day, 10, true);
        }
        // Without a manifest, without a name of ours, and not a whole one.
        let lone = here.join(manifest::name(Timestamp(DAY + 5_000_000), 1));
        let other = here.join("inkring-before-the-upgrade.db");
        std::fs::write(&lone, "x").unwrap();
        std::fs::write(&other, "x").unwrap();
        after(11);
        assert_eq!(days(here), [1, 2, 3, 12], "the first is ten days old, and no older");
        after(13);
        assert_eq!(days(here), [3, 12]);
        put(here, 13, 10, false);
        after(60);
        assert_eq!(days(here), [12], "the newest one is not whole");
        assert!(lone.exists() && other.exists());
        assert_eq!(std::fs::read_dir(here).unwrap().count(), 4, "manifests go with their backups");
        remove_older(&here.join("nowhere"), keep, Timestamp(0)).unwrap();
    }
}
