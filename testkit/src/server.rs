//! The server under test, with a directory of its own.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::process::Process;
use crate::{Answer, Client, PATIENCE, wait_for};

/// A server process with a directory of its own.
pub struct Server {
    pub address: SocketAddr,
    pub directory: tempfile::TempDir,
    settings: Vec<(String, String)>,
    /// What a shell does before it becomes the server.
    pub before: Option<String>,
    process: Option<Process>,
}

impl Server {
    /// With the defaults, but on a port that is free and a database of its own.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With these environment variables besides.
    pub fn with(settings: &[(&str, &str)]) -> Self {
        let mut server = Self::absent(settings);
        server.launch();
        server
    }

    /// The same under a limit of open descriptors.
    pub fn limited(settings: &[(&str, &str)], descriptors: u32) -> Self {
        Self::after(settings, &format!("ulimit -n {descriptors}"))
    }

    /// The same in a shell that has done this before.
    pub fn after(settings: &[(&str, &str)], before: &str) -> Self {
        let mut server = Self::absent(settings);
        server.before = Some(before.to_owned());
        server.launch();
        server
    }

    /// From the next launch on, in a shell that has done this before.
    pub fn then_after(&mut self, before: &str) {
        self.before = Some(before.to_owned());
    }

    /// A process that was killed, maybe in the middle of its first start, when `until` returned.
    pub fn start_cut_short(until: impl FnOnce(&Path)) -> Self {
        let mut server = Self::absent(&[]);
        server.process = Some(Process::spawn(server.command().stdout(Stdio::null())).unwrap());
        until(server.directory.path());
        server.kill();
        server
    }

    /// One that is not started yet, so that files can be put into its directory before.
    pub fn absent(settings: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { address, directory, settings, before: None, process: None }
    }

    /// Starts the process again on the same directory, after it has ended.
    pub fn launch(&mut self) {
        self.launch_with(Stdio::null());
    }

    /// The same with this on its stdin.
    pub fn launch_with(&mut self, stdin: Stdio) {
        let mut command = match &self.before {
            Some(before) => shelled(&self.command(), before),
            None => self.command(),
        };
        // Of a log in JSON it is the record of the start that has the address, unless the log is to be quiet.
        let (began, before) = (Instant::now(), self.log().len());
        let level = self.settings.iter().rev().find(|(name, _)| name == "LOG_LEVEL").map(|(_, level)| level.as_str());
        let quiet = matches!(level, Some("off" | "error" | "warn"));
        let started = Process::serve_or(command.stdin(stdin).stderr(self.log_file()), PATIENCE, |process| {
            let logged = self.log();
            let logged = logged.get(before..).unwrap_or_default();
            let address = logged.lines().find_map(started_at);
            address.or_else(|| process.listens_at().filter(|_| quiet || began.elapsed() > UNHEARD))
        });
        let (process, address) = started.unwrap_or_else(|error| panic!("{error}: {}", self.log()));
        self.process = Some(process);
        self.address = address;
    }

    /// The command that would start this server.
    pub fn command(&self) -> Command {
        let mut command = inkring(self.directory.path());
        command.env("LISTEN_ADDR", "127.0.0.1:0").env("LOG_FORMAT", "json").stderr(self.log_file());
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    fn log_file(&self) -> File {
        File::options().create(true).append(true).open(self.log_path()).unwrap()
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("server.log")
    }

    /// Everything logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The first log line that satisfies `wanted`, waiting for it: the log leaves by its own thread.
    pub fn wait_for_log(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        wait_for(|| {
            let log = self.log();
            log.lines().filter_map(|line| serde_json::from_str(line).ok()).find(&wanted)
        })
    }

    /// What it has printed since it was launched, as far as it has been read: nothing where its log is JSON.
    pub fn banner(&self) -> String {
        self.process.as_ref().unwrap().printed()
    }

    pub fn database(&self) -> PathBuf {
        self.directory.path().join("data/inkring.db")
    }

    pub fn pid(&self) -> u32 {
        self.process.as_ref().unwrap().id()
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// How the process has ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.as_mut()?.wait(Duration::ZERO).unwrap()
    }

    /// Waits for the process to end by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let status = self.process.take().unwrap().wait(PATIENCE).unwrap();
        status.unwrap_or_else(|| panic!("the server did not end: {}", self.log()))
    }

    /// SIGKILL: no goodbye of any kind.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
        }
    }

    /// SIGTERM, and the exit status.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// A figure of `/proc/PID/status` in kB, such as `VmRSS`.
    pub fn memory_kb(&self, name: &str) -> u64 {
        self.process.as_ref().unwrap().status(name)
    }

    /// The time that it has had of a processor, in seconds.
    pub fn cpu_seconds(&self) -> f64 {
        self.process.as_ref().unwrap().cpu_seconds()
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.connect().get(path, None)
    }

    pub fn get_as(&self, user: &str, path: &str) -> Answer {
        self.connect().get(path, Some(user))
    }

    pub fn post_as(&self, user: &str, path: &str, body: &Value) -> Answer {
        self.connect().post(path, Some(user), body)
    }

    /// Creates a draft and returns its id.
    pub fn create_draft(&self, user: &str) -> String {
        let answer = self.post_as(user, "/v1/collab/drafts", &json!({ "title": "A draft", "platform": "x" }));
        answer.expect(200)["data"]["draft_id"].as_str().unwrap().to_owned()
    }
}

/// A log that has said nothing of a start for so long may be a quiet one by its file of settings.
const UNHEARD: Duration = Duration::from_secs(5);

/// The first address in the record of a start, if this line is one.
fn started_at(line: &str) -> Option<SocketAddr> {
    let record: Value =
        serde_json::from_str(line).ok().filter(|record: &Value| record["message"] == "server.started")?;
    record["address"].as_str()?.split([',', ' ']).find_map(|place| place.parse().ok())
}

/// The built program: beside this one, or, if this is a test, one directory above.
pub fn program() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    path.join("inkring")
}

/// The built program, in a directory, with nothing of this process's environment but what it needs to run.
pub fn inkring(directory: &Path) -> Command {
    let mut command = Command::new(program());
    command.current_dir(directory).env_clear().stdin(Stdio::null());
    // Many run at once, and the private plane's default is one port for all.
    command.env("OPS_ADDR", "off");
    command
}

/// What a verb has said on stderr besides where its settings come from, which is its first line if it has any.
pub fn besides_settings(stderr: Vec<u8>) -> String {
    let text = String::from_utf8(stderr).unwrap();
    match text.split_once('\n') {
        Some((first, rest)) if first.starts_with("inkring: settings from ") => rest.to_owned(),
        _ => text,
    }
}

/// The built program started by a shell that does something else before.
pub fn shelled(command: &Command, before: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(format!("{before}; exec \"$0\" \"$@\""));
    shell.arg(command.get_program()).args(command.get_args());
    shell.env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            shell.env(name, value);
        }
    }
    shell.current_dir(command.get_current_dir().unwrap());
    shell.process_group(0);
    shell
}
