//! What is counted and measured (contract 01 §9 with R23), and the files that are made of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use inkring::features;
use inkring::observe::metrics::Kind;
use serde_json::{Value, json};

use crate::faults::{limit_files, log_bytes};
use crate::ops::Operated;
use crate::repository::read;
use crate::support::socket::{BINARY, Frame, PING, Sent, Socket, TEXT, connect_narrow, path};
use crate::support::{Answer, Server, hold_writer, inkring, wait_for};

const PUBLIC: (&str, &str) = ("METRICS_PUBLIC", "true");
const DRAFTS: &str = "/v1/collab/drafts";

/// Every sample by its name and labels, as they are written.
struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    fn of(server: &Server) -> Self {
        let answer = server.get("/metrics");
        assert_eq!(answer.status, 200);
        let samples = answer.text().lines().filter(|line| !line.starts_with('#'));
        Self(
            samples
                .map(|line| line.rsplit_once(' ').unwrap())
                .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
                .collect(),
        )
    }

    /// A sample; what never was is 0.
    fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// The samples of a family that are not 0.
    fn family(&self, name: &str) -> BTreeMap<&str, f64> {
        let labels = |sample: &'_ str| sample.strip_prefix(name).is_some_and(|rest| rest.starts_with('{'));
        let samples = self.0.iter().filter(|(sample, value)| labels(sample) && **value != 0.0);
        samples.map(|(sample, value)| (&sample[name.len()..], *value)).collect()
    }

    #[track_caller]
    fn assert(&self, expected: &[(&str, f64)]) {
        for (name, value) in expected {
            assert_eq!(self.get(name), *value, "{name}");
        }
    }
}

fn append(server: &Server, user: &str, draft: &str, key: &str) -> Answer {
    server.post_as(user, &format!("{DRAFTS}/{draft}/segments"), &json!({ "content": "words", "idempotency_key": key }))
}

fn pass(server: &Server, user: &str, draft: &str, to: &str, key: &str) -> Answer {
    server.post_as(user, &format!("{DRAFTS}/{draft}/pass-ring"), &json!({ "to_user_id": to, "idempotency_key": key }))
}

#[test]
fn metrics_are_public_only_where_that_was_asked_for() {
    let closed = Server::start();
    assert_eq!(closed.get("/metrics").expect_error(404).0, "not_found");
    let open = Server::with(&[PUBLIC]);
    let answer = open.get("/metrics");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = answer.text();
    assert!(
        text.starts_with("# HELP inkring_build_info ") && text.ends_with('\n') && !text.contains("# EOF"),
        "{text}"
    );
}

#[test]
fn the_page_and_the_dashboard_are_what_the_program_prints() {
    let directory = tempfile::tempdir().unwrap();
    for (form, file) in [("markdown", "docs/METRICS.md"), ("grafana", "docs/deploy/grafana-dashboard.json")] {
        let ran = inkring(directory.path()).args(["metrics-docs", form]).output().unwrap();
        assert!(ran.status.success() && ran.stderr.is_empty());
        let printed = String::from_utf8(ran.stdout).unwrap();
        assert!(printed == read(file), "{file} is out of date: inkring metrics-docs {form} > {file}");
    }
    let page = read("docs/METRICS.md");
    for row in features::rows() {
        assert!(page.contains(&format!("| `{}` | {} |", row.name, row.kind.as_str())), "{}", row.name);
    }
}

/// One rule of docs/deploy/alerts.yml.
#[derive(Debug, Default)]
struct Alert {
    name: String,
    expr: String,
    summary: String,
    runbook: String,
}

