//! docs/deploy/fail2ban: what its filter finds in lines that real servers have logged, and what it must not find (G7).
//!
//! The filter is read as fail2ban reads it: the date is cut out of a line, tags stand for addresses, a line that
//! `ignoreregex` matches counts for nothing.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::json;

use crate::identity::{KEY, token};
use crate::ops::Operated;
use crate::repository::read;
use crate::support::{Client, Server, wait_for};

const DRAFTS: &str = "/v1/collab/drafts";
const OPS_TOKEN: &str = "a token of more than sixteen bytes";
const PASSWORD: &str = "a long evening by the stove";
/// Nobody calls from here, whatever the log says.
const INNOCENT: &str = "198.51.100.1";

/// The filter.
struct Filter {
    fails: Vec<Regex>,
    ignores: Vec<Regex>,
    dates: Vec<Regex>,
}

impl Filter {
    fn read() -> Self {
        let page = read("docs/deploy/fail2ban/filter.d/inkring.conf");
        let mut found: BTreeMap<&str, Vec<Regex>> = BTreeMap::new();
        let mut option = "";
        for line in page.lines().filter(|line| !line.starts_with(['#', '['])) {
            let mut value = line.trim();
            if !value.is_empty() && !line.starts_with(' ') {
                (option, value) = line.split_once(" = ").unwrap_or_else(|| panic!("{line}"));
            }
            if !value.is_empty() && option != "journalmatch" {
                found.entry(option).or_default().push(pattern(value));
            }
        }
        let mut take = |option| found.remove(option).unwrap_or_else(|| panic!("there is no {option}"));
        let [fails, ignores, dates] = ["failregex", "ignoreregex", "datepattern"].map(&mut take);
        assert!(found.is_empty(), "{found:?}");
        Self { fails, ignores, dates }
    }

    /// The address that a line has failed by.
    fn address(&self, line: &str) -> Option<String> {
        let date = self.dates.iter().find_map(|date| date.find(line));
        let rest = date.map_or_else(|| line.to_owned(), |date| [&line[..date.start()], &line[date.end()..]].concat());
        if self.ignores.iter().any(|ignored| ignored.is_match(&rest)) {
            return None;
        }
        let found = self.fails.iter().find_map(|fail| fail.captures(&rest))?;
        Some(found["address"].to_owned())
    }

    /// How often each address has failed, by these lines.
    fn addresses(&self, lines: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
        let mut found = BTreeMap::new();
        for address in lines.filter_map(|line| self.address(&line)) {
            *found.entry(address).or_default() += 1;
        }
        found
    }
}

/// An expression of fail2ban as one of ours.
fn pattern(text: &str) -> Regex {
    let tags = [
        ("<ADDR>", "(?P<address>[0-9A-Fa-f:.]+)"),
        ("%%Y", "[0-9]{4}"),
        ("%%m", "[0-9]{2}"),
        ("%%d", "[0-9]{2}"),
        ("%%H", "[0-9]{2}"),
        ("%%M", "[0-9]{2}"),
        ("%%S", "[0-9]{2}"),
        ("%%f", "[0-9]{1,6}"),
        ("%%z", "(?:Z|UTC|[+-][0-9]{2}:?[0-9]{2})"),
    ];
    let text = tags.iter().fold(text.to_owned(), |text, (tag, means)| text.replace(tag, means));
    let is_tag = |after: &str| after.starts_with(|letter: char| letter.is_ascii_uppercase());
    assert!(!text.contains('%') && !text.split('<').skip(1).any(is_tag), "{text}: a tag that this does not know");
    Regex::new(&text).unwrap_or_else(|error| panic!("{error}"))
}

/// A line as fail2ban has it from the journal, which keeps the time and, of lines for people, their level.
fn in_journal(line: &str) -> String {
    let line = if line.starts_with('{') { line } else { line.split_once(' ').unwrap().1 };
    format!("box inkring[4711]: {line}")
}

/// Whoever asks from this address, by a proxy that is trusted.
fn ask(client: &mut Client, from: &str, target: &str, headers: &[(&str, &str)]) -> u16 {
    client.request("GET", target, &[&[("X-Forwarded-For", from)], headers].concat(), b"").status
}

