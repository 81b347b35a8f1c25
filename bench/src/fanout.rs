//! `fanout`: one draft and its subscribers. What a delivery costs, against a bare loop and axum; how soon the last of a
//! hundred has it; and what the others notice of one that never reads.

use std::path::Path;
use std::time::Duration;

use crate::append::Disk;
use crate::options::{Options, Result};
use crate::process::{self, Server};
use crate::room::{Host, Place, Plan, Report, Room};
use crate::subscriber::Subscriber;
use crate::table::{Ratio, Table, median, none, percentile, target};

pub const SUBSCRIBERS: usize = 1000;
const AUDIENCE: usize = 100;
/// Appends in flight: one event for each turn of the server, some that share turns, and as many as share commits.
const IN_FLIGHT: [usize; 3] = [1, 8, 64];
/// Between two appends, where it is the latency that counts.
const PACE: Duration = Duration::from_millis(5);

/// Where it is the cost that counts, the load looks at its sockets this often.
pub const NAP: Duration = Duration::from_micros(500);

const OVER_BARE: [Option<f64>; 3] = [Some(0.7), Some(1.0), Some(1.0)];
/// With one event for each turn nobody can do better than the bare loop, which is hardly 1.5 times as cheap as axum.
const OVER_AXUM: [Option<f64>; 3] = [None, Some(1.5), Some(1.5)];
const LAST_MS: f64 = 3.0;
const WITH_SILENT: f64 = 1.1;

/// One server at one number of appends in flight, measured once in every round.
struct Subject {
    name: String,
    server: usize,
    host: Host,
    in_flight: usize,
    rounds: Vec<Report>,
    /// What inkring at the same number in flight should reach of this, if it is to be compared.
    wanted: Option<Option<f64>>,
}

impl Subject {
    fn measure(&mut self, server: &Server, options: &Options) -> Result<()> {
        let place = Place::open(server.address, self.host)?;
        let window = options.window(0.5);
        let plan = Plan {
            warm_up: window.warm_up,
            measured: window.measured,
            in_flight: self.in_flight,
            pace: None,
            nap: Some(NAP),
        };
        let report = Room::fill(&place, SUBSCRIBERS, self.in_flight)?.run(&plan, server)?;
        let failed = if report.wrong + report.missing > 0 { ", FAILED" } else { "" };
        eprintln!("  {}: {:.0} deliveries per CPU second{failed}", self.name, report.per_cpu_second());
        self.rounds.push(report);
        Ok(())
    }

    fn median(&self, of: impl Fn(&Report) -> f64) -> f64 {
        median(self.rounds.iter().map(of))
    }
}

pub fn run(options: &Options) -> Result<u64> {
    let program = match options.peers_only {
        true => None,
        false => Some(process::build_server()?),
    };
    let peers = process::build_peers()?;
    let mut failures = 0;
    if let Some(program) = &program {
        failures += latencies(program, options)?;
    }
    let cores = process::two_cores()?.filter(|_| !options.unpinned);
    let server_core = cores.map(|(server, _)| server);
    let mut servers = vec![("bare loop", Host::Peer, Server::bare(server_core)?)];
    servers.push(("axum", Host::Peer, Server::peer(&peers, "axum-broadcast", server_core)?));
    if let Some(program) = &program {
        servers.push(("inkring", Host::Inkring, Server::inkring(program, server_core)?));
    }
    let mut subjects = Vec::new();
    for (level, in_flight) in IN_FLIGHT.into_iter().enumerate() {
        for (server, (name, host, _)) in servers.iter().enumerate().rev() {
            let wanted = [Some(OVER_BARE[level]), Some(OVER_AXUM[level]), None][server];
            let name = format!("{name}, {in_flight} in flight");
            subjects.push(Subject { name, server, host: *host, in_flight, rounds: Vec::new(), wanted });
        }
    }
    process::pin_the_load(cores, "servers and load share all cores")?;

    let rounds = options.rounds.unwrap_or(9);
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        // Each round starts with another one, so that no server always follows the same one.
        for turn in 0..subjects.len() {
            let next = (round + turn) % subjects.len();
            let subject = &mut subjects[next];
            subject.measure(&servers[subject.server].2, options)?;
        }
    }
    print_deliveries(&subjects);
    failures += subjects.iter().flat_map(|subject| &subject.rounds).map(count_failures).sum::<u64>();
    Ok(failures)
}

