//! `inkring doctor`: green where all is well, and of each fault one line that is not.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use inkring::clock::Clock;
use serde_json::{Value, json};

use crate::support::{Server, besides_settings, inkring, shelled};

/// A good configuration for production.
const GOOD: [(&str, &str); 8] = [
    ("ENV", "production"),
    ("CONFIG_STRICT", "true"),
    ("JWT_SECRET", "7a1f0c5de2b94838b6a0d7c4e19f5a33"),
    ("ALLOWED_ORIGINS", "https://app.example"),
    ("WS_ALLOWED_ORIGINS", "https://app.example"),
    ("DRAFTS_PUBLIC_READ", "false"),
    ("BACKUP_DIR", "backups"),
    ("HOUSEHOLD_PASSWORD", "a heron in the evening mist"),
];

/// Checks that depend on the machine that runs this.
const OF_THE_MACHINE: [&str; 7] = ["disk", "file_system", "fsync", "memory", "clock", "unit", "timezone"];

/// A directory like the one of a server that was set up well, with the server running.
fn good() -> Server {
    let server = Server::with(&GOOD);
    let backups = server.directory.path().join("backups");
    std::fs::create_dir(&backups).unwrap();
    std::fs::set_permissions(&backups, PermissionsExt::from_mode(0o700)).unwrap();
    back_up(&server, &now());
    server
}

fn now() -> String {
    Clock::system().now().offset_style().to_string()
}

/// Leaves a manifest as a backup does.
fn back_up(server: &Server, at: &str) {
    let manifest = json!({
        "name": "inkring-20260101T000000Z.db", "created_at": at, "inkring": "0.1.0", "schema_version": 2, "bytes": 4096,
        "sha256": "00", "rows": {}, "newest_change": null,
    });
    let backup = server.directory.path().join("backups/inkring-20260101T000000Z.db");
    std::fs::write(&backup, [0; 4096]).unwrap();
    std::fs::write(backup.with_extension("db.json"), manifest.to_string()).unwrap();
}

/// The doctor of this server, with settings of its own besides.
fn command(server: &Server, settings: &[(&str, &str)]) -> Command {
    let mut command = inkring(server.directory.path());
    command.args(["doctor", "--json"]).envs(GOOD).env("LISTEN_ADDR", server.address.to_string());
    command.envs(settings.iter().copied());
    command
}

/// Its exit code, and what it found.
fn run(command: &mut Command) -> (i32, Vec<Value>) {
    let output = command.output().unwrap();
    assert_eq!(besides_settings(output.stderr), "");
    let Value::Array(findings) = serde_json::from_slice(&output.stdout).unwrap() else { panic!() };
    for finding in &findings {
        let members: Vec<&String> = finding.as_object().unwrap().keys().collect();
        assert_eq!(members, ["check", "state", "found", "remedy"]);
        assert_eq!(finding["state"] == "green", finding["remedy"].is_null(), "{finding}");
    }
    (output.status.code().unwrap(), findings)
}

/// Holds it to one fault, that of this check, and returns what is said of it. The exit code tells red from yellow.
#[track_caller]
fn seeded(command: &mut Command, check: &str, state: &str) -> String {
    let (code, findings) = run(command);
    let of_the_machine = |finding: &Value| OF_THE_MACHINE.iter().any(|check| finding["check"] == *check);
    let wrong: Vec<&Value> =
        findings.iter().filter(|finding| finding["state"] != "green" && !of_the_machine(finding)).collect();
    let [one] = wrong[..] else { panic!("{check} alone should be {state}: {findings:#?}") };
    assert_eq!((&one["check"], &one["state"]), (&json!(check), &json!(state)), "{one}");
    assert_eq!(code, if findings.iter().any(|finding| finding["state"] == "red") { 3 } else { 0 });
    one["found"].as_str().unwrap().to_owned()
}

/// Everything below a directory, with its size and mode.
fn listing(directory: &Path) -> Vec<(String, u64, u32)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() {
            found.extend(listing(&entry.path()));
        }
        found.push((entry.path().display().to_string(), metadata.len(), metadata.permissions().mode()));
    }
    found.sort();
    found
}

