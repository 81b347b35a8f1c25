//! What the household's records survive: every filter and every null, all spellings of values, very many tags, many writers of one
//! record, a server that is killed while it deletes, and a backup that is brought back.

use std::io;
use std::sync::Mutex;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::http::{Answer, Client};
use crate::support::{Server, UNHURRIED, household, inkring, wait_for};

/// A kind: its collection, a record that says all that it can, another one, and what a list of the first alone is asked for by.
struct Kind {
    path: &'static str,
    full: Value,
    other: Value,
    filters: &'static [(&'static str, &'static str)],
}

fn kinds() -> [Kind; 6] {
    let tail = json!({ "tags": ["родина"], "source_trace": "test:1" });
    let full = |own: Value| {
        let mut full = own;
        full.as_object_mut().unwrap().extend(tail.as_object().unwrap().clone());
        full
    };
    [
        Kind {
            path: "kazkar/stories",
            full: full(
                json!({ "title": "T", "content": "C", "story_type": "memory", "participants": ["Іван"], "location": "Київ" }),
            ),
            other: json!({ "title": "U", "content": "C", "story_type": "legend", "participants": ["Олена"], "location": "Львів" }),
            filters: &[("story_type", "memory"), ("person", "Іван"), ("place", "Київ"), ("tag", "родина")],
        },
        Kind {
            path: "podija/events",
            full: full(
                json!({ "title": "T", "description": "D", "event_date": "2026-03-01T10:00", "event_type": "work",
                               "is_completed": true, "participants": ["Іван"], "location": "Київ" }),
            ),
            other: json!({ "title": "U", "event_type": "family" }),
            filters: &[
                ("event_type", "work"),
                ("is_completed", "true"),
                ("person", "Іван"),
                ("place", "Київ"),
                ("tag", "родина"),
            ],
        },
        Kind {
            path: "nastrij/emotions",
            full: full(
                json!({ "emotion_state": "calm", "intensity": 5, "context": "C", "triggers": ["сон"], "notes": "N",
                               "occurred_at": "2026-03-01T10:00" }),
            ),
            other: json!({ "emotion_state": "sad", "triggers": ["дощ"] }),
            filters: &[("emotion_state", "calm"), ("trigger", "сон"), ("tag", "родина")],
        },
        Kind {
            path: "malya/ideas",
            full: full(
                json!({ "title": "T", "description": "D", "idea_type": "x", "status": "draft", "related_ideas": [7],
                               "resources": ["r"], "priority": "high" }),
            ),
            other: json!({ "title": "U", "description": "D", "status": "active", "related_ideas": [1] }),
            filters: &[
                ("idea_type", "x"),
                ("status", "draft"),
                ("related_to", "7"),
                ("priority", "high"),
                ("tag", "родина"),
            ],
        },
        Kind {
            path: "gallery/items",
            full: full(json!({ "title": "T", "description": "D", "media_type": "photo", "url": "https://a/1",
                               "thumbnail_url": "https://a/t", "file_size": 7, "mime_type": "image/jpeg",
                               "media_metadata": { "a": 1 }, "taken_at": "2026-03-01T10:00" })),
            other: json!({ "title": "U", "media_type": "video", "url": "https://a/2" }),
            filters: &[
                ("media_type", "photo"),
                ("url", "https://a/1"),
                ("thumbnail_url", "https://a/t"),
                ("mime_type", "image/jpeg"),
                ("tag", "родина"),
            ],
        },
        Kind {
            path: "calendar/entries",
            full: full(
                json!({ "title": "T", "description": "D", "scheduled_at": "2026-03-01T10:00", "end_time": "2026-03-01T11:00",
                               "entry_type": "x", "is_recurring": true, "recurrence_pattern": "weekly", "location": "Київ",
                               "participants": ["Іван"], "reminder_settings": { "minutes_before": 5 }, "status": "pending" }),
            ),
            other: json!({ "title": "U", "scheduled_at": "2026-03-02T10:00", "status": "completed" }),
            filters: &[
                ("entry_type", "x"),
                ("is_recurring", "1"),
                ("recurs", "true"),
                ("place", "Київ"),
                ("person", "Іван"),
                ("reminds", "yes"),
                ("status", "pending"),
                ("tag", "родина"),
            ],
        },
    ]
}

fn send(client: &mut Client, method: &str, path: &str, body: &str) -> Answer {
    client.request(method, &format!("/api/v1/{path}"), &[("content-type", "application/json")], body.as_bytes())
}

