//! What the doctor sees of the modules: whether anybody can use them, and whether files can be kept.

use std::path::Path;

use rustix::fs::{Access, access};

use super::access::password;
use super::options::{self, ENABLED, PASSWORD, TIMEZONE};
use crate::clock::zone_of_machine;
use crate::feature::doctor::{Diagnosis, Examined};

const CHECK: &str = "modules";
const ZONE_CHECK: &str = "timezone";
/// Two names of one zone, of which machines may have either.
const KYIV: [&str; 2] = ["Europe/Kyiv", "Europe/Kiev"];

/// How the modules are.
pub(super) fn doctor(examined: &Examined<'_>) -> Vec<Diagnosis> {
    let settings = examined.settings;
    if !settings.flag(&ENABLED) {
        return vec![Diagnosis::green(CHECK, "the modules are off (MODULES_ENABLED=false)".to_owned())];
    }
    let given = settings.text(&PASSWORD);
    let production = settings.production();
    let seen = Seen {
        wrong_zone: options::zone(settings).err(),
        production,
        has_password: given.is_some(),
        fault: given.filter(|_| production).and_then(password::fault),
    };
    let writable = |path: &Path| access(path, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    let mut found = vec![judge(seen, &options::gallery_directory(settings), writable)];
    if let Some(zone) = settings.text(&TIMEZONE).filter(|_| options::zone(settings).is_ok()) {
        let is_given = settings.of(&TIMEZONE).origin.is_given();
        found.push(judge_zone(zone, is_given, zone_of_machine(Path::new("/")).as_deref()));
    }
    found
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
struct Seen {
    /// Why the zone is none.
    wrong_zone: Option<String>,
    production: bool,
    has_password: bool,
    /// Why the password is none for production, where it has to be.
    fault: Option<String>,
}

fn judge(seen: Seen, directory: &Path, writable: impl Fn(&Path) -> bool) -> Diagnosis {
    let red = |found: String, remedy: &str| Diagnosis::red(CHECK, found, remedy);
    if let Some(why) = seen.wrong_zone {
        return red(why, "set HOUSEHOLD_TIMEZONE to where the household lives");
    }
    if let Some(fault) = seen.fault {
        return red(fault, "set another HOUSEHOLD_PASSWORD: the server does not start with this one");
    }
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

    fn seen(production: bool, password: Option<&str>) -> Seen {
        let fault = password.filter(|_| production).and_then(password::fault);
        Seen { wrong_zone: None, production, has_password: password.is_some(), fault }
    }

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
        let (there, good) = (here.path().join("media"), Some("a heron in the evening mist"));
        seeded(seen(false, None), &there, false, Green, "everybody who reaches the server");
        seeded(seen(false, good), &there, false, Green, "anyone with the household's password");
        seeded(seen(true, None), &there, false, Yellow, "no HOUSEHOLD_PASSWORD");
        seeded(seen(true, good), &there, false, Green, "anyone with the household's password");
        seeded(seen(true, Some("short")), &there, false, Red, "has 5 characters");
        let lost = Seen { wrong_zone: Some("why".to_owned()), ..seen(false, None) };
        seeded(lost, &there, false, Red, "why");
        seeded(seen(false, None), here.path(), true, Green, "files in");
        seeded(seen(false, None), here.path(), false, Red, "cannot be written to");
        std::fs::write(&there, "").unwrap();
        seeded(seen(false, None), &there, true, Red, "is no directory");
    }
}
