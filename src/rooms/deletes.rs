//! Which units are deleted: ranges of clocks, per client sorted, and no two that touch (contract 03 §4.3).

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::lib0::{Decoder, put_uint, uint_bytes};
use super::refused::{CLOCK_MAX, Refused};
use super::structs::{read_clock, read_count};

/// New ranges of one client up to which each is put in its place by itself; more are merged in one walk.
const SINGLE_MAX: usize = 8;

/// Clocks from `start` up to, and without, `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Range {
    pub(super) start: u32,
    pub(super) end: u32,
}

/// A range of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Deletion {
    pub(super) client: u64,
    pub(super) range: Range,
}

/// Reads the delete set that ends an update: sorted, and no two that touch.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(decoder: &mut Decoder<'_>) -> Result<Vec<Deletion>, Refused> {
    let mut deletions = Vec::new();
    for _ in 0..read_count(decoder, "clients with deletions")? {
        let client = decoder.uint()?;
        for _ in 0..read_count(decoder, "delete ranges")? {
            let start = read_clock(decoder, client)?;
            let length = decoder.uint()?;
            if length == 0 {
                return Err(Refused::Empty { what: "a delete range" });
            }
            let clock = length.saturating_add(start.into());
            let end = u32::try_from(clock).map_err(|_| Refused::Clock { client, clock })?;
            deletions.push(Deletion { client, range: Range { start, end } });
        }
    }
    deletions.sort_unstable();
    deletions.dedup_by(|next, before| {
        let joins = next.client == before.client && next.range.start <= before.range.end;
        if joins {
            before.range.end = before.range.end.max(next.range.end);
        }
        joins
    });
    Ok(deletions)
}

/// Appends a delete set; `clients` come with their ranges, and are `count`.
pub(super) fn put<'a>(out: &mut Vec<u8>, count: usize, clients: impl Iterator<Item = (u64, Cow<'a, [Range]>)>) {
    put_uint(out, count as u64);
    for (client, ranges) in clients {
        put_uint(out, client);
        put_uint(out, ranges.len() as u64);
        for range in &*ranges {
            put_uint(out, range.start.into());
            put_uint(out, (range.end - range.start).into());
        }
    }
}

/// Calls `each` with the parts of a range that none of these has.
pub(super) fn subtract(range: Range, known: &[Range], mut each: impl FnMut(Range)) {
    let mut start = range.start;
    let first = known.partition_point(|known| known.end <= start);
    for known in &known[first..] {
        if known.start >= range.end {
            break;
        }
        if start < known.start {
            each(Range { start, end: known.start });
        }
        start = known.end;
    }
    if start < range.end {
        each(Range { start, end: range.end });
    }
}

/// The ranges of both.
pub(super) fn union<'a>(some: &'a [Range], more: &'a [Range]) -> Cow<'a, [Range]> {
    if some.is_empty() || more.is_empty() {
        return Cow::Borrowed(if more.is_empty() { some } else { more });
    }
    let mut all: Vec<Range> = Vec::with_capacity(some.len() + more.len());
    let (mut some, mut more) = (some.iter().peekable(), more.iter().peekable());
    loop {
        let next = match (some.peek(), more.peek()) {
            (Some(a), Some(b)) if a.start <= b.start => some.next(),
            (Some(_), None) => some.next(),
            _ => more.next(),
        };
        let Some(&next) = next else { return Cow::Owned(all) };
        match all.last_mut() {
            Some(last) if next.start <= last.end => last.end = last.end.max(next.end),
            _ => all.push(next),
        }
    }
}

/// Ranges that grow.
#[derive(Debug, Clone, Default)]
pub(super) struct Deletes {
    clients: BTreeMap<u64, Vec<Range>>,
    ranges: usize,
}

impl Deletes {
    /// Those of a client.
    pub(super) fn of(&self, client: u64) -> &[Range] {
        self.clients.get(&client).map_or(&[], Vec::as_slice)
    }

