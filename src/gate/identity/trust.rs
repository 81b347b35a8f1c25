//! What follows from believing `X-User-Id` where the server listens: whoever is believed without proof must be somebody who
//! can be trusted, such as the users of this machine or a proxy.

use std::net::IpAddr;

use super::options::{TOKEN_KEYS, TRUST_HEADER};
use crate::gate::options::PROXIES;
use crate::settings::{Endpoint, Settings};

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
    let reachable = places.iter().find_map(reachable_address).filter(|_| unguarded);
    let key = TOKEN_KEYS.iter().find(|key| settings.text(key).is_some()).map(|key| key.name);
    Ok(match (reachable, key) {
        (Some(address), _) if !settings.of(&TRUST_HEADER).origin.is_given() => {
            return Err(format!(
                "the X-User-Id header is believed on the address {address}, which other machines can reach, so anyone \
                 there may claim any name: set ENV=production and a key for signed tokens ({}), or name the proxy that \
                 sets the header in {proxies}, or listen on 127.0.0.1; if it is meant so, say {trust}=true",
                TOKEN_KEYS[0].name
            ));
        }
        (Some(address), _) => Some(format!(
            "{trust}=true on the address {address} without {proxies}: anyone who reaches it may claim any name"
        )),
        (None, _) if settings.production() => Some(format!(
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

/// The address of a place that other machines can connect to. A Unix socket is none.
fn reachable_address(place: &Endpoint) -> Option<IpAddr> {
    match place {
        Endpoint::Tcp(address) => Some(address.ip()).filter(|ip| !ip.to_canonical().is_loopback()),
        Endpoint::Unix(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_unix_sockets_are_of_this_machine() {
        let reachable = |place: &str| reachable_address(&Endpoint::Tcp(place.parse().unwrap())).is_some();
        for place in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(!reachable(place), "{place}");
        }
        for place in ["0.0.0.0:1", "[::]:1", "192.168.1.7:1", "[::ffff:10.0.0.1]:1", "[2001:db8::1]:1"] {
            assert!(reachable(place), "{place}");
        }
        assert_eq!(reachable_address(&Endpoint::Unix("s".into())), None);
    }
}
