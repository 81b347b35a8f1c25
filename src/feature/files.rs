//! Files that a feature keeps beside the database: backups take them along, and know no feature for it.

use std::io;
use std::path::{Path, PathBuf};

use crate::settings::Settings;

/// Tells every file of a directory, each by its path below it, for as long as who is told goes on.
pub type Walk = fn(&Path, &mut dyn FnMut(&Path) -> io::Result<()>) -> io::Result<()>;

/// Files of one feature. What is in one of them never changes while it has its name, so that backups may share it.
pub struct KeptFiles {
    /// The name of their directory in a backup, in lower-case letters; no other feature has it.
    pub name: &'static str,
    /// Where they are.
    pub directory: fn(&Settings) -> PathBuf,
    /// Tells every file that belongs in a backup, by its path below that directory, in the order of their bytes. One that is gone
    /// a moment later is no matter; one that a committed change names is there. Without the directory there are none.
    pub each: Walk,
}

/// The same where a server has them.
#[derive(Clone)]
pub struct FilesAt {
    /// Whose they are.
    pub kept: &'static KeptFiles,
    /// Where they are.
    pub directory: PathBuf,
}

impl KeptFiles {
    /// Where a server with these settings has them.
    #[must_use]
    pub fn at(&'static self, settings: &Settings) -> FilesAt {
        FilesAt { kept: self, directory: (self.directory)(settings) }
    }
}
