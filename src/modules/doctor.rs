//! What the doctor sees of the modules: whether anybody can use them, and whether files can be kept.

use std::path::Path;

use super::options::{self, ENABLED, PASSWORD, TIMEZONE};
use crate::clock::zone_of_machine;
use crate::feature::doctor::{Diagnosis, Examined};
use crate::feature::unwritable;

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
    let directory = options::gallery_directory(settings);
    let of_zone = settings.text(&TIMEZONE).map(|zone| {
        let is_given = settings.of(&TIMEZONE).origin.is_given();
        judge_zone(zone, is_given, zone_of_machine(Path::new("/")).as_deref())
    });
    [judge(seen, &directory, unwritable(&directory))].into_iter().chain(of_zone).collect()
}

/// Whether the household's clocks are those that somebody has chosen, or those of the machine.
fn judge_zone(zone: &str, is_given: bool, machine: Option<&str>) -> Diagnosis {
    match machine {
        Some(machine) if !is_given && machine != zone && !KYIV.contains(&machine) => Diagnosis::yellow(
            ZONE_CHECK,
            format!("HOUSEHOLD_TIMEZONE is not set, so the household uses {zone}, but this machine uses {machine}"),
            "set HOUSEHOLD_TIMEZONE to the household's time zone before its calendar fills up",
        ),
        _ => Diagnosis::green(ZONE_CHECK, format!("the household's time zone is {zone}")),
    }
}

/// What the settings say.
#[derive(Clone, Copy)]
struct Seen {
    production: bool,
    has_password: bool,
}

fn judge(seen: Seen, directory: &Path, unwritable: Option<String>) -> Diagnosis {
    if let Some(why) = unwritable {
        return Diagnosis::red(
            CHECK,
            format!("gallery files cannot be stored: {why}"),
            "run the doctor as the server's user; if the problem remains, give that user write access there, or set GALLERY_DIR",
        );
    }
    let shown = directory.display();
    match seen.has_password {
        false if seen.production => Diagnosis::yellow(
            CHECK,
            "nobody can use the modules: HOUSEHOLD_PASSWORD is not set".to_owned(),
            "set HOUSEHOLD_PASSWORD, or MODULES_ENABLED=false",
        ),
        false => Diagnosis::green(
            CHECK,
            format!("anyone who can reach the server may use the modules; gallery files are in {shown}"),
        ),
        true => Diagnosis::green(
            CHECK,
            format!("anyone with the household's password may use the modules; gallery files are in {shown}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::doctor::Colour::{Green, Red, Yellow};

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
        for (production, has_password, unwritable, colour, says) in [
            (
                false,
                false,
                None,
                Green,
                "anyone who can reach the server may use the modules; gallery files are in media",
            ),
            (
                false,
                true,
                None,
                Green,
                "anyone with the household's password may use the modules; gallery files are in media",
            ),
            (true, false, None, Yellow, "HOUSEHOLD_PASSWORD is not set"),
            (true, true, None, Green, "anyone with the household's password"),
            (false, false, Some("media is not a directory"), Red, "cannot be stored: media is not a directory"),
        ] {
            let unwritable = unwritable.map(str::to_owned);
            let found = judge(Seen { production, has_password }, Path::new("media"), unwritable);
            assert_eq!((found.colour, found.remedy.is_some()), (colour, colour != Green), "{found:?}");
            assert!(found.found.contains(says), "{found:?}");
        }
    }
}
