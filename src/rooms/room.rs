//! A room's document as the server keeps it (contract 03 §4.3): ranges of structs as their bytes, and what is deleted.
//! Nothing is integrated. A settled part, made by compaction, is shared; what came since lies above it. Pure: no lock,
//! no clock, no disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::base::{Base, Builder};
use super::deletes::{self, Deletes, Deletion, Range, Settled};
use super::lib0::{put_uint, uint_bytes};
use super::plan::Plan;
use super::run::{CHUNK_BYTES, Fresh};
pub use super::snapshot::{Compacted, Snapshot};
use super::update::Update;
use super::vector::StateVector;

/// What a range of deletions takes in an update, about.
const DELETION_BYTES: usize = 6;

/// What the head of a client's structs takes in an update, about.
const HEAD_BYTES: usize = 8;

/// What a map holds for one more entry beside it, about: it is not always full.
const SLOT_BYTES: usize = 16;

/// What an update did to a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// Nothing: all of it was known.
    Known,
    /// All of it was new: others get the same bytes.
    Whole,
    /// Some of it was new: this update has only that, and others get it instead.
    Reduced(Vec<u8>),
    /// Nothing: it builds on what is not here. Whoever sent it has to be asked for all that is missing.
    Gap,
}

/// A document.
#[derive(Debug, Default)]
pub struct Document {
    base: Arc<Base>,
    /// What came of each client since the document was settled.
    fresh: BTreeMap<u64, Fresh>,
    /// What was deleted since; none of it is deleted in `base`.
    deletes: Deletes,
    /// Bytes of all structs in `fresh`, and what they hold on the heap.
    fresh_bytes: usize,
    fresh_memory: usize,
}

impl Document {
    /// Takes what is new of an update: all of that, or nothing.
    pub fn apply(&mut self, update: &Update<'_>) -> Applied {
        let Ok(plan) = Plan::new(update, |client| self.end(client)) else { return Applied::Gap };
        let Some(deletions) = self.new_deletions(update, &plan) else { return Applied::Gap };
        if plan.news(update).next().is_none() && deletions.is_empty() {
            return Applied::Known;
        }
        let whole = plan.is_whole() && deletions == update.deletions();
        let applied = if whole { Applied::Whole } else { Applied::Reduced(reduced(update, &plan, &deletions)) };
        if whole
            && self.is_empty()
            && update.blocks().iter().map(|block| block.bytes.len()).sum::<usize>() > CHUNK_BYTES
        {
            self.base = Arc::new(settled(update));
            return applied;
        }
        for (news, block) in plan.news(update) {
            let fresh = self.fresh.entry(block.client).or_insert_with(|| Fresh::new(news.known));
            let (bytes, memory) = (fresh.bytes(), fresh.memory());
            for next in news.structs(block) {
                fresh.push(block.client, &next);
            }
            self.fresh_bytes = self.fresh_bytes + fresh.bytes() - bytes;
            self.fresh_memory = self.fresh_memory + fresh.memory() - memory;
        }
        for of_client in deletions.chunk_by(|a, b| a.client == b.client) {
            let ranges: Vec<Range> = of_client.iter().map(|deletion| deletion.range).collect();
            self.deletes.add(of_client[0].client, &ranges);
        }
        applied
    }

    /// What of the deletions is new; nothing if one of them is beyond what is known with the update.
    fn new_deletions(&self, update: &Update<'_>, plan: &Plan) -> Option<Vec<Deletion>> {
        let mut new = Vec::new();
        for of_client in update.deletions().chunk_by(|a, b| a.client == b.client) {
            let client = of_client[0].client;
            // They are sorted and do not overlap.
            let end = of_client.last().map_or(0, |deletion| deletion.range.end);
            if end > plan.end(update, client).unwrap_or_else(|| self.end(client)) {
                return None;
            }
            let (settled, fresh) = (self.base.deletes().of(client), self.deletes.of(client));
            for &Deletion { range, .. } in of_client {
                deletes::subtract(range, settled, |range| {
                    deletes::subtract(range, fresh, |range| new.push(Deletion { client, range }));
                });
            }
        }
        Some(new)
    }

