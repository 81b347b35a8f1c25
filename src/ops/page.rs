//! The dashboard: one page without anything from elsewhere.
//!
//! Its policy allows its own script and its own style by their hashes, requests to where it came from, its icon, and nothing else,
//! so that a row of the audit log could not run anything even if it were put into the page as HTML, which it is not.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use sha2::{Digest, Sha256};

/// The page.
pub(super) const HTML: &str = include_str!("dashboard.html");

/// Its `Content-Security-Policy`.
pub(super) fn policy() -> HeaderValue {
    static POLICY: OnceLock<HeaderValue> = OnceLock::new();
    POLICY
        .get_or_init(|| {
            let (script, style) = (hash(inside("<script>", "</script>")), hash(inside("<style>", "</style>")));
            let policy = format!(
                "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; connect-src 'self'; \
                 img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            );
            // Base64 fits into a header.
            HeaderValue::try_from(policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
        })
        .clone()
}

/// What stands between two tags of the page.
fn inside(open: &str, close: &str) -> &'static str {
    let rest = HTML.split_once(open).map_or("", |(_, rest)| rest);
    rest.split_once(close).map_or("", |(inside, _)| inside)
}

fn hash(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_one_script_and_one_style_and_nothing_that_its_policy_forbids() {
        for tag in ["<script", "<style", "</script>", "</style>"] {
            assert_eq!(HTML.matches(tag).count(), 1, "{tag}");
        }
        for forbidden in
            [" style=\"", " onclick=", " onload=", " src=", "http://", "https://", "@import", "url(", "innerHTML"]
        {
            assert!(!HTML.contains(forbidden), "the page has {forbidden}");
        }
        let policy = policy();
        let policy = policy.to_str().unwrap();
        assert_eq!(policy.matches("'sha256-").count(), 2, "{policy}");
    }
}
