//! What tiny_http 0.12 does on a public port: each hazard reproduced once, bounded, on loopback.
//!
//! `cargo run --release --example tiny_http_hazards` prints a table and ends by itself after about a minute. The server runs
//! as a child of its own, so that its memory can be read (from /proc, on Linux only) and its descriptors limited. The
//! figures of one run are in `docs/decisions/0001-front-door.md`, with what follows from them.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program to be watched by whoever started it"
)]

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n";
/// The child ends by itself after this, whatever becomes of its parent.
const CHILD_LIVES: Duration = Duration::from_secs(60);

fn main() {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        return serve();
    }
    println!("| tiny_http 0.12, two workers | seen |\n|---|---|");
    let hazards = [
        ("60 keep-alive clients at once, one request each", starved as fn() -> String),
        ("descriptors run out once (limit 64), then everyone leaves", descriptors),
        ("one header line without end, 32 MB of it", endless_line),
        ("200 000 pipelined requests, no answer read", pipelined),
        ("one request with Content-Length: 4611686018427387904", enormous_body),
        ("half a head, then silence", silent),
    ];
    for (hazard, reproduce) in hazards {
        println!("| {hazard} | {} |", reproduce());
    }
}

/// The child: the simplest server that tiny_http's documentation suggests.
fn serve() {
    let server = Arc::new(tiny_http::Server::http("127.0.0.1:0").unwrap());
    println!("{}", server.server_addr());
    for _ in 0..2 {
        let server = Arc::clone(&server);
        std::thread::spawn(move || {
            while let Ok(request) = server.recv() {
                let _ = request.respond(tiny_http::Response::from_string("{\"ok\":true}\n"));
            }
        });
    }
    std::thread::sleep(CHILD_LIVES);
}

/// A server under observation, ended on drop.
struct Subject {
    child: Child,
    address: SocketAddr,
}

impl Subject {
    fn start(descriptors: Option<u32>) -> Self {
        let limit = descriptors.map_or(String::new(), |descriptors| format!("ulimit -n {descriptors}; "));
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(format!("{limit}exec \"$0\" serve")).arg(std::env::current_exe().unwrap());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, address: line.trim().parse().unwrap() }
    }

    fn connect(&self) -> std::io::Result<TcpStream> {
        let client = TcpStream::connect(self.address)?;
        client.set_read_timeout(Some(Duration::from_secs(1)))?;
        client.set_write_timeout(Some(Duration::from_secs(1)))?;
        Ok(client)
    }

    /// Resident memory in MB.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
    }

    /// How long a fresh client waits for an answer, if it gets one within ten seconds.
    fn wait_of_another(&self) -> Result<Duration, std::io::Error> {
        let began = Instant::now();
        let mut client = self.connect()?;
        client.set_read_timeout(Some(Duration::from_secs(10)))?;
        client.write_all(GET)?;
        client.read_exact(&mut [0; 1])?;
        Ok(began.elapsed())
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How many of these clients have an answer within a second.
fn answered(clients: &mut [TcpStream]) -> usize {
    let deadline = Instant::now() + Duration::from_secs(1);
    let mut waiting: Vec<&mut TcpStream> = clients.iter_mut().collect();
    let all = waiting.len();
    for client in &waiting {
        client.set_nonblocking(true).unwrap();
    }
    while !waiting.is_empty() && Instant::now() < deadline {
        waiting.retain_mut(|client| !matches!(client.read(&mut [0; 4096]), Ok(bytes) if bytes > 0));
        std::thread::sleep(Duration::from_millis(2));
    }
    all - waiting.len()
}

fn starved() -> String {
    let mut served: Vec<usize> = (0..10)
        .map(|_| {
            let subject = Subject::start(None);
            let mut clients: Vec<TcpStream> = (0..60).map(|_| subject.connect().unwrap()).collect();
            for client in &mut clients {
                client.write_all(GET).unwrap();
            }
            answered(&mut clients)
        })
        .collect();
    served.sort_unstable();
    let short = served.iter().filter(|served| **served < 60).count();
    format!(
        "somebody not answered within 1 s, while the others stay, in {short} of 10 runs; answered at worst {}, in the median {} of 60",
        served[0], served[5]
    )
}

fn descriptors() -> String {
    let mut subject = Subject::start(Some(64));
    let clients: Vec<TcpStream> = (0..80).filter_map(|_| subject.connect().ok()).collect();
    std::thread::sleep(Duration::from_millis(500));
    let opened = clients.len();
    drop(clients);
    let mut last = String::new();
    for _ in 0..5 {
        match subject.wait_of_another() {
            Ok(_) => return format!("served again after {opened} clients had left"),
            Err(error) => last = error.kind().to_string(),
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    let alive = if subject.child.try_wait().unwrap().is_none() { "still runs" } else { "has ended" };
    format!("5 s after {opened} clients have left a new one gets: {last}; the process {alive}")
}

fn endless_line() -> String {
    let subject = Subject::start(None);
    let before = subject.memory();
    let mut client = subject.connect().unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nX: ").unwrap();
    let megabyte = vec![b'x'; 1024 * 1024];
    let taken = (0..32).take_while(|_| client.write_all(&megabyte).is_ok()).count();
    std::thread::sleep(Duration::from_millis(500));
    format!("{taken} MB accepted; memory from {before} to {} MB", subject.memory())
}

fn pipelined() -> String {
    let subject = Subject::start(None);
    let before = subject.memory();
    let mut client = subject.connect().unwrap();
    let (batch, mut sent) = (GET.repeat(1_000), 0);
    while sent < 200_000 && client.write_all(&batch).is_ok() {
        sent += 1_000;
    }
    let waited = match subject.wait_of_another() {
        Ok(waited) => format!("waited {:.1} s", waited.as_secs_f64()),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            "was not answered within 10 s".to_owned()
        }
        Err(error) => error.to_string(),
    };
    format!("{sent} accepted; memory from {before} to {} MB; another client {waited}", subject.memory())
}

fn enormous_body() -> String {
    let mut subject = Subject::start(None);
    let mut client = subject.connect().unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: t\r\nContent-Length: 4611686018427387904\r\n\r\n").unwrap();
    let _ = client.read_to_end(&mut Vec::new());
    std::thread::sleep(Duration::from_millis(500));
    match subject.child.try_wait().unwrap() {
        Some(status) => format!("the process has ended: {status}"),
        None => "the process still runs".to_owned(),
    }
}

fn silent() -> String {
    let subject = Subject::start(None);
    let mut client = subject.connect().unwrap();
    client.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    client.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    match client.read(&mut [0; 1]) {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            "still connected after 15 s, and holds a thread; there is no time-out to set".to_owned()
        }
        other => format!("{other:?}"),
    }
}