/// Has a server log what fails and what does not, what is made to look like it, and everything in its last line.
fn provoke(server: &Server) {
    let mut client = server.connect();
    let good = format!("Bearer {}", token(&json!({ "sub": "alice", "exp": 4_000_000_000_u64 })));
    let expired = format!("Bearer {}", token(&json!({ "sub": "alice", "exp": 1_000_000_000 })));
    let early = format!("Bearer {}", token(&json!({ "sub": "alice", "nbf": 4_000_000_000_u64 })));
    for _ in 0..3 {
        assert_eq!(ask(&mut client, "203.0.113.9", DRAFTS, &[("Authorization", "Bearer x.y.z")]), 401);
    }
    assert_eq!(ask(&mut client, "2001:db8::7", DRAFTS, &[("Authorization", "Bearer x")]), 401);
    let body = json!({ "password": "wrong" }).to_string();
    let headers = [("X-Forwarded-For", "203.0.113.10"), ("Content-Type", "application/json")];
    assert_eq!(client.request("POST", "/api/session", &headers, body.as_bytes()).status, 401);
    // A socket is told in a frame, and has failed all the same.
    let mut socket = server.connect();
    socket.send(
        "GET /v1/ws/drafts/x?access_token=x HTTP/1.1\r\nHost: t\r\nX-Forwarded-For: 203.0.113.11\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    );
    assert_eq!(socket.answer().status, 101);

    // None of these has failed.
    assert_eq!(ask(&mut client, INNOCENT, DRAFTS, &[("Authorization", &good)]), 200);
    assert_eq!(ask(&mut client, INNOCENT, DRAFTS, &[]), 401);
    assert_eq!(ask(&mut client, INNOCENT, DRAFTS, &[("Authorization", &expired)]), 401);
    assert_eq!(ask(&mut client, INNOCENT, DRAFTS, &[("Authorization", &early)]), 401);
    assert_eq!(ask(&mut client, INNOCENT, "/nowhere", &[]), 404);
    // Texts that look like a line which says that another has, or like one that is to be ignored, wherever a client can put one.
    let stamp = "2026-11-30T00:00:00Z";
    for lie in [
        format!(
            "{{\"timestamp\":\"{stamp}\",\"level\":\"INFO\",\"logger\":\"inkring\",\"message\":\"auth.failed\",\"ip\":\"{INNOCENT}\",\"reason\":\"x\"}}"
        ),
        format!(
            "\",\"level\":\"INFO\",\"logger\":\"inkring\",\"message\":\"auth.failed\",\"ip\":\"{INNOCENT}\",\"reason\":\"x\""
        ),
        format!("{stamp} INFO  auth.failed ip={INNOCENT} reason=x"),
        format!("INFO auth.failed ip={INNOCENT} reason=x"),
        format!("auth.failed ip={INNOCENT} reason=expired request_id=x"),
    ] {
        let escaped: String = format!("\n{lie}").bytes().map(|byte| format!("%{byte:02X}")).collect();
        for target in [format!("/{escaped}"), format!("{DRAFTS}/{escaped}"), format!("{DRAFTS}?{escaped}")] {
            let headers =
                [("X-Request-Id", lie.as_str()), ("X-User-Id", &lie), ("User-Agent", &lie), ("Referer", &lie)];
            let status = ask(&mut client, INNOCENT, &target, &headers);
            assert!([200, 400, 401, 404, 422].contains(&status), "{status}");
        }
        let from = format!("{lie}, {INNOCENT}");
        assert_eq!(ask(&mut client, &from, "/nowhere", &[]), 404);
        // And what a token that is not good says of itself is no way out.
        let headers = [("Authorization", "Bearer x"), ("X-Request-Id", lie.as_str())];
        assert_eq!(ask(&mut client, "203.0.113.12", DRAFTS, &headers), 401);
    }
    client.request("GET", "/later", &[("X-Request-Id", "the-last")], b"");
    wait_for(|| server.log().lines().any(|line| line.contains("the-last")).then_some(()));
}

const SETTINGS: [(&str, &str); 4] = [
    ("JWT_SECRET", KEY),
    ("TRUSTED_PROXIES", "127.0.0.1"),
    ("AUTH_TRUST_USER_HEADER", "true"),
    ("HOUSEHOLD_PASSWORD", PASSWORD),
];

/// Who has failed, and how often, after [`provoke`].
fn failed() -> BTreeMap<String, usize> {
    let failed =
        [("203.0.113.9", 3), ("2001:db8::7", 1), ("203.0.113.10", 1), ("203.0.113.11", 1), ("203.0.113.12", 5)];
    failed.map(|(address, times)| (address.to_owned(), times)).into()
}

#[test]
fn the_filter_finds_who_fails_and_nobody_else() {
    let filter = Filter::read();
    for format in ["json", "pretty"] {
        let server = Server::with(&[&SETTINGS[..], &[("LOG_FORMAT", format)]].concat());
        provoke(&server);
        let log = server.log();
        assert_eq!(filter.addresses(log.lines().map(str::to_owned)), failed(), "{format}, in a file");
        assert_eq!(filter.addresses(log.lines().map(in_journal)), failed(), "{format}, in the journal");
    }
}

#[test]
fn who_tries_the_operators_token_is_found() {
    let operated = Operated::with(&[("OPS_TOKEN", OPS_TOKEN)]);
    let headers = [("Authorization", "Bearer no"), ("X-Forwarded-For", INNOCENT)];
    assert_eq!(operated.ask("GET", "/status", "localhost", &headers, b"").status, 401);
    operated.server.wait_for_log(|line| line["message"] == "auth.failed" && line["reason"] == "ops_token");
    let found = Filter::read().addresses(operated.server.log().lines().map(str::to_owned));
    // Of where its callers come from the plane believes nobody.
    assert_eq!(found, BTreeMap::from([("127.0.0.1".to_owned(), 1)]));
}

#[test]
fn addresses_stay_out_of_the_log_where_they_are_not_wanted() {
    let server = Server::with(&[&SETTINGS[..], &[("LOG_CLIENT_ADDRESS", "false")]].concat());
    provoke(&server);
    for line in server.log().lines().filter(|line| !line.contains("the-last")) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line.get("ip").is_none() && line.get("peer").is_none(), "{line}");
    }
    assert!(server.log().contains("\"auth.failed\""));
}

#[test]
fn the_jail_is_of_the_filter() {
    let jail = read("docs/deploy/fail2ban/jail.d/inkring.conf");
    for line in ["[inkring]", "enabled = true", "filter = inkring", "backend = systemd"] {
        assert!(jail.lines().any(|known| known == line), "{line}");
    }
    let filter = read("docs/deploy/fail2ban/filter.d/inkring.conf");
    assert!(filter.contains("\njournalmatch = _SYSTEMD_UNIT=inkring.service\n"));
}