fn make(client: &mut Client, path: &str, body: &Value) -> Value {
    send(client, "POST", path, &body.to_string()).expect(200)
}

fn import(client: &mut Client, lines: &str) -> Value {
    client.request("POST", "/api/v1/import", &[("content-type", "application/x-ndjson")], lines.as_bytes()).expect(200)
}

fn ids(answer: &Answer) -> Vec<i64> {
    answer.expect(200).as_array().unwrap().iter().map(|record| record["id"].as_i64().unwrap()).collect()
}

fn encoded(name: &str, value: &str) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish()
}

#[test]
fn every_filter_of_every_kind_finds_what_it_says() {
    let server = household();
    let mut client = server.connect();
    let described = client.get("/api/openapi.json", None).expect(200);
    for Kind { path, full, other, filters } in kinds() {
        make(&mut client, path, &full);
        make(&mut client, path, &other);
        let parameters = described["paths"][format!("/api/v1/{path}")]["get"]["parameters"].as_array().unwrap();
        let mut known: Vec<_> =
            parameters.iter().map(|parameter| parameter["name"].as_str().unwrap()).skip(6).collect();
        let mut tried: Vec<_> = filters.iter().map(|(name, _)| *name).collect();
        known.sort_unstable();
        tried.sort_unstable();
        assert_eq!(tried, known, "{path}: each filter is tried");
        for (name, value) in filters {
            let found = client.get(&format!("/api/v1/{path}?{}", encoded(name, value)), None);
            assert_eq!((ids(&found), found.header("x-total-count")), (vec![1], Some("1")), "{path} {name}");
            let none = client.get(&format!("/api/v1/{path}?skip=1&{}", encoded(name, value)), None);
            assert_eq!((ids(&none), none.header("x-total-count")), (vec![], Some("1")), "{path} {name}");
        }
        for (query, found) in [("order=desc", vec![2, 1]), ("skip=1", vec![2]), ("limit=1&order=desc", vec![2])] {
            assert_eq!(ids(&client.get(&format!("/api/v1/{path}?{query}"), None)), found, "{path} {query}");
        }
    }
}

#[test]
fn null_takes_away_what_may_be_missing_is_refused_elsewhere_and_breaks_nothing() {
    let server = household();
    let mut client = server.connect();
    let described = client.get("/api/openapi.json", None).expect(200);
    for (Kind { path, full, .. }, noun) in
        kinds().into_iter().zip(["Story", "Event", "Emotion", "Idea", "Item", "Entry"])
    {
        let made = make(&mut client, path, &full);
        let one = format!("{path}/1");
        let required = described["components"]["schemas"][format!("{noun}Create")]["required"].as_array().unwrap();
        let mut expected = made.clone();
        for name in full.as_object().unwrap().keys() {
            let changed = send(&mut client, "PUT", &one, &json!({ name: null }).to_string());
            if required.contains(&json!(name)) {
                let kind = changed.expect(422)["detail"][0]["type"].clone();
                assert!(kind == "string_type" || kind == "datetime_type", "{path} {name}: {kind}");
            } else {
                expected[name] = match name.as_str() {
                    "tags" => json!([]),
                    "is_completed" | "is_recurring" => json!(false),
                    _ => Value::Null,
                };
                assert_eq!(changed.expect(200), expected, "{path} {name}");
            }
            assert_eq!(client.get(&format!("/api/v1/{path}"), None).expect(200), json!([expected]), "{path} {name}");
        }
        // In a new record null says as much as nothing, but where there is a value always.
        for (name, value) in full.as_object().unwrap() {
            let mut body = full.clone();
            body[name] = Value::Null;
            let status = send(&mut client, "POST", path, &body.to_string()).status;
            let is_refused = required.contains(&json!(name)) || value.is_boolean() || name == "tags";
            assert_eq!(status, if is_refused { 422 } else { 200 }, "{path} {name}");
        }
    }
}

