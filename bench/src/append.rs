//! `append`: what 64 waiting clients get through to the disk, against the bare storage engine
//! and against what the disk can do.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::engine::{self, CLIENTS};
use crate::http::SEGMENTS;
use crate::load::{Caller, Clients, Histogram, Report, Script, Verdict, describe, fields, get, post};
use crate::options::{Options, Result};
use crate::process::{self, Server};
use crate::table::{Ratio, Table, median, megabytes, micros, none, target};

const RSS_MB: u64 = 40;
const OVER_ENGINE: f64 = 0.40;

/// Every client is a user of its own, who fills one draft after the other.
pub struct Appending {
    address: SocketAddr,
    /// The line by which each user says who it is.
    headers: Vec<String>,
    users: Vec<User>,
    drafts: Vec<Draft>,
}

#[derive(Default)]
struct User {
    draft: Option<usize>,
    creating: bool,
    /// The number of the last append, which its content and its key are made of.
    serial: usize,
}

struct Draft {
    user: usize,
    id: String,
    asked: usize,
    acknowledged: Vec<(String, usize)>,
}

/// What every content ends with: with the marker, about 200 characters.
pub const FILLER: &str = " and then the others take their turn, one after the other, until what one of \
    them had begun as a single sentence has become a thread that none of them would have written \
    alone, at all.";

/// Stands once in the content of one append; the brackets keep 1 apart from 11.
pub fn marker(user: usize, serial: usize) -> String {
    format!("[c{user}-{serial}]")
}

pub fn user_headers() -> Vec<String> {
    (0..CLIENTS).map(|user| format!("X-User-Id: bench-{user}\r\n")).collect()
}

impl Appending {
    pub fn new(address: SocketAddr, headers: Vec<String>) -> Self {
        let users = headers.iter().map(|_| User::default()).collect();
        Self { address, headers, users, drafts: Vec::new() }
    }

    fn created(&mut self, client: usize, status: u16, text: &str) -> Option<Verdict> {
        let id = fields(text, "draft_id").next().filter(|_| matches!(status, 200 | 201))?;
        self.users[client].draft = Some(self.drafts.len());
        let draft = Draft { user: client, id: id.into(), asked: 0, acknowledged: Vec::new() };
        self.drafts.push(draft);
        Some(Verdict::Uncounted)
    }

    fn appended(&mut self, client: usize, status: u16, text: &str) -> Option<Verdict> {
        let marker = marker(client, self.users[client].serial);
        let order = fields(text, "segment_order").last()?.parse().ok()?;
        // A receipt does not repeat the text; it is read back in the end.
        if status != 200 || !(text.contains(&marker) || text.contains("\"chain_sha256\":\"")) {
            return None;
        }
        self.drafts[self.users[client].draft?].acknowledged.push((marker, order));
        Some(Verdict::Counted)
    }

    /// Reads every draft back; returns how many do not hold exactly what was acknowledged.
    pub fn verify(&self) -> Result<(u64, Option<String>)> {
        let mut caller = Caller::connect(self.address)?;
        let (mut wrong, mut first) = (0, None);
        for draft in &self.drafts {
            let path = format!("/v1/collab/drafts/{}", draft.id);
            let (status, body) = caller.call(&get(self.address, &path, &self.headers[draft.user]))?;
            let text = String::from_utf8_lossy(&body);
            if let Err(what) = draft.check(status, &text) {
                wrong += 1;
                first.get_or_insert_with(|| format!("read back: {what}: {}", describe(status, &body)));
            }
        }
        Ok((wrong, first))
    }
}

impl Draft {
    fn check(&self, status: u16, text: &str) -> std::result::Result<(), &'static str> {
        if status != 200 {
            return Err("no draft");
        }
        let orders: Vec<usize> = fields(text, "segment_order").filter_map(|order| order.parse().ok()).collect();
        let markers: Vec<&str> =
            text.match_indices("[c").filter_map(|(at, _)| Some(&text[at..=at + text[at..].find(']')?])).collect();
        if orders.len() != markers.len() {
            return Err("segments and contents differ in number");
        }
        if orders.first().is_some_and(|&first| first > 1) || orders.windows(2).any(|pair| pair[1] != pair[0] + 1) {
            return Err("a gap in the order");
        }
        // An append whose answer never came may be there or not; no other may.
        let is_acknowledged = |marker: &str| self.acknowledged.iter().any(|(known, _)| known == marker);
        let unknown = markers.iter().filter(|marker| !is_acknowledged(marker)).count();
        if unknown > self.asked - self.acknowledged.len() {
            return Err("a segment too many");
        }
        let held = markers.into_iter().zip(orders).filter(|(marker, _)| is_acknowledged(marker));
        let acknowledged = self.acknowledged.iter().map(|(marker, order)| (&marker[..], *order));
        match held.eq(acknowledged) {
            true => Ok(()),
            false => Err("not what was acknowledged"),
        }
    }
}

