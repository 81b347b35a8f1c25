//! Who may use the modules, from which pages and how often: contract 04 §1.2 to §1.4, R23 and the household's password.

use serde_json::{Value, json};

use crate::ops::Operated;
use crate::support::Server;
use crate::support::http::{Answer, Client};

const LIST: &str = "/api/v1/modules/";
const PASSWORD: &str = "вечірня пошта сім";

fn post(client: &mut Client, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let headers = [&[("content-type", "application/json")], headers].concat();
    client.request("POST", path, &headers, body.to_string().as_bytes())
}

#[test]
fn the_61st_call_is_refused_and_probes_are_not() {
    let server = Server::with(&[("MODULES_LIMIT_PER_MINUTE", "60"), ("MODULES_LIMIT_PER_HOUR", "1000")]);
    let mut client = server.connect();
    for left in (0..60).rev() {
        let answer = client.get(LIST, None);
        answer.expect(200);
        assert_eq!(answer.header("x-ratelimit-limit-minute"), Some("60"));
        assert_eq!(answer.header("x-ratelimit-limit-hour"), Some("1000"));
        assert_eq!(answer.header("x-ratelimit-remaining-minute"), Some(&*left.to_string()));
        assert_eq!(answer.header("x-ratelimit-remaining-hour"), Some(&*(940 + left).to_string()));
    }
    let refused = client.request("GET", LIST, &[("origin", "http://localhost:3000")], b"");
    assert_eq!(refused.status, 429);
    assert_eq!(
        refused.text(),
        r#"{"error":"rate_limit_exceeded","message":"Too many requests. Limit: 60/minute","detail":"Please try again later"}"#
    );
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(
        refused.header("access-control-allow-origin"),
        Some("http://localhost:3000"),
        "a page may read that it is refused"
    );
    for path in [
        "/",
        "/api/docs",
        "/api/redoc",
        "/api/openapi.json",
        "/health",
        "/ready",
        "/healthz",
        "/readyz",
        "/v1/collab/drafts",
    ] {
        for _ in 0..40 {
            assert_ne!(client.get(path, None).status, 429, "{path}");
        }
    }
    let preflight = [("origin", "http://localhost:3000"), ("access-control-request-method", "POST")];
    for _ in 0..70 {
        assert_eq!(client.request("OPTIONS", LIST, &preflight, b"").status, 200);
    }
    assert_eq!(
        post(&mut client, "/api/v1/malya/ideas", &[], &json!({})).status,
        429,
        "before anything of it is looked at"
    );
}

#[test]
fn the_hour_has_a_limit_of_its_own() {
    let server = Server::with(&[("MODULES_LIMIT_PER_MINUTE", "100"), ("MODULES_LIMIT_PER_HOUR", "3")]);
    let mut client = server.connect();
    (0..3).for_each(|_| _ = client.get(LIST, None).expect(200));
    let refused = client.get(LIST, None);
    assert_eq!(refused.status, 429);
    assert!(refused.text().contains("Limit: 3/hour"), "{}", refused.text());
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((3500..=3600).contains(&seconds), "{seconds}");
}

#[test]
fn what_is_no_json_is_counted_as_well() {
    let server = Server::with(&[("MODULES_LIMIT_PER_MINUTE", "3")]);
    let mut client = server.connect();
    let mut broken = |path: &str| client.request("POST", path, &[("content-type", "application/json")], b"{");
    for (path, left) in [("/api/v1/malya/ideas", "2"), ("/api/v1/ci/capture", "1"), ("/api/v1/links", "0")] {
        let answer = broken(path);
        assert_eq!(answer.header("x-ratelimit-remaining-minute"), Some(left), "{path}");
        let body = answer.expect(422);
        assert_eq!(body["detail"][0]["type"], "json_invalid", "{body}");
        assert_eq!(body["detail"][0]["loc"], json!(["body", 1]));
    }
    assert_eq!(broken("/api/v1/malya/ideas").status, 429);
    let closed = Server::with(&[("HOUSEHOLD_PASSWORD", PASSWORD)]);
    let mut client = closed.connect();
    let answer = client.request("POST", "/api/v1/malya/ideas", &[("content-type", "application/json")], b"{");
    assert_eq!(answer.status, 401, "whoever is not known is told nothing else");
}

