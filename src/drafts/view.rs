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
    seen: Seen,
    /// `{…},{…}`, one object per segment.
    segments: Vec<u8>,
    last_segment_at: Option<Timestamp>,
    contributors: BTreeSet<String>,
    /// `"alice","bob"`, the creator and then everyone who was passed the ring.
    history: Vec<u8>,
    passes: Vec<Timestamp>,
    /// `"bob","carol"` in order of joining.
    collaborators: Vec<u8>,
}

/// The drafts that one shard keeps rendered.
#[derive(Debug)]
pub(super) struct Views {
    young: HashMap<String, View>,
    old: HashMap<String, View>,
    young_bytes: usize,
    generation_bytes: usize,
}

/// Which `metrics` an answer carries (contract 01 §1.2).
#[derive(Debug, Clone, Copy)]
pub(super) enum Metrics {
    /// `null`.
    Null,
    /// As they are at this moment.
    At(Timestamp),
}

impl Views {
    /// An empty cache that keeps at most about `cache_bytes`.
    pub(super) fn new(cache_bytes: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), young_bytes: 0, generation_bytes: cache_bytes / 2 }
    }

    /// How far this draft was read, for [`fetch`] to go on from there.
    pub(super) fn seen(&self, draft_id: &str) -> Seen {
        self.young.get(draft_id).or_else(|| self.old.get(draft_id)).map(|view| view.seen).unwrap_or_default()
    }

    /// Appends the Draft object to `out`, brought up to date with what was fetched.
    pub(super) fn show(&mut self, draft_id: &str, fetched: Fetched, metrics: Metrics, out: &mut Vec<u8>) -> Shown {
        let known = self.young.remove_entry(draft_id).inspect(|(_, view)| self.young_bytes -= view.bytes());
        let known = known.or_else(|| self.old.remove_entry(draft_id));
        let (key, view) = match (fetched, known) {
            (Fetched::Nothing, _) => return Shown::NoSuchDraft,
            (Fetched::Same(version), Some((key, mut view))) => {
                view.seen.version = version;
                (key, view)
            }
            (Fetched::New(news), Some((key, mut view))) if view.seen == news.seen => {
                view.add(*news);
                (key, view)
            }
            (Fetched::New(news), _) if news.seen == Seen::default() => (draft_id.to_owned(), View::new(*news)),
            // It was dropped, or read by somebody else, between the fetching and now.
            (Fetched::Same(_) | Fetched::New(_), known) => {
                known.into_iter().for_each(|(key, view)| self.keep(key, view));
                return Shown::Outdated;
            }
        };
        view.render(metrics, out);
        self.keep(key, view);
        Shown::Draft
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
    /// Of a draft that was read from its beginning.
    fn new(news: News) -> Self {
        let mut history = Vec::new();
        push_string(&mut history, &news.head.creator_id);
        let mut view = Self {
            seen: Seen::default(),
            segments: Vec::new(),
            last_segment_at: None,
            contributors: BTreeSet::from([news.head.creator_id.clone()]),
            history,
            passes: Vec::new(),
            collaborators: Vec::new(),
            head: news.head.clone(),
        };
        view.add(news);
        view
    }

    /// Adds what is new.
    fn add(&mut self, news: News) {
        let News { version, head, segments, passes, collaborators, .. } = news;
        (self.seen.version, self.seen.event_seq, self.head) = (version, head.event_seq, head);
        segments.iter().for_each(|segment| self.push_segment(segment));
        for (row, to_user, at) in passes {
            push_string(&mut self.history, &to_user);
            self.passes.push(at);
            self.seen.passes += 1;
            self.seen.last_pass_row = row;
        }
        for (row, user) in collaborators {
            push_string(&mut self.collaborators, &user);
            self.seen.collaborators += 1;
            self.seen.last_collaborator_row = row;
        }
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
        self.seen.segments += 1;
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

/// How far a draft was read; by default not at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// [`Reader::version`] before the head was read.
    version: Option<u64>,
    event_seq: i64,
    segments: i64,
    passes: i64,
    last_pass_row: i64,
    collaborators: i64,
    last_collaborator_row: i64,
}

/// What there is of a draft beyond what was seen. Plain values, so that they may be read on any thread.
#[derive(Debug)]
pub(super) enum Fetched {
    /// There is no such draft.
    Nothing,
    /// Nothing is new.
    Same(Option<u64>),
    /// There is more.
    New(Box<News>),
}

/// What is new of a draft.
#[derive(Debug)]
pub(super) struct News {
    /// Behind what it comes.
    seen: Seen,
    version: Option<u64>,
    head: Head,
    segments: Vec<store::Segment>,
    passes: Vec<(i64, String, Timestamp)>,
    collaborators: Vec<(i64, String)>,
}

/// What came of showing a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// The draft as it is.
    Draft,
    /// There is none.
    NoSuchDraft,
    /// What was fetched does not follow what is known; to be fetched anew.
    Outdated,
}

