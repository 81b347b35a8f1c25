//! Calendar files that come in and go out, as clients see them.

use serde_json::{Value, json};

use crate::support::http::{Answer, Client};
use crate::support::{Server, UNHURRIED, household};

const ENTRIES: &str = "/api/v1/calendar/entries";
const IMPORT: &str = "/api/v1/calendar/import";

fn make(client: &mut Client, path: &str, body: &Value) -> Value {
    client.request("POST", path, &[("content-type", "application/json")], body.to_string().as_bytes()).expect(200)
}

fn import(client: &mut Client, query: &str, file: &str) -> Answer {
    client.request(
        "POST",
        &format!("{IMPORT}{query}"),
        &[("content-type", "text/calendar; charset=utf-8")],
        file.as_bytes(),
    )
}

/// How many events were made, changed, left and refused.
fn counts(answer: &Answer) -> [u64; 4] {
    let report = answer.expect(200);
    ["made", "changed", "unchanged", "refused"].map(|name| report[name].as_u64().unwrap())
}

fn entries(client: &mut Client) -> Vec<Value> {
    client.get(ENTRIES, None).expect(200).as_array().unwrap().clone()
}

fn file(events: &str) -> String {
    format!("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//A//B//EN\n{events}END:VCALENDAR\n").replace('\n', "\r\n")
}

/// A series with what became of two of its occurrences, one event more, and three that are not kept as they are.
const EVENTS: &str = "BEGIN:VEVENT\nUID:choir@example.org\nSUMMARY:Хор\nLOCATION:Школа\nCATEGORIES:дім\n\
    DTSTART;TZID=Europe/Kyiv:20260302T180000\nDTEND;TZID=Europe/Kyiv:20260302T193000\nRRULE:FREQ=WEEKLY;BYDAY=MO\n\
    EXDATE;TZID=Europe/Kyiv:20260309T180000\nBEGIN:VALARM\nACTION:DISPLAY\nTRIGGER:-PT30M\nEND:VALARM\nEND:VEVENT\n\
    BEGIN:VEVENT\nUID:choir@example.org\nSUMMARY:Хор\nLOCATION:Школа\nRECURRENCE-ID;TZID=Europe/Kyiv:20260316T180000\n\
    DTSTART;TZID=Europe/Kyiv:20260317T190000\nDTEND;TZID=Europe/Kyiv:20260317T203000\nEND:VEVENT\n\
    BEGIN:VEVENT\nUID:trip@example.org\nSUMMARY:Карпати\nDTSTART;VALUE=DATE:20260801\nDTEND;VALUE=DATE:20260804\nEND:VEVENT\n\
    BEGIN:VEVENT\nUID:bad@example.org\nSUMMARY:Лютий\nDTSTART:20260230T100000\nEND:VEVENT\n\
    BEGIN:VEVENT\nUID:trip@example.org\nSUMMARY:Ще раз\nDTSTART;VALUE=DATE:20260801\nEND:VEVENT\n\
    BEGIN:VEVENT\nUID:work@example.org\nSUMMARY:Нарада\nDTSTART:20260331T070000Z\nRRULE:FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=-1\nEND:VEVENT\n";

