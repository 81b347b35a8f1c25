//! An export is taken in again (contract 04 §5.2), here or in another household, as often as one likes: what is there stays, what
//! is there otherwise is put right, what is missing is made. A line that is wrong is reported and left out.
//!
//! A record is known by its module, its id and when it was made. Where its id is another record's, it gets a new one, which is
//! remembered: links follow, and the next import finds it. The body is taken line by line as it comes. So many lines are one
//! change, so that whatever ends an import, each line is in it or not, and sending it again does the rest.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;

use super::super::desk::Desk;
use super::super::importing::{Done, Report, carried_out, is_dry};
use super::super::records::answer;
use super::super::records::change::{Hand, fields_of};
use super::super::records::record::{ID_MAX, Key};
use super::super::records::store::{Stored, deleted, find};
use super::super::zone::Zone;
use super::line::{End, Identity, Line, Lines, Sent, SentLink};
use super::links::{has_room, too_many};
use super::store;
use crate::clock::Timestamp;
use crate::feature::Sink;
use crate::gate::{ApiError, Call, Outcome, Reply};
use crate::store::{Error, Query, Tx, WriterHandle};

/// Bytes of one import.
pub(in crate::modules) const IMPORT_MAX_BYTES: usize = 1024 * 1024 * 1024;
/// Bytes of one line.
pub(in crate::modules) const LINE_MAX_BYTES: usize = 4 * 1024 * 1024;
/// Records that a dry run remembers as made, for the links to them that follow.
pub(in crate::modules) const CLAIMED_MAX: usize = 100_000;
/// Lines, and bytes of them, that are one change.
const JOB_MAX_LINES: usize = 200;
const JOB_MAX_BYTES: usize = 256 * 1024;

/// Takes an export in.
pub(super) fn take(desk: &Desk, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let is_dry = is_dry(call)?;
    let utc = Zone::named("UTC").ok_or_else(|| ApiError::internal("there is no zone UTC"))?;
    let import = Import {
        lines: Lines::new(desk.shared.zone.clone(), utc),
        writer: desk.shared.house.writer.clone(),
        work: Arc::new(Work { hand: desk.hand(call), active: desk.active_modules(), is_dry }),
        line: Vec::new(),
        is_too_long: false,
        number: 0,
        batch: Vec::new(),
        batch_bytes: 0,
        claimed: Arc::default(),
        report: Report::default(),
    };
    Ok(desk.parts.receive(call, move || Ok(import), move |report: Report| Ok(answer(&report.shown(is_dry)))))
}

/// Takes the body of an import.
struct Import {
    lines: Lines,
    writer: WriterHandle,
    work: Arc<Work>,
    /// What has come of the line that is coming.
    line: Vec<u8>,
    /// Whether that has more than it may have, so that the rest of it is left out.
    is_too_long: bool,
    /// Lines so far.
    number: u64,
    batch: Vec<Numbered>,
    batch_bytes: usize,
    claimed: Arc<Mutex<BTreeSet<Identity>>>,
    report: Report,
}

/// A line with its number.
type Numbered = (u64, Result<Line, String>);

impl Import {
    fn gather(&mut self, bytes: &[u8]) {
        self.is_too_long |= self.line.len() + bytes.len() > LINE_MAX_BYTES;
        if self.is_too_long {
            self.line = Vec::new();
        } else {
            self.line.extend_from_slice(bytes);
        }
    }

    fn line_is_whole(&mut self) -> Result<(), ApiError> {
        self.number += 1;
        let read = if self.is_too_long {
            Err(format!("It has more than {LINE_MAX_BYTES} bytes"))
        } else {
            self.lines.read(&self.line)
        };
        self.batch_bytes += self.line.len();
        self.line.clear();
        self.is_too_long = false;
        if !matches!(read, Ok(Line::Nothing)) {
            self.batch.push((self.number, read));
        }
        if self.batch.len() < JOB_MAX_LINES && self.batch_bytes < JOB_MAX_BYTES {
            return Ok(());
        }
        self.flush()
    }

