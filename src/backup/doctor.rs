//! What the doctor sees of backups: looks, and judges what it saw.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::manifest::{self, Manifest};
use super::options::Options;
use crate::clock::Timestamp;
use crate::feature::doctor::{Diagnosis, Examined};
use crate::text::{size, span};

/// Where the timer is that asks for backups where the server does not make them by itself, and how often it does.
const TIMERS: [&str; 2] = ["/etc/systemd/system/inkring-backup.timer", "/usr/lib/systemd/system/inkring-backup.timer"];
const BY_TIMER: Duration = Duration::from_secs(86_400);
/// A backup that is made by hand should not be forgotten for longer than this.
const BY_HAND_MAX: Duration = Duration::from_secs(7 * 86_400);

/// How backups are.
pub(super) fn doctor(examined: &Examined<'_>) -> Vec<Diagnosis> {
    let Examined { settings, now, .. } = examined;
    let Options { directory, every, .. } = Options::of(settings);
    let every = every.or_else(|| TIMERS.iter().any(|path| Path::new(path).exists()).then_some(BY_TIMER));
    let kept = directory.as_deref().map_or(Kept::Nowhere, |directory| look(directory, *now));
    vec![judge(&kept, every, settings.production(), *now)]
}

/// What backups there are.
#[derive(Debug)]
enum Kept {
    Nowhere,
    Unreadable(String),
    /// In this directory.
    None(PathBuf),
    BadManifest(String),
    /// The newest that is not dated in the future.
    Newest {
        name: String,
        created: Timestamp,
        bytes: u64,
        /// One that is.
        of_the_future: Option<String>,
    },
    /// There is none but those of the future, such as this one.
    OfTheFuture(String),
}

fn look(directory: &Path, now: Timestamp) -> Kept {
    let names = match manifest::names(directory) {
        Ok(names) => names,
        // The first backup makes it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Kept::None(directory.to_owned()),
        Err(error) => return Kept::Unreadable(format!("{} cannot be read: {error}", directory.display())),
    };
    let mut of_the_future = None;
    for name in names {
        let path = directory.join(&name);
        let backup = path.display();
        let manifest = match Manifest::beside(&path) {
            Ok(Some(manifest)) => manifest,
            Ok(None) => return Kept::BadManifest(format!("the manifest of {backup} is missing")),
            Err(why) => return Kept::BadManifest(format!("{backup}: {why}")),
        };
        let Manifest { created_at, bytes, .. } = manifest;
        if created_at.0.age(now).is_none() {
            of_the_future.get_or_insert(name);
            continue;
        }
        return match fs::metadata(&path) {
            Err(error) => Kept::BadManifest(format!("the backup {backup} is missing: {error}")),
            Ok(found) if found.len() != bytes => Kept::BadManifest(format!(
                "the backup {backup} has {} bytes, and its manifest says {bytes}",
                found.len()
            )),
            Ok(_) if !manifest.describes(&path) => {
                Kept::BadManifest(format!("the gallery files of the backup {backup} are missing"))
            }
            Ok(_) => Kept::Newest { name, created: created_at.0, bytes, of_the_future },
        };
    }
    of_the_future.map_or_else(|| Kept::None(directory.to_owned()), Kept::OfTheFuture)
}

