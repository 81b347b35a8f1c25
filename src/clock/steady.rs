//! How far the wall clock is to be trusted: it is compared with the clock that counts elapsed time, which nobody sets.
//!
//! Readings go in, answers come out. What cannot be made again is removed by elapsed time: what was stored while this process
//! runs is as old as the time that has passed since, whatever the wall clock says of it. What is older than the process is
//! as old as the wall clock says, once that has been steady for [`STEADY_FOR`] (decision 0026).

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use super::timestamp::{DAY, HOUR, JUMP_MIN, Timestamp};

/// After a jump, and after a start, nothing rests on the wall clock alone before it has been steady for so long.
pub const STEADY_FOR: Duration = HOUR;
/// Stored times that are further than this ahead of a steady clock were written by a clock that was wrong.
pub const AHEAD_MAX: Duration = DAY;
/// No clock that is set shows a time before this: 2025-01-01.
pub const TIME_MIN: Timestamp = Timestamp(1_735_689_600_000_000);
/// As many stretches of time without a jump are told apart; older ones become one.
pub const STRETCHES_MAX: usize = 16;

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The wall clock.
    pub wall: Timestamp,
    /// Time since some fixed moment, sleep of the machine included; never goes back and is never set.
    pub elapsed: Duration,
}

impl Reading {
    /// What the wall clock shows when so much time has elapsed, if nobody sets it.
    fn carried_to(self, elapsed: Duration) -> Timestamp {
        self.wall.later(elapsed.saturating_sub(self.elapsed))
    }
}

/// A time without a jump.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    /// Carried on from here, the wall clock is never ahead of what it has shown.
    began: Reading,
    /// The newest time that was stored before, if there was any: times that are stored do not go back.
    floor: Option<Timestamp>,
    /// Whether the clock ever showed a time that can be.
    is_set: bool,
}

impl Stretch {
    fn new(began: Reading, floor: Option<Timestamp>) -> Self {
        Self { began, floor, is_set: began.wall >= TIME_MIN }
    }

    /// Nothing that was stored in it, not before `elapsed`, has a credible date before this; nothing if none has one at all.
    fn earliest(&self, elapsed: Duration) -> Option<Timestamp> {
        let shown = self.began.carried_to(elapsed);
        self.floor.map(|floor| shown.max(floor)).or(self.is_set.then_some(shown))
    }

    fn take(&mut self, reading: Reading) {
        self.is_set |= reading.wall >= TIME_MIN;
        // Small steps back are none of a jump.
        self.began.wall = self.began.wall.earlier(self.began.carried_to(reading.elapsed).ahead_of(reading.wall));
    }

    /// This and the one behind it as one.
    fn joined(self, next: Self) -> Self {
        let wall = next.began.wall.earlier(next.began.elapsed.saturating_sub(self.began.elapsed));
        Self {
            began: Reading { wall: wall.min(self.began.wall), ..self.began },
            floor: self.floor.min(next.floor),
            is_set: self.is_set || next.is_set,
        }
    }
}

/// What is known of the wall clock since the first reading.
#[derive(Debug, Clone)]
pub struct Steadiness {
    first: Reading,
    /// The last stretches, oldest first. There is always one: that which goes on.
    stretches: VecDeque<Stretch>,
    /// When the clock was last seen to have jumped, or the beginning.
    steady_since: Duration,
    /// What readings are compared with: at most [`STEADY_FOR`] old, so that small steps do not add up to a jump.
    anchor: Reading,
    newest: Reading,
    /// The newest stored time at that reading.
    stored: Option<Timestamp>,
    jumps: u64,
}

/// What a pass may remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon {
    /// What is dated before this is old enough.
    pub before: Timestamp,
    /// The wall clock at that moment.
    pub now: Timestamp,
    /// Whether the wall clock has been steady for [`STEADY_FOR`]: only then may dates be put right by it.
    pub is_steady: bool,
}