    /// Has what was gathered carried out, as one change, and waits for it.
    fn flush(&mut self) -> Result<(), ApiError> {
        self.batch_bytes = 0;
        if self.batch.is_empty() {
            return Ok(());
        }
        let (batch, work, claimed) =
            (std::mem::take(&mut self.batch), Arc::clone(&self.work), Arc::clone(&self.claimed));
        let job = move |tx: &mut Tx<'_>| work.carry_out(tx, &batch, &claimed.lock());
        let (report, claims) = carried_out(&self.writer, job)?;
        remember(&mut self.claimed.lock(), claims);
        self.report.add(report);
        Ok(())
    }
}

/// Adds what a dry run would have made, as long as there is room.
fn remember(claimed: &mut BTreeSet<Identity>, more: BTreeSet<Identity>) {
    let room = CLAIMED_MAX.saturating_sub(claimed.len());
    claimed.extend(more.into_iter().take(room));
}

impl Sink for Import {
    type Kept = Report;

    fn write(&mut self, bytes: &[u8]) -> Result<(), ApiError> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.gather(piece);
            if piece.ends_with(b"\n") {
                self.line_is_whole()?;
            }
        }
        Ok(())
    }

    fn end(mut self, reply: Reply<Report>) {
        let last = if self.line.is_empty() && !self.is_too_long { Ok(()) } else { self.line_is_whole() };
        let ended = last.and_then(|()| self.flush());
        reply.done(ended.map(|()| self.report));
    }
}

/// What all changes of an import need.
struct Work {
    hand: Hand,
    active: Vec<&'static str>,
    is_dry: bool,
}

/// Where a record of another household is here.
enum Home {
    Kept(Stored),
    Binned(Key),
}

/// The record that is known there by this.
fn home(query: &impl Query, identity: Identity) -> Result<Option<Home>, Error> {
    let Identity { key, created_at } = identity;
    for key in [Some(key), store::moved(query, key, created_at)?].into_iter().flatten() {
        match find(query, key)? {
            Some(stored) if stored.created_at == created_at => return Ok(Some(Home::Kept(stored))),
            Some(_) => {}
            None if deleted(query, key)?.is_some_and(|old| old.created_at == created_at) => {
                return Ok(Some(Home::Binned(key)));
            }
            None => {}
        }
    }
    Ok(None)
}

impl Work {
    /// Carries lines out; with them, what a dry run would have made.
    fn carry_out(
        &self,
        tx: &mut Tx<'_>,
        batch: &[Numbered],
        claimed: &BTreeSet<Identity>,
    ) -> Result<(Report, BTreeSet<Identity>), ApiError> {
        let (mut report, mut claims) = (Report::default(), BTreeSet::new());
        for (number, line) in batch {
            let done = match line {
                Ok(Line::Nothing) => continue,
                Ok(Line::Record(sent)) => match self.inactive(&[sent.identity.key]) {
                    Some(why) => Err(why),
                    None if claimed.contains(&sent.identity) || claims.contains(&sent.identity) => Ok(Done::Unchanged),
                    None => {
                        let done = self.record(tx, sent)?;
                        if self.is_dry && done == Done::Made {
                            claims.insert(sent.identity);
                        }
                        Ok(done)
                    }
                },
                Ok(Line::Link(sent)) => match self.inactive(&[sent.from.key, sent.to.key]) {
                    Some(why) => Err(why),
                    None => self.link(tx, sent, |end| is_among(claimed, end) || is_among(&claims, end))?,
                },
                Err(why) => Err(why.clone()),
            };
            match done {
                Ok(done) => report.count(done),
                Err(why) => report.refuse(*number, why),
            }
        }
        Ok((report, claims))
    }

    /// What is said of a module that takes nothing at present.
    fn inactive(&self, keys: &[Key]) -> Option<String> {
        let mut modules = keys.iter().filter_map(|key| key.kind()).map(|kind| kind.module);
        let inactive = modules.find(|module| !self.active.contains(module));
        inactive.map(|module| format!("Module '{module}' is inactive"))
    }

