//! Each row carries a hash of what it says and of the row before, so that nothing in between can be changed, removed
//! or moved without a trace.
//!
//! The hash is SHA-256 over, one after the other: the domain `inkring.audit.1`; `id` and `ts`, each as 8 bytes, big
//! endian, two's complement; `request_id`, `user_id`, `action`, the subject, `metadata`, `ip`, `user_agent`, each as one
//! byte 0 if it is NULL, else as one byte 1, its length in bytes as 8 bytes, big endian, and its UTF-8; at last
//! `prev_hash` in the way of a text. Lengths come first, so no two rows can come to the same bytes.

use sha2::{Digest as _, Sha256};

/// What the hashed bytes begin with: another way of making them has another name.
const DOMAIN: &[u8] = b"inkring.audit.1";

/// A place in the chain: a row by its id, and its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The row; 0 stands before the first one there ever was.
    pub id: i64,
    /// Its hash.
    pub hash: Vec<u8>,
}

impl Link {
    /// What the first row ever follows.
    pub fn beginning() -> Self {
        Self { id: 0, hash: vec![0; 32] }
    }
}

/// What a row says, its place and hashes left out. Bytes, because a row that was tampered with need not be text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content<'a> {
    /// When, in microseconds since 1970 UTC.
    pub ts: i64,
    /// `request_id`, `user_id`, `action`, the subject, `metadata`, `ip`, `user_agent`.
    pub texts: [Option<&'a [u8]>; 7],
}

/// The hash of a row that stands at `id` behind a row with the hash `prev_hash`.
pub fn hash(id: i64, content: &Content<'_>, prev_hash: &[u8]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    feed(id, content, prev_hash, |bytes| hasher.update(bytes));
    hasher.finalize().into()
}

fn feed(id: i64, content: &Content<'_>, prev_hash: &[u8], mut sink: impl FnMut(&[u8])) {
    sink(DOMAIN);
    sink(&id.to_be_bytes());
    sink(&content.ts.to_be_bytes());
    for text in content.texts.into_iter().chain([Some(prev_hash)]) {
        match text {
            None => sink(&[0]),
            Some(text) => {
                sink(&[1]);
                sink(&(text.len() as u64).to_be_bytes());
                sink(text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_hash_is_the_one_that_is_documented() {
        let texts =
            ["r", "alice", "collab.append_segment", "d", r#"{"content_len":2}"#, "192.0.2.1"].map(str::as_bytes);
        let [request, user, action, subject, metadata, ip] = texts.map(Some);
        let content =
            Content { ts: 1_766_484_000_123_456, texts: [request, user, action, subject, metadata, ip, None] };
        let mut bytes = Vec::new();
        feed(1, &content, &[0; 32], |part| bytes.extend_from_slice(part));
        // The same, built the long way round.
        let mut expected = b"inkring.audit.1".to_vec();
        expected.extend([0, 0, 0, 0, 0, 0, 0, 1]);
        expected.extend(1_766_484_000_123_456_u64.to_be_bytes());
        for text in texts {
            expected.extend([1, 0, 0, 0, 0, 0, 0, 0, text.len() as u8]);
            expected.extend(text);
        }
        expected.push(0);
        expected.extend([1, 0, 0, 0, 0, 0, 0, 0, 32]);
        expected.extend([0; 32]);
        assert_eq!(bytes, expected);
        assert_eq!(hash(1, &content, &[0; 32]), <[u8; 32]>::from(Sha256::digest(&expected)));
    }

    fn bytes_of(id: i64, ts: i64, texts: &[Option<Vec<u8>>], prev_hash: &[u8]) -> Vec<u8> {
        let mut fields = [None; 7];
        for (field, text) in fields.iter_mut().zip(texts) {
            *field = text.as_deref();
        }
        let mut bytes = Vec::new();
        feed(id, &Content { ts, texts: fields }, prev_hash, |part| bytes.extend_from_slice(part));
        bytes
    }

    type Fields = (i64, i64, Vec<Option<Vec<u8>>>, Vec<u8>);

    /// Reads back what was fed: if that is always possible, no two rows come to the same bytes.
    fn parse(bytes: &[u8]) -> Fields {
        fn take<'b>(rest: &mut &'b [u8], length: usize) -> &'b [u8] {
            let (taken, left) = rest.split_at(length);
            *rest = left;
            taken
        }
        let number = |bytes: &[u8]| i64::from_be_bytes(bytes.try_into().unwrap());
        let mut rest = bytes.strip_prefix(DOMAIN).unwrap();
        let (id, ts) = (number(take(&mut rest, 8)), number(take(&mut rest, 8)));
        let mut texts = Vec::new();
        while !rest.is_empty() {
            texts.push((take(&mut rest, 1) == [1]).then(|| {
                let length = number(take(&mut rest, 8)) as usize;
                take(&mut rest, length).to_vec()
            }));
        }
        let prev_hash = texts.pop().unwrap().unwrap();
        (id, ts, texts, prev_hash)
    }

    proptest! {
        #[test]
        fn no_two_rows_come_to_the_same_bytes(
            id: i64,
            ts: i64,
            // Few letters, among them those of lengths and marks, so that texts could pass for each other's borders.
            texts in prop::collection::vec(prop::option::of(prop::collection::vec(0..4_u8, 0..12)), 7),
            prev_hash in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            prop_assert_eq!(parse(&bytes_of(id, ts, &texts, &prev_hash)), (id, ts, texts, prev_hash));
        }
    }
}
