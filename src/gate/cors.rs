//! Which web pages may use the server (ruling 15): one list, one answer, each header once.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
};
use http::{HeaderName, HeaderValue, Method, StatusCode};

use crate::net::{Request, Response};

const METHODS: HeaderValue = HeaderValue::from_static("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "x-request-id, retry-after, allow, etag, preference-applied, x-total-count, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, \
     x-ratelimit-limit-minute, x-ratelimit-limit-hour, x-ratelimit-remaining-minute, x-ratelimit-remaining-hour, \
     ratelimit, ratelimit-policy",
);
const TRUE: HeaderValue = HeaderValue::from_static("true");

/// The origins that may.
#[derive(Debug, Clone)]
pub struct Cors {
    origins: Vec<String>,
    any: bool,
}

/// What one request's origin is told.
#[derive(Debug, Clone)]
pub enum OriginVerdict {
    /// No `Origin`: nothing to say.
    SameOrigin,
    /// Not on the list: the request runs, but the page may not read the answer.
    Denied,
    /// On the list.
    Allowed(HeaderValue),
    /// The list is `*`, which goes without credentials.
    Any,
}

impl Cors {
    /// `origins` as configured; `*` among them allows every origin.
    pub fn new(origins: Vec<String>) -> Self {
        let any = origins.iter().any(|origin| origin == "*");
        Self { origins, any }
    }

    /// What to tell the sender of a request with this `Origin`.
    pub fn judge(&self, origin: Option<&[u8]>) -> OriginVerdict {
        let Some(origin) = origin else { return OriginVerdict::SameOrigin };
        if self.any {
            return OriginVerdict::Any;
        }
        let listed = self.origins.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(origin));
        match HeaderValue::from_bytes(origin) {
            Ok(origin) if listed => OriginVerdict::Allowed(origin),
            _ => OriginVerdict::Denied,
        }
    }

    /// The answer to a browser's question before a request, if this is one (contract 01 §0.3).
    pub fn preflight(request: &Request<'_>, verdict: &OriginVerdict) -> Option<Response> {
        let asks = request.method == Method::OPTIONS
            && request.headers.get("origin").is_some()
            && request.headers.get("access-control-request-method").is_some();
        if !asks {
            return None;
        }
        if matches!(verdict, OriginVerdict::Denied) {
            return Some(Response::text(StatusCode::BAD_REQUEST, "Disallowed CORS origin"));
        }
        let mut response = Response::text(StatusCode::OK, "OK")
            .with(ACCESS_CONTROL_ALLOW_METHODS, METHODS)
            .with(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        let wanted = request.headers.get("access-control-request-headers");
        if let Some(Ok(wanted)) = wanted.map(HeaderValue::from_bytes) {
            response = response.with(ACCESS_CONTROL_ALLOW_HEADERS, wanted);
        }
        Some(response)
    }
}

impl OriginVerdict {
    /// Adds the headers that tell the browser.
    pub fn apply(&self, headers: &mut Vec<(HeaderName, HeaderValue)>) {
        match self {
            Self::SameOrigin => {}
            Self::Denied => headers.push((ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE)),
            Self::Allowed(origin) => headers.extend([
                (ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()),
                (ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE),
                (ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED),
            ]),
            Self::Any => headers.extend([
                (ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
                (ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED),
            ]),
        }
    }
}
