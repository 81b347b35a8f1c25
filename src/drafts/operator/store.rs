//! What only an operator asks of drafts, in SQL.

use super::wanted::{SEARCHED_MAX_DRAFTS, Search};
use crate::clock::Timestamp;
use crate::drafts::model::Head;
use crate::drafts::store as drafts;
use crate::store::{Error, Query as _, Reader};

// A title is compared without regard to the case of ASCII letters; what is sought has no wildcards.
const OF_ALL: &str = "SELECT id, draft_id FROM drafts WHERE id < ?1 \
                      AND id > (SELECT coalesce(max(id), 0) FROM drafts WHERE id < ?1) - ?4 \
                      AND (?2 IS NULL OR instr(lower(title), lower(?2)) > 0) ORDER BY id DESC LIMIT ?3";
const OF_USER: &str = "SELECT d.id, d.draft_id FROM draft_collaborators AS c JOIN drafts AS d ON d.id = c.draft \
                       WHERE c.user_id = ?4 AND c.draft < ?1 \
                       AND (?2 IS NULL OR instr(lower(d.title), lower(?2)) > 0) ORDER BY c.draft DESC LIMIT ?3";

/// The drafts in rows before this one that are wanted, newest first; and the id of the last, if there may be more.
pub(super) fn find(reader: &Reader, search: &Search, before: i64) -> Result<(Vec<Head>, Option<String>), Error> {
    let (title, limit) = (search.title.as_deref(), search.limit);
    let ids: Vec<String> = match &search.user {
        None => {
            let values = [before.into(), title.into(), limit.into(), SEARCHED_MAX_DRAFTS.into()];
            reader.all(OF_ALL, &values, |row| row.get(1))?
        }
        Some(user) => {
            let values = [before.into(), title.into(), limit.into(), user.into()];
            reader.all(OF_USER, &values, |row| row.get(1))?
        }
    };
    let next = ids.last().filter(|_| ids.len() == limit).cloned();
    // One that was deleted meanwhile is not shown.
    let heads: Result<Vec<Option<Head>>, Error> = ids.iter().map(|id| drafts::head(reader, id)).collect();
    Ok((heads?.into_iter().flatten().collect(), next))
}

/// A member of a draft.
pub(super) struct Member {
    pub(super) user_id: String,
    pub(super) role: String,
    pub(super) joined_at: Timestamp,
}

/// The members of a draft, at most `limit`, in order of joining: the creator first.
pub(super) fn members(reader: &Reader, draft: i64, limit: i64) -> Result<Vec<Member>, Error> {
    let sql = "SELECT user_id, role, joined_at FROM draft_collaborators WHERE draft = ?1 ORDER BY id LIMIT ?2";
    reader.all(sql, &[draft.into(), limit.into()], |row| {
        Ok(Member { user_id: row.get(0)?, role: row.get(1)?, joined_at: row.get(2)? })
    })
}
