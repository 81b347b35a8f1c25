//! A zone as `VTIMEZONE` (RFC 5545, section 3.6.5): its changes of the clocks as yearly rules where they are some weekday of a
//! month, and one by one where they are not.

use jiff::civil::{Date, DateTime};
use jiff::tz::{Dst, Offset, TimeZone};

use super::ics_text::{push_line, time_text, utc_text};
use super::rule::WEEKDAYS;
use crate::clock::Timestamp;
use crate::modules::zone::Zone;

/// Changes of the clocks that one file tells of. Four a year, which is the most that any zone has, are 250 years.
pub const ONSETS_MAX: usize = 1_000;
/// How many years behind the last event are looked at, so that a fourth Sunday can be told from a last one.
const YEARS_AHEAD: i16 = 12;
/// Before these years, zones were what each town's sun said; behind them, rules are guesses.
const YEARS: (i16, i16) = (1900, 2100);

/// One change of the clocks.
struct Onset {
    at: jiff::Timestamp,
    /// What the clocks showed when they were changed.
    wall: DateTime,
    from: Offset,
    to: Offset,
    dst: Dst,
    name: String,
}

/// Changes that are the same, year after year.
struct Run {
    first: Onset,
    last: jiff::Timestamp,
    last_year: i16,
    /// Which weekdays of the month all of them are: 1 to 4, or -1 for the last.
    nths: Vec<i8>,
    many: bool,
}

/// Appends the zone, as far as events of these years need it. The years are those in which the first and the last of them start;
/// what recurs without an end goes on by the last rules.
pub(super) fn push_zone(out: &mut Vec<u8>, zone: &Zone, first_year: i16, last_year: i16) {
    let first_year = first_year.clamp(YEARS.0, YEARS.1);
    let last_year = last_year.clamp(first_year, YEARS.1).saturating_add(YEARS_AHEAD);
    let rules = zone.rules();
    let begin = year_begins(first_year - 1);
    let onsets = onsets(rules, begin, year_begins(last_year + 1));
    push_line(out, "BEGIN:VTIMEZONE");
    push_line(out, &format!("TZID:{}", zone.name()));
    // Where no change comes before the events, what holds until the first is said as well.
    if onsets.first().is_none_or(|onset| onset.at >= year_begins(first_year)) {
        let info = rules.to_offset_info(begin);
        let wall = rules.to_datetime(begin);
        let onset = Onset {
            at: begin,
            wall,
            from: info.offset(),
            to: info.offset(),
            dst: info.dst(),
            name: info.abbreviation().to_owned(),
        };
        push_observance(out, &onset, None);
    }
    let final_year = onsets.last().map_or(last_year, |onset| onset.wall.year());
    for run in runs(onsets) {
        let rule = run.nths.iter().min().filter(|_| run.many).map(|nth| {
            let at = run.first.wall;
            let day = usize::try_from(at.weekday().to_monday_zero_offset()).ok().and_then(|day| WEEKDAYS.get(day));
            let rule = format!("RRULE:FREQ=YEARLY;BYMONTH={};BYDAY={nth}{}", at.month(), day.unwrap_or(&"SU"));
            // One that reached the last years goes on.
            if run.last_year >= final_year - 1 {
                rule
            } else {
                format!("{rule};UNTIL={}", utc_text(Timestamp(run.last.as_microsecond())))
            }
        });
        push_observance(out, &run.first, rule.as_deref());
    }
    push_line(out, "END:VTIMEZONE");
}

fn year_begins(year: i16) -> jiff::Timestamp {
    let begins = Date::new(year, 1, 1).and_then(|day| day.to_zoned(TimeZone::UTC));
    begins.map(|begins| begins.timestamp()).unwrap_or_default()
}

fn onsets(rules: &TimeZone, begin: jiff::Timestamp, end: jiff::Timestamp) -> Vec<Onset> {
    let mut before = rules.to_offset(begin);
    let mut onsets = Vec::new();
    for change in rules.following(begin).take_while(|change| change.timestamp() < end).take(ONSETS_MAX) {
        let (at, to) = (change.timestamp(), change.offset());
        let wall = before.to_datetime(at);
        onsets.push(Onset { at, wall, from: before, to, dst: change.dst(), name: change.abbreviation().to_owned() });
        before = to;
    }
    onsets
}

fn runs(onsets: Vec<Onset>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for onset in onsets {
        let nths = nths(onset.wall.date());
        let year = onset.wall.year();
        let same = |run: &&mut Run| {
            let first = &run.first;
            let key = |onset: &Onset| {
                (onset.wall.month(), onset.wall.weekday(), onset.wall.time(), onset.from, onset.to, onset.dst)
            };
            run.last_year + 1 == year
                && key(first) == key(&onset)
                && first.name == onset.name
                && run.nths.iter().any(|nth| nths.contains(nth))
        };
        if let Some(run) = runs.iter_mut().find(same) {
            run.nths.retain(|nth| nths.contains(nth));
            (run.last, run.last_year, run.many) = (onset.at, year, true);
        } else {
            runs.push(Run { last: onset.at, last_year: year, nths, many: false, first: onset });
        }
    }
    runs
}

