//! The script of behaviour metrics and our pages about it in a browser, if there is one (contract 02 §3, §6 R11, R21, R22).

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::behaviour_house::{FREELY, HEALTH, SNAPSHOT};
use crate::docs::blocks;
use crate::repository::read;
use crate::support::browser::Page;
use crate::support::needs::{Browser, browser};
use crate::support::{Server, wait_for};

/// Sends what waits as the end of a page does.
const END: &str = "dispatchEvent(new Event('visibilitychange'))";
/// Counts how often a page has sent something, by beacon or otherwise, at the moment at which it does.
const COUNTING: &str = "(() => {
    window.sent = 0;
    const [beacon, ask] = [navigator.sendBeacon.bind(navigator), window.fetch];
    navigator.sendBeacon = (...given) => (window.sent += 1, beacon(...given));
    window.fetch = (at, options) => (window.sent += options?.method === 'POST' ? 1 : 0, ask(at, options));
})()";
const SENT: &str = "window.sent";
const BLOCKED: &str = "Object.defineProperty(window, 'localStorage', { get() { throw new Error('blocked'); } })";

fn server(settings: &[(&str, &str)]) -> Server {
    Server::with(&[&FREELY[..], settings].concat())
}

fn open(browser: &Browser) -> Page {
    let mut page = Page::open(browser);
    page.prepare(COUNTING);
    page
}

fn address(server: &Server, path: &str) -> String {
    format!("http://{}{path}", server.address)
}

fn snapshot(server: &Server) -> Value {
    server.get(SNAPSHOT).expect(200)
}

/// Waits for so many events, and returns them, the oldest first.
fn events(server: &Server, count: u64) -> Vec<Value> {
    let shown = wait_for(|| Some(snapshot(server)).filter(|shown| shown["total"].as_u64() >= Some(count)));
    assert_eq!(shown["total"], count, "{shown}");
    let mut events = shown["last_events"].as_array().unwrap().clone();
    events.reverse();
    events
}

fn name_of(event: &Value) -> &str {
    event["event"].as_str().unwrap()
}

/// Somebody else's site: whatever is asked of it, it shows this. Returns its origin.
fn site(page: impl Fn(&str) -> String + Send + Sync + 'static) -> String {
    let page = Arc::new(page);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let page = Arc::clone(&page);
            // A browser opens connections in advance, on which nothing comes.
            std::thread::spawn(move || {
                let mut head = [0; 4096];
                let length = stream.read(&mut head).unwrap_or(0);
                let head = String::from_utf8_lossy(&head[..length]);
                let body = page(head.split(' ').nth(1).unwrap_or_default());
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
                     Connection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes());
            });
        }
    });
    origin
}

/// The blocks of this language on the page for site owners.
fn examples(language: &str) -> Vec<String> {
    let all = blocks(&read("docs/BEHAVIOUR_METRICS.md")).into_iter();
    all.filter(|block| block.language == language).map(|block| block.text).collect()
}

/// A site whose pages have these lines. Where the server is they are told in their own address: it starts after them.
fn site_with(lines: String) -> String {
    assert!(lines.contains("https://metrics.example/"), "{lines}");
    site(move |path| {
        let server = path.split("server=").nth(1).unwrap_or_default();
        let lines = lines.replace("https://metrics.example/", &format!("http://{server}/"));
        format!(
            "<!doctype html><meta charset=utf-8><title>Blog</title><link rel=icon href=data:,>{lines}\
             <a id=out href=\"https://other.example/a?token=1#x\">out</a> <a id=here href=\"about?b=2\"><b>here</b></a> \
             <a id=mail href=\"mailto:me@other.example\">mail</a> <a id=call href=\"tel:+380441234567\">call</a> \
             <a id=jump href=\"#foot\">jump</a>"
        )
    })
}

