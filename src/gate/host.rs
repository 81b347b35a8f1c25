//! Whom a request is meant for, by its `Host`.
//!
//! A browser on this machine reaches loopback, whatever page it shows. A name that somebody made to lead here (DNS
//! rebinding) makes the page of that name one of ours in the eyes of the browser; but it shows in `Host`.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::error::ApiError;
use super::identity::options::TRUST_HEADER;
use super::options::{ORIGINS, PROXIES};
use crate::net::{Peer, Request};
use crate::settings::Settings;

/// Names under which pages of ours reach this server on this machine, besides those that cannot be made to lead here.
pub struct Hosts(Vec<String>);

impl Hosts {
    /// As configured. None where there is nothing to guard: a name alone is not trusted, or a proxy passes its own `Host` on,
    /// or any page may do anything already.
    pub(super) fn of(settings: &Settings) -> Option<Self> {
        let origins = settings.origins(&ORIGINS);
        let is_open = !settings.flag(&TRUST_HEADER)
            || !settings.networks(&PROXIES).is_empty()
            || origins.iter().any(|origin| origin == "*");
        let host = |origin: &String| {
            let (host, _) = host_and_port(origin.split_once("://")?.1)?;
            Some(host.to_ascii_lowercase())
        };
        (!is_open).then(|| Self(origins.iter().filter_map(host).collect()))
    }

    /// Refuses a request that reached a loopback address under a name that may lead anywhere. A name without a dot is one
    /// that nobody elsewhere can own.
    ///
    /// # Errors
    /// 421.
    pub(super) fn check(&self, request: &Request<'_>, peer: Peer) -> Result<(), ApiError> {
        let on_loopback = matches!(peer, Peer::Ip(address) if address.to_canonical().is_loopback());
        let host = request.headers.get("host").unwrap_or_default();
        if !on_loopback || host.is_empty() || self.admits(host) {
            return Ok(());
        }
        Err(ApiError::misdirected(
            "While X-User-Id is trusted and TRUSTED_PROXIES is not set, a loopback address can only be reached \
             as an IP address, localhost, a name without a dot or the host of one of ALLOWED_ORIGINS. This protects \
             against DNS rebinding",
        ))
    }

    fn admits(&self, host: &[u8]) -> bool {
        // An IPv4 address and a port, as nearly every host here: no browser takes digits alone for a name.
        if host.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b':')) {
            return true;
        }
        let Some((host, _)) = std::str::from_utf8(host).ok().and_then(host_and_port) else { return false };
        if leads_here(host) || !host.contains('.') {
            return true;
        }
        let name = host.to_ascii_lowercase();
        name.ends_with(".localhost") || self.0.contains(&name)
    }
}

/// Whether a `Host` is an IP address or localhost, with or without a port.
pub fn is_here(authority: &str) -> bool {
    host_and_port(authority).is_some_and(|(host, _)| leads_here(host))
}

/// The same of a host alone.
fn leads_here(host: &str) -> bool {
    host.starts_with('[') || host.eq_ignore_ascii_case("localhost") || host.parse::<Ipv4Addr>().is_ok()
}

/// The host of an authority and the digits of its port, if it has nothing else: a name, an IPv4 address, or an IPv6 address in its
/// brackets.
pub fn host_and_port(authority: &str) -> Option<(&str, Option<&str>)> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, Some(port)),
        // What stands behind a colon in brackets is no port.
        _ => (authority, None),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let is_host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => !host.is_empty() && host.bytes().all(plain),
    };
    is_host.then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_taken_out_of_what_may_be_something_else() {
        for (authority, found) in [
            ("box.example", Some(("box.example", None))),
            ("box.example:80", Some(("box.example", Some("80")))),
            ("box.example:", Some(("box.example", Some("")))),
            ("[::1]", Some(("[::1]", None))),
            ("[::1]:80", Some(("[::1]", Some("80")))),
            ("192.0.2.1:8080", Some(("192.0.2.1", Some("8080")))),
            ("", None),
            (":80", None),
            ("box.example:http", None),
            ("me@box.example", None),
            ("box.example/x", None),
            ("::1", None),
            ("[::1", None),
            ("[beef]", None),
        ] {
            assert_eq!(host_and_port(authority), found, "{authority}");
        }
    }

    #[test]
    fn addresses_and_localhost_are_here_and_names_are_not() {
        for host in ["127.0.0.1", "127.0.0.1:9090", "10.0.0.1:80", "localhost", "LocalHost:9090", "[::1]", "[::1]:9090"]
        {
            assert!(is_here(host), "{host}");
        }
        for host in ["example.org", "localhost.example.org:9090", "127.0.0.1.example.org", "[::1].org", "[x]", ":9090"]
        {
            assert!(!is_here(host), "{host}");
        }
    }

    #[test]
    fn names_that_nobody_elsewhere_can_own_lead_here_too() {
        let hosts = Hosts(vec!["app.example".to_owned()]);
        for host in ["box", "inkring:8000", "a.localhost:80", "App.Example:8000", "[::1]:80", "127.0.0.1"] {
            assert!(hosts.admits(host.as_bytes()), "{host}");
        }
        for host in
            ["rebind.example", "rebind.example:8000", "x.app.example", "box.", "127.0.0.1.nip.example", "me@box"]
        {
            assert!(!hosts.admits(host.as_bytes()), "{host}");
        }
    }
}
