//! `receipts`: appends whose answer is a receipt and not the draft, as programs make them.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::append::{Appending, FILLER, user_headers};
use crate::engine::{self, CLIENTS};
use crate::load::{Caller, Clients, Histogram, describe, fields, post};
use crate::options::{Options, Result};
use crate::process::{self, Server};
use crate::table::{Ratio, Table, median, micros, none, target};

const OVER_ENGINE: f64 = 0.75;
const ALONE_OVER_ENGINE: f64 = 1.6;
const LARGE_OVER_EMPTY: f64 = 0.9;
const LARGE_SEGMENTS: usize = 10_000;
const PER_SECOND: u32 = 500;
const CPU_MICROS: f64 = 150.0;
/// The same against the bare engine: 150 µs where that took 83.
const CPU_OVER_ENGINE: f64 = 1.8;
pub const PREFER: &str = "Prefer: return=minimal\r\n";

#[derive(Default)]
struct Round {
    many: (f64, f64),
    alone: (f64, f64),
    large: (f64, f64),
    cpu: (f64, f64),
    cpu_of_whole_answers: f64,
    wrong: u64,
    complaint: Option<String>,
}

pub fn run(options: &Options) -> Result<u64> {
    let program = process::build_server()?;
    let mut window = options.window(5.0);
    // A commit waits for the disk, and a disk may stall.
    window.patience = Duration::from_secs(10);
    let rounds = options.rounds.unwrap_or(3);
    println!("appends answered with receipts; not pinned");
    let mut results = Vec::new();
    for number in 0..rounds {
        let mut round = Round::default();
        for clients in [CLIENTS, 1] {
            let directory = process::directory()?;
            let bare = engine::appends(directory.path(), clients, window.measured)?;
            drop(directory);
            let server = Server::inkring(&program, None)?;
            let headers = user_headers().into_iter().take(clients).map(|header| header + PREFER).collect();
            let mut script = Appending::new(server.address, headers);
            let mut senders = Clients::connect(server.address, clients, Duration::ZERO)?;
            let report = senders.run(&mut script, &window, || server.cpu_seconds())?;
            let (wrong, complaint) = script.verify()?;
            round.wrong += wrong + report.wrong + report.unanswered;
            round.complaint = round.complaint.or(report.first_complaint.clone()).or(complaint);
            if clients == 1 {
                let p50 = |latency: &Histogram| latency.percentile(50.0) as f64;
                round.alone = (p50(&report.latency), p50(&bare.latency));
            } else {
                round.many = (report.per_second(), bare.per_second);
            }
        }
        let directory = process::directory()?;
        let large = engine::fill(&directory.path().join("inkring.db"), "bench-0", LARGE_SEGMENTS)?;
        let server = Server::inkring_in(directory, &program, None, &[])?;
        round.large = large_and_empty(server.address, &large, window.measured)?;
        drop(server);
        let server_spends = |prefer| paced(&Server::inkring(&program, None)?, prefer, window.measured);
        let directory = process::directory()?;
        round.cpu = (server_spends(PREFER)?, engine::paced(directory.path(), PER_SECOND, window.measured)?);
        round.cpu_of_whole_answers = server_spends("")?;
        eprintln!("round {} of {rounds}", number + 1);
        results.push(round);
    }

    let pairs = |of: fn(&Round) -> (f64, f64)| results.iter().map(of);
    let ours = |of: fn(&Round) -> (f64, f64)| median(pairs(of).map(|pair| pair.0));
    let theirs = |of: fn(&Round) -> (f64, f64)| median(pairs(of).map(|pair| pair.1));
    let nanos = |value: f64| micros(value as u64);
    let mut table = Table::new(&["medians", "inkring", "compared", "ratio"]);
    table.row([
        format!("{CLIENTS} clients, per second; bare engine"),
        format!("{:.0}", ours(|round| round.many)),
        format!("{:.0}", theirs(|round| round.many)),
        Ratio::of(pairs(|round| round.many)).cell(Some(OVER_ENGINE)),
    ]);
    table.row([
        "one client, p50 µs; bare engine".into(),
        nanos(ours(|round| round.alone)),
        nanos(theirs(|round| round.alone)),
        Ratio::of(pairs(|round| round.alone)).cell_at_most(Some(ALONE_OVER_ENGINE)),
    ]);
    table.row([
        format!("to {LARGE_SEGMENTS} segments, per second at p50; to an empty draft"),
        format!("{:.0}", ours(|round| round.large)),
        format!("{:.0}", theirs(|round| round.large)),
        Ratio::of(pairs(|round| round.large)).cell(Some(LARGE_OVER_EMPTY)),
    ]);
    let spent = ours(|round| round.cpu);
    table.row([
        format!("CPU µs of an append at {PER_SECOND} a second; bare engine"),
        format!("{spent:.0} {}", target(spent <= CPU_MICROS, &format!("≤ {CPU_MICROS}"))),
        format!("{:.0}", theirs(|round| round.cpu)),
        Ratio::of(pairs(|round| round.cpu)).cell_at_most(Some(CPU_OVER_ENGINE)),
    ]);
    table.row([
        "… answered with the whole draft".into(),
        format!("{:.0}", median(results.iter().map(|round| round.cpu_of_whole_answers))),
        none(),
        none(),
    ]);
    table.print();
    for complaint in results.iter().filter_map(|round| round.complaint.as_ref()) {
        println!("wrong answer: {complaint}");
    }
    Ok(results.iter().map(|round| round.wrong).sum())
}

