//! What an operator does with drafts: finds them, looks at one, frees a ring that nobody passes on. The same over the private plane,
//! which has a page for it ([`page`]), and by the verbs (`inkring draft`), each as one function that takes a reader or a transaction.

mod deed;
mod page;
mod routes;
mod store;
mod verbs;
mod wanted;

pub(super) use page::SHOWN;
pub(super) use routes::{ROUTES, routes};
pub(super) use verbs::Verb;
pub(super) use wanted::{DRAFTS_PAGE_MAX, MEMBERS_SHOWN_MAX, SEARCHED_MAX_DRAFTS, SEGMENTS_PAGE_MAX, Search, Slice};

use serde_json::{Value, json};

use super::access::missing;
use super::invites;
use super::model::Head;
use super::proof::{self, Proof};
use super::store as drafts;
use crate::clock::Timestamp;
use crate::gate::ApiError;
use crate::store::{Error, Reader};

fn text(at: Timestamp) -> String {
    at.offset_style().to_string()
}

/// The newest drafts that are wanted, newest first, and behind which one the next page begins.
///
/// # Errors
/// 404 when there is no draft `before`.
pub(super) fn list(reader: &Reader, search: &Search) -> Result<Value, ApiError> {
    let before = match &search.before {
        None => i64::MAX,
        Some(id) => drafts::head(reader, id)?.ok_or_else(|| missing(reader, id))?.row,
    };
    let (found, next) = store::find(reader, search, before)?;
    Ok(json!({ "drafts": found.iter().map(told).collect::<Vec<_>>(), "next": next }))
}

/// A draft in a line of the list.
fn told(head: &Head) -> Value {
    json!({
        "draft_id": head.draft_id,
        "title": head.title,
        "platform": head.platform,
        "status": head.status,
        "creator_id": head.creator_id,
        "holder_id": head.holder_id,
        "segments": head.segments,
        "passes": head.passes,
        "collaborators": head.collaborators,
        "lease_seconds": head.lease_seconds,
        "version": head.event_seq,
        "created_at": text(head.created_at),
        "passed_at": text(head.passed_at),
        "updated_at": text(head.updated_at),
    })
}

/// One draft at this moment: its members, as many as are shown, its invitations, and a page of its segments.
///
/// # Errors
/// 404.
pub(super) fn show(reader: &Reader, draft_id: &str, slice: Slice, now: Timestamp) -> Result<Value, ApiError> {
    reader
        .snapshot(|reader| shown(reader, draft_id, slice, now))
        .map_err(ApiError::from)?
        .ok_or_else(|| missing(reader, draft_id))
}

fn shown(reader: &Reader, draft_id: &str, slice: Slice, now: Timestamp) -> Result<Option<Value>, Error> {
    let Some(head) = drafts::head(reader, draft_id)? else { return Ok(None) };
    let members = store::members(reader, head.row, MEMBERS_SHOWN_MAX)?;
    let members: Vec<Value> = members
        .into_iter()
        .map(|member| json!({ "user_id": member.user_id, "role": member.role, "joined_at": text(member.joined_at) }))
        .collect();
    let invites = invites::told(reader, head.row, now)?;
    let (from, mut segments) = (slice.after.saturating_add(1), Vec::new());
    drafts::segments(reader, head.row, from, from.saturating_add(slice.limit), |segment| {
        segments.push(json!({
            "segment_order": segment.order,
            "segment_id": segment.segment_id,
            "user_id": segment.user_id,
            "content": segment.content,
            "redacted": segment.is_redacted,
            "created_at": text(segment.created_at),
        }));
    })?;
    let more = from.saturating_add(slice.limit) < head.segments;
    Ok(Some(json!({
        "draft": told(&head), "members": members, "invites": invites, "segments": segments, "more": more,
    })))
}

/// What following the chain of a draft has found ([`proof::verify`]).
///
/// # Errors
/// 404.
pub(super) fn verify(reader: &Reader, draft_id: &str) -> Result<Value, ApiError> {
    let Proof { segments, taken_out, unhashed, last, fault } =
        proof::verify(reader, draft_id)?.ok_or_else(|| missing(reader, draft_id))?;
    Ok(json!({
        "draft_id": draft_id,
        "holds": fault.is_none(),
        "segments": segments,
        "taken_out": taken_out,
        "unhashed": unhashed,
        "chain_sha256": last,
        "fault": fault.map(|fault| fault.to_string()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drafts::MIGRATIONS;

    fn titles(said: &Value) -> Vec<&str> {
        said["drafts"].as_array().unwrap().iter().filter_map(|draft| draft["title"].as_str()).collect()
    }

    #[test]
    fn so_many_drafts_are_searched_and_so_many_members_shown() {
        let reader = Reader::in_memory(MIGRATIONS);
        let all = SEARCHED_MAX_DRAFTS + 1;
        reader.batch(&format!(
            "WITH RECURSIVE n (at) AS (SELECT 1 UNION ALL SELECT at + 1 FROM n WHERE at < {all}) \
             INSERT INTO drafts (id, draft_id, creator_id, title, platform, holder_id, passed_at, created_at, updated_at) \
             SELECT at, 'd' || at, 'a', iif(at < 3, 'rare ' || at, 'tale'), 'x', 'a', 0, 0, 0 FROM n; \
             WITH RECURSIVE n (at) AS (SELECT 0 UNION ALL SELECT at + 1 FROM n WHERE at < {MEMBERS_SHOWN_MAX}) \
             INSERT INTO draft_collaborators (draft, user_id, role, joined_at) SELECT 1, 'u' || at, 'contributor', 0 FROM n"
        ));
        let search = |before: Option<&str>| {
            let title = Some("rare".to_owned());
            list(&reader, &Search { title, before: before.map(str::to_owned), limit: 10, user: None }).unwrap()
        };
        assert_eq!(titles(&search(None)), ["rare 2"], "the oldest is one too many");
        assert_eq!(titles(&search(Some("d9"))), ["rare 2", "rare 1"]);
        let shown = show(&reader, "d1", Slice { after: -1, limit: 10 }, Timestamp(0)).unwrap();
        assert_eq!(shown["members"].as_array().unwrap().len() as i64, MEMBERS_SHOWN_MAX);
    }
}
