//! `events`: behaviour events one by one against our own /healthz and nginx, a hundred in a body, and a report over files of them.
//! With `--flat` only whether the server has after very many of them what it had before.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use inkring_testkit::process::cpu_seconds;

use crate::load::{Caller, Clients, Fixed, Report, Script, Verdict, describe, get, post};
use crate::options::{HEALTHY, Options, Result, Window};
use crate::process::{self, Server};
use crate::table::{Ratio, Table, median, megabytes, micros, none, target};

const CLIENTS: usize = 64;
const BATCH: usize = 100;
const OVER_HEALTHZ: f64 = 0.6;
/// How long the server may take nothing while very many events are sent.
const FLAT_PATIENCE: Duration = Duration::from_secs(30);
/// By how much resident memory may differ over very many events.
const FLAT_KB: u64 = 1024;
const BATCHED_PER_CPU_SECOND: f64 = 100_000.0;
const REPORTED_PER_SECOND: f64 = 1_000_000.0;
const REPORT_KB: u64 = 32 * 1024;
/// Of how many days the files are.
const DAYS: u64 = 20;
const EVENT: &str = "/api/metrics/event";
const AGENT: &str = "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0\r\n";

/// No limit stands in the way, and files are as they are in use.
const SETTINGS: [(&str, &str); 2] = [("METRICS_RATE_PER_SECOND", "100000"), ("METRICS_BURST", "100000")];

/// The same body over and over, of which so many events have to be stored.
struct Sending<'a> {
    request: &'a [u8],
    stored: String,
}

impl Script for Sending<'_> {
    fn request(&mut self, _: usize, out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(self.request);
        true
    }

    fn answer(&mut self, _: usize, status: u16, body: &[u8]) -> Verdict {
        let is_stored = std::str::from_utf8(body).is_ok_and(|text| text.contains(&self.stored));
        match status == 202 && is_stored {
            true => Verdict::Counted,
            false => Verdict::Wrong(describe(status, body)),
        }
    }
}

/// The same event as a page without a script of its own tells it: in the address of a picture.
const PIXEL: &str = "/e.gif?visitor_id=v-000007&event=page_view&path=%2Farticles%2F7&width=1280";

/// Asks for a picture over and over.
struct Pixel<'a>(&'a [u8]);

impl Script for Pixel<'_> {
    fn request(&mut self, _: usize, out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(self.0);
        true
    }

    fn answer(&mut self, _: usize, status: u16, body: &[u8]) -> Verdict {
        match status == 200 && body.starts_with(b"GIF") {
            true => Verdict::Counted,
            false => Verdict::Wrong(describe(status, body)),
        }
    }
}

fn event(number: usize) -> String {
    let path = number % 37;
    format!(
        r#"{{"visitor_id":"v-{number:06}","event":"page_view","metadata":{{"path":"/articles/{path}","width":1280}}}}"#
    )
}

/// A request with a hundred events.
fn hundred(server: &Server) -> Vec<u8> {
    let events = (0..BATCH).map(event).collect::<Vec<_>>().join(",");
    post(server.address, EVENT, AGENT, &format!("[{events}]"))
}

/// What a server has: KB of resident memory at most so far, threads and descriptors. What it has of memory at one moment goes up and
/// down with the bodies that are read then.
type Held = (u64, u64, usize);

fn held(server: &Server) -> Held {
    (server.peak_rss(), server.threads(), server.descriptors())
}

fn say_held(of: &str, (rss, threads, descriptors): Held) {
    println!("{of}: RSS {} MB at most, {threads} threads, {descriptors} descriptors", megabytes(rss));
}

