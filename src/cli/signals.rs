//! What an operator says by signals. The thread that hears them does no work: it notes the order and wakes `main`.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

use crate::clock::Clock;
use crate::observe::LogHandle;

/// How long the last log lines may take to leave when a second signal ends the process.
const LAST_FLUSH: Duration = Duration::from_millis(200);
/// Orders to stop that come so soon after the first are the same one.
const SAME_STOP: Duration = Duration::from_millis(500);

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
    /// SIGUSR1.
    OnDemand,
}

/// The orders that were given and not yet taken. Each is a flag and no queue: to be told twice before it is done is the
/// same as to be told once.
#[derive(Clone, Default)]
pub(super) struct Orders(Arc<Flags>);

#[derive(Default)]
struct Flags {
    stop: AtomicBool,
    reload: AtomicBool,
    on_demand: AtomicBool,
}

impl Orders {
    /// Hears signals from now on, for the thread that calls this. A second SIGTERM or SIGINT, half a second or more after the
    /// first, ends the process at once.
    pub(super) fn listen(logs: LogHandle, clock: Clock) -> io::Result<Self> {
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1])?;
        // A limit on the size of files shall be an error of the write that meets it, and not the end of the process.
        signal_hook::flag::register(SIGXFSZ, Arc::default())?;
        let orders = Self::default();
        let (given, main) = (orders.clone(), thread::current());
        thread::Builder::new().name("signals".into()).spawn(move || {
            let mut stopped = None;
            for signal in signals.forever() {
                let name = low_level::signal_name(signal).unwrap_or("unknown");
                let now = clock.instant();
                log::info!(signal = name; "signal.received");
                let order = match signal {
                    SIGHUP => Order::Reload,
                    SIGUSR1 => Order::OnDemand,
                    _ => Order::Stop,
                };
                if order == Order::Stop && at_once(&mut stopped, now) {
                    logs.flush(LAST_FLUSH);
                    // What was acknowledged is on disk (G1); what was not, the operator has chosen not to wait for.
                    std::process::exit(128 + signal);
                }
                given.give(order);
                main.unpark();
            }
        })?;
        Ok(orders)
    }

    /// Waits for an order. Once there is one to stop, there is no other any more.
    pub(super) fn next(&self) -> Order {
        loop {
            let Flags { stop, reload, on_demand } = &*self.0;
            if stop.load(Ordering::Acquire) {
                return Order::Stop;
            }
            for (flag, order) in [(reload, Order::Reload), (on_demand, Order::OnDemand)] {
                // Taken before it is carried out: what is said meanwhile is to be done once more.
                if flag.swap(false, Ordering::AcqRel) {
                    return order;
                }
            }
            thread::park();
        }
    }

    /// Notes an order.
    fn give(&self, order: Order) {
        let Flags { stop, reload, on_demand } = &*self.0;
        let flag = match order {
            Order::Stop => stop,
            Order::Reload => reload,
            Order::OnDemand => on_demand,
        };
        flag.store(true, Ordering::Release);
    }
}

/// Whether the process is to end at once, now that it was told to stop: it was told before, and not by the same hand. Who
/// watches over a process often tells both it and its group, as `timeout` does.
fn at_once(stopped: &mut Option<Instant>, now: Instant) -> bool {
    now.saturating_duration_since(*stopped.get_or_insert(now)) >= SAME_STOP
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn orders_are_taken_once_and_the_stop_goes_first_and_for_good() {
        let orders = Orders::default();
        orders.give(Order::OnDemand);
        orders.give(Order::Reload);
        orders.give(Order::Reload);
        assert_eq!([orders.next(), orders.next()], [Order::Reload, Order::OnDemand]);
        orders.give(Order::Reload);
        orders.give(Order::Stop);
        assert_eq!([orders.next(), orders.next()], [Order::Stop; 2]);
    }

    #[test]
    fn a_stop_that_is_told_twice_within_half_a_second_is_one() {
        let (began, mut stopped) = (Clock::manual(Timestamp(0)).instant(), None);
        let told = [0, 1, 499, 500, 501].map(|ms| at_once(&mut stopped, began + Duration::from_millis(ms)));
        assert_eq!(told, [false, false, false, true, true]);
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
}
