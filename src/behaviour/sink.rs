//! The one thread that writes the file of events. Shards hand it lines and wait for nothing; it answers their requests once
//! the lines are in the file, syncs within a second ([`SYNC_WITHIN`]), and moves the file aside when it is due.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rustix::io::Errno;

use super::active::{Active, Disturbance};
use super::errors::sink_failed;
use super::options;
use super::state::State;
use crate::clock::{Clock, Timekeeper};
use crate::gate::{ApiError, Live, Reply};
use crate::observe::throttle::LogThrottle;
use crate::store;

/// Requests whose events wait to be written.
pub(super) const SINK_REQUESTS_MAX: usize = 4096;
/// Bytes of their lines.
pub(super) const SINK_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What is kept of written lines for the next ones, so that memory stays where it is: so many, each of at most so many bytes.
const SPARE_MAX: usize = 4;
const SPARE_MAX_BYTES: usize = 256 * 1024;
/// What is written at once.
const WRITE_MAX_BYTES: usize = 1024 * 1024;
/// When what was written is synced: so much later, which leaves a slow disk the other half of the second that is promised.
pub(super) const SYNC_WITHIN: Duration = Duration::from_millis(500);
/// How often it is tried whether events can be written again.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// What events leave free of a disk on which the database may lie, too; of a small disk a sixteenth.
pub(super) const EVENTS_LEAVE_BYTES: u64 = 64 * 1024 * 1024;

static NOT_ROTATED: LogThrottle = LogThrottle::new();
static DISTURBED: LogThrottle = LogThrottle::new();

/// Hands in lines. Clones share the sink.
#[derive(Clone)]
pub(super) struct SinkHandle(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    requests: usize,
    bytes: usize,
    closed: bool,
    /// Empty ones.
    spare: Vec<Lines>,
}

/// Lines of events, and who waits for them to be written.
#[derive(Default)]
pub(super) struct Lines {
    pub(super) text: String,
    pub(super) events: u64,
    pub(super) replies: Vec<Reply<()>>,
}

impl Lines {
    /// Those of another shard as well.
    fn add(&mut self, other: Self) {
        self.text.push_str(&other.text);
        self.events += other.events;
        self.replies.extend(other.replies);
    }

    /// Answers everybody who waits, and is empty then.
    pub(super) fn answer(&mut self, result: impl Fn() -> Result<(), ApiError>) {
        self.replies.drain(..).for_each(|reply| reply.done(result()));
        self.text.clear();
        self.events = 0;
    }
}

/// Lines were not taken.
#[derive(Debug)]
pub(super) struct Refused;

enum Job {
    Append(Lines),
    /// Moves the file aside if it is due, or has so many bytes.
    Rotate {
        max_bytes: Option<u64>,
        answer: Sender<io::Result<Option<String>>>,
    },
}

impl SinkHandle {
    /// Hands in lines without waiting, and leaves none. Who waits for them is answered once they are in the file.
    ///
    /// # Errors
    /// When too much waits, or the sink has stopped; the lines stay.
    pub(super) fn append(&self, lines: &mut Lines) -> Result<(), Refused> {
        let mut queue = self.0.queue.lock();
        let (requests, bytes) = (queue.requests + lines.replies.len(), queue.bytes + lines.text.len());
        if queue.closed || requests > SINK_REQUESTS_MAX || bytes > SINK_BYTES_MAX {
            return Err(Refused);
        }
        (queue.requests, queue.bytes) = (requests, bytes);
        let next = queue.spare.pop().unwrap_or_default();
        queue.jobs.push_back(Job::Append(std::mem::replace(lines, next)));
        drop(queue);
        self.0.changed.notify_one();
        Ok(())
    }

    /// Has the file moved aside if it is due by now, and waits for it. Not for shards.
    ///
    /// # Errors
    /// When it cannot be.
    pub(super) fn rotate(&self, max_bytes: Option<u64>) -> io::Result<Option<String>> {
        let (answer, answered) = channel();
        {
            let mut queue = self.0.queue.lock();
            if queue.closed {
                return Err(io::Error::other("the server stops"));
            }
            queue.jobs.push_back(Job::Rotate { max_bytes, answer });
        }
        self.0.changed.notify_one();
        answered.recv().unwrap_or_else(|_| Err(io::Error::other("the thread that writes events gave it up")))
    }

    /// How many requests wait.
    pub(super) fn waiting(&self) -> usize {
        self.0.queue.lock().requests
    }
}

impl Shared {
    /// What has been handed in, after so long at the latest; nothing once the sink is closed and all is done.
    fn next(&self, patience: Option<Duration>) -> Option<VecDeque<Job>> {
        let mut queue = self.queue.lock();
        if queue.jobs.is_empty() && !queue.closed {
            match patience {
                Some(patience) => _ = self.changed.wait_for(&mut queue, patience),
                None => self.changed.wait(&mut queue),
            }
        }
        if queue.jobs.is_empty() && queue.closed {
            return None;
        }
        (queue.requests, queue.bytes) = (0, 0);
        Some(std::mem::take(&mut queue.jobs))
    }

