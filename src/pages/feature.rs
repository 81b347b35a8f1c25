//! What is served of the pages.

use std::sync::Arc;

use http::header::VARY;
use http::{HeaderValue, Method, StatusCode};

use super::frame::{self, Served};
use super::language::Language;
use super::list::{DRAFTS, MODULES, PAGES, Page};
use super::{assets, demo, openapi};
use crate::feature::description::Api;
use crate::feature::verb::Verbs;
use crate::feature::{Feature, House, Running, ShardParts, StartError};
use crate::gate::{Call, Headers, Outcome, Route, Routes};
use crate::net::Response;
use crate::settings::Settings;

/// The pages.
pub static FEATURE: Feature =
    Feature { routes: &[&ROUTES], verbs: Some(Verbs::of::<demo::Verb>()), ..Feature::new("pages", start) };

/// What goes with a page: nothing inline, nothing from elsewhere, and no markup made of text.
static PAGE: Headers = Headers {
    lines: "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; \
        media-src 'self' blob:; connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; \
        frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'\r\n\
        cross-origin-opener-policy: same-origin\r\n\
        cross-origin-resource-policy: same-origin\r\n\
        permissions-policy: camera=(), microphone=(), geolocation=()\r\n\
        referrer-policy: no-referrer\r\n\
        x-content-type-options: nosniff\r\n\
        x-frame-options: DENY\r\n",
    policy: "",
    cache: "no-cache",
};

/// What goes with what pages load.
static ASSET: Headers = Headers {
    lines: "content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n\
        cross-origin-resource-policy: same-origin\r\n\
        referrer-policy: no-referrer\r\n\
        x-content-type-options: nosniff\r\n",
    policy: "",
    cache: "no-store",
};

const fn page(template: &'static str, does: &'static str) -> Route {
    Route::public(&Method::GET, template).carrying(&PAGE).does(does)
}

/// What is served: the pages as [`PAGES`] lists them, and what they load.
const ROUTES: [Route; 22] = [
    page("/ci", "Show the page with one box for everything"),
    page("/kazkar", "Show the page of stories"),
    page("/podija", "Show the page of events"),
    page("/nastrij", "Show the page of moods"),
    page("/malya", "Show the page of ideas"),
    page("/gallery", "Show the page of pictures and files"),
    page("/calendar", "Show the page of the calendar"),
    page("/ci/legend", "Show the legend of Ci"),
    page("/chat", "Show the page of the chat"),
    page("/kazkar/legends", "Show the page of legends"),
    page("/kazkar/{id}", "Show the page of a story"),
    page("/api/docs", "Show the API description as a page for trying requests"),
    page("/api/redoc", "The same"),
    page("/settings", "Show the page of sessions, copies and the feed"),
    page("/sign-in", "Show the sign-in page of the household"),
    page("/drafts", "Show the page of drafts"),
    page("/drafts/{id}", "Show the page of a draft"),
    page("/collab/invite/{id}", "Show the page of an invitation to a draft"),
    page("/dashboard/collab", "Show the page of the draft that a share card links to"),
    Route::public(&Method::GET, "/manifest.webmanifest")
        .carrying(&PAGE)
        .does("Serve the web app manifest of the pages"),
    Route::public(&Method::GET, assets::TEMPLATE).carrying(&ASSET).does("Serve the assets of the pages"),
    openapi::ROUTE,
];

fn start(_: &Settings, house: &House) -> Result<Arc<dyn Running>, StartError> {
    Ok(Arc::new(Pages { apis: Arc::clone(&house.apis) }))
}

struct Pages {
    apis: Arc<[Api]>,
}

impl Running for Pages {
    fn routes(&self, _: &ShardParts, to: &mut Routes) {
        let is_served = |needs: &str| to.serves(&Method::GET, needs);
        let served = Served { modules: is_served(MODULES), drafts: is_served(DRAFTS) };
        let shown: Vec<(&'static Page, Route)> =
            PAGES.iter().zip(ROUTES).filter(|(page, _)| page.needs.is_none_or(is_served)).collect();
        let listed: Arc<[&'static Page]> = shown.iter().map(|(page, _)| *page).filter(|page| page.listed).collect();
        for (page, route) in shown {
            let listed = Arc::clone(&listed);
            to.add(route, move |call: &Call<'_>| Ok(html(frame::html(page, language_of(call), &listed, served))));
        }
        let [.., manifest, files, _] = ROUTES;
        to.add(manifest, move |call: &Call<'_>| {
            let text = frame::manifest(language_of(call), served);
            Ok(varying(Response::json(StatusCode::OK, text.into_bytes()), "application/manifest+json"))
        });
        to.add(files, assets::answer);
        // Last, so that it knows all of them.
        openapi::add(to, &self.apis);
    }
}

fn language_of(call: &Call<'_>) -> Language {
    Language::of(call.headers.get("cookie"), call.headers.get("accept-language"))
}

fn html(text: String) -> Outcome {
    varying(Response::json(StatusCode::OK, text.into_bytes()), "text/html; charset=utf-8")
}

/// An answer that depends on the language of who asks.
fn varying(mut response: Response, content_type: &'static str) -> Outcome {
    response.content_type = content_type;
    Outcome::Now(response.with(VARY, HeaderValue::from_static("Accept-Language, Cookie")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_has_its_route() {
        let paths: Vec<_> = ROUTES.iter().map(|route| route.template).take(PAGES.len()).collect();
        assert_eq!(paths, PAGES.iter().map(|page| page.path).collect::<Vec<_>>());
        assert_eq!(ROUTES.len(), PAGES.len() + 3);
    }
}
