//! Records of the household as entries of a calendar.

use jiff::civil::DateTime;
use serde_json::Value;

use super::event::{Event, Status, whole_days};
use super::expand::{Exceptions, Series};
use super::reminder::minutes_before;
use super::rule::Rule;
use crate::clock::Timestamp;
use crate::modules::records::kinds::Kind;
use crate::modules::records::read::{Fields, text_of};
use crate::modules::records::record::Key;
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
        uid: uid.map_or_else(|| uid_of(module, stored), str::to_owned),
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

/// What is behind the last part of names of our own making.
const OURS: &str = "@inkring";

/// The name of a record that has none of elsewhere. There is one in all the world, as its module and id are in one household only, and
/// nobody has made two records at one microsecond.
fn uid_of(module: &str, stored: &Stored) -> String {
    format!("{module}-{}-{}{OURS}", stored.key.id(), stored.created_at.0)
}

/// The record whose name this is, if it is of our own making, and when that was made.
pub(super) fn named(uid: &str) -> Option<(Key, Timestamp)> {
    let mut parts = uid.strip_suffix(OURS)?.split('-');
    let (module, id, created) = (parts.next()?, parts.next()?, parts.next()?);
    let kind = Kind::of_module(module).filter(|kind| ["calendar", "podija"].contains(&kind.module))?;
    let key = Key::of(kind, id.parse().ok()?)?;
    parts.next().is_none().then_some((key, Timestamp(created.parse().ok()?)))
}

fn texts(fields: &Fields, name: &str) -> Vec<String> {
    let values = fields.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    values.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_our_own_making_are_known() {
        let kind = Kind::of_module("calendar").unwrap();
        let key = Key::of(kind, 7).unwrap();
        let (created_at, updated_at) = (Timestamp(1_795_246_286_710_931), Timestamp(0));
        let uid = uid_of("calendar", &Stored { key, json: String::new(), created_at, updated_at, revision: 1 });
        assert_eq!(uid, "calendar-7-1795246286710931@inkring");
        assert_eq!(named(&uid), Some((key, created_at)));
        assert_eq!(named("podija-1-5@inkring").map(|(key, _)| key.kind().unwrap().module), Some("podija"));
        for other in
            ["malya-7-5@inkring", "calendar-x-5@inkring", "calendar-7@inkring", "calendar-7-5-1@inkring", "7", ""]
        {
            assert_eq!(named(other), None, "{other}");
        }
    }
}
