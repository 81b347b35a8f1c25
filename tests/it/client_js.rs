//! The client in docs/clients: its own tests, and the programs of its page as they are printed there, against a server
//! that is killed and restarted under them. What this machine lacks, Node or a browser, is skipped and said.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, channel};

use serde_json::json;
use tempfile::TempDir;

use crate::docs::blocks;
use crate::repository::{read, root};
use crate::support::needs::{browser, skip};
use crate::support::{PATIENCE, Server, wait_for};

const SECRET: &str = "a key of at least thirty-two bytes";

/// The option that gives this machine's Node a WebSocket.
#[track_caller]
fn node_with_socket() -> Option<&'static [&'static str]> {
    match node_version()? {
        (22.., _) => Some(&[]),
        (21, _) | (20, 10..) => Some(&["--experimental-websocket"]),
        (major, minor) => {
            skip(&format!("node 20.10 or newer for its WebSocket; this is {major}.{minor}"));
            None
        }
    }
}

#[track_caller]
pub fn node_version() -> Option<(u32, u32)> {
    let Ok(output) = Command::new("node").arg("--version").output() else {
        skip("node");
        return None;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    let mut numbers = text.trim().trim_start_matches('v').split('.').map(|number| number.parse().unwrap());
    Some((numbers.next()?, numbers.next()?))
}

/// A token as an identity provider makes it: by other code than the server's.
fn token(user: &str) -> String {
    const SIGN: &str = "
        const [secret, sub] = process.argv.slice(1);
        const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
        const claims = { sub, exp: Math.floor(Date.now() / 1000) + 3600 };
        const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
        const signature = require('node:crypto').createHmac('sha256', secret).update(signed).digest('base64url');
        process.stdout.write(`${signed}.${signature}`);";
    let output = Command::new("node").args(["-e", SIGN, SECRET, user]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The one program of this language on the client's page.
fn example(language: &str) -> String {
    let page = read("docs/clients/README.md");
    let mut found = blocks(&page).into_iter().filter(|block| block.language == language);
    let example = found.next().unwrap().text;
    assert!(found.next().is_none(), "which of them?");
    example
}

/// Puts something else for a text that must be there.
fn put(example: &str, shown: &str, real: &str) -> String {
    assert!(example.contains(shown), "the example has no {shown}");
    example.replace(shown, real)
}

/// A server that comes back to the same address each time. The address is below those that the system gives out by
/// itself, so that no test beside this one gets it while the server is away.
pub fn server_with_an_address(settings: &[(&str, &str)]) -> Server {
    static TRIED: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    let address = loop {
        let address = SocketAddr::from(([127, 0, 0, 1], first + TRIED.fetch_add(1, Ordering::Relaxed)));
        if TcpListener::bind(address).is_ok() {
            break address.to_string();
        }
    };
    Server::with(&[settings, &[("LISTEN_ADDR", &address), ("JWT_SECRET", SECRET)]].concat())
}

fn append(server: &Server, draft: &str, content: &str) {
    let path = format!("/v1/collab/drafts/{draft}/segments");
    server.post_as("alice", &path, &json!({ "content": content, "idempotency_key": content })).expect(200);
}

/// A program that does not outlive its test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// The page's program for Node, running.
struct Watcher {
    program: Program,
    lines: Receiver<String>,
    _directory: TempDir,
}

impl Watcher {
    fn start(options: &[&str], program: &str, server: &Server, draft: &str, token: Option<&str>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["inkring.js", "package.json"] {
            std::fs::copy(root().join("docs/clients").join(name), directory.path().join(name)).unwrap();
        }
        std::fs::write(directory.path().join("watch.mjs"), program).unwrap();
        let mut command = Command::new("node");
        command.args(options).arg("watch.mjs").arg(format!("http://{}", server.address)).arg(draft);
        command.envs(token.map(|token| ("TOKEN", token))).current_dir(directory.path());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { program: Program(child), lines, _directory: directory }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("nothing more was printed")
    }

    #[track_caller]
    fn expect(&self, line: &str) {
        assert_eq!(self.line(), line);
    }

    /// What is printed until the event of this number is.
    fn lines_until(&self, seq: u64) -> Vec<String> {
        let mut lines = Vec::new();
        while lines.last().and_then(|line: &String| seq_of(line)) != Some(seq) {
            lines.push(self.line());
        }
        lines
    }

    /// What is printed until it ends by itself, which it cannot while a timer or a socket is left.
    fn end(self) -> Vec<String> {
        let (code, lines, _) = self.ended();
        assert_eq!(code, Some(0));
        lines
    }

    /// The exit code, and what was still printed on stdout and stderr.
    fn ended(mut self) -> (Option<i32>, Vec<String>, String) {
        let status = wait_for(|| self.program.0.try_wait().unwrap());
        let mut complaint = String::new();
        self.program.0.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
        (status.code(), self.lines.iter().collect(), complaint)
    }
}

/// The number of the event that a line shows.
fn seq_of(line: &str) -> Option<u64> {
    line.split(' ').next()?.parse().ok()
}

fn seqs_of(lines: &[String]) -> Vec<u64> {
    lines.iter().filter_map(|line| seq_of(line)).collect()
}

#[test]
fn the_client_passes_its_own_tests() {
    if node_version().is_none() {
        return;
    }
    let tests = Command::new("node").args(["--test", "tests/clients/inkring.test.mjs"]).current_dir(root()).output();
    let tests = tests.unwrap();
    assert!(tests.status.success(), "{}", String::from_utf8_lossy(&tests.stdout));
}

#[test]
fn the_client_writes_each_segment_once_over_connections_that_break() {
    if node_version().is_none() {
        return;
    }
    let server = Server::start();
    let mut tests = Command::new("node");
    tests.args(["--test", "tests/clients/write.test.mjs"]).current_dir(root());
    let tests = tests.env("INKRING_BASE", format!("http://{}", server.address)).output().unwrap();
    assert!(tests.status.success(), "{}", String::from_utf8_lossy(&tests.stdout));
}

#[test]
fn the_program_that_writes_says_what_it_has_written() {
    if node_version().is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for name in ["inkring.js", "package.json"] {
        std::fs::copy(root().join("docs/clients").join(name), directory.path().join(name)).unwrap();
    }
    std::fs::write(directory.path().join("write.mjs"), example("javascript")).unwrap();
    let write = |arguments: &[&str], who: Option<(&str, &str)>| {
        let mut program = Command::new("node");
        program.arg("write.mjs").args(arguments).current_dir(directory.path()).envs(who);
        let output = program.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let told = "segment 0 is there, and the draft at version 3\nsegment 1 is there, and the draft at version 4\n\
                bob has the ring, and the draft is at version 5\n";
    // Where there are tokens, and on a server for development, which takes a name.
    let alice = token("alice");
    for (server, who) in [(server_with_an_address(&[]), Some(("TOKEN", alice.as_str()))), (Server::start(), None)] {
        let draft = server.create_draft("alice");
        let path = format!("/v1/collab/drafts/{draft}/collaborators?collaborator_id=bob");
        server.post_as("alice", &path, &json!(null)).expect(200);
        let base = format!("http://{}", server.address);
        let texts = [base.as_str(), &draft, "bob", "It was late.", "The lamp went out."];
        assert_eq!(write(&texts, who), (Some(0), told.to_owned(), String::new()));
        // What goes wrong is one line.
        let (code, _, complaint) = write(&[&base, &draft, "bob", "x"], who);
        let sentence = format!("User alice must hold the ring to append segments to draft {draft}\n");
        assert_eq!((code, complaint), (Some(1), sentence));
        let (code, _, complaint) = write(&[&base, &draft, "bob", "x"], Some(("TOKEN", "ticket.of.someone")));
        assert_eq!((code, complaint.lines().count()), (Some(1), 1), "{complaint}");
        assert!(complaint.contains("Authorization") || complaint.contains("token"), "{complaint}");
    }
    for arguments in [&[][..], &["127.0.0.1:8000", "d", "bob"], &["http://127.0.0.1:8000", "d"]] {
        let (code, _, complaint) = write(arguments, None);
        assert!(code == Some(2) && complaint.starts_with("Usage: ") && complaint.lines().count() == 1, "{complaint}");
    }
}

#[test]
fn the_program_for_node_sees_every_event_once_across_a_kill_and_a_restart() {
    let Some(options) = node_with_socket() else { return };
    let mut server = server_with_an_address(&[]);
    let draft = server.create_draft("alice");
    let watcher = Watcher::start(options, &example("js"), &server, &draft, Some(&token("bob")));
    watcher.expect("read the draft: start");
    watcher.expect("live ");
    let mut lines = Vec::new();
    for round in 0..3 {
        // The first event is the draft's creation. Half of a round's events have arrived when the server goes away.
        for segment in 0..20 {
            append(&server, &draft, &format!("{round}-{segment}"));
            if segment == 10 {
                lines.extend(watcher.lines_until(round * 20 + 12));
            }
        }
        match round {
            0 => server.kill(),
            1 => assert!(server.terminate().success()),
            _ => break,
        }
        server.launch();
    }
    lines.extend(watcher.lines_until(61));
    let interrupted = Command::new("kill").args(["-INT", &watcher.program.0.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    lines.extend(watcher.end());
    assert_eq!(seqs_of(&lines), Vec::from_iter(2..=61), "{lines:#?}");
    let restarting = "waiting The server is restarting; reconnect and catch up";
    assert!(lines.iter().any(|line| line == restarting), "{lines:#?}");
}

#[test]
fn the_program_for_node_reads_anew_what_it_cannot_catch_up_with() {
    let Some(options) = node_with_socket() else { return };
    let server = server_with_an_address(&[]);
    let draft = server.create_draft("alice");
    let token = token("bob");
    // As after a database was put back from a backup.
    let ahead = put(&example("js"), "  draftId,\n", "  draftId,\n  since: 5,\n");
    let watcher = Watcher::start(options, &ahead, &server, &draft, Some(&token));
    watcher.expect("read the draft: missed");
    watcher.expect("live ");
    append(&server, &draft, "two");
    assert_eq!(seqs_of(&watcher.lines_until(2)), [2]);

    let from_the_start = put(&example("js"), "  draftId,\n", "  draftId,\n  since: 0,\n");
    let watcher = Watcher::start(options, &from_the_start, &server, &draft, Some(&token));
    assert_eq!(seqs_of(&watcher.lines_until(2)), [1, 2]);
    watcher.expect("live ");
}

#[test]
fn the_program_for_node_watches_a_server_for_development_with_tickets() {
    let Some(options) = node_with_socket() else { return };
    let server = Server::start();
    let draft = server.create_draft("alice");
    let watcher = Watcher::start(options, &example("js"), &server, &draft, None);
    watcher.expect("read the draft: start");
    watcher.expect("live ");
    append(&server, &draft, "two");
    assert_eq!(seqs_of(&watcher.lines_until(2)), [2]);
}

#[test]
fn the_program_for_node_ends_when_it_is_refused() {
    let Some(options) = node_with_socket() else { return };
    let server = server_with_an_address(&[("AUTH_TRUST_USER_HEADER", "false")]);
    for (token, sentence) in [
        (
            None,
            "Missing Authorization (Bearer JWT) or X-User-Id header: X-User-Id is not trusted from here: send Authorization: Bearer TOKEN\n",
        ),
        (Some("not.a.token"), "refused: Unauthorized: missing or invalid authentication\n"),
    ] {
        let watcher = Watcher::start(options, &example("js"), &server, "d1", token);
        assert_eq!(watcher.ended(), (Some(1), Vec::new(), sentence.to_owned()));
    }
    // An id that no draft has can be watched, and a server that is gone is waited for; both are said.
    let mut open = server_with_an_address(&[]);
    let watcher = Watcher::start(options, &example("js"), &open, "no-draft", None);
    for line in ["read the draft: start", "live ", "No draft has the id no-draft yet."] {
        watcher.expect(line);
    }
    open.kill();
    let gone = Watcher::start(options, &example("js"), &open, "no-draft", None);
    let line = gone.line();
    assert!(line.starts_with("waiting TypeError: fetch failed: ") && line.contains("ECONNREFUSED"), "{line}");
    let usage = Watcher::start(options, &example("js"), &server, "", None).ended();
    assert!(usage.0 == Some(2) && usage.2.starts_with("Usage: ") && usage.2.lines().count() == 1, "{usage:?}");
}

/// Serves one page and the client, and hands on what the page sends.
fn serve_page(listener: TcpListener, page: String) -> Receiver<String> {
    let (sender, seen) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Some((target, body)) = request(&mut stream.as_ref().unwrap()) else { continue };
            let (kind, content) = match target.as_str() {
                "/" => ("text/html; charset=utf-8", page.clone()),
                "/inkring.js" => ("text/javascript", read("docs/clients/inkring.js")),
                _ => ("text/plain", String::new()),
            };
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{content}",
                content.len()
            );
            // A browser may have gone away, and the test may be over.
            let _ = stream.unwrap().write_all(answer.as_bytes());
            if target == "/seen" && sender.send(body).is_err() {
                return;
            }
        }
    });
    seen
}

/// The target and the body of the one request on a connection.
fn request(stream: &mut &TcpStream) -> Option<(String, String)> {
    let mut reader = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).ok()?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((first.split(' ').nth(1)?.to_owned(), String::from_utf8(body).unwrap()))
}

#[test]
fn the_page_shows_the_draft_in_a_browser_across_a_kill() {
    const SEEING: &str = "<script>
        const tell = () => fetch('/seen', { method: 'POST', body: document.body.innerText });
        new MutationObserver(tell).observe(document.body, { childList: true, subtree: true });</script>";
    let Some(browser) = browser() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let mut server = server_with_an_address(&[
        ("ALLOWED_ORIGINS", &origin),
        ("WS_LIMITS_ENABLED", "true"),
        ("WS_ALLOWED_ORIGINS", &origin),
    ]);
    let draft = server.create_draft("alice");
    append(&server, &draft, "one");

    let page = put(&example("html"), "http://127.0.0.1:8000", &format!("http://{}", server.address));
    let page = put(&page, "c9c581dc-7381-4dcd-af63-0491d4e9282e", &draft);
    let page = put(&page, "eyJhbGciOi…", &token("bob")) + SEEING;
    let seen = serve_page(listener, page);
    let profile = tempfile::tempdir().unwrap();
    let mut command = browser.command(&profile);
    let _browser = Program(command.arg(&origin).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());

    let shows = |wanted: &[&str]| loop {
        let text = seen.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("the page does not show {wanted:?}"));
        let shown: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        if shown.iter().map(|line| line.split(" @").next().unwrap()).eq(wanted.iter().copied()) {
            break;
        }
    };
    shows(&["live", "one"]);
    append(&server, &draft, "two");
    shows(&["live", "one", "two"]);
    server.kill();
    shows(&["waiting", "one", "two"]);
    server.launch();
    append(&server, &draft, "three");
    shows(&["live", "one", "two", "three"]);
}
