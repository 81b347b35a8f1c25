//! The dashboard in a browser, if there is one.

use std::collections::BTreeSet;

use inkring::features;
use inkring::gate::Kind;
use serde_json::{Value, json};

use crate::ops::Operated;
use crate::repository::read;
use crate::support::browser::Page;
use crate::support::needs::browser;
use crate::support::yjs::{Peer, typed};

const HOSTILE: &str = "<img src=x onerror=document.title=1>";

#[test]
fn the_dashboard_shows_what_is_and_runs_nothing_of_others() {
    let Some(browser) = browser() else { return };
    let mut operated = Operated::with(&[("AUDIT_ENABLED", "true")]);
    operated.server.create_draft("alice");
    operated.server.create_draft(HOSTILE);
    let mut page = Page::open(&browser);
    page.size(1280, "light");
    page.command("Page.navigate", json!({ "url": format!("http://{}/", operated.plane) }));
    page.wait_until("document.readyState === 'complete' && document.getElementById('ready')?.innerText === 'Ready'");
    page.wait_until("!document.getElementById('rows').hidden");
    assert_eq!(page.text_of("#version"), inkring::version::VERSION);
    assert!(page.text_of("#t-sockets").contains("no watchers"));
    assert!(page.text_of("#t-backup").contains("none"));
    // There are figures from the second look on, and the page's own requests do not count.
    page.wait_until("document.getElementById('t-requests').innerText.includes('in flight')");
    page.wait_until("document.querySelector('#t-requests dd').innerText.startsWith('0')");
    assert!(page.text_of("#server-facts").contains(&operated.server.address.to_string()));
    // Features say in a line how they are.
    let server_facts = page.text_of("#server-facts");
    assert!(
        server_facts.contains("events are written; in memory: 0 of at most 500; 0 files rotated since the start"),
        "{server_facts}"
    );
    // Features that have a page are led to.
    let pages = page.value("[...document.querySelectorAll('#pages a')].map((link) => link.getAttribute('href'))");
    assert_eq!(pages, json!(["/dashboard/drafts", "/behaviour"]));

    // A room has a name that a client chose, too.
    let mut peer = Peer::enter(&operated.server, "/rooms/plan%3Cb%3E");
    peer.change(&typed(5, 0, "Hi"));
    page.wait_until("document.getElementById('rooms-facts').innerText.includes('plan<b> (')");
    let rooms = page.text_of("#rooms-facts");
    for fact in ["1 of at most 5000", "1, of which 0 speak JSON", "1 since the start", "1 socket)"] {
        assert!(rooms.contains(fact), "{fact}: {rooms}");
    }
    assert!(!rooms.contains("Read-only") && !page.text_of("#server-facts").contains("Rooms"), "{rooms}");

    // What a client chose is text, in whatever row it stands.
    let rows = page.text_of("#rows");
    assert!(rows.contains(HOSTILE) && rows.contains("alice"), "{rows}");
    assert_eq!(page.value("document.images.length"), 0);
    assert_eq!(page.value("document.title"), "inkring");
    page.value("document.getElementById('f-user').value = 'alice'; document.getElementById('filter').requestSubmit()");
    page.wait_until("document.querySelectorAll('#rows tbody tr').length === 1");
    assert!(!page.text_of("#rows").contains(HOSTILE));

    page.fits_every_width_and_scheme();

    // The keyboard reaches every control, and it can be seen where it is.
    page.value("document.activeElement.blur()");
    let mut reached = Vec::new();
    loop {
        page.tab();
        // Behind the last one the focus leaves the page.
        if page.value("document.activeElement === document.body") == true || reached.len() > 20 {
            break;
        }
        let seen = page.value(
            "(() => { const at = document.activeElement; \
             return [at.id || at.textContent.trim(), getComputedStyle(at).outlineStyle]; })()",
        );
        assert_ne!(seen[1], "none", "{seen}");
        reached.push(seen[0].as_str().unwrap().to_owned());
    }
    for control in ["pause", "download", "level", "f-user", "f-draft", "f-action", "Filter", "Show all", "Behaviour"] {
        assert!(reached.iter().any(|id| id == control), "{control}: {reached:?}");
    }

    // What this server cannot do is not offered, and it is said how it could.
    assert!(!reached.iter().any(|id| id == "backup"), "{reached:?}");
    assert_eq!(page.value("document.getElementById('backup').checkVisibility()"), false);
    let said = page.text_of("#no-backup");
    assert!(said.contains("set BACKUP_DIR") && said.contains("restart"), "{said}");
    assert_eq!(page.complaints, [Value::Null; 0]);
    // Looking at the page opens no connections of clients, and closes none.
    assert!(!page.text_of("#t-connections").contains("-"), "{}", page.text_of("#t-connections"));
    // A server that is gone is said, and called ready no longer.
    operated.server.kill();
    page.wait_until("document.getElementById('trouble-line').innerText.startsWith('The server has not responded')");
    assert_eq!(page.text_of("#ready"), "No response");
    assert_eq!(page.value("document.title"), "! inkring");
}

