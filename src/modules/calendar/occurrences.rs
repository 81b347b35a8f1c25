//! The occurrences of entries within a stretch of time, and what becomes of one of them.

use std::rc::Rc;

use http::{HeaderName, HeaderValue, StatusCode};
use jiff::civil::DateTime;
use serde_json::{Value, json};

use super::entry::Times;
use super::expand::{Change, Exceptions, OCCURRENCES_MAX, Occurrence, expand};
use super::store::Found;
use crate::clock::DAY_MICROS;
use crate::gate::validate::{Body, Problem, echo_text, flag_of};
use crate::gate::{ApiError, Call, Code, Conditions, Outcome};
use crate::modules::desk::Desk;
use crate::modules::records::change::{fields_of, not_found};
use crate::modules::records::fact::{Fact, labels, wall};
use crate::modules::records::kinds::Kind;
use crate::modules::records::read::{self, Fields};
use crate::modules::records::store::find;
use crate::modules::records::{key_of, moment, shown, wanted};
use crate::modules::zone::{Zone, wall_text};
use crate::net::Response;
use crate::store::{Reader, Tx};

/// Days from `from` to `to`.
pub(in crate::modules) const STRETCH_MAX_DAYS: i64 = 3_660;
/// Bytes of one answer; entries are in it as often as they occur.
pub(in crate::modules) const EXPANDED_MAX_BYTES: usize = 8 * 1024 * 1024;
/// Days before a stretch on which entries may begin that last into it and do not recur.
const LASTING_MAX_DAYS: i64 = 31;

const TOTAL: HeaderName = HeaderName::from_static("x-total-count");
const TRUNCATED: HeaderName = HeaderName::from_static("x-truncated");

/// The list of entries, where `expand` asks for their occurrences.
pub(super) fn list(desk: &Desk, call: &Call<'_>, kind: &'static Kind) -> Result<Option<Outcome>, ApiError> {
    let Some(text) = call.query_value("expand") else { return Ok(None) };
    let is_wanted = flag_of(&text).ok_or_else(|| {
        let msg = "Input should be a valid boolean, unable to interpret input";
        ApiError::invalid(&[problem("bool_parsing", "expand", msg.to_owned(), echo_text(&text))])
    })?;
    if !is_wanted {
        return Ok(None);
    }
    let wanted = wanted::read(kind, call.query, &desk.shared.zone)?;
    let stretch = Stretch::of(wanted.from, wanted.until, wanted.words.is_some())?;
    let fetch = move |reader: &Reader| {
        let mut found = Found::default();
        found.recurring(reader, kind, stretch.until)?;
        found.once(reader, kind, stretch.from, stretch.until)?;
        found.lasting(reader, kind, stretch.from.saturating_sub(LASTING_MAX_DAYS * DAY_MICROS), stretch.from)?;
        Ok::<_, ApiError>(found)
    };
    // Reading is soon done. Expanding may take its time, for rules that hardly ever are: others do not wait for that.
    let found = desk.parts.fetch(fetch)?;
    let zone = desk.shared.zone.clone();
    let work = move || expanded(kind, &found, stretch, &wanted.facts, &zone);
    let outcome = desk.parts.block(call, work, |Expanded { body, occurrences, is_cut }| {
        let response = Response::json(StatusCode::OK, body).with(TOTAL, occurrences.into());
        Ok(if is_cut { response.with(TRUNCATED, HeaderValue::from_static("true")) } else { response })
    });
    outcome.map(Some)
}

fn problem(kind: &'static str, name: &'static str, msg: String, input: Value) -> Problem {
    Problem { kind, loc: vec!["query".into(), name.into()], msg, input, ctx: None, hint: "" }
}

/// A stretch of time on the wall, [from, until), by [`wall`].
#[derive(Debug, Clone, Copy)]
struct Stretch {
    from: i64,
    until: i64,
}

