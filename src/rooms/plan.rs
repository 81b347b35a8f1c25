//! What of an update is new to a document, and whether clients could integrate it: every unit that a new struct needs is
//! known, or comes earlier in some order of the update. Structs that wait for ever would make clients wait for ever,
//! with all that the same client ever adds (contract 03 §4.3).

use super::structs::{Id, Struct, Structs};
use super::update::{Block, Update};

/// Something that an update builds on is not there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missing;

/// What of an update is new.
#[derive(Debug)]
pub(super) struct Plan {
    /// One a block of the update.
    news: Vec<News>,
    /// Whether all of its structs are new, whole and without a hole.
    whole: bool,
}

/// What of a block is new: from the struct at `at` on.
#[derive(Debug)]
pub(super) struct News {
    /// The clock up to which the client was known.
    pub(super) known: u32,
    /// The clock up to which it is known with the update.
    pub(super) end: u32,
    /// Where the first struct with something new is in the block, and the clock at which it begins.
    at: usize,
    clock: u32,
    /// How many structs have something new.
    pub(super) count: u32,
}

impl News {
    /// What is new, struct for struct.
    pub(super) fn structs<'a>(&self, block: &Block<'a>) -> impl Iterator<Item = Struct<'a>> {
        let (client, known) = (block.client, self.known);
        let structs = Structs::new(client, self.clock, &block.bytes[self.at..]);
        structs.filter(move |next| !next.is_skip() && next.end() > known).map(move |next| next.since(client, known))
    }
}

/// What stops a walk.
enum Advance {
    /// All of it was walked through, or as much as was wanted.
    Done,
    /// The next struct needs this unit, which may come in another block.
    Needs(Id),
    /// The next struct follows a hole, or needs what is not there.
    Gap,
}

/// How far a block was walked through.
struct Walk {
    /// Where the next struct is, and the clock at which it begins.
    at: usize,
    clock: u32,
    /// Whether something that it needs is being walked through.
    waits: bool,
}

impl Plan {
    /// Walks through an update; `known` says how much of a client the document has.
    ///
    /// # Errors
    /// A struct follows a hole, or needs what is not there.
    pub(super) fn new(update: &Update<'_>, known: impl Fn(u64) -> u32) -> Result<Self, Missing> {
        let blocks = update.blocks();
        let news = blocks.iter().map(|block| {
            let known = known(block.client);
            News { known, end: known, at: block.bytes.len(), clock: 0, count: 0 }
        });
        let mut plan = Self { news: news.collect(), whole: true };
        let mut walks: Vec<Walk> =
            blocks.iter().map(|block| Walk { at: 0, clock: block.clock, waits: false }).collect();
        // The blocks that wait for the one after them, with the clock that is waited for. A block stands here once.
        let mut stack = Vec::new();
        for block in 0..blocks.len() {
            stack.push((block, u32::MAX));
            while let Some(&(top, until)) = stack.last() {
                match plan.advance(blocks, top, &mut walks[top], until, &known) {
                    Advance::Done => {
                        walks[top].waits = false;
                        stack.pop();
                    }
                    Advance::Needs(id) => {
                        // It asks only for clients that have a block.
                        let Ok(other) = blocks.binary_search_by_key(&id.client, |block| block.client) else {
                            return Err(Missing);
                        };
                        walks[top].waits = true;
                        if walks[other].waits || walks[other].at == blocks[other].bytes.len() {
                            return Err(Missing);
                        }
                        stack.push((other, id.clock));
                    }
                    Advance::Gap => return Err(Missing),
                }
            }
        }
        Ok(plan)
    }

    /// Walks through a block until its client's clock is past `until`.
    fn advance(
        &mut self,
        blocks: &[Block<'_>],
        index: usize,
        walk: &mut Walk,
        until: u32,
        known: &impl Fn(u64) -> u32,
    ) -> Advance {
        let block = &blocks[index];
        let mut structs = Structs::new(block.client, walk.clock, &block.bytes[walk.at..]);
        while self.news[index].end <= until {
            let Some(next) = structs.next() else { break };
            let reached = self.news[index].end;
            let after = block.bytes.len() - structs.left().len();
            if next.is_skip() || next.end() <= reached {
                self.whole = false;
            } else if next.clock > reached {
                return Advance::Gap;
            } else {
                let (start, clock) = (walk.at, next.clock);
                let end = next.end();
                if clock < reached {
                    self.whole = false;
                }
                for id in next.since(block.client, reached).needs() {
                    let there = if id.client == block.client {
                        reached
                    } else {
                        match blocks.binary_search_by_key(&id.client, |block| block.client) {
                            Ok(other) if id.clock >= self.news[other].end => return Advance::Needs(id),
                            Ok(other) => self.news[other].end,
                            Err(_) => known(id.client),
                        }
                    };
                    if id.clock >= there {
                        return Advance::Gap;
                    }
                }
                let news = &mut self.news[index];
                if news.count == 0 {
                    (news.at, news.clock) = (start, clock);
                }
                news.count += 1;
                news.end = end;
            }
            (walk.at, walk.clock) = (after, structs.clock());
        }
        Advance::Done
    }

    /// Whether nothing of the structs was known, and none was left out.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// The blocks with something new, and what that is.
    pub(super) fn news<'a, 'b>(&'b self, update: &'b Update<'a>) -> impl Iterator<Item = (&'b News, &'b Block<'a>)> {
        self.news.iter().zip(update.blocks()).filter(|(news, _)| news.count > 0)
    }

    /// How much of a client is known with the update.
    pub(super) fn end(&self, update: &Update<'_>, client: u64) -> Option<u32> {
        let at = update.blocks().binary_search_by_key(&client, |block| block.client).ok()?;
        Some(self.news[at].end)
    }
}
