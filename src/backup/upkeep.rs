//! What the housekeeper does for backups: makes the next one when it is time, and removes those that are too old.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::manifest::{self, Manifest};
use super::running::Backups;
use crate::clock::steady::Horizon;
use crate::clock::{Retention, Timekeeper};
use crate::housekeeper::Task;

/// So many of the newest stay, however old they are.
const KEPT_MIN: usize = 3;

/// The task that looks after both every so often.
pub(super) fn task(backups: Backups, every: Duration, timekeeper: &Timekeeper) -> Task {
    let mut retention = backups.shared.options.keep.map(|keep| timekeeper.retention("backups", keep));
    let run = move |_: &_| {
        if backups.due() {
            // What came of it is logged, and kept for the status.
            let _ = backups.now();
        }
        let (Some(directory), Some(retention)) = (&backups.shared.options.directory, &mut retention) else { return };
        if let Err(error) = remove_older(directory, retention) {
            log::warn!(directory = directory.display().to_string(), error = error.to_string(); "backup.not_removed");
        }
    };
    Task { name: "backups", every, run: Box::new(run) }
}

/// Removes backups that are too old: but none of the newest [`KEPT_MIN`] that are whole, none whose date cannot be, and
/// nothing that is not called like a backup and has no manifest.
fn remove_older(directory: &Path, retention: &mut Retention) -> io::Result<()> {
    let names = match manifest::names(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        names => names?,
    };
    let horizon = retention.horizon();
    let oldest_kept = manifest::name(horizon.before, 1);
    // Most of the time none is old, and no file has to be opened.
    let any = names.iter().any(|name| *name < oldest_kept);
    let old = if any { older(directory, &names, &horizon) } else { Vec::new() };
    if !retention.allows(&horizon, old.iter().map(|backup| backup.created_at.0).min()) {
        return Ok(());
    }
    for Manifest { name, bytes, .. } in old {
        let path = directory.join(&name);
        // The manifest goes last: without it nobody would know whose the file is.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => manifest::remove_files(&path).and_then(|()| std::fs::remove_file(manifest::path_beside(&path)))?,
        }
        log::info!(name, directory = directory.display().to_string(), bytes; "backup.removed");
    }
    Ok(())
}

/// Those of these names, newest first, that may go.
fn older(directory: &Path, names: &[String], horizon: &Horizon) -> Vec<Manifest> {
    let (mut old, mut kept) = (Vec::new(), 0);
    for name in names {
        let Ok(Some(described)) = Manifest::beside(&directory.join(name)) else { continue };
        let at = described.created_at.0;
        // What is dated in the future is not among the newest either: nobody knows how old it is.
        if described.name != *name || !horizon.is_credible(at) || at.age(horizon.now).is_none() {
            continue;
        }
        if kept < KEPT_MIN && described.describes(&directory.join(name)) {
            kept += 1;
        } else if at < horizon.before {
            old.push(described);
        }
    }
    old
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::manifest::Moment;
    use super::*;
    use crate::clock::{Clock, Timestamp};

    const DAY: i64 = 86_400_000_000;
    const HOUR: i64 = DAY / 24;
    /// Day 0 of these tests.
    const BEGAN: i64 = 1_790_000_000_000_000;

    fn put(directory: &Path, day: i64, bytes: u64, whole: bool) {
        let at = Timestamp(BEGAN + day * DAY);
        let name = manifest::name(at, 1);
        let path = directory.join(&name);
        std::fs::write(&path, vec![0; if whole { bytes as usize } else { 0 }]).unwrap();
        let (inkring, sha256) = (String::new(), String::new());
        let (created_at, rows, files) = (Moment(at), BTreeMap::new(), None);
        let manifest =
            Manifest { name, created_at, inkring, schema_version: 2, bytes, sha256, rows, newest_change: None, files };
        std::fs::write(manifest::path_beside(&path), manifest.to_line()).unwrap();
    }

    /// Those that are there, of these days.
    fn days(directory: &Path, of: impl Iterator<Item = i64>) -> Vec<i64> {
        of.filter(|day| directory.join(manifest::name(Timestamp(BEGAN + day * DAY), 1)).exists()).collect()
    }

    /// Backups are kept for ten days, by this clock, which begins on that day.
    fn ten_days(day: i64) -> (Clock, Retention) {
        let clock = Clock::manual(Timestamp(BEGAN + day * DAY));
        let retention = Timekeeper::new(clock.clone(), || None).retention("backups", Duration::from_secs(10 * 86_400));
        (clock, retention)
    }

    #[test]
    fn older_ones_go_but_never_the_newest_three_nor_what_is_not_ours() {
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path();
        let (clock, mut retention) = ten_days(0);
        let mut on = |day: i64| {
            clock.advance(BEGAN + day * DAY - clock.now().0);
            remove_older(here, &mut retention).unwrap();
            days(here, 0..100)
        };
        for day in [1, 2, 3, 12, 13, 14] {
            put(here, day, 10, true);
        }
        let with_it = manifest::files_beside(&here.join(manifest::name(Timestamp(BEGAN + DAY), 1)));
        std::fs::create_dir_all(with_it.join("media/ab")).unwrap();
        // Without a manifest, without a name of ours, and not a whole one.
        let lone = here.join(manifest::name(Timestamp(BEGAN + DAY + 5_000_000), 1));
        let other = here.join("inkring-before-the-upgrade.db");
        std::fs::write(&lone, "x").unwrap();
        std::fs::write(&other, "x").unwrap();
        assert_eq!(on(11), [1, 2, 3, 12, 13, 14], "the first is ten days old, and no older");
        assert_eq!(on(13), [3, 12, 13, 14], "those of the future are not among the newest");
        assert_eq!(on(15), [12, 13, 14]);
        put(here, 16, 10, false);
        assert_eq!(on(60), [12, 13, 14], "the newest one is not whole");
        assert!(lone.exists() && other.exists());
        assert_eq!(std::fs::read_dir(here).unwrap().count(), 8, "manifests and files go with their backups");
        remove_older(&here.join("nowhere"), &mut retention).unwrap();
    }

    #[test]
    fn a_clock_that_is_years_off_removes_none() {
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path();
        let (clock, mut retention) = ten_days(20);
        let all: Vec<i64> = (11..20).chain([400]).collect();
        all.iter().for_each(|day| put(here, *day, 10, true));
        let mut left = || {
            remove_older(here, &mut retention).unwrap();
            days(here, 0..500)
        };
        for years in [12, -60] {
            clock.set(years * 365 * DAY);
            assert_eq!(left(), all);
            clock.advance(HOUR);
            clock.set(-years * 365 * DAY);
            assert_eq!(left(), all);
        }
        clock.advance(HOUR);
        assert_eq!(left(), all, "steady again, and none is too old yet");
        clock.advance(5 * DAY);
        assert_eq!(left(), [16, 17, 18, 19, 400]);
        clock.advance(20 * DAY);
        assert_eq!(left(), [17, 18, 19, 400], "the newest three that are not of the future");
    }
}
