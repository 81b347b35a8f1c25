//! Children: building the servers, and starting one with a known environment, pinned to a core.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use inkring_testkit::process::Process;
use rustix::process::Signal;
use rustix::thread::CpuSet;
use tempfile::TempDir;

use crate::options::Result;

/// A cold build with full LTO takes minutes on a small machine, but it does end.
const BUILD_PATIENCE: Duration = Duration::from_secs(30 * 60);
/// Where [`Server::nginx`] writes, in its directory.
const NGINX_LOG: &str = "events.log";
/// A registry may be slow.
const INSTALL_PATIENCE: Duration = Duration::from_secs(180);
const START_PATIENCE: Duration = Duration::from_secs(10);
const END_PATIENCE: Duration = Duration::from_secs(40);

/// Builds the real server and returns where it is: what is measured is what the tree holds now.
pub fn build_server() -> Result<PathBuf> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let server = env::current_exe()?.with_file_name("inkring");
    build(root, &["--bin", "inkring"], server)
}

/// Builds the servers to compare with and returns where they are.
pub fn build_peers() -> Result<PathBuf> {
    let target = env::current_exe()?.with_file_name("peers");
    let directory = target.to_str().ok_or("a path that is not UTF-8")?;
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/peers"));
    build(root, &["--locked", "--target-dir", directory], target.join("release/inkring-bench-peers"))
}

