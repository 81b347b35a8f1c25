//! The household's clock on the wall. Times that people type are kept as they typed them, without a zone; only what has to be
//! compared with the present goes through the rules of the zone (contract 04, R5).

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::clock::Timestamp;

/// Where the household lives, by the name of its zone in the tz database: `Europe/Kyiv`.
#[derive(Debug, Clone)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone of this name; none where no database has it. The system's database goes before the one in the program, so that
    /// rules that change are known as soon as the system knows them.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        TimeZone::get(name).ok().map(Self)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The rules, for what needs more of them than this module offers.
    #[must_use]
    pub fn rules(&self) -> &TimeZone {
        &self.0
    }

    /// What the clock on the wall shows at this moment; none beyond the years that a calendar has.
    #[must_use]
    pub fn wall(&self, at: Timestamp) -> Option<DateTime> {
        let at = jiff::Timestamp::from_microsecond(at.0).ok()?;
        Some(self.0.to_datetime(at))
    }

    /// When the clock on the wall shows this. A time that is left out in spring is as much later as the clocks jump; of one that
    /// comes twice in autumn it is the first.
    #[must_use]
    pub fn instant(&self, wall: DateTime) -> Option<Timestamp> {
        let at = self.0.to_ambiguous_timestamp(wall).compatible().ok()?;
        Some(Timestamp(at.as_microsecond()))
    }
}

/// As records keep and show it: `2026-11-21T07:31:26`, with six digits of a second where there are parts of it.
#[must_use]
pub fn wall_text(wall: DateTime) -> String {
    let whole = format!("{}T{:02}:{:02}:{:02}", wall.date(), wall.hour(), wall.minute(), wall.second());
    match wall.subsec_nanosecond() / 1000 {
        0 => whole,
        micros => format!("{whole}.{micros:06}"),
    }
}

/// A moment as records and registries show it: as on a wall in UTC, with its `Z` (contract 04, R5).
#[must_use]
pub fn utc_text(at: Timestamp) -> String {
    at.written("Z").to_string()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_time_on_the_wall_is_found_by_the_rules_of_the_zone_and_back() {
        let kyiv = Zone::named("Europe/Kyiv").unwrap();
        let seconds = |wall| kyiv.instant(wall).unwrap().0 / 1_000_000;
        let winter = date(2026, 1, 15).at(10, 0, 0, 0);
        let summer = date(2026, 7, 15).at(10, 0, 0, 0);
        assert_eq!((seconds(winter), seconds(summer)), (1_768_464_000, 1_784_098_800));
        for wall in [winter, summer] {
            assert_eq!(kyiv.wall(kyiv.instant(wall).unwrap()), Some(wall));
        }
        // The clocks go from 3 to 4 on 29 March, and from 4 to 3 on 25 October.
        let left_out = date(2026, 3, 29).at(3, 30, 0, 0);
        assert_eq!(kyiv.wall(kyiv.instant(left_out).unwrap()), Some(date(2026, 3, 29).at(4, 30, 0, 0)));
        let twice = date(2026, 10, 25).at(3, 30, 0, 0);
        assert_eq!(seconds(twice), 1_792_888_200, "the first of the two");
        assert!(Zone::named("Europe/Atlantis").is_none());
    }

    #[test]
    fn parts_of_a_second_are_shown_where_there_are_any() {
        let wall = date(2026, 11, 21).at(7, 31, 26, 0);
        assert_eq!(wall_text(wall), "2026-11-21T07:31:26");
        assert_eq!(wall_text(date(2026, 11, 21).at(7, 31, 26, 710_931_000)), "2026-11-21T07:31:26.710931");
    }
}
