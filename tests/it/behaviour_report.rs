//! What is made of the files of events: reports, erasing a visitor, importing files of others.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use inkring::clock::Clock;
use inkring::net::client::{Ask, Remote};
use serde_json::{Value, json};

use crate::behaviour_house::{EVENT, FREELY, SNAPSHOT, event, files, gz, lines};
use crate::docs::blocks;
use crate::ops::Operated;
use crate::repository::read;
use crate::support::browser::Page;
use crate::support::needs::browser;
use crate::support::random::Random;
use crate::support::{PATIENCE, besides_settings, inkring, wait_for};

/// A verb of `inkring metrics`: its exit code and what it prints.
fn metrics(directory: &Path, settings: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = inkring(directory);
    let output = command.arg("metrics").args(arguments).envs(settings.iter().copied()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap(), besides_settings(output.stderr))
}

#[track_caller]
fn report(directory: &Path, arguments: &[&str]) -> Value {
    let (code, said, error) = metrics(directory, &[], &[&["report", "--format", "json"], arguments].concat());
    assert_eq!((code, error.as_str()), (Some(0), ""));
    serde_json::from_str(&said).unwrap()
}

/// The day so many days ago.
fn ago(days: u64) -> String {
    Clock::system().now().earlier(Duration::from_secs(days * 86_400)).offset_style().to_string()[..10].to_owned()
}

/// A line as the server writes it, of noon on that day.
fn line(visitor: &str, name: &str, metadata: &Value, agent: Option<&str>, day: &str) -> String {
    let (name, agent) = (json!(name), json!(agent));
    format!(
        "{{\"visitor_id\": \"{visitor}\", \"event\": {name}, \"timestamp\": \"2001-01-01T00:00:00Z\", \"metadata\": {metadata}, \
         \"user_agent\": {agent}, \"received_at\": \"{day}T12:00:00Z\"}}\n"
    )
}

#[test]
fn a_report_counts_what_was_sent_and_programs_in_a_column_of_their_own() {
    let operated = Operated::with(&FREELY);
    let here = operated.server.directory.path();
    let mut client = operated.server.connect();
    let mut send = |agent: &str, body: Value| {
        let (body, headers) = (body.to_string(), [("User-Agent", agent)]);
        let headers = if agent.is_empty() { &headers[..0] } else { &headers[..] };
        client.request("POST", EVENT, headers, body.as_bytes()).expect(202);
    };
    let view = |visitor: &str, path: &str, referrer: &str| json!({ "visitor_id": visitor, "event": "page_view", "metadata": { "path": path, "referrer": referrer } });
    send("Mozilla/5.0 Firefox/131", view("v-000001", "/літо?x=1", "https://news.example/a"));
    send("Mozilla/5.0 Firefox/131", view("v-000001", "/літо", ""));
    send("", view("v-000002", "=1+1", "https://news.example/b"));
    send(
        "Mozilla/5.0",
        json!({ "visitor_id": "v-000002", "event": "link_click", "metadata": { "href": "https://x.example/#a" } }),
    );
    for agent in ["AhrefsBot/7.0", "Mozilla/5.0 HeadlessChrome/120"] {
        send(agent, view("v-000003", "/літо", ""));
    }
    // The other days lie in files of either form.
    let data = here.join("data");
    fs::write(
        data.join(format!("metrics-{}.jsonl.gz", ago(2))),
        gz(&line("v-000001", "own", &json!({}), None, &ago(2))),
    )
    .unwrap();
    fs::write(data.join(format!("metrics-{}.jsonl", ago(9))), line("v-000009", "own", &json!({}), None, &ago(9)))
        .unwrap();

    let found = report(here, &[]);
    assert_eq!((&found["from"], &found["to"], &found["files"]), (&json!(ago(6)), &json!(ago(0)), &json!(3)));
    assert_eq!((&found["events"], &found["visitors"], &found["programs"]), (&json!(5), &json!(2), &json!(2)));
    assert_eq!(found["lines"], json!({ "read": 8, "counted": 7, "bad": 0 }));
    assert_eq!(found["days"].as_array().unwrap().len(), 7);
    assert_eq!((&found["days"][4]["events"], &found["days"][6]["events"]), (&json!(1), &json!(4)));
    assert_eq!(found["days"][6]["by_event"][0], json!({ "event": "page_view", "events": 3, "programs": 2 }));
    assert_eq!(
        found["paths"],
        json!({ "missed_at_most": 0, "rows": [
        { "name": "/літо", "events": 2 }, { "name": "=1+1", "events": 1 }
    ] })
    );
    assert_eq!(found["links"]["rows"], json!([{ "name": "https://x.example/", "events": 1 }]));
    assert_eq!(found["referrers"]["rows"], json!([{ "name": "news.example", "events": 2 }]));
    let of_hour = found["last_hour"]["events"].as_array().unwrap();
    assert_eq!((of_hour.len(), of_hour.iter().filter_map(Value::as_u64).sum::<u64>()), (60, 4));
    let all = report(here, &["--days", "10", "--with-programs"]);
    assert_eq!((&all["events"], &all["visitors"], &all["programs"]), (&json!(8), &json!(4), &json!(2)));

    let (code, table, _) = metrics(here, &[], &["report", "--days", "1"]);
    let row = |name: &str| table.lines().find(|line| line.trim_start().starts_with(name)).unwrap().to_owned();
    assert_eq!(code, Some(0));
    assert!(row(&ago(0)).ends_with("         4           2           2"), "{table}");
    assert!(table.contains("2 events from programs are excluded, except in their own column"), "{table}");
    let (_, csv, _) = metrics(here, &[], &["report", "--format", "csv", "--days", "1"]);
    assert!(csv.starts_with("section,day,name,events,visitors,programs\r\n"), "{csv}");
    assert!(
        csv.contains("\r\npath,,\"'=1+1\",1,,\r\n") && csv.contains(&format!("\r\nday,{},,4,2,2\r\n", ago(0))),
        "{csv}"
    );
    for (wrong, named) in [("0", "--days"), ("367", "from 1 to 366"), ("x", "--days")] {
        let (code, _, error) = metrics(here, &[], &["report", "--days", wrong]);
        assert_eq!((code, error.contains(named)), (Some(2), true), "{error}");
    }
    assert_eq!(metrics(here, &[], &["report", "--data-dir", "nowhere"]).0, Some(1));
    // What cannot be read is said, and the rest is counted.
    fs::write(data.join(format!("metrics-{}.jsonl.gz", ago(1))), "no gzip").unwrap();
    let (code, table, error) = metrics(here, &[], &["report"]);
    assert_eq!((code, error.contains(&format!("metrics-{}.jsonl.gz: ", ago(1)))), (Some(1), true), "{error}");
    assert!(row_of(&table, "all").ends_with("         5           2           2"), "{table}");
}

