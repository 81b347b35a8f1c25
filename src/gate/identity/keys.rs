//! The keys that tokens are verified with: one secret, one public key, or a set of keys that tokens choose from by name.
//!
//! Each key has one algorithm, which follows from what it is and never from the token. Those in files are read at the
//! start and looked at again by the housekeeper; a shard only takes the set that is in force and reads no file (G6).

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::jwk::{AlgorithmParameters, CommonParameters, Jwk, OctetKeyParameters, OctetKeyType};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, TokenData, Validation, decode, decode_header};
use parking_lot::Mutex;
use serde_json::{Map, Value};
use spki::{Document, ObjectIdentifier, SubjectPublicKeyInfoRef};

use super::bad_token::BadToken;
use crate::gate::live::Live;
use crate::housekeeper::Task;

/// The longest file of keys, in bytes.
pub(super) const KEYS_FILE_MAX_BYTES: usize = 262_144;
/// The most keys in a set.
pub(super) const KEYS_MAX: usize = 100;
/// RSA keys in bits: shorter ones can be broken, longer ones cost too much of a shard's time.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;
/// The shortest `oct` key in bytes: as long as what HS256 makes with it (RFC 7518 §3.2).
const OCT_MIN_BYTES: usize = 32;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// What is wrong with a file of keys: one sentence that names the file and shows nothing of the keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadKeys(String);

/// What a file of keys holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One public key.
    Pem,
    /// A set of keys (RFC 7517 §5).
    Jwks,
}

/// A key and the one algorithm that goes with it.
#[derive(Debug, Clone)]
struct Key {
    /// Its name, `kid`, in a set.
    id: Option<String>,
    key: DecodingKey,
    signature: Validation,
}

impl Key {
    fn new(key: DecodingKey, algorithm: Algorithm) -> Self {
        // The library is asked for the signature only: it would read the machine's clock, and pass over claims that it
        // cannot read or that are absent.
        let mut signature = Validation::new(algorithm);
        signature.required_spec_claims.clear();
        signature.validate_exp = false;
        signature.validate_nbf = false;
        signature.validate_aud = false;
        Self { id: None, key, signature }
    }

    fn is_secret(&self) -> bool {
        self.signature.algorithms.contains(&Algorithm::HS256)
    }
}

/// The keys in force at one moment.
#[derive(Debug)]
enum KeySet {
    /// For every token, whatever key it names.
    One(Box<Key>),
    /// Chosen by name.
    Named(Vec<Key>),
}

impl KeySet {
    /// The key that a token is to be verified with.
    fn choose(&self, token: &[u8]) -> Result<&Key, BadToken> {
        let keys = match self {
            Self::One(key) => return Ok(key),
            Self::Named(keys) => keys,
        };
        let header = decode_header(token).map_err(|_| BadToken::NotSigned)?;
        match (header.kid, &keys[..]) {
            (Some(id), _) => keys.iter().find(|key| key.id.as_ref() == Some(&id)).ok_or(BadToken::UnknownKey),
            (None, [key]) => Ok(key),
            (None, _) => Err(BadToken::NoKeyNamed),
        }
    }
}

/// The keys in force, shared by all shards.
#[derive(Debug, Clone)]
pub struct Keys(Live<KeySet>);

impl Keys {
    /// A secret, for tokens signed with HMAC-SHA-256.
    pub fn secret(secret: &[u8]) -> Self {
        Self::new(KeySet::One(Box::new(Key::new(DecodingKey::from_secret(secret), Algorithm::HS256))))
    }

    fn new(keys: KeySet) -> Self {
        Self(Live::new(keys))
    }

    /// Header and claims of a token that is signed by the key it is to be verified with.
    pub(super) fn verify(&self, token: &[u8]) -> Result<TokenData<Map<String, Value>>, BadToken> {
        let keys = self.0.now();
        let Key { key, signature, .. } = keys.choose(token)?;
        decode(token, key, signature).map_err(|_| BadToken::NotSigned)
    }

