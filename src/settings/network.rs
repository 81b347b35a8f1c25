//! Where proxies are: networks of IP addresses and Unix sockets, as written in a list of trusted proxies.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// How many bits an IPv4 address sits behind when it is mapped into IPv6.
const MAPPED_BITS: u8 = 96;

/// The word for callers through Unix sockets.
const UNIX: &str = "unix";

/// An IP address and how many of its leading bits count, or all callers through Unix sockets.
///
/// Addresses mapped from IPv4 (`::ffff:10.0.0.1`) are IPv4 addresses here,
/// both in the network and in the address asked about: a socket listening on
/// `[::]` reports IPv4 clients in that form. For the same reason `::/0` holds
/// no IPv4 address; write `0.0.0.0/0` as well for everyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// A network of IP addresses.
    Ip {
        /// One of its addresses.
        addr: IpAddr,
        /// How many of the leading bits count.
        prefix: u8,
    },
    /// Every caller through a Unix socket.
    Unix,
}

/// The text is not an IP address or a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use an IP address, ADDRESS/PREFIX with a prefix of at most 32 (IPv4) or 128 (IPv6), or unix")]
pub struct NotANetwork;

impl Network {
    /// Whether `address` lies in this network.
    pub fn contains(&self, address: IpAddr) -> bool {
        let Self::Ip { addr, prefix } = *self else { return false };
        match (addr, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let differing = ours.to_bits() ^ theirs.to_bits();
                differing.leading_zeros() >= u32::from(prefix)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let differing = ours.to_bits() ^ theirs.to_bits();
                differing.leading_zeros() >= u32::from(prefix)
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        if text.eq_ignore_ascii_case(UNIX) {
            return Ok(Self::Unix);
        }
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let addr: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        let widest = if addr.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => widest,
            // The standard parser would also take a leading plus sign.
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().map_err(|_| NotANetwork)?,
            Some(_) => return Err(NotANetwork),
        };
        if prefix > widest {
            return Err(NotANetwork);
        }
        match addr {
            IpAddr::V6(v6) => Self::from_v6(v6, prefix),
            IpAddr::V4(_) => Ok(Self::Ip { addr, prefix }),
        }
    }
}

impl Network {
    /// A network written in IPv6, which may stand for an IPv4 one.
    fn from_v6(address: Ipv6Addr, prefix: u8) -> Result<Self, NotANetwork> {
        let addr = IpAddr::V6(address).to_canonical();
        if addr.is_ipv6() {
            return Ok(Self::Ip { addr, prefix });
        }
        // A shorter prefix would mix mapped addresses with real IPv6 ones.
        let prefix = prefix.checked_sub(MAPPED_BITS).ok_or(NotANetwork)?;
        Ok(Self::Ip { addr, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip { addr, prefix } => write!(f, "{addr}/{prefix}"),
            Self::Unix => f.write_str(UNIX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, address: &str) -> bool {
        let network: Network = network.parse().unwrap();
        network.contains(address.parse().unwrap())
    }

    #[test]
    fn contains_by_prefix() {
        assert!(holds("10.0.0.0/8", "10.255.1.2"));
        assert!(holds("10.9.9.9/8", "10.255.1.2"));
        assert!(!holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("192.168.1.7", "192.168.1.7"));
        assert!(!holds("192.168.1.7", "192.168.1.6"));
        assert!(holds("0.0.0.0/0", "203.0.113.9"));
        assert!(holds("2001:db8::/32", "2001:db8:1::5"));
        assert!(!holds("2001:db8::/32", "2001:db9::5"));
        assert!(holds("::/0", "2001:db8::1"));
        assert!(!holds("::/0", "10.0.0.1"));
    }

    #[test]
    fn unix_sockets_are_no_addresses() {
        let unix: Network = "Unix".parse().unwrap();
        assert_eq!((unix, unix.to_string().as_str()), (Network::Unix, "unix"));
        assert!(!holds("unix", "127.0.0.1"));
    }

    #[test]
    fn mapped_addresses_are_ipv4() {
        assert!(holds("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(holds("::ffff:10.0.0.0/104", "10.1.2.3"));
        assert!(holds("::ffff:10.1.2.3", "::ffff:10.1.2.3"));
        assert!(!holds("::ffff:10.0.0.0/104", "::ffff:11.1.2.3"));
        assert!(!holds("::/0", "::ffff:10.1.2.3"));
        assert!("::ffff:10.0.0.0/95".parse::<Network>().is_err());
    }

    #[test]
    fn refuses_what_is_not_a_network() {
        for text in [
            "",
            "proxy",
            "10.0.0.0/",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "10.0.0/8",
            "10.0.0.1:80",
            "10.0.0.0/256",
            "fe80::1%eth0",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork), "{text}");
        }
    }
}