/// Reads the rules. The file keeps to a form so strict that each line can be told by its beginning, and any other line
/// fails; what keeps to it is YAML.
fn alerts() -> Vec<Alert> {
    let page = read("docs/deploy/alerts.yml");
    let body: Vec<&str> = page.lines().skip_while(|line| line.starts_with("# ")).collect();
    assert_eq!(body[..3], ["groups:", "  - name: inkring", "    rules:"]);
    let quoted = |value: &str| -> String {
        let inside = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        let inside = inside.unwrap_or_else(|| panic!("a text stands in quotes: {value}"));
        assert!(!inside.contains(['"', '\\']), "{value}");
        inside.to_owned()
    };
    let mut found: Vec<Alert> = Vec::new();
    let mut keys = BTreeSet::new();
    for line in &body[3..] {
        let text = line.trim_start();
        let (indent, (key, value)) =
            (line.len() - text.len(), text.split_once(':').unwrap_or_else(|| panic!("{line}")));
        let value = value.trim_start();
        if key == "- alert" {
            found.push(Alert { name: value.to_owned(), ..Alert::default() });
            keys.clear();
            assert_eq!(indent, 6, "{line}");
            continue;
        }
        assert!(keys.insert(key), "{line}: twice in one rule");
        let alert = found.last_mut().unwrap_or_else(|| panic!("{line}"));
        match (indent, key) {
            (8, "expr") => alert.expr = value.to_owned(),
            (8, "for") => {
                assert!(value.strip_suffix('m').is_some_and(|minutes| minutes.parse::<u32>().is_ok()), "{line}")
            }
            (8, "labels" | "annotations") => assert_eq!(value, "", "{line}"),
            (10, "severity") => assert!(["page", "ticket"].contains(&value), "{line}"),
            (10, "summary") => alert.summary = quoted(value),
            (10, "runbook_url") => alert.runbook = quoted(value),
            _ => panic!("{line}"),
        }
        // What YAML would read otherwise than it looks.
        let plain =
            !value.contains(": ") && !value.contains(" #") && !value.starts_with(['{', '[', '*', '&', '!', '|', '>']);
        assert!(plain || value.starts_with('"'), "{line}: put it in quotes");
    }
    found
}

/// `BackupTooOld` as a heading's anchor: `backup-too-old`.
fn kebab(name: &str) -> String {
    let mut anchor = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !anchor.is_empty() {
            anchor.push('-');
        }
        anchor.push(letter.to_ascii_lowercase());
    }
    anchor
}

/// Holds every word of a query to be a family of the table, a label of one, or a word of PromQL.
fn check_query(query: &str) -> BTreeSet<&'static str> {
    const WORDS: [&str; 14] = [
        "absent",
        "and",
        "by",
        "histogram_quantile",
        "increase",
        "instance",
        "job",
        "le",
        "or",
        "predict_linear",
        "rate",
        "sum",
        "time",
        // Prometheus' own word of whether a scrape was answered.
        "up",
    ];
    let find = |name: &str| features::rows().into_iter().find(|row| row.name == name);
    let mut families = BTreeSet::new();
    // Texts and durations are no names.
    let bare: String = query.split('"').step_by(2).collect();
    let bare: String = bare.split(['[', ']']).step_by(2).collect::<Vec<_>>().join(" ");
    for word in bare.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_')) {
        let part = ["_bucket", "_sum", "_count"].iter().find_map(|part| word.strip_suffix(part)).unwrap_or(word);
        let of_histogram = find(part).filter(|row| matches!(row.kind, Kind::Histogram(_)));
        if let Some(row) = find(word).filter(|row| !matches!(row.kind, Kind::Histogram(_))).or(of_histogram) {
            families.insert(row.name);
        } else {
            let label = features::rows().iter().any(|row| row.labels.contains(&word));
            let number = word.is_empty() || word.starts_with(|letter: char| letter.is_ascii_digit());
            assert!(label || number || WORDS.contains(&word), "{word} of {query} is not in the table");
        }
    }
    families
}

#[test]
fn alerts_ask_for_metrics_that_there_are_and_lead_to_the_runbook() {
    let alerts = alerts();
    assert!(alerts.len() > 15, "{alerts:?}");
    let mut names = BTreeSet::new();
    for Alert { name, expr, summary, runbook } in &alerts {
        assert!(names.insert(name), "{name} comes twice");
        assert!(!check_query(expr).is_empty() || name == "ServerAbsent", "{name} asks for nothing: {expr}");
        // Two servers are two, and others may have metrics of these names.
        let (asked, of_job) = (expr.matches("{").count(), expr.matches("{job=\"inkring\"").count());
        let named = ["inkring_", "process_", "up{"].iter().map(|begins| expr.matches(begins).count()).sum::<usize>();
        assert!(asked == of_job && named == of_job, "{name} asks for any job: {expr}");
        assert!(!expr.contains("sum by (instance"), "{name} takes two jobs for one: {expr}");
        assert!(summary.len() > 20, "{name}: {summary}");
        // Where the package puts the page (`packaging.rs` sees it there).
        assert_eq!(*runbook, format!("file:///usr/share/doc/inkring/docs/OPERATIONS.md#{}", kebab(name)));
    }
}

