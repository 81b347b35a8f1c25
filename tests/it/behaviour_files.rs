//! The files of events: written, rotated, compressed and removed, whatever others do to them meanwhile (contract 02 §2, R3, R18).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use inkring::clock::Clock;
use inkring::net::Endpoint;
use inkring::net::client::{Ask, Remote};
use serde_json::{Value, json};

use crate::behaviour_house::{EVENT, FREELY, HEALTH, Here, SNAPSHOT, event, files, gz, lines, rotate};
use crate::ops::Operated;
use crate::support::needs::{on_small_disk, skip, small_disk};
use crate::support::random::Random;
use crate::support::{Client, PATIENCE, Server, besides_settings, inkring, wait_for};

const WRITERS: usize = 4;

/// What writers were told was stored, and what they were not told anything of.
#[derive(Default)]
struct Book {
    stored: BTreeSet<String>,
    unanswered: BTreeSet<String>,
}

/// Sends events one by one, or some together, until it is told to stop or the server is gone.
fn write(to: SocketAddr, writer: usize, round: usize, stop: &AtomicBool, answered: &AtomicUsize) -> Book {
    let (mut book, mut client) = (Book::default(), Client::connect(to));
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let ids: Vec<String> = (0..1 + number % 7).map(|nth| format!("r{round}-w{writer}-{number}-{nth}")).collect();
        let body = Value::from_iter(ids.iter().map(|id| event(id)));
        let body = body.to_string();
        let request = format!("POST {EVENT} HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        match client.exchange(request.as_bytes()) {
            Ok(answer) if answer.status != 503 => {
                assert_eq!(answer.expect(202)["stored"], ids.len());
                book.stored.extend(ids);
                answered.fetch_add(1, Ordering::Relaxed);
            }
            // Whether they were stored nobody knows.
            _ => {
                book.unanswered.extend(ids);
                let Ok(again) = Client::try_connect(to, PATIENCE) else { break };
                client = again;
            }
        }
    }
    book
}

/// How often each id stands in the files of a directory, of those that begin like this.
fn found(directory: &Path, beginning: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for line in lines(directory) {
        let id = line["visitor_id"].as_str().unwrap();
        if id.starts_with(beginning) {
            *found.entry(id.to_owned()).or_insert(0) += 1;
        }
    }
    found
}

/// Each that was said to be stored is there once, and nothing is there twice or that nobody sent.
#[track_caller]
fn hold(found: &BTreeMap<String, usize>, book: &Book) {
    let doubled: Vec<_> = found.iter().filter(|(_, count)| **count > 1).collect();
    assert!(doubled.is_empty(), "doubled: {doubled:?}");
    let lost: Vec<_> = book.stored.iter().filter(|id| !found.contains_key(*id)).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    let made_up = found.keys().filter(|id| !book.stored.contains(*id) && !book.unanswered.contains(*id)).count();
    assert_eq!(made_up, 0);
}

fn gather(books: impl IntoIterator<Item = Book>) -> Book {
    books.into_iter().fold(Book::default(), |mut all, mut book| {
        all.stored.append(&mut book.stored);
        all.unanswered.append(&mut book.unanswered);
        all
    })
}

