//! The REST endpoints of drafts (contract 01 §1.3–1.8).

use std::cell::RefCell;
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::Arc;

use http::{Method, StatusCode};
use uuid::Uuid;

use super::access::{MayRead, not_found, not_member};
use super::counters::Counters;
use super::error::{LIMIT_EXCEEDED, RING_REQUIRED};
use super::frame::frame_text;
use super::list::{self, ListPieces, Tally};
use super::metrics::parse_now;
use super::model::{
    CONTENT_MAX_CHARS, Head, IDEMPOTENCY_KEY_MAX_CHARS, LIST_MAX_DRAFTS, PAGE_EVENTS, PAGE_MAX_EVENTS, ROLE_MAX_CHARS,
    TITLE_MAX_CHARS,
};
use super::parts::Metrics;
use super::pieces::Pieces;
use super::replay::{self, Page};
use super::ring::{self, Addition, Refusal, Ring, Room};
use super::shared::Shared;
use super::store::{self, NewDraft, Operation};
use super::view::{self, Fetched, Shown, View, Views, WHOLE_MAX_BYTES};
use crate::audit::{Entry, Field, Witness};
use crate::feature::ShardParts;
use crate::gate::validate::{Check, ECHO_CHARS, Length};
use crate::gate::{ApiError, Call, Code, Outcome, Route, Routes, USER_ID_MAX_CHARS};
use crate::net::{Body, Response};
use crate::observe::metrics::Counter;
use crate::store::{Error, Reader, StoreError, Tx};
use crate::text::{cut, is_deceptive};

const KEY: Length = Length::between(0, IDEMPOTENCY_KEY_MAX_CHARS);

/// A HEAD whose answer would take more rows than this is not told its length.
pub(super) const HEAD_MAX_ROWS: i64 = PAGE_EVENTS;

/// What stands around a Draft object.
const OPENING: &[u8] = b"{\"data\":";
const CLOSING: &[u8] = b"}";

/// What the handlers of one shard share.
struct Drafts {
    parts: ShardParts,
    shared: Shared,
    views: RefCell<Views>,
}

/// What is served.
pub(super) const ROUTES: [Route; 7] = [
    Route::json(&Method::POST, "/v1/collab/drafts").mutation().does("Create a draft"),
    Route::user(&Method::GET, "/v1/collab/drafts").does("List your drafts"),
    Route::public(&Method::GET, "/v1/collab/drafts/{draft_id}").about("draft_id").does("Read a draft"),
    Route::public(&Method::GET, "/v1/collab/drafts/{draft_id}/events")
        .about("draft_id")
        .does("Read what happened to a draft"),
    Route::json(&Method::POST, "/v1/collab/drafts/{draft_id}/segments")
        .about("draft_id")
        .mutation()
        .does("Append a segment"),
    Route::json(&Method::POST, "/v1/collab/drafts/{draft_id}/pass-ring")
        .about("draft_id")
        .mutation()
        .does("Pass the ring"),
    Route::user(&Method::POST, "/v1/collab/drafts/{draft_id}/collaborators")
        .about("draft_id")
        .mutation()
        .does("Add a collaborator"),
];

/// Adds the routes of drafts for one shard.
pub(super) fn routes(routes: &mut Routes, parts: ShardParts, shared: Shared) {
    let views = RefCell::new(Views::new(shared.options.cache_bytes));
    let drafts = Rc::new(Drafts { parts, shared, views });
    let with = |handler: fn(&Rc<Drafts>, &Call<'_>) -> Result<Outcome, ApiError>| {
        let drafts = Rc::clone(&drafts);
        move |call: &Call<'_>| handler(&drafts, call)
    };
    let reading = |route: Route| if drafts.shared.options.public_read { route } else { route.for_users() };
    let [to_create, to_list, to_get, to_events, to_append, to_pass, to_add] = ROUTES;
    routes.add(to_create, with(create));
    routes.add(to_list, with(list));
    routes.add(reading(to_get), with(get));
    routes.add(reading(to_events), with(events));
    routes.add(to_append, with(append_segment));
    routes.add(to_pass, with(pass_ring));
    routes.add(to_add, with(add_collaborator));
}

