//! Small drafts as JSON, kept rendered by each shard.
//!
//! As a rule segments, passes and collaborators are only added: a rendered part stays right, and bringing a draft up to date
//! means reading its head and rendering what is new. When nothing at all has been committed since, not even the head is
//! read. What changes or removes something that was shown counts the draft's `rewritten` up: what was rendered before is then
//! forgotten, and the draft read from its beginning.
//!
//! What is kept, and what is answered at once, has a bound ([`WHOLE_MAX_BYTES`]). A larger draft is read and told in pieces
//! ([`pieces`](super::pieces)), each time anew.
//!
//! The cache is bounded in bytes by `DRAFT_CACHE_BYTES` per shard, in two generations: what was not asked for during one
//! whole generation is dropped.

use std::collections::HashMap;

use super::model::Head;
use super::parts::{self, Gathered, Metrics, Place};
use super::store;
use crate::store::{Error, Reader};

/// Segments, names of holders and names of collaborators of a draft that is answered at once and kept, rendered.
pub(super) const WHOLE_MAX_BYTES: usize = 1024 * 1024;
/// What a segment takes at the least: more of them than fit are not even begun with.
const SEGMENT_BYTES: usize = 340;
/// How often a draft is read, if it is rewritten every time.
pub(super) const READ_MAX_TIMES: usize = 4;

/// One draft, rendered as far as it was known when last looked at.
#[derive(Debug)]
pub(super) struct View {
    head: Head,
    seen: Seen,
    rendered: Rendered,
    gathered: Gathered,
}

/// The parts of a draft that grow.
#[derive(Debug, Default)]
struct Rendered {
    /// `{…},{…}`, one object per segment.
    segments: Vec<u8>,
    /// `,"bob","carol"`, everyone who was passed the ring.
    passes: Vec<u8>,
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

impl Views {
    /// An empty cache that keeps at most about `cache_bytes`.
    pub(super) fn new(cache_bytes: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), young_bytes: 0, generation_bytes: cache_bytes / 2 }
    }

    /// How far this draft was read, for [`fetch`] to go on from there.
    pub(super) fn seen(&self, draft_id: &str) -> Seen {
        self.young.get(draft_id).or_else(|| self.old.get(draft_id)).map(|view| view.seen).unwrap_or_default()
    }

    /// The version of the draft as it is kept, if it is.
    pub(super) fn version(&self, draft_id: &str) -> Option<i64> {
        self.young.get(draft_id).or_else(|| self.old.get(draft_id)).map(View::version)
    }

    /// Hands `show` the draft, brought up to date with what was fetched.
    pub(super) fn show<T>(&mut self, draft_id: &str, fetched: Fetched, show: impl FnOnce(&View) -> T) -> Shown<T> {
        let known = self.young.remove_entry(draft_id).inspect(|(_, view)| self.young_bytes -= view.bytes());
        let known = known.or_else(|| self.old.remove_entry(draft_id));
        let (key, view) = match (fetched, known) {
            (Fetched::Nothing, _) => return Shown::NoSuchDraft,
            (Fetched::Same(version), Some((key, mut view))) => {
                view.seen.version = version;
                (key, view)
            }
            (Fetched::New(news), Some((key, mut view))) if view.seen == news.behind => {
                view.add(*news);
                (key, view)
            }
            (Fetched::New(news), _) if news.behind == Seen::default() => (draft_id.to_owned(), View::new(*news)),
            // It was dropped, or read by somebody else, between the fetching and now.
            (other, known) => {
                known.into_iter().for_each(|(key, view)| self.keep(key, view));
                return if let Fetched::Large(head) = other { Shown::Large(head) } else { Shown::Outdated };
            }
        };
        let shown = show(&view);
        self.keep(key, view);
        Shown::Draft(shown)
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
        let seen = news.seen();
        let News { head, rendered, gathered, .. } = news;
        Self { head, seen, rendered, gathered }
    }

    /// The draft's version.
    pub(super) fn version(&self) -> i64 {
        self.head.event_seq
    }

    /// Adds what is new.
    fn add(&mut self, news: News) {
        self.seen = news.seen();
        self.head = news.head;
        self.gathered.add(news.gathered);
        self.rendered.segments.extend_from_slice(&news.rendered.segments);
        self.rendered.passes.extend_from_slice(&news.rendered.passes);
        self.rendered.collaborators.extend_from_slice(&news.rendered.collaborators);
    }

    /// Appends the Draft object.
    pub(super) fn render(&self, metrics: Metrics, out: &mut Vec<u8>) {
        out.reserve(self.rendered.bytes() + 1024);
        self.write(metrics, out, Vec::extend_from_slice);
    }

    /// How many bytes the Draft object has.
    pub(super) fn length(&self, metrics: Metrics) -> usize {
        let (mut rest, mut bytes) = (Vec::new(), 0);
        self.write(metrics, &mut rest, |_, part| bytes += part.len());
        rest.len() + bytes
    }

    fn write(&self, metrics: Metrics, out: &mut Vec<u8>, mut put: impl FnMut(&mut Vec<u8>, &[u8])) {
        parts::opening(&self.head, out);
        put(out, &self.rendered.segments);
        parts::before_passes(&self.head, out);
        put(out, &self.rendered.passes);
        parts::before_collaborators(&self.head, out);
        put(out, &self.rendered.collaborators);
        parts::closing(&self.head, &self.gathered, metrics, out);
    }

    /// About what it takes in memory.
    fn bytes(&self) -> usize {
        let texts = self.head.title.len() + self.head.platform.len() + self.gathered.authors.len() * 128;
        1024 + texts + self.rendered.bytes() + self.gathered.passes.len() * 8
    }
}