#[test]
fn the_dashboard_asks_for_every_family_and_nothing_else() {
    let dashboard: serde_json::Value = serde_json::from_str(&read("docs/deploy/grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let (rows, overview): (Vec<_>, Vec<_>) = panels.iter().partition(|panel| panel["type"] == "row");
    assert_eq!(overview.len(), 8, "what one looks at first");
    assert!(rows.iter().all(|row| row["collapsed"] == true && !row["panels"].as_array().unwrap().is_empty()));
    let folded = rows.iter().flat_map(|row| row["panels"].as_array().unwrap());
    let panels: Vec<&Value> = panels.iter().chain(folded).collect();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let asked = targets.map(|target| target["expr"].as_str().unwrap());
    let of_job = |query: &&str| query.matches("{job=~\"$job\",instance=~\"$instance\"}").count() == 1;
    assert_eq!(asked.clone().find(|query| !of_job(query)), None, "asks for any job");
    let asked: BTreeSet<&str> = asked.flat_map(check_query).collect();
    let table: BTreeSet<&str> = features::rows().iter().map(|row| row.name).collect();
    assert_eq!(asked, table);
    let mut ids: Vec<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), panels.len());
}

#[test]
fn the_public_address_keeps_the_names_of_the_original_and_the_private_plane_has_ours() {
    let rates = [("RATE_LIMIT_PER_MINUTE_DEFAULT", "1"), ("RATE_LIMIT_BURST_DEFAULT", "2")];
    let operated = Operated::with(&[&[PUBLIC, ("RATE_LIMIT_ENABLED", "true")], &rates[..]].concat());
    // A family is there once something was counted in it.
    let draft = operated.server.create_draft("alice");
    let mut watcher = Socket::watch(&operated.server, &draft, "alice");
    append(&operated.server, "alice", &draft, "one").expect(200);
    assert_eq!(watcher.json()["type"], "collab.segment_added");
    let list = || operated.server.get_as("alice", DRAFTS).status;
    assert_eq!([list(), list(), list()], [200, 200, 429]);
    let names = |answer: &Answer| -> BTreeSet<String> {
        let described = answer.text().lines().filter_map(|line| line.strip_prefix("# TYPE "));
        described.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    let (public, private) = (operated.server.get("/metrics"), operated.get("/metrics"));
    // Contract 01 §9, to the letter.
    let original = [
        "collab_mutations_total",
        "drafts_active_rooms",
        "http_requests_total",
        "ratelimit_block_total",
        "ws_active_connections",
        "ws_connections_total",
        "ws_messages_sent_total",
    ];
    let (ours, theirs) = (names(&private), names(&public));
    assert_eq!(theirs.difference(&ours).map(String::as_str).collect::<Vec<_>>(), original);
    let prefixed: Vec<_> = original.iter().map(|name| format!("inkring_{name}")).collect();
    assert_eq!(ours.difference(&theirs).cloned().collect::<Vec<_>>(), prefixed);
    assert!(public.text().contains("\ncollab_mutations_total{type=\"create_draft\"} 1\n"));
    assert!(private.text().contains("\ninkring_collab_mutations_total{type=\"create_draft\"} 1\n"));
    for name in &ours {
        assert!(name.starts_with("inkring_") || name.starts_with("process_"), "{name}");
    }
    // As the client libraries of Prometheus name them.
    for name in [
        "start_time_seconds",
        "cpu_seconds_total",
        "resident_memory_bytes",
        "virtual_memory_bytes",
        "open_fds",
        "max_fds",
    ] {
        let sample = format!("process_{name} ");
        let value = private.text().lines().find_map(|line| line.strip_prefix(&sample)?.parse::<f64>().ok());
        assert!(value.is_some_and(|value| value > 0.0), "{name}: {value:?}");
    }
}

#[test]
fn prometheus_scrapes_the_plane_with_its_token_as_the_job_of_the_rules() {
    let page = read("docs/tasks/scrape.md");
    let default = inkring::config::knobs::KNOBS.iter().find(|knob| knob.name == "OPS_ADDR").unwrap().default;
    for part in
        ["\n  - job_name: inkring\n", "\n      credentials_file: /", &format!("\n      - targets: [\"{default}\"]\n")]
    {
        assert!(page.contains(part), "{part}");
    }
    // What it sends with such a file.
    let token = "a token of more than sixteen bytes";
    let operated = Operated::with(&[("OPS_TOKEN", token)]);
    assert_eq!(operated.get("/metrics").status, 401);
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str())];
    assert_eq!(operated.ask("GET", "/metrics", "localhost", &headers, b"").status, 200);
}

