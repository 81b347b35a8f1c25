//! The server's side: the certificate that it shows, which may be replaced while it runs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};
use serde_json::{Map, Value};

use super::{ENDS_SOON, certificates_in, good_until, provider, read, ticketer};
use crate::clock::Timestamp;
use crate::net::counters::CERTIFICATE_ENDS;
use crate::net::options::{TLS_CERTIFICATE, TLS_KEY, TLS_REDIRECT};
use crate::observe::metrics::{Metrics, seconds_since_1970};
use crate::settings::{Knob, Settings, open_to_others};
use crate::text::span;

/// Where a certificate with those that lead to its authority is, and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    /// As configured; none without TLS.
    ///
    /// # Errors
    /// When only one of the two is set.
    pub fn of(settings: &Settings) -> Result<Option<Self>, String> {
        match (settings.path(&TLS_CERTIFICATE), settings.path(&TLS_KEY)) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => Ok(Some(Self { certificate, key })),
            (Some(_), None) => Err(lacking(TLS_CERTIFICATE.name, TLS_KEY.name)),
            (None, Some(_)) => Err(lacking(TLS_KEY.name, TLS_CERTIFICATE.name)),
        }
    }

    /// Where the certificate is.
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// What there is to say of a private key that every user of the machine can read.
    fn exposed(&self) -> Option<String> {
        let (name, path, mode) = (TLS_KEY.name, self.key.display(), open_to_others(&self.key)?);
        Some(format!("{name}={path} has mode {mode:04o}, which lets every user of this machine use the key: chmod o="))
    }

    fn read(&self) -> Result<Texts, String> {
        let named = |knob: &Knob, path| read(path).map_err(|why| format!("{}={why}", knob.name));
        let (certificate, key) = both(named(&TLS_CERTIFICATE, &self.certificate), named(&TLS_KEY, &self.key))?;
        Ok(Texts { certificate, key })
    }
}

/// What cannot be meant of the settings of TLS, whatever is in the files.
#[must_use]
pub fn mistake(settings: &Settings) -> Option<String> {
    match (Files::of(settings), settings.endpoint(&TLS_REDIRECT)) {
        (Err(why), _) => Some(why),
        (Ok(None), Some(place)) => Some(format!(
            "TLS_REDIRECT_ADDR={place} redirects to TLS, which is not set up: set TLS_CERT_FILE and TLS_KEY_FILE, or \
             TLS_REDIRECT_ADDR=off"
        )),
        (Ok(_), _) => None,
    }
}

/// What there is to say of a private key that every user of the machine can read, if there is TLS.
///
/// # Errors
/// The same, where the configuration is strict; or when only one of the two files is set.
pub fn exposed(settings: &Settings) -> Result<Option<String>, String> {
    match Files::of(settings)?.and_then(|files| files.exposed()) {
        Some(sentence) if settings.strict() => Err(sentence),
        found => Ok(found),
    }
}

/// What there is to say of a certificate that is good until then, if it should not be.
pub fn caution(until: Option<Timestamp>, now: Timestamp) -> Option<String> {
    let until = until?;
    let (left, day) = (until.ahead_of(now), until.date());
    if left.is_zero() {
        return Some(format!("the certificate of TLS_CERT_FILE expired on {day}: renew it"));
    }
    let soon = || format!("the certificate of TLS_CERT_FILE expires on {day}, in {}: renew it", span(left.as_secs()));
    (left < ENDS_SOON).then(soon)
}

fn lacking(set: &str, lacks: &str) -> String {
    format!("{set} is set and {lacks} is not: TLS needs a certificate and its key")
}

/// Both, or what is wrong with either: who mends one should not meet the other afterwards.
fn both<A, B>(one: Result<A, String>, other: Result<B, String>) -> Result<(A, B), String> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (Err(why), Ok(_)) | (Ok(_), Err(why)) => Err(why),
        (Err(one), Err(other)) => Err(format!("{one}; {other}")),
    }
}

/// What is in the files.
#[derive(Clone, PartialEq, Eq)]
struct Texts {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// A certificate with its key, found to fit each other.
pub struct Pair {
    shown: Arc<CertifiedKey>,
    /// Until when it is good; none if that cannot be read.
    pub until: Option<Timestamp>,
    texts: Texts,
}

impl Pair {
    /// Reads both files.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn read(files: &Files) -> Result<Self, String> {
        Self::of(files, files.read()?)
    }

