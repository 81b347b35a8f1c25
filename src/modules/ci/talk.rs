//! The chat over HTTP: it answers from the household's own records (contract 04 §1.9 and §5.2).

use std::rc::Rc;

use http::Method;
use jiff::civil::{Date, DateTime};
use serde_json::json;

use super::super::calendar::{Found, coming, recurring};
use super::super::desk::Desk;
use super::super::errors::CHAT_UNAVAILABLE;
use super::super::records::answer;
use super::super::records::kinds::Kind;
use super::super::records::record::Key;
use super::super::records::store as records;
use super::super::zone::Zone;
use super::capture::iso;
use super::chat::{self, Asked, CHAT_LINES_MAX, Language, Line};
use super::earlier::{Seen, records_of};
use super::store;
use crate::gate::validate::{Check, Length};
use crate::gate::{ApiError, Call, Code, Outcome, Route, Routes};
use crate::store::{Query, Reader, Search};

/// What is served.
pub(in crate::modules) const ROUTES: [Route; 1] =
    [Route::json(&Method::POST, "/api/v1/ci/chat").anyone().does("Answer a question from the household's own records")];

/// Characters of a message.
pub(in crate::modules) const CHAT_MESSAGE_MAX_CHARS: usize = 4000;
/// Records that are looked at for one answer.
pub(in crate::modules) const CHAT_RECORDS_MAX: usize = 100;

/// Adds them for one shard.
pub(in crate::modules) fn add(desk: &Rc<Desk>, to: &mut Routes) {
    let [chat_route] = ROUTES;
    desk.add(to, chat_route, |desk, call| answered(desk, call));
}

fn answered(desk: &Desk, call: &Call<'_>) -> Result<Outcome, ApiError> {
    desk.active("ci")?;
    let mut check = Check::new();
    let members = check.object(&call.body);
    let message = check.text(members, "message", Length::between(1, CHAT_MESSAGE_MAX_CHARS));
    check.optional_object(members, "context");
    check.done()?;
    if !desk.shared.chat {
        let said = "Chat service is unavailable. Please configure OPENAI_API_KEY.";
        return Err(ApiError::new(Code::Of(&CHAT_UNAVAILABLE), said));
    }
    let (zone, at) = (desk.shared.zone.clone(), call.clock.now());
    let timestamp = iso(at, &zone);
    let now = zone.wall(at).unwrap_or(DateTime::MIN);
    let fetch = {
        let zone = zone.clone();
        move |reader: &Reader| reply(reader, &message, now, &zone)
    };
    let said = move |reply: String| Ok(answer(&json!({ "reply": reply, "timestamp": timestamp, "source": "local" })));
    match desk.parts.fetch(fetch)? {
        Reply::Ready(reply) => said(reply).map(Outcome::Now),
        // As with lists of occurrences: rules that hardly ever are keep nobody else waiting.
        Reply::Day(day) => desk.parts.block(call, move || day.reply(&zone), said),
    }
}

/// What there is to say.
enum Reply {
    /// All of it.
    Ready(String),
    /// A day, of which it is not yet known what comes again on it.
    Day(Box<Day>),
}

/// A day that was asked for.
struct Day {
    language: Language,
    date: Date,
    /// What is only on this day.
    seen: Vec<Seen>,
    recurring: Found,
}

impl Day {
    fn reply(self, zone: &Zone) -> Result<String, ApiError> {
        let Self { language, date, seen, recurring } = self;
        let midnight = |date: Date| date.at(0, 0, 0, 0);
        let (from, until) = (midnight(date), date.tomorrow().map_or(DateTime::MAX, midnight));
        let (again, _) = coming(&recurring, from, until, zone)?;
        let mut lines: Vec<Line> = seen.into_iter().map(line).collect();
        lines.extend(again.into_iter().map(|at| Line { module: "calendar", title: at.title, at: at.start }));
        lines.sort_by_key(|line| line.at);
        let (lines, more) = named(lines);
        Ok(chat::agenda(language, date, &lines, more))
    }
}

fn reply(query: &Reader, message: &str, now: DateTime, zone: &Zone) -> Result<Reply, ApiError> {
    let language = chat::language(message);
    let reply = match chat::asked(message, now) {
        Asked::Day(date) => {
            let keys = store::on_day(query, date, CHAT_RECORDS_MAX)?;
            let mut seen = records_of(query, keys, zone)?;
            seen.retain(|seen| !seen.recurs);
            let recurring = recurring(query)?;
            return Ok(Reply::Day(Box::new(Day { language, date, seen, recurring })));
        }
        Asked::Counts(modules) => {
            let kinds = modules.into_iter().filter_map(Kind::of_module);
            let counts = kinds.map(|kind| Ok((kind.module, records::counts(query, kind)?.records)));
            chat::counts(language, &counts.collect::<Result<Vec<_>, ApiError>>()?)
        }
        Asked::Words(mut words) => {
            // All of them at first, then the longest that anything has.
            let mut keys = with(query, &words.join(" "))?;
            words.sort_by_key(|word| std::cmp::Reverse(word.chars().count()));
            for word in &words {
                if !keys.is_empty() {
                    break;
                }
                keys = with(query, word)?;
            }
            let (lines, more) = named(records_of(query, keys, zone)?.into_iter().map(line).collect());
            chat::found(language, &lines, more)
        }
    };
    Ok(Reply::Ready(reply))
}

fn with(query: &impl Query, words: &str) -> Result<Vec<Key>, ApiError> {
    let search = Search::of(words);
    Ok(search.map(|search| store::found(query, &search, CHAT_RECORDS_MAX)).transpose()?.unwrap_or_default())
}

fn line(Seen { module, title, at, .. }: Seen) -> Line {
    Line { module, title, at }
}

/// Those that are named, and how many are not.
fn named(mut lines: Vec<Line>) -> (Vec<Line>, usize) {
    let more = lines.len().saturating_sub(CHAT_LINES_MAX);
    lines.truncate(CHAT_LINES_MAX);
    (lines, more)
}
