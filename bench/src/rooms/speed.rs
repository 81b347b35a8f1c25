//! How soon others have an update, what an update costs, and how many are kept.

use std::thread;
use std::time::{Duration, Instant};

use inkring_testkit::random::Random;
use inkring_testkit::yjs::{buf, put_uint, sync, typed};

use super::party::{Host, PATIENCE, Party, clock_of, origin};
use super::row::{Row, Setting};
use crate::append::{Appending, user_headers};
use crate::engine::CLIENTS;
use crate::load::{Clients, Histogram};
use crate::options::{Result, Window};
use crate::process::Server;
use crate::table::{Ratio, median, micros, none};

const RECEIVERS: usize = 100;
/// From one update of the writer to the next.
const PACE: Duration = Duration::from_millis(2);
const P99_OVER_PEER: f64 = 0.5;
const CPU_OVER_PEER: f64 = 0.25;
const EDIT_OVER_PEER: f64 = 0.2;
const OVER_APPENDS: f64 = 1.0;
const WARM_UP: Duration = Duration::from_millis(500);
/// Who writes.
const WRITER: u64 = 5;

/// One writer at a fixed pace and those who hear it.
struct Spread {
    latency: Histogram,
    /// Per frame that reached a socket, the writer's own among them.
    cpu_micros: f64,
    wrong: u64,
    /// What did not arrive in time.
    missing: u64,
}

impl Spread {
    fn p99(&self) -> f64 {
        self.latency.percentile(99.0) as f64
    }
}

fn spread(host: &Host, room: &str, measured: Duration) -> Result<Spread> {
    let mut party = Party::new()?;
    for _ in 0..=RECEIVERS {
        party.enter(host, room)?;
    }
    // What is said at the beginning is not what is measured.
    let settled = Instant::now() + WARM_UP;
    while Instant::now() < settled {
        party.pump(Duration::from_millis(20), |_, _| {})?;
    }
    let (mut sent, mut heard, mut wrong) = (Vec::<Instant>::new(), vec![0_u64; RECEIVERS + 1], 0);
    let (mut latency, mut cpu, mut frames) = (Histogram::default(), None, 0_u64);
    let (start, end) = (Instant::now(), Instant::now() + WARM_UP + measured);
    let mut cpu_seconds = f64::NAN;
    loop {
        let now = Instant::now();
        if now >= start + WARM_UP && cpu.is_none() {
            (cpu, frames) = (Some(host.server.cpu_seconds()), 0);
        }
        if let Some(before) = cpu
            && now >= end
            && cpu_seconds.is_nan()
        {
            cpu_seconds = (host.server.cpu_seconds() - before) / frames as f64;
        }
        let all = sent.len() as u64;
        if now >= end && (heard.iter().all(|count| *count == all) || now > end + PATIENCE / 4) {
            let missing: u64 = heard.iter().map(|count| all - count).sum();
            wrong += party.lost.len() as u64;
            return Ok(Spread { latency, cpu_micros: cpu_seconds * 1e6, wrong, missing });
        }
        let due = start + PACE * sent.len() as u32;
        if now < end && now >= due {
            sent.push(now);
            party.send(0, &sync(2, &typed(WRITER, all, "x")))?;
        }
        let patience = PACE.min((start + PACE * sent.len() as u32).saturating_duration_since(now));
        party.pump(patience, |member, frame| {
            let Some((_, clock)) = origin(frame) else { return };
            frames += 1;
            match sent.get(clock as usize) {
                Some(at) if clock == heard[member] => {
                    if member > 0 && cpu.is_some() && *at < end {
                        latency.add(at.elapsed());
                    }
                }
                _ => wrong += 1,
            }
            heard[member] += 1;
        })?;
    }
}

