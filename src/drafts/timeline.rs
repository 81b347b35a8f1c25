//! What happened to a draft, for people (contract 01 §1.13 with R12).
//!
//! It is told from the event log, which every change writes in its own transaction: so nothing is missing because the audit log is
//! off, and who reads leaves no trace in what is read. Only the newest events of a draft are kept (`EVENTS_KEPT_PER_DRAFT`); when
//! older ones are gone, it says that it is not complete. What there is of segments, passes and members for ever is told by the
//! draft itself, and by the attribution.

use serde::Serialize;
use serde_json::{Map, Value};

use super::store::Happening;
use crate::clock::OffsetStyle;

/// Events in one answer unless the client says how many.
pub(super) const TIMELINE_EVENTS: i64 = 200;
/// Events in one answer, at most.
pub(super) const TIMELINE_MAX_EVENTS: i64 = 500;

/// An event as it is told.
#[derive(Debug, Serialize)]
pub(super) struct Told<'a> {
    event_id: String,
    ts: OffsetStyle,
    #[serde(rename = "type")]
    kind: &'static str,
    actor_user_id: Option<String>,
    draft_id: &'a str,
    summary: String,
    meta: Map<String, Value>,
}

/// Tells what happened to this draft.
pub(super) fn told<'a>(draft_id: &'a str, happening: &Happening) -> Told<'a> {
    let data: Map<String, Value> = serde_json::from_str(&happening.data).unwrap_or_default();
    let text = |name: &str| data.get(name).and_then(Value::as_str);
    let called = |name: &str| text(name).map_or("somebody".to_owned(), |user| format!("@{user}"));
    let (kind, actor, summary) = match happening.kind.as_str() {
        "collab.draft_created" => {
            let title = text("title").unwrap_or_default();
            ("draft_created", "creator_id", format!("{} created draft '{title}'", called("creator_id")))
        }
        "collab.segment_added" => {
            let order = data.get("segment_order").and_then(Value::as_i64).unwrap_or_default();
            ("segment_added", "user_id", format!("{} added segment {order}", called("user_id")))
        }
        "collab.ring_passed" => {
            let [from, to] = ["from_user_id", "to_user_id"].map(called);
            // Who parts, or is silent for too long, has not passed it.
            let verb = if text("reason").is_some() { "lost ring" } else { "passed ring" };
            ("ring_passed", "from_user_id", format!("{from} {verb} to {to}"))
        }
        // Who has added them is not in the event: the creator, or they themselves by an invitation.
        "collab.collaborator_added" => {
            ("collaborator_added", "collaborator_id", format!("{} joined as collaborator", called("collaborator_id")))
        }
        "collab.collaborator_removed" => {
            let verb = if text("reason") == Some("left") { "left" } else { "was removed" };
            ("collaborator_removed", "collaborator_id", format!("{} {verb}", called("collaborator_id")))
        }
        "collab.draft_transferred" => {
            let [from, to] = ["from_user_id", "to_user_id"].map(called);
            ("draft_transferred", "from_user_id", format!("{from} handed the draft over to {to}"))
        }
        other => {
            let known = ["actor_id", "user_id", "from_user_id"].into_iter().find(|name| text(name).is_some());
            let actor = known.unwrap_or("actor_id");
            ("other", actor, format!("{} performed {other}", called(actor)))
        }
    };
    Told {
        event_id: happening.seq.to_string(),
        ts: happening.at.offset_style(),
        kind,
        actor_user_id: text(actor).map(str::to_owned),
        draft_id,
        summary,
        // The draft and the time stand beside it.
        meta: data
            .iter()
            .filter(|(name, _)| !is_beside(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    }
}

fn is_beside(name: &str) -> bool {
    ["draft_id", "created_at", "passed_at"].contains(&name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn each_event_has_its_type_its_actor_and_a_sentence() {
        let tell = |kind: &str, data: &Value| {
            let happening = Happening { seq: 7, kind: kind.to_owned(), data: data.to_string(), at: Timestamp(0) };
            json!(told("d", &happening))
        };
        let segment =
            json!({ "draft_id": "d", "segment_id": "s", "user_id": "bob", "segment_order": 3, "created_at": "t" });
        assert_eq!(
            tell("collab.segment_added", &segment),
            json!({
                "event_id": "7", "ts": "1970-01-01T00:00:00+00:00", "type": "segment_added", "actor_user_id": "bob",
                "draft_id": "d", "summary": "@bob added segment 3",
                "meta": { "segment_id": "s", "user_id": "bob", "segment_order": 3 },
            })
        );
        let sentences = [
            (
                "collab.draft_created",
                json!({ "creator_id": "a", "title": "T", "platform": "x" }),
                "@a created draft 'T'",
            ),
            ("collab.ring_passed", json!({ "from_user_id": "a", "to_user_id": "b" }), "@a passed ring to @b"),
            ("collab.collaborator_added", json!({ "collaborator_id": "b", "role": "x" }), "@b joined as collaborator"),
            (
                "collab.ring_passed",
                json!({ "from_user_id": "a", "to_user_id": "b", "reason": "lease" }),
                "@a lost ring to @b",
            ),
            ("collab.collaborator_removed", json!({ "collaborator_id": "b", "reason": "left" }), "@b left"),
            ("collab.collaborator_removed", json!({ "collaborator_id": "b", "reason": "removed" }), "@b was removed"),
            (
                "collab.draft_transferred",
                json!({ "from_user_id": "a", "to_user_id": "b" }),
                "@a handed the draft over to @b",
            ),
            ("collab.locked", json!({ "actor_id": "a" }), "@a performed collab.locked"),
            ("collab.locked", json!({}), "somebody performed collab.locked"),
        ];
        for (kind, data, sentence) in sentences {
            assert_eq!(tell(kind, &data)["summary"], sentence);
        }
        assert_eq!(tell("collab.locked", &json!({ "actor_id": "a" }))["type"], "other");
        assert_eq!(tell("collab.locked", &json!({}))["actor_user_id"], Value::Null);
    }
}
