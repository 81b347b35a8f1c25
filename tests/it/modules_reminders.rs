//! Reminders as clients see them: in the list of those that are due, and on the sockets when they come due.

use inkring::clock::{Clock, SECOND_MICROS, Timestamp};
use serde_json::{Value, json};

use crate::support::http::Client;
use crate::support::socket::Socket;
use crate::support::{Server, UNHURRIED, household, wait_for};

const ENTRIES: &str = "/api/v1/calendar/entries";
const DUE: &str = "/api/v1/calendar/reminders/due";

fn make(client: &mut Client, body: &Value) -> i64 {
    let headers = [("content-type", "application/json")];
    let made = client.request("POST", ENTRIES, &headers, body.to_string().as_bytes()).expect(200);
    made["id"].as_i64().unwrap()
}

#[test]
fn reminders_that_came_due_are_listed_and_the_next_question_goes_on_behind_them() {
    let server = household();
    let mut client = server.connect();
    // The clocks of Kyiv go on at 01:00 UTC on 29 March.
    make(
        &mut client,
        &json!({ "title": "Гості", "scheduled_at": "2026-03-29T10:00", "end_time": "2026-03-29T12:30", "location": "Дім",
                 "reminder_settings": { "minutes_before": [0, 60] } }),
    );
    make(
        &mut client,
        &json!({ "title": "Ліки", "scheduled_at": "2026-03-27T10:00", "recurrence_pattern": "daily",
                 "reminder_settings": { "minutes_before": 15 }, "exceptions": { "2026-03-28T10:00:00": { "skip": true } } }),
    );
    make(
        &mut client,
        &json!({ "title": "Ні", "scheduled_at": "2026-03-29T10:00", "status": "cancelled",
                 "reminder_settings": { "minutes_before": 15 } }),
    );
    make(&mut client, &json!({ "title": "Без", "scheduled_at": "2026-03-29T10:00" }));
    let due = client.get(&format!("{DUE}?from=2026-03-28T07:00:00Z&to=2026-03-29T07:00:00Z"), None).expect(200);
    let guests = |at: &str, minutes: i64| {
        json!({
            "id": 1, "title": "Гості", "location": "Дім", "due_at": at, "start": "2026-03-29T10:00:00",
            "end": "2026-03-29T12:30:00", "original": "2026-03-29T10:00:00", "minutes_before": minutes,
            "url": "/api/v1/calendar/entries/1",
        })
    };
    let medicine = json!({
        "id": 2, "title": "Ліки", "location": null, "due_at": "2026-03-29T06:45:00Z", "start": "2026-03-29T10:00:00",
        "end": null, "original": "2026-03-29T10:00:00", "minutes_before": 15, "url": "/api/v1/calendar/entries/2",
    });
    assert_eq!(
        due,
        json!({
            "from": "2026-03-28T07:00:00Z", "until": "2026-03-29T07:00:00Z", "more": false,
            "due": [guests("2026-03-29T06:00:00Z", 60), medicine, guests("2026-03-29T07:00:00Z", 0)],
        })
    );
    let next = client.get(&format!("{DUE}?from=2026-03-29T07:00:00Z&to=2026-03-29T10:00"), None).expect(200);
    assert_eq!(
        (&next["due"], &next["until"]),
        (&json!([]), &json!("2026-03-29T07:00:00Z")),
        "times of the household too"
    );
    let back = client.get(&format!("{DUE}?from=2026-01-01T00:00:00Z&to=2026-03-29T07:00:00Z"), None).expect(200);
    assert_eq!((&back["from"], back["due"].as_array().unwrap().len()), (&json!("2026-03-22T07:00:00Z"), 4));
    let ahead = client.get(&format!("{DUE}?from=2026-03-29T07:00:00Z&to=2026-03-31T07:00:00Z"), None).expect(200);
    assert_eq!(ahead["due"].as_array().unwrap().len(), 2, "what will be due may be asked for");
    let now = client.get(DUE, None).expect(200);
    assert_eq!(&now["from"].as_str().unwrap()[10..], &now["until"].as_str().unwrap()[10..], "a day back");
    for (query, name) in
        [("from=soon", "from"), ("to=2026-02-30T10:00", "to"), ("from=2026-03-02T10:00&to=2026-03-01T10:00", "to")]
    {
        let refused = client.get(&format!("{DUE}?{query}"), None).expect(422);
        assert_eq!(refused["detail"][0]["loc"], json!(["query", name]), "{query}");
    }
    client.request("POST", "/api/v1/modules/calendar/shutdown", &[], b"").expect(200);
    assert_eq!(client.get(DUE, None).status, 503);
}

