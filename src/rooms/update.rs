//! The grammar of an update (contract 03 §4.3), version 1: structs of clients, then what is deleted. Pure: what was
//! parsed holds every rule that keeps it from hurting a client, and borrows its bytes.

use super::deletes::{self, Deletion};
use super::lib0::Decoder;
pub use super::refused::{CLOCK_MAX, DEPTH_MAX, Refused};
use super::structs::{Struct, Structs, read_clock, read_count};

/// A valid update.
#[derive(Debug, Clone)]
pub struct Update<'a> {
    blocks: Vec<Block<'a>>,
    deletions: Vec<Deletion>,
}

/// Structs of one client that follow each other.
#[derive(Debug, Clone)]
pub(super) struct Block<'a> {
    pub(super) client: u64,
    /// Where the first begins.
    pub(super) clock: u32,
    /// How many there are.
    pub(super) count: u32,
    pub(super) bytes: &'a [u8],
}

impl<'a> Update<'a> {
    /// Reads one and checks all of it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Refused> {
        let mut decoder = Decoder::new(bytes);
        let mut blocks = Vec::new();
        for _ in 0..read_count(&mut decoder, "clients")? {
            let structs = read_count(&mut decoder, "structs")?;
            let client = decoder.uint()?;
            let first = read_clock(&mut decoder, client)?;
            let (all, mut clock) = (decoder.left(), first);
            for _ in 0..structs {
                clock = Struct::check(&mut decoder, client, clock)?.end();
            }
            // Each of them has a length, and all together fit into 32 bits.
            let count = structs as u32;
            blocks.push(Block { client, clock: first, count, bytes: &all[..all.len() - decoder.left().len()] });
        }
        let deletions = deletes::read(&mut decoder)?;
        if !decoder.is_at_end() {
            return Err(Refused::Trailing { bytes: decoder.left().len() });
        }
        blocks.sort_unstable_by_key(|block| block.client);
        if let Some(twice) = blocks.windows(2).find(|pair| pair[0].client == pair[1].client) {
            return Err(Refused::Twice { client: twice[0].client });
        }
        blocks.retain(|block| block.count > 0);
        Ok(Self { blocks, deletions })
    }

    /// Its structs, sorted by client, each client once.
    pub(super) fn blocks(&self) -> &[Block<'a>] {
        &self.blocks
    }

    /// What it deletes, sorted.
    pub(super) fn deletions(&self) -> &[Deletion] {
        &self.deletions
    }
}

