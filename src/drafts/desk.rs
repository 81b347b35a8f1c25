//! What the handlers of one shard work with: how a draft is answered, and how a change to one is made.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use http::StatusCode;

use super::access::{MayRead, missing};
use super::list::{self, ListPieces, Tally};
use super::metrics::parse_now;
use super::model::Head;
use super::parts::{Metrics, rewritten_meanwhile};
use super::pieces::Pieces;
use super::receipt::Made;
use super::shared::Shared;
use super::store;
use super::version::{self, Known};
use super::view::{self, Fetched, Shown, View, Views, WHOLE_MAX_BYTES};
use crate::audit::Witness;
use crate::clock::Timestamp;
use crate::feature::ShardParts;
use crate::gate::{ApiError, Call, Code, Outcome, Route, Routes};
use crate::net::{Body, Response};
use crate::store::{Error, Reader, Tx};

/// What stands around a Draft object.
const OPENING: &[u8] = b"{\"data\":";
const CLOSING: &[u8] = b"}";

/// What is said when nothing came of a change but hashes.
const NOT_YET: &str = "The draft was written by an older version and gets its hashes first; nothing else was changed";

/// Steps of something large that are tried at once: what small drafts need, to be answered with their length, and with an error if it
/// comes to that.
const TOLD_AT_ONCE_STEPS: usize = 3;

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
            Shown::NoSuchDraft => Err(self.missing(draft_id)),
            Shown::Outdated => Err(Error::Busy("the draft was forgotten while it was read".to_owned()).into()),
        }
    }

    /// Why there is no such draft.
    pub(super) fn missing(&self, draft_id: &str) -> ApiError {
        let draft_id = draft_id.to_owned();
        self.parts
            .fetch(move |reader| Err::<(), _>(missing(reader, &draft_id)))
            .map_or_else(|why| why, |()| ApiError::internal("it is there"))
    }

    /// `{"data":{…}}` with the draft as it was fetched.
    pub(super) fn answer(&self, draft_id: &Arc<str>, fetched: Fetched, metrics: Metrics) -> Result<Response, ApiError> {
        self.answer_with(draft_id, fetched, metrics, Vec::new())
    }

    /// The same with other members `beside` the draft: JSON that begins with a comma.
    pub(super) fn answer_with(
        &self,
        draft_id: &Arc<str>,
        fetched: Fetched,
        metrics: Metrics,
        beside: Vec<u8>,
    ) -> Result<Response, ApiError> {
        let whole = |view: &View| {
            let mut body = OPENING.to_vec();
            view.render(metrics, &mut body);
            body.extend_from_slice(&beside);
            body.extend_from_slice(CLOSING);
            version::tagged(Response::json(StatusCode::OK, body), view.version())
        };
        let whole = self.show(draft_id, fetched, whole)?;
        whole.or_else(|head| self.in_pieces(draft_id, Pieces::new(*head, metrics), beside))
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

    /// The same as its client takes it: of a draft that is too large to be held, or a part of one.
    pub(super) fn in_pieces(
        &self,
        draft_id: &Arc<str>,
        mut pieces: Pieces,
        beside: Vec<u8>,
    ) -> Result<Response, ApiError> {
        // One that was found damaged in the middle of an answer has none that could be whole.
        self.shared.damaged.check(draft_id)?;
        let (draft_id, damaged) = (Arc::clone(draft_id), self.shared.damaged.clone());
        let (version, mut begun) = (pieces.version(), false);
        let made = self.parts.made(move |reader, out| {
            if !std::mem::replace(&mut begun, true) {
                out.extend_from_slice(OPENING);
            }
            let more = pieces.next(reader, out).map_err(ApiError::from);
            let more = more.inspect_err(|error| damaged.note(&draft_id, error))?;
            if !more {
                out.extend_from_slice(&beside);
                out.extend_from_slice(CLOSING);
            }
            Ok(more)
        });
        Ok(version::tagged(made, version))
    }

    /// What is made of all of a draft with this head: at once when that is one piece, else piece by piece. `next` is as for
    /// [`ShardParts::made`]. When the draft is rewritten meanwhile, the answer cannot be finished.
    pub(super) fn told(
        &self,
        (draft_id, rewritten): (&Arc<str>, i64),
        mut next: impl FnMut(&Reader, &mut Vec<u8>) -> Result<bool, ApiError> + Send + 'static,
    ) -> Result<Response, ApiError> {
        // One that was found damaged in the middle of an answer has none that could be whole.
        self.shared.damaged.check(draft_id)?;
        let (draft_id, damaged) = (Arc::clone(draft_id), self.shared.damaged.clone());
        let mut next = move |reader: &Reader, out: &mut Vec<u8>| {
            let more = next(reader, out);
            // Asked afterwards: what was read after a change is not told as of the moment before it.
            if store::rewritten(reader, &draft_id)? != Some(rewritten) {
                return Err(rewritten_meanwhile().into());
            }
            more.inspect_err(|error| damaged.note(&draft_id, error))
        };
        let (mut next, mut first, more) = self.parts.fetch(move |reader| {
            let (mut first, mut more) = (Vec::new(), true);
            for _ in 0..TOLD_AT_ONCE_STEPS {
                more = more && next(reader, &mut first)?;
            }
            Ok::<_, ApiError>((next, first, more))
        })?;
        if !more {
            return Ok(Response::json(StatusCode::OK, first));
        }
        Ok(self.parts.made(move |reader, out| match std::mem::take(&mut first) {
            first if first.is_empty() => next(reader, out),
            first => {
                *out = first;
                Ok(true)
            }
        }))
    }

    /// A change to an existing draft. The job returns what came of it; a bool is whether it is a replay of an earlier one.
    pub(super) fn change<M: Into<Made> + Send + 'static>(
        self: &Rc<Self>,
        call: &Call<'_>,
        draft_id: Arc<str>,
        job: impl FnMut(&mut Tx<'_>) -> Result<M, ApiError> + Send + 'static,
    ) -> Result<Outcome, ApiError> {
        self.change_then(call, draft_id, job, |desk, draft_id, made: M| desk.changed(draft_id, made.into()))
    }

    /// The same for a change that is answered otherwise: with what `then` makes of what the job returns.
    pub(super) fn change_then<T: Send + 'static>(
        self: &Rc<Self>,
        call: &Call<'_>,
        draft_id: Arc<str>,
        job: impl FnMut(&mut Tx<'_>) -> Result<T, ApiError> + Send + 'static,
        then: impl FnOnce(&Self, &Arc<str>, T) -> Result<Response, ApiError> + 'static,
    ) -> Result<Outcome, ApiError> {
        self.shared.damaged.check(&draft_id)?;
        let desk = Rc::clone(self);
        self.parts.try_change(call, job, move |result| {
            let answer = result.and_then(|done| then(&desk, &draft_id, done));
            answer.inspect_err(|error| desk.shared.damaged.note(&draft_id, error))
        })
    }

    /// The answer to a change.
    pub(super) fn changed(&self, draft_id: &Arc<str>, made: Made) -> Result<Response, ApiError> {
        let metrics = match made {
            Made::Now(Some(receipt)) | Made::Before(Some(receipt)) => return Ok(receipt.response(draft_id)),
            Made::Now(None) => self.metrics(false),
            Made::Before(None) => self.metrics(true),
            Made::NotYet => return Err(ApiError::overloaded(NOT_YET)),
        };
        self.answer(draft_id, self.fetch(draft_id)?, metrics)
    }

    /// What a change answers as metrics: a replay shows them, the change itself does not (contract 01 §1.2).
    pub(super) fn metrics(&self, replayed: bool) -> Metrics {
        if replayed { Metrics::At(self.shared.house.clock.now()) } else { Metrics::Null }
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
                Err(error) if matches!(error.status(), StatusCode::NOT_FOUND | StatusCode::GONE) => tally.pass_over(),
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

    /// The moment for which something is computed: `now=`, or now.
    ///
    /// # Errors
    /// 400 when it is no time.
    pub(super) fn moment(&self, call: &Call<'_>) -> Result<Timestamp, ApiError> {
        match call.query_value("now").filter(|text| !text.is_empty()) {
            None => Ok(self.shared.house.clock.now()),
            Some(text) => parse_now(&text).ok_or_else(|| {
                ApiError::new(Code::ValidationError, "Invalid ISO timestamp format for 'now' parameter")
            }),
        }
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
