//! `inkring modules import`: another household's records, read by its API.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::support::http::Client;
use crate::support::{Server, UNHURRIED, household, inkring};

const KINDS: [(&str, &str); 6] = [
    ("kazkar", "stories"),
    ("podija", "events"),
    ("nastrij", "emotions"),
    ("malya", "ideas"),
    ("gallery", "items"),
    ("calendar", "entries"),
];

fn import(to: &Server, settings: &[(&str, &str)], from: SocketAddr, more: &[&str]) -> (i32, String, String) {
    let mut command = inkring(to.directory.path());
    command.env("LISTEN_ADDR", to.address.to_string()).envs(settings.iter().copied());
    command.args(["modules", "import", "--from", &format!("http://{from}")]).args(more);
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn make(client: &mut Client, path: &str, body: &Value) {
    client.post(&format!("/api/v1/{path}"), None, body).expect(200);
}

/// Something of each kind, and more stories than fit on a page.
fn furnish(client: &mut Client) {
    for number in 0..105 {
        make(client, "kazkar/stories", &json!({ "title": format!("Казка {number}"), "content": "C", "tags": ["a"] }));
    }
    make(client, "podija/events", &json!({ "title": "E", "event_date": "2026-05-01T10:00", "source_trace": "ci:7" }));
    make(client, "nastrij/emotions", &json!({ "emotion_state": "calm", "intensity": 7 }));
    make(client, "malya/ideas", &json!({ "title": "I", "description": "D" }));
    make(client, "malya/ideas", &json!({ "title": "J", "description": "D", "related_ideas": [1] }));
    make(
        client,
        "gallery/items",
        &json!({ "title": "P", "media_type": "photo", "url": "https://photos.example/1.jpg" }),
    );
    make(client, "calendar/entries", &json!({ "title": "C", "scheduled_at": "2026-05-01T10:00" }));
}

/// All lists, as they are shown.
fn lists(client: &mut Client) -> Vec<String> {
    let mut ask = |path: String| client.get(&path, None).text().to_owned();
    let first = KINDS.iter().map(|(module, kind)| format!("/api/v1/{module}/{kind}?limit=100"));
    first.chain(["/api/v1/kazkar/stories?skip=100".to_owned()]).map(&mut ask).collect()
}

#[test]
fn a_household_moves_to_another_server_and_nothing_comes_twice() {
    const LOCK: (&str, &str) = ("HOUSEHOLD_PASSWORD", "a heron in the evening mist");
    let original = household();
    furnish(&mut original.connect());
    let there = lists(&mut original.connect());
    let to = Server::with(&[&UNHURRIED[..], &[LOCK]].concat());
    let opened = to.connect().post("/api/session", None, &json!({ "password": LOCK.1 })).expect(200);
    let bearer = format!("Bearer {}", opened["token"].as_str().unwrap());
    let here = || {
        let mut client = to.connect();
        let kinds = KINDS.iter().map(|(module, kind)| format!("/api/v1/{module}/{kind}?limit=100"));
        let paths = kinds.chain(["/api/v1/kazkar/stories?skip=100".to_owned()]);
        let mut ask = |path: String| client.request("GET", &path, &[("Authorization", &bearer)], b"").text().to_owned();
        paths.map(&mut ask).collect::<Vec<_>>()
    };
    let (code, said, why) = import(&to, &[LOCK], original.address, &["--dry-run"]);
    assert_eq!(code, 0, "{why}");
    assert!(
        said.starts_with("would be imported from http://")
            && said.contains(":\n  kazkar         105 created, 0 changed, 0 already here, 0 refused\n"),
        "{said}"
    );
    assert_eq!(here()[0], "[]", "nothing was changed");
    let (code, said, why) = import(&to, &[LOCK], original.address, &[]);
    assert_eq!(code, 0, "{why}");
    assert!(said.contains("  malya          2 created, 0 changed, 0 already here, 0 refused\n"), "{said}");
    assert_eq!(here(), there, "ids, times and traces are what they were");
    original
        .connect()
        .request("PUT", "/api/v1/malya/ideas/1", &[("Content-Type", "application/json")], br#"{"title":"N"}"#)
        .expect(200);
    let (code, said, why) = import(&to, &[LOCK], original.address, &[]);
    assert_eq!(code, 0, "{why}");
    assert!(said.contains("  kazkar         0 created, 0 changed, 105 already here, 0 refused\n"), "{said}");
    assert!(said.contains("  malya          0 created, 1 changed, 1 already here, 0 refused\n"), "{said}");
    assert_eq!(here(), lists(&mut original.connect()));
    let sessions = to.connect().request("GET", "/api/session", &[("Authorization", &bearer)], b"").expect(200);
    assert_eq!(sessions["sessions"].as_array().unwrap().len(), 1, "it leaves no session behind");
    let (code, _, why) = import(&to, &[("HOUSEHOLD_PASSWORD", "another one than that")], original.address, &[]);
    assert_eq!(code, 1);
    assert!(
        why.contains("401") && why.contains("not the household's password") && !why.contains("another one"),
        "{why}"
    );
}

/// A server that gives these stories as the original does: times without a zone, no order, no header with their number; the other
/// lists are empty.
struct Original {
    address: SocketAddr,
    /// Whether it gives up behind its first page.
    breaks: Arc<AtomicBool>,
}

impl Original {
    fn with(stories: Vec<Value>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (breaks, passes) = (Arc::new(AtomicBool::new(false)), AtomicUsize::new(0));
        let is_broken = Arc::clone(&breaks);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let asked = lines.next().unwrap().unwrap();
                while !lines.next().unwrap().unwrap().is_empty() {}
                let skip: usize = asked.split_once("skip=").unwrap().1.split('&').next().unwrap().parse().unwrap();
                let of = |stories: &[Value]| Value::Array(stories.to_vec()).to_string();
                let (status, body) = match asked.contains("/kazkar/stories") {
                    false => (200, "[]".to_owned()),
                    true if skip > 0 && is_broken.load(Ordering::Relaxed) => (500, "Internal Server Error".to_owned()),
                    true => {
                        let pass = passes.fetch_add(usize::from(skip == 0), Ordering::Relaxed) + usize::from(skip == 0);
                        let first = stories.len().min(100);
                        // The first time its database finds some of the first page again instead of the rest.
                        let rest = stories.len() - first;
                        let page = match skip {
                            0 => &stories[..first],
                            100 if pass == 1 => &stories[..rest],
                            100 => &stories[first..],
                            _ => &[],
                        };
                        (200, of(page))
                    }
                };
                let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len());
                stream.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice()).unwrap();
            }
        });
        Self { address, breaks }
    }
}

