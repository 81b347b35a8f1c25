//! What the household has on one day, from all modules (contract 04 §5.2).

use jiff::civil::{Date, DateTime};
use serde_json::{Value, json};

use super::super::calendar::{Coming, coming, recurring, recurs};
use super::super::desk::Desk;
use super::super::records::answer;
use super::super::records::fact::{wall, wall_micros};
use super::super::records::kinds::Kind;
use super::super::records::moment;
use super::item::{Item, opened};
use super::store;
use crate::gate::validate::{Problem, echo_text};
use crate::gate::{ApiError, Call, Outcome};
use crate::store::Reader;

/// What one day shows.
pub(in crate::modules) const DAY_MAX_ITEMS: usize = 500;

/// Answers with a day.
pub(super) fn show(desk: &Desk, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let date = date_of(call.param("date"))?;
    let active = desk.active_modules();
    let (from, until) = span(date);
    let fetch = move |reader: &Reader| {
        // One more, to know whether there are more.
        let found = store::between(reader, from, until, DAY_MAX_ITEMS + 1)?;
        let is_cut = found.len() > DAY_MAX_ITEMS;
        let mut items = Vec::with_capacity(found.len());
        for listed in &found {
            let Some((kind, fields)) = opened(listed.key, &listed.json)? else { continue };
            // What recurs is on the days of its occurrences, be its own one of them or not.
            if active.contains(&kind.module) && !(kind.module == "calendar" && recurs(&fields)) {
                items.push(Item::of(kind, &fields, listed.key, listed.moment));
            }
        }
        let recurring = if active.contains(&"calendar") { Some(recurring(reader)?) } else { None };
        Ok::<_, ApiError>((items, is_cut, recurring))
    };
    let (items, is_cut, recurring) = desk.parts.fetch(fetch)?;
    let zone = desk.shared.zone.clone();
    // As with lists of occurrences: rules that hardly ever are keep nobody else waiting.
    let work = move || {
        let found = recurring.map(|found| coming(&found, wall(from), wall(until), &zone)).transpose()?;
        let (again, more) = found.unwrap_or_default();
        let again = again.into_iter().filter_map(item_of).collect();
        Ok(day(date, items, is_cut || more, again))
    };
    desk.parts.block(call, work, |day| Ok(answer(&day)))
}

/// An occurrence as an item.
fn item_of(coming: Coming) -> Option<Item> {
    let Kind { module, collection, .. } = *Kind::of_module("calendar")?;
    let Coming { id, title, start, original, completed } = coming;
    Some(Item { module, collection, id, title, moment: start, occurrence: Some((original, completed)) })
}

/// The answer: what was found of a day, which may have been cut, and what else there is on it, such as what comes again and
/// again, both in the order of their moments.
fn day(date: Date, items: Vec<Item>, is_cut: bool, more: Vec<Item>) -> Value {
    let mut all = items;
    all.extend(more);
    // One that stays where it is among its equals: the order of what was found is that of kinds and ids.
    all.sort_by_key(|item| item.moment);
    let is_cut = is_cut || all.len() > DAY_MAX_ITEMS;
    let shown: Vec<Value> = all.iter().take(DAY_MAX_ITEMS).map(|item| Value::Object(item.members())).collect();
    json!({ "date": date.to_string(), "items": shown, "more": is_cut })
}

/// When a day begins on the wall, and when it is just over.
fn span(date: Date) -> (i64, i64) {
    let midnight = |date: Date| wall_micros(DateTime::from_parts(date, jiff::civil::Time::midnight()));
    (midnight(date), date.tomorrow().map_or(i64::MAX, midnight))
}

/// The date that a path names.
fn date_of(text: &str) -> Result<Date, ApiError> {
    let read = match moment::date(text.as_bytes()) {
        Ok(_) if text.len() > 10 => Err("unexpected extra characters at the end of the input"),
        read => read,
    };
    read.map_err(|why| {
        let (loc, msg) = (vec!["path".into(), "date".into()], format!("Input should be a valid date, {why}"));
        let ctx = Some(json!({ "error": why }));
        ApiError::invalid(&[Problem { kind: "date_parsing", loc, msg, input: echo_text(text), ctx, hint: "" }])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(id: i64, hour: i8) -> Item {
        let moment = jiff::civil::date(2026, 3, 1).at(hour, 0, 0, 0);
        Item { module: "podija", collection: "events", id, title: "T".to_owned(), moment, occurrence: None }
    }

    #[test]
    fn a_day_shows_all_in_the_order_of_moments_and_says_when_it_is_cut() {
        let date = jiff::civil::date(2026, 3, 1);
        let ids = |day: &Value| -> Vec<i64> {
            day["items"].as_array().unwrap().iter().map(|item| item["id"].as_i64().unwrap()).collect()
        };
        let shown = day(date, vec![at(1, 9), at(2, 12), at(3, 12)], false, vec![at(5, 8), at(6, 12)]);
        assert_eq!(
            (ids(&shown), &shown["more"], &shown["date"]),
            (vec![5, 1, 2, 3, 6], &json!(false), &json!("2026-03-01"))
        );
        assert_eq!(day(date, vec![], true, vec![])["more"], true);
        let many = |count| (0..count).map(|id| at(id as i64, 9)).collect::<Vec<_>>();
        let full = day(date, many(DAY_MAX_ITEMS), false, vec![]);
        assert_eq!((ids(&full).len(), &full["more"]), (DAY_MAX_ITEMS, &json!(false)));
        let over = day(date, many(DAY_MAX_ITEMS), false, vec![at(-1, 8)]);
        assert_eq!((ids(&over).len(), ids(&over)[0], &over["more"]), (DAY_MAX_ITEMS, -1, &json!(true)));
    }

    #[test]
    fn a_day_is_from_midnight_to_midnight_up_to_the_last_one() {
        let (from, until) = span(jiff::civil::date(2026, 3, 29));
        assert_eq!(until - from, crate::clock::DAY_MICROS, "the wall knows no hour that is left out");
        assert_eq!(span(Date::MAX).1, i64::MAX);
        for wrong in ["", "2026-02-30", "2026-3-1", "2026-03-01T10:00", "tomorrow", "0000-01-01"] {
            assert_eq!(date_of(wrong).unwrap_err().status().as_u16(), 422, "{wrong}");
        }
        assert_eq!(date_of("2024-02-29").unwrap(), jiff::civil::date(2024, 2, 29));
    }
}