/// Which weekday of its month a day is: the first to the fourth, or the last. A fifth is always the last.
fn nths(day: Date) -> Vec<i8> {
    let nth = (day.day() - 1) / 7 + 1;
    let mut nths = Vec::new();
    if nth <= 4 {
        nths.push(nth);
    }
    if day.day() + 7 > day.days_in_month() {
        nths.push(-1);
    }
    nths
}

fn push_observance(out: &mut Vec<u8>, onset: &Onset, rule: Option<&str>) {
    let kind = if onset.dst.is_dst() { "DAYLIGHT" } else { "STANDARD" };
    push_line(out, &format!("BEGIN:{kind}"));
    push_line(out, &format!("DTSTART:{}", time_text(onset.wall)));
    push_line(out, &format!("TZOFFSETFROM:{}", offset_text(onset.from)));
    push_line(out, &format!("TZOFFSETTO:{}", offset_text(onset.to)));
    push_line(out, &format!("TZNAME:{}", onset.name));
    if let Some(rule) = rule {
        push_line(out, rule);
    }
    push_line(out, &format!("END:{kind}"));
}

/// `+0200`, with seconds where there are any.
fn offset_text(offset: Offset) -> String {
    let seconds = offset.seconds();
    let sign = if seconds < 0 { '-' } else { '+' };
    let seconds = seconds.unsigned_abs();
    let text = format!("{sign}{:02}{:02}", seconds / 3600, seconds / 60 % 60);
    if seconds.is_multiple_of(60) { text } else { format!("{text}{:02}", seconds % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(zone: &str, first_year: i16, last_year: i16) -> String {
        let mut out = Vec::new();
        push_zone(&mut out, &Zone::named(zone).unwrap(), first_year, last_year);
        String::from_utf8(out).unwrap().replace("\r\n", "\n")
    }

    #[test]
    fn kyiv_changes_its_clocks_on_last_sundays() {
        let expected = "BEGIN:VTIMEZONE\nTZID:Europe/Kyiv\n\
            BEGIN:DAYLIGHT\nDTSTART:20250330T030000\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0300\nTZNAME:EEST\n\
            RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU\nEND:DAYLIGHT\n\
            BEGIN:STANDARD\nDTSTART:20251026T040000\nTZOFFSETFROM:+0300\nTZOFFSETTO:+0200\nTZNAME:EET\n\
            RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU\nEND:STANDARD\nEND:VTIMEZONE\n";
        assert_eq!(written("Europe/Kyiv", 2026, 2026), expected);
    }

    #[test]
    fn other_zones_are_their_own() {
        let new_york = written("America/New_York", 2026, 2026);
        for rule in ["BYMONTH=3;BYDAY=2SU\n", "BYMONTH=11;BYDAY=1SU\n"] {
            assert!(new_york.contains(rule), "{new_york}");
        }
        // It changed its rules in 2007: the old ones end, the new ones go on.
        let long = written("America/New_York", 2000, 2026);
        for rule in [
            "BYMONTH=4;BYDAY=1SU;UNTIL=20060402T070000Z\n",
            "BYMONTH=10;BYDAY=-1SU;UNTIL=20061029T060000Z\n",
            "BYMONTH=3;BYDAY=2SU\n",
            "BYMONTH=11;BYDAY=1SU\n",
        ] {
            assert!(long.contains(rule), "{rule} in {long}");
        }
        let kathmandu = written("Asia/Kathmandu", 2026, 2026);
        assert!(
            kathmandu.contains("TZOFFSETFROM:+0545\nTZOFFSETTO:+0545\n") && !kathmandu.contains("RRULE"),
            "{kathmandu}"
        );
        // The Friday before the last Sunday of March is no weekday of a month: what does not go on has an end.
        let jerusalem = written("Asia/Jerusalem", 2026, 2026);
        assert!(jerusalem.contains("BYMONTH=10;BYDAY=-1SU\n"), "{jerusalem}");
        assert!(
            jerusalem.contains("DTSTART:20260327T020000\n") || jerusalem.contains("BYMONTH=3;BYDAY=4FR"),
            "{jerusalem}"
        );
    }

    #[test]
    fn every_zone_says_what_holds_at_any_time_that_events_have() {
        for zone in [
            "Europe/Kyiv",
            "America/New_York",
            "Asia/Kathmandu",
            "Asia/Jerusalem",
            "Africa/Casablanca",
            "UTC",
            "Pacific/Kiritimati",
        ] {
            for (first, last) in [(2026, 2026), (1985, 2030), (1, 9999)] {
                let text = written(zone, first, last);
                assert_eq!(text.matches("BEGIN:").count(), text.matches("END:").count());
                let onsets = text.matches("TZOFFSETTO:").count();
                assert!((1..=ONSETS_MAX + 1).contains(&onsets), "{zone} {onsets}");
                let earliest = text.lines().filter_map(|line| line.strip_prefix("DTSTART:")).min().unwrap();
                let begin = format!("{:04}0101T140000", first.clamp(1900, 2100));
                assert!(earliest <= begin.as_str(), "{zone}: {earliest}");
            }
        }
    }
}
