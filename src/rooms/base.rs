//! The settled part of a document: all of its structs in one buffer, and what is deleted. It does not change, so that it
//! is shared with whoever encodes it.

use super::deletes::Settled;
use super::lib0::{put_uint, uint_bytes};
use super::structs::Structs;

/// Bytes of one client after which a place is remembered, so that nobody reads a long history from its start.
const MARK_BYTES: usize = 8 * 1024;

/// The settled part of a document. Each client begins at clock 0.
#[derive(Debug, Default)]
pub(super) struct Base {
    /// Structs as an update has them, the highest client first: number, client, clock 0, structs.
    bytes: Vec<u8>,
    /// Sorted by client.
    entries: Vec<Entry>,
    /// Sorted by place.
    marks: Vec<Mark>,
    deletes: Settled,
}

/// The structs of one client.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) client: u64,
    /// The clock after its last unit.
    pub(super) end: u32,
    /// How many structs it has.
    pub(super) count: u32,
    /// Where they end. Before them stands their head, and before that the client above, which comes after this one here.
    stop: usize,
}

impl Entry {
    /// How much their head takes.
    fn head_bytes(&self) -> usize {
        uint_bytes(self.count.into()) + uint_bytes(self.client) + 1
    }
}

/// A struct somewhere within those of a client.
#[derive(Debug, Clone, Copy)]
struct Mark {
    at: usize,
    clock: u32,
    /// How many structs of its client are before it.
    before: u32,
}

impl Base {
    /// What there is of a client.
    fn place(&self, client: u64) -> Option<usize> {
        self.entries.binary_search_by_key(&client, |entry| entry.client).ok()
    }

    /// The clock after a client's last unit.
    pub(super) fn end(&self, client: u64) -> u32 {
        self.place(client).map_or(0, |at| self.entries[at].end)
    }

    /// What there is, sorted by client.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What is deleted.
    pub(super) fn deletes(&self) -> &Settled {
        &self.deletes
    }

    /// The structs of a client, as bytes.
    pub(super) fn structs(&self, client: u64) -> &[u8] {
        let (start, stop) = self.bounds(client);
        &self.bytes[start..stop]
    }

    /// Where the structs of a client begin and end.
    fn bounds(&self, client: u64) -> (usize, usize) {
        let Some(at) = self.place(client) else { return (0, 0) };
        let before = self.entries.get(at + 1).map_or(0, |above| above.stop);
        (before + self.entries[at].head_bytes(), self.entries[at].stop)
    }

    /// Some struct of a client that begins at this clock or before and is not far from it: its clock, how many are before
    /// it, and the bytes from it on.
    pub(super) fn near(&self, client: u64, clock: u32) -> (u32, u32, &[u8]) {
        let (start, stop) = self.bounds(client);
        let after = self.marks.partition_point(|mark| mark.at < stop && (mark.at < start || mark.clock <= clock));
        match after.checked_sub(1).map(|last| self.marks[last]) {
            Some(mark) if mark.at >= start => (mark.clock, mark.before, &self.bytes[mark.at..stop]),
            _ => (0, 0, &self.bytes[start..stop]),
        }
    }

    /// All structs as an update has them, without the number of clients.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it takes as an update.
    pub(super) fn update_bytes(&self) -> usize {
        let counts = uint_bytes(self.entries.len() as u64) + uint_bytes(self.deletes.client_count() as u64);
        self.bytes.len() + self.deletes.bytes() + counts
    }

    /// What it holds on the heap.
    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity()
            + self.entries.capacity() * size_of::<Entry>()
            + self.marks.capacity() * size_of::<Mark>()
            + self.deletes.memory()
    }
}

/// Makes a [`Base`], client by client.
#[derive(Debug, Default)]
pub(super) struct Builder {
    base: Base,
}

impl Builder {
    /// With room for so many bytes and clients.
    pub(super) fn with_capacity(bytes: usize, clients: usize) -> Self {
        let base = Base { bytes: Vec::with_capacity(bytes), entries: Vec::with_capacity(clients), ..Base::default() };
        Self { base }
    }

    /// Takes the structs of the next client from clock 0 up to `end`. Clients come in descending order.
    pub(super) fn push(&mut self, client: u64, end: u32, count: u32, structs: &[u8]) {
        let Base { bytes, entries, marks, .. } = &mut self.base;
        put_uint(bytes, count.into());
        put_uint(bytes, client);
        put_uint(bytes, 0);
        let start = bytes.len();
        bytes.extend_from_slice(structs);
        entries.push(Entry { client, end, count, stop: bytes.len() });
        if structs.len() > MARK_BYTES {
            let (mut before, mut marked) = (0, 0);
            let mut reader = Structs::new(client, 0, structs);
            while let Some(next) = reader.next() {
                before += 1;
                let at = structs.len() - reader.left().len();
                if at - marked >= MARK_BYTES && at < structs.len() {
                    marks.push(Mark { at: start + at, clock: next.end(), before });
                    marked = at;
                }
            }
        }
    }

    /// With what is deleted.
    pub(super) fn finish(self, mut deletes: Settled) -> Base {
        deletes.shrink();
        let mut base = Base { deletes, ..self.base };
        base.entries.reverse();
        base.bytes.shrink_to_fit();
        base.entries.shrink_to_fit();
        base.marks.shrink_to_fit();
        base
    }
}
