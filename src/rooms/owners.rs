//! What owners of rooms do over HTTP: list them, take a document out, put one in, delete a room. For who has a token with
//! `perm: admin`, and for the operator on the private plane.
//!
//! All of it is done by the keeper, which may block; what is put in goes the way of every update, so those who are in the room
//! see it at once, and the answer comes when it is on disk.

use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use super::access::Grant;
use super::desk::{Desk, TOO_MUCH_WAITS};
use super::live::{Room, Seen, Taken};
use super::load;
use super::name::RoomName;
use super::options::DOCUMENT_MAX_BYTES;
use super::registry::Registry;
use super::shared::Shared;
use super::socket::Rooms;
use super::store::{self, RoomRow};
use super::update::Update;
use super::{loading, saving};
use crate::audit::{Entry, Field, Witness};
use crate::feature::{Sink, hand_in};
use crate::gate::{ApiError, Call, Code, Outcome, Reply, Route, Sender};
use crate::net::Response;
use crate::store::{Reader, Tx};

/// Rooms that are looked at for one page: a token may be for few of very many.
pub(super) const SEARCH_MAX_ROOMS: usize = 10_000;
/// Rooms in one page of the list.
pub(super) const PAGE_MAX_ROOMS: usize = 1000;
const PAGE_ROOMS: usize = 100;

/// What is said where there is none.
pub(super) const NO_SUCH_ROOM: &str = "There is no such room";

/// What stands behind the name of a room whose document is meant.
const UPDATE: &str = "/update";

/// What is served to owners.
pub(super) const ROUTES: [Route; 4] = [
    Route::public(&Method::GET, "/rooms").for_either().does(
        "List rooms by name; requires a token with `perm: admin`, and lists the rooms it is for. Query: `after`, the \
         last name of the previous page, and `limit`",
    ),
    Route::public(&Method::GET, "/rooms/{*room}").for_either().does(
        "With `/update` after the name: read the whole document of a room as one Yjs update. Requires a token with \
         `perm: admin`",
    ),
    Route::public(&Method::PUT, "/rooms/{*room}").for_either().streaming(DOCUMENT_MAX_BYTES).mutation().does(
        "With `/update` after the name: merge the Yjs update in the body into a room. Requires a token with `perm: \
         admin`",
    ),
    Route::public(&Method::DELETE, "/rooms/{*room}")
        .for_either()
        .mutation()
        .does("Delete a room with its contents, and close its sockets. Requires a token with `perm: admin`"),
];

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    /// Somebody on the public port, by their token.
    Owner,
    /// The operator, who may everything.
    Operator,
}

/// Lists rooms.
pub(super) fn list(rooms: &Rc<Rooms>, call: &Call<'_>, asker: Asker) -> Result<Outcome, ApiError> {
    let may_see = visible(rooms, call, asker)?;
    let limit =
        match call.query_value("limit") {
            None => PAGE_ROOMS,
            Some(text) => text.parse().ok().filter(|limit| (1..=PAGE_MAX_ROOMS).contains(limit)).ok_or_else(|| {
                ApiError::malformed(format!("limit must be a whole number from 1 to {PAGE_MAX_ROOMS}"))
            })?,
        };
    let after = call.query_value("after").unwrap_or_default();
    keep(rooms, call, move |registry, reader| {
        let (found, next) = page(after, limit, may_see, |from, count| store::list(reader, from, count))?;
        let listed: Vec<Value> = found.iter().map(|row| described(row, live_of(row, registry).as_ref())).collect();
        Ok(json!({ "rooms": listed, "next": next }))
    })
}

/// Rooms behind this name that may be seen, up to `limit` of them, out of the first [`SEARCH_MAX_ROOMS`]; and behind which name the
/// next page begins, unless there is none.
fn page<E>(
    after: String,
    limit: usize,
    may_see: impl Fn(&str) -> bool,
    list: impl Fn(&str, usize) -> Result<Vec<RoomRow>, E>,
) -> Result<(Vec<RoomRow>, Option<String>), E> {
    let (mut found, mut from, mut looked_at) = (Vec::new(), after, 0);
    while looked_at < SEARCH_MAX_ROOMS {
        let rows = list(&from, limit)?;
        let is_last = rows.len() < limit;
        looked_at += rows.len();
        for row in rows {
            from.clone_from(&row.name);
            if may_see(&row.name) {
                found.push(row);
            }
            if found.len() == limit {
                return Ok((found, Some(from)));
            }
        }
        if is_last {
            return Ok((found, None));
        }
    }
    Ok((found, Some(from)))
}