impl Rendered {
    fn bytes(&self) -> usize {
        self.segments.len() + self.passes.len() + self.collaborators.len()
    }
}

/// How far a draft was read; by default not at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// [`Reader::version`] before the head was read.
    version: Option<u64>,
    event_seq: i64,
    /// As long as it is the same, the rest is right.
    rewritten: i64,
    place: Place,
    /// What is rendered of it.
    bytes: usize,
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
    /// There is more than is held at once.
    Large(Box<Head>),
}

impl Fetched {
    /// The draft's version, if it is another than was seen.
    pub(super) fn version(&self) -> Option<i64> {
        match self {
            Self::Nothing | Self::Same(_) => None,
            Self::New(news) => Some(news.head.event_seq),
            Self::Large(head) => Some(head.event_seq),
        }
    }
}

/// What is new of a draft.
#[derive(Debug)]
pub(super) struct News {
    /// Behind what it comes.
    behind: Seen,
    version: Option<u64>,
    head: Head,
    place: Place,
    rendered: Rendered,
    gathered: Gathered,
}

impl News {
    /// How far the draft is read with it.
    fn seen(&self) -> Seen {
        let bytes = self.behind.bytes + self.rendered.bytes();
        let (event_seq, rewritten) = (self.head.event_seq, self.head.rewritten);
        Seen { version: self.version, event_seq, rewritten, place: self.place, bytes }
    }

    /// Reads the next page of what is missing; false when nothing is.
    fn read(&mut self, reader: &Reader) -> Result<bool, Error> {
        let Self { head, place, gathered, rendered, .. } = self;
        Ok(place.segments(reader, head, gathered, &mut rendered.segments)?
            || place.passes(reader, head, gathered, &mut rendered.passes)?
            || place.collaborators(reader, head, &mut rendered.collaborators)?)
    }
}

/// What came of showing a draft.
#[derive(Debug, PartialEq)]
pub(super) enum Shown<T> {
    /// The draft as it is was shown.
    Draft(T),
    /// There is none.
    NoSuchDraft,
    /// What was fetched does not follow what is known; to be fetched anew.
    Outdated,
    /// It is not shown at once: what has this head is to be told in pieces.
    Large(Box<Head>),
}

