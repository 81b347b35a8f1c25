//! The HTML around every page: what is there before any script has run.

use super::assets::VERSION;
use super::language::{Language, Words};
use super::list::Page;

const SKIP: Words = ("До вмісту", "To the content");
const SECTIONS: Words = ("Розділи", "Sections");
const LOADING: Words = ("Завантажується…", "Loading…");
const NO_SCRIPTS: Words = (
    "Ця сторінка бере свої дані скриптами, а в цьому браузері їх вимкнено.",
    "This page gets its data by scripts, and they are switched off in this browser.",
);
const OPEN_BOX: Words = ("Відкрити Ci: записати, знайти, перейти", "Open Ci: capture, find, go");
const DRAFTS: Words = ("Чернетки", "Drafts");
const SETTINGS: Words = ("Налаштування", "Settings");
const NAME: &str = "inkring";

/// What is served besides, which the frame leads to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Served {
    /// The household's modules.
    pub(super) modules: bool,
    /// Drafts.
    pub(super) drafts: bool,
}

/// The HTML of a page in a language; `listed` are the pages of the navigation that are served.
pub(super) fn html(page: &Page, language: Language, listed: &[&Page], served: Served) -> String {
    let says = |words| language.says(words);
    let (code, title, lead) = (language.code(), says(page.title), says(page.lead));
    let (theme, scheme, color) = if page.is_night { ("night", "dark", "#0e1116") } else { ("day", "light", "#ffffff") };
    let links: String = listed.iter().map(|other| link(other.path, says(other.title), page.section())).collect();
    let drafts = if served.drafts { link("/drafts", says(DRAFTS), page.section()) } else { String::new() };
    let (more, opener) = if served.modules {
        let settings = link("/settings", says(SETTINGS), page.section());
        let opener = format!(
            "<button id=\"ci\" class=\"opener\" type=\"button\" aria-haspopup=\"dialog\" aria-label=\"{}\">Ci</button>\n",
            says(OPEN_BOX)
        );
        (settings, opener)
    } else {
        Default::default()
    };
    let (other_code, other_name) = (language.other().code(), language.other().name());
    let lead = if lead.is_empty() { String::new() } else { format!("<p class=\"lead\">{lead}</p>\n") };
    let home = listed.first().map_or("/drafts", |page| page.path);
    let script = page.script;
    format!(
        "<!doctype html>\n\
        <html lang=\"{code}\" data-theme=\"{theme}\">\n\
        <head>\n\
        <meta charset=\"utf-8\">\n\
        <meta name=\"viewport\" content=\"width=device-width, initial-scale=1, viewport-fit=cover\">\n\
        <meta name=\"color-scheme\" content=\"{scheme}\">\n\
        <meta name=\"theme-color\" content=\"{color}\">\n\
        <meta name=\"referrer\" content=\"no-referrer\">\n\
        <title>{title} · {NAME}</title>\n\
        <link rel=\"stylesheet\" href=\"/assets/{VERSION}/app.css\">\n\
        <link rel=\"icon\" href=\"/assets/{VERSION}/icon.svg\" type=\"image/svg+xml\">\n\
        <link rel=\"apple-touch-icon\" href=\"/assets/{VERSION}/icon-192.png\">\n\
        <link rel=\"manifest\" href=\"/manifest.webmanifest\">\n\
        <link rel=\"modulepreload\" href=\"/assets/{VERSION}/app.js\">\n\
        <script type=\"module\" src=\"/assets/{VERSION}/{script}\"></script>\n\
        </head>\n\
        <body>\n\
        <a class=\"skip\" href=\"#main\">{skip}</a>\n\
        <header class=\"top\">\n\
        <a class=\"brand\" href=\"{home}\"><img src=\"/assets/{VERSION}/icon.svg\" alt=\"\" width=\"24\" height=\"24\">{NAME}</a>\n\
        <nav aria-label=\"{sections}\"><ul>{links}{drafts}</ul></nav>\n\
        </header>\n\
        <main id=\"main\" tabindex=\"-1\">\n\
        <h1>{title}</h1>\n\
        {lead}\
        <div id=\"view\" aria-busy=\"true\"><p class=\"quiet\">{loading}</p></div>\n\
        <noscript><p class=\"trouble\">{no_scripts}</p></noscript>\n\
        </main>\n\
        <footer>\n\
        <ul>{more}<li><a href=\"/api/docs\">API</a></li><li><button id=\"language\" class=\"plain\" type=\"button\" lang=\"{other_code}\" value=\"{other_code}\">{other_name}</button></li></ul>\n\
        <p id=\"live\" class=\"quiet\"></p>\n\
        </footer>\n\
        {opener}\
        <div id=\"toasts\" role=\"status\" aria-live=\"polite\"></div>\n\
        </body>\n\
        </html>\n",
        skip = says(SKIP),
        sections = says(SECTIONS),
        loading = says(LOADING),
        no_scripts = says(NO_SCRIPTS),
    )
}

