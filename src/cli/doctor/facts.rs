//! What there is to see of an installation. Looking changes nothing that stays, and ends: each look has a bound.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::fs::{Access, access, statfs};
use rustix::process::{Resource, geteuid, getrlimit};
use serde_json::Value;

use super::certificate;
use crate::cli::common::sources;
use crate::clock::{Clock, Timestamp};
use crate::config::{self, Loaded, SettingsPath};
use crate::feature::doctor::{Diagnosis, Examined};
use crate::features::{self, FEATURES};
use crate::gate::OpenedKeys;
use crate::hub;
use crate::net::base_url::own_server;
use crate::net::client::Ask;
use crate::net::options::CONNECTIONS_MAX;
use crate::plane;
use crate::server::{CONNECTIONS_DEFAULT_MAX, MemoryPart, memory_bounds};
use crate::settings::{Origin, Settings};
use crate::store::options::{DATABASE, RESERVE};
use crate::store::{self, Depth, OpenError, Reader, Room, last_change, with_suffix};

/// A larger database is not read through in passing.
pub(crate) const QUICK_CHECK_MAX_BYTES: u64 = 268_435_456;
/// As many of what SQLite complains about are asked for.
const COMPLAINTS_MAX: usize = 5;
/// How many small writes are tried on the disk.
const SYNC_SAMPLES: usize = 8;
/// How large each of them is: a page of the database.
const SYNC_SAMPLE_BYTES: usize = 4096;
/// As much is read of an answer, and of what another program prints.
const TEXT_MAX_BYTES: u64 = 1_048_576;
/// How long an answer or another program is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Where units are, those of the administrator first.
const UNITS: [&str; 3] = [
    "/etc/systemd/system/inkring.service",
    "/usr/local/lib/systemd/system/inkring.service",
    "/usr/lib/systemd/system/inkring.service",
];
/// What systemd-timesyncd leaves once it has set the clock.
const TIME_SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";

/// Everything that was found.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) production: bool,
    pub(super) configuration: Configuration,
    /// Nothing while the configuration does not say where to look.
    pub(super) installation: Option<Installation>,
    pub(super) now: Timestamp,
    /// Whether something keeps the clock right; nothing if that cannot be told.
    pub(super) synchronised: Option<bool>,
    pub(super) unit: Unit,
}

/// How the settings are.
#[derive(Debug, Default)]
pub(super) struct Configuration {
    /// How many there are.
    pub(super) settings: usize,
    /// Where those that are given come from.
    pub(super) given: String,
    /// What keeps the server from starting, or would if it were strict and should be.
    pub(super) problems: Vec<String>,
    /// What an operator should know.
    pub(super) warnings: Vec<String>,
}

/// What the configuration leads to.
#[derive(Debug)]
pub(super) struct Installation {
    pub(super) permissions: Permissions,
    pub(super) reserve_bytes: u64,
    pub(super) disk: Result<Room, String>,
    /// The number of its type.
    pub(super) file_system: Option<u64>,
    pub(super) synced: Synced,
    pub(super) descriptors: Descriptors,
    pub(super) memory: Memory,
    pub(super) stored: Stored,
    /// What features found of their parts.
    pub(super) of_features: Vec<Diagnosis>,
    pub(super) running: Running,
    pub(super) plane: Plane,
}

/// Who may do what.
#[derive(Debug)]
pub(super) struct Permissions {
    /// The directory of the database, or the nearest one above it that there is.
    pub(super) near: PathBuf,
    /// Whether this process could write there.
    pub(super) writable: Result<(), String>,
    /// The number of the user that this process runs as.
    pub(super) user: u32,
    pub(super) places: Vec<Place>,
}

/// Something that is not everyone's business.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) mode: u32,
    pub(super) directory: bool,
    /// Whether others may not read it either.
    pub(super) private: bool,
}

/// How long the disk takes to keep something.
#[derive(Debug)]
pub(super) enum Synced {
    Took(Vec<Duration>),
    Failed(String),
}

/// What the server may keep in memory, and what it has.
#[derive(Debug)]
pub(super) struct Memory {
    /// Where its bounds end, each.
    pub(super) kept: Vec<MemoryPart>,
    /// What the machine has; nothing if that cannot be told.
    pub(super) machine: Option<u64>,
    /// What the server's control group is allowed, if that has a limit.
    pub(super) group: Option<u64>,
}

