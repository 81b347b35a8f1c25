//! What is good and what is not: facts in, findings out.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use super::facts::{
    Configuration, Descriptors, Facts, Installation, Memory, Permissions, Place, Plane, Proxy, Running, Stored, Synced,
    Unit,
};
use crate::clock::Timestamp;
use crate::clock::steady::{AHEAD_MAX, TIME_MIN};
use crate::feature::doctor::Diagnosis;
use crate::features;
use crate::server::{CONNECTIONS_DEFAULT_MAX, connections_possible};
use crate::store::Room;
use crate::text::{size, span};

/// With less room than this nothing can be relied on.
const FREE_MIN_BYTES: u64 = 100_000_000;
/// With less room than this it is time to look for some.
const FREE_FEW_BYTES: u64 = 1_000_000_000;
/// The same as a part of the whole: a tenth.
const FREE_FEW_DIVISOR: u64 = 10;
/// A disk that takes longer than this to sync a small write is felt by those who wait for their changes.
const SYNC_SLOW: Duration = Duration::from_millis(20);
/// A disk that takes longer than this is broken, or shared with too many.
const SYNC_BAD: Duration = Duration::from_millis(200);
/// How far a clock may be behind the newest change: clocks are set back a little all the time.
const BEHIND_MAX: Duration = Duration::from_secs(2);
/// The highest exposure that `systemd-analyze security` should find, on its scale from 0 to 10.
const EXPOSURE_MAX: f64 = 2.0;

/// Everything that there is to say, in the order in which it is best put right.
pub(super) fn judge(facts: &Facts) -> Vec<Diagnosis> {
    let mut findings = configuration(&facts.configuration);
    if let Some(installation) = &facts.installation {
        findings.extend(of_installation(installation, facts.production));
    }
    let newest = facts.installation.as_ref().and_then(|installation| match &installation.stored {
        Stored::Read { newest, .. } => Some(*newest),
        _ => None,
    });
    let warning = facts.installation.as_ref().and_then(|installation| match &installation.running {
        Running::Answers { clock, .. } => clock.clone(),
        _ => None,
    });
    findings.push(clock(facts.now, newest, warning, facts.synchronised));
    findings.push(unit(&facts.unit));
    findings
}

fn of_installation(installation: &Installation, production: bool) -> Vec<Diagnosis> {
    let mut findings = permissions(&installation.permissions);
    findings.push(disk(installation.disk.as_ref(), installation.reserve_bytes, &installation.permissions.near));
    findings.push(file_system(installation.file_system, &installation.permissions.near));
    findings.push(sync(&installation.synced));
    findings.push(descriptors(&installation.descriptors));
    findings.push(memory(&installation.memory));
    findings.push(schema(&installation.stored));
    findings.extend(database(&installation.stored));
    findings.extend(installation.of_features.iter().cloned());
    findings.push(server(&installation.running));
    findings.push(plane(&installation.plane));
    findings.push(proxy(&installation.plane, production));
    findings
}

fn configuration(found: &Configuration) -> Vec<Diagnosis> {
    const CHECK: &str = "configuration";
    let mut findings = Vec::new();
    for problem in &found.problems {
        findings.push(Diagnosis::red(
            CHECK,
            problem.clone(),
            "correct it; inkring check-config then says whether anything is left",
        ));
    }
    for warning in &found.warnings {
        findings.push(Diagnosis::yellow(CHECK, warning.clone(), "correct it, or leave it if it is intended"));
    }
    if findings.is_empty() {
        findings.push(Diagnosis::green(CHECK, format!("{} settings, from {}", found.settings, found.given)));
    }
    findings
}

fn permissions(found: &Permissions) -> Vec<Diagnosis> {
    const CHECK: &str = "permissions";
    let mut findings: Vec<Diagnosis> = found.places.iter().filter_map(|place| exposed(CHECK, place)).collect();
    if let Err(why) = &found.writable {
        findings.push(Diagnosis::red(
            CHECK,
            format!("user {} cannot write to {}: {why}", found.user, found.near.display()),
            "run the server and the doctor as the owner of the directory, or change the owner with chown",
        ));
    }
    if findings.is_empty() {
        let near = found.near.display();
        findings.push(Diagnosis::green(CHECK, format!("{near} is writable, and not open to other users")));
    }
    findings
}

