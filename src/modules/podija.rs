//! Events as a line of time: what was, what is today and what is to come (contract 04 §5.2). All of that follows from their dates.

use std::rc::Rc;

use http::Method;
use jiff::Unit;
use jiff::civil::{DateTime, Time};
use serde_json::{Map, Value, json};

use super::desk::Desk;
use super::promote::promote;
use super::records::answer;
use super::records::change::fields_of;
use super::records::fact::wall_micros;
use super::records::kinds::Kind;
use super::records::read::{Fields, text_of};
use super::records::store::{self, During};
use crate::gate::validate::{Body, Check};
use crate::gate::{ApiError, Call, Outcome, Route, Routes};
use crate::store::{Order, Reader};

/// What is served.
pub(super) const ROUTES: [Route; 4] = [
    Route::public(&Method::GET, "/api/v1/podija/timeline")
        .does("List dated events by month, each as past, present or future"),
    Route::public(&Method::GET, "/api/v1/podija/upcoming")
        .does("List upcoming events that are not done, nearest first, with the days left"),
    Route::public(&Method::GET, "/api/v1/podija/overdue")
        .does("List past events that are not done, latest first, with the days since"),
    Route::json(&Method::POST, "/api/v1/podija/events/{id}/promote")
        .anyone()
        .does("Create a calendar entry from an event; the body may override its fields"),
];

/// Events that one answer looks at.
pub(super) const TIMELINE_MAX_EVENTS: usize = 1000;

/// Adds them for one shard.
pub(super) fn add(desk: &Rc<Desk>, to: &mut Routes) {
    let [timeline_route, upcoming_route, overdue_route, promote_route] = ROUTES;
    desk.add(to, timeline_route, |desk, call| listed(desk, call, |_| (i64::MIN, i64::MAX), Order::Newest, timeline));
    desk.add(to, upcoming_route, |desk, call| {
        let coming = |now: DateTime| (wall_micros(now.date().at(0, 0, 0, 0)), i64::MAX);
        listed(desk, call, coming, Order::Oldest, |events, now| open(events, now, false))
    });
    desk.add(to, overdue_route, |desk, call| {
        let over = |now: DateTime| (i64::MIN, wall_micros(now));
        listed(desk, call, over, Order::Newest, |events, now| open(events, now, true))
    });
    desk.add(to, promote_route, |desk, call| {
        let (from, into) = (kind_of("podija")?, kind_of("calendar")?);
        let sent = if call.body == Body::Absent { Map::new() } else { members(&call.body)? };
        promote(desk, call, from, into, sent, &[("event_date", "scheduled_at"), ("event_type", "entry_type")])
    });
}

/// The kind of record that a module keeps.
pub(super) fn kind_of(module: &str) -> Result<&'static Kind, ApiError> {
    Kind::of_module(module).ok_or_else(|| ApiError::internal(format!("there is no kind of record of {module}")))
}

/// The members of a body that has to be an object.
pub(super) fn members(body: &Body) -> Result<Map<String, Value>, ApiError> {
    let mut check = Check::new();
    let members = check.object(body).cloned();
    check.done()?;
    Ok(members.unwrap_or_default())
}

fn listed(
    desk: &Desk,
    call: &Call<'_>,
    span: impl Fn(DateTime) -> (i64, i64),
    order: Order,
    show: impl FnOnce(Vec<Event>, DateTime) -> Value + 'static,
) -> Result<Outcome, ApiError> {
    let kind = kind_of("podija")?;
    desk.active(kind.module)?;
    let now = desk.shared.zone.wall(call.clock.now()).unwrap_or(DateTime::MIN);
    let (from, until) = span(now);
    let fetch = move |reader: &Reader| {
        let (span, mut found) = (During { from, until, order, most: TIMELINE_MAX_EVENTS }, Vec::new());
        store::during(reader, kind, &span, |stored| found.push(stored))?;
        let events = found.iter().map(|stored| Ok(Event::of(fields_of(stored)?)));
        Ok(events.collect::<Result<Vec<_>, ApiError>>()?.into_iter().flatten().collect())
    };
    desk.parts.read(call, fetch, move |events| Ok(answer(&show(events, now))))
}

/// An event that has a date.
struct Event {
    fields: Fields,
    at: DateTime,
}

impl Event {
    fn of(fields: Fields) -> Option<Self> {
        let at = text_of(&fields, "event_date")?.parse().ok()?;
        Some(Self { fields, at })
    }

    /// Whether it is over: one without a time of day, that is at midnight, is so when its day is.
    fn is_over(&self, now: DateTime) -> bool {
        if self.at.time() == Time::midnight() { self.at.date() < now.date() } else { self.at < now }
    }

