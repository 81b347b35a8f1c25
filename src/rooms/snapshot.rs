//! A document as it was at one moment: what a client lacks of it, all of it, and what compaction makes of it. Nothing
//! here needs the room.

use std::borrow::Cow;
use std::sync::Arc;

use super::base::{Base, Builder, Entry};
use super::deletes::{self, Deletes, Range, Settled};
use super::lib0::put_uint;
use super::run::{Chunk, Run};
use super::structs::{Struct, Structs};
use super::vector::StateVector;

/// A document at one moment.
#[derive(Debug)]
pub struct Snapshot {
    base: Arc<Base>,
    /// What came since the document was settled, sorted by client: up to which clock, and what.
    fresh: Vec<(u64, u32, Vec<Chunk>)>,
    deletes: Deletes,
}

/// What compaction made of a [`Snapshot`].
#[derive(Debug)]
pub struct Compacted {
    /// The settled part of the snapshot.
    from: Arc<Base>,
    base: Arc<Base>,
}

/// All of one client.
struct Client<'a> {
    client: u64,
    end: u32,
    entry: Option<&'a Entry>,
    chunks: &'a [Chunk],
}

/// What somebody lacks of a client: a struct that was cut, if one was, and the bytes after it.
struct Lack<'a> {
    cut: Option<Struct<'a>>,
    pieces: Vec<&'a [u8]>,
    count: u32,
}

impl Snapshot {
    pub(super) fn new(base: Arc<Base>, fresh: Vec<(u64, u32, Vec<Chunk>)>, deletes: Deletes) -> Self {
        Self { base, fresh, deletes }
    }

    /// All clients, the highest first.
    fn clients(&self) -> impl Iterator<Item = Client<'_>> {
        let mut entries = self.base.entries().iter().rev().peekable();
        let mut fresh = self.fresh.iter().rev().peekable();
        std::iter::from_fn(move || {
            let settled = entries.peek().map(|entry| entry.client);
            let client = settled.max(fresh.peek().map(|&&(client, ..)| client))?;
            let entry = entries.next_if(|entry| entry.client == client);
            let (end, chunks) = match fresh.next_if(|&&(fresh, ..)| fresh == client) {
                Some((_, end, chunks)) => (*end, chunks.as_slice()),
                None => (entry?.end, &[][..]),
            };
            Some(Client { client, end, entry, chunks })
        })
    }

    /// How much of each client there is.
    pub fn vector(&self) -> StateVector {
        let mut clocks: Vec<(u64, u32)> = self.clients().map(|client| (client.client, client.end)).collect();
        clocks.reverse();
        StateVector::new(clocks)
    }

    /// What somebody lacks who knows so much, as an update: all structs beyond, and all that is deleted.
    pub fn diff(&self, known: &StateVector) -> Vec<u8> {
        let lacking = || self.clients().filter(|client| known.clock(client.client) < client.end);
        let mut out = Vec::new();
        put_uint(&mut out, lacking().count() as u64);
        for client in lacking() {
            let since = known.clock(client.client);
            let lack = self.lack(&client, since);
            put_uint(&mut out, lack.count.into());
            put_uint(&mut out, client.client);
            put_uint(&mut out, since.into());
            if let Some(cut) = lack.cut {
                cut.put(&mut out);
            }
            for piece in lack.pieces {
                out.extend_from_slice(piece);
            }
        }
        let deletes = self.deletions();
        self::deletes::put(&mut out, self.deletions().count(), deletes);
        out
    }

    /// All of it, as an update.
    pub fn encode(&self) -> Vec<u8> {
        self.diff(&StateVector::default())
    }

    /// What of a client lies after a clock.
    fn lack<'a>(&'a self, client: &Client<'a>, since: u32) -> Lack<'a> {
        let mut lack = Lack { cut: None, pieces: Vec::new(), count: 0 };
        if let Some(entry) = client.entry.filter(|entry| entry.end > since) {
            let (clock, before, bytes) = self.base.near(client.client, since);
            lack.add(client.client, since, (clock, entry.count - before, bytes));
        }
        for (index, chunk) in client.chunks.iter().enumerate() {
            let end = client.chunks.get(index + 1).map_or(client.end, |next| next.start);
            if end > since {
                lack.add(client.client, since, (chunk.start, chunk.count, &chunk.bytes));
            }
        }
        lack
    }

    /// What is deleted, per client, the highest first.
    fn deletions(&self) -> impl Iterator<Item = (u64, Cow<'_, [Range]>)> {
        let mut settled = self.base.deletes().clients().rev().peekable();
        let mut fresh = self.deletes.clients().rev().peekable();
        std::iter::from_fn(move || {
            let client = settled.peek().copied().max(fresh.peek().copied())?;
            settled.next_if_eq(&client);
            fresh.next_if_eq(&client);
            Some((client, self.deletions_of(client)))
        })
    }

    fn deletions_of(&self, client: u64) -> Cow<'_, [Range]> {
        deletes::union(self.base.deletes().of(client), self.deletes.of(client))
    }

    /// The same in as few bytes as it can be without being integrated: content that is deleted goes, but for containers
    /// and formats, and what follows each other becomes one.
    pub fn compact(&self) -> Compacted {
        let fresh: usize = self.fresh.iter().flat_map(|(_, _, chunks)| chunks).map(|chunk| chunk.bytes.len()).sum();
        let mut builder = Builder::with_capacity(self.base.bytes().len() + fresh, self.base.entries().len());
        let mut run = Run::default();
        for client in self.clients() {
            let deleted = self.deletions_of(client.client);
            compact_client(&mut run, &client, self.structs(&client), &deleted);
            let (bytes, count) = run.parts();
            builder.push(client.client, client.end, count, bytes);
            run.clear();
        }
        let mut settled = Settled::default();
        let mut deletions: Vec<_> = self.deletions().collect();
        deletions.reverse();
        for (client, ranges) in deletions {
            settled.push(client, &ranges);
        }
        Compacted { from: self.base.clone(), base: Arc::new(builder.finish(settled)) }
    }

    /// All structs of a client.
    fn structs<'a>(&'a self, client: &Client<'a>) -> impl Iterator<Item = Struct<'a>> {
        let settled = client.entry.map(|entry| (0, self.base.structs(entry.client)));
        let fresh = client.chunks.iter().map(|chunk| (chunk.start, &*chunk.bytes));
        let id = client.client;
        settled.into_iter().chain(fresh).flat_map(move |(start, bytes)| Structs::new(id, start, bytes))
    }
}

