//! The pages as they are answered: which there are, in which language, what they may load, and how long that may be kept
//! (contract 04 §3, §8). What they do in a browser is in `pages_browser.rs`.

use std::io::Read as _;

use flate2::read::GzDecoder;

use crate::gate::once;
use crate::support::{Server, household, inkring};

/// Every page, and whether it is shown by night.
pub const PAGES: [(&str, bool); 19] = [
    ("/ci", false),
    ("/ci/legend", false),
    ("/chat", false),
    ("/podija", false),
    ("/nastrij", false),
    ("/malya", false),
    ("/gallery", false),
    ("/calendar", false),
    ("/api/docs", false),
    ("/api/redoc", false),
    ("/settings", false),
    ("/sign-in", false),
    ("/drafts", false),
    ("/drafts/c9c581dc-7381-4dcd-af63-0491d4e9282e", false),
    ("/collab/invite/c9c581dc-7381-4dcd-af63-0491d4e9282e", false),
    ("/dashboard/collab", false),
    ("/kazkar", true),
    ("/kazkar/legends", true),
    ("/kazkar/1", true),
];

#[test]
fn people_are_shown_pages_at_the_root_and_programs_the_modules() {
    let server = household();
    let mut client = server.connect();
    for accept in ["text/html", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"] {
        let answer = client.request("GET", "/", &[("Accept", accept)], b"");
        assert_eq!((answer.status, once("location", &answer).as_str()), (302, "/ci"));
        assert!(answer.headers.contains(&("vary".to_owned(), "Accept".to_owned())), "{answer:?}");
    }
    for headers in [&[("Accept", "*/*")][..], &[("Accept", "application/json")], &[]] {
        let answer = client.request("GET", "/", headers, b"");
        assert_eq!((answer.status, &answer.json()["modules"][1]), (200, &"Казкар - Пам'ять".into()));
        assert!(answer.headers.contains(&("vary".to_owned(), "Accept".to_owned())), "{answer:?}");
    }
}

#[test]
fn every_page_is_served_with_its_theme_its_language_and_a_strict_policy() {
    let server = household();
    let mut client = server.connect();
    for (path, is_night) in PAGES {
        for (language, title) in [("uk", "До вмісту"), ("en", "To the content")] {
            for path in [path.to_owned(), format!("{path}/")] {
                let answer = client.request("GET", &path, &[("Accept-Language", language)], b"");
                assert_eq!(
                    (answer.status, once("content-type", &answer).as_str()),
                    (200, "text/html; charset=utf-8"),
                    "{path}"
                );
                let html = answer.text();
                let theme = if is_night { "night" } else { "day" };
                assert!(html.contains(&format!("<html lang=\"{language}\" data-theme=\"{theme}\">")), "{path}");
                assert!(html.contains(title), "{path}");
                let policy = once("content-security-policy", &answer);
                assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
                assert!(
                    policy.contains("require-trusted-types-for 'script'") && !policy.contains("unsafe"),
                    "{policy}"
                );
                assert_eq!(once("x-content-type-options", &answer), "nosniff");
                assert_eq!(once("cache-control", &answer), "no-cache");
                assert_eq!(once("vary", &answer), "Accept-Language, Cookie");
            }
        }
        assert_eq!(client.request("HEAD", path, &[], b"").status, 200, "{path}");
        assert_eq!(client.request("POST", path, &[], b"").status, 405, "{path}");
    }
    // As curl and previews of links ask.
    assert!(client.get("/ci", None).text().contains("<html lang=\"en\""));
    let chosen = [("Accept-Language", "uk"), ("Cookie", "a=b; inkring_language=en")];
    assert!(client.request("GET", "/ci", &chosen, b"").text().contains("<html lang=\"en\""));
}