#[test]
#[should_panic(expected = "is not in the table")]
fn a_metric_that_there_is_not_is_found() {
    check_query("rate(http_request_total[5m])");
}

#[test]
fn answers_are_counted_each_once_under_their_route() {
    let rates =
        [("RATE_LIMIT_ENABLED", "true"), ("RATE_LIMIT_PER_MINUTE_DEFAULT", "1"), ("RATE_LIMIT_BURST_DEFAULT", "40")];
    let server = Server::with(&[&[PUBLIC, ("AUDIT_ENABLED", "true")], &rates[..]].concat());
    let draft = server.create_draft("alice");
    let one = format!("{DRAFTS}/{draft}");
    for _ in 0..2 {
        // The second time changes nothing.
        server.post_as("alice", &format!("{one}/collaborators?collaborator_id=bob"), &Value::Null).expect(200);
        append(&server, "alice", &draft, "same").expect(200);
    }
    append(&server, "alice", &draft, "other").expect(200);
    append(&server, "bob", &draft, "not yet").expect(403);
    append(&server, "eve", &draft, "never").expect(403);
    pass(&server, "bob", &draft, "bob", "mine").expect(403);
    pass(&server, "alice", &draft, "nobody", "whose").expect(403);
    pass(&server, "alice", &draft, "bob", "yours").expect(200);
    server.get_as("alice", &one).expect(200);
    server.get_as("alice", &format!("{DRAFTS}/nothing")).expect(404);
    server.post_as("alice", DRAFTS, &json!({})).expect(422);
    server.connect().post(DRAFTS, None, &json!({ "title": "t", "platform": "x" })).expect(401);
    server.get_as(&"x".repeat(101), DRAFTS).expect(422);
    server.get("/nowhere").expect(404);
    server.get("/healthz").expect(200);
    server.get("/readyz").expect(200);
    let mut client = server.connect();
    assert_eq!(client.request("HEAD", &one, &[("X-User-Id", "alice")], b"").status, 200);
    assert_eq!(client.request("DELETE", DRAFTS, &[], b"").status, 405);
    let preflight = [("Origin", "http://localhost:3000"), ("Access-Control-Request-Method", "POST")];
    assert_eq!(client.request("OPTIONS", DRAFTS, &preflight, b"").status, 200);
    for turn in 0..45 {
        assert_eq!(client.get(DRAFTS, Some("mallory")).status, if turn < 40 { 200 } else { 429 });
    }
    let mut bad = server.connect();
    bad.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    assert_eq!(bad.answer().status, 400);

    let scrape = Scrape::of(&server);
    let requests = |expected: &[(&str, &str, &str, u32)]| -> BTreeMap<String, f64> {
        let line = |(method, path, status, count): &(&str, &str, &str, u32)| {
            (format!("{{method=\"{method}\",path=\"{path}\",status=\"{status}\"}}"), f64::from(*count))
        };
        expected.iter().map(line).collect()
    };
    let of_one = "/v1/collab/drafts/{draft_id}";
    let [segments, passing, adding] = ["segments", "pass-ring", "collaborators"].map(|end| format!("{of_one}/{end}"));
    let found: BTreeMap<String, f64> =
        scrape.family("http_requests_total").into_iter().map(|(labels, value)| (labels.to_owned(), value)).collect();
    let expected = requests(&[
        ("POST", DRAFTS, "200", 1),
        ("POST", DRAFTS, "401", 1),
        ("POST", DRAFTS, "422", 1),
        ("GET", DRAFTS, "200", 40),
        ("GET", DRAFTS, "422", 1),
        ("GET", DRAFTS, "429", 5),
        ("GET", of_one, "200", 1),
        ("HEAD", of_one, "200", 1),
        ("GET", of_one, "404", 1),
        ("POST", &segments, "200", 3),
        ("POST", &segments, "403", 2),
        ("POST", &passing, "200", 1),
        ("POST", &passing, "403", 2),
        ("POST", &adding, "200", 2),
        ("GET", "/healthz", "200", 1),
        ("GET", "/readyz", "200", 1),
        ("GET", "unmatched", "404", 1),
        ("DELETE", "unmatched", "405", 1),
        ("OPTIONS", "unmatched", "200", 1),
    ]);
    assert_eq!(found, expected);
    let count = |path: &str| format!("inkring_http_request_duration_seconds_count{{path=\"{path}\"}}");
    // Routes that were not asked have no histogram.
    let asked: BTreeSet<String> = scrape
        .0
        .keys()
        .filter(|sample| sample.starts_with("inkring_http_request_duration_seconds_count"))
        .cloned()
        .collect();
    let paths = [DRAFTS, of_one, &segments, &passing, &adding, "/healthz", "/readyz", "unmatched"];
    assert_eq!(asked, paths.into_iter().map(count).collect());
    scrape.assert(&[
        (&count(DRAFTS), 49.0),
        (&count(of_one), 3.0),
        (&count("unmatched"), 3.0),
        ("inkring_http_in_flight", 0.0),
        ("inkring_http_rejected_total{status=\"400\"}", 1.0),
        ("ratelimit_block_total{scope=\"/v1/collab/drafts\"}", 5.0),
        ("inkring_auth_failures_total{reason=\"missing\"}", 1.0),
        ("inkring_auth_failures_total{reason=\"user_id\"}", 1.0),
        ("inkring_audit_rows_total", 6.0),
        ("inkring_audit_failures_total", 0.0),
        ("inkring_panics_total", 0.0),
        ("inkring_ready", 1.0),
        ("inkring_writer_queue_limit", 4096.0),
        ("inkring_writer_queue_depth", 0.0),
        ("inkring_storage_readonly", 0.0),
    ]);
    let mutations = [
        ("{type=\"add_collaborator\"}", 1.0),
        ("{type=\"append_segment\"}", 2.0),
        ("{type=\"create_draft\"}", 1.0),
        ("{type=\"pass_ring\"}", 1.0),
    ];
    assert_eq!(scrape.family("collab_mutations_total"), BTreeMap::from(mutations));
    let conflicts = ["not_holder", "not_member", "recipient_not_member", "ring_required"];
    let conflicts = conflicts.map(|code| (format!("{{code=\"{code}\"}}"), 1.0));
    let found = scrape.family("inkring_ring_conflicts_total");
    assert_eq!(found, conflicts.iter().map(|(labels, count)| (labels.as_str(), *count)).collect());
    // Ten changes were asked for and one was made to be ready; the housekeeper has its own.
    let jobs = scrape.get("inkring_commit_batch_jobs_sum");
    assert!(jobs >= 11.0 && scrape.get("inkring_writer_queue_wait_seconds_count") == jobs, "{jobs}");
    assert_eq!(scrape.get("inkring_commit_batch_jobs_count"), scrape.get("inkring_commit_duration_seconds_count"));
    // Of mallory, alice, bob, eve and the address some bucket is not full.
    assert!(scrape.get("inkring_ratelimit_keys") >= 5.0);
    for (name, least) in [
        ("inkring_db_size_bytes", 4096.0),
        ("inkring_disk_free_bytes", 1.0),
        ("process_open_fds", 10.0),
        ("process_max_fds", 64.0),
        ("process_threads", 5.0),
    ] {
        assert!(scrape.get(name) >= least, "{name}: {}", scrape.get(name));
    }
    let memory = scrape.get("process_resident_memory_bytes") / 1024.0;
    assert!((memory - server.memory_kb("VmRSS") as f64).abs() < 4096.0, "{memory} kB");
    assert_eq!(
        scrape.get("inkring_wal_size_bytes"),
        std::fs::metadata(server.database().with_extension("db-wal")).unwrap().len() as f64
    );
    // The log's own thread may be behind.
    let lines = |level: &str| server.log().matches(&format!("\"level\":\"{level}\"")).count() as f64;
    for (level, label) in [("WARN", "warn"), ("INFO", "info")] {
        wait_for(|| {
            (lines(level) == scrape.get(&format!("inkring_log_messages_total{{level=\"{label}\"}}"))).then_some(())
        });
    }
}