pub fn count_failures(report: &Report) -> u64 {
    if let Some(complaint) = &report.first_complaint {
        println!("wrong: {complaint}");
    }
    report.wrong + report.missing
}

fn print_deliveries(subjects: &[Subject]) {
    let mut table = Table::new(&[
        "medians",
        "deliveries/s",
        "per CPU s",
        "CPU µs each",
        "appends/s",
        "frame bytes",
        "server CPU %",
        "load CPU %",
        "others CPU %",
        "wrong",
        "missing",
        "inkring over this, per CPU s",
    ]);
    for subject in subjects {
        let percent = |of: fn(&Report) -> f64| {
            let percent = subject.median(|report| 100.0 * of(report) / report.seconds);
            format!("{percent:.0}")
        };
        let sum = |of: fn(&Report) -> u64| subject.rounds.iter().map(of).sum::<u64>().to_string();
        let same = |other: &&Subject| other.in_flight == subject.in_flight && other.host == Host::Inkring;
        let ratio = subject.wanted.zip(subjects.iter().find(same)).map(|(wanted, inkring)| {
            let ours = inkring.rounds.iter().map(Report::per_cpu_second);
            Ratio::of(ours.zip(subject.rounds.iter().map(Report::per_cpu_second))).cell(wanted)
        });
        table.row([
            subject.name.clone(),
            format!("{:.0}", subject.median(|report| report.deliveries as f64 / report.seconds)),
            format!("{:.0}", subject.median(Report::per_cpu_second)),
            format!("{:.2}", subject.median(|report| 1e6 / report.per_cpu_second())),
            format!("{:.0}", subject.median(|report| (report.deliveries / SUBSCRIBERS as u64) as f64 / report.seconds)),
            format!("{:.0}", subject.median(|report| report.event_bytes as f64)),
            percent(|report| report.server_cpu),
            percent(|report| report.load_cpu),
            percent(|report| report.other_cpu.max(0.0)),
            sum(|report| report.wrong),
            sum(|report| report.missing),
            ratio.unwrap_or_else(none),
        ]);
    }
    table.print();
    println!(
        "{SUBSCRIBERS} subscribers of one draft. In flight: appends that not everyone has yet. inkring's cost of a"
    );
    println!("delivery holds its share of the append, of the commit, and of the answer with the whole draft.");
}

fn audience(server: &Server, options: &Options, subscribers: usize, beside_silent: bool) -> Result<Report> {
    let place = Place::open(server.address, Host::Inkring)?;
    let measured = options.window(1.0).measured;
    // Long enough for the one that never reads to be stuck before it counts.
    let plan = Plan { warm_up: Duration::from_millis(500), measured, in_flight: 64, pace: Some(PACE), nap: None };
    let room = Room::fill(&place, subscribers, 64)?;
    let mut silent = match beside_silent {
        true => Some(Subscriber::connect_narrow(&place.door())?),
        false => None,
    };
    let mut report = room.run(&plan, server)?;
    if let Some(silent) = &mut silent {
        let mut heard = 0;
        // It may have been closed by now, for which it will be given a reason.
        silent.receive(&mut vec![0; 64 << 10], |_| heard += 1).ok();
        if heard * 2 > report.events {
            report.wrong += 1;
            report.first_complaint.get_or_insert("the one that never reads was not held up".into());
        }
    }
    Ok(report)
}

