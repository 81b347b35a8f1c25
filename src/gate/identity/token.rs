//! Signed tokens: from the bytes of a JWT to the user it names, or to why it is not taken.
//!
//! The algorithm is the key's ([`Keys`]), never the token's: what names another one, `none` included, is refused before
//! its signature is looked at. Times are compared with a time that is passed in. The sentences for clients are those of
//! contract 01 §0.4; the log is told more, but never anything of the token (G7).

use std::time::Duration;

use jsonwebtoken::dangerous::insecure_decode;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Map, Value, json};

use super::bad_token::{BadToken, TOKEN_MAX_BYTES};
use super::keys::Keys;
use super::user::{Caller, is_user_id};
use crate::clock::{SECOND_MICROS, Timestamp};

/// How many seconds the signer's clock may differ from ours.
const LEEWAY_SECONDS: i64 = 30;
/// The longest that a token is minted for, in hours.
pub const MINT_MAX_HOURS: u32 = 24 * 365;

/// What is asked of a token besides its signature.
#[derive(Debug, Clone, Default)]
pub struct Demands {
    /// The `iss` it must have, if any.
    pub issuer: Option<String>,
    /// The `aud` it must have, alone or among others, if any.
    pub audience: Option<String>,
    /// Whether it must have an `exp`. One that is there counts either way.
    pub expiry: bool,
    /// The longest life that it may have, from `iat` to `exp`, if there is one.
    pub max_life: Option<Duration>,
}

/// Verifies tokens.
#[derive(Debug, Clone)]
pub struct Verifier {
    keys: Keys,
    demands: Demands,
}

impl Verifier {
    /// With these keys.
    pub fn new(keys: Keys, demands: Demands) -> Self {
        Self { keys, demands }
    }

    /// For tokens signed with HMAC-SHA-256 under this secret.
    pub fn hs256(secret: &[u8], demands: Demands) -> Self {
        Self::new(Keys::secret(secret), demands)
    }

    /// The user whom a token names, and until when.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn verify(&self, token: &[u8], now: Timestamp) -> Result<Caller, BadToken> {
        if token.is_empty() {
            return Err(BadToken::Empty);
        }
        if token.len() > TOKEN_MAX_BYTES {
            return Err(BadToken::TooLong);
        }
        let signed = self.keys.verify(token)?;
        if signed.header.crit.is_some() {
            return Err(BadToken::Critical);
        }
        let until = self.demands.check(&signed.claims, now)?;
        Ok(Caller { user: subject(&signed.claims)?, until, claims: Some(signed.claims) })
    }
}

/// Signs a token with HMAC-SHA-256 for this user and so many hours, such as meets the demands. `jti` is what it can be revoked by.
///
/// # Errors
/// The library's, should it not be able to.
pub fn mint(
    secret: &[u8],
    user: &str,
    hours: u32,
    demands: &Demands,
    jti: &str,
    now: Timestamp,
) -> Result<String, jsonwebtoken::errors::Error> {
    let issued = now.seconds();
    let mut claims = json!({ "sub": user, "iat": issued, "exp": issued + i64::from(hours) * 3600, "jti": jti });
    for (name, wanted) in [("iss", &demands.issuer), ("aud", &demands.audience)] {
        if let Some(wanted) = wanted {
            claims[name] = Value::from(wanted.as_str());
        }
    }
    encode(&Header::default(), &claims, &EncodingKey::from_secret(secret))
}

/// What a token says of itself, header and claims. Nothing of it is verified: it is for people to look at.
pub fn unverified(token: &str) -> Option<(Value, Map<String, Value>)> {
    let found = insecure_decode::<Map<String, Value>>(token).ok()?;
    Some((serde_json::to_value(found.header).ok()?, found.claims))
}

