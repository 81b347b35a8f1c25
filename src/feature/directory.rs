//! Directories that files go into, and whether they can.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, FsWord, PROC_SUPER_MAGIC, access, statfs};
use rustix::io::Errno;

use crate::settings::Knob;
use crate::text::visible;

/// What the kernel shows of itself as files: /proc and /sys.
const NOT_FOR_FILES: [FsWord; 2] = [PROC_SUPER_MAGIC, 0x6265_6572];

/// A directory that files of a feature go into; it need not be there yet.
pub struct OutputDirectory {
    /// The setting that names it, or a file in it.
    pub knob: &'static Knob,
    /// Where it is, as configured.
    pub path: PathBuf,
    /// Whether the server does not start without it.
    pub is_needed: bool,
}

/// Why this process can put no file into this directory, or cannot make it in the nearest one above it that there is.
#[must_use]
pub fn unwritable(directory: &Path) -> Option<String> {
    let above = directory.ancestors();
    let mut above = above.map(|path| if path.as_os_str().is_empty() { Path::new(".") } else { path });
    // A link that leads nowhere is there, too.
    let nearest = above.find(|path| path.symlink_metadata().is_ok())?;
    let why = if !nearest.is_dir() {
        "is not a directory".to_owned()
    } else if statfs(nearest).is_ok_and(|found| NOT_FOR_FILES.contains(&found.f_type)) {
        // To root everything seems to be writable.
        "cannot be written: it belongs to the kernel".to_owned()
    } else {
        access(nearest, Access::WRITE_OK | Access::EXEC_OK).err().map(|error| format!("cannot be written: {error}"))?
    };
    Some(format!("{} {why}", visible(&nearest.display().to_string())))
}

/// Makes a directory and those above it, for their owner alone, where they are not there yet.
///
/// # Errors
/// The system refuses; of a file in its place it is said that it is no directory, and not that it exists.
pub fn make_private(directory: &Path) -> io::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Errno::NOTDIR.into(),
        _ => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_go_where_a_directory_is_or_can_be_made() {
        let directory = tempfile::tempdir().unwrap();
        let (here, file, link) = (directory.path(), directory.path().join("file"), directory.path().join("link"));
        std::fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        for good in [here.to_owned(), here.join("not/yet"), PathBuf::new(), PathBuf::from("not/yet")] {
            assert_eq!(unwritable(&good), None, "{good:?}");
        }
        for (bad, says) in [
            (file.clone(), "file is not a directory"),
            (file.join("below"), "file is not a directory"),
            (link.clone(), "link is not a directory"),
            ("/proc/x".into(), "/proc cannot be written: it belongs to the kernel"),
            ("/sys/x/y".into(), "/sys cannot be written: it belongs to the kernel"),
        ] {
            let said = unwritable(&bad);
            assert!(said.as_ref().is_some_and(|said| said.ends_with(says)), "{bad:?}: {said:?}");
        }
    }
}