#[test]
fn writers_lose_no_line_over_many_rotations() {
    const ROTATIONS: usize = 26;
    let operated = Operated::with(&[&FREELY[..], &[("METRICS_MAX_MB", "1")]].concat());
    let (server, data) = (&operated.server, operated.server.directory.path().join("data"));
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let book = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (to, stop, answered) = (server.address, &stop, &answered);
                scope.spawn(move || write(to, writer, 0, stop, answered))
            })
            .collect();
        let mut names = BTreeSet::new();
        while names.len() < ROTATIONS {
            let before = answered.load(Ordering::Relaxed);
            // Something is written between any two of them.
            wait_for(|| (answered.load(Ordering::Relaxed) > before).then_some(()));
            let rotated = rotate(&operated.plane, "max_bytes=0");
            assert_eq!(rotated["faults"], json!([]));
            names.extend(rotated["rotated"].as_str().map(str::to_owned));
        }
        stop.store(true, Ordering::Relaxed);
        gather(writers.into_iter().map(|writer| writer.join().unwrap()))
    });
    assert!(book.unanswered.is_empty() && book.stored.len() > 26, "{}", book.stored.len());
    hold(&found(&data, "r0-"), &book);
    // By size as well, which is looked at with each event.
    let large = json!({ "visitor_id": "l-000001", "event": "large", "metadata": { "s": "x".repeat(60_000) } });
    let before = files(&data).len();
    let mut client = server.connect();
    (0..40).for_each(|_| _ = client.post(EVENT, None, &large).expect(202));
    let after = files(&data);
    assert!(after.len() > before, "2.4 MB in files of 1 MiB");
    assert!(after.values().all(|text| text.len() < (1 << 20) + 70_000));
    assert_eq!(found(&data, "l-")["l-000001"], 40);
}

#[test]
fn killed_while_it_rotates_and_compresses_it_loses_nothing_and_doubles_nothing() {
    const ROUNDS: usize = 6;
    /// Lines of a file that takes its time to compress.
    const OLD_LINES: usize = 10_000;
    let mut random = Random::seeded();
    let settings =
        [&FREELY[..], &[("METRICS_MAX_MB", "1"), ("METRICS_RETENTION_DAYS", "0"), ("OPS_ADDR", "127.0.0.1:0")]];
    let mut server = Server::absent(&settings.concat());
    let data = server.directory.path().join("data");
    fs::create_dir(&data).unwrap();
    let mut all = Book::default();
    for round in 0..ROUNDS {
        let shard = data.join(format!("metrics-2025-10-{:02}.jsonl", round + 1));
        let mut old = String::new();
        for number in 0..OLD_LINES {
            let (visitor, noise) = (format!("o{round}-{number:06}"), random.next());
            old.push_str(&format!("{{\"visitor_id\": \"{visitor}\", \"n\": \"{noise:x}{:x}\"}}\n", random.next()));
        }
        fs::write(&shard, &old).unwrap();
        server.launch();
        let plane = plane_of(&server);
        let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
        let book = thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let (to, stop, answered) = (server.address, &stop, &answered);
                    scope.spawn(move || write(to, writer, round, stop, answered))
                })
                .collect();
            let rotating = scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let target = "/behaviour/rotate?max_bytes=0&gzip_after_days=1";
                    let ask = Ask { method: "POST", ..Ask::get(target) };
                    // It is cut off in the middle.
                    let _ = ask.send(&Remote::at(plane.clone()), PATIENCE).map(|answer| answer.text(1 << 16));
                }
            });
            let until = 5 + random.below(400);
            wait_for(|| (answered.load(Ordering::Relaxed) >= until).then_some(()));
            kill(&server);
            stop.store(true, Ordering::Relaxed);
            rotating.join().unwrap();
            gather(writers.into_iter().map(|writer| writer.join().unwrap()))
        });
        server.kill();
        all = gather([all, book]);
        hold(&found(&data, "r"), &all);
        let counts = found(&data, &format!("o{round}-"));
        assert!(counts.len() == OLD_LINES && counts.values().all(|count| *count == 1), "{}", counts.len());
    }
    server.launch();
    let passed = rotate(&plane_of(&server), "gzip_after_days=1");
    assert_eq!(passed["faults"], json!([]), "{passed}");
    let names: Vec<String> =
        fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.iter().all(|name| !name.ends_with(".tmp")), "{names:?}");
    let both = names.iter().filter(|name| names.contains(&format!("{name}.gz"))).count();
    assert_eq!(both, 0, "{names:?}");
    hold(&found(&data, "r"), &all);
    assert_eq!(found(&data, "o").len(), ROUNDS * OLD_LINES);
    assert!(server.terminate().success());
}

