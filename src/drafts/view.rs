//! Drafts as JSON, kept rendered by each shard.
//!
//! Nothing of a draft is ever changed or removed: segments, passes and collaborators are only added. So a rendered
//! part stays right for ever, and bringing a draft up to date means reading its head and rendering what is new.
//! When nothing at all has been committed since, not even the head is read.
//!
//! The cache is bounded in bytes by `DRAFT_CACHE_BYTES` per shard, in two generations: what was not asked for during one
//! whole generation is dropped.

use std::collections::{BTreeSet, HashMap};
use std::io::Write as _;

use super::metrics::{self, Facts};
use super::model::{Head, display_name};
use super::store;
use crate::clock::Timestamp;
use crate::store::{Error, Reader};

/// One draft, rendered as far as it was known when last looked at.
#[derive(Debug)]
struct View {
    head: Head,
    /// [`Reader::version`] before the head was read.
    version: Option<u64>,
    /// `{…},{…}`, one object per segment.
    segments: Vec<u8>,
    segments_seen: i64,
    last_segment_at: Option<Timestamp>,
    contributors: BTreeSet<String>,
    /// `"alice","bob"`, the creator and then everyone who was passed the ring.
    history: Vec<u8>,
    passes: Vec<Timestamp>,
    last_pass_row: i64,
    /// `"bob","carol"` in order of joining.
    collaborators: Vec<u8>,
    collaborators_seen: i64,
    last_collaborator_row: i64,
}

/// The drafts that one shard keeps rendered.
#[derive(Debug)]
pub struct Views {
    young: HashMap<String, View>,
    old: HashMap<String, View>,
    young_bytes: usize,
    generation_bytes: usize,
}

/// Which `metrics` an answer carries (contract 01 §1.2).
#[derive(Debug, Clone, Copy)]
pub enum Metrics {
    /// `null`.
    Null,
    /// As they are at this moment.
    At(Timestamp),
}

impl Views {
    /// An empty cache that keeps at most about `cache_bytes`.
    #[must_use]
    pub fn new(cache_bytes: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), young_bytes: 0, generation_bytes: cache_bytes / 2 }
    }

    /// Appends the Draft object as it is now to `out`. False when there is no such draft.
    ///
    /// # Errors
    /// When the store fails.
    pub fn render(
        &mut self,
        reader: &Reader,
        draft_id: &str,
        metrics: Metrics,
        out: &mut Vec<u8>,
    ) -> Result<bool, Error> {
        let known = self.young.remove_entry(draft_id).inspect(|(_, view)| self.young_bytes -= view.bytes());
        let (key, view) = match known.or_else(|| self.old.remove_entry(draft_id)) {
            Some((key, mut view)) => {
                view.refresh(reader)?;
                (key, view)
            }
            None => match View::load(reader, draft_id)? {
                Some(view) => (draft_id.to_owned(), view),
                None => return Ok(false),
            },
        };
        view.render(metrics, out);
        self.keep(key, view);
        Ok(true)
    }

    fn keep(&mut self, draft_id: String, view: View) {
        let bytes = view.bytes();
        if bytes > self.generation_bytes {
            return;
        }
        if self.young_bytes + bytes > self.generation_bytes {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += bytes;
        self.young.insert(draft_id, view);
    }
}

impl View {
    fn load(reader: &Reader, draft_id: &str) -> Result<Option<Self>, Error> {
        let version = reader.version();
        let Some(head) = store::head(reader, draft_id)? else { return Ok(None) };
        let mut view = Self {
            version,
            segments: Vec::new(),
            segments_seen: 0,
            last_segment_at: None,
            contributors: BTreeSet::from([head.creator_id.clone()]),
            history: Vec::new(),
            passes: Vec::new(),
            last_pass_row: 0,
            collaborators: Vec::new(),
            collaborators_seen: 0,
            last_collaborator_row: 0,
            head,
        };
        push_string(&mut view.history, &view.head.creator_id);
        view.catch_up(reader)?;
        Ok(Some(view))
    }

    /// Makes the view show everything committed before the call.
    fn refresh(&mut self, reader: &Reader) -> Result<(), Error> {
        let version = reader.version();
        if version.is_some() && version == self.version {
            return Ok(());
        }
        let head = store::head(reader, &self.head.draft_id)?;
        if let Some(head) = head.filter(|head| head.event_seq != self.head.event_seq) {
            self.head = head;
            self.catch_up(reader)?;
        }
        self.version = version;
        Ok(())
    }