/// Whether others may do what they should not.
fn exposed(check: &'static str, place: &Place) -> Option<Diagnosis> {
    let (path, mode) = (place.path.display(), place.mode);
    let remedy = format!("chmod o= {path}");
    let can = |what| format!("{path} has mode {mode:04o}, so every user of this machine can {what}");
    match (mode & 0o002 != 0, mode & 0o004 != 0, place.directory) {
        (true, _, true) => Some(Diagnosis::red(check, can("replace the files in it"), remedy)),
        (true, _, false) => Some(Diagnosis::red(check, can("change it"), remedy)),
        (false, true, true) => Some(Diagnosis::yellow(check, can("list the files in it"), remedy)),
        (false, true, false) if place.private => Some(Diagnosis::red(check, can("read it"), remedy)),
        _ => None,
    }
}

fn disk(found: Result<&Room, &String>, reserve_bytes: u64, near: &Path) -> Diagnosis {
    const CHECK: &str = "disk";
    let near = near.display();
    let disk = match found {
        Ok(disk) => disk,
        Err(why) => {
            return Diagnosis::yellow(CHECK, format!("the free space in {near} is unknown: {why}"), "check it with df");
        }
    };
    let found = format!("{} of {} are free in {near}", size(disk.free_bytes), size(disk.total_bytes));
    let remedy = "free some space, or move the database to a larger disk: when the disk is full, the server refuses changes (storage_readonly)";
    if disk.free_bytes < FREE_MIN_BYTES.max(reserve_bytes) {
        Diagnosis::red(CHECK, found, remedy)
    } else if disk.free_bytes < FREE_FEW_BYTES || disk.free_bytes < disk.total_bytes / FREE_FEW_DIVISOR {
        Diagnosis::yellow(CHECK, found, remedy)
    } else {
        Diagnosis::green(CHECK, found)
    }
}

/// What a file system is to a database.
#[derive(Clone, Copy)]
enum Keeps {
    Local,
    /// Its locks, its shared memory or its syncs are not what SQLite relies on.
    Network,
    Memory,
    /// A program decides.
    Unknown,
}

/// Numbers from statfs(2), with what people call them.
const FILE_SYSTEMS: [(u64, &str, Keeps); 24] = [
    (0xef53, "ext4", Keeps::Local),
    (0x5846_5342, "xfs", Keeps::Local),
    (0x9123_683e, "btrfs", Keeps::Local),
    (0x2fc1_2fc1, "zfs", Keeps::Local),
    (0xf2f5_2010, "f2fs", Keeps::Local),
    (0xca45_1a4e, "bcachefs", Keeps::Local),
    (0x794c_7630, "overlayfs", Keeps::Local),
    (0x5265_4973, "reiserfs", Keeps::Local),
    (0x3153_464a, "jfs", Keeps::Local),
    (0x0102_1994, "tmpfs", Keeps::Memory),
    (0x8584_58f6, "ramfs", Keeps::Memory),
    (0x6969, "NFS", Keeps::Network),
    (0x517b, "SMB", Keeps::Network),
    (0xfe53_4d42, "SMB", Keeps::Network),
    (0xff53_4d42, "CIFS", Keeps::Network),
    (0x0102_1997, "9p", Keeps::Network),
    (0x00c3_6400, "Ceph", Keeps::Network),
    (0x5346_414f, "AFS", Keeps::Network),
    (0x6b41_4653, "AFS", Keeps::Network),
    (0x7375_7245, "Coda", Keeps::Network),
    (0x0bd0_0bd3, "Lustre", Keeps::Network),
    (0x0116_1970, "GFS2", Keeps::Network),
    (0x7461_636f, "OCFS2", Keeps::Network),
    (0x6573_5546, "FUSE", Keeps::Unknown),
];

fn file_system(found: Option<u64>, near: &Path) -> Diagnosis {
    const CHECK: &str = "file_system";
    let near = near.display();
    let Some(number) = found else {
        return Diagnosis::green(CHECK, format!("the system does not say which file system {near} is on"));
    };
    let Some((_, name, keeps)) = FILE_SYSTEMS.iter().find(|(known, ..)| *known == number) else {
        return Diagnosis::green(CHECK, format!("{near} is on an unknown file system of type {number:#x}"));
    };
    let found = format!("{near} is on {name}");
    match keeps {
        Keeps::Local => Diagnosis::green(CHECK, found),
        Keeps::Network => Diagnosis::red(
            CHECK,
            format!(
                "{found}, a network file system, where SQLite's locks are not reliable, so the database can be damaged"
            ),
            "set DATABASE_URL to a file on a local disk",
        ),
        Keeps::Memory => Diagnosis::yellow(
            CHECK,
            format!("{found}, in memory: the database is lost when the machine restarts"),
            "set DATABASE_URL to a file on a disk, unless the data is temporary",
        ),
        Keeps::Unknown => Diagnosis::yellow(
            CHECK,
            format!("{found}: whether confirmed changes survive a crash depends on the program behind it"),
            "if this is a network or encrypted file system, set DATABASE_URL to a file on a local disk",
        ),
    }
}

