//! What a household's moods look like, over HTTP (contract 04 §5.2).

use std::rc::Rc;

use http::Method;
use jiff::ToSpan as _;
use jiff::civil::{Date, DateTime};

use super::super::desk::Desk;
use super::super::records::answer;
use super::super::records::fact::{moment, wall_micros};
use super::super::records::kinds::Kind;
use super::super::records::read::{Fields, text_of};
use super::super::records::store::{self, During};
use super::super::zone::Zone;
use super::analytics::{DAYS_MAX, Mood, TREND_DAYS, TRIGGERS_OF_ENTRY_MAX, analytics};
use crate::gate::validate::Check;
use crate::gate::{ApiError, Call, Outcome, Route, Routes};
use crate::store::{Order, Reader};

/// What is served.
pub(in crate::modules) const ROUTES: [Route; 1] = [Route::public(&Method::GET, "/api/v1/nastrij/analytics")
    .does("Report the moods of the last `days` (default 30, at most 366), and their trend")];

/// Entries that one answer looks at, the latest.
pub(in crate::modules) const ANALYTICS_ENTRIES_MAX: usize = 10_000;
/// Days that are looked at where nothing is said.
const DAYS: u16 = 30;

/// Adds them for one shard.
pub(in crate::modules) fn add(desk: &Rc<Desk>, to: &mut Routes) {
    let [of_days] = ROUTES;
    desk.add(to, of_days, of_last_days);
}

fn of_last_days(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let kind = Kind::of_module("nastrij").ok_or_else(ApiError::no_route)?;
    desk.active(kind.module)?;
    let mut check = Check::new();
    let asked = check.query_number(call.query_value("days"), "days", 1..=i64::from(DAYS_MAX));
    check.done()?;
    let days = asked.and_then(|days| u16::try_from(days).ok()).unwrap_or(DAYS);
    let zone = desk.shared.zone.clone();
    let today = zone.wall(call.clock.now()).unwrap_or(DateTime::MIN).date();
    let fetch = move |reader: &Reader| {
        let back = i64::from(days).max(2 * TREND_DAYS);
        let first = today.checked_sub(back.days()).unwrap_or(Date::MIN);
        let last = today.tomorrow().unwrap_or(Date::MAX);
        let until = |day: Date| wall_micros(day.at(0, 0, 0, 0));
        let span = During { from: until(first), until: until(last), order: Order::Newest, most: ANALYTICS_ENTRIES_MAX };
        let mut entries = Vec::new();
        store::during(reader, kind, &span, |stored| {
            entries.extend(entry(kind, &stored.json, &zone, stored.created_at))
        })?;
        Ok(entries)
    };
    desk.parts.read(call, fetch, move |entries| {
        let moods: Vec<Mood<'_>> = entries.iter().map(Entry::mood).collect();
        Ok(answer(&analytics(&moods, today, days)))
    })
}

/// What counts of an entry of the log.
struct Entry {
    state: String,
    intensity: Option<f64>,
    triggers: Vec<String>,
    at: DateTime,
}

impl Entry {
    fn mood(&self) -> Mood<'_> {
        Mood { state: &self.state, intensity: self.intensity, triggers: &self.triggers, at: self.at }
    }
}

fn entry(kind: &Kind, json: &str, zone: &Zone, created: crate::clock::Timestamp) -> Option<Entry> {
    let fields: Fields = serde_json::from_str(json).ok()?;
    let triggers = fields.get("triggers").and_then(|list| list.as_array()).into_iter().flatten();
    Some(Entry {
        state: text_of(&fields, "emotion_state")?.to_owned(),
        intensity: fields.get("intensity").and_then(serde_json::Value::as_f64),
        triggers: triggers.filter_map(|each| each.as_str().map(str::to_owned)).take(TRIGGERS_OF_ENTRY_MAX).collect(),
        at: moment(kind, &fields, zone.wall(created)?),
    })
}