/// One writer, a hundred who read.
pub fn delivery(setting: &Setting) -> Result<Vec<Row>> {
    let core = setting.server_core();
    let mut hosts = vec![Host::ours(&setting.program, core, &[])?];
    if let Ok(installed) = &setting.peers {
        hosts.extend([Host::y_websocket(installed, core)?, Host::y_server(installed, core)?]);
    }
    setting.pin_the_load()?;
    let mut rounds: Vec<Vec<Spread>> = hosts.iter().map(|_| Vec::new()).collect();
    for round in 0..setting.rounds {
        for turn in 0..hosts.len() {
            // Each round begins with another one.
            let at = (round + turn) % hosts.len();
            let found = spread(&hosts[at], &format!("spread-{round}"), Duration::from_secs_f64(setting.seconds))?;
            eprintln!(
                "delivery, round {} of {}: {}: p50 {} µs, p99 {} µs, CPU {:.2} µs/frame, {} missing",
                round + 1,
                setting.rounds,
                hosts[at].name,
                micros(found.latency.percentile(50.0)),
                micros(found.latency.percentile(99.0)),
                found.cpu_micros,
                found.missing,
            );
            rounds[at].push(found);
        }
    }
    // A peer that does not keep up is slow; ours has to.
    let wrong: u64 = rounds.iter().flatten().map(|round| round.wrong).sum();
    let failures = wrong + rounds[0].iter().map(|round| round.missing).sum::<u64>();
    let p99 = |rounds: &[Spread]| median(rounds.iter().map(Spread::p99));
    let cpu = |rounds: &[Spread]| median(rounds.iter().map(|round| round.cpu_micros));
    let ours = &rounds[0];
    let best = (1..hosts.len()).min_by(|one, other| p99(&rounds[*one]).total_cmp(&p99(&rounds[*other])));
    let pairs = |of: fn(&Spread) -> f64, peer: usize| Ratio::of(ours.iter().map(of).zip(rounds[peer].iter().map(of)));
    Ok(vec![
        Row {
            ours: format!("p99 {} µs", micros(p99(ours) as u64)),
            peer: best.map_or(none(), |best| format!("{} µs, {}", micros(p99(&rounds[best]) as u64), hosts[best].name)),
            verdict: best.map_or(none(), |best| pairs(Spread::p99, best).cell_at_most(Some(P99_OVER_PEER))),
            failures,
        },
        Row {
            ours: format!("{:.2} µs/frame", cpu(ours)),
            peer: best.map_or(none(), |_| format!("{:.2} µs, {}", cpu(&rounds[1]), hosts[1].name)),
            verdict: best.map_or(none(), |_| pairs(|spread| spread.cpu_micros, 1).cell_at_most(Some(CPU_OVER_PEER))),
            failures: 0,
        },
    ])
}

/// The bytes of the document that is edited.
const DOCUMENT_BYTES: u64 = 3_300_000;
const PART_BYTES: u64 = 100_000;
/// Slower than people together, and so that each edit is stored by itself.
const EDIT_PACE: Duration = Duration::from_millis(4);

/// A document of 3.3 MB with somebody who edits it and somebody who reads it.
struct Edited {
    host: Host,
    party: Party,
    random: Random,
    edits: u64,
}

impl Edited {
    fn new(host: Host) -> Result<Self> {
        let mut party = Party::new()?;
        let (writer, _) = party.enter_loaded(&host, "large")?;
        party.enter(&host, "large")?;
        let part = "x".repeat(PART_BYTES as usize);
        for clock in (0..DOCUMENT_BYTES).step_by(PART_BYTES as usize) {
            party.change(writer, &typed(WRITER, clock, &part))?;
        }
        Ok(Self { host, party, random: Random::of(WRITER), edits: 0 })
    }

    /// Inserts single characters at random places, and returns the CPU microseconds of each.
    fn edit(&mut self, edits: u64) -> Result<f64> {
        let before = self.host.server.cpu_seconds();
        let (start, until) = (Instant::now(), self.edits + edits);
        let mut heard = [self.edits; 2];
        let first = self.edits;
        while heard != [until; 2] {
            if start.elapsed() > EDIT_PACE * edits as u32 + PATIENCE {
                return Err(format!("{}: an edit did not arrive", self.host.name).into());
            }
            if self.edits < until && Instant::now() >= start + EDIT_PACE * (self.edits - first) as u32 {
                let place = self.random.below(DOCUMENT_BYTES as usize - 1) as u64;
                self.party.send(0, &sync(2, &inserted(WRITER + 1, self.edits, WRITER, place, "y")))?;
                self.edits += 1;
            }
            self.party.pump(Duration::from_micros(500), |member, frame| {
                if let Some((client, clock)) = origin(frame)
                    && (client, clock) == (WRITER + 1, heard[member])
                {
                    heard[member] += 1;
                }
            })?;
        }
        Ok((self.host.server.cpu_seconds() - before) * 1e6 / edits as f64)
    }
}