/// Reads what the draft's head counts and was not seen. What was added after the head was read is left for the next time, so
/// head and parts always agree; if there is less than the head counts, the draft is damaged. If more rows are new than
/// `rows_max`, none is read.
///
/// # Errors
/// When the store fails, or has not what the head counts; `Busy` when the draft is rewritten again and again while it is read.
pub(super) fn fetch(reader: &Reader, draft_id: &str, seen: Seen, rows_max: i64) -> Result<Fetched, Error> {
    let version = reader.version();
    if version.is_some() && version == seen.version {
        return Ok(Fetched::Same(version));
    }
    let mut seen = seen;
    for _ in 0..READ_MAX_TIMES {
        let version = reader.version();
        let Some(head) = store::head(reader, draft_id)? else { return Ok(Fetched::Nothing) };
        if head.event_seq == seen.event_seq {
            return Ok(Fetched::Same(version));
        }
        if head.rewritten != seen.rewritten {
            seen = Seen::default();
        }
        let (rewritten, fetched) = (head.rewritten, read(reader, version, head, seen, rows_max));
        // What is of two moments is neither shown nor taken for damage. When nothing was committed, there is only one.
        let of_one_moment = fetched.is_ok() && version.is_some() && version == reader.version();
        if of_one_moment || store::rewritten(reader, draft_id)? == Some(rewritten) {
            return fetched;
        }
        seen = Seen::default();
    }
    Err(parts::rewritten_meanwhile())
}