impl Drafts {
    /// What there is of a draft beyond what this shard has seen of it.
    fn fetch(&self, draft_id: &Arc<str>) -> Result<Fetched, Error> {
        let (draft_id, seen) = (Arc::clone(draft_id), self.views.borrow().seen(draft_id));
        self.parts.fetch(move |reader| view::fetch(reader, &draft_id, seen, i64::MAX))
    }

    /// What `show` makes of the draft, brought up to date with what was fetched; or the head of one that is too large for that.
    fn show<T>(
        &self,
        draft_id: &str,
        fetched: Fetched,
        show: impl FnOnce(&View) -> T,
    ) -> Result<Result<T, Box<Head>>, ApiError> {
        match self.views.borrow_mut().show(draft_id, fetched, show) {
            Shown::Draft(shown) => Ok(Ok(shown)),
            Shown::Large(head) => Ok(Err(head)),
            Shown::NoSuchDraft => Err(not_found(draft_id)),
            Shown::Outdated => Err(Error::Busy("the draft was forgotten while it was read".to_owned()).into()),
        }
    }

    /// `{"data":{…}}` with the draft as it was fetched.
    fn answer(&self, draft_id: &Arc<str>, fetched: Fetched, metrics: Metrics) -> Result<Response, ApiError> {
        let whole = |view: &View| {
            let mut body = OPENING.to_vec();
            view.render(metrics, &mut body);
            body.extend_from_slice(CLOSING);
            Response::json(StatusCode::OK, body)
        };
        let whole = self.show(draft_id, fetched, whole)?;
        whole.or_else(|head| self.in_pieces(draft_id, *head, metrics))
    }

    /// The same to somebody who wants to know all but the draft: what is known of its length is said, and nothing rendered.
    fn answer_to_head(&self, draft_id: &Arc<str>, fetched: Fetched, metrics: Metrics) -> Result<Response, ApiError> {
        let length = |view: &View| (OPENING.len() + view.length(metrics) + CLOSING.len()) as u64;
        let length = self.show(draft_id, fetched, length)?;
        if length.is_err() {
            self.shared.damaged.check(draft_id)?;
        }
        Ok(unasked(length.ok()))
    }

    /// The same for a draft that is too large to be held.
    fn in_pieces(&self, draft_id: &Arc<str>, head: Head, metrics: Metrics) -> Result<Response, ApiError> {
        // One that was found damaged in the middle of an answer has none that could be whole.
        self.shared.damaged.check(draft_id)?;
        let (draft_id, damaged) = (Arc::clone(draft_id), self.shared.damaged.clone());
        let (mut pieces, mut begun) = (Pieces::new(head, metrics), false);
        Ok(self.parts.made(move |reader, out| {
            if !std::mem::replace(&mut begun, true) {
                out.extend_from_slice(OPENING);
            }
            let more = pieces.next(reader, out).map_err(ApiError::from);
            let more = more.inspect_err(|error| damaged.note(&draft_id, error))?;
            if !more {
                out.extend_from_slice(CLOSING);
            }
            Ok(more)
        }))
    }

