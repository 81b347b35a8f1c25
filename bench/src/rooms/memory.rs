//! What sockets, rooms and readers that do not read keep in memory, and how small a document becomes.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use inkring_testkit::random::Random;
use inkring_testkit::yjs::{buf, put_uint, sync, typed};

use super::party::{Host, PATIENCE, Party, clock_of, connect, origin};
use super::row::{Row, Setting};
use crate::options::Result;
use crate::process::{self, Server};
use crate::subscriber::Subscriber;
use crate::table::{median, megabytes, none, target};

const PER_ROOM: usize = 10;
const SOCKET_KB: f64 = 8.0;
/// Until the server has finished what it was doing.
const SETTLING: Duration = Duration::from_secs(1);

/// What each of so many sockets adds to a server, in KB.
fn weigh(host: &Host, sockets: usize) -> Result<f64> {
    // Only now, so that a server starts with the limit that it would have anywhere.
    inkring_testkit::raise_descriptor_limit(sockets as u64);
    let mut party = Party::new()?;
    // What the first socket costs once is not the price of a socket.
    party.enter_loaded(host, "first")?;
    thread::sleep(SETTLING);
    let before = host.server.rss();
    for number in 0..sockets {
        party.enter(host, &format!("idle-{}", number / PER_ROOM))?;
        if number % 100 == 0 {
            party.pump(Duration::ZERO, |_, _| {})?;
        }
    }
    let settled = Instant::now() + SETTLING;
    while Instant::now() < settled {
        party.pump(Duration::from_millis(50), |_, _| {})?;
    }
    match party.lost.first() {
        Some((number, how)) => Err(format!("{}: socket {number} was lost: {how}", host.name).into()),
        None => Ok(host.server.rss().saturating_sub(before) as f64 / sockets as f64),
    }
}

/// Sockets in rooms, with nothing to say.
pub fn idle(setting: &Setting) -> Result<Vec<Row>> {
    let sockets = setting.many(5_000, 1_000);
    let connections = (sockets + 1_000).to_string();
    let settings = [("MAX_CONNECTIONS", &connections[..])];
    let ours = weigh(&Host::ours(&setting.program, setting.server_core(), &settings)?, sockets)?;
    let theirs = match &setting.peers {
        Ok(installed) => Some(Host::y_websocket(installed, setting.server_core())?),
        Err(_) => None,
    };
    let peer =
        theirs.map(|host| weigh(&host, sockets).map(|each| format!("{each:.2} KB, {}", host.name))).transpose()?;
    Ok(vec![Row {
        ours: format!("{ours:.2} KB"),
        peer: peer.unwrap_or_else(none),
        verdict: target(ours <= SOCKET_KB, "≤ 8"),
        failures: 0,
    }])
}

/// Words in a loaded document, each between two others.
const WORDS: usize = 2_000;
const OVER_BYTES: f64 = 1.5;
const ROOM_BYTES: f64 = 2048.0;
/// Nobody else in it, and a place for each.
const WEIGHED_SOCKETS: usize = 400;
/// What a room that nobody is in needs to be compacted and unloaded.
const UNLOADING: Duration = Duration::from_secs(5);

/// The update by which a client inserts words at random places of a text, so that hardly one of them can be joined with
/// another.
pub fn words(client: u64, count: usize) -> Vec<u8> {
    let mut random = Random::of(client);
    let mut out = vec![1];
    put_uint(&mut out, count as u64);
    put_uint(&mut out, client);
    out.push(0);
    let mut clock = 0;
    for word in 0..count {
        if word == 0 {
            out.extend_from_slice(&[4, 1, 1, b't']);
        } else {
            let after = random.below(clock) as u64;
            let has_next = after + 1 < clock as u64;
            out.push(if has_next { 0xc4 } else { 0x84 });
            for neighbour in (after..=after + u64::from(has_next)).take(2) {
                put_uint(&mut out, client);
                put_uint(&mut out, neighbour);
            }
        }
        let text = &b"differences"[..3 + random.below(8)];
        out.extend(buf(text));
        clock += text.len();
    }
    out.push(0);
    out
}