impl Horizon {
    /// Whether a stored date can be one: what is dated before [`TIME_MIN`], or further ahead than [`AHEAD_MAX`], is
    /// of unknown age.
    pub fn is_credible(&self, at: Timestamp) -> bool {
        (TIME_MIN..=self.latest()).contains(&at)
    }

    /// The last date that is credible.
    pub fn latest(&self) -> Timestamp {
        self.now.later(AHEAD_MAX)
    }
}

/// Why a pass may not remove anything yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doubt {
    /// How far beyond what elapsed time explains the removal would go; nothing if the clock has jumped.
    pub unexplained: Option<Duration>,
    /// For how long the wall clock still has to be steady.
    pub left: Duration,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unexplained {
            None => write!(f, "the clock has jumped")?,
            Some(by) => write!(f, "{} s more would be removed than the time since the start explains", by.as_secs())?,
        }
        write!(f, "; if the clock is right now, do nothing: it continues in {} s; if not, set it", self.left.as_secs())
    }
}

impl Steadiness {
    /// Begins with this reading. `stored` is the newest time that was stored before, if there is any.
    pub fn new(first: Reading, stored: Option<Timestamp>) -> Self {
        let stretches = VecDeque::from([Stretch::new(first, stored)]);
        Self { first, stretches, steady_since: first.elapsed, anchor: first, newest: first, stored, jumps: 0 }
    }

    /// Takes the next reading, and the newest stored time. Each time that is stored has to be that of a reading, or the newest
    /// before it. Returns by how many microseconds the wall clock has jumped, if it has.
    pub fn take(&mut self, reading: Reading, stored: Option<Timestamp>) -> Option<i64> {
        (self.newest, self.stored) = (reading, stored);
        let off = reading.wall.0.saturating_sub(self.anchor.carried_to(reading.elapsed).0);
        if off.unsigned_abs() <= JUMP_MIN.as_micros() as u64 {
            if reading.elapsed.saturating_sub(self.anchor.elapsed) >= STEADY_FOR {
                self.anchor = reading;
            }
            if let Some(stretch) = self.stretches.back_mut() {
                stretch.take(reading);
            }
            return None;
        }
        self.begin(Stretch::new(reading, stored));
        (self.anchor, self.steady_since) = (reading, reading.elapsed);
        self.jumps += 1;
        Some(off)
    }

    fn begin(&mut self, stretch: Stretch) {
        self.stretches.push_back(stretch);
        if self.stretches.len() > STRETCHES_MAX
            && let (Some(oldest), Some(next)) = (self.stretches.pop_front(), self.stretches.front_mut())
        {
            *next = oldest.joined(*next);
        }
    }

    /// The last reading.
    pub fn newest(&self) -> Reading {
        self.newest
    }

    /// How often the wall clock has jumped.
    pub fn jumps(&self) -> u64 {
        self.jumps
    }

    /// How far, in microseconds, the wall clock is ahead of where elapsed time would have it since the first reading;
    /// negative when behind.
    pub fn ahead_micros(&self) -> i64 {
        self.newest.wall.0.saturating_sub(self.first.carried_to(self.newest.elapsed).0)
    }

    /// Whether the wall clock shows a time that a clock shows which was ever set.
    pub fn is_set(&self) -> bool {
        self.newest.wall >= TIME_MIN
    }

    /// The newest stored time, if there is any.
    pub fn stored(&self) -> Option<Timestamp> {
        self.stored
    }

    /// For how long the wall clock has still to be steady before it is trusted; nothing when it is. One that was never set
    /// is not.
    pub fn left(&self) -> Option<Duration> {
        if !self.is_set() {
            return Some(STEADY_FOR);
        }
        let left = STEADY_FOR.saturating_sub(self.newest.elapsed.saturating_sub(self.steady_since));
        (!left.is_zero()).then_some(left)
    }

