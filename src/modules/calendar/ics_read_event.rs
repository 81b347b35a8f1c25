//! One event of a calendar file: its times, its rule, what became of single occurrences, and who is with it.

use jiff::civil::{Date, DateTime};
use jiff::{SignedDuration, Span};

use super::event::{Event, Status, whole_days};
use super::expand::{Change, EXCEPTIONS_MAX, Exceptions};
use super::ics_lines::{Component, Line};
use super::ics_read_zone::{Place, Places};
use super::ics_text::{civil_date, civil_time, duration_seconds, unescaped_list};
use super::reminder::{REMINDERS_MAX, is_possible};
use super::rule::{Freq, Rule, shown_text};
use crate::clock::Timestamp;
use crate::modules::zone::{Zone, wall_text};

/// Sentences about what was not kept of one event.
pub(super) const LEFT_OUT_MAX: usize = 20;
/// People who take part in one event, and tags of it.
pub(super) const NAMES_MAX: usize = 200;

/// The title of an event that has none.
pub(super) const UNTITLED: &str = "Без назви";

/// Says that something was not kept, as long as there is room.
pub(super) fn note(left_out: &mut Vec<String>, sentence: String) {
    if left_out.len() < LEFT_OUT_MAX {
        left_out.push(sentence);
    }
}

/// An event with what was not kept of it, and which occurrence it is where it is only one of a series.
pub(super) struct Found {
    pub(super) event: Event,
    pub(super) apart: Option<DateTime>,
    pub(super) left_out: Vec<String>,
}

/// A time in a file.
#[derive(Debug, Clone, Copy)]
enum When {
    Day(Date),
    Time {
        /// As it is written.
        written: DateTime,
        /// On the household's clock.
        wall: DateTime,
    },
}

impl When {
    fn wall(self) -> DateTime {
        match self {
            Self::Day(day) => day.at(0, 0, 0, 0),
            Self::Time { wall, .. } => wall,
        }
    }
}

/// Reads events as a household in this zone sees them, with the zones that their file describes.
pub(super) struct Reader<'z> {
    pub(super) zone: &'z Zone,
    pub(super) places: Places,
}

