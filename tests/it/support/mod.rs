//! What every test needs: a real server process and a client that sends exactly the bytes it is told to.

#![allow(dead_code, reason = "each test file uses its own part of this")]

pub mod ledger;
pub mod needs;
pub mod random;
pub mod socket;

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};

/// Nothing on loopback takes this long, not even on a machine that stops for half a minute; what waits longer has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A server process with a directory of its own.
pub struct Server {
    pub address: SocketAddr,
    pub directory: tempfile::TempDir,
    settings: Vec<(String, String)>,
    /// What a shell does before it becomes the server.
    pub before: Option<String>,
    child: Option<Child>,
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
        server.child = Some(server.command().stdout(Stdio::null()).spawn().unwrap());
        until(server.directory.path());
        server.kill();
        server
    }

    /// One that is not started yet, so that files can be put into its directory before.
    pub fn absent(settings: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { address, directory, settings, before: None, child: None }
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
        let mut child = command.stdin(stdin).stdout(Stdio::piped()).stderr(self.log_file()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.by_ref().find_map(|line| {
            let line = line.unwrap();
            line.split("http://").nth(1).map(|rest| rest.trim().parse().unwrap())
        });
        self.child = Some(child);
        self.address = address.unwrap_or_else(|| panic!("the server did not start: {}", self.log()));
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

    pub fn database(&self) -> PathBuf {
        self.directory.path().join("data/inkring.db")
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the process to end by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the server did not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// SIGKILL: no goodbye of any kind.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// SIGTERM, and the exit status.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// A figure of `/proc/PID/status` in kB, such as `VmRSS`.
    pub fn memory_kb(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
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

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The built program, in a directory, with nothing of this process's environment but what it needs to run.
pub fn inkring(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inkring"));
    command.current_dir(directory).env_clear().stdin(Stdio::null());
    // Many run at once, and the private plane's default is one port for all.
    command.env("OPS_ADDR", "off");
    command
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

/// Keeps the server's writer from writing until dropped; its patience with us ends after 5 s.
pub fn hold_writer(database: &Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(database).unwrap();
    connection.busy_timeout(PATIENCE).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}

/// As many descriptors as the system lets us have.
pub fn raise_descriptor_limit(wanted: u64) {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    assert!(limit.maximum.is_none_or(|maximum| maximum >= wanted), "this test opens {wanted} descriptors");
}

/// Asks again and again until there is an answer.
pub fn wait_for<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// One connection.
pub struct Client {
    pub stream: TcpStream,
    received: Vec<u8>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, received: Vec::new() }
    }

    /// Sends these bytes and nothing else.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// The next answer on this connection; panics when there is none.
    pub fn answer(&mut self) -> Answer {
        self.try_answer(false).expect("the connection ended instead of an answer")
    }

    /// The next answer to a HEAD request.
    pub fn answer_to_head(&mut self) -> Answer {
        self.try_answer(true).expect("the connection ended instead of an answer")
    }

    /// The next answer, or nothing when the server has closed (or reset) the connection.
    pub fn try_answer(&mut self, head: bool) -> Option<Answer> {
        let head_end = loop {
            if let Some(at) = self.received.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            self.read_more()?;
        };
        let mut answer = Answer::parse_head(&self.received[..head_end]);
        let length = if head || answer.status < 200 {
            0
        } else {
            answer.header("content-length").unwrap_or("0").parse::<usize>().unwrap()
        };
        while self.received.len() < head_end + length {
            self.read_more()?;
        }
        answer.body = self.received[head_end..head_end + length].to_vec();
        self.received.drain(..head_end + length);
        Some(answer)
    }

    fn read_more(&mut self) -> Option<()> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => None,
            Ok(bytes) => {
                self.received.extend_from_slice(&buffer[..bytes]);
                Some(())
            }
            // Whoever stops and continues a program interrupts what it waits for.
            Err(error) if error.kind() == ErrorKind::Interrupted => Some(()),
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => None,
            Err(error) => panic!("no answer: {error}"),
        }
    }

    /// Whether the server has closed the connection and sent nothing more.
    pub fn is_closed(&mut self) -> bool {
        while self.received.is_empty() {
            if self.read_more().is_none() {
                return true;
            }
        }
        false
    }

    /// Sends a request and reads its answer.
    pub fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        self.send(bytes);
        if method == "HEAD" { self.answer_to_head() } else { self.answer() }
    }

    pub fn get(&mut self, path: &str, user: Option<&str>) -> Answer {
        let user = user.map(|user| ("X-User-Id", user));
        self.request("GET", path, user.as_slice(), b"")
    }

    pub fn post(&mut self, path: &str, user: Option<&str>, body: &Value) -> Answer {
        let mut headers = vec![("Content-Type", "application/json")];
        headers.extend(user.map(|user| ("X-User-Id", user)));
        self.request("POST", path, &headers, body.to_string().as_bytes())
    }
}

/// One answer as a client sees it.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub reason: String,
    /// Names in lower case, in the order of the wire.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    fn parse_head(head: &[u8]) -> Self {
        let text = std::str::from_utf8(head).unwrap();
        let mut lines = text.trim_end().split("\r\n");
        let status_line = lines.next().unwrap();
        let (version, rest) = status_line.split_once(' ').unwrap();
        assert_eq!(version, "HTTP/1.1", "{status_line}");
        let (status, reason) = rest.split_once(' ').unwrap();
        let headers = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Self { status: status.parse().unwrap(), reason: reason.to_owned(), headers, body: Vec::new() }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The JSON of an answer that must have this status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }

    /// Holds an error to its one shape and returns its code and message.
    #[track_caller]
    pub fn expect_error(&self, status: u16) -> (String, String) {
        let body = self.expect(status);
        let id = self.header("x-request-id").expect("every answer names its request");
        assert_eq!(body["error"]["request_id"], id, "{body}");
        assert!(body.get("detail").is_some(), "{body}");
        let message = &body["error"]["message"];
        let message = message.as_str().map_or_else(|| message.to_string(), str::to_owned);
        (body["error"]["code"].as_str().unwrap().to_owned(), message)
    }
}
