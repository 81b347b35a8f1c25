//! What follows from believing `X-User-Id` where the server listens: whoever is believed without proof must be somebody who
//! can be trusted, such as the users of this machine or a proxy.

use super::options::{TOKEN_KEYS, TRUST_HEADER};
use crate::gate::options::PROXIES;
use crate::net::Peer;
use crate::settings::{Endpoint, Network, Settings};

/// Whose `X-User-Id` is believed.
#[derive(Debug, Clone)]
pub enum HeaderTrust {
    /// Nobody's.
    Nobody,
    /// Everybody's.
    Everybody,
    /// That of these proxies, and of this machine.
    Proxies(Vec<Network>),
}

impl HeaderTrust {
    /// As configured: once proxies are named, another machine cannot get past them by calling the server itself.
    pub fn of(settings: &Settings) -> Self {
        match settings.networks(&PROXIES) {
            _ if !settings.flag(&TRUST_HEADER) => Self::Nobody,
            [] => Self::Everybody,
            proxies => Self::Proxies(proxies.to_vec()),
        }
    }

    /// Whether anybody's is.
    pub fn is_given(&self) -> bool {
        !matches!(self, Self::Nobody)
    }

    /// Whether that of this one is.
    pub fn includes(&self, peer: Peer) -> bool {
        match (self, peer) {
            (Self::Nobody, _) => false,
            (Self::Everybody, _) | (_, Peer::Unix) => true,
            (Self::Proxies(proxies), Peer::Ip(address)) => {
                address.to_canonical().is_loopback() || proxies.iter().any(|network| network.contains(address))
            }
        }
    }
}

/// What an operator has to know of a server that listens in these places, if anything.
///
/// # Errors
/// Other machines could claim any name, and nobody has said in so many words that this is meant: a sentence that refuses
/// the start.
pub fn header_trust(settings: &Settings, places: &[Endpoint]) -> Result<Option<String>, String> {
    if !settings.flag(&TRUST_HEADER) {
        return Ok(None);
    }
    let (trust, proxies) = (TRUST_HEADER.name, PROXIES.name);
    let unguarded = settings.networks(&PROXIES).is_empty();
    let reachable = places.iter().find_map(Endpoint::reachable).filter(|_| unguarded);
    let key = TOKEN_KEYS.iter().find(|key| settings.text(key).is_some()).map(|key| key.name);
    Ok(match (reachable, key) {
        (Some(address), _) if !settings.of(&TRUST_HEADER).origin.is_given() => {
            return Err(format!(
                "the X-User-Id header is believed on the address {address}, which other machines can reach, so anyone \
                 there may claim any name: set ENV=production and a key for signed tokens ({}), or name the proxy that \
                 sets the header in {proxies}, or listen on 127.0.0.1; to allow it, set {trust}=true",
                TOKEN_KEYS[0].name
            ));
        }
        (Some(address), _) => Some(format!(
            "{trust}=true on the address {address} without {proxies}: anyone who reaches it may claim any name"
        )),
        (None, _) if unguarded && settings.production() => Some(format!(
            "{trust}=true in production: anyone who reaches the port can claim to be any user through the X-User-Id \
             header, so only a trusted proxy may reach it"
        )),
        (None, Some(key)) => Some(format!(
            "{key} is set, and the X-User-Id header is still believed: a request without a token may claim any name; set \
             {trust}=false"
        )),
        (None, None) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_proxies_are_named_nobody_else_is_believed_but_this_machine() {
        let proxies = HeaderTrust::Proxies(vec!["10.0.0.0/24".parse().unwrap(), "2001:db8::1".parse().unwrap()]);
        let believed = |peer: &str| proxies.includes(Peer::Ip(peer.parse().unwrap()));
        for peer in ["10.0.0.9", "::ffff:10.0.0.9", "2001:db8::1", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]
        {
            assert!(believed(peer), "{peer}");
        }
        for peer in ["10.0.1.9", "192.0.2.2", "2001:db8::2", "::ffff:192.0.2.2"] {
            assert!(!believed(peer), "{peer}");
        }
        assert!(proxies.includes(Peer::Unix) && proxies.is_given());
        let stranger = Peer::Ip("192.0.2.2".parse().unwrap());
        assert!(HeaderTrust::Everybody.includes(stranger) && HeaderTrust::Everybody.is_given());
        assert!(!HeaderTrust::Nobody.includes(Peer::Unix) && !HeaderTrust::Nobody.is_given());
    }
}