    /// How far stored times are ahead of the wall clock, when that is so far and the clock so steady that they should
    /// follow it again.
    pub fn should_follow(&self) -> Option<Duration> {
        let ahead = self.stored?.ahead_of(self.newest.wall);
        (ahead > AHEAD_MAX && self.left().is_none()).then_some(ahead)
    }

    /// Stored times follow the wall clock from the last reading on: they may lie before what was stored until then.
    pub fn follow(&mut self) {
        self.stored = None;
        self.begin(Stretch::new(self.newest, None));
    }

    /// What is old enough to be removed, where each is kept for so long.
    pub fn horizon(&self, keep: Duration) -> Horizon {
        let Reading { wall: now, elapsed } = self.newest;
        let before = now.earlier(keep).min(self.earliest_since(elapsed.saturating_sub(keep)));
        Horizon { before, now, is_steady: self.left().is_none() }
    }

    /// Why what is dated before this may not be removed yet, if it may not. `oldest` is the oldest credible date
    /// ([`Horizon::is_credible`]), if there is any: while the clock has not been steady for long, no more is removed
    /// than within an hour.
    pub fn doubt(&self, before: Timestamp, oldest: Option<Timestamp>) -> Option<Doubt> {
        let (left, oldest) = (self.left()?, oldest.filter(|oldest| *oldest < before)?);
        if self.jumps > 0 {
            return Some(Doubt { unexplained: None, left });
        }
        let unexplained = before.ahead_of(oldest).saturating_sub(STEADY_FOR);
        (!unexplained.is_zero()).then_some(Doubt { unexplained: Some(unexplained), left })
    }

