//! The words of drafts and their bounds.

use std::fmt::Write as _;

use sha1::{Digest, Sha1};

use super::chain::Hash;
use crate::clock::Timestamp;

/// The longest title, in code points.
pub const TITLE_MAX_CHARS: usize = 200;
/// The longest segment, in code points.
pub const CONTENT_MAX_CHARS: usize = 500;
/// The longest idempotency key, in code points; an empty one is a key like any other (ruling 1).
pub const IDEMPOTENCY_KEY_MAX_CHARS: usize = 255;
/// The longest role of a collaborator, in code points.
pub const ROLE_MAX_CHARS: usize = 50;
/// The longest reason for taking a text out, in code points.
pub const REASON_MAX_CHARS: usize = 500;
/// The longest lease of a ring that a draft may have: a year.
pub const LEASE_MAX_SECONDS: i64 = 31_536_000;
/// The status of a draft that takes appends.
pub const ACTIVE: &str = "active";
/// The status of one that takes none.
pub const LOCKED: &str = "locked";
/// Drafts in one answer to a list; a user with more is told so and can ask for the rest.
pub const LIST_MAX_DRAFTS: usize = 500;
/// Bytes of one answer to a list, one draft more at most.
pub const LIST_MAX_BYTES: usize = 8 * 1024 * 1024;
/// Events in one answer of the event log, unless the client says how many.
pub const PAGE_EVENTS: i64 = 100;
/// Events in one answer of the event log, at most. Bytes need no bound of their own: names, titles and roles are short,
/// and only a draft's first event has free text, one body's worth.
pub const PAGE_MAX_EVENTS: i64 = 1000;

/// Segments in one page of a draft, unless the client says how many.
pub const PAGE_SEGMENTS: i64 = 100;
/// Segments in one page of a draft, at most.
pub const PAGE_MAX_SEGMENTS: i64 = 1000;
/// Segments of an older program that get their hashes with one change, at most; a draft with more of them needs several.
pub const CHAINED_MAX_SEGMENTS: i64 = 10_000;

/// What a draft is, apart from what has been appended to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// Row id, for joins.
    pub row: i64,
    /// UUID, for the world.
    pub draft_id: String,
    /// Who made it.
    pub creator_id: String,
    /// As given.
    pub title: String,
    /// As given; free text.
    pub platform: String,
    /// `active`, or `locked`: it takes no appends.
    pub status: String,
    /// Who has the ring.
    pub holder_id: String,
    /// Segments so far, and the order of the next one.
    pub segments: i64,
    /// Passes so far.
    pub passes: i64,
    /// Collaborators so far, the creator not counted.
    pub collaborators: i64,
    /// Events so far: the draft's version.
    pub event_seq: i64,
    /// The last pass; before the first one, the creation.
    pub passed_at: Timestamp,
    /// Creation.
    pub created_at: Timestamp,
    /// The last append or pass.
    pub updated_at: Timestamp,
    /// Changes so far of what was shown before: while it is the same, things were only added.
    pub rewritten: i64,
    /// Who had the ring first.
    pub founder_id: String,
    /// The draft's own lease of the ring; without one the server's counts, and 0 is none.
    pub lease_seconds: Option<i64>,
    /// Segments that have their hashes: all, unless an older program has written some.
    pub chained: i64,
    /// The hash of the last of these; before the first one, [`BEGINNING`](super::chain::BEGINNING).
    pub chain: Hash,
}

impl Head {
    /// That of a new draft of alice's, whose ring somebody has, for tests.
    #[cfg(test)]
    pub(super) fn of_alice(holder: &str) -> Self {
        Self {
            row: 1,
            draft_id: "d".into(),
            creator_id: "alice".into(),
            title: "t".into(),
            platform: "x".into(),
            status: ACTIVE.into(),
            holder_id: holder.into(),
            segments: 0,
            passes: 0,
            collaborators: 0,
            event_seq: 0,
            passed_at: Timestamp(0),
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
            rewritten: 0,
            founder_id: "alice".into(),
            lease_seconds: None,
            chained: 0,
            chain: super::chain::BEGINNING,
        }
    }

    /// The lease of the ring in seconds, where that of the server is so long; 0 is none.
    pub fn lease(&self, of_server: u64) -> u64 {
        self.lease_seconds.map_or(of_server, |seconds| u64::try_from(seconds).unwrap_or_default())
    }

    /// Whether it takes no appends.
    pub fn is_locked(&self) -> bool {
        self.status == LOCKED
    }
}

/// How a user is shown to others: `@u_` and the last six hex digits of SHA-1 of the id (contract 01 §0.2).
pub fn display_name(user_id: &str) -> String {
    let digest = Sha1::digest(user_id.as_bytes());
    let mut name = String::from("@u_");
    for byte in digest.iter().skip(17) {
        // Writing to a String cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_are_those_of_the_original() {
        assert_eq!(display_name("alice"), "@u_ecc9e8");
        assert_eq!(display_name("bob"), "@u_29920a");
    }
}
