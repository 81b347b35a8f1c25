//! `backup`: what appends notice of a backup that is made meanwhile, by the server itself, of a large database.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use inkring::clock::Clock;
use inkring::hub::Hub;
use inkring::store::{self, Writer, run_chore};

use crate::append::{Appending, user_headers};
use crate::engine::CLIENTS;
use crate::load::{Clients, Histogram, Report};
use crate::options::{Options, Result, Window};
use crate::process::{self, Server};
use crate::table::{Table, median, megabytes, micros, none, target};

const OVER_QUIET: f64 = 2.0;
const MEGABYTES: usize = 1024;
/// What is measured is cut into pieces this long, each with a backup under way or without.
const SLICE: Duration = Duration::from_millis(250);
/// No backup takes longer here.
const BACKUP_PATIENCE: Duration = Duration::from_secs(600);
/// A server that was just started has things to do.
const SETTLING: Duration = Duration::from_secs(2);
/// Long enough for the housekeeper to come round.
const IDLE: Duration = Duration::from_secs(62);
const IDLE_PERCENT: f64 = 0.5;
/// Rows that fill a page each, in one transaction.
const ROWS: usize = 256;

/// The pieces of one kind, put together.
#[derive(Default)]
struct Pieces {
    latency: Histogram,
    answers: u64,
    seconds: f64,
    worst: f64,
}

impl Pieces {
    fn add(&mut self, report: &Report) {
        self.latency.merge(&report.latency);
        self.answers += report.answers;
        self.seconds += report.seconds;
        self.worst = self.worst.max(report.latency.percentile(100.0) as f64);
    }

    fn row(&self, name: &str, ratio: String) -> [String; 7] {
        [
            name.into(),
            format!("{:.1}", self.seconds),
            format!("{:.0}", self.answers as f64 / self.seconds),
            micros(self.latency.percentile(50.0)),
            micros(self.latency.percentile(99.0)),
            micros(self.worst as u64),
            ratio,
        ]
    }
}

pub fn run(options: &Options) -> Result<u64> {
    let program = process::build_server()?;
    let megabytes = options.megabytes.unwrap_or(MEGABYTES);
    let rounds = options.rounds.unwrap_or(1);
    let quiet_seconds = options.seconds.unwrap_or(5.0).ceil().max(1.0);
    println!("{CLIENTS} clients, each with one append in flight, on a database of {megabytes} MB; not pinned");
    let (mut quiet, mut during) = (Pieces::default(), Pieces::default());
    let (mut failures, mut ratios) = (0, Vec::new());
    for round in 0..rounds {
        let (mut without, mut with) = (Pieces::default(), Pieces::default());
        failures += measure(&program, megabytes, quiet_seconds, &mut |backs_up, report| {
            for pieces in if backs_up { [&mut with, &mut during] } else { [&mut without, &mut quiet] } {
                pieces.add(report);
            }
        })?;
        let ratio = with.latency.percentile(99.0) as f64 / without.latency.percentile(99.0) as f64;
        eprintln!("round {} of {rounds}: a backup of {:.1} s, p99 {ratio:.2} times as long", round + 1, with.seconds);
        ratios.push(ratio);
    }
    let ratio = median(ratios);
    let mut table = Table::new(&["", "seconds", "appends/s", "p50 µs", "p99 µs", "worst µs", "p99 to without"]);
    table.row(quiet.row("without", none()));
    let met = target(ratio <= OVER_QUIET, &format!("≤ {OVER_QUIET}"));
    table.row(during.row("backup under way", format!("{ratio:.2} {met}")));
    table.print();
    println!("One run: before, during and after the backup. Copying, checking and checksum are all part of it.");
    idle(&program)?;
    Ok(failures)
}

