//! Where a verb finds a server over HTTP.

use std::fmt;
use std::io;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;

use super::client::Remote;
use super::options::{LISTEN, TLS_CERTIFICATE};
use super::tls::client::{Secured, Trust};
use crate::settings::{Endpoint, Settings};
use crate::text::visible;

/// `http://HOST[:PORT][/PREFIX]`, `https://HOST[:PORT][/PREFIX]`, or `unix:PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    /// Whether it is asked over TLS.
    secured: bool,
    /// Host and port as they were written, for the `Host` header.
    authority: String,
    place: Destination,
    /// What stands before every path; without a slash at its end.
    prefix: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Destination {
    Name(String, u16),
    Socket(PathBuf),
}

/// The server of a configuration, as it is reached from this machine; none if its port is chosen at the start. Its certificate is not
/// looked at: it is for the names that others know it by, and who can take its address here is the server.
#[must_use]
pub fn own_server(settings: &Settings) -> Option<Remote> {
    let chosen_at_start = |endpoint: &&Endpoint| matches!(endpoint, Endpoint::Tcp(address) if address.port() == 0);
    let endpoint = settings.endpoints(&LISTEN).iter().find(|endpoint| !chosen_at_start(endpoint))?.from_here();
    if matches!(endpoint, Endpoint::Unix(_)) || settings.text(&TLS_CERTIFICATE).is_none() {
        return Some(Remote::at(endpoint));
    }
    Some(Remote::at(endpoint).secured(Secured::new("localhost", &Trust::Anybody).ok()?))
}

/// The same as an address, for who asks it as its clients do. Over TLS, `Trusting::trust_of_own` says what its certificate is held to.
#[must_use]
pub fn own_url(settings: &Settings) -> Option<BaseUrl> {
    let to_itself = |endpoint: &&Endpoint| !matches!(endpoint, Endpoint::Tcp(address) if address.port() == 0);
    let endpoint = settings.endpoints(&LISTEN).iter().find(to_itself)?.from_here();
    let text = match &endpoint {
        Endpoint::Unix(_) => endpoint.to_string(),
        Endpoint::Tcp(address) if settings.text(&TLS_CERTIFICATE).is_some() => format!("https://{address}"),
        Endpoint::Tcp(address) => format!("http://{address}"),
    };
    BaseUrl::parse(&text).ok()
}

