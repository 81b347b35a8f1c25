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

/// Makes reports.
pub(super) struct Reports {
    names: Names,
    clock: Clock,
    last: Mutex<Option<Made>>,
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
        Self { names, clock, last: Mutex::new(None) }
    }

    /// A report as JSON; none while another one is being made.
    ///
    /// # Errors
    /// When the files cannot be listed.
    pub(super) fn json(&self, asked: Asked) -> io::Result<Option<Vec<u8>>> {
        let Some(mut last) = self.last.try_lock() else { return Ok(None) };
        let began = self.clock.instant();
        if let Some(made) = last.as_ref().filter(|made| made.asked == asked && began < made.until) {
            return Ok(Some(made.json.clone()));
        }
        // Its memory is free for the next one.
        *last = None;
        let Asked { days, with_programs, top } = asked;
        let report = reading::report(&self.names, Wanted { now: self.clock.now(), days, with_programs, top })?;
        // Texts and numbers always serialise.
        let json = serde_json::to_vec(&report).unwrap_or_default();
        let now = self.clock.instant();
        let until = now + KEPT_FOR.max(now.saturating_duration_since(began) * KEPT_TIMES);
        *last = Some(Made { asked, until, json: json.clone() });
        Ok(Some(json))
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
        assert_eq!((events(asked), events(Asked { days: 2, ..asked }), events(asked)), (1, 2, 2));
        std::fs::write(names.active(), line.repeat(3)).unwrap();
        clock.advance(4_999_999);
        assert_eq!(events(asked), 2);
        clock.advance(1);
        assert_eq!(events(asked), 3);
        let _under_way = reports.last.lock();
        assert_eq!(reports.json(asked).unwrap(), None);
    }
}