#[test]
fn a_page_of_another_site_writes_nothing() {
    let server = Server::start();
    let mut client = server.connect();
    let idea = json!({ "title": "T", "description": "D" });
    let path = "/api/v1/malya/ideas";
    for (headers, status) in [
        (&[("origin", "http://localhost:3000")][..], 200),
        (&[("origin", "https://evil.example")], 403),
        (&[("origin", "null")], 403),
        (&[("sec-fetch-site", "cross-site")], 403),
        (&[("sec-fetch-site", "same-origin")], 200),
        (&[], 200),
    ] {
        assert_eq!(post(&mut client, path, headers, &idea).status, status, "{headers:?}");
    }
    for form in ["text/plain", "application/x-www-form-urlencoded"] {
        let answer = client.request("POST", path, &[("content-type", form)], idea.to_string().as_bytes());
        let (_, why) = answer.expect_error(415);
        assert!(why.starts_with(&format!("Content-Type {form} is not accepted here: use ")), "{why}");
    }
    assert_eq!(client.request("DELETE", &format!("{path}/1"), &[("origin", "https://evil.example")], b"").status, 403);
    let read = client.request("GET", path, &[("origin", "https://evil.example")], b"");
    assert_eq!(
        (read.status, read.header("access-control-allow-origin")),
        (200, None),
        "its browser keeps it from the page"
    );
    assert_eq!(read.expect(200).as_array().unwrap().len(), 3);
}

#[test]
fn a_household_with_a_password_asks_for_it() {
    let settings = [("HOUSEHOLD_PASSWORD", PASSWORD), ("MODULES_LIMIT_PER_MINUTE", "1000")];
    let mut server = Server::with(&settings);
    let mut client = server.connect();
    for path in ["/api/v1/malya/ideas", "/api/v1/kazkar/stats", "/api/session", "/api/v1/malya/ideas/1"] {
        let answer = client.get(path, None);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{path}");
        let (code, why) = answer.expect_error(401);
        assert_eq!(code, "session_required", "{path}");
        assert!(why.contains("POST /api/session") && why.contains("cookie or token"), "{why}");
    }
    for path in ["/", LIST, "/api/v1/modules/status", "/api/v1/ci/", "/api/status", "/health", "/ready"] {
        assert_eq!(client.get(path, None).status, 200, "{path}: no secret of the household");
    }
    assert_eq!(post(&mut client, "/api/session", &[], &json!({})).status, 422);
    assert_eq!(
        post(&mut client, "/api/session", &[], &json!({ "password": "x" })).expect_error(401).0,
        "wrong_password"
    );
    let begun = post(&mut client, "/api/session", &[("user-agent", "test")], &json!({ "password": PASSWORD }));
    let cookie = begun.header("set-cookie").unwrap().to_owned();
    let token = begun.expect(200)["token"].as_str().unwrap().to_owned();
    let pair = format!("inkring_session={token}");
    assert_eq!(cookie, format!("{pair}; Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000"));
    let bearer = format!("Bearer {token}");
    for header in [("cookie", &*pair), ("authorization", &*bearer)] {
        client.request("GET", "/api/v1/malya/ideas", &[header], b"").expect(200);
    }
    let over_tls =
        post(&mut client, "/api/session", &[("x-forwarded-proto", "https")], &json!({ "password": PASSWORD }));
    assert!(over_tls.header("set-cookie").unwrap().ends_with("; Secure"));
    let other = over_tls.expect(200)["token"].as_str().unwrap().to_owned();
    let own = [("cookie", &*pair)];
    post(&mut client, "/api/v1/malya/ideas", &own, &json!({ "title": "T", "description": "D" })).expect(200);

    server.kill();
    server.launch();
    let mut client = server.connect();
    let listed = client.request("GET", "/api/session", &own, b"").expect(200);
    let sessions = listed["sessions"].as_array().unwrap();
    assert_eq!((sessions.len(), &listed["required"]), (2, &json!(true)), "sessions outlast a restart");
    let mine = sessions.iter().find(|session| session["current"] == true).unwrap();
    assert_eq!((&mine["agent"], &mine["address"]), (&json!("test"), &json!("127.0.0.1")));
    assert!(!listed.to_string().contains(&token), "no token is shown");
    let database = std::fs::read(server.database()).unwrap();
    let log = std::fs::read(server.database().with_extension("db-wal")).unwrap_or_default();
    for secret in [token.as_bytes(), PASSWORD.as_bytes()] {
        let is_in = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret);
        assert!(!is_in(&database) && !is_in(&log) && !server.log().contains(&token), "nor kept anywhere");
    }
    let id = sessions.iter().find(|session| session["current"] == false).unwrap()["id"].as_i64().unwrap();
    client.request("DELETE", &format!("/api/session/{id}"), &own, b"").expect(200);
    assert_eq!(client.request("DELETE", &format!("/api/session/{id}"), &own, b"").status, 404);
    let ended = [("authorization", &*format!("Bearer {other}"))].map(|(name, value)| (name, value.to_owned()));
    let ended = [(ended[0].0, &*ended[0].1)];
    assert_eq!(client.request("GET", "/api/v1/malya/ideas", &ended, b"").status, 401);
    let gone = client.request("DELETE", "/api/session", &own, b"");
    assert!(gone.header("set-cookie").unwrap().starts_with("inkring_session=; Path=/;"));
    gone.expect(200);
    assert_eq!(client.request("GET", "/api/v1/malya/ideas", &own, b"").status, 401);
}

