//! What the calendar does beyond keeping entries: occurrences, and the calendar as a file, as clients see it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::http::{Answer, Client};
use crate::support::{Server, UNHURRIED};

const ENTRIES: &str = "/api/v1/calendar/entries";

fn send(client: &mut Client, method: &str, path: &str, body: &Value) -> Answer {
    client.request(method, path, &[("content-type", "application/json")], body.to_string().as_bytes())
}

fn make(client: &mut Client, body: &Value) -> Value {
    send(client, "POST", ENTRIES, body).expect(200)
}

/// The starts of all occurrences from one day to another.
fn starts(client: &mut Client, from: &str, to: &str) -> Vec<String> {
    let found = client.get(&format!("{ENTRIES}?expand=1&from={from}&to={to}"), None).expect(200);
    let start = |entry: &Value| entry["occurrence"]["start"].as_str().unwrap().to_owned();
    found.as_array().unwrap().iter().map(start).collect()
}

#[test]
fn days_that_a_month_does_not_have_are_left_out_and_not_counted() {
    let rows: [(&str, Value, &[&str]); 5] = [
        (
            "2026-01-31T09:00:00",
            json!({ "freq": "monthly", "count": 5 }),
            &["2026-01-31", "2026-03-31", "2026-05-31", "2026-07-31", "2026-08-31"],
        ),
        (
            "2025-03-31T01:01:00",
            json!({ "freq": "monthly", "interval": 6, "count": 3 }),
            &["2025-03-31", "2026-03-31", "2027-03-31"],
        ),
        (
            "2026-12-30T09:00:00",
            json!({ "freq": "monthly", "count": 4 }),
            &["2026-12-30", "2027-01-30", "2027-03-30", "2027-04-30"],
        ),
        ("2024-02-29T08:00:00", json!({ "freq": "yearly", "count": 3 }), &["2024-02-29", "2028-02-29", "2032-02-29"]),
        (
            "2026-01-31T09:00:00",
            json!({ "freq": "monthly", "bymonthday": -1, "count": 3 }),
            &["2026-01-31", "2026-02-28", "2026-03-31"],
        ),
    ];
    let server = Server::with(&UNHURRIED);
    let mut client = server.connect();
    for (start, pattern, days) in rows {
        let entry = make(&mut client, &json!({ "title": "T", "scheduled_at": start, "recurrence_pattern": pattern }));
        let found = starts(&mut client, "2024-01-01", "2033-12-31");
        let wanted: Vec<String> = days.iter().map(|day| format!("{day}T{}", &start[11..])).collect();
        assert_eq!(found, wanted, "{pattern}");
        client.request("DELETE", &format!("{ENTRIES}/{}", entry["id"]), &[], b"").expect(200);
    }
    let yearly = json!({ "freq": "monthly", "interval": 12, "until": "2100-01-01" });
    make(&mut client, &json!({ "title": "T", "scheduled_at": "2026-01-31T09:00:00", "recurrence_pattern": yearly }));
    assert_eq!(starts(&mut client, "2090-01-01", "2099-12-31").len(), 10);
    assert_eq!(starts(&mut client, "2100-01-01", "2109-12-31").len(), 0);
    let wrong = send(&mut client, "POST", ENTRIES, &json!({ "title": "T", "scheduled_at": "2026-02-30T09:00:00" }));
    assert_eq!(wrong.status, 422);
}

