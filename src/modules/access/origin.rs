//! Which pages may have a browser write (contract 04 R23).
//!
//! A browser sends a form, and what looks like one, to any server for any page, with the cookies that it has. So a write says in
//! which form it comes, one that plain pages cannot send, and its page is one of ours. What is no browser sends neither an `Origin` nor
//! a `Sec-Fetch-Site`, and has no cookies that a page could use: it may write whatever it is.

use http::StatusCode;

use crate::gate::{ApiError, Code};
use crate::text::cut;

/// So much of what was sent is shown in a refusal.
const SHOWN_MAX_CHARS: usize = 100;

/// What a request that writes says of itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Write<'h> {
    /// `Content-Type`.
    pub content_type: Option<&'h [u8]>,
    /// `Origin`.
    pub origin: Option<&'h [u8]>,
    /// Whether `ALLOWED_ORIGINS` has that by its name: a `*` is no name.
    pub is_listed: bool,
    /// `Host`.
    pub host: Option<&'h [u8]>,
    /// `Sec-Fetch-Site`, which no page can make up.
    pub fetch_site: Option<&'h [u8]>,
}

/// Why a write is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// 415: a form that any page can send.
    Form(String),
    /// 403: a page that is none of ours, or will not say which it is.
    Page(String),
}

impl Write<'_> {
    /// Whether it may be carried out.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self) -> Result<(), Refusal> {
        if let Some(form) = self.content_type.filter(|form| !is_taken(form)) {
            return Err(Refusal::Form(shown(form)));
        }
        let site = self.fetch_site.map(<[u8]>::trim_ascii);
        match self.origin.map(<[u8]>::trim_ascii) {
            // The browser itself vouches for it, also where a proxy has changed the host.
            _ if site.is_some_and(|site| site == b"same-origin") => Ok(()),
            Some(_) if self.is_listed => Ok(()),
            Some(origin) if self.host.is_some_and(|host| is_of_host(origin, host)) => Ok(()),
            Some(origin) => Err(Refusal::Page(shown(origin))),
            // Typed in by a person, or sent by no browser.
            None if site.is_none_or(|site| site == b"none") => Ok(()),
            None => Err(Refusal::Page("another site".to_owned())),
        }
    }
}

/// JSON of any kind, lines of it, `multipart/form-data`, bytes, calendar files. Nothing at all is for the route to read: it takes it for JSON.
fn is_taken(content_type: &[u8]) -> bool {
    let media_type = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let media_type = media_type.to_ascii_lowercase();
    match media_type.as_slice() {
        b""
        | b"application/json"
        | b"application/x-ndjson"
        | b"application/octet-stream"
        | b"multipart/form-data"
        | b"text/calendar" => true,
        other => other.starts_with(b"application/") && other.ends_with(b"+json"),
    }
}

/// Whether an origin is that of the server that was asked, by the name that it was asked by. The scheme does not count: behind a proxy
/// nobody here knows it.
fn is_of_host(origin: &[u8], host: &[u8]) -> bool {
    let Some(at) = memchr::memmem::find(origin, b"://") else { return false };
    let (scheme, name) = (&origin[..at], &origin[at + 3..]);
    let default = match scheme.to_ascii_lowercase().as_slice() {
        b"http" => &b":80"[..],
        b"https" => b":443",
        _ => return false,
    };
    // Browsers leave the port of the scheme out, programs may not.
    let bare = |name: &[u8]| name.strip_suffix(default).unwrap_or(name).to_ascii_lowercase();
    let host = host.trim_ascii();
    !host.is_empty() && bare(name) == bare(host)
}