fn sync(found: &Synced) -> Diagnosis {
    const CHECK: &str = "fsync";
    let mut times = match found {
        Synced::Took(times) => times.clone(),
        Synced::Failed(why) => {
            return Diagnosis::yellow(
                CHECK,
                format!("the test could not write a small file: {why}"),
                "look at the checks disk and permissions",
            );
        }
    };
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    let worst = times.last().copied().unwrap_or_default();
    let found = format!("{} small writes: median {}, max {}", times.len(), millis(median), millis(worst));
    let remedy = "every change waits for this: use a local disk, and check what else writes to it";
    if median > SYNC_BAD {
        Diagnosis::red(CHECK, found, remedy)
    } else if median > SYNC_SLOW || worst > SYNC_BAD {
        Diagnosis::yellow(CHECK, found, remedy)
    } else {
        Diagnosis::green(CHECK, found)
    }
}

fn descriptors(found: &Descriptors) -> Diagnosis {
    const CHECK: &str = "descriptors";
    let Descriptors { soft, hard, of_server, max_connections, max_sockets } = *found;
    let number = |limit: Option<u64>| limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
    let possible = hard.map_or(usize::MAX, |limit| connections_possible(usize::try_from(limit).unwrap_or(usize::MAX)));
    let connections = if max_connections == 0 { CONNECTIONS_DEFAULT_MAX } else { max_connections }.min(possible);
    let who = if of_server { "the running server" } else { "a server started like this doctor" };
    let limits = match soft == hard {
        true => format!("{who} has an open-file limit of {}", number(soft)),
        false => format!("{who} has an open-file limit of {}, which it raises to {}", number(soft), number(hard)),
    };
    if max_connections > possible {
        return Diagnosis::yellow(
            CHECK,
            format!("{limits}: enough for {possible} connections, but not for MAX_CONNECTIONS={max_connections}"),
            "raise LimitNOFILE in the unit (ulimit -n in a shell), or lower MAX_CONNECTIONS",
        );
    }
    if let Some(sockets) = max_sockets.filter(|sockets| *sockets > connections) {
        return Diagnosis::yellow(
            CHECK,
            format!("{limits}: at most {connections} connections, fewer than WS_MAX_SOCKETS_GLOBAL={sockets}"),
            "raise LimitNOFILE in the unit (ulimit -n in a shell) or MAX_CONNECTIONS, or lower WS_MAX_SOCKETS_GLOBAL",
        );
    }
    Diagnosis::green(CHECK, format!("{limits}: at most {connections} connections"))
}

fn schema(found: &Stored) -> Diagnosis {
    const CHECK: &str = "schema";
    let known = features::schema().version();
    match found {
        Stored::Absent => Diagnosis::green(CHECK, "there is no database yet; the first start creates it".to_owned()),
        Stored::Newer { version } => Diagnosis::red(
            CHECK,
            format!("the database has schema version {version}, and this inkring knows versions up to {known}"),
            "run the newer inkring, or restore a backup made before the upgrade",
        ),
        Stored::Older { version } => Diagnosis::yellow(
            CHECK,
            format!("the database has schema version {version}, and this inkring has {known}"),
            "make a backup first: the next start of the server migrates the database, and older versions then refuse it",
        ),
        Stored::Unreadable(_) | Stored::Hidden(_) => {
            Diagnosis::green(CHECK, "unknown: the database cannot be read".to_owned())
        }
        Stored::Read { .. } => Diagnosis::green(CHECK, format!("version {known}, the same as this inkring")),
    }
}

