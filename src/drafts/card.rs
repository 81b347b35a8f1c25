//! A card that shows what a draft is, to be shared (contract 01 §1.10 with R8 and R10).

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use http::Method;
use serde_json::json;

use super::access::missing;
use super::desk::{Desk, unasked};
use super::metrics::Facts;
use super::model::{Head, display_name};
use super::store;
use super::walk::{Found, Walk};
use crate::clock::Timestamp;
use crate::gate::{ApiError, Call, Outcome, Route, Routes};
use crate::store::Reader;

/// Contributors that are named.
const NAMED_MAX: usize = 5;

/// What is served.
pub(super) const ROUTES: [Route; 1] = [Route::public(&Method::GET, "/v1/collab/drafts/{draft_id}/share-card")
    .about("draft_id")
    .does("Read the share card of a draft")];

/// Adds these routes for one shard.
pub(super) fn routes(routes: &mut Routes, desk: &Rc<Desk>) {
    let [to_show] = ROUTES;
    desk.add_reading(routes, to_show, share_card);
}

fn share_card(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let now = desk.moment(call)?;
    let draft_id: Arc<str> = call.param("draft_id").into();
    let (may_read, wanted) = (desk.may_read(&draft_id, call), Arc::clone(&draft_id));
    let is_head = call.method == Method::HEAD;
    let fetch = move |reader: &Reader| {
        may_read.ask(reader)?;
        store::head(reader, &wanted)?.ok_or_else(|| missing(reader, &wanted))
    };
    let (desk, parts) = (Rc::clone(desk), desk.parts.clone());
    parts.read(call, fetch, move |head| {
        if is_head {
            return Ok(unasked(None));
        }
        let rewritten = head.rewritten;
        let (mut walk, mut seen) = (Walk::new(head), Seen::default());
        desk.told((&draft_id, rewritten), move |reader, out| {
            let Seen { authors, passes, last_segment_at } = &mut seen;
            let more = walk.step(reader, |found| match found {
                Found::Segment(segment) => {
                    *last_segment_at = Some(segment.created_at);
                    if !authors.contains(segment.user_id) {
                        authors.insert(segment.user_id.to_owned());
                    }
                }
                Found::Pass(pass) => passes.push(pass.passed_at),
            })?;
            if !more {
                out.extend_from_slice(card(&walk.head, &seen, now).to_string().as_bytes());
            }
            Ok(more)
        })
    })
}

/// What a card is made of.
#[derive(Default)]
struct Seen {
    authors: BTreeSet<String>,
    passes: Vec<Timestamp>,
    last_segment_at: Option<Timestamp>,
}

fn card(head: &Head, seen: &Seen, now: Timestamp) -> serde_json::Value {
    let others = seen.authors.iter().filter(|author| **author != head.creator_id).count();
    let facts = Facts {
        contributors: others + 1,
        passes: &seen.passes,
        created_at: head.created_at,
        passed_at: head.passed_at,
        last_segment_at: seen.last_segment_at,
    };
    let figures = facts.figures(now);
    let (contributors, passes) = (figures.contributors, figures.recent_passes);
    let minutes = figures.minutes_between.map(f64::round);
    #[expect(clippy::cast_possible_truncation, reason = "whole, and no more minutes than there are in all of time")]
    let minutes = minutes.map(|minutes| minutes as i64);
    let mut named: Vec<String> =
        seen.authors.iter().filter(|author| **author != head.creator_id).map(|author| display_name(author)).collect();
    named.sort_unstable();
    named.insert(0, display_name(&head.creator_id));
    named.truncate(NAMED_MAX);
    let holder = display_name(&head.holder_id);
    json!({ "success": true, "data": {
        "draft_id": head.draft_id,
        "title": format!("Collab Thread: {}", head.title),
        "subtitle": format!("Ring with {holder} • {contributors} contributors • {passes} passes/24h"),
        "metrics": {
            "contributors_count": contributors,
            "ring_passes_last_24h": passes,
            "avg_minutes_between_passes": minutes,
            "segments_count": head.segments,
        },
        "contributors": named,
        "top_line": "A collaborative thread in progress.",
        "cta": { "label": "Join the thread", "url": format!("/dashboard/collab?draftId={}", head.draft_id) },
        "theme": { "bg": "from-slate-900 to-indigo-700", "accent": "indigo" },
        "generated_at": now.offset_style(),
    } })
}
