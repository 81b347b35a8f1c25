//! What the original's own tests and scripts pin (contract 04 §4 and §7), asked of a server as they ask theirs.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::http::{Answer, Client};
use crate::support::socket::Socket;
use crate::support::{Server, household};

const IDS: [&str; 7] = ["ci", "kazkar", "podija", "nastrij", "malya", "gallery", "calendar"];

fn post(client: &mut Client, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let headers = [&[("content-type", "application/json")], headers].concat();
    client.request("POST", path, &headers, body.to_string().as_bytes())
}

/// A path that is there however it is spelt and asked for: what GET says.
fn there(client: &mut Client, path: &str) -> Answer {
    let other = path.strip_suffix('/').map_or_else(|| format!("{path}/"), str::to_owned);
    for spelling in [path, &other].into_iter().filter(|spelling| !matches!(*spelling, "" | "//")) {
        let answer = client.get(spelling, None);
        assert_eq!((answer.status, answer.header("location")), (200, None), "{spelling}");
        let head = client.request("HEAD", spelling, &[], b"");
        assert_eq!((head.status, head.text()), (200, ""), "HEAD {spelling}");
    }
    client.get(path, None)
}

#[test]
fn the_smoke_list_is_answered_with_and_without_a_slash_and_by_head() {
    let server = household();
    let mut client = server.connect();
    assert_eq!(there(&mut client, "/health").json()["status"], "ok");
    // Within a second, of which a machine that is busy with other things has one in ten.
    let waits = (0..10).map(|_| {
        let began = Instant::now();
        client.get("/health", None).expect(200);
        began.elapsed()
    });
    assert!(waits.min().unwrap() < Duration::from_secs(1));
    let ready = there(&mut client, "/ready").json();
    assert_eq!((&ready["status"], &ready["deps"]["env"]), (&json!("ready"), &json!("ok")));
    assert!(!ready["checks"].to_string().contains("failed"), "{ready}");
    let monitoring = &ready["checks"]["monitoring"];
    assert_eq!((&monitoring["sentry_enabled"], &monitoring["environment"]), (&json!(false), &json!("development")));
    let root = there(&mut client, "/").json();
    assert_eq!(root["modules"].as_array().unwrap().len(), 7);
    assert!(root["status"] == "success" && root["version"].is_string() && root["docs"].is_string(), "{root}");
    assert!(there(&mut client, "/api/docs").text().contains("CIMEIKA API"));
    assert_eq!(there(&mut client, "/api/v1/modules/").json(), json!({ "status": "success", "modules": IDS }));
    let status = there(&mut client, "/api/v1/modules/status").json();
    for id in IDS {
        let module = &status["modules"][id];
        assert_eq!(
            (&module["status"], &module["name"], &module["initialized"]),
            (&json!("active"), &json!(id), &json!(true))
        );
        let one = there(&mut client, &format!("/api/v1/modules/{id}/status")).json();
        assert_eq!((&one["status"], &one["module"], &one["data"]["name"]), (&json!("success"), &json!(id), &json!(id)));
        let metadata = there(&mut client, &format!("/api/v1/modules/{id}/metadata")).json();
        assert_eq!((&metadata["data"]["name"], &metadata["data"]["version"]), (&json!(id), &json!("0.1.0")));
        let of_module = there(&mut client, &format!("/api/v1/{id}/")).json();
        assert_eq!((&of_module["module"], &of_module["status"]), (&json!(id), &json!("active")));
        assert!(of_module["name"].is_string() && of_module["description"].is_string(), "{of_module}");
    }
    assert_eq!(status["modules"].as_object().unwrap().len(), 7);
    let unknown = client.get("/api/v1/modules/unknown/status", None).expect(404);
    assert!(unknown["detail"].as_str().unwrap().contains("not found"), "{unknown}");
    assert!(there(&mut client, "/health").json()["version"].is_string());
}

#[test]
fn the_protocol_says_which_names_are_those_of_another_program() {
    let page = crate::repository::read("docs/PROTOCOL.md");
    let (_, rest) = page.split_once("\n## Compatibility\n").unwrap();
    let (section, _) = rest.split_once("\n## ").unwrap();
    let server = Server::with(&[("JWT_SECRET", "only for the tests of names, and long enough")]);
    let mut client = server.connect();
    let says = |value: &Value| assert!(section.contains(&format!("`{}`", value.as_str().unwrap())), "{value}");
    for path in ["/", "/health", "/ready"] {
        let body = client.get(path, None).json();
        says(&json!(format!("GET {path}")));
        says(&body["message"]);
        says(&body["version"]);
    }
    says(&client.get("/api/openapi.json", None).json()["info"]["title"]);
    says(&client.get("/api/status", None).json()["розгортання"]);
    let nobody = client.get("/v1/collab/drafts", None).expect(401);
    says(&nobody["error"]["code"]);
    assert!(nobody["error"]["message"].is_object(), "{nobody}");
    let headers = [("Authorization", "Bearer x.y.z")];
    let bad = client.request("GET", "/v1/collab/drafts", &headers, b"").expect(401);
    says(&bad["error"]["message"]);
}