#[test]
fn a_good_installation_is_healthy_and_left_as_it_is() {
    let mut server = good();
    let before = listing(server.directory.path());
    let (_, findings) = run(&mut command(&server, &[]));
    for finding in &findings {
        let machine = OF_THE_MACHINE.iter().any(|check| finding["check"] == *check);
        assert!(machine || finding["state"] == "green", "{finding}");
    }
    let memory = findings.iter().find(|finding| finding["check"] == "memory").unwrap();
    assert!(memory["found"].as_str().unwrap().starts_with("together, the bounds allow "), "{memory}");
    let text = inkring(server.directory.path()).arg("doctor").envs(GOOD).output().unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(!text.contains('\x1b') && text.starts_with("green "), "no terminal, no colours: {text}");
    assert!(!text.contains("7a1f0c5d"), "no secrets");
    // Probing may have committed a row meanwhile.
    let names = |listing: &[(String, u64, u32)]| -> Vec<(String, u32)> {
        listing.iter().map(|(name, _, mode)| (name.clone(), *mode)).collect()
    };
    assert_eq!(names(&listing(server.directory.path())), names(&before));
    server.get("/readyz").expect(200);

    assert!(server.terminate().success());
    let before = listing(server.directory.path());
    assert!(seeded(&mut command(&server, &[]), "server", "yellow").contains("no server"));
    assert_eq!(listing(server.directory.path()), before);
}