#[test]
fn sockets_and_what_they_are_told_are_counted_each_once() {
    let server = Server::with(&[PUBLIC, ("WS_LIMITS_ENABLED", "true"), ("SHARDS", "2")]);
    let draft = server.create_draft("alice");
    // Three see it live, on whichever shard; one of them has caught up before, with the event of the creation.
    let mut watchers = vec![Socket::watch(&server, &draft, "alice"), Socket::watch(&server, &draft, "bob")];
    let (_, mut counting) = Socket::watch_since(&server, &draft, "carol", 0);
    assert_eq!(counting.json()["type"], "collab.draft_created");
    assert_eq!(counting.json()["type"], "resumed");
    watchers.push(counting);
    for key in ["1", "2"] {
        append(&server, "alice", &draft, key).expect(200);
    }
    pass(&server, "alice", &draft, "alice", "3").expect(200);
    for watcher in &mut watchers {
        for kind in ["collab.segment_added", "collab.segment_added", "collab.ring_passed"] {
            assert_eq!(watcher.json()["type"], kind);
        }
    }
    // Others come back: one misses nothing, one knows more than there is.
    let (_, mut current) = Socket::watch_since(&server, &draft, "dave", 4);
    assert_eq!(current.json()["complete"], true);
    let (_, mut ahead) = Socket::watch_since(&server, &draft, "dave", 9);
    assert_eq!(ahead.json()["complete"], false);
    let scrape = Scrape::of(&server);
    scrape.assert(&[
        ("ws_connections_total", 5.0),
        ("ws_active_connections", 5.0),
        ("drafts_active_rooms", 1.0),
        ("ws_messages_sent_total{event_type=\"collab.draft_created\"}", 1.0),
        ("ws_messages_sent_total{event_type=\"collab.segment_added\"}", 6.0),
        ("ws_messages_sent_total{event_type=\"collab.ring_passed\"}", 3.0),
        ("inkring_ws_replay_total{result=\"full\"}", 2.0),
        ("inkring_ws_replay_total{result=\"partial\"}", 0.0),
        ("inkring_ws_replay_total{result=\"none\"}", 1.0),
        ("inkring_ws_messages_received_total", 0.0),
        ("inkring_ws_bytes_total{direction=\"in\"}", 0.0),
    ]);
    // Three events, each once for every shard that has somebody who watches.
    let delivered = scrape.get("inkring_append_to_deliver_seconds_count");
    assert!(delivered == 3.0 || delivered == 6.0, "{delivered}");
    assert!(scrape.get("inkring_append_to_deliver_seconds_sum") < 60.0);

    // What ends them, and what is said on the way.
    let mut sent = 0;
    let mut say = |socket: &mut Socket, frame: &Sent| {
        sent += frame.encode().len();
        socket.send(frame);
    };
    let mut talkative = watchers.pop().unwrap();
    say(&mut talkative, &Sent::new(TEXT, PING));
    assert_eq!(talkative.json()["type"], "pong");
    say(&mut talkative, &Sent::new(BINARY, "data"));
    assert_eq!(talkative.json()["type"], "error");
    assert!(matches!(talkative.next(), Frame::Close(1003, _)));
    let mut polite = watchers.pop().unwrap();
    say(&mut polite, &Sent::new(8, 1000_u16.to_be_bytes()));
    assert!(matches!(polite.next(), Frame::Close(1000, _)));
    let mut odd = watchers.pop().unwrap();
    say(&mut odd, &Sent::new(8, 3999_u16.to_be_bytes()));
    assert!(matches!(odd.next(), Frame::Close(3999, _)));
    say(&mut current, &Sent::new(TEXT, "x".repeat(4097)));
    assert_eq!(current.json()["code"], "payload_too_large");
    assert!(matches!(current.next(), Frame::Close(1008, _)));
    ahead.abort();
    // One that is turned away for each of three reasons.
    for (user, since, reason) in [("", "", "unauthorized"), ("erin", "?since=x", "invalid_since")] {
        let (_, mut refused) = Socket::open(&server, &format!("{}{since}", path(&draft)), &[("X-User-Id", user)]);
        assert_eq!(refused.json()["type"], "error", "{reason}");
        assert!(matches!(refused.next(), Frame::Close(1008, _)));
    }
    let crowd: Vec<_> = (0..3).map(|_| Socket::watch(&server, "d2", "erin")).collect();
    assert!(Socket::try_watch(&server, "d2", "erin").is_none());
    let scrape = wait_for(|| {
        let scrape = Scrape::of(&server);
        (scrape.get("ws_active_connections") == 3.0).then_some(scrape)
    });
    let closed = [("1000", 1.0), ("1003", 1.0), ("1006", 1.0), ("1008", 4.0), ("other", 1.0)];
    let closed = closed.map(|(code, count)| (format!("{{code=\"{code}\"}}"), count));
    assert_eq!(
        scrape.family("inkring_ws_closed_total"),
        closed.iter().map(|(labels, count)| (labels.as_str(), *count)).collect()
    );
    let refused = ["invalid_since", "unauthorized", "user"].map(|reason| (format!("{{reason=\"{reason}\"}}"), 1.0));
    assert_eq!(
        scrape.family("inkring_ws_refused_total"),
        refused.iter().map(|(labels, count)| (labels.as_str(), *count)).collect()
    );
    scrape.assert(&[
        ("ws_connections_total", 8.0),
        ("drafts_active_rooms", 1.0),
        ("inkring_ws_messages_received_total", 2.0),
        ("inkring_ws_bytes_total{direction=\"in\"}", sent as f64),
        ("inkring_ws_slow_closed_total", 0.0),
    ]);
    drop(crowd);
}