    /// Whether any of them is a secret: its reader can sign.
    pub fn hold_a_secret(&self) -> bool {
        match &*self.0.now() {
            KeySet::One(key) => key.is_secret(),
            KeySet::Named(keys) => keys.iter().any(Key::is_secret),
        }
    }
}

/// A file of keys, and what was last read of it.
pub struct KeyFile {
    path: PathBuf,
    form: Form,
    /// The text, or why there was none.
    seen: Result<Vec<u8>, BadKeys>,
    keys: Keys,
}

impl KeyFile {
    /// Reads the keys.
    ///
    /// # Errors
    /// The file cannot be read, is not of this form, or holds a key that is too weak or private.
    pub fn open(path: &Path, form: Form) -> Result<Self, BadKeys> {
        let text = read(path)?;
        let keys = Keys::new(parse(form, &text).map_err(|why| about(path, &why))?);
        Ok(Self { path: path.to_owned(), form, seen: Ok(text), keys })
    }

    /// The keys, which follow the file.
    pub fn keys(&self) -> Keys {
        self.keys.clone()
    }

    /// Takes the keys of a file that has changed. If it is invalid now, the keys stay as they are, and the log says so once.
    pub fn look(&mut self) {
        let seen = read(&self.path);
        if seen == self.seen {
            return;
        }
        self.seen = seen;
        let read = self.seen.as_ref().map_err(Clone::clone);
        match read.and_then(|text| parse(self.form, text).map_err(|why| about(&self.path, &why))) {
            Ok(keys) => {
                self.keys.0.replace(keys);
                self.log_changed();
            }
            Err(error) => log::error!(error = error.to_string(); "keys.not_changed"),
        }
    }

    fn log_changed(&self) {
        log::info!(file = self.path.display().to_string(); "keys.changed");
    }
}

/// The file of keys that the housekeeper looks at, if there is one. Clones share it.
#[derive(Clone, Default)]
pub(in crate::gate) struct KeyWatch(Arc<Mutex<Option<KeyFile>>>);

impl KeyWatch {
    /// Has this file looked at from now on and no other; none has nothing looked at. Says so if the same file has other
    /// keys than it had.
    pub(in crate::gate) fn replace(&self, file: Option<KeyFile>) {
        let mut watched = self.0.lock();
        if let (Some(old), Some(new)) = (&*watched, &file)
            && (&old.path, old.form) == (&new.path, new.form)
            && old.seen != new.seen
        {
            new.log_changed();
        }
        *watched = file;
    }

    /// Has the housekeeper look at it.
    pub(in crate::gate) fn task(self, every: Duration) -> Task {
        let look = move || self.0.lock().iter_mut().for_each(KeyFile::look);
        Task { name: "keys", every, run: Box::new(move |_| look()) }
    }
}

