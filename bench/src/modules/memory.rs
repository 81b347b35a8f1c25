//! An upload and an export: what the server grows by, and what others notice.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::household::Household;
use super::setting::{Measured, Setting, client_header, server_in};
use crate::http::CLIENTS;
use crate::load::{Clients, Fixed, Report, describe, get};
use crate::options::{HEALTHY, Result, Window};
use crate::process::{self, Server};
use crate::table::{Ratio, median, megabytes, micros, target};

const UPLOAD_MB: usize = 50;
const UPLOAD_KB: u64 = 4 * 1024;
const OVER_QUIET: f64 = 1.5;
const EXPORT_KB: u64 = 8 * 1024;
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends a file of 50 MB, no two of which are the same.
fn send_file(address: SocketAddr, number: usize, megabytes: usize) -> std::result::Result<(), String> {
    let mut piece: Vec<u8> = (0..1_u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    piece[..8].copy_from_slice(&number.to_le_bytes());
    let head = format!(
        "POST /api/v1/gallery/upload?name=film.bin HTTP/1.1\r\nHost: {address}\r\n{}Content-Type: application/octet-stream\r\n\
         Content-Length: {}\r\n\r\n",
        client_header(number),
        megabytes << 20,
    );
    let send = || {
        let mut client = inkring_testkit::Client::try_connect(address, PATIENCE)?;
        client.stream.write_all(head.as_bytes())?;
        for _ in 0..megabytes {
            client.stream.write_all(&piece)?;
        }
        client.exchange(b"")
    };
    let answer = send().map_err(|error: std::io::Error| format!("an upload: {error}"))?;
    match answer.status {
        200 => Ok(()),
        status => Err(format!("an upload: {}", describe(status, &answer.body))),
    }
}

fn healthz(server: &Server, window: &Window) -> Result<Report> {
    let request = get(server.address, "/healthz", "");
    let mut script = Fixed { request: &request, body: HEALTHY.as_bytes() };
    Clients::connect(server.address, CLIENTS, Duration::ZERO)?.run(&mut script, window, || server.cpu_seconds())
}

/// Asks for `/healthz` while one file after the other is uploaded; with it, how many were.
fn beside_uploads(server: &Server, window: &Window, first: usize) -> Result<(Report, usize)> {
    let is_over = Arc::new(AtomicBool::new(false));
    let (address, over) = (server.address, Arc::clone(&is_over));
    let uploader = thread::spawn(move || {
        let mut sent = 0;
        while !over.load(Ordering::Relaxed) {
            send_file(address, first + sent, UPLOAD_MB)?;
            sent += 1;
        }
        Ok(sent)
    });
    let report = healthz(server, window);
    is_over.store(true, Ordering::Relaxed);
    let sent: std::result::Result<usize, String> = uploader.join().map_err(|_| "the uploader panicked")?;
    Ok((report?, sent?))
}

/// Uploads, one after the other, while others ask for something small.
pub fn upload(setting: &Setting<'_>, _: &mut Option<Household>) -> Result<Measured> {
    let server = server_in(process::directory()?, &setting.program, None)?;
    let window = setting.options.window(setting.seconds(2.0));
    let mut measured = Measured::default();
    // What the first ones cost once.
    healthz(&server, &window)?;
    send_file(server.address, 0, 1)?;
    let before = server.rss();
    server.reset_peak()?;
    let began = Instant::now();
    send_file(server.address, 1, UPLOAD_MB)?;
    let (took, grown) = (began.elapsed().as_secs_f64(), server.peak_rss().saturating_sub(before));

    let (mut quiet, mut beside, mut sent) = (Vec::new(), Vec::new(), 2);
    for round in 0..setting.rounds(9) {
        for side in [round % 2, 1 - round % 2] {
            if side == 0 {
                quiet.push(healthz(&server, &window)?);
            } else {
                let (report, uploads) = beside_uploads(&server, &window, sent)?;
                beside.push(report);
                sent += uploads;
            }
        }
    }
    quiet.iter().chain(&beside).for_each(|report| measured.look_at(report));
    let p99 = |report: &Report| report.latency.percentile(99.0) as f64;
    let said = |reports: &[Report]| {
        let rate = median(reports.iter().map(Report::per_second));
        format!("p99 {} µs at {rate:.0}/s", micros(median(reports.iter().map(p99)) as u64))
    };
    measured.row(
        format!("upload of {UPLOAD_MB} MB: growth"),
        format!("{} MB in {took:.2} s", megabytes(grown)),
        "MB".to_owned(),
        target(grown <= UPLOAD_KB, &format!("≤ {}", UPLOAD_KB / 1024)),
    );
    let ratio = Ratio::of(beside.iter().zip(&quiet).map(|(beside, quiet)| (p99(beside), p99(quiet))));
    measured.row(
        "… /healthz beside it",
        said(&beside),
        format!("without: {}", said(&quiet)),
        ratio.cell_at_most(Some(OVER_QUIET)),
    );
    Ok(measured)
}

/// Reads an answer in chunks and keeps none of it: its status, and how many lines and bytes it has.
fn drain(address: SocketAddr, path: &str) -> Result<(u16, usize, usize)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&get(address, path, ""))?;
    let mut reader = BufReader::with_capacity(64 << 10, stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or("no status")?;
    let mut is_chunked = false;
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line)?;
        is_chunked |= line.eq_ignore_ascii_case("transfer-encoding: chunked\r\n");
    }
    let (mut lines, mut bytes, mut chunk) = (0, 0, Vec::new());
    while is_chunked {
        line.clear();
        reader.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim_end(), 16)?;
        chunk.resize(size + 2, 0);
        reader.read_exact(&mut chunk)?;
        lines += chunk[..size].iter().filter(|&&byte| byte == b'\n').count();
        bytes += size;
        is_chunked = size > 0;
    }
    Ok((status, lines, bytes))
}

/// Everything that a household keeps, taken out.
pub fn export(setting: &Setting<'_>, household: &mut Option<Household>) -> Result<Measured> {
    let household = Household::of(household, &setting.program, setting.records())?;
    let server = household.open(&setting.program, None)?;
    let mut measured = Measured::default();
    // What the first answers cost once; a page is what a server has answered before somebody exports.
    let window = Window { measured: Duration::from_millis(300), ..setting.options.window(0.3) };
    healthz(&server, &window)?;
    drain(server.address, "/api/v1/kazkar/stories?limit=100")?;
    let before = server.rss();
    server.reset_peak()?;
    let began = Instant::now();
    let (status, lines, bytes) = drain(server.address, "/api/v1/export")?;
    let (took, grown) = (began.elapsed().as_secs_f64(), server.peak_rss().saturating_sub(before));
    household.close(server)?;
    if status != 200 || lines != household.records + 1 {
        println!("wrong answer: an export with status {status} of {lines} lines");
        measured.failures += 1;
    }
    measured.row(
        format!("export of {} records: growth", household.records),
        format!("{} MB in {took:.2} s", megabytes(grown)),
        format!("MB; it has {:.0}", bytes as f64 / (1 << 20) as f64),
        target(grown <= EXPORT_KB, &format!("≤ {}", EXPORT_KB / 1024)),
    );
    Ok(measured)
}
