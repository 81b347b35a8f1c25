//! Files and parts of files, what clients have of them already, and answers that are produced as they are taken.

use std::fs::File;
use std::time::{Duration, SystemTime};

use crate::gate::once;
use crate::routes_toy::{CACHED, LINED_PIECES, PAGE_TEXT, ToyHouse, bytes};
use crate::support::{Answer, Client, PATIENCE};

/// More than two pieces, and not a whole number of them.
const FILE_BYTES: usize = 150_000;
/// Sun, 06 Nov 1994 08:49:37 GMT.
const CHANGED: Duration = Duration::from_secs(784_111_777);
const CHANGED_DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

fn house() -> ToyHouse {
    let house = ToyHouse::start(&[]);
    std::fs::write(house.kept("photo"), bytes(FILE_BYTES)).unwrap();
    File::open(house.kept("photo")).unwrap().set_modified(SystemTime::UNIX_EPOCH + CHANGED).unwrap();
    house
}

fn get(client: &mut Client, path: &str, headers: &[(&str, &str)]) -> Answer {
    client.request("GET", path, headers, b"")
}

/// Holds an answer to what every one about a file says.
fn about_the_file(answer: &Answer, tag: &str) {
    assert_eq!(once("etag", answer), tag);
    assert_eq!(once("cache-control", answer), CACHED);
    assert_eq!(once("last-modified", answer), CHANGED_DATE);
    assert_eq!(once("vary", answer), "Origin");
}

#[test]
fn a_file_is_answered_whole_and_in_part() {
    let house = house();
    let mut client = house.client();
    let whole = get(&mut client, "/files/photo", &[]);
    let tag = once("etag", &whole);
    let content = bytes(FILE_BYTES);
    assert_eq!((whole.status, once("content-type", &whole).as_str()), (200, "image/jpeg"));
    assert_eq!(once("accept-ranges", &whole), "bytes");
    about_the_file(&whole, &tag);
    assert!(whole.body == content);
    for (range, part) in [
        ("bytes=0-0", 0..1),
        ("bytes=65536-131071", 65_536..131_072),
        ("bytes=140000-", 140_000..FILE_BYTES),
        ("bytes=-1", FILE_BYTES - 1..FILE_BYTES),
        ("bytes=0-999999", 0..FILE_BYTES),
    ] {
        for headers in [&[("Range", range)][..], &[("Range", range), ("If-Range", &tag)]] {
            let answer = get(&mut client, "/files/photo", headers);
            assert_eq!((answer.status, once("content-type", &answer).as_str()), (206, "image/jpeg"), "{range}");
            let said = format!("bytes {}-{}/{FILE_BYTES}", part.start, part.end - 1);
            assert_eq!(once("content-range", &answer), said);
            about_the_file(&answer, &tag);
            assert!(answer.body == content[part.clone()], "{range}");
        }
    }
    for headers in [
        &[("Range", "bytes=0-1,3-4")][..],
        &[("Range", "lines=0-1")],
        &[("Range", "bytes=0-1"), ("Range", "bytes=3-4")],
        &[("Range", "bytes=0-1"), ("If-Range", "\"another\"")],
        &[("Range", "bytes=0-1"), ("If-Range", CHANGED_DATE)],
    ] {
        let answer = get(&mut client, "/files/photo", headers);
        assert_eq!((answer.status, answer.header("content-range")), (200, None), "{headers:?}");
        assert!(answer.body == content, "{headers:?}");
    }
    let beyond = get(&mut client, "/files/photo", &[("Range", "bytes=150000-")]);
    assert_eq!(beyond.expect_error(416).0, "http_error");
    assert_eq!(once("content-range", &beyond), "bytes */150000");
    assert_eq!(once("cache-control", &beyond), "no-store");
    drop(client);
    house.stop();
}

#[test]
fn a_client_that_has_a_file_is_not_sent_it_again() {
    let house = house();
    let mut client = house.client();
    let tag = once("etag", &get(&mut client, "/files/photo", &[]));
    let weak = format!("\"x\", W/{tag}");
    for header in [("If-None-Match", tag.as_str()), ("If-None-Match", &weak), ("If-Modified-Since", CHANGED_DATE)] {
        let answer = get(&mut client, "/files/photo", &[header, ("Range", "bytes=0-0")]);
        assert_eq!((answer.status, answer.header("content-length"), answer.header("content-type")), (304, None, None));
        about_the_file(&answer, &tag);
    }
    assert_eq!(get(&mut client, "/files/photo", &[("If-Match", &tag)]).status, 200);
    let other = get(&mut client, "/files/photo", &[("If-Match", "\"x\"")]);
    assert_eq!((other.expect_error(412).0.as_str(), once("etag", &other)), ("http_error", tag.clone()));
    // Another file under the name.
    std::fs::write(house.kept("new"), bytes(FILE_BYTES)).unwrap();
    std::fs::rename(house.kept("new"), house.kept("photo")).unwrap();
    let replaced = get(&mut client, "/files/photo", &[("If-None-Match", &tag)]);
    assert_eq!(replaced.status, 200);
    assert_ne!(once("etag", &replaced), tag);
    // The time of its change is not told as long as it is to come.
    let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
    File::open(house.kept("photo")).unwrap().set_modified(tomorrow).unwrap();
    assert_eq!(get(&mut client, "/files/photo", &[]).header("last-modified"), None);
    drop(client);
    house.stop();
}

