//! The script that counts, and our own pages about it: what belongs to the program as it was built.
//!
//! The pages have nothing from elsewhere and nothing inline, so their policy is short. The scripts are for pages of any origin.

use http::Method;

use crate::gate::headers::{Headers, OWN_PAGE};
use crate::gate::{Asset, Call, Outcome, Route, Routes};

/// What goes with a script, and with what scripts read: any page may load it, and none may frame it.
pub(super) static SCRIPT: Headers = Headers {
    lines: "content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n\
        cross-origin-resource-policy: cross-origin\r\n\
        permissions-policy: camera=(), microphone=(), geolocation=()\r\n\
        referrer-policy: no-referrer\r\n\
        vary: Origin\r\n\
        x-content-type-options: nosniff\r\n\
        x-frame-options: DENY\r\n",
    policy: "",
    cache: "no-store",
};

/// A browser asks whether it has changed after this long.
const CACHED: &str = "public, max-age=600";

const HTML: &str = "text/html; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

static METRICS_JS: Asset = Asset::new(include_bytes!("pages/metrics.js"), JAVASCRIPT, CACHED);
static BADGE_JS: Asset = Asset::new(include_bytes!("pages/metrics-badge.js"), JAVASCRIPT, CACHED);
static CONSENT_JS: Asset = Asset::new(include_bytes!("pages/consent.js"), JAVASCRIPT, CACHED);
static PANEL_HTML: Asset = Asset::new(include_bytes!("pages/metrics-panel.html"), HTML, CACHED);
static PANEL_JS: Asset = Asset::new(include_bytes!("pages/metrics-panel.js"), JAVASCRIPT, CACHED);
static PRIVACY_HTML: Asset = Asset::new(include_bytes!("pages/privacy.html"), HTML, CACHED);
static PRIVACY_JS: Asset = Asset::new(include_bytes!("pages/privacy.js"), JAVASCRIPT, CACHED);
static PAGES_CSS: Asset = Asset::new(include_bytes!("pages/pages.css"), "text/css; charset=utf-8", CACHED);
static ICON_SVG: Asset = Asset::new(include_bytes!("pages/icon.svg"), "image/svg+xml", CACHED);

const fn script(template: &'static str) -> Route {
    Route::public(&Method::GET, template).carrying(&SCRIPT)
}

const fn page(template: &'static str) -> Route {
    Route::public(&Method::GET, template).carrying(&OWN_PAGE)
}

/// What is served.
pub(super) const ROUTES: [Route; 9] = [
    page("/metrics-panel").does("Show the newest events on a page, to browsers unlocked with `?dev=1`"),
    page("/privacy.html").does("Show visitors what is stored about them, and let them choose"),
    script("/static/metrics.js").does("Serve the script that counts page views and clicks on links"),
    script("/static/consent.js").does("Serve the script that asks visitors for consent, with `window.consent`"),
    script("/static/metrics-badge.js").does("Serve the script of the badge with the newest events"),
    script("/static/metrics-panel.js").does("Serve the script of the panel"),
    script("/static/privacy.js").does("Serve the script of the privacy page"),
    script("/static/pages.css").does("Serve the style sheet of both pages"),
    script("/static/icon.svg").does("Serve the icon of both pages"),
];

/// Adds them for one shard.
pub(super) fn add(routes: &mut Routes) {
    let assets: [&'static Asset; ROUTES.len()] = [
        &PANEL_HTML,
        &PRIVACY_HTML,
        &METRICS_JS,
        &CONSENT_JS,
        &BADGE_JS,
        &PANEL_JS,
        &PRIVACY_JS,
        &PAGES_CSS,
        &ICON_SVG,
    ];
    for (route, asset) in ROUTES.into_iter().zip(assets) {
        routes.add(route, move |call: &Call<'_>| asset.answer(call).map(Outcome::Now));
    }
}

#[cfg(test)]
mod tests {
    /// What the script may weigh, as it is served.
    const METRICS_JS_MAX_BYTES: usize = 4096;

    const PAGES: [&str; 2] = [include_str!("pages/metrics-panel.html"), include_str!("pages/privacy.html")];
    const SCRIPTS: [&str; 5] = [
        include_str!("pages/metrics.js"),
        include_str!("pages/metrics-badge.js"),
        include_str!("pages/consent.js"),
        include_str!("pages/metrics-panel.js"),
        include_str!("pages/privacy.js"),
    ];

    #[test]
    fn the_script_is_small() {
        let bytes = SCRIPTS[0].len();
        assert!(bytes <= METRICS_JS_MAX_BYTES, "{bytes} bytes");
    }

    #[test]
    fn a_beacon_is_text_and_what_it_refuses_is_sent_otherwise() {
        let script = SCRIPTS[0];
        assert!(!script.contains("Blob") && !script.contains("application/json"), "JSON has a browser ask first");
        assert!(script.contains("if (!attempt(() => navigator.sendBeacon("), "what it returns is looked at");
        assert!(script.contains("keepalive: true") && script.contains("credentials: 'omit'"));
    }

    #[test]
    fn pages_have_nothing_that_their_policy_forbids() {
        for page in PAGES {
            for forbidden in
                ["<style", " style=\"", " onclick=", " onload=", "http://", "https://", "javascript:", "data:"]
            {
                assert!(!page.contains(forbidden), "a page has {forbidden}");
            }
            assert_eq!(page.matches("<script").count(), page.matches("<script src=\"/static/").count());
        }
        for script in SCRIPTS {
            for forbidden in ["innerHTML", "eval(", "document.cookie", "setAttribute('style'", "cssText"] {
                assert!(!script.contains(forbidden), "a script has {forbidden}");
            }
        }
    }
}
