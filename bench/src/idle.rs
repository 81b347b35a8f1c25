//! `idle`: what sockets cost that have nothing to say: memory, and the pings that show they are alive.

use std::io::ErrorKind;
use std::thread;
use std::time::{Duration, Instant};

use inkring_testkit::process::cpu_seconds;
use mio::{Events, Interest, Poll, Token};

use crate::options::{Options, Result};
use crate::process::{self, Server, machine_cpu_seconds};
use crate::subscriber::{Door, Subscriber};
use crate::table::{Table, none, target};

const WEIGHED: usize = 5_000;
const SOCKETS: usize = 10_000;
const PER_DRAFT: usize = 100;
const PING_SECONDS: u64 = 25;
/// A whole round of pings, and some.
const WINDOW_SECONDS: f64 = 30.0;
const SOCKET_KB: f64 = 8.0;
const CPU_PERCENT: f64 = 2.0;

/// Sockets that answer pings and say nothing else.
pub struct Crowd {
    poll: Poll,
    /// `None` once it was lost.
    sockets: Vec<Option<Subscriber>>,
    scratch: Vec<u8>,
    pub lost: u64,
    first_complaint: Option<String>,
    pongs: u64,
}

impl Crowd {
    pub fn new() -> Result<Self> {
        let (poll, sockets, scratch) = (Poll::new()?, Vec::new(), vec![0; 4096]);
        Ok(Self { poll, sockets, scratch, lost: 0, first_complaint: None, pongs: 0 })
    }

