//! What the doctor sees of the file of events: looks, and changes nothing.

use std::io::ErrorKind;
use std::path::Path;

use rustix::fs::{Access, access};

use super::names::Names;
use super::options::{self, Rules};
use crate::feature::doctor::{Diagnosis, Examined};
use crate::feature::unwritable;
use crate::store::directory_of;
use crate::text::size;

const CHECK: &str = "behaviour";

/// How the file of events is, and whether the server's user may write it.
pub(super) fn doctor(examined: &Examined<'_>) -> Vec<Diagnosis> {
    let file = options::file(examined.settings);
    vec![look(&file, Rules::of(examined.settings))]
}

fn look(file: &Path, rules: Rules) -> Diagnosis {
    let (path, directory) = (file.display(), directory_of(file));
    let unfit = |why: String, remedy: &str| Diagnosis::red(CHECK, format!("METRICS_JSONL={path}: {why}"), remedy);
    let found = match std::fs::symlink_metadata(file) {
        // The server has a file take the place of the original's link.
        Ok(found) if !found.is_file() && !Names::of(file).is_link_to_shard() => {
            return unfit("it is not a regular file".to_owned(), "move it away, or set METRICS_JSONL to another file");
        }
        Ok(found) => Some(found),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return unfit(error.to_string(), "give the server's user read and write access to the directory"),
    };
    let of_file = found.as_ref().and_then(|_| access(file, Access::WRITE_OK).err()).map(|error| error.to_string());
    // The server makes the directory, below its own and not the doctor's.
    let of_directory = || unwritable(directory).filter(|_| directory.exists());
    if let Some(why) = of_file.or_else(of_directory) {
        let remedy = "run the doctor as the server's user; if the problem remains, give that user write access to the \
            directory";
        return unfit(format!("it cannot be written or rotated: {why}"), remedy);
    }
    let kept = rules.keep_days.map_or_else(|| "forever".to_owned(), |days| format!("for {days} days"));
    let found = found.map_or_else(|| "no events yet".to_owned(), |found| size(found.len()));
    match rules.keep_days {
        Some(_) => Diagnosis::green(CHECK, format!("{found} in {path}, kept {kept}")),
        None => Diagnosis::yellow(
            CHECK,
            format!("{found} in {path}, kept {kept}"),
            "set METRICS_RETENTION_DAYS, and tell visitors about it on your privacy page",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::doctor::Colour;

    #[test]
    fn what_cannot_be_written_is_red_and_what_is_kept_for_ever_is_yellow() {
        let directory = tempfile::tempdir().unwrap();
        let rules = Rules { max_bytes: None, gzip_after_days: None, keep_days: Some(30) };
        let file = directory.path().join("metrics.jsonl");
        let fresh = look(&file, rules);
        assert_eq!((fresh.colour, fresh.found.starts_with("no events yet")), (Colour::Green, true), "{fresh:?}");
        assert_eq!(look(&directory.path().join("not/yet/metrics.jsonl"), rules).colour, Colour::Green);
        std::fs::write(&file, "x\n").unwrap();
        assert!(look(&file, rules).found.contains("2 bytes"));
        assert_eq!(look(&file, Rules { keep_days: None, ..rules }).colour, Colour::Yellow);
        std::os::unix::fs::symlink("metrics-2025-10-09.jsonl", directory.path().join("link")).unwrap();
        assert_eq!(look(&directory.path().join("link"), rules).colour, Colour::Red, "to a shard of another file");
        let other = look(directory.path(), rules);
        assert!(other.colour == Colour::Red && other.found.contains("not a regular file"), "{other:?}");
    }
}