#[test]
fn a_head_says_what_a_get_would_and_what_is_no_file_is_not_found() {
    let house = house();
    let mut client = house.client();
    let whole = get(&mut client, "/files/photo", &[]);
    let tag = once("etag", &whole);
    let head = client.request("HEAD", "/files/photo", &[("Range", "bytes=0-0")], b"");
    assert_eq!((head.status, head.header("content-range")), (200, None), "only of a GET are there parts");
    let but_its_own = |answer: &Answer| {
        let kept = answer.headers.iter().filter(|(name, _)| name != "date" && name != "x-request-id");
        kept.cloned().collect::<Vec<_>>()
    };
    assert_eq!(but_its_own(&head), but_its_own(&whole));
    assert_eq!(client.request("HEAD", "/files/photo", &[("If-None-Match", &tag)], b"").status, 304);
    std::fs::create_dir(house.kept("directory")).unwrap();
    std::fs::write(house.kept("empty"), b"").unwrap();
    assert!(std::process::Command::new("mkfifo").arg(house.kept("pipe")).status().unwrap().success());
    for path in ["/files/nothing", "/files/directory", "/files/pipe", "/files/photo%2Fin"] {
        let answer = get(&mut client, path, &[]);
        assert_eq!(answer.expect_error(404).0, "not_found", "{path}");
        assert_eq!(once("cache-control", &answer), "no-store");
    }
    let empty = get(&mut client, "/files/empty", &[("Range", "bytes=-5")]);
    assert_eq!((empty.status, once("content-length", &empty).as_str()), (200, "0"));
    assert_eq!(get(&mut client, "/files/empty", &[("Range", "bytes=0-")]).status, 416);
    drop(client);
    house.stop();
}

#[test]
fn a_page_of_the_program_is_answered_like_a_file() {
    let house = house();
    let mut client = house.client();
    let page = get(&mut client, "/page", &[]);
    assert_eq!((page.status, page.text(), once("cache-control", &page).as_str()), (200, PAGE_TEXT, CACHED));
    assert_eq!(once("content-security-policy", &page), "default-src 'none'; frame-ancestors 'none'");
    let tag = once("etag", &page);
    assert_eq!(get(&mut client, "/page", &[("If-None-Match", &tag)]).status, 304);
    let part = get(&mut client, "/page", &[("Range", "bytes=3-6"), ("If-Range", &tag)]);
    assert_eq!((part.status, part.text()), (206, "Good"));
    assert_eq!(get(&mut client, "/page", &[("Range", "bytes=99-")]).status, 416);
    drop(client);
    house.stop();
}

#[test]
fn a_file_that_becomes_shorter_while_it_is_sent_breaks_the_answer_off() {
    let house = house();
    let file = File::create(house.kept("photo")).unwrap();
    file.set_len(1 << 30).unwrap();
    let mut client = Client::connect_narrow(house.address).unwrap();
    client.send("GET /files/photo HTTP/1.1\r\nHost: t\r\n\r\n");
    client.read_more().unwrap();
    file.set_len(100_000).unwrap();
    while client.read_more().is_ok() {}
    assert!(client.received.len() < 1 << 29, "{} bytes", client.received.len());
    assert_eq!(house.metric("inkring_http_answers_broken_off_total"), 1.0);
    drop(client);
    house.stop();
}

#[test]
fn an_answer_is_produced_no_faster_than_it_is_taken() {
    let house = ToyHouse::start(&[]);
    let mut client = Client::connect_narrow(house.address).unwrap();
    client.send("GET /produced HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    assert_eq!(house.told(), "produced");
    client.read_more().unwrap();
    // Others are served on the same shard and by the same pool meanwhile.
    std::fs::write(house.kept("photo"), bytes(FILE_BYTES)).unwrap();
    for _ in 0..3 {
        assert_eq!(get(&mut house.client(), "/files/photo", &[]).status, 200);
    }
    let produced = 1 + house.told.try_iter().count();
    assert!(produced < LINED_PIECES / 4, "{produced} pieces of a mebibyte, of which little was read");
    // Whoever reads gets all of it, in chunks.
    client.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    while client.read_more().is_ok() {}
    assert!(client.received.ends_with(b"\r\n0\r\n\r\n"));
    let head = client.received.windows(4).position(|end| end == b"\r\n\r\n").unwrap();
    assert_eq!(client.received[head..].iter().filter(|byte| **byte == b'x').count(), LINED_PIECES << 20);
    assert_eq!(produced + house.told.try_iter().count(), LINED_PIECES);
    drop(client);
    house.stop();
}
