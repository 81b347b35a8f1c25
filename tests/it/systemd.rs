//! What a service manager hands over, hears, and runs: sockets, notifications, the watchdog, and the units themselves. The
//! manager is played by the tests.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use inkring::config::INSTALLED;
use inkring::config::knobs::KNOBS;
use rusqlite::Connection;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::json;

use crate::faults::{limit_files, log_bytes};
use crate::listeners::ask;
use crate::repository::{files, read};
use crate::support::needs::skip;
use crate::support::process::Process;
use crate::support::{Client, PATIENCE, Server, hold_writer, inkring, shelled, wait_for};

/// What a shell does to hand its stdin over as the first listening socket.
pub const HANDS_OVER: &str = "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$";

pub fn as_stdin(socket: impl Into<OwnedFd>) -> Stdio {
    Stdio::from(socket.into())
}

/// A server that is handed this listener.
struct Activated {
    server: Server,
    listener: TcpListener,
}

impl Activated {
    fn start(settings: &[(&str, &str)], before: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut server = Server::absent(settings);
        server.before = Some(format!("{HANDS_OVER}; {before}"));
        let mut activated = Self { server, listener };
        activated.launch();
        activated
    }

    fn launch(&mut self) {
        self.server.launch_with(as_stdin(self.listener.try_clone().unwrap()));
        assert_eq!(self.server.address, self.listener.local_addr().unwrap());
    }
}

/// Hears what a server says of itself.
struct Manager {
    directory: tempfile::TempDir,
    socket: UnixDatagram,
}

impl Manager {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(directory.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { directory, socket }
    }

    fn address(&self) -> String {
        self.directory.path().join("notify").to_str().unwrap().to_owned()
    }