pub fn run(options: &Options) -> Result<u64> {
    let program = process::build_server()?;
    let cores = process::two_cores()?.filter(|_| !options.unpinned);
    let server = Server::inkring_with(&program, cores.map(|(server, _)| server), &SETTINGS)?;
    if options.flat {
        process::pin_the_load(cores, "server and load share all cores")?;
        return flat(&server, options);
    }
    let nginx = Server::nginx(cores.map(|(server, _)| server))?;
    process::pin_the_load(cores, "server and load share all cores")?;
    println!("POST {EVENT} over {CLIENTS} keep-alive connections, one request in flight on each");
    let healthz = get(server.address, "/healthz", "");
    let single = post(server.address, EVENT, AGENT, &event(7));
    let batch = hundred(&server);
    let rounds = options.rounds.unwrap_or(11);
    let window = options.window(1.0);
    let (mut of_healthz, mut of_single, mut of_nginx, mut of_batch) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut at_first = None;
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        if round == 1 {
            // The connections of the first round are closed by now, or soon.
            at_first = Some(held(&server));
        }
        let mut clients = Clients::connect(server.address, CLIENTS, Duration::ZERO)?;
        let mut healthy = Fixed { request: &healthz, body: HEALTHY.as_bytes() };
        of_healthz.push(clients.run(&mut healthy, &window, || server.cpu_seconds())?);
        let mut clients = Clients::connect(server.address, CLIENTS, Duration::ZERO)?;
        let mut one = Sending { request: &single, stored: "\"stored\":1,".to_owned() };
        of_single.push(clients.run(&mut one, &window, || server.cpu_seconds())?);
        if let Some(nginx) = &nginx {
            let pixel = get(nginx.address, PIXEL, AGENT);
            let mut clients = Clients::connect(nginx.address, CLIENTS, Duration::ZERO)?;
            of_nginx.push(clients.run(&mut Pixel(&pixel), &window, || nginx.cpu_seconds())?);
        }
        let mut clients = Clients::connect(server.address, CLIENTS, Duration::ZERO)?;
        let mut many = Sending { request: &batch, stored: format!("\"stored\":{BATCH},") };
        of_batch.push(clients.run(&mut many, &window, || server.cpu_seconds())?);
    }
    let (status, body) = Caller::connect(server.address)?.call(&get(server.address, "/api/metrics/health", ""))?;
    if status != 200 || !String::from_utf8_lossy(&body).contains("\"ok\":true") {
        return Err(format!("it is not well: {}", describe(status, &body)).into());
    }
    let at_last = held(&server);
    drop((server, nginx));

    let over = |of: &[Report]| Ratio::of(of_single.iter().zip(of).map(|(one, of)| (one.per_second(), of.per_second())));
    let per_cpu = median(of_batch.iter().map(Report::per_cpu_second)) * BATCH as f64;
    let mut table =
        Table::new(&["medians", "req/s", "CPU µs/req", "p50 µs", "p99 µs", "events/CPU s", "ratio of req/s"]);
    for (name, rounds, events, verdict) in [
        ("/healthz", &of_healthz, 0, none()),
        ("single events", &of_single, 1, over(&of_healthz).cell(Some(OVER_HEALTHZ))),
        ("bodies of 100", &of_batch, BATCH, target(per_cpu >= BATCHED_PER_CPU_SECOND, "≥ 100000")),
        ("nginx, lines of a log", &of_nginx, 1, none()),
    ] {
        if rounds.is_empty() {
            continue;
        }
        let of = |value: fn(&Report) -> f64| median(rounds.iter().map(value));
        let latency =
            |percent: f64| micros(median(rounds.iter().map(|round| round.latency.percentile(percent) as f64)) as u64);
        table.row([
            name.into(),
            format!("{:.0}", of(Report::per_second)),
            format!("{:.2}", of(Report::cpu_micros)),
            latency(50.0),
            latency(99.0),
            format!("{:.0}", of(Report::per_cpu_second) * events as f64),
            verdict,
        ]);
    }
    table.print();
    match of_nginx.is_empty() {
        true => println!("nginx is not installed: there is nothing to compare with"),
        false => println!("single events against lines of nginx, requests a second: {}", over(&of_nginx).cell(None)),
    }
    let sent: u64 = of_single.iter().map(|round| round.answers).sum::<u64>()
        + of_batch.iter().map(|round| round.answers * BATCH as u64).sum::<u64>();
    at_first.into_iter().for_each(|first| say_held("after the first round", first));
    say_held(&format!("after {sent} events"), at_last);
    let all = of_healthz.iter().chain(&of_single).chain(&of_nginx).chain(&of_batch);
    for complaint in all.clone().filter_map(|round| round.first_complaint.as_ref()) {
        println!("wrong answer: {complaint}");
    }
    let failures = all.map(|round| round.wrong + round.unanswered).sum::<u64>();
    let millions = options.millions.unwrap_or(10.0);
    Ok(failures + report(&program, (millions * 1e6) as u64)?)
}

/// Sends a million events, or as many as are asked for, a hundred in a body, and holds that the server has then what it had
/// after a tenth of them.
fn flat(server: &Server, options: &Options) -> Result<u64> {
    let events = (options.millions.unwrap_or(1.0) * 1e6) as u64;
    let (request, window) = (hundred(server), options.window(0.5));
    // A disk that others write to stands still for seconds now and then: that is no round without an answer, but a longer one.
    let window = Window { patience: FLAT_PATIENCE, ..window };
    let mut many = Sending { request: &request, stored: format!("\"stored\":{BATCH},") };
    let mut clients = Clients::connect(server.address, CLIENTS, Duration::ZERO)?;
    let (mut sent, mut failures, mut first, mut taken_at) = (0, 0, None, Instant::now());
    while sent < events {
        let round = clients.run(&mut many, &window, || server.cpu_seconds())?;
        sent += round.answers * BATCH as u64;
        failures += round.wrong + round.unanswered;
        if round.answers > 0 {
            taken_at = Instant::now();
        } else if taken_at.elapsed() > FLAT_PATIENCE {
            let Report { unanswered, first_complaint, .. } = round;
            let answer = first_complaint.unwrap_or_else(|| "no answer at all".to_owned());
            return Err(format!(
                "nothing was taken for {FLAT_PATIENCE:?} after {sent} events: {answer}; {unanswered} requests of the last round \
                 were given up"
            )
            .into());
        }
        if (events / 10..events).contains(&sent) && first.is_none() {
            first = Some((sent, held(server)));
        }
    }
    let Some((earlier, first)) = first else {
        return Err("the first round was the last one: ask for more events".into());
    };
    let last = held(server);
    say_held(&format!("after {earlier} events"), first);
    say_held(&format!("after {sent} events"), last);
    let is_flat = last.0 <= first.0 + FLAT_KB && (last.1, last.2) == (first.1, first.2);
    println!("flat: {}", target(is_flat, &format!("≤ {} MB more, nothing else", megabytes(FLAT_KB))));
    Ok(failures + u64::from(!is_flat))
}

