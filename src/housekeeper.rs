//! One thread for what has to be done every now and then. It knows no feature: an owner of something to tidy up hands over
//! a [`Task`].
//!
//! Tasks run one after the other, each for the first time one interval after the start, and then one interval after it
//! last ended. A task that takes long makes the others late, never absent. What changes the database goes through the
//! writer like everyone else's changes.

use std::convert::Infallible;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::settings::{Knob, STORAGE, int};

pub(crate) static EVERY: Knob = Knob::new(&STORAGE, "HOUSEKEEPING_SECONDS", int(1, 86_400, "seconds"), "60")
    .meaning("How often the server looks for data that can be removed.");

pub(crate) const KNOBS: &[&Knob] = &[&EVERY];

/// Something to do again and again.
pub struct Task {
    /// For the log.
    pub name: &'static str,
    /// From the end of one run to the beginning of the next.
    pub every: Duration,
    /// Does it. A long one asks between its steps whether it should [`Stop`].
    pub run: Box<dyn FnMut(&Stop)>,
}

/// Tells a task whether the housekeeper is to stop. Nothing is ever sent: the sender is dropped.
pub struct Stop(Receiver<Infallible>);

impl Stop {
    /// One, and what to drop to ask for it.
    #[must_use]
    pub fn channel() -> (Sender<Infallible>, Self) {
        let (goes_on, stop) = channel();
        (goes_on, Self(stop))
    }

    /// Whether to come to an end.
    pub fn asked(&self) -> bool {
        matches!(self.0.try_recv(), Err(TryRecvError::Disconnected))
    }

    /// Waits this long, or for ever. False as soon as it is to stop.
    pub fn wait(&self, time: Option<Duration>) -> bool {
        match time {
            Some(time) => matches!(self.0.recv_timeout(time), Err(RecvTimeoutError::Timeout)),
            None => self.0.recv().is_ok(),
        }
    }
}

/// The running housekeeper. Dropped, it stops too, but nobody waits for it.
pub struct Housekeeper {
    goes_on: Sender<Infallible>,
    thread: JoinHandle<()>,
}

impl Housekeeper {
    /// Starts the thread, on which the tasks are made: so they can share what is not for two threads at once.
    ///
    /// # Errors
    /// When the system refuses it.
    pub fn start(tasks: impl FnOnce() -> Vec<Task> + Send + 'static, clock: Clock) -> io::Result<Self> {
        let (goes_on, stop) = Stop::channel();
        let thread = std::thread::Builder::new().name("housekeeper".into());
        let thread = thread.spawn(move || run(tasks(), &clock, &stop))?;
        Ok(Self { goes_on, thread })
    }

    /// Begins no task any more and waits for the one that runs. When it returns, the tasks are gone with all they held.
    pub fn stop(self) {
        drop(self.goes_on);
        if self.thread.join().is_err() {
            log::error!(thread = "housekeeper"; "thread.panicked");
        }
    }
}

fn run(tasks: Vec<Task>, clock: &Clock, stop: &Stop) {
    let now = clock.instant();
    let mut tasks: Vec<(Instant, Task)> = tasks.into_iter().map(|task| (now + task.every, task)).collect();
    loop {
        let next = tasks.iter_mut().min_by_key(|(due, _)| *due);
        let wait = next.as_ref().map(|(due, _)| due.saturating_duration_since(clock.instant()));
        if !stop.wait(wait) {
            return;
        }
        let Some((due, task)) = next else { return };
        if clock.instant() < *due {
            continue;
        }
        // What a panic leaves half done is the task's own; the panic hook has logged what happened.
        if catch_unwind(AssertUnwindSafe(|| (task.run)(stop))).is_err() {
            log::error!(task = task.name; "housekeeper.task_panicked");
        }
        *due = clock.instant() + task.every;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;
    use crate::clock::Timestamp;

    fn task(name: &'static str, every: Duration, run: impl FnMut(&Stop) + 'static) -> Task {
        Task { name, every, run: Box::new(run) }
    }

    const SOON: Duration = Duration::from_millis(1);
    const LATER: Duration = Duration::from_secs(3600);

    #[test]
    fn each_task_comes_again_at_its_own_interval_and_a_panic_is_no_end() {
        let (ran, runs) = channel();
        let (panicking, other) = (ran.clone(), ran.clone());
        let panics = move |_: &Stop| {
            panicking.send("panics").unwrap();
            panic!("on purpose");
        };
        let tasks = move || {
            vec![
                task("panics", SOON, panics),
                task("works", SOON, move |_| ran.send("works").unwrap()),
                task("later", LATER, move |_| other.send("later").unwrap()),
            ]
        };
        let housekeeper = Housekeeper::start(tasks, Clock::system()).unwrap();
        let mut counts = [0, 0];
        while counts.iter().any(|count| *count < 3) {
            match runs.recv().unwrap() {
                "panics" => counts[0] += 1,
                "works" => counts[1] += 1,
                name => panic!("{name} was not due"),
            }
        }
        housekeeper.stop();
        assert!(runs.iter().all(|name| name != "later"));
    }

    #[test]
    fn nothing_is_due_while_the_clock_stands_still() {
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let (ran, first) = channel();
        let count = move |_: &Stop| {
            counted.fetch_add(1, Ordering::Relaxed);
            ran.send(()).unwrap();
        };
        let tasks = move || vec![task("never", SOON, count)];
        let housekeeper = Housekeeper::start(tasks, Clock::manual(Timestamp(0))).unwrap();
        assert!(first.recv_timeout(Duration::from_millis(20)).is_err());
        housekeeper.stop();
        assert_eq!(runs.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_stop_is_seen_at_once_by_the_wait_and_by_a_task_that_asks() {
        Housekeeper::start(Vec::new, Clock::system()).unwrap().stop();
        Housekeeper::start(|| vec![task("later", LATER, |_| {})], Clock::system()).unwrap().stop();
        let (began, begun) = channel();
        let seen = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&seen);
        let long = move |stop: &Stop| {
            began.send(()).unwrap();
            while !stop.asked() {
                std::thread::yield_now();
            }
            noted.store(true, Ordering::Relaxed);
        };
        let housekeeper = Housekeeper::start(move || vec![task("long", SOON, long)], Clock::system()).unwrap();
        begun.recv().unwrap();
        housekeeper.stop();
        assert!(seen.load(Ordering::Relaxed), "the stop waits for the task that runs");
    }

    #[test]
    fn what_tasks_hold_is_gone_after_the_stop_and_after_a_drop() {
        for drops in [false, true] {
            let held = Arc::new(());
            let holds = Arc::clone(&held);
            let hold = move |_: &Stop| assert!(Arc::strong_count(&holds) > 0);
            let housekeeper = Housekeeper::start(move || vec![task("holds", LATER, hold)], Clock::system()).unwrap();
            if drops {
                drop(housekeeper);
                while Arc::strong_count(&held) > 1 {
                    std::thread::yield_now();
                }
            } else {
                housekeeper.stop();
                assert_eq!(Arc::strong_count(&held), 1);
            }
        }
    }
}