    /// Keeps lines that were answered for further ones.
    fn keep(&self, lines: Lines) {
        let mut queue = self.queue.lock();
        if queue.spare.len() < SPARE_MAX && lines.text.capacity() <= SPARE_MAX_BYTES {
            queue.spare.push(lines);
        }
    }
}

/// The running sink.
pub(super) struct Sink {
    handle: SinkHandle,
    thread: JoinHandle<()>,
}

/// What its thread works with.
pub(super) struct Parts {
    pub(super) active: Active,
    pub(super) state: Arc<State>,
    pub(super) live: Live<options::Live>,
    pub(super) directory: std::path::PathBuf,
    pub(super) clock: Clock,
    pub(super) timekeeper: Timekeeper,
}

impl Sink {
    /// Starts it. Whether events can be written is known when this returns.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(super) fn start(parts: Parts) -> io::Result<Self> {
        let shared = Arc::new(Shared { queue: Mutex::default(), changed: Condvar::new() });
        let mut writing = Writing { parts, shared: Arc::clone(&shared), due: None, room: None };
        writing.probe();
        let thread = std::thread::Builder::new().name("behaviour".into()).spawn(move || writing.run())?;
        Ok(Self { handle: SinkHandle(shared), thread })
    }

    /// Where lines are handed in.
    pub(super) fn handle(&self) -> SinkHandle {
        self.handle.clone()
    }

    /// Writes and syncs what waits, and takes no more.
    pub(super) fn stop(self) {
        self.handle.0.queue.lock().closed = true;
        self.handle.0.changed.notify_all();
        if self.thread.join().is_err() {
            log::error!(thread = "behaviour"; "thread.panicked");
        }
    }
}

/// The thread.
struct Writing {
    parts: Parts,
    shared: Arc<Shared>,
    /// When what was written is to be synced.
    due: Option<Instant>,
    /// When it was last looked how much room there is, and whether that was enough.
    room: Option<(Instant, bool)>,
}