    /// The clock after a client's last unit.
    fn end(&self, client: u64) -> u32 {
        self.fresh.get(&client).map_or_else(|| self.base.end(client), Fresh::end)
    }

    /// How much of each client there is.
    pub fn vector(&self) -> StateVector {
        let mut fresh = self.fresh.iter().map(|(&client, fresh)| (client, fresh.end())).peekable();
        let mut clocks = Vec::with_capacity(self.base.entries().len() + self.fresh.len());
        for entry in self.base.entries() {
            while let Some(before) = fresh.next_if(|&(client, _)| client < entry.client) {
                clocks.push(before);
            }
            let same = fresh.next_if(|&(client, _)| client == entry.client);
            clocks.push(same.unwrap_or((entry.client, entry.end)));
        }
        clocks.extend(fresh);
        StateVector::new(clocks)
    }

    /// The document as it is now, to be encoded while it goes on. Bytes are shared, not copied, but for less than 4 KiB
    /// of each client that has written since [`adopt`](Self::adopt).
    pub fn snapshot(&self) -> Snapshot {
        let fresh = self.fresh.iter().map(|(&client, fresh)| (client, fresh.end(), fresh.share()));
        Snapshot::new(self.base.clone(), fresh.collect(), self.deletes.clone())
    }

    /// Takes what compaction made of a snapshot of this document; what came after the snapshot stays. If another one was
    /// taken since the snapshot, nothing happens.
    pub fn adopt(&mut self, compacted: &Compacted) {
        if !Arc::ptr_eq(&self.base, compacted.from()) {
            return;
        }
        let base = compacted.base().clone();
        (self.fresh_bytes, self.fresh_memory) = (0, 0);
        self.fresh.retain(|&client, fresh| {
            let settled = base.end(client);
            if fresh.end() <= settled {
                return false;
            }
            fresh.forget(client, settled);
            self.fresh_bytes += fresh.bytes();
            self.fresh_memory += fresh.memory();
            true
        });
        self.deletes.remove(|client| base.deletes().of(client));
        self.base = base;
    }

    /// What it takes as one update, about: exactly so after [`adopt`](Self::adopt).
    pub fn bytes(&self) -> usize {
        let heads = self.fresh.len() * HEAD_BYTES + self.deletes.client_count() * HEAD_BYTES;
        self.base.update_bytes() + self.fresh_bytes + heads + self.deletes.range_count() * DELETION_BYTES
    }

    /// What it holds on the heap, about.
    pub fn memory(&self) -> usize {
        let maps = self.fresh.len() * (size_of::<(u64, Fresh)>() + SLOT_BYTES)
            + self.deletes.client_count() * (size_of::<(u64, Vec<Range>)>() + SLOT_BYTES);
        let deletes = self.deletes.range_count() * size_of::<Range>();
        size_of::<Base>() + self.base.memory() + self.fresh_memory + maps + deletes
    }

    /// Whether nothing was ever written to it.
    pub fn is_empty(&self) -> bool {
        self.base.entries().is_empty() && self.fresh.is_empty()
    }
}

/// What is new, as an update.
fn reduced(update: &Update<'_>, plan: &Plan, deletions: &[Deletion]) -> Vec<u8> {
    let mut out = Vec::new();
    put_uint(&mut out, plan.news(update).count() as u64);
    for (news, block) in plan.news(update) {
        put_uint(&mut out, news.count.into());
        put_uint(&mut out, block.client);
        put_uint(&mut out, news.known.into());
        for next in news.structs(block) {
            next.put(&mut out);
        }
    }
    let by_client = || deletions.chunk_by(|a, b| a.client == b.client);
    let ranges = by_client().map(|of_client| {
        let ranges: Vec<Range> = of_client.iter().map(|deletion| deletion.range).collect();
        (of_client[0].client, ranges.into())
    });
    deletes::put(&mut out, by_client().count(), ranges);
    out
}