    fn of(files: &Files, texts: Texts) -> Result<Self, String> {
        let named = |knob: &Knob, path: &Path, why: String| format!("{}={} {why}", knob.name, path.display());
        let of_key = |why| named(&TLS_KEY, &files.key, why);
        let chain = certificates_in(&texts.certificate);
        let chain = chain.map_err(|why| named(&TLS_CERTIFICATE, &files.certificate, why));
        let key =
            PrivateKeyDer::from_pem_slice(&texts.key).map_err(|_| of_key("contains no private key in PEM".to_owned()));
        let key = key.and_then(|key| {
            let key = provider().key_provider.load_private_key(key);
            key.map_err(|error| of_key(format!("is not a usable key: {error}")))
        });
        let (chain, key) = both(chain, key)?;
        let until = chain.first().and_then(|certificate| good_until(certificate));
        let shown = CertifiedKey::new(chain, key);
        match shown.keys_match() {
            // Of a kind of key that does not tell, the first handshake will.
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(_) => {
                let why = format!("is not the key of the first certificate in {}", files.certificate.display());
                return Err(of_key(why));
            }
        }
        Ok(Self { shown: Arc::new(shown), until, texts })
    }
}

/// TLS as a server speaks it. Clones share it.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
    shown: Arc<Shown>,
}

impl Tls {
    /// As configured, with what is in the files now; none without TLS.
    ///
    /// # Errors
    /// A sentence that names the setting or the file.
    pub fn of(settings: &Settings) -> Result<Option<Self>, String> {
        Files::of(settings)?.map(Self::new).transpose()
    }

    /// With what is in these files now.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn new(files: Files) -> Result<Self, String> {
        let Pair { shown, until, texts } = Pair::read(&files)?;
        let shown = Arc::new(Shown { current: RwLock::new((shown, until)), seen: Mutex::new(Ok(texts)), files });
        let builder = ServerConfig::builder_with_provider(provider());
        let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::clone(&shown) as _);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Who comes back shows what it was given, so that nothing is kept here for those who do not.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = ticketer()?;
        Ok(Self { config: Arc::new(config), shown })
    }

    /// How it is spoken with each client.
    pub(in crate::net) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// What `/readyz` has of it: until when what is shown is good, and a warning if it should not be, or is not what is in the
    /// files.
    pub fn said(&self, now: Timestamp) -> Map<String, Value> {
        let until = self.shown.current.read().1;
        let warning = self.refused().or_else(|| caution(until, now));
        let until = until.map(|until| ("until".to_owned(), until.date().into()));
        until.into_iter().chain(warning.map(|warning| ("warning".to_owned(), warning.into()))).collect()
    }

    /// Has metrics show until when what is shown is good.
    pub fn show(&self, metrics: &Metrics) {
        let (shown, ends) = (Arc::clone(&self.shown), metrics.fraction(&CERTIFICATE_ENDS));
        metrics.sample_with(move || {
            ends.set(shown.current.read().1.map_or(0.0, seconds_since_1970));
        });
    }

    /// Why what is in the files is not what is shown, if it is not.
    fn refused(&self) -> Option<String> {
        self.shown.seen.lock().as_ref().err().map(|(_, why)| why.clone())
    }

    /// What is in the files now, for [`Tls::take`].
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn prepare(&self) -> Result<Pair, String> {
        Pair::read(&self.shown.files)
    }

    /// Shows this from now on.
    pub fn take(&self, pair: Pair) {
        let mut seen = self.shown.seen.lock();
        if seen.as_ref().is_ok_and(|texts| *texts == pair.texts) {
            return;
        }
        self.put(pair.shown, pair.until);
        *seen = Ok(pair.texts);
    }

    /// Shows what is in the files from now on, if it has changed. What is not good is told to the log once, and what was shown
    /// before goes on to be. Handshakes under way end as they began.
    pub fn look(&self) {
        let shown = &self.shown;
        let mut seen = shown.seen.lock();
        let found = shown.files.read();
        let before = match &*seen {
            Ok(texts) => Some(texts),
            Err((texts, _)) => texts.as_ref(),
        };
        match found {
            Ok(texts) if Some(&texts) == before => {}
            Ok(texts) => match Pair::of(&shown.files, texts.clone()) {
                Ok(pair) => {
                    self.put(pair.shown, pair.until);
                    *seen = Ok(texts);
                }
                Err(why) => {
                    log::error!(error = why.as_str(); "tls.not_changed");
                    *seen = Err((Some(texts), why));
                }
            },
            Err(why) if seen.as_ref().is_err_and(|(_, known)| *known == why) => {}
            Err(why) => {
                log::error!(error = why.as_str(); "tls.not_changed");
                *seen = Err((None, why));
            }
        }
    }

    fn put(&self, shown: Arc<CertifiedKey>, until: Option<Timestamp>) {
        // Not refused, however strict: who renews by a script that forgets the mode would end up with no certificate.
        if let Some(sentence) = self.shown.files.exposed() {
            log::warn!("{sentence}");
        }
        *self.shown.current.write() = (shown, until);
        let (file, until) = (self.shown.files.certificate.display().to_string(), until.map(Timestamp::date));
        log::info!(file, until = until.as_deref(); "tls.changed");
    }
}