fn link(path: &str, title: &str, section: &str) -> String {
    let current = if path == section { " aria-current=\"page\"" } else { "" };
    format!("<li><a href=\"{path}\"{current}>{title}</a></li>")
}

/// What a phone is told that installs the pages as an app.
pub(super) fn manifest(language: Language, served: Served) -> String {
    let (start, description) = if served.modules {
        ("/ci", language.says(("Дім: пам'ять, події, календар", "A household: memory, events, calendar")))
    } else {
        ("/drafts", language.says(("Чернетки, які пишуть по черзі", "Drafts written in turn")))
    };
    let icon = |size: &str, purpose: &str| {
        format!(
            "{{\"src\":\"/assets/{VERSION}/icon-{size}.png\",\"sizes\":\"{size}x{size}\",\"type\":\"image/png\",\"purpose\":\"{purpose}\"}}"
        )
    };
    format!(
        "{{\"name\":\"{NAME}\",\"short_name\":\"{NAME}\",\"description\":\"{description}\",\"lang\":\"{}\",\"start_url\":\"{start}\",\
         \"scope\":\"/\",\"display\":\"standalone\",\"background_color\":\"#ffffff\",\"theme_color\":\"#1d4ed8\",\
         \"icons\":[{},{},{}]}}",
        language.code(),
        icon("192", "any"),
        icon("512", "any"),
        icon("512", "maskable"),
    )
}

#[cfg(test)]
mod tests {
    use super::super::list::PAGES;
    use super::*;

    const ALL: Served = Served { modules: true, drafts: true };

    fn listed() -> Vec<&'static Page> {
        PAGES.iter().filter(|page| page.listed).collect()
    }

    #[test]
    fn every_page_has_one_heading_its_language_and_its_theme() {
        for page in PAGES {
            for language in [Language::Ukrainian, Language::English] {
                let html = html(page, language, &listed(), ALL);
                let theme = if page.path.starts_with("/kazkar") { "night" } else { "day" };
                assert!(html.contains(&format!("<html lang=\"{}\" data-theme=\"{theme}\">", language.code())));
                assert_eq!(html.matches("<h1>").count(), 1, "{}", page.path);
                assert!(html.contains(&format!("<title>{} · inkring</title>", language.says(page.title))));
                assert!(html.matches("aria-current").count() <= 1);
                for forbidden in ["<style", "style=", "onclick", "http://", "https://", "javascript:"] {
                    assert!(!html.contains(forbidden), "{} has {forbidden}", page.path);
                }
                assert_eq!(html.matches("<script").count(), 1, "none of them is inline");
            }
        }
    }

    #[test]
    fn a_page_leads_only_where_something_is_served() {
        let drafts = PAGES.iter().find(|page| page.path == "/drafts").unwrap();
        let html = html(drafts, Language::English, &[], Served { modules: false, drafts: true });
        assert!(html.contains("href=\"/drafts\" aria-current=\"page\"") && !html.contains("/settings"));
        assert!(!html.contains("id=\"ci\"") && html.contains("class=\"brand\" href=\"/drafts\""));
    }

    #[test]
    fn the_manifest_is_json_in_both_languages() {
        for language in [Language::Ukrainian, Language::English] {
            for modules in [true, false] {
                let text = manifest(language, Served { modules, drafts: true });
                let read: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert_eq!(read["start_url"], if modules { "/ci" } else { "/drafts" });
                assert_eq!(read["icons"].as_array().unwrap().len(), 3);
            }
        }
    }
}
