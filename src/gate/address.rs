//! Where a request comes from, seen through the proxies in front.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::net::{Peer, Request};

/// Remembers the first address that sent `X-Forwarded-For` or `Forwarded` without being a trusted proxy. It may be a client that makes
/// something up; mostly it is a proxy that nobody named in `TRUSTED_PROXIES`, and then all of its clients are taken for
/// one. Cheap to clone; clones share what is known.
#[derive(Debug, Clone, Default)]
pub struct UntrustedProxy(Arc<OnceLock<Peer>>);

impl UntrustedProxy {
    /// Who it was, if there was one since the start.
    pub fn first(&self) -> Option<Peer> {
        self.0.get().copied()
    }

    /// Looks at a request of somebody who is no trusted proxy. Once one is known, this costs next to nothing.
    fn look(&self, request: &Request<'_>, peer: Peer) {
        if self.0.get().is_none() && is_forwarded(request) && self.0.set(peer).is_ok() {
            log::warn!(
                peer = peer.to_string(),
                remedy = "if this is your proxy, add it to TRUSTED_PROXIES: until then its clients share one address";
                "proxy.header_not_trusted"
            );
        }
    }
}

/// Whether somebody has passed this request on.
fn is_forwarded(request: &Request<'_>) -> bool {
    ["x-forwarded-for", "forwarded"].iter().any(|name| request.headers.get(name).is_some())
}

/// The address of the client: that of the connection, unless a trusted proxy holds it. Then the hops that
/// `X-Forwarded-For` lists, or where there is none `Forwarded` (RFC 7239), are followed back from the nearest, and the first
/// that is no trusted proxy is the client. What stands before it in the list is what that client claims, and counts for
/// nothing.
pub(super) fn of_client(
    request: &Request<'_>,
    peer: Peer,
    is_trusted: impl Fn(Peer) -> bool,
    untrusted: &UntrustedProxy,
) -> IpAddr {
    let mut client = peer.address();
    if !is_trusted(peer) {
        untrusted.look(request, peer);
        return client;
    }
    let mut hops: Vec<&[u8]> = request.headers.items("x-forwarded-for").collect();
    if hops.is_empty() {
        hops =
            request.headers.all("forwarded").flat_map(elements).map(|element| node(element).unwrap_or(b"")).collect();
    }
    for hop in hops.into_iter().rev() {
        // A hop that is no address ends the way back: the proxy that reported it is all that is known.
        let Some(address) = parse(hop) else {
            say_unreadable(peer, hop);
            break;
        };
        client = address;
        if !is_trusted(Peer::Ip(address)) {
            break;
        }
    }
    client
}

/// Says once what a trusted proxy names that is no address: its clients are then taken for one.
fn say_unreadable(peer: Peer, hop: &[u8]) {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::Relaxed) {
        log::warn!(
            peer = peer.to_string(), hop = String::from_utf8_lossy(hop).as_ref(),
            remedy = "have the proxy name its clients by their addresses: those that it does not share one";
            "proxy.hop_not_read"
        );
    }
}

/// The elements of a line of `Forwarded`: what stands between commas that are not quoted.
fn elements(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    parts(line, b',')
}

/// Who an element of `Forwarded` is for.
fn node(element: &[u8]) -> Option<&[u8]> {
    parts(element, b';').find_map(|pair| {
        let (name, value) = pair.split_at_checked(memchr::memchr(b'=', pair)?)?;
        name.trim_ascii().eq_ignore_ascii_case(b"for").then(|| value[1..].trim_ascii())
    })
}

/// What stands between separators outside of quotes.
fn parts(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |&byte| {
        let ends = byte == separator && !quoted;
        quoted ^= byte == b'"' && !escaped;
        escaped = quoted && byte == b'\\' && !escaped;
        ends
    })
    .map(<[u8]>::trim_ascii)
}

/// An address as proxies write it: quoted or not, IPv6 in brackets or not, with or without a port. IPv4 written as IPv6 is
/// IPv4.
fn parse(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?.trim();
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let address = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            let fits = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
            IpAddr::V6(address.parse().ok().filter(|_| fits)?)
        }
        None => match (text.parse(), text.split_once(':')) {
            (Ok(address), _) => address,
            (_, Some((address, port))) if is_port(port) => IpAddr::V4(address.parse().ok()?),
            _ => return None,
        },
    };
    Some(address.to_canonical())
}