#[test]
fn killed_while_it_erases_the_server_loses_nothing_and_leaves_no_file_half_done() {
    const ROUNDS: usize = 6;
    const LINES: usize = 10_000;
    let mut random = Random::seeded();
    let settings = [&FREELY[..], &[("METRICS_RETENTION_DAYS", "0"), ("OPS_ADDR", "127.0.0.1:0")]];
    let mut server = Server::absent(&settings.concat());
    let data = server.directory.path().join("data");
    let scratch = data.join("metrics-erase.gz.tmp");
    fs::create_dir(&data).unwrap();
    let (mut all, mut halfway) = (Book::default(), 0);
    for round in 0..ROUNDS {
        let mut old = String::new();
        for number in 0..LINES {
            let visitor = if number % 3 == 0 { "g-gone".to_owned() } else { format!("o{round}-{number:06}") };
            let noise = format!("{:x}{:x}", random.next(), random.next());
            old.push_str(&format!("{{\"visitor_id\": \"{visitor}\", \"n\": \"{noise}\"}}\n"));
        }
        let name = format!("metrics-2025-10-{:02}.jsonl", round + 1);
        match round % 2 {
            0 => fs::write(data.join(name), old).unwrap(),
            _ => fs::write(data.join(format!("{name}.gz")), gz(&old)).unwrap(),
        }
        server.launch();
        let plane = plane_of(&server);
        // One more in the file that is written, which is moved aside for it.
        server.connect().post(EVENT, None, &event("g-gone")).expect(202);
        let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
        let book = thread::scope(|scope| {
            let (to, stop, answered) = (server.address, &stop, &answered);
            let writer = scope.spawn(move || write(to, 0, round, stop, answered));
            let erasing = scope.spawn(|| ask_to_erase(&plane, "g-gone"));
            let until = random.below(200_000) as u64;
            wait_for(|| {
                let is_there = fs::metadata(&scratch).is_ok_and(|found| found.len() >= until);
                (is_there || erasing.is_finished()).then_some(())
            });
            kill(&server);
            stop.store(true, Ordering::Relaxed);
            // It may be cut off in the middle.
            let _ = erasing.join().unwrap();
            writer.join().unwrap()
        });
        server.kill();
        halfway += usize::from(scratch.exists());
        all = gather([all, book]);
        hold(&found(&data, "r"), &all);
        let others = found(&data, "o");
        let count = (round + 1) * (LINES - LINES.div_ceil(3));
        assert!(others.len() == count && others.values().all(|count| *count == 1), "{} of {count}", others.len());
        for (name, text) in files(&data) {
            let gone = text.matches("\"g-gone\"").count();
            assert!([0, 1, LINES.div_ceil(3)].contains(&gone), "{name} has {gone} of them");
        }
    }
    assert!(halfway > 0, "none was killed in the middle");
    server.launch();
    let erased = ask_to_erase(&plane_of(&server), "g-gone").unwrap();
    assert_eq!(erased["faults"], json!([]), "{erased}");
    assert!(found(&data, "g-").is_empty() && !scratch.exists());
    hold(&found(&data, "r"), &all);
    assert_eq!(found(&data, "o").len(), ROUNDS * (LINES - LINES.div_ceil(3)));
    assert!(server.terminate().success());
}

/// What a private plane says of it; none if it is gone before it does.
fn ask_to_erase(plane: &Endpoint, visitor: &str) -> Option<Value> {
    let body = json!({ "visitor_id": visitor }).to_string();
    let ask = Ask { method: "POST", body: body.as_bytes(), ..Ask::get("/behaviour/erase") };
    let text = ask.send(&Remote::at(plane.clone()), PATIENCE).ok()?.text(1 << 16).ok()?;
    serde_json::from_str(&text).ok()
}

/// By its number, so that others can go on to use the server.
fn kill(server: &Server) {
    server.signal("KILL");
}

