//! Who may come in: the token, and no page of somebody else's through the operator's own browser.
//!
//! A browser on this machine reaches loopback, so two things keep other people's pages out where there is no token. A
//! name that was made to lead here (DNS rebinding) shows in `Host`, which must be an address or localhost. A request that
//! another page makes shows in `Sec-Fetch-Site` and `Origin`, which browsers add and pages cannot change.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use sha2::{Digest, Sha256};

use crate::gate::{ApiError, Code, is_here};
use crate::net::Request;

/// What somebody has to show, the operator first of all. It is kept as its hash, and compared in a time that tells nothing of where two differ.
pub struct Secret([u8; 32]);

impl Secret {
    /// For this token.
    pub fn new(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Whether an `Authorization` header shows it, as `Bearer` or as the password of `Basic`.
    pub fn is_shown_by(&self, header: Option<&[u8]>) -> bool {
        let Some((scheme, rest)) = header.and_then(|header| split(header, b' ')) else { return false };
        if scheme.eq_ignore_ascii_case(b"bearer") {
            return self.is(rest.trim_ascii());
        }
        if !scheme.eq_ignore_ascii_case(b"basic") {
            return false;
        }
        let Ok(pair) = STANDARD.decode(rest.trim_ascii()) else { return false };
        split(&pair, b':').is_some_and(|(_, password)| self.is(password))
    }

    /// Whether this is it. Takes as long for a wrong one, however much of it is right.
    #[must_use]
    pub fn is(&self, shown: &[u8]) -> bool {
        let shown: [u8; 32] = Sha256::digest(shown).into();
        self.0.iter().zip(shown).fold(0, |differing, (ours, theirs)| differing | (ours ^ theirs)) == 0
    }
}

fn split(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(at, bytes)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

/// Refuses what a page of another site has a browser send. `named` is whether the host may have any name.
///
/// # Errors
/// 421 for a name, 403 for another site.
pub(super) fn check(request: &Request<'_>, named: bool) -> Result<(), ApiError> {
    let host = request.headers.get("host").and_then(|host| std::str::from_utf8(host).ok()).unwrap_or_default();
    if !named && !host.is_empty() && !is_here(host) {
        let message = "Without OPS_TOKEN the private plane answers to an IP address or localhost only, so that no other \
                       name can be made to lead here";
        return Err(ApiError::misdirected(message));
    }
    let elsewhere = || ApiError::new(Code::Forbidden, "A page of another site must not use the private plane");
    let header = |name| request.headers.get(name);
    let opened_by_hand =
        request.method == Method::GET && header("sec-fetch-mode").is_some_and(|mode| mode == b"navigate");
    match header("sec-fetch-site") {
        None | Some(b"same-origin" | b"none") => {}
        // A link to the page may stand anywhere; what it shows cannot be read from there.
        Some(_) if opened_by_hand && request.path() == "/" => {}
        Some(_) => return Err(elsewhere()),
    }
    if let Some(origin) = header("origin") {
        let ours = [&b"http://"[..], b"https://"]
            .iter()
            .any(|scheme| origin.strip_prefix(*scheme).is_some_and(|rest| rest.eq_ignore_ascii_case(host.as_bytes())));
        if !ours {
            return Err(elsewhere());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_as_bearer_or_password_and_nothing_near_it() {
        let secret = Secret::new(b"sixteen bytes or");
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        for good in [
            "Bearer sixteen bytes or",
            "bearer sixteen bytes or",
            &basic("x:sixteen bytes or"),
            &basic(":sixteen bytes or"),
        ] {
            assert!(secret.is_shown_by(Some(good.as_bytes())), "{good}");
        }
        let near = ["Bearer sixteen bytes o", "Bearer sixteen bytes orr", "Bearer ", "Bearer", "", "sixteen bytes or"];
        for bad in near.into_iter().chain(["Basic c2l4", "Basic =", "Digest sixteen bytes or"]) {
            assert!(!secret.is_shown_by(Some(bad.as_bytes())), "{bad}");
        }
        assert!(!secret.is_shown_by(Some(basic("sixteen bytes or:x").as_bytes())) && !secret.is_shown_by(None));
    }
}