#[test]
fn a_page_of_another_origin_counts_with_one_line() {
    let Some(browser) = browser() else { return };
    let origin = site_with(examples("html").remove(0));
    let server = server(&[("ALLOWED_ORIGINS", &origin), ("METRICS_DIR", ".")]);
    let mut page = open(&browser);
    page.go_to(&format!("{origin}/літо/?secret=1&server={}", server.address));
    let first = events(&server, 1).remove(0);
    assert_eq!((name_of(&first), &first["metadata"]), ("page_view", &json!({ "path": "/літо/" })));
    let visitor = page.value("localStorage.getItem('visitor_id')");
    assert_eq!(first["visitor_id"], visitor);
    let parts: Vec<&str> = visitor.as_str().unwrap().split('-').collect();
    assert!(matches!(parts[..], ["v", random, time] if random.len() >= 8 && time.len() >= 8), "{parts:?}");

    page.value("document.addEventListener('click', (event) => event.preventDefault())");
    // In one breath: what takes longer is sent in between.
    page.value(
        "for (const link of ['#mail', '#call', '#jump', '#out', '#here b']) document.querySelector(link).click()",
    );
    let links: Vec<Value> = events(&server, 3)[1..].iter().map(|event| event["metadata"].clone()).collect();
    let here = json!({ "href": "/літо/about" });
    assert_eq!(links, [json!({ "href": "https://other.example/a" }), here.clone()]);
    assert_eq!(page.value(SENT), 2, "the two of them together");

    // A browser that takes no beacon, and the events of the page itself.
    page.value("Object.defineProperty(navigator, 'sendBeacon', { value: () => false })");
    page.value("document.getElementById('here').click()");
    assert_eq!(events(&server, 4)[3]["metadata"], here);
    let [example] = &examples("js")[..] else { panic!("which of them?") };
    page.value(&format!("(async () => {{ {example} }})()"));
    assert_eq!(events(&server, 5)[4]["metadata"], json!({ "pieces": 2 }));
    assert_eq!(page.value("inkringMetrics.fetchSnapshot(1).then((shown) => shown.total)"), 5);
    let failure = "inkringMetrics.sendEvent({ event: '' }).then(() => 'taken', (error) => error.message)";
    assert_eq!(page.value(failure), "api/metrics/event: 422");

    assert_eq!(page.value("document.cookie"), "");
    let file = std::fs::read_to_string(server.directory.path().join("metrics.jsonl")).unwrap();
    for word in ["secret", "token", "b=2", "me@", "380441234567", "foot"] {
        assert!(!file.contains(word), "{word} in {file}");
    }
    let complaints = page.complaints.iter().filter(|complaint| !complaint.to_string().contains("422"));
    assert_eq!(complaints.count(), 0, "{:?}", page.complaints);
}

#[test]
fn a_second_line_asks_visitors_of_another_origin() {
    let Some(browser) = browser() else { return };
    let origin = site_with(examples("html").concat());
    let server = server(&[("ALLOWED_ORIGINS", &origin), ("METRICS_CONSENT", "opt-in")]);
    let mut page = open(&browser);
    page.go_to(&format!("{origin}/?server={}", server.address));
    page.wait_until("document.getElementById('consent-banner') !== null");
    let privacy = format!("http://{}/privacy.html", server.address);
    assert_eq!(page.value("document.querySelector('footer [data-testid=privacy-link]').href"), privacy);
    page.value("document.querySelector('#consent-banner button:last-of-type').click()");
    assert_eq!(name_of(&events(&server, 1)[0]), "page_view");
    page.value("document.querySelector('footer [data-testid=manage-privacy]').click()");
    page.value("document.querySelector('#consent-banner button').click()");
    assert_eq!(page.value("document.getElementById('consent-banner')"), Value::Null);
    assert_eq!(page.value("inkringMetrics.sendEvent({ event: 'x' })"), json!({ "ok": true, "optedOut": true }));
    // The badge has its place in the corner of a page that has no other for it.
    page.go_to(&format!("{origin}/?dev=1&server={}", server.address));
    let badge = "document.getElementById('metrics-badge-container')";
    page.wait_until(&format!("{badge} !== null && getComputedStyle({badge}).position === 'fixed'"));
    page.wait_until(&format!("{badge}.innerText === 'metrics 1 page_view'"));
    assert_eq!(page.complaints, [Value::Null; 0]);
}

#[test]
fn storage_that_is_blocked_breaks_nothing() {
    let Some(browser) = browser() else { return };
    let server = server(&[]);
    let mut page = open(&browser);
    page.prepare(BLOCKED);
    page.go_to(&address(&server, "/privacy.html?dev=1"));
    let first = events(&server, 1).remove(0);
    assert_eq!(name_of(&first), "page_view");
    page.value("inkringMetrics.sendEvent({ event: 'again' })");
    assert_eq!(
        events(&server, 2)[1]["visitor_id"],
        first["visitor_id"],
        "one visitor for as long as the page is there"
    );
    page.wait_until("window.__privacyPageReady === true");
    page.value("consent.set({ analytics: false })");
    assert_eq!(page.value("inkringMetrics.sendEvent({ event: 'again' })"), json!({ "ok": true, "optedOut": true }));
    assert_eq!(page.complaints, [Value::Null; 0]);
}

