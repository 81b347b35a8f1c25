//! Rooms under random edits of stock y-websocket providers, while the server is stopped and killed: Yjs is the judge of what
//! everybody has in the end (contract 03 §9).

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::repository::root;
use crate::rooms_stock::clients;
use crate::support::Server;
use crate::support::random::Random;

/// `INKRING_ROOMS_LIVE_HISTORIES=10000` for as many of them; `INKRING_TEST_SEED` repeats what clients did in an earlier run.
#[test]
fn stock_providers_agree_whatever_they_do_and_whatever_happens_to_the_server() {
    let Some(clients) = clients() else { return };
    let histories: i64 = std::env::var("INKRING_ROOMS_LIVE_HISTORIES").map_or(200, |number| number.parse().unwrap());
    let seed = Random::seeded().next() % 1_000_000_000;
    // So many clients on one thread may say nothing for 2 s: they are not taken for such that speak JSON.
    let settings = [
        ("ROOMS_UNLOAD_SECONDS", "0"),
        ("ROOMS_MAX_NEW_PER_HOUR", "1000000"),
        ("MAX_CONNECTIONS_PER_ADDRESS", "10000"),
    ];
    let mut server = Server::with(&settings);
    let mut node = Command::new("node")
        .arg(root().join("tests/clients/live.mjs"))
        .arg(&clients)
        .args([seed.to_string(), histories.to_string(), server.address.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut to_node = node.stdin.take().unwrap();
    let (mut restarts, mut last) = (0, Value::Null);
    for line in BufReader::new(node.stdout.take().unwrap()).lines() {
        last = serde_json::from_str(&line.unwrap()).unwrap();
        match last["restart"].as_str() {
            Some("kill") => server.kill(),
            Some(_) => assert!(server.terminate().success()),
            None => continue,
        }
        server.launch();
        restarts += 1;
        writeln!(to_node, "{}", server.address).unwrap();
    }
    assert!(node.wait().unwrap().success(), "{last}");
    assert_eq!((&last["histories"], restarts), (&json!(histories), (histories + 199) / 200 * 5), "{last}");
    assert!(server.terminate().success());
    let database = rusqlite::Connection::open(server.database()).unwrap();
    let count = |sql: &str| database.query_row(sql, (), |row| row.get::<_, i64>(0)).unwrap();
    assert!(count("SELECT count(*) FROM room_snapshots") > histories / 2, "rooms were compacted meanwhile");
    assert_eq!(count("SELECT count(*) FROM rooms WHERE quarantine IS NOT NULL"), 0, "and none was damaged");
}
