//! What the handlers of one shard work with: how a draft is answered, and how a change to one is made.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use http::StatusCode;

use super::access::{MayRead, not_found};
use super::list::{self, ListPieces, Tally};
use super::model::Head;
use super::parts::Metrics;
use super::pieces::Pieces;
use super::receipt::Made;
use super::shared::Shared;
use super::version::{self, Known};
use super::view::{self, Fetched, Shown, View, Views, WHOLE_MAX_BYTES};
use crate::audit::Witness;
use crate::feature::ShardParts;
use crate::gate::{ApiError, Call, Code, Outcome, Route, Routes};
use crate::net::{Body, Response};
use crate::store::{Error, Tx};

/// What stands around a Draft object.
const OPENING: &[u8] = b"{\"data\":";
const CLOSING: &[u8] = b"}";

/// What is said when nothing came of a change but hashes.
const NOT_YET: &str = "The draft was written by an older version and gets its hashes first; nothing else was changed";

/// What the handlers of one shard share.
pub(super) struct Desk {
    pub(super) parts: ShardParts,
    pub(super) shared: Shared,
    pub(super) views: RefCell<Views>,
}

/// Answers one route.
pub(super) type Handler = fn(&Rc<Desk>, &Call<'_>) -> Result<Outcome, ApiError>;

impl Desk {
    /// For one shard; nothing is rendered yet.
    pub(super) fn new(parts: ShardParts, shared: Shared) -> Rc<Self> {
        let views = RefCell::new(Views::new(shared.options.cache_bytes));
        Rc::new(Self { parts, shared, views })
    }

    /// Adds a route and what answers it.
    pub(super) fn add(self: &Rc<Self>, routes: &mut Routes, route: Route, handler: Handler) {
        let desk = Rc::clone(self);
        routes.add(route, move |call: &Call<'_>| handler(&desk, call));
    }

    /// The same for one that shows something of a draft: where reading is not public, it is for users (ruling 7).
    pub(super) fn add_reading(self: &Rc<Self>, routes: &mut Routes, route: Route, handler: Handler) {
        let route = if self.shared.options.public_read { route } else { route.for_users() };
        self.add(routes, route, handler);
    }

    /// What there is of a draft beyond what this shard has seen of it.
    pub(super) fn fetch(&self, draft_id: &Arc<str>) -> Result<Fetched, Error> {
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
    pub(super) fn answer(&self, draft_id: &Arc<str>, fetched: Fetched, metrics: Metrics) -> Result<Response, ApiError> {
        let whole = |view: &View| {
            let mut body = OPENING.to_vec();
            view.render(metrics, &mut body);
            body.extend_from_slice(CLOSING);
            version::tagged(Response::json(StatusCode::OK, body), view.version())
        };
        let whole = self.show(draft_id, fetched, whole)?;
        whole.or_else(|head| self.in_pieces(draft_id, *head, metrics))
    }

    /// 304 to somebody who has the draft as it was fetched.
    pub(super) fn unchanged(&self, draft_id: &str, fetched: &Fetched, known: &Known) -> Option<Response> {
        let version = fetched.version().or_else(|| self.views.borrow().version(draft_id))?;
        known.is(version).then(|| version::not_modified(version))
    }

    /// The same to somebody who wants to know all but the draft: what is known of its length is said, and nothing rendered.
    pub(super) fn answer_to_head(
        &self,
        draft_id: &Arc<str>,
        fetched: Fetched,
        metrics: Metrics,
    ) -> Result<Response, ApiError> {
        let length = |view: &View| {
            let length = (OPENING.len() + view.length(metrics) + CLOSING.len()) as u64;
            version::tagged(unasked(Some(length)), view.version())
        };
        let length = self.show(draft_id, fetched, length)?;
        length.or_else(|head| {
            self.shared.damaged.check(draft_id)?;
            Ok(version::tagged(unasked(None), head.event_seq))
        })
    }

    /// The same for a draft that is too large to be held.
    fn in_pieces(&self, draft_id: &Arc<str>, head: Head, metrics: Metrics) -> Result<Response, ApiError> {
        // One that was found damaged in the middle of an answer has none that could be whole.
        self.shared.damaged.check(draft_id)?;
        let (draft_id, damaged) = (Arc::clone(draft_id), self.shared.damaged.clone());
        let version = head.event_seq;
        let (mut pieces, mut begun) = (Pieces::new(head, metrics), false);
        let made = self.parts.made(move |reader, out| {
            if !std::mem::replace(&mut begun, true) {
                out.extend_from_slice(OPENING);
            }
            let more = pieces.next(reader, out).map_err(ApiError::from);
            let more = more.inspect_err(|error| damaged.note(&draft_id, error))?;
            if !more {
                out.extend_from_slice(CLOSING);
            }
            Ok(more)
        });
        Ok(version::tagged(made, version))
    }

    /// A change to an existing draft. The job returns what came of it; a bool is whether it is a replay of an earlier one.
    pub(super) fn change<M: Into<Made> + Send + 'static>(
        self: &Rc<Self>,
        call: &Call<'_>,
        draft_id: Arc<str>,
        job: impl FnMut(&mut Tx<'_>) -> Result<M, ApiError> + Send + 'static,
    ) -> Result<Outcome, ApiError> {
        self.shared.damaged.check(&draft_id)?;
        let desk = Rc::clone(self);
        self.parts.try_change(call, job, move |result| {
            let answer = result.and_then(|made| desk.changed(&draft_id, made.into()));
            answer.inspect_err(|error| desk.shared.damaged.note(&draft_id, error))
        })
    }

    /// The answer to a change: a replay shows metrics, the change itself does not (contract 01 §1.2).
    pub(super) fn changed(&self, draft_id: &Arc<str>, made: Made) -> Result<Response, ApiError> {
        let metrics = match made {
            Made::Now(Some(receipt)) | Made::Before(Some(receipt)) => return Ok(receipt.response(draft_id)),
            Made::Now(None) => Metrics::Null,
            Made::Before(None) => Metrics::At(self.shared.house.clock.now()),
            Made::NotYet => return Err(ApiError::overloaded(NOT_YET)),
        };
        self.answer(draft_id, self.fetch(draft_id)?, metrics)
    }

    /// These drafts, newest first, as a list: oldest first, and as much as one list may have.
    pub(super) fn list(&self, ids: Vec<Arc<str>>) -> Result<Response, ApiError> {
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
                // Deleted since the list was made.
                Err(error) if error.code() == Code::NotFound => tally.pass_over(),
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
    pub(super) fn may_read(&self, draft_id: &Arc<str>, call: &Call<'_>) -> MayRead {
        MayRead::new(self.shared.options.public_read, draft_id, call.user)
    }

    /// Who records the change that this call asks for, if it is to be recorded.
    pub(super) fn witness(&self, call: &Call<'_>) -> Option<Witness> {
        self.shared.house.audit.as_ref()?.witness(call.client, call.headers.get("user-agent"))
    }
}

/// The answer to a HEAD whose body would be of this length, if that is known.
pub(super) fn unasked(length: Option<u64>) -> Response {
    let body = Body::unasked(length);
    Response { body, ..Response::json(StatusCode::OK, &b""[..]) }
}