#[test]
fn what_pages_load_is_there_may_be_kept_for_ever_and_comes_compressed() {
    let server = household();
    let mut client = server.connect();
    let mut loaded = 0;
    for (path, _) in PAGES {
        let html = client.get(path, None).text().to_owned();
        for part in html.split('"').filter(|part| part.starts_with("/assets/") || *part == "/manifest.webmanifest") {
            let plain = client.get(part, None);
            assert_eq!(plain.status, 200, "{part}");
            assert_eq!(once("x-content-type-options", &plain), "nosniff");
            if part == "/manifest.webmanifest" {
                assert_eq!(once("content-type", &plain), "application/manifest+json");
                for icon in plain.json()["icons"].as_array().unwrap() {
                    let icon = client.get(icon["src"].as_str().unwrap(), None);
                    assert_eq!((icon.status, once("content-type", &icon).as_str()), (200, "image/png"));
                }
                continue;
            }
            assert_eq!(once("cache-control", &plain), "public, max-age=31536000, immutable", "{part}");
            assert_eq!(once("vary", &plain), "Accept-Encoding");
            if part.ends_with(".js") || part.ends_with(".css") {
                let packed = client.request("GET", part, &[("Accept-Encoding", "gzip, br")], b"");
                assert_eq!(once("content-encoding", &packed), "gzip", "{part}");
                let mut unpacked = Vec::new();
                GzDecoder::new(&packed.body[..]).read_to_end(&mut unpacked).unwrap();
                assert_eq!(unpacked, plain.body, "{part}");
                loaded += 1;
            }
        }
    }
    assert!(loaded > PAGES.len());
    // An address of another version is none, so that nothing of two versions ever works together.
    for path in ["/assets/0000000000000000/app.js", "/assets/app.js", "/assets/x/../app.js"] {
        assert_eq!(client.get(path, None).status, 404, "{path}");
    }
}

#[test]
fn a_page_is_served_where_what_it_stands_on_is() {
    let server = Server::with(&[("MODULES_ENABLED", "false")]);
    let mut client = server.connect();
    for (path, _) in PAGES {
        let answer = client.get(path, None);
        let is_there = ["/drafts", "/collab/", "/dashboard/", "/api/"].iter().any(|place| path.starts_with(place));
        assert_eq!(answer.status, if is_there { 200 } else { 404 }, "{path}");
        if is_there {
            let html = answer.text();
            assert!(!html.contains("href=\"/ci\"") && !html.contains("href=\"/settings\""), "{html}");
        }
    }
    assert_eq!(client.get("/manifest.webmanifest", None).json()["start_url"], "/drafts");
}

#[test]
fn pages_use_up_nothing_of_what_one_may_ask() {
    let server = Server::with(&[("MODULES_LIMIT_PER_MINUTE", "1")]);
    let mut client = server.connect();
    for _ in 0..20 {
        assert_eq!(client.get("/kazkar", None).status, 200);
    }
    assert_eq!(client.get("/api/v1/modules", None).status, 200);
    assert_eq!(client.get("/api/v1/modules", None).status, 429);
    assert_eq!(client.get("/kazkar", None).status, 200);
}

#[test]
fn a_demo_adds_a_household_where_there_is_none_and_leaves_another_as_it_is() {
    let server = Server::start();
    // Drafts do not matter: whoever has followed README.md has one.
    let title = "The lamp";
    let own = serde_json::json!({ "title": title, "platform": "x" });
    server.post_as("alice", "/v1/collab/drafts", &own).expect(200);
    assert!(crate::repository::read("README.md").contains(&format!("\"title\":\"{title}\"")));
    let directory = tempfile::tempdir().unwrap();
    let url = format!("http://{}", server.address);
    let demo = || inkring(directory.path()).args(["demo", "--base-url", &url]).output().unwrap();
    let first = demo();
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let mut client = server.connect();
    let status = client.get("/api/v1/modules/status", None).json();
    for module in ["kazkar", "podija", "nastrij", "malya", "gallery", "calendar"] {
        assert!(status["modules"][module]["records"].as_i64().unwrap() >= 4, "{module}: {status}");
    }
    let pictures = client.get("/api/v1/gallery/items", None).json();
    assert!(pictures.as_array().unwrap().iter().all(|item| item["thumbnail_url"].is_string()), "{pictures}");
    for (user, titles) in [("olena", &["Казка по колу"][..]), ("alice", &[title, "The lighthouse"])] {
        let drafts = client.get("/v1/collab/drafts", Some(user)).json();
        let mut found: Vec<&str> =
            drafts["data"].as_array().unwrap().iter().map(|of| of["title"].as_str().unwrap()).collect();
        found.sort_unstable();
        assert_eq!(found, titles, "{user}");
    }
    let again = demo();
    assert_eq!(again.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&again.stderr).contains("the server already has 28 household records"),
        "{again:?}"
    );
    let closed = Server::with(&[("HOUSEHOLD_PASSWORD", "a password of the tests")]);
    let url = format!("http://{}", closed.address);
    let refused = inkring(directory.path()).args(["demo", "--base-url", &url]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("the demo needs a development server"), "{refused:?}");
}