#[test]
fn another_password_counts_after_a_reload_and_sessions_stay() {
    let mut server = Server::absent(&[("HOUSEHOLD_PASSWORD_FILE", "password")]);
    let file = server.directory.path().join("password");
    let write = |password: &str| {
        std::fs::write(&file, password).unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    };
    write(PASSWORD);
    server.launch();
    let mut client = server.connect();
    let mut open = |password: &str| post(&mut client, "/api/session", &[], &json!({ "password": password }));
    let token = open(PASSWORD).expect(200)["token"].as_str().unwrap().to_owned();
    let other = "зовсім інший пароль";
    write(other);
    assert_eq!(open(other).status, 401, "not before it is told to");
    server.signal("HUP");
    let line = server.wait_for_log(|line| line["message"] == "config.reloaded");
    assert_eq!(line["HOUSEHOLD_PASSWORD"], "******** → ********");
    assert_eq!(open(PASSWORD).status, 401);
    open(other).expect(200);
    let bearer = format!("Bearer {token}");
    client.request("GET", "/api/v1/malya/ideas", &[("authorization", &bearer)], b"").expect(200);
}

#[test]
fn ten_wrong_passwords_close_the_door_for_a_while() {
    let server = Server::with(&[("HOUSEHOLD_PASSWORD", PASSWORD)]);
    let mut client = server.connect();
    post(&mut client, "/api/session", &[], &json!({ "password": PASSWORD })).expect(200);
    for _ in 0..10 {
        assert_eq!(post(&mut client, "/api/session", &[], &json!({ "password": "wrong" })).status, 401);
    }
    let refused = post(&mut client, "/api/session", &[], &json!({ "password": PASSWORD }));
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!(seconds > 800 && seconds <= 900, "{seconds}");
    assert_eq!(refused.expect_error(429).0, "rate_limited");
}

#[test]
fn in_production_nobody_comes_in_without_a_password() {
    let server = Server::with(&[("ENV", "production"), ("ALLOWED_ORIGINS", "https://home.example")]);
    let mut client = server.connect();
    let (code, why) = client.get("/api/v1/malya/ideas", None).expect_error(401);
    assert_eq!(code, "session_required");
    assert!(why.contains("HOUSEHOLD_PASSWORD is not set"), "{why}");
    assert_eq!(post(&mut client, "/api/session", &[], &json!({ "password": "anything" })).status, 401);
    assert_eq!(client.get(LIST, None).status, 200);
    server.wait_for_log(|line| line["message"] == "modules.closed" || line["event"] == "modules.closed");
    let weak = Server::absent(&[
        ("ENV", "production"),
        ("HOUSEHOLD_PASSWORD", "short"),
        ("ALLOWED_ORIGINS", "https://home.example"),
    ]);
    assert!(!weak.command().output().unwrap().status.success());
    assert!(weak.log().contains("HOUSEHOLD_PASSWORD has 5 characters"), "{}", weak.log());
}