/// Five hundred reminders fit into one list; the next one has the rest.
#[test]
fn a_list_of_reminders_is_bounded_and_says_where_it_ends() {
    let server = household();
    let mut client = server.connect();
    for minute in 0..51 {
        make(
            &mut client,
            &json!({ "title": "T", "scheduled_at": format!("2026-07-01T10:{minute:02}"),
                     "reminder_settings": { "minutes_before": [0, 60, 120, 180, 240, 300, 360, 420, 480, 540] } }),
        );
    }
    let (mut from, mut seen, mut lists) = ("2026-06-30T00:00:00Z".to_owned(), 0, 0);
    loop {
        let due = client.get(&format!("{DUE}?from={from}&to=2026-07-02T00:00:00Z"), None).expect(200);
        seen += due["due"].as_array().unwrap().len();
        lists += 1;
        from = due["until"].as_str().unwrap().to_owned();
        if due["more"] == json!(false) {
            break;
        }
    }
    assert_eq!((seen, lists, from.as_str()), (510, 2, "2026-07-02T00:00:00Z"));
}

fn listen(server: &Server) -> Socket {
    let (answer, mut socket) = Socket::open(server, "/ws", &[]);
    assert_eq!(answer.status, 101);
    assert_eq!(socket.json()["event"], "connected");
    socket
}

/// The next reminder that a socket is told of.
fn next(socket: &mut Socket) -> Value {
    loop {
        let said = socket.json();
        if said["event"] == "reminder_due" {
            return said;
        }
        assert_eq!(said["event"], "record_created", "{said}");
    }
}

/// An entry with a reminder that comes due in so many seconds, and when that is.
fn due_in(client: &mut Client, title: &str, seconds: i64) -> (i64, Timestamp) {
    let at = Timestamp(Clock::system().now().0 + seconds * SECOND_MICROS);
    let start = Timestamp(at.0 + 60 * SECOND_MICROS).offset_style().to_string();
    let entry = json!({ "title": title, "scheduled_at": start, "reminder_settings": { "minutes_before": 1 } });
    (make(client, &entry), at)
}

#[test]
fn a_reminder_is_told_once_when_it_comes_due_whatever_becomes_of_the_server() {
    let mut server = Server::with(&[&[("HOUSEKEEPING_SECONDS", "3")], &UNHURRIED[..]].concat());
    let mut client = server.connect();
    let mut socket = listen(&server);
    due_in(&mut client, "Пізно", -600);
    let (first, at) = due_in(&mut client, "Перше", 1);
    let said = next(&mut socket);
    let told = Clock::system().now();
    assert!(told >= at, "{told:?} {at:?}");
    assert_eq!((&said["module"], &said["id"]), (&json!("calendar"), &json!(first)));
    assert_eq!(said["data"], json!({ "title": "Перше", "action": "due" }));
    let listed = client.get(DUE, None).expect(200)["due"].clone();
    let titles: Vec<&str> = listed.as_array().unwrap().iter().map(|due| due["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["Пізно", "Перше"], "the list has what came due before its entry was made");
    assert_eq!(said["reminder"], listed[1]);

    // One comes due while nobody is there to tell it, and is told afterwards; what was told is not.
    let (second, at) = due_in(&mut client, "Друге", 1);
    server.kill();
    wait_for(|| (Clock::system().now() > at).then_some(()));
    server.launch();
    let mut socket = listen(&server);
    assert_eq!(next(&mut socket)["id"], json!(second));
    server.terminate();
    server.launch();
    let mut socket = listen(&server);
    let mut client = server.connect();
    let (third, _) = due_in(&mut client, "Третє", 4);
    assert_eq!(next(&mut socket)["id"], json!(third), "each of them once");
    // A change of an entry that was told is no reason to tell it again, but another time is.
    let headers = [("content-type", "application/json")];
    client.request("PUT", &format!("{ENTRIES}/{third}"), &headers, br#"{"location":"X"}"#).expect(200);
    let (fourth, _) = due_in(&mut client, "Четверте", 1);
    let said = loop {
        let said = socket.json();
        if said["event"] == "reminder_due" {
            break said;
        }
    };
    assert_eq!(said["id"], json!(fourth));
}