/// Where the private plane of a server is that was launched last.
fn plane_of(server: &Server) -> Endpoint {
    wait_for(|| {
        let log = server.log();
        let lines = log.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut last = lines.take_while(|line| line["message"] != "server.stopped");
        let ours = format!("{}", server.pid());
        // Each launch says where; the newest is the one that answers.
        let line = last.find(|line| line["message"] == "ops.started")?;
        let address = line["address"].as_str()?.parse().ok()?;
        let plane = Endpoint::Tcp(address);
        let target = "/behaviour/rotate?max_bytes=-1&gzip_after_days=0";
        let ask = Ask { method: "POST", headers: &[("x-inkring-process", &ours)], ..Ask::get(target) };
        (ask.send(&Remote::at(plane.clone()), PATIENCE).ok()?.status == 200).then_some(plane)
    })
}

#[test]
fn a_path_that_is_no_file_is_said_and_it_goes_on_by_itself() {
    let server = Server::start();
    let path = server.directory.path().join("data/metrics.jsonl");
    let mut client = server.connect();
    client.post(EVENT, None, &event("v-000001")).expect(202);
    fs::rename(&path, path.with_extension("kept")).unwrap();
    fs::create_dir(&path).unwrap();
    let refused = client.post(EVENT, None, &event("v-000002"));
    let (code, message) = refused.expect_error(500);
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("metrics_sink_write_failed", "metrics_sink_write_failed: Is a directory (os error 21)")
    );
    assert_eq!(refused.json()["detail"], message);
    assert_eq!(server.get(SNAPSHOT).expect(200)["last_events"][0]["visitor_id"], "v-000002", "it is in the snapshot");
    let health = server.get(HEALTH).expect(200);
    assert_eq!((&health["ok"], &health["status"]), (&json!(false), &json!("degraded")));
    assert_eq!(health["sink_error"], "Is a directory (os error 21)");
    let ready = server.get("/readyz?verbose=1").expect(200);
    let check = ready["checks"].as_array().unwrap().iter().find(|check| check["name"] == "behaviour").unwrap();
    assert_eq!(check["warning"], "events cannot be written: Is a directory (os error 21)");
    let told = server.wait_for_log(|line| line["message"] == "behaviour.cannot_write" && line["level"] == "ERROR");
    assert_eq!(told["file"], "./data/metrics.jsonl");
    assert!(told["remedy"].as_str().unwrap().contains("METRICS_JSONL"), "{told}");
    fs::remove_dir(&path).unwrap();
    wait_for(|| (server.get(HEALTH).expect(200)["status"] == "healthy").then_some(()));
    server.wait_for_log(|line| line["message"] == "behaviour.writes_again");
    client.post(EVENT, None, &event("v-000003")).expect(202);
    assert!(fs::read_to_string(&path).unwrap().contains("v-000003"));
}

#[test]
fn a_permission_that_is_lost_is_said_and_it_goes_on_when_it_is_back() {
    // Without a mapping of users even root is nobody in particular.
    let apart = Command::new("unshare").args(["--user", "true"]).stderr(Stdio::null()).status();
    if !apart.is_ok_and(|status| status.success()) {
        return skip("a namespace of users (unshare --user)");
    }
    let mut server = Server::absent(&[("METRICS_JSONL", "events/metrics.jsonl")]);
    let events = server.directory.path().join("events");
    fs::create_dir(&events).unwrap();
    let mode = |mode| fs::set_permissions(&events, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o500);
    server.then_after("exec unshare --user \"$0\" \"$@\"");
    server.launch();
    let mut client = server.connect();
    assert_eq!(server.get(HEALTH).expect(200)["status"], "degraded", "before the first event");
    assert_eq!(
        client.post(EVENT, None, &event("v-000001")).expect_error(500).1,
        "metrics_sink_write_failed: Permission denied (os error 13)"
    );
    mode(0o700);
    wait_for(|| (server.get(HEALTH).expect(200)["status"] == "healthy").then_some(()));
    client.post(EVENT, None, &event("v-000002")).expect(202);
    // Where it can be written and not be rotated, nothing is lost.
    mode(0o500);
    client.post(EVENT, None, &event("v-000003")).expect(202);
    mode(0o000);
    assert_eq!(client.post(EVENT, None, &event("v-000004")).status, 500);
    mode(0o700);
    client.post(EVENT, None, &event("v-000005")).expect(202);
    let ids: Vec<Value> = lines(&events).iter().map(|line| line["visitor_id"].clone()).collect();
    assert_eq!(ids, ["v-000002", "v-000003", "v-000005"]);
}