/// Whether there is room for all that the server may keep.
fn memory(found: &Memory) -> Diagnosis {
    const CHECK: &str = "memory";
    let all: u64 = found.kept.iter().map(|kept| kept.bytes).sum();
    let parts: Vec<String> = found.kept.iter().map(|kept| format!("{} {}", kept.what, size(kept.bytes))).collect();
    let bounds = format!("together, the bounds allow {} of memory ({})", size(all), parts.join(", "));
    let (allowed, has) = match (found.machine, found.group) {
        (None, None) => return Diagnosis::green(CHECK, format!("{bounds}; the memory of this machine is unknown")),
        (Some(machine), Some(group)) if group < machine => (group, "its control group allows"),
        (Some(machine), _) => (machine, "this machine has"),
        (None, Some(group)) => (group, "its control group allows"),
    };
    let found = format!("{bounds}, and {has} {}", size(allowed));
    match allowed < all {
        true => Diagnosis::yellow(
            CHECK,
            found,
            "the server uses far less unless it is attacked; lower SHARDS, MAX_CONNECTIONS or WRITER_QUEUE_JOBS, or raise \
             MemoryMax= in the unit",
        ),
        false => Diagnosis::green(CHECK, found),
    }
}

fn database(found: &Stored) -> Vec<Diagnosis> {
    const CHECK: &str = "database";
    let restore = "stop the server, keep the file, and restore the newest intact backup";
    match found {
        Stored::Absent | Stored::Newer { .. } | Stored::Older { .. } => Vec::new(),
        Stored::Unreadable(why) => vec![Diagnosis::red(CHECK, why.clone(), restore)],
        Stored::Hidden(why) => {
            let there = "run the doctor as the server's user or as root, or correct DATABASE_URL";
            vec![Diagnosis::red(CHECK, why.clone(), there)]
        }
        Stored::Read { bytes, checked: None, .. } => {
            let found = format!("{} including its log, too large to check here: every backup checks it", size(*bytes));
            vec![Diagnosis::green(CHECK, found)]
        }
        Stored::Read { bytes, checked: Some(complaints), .. } => match complaints.first() {
            None => vec![Diagnosis::green(CHECK, format!("{} including its log, intact", size(*bytes)))],
            Some(first) => vec![Diagnosis::red(CHECK, format!("it is damaged: {first}"), restore)],
        },
    }
}

fn server(found: &Running) -> Diagnosis {
    const CHECK: &str = "server";
    match found {
        Running::No => Diagnosis::yellow(
            CHECK,
            "no server has this database open".to_owned(),
            "start it: inkring serve, or systemctl start inkring",
        ),
        Running::SomewhereElse { pid } => Diagnosis::green(
            CHECK,
            format!("process {pid} has the database open; LISTEN_ADDR does not say on which port it listens",),
        ),
        Running::Silent { pid, why } => Diagnosis::red(
            CHECK,
            format!("process {pid} has the database open, and does not answer: {why}"),
            "check its last log lines; if they do not help, restart it",
        ),
        Running::Answers { pid, status: 200, .. } => {
            Diagnosis::green(CHECK, format!("process {pid} has the database open and is ready"))
        }
        Running::Answers { pid, status, says, .. } => Diagnosis::red(
            CHECK,
            format!("process {pid} has the database open and is not ready: /readyz returns {status}: {says}"),
            "fix the cause; the server then recovers by itself",
        ),
    }
}

fn plane(found: &Plane) -> Diagnosis {
    const CHECK: &str = "private_plane";
    match found {
        Plane::Off => Diagnosis::green(CHECK, "it is off (OPS_ADDR=off)".to_owned()),
        Plane::NotAsked => Diagnosis::green(CHECK, "not checked: no server is running".to_owned()),
        Plane::Silent(why) => Diagnosis::red(
            CHECK,
            format!("it does not answer: {why}"),
            "check that the doctor uses the server's OPS_ADDR and OPS_TOKEN; if it does, the server's log says why",
        ),
        Plane::Answers { status: 200, .. } => Diagnosis::green(CHECK, "it answers".to_owned()),
        Plane::Answers { status: 401 | 403, .. } => Diagnosis::red(
            CHECK,
            "it rejects this OPS_TOKEN".to_owned(),
            "run the doctor with the server's settings and secrets",
        ),
        Plane::Answers { status, .. } => Diagnosis::yellow(
            CHECK,
            format!("GET /status returns {status}"),
            "check that OPS_ADDR is the address of this server's private plane",
        ),
    }
}

