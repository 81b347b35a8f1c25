//! The [`Steadiness`] of the machine's clock, for all who keep or remove by time.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Clock;
use super::steady::{AHEAD_MAX, Horizon, Reading, STEADY_FOR, Steadiness, TIME_MIN};
use super::timestamp::Timestamp;

/// Looks at both clocks whenever it is asked. Clones share what they have seen.
#[derive(Debug, Clone)]
pub struct Timekeeper(Arc<Shared>);

struct Shared {
    clock: Clock,
    /// Tells the newest stored time, if there is any.
    stored: Box<dyn Fn() -> Option<Timestamp> + Send + Sync>,
    seen: Mutex<Seen>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("seen", &self.seen).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Seen {
    steadiness: Steadiness,
    /// Jumps since the clock was last steady; the first of them was logged.
    unsteady_jumps: u64,
    /// What is not removed for the time being.
    waiting: BTreeSet<&'static str>,
}

/// How the clock stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Both clocks.
    pub reading: Reading,
    /// The newest stored time, if there is any.
    pub stored: Option<Timestamp>,
    /// Whether stored times should follow the clock again ([`Steadiness::should_follow`]).
    pub should_follow: bool,
    /// How often the wall clock has jumped since it was last steady.
    pub jumps: u64,
    /// How far it is ahead of where elapsed time would have it since the start, in microseconds; negative when behind.
    pub ahead_micros: i64,
    /// For how long it has still to be steady, if it has jumped within the last hour, or was never set, or something waits
    /// with being removed until it can be told how old it is.
    pub suspect: Option<Duration>,
    /// What waits.
    pub waiting: Vec<&'static str>,
}

impl Standing {
    /// How far stored times are ahead of the wall clock.
    pub fn stored_ahead(&self) -> Duration {
        self.stored.map_or(Duration::ZERO, |stored| stored.ahead_of(self.reading.wall))
    }

    /// What an operator should know of it, in words that anybody may read.
    pub fn warning(&self) -> Option<String> {
        let days = self.stored_ahead().as_secs() / 86_400;
        let ahead = format!("the newest change is dated {days} days ahead, and times of changes stand still");
        let stored = (self.stored_ahead() > AHEAD_MAX).then_some(ahead.as_str());
        let jumped = (self.jumps > 0).then_some("the clock has jumped");
        let waits = self.suspect.map(|_| "nothing is removed by age");
        let said: Vec<&str> = [jumped, stored, waits].into_iter().flatten().collect();
        let until = "until it has been steady for an hour";
        (!said.is_empty()).then(|| match self.suspect {
            Some(left) => format!("{} {until}, {} s from now", said.join("; "), left.as_secs()),
            None => format!("{} {until}", said.join("; ")),
        })
    }
}

impl Timekeeper {
    /// One that has seen nothing before now. `stored` tells the newest stored time, if there is any.
    pub fn new(clock: Clock, stored: impl Fn() -> Option<Timestamp> + Send + Sync + 'static) -> Self {
        let steadiness = Steadiness::new(clock.reading(), stored());
        let seen = Mutex::new(Seen { steadiness, unsteady_jumps: 0, waiting: BTreeSet::new() });
        Self(Arc::new(Shared { clock, stored: Box::new(stored), seen }))
    }

    /// The wall clock. What is stored with a time has it from here: each such time has to be one that was seen.
    pub fn now(&self) -> Timestamp {
        self.0.with(|seen| seen.steadiness.newest().wall)
    }

    /// The time that tokens are judged by: the wall clock, wherever it goes. Only one that was never set and is
    /// before the newest stored time is not trusted, or every token that ever expired would be good.
    pub fn token_time(&self) -> Timestamp {
        let now = self.0.clock.now();
        if now >= TIME_MIN { now } else { (self.0.stored)().map_or(now, |stored| stored.max(now)) }
    }

    /// When a token that is good until then is not any more, by the clock of deadlines; `None` is later than can be told.
    /// While the wall clock was never set, that is after [`STEADY_FOR`] at the latest.
    pub fn token_deadline(&self, until: Timestamp) -> Option<Instant> {
        let clock = &self.0.clock;
        if clock.now() >= TIME_MIN {
            return clock.instant_of(until);
        }
        clock.instant().checked_add(until.ahead_of(self.token_time()).min(STEADY_FOR))
    }

    /// Looks now.
    pub fn look(&self) -> Standing {
        self.0.with(|Seen { steadiness, unsteady_jumps, waiting }| Standing {
            reading: steadiness.newest(),
            stored: steadiness.stored(),
            should_follow: steadiness.should_follow().is_some(),
            jumps: *unsteady_jumps,
            ahead_micros: steadiness.ahead_micros(),
            suspect: steadiness.left().filter(|_| *unsteady_jumps > 0 || !waiting.is_empty() || !steadiness.is_set()),
            waiting: waiting.iter().copied().collect(),
        })
    }

    /// Stored times follow the wall clock from now on ([`Steadiness::follow`]).
    pub fn follow(&self) {
        self.0.with(|seen| seen.steadiness.follow());
    }

    /// Decides what may be removed of `what`, of which each is kept for so long. The name is for the log.
    pub fn retention(&self, what: &'static str, keep: Duration) -> Retention {
        Retention { timekeeper: self.clone(), what, keep }
    }
}

impl Shared {
    /// Looks at both clocks, and then does this.
    fn with<T>(&self, then: impl FnOnce(&mut Seen) -> T) -> T {
        let mut seen = self.seen.lock();
        // Within the lock, so that readings come in their order.
        seen.take(self.clock.reading(), (self.stored)());
        then(&mut seen)
    }
}

