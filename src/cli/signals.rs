//! What an operator says by signals. The thread that hears them does no work: it notes the order and wakes `main`.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::observe::LogHandle;

/// How long the last log lines may take to leave when a second signal ends the process.
const LAST_FLUSH: Duration = Duration::from_millis(200);

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
    /// SIGUSR1.
    BackUp,
}

/// The orders that were given and not yet taken. Each is a flag and no queue: to be told twice before it is done is the
/// same as to be told once.
#[derive(Clone, Default)]
pub(super) struct Orders(Arc<Flags>);

#[derive(Default)]
struct Flags {
    stop: AtomicBool,
    reload: AtomicBool,
    back_up: AtomicBool,
}

impl Orders {
    /// Hears signals from now on, for the thread that calls this. A second SIGTERM or SIGINT ends the process at once.
    pub(super) fn listen(logs: LogHandle) -> io::Result<Self> {
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1])?;
        // A limit on the size of files shall be an error of the write that meets it, and not the end of the process.
        signal_hook::flag::register(SIGXFSZ, Arc::default())?;
        let orders = Self::default();
        let (given, main) = (orders.clone(), thread::current());
        thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in signals.forever() {
                log::info!(signal; "signal.received");
                let order = match signal {
                    SIGHUP => Order::Reload,
                    SIGUSR1 => Order::BackUp,
                    _ => Order::Stop,
                };
                if given.give(order) && order == Order::Stop {
                    logs.flush(LAST_FLUSH);
                    // What was acknowledged is on disk (G1); what was not, the operator has chosen not to wait for.
                    std::process::exit(128 + signal);
                }
                main.unpark();
            }
        })?;
        Ok(orders)
    }

    /// Waits for an order. Once there is one to stop, there is no other any more.
    pub(super) fn next(&self) -> Order {
        loop {
            let Flags { stop, reload, back_up } = &*self.0;
            if stop.load(Ordering::Acquire) {
                return Order::Stop;
            }
            for (flag, order) in [(reload, Order::Reload), (back_up, Order::BackUp)] {
                // Taken before it is carried out: what is said meanwhile is to be done once more.
                if flag.swap(false, Ordering::AcqRel) {
                    return order;
                }
            }
            thread::park();
        }
    }

    /// Notes an order; whether it was there already.
    fn give(&self, order: Order) -> bool {
        let Flags { stop, reload, back_up } = &*self.0;
        let flag = match order {
            Order::Stop => stop,
            Order::Reload => reload,
            Order::BackUp => back_up,
        };
        flag.swap(true, Ordering::AcqRel)
    }
}

/// What makes a backup, and takes as long as it takes.
pub(super) type BackUp = Arc<dyn Fn() + Send + Sync>;

/// Backups that are asked for by a signal: each on a thread of its own, one at a time, so that `main` can still be told
/// to stop.
pub(super) struct BackUps {
    make: Option<BackUp>,
    running: Option<JoinHandle<()>>,
}

impl BackUps {
    /// Made by this, if there is a place for them.
    pub(super) fn new(make: Option<BackUp>) -> Self {
        Self { make, running: None }
    }

    /// Begins one, or says why not.
    pub(super) fn begin(&mut self) {
        let Some(make) = &self.make else {
            log::warn!(reason = "there is no BACKUP_DIR: set one and restart"; "backup.not_begun");
            return;
        };
        if self.running.as_ref().is_some_and(|thread| !thread.is_finished()) {
            log::warn!(reason = "the one before is not finished"; "backup.not_begun");
            return;
        }
        let make = Arc::clone(make);
        match thread::Builder::new().name("backup".into()).spawn(move || make()) {
            Ok(thread) => self.running = Some(thread),
            Err(error) => log::error!(reason = error.to_string(); "backup.not_begun"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn orders_are_taken_once_and_the_stop_goes_first_and_for_good() {
        let orders = Orders::default();
        assert!(!orders.give(Order::BackUp));
        assert!(!orders.give(Order::Reload));
        assert!(orders.give(Order::Reload), "said twice");
        assert_eq!([orders.next(), orders.next()], [Order::Reload, Order::BackUp]);
        orders.give(Order::Reload);
        assert!(!orders.give(Order::Stop));
        assert_eq!([orders.next(), orders.next()], [Order::Stop; 2]);
        assert!(orders.give(Order::Stop));
    }

    #[test]
    fn who_waits_is_woken_by_an_order() {
        let orders = Orders::default();
        let (main, given) = (thread::current(), orders.clone());
        let signals = thread::spawn(move || {
            given.give(Order::Reload);
            main.unpark();
        });
        assert_eq!(orders.next(), Order::Reload);
        signals.join().unwrap();
    }

    #[test]
    fn backups_are_made_one_at_a_time() {
        let made = Arc::new(AtomicUsize::new(0));
        let (count, (begun, begins), (go, wait)) = (Arc::clone(&made), channel(), channel::<()>());
        let wait = std::sync::Mutex::new(wait);
        let mut backups = BackUps::new(Some(Arc::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
            begun.send(()).unwrap();
            wait.lock().unwrap().recv().unwrap();
        })));
        backups.begin();
        begins.recv().unwrap();
        backups.begin();
        go.send(()).unwrap();
        backups.running.take().unwrap().join().unwrap();
        assert_eq!(made.load(Ordering::Relaxed), 1);
        backups.begin();
        begins.recv().unwrap();
        go.send(()).unwrap();
        backups.running.take().unwrap().join().unwrap();
        assert_eq!(made.load(Ordering::Relaxed), 2);
        BackUps::new(None).begin();
    }
}