#[test]
fn probes_are_never_refused_and_rapid_calls_are_in_the_end() {
    let server = Server::start();
    let mut client = server.connect();
    for path in ["/health", "/ready", "/"] {
        for _ in 0..200 {
            assert_eq!(client.get(path, None).status, 200, "{path}");
        }
    }
    let first = client.get("/api/v1/modules/", None);
    assert_eq!(first.header("x-ratelimit-limit-minute"), Some("60"));
    assert_eq!(first.header("x-ratelimit-limit-hour"), Some("1000"));
    let statuses: Vec<u16> = (0..65).map(|_| client.get("/api/v1/modules/", None).status).collect();
    assert_eq!(statuses.iter().position(|status| *status == 429), Some(59), "{statuses:?}");
    let refused = client.get("/api/v1/modules/", None);
    let body = refused.expect(429);
    assert!(body["error"] == "rate_limit_exceeded" && body["message"].is_string(), "{body}");
    assert!(refused.header("retry-after").is_some_and(|seconds| seconds.parse::<u64>().is_ok()));
}

#[test]
fn the_status_has_its_keys() {
    let server = Server::with(&[("CIMEIKA_PARTICIPANT_KEY", "a-key")]);
    let mut client = server.connect();
    let status = client.get("/api/status", None).expect(200);
    for (key, value) in [
        ("active_persona", json!("ci")),
        ("активні_персони", json!(5)),
        ("розгортання", json!("HuggingFace / Docker")),
        ("статус", json!("running")),
        ("версія", json!("2.2.1")),
        ("timezone", json!("Europe/Kyiv")),
        ("participant_api", json!({ "enabled": true, "last_call_at": null })),
    ] {
        assert_eq!(status[key], value, "{key}");
    }
    for key in ["загальна_кількість_взаємодій", "requests_last_5m", "errors_last_5m"] {
        assert!(status[key].is_u64(), "{key}: {status}");
    }
    let uptime: Vec<&str> = status["uptime"].as_str().unwrap().split(':').collect();
    assert!(uptime.len() == 3 && uptime.iter().all(|part| part.len() == 2 && part.parse::<u8>().is_ok()), "{uptime:?}");
    for key in ["utc_time", "local_time"] {
        let time = status[key].as_str().unwrap();
        assert!(time.parse::<jiff::Timestamp>().is_ok() && time.as_bytes()[19] == b'.', "{time}");
    }
}

#[test]
fn the_participant_recognises_what_the_originals_does() {
    let server = Server::with(&[("CIMEIKA_PARTICIPANT_KEY", "a-key")]);
    let mut client = server.connect();
    let ask = |client: &mut Client, body: &Value| {
        post(client, "/api/participant/message", &[("X-API-KEY", "a-key")], body).expect(200)
    };
    let of =
        |text: &str| json!({ "conversation_id": "c", "mode": "analysis", "topic": "CI", "input": { "text": text } });
    let count = |client: &mut Client| {
        client.get("/api/status", None).expect(200)["загальна_кількість_взаємодій"].as_u64().unwrap()
    };
    let before = count(&mut client);
    let lock = ask(&mut client, &of("Error: Dependencies lock file is not found (npm)"));
    assert_eq!(count(&mut client) - before, 2, "the question, and asking for the count");
    let said = lock["message"].as_str().unwrap().to_lowercase();
    assert!(said.contains("lockfile") || said.contains("npm"), "{said}");
    assert_eq!((&lock["participant"], &lock["outputs"]["patch_unified_diff"]), (&json!("cimeika-api"), &Value::Null));
    for action in lock["outputs"]["actions"].as_array().unwrap() {
        assert!(["suggest", "check", "patch"].contains(&action["type"].as_str().unwrap()), "{action}");
        assert!(action["title"].is_string() && action["details"].is_string(), "{action}");
    }
    let node = ask(&mut client, &of("npm ERR! Unable to find Node version '21' for platform linux"));
    assert_eq!(node["severity"], "error");
    let nothing = ask(&mut client, &of("all went well"));
    let said = nothing["message"].as_str().unwrap().to_lowercase();
    assert!(nothing["severity"] == "info" && (said.contains("no recognized") || said.contains("review")), "{nothing}");
    for mode in ["analysis", "autofix", "logger"] {
        let mut body = of("nothing");
        body["mode"] = mode.into();
        assert!(ask(&mut client, &body)["outputs"]["patch_unified_diff"].is_null(), "{mode}");
    }
    let mut with_artifact = of("see the log");
    with_artifact["input"]["artifacts"] =
        json!([{ "name": "log.txt", "content_base64": "bm9ybWFsClVuYWJsZSB0byBmaW5kIE5vZGUgdmVyc2lvbg==" }]);
    with_artifact["input"]["metadata"] = json!({ "source": "ci-cd", "repo": "r", "run_id": "1", "pr": "2" });
    assert_eq!(ask(&mut client, &with_artifact)["message"], node["message"], "the log is in the artifact");
}