/// Rooms that are in memory, against the bytes of their documents.
pub fn loaded(setting: &Setting) -> Result<Vec<Row>> {
    let rooms = setting.many(400, 100);
    let core = setting.server_core();
    let settings = [("ROOMS_UNLOAD_SECONDS", "1")];
    let host = Host::ours(&setting.program, core, &settings)?;
    let mut party = Party::new()?;
    for room in 0..rooms {
        let member = party.enter(&host, &format!("room-{room}"))?;
        party.change(member, &words(room as u64 + 1, WORDS))?;
        party.leave(member);
    }
    drop(party);
    thread::sleep(UNLOADING);
    let directory = host.server.end()?;
    let host = Host::of(Server::inkring_in(directory, &setting.program, core, &settings)?);
    let mut party = Party::new()?;
    party.enter_loaded(&host, "first")?;
    thread::sleep(SETTLING);
    let empty = host.server.rss();
    // What a socket is, so that it can be taken from what a room with a socket is.
    for _ in 0..WEIGHED_SOCKETS {
        party.enter(&host, "first")?;
    }
    party.pump(SETTLING, |_, _| {})?;
    thread::sleep(SETTLING);
    let with_sockets = host.server.rss();
    let mut members = Vec::new();
    for room in 0..rooms {
        let (member, vector) = party.enter_loaded(&host, &format!("room-{room}"))?;
        if clock_of(&vector, room as u64 + 1).is_none() {
            return Err(format!("room {room} has lost what was in it").into());
        }
        members.push(member);
    }
    thread::sleep(SETTLING);
    let with_rooms = host.server.rss();
    let mut bytes = 0;
    for member in members {
        bytes += party.document(member)?.len();
    }
    let bytes = bytes as f64 / rooms as f64;
    let socket = (with_sockets.saturating_sub(empty)) as f64 * 1024.0 / WEIGHED_SOCKETS as f64;
    let each = (with_rooms - with_sockets) as f64 * 1024.0 / rooms as f64 - socket;
    let most = OVER_BYTES * bytes + ROOM_BYTES;
    Ok(vec![Row {
        ours: format!("{:.1} KB ({:.1} MB in {rooms})", each / 1024.0, (with_rooms - with_sockets) as f64 / 1024.0),
        peer: format!("{:.1} KB compacted, a socket {:.1} KB", bytes / 1024.0, socket / 1024.0),
        verdict: format!("{:.2} {}", each / bytes, target(each <= most, "≤ 1.5 + 2 KB")),
        failures: 0,
    }])
}

const OVER_YJS: f64 = 1.02;
/// From one update of a hundred edits to the next.
const EDITS_PACE: Duration = Duration::from_millis(2);