    fn hear(&self) -> String {
        let mut buffer = [0; 2048];
        let length = self.socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// What is said next besides that all is well.
    fn hear_news(&self) -> String {
        wait_for(|| Some(self.hear()).filter(|said| said != "WATCHDOG=1"))
    }

    /// Hears that all is well so many times, and whatever else; on a busy machine a round may come too late.
    fn hear_that_all_is_well(&self, times: usize) {
        (0..times).for_each(|_| wait_for(|| (self.hear() == "WATCHDOG=1").then_some(())));
    }

    fn hear_until(&self, said: &str) {
        wait_for(|| (self.hear() == said).then_some(()));
    }

    /// Throws away what has been said so far.
    fn forget(&self) {
        self.socket.set_nonblocking(true).unwrap();
        while self.socket.recv(&mut [0; 2048]).is_ok() {}
        self.socket.set_nonblocking(false).unwrap();
    }
}

/// Rounds of the watchdog every 200 ms.
const WATCHDOG: (&str, &str) = ("WATCHDOG_USEC", "600000");

/// A server with a watchdog, ready.
fn watched(manager: &Manager, settings: &[(&str, &str)]) -> Server {
    let address = manager.address();
    let mut all = vec![("NOTIFY_SOCKET", address.as_str()), WATCHDOG];
    all.extend(settings);
    let server = Server::with(&all);
    assert_eq!(manager.hear(), "STATUS=opening the database");
    assert_eq!(manager.hear(), format!("READY=1\nSTATUS=serving on {}", server.address));
    server
}

#[test]
fn a_manager_hears_of_the_start_that_all_is_well_and_of_the_stop() {
    let manager = Manager::new();
    let mut server = watched(&manager, &[]);
    let probed = Connection::open(server.database()).unwrap();
    let probed: i64 = probed.query_row("SELECT count(*) FROM probe", [], |row| row.get(0)).unwrap();
    assert_eq!(probed, 1, "a test write was made");
    manager.hear_that_all_is_well(3);

    // A stop may take longer than the watchdog's interval, as long as requests take to finish.
    let mut slow = server.connect();
    slow.send("GET /healthz HTTP/1.1\r\n");
    for _ in 0..8 {
        server.get("/healthz").expect(200);
    }
    server.signal("TERM");
    manager.hear_until("STOPPING=1\nSTATUS=finishing pending requests, for at most 10 s");
    manager.forget();
    manager.hear_that_all_is_well(4);
    slow.send("Host: t\r\n\r\n");
    slow.answer().expect(200);
    drop(slow);
    manager.hear_until("STATUS=closing the database");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_writer_that_hangs_is_not_vouched_for() {
    let manager = Manager::new();
    let server = watched(&manager, &[("SHARDS", "2")]);
    let held = hold_writer(&server.database());
    let news = wait_for(|| Some(manager.hear()).filter(|said| said.starts_with("STATUS=stuck: ")));
    assert!(news.contains("gives no answer") || news.contains("writer stalled"), "{news}");
    let until = Instant::now() + Duration::from_secs(1);
    manager.socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut buffer = [0; 2048];
    while Instant::now() < until {
        if let Ok(length) = manager.socket.recv(&mut buffer) {
            assert_ne!(&buffer[..length], b"WATCHDOG=1");
        }
    }
    manager.socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let line = server.wait_for_log(|line| line["message"] == "watchdog.stuck");
    assert_eq!(line["level"], "ERROR");
    drop(held);
    manager.hear_until(&format!("STATUS=serving on {}", server.address));
    manager.hear_that_all_is_well(1);
}

#[test]
fn a_disk_that_takes_no_changes_is_no_reason_for_a_restart() {
    let manager = Manager::new();
    let server = watched(&manager, &[]);
    server.create_draft("alice");
    let pid = Pid::from_raw(i32::try_from(server.pid()).unwrap());
    let log = fs::metadata(server.database().with_extension("db-wal")).unwrap().len();
    let limit = |current| prlimit(pid, Resource::Fsize, Rlimit { current, maximum: None }).unwrap();
    limit(Some(log));
    let news = wait_for(|| {
        Some(manager.hear_news()).filter(|news| news.starts_with("STATUS=not ready: database read-only: "))
    });
    assert!(news.ends_with("(no changes are accepted until the disk can be written to)"), "{news}");
    manager.forget();
    manager.hear_that_all_is_well(4);
    limit(None);
    manager.hear_until(&format!("STATUS=serving on {}", server.address));
}

#[test]
fn a_server_that_is_not_ready_is_vouched_for_while_it_makes_changes() {
    let manager = Manager::new();
    let server = watched(&manager, &[]);
    Connection::open(server.database()).unwrap().execute_batch("ALTER TABLE ring_passes RENAME TO away").unwrap();
    manager.hear_until("STATUS=stuck: missing tables: ring_passes");
    // Changes go on as far as they can.
    wait_for(|| {
        server.create_draft("alice");
        let said = manager.hear();
        (said == "STATUS=not ready: missing tables: ring_passes (changes are still being made)").then_some(())
    });
    Connection::open(server.database()).unwrap().execute_batch("ALTER TABLE away RENAME TO ring_passes").unwrap();
    manager.hear_until(&format!("STATUS=serving on {}", server.address));
}

#[test]
fn a_server_that_starts_not_ready_is_told_of_when_it_is() {
    let manager = Manager::new();
    let mut server = watched(&manager, &[]);
    // The log may grow by the one page that opening a database writes, and not by another one. It is longer than its index,
    // which is made anew.
    while log_bytes(&server) < 65_536 {
        server.create_draft("alice");
    }
    server.kill();
    // Somebody who reads keeps the start from emptying the log.
    let reader = rusqlite::Connection::open(server.database()).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM drafts").unwrap();
    let blocks_of_512_bytes = (log_bytes(&server) + 6_000) / 512;
    server.then_after(&format!("ulimit -S -f {blocks_of_512_bytes}"));
    manager.forget();
    server.launch();
    let not_ready = format!("READY=1\nSTATUS=serving on {}, but not ready: ", server.address);
    wait_for(|| manager.hear().starts_with(&not_ready).then_some(()));
    drop(reader);
    limit_files(&server, None);
    manager.hear_until(&format!("STATUS=serving on {}", server.address));
}

#[test]
fn a_reload_is_announced_and_leaves_the_status_as_it_is() {
    let manager = Manager::new();
    let server = watched(&manager, &[]);
    server.signal("HUP");
    wait_for(|| manager.hear().starts_with("RELOADING=1\nMONOTONIC_USEC=").then_some(()));
    manager.hear_until("READY=1");
}

#[test]
fn a_full_house_is_no_dead_one() {
    let manager = Manager::new();
    let server = watched(&manager, &[("MAX_CONNECTIONS", "1"), ("SHARDS", "2")]);
    let mut guest = wait_for(|| {
        let mut client = server.connect();
        client.send("GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n");
        client.try_answer(false).filter(|answer| answer.status == 200).map(|_| client)
    });
    assert_eq!(server.connect().try_answer(false).map(|answer| answer.status), Some(503));
    manager.forget();
    manager.hear_that_all_is_well(4);
    guest.get("/healthz", None).expect(200);
}

#[test]
fn nobody_is_refused_or_lost_while_a_server_that_was_handed_its_listener_is_restarted_under_load() {
    const RESTARTS: usize = 3;
    const BETWEEN: usize = 100;
    let mut activated = Activated::start(&[("LISTEN_ADDR", "127.0.0.1:1")], "true");
    let line = activated.server.wait_for_log(|line| line["message"] == "socket.inherited");
    assert_eq!((&line["name"], &line["instead_of"]), (&json!("http"), &json!("127.0.0.1:1")), "{line}");
    let (address, enough, made) = (activated.server.address, AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for client in 0..4 {
            let (enough, made) = (&enough, &made);
            scope.spawn(move || {
                let draft = json!({ "title": "A draft", "platform": "x" });
                while !enough.load(Ordering::Relaxed) {
                    // Each on a connection of its own: connecting must work, and so must the one request.
                    let answer =
                        Client::connect(address).post("/v1/collab/drafts", Some(&format!("u{client}")), &draft);
                    answer.expect(200);
                    made.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let more = || {
            let before = made.load(Ordering::Relaxed);
            wait_for(|| (made.load(Ordering::Relaxed) >= before + BETWEEN).then_some(()));
        };
        // A client that fails must not leave the others running for ever.
        let restarts = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..RESTARTS {
                more();
                assert_eq!(activated.server.terminate().code(), Some(0));
                activated.launch();
            }
            more();
        }));
        enough.store(true, Ordering::Relaxed);
        restarts.unwrap();
    });
    let stored = Connection::open(activated.server.database()).unwrap();
    let stored: i64 = stored.query_row("SELECT count(*) FROM drafts", [], |row| row.get(0)).unwrap();
    assert_eq!(usize::try_from(stored), Ok(made.into_inner()));
}

/// Without any network of its own, as with `PrivateNetwork=yes`.
#[test]
fn a_server_without_network_serves_on_the_listener_it_was_handed_and_is_vouched_for() {
    // Inside a user namespace, where that is allowed, nobody needs to be root.
    let alone = "unshare --map-root-user --net";
    if !Command::new("/bin/sh").args(["-c", &format!("{alone} true")]).output().unwrap().status.success() {
        return skip("network namespaces (unshare --map-root-user --net)");
    }
    let manager = Manager::new();
    let address = manager.address();
    let settings = [("NOTIFY_SOCKET", address.as_str()), WATCHDOG, ("PATH", "/usr/bin:/bin")];
    let activated = Activated::start(&settings, &format!("exec {alone} \"$0\" \"$@\""));
    assert_eq!(manager.hear(), "STATUS=opening the database");
    assert_eq!(manager.hear(), format!("READY=1\nSTATUS=serving on {}", activated.server.address));
    manager.hear_that_all_is_well(3);
    activated.server.create_draft("alice");
}

#[test]
fn sockets_without_a_use_stop_the_start_with_a_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let said = |stdin: Stdio, before: &str| {
        let mut command = shelled(&inkring(directory.path()), &format!("{HANDS_OVER}; {before}"));
        let output = command.stdin(stdin).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let tcp = || as_stdin(listener.try_clone().unwrap());
    let datagram = || as_stdin(UnixDatagram::bind(directory.path().join("s")).unwrap());
    let twice = "exec 4<&3; export LISTEN_FDS=2 LISTEN_FDNAMES=http:http";
    for (stdin, before, says) in [
        (
            tcp(),
            "export LISTEN_FDNAMES=web",
            "a socket named \"web\" was handed over; the names are http, ops and redirect, and",
        ),
        (tcp(), twice, "two sockets named http were handed over"),
        (datagram(), "true", "the socket named http that was handed over is not a TCP or Unix stream socket"),
        (Stdio::null(), "true", "the socket named http that was handed over is not a TCP or Unix stream socket"),
        (as_stdin(TcpStream::connect(listener.local_addr().unwrap()).unwrap()), "true", "Accept=no"),
        (tcp(), "export LISTEN_FDNAMES=redirect", "redirects to TLS, and TLS is not set up: set TLS_CERT_FILE"),
        (Stdio::null(), "export LISTEN_FDNAMES=ops", "the socket named ops that was handed over is not a TCP or Unix"),
    ] {
        let stderr = said(stdin, before);
        assert!(stderr.contains(says), "{before}: {stderr}");
    }
}

#[test]
fn the_public_door_may_be_a_unix_socket_that_is_handed_over_and_stays_behind() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("http");
    let listener = UnixListener::bind(&path).unwrap();
    let server = Server::absent(&[("LISTEN_ADDR", "127.0.0.1:1")]);
    for _ in 0..2 {
        let mut command = shelled(&server.command(), HANDS_OVER);
        command.stdin(as_stdin(listener.try_clone().unwrap())).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Process::spawn(&mut command).unwrap();
        // Nobody has to wait until it is up: the socket is there.
        let said = ask(&path, "GET /readyz HTTP/1.1\r\n");
        assert!(said.starts_with("HTTP/1.1 200 OK\r\n"), "{said}");
        let pid = Pid::from_raw(i32::try_from(process.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert_eq!(process.wait(PATIENCE).unwrap().and_then(|status| status.code()), Some(0));
        assert!(path.exists(), "it is not ours to remove");
    }
}

#[test]
fn a_socket_that_others_can_reach_is_held_to_the_rule_of_an_address() {
    let open = || TcpListener::bind("0.0.0.0:0").unwrap();
    let server = Server::absent(&[]);
    let mut command = shelled(&server.command(), HANDS_OVER);
    let output = command.stdin(as_stdin(open())).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]), "{said}");
    assert!(said.contains("the X-User-Id header is trusted on the address 0.0.0.0, which other machines"), "{said}");

