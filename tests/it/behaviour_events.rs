//! Behaviour metrics at the wire: events in, the snapshot and health out (contract 02 §1, §6), from pages of
//! other origins and from people who do not want to be counted.

use std::time::Duration;

use inkring::behaviour::lines_of;
use inkring::clock::Timestamp;
use inkring::net::client::{Ask, Remote};
use serde_json::{Value, json};

use crate::behaviour_house::{EVENT, FREELY, HEALTH, Here, SNAPSHOT, event, files};
use crate::gate::once;
use crate::support::{Answer, Client, PATIENCE};

const SEED: &str = r#"{"visitor_id":"smoke-test","event":"page_view","metadata":{}}"#;
const JSON: (&str, &str) = ("Content-Type", "application/json");
const TEXT: (&str, &str) = ("Content-Type", "text/plain;charset=UTF-8");
const PAGE: (&str, &str) = ("Origin", "https://blog.example");
const OPEN_TO_PAGE: (&str, &str) = ("ALLOWED_ORIGINS", "https://blog.example");

fn send(client: &mut Client, headers: &[(&str, &str)], body: &str) -> Answer {
    client.request("POST", EVENT, headers, body.as_bytes())
}

fn taken(stored: u64) -> Value {
    json!({ "ok": true, "stored": stored, "file": "metrics.jsonl" })
}