/// What is in the files; or what they had that is not good, if they could be read, and why.
type Seen = Result<Texts, (Option<Texts>, String)>;

/// What clients are shown.
struct Shown {
    files: Files,
    current: RwLock<(Arc<CertifiedKey>, Option<Timestamp>)>,
    seen: Mutex<Seen>,
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shown").field(&self.files).finish()
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys/tls").join(name)
    }

    fn files(certificate: &str, private: &str) -> Files {
        Files { certificate: key(certificate), key: key(private) }
    }

    #[test]
    fn a_certificate_and_its_key_are_a_pair_and_nothing_else_is() {
        let pair = Pair::read(&files("server.pem", "server.key.pem")).ok().unwrap();
        assert_eq!(pair.until.unwrap().date(), "2120-01-01");
        for (certificate, private, says) in [
            ("server.pem", "renewed.key.pem", "renewed.key.pem is not the key of the first certificate in "),
            ("server.pem", "server.pem", "server.pem contains no private key in PEM"),
            ("server.key.pem", "server.key.pem", "server.key.pem has no certificate in PEM"),
            ("none.pem", "server.key.pem", "none.pem cannot be read"),
            ("server.pem", "none.pem", "TLS_KEY_FILE="),
            ("renewed.key.pem", "server.pem", "TLS_CERT_FILE="),
        ] {
            let said = Pair::read(&files(certificate, private)).err().unwrap();
            assert!(said.contains(says), "{said}");
        }
        // What is wrong with both is said of both.
        for (certificate, private, of_one, of_other) in [
            ("none.pem", "no.key", "none.pem cannot be read: No such file", "no.key cannot be read: No such file"),
            ("server.key.pem", "server.pem", "server.key.pem has no certificate", "server.pem contains no private key"),
        ] {
            let said = Pair::read(&files(certificate, private)).err().unwrap();
            let (one, other) = said.split_once("; ").unwrap();
            assert!(one.starts_with("TLS_CERT_FILE=") && one.contains(of_one), "{said}");
            assert!(other.starts_with("TLS_KEY_FILE=") && other.contains(of_other), "{said}");
        }
    }

    #[test]
    fn what_changes_for_the_better_is_shown_and_what_does_not_leaves_all_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let files = Files { certificate: directory.path().join("c"), key: directory.path().join("k") };
        let copy = |name: &str, to: &Path| _ = std::fs::copy(key(name), to).unwrap();
        copy("server.pem", &files.certificate);
        copy("server.key.pem", &files.key);
        let tls = Tls::new(files.clone()).ok().unwrap();
        let shown = || tls.shown.current.read().1.unwrap().date();
        let first = Arc::clone(&tls.shown.current.read().0);
        tls.look();
        assert!(Arc::ptr_eq(&first, &tls.shown.current.read().0), "nothing has changed");
        // Half of a renewal.
        copy("renewed.pem", &files.certificate);
        tls.look();
        assert!(tls.refused().unwrap().contains("is not the key of"), "{:?}", tls.refused());
        assert_eq!(shown(), "2120-01-01");
        std::fs::remove_file(&files.key).unwrap();
        tls.look();
        assert!(tls.refused().unwrap().contains("cannot be read"));
        copy("renewed.key.pem", &files.key);
        tls.look();
        assert_eq!((tls.refused(), shown().as_str()), (None, "2119-01-01"));
        // As it was, byte for byte, after something that was not good.
        std::fs::write(&files.certificate, "nothing").unwrap();
        tls.look();
        copy("renewed.pem", &files.certificate);
        tls.look();
        assert_eq!((tls.refused(), shown().as_str()), (None, "2119-01-01"));
    }
}
