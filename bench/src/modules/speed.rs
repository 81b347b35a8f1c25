//! Lists, changes and searches.

use std::net::SocketAddr;
use std::time::Duration;

use super::household::{COMMON, Household, RARE, RARE_RECORDS};
use super::setting::{Measured, Setting, client_header, server_in};
use crate::append::{Appending, FILLER, marker, user_headers};
use crate::http::CLIENTS;
use crate::load::{Caller, Clients, Report, Script, Verdict, describe, fields, get, post};
use crate::options::{HEALTHY, Result};
use crate::process;
use crate::receipts::PREFER;
use crate::table::{Ratio, median, micros, target};

const OVER_HEALTHZ: f64 = 0.25;
const OVER_APPENDS: f64 = 0.9;
const SEARCH_MS: f64 = 20.0;
const OVER_RARE: f64 = 2.0;
/// A household searches from a few places at once.
const SEARCHERS: usize = 4;
/// So many clients ask in turn, because each may ask only so often.
const ADDRESSES: usize = 1000;
const PAGE: usize = 100;

/// The same request from one client after the other, and the one right answer to it.
struct Asking {
    requests: Vec<Vec<u8>>,
    body: Vec<u8>,
    next: usize,
}

impl Asking {
    fn of(address: SocketAddr, path: &str, body: Vec<u8>) -> Self {
        let requests = (0..ADDRESSES).map(|client| get(address, path, &client_header(client))).collect();
        Self { requests, body, next: 0 }
    }

    /// The same where the server itself is asked what is right, and `judge` says whether it is.
    fn judged(address: SocketAddr, path: &str, judge: impl Fn(&str) -> bool) -> Result<Self> {
        let (status, body) = Caller::connect(address)?.call(&get(address, path, &client_header(0)))?;
        match status == 200 && judge(&String::from_utf8_lossy(&body)) {
            true => Ok(Self::of(address, path, body)),
            false => Err(format!("{path}: {}", describe(status, &body)).into()),
        }
    }
}

impl Script for Asking {
    fn request(&mut self, _: usize, out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(&self.requests[self.next]);
        self.next = (self.next + 1) % self.requests.len();
        true
    }

    fn answer(&mut self, _: usize, status: u16, body: &[u8]) -> Verdict {
        match status == 200 && body == self.body {
            true => Verdict::Counted,
            false => Verdict::Wrong(describe(status, body)),
        }
    }
}

/// Runs two scripts against one server in alternating rounds; the reports of each.
fn alternate(
    setting: &Setting<'_>,
    server: &process::Server,
    [clients, rounds]: [usize; 2],
    seconds: f64,
    scripts: &mut [Asking; 2],
) -> Result<[Vec<Report>; 2]> {
    let window = setting.options.window(setting.seconds(seconds));
    let mut reports: [Vec<Report>; 2] = Default::default();
    for round in 0..rounds {
        for side in [round % 2, 1 - round % 2] {
            let mut clients = Clients::connect(server.address, clients, Duration::ZERO)?;
            reports[side].push(clients.run(&mut scripts[side], &window, || server.cpu_seconds())?);
        }
    }
    Ok(reports)
}

/// A page of the newest stories against the smallest answer that there is.
pub fn list(setting: &Setting<'_>, household: &mut Option<Household>) -> Result<Measured> {
    let household = Household::of(household, &setting.program, setting.records())?;
    let server = household.open(&setting.program, setting.cores.map(|(server, _)| server))?;
    if let Some((_, load)) = setting.cores {
        process::pin_this_thread(load)?;
    }
    let path = format!("/api/v1/kazkar/stories?order=desc&limit={PAGE}");
    let stories = household.stories;
    let is_right = |text: &str| {
        let ids = fields(text, "id").filter_map(|id| id.parse::<usize>().ok());
        ids.eq((stories - PAGE + 1..=stories).rev())
    };
    let list = Asking::judged(server.address, &path, is_right)?;
    let kilobytes = list.body.len() as f64 / 1024.0;
    let healthz = Asking::of(server.address, "/healthz", HEALTHY.into());
    let reports = alternate(setting, &server, [CLIENTS, setting.rounds(15)], 0.5, &mut [healthz, list])?;
    household.close(server)?;

    let mut measured = Measured::default();
    reports.iter().flatten().for_each(|report| measured.look_at(report));
    let [of_healthz, of_list] = &reports;
    let of = |reports: &[Report], value: fn(&Report) -> f64| median(reports.iter().map(value));
    let said = |reports: &[Report]| {
        let (rate, cpu) = (of(reports, Report::per_second), of(reports, Report::cpu_micros));
        format!("{rate:.0}/s, {cpu:.1} µs CPU")
    };
    let ratio = |value: fn(&Report) -> f64| {
        Ratio::of(of_list.iter().zip(of_healthz).map(|(list, healthz)| (value(list), value(healthz))))
    };
    measured.row(
        format!("list of {PAGE} of {stories}, {kilobytes:.0} KB"),
        said(of_list),
        format!("/healthz: {}", said(of_healthz)),
        ratio(Report::per_second).cell(Some(OVER_HEALTHZ)),
    );
    let per_cpu = ratio(Report::per_cpu_second).cell(None);
    let load = format!("load {:.0} % busy", of(of_list, |report| 100.0 * report.load_cpu / report.seconds));
    measured.row("… by CPU seconds", load, "/healthz".to_owned(), per_cpu);
    Ok(measured)
}

/// Every client makes one story after the other.
struct Creating {
    address: SocketAddr,
    serials: Vec<usize>,
    made: u64,
}

impl Creating {
    fn new(address: SocketAddr) -> Self {
        Self { address, serials: vec![0; CLIENTS], made: 0 }
    }

