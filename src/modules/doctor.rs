//! What the doctor sees of the modules: whether anybody can use them, and whether files can be kept.

use std::path::Path;

use rustix::fs::{Access, access};

use super::options::{self, ENABLED, PASSWORD, TIMEZONE};
use crate::clock::zone_of_machine;
use crate::feature::doctor::{Diagnosis, Examined};

const CHECK: &str = "modules";
const ZONE_CHECK: &str = "timezone";
/// Two names of one zone, of which machines may have either.
const KYIV: [&str; 2] = ["Europe/Kyiv", "Europe/Kiev"];

/// How the modules are. A zone or a password that is none is refused with the configuration, before anybody asks here.
pub(super) fn doctor(examined: &Examined<'_>) -> Vec<Diagnosis> {
    let settings = examined.settings;
    if !settings.flag(&ENABLED) {
        return vec![Diagnosis::green(CHECK, "the modules are off (MODULES_ENABLED=false)".to_owned())];
    }
    let seen = Seen { production: settings.production(), has_password: settings.text(&PASSWORD).is_some() };
    let writable = |path: &Path| access(path, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    let of_zone = settings.text(&TIMEZONE).map(|zone| {
        let is_given = settings.of(&TIMEZONE).origin.is_given();
        judge_zone(zone, is_given, zone_of_machine(Path::new("/")).as_deref())
    });
    [judge(seen, &options::gallery_directory(settings), writable)].into_iter().chain(of_zone).collect()
}

/// Whether the household's clocks are those that somebody has chosen, or those of the machine.
fn judge_zone(zone: &str, is_given: bool, machine: Option<&str>) -> Diagnosis {
    match machine {
        Some(machine) if !is_given && machine != zone && !KYIV.contains(&machine) => Diagnosis::yellow(
            ZONE_CHECK,
            format!(
                "HOUSEHOLD_TIMEZONE is not set, so the household's clocks are those of {zone}, and this machine's of {machine}"
            ),
            "set HOUSEHOLD_TIMEZONE to where the household lives, before there is much in its calendar",
        ),
        _ => Diagnosis::green(ZONE_CHECK, format!("the household's clocks are those of {zone}")),
    }
}

/// What the settings say.
#[derive(Clone, Copy)]
struct Seen {
    production: bool,
    has_password: bool,
}

fn judge(seen: Seen, directory: &Path, writable: impl Fn(&Path) -> bool) -> Diagnosis {
    let red = |found: String, remedy: &str| Diagnosis::red(CHECK, found, remedy);
    let shown = directory.display();
    match std::fs::symlink_metadata(directory) {
        Ok(_) if !directory.is_dir() => {
            return red(
                format!("files of the gallery cannot be kept: {shown} is no directory"),
                "move away what lies there, or set GALLERY_DIR",
            );
        }
        Ok(_) if !writable(directory) => {
            return red(
                format!("files of the gallery cannot be kept: {shown} cannot be written to"),
                "run doctor as the server's user; if it says the same then, let that user write to the directory",
            );
        }
        // The first start makes it.
        _ => {}
    }
    match seen.has_password {
        false if seen.production => Diagnosis::yellow(
            CHECK,
            "nobody uses the modules: there is no HOUSEHOLD_PASSWORD".to_owned(),
            "set HOUSEHOLD_PASSWORD, or MODULES_ENABLED=false",
        ),
        false => Diagnosis::green(CHECK, format!("everybody who reaches the server uses them; files in {shown}")),
        true => Diagnosis::green(CHECK, format!("anyone with the household's password may use them; files in {shown}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::doctor::Colour::{self, Green, Red, Yellow};

    #[track_caller]
    fn seeded(seen: Seen, directory: &Path, is_writable: bool, colour: Colour, says: &str) {
        let found = judge(seen, directory, |_| is_writable);
        assert_eq!((found.colour, found.remedy.is_some()), (colour, colour != Green), "{found:?}");
        assert!(found.found.contains(says), "{found:?}");
    }

    #[test]
    fn a_zone_that_nobody_chose_is_that_of_the_machine() {
        for (is_given, machine, colour) in [
            (false, Some("Europe/Berlin"), Yellow),
            (false, Some("Etc/UTC"), Yellow),
            (false, Some("Europe/Kiev"), Green),
            (false, Some("Europe/Kyiv"), Green),
            (false, None, Green),
            (true, Some("Europe/Berlin"), Green),
        ] {
            let found = judge_zone("Europe/Kyiv", is_given, machine);
            assert_eq!((found.colour, found.remedy.is_some()), (colour, colour != Green), "{found:?}");
            assert!(found.found.contains("Europe/Kyiv"), "{found:?}");
        }
    }

    #[test]
    fn the_modules_can_be_used() {
        let here = tempfile::tempdir().unwrap();
        let there = here.path().join("media");
        let seen = |production, has_password| Seen { production, has_password };
        seeded(seen(false, false), &there, false, Green, "everybody who reaches the server");
        seeded(seen(false, true), &there, false, Green, "anyone with the household's password");
        seeded(seen(true, false), &there, false, Yellow, "no HOUSEHOLD_PASSWORD");
        seeded(seen(true, true), &there, false, Green, "anyone with the household's password");
        seeded(seen(false, false), here.path(), true, Green, "files in");
        seeded(seen(false, false), here.path(), false, Red, "cannot be written to");
        std::fs::write(&there, "").unwrap();
        seeded(seen(false, false), &there, true, Red, "is no directory");
    }
}