/// Which rooms who asks may see.
fn visible(
    rooms: &Rc<Rooms>,
    call: &Call<'_>,
    asker: Asker,
) -> Result<impl Fn(&str) -> bool + Send + 'static, ApiError> {
    let must_name = rooms.shared.options.now().require_grant;
    let claims = match asker {
        Asker::Operator => None,
        Asker::Owner => {
            let claims = call.claims().ok_or_else(|| no_token(call))?;
            if claims.get("perm").and_then(Value::as_str) != Some("admin") {
                return Err(not_admin());
            }
            Some(claims.clone())
        }
    };
    Ok(move |name: &str| match &claims {
        None => true,
        Some(claims) => Grant::of(claims, name, must_name).is_ok_and(|grant| grant.admin),
    })
}

fn live_of(row: &RoomRow, registry: &Registry) -> Option<Seen> {
    RoomName::new(&row.name).ok().and_then(|name| registry.find(&name)).map(|room| room.seen())
}

/// A room as owners see it; `live` if it is in memory.
pub(super) fn described(row: &RoomRow, live: Option<&Seen>) -> Value {
    json!({
        "name": row.name,
        "sockets": live.map_or(0, |live| live.sockets),
        "loaded": live.is_some(),
        "bytes": live.and_then(|live| live.stored_bytes).unwrap_or(row.snapshot_bytes + row.log_bytes),
        "created_at": row.created_at.offset_style().to_string(),
        "last_used_at": row.used_at.offset_style().to_string(),
        "quarantine": row.quarantine,
    })
}

/// Gives the document of a room.
pub(super) fn export(rooms: &Rc<Rooms>, call: &Call<'_>, asker: Asker) -> Result<Outcome, ApiError> {
    let name = document_of(call)?;
    allow(rooms, call, asker, &name)?;
    let (reply, parked) = call.park();
    let registry = Arc::clone(&rooms.registry);
    let work = move |desk: &Desk| reply.done(document(desk, &registry, &name));
    hand_over(rooms, work)?;
    Ok(Outcome::Parked(parked.then(|(bytes, damage): (Vec<u8>, Option<Arc<str>>)| {
        let response = Response { content_type: "application/octet-stream", ..Response::json(StatusCode::OK, bytes) };
        let Some(damage) = damage else { return Ok(response) };
        // A reason is text of ours; what a header cannot carry is left out of it, and never the header.
        let damage: String = damage.chars().filter(|letter| matches!(letter, ' '..='~')).collect();
        let damage = HeaderValue::from_str(&damage).unwrap_or(HeaderValue::from_static("damaged"));
        Ok(response.with(QUARANTINE_HEADER, damage))
    })))
}

/// Says of a document that it is what could be read of a damaged room, and where the damage is.
pub(super) const QUARANTINE_HEADER: HeaderName = HeaderName::from_static("x-inkring-quarantine");

/// The document of a room as it is in memory, or else on disk; and the damage behind which nothing of it could be read.
fn document(desk: &Desk, registry: &Registry, name: &RoomName) -> Result<(Vec<u8>, Option<Arc<str>>), ApiError> {
    if let Some((snapshot, damage)) = registry.find(name).and_then(|room| room.stored()) {
        return Ok((snapshot.encode(), damage));
    }
    let reader = desk.reader().ok_or_else(|| ApiError::overloaded("The database cannot be read now"))?;
    let loaded = load::load(reader, name.as_str())?;
    if loaded.row.is_none() {
        return Err(ApiError::new(Code::NotFound, NO_SUCH_ROOM));
    }
    Ok((loaded.document.snapshot().encode(), loaded.quarantine))
}

/// Merges a document into a room.
pub(super) fn import(rooms: &Rc<Rooms>, call: &Call<'_>, asker: Asker) -> Result<Outcome, ApiError> {
    let name = document_of(call)?;
    allow(rooms, call, asker, &name)?;
    let user: Arc<str> = who(call, asker).into();
    let (shared, registry) = (Arc::clone(&rooms.shared), Arc::clone(&rooms.registry));
    let most = shared.options.now().document_bytes;
    let sink = move || Ok(Body { shared, registry, name, user, most, bytes: Vec::new() });
    Ok(rooms
        .parts
        .receive(call, sink, |seq| Ok(Response::json(StatusCode::OK, json!({ "seq": seq }).to_string().into_bytes()))))
}

/// The body of an import.
struct Body {
    shared: Arc<Shared>,
    registry: Arc<Registry>,
    name: RoomName,
    user: Arc<str>,
    most: usize,
    bytes: Vec<u8>,
}

