//! `inkring room`, against a server that runs and a database that none has open, and what becomes of a room that is damaged.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::docs::blocks;
use crate::ops::Operated;
use crate::repository::read;
use crate::support::yjs::{Peer, body, sync, typed};
use crate::support::{Server, besides_settings, inkring};

/// A name with all that has to be spelt otherwise in a URL.
const NAME: &str = "уроки/a b/100%?";
/// The same in one.
const PATH: &str = "/rooms/%D1%83%D1%80%D0%BE%D0%BA%D0%B8/a%20b/100%25%3F";

/// How a verb ended and what it wrote.
struct Ran {
    code: i32,
    stdout: Vec<u8>,
    stderr: String,
}

impl Ran {
    fn of(Output { status, stdout, stderr }: Output) -> Self {
        Self { code: status.code().unwrap(), stdout, stderr: besides_settings(stderr) }
    }

    /// What it says, after it has done what was asked.
    #[track_caller]
    fn said(self) -> String {
        assert_eq!((self.code, &*self.stderr), (0, ""));
        String::from_utf8(self.stdout).unwrap()
    }

    #[track_caller]
    fn fails(self, code: i32, why: &str) {
        assert_eq!(self.code, code, "{}", self.stderr);
        assert!(self.stderr.contains(why), "{why}: {}", self.stderr);
    }
}

/// Where verbs are run: beside a server, or where one was.
struct Place<'a> {
    directory: &'a Path,
    settings: Vec<(&'static str, String)>,
}

impl<'a> Place<'a> {
    fn served(operated: &'a Operated) -> Self {
        let directory = operated.server.directory.path();
        Self { directory, settings: vec![("OPS_ADDR", operated.plane.to_string())] }
    }

    fn stopped(server: &'a Server) -> Self {
        Self { directory: server.directory.path(), settings: Vec::new() }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = inkring(self.directory);
        command.arg("room").args(arguments).envs(self.settings.iter().map(|(name, value)| (*name, value)));
        Ran::of(command.output().unwrap())
    }

    #[track_caller]
    fn listed(&self) -> Value {
        serde_json::from_str(&self.run(&["list", "--format", "json"]).said()).unwrap()
    }

    /// Puts rooms in, lists them, takes them out and deletes them; there are none before.
    #[track_caller]
    fn takes_a_room_through_its_life(&self, sockets: usize) {
        let file = |name: &str| self.directory.join(name).display().to_string();
        let (first, second, gap) = (typed(5, 0, "Hi"), typed(5, 2, "!"), typed(5, 9, "?"));
        for (name, bytes) in [("first", &first[..]), ("second", &second), ("gap", &gap), ("none", b"rubbish")] {
            fs::write(file(name), bytes).unwrap();
        }
        assert_eq!(
            self.run(&["import", NAME, &file("first")]).said(),
            format!(
                "{NAME}\n  merged         {} bytes: 1 structs of 1 clients, 0 ranges of deletions\n  newest update  1\n",
                first.len()
            )
        );
        self.run(&["import", NAME, &file("gap")]).fails(1, "builds on something that the room does not have");
        self.run(&["import", NAME, &file("none")]).fails(1, "is not a Yjs update");
        self.run(&["import", NAME, &file("absent")]).fails(1, "No such file");
        assert!(self.run(&["import", NAME, &file("second")]).said().contains("newest update  2"));
        assert!(self.run(&["import", NAME, &file("second")]).said().contains("newest update  2"), "nothing new");
        self.run(&["import", "b", &file("first")]).said();

        let listed = self.listed();
        let rooms = listed["rooms"].as_array().unwrap();
        assert_eq!(rooms.iter().map(|room| &room["name"]).collect::<Vec<_>>(), ["b", NAME]);
        assert_eq!((&rooms[1]["sockets"], &rooms[1]["quarantine"]), (&json!(sockets), &Value::Null));
        let table = self.run(&["list"]).said();
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines.len() == 3 && lines[0].starts_with("NAME") && lines[2].starts_with(NAME), "{table}");

        let out = self.run(&["export", NAME]);
        assert_eq!((out.code, &*out.stderr), (0, ""));
        let whole = out.stdout;
        assert!(whole.windows(2).any(|two| two == b"Hi") && whole.contains(&b'!'), "{whole:?}");
        let said = self.run(&["export", NAME, &file("out")]).said();
        assert!(said.starts_with(&file("out")) && said.contains(&format!("bytes          {}", whole.len())), "{said}");
        assert_eq!(fs::read(file("out")).unwrap(), whole);
        self.run(&["export", "b", &file("out")]).fails(1, "already exists");
        assert_eq!(fs::read(file("out")).unwrap(), whole, "it is left as it was");
        assert!(self.run(&["verify"]).said().starts_with("all rooms are intact\n  rooms          2\n"));

