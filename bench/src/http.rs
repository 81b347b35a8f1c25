//! `http`: small answers against axum and tiny_http, and a draft against our own small answer.

use std::net::SocketAddr;
use std::time::Duration;

use crate::load::{Caller, Clients, Fixed, Report, describe, fields, get, post};
use crate::options::{HEALTHY, Options, Result};
use crate::process::{self, Server};
use crate::table::{Ratio, Table, median, megabytes, micros, none};

pub const CLIENTS: usize = 64;
/// Between two connects, for every server alike: see `tiny_http` in peers/.
const PACE: Duration = Duration::from_millis(2);
const OVER_PEER: f64 = 1.4;
const DRAFT_OVER_HEALTHZ: f64 = 0.35;
pub const SEGMENTS: usize = 20;

/// One request to one server, measured once in every round.
struct Subject {
    name: &'static str,
    server: usize,
    request: Vec<u8>,
    body: Vec<u8>,
    rounds: Vec<Report>,
    rss: u64,
    /// Which subject the ratios are made with, which way round, and what they should reach.
    compared: Option<Compared>,
}

enum Compared {
    /// Our /healthz (subject 0) over this peer.
    Peer,
    /// This over our /healthz.
    OwnHealthz,
}

impl Subject {
    fn healthz(name: &'static str, server: usize, address: SocketAddr, path: &str) -> Self {
        Self {
            name,
            server,
            request: get(address, path, ""),
            body: HEALTHY.into(),
            rounds: Vec::new(),
            rss: 0,
            compared: None,
        }
    }

    fn measure(&mut self, server: &Server, options: &Options) -> Result<()> {
        let mut clients = Clients::connect(server.address, CLIENTS, PACE)?;
        let mut script = Fixed { request: &self.request, body: &self.body };
        let window = options.window(0.5);
        let report = clients.run(&mut script, &window, || server.cpu_seconds())?;
        eprintln!("  {}: {:.0} req/s", self.name, report.per_second());
        // With the connections still open: a server's memory for them belongs to it.
        self.rss = server.rss();
        self.rounds.push(report);
        Ok(())
    }

    fn median(&self, of: impl Fn(&Report) -> f64) -> f64 {
        median(self.rounds.iter().map(of))
    }

    fn ratio(&self, healthz: &Self, of: impl Fn(&Report) -> f64) -> String {
        let pairs = healthz.rounds.iter().map(&of).zip(self.rounds.iter().map(&of));
        match self.compared {
            None => none(),
            Some(Compared::Peer) => Ratio::of(pairs).cell(Some(OVER_PEER)),
            Some(Compared::OwnHealthz) => {
                Ratio::of(pairs.map(|(ours, this)| (this, ours))).cell(Some(DRAFT_OVER_HEALTHZ))
            }
        }
    }
}

