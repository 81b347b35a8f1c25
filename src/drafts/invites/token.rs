//! The token of an invitation: 128 bits that show that somebody was given the link.
//!
//! It is made of the id of the invitation and of a secret that is drawn when the server starts and is nowhere else. So a request
//! that is repeated, because its answer was lost, is answered with the same link, although no token is kept; after a restart it is
//! not, and says so.

use sha2::{Digest, Sha256};

use crate::gate::HashedSecret;
use crate::random;
use crate::text::hex;

/// Bytes of a token; it is written in twice as many digits.
const TOKEN_BYTES: usize = 16;
/// Digits at its end by which people tell links apart. What is left of it is far too much to guess.
const HINT_DIGITS: usize = 6;

/// Makes tokens. Clones make the same ones.
#[derive(Clone)]
pub(in crate::drafts) struct Tokens {
    secret: [u8; 32],
}

impl Tokens {
    /// With a secret that no others have.
    pub(in crate::drafts) fn new() -> Self {
        Self { secret: random::secret() }
    }

    /// The token of this invitation.
    pub(super) fn of(&self, invite_id: &str) -> Token {
        // The secret has a fixed length, and only a part of the digest is shown: nothing can be appended to it.
        let mut digest = Sha256::new();
        digest.update(self.secret);
        digest.update(invite_id.as_bytes());
        Token(hex(&digest.finalize()[..TOKEN_BYTES]))
    }
}

/// A token as it stands in a link, ours or what somebody has sent for it.
pub(super) struct Token(pub(super) String);

impl Token {
    /// What is kept of it.
    pub(super) fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }

    /// By which people tell it from others.
    pub(super) fn hint(&self) -> &str {
        self.0.get(self.0.len().saturating_sub(HINT_DIGITS)..).unwrap_or_default()
    }

    /// Whether it is the one of which this was kept. Takes as long wherever they differ.
    pub(super) fn is(&self, hash: &[u8]) -> bool {
        HashedSecret::kept(hash).is_some_and(|kept| kept.is(self.0.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_same_for_the_same_invitation_and_secret_and_nowhere_else() {
        let (tokens, others) = (Tokens::new(), Tokens::new());
        let token = tokens.of("an invitation");
        assert_eq!(token.0, tokens.clone().of("an invitation").0);
        assert_eq!(token.0.len(), 32);
        assert!(token.0.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(token.hint(), &token.0[26..]);
        assert_ne!(token.0, tokens.of("another").0);
        assert_ne!(token.0, others.of("an invitation").0);
    }

    #[test]
    fn only_the_whole_token_is_taken() {
        let token = Tokens::new().of("i");
        let hash = token.hash();
        assert!(token.is(&hash));
        for sent in ["", &token.0[1..], &token.0.to_uppercase(), &format!("{}0", token.0)] {
            assert!(sent == token.0 || !Token(sent.to_owned()).is(&hash), "{sent}");
        }
        assert!(!token.is(&hash[..31]) && !token.is(&[]));
        let mut other = hash;
        other[31] ^= 1;
        assert!(!token.is(&other));
        assert_eq!(Token("é".to_owned()).hint(), "é");
    }
}
