//! Signed tokens: from the bytes of a JWT to the user it names, or to why it is not taken.
//!
//! The algorithm is the key's, never the token's: what names another one, `none` included, is refused before its
//! signature is looked at. Times are compared with a time that is passed in. The sentences for clients are those of
//! contract 01 §0.4; the log is told more, but never anything of the token (G7).

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::{Map, Value};

use super::identity::user_id_rules;
use crate::clock::Timestamp;

/// The longest token that is looked at, in bytes.
pub const TOKEN_MAX_BYTES: usize = 8192;
/// How many seconds the clock of whoever signs may differ from ours.
const LEEWAY_SECONDS: i64 = 30;

const MICROS_PER_SECOND: i64 = 1_000_000;

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadToken {
    /// Different tokens were sent at once.
    Several,
    /// Over [`TOKEN_MAX_BYTES`].
    TooLong,
    /// Not signed by this key with its algorithm, or no token at all.
    NotSigned,
    /// It demands to be read in a way that we do not know (RFC 7515 §4.1.11).
    Critical,
    /// `exp` or `nbf` is no number.
    NoTime,
    /// `nbf` is yet to come.
    NotYet,
    /// `exp` is over.
    Expired,
    /// There is no `exp`, and there has to be one.
    NoExpiry,
    /// Not from the issuer that is asked for.
    Issuer,
    /// Not for the audience that is asked for.
    Audience,
    /// `sub` is no user id.
    Subject,
    /// There is no `sub`, or it is empty.
    NoSubject,
}

impl BadToken {
    /// For the client.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Expired => "Token expired",
            Self::NoSubject => "Token verification failed",
            _ => "Invalid token",
        }
    }

    /// For the log.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Several => "different tokens in one request",
            Self::TooLong => "the token is too long",
            Self::NotSigned => "the token is malformed, or not signed with this key and its algorithm",
            Self::Critical => "the token has a crit header",
            Self::NoTime => "exp or nbf is not a number",
            Self::NotYet => "nbf is yet to come",
            Self::Expired => "exp is over",
            Self::NoExpiry => "there is no exp, which production asks for",
            Self::Issuer => "iss is not JWT_ISSUER",
            Self::Audience => "aud is not JWT_AUDIENCE",
            Self::Subject => "sub is not a user id",
            Self::NoSubject => "there is no sub",
        }
    }
}

/// What is asked of a token besides its signature.
#[derive(Debug, Clone, Default)]
pub struct Demands {
    /// The `iss` it must have, if any.
    pub issuer: Option<String>,
    /// The `aud` it must have, alone or among others, if any.
    pub audience: Option<String>,
    /// Whether it must have an `exp`. One that is there counts either way.
    pub expiry: bool,
}

/// Verifies tokens with one key. To take other kinds of keys, give it another constructor: a key, and the one algorithm
/// that goes with it.
#[derive(Debug, Clone)]
pub struct Verifier {
    key: DecodingKey,
    signature: Validation,
    demands: Demands,
}

impl Verifier {
    /// For tokens signed with HMAC-SHA-256 under this secret.
    #[must_use]
    pub fn hs256(secret: &[u8], demands: Demands) -> Self {
        Self::new(DecodingKey::from_secret(secret), Algorithm::HS256, demands)
    }

    fn new(key: DecodingKey, algorithm: Algorithm, demands: Demands) -> Self {
        // The library is asked for the signature only: it would read the machine's clock, and pass over claims that it
        // cannot read or that are absent.
        let mut signature = Validation::new(algorithm);
        signature.required_spec_claims.clear();
        signature.validate_exp = false;
        signature.validate_nbf = false;
        signature.validate_aud = false;
        Self { key, signature, demands }
    }

    /// The user whom a token names.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn verify(&self, token: &[u8], now: Timestamp) -> Result<String, BadToken> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(BadToken::TooLong);
        }
        let signed = decode::<Map<String, Value>>(token, &self.key, &self.signature);
        let signed = signed.map_err(|_| BadToken::NotSigned)?;
        if signed.header.crit.is_some() {
            return Err(BadToken::Critical);
        }
        self.demands.check(&signed.claims, now)?;
        subject(&signed.claims)
    }
}

impl Demands {
    fn check(&self, claims: &Map<String, Value>, now: Timestamp) -> Result<(), BadToken> {
        if time(claims, "nbf")?.is_some_and(|from| from > seconds(now, LEEWAY_SECONDS)) {
            return Err(BadToken::NotYet);
        }
        match time(claims, "exp")? {
            Some(until) if until <= seconds(now, -LEEWAY_SECONDS) => return Err(BadToken::Expired),
            None if self.expiry => return Err(BadToken::NoExpiry),
            _ => {}
        }
        let has = |name, wanted: &Option<String>| match (wanted, claims.get(name)) {
            (None, _) => true,
            (Some(wanted), Some(Value::String(found))) => found == wanted,
            // Only aud may be a list (RFC 7519 §4.1.1, §4.1.3).
            (Some(wanted), Some(Value::Array(found))) => name == "aud" && found.iter().any(|one| one == wanted),
            (Some(_), _) => false,
        };
        if !has("iss", &self.issuer) {
            return Err(BadToken::Issuer);
        }
        if !has("aud", &self.audience) {
            return Err(BadToken::Audience);
        }
        Ok(())
    }
}

/// A moment in the seconds of a token, moved by so many of them.
fn seconds(at: Timestamp, moved_by_seconds: i64) -> f64 {
    // To the microsecond for the next 200 years.
    at.0.saturating_add(moved_by_seconds * MICROS_PER_SECOND) as f64 / MICROS_PER_SECOND as f64
}

/// A claim that is a moment (RFC 7519 §2, NumericDate).
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<f64>, BadToken> {
    claims.get(name).map(|value| value.as_f64().ok_or(BadToken::NoTime)).transpose()
}

fn subject(claims: &Map<String, Value>) -> Result<String, BadToken> {
    match claims.get("sub") {
        None => Err(BadToken::NoSubject),
        Some(Value::String(user)) if user.is_empty() => Err(BadToken::NoSubject),
        Some(Value::String(user)) if user_id_rules(user).done().is_ok() => Ok(user.clone()),
        Some(_) => Err(BadToken::Subject),
    }
}
