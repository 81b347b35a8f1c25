//! A server as a child process, and what the kernel knows of it.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// A child process that is killed with its owner.
pub struct Process {
    child: Child,
    /// What it has printed so far, where somebody reads it.
    printed: Arc<Mutex<String>>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

impl Process {
    /// Starts it.
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        command.spawn().map(|child| Self { child, printed: Arc::default() })
    }

    /// Starts a server and waits for the address that it prints. Without one, because it ended or said nothing in time, the
    /// error is [`io::ErrorKind::TimedOut`].
    pub fn serve(command: &mut Command, patience: Duration) -> io::Result<(Self, SocketAddr)> {
        Self::serve_or(command, patience, |_| None)
    }

    /// The same of a server that may print none, for which `elsewhere` is asked again and again.
    pub fn serve_or(
        command: &mut Command,
        patience: Duration,
        mut elsewhere: impl FnMut(&Self) -> Option<SocketAddr>,
    ) -> io::Result<(Self, SocketAddr)> {
        let mut process = Self::spawn(command.stdout(Stdio::piped()))?;
        let stdout = process.child.stdout.take().expect("stdout is piped");
        let (sender, addresses) = mpsc::channel();
        let printed = Arc::clone(&process.printed);
        // Reads on behind the address, so that the child never blocks on a full pipe.
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                printed.lock().unwrap().extend([line.as_str(), "\n"]);
                if let Some(address) = address_in(&line) {
                    let _ = sender.send(address);
                }
            }
        });
        let deadline = Instant::now() + patience;
        loop {
            match addresses.recv_timeout(Duration::from_millis(5)) {
                Ok(address) => return Ok((process, address)),
                Err(mpsc::RecvTimeoutError::Timeout) if Instant::now() < deadline => {
                    if let Some(address) = elsewhere(&process) {
                        return Ok((process, address));
                    }
                }
                Err(_) => {
                    let none = format!("no address was printed by {command:?}");
                    return Err(io::Error::new(io::ErrorKind::TimedOut, none));
                }
            }
        }
    }

    /// The one IPv4 address at which it listens, as the kernel knows it; none if there are several.
    pub fn listens_at(&self) -> Option<SocketAddr> {
        const LISTENING: &str = "0A";
        let proc = Path::new("/proc").join(self.id().to_string());
        let opened = fs::read_dir(proc.join("fd")).ok()?.flatten().filter_map(|file| fs::read_link(file.path()).ok());
        let sockets: Vec<String> = opened
            .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
            .collect();
        let table = fs::read_to_string(proc.join("net/tcp")).ok()?;
        let places = table.lines().skip(1).filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (place, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
            if *state != LISTENING || !sockets.iter().any(|socket| socket == inode) {
                return None;
            }
            let (ip, port) = place.split_once(':')?;
            let ip = u32::from_str_radix(ip, 16).ok()?.to_ne_bytes();
            Some(SocketAddr::from((ip, u16::from_str_radix(port, 16).ok()?)))
        });
        let mut places: Vec<SocketAddr> = places.collect();
        places.dedup();
        (places.len() == 1).then(|| places[0])
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far, if it was started to serve.
    pub fn printed(&self) -> String {
        self.printed.lock().unwrap().clone()
    }

    /// Waits for it to end by itself; `None` when it does not in time.
    pub fn wait(&mut self, patience: Duration) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// SIGKILL: no goodbye of any kind.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        self.child.kill()?;
        self.child.wait()
    }

    /// A figure of `/proc/PID/status`, such as `VmRSS` in KB; 0 when it is gone.
    pub fn status(&self, name: &str) -> u64 {
        status_of(&Path::new("/proc").join(self.id().to_string()), name)
    }

    /// CPU seconds of all running threads so far, to the nanosecond where the kernel keeps such accounts, else to the tick.
    pub fn cpu_seconds(&self) -> f64 {
        let nanoseconds = self.threads().map(|thread| {
            let schedstat = fs::read_to_string(thread.join("schedstat")).ok()?;
            schedstat.split_whitespace().next()?.parse::<u64>().ok()
        });
        let nanoseconds: Option<u64> = nanoseconds.sum();
        match nanoseconds {
            Some(nanoseconds @ 1..) => nanoseconds as f64 / 1e9,
            _ => cpu_seconds(&self.id().to_string()),
        }
    }

    /// How often its threads have gone to sleep and been woken again, all together.
    pub fn wake_ups(&self) -> u64 {
        self.threads().map(|thread| status_of(&thread, "voluntary_ctxt_switches")).sum()
    }

    /// Where /proc tells of its threads.
    fn threads(&self) -> impl Iterator<Item = PathBuf> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.id()));
        threads.into_iter().flatten().flatten().map(|thread| thread.path())
    }
}

/// A number in the `status` file of a process or thread; 0 when it is gone.
fn status_of(directory: &Path, name: &str) -> u64 {
    let status = fs::read_to_string(directory.join("status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// CPU seconds of a process by the name of its /proc directory; NaN when it is gone, so that no ratio is made of it.
pub fn cpu_seconds(process: &str) -> f64 {
    let read = || -> Option<f64> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The command name may hold spaces; the fields after it start behind the last bracket.
        let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace().skip(11);
        let user: u64 = fields.next()?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        Some((user + system) as f64 / rustix::param::clock_ticks_per_second() as f64)
    };
    read().unwrap_or(f64::NAN)
}

/// The address in a line such as `inkring listens on http://127.0.0.1:8080`, or https.
fn address_in(line: &str) -> Option<SocketAddr> {
    line.split_once("://")?.1.split_whitespace().next()?.parse().ok()
}