impl Seen {
    fn take(&mut self, reading: Reading, stored: Option<Timestamp>) {
        if let Some(micros) = self.steadiness.take(reading, stored) {
            // One line an hour, however often it jumps.
            if self.unsteady_jumps == 0 {
                log::warn!(
                    seconds = micros / 1_000_000,
                    remedy = "if the clock is right now, do nothing: removal by age resumes after an hour; if not, set \
                        it, and keep it synchronized with NTP";
                    "clock.jumped"
                );
            }
            self.unsteady_jumps += 1;
        } else if self.unsteady_jumps > 0 && self.steadiness.left().is_none() {
            log::info!(jumps = self.unsteady_jumps; "clock.steady");
            self.unsteady_jumps = 0;
        }
    }
}

/// The one way to find out what is old enough to be removed.
#[derive(Debug)]
pub struct Retention {
    timekeeper: Timekeeper,
    what: &'static str,
    keep: Duration,
}

impl Retention {
    /// What is old enough by now. Nothing of it may be removed before [`Retention::allows`] was asked.
    pub fn horizon(&self) -> Horizon {
        self.timekeeper.0.with(|seen| seen.steadiness.horizon(self.keep))
    }

    /// Whether what is beyond the horizon may be removed now ([`Steadiness::doubt`]). `oldest` is the oldest credible date of
    /// all, if there is any. The log says once why not, and once that it goes on.
    pub fn allows(&mut self, horizon: &Horizon, oldest: Option<Timestamp>) -> bool {
        self.timekeeper.0.with(|seen| match seen.steadiness.doubt(horizon.before, oldest) {
            None => {
                if seen.waiting.remove(self.what) {
                    log::info!(what = self.what; "retention.goes_on");
                }
                true
            }
            Some(doubt) => {
                if seen.waiting.insert(self.what) {
                    log::warn!(what = self.what, reason = doubt.to_string(); "retention.waits");
                }
                false
            }
        })
    }
}

impl Drop for Retention {
    fn drop(&mut self) {
        self.timekeeper.0.seen.lock().waiting.remove(self.what);
    }
}

#[cfg(test)]
mod tests {
    use super::super::timestamp::{DAY, DAY_MICROS, HOUR, HOUR_MICROS};
    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

    fn kept() -> (Clock, Timekeeper, Arc<Mutex<Option<Timestamp>>>) {
        let (clock, stored) = (Clock::manual(NOW), Arc::new(Mutex::new(Some(NOW))));
        let tells = Arc::clone(&stored);
        (clock.clone(), Timekeeper::new(clock, move || *tells.lock()), stored)
    }

    #[test]
    fn a_steady_clock_is_nothing_to_speak_of_and_a_jump_is_until_an_hour_has_passed() {
        let (clock, timekeeper, stored) = kept();
        assert_eq!((timekeeper.look().warning(), timekeeper.look().suspect), (None, None));
        clock.set(-400 * DAY_MICROS);
        clock.advance(HOUR_MICROS / 2);
        let warning = timekeeper.look().warning().unwrap();
        let says = "the clock has jumped; the newest change is dated 399 days ahead, and times of changes stand still; \
                    nothing is removed by age until it has been steady for an hour, 3600 s from now";
        assert_eq!(warning, says);
        assert_eq!((timekeeper.look().jumps, timekeeper.look().ahead_micros), (1, -400 * DAY_MICROS));
        clock.advance(HOUR_MICROS);
        let standing = timekeeper.look();
        assert!(standing.should_follow && standing.suspect.is_none(), "{standing:?}");
        assert!(standing.warning().unwrap().starts_with("the newest change is dated 399 days ahead"));
        timekeeper.follow();
        *stored.lock() = Some(clock.now());
        assert_eq!((timekeeper.look().warning(), timekeeper.look().should_follow), (None, false));
    }

    #[test]
    fn tokens_follow_a_clock_that_is_set_and_not_one_that_is_not() {
        let (clock, timekeeper, stored) = kept();
        let left = |until| timekeeper.token_deadline(until).unwrap() - clock.instant();
        assert_eq!((timekeeper.token_time(), left(NOW.later(2 * HOUR))), (NOW, 2 * HOUR));
        clock.set(-DAY_MICROS);
        assert_eq!((timekeeper.token_time(), left(NOW)), (NOW.earlier(DAY), DAY));
        clock.set(7 - clock.now().0);
        assert_eq!((timekeeper.token_time(), left(NOW)), (NOW, Duration::ZERO));
        assert_eq!((left(NOW.later(2 * HOUR)), left(NOW.later(HOUR / 2))), (HOUR, HOUR / 2));
        *stored.lock() = None;
        assert_eq!((timekeeper.token_time(), left(NOW)), (Timestamp(7), HOUR));
    }

    #[test]
    fn what_waits_is_named_and_a_clock_that_was_never_set_is_suspect() {
        let (clock, timekeeper, _) = kept();
        let mut retention = timekeeper.retention("keys", DAY);
        let horizon = retention.horizon();
        assert!(retention.allows(&horizon, None));
        assert!(!retention.allows(&horizon, Some(NOW.earlier(2 * DAY))));
        let standing = timekeeper.look();
        assert_eq!((standing.waiting.as_slice(), standing.jumps), (&["keys"][..], 0));
        assert!(standing.warning().unwrap().starts_with("nothing is removed by age until"));
        assert!(retention.allows(&horizon, Some(NOW)));
        assert_eq!(timekeeper.look().warning(), None);
        assert!(!retention.allows(&horizon, Some(NOW.earlier(2 * DAY))));
        drop(retention);
        assert_eq!(timekeeper.look().suspect, None);
        let unset = Timekeeper::new(Clock::manual(Timestamp(7)), || None);
        assert!(unset.look().suspect.is_some() && clock.now() == NOW);
    }
}