#[test]
fn nobody_is_counted_who_does_not_want_it() {
    let Some(browser) = browser() else { return };
    // One page asks, the other has nothing but the one line.
    let origin = site_with(examples("html").remove(0));
    let server = server(&[("ALLOWED_ORIGINS", &origin), ("METRICS_CONSENT", "opt-in")]);
    let (privacy, bare) = (address(&server, "/privacy.html"), format!("{origin}/?server={}", server.address));
    let mut page = open(&browser);
    let allowed = "localStorage.setItem('consent.v1', '{\"analytics\":true}');";
    let dnt = format!("{allowed} Object.defineProperty(navigator, 'doNotTrack', {{ value: '1' }})");
    let gpc = format!("{allowed} Object.defineProperty(navigator, 'globalPrivacyControl', {{ value: true }})");
    let declined = "localStorage.setItem('consent.v1', '{\"analytics\":false}')";
    for (who, script) in [("unset", "localStorage.clear()"), ("DNT", &dnt), ("GPC", &gpc), ("declined", declined)] {
        let prepared = page.prepare(script);
        for address in [&bare, &privacy] {
            page.go_to(address);
            let answer = page.value("inkringMetrics.sendEvent({ event: 'page_view' })");
            assert_eq!(answer, json!({ "ok": true, "optedOut": true }), "{who}: {address}");
            page.value("document.addEventListener('click', (event) => event.preventDefault())");
            page.value("document.querySelector('nav a, #here').click()");
            // The same answer stands before it and behind it, so whatever the click had to wait for has come.
            page.value("inkringMetrics.sendEvent({ event: 'page_view' })");
            page.value(END);
            assert_eq!(page.value(SENT), 0, "{who}: {address}");
            assert_eq!(page.value("localStorage.getItem('visitor_id')"), Value::Null, "{who}: no code is made either");
        }
        if who == "unset" {
            page.wait_until("document.getElementById('consent-banner') !== null");
        } else {
            assert_eq!(page.value("document.getElementById('consent-banner')"), Value::Null, "{who}");
        }
        page.forget(prepared);
    }
    assert_eq!((&snapshot(&server)["total"], &server.get(HEALTH).json()["do_not_track"]), (&json!(0), &json!(0)));

    // Until they allow it: the page that is open counts from then on.
    let prepared = page.prepare("localStorage.clear()");
    page.go_to(&privacy);
    page.wait_until("document.getElementById('consent-banner') !== null");
    page.value("document.querySelector('#consent-banner button:last-of-type').click()");
    assert_eq!(name_of(&events(&server, 1)[0]), "page_view");
    assert_eq!(page.value("consent.get().analytics"), true);
    page.forget(prepared);
    assert_eq!(page.complaints, [Value::Null; 0]);
}

#[test]
fn a_page_sends_the_part_that_the_server_asks_for() {
    let Some(browser) = browser() else { return };
    let server = server(&[("METRICS_CLIENT_SAMPLE_RATE", "0")]);
    let mut page = open(&browser);
    page.go_to(&address(&server, "/metrics-panel?dev=1"));
    let answer = page.value("inkringMetrics.sendEvent({ event: 'page_view' })");
    assert_eq!(answer, json!({ "ok": true, "sampledOut": true }));
    page.wait_until("document.getElementById('summary').innerText.startsWith('total 0')");
    assert!(page.text_of("#summary").ends_with("visitor —"), "none who has sent nothing");
    page.value("document.getElementById('demo').click()");
    page.wait_until("document.getElementById('note').innerText.startsWith('Not all of it was sent')");
    page.value(END);
    assert_eq!((page.value(SENT), &snapshot(&server)["total"]), (json!(0), &json!(0)));
}