/// What is new since `seen` by this head.
fn read(reader: &Reader, version: Option<u64>, head: Head, seen: Seen, rows_max: i64) -> Result<Fetched, Error> {
    let segments = usize::try_from(seen.place.missing_segments(&head)).unwrap_or_default();
    if seen.place.missing(&head) > rows_max || seen.bytes + segments * SEGMENT_BYTES > WHOLE_MAX_BYTES {
        return Ok(Fetched::Large(Box::new(head)));
    }
    let (rendered, gathered) = (Rendered::default(), Gathered::default());
    let mut news = News { behind: seen, version, head, place: seen.place, rendered, gathered };
    while news.read(reader)? {
        if seen.bytes + news.rendered.bytes() > WHOLE_MAX_BYTES {
            return Ok(Fetched::Large(Box::new(news.head)));
        }
    }
    Ok(Fetched::New(Box::new(news)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::drafts::pieces::Pieces;
    use crate::net::body::PIECE_BYTES;

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

    fn rendered(view: &View) -> String {
        let (mut out, now) = (Vec::new(), Metrics::At(Timestamp(1)));
        view.render(now, &mut out);
        assert_eq!(view.length(now), out.len());
        String::from_utf8(out).unwrap()
    }

    fn all(reader: &Reader, seen: Seen) -> Result<Fetched, Error> {
        fetch(reader, "d", seen, i64::MAX)
    }

    /// How many segments are shown.
    fn segments(views: &mut Views, fetched: Fetched) -> Shown<usize> {
        views.show("d", fetched, |view| rendered(view).matches("\"segment_id\"").count())
    }

    #[test]
    fn what_is_fetched_is_what_is_new() {
        let (reader, mut views) = (drafts(), Views::new(1 << 20));
        assert!(matches!(fetch(&reader, "nowhere", Seen::default(), 9), Ok(Fetched::Nothing)));
        assert!(matches!(fetch(&reader, "d", Seen::default(), 0), Ok(Fetched::Large(_))), "more than it may read");
        let first = all(&reader, views.seen("d")).unwrap();
        assert_eq!(segments(&mut views, first), Shown::Draft(1));
        assert!(matches!(fetch(&reader, "d", views.seen("d"), 0), Ok(Fetched::Same(None))));
        append(&reader);
        let more = all(&reader, views.seen("d")).unwrap();
        assert!(matches!(&more, Fetched::New(news) if news.gathered.authors.len() == 1), "{more:?}");
        assert_eq!(segments(&mut views, more), Shown::Draft(2));
        reader.batch("UPDATE drafts SET segment_count = 3, event_seq = 3");
        assert!(all(&reader, views.seen("d")).unwrap_err().is_damage());
    }

    #[test]
    fn what_was_rendered_before_a_change_of_it_is_forgotten() {
        let (reader, mut views) = (drafts(), Views::new(1 << 20));
        append(&reader);
        let first = all(&reader, Seen::default()).unwrap();
        assert_eq!(segments(&mut views, first), Shown::Draft(2));
        reader.batch(
            "UPDATE draft_segments SET content = '', redacted = 1 WHERE segment_id = 's0'; \
             UPDATE drafts SET event_seq = 3, rewritten = 1",
        );
        let anew = all(&reader, views.seen("d")).unwrap();
        assert!(matches!(&anew, Fetched::New(news) if news.behind == Seen::default()), "{anew:?}");
        let Shown::Draft(text) = views.show("d", anew, rendered) else { panic!() };
        assert!(text.contains("[redacted]") && text.contains("second") && !text.contains("first"), "{text}");
        reader.batch("UPDATE drafts SET segment_count = 3, event_seq = 4");
        assert!(all(&reader, views.seen("d")).unwrap_err().is_damage(), "what is only added is missed as before");
        reader.batch("UPDATE drafts SET deleted_at = 0");
        let gone = all(&reader, views.seen("d")).unwrap();
        assert!(matches!(gone, Fetched::Nothing), "{gone:?}");
        assert_eq!(views.show("d", gone, |_| ()), Shown::NoSuchDraft);
        assert_eq!(views.seen("d"), Seen::default(), "nothing of it is kept");
    }

    #[test]
    fn pieces_of_a_draft_that_is_rewritten_meanwhile_come_to_no_end() {
        let reader = drafts();
        grow(&reader, 600, 400, 3);
        let head = store::head(&reader, "d").unwrap().unwrap();
        let mut pieces = Pieces::new(head, Metrics::Null);
        assert!(pieces.next(&reader, &mut Vec::new()).unwrap());
        reader.batch("DELETE FROM draft_collaborators; UPDATE drafts SET collaborator_count = 0, rewritten = 1");
        let ended =
            std::iter::from_fn(|| Some(pieces.next(&reader, &mut Vec::new()))).find(|more| !matches!(more, Ok(true)));
        let error = ended.unwrap().unwrap_err();
        assert!(!error.is_damage() && error.to_string().contains("rewritten"), "{error}");
    }

    /// Adds segments of so many characters, passes and collaborators, and counts them.
    fn grow(reader: &Reader, segments: i64, chars: usize, names: i64) {
        reader.batch(&format!(
            "WITH RECURSIVE n (at) AS (SELECT 1 UNION ALL SELECT at + 1 FROM n WHERE at < {segments}) \
             INSERT INTO draft_segments (draft, segment_order, segment_id, user_id, content, created_at) \
             SELECT 1, at, 's' || at, 'u' || at % 7, printf('%.{chars}c', '\"'), at FROM n; \
             WITH RECURSIVE n (at) AS (SELECT 1 UNION ALL SELECT at + 1 FROM n WHERE at < {names}) \
             INSERT INTO ring_passes (draft, from_user, to_user, passed_at) SELECT 1, 'a', 'p' || at, at FROM n; \
             WITH RECURSIVE n (at) AS (SELECT 1 UNION ALL SELECT at + 1 FROM n WHERE at < {names}) \
             INSERT INTO draft_collaborators (draft, user_id, role, joined_at) SELECT 1, 'c' || at, 'x', at FROM n; \
             UPDATE drafts SET segment_count = {segments} + 1, pass_count = {names}, collaborator_count = {names}, \
             event_seq = event_seq + 1"
        ));
    }

    #[test]
    fn a_draft_is_the_same_in_pieces_and_whole_and_what_is_added_meanwhile_waits() {
        let (reader, mut views) = (drafts(), Views::new(1 << 22));
        let mut whole = |fetched| match views.show("d", fetched, rendered) {
            Shown::Draft(text) => text,
            other => panic!("{other:?}"),
        };
        let small = whole(all(&reader, Seen::default()).unwrap());
        grow(&reader, 300, 500, 100);
        let grown = whole(all(&reader, Seen::default()).unwrap());
        for (text, orders) in [(&small, 1), (&grown, 301)] {
            let value: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(value["segments"].as_array().unwrap().len(), orders);
        }
        let head = store::head(&reader, "d").unwrap().unwrap();
        let (mut pieces, mut told, mut count) = (Pieces::new(head, Metrics::At(Timestamp(1))), Vec::new(), 0);
        loop {
            let mut piece = Vec::new();
            let more = pieces.next(&reader, &mut piece).unwrap();
            assert!(piece.len() < 2 * PIECE_BYTES, "{}", piece.len());
            told.extend_from_slice(&piece);
            count += 1;
            if !more {
                break;
            }
            reader.batch(&format!(
                "INSERT INTO draft_segments (draft, segment_order, segment_id, user_id, content, created_at) \
                 VALUES (1, 300 + {count}, 'later', 'later', 'later', 0); \
                 UPDATE drafts SET segment_count = segment_count + 1, event_seq = event_seq + 1"
            ));
        }
        assert!(count > 3 && String::from_utf8(told).unwrap() == grown);
    }

    #[test]
    fn what_is_too_large_to_be_held_is_told_by_its_head_alone() {
        let reader = drafts();
        // By what was read of it, and by the number of its segments before anything is read.
        for (segments, chars) in [(1100, 500), (3100, 1)] {
            reader.batch("DELETE FROM draft_segments WHERE segment_order > 0");
            grow(&reader, segments, chars, 0);
            reader.batch("DELETE FROM ring_passes; DELETE FROM draft_collaborators");
            assert!(matches!(all(&reader, Seen::default()), Ok(Fetched::Large(_))), "{segments} of {chars}");
        }
        let mut smallest = Vec::new();
        let id = "00000000-0000-4000-8000-000000000000";
        let created_at = Timestamp(0);
        let segment =
            store::Segment { order: 0, segment_id: id, user_id: "a", content: "x", created_at, is_redacted: false };
        let head = Head { draft_id: id.to_owned(), ..store::head(&reader, "d").unwrap().unwrap() };
        parts::push_segment(&head, &segment, &mut smallest);
        assert!((SEGMENT_BYTES..SEGMENT_BYTES + 50).contains(&smallest.len()), "{}", smallest.len());
        let mut views = Views::new(1 << 22);
        let small = drafts();
        segments(&mut views, all(&small, Seen::default()).unwrap());
        let [grown, known] = [&reader, &small].map(|reader| all(reader, views.seen("d")).unwrap());
        let shown = segments(&mut views, grown);
        assert!(matches!(shown, Shown::Large(_)), "{shown:?}");
        assert_eq!(segments(&mut views, known), Shown::Draft(1), "what is known stays");
    }

    #[test]
    fn what_was_not_asked_for_lately_is_dropped_and_what_is_too_large_is_not_kept() {
        let (reader, one) = (drafts(), all(&drafts(), Seen::default()).unwrap());
        let mut views = Views::new(1 << 20);
        segments(&mut views, one);
        let bytes = views.young_bytes;
        // Room for one in each generation.
        let mut views = Views::new(2 * bytes);
        for draft in ["d", "e", "f"] {
            let fetched = all(&reader, Seen::default()).unwrap();
            assert_eq!(views.show(draft, fetched, |_| ()), Shown::Draft(()));
        }
        assert_eq!(["d", "e", "f"].map(|draft| views.seen(draft).event_seq), [0, 1, 1]);
        let mut views = Views::new(2 * bytes - 2);
        segments(&mut views, all(&reader, Seen::default()).unwrap());
        assert_eq!(views.seen("d"), Seen::default());
    }

    #[test]
    fn what_was_fetched_for_another_view_is_not_shown_but_the_whole_always_is() {
        let (reader, mut views) = (drafts(), Views::new(1 << 20));
        let [first, again] = [(), ()].map(|()| all(&reader, Seen::default()).unwrap());
        assert_eq!(segments(&mut views, first), Shown::Draft(1));
        append(&reader);
        let [more, twice] = [(), ()].map(|()| all(&reader, views.seen("d")).unwrap());
        assert_eq!(segments(&mut views, more), Shown::Draft(2));
        assert_eq!(segments(&mut views, twice), Shown::Outdated);
        assert_eq!(views.seen("d").event_seq, 2, "what is known stays");
        assert_eq!(segments(&mut views, again), Shown::Draft(1), "as it was then");
        assert_eq!(segments(&mut Views::new(1 << 20), Fetched::Same(None)), Shown::Outdated);
    }
}
