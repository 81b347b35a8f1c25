//! The script of behaviour metrics, our pages about it and what the script goes by, as they are answered (contract 02 §1.4, §3).

use serde_json::json;

use crate::behaviour_house::Here;
use crate::gate::once;
use crate::repository::{read, root};

const CONFIG: &str = "/api/metrics/config";
/// What the script may weigh.
const METRICS_JS_MAX_BYTES: usize = 4096;

#[test]
fn the_script_is_small_and_for_pages_of_any_origin() {
    let mut here = Here::with(&[("ALLOWED_ORIGINS", "https://blog.example")]);
    let mut client = here.client();
    for name in ["metrics.js", "metrics-badge.js", "consent.js", "metrics-panel.js", "privacy.js"] {
        let path = format!("/static/{name}");
        let answer = client.request("GET", &path, &[("Origin", "https://blog.example")], b"");
        assert_eq!((answer.status, once("content-type", &answer).as_str()), (200, "text/javascript; charset=utf-8"));
        assert!(name != "metrics.js" || answer.body.len() <= METRICS_JS_MAX_BYTES, "{} bytes", answer.body.len());
        assert_eq!(once("cross-origin-resource-policy", &answer), "cross-origin");
        assert_eq!(once("access-control-allow-origin", &answer), "https://blog.example");
        assert_eq!(once("x-content-type-options", &answer), "nosniff");
        assert_eq!(once("cache-control", &answer), "public, max-age=600");
        let tag = once("etag", &answer);
        assert_eq!(client.request("GET", &path, &[("If-None-Match", &tag)], b"").status, 304, "{name}");
    }
    drop(client);
    here.stop();
}

#[test]
fn a_page_lets_nothing_in_from_elsewhere_and_nobody_around_it() {
    let mut here = Here::with(&[]);
    let mut client = here.client();
    for path in ["/privacy.html", "/metrics-panel", "/metrics-panel/"] {
        let answer = client.get(path, None);
        assert_eq!(
            (answer.status, once("content-type", &answer).as_str()),
            (200, "text/html; charset=utf-8"),
            "{path}"
        );
        let policy = once("content-security-policy", &answer);
        assert!(policy.starts_with("default-src 'self';") && policy.ends_with("frame-ancestors 'none'"), "{policy}");
        for (name, value) in [
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("x-xss-protection", "1; mode=block"),
            ("referrer-policy", "no-referrer"),
            ("permissions-policy", "camera=(), microphone=(), geolocation=()"),
        ] {
            assert_eq!(once(name, &answer), value, "{path}");
        }
        // Whatever it loads is there.
        for part in answer.text().split(['"']).filter(|part| part.starts_with("/static/")) {
            assert_eq!(client.get(part, None).status, 200, "{part}");
        }
    }
    drop(client);
    here.stop();
}

#[test]
fn the_script_goes_by_what_is_configured_and_a_reload_changes_it() {
    let mut here = Here::with(&[("VITE_METRICS_SAMPLE_RATE", "0.25"), ("METRICS_SAMPLE_RATE", "0.5")]);
    let mut client = here.client();
    let answer = client.get(CONFIG, None);
    let config = json!({
        "sample_rate": 0.25, "consent": "opt-out", "dev_gate": true, "server_sample_rate": 0.5, "gzip_after_days": 3,
        "retention_days": 30,
    });
    assert_eq!(answer.expect(200), config);
    assert_eq!(once("cache-control", &answer), "public, max-age=60");
    here.reload(&[
        ("METRICS_CLIENT_SAMPLE_RATE", "0"),
        ("METRICS_CONSENT", "opt-in"),
        ("METRICS_DEV_GATE", "false"),
        ("METRICS_GZIP_AFTER_DAYS", "0"),
        ("METRICS_RETENTION_DAYS", "0"),
    ]);
    let config = json!({
        "sample_rate": 0.0, "consent": "opt-in", "dev_gate": false, "server_sample_rate": 0.5, "gzip_after_days": null,
        "retention_days": null,
    });
    assert_eq!(client.get(CONFIG, None).expect(200), config);
    drop(client);
    here.stop();
}

#[test]
fn files_of_events_are_no_part_of_the_repository() {
    let ignored = read(".gitignore");
    let ignored: Vec<&str> = ignored.lines().filter(|line| !line.starts_with('!')).collect();
    assert!(ignored.contains(&"/data"), "{ignored:?}");
}

#[test]
fn every_proof_of_the_checklist_exists() {
    let page = read("docs/BEHAVIOUR_CHECKLIST.md");
    let mut cited = 0;
    for name in page.split('`').skip(1).step_by(2).filter(|name| name.contains(".rs::")) {
        let (file, test) = name.split_once("::").unwrap();
        assert!(root().join(file).is_file() && read(file).contains(&format!("fn {test}(")), "{name} is cited");
        cited += 1;
    }
    assert!(cited > 20, "only {cited} tests are cited");
}