#[test]
fn bytes_to_sockets_are_counted_and_those_who_do_not_keep_up() {
    let server = Server::with(&[PUBLIC, ("WS_OUTBOX_BYTES", "4096"), ("WS_PING_SECONDS", "600")]);
    let (answer, mut socket) = Socket::open(&server, &path("d1"), &[("X-User-Id", "alice")]);
    let head: usize = answer.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    let head = "HTTP/1.1 101 Switching Protocols\r\n\r\n".len() + head;
    // A text of 126 to 65535 bytes has a head of four.
    let welcome = socket.text().len() + 4;
    wait_for(|| {
        (Scrape::of(&server).get("inkring_ws_bytes_total{direction=\"out\"}") == (head + welcome) as f64).then_some(())
    });
    let (_, mut slow) = Socket::upgrade(connect_narrow(&server), &path("d1"), &[("X-User-Id", "slow")]);
    slow.send_bytes(Sent::new(TEXT, PING).encode().repeat(3000));
    let scrape = wait_for(|| {
        let scrape = Scrape::of(&server);
        // It counts as open until its session has ended as well.
        let (closed, open) = (scrape.get("inkring_ws_slow_closed_total"), scrape.get("ws_active_connections"));
        ((closed, open) == (1.0, 1.0)).then_some(scrape)
    });
    scrape.assert(&[("inkring_ws_closed_total{code=\"1013\"}", 1.0)]);
}