#[test]
fn a_full_disk_is_said_and_left_to_the_database() {
    let Some(before) = small_disk("events") else { return };
    let settings = [&FREELY[..], &[("METRICS_JSONL", "events/metrics.jsonl")]].concat();
    let server = Server::after(&settings, &before);
    let events = on_small_disk(&server, "events");
    let mut client = server.connect();
    client.post(EVENT, None, &event("v-000001")).expect(202);
    let filler = events.join("filler");
    let mut file = File::create(&filler).unwrap();
    while file.write(&[b'x'; 65_536]).is_ok_and(|written| written == 65_536) {}
    let full = "metrics_sink_write_failed: No space left on device (os error 28)";
    let large = json!({ "visitor_id": "v-large", "event": "x", "metadata": { "s": "x".repeat(60_000) } });
    // It looks once a second, and before that meets the end of the disk.
    wait_for(|| {
        let answer = client.post(EVENT, None, &large);
        (answer.status == 500).then(|| assert_eq!(answer.expect_error(500).1, full))
    });
    assert_eq!(server.get(HEALTH).expect(200)["status"], "degraded");
    wait_for(|| (client.post(EVENT, None, &event("v-000002")).status == 500).then_some(()));
    // Something is free again, but it is not for events.
    file.set_len(15 << 20).unwrap();
    wait_for(|| {
        let free = rustix::fs::statvfs(&events).unwrap();
        (free.f_bavail * free.f_frsize > 500_000).then_some(())
    });
    assert_eq!(client.post(EVENT, None, &event("v-000003")).status, 500);
    assert_eq!(server.get("/readyz").status, 200);
    drop(file);
    fs::remove_file(&filler).unwrap();
    wait_for(|| (server.get(HEALTH).expect(200)["status"] == "healthy").then_some(()));
    client.post(EVENT, None, &event("v-000004")).expect(202);
    let text = fs::read_to_string(events.join("metrics.jsonl")).unwrap();
    let ids: Vec<Value> =
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["visitor_id"].clone()).collect();
    assert!(ids[0] == "v-000001" && *ids.last().unwrap() == "v-000004", "{ids:?}");
}

#[test]
fn other_hands_on_the_file_cost_nothing_that_comes_after_and_are_counted() {
    let mut here = Here::with(&[&FREELY[..], &[("METRICS_PUBLIC", "true")]].concat());
    let path = here.path("metrics.jsonl");
    let send = |id: &str| _ = here.post(&event(id)).expect(202);
    let ids = |path: &Path| -> Vec<String> {
        let text = fs::read_to_string(path).unwrap();
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["visitor_id"].as_str().unwrap().to_owned())
            .collect()
    };
    send("v-000001");
    fs::rename(&path, here.path("moved")).unwrap();
    send("v-000002");
    assert_eq!((ids(&here.path("moved")), ids(&path)), (vec!["v-000001".to_owned()], vec!["v-000002".to_owned()]));
    fs::remove_file(&path).unwrap();
    send("v-000003");
    File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    send("v-000004");
    assert_eq!(ids(&path), ["v-000004"], "nothing is written into a hole");
    File::options().write(true).open(&path).unwrap().set_len(20).unwrap();
    send("v-000005");
    assert_eq!(ids(&path), ["v-000005"]);
    fs::write(here.path("other"), "").unwrap();
    fs::rename(here.path("other"), &path).unwrap();
    send("v-000006");
    assert_eq!(ids(&path), ["v-000006"]);
    assert_eq!((here.get(HEALTH)["torn_lines"].clone(), here.get(HEALTH)["ok"].clone()), (json!(1), json!(true)));
    let metrics = here.client().get("/metrics", None);
    for (how, times) in [("gone", 2), ("shorter", 2), ("replaced", 1), ("torn", 1), ("longer", 0)] {
        let line = format!("\ninkring_behaviour_file_disturbed_total{{how=\"{how}\"}} {times}\n");
        assert!(metrics.text().contains(&line), "{line}: {}", metrics.text());
    }
    here.stop();
}

