//! The load generator: one thread, N keep-alive connections, one request in flight on each.
//!
//! A closed loop: a connection sends its next request when its answer is complete and checked,
//! so a slow server is asked less, and latencies are those of N clients that wait.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use inkring_testkit::http::head;
use inkring_testkit::process::cpu_seconds;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::options::{Result, Window};
use crate::process::machine_cpu_seconds;

/// No answer here is nearly as long; a longer one is a wrong one.
const LONGEST_ANSWER: usize = 1 << 20;

/// What the clients ask, and whether they were answered rightly.
pub trait Script {
    /// Appends the next request of a client; `false` when it has none left.
    fn request(&mut self, client: usize, out: &mut Vec<u8>) -> bool;
    fn answer(&mut self, client: usize, status: u16, body: &[u8]) -> Verdict;
}

pub enum Verdict {
    Counted,
    /// Right, but not what is being measured.
    Uncounted,
    Wrong(String),
}

/// The same request over and over, and the one right answer to it.
pub struct Fixed<'a> {
    pub request: &'a [u8],
    pub body: &'a [u8],
}

impl Script for Fixed<'_> {
    fn request(&mut self, _: usize, out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(self.request);
        true
    }

    fn answer(&mut self, _: usize, status: u16, body: &[u8]) -> Verdict {
        match status == 200 && body == self.body {
            true => Verdict::Counted,
            false => Verdict::Wrong(describe(status, body)),
        }
    }
}

pub fn describe(status: u16, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(200)]);
    format!("status {status}, {} bytes: {text}", body.len())
}

pub fn get(address: SocketAddr, path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n").into_bytes()
}

pub fn post(address: SocketAddr, path: &str, headers: &str, json: &str) -> Vec<u8> {
    let length = json.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\n{headers}Content-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{json}"
    )
    .into_bytes()
}

/// The values of a field, in order, wherever it is in a JSON text. A search and no parser: the
/// benchmark knows what it sent, and its texts hold nothing that JSON escapes.
pub fn fields<'a>(json: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let name = format!("\"{name}\":");
    let starts: Vec<usize> = json.match_indices(&name).map(|(at, _)| at + name.len()).collect();
    starts.into_iter().map(|start| {
        let value = json[start..].trim_start();
        match value.strip_prefix('"') {
            Some(text) => text.split('"').next().unwrap_or(""),
            None => value.split([',', '}', ']']).next().unwrap_or("").trim(),
        }
    })
}

#[derive(Default)]
pub struct Report {
    /// Right answers to what is measured, within the measured time.
    pub answers: u64,
    pub wrong: u64,
    pub unanswered: u64,
    pub first_complaint: Option<String>,
    pub latency: Histogram,
    pub seconds: f64,
    pub server_cpu: f64,
    pub load_cpu: f64,
    /// What everything else on this machine used meanwhile.
    pub other_cpu: f64,
}

impl Report {
    pub fn per_second(&self) -> f64 {
        self.answers as f64 / self.seconds
    }

    pub fn per_cpu_second(&self) -> f64 {
        self.answers as f64 / self.server_cpu
    }

    pub fn cpu_micros(&self) -> f64 {
        self.server_cpu * 1e6 / self.answers as f64
    }

    fn complain(&mut self, complaint: impl FnOnce() -> String) {
        self.wrong += 1;
        self.first_complaint.get_or_insert_with(complaint);
    }
}

#[derive(Default)]
struct Client {
    /// `None` once the connection was given up.
    stream: Option<TcpStream>,
    out: Vec<u8>,
    written: usize,
    input: Vec<u8>,
    /// Set while an answer is due.
    sent: Option<Instant>,
}

pub struct Clients {
    poll: Poll,
    clients: Vec<Client>,
    scratch: Vec<u8>,
    unconnected: u64,
    /// How many answers are due.
    due: usize,
}

