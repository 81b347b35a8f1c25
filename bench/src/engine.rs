//! The storage engine without a server around it: what the appends of `append` could be at best.
//!
//! It is the library's own writer with the library's own statements, so queue, batch bound, savepoints, rows and
//! fsyncs are those of the server; what is missing is HTTP, JSON and the reading of the answer.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use inkring::clock::Clock;
use inkring::drafts::keys::store as keys;
use inkring::drafts::{ring, store as drafts};
use inkring::hub::Hub;
use inkring::store::{self, Job, JobTimes, StoreError, Tx, Verdict, Writer, WriterHandle};
use inkring_testkit::process;

use crate::http::SEGMENTS;
use crate::load::Histogram;
use crate::options::Result;

pub const CLIENTS: usize = 64;
const PATIENCE: Duration = Duration::from_secs(10);
/// The server's default queue.
const QUEUE_JOBS: usize = 4096;

enum Work {
    Create,
    Append { content: String, key: String },
}

struct EngineJob {
    client: usize,
    draft_id: String,
    work: Work,
    written: bool,
    asked: Instant,
    done: Sender<Done>,
}

/// What a client is told: whether its job was right, and whether it was an append.
struct Done {
    client: usize,
    right: bool,
    append: bool,
    took: Duration,
}

/// What the engine got through.
pub struct Appends {
    pub per_second: f64,
    /// From handing a job in to hearing of it.
    pub latency: Histogram,
}

/// Appends per second that 64 logical clients, each with one outstanding append, get committed in
/// a new database in `directory`. The creation of drafts takes its time, but is not counted.
pub fn engine_appends_per_second(directory: &Path, duration: Duration) -> Result<f64> {
    Ok(appends(directory, CLIENTS, duration)?.per_second)
}

/// The same for so many clients, with how long each waited.
pub fn appends(directory: &Path, clients: usize, duration: Duration) -> Result<Appends> {
    let store = store::open(&directory.join("engine.db"), &inkring::features::schema())?;
    let writer = Writer::start(store, QUEUE_JOBS, Arc::new(Hub::new(Clock::system())), Clock::system())?;
    let appends = drive(&writer.handle(), clients, duration);
    writer.stop();
    appends
}

/// The CPU time of one append, in microseconds, of those of one client that come at an even pace; all that this process spends.
pub fn paced(directory: &Path, per_second: u32, duration: Duration) -> Result<f64> {
    let store = store::open(&directory.join("engine.db"), &inkring::features::schema())?;
    let writer = Writer::start(store, QUEUE_JOBS, Arc::new(Hub::new(Clock::system())), Clock::system())?;
    let (handle, (done, answers)) = (writer.handle(), channel());
    let work = |draft_id: &str, work: Work| {
        let (draft_id, done) = (draft_id.to_owned(), done.clone());
        let job = EngineJob { client: 0, draft_id, work, written: false, asked: Instant::now(), done };
        handle.submit(Box::new(job)).map_err(|_| "the queue is full")?;
        let is_right = answers.recv_timeout(PATIENCE)?.right;
        is_right.then_some(()).ok_or_else(|| Box::<dyn std::error::Error>::from("the engine refused a job"))
    };
    let (mut count, began, spent) = (0_u32, Instant::now(), process::cpu_seconds("self"));
    let mut draft_id = String::new();
    while began.elapsed() < duration {
        std::thread::sleep((Duration::from_secs(1) * count / per_second).saturating_sub(began.elapsed()));
        if count.is_multiple_of(SEGMENTS as u32) {
            draft_id = uuid::Uuid::new_v4().to_string();
            work(&draft_id, Work::Create)?;
        }
        work(&draft_id, Work::Append { content: "x".repeat(200), key: count.to_string() })?;
        count += 1;
    }
    let spent = process::cpu_seconds("self") - spent;
    // The writer goes on for as long as somebody can hand jobs in.
    drop(handle);
    writer.stop();
    Ok(spent * 1e6 / f64::from(count))
}

/// Appends `count` segments to a new draft of this user's in the database in `directory`, and says its id.
pub fn fill(database: &Path, user: &str, count: usize) -> Result<String> {
    let store = store::open(database, &inkring::features::schema())?;
    let writer = Writer::start(store, QUEUE_JOBS, Arc::new(Hub::new(Clock::system())), Clock::system())?;
    let draft_id = uuid::Uuid::new_v4().to_string();
    let (done, is_done) = channel();
    let job = Fill { user: user.to_owned(), draft_id: draft_id.clone(), count, result: Err("not run".into()), done };
    writer.handle().submit(Box::new(job)).map_err(|_| "the queue is full")?;
    let filled = is_done.recv_timeout(PATIENCE * 6)?;
    writer.stop();
    filled?;
    Ok(draft_id)
}

struct Fill {
    user: String,
    draft_id: String,
    count: usize,
    result: std::result::Result<(), String>,
    done: Sender<std::result::Result<(), String>>,
}

