//! The blocking pool: a few threads for work that may block (files, large reads), so that no shard has to.
//!
//! Tasks wait in a bounded queue ([`QUEUE_MAX`]); when it is full, a task is given back to its caller. A task that
//! panics ends neither its thread nor the server. What a task leaves undone is its own to tell: a `gate::Reply` that it
//! holds answers by being dropped.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::observe::metrics::{Metrics, PROCESS, Row, set_usize};
use crate::settings::{BoundRow, Knob, SERVER, int};

pub(crate) static THREADS: Knob = Knob::new(&SERVER, "BLOCKING_THREADS", int(1, 256, "threads"), "2")
    .meaning("Number of threads for blocking work such as reading files, which keeps the shards free.");

pub(crate) const KNOBS: &[&Knob] = &[&THREADS];

static POOL_THREADS: Row = Row::gauge(&PROCESS, "inkring_blocking_threads")
    .says("Threads of the pool for blocking work", "Does blocking work have to wait?");

static QUEUE_DEPTH: Row = Row::gauge(&PROCESS, "inkring_blocking_queue_depth")
    .says("Work waiting for a thread of that pool", "Does blocking work have to wait?");

pub(crate) const ROWS: &[&Row] = &[&POOL_THREADS, &QUEUE_DEPTH];

/// Tasks that may wait for a thread.
pub const QUEUE_MAX: usize = 1024;

pub(crate) const BOUNDS: &[BoundRow] = &[BoundRow::new(&SERVER, "QUEUE_MAX", QUEUE_MAX as u64, "tasks")
    .of("Work waiting for a thread of the blocking pool.", "503 `overloaded`")
    .tested_by("what_the_pool_has_no_room_for_is_refused")];

/// Work for a thread of the pool.
pub type Task = Box<dyn FnOnce() + Send>;

/// Hands in tasks. Clones share the pool.
#[derive(Clone)]
pub struct PoolHandle(Arc<Shared>);

struct Shared {
    name: &'static str,
    threads: usize,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    tasks: VecDeque<Task>,
    running: usize,
    /// Those that were started so far.
    threads: Vec<JoinHandle<()>>,
    closed: bool,
}

/// The running pool.
pub struct Pool {
    handle: PoolHandle,
}

impl Pool {
    /// A pool of so many threads, named after it. Each is started by the first task that needs it: a server that reads no files
    /// has none.
    pub fn start(name: &'static str, threads: usize) -> Self {
        let (queue, changed) = (Mutex::default(), Condvar::new());
        Self { handle: PoolHandle(Arc::new(Shared { name, threads, queue, changed })) }
    }

    /// Where tasks are handed in.
    pub fn handle(&self) -> PoolHandle {
        self.handle.clone()
    }

    /// Waits for the tasks that run, drops those that wait, and takes no more.
    pub fn stop(self) {
        for thread in self.handle.close() {
            // Every task is caught, so a thread that panicked did so in this file.
            if thread.join().is_err() {
                log::error!(thread = "pool"; "thread.panicked");
            }
        }
    }

    /// The same for a pool whose tasks may take longer than anybody wants to wait. Returns how many still run after so long,
    /// and leaves them to it.
    #[must_use]
    pub fn stop_within(self, patience: Duration) -> usize {
        drop(self.handle.close());
        let Shared { queue, changed, .. } = &*self.handle.0;
        let mut queue = queue.lock();
        changed.wait_while_for(&mut queue, |queue| queue.running > 0, patience);
        queue.running
    }
}

impl PoolHandle {
    /// Takes no more tasks, and drops those that wait. Returns the threads, which end with what they do.
    fn close(&self) -> Vec<JoinHandle<()>> {
        let (waiting, threads) = {
            let mut queue = self.0.queue.lock();
            queue.closed = true;
            (std::mem::take(&mut queue.tasks), std::mem::take(&mut queue.threads))
        };
        self.0.changed.notify_all();
        // Outside the lock: a task may hand in another when it is dropped.
        drop(waiting);
        threads
    }

    /// Hands in a task without waiting.
    ///
    /// # Errors
    /// Gives it back when [`QUEUE_MAX`] wait, the pool has stopped, or the system refuses it even one thread.
    pub fn submit(&self, task: Task) -> Result<(), Task> {
        let mut queue = self.0.queue.lock();
        if queue.closed || queue.tasks.len() >= QUEUE_MAX {
            return Err(task);
        }
        if queue.running + queue.tasks.len() >= queue.threads.len() && queue.threads.len() < self.0.threads {
            match Shared::spawn(&self.0, queue.threads.len()) {
                Ok(thread) => queue.threads.push(thread),
                Err(error) if queue.threads.is_empty() => {
                    log::error!(error = error.to_string(); "pool.no_thread");
                    return Err(task);
                }
                // Those that there are do it, one after the other.
                Err(_) => {}
            }
        }
        queue.tasks.push_back(task);
        drop(queue);
        self.0.changed.notify_one();
        Ok(())
    }

