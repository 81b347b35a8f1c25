//! Who may read a draft (ruling 7): anyone while `DRAFTS_PUBLIC_READ` is true, else its members. Code that shows
//! anything of a draft to somebody asks here first.

use std::sync::Arc;

use super::error::GONE;
use super::model::Head;
use super::store;
use crate::gate::validate::ECHO_CHARS;
use crate::gate::{ApiError, Code};
use crate::store::{Query, Reader};
use crate::text::cut;

/// The question whether a user may read a draft.
pub(super) struct MayRead(Option<Member>);

/// Who has to be a member, and of which draft.
struct Member {
    draft_id: Arc<str>,
    user: String,
}

impl MayRead {
    /// For this user and this draft.
    pub(super) fn new(public_read: bool, draft_id: &Arc<str>, user: &str) -> Self {
        let member = || Member { draft_id: Arc::clone(draft_id), user: user.to_owned() };
        Self((!public_read).then(member))
    }

    /// Asks it. While reading is public nothing is looked up: whether the draft exists is then for the caller to find
    /// out.
    ///
    /// # Errors
    /// 404 when there is no such draft, then 403 when the user is no member, as for changes.
    pub(super) fn ask(&self, reader: &Reader) -> Result<(), ApiError> {
        let Some(Member { draft_id, user }) = &self.0 else { return Ok(()) };
        member(reader, draft_id, user, || not_member(user, draft_id)).map(|_| ())
    }
}

/// The draft, for one of its members; for others `refused`. For what only members see even where anyone may read.
///
/// # Errors
/// 404 when there is no such draft, then `refused`.
pub(super) fn member(
    reader: &Reader,
    draft_id: &str,
    user: &str,
    refused: impl FnOnce() -> ApiError,
) -> Result<Head, ApiError> {
    let Some(head) = store::head(reader, draft_id)? else { return Err(missing(reader, draft_id)) };
    // The creator is a member by a row of the same table.
    if store::is_member(reader, head.row, user)? { Ok(head) } else { Err(refused()) }
}

/// Fails when the draft was deleted: 410. For those who take one that never was for an empty one.
pub(super) fn not_gone(reader: &Reader, draft_id: &str) -> Result<(), ApiError> {
    if store::is_gone(reader, draft_id)? { Err(gone(draft_id)) } else { Ok(()) }
}

/// Why a draft was not found: 404, there is none; or 410, it was deleted.
pub(super) fn missing(db: &impl Query, draft_id: &str) -> ApiError {
    match store::is_gone(db, draft_id) {
        Ok(true) => gone(draft_id),
        Ok(false) => not_found(draft_id),
        Err(error) => error.into(),
    }
}

fn gone(draft_id: &str) -> ApiError {
    ApiError::new(Code::Of(&GONE), format!("Draft {} was deleted", cut(draft_id, ECHO_CHARS)))
}

fn not_found(draft_id: &str) -> ApiError {
    ApiError::new(Code::NotFound, format!("Draft {} not found", cut(draft_id, ECHO_CHARS)))
}

/// 403: this user has no part in this draft.
pub(super) fn not_member(user: &str, draft_id: &str) -> ApiError {
    let (user, draft_id) = (cut(user, ECHO_CHARS), cut(draft_id, ECHO_CHARS));
    ApiError::new(Code::Forbidden, format!("User {user} is not owner/collaborator for draft {draft_id}"))
}
