//! `limits`: what it costs to know who is asking, to count them and to write down what they did; what a refusal costs
//! the server; and what a million addresses cost.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header, encode};

use crate::append::{Appending, user_headers};
use crate::engine::CLIENTS;
use crate::load::{Caller, Clients, Fixed, Report, Script, Verdict, describe, get};
use crate::options::{HEALTHY, Options, Result, Window};
use crate::process::{self, Server};
use crate::table::{Ratio, Table, median, megabytes, micros, none, target};

const OVER_OFF: f64 = 0.75;
const FLOOD_MB: u64 = 32;
const ADDRESSES: u32 = 1_000_000;
const DRAFTS: &str = "/v1/collab/drafts";
const KEY: &str = "a-key-that-only-this-benchmark-has";

/// Every check there is, with limits that the load stays under: each request is counted, and none refused. What a server
/// does not know of these it passes over.
const ALL_ON: [(&str, &str); 8] = [
    ("JWT_SECRET", KEY),
    ("AUTH_TRUST_USER_HEADER", "false"),
    ("RATE_LIMIT_ENABLED", "true"),
    ("RATE_LIMIT_PER_MINUTE_DEFAULT", "1000000"),
    ("RATE_LIMIT_BURST_DEFAULT", "1000000"),
    ("WS_LIMITS_ENABLED", "true"),
    ("AUDIT_ENABLED", "true"),
    ("AUDIT_SAMPLE_RATE", "1"),
];
/// One request a minute, and ten from one address.
const TIGHT: [(&str, &str); 3] =
    [("RATE_LIMIT_ENABLED", "true"), ("RATE_LIMIT_PER_MINUTE_DEFAULT", "1"), ("RATE_LIMIT_BURST_DEFAULT", "1")];

fn tokens() -> Result<Vec<String>> {
    let token = |user| -> Result<String> {
        let claims = BTreeMap::from([("sub", format!("bench-{user}"))]);
        let token = encode(&Header::default(), &claims, &EncodingKey::from_secret(KEY.as_bytes()))?;
        Ok(format!("Authorization: Bearer {token}\r\n"))
    };
    (0..CLIENTS).map(token).collect()
}

pub fn run(options: &Options) -> Result<u64> {
    let program = process::build_server()?;
    let mut failures = appends(&program, options)?;
    failures += refusals(&program, options)?;
    failures += addresses(&program)?;
    Ok(failures)
}

/// All on against all off, by what 64 clients get through to the disk.
fn appends(program: &Path, options: &Options) -> Result<u64> {
    let mut window = options.window(5.0);
    // A commit waits for the disk, and a disk may stall.
    window.patience = Duration::from_secs(10);
    let rounds = options.rounds.unwrap_or(5);
    println!("{CLIENTS} clients, each with one append in flight; not pinned");
    let sides = [("all off", &[][..], user_headers()), ("all on", &ALL_ON[..], tokens()?)];
    let mut reports: [Vec<Report>; 2] = Default::default();
    for round in 0..rounds {
        // Each round starts with the other one.
        for side in [round % 2, 1 - round % 2] {
            let (name, settings, headers) = &sides[side];
            let server = Server::inkring_with(program, None, settings)?;
            let mut clients = Clients::connect(server.address, CLIENTS, Duration::ZERO)?;
            let mut script = Appending::new(server.address, headers.clone());
            let mut report = clients.run(&mut script, &window, || server.cpu_seconds())?;
            let (wrong, complaint) = script.verify()?;
            report.wrong += wrong;
            report.first_complaint = report.first_complaint.or(complaint);
            eprintln!("round {} of {rounds}: {name}: {:.0} appends/s", round + 1, report.per_second());
            reports[side].push(report);
        }
    }
    let mut table =
        Table::new(&["medians", "appends/s", "CPU µs/append", "p50 µs", "p99 µs", "wrong", "silent", "ratio to off"]);
    let [off, on] = &reports;
    let ratio = Ratio::of(on.iter().zip(off).map(|(on, off)| (on.per_second(), off.per_second())));
    for ((name, ..), rounds, ratio) in [(&sides[0], off, none()), (&sides[1], on, ratio.cell(Some(OVER_OFF)))] {
        let [per_second, cpu, p50, p99, wrong, silent] = cells(rounds);
        table.row([(*name).into(), per_second, cpu, p50, p99, wrong, silent, ratio]);
    }
    table.print();
    println!(
        "All on: tokens verified, every request counted by address and by user, and audit where the server has it."
    );
    Ok(reports.iter().map(|rounds| failures(rounds)).sum())
}

/// Asks for a list, too often.
struct Refused {
    request: Vec<u8>,
}

impl Script for Refused {
    fn request(&mut self, _: usize, out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(&self.request);
        true
    }