pub fn run(options: &Options) -> Result<u64> {
    let program = match options.peers_only {
        true => None,
        false => Some(process::build_server()?),
    };
    let peers = process::build_peers()?;
    let cores = process::two_cores()?.filter(|_| !options.unpinned);
    let server_core = cores.map(|(server, _)| server);
    let mut servers = Vec::new();
    let mut subjects = Vec::new();
    if let Some(program) = &program {
        let server = Server::inkring(program, server_core)?;
        subjects.push(Subject::healthz("inkring /healthz", 0, server.address, "/healthz"));
        servers.push(server);
    }
    let axum = [("axum, minimal", "/healthz"), ("axum, equal answer", "/sealed")];
    let tiny_http = [("tiny_http", "/healthz")];
    for (subcommand, answers) in [("axum", &axum[..]), ("tiny-http", &tiny_http[..])] {
        let server = Server::peer(&peers, subcommand, server_core)?;
        for (name, path) in answers {
            let mut subject = Subject::healthz(name, servers.len(), server.address, path);
            subject.compared = program.as_ref().map(|_| Compared::Peer);
            subjects.push(subject);
        }
        servers.push(server);
    }
    if program.is_some() {
        let mut subject = Subject::healthz("inkring draft of 20", 0, servers[0].address, "/healthz");
        (subject.request, subject.body) = long_draft(servers[0].address)?;
        subject.compared = Some(Compared::OwnHealthz);
        subjects.push(subject);
    }

    println!("GET over {CLIENTS} keep-alive connections, one request in flight on each");
    let unpinned = "servers and load share all cores, and each server has as many threads as cores";
    process::pin_the_load(cores, unpinned)?;
    let rounds = options.rounds.unwrap_or(31);
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        // Each round starts with another one, so that no server always follows the same one.
        for turn in 0..subjects.len() {
            let next = (round + turn) % subjects.len();
            let subject = &mut subjects[next];
            subject.measure(&servers[subject.server], options)?;
        }
    }

    let mut table = Table::new(&[
        "medians",
        "req/s",
        "CPU µs/req",
        "p50 µs",
        "p99 µs",
        "RSS MB",
        "server CPU %",
        "load CPU %",
        "others CPU %",
        "wrong",
        "silent",
        "ratio of req/s",
        "ratio of req/CPU s",
    ]);
    let mut failures = 0;
    for subject in &subjects {
        let wrong: u64 = subject.rounds.iter().map(|report| report.wrong).sum();
        let silent: u64 = subject.rounds.iter().map(|report| report.unanswered).sum();
        failures += wrong + silent;
        let percent = |of: fn(&Report) -> f64| {
            let percent = subject.median(|report| 100.0 * of(report) / report.seconds);
            format!("{percent:.0}")
        };
        table.row([
            subject.name.into(),
            format!("{:.0}", subject.median(Report::per_second)),
            format!("{:.2}", subject.median(Report::cpu_micros)),
            micros(subject.median(|report| report.latency.percentile(50.0) as f64) as u64),
            micros(subject.median(|report| report.latency.percentile(99.0) as f64) as u64),
            megabytes(subject.rss),
            percent(|report| report.server_cpu),
            percent(|report| report.load_cpu),
            percent(|report| report.other_cpu.max(0.0)),
            wrong.to_string(),
            silent.to_string(),
            subject.ratio(&subjects[0], Report::per_second),
            subject.ratio(&subjects[0], Report::per_cpu_second),
        ]);
    }
    table.print();
    println!("Ratios: inkring over a peer, draft over our own /healthz; median [range] of rounds.");
    println!("Each server as its users build it: inkring by its own release profile, the others by cargo's.");
    println!("CPU %: of one core. Others should be near 0, or the figures are not worth much.");
    println!("Where the load is at 100 % CPU and the server is not, req/s is the load's limit.");
    for subject in &subjects {
        for complaint in subject.rounds.iter().filter_map(|report| report.first_complaint.as_ref()) {
            println!("{}: wrong answer: {complaint}", subject.name);
        }
    }
    Ok(failures)
}

/// Creates a draft of 20 segments; returns the request for it and the one right answer.
pub fn long_draft(address: SocketAddr) -> Result<(Vec<u8>, Vec<u8>)> {
    const ALICE: &str = "X-User-Id: alice\r\n";
    let mut caller = Caller::connect(address)?;
    let content = |number: usize| format!("segment {number:02} {:x<189}", "");
    let json = format!(r#"{{"title":"bench","platform":"x","initial_segment":"{}"}}"#, content(0));
    let (status, body) = caller.call(&post(address, "/v1/collab/drafts", ALICE, &json))?;
    let text = String::from_utf8_lossy(&body);
    let Some(id) = fields(&text, "draft_id").next().filter(|_| matches!(status, 200 | 201)) else {
        return Err(format!("creating a draft: {}", describe(status, &body)).into());
    };
    let draft = format!("/v1/collab/drafts/{id}");
    for number in 1..SEGMENTS {
        let json = format!(r#"{{"content":"{}","idempotency_key":"k{number}"}}"#, content(number));
        let request = post(address, &format!("{draft}/segments"), ALICE, &json);
        let (status, body) = caller.call(&request)?;
        if status != 200 {
            return Err(format!("appending a segment: {}", describe(status, &body)).into());
        }
    }
    let request = get(address, &draft, ALICE);
    let (status, body) = caller.call(&request)?;
    let text = String::from_utf8_lossy(&body);
    let held = (0..SEGMENTS).all(|number| text.matches(&content(number)).count() == 1);
    if status != 200 || !held || fields(&text, "segment_order").count() != SEGMENTS {
        return Err(format!("not a draft of 20: {}", describe(status, &body)).into());
    }
    Ok((request, body))
}