impl<'a> Lack<'a> {
    /// Adds what of some structs lies after a clock. They begin at a clock, are so many and end after it.
    fn add(&mut self, client: u64, since: u32, (start, count, bytes): (u32, u32, &'a [u8])) {
        if start >= since {
            self.count += count;
            self.pieces.push(bytes);
            return;
        }
        let mut structs = Structs::new(client, start, bytes);
        let mut passed = 0;
        let mut rest = bytes;
        while structs.clock() < since {
            let Some(next) = structs.next() else { break };
            if next.end() > since {
                self.cut = Some(next.since(client, since));
                self.count += 1;
            }
            passed += 1;
            rest = structs.left();
        }
        self.count += count - passed;
        self.pieces.push(rest);
    }
}

/// Adds the structs of a client to a run. What of their content is deleted goes.
fn compact_client<'a>(
    run: &mut Run,
    client: &Client<'_>,
    structs: impl Iterator<Item = Struct<'a>>,
    deleted: &[Range],
) {
    let id = client.client;
    let mut deleted = deleted.iter().peekable();
    for mut rest in structs {
        if !rest.is_leaf() {
            run.push(id, &rest);
            continue;
        }
        loop {
            while deleted.next_if(|range| range.end <= rest.clock).is_some() {}
            let (gone, until) = match deleted.peek() {
                Some(range) if range.start <= rest.clock => (true, range.end),
                Some(range) => (false, range.start),
                None => (false, u32::MAX),
            };
            let units = until - rest.clock;
            let (part, more) = if units < rest.length {
                let (part, more) = rest.split(id, units);
                (part, Some(more))
            } else {
                (rest, None)
            };
            run.push(id, &if gone { part.deleted() } else { part });
            let Some(more) = more else { break };
            rest = more;
        }
    }
}

impl Compacted {
    /// The settled part of the snapshot that this was made of.
    pub(super) fn from(&self) -> &Arc<Base> {
        &self.from
    }

    /// The settled part that a document may have instead.
    pub(super) fn base(&self) -> &Arc<Base> {
        &self.base
    }

    /// As an update.
    pub fn encode(&self) -> Vec<u8> {
        let deletes = self.base.deletes();
        let mut out = Vec::with_capacity(self.base.update_bytes());
        put_uint(&mut out, self.base.entries().len() as u64);
        out.extend_from_slice(self.base.bytes());
        let ranges = deletes.clients().rev().map(|client| (client, deletes.of(client).into()));
        deletes::put(&mut out, deletes.client_count(), ranges);
        out
    }

    /// How much of each client there is.
    pub fn vector(&self) -> StateVector {
        StateVector::new(self.base.entries().iter().map(|entry| (entry.client, entry.end)).collect())
    }
}