impl Writing {
    fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        while let Some(jobs) = shared.next(self.patience()) {
            // The panic hook has logged it, and what was not answered is answered 500 by being dropped.
            if catch_unwind(AssertUnwindSafe(|| self.turn(jobs))).is_err() {
                self.parts.active.forget();
            }
        }
        self.sync();
    }

    /// How long there is nothing to do unless something is handed in.
    fn patience(&self) -> Option<Duration> {
        let until_due = self.due.map(|due| due.saturating_duration_since(self.parts.clock.instant()));
        let probe = self.parts.state.trouble().map(|_| PROBE_EVERY);
        until_due.into_iter().chain(probe).min()
    }

    fn turn(&mut self, jobs: VecDeque<Job>) {
        if jobs.is_empty() && self.parts.state.trouble().is_some() {
            self.probe();
        }
        let mut batch = Lines::default();
        for job in jobs {
            match job {
                Job::Append(lines) => {
                    if batch.text.len() + lines.text.len() > WRITE_MAX_BYTES {
                        self.write(std::mem::take(&mut batch));
                    }
                    if batch.replies.is_empty() {
                        batch = lines;
                    } else {
                        batch.add(lines);
                    }
                }
                Job::Rotate { max_bytes, answer } => {
                    self.write(std::mem::take(&mut batch));
                    let rotated = self.rotate_if_due(max_bytes);
                    self.notice();
                    if let Err(error) = &rotated {
                        self.judge(Some(error));
                    }
                    // Who asked may have left.
                    let _ = answer.send(rotated);
                }
            }
        }
        self.write(batch);
        if self.parts.active.is_dirty() {
            let now = self.parts.clock.instant();
            if *self.due.get_or_insert(now + SYNC_WITHIN) <= now {
                self.sync();
            }
        }
    }

    /// Writes lines and answers.
    fn write(&mut self, mut batch: Lines) {
        if batch.replies.is_empty() {
            return;
        }
        let written = self.append(batch.text.as_bytes());
        self.notice();
        self.judge(written.as_ref().err());
        let events = &self.parts.state.counters.events;
        match &written {
            Ok(()) => events.stored.inc_by(batch.events),
            Err(_) => {
                // It may be for want of room, so that is looked at again.
                self.room = None;
                events.failed.inc_by(batch.events)
            }
        };
        batch.answer(|| written.as_ref().copied().map_err(sink_failed));
        self.shared.keep(batch);
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        self.check_room()?;
        let (now, max_bytes) = (self.parts.timekeeper.now(), self.parts.live.now().rules.max_bytes);
        // A file that cannot be moved aside can still be written to.
        if self.parts.active.may_be_due(now, max_bytes)
            && let Err(error) = self.rotate_if_due(max_bytes)
            && let Some(count) = NOT_ROTATED.hit()
        {
            log::warn!(error = error.to_string(), count; "behaviour.not_rotated");
        }
        self.parts.active.append(lines, now)
    }

    fn rotate_if_due(&mut self, max_bytes: Option<u64>) -> io::Result<Option<String>> {
        let files = &self.parts.state.counters.files;
        let rotated = self.parts.active.rotate_if_due(self.parts.timekeeper.now(), max_bytes);
        match &rotated {
            Ok(Some(name)) => {
                files.rotated.inc();
                log::info!(name = name.as_str(); "behaviour.rotated");
            }
            Ok(None) => {}
            Err(_) => _ = files.failed.inc(),
        }
        rotated
    }

    /// Leaves the rest of a disk to others; looks once a second at most.
    fn check_room(&mut self) -> io::Result<()> {
        let now = self.parts.clock.instant();
        let known = self.room.filter(|(at, _)| now.saturating_duration_since(*at) < PROBE_EVERY);
        let (at, is_enough) = known.unwrap_or_else(|| {
            // Where nobody can tell, the writing will.
            let room = store::room(&self.parts.directory).ok();
            (now, room.is_none_or(|room| room.free_bytes >= EVENTS_LEAVE_BYTES.min(room.total_bytes / 16)))
        });
        self.room = Some((at, is_enough));
        if is_enough { Ok(()) } else { Err(Errno::NOSPC.into()) }
    }

    /// Sees whether events could be written.
    fn probe(&mut self) {
        self.room = None;
        let found = self.parts.active.probe().and_then(|()| self.check_room());
        self.notice();
        // Where nothing is to be written it is nobody's trouble that it could not be.
        let is_wanted = self.parts.live.now().sample_rate > 0.0;
        self.judge(found.as_ref().err().filter(|_| is_wanted));
    }

    fn sync(&mut self) {
        self.due = None;
        let synced = self.parts.active.sync();
        if let Err(error) = &synced {
            self.judge(Some(error));
        }
    }

    /// Takes down how the file was found.
    fn notice(&mut self) {
        let Parts { active, state, .. } = &mut self.parts;
        state.set_file_bytes(active.bytes());
        let counters = &state.counters;
        for how in active.disturbed() {
            let (counter, word, bytes) = match how {
                Disturbance::Gone => (&counters.disturbed.gone, "gone", 0),
                Disturbance::Replaced => (&counters.disturbed.replaced, "replaced", 0),
                Disturbance::Shorter => (&counters.disturbed.shorter, "shorter", 0),
                Disturbance::Longer => (&counters.disturbed.longer, "longer", 0),
                Disturbance::Torn { bytes } => (&counters.disturbed.torn, "torn", bytes),
            };
            counter.inc();
            if let Some(count) = DISTURBED.hit() {
                log::warn!(how = word, cut_bytes = bytes, count; "behaviour.file_disturbed");
            }
        }
    }

    /// Takes down whether events can be written.
    fn judge(&self, error: Option<&io::Error>) {
        let state = &self.parts.state;
        if error.is_some() {
            state.counters.failures.inc();
        }
        let said = error.map(io::Error::to_string);
        if state.set_trouble(said.clone()) {
            match said {
                Some(error) => {
                    let file = self.parts.active.path().display().to_string();
                    log::error!(
                        error, file, remedy = "set METRICS_JSONL or METRICS_DIR to where inkring can write";
                        "behaviour.cannot_write"
                    );
                }
                None => log::info!("behaviour.writes_again"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::counters::Counters;
    use super::super::files::Ownership;
    use super::super::names::Names;
    use super::super::ring::Ring;
    use super::*;
    use crate::clock::Timestamp;
    use crate::gate::{Waiting, park};
    use crate::net::{Response, Resume, Ticket, Woken};
    use crate::observe::metrics::Metrics;

    /// A shard that need not be woken.
    struct Asleep;

    impl Resume for Asleep {
        fn resume(&self, _: Ticket) {}
    }

    fn waiting() -> (Reply<()>, Waiting) {
        let (reply, parked) = park(Arc::new(Asleep), Ticket { connection: 0, serial: 0 });
        (reply, parked.then(|()| Ok(Response::empty(http::StatusCode::OK))))
    }

    fn lines(text: String, replies: impl IntoIterator<Item = Reply<()>>) -> Lines {
        Lines { text, events: 1, replies: replies.into_iter().collect() }
    }

    fn parts(directory: &tempfile::TempDir) -> Parts {
        let names = Names::of(&directory.path().join("metrics.jsonl"));
        let ownership = Arc::new(Ownership::of(names.clone()));
        let rate = super::super::bucket::Rate { per_second: 5, burst: 10 };
        let rules = options::Rules { max_bytes: None, gzip_after_days: None, keep_days: None };
        let client = options::Client { sample_rate: 1.0, consent: "opt-out", dev_gate: true };
        let clock = Clock::manual(Timestamp(1_790_000_000_000_000));
        Parts {
            active: Active::new(names, ownership),
            state: Arc::new(State::new(Ring::new(5), Counters::new(&Metrics::default()))),
            live: Live::new(options::Live { sample_rate: 1.0, rate, token: None, rules, client }),
            directory: directory.path().to_owned(),
            timekeeper: Timekeeper::new(clock.clone(), || None),
            clock,
        }
    }

    #[test]
    fn so_much_waits_and_no_more() {
        let shared = Arc::new(Shared { queue: Mutex::default(), changed: Condvar::new() });
        let sink = SinkHandle(Arc::clone(&shared));
        let append = |bytes: usize| {
            let (reply, waiting) = waiting();
            let taken = sink.append(&mut lines("x".repeat(bytes), [reply])).is_ok();
            drop(waiting);
            taken
        };
        assert!((0..SINK_REQUESTS_MAX).all(|_| append(1)) && !append(1));
        assert_eq!(sink.waiting(), SINK_REQUESTS_MAX);
        drop(shared.next(None));
        assert!((0..16).all(|_| append(SINK_BYTES_MAX / 16)) && !append(1), "bytes are counted as well");
        drop(shared.next(None));
        assert!(append(SINK_BYTES_MAX) && !append(1));
        drop(shared.next(None));
        let together = |requests: usize| {
            let (replies, _waiting): (Vec<_>, Vec<_>) = (0..requests).map(|_| waiting()).unzip();
            sink.append(&mut lines("x\n".repeat(requests), replies)).is_ok()
        };
        assert!(!together(SINK_REQUESTS_MAX + 1) && together(SINK_REQUESTS_MAX) && !together(1));
    }

    #[test]
    fn what_cannot_be_written_is_a_trouble_only_where_something_is_to_be() {
        for (sample_rate, is_trouble) in [(1.0, true), (0.0, false)] {
            let directory = tempfile::tempdir().unwrap();
            let parts = parts(&directory);
            std::fs::create_dir(directory.path().join("metrics.jsonl")).unwrap();
            let (rules, client) = (parts.live.now().rules, parts.live.now().client);
            let rate = super::super::bucket::Rate { per_second: 5, burst: 10 };
            parts.live.replace(options::Live { sample_rate, rate, token: None, rules, client });
            let state = Arc::clone(&parts.state);
            Sink::start(parts).unwrap().stop();
            assert_eq!(state.trouble().is_some(), is_trouble, "{sample_rate}");
        }
    }

    #[test]
    fn what_waits_at_the_stop_is_written_and_answered() {
        let directory = tempfile::tempdir().unwrap();
        let sink = Sink::start(parts(&directory)).unwrap();
        let handle = sink.handle();
        let answers: Vec<Waiting> = (0..50)
            .map(|number| {
                let (reply, waiting) = waiting();
                handle.append(&mut lines(format!("{number}\n"), [reply])).unwrap();
                waiting
            })
            .collect();
        sink.stop();
        assert!(answers.into_iter().all(|waiting| waiting.answer(Woken::Resumed).is_ok()));
        let text = std::fs::read_to_string(directory.path().join("metrics.jsonl")).unwrap();
        assert!(text.lines().eq((0..50).map(|number| number.to_string())));
        let (reply, _waiting) = waiting();
        assert!(handle.append(&mut lines("late\n".to_owned(), [reply])).is_err());
        assert!(handle.rotate(None).is_err());
    }

    #[test]
    fn what_was_written_is_synced_within_a_second() {
        let directory = tempfile::tempdir().unwrap();
        let parts = parts(&directory);
        let clock = parts.clock.clone();
        let shared = Arc::new(Shared { queue: Mutex::default(), changed: Condvar::new() });
        let mut writing = Writing { parts, shared, due: None, room: None };
        let append = |writing: &mut Writing| {
            let (reply, waiting) = waiting();
            writing.turn(VecDeque::from([Job::Append(lines("x\n".to_owned(), [reply]))]));
            assert!(waiting.answer(Woken::Resumed).is_ok());
        };
        assert_eq!(writing.patience(), None);
        append(&mut writing);
        clock.advance(400_000);
        assert_eq!(writing.patience(), Some(Duration::from_millis(100)));
        append(&mut writing);
        assert!(writing.parts.active.is_dirty(), "the first of them counts");
        clock.advance(100_000);
        writing.turn(VecDeque::new());
        assert!(!writing.parts.active.is_dirty() && writing.patience().is_none());
    }
}
