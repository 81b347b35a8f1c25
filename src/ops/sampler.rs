//! The thread that looks every two seconds, be somebody there to see it or not. It has nothing else to do: what holds
//! the writer or the housekeeper up must be seen in the curves, and not be a gap in them.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::{Builder, JoinHandle};

use parking_lot::Mutex;

use super::paths::Paths;
use super::recent::{RECENT_EVERY, Recent, Seen};
use crate::clock::Clock;
use crate::feature::House;
use crate::gate::Traffic;
use crate::housekeeper::Stop;
use crate::hub::Seats;
use crate::observe::metrics::SPREAD_BUCKETS;
use crate::store::WriterView;

/// What is looked at. Nothing of it keeps the writer from ending.
pub(super) struct Sights {
    traffic: Traffic,
    writer: WriterView,
    seats: Seats,
}

impl Sights {
    pub(super) fn of(house: &House) -> Self {
        Self { traffic: house.traffic.clone(), writer: house.writer.view().clone(), seats: house.seats.clone() }
    }

    /// What was counted of each path since the start.
    pub(super) fn by_path(&self) -> Vec<(&'static str, [u64; SPREAD_BUCKETS])> {
        self.traffic.by_path()
    }

    fn look(&self) -> Seen {
        Seen {
            answered: self.traffic.by_class(),
            commits: self.writer.commit_times(),
            sockets: self.seats.open(),
            watched: self.seats.topics(),
            queued: self.writer.queued(),
        }
    }
}

/// What is kept of that.
pub(super) struct Kept {
    /// The last minutes.
    pub(super) recent: Mutex<Recent>,
    /// The last hour of the paths.
    pub(super) paths: Mutex<Paths>,
}

impl Kept {
    /// Nothing yet, of a server that began now.
    pub(super) fn new(clock: &Clock) -> Self {
        let began = clock.instant();
        Self { recent: Mutex::new(Recent::new(began)), paths: Mutex::new(Paths::new(began)) }
    }
}

/// The running thread.
pub(super) struct Sampler {
    goes_on: Sender<Infallible>,
    thread: JoinHandle<()>,
}

impl Sampler {
    /// Starts it; the first look is at once.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(super) fn start(sights: Arc<Sights>, kept: Arc<Kept>, clock: Clock) -> io::Result<Self> {
        let (goes_on, stop) = Stop::channel();
        let look = move || {
            loop {
                let seen = sights.look();
                kept.recent.lock().keep(clock.instant(), seen);
                kept.paths.lock().keep(clock.instant(), || sights.by_path());
                if !stop.wait(Some(RECENT_EVERY)) {
                    return;
                }
            }
        };
        Ok(Self { goes_on, thread: Builder::new().name("sampler".into()).spawn(look)? })
    }

    /// Ends it.
    pub(super) fn stop(self) {
        drop(self.goes_on);
        if self.thread.join().is_err() {
            log::error!(thread = "sampler"; "thread.panicked");
        }
    }
}
