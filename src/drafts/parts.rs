//! The JSON of a draft part by part, rendered as its rows are read (contract 01 §1.2).
//!
//! Segments, passes and collaborators are read a page at a time, so that whoever shows a draft decides how much of it is in
//! memory: [`view`](super::view) keeps all of a small one, [`pieces`](super::pieces) has some pages of a large one.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;

use super::metrics::{self, Facts};
use super::model::{Head, display_name};
use super::store::{self, Segment};
use crate::clock::Timestamp;
use crate::store::{Error, Reader};

/// Segments, passes or collaborators that are read and rendered at once.
pub(super) const PAGE_ROWS: i64 = 32;

/// Which `metrics` an answer carries (contract 01 §1.2).
#[derive(Debug, Clone, Copy)]
pub(super) enum Metrics {
    /// `null`.
    Null,
    /// As they are at this moment.
    At(Timestamp),
    /// The same, and behind them the lease of the ring.
    WithLease {
        /// The moment.
        now: Timestamp,
        /// The lease of drafts that have none of their own, in seconds.
        of_server: u64,
    },
}

/// How far the parts of a draft were read; by default not at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    segments: i64,
    /// With which segment it begins, and before which it ends where that is not the last one.
    first_segment: i64,
    end_segment: Option<i64>,
    passes: i64,
    last_pass_row: i64,
    collaborators: i64,
    last_collaborator_row: i64,
}

/// What the metrics are made of, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// Who wrote a segment.
    pub(super) authors: BTreeSet<String>,
    /// When the ring was passed.
    pub(super) passes: Vec<Timestamp>,
    /// When the last segment was written.
    pub(super) last_segment_at: Option<Timestamp>,
}

impl Gathered {
    /// Adds what was read after it.
    pub(super) fn add(&mut self, newer: Self) {
        self.authors.extend(newer.authors);
        self.passes.extend(newer.passes);
        self.last_segment_at = newer.last_segment_at.or(self.last_segment_at);
    }

    fn facts<'a>(&'a self, head: &Head) -> Facts<'a> {
        Facts {
            contributors: self.authors.len() + usize::from(!self.authors.contains(&head.creator_id)),
            passes: &self.passes,
            created_at: head.created_at,
            passed_at: head.passed_at,
            last_segment_at: self.last_segment_at,
        }
    }
}

impl Place {
    /// At the segments of a page: those of this order and after it, and before that one.
    pub(super) fn of_page(first: i64, end: i64) -> Self {
        Self { segments: first, first_segment: first, end_segment: Some(end), ..Self::default() }
    }

    /// Segments that the head counts and that were not read.
    pub(super) fn missing_segments(&self, head: &Head) -> i64 {
        head.segments - self.segments
    }

    /// Rows that the head counts and that were not read.
    pub(super) fn missing(&self, head: &Head) -> i64 {
        self.missing_segments(head) + head.passes - self.passes + head.collaborators - self.collaborators
    }

    /// Appends the next segments that the head counts, one page of them; nothing when there are no more.
    ///
    /// # Errors
    /// When the store fails, or has not what the head counts.
    pub(super) fn segments(
        &mut self,
        reader: &Reader,
        head: &Head,
        gathered: &mut Gathered,
        out: &mut Vec<u8>,
    ) -> Result<bool, Error> {
        let end = self.end_segment.unwrap_or(i64::MAX).min(head.segments);
        if self.segments >= end {
            return Ok(false);
        }
        let (from, to) = (self.segments, end.min(self.segments + PAGE_ROWS));
        store::segments(reader, head.row, from, to, |segment| {
            if segment.order > self.first_segment {
                out.push(b',');
            }
            push_segment(head, &segment, out);
            self.segments += 1;
            gathered.last_segment_at = Some(segment.created_at);
            if !gathered.authors.contains(segment.user_id) {
                gathered.authors.insert(segment.user_id.to_owned());
            }
        })?;
        agree("segments", self.segments, to, head.segments)
    }

    /// Appends those to whom the ring was passed next, one page of them; nothing when there are no more.
    ///
    /// # Errors
    /// When the store fails, or has not what the head counts.
    pub(super) fn passes(
        &mut self,
        reader: &Reader,
        head: &Head,
        gathered: &mut Gathered,
        out: &mut Vec<u8>,
    ) -> Result<bool, Error> {
        let missing = (head.passes - self.passes).min(PAGE_ROWS);
        if missing <= 0 {
            return Ok(false);
        }
        let to = self.passes + missing;
        store::passes(reader, head.row, self.last_pass_row, missing, |row, to_user, at| {
            // After the one who had it first.
            out.push(b',');
            string(out, to_user);
            gathered.passes.push(at);
            self.passes += 1;
            self.last_pass_row = row;
        })?;
        agree("passes", self.passes, to, head.passes)
    }

    /// Appends the collaborators who joined next, one page of them; nothing when there are no more.
    ///
    /// # Errors
    /// When the store fails, or has not what the head counts.
    pub(super) fn collaborators(&mut self, reader: &Reader, head: &Head, out: &mut Vec<u8>) -> Result<bool, Error> {
        let missing = (head.collaborators - self.collaborators).min(PAGE_ROWS);
        if missing <= 0 {
            return Ok(false);
        }
        let to = self.collaborators + missing;
        let after = self.last_collaborator_row;
        store::collaborators(reader, head.row, &head.creator_id, after, missing, |row, user| {
            if self.collaborators > 0 {
                out.push(b',');
            }
            string(out, user);
            self.collaborators += 1;
            self.last_collaborator_row = row;
        })?;
        agree("collaborators", self.collaborators, to, head.collaborators)
    }
}