#[test]
fn the_status_counts_all_that_is_asked() {
    let server = Server::start();
    let mut client = server.connect();
    assert_eq!(
        post(&mut client, "/api/session", &[], &json!({ "password": "x" })).expect(200),
        json!({ "required": false })
    );
    let before = client.get("/api/status", None).expect(200);
    for (key, value) in [
        ("active_persona", json!("ci")),
        ("активні_персони", json!(5)),
        ("розгортання", json!("HuggingFace / Docker")),
        ("статус", json!("running")),
        ("версія", json!("2.2.1")),
        ("timezone", json!("Europe/Kyiv")),
    ] {
        assert_eq!(before[key], value, "{key}");
    }
    let [utc, local, uptime] = ["utc_time", "local_time", "uptime"].map(|key| before[key].as_str().unwrap().to_owned());
    assert!(utc.len() == 32 && utc.ends_with("+00:00") && local.len() == 32, "{utc} {local}");
    assert!(local.ends_with("+02:00") || local.ends_with("+03:00"), "{local}");
    assert!(uptime.len() == 8 && uptime.starts_with("00:0"), "{uptime}");
    client.get("/no/such/path", None);
    client.get("/healthz", None);
    let after = client.get("/api/status", None).expect(200);
    let more = |key: &str| after[key].as_i64().unwrap() - before[key].as_i64().unwrap();
    assert_eq!((more("requests_last_5m"), more("errors_last_5m"), more("загальна_кількість_взаємодій")), (3, 1, 3));

    for (path, status) in [("/health", "ok"), ("/ready", "ready")] {
        let said = client.get(path, None).expect(200);
        assert_eq!(
            (&said["status"], &said["version"], &said["canon_bundle_id"]),
            (&json!(status), &json!("2.2.1"), &json!("CIMEIKA_CANON_TZ_v1"))
        );
        assert!(said["message"].is_string(), "{said}");
    }
    assert_eq!(client.get("/ready", None).expect(200)["checks"]["modules"], "ok");
    client.request("POST", "/api/v1/modules/gallery/shutdown", &[], b"").expect(200);
    assert_eq!(client.get("/ready", None).expect(200)["checks"]["modules"], "warning");
}

#[test]
fn the_api_is_described_by_what_it_is_made_of() {
    let server = Server::with(&[("HOUSEHOLD_PASSWORD", PASSWORD)]);
    let mut client = server.connect();
    let document = client.get("/api/openapi.json", None).expect(200);
    assert_eq!((&document["info"]["title"], &document["info"]["version"]), (&json!("CIMEIKA API"), &json!("2.2.1")));
    let create = &document["paths"]["/api/v1/nastrij/emotions"]["post"];
    assert_eq!(
        create["requestBody"]["content"]["application/json"]["schema"]["$ref"],
        "#/components/schemas/EmotionCreate"
    );
    assert_eq!(document["components"]["schemas"]["EmotionCreate"]["required"], json!(["emotion_state"]));
}

#[test]
fn what_is_written_sent_and_refused_is_counted() {
    let Operated { server, plane } = Operated::with(&[("HOUSEHOLD_PASSWORD", PASSWORD)]);
    let mut client = server.connect();
    let token = post(&mut client, "/api/session", &[], &json!({ "password": PASSWORD })).expect(200)["token"].clone();
    let bearer = format!("Bearer {}", token.as_str().unwrap());
    let own = [("authorization", &*bearer)];
    for _ in 0..11 {
        post(&mut client, "/api/session", &[], &json!({ "password": "wrong" }));
    }
    post(&mut client, "/api/v1/malya/ideas", &own, &json!({ "title": "T", "description": "D" })).expect(200);
    client.request("DELETE", "/api/v1/malya/ideas/1", &own, b"").expect(200);
    post(&mut client, "/api/v1/malya/ideas", &own, &json!({ "title": " " })).expect(422);
    let octets = [own[0], ("content-type", "application/octet-stream")];
    client.request("POST", "/api/v1/gallery/upload?name=a.txt", &octets, b"a text").expect(200);
    let figures = Operated { server, plane }.get("/metrics");
    for line in [
        "inkring_modules_records_written_total{module=\"malya\"} 2\n",
        "inkring_modules_records_written_total{module=\"gallery\"} 1\n",
        "inkring_modules_records_written_total{module=\"kazkar\"} 0\n",
        "inkring_modules_uploads_total 1\n",
        "inkring_modules_uploaded_bytes_total 6\n",
        "inkring_modules_sign_ins_refused_total{reason=\"wrong_password\"} 10\n",
        "inkring_modules_sign_ins_refused_total{reason=\"too_often\"} 1\n",
    ] {
        assert!(figures.text().contains(line), "{line}{}", figures.text());
    }
}