    fn record(&self, tx: &mut Tx<'_>, sent: &Sent) -> Result<Done, ApiError> {
        let Sent { kind, identity, content } = sent;
        let Identity { key, created_at } = *identity;
        match home(tx, *identity)? {
            Some(Home::Kept(stored)) => {
                if content.json(stored.key, created_at) == stored.json {
                    return Ok(Done::Unchanged);
                }
                if !self.is_dry {
                    self.hand.replaced(tx, kind, &stored, &fields_of(&stored)?, content)?;
                }
                Ok(Done::Changed)
            }
            _ if self.is_dry => Ok(Done::Made),
            Some(Home::Binned(key)) => {
                self.hand.import(tx, kind, Some(key), created_at, content)?;
                Ok(Done::Made)
            }
            None => {
                // One that large would leave too few to come.
                let is_taken = key.id() > ID_MAX / 2 || find(tx, key)?.is_some() || deleted(tx, key)?.is_some();
                let made = self.hand.import(tx, kind, Some(key).filter(|_| !is_taken), created_at, content)?;
                if is_taken {
                    store::set_moved(tx, key, created_at, made.key)?;
                }
                Ok(Done::Made)
            }
        }
    }

    /// Makes a link, or says why not. `is_claimed` knows records that a dry run would have made.
    fn link(
        &self,
        tx: &mut Tx<'_>,
        sent: &SentLink,
        is_claimed: impl Fn(End) -> bool,
    ) -> Result<Result<Done, String>, ApiError> {
        let mut ends = Vec::with_capacity(2);
        for end in [sent.from, sent.to] {
            match end_of(tx, end)? {
                Some(key) => ends.push(key),
                None => {
                    if self.is_dry && is_claimed(end) {
                        continue;
                    }
                    let module = end.key.kind().map_or("", |kind| kind.module);
                    return Ok(Err(format!("{module}/{} is not there to be linked", end.key.id())));
                }
            }
        }
        let &[from, to] = &ends[..] else { return Ok(Ok(Done::Made)) };
        if from == to {
            return Ok(Err("A record is not linked to itself".to_owned()));
        }
        if store::link_between(tx, from, to, &sent.kind)?.is_some() {
            return Ok(Ok(Done::Unchanged));
        }
        if !has_room(tx, from)? || !has_room(tx, to)? {
            return Ok(Err(too_many()));
        }
        if !self.is_dry {
            let created_at = sent.created_at.unwrap_or(tx.now());
            store::add_link(tx, from, to, &sent.kind, created_at)?;
        }
        Ok(Ok(Done::Made))
    }
}

/// Whether one of these records is meant by an end of a link.
fn is_among(identities: &BTreeSet<Identity>, end: End) -> bool {
    let key = end.key;
    let (first, last) = end.created_at.map_or((Timestamp(i64::MIN), Timestamp(i64::MAX)), |at| (at, at));
    let range = Identity { key, created_at: first }..=Identity { key, created_at: last };
    identities.range(range).next().is_some()
}

/// The record at an end of a link, if it is here.
fn end_of(query: &impl Query, end: End) -> Result<Option<Key>, Error> {
    let End { key, created_at } = end;
    let Some(created_at) = created_at else { return Ok(find(query, key)?.map(|stored| stored.key)) };
    Ok(match home(query, Identity { key, created_at })? {
        Some(Home::Kept(stored)) => Some(stored.key),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_remembers_so_many_records() {
        let identity = |id| Identity { key: Key(id), created_at: Timestamp(0) };
        let mut claimed = BTreeSet::new();
        remember(&mut claimed, (1..=CLAIMED_MAX as i64 - 1).map(identity).collect());
        remember(&mut claimed, [identity(-1), identity(-2)].into());
        assert_eq!(claimed.len(), CLAIMED_MAX);
    }
}
