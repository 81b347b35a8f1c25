//! The client's side: whom it believes, and what it says when it does not.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, InvalidMessage, RootCertStore,
    SignatureScheme, StreamOwned,
};

use super::provider;
use crate::clock::{SECOND_MICROS, Timestamp};

/// What a client holds the certificate of a server to.
#[derive(Debug, Clone)]
pub enum Trust {
    /// It is signed by an authority that this machine knows, or by one of these.
    Authorities(Vec<CertificateDer<'static>>),
    /// Nothing: whoever answers is trusted.
    Anybody,
}

impl Default for Trust {
    fn default() -> Self {
        Self::Authorities(Vec::new())
    }
}

/// A server that is to show who it is: its name, and what its certificate is held to.
#[derive(Clone)]
pub struct Secured {
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
}

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Secured").field(&self.name).finish()
    }
}

impl Secured {
    /// The server of this name, a host or an address. Reads the authorities of this machine if they are to be trusted.
    ///
    /// # Errors
    /// A sentence: it is no name that can be in a certificate, or there is nobody to believe.
    pub fn new(name: &str, trust: &Trust) -> Result<Self, String> {
        let server = ServerName::try_from(name.to_owned());
        let server = server.map_err(|_| format!("{name} is not a name that a certificate can have"))?;
        let builder = ClientConfig::builder_with_provider(provider());
        let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
        let config = match trust {
            Trust::Authorities(own) => builder.with_root_certificates(roots(own)?).with_no_client_auth(),
            Trust::Anybody => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anybody(provider())))
                .with_no_client_auth(),
        };
        Ok(Self { name: server, config: Arc::new(config) })
    }

    /// Shakes hands over a connection.
    ///
    /// # Errors
    /// When it is not this server, or no TLS; and as the connection does.
    pub fn connect<S: Read + Write>(&self, mut stream: S) -> Result<StreamOwned<ClientConnection, S>, Refused> {
        let connection = ClientConnection::new(Arc::clone(&self.config), self.name.clone());
        let mut connection = connection.map_err(|error| Refused::Server(error.to_string()))?;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream).map_err(|error| self.refused(error))?;
        }
        Ok(StreamOwned::new(connection, stream))
    }

    fn refused(&self, error: io::Error) -> Refused {
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(error) => Refused::Server(sentence(error, &self.name.to_str())),
            None => Refused::Connection(error),
        }
    }
}

/// Why there is no TLS with a server.
#[derive(Debug)]
pub enum Refused {
    /// It is not trusted, or it is not TLS; a sentence.
    Server(String),
    /// The connection broke.
    Connection(io::Error),
}

/// Those of this machine and these.
fn roots(own: &[CertificateDer<'static>]) -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A machine has some that are broken, and does without them.
    roots.add_parsable_certificates(found.certs);
    for certificate in own {
        roots.add(certificate.clone()).map_err(|error| format!("--ca contains an invalid certificate: {error}"))?;
    }
    if roots.is_empty() {
        let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        return Err(format!("this machine has no CA certificates{why}: install ca-certificates, or pass --ca FILE"));
    }
    Ok(roots)
}

/// What is wrong, and what to do about it.
fn sentence(error: &rustls::Error, name: &str) -> String {
    use CertificateError as Bad;

    let day = |time: &UnixTime| {
        let micros = i64::try_from(time.as_secs()).ok().and_then(|seconds| seconds.checked_mul(SECOND_MICROS));
        micros.map(|micros| Timestamp(micros).date()).unwrap_or_default()
    };
    match error {
        rustls::Error::InvalidCertificate(bad) => match bad {
            Bad::UnknownIssuer => {
                "its certificate is signed by an unknown authority: pass the authority's certificate with --ca FILE, or \
                have the server send its whole chain"
                    .to_owned()
            }
            Bad::ExpiredContext { not_after, .. } => format!("its certificate expired on {}: renew it", day(not_after)),
            Bad::NotValidYetContext { not_before, .. } => {
                format!("its certificate is not valid before {}: check the clock of this machine", day(not_before))
            }
            Bad::NotValidForNameContext { presented, .. } => {
                let names: Vec<&str> = presented.iter().map(|name| bare(name)).collect();
                format!(
                    "its certificate is for {}, and not for {name}: use a name that the certificate has",
                    if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
                )
            }
            // The error of another crate, which does not tell itself apart but by its words.
            Bad::Other(other) if other.to_string() == "CaUsedAsEndEntity" => {
                "its certificate is that of a CA (CA:TRUE), not of a server: create it with -addext \
                 basicConstraints=critical,CA:FALSE"
                    .to_owned()
            }
            Bad::BadSignature => "its certificate is not signed by the authority that it names".to_owned(),
            Bad::Other(other) => format!("its certificate is invalid: {}", spoken(&other.to_string())),
            other => format!("its certificate is invalid: {}", spoken(&other.to_string())),
        },
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "it does not speak TLS: use http://".to_owned()
        }
        other => spoken(&other.to_string()),
    }
}