#[test]
fn each_seeded_fault_is_found() {
    let mut server = good();
    let database = server.database();
    let chmod = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();

    chmod(&database, 0o644);
    assert!(seeded(&mut command(&server, &[]), "permissions", "red").contains("mode 0644"));
    chmod(&database, 0o600);
    let directory = database.parent().unwrap();
    chmod(directory, 0o755);
    assert!(seeded(&mut command(&server, &[]), "permissions", "yellow").contains("can list the files in it"));
    chmod(directory, 0o700);
    let dotenv = server.directory.path().join(".env");
    std::fs::write(&dotenv, "OPS_TOKEN=5c1e90b7d3f24a68e0947b3d2a6c81f5\n").unwrap();
    chmod(&dotenv, 0o644);
    let lenient = [("CONFIG_STRICT", "false")];
    assert!(seeded(&mut command(&server, &lenient), "configuration", "red").contains(".env has mode 0644"));
    // Where the configuration says nothing of it.
    let (_, findings) = run(&mut command(&server, &[("CONFIG_STRICT", "false"), ("ENV", "development")]));
    let told = |finding: &&Value| finding["found"].as_str().is_some_and(|found| found.contains(".env has mode 0644"));
    let told: Vec<_> = findings.iter().filter(told).map(|finding| &finding["check"]).collect();
    assert_eq!(told, ["permissions"]);
    std::fs::remove_file(&dotenv).unwrap();
    let secret = server.directory.path().join("secret");
    std::fs::write(&secret, "5c1e90b7d3f24a68e0947b3d2a6c81f5\n").unwrap();
    chmod(&secret, 0o644);
    let exposed = [("OPS_TOKEN_FILE", "secret"), ("CONFIG_STRICT", "false")];
    assert!(seeded(&mut command(&server, &exposed), "configuration", "red").contains("secret has mode 0644"));

    let guard = [("AUDIT_ENABLED", "false"), ("CONFIG_STRICT", "false")];
    assert!(seeded(&mut command(&server, &guard), "configuration", "red").contains("AUDIT_ENABLED=false"));
    let trusting = [("AUTH_TRUST_USER_HEADER", "true")];
    assert!(seeded(&mut command(&server, &trusting), "configuration", "yellow").contains("X-User-Id"));
    let public = [("DRAFTS_PUBLIC_READ", "true")];
    assert!(
        seeded(&mut command(&server, &public), "drafts", "yellow").contains("anyone who knows a draft's id can read")
    );
    let closed = ("AUTH_TRUST_USER_HEADER", "false");
    let idle = ("WS_ALLOWED_ORIGINS", "");
    let bad = [("SHARDS", "many"), ("CONFIG_STRICT", "false"), ("ENV", "development"), closed, idle];
    assert!(seeded(&mut command(&server, &bad), "configuration", "red").contains("SHARDS=many"));
    assert!(seeded(&mut command(&server, &[("SHARDS", "many")]), "configuration", "red").contains("SHARDS=many"));
    let missing = [("JWT_PUBLIC_KEY_FILE", "nowhere"), ("JWT_SECRET", "")];
    assert!(seeded(&mut command(&server, &missing), "configuration", "red").contains("nowhere"));

    back_up(&server, "2026-01-01T00:00:00Z");
    let found = seeded(&mut command(&server, &[]), "backup", "red");
    assert!(found.contains("there should be one every 24 hours"), "{found}");
    back_up(&server, "lately");
    assert!(seeded(&mut command(&server, &[]), "backup", "red").contains("the manifest is invalid: "));
    back_up(&server, &now());
    let backup = server.directory.path().join("backups/inkring-20260101T000000Z.db");
    std::fs::write(&backup, [0; 4095]).unwrap();
    assert!(seeded(&mut command(&server, &[]), "backup", "red").contains("has 4095 bytes, and its manifest says 4096"));
    std::fs::remove_file(&backup).unwrap();
    assert!(seeded(&mut command(&server, &[]), "backup", "red").contains("is missing"));
    back_up(&server, &now());
    let (_, findings) = run(&mut command(&server, &[("BACKUP_DIR", "data/inkring.db.lock")]));
    for (check, state, says) in [("configuration", "yellow", "is not a directory"), ("backup", "red", "cannot be read")]
    {
        let found = findings.iter().find(|finding| finding["check"] == check).unwrap();
        assert!(found["state"] == state && found["found"].as_str().unwrap().contains(says), "{found}");
    }
    assert!(
        seeded(&mut command(&server, &[("BACKUP_DIR", "nowhere")]), "backup", "yellow")
            .contains("no backups in nowhere")
    );
    assert!(
        seeded(&mut command(&server, &[("BACKUP_DIR", "data")]), "backup", "yellow").contains("no backups in data")
    );
    assert!(seeded(&mut command(&server, &[("BACKUP_DIR", "")]), "backup", "yellow").contains("BACKUP_DIR is not set"));

    let sql = |sql: &str| rusqlite::Connection::open(&database).unwrap().execute_batch(sql).unwrap();
    sql(
        "INSERT INTO rooms (name, creator_id, created_at, used_at, quarantine) VALUES ('hurt', 'a', 0, 0, 'update 2: short')",
    );
    let found = seeded(&mut command(&server, &[]), "rooms", "red");
    assert!(found.contains("damaged and therefore read-only: 1 of 1 rooms: hurt (update 2: short)"), "{found}");
    sql("DELETE FROM rooms");
    let listens = server.address.to_string();
    let found = seeded(&mut command(&server, &[("ROOMS_ADDR", &listens)]), "configuration", "red");
    assert!(found.contains(&format!("ROOMS_ADDR={listens} conflicts with LISTEN_ADDR={listens}")), "{found}");
    let port = server.address.port().to_string();
    let found = seeded(&mut command(&server, &[("WS_PORT", &port)]), "configuration", "red");
    assert!(found.contains(&format!("conflicts with LISTEN_ADDR={listens}")), "{found}");
    let shut = [
        ("ENV", "development"),
        ("CONFIG_STRICT", "false"),
        ("JWT_SECRET", ""),
        closed,
        ("ROOMS_REQUIRE_TOKEN", "true"),
    ];
    let (_, findings) = run(&mut command(&server, &shut));
    let rooms: Vec<&Value> = findings.iter().filter(|finding| finding["check"] == "rooms").collect();
    assert!(rooms[0]["found"].as_str().unwrap().contains("nobody can enter a room"), "{findings:#?}");

    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    assert!(seeded(&mut command(&server, &[("LISTEN_ADDR", &nobody)]), "server", "red").contains("does not answer"));
    assert!(seeded(&mut command(&server, &[("OPS_ADDR", &nobody)]), "private_plane", "red").contains(&nobody));

    server.kill();
    let dead = [("ENV", "development"), closed, idle];
    assert!(
        seeded(&mut command(&server, &dead), "server", "yellow").contains("no server"),
        "a lock ends with its process"
    );
}

#[test]
fn a_database_that_is_too_new_or_damaged_is_found() {
    let mut server = good();
    assert!(server.terminate().success());
    let database = server.database();
    let red = |check: &str| {
        let (code, findings) = run(&mut command(&server, &[]));
        assert_eq!(code, 3);
        let red: Vec<&Value> = findings.iter().filter(|one| one["state"] == "red").collect();
        let [one] = red[..] else { panic!("{findings:#?}") };
        assert_eq!(one["check"], check, "{one}");
        one["found"].as_str().unwrap().to_owned()
    };
    let connection = rusqlite::Connection::open(&database).unwrap();
    let version: i32 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    assert!(red("schema").contains("has schema version 99"));
    connection.pragma_update(None, "user_version", version).unwrap();
    drop(connection);

    let mut bytes = std::fs::read(&database).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0x5a);
    std::fs::write(&database, &bytes).unwrap();
    assert!(red("database").contains("it is damaged: "));
    std::fs::write(&database, "these are my notes, and they are longer than an SQLite header".repeat(40)).unwrap();
    assert!(red("database").contains("it is not an SQLite file"));
}

