//! `inkring modules import`: takes over what another household's server has, by the API that the original serves as well.
//!
//! It is read page by page and handed on, as lines of an export, to the server of this household, whose import knows a record by its
//! module, its id and when it was made. So it can be repeated, after a failure or as long as the other server is in use; nothing of
//! it is held in memory but one page, what is about to be sent, and the ids that were seen.

mod listing;
mod verb;

pub(super) use listing::RECORDS_MAX;
pub(super) use verb::{PAGE_MAX_BYTES, Verb};