#[test]
fn a_line_that_was_torn_by_a_power_cut_is_cut_at_the_start() {
    let mut here = Here::with(&[]);
    here.post(&event("v-000001")).expect(202);
    here.stop();
    let whole = here.text();
    fs::write(here.path("metrics.jsonl"), format!("{whole}{}", &whole[..90])).unwrap();
    here.launch();
    assert_eq!((here.text(), here.get(HEALTH)["torn_lines"].clone()), (whole.clone(), json!(1)));
    assert_eq!(here.get(SNAPSHOT)["total"], 1);
    here.post(&event("v-000002")).expect(202);
    assert_eq!(here.text().lines().count(), 2);
    here.stop();
}

/// The day so many days ago.
fn ago(days: i64) -> String {
    let at = Clock::system().now().earlier(Duration::from_secs(days as u64 * 86_400));
    at.offset_style().to_string()[..10].to_owned()
}

fn verb(directory: &Path, settings: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = inkring(directory);
    let output = command.args(["metrics", "rotate"]).args(arguments).envs(settings.iter().copied()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap(), besides_settings(output.stderr))
}

#[test]
fn a_file_is_compressed_and_removed_by_the_day_in_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    fs::create_dir(&data).unwrap();
    let shard = |days: i64| format!("metrics-{}.jsonl", ago(days));
    // All were changed just now: it is the name that counts.
    for days in [0, 2, 4, 29, 32] {
        fs::write(data.join(shard(days)), format!("{{\"days\": {days}}}\n")).unwrap();
    }
    fs::write(data.join("metrics.jsonl"), "{\"active\": true}\n").unwrap();
    let (code, said, error) = verb(directory.path(), &[], &["--once"]);
    assert_eq!((code, error.as_str()), (Some(0), ""), "{said}");
    assert_eq!(said, "./data/metrics.jsonl\n  rotated        not yet due\n  compressed     2\n  removed        1\n");
    let left = files(&data);
    let mut expected =
        vec!["metrics.jsonl".to_owned(), shard(0), shard(2), format!("{}.gz", shard(4)), format!("{}.gz", shard(29))];
    expected.sort_unstable();
    assert!(left.keys().eq(&expected), "{:?}", left.keys());
    assert_eq!(left[&format!("{}.gz", shard(4))], "{\"days\": 4}\n");
    // The same again by the names of the original, with other numbers.
    let flags =
        ["--once", "--data-dir", "data", "--gzip-after-days", "0", "--delete-after-days", "10", "--max-mb", "0"];
    let (code, said, _) = verb(directory.path(), &[], &flags);
    assert_eq!((code, said.contains("removed        1")), (Some(0), true), "{said}");
    let rotated = format!("metrics-{}.1.jsonl", ago(0));
    assert!(said.contains(&format!("rotated        {rotated}")), "{said}");
    assert_eq!(files(&data)[&rotated], "{\"active\": true}\n");
    assert_eq!(verb(directory.path(), &[], &["--once", "--data-dir", "nowhere"]).0, Some(1));
    let (code, _, error) = verb(directory.path(), &[], &["--gzip-afer", "3"]);
    assert_eq!((code, error.contains("--gzip-after")), (Some(2), true), "{error}");
    let (code, _, error) =
        verb(directory.path(), &[("METRICS_RETENTION_DAYS", "x"), ("CONFIG_STRICT", "true")], &["--once"]);
    assert_eq!((code, error.contains("METRICS_RETENTION_DAYS")), (Some(3), true), "{error}");
}