        let asks = format!("pass --yes to delete the room {NAME} of ");
        self.run(&["delete", NAME]).fails(2, &asks);
        assert_eq!(self.listed()["rooms"].as_array().unwrap().len(), 2, "it is still there");
        let said = self.run(&["delete", NAME, "--yes"]).said();
        assert!(said.starts_with(&format!("{NAME} is deleted\n  bytes          ")), "{said}");
        assert!(said.contains("  created  ") && said.contains("  last used  "), "{said}");
        for absent in [&["delete", NAME][..], &["delete", NAME, "--yes"], &["export", NAME], &["verify", NAME]] {
            self.run(absent).fails(1, &format!("there is no room {NAME}"));
        }
        self.run(&["export", ""]).fails(2, "Room ID required");
        assert_eq!(self.listed()["rooms"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn a_server_that_runs_is_asked_and_who_is_in_the_room_sees_it() {
    let operated = Operated::with(&[("AUDIT_ENABLED", "true")]);
    let mut peer = Peer::enter(&operated.server, PATH);
    Place::served(&operated).takes_a_room_through_its_life(1);
    assert_eq!(peer.binary(), sync(2, &typed(5, 0, "Hi")));
    assert_eq!(peer.binary(), sync(2, &typed(5, 2, "!")));
    peer.socket.assert_closed(4404, "The room was deleted");

    let unplaced = Place::stopped(&operated.server);
    unplaced.run(&["list"]).fails(1, "its private plane");
    let mut elsewhere = Place::served(&operated);
    let other = Operated::with(&[]);
    elsewhere.settings = vec![("OPS_ADDR", other.plane.to_string())];
    elsewhere.run(&["delete", "b", "--yes"]).fails(1, "set OPS_ADDR to that of the server that has it");
}

#[test]
fn without_a_server_the_database_itself_is_read_and_changed() {
    let mut server = Server::with(&[("AUDIT_ENABLED", "true")]);
    assert!(server.terminate().success());
    let mut place = Place::stopped(&server);
    place.settings.push(("AUDIT_ENABLED", "true".to_owned()));
    place.takes_a_room_through_its_life(0);
    place.settings.push(("ROOMS_MAX_DOCUMENT_BYTES", "1024".to_owned()));
    let large = server.directory.path().join("large").display().to_string();
    fs::write(&large, typed(7, 0, &"x".repeat(2000))).unwrap();
    place.run(&["import", "b", &large]).fails(1, "larger than ROOMS_MAX_DOCUMENT_BYTES=1024");
    let deleted = inkring(server.directory.path()).args(["audit", "export"]).output().unwrap();
    assert!(String::from_utf8(deleted.stdout).unwrap().contains("room.deleted"));

    server.launch();
    assert_eq!(Peer::open(&server, "/rooms/b", &[]).1.binary(), [0, 0, 3, 1, 5, 2], "what was put in is served");
    assert_eq!(Peer::open(&server, PATH, &[]).1.binary(), [0, 0, 1, 0], "what was deleted is not");

    let nowhere = tempfile::tempdir().unwrap();
    let place = Place { directory: nowhere.path(), settings: Vec::new() };
    for asked in [&["list"][..], &["export", "b"], &["import", "b", &large], &["delete", "b"], &["verify"]] {
        place.run(asked).fails(1, "; set DATABASE_URL to where it is");
    }
    let made = fs::read_dir(nowhere.path()).unwrap().count();
    assert_eq!(made, 0, "asking makes nothing");
}

#[test]
fn a_damaged_room_is_read_up_to_the_damage_and_changed_by_nobody() {
    // On a socket the plane is in the same place after the next start.
    let settings = [("METRICS_PUBLIC", "true"), ("OPS_ADDR", "unix:ops.sock")];
    let mut operated = Operated::of(Server::with(&settings));
    let mut peer = Peer::enter(&operated.server, "/rooms/hurt");
    for (clock, letter) in ["a", "b", "c"].iter().enumerate() {
        peer.change(&typed(5, clock as u64, letter));
    }
    Peer::enter(&operated.server, "/rooms/well").change(&typed(6, 0, "x"));
    // At the stop nothing is compacted, so each update is a row.
    assert!(operated.server.terminate().success());
    {
        let database = rusqlite::Connection::open(operated.server.database()).unwrap();
        let damage = "UPDATE room_updates SET bytes = x'0101' WHERE seq = 2 AND room = (SELECT id FROM rooms WHERE name = 'hurt')";
        assert_eq!(database.execute(damage, []).unwrap(), 1);
    }
    let why = "update 2: ";
    let place = Place::stopped(&operated.server);
    let found = place.run(&["verify"]);
    let text = String::from_utf8(found.stdout.clone()).unwrap();
    assert!(text.starts_with("SOME ROOMS ARE DAMAGED\n  rooms          2\n  damaged        1\n"), "{text}");
    found.fails(3, &format!("hurt: {why}"));
    place.run(&["verify", "hurt"]).fails(3, why);
    place.run(&["verify", "well"]).said();
    let export = place.run(&["export", "hurt"]);
    assert_eq!((export.code, &export.stdout), (0, &typed(5, 0, "a")));
    let warned = format!("inkring: the room hurt is damaged ({why}");
    assert!(export.stderr.contains(&warned) && export.stderr.contains("only what is before that"), "{}", export.stderr);

    operated.server.launch();
    let operated = Operated::of(operated.server);
    let (server, place) = (&operated.server, Place::served(&operated));
    let exported_with_a_warning = || {
        let export = place.run(&["export", "hurt"]);
        assert_eq!((export.code, &export.stdout), (0, &typed(5, 0, "a")));
        assert!(export.stderr.contains(&warned), "{}", export.stderr);
    };
    exported_with_a_warning();
    let mut peer = Peer::open(server, "/rooms/hurt", &[]).1;
    assert_eq!(peer.binary(), [0, 0, 3, 1, 5, 1], "it is read up to the damage");
    exported_with_a_warning();
    peer.send(&sync(0, &[0]));
    let told = std::iter::repeat_with(|| peer.binary()).find(|frame| frame.starts_with(&[0, 1])).unwrap();
    assert_eq!(body(&told), typed(5, 0, "a"));
    let line = server.wait_for_log(|line| line["message"] == "room.quarantined");
    assert_eq!(line["room"], "hurt");
    assert!(line["reason"].as_str().unwrap().starts_with(why), "{line}");
    server.get("/readyz").expect(200);
    let metrics = server.get("/metrics").text().to_owned();
    assert!(metrics.lines().any(|line| line.ends_with("inkring_rooms_quarantined 1")), "{metrics}");
    let file = server.directory.path().join("more").display().to_string();
    fs::write(&file, typed(8, 0, "more")).unwrap();
    place.run(&["import", "hurt", &file]).fails(1, why);
    place.run(&["verify"]).fails(3, &format!("hurt: {why}"));
    Peer::enter(server, "/rooms/well").change(&typed(9, 0, "y"));
    let listed = place.listed();
    assert!(listed["rooms"][0]["quarantine"].as_str().unwrap().starts_with(why), "{listed}");
    // What is written goes nowhere, and the writer is told why.
    peer.send_update(&typed(7, 0, "no"));
    let denied = peer.binary();
    assert_eq!(denied[..2], [2, 0]);
    assert!(String::from_utf8_lossy(&denied).contains(why), "{denied:?}");
}

/// As root carries it out on the installed server, which has an operator's token: in a shell that goes on when something fails.
#[test]
fn the_runbook_brings_damaged_rooms_back_and_deletes_none_that_was_not_saved() {
    let secret = ("OPS_TOKEN", "a token of more than sixteen bytes");
    let mut operated = Operated::of(Server::with(&[("OPS_ADDR", "unix:ops.sock"), secret]));
    for (client, room) in [(5, "hurt"), (6, "other")] {
        let mut peer = Peer::enter(&operated.server, &format!("/rooms/{room}"));
        for (clock, letter) in ["a", "b", "c"].iter().enumerate() {
            peer.change(&typed(client, clock as u64, letter));
        }
    }
    assert!(operated.server.terminate().success());
    let mut place = Place::stopped(&operated.server);
    let whole = ["hurt", "other"].map(|room| place.run(&["export", room]).stdout);
    let backed_up = |to| {
        let made = inkring(place.directory).args(["backup", "--to", to]).output().unwrap();
        Ran::of(made).said().lines().next().unwrap().to_owned()
    };
    let backup = backed_up("backups");
    {
        let database = rusqlite::Connection::open(operated.server.database()).unwrap();
        assert_eq!(database.execute("UPDATE room_updates SET bytes = x'0101' WHERE seq = 2", []).unwrap(), 2);
    }
    let late = backed_up("late");
    operated.server.launch();
    let operated = Operated::of(operated.server);
    let _peers = ["hurt", "other"].map(|room| Peer::open(&operated.server, &format!("/rooms/{room}"), &[]).1);
    for room in ["hurt", "other"] {
        operated.server.wait_for_log(|line| line["message"] == "room.quarantined" && line["room"] == room);
    }

    let page = read("docs/OPERATIONS.md");
    let (_, entry) = page.split_once("\n### Rooms quarantined\n").unwrap();
    assert!(entry.split("\n###").next().unwrap().contains("`inkring room verify` names it"));
    place = Place::served(&operated);
    place.settings.push((secret.0, secret.1.to_owned()));
    place.run(&["verify"]).fails(3, "hurt: update 2: ");
    let block = blocks(entry).into_iter().find(|block| block.language == "sh").unwrap();
    let beside = Path::new(env!("CARGO_BIN_EXE_inkring")).parent().unwrap();
    let carry_out = |room: &str, directory: &str, backup: &str| {
        let script = block.text.replace("NAME", room).replace("rescue", directory);
        let script = script.replace("/var/lib/inkring/backups/inkring-20261121T160000Z.db", backup);
        assert!(script.contains(&format!(" {backup} ")), "{script}");
        let ran = Command::new("/bin/sh")
            .args(["-c", &script])
            .current_dir(place.directory)
            .env_clear()
            .envs(place.settings.iter().map(|(name, value)| (*name, value)))
            .env("PATH", format!("{}:/usr/bin:/bin", beside.display()))
            .output()
            .unwrap();
        (ran.status.success(), String::from_utf8(ran.stderr).unwrap())
    };
    let quarantined =
        || place.listed()["rooms"].as_array().unwrap().iter().filter(|room| !room["quarantine"].is_null()).count();
    let (is_done, said) = carry_out("hurt", "mistyped", "backups/none.db");
    assert!(!is_done && quarantined() == 2, "nothing is deleted that was not saved: {said}");
    let (is_done, said) = carry_out("hurt", "too-late", &late);
    assert!(!is_done && quarantined() == 2, "a backup with the same damage is not good enough: {said}");
    let (is_done, said) = carry_out("hurt", "rescue", &backup);
    assert!(is_done, "{said}");
    assert_eq!(fs::read(place.directory.join("rescue/room.update")).unwrap(), typed(5, 0, "a"));
    let (is_done, said) = carry_out("other", "rescue", &backup);
    assert!(!is_done && quarantined() == 1, "one room's files are not taken for another's: {said}");
    let (is_done, said) = carry_out("other", "rescue-other", &backup);
    assert!(is_done && quarantined() == 0, "{said}");
    place.run(&["verify"]).said();
    assert_eq!(["hurt", "other"].map(|room| place.run(&["export", room]).stdout), whole);
    Peer::enter(&operated.server, "/rooms/hurt").change(&typed(7, 0, "d"));
}

#[test]
fn a_backup_counts_rooms_and_a_restore_names_those_that_it_lacks() {
    let mut server = Server::start();
    Peer::enter(&server, "/rooms/old").change(&typed(5, 0, "Hi"));
    assert!(server.terminate().success());
    let verb = |arguments: &[&str]| Ran::of(inkring(server.directory.path()).args(arguments).output().unwrap()).said();
    let made = verb(&["backup", "--to", "backups"]);
    assert!(made.contains("  rooms          1\n"), "{made}");
    let backup = made.lines().next().unwrap();
    let checked = verb(&["verify", backup]);
    assert!(checked.contains("  rooms          1\n"), "{checked}");
    let place = Place::stopped(&server);
    let file = server.directory.path().join("more").display().to_string();
    fs::write(&file, typed(8, 0, "more")).unwrap();
    place.run(&["import", "old", &file]).said();
    place.run(&["import", NAME, &file]).said();
    let newer = verb(&["restore", backup, "--check"]);
    assert!(newer.contains("rooms that were newer in the old one: 2"), "{newer}");
    assert!(
        newer.contains("old  2 updates, 1 in the backup") && newer.contains("1 updates, not in the backup"),
        "{newer}"
    );
}
