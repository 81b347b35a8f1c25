//! What kazkar does beyond keeping stories (contract 04 §1.8 and §5.2): figures, legends, import, announcements, people and places,
//! and what happened on this day in other years.

use std::rc::Rc;

use http::Method;
use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::desk::Desk;
use super::news::SPACE;
use super::records::change::fields_of;
use super::records::fact::{Fact, wall_micros};
use super::records::kinds::Kind;
use super::records::read;
use super::records::record::RecordContent;
use super::records::store::{During, by_source, counts, during, values_of};
use super::records::{answer, listed, moment, shown, wanted};
use crate::gate::validate::Body;
use crate::gate::{ApiError, Call, Outcome, Route, Routes};
use crate::net::Frame;
use crate::store::{Order, Reader, Topic, Tx};

/// What is served.
pub(super) const ROUTES: [Route; 7] = [
    Route::public(&Method::GET, "/api/v1/kazkar/stats").does("Count the stories by their type"),
    Route::public(&Method::GET, "/api/v1/kazkar/legends").does("List the stories of type `legend`"),
    Route::json(&Method::POST, "/api/v1/kazkar/import")
        .anyone()
        .does("Create a story, or change the one with the same `source_trace`"),
    Route::json(&Method::POST, "/api/v1/kazkar/broadcast")
        .anyone()
        .does("Send a JSON object to all listeners of kazkar"),
    Route::public(&Method::GET, "/api/v1/kazkar/people").does("List the people in stories"),
    Route::public(&Method::GET, "/api/v1/kazkar/places").does("List the places in stories"),
    Route::public(&Method::GET, "/api/v1/kazkar/on-this-day")
        .does("List stories of this day, or of `date`, in earlier years"),
];

/// Names in an index of people or places; the most frequent are in it.
pub(super) const INDEX_MAX_NAMES: usize = 1000;
/// Types of stories that are counted by name; the rest is counted together.
const TYPES_MAX: usize = 1000;
/// Years that are looked back.
const YEARS_BACK: i16 = 120;
/// Stories of one day in all years.
pub(super) const ON_THIS_DAY_MAX: usize = 100;

/// Adds them for one shard.
pub(super) fn add(desk: &Rc<Desk>, to: &mut Routes) {
    let [stats, legends, import, broadcast, people, places, on_this_day] = ROUTES;
    desk.add(to, stats, |desk, call| {
        let kind = kazkar(desk)?;
        let fetch = move |reader: &Reader| {
            Ok((counts(reader, kind)?.records, values_of(reader, kind, "story_type", TYPES_MAX)?))
        };
        desk.parts.read(call, fetch, |(total, types)| Ok(answer(&figures(total, types))))
    });
    desk.add(to, legends, |desk, call| {
        let kind = kazkar(desk)?;
        let mut wanted = wanted::read(kind, call.query, &desk.shared.zone)?;
        wanted.facts.retain(|fact| fact.name != "story_type");
        wanted.facts.insert(0, Fact { name: "story_type", value: "legend".to_owned() });
        listed(desk, call, kind, wanted)
    });
    desk.add(to, import, import_story);
    desk.add(to, broadcast, announce);
    desk.add(to, people, |desk, call| index(desk, call, "participants"));
    desk.add(to, places, |desk, call| index(desk, call, "location"));
    desk.add(to, on_this_day, of_this_day);
}

/// The kind of stories, while the module serves its data.
fn kazkar(desk: &Desk) -> Result<&'static Kind, ApiError> {
    desk.active("kazkar")?;
    Kind::of_module("kazkar").ok_or_else(|| ApiError::internal("there is no kind of stories"))
}

/// How many there are of each type; of no type are those whose type is missing or empty.
fn figures(total: i64, types: Vec<(String, i64)>) -> Value {
    let mut by_type: Map<String, Value> = Map::new();
    let named: Vec<(String, i64)> = types.into_iter().filter(|(name, _)| !name.is_empty() && name != UNKNOWN).collect();
    let unknown = total - named.iter().map(|(_, stories)| stories).sum::<i64>();
    by_type.extend(named.into_iter().map(|(name, stories)| (name, stories.into())));
    if unknown > 0 {
        by_type.insert(UNKNOWN.to_owned(), unknown.into());
    }
    json!({ "total_stories": total, "by_type": by_type })
}

const UNKNOWN: &str = "unknown";