fn judge(found: &Kept, every: Option<Duration>, production: bool, now: Timestamp) -> Diagnosis {
    const CHECK: &str = "backup";
    match found {
        Kept::Nowhere if production => Diagnosis::yellow(
            CHECK,
            "BACKUP_DIR is not set, so no backups are made".to_owned(),
            "set BACKUP_DIR to a directory, if possible on another disk",
        ),
        Kept::Nowhere => Diagnosis::green(CHECK, "backups are off (BACKUP_DIR is not set)".to_owned()),
        Kept::Unreadable(why) => Diagnosis::red(
            CHECK,
            format!("BACKUP_DIR: {why}"),
            "create the directory, and give the server's user write access to it",
        ),
        Kept::None(directory) => Diagnosis::yellow(
            CHECK,
            format!("there are no backups in {} yet", directory.display()),
            "make one now: inkring backup, with the server running",
        ),
        Kept::BadManifest(why) => {
            Diagnosis::red(CHECK, why.clone(), "make a new backup, and check that disk for errors")
        }
        Kept::OfTheFuture(name) => Diagnosis::red(
            CHECK,
            format!("every backup, such as {name}, is dated in the future, so their age is unknown"),
            "set the clock if it is wrong; if it is right, make a backup now: inkring backup",
        ),
        Kept::Newest { name, created, bytes, of_the_future } => {
            let age = now.ahead_of(*created);
            let found = format!("{name} of {}, {} old", size(*bytes), span(age.as_secs()));
            match every {
                Some(every) if age > every * 2 => Diagnosis::red(
                    CHECK,
                    format!("the newest backup is {found}; there should be one every {}", span(every.as_secs())),
                    "the server's log says why there is none (backup.failed); make one now: inkring backup",
                ),
                None if age > BY_HAND_MAX => Diagnosis::yellow(
                    CHECK,
                    format!("the newest backup is {found}"),
                    "make one now with inkring backup, or schedule backups with BACKUP_INTERVAL_HOURS or inkring-backup.timer",
                ),
                _ => match of_the_future {
                    None => Diagnosis::green(CHECK, found),
                    Some(other) => Diagnosis::yellow(
                        CHECK,
                        format!("{found}; {other} is dated in the future, so it is neither counted nor removed"),
                        "check it with inkring verify, and move it away",
                    ),
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::doctor::Colour::{self, Green, Red, Yellow};

    const NOW: Timestamp = Timestamp(1_790_000_000_000_000);
    const DAILY: Option<Duration> = Some(BY_TIMER);

    fn old(hours: i64) -> Kept {
        let created = Timestamp(NOW.0 - hours * 3_600_000_000);
        Kept::Newest { name: "inkring-1.json".into(), created, bytes: 1, of_the_future: None }
    }

    /// Holds a fault, in production, to its colour and a part of what is said of it.
    #[track_caller]
    fn seeded(kept: &Kept, every: Option<Duration>, colour: Colour, says: &str) {
        let found = judge(kept, every, true, NOW);
        assert_eq!(
            (found.check, found.colour, found.remedy.is_some()),
            ("backup", colour, colour != Green),
            "{found:?}"
        );
        assert!(found.found.contains(says), "{found:?}");
    }

    #[test]
    fn backups_are_there_and_new() {
        seeded(&Kept::Nowhere, DAILY, Yellow, "BACKUP_DIR is not set");
        seeded(&Kept::None("/b".into()), DAILY, Yellow, "no backups in /b yet");
        seeded(&Kept::Unreadable("why".into()), DAILY, Red, "BACKUP_DIR: why");
        seeded(&Kept::BadManifest("why".into()), DAILY, Red, "why");
        seeded(&old(48), DAILY, Green, "inkring-1.json of 1 bytes, 2 days old");
        seeded(&old(49), DAILY, Red, "2 days old; there should be one every 24 hours");
        seeded(&old(168), None, Green, "7 days old");
        let future = || "inkring-3.db".to_owned();
        seeded(&Kept::OfTheFuture(future()), DAILY, Red, "every backup, such as inkring-3.db, is dated in the future");
        let Kept::Newest { name, created, bytes, .. } = old(1) else { panic!() };
        let beside = Kept::Newest { name, created, bytes, of_the_future: Some(future()) };
        seeded(&beside, DAILY, Yellow, "inkring-3.db is dated in the future, so it is neither counted nor removed");
        seeded(&old(169), None, Yellow, "7 days old");
        assert_eq!(judge(&Kept::Nowhere, None, false, NOW).colour, Green, "nobody needs one in development");
    }
}
