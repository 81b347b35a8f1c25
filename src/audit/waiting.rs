//! Rows that could not be written, until they can.
//!
//! They stand in the order in which they happened. A row belongs here only if its change was committed, and leaves only
//! when it was committed itself: so what is put in or taken out inside a transaction is tied to its end by a guard,
//! which the writer drops or consumes ([`Tx::after_commit`](crate::store::Tx::after_commit)).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::chain::Content;

/// Rows that wait, at most; beyond that the oldest is given up and counted.
const WAITING_MAX_ROWS: usize = 1_000;

/// A row that has no place in the chain yet.
#[derive(Debug, Clone)]
pub(super) struct Row {
    ts: i64,
    texts: [Option<Box<str>>; 7],
}

impl From<&Content<'_>> for Row {
    fn from(content: &Content<'_>) -> Self {
        let owned = |text: &[u8]| String::from_utf8_lossy(text).into();
        Self { ts: content.ts, texts: content.texts.map(|text| text.map(owned)) }
    }
}

impl Row {
    pub(super) fn content(&self) -> Content<'_> {
        let mut texts = [None; 7];
        for (text, owned) in texts.iter_mut().zip(&self.texts) {
            *text = owned.as_deref().map(str::as_bytes);
        }
        Content { ts: self.ts, texts }
    }
}

/// The rows that wait. Only the writer takes the lock; whoever just wants to know reads the counts.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    queue: Mutex<Queue>,
    rows: AtomicUsize,
    lost: AtomicU64,
    barred: AtomicBool,
}

#[derive(Debug, Default)]
struct Queue {
    rows: VecDeque<Queued>,
    next: u64,
}

#[derive(Debug)]
struct Queued {
    number: u64,
    row: Row,
    /// Written in the transaction that is open.
    written: bool,
}

impl Waiting {
    /// How many rows wait.
    pub(super) fn rows(&self) -> usize {
        self.rows.load(Ordering::Relaxed)
    }

    /// How many were given up.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Whether rows are not even tried to be written any more.
    pub(super) fn is_barred(&self) -> bool {
        self.barred.load(Ordering::Relaxed)
    }

    /// From now on, and until the next start, rows only wait.
    pub(super) fn bar(&self) {
        self.barred.store(true, Ordering::Relaxed);
    }

    /// Lets a row wait, behind all others. It is forgotten again if the guard is dropped before it was [kept](Put::keep).
    pub(super) fn put(self: &Arc<Self>, row: Row) -> Put {
        let mut queue = self.queue.lock();
        let number = queue.next;
        queue.next += 1;
        queue.rows.push_back(Queued { number, row, written: false });
        if queue.rows.len() > WAITING_MAX_ROWS {
            queue.rows.pop_front();
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        self.rows.store(queue.rows.len(), Ordering::Relaxed);
        Put { waiting: Arc::clone(self), number, kept: false }
    }

    /// Hands all rows that are not written yet to `write`, oldest first. When it succeeds they are gone as soon as the
    /// guard says that they are [on disk](Taken::done), and wait again if it is dropped before.
    pub(super) fn take<E>(
        self: &Arc<Self>,
        write: impl FnOnce(&mut dyn Iterator<Item = Content<'_>>) -> Result<usize, E>,
    ) -> Result<Option<Taken>, E> {
        let mut queue = self.queue.lock();
        let fresh = queue.rows.partition_point(|queued| queued.written);
        let Some(first) = queue.rows.get(fresh).map(|queued| queued.number) else { return Ok(None) };
        let rows = write(&mut queue.rows.iter().skip(fresh).map(|queued| queued.row.content()))?;
        queue.rows.iter_mut().skip(fresh).for_each(|queued| queued.written = true);
        let numbers = first..queue.next;
        Ok(Some(Taken { waiting: Arc::clone(self), numbers, rows, done: false }))
    }
}

/// A row that waits because its change was made, if it was.
#[derive(Debug)]
pub(super) struct Put {
    waiting: Arc<Waiting>,
    number: u64,
    kept: bool,
}

impl Put {
    /// The change is on disk, so its row has to get there too.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Put {
    fn drop(&mut self) {
        if !self.kept {
            let mut queue = self.waiting.queue.lock();
            queue.rows.retain(|queued| queued.number != self.number);
            self.waiting.rows.store(queue.rows.len(), Ordering::Relaxed);
        }
    }
}

/// Rows that no longer have to wait, if the transaction holds.
#[derive(Debug)]
pub(super) struct Taken {
    waiting: Arc<Waiting>,
    numbers: std::ops::Range<u64>,
    rows: usize,
    done: bool,
}

impl Taken {
    /// How many.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// They are on disk.
    pub(super) fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut queue = self.waiting.queue.lock();
        if self.done {
            queue.rows.retain(|queued| !self.numbers.contains(&queued.number));
        } else {
            let ours = queue.rows.iter_mut().filter(|queued| self.numbers.contains(&queued.number));
            ours.for_each(|queued| queued.written = false);
        }
        self.waiting.rows.store(queue.rows.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: i64) -> Row {
        Row { ts: number, texts: Default::default() }
    }

    fn waiting(rows: std::ops::Range<i64>) -> Arc<Waiting> {
        let waiting = Arc::new(Waiting::default());
        rows.for_each(|number| waiting.put(row(number)).keep());
        waiting
    }

    /// What the next transaction would write, and what holds it.
    fn take(waiting: &Arc<Waiting>) -> (Vec<i64>, Option<Taken>) {
        let mut seen = Vec::new();
        let taken = waiting.take(|rows| {
            seen.extend(rows.map(|content| content.ts));
            Ok::<_, ()>(seen.len())
        });
        (seen, taken.unwrap())
    }

    #[test]
    fn rows_leave_in_order_when_they_are_on_disk_and_not_before() {
        let waiting = waiting(0..3);
        assert_eq!(waiting.take(|_| Err("full disk")).unwrap_err(), "full disk");
        let (seen, taken) = take(&waiting);
        assert_eq!((seen, waiting.rows()), (vec![0, 1, 2], 3));
        assert_eq!(take(&waiting).0, [0; 0], "already written in this transaction");
        drop(taken);
        let (seen, taken) = take(&waiting);
        assert_eq!(seen, [0, 1, 2]);
        let late = waiting.put(row(3));
        let (more, second) = take(&waiting);
        assert_eq!(more, [3]);
        drop(second);
        assert_eq!(take(&waiting).0, [3], "what the first took stays taken");
        taken.unwrap().done();
        assert_eq!(waiting.rows(), 1);
        late.keep();
        assert_eq!(take(&waiting).0, [3]);
    }

    #[test]
    fn the_row_of_a_change_that_was_not_made_is_forgotten_wherever_it_is() {
        let waiting = waiting(0..1);
        drop(waiting.put(row(1)));
        assert_eq!(take(&waiting).0, [0]);
        let undone = waiting.put(row(2));
        let (seen, taken) = take(&waiting);
        assert_eq!(seen, [0, 2]);
        // A commit that fails drops both, in the order in which they came.
        drop(undone);
        drop(taken);
        assert_eq!((take(&waiting).0, waiting.rows()), (vec![0], 1));
    }

    #[test]
    fn beyond_the_bound_the_oldest_is_given_up_and_counted() {
        let most = WAITING_MAX_ROWS as i64;
        let waiting = waiting(0..most + 7);
        assert_eq!((waiting.rows(), waiting.lost()), (WAITING_MAX_ROWS, 7));
        assert_eq!(take(&waiting).0, (7..most + 7).collect::<Vec<_>>());
    }
}