impl Clients {
    /// Connects `count` clients, one every `pace`. Those that do not get through in ten seconds
    /// altogether are counted as unanswered.
    pub fn connect(address: SocketAddr, count: usize, pace: Duration) -> Result<Self> {
        let poll = Poll::new()?;
        let mut clients = Vec::with_capacity(count);
        let deadline = Instant::now() + Duration::from_secs(10);
        while clients.len() < count {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            // Blocking, because a connect on loopback ends at once unless the backlog is full.
            let Ok(stream) = std::net::TcpStream::connect_timeout(&address, left) else {
                break;
            };
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut stream, Token(clients.len()), interest)?;
            clients.push(Client { stream: Some(stream), ..Client::default() });
            thread::sleep(pace);
        }
        let unconnected = (count - clients.len()) as u64;
        Ok(Self { poll, clients, scratch: vec![0; 64 << 10], unconnected, due: 0 })
    }

    /// Ends when the window is over and every answer due has come or was given up, or when no
    /// client has anything left to ask.
    pub fn run(&mut self, script: &mut impl Script, window: &Window, server_cpu: impl Fn() -> f64) -> Result<Report> {
        let mut report = Report { unanswered: self.unconnected, ..Report::default() };
        let mut events = Events::with_capacity(1024);
        let start = Instant::now();
        let measured_from = start + window.warm_up;
        let measured_until = measured_from + window.measured;
        let mut next_sweep = start + window.patience;
        let mut phase = Phase::WarmUp;
        let mut began = start;

        for client in 0..self.clients.len() {
            self.send(client, script, start, &mut report);
        }
        loop {
            let now = Instant::now();
            let idle = self.due == 0;
            if phase == Phase::WarmUp && now >= measured_from {
                phase = Phase::Measured;
                began = now;
                report.server_cpu = -server_cpu();
                report.load_cpu = -cpu_seconds("self");
                report.other_cpu = -machine_cpu_seconds();
            }
            if phase == Phase::Measured && (now >= measured_until || idle) {
                phase = Phase::Over;
                report.server_cpu += server_cpu();
                report.load_cpu += cpu_seconds("self");
                report.other_cpu += machine_cpu_seconds() - report.server_cpu - report.load_cpu;
                report.seconds = now.duration_since(began).as_secs_f64();
            }
            if idle {
                return Ok(report);
            }
            if now >= next_sweep {
                self.give_up_silent(now, window.patience, &mut report);
                next_sweep = now + Duration::from_millis(100);
            }
            match self.poll.poll(&mut events, Some(Duration::from_millis(10))) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
                _ => {}
            }
            for event in &events {
                let client = event.token().0;
                if event.is_writable() {
                    self.flush(client, &mut report);
                }
                if event.is_readable() {
                    self.receive(client, script, phase, &mut report);
                }
            }
        }
    }

    fn send(&mut self, number: usize, script: &mut impl Script, now: Instant, report: &mut Report) {
        let client = &mut self.clients[number];
        client.out.clear();
        client.written = 0;
        if client.stream.is_some() && script.request(number, &mut client.out) {
            client.sent = Some(now);
            self.due += 1;
            self.flush(number, report);
        }
    }

    fn flush(&mut self, number: usize, report: &mut Report) {
        let client = &mut self.clients[number];
        while client.written < client.out.len() {
            let Some(stream) = &mut client.stream else {
                return;
            };
            match stream.write(&client.out[client.written..]) {
                Ok(count) => client.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.broken(number, report, &error.to_string()),
            }
        }
    }

    fn receive(&mut self, number: usize, script: &mut impl Script, phase: Phase, report: &mut Report) {
        loop {
            let client = &mut self.clients[number];
            let Some(stream) = &mut client.stream else {
                return;
            };
            let count = match stream.read(&mut self.scratch) {
                Ok(0) => return self.broken(number, report, "closed by the server"),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return self.broken(number, report, &error.to_string()),
            };
            // Nearly always one read is one answer, and needs no copy.
            let bytes = match client.input.is_empty() {
                true => &self.scratch[..count],
                false => {
                    client.input.extend_from_slice(&self.scratch[..count]);
                    &client.input[..]
                }
            };
            let answer = match parse(bytes) {
                Ok(Some(answer)) => answer,
                Ok(None) => {
                    if client.input.is_empty() {
                        client.input.extend_from_slice(&self.scratch[..count]);
                    }
                    continue;
                }
                Err(what) => return self.broken(number, report, what),
            };
            let Some(sent) = client.sent else {
                return self.broken(number, report, "an answer to nothing");
            };
            let now = Instant::now();
            match script.answer(number, answer.status, answer.body) {
                Verdict::Counted if phase == Phase::Measured => {
                    report.answers += 1;
                    report.latency.add(now - sent);
                }
                Verdict::Counted | Verdict::Uncounted => {}
                Verdict::Wrong(complaint) => report.complain(|| complaint),
            }
            client.input.clear();
            client.sent = None;
            self.due -= 1;
            if phase != Phase::Over {
                self.send(number, script, now, report);
            }
            // No read until it would block: epoll reports the edge of the next answer anyway, and
            // a call that only finds nothing would cost as much as the one that found something.
            return;
        }
    }

    /// Counts an answer that will never come; a connection without one due may close freely.
    fn broken(&mut self, number: usize, report: &mut Report, what: &str) {
        let client = &mut self.clients[number];
        client.stream = None;
        if client.sent.take().is_some() {
            self.due -= 1;
            report.complain(|| format!("connection {number}: {what}"));
        }
    }

    fn give_up_silent(&mut self, now: Instant, patience: Duration, report: &mut Report) {
        for client in &mut self.clients {
            if client.sent.is_some_and(|sent| now.duration_since(sent) > patience) {
                client.sent = None;
                client.stream = None;
                self.due -= 1;
                report.unanswered += 1;
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    WarmUp,
    Measured,
    Over,
}

pub struct Answer<'a> {
    pub status: u16,
    pub body: &'a [u8],
}

/// Reads exactly one answer; `None` while it is incomplete.
pub fn parse(bytes: &[u8]) -> std::result::Result<Option<Answer<'_>>, &'static str> {
    if bytes.len() > LONGEST_ANSWER {
        return Err("an endless answer");
    }
    let Some(head) = head(bytes)? else { return Ok(None) };
    let (body, length) = (&bytes[head.end..], head.content_length.ok_or("no length")?);
    match body.len() {
        found if found < length => Ok(None),
        found if found == length => Ok(Some(Answer { status: head.status, body })),
        _ => Err("more bytes than the answer has"),
    }
}

/// One blocking connection, for what is prepared and checked around a measurement.
pub struct Caller(inkring_testkit::Client);

impl Caller {
    pub fn connect(address: SocketAddr) -> Result<Self> {
        Ok(Self(inkring_testkit::Client::try_connect(address, Duration::from_secs(5))?))
    }

    pub fn call(&mut self, request: &[u8]) -> Result<(u16, Vec<u8>)> {
        let answer = self.0.exchange(request)?;
        Ok((answer.status, answer.body))
    }
}

/// Latencies in buckets of 1/64 of their size, so that percentiles are right to about 1.5 %.
pub struct Histogram {
    buckets: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; 64 * 60], total: 0 }
    }
}

impl Histogram {
    pub fn add(&mut self, latency: Duration) {
        let nanos = (latency.as_nanos() as u64).max(64);
        let shift = nanos.ilog2() - 6;
        self.buckets[shift as usize * 64 + (nanos >> shift) as usize - 64] += 1;
        self.total += 1;
    }

    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *count += more;
        }
        self.total += other.total;
    }

    /// In nanoseconds; 0 when nothing was added.
    pub fn percentile(&self, percent: f64) -> u64 {
        let rank = ((self.total as f64 * percent / 100.0).ceil() as u64).max(1);
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        bucket.map_or(0, |bucket| ((bucket as u64 % 64) + 64) << (bucket / 64))
    }
}