fn proxy(found: &Plane, production: bool) -> Diagnosis {
    const CHECK: &str = "proxy";
    let Plane::Answers { proxy, .. } = found else {
        return Diagnosis::green(CHECK, "unknown: only the private plane of a running server reports it".to_owned());
    };
    match proxy {
        Proxy::Unknown => Diagnosis::green(CHECK, "unknown: the server does not report it".to_owned()),
        Proxy::NotSeen => Diagnosis::green(CHECK, "no untrusted proxy seen".to_owned()),
        Proxy::Seen(peer) => {
            let who = peer.map_or_else(|| "somebody".to_owned(), |peer| peer.to_string());
            let found = format!("{who} sends X-Forwarded-For but is not a trusted proxy: all its clients count as one");
            let remedy = "if it is your proxy, add it to TRUSTED_PROXIES; if not, let only the proxy reach the port";
            // Anyone can send the header from afar; from near by, hardly anything but a proxy does.
            if production && peer.is_some_and(is_near) {
                Diagnosis::red(CHECK, found, remedy)
            } else {
                Diagnosis::yellow(CHECK, found, remedy)
            }
        }
    }
}

fn clock(now: Timestamp, newest: Option<Timestamp>, warning: Option<String>, synchronised: Option<bool>) -> Diagnosis {
    const CHECK: &str = "clock";
    let shown = Timestamp(now.0 - now.0.rem_euclid(1_000_000)).offset_style();
    let remedy = "set it, and keep it synchronized with NTP: timedatectl set-ntp true";
    let behind = newest.map_or(Duration::ZERO, |newest| newest.ahead_of(now));
    if now < TIME_MIN {
        return Diagnosis::red(
            CHECK,
            format!("it is set to {shown}, which is in the past; tokens are checked against it"),
            remedy,
        );
    }
    if behind > AHEAD_MAX {
        return Diagnosis::red(
            CHECK,
            format!("it is {} behind the newest change: it is wrong now, or was wrong then", span(behind.as_secs())),
            "if it is wrong now, set it; if it is right, leave the server running: once the clock has been steady \
             for an hour, times of changes follow it again",
        );
    }
    if behind > BEHIND_MAX {
        let found = format!(
            "it is {} behind the newest change: the times of changes stand still until it catches up",
            span(behind.as_secs())
        );
        return Diagnosis::red(CHECK, found, remedy);
    }
    if let Some(warning) = warning {
        let remedy = "if it is right now, do nothing; if not, set it, and keep it synchronized with NTP: timedatectl \
            set-ntp true";
        return Diagnosis::yellow(CHECK, format!("the server says: {warning}"), remedy);
    }
    match synchronised {
        Some(true) => Diagnosis::green(CHECK, format!("{shown}, synchronized")),
        Some(false) => Diagnosis::yellow(CHECK, format!("{shown}, not synchronized"), remedy),
        None => Diagnosis::green(CHECK, format!("{shown}; whether it is synchronized is unknown")),
    }
}

fn unit(found: &Unit) -> Diagnosis {
    const CHECK: &str = "unit";
    match found {
        Unit::None => Diagnosis::green(CHECK, "it is not installed as a systemd unit".to_owned()),
        Unit::Unknown(path) => {
            Diagnosis::green(CHECK, format!("systemd-analyze reports nothing about {}", path.display()))
        }
        Unit::Scored { path, exposure } if *exposure > EXPOSURE_MAX => Diagnosis::yellow(
            CHECK,
            format!(
                "the exposure of {} is {exposure:.1} of 10; at most {EXPOSURE_MAX:.1} is recommended",
                path.display()
            ),
            "use the unit written by inkring setup; systemd-analyze security inkring lists what is missing",
        ),
        Unit::Scored { path, exposure } => {
            Diagnosis::green(CHECK, format!("{} is sandboxed: exposure {exposure:.1} of 10", path.display()))
        }
    }
}