#[test]
fn a_file_is_taken_in_once_however_often_it_comes() {
    let server = household();
    let mut client = server.connect();
    let whole = file(EVENTS);
    let report = |is_dry: bool| {
        json!({
            "made": 3, "changed": 0, "unchanged": 0, "refused": 2,
            "lines": [
                { "line": 32, "why": "line 35: DTSTART is 20260230T100000, which is not a valid date or time" },
                { "line": 37, "why": "line 37: the event in line 26 has the same UID and is used instead" },
            ],
            "dry_run": is_dry,
            "left_out": [
                { "line": 42, "title": "Нарада",
                  "why": "line 46: RRULE:FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=-1 is left out, so this event is once: \
                          BYSETPOS=-1 can be kept for one day of the week only" },
            ],
        })
    };
    let dry = import(&mut client, "?dry_run=1", &whole);
    assert_eq!(dry.expect(200), report(true));
    assert_eq!(entries(&mut client).len(), 0, "a dry run changes nothing");
    assert_eq!(import(&mut client, "", &whole).expect(200), report(false));
    let made = entries(&mut client);
    assert_eq!(made.len(), 3);
    let choir = &made[0];
    for (name, value) in [
        ("title", json!("Хор")),
        ("scheduled_at", json!("2026-03-02T18:00:00")),
        ("end_time", json!("2026-03-02T19:30:00")),
        ("is_recurring", json!(true)),
        ("recurrence_pattern", json!({ "freq": "weekly", "byweekday": ["MO"] })),
        (
            "exceptions",
            json!({ "2026-03-09T18:00:00": { "skip": true }, "2026-03-16T18:00:00": { "moved_to": "2026-03-17T19:00:00" } }),
        ),
        ("reminder_settings", json!({ "minutes_before": 30 })),
        ("location", json!("Школа")),
        ("tags", json!(["дім"])),
        ("source_trace", json!("ics:choir@example.org")),
    ] {
        assert_eq!(choir[name], value, "{name}");
    }
    assert_eq!(
        (&made[1]["scheduled_at"], &made[1]["end_time"]),
        (&json!("2026-08-01T00:00:00"), &json!("2026-08-04T00:00:00"))
    );
    for query in ["", "?dry_run=true"] {
        assert_eq!(counts(&import(&mut client, query, &whole)), [0, 0, 3, 2], "as often as one likes");
    }

    // What is done here, and what the file does not say, stays; what it says otherwise is put over what is there.
    let at = format!("{ENTRIES}/1/occurrences/2026-03-23T18:00:00");
    make(&mut client, &at, &json!({ "completed": true }));
    let less = EVENTS.replace("CATEGORIES:дім\n", "").replace("LOCATION:Школа\n", "LOCATION:Клуб\n");
    let less = less.replace("EXDATE;TZID=Europe/Kyiv:20260309T180000\n", "");
    assert_eq!(counts(&import(&mut client, "?dry_run=1", &file(&less))), [0, 1, 2, 2]);
    assert_eq!(counts(&import(&mut client, "", &file(&less))), [0, 1, 2, 2]);
    let choir = entries(&mut client).remove(0);
    assert_eq!((&choir["location"], &choir["tags"], &choir["id"]), (&json!("Клуб"), &json!(["дім"]), &json!(1)));
    assert_eq!(
        choir["exceptions"],
        json!({ "2026-03-16T18:00:00": { "moved_to": "2026-03-17T19:00:00" }, "2026-03-23T18:00:00": { "completed": true } })
    );
    client.request("DELETE", &format!("{ENTRIES}/1"), &[], b"").expect(200);
    assert_eq!(counts(&import(&mut client, "", &file(&less))), [1, 0, 2, 2], "what was deleted comes again");
}

#[test]
fn a_file_comes_as_itself_as_bytes_or_in_a_form_and_nothing_else_is_one() {
    let server = household();
    let mut client = server.connect();
    let whole = file("BEGIN:VEVENT\nUID:a\nSUMMARY:A\nDTSTART:20260731T180000\nEND:VEVENT\n");
    let form = |parts: &str| format!("{parts}--B--\r\n");
    let part = |head: &str, data: &str| format!("--B\r\nContent-Disposition: form-data; {head}\r\n\r\n{data}\r\n");
    let in_form = form(&(part("name=\"note\"", "x") + &part("name=\"file\"; filename=\"a.ics\"", &whole)));
    let multipart = "multipart/form-data; boundary=B";
    for (content_type, body, made) in
        [("application/octet-stream", &whole, 1), ("text/calendar", &whole, 0), (multipart, &in_form, 0)]
    {
        let answer = client.request("POST", IMPORT, &[("content-type", content_type)], body.as_bytes());
        assert_eq!(counts(&answer), [made, 0, 1 - made, 0], "{content_type}");
    }
    for (content_type, body, status, sentence) in [
        ("text/calendar", String::new(), 422, "The file is not a calendar: it has no BEGIN:VCALENDAR"),
        (
            "text/calendar",
            "BEGIN:VCARD\r\nEND:VCARD\r\n".to_owned(),
            422,
            "The file is not a calendar: it has no BEGIN:VCALENDAR",
        ),
        (multipart, form(&part("name=\"other\"", "x")), 422, "The form has no part named file"),
        (
            multipart,
            form(&part("name=\"file\"", &whole).repeat(2)),
            422,
            "The form has more than one file; send one at a time",
        ),
        (multipart, part("name=\"file\"", &whole), 422, "The form is incomplete: its last boundary is missing"),
        ("text/plain", whole.clone(), 415, ""),
        ("application/x-www-form-urlencoded", whole.clone(), 415, ""),
    ] {
        let answer = client.request("POST", IMPORT, &[("content-type", content_type)], body.as_bytes());
        let (_, message) = answer.expect_error(status);
        assert!(message.contains(sentence), "{content_type}: {message}");
        client = server.connect();
    }
    let foreign = [("content-type", "text/calendar"), ("origin", "https://elsewhere.example")];
    assert_eq!(client.request("POST", IMPORT, &foreign, whole.as_bytes()).status, 403);
    let mut client = server.connect();
    assert_eq!(import(&mut client, "?dry_run=perhaps", &whole).status, 422);
    let mut client = server.connect();
    client.send(format!(
        "POST {IMPORT} HTTP/1.1\r\nhost: a\r\ncontent-type: text/calendar\r\ncontent-length: {}\r\n\r\n",
        17 * 1024 * 1024
    ));
    assert_eq!(client.answer().status, 413);
    assert_eq!(entries(&mut server.connect()).len(), 1);
    let mut client = server.connect();
    client.request("POST", "/api/v1/modules/calendar/shutdown", &[], b"").expect(200);
    assert_eq!(import(&mut client, "", &whole).status, 503);
}