/// What a reading ends with when somebody has changed meanwhile what was read: to be done again.
pub(super) fn rewritten_meanwhile() -> Error {
    Error::Busy("the draft was rewritten while it was read".to_owned())
}

/// Fails when not all are there that the head counts.
fn agree(what: &str, found: i64, expected: i64, counted: i64) -> Result<bool, Error> {
    if found == expected {
        return Ok(true);
    }
    Err(Error::Damaged(format!("{found} {what} are there, and {counted} are counted")))
}

/// All that stands before the segments.
pub(super) fn opening(head: &Head, out: &mut Vec<u8>) {
    out.push(b'{');
    field(out, "draft_id", &head.draft_id);
    field(out, "creator_id", &head.creator_id);
    field(out, "title", &head.title);
    // An empty platform reads back as "X" (contract 01 §1.2).
    field(out, "platform", if head.platform.is_empty() { "X" } else { &head.platform });
    field(out, "status", &head.status);
    out.extend_from_slice(br#""segments":["#);
}

/// Appends a segment.
pub(super) fn push_segment(head: &Head, segment: &Segment<'_>, out: &mut Vec<u8>) {
    out.push(b'{');
    field(out, "segment_id", segment.segment_id);
    field(out, "draft_id", &head.draft_id);
    field(out, "user_id", segment.user_id);
    field(out, "content", segment.content);
    let display = display_name(segment.user_id);
    // Writing to a Vec cannot fail.
    let _ = write!(
        out,
        r#""created_at":"{}","segment_order":{},"idempotency_key":null,"#,
        segment.created_at.offset_style(),
        segment.order
    );
    field(out, "author_user_id", segment.user_id);
    field(out, "author_display", &display);
    field(out, "ring_holder_user_id_at_write", segment.user_id);
    let _ = write!(out, r#""ring_holder_display_at_write":"{display}"}}"#);
}

/// What stands between the segments and those to whom the ring was passed.
pub(super) fn before_passes(head: &Head, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"],"ring_state":{"#);
    field(out, "draft_id", &head.draft_id);
    field(out, "current_holder_id", &head.holder_id);
    out.extend_from_slice(br#""holders_history":["#);
    string(out, &head.founder_id);
}

/// What stands between them and the collaborators.
pub(super) fn before_collaborators(head: &Head, out: &mut Vec<u8>) {
    let passed_at = head.passed_at.offset_style();
    // Writing to a Vec cannot fail.
    let _ = write!(out, r#"],"passed_at":"{passed_at}","last_passed_at":"{passed_at}","idempotency_key":null}},"#);
    out.extend_from_slice(br#""collaborators":["#);
}

/// All that stands behind the collaborators. Everything else must have been read.
pub(super) fn closing(head: &Head, gathered: &Gathered, metrics: Metrics, out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail.
    let _ = write!(
        out,
        r#"],"pending_invites":[],"created_at":"{}","updated_at":"{}","target_publish_at":null,"metrics":"#,
        head.created_at.offset_style(),
        head.updated_at.offset_style()
    );
    match metrics {
        Metrics::Null => out.extend_from_slice(b"null"),
        Metrics::At(now) => metrics::render(&gathered.facts(head), now, out),
        Metrics::WithLease { now, of_server } => {
            metrics::render(&gathered.facts(head), now, out);
            push_lease(head, of_server, out);
        }
    }
    out.push(b'}');
}

/// The same behind a page of segments: whether there are more after it, and how often what was shown before was changed, so that
/// pages are known that do not belong together.
pub(super) fn closing_page(head: &Head, more: bool, out: &mut Vec<u8>) {
    closing(head, &Gathered::default(), Metrics::Null, out);
    out.pop();
    // Writing to a Vec cannot fail.
    let _ = write!(out, r#","more":{more},"rewritten":{}}}"#, head.rewritten);
}

fn push_lease(head: &Head, of_server: u64, out: &mut Vec<u8>) {
    let (seconds, since) = (head.lease(of_server), head.updated_at);
    let set_by = if head.lease_seconds.is_some() { "draft" } else { "server" };
    // Writing to a Vec cannot fail.
    let _ = write!(out, r#","lease":{{"seconds":{seconds},"set_by":"{set_by}","#);
    let _ = write!(out, r#""silent_since":"{}","reclaim_from":"#, since.offset_style());
    if seconds == 0 || head.holder_id == head.creator_id {
        out.extend_from_slice(b"null}");
    } else {
        let _ = write!(out, r#""{}"}}"#, since.later(Duration::from_secs(seconds)).offset_style());
    }
}

/// Appends `"name":"value",`.
fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    string(out, value);
    out.push(b',');
}

fn string(out: &mut Vec<u8>, value: &str) {
    // Neither a string nor a Vec can fail to serialise.
    let _ = serde_json::to_writer(out, value);
}
