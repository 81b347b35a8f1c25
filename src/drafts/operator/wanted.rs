//! What an operator wants to see of drafts, and how much of it at once.

/// Drafts in one page of the list.
pub(in crate::drafts) const DRAFTS_PAGE_MAX: usize = 200;
/// Segments in one page of a draft.
pub(in crate::drafts) const SEGMENTS_PAGE_MAX: i64 = 500;
/// Members of a draft that are shown.
pub(in crate::drafts) const MEMBERS_SHOWN_MAX: i64 = 1000;
/// Drafts that are looked at for one page: a title may be that of few.
pub(in crate::drafts) const SEARCHED_MAX_DRAFTS: i64 = 100_000;

/// Which drafts are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::drafts) struct Search {
    /// Of which user, if it matters.
    pub(in crate::drafts) user: Option<String>,
    /// With what in their title.
    pub(in crate::drafts) title: Option<String>,
    /// The id of the last draft of the page before.
    pub(in crate::drafts) before: Option<String>,
    /// How many, from 1 to [`DRAFTS_PAGE_MAX`].
    pub(in crate::drafts) limit: usize,
}

/// Which segments of a draft are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::drafts) struct Slice {
    /// Those behind this one, which is the last of the page before.
    pub(in crate::drafts) after: i64,
    /// How many, from 1 to [`SEGMENTS_PAGE_MAX`].
    pub(in crate::drafts) limit: i64,
}