/// A number, or a name that hides it (RFC 7239 §6).
fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok() || text.starts_with('_')
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::net::http1::{Decoder, HeadLimits, Intake, Step, slots};

    fn client(forwarded: &[&str], peer: &str) -> String {
        client_and(forwarded, peer, &UntrustedProxy::default())
    }

    fn client_and(forwarded: &[&str], peer: &str, untrusted: &UntrustedProxy) -> String {
        let lines: String = forwarded.iter().map(|line| format!("X-Forwarded-For: {line}\r\n")).collect();
        let head = format!("GET / HTTP/1.1\r\nHost: t\r\n{lines}\r\n");
        let mut decoder = Decoder::new(HeadLimits { head_bytes: 4096, headers: 16, target_bytes: 64 });
        let mut slots = slots();
        let Ok(Step::Request { request, .. }) = decoder.decode(head.as_bytes(), &mut slots, |_| Intake::Whole(0))
        else {
            panic!()
        };
        let is_trusted = |peer| match peer {
            Peer::Ip(address) => address.to_string().starts_with("10.") || address.is_loopback(),
            Peer::Unix => TRUSTS_UNIX.get(),
        };
        let peer = peer.parse().map_or(Peer::Unix, Peer::Ip);
        of_client(&request, peer, is_trusted, untrusted).to_string()
    }

    #[test]
    fn the_first_who_forwards_without_being_trusted_is_remembered() {
        let untrusted = UntrustedProxy::default();
        client_and(&[], "9.9.9.9", &untrusted);
        client_and(&["1.1.1.1"], "10.0.0.1", &untrusted);
        assert_eq!(untrusted.first(), None, "who forwards nothing and who is trusted do not count");
        client_and(&["1.1.1.1"], "9.9.9.9", &untrusted);
        client_and(&["1.1.1.1"], "8.8.8.8", &untrusted);
        assert_eq!(untrusted.clone().first(), Some(Peer::Ip("9.9.9.9".parse().unwrap())));
    }

    thread_local! {
        static TRUSTS_UNIX: Cell<bool> = const { Cell::new(false) };
    }

    #[test]
    fn who_calls_through_a_unix_socket_is_this_machine_or_whom_a_trusted_proxy_names() {
        let untrusted = UntrustedProxy::default();
        assert_eq!(client_and(&["1.1.1.1"], "unix", &untrusted), "127.0.0.1");
        assert_eq!(untrusted.first(), Some(Peer::Unix));
        TRUSTS_UNIX.set(true);
        assert_eq!(client_and(&["1.1.1.1"], "unix", &untrusted), "1.1.1.1");
        assert_eq!(client_and(&[], "unix", &untrusted), "127.0.0.1");
    }

    #[test]
    fn the_nearest_hop_that_is_no_trusted_proxy_is_the_client() {
        assert_eq!(client(&["1.1.1.1"], "9.9.9.9"), "9.9.9.9", "nobody's word but a trusted proxy's");
        assert_eq!(client(&[], "10.0.0.1"), "10.0.0.1");
        assert_eq!(
            client(&["1.1.1.1, 2.2.2.2"], "10.0.0.1"),
            "2.2.2.2",
            "what the client itself claims is not trusted"
        );
        assert_eq!(client(&["1.1.1.1, 2.2.2.2, 10.0.0.7"], "10.0.0.1"), "2.2.2.2");
        assert_eq!(client(&["1.1.1.1", "2.2.2.2,10.0.0.7"], "127.0.0.1"), "2.2.2.2", "lines are one list");
        assert_eq!(client(&["10.0.0.3, 10.0.0.2"], "10.0.0.1"), "10.0.0.3", "trusted all the way");
    }

    #[test]
    fn hops_are_addresses_with_or_without_port_and_anything_else_ends_the_way() {
        assert_eq!(client(&["2.2.2.2:4711"], "10.0.0.1"), "2.2.2.2");
        assert_eq!(client(&["[2001:db8::1]:4711"], "10.0.0.1"), "2001:db8::1");
        assert_eq!(client(&["::ffff:2.2.2.2"], "10.0.0.1"), "2.2.2.2");
        assert_eq!(client(&["2.2.2.2, unknown, 10.0.0.2"], "10.0.0.1"), "10.0.0.2");
        assert_eq!(client(&["2.2.2.2,"], "10.0.0.1"), "10.0.0.1");
    }

    #[test]
    fn every_spelling_of_an_address_is_read_and_what_is_none_is_not() {
        for (spelt, address) in [
            ("2.2.2.2", "2.2.2.2"),
            ("\"2.2.2.2:47011\"", "2.2.2.2"),
            ("2.2.2.2:_hidden", "2.2.2.2"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("\"[2001:DB8:0::1]:4711\"", "2001:db8::1"),
            ("[::ffff:2.2.2.2]:1", "2.2.2.2"),
        ] {
            assert_eq!(parse(spelt.as_bytes()).map(|found| found.to_string()).as_deref(), Some(address), "{spelt}");
        }
        for none in [
            "",
            "unknown",
            "_secret",
            "[2.2.2.2]",
            "[2001:db8::1",
            "[2001:db8::1]x",
            "2.2.2.2:99999",
            "2.2.2",
            "a.example",
        ] {
            assert_eq!(parse(none.as_bytes()), None, "{none}");
        }
        let nodes = |line: &'static str| -> Vec<String> {
            let nodes = elements(line.as_bytes()).map(|element| node(element).unwrap_or_default());
            nodes.map(|node| String::from_utf8_lossy(node).into_owned()).collect()
        };
        assert_eq!(
            nodes("for=1.1.1.1;proto=http;by=9.9.9.9, For = \"[::1]:80\" ,proto=https"),
            ["1.1.1.1", "\"[::1]:80\"", ""]
        );
        assert_eq!(nodes(r#"host="a,for=6.6.6.6;\",";for=2.2.2.2"#), ["2.2.2.2"], "what is quoted separates nothing");
    }
}