fn about(path: &Path, why: &str) -> BadKeys {
    BadKeys(format!("{} {why}", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>, BadKeys> {
    let mut bytes = Vec::new();
    let limit = KEYS_FILE_MAX_BYTES as u64 + 1;
    let read = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    read.map_err(|error| about(path, &format!("cannot be read: {error}")))?;
    if bytes.len() > KEYS_FILE_MAX_BYTES {
        return Err(about(path, &format!("has more than {KEYS_FILE_MAX_BYTES} bytes")));
    }
    Ok(bytes)
}

fn parse(form: Form, text: &[u8]) -> Result<KeySet, String> {
    match form {
        Form::Pem => pem(text).map(|key| KeySet::One(Box::new(key))),
        Form::Jwks => jwks(text).map(KeySet::Named),
    }
}

/// A public key as openssl writes it.
fn pem(text: &[u8]) -> Result<Key, String> {
    const ADVICE: &str =
        "use the public key of RSA, P-256 or Ed25519 in PEM, for example the output of openssl pkey -pubout";
    let bad = |what: &str| format!("{what}: {ADVICE}");
    let text = std::str::from_utf8(text).map_err(|_| bad("is not PEM"))?.trim();
    let (label, document) = Document::from_pem(text).map_err(|_| bad("is not PEM"))?;
    match label {
        "PUBLIC KEY" => {}
        "RSA PUBLIC KEY" => return rsa_der(document.as_bytes()),
        private if private.ends_with("PRIVATE KEY") => {
            return Err(bad("contains a private key, which only the signer may have"));
        }
        _ => return Err(bad("contains no public key")),
    }
    let info =
        SubjectPublicKeyInfoRef::try_from(document.as_bytes()).map_err(|_| bad("contains no readable public key"))?;
    let curve = info.algorithm.parameters_oid().ok();
    let bytes = info.subject_public_key.as_bytes().unwrap_or_default();
    match (info.algorithm.oid, curve) {
        (RSA, _) => rsa_der(bytes),
        (EC, Some(P256)) => good(DecodingKey::from_ec_der(bytes), Algorithm::ES256),
        (ED25519, _) => good(DecodingKey::from_ed_der(bytes), Algorithm::EdDSA),
        _ => Err(bad("contains a key of an unsupported type")),
    }
}

fn rsa_der(bytes: &[u8]) -> Result<Key, String> {
    let key = pkcs1::RsaPublicKey::try_from(bytes).map_err(|_| "contains no readable RSA key".to_owned())?;
    let (n, e) = (key.modulus.as_bytes(), key.public_exponent.as_bytes());
    good(DecodingKey::from_rsa_raw_components(n, e), Algorithm::RS256)
}

/// The keys of a set that are for verifying and of a kind that we know; others are passed over (RFC 7517 §5).
fn jwks(text: &[u8]) -> Result<Vec<Key>, String> {
    // What is wrong with the JSON could repeat a part of a key, so only the place is told.
    let document: Value = serde_json::from_slice(text)
        .map_err(|error| format!("is not JSON (line {}, column {}): use a JWK set", error.line(), error.column()))?;
    let listed = document.get("keys").and_then(Value::as_array);
    let listed = listed.ok_or("is not a JWK set: it needs a member keys that is a list")?;
    if listed.len() > KEYS_MAX {
        return Err(format!("has more than {KEYS_MAX} keys"));
    }
    let mut keys: Vec<Key> = Vec::new();
    for (nth, jwk) in listed.iter().enumerate() {
        let bad = |why: String| format!("has a bad key, number {}: it {why}", nth + 1);
        let Some(key) = jwk_key(jwk).map_err(bad)? else { continue };
        if keys.iter().any(|other| other.id == key.id) {
            return Err(bad("has the kid of an earlier one, or neither has any".to_owned()));
        }
        keys.push(key);
    }
    if keys.is_empty() { Err("has no key that can verify tokens".to_owned()) } else { Ok(keys) }
}

/// A key of a set; none if it is not for us.
fn jwk_key(jwk: &Value) -> Result<Option<Key>, String> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let needed = |name: &str| text(name).ok_or_else(|| format!("has no {name}"));
    let kty = needed("kty")?;
    let (algorithm, names) = match (kty, text("crv")) {
        ("RSA", _) => (Algorithm::RS256, &["RS256"][..]),
        ("EC", Some("P-256")) => (Algorithm::ES256, &["ES256"][..]),
        // RFC 8037, and its new name of RFC 9864.
        ("OKP", Some("Ed25519")) => (Algorithm::EdDSA, &["EdDSA", "Ed25519"][..]),
        ("oct", _) => (Algorithm::HS256, &["HS256"][..]),
        _ => return Ok(None),
    };
    let verifies = |operations: &Value| operations.as_array().is_some_and(|all| all.iter().any(|one| one == "verify"));
    if jwk.get("use").is_some_and(|purpose| purpose != "sig")
        || jwk.get("alg").is_some_and(|alg| !names.iter().any(|name| alg == name))
        || jwk.get("key_ops").is_some_and(|operations| !verifies(operations))
    {
        return Ok(None);
    }
    if jwk.get("d").is_some() {
        return Err("contains its private part, which only the signer may have".to_owned());
    }
    let id = match jwk.get("kid") {
        None => None,
        Some(Value::String(id)) => Some(id.clone()),
        Some(_) => return Err("has a kid that is not text".to_owned()),
    };
    let key = match algorithm {
        Algorithm::RS256 => DecodingKey::from_rsa_components(needed("n")?, needed("e")?),
        Algorithm::ES256 => DecodingKey::from_ec_components(needed("x")?, needed("y")?),
        Algorithm::EdDSA => DecodingKey::from_ed_components(needed("x")?),
        _ => {
            let value = needed("k")?.to_owned();
            let algorithm = AlgorithmParameters::OctetKey(OctetKeyParameters { key_type: OctetKeyType::Octet, value });
            DecodingKey::from_jwk(&Jwk { common: CommonParameters::default(), algorithm })
        }
    };
    let key = key.map_err(|_| "is not in base64url".to_owned())?;
    Ok(Some(Key { id, ..good(key, algorithm)? }))
}

/// Holds a key to what can be relied on: strong enough, and such that the library can work with it.
fn good(key: DecodingKey, algorithm: Algorithm) -> Result<Key, String> {
    match (algorithm, key.kind()) {
        (_, DecodingKeyKind::RsaModulusExponent { n, e }) => {
            let n = &n[n.iter().take_while(|byte| **byte == 0).count()..];
            let bits = n.len() * 8 - n.first().map_or(0, |byte| byte.leading_zeros() as usize);
            if !RSA_BITS.contains(&bits) {
                let (least, most) = (RSA_BITS.start(), RSA_BITS.end());
                return Err(format!("is an RSA key of {bits} bits: use {least} to {most}"));
            }
            let is_odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
            // The library takes exponents below 2^33, and 1 would make every text its own signature.
            let e = &e[e.iter().take_while(|byte| **byte == 0).count()..];
            if !is_odd(n) || !is_odd(e) || e == [1] || e.len() > 4 {
                return Err("is not a valid RSA key".to_owned());
            }
        }
        (Algorithm::HS256, DecodingKeyKind::SecretOrDer(secret)) if secret.len() < OCT_MIN_BYTES => {
            return Err(format!("is a secret of {} bytes: use at least {OCT_MIN_BYTES}", secret.len()));
        }
        // The library would take what is longer, and trip over what is shorter.
        (Algorithm::EdDSA, DecodingKeyKind::SecretOrDer(point)) if point.len() != 32 => {
            return Err("is not an Ed25519 key: it does not have 32 bytes".to_owned());
        }
        _ => {}
    }
    // Whether a point lies on its curve shows when it is used.
    jsonwebtoken::crypto::verify("", b"", &key, algorithm).map_err(|_| "is not a valid key".to_owned())?;
    Ok(Key::new(key, algorithm))
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use jsonwebtoken::jwk::Jwk;
    use jsonwebtoken::{EncodingKey, Header, encode};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const RSA_PEM: &str = include_str!("../../../tests/keys/rsa.pub.pem");
    const P256_PEM: &str = include_str!("../../../tests/keys/p256.pub.pem");
    const ED_PEM: &str = include_str!("../../../tests/keys/ed25519.pub.pem");

    /// Each kind of key: its algorithm, the private half, the public half in PEM, and another one's.
    fn kinds() -> [(Algorithm, EncodingKey, &'static str, &'static str); 3] {
        let der = |pem: &str| Document::from_pem(pem).unwrap().1.as_bytes().to_vec();
        let rsa = EncodingKey::from_rsa_der(&der(include_str!("../../../tests/keys/rsa.pem")));
        let p256 = EncodingKey::from_ec_der(&der(include_str!("../../../tests/keys/p256.pem")));
        let ed = EncodingKey::from_ed_der(&der(include_str!("../../../tests/keys/ed25519.pem")));
        [
            (Algorithm::RS256, rsa, RSA_PEM, include_str!("../../../tests/keys/rsa-other.pub.pem")),
            (Algorithm::ES256, p256, P256_PEM, include_str!("../../../tests/keys/p256-other.pub.pem")),
            (Algorithm::EdDSA, ed, ED_PEM, include_str!("../../../tests/keys/ed25519-other.pub.pem")),
        ]
    }

    fn token(algorithm: Algorithm, kid: Option<&str>, key: &EncodingKey) -> String {
        let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
        encode(&header, &json!({ "sub": "alice" }), key).unwrap()
    }

    fn set(form: Form, text: &str) -> Result<Keys, String> {
        parse(form, text.as_bytes()).map(Keys::new)
    }

    fn verify(keys: &Keys, token: &str) -> Result<String, BadToken> {
        keys.verify(token.as_bytes()).map(|token| token.claims["sub"].as_str().unwrap().to_owned())
    }

    fn public(key: &EncodingKey, algorithm: Algorithm, id: &str) -> Value {
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(key, algorithm).unwrap()).unwrap();
        jwk["kid"] = json!(id);
        jwk
    }

    fn jwks_of(keys: &[Value]) -> Result<Keys, String> {
        set(Form::Jwks, &json!({ "keys": keys }).to_string())
    }

    #[test]
    fn each_kind_of_public_key_takes_its_own_signatures_and_no_others() {
        for (algorithm, private, pem, other) in kinds() {
            let (keys, others) = (set(Form::Pem, pem).unwrap(), set(Form::Pem, other).unwrap());
            let good = token(algorithm, None, &private);
            assert_eq!(verify(&keys, &good).as_deref(), Ok("alice"), "{algorithm:?}");
            let named = token(algorithm, Some("any"), &private);
            assert_eq!(verify(&keys, &named).as_deref(), Ok("alice"), "there is only this key, whatever it is called");
            assert_eq!(verify(&others, &good), Err(BadToken::NotSigned), "{algorithm:?}");
            for (foreign, _, pem, _) in kinds().iter().filter(|(other, ..)| *other != algorithm) {
                let keys = set(Form::Pem, pem).unwrap();
                assert_eq!(verify(&keys, &good), Err(BadToken::NotSigned), "{algorithm:?} under a key of {foreign:?}");
            }
            assert!(!keys.hold_a_secret());
        }
        let keys = set(Form::Pem, include_str!("../../../tests/keys/rsa.pkcs1.pub.pem")).unwrap();
        let [(algorithm, private, ..), ..] = kinds();
        assert!(verify(&keys, &token(algorithm, None, &private)).is_ok(), "the older form of PEM");
        for stronger in [Algorithm::RS384, Algorithm::RS512, Algorithm::PS256] {
            assert_eq!(verify(&keys, &token(stronger, None, &private)), Err(BadToken::NotSigned), "{stronger:?}");
        }
    }

    #[test]
    fn a_public_key_is_never_taken_for_a_secret() {
        for (algorithm, private, pem, _) in kinds() {
            let der = Document::from_pem(pem).unwrap().1.as_bytes().to_vec();
            let info = SubjectPublicKeyInfoRef::try_from(&der[..]).unwrap();
            let bare = info.subject_public_key.as_bytes().unwrap();
            let sets = [set(Form::Pem, pem).unwrap(), jwks_of(&[public(&private, algorithm, "a")]).unwrap()];
            for secret in [pem.as_bytes(), pem.trim().as_bytes(), &der, bare, b""] {
                let forged = token(Algorithm::HS256, Some("a"), &EncodingKey::from_secret(secret));
                let (signed, _) = forged.rsplit_once('.').unwrap();
                for (keys, forged) in sets.iter().flat_map(|keys| [(keys, &forged[..]), (keys, signed)]) {
                    assert_eq!(verify(keys, forged), Err(BadToken::NotSigned), "{algorithm:?}");
                }
            }
            // {"alg":"none","kid":"a"} and {"sub":"alice"}
            let unsigned = "eyJhbGciOiJub25lIiwia2lkIjoiYSJ9.eyJzdWIiOiJhbGljZSJ9.";
            assert!(sets.iter().all(|keys| verify(keys, unsigned) == Err(BadToken::NotSigned)));
        }
    }

    #[test]
    fn a_set_of_keys_is_chosen_from_by_name() {
        let mut listed: Vec<Value> = Vec::new();
        let secret = EncodingKey::from_secret(b"0123456789abcdef0123456789abcdef");
        let mut signers: Vec<_> = kinds().into_iter().map(|(algorithm, private, ..)| (algorithm, private)).collect();
        signers.push((Algorithm::HS256, secret));
        let names = ["one", "two", "three", "four"];
        for ((algorithm, private), name) in signers.iter().zip(names) {
            listed.push(public(private, *algorithm, name));
        }
        let keys = jwks_of(&listed).unwrap();
        assert!(keys.hold_a_secret());
        for ((algorithm, private), name) in signers.iter().zip(names) {
            for asked in names {
                let found = verify(&keys, &token(*algorithm, Some(asked), private));
                assert_eq!(found.is_ok(), asked == name, "{algorithm:?} as {asked}: {found:?}");
            }
            assert_eq!(verify(&keys, &token(*algorithm, Some("five"), private)), Err(BadToken::UnknownKey));
            assert_eq!(verify(&keys, &token(*algorithm, Some(""), private)), Err(BadToken::UnknownKey));
            assert_eq!(verify(&keys, &token(*algorithm, None, private)), Err(BadToken::NoKeyNamed));
            let alone = jwks_of(&[public(private, *algorithm, name)]).unwrap();
            assert!(verify(&alone, &token(*algorithm, None, private)).is_ok(), "a single key need not be named");
            assert_eq!(verify(&alone, &token(*algorithm, Some("five"), private)), Err(BadToken::UnknownKey));
        }
        for text in ["", ".", "..", "a.b.c", "e30.e30.", "\0"] {
            assert_eq!(verify(&keys, text), Err(BadToken::NotSigned), "{text:?}");
        }
    }

    #[test]
    fn two_keys_live_at_once_while_one_takes_over_from_the_other() {
        let [old, new] = [b"old-old-old-old-old-old-old-old-", b"new-new-new-new-new-new-new-new-"]
            .map(|secret| EncodingKey::from_secret(secret));
        let listed = [("old", &old), ("new", &new)].map(|(id, key)| public(key, Algorithm::HS256, id));
        let tokens = [("old", &old), ("new", &new)].map(|(id, key)| token(Algorithm::HS256, Some(id), key));
        let taken = |listed: &[Value]| {
            let keys = jwks_of(listed).unwrap();
            tokens.each_ref().map(|token| verify(&keys, token).is_ok())
        };
        assert_eq!(taken(&listed[..1]), [true, false]);
        assert_eq!(taken(&listed), [true, true]);
        assert_eq!(taken(&listed[1..]), [false, true]);
    }

    #[test]
    fn what_is_not_for_verifying_here_is_passed_over() {
        let [(_, rsa, ..), (_, p256, ..), _] = kinds();
        let good = public(&p256, Algorithm::ES256, "good");
        let with = |name: &str, value: Value| {
            let mut jwk = public(&rsa, Algorithm::RS256, "x");
            jwk[name] = value;
            jwk
        };
        let others = [
            json!({ "kty": "EC", "crv": "P-384", "kid": "p", "x": "AA", "y": "AA" }),
            json!({ "kty": "OKP", "crv": "X25519", "x": "AA" }),
            json!({ "kty": "later" }),
            with("use", json!("enc")),
            with("alg", json!("RSA-OAEP")),
            with("alg", json!("RS512")),
            with("alg", json!("HS256")),
            with("key_ops", json!(["encrypt"])),
            with("key_ops", json!("verify")),
        ];
        for other in &others {
            let keys = jwks_of(&[other.clone(), good.clone()]).unwrap();
            assert!(verify(&keys, &token(Algorithm::ES256, None, &p256)).is_ok(), "{other}");
            assert_eq!(verify(&keys, &token(Algorithm::RS256, Some("x"), &rsa)), Err(BadToken::UnknownKey), "{other}");
            assert!(jwks_of(std::slice::from_ref(other)).unwrap_err().contains("no key that can verify"), "{other}");
        }
        for (name, value) in [("use", json!("sig")), ("alg", json!("RS256")), ("key_ops", json!(["sign", "verify"]))] {
            let keys = jwks_of(&[with(name, value)]).unwrap();
            assert!(verify(&keys, &token(Algorithm::RS256, Some("x"), &rsa)).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_bad_key_is_refused_by_what_is_wrong_and_not_repeated() {
        let [(_, rsa, ..), (_, p256, ..), (_, ed, ..)] = kinds();
        let [rsa, p256, ed] = [
            public(&rsa, Algorithm::RS256, "r"),
            public(&p256, Algorithm::ES256, "p"),
            public(&ed, Algorithm::EdDSA, "e"),
        ];
        let secret = json!({ "kty": "oct", "k": "aHVudGVyMi1odW50ZXIyLWh1bnRlcjItaHVudGVyMi0" });
        let with = |jwk: &Value, name: &str, value: Value| {
            let mut jwk = jwk.clone();
            jwk[name] = value;
            jwk
        };
        let n = |bytes: usize| "A".repeat(bytes * 4 / 3 - 1) + "B";
        for (jwk, why) in [
            (json!("hunter2"), "has no kty"),
            (json!({ "kty": 7 }), "has no kty"),
            (with(&rsa, "kid", json!(7)), "kid that is not text"),
            (with(&rsa, "n", json!(7)), "has no n"),
            (with(&rsa, "n", json!("hunter2!")), "is not in base64url"),
            (with(&rsa, "n", json!("_".repeat(170) + "w")), "an RSA key of 1024 bits: use 2048 to 4096"),
            (with(&rsa, "n", json!("_".repeat(2000))), "an RSA key of 12000 bits"),
            (with(&rsa, "n", json!(n(300))), "an RSA key of 1 bits"),
            (with(&rsa, "e", json!("AQ")), "is not a valid"),
            (with(&rsa, "e", json!("Ag")), "is not a valid"),
            (with(&rsa, "e", json!("AQAAAAAB")), "is not a valid"),
            (with(&rsa, "e", json!("")), "is not a valid"),
            (with(&rsa, "d", json!("hunter2")), "its private part"),
            (with(&p256, "d", json!("hunter2")), "its private part"),
            (with(&p256, "x", json!("AAAA")), "is not a valid"),
            (with(&p256, "y", p256["x"].clone()), "is not a valid"),
            (with(&ed, "x", json!("AAAA")), "it does not have 32 bytes"),
            (with(&ed, "x", json!(format!("{}AAAA", ed["x"].as_str().unwrap()))), "it does not have 32 bytes"),
            (with(&secret, "k", json!("aHVudGVyMg")), "a secret of 7 bytes: use at least 32"),
            (with(&secret, "k", json!("hunter2=")), "is not in base64url"),
            (json!({ "kty": "oct" }), "has no k"),
        ] {
            let said = jwks_of(&[secret.clone(), jwk.clone()]).unwrap_err();
            assert!(said.starts_with("has a bad key, number 2: it ") && said.contains(why), "{jwk}: {said}");
            assert!(!said.contains("hunter2") && !said.contains("aHVudGVyMg"), "{said}");
        }
        for (listed, why) in [
            (vec![rsa.clone(), rsa.clone()], "number 2: it has the kid of an earlier one"),
            (vec![secret.clone(), secret.clone()], "neither has any"),
            (vec![], "has no key that can verify tokens"),
            (vec![rsa; 101], "more than 100 keys"),
        ] {
            let said = jwks_of(&listed).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
        for text in
            ["", "hunter2", "{\"keys\":[{\"kty\":hunter2}]}", "[]", "{}", "{\"keys\":{}}", RSA_PEM, "\u{feff}{}"]
        {
            let said = set(Form::Jwks, text).unwrap_err();
            assert!(said.starts_with("is not JSON (line ") || said.contains("member keys"), "{said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn a_file_of_one_key_has_to_hold_a_good_public_one() {
        let cut = &RSA_PEM[..RSA_PEM.len() / 2];
        let other_kind = P256_PEM.replace("PUBLIC KEY", "RSA PUBLIC KEY");
        for (text, why) in [
            ("", "is not PEM"),
            ("hunter2", "is not PEM"),
            (cut, "is not PEM"),
            (include_str!("../../../tests/keys/rsa.pem"), "contains a private key"),
            (include_str!("../../../tests/keys/p256.pem"), "contains a private key"),
            (include_str!("../../../tests/keys/certificate.pem"), "contains no public key"),
            (include_str!("../../../tests/keys/p384.pub.pem"), "a key of an unsupported type"),
            (include_str!("../../../tests/keys/rsa1024.pub.pem"), "an RSA key of 1024 bits: use 2048"),
            (&other_kind, "no readable RSA key"),
            (&format!("{RSA_PEM}{P256_PEM}"), "is not PEM"),
        ] {
            let said = set(Form::Pem, text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
        assert!(parse(Form::Pem, b"\xff").is_err());
        for form in [RSA_PEM.replace('\n', "\r\n"), format!("\n {RSA_PEM}\n\n")] {
            assert!(set(Form::Pem, &form).is_ok(), "{form:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_file_whatever_trips_the_reader(
            bytes in vec(any::<u8>(), 0..200),
            kind in 0..3_usize,
            at in any::<prop::sample::Index>(),
            changed in any::<u8>(),
        ) {
            // Made once: to sign with RSA takes its time.
            static MADE: LazyLock<[(&str, String, String); 3]> = LazyLock::new(|| {
                kinds().map(|(algorithm, private, pem, _)| {
                    let jwks = json!({ "keys": [public(&private, algorithm, "a")] }).to_string();
                    (pem, jwks, token(algorithm, Some("a"), &private))
                })
            });
            let (pem, jwks, token) = &MADE[kind];
            for (form, good) in [(Form::Pem, pem.as_bytes()), (Form::Jwks, jwks.as_bytes())] {
                prop_assert!(parse(form, &bytes).is_err());
                let mut near = good.to_vec();
                near[at.index(good.len())] = changed;
                // Whatever is taken can be worked with.
                if let Ok(keys) = parse(form, &near) {
                    let _ = verify(&Keys::new(keys), token);
                }
            }
        }
    }

    #[test]
    fn a_file_that_has_changed_is_taken_and_a_bad_one_keeps_the_keys() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        let [(_, rsa, ..), (_, p256, ..), _] = kinds();
        let tokens = [token(Algorithm::RS256, None, &rsa), token(Algorithm::ES256, None, &p256)];
        let missing = KeyFile::open(&path, Form::Pem).err().unwrap().to_string();
        assert_eq!(missing, format!("{} cannot be read: No such file or directory (os error 2)", path.display()));
        std::fs::write(&path, RSA_PEM).unwrap();
        let mut file = KeyFile::open(&path, Form::Pem).unwrap();
        let keys = file.keys();
        let mut taken = |text: Option<&str>| {
            match text {
                Some(text) => std::fs::write(&path, text).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            file.look();
            file.look();
            tokens.each_ref().map(|token| verify(&keys, token).is_ok())
        };
        assert_eq!(taken(Some(RSA_PEM)), [true, false]);
        assert_eq!(taken(Some("half a")), [true, false]);
        assert_eq!(taken(None), [true, false]);
        assert_eq!(taken(Some(P256_PEM)), [false, true]);
        assert_eq!(taken(Some(&"x".repeat(KEYS_FILE_MAX_BYTES + 1))), [false, true]);
        assert_eq!(taken(Some(RSA_PEM)), [true, false]);
    }

    #[test]
    fn keys_that_are_printed_show_nothing() {
        let secret = json!({ "kty": "oct", "k": "aHVudGVyMi1odW50ZXIyLWh1bnRlcjItaHVudGVyMi0" });
        let shown = format!("{:?}", jwks_of(&[secret]).unwrap());
        let as_numbers = format!("{:?}", b"hunter2");
        assert!(
            !shown.contains("hunter2")
                && !shown.contains("aHVud")
                && !shown.contains(as_numbers.trim_matches(['[', ']']))
        );
    }
}