impl Demands {
    /// Until when the claims are taken, leeway included, if they say so.
    fn check(&self, claims: &Map<String, Value>, now: Timestamp) -> Result<Option<Timestamp>, BadToken> {
        if time(claims, "nbf")?.is_some_and(|from| from > seconds(now, LEEWAY_SECONDS)) {
            return Err(BadToken::NotYet);
        }
        let expires = time(claims, "exp")?;
        match expires {
            Some(until) if until <= seconds(now, -LEEWAY_SECONDS) => return Err(BadToken::Expired),
            None if self.expiry => return Err(BadToken::NoExpiry),
            _ => {}
        }
        if let Some(most) = self.max_life {
            let issued = time(claims, "iat")?;
            // Without either it could live for ever.
            let life = expires.zip(issued).map(|(expires, issued)| expires - issued);
            if !life.is_some_and(|life| life <= most.as_secs_f64()) {
                return Err(BadToken::Life);
            }
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
        // Saturates: what expires after the end of time does not.
        Ok(expires.map(|at| Timestamp(((at + LEEWAY_SECONDS as f64) * SECOND_MICROS as f64) as i64)))
    }
}

/// A moment in the seconds of a token, moved by so many of them.
fn seconds(at: Timestamp, moved_by_seconds: i64) -> f64 {
    // To the microsecond for the next 200 years.
    at.0.saturating_add(moved_by_seconds * SECOND_MICROS) as f64 / SECOND_MICROS as f64
}

/// A claim that is a moment (RFC 7519 §2, NumericDate).
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<f64>, BadToken> {
    claims.get(name).map(|value| value.as_f64().ok_or(BadToken::NoTime)).transpose()
}

/// The user: `sub`, or `userId` where there is none (contract 03 §3.2).
pub(super) fn subject(claims: &Map<String, Value>) -> Result<String, BadToken> {
    match claims.get("sub").or_else(|| claims.get("userId")) {
        None => Err(BadToken::NoSubject),
        Some(Value::String(user)) if user.is_empty() => Err(BadToken::NoSubject),
        Some(Value::String(user)) if is_user_id(user) => Ok(user.clone()),
        Some(_) => Err(BadToken::Subject),
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::Algorithm;
    use jsonwebtoken::crypto::sign;

    use super::*;

    const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
    /// What the tests take for now, in seconds.
    const NOW: i64 = 1_766_484_000;

    fn base64url(bytes: &[u8]) -> String {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let sextets = |chunk: &[u8]| {
            let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
            (0..=chunk.len()).map(|at| char::from(LETTERS[bits as usize >> (18 - 6 * at) & 63])).collect::<String>()
        };
        bytes.chunks(3).map(sextets).collect()
    }

    /// Signed by HMAC-SHA-256 whatever its header says.
    fn token_with(header: &Value, claims: &str, key: &[u8]) -> String {
        let message = format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(claims.as_bytes()));
        let signature = sign(message.as_bytes(), &EncodingKey::from_secret(key), Algorithm::HS256).unwrap();
        format!("{message}.{signature}")
    }

    fn token(claims: &Value) -> String {
        token_with(&json!({ "alg": "HS256", "typ": "JWT" }), &claims.to_string(), KEY)
    }

    fn verify_with(demands: Demands, claims: &Value) -> Result<String, BadToken> {
        let found = Verifier::hs256(KEY, demands).verify(token(claims).as_bytes(), Timestamp(NOW * SECOND_MICROS));
        found.map(|caller| caller.user)
    }

    fn verify(claims: &Value) -> Result<String, BadToken> {
        verify_with(Demands::default(), claims)
    }

    fn verify_text(token: &str) -> Result<String, BadToken> {
        let verifier = Verifier::hs256(KEY, Demands::default());
        verifier.verify(token.as_bytes(), Timestamp(NOW * SECOND_MICROS)).map(|caller| caller.user)
    }

    #[test]
    fn the_user_is_the_subject() {
        let alice = json!({ "sub": "alice" });
        assert_eq!(verify(&alice).as_deref(), Ok("alice"));
        // As others make them: with the library's own writer, and an example kept from elsewhere.
        let made = encode(&Header::default(), &alice, &EncodingKey::from_secret(KEY)).unwrap();
        assert_eq!(verify_text(&made).as_deref(), Ok("alice"));
        let known = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
                     eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.\
                     SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c";
        let verifier = Verifier::hs256(b"your-256-bit-secret", Demands::default());
        let known = verifier.verify(known.as_bytes(), Timestamp(0));
        let claims = json!({ "sub": "1234567890", "name": "John Doe", "iat": 1_516_239_022 }).as_object().cloned();
        assert_eq!(known, Ok(Caller { user: "1234567890".to_owned(), until: None, claims }));
    }

    #[test]
    fn a_subject_follows_the_rules_of_user_ids() {
        for (claims, expected) in [
            (json!({}), BadToken::NoSubject),
            (json!({ "sub": "" }), BadToken::NoSubject),
            (json!({ "sub": null }), BadToken::Subject),
            (json!({ "sub": 7 }), BadToken::Subject),
            // Where it expects a text, the library itself reads no further than this.
            (json!({ "sub": ["alice"] }), BadToken::NotSigned),
            (json!({ "sub": { "id": "alice" } }), BadToken::NotSigned),
            (json!({ "sub": "a\u{0}b" }), BadToken::Subject),
            (json!({ "sub": "alice\n" }), BadToken::Subject),
            (json!({ "sub": "a\u{85}b" }), BadToken::Subject),
            (json!({ "sub": "a\u{fffd}b" }), BadToken::Subject),
            (json!({ "sub": "x".repeat(101) }), BadToken::Subject),
            (json!({ "sub": "🖋".repeat(101) }), BadToken::Subject),
            (json!({ "sub": "", "userId": "alice" }), BadToken::NoSubject),
            (json!({ "userId": "" }), BadToken::NoSubject),
            (json!({ "userId": ["alice"] }), BadToken::Subject),
            (json!({ "userid": "alice" }), BadToken::NoSubject),
        ] {
            assert_eq!(verify(&claims), Err(expected), "{claims}");
        }
        for user in ["x", " a b ", "🖋", "user_2abcDEF", &"🖋".repeat(100)] {
            assert_eq!(verify(&json!({ "sub": user })).as_deref(), Ok(user));
        }
    }

    #[test]
    fn where_there_is_no_subject_the_user_is_the_user_id() {
        assert_eq!(verify(&json!({ "userId": "alice" })).as_deref(), Ok("alice"));
        assert_eq!(verify(&json!({ "userId": "alice", "sub": "bob" })).as_deref(), Ok("bob"));
    }

    #[test]
    fn times_have_a_leeway_of_thirty_seconds() {
        let cases = [
            (json!({ "exp": NOW + 1 }), Ok(())),
            (json!({ "exp": NOW }), Ok(())),
            (json!({ "exp": NOW - 29 }), Ok(())),
            (json!({ "exp": NOW - 30 }), Err(BadToken::Expired)),
            (json!({ "exp": NOW as f64 - 29.5 }), Ok(())),
            (json!({ "exp": NOW as f64 - 30.5 }), Err(BadToken::Expired)),
            (json!({ "exp": 0 }), Err(BadToken::Expired)),
            (json!({ "exp": -1 }), Err(BadToken::Expired)),
            (json!({ "exp": u64::MAX }), Ok(())),
            (json!({ "exp": f64::MAX }), Ok(())),
            (json!({ "exp": f64::MIN }), Err(BadToken::Expired)),
            (json!({ "nbf": NOW }), Ok(())),
            (json!({ "nbf": NOW + 30 }), Ok(())),
            (json!({ "nbf": NOW + 31 }), Err(BadToken::NotYet)),
            (json!({ "nbf": NOW as f64 + 30.5 }), Err(BadToken::NotYet)),
            (json!({ "nbf": 0 }), Ok(())),
            (json!({ "nbf": u64::MAX }), Err(BadToken::NotYet)),
            (json!({ "nbf": NOW + 60, "exp": NOW - 60 }), Err(BadToken::NotYet)),
            (json!({ "iat": NOW + 3600 }), Ok(())),
        ];
        for (mut claims, expected) in cases {
            claims["sub"] = json!("alice");
            for expiry in [false, claims.get("exp").is_some()] {
                let found = verify_with(Demands { expiry, ..Demands::default() }, &claims);
                assert_eq!(found.map(|_| ()), expected, "{claims}");
            }
        }
        for name in ["exp", "nbf"] {
            for bad in [json!("1766484000"), json!(null), json!(true), json!([NOW])] {
                let mut claims = json!({ "sub": "alice" });
                claims[name] = bad;
                let found = verify(&claims);
                assert!(matches!(found, Err(BadToken::NoTime | BadToken::NotSigned)), "{claims}: {found:?}");
            }
        }
    }

    #[test]
    fn times_are_compared_with_the_time_that_is_passed_in() {
        let token = token(&json!({ "sub": "alice", "exp": 1000, "nbf": 500 }));
        let verifier = Verifier::hs256(KEY, Demands::default());
        let at = |micros| verifier.verify(token.as_bytes(), Timestamp(micros)).map(|_| ());
        assert_eq!(at(469_999_999), Err(BadToken::NotYet));
        assert_eq!(at(470_000_000), Ok(()));
        assert_eq!(at(1_029_999_999), Ok(()));
        assert_eq!(at(1_030_000_000), Err(BadToken::Expired));
        assert_eq!(at(i64::MAX), Err(BadToken::Expired));
        assert_eq!(at(i64::MIN), Err(BadToken::NotYet));
    }

    #[test]
    fn a_token_says_until_when_it_is_taken() {
        let until = |exp: Value| {
            let token = token(&json!({ "sub": "alice", "exp": exp }));
            let verifier = Verifier::hs256(KEY, Demands::default());
            verifier.verify(token.as_bytes(), Timestamp(0)).unwrap().until.map(|at| at.0)
        };
        assert_eq!(until(json!(1000)), Some(1_030_000_000), "the very moment from which on it is refused");
        assert_eq!(until(json!(1000.5)), Some(1_030_500_000));
        assert_eq!(until(json!(f64::MAX)), Some(i64::MAX));
        assert_eq!(until(json!(u64::MAX)), Some(i64::MAX));
    }

    #[test]
    fn what_is_minted_is_taken_and_names_what_is_asked_for() {
        let demands =
            Demands { issuer: Some("us".to_owned()), audience: Some("ring".to_owned()), expiry: true, max_life: None };
        let minted = mint(KEY, "alice", 24, &demands, "j-1", Timestamp(NOW * SECOND_MICROS)).unwrap();
        let (header, claims) = unverified(&minted).unwrap();
        assert_eq!(header, json!({ "typ": "JWT", "alg": "HS256" }));
        let expected =
            json!({ "sub": "alice", "iat": NOW, "exp": NOW + 86_400, "jti": "j-1", "iss": "us", "aud": "ring" });
        assert_eq!(Value::Object(claims), expected);
        let verifier = Verifier::hs256(KEY, demands);
        let at = |seconds: i64| verifier.verify(minted.as_bytes(), Timestamp(seconds * SECOND_MICROS));
        assert_eq!(at(NOW).unwrap().user, "alice");
        assert_eq!(at(NOW + 86_430), Err(BadToken::Expired));
        let plain = mint(KEY, "alice", 1, &Demands::default(), "j-2", Timestamp(0)).unwrap();
        assert_eq!(unverified(&plain).unwrap().1.len(), 4);
        for text in ["", "a.b.c", "a.b", "e30.e30"] {
            assert_eq!(unverified(text), None, "{text}");
        }
    }

    #[test]
    fn an_expiry_can_be_demanded() {
        let demands = Demands { expiry: true, ..Demands::default() };
        assert_eq!(verify_with(demands.clone(), &json!({ "sub": "alice" })), Err(BadToken::NoExpiry));
        assert_eq!(verify_with(demands, &json!({ "sub": "alice", "exp": NOW })).as_deref(), Ok("alice"));
        assert_eq!(verify(&json!({ "sub": "alice" })).as_deref(), Ok("alice"));
    }

    #[test]
    fn a_life_can_be_bounded() {
        let demands = Demands { max_life: Some(Duration::from_secs(100)), ..Demands::default() };
        let of = |claims: Value| verify_with(demands.clone(), &claims).map(|_| ());
        assert_eq!(of(json!({ "sub": "a", "iat": NOW - 50, "exp": NOW + 50 })), Ok(()));
        for claims in [
            json!({ "sub": "a", "iat": NOW - 51, "exp": NOW + 50 }),
            json!({ "sub": "a", "exp": NOW + 50 }),
            json!({ "sub": "a", "iat": NOW }),
            json!({ "sub": "a" }),
        ] {
            assert_eq!(of(claims.clone()), Err(BadToken::Life), "{claims}");
        }
        assert_eq!(of(json!({ "sub": "a", "iat": "x", "exp": NOW + 50 })), Err(BadToken::NoTime));
    }

    #[test]
    fn issuer_and_audience_are_checked_when_they_are_asked_for() {
        let demands =
            Demands { issuer: Some("us".to_owned()), audience: Some("ring".to_owned()), expiry: false, max_life: None };
        for (issuer, audience, expected) in [
            (json!("us"), json!("ring"), Ok(())),
            (json!("us"), json!(["other", "ring"]), Ok(())),
            (json!("us"), json!(["ring"]), Ok(())),
            (json!("us"), json!(["other"]), Err(BadToken::Audience)),
            (json!("us"), json!([]), Err(BadToken::Audience)),
            (json!("us"), json!("Ring"), Err(BadToken::Audience)),
            (json!("us"), json!("ring "), Err(BadToken::Audience)),
            (json!("us"), json!(""), Err(BadToken::Audience)),
            (json!("us"), json!(null), Err(BadToken::Audience)),
            (json!("us"), json!([["ring"]]), Err(BadToken::Audience)),
            (json!("them"), json!("ring"), Err(BadToken::Issuer)),
            (json!(["us"]), json!("ring"), Err(BadToken::Issuer)),
            (json!(7), json!("ring"), Err(BadToken::Issuer)),
            (json!(null), json!("ring"), Err(BadToken::Issuer)),
        ] {
            let claims = json!({ "sub": "alice", "iss": issuer, "aud": audience });
            let found = verify_with(demands.clone(), &claims).map(|_| ());
            assert_eq!(found, expected, "{claims}");
            assert!(verify(&claims).is_ok(), "any will do without: {claims}");
        }
        let absent = |claims: &Value| verify_with(demands.clone(), claims);
        assert_eq!(absent(&json!({ "sub": "alice", "aud": "ring" })), Err(BadToken::Issuer));
        assert_eq!(absent(&json!({ "sub": "alice", "iss": "us" })), Err(BadToken::Audience));
        assert!(verify(&json!({ "sub": "alice" })).is_ok());
    }

    #[test]
    fn the_algorithm_is_the_keys() {
        let claims = json!({ "sub": "alice" }).to_string();
        for algorithm in [
            "none", "None", "", "hs256", "HS384", "HS512", "RS256", "RS384", "PS256", "ES256", "EdDSA", "dir", "A128KW",
        ] {
            // Signed by HMAC with our key: what a verifier that believed the header could be led to take.
            let confused = token_with(&json!({ "alg": algorithm }), &claims, KEY);
            assert_eq!(verify_text(&confused), Err(BadToken::NotSigned), "{algorithm}");
            let unsigned = format!("{}.", confused.rsplit_once('.').unwrap().0);
            assert_eq!(verify_text(&unsigned), Err(BadToken::NotSigned), "{algorithm}");
        }
        for (algorithm, name) in [(Algorithm::HS384, "HS384"), (Algorithm::HS512, "HS512")] {
            let honest = encode(&Header::new(algorithm), &json!({ "sub": "alice" }), &EncodingKey::from_secret(KEY));
            assert_eq!(verify_text(&honest.unwrap()), Err(BadToken::NotSigned), "{name}");
        }
        for header in [json!({}), json!({ "alg": null }), json!({ "alg": ["HS256"] }), json!([]), json!("HS256")] {
            assert_eq!(verify_text(&token_with(&header, &claims, KEY)), Err(BadToken::NotSigned), "{header}");
        }
        // Keys that the token brings along are not used.
        let own = json!({ "alg": "HS256", "kid": "../../dev/null", "jku": "https://evil.example",
                          "jwk": { "kty": "oct", "k": "AAAA" } });
        assert_eq!(verify_text(&token_with(&own, &claims, &[0; 3])), Err(BadToken::NotSigned));
    }

    #[test]
    fn a_header_that_demands_what_we_do_not_know_is_refused() {
        let header = json!({ "alg": "HS256", "crit": ["b64"], "b64": false });
        let claims = json!({ "sub": "alice" }).to_string();
        assert_eq!(verify_text(&token_with(&header, &claims, KEY)), Err(BadToken::Critical));
    }

    #[test]
    fn only_the_signature_of_this_very_text_by_this_very_key_counts() {
        let good = token(&json!({ "sub": "alice" }));
        assert!(verify_text(&good).is_ok());
        let another = [b"0123456789abcdef0123456789abcdeg", &KEY[..31], b"", b"\0"];
        for key in another {
            let claims = json!({ "sub": "alice" }).to_string();
            let foreign = token_with(&json!({ "alg": "HS256" }), &claims, key);
            assert_eq!(verify_text(&foreign), Err(BadToken::NotSigned));
        }
        // One letter changed anywhere.
        for at in 0..good.len() {
            let mut changed = good.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(verify_text(&changed), Err(BadToken::NotSigned), "{changed}");
        }
        for cut in 1..good.len() {
            assert_eq!(verify_text(&good[..cut]), Err(BadToken::NotSigned));
            assert_eq!(verify_text(&good[cut..]), Err(BadToken::NotSigned));
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let (header, _) =
            token(&json!({})).split_once('.').map(|(header, rest)| (header.to_owned(), rest.len())).unwrap();
        assert_eq!(verify_text(""), Err(BadToken::Empty));
        for text in [".", "..", "...", "a.b.c", " ", "\0", "null", "Bearer", "....", &format!("{header}..")] {
            assert_eq!(verify_text(text), Err(BadToken::NotSigned), "{text:?}");
        }
        let good = token(&json!({ "sub": "alice" }));
        for text in [format!(" {good}"), format!("{good} "), format!("{good}."), format!("{good}="), good.repeat(2)] {
            assert_eq!(verify_text(&text), Err(BadToken::NotSigned), "{text:?}");
        }
        for claims in ["", "{", "[]", "null", "\"alice\"", "7", "{\"sub\":\"\\ud800\"}", "{\"sub\":\"alice\"} x"] {
            let signed = token_with(&json!({ "alg": "HS256" }), claims, KEY);
            assert_eq!(verify_text(&signed), Err(BadToken::NotSigned), "{claims}");
        }
        let deep = "[".repeat(2000) + &"]".repeat(2000);
        let signed = token_with(&json!({ "alg": "HS256" }), &format!("{{\"sub\":\"a\",\"x\":{deep}}}"), KEY);
        assert_eq!(verify_text(&signed), Err(BadToken::NotSigned), "depth is bounded");
        let verifier = Verifier::hs256(KEY, Demands::default());
        assert_eq!(verifier.verify(b"\xff.\xff.\xff", Timestamp(0)), Err(BadToken::NotSigned));
    }

    #[test]
    fn a_token_is_read_up_to_its_bound_and_not_one_byte_further() {
        let of = |padding: usize| token(&json!({ "sub": "alice", "x": "x".repeat(padding) }));
        let fits = (6050..6070).rev().map(of).find(|token| token.len() <= TOKEN_MAX_BYTES).unwrap();
        assert!(fits.len() > TOKEN_MAX_BYTES - 4);
        assert!(verify_text(&fits).is_ok());
        let beyond = (6050..6070).map(of).find(|token| token.len() > TOKEN_MAX_BYTES).unwrap();
        assert_eq!(verify_text(&beyond), Err(BadToken::TooLong));
        for giant in [of(20_000), ".".repeat(20_000), "x".repeat(20_000)] {
            assert_eq!(verify_text(&giant), Err(BadToken::TooLong));
        }
    }

    #[test]
    fn a_verifier_that_is_printed_does_not_show_its_key() {
        let key = b"hunter2-hunter2-hunter2-hunter2!";
        let shown = format!("{:?}", Verifier::hs256(key, Demands::default()));
        let as_numbers = format!("{key:?}");
        assert!(!shown.contains("hunter2") && !shown.contains(as_numbers.trim_matches(['[', ']'])), "{shown}");
    }
}
