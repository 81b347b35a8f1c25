//! Whether a caller has the key.

use sha2::{Digest, Sha256};

/// Compares two keys in a time that says nothing about where they differ or how long the right one is (contract 04, R20). An empty
/// key opens nothing.
#[must_use]
pub fn opens(given: &[u8], key: &[u8]) -> bool {
    let (given_hash, hash) = (Sha256::digest(given), Sha256::digest(key));
    let differences = given_hash.iter().zip(hash.iter()).fold(0, |found, (one, other)| found | (one ^ other));
    differences == 0 && !given.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_key_opens() {
        let key = b"participant-key";
        assert!(opens(key, key));
        for given in [&b""[..], b"participant-ke", b"participant-key ", b"Participant-key", b"qarticipant-key"] {
            assert!(!opens(given, key), "{given:?}");
        }
        assert!(!opens(b"", b""), "no key is no key");
    }
}