#[test]
fn a_large_database_is_not_read_in_passing() {
    let mut server = good();
    assert!(server.terminate().success());
    let file = std::fs::File::options().append(true).open(server.database()).unwrap();
    let said = |bytes| {
        file.set_len(bytes).unwrap();
        let (_, findings) = run(&mut command(&server, &[]));
        let found = findings.into_iter().find(|finding| finding["check"] == "database").unwrap();
        assert_eq!(found["state"], "green", "{found}");
        found["found"].as_str().unwrap().to_owned()
    };
    // What is behind the last page is no part of it.
    assert_eq!(said(268_435_456), "268 MB including its log, intact");
    assert_eq!(said(268_435_457), "268 MB including its log, too large to check here: every backup checks it");
}

#[test]
fn few_descriptors_are_found_those_of_the_server_before_ones_own() {
    let mut server = good();
    let low = |server: &Server| seeded(&mut shelled(&command(server, &[]), "ulimit -n 100"), "descriptors", "yellow");
    let (code, _) = run(&mut shelled(&command(&server, &[]), "ulimit -n 100"));
    assert_eq!(code, 0, "the server has enough");
    server.kill();
    std::fs::remove_dir_all(server.database().parent().unwrap()).unwrap();
    let (_, findings) = run(&mut shelled(&command(&server, &[]), "ulimit -n 100"));
    let found = findings.iter().find(|finding| finding["check"] == "descriptors").unwrap();
    assert_eq!(found["state"], "yellow", "{found}");
    assert!(found["found"].as_str().unwrap().contains("has an open-file limit of 100: "), "{found}");

    let server = Server::limited(&GOOD, 100);
    std::fs::create_dir(server.directory.path().join("backups")).unwrap();
    std::fs::set_permissions(server.directory.path().join("backups"), PermissionsExt::from_mode(0o700)).unwrap();
    back_up(&server, &now());
    assert!(low(&server).contains("the running server has an open-file limit of 100: "));
}

/// A private plane that gives this answer to whoever asks, once; returns its address, and then what was asked.
fn plane(body: Value) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let thread = std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            let mut chunk = [0; 1024];
            let count = stream.read(&mut chunk).unwrap();
            asked.extend_from_slice(&chunk[..count]);
        }
        let body = body.to_string();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8(asked).unwrap()
    });
    (address, thread)
}

#[test]
fn a_proxy_that_nobody_trusts_is_logged_once_and_found() {
    let server = good();
    for address in ["192.0.2.1", "192.0.2.2"] {
        server.connect().request("GET", "/healthz", &[("X-Forwarded-For", address)], b"").expect(200);
    }
    let line = server.wait_for_log(|line| line["message"] == "proxy.header_not_trusted");
    assert_eq!(line["peer"], "127.0.0.1");
    assert!(line["remedy"].as_str().unwrap().contains("TRUSTED_PROXIES"));
    assert_eq!(server.log().matches("proxy.header_not_trusted").count(), 1);

    let token = ("OPS_TOKEN", "5c1e90b7d3f24a68e0947b3d2a6c81f5");
    let (address, asked) = plane(json!({ "proxy_header_untrusted": "127.0.0.1" }));
    let found = seeded(&mut command(&server, &[("OPS_ADDR", &address), token]), "proxy", "red");
    assert!(found.starts_with("127.0.0.1 sends X-Forwarded-For"), "{found}");
    let asked = asked.join().unwrap();
    assert!(asked.starts_with("GET /status ") && asked.contains(&format!("Bearer {}", token.1)), "{asked}");
    let (address, _asked) = plane(json!({ "proxy_header_untrusted": null }));
    let (_, findings) = run(&mut command(&server, &[("OPS_ADDR", &address)]));
    assert!(findings.iter().any(|one| one["check"] == "proxy" && one["state"] == "green"), "{findings:#?}");
}
