//! What attackers have tried, tried again at the wire, where no test of a feature does it already. The list of all of it
//! is in docs/THREATS.md, "What attackers have tried", and `tests/attacks.sh` runs every test that is named there.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::identity::KEY;
use crate::ops::Operated;
use crate::repository::root;
use crate::support::ledger::Ledger;
use crate::support::process::Process;
use crate::support::socket::{CONTINUATION, Frame, PROTOCOL_PONG, Sent, Socket, TEXT, handshake, path};
use crate::support::{Client, PATIENCE, Server, inkring, raise_descriptor_limit, wait_for};

const DRAFTS: &str = "/v1/collab/drafts";
const ALICE: (&str, &str) = ("X-User-Id", "alice");

/// What the script runs, by the names that `cargo test -- --list` has for tests of this program.
fn run_by_the_script() -> Vec<String> {
    let listed = Command::new("bash").arg(root().join("tests/attacks.sh")).arg("--list").output().unwrap();
    assert!(listed.status.success(), "{listed:?}");
    String::from_utf8(listed.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn the_script_runs_every_test_that_is_named_for_an_attack() {
    let wanted = run_by_the_script();
    assert!(wanted.len() > 60, "{wanted:?}");
    let there = Command::new(std::env::current_exe().unwrap()).arg("--list").output().unwrap();
    let there = String::from_utf8(there.stdout).unwrap();
    let there: Vec<&str> = there.lines().filter_map(|line| line.strip_suffix(": test")).collect();
    // Those of files below src/ are tests of the library; that they exist is looked at in docs.rs.
    let (here, _): (Vec<String>, Vec<String>) = wanted.into_iter().partition(|name| !name.starts_with("::"));
    for name in here {
        assert!(there.contains(&name.as_str()), "there is no test {name}");
    }
    // Each finding of the first table has its row, and each row a test or a reason.
    let page = crate::repository::read("docs/THREATS.md");
    let (_, tried) = page.split_once("\n## What attackers have tried\n").unwrap();
    for number in 1..=23 {
        let row = tried.lines().find(|line| line.starts_with(&format!("| {number} |")));
        let row = row.unwrap_or_else(|| panic!("finding {number} has no row"));
        assert!(row.contains(".rs::"), "{row}");
    }
}

/// How many lines of this name there are, and how many they stand for.
fn lines(server: &Server, name: &str) -> (usize, u64) {
    let log = server.log();
    let quoted = format!("\"{name}\"");
    let lines = log.lines().filter(|line| line.contains(&quoted));
    let lines = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let left_out: Vec<u64> =
        lines.filter(|line| line["message"] == name).map(|line| line["left_out"].as_u64().unwrap_or(0)).collect();
    (left_out.len(), left_out.len() as u64 + left_out.iter().sum::<u64>())
}

/// Finding 12: each kind of line that nobody has to be let in for is written a hundred times a second, and the next one
/// says how many were left out, so that none is lost from the count.
#[test]
fn whatever_a_stranger_causes_is_a_hundred_lines_a_second_of_its_kind_and_counted() {
    const TIMES: usize = 300;
    raise_descriptor_limit(2 * TIMES as u64);
    let server = Server::with(&[("MAX_CONNECTIONS_PER_ADDRESS", "1000"), ("JWT_SECRET", KEY)]);
    // Nothing is ready without its database.
    std::fs::rename(server.database(), server.directory.path().join("moved.db")).unwrap();
    let one = |kind: &str| match kind {
        "health.not_ready" => "GET /readyz HTTP/1.1\r\nHost: t\r\n\r\n".to_owned(),
        "auth.failed" => format!("GET {DRAFTS} HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer x\r\n\r\n"),
        "request.complete" => "GET /nowhere HTTP/1.1\r\nHost: t\r\n\r\n".to_owned(),
        "request.rejected" => "GET / HTTP/2.0\r\nHost: t\r\n\r\n".to_owned(),
        "request.abandoned" => {
            format!("POST {DRAFTS} HTTP/1.1\r\nHost: t\r\nX-User-Id: a\r\nContent-Length: 9\r\n\r\n")
        }
        "ws.unauthorized" => handshake(&path("d"), &[]),
        other => panic!("{other}"),
    };
    for (kind, kept) in [
        ("health.not_ready", true),
        ("auth.failed", true),
        ("request.complete", true),
        ("request.rejected", false),
        ("ws.unauthorized", false),
    ] {
        let (written_before, stood_for_before) = lines(&server, kind);
        let began = Instant::now();
        let request = one(kind);
        // All are sent before any is answered, so that there are more than a hundred a second however busy the machine is.
        if kept {
            let mut client = server.connect();
            client.send(request.repeat(TIMES));
            for _ in 0..TIMES {
                assert!(client.answer().status >= 400, "{kind}");
            }
        } else {
            let mut clients: Vec<Client> = (0..TIMES).map(|_| server.connect()).collect();
            for client in &mut clients {
                client.send(&request);
            }
            for client in &mut clients {
                assert!([101, 505].contains(&client.answer().status), "{kind}");
            }
        }
        let seconds = began.elapsed().as_secs() as usize + 1;
        let mut sent = TIMES as u64;
        // In the next second one more line says what was left out. It is written soon after its answer.
        wait_for(|| {
            let mut client = server.connect();
            client.send(&request);
            client.answer();
            sent += 1;
            let asked = Instant::now();
            let looks = std::iter::repeat_with(|| lines(&server, kind).1 - stood_for_before);
            looks.take_while(|_| asked.elapsed() < Duration::from_secs(1)).find(|stood_for| *stood_for == sent)
        });
        let (written, _) = lines(&server, kind);
        let more = sent as usize - TIMES;
        let written = written - written_before;
        assert!(written <= 100 * (seconds + 1) + more, "{written} lines of {kind} in {seconds} s");
        assert!(written < TIMES + more, "{written} lines of {kind}, of {sent}: none was left out");
    }
}

/// Finding 20: pongs and continuations that end no message count like messages, where there are limits.
#[test]
fn frames_that_end_no_message_end_their_socket_where_there_are_limits() {
    let server = Server::with(&[("WS_LIMITS_ENABLED", "true"), ("WS_MAX_MESSAGES_PER_SECOND", "5")]);
    let pongs = Sent::new(PROTOCOL_PONG, "").encode().repeat(100);
    let empty = Sent::new(CONTINUATION, "").more().encode().repeat(100);
    let begun = [Sent::new(TEXT, "").more().encode(), empty].concat();
    for (user, bytes) in [("a", pongs), ("b", begun)] {
        let mut socket = Socket::watch(&server, "d", user);
        socket.send_bytes(bytes);
        assert_eq!(socket.json()["code"], "ws_limit");
        assert!(matches!(socket.next(), Frame::Close(1008, _)), "{user}");
    }
}

/// Finding 16: a topic is as long as an id may be, and nothing is copied of one that is longer.
#[test]
fn a_socket_on_an_id_that_nothing_has_is_none() {
    let server = Server::start();
    let (answer, _) = Socket::open(&server, &path(&"x".repeat(65)), &[ALICE]);
    assert_eq!(answer.expect_error(404).1, "Nothing has an id of more than 64 bytes");
    Socket::watch(&server, &"x".repeat(64), "alice").assert_quiet();
}

/// Finding 21: two copies at most lie on the disk without a name, however slowly they are taken away.
#[test]
fn a_third_copy_is_refused_while_two_are_being_taken_away() {
    let operated = Operated::with(&[]);
    let server = &operated.server;
    // Longer than what the kernels and the server keep of an answer that is not read.
    let database = rusqlite::Connection::open(server.database()).unwrap();
    database.busy_timeout(PATIENCE).unwrap();
    let long = "INSERT INTO drafts (draft_id, creator_id, title, platform, holder_id, passed_at, created_at, updated_at) \
                VALUES ('d', 'a', 't', hex(zeroblob(4000000)), 'a', 1, 1, 1)";
    database.execute(long, ()).unwrap();
    drop(database);
    let inkring::net::Endpoint::Tcp(plane) = operated.plane else { panic!("not on TCP") };
    let ask = || {
        let mut client = Client::connect_narrow(plane).unwrap();
        client.send("GET /backup HTTP/1.1\r\nHost: localhost\r\n\r\n");
        while !client.received.windows(4).any(|end| end == b"\r\n\r\n") {
            client.read_more().unwrap();
        }
        let status = String::from_utf8_lossy(&client.received[9..12]).into_owned();
        (status, client)
    };
    let ((first, _held), (second, given_up)) = (ask(), ask());
    assert_eq!([first.as_str(), second.as_str()], ["200", "200"]);
    assert_eq!(ask().0, "409");
    // There is room again when one has been taken away, or given up.
    drop(given_up);
    wait_for(|| (ask().0 == "200").then_some(()));
}

/// A server whose database was filled by hand while it did not run.
fn filled(settings: &[(&str, &str)], sql: &str) -> Server {
    let mut server = Server::with(settings);
    assert!(server.terminate().success());
    let database = rusqlite::Connection::open(server.database()).unwrap();
    database.execute_batch(sql).unwrap();
    drop(database);
    server.launch();
    server
}

/// Finding 4: a stranger does not wait for what others have asked for, however much work that is.
#[test]
fn a_stranger_is_answered_while_others_ask_for_the_most_that_there_is() {
    const FLOOD: usize = 8;
    const REQUESTS: usize = 32;
    let many = "WITH RECURSIVE n(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n LIMIT 20000) \
                INSERT INTO drafts (draft_id, creator_id, title, platform, holder_id, collaborator_count, segment_count, \
                                    event_seq, passed_at, created_at, updated_at) \
                SELECT hex(randomblob(16)), 'a', 't', 'x', 'a', 1, iif(n = 1, 1000, 0), 1, n, n, n FROM n; \
                INSERT INTO draft_collaborators (draft, user_id, role, joined_at) SELECT id, 'bob', 'x', 1 FROM drafts; \
                WITH RECURSIVE n(n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM n LIMIT 1000) \
                INSERT INTO draft_segments (draft, segment_order, segment_id, user_id, content, created_at) \
                SELECT 1, n, hex(randomblob(16)), 'a', hex(zeroblob(250)), 1 FROM n; \
                UPDATE drafts SET draft_id = 'long' WHERE id = 1";
    // Nothing is kept, so that each look at the long one reads all of it.
    let server = filled(&[("SHARDS", "1"), ("DRAFT_CACHE_BYTES", "0")], many);
    for target in [DRAFTS.to_owned(), format!("{DRAFTS}/long")] {
        for method in ["HEAD", "GET"] {
            let request = format!("{method} {target} HTTP/1.1\r\nHost: t\r\nX-User-Id: bob\r\n\r\n");
            let answer = |client: &mut Client| client.try_answer(method == "HEAD").unwrap().status;
            let mut alone = server.connect();
            let began = Instant::now();
            alone.send(&request);
            assert_eq!(answer(&mut alone), 200, "{target}");
            let one = began.elapsed();
            let mut others: Vec<Client> = (0..FLOOD).map(|_| server.connect()).collect();
            for other in &mut others {
                other.send(request.repeat(REQUESTS));
            }
            assert_eq!(answer(&mut others[0]), 200);
            let began = Instant::now();
            server.get("/healthz").expect(200);
            let waited = began.elapsed();
            // For one request of each at most, and not for all 256; three times that, as other programs run as well.
            let most = Duration::from_secs(1) + 3 * one * FLOOD as u32;
            assert!(waited < most, "{method} {target} takes {one:?}, and a stranger has waited {waited:?}");
        }
    }
}

/// Finding 5: who reads slowly, a dozen times over, pays for it, and not who comes after them.
#[test]
fn an_honest_reader_gets_the_whole_of_an_answer_while_others_read_theirs_slowly() {
    const HOGS: usize = 13;
    let long = "WITH RECURSIVE n(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n LIMIT 140) \
                INSERT INTO drafts (draft_id, creator_id, title, platform, holder_id, segment_count, \
                                    event_seq, passed_at, created_at, updated_at) \
                SELECT 'd' || n, 'hog', 't', hex(zeroblob(30000)), 'hog', iif(n = 1, 2000, 0), 1, n, n, n FROM n; \
                INSERT INTO draft_collaborators (draft, user_id, role, joined_at) SELECT id, 'hog', 'owner', 1 FROM drafts; \
                WITH RECURSIVE n(n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM n LIMIT 2000) \
                INSERT INTO draft_segments (draft, segment_order, segment_id, user_id, content, created_at) \
                SELECT 1, n, hex(randomblob(16)), 'hog', hex(zeroblob(250)), 1 FROM n";
    let server = filled(&[("SHARDS", "1"), ("MAX_CONNECTIONS_PER_ADDRESS", "64")], long);
    let ask = |path: &str, from: [u8; 4]| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(2048).unwrap();
        socket.set_tcp_mss(536).unwrap();
        socket.bind(&std::net::SocketAddr::from((from, 0)).into()).unwrap();
        socket.connect(&server.address.into()).unwrap();
        let stream = std::net::TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = Client { stream, received: Vec::new() };
        client.send(format!("GET {path} HTTP/1.0\r\nHost: t\r\nX-User-Id: hog\r\n\r\n"));
        client
    };
    let whole = || {
        let mut client = ask(&format!("{DRAFTS}/d1"), [127, 0, 0, 2]);
        while client.read_more().is_ok() {}
        client.received.len()
    };
    let alone = whole();
    assert!(alone > 1_500_000, "{alone} bytes");
    let hogs: Vec<Client> = (0..HOGS).map(|_| ask(DRAFTS, [127, 0, 0, 1])).collect();
    // They have been taken up when others behind them are served.
    server.get("/healthz").expect(200);
    for _ in 0..3 {
        assert_eq!(whole(), alone);
    }
    drop(hogs);
}

/// What held: of a start and a restore at the same moment one says no, and the draft is there each time.
#[test]
fn a_restore_and_a_start_at_one_moment_are_one_after_the_other() {
    let mut server = Server::start();
    let draft = server.create_draft("alice");
    let body = json!({ "content": "kept", "idempotency_key": "k" });
    server.post_as("alice", &format!("{DRAFTS}/{draft}/segments"), &body).expect(200);
    assert!(server.terminate().success());
    let kept = inkring(server.directory.path()).args(["backup", "--to", "kept"]).output().unwrap();
    assert!(kept.status.success(), "{kept:?}");
    let backup = String::from_utf8(kept.stdout).unwrap().lines().next().unwrap().to_owned();
    for round in 0..8 {
        let mut restore = inkring(server.directory.path());
        restore.args(["restore", &backup]).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut start = server.command();
        start.stdout(Stdio::null()).stderr(Stdio::null());
        // Either may come first.
        let (mut restore, mut start) = if round % 2 == 0 {
            let restore = restore.spawn().unwrap();
            (restore, Process::spawn(&mut start).unwrap())
        } else {
            let start = Process::spawn(&mut start).unwrap();
            (restore.spawn().unwrap(), start)
        };
        let restored = restore.wait().unwrap().success();
        // If the restore came too late, a server has the database; if it came first, one may have waited or said no.
        let ended = if restored { None } else { start.wait(Duration::ZERO).unwrap() };
        assert!(ended.is_none(), "round {round}: neither did it: {ended:?}");
        start.kill().unwrap();
        server.launch();
        let read = server.get_as("alice", &format!("{DRAFTS}/{draft}")).expect(200);
        assert_eq!(read["data"]["segments"][0]["content"], "kept", "round {round}");
        server.kill();
        Ledger::open(&server.database()).audit();
    }
}

/// What held: signals in a flood, and a stop in the middle, lose nothing and leave nothing behind.
#[test]
fn a_flood_of_signals_loses_no_change_and_leaves_nothing_behind() {
    const SIGNALS: usize = 300;
    let server = Server::with(&[("BACKUP_DIR", "backups"), ("HOUSEKEEPING_SECONDS", "1")]);
    let draft = server.create_draft("alice");
    let descriptors = || std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
    // The first backup has all that the next ones need.
    server.signal("USR1");
    server.wait_for_log(|line| line["message"] == "backup.done");
    let (before, threads) = (descriptors(), server.memory_kb("Threads"));
    let goes_on = AtomicBool::new(true);
    let appended = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut client = server.connect();
            let mut appended = 0;
            while goes_on.load(Ordering::Relaxed) {
                let body = json!({ "content": "x", "idempotency_key": appended.to_string() });
                client.post(&format!("{DRAFTS}/{draft}/segments"), Some("alice"), &body).expect(200);
                appended += 1;
            }
            appended
        });
        for number in 0..SIGNALS {
            let settings = format!("ALLOWED_ORIGINS=https://page-{number}.example\n");
            std::fs::write(server.directory.path().join(".env"), settings).unwrap();
            server.signal(match number % 50 {
                0 => "USR1",
                25 => "STOP",
                26 => "CONT",
                _ => "HUP",
            });
        }
        // The last of them is in force.
        let origin = format!("https://page-{}.example", SIGNALS - 1);
        wait_for(|| {
            let answer = server.connect().request("GET", "/healthz", &[("Origin", &origin)], b"");
            answer.header("access-control-allow-origin").map(drop)
        });
        goes_on.store(false, Ordering::Relaxed);
        writer.join().unwrap()
    });
    let ledger = Ledger::open(&server.database());
    ledger.audit();
    let events: Vec<i64> = ledger.column("SELECT count(*) FROM events", []);
    assert_eq!(events, [appended + 1], "an event for each change, and one for the beginning");
    wait_for(|| (descriptors() <= before && server.memory_kb("Threads") <= threads + 2).then_some(()));
    assert!(!server.log().contains("\"level\":\"ERROR\""), "{}", server.log());
}

