//! Records of the household as entries of a calendar.

use jiff::civil::DateTime;
use serde_json::Value;

use super::event::{Event, Status, whole_days};
use super::expand::{Exceptions, Series};
use super::reminder::minutes_before;
use super::rule::Rule;
use crate::modules::records::read::{Fields, text_of};
use crate::modules::records::store::Stored;
use crate::modules::zone::Zone;

/// What stands before the `UID` of an entry that was read out of a file, in its `source_trace`.
pub(super) const SOURCE: &str = "ics:";

/// When an entry is: all its occurrences, and what became of single ones.
pub(super) struct Times {
    pub(super) start: DateTime,
    pub(super) end: Option<DateTime>,
    pub(super) rule: Option<Rule>,
    /// None where there is no rule: such an entry is changed itself.
    pub(super) exceptions: Exceptions,
}

impl Times {
    /// Those of an entry. It recurs if it has a pattern, whatever `is_recurring` says: that is the client's own mark, and false
    /// where nobody has thought of it.
    pub(super) fn of(fields: &Fields, zone: &Zone) -> Option<Self> {
        let start = moment(fields, "scheduled_at")?;
        let value = |name: &str| fields.get(name).filter(|value| !value.is_null());
        // All of it was made canonical when it came, so that nothing is refused here.
        let rule = value("recurrence_pattern").and_then(|pattern| Rule::from_json(pattern, zone).ok());
        let exceptions = value("exceptions").filter(|_| rule.is_some());
        let exceptions = exceptions.and_then(|exceptions| Exceptions::from_json(exceptions, zone).ok());
        Some(Self { start, end: moment(fields, "end_time"), rule, exceptions: exceptions.unwrap_or_default() })
    }

    /// Its occurrences.
    pub(super) fn series(&self) -> Series {
        Series::new(self.start, self.end, self.rule.clone())
    }
}

fn moment(fields: &Fields, name: &str) -> Option<DateTime> {
    text_of(fields, name)?.parse().ok()
}

/// How many minutes before an entry somebody wants to be reminded.
pub(super) fn minutes_of(fields: &Fields) -> Vec<i32> {
    fields.get("reminder_settings").and_then(|settings| minutes_before(settings).ok()).unwrap_or_default()
}

/// A record as calendars elsewhere see it: an entry, or an event of podija that has a date; none for other records.
pub(super) fn event(stored: &Stored, fields: &Fields, zone: &Zone) -> Option<Event> {
    let module = stored.key.kind()?.module;
    let (times, kind, status) = match module {
        "calendar" => {
            (Times::of(fields, zone)?, text_of(fields, "entry_type"), Status::named(text_of(fields, "status")))
        }
        "podija" => {
            let start = moment(fields, "event_date")?;
            let is_done = fields.get("is_completed") == Some(&Value::Bool(true));
            let status = if is_done { Status::Completed } else { Status::Pending };
            (Times { start, end: None, rule: None, exceptions: Exceptions::default() }, None, status)
        }
        _ => return None,
    };
    let text = |name: &str| text_of(fields, name).map(str::to_owned);
    let known = text_of(fields, "source_trace").and_then(|source| source.strip_prefix(SOURCE));
    let uid = known.filter(|uid| !uid.is_empty());
    Some(Event {
        uid: uid.map_or_else(|| format!("{module}-{}@inkring", stored.key.id()), str::to_owned),
        title: text("title").unwrap_or_default(),
        description: text("description"),
        location: text("location"),
        whole_day: whole_days(times.start, times.end, kind).is_some(),
        start: times.start,
        end: times.end,
        rule: times.rule,
        exceptions: times.exceptions,
        participants: texts(fields, "participants"),
        tags: texts(fields, "tags"),
        status,
        minutes_before: minutes_of(fields),
        created: Some(stored.created_at),
        updated: Some(stored.updated_at),
    })
}

fn texts(fields: &Fields, name: &str) -> Vec<String> {
    let values = fields.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    values.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}
