//! `versus`: this build against another one. Both are measured in every round, in turn first, so that what the machine does
//! meanwhile happens to both; what counts is the ratio of the two halves of a round.
//!
//! Databases lie in memory: this is about what the program costs, not about the disk.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::append::{Appending, user_headers};
use crate::fanout::{NAP, SUBSCRIBERS, count_failures};
use crate::http::{CLIENTS, long_draft};
use crate::idle::{Crowd, settle};
use crate::load::{Clients, Fixed, Report, Script, Verdict, get};
use crate::options::{HEALTHY, Options, Result};
use crate::process::{self, Server};
use crate::room::{Host, Place, Plan, Room};
use crate::start::await_health;
use crate::table::{Ratio, Table, median};

/// What a build must reach of the one before it.
const OF_BEFORE: f64 = 0.97;
/// From one append of the lone client to the next: 500 a second.
const LONE_PACE: Duration = Duration::from_millis(2);
const CROWD: usize = 2_000;

/// One measure of one build in one round: more is better.
#[derive(Clone, Copy)]
struct Figure {
    name: &'static str,
    unit: &'static str,
    value: f64,
}

/// One build, with the server that requests and events are measured on.
struct Build<'p> {
    program: &'p Path,
    core: Option<usize>,
    server: Server,
    draft: (Vec<u8>, Vec<u8>),
    failures: u64,
}

impl<'p> Build<'p> {
    fn start(program: &'p Path, core: Option<usize>) -> Result<Self> {
        let server = Server::inkring_in(process::directory_in_memory()?, program, core, &[])?;
        let draft = long_draft(server.address)?;
        Ok(Self { program, core, server, draft, failures: 0 })
    }

    fn fresh(&self, settings: &[(&str, &str)]) -> Result<Server> {
        Server::inkring_in(process::directory_in_memory()?, self.program, self.core, settings)
    }

    fn count(&mut self, report: Report) -> Report {
        if let Some(complaint) = &report.first_complaint {
            println!("wrong: {complaint}");
        }
        self.failures += report.wrong + report.unanswered;
        report
    }

    fn measure(&mut self, options: &Options) -> Result<Vec<Figure>> {
        let mut figures = Vec::new();
        let mut add = |name, unit, value| figures.push(Figure { name, unit, value });
        add("GET /healthz", "per CPU s", self.requests(options, None)?);
        let draft = self.draft.clone();
        add("GET of a draft of 20", "per CPU s", self.requests(options, Some(draft))?);
        add("append, 64 clients", "per CPU s", self.appends(options)?);
        let (per_cpu_second, wake_ups) = self.lone_appends(options)?;
        add("append, 1 client, 500/s", "per CPU s", per_cpu_second);
        add("… appends per 100 wake-ups", "appends", 100.0 / wake_ups);
        add("delivery, 8 in flight", "per CPU s", self.deliveries(options, 8)?);
        let (per_megabyte, pings) = self.crowd()?;
        add("idle sockets", "per MB", per_megabyte);
        add("pings answered", "per CPU s", pings);
        let (start_ms, idle_kb) = self.starts()?;
        add("starts", "per second", 1e3 / start_ms);
        add("idle servers", "per GB", (1 << 20) as f64 / idle_kb);
        Ok(figures)
    }

    fn requests(&mut self, options: &Options, draft: Option<(Vec<u8>, Vec<u8>)>) -> Result<f64> {
        let healthz = || (get(self.server.address, "/healthz", ""), HEALTHY.as_bytes().to_vec());
        let (request, body) = draft.unwrap_or_else(healthz);
        let mut clients = Clients::connect(self.server.address, CLIENTS, Duration::ZERO)?;
        let mut script = Fixed { request: &request, body: &body };
        let report = clients.run(&mut script, &options.window(0.5), || self.server.cpu_seconds())?;
        Ok(self.count(report).per_cpu_second())
    }

    fn appends(&mut self, options: &Options) -> Result<f64> {
        let server = self.fresh(&[])?;
        let mut clients = Clients::connect(server.address, CLIENTS, Duration::ZERO)?;
        let mut script = Appending::new(server.address, user_headers());
        let report = clients.run(&mut script, &options.window(1.0), || server.cpu_seconds())?;
        Ok(self.count(report).per_cpu_second())
    }