/// Reads what the draft's head counts and was not seen. What was added after the head was read is left for the next time, so
/// head and parts always agree; if there is less than the head counts, the draft is damaged. Nothing of a draft is ever
/// removed, so one that was seen is there.
pub(super) fn fetch(reader: &Reader, draft_id: &str, seen: Seen) -> Result<Fetched, Error> {
    let version = reader.version();
    if version.is_some() && version == seen.version {
        return Ok(Fetched::Same(version));
    }
    let head = match store::head(reader, draft_id)? {
        Some(head) if head.event_seq != seen.event_seq => head,
        None if seen == Seen::default() => return Ok(Fetched::Nothing),
        _ => return Ok(Fetched::Same(version)),
    };
    let (mut segments, mut passes, mut collaborators) = (Vec::new(), Vec::new(), Vec::new());
    if seen.segments < head.segments {
        segments = store::segments(reader, head.row, seen.segments, head.segments)?;
        agree("segments", seen.segments + segments.len() as i64, head.segments)?;
    }
    if seen.passes < head.passes {
        passes = store::passes(reader, head.row, seen.last_pass_row, head.passes - seen.passes)?;
        agree("passes", seen.passes + passes.len() as i64, head.passes)?;
    }
    if seen.collaborators < head.collaborators {
        let (after, missing) = (seen.last_collaborator_row, head.collaborators - seen.collaborators);
        collaborators = store::collaborators(reader, head.row, &head.creator_id, after, missing)?;
        agree("collaborators", seen.collaborators + collaborators.len() as i64, head.collaborators)?;
    }
    Ok(Fetched::New(Box::new(News { seen, version, head, segments, passes, collaborators })))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn drafts() -> Reader {
        let reader = Reader::in_memory(crate::drafts::MIGRATIONS);
        reader.batch(
            "INSERT INTO drafts (draft_id, creator_id, title, platform, holder_id, segment_count, event_seq, passed_at, \
             created_at, updated_at) VALUES ('d', 'a', 't', 'x', 'a', 1, 1, 0, 0, 0); \
             INSERT INTO draft_segments (draft, segment_order, segment_id, user_id, content, created_at) \
             VALUES (1, 0, 's0', 'a', 'first', 0)",
        );
        reader
    }

    fn append(reader: &Reader) {
        reader.batch(
            "UPDATE drafts SET segment_count = 2, event_seq = 2; \
             INSERT INTO draft_segments (draft, segment_order, segment_id, user_id, content, created_at) \
             VALUES (1, 1, 's1', 'a', 'second', 0)",
        );
    }

    fn segments(views: &mut Views, fetched: Fetched) -> (Shown, usize) {
        let mut out = Vec::new();
        let shown = views.show("d", fetched, Metrics::Null, &mut out);
        (shown, String::from_utf8(out).unwrap().matches("\"segment_id\"").count())
    }

    #[test]
    fn what_is_fetched_is_what_is_new() {
        let (reader, mut views) = (drafts(), Views::new(1 << 20));
        assert!(matches!(fetch(&reader, "nowhere", Seen::default()), Ok(Fetched::Nothing)));
        let all = fetch(&reader, "d", views.seen("d")).unwrap();
        assert_eq!(segments(&mut views, all), (Shown::Draft, 1));
        assert!(matches!(fetch(&reader, "d", views.seen("d")), Ok(Fetched::Same(None))));
        append(&reader);
        let more = fetch(&reader, "d", views.seen("d")).unwrap();
        assert!(matches!(&more, Fetched::New(news) if news.segments.len() == 1), "{more:?}");
        assert_eq!(segments(&mut views, more), (Shown::Draft, 2));
        reader.batch("UPDATE drafts SET segment_count = 3, event_seq = 3");
        assert!(fetch(&reader, "d", views.seen("d")).unwrap_err().is_damage());
    }

    #[test]
    fn what_was_not_asked_for_lately_is_dropped_and_what_is_too_large_is_not_kept() {
        let (reader, one) = (drafts(), fetch(&drafts(), "d", Seen::default()).unwrap());
        let mut views = Views::new(1 << 20);
        segments(&mut views, one);
        let bytes = views.young_bytes;
        // Room for one in each generation.
        let mut views = Views::new(2 * bytes);
        for draft in ["d", "e", "f"] {
            let fetched = fetch(&reader, "d", Seen::default()).unwrap();
            assert_eq!(views.show(draft, fetched, Metrics::Null, &mut Vec::new()), Shown::Draft);
        }
        assert_eq!(["d", "e", "f"].map(|draft| views.seen(draft).segments), [0, 1, 1]);
        let mut views = Views::new(2 * bytes - 2);
        segments(&mut views, fetch(&reader, "d", Seen::default()).unwrap());
        assert_eq!(views.seen("d").segments, 0);
    }

    #[test]
    fn what_was_fetched_for_another_view_is_not_shown_but_the_whole_always_is() {
        let (reader, mut views) = (drafts(), Views::new(1 << 20));
        let [first, again] = [(), ()].map(|()| fetch(&reader, "d", Seen::default()).unwrap());
        assert_eq!(segments(&mut views, first), (Shown::Draft, 1));
        append(&reader);
        let [more, twice] = [(), ()].map(|()| fetch(&reader, "d", views.seen("d")).unwrap());
        assert_eq!(segments(&mut views, more), (Shown::Draft, 2));
        assert_eq!(segments(&mut views, twice), (Shown::Outdated, 0));
        assert_eq!(views.seen("d").segments, 2, "what is known stays");
        assert_eq!(segments(&mut views, again), (Shown::Draft, 1), "as it was then");
        assert_eq!(segments(&mut Views::new(1 << 20), Fetched::Same(None)), (Shown::Outdated, 0));
    }
}
