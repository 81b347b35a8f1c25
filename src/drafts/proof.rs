//! The chain of a draft as it is told and as it is checked: a segment's hashes for all who may read the draft, and a verdict for
//! the operator.
//!
//! What an older program has written gets its hashes with the next append ([`store::chain_up`]); until then they are made here as
//! they are asked for, and are the same.

use std::io::Write as _;
use std::rc::Rc;
use std::sync::Arc;

use http::Method;

use super::access::missing;
use super::chain::{Break, Hash, Link, Walk, hex};
use super::desk::{Desk, unasked};
use super::model::Head;
use super::parts::{self, PAGE_ROWS};
use super::store::{self, StoredLink};
use super::version::{self, Known};
use crate::gate::{ApiError, Call, Outcome, Route, Routes};
use crate::net::body::PIECE_BYTES;
use crate::store::{Error, Reader};

/// What is served.
pub(super) const ROUTES: [Route; 1] = [Route::public(&Method::GET, "/v1/collab/drafts/{draft_id}/chain")
    .about("draft_id")
    .does("Read the hashes of a draft's segments")];

/// Adds the route for one shard.
pub(super) fn routes(routes: &mut Routes, desk: &Rc<Desk>) {
    let [to_prove] = ROUTES;
    desk.add_reading(routes, to_prove, chain);
}

fn chain(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let draft_id: Arc<str> = call.param("draft_id").into();
    let may_read = desk.may_read(&draft_id, call);
    let (wanted, damaged) = (Arc::clone(&draft_id), desk.shared.damaged.clone());
    let fetch = move |reader: &Reader| {
        may_read.ask(reader)?;
        damaged.check(&wanted)?;
        store::head(reader, &wanted)?.ok_or_else(|| missing(reader, &wanted))
    };
    let (telling, known, is_head) = (Rc::clone(desk), Known::of(call), call.method == Method::HEAD);
    desk.parts.read(call, fetch, move |head| {
        let version = head.event_seq;
        if known.is(version) {
            return Ok(version::not_modified(version));
        }
        if is_head {
            return Ok(version::tagged(unasked(None), version));
        }
        let (mut told, damaged) = (Told::new(head), telling.shared.damaged.clone());
        let made = telling.parts.made(move |reader, out| {
            let more = told.next(reader, out).map_err(ApiError::from);
            more.inspect_err(|error| damaged.note(&draft_id, error))
        });
        Ok(version::tagged(made, version))
    })
}

/// The answer, as far as it was told.
struct Told {
    head: Head,
    /// Segments that were told, and the hash of the last of them.
    segments: i64,
    last: Hash,
}

impl Told {
    fn new(head: Head) -> Self {
        Self { head, segments: 0, last: Walk::default().last().to_owned() }
    }

    /// Appends what comes next, about [`PIECE_BYTES`]; false when that was all.
    ///
    /// # Errors
    /// When the store fails, or has not what the head counts; `Busy` when the draft was deleted meanwhile.
    fn next(&mut self, reader: &Reader, out: &mut Vec<u8>) -> Result<bool, Error> {
        let read = self.read(reader, out);
        // Asked afterwards: deleted drafts lose their hashes, and no others do, whatever of them is taken out.
        match store::rewritten(reader, &self.head.draft_id)? {
            Some(_) => read,
            None => Err(parts::rewritten_meanwhile()),
        }
    }