/// How many files may be open, and how many are wanted. No limit is nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Descriptors {
    pub(super) soft: Option<u64>,
    pub(super) hard: Option<u64>,
    /// The limits are those of the server that runs, and not of this process.
    pub(super) of_server: bool,
    /// 0 for as many as there may be.
    pub(super) max_connections: usize,
    /// Sockets in all, if they are limited.
    pub(super) max_sockets: Option<usize>,
}

/// What is in the file.
#[derive(Debug)]
pub(super) enum Stored {
    Absent,
    Older {
        version: i32,
    },
    Newer {
        version: i32,
    },
    /// It is not ours, or too damaged to be looked at.
    Unreadable(String),
    /// Whether there is one cannot be seen from here.
    Hidden(String),
    Read {
        bytes: u64,
        newest: Timestamp,
        /// What SQLite complains about; nothing if it was not asked.
        checked: Option<Vec<String>>,
    },
}

/// Whether a server has the database.
#[derive(Debug)]
pub(super) enum Running {
    No,
    /// It listens on a port that the configuration does not tell.
    SomewhereElse {
        pid: String,
    },
    Silent {
        pid: String,
        why: String,
    },
    Answers {
        pid: String,
        /// Of `/readyz`.
        status: u16,
        says: String,
        /// What it does not like about the clock.
        clock: Option<String>,
    },
}

/// The private plane of that server.
#[derive(Debug)]
pub(super) enum Plane {
    Off,
    NotAsked,
    Silent(String),
    Answers { status: u16, proxy: Proxy },
}

/// Whether somebody forwards requests without being trusted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Proxy {
    Unknown,
    NotSeen,
    /// And from where, if the server tells.
    Seen(Option<IpAddr>),
}

/// How the service is confined.
#[derive(Debug)]
pub(super) enum Unit {
    None,
    Unknown(PathBuf),
    Scored { path: PathBuf, exposure: f64 },
}

/// Looks at everything.
pub(super) fn gather(path: &SettingsPath) -> Facts {
    let (configuration, read) = configuration(path);
    let clock = Clock::system();
    let loaded = read.as_ref().map(|(loaded, _)| loaded);
    let installation = read.as_ref().map(|(loaded, file)| installation(loaded, file.as_deref(), &clock));
    Facts {
        production: loaded.is_some_and(|loaded| loaded.settings.production()),
        configuration,
        installation,
        // After the database was read, so that what was changed meanwhile is not from the future.
        now: clock.now(),
        synchronised: synchronised(),
        unit: unit(),
    }
}

/// How the settings are; and if they can be used, they themselves and the path of their file.
fn configuration(path: &SettingsPath) -> (Configuration, Option<(Loaded, Option<PathBuf>)>) {
    let mut found = Configuration::default();
    let read = sources(path).and_then(|sources| Ok((config::load(&sources, false)?, sources)));
    let (loaded, sources) = match read {
        Ok(read) => read,
        Err(error) => {
            (found.problems, found.warnings) = (error.problems, error.warnings);
            return (found, None);
        }
    };
    let strictly = config::load(&sources, true).err().map(|error| error.problems).unwrap_or_default();
    found.settings = loaded.settings.iter().count();
    found.given = sources.described();
    let production = loaded.settings.production();
    for warning in &loaded.warnings {
        // A bad value is what strict would refuse, and then what was taken in its place. In production, all that strict
        // would refuse is a problem.
        let refused = strictly.iter().find(|problem| warning.starts_with(problem.as_str()));
        let bad = refused.is_some_and(|problem| production || problem != warning);
        if bad { found.problems.push(warning.clone()) } else { found.warnings.push(warning.clone()) }
    }
    match OpenedKeys::of(&loaded.settings) {
        Ok(keys) if production => found.problems.extend(keys.warning),
        Ok(keys) => found.warnings.extend(keys.warning),
        Err(error) => found.problems.push(error.to_string()),
    }
    (found, Some((loaded, sources.file().map(Path::to_owned))))
}