#[test]
fn with_a_place_for_backups_the_page_makes_one() {
    let Some(browser) = browser() else { return };
    let operated = Operated::with(&[("BACKUP_DIR", "copies"), ("BACKUP_INTERVAL_HOURS", "0")]);
    let mut page = Page::open(&browser);
    page.command("Page.navigate", json!({ "url": format!("http://{}/", operated.plane) }));
    page.wait_until("document.readyState === 'complete' && document.getElementById('ready')?.innerText === 'Ready'");
    page.wait_until("document.getElementById('backup').checkVisibility()");
    assert_eq!(page.value("document.getElementById('no-backup').checkVisibility()"), false);
    page.value("document.getElementById('backup').click()");
    page.wait_until("document.getElementById('backup-said').innerText.startsWith('Backed up ')");
    let copies = std::fs::read_dir(operated.server.directory.path().join("copies")).unwrap();
    assert!(copies.flatten().any(|file| file.path().extension().is_some_and(|kind| kind == "db")));
    assert_eq!(page.complaints, [Value::Null; 0]);
}

#[test]
fn a_tile_in_colour_is_explained_among_the_warnings() {
    let Some(browser) = browser() else { return };
    let operated = Operated::with(&[]);
    let mut page = Page::open(&browser);
    page.size(360, "light");
    page.command("Page.navigate", json!({ "url": format!("http://{}/", operated.plane) }));
    page.wait_until("document.getElementById('ready')?.innerText === 'Ready'");
    page.wait_until("document.getElementById('no-troubles').innerText === 'Nothing since the start.'");
    assert_eq!(page.value("document.querySelectorAll('.tile.warn, .tile.bad').length"), 0);
    // What no server of a test comes to is shown to the page itself.
    let ill = "document.getElementById('pause').click(); \
        const ill = { ...samples.at(-1), status: structuredClone(samples.at(-1).status) }; \
        Object.assign(ill.status.writer, { queued: 4000, busy_ms: 3000 }); \
        Object.assign(ill.status.database, { disk_free_bytes: 5e8 }); \
        Object.assign(ill.status.behaviour, { sink_error: 'No space left' }); \
        ill.status.backups = { every_hours: 1, directory: 'b', latest: { created_at: '2020-01-01T00:00:00Z', bytes: 9 } }; \
        ill.status.proxy_header_untrusted = '10.0.0.7'; \
        ill.points = { ...ill.points, r5: 2 }; \
        showTiles({ sample: ill, before: ill, earlier: null }); showTroubles({ sample: ill }); \
        [...document.querySelectorAll('.tile.warn, .tile.bad')].map((tile) => tile.id)";
    assert_eq!(page.value(ill), json!(["t-requests", "t-queue", "t-backup", "t-disk"]));
    let said = page.text_of("#troubles");
    for sentence in [
        "2.0 requests per s fail with 5xx",
        "The current commit has taken 3.0 s so far, and 4,000 changes wait",
        "The last backup was made ",
        "one is due every 1 hour",
        "Only 500 MB of disk space are free",
        "An untrusted proxy, 10.0.0.7, forwards requests",
        "Events cannot be written: No space left",
    ] {
        assert!(said.contains(sentence), "{sentence}: {said}");
    }
    assert_eq!(page.value("document.getElementById('no-troubles').checkVisibility()"), false);
    assert_eq!(page.complaints, [Value::Null; 0]);
}

/// The names in the page's table of metrics.
fn metrics_of_the_page() -> Vec<String> {
    let page = read("src/ops/dashboard.html");
    let (_, rest) = page.split_once("const METRICS = {").unwrap();
    let (table, _) = rest.split_once("};").unwrap();
    table.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_metric_of_the_page_exists() {
    let names = metrics_of_the_page();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        assert!(features::rows().iter().any(|family| family.name == name), "there is no {name}");
    }
}

#[test]
fn what_the_page_takes_for_no_traffic_are_the_probes() {
    let page = read("src/ops/dashboard.html");
    let (_, rest) = page.split_once("const PROBES = [").unwrap();
    let (list, _) = rest.split_once("];").unwrap();
    let listed: BTreeSet<&str> = list.split('"').skip(1).step_by(2).collect();
    let routes = features::routes();
    let probes = routes.iter().filter(|route| route.kind == Kind::Probe).map(|route| route.template);
    // One is served by a door of its own.
    assert_eq!(listed, probes.chain(["/stats"]).collect());
}