    let mut meant = Server::absent(&[("AUTH_TRUST_USER_HEADER", "true")]);
    meant.before = Some(HANDS_OVER.to_owned());
    meant.launch_with(as_stdin(open()));
    let sentence = "AUTH_TRUST_USER_HEADER=true on the address 0.0.0.0 without TRUSTED_PROXIES: anyone who reaches it may \
                    claim any name";
    meant.wait_for_log(|line| line["message"] == sentence);
}

#[test]
fn what_was_handed_to_another_process_is_not_touched() {
    let mut server = Server::absent(&[]);
    server.before = Some(format!("{HANDS_OVER}; LISTEN_PID=1; WATCHDOG_USEC=300000; WATCHDOG_PID=1"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    server.launch_with(as_stdin(listener.try_clone().unwrap()));
    assert_ne!(server.address, listener.local_addr().unwrap());
    server.get("/healthz").expect(200);
}

/// Copies the units, for a program that exists, and with the drop-in if they are to be activated by sockets.
fn install(activated: bool) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for path in files("systemd").iter().filter(|path| activated || !path.ends_with(".conf")) {
        let to = directory.path().join(path.strip_prefix("systemd/").unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, read(path).replace("/usr/local/bin/inkring", env!("CARGO_BIN_EXE_inkring"))).unwrap();
    }
    directory
}

fn analyze(directory: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("systemd-analyze").current_dir(directory).args(arguments).output().ok()?;
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success(), "systemd-analyze {arguments:?}: {text}");
    Some(text)
}