fn installation(loaded: &Loaded, file: Option<&Path>, clock: &Clock) -> Installation {
    let settings = &loaded.settings;
    let database = &real_database(settings);
    let near = nearest_directory(database);
    let holder = holder(database);
    let running = running(settings, holder.as_deref());
    let plane = plane(settings, holder.is_some());
    let (stored, mut of_features) = stored(settings, clock);
    of_features.extend(certificate::found(settings, clock.now()));
    Installation {
        permissions: permissions(loaded, file, &near),
        reserve_bytes: settings.count(&RESERVE) as u64,
        disk: store::room(&near).map_err(|error| error.to_string()),
        // What is not 64 bits wide may be given with its sign.
        file_system: statfs(&near).ok().map(|found| found.f_type as u64 & 0xffff_ffff),
        synced: sync_times(&near, clock),
        descriptors: descriptors(settings, holder.as_deref()),
        memory: memory(settings, holder.as_deref()),
        stored,
        of_features,
        running,
        plane,
    }
}

/// The file that the setting leads to; what cannot be followed is looked at as it is.
fn real_database(settings: &Settings) -> PathBuf {
    let named = settings.database(&DATABASE);
    if named.is_symlink() { store::real_path(named).unwrap_or_else(|_| named.to_owned()) } else { named.to_owned() }
}

/// The directory of this file, or the nearest one above it that exists.
fn nearest_directory(file: &Path) -> PathBuf {
    let above = file.ancestors().skip(1);
    let mut above = above.map(|path| if path.as_os_str().is_empty() { Path::new(".") } else { path });
    let found = above.find(|path| path.is_dir()).unwrap_or(Path::new("/"));
    fs::canonicalize(found).unwrap_or_else(|_| found.to_owned())
}

fn permissions(loaded: &Loaded, file: Option<&Path>, near: &Path) -> Permissions {
    let database = &real_database(&loaded.settings);
    let mut places = Vec::new();
    let mut look = |path: &Path, private: bool| {
        let Ok(metadata) = fs::metadata(path) else { return };
        let mode = metadata.permissions().mode() & 0o7777;
        places.push(Place { path: path.to_owned(), mode, directory: metadata.is_dir(), private });
    };
    // Where there is no directory yet, the first start makes one that is closed.
    if database.parent().is_some_and(|parent| parent.as_os_str().is_empty() || parent.is_dir()) {
        look(near, true);
    }
    for suffix in ["", "-wal", "-shm"] {
        look(&with_suffix(database, suffix), true);
    }
    let private = loaded.settings.iter().filter(|setting| setting.knob.private);
    private.filter_map(|setting| loaded.settings.path(setting.knob)).for_each(|path| look(&path, true));
    let holds_secrets = |origin| loaded.settings.iter().any(|one| one.knob.secret && one.origin == origin);
    // Files that are named, or handed over, are looked at when the configuration is read; and this one, where it matters most.
    let is_told = loaded.settings.production() || loaded.settings.strict();
    file.iter().for_each(|file| look(file, !is_told && holds_secrets(Origin::SettingsFile)));
    let writable = access(near, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| error.to_string());
    Permissions { near: near.to_owned(), writable, user: geteuid().as_raw(), places }
}