#[test]
fn a_word_in_the_address_shows_the_badge_and_opens_the_panel() {
    let Some(browser) = browser() else { return };
    let server = server(&[]);
    let mut page = open(&browser);
    let badge = "document.querySelector('.nav-right #metrics-badge-container')";
    let has_badge = format!("{badge} !== null && getComputedStyle({badge}).display !== 'none'");
    page.go_to(&address(&server, "/metrics-panel"));
    page.wait_until("!document.getElementById('restricted').hidden && document.getElementById('panel').hidden");
    assert_eq!(name_of(&events(&server, 1)[0]), "page_view");
    assert_eq!(page.value(&format!("{badge} === null && !document.querySelector('[src$=\"badge.js\"]')")), true);

    page.go_to(&address(&server, "/metrics-panel?dev=1"));
    page.wait_until(&has_badge);
    page.wait_until("document.getElementById('restricted').hidden && !document.getElementById('panel').hidden");
    let mut names: Vec<String> = events(&server, 3)[1..].iter().map(|event| name_of(event).to_owned()).collect();
    names.sort();
    assert_eq!(names, ["dev_mode_enabled", "page_view"]);
    assert_eq!(page.value(&format!("{badge}.firstChild.title")), "Behavior metrics (dev-only)");
    assert_eq!(page.value(&format!("{badge}.firstChild.ariaLive")), "polite");
    page.wait_until(&format!("{badge}.innerText === 'metrics 3 page_view'"));

    page.value("document.getElementById('refresh').click()");
    page.wait_until("document.getElementById('summary').innerText.startsWith('total 3 ')");
    let busy = "(() => { const demo = document.getElementById('demo'); demo.click(); return demo.innerText; })()";
    assert_eq!(page.value(busy), "Loading…");
    page.wait_until("!document.getElementById('demo').disabled");
    assert_eq!(page.text_of("#demo"), "Send demo events");
    let summary = page.text_of("#summary");
    let visitor = page.value("localStorage.getItem('visitor_id')");
    assert!(summary.starts_with("total 5 · file "), "{summary}");
    assert!(summary.ends_with(&format!("visitor {}", visitor.as_str().unwrap())), "{summary}");
    let demo: Vec<Value> = events(&server, 5)[3..].to_vec();
    assert_eq!([name_of(&demo[0]), name_of(&demo[1])], ["page_view", "link_click"]);
    assert_eq!(demo[1]["metadata"], json!({ "href": "https://example.com" }));
    let rows = "[...document.querySelectorAll('#by_event tr')].map((row) => row.innerText.replace('\\t', ' '))";
    assert_eq!(page.value(rows), json!(["page_view 3", "dev_mode_enabled 1", "link_click 1"]));
    assert_eq!(page.value("document.querySelectorAll('#last_events tr').length"), 5);

    // What a visitor chose is text.
    page.value("inkringMetrics.sendEvent({ event: '<img src=x onerror=document.title=1>' })");
    page.value("document.getElementById('refresh').click()");
    page.wait_until("document.getElementById('last_events').innerText.includes('<img src=x')");
    assert_eq!(page.value("document.images.length"), 0);
    page.fits_every_width_and_scheme();
    assert_eq!(page.complaints, [Value::Null; 0]);

    page.go_to(&address(&server, "/privacy.html"));
    page.wait_until(&has_badge);
    page.go_to(&address(&server, "/metrics-panel?dev=0"));
    page.wait_until("!document.getElementById('restricted').hidden");
    wait_for(|| snapshot(&server)["by_event"].to_string().contains("dev_mode_disabled").then_some(()));
    assert_eq!(page.value(&has_badge), false);
    assert_eq!(page.value("localStorage.getItem('dev_unlocked')"), Value::Null);
}

#[test]
fn without_the_gate_the_word_in_the_address_is_no_word() {
    let Some(browser) = browser() else { return };
    let server = server(&[("METRICS_DEV_GATE", "false")]);
    let mut page = open(&browser);
    page.go_to(&address(&server, "/metrics-panel?dev=1"));
    // Both scripts and the badge have asked.
    page.wait_until(
        "performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('/api/metrics/config')).length === 3",
    );
    assert_eq!(name_of(&events(&server, 1)[0]), "page_view");
    assert_eq!(page.value("localStorage.getItem('dev_unlocked')"), Value::Null);
    assert_eq!(page.value("document.getElementById('restricted').hidden"), false);
    assert_eq!(page.value("document.getElementById('metrics-badge-container')"), Value::Null);
}

#[test]
fn a_page_that_is_loaded_in_advance_counts_once_somebody_looks_at_it() {
    let Some(browser) = browser() else { return };
    let server = server(&[]);
    let mut page = open(&browser);
    // As a browser has it for a page that it prepares behind the one that is shown.
    page.prepare("Object.defineProperty(document, 'prerendering', { get: () => !window.looked })");
    page.go_to(&address(&server, "/privacy.html"));
    page.value(END);
    assert_eq!(page.value(SENT), 0);
    // What comes after it has come before it if it was sent.
    page.value("inkringMetrics.sendEvent({ event: 'after' })");
    assert_eq!(events(&server, 1).iter().map(name_of).collect::<Vec<_>>(), ["after"]);
    page.value("window.looked = true; document.dispatchEvent(new Event('prerenderingchange'))");
    assert_eq!(events(&server, 2).iter().map(name_of).collect::<Vec<_>>(), ["after", "page_view"]);
    assert_eq!(page.value(SENT), 2);
}