#[test]
fn a_file_that_a_server_writes_is_left_to_it() {
    let operated = Operated::with(&[]);
    let (server, here) = (&operated.server, operated.server.directory.path());
    server.connect().post(EVENT, None, &event("v-000001")).expect(202);
    let old = format!("metrics-{}.jsonl", ago(10));
    fs::write(here.join("data").join(&old), "{\"old\": 1}\n").unwrap();
    let (code, _, error) = verb(here, &[], &["--once"]);
    assert_eq!(code, Some(1));
    assert!(error.contains(&format!("process {} writes", server.pid())) && error.contains("OPS_ADDR"), "{error}");
    assert_eq!(files(&here.join("data")).len(), 2, "nothing has changed");
    let plane = operated.plane.to_string();
    let (code, said, error) = verb(here, &[("OPS_ADDR", &plane)], &["--once", "--max-mb", "0"]);
    let rotated = format!("metrics-{}.jsonl", ago(0));
    assert_eq!((code, error.as_str()), (Some(0), ""));
    assert_eq!(
        said,
        format!("./data/metrics.jsonl\n  rotated        {rotated}\n  compressed     1\n  removed        0\n")
    );
    let left = files(&here.join("data"));
    assert!(left.keys().eq(&[format!("{old}.gz"), rotated]), "{:?}", left.keys());
    server.connect().post(EVENT, None, &event("v-000002")).expect(202);
    // The plane of another server.
    let other = Operated::with(&[]);
    let (code, _, error) = verb(here, &[("OPS_ADDR", &other.plane.to_string())], &["--once"]);
    assert_eq!((code, error.contains("set OPS_ADDR to that of the server that has it")), (Some(1), true), "{error}");
}

#[test]
fn two_servers_do_not_write_one_file() {
    let shared = tempfile::tempdir().unwrap();
    let file = shared.path().join("metrics.jsonl").display().to_string();
    let one = Server::with(&[("METRICS_JSONL", &file)]);
    one.connect().post(EVENT, None, &event("v-000001")).expect(202);
    let mut other = Server::with(&[("METRICS_JSONL", &file)]);
    let (code, message) = other.connect().post(EVENT, None, &event("v-000002")).expect_error(500);
    assert_eq!(code, "metrics_sink_write_failed");
    assert!(message.contains(&format!("process {} writes this file already", one.pid())), "{message}");
    assert_eq!(other.get("/readyz").status, 200, "the drafts are served");
    drop(one);
    wait_for(|| (other.get(HEALTH).expect(200)["status"] == "healthy").then_some(()));
    other.connect().post(EVENT, None, &event("v-000003")).expect(202);
    assert_eq!(found(shared.path(), "v-").into_keys().collect::<Vec<_>>(), ["v-000001", "v-000003"]);
    assert!(other.terminate().success());
}

#[test]
fn the_housekeeper_looks_after_files_without_being_asked() {
    let mut server = Server::absent(&[("METRICS_ROTATE_SECONDS", "1")]);
    let data = server.directory.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join(format!("metrics-{}.jsonl", ago(5))), "{\"a\": 1}\n").unwrap();
    fs::write(data.join(format!("metrics-{}.jsonl.gz.tmp", ago(6))), "half").unwrap();
    server.launch();
    let compressed = format!("metrics-{}.jsonl.gz", ago(5));
    wait_for(|| data.join(&compressed).exists().then_some(()));
    let health = wait_for(|| {
        let health = server.get(HEALTH).expect(200);
        (!health["last_rotation"].is_null()).then_some(health)
    });
    assert_eq!((&health["last_rotation"]["ok"], &health["last_rotation"]["faults"]), (&json!(true), &json!([])));
    wait_for(|| (!data.join(format!("metrics-{}.jsonl.gz.tmp", ago(6))).exists()).then_some(()));
    assert!(server.terminate().success());
}