    /// Whether the server has as many as it said.
    fn verify(&self) -> Result<()> {
        let stats = get(self.address, "/api/v1/kazkar/stats", &client_header(CLIENTS));
        let (status, body) = Caller::connect(self.address)?.call(&stats)?;
        let text = String::from_utf8_lossy(&body);
        match fields(&text, "total_stories").next() == Some(&self.made.to_string()) {
            true => Ok(()),
            false => Err(format!("{} stories were made: {}", self.made, describe(status, &body)).into()),
        }
    }
}

impl Script for Creating {
    fn request(&mut self, client: usize, out: &mut Vec<u8>) -> bool {
        self.serials[client] += 1;
        let marker = marker(client, self.serials[client]);
        let json = format!(
            r#"{{"title":"Історія","content":"{marker}{FILLER}","story_type":"memory","participants":["Олена"],"tags":["родина"]}}"#
        );
        out.extend_from_slice(&post(self.address, "/api/v1/kazkar/stories", &client_header(client), &json));
        true
    }

    fn answer(&mut self, client: usize, status: u16, body: &[u8]) -> Verdict {
        let text = std::str::from_utf8(body).unwrap_or("");
        if status != 200 || !text.contains(&marker(client, self.serials[client])) {
            return Verdict::Wrong(describe(status, body));
        }
        self.made += 1;
        Verdict::Counted
    }
}

/// What waiting clients get through to the disk: stories against segments.
pub fn create(setting: &Setting<'_>, _: &mut Option<Household>) -> Result<Measured> {
    let mut window = setting.options.window(setting.seconds(3.0));
    // A commit waits for the disk, and a disk may stall.
    window.patience = Duration::from_secs(10);
    let rounds = setting.rounds(7);
    let mut reports: [Vec<Report>; 2] = Default::default();
    let mut measured = Measured::default();
    for round in 0..rounds {
        for side in [round % 2, 1 - round % 2] {
            let server = server_in(process::directory()?, &setting.program, None)?;
            let mut clients = Clients::connect(server.address, CLIENTS, Duration::ZERO)?;
            let report = if side == 0 {
                let headers = user_headers().into_iter().map(|header| header + PREFER).collect();
                let mut script = Appending::new(server.address, headers);
                let report = clients.run(&mut script, &window, || server.cpu_seconds())?;
                let (wrong, complaint) = script.verify()?;
                measured.failures += wrong;
                complaint.iter().for_each(|complaint| println!("wrong answer: {complaint}"));
                report
            } else {
                let mut script = Creating::new(server.address);
                let report = clients.run(&mut script, &window, || server.cpu_seconds())?;
                script.verify()?;
                report
            };
            reports[side].push(report);
        }
        let [appends, creates] = &reports;
        let rate = |side: &[Report]| side.last().map_or(0.0, Report::per_second);
        eprintln!("round {} of {rounds}: {:.0} stories/s, {:.0} appends/s", round + 1, rate(creates), rate(appends));
    }
    reports.iter().flatten().for_each(|report| measured.look_at(report));
    let said = |reports: &[Report]| {
        let of = |value: fn(&Report) -> f64| median(reports.iter().map(value));
        format!("{:.0}/s, {:.0} µs CPU", of(Report::per_second), of(Report::cpu_micros))
    };
    let [appends, creates] = &reports;
    let ratio =
        Ratio::of(creates.iter().zip(appends).map(|(create, append)| (create.per_second(), append.per_second())));
    measured.row(
        format!("stories made, {CLIENTS} clients"),
        said(creates),
        format!("appends: {}", said(appends)),
        ratio.cell(Some(OVER_APPENDS)),
    );
    Ok(measured)
}

/// A word that is in every record against one that is hardly anywhere.
pub fn search(setting: &Setting<'_>, household: &mut Option<Household>) -> Result<Measured> {
    let household = Household::of(household, &setting.program, setting.records())?;
    let server = household.open(&setting.program, setting.cores.map(|(server, _)| server))?;
    if let Some((_, load)) = setting.cores {
        process::pin_this_thread(load)?;
    }
    let asking = |word: &str, found: usize| {
        let encoded: String = word.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let is_right = |text: &str| fields(text, "snippet").filter(|snippet| snippet.contains(word)).count() == found;
        Asking::judged(server.address, &format!("/api/v1/search?q={encoded}"), is_right)
    };
    let mut scripts = [asking(RARE, RARE_RECORDS)?, asking(COMMON, 20)?];
    let reports = alternate(setting, &server, [SEARCHERS, setting.rounds(9)], 1.0, &mut scripts)?;
    household.close(server)?;

    let mut measured = Measured::default();
    reports.iter().flatten().for_each(|report| measured.look_at(report));
    let [rare, common] = &reports;
    let p99 = |report: &Report| report.latency.percentile(99.0) as f64;
    let said = |reports: &[Report]| {
        let of = |percent: f64| median(reports.iter().map(|report| report.latency.percentile(percent) as f64)) as u64;
        format!("p50 {} µs, p99 {} µs", micros(of(50.0)), micros(of(99.0)))
    };
    let ms = median(common.iter().map(p99)) / 1e6;
    let name = format!("search of a common word in {} records", household.records);
    measured.row(name, said(common), "p99, ms".to_owned(), target(ms <= SEARCH_MS, &format!("≤ {SEARCH_MS}")));
    let ratio = Ratio::of(common.iter().zip(rare).map(|(common, rare)| (p99(common), p99(rare))));
    measured.row("… of a rare word", said(rare), "p99, ratio".to_owned(), ratio.cell_at_most(Some(OVER_RARE)));
    Ok(measured)
}