#[test]
fn the_page_about_privacy_switches_and_says_what_is_kept() {
    let Some(browser) = browser() else { return };
    let server =
        server(&[("METRICS_RETENTION_DAYS", "7"), ("METRICS_GZIP_AFTER_DAYS", "0"), ("METRICS_SAMPLE_RATE", "0.5")]);
    let privacy = address(&server, "/privacy.html");
    let ready = "window.__privacyPageReady === true";
    let boxes = "['analytics', 'marketing', 'calendly'].map((key) => document.getElementById(`chk-${key}`).checked)";
    let mut page = open(&browser);
    page.go_to(&format!("{privacy}?lang=en"));
    page.wait_until(ready);
    assert_eq!(
        (page.text_of("h1"), page.value("document.title")),
        ("Privacy settings".to_owned(), "Privacy settings".into())
    );
    assert_eq!(page.value(boxes), json!([true, false, false]), "counted unless they decline");
    let main = page.text_of("main");
    for said in ["page_view", "link_click", "dev_mode_enabled", "7 days", "never", "50%", "100%", "you are counted"] {
        assert!(main.contains(said), "{said}: {main}");
    }
    assert!(!main.contains("Статистика"), "{main}");
    events(&server, 1);

    // What is saved is there after a reload, and nothing is sent from then on.
    page.value(
        "consent.onChanged((change) => (window.changes ??= []).push(change)); \
                document.addEventListener('consent:change', ({ detail }) => (window.whole = detail))",
    );
    page.value("document.getElementById('chk-analytics').click(); document.getElementById('chk-calendly').click()");
    let said = |button: &str| {
        format!(
            "(document.querySelector('[data-testid={button}]').click(), document.getElementById('status').innerText)"
        )
    };
    assert_eq!(page.value(&said("privacy-save")), "✓ Preferences saved");
    let whole = json!({ "analytics": false, "marketing": false, "calendly": true });
    assert_eq!(page.value("window.whole"), whole);
    let changes = ["analytics", "marketing", "calendly"].map(|key| json!({ "key": key, "value": key == "calendly" }));
    assert_eq!(page.value("window.changes"), json!(changes));
    assert_eq!(page.value("consent.ready.then(() => consent.get().timestamp > 1e12)"), true);
    page.wait_until("document.getElementById('status').innerText === ''");
    page.go_to(&privacy);
    page.wait_until(ready);
    assert_eq!(page.value(boxes), json!([false, false, true]));
    assert_eq!(page.value("inkringMetrics.sendEvent({ event: 'x' })"), json!({ "ok": true, "optedOut": true }));
    page.value(END);
    assert_eq!((page.value(SENT), &snapshot(&server)["total"]), (json!(0), &json!(1)));

    // The foot of each page of ours.
    for path in ["/metrics-panel", "/privacy.html?lang=uk"] {
        page.go_to(&address(&server, path));
        let links = "['manage-privacy', 'privacy-link'].every((id) => \
                     document.querySelector(`footer [data-testid=${id}]`)?.checkVisibility())";
        page.wait_until(links);
        assert_eq!(page.value("document.querySelector('[data-testid=privacy-link]').href"), privacy);
        page.value("document.querySelector('[data-testid=manage-privacy]').click()");
        assert_eq!(page.value("document.activeElement.id"), "consent-banner");
        assert_eq!(page.value("consent.get().calendly"), true, "what was chosen holds until there is an answer");
    }
    page.wait_until(ready);
    let main = page.text_of("main");
    for said in ["Статистика", "Що зберігається", "7 днів", "ніколи", "вас рахують"]
    {
        assert!(main.contains(said), "{said}: {main}");
    }
    assert!(!main.contains("What is stored"), "{main}");
    page.fits_every_width_and_scheme();
    // The end of the page is not hidden by it.
    page.wait_until(
        "scrollTo(0, 1e6), document.querySelector('footer').getBoundingClientRect().bottom < \
         document.getElementById('consent-banner').getBoundingClientRect().top + 1",
    );
    page.value("document.querySelector('#consent-banner button').click()");
    assert_eq!(page.value(boxes), json!([false, false, false]), "the banner and the switches agree");
    page.wait_until("document.documentElement.style.paddingBottom === '0px'");
    assert_eq!(page.complaints, [Value::Null; 0]);

    // Everything that was kept in the browser is gone.
    page.go_to(&format!("{privacy}?lang=en"));
    page.wait_until(ready);
    assert_eq!(page.value("localStorage.getItem('visitor_id') === document.getElementById('visitor').innerText"), true);
    assert_eq!(page.value(&said("privacy-reset")), "Preferences cleared; you are taken to the start");
    // The start of a household is the page of Ci.
    page.wait_until("location.pathname === '/ci'");
    assert_eq!(page.value("localStorage.getItem('consent.v1') ?? localStorage.getItem('visitor_id')"), Value::Null);
}