    /// Has metrics show its threads and its queue.
    pub fn show(&self, metrics: &Metrics) {
        set_usize(&metrics.gauge(&POOL_THREADS), self.0.threads);
        let (pool, depth) = (self.clone(), metrics.gauge(&QUEUE_DEPTH));
        metrics.sample_with(move || set_usize(&depth, pool.queued()));
    }

    /// Tasks that wait for a thread.
    pub fn queued(&self) -> usize {
        self.0.queue.lock().tasks.len()
    }
}

impl Shared {
    fn spawn(this: &Arc<Self>, number: usize) -> io::Result<JoinHandle<()>> {
        let shared = Arc::clone(this);
        std::thread::Builder::new().name(format!("{}-{number}", this.name)).spawn(move || shared.work())
    }

    fn work(&self) {
        while let Some(task) = self.next() {
            // The panic hook has logged it; what the task held was dropped.
            let _ = catch_unwind(AssertUnwindSafe(task));
            let mut queue = self.queue.lock();
            queue.running -= 1;
            if queue.closed {
                self.changed.notify_all();
            }
        }
    }

    fn next(&self) -> Option<Task> {
        let mut queue = self.queue.lock();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(task) = queue.tasks.pop_front() {
                queue.running += 1;
                return Some(task);
            }
            self.changed.wait(&mut queue);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{channel, sync_channel};

    use super::*;

    #[test]
    fn a_panic_costs_no_thread() {
        let pool = Pool::start("test", 1);
        let (done, waits) = channel();
        pool.handle().submit(Box::new(|| panic!("on purpose"))).ok().unwrap();
        pool.handle().submit(Box::new(move || done.send(()).unwrap())).ok().unwrap();
        waits.recv().unwrap();
        pool.stop();
    }

    #[test]
    fn a_full_queue_gives_the_task_back() {
        let pool = Pool::start("test", 1);
        let handle = pool.handle();
        let ((began, has_begun), (go, may_go)) = (channel(), channel::<()>());
        let first = move || {
            began.send(()).unwrap();
            let _ = may_go.recv();
        };
        handle.submit(Box::new(first)).ok().unwrap();
        has_begun.recv().unwrap();
        for _ in 0..QUEUE_MAX {
            handle.submit(Box::new(|| ())).ok().unwrap();
        }
        assert!(handle.submit(Box::new(|| ())).is_err());
        assert_eq!(handle.queued(), QUEUE_MAX);
        drop(go);
        pool.stop();
        assert!(handle.submit(Box::new(|| ())).is_err(), "a pool that has stopped takes nothing");
    }

    #[test]
    fn a_stop_waits_for_what_runs_and_drops_what_waits() {
        let pool = Pool::start("test", 2);
        let (began, has_begun) = channel();
        let (go, may_go) = sync_channel::<()>(0);
        let finished = Arc::new(Mutex::new(Vec::new()));
        let (noted, handle) = (Arc::clone(&finished), pool.handle());
        let running = move || {
            began.send(()).unwrap();
            may_go.recv().unwrap();
            noted.lock().push("ran");
        };
        handle.submit(Box::new(running)).ok().unwrap();
        has_begun.recv().unwrap();
        // The other thread is kept busy by nothing, so only what comes after the stop is sure to wait.
        let stopping = std::thread::spawn(move || pool.stop());
        while handle.submit(Box::new(|| ())).is_ok() {}
        go.send(()).unwrap();
        stopping.join().unwrap();
        assert_eq!(*finished.lock(), ["ran"]);
    }

    #[test]
    fn what_takes_too_long_is_left_to_itself() {
        let pool = Pool::start("test", 2);
        let ((began, has_begun), (go, may_go)) = (channel(), channel::<()>());
        let running = move || {
            began.send(()).unwrap();
            let _ = may_go.recv();
        };
        pool.handle().submit(Box::new(running)).ok().unwrap();
        has_begun.recv().unwrap();
        assert_eq!(pool.stop_within(Duration::from_millis(10)), 1);
        drop(go);
        assert_eq!(Pool::start("test", 1).stop_within(Duration::from_secs(20)), 0);
    }

    #[test]
    fn threads_are_started_when_they_are_needed_and_not_before() {
        let pool = Pool::start("test", 2);
        let started = |pool: &Pool| pool.handle.0.queue.lock().threads.len();
        assert_eq!(started(&pool), 0);
        let mut going = Vec::new();
        for expected in [1, 2, 2] {
            let (go, may_go) = channel::<()>();
            pool.handle().submit(Box::new(move || _ = may_go.recv())).ok().unwrap();
            going.push(go);
            assert_eq!(started(&pool), expected);
        }
        drop(going);
        pool.stop();
    }
}