impl<'a> Block<'a> {
    /// Its structs.
    pub(super) fn structs(&self) -> Structs<'a> {
        Structs::new(self.client, self.clock, self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rooms::lib0::{put_buf, put_uint};

    /// An update with one struct of client 5 at clock 0: these bytes, and nothing deleted.
    fn with_struct(bytes: &[u8]) -> Vec<u8> {
        [&[1, 1, 5, 0], bytes, &[0]].concat()
    }

    /// A struct in the root `t` with this content.
    fn item(kind: u8, content: &[u8]) -> Vec<u8> {
        with_struct(&[&[kind, 1, 1, b't'], content].concat())
    }

    fn text(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        put_buf(&mut out, text.as_bytes());
        out
    }

    /// One value, so many lists deep.
    fn lists(depth: usize) -> Vec<u8> {
        [&[1][..], &[117, 1].repeat(depth), &[126]].concat()
    }

    fn refusal(bytes: &[u8]) -> String {
        Update::parse(bytes).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn what_stock_clients_send_is_taken() {
        for content in [
            item(4, &text("Hi")),
            item(4, &text("a😀")),
            item(1, &[3]),
            item(2, &[&[2][..], &text("undefined"), &text(r#"{"a":[1e999,"\ud800"]}"#)].concat()),
            item(3, &[2, 0xff, 0xfe]),
            item(5, &text("null")),
            item(6, &[text("bold"), text("true")].concat()),
            item(7, &[2]),
            item(7, &[&[3][..], &text("p")].concat()),
            item(8, &[2, 127, 118, 1, 1, b'k', 117, 2, 125, 0x41, 124, 0, 0, 0, 0]),
            item(8, &lists(DEPTH_MAX)),
            item(9, &[&text("id")[..], &[118, 0]].concat()),
            with_struct(&[0, 7]),
            with_struct(&[10, 7]),
            with_struct(&[0xe4, 1, 0, 2, 9, 1, b'x']),
            with_struct(&[0x24, 0, 9, 0, 1, b'k', 1, b'x']),
            vec![0, 0],
            vec![0, 1, 5, 0],
            vec![1, 0, 5, 0, 0],
        ] {
            assert!(Update::parse(&content).is_ok(), "{content:?}: {}", refusal(&content));
        }
    }

    #[test]
    fn every_rule_refuses_with_the_value_and_the_bound() {
        let far = item(8, &lists(100_000));
        let json = |text_of: &str| item(5, &text(text_of));
        let deep = |depth: usize| json(&("[".repeat(depth) + &"]".repeat(depth)));
        assert!(Update::parse(&deep(DEPTH_MAX)).is_ok() && Update::parse(&json(r#""[[[\"[[[""#)).is_ok());
        let clock = |value: u64| {
            let mut out = vec![1, 1, 5];
            put_uint(&mut out, value);
            [out, vec![0, 1, 0]].concat()
        };
        assert!(Update::parse(&clock(u64::from(CLOCK_MAX) - 1)).is_ok(), "the last clock is one");
        let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f];
        let over = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x10];
        for (bytes, said) in [
            (vec![], "the data ends in the middle of a value"),
            (vec![0, 0, 1], "1 byte left over after the end"),
            (vec![0xff, 0xff, 0xff, 0x7f, 0], "268435455 clients cannot fit in the remaining 1 byte"),
            (vec![1, 0xff, 0x7f, 5, 0], "16383 structs cannot fit in the remaining 2 bytes"),
            (vec![0, 0xff, 0x7f, 5], "16383 clients with deletions cannot fit in the remaining 1 byte"),
            (vec![0, 1, 5, 0xff, 0x7f, 5], "16383 delete ranges cannot fit in the remaining 1 byte"),
            ([&[1, 1][..], &over, &[0, 0, 1, 0]].concat(), "a number greater than 9007199254740991"),
            (clock(1 << 32), "clock 4294967296 of client 5; the maximum is 4294967295"),
            (clock(u64::from(CLOCK_MAX)), "clock 4294967296 of client 5; the maximum is 4294967295"),
            (with_struct(&[&[0][..], &huge].concat()), "clock 9007199254740991 of client 5; the maximum is 4294967295"),
            (
                vec![0, 1, 5, 1, 3, 0xff, 0xff, 0xff, 0xff, 0x0f],
                "clock 4294967298 of client 5; the maximum is 4294967295",
            ),
            (with_struct(&[0, 0]), "a struct of length 0; the minimum is 1"),
            (with_struct(&[10, 0]), "a struct of length 0; the minimum is 1"),
            (item(1, &[0]), "a struct of length 0; the minimum is 1"),
            (item(2, &[0]), "a struct of length 0; the minimum is 1"),
            (item(4, &[0]), "a struct of length 0; the minimum is 1"),
            (item(8, &[0]), "a struct of length 0; the minimum is 1"),
            (vec![0, 1, 5, 1, 0, 0], "a delete range of length 0; the minimum is 1"),
            (item(8, &lists(DEPTH_MAX + 1)), "values nested more than 64 levels deep"),
            (far, "values nested more than 64 levels deep"),
            (deep(DEPTH_MAX + 1), "values nested more than 64 levels deep"),
            (deep(100_000), "values nested more than 64 levels deep"),
            (item(4, &[2, 0xc3, 0x28]), "text that is not valid UTF-8"),
            (item(4, &[3, 0xed, 0xa0, 0x80]), "text that is not valid UTF-8"),
            (with_struct(&[4, 1, 1, 0xff, 1, b'x']), "text that is not valid UTF-8"),
            (item(8, &[1, 119, 1, 0xff]), "text that is not valid UTF-8"),
            (item(8, &[1, 115]), "value with tag 115; expected 116 to 127"),
            (item(8, &[9, 126]), "9 values cannot fit in the remaining 2 bytes"),
            (item(8, &[1, 117, 9, 126]), "9 values cannot fit in the remaining 2 bytes"),
            (item(5, &text("{")), "text of 1 byte that is not valid JSON"),
            (item(5, &text("undefined")), "text of 9 bytes that is not valid JSON"),
            (item(6, &[text("bold"), text("yes")].concat()), "text of 3 bytes that is not valid JSON"),
            (item(7, &[7]), "shared type 7; expected 0 to 6"),
            (item(9, &[1, b'd', 126]), "options of a subdocument with tag 126; expected 118"),
            (item(11, &[1]), "struct 0x0b; expected kind 0 or 10 without flags, or kind 1 to 9"),
            (with_struct(&[0x80, 5, 0, 1]), "struct 0x80; expected kind 0 or 10 without flags, or kind 1 to 9"),
            (with_struct(&[0x2a, 1]), "struct 0x2a; expected kind 0 or 10 without flags, or kind 1 to 9"),
            (with_struct(&[4, 2, 0, 0, 1, b'x']), "parent of kind 2; expected 0 or 1"),
            (vec![2, 1, 5, 0, 0, 1, 1, 5, 1, 0, 1, 0], "more than one list of structs for client 5"),
            (vec![2, 1, 5, 0, 0, 1, 0, 5, 1, 0], "more than one list of structs for client 5"),
        ] {
            assert_eq!(refusal(&bytes), said, "{:?}", &bytes[..bytes.len().min(20)]);
        }
    }

    #[test]
    fn deletions_are_sorted_and_joined() {
        let update = Update::parse(&[0, 3, 9, 1, 0, 1, 5, 3, 4, 2, 0, 2, 1, 3, 9, 1, 1, 1]).unwrap();
        let ranges: Vec<_> = update.deletions().iter().map(|d| (d.client, d.range.start, d.range.end)).collect();
        assert_eq!(ranges, [(5, 0, 6), (9, 0, 2)]);
    }
}
