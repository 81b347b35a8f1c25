//! What is large is read and made as its client takes it, and not for who only asks whether it is there (G5, G6).

use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Client, PATIENCE, Server};

const DRAFTS: &str = "/v1/collab/drafts";

/// Segments that a draft may have by default.
const SEGMENTS: usize = 10_000;

/// A server of one shard with a draft of alice's: so many segments, each of which takes 3.3 KB as JSON.
fn with_large_draft(segments: usize) -> (Server, String) {
    let mut server = Server::with(&[("SHARDS", "1"), ("MAX_SEGMENTS_PER_DRAFT", "0")]);
    let draft = server.create_draft("alice");
    server.kill();
    let database = rusqlite::Connection::open(server.database()).unwrap();
    let fill = format!(
        "WITH RECURSIVE n (at) AS (SELECT 0 UNION ALL SELECT at + 1 FROM n WHERE at < {segments} - 1)
         INSERT INTO draft_segments (draft, segment_order, segment_id, user_id, content, created_at)
         SELECT d.id, n.at, 'segment ' || n.at, 'alice', printf('%.500c', char(1)), d.created_at FROM drafts AS d, n;
         UPDATE drafts SET segment_count = {segments}, event_seq = event_seq + 1;"
    );
    database.execute_batch(&fill).unwrap();
    database.close().unwrap();
    server.launch();
    (server, format!("{DRAFTS}/{draft}"))
}

#[test]
fn a_head_of_much_costs_next_to_nothing() {
    let (mut server, draft) = with_large_draft(SEGMENTS);
    server.kill();
    let database = rusqlite::Connection::open(server.database()).unwrap();
    let many = "WITH RECURSIVE n (at) AS (SELECT 0 UNION ALL SELECT at + 1 FROM n WHERE at < 19999)
                INSERT INTO drafts (draft_id, creator_id, title, platform, holder_id, passed_at, created_at, updated_at)
                SELECT 'draft ' || at, 'bob', 't', 'x', 'bob', at, at, at FROM n;
                INSERT INTO draft_collaborators (draft, user_id, role, joined_at)
                SELECT id, 'bob', 'owner', 1 FROM drafts WHERE creator_id = 'bob'";
    database.execute_batch(many).unwrap();
    database.close().unwrap();
    server.launch();
    let mut clients: Vec<Client> = (0..8).map(|_| server.connect()).collect();
    let spent = server.cpu_seconds();
    let log = format!("{draft}/events?limit=1000");
    for (path, user) in [(&*draft, "alice"), (DRAFTS, "alice"), (DRAFTS, "bob"), (&log, "alice")] {
        let head = format!("HEAD {path} HTTP/1.1\r\nHost: t\r\nX-User-Id: {user}\r\n\r\n").repeat(32);
        clients.iter_mut().for_each(|client| client.send(&head));
        for client in &mut clients {
            for _ in 0..32 {
                let answer = client.answer_to_head();
                assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{path}");
                assert_eq!(
                    (answer.header("content-length"), answer.header("transfer-encoding")),
                    (None, None),
                    "{path}"
                );
            }
        }
    }
    let spent = server.cpu_seconds() - spent;
    assert!(spent < 1.5, "1024 answers without a body took {spent:.1} s of CPU");
    // What is refused to GET is refused to HEAD.
    let mut client = server.connect();
    for (path, status) in [
        (format!("{draft}?now=yesterday"), 400),
        (format!("{DRAFTS}?before=nowhere"), 400),
        (format!("{DRAFTS}/nowhere"), 404),
        (format!("{DRAFTS}/nowhere/events?limit=1000"), 404),
        (format!("{draft}/events?limit=1001"), 422),
    ] {
        assert_eq!(client.request("HEAD", &path, &[("X-User-Id", "alice")], b"").status, status, "{path}");
    }
}

