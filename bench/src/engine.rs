//! The storage engine without a server around it: what the appends of `append` could be at best.
//!
//! STAND-IN: written with rusqlite directly, in the shape of the library's writer (one thread that
//! owns the connection, up to 256 jobs in one durable transaction, a savepoint for each). To be
//! replaced by that writer; `engine_appends_per_second` is all that the benchmark calls.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, Statement, params};

use crate::Result;
use crate::append::CLIENTS;
use crate::http::SEGMENTS;

const JOBS_PER_COMMIT: usize = 256;
const PATIENCE: Duration = Duration::from_secs(10);

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    CREATE TABLE drafts (
        id TEXT PRIMARY KEY, owner TEXT NOT NULL, title TEXT NOT NULL, updated_at INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE segments (
        draft_id TEXT NOT NULL REFERENCES drafts(id), segment_order INTEGER NOT NULL,
        author TEXT NOT NULL, content TEXT NOT NULL, created_at INTEGER NOT NULL,
        PRIMARY KEY (draft_id, segment_order)
    ) WITHOUT ROWID;
    CREATE TABLE idempotency (
        draft_id TEXT NOT NULL, key TEXT NOT NULL, segment_order INTEGER NOT NULL,
        PRIMARY KEY (draft_id, key)
    ) WITHOUT ROWID;";

enum Work {
    Create,
    Append { content: String, key: String },
}

struct Job {
    client: usize,
    draft: String,
    work: Work,
}

/// The client, and whether what it waited for was an append.
type Done = (usize, bool);

/// Appends per second that 64 logical clients, each with one outstanding append, get committed in
/// a new database in `directory`. The creation of drafts takes its time, but is not counted.
pub fn engine_appends_per_second(directory: &Path, duration: Duration) -> Result<f64> {
    let connection = Connection::open(directory.join("engine.db"))?;
    connection.execute_batch(SCHEMA)?;
    let (jobs, queue) = sync_channel(1024);
    let (done, answers) = channel();
    thread::scope(|scope| {
        let writer = scope.spawn(move || write(&connection, &queue, &done));
        let rate = drive(&jobs, &answers, duration);
        // Without a sender, the writer ends.
        drop(jobs);
        writer.join().map_err(|_| "the writer panicked")??;
        rate
    })
}

fn drive(jobs: &SyncSender<Job>, answers: &Receiver<Done>, duration: Duration) -> Result<f64> {
    let mut appends = vec![0; CLIENTS];
    let mut created = vec![false; CLIENTS];
    let send = |client: usize, appends: &mut [usize], created: &mut [bool]| {
        let serial = appends[client];
        let draft = format!("draft-{client}-{}", serial / SEGMENTS);
        let work = match serial.is_multiple_of(SEGMENTS) && !created[client] {
            true => Work::Create,
            false => {
                let content = format!("{:x<200}", format!("[c{client}-{serial}]"));
                Work::Append { content, key: format!("k{client}-{serial}") }
            }
        };
        created[client] = matches!(work, Work::Create);
        appends[client] += usize::from(!created[client]);
        jobs.send(Job { client, draft, work }).map_err(|_| "the writer ended")
    };
    for client in 0..CLIENTS {
        send(client, &mut appends, &mut created)?;
    }
    let start = Instant::now();
    let mut counted = 0;
    while start.elapsed() < duration {
        let (client, is_append) = answers.recv_timeout(PATIENCE)?;
        counted += usize::from(is_append);
        send(client, &mut appends, &mut created)?;
    }
    Ok(counted as f64 / start.elapsed().as_secs_f64())
}

/// Prepared once: with 64 clients, parsing SQL again would cost more than running it.
struct Statements<'c> {
    begin: Statement<'c>,
    commit: Statement<'c>,
    savepoint: Statement<'c>,
    release: Statement<'c>,
    create: Statement<'c>,
    owner: Statement<'c>,
    known: Statement<'c>,
    order: Statement<'c>,
    insert: Statement<'c>,
    remember: Statement<'c>,
    touch: Statement<'c>,
}

impl<'c> Statements<'c> {
    fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        let prepare = |sql| connection.prepare(sql);
        Ok(Self {
            begin: prepare("BEGIN IMMEDIATE")?,
            commit: prepare("COMMIT")?,
            savepoint: prepare("SAVEPOINT job")?,
            release: prepare("RELEASE job")?,
            create: prepare("INSERT INTO drafts VALUES (?1, ?2, 'bench', 0)")?,
            owner: prepare("SELECT owner FROM drafts WHERE id = ?1")?,
            known: prepare("SELECT segment_order FROM idempotency WHERE draft_id = ?1 AND key = ?2")?,
            order: prepare("SELECT coalesce(max(segment_order), 0) + 1 FROM segments WHERE draft_id = ?1")?,
            insert: prepare("INSERT INTO segments VALUES (?1, ?2, ?3, ?4, 0)")?,
            remember: prepare("INSERT INTO idempotency VALUES (?1, ?2, ?3)")?,
            touch: prepare("UPDATE drafts SET updated_at = ?2 WHERE id = ?1")?,
        })
    }

    fn run(&mut self, job: &Job) -> rusqlite::Result<()> {
        let owner = format!("bench-{}", job.client);
        let Work::Append { content, key } = &job.work else {
            self.create.execute([&job.draft, &owner])?;
            return Ok(());
        };
        let found: Option<String> = self.owner.query_row([&job.draft], |row| row.get(0)).optional()?;
        let known: Option<i64> = self.known.query_row([&job.draft, key], |row| row.get(0)).optional()?;
        assert!(found == Some(owner.clone()) && known.is_none(), "not a new append to a draft");
        let order: i64 = self.order.query_row([&job.draft], |row| row.get(0))?;
        self.insert.execute(params![job.draft, order, owner, content])?;
        self.remember.execute(params![job.draft, key, order])?;
        self.touch.execute(params![job.draft, order])?;
        Ok(())
    }
}

fn write(connection: &Connection, queue: &Receiver<Job>, done: &Sender<Done>) -> rusqlite::Result<()> {
    let mut statements = Statements::new(connection)?;
    let mut finished = Vec::with_capacity(JOBS_PER_COMMIT);
    while let Ok(first) = queue.recv() {
        statements.begin.execute([])?;
        for job in std::iter::once(first).chain(queue.try_iter()).take(JOBS_PER_COMMIT) {
            statements.savepoint.execute([])?;
            statements.run(&job)?;
            statements.release.execute([])?;
            finished.push((job.client, matches!(job.work, Work::Append { .. })));
        }
        statements.commit.execute([])?;
        // Only now is it durable. Nobody may be waiting any more: the time was over.
        for answer in finished.drain(..) {
            done.send(answer).ok();
        }
    }
    Ok(())
}
