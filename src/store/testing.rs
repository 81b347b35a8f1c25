//! For unit tests: a database in a directory of its own, and statements that no feature may make.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use super::chore::run_chore;
use super::error::Error;
use super::event::{Event, Publisher};
use super::handle::WriterHandle;
use super::reader::{Query as _, Reader};
use super::schema::{MIGRATIONS, Migration, Schema};
use super::sqlite::connection::Connection;
use super::sqlite::open::{Store, open};
use super::sqlite::writer::{Writer, write_effects};
use super::tx::{Effects, Tx};
use crate::clock::{Clock, Timestamp};

/// A schema of the store and one more owner.
pub fn schema(migrations: &[Migration]) -> Schema {
    Schema::of(&[MIGRATIONS, migrations])
}

/// Opens a database that has the store's own tables and no others.
pub fn opened(path: &Path) -> Store {
    open(path, &schema(&[])).unwrap()
}

/// Does not listen.
pub struct Deaf;

impl Publisher for Deaf {
    fn publish(&self, _: &mut Vec<Event>) {}
}

/// A database with its writer and a reader.
pub struct House {
    directory: tempfile::TempDir,
    writer: Writer,
    /// Reads what was committed.
    pub reader: Rc<Reader>,
    /// Stands still unless it is told otherwise.
    pub clock: Clock,
}

impl House {
    /// A new one with these tables, at this moment of a clock that stands still.
    pub fn at(now: Timestamp, migrations: &[Migration]) -> Self {
        Self::open(tempfile::tempdir().unwrap(), Clock::manual(now), migrations)
    }

    /// The one in this directory.
    pub fn open(directory: tempfile::TempDir, clock: Clock, migrations: &[Migration]) -> Self {
        let store = open(&directory.path().join("a.db"), &schema(migrations)).unwrap();
        let reader = Rc::new(store.reader().unwrap());
        let writer = Writer::start(store, 8, Arc::new(Deaf), clock.clone()).unwrap();
        Self { directory, writer, reader, clock }
    }

    /// Where its file is.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("a.db")
    }

    /// Where jobs are handed in.
    pub fn handle(&self) -> WriterHandle {
        self.writer.handle()
    }

    /// Has a change made, and waits for it.
    pub fn write(&self, mut work: impl FnMut(&mut Tx<'_>) + Send + 'static) {
        let work = move |tx: &mut Tx<'_>| {
            work(tx);
            Ok(0)
        };
        run_chore(&self.writer.handle(), work).unwrap();
    }

    /// Has statements of any kind carried out.
    pub fn batch(&self, sql: impl Into<String>) {
        let sql = sql.into();
        self.write(move |tx| tx.batch(&sql).unwrap());
    }

    /// How many commits there are after this was done than before.
    pub fn commits(&self, work: impl FnOnce()) -> u64 {
        let before = self.reader.version().unwrap();
        work();
        self.reader.version().unwrap() - before
    }

    /// Has the writer work on one job, and fills its queue, until what is returned is released.
    #[must_use]
    pub fn busy(&self) -> Busy {
        let (release, held) = channel::<()>();
        let (began, begun) = channel();
        let handle = self.writer.handle();
        let mut waiting = vec![std::thread::spawn(move || {
            let block = move |_: &mut Tx<'_>| {
                began.send(()).unwrap();
                held.recv().unwrap_or_default();
                Ok(0)
            };
            run_chore(&handle, block).unwrap();
        })];
        begun.recv().unwrap();
        for _ in 0..8 {
            let handle = self.writer.handle();
            waiting.push(std::thread::spawn(move || _ = run_chore(&handle, |_| Ok(0)).unwrap()));
        }
        while self.writer.handle().view().queued() < 8 {
            std::thread::yield_now();
        }
        Busy { release, waiting }
    }

    /// Stops the writer.
    pub fn end(self) -> tempfile::TempDir {
        self.writer.stop();
        self.directory
    }
}

/// A writer that is kept busy.
pub struct Busy {
    release: Sender<()>,
    waiting: Vec<JoinHandle<()>>,
}

impl Busy {
    /// Lets it go on, and waits until it has done all.
    pub fn release(self) {
        self.release.send(()).unwrap();
        self.waiting.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

/// Changes a database that nobody has open, behind everyone's back.
pub fn vandalise(path: &Path, sql: &str) {
    Connection::to(path).batch(sql).unwrap();
}

impl Tx<'_> {
    /// Carries out statements of any kind.
    ///
    /// # Errors
    /// When one fails.
    pub fn batch(&mut self, sql: &str) -> Result<(), Error> {
        self.connection().batch(sql)
    }
}

impl Reader {
    /// An empty database in memory, which only its reader can see.
    pub fn in_memory(migrations: &[Migration]) -> Self {
        let connection = Connection::in_memory();
        schema(migrations).after(0).for_each(|step| connection.batch(step).unwrap());
        Self::new(connection, None)
    }

    /// Carries out statements of any kind.
    pub fn batch(&self, sql: &str) {
        self.connection().batch(sql).unwrap();
    }

    /// Has a change made without a writer.
    pub fn write<T>(&self, work: impl FnOnce(&mut Tx<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let mut effects = Effects::default();
        let done = work(&mut Tx::new(self.connection(), Timestamp(0), Timestamp(0), &mut effects))?;
        write_effects(self.connection(), &mut effects).unwrap();
        Ok(done)
    }

    /// One number.
    pub fn number(&self, sql: &str) -> i64 {
        self.connection().one(sql, &[], |row| row.get(0)).unwrap().unwrap()
    }

    /// Some numbers of each row.
    pub fn numbers<const N: usize>(&self, sql: &str) -> Vec<[i64; N]> {
        let mut rows = Vec::new();
        let read = self.connection().each(sql, &[], |row| {
            let mut numbers = [0; N];
            for (index, number) in numbers.iter_mut().enumerate() {
                *number = row.get(index)?;
            }
            rows.push(numbers);
            Ok(())
        });
        read.unwrap();
        rows
    }
}
