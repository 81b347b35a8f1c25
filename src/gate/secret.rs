//! Secrets that somebody has to show: a token of the operator, the household's password, the token of a link.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// A secret of which only the hash is kept. It is compared in a time that tells nothing of where two differ.
pub struct HashedSecret([u8; 32]);

impl HashedSecret {
    /// Of this secret.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// The one of which this hash was kept; none if it is no such hash.
    #[must_use]
    pub fn kept(hash: &[u8]) -> Option<Self> {
        hash.try_into().ok().map(Self)
    }

    /// Whether an `Authorization` header shows it.
    #[must_use]
    pub fn is_shown_by(&self, header: Option<&[u8]>) -> bool {
        shown_by(header).is_some_and(|shown| self.is(&shown))
    }

    /// Whether this is it. Takes as long for a wrong one, however much of it is right.
    #[must_use]
    pub fn is(&self, shown: &[u8]) -> bool {
        let shown: [u8; 32] = Sha256::digest(shown).into();
        self.0.iter().zip(shown).fold(0, |differing, (ours, theirs)| differing | (ours ^ theirs)) == 0
    }
}

/// What an `Authorization` header shows as `Bearer` or as the password of `Basic`.
#[must_use]
pub fn shown_by(header: Option<&[u8]>) -> Option<Cow<'_, [u8]>> {
    let (scheme, rest) = split(header?, b' ')?;
    let rest = rest.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Some(Cow::Borrowed(rest));
    }
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let pair = STANDARD.decode(rest).ok()?;
    split(&pair, b':').map(|(_, password)| Cow::Owned(password.to_vec()))
}

fn split(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(at, bytes)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_as_bearer_or_password_and_nothing_near_it() {
        let secret = HashedSecret::new(b"sixteen bytes or");
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        for good in [
            "Bearer sixteen bytes or",
            "bearer sixteen bytes or",
            &basic("x:sixteen bytes or"),
            &basic(":sixteen bytes or"),
        ] {
            assert!(secret.is_shown_by(Some(good.as_bytes())), "{good}");
        }
        let near = ["Bearer sixteen bytes o", "Bearer sixteen bytes orr", "Bearer ", "Bearer", "", "sixteen bytes or"];
        for bad in near.into_iter().chain(["Basic c2l4", "Basic =", "Digest sixteen bytes or"]) {
            assert!(!secret.is_shown_by(Some(bad.as_bytes())), "{bad}");
        }
        assert!(!secret.is_shown_by(Some(basic("sixteen bytes or:x").as_bytes())) && !secret.is_shown_by(None));
    }

    #[test]
    fn a_secret_is_known_by_its_hash() {
        let kept = Sha256::digest(b"of a link");
        let secret = HashedSecret::kept(&kept).unwrap();
        assert!(secret.is(b"of a link") && !secret.is(b"of a lin") && !secret.is(b""));
        assert!(HashedSecret::kept(&kept[1..]).is_none() && HashedSecret::kept(b"").is_none());
        let mut other = kept;
        other[31] ^= 1;
        assert!(!HashedSecret::kept(&other).unwrap().is(b"of a link"));
    }
}
