//! Structs of one client back to back, as they come: finished pieces that are shared, and one that still grows.

use std::sync::Arc;

use super::structs::{Struct, Structs};

/// The size at which a piece is finished: small enough to be copied for a struct that has to be cut, large enough that
/// what is known of each piece is little beside it.
pub(super) const CHUNK_BYTES: usize = 4 * 1024;

/// A finished piece.
#[derive(Debug, Clone)]
pub(super) struct Chunk {
    /// The clock of its first unit.
    pub(super) start: u32,
    /// How many structs it has.
    pub(super) count: u32,
    pub(super) bytes: Arc<[u8]>,
}

/// A piece that grows. Typing makes its last struct longer instead of adding one.
#[derive(Debug, Default)]
pub(super) struct Run {
    bytes: Vec<u8>,
    count: u32,
    /// Where the last struct begins.
    last: usize,
}

impl Run {
    /// Adds a struct of this client, which begins where the last one ends.
    pub(super) fn push(&mut self, client: u64, next: &Struct<'_>) {
        if self.count > 0 && next.merge(client, &mut self.bytes, self.last) {
            return;
        }
        self.last = self.bytes.len();
        next.put(&mut self.bytes);
        self.count += 1;
    }

    /// The structs as bytes, and how many they are.
    pub(super) fn parts(&self) -> (&[u8], u32) {
        (&self.bytes, self.count)
    }

    /// Empties it, and keeps what was allocated.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }
}

/// What came of one client since the document was last settled.
#[derive(Debug)]
pub(super) struct Fresh {
    chunks: Vec<Chunk>,
    tail: Run,
    tail_start: u32,
    end: u32,
    chunk_bytes: usize,
}

impl Fresh {
    /// Nothing yet, from this clock on.
    pub(super) fn new(start: u32) -> Self {
        Self { chunks: Vec::new(), tail: Run::default(), tail_start: start, end: start, chunk_bytes: 0 }
    }

    /// The clock after its last unit.
    pub(super) fn end(&self) -> u32 {
        self.end
    }

    /// Adds a struct of this client, which begins where the last one ends.
    pub(super) fn push(&mut self, client: u64, next: &Struct<'_>) {
        self.tail.push(client, next);
        self.end = next.end();
        if self.tail.bytes.len() >= CHUNK_BYTES {
            let Run { bytes, count, .. } = std::mem::take(&mut self.tail);
            self.add_chunk(Chunk { start: self.tail_start, count, bytes: bytes.into() });
            self.tail_start = self.end;
        }
    }

    fn add_chunk(&mut self, chunk: Chunk) {
        self.chunk_bytes += chunk.bytes.len();
        self.chunks.push(chunk);
    }

    /// All of it as finished pieces: those that are share their bytes, the last is copied.
    pub(super) fn share(&self) -> Vec<Chunk> {
        let mut chunks = Vec::with_capacity(self.chunks.len() + 1);
        chunks.extend_from_slice(&self.chunks);
        if self.tail.count > 0 {
            let (bytes, count) = self.tail.parts();
            chunks.push(Chunk { start: self.tail_start, count, bytes: bytes.into() });
        }
        chunks
    }

    /// Forgets what is before this clock.
    pub(super) fn forget(&mut self, client: u64, clock: u32) {
        let chunks = std::mem::take(&mut self.chunks);
        self.chunk_bytes = 0;
        let ends: Vec<u32> = chunks.iter().skip(1).map(|chunk| chunk.start).chain([self.tail_start]).collect();
        for (chunk, end) in chunks.into_iter().zip(ends) {
            if end <= clock {
                continue;
            }
            if chunk.start >= clock {
                self.add_chunk(chunk);
                continue;
            }
            let Run { bytes, count, .. } = since(client, chunk.start, &chunk.bytes, clock);
            self.add_chunk(Chunk { start: clock, count, bytes: bytes.into() });
        }
        if self.tail_start < clock {
            self.tail = since(client, self.tail_start, &self.tail.bytes, clock);
            self.tail_start = clock;
        }
    }

    /// What it takes as part of an update.
    pub(super) fn bytes(&self) -> usize {
        self.chunk_bytes + self.tail.bytes.len()
    }

    /// What it holds on the heap.
    pub(super) fn memory(&self) -> usize {
        self.chunk_bytes + self.chunks.capacity() * size_of::<Chunk>() + self.tail.bytes.capacity()
    }
}

/// What lies after this clock.
fn since(client: u64, start: u32, bytes: &[u8], clock: u32) -> Run {
    let mut run = Run::default();
    for next in Structs::new(client, start, bytes).filter(|next| next.end() > clock) {
        run.push(client, &next.since(client, clock));
    }
    run
}