#[test]
fn the_days_of_events_are_those_on_which_they_came() {
    let mut here = Here::with(&FREELY);
    let stop = Arc::new(AtomicBool::new(false));
    let to = here.client().stream.peer_addr().unwrap();
    let writing = {
        let stop = Arc::clone(&stop);
        thread::spawn(move || write(to, 0, 0, &stop, &AtomicUsize::new(0)))
    };
    let mut days = BTreeSet::new();
    for number in 0..5 {
        here.post(&event(&format!("d-{number:06}"))).expect(202);
        days.insert(here.clock.now().offset_style().to_string()[..10].to_owned());
        here.advance(Duration::from_secs(86_400));
    }
    here.post(&event("d-000005")).expect(202);
    stop.store(true, Ordering::Relaxed);
    let book = writing.join().unwrap();
    hold(&found(here.directory.path(), "r0-"), &book);
    let found = files(here.directory.path());
    for (number, day) in days.iter().enumerate() {
        assert!(found[&format!("metrics-{day}.jsonl")].contains(&format!("d-{number:06}")), "{day}");
    }
    assert!(found["metrics.jsonl"].contains("d-000005"));
    here.stop();
}

#[test]
fn a_clock_that_is_years_off_removes_nothing_and_its_files_get_a_day_that_can_be() {
    const YEARS: i64 = 12 * 365 * 86_400_000_000;
    let mut here = Here::with(&FREELY);
    let day = |here: &Here| here.clock.now().offset_style().to_string()[..10].to_owned();
    let (today, file) = (day(&here), |day: &str| format!("metrics-{day}.jsonl"));
    // What was there before, of twenty days ago.
    fs::write(here.path(&file(&ago(20))), "{\"visitor_id\": \"old\"}\n").unwrap();
    here.post(&event("v-before")).expect(202);
    here.clock.set(YEARS);
    let then = day(&here);
    here.post(&event("v-in-the-jump")).expect(202);
    let passed = here.rotate("");
    assert_eq!((&passed["removed"], &passed["waiting_for_the_clock"]), (&json!(0), &json!(1)), "{passed}");
    here.clock.set(-YEARS);
    here.post(&event("v-after")).expect(202);
    let passed = here.rotate("");
    assert_eq!((&passed["removed"], &passed["faults"]), (&json!(0), &json!([])), "{passed}");
    let ids = |here: &Here| -> BTreeSet<String> {
        lines(here.directory.path()).iter().map(|line| line["visitor_id"].as_str().unwrap().to_owned()).collect()
    };
    let all: BTreeSet<String> = ["old", "v-before", "v-in-the-jump", "v-after"].map(str::to_owned).into();
    assert_eq!(ids(&here), all);
    assert!(files(here.directory.path()).keys().any(|name| name.contains(&then)), "until the clock is believed");
    here.advance(Duration::from_secs(3601));
    here.rotate("");
    let found = files(here.directory.path());
    assert!(!found.keys().any(|name| name.contains(&then)), "{:?}", found.keys());
    let redated = found.iter().find(|(_, text)| text.contains("v-in-the-jump")).unwrap().0;
    assert!(
        redated.starts_with(&format!("metrics-{today}")) || redated.starts_with(&format!("metrics-{}", day(&here)))
    );
    assert_eq!(ids(&here), all);
    // They go when their days are over, thirty days later.
    here.advance(Duration::from_secs(12 * 86_400));
    assert_eq!(here.rotate("")["removed"], 1, "the oldest");
    here.advance(Duration::from_secs(19 * 86_400));
    here.rotate("");
    assert_eq!(ids(&here), BTreeSet::new());
    here.stop();
}
