//! Where something listens, in a configuration and everywhere else.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// Where something listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl Endpoint {
    /// Where somebody on this machine reaches who listens here: on all addresses is also on the loopback one.
    pub fn from_here(&self) -> Self {
        let Self::Tcp(address) = self else { return self.clone() };
        let ip = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        Self::Tcp(SocketAddr::new(ip, address.port()))
    }

    /// The address that other machines can connect to, of who listens here. A Unix socket has none.
    pub fn reachable(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip()).filter(|ip| !ip.to_canonical().is_loopback()),
            Self::Unix(_) => None,
        }
    }

    /// Whether nobody else can listen there while somebody listens here. On port 0 everyone finds room.
    pub fn excludes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp(one), Self::Tcp(other)) => {
                one.port() == other.port() && one.port() != 0 && share(one.ip(), other.ip())
            }
            _ => self == other,
        }
    }

    /// Its name in a `Host` header.
    pub fn host(&self) -> String {
        match self {
            Self::Tcp(address) => address.to_string(),
            Self::Unix(_) => "localhost".to_owned(),
        }
    }

    /// Several of them, as they are written in a configuration.
    pub fn joined(endpoints: &[Self]) -> String {
        endpoints.iter().map(Self::to_string).collect::<Vec<_>>().join(",")
    }
}

/// Whether one of these addresses is the other, or stands for all, that one among them.
fn share(one: IpAddr, other: IpAddr) -> bool {
    let (one, other) = (one.to_canonical(), other.to_canonical());
    let all_of = |all: IpAddr, ip: IpAddr| all.is_unspecified() && (all.is_ipv6() || ip.is_ipv4());
    one == other || all_of(one, other) || all_of(other, one)
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_unix_sockets_are_of_this_machine() {
        let reachable = |place: &str| Endpoint::Tcp(place.parse().unwrap()).reachable().is_some();
        for place in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(!reachable(place), "{place}");
        }
        for place in ["0.0.0.0:1", "[::]:1", "192.168.1.7:1", "[::ffff:10.0.0.1]:1", "[2001:db8::1]:1"] {
            assert!(reachable(place), "{place}");
        }
        assert_eq!(Endpoint::Unix("s".into()).reachable(), None);
    }

    #[test]
    fn who_listens_everywhere_is_reached_here() {
        for (listens, asked) in [
            ("0.0.0.0:8000", "127.0.0.1:8000"),
            ("[::]:8000", "[::1]:8000"),
            ("192.0.2.1:80", "192.0.2.1:80"),
            ("127.0.0.1:1", "127.0.0.1:1"),
        ] {
            assert_eq!(Endpoint::Tcp(listens.parse().unwrap()).from_here().host(), asked);
        }
        let socket = Endpoint::Unix("/run/a".into());
        assert_eq!((socket.from_here(), socket.host().as_str()), (socket.clone(), "localhost"));
    }
}
