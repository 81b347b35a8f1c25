//! The chain of hashes over the segments of a draft: whoever has the last one can tell whether anything before it was changed,
//! removed or moved.
//!
//! A segment has two hashes. The first is SHA-256 of its text in UTF-8. The second is SHA-256 of three lines of ASCII, each ended
//! by a line feed: the second hash of the segment before (64 zeros before the first), the segment's id, and its first hash; hashes
//! as hexadecimal digits in lower case. The order of the segments is that of the draft. The author is not covered, so that a name
//! can be taken out of a draft, and the text only by its hash, so that a text can be.

use sha2::{Digest as _, Sha256};

/// SHA-256.
pub type Hash = [u8; 32];

/// What the first segment follows.
pub const BEGINNING: Hash = [0; 32];

/// A segment in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Position in the draft, from 0.
    pub order: i64,
    /// The segment's id.
    pub segment_id: String,
    /// Of its text.
    pub content: Hash,
    /// Of this segment behind those before it.
    pub chain: Hash,
}

impl Link {
    /// Of a segment with this text behind one whose hash is `previous`.
    pub fn new(previous: &Hash, order: i64, segment_id: &str, text: &str) -> Self {
        let content = content(text);
        Self { order, segment_id: segment_id.to_owned(), content, chain: chain(previous, segment_id, &content) }
    }
}

/// The hash of a text.
pub fn content(text: &str) -> Hash {
    Sha256::digest(text.as_bytes()).into()
}

/// The hash of a segment with the hash `content` behind one with the hash `previous`.
pub fn chain(previous: &Hash, segment_id: &str, content: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(hex(previous));
    hasher.update(b"\n");
    hasher.update(segment_id.as_bytes());
    hasher.update(b"\n");
    hasher.update(hex(content));
    hasher.update(b"\n");
    hasher.finalize().into()
}

/// A hash as hexadecimal digits in lower case, which are ASCII.
pub fn hex(hash: &Hash) -> [u8; 64] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut digits = [0; 64];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(hash) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    digits
}

/// What is wrong with a chain. Numbers are orders of segments.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Break {
    /// There is no segment where one must be, or another than the next.
    #[error("segment {0} is missing")]
    Order(i64),
    /// The text is not the one that was hashed.
    #[error("the text of segment {0} is not the one that was hashed")]
    Content(i64),
    /// The hash does not follow from the one before.
    #[error("the hash of segment {0} does not follow from the one before it")]
    Chain(i64),
    /// The last hash is not the one that the draft notes.
    #[error("the last hash is not the one that the draft itself has noted")]
    Last,
}

/// Goes along a chain.
#[derive(Debug)]
pub struct Walk {
    previous: Hash,
    next: i64,
}

impl Default for Walk {
    fn default() -> Self {
        Self { previous: BEGINNING, next: 0 }
    }
}

impl Walk {
    /// How many links were found good.
    pub fn good(&self) -> i64 {
        self.next
    }

    /// The hash of the last of them.
    pub fn last(&self) -> &Hash {
        &self.previous
    }

    /// Goes on to the next segment with its text, if that is still there.
    ///
    /// # Errors
    /// The first [`Break`]; the walk stays where it is.
    pub fn step(&mut self, link: &Link, text: Option<&str>) -> Result<(), Break> {
        if link.order != self.next {
            return Err(Break::Order(self.next));
        }
        if text.is_some_and(|text| content(text) != link.content) {
            return Err(Break::Content(link.order));
        }
        if chain(&self.previous, &link.segment_id, &link.content) != link.chain {
            return Err(Break::Chain(link.order));
        }
        self.previous = link.chain;
        self.next += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text_of(hash: &Hash) -> String {
        hex(hash).iter().map(|digit| char::from(*digit)).collect()
    }

    /// Made with `sha256sum` of coreutils.
    #[test]
    fn the_hashes_are_those_that_a_shell_makes() {
        let first = Link::new(&BEGINNING, 0, "16851bdc-8f59-42b8-bfa0-2a748dc45e1b", "The lamp went out at nine.");
        assert_eq!(text_of(&first.content), "484ec6e08a18be7074b7ca580e3c3ae4567feff52ff1b4a2c89c47f5880718a5");
        assert_eq!(text_of(&first.chain), "ae3d214b88e605d006e5a4750a9e0ea6dbdf3d035f5b87f76bd374a3ccc85c17");
        let second = Link::new(&first.chain, 1, "5b98e005-078d-437b-b5e9-9cab5d5251d1", "Привіт, світе!");
        assert_eq!(text_of(&second.content), "cd3f1dd512b68c9d2e5b5a288ccf8f971028de96f65b3afc90c4daee24fa750f");
        assert_eq!(text_of(&second.chain), "6c0e758e64e5875901c7cbc0271f56fa6ba854420142255a6015963a49e75c6b");
    }

    fn chain_of(texts: &[String]) -> Vec<Link> {
        let mut previous = BEGINNING;
        let link = |(order, text): (usize, &String)| {
            let link = Link::new(&previous, order as i64, &format!("id-{order}"), text);
            previous = link.chain;
            link
        };
        texts.iter().enumerate().map(link).collect()
    }

    fn walked(links: &[Link], texts: &[Option<&str>]) -> Result<i64, Break> {
        let mut walk = Walk::default();
        links.iter().zip(texts).try_for_each(|(link, text)| walk.step(link, *text))?;
        Ok(walk.good())
    }

    proptest! {
        #[test]
        fn a_chain_holds_without_texts_and_not_with_another_text_order_or_hash(
            texts in proptest::collection::vec(".{0,20}", 2..12),
            taken_out in any::<prop::sample::Index>(),
            at in any::<prop::sample::Index>(),
            bit in 0_usize..256,
        ) {
            let links = chain_of(&texts);
            let mut shown: Vec<Option<&str>> = texts.iter().map(|text| Some(text.as_str())).collect();
            shown[taken_out.index(texts.len())] = None;
            prop_assert_eq!(walked(&links, &shown), Ok(texts.len() as i64));
            let (at, order) = (at.index(texts.len()), at.index(texts.len()) as i64);

            let other = format!("{}!", texts[at]);
            let mut changed = shown.clone();
            changed[at] = Some(&other);
            prop_assert_eq!(walked(&links, &changed), Err(Break::Content(order)));

            let mut bent = links.clone();
            bent[at].chain[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(walked(&bent, &shown), Err(Break::Chain(order)));
            let mut bent = links.clone();
            bent[at].content[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(walked(&bent, &vec![None; texts.len()]) == Err(Break::Chain(order)));
            let mut bent = links.clone();
            bent[at].segment_id.push('x');
            prop_assert_eq!(walked(&bent, &shown), Err(Break::Chain(order)));

            let mut without = links.clone();
            without.remove(at);
            let left = walked(&without, &vec![None; texts.len()]);
            prop_assert_eq!(left, if at + 1 == texts.len() { Ok(order) } else { Err(Break::Order(order)) });
        }
    }
}
