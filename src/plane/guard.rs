//! Who may come in: the token, and no page of somebody else's through the operator's own browser.
//!
//! A browser on this machine reaches loopback, so two things keep other people's pages out where there is no token. A
//! name that was made to lead here (DNS rebinding) shows in `Host`, which must be an address or localhost. A request that
//! another page makes shows in `Sec-Fetch-Site` and `Origin`, which browsers add and pages cannot change.

use http::Method;

use crate::gate::{ApiError, Code, is_here};
use crate::net::Request;

/// Refuses what a page of another site has a browser send. `named` is whether the host may have any name.
///
/// # Errors
/// 421 for a name, 403 for another site.
pub(super) fn check(request: &Request<'_>, named: bool) -> Result<(), ApiError> {
    let host = request.headers.get("host").and_then(|host| std::str::from_utf8(host).ok()).unwrap_or_default();
    if !named && !host.is_empty() && !is_here(host) {
        let message = "Without OPS_TOKEN, the private plane can only be reached as an IP address or localhost. This \
                       protects against DNS rebinding";
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
