//! What follows from believing `X-User-Id` where the server listens: whoever is trusted without proof must be somebody who
//! can be trusted, such as the users of this machine or a proxy.

use super::options::{TOKEN_KEYS, TRUST_HEADER};
use crate::gate::options::PROXIES;
use crate::net::Peer;
use crate::settings::{Endpoint, Network, Settings};

/// Who is trusted without proof: proxies about the addresses of their clients, and senders of `X-User-Id` about the user.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// The proxies, whose `X-Forwarded-For` and `Forwarded` are trusted.
    pub proxies: Vec<Network>,
    /// Whether `X-User-Id` is trusted: that of the proxies and of this machine or, if there are no proxies, everybody's.
    pub believes_header: bool,
}

impl Trust {
    /// As configured.
    pub fn of(settings: &Settings) -> Self {
        Self { proxies: settings.networks(&PROXIES).to_vec(), believes_header: settings.flag(&TRUST_HEADER) }
    }

    /// Whether this is a trusted proxy.
    pub fn is_proxy(&self, peer: Peer) -> bool {
        match peer {
            Peer::Ip(address) => self.proxies.iter().any(|network| network.contains(address)),
            Peer::Unix => self.proxies.contains(&Network::Unix),
        }
    }

    /// Whether this one's `X-User-Id` is trusted. Once proxies are named, another machine cannot get past them by calling the
    /// server itself.
    pub fn believes_header_of(&self, peer: Peer) -> bool {
        let is_of_this_machine = match peer {
            Peer::Ip(address) => address.to_canonical().is_loopback(),
            Peer::Unix => true,
        };
        self.believes_header && (self.proxies.is_empty() || is_of_this_machine || self.is_proxy(peer))
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
                "the X-User-Id header is trusted on the address {address}, which other machines can reach, so anyone \
                 there may claim any name: set ENV=production and a key for signed tokens ({}), or name the proxy that \
                 sets the header in {proxies}, or listen on 127.0.0.1 (in LISTEN_ADDR; PORT alone listens on every address); to \
                 allow it, set {trust}=true",
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
            "{key} is set, and the X-User-Id header is still trusted: a request without a token may claim any name; set \
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
        let proxies = vec!["10.0.0.0/24".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        let trust = Trust { proxies, believes_header: true };
        let peer = |peer: &str| Peer::Ip(peer.parse().unwrap());
        for proxy in ["10.0.0.9", "::ffff:10.0.0.9", "2001:db8::1"] {
            assert!(trust.is_proxy(peer(proxy)) && trust.believes_header_of(peer(proxy)), "{proxy}");
        }
        for near in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(!trust.is_proxy(peer(near)) && trust.believes_header_of(peer(near)), "{near}");
        }
        assert!(!trust.is_proxy(Peer::Unix) && trust.believes_header_of(Peer::Unix));
        for stranger in ["10.0.1.9", "192.0.2.2", "2001:db8::2", "::ffff:192.0.2.2"] {
            assert!(!trust.is_proxy(peer(stranger)) && !trust.believes_header_of(peer(stranger)), "{stranger}");
        }

        let unix = Trust { proxies: vec![Network::Unix], believes_header: false };
        assert!(unix.is_proxy(Peer::Unix) && !unix.is_proxy(peer("127.0.0.1")) && !unix.believes_header_of(Peer::Unix));
        let everybody = Trust { believes_header: true, ..Trust::default() };
        assert!(everybody.believes_header_of(peer("192.0.2.2")) && !everybody.is_proxy(Peer::Unix));
        assert!(!Trust::default().believes_header_of(Peer::Unix));
    }
}
