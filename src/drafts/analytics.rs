//! Figures of a draft at the wire (contract 01 §1.15): one that anybody may read who may read the draft, and four for its members.
//! The figures are in [`figures`](super::figures); their times are in the Z style, as the contract has it here.

use std::rc::Rc;
use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::access::member;
use super::desk::{Desk, unasked};
use super::figures::Figures;
use super::model::Head;
use super::store;
use super::walk::{Found, Walk};
use crate::clock::Timestamp;
use crate::gate::validate::{Check, ECHO_CHARS};
use crate::gate::{ApiError, Call, Code, Outcome, Route, Routes};
use crate::net::Response;
use crate::store::Reader;
use crate::text::cut;

/// Days in one answer unless the client says how many.
const DAILY_DAYS: i64 = 14;
/// Days in one answer, at most.
pub(super) const DAILY_MAX_DAYS: i64 = 90;

const fn of(template: &'static str, does: &'static str) -> Route {
    Route::user(&Method::GET, template).about("draft_id").does(does)
}

const fn open(template: &'static str, does: &'static str) -> Route {
    Route::public(&Method::GET, template).about("draft_id").does(does)
}

/// What is served: each figure under two names, as the original has them.
pub(super) const ROUTES: [Route; 10] = [
    open("/v1/collab/drafts/{draft_id}/analytics", "Read the size of a draft"),
    open("/api/analytics/v1/collab/drafts/{draft_id}/analytics", "The same"),
    of("/api/analytics/drafts/{draft_id}/summary", "Read the figures of a draft"),
    of("/drafts/{draft_id}/summary", "The same"),
    of("/api/analytics/drafts/{draft_id}/contributors", "Read the figures of a draft's authors"),
    of("/drafts/{draft_id}/contributors", "The same"),
    of("/api/analytics/drafts/{draft_id}/ring", "Read who held the ring of a draft, and for how long"),
    of("/drafts/{draft_id}/ring", "The same"),
    of("/api/analytics/drafts/{draft_id}/daily", "Read the daily figures of a draft"),
    of("/drafts/{draft_id}/daily", "The same"),
];

/// Adds these routes for one shard.
pub(super) fn routes(routes: &mut Routes, desk: &Rc<Desk>) {
    let [open, open_too, of_members @ ..] = ROUTES;
    desk.add_reading(routes, open, analytics);
    desk.add_reading(routes, open_too, analytics);
    let handlers = [summary, contributors, ring, daily];
    for (pair, handler) in of_members.chunks(2).zip(handlers) {
        pair.iter().for_each(|route| desk.add(routes, *route, handler));
    }
}

fn analytics(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let now = desk.moment(call)?;
    let draft_id: Arc<str> = call.param("draft_id").into();
    let (may_read, wanted) = (desk.may_read(&draft_id, call), Arc::clone(&draft_id));
    let is_head = call.method == Method::HEAD;
    let fetch = move |reader: &Reader| {
        may_read.ask(reader)?;
        Ok(store::head(reader, &wanted)?)
    };
    let (desk, parts) = (Rc::clone(desk), desk.parts.clone());
    parts.read(call, fetch, move |head| {
        // Nobody counts views and shares. Of a draft that there is not, the original says that it has a segment and a contributor,
        // and its clients rely on an answer.
        let answer = move |draft_id: &str, [segments, contributors, passes]: [i64; 3], last: Option<Timestamp>| {
            json!({ "success": true, "data": {
                "draft_id": draft_id,
                "views": 0,
                "shares": 0,
                "segments_count": segments,
                "contributors_count": contributors,
                "ring_passes_count": passes,
                "last_activity_at": last.map(Timestamp::z_style),
                "computed_at": now.z_style(),
            } })
        };
        let Some(head) = head else {
            let body = answer(&cut(&draft_id, ECHO_CHARS), [1, 1, 0], None);
            return Ok(Response::json(StatusCode::OK, body.to_string().into_bytes()));
        };
        if is_head {
            return Ok(unasked(None));
        }
        desk.figures(&draft_id, head, now, 1, move |figures, head| {
            let authors =
                figures.people.iter().filter(|(user, person)| person.segments > 0 || **user == head.creator_id);
            let contributors = i64::try_from(authors.count()).unwrap_or(i64::MAX);
            answer(&head.draft_id, [figures.segments, contributors, figures.passes], Some(figures.last_activity))
        })
    })
}

fn summary(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    for_members(desk, call, 1, |figures, head, _| figures.summary(&head.draft_id))
}

fn contributors(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    for_members(desk, call, 1, |figures, head, _| figures.contributors(&head.draft_id))
}

fn ring(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    for_members(desk, call, 1, |figures, head, members| figures.ring(head, members))
}

fn daily(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let mut check = Check::new();
    let days = check.query_number(call.query_value("days"), "days", 1..=DAILY_MAX_DAYS).unwrap_or(DAILY_DAYS);
    check.done()?;
    for_members(desk, call, days, |figures, head, _| figures.daily(&head.draft_id))
}

/// Answers a member with what `render` makes of the figures and the names of all members.
fn for_members(
    desk: &Rc<Desk>,
    call: &Call<'_>,
    days: i64,
    render: fn(&Figures, &Head, &[String]) -> Value,
) -> Result<Outcome, ApiError> {
    let refused = |user: &str, draft_id: &str| {
        let (user, draft_id) = (cut(user, ECHO_CHARS), cut(draft_id, ECHO_CHARS));
        ApiError::new(Code::Forbidden, format!("User {user} is not a collaborator on draft {draft_id}"))
    };
    desk.for_member(call, days, refused, render)
}

impl Desk {
    /// Answers a member with what `render` makes of the figures of the last `days`, and of the names of all members.
    pub(super) fn for_member(
        self: &Rc<Self>,
        call: &Call<'_>,
        days: i64,
        refused: fn(&str, &str) -> ApiError,
        render: fn(&Figures, &Head, &[String]) -> Value,
    ) -> Result<Outcome, ApiError> {
        let now = self.moment(call)?;
        let (draft_id, user): (Arc<str>, _) = (call.param("draft_id").into(), call.user.to_owned());
        let (wanted, is_head) = (Arc::clone(&draft_id), call.method == Method::HEAD);
        let fetch = move |reader: &Reader| {
            let head = member(reader, &wanted, &user, || refused(&user, &wanted))?;
            let members = store::members(reader, head.row)?;
            Ok((head, members))
        };
        let (desk, parts) = (Rc::clone(self), self.parts.clone());
        parts.read(call, fetch, move |(head, members)| {
            if is_head {
                return Ok(unasked(None));
            }
            desk.figures(&draft_id, head, now, days, move |figures, head| render(figures, head, &members))
        })
    }

    /// Answers with what `render` makes of the figures of a draft at `now`, once all of it was read.
    fn figures(
        &self,
        draft_id: &Arc<str>,
        head: Head,
        now: Timestamp,
        days: i64,
        render: impl Fn(&Figures, &Head) -> Value + Send + 'static,
    ) -> Result<Response, ApiError> {
        let rewritten = head.rewritten;
        let (mut figures, mut walk) = (Figures::new(&head, now, days), Walk::new(head));
        self.told((draft_id, rewritten), move |reader, out| {
            let more = walk.step(reader, |found| match found {
                Found::Segment(segment) => figures.take_segment(&segment),
                Found::Pass(pass) => figures.take_pass(&pass),
            })?;
            if !more {
                out.extend_from_slice(render(&figures, &walk.head).to_string().as_bytes());
            }
            Ok(more)
        })
    }
}
