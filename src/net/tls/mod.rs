//! TLS, by rustls: what a client trusts ([`client`]), what a server shows ([`server`]), and how it is spoken on a shard
//! ([`stream`]).
//!
//! Cryptography comes from `ring`, which is Rust and assembler and needs no more than the C compiler that SQLite needs as well.

pub mod client;
pub mod server;
pub(super) mod stream;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::ProducesTickets;
use spki::der::asn1::{AnyRef, GeneralizedTime, UtcTime};
use spki::der::{Decode as _, SliceReader, Tag, Tagged as _};

use crate::clock::Timestamp;

/// A file of certificates is not larger than this: the bundle of a whole system has a quarter of it.
pub(super) const PEM_MAX_BYTES: u64 = 1_048_576;

/// A certificate that has no longer than this should have been renewed: what renews them begins a month before.
pub const ENDS_SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// What encrypts what a client shows when it comes back.
fn ticketer() -> Result<Arc<dyn ProducesTickets>, String> {
    ring::Ticketer::new().map_err(|error| error.to_string())
}

/// Reads a file, unless it is too large to be one of certificates or a key.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    use std::io::Read as _;

    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(PEM_MAX_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    if bytes.len() as u64 > PEM_MAX_BYTES {
        return Err(format!("{} has more than {PEM_MAX_BYTES} bytes", path.display()));
    }
    Ok(bytes)
}

/// The certificates of a file, in their order.
///
/// # Errors
/// A sentence that names the file, also when there are none in it.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    certificates_in(&read(path)?).map_err(|why| format!("{} {why}", path.display()))
}

/// The same of a text; what is wrong with it, to be said behind its name.
fn certificates_in(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match found {
        Ok(found) if found.is_empty() => Err("has no certificate in PEM".to_owned()),
        Ok(found) => Ok(found),
        Err(error) => Err(format!("is not PEM: {error}")),
    }
}

/// The last moment at which a certificate is good (RFC 5280 §4.1.2.5); none if it cannot be read.
#[must_use]
pub fn good_until(certificate: &[u8]) -> Option<Timestamp> {
    let outer = AnyRef::from_der(certificate).ok()?;
    let body = AnyRef::decode(&mut SliceReader::new(outer.value()).ok()?).ok()?;
    let mut fields = SliceReader::new(body.value()).ok()?;
    let mut next = || AnyRef::decode(&mut fields).ok();
    // The version is left out of the first one that there was.
    let first = next()?;
    if matches!(first.tag(), Tag::ContextSpecific { .. }) {
        next()?;
    }
    let (_algorithm, _issuer, validity) = (next()?, next()?, next()?);
    let mut times = SliceReader::new(validity.value()).ok()?;
    let (_from, until) = (AnyRef::decode(&mut times).ok()?, AnyRef::decode(&mut times).ok()?);
    let since_1970 = match until.tag() {
        Tag::UtcTime => until.decode_as::<UtcTime>().ok()?.to_unix_duration(),
        _ => until.decode_as::<GeneralizedTime>().ok()?.to_unix_duration(),
    };
    i64::try_from(since_1970.as_micros()).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys/tls").join(name)
    }

    #[test]
    fn the_end_of_a_certificate_is_read_however_its_year_is_written() {
        for (name, until) in [("server.pem", "2120-01-01T00:00:00+00:00"), ("expired.pem", "2021-01-01T00:00:00+00:00")]
        {
            let certificate = certificates(&key(name)).unwrap().remove(0);
            assert_eq!(good_until(&certificate).unwrap().offset_style().to_string(), until);
            for cut in 0..certificate.len() {
                assert_eq!(good_until(&certificate[..cut]), None, "{cut}");
            }
        }
    }

    #[test]
    fn a_file_without_certificates_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.pem");
        for (text, says) in [
            ("", "has no certificate"),
            ("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n", "is not PEM"),
            (&"x".repeat(PEM_MAX_BYTES as usize + 1), "has more than 1048576 bytes"),
        ] {
            std::fs::write(&path, text).unwrap();
            let said = certificates(&path).unwrap_err();
            assert!(said.starts_with(&path.display().to_string()) && said.contains(says), "{said}");
        }
        assert!(certificates(&key("server.key.pem")).unwrap_err().contains("has no certificate"));
        assert!(certificates(&directory.path().join("none")).unwrap_err().contains("cannot be read"));
    }
}