    fn read(&mut self, reader: &Reader, out: &mut Vec<u8>) -> Result<bool, Error> {
        if self.segments == 0 {
            out.extend_from_slice(br#"{"data":{"draft_id":"#);
            // Neither a text nor a Vec can fail.
            let _ = serde_json::to_writer(&mut *out, &self.head.draft_id);
            out.extend_from_slice(br#","segments":["#);
        }
        while self.segments < self.head.segments && out.len() < PIECE_BYTES {
            let Self { head, segments, last } = self;
            page(reader, head, *segments, false, |stored| {
                let link = stored.hashed(last);
                *last = link.chain;
                *segments += 1;
                push(&link, out);
            })?;
        }
        let more = self.segments < self.head.segments;
        if !more {
            out.extend_from_slice(b"]}}");
        }
        Ok(more)
    }
}

/// Hands `each` the segments of one page, with their texts or not.
///
/// # Errors
/// When the store fails, or has not what the head counts.
fn page(
    reader: &Reader,
    head: &Head,
    from: i64,
    texts: bool,
    mut each: impl FnMut(StoredLink<'_>),
) -> Result<(), Error> {
    let (to, mut found) = (head.segments.min(from + PAGE_ROWS), from);
    store::links(reader, head.row, from, to, texts, |stored| {
        found += 1;
        each(stored);
    })?;
    match found == to {
        true => Ok(()),
        false => Err(Error::Damaged(format!("{found} segments are there, and {} are counted", head.segments))),
    }
}

impl StoredLink<'_> {
    /// With its hashes: those that it has, or those that it gets behind `previous`.
    fn hashed(&self, previous: &Hash) -> Link {
        let (order, segment_id) = (self.order, self.segment_id);
        match self.hashes {
            Some((content, chain)) => Link { order, segment_id: segment_id.to_owned(), content, chain },
            None => Link::new(previous, order, segment_id, self.text.unwrap_or_default()),
        }
    }
}

fn push(link: &Link, out: &mut Vec<u8>) {
    out.extend_from_slice(if link.order == 0 { br#"{"segment_id":"# } else { br#",{"segment_id":"# });
    // Neither a text nor a Vec can fail.
    let _ = serde_json::to_writer(&mut *out, &link.segment_id);
    let _ = write!(out, r#","segment_order":{},"content_sha256":""#, link.order);
    out.extend_from_slice(&hex(&link.content));
    out.extend_from_slice(br#"","chain_sha256":""#);
    out.extend_from_slice(&hex(&link.chain));
    out.extend_from_slice(br#""}"#);
}

/// What was found of a draft's chain.
#[derive(Debug, PartialEq, Eq)]
pub struct Proof {
    /// Segments up to the end, or to the first that is wrong.
    pub segments: i64,
    /// Those of them whose texts were taken out: their hashes are still in the chain.
    pub taken_out: i64,
    /// Those of them that an older program has written, and that have no hashes before somebody writes in the draft again.
    pub unhashed: i64,
    /// The chain's last hash, in hexadecimal digits: to be compared with one that was noted elsewhere.
    pub last: String,
    /// Where it breaks first.
    pub fault: Option<Break>,
}

/// Follows the chain of a draft to its end, or to where it breaks. `None` when there is no such draft.
///
/// What a whole chain proves: no text was changed and no segment added, removed or moved since, *if* its last hash is one that was
/// known before, from a receipt or an earlier look. A program that can rewrite the file can also rewrite the chain.
///
/// # Errors
/// When the store fails, or has not what the draft counts.
pub fn verify(reader: &Reader, draft_id: &str) -> Result<Option<Proof>, Error> {
    let Some(head) = store::head(reader, draft_id)? else { return Ok(None) };
    let (mut walk, mut taken_out, mut unhashed, mut fault) = (Walk::default(), 0, 0, None);
    let mut read = 0;
    while read < head.segments && fault.is_none() {
        page(reader, &head, read, true, |stored| {
            read += 1;
            if fault.is_none() {
                taken_out += i64::from(stored.text.is_none());
                unhashed += i64::from(stored.hashes.is_none());
                let link = stored.hashed(walk.last());
                fault = walk.step(&link, stored.text).err();
            }
        })?;
    }
    if fault.is_none() && head.chained == head.segments && head.chain != *walk.last() {
        fault = Some(Break::Last);
    }
    let last = hex(walk.last()).iter().map(|digit| char::from(*digit)).collect();
    Ok(Some(Proof { segments: walk.good(), taken_out, unhashed, last, fault }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drafts::MIGRATIONS;

    /// What comes of telling the chain of a draft of many segments when this happens to it after the first piece.
    fn told(meanwhile: &str) -> Result<usize, Error> {
        let reader = Reader::in_memory(MIGRATIONS);
        reader.batch(
            "INSERT INTO drafts (id, draft_id, creator_id, title, platform, holder_id, segment_count, passed_at, created_at, \
             updated_at) VALUES (1, 'd', 'a', 't', 'x', 'a', 5000, 0, 0, 0); \
             WITH RECURSIVE n (at) AS (SELECT 0 UNION ALL SELECT at + 1 FROM n WHERE at < 4999) \
             INSERT INTO draft_segments (draft, segment_order, segment_id, user_id, content, created_at, content_sha256, \
             chain_sha256) SELECT 1, at, 's' || at, 'a', 'words', 0, zeroblob(32), zeroblob(32) FROM n",
        );
        let mut told = Told::new(store::head(&reader, "d").unwrap().unwrap());
        let mut out = Vec::new();
        assert!(told.next(&reader, &mut out).unwrap(), "it takes several pieces");
        reader.batch(meanwhile);
        loop {
            let mut piece = Vec::new();
            let more = told.next(&reader, &mut piece)?;
            out.extend(piece);
            if !more {
                let whole: serde_json::Value = serde_json::from_slice(&out).unwrap();
                return Ok(whole["data"]["segments"].as_array().unwrap().len());
            }
        }
    }

    #[test]
    fn a_chain_outlasts_what_is_taken_out_and_is_not_told_of_a_draft_that_was_deleted_meanwhile() {
        let redacted = "UPDATE draft_segments SET content = '', redacted = 1 WHERE segment_order > 4000; \
                        UPDATE drafts SET rewritten = rewritten + 1, event_seq = event_seq + 1";
        assert_eq!(told(redacted), Ok(5000), "hashes stay");
        // As the housekeeper leaves it.
        let purged = "UPDATE draft_segments SET content = '', redacted = 1, segment_id = '', user_id = '', \
                      content_sha256 = NULL, chain_sha256 = NULL; UPDATE drafts SET deleted_at = 1, rewritten = 1";
        assert_eq!(told(purged), Err(parts::rewritten_meanwhile()));
    }
}