/// A text of the library as people read it: names of its code, such as `HandshakeFailure`, in words, and without what only
/// programs can read.
fn spoken(text: &str) -> String {
    let text = text.split(" {").next().unwrap_or_default();
    let words: Vec<String> = text.split(' ').map(|word| in_words(word).unwrap_or_else(|| word.to_owned())).collect();
    words.join(" ")
}

/// The words of a name in code, if it is one.
fn in_words(name: &str) -> Option<String> {
    let name = name.split('(').next().unwrap_or_default();
    let mut words: Vec<String> = Vec::new();
    for letter in name.chars() {
        match letter {
            'A'..='Z' => words.push(letter.to_ascii_lowercase().to_string()),
            'a'..='z' | '0'..='9' => words.last_mut()?.push(letter),
            _ => return None,
        }
    }
    // What is written in capitals is no name.
    let is_name = !words.is_empty() && words.iter().all(|word| word.len() > 1);
    is_name.then(|| words.join(" "))
}

/// `other.example` out of `DnsName("other.example")`.
fn bare(presented: &str) -> &str {
    let inner = presented.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(presented);
    inner.trim_matches('"')
}

/// Believes whoever answers. That who answers has the key of the certificate is still looked at.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_certificates_are_shown_bare() {
        for (presented, shown) in
            [("DnsName(\"other.example\")", "other.example"), ("IpAddress(127.0.0.1)", "127.0.0.1"), ("odd", "odd")]
        {
            assert_eq!(bare(presented), shown);
        }
    }

    #[test]
    fn nothing_that_only_programs_read_is_said() {
        use rustls::{AlertDescription, Error, OtherError, PeerIncompatible, PeerMisbehaved};

        use super::CertificateError as Bad;

        let other = |text: &'static str| Bad::Other(OtherError(Arc::new(io::Error::other(text))));
        let unsupported = Bad::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id: vec![1, 2],
            supported_algorithms: Vec::new(),
        };
        for (error, said) in [
            (Error::InvalidCertificate(Bad::Revoked), "its certificate is invalid: revoked"),
            (Error::InvalidCertificate(Bad::BadEncoding), "its certificate is invalid: bad encoding"),
            (
                Error::InvalidCertificate(unsupported),
                "its certificate is invalid: unsupported signature algorithm context",
            ),
            (
                Error::InvalidCertificate(other("MaximumPathBuildCallsExceeded")),
                "its certificate is invalid: maximum path build calls exceeded",
            ),
            (
                Error::InvalidCertificate(other("CaUsedAsEndEntity")),
                "its certificate is that of a CA (CA:TRUE), not of a server: create it with -addext \
                 basicConstraints=critical,CA:FALSE",
            ),
            (Error::AlertReceived(AlertDescription::HandshakeFailure), "received fatal alert: handshake failure"),
            (
                Error::InvalidMessage(InvalidMessage::MissingData("Certificate")),
                "received corrupt message of type missing data",
            ),
            (
                Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
                "peer is incompatible: no cipher suites in common",
            ),
            (Error::PeerMisbehaved(PeerMisbehaved::TooManyEmptyFragments), "peer misbehaved: too many empty fragments"),
            (
                Error::General("the TLS 1.3 of (some) HTTP peer".to_owned()),
                "unexpected error: the TLS 1.3 of (some) HTTP peer",
            ),
        ] {
            assert_eq!(sentence(&error, "box.example"), said);
        }
    }

    #[test]
    fn what_is_no_name_is_refused_before_anybody_is_asked() {
        assert!(Secured::new("a b", &Trust::Anybody).unwrap_err().contains("not a name"));
        assert!(Secured::new("::1", &Trust::Anybody).is_ok() && Secured::new("box.example", &Trust::Anybody).is_ok());
    }
}