impl BaseUrl {
    /// Reads one.
    ///
    /// # Errors
    /// A sentence that says what an address looks like, and does not repeat one that may hold a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        const SHAPE: &str = "use http://HOST:PORT or https://HOST, such as http://127.0.0.1:8000";
        if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            let place = Destination::Socket(path.into());
            return Ok(Self { secured: false, authority: "localhost".to_owned(), place, prefix: String::new() });
        }
        let uri: Uri = text.parse().map_err(|error| format!("it is not an address: {error}; {SHAPE}"))?;
        let secured = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            // One that may hold a password is not repeated.
            _ if text.contains(['@', '?', '#']) => {
                return Err(format!("it does not begin with http:// or https://; {SHAPE}"));
            }
            _ => return Err(format!("{} does not begin with http:// or https://; {SHAPE}", visible(text))),
        };
        let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        if authority.contains('@') {
            return Err(format!("it has a name or a password in it, which other users of the machine see; {SHAPE}"));
        }
        if uri.query().is_some() || text.contains('#') {
            return Err(format!("it has a query or a fragment; {SHAPE}"));
        }
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().or_else(|| (host == authority).then_some(if secured { 443 } else { 80 }));
        let (Some(port), false) = (port, host.is_empty()) else {
            return Err(format!("it has no valid host and port; {SHAPE}"));
        };
        Ok(Self {
            secured,
            authority: authority.to_owned(),
            place: Destination::Name(host.trim_matches(['[', ']']).to_owned(), port),
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// That nothing listens there, and what to do, for a verb that has the option `--base-url`.
    #[must_use]
    pub fn nobody(&self) -> String {
        format!("nothing listens on {self}: start the server, or give --base-url")
    }

    /// Whether it is asked over TLS.
    #[must_use]
    pub const fn is_secured(&self) -> bool {
        self.secured
    }

    /// What stands before every path, if anything; without a slash at its end.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The server, whose certificate is held to `trust` if it has to show one.
    ///
    /// # Errors
    /// When the name has no address, or there is nobody to trust.
    pub fn remote(&self, trust: &Trust, patience: Duration) -> io::Result<Remote> {
        let remote = Remote::at(self.endpoint(patience)?).named(&self.authority);
        match &self.place {
            Destination::Name(host, _) if self.secured => {
                Ok(remote.secured(Secured::new(host, trust).map_err(io::Error::other)?))
            }
            _ => Ok(remote),
        }
    }

    /// The address behind the name. Of several the first that takes a connection: `localhost` is often two, and a server
    /// listens on one of them.
    fn endpoint(&self, patience: Duration) -> io::Result<Endpoint> {
        let (host, port) = match &self.place {
            Destination::Name(host, port) => (host.as_str(), *port),
            Destination::Socket(path) => return Ok(Endpoint::Unix(path.clone())),
        };
        let addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
        let takes = |address: &&_| TcpStream::connect_timeout(address, patience).is_ok();
        let found = match addresses.as_slice() {
            [only] => Some(only),
            several => several.iter().find(takes).or(several.last()),
        };
        found.copied().map(Endpoint::Tcp).ok_or_else(|| io::Error::other("the name has no address"))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Destination::Name(..) => {
                write!(f, "{}://{}{}", if self.secured { "https" } else { "http" }, self.authority, self.prefix)
            }
            Destination::Socket(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn host_port_and_prefix_are_taken_apart() {
        for (text, host, port, prefix) in [
            ("http://localhost:8000", "localhost", 8000, ""),
            ("http://127.0.0.1/", "127.0.0.1", 80, ""),
            ("http://[::1]:81", "::1", 81, ""),
            ("HTTP://box.example:1/ink/ring/", "box.example", 1, "/ink/ring"),
            ("https://box.example/ink", "box.example", 443, "/ink"),
            ("https://[::1]:8443", "::1", 8443, ""),
        ] {
            let url = BaseUrl::parse(text).unwrap();
            assert_eq!((&url.place, url.prefix()), (&Destination::Name(host.to_owned(), port), prefix), "{text}");
            assert_eq!(BaseUrl::parse(&url.to_string()), Ok(url), "{text}");
        }
        let to = BaseUrl::parse("http://[::1]:81").unwrap().endpoint(Duration::from_secs(1)).unwrap();
        assert_eq!(to, Endpoint::Tcp(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 81))));
    }

    #[test]
    fn a_unix_socket_is_a_place_as_well() {
        let url = BaseUrl::parse("unix:/run/inkring/http").unwrap();
        assert_eq!(
            (url.authority.as_str(), url.prefix(), url.to_string().as_str()),
            ("localhost", "", "unix:/run/inkring/http")
        );
        assert_eq!(url.endpoint(Duration::ZERO).unwrap(), Endpoint::Unix("/run/inkring/http".into()));
        assert!(BaseUrl::parse("unix:").is_err());
    }

    #[test]
    fn what_is_no_such_address_is_refused_by_what_is_wrong() {
        for (text, says) in [
            ("", "not an address"),
            ("http://", "not an address"),
            ("localhost:8000", "does not begin with http://"),
            ("/readyz", "does not begin with http://"),
            ("ws://localhost", "does not begin with http://"),
            ("https://", "not an address"),
            ("http://me:hunter2@box.example", "a name or a password"),
            ("http://box.example?x=1", "a query or a fragment"),
            ("http://box.example/#x", "a query or a fragment"),
            ("http://box.example:", "no valid host and port"),
            ("http://box.example:65536", "no valid host and port"),
            ("http://box.example:many", "no valid host and port"),
        ] {
            let said = BaseUrl::parse(text).unwrap_err();
            assert!(said.contains(says) && !said.contains("hunter2"), "{text}: {said}");
        }
    }
}
