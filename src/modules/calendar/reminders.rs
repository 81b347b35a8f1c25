//! The reminders that are due, for who asks: each with what it reminds of.

use std::rc::Rc;

use jiff::civil::DateTime;
use jiff::{SignedDuration, Span};
use serde_json::{Value, json};

use super::entry::{Times, minutes_of};
use super::event::Status;
use super::expand::{Exceptions, Series};
use super::reminder::{Due, Dues, LOOK_BACK_MAX_MICROS, MINUTES_AFTER_MAX, MINUTES_BEFORE_MAX, Watched, due};
use super::store::Reminding;
use crate::clock::{DAY_MICROS, Timestamp};
use crate::gate::validate::Check;
use crate::gate::{ApiError, Call, Outcome};
use crate::modules::desk::Desk;
use crate::modules::records::change::fields_of;
use crate::modules::records::fact::{title, wall_micros};
use crate::modules::records::kinds::Kind;
use crate::modules::records::read::text_of;
use crate::modules::records::store::Stored;
use crate::modules::records::{answer, moment};
use crate::modules::zone::{Zone, utc_text, wall_text};
use crate::store::{Error, Query, Reader};

/// How far back reminders are due for who does not say since when.
const BACK_MICROS: i64 = DAY_MICROS;

/// An entry that may remind, with what is said of it then.
pub(super) struct Reminder {
    id: i64,
    title: String,
    location: Option<String>,
    start: DateTime,
    end: Option<DateTime>,
    series: Series,
    exceptions: Exceptions,
    status: Status,
    minutes_before: Vec<i32>,
    /// When it was last changed.
    pub(super) updated_at: Timestamp,
}

impl Reminder {
    fn of(kind: &Kind, stored: &Stored, zone: &Zone) -> Result<Option<Self>, ApiError> {
        let fields = fields_of(stored)?;
        let Some(times) = Times::of(&fields, zone) else { return Ok(None) };
        Ok(Some(Self {
            id: stored.key.id(),
            title: title(kind, &fields).to_owned(),
            location: text_of(&fields, "location").map(str::to_owned),
            series: times.series(),
            start: times.start,
            end: times.end,
            exceptions: times.exceptions,
            status: Status::named(text_of(&fields, "status")),
            minutes_before: minutes_of(&fields),
            updated_at: stored.updated_at,
        }))
    }

    fn watched(&self) -> Watched<'_> {
        let Self { id, series, exceptions, status, minutes_before, .. } = self;
        Watched { id: *id, series, exceptions, status: *status, minutes_before }
    }

    /// What is said when it is due.
    fn shown(&self, due: &Due) -> Value {
        let lasting =
            self.end.map(|end| self.start.duration_until(end)).filter(|lasting| *lasting > SignedDuration::ZERO);
        let end = lasting.and_then(|lasting| due.start.checked_add(lasting).ok());
        json!({
            "id": self.id, "title": self.title, "location": self.location, "due_at": utc_text(due.at),
            "start": wall_text(due.start), "end": end.map(wall_text), "original": wall_text(due.original),
            "minutes_before": due.minutes_before, "url": format!("/api/v1/calendar/entries/{}", self.id),
        })
    }
}

/// Reads the entries of which some reminder may be due in (since, now].
pub(super) fn reminding(query: &impl Query, since: Timestamp, now: Timestamp, zone: &Zone) -> Result<Reminding, Error> {
    let kind = Kind::of_module("calendar").ok_or_else(|| Error::Other("there is no kind of entries".to_owned()))?;
    let wall = |at: Timestamp| zone.wall(at).unwrap_or(DateTime::MAX);
    let minutes = |count: i32| Span::new().minutes(i64::from(count));
    // A day on both sides is more than any change of the clocks.
    let first = wall(since).checked_sub(minutes(MINUTES_AFTER_MAX + 24 * 60)).unwrap_or(DateTime::MIN);
    let last = wall(now).checked_add(minutes(MINUTES_BEFORE_MAX + 24 * 60)).unwrap_or(DateTime::MAX);
    Reminding::find(query, kind, wall_micros(first)..wall_micros(last))
}

/// What is due of some entries.
pub(super) struct Told {
    pub(super) dues: Dues,
    /// Each of those that are due, with when its entry was last changed and what is said of it.
    pub(super) said: Vec<(Due, Timestamp, Value)>,
}

/// The reminders of these entries that came due in (since, now].
pub(super) fn told(found: &Reminding, since: Timestamp, now: Timestamp, zone: &Zone) -> Result<Told, ApiError> {
    let kind = Kind::of_module("calendar").ok_or_else(|| ApiError::internal("there is no kind of entries"))?;
    let mut entries = Vec::with_capacity(found.entries.len());
    for stored in &found.entries {
        entries.extend(Reminder::of(kind, stored, zone)?);
    }
    entries.sort_by_key(|entry| entry.id);
    let dues = due(entries.iter().map(Reminder::watched), since, now, zone);
    let said = dues.due.iter().filter_map(|due| {
        let at = entries.binary_search_by_key(&due.id, |entry| entry.id).ok()?;
        let entry = entries.get(at)?;
        Some((*due, entry.updated_at, entry.shown(due)))
    });
    Ok(Told { said: said.collect(), dues })
}

/// Answers with the reminders that came due after `from` and until `to`.
pub(super) fn list(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    desk.active("calendar")?;
    let zone = desk.shared.zone.clone();
    let mut check = Check::new();
    let now = call.clock.now();
    let until = moment_of(&mut check, call, "to", &zone).unwrap_or(now);
    let since = moment_of(&mut check, call, "from", &zone).unwrap_or(Timestamp(until.0.saturating_sub(BACK_MICROS)));
    if since > until {
        check.refuse("query", "to", &utc_text(until), "to must not be before from");
    }
    check.done()?;
    let since = since.max(Timestamp(until.0.saturating_sub(LOOK_BACK_MAX_MICROS)));
    let found = {
        let zone = zone.clone();
        desk.parts.fetch(move |reader: &Reader| reminding(reader, since, until, &zone))?
    };
    // As with lists of occurrences: rules that hardly ever are keep nobody else waiting.
    let work = move || {
        let Told { dues, said } = told(&found, since, until, &zone)?;
        let due: Vec<Value> = said.into_iter().map(|(_, _, said)| said).collect();
        let has_more = found.is_cut || dues.until < until;
        Ok(json!({ "from": utc_text(since), "until": utc_text(dues.until), "due": due, "more": has_more }))
    };
    desk.parts.block(call, work, |listed| Ok(answer(&listed)))
}

/// The moment that a parameter names, if it is there.
fn moment_of(check: &mut Check, call: &Call<'_>, name: &'static str, zone: &Zone) -> Option<Timestamp> {
    let text = call.query_value(name).filter(|text| !text.trim().is_empty())?;
    match moment::instant(&text, zone) {
        Ok(at) => Some(at),
        Err(why) => {
            check.refuse("query", name, &text, &format!("Input should be a valid datetime, {why}"));
            None
        }
    }
}