#[test]
fn what_has_happened_before_the_page_is_opened_is_in_its_curves() {
    let Some(browser) = browser() else { return };
    let operated = Operated::with(&[("AUDIT_ENABLED", "true")]);
    for _ in 0..12 {
        operated.server.create_draft("alice");
    }
    operated.server.get("/nowhere");
    // Two samples behind it: what has happened lies between two of them.
    let seen = operated.recent(|samples| samples.last().is_some_and(|last| last["answered"][1].as_u64() >= Some(12)));
    operated.recent(|samples| samples.len() > seen.len());
    let mut page = Page::open(&browser);
    page.size(360, "light");
    page.command("Page.navigate", json!({ "url": format!("http://{}/", operated.plane) }));
    page.wait_until("document.readyState === 'complete' && document.getElementById('ready')?.innerText === 'Ready'");
    // In the first round, and not after some.
    page.wait_until("document.querySelector('#c-requests path.line.c-good')?.getAttribute('d').length > 0");
    for (id, colour) in [("c-requests", "c-warn"), ("c-commit", "c-accent")] {
        let drawn = format!("document.querySelector('#{id} path.line.{colour}').getAttribute('d').length > 0");
        page.wait_until(&drawn);
    }
    // One failure among many requests is one low peak, and not the edge of theirs; before and after it, and of what never
    // occurred, there is no stroke.
    page.wait_until("recent.length > 3 && recent.slice(-2).every((sample) => sample.points.r4 === 0)");
    page.wait_until("!state.busy");
    let stroke = |page: &mut Page, colour: &str| -> Vec<(f64, f64)> {
        let drawn = page.value(&format!("document.querySelector('#c-requests path.line.{colour}').getAttribute('d')"));
        let drawn = drawn.as_str().unwrap().to_owned();
        let points = drawn.split(['M', 'L']).filter_map(|point| point.split_once(' '));
        points.map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap())).collect()
    };
    let highest = |points: &[(f64, f64)]| points.iter().map(|(_, y)| *y).fold(100.0, f64::min);
    let (good, failed) = (stroke(&mut page, "c-good"), stroke(&mut page, "c-warn"));
    assert_eq!(failed.iter().filter(|(_, y)| *y < 100.0).count(), 1, "{failed:?}");
    assert!(failed.len() <= 3 && failed.iter().all(|(x, _)| *x < 300.0), "{failed:?}");
    assert!(highest(&good) < 50.0 && highest(&failed) > 80.0, "{good:?} {failed:?}");
    assert_eq!((stroke(&mut page, "c-note"), stroke(&mut page, "c-bad")), (vec![], vec![]));
    // The paths, too: what was asked for before counts, and it is said of what time.
    page.wait_until("!document.getElementById('paths').hidden");
    let paths = page.text_of("#paths");
    assert!(paths.starts_with("Last ") && paths.contains("/v1/collab/drafts\t12\t"), "{paths}");
    assert_eq!(page.value("document.getElementById('no-paths').checkVisibility()"), false);
    // Ten rows of the audit log, and the others when asked for: on a phone the page stays one that is scrolled in a few strokes.
    page.wait_until("document.querySelectorAll('#rows tbody tr').length === 10");
    let height = page.value("document.documentElement.scrollHeight").as_f64().unwrap();
    assert!(height < 7000.0, "{height}");
    page.value("document.getElementById('more').click()");
    page.wait_until("document.querySelectorAll('#rows tbody tr').length > 10");
    // No word of a heading is broken, at any width.
    let broken = "[...document.querySelectorAll('th')].filter((cell) => cell.offsetParent && cell.getClientRects().length && \
                  cell.clientHeight > 2.5 * parseFloat(getComputedStyle(cell).lineHeight || 20)).map((cell) => cell.innerText)";
    assert_eq!(page.value(broken), json!([]));
    assert_eq!(page.complaints, [Value::Null; 0]);
}

#[test]
fn a_browser_that_has_shown_the_token_is_served() {
    let Some(browser) = browser() else { return };
    let operated = Operated::with(&[("OPS_TOKEN", "a-token-of-many-bytes")]);
    let mut page = Page::open(&browser);
    page.command("Page.navigate", json!({ "url": format!("http://me:a-token-of-many-bytes@{}/", operated.plane) }));
    page.wait_until("document.getElementById('ready')?.innerText === 'Ready'");
    assert_eq!(page.complaints, [Value::Null; 0]);
}
