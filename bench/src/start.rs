//! `start`: how soon the server answers, how little it holds when idle, and 2,000 connections.

use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

use crate::load::{Caller, Clients, Fixed, Script, Verdict, get};
use crate::options::{HEALTHY, Options, Result, Window};
use crate::process::{self, Server};
use crate::table::{Table, median, none, target};

const CONNECTIONS: usize = 2000;
const START_MS: f64 = 100.0;
/// Most of it is the program's own pages, as far as they have been read.
const IDLE_MB: f64 = 16.0;

/// Every client asks once.
struct Once<'a> {
    fixed: Fixed<'a>,
    asked: Vec<bool>,
}

impl Script for Once<'_> {
    fn request(&mut self, client: usize, out: &mut Vec<u8>) -> bool {
        !std::mem::replace(&mut self.asked[client], true) && self.fixed.request(client, out)
    }

    fn answer(&mut self, client: usize, status: u16, body: &[u8]) -> Verdict {
        self.fixed.answer(client, status, body)
    }
}

pub fn run(options: &Options) -> Result<u64> {
    let program = process::build_server()?;
    let megabytes = |kilobytes: u64| kilobytes as f64 / 1024.0;
    let (mut starts, mut idle) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds.unwrap_or(10) {
        // With an empty directory: the database is made anew, which is the longer way to start.
        let server = Server::inkring(&program, None)?;
        await_health(&server)?;
        starts.push(server.spawned.elapsed().as_secs_f64() * 1e3);
        thread::sleep(Duration::from_millis(300));
        idle.push(megabytes(server.rss()));
    }

    let server = Server::inkring(&program, None)?;
    await_health(&server)?;
    // Only now, so that the server starts with the limit that it would have anywhere.
    inkring_testkit::raise_descriptor_limit(CONNECTIONS as u64);
    let request = get(server.address, "/healthz", "");
    let window =
        Window { warm_up: Duration::ZERO, measured: Duration::from_secs(10), patience: Duration::from_secs(10) };
    let began = Instant::now();
    let mut clients = Clients::connect(server.address, CONNECTIONS, Duration::ZERO)?;
    let mut ask_all = || {
        let fixed = Fixed { request: &request, body: HEALTHY.as_bytes() };
        let mut script = Once { fixed, asked: vec![false; CONNECTIONS] };
        clients.run(&mut script, &window, || server.cpu_seconds())
    };
    let first = ask_all()?;
    let all_answered = began.elapsed().as_secs_f64() * 1e3;
    let open = megabytes(server.rss());
    // Asking again on the same connections shows that they were all still open just now.
    let second = ask_all()?;

    let mut table = Table::new(&["", "median", "range", "target"]);
    let mut row = |name: &str, value: &dyn Display, range: String, target: String| {
        table.row([name.into(), value.to_string(), range, target]);
    };
    let start = median(starts.iter().copied());
    let rss = median(idle.iter().copied());
    let range = |values: &[f64]| {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        format!("{low:.1}..{high:.1}")
    };
    row("start to first answer, ms", &format!("{start:.1}"), range(&starts), target(start <= START_MS, "≤ 100"));
    row("idle RSS, MB", &format!("{rss:.1}"), range(&idle), target(rss <= IDLE_MB, "≤ 16"));
    let all = CONNECTIONS as u64;
    for (name, report) in [("2,000 at once: answered", &first), ("asked again", &second)] {
        row(name, &report.answers, none(), target(report.answers == all, "2000"));
    }
    row("connected and answered, ms", &format!("{all_answered:.0}"), none(), none());
    row("RSS with them open, MB", &format!("{open:.1}"), none(), none());
    let each = (open - rss) * 1024.0 / CONNECTIONS as f64;
    row("per connection, KB", &format!("{each:.1}"), none(), none());
    let failures = [&first, &second].map(|report| report.wrong + report.unanswered);
    row("wrong or missing answers", &failures.iter().sum::<u64>(), none(), target(failures == [0; 2], "0"));
    table.print();
    println!("The start is taken from the spawn and includes our own re-exec, about a millisecond.");
    for complaint in [first.first_complaint, second.first_complaint].into_iter().flatten() {
        println!("wrong answer: {complaint}");
    }
    Ok(failures.iter().sum())
}

/// The first 200 after the start; the address is printed before, so this rarely waits.
pub fn await_health(server: &Server) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    let request = get(server.address, "/healthz", "");
    loop {
        let answer = Caller::connect(server.address).and_then(|mut caller| caller.call(&request));
        match answer {
            Ok((200, body)) if body == HEALTHY.as_bytes() => return Ok(()),
            _ if Instant::now() < deadline => thread::sleep(Duration::from_micros(200)),
            Ok((status, _)) => return Err(format!("/healthz answers {status}").into()),
            Err(error) => return Err(error),
        }
    }
}
