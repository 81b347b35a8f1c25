//! What an operator does to a draft: each deed as one change, by the same functions as when its creator does it.

use serde_json::{Value, json};

use crate::drafts::change::Change;
use crate::drafts::model::{CHAINED_MAX_SEGMENTS, REASON_MAX_CHARS};
use crate::drafts::parting::{deletion, lease, leaving, redaction};
use crate::drafts::ring::{Parting, Refusal};
use crate::drafts::store;
use crate::gate::{ApiError, USER_ID_MAX_CHARS};
use crate::store::Tx;

/// What is done to a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deed {
    /// Its creator holds the ring, whoever had it.
    ReleaseRing,
    /// This member does not belong to it any more.
    RemoveMember(String),
    /// The text of a segment is taken out.
    Redact {
        /// Which segment.
        segment_id: String,
        /// Why, for the audit log.
        reason: String,
    },
    /// It is gone.
    Delete,
}

impl Deed {
    /// Method, what follows the draft in the path, and body of its request.
    pub(super) fn request(&self) -> (&'static str, &'static str, Value) {
        match self {
            Self::ReleaseRing => ("POST", "/release-ring", Value::Null),
            Self::RemoveMember(user) => ("POST", "/remove-member", json!({ "user": user })),
            Self::Redact { segment_id, reason } => {
                ("POST", "/redact", json!({ "segment_id": segment_id, "reason": reason }))
            }
            Self::Delete => ("DELETE", "", Value::Null),
        }
    }

    /// That of a request with this body.
    ///
    /// # Errors
    /// 422: what is wrong with it.
    pub(super) fn remove_member(body: &Value) -> Result<Self, ApiError> {
        Ok(Self::RemoveMember(text(body, "user", USER_ID_MAX_CHARS)?))
    }

    /// That of a request with this body.
    ///
    /// # Errors
    /// 422: what is wrong with it.
    pub(super) fn redact(body: &Value) -> Result<Self, ApiError> {
        let segment_id = text(body, "segment_id", USER_ID_MAX_CHARS)?;
        Ok(Self::Redact { segment_id, reason: text(body, "reason", REASON_MAX_CHARS)? })
    }

    /// Does it, and says what was done.
    ///
    /// # Errors
    /// 404 or 410 where there is no such draft, or no such segment; 409 where the state does not allow it.
    pub(super) fn run(&self, tx: &mut Tx<'_>, change: &Change) -> Result<Value, ApiError> {
        let mut head = change.head(tx)?;
        let (draft_id, holder) = (head.draft_id.clone(), head.holder_id.clone());
        match self {
            Self::ReleaseRing => {
                let released = holder != head.creator_id;
                if released {
                    lease::take_back(tx, change, &mut head, "operator")?;
                }
                Ok(
                    json!({ "draft_id": draft_id, "from_user_id": holder, "holder_id": head.creator_id, "released": released }),
                )
            }
            Self::RemoveMember(user) => {
                if *user == head.creator_id {
                    return Err(change.refused(Refusal::CreatorStays, user));
                }
                if !change.is_member(tx, &head, user)? {
                    return Err(change.refused(Refusal::NotCollaborator, user));
                }
                leaving::remove(tx, change, &mut head, user, Parting::Removed)?;
                Ok(json!({ "draft_id": draft_id, "user_id": user, "holder_id": head.holder_id }))
            }
            Self::Redact { segment_id, reason } => {
                // What loses its text can be given no hash any more.
                while !store::chain_up(tx, &mut head, CHAINED_MAX_SEGMENTS)? {}
                redaction::redact(tx, change, &mut head, segment_id, reason)?;
                Ok(json!({ "draft_id": draft_id, "segment_id": segment_id, "redacted": true }))
            }
            Self::Delete => {
                deletion::delete(tx, change, &mut head)?;
                Ok(json!({ "draft_id": draft_id, "segments": head.segments, "deleted": true }))
            }
        }
    }
}

/// A text of a body, up to so many characters.
fn text(body: &Value, name: &str, most: usize) -> Result<String, ApiError> {
    let given = body[name].as_str().filter(|text| (1..=most).contains(&text.chars().count()));
    given
        .map(str::to_owned)
        .ok_or_else(|| ApiError::malformed(format!("{name} must be a text of 1 to {most} characters")))
}