/// How soon the last of a hundred has an event.
fn last_of_hundred(program: &Path, options: &Options, table: &mut Table) -> Result<u64> {
    let server = Server::inkring(program, None)?;
    let rounds = options.rounds.unwrap_or(9);
    let mut results = Vec::new();
    for round in 0..rounds {
        let fsync_ms = Disk::measure()?.percentile_ms(99.0);
        let report = audience(&server, options, AUDIENCE, false)?;
        let p99 = percentile(&report.answer_to_last, 99.0);
        eprintln!("round {} of {rounds}: last of {AUDIENCE} {p99:.2} ms after the answer (p99)", round + 1);
        results.push((fsync_ms, report));
    }
    let mut row = |name: &str, wanted: Option<f64>, values: fn(&Report) -> &[f64]| {
        let at = |percent| median(results.iter().map(|(_, report)| percentile(values(report), percent)));
        let beyond = median(results.iter().map(|(fsync_ms, report)| percentile(values(report), 99.0) - fsync_ms));
        table.row([
            name.into(),
            format!("{:.2}", at(50.0)),
            format!("{:.2}", at(99.0)),
            format!("{beyond:.2}"),
            wanted.map_or_else(none, |wanted| target(beyond <= wanted, &format!("≤ {wanted} ms"))),
        ]);
    };
    row("append answered → last of 100", Some(LAST_MS), |report| &report.answer_to_last);
    row("append sent → last of 100", None, |report| &report.sent_to_last);
    let fsync = median(results.iter().map(|(fsync_ms, _)| *fsync_ms));
    table.row(["fdatasync of 8 KB".into(), none(), format!("{fsync:.2}")]);
    Ok(results.iter().map(|(_, report)| count_failures(report)).sum())
}

/// What 99 notice of one that never reads. The database is in memory: a disk has moods that would drown the difference.
fn beside_silent(program: &Path, options: &Options, table: &mut Table) -> Result<u64> {
    let server = Server::inkring_in(process::directory_in_memory()?, program, None, &[])?;
    let rounds = options.rounds.unwrap_or(21);
    // With and without, in turn first.
    let mut sides = [Vec::new(), Vec::new()];
    let each = |report: &Report, percent| report.each.percentile(percent) as f64 / 1e6;
    for round in 0..rounds {
        for turn in 0..2 {
            let side = (round + turn) % 2;
            sides[side].push(audience(&server, options, AUDIENCE - 1, side == 0)?);
        }
        let p99 = sides.each_ref().map(|side| side.last().map_or(f64::NAN, |report| each(report, 99.0)));
        eprintln!(
            "round {} of {rounds}: beside one that never reads {:.2} ms, without {:.2} (p99)",
            round + 1,
            p99[0],
            p99[1]
        );
    }
    let [with, without] = &sides;
    for (name, side) in [("sent → each of 99, in memory", without), ("the same beside one that never reads", with)] {
        let cell = |percent| format!("{:.2}", median(side.iter().map(|report| each(report, percent))));
        table.row([name.into(), cell(50.0), cell(99.0)]);
    }
    let ratio = |percent| {
        Ratio::of(with.iter().zip(without).map(|(with, without)| (each(with, percent), each(without, percent))))
    };
    table.row(["ratio of these p50".into(), none(), none(), none(), ratio(50.0).cell(None)]);
    table.row(["ratio of these p99".into(), none(), none(), none(), ratio(99.0).cell_at_most(Some(WITH_SILENT))]);
    Ok(sides.iter().flatten().map(count_failures).sum())
}

fn latencies(program: &Path, options: &Options) -> Result<u64> {
    println!("subscribers of one draft and an append every {} ms; not pinned", PACE.as_millis());
    let mut table = Table::new(&["medians of rounds", "p50 ms", "p99 ms", "p99 less fsync p99", "target"]);
    let failures = last_of_hundred(program, options, &mut table)? + beside_silent(program, options, &mut table)?;
    table.print();
    println!("An answer may arrive later than its event, and the time is then negative.\n");
    Ok(failures)
}