    fn answer(&mut self, _: usize, status: u16, body: &[u8]) -> Verdict {
        let text = std::str::from_utf8(body).unwrap_or("");
        match status {
            429 if text.starts_with(r#"{"error":{"code":"rate_limited","#) => Verdict::Counted,
            // What the buckets held, and what comes back now and then.
            200 => Verdict::Uncounted,
            _ => Verdict::Wrong(describe(status, body)),
        }
    }
}

/// A 429 against a `/healthz`, by what they cost the server.
fn refusals(program: &Path, options: &Options) -> Result<u64> {
    let cores = process::two_cores()?;
    let server = Server::inkring_with(program, cores.map(|(server, _)| server), &TIGHT)?;
    if let Some((server, load)) = cores {
        process::pin_this_thread(load)?;
        println!("\nThe server pinned to core {server}, the load to core {load}.");
    }
    let window = Window { measured: Duration::from_secs_f64(options.seconds.unwrap_or(1.0)), ..options.window(1.0) };
    let rounds = options.rounds.unwrap_or(15);
    let healthz = get(server.address, "/healthz", "X-User-Id: alice\r\n");
    let list = get(server.address, DRAFTS, "X-User-Id: alice\r\n");
    let mut reports: [Vec<Report>; 2] = Default::default();
    for round in 0..rounds {
        for side in [round % 2, 1 - round % 2] {
            let mut clients = Clients::connect(server.address, CLIENTS, Duration::from_millis(2))?;
            let report = match side {
                0 => {
                    let mut script = Fixed { request: &healthz, body: HEALTHY.as_bytes() };
                    clients.run(&mut script, &window, || server.cpu_seconds())?
                }
                _ => {
                    let mut script = Refused { request: list.clone() };
                    clients.run(&mut script, &window, || server.cpu_seconds())?
                }
            };
            reports[side].push(report);
        }
    }
    let [healthz, refused] = &reports;
    let ratio =
        Ratio::of(refused.iter().zip(healthz).map(|(refused, healthz)| (refused.cpu_micros(), healthz.cpu_micros())));
    let mut table =
        Table::new(&["medians", "per second", "CPU µs", "p50 µs", "p99 µs", "wrong", "silent", "CPU to /healthz"]);
    let met = target(ratio.median() < 1.0, "< 1");
    let cell = format!("{} {met}", ratio.cell(None));
    for (name, rounds, ratio) in [("/healthz", healthz, none()), ("429", refused, cell)] {
        let [per_second, cpu, p50, p99, wrong, silent] = cells(rounds);
        table.row([name.into(), per_second, cpu, p50, p99, wrong, silent, ratio]);
    }
    table.print();
    Ok(reports.iter().map(|rounds| failures(rounds)).sum())
}

/// Rate, CPU, two percentiles, wrong and missing answers.
fn cells(rounds: &[Report]) -> [String; 6] {
    let of = |value: fn(&Report) -> f64| median(rounds.iter().map(value));
    [
        format!("{:.0}", of(Report::per_second)),
        format!("{:.2}", of(Report::cpu_micros)),
        micros(of(|report| report.latency.percentile(50.0) as f64) as u64),
        micros(of(|report| report.latency.percentile(99.0) as f64) as u64),
        rounds.iter().map(|report| report.wrong).sum::<u64>().to_string(),
        rounds.iter().map(|report| report.unanswered).sum::<u64>().to_string(),
    ]
}

fn failures(rounds: &[Report]) -> u64 {
    for complaint in rounds.iter().filter_map(|report| report.first_complaint.as_ref()) {
        println!("wrong answer: {complaint}");
    }
    rounds.iter().map(|report| report.wrong + report.unanswered).sum()
}

/// Each request comes from an address of its own, through a proxy that is trusted.
struct Addresses {
    address: SocketAddr,
    next: u32,
}

impl Script for Addresses {
    fn request(&mut self, _: usize, out: &mut Vec<u8>) -> bool {
        if self.next == ADDRESSES {
            return false;
        }
        // From 11.0.0.0 on.
        let client = Ipv4Addr::from_bits((11 << 24) + self.next);
        self.next += 1;
        out.extend_from_slice(&get(self.address, DRAFTS, &format!("X-Forwarded-For: {client}\r\n")));
        true
    }

    fn answer(&mut self, _: usize, status: u16, body: &[u8]) -> Verdict {
        match status {
            // Nobody is named. Who comes for the first time is not refused.
            401 => Verdict::Counted,
            _ => Verdict::Wrong(describe(status, body)),
        }
    }
}

/// A million addresses, each with a bucket of its own and one for the route, while one user has used up theirs.
fn addresses(program: &Path) -> Result<u64> {
    let settings =
        [&TIGHT[..1], &[("RATE_LIMIT_PER_MINUTE_DEFAULT", "1"), ("TRUSTED_PROXIES", "127.0.0.0/8")]].concat();
    let server = Server::inkring_with(program, None, &settings)?;
    let honest = get(server.address, DRAFTS, "X-User-Id: honest\r\nX-Forwarded-For: 192.0.2.1\r\n");
    let until_refused = || -> Result<usize> {
        let mut caller = Caller::connect(server.address)?;
        for taken in 0..100 {
            if caller.call(&honest)?.0 == 429 {
                return Ok(taken);
            }
        }
        Err("nobody is refused".into())
    };
    let first = until_refused()?;
    let before = server.rss();
    let mut clients = Clients::connect(server.address, CLIENTS, Duration::ZERO)?;
    let window =
        Window { warm_up: Duration::ZERO, measured: Duration::from_secs(600), patience: Duration::from_secs(10) };
    let mut script = Addresses { address: server.address, next: 0 };
    let report = clients.run(&mut script, &window, || server.cpu_seconds())?;
    let after = server.rss();
    // One comes back a minute; with a bucket that was forgotten it would be all of them again.
    let again = until_refused()?;
    let forgotten = again as f64 > report.seconds / 60.0 + 1.0;
    let mut table = Table::new(&["", "value", "target"]);
    table.row([
        "addresses".into(),
        report.answers.to_string(),
        target(report.answers == u64::from(ADDRESSES), "1000000"),
    ]);
    table.row(["seconds".into(), format!("{:.1}", report.seconds), none()]);
    table.row(["memory before, MB".into(), megabytes(before), none()]);
    table.row(["memory after, MB".into(), megabytes(after), target(after <= FLOOD_MB * 1024, "≤ 32")]);
    table.row(["the honest user's tokens, first".into(), first.to_string(), none()]);
    table.row(["after the flood".into(), again.to_string(), target(!forgotten, "not forgotten:")]);
    table.print();
    Ok(failures(&[report]) + u64::from(forgotten))
}