impl Stretch {
    fn of(from: Option<i64>, until: Option<i64>, searches: bool) -> Result<Self, ApiError> {
        let mut problems = Vec::new();
        for (name, given) in [("from", from), ("to", until)] {
            if given.is_none() {
                problems.push(problem(
                    "missing",
                    name,
                    "Field required: `expand` goes with `from` and `to`".to_owned(),
                    Value::Null,
                ));
            }
        }
        if searches {
            let msg = "Value error, `q` does not go with `expand`: search first, or filter by `tag`".to_owned();
            problems.push(problem("value_error", "q", msg, Value::Null));
        }
        let (from, until) = (from.unwrap_or_default(), until.unwrap_or_default());
        let days = until.saturating_sub(from) / DAY_MICROS;
        if problems.is_empty() && (until <= from || days > STRETCH_MAX_DAYS) {
            let msg = if until <= from {
                "Value error, to must not be before from".to_owned()
            } else {
                format!("Value error, from and to are {days} days apart: ask for at most {STRETCH_MAX_DAYS}")
            };
            problems.push(problem("value_error", "to", msg, Value::Null));
        }
        if problems.is_empty() { Ok(Self { from, until }) } else { Err(ApiError::invalid(&problems)) }
    }
}

/// What is answered.
struct Expanded {
    body: Vec<u8>,
    occurrences: usize,
    /// Whether there are more.
    is_cut: bool,
}

fn expanded(kind: &Kind, found: &Found, stretch: Stretch, wanted: &[Fact], zone: &Zone) -> Result<Expanded, ApiError> {
    let (from, until) = (wall(stretch.from), wall(stretch.until));
    let mut occurrences: Vec<(Occurrence, usize)> = Vec::new();
    let mut is_cut = found.is_cut;
    for (index, json) in found.entries.iter().enumerate() {
        let fields = read_entry(json)?;
        let has = |fact: &Fact| labels(kind, &fields).any(|(name, value)| name == fact.name && value == fact.value);
        if !wanted.iter().all(has) {
            continue;
        }
        let Some(times) = Times::of(&fields, zone) else { continue };
        let expansion = expand(&times.series(), &times.exceptions, from, until, OCCURRENCES_MAX);
        is_cut |= expansion.capped;
        occurrences.extend(expansion.occurrences.into_iter().map(|at| (at, index)));
        // Memory is bounded by the answer, not by how many entries there are.
        if occurrences.len() > 4 * OCCURRENCES_MAX {
            is_cut = true;
            occurrences.sort_unstable();
            occurrences.truncate(OCCURRENCES_MAX);
        }
    }
    occurrences.sort_unstable();
    is_cut |= occurrences.len() > OCCURRENCES_MAX;
    occurrences.truncate(OCCURRENCES_MAX);
    let mut body = vec![b'['];
    let mut count = 0;
    for (at, index) in occurrences {
        let mut fields = read_entry(&found.entries[index])?;
        let end = fields.get("end_time").is_some_and(|end| !end.is_null()).then(|| wall_text(at.end));
        fields.insert(
            "occurrence".to_owned(),
            json!({
                "start": wall_text(at.start), "end": end, "original": wall_text(at.original), "completed": at.completed,
            }),
        );
        let text = Value::Object(fields).to_string();
        if count > 0 && body.len() + text.len() > EXPANDED_MAX_BYTES {
            is_cut = true;
            break;
        }
        if count > 0 {
            body.push(b',');
        }
        body.extend_from_slice(text.as_bytes());
        count += 1;
    }
    body.push(b']');
    Ok(Expanded { body, occurrences: count, is_cut })
}

fn read_entry(json: &str) -> Result<Fields, ApiError> {
    serde_json::from_str(json)
        .map_err(|error| ApiError::internal(format!("an entry cannot be read: {error}")).marked_damage())
}

