//! A transaction as a change sees it.

use std::sync::Arc;

use super::error::Error;
use super::event::Event;
use super::reader::Query;
use super::row::Row;
use super::sqlite::connection::Connection;
use super::sqlite::copying::Copying;
use super::sqlite::tallies::{TALLY_NUMBERS, Tallies, TallyTable};
use super::sqlite::texts::{TextChange, TextWords};
use super::value::Value;
use crate::clock::Timestamp;
use crate::clock::steady::AHEAD_MAX;

/// Writes the one row of its table: proof that a commit reaches the disk.
pub(super) const PROBE: &str = "INSERT INTO probe (id, probed_at) VALUES (1, ?1) \
                                ON CONFLICT (id) DO UPDATE SET probed_at = excluded.probed_at";

/// What runs once a change is on disk.
pub(super) type Deferred = Box<dyn FnOnce() + Send>;

/// What the jobs of a batch have asked for beside rows.
#[derive(Default)]
pub(super) struct Effects {
    /// To be told of after the commit, in order.
    pub(super) events: Vec<Event>,
    /// To be run after the commit, in order.
    pub(super) deferred: Vec<Deferred>,
    /// To be put into the index of words before the commit, in order: in one go, because the index writes all that it has at the end of
    /// each savepoint, however little it is.
    pub(super) texts: Vec<TextChange>,
    /// What they count in, to be written before the commit.
    pub(super) tallies: Tallies,
    /// Pages that were moved, which SQLite does not count as changes of rows.
    pub(super) moved_pages: u64,
    /// A copy that is wanted and not yet begun.
    pub(super) copying: Option<Copying>,
    /// Whether the log is to be emptied, so that nothing is left of what was overwritten.
    pub(super) forgets: bool,
}

impl Effects {
    /// Another change begins: where they end now, for [`Effects::undo`].
    pub(super) fn mark(&mut self) -> [usize; 3] {
        self.tallies.begin_change();
        [self.events.len(), self.deferred.len(), self.texts.len()]
    }

    /// Forgets what the change has asked for that began at the mark.
    pub(super) fn undo(&mut self, [events, deferred, texts]: [usize; 3]) {
        self.events.truncate(events);
        self.deferred.truncate(deferred);
        self.texts.truncate(texts);
        self.tallies.undo_change();
    }

    /// The batch is over.
    pub(super) fn clear(&mut self) {
        self.events.clear();
        self.deferred.clear();
        self.texts.clear();
        self.tallies.clear();
        self.forgets = false;
    }
}

/// The transaction of one change. Reading is by [`Query`].
pub struct Tx<'a> {
    connection: &'a Connection,
    now: Timestamp,
    wall: Timestamp,
    effects: &'a mut Effects,
}

impl<'a> Tx<'a> {
    /// That of a change after one of the time `last`, while the clock shows `wall`.
    pub(super) fn new(connection: &'a Connection, last: Timestamp, wall: Timestamp, effects: &'a mut Effects) -> Self {
        Self { connection, now: last.max(wall), wall, effects }
    }

    /// The time of this change: the wall clock, but never before an earlier change's.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Sees to it that this change is not before that time, which is of what it changes: another process may have written it
    /// by another clock. One that is more than [`AHEAD_MAX`] ahead was written by a clock that was wrong, and binds nobody.
    pub fn not_before(&mut self, at: Timestamp) {
        if at.ahead_of(self.now) <= AHEAD_MAX {
            self.now = self.now.max(at);
        }
    }

    /// Has this change and those after it follow the clock again, although earlier ones have a later time. Who asks for it
    /// has to know that the clock is right ([`Timekeeper::should_follow`](crate::clock::Timekeeper::should_follow)).
    pub fn follow(&mut self) {
        self.now = self.wall;
    }

    /// Reads the head row of what the change is about, and keeps every other change of the same away until this one is
    /// over. Everything else about it is read after this, in statements of their own: only then nobody else changes it any
    /// more. (One writer makes all changes of SQLite, so there it is a reading like any other.)
    ///
    /// # Errors
    /// When the statement fails, or what `read` says.
    pub fn lock<T>(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
        read: impl FnOnce(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        self.connection.one(sql, values, read)
    }

    /// Writes one row: a statement that has changed another number of rows has failed.
    pub fn run(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<(), Error> {
        self.connection.change_one(sql, values)
    }

    /// Writes, and says how many rows were changed.
    pub fn change(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, Error> {
        self.connection.change(sql, values)
    }

    /// Adds one row, and says which id it was given.
    pub fn insert(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<i64, Error> {
        self.connection.insert(sql, values)
    }

    /// The numbers of a row in which changes count, to be changed: with what was counted before in this transaction, and all 0 where
    /// there is no such row. What is changed is written before the commit; statements do not see it until then.
    ///
    /// # Errors
    /// When the row cannot be read.
    pub fn tally(&mut self, table: &'static TallyTable, row: i64) -> Result<&mut [i64; TALLY_NUMBERS], Error> {
        self.effects.tallies.of(self.connection, table, row)
    }

    /// Has a text be found by its words ([`Query::search`]) from the commit on. No other may have this number. Numbers and groups are
    /// given by the owners of what is searched: each has a range of its own.
    pub fn add_text(&mut self, number: i64, words: &Arc<TextWords>) {
        self.effects.texts.push(TextChange::Add { number, words: Arc::clone(words) });
    }

    /// Has it be found by other words.
    pub fn replace_text(&mut self, number: i64, words: &Arc<TextWords>) {
        self.effects.texts.push(TextChange::Replace { number, words: Arc::clone(words) });
    }

    /// Has it be found no longer.
    pub fn remove_text(&mut self, number: i64) {
        self.effects.texts.push(TextChange::Remove { number });
    }

    /// Changes a row that means nothing: committed, it proves that commits reach the disk.
    pub fn probe(&mut self) -> Result<(), Error> {
        let now = self.now;
        self.run(PROBE, &[now.into()])
    }

    /// Has this event told to everyone after the commit, if the job is kept.
    pub fn publish(&mut self, event: Event) {
        self.effects.events.push(event);
    }

    /// Has this run on the writer after the commit; must be quick. If the job is not kept or the commit fails, it is
    /// dropped instead, with all it holds.
    pub fn after_commit(&mut self, work: impl FnOnce() + Send + 'static) {
        self.effects.deferred.push(Box::new(work));
    }

    /// Has the log emptied right after the commit: it still has the pages as they were before this change, with what the change has
    /// taken out. In the database that is overwritten with zeros (`secure_delete`).
    pub fn forget_old_pages(&mut self) {
        self.effects.forgets = true;
    }

    /// Says that so many pages were moved: they fill the log as rows do.
    pub(super) fn moved_pages(&mut self, pages: u64) {
        self.effects.moved_pages += pages;
    }

    /// Has the database copied once this batch is committed.
    pub(super) fn copy(&mut self, wanted: Option<Copying>) {
        self.effects.copying = wanted;
    }
}

impl Query for Tx<'_> {
    fn connection(&self) -> &Connection {
        self.connection
    }
}