fn story(id: u64, title: &str) -> Value {
    json!({
        "title": title, "content": "C", "story_type": null, "participants": null, "location": null, "tags": [],
        "source_trace": null, "id": id, "module": "kazkar", "time": format!("2025-12-26T07:31:{:02}.710931", id % 60),
        "canon_bundle_id": "CIMEIKA_CANON_TZ_v1",
    })
}

#[test]
fn the_original_is_read_though_its_lists_have_no_order_and_what_cannot_be_taken_is_named() {
    let mut stories: Vec<Value> = (1..=150).map(|id| story(id, &format!("Story {id}"))).collect();
    stories[16] = story(17, " ");
    let original = Original::with(stories);
    let to = household();
    // What has the number of one of them stays what it is.
    make(&mut to.connect(), "kazkar/stories", &json!({ "title": "Ours", "content": "C" }));
    let (code, said, why) = import(&to, &[], original.address, &[]);
    assert_eq!(code, 3, "{said}{why}");
    assert!(said.contains("  kazkar         149 created, 0 changed, 0 already here, 1 refused\n"), "{said}");
    assert!(why.contains("kazkar 17: body.title: "), "{why}");
    let mut client = to.connect();
    assert_eq!(client.get("/api/v1/kazkar/stories", None).header("x-total-count"), Some("150"));
    assert_eq!(client.get("/api/v1/kazkar/stories/1", None).expect(200)["title"], "Ours");
    let last = client.get("/api/v1/kazkar/stories?order=desc&limit=1", None).expect(200);
    assert_eq!((&last[0]["title"], &last[0]["time"]), (&json!("Story 150"), &json!("2025-12-26T07:31:30.710931Z")));
}

#[test]
fn one_that_breaks_off_goes_on_where_it_ended() {
    let original = Original::with((1..=120).map(|id| story(id, "T")).collect());
    original.breaks.store(true, Ordering::Relaxed);
    let to = household();
    let (code, said, why) = import(&to, &[], original.address, &[]);
    assert_eq!(code, 1, "{said}");
    assert!(why.contains("it stopped early") && why.contains("500") && why.contains("Internal Server Error"), "{why}");
    original.breaks.store(false, Ordering::Relaxed);
    let (code, said, why) = import(&to, &[], original.address, &[]);
    assert_eq!(code, 0, "{why}");
    assert!(said.contains("  kazkar         120 created"), "{said}");
    let (_, said, _) = import(&to, &[], original.address, &[]);
    assert!(said.contains("  kazkar         0 created, 0 changed, 120 already here, 0 refused\n"), "{said}");
    let nobody = Server::absent(&[]);
    let mut command = inkring(nobody.directory.path());
    let from = format!("http://{}", original.address);
    let output =
        command.env("LISTEN_ADDR", "127.0.0.1:1").args(["modules", "import", "--from", &from]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("cannot connect to 127.0.0.1:1"), "{said}");
    let output =
        inkring(nobody.directory.path()).args(["modules", "import", "--from", "ftp://a.example"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("does not begin with http:// or https://"));
}
