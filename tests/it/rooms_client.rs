//! What docs/ROOMS.md and docs/clients/rooms give to those who write pages: the page in two browsers, and the programs.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;

use serde_json::{Value, json};

use crate::client_js::{node_version, server_with_an_address};
use crate::docs::blocks;
use crate::repository::{read, root};
use crate::support::Server;
use crate::support::browser::Page;
use crate::support::needs::browser;
use crate::support::socket::Frame;
use crate::support::yjs::Peer;

/// Serves the directory of the page. Returns its origin.
fn site() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            // A browser opens connections in advance, on which nothing comes.
            std::thread::spawn(move || {
                let mut head = [0; 4096];
                let length = stream.read(&mut head).unwrap_or(0);
                let head = String::from_utf8_lossy(&head[..length]);
                let (kind, name) = match head.split([' ', '?']).nth(1) {
                    Some("/rooms.js") => ("text/javascript", "rooms.js"),
                    _ => ("text/html", "index.html"),
                };
                let body = read(&format!("docs/clients/rooms/{name}"));
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {}\r\n\
                     Connection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes());
            });
        }
    });
    origin
}

fn shows(page: &mut Page, list: &str, lines: &[&str]) {
    let shown = format!("JSON.stringify([...document.querySelectorAll('#{list} li')].map((line) => line.textContent))");
    page.wait_until(&format!("{shown} === {:?}", json!(lines).to_string()));
}

fn say(page: &mut Page, text: &str) {
    page.value(&format!("document.getElementById('text').value = {text:?}, document.querySelector('button').click()"));
}

#[test]
fn two_pages_see_each_other_and_what_they_say_across_a_kill() {
    let Some(browser) = browser() else { return };
    let mut server = server_with_an_address(&[("ROOMS_REQUIRE_TOKEN", "false")]);
    let origin = site();
    let address = |name: &str, more: &str| {
        format!("{origin}/?url=ws://{}/rooms&room=team/plan&name={name}{more}", server.address)
    };
    let (mut ada, mut bob) = (Page::open(&browser), Page::open(&browser));
    ada.go_to(&address("Ada", ""));
    ada.wait_until("document.getElementById('state').textContent === 'live'");
    bob.go_to(&address("Bob", ""));
    shows(&mut ada, "people", &["Bob"]);
    shows(&mut bob, "people", &["Ada"]);
    say(&mut ada, "<b>hello</b>");
    for page in [&mut ada, &mut bob] {
        shows(page, "messages", &["Ada: <b>hello</b>"]);
        assert_eq!(page.value("document.querySelectorAll('li b').length"), 0, "what others write is text");
        page.fits_every_width_and_scheme();
        assert_eq!(page.complaints, [Value::Null; 0]);
    }
    bob.go_to("about:blank");
    shows(&mut ada, "people", &[]);
    bob.go_to(&address("Bob", "&token=bad"));
    bob.wait_until("document.getElementById('state').textContent === 'refused: Invalid token'");
    bob.go_to(&address("Bob", ""));
    shows(&mut ada, "people", &["Bob"]);
    server.kill();
    ada.wait_until("document.getElementById('state').textContent.startsWith('waiting')");
    shows(&mut ada, "people", &[]);
    server.launch();
    shows(&mut ada, "people", &["Bob"]);
    say(&mut bob, "again");
    shows(&mut ada, "messages", &["Ada: <b>hello</b>", "Bob: again"]);
}

#[test]
fn a_token_that_is_made_as_the_page_says_opens_its_rooms_and_no_other() {
    if node_version().is_none() {
        return;
    }
    let page = blocks(&read("docs/ROOMS.md")).into_iter();
    let mut programs = page.filter(|block| block.language == "js" && block.text.contains("createHmac"));
    let program = programs.next().unwrap().text;
    let secret = ("JWT_SECRET", "a key of at least thirty-two bytes");
    let output = Command::new("node").args(["--input-type=module", "-e", &program]).envs([secret]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let token = String::from_utf8(output.stdout).unwrap();
    let server = Server::with(&[secret]);
    Peer::enter(&server, &format!("/rooms/team/plan?token={}", token.trim()));
    let mut other = Peer::open(&server, &format!("/rooms/notes?token={}", token.trim()), &[]).1;
    assert_eq!(other.binary()[..2], [2, 0]);
    assert!(matches!(other.socket.next(), Frame::Close(4403, _)));
}

#[test]
fn every_program_of_the_pages_parses() {
    if node_version().is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut parsed = 0;
    for page in ["docs/ROOMS.md", "docs/clients/rooms/README.md"] {
        for block in blocks(&read(page)).into_iter().filter(|block| block.language == "js") {
            let path = directory.path().join("program.mjs");
            std::fs::write(&path, &block.text).unwrap();
            let output = Command::new("node").arg("--check").arg(&path).output().unwrap();
            assert!(output.status.success(), "{page}: {}\n{output:?}", block.text);
            parsed += 1;
        }
    }
    assert_eq!(parsed, 6);
    let module = root().join("docs/clients/rooms/rooms.js");
    assert!(Command::new("node").arg("--check").arg(module).status().unwrap().success());
}