/// The update by which a client inserts text between two neighbours that another wrote.
fn inserted(client: u64, clock: u64, of: u64, after: u64, text: &str) -> Vec<u8> {
    let mut out = vec![1, 1];
    put_uint(&mut out, client);
    put_uint(&mut out, clock);
    out.push(0xc4);
    for neighbour in [after, after + 1] {
        put_uint(&mut out, of);
        put_uint(&mut out, neighbour);
    }
    out.extend(buf(text.as_bytes()));
    out.push(0);
    out
}

/// One character in a large document.
pub fn edit(setting: &Setting) -> Result<Vec<Row>> {
    let core = setting.server_core();
    let mut ours = Edited::new(Host::ours(&setting.program, core, &[])?)?;
    let mut theirs = match &setting.peers {
        Ok(installed) => Some(Edited::new(Host::y_websocket(installed, core)?)?),
        Err(_) => None,
    };
    setting.pin_the_load()?;
    let edits = (setting.seconds / EDIT_PACE.as_secs_f64()) as u64;
    // What only the first edits cost.
    ours.edit(edits / 4)?;
    theirs.as_mut().map(|theirs| theirs.edit(edits / 4)).transpose()?;
    let mut rounds = Vec::new();
    for round in 0..setting.rounds {
        let mut measure = || -> Result<f64> { ours.edit(edits) };
        let (mut our_cost, mut their_cost) = (f64::NAN, f64::NAN);
        // Each round starts with the other one.
        for turn in 0..2 {
            match (round + turn) % 2 {
                0 => our_cost = measure()?,
                _ => their_cost = theirs.as_mut().map_or(Ok(f64::NAN), |theirs| theirs.edit(edits))?,
            }
        }
        eprintln!("edit, round {} of {}: {our_cost:.1} µs, y-websocket {their_cost:.1} µs", round + 1, setting.rounds);
        rounds.push((our_cost, their_cost));
    }
    Ok(vec![Row {
        ours: format!("{:.0} µs/edit", median(rounds.iter().map(|round| round.0))),
        peer: theirs.map_or(none(), |theirs| {
            format!("{:.0} µs, {}", median(rounds.iter().map(|round| round.1)), theirs.host.name)
        }),
        verdict: match &setting.peers {
            Ok(_) => Ratio::of(rounds).cell_at_most(Some(EDIT_OVER_PEER)),
            Err(_) => none(),
        },
        failures: 0,
    }])
}

/// As long as what is appended to drafts.
const KEPT_BYTES: u64 = 200;

