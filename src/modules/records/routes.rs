//! Records over HTTP: one set of routes for all kinds (contract 04 §1.7).

use std::rc::Rc;
use std::sync::Arc;

use http::header::{CACHE_CONTROL, ETAG};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use super::super::desk::Desk;
use super::change::{Hand, not_found, tag};
use super::kinds::Kind;
use super::pages::{Known, Page};
use super::read;
use super::record::{Key, RecordContent};
use super::store::{self, Counts, Stored};
use super::wanted::{self, Wanted};
use crate::gate::validate::{Problem, echo_text};
use crate::gate::{ApiError, Call, Conditions, Outcome, Route, Routes};
use crate::net::{Body, Response};
use crate::store::{Error, Query, Reader, Tx};

/// What is served.
pub(in crate::modules) const ROUTES: [Route; 6] = [
    Route::public(&Method::GET, COLLECTION).does(
        "List records of a module: `skip`, `limit` (at most 100), `order`, `q`, `tag`, `from`, `to` and the filters of its kind",
    ),
    Route::json(&Method::POST, COLLECTION).anyone().does("Create a record"),
    Route::public(&Method::GET, ITEM).does("Read a record"),
    Route::json(&Method::PUT, ITEM).anyone().does("Change the given fields of a record"),
    Route::public(&Method::DELETE, ITEM).does("Move a record to the bin"),
    Route::public(&Method::POST, RESTORE).does("Restore a record from the bin"),
];

const COLLECTION: &str = "/api/v1/{module}/{collection}";
const ITEM: &str = "/api/v1/{module}/{collection}/{id}";
const RESTORE: &str = "/api/v1/{module}/{collection}/{id}/restore";

const TOTAL: HeaderName = HeaderName::from_static("x-total-count");
/// Kept by browsers, and asked for again each time: an answer that is still right costs a 304.
const REVALIDATED: HeaderValue = HeaderValue::from_static("private, no-cache");

/// A module's own answer to who asks for a list of its records; none where it has nothing of its own to say to this request.
pub(in crate::modules) type OwnList = fn(&Desk, &Call<'_>, &'static Kind) -> Result<Option<Outcome>, ApiError>;

/// Adds them for one shard. Each of `own` is asked first for the lists of the module that stands with it.
pub(in crate::modules) fn add(desk: &Rc<Desk>, to: &mut Routes, own: &'static [(&'static str, OwnList)]) {
    let [list_route, create_route, get_route, update_route, delete_route, restore_route] = ROUTES;
    desk.add(to, list_route, |desk, call| {
        let kind = kind_of(desk, call)?;
        let answers = own.iter().filter(|(module, _)| *module == kind.module);
        for (_, answer) in answers {
            if let Some(outcome) = answer(desk, call, kind)? {
                return Ok(outcome);
            }
        }
        list(desk, call, kind)
    });
    desk.add(to, create_route, |desk, call| create(desk, call, kind_of(desk, call)?));
    desk.add(to, get_route, |desk, call| {
        let kind = kind_of(desk, call)?;
        get(desk, call, kind, key_of(call, kind)?)
    });
    desk.add(to, update_route, |desk, call| {
        let kind = kind_of(desk, call)?;
        update(desk, call, kind, key_of(call, kind)?)
    });
    desk.add(to, delete_route, |desk, call| {
        let kind = kind_of(desk, call)?;
        let (key, hand, conditions) = (key_of(call, kind)?, desk.hand(call), Conditions::of(call));
        let job = move |tx: &mut Tx<'_>| hand.delete(tx, kind, key, &conditions);
        desk.parts.change(call, job, move |()| {
            let message = format!("{} deleted successfully", kind.noun);
            Ok(Response::json(StatusCode::OK, json!({ "message": message }).to_string().into_bytes()))
        })
    });
    desk.add(to, restore_route, |desk, call| {
        let kind = kind_of(desk, call)?;
        let (key, hand) = (key_of(call, kind)?, desk.hand(call));
        desk.parts.change(call, move |tx| hand.restore(tx, kind, key), shown)
    });
}

/// The kind that a path names, of a module that is active.
pub(in crate::modules) fn kind_of(desk: &Desk, call: &Call<'_>) -> Result<&'static Kind, ApiError> {
    let kind = Kind::at(call.param("module"), call.param("collection")).ok_or_else(ApiError::no_route)?;
    desk.active(kind.module)?;
    Ok(kind)
}

/// The record that a path names.
pub(in crate::modules) fn key_of(call: &Call<'_>, kind: &Kind) -> Result<Key, ApiError> {
    let id = path_number(call.param("id"), kind.id)?;
    id.and_then(|id| Key::of(kind, id)).ok_or_else(|| not_found(kind))
}

/// The number that a path names where one of this name should be; one beyond all numbers is that of nothing.
pub(in crate::modules) fn path_number(text: &str, name: &str) -> Result<Option<i64>, ApiError> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let msg = "Input should be a valid integer, unable to parse string as an integer".to_owned();
        let (loc, input) = (vec!["path".into(), name.into()], echo_text(text));
        return Err(ApiError::invalid(&[Problem { kind: "int_parsing", loc, msg, input, ctx: None, hint: "" }]));
    }
    Ok(text.parse().ok())
}

/// What a list reads.
enum Listed {
    NotModified(String),
    Found(Known),
}