impl Sink for Body {
    type Kept = i64;

    fn write(&mut self, bytes: &[u8]) -> Result<(), ApiError> {
        if self.bytes.len() + bytes.len() > self.most {
            return Err(ApiError::new(Code::PayloadTooLarge, format!("A document may have {} bytes", self.most)));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn end(self, reply: Reply<i64>) {
        let Self { shared, registry, name, user, bytes, .. } = self;
        shared.errands.answer(reply, move |desk, reply| match put_in(desk, &registry, &name, &user, &bytes) {
            Ok((room, seq)) => room.when_saved(seq, reply),
            Err(error) => reply.done(Err(error)),
        });
    }
}

fn put_in(
    desk: &Desk,
    registry: &Registry,
    name: &RoomName,
    user: &Arc<str>,
    bytes: &[u8],
) -> Result<(Arc<Room>, i64), ApiError> {
    let update = Update::parse(bytes)
        .map_err(|refused| ApiError::malformed(format!("The body is not a Yjs update: {refused}")))?;
    let room = opened(desk, registry, name)?;
    match saving::change(&room, &update, bytes, user, None) {
        Taken::New(seq) | Taken::Known(seq) => Ok((room, seq)),
        Taken::Gap(_) => Err(ApiError::malformed("The update builds on something that the room does not have")),
        Taken::ReadOnly(reason) => Err(ApiError::new(Code::Forbidden, reason.to_string())),
        Taken::Busy(reason) => Err(ApiError::overloaded(reason)),
    }
}

/// The room of this name, loaded; it is made if there is none.
fn opened(desk: &Desk, registry: &Registry, name: &RoomName) -> Result<Arc<Room>, ApiError> {
    let (room, is_new) =
        registry.open(name).map_err(|_| ApiError::overloaded("The room cannot be loaded now; try again"))?;
    if is_new {
        loading::load_now(desk, &room);
    }
    Ok(room)
}

/// Deletes a room.
pub(super) fn delete(rooms: &Rc<Rooms>, call: &Call<'_>, asker: Asker) -> Result<Outcome, ApiError> {
    let name = named(call)?;
    allow(rooms, call, asker, &name)?;
    let audit = rooms.shared.house.audit.as_ref();
    let record = Record {
        witness: audit.and_then(|audit| audit.witness(call.client, call.headers.get("user-agent"))),
        request_id: call.request_id.as_str().to_owned(),
        user: who(call, asker),
    };
    let (reply, parked) = call.park();
    let (shared, registry) = (Arc::clone(&rooms.shared), Arc::clone(&rooms.registry));
    hand_over(rooms, move |_| {
        let room = registry.find(&name).filter(|room| !room.is_gone());
        if room.as_ref().is_some_and(|room| !room.close_for_deletion()) {
            return reply.done(Err(ApiError::overloaded("The room is being deleted already")));
        }
        let closed = room.map(|room| Closed { registry, room });
        hand_in(&shared.house.writer, reply, move |tx| record.delete(tx, &name, closed.is_some()));
    })?;
    Ok(Outcome::Parked(parked.then(|()| Ok(Response::empty(StatusCode::NO_CONTENT)))))
}

/// Who deletes, for the audit log.
struct Record {
    witness: Option<Witness>,
    request_id: String,
    user: String,
}

impl Record {
    /// Deletes a room. One that is only in memory is none to the database.
    fn delete(&self, tx: &mut Tx<'_>, name: &RoomName, is_loaded: bool) -> Result<(), ApiError> {
        let found = store::delete(tx, name.as_str())?;
        if let Some(witness) = self.witness.as_ref().filter(|_| found) {
            let Self { request_id, user, .. } = self;
            let metadata = [("room", Field::Text(name.as_str()))];
            let (action, subject) = ("room.deleted", name.as_str());
            witness.record(tx, &Entry { request_id, user_id: user, action, subject, metadata: &metadata })?;
        }
        if found || is_loaded { Ok(()) } else { Err(ApiError::new(Code::NotFound, NO_SUCH_ROOM)) }
    }
}

/// A room that is closed for as long as its deletion takes. Whatever becomes of that, whoever comes next has what is on disk loaded.
struct Closed {
    registry: Arc<Registry>,
    room: Arc<Room>,
}

impl Drop for Closed {
    fn drop(&mut self) {
        self.registry.forget(&self.room);
    }
}

/// Has the desk answer with JSON.
fn keep(
    rooms: &Rc<Rooms>,
    call: &Call<'_>,
    work: impl FnOnce(&Registry, &Reader) -> Result<Value, ApiError> + Send + 'static,
) -> Result<Outcome, ApiError> {
    let (reply, parked) = call.park();
    let registry = Arc::clone(&rooms.registry);
    hand_over(rooms, move |desk| {
        let reader = desk.reader().ok_or_else(|| ApiError::overloaded("The database cannot be read now"));
        reply.done(reader.and_then(|reader| work(&registry, reader)));
    })?;
    Ok(Outcome::Parked(parked.then(|value: Value| Ok(Response::json(StatusCode::OK, value.to_string().into_bytes())))))
}

fn hand_over(rooms: &Rc<Rooms>, work: impl FnOnce(&Desk) + Send + 'static) -> Result<(), ApiError> {
    if rooms.shared.errands.run(work) { Ok(()) } else { Err(ApiError::overloaded(TOO_MUCH_WAITS)) }
}

/// The room that a path names.
fn named(call: &Call<'_>) -> Result<RoomName, ApiError> {
    RoomName::of_path(call.raw_rest()).map_err(|bad| ApiError::malformed(bad.to_string()))
}

/// The room whose document a path means.
fn document_of(call: &Call<'_>) -> Result<RoomName, ApiError> {
    let Some(name) = call.raw_rest().strip_suffix(UPDATE) else {
        let message = "A room is a WebSocket; its document is at /rooms/NAME/update";
        return Err(ApiError::new(Code::NotFound, message));
    };
    RoomName::of_path(name).map_err(|bad| ApiError::malformed(bad.to_string()))
}

/// A name that is only trusted says nothing about rooms.
fn no_token(call: &Call<'_>) -> ApiError {
    let hint = match call.verifies_tokens() {
        true => "Send Authorization: Bearer TOKEN; X-User-Id is not enough",
        false => "This server has no key to verify tokens: its operator has to set one",
    };
    ApiError::new(Code::HttpError, "Rooms are managed with a token that has perm: admin")
        .with_status(StatusCode::UNAUTHORIZED)
        .with_hint(hint)
}

/// Whether who asks may do everything with this room.
fn allow(rooms: &Rc<Rooms>, call: &Call<'_>, asker: Asker, name: &RoomName) -> Result<(), ApiError> {
    if asker == Asker::Operator {
        return Ok(());
    }
    let claims = call.claims().ok_or_else(|| no_token(call))?;
    let must_name = rooms.shared.options.now().require_grant;
    match Grant::of(claims, name.as_str(), must_name) {
        Ok(grant) if grant.admin => Ok(()),
        Ok(_) => Err(not_admin()),
        Err(message) => Err(ApiError::new(Code::Forbidden, message)),
    }
}

fn who(call: &Call<'_>, asker: Asker) -> String {
    match (asker, call.sender) {
        (Asker::Operator, _) => "operator".to_owned(),
        (Asker::Owner, Sender::Known { user, .. }) => user.to_owned(),
        (Asker::Owner, _) => String::new(),
    }
}

fn not_admin() -> ApiError {
    ApiError::new(Code::Forbidden, "This requires a token with the claim perm: admin")
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::clock::Timestamp;

    fn row(number: usize) -> RoomRow {
        RoomRow {
            id: number as i64,
            name: format!("{number:06}"),
            created_at: Timestamp(0),
            used_at: Timestamp(0),
            quarantine: None,
            snapshot_bytes: 0,
            log_rows: 0,
            log_bytes: 0,
        }
    }

    #[test]
    fn a_page_looks_at_so_many_rooms_and_says_where_it_stopped() {
        const ALL: usize = SEARCH_MAX_ROOMS * 5 / 2;
        let looked_at = Cell::new(0);
        let list = |from: &str, count: usize| {
            let first = from.parse::<usize>().map_or(0, |last| last + 1);
            let rows: Vec<RoomRow> = (first..ALL.min(first + count)).map(row).collect();
            looked_at.set(looked_at.get() + rows.len());
            Ok::<_, ()>(rows)
        };
        let last = format!("{:06}", ALL - 1);
        let (mut after, mut pages) = (Some(String::new()), Vec::new());
        while let Some(from) = after {
            looked_at.set(0);
            let (found, next) = page(from, 100, |name| name == last, list).unwrap();
            assert!(looked_at.get() <= SEARCH_MAX_ROOMS);
            pages.push(found.len());
            after = next;
        }
        assert_eq!(pages, [0, 0, 1]);
        let (found, next) = page("000006".to_owned(), 2, |_| true, list).unwrap();
        assert_eq!((found.len(), next.as_deref()), (2, Some("000008")));
    }
}