/// Whether this is an address of this machine or of a network that is not the Internet.
fn is_near(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
    }
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::doctor::Colour;
    use crate::server::MemoryPart;

    const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

    /// A good installation for production.
    fn good() -> Facts {
        let place = |path: &str, mode, directory| Place { path: path.into(), mode, directory, private: true };
        Facts {
            production: true,
            configuration: Configuration {
                settings: 61,
                given: ".env (11) and the environment (0)".to_owned(),
                ..Configuration::default()
            },
            installation: Some(Installation {
                permissions: Permissions {
                    near: "/var/lib/inkring".into(),
                    writable: Ok(()),
                    user: 999,
                    places: vec![
                        place("/var/lib/inkring", 0o700, true),
                        place("/var/lib/inkring/inkring.db", 0o600, false),
                    ],
                },
                reserve_bytes: 8 << 20,
                disk: Ok(Room { free_bytes: 8_000_000_000, total_bytes: 20_000_000_000 }),
                file_system: Some(0xef53),
                synced: Synced::Took(vec![Duration::from_millis(2); 8]),
                descriptors: Descriptors {
                    soft: Some(1024),
                    hard: Some(16_384),
                    of_server: true,
                    max_connections: 0,
                    max_sockets: Some(1000),
                },
                memory: Memory {
                    kept: vec![MemoryPart { what: "all", bytes: 600 << 20 }],
                    machine: Some(1 << 30),
                    group: None,
                },
                stored: Stored::Read { bytes: 1 << 20, newest: Timestamp(NOW.0 - 1), checked: Some(Vec::new()) },
                of_features: vec![Diagnosis::green("toy", String::new())],
                running: Running::Answers { pid: "7".into(), status: 200, says: String::new(), clock: None },
                plane: Plane::Answers { status: 200, proxy: Proxy::NotSeen },
            }),
            now: NOW,
            synchronised: Some(true),
            unit: Unit::Scored { path: "/etc/systemd/system/inkring.service".into(), exposure: 0.4 },
        }
    }

    /// The findings with this fault: the one that is not green, and its state.
    #[track_caller]
    fn with(fault: impl FnOnce(&mut Facts, &mut Installation)) -> (&'static str, Colour, String) {
        let mut facts = good();
        let mut installation = facts.installation.take().unwrap();
        fault(&mut facts, &mut installation);
        facts.installation = Some(installation);
        let findings = judge(&facts);
        let wrong: Vec<_> = findings.iter().filter(|finding| finding.colour != Colour::Green).collect();
        let [one] = wrong[..] else { panic!("one fault, one finding: {findings:#?}") };
        assert!(one.remedy.as_ref().is_some_and(|remedy| !remedy.is_empty()), "{one:?}");
        (one.check, one.colour, one.found.clone())
    }

    /// Holds a fault to its check, its state and a part of what is said of it.
    #[track_caller]
    fn seeded(check: &str, colour: Colour, says: &str, fault: impl FnOnce(&mut Facts, &mut Installation)) {
        let found = with(fault);
        assert_eq!((found.0, found.1), (check, colour), "{found:?}");
        assert!(found.2.contains(says), "{found:?}");
    }

    use crate::feature::doctor::Colour::{Red, Yellow};

    #[test]
    fn a_good_installation_is_green_all_over() {
        let findings = judge(&good());
        let colours: Vec<_> = findings.iter().filter(|finding| finding.colour != Colour::Green).collect();
        assert!(colours.is_empty(), "{colours:#?}");
        assert!(findings.iter().all(|finding| finding.remedy.is_none()));
        let checks: Vec<&str> = findings.iter().map(|finding| finding.check).collect();
        let all = [
            "configuration",
            "permissions",
            "disk",
            "file_system",
            "fsync",
            "descriptors",
            "memory",
            "schema",
            "database",
            "toy",
            "server",
            "private_plane",
            "proxy",
            "clock",
            "unit",
        ];
        assert_eq!(checks, all);
    }

    #[test]
    fn what_cannot_be_told_is_green_and_says_so() {
        let mut facts = good();
        facts.synchronised = None;
        facts.unit = Unit::None;
        let installation = facts.installation.as_mut().unwrap();
        installation.file_system = Some(0x1234);
        installation.stored = Stored::Absent;
        installation.plane = Plane::Off;
        installation.running = Running::SomewhereElse { pid: "7".into() };
        let findings = judge(&facts);
        assert!(findings.iter().all(|finding| finding.colour == Colour::Green), "{findings:#?}");
        let said: String = findings.iter().map(|finding| finding.found.as_str()).collect();
        for words in [
            "synchronized is unknown",
            "not installed",
            "0x1234",
            "no database yet",
            "it is off",
            "only the private plane of a running server",
        ] {
            assert!(said.contains(words), "{words}: {said}");
        }
    }

    #[test]
    fn a_bad_configuration_is_all_there_is_to_say_of_it() {
        let mut facts = good();
        facts.configuration.problems = vec!["SHARDS=x".into(), "ENV=y".into()];
        facts.configuration.warnings = vec!["careful".into()];
        facts.installation = None;
        let found: Vec<_> = judge(&facts).into_iter().map(|finding| (finding.check, finding.colour)).collect();
        let expected = [
            ("configuration", Red),
            ("configuration", Red),
            ("configuration", Yellow),
            ("clock", Colour::Green),
            ("unit", Colour::Green),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn permissions_are_for_one() {
        let place = |mode, directory, private| {
            move |_: &mut Facts, installation: &mut Installation| {
                let place = Place { path: "/x/y".into(), mode, directory, private };
                installation.permissions.places.push(place);
            }
        };
        seeded(
            "permissions",
            Red,
            "/x/y has mode 0604, so every user of this machine can read it",
            place(0o604, false, true),
        );
        seeded("permissions", Red, "can change it", place(0o602, false, false));
        seeded("permissions", Red, "can replace the files in it", place(0o1777, true, true));
        seeded("permissions", Yellow, "can list the files in it", place(0o755, true, true));
        seeded("permissions", Red, "user 999 cannot write to /var/lib/inkring: no", |_, found| {
            found.permissions.writable = Err("no".into());
        });
    }

    #[test]
    fn a_disk_needs_room() {
        let free = |free_bytes, total_bytes| {
            move |_: &mut Facts, found: &mut Installation| found.disk = Ok(Room { free_bytes, total_bytes })
        };
        seeded("disk", Red, "99 MB of 2.0 GB are free", free(99_999_999, 2_000_000_000));
        seeded("disk", Yellow, "100 MB of", free(100_000_000, 200_000_000));
        seeded("disk", Yellow, "19.9 GB of 200.0 GB", free(19_999_999_999, 200_000_000_000));
        seeded("disk", Yellow, "unknown: why", |_, found| found.disk = Err("why".into()));
        seeded("disk", Red, "500 MB of", |_, found| {
            found.disk = Ok(Room { free_bytes: 500_000_000, total_bytes: 1_000_000_000 });
            found.reserve_bytes = 1 << 29;
        });
    }

    #[test]
    fn a_file_system_is_local_and_lasts() {
        for (number, state, name) in [
            (0x6969, Red, "NFS"),
            (0xff53_4d42, Red, "CIFS"),
            (0x0102_1994, Yellow, "tmpfs"),
            (0x6573_5546, Yellow, "FUSE"),
        ] {
            seeded("file_system", state, name, |_, found| found.file_system = Some(number));
        }
    }

    #[test]
    fn a_disk_keeps_things_quickly() {
        let took = |millis: [u64; 4]| {
            move |_: &mut Facts, found: &mut Installation| {
                found.synced = Synced::Took(millis.map(Duration::from_millis).to_vec());
            }
        };
        seeded("fsync", Yellow, "median 21.0 ms, max 22.0 ms", took([22, 21, 21, 1]));
        seeded("fsync", Yellow, "max 201.0 ms", took([1, 1, 1, 201]));
        seeded("fsync", Red, "median 201.0 ms", took([201; 4]));
        seeded("fsync", Yellow, "could not write a small file", |_, found| found.synced = Synced::Failed("why".into()));
    }

    #[test]
    fn descriptors_are_enough_for_what_is_promised() {
        seeded("descriptors", Yellow, "enough for 256 connections, but not for MAX_CONNECTIONS=5000", |_, found| {
            found.descriptors.hard = Some(384);
            found.descriptors.max_connections = 5000;
        });
        seeded("descriptors", Yellow, "at most 20 connections, fewer than WS_MAX_SOCKETS_GLOBAL=1000", |_, found| {
            found.descriptors.hard = Some(40);
        });
        seeded("descriptors", Yellow, "at most 10000 connections", |_, found| {
            found.descriptors.hard = None;
            found.descriptors.max_sockets = Some(10_001);
        });
        for (soft, says) in [(40, "limit of 40: at most"), (20, "limit of 20, which it raises to 40: at most")] {
            seeded("descriptors", Yellow, says, |_, found| {
                (found.descriptors.soft, found.descriptors.hard) = (Some(soft), Some(40));
            });
        }
    }

    #[test]
    fn memory_is_enough_for_all_that_may_be_kept() {
        let there = |machine, group| {
            move |_: &mut Facts, found: &mut Installation| (found.memory.machine, found.memory.group) = (machine, group)
        };
        let little = Some(512 << 20);
        let said = "allow 629 MB of memory (all 629 MB), and this machine has 536 MB";
        seeded("memory", Colour::Yellow, said, there(little, None));
        seeded("memory", Colour::Yellow, said, there(little, Some(1 << 30)));
        for machine in [None, Some(1 << 30)] {
            seeded("memory", Colour::Yellow, "and its control group allows 536 MB", there(machine, little));
        }
        let mut facts = good();
        there(None, None)(&mut good(), facts.installation.as_mut().unwrap());
        assert!(judge(&facts).iter().any(|found| found.check == "memory" && found.colour == Colour::Green));
    }

    #[test]
    fn a_database_is_of_this_version_and_whole() {
        seeded("schema", Red, "has schema version 99", |_, found| found.stored = Stored::Newer { version: 99 });
        seeded("schema", Yellow, "has schema version 1", |_, found| found.stored = Stored::Older { version: 1 });
        seeded("database", Red, "why", |_, found| found.stored = Stored::Unreadable("why".into()));
        seeded("database", Red, "why", |_, found| found.stored = Stored::Hidden("why".into()));
        seeded("database", Red, "it is damaged: page 7", |_, found| {
            found.stored =
                Stored::Read { bytes: 1, newest: NOW, checked: Some(vec!["page 7".into(), "page 8".into()]) };
        });
        let mut large = good();
        large.installation.as_mut().unwrap().stored = Stored::Read { bytes: 1 << 40, newest: NOW, checked: None };
        assert!(judge(&large).iter().any(|finding| finding.found.contains("too large to check here")));
    }

    #[test]
    fn a_server_runs_and_answers() {
        let pid = || "7".to_owned();
        seeded("server", Yellow, "no server", |_, found| found.running = Running::No);
        seeded("server", Red, "does not answer: why", |_, found| {
            found.running = Running::Silent { pid: pid(), why: "why".into() };
        });
        seeded("server", Red, "/readyz returns 503: draining", |_, found| {
            found.running = Running::Answers { pid: pid(), status: 503, says: "draining".into(), clock: None };
        });
        let answers = |status| Plane::Answers { status, proxy: Proxy::Unknown };
        seeded("private_plane", Red, "why", |_, found| found.plane = Plane::Silent("why".into()));
        seeded("private_plane", Red, "OPS_TOKEN", |_, found| found.plane = answers(401));
        seeded("private_plane", Yellow, "404", |_, found| found.plane = answers(404));
    }

    #[test]
    fn a_proxy_is_trusted_or_none() {
        let seen = |peer: &'static str| {
            move |_: &mut Facts, found: &mut Installation| {
                found.plane = Plane::Answers { status: 200, proxy: Proxy::Seen(peer.parse().ok()) };
            }
        };
        for near in ["127.0.0.1", "10.1.2.3", "::ffff:192.168.0.1", "fd00::1"] {
            seeded("proxy", Red, "sends X-Forwarded-For but is not a trusted proxy", seen(near));
        }
        seeded("proxy", Yellow, "203.0.113.9 sends", seen("203.0.113.9"));
        seeded("proxy", Yellow, "somebody sends", seen(""));
        seeded("proxy", Yellow, "127.0.0.1 sends", |facts, found| {
            facts.production = false;
            seen("127.0.0.1")(facts, found);
        });
    }

    #[test]
    fn a_clock_shows_the_time() {
        let set = |now: i64| move |facts: &mut Facts, _: &mut Installation| facts.now = Timestamp(now);
        seeded("clock", Red, "it is 3 seconds behind the newest change", set(NOW.0 - 3_000_001));
        seeded("clock", Yellow, "not synchronized", |facts, _| facts.synchronised = Some(false));
        seeded(
            "clock",
            Red,
            "it is 400 days behind the newest change: it is wrong now, or was wrong then",
            |_, found| {
                found.stored =
                    Stored::Read { bytes: 1, newest: NOW.later(Duration::from_secs(400 * 86_400)), checked: None };
            },
        );
        seeded("clock", Yellow, "the server says: it jumped", |_, found| {
            let Running::Answers { clock, .. } = &mut found.running else { panic!() };
            *clock = Some("it jumped".into());
        });
        seeded("clock", Red, "it is set to 1970-01-01T00:00:00+00:00", |facts, found| {
            (facts.now, found.stored) = (Timestamp(7), Stored::Absent);
        });
    }

    #[test]
    fn a_unit_is_confined() {
        seeded("unit", Yellow, "9.2 of 10; at most 2.0 is recommended", |facts, _| {
            facts.unit = Unit::Scored { path: "/x".into(), exposure: 9.2 };
        });
    }
}