#[test]
fn whatever_is_asked_there_are_no_more_series_and_a_scrape_is_quick() {
    let server = Server::with(&[PUBLIC]);
    let mut client = server.connect();
    let mut ask = |number: usize| {
        let methods = ["GET".to_owned(), "POST".to_owned(), format!("M{number}")];
        assert_eq!(client.request(&methods[number % 3], &format!("/random/{number}?{number}"), &[], b"").status, 404);
    };
    (0..3).for_each(&mut ask);
    // The scrape itself is counted once it is over.
    Scrape::of(&server);
    let before: Vec<String> = Scrape::of(&server).0.into_keys().collect();
    (0..1000).for_each(&mut ask);
    let scrape = Scrape::of(&server);
    let count = |method: &str| {
        scrape.get(&format!("http_requests_total{{method=\"{method}\",path=\"unmatched\",status=\"404\"}}"))
    };
    assert_eq!((count("GET"), count("POST"), count("other")), (335.0, 334.0, 334.0));
    assert_eq!(scrape.0.into_keys().collect::<Vec<_>>(), before);
    assert!(before.len() < 3500, "{} series", before.len());
    // Whatever else the machine does, one of twenty is hardly held up.
    let mut client = server.connect();
    let quickest = (0..20).map(|_| {
        let began = Instant::now();
        assert_eq!(client.get("/metrics", None).status, 200);
        began.elapsed()
    });
    let quickest = quickest.min().unwrap();
    assert!(quickest < Duration::from_millis(200), "{quickest:?}");
}