/// Writes a little to a file that has lost its name before the first byte, so that nothing stays whatever happens.
fn sync_times(near: &Path, clock: &Clock) -> Synced {
    let sample = || -> io::Result<Vec<Duration>> {
        let path = near.join(format!(".inkring-doctor-{}", std::process::id()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        fs::remove_file(&path)?;
        let mut times = Vec::with_capacity(SYNC_SAMPLES);
        for _ in 0..SYNC_SAMPLES {
            let began = clock.instant();
            file.write_all(&[0; SYNC_SAMPLE_BYTES])?;
            file.sync_data()?;
            times.push(clock.instant().saturating_duration_since(began));
        }
        Ok(times)
    };
    sample().map_or_else(|error| Synced::Failed(error.to_string()), Synced::Took)
}

fn descriptors(settings: &Settings, holder: Option<&str>) -> Descriptors {
    let of_server = holder.and_then(|pid| limits_of(&fs::read_to_string(format!("/proc/{pid}/limits")).ok()?));
    let own = getrlimit(Resource::Nofile);
    let (soft, hard) = of_server.unwrap_or((own.current, own.maximum));
    Descriptors {
        soft,
        hard,
        of_server: of_server.is_some(),
        max_connections: settings.count(&CONNECTIONS_MAX),
        max_sockets: settings.flag(&hub::options::LIMITED).then(|| settings.count(&hub::options::GLOBAL)),
    }
}

/// As many connections as may be chosen are counted, or as are configured.
fn memory(settings: &Settings, holder: Option<&str>) -> Memory {
    let connections = match settings.count(&CONNECTIONS_MAX) {
        0 => CONNECTIONS_DEFAULT_MAX,
        configured => configured,
    };
    let group = fs::read_to_string(format!("/proc/{}/cgroup", holder.unwrap_or("self"))).unwrap_or_default();
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| memory_of(&text));
    let group = memory_of_group(&group, Path::new("/sys/fs/cgroup"));
    Memory { kept: memory_bounds(FEATURES, settings, None, connections), machine, group }
}

/// All the memory of a machine, in the text of `/proc/meminfo`.
fn memory_of(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// The least that a control group of the text of `/proc/PID/cgroup`, or one above it, is allowed; nothing without a limit.
fn memory_of_group(text: &str, root: &Path) -> Option<u64> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let group = root.join(path);
    let groups = group.ancestors().take_while(|group| group.starts_with(root));
    groups.filter_map(|group| fs::read_to_string(group.join("memory.max")).ok()?.trim().parse().ok()).min()
}

/// The soft and the hard limit of open files in the text of `/proc/PID/limits`.
fn limits_of(text: &str) -> Option<(Option<u64>, Option<u64>)> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let mut words = line.split_whitespace();
    let mut limit = || -> Option<Option<u64>> {
        let word = words.next()?;
        if word == "unlimited" { Some(None) } else { word.parse().ok().map(Some) }
    };
    Some((limit()?, limit()?))
}

/// What is in the file, and what features find in it.
fn stored(settings: &Settings, clock: &Clock) -> (Stored, Vec<Diagnosis>) {
    let database = settings.database(&DATABASE);
    let look = |looked: Result<Reader, OpenError>| {
        let reader = looked.as_ref().ok();
        let examined = Examined { settings, reader, now: clock.now() };
        let of_features = FEATURES.iter().flat_map(|feature| (feature.doctor)(&examined)).collect();
        (stored_as(database, looked), of_features)
    };
    // A process that has it open, or was killed with it open, has left a log beside it.
    let (log, schema) = (with_suffix(database, "-wal"), features::schema());
    if log.exists() {
        return look(store::open_read_only(database, &schema));
    }
    let found = look(store::open_immutable(database, &schema));
    // Somebody has opened it meanwhile: what was read may be half of this and half of that.
    if log.exists() { look(store::open_read_only(database, &schema)) } else { found }
}

fn stored_as(database: &Path, looked: Result<Reader, OpenError>) -> Stored {
    let reader = match looked {
        Ok(reader) => reader,
        Err(OpenError::Absent { .. }) => return Stored::Absent,
        Err(OpenError::Older { found, .. }) => return Stored::Older { version: found },
        Err(OpenError::Newer { found, .. }) => return Stored::Newer { version: found },
        Err(error @ OpenError::File { .. }) => return Stored::Hidden(error.to_string()),
        Err(error) => return Stored::Unreadable(error.to_string()),
    };
    let bytes = store::bytes_of(database);
    let newest = last_change(&reader).unwrap_or_else(|error| {
        log::warn!(error = error.to_string(); "store.newest_change_unknown");
        None
    });
    let check = || store::faults(&reader, Depth::Pages, COMPLAINTS_MAX);
    let checked = (bytes <= QUICK_CHECK_MAX_BYTES).then(|| check().unwrap_or_else(|error| vec![error.to_string()]));
    Stored::Read { bytes, newest: newest.unwrap_or(Timestamp(i64::MIN)), checked }
}

/// The process that has the lock of this database. Only looked up: to try the lock would for a moment be in the way of a
/// server that starts.
fn holder(database: &Path) -> Option<String> {
    by_lock_file(database).or_else(|| store::locked_by(&fs::metadata(database).ok()?))
}

fn by_lock_file(database: &Path) -> Option<String> {
    let path = with_suffix(database, ".lock");
    let metadata = fs::metadata(&path).ok()?;
    let mut pid = String::new();
    File::open(&path).ok()?.take(32).read_to_string(&mut pid).ok()?;
    let pid = pid.trim();
    match fs::read_to_string("/proc/locks") {
        Ok(locks) => is_locked(&locks, metadata.dev(), metadata.ino(), pid).then(|| pid.to_owned()),
        Err(_) => fs::metadata(format!("/proc/{pid}")).is_ok_and(|found| found.is_dir()).then(|| pid.to_owned()),
    }
}

