//! Drafts whose rows cannot be read, or contradict each other. Such a draft answers 500 and takes no more changes until
//! the server is started again; everything else goes on.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::gate::ApiError;

/// Damaged drafts that are remembered. Of further ones every request finds out anew.
pub(super) const DAMAGED_MAX: usize = 1000;

/// The drafts found damaged, by any shard. Remembered so that a change to one is refused before it reaches the writer, where
/// a damaged page costs the other changes of its transaction their commit, and so that each is reported once.
#[derive(Debug, Clone, Default)]
pub(super) struct Damaged(Arc<Mutex<HashSet<String>>>);

impl Damaged {
    /// Whether this draft may be changed, as far as is known.
    ///
    /// # Errors
    /// 500 when it is damaged.
    pub(super) fn check(&self, draft_id: &str) -> Result<(), ApiError> {
        if self.0.lock().contains(draft_id) {
            return Err(ApiError::internal("the draft is damaged: \"draft.damaged\" in the log says how it was found"));
        }
        Ok(())
    }

    /// Remembers the draft if this is what was wrong.
    pub(super) fn note(&self, draft_id: &str, error: &ApiError) {
        if !error.is_damage() {
            return;
        }
        let mut known = self.0.lock();
        if known.len() < DAMAGED_MAX && known.insert(draft_id.to_owned()) {
            drop(known);
            log::error!(draft_id, error = error.context(); "draft.damaged");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Error;

    #[test]
    fn what_is_damaged_is_remembered_and_nothing_else_and_not_without_end() {
        let damaged = Damaged::default();
        damaged.note("a", &ApiError::internal("not about rows"));
        damaged.check("a").unwrap();
        for number in 0..DAMAGED_MAX + 1 {
            damaged.note(&number.to_string(), &Error::Damaged("a segment is missing".into()).into());
        }
        assert!(damaged.check("0").is_err() && damaged.check("999").is_err());
        damaged.clone().check("1000").unwrap();
    }
}