/// Writers with a room each and one update under way, and what is kept of them.
fn kept(setting: &Setting, window: &Window) -> Result<(f64, f64, u64)> {
    let host = Host::ours(&setting.program, None, &[])?;
    let mut party = Party::new()?;
    for writer in 0..CLIENTS {
        party.enter_loaded(&host, &format!("kept-{writer}"))?;
    }
    let text = "x".repeat(KEPT_BYTES as usize);
    let mut written = [0_u64; CLIENTS];
    let next = |written: u64| sync(2, &typed(WRITER, written * KEPT_BYTES, &text));
    for writer in 0..CLIENTS {
        party.send(writer, &next(0))?;
    }
    let (start, mut counting, mut wrong) = (Instant::now(), None, 0);
    let (counted, seconds, cpu) = loop {
        if counting.is_none() && start.elapsed() >= window.warm_up {
            counting = Some((Instant::now(), written.iter().sum::<u64>(), host.server.cpu_seconds()));
        }
        if let Some((since, before, cpu)) = counting
            && since.elapsed() >= window.measured
        {
            let counted = written.iter().sum::<u64>() - before;
            break (counted, since.elapsed().as_secs_f64(), host.server.cpu_seconds() - cpu);
        }
        let mut echoed = Vec::new();
        party.pump(Duration::from_millis(10), |writer, frame| {
            if let Some((_, clock)) = origin(frame) {
                wrong += u64::from(clock != written[writer] * KEPT_BYTES);
                written[writer] += 1;
                echoed.push(writer);
            }
        })?;
        for writer in echoed {
            party.send(writer, &next(written[writer]))?;
        }
    };
    // What was acknowledged is there, and at most the one that was under way.
    let mut reader = Party::new()?;
    for (writer, written) in written.into_iter().enumerate() {
        let (_, vector) = reader.enter_loaded(&host, &format!("kept-{writer}"))?;
        let found = clock_of(&vector, WRITER).unwrap_or(0);
        wrong += u64::from(!(written * KEPT_BYTES..=(written + 1) * KEPT_BYTES).contains(&found));
    }
    Ok((counted as f64 / seconds, cpu * 1e6 / counted as f64, wrong + party.lost.len() as u64))
}

/// Updates that are on disk, against appends to drafts.
pub fn acknowledged(setting: &Setting) -> Result<Vec<Row>> {
    let window = Window {
        warm_up: Duration::from_millis(300),
        measured: Duration::from_secs_f64(setting.seconds),
        patience: Duration::from_secs(10),
    };
    let (mut rounds, mut failures) = (Vec::new(), 0);
    for round in 0..setting.rounds {
        let (mut updates, mut appends) = (f64::NAN, f64::NAN);
        let (mut update_cpu, mut append_cpu) = (f64::NAN, f64::NAN);
        for turn in 0..2 {
            if (round + turn) % 2 == 0 {
                let wrong;
                (updates, update_cpu, wrong) = kept(setting, &window)?;
                failures += wrong;
                continue;
            }
            let server = Server::inkring(&setting.program, None)?;
            let mut clients = Clients::connect(server.address, CLIENTS, Duration::ZERO)?;
            let mut script = Appending::new(server.address, user_headers());
            let report = clients.run(&mut script, &window, || server.cpu_seconds())?;
            failures += report.wrong + report.unanswered + script.verify()?.0;
            (appends, append_cpu) = (report.per_second(), report.cpu_micros());
        }
        eprintln!(
            "acknowledged, round {} of {}: {updates:.0} updates/s at {update_cpu:.1} µs of CPU, \
             {appends:.0} appends/s at {append_cpu:.1} µs",
            round + 1,
            setting.rounds
        );
        rounds.push((updates, appends));
    }
    Ok(vec![Row {
        ours: format!("{:.0}/s", median(rounds.iter().map(|round| round.0))),
        peer: format!("{:.0}/s, own draft appends", median(rounds.iter().map(|round| round.1))),
        verdict: Ratio::of(rounds).cell(Some(OVER_APPENDS)),
        failures,
    }])
}

/// Rooms in which somebody writes and somebody reads while another room is loaded.
const WATCHED: usize = 4;
const WATCHED_PACE: Duration = Duration::from_millis(4);
const LARGE_BYTES: usize = 16_500_000;
const LOADING_OVER_QUIET: f64 = 1.5;
/// What a room that nobody is in needs to be unloaded again.
const UNLOADING: Duration = Duration::from_secs(3);

struct Watched {
    party: Party,
    written: u64,
}

impl Watched {
    fn new(host: &Host) -> Result<Self> {
        let mut party = Party::new()?;
        for member in 0..2 * WATCHED {
            party.enter_loaded(host, &format!("watched-{}", member / 2))?;
        }
        Ok(Self { party, written: 0 })
    }

