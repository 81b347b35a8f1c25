//! A page of the private plane: one document without anything from elsewhere. What the pages share, `page.css` and `page.js`, is
//! put into each of them.
//!
//! Its policy allows its own script and its own style by their hashes, requests to where it came from, its icon, and nothing else,
//! so that a text of somebody else could not run anything even if it were put into the page as HTML, which it is not.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderValue, StatusCode};
use sha2::{Digest, Sha256};

use crate::net::Response;

/// The style and the script that the pages share, and what stands in their places in each document.
const SHARED: [(&str, &str); 2] = [("{page.css}", include_str!("page.css")), ("{page.js}", include_str!("page.js"))];

/// A page.
pub struct Page {
    source: &'static str,
    made: OnceLock<Made>,
}

/// A page as it is sent.
struct Made {
    html: String,
    policy: HeaderValue,
}

impl Page {
    /// Of this document, which has one script and one style. Both begin with the places of what is [`SHARED`].
    pub const fn of(source: &'static str) -> Self {
        Self { source, made: OnceLock::new() }
    }

    /// 200 with it.
    pub fn answer(&'static self) -> Response {
        let Made { html, policy } = self.made();
        let mut response = Response::text(StatusCode::OK, html);
        response.content_type = "text/html; charset=utf-8";
        response.with(CONTENT_SECURITY_POLICY, policy.clone())
    }

    fn made(&self) -> &Made {
        self.made.get_or_init(|| {
            let put = |html: String, (place, shared): &(&str, &str)| html.replace(place, shared.trim_end());
            let html = SHARED.iter().fold(self.source.to_owned(), put);
            let policy = policy(&html);
            Made { html, policy }
        })
    }

    /// What the document has that its policy forbids, or lacks.
    #[cfg(test)]
    pub(crate) fn complaints(&self) -> Vec<String> {
        let html = &self.made().html;
        let mut found = Vec::new();
        for (place, _) in SHARED {
            if self.source.matches(place).count() != 1 {
                found.push(format!("{place} is not there once"));
            }
        }
        for tag in ["<script", "<style", "</script>", "</style>"] {
            let count = html.matches(tag).count();
            if count != 1 {
                found.push(format!("{tag} is there {count} times"));
            }
        }
        for forbidden in
            [" style=\"", " onclick=", " onload=", " src=", "http://", "https://", "@import", "url(", "innerHTML"]
        {
            if html.contains(forbidden) {
                found.push(format!("it has {forbidden}"));
            }
        }
        found
    }
}

/// What a document may do: run its own script, use its own style, and ask where it came from.
fn policy(html: &str) -> HeaderValue {
    let (script, style) = (hash(inside(html, "<script>", "</script>")), hash(inside(html, "<style>", "</style>")));
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    // Base64 fits into a header.
    HeaderValue::try_from(policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
}

/// What stands between two tags.
fn inside<'h>(html: &'h str, open: &str, close: &str) -> &'h str {
    let rest = html.split_once(open).map_or("", |(_, rest)| rest);
    rest.split_once(close).map_or("", |(inside, _)| inside)
}

fn hash(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_may_run_its_own_script_and_nothing_else() {
        let page = Page::of("<style>{page.css}a{}</style><script>{page.js}1</script>");
        let Made { html, policy } = page.made();
        assert!(html.contains("color: var(--ink)") && html.contains("function make(tag"), "{html}");
        let policy = policy.to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
        assert_eq!(policy.matches("'sha256-").count(), 2, "{policy}");
        assert_eq!(page.complaints(), [""; 0]);
        let bad = Page::of("<script>1</script><script>2</script><p onclick=x>");
        assert_eq!(bad.complaints().len(), 7);
    }
}