#[test]
fn the_originals_scripts_find_what_they_look_for() {
    let server = household();
    let mut client = server.connect();
    for path in ["/", "/health", "/api/v1/modules"] {
        assert_eq!(client.get(path, None).status, 200, "{path}");
    }
    assert!(client.get("/api/v1/modules", None).json()["modules"].is_array());
    assert_eq!(client.get("/api/v1/kazkar/", None).json()["name"], "Казкар");
    assert_eq!(client.get("/api/v1/kazkar/legends", None).expect(200), json!([]));
    let asked = client.request("OPTIONS", "/api/v1/kazkar/import", &[], b"");
    assert!([200, 405].contains(&asked.status), "{}", asked.status);
    let (opened, mut socket) = Socket::open(&server, "/ws/kazkar", &[]);
    assert_eq!((opened.status, &socket.json()["event"]), (101, &json!("connected")));
    let legend = |title: &str| json!({ "title": title, "content": "C", "story_type": "legend", "tags": ["a"], "source_trace": "legends/one.md" });
    let made = post(&mut client, "/api/v1/kazkar/import", &[], &legend("L")).expect(200);
    let again = post(&mut client, "/api/v1/kazkar/import", &[], &legend("M")).expect(200);
    assert_eq!((&again["id"], &again["title"], &again["time"]), (&made["id"], &json!("M"), &made["time"]));
    assert_eq!(client.get("/api/v1/kazkar/legends", None).expect(200), json!([again]));
    for (what, title) in [("created", "L"), ("updated", "M")] {
        let said = socket.json();
        assert_eq!((&said["event"], &said["data"]["title"]), (&json!(format!("legend_{what}")), &json!(title)));
    }
}

#[test]
fn what_a_story_says_nothing_of_has_the_originals_defaults() {
    let server = household();
    let mut client = server.connect();
    let stories = "/api/v1/kazkar/stories";
    let made =
        post(&mut client, stories, &[], &json!({ "title": "T", "content": "C", "story_type": "legend" })).expect(200);
    assert_eq!(made["story_type"], "legend");
    for key in ["participants", "location", "source_trace"] {
        assert_eq!(made[key], Value::Null, "{key}");
    }
    assert_eq!((&made["tags"], &made["module"]), (&json!([]), &json!("kazkar")));
    let headers = [("content-type", "application/json")];
    let changed = client.request("PUT", &format!("{stories}/1"), &headers, br#"{"location":"Lviv"}"#).expect(200);
    let mut expected = made;
    expected["location"] = json!("Lviv");
    assert_eq!(changed, expected, "nothing but what is named is changed");
    assert_eq!(client.request("PUT", &format!("{stories}/1"), &headers, b"{}").expect(200), expected);
}

#[test]
fn answers_of_every_kind_say_which_pages_may_read_them_and_what_browsers_may_do() {
    let server = Server::with(&[("HOUSEHOLD_PASSWORD", "вечірня пошта сім"), ("MODULES_LIMIT_PER_MINUTE", "60")]);
    let mut client = server.connect();
    let page = ("origin", "http://localhost:3000");
    let mut statuses = Vec::new();
    for (method, path, body) in [
        ("GET", "/api/v1/modules/", ""),
        ("GET", "/api/v1/nothing", ""),
        ("GET", "/api/v1/modules/x/status", ""),
        ("DELETE", "/api/v1/modules/", ""),
        ("POST", "/api/session", "{"),
        ("GET", "/api/v1/kazkar/stories", ""),
    ] {
        for (origin, allowed) in [(page, Some(page.1)), (("origin", "https://evil.example"), None)] {
            let headers: Vec<_> = [origin]
                .into_iter()
                .chain((!body.is_empty()).then_some(("content-type", "application/json")))
                .collect();
            let answer = client.request(method, path, &headers, body.as_bytes());
            statuses.push(answer.status);
            assert_eq!(answer.header("access-control-allow-origin"), allowed, "{method} {path}: {}", answer.status);
            assert_eq!(answer.header("access-control-allow-credentials"), Some("true"), "{path}");
            for (name, value) in
                [("x-content-type-options", "nosniff"), ("x-frame-options", "DENY"), ("referrer-policy", "no-referrer")]
            {
                assert_eq!(answer.header(name), Some(value), "{method} {path}: {}", answer.status);
            }
            assert!(answer.header("content-security-policy").is_some(), "{path}");
        }
    }
    assert_eq!(statuses, [200, 200, 404, 404, 404, 404, 405, 405, 422, 403, 401, 401]);
    let ask =
        [page, ("access-control-request-method", "PUT"), ("access-control-request-headers", "content-type,if-match")];
    let allowed = client.request("OPTIONS", "/api/v1/kazkar/stories/1", &ask, b"");
    assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (200, Some(page.1)));
    assert!(allowed.header("access-control-allow-methods").unwrap().contains("PUT"));
    assert_eq!(allowed.header("access-control-max-age"), Some("600"));
    let ask = [("origin", "https://evil.example"), ("access-control-request-method", "PUT")];
    let denied = client.request("OPTIONS", "/api/v1/kazkar/stories/1", &ask, b"");
    assert_eq!((denied.status, denied.header("access-control-allow-origin")), (400, None));
}