/// What held: bodies, numbers and texts that nobody would send are refused with a sentence, and none trips the server.
#[test]
fn json_unicode_and_integers_at_every_edge_are_refused_with_a_sentence() {
    let server = Server::start();
    let draft = server.create_draft("alice");
    let at = format!("{DRAFTS}/{draft}");
    let mut client = server.connect();
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    let members: String = (0..4000).map(|number| format!("\"m{number}\":0,")).collect();
    let bodies: [&[u8]; 20] = [
        b"{\"title\":\"\\ud800\",\"platform\":\"x\"}",
        b"{\"title\":\"\\udc00\\ud800\",\"platform\":\"x\"}",
        b"{\"title\":\"\xc0\x80\",\"platform\":\"x\"}",
        b"{\"title\":\"\xed\xa0\x80\",\"platform\":\"x\"}",
        b"{\"title\":\"\xf4\x90\x80\x80\",\"platform\":\"x\"}",
        b"\xff\xfe{\x00",
        b"\xef\xbb\xbf\xef\xbb\xbf{}",
        b"{\"title\":1e999,\"platform\":\"x\"}",
        b"{\"title\":-0,\"platform\":\"x\"}",
        b"{\"title\":99999999999999999999999999,\"platform\":\"x\"}",
        b"{\"title\":\"t\",\"platform\":\"x\",}",
        b"{\"title\":\"t\"\"platform\":\"x\"}",
        b"{'title':'t','platform':'x'}",
        b"{\"title\":\"t\tt\",\"platform\":\"x\"}",
        b"{\"title\":\"\\x41\",\"platform\":\"x\"}",
        b"{\"title\":\"\\u00g0\",\"platform\":\"x\"}",
        b"{\"title\":01,\"platform\":\"x\"}",
        b"nul",
        deep.as_bytes(),
        b"{\"title\":null,\"title\":[],\"platform\":{}}",
    ];
    let json = ("Content-Type", "application/json");
    for body in bodies {
        let answer = client.request("POST", DRAFTS, &[ALICE, json], body);
        let (_, message) = answer.expect_error(422);
        assert!(!message.is_empty(), "{}", String::from_utf8_lossy(body));
    }
    let many = format!("{{{members}\"title\":\"\\u0000\",\"platform\":\"x\"}}");
    client.request("POST", DRAFTS, &[ALICE, json], many.as_bytes()).expect(200);

    let numbers = [
        "-1",
        "+1",
        "1.0",
        "1e3",
        "0x10",
        "1%20",
        "%00",
        "1%00",
        "%D9%A1",
        "9223372036854775808",
        "18446744073709551616",
        "-9223372036854775809",
        "NaN",
        "inf",
        "1_000",
        "",
    ];
    for number in numbers {
        for target in
            [format!("{at}/events?since={number}"), format!("{at}/events?limit={number}"), format!("{at}?now={number}")]
        {
            let answer = client.get(&target, Some("alice"));
            assert!([200, 400, 422].contains(&answer.status), "{target}: {}", answer.text());
            assert!(answer.status != 200 || number.is_empty() || number == "+1", "{target}");
        }
        let (answer, mut socket) = Socket::open(&server, &format!("{}?since={number}", path(&draft)), &[ALICE]);
        if answer.status == 101 {
            let first = socket.json();
            assert!(["error", "connected"].contains(&first["type"].as_str().unwrap()), "since={number}: {first}");
        }
    }
    for line in server.log().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["level"] != "ERROR", "{line}");
    }
}