    /// Reads what the head counts and the view lacks. What was added after the head was read is left for the
    /// next time, so head and parts always agree; if there is less than the head counts, the draft is damaged.
    fn catch_up(&mut self, reader: &Reader) -> Result<(), Error> {
        let draft = self.head.row;
        let (seen, total) = (self.segments_seen, self.head.segments);
        if seen < total {
            store::segments(reader, draft, seen, total, |segment| self.push_segment(segment))?;
            agree("segments", self.segments_seen, total)?;
        }
        let missing = self.head.passes - self.passes.len() as i64;
        if missing > 0 {
            for (row, to_user, at) in store::passes(reader, draft, self.last_pass_row, missing)? {
                push_string(&mut self.history, &to_user);
                self.passes.push(at);
                self.last_pass_row = row;
            }
            agree("passes", self.passes.len() as i64, self.head.passes)?;
        }
        let missing = self.head.collaborators - self.collaborators_seen;
        if missing > 0 {
            let after = self.last_collaborator_row;
            for (row, user) in store::collaborators(reader, draft, &self.head.creator_id, after, missing)? {
                push_string(&mut self.collaborators, &user);
                self.collaborators_seen += 1;
                self.last_collaborator_row = row;
            }
            agree("collaborators", self.collaborators_seen, self.head.collaborators)?;
        }
        Ok(())
    }

    fn push_segment(&mut self, segment: &store::Segment) {
        let out = &mut self.segments;
        out.extend_from_slice(if out.is_empty() { b"{" } else { b",{" });
        field(out, "segment_id", &segment.segment_id);
        field(out, "draft_id", &self.head.draft_id);
        field(out, "user_id", &segment.user_id);
        field(out, "content", &segment.content);
        let display = display_name(&segment.user_id);
        // Writing to a Vec cannot fail.
        let _ = write!(
            out,
            r#""created_at":"{}","segment_order":{},"idempotency_key":null,"#,
            segment.created_at.offset_style(),
            segment.order
        );
        field(out, "author_user_id", &segment.user_id);
        field(out, "author_display", &display);
        field(out, "ring_holder_user_id_at_write", &segment.user_id);
        let _ = write!(out, r#""ring_holder_display_at_write":"{display}"}}"#);
        self.segments_seen += 1;
        self.last_segment_at = Some(segment.created_at);
        if !self.contributors.contains(&segment.user_id) {
            self.contributors.insert(segment.user_id.clone());
        }
    }

    fn render(&self, metrics: Metrics, out: &mut Vec<u8>) {
        let head = &self.head;
        out.reserve(self.segments.len() + self.history.len() + self.collaborators.len() + 1024);
        out.push(b'{');
        field(out, "draft_id", &head.draft_id);
        field(out, "creator_id", &head.creator_id);
        field(out, "title", &head.title);
        // An empty platform reads back as "X" (contract 01 §1.2).
        field(out, "platform", if head.platform.is_empty() { "X" } else { &head.platform });
        field(out, "status", &head.status);
        out.extend_from_slice(br#""segments":["#);
        out.extend_from_slice(&self.segments);
        out.extend_from_slice(br#"],"ring_state":{"#);
        field(out, "draft_id", &head.draft_id);
        field(out, "current_holder_id", &head.holder_id);
        out.extend_from_slice(br#""holders_history":["#);
        out.extend_from_slice(&self.history);
        let passed_at = head.passed_at.offset_style();
        // Writing to a Vec cannot fail.
        let _ = write!(out, r#"],"passed_at":"{passed_at}","last_passed_at":"{passed_at}","idempotency_key":null}},"#);
        out.extend_from_slice(br#""collaborators":["#);
        out.extend_from_slice(&self.collaborators);
        let _ = write!(
            out,
            r#"],"pending_invites":[],"created_at":"{}","updated_at":"{}","target_publish_at":null,"metrics":"#,
            head.created_at.offset_style(),
            head.updated_at.offset_style()
        );
        match metrics {
            Metrics::Null => out.extend_from_slice(b"null"),
            Metrics::At(now) => metrics::render(&self.facts(), now, out),
        }
        out.push(b'}');
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            contributors: self.contributors.len(),
            passes: &self.passes,
            created_at: self.head.created_at,
            passed_at: self.head.passed_at,
            last_segment_at: self.last_segment_at,
        }
    }

    /// About what it takes in memory.
    fn bytes(&self) -> usize {
        let texts = self.head.title.len() + self.head.platform.len() + self.contributors.len() * 128;
        1024 + texts + self.segments.len() + self.history.len() + self.collaborators.len() + self.passes.len() * 8
    }
}

/// Fails when not all are there that the head counts.
fn agree(what: &str, found: i64, counted: i64) -> Result<(), Error> {
    if found == counted {
        return Ok(());
    }
    Err(Error::Damaged(format!("{found} {what} are there, and {counted} are counted")))
}

/// Appends `"name":"value",`.
fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    string(out, value);
    out.push(b',');
}

/// Appends a JSON string to a list of them.
fn push_string(out: &mut Vec<u8>, value: &str) {
    if !out.is_empty() {
        out.push(b',');
    }
    string(out, value);
}

fn string(out: &mut Vec<u8>, value: &str) {
    // Neither a string nor a Vec can fail to serialise.
    let _ = serde_json::to_writer(out, value);
}
