//! A page of the private plane: one document without anything from elsewhere.
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

/// A page.
pub struct Page {
    html: &'static str,
    policy: OnceLock<HeaderValue>,
}

impl Page {
    /// Of this document, which has one script and one style.
    pub const fn of(html: &'static str) -> Self {
        Self { html, policy: OnceLock::new() }
    }

    /// 200 with it.
    pub fn answer(&self) -> Response {
        let mut response = Response::text(StatusCode::OK, self.html);
        response.content_type = "text/html; charset=utf-8";
        response.with(CONTENT_SECURITY_POLICY, self.policy())
    }

    fn policy(&self) -> HeaderValue {
        let policy = || {
            let (script, style) =
                (hash(self.inside("<script>", "</script>")), hash(self.inside("<style>", "</style>")));
            let policy = format!(
                "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; connect-src 'self'; \
                 img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            );
            // Base64 fits into a header.
            HeaderValue::try_from(policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
        };
        self.policy.get_or_init(policy).clone()
    }

    /// What stands between two tags.
    fn inside(&self, open: &str, close: &str) -> &'static str {
        let rest = self.html.split_once(open).map_or("", |(_, rest)| rest);
        rest.split_once(close).map_or("", |(inside, _)| inside)
    }

    /// What the document has that its policy forbids, or lacks.
    #[cfg(test)]
    pub(crate) fn complaints(&self) -> Vec<String> {
        let mut found = Vec::new();
        for tag in ["<script", "<style", "</script>", "</style>"] {
            let count = self.html.matches(tag).count();
            if count != 1 {
                found.push(format!("{tag} is there {count} times"));
            }
        }
        for forbidden in
            [" style=\"", " onclick=", " onload=", " src=", "http://", "https://", "@import", "url(", "innerHTML"]
        {
            if self.html.contains(forbidden) {
                found.push(format!("it has {forbidden}"));
            }
        }
        found
    }
}

fn hash(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_may_run_its_own_script_and_nothing_else() {
        let page = Page::of("<style>a{}</style><script>1</script>");
        let policy = page.policy();
        let policy = policy.to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
        assert_eq!(policy.matches("'sha256-").count(), 2, "{policy}");
        assert_eq!(page.complaints(), [""; 0]);
        let bad = Page::of("<script>1</script><script>2</script><p onclick=x>");
        assert_eq!(bad.complaints().len(), 5);
    }
}