#[test]
fn values_are_taken_in_all_spellings_of_the_original() {
    let server = household();
    let mut client = server.connect();
    for (path, field, sent, kept) in [
        ("kazkar/stories", "title", "7", Err("string_type")),
        ("kazkar/stories", "title", "true", Err("string_type")),
        ("kazkar/stories", "location", r#""""#, Ok(r#""""#)),
        ("podija/events", "is_completed", "0", Ok("false")),
        ("podija/events", "is_completed", "1.0", Ok("true")),
        ("podija/events", "is_completed", r#""on""#, Ok("true")),
        ("podija/events", "is_completed", r#""NO""#, Ok("false")),
        ("podija/events", "is_completed", r#""perhaps""#, Err("bool_parsing")),
        ("podija/events", "is_completed", "2", Err("bool_parsing")),
        ("podija/events", "is_completed", "null", Err("bool_type")),
        ("podija/events", "is_completed", "[]", Err("bool_type")),
        ("podija/events", "event_date", r#""2026-03-01T10:00""#, Ok(r#""2026-03-01T10:00:00""#)),
        ("podija/events", "event_date", r#""2026-03-01 10:00:05.25""#, Ok(r#""2026-03-01T10:00:05.250000""#)),
        ("podija/events", "event_date", r#""2026-03-01T10:00+02:00""#, Ok(r#""2026-03-01T10:00:00""#)),
        ("podija/events", "event_date", r#""2026-07-01T10:00Z""#, Ok(r#""2026-07-01T13:00:00""#)),
        ("podija/events", "event_date", "1700000000", Ok(r#""2023-11-15T00:13:20""#)),
        ("podija/events", "event_date", r#""""#, Ok("null")),
        ("podija/events", "event_date", r#""2026-03-01""#, Err("datetime_parsing")),
        ("podija/events", "event_date", r#""2026-02-30T10:00""#, Err("datetime_parsing")),
        ("podija/events", "event_date", "{}", Err("datetime_type")),
        ("calendar/entries", "scheduled_at", r#""""#, Err("datetime_parsing")),
        ("calendar/entries", "recurrence_pattern", "7", Err("value_error")),
        ("nastrij/emotions", "intensity", "7", Ok("7.0")),
        ("nastrij/emotions", "intensity", r#""6.5""#, Ok("6.5")),
        ("nastrij/emotions", "intensity", r#""much""#, Err("float_parsing")),
        ("nastrij/emotions", "intensity", "42", Err("less_than_equal")),
        ("nastrij/emotions", "intensity", "-0.5", Err("greater_than_equal")),
        ("gallery/items", "file_size", r#""12""#, Ok("12")),
        ("gallery/items", "file_size", "12.0", Ok("12")),
        ("gallery/items", "file_size", "12.5", Err("int_from_float")),
        ("gallery/items", "file_size", r#""x""#, Err("int_parsing")),
        ("gallery/items", "media_metadata", "[]", Err("dict_type")),
        ("gallery/items", "media_metadata", r#"{"b":[1],"a":null}"#, Ok(r#"{"b":[1],"a":null}"#)),
        ("malya/ideas", "related_ideas", r#"[1,"2",3.0]"#, Ok("[1,2,3]")),
        ("malya/ideas", "related_ideas", r#"[1,"x"]"#, Err("int_parsing")),
        ("malya/ideas", "resources", r#""r""#, Err("list_type")),
        ("malya/ideas", "tags", r#"["a",1]"#, Err("string_type")),
    ] {
        let kind = kinds().into_iter().find(|kind| kind.path == path).unwrap();
        let mut body = kind.other;
        body[field] = serde_json::from_str(sent).unwrap();
        let answer = send(&mut client, "POST", path, &body.to_string());
        match kept {
            Ok(kept) => {
                let made = answer.expect(200);
                assert_eq!(made[field].to_string(), kept, "{path} {field} {sent}");
                let one = format!("/api/v1/{path}/{}", made["id"]);
                assert!(
                    client.get(&one, None).text().contains(&format!(r#""{field}":{kept},"#)),
                    "{path} {field} {sent}"
                );
            }
            Err(kind) => {
                let said = answer.expect(422);
                assert_eq!(
                    (&said["detail"][0]["type"], &said["detail"][0]["loc"][1]),
                    (&json!(kind), &json!(field)),
                    "{sent}"
                );
            }
        }
    }
}

#[test]
fn very_many_tags_are_found_one_by_one_and_a_million_at_once_are_not_taken() {
    const RECORDS: usize = 40;
    const EACH: usize = 1000;
    let server = household();
    let mut client = server.connect();
    let idea = |tags: Vec<String>| json!({ "title": "T", "description": "D", "tags": tags });
    let line = |number: usize, tags: Vec<String>| {
        let mut line = idea(tags);
        line["module"] = json!("malya");
        line["id"] = json!(number);
        line["time"] = json!("2026-01-01T00:00:00Z");
        line.to_string()
    };
    let million = line(1, (0..1_000_000).map(|number| number.to_string()).collect());
    let mut other = server.connect();
    let length = million.len();
    other.send(format!(
        "POST /api/v1/malya/ideas HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    ));
    assert_eq!(other.answer().status, 413, "by what it says of itself");
    let before = server.memory_kb("VmHWM");
    assert_eq!(import(&mut client, &million)["lines"][0]["why"], "It has more than 4194304 bytes");
    let grown = server.memory_kb("VmHWM").saturating_sub(before);
    assert!(grown < 24 * 1024, "it has taken {grown} kB");
    let over = idea(vec!["a".to_owned(); EACH + 1]).to_string();
    assert_eq!(send(&mut client, "POST", "malya/ideas", &over).expect(422)["detail"][0]["type"], "too_long");

    let lines: Vec<String> = (0..RECORDS)
        .map(|record| line(record + 1, (0..EACH).map(|tag| format!("t{}", record * EACH + tag)).collect()))
        .collect();
    assert_eq!(import(&mut client, &lines.join("\n"))["made"], RECORDS);
    for tag in [0, EACH - 1, EACH, RECORDS * EACH - 1] {
        let found = client.get(&format!("/api/v1/malya/ideas?tag=t{tag}"), None);
        assert_eq!((ids(&found), found.header("x-total-count")), (vec![(tag / EACH + 1) as i64], Some("1")), "{tag}");
        let found = client.get(&format!("/api/v1/malya/ideas?q=t{tag}&order=desc"), None);
        assert!(ids(&found).contains(&((tag / EACH + 1) as i64)), "{tag}");
    }
    send(&mut client, "PUT", "malya/ideas/1", r#"{"tags":["t0"]}"#).expect(200);
    send(&mut client, "DELETE", "malya/ideas/2", "").expect(200);
    let database = Connection::open(server.database()).unwrap();
    let tags = "SELECT sum(doc) FROM text_terms WHERE substr(term, 2, 6) = char(129) || 'tags' || char(129)";
    let left: i64 = database.query_row(tags, [], |row| row.get(0)).unwrap();
    assert_eq!(left as usize, (RECORDS - 2) * EACH + 1);
}

#[test]
fn fifty_writers_of_one_record_do_not_overwrite_each_other() {
    let server = Server::with(&UNHURRIED);
    let mut client = server.connect();
    make(&mut client, "malya/ideas", &json!({ "title": "T", "description": "0" }));
    std::thread::scope(|scope| {
        for writer in 0..50 {
            let server = &server;
            scope.spawn(move || {
                let mut client = server.connect();
                loop {
                    let read = client.get("/api/v1/malya/ideas/1", None);
                    let tag = read.header("etag").unwrap().to_owned();
                    let count: u32 = read.json()["description"].as_str().unwrap().parse().unwrap();
                    let body =
                        json!({ "description": (count + 1).to_string(), "tags": [format!("w{writer}")] }).to_string();
                    let headers = [("content-type", "application/json"), ("if-match", &*tag)];
                    match client.request("PUT", "/api/v1/malya/ideas/1", &headers, body.as_bytes()).status {
                        200 => return,
                        status => assert_eq!(status, 412),
                    }
                }
            });
        }
    });
    let idea = client.get("/api/v1/malya/ideas/1", None).expect(200);
    assert_eq!(idea["description"], "50");
    let found: Vec<usize> = (0..50)
        .filter(|writer| !ids(&client.get(&format!("/api/v1/malya/ideas?tag=w{writer}"), None)).is_empty())
        .collect();
    assert_eq!(found.len(), 1, "it is found by what it says now and by nothing else: {found:?}");
    assert_eq!(idea["tags"], json!([format!("w{}", found[0])]));
}

#[test]
fn killed_while_it_deletes_every_record_is_there_or_in_the_bin() {
    const RECORDS: i64 = 600;
    const DELETERS: i64 = 4;
    let mut server = household();
    let lines: Vec<String> = (1..=RECORDS)
        .map(|id| {
            json!({ "title": "T", "content": "слово", "tags": ["a", "b"], "module": "kazkar", "id": id,
                    "time": "2026-01-01T00:00:00Z" })
            .to_string()
        })
        .collect();
    assert_eq!(import(&mut server.connect(), &lines.join("\n"))["made"], RECORDS);
    let clients: Vec<Client> = (0..DELETERS).map(|_| server.connect()).collect();
    let deleted = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for (first, mut client) in (1..).zip(clients) {
            let deleted = &deleted;
            scope.spawn(move || -> io::Result<()> {
                for id in (first..=RECORDS).step_by(DELETERS as usize) {
                    let request = format!("DELETE /api/v1/kazkar/stories/{id} HTTP/1.1\r\nhost: a\r\n\r\n");
                    let answer = client.exchange(request.as_bytes())?;
                    assert_eq!(answer.status, 200);
                    deleted.lock().unwrap().push(id);
                }
                Ok(())
            });
        }
        wait_for(|| (deleted.lock().unwrap().len() >= 60).then_some(()));
        server.kill();
    });
    let deleted = deleted.into_inner().unwrap();
    {
        let database = Connection::open(server.database()).unwrap();
        let number = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        let there = number("SELECT count(*) FROM records");
        assert_eq!(there + number("SELECT count(*) FROM record_bin"), RECORDS);
        assert_eq!(number("SELECT count(*) FROM records JOIN record_bin USING (key)"), 0);
        assert_eq!(number("SELECT records FROM record_kinds WHERE kind = 1"), there);
        let labels = "SELECT coalesce(sum(doc), 0) FROM text_terms WHERE substr(term, 2, 1) = char(129)";
        assert_eq!(number(labels), 2 * there, "what each is filtered by");
        assert_eq!(number("SELECT count(*) FROM texts"), there);
    }
    server.launch();
    let mut client = server.connect();
    for id in &deleted {
        send(&mut client, "GET", &format!("kazkar/stories/{id}"), "").expect(404);
        send(&mut client, "POST", &format!("kazkar/stories/{id}/restore"), "").expect(200);
    }
}

#[test]
fn what_a_backup_brings_back_is_exported_as_before() {
    let mut server = household();
    let mut client = server.connect();
    for Kind { path, full, other, .. } in kinds() {
        make(&mut client, path, &full);
        make(&mut client, path, &other);
    }
    let link = json!({ "from": { "module": "malya", "id": 1 }, "to": { "module": "podija", "id": 1 }, "kind": "for" });
    make(&mut client, "links", &link);
    send(&mut client, "DELETE", "kazkar/stories/2", "").expect(200);
    let exported = |server: &Server| server.get("/api/v1/export").text().split_once('\n').unwrap().1.to_owned();
    let before = exported(&server);
    assert_eq!(before.lines().count(), 12);
    assert!(server.terminate().success());
    let here = server.directory.path().to_owned();
    let verb = |arguments: &[&str]| {
        let output = inkring(&here).args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let said = verb(&["backup", "--to", "kept"]);
    let backup = here.join(said.lines().next().unwrap());
    std::fs::remove_dir_all(here.join("data")).unwrap();
    verb(&["restore", backup.to_str().unwrap()]);
    server.launch();
    assert_eq!(exported(&server), before);
    let mut client = server.connect();
    send(&mut client, "POST", "kazkar/stories/2/restore", "").expect(200);
    assert_eq!(ids(&client.get("/api/v1/kazkar/stories?q=u", None)), [2], "the bin and the search are there as well");
}

#[test]
fn sql_for_the_originals_tables_still_reads() {
    let server = household();
    let mut client = server.connect();
    let database = Connection::open(server.database()).unwrap();
    for Kind { path, full, .. } in kinds() {
        let made = make(&mut client, path, &full);
        let view = path.replace('/', "_");
        let mut statement = database.prepare(&format!("SELECT * FROM {view} WHERE id = 1")).unwrap();
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut columns = names.clone();
        let mut keys: Vec<String> = made.as_object().unwrap().keys().cloned().collect();
        columns.sort();
        keys.sort();
        assert_eq!(columns, keys, "{view}: a column for each field");
        statement
            .query_row([], |row| {
                for name in &names {
                    let shown = match row.get_ref(name.as_str())? {
                        rusqlite::types::ValueRef::Null => Value::Null,
                        rusqlite::types::ValueRef::Integer(number) if made[name].is_boolean() => json!(number == 1),
                        rusqlite::types::ValueRef::Integer(number) => json!(number),
                        rusqlite::types::ValueRef::Real(number) => json!(number),
                        other if made[name].is_string() => json!(other.as_str().unwrap()),
                        other => serde_json::from_str(other.as_str().unwrap()).unwrap(),
                    };
                    assert_eq!(shown, made[name], "{view}.{name}");
                }
                Ok(())
            })
            .unwrap();
    }
    send(&mut client, "DELETE", "kazkar/stories/1", "").expect(200);
    let sql = "SELECT (SELECT count(*) FROM kazkar_stories), \
               (SELECT count(*) FROM podija_events WHERE event_type = 'work' AND is_completed AND event_date > '2026-02')";
    let counted: (i64, i64) = database.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!(counted, (0, 1));
    assert!(database.execute("DELETE FROM podija_events", []).is_err(), "they are for reading");
}
