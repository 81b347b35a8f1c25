//! How many lines of one kind are written in a second, where a stranger decides how many there would be.
//!
//! A limit of requests does not help here: what it refuses is logged as well. So of each kind of line that nobody has to be
//! let in for, the first [`LINES_PER_SECOND`] of a second are written, and the next one after that says how many were not.

use std::time::{Duration, Instant};

use log::Level;
use log::kv::Value;
use parking_lot::Mutex;

/// Lines of one kind that are written in a second.
pub const LINES_PER_SECOND: u32 = 100;
/// Characters of a path in such a line.
pub const PATH_MAX_CHARS: usize = 120;

/// What was written of one kind of line: mostly a `static` beside the call.
#[derive(Debug, Default)]
pub struct Sample(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    /// When the second that is counted began.
    began: Option<Instant>,
    written: u32,
    left_out: u64,
}

impl Sample {
    /// One that has seen nothing yet.
    pub const fn new() -> Self {
        Self(Mutex::new(Window { began: None, written: 0, left_out: 0 }))
    }

    /// Counts a line; `Some` when it should be written, with the number of those that were left out since the last one.
    pub fn admit(&self, now: Instant) -> Option<u64> {
        let mut window = self.0.lock();
        if window.began.is_none_or(|began| now.saturating_duration_since(began) >= Duration::from_secs(1)) {
            (window.began, window.written) = (Some(now), 0);
        }
        if window.written == LINES_PER_SECOND {
            window.left_out += 1;
            return None;
        }
        window.written += 1;
        Some(std::mem::take(&mut window.left_out))
    }

    /// Logs an event if its level is logged and this second has room for it: with `left_out` besides, if any were.
    pub fn event<'v>(
        &self,
        now: Instant,
        level: Level,
        name: &str,
        fields: impl FnOnce() -> Vec<(&'v str, Value<'v>)>,
    ) {
        if level > log::max_level() {
            return;
        }
        let Some(left_out) = self.admit(now) else { return };
        let mut fields = fields();
        if left_out > 0 {
            fields.push(("left_out", left_out.into()));
        }
        super::event(level, name, &fields);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Timestamp};

    #[test]
    fn a_second_has_a_hundred_lines_of_a_kind_and_the_next_says_how_many_were_left_out() {
        let sample = Sample::new();
        let began = Clock::manual(Timestamp(0)).instant();
        let written = |at| (0..1000).filter_map(|_| sample.admit(at)).collect::<Vec<_>>();
        assert_eq!(written(began), [0; 100]);
        assert_eq!(sample.admit(began + Duration::from_millis(999)), None);
        let next = written(began + Duration::from_secs(1));
        assert_eq!((next.len(), next[0], &next[1..]), (100, 901, &[0; 99][..]));
        assert_eq!(sample.admit(began + Duration::from_secs(60)), Some(900));
        assert_eq!(sample.admit(began), Some(0), "a clock that goes back silences nobody");
    }
}