/// Says what becomes of one occurrence: `{"skip": true}`, `{"moved_to": "…"}` or `{"completed": true}`. What was said of it
/// before stays, as far as this says nothing else.
pub(super) fn set(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let at = moment_of(desk, call)?;
    let Body::Json(Value::Object(said)) = &call.body else {
        return Err(ApiError::malformed("What becomes of an occurrence has to be a JSON object"));
    };
    let is_said = |name: &str| said.get(name).is_some_and(|value| !value.is_null());
    let [skip, moved, completed] = ["skip", "moved_to", "completed"].map(is_said);
    if !(skip || moved || completed) {
        return Err(ApiError::malformed("Say one of skip, moved_to and completed"));
    }
    let sent = json!({ wall_text(at): said });
    let new = Exceptions::from_json(&sent, &desk.shared.zone).map_err(ApiError::malformed)?.get(at);
    change(desk, call, at, move |old| Change {
        skip: new.skip,
        moved_to: if moved { new.moved_to } else { old.moved_to },
        completed: if completed { new.completed } else { old.completed },
    })
}

/// Takes back what was said of one occurrence.
pub(super) fn take_back(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let at = moment_of(desk, call)?;
    change(desk, call, at, |_| Change::default())
}

/// The moment that a path names: when the occurrence would start, had it not been moved.
fn moment_of(desk: &Desk, call: &Call<'_>) -> Result<DateTime, ApiError> {
    desk.active("calendar")?;
    let text = call.param("moment");
    moment::read(text, &desk.shared.zone).map_err(|why| {
        let loc = vec!["path".into(), "moment".into()];
        let msg = format!("Input should be a valid datetime, {why}");
        let ctx = Some(json!({ "error": why }));
        ApiError::invalid(&[Problem { kind: "datetime_parsing", loc, msg, input: echo_text(text), ctx, hint: "" }])
    })
}

fn change(
    desk: &Rc<Desk>,
    call: &Call<'_>,
    at: DateTime,
    becomes: impl Fn(Change) -> Change + Send + 'static,
) -> Result<Outcome, ApiError> {
    let kind = Kind::of_module("calendar").ok_or_else(|| ApiError::internal("there is no kind of entries"))?;
    let key = key_of(call, kind)?;
    let (hand, conditions) = (desk.hand(call), Conditions::of(call));
    let job = move |tx: &mut Tx<'_>| {
        let stored = find(tx, key)?.ok_or_else(|| not_found(kind))?;
        let times = Times::of(&fields_of(&stored)?, &hand.zone);
        let times = times.filter(|times| times.rule.is_some() && times.series().has(at));
        let mut exceptions = times
            .ok_or_else(|| {
                let message = "Occurrence not found: the entry does not recur then; what is once is changed itself";
                ApiError::new(Code::NotFound, message)
            })?
            .exceptions;
        exceptions.set(at, becomes(exceptions.get(at))).map_err(ApiError::malformed)?;
        let change = read::change(kind, &Body::Json(json!({ "exceptions": exceptions.to_json() })), &hand.zone)?;
        hand.update(tx, kind, key, &change, &conditions)
    };
    desk.parts.change(call, job, shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_so_many_bytes() {
        let kyiv = Zone::named("Europe/Kyiv").unwrap();
        let kind = Kind::of_module("calendar").unwrap();
        let entry = json!({
            "title": "T", "description": "x".repeat(EXPANDED_MAX_BYTES / 3), "scheduled_at": "2026-03-02T09:00:00",
            "recurrence_pattern": { "freq": "daily" },
        });
        let mut found = Found::default();
        found.entries.push(entry.to_string());
        let days = |count: i64| {
            let from = crate::modules::records::fact::wall_micros("2026-03-02T00:00:00".parse().unwrap());
            let expanded = expanded(kind, &found, Stretch { from, until: from + count * DAY_MICROS }, &[], &kyiv);
            let Expanded { body, occurrences, is_cut } = expanded.unwrap();
            assert!(body.len() <= EXPANDED_MAX_BYTES + 2);
            (occurrences, is_cut)
        };
        assert_eq!((days(2), days(3)), ((2, false), (2, true)));
    }
}
