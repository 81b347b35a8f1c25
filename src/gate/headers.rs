//! Headers that every answer of a kind carries.

use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, STRICT_TRANSPORT_SECURITY};

use crate::net::{RequestId, Response};

/// What a browser is told with every answer of one kind.
#[derive(Debug, PartialEq, Eq)]
pub struct Headers {
    /// Lines, each ended by CRLF, written as they are.
    pub lines: &'static str,
    /// The `Content-Security-Policy` of an answer that brings none; empty where `lines` has it.
    pub policy: &'static str,
    /// The same for `Cache-Control`.
    pub cache: &'static str,
}

/// An answer of the API is about one person at one moment, so nothing is cached unless it says so itself, and depends on who asks
/// from where.
pub static API: Headers = Headers {
    lines: "content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n\
        referrer-policy: no-referrer\r\n\
        vary: Origin\r\n\
        x-content-type-options: nosniff\r\n\
        x-frame-options: DENY\r\n",
    policy: "",
    cache: "no-store",
};

/// A page of ours brings a policy for its own script and style; without one nothing is allowed. It is not cached either.
pub static PAGE: Headers = Headers {
    lines: "cache-control: no-store\r\n\
        cross-origin-opener-policy: same-origin\r\n\
        cross-origin-resource-policy: same-origin\r\n\
        referrer-policy: no-referrer\r\n\
        x-content-type-options: nosniff\r\n\
        x-frame-options: DENY\r\n",
    policy: "default-src 'none'; frame-ancestors 'none'",
    cache: "",
};

/// A page that has nothing from elsewhere and nothing inline, with its own files: its policy is short, and it says itself how long it
/// may be cached. `X-XSS-Protection` means nothing to browsers of today, and is asked for by checklists (contract 02 §1.4).
pub static OWN_PAGE: Headers = Headers {
    lines: "content-security-policy: default-src 'self'; base-uri 'none'; form-action 'none'; object-src 'none'; \
        frame-ancestors 'none'\r\n\
        cross-origin-opener-policy: same-origin\r\n\
        cross-origin-resource-policy: same-origin\r\n\
        permissions-policy: camera=(), microphone=(), geolocation=()\r\n\
        referrer-policy: no-referrer\r\n\
        vary: Origin\r\n\
        x-content-type-options: nosniff\r\n\
        x-frame-options: DENY\r\n\
        x-xss-protection: 1; mode=block\r\n",
    policy: "",
    cache: "no-store",
};

/// A file: its answer says itself how long it may be cached ([`Content`](super::Content)). What is no file is not cached.
pub static ASSET: Headers = Headers {
    lines: "cross-origin-resource-policy: same-origin\r\n\
        referrer-policy: no-referrer\r\n\
        vary: Origin\r\n\
        x-content-type-options: nosniff\r\n",
    policy: "default-src 'none'; frame-ancestors 'none'",
    cache: "no-store",
};

impl Headers {
    /// Gives an answer what it carries whatever it answers: `hsts` is what is said over TLS of TLS.
    pub(super) fn seal(&self, response: &mut Response, request_id: RequestId, hsts: Option<HeaderValue>) {
        response.headers.extend(hsts.map(|value| (STRICT_TRANSPORT_SECURITY, value)));
        for (name, value) in [(CONTENT_SECURITY_POLICY, self.policy), (CACHE_CONTROL, self.cache)] {
            if !value.is_empty() && response.headers.iter().all(|(known, _)| *known != name) {
                response.headers.push((name, HeaderValue::from_static(value)));
            }
        }
        response.fixed_headers = self.lines;
        response.request_id = Some(request_id);
    }
}