/// The names of all members, with what is in which.
fn members(value: &Value, place: &str, found: &mut std::collections::BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| members(item, &format!("{place}[]"), found)),
        Value::Object(all) => {
            for (name, value) in all {
                found.insert(format!("{place}.{name}"));
                members(value, &format!("{place}.{name}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn the_json_of_a_report_is_as_documented() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("data")).unwrap();
    let view = json!({ "path": "/", "referrer": "news.example" });
    let text = line("v-000001", "page_view", &view, None, &ago(0));
    let click = line("v-000001", "link_click", &json!({ "href": "/" }), None, &ago(0));
    fs::write(directory.path().join("data/metrics.jsonl"), text + &click).unwrap();
    let page = blocks(&read("docs/BEHAVIOUR_METRICS.md"));
    let shown = page.iter().find(|block| block.text.contains("last_hour")).unwrap();
    let (mut documented, mut real) = (Default::default(), Default::default());
    members(&serde_json::from_str(&shown.text).unwrap(), "", &mut documented);
    members(&report(directory.path(), &["--days", "1"]), "", &mut real);
    assert_eq!(documented, real, "left: the page; right: the program");
}

fn row_of(table: &str, name: &str) -> String {
    table.lines().find(|line| line.starts_with(name)).unwrap().to_owned()
}

#[test]
fn a_report_over_random_files_is_what_a_simple_count_finds() {
    let mut random = Random::seeded();
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    fs::create_dir(&data).unwrap();
    // By day and name: events, programs. And visitors by day.
    let (mut counts, mut visitors) = (BTreeMap::<(String, String), (u64, u64)>::new(), BTreeMap::new());
    for file in 0..12 {
        let mut text = String::new();
        for _ in 0..random.below(300) {
            if random.one_in(20) {
                let odd = *random.pick(&["", "{}", "no line", "{\"visitor_id\": \"v-half"]);
                text.push_str(&format!("{odd}\n"));
                continue;
            }
            let day = ago(random.below(6) as u64);
            let visitor = format!("v-{:06}", random.below(30));
            let name = (*random.pick(&["page_view", "link_click", "літо \"q\"", "own"])).to_owned();
            let agent = *random.pick(&[None, Some("Mozilla/5.0 \"x\""), Some("curl/8"), Some("")]);
            let row = counts.entry((day.clone(), name.clone())).or_default();
            if agent == Some("curl/8") {
                row.1 += 1;
            } else {
                row.0 += 1;
                visitors.entry(day.clone()).or_insert_with(std::collections::BTreeSet::new).insert(visitor.clone());
            }
            let line = line(&visitor, &name, &json!({ "path": "/", "n": [1, "}"] }), agent, &day);
            text.push_str(&if random.one_in(3) { line.replace("\": ", "\":") } else { line });
        }
        let name = format!("metrics-{}.{}.jsonl", ago(0), file + 1);
        match file % 2 {
            0 => fs::write(data.join(name), text).unwrap(),
            _ => fs::write(data.join(format!("{name}.gz")), gz(&text)).unwrap(),
        }
    }
    let days = 4;
    let found = report(directory.path(), &["--days", &days.to_string()]);
    for (day, back) in found["days"].as_array().unwrap().iter().zip((0..days).rev()) {
        let expected: BTreeMap<&str, (u64, u64)> = counts
            .iter()
            .filter(|((of, _), _)| *of == ago(back))
            .map(|((_, name), counts)| (name.as_str(), *counts))
            .collect();
        let rows: BTreeMap<&str, (u64, u64)> = day["by_event"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                (row["event"].as_str().unwrap(), (row["events"].as_u64().unwrap(), row["programs"].as_u64().unwrap()))
            })
            .collect();
        assert_eq!(rows, expected, "{}", day["day"]);
        assert_eq!(day["visitors"].as_u64().unwrap(), visitors.get(&ago(back)).map_or(0, |ids| ids.len() as u64));
    }
}

/// How often each visitor stands in the files.
fn visitors(directory: &Path) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for line in lines(directory) {
        *found.entry(line["visitor_id"].as_str().unwrap().to_owned()).or_insert(0) += 1;
    }
    found
}

#[test]
fn a_visitor_is_erased_from_every_file_and_from_the_snapshot() {
    let mut operated = Operated::with(&FREELY);
    let (here, plane) = (operated.server.directory.path().to_owned(), operated.plane.to_string());
    let (here, data, on_plane) = (here.as_path(), here.join("data"), [("OPS_ADDR", plane.as_str())]);
    let mut client = operated.server.connect();
    for visitor in ["v-gone", "v-stays", "v-gone-not"] {
        client.post(EVENT, None, &event(visitor)).expect(202);
    }
    let old =
        [line("v-gone", "x", &json!({}), None, &ago(5)), line("v-stays", "x", &json!({}), None, &ago(5))].concat();
    let name = format!("metrics-{}.jsonl", ago(5));
    // Both forms, as a kill between two steps leaves them.
    fs::write(data.join(&name), &old).unwrap();
    fs::write(data.join(format!("{name}.gz")), gz(&old)).unwrap();
    let (code, _, error) = metrics(here, &[], &["erase", "--visitor", "v-gone"]);
    assert_eq!(code, Some(1));
    assert!(
        error.contains(&format!("process {} writes", operated.server.pid())) && error.contains("OPS_ADDR"),
        "{error}"
    );
    assert_eq!(visitors(&data)["v-gone"], 2, "nothing has changed");
    let (code, said, error) = metrics(here, &on_plane, &["erase", "--visitor", " v-gone "]);
    assert_eq!((code, error.as_str()), (Some(0), ""));
    assert_eq!(said, "./data/metrics.jsonl\n  lines erased   2\n  files changed  2\n");
    let left: BTreeMap<String, usize> = [("v-stays".to_owned(), 2), ("v-gone-not".to_owned(), 1)].into();
    assert_eq!(visitors(&data), left);
    let shown = operated.server.get(SNAPSHOT).expect(200);
    assert_eq!((&shown["total"], shown.to_string().contains("v-gone\"")), (&json!(2), false), "{shown}");
    // The server goes on to write.
    client.post(EVENT, None, &event("v-gone")).expect(202);
    assert_eq!(visitors(&data)["v-gone"], 1);
    let (code, said, _) = metrics(here, &on_plane, &["erase", "--visitor", "v-nobody"]);
    assert_eq!((code, said.contains("lines erased   0")), (Some(0), true), "{said}");
    assert_eq!(metrics(here, &on_plane, &["erase", "--visitor", " "]).0, Some(2));
    assert_eq!(metrics(here, &on_plane, &["erase"]).0, Some(2));
    // Without a server it is done at once, the file that was written included.
    assert!(operated.server.terminate().success());
    let (code, said, _) = metrics(here, &[], &["erase", "--visitor", "v-gone"]);
    assert_eq!((code, said.as_str()), (Some(0), "./data/metrics.jsonl\n  lines erased   1\n  files changed  1\n"));
    assert_eq!(visitors(&data), left);
}

#[test]
fn killed_while_it_erases_nothing_is_lost_and_nothing_half_made_stays() {
    const ROUNDS: usize = 6;
    const LINES: usize = 6000;
    let mut random = Random::seeded();
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    fs::create_dir(&data).unwrap();
    let mut all = 0;
    for file in 0..4 {
        let mut text = String::new();
        for number in 0..LINES {
            let visitor = if number % 3 == 0 { "v-gone".to_owned() } else { format!("v{file}-{number:06}") };
            let noise = json!({ "n": format!("{:x}{:x}", random.next(), random.next()) });
            text.push_str(&line(&visitor, "x", &noise, None, &ago(file + 1)));
        }
        all += LINES - LINES / 3;
        let name = format!("metrics-{}.jsonl", ago(file + 1));
        match file % 2 {
            0 => fs::write(data.join(name), text).unwrap(),
            _ => fs::write(data.join(format!("{name}.gz")), gz(&text)).unwrap(),
        }
    }
    fs::write(data.join("metrics.jsonl"), line("v-gone", "x", &json!({}), None, &ago(0))).unwrap();
    let scratch = data.join("metrics-erase.gz.tmp");
    let mut killed = 0;
    for _ in 0..ROUNDS {
        let mut command: Command = inkring(directory.path());
        command.args(["metrics", "erase", "--visitor", "v-gone"]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let until = random.below(200_000) as u64;
        // In the middle of a file, somewhere, if it has not come to its end by then.
        wait_for(|| {
            let is_there = fs::metadata(&scratch).is_ok_and(|found| found.len() >= until);
            (is_there || child.try_wait().unwrap().is_some()).then_some(())
        });
        killed += usize::from(child.try_wait().unwrap().is_none());
        let _ = child.kill();
        child.wait().unwrap();
        let found = visitors(&data);
        let others = found.iter().filter(|(id, _)| *id != "v-gone");
        assert!(others.clone().all(|(_, count)| *count == 1) && others.count() == all, "lost or doubled");
    }
    let (code, said, error) = metrics(directory.path(), &[], &["erase", "--visitor", "v-gone"]);
    assert_eq!((code, error.as_str()), (Some(0), ""), "{said}");
    let found = visitors(&data);
    assert!(found.len() == all && !found.contains_key("v-gone"), "{killed} killed");
    assert!(!scratch.exists() && files(&data).len() == 4, "{:?}", files(&data).keys());
    assert!(killed > 0, "none was killed in the middle");
}

#[test]
fn files_of_the_original_are_imported_once_while_the_server_runs() {
    let operated = Operated::with(&FREELY);
    let here = operated.server.directory.path();
    operated.server.connect().post(EVENT, None, &event("v-own-1")).expect(202);
    let old = |visitor: &str, day: &str| {
        format!(
            "{{\"visitor_id\": \"{visitor}\", \"event\": \"page_view\", \"timestamp\": \"{day}T12:34:56Z\", \
             \"metadata\": {{\"path\": \"/\"}}, \"user_agent\": \"Mozilla/5.0\"}}\n"
        )
    };
    let nan = old("v-nan-01", &ago(1)).replace("\"/\"", "NaN");
    let text = [old("v-00001", &ago(2)), nan, old("v-00002", &ago(1)), old("v-00003", &ago(1))].concat();
    let from = here.join("original.jsonl");
    fs::write(&from, &text).unwrap();
    let from = from.to_str().unwrap();
    let import = || metrics(here, &[], &["import", from]);
    let (code, said, error) = import();
    assert_eq!((code, error.as_str()), (Some(0), ""));
    assert_eq!(
        said,
        "./data/metrics.jsonl\n  imported       3 lines of 2 days\n  already there  0\n  not an event   1 (line 2)\n"
    );
    // Again when it has grown and was compressed.
    fs::write(from, gz(&(text + &old("v-00004", &ago(0))))).unwrap();
    let (_, said, _) = import();
    assert!(said.contains("imported       1 lines of 1 days\n  already there  3\n"), "{said}");
    let found = report(here, &["--days", "3"]);
    let days: Vec<&Value> = found["days"].as_array().unwrap().iter().map(|day| &day["events"]).collect();
    assert_eq!(days, [&json!(1), &json!(2), &json!(2)]);
    assert_eq!(files(&here.join("data")).len(), 4);
    let (code, _, error) = metrics(here, &[], &["import", "nowhere"]);
    assert_eq!((code, error.contains("nowhere was not imported")), (Some(1), true), "{error}");
    let (code, _, error) = metrics(here, &[], &["import", from, "--data-dir", "nowhere"]);
    assert_eq!((code, error.contains("there is no directory nowhere")), (Some(1), true), "{error}");
}

#[test]
fn the_page_of_a_report_shows_what_was_sent_and_runs_nothing_of_others() {
    const HOSTILE: &str = "<img src=x onerror=document.title=1>";
    let mut operated = Operated::with(&FREELY);
    let mut client = operated.server.connect();
    for (visitor, path) in [("v-000001", "/about"), ("v-000001", HOSTILE), ("v-000002", "/about")] {
        let event = json!({ "visitor_id": visitor, "event": "page_view", "metadata": { "path": path } });
        client.post(EVENT, None, &event).expect(202);
    }
    client
        .post(EVENT, None, &json!({ "visitor_id": "v-000003", "event": HOSTILE, "user_agent": "Googlebot" }))
        .expect(202);
    let get = |target: &str| {
        let answer = Ask::get(target).send(&Remote::at(operated.plane.clone()), PATIENCE).unwrap();
        let policy = answer.header("content-security-policy").map(str::to_owned);
        (answer.status, policy, answer.text(1 << 20).unwrap())
    };
    let (status, policy, page) = get("/behaviour");
    assert_eq!((status, page.starts_with("<!doctype html>")), (200, true));
    assert!(policy.unwrap().starts_with("default-src 'none'; script-src 'sha256-"));
    let (status, _, found) = get("/behaviour/report?days=1&with_programs=true&top=1");
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!((status, &found["events"], &found["paths"]["rows"].as_array().unwrap().len()), (200, &json!(4), &1));
    for wrong in ["days=0", "days=367", "days=x", "top=1001"] {
        assert_eq!(get(&format!("/behaviour/report?{wrong}")).0, 422, "{wrong}");
    }
    for target in ["/behaviour", "/behaviour/report"] {
        assert_eq!(operated.server.get(target).status, 404, "{target} is on the public port");
    }

    let Some(browser) = browser() else { return };
    let mut page = Page::open(&browser);
    page.size(1280, "light");
    page.command("Page.navigate", json!({ "url": format!("http://{}/behaviour", operated.plane) }));
    page.wait_until("document.querySelector('#t-events dd')?.innerText === '3'");
    assert_eq!((page.text_of("#t-visitors dd"), page.text_of("#t-programs dd")), ("2".to_owned(), "1".to_owned()));
    assert_eq!(page.text_of("#t-hour dd"), "3");
    let paths = page.text_of("#paths");
    assert!(paths.contains("/about") && paths.contains(HOSTILE), "{paths}");
    assert_eq!(page.value("document.querySelectorAll('#table tbody tr').length"), 7);
    // What was sent just now is the last bar, or the last but one.
    assert!(page.value("document.querySelectorAll('#c-hour rect').length").as_u64().unwrap() >= 1);
    assert_eq!(page.value("document.querySelectorAll('#c-days .plot rect').length"), 1);
    assert!(
        page.value("document.querySelector('#c-hour svg').getAttribute('aria-label')")
            .as_str()
            .unwrap()
            .contains("3 in all")
    );
    page.value("document.getElementById('programs').click()");
    page.wait_until("document.querySelector('#t-events dd').innerText === '4'");
    assert!(page.text_of("#c-days .legend").contains(HOSTILE));
    assert_eq!(
        (page.value("document.images.length"), page.value("document.title")),
        (json!(0), json!("Visitors, inkring"))
    );
    page.fits_every_width_and_scheme();
    page.value("document.activeElement.blur()");
    let mut reached = Vec::new();
    for _ in 0..3 {
        page.tab();
        let seen = page.value("[document.activeElement.id, getComputedStyle(document.activeElement).outlineStyle]");
        assert_ne!(seen[1], "none", "{seen}");
        reached.push(seen[0].as_str().unwrap().to_owned());
    }
    assert_eq!(reached, ["days", "programs", "back"]);
    assert_eq!(page.complaints, [Value::Null; 0]);
    // A server that is gone is said.
    operated.server.kill();
    page.value("document.getElementById('days').dispatchEvent(new Event('change'))");
    page.wait_until("document.getElementById('trouble').innerText.includes('has not responded')");
}