impl Fill {
    fn work(&self, tx: &mut Tx<'_>) -> Result<()> {
        let new = drafts::NewDraft {
            draft_id: self.draft_id.clone(),
            creator_id: self.user.clone(),
            title: "bench".into(),
            platform: "x".into(),
            initial_segment: None,
        };
        drafts::create(tx, &new, "bench")?;
        let content = "x".repeat(500);
        for _ in 0..self.count {
            let mut head = drafts::lock_head(tx, &self.draft_id)?.ok_or("no draft")?;
            drafts::append(tx, &mut head, &uuid::Uuid::new_v4().to_string(), &content, "bench")?;
        }
        Ok(())
    }
}

impl Job for Fill {
    fn run(&mut self, tx: &mut Tx<'_>) -> Verdict {
        self.result = self.work(tx).map_err(|error| error.to_string());
        if self.result.is_ok() { Verdict::Keep } else { Verdict::Undo }
    }

    fn settle(self: Box<Self>, outcome: std::result::Result<JobTimes, StoreError>) {
        let result = outcome.map_err(|error| error.to_string()).and(self.result);
        // Nobody may be waiting any more: the time was over.
        let _ = self.done.send(result);
    }
}

fn drive(writer: &WriterHandle, clients: usize, duration: Duration) -> Result<Appends> {
    let (done, answers): (_, Receiver<Done>) = channel();
    let mut serials = vec![0; clients];
    let mut created = vec![false; clients];
    let mut send = |client: usize| {
        let serial: usize = serials[client];
        let draft_id = format!("00000000-0000-4000-8000-{client:04}{:08}", serial / SEGMENTS);
        let work = if serial.is_multiple_of(SEGMENTS) && !created[client] {
            created[client] = true;
            Work::Create
        } else {
            created[client] = false;
            serials[client] += 1;
            let content = format!("{:x<200}", format!("[c{client}-{serial}]"));
            Work::Append { content, key: format!("k{client}-{serial}") }
        };
        let job = EngineJob { client, draft_id, work, written: false, asked: Instant::now(), done: done.clone() };
        writer.submit(Box::new(job)).map_err(|_| "the queue is full")
    };
    for client in 0..clients {
        send(client)?;
    }
    let start = Instant::now();
    let (mut counted, mut latency) = (0, Histogram::default());
    while start.elapsed() < duration {
        let Done { client, right, append, took } = answers.recv_timeout(PATIENCE)?;
        if !right {
            return Err("the engine refused a job".into());
        }
        counted += usize::from(append);
        if append {
            latency.add(took);
        }
        send(client)?;
    }
    let per_second = counted as f64 / start.elapsed().as_secs_f64();
    // What is still in flight must be settled before the writer can stop.
    for _ in 0..clients {
        answers.recv_timeout(PATIENCE)?;
    }
    Ok(Appends { per_second, latency })
}

impl EngineJob {
    fn work(&self, tx: &mut Tx<'_>) -> Result<()> {
        let actor = format!("bench-{}", self.client);
        let request_id = "00000000-0000-4000-8000-000000000000";
        match &self.work {
            Work::Create => {
                let new = drafts::NewDraft {
                    draft_id: self.draft_id.clone(),
                    creator_id: actor,
                    title: "bench".into(),
                    platform: "x".into(),
                    initial_segment: None,
                };
                drafts::create(tx, &new, request_id)?;
            }
            Work::Append { content, key } => {
                let mut head = drafts::lock_head(tx, &self.draft_id)?.ok_or("no draft")?;
                if keys::spent_on(tx, head.row, &actor, keys::Operation::Append, key)?.is_some() {
                    return Err("not a new append".into());
                }
                let ring = ring::Ring { creator: &head.creator_id, holder: &head.holder_id };
                // As many as the run makes.
                let room = ring::Room { taken: head.segments, cap: 0 };
                ring::may_append(ring, &actor, ring.knows(&actor), room).map_err(|_| "not the holder")?;
                let segment_id = uuid::Uuid::new_v4().to_string();
                let link = drafts::append(tx, &mut head, &segment_id, content, request_id)?;
                let spent = keys::Spent { version: Some(head.event_seq), segment_order: Some(link.order) };
                keys::spend_key(tx, head.row, &actor, keys::Operation::Append, key, spent)?;
            }
        }
        Ok(())
    }
}

impl Job for EngineJob {
    fn run(&mut self, tx: &mut Tx<'_>) -> Verdict {
        self.written = self.work(tx).is_ok();
        if self.written { Verdict::Keep } else { Verdict::Undo }
    }

    fn settle(self: Box<Self>, outcome: std::result::Result<JobTimes, StoreError>) {
        let append = matches!(self.work, Work::Append { .. });
        // Nobody may be waiting any more: the time was over.
        let (right, took) = (self.written && outcome.is_ok(), self.asked.elapsed());
        let _ = self.done.send(Done { client: self.client, right, append, took });
    }
}