#[test]
fn what_an_entry_says_of_its_times_is_kept_in_one_way_or_refused() {
    let server = Server::with(&UNHURRIED);
    let mut client = server.connect();
    let body = |more: Value| {
        let mut body = json!({ "title": "T", "scheduled_at": "2026-03-02T09:00:00" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let made = make(
        &mut client,
        &body(json!({
            "recurrence_pattern": "weekly", "reminder_settings": { "minutes_before": [60, 15, 60] },
            "exceptions": { "2026-03-09T07:00:00Z": { "skip": true } },
        })),
    );
    assert_eq!(made["recurrence_pattern"], json!({ "freq": "weekly" }), "C7");
    assert_eq!(made["reminder_settings"], json!({ "minutes_before": [60, 15] }));
    assert_eq!(made["exceptions"], json!({ "2026-03-09T09:00:00": { "skip": true } }));
    let refused = [
        json!({ "recurrence_pattern": "hourly" }),
        json!({ "recurrence_pattern": {} }),
        json!({ "recurrence_pattern": { "freq": "daily", "interval": 0 } }),
        json!({ "recurrence_pattern": { "freq": "daily", "count": 1_000_000 } }),
        json!({ "recurrence_pattern": { "freq": "daily", "count": 2, "until": "2026-12-31" } }),
        json!({ "recurrence_pattern": { "freq": "weekly", "byweekday": ["2MO"] } }),
        json!({ "recurrence_pattern": { "freq": "monthly", "bymonthday": vec![1; 63] } }),
        json!({ "reminder_settings": { "minutes_before": -1441 } }),
        json!({ "reminder_settings": "15" }),
        json!({ "exceptions": { "2026-03-09": { "skip": true } } }),
        json!({ "exceptions": { "2026-03-09T09:00:00": "skip" } }),
    ];
    for more in refused {
        let answer = send(&mut client, "POST", ENTRIES, &body(more.clone()));
        let detail = answer.expect(422)["detail"][0].clone();
        let name = more.as_object().unwrap().keys().next().unwrap().clone();
        assert_eq!((&detail["type"], &detail["loc"]), (&json!("value_error"), &json!(["body", name])), "{more}");
    }
    let recurring = client.get(&format!("{ENTRIES}?recurs=true&reminds=yes"), None);
    assert_eq!(recurring.header("x-total-count"), Some("1"));
    assert_eq!(client.get(&format!("{ENTRIES}?recurs=0"), None).header("x-total-count"), Some("0"));
}

#[test]
fn a_list_of_occurrences_is_in_order_and_bounded() {
    let server = Server::with(&UNHURRIED);
    let mut client = server.connect();
    make(
        &mut client,
        &json!({ "title": "D", "scheduled_at": "2026-03-01T09:00:00", "end_time": "2026-03-01T10:00:00",
                 "recurrence_pattern": "daily", "tags": ["a"] }),
    );
    make(&mut client, &json!({ "title": "O", "scheduled_at": "2026-03-02T12:00:00" }));
    make(
        &mut client,
        &json!({ "title": "L", "scheduled_at": "2026-02-20T00:00:00", "end_time": "2026-03-03T00:00:00" }),
    );
    let list = format!("{ENTRIES}?expand=1&from=2026-03-02&to=2026-03-03");
    let answer = client.get(&list, None);
    let found = answer.expect(200);
    let titles: Vec<&str> = found.as_array().unwrap().iter().map(|entry| entry["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["L", "D", "O", "D"]);
    assert_eq!((answer.header("x-total-count"), answer.header("x-truncated")), (Some("4"), None));
    assert_eq!(
        found[1]["occurrence"],
        json!({ "start": "2026-03-02T09:00:00", "end": "2026-03-02T10:00:00", "original": "2026-03-02T09:00:00",
                "completed": false })
    );
    assert_eq!(
        (&found[1]["scheduled_at"], &found[2]["occurrence"]["end"]),
        (&json!("2026-03-01T09:00:00"), &Value::Null)
    );
    assert_eq!(client.get(&format!("{list}&tag=a"), None).expect(200).as_array().unwrap().len(), 2);
    let all = client.get(&format!("{ENTRIES}?expand=true&from=2026-03-01&to=2029-03-01"), None);
    assert_eq!((all.header("x-total-count"), all.header("x-truncated")), (Some("500"), Some("true")));
    assert_eq!(client.get(&format!("{ENTRIES}?expand=0"), None).expect(200).as_array().unwrap().len(), 3);
    for (query, name) in [
        ("expand=1", "from"),
        ("expand=1&from=2026-03-01", "to"),
        ("expand=perhaps", "expand"),
        ("expand=1&from=2026-03-02&to=2026-03-01", "to"),
        ("expand=1&from=2026-03-02&to=2036-04-01", "to"),
        ("expand=1&from=2026-03-02&to=2026-04-01&q=T", "q"),
    ] {
        let refused = client.get(&format!("{ENTRIES}?{query}"), None).expect(422);
        assert_eq!(refused["detail"][0]["loc"], json!(["query", name]), "{query}");
    }
}

#[test]
fn one_occurrence_is_skipped_moved_or_completed_and_taken_back() {
    let server = Server::with(&UNHURRIED);
    let mut client = server.connect();
    make(&mut client, &json!({ "title": "W", "scheduled_at": "2026-03-02T09:00:00", "recurrence_pattern": "weekly" }));
    let at = |day: &str| format!("{ENTRIES}/1/occurrences/2026-03-{day}T09:00:00");
    send(&mut client, "POST", &at("09"), &json!({ "skip": true })).expect(200);
    send(&mut client, "POST", &at("16"), &json!({ "moved_to": "2026-03-14T08:00:00+02:00" })).expect(200);
    let changed = send(&mut client, "POST", &at("16"), &json!({ "completed": true })).expect(200);
    assert_eq!(
        changed["exceptions"],
        json!({
            "2026-03-09T09:00:00": { "skip": true },
            "2026-03-16T09:00:00": { "moved_to": "2026-03-14T08:00:00", "completed": true },
        })
    );
    assert_eq!(
        starts(&mut client, "2026-03-01", "2026-03-23"),
        ["2026-03-02T09:00:00", "2026-03-14T08:00:00", "2026-03-23T09:00:00"]
    );
    let found = client.get(&format!("{ENTRIES}?expand=1&from=2026-03-14&to=2026-03-14"), None).expect(200);
    assert_eq!(found[0]["occurrence"]["original"], json!("2026-03-16T09:00:00"));
    assert_eq!(found[0]["occurrence"]["completed"], json!(true));
    for (path, body, status) in [
        (at("10"), json!({ "skip": true }), 404),
        (format!("{ENTRIES}/1/occurrences/soon"), json!({ "skip": true }), 422),
        (at("09"), json!({}), 422),
        (at("09"), json!({ "skip": "yes" }), 422),
        (at("09"), json!({ "moved_to": "tomorrow" }), 422),
        (format!("{ENTRIES}/7/occurrences/2026-03-09T09:00:00"), json!({ "skip": true }), 404),
    ] {
        assert_eq!(send(&mut client, "POST", &path, &body).status, status, "{path} {body}");
    }
    let stale = [("content-type", "application/json"), ("if-match", "\"1-0\"")];
    assert_eq!(client.request("POST", &at("23"), &stale, br#"{"skip":true}"#).status, 412);
    client.request("DELETE", &at("09"), &[], b"").expect(200);
    let back = client.request("DELETE", &at("16"), &[], b"").expect(200);
    assert_eq!(back["exceptions"], Value::Null);
    assert_eq!(starts(&mut client, "2026-03-01", "2026-03-16").len(), 3);
    client.request("DELETE", &format!("{ENTRIES}/1"), &[], b"").expect(200);
    client.request("POST", &format!("{ENTRIES}/1/restore"), &[], b"").expect(200);
}

#[test]
fn what_recurs_is_on_the_days_of_its_occurrences() {
    let server = Server::with(&UNHURRIED);
    let mut client = server.connect();
    make(&mut client, &json!({ "title": "Хор", "scheduled_at": "2026-03-26T19:00", "recurrence_pattern": "weekly" }));
    // It starts on a day that is none of its rule's.
    let mondays = json!({ "freq": "weekly", "byweekday": "MO" });
    make(&mut client, &json!({ "title": "Басейн", "scheduled_at": "2026-03-26T08:00", "recurrence_pattern": mondays }));
    make(&mut client, &json!({ "title": "Лікар", "scheduled_at": "2026-03-26T12:00" }));
    let at = |day: &str| format!("{ENTRIES}/1/occurrences/2026-{day}T19:00:00");
    send(&mut client, "POST", &at("04-02"), &json!({ "moved_to": "2026-03-30T18:00" })).expect(200);
    send(&mut client, "POST", &at("04-02"), &json!({ "completed": true })).expect(200);
    send(&mut client, "POST", &at("04-09"), &json!({ "skip": true })).expect(200);
    let day = |client: &mut Client, date: &str| client.get(&format!("/api/v1/day/{date}"), None).expect(200);
    let named = |day: &Value| -> Vec<String> {
        let items = day["items"].as_array().unwrap().iter();
        items
            .map(|item| format!("{} {}", &item["moment"].as_str().unwrap()[11..16], item["title"].as_str().unwrap()))
            .collect()
    };
    for (date, items) in [
        ("2026-03-26", &["12:00 Лікар", "19:00 Хор"][..]),
        ("2026-03-30", &["08:00 Басейн", "18:00 Хор"]),
        ("2026-04-02", &[]),
        ("2026-04-09", &[]),
        ("2031-04-03", &["19:00 Хор"]),
    ] {
        assert_eq!(named(&day(&mut client, date)), items, "{date}");
    }
    let moved = day(&mut client, "2026-03-30")["items"][1].clone();
    let shown = json!({
        "module": "calendar", "id": 1, "title": "Хор", "moment": "2026-03-30T18:00:00", "url": "/api/v1/calendar/entries/1",
        "occurrence": { "original": "2026-04-02T19:00:00", "completed": true },
    });
    assert_eq!(moved, shown);
    let said = |client: &mut Client, message: &str| {
        send(client, "POST", "/api/v1/ci/chat", &json!({ "message": message })).expect(200)["reply"].clone()
    };
    assert_eq!(
        said(&mut client, "Що у нас 30.03.2026?"),
        "30.03.2026:\n• 08:00 Басейн (Календар)\n• 18:00 Хор (Календар)"
    );
    assert_eq!(said(&mut client, "What is on 09.04.2026"), "There is nothing on 09.04.2026.");
    assert_eq!(said(&mut client, "26.03.2026"), "26.03.2026:\n• 12:00 Лікар (Календар)\n• 19:00 Хор (Календар)");
    client.request("POST", "/api/v1/modules/calendar/shutdown", &[], b"").expect(200);
    assert_eq!(day(&mut client, "2026-03-30")["items"], json!([]));
}

#[test]
fn rules_that_hardly_ever_are_keep_nobody_waiting() {
    let server = Server::with(&UNHURRIED);
    let mut client = server.connect();
    let rules = [
        // A 29 February that is the fifth Monday of its month: once in 28 years.
        json!({ "freq": "monthly", "byweekday": "5MO", "bymonthday": 29, "count": 10_000 }),
        json!({ "freq": "daily", "interval": 7, "byweekday": "TU", "count": 10_000 }),
        json!({ "freq": "yearly", "interval": 1000, "bymonthday": 31 }),
        json!({ "freq": "daily", "byweekday": "MO", "count": 10_000 }),
    ];
    for rule in rules.iter().cycle().take(100) {
        make(&mut client, &json!({ "title": "T", "scheduled_at": "2024-02-29T08:00:00", "recurrence_pattern": rule }));
    }
    let begin = Instant::now();
    let answer = client.get(&format!("{ENTRIES}?expand=1&from=2024-01-01&to=2033-12-31"), None);
    assert_eq!((answer.status, answer.header("x-truncated")), (200, Some("true")));
    // A build without optimisation, on a machine that does other things as well.
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

/// The file without the times of writing.
fn lasting_lines(file: &str) -> Vec<String> {
    let passing = ["DTSTAMP:", "CREATED:", "LAST-MODIFIED:", "UID:"];
    file.lines().filter(|line| !passing.iter().any(|name| line.starts_with(name))).map(str::to_owned).collect()
}

#[test]
fn the_file_is_the_same_wherever_the_server_thinks_it_is() {
    let mut files = Vec::new();
    for zone in ["America/New_York", "Europe/Kyiv", "Pacific/Kiritimati", "Asia/Kathmandu"] {
        let server = Server::with(&[&[("TZ", zone)], &UNHURRIED[..]].concat());
        let mut client = server.connect();
        make(&mut client, &json!({ "title": "Весь день", "scheduled_at": "2026-07-31T00:00:00" }));
        make(
            &mut client,
            &json!({ "title": "День народження", "scheduled_at": "2024-02-29T00:00:00", "recurrence_pattern": "yearly" }),
        );
        make(
            &mut client,
            &json!({ "title": "Вечеря", "scheduled_at": "2026-07-31T15:00:00Z", "end_time": "2026-07-31T19:30",
                     "location": "Київ", "reminder_settings": { "minutes_before": 15 } }),
        );
        // The clocks go on in the morning of 29 March and back in that of 25 October.
        for at in ["2026-03-28T03:30:00", "2026-10-24T03:30:00"] {
            let rule = json!({ "freq": "daily", "count": 3 });
            make(&mut client, &json!({ "title": "Ранок", "scheduled_at": at, "recurrence_pattern": rule }));
        }
        assert_eq!(
            starts(&mut client, "2026-10-24", "2026-10-26"),
            ["2026-10-24T03:30:00", "2026-10-25T03:30:00", "2026-10-26T03:30:00"]
        );
        let events = "/api/v1/podija/events";
        send(&mut client, "POST", events, &json!({ "title": "Свято", "event_date": "2026-08-24T00:00:00" }))
            .expect(200);
        send(&mut client, "POST", events, &json!({ "title": "Колись" })).expect(200);
        let answer = client.get("/api/v1/calendar/export.ics", None);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("text/calendar; charset=utf-8"));
        assert_eq!(answer.header("content-disposition"), Some("attachment; filename=\"calendar.ics\""));
        for uid in ["UID:calendar-1-", "UID:podija-1-"] {
            assert!(answer.text().contains(uid), "{uid} is not in\n{}", answer.text());
        }
        files.push(lasting_lines(answer.text()));
    }
    for file in &files[1..] {
        assert_eq!(*file, files[0]);
    }
    let file = files[0].join("\n");
    for lines in [
        "DTSTART;VALUE=DATE:20260731\nDTEND;VALUE=DATE:20260801\n",
        "DTSTART;VALUE=DATE:20240229\nDTEND;VALUE=DATE:20240301\nRRULE:FREQ=YEARLY\n",
        "DTSTART;TZID=Europe/Kyiv:20260731T180000\nDTEND;TZID=Europe/Kyiv:20260731T193000\n",
        "DTSTART;TZID=Europe/Kyiv:20260328T033000\nRRULE:FREQ=DAILY;COUNT=3\n",
        "SUMMARY:Свято\n",
        "TRIGGER:-PT15M\n",
        "BYDAY=-1SU",
    ] {
        assert!(file.contains(lines), "{lines}\nis not in\n{file}");
    }
    assert!(!file.contains("Колись") && !file.contains("4SU"), "{file}");
    assert!(file.ends_with("END:VCALENDAR"));
    assert_eq!(file.matches("BEGIN:VEVENT").count(), 6);
}

#[test]
fn a_feed_is_for_who_has_its_token_until_it_ends() {
    let server = Server::with(&UNHURRIED);
    let mut client = server.connect();
    let feed = |token: &str| format!("/api/v1/calendar/feed.ics?token={token}");
    assert_eq!(client.get("/api/v1/calendar/feed.ics", None).status, 404);
    assert_eq!(client.request("DELETE", "/api/v1/calendar/feed", &[], b"").status, 404);
    for at in 0..120 {
        make(&mut client, &json!({ "title": format!("T{at}"), "scheduled_at": "2026-07-31T18:00:00" }));
    }
    let made = client.request("POST", "/api/v1/calendar/feed", &[], b"").expect(200);
    let token = made["token"].as_str().unwrap().to_owned();
    assert_eq!((token.len(), made["path"].as_str().unwrap()), (43, feed(&token).as_str()));
    let answer = client.get(&feed(&token), None);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/calendar; charset=utf-8")));
    assert_eq!(answer.text().matches("BEGIN:VEVENT").count(), 120);
    let tag = answer.header("etag").unwrap().to_owned();
    let again = |client: &mut Client| client.request("GET", &feed(&token), &[("if-none-match", &tag)], b"").status;
    assert_eq!(again(&mut client), 304);
    make(&mut client, &json!({ "title": "N", "scheduled_at": "2026-07-31T18:00:00" }));
    assert_eq!(again(&mut client), 200);
    let other = if token.starts_with('A') { "B" } else { "A" };
    for wrong in ["", "x", &format!("{other}{}", &token[1..]), &format!("{token}=")] {
        assert_eq!(client.get(&feed(wrong), None).status, 404, "{wrong}");
    }
    let database = std::fs::read(server.database()).unwrap();
    let log = std::fs::read(server.database().with_extension("db-wal")).unwrap_or_default();
    for bytes in [&database, &log] {
        assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()), "the token itself is kept");
    }
    assert!(!server.log().contains(&token), "the token is in the log");
    let next = client.request("POST", "/api/v1/calendar/feed", &[], b"").expect(200)["token"].clone();
    assert_eq!(client.get(&feed(&token), None).status, 404, "another one has taken its place");
    assert_eq!(client.get(&feed(next.as_str().unwrap()), None).status, 200);
    client.request("DELETE", "/api/v1/calendar/feed", &[], b"").expect(200);
    assert_eq!(client.get(&feed(next.as_str().unwrap()), None).status, 404);
}