/// One user who appends to drafts of its own over one connection, one after the other.
struct Writer {
    address: SocketAddr,
    caller: Caller,
    prefer: &'static str,
    serial: usize,
}

impl Writer {
    fn new(address: SocketAddr, prefer: &'static str) -> Result<Self> {
        Ok(Self { address, caller: Caller::connect(address)?, prefer, serial: 0 })
    }

    fn ask(&mut self, path: &str, json: &str) -> Result<String> {
        let headers = format!("X-User-Id: bench-0\r\n{}", self.prefer);
        let (status, body) = self.caller.call(&post(self.address, path, &headers, json))?;
        if status != 200 {
            return Err(describe(status, &body).into());
        }
        Ok(String::from_utf8(body)?)
    }

    fn create(&mut self) -> Result<String> {
        let created = self.ask("/v1/collab/drafts", r#"{"title":"bench","platform":"x"}"#)?;
        Ok(fields(&created, "draft_id").next().ok_or("no draft")?.to_owned())
    }

    fn append(&mut self, draft: &str) -> Result<Duration> {
        self.serial += 1;
        let json = format!(r#"{{"content":"{FILLER}","idempotency_key":"{}"}}"#, self.serial);
        let began = Instant::now();
        let answer = self.ask(&format!("/v1/collab/drafts/{draft}/segments"), &json)?;
        let took = began.elapsed();
        match answer.contains("chain_sha256") != self.prefer.is_empty() {
            true => Ok(took),
            false => Err(format!("not what was preferred: {answer:.200}").into()),
        }
    }
}

/// Appends per second, by the median, to this draft and to small ones, in turns.
fn large_and_empty(address: SocketAddr, large: &str, duration: Duration) -> Result<(f64, f64)> {
    let mut writer = Writer::new(address, PREFER)?;
    let mut empty = writer.create()?;
    let (mut to_large, mut to_empty) = (Histogram::default(), Histogram::default());
    let until = Instant::now() + duration;
    for number in 1.. {
        if Instant::now() >= until {
            break;
        }
        to_large.add(writer.append(large)?);
        to_empty.add(writer.append(&empty)?);
        if number % 20 == 0 {
            empty = writer.create()?;
        }
    }
    let per_second = |latency: &Histogram| 1e9 / latency.percentile(50.0) as f64;
    Ok((per_second(&to_large), per_second(&to_empty)))
}

/// The server's CPU time of one append, in microseconds, of those that come at an even pace.
fn paced(server: &Server, prefer: &'static str, duration: Duration) -> Result<f64> {
    let mut writer = Writer::new(server.address, prefer)?;
    let mut draft = writer.create()?;
    let (mut count, began, spent) = (0, Instant::now(), server.cpu_seconds());
    while began.elapsed() < duration {
        thread::sleep((Duration::from_secs(1) * count / PER_SECOND).saturating_sub(began.elapsed()));
        if count % 20 == 19 {
            draft = writer.create()?;
        }
        writer.append(&draft)?;
        count += 1;
    }
    Ok((server.cpu_seconds() - spent) * 1e6 / f64::from(count))
}