#[test]
fn what_goes_out_comes_in_again_as_what_it_was_here_and_elsewhere() {
    let server = household();
    let mut client = server.connect();
    let bodies = [
        json!({ "title": "День", "scheduled_at": "2026-07-31T00:00", "description": "а\nб, в; г", "participants": ["Іван, син"] }),
        json!({ "title": "Довго", "scheduled_at": "2026-07-31T00:00", "end_time": "2026-08-03T00:00", "tags": ["море"] }),
        json!({ "title": "Ранок", "scheduled_at": "2026-03-28T03:30:00.25", "end_time": "2026-03-28T04:30",
                "recurrence_pattern": { "freq": "daily", "until": "2026-03-31" },
                "exceptions": { "2026-03-30T03:30:00.25": { "completed": true } },
                "reminder_settings": { "minutes_before": [15, 60], "sound": "bell" } }),
        json!({ "title": "Увесь", "scheduled_at": "2026-03-28T09:00", "entry_type": "all_day", "is_recurring": false,
                "recurrence_pattern": { "freq": "daily", "until": "2026-03-31T08:00" },
                "exceptions": { "2026-03-29T09:00:00": { "skip": true } } }),
        json!({ "title": "Ні", "scheduled_at": "2026-07-31T18:00", "end_time": "2026-07-31T18:00", "status": "cancelled" }),
        json!({ "title": "Так", "scheduled_at": "2026-07-31T18:00", "status": "completed" }),
    ];
    for body in &bodies {
        make(&mut client, ENTRIES, body);
    }
    make(&mut client, "/api/v1/podija/events", &json!({ "title": "Свято", "event_date": "2026-08-24T12:00:00.5" }));
    let before = entries(&mut client);
    let exported = client.get("/api/v1/calendar/export.ics", None).text().to_owned();
    assert_eq!(counts(&import(&mut client, "", &exported)), [0, 0, 7, 0]);
    assert_eq!(entries(&mut client), before, "nothing is changed by it");
    let other = exported.replace("SUMMARY:Свято", "SUMMARY:Інше");
    let refused = import(&mut client, "", &other).expect(200);
    let why = refused["lines"][0]["why"].as_str().unwrap();
    assert!(why.ends_with("it is a record of podija here, 1: change it there"), "{why}");

    // Elsewhere they are entries under names of their own, also where there is one with that number.
    let elsewhere = household();
    let mut client = elsewhere.connect();
    make(&mut client, ENTRIES, &json!({ "title": "Моє", "scheduled_at": "2026-01-01T10:00" }));
    assert_eq!(counts(&import(&mut client, "", &exported)), [7, 0, 0, 0]);
    assert_eq!(counts(&import(&mut client, "", &exported)), [0, 0, 7, 0]);
    let again = client.get("/api/v1/calendar/export.ics", None).text().to_owned();
    let mut names: Vec<&str> = again.lines().filter(|line| line.starts_with("UID:")).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!((count, names.len()), (8, 8));
    assert_eq!(counts(&import(&mut client, "", &again)), [0, 0, 8, 0]);
}

/// The starts of all occurrences from one day to another.
fn starts(client: &mut Client, from: &str, to: &str) -> Vec<String> {
    let found = client.get(&format!("{ENTRIES}?expand=1&from={from}&to={to}"), None).expect(200);
    let start = |entry: &Value| entry["occurrence"]["start"].as_str().unwrap().to_owned();
    found.as_array().unwrap().iter().map(start).collect()
}

