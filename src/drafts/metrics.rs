//! The figures beside a draft (contract 01 §1.2 with R9), and the moment they are asked for.

use crate::clock::{DAY_MICROS, SECOND_MICROS, Timestamp};

const MINUTE_MICROS: f64 = (60 * SECOND_MICROS) as f64;

/// What the figures are computed from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    /// The creator and everyone who wrote a segment, each once.
    pub(super) contributors: usize,
    /// When the ring was passed, each pass.
    pub(super) passes: &'a [Timestamp],
    /// Creation.
    pub(super) created_at: Timestamp,
    /// The last pass, or the creation.
    pub(super) passed_at: Timestamp,
    /// The last segment, if there is one.
    pub(super) last_segment_at: Option<Timestamp>,
}

/// The figures.
#[derive(Debug, PartialEq)]
pub(super) struct Figures {
    /// The creator and everyone who wrote a segment.
    pub(super) contributors: usize,
    /// Passes within a day.
    pub(super) recent_passes: usize,
    /// From the creation to the last pass, divided by the passes; none without a pass.
    pub(super) minutes_between: Option<f64>,
    /// The last segment or pass, or the creation.
    pub(super) last_activity: Timestamp,
}

impl Facts<'_> {
    /// The figures as they are at `now`.
    pub(super) fn figures(&self, now: Timestamp) -> Figures {
        let window = now.0.saturating_sub(DAY_MICROS)..=now.0;
        // A clock that was wrong when the draft was made may have dated it after its passes.
        let minutes = self.passed_at.ahead_of(self.created_at).as_micros() as f64 / MINUTE_MICROS;
        let last_segment = self.last_segment_at.unwrap_or(self.created_at);
        Figures {
            contributors: self.contributors,
            recent_passes: self.passes.iter().filter(|at| window.contains(&at.0)).count(),
            minutes_between: (!self.passes.is_empty()).then(|| minutes / self.passes.len() as f64),
            last_activity: last_segment.max(self.created_at).max(self.passed_at),
        }
    }
}

/// Appends the `metrics` object as it is at `now`.
pub(super) fn render(facts: &Facts<'_>, now: Timestamp, out: &mut Vec<u8>) {
    use std::io::Write as _;
    let Figures { contributors, recent_passes, minutes_between, last_activity } = facts.figures(now);
    // Writing to a Vec cannot fail.
    let _ = write!(out, r#"{{"contributorsCount":{contributors},"ringPassesLast24h":{recent_passes}"#);
    let _ = match minutes_between {
        None => write!(out, r#","avgMinutesBetweenPasses":null"#),
        Some(minutes) => write!(out, r#","avgMinutesBetweenPasses":{minutes:.1}"#),
    };
    let _ = write!(out, r#","lastActivityAt":"{}"}}"#, last_activity.offset_style());
}

/// Reads `now=`: an ISO 8601 time with or without zone (then UTC), or a date. A `+` that a query turned into
/// a space is taken back (R10).
pub(super) fn parse_now(text: &str) -> Option<Timestamp> {
    let text = match text.rsplit_once(' ') {
        Some((time, offset)) if time.contains('T') && !offset.is_empty() => format!("{time}+{offset}"),
        _ => text.to_owned(),
    };
    let utc = |time: jiff::civil::DateTime| time.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|time| time.timestamp());
    let time = text
        .parse::<jiff::Timestamp>()
        .ok()
        .or_else(|| text.parse::<jiff::civil::DateTime>().ok().and_then(utc))
        .or_else(|| text.parse::<jiff::civil::Date>().ok().and_then(|date| utc(date.at(0, 0, 0, 0))))?;
    Some(Timestamp(time.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const MINUTE: i64 = 60_000_000;

    fn rendered(facts: &Facts<'_>, now: i64) -> Value {
        let mut out = Vec::new();
        render(facts, Timestamp(now), &mut out);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn a_new_draft_has_no_passes() {
        let at = Timestamp(5 * MINUTE);
        let facts = Facts { contributors: 1, passes: &[], created_at: at, passed_at: at, last_segment_at: None };
        assert_eq!(
            rendered(&facts, 6 * MINUTE),
            json!({"contributorsCount": 1, "ringPassesLast24h": 0, "avgMinutesBetweenPasses": null,
                   "lastActivityAt": "1970-01-01T00:05:00+00:00"})
        );
    }

    #[test]
    fn passes_are_counted_within_the_day_before_now() {
        let passes = [0, 10 * MINUTE, DAY_MICROS].map(Timestamp);
        let facts = Facts {
            contributors: 2,
            passes: &passes,
            created_at: Timestamp(0),
            passed_at: passes[2],
            last_segment_at: Some(Timestamp(DAY_MICROS + 1)),
        };
        let recent = |now| rendered(&facts, now)["ringPassesLast24h"].clone();
        assert_eq!(recent(DAY_MICROS), 3, "a pass exactly a day ago still counts");
        assert_eq!(recent(DAY_MICROS + 1), 2);
        assert_eq!(recent(MINUTE), 1, "what comes after now does not count");
        assert_eq!(recent(3 * DAY_MICROS), 0);
        assert_eq!(rendered(&facts, 0)["avgMinutesBetweenPasses"], json!(480.0));
        assert_eq!(rendered(&facts, 0)["lastActivityAt"], "1970-01-02T00:00:00.000001+00:00");
    }

    #[test]
    fn now_is_read_in_every_spelling_that_is_clear() {
        let expected = Some(Timestamp(1_766_484_000_000_000));
        for text in [
            "2025-12-23T10:00:00Z",
            "2025-12-23T10:00:00+00:00",
            "2025-12-23T10:00:00 00:00",
            "2025-12-23T12:00:00 0200",
            "2025-12-23T12:00:00 02",
            "2025-12-23T12:00:00+02:00",
            "2025-12-23T10:00:00",
            "2025-12-23 10:00:00",
        ] {
            assert_eq!(parse_now(text), expected, "{text}");
        }
        assert_eq!(parse_now("2025-12-23"), Some(Timestamp(1_766_448_000_000_000)));
        for text in ["yesterday", "2025-13-01", "2025-12-23T25:00:00Z", "", " "] {
            assert_eq!(parse_now(text), None, "{text}");
        }
    }
}
