//! The calendar as a file: once, and as a feed to which phones and other calendars subscribe.

use std::rc::Rc;

use http::header::CONTENT_DISPOSITION;
use http::{HeaderValue, StatusCode};
use serde_json::json;

use super::entry::event;
use super::ics_write::{calendar, push_event, push_foot, push_head};
use super::store;
use crate::gate::{ApiError, Call, Code, Conditions, Outcome};
use crate::modules::access::session::Token;
use crate::modules::desk::Desk;
use crate::modules::records::change::{fields_of, not_found, tag};
use crate::modules::records::fact::wall;
use crate::modules::records::kinds::Kind;
use crate::modules::records::store::{counts, find};
use crate::modules::records::{answer, key_of, tagged};
use crate::modules::zone::Zone;
use crate::net::Response;
use crate::store::{Reader, Tx};

/// What the file is called in other calendars.
const NAME: &str = "Календар";
/// Records that are written in one go, before others have their turn.
const PIECE_RECORDS: usize = 50;
const TYPE: &str = "text/calendar; charset=utf-8";

/// Gives the file.
pub(super) fn export(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    desk.active("calendar")?;
    file(desk, call, |_| Ok(()), Some(HeaderValue::from_static("attachment; filename=\"calendar.ics\"")))
}

/// Gives the file to who has the feed's token.
pub(super) fn feed(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    desk.active("calendar")?;
    let token = call.query_value("token").and_then(|token| Token::read(token.as_bytes())).ok_or_else(no_feed)?;
    let hash = token.hash();
    let may = move |reader: &Reader| if store::is_feed(reader, &hash)? { Ok(()) } else { Err(no_feed()) };
    file(desk, call, may, None)
}

/// The same whether there is no feed or another one.
fn no_feed() -> ApiError {
    ApiError::new(Code::NotFound, "Feed not found")
}

/// Gives one entry as a file, which people open to have it in another calendar.
pub(super) fn entry(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    desk.active("calendar")?;
    let [kind, _] = kinds()?;
    let key = key_of(call, kind)?;
    let conditions = Conditions::of(call);
    let zone = desk.shared.zone.clone();
    let fetch = move |reader: &Reader| find(reader, key)?.ok_or_else(|| not_found(kind));
    desk.parts.read(call, fetch, move |stored| {
        let tag = format!("ics-{}", tag(&stored));
        if conditions.have(&tag) {
            return tagged(Response::empty(StatusCode::NOT_MODIFIED), &tag);
        }
        let event = event(&stored, &fields_of(&stored)?, &zone);
        let event = event.ok_or_else(|| ApiError::internal("an entry has no time").marked_damage())?;
        let bytes = calendar(NAME, &[event], &zone);
        let response = Response { content_type: TYPE, ..Response::json(StatusCode::OK, bytes) };
        let name = HeaderValue::from_str(&format!("attachment; filename=\"entry-{}.ics\"", key.id()));
        let name = name.map_err(|error| ApiError::internal(error.to_string()))?;
        Ok(tagged(response, &tag)?.with(CONTENT_DISPOSITION, name))
    })
}

fn file(
    desk: &Rc<Desk>,
    call: &Call<'_>,
    may: impl FnOnce(&Reader) -> Result<(), ApiError> + Send + 'static,
    disposition: Option<HeaderValue>,
) -> Result<Outcome, ApiError> {
    let kinds = kinds()?;
    let conditions = Conditions::of(call);
    let fetch = move |reader: &Reader| {
        may(reader)?;
        let mut tag = String::from("ics");
        let mut years: Option<(i16, i16)> = None;
        for kind in kinds {
            let counts = counts(reader, kind)?;
            tag += &format!("-{}-{:x}", counts.revision, counts.changed_at.0);
            if let Some((first, last)) = store::moments(reader, kind)? {
                let (first, last) = (wall(first).year(), wall(last).year());
                years = Some(years.map_or((first, last), |(low, high)| (low.min(first), high.max(last))));
            }
        }
        Ok((tag, years))
    };
    let desk_then = Rc::clone(desk);
    desk.parts.read(call, fetch, move |(tag, years)| {
        if conditions.have(&tag) {
            return tagged(Response::empty(StatusCode::NOT_MODIFIED), &tag);
        }
        let mut writing =
            Writing { zone: desk_then.shared.zone.clone(), years, kinds, is_begun: false, at: 0, after: 0 };
        let made = desk_then.parts.made(move |reader, out| writing.piece(reader, out));
        let mut response = tagged(Response { content_type: TYPE, ..made }, &tag)?;
        if let Some(disposition) = disposition {
            response = response.with(CONTENT_DISPOSITION, disposition);
        }
        Ok(response)
    })
}

/// Those whose records are in the file, in this order.
fn kinds() -> Result<[&'static Kind; 2], ApiError> {
    let kind = |module| Kind::of_module(module).ok_or_else(|| ApiError::internal("a kind of the calendar is missing"));
    Ok([kind("calendar")?, kind("podija")?])
}

/// How far a file is written.
struct Writing {
    zone: Zone,
    /// For how long its head says what the clocks do.
    years: Option<(i16, i16)>,
    kinds: [&'static Kind; 2],
    /// Whether its head is written.
    is_begun: bool,
    /// The kind that is being written, and the key behind which it goes on.
    at: usize,
    after: i64,
}

impl Writing {
    fn piece(&mut self, reader: &Reader, out: &mut Vec<u8>) -> Result<bool, ApiError> {
        if !self.is_begun {
            push_head(out, NAME, self.years, &self.zone);
            self.is_begun = true;
        }
        let Some(kind) = self.kinds.get(self.at) else { return Ok(false) };
        let records = store::page(reader, kind, self.after, PIECE_RECORDS)?;
        for stored in &records {
            self.after = stored.key.0;
            if let Some(event) = event(stored, &fields_of(stored)?, &self.zone) {
                push_event(out, &event, &self.zone);
            }
        }
        if records.len() < PIECE_RECORDS {
            self.at += 1;
            self.after = 0;
        }
        let is_whole = self.at == self.kinds.len();
        if is_whole {
            push_foot(out);
        }
        Ok(!is_whole)
    }
}

/// Makes the feed's token.
pub(super) fn make_feed(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    desk.active("calendar")?;
    let (hand, token) = (desk.hand(call), Token::new());
    let (hash, text) = (token.hash(), token.text());
    let job = move |tx: &mut Tx<'_>| {
        store::keep_feed(tx, &hash)?;
        hand.note(tx, "calendar_feed.made", "calendar/feed", &[])
    };
    desk.parts.change(call, job, move |()| {
        Ok(answer(&json!({ "token": text, "path": format!("/api/v1/calendar/feed.ics?token={text}") })))
    })
}

/// Ends the feed's token.
pub(super) fn end_feed(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    desk.active("calendar")?;
    let hand = desk.hand(call);
    let job = move |tx: &mut Tx<'_>| {
        if !store::end_feed(tx)? {
            return Err(no_feed());
        }
        hand.note(tx, "calendar_feed.ended", "calendar/feed", &[])
    };
    desk.parts.change(call, job, |()| Ok(answer(&json!({ "message": "Feed ended" }))))
}