/// Installs the servers that rooms are compared with and returns where they are; says why not where that is not possible.
pub fn install_rooms() -> Result<PathBuf> {
    let directory = env::current_exe()?.with_file_name("inkring-bench.node");
    let wanted = include_str!("../peers/rooms/package.json");
    let manifest = directory.join("package.json");
    if fs::read_to_string(directory.join("installed")).is_ok_and(|installed| installed == wanted) {
        return Ok(directory);
    }
    let npm = program_called("npm").ok_or("npm is not installed")?;
    fs::create_dir_all(&directory)?;
    fs::write(manifest, wanted)?;
    let mut install = Command::new(npm);
    install.args(["install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]);
    let mut install = Process::spawn(install.arg(&directory).stdin(Stdio::null()).stdout(Stdio::null()))?;
    match install.wait(INSTALL_PATIENCE)? {
        Some(status) if status.success() => {}
        _ => return Err("npm could not install what rooms are compared with".into()),
    }
    fs::write(directory.join("installed"), wanted)?;
    Ok(directory)
}

/// Where a program is that is not ours.
pub fn program_called(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    places.find_map(|place| Some(place.join(name)).filter(|program| program.is_file()))
}

/// `cargo build --release` in `root`, which makes `program`.
fn build(root: &Path, arguments: &[&str], program: PathBuf) -> Result<PathBuf> {
    if cfg!(debug_assertions) {
        return Err("a debug build measures nothing: use cargo run --release".into());
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo)
        .args(["build", "--release"])
        .args(arguments)
        .current_dir(root)
        .stdout(Stdio::null())
        .spawn()?;
    let deadline = Instant::now() + BUILD_PATIENCE;
    let status = loop {
        if let Some(status) = build.try_wait()? {
            break status;
        }
        if Instant::now() > deadline {
            build.kill()?;
            build.wait()?;
            return Err("the build did not end in 30 minutes".into());
        }
        thread::sleep(Duration::from_millis(50));
    };
    if !status.success() {
        return Err(format!("the build failed: {status}").into());
    }
    match program.is_file() {
        true => Ok(program),
        false => Err(format!("the build did not make {}: run this program through cargo", program.display()).into()),
    }
}

/// A directory that goes when its owner does.
///
/// It lies beside the executable, not in /tmp, because that is often memory, where fdatasync
/// costs nothing. What a killed run left behind is removed by the next one.
pub fn directory() -> Result<TempDir> {
    directory_in(&env::current_exe()?.with_file_name("inkring-bench.tmp"))
}

/// One where fdatasync does cost nothing, for what is not about the disk.
pub fn directory_in_memory() -> Result<TempDir> {
    directory_in(Path::new("/dev/shm/inkring-bench.tmp"))
}

fn directory_in(parent: &Path) -> Result<TempDir> {
    fs::create_dir_all(parent)?;
    for entry in fs::read_dir(parent)?.flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.split('-').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
    Ok(tempfile::Builder::new().prefix(&format!("{}-", std::process::id())).tempdir_in(parent)?)
}

/// A running server. The fields drop in this order: first the child, then its directory.
pub struct Server {
    process: Process,
    pub address: SocketAddr,
    pub spawned: Instant,
    directory: Option<TempDir>,
}

impl Server {
    pub fn inkring(program: &Path, core: Option<usize>) -> Result<Self> {
        Self::inkring_with(program, core, &[])
    }

    /// With more settings than every mode has.
    pub fn inkring_with(program: &Path, core: Option<usize>, settings: &[(&str, &str)]) -> Result<Self> {
        Self::inkring_in(directory()?, program, core, settings)
    }

    /// With its database in a directory of one's own choice.
    pub fn inkring_in(
        directory: TempDir,
        program: &Path,
        core: Option<usize>,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        // Ends the server's search for a .env file here, before it finds the developer's.
        fs::write(directory.path().join(".env"), "")?;
        let mut database = OsString::from("sqlite:");
        database.push(directory.path().join("inkring.db"));
        let mut command = pinned(program, core)?;
        command
            .current_dir(directory.path())
            .env_clear()
            .env("LISTEN_ADDR", "127.0.0.1:0")
            .env("OPS_ADDR", "off")
            .env("DATABASE_URL", database)
            .env("LOG_LEVEL", "warn")
            .env("MAX_CONNECTIONS_PER_ADDRESS", "100000")
            // The run decides how many there are.
            .env("MAX_SEGMENTS_PER_DRAFT", "0")
            .envs(settings.iter().copied());
        Self::start(command, Some(directory))
    }

    /// `program`: what [`build_peers`] made; `name`: which of its servers.
    pub fn peer(program: &Path, name: &str, core: Option<usize>) -> Result<Self> {
        let mut command = pinned(program, core)?;
        command.arg(name).env_clear();
        Self::start(command, None)
    }

    /// The bare loop, which is this program.
    pub fn bare(core: Option<usize>) -> Result<Self> {
        let mut command = pinned(&env::current_exe()?, core)?;
        command.arg("bare").env_clear();
        Self::start(command, None)
    }

    /// nginx as a collector of events is set up with it: each request is answered by an empty picture, and is a line in a log.
    /// None where it is not installed.
    pub fn nginx(core: Option<usize>) -> Result<Option<Self>> {
        let log = format!(
            "log_format event escape=json '{{\"at\":\"$time_iso8601\",\"args\":\"$args\",\
             \"user_agent\":\"$http_user_agent\"}}'; access_log {NGINX_LOG} event;"
        );
        Self::nginx_as(core, &log, "; location / { empty_gif; }")
    }

    /// nginx with these lines among those of `http`, and one server that has these behind its address. None where it is not
    /// installed.
    pub fn nginx_as(core: Option<usize>, http: &str, server: &str) -> Result<Option<Self>> {
        let Some(program) = program_called("nginx") else { return Ok(None) };
        let directory = directory()?;
        // It cannot say which port it was given.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let temporary =
            ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|of| format!("{of}_temp_path tmp;")).join(" ");
        fs::write(
            directory.path().join("nginx.conf"),
            format!(
                "daemon off; master_process off; pid pid; error_log stderr crit; events {{ worker_connections 1024; }} \
                 http {{ {temporary} keepalive_requests 1000000000; {http} server {{ listen {address} {server} }} }}"
            ),
        )?;
        let mut command = pinned(&program, core)?;
        command.arg("-e").arg("stderr").arg("-p").arg(directory.path()).args(["-c", "nginx.conf"]).env_clear();
        let (spawned, process) = (Instant::now(), Process::spawn(command.stdin(Stdio::null()))?);
        while TcpStream::connect(address).is_err() {
            if spawned.elapsed() > START_PATIENCE {
                return Err("nginx does not start".into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(Some(Self { process, address, spawned, directory: Some(directory) }))
    }

    /// A server under Node that is told by HOST and PORT where to listen.
    pub fn node(script: &Path, core: Option<usize>) -> Result<Self> {
        let node = program_called("node").ok_or("node is not installed")?;
        // It cannot say which port it was given.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = pinned(&node, core)?;
        command.arg(script).env_clear().env("HOST", "127.0.0.1").env("PORT", address.port().to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let (spawned, process) = (Instant::now(), Process::spawn(&mut command)?);
        while TcpStream::connect(address).is_err() {
            if spawned.elapsed() > START_PATIENCE {
                return Err(format!("{} does not start", script.display()).into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(Self { process, address, spawned, directory: None })
    }

    /// Ends it as an operator does, and returns its directory.
    pub fn end(mut self) -> Result<TempDir> {
        let process = i32::try_from(self.process.id())?;
        let process = rustix::process::Pid::from_raw(process).ok_or("no process")?;
        rustix::process::kill_process(process, Signal::TERM)?;
        self.process.wait(END_PATIENCE)?.ok_or("it does not end")?;
        self.directory.ok_or("it has no directory".into())
    }

    fn start(mut command: Command, directory: Option<TempDir>) -> Result<Self> {
        let spawned = Instant::now();
        let (process, address) = Process::serve(command.stdin(Stdio::null()), START_PATIENCE)?;
        Ok(Self { process, address, spawned, directory })
    }

    /// CPU seconds of all its threads so far.
    pub fn cpu_seconds(&self) -> f64 {
        self.process.cpu_seconds()
    }

    /// How often its threads have gone to sleep and been woken again, all together.
    pub fn wake_ups(&self) -> u64 {
        self.process.wake_ups()
    }

    /// Resident memory now, in KB.
    pub fn rss(&self) -> u64 {
        self.process.status("VmRSS")
    }

    /// How many threads it has.
    pub fn threads(&self) -> u64 {
        self.process.status("Threads")
    }

    /// How many descriptors it has open.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.process.id())).map_or(0, |open| open.count())
    }

    /// Has the most resident memory counted from now on.
    pub fn reset_peak(&self) -> Result<()> {
        Ok(fs::write(format!("/proc/{}/clear_refs", self.process.id()), "5")?)
    }

    /// The most resident memory so far, or since [`Server::reset_peak`], in KB.
    pub fn peak_rss(&self) -> u64 {
        self.process.status("VmHWM")
    }
}

/// CPU seconds that all cores together were not idle, or were taken by the host.
pub fn machine_cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let ticks: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal; guest time is in user already.
    let busy: f64 = [0, 1, 2, 5, 6, 7].iter().filter_map(|&field| ticks.get(field)).sum();
    busy / rustix::param::clock_ticks_per_second() as f64
}

/// The cores for the server and for the load, when there are two to keep apart.
pub fn two_cores() -> Result<Option<(usize, usize)>> {
    let allowed = rustix::thread::sched_getaffinity(None)?;
    let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
    Ok(cores.next().zip(cores.next()))
}

/// Keeps the load away from the servers, which were started by now so that none of them inherits it, and says so.
pub fn pin_the_load(cores: Option<(usize, usize)>, unpinned: &str) -> Result<()> {
    let Some((server, load)) = cores else {
        println!("not pinned: {unpinned}");
        return Ok(());
    };
    pin_this_thread(load)?;
    println!("every server pinned to core {server}, the load to core {load}");
    if are_siblings(server, load) {
        println!("(the two are threads of one physical core and slow each other down)");
    }
    Ok(())
}

pub fn pin_this_thread(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(rustix::thread::sched_setaffinity(None, &set)?)
}

/// Whether two cores are threads of one physical core, which share what is measured.
fn are_siblings(one: usize, other: usize) -> bool {
    let id = |core| {
        let topology = format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings");
        fs::read_to_string(topology).ok()
    };
    id(one).is_some_and(|siblings| Some(siblings) == id(other))
}

/// A command that runs `program` through `pin_and_exec`.
fn pinned(program: &Path, core: Option<usize>) -> Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    let core = core.map_or("any".into(), |core| core.to_string());
    command.args(["pin", &core, "--"]).arg(program);
    Ok(command)
}

/// `pin CORE|any -- PROGRAM ARGS…`: sets on itself what the program then inherits, because
/// doing it between fork and exec would need unsafe code.
pub fn pin_and_exec(mut words: impl Iterator<Item = String>) -> Result<u64> {
    // However the benchmark ends, even by SIGKILL, the server ends with it.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let (Some(core), Some(_), Some(program)) = (words.next(), words.next(), words.next()) else {
        return Err("usage: pin CORE|any -- PROGRAM ARGS".into());
    };
    if core != "any" {
        pin_this_thread(core.parse()?)?;
    }
    Err(Command::new(program).args(words).exec().into())
}
