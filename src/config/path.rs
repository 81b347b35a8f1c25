//! Which file the settings are read from, and whether it is trusted: only one that nobody else may write to.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::process::geteuid;

use super::parse::printable;

/// The file in the working directory.
const HERE: &str = ".env";
/// The file that `inkring setup` writes.
pub const INSTALLED: &str = "/etc/inkring/inkring.env";
/// The variable that names another file.
pub(super) const VARIABLE: &str = "INKRING_CONFIG";
/// The longest settings file that is read, in bytes: as much as systemd hands over as a credential.
pub(super) const SETTINGS_FILE_MAX_BYTES: u64 = 1_048_576;
/// Bits of a mode that let the group, and everyone, write.
const GROUP_WRITES: u32 = 0o020;
const ALL_WRITE: u32 = 0o002;

/// Where one run of the program looks for its settings file.
#[derive(Clone, Debug)]
pub struct SettingsPath {
    named: Option<PathBuf>,
    here: PathBuf,
    installed: PathBuf,
}

impl SettingsPath {
    /// The file of this name, which then has to be there; else that of `INKRING_CONFIG`; else `.env` in the working
    /// directory; else [`INSTALLED`], if this user may read it.
    pub fn of_process(named: Option<PathBuf>) -> Self {
        let variable = || std::env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
        Self { named: named.or_else(variable), here: HERE.into(), installed: INSTALLED.into() }
    }

    /// `.env` in this directory, and nothing else.
    #[cfg(test)]
    pub(super) fn directory(path: &Path) -> Self {
        Self { named: None, here: path.join(HERE), installed: path.join("nowhere") }
    }

    /// The file, if there is one.
    pub(super) fn find(&self) -> Result<Found, String> {
        if let Some(path) = &self.named {
            return read(path)?.map_err(|error| unreadable(path, &error));
        }
        match read(&self.here)? {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            found => return found.map_err(|error| unreadable(&self.here, &error)),
        }
        let (here, installed) = (shown(&self.here), shown(&self.installed));
        match read(&self.installed)? {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Ok(Found::Nothing(format!("no {here} here, no {installed}")))
            }
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                Ok(Found::Nothing(format!("no {here} here, {installed} is not readable by this user")))
            }
            found => found.map_err(|error| unreadable(&self.installed, &error)),
        }
    }
}

/// What there was.
#[derive(Debug)]
pub(super) enum Found {
    /// No file, and why.
    Nothing(String),
    /// Its path as it is shown, and what stands in it.
    Text { path: PathBuf, text: String },
}

fn shown(path: &Path) -> String {
    printable(&path.display().to_string())
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    format!("{} cannot be read: {error}", shown(path))
}

/// What stands in a file, or why it is not trusted. That it cannot be opened may be as it should be.
fn read(path: &Path) -> Result<io::Result<Found>, String> {
    // Whatever it is, opening it waits for nobody.
    let file = match OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound && path.is_symlink() => {
            // Somebody has put it here, and means it to be read.
            return Err(format!("{} cannot be read: it is a link to a file that does not exist", shown(path)));
        }
        Err(error) => return Ok(Err(error)),
    };
    let place = shown(path);
    let looked = file.metadata().and_then(|of_file| Ok((of_file, directories(path)?)));
    let (of_file, of_directories) = looked.map_err(|error| unreadable(path, &error))?;
    if !of_file.is_file() {
        return Err(format!("{place} cannot be read: it is not a file"));
    }
    let caller = geteuid().as_raw();
    if let Some(why) = Owner::of(&of_file).distrusted_by(caller) {
        return Err(format!("{place} is not read, because {why}"));
    }
    for (directory, metadata) in of_directories {
        if let Some(why) = Owner::of(&metadata).distrusted_by(caller) {
            return Err(format!("{place} is not read, because its directory {} is not safe: {why}", shown(&directory)));
        }
    }
    Ok(text(file, path)?.map(|text| Found::Text { path: path.to_owned(), text }))
}

/// The directory that a path names, and, if a link leads out of it, that of the file itself.
fn directories(path: &Path) -> io::Result<Vec<(PathBuf, Metadata)>> {
    let of_name = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.canonicalize()?,
        _ => Path::new(".").canonicalize()?,
    };
    let of_file = path.canonicalize()?.parent().map(Path::to_owned);
    let mut directories = vec![of_name];
    directories.extend(of_file.filter(|path| *path != directories[0]));
    directories.into_iter().map(|path| path.metadata().map(|metadata| (path, metadata))).collect()
}

fn text(file: File, path: &Path) -> Result<io::Result<String>, String> {
    let mut bytes = Vec::new();
    if let Err(error) = file.take(SETTINGS_FILE_MAX_BYTES + 1).read_to_end(&mut bytes) {
        return Ok(Err(error));
    }
    let place = shown(path);
    if bytes.len() as u64 > SETTINGS_FILE_MAX_BYTES {
        return Err(format!("{place} is longer than {SETTINGS_FILE_MAX_BYTES} bytes: it is not a settings file"));
    }
    String::from_utf8(bytes).map(Ok).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("{place} line {line} is not valid UTF-8")
    })
}

/// Whose something is, and who may write to it.
#[derive(Clone, Copy, Debug)]
struct Owner {
    user: u32,
    group: u32,
    mode: u32,
}

impl Owner {
    fn of(metadata: &Metadata) -> Self {
        Self { user: metadata.uid(), group: metadata.gid(), mode: metadata.permissions().mode() & 0o7777 }
    }

    /// Why somebody else than this user or root could have written it. A group with the number of its user is that user's
    /// own (as most systems make them), but for root, whose group has other members in containers.
    fn distrusted_by(self, caller: u32) -> Option<String> {
        let Self { user, group, mode } = self;
        if user != caller && user != 0 {
            return Some(format!(
                "it belongs to user {user}, and settings are read only from files of this user ({caller}) or of \
                 root: chown it, or use another file with --config"
            ));
        }
        let own_group = user != 0 && group == user;
        if mode & ALL_WRITE != 0 {
            Some(format!("it has mode {mode:04o}, so every user of this machine may write to it: chmod go-w"))
        } else if mode & GROUP_WRITES != 0 && !own_group {
            Some(format!("it has mode {mode:04o}, so everyone in group {group} may write to it: chmod g-w"))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_may_write_is_not_believed() {
        let by = |caller, user, group, mode| Owner { user, group, mode }.distrusted_by(caller).is_none();
        for (caller, user, group, mode, believed) in [
            (1000, 1000, 1000, 0o600, true),
            (1000, 1000, 1000, 0o644, true),
            (1000, 0, 0, 0o644, true),
            (0, 0, 0, 0o600, true),
            (0, 1000, 1000, 0o600, false),
            (1000, 1001, 1001, 0o600, false),
            (0, 65_534, 65_534, 0o600, false),
            (1000, 1000, 1000, 0o664, true),
            (1000, 1000, 100, 0o664, false),
            (1000, 0, 0, 0o664, false),
            (0, 0, 0, 0o775, false),
            (1000, 1000, 1000, 0o606, false),
            (1000, 1000, 1000, 0o666, false),
            (0, 0, 0, 0o1777, false),
        ] {
            assert_eq!(by(caller, user, group, mode), believed, "{caller} {user}:{group} {mode:o}");
        }
    }
}