#[test]
fn the_units_are_without_fault_and_closed() {
    let units: Vec<String> = files("systemd").into_iter().filter(|path| !path.ends_with(".conf")).collect();
    let names: Vec<String> = units.iter().map(|path| path.replace("systemd/", "./")).collect();
    assert_eq!(names.len(), 6, "{names:?}");
    for (activated, threshold) in [(false, "15"), (true, "8")] {
        let directory = install(activated);
        let verify: Vec<&str> = ["verify", "--man=no"].into_iter().chain(names.iter().map(String::as_str)).collect();
        let Some(said) = analyze(directory.path(), &verify) else {
            return skip("systemd-analyze");
        };
        assert_eq!(said, "", "it warns");
        let threshold = format!("--threshold={threshold}");
        analyze(directory.path(), &["security", "--offline=true", "--no-pager", &threshold, "./inkring.service"]);
        let backup = ["security", "--offline=true", "--no-pager", "--threshold=15", "./inkring-backup.service"];
        analyze(directory.path(), &backup);
    }
}

#[test]
fn the_units_name_what_there_is() {
    let knob = |name: &str| KNOBS.iter().find(|knob| knob.name == name).unwrap();
    let drop_in = read("systemd/inkring.service.d/activated.conf");
    for (socket, name, setting) in [("inkring", "http", "LISTEN_ADDR"), ("inkring-ops", "ops", "OPS_ADDR")] {
        let unit = read(&format!("systemd/{socket}.socket"));
        let address = format!("ListenStream={}", knob(setting).default);
        for line in [format!("FileDescriptorName={name}"), address, "Service=inkring.service".to_owned()] {
            assert!(unit.lines().any(|known| known == line), "{socket}.socket: {line}");
        }
        for list in ["Requires=", "After=", "Sockets="] {
            let mut lines = drop_in.lines().filter_map(|line| line.strip_prefix(list));
            assert!(lines.any(|units| units.split(' ').any(|unit| unit == format!("{socket}.socket"))), "{list}");
        }
    }
    for unit in ["inkring.service", "inkring-backup.service"] {
        for line in read(&format!("systemd/{unit}")).lines().filter_map(|line| line.strip_prefix("LoadCredential=")) {
            let (credential, file) = line.split_once(':').unwrap();
            if credential == "inkring.env" {
                assert_eq!(file, INSTALLED);
                continue;
            }
            assert!(knob(&credential.to_uppercase()).secret, "{unit}: {credential}");
            assert_eq!(file, format!("inkring.{credential}"));
        }
    }
}