/// A story that comes of somewhere is there once: what is sent of it is put over what is there (R9).
fn import_story(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let kind = kazkar(desk)?;
    let fields = read::create(kind, &call.body, &desk.shared.zone)?;
    let change = read::change(kind, &call.body, &desk.shared.zone)?;
    let (hand, zone) = (desk.hand(call), desk.shared.zone.clone());
    let source = read::text_of(&fields, "source_trace").filter(|source| !source.is_empty()).map(str::to_owned);
    let content = RecordContent::of(kind, fields);
    let job = move |tx: &mut Tx<'_>| {
        let known = match &source {
            Some(source) => by_source(tx, kind, source)?,
            None => None,
        };
        match known {
            Some(known) => {
                let old = fields_of(&known)?;
                let fields = change.applied(kind, &old, &zone)?;
                hand.replaced(tx, kind, &known, &old, &RecordContent::of(kind, fields))
            }
            None => hand.create(tx, kind, &content),
        }
    };
    desk.parts.change(call, job, shown)
}

/// Tells everyone who listens what somebody has to say.
fn announce(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    kazkar(desk)?;
    let Body::Json(Value::Object(mut said)) = call.body.clone() else {
        return Err(ApiError::malformed("What is broadcast has to be a JSON object"));
    };
    if !said.contains_key("timestamp") {
        said.insert("timestamp".to_owned(), call.clock.now().seconds().into());
    }
    let topic = Topic::new(&SPACE, "kazkar");
    desk.shared.house.hub.send(&topic, "broadcast", Frame::text(&Value::Object(said).to_string()), None);
    let message = "Event broadcasted to all clients";
    Ok(Outcome::Now(answer(&json!({ "status": "success", "message": message }))))
}

/// The values of a field with how many stories have them.
fn index(desk: &Rc<Desk>, call: &Call<'_>, field: &'static str) -> Result<Outcome, ApiError> {
    let kind = kazkar(desk)?;
    let fetch = move |reader: &Reader| Ok(values_of(reader, kind, field, INDEX_MAX_NAMES)?);
    desk.parts.read(call, fetch, |names| {
        let named = names.into_iter().filter(|(name, _)| !name.is_empty());
        let named: Vec<Value> = named.map(|(name, stories)| json!({ "name": name, "stories": stories })).collect();
        Ok(answer(&Value::Array(named)))
    })
}

fn of_this_day(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let kind = kazkar(desk)?;
    let today = match call.query_value("date") {
        Some(text) => moment::date(text.as_bytes())
            .map_err(|why| ApiError::malformed(format!("date should be YYYY-MM-DD: {why}")))?,
        None => desk.shared.zone.wall(call.clock.now()).map(jiff::civil::DateTime::date).unwrap_or_default(),
    };
    let fetch = move |reader: &Reader| {
        let mut found = Vec::new();
        for day in other_years(today) {
            let from = wall_micros(day.to_datetime(jiff::civil::Time::midnight()));
            let (until, most) = (from + crate::clock::DAY_MICROS, ON_THIS_DAY_MAX - found.len());
            let span = During { from, until, order: Order::Oldest, most };
            during(reader, kind, &span, |stored| found.push(stored.json))?;
            if found.len() == ON_THIS_DAY_MAX {
                break;
            }
        }
        Ok(found)
    };
    desk.parts.read(call, fetch, |found| {
        let body = format!("[{}]", found.join(","));
        Ok(crate::net::Response::json(http::StatusCode::OK, body.into_bytes()))
    })
}

/// The same day in the years before, the nearest first; 29 February only where there is one.
fn other_years(day: Date) -> impl Iterator<Item = Date> {
    (1..=YEARS_BACK).filter_map(move |back| Date::new(day.year().checked_sub(back)?, day.month(), day.day()).ok())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn stories_of_no_type_are_counted_as_unknown() {
        let types = |types: &[(&str, i64)]| types.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        assert_eq!(
            figures(2, types(&[("memory", 1)])).to_string(),
            r#"{"total_stories":2,"by_type":{"memory":1,"unknown":1}}"#
        );
        let figures = figures(6, types(&[("legend", 3), ("", 1), ("unknown", 1)]));
        assert_eq!(figures["by_type"], json!({ "legend": 3, "unknown": 3 }));
        assert_eq!(super::figures(0, Vec::new()), json!({ "total_stories": 0, "by_type": {} }));
    }

    #[test]
    fn the_same_day_is_looked_for_where_there_is_one() {
        assert_eq!(other_years(date(2026, 11, 29)).next(), Some(date(2025, 11, 29)));
        assert_eq!(other_years(date(2026, 11, 29)).count(), 120);
        let leap: Vec<Date> = other_years(date(2028, 2, 29)).take(2).collect();
        assert_eq!(leap, [date(2024, 2, 29), date(2020, 2, 29)]);
    }
}