    fn is_done(&self) -> bool {
        self.fields.get("is_completed").and_then(Value::as_bool).unwrap_or_default()
    }

    /// As it is answered, with one more member.
    fn with(mut self, name: &str, value: impl Into<Value>) -> Value {
        self.fields.insert(name.to_owned(), value.into());
        Value::Object(self.fields)
    }
}

/// The latest events, month by month in the order of time.
fn timeline(events: Vec<Event>, now: DateTime) -> Value {
    let mut months: Vec<(String, Vec<Value>)> = Vec::new();
    for event in events.into_iter().rev() {
        let month = event.at.strftime("%Y-%m").to_string();
        let position = match event.at.date().cmp(&now.date()) {
            std::cmp::Ordering::Less => "past",
            std::cmp::Ordering::Equal => "present",
            std::cmp::Ordering::Greater => "future",
        };
        let event = event.with("position", position);
        match months.last_mut() {
            Some((last, events)) if *last == month => events.push(event),
            _ => months.push((month, vec![event])),
        }
    }
    let month = |(month, events): (String, Vec<Value>)| json!({ "month": month, "events": events });
    json!({ "today": now.date().to_string(), "months": months.into_iter().map(month).collect::<Vec<_>>() })
}

/// What is not done, of what is over or of what is to come.
fn open(events: Vec<Event>, now: DateTime, is_over: bool) -> Value {
    let events = events.into_iter().filter(|event| !event.is_done() && event.is_over(now) == is_over);
    let with_days = |event: Event| {
        let days = now.date().until((Unit::Day, event.at.date())).map_or(0, |span| span.get_days());
        if is_over { event.with("days_overdue", -days) } else { event.with("days_left", days) }
    };
    events.map(with_days).collect::<Vec<_>>().into()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn now() -> DateTime {
        date(2026, 11, 18).at(12, 0, 0, 0)
    }

    fn events(rows: &[(&str, bool)]) -> Vec<Event> {
        let event = |(at, done): &(&str, bool)| {
            let fields = json!({ "event_date": at, "is_completed": done });
            Event::of(fields.as_object().unwrap().clone())
        };
        rows.iter().filter_map(event).collect()
    }

    #[test]
    fn a_timeline_is_by_months_and_says_what_is_past() {
        let newest = [
            ("2027-01-01T00:00:00", false),
            ("2026-11-19T00:00:00", false),
            ("2026-11-18T09:00:00", true),
            ("2026-11-17T23:59:00", false),
            ("2026-10-01T10:00:00", false),
        ];
        let shown = timeline(events(&newest), now());
        assert_eq!(shown["today"], "2026-11-18");
        let positions = |month: &Value| -> Vec<Value> {
            month["events"].as_array().unwrap().iter().map(|event| event["position"].clone()).collect()
        };
        let months: Vec<(Value, Vec<Value>)> = shown["months"]
            .as_array()
            .unwrap()
            .iter()
            .map(|month| (month["month"].clone(), positions(month)))
            .collect();
        assert_eq!(
            months,
            [
                (json!("2026-10"), vec![json!("past")]),
                (json!("2026-11"), vec![json!("past"), json!("present"), json!("future")]),
                (json!("2027-01"), vec![json!("future")]),
            ]
        );
    }

    #[test]
    fn what_is_not_done_is_to_come_or_overdue() {
        let rows = [
            ("2026-11-17T23:59:00", false),
            ("2026-11-17T00:00:00", true),
            ("2026-11-18T00:00:00", false),
            ("2026-11-18T11:59:00", false),
            ("2026-11-18T12:00:00", false),
            ("2026-12-01T09:00:00", false),
            ("2026-12-01T09:00:00", true),
        ];
        let of = |is_over, days: &str| -> Vec<(Value, Value)> {
            let shown = open(events(&rows), now(), is_over);
            shown.as_array().unwrap().iter().map(|event| (event["event_date"].clone(), event[days].clone())).collect()
        };
        assert_eq!(
            of(false, "days_left"),
            [
                (json!("2026-11-18T00:00:00"), json!(0)),
                (json!("2026-11-18T12:00:00"), json!(0)),
                (json!("2026-12-01T09:00:00"), json!(13))
            ]
        );
        assert_eq!(
            of(true, "days_overdue"),
            [(json!("2026-11-17T23:59:00"), json!(1)), (json!("2026-11-18T11:59:00"), json!(0))]
        );
        assert!(Event::of(Fields::new()).is_none(), "one without a date is nowhere in time");
    }
}