    /// Opens sockets until there are `count`, each of a user of its own, a hundred to a draft.
    pub fn grow(&mut self, server: &Server, count: usize) -> Result<()> {
        for number in self.sockets.len()..count {
            let path = format!("/v1/ws/drafts/idle-{}", number / PER_DRAFT);
            let headers = format!("X-User-Id: user-{number}\r\n");
            let welcome = Some(r#"{"type":"connected","#);
            let door = Door { address: server.address, path: &path, headers: &headers, welcome };
            let mut socket = Subscriber::connect(&door).map_err(|error| format!("socket {number}: {error}"))?;
            self.poll.registry().register(&mut socket.stream, Token(number), Interest::READABLE)?;
            self.sockets.push(Some(socket));
        }
        Ok(())
    }

    /// Answers pings until the time is over, or until `done`.
    pub fn sit(&mut self, time: Duration, done: impl Fn(&Self) -> bool) -> Result<()> {
        let mut events = Events::with_capacity(1024);
        let deadline = Instant::now() + time;
        while !done(self) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            match self.poll.poll(&mut events, Some(left)) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
                _ => {}
            }
            for event in &events {
                self.read(event.token().0);
            }
        }
        Ok(())
    }

    fn read(&mut self, number: usize) {
        let Self { sockets, scratch, pongs, .. } = self;
        let Some(socket) = &mut sockets[number] else { return };
        let mut strange = None;
        let received = socket.receive(scratch, |payload| match payload.starts_with(br#"{"type":"pong","#) {
            true => *pongs += 1,
            false => strange = Some(String::from_utf8_lossy(payload).into_owned()),
        });
        let complaint = received.err().map(|error| error.to_string()).or(strange);
        if let Some(complaint) = complaint {
            self.lose(number, &complaint);
        }
    }

    fn lose(&mut self, number: usize, complaint: &str) {
        self.sockets[number] = None;
        self.lost += 1;
        self.first_complaint.get_or_insert_with(|| format!("socket {number}: {complaint}"));
    }

    pub fn pings(&self) -> u64 {
        self.sockets.iter().flatten().map(|socket| socket.pings).sum()
    }

    /// Asks every socket for a sign of life; returns how many gave it.
    fn roll_call(&mut self) -> Result<u64> {
        self.pongs = 0;
        for number in 0..self.sockets.len() {
            let said = self.sockets[number].as_mut().map(|socket| socket.say(r#"{"type":"ping"}"#));
            if let Some(Err(error)) = said {
                self.lose(number, &error.to_string());
            }
        }
        self.sit(Duration::from_secs(10), |crowd| crowd.pongs + crowd.lost >= crowd.sockets.len() as u64)?;
        Ok(self.pongs)
    }
}

pub fn run(options: &Options) -> Result<u64> {
    let program = process::build_server()?;
    let cores = process::two_cores()?.filter(|_| !options.unpinned);
    let ping = PING_SECONDS.to_string();
    let connections = (SOCKETS + 1000).to_string();
    let settings = [("WS_PING_SECONDS", &ping[..]), ("MAX_CONNECTIONS", &connections)];
    let server = Server::inkring_with(&program, cores.map(|(server, _)| server), &settings)?;
    // Only now, so that the server starts with the limit that it would have anywhere.
    inkring_testkit::raise_descriptor_limit(SOCKETS as u64);
    match cores {
        Some((server, load)) => {
            process::pin_this_thread(load)?;
            println!("server pinned to core {server}, the clients to core {load}");
        }
        None => println!("not pinned"),
    }
    let mut crowd = Crowd::new()?;
    // What the first socket costs once, such as code that is read from disk, is not the price of a socket.
    crowd.grow(&server, 1)?;
    settle();
    let empty = server.rss();
    let began = Instant::now();
    crowd.grow(&server, 1 + WEIGHED)?;
    settle();
    let each = (server.rss() - empty) as f64 / WEIGHED as f64;
    crowd.grow(&server, SOCKETS)?;
    let opening = began.elapsed().as_secs_f64();
    crowd.sit(Duration::from_secs(1), |_| false)?;

    let window = Duration::from_secs_f64(options.seconds.unwrap_or(WINDOW_SECONDS));
    eprintln!("{SOCKETS} sockets are open; {:.0} seconds of pings", window.as_secs_f64());
    let pings = crowd.pings();
    let start = Instant::now();
    let before = (server.cpu_seconds(), cpu_seconds("self"), machine_cpu_seconds());
    crowd.sit(window, |_| false)?;
    let server_cpu = server.cpu_seconds() - before.0;
    let load_cpu = cpu_seconds("self") - before.1;
    let other_cpu = machine_cpu_seconds() - before.2 - server_cpu - load_cpu;
    let seconds = start.elapsed().as_secs_f64();
    let pinged = crowd.pings() - pings;
    let alive = crowd.roll_call()?;

    let percent = |cpu: f64| 100.0 * cpu / seconds;
    // Whoever sits through a whole round is pinged in it.
    let due = if seconds > PING_SECONDS as f64 + 1.0 { SOCKETS as u64 } else { 0 };
    let mut table = Table::new(&["", "measured", "target"]);
    let mut row = |name: String, value: String, target: String| table.row([name, value, target]);
    row(format!("memory of each of {WEIGHED} sockets, KB"), format!("{each:.2}"), target(each <= SOCKET_KB, "≤ 8"));
    row(
        format!("server CPU with {SOCKETS} sockets, %"),
        format!("{:.2}", percent(server_cpu)),
        target(percent(server_cpu) <= CPU_PERCENT, "≤ 2"),
    );
    row("… per ping and pong, µs".into(), format!("{:.1}", server_cpu * 1e6 / pinged as f64), none());
    row("RSS with all of them, MB".into(), format!("{:.1}", server.rss() as f64 / 1024.0), none());
    row("opened per second".into(), format!("{:.0}", SOCKETS as f64 / opening), none());
    row(format!("pings answered in {seconds:.0} s"), pinged.to_string(), target(pinged >= due, &format!("≥ {due}")));
    row("answered the roll call".into(), alive.to_string(), target(alive == SOCKETS as u64, "10000"));
    row("lost".into(), crowd.lost.to_string(), target(crowd.lost == 0, "0"));
    row("CPU of the clients, %".into(), format!("{:.1}", percent(load_cpu)), none());
    row("CPU of others, %".into(), format!("{:.1}", percent(other_cpu)), none());
    table.print();
    println!(
        "A socket's memory is what the process grew by, with all that it holds for it; the kernel's share is not in it."
    );
    if let Some(complaint) = &crowd.first_complaint {
        println!("wrong: {complaint}");
    }
    Ok(crowd.lost.max(SOCKETS as u64 - alive) + due.saturating_sub(pinged))
}

/// Lets the server finish what it was doing.
pub fn settle() {
    thread::sleep(Duration::from_millis(500));
}