/// Makes files of so many events, has them compressed, and reports on them.
fn report(program: &Path, events: u64) -> Result<u64> {
    let directory = process::directory()?;
    fs::write(directory.path().join(".env"), "")?;
    let data = directory.path().join("data");
    fs::create_dir(&data)?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    for nth in 0..DAYS {
        // Events of one day come in its first hours, so that none is of another one.
        let day = date(now / 86_400 - nth - 1);
        let mut file = BufWriter::with_capacity(1 << 20, File::create(data.join(format!("metrics-{day}.jsonl")))?);
        let mut line = String::new();
        for number in (nth..events).step_by(DAYS as usize) {
            line.clear();
            let (visitor, path) = (number * 7919 % 50_021, number % 997);
            let (hour, minute, second) = (number / 3600 % 24, number / 60 % 60, number % 60);
            write!(
                line,
                "{{\"visitor_id\": \"v-{visitor:x}-mgj2x0ab\", \"event\": \"page_view\", \"timestamp\": \
                 \"{day}T{hour:02}:{minute:02}:{second:02}.{:06}Z\", \"metadata\": {{\"path\": \"/articles/{path}\", \
                 \"referrer\": \"https://news.example\"}}, \"user_agent\": \"Mozilla/5.0 (X11; Linux x86_64; rv:131.0) \
                 Gecko/20100101 Firefox/131.{}\", \"received_at\": \"{day}T{hour:02}:{minute:02}:{second:02}.{:06}Z\"}}",
                number * 104_729 % 1_000_000,
                number % 5,
                number * 15_485_863 % 1_000_000,
            )?;
            line.push('\n');
            file.write_all(line.as_bytes())?;
        }
        file.flush()?;
    }
    let verb = |arguments: &[&str]| {
        let mut command = Command::new(program);
        command.arg("metrics").args(arguments).current_dir(directory.path()).env_clear().stderr(Stdio::null());
        command
    };
    let rotated =
        verb(&["rotate", "--once", "--gzip-after", "1", "--retention", "0"]).stdout(Stdio::null()).status()?;
    let packed = fs::read_dir(&data)?.flatten().filter(|entry| entry.file_name().to_string_lossy().ends_with(".gz"));
    let bytes: u64 = packed.filter_map(|entry| entry.metadata().ok()).map(|found| found.len()).sum();
    let mut child = verb(&["report", "--days", "30", "--format", "json"]).stdout(Stdio::piped()).spawn()?;
    let (began, process) = (Instant::now(), child.id().to_string());
    // Its last words about itself: what it used beyond them is less than a step.
    let (mut cpu, mut peak) = (0.0_f64, 0);
    while child.try_wait()?.is_none() {
        cpu = cpu.max(cpu_seconds(&process));
        peak = peak.max(peak_kb(&process));
        thread::sleep(Duration::from_millis(2));
    }
    let (wall, output) = (began.elapsed().as_secs_f64(), child.wait_with_output()?);
    let said = String::from_utf8(output.stdout)?;
    let is_right = rotated.success() && said.contains(&format!("\"events\":{events},\"visitors\":"));
    let speed = events as f64 / cpu;
    let mut table = Table::new(&["report", "events", "MB in gzip", "CPU s", "wall s", "events/CPU s", "peak MB"]);
    table.row([
        format!("{DAYS} files"),
        events.to_string(),
        megabytes(bytes / 1024),
        format!("{cpu:.2}"),
        format!("{wall:.2}"),
        format!("{speed:.0} {}", target(speed >= REPORTED_PER_SECOND, "≥ 1000000")),
        format!("{} {}", megabytes(peak), target(peak <= REPORT_KB, "≤ 32")),
    ]);
    table.print();
    if !is_right {
        println!("wrong answer: {}", &said[..said.len().min(200)]);
    }
    Ok(u64::from(!is_right))
}

/// The most resident memory of a process so far, in KB.
fn peak_kb(process: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// The date of a day since 1970, as the calendar of Gregory has it.
fn date(days: u64) -> String {
    // Howard Hinnant's way: years begin in March, so that a leap day is the last one.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    format!("{:04}-{month:02}-{day:02}", era * 400 + year + u64::from(month <= 2))
}