impl Reader<'_> {
    /// Reads one event, or says why it cannot be read.
    pub(super) fn event(&self, component: &Component) -> Result<Found, String> {
        if component.name != "VEVENT" {
            let name = shown_text(&component.name);
            return Err(format!("line {}: a {name} is not an event, and only events are read", component.number));
        }
        if let Some(problem) = &component.problem {
            return Err(problem.clone());
        }
        let one = |name: &str| component.lines.iter().find(|line| line.name == name);
        let mut left_out = Vec::new();
        let start_line =
            one("DTSTART").ok_or_else(|| format!("line {}: this event has no DTSTART", component.number))?;
        let (start, end) = self.stretch(component, start_line, &mut left_out)?;
        let whole_day = matches!(start, When::Day(_)) || whole_days(start.wall(), end, None).is_some();
        let title = one("SUMMARY").and_then(Line::text).unwrap_or_else(|| {
            note(&mut left_out, format!("line {}: this event has no title", component.number));
            UNTITLED.to_owned()
        });
        let rule = self.rule(component, start, start_line, &mut left_out);
        let exceptions = self.exceptions(component, start, start_line, &mut left_out);
        let moment = |name: &str| one(name).and_then(|line| self.moment(line).ok());
        // Without a name of its own, the same event has the same one when it is read again.
        let unnamed = || format!("{} {title}", wall_text(start.wall()));
        let event = Event {
            uid: one("UID").and_then(Line::text).unwrap_or_else(unnamed),
            title,
            description: one("DESCRIPTION").and_then(Line::text),
            location: one("LOCATION").and_then(Line::text),
            start: start.wall(),
            end,
            whole_day,
            rule,
            exceptions,
            participants: names(component, &["ATTENDEE", "CONTACT"], &mut left_out),
            tags: names(component, &["CATEGORIES"], &mut left_out),
            status: Status::named(one("STATUS").map(|line| line.value.as_str())),
            minutes_before: self.reminders(component, start.wall(), end, &mut left_out),
            created: moment("CREATED"),
            updated: moment("LAST-MODIFIED").or_else(|| moment("DTSTAMP")),
        };
        let apart = one("RECURRENCE-ID").map(|line| {
            if line.param("RANGE").is_some() {
                note(
                    &mut left_out,
                    format!("line {}: what follows this occurrence is not changed with it", line.number),
                );
            }
            Ok::<_, String>(at_time_of(self.when(line, line.value.trim())?, start))
        });
        Ok(Found { event, apart: apart.transpose()?, left_out })
    }

    /// Start and end. Whole days end at midnight behind the last of them.
    fn stretch(
        &self,
        component: &Component,
        start_line: &Line,
        left_out: &mut Vec<String>,
    ) -> Result<(When, Option<DateTime>), String> {
        let one = |name: &str| component.lines.iter().find(|line| line.name == name);
        let mut start = self.when(start_line, start_line.value.trim())?;
        let mut end = one("DTEND").map(|line| self.when(line, line.value.trim())).transpose()?;
        // Outlook writes some whole days as times on a clock far away, and says so.
        if one("X-MICROSOFT-CDO-ALLDAYEVENT").is_some_and(|line| line.value.trim().eq_ignore_ascii_case("TRUE")) {
            let day = |when: When| match when {
                When::Time { written, .. } if written.time() == jiff::civil::Time::midnight() => {
                    When::Day(written.date())
                }
                other => other,
            };
            (start, end) = (day(start), end.map(day));
        }
        let mut end = end.map(When::wall);
        if let (None, Some(line)) = (end, one("DURATION")) {
            let seconds = duration_seconds(line.value.trim()).filter(|seconds| *seconds >= 0);
            let seconds = seconds.ok_or_else(|| {
                format!("line {}: DURATION is {}, which is not a valid duration", line.number, shown_text(&line.value))
            })?;
            end = start.wall().checked_add(SignedDuration::from_secs(seconds)).ok();
        }
        if let When::Day(day) = start {
            let next = day.saturating_add(Span::new().days(1)).at(0, 0, 0, 0);
            return Ok((start, Some(end.map_or(next, |end| end.max(next)))));
        }
        if end.is_some_and(|end| end < start.wall()) {
            note(left_out, format!("line {}: its end, which is before its start", start_line.number));
            end = None;
        }
        Ok((start, end))
    }

    /// The rule, on the household's clock; none where it says what cannot be kept.
    fn rule(&self, component: &Component, start: When, start_line: &Line, left_out: &mut Vec<String>) -> Option<Rule> {
        let mut lines = component.lines.iter().filter(|line| line.name == "RRULE");
        let line = lines.next()?;
        let number = line.number;
        for more in lines {
            note(left_out, format!("line {}: a second RRULE", more.number));
        }
        let (written, wall) = match start {
            When::Day(_) => (start.wall(), start.wall()),
            When::Time { written, wall } => (written, wall),
        };
        let is_day = matches!(start, When::Day(_));
        let rule = Rule::from_rrule(line.value.trim(), written, is_day, self.zone);
        let rule = rule.and_then(|rule| shifted(rule, written, wall));
        let rule = match rule {
            Ok(rule) => rule,
            Err(problem) => {
                let text = shown_text(&line.value);
                note(left_out, format!("line {number}: RRULE:{text} is left out, so this event is once: {problem}"));
                return None;
            }
        };
        if let When::Time { .. } = start
            && !self.is_our_clock(start_line, written)
        {
            let clock = start_line.param("TZID").map_or("UTC".to_owned(), shown_text);
            note(
                left_out,
                format!(
                    "line {number}: it recurs by the clock of {clock}, and from now on by that of {}",
                    self.zone.name()
                ),
            );
        }
        Some(rule)
    }

    /// Whether a clock shows the same as the household's for a year from then on.
    fn is_our_clock(&self, line: &Line, from: DateTime) -> bool {
        let mut months = (0..12).filter_map(|month| from.checked_add(Span::new().months(month)).ok());
        months.all(|written| match self.place(line, line.value.trim()) {
            Ok(None) => true,
            Ok(Some(place)) => place.instant(written) == self.zone.instant(written),
            Err(_) => false,
        })
    }

    fn exceptions(
        &self,
        component: &Component,
        start: When,
        start_line: &Line,
        left_out: &mut Vec<String>,
    ) -> Exceptions {
        let mut exceptions = Exceptions::default();
        let skip = Change { skip: true, ..Change::default() };
        for line in &component.lines {
            match line.name.as_str() {
                "RDATE" => note(left_out, format!("line {}: the further times of RDATE", line.number)),
                "EXRULE" => note(left_out, format!("line {}: EXRULE, by which there are exceptions", line.number)),
                "EXDATE" => {
                    for text in line.value.split(',').take(EXCEPTIONS_MAX + 1) {
                        // Where it says less than the start does, it is on the same clock.
                        let clock = if line.param("TZID").is_some() { line } else { start_line };
                        let when = self.when_on(line, clock, text.trim());
                        let set = when.and_then(|when| exceptions.set(at_time_of(when, start), skip));
                        if let Err(problem) = set {
                            note(left_out, problem);
                        }
                    }
                }
                _ => {}
            }
        }
        exceptions
    }

    /// The alarms, in minutes before the start.
    fn reminders(
        &self,
        component: &Component,
        start: DateTime,
        end: Option<DateTime>,
        left_out: &mut Vec<String>,
    ) -> Vec<i32> {
        let mut minutes = Vec::new();
        for (_, lines) in component.parts.iter().filter(|(name, _)| name == "VALARM") {
            // `ACTION:NONE` is how a phone writes that there is none.
            if lines.iter().any(|line| line.name == "ACTION" && line.value.trim().eq_ignore_ascii_case("NONE")) {
                continue;
            }
            let Some(line) = lines.iter().find(|line| line.name == "TRIGGER") else { continue };
            let before = match duration_seconds(line.value.trim()) {
                Some(after) if line.param("RELATED").is_some_and(|related| related.eq_ignore_ascii_case("END")) => {
                    Some(-after - end.map_or(0, |end| start.duration_until(end).as_secs()))
                }
                Some(after) => Some(-after),
                None => self.moment(line).ok().and_then(|at| Some((self.zone.instant(start)?.0 - at.0) / 1_000_000)),
            };
            let before = before.map(|seconds| seconds.div_euclid(60)).filter(|before| is_possible(*before));
            match before.and_then(|before| i32::try_from(before).ok()) {
                Some(before) if minutes.len() < REMINDERS_MAX => minutes.push(before),
                _ => note(left_out, format!("line {}: a reminder, TRIGGER:{}", line.number, shown_text(&line.value))),
            }
        }
        minutes.sort_unstable_by(|a, b| b.cmp(a));
        minutes.dedup();
        minutes
    }

    /// The time in a line, or in one item of its list.
    fn when(&self, line: &Line, text: &str) -> Result<When, String> {
        self.when_on(line, line, text)
    }

    /// The same, on the clock that another line names.
    fn when_on(&self, line: &Line, clock: &Line, text: &str) -> Result<When, String> {
        if let Some(day) = civil_date(text) {
            return Ok(When::Day(day));
        }
        let Line { number, name, .. } = line;
        let wrong = || format!("line {number}: {name} is {}, which is not a valid date or time", shown_text(text));
        let written = civil_time(text.trim_end_matches(['Z', 'z'])).ok_or_else(wrong)?;
        let place = self.place(clock, text).map_err(|problem| format!("line {number}: {problem}"))?;
        let wall = match place {
            None => Some(written),
            Some(place) => place.instant(written).and_then(|at| self.zone.wall(at)),
        };
        Ok(When::Time { written, wall: wall.ok_or_else(wrong)? })
    }

    /// Whose clock a time is on; none for the household's own, and for no zone at all.
    fn place(&self, line: &Line, text: &str) -> Result<Option<Place>, String> {
        if text.ends_with(['Z', 'z']) {
            return Ok(Zone::named("UTC").map(Place::Known));
        }
        match line.param("TZID") {
            None => Ok(None),
            Some(name) if name == self.zone.name() => Ok(None),
            Some(name) => self.places.named(name).map(Some),
        }
    }

    fn moment(&self, line: &Line) -> Result<Timestamp, String> {
        let wall = self.when(line, line.value.trim())?.wall();
        self.zone.instant(wall).ok_or_else(|| {
            format!("line {}: {} is {}, which is out of range", line.number, line.name, shown_text(&line.value))
        })
    }
}

