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
    /// As configured. None where there is nothing to guard: a name alone is not believed, or a proxy passes its own `Host` on,
    /// or any page may do anything already.
    pub(super) fn of(settings: &Settings) -> Option<Self> {
        let origins = settings.origins(&ORIGINS);
        let is_open = !settings.flag(&TRUST_HEADER)
            || !settings.networks(&PROXIES).is_empty()
            || origins.iter().any(|origin| origin == "*");
        let host = |origin: &String| {
            let authority = origin.split_once("://").map_or(origin.as_str(), |(_, authority)| authority);
            name_of(authority).to_ascii_lowercase()
        };
        (!is_open).then(|| Self(origins.iter().map(host).collect()))
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
            "While X-User-Id is believed and no proxy is named in TRUSTED_PROXIES, a loopback address answers to an IP \
             address, localhost, a name without a dot or the host of one of ALLOWED_ORIGINS only, so that no other name \
             can be made to lead here",
        ))
    }

    fn admits(&self, host: &[u8]) -> bool {
        // An IPv4 address and a port, as nearly every host here: no browser takes digits alone for a name.
        if host.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b':')) {
            return true;
        }
        let Ok(host) = std::str::from_utf8(host) else { return false };
        if is_here(host) || !name_of(host).contains('.') {
            return true;
        }
        let name = name_of(host).to_ascii_lowercase();
        name.ends_with(".localhost") || self.0.contains(&name)
    }
}

/// Whether a `Host` is an IP address or localhost, with or without a port.
pub fn is_here(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split_once(']').is_some_and(|(address, port)| {
            address.parse::<Ipv6Addr>().is_ok() && (port.is_empty() || port.starts_with(':'))
        });
    }
    let name = name_of(host);
    name.eq_ignore_ascii_case("localhost") || name.parse::<Ipv4Addr>().is_ok()
}

/// A host without its port.
fn name_of(host: &str) -> &str {
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for host in ["rebind.example", "rebind.example:8000", "x.app.example", "box.", "127.0.0.1.nip.example"] {
            assert!(!hosts.admits(host.as_bytes()), "{host}");
        }
    }
}