#[test]
fn readers_of_a_large_draft_cost_a_piece_each_and_not_the_draft() {
    const READERS: usize = 8;
    let (server, draft) = with_large_draft(SEGMENTS - 1);
    // This gives hashes to what lies there without.
    let body = json!({ "content": "the last of so many", "idempotency_key": "last" });
    let last = server.post_as("alice", &format!("{draft}/segments"), &body).expect(200);
    let before = server.memory_kb("VmHWM");
    let mut clients: Vec<Client> = (0..READERS).map(|_| server.connect()).collect();
    let now = format!("{draft}?now=2030-01-01T00:00:00Z");
    for client in &mut clients {
        client.send(format!("GET {now} HTTP/1.1\r\nHost: t\r\n\r\n"));
        // It has begun, and waits for its reader.
        client.read_more().unwrap();
    }
    // Who comes meanwhile is served, and what is added meanwhile is in none of the answers that have begun.
    server.get("/healthz").expect(200);
    let body = json!({ "content": "later", "idempotency_key": "later" });
    let appended = server.post_as("alice", &format!("{draft}/segments"), &body).expect(200);
    let segments = appended["data"]["segments"].as_array().unwrap();
    assert_eq!((segments.len(), &segments[SEGMENTS]["content"]), (SEGMENTS + 1, &json!("later")));
    let read = |mut client: Client| thread::spawn(move || client.answer());
    let answers: Vec<_> = clients.drain(..3).map(read).collect();
    let mut stranger = server.connect();
    while !answers.iter().all(thread::JoinHandle::is_finished) {
        let began = Instant::now();
        stranger.get("/healthz", None).expect(200);
        assert!(began.elapsed() < Duration::from_secs(1), "a stranger has waited {:?}", began.elapsed());
    }
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.join().unwrap()).collect();
    let grown = server.memory_kb("VmHWM") - before;
    assert!(grown < 1024 * READERS as u64, "{grown} kB more for {READERS} readers of 33 MB");
    for answer in &answers {
        assert_eq!((answer.status, answer.header("transfer-encoding")), (200, Some("chunked")));
        assert!(answer.body.len() > 30_000_000 && answer.body == answers[0].body, "each the same");
    }
    let whole: Value = serde_json::from_slice(&answers[0].body).unwrap();
    let told = whole["data"]["segments"].as_array().unwrap();
    assert_eq!(told[..], segments[..SEGMENTS], "all of one moment");
    assert_eq!(whole["data"]["metrics"]["contributorsCount"], 1);
    assert_eq!(whole["data"]["updated_at"], last["data"]["updated_at"]);
}

#[test]
fn a_large_draft_that_is_damaged_is_broken_off_and_then_500() {
    let (mut server, draft) = with_large_draft(1000);
    let sound = server.create_draft("alice");
    server.kill();
    let database = rusqlite::Connection::open(server.database()).unwrap();
    assert_eq!(database.execute("DELETE FROM draft_segments WHERE segment_order = 900", []).unwrap(), 1);
    database.close().unwrap();
    server.launch();
    let mut client = server.connect();
    client.send(format!("GET {draft} HTTP/1.1\r\nHost: t\r\n\r\n"));
    while client.read_more().is_ok() {}
    let told = String::from_utf8_lossy(&client.received);
    assert!(told.starts_with("HTTP/1.1 200") && told.contains("\"segment_order\":800,"), "it had begun");
    assert!(!told.ends_with("\r\n0\r\n\r\n"), "nobody can take it for whole");
    server
        .wait_for_log(|line| line["message"] == "draft.damaged" && draft.ends_with(line["draft_id"].as_str().unwrap()));
    server.wait_for_log(|line| line["message"] == "answer.broken_off");
    for method in ["GET", "HEAD"] {
        assert_eq!(server.connect().request(method, &draft, &[], b"").status, 500, "{method}");
    }
    let id = draft.rsplit_once('/').unwrap().1;
    let list = server.get_as("alice", DRAFTS).expect(200);
    assert_eq!((&list["data"][0]["draft_id"], &list["unreadable"]), (&json!(sound), &json!([id])));
}

