//! The thread for what must not happen on a shard: it reads the database for rooms, makes snapshots, answers owners. It is
//! handed errands and does them one after the other, in the order in which they came; now and then it looks after the rooms.

use std::cell::OnceCell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::clock::Clock;
use crate::gate::{ApiError, Reply};
use crate::store::{Reader, Readers};

/// What may wait for the desk: rooms to be loaded, mostly.
pub(super) const ERRANDS_MAX: usize = 8192;
/// What is said where more would wait.
pub(super) const TOO_MUCH_WAITS: &str = "Too many rooms wait to be loaded";
/// How often it looks after the rooms, while there are any.
const TICK: Duration = Duration::from_millis(500);

type Errand = Box<dyn FnOnce(&Desk) + Send>;

enum Work {
    Do(Errand),
    Stop,
}

/// Where errands are handed in.
#[derive(Clone)]
pub(super) struct Errands(SyncSender<Work>);

impl Errands {
    /// Has something done. False if too much waits: it is dropped then.
    pub(super) fn run(&self, errand: impl FnOnce(&Desk) + Send + 'static) -> bool {
        self.0.try_send(Work::Do(Box::new(errand))).is_ok()
    }

    /// Has something done that ends with an answer. If too much waits, that is the answer.
    pub(super) fn answer<T: Send + 'static>(
        &self,
        reply: Reply<T>,
        errand: impl FnOnce(&Desk, Reply<T>) + Send + 'static,
    ) {
        // An errand that is not taken is dropped with all that it has, and a reply that is dropped is a fault of ours.
        let owed = Arc::new(Mutex::new(Some(reply)));
        let taken = Arc::clone(&owed);
        let is_taken = self.run(move |desk| {
            let reply = taken.lock().take();
            if let Some(reply) = reply {
                errand(desk, reply);
            }
        });
        let reply = if is_taken { None } else { owed.lock().take() };
        if let Some(reply) = reply {
            reply.done(Err(ApiError::overloaded(TOO_MUCH_WAITS)));
        }
    }
}

/// What waits to be done, before anybody does it.
pub(super) struct Waiting(Receiver<Work>);

/// The two ends.
pub(super) fn errands() -> (Errands, Waiting) {
    let (errands, waiting) = sync_channel(ERRANDS_MAX);
    (Errands(errands), Waiting(waiting))
}

/// What errands work with: a reader of their own, opened when one is first needed.
pub(super) struct Desk {
    readers: Readers,
    reader: OnceCell<Reader>,
}

impl Desk {
    /// Reads what is committed. Nothing if the database cannot be opened once more.
    pub(super) fn reader(&self) -> Option<&Reader> {
        if self.reader.get().is_none() {
            match self.readers.open() {
                Ok(reader) => _ = self.reader.set(reader),
                Err(error) => log::error!(error = error.to_string(); "rooms.database_not_opened"),
            }
        }
        self.reader.get()
    }
}

/// The running thread.
pub(super) struct DeskThread {
    errands: Errands,
    thread: JoinHandle<()>,
}

impl DeskThread {
    /// Starts it. `look_after` is called every [`TICK`] from an errand on, until it says that there is nothing to look after.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(super) fn start(
        errands: &Errands,
        waiting: Waiting,
        readers: Readers,
        clock: Clock,
        look_after: impl Fn() -> bool + Send + 'static,
    ) -> io::Result<Self> {
        let work = move || run(&waiting.0, &Desk { readers, reader: OnceCell::new() }, &clock, &look_after);
        let thread = std::thread::Builder::new().name("rooms".into()).spawn(work)?;
        Ok(Self { errands: errands.clone(), thread })
    }

    /// Ends it, after what was handed in before.
    pub(super) fn stop(self) {
        // A queue that is full is being worked off.
        if self.errands.0.send(Work::Stop).is_ok() && self.thread.join().is_err() {
            log::error!(thread = "rooms"; "thread.panicked");
        }
    }
}

fn run(waiting: &Receiver<Work>, desk: &Desk, clock: &Clock, look_after: &dyn Fn() -> bool) {
    // When to look after the rooms; never while there are none.
    let mut look: Option<Instant> = None;
    loop {
        let left = look.map(|at| at.saturating_duration_since(clock.instant()));
        let work = match left {
            None => waiting.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(Duration::ZERO) => Err(RecvTimeoutError::Timeout),
            Some(left) => waiting.recv_timeout(left),
        };
        match work {
            Ok(Work::Do(errand)) => {
                caught(|| errand(desk));
                look = look.or_else(|| Some(clock.instant() + TICK));
            }
            Err(RecvTimeoutError::Timeout) => {
                let are_any = caught(look_after).unwrap_or(true);
                look = are_any.then(|| clock.instant() + TICK);
            }
            Ok(Work::Stop) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Does it; should it panic, nothing is lost but this.
fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    let done = catch_unwind(AssertUnwindSafe(work));
    done.inspect_err(|_| log::error!(thread = "rooms"; "rooms.errand_panicked")).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::gate::{Code, park};
    use crate::net::{Resume, Ticket};
    use crate::store::testing::opened;

    /// A shard that nobody looks at.
    struct Shard;

    impl Resume for Shard {
        fn resume(&self, _: Ticket) {}
    }

    #[test]
    fn errands_are_done_in_order_and_too_many_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let store = opened(&directory.path().join("a.db"));
        let ((errands, waiting), (done, seen)) = (super::errands(), channel());
        for number in 0..ERRANDS_MAX {
            let done = done.clone();
            let errand = move |desk: &Desk| {
                assert!(number != 7, "on purpose: the others are done all the same");
                done.send((number, desk.reader().is_some())).unwrap();
            };
            assert!(errands.run(errand), "{number}");
        }
        assert!(!errands.run(|_| ()), "one more");
        let ticket = Ticket { connection: 0, serial: 0 };
        let (reply, parked) = park::<u8>(Arc::new(Shard), ticket);
        errands.answer(reply, |_, reply| reply.done(Ok(7)));
        assert_eq!(parked.ready().unwrap().unwrap_err().code(), Code::Overloaded, "who waits is told, and why");
        let thread = DeskThread::start(&errands, waiting, store.readers(), Clock::system(), || false).unwrap();
        let (taken, is_taken) = channel();
        while !errands.run({
            let taken = taken.clone();
            move |_| _ = taken.send(())
        }) {}
        is_taken.recv().unwrap();
        let (reply, parked) = park::<u8>(Arc::new(Shard), ticket);
        errands.answer(reply, |_, reply| reply.done(Ok(7)));
        thread.stop();
        assert_eq!(parked.ready().unwrap().ok(), Some(7));
        let wanted = (0..ERRANDS_MAX).filter(|number| *number != 7).map(|number| (number, true));
        assert!(seen.try_iter().eq(wanted));
    }
}