/// A whole document that comes as one update, as it is.
fn settled(update: &Update<'_>) -> Base {
    let head = |client: u64, count: u32| uint_bytes(client) + uint_bytes(count.into()) + 1;
    let bytes = update.blocks().iter().map(|block| head(block.client, block.count) + block.bytes.len());
    let mut builder = Builder::with_capacity(bytes.sum(), update.blocks().len());
    for block in update.blocks().iter().rev() {
        let end = block.structs().last().map_or(0, |last| last.end());
        builder.push(block.client, end, block.count, block.bytes);
    }
    let mut settled = Settled::default();
    let mut ranges = Vec::new();
    for of_client in update.deletions().chunk_by(|a, b| a.client == b.client) {
        ranges.clear();
        ranges.extend(of_client.iter().map(|deletion| deletion.range));
        settled.push(of_client[0].client, &ranges);
    }
    builder.finish(settled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(document: &mut Document, bytes: &[u8]) -> Applied {
        document.apply(&Update::parse(bytes).unwrap())
    }

    fn with(updates: &[&[u8]]) -> Document {
        let mut document = Document::default();
        for bytes in updates {
            assert_eq!(apply(&mut document, bytes), Applied::Whole, "{bytes:?}");
        }
        document
    }

    /// Text of client 5 from this clock on; the first is in the root `t`, others follow the unit before them.
    fn typed(clock: u8, text: &str) -> Vec<u8> {
        let place = if clock == 0 { vec![4, 1, 1, b't'] } else { vec![0x84, 5, clock - 1] };
        [&[1, 1, 5, clock][..], &place, &[text.len() as u8], text.as_bytes(), &[0]].concat()
    }

    fn compact(document: &mut Document) {
        let compacted = document.snapshot().compact();
        document.adopt(&compacted);
        assert_eq!(document.bytes(), compacted.encode().len());
        assert_eq!((compacted.encode(), compacted.vector()), (document.snapshot().encode(), document.vector()));
    }

    const HI: &[u8] = &[1, 1, 5, 0, 4, 1, 1, b't', 2, b'H', b'i', 0];
    const DELETE_FIRST: &[u8] = &[0, 1, 5, 1, 0, 1];

    #[test]
    fn the_reference_vectors_hold() {
        let mut document = Document::default();
        assert_eq!((document.vector().encode(), document.snapshot().encode()), (vec![0], vec![0, 0]));
        assert_eq!(apply(&mut document, HI), Applied::Whole);
        assert_eq!((document.vector().encode(), document.snapshot().encode()), (vec![1, 5, 2], HI.to_vec()));
        assert_eq!(document.snapshot().diff(&document.vector()), [0, 0]);
        assert_eq!(apply(&mut document, DELETE_FIRST), Applied::Whole);
        assert_eq!(document.snapshot().diff(&document.vector()), DELETE_FIRST);
        assert!(!document.is_empty());
    }

    #[test]
    fn what_is_known_changes_nothing() {
        let mut document = with(&[HI, DELETE_FIRST]);
        let before = document.snapshot().encode();
        for bytes in [HI, DELETE_FIRST, &before, &[0, 0], &[1, 1, 5, 0, 10, 9, 0]] {
            assert_eq!(apply(&mut document, bytes), Applied::Known);
        }
        assert_eq!(document.snapshot().encode(), before);
    }

    #[test]
    fn typing_makes_one_struct_whose_length_may_take_more_bytes() {
        let mut document = Document::default();
        for clock in 0..200_u8 {
            let mut update = vec![1, 1, 5];
            put_uint(&mut update, clock.into());
            match clock {
                0 => update.extend_from_slice(&[4, 1, 1, b't']),
                _ => {
                    update.extend_from_slice(&[0x84, 5]);
                    put_uint(&mut update, u64::from(clock) - 1);
                }
            }
            update.extend_from_slice(&[1, b'x', 0]);
            assert_eq!(apply(&mut document, &update), Applied::Whole);
        }
        let whole = [&[1, 1, 5, 0, 4, 1, 1, b't', 0xc8, 1][..], &[b'x'; 200], &[0]].concat();
        assert_eq!(document.snapshot().encode(), whole);
    }

    #[test]
    fn what_does_not_follow_stays_a_struct_of_its_own() {
        let first = typed(0, "a");
        for (next, why) in [
            (&[1, 1, 5, 1, 4, 1, 1, b't', 1, b'b', 0][..], "not right of it"),
            (&[1, 1, 5, 1, 0xc4, 5, 0, 5, 0, 1, b'b', 0], "another unit on the right"),
            (&[1, 1, 5, 1, 0x88, 5, 0, 1, 126, 0], "another kind"),
            (&[1, 1, 5, 1, 0xa4, 5, 0, 1, b'b', 0], "a key"),
            (&[1, 1, 6, 0, 0x84, 5, 0, 1, b'b', 0], "another client"),
        ] {
            let mut document = with(&[&first, next]);
            compact(&mut document);
            assert_eq!(document.bytes(), first.len() + next.len() - if next[2] == 5 { 5 } else { 2 }, "{why}");
        }
    }

    #[test]
    fn an_overlap_is_cut_where_the_known_part_ends() {
        let mut document = with(&[&typed(0, "ab")]);
        let applied = apply(&mut document, &typed(0, "abcd"));
        assert_eq!(applied, Applied::Reduced(typed(2, "cd")));
        assert_eq!(document.snapshot().encode(), typed(0, "abcd"));

        let values =
            |count: u8| [&[1, 1, 5, 0, 8, 1, 1, b'l', count][..], &[125, 1].repeat(count.into()), &[0]].concat();
        let mut document = with(&[&values(1)]);
        let rest = vec![1, 1, 5, 1, 0x88, 5, 0, 2, 125, 1, 125, 1, 0];
        assert_eq!(apply(&mut document, &values(3)), Applied::Reduced(rest));

        let texts =
            |count: u8| [&[1, 1, 5, 0, 2, 1, 1, b'l', count][..], &[1, b'7'].repeat(count.into()), &[0]].concat();
        let mut document = with(&[&texts(1)]);
        assert_eq!(apply(&mut document, &texts(2)), Applied::Reduced(vec![1, 1, 5, 1, 0x82, 5, 0, 1, 1, b'7', 0]));

        let mut document = with(&[&[1, 1, 5, 0, 0, 3, 0]]);
        assert_eq!(apply(&mut document, &[1, 1, 5, 0, 0, 5, 0]), Applied::Reduced(vec![1, 1, 5, 3, 0, 2, 0]));
        assert_eq!(document.snapshot().encode(), [1, 1, 5, 0, 0, 5, 0]);

        let mut document = with(&[&[1, 1, 5, 0, 1, 1, 1, b't', 3, 0]]);
        let cut = vec![1, 1, 5, 3, 0x81, 5, 2, 2, 0];
        assert_eq!(apply(&mut document, &[1, 1, 5, 0, 1, 1, 1, b't', 5, 0]), Applied::Reduced(cut));
    }

    #[test]
    fn a_pair_that_is_cut_leaves_a_replacement_on_both_sides() {
        let mut document = with(&[&typed(0, "a?")]);
        let applied = apply(&mut document, &typed(0, "a😀b"));
        assert_eq!(applied, Applied::Reduced(typed(2, "\u{fffd}b")));

        let mut document = with(&[&typed(0, "a😀b")]);
        let at = |clock| StateVector::parse(&[1, 5, clock]).unwrap();
        assert_eq!(document.snapshot().diff(&at(2)), typed(2, "\u{fffd}b"));
        assert_eq!(document.snapshot().diff(&at(3)), typed(3, "b"));
        assert_eq!(apply(&mut document, &[0, 1, 5, 1, 2, 1]), Applied::Whole);
        compact(&mut document);
        let left = [&[1, 3, 5, 0, 4, 1, 1, b't', 4][..], "a\u{fffd}".as_bytes(), &[0x81, 5, 1, 1]].concat();
        assert_eq!(document.snapshot().encode(), [&left[..], &[0x84, 5, 2, 1, b'b', 1, 5, 1, 2, 1]].concat());
    }

    #[test]
    fn what_builds_on_nothing_known_is_a_gap_and_leaves_no_trace() {
        let mut document = with(&[HI]);
        let before = document.snapshot().encode();
        for (bytes, why) in [
            (&typed(3, "x")[..], "beyond the clock"),
            (&[1, 2, 5, 2, 10, 1, 0x84, 5, 1, 1, b'x', 0], "after a skip"),
            (&[1, 1, 5, 2, 0x84, 5, 2, 1, b'x', 0], "right of itself"),
            (&[1, 1, 5, 2, 0x44, 5, 3, 1, b'x', 0], "left of what its client has not written"),
            (&[1, 1, 6, 0, 0x84, 5, 2, 1, b'x', 0], "right of what is not known"),
            (&[1, 1, 6, 0, 0x44, 7, 0, 1, b'x', 0], "left of an unknown client"),
            (&[1, 1, 6, 0, 4, 0, 5, 2, 1, b'x', 0], "in an unknown parent"),
            (&[2, 1, 6, 0, 0x84, 7, 0, 1, b'x', 1, 7, 0, 0x84, 6, 0, 1, b'x', 0], "each waits for the other"),
            (&[0, 1, 5, 1, 1, 2], "deletes beyond"),
            (&[0, 1, 6, 1, 0, 1], "deletes of an unknown client"),
            (&[1, 1, 5, 2, 0x84, 5, 1, 1, b'x', 1, 5, 1, 3, 1], "deletes beyond the update itself"),
        ] {
            assert_eq!(apply(&mut document, bytes), Applied::Gap, "{why}");
            assert_eq!(document.snapshot().encode(), before, "{why}");
        }
    }

    #[test]
    fn clients_of_one_update_may_build_on_each_other_in_any_order() {
        // 6 begins, 7 follows, 6 follows that, and 5 deletes.
        let mut document = Document::default();
        let braided = [
            &[2, 2, 6, 0, 4, 1, 1, b't', 1, b'a', 0x84, 7, 0, 1, b'c'][..],
            &[1, 7, 0, 0x84, 6, 0, 1, b'b', 1, 7, 1, 0, 1],
        ];
        assert_eq!(apply(&mut document, &braided.concat()), Applied::Whole);
        assert_eq!(document.vector().encode(), [2, 7, 1, 6, 2]);
        // A hole is none where all in it is known.
        let known = [1, 2, 6, 0, 10, 2, 0x84, 6, 1, 1, b'd', 0];
        assert_eq!(apply(&mut document, &known), Applied::Reduced(vec![1, 1, 6, 2, 0x84, 6, 1, 1, b'd', 0]));
    }

    #[test]
    fn compaction_takes_deleted_content_and_keeps_containers_and_formats() {
        let mut document = with(&[&typed(0, "abcdef"), &[0, 1, 5, 2, 1, 2, 4, 1]]);
        compact(&mut document);
        let parts = [
            &[1, 5, 5, 0, 4, 1, 1, b't', 1, b'a', 0x81, 5, 0, 2, 0x84, 5, 2, 1, b'd', 0x81, 5, 3, 1][..],
            &[0x84, 5, 4, 1, b'f', 1, 5, 2, 1, 2, 4, 1],
        ];
        assert_eq!(document.snapshot().encode(), parts.concat());
        // Deletions that close up, and what was deleted before, become one.
        assert_eq!(apply(&mut document, &[0, 1, 5, 1, 0, 6]), Applied::Reduced(vec![0, 1, 5, 3, 0, 1, 3, 1, 5, 1]));
        compact(&mut document);
        assert_eq!(document.snapshot().encode(), [1, 1, 5, 0, 1, 1, 1, b't', 6, 1, 5, 1, 0, 6]);

        for kept in [&[7, 1, 1, b't', 2][..], &[6, 1, 1, b't', 1, b'b', 4, b't', b'r', b'u', b'e']] {
            let mut document = with(&[&[&[1, 1, 5, 0], kept, &[1, 5, 1, 0, 1]].concat()]);
            let before = document.snapshot().encode();
            compact(&mut document);
            assert_eq!(document.snapshot().encode(), before);
        }
        for gone in [
            &[3, 1, 1, b't', 1, 0][..],
            &[5, 1, 1, b't', 1, b'1'],
            &[8, 1, 1, b't', 1, 126],
            &[2, 1, 1, b't', 1, 1, b'1'],
        ] {
            let mut document = with(&[&[&[1, 1, 5, 0], gone, &[1, 5, 1, 0, 1]].concat()]);
            compact(&mut document);
            assert_eq!(document.snapshot().encode(), [1, 1, 5, 0, 1, 1, 1, b't', 1, 1, 5, 1, 0, 1]);
        }
    }

    #[test]
    fn what_comes_during_compaction_stays() {
        let mut document = with(&[&typed(0, "ab"), DELETE_FIRST]);
        let compacted = document.snapshot().compact();
        // It grew within the struct that was compacted, and another client came.
        assert_eq!(apply(&mut document, &typed(2, "cd")), Applied::Whole);
        assert_eq!(apply(&mut document, &[1, 1, 6, 0, 0x84, 5, 3, 1, b'e', 1, 5, 1, 2, 1]), Applied::Whole);
        let older = document.snapshot().compact();
        document.adopt(&compacted);
        let now = document.snapshot().compact();
        assert_eq!((now.encode(), now.vector()), (older.encode(), older.vector()));
        document.adopt(&older);
        assert!(document.deletes.range_count() == 1, "what was made of an older state is not taken");
        document.adopt(&now);
        assert_eq!((document.fresh.len(), document.deletes.range_count()), (0, 0));
        assert_eq!(document.snapshot().encode(), now.encode());
    }

    #[test]
    fn a_piece_that_was_finished_since_is_cut_too() {
        let mut document = Document::default();
        let mut clock = 0_u32;
        let mut kept = Vec::new();
        // Never right of the unit before, so that each is a struct.
        let mut write = |document: &mut Document, count: u32| {
            for _ in 0..count {
                let mut update = vec![1, 1, 5];
                put_uint(&mut update, clock.into());
                update.extend_from_slice(&[4, 1, 1, b't', 2, b'x', b'y', 0]);
                assert_eq!(apply(document, &update), Applied::Whole);
                clock += 2;
            }
        };
        for before in [1, 700, 10, 5_000] {
            write(&mut document, before);
            let compacted = document.snapshot().compact();
            write(&mut document, 1_500);
            let whole = document.snapshot().encode();
            document.adopt(&compacted);
            assert_eq!(document.snapshot().encode(), whole);
            kept.push(document.fresh_bytes);
        }
        assert_eq!(kept, [1_500 * 7; 4], "only what came since");
        // A long history is not read from its start, and ends alike from everywhere.
        let snapshot = document.snapshot();
        for since in [0, 1, 2, 4_001, 9_999, 10_000, clock - 1] {
            let mut known = vec![1, 5];
            put_uint(&mut known, since.into());
            let diff = snapshot.diff(&StateVector::parse(&known).unwrap());
            let mut other = Document::default();
            let head = snapshot.encode();
            let cut = Update::parse(&head).unwrap();
            other.apply(&cut);
            assert_eq!(apply(&mut other, &diff), Applied::Known);
            let update = Update::parse(&diff).unwrap();
            assert_eq!(update.blocks()[0].count, clock / 2 - since / 2);
            assert_eq!(update.blocks()[0].clock, since);
        }
    }

    #[test]
    fn deletions_meet_in_any_order() {
        let mut document = with(&[&typed(0, &"x".repeat(100))]);
        let mut expected = [false; 100];
        // A walk that touches, overlaps and covers.
        for step in 0..300_u32 {
            let (start, length) = (step * 37 % 97, step % 3 + 1);
            apply(&mut document, &[0, 1, 5, 1, start as u8, length as u8]);
            for at in start..(start + length).min(100) {
                expected[at as usize] = true;
            }
            if step == 20 {
                compact(&mut document);
            }
            let snapshot = document.snapshot().encode();
            let update = Update::parse(&snapshot).unwrap();
            let ranges = update.deletions().iter();
            let units: Vec<u32> = ranges.clone().flat_map(|d| d.range.start..d.range.end).collect();
            let wanted: Vec<u32> = (0..100).filter(|&at| expected[at as usize]).collect();
            assert_eq!(units, wanted, "step {step}");
        }
    }
}