/// Whether the text of `/proc/locks` has this file. Some file systems give another device there than elsewhere; then it is
/// the process that counts.
fn is_locked(locks: &str, device: u64, inode: u64, pid: &str) -> bool {
    let device = format!("{:02x}:{:02x}", rustix::fs::major(device), rustix::fs::minor(device));
    locks.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, by, file, ..] = words[..] else { return false };
        let Some((on, number)) = file.rsplit_once(':') else { return false };
        number.parse() == Ok(inode) && (on == device || by == pid)
    })
}

fn running(settings: &Settings, holder: Option<&str>) -> Running {
    let Some(pid) = holder.map(str::to_owned) else { return Running::No };
    let Some(to) = own_server(settings) else { return Running::SomewhereElse { pid } };
    let answered = Ask::get("/readyz?verbose=1").send(&to, PATIENCE).map_err(|error| error.to_string());
    match answered
        .and_then(|answer| Ok((answer.status, answer.text(TEXT_MAX_BYTES).map_err(|error| error.to_string())?)))
    {
        Ok((status, says)) => Running::Answers { pid, status, says: reason(&says), clock: clock_warning(&says) },
        Err(why) => Running::Silent { pid, why },
    }
}

/// The sentence in an answer of `/readyz`, or what there is of one.
fn reason(body: &str) -> String {
    let value: Value = serde_json::from_str(body).unwrap_or_default();
    let said = value["error"]["message"].as_str().or_else(|| value["detail"].as_str());
    said.unwrap_or(body).chars().take(200).collect()
}

/// What `/readyz?verbose=1` warns of about the clock.
fn clock_warning(body: &str) -> Option<String> {
    let value: Value = serde_json::from_str(body).ok()?;
    let check = value["checks"].as_array()?.iter().find(|check| check["name"] == "clock")?;
    check["warning"].as_str().map(str::to_owned)
}

fn plane(settings: &Settings, running: bool) -> Plane {
    let Some(to) = plane::client::place(settings) else { return Plane::Off };
    if !running {
        return Plane::NotAsked;
    }
    let ask = Ask::get("/status");
    let answered = plane::client::ask(ask, to, settings, PATIENCE).map_err(|error| error.to_string());
    match answered
        .and_then(|answer| Ok((answer.status, answer.text(TEXT_MAX_BYTES).map_err(|error| error.to_string())?)))
    {
        Ok((status, body)) => Plane::Answers { status, proxy: proxy(&body) },
        Err(why) => Plane::Silent(why),
    }
}

/// What `/status` tells of proxies.
fn proxy(body: &str) -> Proxy {
    let value: Value = serde_json::from_str(body).unwrap_or_default();
    match value.get("proxy_header_untrusted") {
        Some(Value::Null | Value::Bool(false)) => Proxy::NotSeen,
        Some(Value::Bool(true)) => Proxy::Seen(None),
        Some(Value::String(peer)) => Proxy::Seen(peer.parse().ok()),
        _ => Proxy::Unknown,
    }
}