#[test]
fn nothing_is_rendered_for_those_who_have_left() {
    const APPENDS: usize = 100;
    let (server, draft) = with_large_draft(SEGMENTS);
    let spent = server.cpu_seconds();
    for key in 0..APPENDS {
        let body = json!({ "content": "x", "idempotency_key": key.to_string() }).to_string();
        let head =
            format!("POST {draft}/segments HTTP/1.1\r\nHost: t\r\nX-User-Id: alice\r\nContent-Length: {}", body.len());
        server.connect().send(format!("{head}\r\n\r\n{body}"));
    }
    // All of them are made: what was sent whole counts, whoever waits for it.
    let seq = || server.connect().get(&format!("{draft}/events?limit=1"), None).expect(200)["to"].as_u64().unwrap();
    let made = crate::support::wait_for(|| Some(seq()).filter(|seq| *seq >= 2 + APPENDS as u64));
    assert_eq!(made, 2 + APPENDS as u64);
    let spent = server.cpu_seconds() - spent;
    assert!(spent < 1.5, "{APPENDS} answers of 33 MB to nobody took {spent:.1} s of CPU");
}

/// A client at another address of this machine than others, which takes little at once.
fn elsewhere(server: &Server) -> Client {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(2048).unwrap();
    socket.set_tcp_mss(536).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 3], 0)).into()).unwrap();
    socket.connect(&server.address.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Client { stream, received: Vec::new() }
}

#[test]
fn answers_that_are_not_taken_cost_what_all_clients_of_a_shard_may_and_those_pay_who_take_nothing() {
    // 300 segments are just small enough to be answered at once: of 100 readers, more than HELD_MAX_BYTES (64 MiB).
    const READERS: usize = 100;
    let (server, draft) = with_large_draft(300);
    let before = server.memory_kb("VmHWM");
    let request = format!("GET {draft} HTTP/1.1\r\nHost: t\r\n\r\n");
    let hogs: Vec<Client> = (0..READERS)
        .map(|_| {
            let mut hog = Client::connect_narrow(server.address).unwrap();
            hog.send(&request);
            hog.read_more().unwrap();
            hog
        })
        .collect();
    let grown = server.memory_kb("VmHWM") - before;
    assert!((48 * 1024..80 * 1024).contains(&grown), "{grown} kB for {READERS} answers of 1 MB");
    let mut newcomer = elsewhere(&server);
    newcomer.send(&request);
    let answer = newcomer.answer();
    assert!(answer.body.len() > 950_000, "{} bytes", answer.body.len());
    assert_eq!(answer.expect(200)["data"]["segments"].as_array().unwrap().len(), 300);
    let whole = hogs.into_iter().filter_map(|mut hog| hog.try_answer(false)).count();
    assert!((READERS / 2..READERS - 20).contains(&whole), "{whole} of {READERS} have the whole");
}

#[test]
fn a_large_list_is_told_in_pieces_and_its_drafts_are_the_same_as_alone() {
    let (server, large) = with_large_draft(1000);
    let small = format!("{DRAFTS}/{}", server.create_draft("alice"));
    let before = server.memory_kb("VmHWM");
    let mut readers: Vec<Client> = (0..8).map(|_| server.connect()).collect();
    for reader in &mut readers {
        reader.send(format!("GET {DRAFTS} HTTP/1.1\r\nHost: t\r\nX-User-Id: alice\r\n\r\n"));
        reader.read_more().unwrap();
    }
    let list = readers[0].answer();
    let grown = server.memory_kb("VmHWM") - before;
    assert!(grown < 1024 * 8, "{grown} kB more for 8 readers of 3.4 MB");
    assert_eq!(list.header("transfer-encoding"), Some("chunked"));
    let list = list.json();
    let alone = |path: &str| {
        let mut draft = server.get(path).expect(200)["data"].take();
        draft["metrics"] = Value::Null;
        draft
    };
    assert_eq!(list, json!({ "data": [alone(&large), alone(&small)], "count": 2 }));
    let mut old = server.connect();
    old.send(format!("GET {large} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    while old.read_more().is_ok() {}
    let text = String::from_utf8(std::mem::take(&mut old.received)).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("connection: close") && !head.contains("transfer-encoding"), "{head}");
    let told: Value = serde_json::from_str(body).unwrap();
    assert_eq!(told["data"]["segments"].as_array().unwrap().len(), 1000);
}