    /// Nothing that was stored since then has a credible date before this.
    fn earliest_since(&self, elapsed: Duration) -> Timestamp {
        let ends = self.stretches.iter().skip(1).map(|next| next.began.elapsed).chain([Duration::MAX]);
        let later = self.stretches.iter().zip(ends).filter(|(_, end)| *end >= elapsed);
        later.filter_map(|(stretch, _)| stretch.earliest(elapsed)).min().unwrap_or(self.newest.wall)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const YEAR: Duration = Duration::from_secs(365 * 86_400);
    const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

    /// Both clocks, the newest stored time, and what is seen of them.
    struct Hands {
        at: Reading,
        stored: Option<Timestamp>,
        seen: Steadiness,
    }

    impl Hands {
        fn at(wall: Timestamp) -> Self {
            Self::after(wall, None)
        }

        fn after(wall: Timestamp, stored: Option<Timestamp>) -> Self {
            let at = Reading { wall, elapsed: 3 * DAY };
            Self { at, stored, seen: Steadiness::new(at, stored) }
        }

        fn look(&mut self) -> Option<i64> {
            self.seen.take(self.at, self.stored)
        }

        /// Time passes.
        fn wait(&mut self, time: Duration) -> Option<i64> {
            self.at = Reading { wall: self.at.wall.later(time), elapsed: self.at.elapsed + time };
            self.look()
        }

        /// The wall clock is set, by so many seconds.
        fn set(&mut self, seconds: i64) -> Option<i64> {
            self.at.wall.0 += seconds * 1_000_000;
            self.look()
        }

        /// A change is made, as the writer does it. Its time.
        fn store(&mut self) -> Timestamp {
            let at = self.at.wall.max(self.stored.unwrap_or(self.at.wall));
            self.stored = Some(at);
            at
        }

        fn may_remove(&self, keep: Duration, oldest: Timestamp) -> bool {
            let horizon = self.seen.horizon(keep);
            oldest < horizon.before && horizon.is_credible(oldest) && self.doubt(keep, oldest).is_none()
        }

        fn doubt(&self, keep: Duration, oldest: Timestamp) -> Option<Doubt> {
            self.seen.doubt(self.before(keep), Some(oldest))
        }

        fn before(&self, keep: Duration) -> Timestamp {
            self.seen.horizon(keep).before
        }
    }

    fn seconds(time: Duration) -> i64 {
        time.as_secs() as i64
    }

    #[test]
    fn a_steady_clock_is_believed() {
        let mut hands = Hands::at(NOW);
        let written = NOW;
        assert!(!hands.may_remove(DAY, written));
        hands.wait(DAY);
        assert!(!hands.may_remove(DAY, written), "exactly so old is not too old");
        hands.wait(SECOND);
        assert!(hands.may_remove(DAY, written));
        assert_eq!(hands.before(DAY), written.later(SECOND));
        assert_eq!((hands.seen.jumps(), hands.seen.ahead_micros(), hands.seen.left()), (0, 0, None));
    }

    #[test]
    fn a_jump_ahead_makes_nothing_older_than_it_is() {
        for years in [1, 12, 300] {
            let mut hands = Hands::at(NOW);
            let old = NOW.earlier(40 * DAY);
            hands.wait(2 * HOUR);
            let fresh = hands.at.wall;
            assert_eq!(hands.set(years * seconds(YEAR)), Some(years * seconds(YEAR) * 1_000_000));
            for _ in 0..3 {
                hands.wait(SECOND);
                assert!(!hands.may_remove(90 * DAY, old) && !hands.may_remove(DAY, fresh));
            }
            // The hour over, what was written since the start is as old as elapsed time says.
            hands.wait(HOUR);
            assert!(!hands.may_remove(DAY, fresh), "a key of an hour");
            assert_eq!(hands.before(DAY), NOW, "not even the oldest that this process can have written");
            hands.set(-years * seconds(YEAR));
            assert!(!hands.may_remove(90 * DAY, old));
            hands.wait(HOUR);
            assert!(!hands.may_remove(90 * DAY, old) && !hands.may_remove(DAY, fresh));
            hands.wait(DAY);
            assert!(hands.may_remove(DAY, fresh), "removal is late by nothing");
            assert_eq!(hands.seen.ahead_micros(), 0);
        }
    }

    #[test]
    fn a_board_that_boots_in_the_wrong_year_loses_nothing() {
        let old = NOW.earlier(20 * DAY);
        for (boots, keep) in [(NOW.later(12 * YEAR), 30 * DAY), (Timestamp(7), 30 * DAY), (NOW.earlier(100 * DAY), DAY)]
        {
            let mut hands = Hands::at(boots);
            assert!(!hands.may_remove(keep, old));
            let written = hands.at.wall;
            hands.wait(60 * SECOND);
            assert!(!hands.may_remove(keep, old) && !hands.may_remove(keep, written));
            hands.set(seconds(NOW.ahead_of(hands.at.wall)) - seconds(hands.at.wall.ahead_of(NOW)));
            assert!(!hands.may_remove(keep, written));
            hands.wait(HOUR);
            assert!(!hands.may_remove(keep, written), "an hour old, whatever its date");
            hands.wait(keep);
            let dated = written.0 >= TIME_MIN.0 && written < NOW;
            assert!(hands.may_remove(keep, written) || !dated);
        }
    }

    #[test]
    fn a_board_that_boots_in_1970_every_time_removes_what_is_old_all_the_same() {
        let (floor, old, keep) = (NOW.earlier(2 * DAY), NOW.earlier(40 * DAY), 30 * DAY);
        for floor in [Some(floor), None] {
            let mut hands = Hands::after(Timestamp(7), floor);
            hands.wait(60 * SECOND);
            hands.set(seconds(NOW.ahead_of(hands.at.wall)));
            assert!(!hands.may_remove(keep, old));
            hands.wait(HOUR);
            assert!(hands.may_remove(keep, old));
            // What was stored in the first minute is not dated before what was stored before.
            assert!(!hands.may_remove(DAY, floor.unwrap_or(NOW)));
            hands.wait(DAY);
            assert!(hands.may_remove(DAY, floor.unwrap_or(NOW)));
        }
    }

    #[test]
    fn after_a_month_off_an_hour_is_waited_for() {
        let mut hands = Hands::at(NOW);
        let old = NOW.earlier(31 * DAY);
        let doubt = hands.doubt(DAY, old).unwrap();
        assert_eq!(doubt, Doubt { unexplained: Some(30 * DAY - HOUR), left: HOUR });
        hands.wait(HOUR - SECOND);
        assert!(!hands.may_remove(DAY, old));
        let doubt = hands.doubt(DAY, old).unwrap();
        assert!(doubt.to_string().ends_with("it continues in 1 s; if not, set it"), "{doubt}");
        hands.wait(SECOND);
        assert!(hands.may_remove(DAY, old));
        // What a short restart has left over is not waited for.
        let hands = Hands::at(NOW);
        assert!(hands.may_remove(DAY, NOW.earlier(DAY + HOUR)));
        assert!(!hands.may_remove(DAY, NOW.earlier(DAY + HOUR + SECOND)));
    }

    #[test]
    fn sleep_slews_and_small_steps_are_no_jumps() {
        let mut hands = Hands::at(NOW);
        // The machine sleeps over the weekend.
        assert_eq!(hands.wait(3 * DAY), None);
        // NTP sets the clock a little, again and again.
        for _ in 0..1000 {
            hands.wait(HOUR);
            assert_eq!(hands.set(30), None);
        }
        assert_eq!((hands.seen.jumps(), hands.seen.ahead_micros()), (0, 30_000_000_000));
        assert_eq!(hands.seen.left(), None);
        assert!(hands.may_remove(DAY, hands.at.wall.earlier(2 * DAY)));
        // Ever so little, but more than any clock is wrong by, is a jump in the end.
        for _ in 0..60 {
            hands.wait(60 * SECOND);
            hands.set(2);
        }
        assert!(hands.seen.jumps() > 0 && !hands.may_remove(DAY, NOW));
    }

    #[test]
    fn repeated_jumps_are_waited_for_each_time_and_take_no_more_memory() {
        let mut hands = Hands::at(NOW);
        let old = NOW.earlier(400 * DAY);
        for _ in 0..500 {
            hands.set(seconds(YEAR));
            hands.wait(HOUR / 2);
            hands.set(-seconds(YEAR));
            hands.wait(HOUR / 2);
            assert!(!hands.may_remove(DAY, old));
        }
        assert!(hands.seen.stretches.len() <= STRETCHES_MAX);
        let fresh = hands.at.wall;
        hands.set(seconds(YEAR));
        hands.wait(HOUR);
        assert!(!hands.may_remove(DAY, fresh));
        hands.set(-seconds(YEAR));
        hands.wait(HOUR);
        assert!(hands.may_remove(DAY, old));
    }

    #[test]
    fn stored_times_follow_a_steady_clock_that_is_set() {
        let mut hands = Hands::after(NOW, Some(NOW.later(12 * YEAR)));
        assert_eq!(hands.seen.should_follow(), None, "not at once");
        hands.wait(HOUR);
        assert_eq!(hands.seen.should_follow(), Some(12 * YEAR - HOUR));
        hands.set(90);
        assert_eq!(hands.seen.should_follow(), None);
        hands.wait(HOUR);
        assert!(hands.seen.should_follow().is_some());
        hands.seen.follow();
        hands.stored = None;
        let first = hands.store();
        hands.wait(HOUR);
        assert_eq!(hands.seen.should_follow(), None);
        assert!(!hands.may_remove(DAY, first));
        let mut soon = Hands::after(NOW, Some(NOW.later(DAY + HOUR)));
        soon.wait(HOUR);
        assert_eq!(soon.seen.should_follow(), None, "a day is waited for");
        let mut unset = Hands::after(Timestamp(7), Some(NOW));
        unset.wait(2 * HOUR);
        assert_eq!(unset.seen.should_follow(), None, "1970 is nothing to follow");
        assert!(!unset.seen.horizon(DAY).is_steady);
    }

    #[test]
    fn only_dates_that_can_be_are_credible() {
        let horizon = Hands::at(NOW).seen.horizon(DAY);
        let credible = [TIME_MIN, NOW, NOW.later(AHEAD_MAX)].map(|at| horizon.is_credible(at));
        let not = [TIME_MIN.earlier(SECOND), NOW.later(AHEAD_MAX + SECOND)].map(|at| horizon.is_credible(at));
        assert_eq!((credible, not), ([true; 3], [false; 2]));
    }

    #[derive(Debug, Clone)]
    enum Happens {
        Time(u64),
        Jump(i64),
        Step(i64),
        Change,
    }

    fn happens() -> impl Strategy<Value = Happens> {
        prop_oneof![
            3 => (0..7_200_u64).prop_map(Happens::Time),
            1 => (0..3_000_000_u64).prop_map(Happens::Time),
            1 => (-500_000_000..500_000_000_i64).prop_map(Happens::Jump),
            1 => (-4_000_000..4_000_000_i64).prop_map(Happens::Jump),
            1 => (-5..=5_i64).prop_map(Happens::Step),
            4 => Just(Happens::Change),
        ]
    }

    proptest! {
        /// Whatever is done to the wall clock: what this process has stored is kept for as long as it should be, by elapsed
        /// time; and an hour after the last jump nothing is kept from being removed.
        #[test]
        fn nothing_is_removed_before_its_time(
            happens in prop::collection::vec(happens(), 1..120),
            keep in 3_600..9_000_000_u64,
            floor in prop::option::of(-500_000_000..500_000_000_i64),
            began in prop_oneof![Just(NOW), Just(Timestamp(7)), Just(NOW.later(12 * YEAR))],
        ) {
            let keep = Duration::from_secs(keep);
            let floor = floor.map(|seconds| Timestamp(NOW.0 + seconds * 1_000_000));
            let mut hands = Hands::after(began, floor);
            let (mut rows, mut steps) = (Vec::new(), 0);
            for what in happens {
                match what {
                    Happens::Time(seconds) => _ = hands.wait(Duration::from_secs(seconds)),
                    Happens::Jump(seconds) => _ = hands.set(seconds),
                    Happens::Step(seconds) => {
                        steps += seconds.unsigned_abs();
                        hands.set(seconds);
                    }
                    Happens::Change => {
                        let at = hands.store();
                        rows.push((at, hands.at.elapsed));
                    }
                }
                if hands.seen.should_follow().is_some() {
                    hands.seen.follow();
                    hands.stored = Some(hands.at.wall);
                }
                let horizon = hands.seen.horizon(keep);
                let oldest = rows.iter().map(|row| row.0).filter(|at| horizon.is_credible(*at)).min();
                if hands.seen.doubt(horizon.before, oldest).is_some() {
                    continue;
                }
                for (dated, written) in &rows {
                    if *dated < horizon.before && horizon.is_credible(*dated) {
                        let age = hands.at.elapsed - *written;
                        prop_assert!(age + Duration::from_secs(steps) >= keep, "{age:?} of {keep:?}");
                    }
                }
            }
            prop_assert!(hands.seen.stretches.len() <= STRETCHES_MAX);
            // The clock is right in the end.
            hands.set(seconds(TIME_MIN.later(YEAR).ahead_of(hands.at.wall)));
            hands.wait(keep + HOUR + SECOND);
            let horizon = hands.seen.horizon(keep);
            prop_assert!(horizon.is_steady && hands.seen.doubt(horizon.before, Some(TIME_MIN)).is_none());
            let late = hands.at.wall.earlier(keep).ahead_of(horizon.before);
            prop_assert!(late <= Duration::from_secs(steps) && horizon.before <= hands.at.wall.earlier(keep), "{late:?}");
        }
    }
}