/// What a server with everything on does while nobody wants anything from it.
fn idle(program: &Path) -> Result<()> {
    let directory = process::directory()?;
    let backups = directory.path().join("backups");
    let settings = [
        ("OPS_ADDR", "127.0.0.1:0"),
        ("BACKUP_DIR", backups.to_str().ok_or("a path that is not UTF-8")?),
        ("RATE_LIMIT_ENABLED", "true"),
        ("WS_LIMITS_ENABLED", "true"),
        ("AUDIT_ENABLED", "true"),
        ("AUDIT_RETENTION_DAYS", "30"),
    ];
    let server = Server::inkring_in(directory, program, None, &settings)?;
    thread::sleep(SETTLING);
    let (began, before) = (Instant::now(), server.cpu_seconds());
    thread::sleep(IDLE);
    let percent = 100.0 * (server.cpu_seconds() - before) / began.elapsed().as_secs_f64();
    let mut table = Table::new(&["idle, everything on", "value", "target"]);
    table.row(["seconds".into(), format!("{:.0}", began.elapsed().as_secs_f64()), none()]);
    let met = target(percent <= IDLE_PERCENT, &format!("≤ {IDLE_PERCENT}"));
    table.row(["CPU of one core, %".into(), format!("{percent:.2}"), met]);
    table.row(["memory, MB".into(), megabytes(server.rss()), none()]);
    table.print();
    Ok(())
}

/// Appends before, during and after a backup; `take` is given each piece. Returns how many answers were wrong.
fn measure(program: &Path, megabytes: usize, quiet: f64, take: &mut dyn FnMut(bool, &Report)) -> Result<u64> {
    let directory = process::directory()?;
    fill(&directory.path().join("inkring.db"), megabytes)?;
    let backups = directory.path().join("backups");
    fs::create_dir(&backups)?;
    // The first one is made when the housekeeper looks for the first time.
    let settings = [
        ("BACKUP_DIR", backups.to_str().ok_or("a path that is not UTF-8")?),
        ("HOUSEKEEPING_SECONDS", &format!("{quiet:.0}")),
    ];
    let server = Server::inkring_in(directory, program, None, &settings)?;
    let mut clients = Clients::connect(server.address, CLIENTS, Duration::ZERO)?;
    let mut script = Appending::new(server.address, user_headers());
    let window = Window { warm_up: Duration::ZERO, measured: SLICE, patience: Duration::from_secs(10) };
    let deadline = Instant::now() + BACKUP_PATIENCE;
    // Everybody makes a draft first, and the disk is the filling's for a while.
    clients.run(&mut script, &Window { measured: Duration::from_secs(1), ..window }, || server.cpu_seconds())?;
    let (mut failures, mut made, mut after) = (0, None, 0.0);
    while after < quiet {
        let began = there(&backups)?;
        let report = clients.run(&mut script, &window, || server.cpu_seconds())?;
        let ended = there(&backups)?;
        failures += report.wrong + report.unanswered;
        report.first_complaint.iter().for_each(|complaint| println!("wrong answer: {complaint}"));
        match (&began, &ended) {
            (State::None, State::None) => take(false, &report),
            (State::UnderWay, State::UnderWay) => take(true, &report),
            (State::Done(_), State::Done(path)) => {
                take(false, &report);
                after += report.seconds;
                made = Some(path.clone());
            }
            // It began or ended within this piece.
            _ => {}
        }
        if Instant::now() > deadline {
            return Err("there is no backup in ten minutes".into());
        }
    }
    let (wrong, complaint) = script.verify()?;
    complaint.iter().for_each(|complaint| println!("wrong answer: {complaint}"));
    let made = made.ok_or("there is no backup")?;
    let verified = Command::new(program).arg("verify").arg(&made).stdout(Stdio::null()).status()?;
    Ok(failures + wrong + u64::from(!verified.success()))
}

enum State {
    None,
    UnderWay,
    Done(PathBuf),
}

fn there(backups: &Path) -> Result<State> {
    let mut state = State::None;
    for entry in fs::read_dir(backups)? {
        let path = entry?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("db") => return Ok(State::Done(path)),
            _ => state = State::UnderWay,
        }
    }
    Ok(state)
}

/// A database of about this size, through the server's own writer.
fn fill(path: &Path, megabytes: usize) -> Result<()> {
    let writer = Writer::start(
        store::open(path, &inkring::features::schema())?,
        16,
        Arc::new(Hub::new(Clock::system())),
        Clock::system(),
    )?;
    let sql = "WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n LIMIT ?1) \
               INSERT INTO drafts (draft_id, creator_id, title, platform, holder_id, passed_at, created_at, updated_at) \
               SELECT hex(randomblob(16)), 'filler', hex(randomblob(1800)), 'x', 'filler', 0, 0, 0 FROM n";
    for _ in 0..megabytes * 256 / ROWS {
        run_chore(&writer.handle(), move |tx| tx.change(sql, &[ROWS.into()]))?;
    }
    writer.stop();
    Ok(())
}
