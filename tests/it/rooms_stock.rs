//! Rooms as the clients that people have meet them: stock y-websocket providers of three lines, on the sockets of Node programs
//! and on those with a browser's rules, and the client of the original (contract 03 §1.6, §2.4, §3.3, §9).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::repository::root;
use crate::support::Server;
use crate::support::needs::{program, skip};

const VERSIONS: [&str; 3] = ["1.5.4", "2.1.0", "3.1.0"];

/// Where the clients are installed, if they are.
#[track_caller]
pub fn clients() -> Option<PathBuf> {
    let clients = root().join("target/clients");
    let is_there = program(&["node"]).is_some() && clients.join("node_modules/y-websocket-3").is_dir();
    if !is_there {
        skip("node and y-websocket, as .ci/run installs it");
    }
    is_there.then_some(clients)
}

/// What the clients of a scenario of `tests/clients/rooms.mjs` have seen; it went through to its end.
#[track_caller]
fn play(clients: &Path, scenario: &str, address: SocketAddr) -> Vec<Value> {
    let output = Command::new("node")
        .arg(root().join("tests/clients/rooms.mjs"))
        .arg(clients)
        .args([scenario, &address.to_string()])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    let mut seen: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(seen.pop(), Some(json!({ "done": true })), "{stderr}");
    seen
}

#[test]
fn stock_providers_edit_together_and_see_each_other() {
    let Some(clients) = clients() else { return };
    let server = Server::with(&[("ROOMS_AWARENESS_GRACE_SECONDS", "0")]);
    let seen = play(&clients, "sync", server.address);
    let pairs: Vec<(&str, &str)> =
        VERSIONS.into_iter().flat_map(|version| [(version, "ws"), (version, "undici")]).collect();
    assert_eq!(seen.len(), pairs.len(), "nobody was warned of anything: {seen:?}");
    for (seen, (version, kind)) in seen.iter().zip(pairs) {
        assert_eq!((&seen["version"], &seen["kind"]), (&json!(version), &json!(kind)));
        assert!(seen["ms"].as_f64().unwrap() < 1000.0, "{seen}");
        for client in seen["seen"].as_array().unwrap() {
            assert_eq!((&client["sockets"], &client["texts"]), (&json!(1), &json!(0)), "{seen}");
        }
    }
}

#[test]
fn a_stock_provider_that_shows_nobody_anything_is_kept_alive() {
    let Some(clients) = clients() else { return };
    let server = Server::start();
    let seen = play(&clients, "silent", server.address);
    assert_eq!(seen.len(), 6, "{seen:?}");
    for client in seen {
        assert_eq!(
            (&client["sockets"], &client["texts"], &client["keepAlives"]),
            (&json!(1), &json!(0), &json!(2)),
            "{client}"
        );
    }
}

#[test]
fn a_provider_and_a_json_client_share_a_room_and_each_hears_its_own() {
    let Some(clients) = clients() else { return };
    let server = Server::start();
    let seen = play(&clients, "mixed", server.address);
    let texts = json!({ "texts": ["init", "custom", "peer-disconnected"], "binaries": [0, 0] });
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert_eq!(seen[0], texts);
    assert_eq!((&seen[1]["provider"]["texts"], &seen[1]["provider"]["sockets"]), (&json!(0), &json!(1)));
}

#[test]
fn stock_providers_with_a_bad_token_make_no_storm() {
    let Some(clients) = clients() else { return };
    let server = Server::with(&[("JWT_SECRET", "a key of at least thirty-two bytes")]);
    let seen = play(&clients, "refused", server.address);
    let (warned, seen): (Vec<Value>, Vec<Value>) = seen.into_iter().partition(|seen| seen.get("warned").is_some());
    assert_eq!(warned.len(), VERSIONS.len(), "each is told why, once: {warned:?}");
    assert!(warned.iter().all(|warned| warned["warned"].as_str().unwrap().contains("Invalid token")), "{warned:?}");
    for (seen, version) in seen.iter().zip(VERSIONS) {
        assert_eq!((&seen["version"], &seen["opened"]), (&json!(version), &json!(1)), "{seen}");
        if version == "3.1.0" {
            // It is told for good.
            assert_eq!((&seen["sockets"], &seen["closed"], &seen["goesOn"]), (&json!(1), &json!(4401), &json!(false)));
        } else {
            // These wait 0.1, 0.2, 0.4 and 0.8 s, and twice as long each time up to 2.5 s.
            assert_eq!(seen["sockets"], 5, "{seen}");
            assert!(seen["ms"].as_f64().unwrap() > 1400.0, "{seen}");
        }
    }
}

#[test]
fn the_test_client_of_the_original_goes_through_its_steps() {
    let Some(clients) = clients() else { return };
    let server = Server::with(&[("ROOMS_ADDR", "127.0.0.1:0")]);
    let line = server.wait_for_log(|line| line["message"] == "server.door_opened");
    let seen = play(&clients, "original", line["address"].as_str().unwrap().parse().unwrap());
    let id = seen[1]["init"]["connectionId"].as_str().unwrap();
    assert!(id.starts_with("test-room-"), "{id}");
    let wanted = [
        json!({ "health": "healthy" }),
        json!({ "init": { "type": "init", "connectionId": id, "peers": [] } }),
        json!({ "awareness": { "type": "awareness", "clientId": id, "data": { "cursor": { "x": 1, "y": 2 } } } }),
        json!({ "custom": { "type": "custom", "from": id, "data": { "hello": "world" } } }),
        json!({ "signal": { "type": "webrtc-signal", "from": id, "signal": { "type": "offer", "sdp": "sdp" } } }),
        json!({ "code": 1000 }),
        json!({ "again": 1 }),
    ];
    assert_eq!(seen, wanted);
}
