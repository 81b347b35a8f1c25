//! The zones that times in a calendar file name: those of the tz database, and those that the file itself describes, as Outlook
//! does, whose names nobody else has.

use std::sync::Arc;

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, date};

use super::expand::Series;
use super::ics_lines::{Component, Line};
use super::ics_text::civil_time;
use super::rule::{Rule, shown_text};
use crate::clock::Timestamp;
use crate::modules::zone::Zone;

/// Zones that one file describes.
pub const ZONES_MAX: usize = 32;
/// How often such a zone changes its clocks, of all that it says.
pub const CHANGES_MAX: usize = 5_000;
/// Rules that recur are followed through these years; what comes behind them is taken to be as at their end.
const YEARS: (i16, i16) = (1900, 2100);

/// Whose clock a time is on.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// One of the tz database.
    Known(Zone),
    /// One that the file describes.
    Described(Arc<Changes>),
}

/// How far a zone is from UTC, in seconds.
#[derive(Debug)]
pub(super) struct Changes {
    before: i64,
    /// Since when, on its clock as it was until then, in order.
    since: Vec<(DateTime, i64)>,
}

impl Place {
    /// The moment at which its clock shows this.
    pub(super) fn instant(&self, wall: DateTime) -> Option<Timestamp> {
        match self {
            Self::Known(zone) => zone.instant(wall),
            Self::Described(changes) => {
                let passed = changes.since.partition_point(|(at, _)| *at <= wall);
                let offset = passed.checked_sub(1).map_or(changes.before, |last| changes.since[last].1);
                let utc = wall.checked_sub(SignedDuration::from_secs(offset)).ok()?;
                Zone::named("UTC")?.instant(utc)
            }
        }
    }
}

/// The zones that a file describes, by their names in it.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<(String, Result<Place, String>)>);

impl Places {
    /// Remembers a `VTIMEZONE`.
    pub(super) fn add(&mut self, component: &Component) {
        let value = |name: &str| component.lines.iter().find(|line| line.name == name).and_then(Line::text);
        let Some(name) = value("TZID") else { return };
        if self.0.len() == ZONES_MAX {
            return;
        }
        let known = value("X-LIC-LOCATION").and_then(|name| Zone::named(&name)).map(Place::Known);
        let place = match known {
            Some(place) => Ok(place),
            None => described(component),
        };
        self.0.push((name, place));
    }

    /// Whose clock this name means. What the tz database knows takes precedence over the file, also behind a prefix as in
    /// `/mozilla.org/20050126_1/Europe/Kyiv`.
    ///
    /// # Errors
    ///
    /// A sentence with the name.
    pub(super) fn named(&self, name: &str) -> Result<Place, String> {
        let name = name.trim();
        let behind_prefix = || {
            let parts: Vec<&str> = name.split('/').collect();
            let begins = if name.starts_with('/') { parts.len().saturating_sub(3)..parts.len() } else { 0..0 };
            begins.into_iter().filter_map(|at| parts.get(at..)).find_map(|parts| Zone::named(&parts.join("/")))
        };
        if let Some(zone) = Zone::named(name).or_else(behind_prefix) {
            return Ok(Place::Known(zone));
        }
        match self.0.iter().find(|(known, _)| known == name) {
            Some((_, place)) => place.clone(),
            None => Err(format!(
                "its zone {:?} is not in the tz database, and the file does not describe it",
                shown_text(name)
            )),
        }
    }
}

fn described(component: &Component) -> Result<Place, String> {
    let number = component.number;
    if let Some(problem) = &component.problem {
        return Err(format!("its zone cannot be read: {problem}"));
    }
    let mut changes = Changes { before: 0, since: Vec::new() };
    let mut first: Option<DateTime> = None;
    for (name, lines) in component.parts.iter().filter(|(name, _)| name == "STANDARD" || name == "DAYLIGHT") {
        let (start, before) = observance(lines, &mut changes.since)
            .ok_or_else(|| format!("its zone, which begins in line {number}, has a {name} that cannot be read"))?;
        if changes.since.len() > CHANGES_MAX {
            return Err(format!(
                "its zone, which begins in line {number}, changes its clocks more than {CHANGES_MAX} times"
            ));
        }
        if first.is_none_or(|first| start < first) {
            (first, changes.before) = (Some(start), before);
        }
    }
    if first.is_none() {
        return Err(format!("its zone, which begins in line {number}, says nothing"));
    }
    changes.since.sort_unstable();
    Ok(Place::Described(Arc::new(changes)))
}

/// Appends the changes of one `STANDARD` or `DAYLIGHT`; returns its start, and what held before it.
fn observance(lines: &[Line], since: &mut Vec<(DateTime, i64)>) -> Option<(DateTime, i64)> {
    let value = |name: &str| lines.iter().find(|line| line.name == name).map(|line| line.value.trim());
    let start = civil_time(value("DTSTART")?)?;
    let (from, to) = (offset_seconds(value("TZOFFSETFROM")?)?, offset_seconds(value("TZOFFSETTO")?)?);
    match value("RRULE") {
        None => since.push((start, to)),
        Some(text) => {
            // Outlook begins each of them in January 1601, whatever the month of its rule is.
            let month = text.split(';').find_map(|part| part.strip_prefix("BYMONTH="))?.parse().ok()?;
            let first = if month == start.month() {
                start
            } else {
                Date::new(start.year(), month, 1).ok()?.to_datetime(start.time())
            };
            let rule = Rule::from_rrule(text, first, false, &Zone::named("UTC")?).ok()?;
            let series = Series::new(first, None, Some(rule.ending_a_day_later()));
            let onsets = series.starts_from(date(YEARS.0, 1, 1).at(0, 0, 0, 0)).take_while(|at| at.year() < YEARS.1);
            since.extend(onsets.take(CHANGES_MAX + 1).map(|at| (at, to)));
        }
    }
    let extra = lines.iter().filter(|line| line.name == "RDATE").flat_map(|line| line.value.split(','));
    since.extend(extra.take(CHANGES_MAX + 1).filter_map(|text| Some((civil_time(text.trim())?, to))));
    Some((start, from))
}

/// Reads `+0200` and `-044500`.
fn offset_seconds(text: &str) -> Option<i64> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    if !matches!(digits.len(), 4 | 6) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |at: usize| digits.get(at..at + 2).map_or(Some(0), |text| text.parse::<i64>().ok());
    let (hours, minutes, seconds) = (part(0)?, part(2)?, part(4)?);
    (hours < 24 && minutes < 60 && seconds < 60).then_some(sign * (hours * 3600 + minutes * 60 + seconds))
}