#[test]
fn an_event_is_in_the_file_when_it_is_answered() {
    let mut here = Here::with(&[]);
    let mut client = here.client();
    let answer = send(&mut client, &[JSON, ("User-Agent", "curl/8.5")], SEED);
    assert_eq!((answer.status, answer.text()), (202, r#"{"ok":true,"stored":1,"file":"metrics.jsonl"}"#));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let at = here.clock.now().offset_style().to_string().replace("+00:00", "Z");
    let line = format!(
        "{{\"visitor_id\": \"smoke-test\", \"event\": \"page_view\", \"timestamp\": \"{at}\", \"metadata\": {{}}, \
         \"user_agent\": \"curl/8.5\", \"received_at\": \"{at}\"}}\n"
    );
    assert_eq!(here.text(), line);
    let body = json!({
        "visitor_id": "  v-абвгд\n", "event": " перегляд ", "timestamp": "2025-10-09T12:34:56.5+03:00",
        "metadata": { "path": "/літо", "n": [1, { "deep": null }] }, "user_agent": "",
    });
    send(&mut client, &[JSON, ("User-Agent", "curl/8.5")], &body.to_string()).expect(202);
    let second = "{\"visitor_id\": \"v-абвгд\", \"event\": \"перегляд\", \"timestamp\": \"2025-10-09T09:34:56.500000Z\", \
                  \"metadata\": {\"path\": \"/літо\", \"n\": [1, {\"deep\": null}]}, \"user_agent\": \"\", ";
    assert!(here.text().ends_with(&format!("{second}\"received_at\": \"{at}\"}}\n")), "{}", here.text());
    let shown = here.get(SNAPSHOT);
    assert_eq!(shown["last_events"][0]["timestamp"], "2025-10-09T09:34:56.500000Z");
    assert_eq!(shown["file_size_bytes"], here.text().len());
    assert_eq!(client.get(&format!("{SNAPSHOT}/"), None).expect(200), shown, "with a slash at the end as well");
    here.stop();
}

#[test]
fn what_is_ready_together_is_written_together_and_answered_each_by_itself() {
    let mut here = Here::with(&FREELY);
    let mut clients: Vec<Client> = (0..30).map(|_| here.client()).collect();
    // Some have a hundred events, more than is gathered of one turn; one is none.
    let events = |number: usize| if number.is_multiple_of(3) { 100 } else { 1 };
    let metadata = json!({ "text": "x".repeat(500) });
    for (number, client) in clients.iter_mut().enumerate() {
        let mut lines = String::new();
        for nth in 0..events(number) {
            let id = if number == 7 { "short".to_owned() } else { format!("v-{number:03}-{nth:03}") };
            lines += &format!("{}\n", json!({ "visitor_id": id, "event": "x", "metadata": metadata }));
        }
        let length = lines.len();
        client.send(format!("POST {EVENT} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{lines}"));
    }
    let mut expected = Vec::new();
    for (number, client) in clients.iter_mut().enumerate() {
        let answer = client.answer();
        if number == 7 {
            answer.expect_error(422);
            continue;
        }
        assert_eq!(answer.expect(202)["stored"], events(number));
        expected.extend((0..events(number)).map(|nth| format!("v-{number:03}-{nth:03}")));
    }
    let text = here.text();
    let mut ids: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["visitor_id"].as_str().unwrap().to_owned())
        .collect();
    let of_one: Vec<&String> = ids.iter().filter(|id| id.starts_with("v-003-")).collect();
    assert!(of_one.is_sorted(), "those of one body stay in their order");
    ids.sort();
    assert_eq!(ids, expected, "none is lost, and none is there twice");
    let shown = here.get(&format!("{SNAPSHOT}?limit=1"));
    assert_eq!(shown["total"], 500);
    here.stop();
}

#[test]
fn a_file_of_ones_own_choice_is_named_as_it_was_configured() {
    let server = crate::support::Server::with(&[("METRICS_DIR", "./events")]);
    let answer = server.connect().post(EVENT, None, &event("v-0001a"));
    assert_eq!(answer.expect(202)["file"], "events/metrics.jsonl");
    assert_eq!(files(&server.directory.path().join("events")).len(), 1);
}

#[test]
fn what_is_wrong_is_said_and_changes_nothing() {
    let mut here = Here::with(&FREELY);
    let mut client = here.client();
    send(&mut client, &[JSON], SEED).expect(202);
    let before = (here.text(), here.get(SNAPSHOT));
    let deep =
        format!(r#"{{"visitor_id":"v-0001a","event":"x","metadata":{{"a":{}1{}}}}}"#, "[".repeat(70), "]".repeat(70));
    for (body, kind, field) in [
        (r#"{"visitor_id":"12345","event":"x"}"#, "string_too_short", "visitor_id"),
        (&*format!(r#"{{"visitor_id":"{}","event":"x"}}"#, "x".repeat(65)), "string_too_long", "visitor_id"),
        (r#"{"visitor_id":123456,"event":"x"}"#, "string_type", "visitor_id"),
        (r#"{"event":"x"}"#, "missing", "visitor_id"),
        (r#"{"visitor_id":"v-0001a","event":"  "}"#, "string_too_short", "event"),
        (r#"{"visitor_id":"v-0001a","event":"x","metadata":[]}"#, "dict_type", "metadata"),
        (r#"{"visitor_id":"v-0001a","event":"x","metadata":null}"#, "dict_type", "metadata"),
        (r#"{"visitor_id":"v-0001a","event":"x","timestamp":null}"#, "datetime_type", "timestamp"),
        (r#"{"visitor_id":"v-0001a","event":"x","timestamp":"2025-13-01"}"#, "datetime_from_date_parsing", "timestamp"),
        (r#"{"visitor_id":"v-0001a","event":"x","user_agent":{}}"#, "string_type", "user_agent"),
        (r#"{"visitor_id":"v-0001a","event":"x","metadata":{"n":NaN}}"#, "json_invalid", ""),
        (r#"{"visitor_id":"v-0001a","event":"x","metadata":{"n":1e400}}"#, "json_invalid", ""),
        (r#"{"visitor_id":"v-0001a","event":"x","metadata":{"s":"\ud800"}}"#, "json_invalid", ""),
        (&deep, "json_invalid", ""),
        ("{", "json_invalid", ""),
        ("", "missing", ""),
        ("[]", "too_short", ""),
        ("\"text\"", "model_attributes_type", ""),
    ] {
        let answer = send(&mut client, &[JSON, ("Content-Length", "0")][..1 + usize::from(body.is_empty())], body);
        let (code, message) = answer.expect_error(422);
        assert_eq!(code, "validation_error", "{body}");
        let detail = answer.json()["detail"].clone();
        assert_eq!((detail.as_array().unwrap().len(), &detail[0]["type"]), (1, &json!(kind)), "{body}");
        assert_eq!(detail[0]["loc"][0], "body");
        if !field.is_empty() {
            assert_eq!(detail[0]["loc"][1], field, "{body}");
        }
        assert!(!message.contains("12345"), "what was sent is in the details and not in the log: {message}");
    }
    let two = send(&mut client, &[JSON], r#"{"event":7}"#).expect(422);
    assert_eq!(two["detail"].as_array().unwrap().len(), 2, "all at once: {two}");
    assert_eq!((here.text(), here.get(SNAPSHOT)), before);
    for method in ["GET", "PUT", "DELETE"] {
        let answer = client.request(method, EVENT, &[], b"");
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method}");
    }
    here.stop();
}

#[test]
fn the_ring_keeps_the_newest_and_starts_with_those_of_the_file() {
    let mut here = Here::with(&FREELY);
    let mut client = here.client();
    for number in 0..507 {
        let name = if number % 2 == 0 { "even" } else { "odd" };
        let body = json!({ "visitor_id": format!("v-{number:06}"), "event": name });
        send(&mut client, &[JSON], &body.to_string()).expect(202);
    }
    let shown = here.get(&format!("{SNAPSHOT}?limit=500"));
    assert_eq!((&shown["total"], &shown["window"]), (&json!(500), &json!(500)));
    let ids: Vec<&str> =
        shown["last_events"].as_array().unwrap().iter().map(|event| event["visitor_id"].as_str().unwrap()).collect();
    assert_eq!((ids[0], ids[499]), ("v-000506", "v-000007"), "newest first, and the oldest are gone");
    assert_eq!(shown["by_event"], json!([{ "event": "odd", "count": 250 }, { "event": "even", "count": 250 }]));
    let few = here.get(&format!("{SNAPSHOT}?limit=3"));
    assert_eq!(few["by_event"], json!([{ "event": "even", "count": 2 }, { "event": "odd", "count": 1 }]));
    assert_eq!((&few["total"], few["last_events"].as_array().unwrap().len()), (&json!(500), 3));
    assert_eq!(here.get(SNAPSHOT)["window"], 50, "unless asked for otherwise");
    here.stop();
    here.launch();
    assert_eq!(here.get(&format!("{SNAPSHOT}?limit=500")), shown, "a restart forgets nothing");
    here.stop();
}

#[test]
fn limits_of_the_snapshot_are_its_capacity() {
    let mut here = Here::with(&[("METRICS_RING_CAPACITY", "7")]);
    let empty = json!({ "total": 0, "by_event": [], "last_events": [], "file_size_bytes": null, "window": 0 });
    assert_eq!(here.get(SNAPSHOT), empty, "without a limit at any capacity");
    for (limit, kind) in [
        ("0", "greater_than_equal"),
        ("-1", "greater_than_equal"),
        ("8", "less_than_equal"),
        ("99999999999999999999", "less_than_equal"),
        ("abc", "int_parsing"),
        ("", "int_parsing"),
    ] {
        let answer = here.client().get(&format!("{SNAPSHOT}?limit={limit}"), None).expect(422);
        assert_eq!(
            (&answer["detail"][0]["type"], &answer["detail"][0]["loc"]),
            (&json!(kind), &json!(["query", "limit"]))
        );
    }
    here.get(&format!("{SNAPSHOT}?limit=7"));
    here.stop();
}

#[test]
fn a_burst_is_limited_as_by_nginx_and_only_that() {
    // The other limits of the server do not count it, nor it them.
    let mut here = Here::with(&[("RATE_LIMIT_ENABLED", "true"), ("RATE_LIMIT_BURST_DEFAULT", "1"), OPEN_TO_PAGE]);
    let mut client = here.client();
    let preflight = [PAGE, ("Access-Control-Request-Method", "POST")];
    for _ in 0..30 {
        assert_eq!(client.request("OPTIONS", EVENT, &preflight, b"").status, 200);
    }
    let large = "x".repeat(65_537);
    for _ in 0..5 {
        assert_eq!(send(&mut here.client(), &[JSON], &large).status, 413);
    }
    // Good or not: what is malformed counts as well.
    let burst = |count: usize, client: &mut Client| -> Vec<u16> {
        (0..count).map(|nth| send(client, &[JSON, PAGE], if nth == 2 { "{" } else { SEED }).status).collect()
    };
    let answers = burst(25, &mut client);
    let count = |answers: &[u16], status| answers.iter().filter(|known| **known == status).count();
    assert_eq!([202, 422, 429].map(|status| count(&answers, status)), [10, 1, 14], "{answers:?}");
    let refused = send(&mut client, &[JSON, PAGE], SEED);
    assert_eq!(refused.expect_error(429).0, "rate_limited");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(once("access-control-allow-origin", &refused), PAGE.1, "so that the page can read it");
    here.advance(Duration::from_secs(1));
    assert_eq!(count(&burst(10, &mut client), 429), 5, "five have leaked away");
    let batch = format!("[{}]", [SEED; 100].join(","));
    assert_eq!(send(&mut client, &[JSON], &batch).status, 429);
    here.advance(Duration::from_millis(200));
    assert_eq!(send(&mut client, &[JSON], &batch).expect(202)["stored"], 100, "a batch costs one");
    assert_eq!(client.get(SNAPSHOT, None).status, 200, "the one request that its own limit allows");
    assert_eq!(client.get(SNAPSHOT, None).status, 429);
    (0..20).for_each(|_| assert_eq!(client.get(HEALTH, None).status, 200));
    here.reload(&[("METRICS_RATE_PER_SECOND", "0")]);
    here.advance(Duration::from_secs(3600));
    assert_eq!(send(&mut client, &[JSON], SEED).status, 429, "the emergency brake");
    here.reload(&[("METRICS_BURST", "0")]);
    assert_eq!([0; 2].map(|_| send(&mut client, &[JSON], SEED).status), [202, 429], "one at a time");
    here.advance(Duration::from_millis(200));
    assert_eq!([0; 2].map(|_| send(&mut client, &[JSON], SEED).status), [202, 429]);
    here.stop();
}

#[test]
fn clients_of_a_trusted_proxy_have_each_a_bucket() {
    let mut here = Here::with(&[("TRUSTED_PROXIES", "127.0.0.1")]);
    let mut client = here.client();
    for home in ["192.0.2.1", "192.0.2.2"] {
        let from = [JSON, ("X-Forwarded-For", home)];
        let passed = (0..25).filter(|_| send(&mut client, &from, SEED).status == 202).count();
        assert_eq!(passed, 11, "{home}");
    }
    here.stop();
}

#[test]
fn a_body_of_64_kib_is_read_and_one_byte_more_is_not() {
    let mut here = Here::with(&[OPEN_TO_PAGE]);
    let around = r#"{"visitor_id":"v-0001a","event":"x","metadata":{"s":""}}"#.len();
    let body = |bytes: usize| json!({"visitor_id":"v-0001a","event":"x","metadata":{"s":"x".repeat(bytes - around)}});
    here.post(&body(65_536)).expect(202);
    assert_eq!(here.get(SNAPSHOT)["last_events"][0]["metadata"]["s"].as_str().unwrap().len(), 65_536 - around);
    let refused = send(&mut here.client(), &[TEXT, PAGE], &body(65_537).to_string());
    assert_eq!(refused.expect_error(413).0, "payload_too_large");
    assert_eq!(once("access-control-allow-origin", &refused), PAGE.1);
    assert_eq!(once("access-control-allow-credentials", &refused), "true");
    here.stop();
}

#[test]
fn big_integers_and_long_fractions_stay_what_they_were() {
    let mut here = Here::with(&[]);
    let numbers = "[123456789012345678901234567890,-9007199254740993,0.1000000000000000055511151231257827,1E+2]";
    let body = format!(r#"{{"visitor_id":"v-0001a","event":"x","metadata":{{"n":{numbers}}}}}"#);
    send(&mut here.client(), &[JSON], &body).expect(202);
    assert!(here.text().contains(&format!("\"n\": {}", numbers.replace(',', ", "))), "{}", here.text());
    let shown = here.client().get(SNAPSHOT, None);
    assert!(shown.text().contains(&format!("\"metadata\":{{\"n\":{numbers}}}")), "{}", shown.text());
    here.stop();
}

#[test]
fn a_rate_of_0_writes_nothing_and_remembers_all() {
    let mut here = Here::with(&[("METRICS_SAMPLE_RATE", "0")]);
    assert_eq!(here.post(&event("v-0001a")).expect(202), taken(0));
    assert_eq!(here.post(&json!({ "visitor_id": "short" })).status, 422, "a bad event is bad at any rate");
    assert!(!here.path("metrics.jsonl").exists());
    assert_eq!(here.get(SNAPSHOT)["total"], 1);
    here.reload(&[("METRICS_SAMPLE_RATE", "1")]);
    assert_eq!(here.post(&event("v-0001a")).expect(202), taken(1));
    here.reload(&[("METRICS_SAMPLE_RATE", "0.5"), FREELY[0], FREELY[1]]);
    let batch = Value::Array(vec![event("v-0002a"); 100]);
    let mut sums = (0, 0);
    for _ in 0..10 {
        let answer = here.post(&batch).expect(202);
        let (stored, sampled) = (answer["stored"].as_u64().unwrap(), answer["sampled"].as_u64().unwrap());
        assert_eq!(stored + sampled, 100);
        sums = (sums.0 + stored, sums.1 + sampled);
    }
    // Far beyond six standard deviations, which are 95.
    assert!((350..650).contains(&sums.0), "{sums:?}");
    assert_eq!(here.text().lines().count() as u64, 1 + sums.0);
    here.stop();
}

#[test]
fn several_events_in_one_body_are_answered_by_their_numbers() {
    let mut here = Here::with(&[]);
    let mut client = here.client();
    let array = format!(r#"[{SEED},{{"visitor_id":"x","event":"y"}},{SEED},7]"#);
    let answer = send(&mut client, &[TEXT], &array);
    let body = answer.expect(202);
    let mut expected = json!({ "ok": true, "stored": 2, "sampled": 0, "rejected": [1, 3], "file": "metrics.jsonl" });
    expected["detail"] = body["detail"].clone();
    assert_eq!(body, expected);
    assert_eq!(
        (&body["detail"][0]["loc"], &body["detail"][1]["loc"]),
        (&json!(["body", 1, "visitor_id"]), &json!(["body", 3]))
    );
    let lines = format!("{SEED}\n{SEED}\r\n\n{SEED}\n");
    let answer = send(&mut client, &[("Content-Type", "application/x-ndjson")], &lines).expect(202);
    assert_eq!(answer, json!({ "ok": true, "stored": 3, "sampled": 0, "rejected": [], "file": "metrics.jsonl" }));
    assert_eq!((here.text().lines().count(), here.get(SNAPSHOT)["total"].clone()), (5, json!(5)));
    let refused = send(&mut client, &[JSON], r#"[{"visitor_id":"x"}]"#).expect(422);
    assert_eq!(refused["detail"][0]["loc"], json!(["body", 0, "visitor_id"]), "nothing of it was good");
    let many = format!("[{}]", [SEED; 101].join(","));
    assert_eq!(send(&mut client, &[JSON], &many).expect(422)["detail"][0]["type"], "too_long");
    assert_eq!(here.text().lines().count(), 5);
    here.stop();
}

#[test]
fn what_browsers_send_by_beacon_is_taken() {
    let mut here = Here::with(&[OPEN_TO_PAGE]);
    let mut client = here.client();
    let body = r#"{"visitor_id":"v-0001a","event":"page_view","metadata":{"path":"/літо"}}"#;
    let answer = send(&mut client, &[TEXT, PAGE], body);
    assert_eq!(answer.expect(202), taken(1));
    assert_eq!(once("access-control-allow-origin", &answer), PAGE.1);
    assert_eq!(once("access-control-allow-credentials", &answer), "true");
    for other in [("Content-Type", "application/x-www-form-urlencoded"), ("X-Nothing", "said")] {
        send(&mut client, &[other, PAGE], body).expect(202);
    }
    let preflight =
        [PAGE, ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "content-type")];
    let answer = client.request("OPTIONS", EVENT, &preflight, b"");
    assert_eq!((answer.status, once("access-control-allow-origin", &answer).as_str()), (200, PAGE.1));
    assert_eq!(once("access-control-allow-credentials", &answer), "true");
    assert_eq!(once("access-control-allow-headers", &answer), "content-type");
    assert!(once("access-control-allow-methods", &answer).contains("POST"));
    let elsewhere = ("Origin", "https://elsewhere.example");
    let denied = client.request("OPTIONS", EVENT, &[elsewhere, preflight[1]], b"");
    assert_eq!((denied.status, denied.header("access-control-allow-origin")), (400, None));
    let served = send(&mut client, &[TEXT, elsewhere], body);
    assert_eq!((served.status, served.header("access-control-allow-origin")), (202, None), "but nobody may read it");
    let bad = send(&mut client, &[TEXT, PAGE], "{");
    assert_eq!((bad.status, once("access-control-allow-origin", &bad).as_str()), (422, PAGE.1));
    let beacons: Vec<Answer> = (0..40).map(|_| send(&mut client, &[TEXT, PAGE], body)).collect();
    assert!(beacons.iter().all(|answer| once("access-control-allow-origin", answer) == PAGE.1));
    // Five were counted before, preflights were not.
    assert_eq!(beacons.iter().filter(|answer| answer.status == 202).count(), 11 - 5);
    here.stop();

    let mut open = Here::with(&[("ALLOWED_ORIGINS", "*")]);
    let answer = send(&mut open.client(), &[TEXT, PAGE], body);
    assert_eq!(once("access-control-allow-origin", &answer), "*");
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    open.stop();
}

#[test]
fn readers_who_are_none_are_not_counted() {
    let mut here = Here::with(&FREELY);
    let mut client = here.client();
    for (quiet, counted) in [
        (("Sec-GPC", "1"), "do_not_track"),
        (("DNT", "1"), "do_not_track"),
        (("Sec-Purpose", "prefetch;prerender"), "prefetch"),
        (("Purpose", "prefetch"), "prefetch"),
        (("X-Moz", "prefetch"), "prefetch"),
    ] {
        let before = here.get(HEALTH)[counted].as_u64().unwrap();
        assert_eq!(send(&mut client, &[JSON, quiet], SEED).expect(202), taken(0), "{quiet:?}");
        assert_eq!(here.get(HEALTH)[counted], before + 1, "{quiet:?}");
        assert_eq!(send(&mut client, &[JSON, quiet], "{}").status, 422, "what is bad is bad");
    }
    let batch = send(&mut client, &[JSON, ("DNT", "1")], &format!("[{SEED},7,{SEED}]")).expect(202);
    assert_eq!((&batch["stored"], &batch["rejected"]), (&json!(0), &json!([1])));
    assert_eq!(here.get(HEALTH)["do_not_track"], 4);
    assert_eq!((here.get(SNAPSHOT)["total"].clone(), here.path("metrics.jsonl").exists()), (json!(0), false));
    for (agent, kept) in [
        (None, Value::Null),
        (Some(("User-Agent", "")), json!("")),
        (Some(("User-Agent", "AhrefsBot/7.0")), json!("AhrefsBot/7.0")),
        (Some(("DNT", "0")), Value::Null),
    ] {
        let headers: Vec<_> = [JSON].into_iter().chain(agent).collect();
        assert_eq!(send(&mut client, &headers, SEED).expect(202), taken(1));
        assert_eq!(here.get(SNAPSHOT)["last_events"][0]["user_agent"], kept, "{agent:?}");
    }
    let long = "é".repeat(300);
    send(&mut client, &[JSON, ("User-Agent", &long)], SEED).expect(202);
    assert_eq!(here.get(SNAPSHOT)["last_events"][0]["user_agent"], "é".repeat(256));
    here.stop();
}

#[test]
fn both_paths_of_health_say_the_same() {
    let mut here = Here::with(&[]);
    let fresh = here.get(HEALTH);
    let keys: Vec<&str> = fresh.as_object().unwrap().keys().take(6).map(String::as_str).collect();
    assert_eq!(keys, ["ok", "status", "ring_size", "ring_capacity", "sink_exists", "file_exists"]);
    let expected = json!({
        "ok": true, "status": "healthy", "ring_size": 0, "ring_capacity": 500, "sink_exists": false, "file_exists": false,
        "sink_error": null, "last_rotation": null, "do_not_track": 0, "prefetch": 0, "torn_lines": 0,
    });
    assert_eq!(fresh, expected, "no file before the first event is healthy");
    here.post(&event("v-0001a")).expect(202);
    let rotated = here.rotate("max_bytes=0");
    here.post(&event("v-0001a")).expect(202);
    let [one, other] = [HEALTH, "/api/metrics/behavior/health"].map(|path| here.get(path));
    assert_eq!(one, other);
    assert_eq!((&one["ring_size"], &one["sink_exists"], &one["file_exists"]), (&json!(2), &json!(true), &json!(true)));
    assert_eq!(one["last_rotation"], rotated);
    assert!(rotated["rotated"].as_str().unwrap().starts_with("metrics-") && rotated["ok"] == true, "{rotated}");
    let ready = here.get("/readyz?verbose=1");
    assert!(ready["checks"].as_array().unwrap().iter().all(|check| check["name"] != "behaviour"), "{ready}");
    here.stop();
}

#[test]
fn with_a_token_strangers_see_no_whole_ids() {
    const TOKEN: &str = "a token for the snapshot";
    let proxied = [("TRUSTED_PROXIES", "127.0.0.1"), ("METRICS_SNAPSHOT_TOKEN", TOKEN)];
    let mut here = Here::with(&proxied);
    here.post(&event("v-0001abc")).expect(202);
    let shown = |headers: &[(&str, &str)]| {
        let answer = here.client().request("GET", SNAPSHOT, headers, b"").expect(200);
        answer["last_events"][0]["visitor_id"].as_str().unwrap().to_owned()
    };
    let stranger = ("X-Forwarded-For", "192.0.2.1");
    assert_eq!(shown(&[]), "v-0001abc", "whoever asks from this machine");
    assert_eq!(shown(&[stranger]), "v-00…");
    assert_eq!(shown(&[("X-Forwarded-For", "127.0.0.1")]), "v-00…", "a proxy has passed it on");
    assert_eq!(shown(&[stranger, ("Authorization", "Bearer another")]), "v-00…");
    assert_eq!(shown(&[stranger, ("Authorization", &format!("Bearer {TOKEN}"))]), "v-0001abc");
    here.reload(&[("METRICS_SNAPSHOT_TOKEN", "")]);
    let answer = here.client().request("GET", SNAPSHOT, &[stranger], b"").expect(200);
    assert_eq!(answer["last_events"][0]["visitor_id"], "v-0001abc", "open, unless one is set");
    here.stop();
}

#[test]
fn everything_that_becomes_of_events_is_counted() {
    let mut here = Here::with(&[("METRICS_PUBLIC", "true")]);
    let mut client = here.client();
    send(&mut client, &[JSON], &format!("[{SEED},7]")).expect(202);
    send(&mut client, &[JSON, ("DNT", "1")], SEED).expect(202);
    send(&mut client, &[JSON, ("Purpose", "prefetch")], SEED).expect(202);
    (0..10).for_each(|_| _ = send(&mut client, &[JSON], "{"));
    here.reload(&[("METRICS_SAMPLE_RATE", "0"), FREELY[0], FREELY[1]]);
    here.advance(Duration::from_secs(60));
    send(&mut client, &[JSON], SEED).expect(202);
    let metrics = client.get("/metrics", None);
    for (name, value) in [
        ("inkring_behaviour_events_total{outcome=\"stored\"}", 1),
        ("inkring_behaviour_events_total{outcome=\"rejected\"}", 1 + 8),
        ("inkring_behaviour_events_total{outcome=\"do_not_track\"}", 1),
        ("inkring_behaviour_events_total{outcome=\"prefetch\"}", 1),
        ("inkring_behaviour_events_total{outcome=\"limited\"}", 2),
        ("inkring_behaviour_events_total{outcome=\"sampled\"}", 1),
        ("inkring_behaviour_sink_ok", 1),
        ("inkring_behaviour_file_size_bytes", here.text().len()),
        ("inkring_behaviour_sink_queue_depth", 0),
    ] {
        assert!(metrics.text().contains(&format!("\n{name} {value}\n")), "{name} {value}: {}", metrics.text());
    }
    here.stop();
}

#[test]
fn a_large_snapshot_comes_in_pieces() {
    let mut here = Here::with(&FREELY);
    let large = |number: usize| json!({ "visitor_id": format!("v-{number:06}"), "event": "x", "metadata": { "s": "é".repeat(30_000) } });
    (0..20).for_each(|number| _ = here.post(&large(number)).expect(202));
    let ask = Ask::get("/api/metrics/behavior?limit=20");
    let answer = ask.send(&Remote::at(here.public()), PATIENCE).unwrap();
    assert_eq!((answer.status, answer.header("content-length")), (200, None));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let shown: Value = serde_json::from_str(&answer.text(4 << 20).unwrap()).unwrap();
    let events = shown["last_events"].as_array().unwrap();
    assert_eq!((events.len(), &shown["window"]), (20, &json!(20)));
    for (event, number) in events.iter().zip((0..20).rev()) {
        assert_eq!(event["visitor_id"], format!("v-{number:06}"));
        assert_eq!(event["metadata"], large(number)["metadata"]);
    }
    here.stop();
}

#[test]
fn what_is_stored_is_stored_as_it_is_when_it_is_sent_again() {
    let now = Timestamp(1_760_013_297_000_123);
    let (mut taken, mut refused) = (0, 0);
    for seed in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/event")).unwrap() {
        let path = seed.unwrap().path();
        let Some(lines) = lines_of(&std::fs::read(&path).unwrap(), now) else {
            refused += 1;
            continue;
        };
        taken += lines.lines().count();
        for line in lines.lines() {
            assert_eq!(lines_of(line.as_bytes(), now), Some(format!("{line}\n")), "{}", path.display());
        }
        assert_eq!(lines_of(lines.as_bytes(), now).as_ref(), Some(&lines), "{}", path.display());
        let array = format!("[{}]", lines.lines().collect::<Vec<_>>().join(","));
        assert_eq!(lines_of(array.as_bytes(), now), Some(lines), "{}", path.display());
    }
    assert_eq!((taken, refused), (8, 1));
}
