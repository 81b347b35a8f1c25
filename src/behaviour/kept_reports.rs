//! Reports for the operator's page: made where it may block, one at a time, and kept for a while, so that a page that is open
//! costs little however large the files are.

use std::io;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::names::Names;
use super::reading;
use super::report::Wanted;
use crate::clock::Clock;
use crate::plane::page::Page;

/// The page on which they are shown.
pub(super) static PAGE: Page = Page::of(include_str!("page.html"));

/// A report is not made anew before so long,
const KEPT_FOR: Duration = Duration::from_secs(5);
/// nor before this many times what it took to make it.
const KEPT_TIMES: u32 = 10;
/// Reports that are kept at once, for pages that ask for different ones.
pub(super) const REPORTS_KEPT_MAX: usize = 4;
/// Their bytes; the newest is kept however large it is.
pub(super) const REPORTS_KEPT_MAX_BYTES: usize = 8 * 1024 * 1024;

/// Makes reports.
pub(super) struct Reports {
    names: Names,
    clock: Clock,
    /// The latest one last.
    kept: Mutex<Vec<Made>>,
}

/// What is asked for, but for the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) days: u32,
    pub(super) with_programs: bool,
    pub(super) top: u32,
}

struct Made {
    asked: Asked,
    until: Instant,
    json: Vec<u8>,
}

impl Reports {
    /// Of the files with these names.
    pub(super) fn new(names: Names, clock: Clock) -> Self {
        Self { names, clock, kept: Mutex::default() }
    }

    /// A report as JSON; none while another one is being made.
    ///
    /// # Errors
    /// When the files cannot be listed.
    pub(super) fn json(&self, asked: Asked) -> io::Result<Option<Vec<u8>>> {
        let Some(mut kept) = self.kept.try_lock() else { return Ok(None) };
        let began = self.clock.instant();
        kept.retain(|made| began < made.until);
        if let Some(made) = kept.iter().find(|made| made.asked == asked) {
            return Ok(Some(made.json.clone()));
        }
        let Asked { days, with_programs, top } = asked;
        let report = reading::report(&self.names, Wanted { now: self.clock.now(), days, with_programs, top })?;
        // Texts and numbers always serialise.
        let json = serde_json::to_vec(&report).unwrap_or_default();
        let now = self.clock.instant();
        let until = now + KEPT_FOR.max(now.saturating_duration_since(began) * KEPT_TIMES);
        keep(&mut kept, Made { asked, until, json: json.clone() });
        Ok(Some(json))
    }
}

/// Keeps one more, and the others as far as there is room.
fn keep(kept: &mut Vec<Made>, made: Made) {
    kept.push(made);
    let bytes = |kept: &[Made]| kept.iter().map(|made| made.json.len()).sum::<usize>();
    while kept.len() > 1 && (kept.len() > REPORTS_KEPT_MAX || bytes(kept) > REPORTS_KEPT_MAX_BYTES) {
        kept.remove(0);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn the_page_has_one_script_and_one_style_and_nothing_that_its_policy_forbids() {
        assert_eq!(PAGE.complaints(), [""; 0]);
    }

    #[test]
    fn a_report_is_kept_for_a_while_and_one_is_made_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let (names, clock) =
            (Names::of(&directory.path().join("metrics.jsonl")), Clock::manual(Timestamp(1_760_013_297_000_000)));
        let line = "{\"visitor_id\": \"v-000001\", \"event\": \"x\", \"timestamp\": \"2025-10-09T12:00:00Z\", \"metadata\": {}}\n";
        std::fs::write(names.active(), line).unwrap();
        let reports = Reports::new(names.clone(), clock.clone());
        let asked = Asked { days: 1, with_programs: false, top: 5 };
        let events = |asked| {
            let json: Value = serde_json::from_slice(&reports.json(asked).unwrap().unwrap()).unwrap();
            json["events"].as_u64().unwrap()
        };
        assert_eq!(events(asked), 1);
        std::fs::write(names.active(), line.repeat(2)).unwrap();
        assert_eq!((events(asked), events(Asked { days: 2, ..asked }), events(asked)), (1, 2, 1));
        std::fs::write(names.active(), line.repeat(3)).unwrap();
        clock.advance(4_999_999);
        assert_eq!(events(asked), 1);
        clock.advance(1);
        assert_eq!(events(asked), 3);
        // So many are kept, and the oldest goes first.
        (0..REPORTS_KEPT_MAX as u32).for_each(|top| _ = events(Asked { top: 6 + top, ..asked }));
        assert_eq!(reports.kept.lock().len(), REPORTS_KEPT_MAX);
        std::fs::write(names.active(), line.repeat(4)).unwrap();
        assert_eq!((events(Asked { top: 7, ..asked }), events(asked)), (3, 4));
        let _under_way = reports.kept.lock();
        assert_eq!(reports.json(asked).unwrap(), None);
    }
    #[test]
    fn reports_that_are_large_are_kept_as_far_as_there_is_room() {
        let (mut kept, until) = (Vec::new(), Clock::system().instant());
        let made =
            |top, bytes| Made { asked: Asked { days: 1, with_programs: false, top }, until, json: vec![b' '; bytes] };
        for (top, bytes, left) in [
            (1, REPORTS_KEPT_MAX_BYTES / 2, 1),
            (2, REPORTS_KEPT_MAX_BYTES / 2, 2),
            (3, 1, 2),
            (4, REPORTS_KEPT_MAX_BYTES + 1, 1),
        ] {
            keep(&mut kept, made(top, bytes));
            assert_eq!((kept.len(), kept.last().map(|made| made.asked.top)), (left, Some(top)));
        }
    }
}