#[test]
fn times_on_both_days_of_the_clocks_go_out_by_the_feed_and_come_in_as_they_were() {
    let server = household();
    let mut client = server.connect();
    // In Kyiv 29 March has no 03:30, and 25 October has it twice.
    for (from, day) in [("2026-03-28", "2026-03-29"), ("2026-10-24", "2026-10-25")] {
        let rule = json!({ "freq": "daily", "count": 3 });
        make(
            &mut client,
            ENTRIES,
            &json!({ "title": "D", "scheduled_at": format!("{from}T03:30"), "recurrence_pattern": rule }),
        );
        make(
            &mut client,
            ENTRIES,
            &json!({ "title": "W", "scheduled_at": format!("{from}T00:00"), "recurrence_pattern": rule }),
        );
        for time in ["02:30", "04:30"] {
            make(&mut client, ENTRIES, &json!({ "title": "O", "scheduled_at": format!("{day}T{time}") }));
        }
    }
    let token =
        client.request("POST", "/api/v1/calendar/feed", &[], b"").expect(200)["path"].as_str().unwrap().to_owned();
    let feed = client.get(&token, None).text().to_owned();
    for lines in [
        "DTSTART;TZID=Europe/Kyiv:20260328T033000\r\nRRULE:FREQ=DAILY;COUNT=3\r\n",
        "DTSTART;TZID=Europe/Kyiv:20261025T043000\r\n",
        "DTSTART;VALUE=DATE:20261024\r\nDTEND;VALUE=DATE:20261025\r\nRRULE:FREQ=DAILY;COUNT=3\r\n",
        "RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU",
        "RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU",
    ] {
        assert!(feed.contains(lines), "{lines}\nis not in\n{feed}");
    }
    let (spring, autumn) = (("2026-03-28", "2026-03-31"), ("2026-10-24", "2026-10-27"));
    let here = [spring, autumn].map(|(from, to)| starts(&mut client, from, to));
    assert_eq!(
        here[1],
        [
            "2026-10-24T00:00:00",
            "2026-10-24T03:30:00",
            "2026-10-25T00:00:00",
            "2026-10-25T02:30:00",
            "2026-10-25T03:30:00",
            "2026-10-25T04:30:00",
            "2026-10-26T00:00:00",
            "2026-10-26T03:30:00",
        ]
    );
    let there = household();
    let mut client = there.connect();
    assert_eq!(counts(&import(&mut client, "", &feed)), [8, 0, 0, 0]);
    assert_eq!([spring, autumn].map(|(from, to)| starts(&mut client, from, to)), here);

    // In Warsaw all clocks show an hour less, on both days and before and after the change; whole days are the same.
    let warsaw = Server::with(&[&[("HOUSEHOLD_TIMEZONE", "Europe/Warsaw")], &UNHURRIED[..]].concat());
    let mut client = warsaw.connect();
    let report = import(&mut client, "", &feed).expect(200);
    assert_eq!(report["made"], 8);
    assert_eq!(report["left_out"].as_array().unwrap().len(), 2, "that two of them recur by another clock: {report}");
    let once: Vec<String> = entries(&mut client)
        .iter()
        .filter(|entry| entry["title"] != "D")
        .map(|entry| entry["scheduled_at"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        once,
        [
            "2026-03-28T00:00:00",
            "2026-03-29T01:30:00",
            "2026-03-29T03:30:00",
            "2026-10-24T00:00:00",
            "2026-10-25T01:30:00",
            "2026-10-25T03:30:00",
        ]
    );
}

#[test]
fn one_entry_is_given_as_a_file() {
    let server = household();
    let mut client = server.connect();
    for title in ["A", "B"] {
        make(
            &mut client,
            ENTRIES,
            &json!({ "title": title, "scheduled_at": "2026-07-31T18:00", "recurrence_pattern": "daily" }),
        );
    }
    let answer = client.get(&format!("{ENTRIES}/2.ics"), None);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/calendar; charset=utf-8")));
    assert_eq!(answer.header("content-disposition"), Some("attachment; filename=\"entry-2.ics\""));
    let text = answer.text().to_owned();
    assert_eq!((text.matches("BEGIN:VEVENT").count(), text.contains("SUMMARY:B\r\n")), (1, true));
    assert!(
        text.contains("BEGIN:VTIMEZONE\r\nTZID:Europe/Kyiv\r\n") && text.contains("RRULE:FREQ=DAILY\r\n"),
        "{text}"
    );
    let tag = answer.header("etag").unwrap().to_owned();
    let path = format!("{ENTRIES}/2.ics");
    assert_eq!(client.request("GET", &path, &[("if-none-match", &tag)], b"").status, 304);
    assert_eq!(counts(&import(&mut client, "", &text)), [0, 0, 1, 0]);
    assert_eq!(client.get(&format!("{ENTRIES}/2.ics/"), None).status, 200);
    assert_eq!(client.get(&format!("{ENTRIES}/2"), None).expect(200)["title"], "B", "beside the entry itself");
    assert_eq!(client.get(&format!("{ENTRIES}/7.ics"), None).expect_error(404).1, "Entry not found");
    assert_eq!(client.get(&format!("{ENTRIES}/x.ics"), None).status, 422);
    assert_eq!(client.get(&format!("{ENTRIES}/x"), None).status, 422);
}
