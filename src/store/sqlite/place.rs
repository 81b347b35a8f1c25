//! Where a database really lies, and whether the files that are open are still those that lie there.
//!
//! A database is its inode. Its name is only how somebody came to it: links lead there too, and what has the name later
//! may be another file. So links are followed once, and everything else (lock, log, reserve, what a restore writes) lies
//! beside the real file; and who writes looks again, before each commit, whether it is still writing to what others will find
//! ([decision 0027](../../../docs/decisions/0027-which-file.md)).

use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::files::{directory_of, with_suffix};

/// Links that are followed to a file that is not there; the system follows as many to one that is.
const LINKS_MAX: usize = 40;

/// The database itself, its log and the index of the log.
const FILES: [&str; 3] = ["", "-wal", "-shm"];

/// What this name leads to, whatever links are on the way; the file need not be there.
///
/// # Errors
/// When a part of the path cannot be read, or links lead in a circle.
pub fn real_path(named: &Path) -> io::Result<PathBuf> {
    let mut path = named.to_owned();
    for _ in 0..LINKS_MAX {
        match path.canonicalize() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            found => return found,
        }
        match std::fs::read_link(&path) {
            Ok(target) => path = directory_of(&path).join(target),
            // Neither a file nor a link: only its directory can be a link.
            Err(_) => {
                return Ok(match (directory_of(&path).canonicalize(), path.file_name()) {
                    (Ok(directory), Some(name)) => directory.join(name),
                    _ => path,
                });
            }
        }
    }
    Err(ErrorKind::NotFound.into())
}

/// The file that has this name now.
fn inode(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// The files of an open database, as they were when it was opened.
#[derive(Debug, Default)]
pub(in crate::store) struct OpenFiles {
    /// Each with its inode.
    files: Vec<(PathBuf, (u64, u64))>,
}

impl OpenFiles {
    /// Those of the database that is open at this path, as they are now. What SQLite has not made is not among them.
    pub(super) fn of(database: &Path) -> Self {
        let files = FILES.map(|suffix| with_suffix(database, suffix));
        Self { files: files.into_iter().filter_map(|path| inode(&path).map(|found| (path, found))).collect() }
    }

    /// What has happened to one of them, if it is no longer where it was; cheap, and waits for no lock.
    pub(in crate::store) fn displaced(&self) -> Option<String> {
        let (path, _) = self.files.iter().find(|(path, opened)| inode(path) != Some(*opened))?;
        let happened = if path.exists() { "has been replaced by another file" } else { "has been moved or removed" };
        Some(format!(
            "{} {happened} while the server had it open; put it back, or stop the server, look at what lies there, and start it \
             again",
            path.display()
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_lead_to_one_path_whether_the_file_is_there_or_not() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().canonicalize().unwrap().join(name);
        std::fs::create_dir(at("disk")).unwrap();
        symlink("disk/a.db", at("link")).unwrap();
        symlink(at("link"), at("second")).unwrap();
        symlink("disk", at("also")).unwrap();
        symlink("circle", at("circle")).unwrap();
        for there in [false, true] {
            for name in ["disk/a.db", "link", "second", "also/a.db", "disk/../link"] {
                assert_eq!(real_path(&at(name)).unwrap(), at("disk/a.db"), "{name}, there: {there}");
            }
            std::fs::write(at("disk/a.db"), "").unwrap();
        }
        assert!(real_path(&at("circle")).is_err());
        assert_eq!(real_path(Path::new("nowhere/at/all.db")).unwrap(), Path::new("nowhere/at/all.db"));
    }

    #[test]
    fn a_file_that_was_moved_or_replaced_is_named_until_it_is_back() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("a.db"), "").unwrap();
        std::fs::write(at("a.db-wal"), "").unwrap();
        let files = OpenFiles::of(&at("a.db"));
        assert_eq!(files.displaced(), None);
        std::fs::rename(at("a.db-wal"), at("aside")).unwrap();
        assert!(files.displaced().unwrap().contains("a.db-wal has been moved or removed"));
        std::fs::write(at("a.db-wal"), "").unwrap();
        assert!(files.displaced().unwrap().contains("a.db-wal has been replaced by another file"));
        std::fs::rename(at("aside"), at("a.db-wal")).unwrap();
        assert_eq!(files.displaced(), None);
    }
}
