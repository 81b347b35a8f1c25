//! Whom a verb believes that it speaks to the right server over TLS.

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::Args;

use crate::net::base_url::BaseUrl;
use crate::net::tls;
use crate::net::tls::client::Trust;

/// What is asked for on the command line.
#[derive(Debug, Default, Args)]
pub struct Trusting {
    /// A PEM file with CA certificates to trust for https, in addition to those of this machine
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Accept any certificate of an https server: for testing only; prints a warning each time
    #[arg(long, conflicts_with = "ca")]
    insecure: bool,
}

impl Trusting {
    /// What that comes to for this server. Says aloud that nothing is looked at, if that is so.
    ///
    /// # Errors
    /// A sentence about the file, or about an option that this server has no use for.
    pub fn trust(&self, server: &BaseUrl) -> Result<Trust, String> {
        let own =
            self.ca.as_ref().map(|path| tls::certificates(path).map_err(|why| format!("--ca: {why}"))).transpose()?;
        // Whoever names an authority relies on it, and would not learn that nobody was asked for a certificate.
        if let Some(option) = self.named().filter(|_| !server.is_secured()) {
            return Err(format!(
                "{option} is for https://, and {server} has no TLS: use an https:// URL, or leave out {option}"
            ));
        }
        if self.insecure {
            let line = "inkring: --insecure: the certificate is not verified, so anyone in between can read and change \
                everything\n";
            // Whoever does not read it does so knowingly.
            let _ = io::stderr().write_all(line.as_bytes());
            return Ok(Trust::Anybody);
        }
        Ok(Trust::Authorities(own.unwrap_or_default()))
    }

    /// Which of the options is given, if one is.
    #[must_use]
    pub fn named(&self) -> Option<&'static str> {
        let ca = self.ca.as_ref().map(|_| "--ca");
        ca.or(self.insecure.then_some("--insecure"))
    }

    /// The same for the server of one's own settings. Its certificate is for the names that others know it by, and who can take its
    /// address here is the server: unless something else is asked for, it is not looked at.
    ///
    /// # Errors
    /// As above.
    pub fn trust_of_own(&self, server: &BaseUrl) -> Result<Trust, String> {
        if self.named().is_none() {
            return Ok(Trust::Anybody);
        }
        self.trust(server)
    }
}
