//! What kazkar does beyond keeping stories, and the sockets of the modules: contract 04 §1.8 as clients see it.

use serde_json::{Value, json};

use crate::support::household;
use crate::support::http::Client;
use crate::support::socket::{Sent, Socket};

fn post(client: &mut Client, path: &str, body: &Value) -> Value {
    let headers = [("content-type", "application/json")];
    client.request("POST", path, &headers, body.to_string().as_bytes()).expect(200)
}

fn story(client: &mut Client, title: &str, more: &Value) -> Value {
    let mut body = json!({ "title": title, "content": "C" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    post(client, "/api/v1/kazkar/stories", &body)
}

#[test]
fn stories_are_counted_and_indexed() {
    let server = household();
    let mut client = server.connect();
    story(&mut client, "A", &json!({ "story_type": "memory", "participants": ["Іван", "Олена"], "location": "Київ" }));
    story(&mut client, "B", &json!({ "story_type": "legend", "participants": ["Іван"], "location": "" }));
    story(&mut client, "C", &json!({ "story_type": "" }));
    let stats = client.get("/api/v1/kazkar/stats", None);
    assert_eq!(stats.expect(200), json!({ "total_stories": 3, "by_type": { "legend": 1, "memory": 1, "unknown": 1 } }));
    let people = client.get("/api/v1/kazkar/people", None).expect(200);
    assert_eq!(people, json!([{ "name": "Іван", "stories": 2 }, { "name": "Олена", "stories": 1 }]));
    assert_eq!(client.get("/api/v1/kazkar/places/", None).expect(200), json!([{ "name": "Київ", "stories": 1 }]));
    let legends = client.get("/api/v1/kazkar/legends?skip=0&limit=5", None);
    assert_eq!((legends.header("x-total-count"), &legends.expect(200)[0]["title"]), (Some("1"), &json!("B")));
    let today = client.get("/api/v1/kazkar/stories/1", None).expect(200)["time"].as_str().unwrap()[..10].to_owned();
    let year: i32 = today[..4].parse().unwrap();
    assert_eq!(client.get("/api/v1/kazkar/on-this-day", None).expect(200), json!([]), "only of other years");
    // Around midnight the household's day is another than that of UTC.
    let found: usize = ["-1", "0", "1"]
        .iter()
        .map(|shift| {
            let day: jiff_like::Day = jiff_like::Day::parse(&today).shifted(shift.parse().unwrap());
            let path = format!("/api/v1/kazkar/on-this-day?date={}-{}", year + 1, day.month_and_day());
            client.get(&path, None).expect(200).as_array().unwrap().len()
        })
        .sum();
    assert_eq!(found, 3);
    assert_eq!(client.get("/api/v1/kazkar/on-this-day?date=soon", None).status, 422);
}

/// Days of one month around another, which is all that the test above needs of a calendar.
mod jiff_like {
    pub struct Day(String);

    impl Day {
        pub fn parse(text: &str) -> Self {
            Self(text.to_owned())
        }

        pub fn shifted(self, by: i64) -> Self {
            let day: inkring::clock::Timestamp = inkring::clock::Timestamp(seconds(&self.0) * 1_000_000);
            let moved = inkring::clock::Timestamp(day.0 + by * inkring::clock::DAY_MICROS);
            Self(moved.offset_style().to_string()[..10].to_owned())
        }

        pub fn month_and_day(&self) -> &str {
            &self.0[5..]
        }
    }

    fn seconds(day: &str) -> i64 {
        (0..)
            .map(|days| days * 86_400)
            .find(|at| inkring::clock::Timestamp(at * 1_000_000).offset_style().to_string().starts_with(day))
            .unwrap()
    }
}

#[test]
fn a_story_that_comes_of_somewhere_is_there_once_and_keeps_what_is_not_sent() {
    let server = household();
    let mut client = server.connect();
    let body = json!({ "title": "Л", "content": "C", "story_type": "legend", "tags": ["a"], "source_trace": "md:1" });
    let first = post(&mut client, "/api/v1/kazkar/import", &body);
    let again =
        post(&mut client, "/api/v1/kazkar/import", &json!({ "title": "Л2", "content": "C2", "source_trace": "md:1" }));
    assert_eq!((&again["id"], &again["time"]), (&first["id"], &first["time"]));
    assert_eq!(
        (&again["title"], &again["story_type"], &again["tags"]),
        (&json!("Л2"), &json!("legend"), &json!(["a"]))
    );
    let other = post(&mut client, "/api/v1/kazkar/import", &json!({ "title": "X", "content": "C" }));
    let another = post(&mut client, "/api/v1/kazkar/import", &json!({ "title": "X", "content": "C" }));
    assert_ne!(other["id"], another["id"], "what comes of nowhere is made each time");
    assert_eq!(client.get("/api/v1/kazkar/stories", None).header("x-total-count"), Some("3"));
    let headers = [("content-type", "application/json")];
    assert_eq!(client.request("POST", "/api/v1/kazkar/import", &headers, b"{}").status, 422);
    assert_eq!(client.request("OPTIONS", "/api/v1/kazkar/import", &[], b"").status, 405);
}

#[test]
fn those_who_listen_are_told_of_every_change_once_it_is_written() {
    let server = household();
    let mut client = server.connect();
    let listen = |path: &str| {
        let (answer, mut socket) = Socket::open(&server, path, &[]);
        assert_eq!(answer.status, 101);
        let said = socket.json();
        assert_eq!(said["event"], "connected");
        assert!(said["timestamp"].is_i64() && said["message"].is_string(), "{said}");
        socket
    };
    let [mut one, mut other, mut all] = ["/ws/kazkar", "/api/v1/kazkar/ws", "/ws"].map(listen);
    story(&mut client, "L", &json!({ "story_type": "legend" }));
    client
        .request("PUT", "/api/v1/kazkar/stories/1", &[("content-type", "application/json")], br#"{"title":"M"}"#)
        .expect(200);
    client.request("DELETE", "/api/v1/kazkar/stories/1", &[], b"").expect(200);
    client.request("POST", "/api/v1/kazkar/stories/1/restore", &[], b"").expect(200);
    post(&mut client, "/api/v1/kazkar/import", &json!({ "title": "N", "content": "C" }));
    let told = [("created", "L"), ("updated", "M"), ("deleted", "M"), ("restored", "M"), ("created", "N")];
    for socket in [&mut one, &mut other, &mut all] {
        for (what, title) in told {
            let said = socket.json();
            assert_eq!(said["event"], format!("legend_{what}"));
            assert_eq!(said["data"], json!({ "title": title, "action": what }));
            assert!(said["legend_id"].is_i64() && said["sense"].is_null() && said["timestamp"].is_i64(), "{said}");
        }
    }
    post(&mut client, "/api/v1/malya/ideas", &json!({ "title": "I", "description": "D" }));
    let said = all.json();
    assert_eq!((&said["event"], &said["module"], &said["id"]), (&json!("record_created"), &json!("malya"), &json!(1)));
    one.send_text("привіт");
    let echo = one.json();
    assert_eq!((&echo["event"], &echo["received"]), (&json!("echo"), &json!("привіт")));

    let said = post(&mut client, "/api/v1/kazkar/broadcast", &json!({ "event": "legends_synced", "count": 3 }));
    assert_eq!(said, json!({ "status": "success", "message": "Event broadcasted to all clients" }));
    for socket in [&mut one, &mut other, &mut all] {
        let said = socket.json();
        assert_eq!((&said["event"], &said["count"]), (&json!("legends_synced"), &json!(3)));
        assert!(said["timestamp"].is_i64());
    }
    let headers = [("content-type", "application/json")];
    assert_eq!(client.request("POST", "/api/v1/kazkar/broadcast", &headers, b"[1]").status, 422);
    one.abort();
    other.close();
    story(&mut client, "later", &json!({}));
    assert_eq!(all.json()["data"]["title"], "later", "the dead and the gone disturb nobody");
    let mut odd = listen("/ws");
    odd.send(&Sent::new(2, b"x"));
    odd.assert_cut_off(1003, "Binary messages are not accepted");
}
