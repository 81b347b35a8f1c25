//! That recording begins and ends is recorded, too: rows of the server's own, so that a time without rows has both its ends in
//! the chain.
//!
//! Here are the rules; [`marking`](super::marking) has them written and [`verify`](super::verify) reads them.

use std::collections::VecDeque;

use serde_json::Value;

use crate::clock::Timestamp;

/// Gaps that are named one by one, the newest.
pub(super) const GAPS_MAX: usize = 20;

pub(super) const STARTED: &str = "audit.started";
pub(super) const STOPPED: &str = "audit.stopped";

/// Which part of the changes is recorded, in millionths; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part(pub(super) u32);

impl Part {
    pub(super) const ALL: u32 = 1_000_000;

    pub(super) fn of(rate: f64) -> Self {
        // Between 0 and a million, so nothing is cut off.
        Self((rate.clamp(0.0, 1.0) * f64::from(Self::ALL)).round() as u32)
    }

    pub(super) fn as_f64(self) -> f64 {
        f64::from(self.0) / f64::from(Self::ALL)
    }
}

/// A row that says from when on how much is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// When it was written.
    pub(super) at: Timestamp,
    /// What is recorded from then on.
    pub(super) part: Part,
}

impl Mark {
    /// The mark that a row with this action and these details is, if it is one.
    pub(super) fn of(at: Timestamp, action: &[u8], metadata: Option<&[u8]>) -> Option<Self> {
        let part = match action {
            action if action == STOPPED.as_bytes() => Part(0),
            action if action == STARTED.as_bytes() => {
                let details = serde_json::from_slice::<Value>(metadata.unwrap_or_default()).unwrap_or_default();
                Part::of(details["sample_rate"].as_f64().unwrap_or(1.0))
            }
            _ => return None,
        };
        Some(Self { at, part })
    }
}

/// Whether it has to be said that this part is recorded from now on, when the newest mark is this one. A log that never
/// began does not end.
pub(super) fn is_news(newest: Option<Mark>, was_begun: bool, now: Part) -> bool {
    match newest {
        Some(Mark { part, .. }) => part != now,
        None => now != Part(0) || was_begun,
    }
}

/// A row by its id and time.
pub type RowPlace = (i64, Timestamp);

/// A part of the chain in which not every change has its row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gap {
    /// Which part has, from 0, which is none, up to but not 1.
    pub recorded: f64,
    /// The row with which it begins.
    pub from: RowPlace,
    /// The row with which it ends, if it does.
    pub until: Option<RowPlace>,
}

/// The gaps of a chain, gathered row by row.
#[derive(Debug, Default)]
pub struct Gaps {
    /// The newest of them, oldest first.
    pub newest: VecDeque<Gap>,
    /// How many came before these.
    pub earlier: u64,
}

impl Gaps {
    /// Sees the next row, which may be a mark.
    pub(super) fn see(&mut self, row: RowPlace, mark: Option<Mark>) {
        let Some(Mark { part, .. }) = mark else { return };
        if let Some(open) = self.newest.back_mut().filter(|gap| gap.until.is_none()) {
            if Part::of(open.recorded) == part {
                return;
            }
            open.until = Some(row);
        }
        if part == Part(Part::ALL) {
            return;
        }
        self.newest.push_back(Gap { recorded: part.as_f64(), from: row, until: None });
        if self.newest.len() > GAPS_MAX {
            self.newest.pop_front();
            self.earlier += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_gaps_are_named() {
        let mut gaps = Gaps::default();
        let part = |rate| Some(Mark { at: Timestamp(7), part: Part::of(rate) });
        let many = 2 * GAPS_MAX as i64 + 6;
        for row in 1..=many {
            gaps.see((row, Timestamp(7)), part(if row % 2 == 0 { 0.0 } else { 1.0 }));
            gaps.see((row, Timestamp(7)), None);
            gaps.see((row, Timestamp(7)), part(if row % 2 == 0 { 0.0 } else { 1.0 }));
        }
        assert_eq!((gaps.newest.len(), gaps.earlier), (GAPS_MAX, 3));
        assert_eq!((gaps.newest[0].from.0, gaps.newest[0].until), (8, Some((9, Timestamp(7)))));
        assert_eq!(gaps.newest[GAPS_MAX - 1].until, None);
    }
}