fn shown(bytes: &[u8]) -> String {
    cut(&String::from_utf8_lossy(bytes), SHOWN_MAX_CHARS).into_owned()
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Form(form) => Self::new(
                Code::HttpError,
                format!(
                    "Content-Type {form} is not accepted here: use application/json, multipart/form-data or \
                     application/octet-stream"
                ),
            )
            .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Refusal::Page(page) => Self::new(
                Code::Forbidden,
                format!("A page of {page} may not write here; the operator lists pages that may in ALLOWED_ORIGINS"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(form: &str, origin: &str, listed: bool, host: &str, site: &str) -> Result<(), Refusal> {
        fn header(text: &str) -> Option<&[u8]> {
            (!text.is_empty()).then_some(text.as_bytes())
        }
        let (content_type, origin, host, fetch_site) = (header(form), header(origin), header(host), header(site));
        Write { content_type, origin, is_listed: listed, host, fetch_site }.check()
    }

    #[test]
    fn what_a_plain_page_can_send_is_no_form_for_a_write() {
        for taken in [
            "",
            "application/json",
            "text/calendar; charset=utf-8",
            "Application/JSON; charset=utf-8",
            "application/merge-patch+json",
            "multipart/form-data; boundary=x",
            "application/octet-stream",
        ] {
            assert_eq!(check(taken, "", false, "home.example", ""), Ok(()), "{taken}");
        }
        for refused in [
            "text/plain",
            "text/plain; application/json",
            "application/x-www-form-urlencoded",
            "application/jsonx",
            "multipart/mixed; boundary=x",
            "text/html",
            "image/svg+xml",
            "x+json",
        ] {
            let expected = Err(Refusal::Form(refused.to_owned()));
            assert_eq!(
                check(refused, "http://home.example", true, "home.example", "same-origin"),
                expected,
                "{refused}"
            );
        }
    }

    #[test]
    fn a_page_is_ours_or_listed_or_it_does_not_write() {
        let json = "application/json";
        for (origin, listed, host, site) in [
            // No browser at all, or a person who typed it in.
            ("", false, "home.example", ""),
            ("", false, "home.example", "none"),
            ("", false, "", ""),
            // Ours, by whatever name and scheme it was asked for.
            ("http://home.example", false, "home.example", ""),
            ("https://home.example", false, "HOME.example", ""),
            ("http://home.example:8000", false, "home.example:8000", ""),
            ("http://home.example", false, "home.example:80", ""),
            ("https://home.example", false, "home.example:443", ""),
            ("http://192.0.2.1:8000", false, "192.0.2.1:8000", "same-origin"),
            ("http://[2001:db8::1]:8000", false, "[2001:db8::1]:8000", ""),
            // Behind a proxy that asks by a name of its own.
            ("https://home.example", false, "backend:8000", "same-origin"),
            // Listed.
            ("http://localhost:5173", true, "localhost:8000", "same-site"),
            ("https://app.example", true, "home.example", "cross-site"),
        ] {
            assert_eq!(check(json, origin, listed, host, site), Ok(()), "{origin} at {host}, {site}");
        }
        for (origin, host, site) in [
            ("https://evil.example", "home.example", "cross-site"),
            ("https://evil.example", "home.example", ""),
            ("null", "home.example", ""),
            ("null", "null", ""),
            ("http://home.example.evil.example", "home.example", ""),
            ("http://evil.example/home.example", "home.example", ""),
            ("http://home.example:8001", "home.example:8000", "same-site"),
            ("http://home.example:443", "home.example", ""),
            ("https://other.home.example", "home.example", "same-site"),
            ("file://", "", ""),
            ("http://", "", ""),
            ("ftp://home.example", "home.example", ""),
        ] {
            let expected = Err(Refusal::Page(origin.to_owned()));
            assert_eq!(check(json, origin, false, host, site), expected, "{origin} at {host}, {site}");
        }
        for site in ["cross-site", "same-site", "anything"] {
            let expected = Err(Refusal::Page("another site".to_owned()));
            assert_eq!(check(json, "", false, "home.example", site), expected, "{site}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let form = ApiError::from(Refusal::Form("text/plain".to_owned()));
        assert_eq!(form.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        let page = ApiError::from(Refusal::Page("https://evil.example".to_owned()));
        assert_eq!((page.status(), page.code()), (StatusCode::FORBIDDEN, Code::Forbidden));
        let long = check("application/json", &"x".repeat(5000), false, "", "").unwrap_err();
        assert!(matches!(long, Refusal::Page(shown) if shown.len() < 200));
    }
}