#[test]
fn connections_are_counted_and_those_that_are_refused() {
    let server = Server::with(&[PUBLIC, ("MAX_CONNECTIONS_PER_ADDRESS", "3"), ("MAX_CONNECTIONS", "500")]);
    let mut client = server.connect();
    let _idle = [server.connect(), server.connect()];
    let mut refused = server.connect();
    assert_eq!(refused.answer().status, 503);
    let text = client.get("/metrics", None);
    for line in [
        "inkring_connections 3",
        "inkring_connections_limit 500",
        "inkring_connections_refused_total{cap=\"address\"} 1",
        "inkring_accept_errors_total 0",
    ] {
        assert!(text.text().lines().any(|known| known == line), "{line} is not in\n{}", text.text());
    }
}

#[test]
fn readiness_is_counted_as_it_is_answered() {
    let server = Server::with(&[PUBLIC]);
    let both = || {
        let scrape = Scrape::of(&server);
        (scrape.get("inkring_ready"), scrape.get("inkring_readiness_changes_total"))
    };
    assert_eq!(both(), (1.0, 0.0));
    server.get("/readyz").expect(200);
    let database = rusqlite::Connection::open(server.database()).unwrap();
    database.execute_batch("ALTER TABLE ring_passes RENAME TO elsewhere").unwrap();
    assert_eq!(both(), (1.0, 0.0), "nobody has asked");
    for _ in 0..2 {
        server.get("/readyz").expect(503);
        assert_eq!(both(), (0.0, 1.0));
    }
    database.execute_batch("ALTER TABLE elsewhere RENAME TO ring_passes").unwrap();
    server.get("/readyz").expect(200);
    assert_eq!(both(), (1.0, 2.0));
}

#[test]
fn a_scrape_of_the_private_plane_asks_first_whether_it_is_ready() {
    let operated = Operated::with(&[]);
    let is_ready = |figure: &str| {
        let scrape = operated.get("/metrics");
        scrape.text().lines().any(|line| line == format!("inkring_ready {figure}"))
    };
    assert!(is_ready("1"));
    let database = rusqlite::Connection::open(operated.server.database()).unwrap();
    database.execute_batch("ALTER TABLE ring_passes RENAME TO elsewhere").unwrap();
    assert!(is_ready("0"), "though nobody else has asked");
    database.execute_batch("ALTER TABLE elsewhere RENAME TO ring_passes").unwrap();
    assert!(is_ready("1"));
}

#[test]
fn rows_of_the_audit_log_are_counted_when_they_are_on_disk() {
    let server = Server::with(&[PUBLIC, ("AUDIT_ENABLED", "true"), ("HOUSEKEEPING_SECONDS", "86400")]);
    let draft = server.create_draft("alice");
    let database = rusqlite::Connection::open(server.database()).unwrap();
    database.execute_batch("CREATE UNIQUE INDEX refuses ON audit_events (user_id)").unwrap();
    for key in ["1", "2"] {
        append(&server, "alice", &draft, key).expect(503);
    }
    let counts = || {
        let scrape = Scrape::of(&server);
        ["rows_total", "failures_total"].map(|end| scrape.get(&format!("inkring_audit_{end}")))
    };
    assert_eq!(counts(), [2.0, 2.0]);
    database.execute_batch("DROP INDEX refuses").unwrap();
    append(&server, "alice", &draft, "3").expect(200);
    assert_eq!(counts(), [3.0, 2.0]);
}

#[test]
fn a_storage_that_takes_no_changes_is_seen() {
    let server = Server::with(&[PUBLIC]);
    let draft = server.create_draft("alice");
    let readonly = || Scrape::of(&server).get("inkring_storage_readonly");
    assert_eq!(readonly(), 0.0);
    limit_files(&server, Some(log_bytes(&server)));
    append(&server, "alice", &draft, "1").expect(503);
    assert_eq!(readonly(), 1.0);
    limit_files(&server, None);
    wait_for(|| (readonly() == 0.0).then_some(()));
}

#[test]
fn requests_that_wait_for_their_commit_are_in_flight() {
    let server = Server::with(&[PUBLIC]);
    let draft = server.create_draft("alice");
    let in_flight = || Scrape::of(&server).get("inkring_http_in_flight");
    let held = hold_writer(&server.database());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| append(&server, "alice", &draft, "1").status);
        wait_for(|| (in_flight() == 1.0).then_some(()));
        drop(held);
        waiting.join().unwrap();
    });
    assert_eq!(in_flight(), 0.0);
}