/// The occurrence that is meant: of a series with times, a mere day means that of the day.
fn at_time_of(when: When, start: When) -> DateTime {
    match (when, start) {
        (When::Day(day), When::Time { wall, .. }) => day.to_datetime(wall.time()),
        (When::Time { written, .. }, When::Day(_)) => written.date().at(0, 0, 0, 0),
        (when, _) => when.wall(),
    }
}

/// The rule for a start that is on another day here than where it was written.
fn shifted(mut rule: Rule, written: DateTime, wall: DateTime) -> Result<Rule, String> {
    let days = written.date().duration_until(wall.date()).as_hours() / 24;
    let Some(days) = i8::try_from(days).ok().filter(|days| *days != 0) else { return Ok(rule) };
    if matches!(rule.freq, Freq::Daily | Freq::Weekly) {
        for day in &mut rule.byweekday {
            *day = day.later(days);
        }
        rule.byweekday.sort_unstable();
        return Ok(rule);
    }
    let is_plain = rule.byweekday.is_empty() && rule.bymonthday.is_empty();
    if is_plain && written.day() <= 28 && wall.day() <= 28 {
        return Ok(rule);
    }
    Err("on the household's clock it is another day".to_owned())
}

/// People, by name or else by address; and tags.
fn names(component: &Component, of: &[&str], left_out: &mut Vec<String>) -> Vec<String> {
    let mut names = Vec::new();
    for line in component.lines.iter().filter(|line| of.contains(&line.name.as_str())) {
        // Rooms and projectors are invited as well.
        if line
            .param("CUTYPE")
            .is_some_and(|kind| kind.eq_ignore_ascii_case("ROOM") || kind.eq_ignore_ascii_case("RESOURCE"))
        {
            continue;
        }
        let found = match line.name.as_str() {
            "CATEGORIES" => unescaped_list(&line.value),
            "ATTENDEE" => {
                let address = line.value.trim();
                let mail = address.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("mailto:"));
                let address = if mail.is_some() { &address[7..] } else { address };
                let name = line.param("CN").map(str::trim).filter(|name| !name.is_empty());
                vec![name.unwrap_or(address).to_owned()]
            }
            _ => line.text().into_iter().collect(),
        };
        for name in found.into_iter().map(|name| name.trim().to_owned()) {
            if name.is_empty() || names.contains(&name) {
                continue;
            }
            if names.len() == NAMES_MAX {
                note(left_out, format!("line {}: names beyond {NAMES_MAX}", line.number));
                return names;
            }
            names.push(name);
        }
    }
    names
}