/// What is left of random inserts and deletes, against what Yjs leaves.
pub fn compacted(setting: &Setting) -> Result<Vec<Row>> {
    let edits = setting.many(100_000, 10_000);
    let Ok(installed) = &setting.peers else {
        return Ok(vec![Row { ours: none(), peer: none(), verdict: none(), failures: 0 }]);
    };
    let files = process::directory()?;
    let (script, file) = (files.path().join("edits.mjs"), files.path().join("edits"));
    fs::write(&script, include_str!("../../peers/rooms/edits.mjs"))?;
    let node = process::program_called("node").ok_or("node is not installed")?;
    let mut made = Command::new(node);
    made.arg(&script).arg(installed).arg(edits.to_string()).arg(&file).stdin(Stdio::null());
    if !made.status()?.success() {
        return Err("Node could not make the edits".into());
    }
    let bytes = fs::read(&file)?;
    let (mut updates, mut rest) = (Vec::new(), &bytes[..]);
    while let Some((length, after)) = rest.split_first_chunk() {
        let (update, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or("a cut update")?;
        updates.push(update);
        rest = after;
    }
    let theirs = updates.pop().ok_or("no updates")?;
    let settings = [("ROOMS_UNLOAD_SECONDS", "1")];
    let host = Host::ours(&setting.program, None, &settings)?;
    let mut party = Party::new()?;
    let (member, _) = party.enter_loaded(&host, "edits")?;
    let (mut echoed, start) = (0, Instant::now());
    for (number, update) in updates.iter().enumerate() {
        party.send(member, &sync(2, update))?;
        while Instant::now() < start + EDITS_PACE * (number as u32 + 1) {
            party.pump(EDITS_PACE, |_, frame| echoed += usize::from(frame.starts_with(&[0, 2])))?;
        }
    }
    if echoed < updates.len() {
        party.pump_until(|_, frame| {
            echoed += usize::from(frame.starts_with(&[0, 2]));
            echoed == updates.len()
        })?;
    }
    let log = party.document(member)?.len();
    drop(party);
    thread::sleep(UNLOADING);
    let directory = host.server.end()?;
    let host = Host::of(Server::inkring_in(directory, &setting.program, None, &settings)?);
    let mut party = Party::new()?;
    let (member, _) = party.enter_loaded(&host, "edits")?;
    let ours = party.document(member)?.len();
    let ratio = ours as f64 / theirs.len() as f64;
    Ok(vec![Row {
        ours: format!("{ours} bytes ({log} before)"),
        peer: format!("{} bytes, Yjs", theirs.len()),
        verdict: format!("{ratio:.4} {}", target(ratio <= OVER_YJS, "≤ 1.02")),
        failures: 0,
    }])
}

/// Who writes the backlog: each stays below what one socket may send at once.
const WRITERS: usize = 7;
const UPDATE_BYTES: u64 = 8_192;
/// Updates whose echo is awaited, of all writers together.
const UNDER_WAY: usize = 14;
const GROWTH_KB: u64 = 8 * 1024;
const BACKLOG_ROUNDS: usize = 3;

/// What became of a backlog.
struct Backlog {
    /// By how much the process grew at most, in KB.
    growth: u64,
    host: Host,
    party: Party,
    reader: Option<Subscriber>,
}

/// Fills a room, in which a reader sits that does not read, or one that does.
fn backlog(host: Host, updates: u64, is_paused: bool) -> Result<Backlog> {
    let mut party = Party::new()?;
    for _ in 0..WRITERS {
        party.enter_loaded(&host, "backlog")?;
    }
    let reader = match is_paused {
        true => Some(connect(&host, "backlog", WRITERS, Subscriber::connect_narrow)?),
        false => {
            party.enter_loaded(&host, "backlog")?;
            None
        }
    };
    thread::sleep(SETTLING);
    let before = host.server.rss();
    let text = "x".repeat(UPDATE_BYTES as usize);
    let (mut sent, mut echoed) = ([0_u64; WRITERS], [0_u64; WRITERS]);
    let mut last = Instant::now();
    while echoed != [updates; WRITERS] {
        for writer in 0..WRITERS {
            if sent[writer] < updates && sent[writer] - echoed[writer] < (UNDER_WAY / WRITERS) as u64 {
                party.send(writer, &sync(2, &typed(writer as u64 + 1, sent[writer] * UPDATE_BYTES, &text)))?;
                sent[writer] += 1;
            }
        }
        party.pump(Duration::from_millis(5), |member, frame| {
            if let Some((client, _)) = origin(frame)
                && client == member as u64 + 1
                && member < WRITERS
            {
                echoed[member] += 1;
                last = Instant::now();
            }
        })?;
        if last.elapsed() > PATIENCE || !party.lost.is_empty() {
            return Err(format!("{}: the backlog stopped: {:?}", host.name, party.lost).into());
        }
    }
    let growth = host.server.peak_rss().saturating_sub(before);
    Ok(Backlog { growth, host, party, reader })
}

/// Reads what a reader was sent that paused, and says how it ended; `None` while it is open and silent.
fn fate(reader: &mut Subscriber) -> Option<String> {
    let (mut scratch, mut last) = (vec![0; 64 << 10], Instant::now());
    while last.elapsed() < Duration::from_secs(3) {
        let mut has_come = false;
        if let Err(error) = reader.receive(&mut scratch, |_| has_come = true) {
            return Some(error.to_string());
        }
        match has_come {
            true => last = Instant::now(),
            false => thread::sleep(Duration::from_millis(2)),
        }
    }
    None
}

/// A reader that does not read, behind 49 MB.
pub fn paused(setting: &Setting) -> Result<Vec<Row>> {
    let updates = setting.many(857, 200) as u64;
    let settings = [("ROOMS_MAX_DOCUMENT_BYTES", "67108864"), ("WS_STALL_SECONDS", "600")];
    let ours = || Host::ours(&setting.program, setting.server_core(), &settings);
    let theirs = || setting.peers.as_ref().ok().map(|installed| Host::y_websocket(installed, setting.server_core()));
    // What a process grew by at most, in KB: ours and the peer's, each with a paused reader and with one that reads.
    let (mut grown, mut failures, mut ended) = ([const { Vec::new() }; 4], 0, String::new());
    for round in 0..setting.rounds.min(BACKLOG_ROUNDS) {
        let mut end = None;
        for turn in 0..2 {
            let is_paused = (round + turn) % 2 == 0;
            let ours = backlog(ours()?, updates, is_paused)?;
            grown[usize::from(!is_paused)].push(ours.growth as f64);
            if is_paused {
                end = Some(back_again(ours, updates)?);
            }
            if let Some(theirs) = theirs() {
                grown[2 + usize::from(!is_paused)].push(backlog(theirs?, updates, is_paused)?.growth as f64);
            }
        }
        let (fate, is_right) = end.ok_or("no round without a paused reader")?;
        failures += u64::from(!is_right);
        eprintln!("backlog, round {}: KB grown {grown:?}, reader {fate}, right: {is_right}", round + 1);
        ended = fate;
    }
    let [paused, reading, their_paused, their_reading] = grown.map(|grown| median(grown) as u64);
    let more = paused.saturating_sub(reading);
    Ok(vec![Row {
        ours: format!("{} − {} MB, {ended}", megabytes(paused), megabytes(reading)),
        peer: match setting.peers {
            Ok(_) => format!("{} − {} MB, y-websocket 2.1.0", megabytes(their_paused), megabytes(their_reading)),
            Err(_) => none(),
        },
        verdict: format!("{} MB {}", megabytes(more), target(more <= GROWTH_KB, "≤ 8")),
        failures,
    }])
}

/// How a paused reader ended, and whether that was right: it was closed, and once it is back it has what a writer has.
fn back_again(backlog: Backlog, updates: u64) -> Result<(String, bool)> {
    let Backlog { host, mut party, reader, .. } = backlog;
    let fate = reader.and_then(|mut reader| fate(&mut reader)).unwrap_or_else(|| "still open".into());
    let mut again = Party::new()?;
    let (member, vector) = again.enter_loaded(&host, "backlog")?;
    let is_whole = (1..=WRITERS as u64).all(|writer| clock_of(&vector, writer) == Some(updates * UPDATE_BYTES));
    let is_equal = again.document(member)? == party.document(0)?;
    let is_right = fate.starts_with("closed with 1013") && is_whole && is_equal;
    Ok((fate, is_right))
}