    /// How long updates take to the reader, until something is over.
    fn watch(&mut self, mut is_over: impl FnMut(&mut Party) -> Result<bool>) -> Result<Histogram> {
        let (mut latency, start, first) = (Histogram::default(), Instant::now(), self.written);
        let mut heard = [0; WATCHED];
        let mut sent: Vec<Instant> = Vec::new();
        let (mut over, mut wrong) = (false, 0_u64);
        loop {
            over = over || is_over(&mut self.party)?;
            if over && heard.iter().all(|count| *count == sent.len()) {
                return match wrong {
                    0 => Ok(latency),
                    _ => Err(format!("{wrong} updates were out of order").into()),
                };
            }
            if start.elapsed() > PATIENCE {
                return Err("what was watched did not end".into());
            }
            if !over && Instant::now() >= start + WATCHED_PACE * sent.len() as u32 {
                sent.push(Instant::now());
                for room in 0..WATCHED {
                    self.party.send(2 * room, &sync(2, &typed(WRITER, self.written, "x")))?;
                }
                self.written += 1;
            }
            self.party.pump(Duration::from_micros(300), |member, frame| {
                let Some((_, clock)) = origin(frame) else { return };
                if member < 2 * WATCHED && member % 2 == 1 {
                    let number = clock.saturating_sub(first) as usize;
                    wrong += u64::from(number != heard[member / 2]);
                    heard[member / 2] += 1;
                    latency.add(sent.get(number).map_or(PATIENCE, Instant::elapsed));
                }
            })?;
        }
    }
}

/// A room of 16 MiB is loaded while others are watched.
pub fn loading(setting: &Setting) -> Result<Vec<Row>> {
    // It is built by a server that then ends, so that it is loaded from disk.
    let settings = [("ROOMS_UNLOAD_SECONDS", "0")];
    let host = Host::ours(&setting.program, None, &settings)?;
    let (mut party, mut bytes) = (Party::new()?, 0);
    for client in 0.. {
        let update = super::memory::words(client + 1, 200_000);
        if bytes + update.len() > LARGE_BYTES {
            break;
        }
        bytes += update.len();
        let member = party.enter(&host, "large")?;
        party.change(member, &update)?;
        party.leave(member);
    }
    drop(party);
    thread::sleep(UNLOADING);
    let directory = host.server.end()?;
    let host = Host::of(Server::inkring_in(directory, &setting.program, None, &settings)?);
    let mut watched = Watched::new(&host)?;
    let (mut rounds, mut took) = (Vec::new(), Vec::new());
    let (mut quiet, mut loud) = (Histogram::default(), Histogram::default());
    for round in 0..setting.rounds {
        thread::sleep(UNLOADING);
        let mut visitor = Party::new()?;
        let began = Instant::now();
        visitor.enter(&host, "large")?;
        let mut is_loaded = false;
        let during = watched.watch(|_| {
            visitor.pump(Duration::ZERO, |_, frame| is_loaded |= frame.starts_with(&[0, 0]))?;
            Ok(is_loaded)
        })?;
        let load = began.elapsed();
        // As long without as with it, and at least as long as a percentile needs.
        drop(visitor);
        thread::sleep(UNLOADING);
        let (start, window) = (Instant::now(), load.max(Duration::from_secs(1)));
        let without = watched.watch(|_| Ok(start.elapsed() >= window))?;
        let p99 = |of: &Histogram| of.percentile(99.0) as f64;
        eprintln!(
            "loading, round {} of {}: {:.0} ms for {bytes} bytes; p99 {} µs meanwhile, {} µs without",
            round + 1,
            setting.rounds,
            load.as_secs_f64() * 1e3,
            micros(p99(&during) as u64),
            micros(p99(&without) as u64),
        );
        rounds.push((p99(&during), p99(&without)));
        took.push(load.as_secs_f64() * 1e3);
        loud.merge(&during);
        quiet.merge(&without);
    }
    Ok(vec![Row {
        ours: format!("p99 {} µs, loaded in {:.0} ms", micros(loud.percentile(99.0)), median(took)),
        peer: format!("{} µs without", micros(quiet.percentile(99.0))),
        verdict: Ratio::of(rounds).cell_at_most(Some(LOADING_OVER_QUIET)),
        failures: 0,
    }])
}