    /// A change to an existing draft. The job returns whether it is a replay of an earlier one.
    fn change(
        self: &Rc<Self>,
        call: &Call<'_>,
        draft_id: Arc<str>,
        job: impl FnMut(&mut Tx<'_>) -> Result<bool, ApiError> + Send + 'static,
    ) -> Result<Outcome, ApiError> {
        self.shared.damaged.check(&draft_id)?;
        let drafts = Rc::clone(self);
        self.parts.try_change(call, job, move |result| {
            let answer = result.and_then(|replayed| drafts.changed(&draft_id, replayed));
            answer.inspect_err(|error| drafts.shared.damaged.note(&draft_id, error))
        })
    }

    /// The answer to a change: a replay shows metrics, the change itself does not (contract 01 §1.2).
    fn changed(&self, draft_id: &Arc<str>, replayed: bool) -> Result<Response, ApiError> {
        let metrics = if replayed { Metrics::At(self.shared.house.clock.now()) } else { Metrics::Null };
        self.answer(draft_id, self.fetch(draft_id)?, metrics)
    }

    /// These drafts, newest first, as a list: oldest first, and as much as one list may have.
    fn list(&self, ids: Vec<Arc<str>>) -> Result<Response, ApiError> {
        let (mut tally, mut items) = (Tally::new(ids), Vec::new());
        while let Some(draft_id) = tally.next() {
            let mut item = Vec::new();
            let fetched = self.fetch(draft_id).map_err(ApiError::from);
            let shown =
                fetched.and_then(|fetched| self.show(draft_id, fetched, |view| view.render(Metrics::Null, &mut item)));
            match shown {
                Ok(Ok(())) => {
                    tally.show(item.len());
                    items.push(item);
                }
                Ok(Err(_)) => return Ok(self.list_in_pieces(tally)),
                Err(error) if error.is_damage() => {
                    self.shared.damaged.note(draft_id, &error);
                    tally.leave_out();
                }
                Err(error) => return Err(error),
            }
            if tally.bytes() > WHOLE_MAX_BYTES {
                return Ok(self.list_in_pieces(tally));
            }
        }
        items.reverse();
        let mut body = list::OPENING.to_vec();
        body.extend_from_slice(&items.join(&b','));
        tally.closing(&mut body);
        Ok(Response::json(StatusCode::OK, body))
    }

    /// A list that is too large to be held.
    fn list_in_pieces(&self, tally: Tally) -> Response {
        let mut pieces = ListPieces::new(tally, self.shared.damaged.clone());
        self.parts.made(move |reader, out| pieces.next(reader, out))
    }

    /// Whether the sender may read this draft.
    fn may_read(&self, draft_id: &Arc<str>, call: &Call<'_>) -> MayRead {
        MayRead::new(self.shared.options.public_read, draft_id, call.user)
    }

    /// Who records the change that this call asks for, if it is to be recorded.
    fn witness(&self, call: &Call<'_>) -> Option<Witness> {
        self.shared.house.audit.as_ref()?.witness(call.client, call.headers.get("user-agent"))
    }
}

/// The answer to a HEAD whose body would be of this length, if that is known.
fn unasked(length: Option<u64>) -> Response {
    let body = Body::unasked(length);
    Response { body, ..Response::json(StatusCode::OK, &b""[..]) }
}

fn create(drafts: &Rc<Drafts>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let mut check = Check::new();
    let body = check.object(&call.body);
    let title = check.text(body, "title", Length::between(1, TITLE_MAX_CHARS));
    let platform = check.text(body, "platform", Length::ANY);
    let initial = check.optional_text(body, "initial_segment", Length::between(0, CONTENT_MAX_CHARS));
    check.done()?;
    let new = NewDraft {
        draft_id: Uuid::new_v4().to_string(),
        creator_id: call.user.to_owned(),
        title,
        platform,
        initial_segment: initial.filter(|text| !text.is_empty()).map(|text| (Uuid::new_v4().to_string(), text)),
    };
    let (witness, request_id) = (drafts.witness(call), call.request_id.as_str().to_owned());
    let created = drafts.shared.counters.created.clone();
    let shown = Rc::clone(drafts);
    drafts.parts.change(
        call,
        move |tx| {
            check_new_name(tx, ("header", "X-User-Id"), &new.creator_id)?;
            store::create(tx, &new, &request_id)?;
            let created = created.clone();
            tx.after_commit(move || _ = created.inc());
            if let Some(witness) = &witness {
                let (request_id, user_id, subject) = (&request_id, &new.creator_id, &new.draft_id);
                let metadata = &[("title", Field::Text(&new.title)), ("platform", Field::Text(&new.platform))];
                let action = "collab.create_draft";
                witness.record(tx, &Entry { request_id, user_id, action, subject, metadata })?;
            }
            Ok(Arc::from(&*new.draft_id))
        },
        move |draft_id| shown.changed(&draft_id, false),
    )
}

/// Refuses a name that cannot be told from another by looking at it, or shows nothing, unless somebody has it already. Names come
/// into being here and nowhere else; only for one that looks like that anything is looked up.
///
/// # Errors
/// 422.
fn check_new_name(tx: &Tx<'_>, (place, name): (&'static str, &'static str), user: &str) -> Result<(), ApiError> {
    let mut check = Check::new();
    if is_deceptive(user) && !store::is_known(tx, user)? {
        check.refuse(place, name, user, "String should not be blank or contain invisible characters");
    }
    check.done()
}

fn list(drafts: &Rc<Drafts>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let before = call.query_value("before").filter(|text| !text.is_empty());
    let user = call.user.to_owned();
    let is_head = call.method == Method::HEAD;
    let limit = if is_head { 1 } else { LIST_MAX_DRAFTS + 1 };
    let fetch = move |reader: &Reader| {
        // An unknown draft has nothing before it; an empty page would pass for the end of the list.
        let unknown = || ApiError::new(Code::ValidationError, "Unknown draft in 'before' parameter");
        let before = before.map(|draft_id| store::head(reader, &draft_id)?.ok_or_else(unknown)).transpose()?;
        Ok(store::newest_of_user(reader, &user, before.as_ref(), limit)?)
    };
    let shown = Rc::clone(drafts);
    drafts.parts.read(call, fetch, move |ids| if is_head { Ok(unasked(None)) } else { shown.list(ids) })
}

fn get(drafts: &Rc<Drafts>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let now = match call.query_value("now").filter(|text| !text.is_empty()) {
        None => drafts.shared.house.clock.now(),
        Some(text) => parse_now(&text)
            .ok_or_else(|| ApiError::new(Code::ValidationError, "Invalid ISO timestamp format for 'now' parameter"))?,
    };
    let draft_id: Arc<str> = call.param("draft_id").into();
    let may_read = drafts.may_read(&draft_id, call);
    let (wanted, damaged) = (Arc::clone(&draft_id), drafts.shared.damaged.clone());
    let seen = drafts.views.borrow().seen(&draft_id);
    let is_head = call.method == Method::HEAD;
    let rows_max = if is_head { HEAD_MAX_ROWS } else { i64::MAX };
    let fetch = move |reader: &Reader| {
        may_read.ask(reader)?;
        let fetched = view::fetch(reader, &wanted, seen, rows_max).map_err(ApiError::from);
        fetched.inspect_err(|error| damaged.note(&wanted, error))
    };
    let shown = Rc::clone(drafts);
    drafts.parts.read(call, fetch, move |fetched| {
        let metrics = Metrics::At(now);
        if is_head {
            shown.answer_to_head(&draft_id, fetched, metrics)
        } else {
            shown.answer(&draft_id, fetched, metrics)
        }
    })
}

fn events(drafts: &Rc<Drafts>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let mut check = Check::new();
    let since = check.query_number(call.query_value("since"), "since", 0..=i64::MAX).unwrap_or(0);
    let limit = check.query_number(call.query_value("limit"), "limit", 1..=PAGE_MAX_EVENTS).unwrap_or(PAGE_EVENTS);
    check.done()?;
    let draft_id: Arc<str> = call.param("draft_id").into();
    let may_read = drafts.may_read(&draft_id, call);
    if call.method == Method::HEAD && limit > HEAD_MAX_ROWS {
        let fetch = move |reader: &Reader| {
            may_read.ask(reader)?;
            store::event_seq(reader, &draft_id)?.ok_or_else(|| not_found(&draft_id))
        };
        return drafts.parts.read(call, fetch, |_| Ok(unasked(None)));
    }
    let (wanted, damaged) = (Arc::clone(&draft_id), drafts.shared.damaged.clone());
    let fetch = move |reader: &Reader| {
        may_read.ask(reader)?;
        let page = replay::page(reader, &wanted, since, limit).map_err(ApiError::from);
        page.inspect_err(|error| damaged.note(&wanted, error))
    };
    drafts.parts.read(call, fetch, move |page| {
        let Page { head, events, complete, more } = page.ok_or_else(|| not_found(&draft_id))?;
        let mut body = "{\"data\":[".to_owned();
        for (at, event) in events.iter().enumerate() {
            body.push_str(if at == 0 { "" } else { "," });
            body.push_str(&frame_text(event, true));
        }
        // Writing to a String cannot fail.
        let _ = write!(body, r#"],"from":{since},"to":{head},"complete":{complete},"more":{more}}}"#);
        Ok(Response::json(StatusCode::OK, body.into_bytes()))
    })
}

fn append_segment(drafts: &Rc<Drafts>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let mut check = Check::new();
    let body = check.object(&call.body);
    let content = check.text(body, "content", Length::between(1, CONTENT_MAX_CHARS));
    let key = check.text(body, "idempotency_key", KEY);
    check.done()?;
    let change = Change::of(drafts, call);
    let segment_id = Uuid::new_v4().to_string();
    let cap = drafts.shared.options.max_segments;
    drafts.change(call, Arc::clone(&change.draft_id), move |tx| {
        let head = change.head(tx)?;
        if store::is_spent(tx, head.row, &change.actor, Operation::Append, &key)? {
            return Ok(true);
        }
        let member = change.is_member(tx, &head, &change.actor)?;
        let room = Room { taken: head.segments, cap };
        ring::may_append(ring_of(&head), &change.actor, member, room).map_err(|refusal| change.refused(refusal, ""))?;
        store::spend_key(tx, head.row, &change.actor, Operation::Append, &key)?;
        store::append(tx, &head, &segment_id, &content, &change.request_id)?;
        change.count(tx, |metrics| &metrics.appended);
        change.record(tx, "collab.append_segment", || {
            let chars = i64::try_from(content.chars().count()).unwrap_or(i64::MAX);
            [
                ("segment_id", Field::Text(&segment_id)),
                ("content_len", Field::Number(chars)),
                ("idempotency_key", Field::Text(&key)),
            ]
        })?;
        Ok(false)
    })
}

fn pass_ring(drafts: &Rc<Drafts>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let mut check = Check::new();
    let body = check.object(&call.body);
    let to_user = check.text(body, "to_user_id", Length::ANY);
    let key = check.text(body, "idempotency_key", KEY);
    check.done()?;
    let change = Change::of(drafts, call);
    let cap = drafts.shared.options.max_passes;
    drafts.change(call, Arc::clone(&change.draft_id), move |tx| {
        let head = change.head(tx)?;
        if store::is_spent(tx, head.row, &change.actor, Operation::Pass, &key)? {
            return Ok(true);
        }
        let member = change.is_member(tx, &head, &to_user)?;
        let room = Room { taken: head.passes, cap };
        ring::may_pass(ring_of(&head), &change.actor, member, room)
            .map_err(|refusal| change.refused(refusal, &to_user))?;
        store::spend_key(tx, head.row, &change.actor, Operation::Pass, &key)?;
        store::pass(tx, &head, &to_user, &change.request_id)?;
        change.count(tx, |metrics| &metrics.passed);
        change.record(tx, "collab.pass_ring", || {
            [
                ("from_user_id", Field::Text(&head.holder_id)),
                ("to_user_id", Field::Text(&to_user)),
                ("idempotency_key", Field::Text(&key)),
            ]
        })?;
        Ok(false)
    })
}

fn add_collaborator(drafts: &Rc<Drafts>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let mut check = Check::new();
    let user = call.query_value("collaborator_id");
    let user = check.query_text(user, "collaborator_id", Length::between(1, USER_ID_MAX_CHARS));
    check.user_name("query", "collaborator_id", &user);
    let role = call.query_value("role").unwrap_or_else(|| "contributor".to_owned());
    check.length("query", "role", &role, Length::between(0, ROLE_MAX_CHARS));
    check.done()?;
    let change = Change::of(drafts, call);
    let cap = drafts.shared.options.max_collaborators;
    drafts.change(call, Arc::clone(&change.draft_id), move |tx| {
        let head = change.head(tx)?;
        let member = change.is_member(tx, &head, &user)?;
        let room = Room { taken: head.collaborators, cap };
        let addition = ring::may_add(ring_of(&head), &change.actor, member, room)
            .map_err(|refusal| change.refused(refusal, &user))?;
        if addition == Addition::New {
            check_new_name(tx, ("query", "collaborator_id"), &user)?;
            store::add_collaborator(tx, &head, &user, &role, &change.request_id)?;
            change.count(tx, |metrics| &metrics.added);
            change.record(tx, "collab.add_collaborator", || {
                [("collaborator_id", Field::Text(&user)), ("role", Field::Text(&role))]
            })?;
        }
        Ok(false)
    })
}

/// What every change to an existing draft carries to the writer.
struct Change {
    draft_id: Arc<str>,
    actor: String,
    request_id: String,
    witness: Option<Witness>,
    metrics: Arc<Counters>,
}

impl Change {
    fn of(drafts: &Drafts, call: &Call<'_>) -> Self {
        Self {
            draft_id: Arc::from(call.param("draft_id")),
            actor: call.user.to_owned(),
            request_id: call.request_id.as_str().to_owned(),
            witness: drafts.witness(call),
            metrics: Arc::clone(&drafts.shared.counters),
        }
    }

    /// Has the change counted once it is on disk.
    fn count(&self, tx: &mut Tx<'_>, counter: fn(&Counters) -> &Counter) {
        let metrics = Arc::clone(&self.metrics);
        tx.after_commit(move || _ = counter(&metrics).inc());
    }

    /// Has the change recorded, if it is to be; only then it is asked for its details.
    fn record<'a, const N: usize>(
        &self,
        tx: &mut Tx<'_>,
        action: &'static str,
        metadata: impl FnOnce() -> [(&'static str, Field<'a>); N],
    ) -> Result<(), StoreError> {
        let Some(witness) = &self.witness else { return Ok(()) };
        let (request_id, user_id, subject) = (&self.request_id, &self.actor, &self.draft_id);
        witness.record(tx, &Entry { request_id, user_id, action, subject, metadata: &metadata() })
    }

    fn head(&self, tx: &mut Tx<'_>) -> Result<Head, ApiError> {
        store::lock_head(tx, &self.draft_id)?.ok_or_else(|| not_found(&self.draft_id))
    }

    /// Looked up only when the ring itself does not know.
    fn is_member(&self, tx: &Tx<'_>, head: &Head, user: &str) -> Result<bool, Error> {
        Ok(ring_of(head).knows(user) || store::is_member(tx, head.row, user)?)
    }

    /// The words of contract 01 for a refusal; `other` is the user whom the change is about.
    fn refused(&self, refusal: Refusal, other: &str) -> ApiError {
        self.metrics.conflicts.with(&[refusal.label()]).inc();
        let [actor, draft_id, other] = [&*self.actor, &*self.draft_id, other].map(|text| cut(text, ECHO_CHARS));
        match refusal {
            Refusal::NotMember => not_member(&self.actor, &self.draft_id),
            Refusal::RingRequired => ApiError::new(
                Code::Of(&RING_REQUIRED),
                format!("User {actor} must hold the ring to append segments to draft {draft_id}"),
            ),
            Refusal::NotHolder => {
                ApiError::new(Code::Forbidden, format!("User {actor} is not ring holder for draft {draft_id}"))
            }
            Refusal::RecipientNotMember => {
                ApiError::new(Code::Forbidden, format!("Cannot pass ring to {other} (not owner or collaborator)"))
                    .logged_as("Cannot pass ring to the recipient (not owner or collaborator)")
            }
            Refusal::NotCreator => ApiError::new(Code::Forbidden, "Only draft creator can add collaborators"),
            Refusal::CollaboratorCap => {
                ApiError::new(Code::Of(&LIMIT_EXCEEDED), format!("Collaborator cap reached for draft {draft_id}"))
            }
            Refusal::SegmentCap => {
                ApiError::new(Code::Of(&LIMIT_EXCEEDED), format!("Segment cap reached for draft {draft_id}"))
            }
            Refusal::PassCap => {
                ApiError::new(Code::Of(&LIMIT_EXCEEDED), format!("Pass cap reached for draft {draft_id}"))
            }
        }
    }
}

fn ring_of(head: &Head) -> Ring<'_> {
    Ring { creator: &head.creator_id, holder: &head.holder_id }
}