impl Script for Appending {
    fn request(&mut self, client: usize, out: &mut Vec<u8>) -> bool {
        let user = &mut self.users[client];
        let header = &self.headers[client];
        let open = user.draft.filter(|&draft| self.drafts[draft].asked < SEGMENTS);
        user.creating = open.is_none();
        let request = match open {
            None => {
                let json = r#"{"title":"bench","platform":"x"}"#;
                post(self.address, "/v1/collab/drafts", header, json)
            }
            Some(draft) => {
                let draft = &mut self.drafts[draft];
                draft.asked += 1;
                user.serial += 1;
                let (marker, serial) = (marker(client, user.serial), user.serial);
                let json = format!(r#"{{"content":"{marker}{FILLER}","idempotency_key":"k{client}-{serial}"}}"#);
                let path = format!("/v1/collab/drafts/{}/segments", draft.id);
                post(self.address, &path, header, &json)
            }
        };
        out.extend_from_slice(&request);
        true
    }

    fn answer(&mut self, client: usize, status: u16, body: &[u8]) -> Verdict {
        let text = std::str::from_utf8(body).unwrap_or("");
        let verdict = match self.users[client].creating {
            true => self.created(client, status, text),
            false => self.appended(client, status, text),
        };
        verdict.unwrap_or_else(|| Verdict::Wrong(describe(status, body)))
    }
}

struct Round {
    report: Report,
    rss: u64,
    peak: u64,
    engine: f64,
}

pub fn run(options: &Options) -> Result<u64> {
    let program = process::build_server()?;
    let mut window = options.window(5.0);
    // A commit waits for the disk, and a disk may stall.
    window.patience = Duration::from_secs(10);
    let rounds = options.rounds.unwrap_or(3);
    println!("{CLIENTS} clients, each with one append in flight, drafts of {SEGMENTS}; not pinned");

    let before = Disk::measure()?;
    let mut results = Vec::new();
    for round in 0..rounds {
        let directory = process::directory()?;
        let engine = engine::engine_appends_per_second(directory.path(), window.measured)?;
        drop(directory);
        // A new server for every round: the engine starts with an empty database each time too.
        let server = Server::inkring(&program, None)?;
        let mut clients = Clients::connect(server.address, CLIENTS, Duration::ZERO)?;
        let mut script = Appending::new(server.address, user_headers());
        let mut report = clients.run(&mut script, &window, || server.cpu_seconds())?;
        let (rss, peak) = (server.rss(), server.peak_rss());
        let (wrong, complaint) = script.verify()?;
        report.wrong += wrong;
        report.first_complaint = report.first_complaint.or(complaint);
        eprintln!(
            "round {} of {rounds}: {:.0} appends/s, engine {engine:.0}, {} drafts read back",
            round + 1,
            report.per_second(),
            script.drafts.len(),
        );
        results.push(Round { report, rss, peak, engine });
    }
    let after = Disk::measure()?;

    let of = |value: fn(&Round) -> f64| median(results.iter().map(value));
    let wrong: u64 = results.iter().map(|round| round.report.wrong).sum();
    let silent: u64 = results.iter().map(|round| round.report.unanswered).sum();
    let rss = results.iter().map(|round| round.rss).max().unwrap_or(0);
    let peak = results.iter().map(|round| round.peak).max().unwrap_or(0);
    let pairs = results.iter().map(|round| (round.report.per_second(), round.engine));
    let mut table = Table::new(&[
        "medians",
        "per second",
        "p50 µs",
        "p99 µs",
        "CPU µs/append",
        "RSS MB",
        "peak MB",
        "wrong",
        "silent",
        "ratio to engine",
    ]);
    table.row([
        "inkring appends".into(),
        format!("{:.0}", of(|round| round.report.per_second())),
        micros(of(|round| round.report.latency.percentile(50.0) as f64) as u64),
        micros(of(|round| round.report.latency.percentile(99.0) as f64) as u64),
        format!("{:.1}", of(|round| round.report.cpu_micros())),
        format!("{} {}", megabytes(rss), target(rss <= RSS_MB * 1024, "≤ 40")),
        megabytes(peak),
        wrong.to_string(),
        silent.to_string(),
        Ratio::of(pairs).cell(Some(OVER_ENGINE)),
    ]);
    table.row(["bare engine".into(), format!("{:.0}", of(|round| round.engine))]);
    for (name, disk) in [("fdatasync before", before), ("fdatasync after", after)] {
        let percentile = |percent| micros(disk.0.percentile(percent));
        table.row([name.into(), none(), percentile(50.0), percentile(99.0)]);
    }
    table.print();
    println!("RSS and peak are the highest of the rounds. fdatasync: appends of 8 KB, same disk.");
    for complaint in results.iter().filter_map(|round| round.report.first_complaint.as_ref()) {
        println!("wrong answer: {complaint}");
    }
    Ok(wrong + silent)
}

/// What one durable write costs here and now, without any database.
pub struct Disk(Histogram);

impl Disk {
    pub fn measure() -> Result<Self> {
        let directory = process::directory()?;
        let mut file = File::create(Path::join(directory.path(), "fdatasync"))?;
        let mut histogram = Histogram::default();
        let deadline = Instant::now() + Duration::from_secs(20);
        for _ in 0..200 {
            let start = Instant::now();
            file.write_all(&[b'x'; 8 << 10])?;
            file.sync_data()?;
            histogram.add(start.elapsed());
            if Instant::now() > deadline {
                break;
            }
        }
        Ok(Self(histogram))
    }

    pub fn percentile_ms(&self, percent: f64) -> f64 {
        self.0.percentile(percent) as f64 / 1e6
    }
}