fn list(desk: &Desk, call: &Call<'_>, kind: &'static Kind) -> Result<Outcome, ApiError> {
    listed(desk, call, kind, wanted::read(kind, call.query, &desk.shared.zone)?)
}

/// What a list has, as it is answered, and how many records it would have without its bounds.
pub(super) fn page(query: &impl Query, kind: &Kind, wanted: &Wanted, counts: &Counts) -> Result<(Vec<u8>, i64), Error> {
    let mut body = vec![b'['];
    let mut take = |json: &[u8]| {
        if body.len() > 1 {
            body.push(b',');
        }
        body.extend_from_slice(json);
    };
    let total = match wanted.search() {
        Some(Some(search)) => store::found(query, kind, wanted, &search, take)?,
        Some(None) => 0,
        None => {
            store::list(query, kind, wanted, &mut take)?;
            if wanted.is_of_a_time() { store::count(query, kind, wanted)? } else { counts.records }
        }
    };
    body.push(b']');
    Ok((body, total))
}

/// A list of records of this kind.
pub(in crate::modules) fn listed(
    desk: &Desk,
    call: &Call<'_>,
    kind: &'static Kind,
    wanted: Wanted,
) -> Result<Outcome, ApiError> {
    let (conditions, pages) = (Conditions::of(call), Rc::clone(&desk.pages));
    let (known, asked) = (pages.borrow().find(kind, &wanted), wanted.clone());
    let fetch = move |reader: &Reader| look(reader, kind, &asked, known, &conditions).map_err(ApiError::from);
    desk.parts.read(call, fetch, move |listed| match listed {
        Listed::NotModified(tag) => tagged(Response::empty(StatusCode::NOT_MODIFIED), &tag),
        Listed::Found(known) => {
            let Page { tag, body, total } = &*known.page;
            let response =
                Response { body: Body::Shared(Arc::clone(body)), ..Response::json(StatusCode::OK, &b""[..]) };
            let answer = tagged(response.with(TOTAL, (*total).into()), tag);
            pages.borrow_mut().keep(kind, wanted, known);
            answer
        }
    })
}

/// What a list has now: what is known of it, while that is right.
fn look(
    reader: &Reader,
    kind: &Kind,
    wanted: &Wanted,
    known: Option<Known>,
    conditions: &Conditions,
) -> Result<Listed, Error> {
    let version = reader.version();
    let known = match known {
        Some(known) if version.is_some() && known.version == version => known,
        known => {
            let counts = store::counts(reader, kind)?;
            let tag = format!("{}-{}-{:x}", kind.module, counts.revision, counts.changed_at.0);
            match known.filter(|known| known.page.tag == tag) {
                Some(known) => Known { version, ..known },
                None if conditions.have(&tag) => return Ok(Listed::NotModified(tag)),
                None => {
                    let (body, total) = page(reader, kind, wanted, &counts)?;
                    Known { page: Arc::new(Page { tag, body: body.into(), total }), version }
                }
            }
        }
    };
    let is_there = conditions.have(&known.page.tag);
    Ok(if is_there { Listed::NotModified(known.page.tag.clone()) } else { Listed::Found(known) })
}

fn create(desk: &Desk, call: &Call<'_>, kind: &'static Kind) -> Result<Outcome, ApiError> {
    let content = Arc::new(RecordContent::of(kind, read::create(kind, &call.body, &desk.shared.zone)?));
    let (hand, kept) = (desk.hand(call), Arc::clone(&content));
    desk.parts.change(
        call,
        move |tx| hand.create(tx, kind, &content),
        move |stored| {
            // It has many pieces: they are freed here, where they were made, so that the writer need not.
            drop(kept);
            shown(stored)
        },
    )
}

fn get(desk: &Desk, call: &Call<'_>, kind: &'static Kind, key: Key) -> Result<Outcome, ApiError> {
    let conditions = Conditions::of(call);
    let fetch = move |reader: &Reader| store::find(reader, key)?.ok_or_else(|| not_found(kind));
    desk.parts.read(call, fetch, move |stored| {
        let tag = tag(&stored);
        if conditions.have(&tag) {
            return tagged(Response::empty(StatusCode::NOT_MODIFIED), &tag);
        }
        shown(stored)
    })
}

fn update(desk: &Desk, call: &Call<'_>, kind: &'static Kind, key: Key) -> Result<Outcome, ApiError> {
    let change = read::change(kind, &call.body, &desk.shared.zone)?;
    let (hand, conditions): (Hand, _) = (desk.hand(call), Conditions::of(call));
    desk.parts.change(call, move |tx| hand.update(tx, kind, key, &change, &conditions), shown)
}

/// A record as an answer.
pub(in crate::modules) fn shown(stored: Stored) -> Result<Response, ApiError> {
    let tag = tag(&stored);
    tagged(Response::json(StatusCode::OK, stored.json.into_bytes()), &tag)
}

/// The answer under this tag, which has no letter that a header could not carry.
pub(in crate::modules) fn tagged(response: Response, tag: &str) -> Result<Response, ApiError> {
    let tag = HeaderValue::from_str(&format!("\"{tag}\"")).map_err(|error| ApiError::internal(error.to_string()))?;
    Ok(response.with(ETAG, tag).with(CACHE_CONTROL, REVALIDATED))
}

/// JSON that nobody keeps.
pub(in crate::modules) fn answer(value: &Value) -> Response {
    Response::json(StatusCode::OK, value.to_string().into_bytes())
}