    /// Appends per CPU second, and wake-ups of the server for each append.
    fn lone_appends(&mut self, options: &Options) -> Result<(f64, f64)> {
        let server = self.fresh(&[])?;
        let mut clients = Clients::connect(server.address, 1, Duration::ZERO)?;
        let mut script = Paced { appending: Appending::new(server.address, user_headers()), next: None, appends: 0 };
        let before = server.wake_ups();
        let report = clients.run(&mut script, &options.window(1.0), || server.cpu_seconds())?;
        let wake_ups = (server.wake_ups() - before) as f64 / script.appends as f64;
        Ok((self.count(report).per_cpu_second(), wake_ups))
    }

    fn deliveries(&mut self, options: &Options, in_flight: usize) -> Result<f64> {
        let window = options.window(0.5);
        let plan = Plan { warm_up: window.warm_up, measured: window.measured, in_flight, pace: None, nap: Some(NAP) };
        let place = Place::open(self.server.address, Host::Inkring)?;
        let report = Room::fill(&place, SUBSCRIBERS, in_flight)?.run(&plan, &self.server)?;
        self.failures += count_failures(&report);
        Ok(report.per_cpu_second())
    }

    /// Idle sockets in a megabyte, and pings sent and pongs taken in a CPU second.
    fn crowd(&mut self) -> Result<(f64, f64)> {
        let server = self.fresh(&[("WS_PING_SECONDS", "1")])?;
        let mut crowd = Crowd::new()?;
        crowd.grow(&server, 1)?;
        settle();
        let empty = server.rss();
        crowd.grow(&server, 1 + CROWD)?;
        let (pings, cpu) = (crowd.pings(), server.cpu_seconds());
        crowd.sit(Duration::from_secs(3), |_| false)?;
        self.failures += crowd.lost;
        let per_megabyte = CROWD as f64 * 1024.0 / server.rss().saturating_sub(empty).max(1) as f64;
        Ok((per_megabyte, (crowd.pings() - pings) as f64 / (server.cpu_seconds() - cpu)))
    }

    /// Milliseconds from the start to the first answer, and KB that an idle server holds.
    fn starts(&self) -> Result<(f64, f64)> {
        let server = self.fresh(&[])?;
        await_health(&server)?;
        let took = server.spawned.elapsed().as_secs_f64() * 1e3;
        thread::sleep(Duration::from_millis(200));
        Ok((took, server.rss() as f64))
    }
}

/// Appends at a steady pace instead of one after the other.
struct Paced {
    appending: Appending,
    next: Option<Instant>,
    appends: u64,
}

impl Script for Paced {
    fn request(&mut self, client: usize, out: &mut Vec<u8>) -> bool {
        let now = Instant::now();
        let at = self.next.filter(|at| *at > now).unwrap_or(now);
        // The one client has nothing else to do, and what it does is not measured.
        thread::sleep(at - now);
        self.next = Some(at + LONE_PACE);
        self.appending.request(client, out)
    }

    fn answer(&mut self, client: usize, status: u16, body: &[u8]) -> Verdict {
        self.appends += 1;
        self.appending.answer(client, status, body)
    }
}

pub fn run(options: &Options) -> Result<u64> {
    let before = options.before.as_deref().ok_or("versus wants --before PATH, a release build of inkring")?;
    let after = process::build_server()?;
    let cores = process::two_cores()?.filter(|_| !options.unpinned);
    let core = cores.map(|(server, _)| server);
    let mut builds = [Build::start(before, core)?, Build::start(&after, core)?];
    println!("before: {}\nafter:  {}", before.display(), after.display());
    process::pin_the_load(cores, "servers and load share all cores")?;
    let rounds = options.rounds.unwrap_or(11);
    let mut sides: [Vec<Vec<Figure>>; 2] = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        for turn in 0..2 {
            let side = (round + turn) % 2;
            let figures = builds[side].measure(options)?;
            sides[side].push(figures);
        }
    }
    let mut table = Table::new(&["medians of rounds", "", "before", "after", "after over before"]);
    for (row, figure) in sides[0][0].iter().enumerate() {
        let values = |side: usize| sides[side].iter().map(move |figures| figures[row].value);
        let cell = |side: usize| {
            let value = median(values(side));
            if value < 1000.0 { format!("{value:.1}") } else { format!("{value:.0}") }
        };
        let ratio = Ratio::of(values(1).zip(values(0))).cell(Some(OF_BEFORE));
        table.row([figure.name.into(), figure.unit.into(), cell(0), cell(1), ratio]);
    }
    table.print();
    println!(
        "More is better in every row. A CPU second is the server's. Databases in memory; {rounds} rounds, in turn first."
    );
    Ok(builds.iter().map(|build| build.failures).sum())
}