    /// The clients that have some, in their order.
    pub(super) fn clients(&self) -> impl DoubleEndedIterator<Item = u64> {
        self.clients.keys().copied()
    }

    /// How many clients have some.
    pub(super) fn client_count(&self) -> usize {
        self.clients.len()
    }

    /// How many ranges there are.
    pub(super) fn range_count(&self) -> usize {
        self.ranges
    }

    /// Takes ranges of a client, which are sorted and of which it has no part yet.
    pub(super) fn add(&mut self, client: u64, new: &[Range]) {
        let known = self.clients.entry(client).or_default();
        let before = known.len();
        if new.len() <= SINGLE_MAX {
            for &range in new {
                insert(known, range);
            }
        } else {
            *known = union(known, new).into_owned();
        }
        self.ranges = self.ranges + known.len() - before;
    }

    /// Leaves only what these have not.
    pub(super) fn remove<'a>(&mut self, known: impl Fn(u64) -> &'a [Range]) {
        let mut count = 0;
        self.clients.retain(|&client, ranges| {
            let known = known(client);
            if !known.is_empty() {
                let mut left = Vec::new();
                for &range in &*ranges {
                    subtract(range, known, |part| left.push(part));
                }
                *ranges = left;
            }
            count += ranges.len();
            !ranges.is_empty()
        });
        self.ranges = count;
    }
}

/// Puts a range in its place, and joins it with those that it touches.
fn insert(known: &mut Vec<Range>, new: Range) {
    let at = known.partition_point(|range| range.end < new.start);
    let joins_after = |range: &Range| range.start == new.end;
    match known.get_mut(at) {
        Some(range) if range.end == new.start => {
            range.end = new.end;
            if let Some(&next) = known.get(at + 1).filter(|range| joins_after(range)) {
                known[at].end = next.end;
                known.remove(at + 1);
            }
        }
        Some(range) if joins_after(range) => range.start = new.start,
        _ => known.insert(at, new),
    }
}

/// Ranges that stay as they are, side by side for all clients.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// Each client, with where its ranges end.
    clients: Vec<(u64, usize)>,
    ranges: Vec<Range>,
    bytes: usize,
}

impl Settled {
    /// Takes the next client with its ranges. Clients come in ascending order.
    pub(super) fn push(&mut self, client: u64, ranges: &[Range]) {
        if ranges.is_empty() {
            return;
        }
        self.ranges.extend_from_slice(ranges);
        self.clients.push((client, self.ranges.len()));
        let bytes = |range: &Range| uint_bytes(range.start.into()) + uint_bytes((range.end - range.start).into());
        self.bytes += uint_bytes(client) + uint_bytes(ranges.len() as u64) + ranges.iter().map(bytes).sum::<usize>();
    }

    /// Gives back what was allocated for more.
    pub(super) fn shrink(&mut self) {
        self.clients.shrink_to_fit();
        self.ranges.shrink_to_fit();
    }

    /// Those of a client.
    pub(super) fn of(&self, client: u64) -> &[Range] {
        let Ok(at) = self.clients.binary_search_by_key(&client, |&(client, _)| client) else { return &[] };
        let start = if at == 0 { 0 } else { self.clients[at - 1].1 };
        &self.ranges[start..self.clients[at].1]
    }

    /// The clients that have some, in their order.
    pub(super) fn clients(&self) -> impl DoubleEndedIterator<Item = u64> {
        self.clients.iter().map(|&(client, _)| client)
    }

    /// How many clients have some.
    pub(super) fn client_count(&self) -> usize {
        self.clients.len()
    }

    /// What they take as part of an update, without the number of clients.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What they hold on the heap.
    pub(super) fn memory(&self) -> usize {
        self.clients.capacity() * size_of::<(u64, usize)>() + self.ranges.capacity() * size_of::<Range>()
    }
}

const _: () = assert!(CLOCK_MAX == u32::MAX, "clocks are kept in 32 bits");
