//! The zone that a machine is set to.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use jiff::tz::TimeZone;

/// What the link leads into, on whichever system.
const DATABASE: &str = "/zoneinfo/";

/// That of a machine that was never set to any.
const UNSET: &str = "Etc/UTC";

/// The name of the zone of the machine whose files lie below this directory, if it tells one that is known here. One that has
/// no file for it (a small image) goes by UTC, as its C library does.
#[must_use]
pub fn zone_of_machine(root: &Path) -> Option<String> {
    let places = ["etc/localtime", "etc/timezone"].map(|path| root.join(path));
    if places.iter().all(|place| place.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound)) {
        return Some(UNSET.to_owned());
    }
    let [link, file] = places;
    let link = fs::read_link(link).ok();
    let by_link = link.as_deref().and_then(Path::to_str).and_then(|path| Some(path.split_once(DATABASE)?.1.to_owned()));
    let by_file = || fs::read_to_string(&file).ok().map(|text| text.trim().to_owned());
    let is_known = |name: &String| TimeZone::get(name).is_ok();
    // The link is what programs read; the file may be of an earlier setting.
    by_link.filter(is_known).or_else(|| by_file().filter(is_known))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_machine_tells_its_zone_by_a_link_or_a_file() {
        let root = tempfile::tempdir().unwrap();
        let zone = || zone_of_machine(root.path());
        assert_eq!(zone().as_deref(), Some("Etc/UTC"));
        fs::create_dir(root.path().join("etc")).unwrap();
        let (file, link) = (root.path().join("etc/timezone"), root.path().join("etc/localtime"));
        for (text, found) in [("Europe/Warsaw\n", Some("Europe/Warsaw")), ("Europe/Atlantis\n", None), ("", None)] {
            fs::write(&file, text).unwrap();
            assert_eq!(zone().as_deref(), found, "{text}");
        }
        fs::write(&file, "Europe/Warsaw\n").unwrap();
        // Nothing of the link is read but where it leads.
        for (to, found) in [
            ("/usr/share/zoneinfo/America/Argentina/Salta", "America/Argentina/Salta"),
            ("../usr/share/zoneinfo/Europe/Berlin", "Europe/Berlin"),
            ("/usr/share/zoneinfo/Europe/Atlantis", "Europe/Warsaw"),
            ("/etc/clock", "Europe/Warsaw"),
        ] {
            symlink(to, &link).unwrap();
            assert_eq!(zone().as_deref(), Some(found), "{to}");
            fs::remove_file(&link).unwrap();
        }
        fs::write(&link, "TZif2").unwrap();
        assert_eq!(zone().as_deref(), Some("Europe/Warsaw"));
    }
}