fn synchronised() -> Option<bool> {
    if Path::new(TIME_SYNCHRONISED).exists() {
        return Some(true);
    }
    let said = output("timedatectl", &["show", "--property=NTPSynchronized", "--value"])?;
    match said.trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

fn unit() -> Unit {
    let Some(path) = UNITS.iter().map(PathBuf::from).find(|path| path.exists()) else { return Unit::None };
    let shown = path.display().to_string();
    let said = output("systemd-analyze", &["security", "--offline=true", "--no-pager", &shown]);
    match said.as_deref().and_then(exposure) {
        Some(exposure) => Unit::Scored { path, exposure },
        None => Unit::Unknown(path),
    }
}

/// The figure in the last line of `systemd-analyze security`.
fn exposure(said: &str) -> Option<f64> {
    let line = said.lines().find(|line| line.contains("Overall exposure level"))?;
    line.split_once(": ")?.1.split_whitespace().next()?.parse().ok()
}

/// What another program prints, if it is there and done in time.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let printed = child.stdout.take()?;
    let (sender, receiver) = mpsc::channel();
    let reads = std::thread::Builder::new().name("output".into());
    let reading = reads.spawn(move || {
        let mut text = String::new();
        if printed.take(TEXT_MAX_BYTES).read_to_string(&mut text).is_ok() {
            let _ = sender.send(text);
        }
    });
    let said = reading.ok().and_then(|_| receiver.recv_timeout(PATIENCE).ok());
    // It may have closed its output and gone on.
    let _ = child.kill();
    let _ = child.wait();
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_the_kernel_writes_them() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max processes             unlimited            unlimited            processes \n\
                    Max open files            1024                 unlimited            files     \n";
        assert_eq!(limits_of(text), Some((Some(1024), None)));
        assert_eq!(limits_of("Max open files            many\n"), None);
    }

    #[test]
    fn memory_is_that_of_the_machine_or_of_the_narrowest_group() {
        assert_eq!(memory_of("MemTotal:        2048 kB\nMemFree: 7 kB\n"), Some(2 << 20));
        assert_eq!(memory_of("MemFree: 7 kB\n"), None);
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/b")).unwrap();
        let group = || memory_of_group("1:name=systemd:/x\n0::/a/b\n", root.path());
        assert_eq!(group(), None);
        fs::write(root.path().join("a/b/memory.max"), "max\n").unwrap();
        fs::write(root.path().join("a/memory.max"), "1073741824\n").unwrap();
        assert_eq!(group(), Some(1 << 30));
    }

    #[test]
    fn a_lock_is_found_by_its_file() {
        let locks = "1: POSIX  ADVISORY  WRITE 7 fe:00:55 0 EOF\n2: FLOCK  ADVISORY  WRITE 7 fe:00:66 0 EOF\n";
        let device = rustix::fs::makedev(0xfe, 0);
        assert!(is_locked(locks, device, 66, "8"), "the device and the inode");
        assert!(is_locked(locks, 1, 66, "7"), "the process and the inode");
        assert!(!is_locked(locks, 1, 66, "8") && !is_locked(locks, device, 67, "7"));
        assert!(!is_locked(locks, device, 55, "7"), "a lock of another kind is SQLite's");
    }

    #[test]
    fn what_others_say_is_understood() {
        let said = "…\n\n→ Overall exposure level for inkring.service: 1.2 OK 🙂\n";
        assert_eq!(exposure(said), Some(1.2));
        assert_eq!(exposure("Failed to load unit"), None);
        let of = |value: &str| proxy(&format!("{{\"proxy_header_untrusted\":{value}}}"));
        assert_eq!([of("null"), of("false"), of("true")], [Proxy::NotSeen, Proxy::NotSeen, Proxy::Seen(None)]);
        assert_eq!(of("\"10.0.0.7\""), Proxy::Seen("10.0.0.7".parse().ok()));
        assert_eq!([of("7"), proxy("{}"), proxy("nonsense")], [Proxy::Unknown, Proxy::Unknown, Proxy::Unknown]);
        assert_eq!(reason(r#"{"detail":"draining","error":{"message":"draining: it stops"}}"#), "draining: it stops");
        assert_eq!(reason("no JSON"), "no JSON");
        let checks =
            r#"{"checks":[{"name":"backup","warning":"old"},{"name":"clock","ok":false,"warning":"it jumped"}]}"#;
        assert_eq!(clock_warning(checks).as_deref(), Some("it jumped"));
        assert_eq!(clock_warning(r#"{"checks":[{"name":"clock","ok":true}]}"#), None);
    }

    #[test]
    fn the_disk_is_tried_and_nothing_stays() {
        let directory = tempfile::tempdir().unwrap();
        let Synced::Took(times) = sync_times(directory.path(), &Clock::system()) else { panic!() };
        assert_eq!(times.len(), SYNC_SAMPLES);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        assert!(matches!(sync_times(&directory.path().join("nowhere"), &Clock::system()), Synced::Failed(_)));
    }

    #[test]
    fn a_program_that_does_not_end_is_not_waited_for() {
        assert_eq!(output("sh", &["-c", "printf said; exec >&-; exec sleep 60"]).as_deref(), Some("said"));
        assert_eq!(output("inkring-no-such-program", &[]), None);
    }
}
