//! Drafts in SQL: what a change reads and writes on the writer, and what a shard reads.
//!
//! Every change counts the draft's `event_seq` up in the same UPDATE that does the rest, and ends in `record`, which
//! writes the event row and hands it on for publishing. So `event_seq` is a version: while it is the same, nothing
//! about the draft has changed. What changes something that was shown before counts `rewritten` up as well: while that is the
//! same, things were only added. A deleted draft is found by nothing here that does not say so.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

use super::chain::{BEGINNING, Hash, Link};
use super::frame::TOPICS;
use super::model::Head;
use crate::clock::{OffsetStyle, Timestamp};
use crate::store::{Error, Event, Query, Reader, Row, Topic, Tx};

const HEAD: &str = "SELECT id, draft_id, creator_id, title, platform, status, holder_id, segment_count, pass_count, \
                    collaborator_count, event_seq, passed_at, created_at, updated_at, rewritten, \
                    coalesce(founder_id, creator_id), lease_seconds, chained, chain_sha256 FROM drafts \
                    WHERE draft_id = ?1 AND deleted_at IS NULL";

/// The head of a draft by its id.
pub fn head(db: &impl Query, draft_id: &str) -> Result<Option<Head>, Error> {
    db.one(HEAD, &[draft_id.into()], head_of)
}

/// How often what was shown of a draft was changed, if there is that draft.
pub fn rewritten(reader: &Reader, draft_id: &str) -> Result<Option<i64>, Error> {
    let sql = "SELECT rewritten FROM drafts WHERE draft_id = ?1 AND deleted_at IS NULL";
    reader.one(sql, &[draft_id.into()], |row| row.get(0))
}

/// Whether a draft was deleted, and that not so long ago that nobody knows of it any more.
pub fn is_gone(db: &impl Query, draft_id: &str) -> Result<bool, Error> {
    db.exists("SELECT 1 FROM drafts WHERE draft_id = ?1 AND deleted_at > 0", &[draft_id.into()])
}

/// The row of a draft, even of one that was deleted.
pub fn row(reader: &Reader, draft_id: &str) -> Result<Option<i64>, Error> {
    reader.one("SELECT id FROM drafts WHERE draft_id = ?1", &[draft_id.into()], |row| row.get(0))
}

/// The head of a draft that is to be changed. What else the change depends on is read after this.
pub fn lock_head(tx: &mut Tx<'_>, draft_id: &str) -> Result<Option<Head>, Error> {
    let head = tx.lock(HEAD, &[draft_id.into()], head_of)?;
    head.iter().for_each(|head| tx.not_before(head.updated_at));
    Ok(head)
}

fn head_of(row: &Row<'_>) -> Result<Head, Error> {
    Ok(Head {
        row: row.get(0)?,
        draft_id: row.get(1)?,
        creator_id: row.get(2)?,
        title: row.get(3)?,
        platform: row.get(4)?,
        status: row.get(5)?,
        holder_id: row.get(6)?,
        segments: row.get(7)?,
        passes: row.get(8)?,
        collaborators: row.get(9)?,
        event_seq: row.get(10)?,
        passed_at: row.get(11)?,
        created_at: row.get(12)?,
        updated_at: row.get(13)?,
        rewritten: row.get(14)?,
        founder_id: row.get(15)?,
        lease_seconds: row.get(16)?,
        chained: row.get(17)?,
        chain: row.get::<Option<Hash>>(18)?.unwrap_or(BEGINNING),
    })
}

/// Whether this user is the creator or a collaborator.
pub fn is_member(db: &impl Query, draft: i64, user_id: &str) -> Result<bool, Error> {
    db.exists("SELECT 1 FROM draft_collaborators WHERE draft = ?1 AND user_id = ?2", &[draft.into(), user_id.into()])
}

/// Whether this user is the creator or a collaborator of any draft.
pub fn is_known(db: &impl Query, user_id: &str) -> Result<bool, Error> {
    db.exists("SELECT 1 FROM draft_collaborators WHERE user_id = ?1", &[user_id.into()])
}

/// Ids of the newest drafts that this user belongs to, newest first; at most `limit`, all older than the draft
/// in row `before` if there is one.
pub fn newest_of_user(
    reader: &Reader,
    user_id: &str,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<Arc<str>>, Error> {
    let before = before.unwrap_or(i64::MAX);
    reader.all(NEWEST_OF_USER, &[user_id.into(), before.into(), limit.into()], |row| Ok(row.get::<&str>(0)?.into()))
}

/// Rows of drafts ascend as they are made, so that this is the order of their times, and the index of a user's drafts gives it:
/// whoever is in a hundred thousand drafts costs no more than others.
const NEWEST_OF_USER: &str = "SELECT d.draft_id FROM draft_collaborators AS c JOIN drafts AS d ON d.id = c.draft \
                              WHERE c.user_id = ?1 AND c.draft < ?2 AND d.deleted_at IS NULL \
                              ORDER BY c.draft DESC LIMIT ?3";

/// All members of a draft, the creator among them, in order of joining.
pub fn members(db: &impl Query, draft: i64) -> Result<Vec<String>, Error> {
    db.all("SELECT user_id FROM draft_collaborators WHERE draft = ?1 ORDER BY id", &[draft.into()], |row| row.get(0))
}

/// When each author of a draft has written last.
pub fn last_written(db: &impl Query, draft: i64) -> Result<HashMap<String, Timestamp>, Error> {
    let authors = db.all(LAST_WRITTEN, &[draft.into()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    // Whoever wrote the newest segment may have written since the row of an author was.
    Ok(authors.into_iter().chain(newest_segment(db, draft)?).collect())
}

/// Who wrote the newest segment of a draft, and when.
fn newest_segment(db: &impl Query, draft: i64) -> Result<Option<(String, Timestamp)>, Error> {
    db.one(NEWEST_SEGMENT, &[draft.into()], |row| Ok((row.get(0)?, row.get(1)?)))
}

const NEWEST_SEGMENT: &str =
    "SELECT user_id, created_at FROM draft_segments WHERE draft = ?1 ORDER BY segment_order DESC LIMIT 1";

const LAST_WRITTEN: &str = "SELECT user_id, wrote_at FROM draft_authors WHERE draft = ?1";

/// What a new draft is made of.
#[derive(Debug)]
pub struct NewDraft {
    /// Chosen by the caller.
    pub draft_id: String,
    /// Creator and first holder.
    pub creator_id: String,
    /// Checked by the caller.
    pub title: String,
    /// Free text.
    pub platform: String,
    /// Id and content of a first segment.
    pub initial_segment: Option<(String, String)>,
}

/// Creates a draft; its creator is its first holder and member.
pub fn create(tx: &mut Tx<'_>, new: &NewDraft, request_id: &str) -> Result<(), Error> {
    let now = tx.now();
    let insert = "INSERT INTO drafts (draft_id, creator_id, title, platform, holder_id, segment_count, event_seq, \
                  passed_at, created_at, updated_at, chained, chain_sha256) \
                  VALUES (?1, ?2, ?3, ?4, ?2, ?5, 1, ?6, ?6, ?6, ?5, ?7)";
    let initial = new.initial_segment.as_ref();
    let initial = initial.map(|(segment_id, content)| (Link::new(&BEGINNING, 0, segment_id, content), content));
    let segments = i64::from(initial.is_some());
    let values = [
        (&new.draft_id).into(),
        (&new.creator_id).into(),
        (&new.title).into(),
        (&new.platform).into(),
        segments.into(),
        now.into(),
        initial.as_ref().map(|(link, _)| &link.chain).into(),
    ];
    let draft = tx.insert(insert, &values)?;
    insert_member(tx, draft, &new.creator_id, "owner")?;
    if let Some((link, content)) = &initial {
        insert_segment(tx, draft, link, &new.creator_id, content)?;
    }
    let data = Data::DraftCreated {
        draft_id: &new.draft_id,
        creator_id: &new.creator_id,
        title: &new.title,
        platform: &new.platform,
        created_at: now.offset_style(),
    };
    record_data(tx, draft, &new.draft_id, 1, &data, request_id)
}

/// Appends a segment by the holder, to a draft whose segments have their hashes ([`chain_up`]). Its place in the chain.
pub fn append(
    tx: &mut Tx<'_>,
    head: &mut Head,
    segment_id: &str,
    content: &str,
    request_id: &str,
) -> Result<Link, Error> {
    let link = Link::new(&head.chain, head.segments, segment_id, content);
    insert_segment(tx, head.row, &link, &head.holder_id, content)?;
    head.event_seq += 1;
    let seq = head.event_seq;
    let update = "UPDATE drafts SET segment_count = segment_count + 1, event_seq = ?2, updated_at = ?3, \
                  chained = segment_count + 1, chain_sha256 = ?4 WHERE id = ?1";
    tx.run(update, &[head.row.into(), seq.into(), tx.now().into(), (&link.chain).into()])?;
    let data = Data::SegmentAdded {
        draft_id: &head.draft_id,
        segment_id,
        user_id: &head.holder_id,
        segment_order: head.segments,
        created_at: tx.now().offset_style(),
    };
    record_data(tx, head.row, &head.draft_id, seq, &data, request_id)?;
    Ok(link)
}

/// Gives segments that an older program has written their hashes, at most `limit` of them, and notes that in the head. Whether
/// now all have them. The version stays: nothing is changed that anybody was shown.
pub fn chain_up(tx: &mut Tx<'_>, head: &mut Head, limit: i64) -> Result<bool, Error> {
    if head.chained >= head.segments {
        return Ok(true);
    }
    let sql = "SELECT id, segment_order, segment_id, content FROM draft_segments \
               WHERE draft = ?1 AND segment_order >= ?2 ORDER BY segment_order LIMIT ?3";
    let (mut links, mut previous) = (Vec::new(), head.chain);
    tx.each(sql, &[head.row.into(), head.chained.into(), limit.into()], |row| {
        let link = Link::new(&previous, row.get(1)?, row.get(2)?, row.get(3)?);
        previous = link.chain;
        links.push((row.get::<i64>(0)?, link));
        Ok(())
    })?;
    let update = "UPDATE draft_segments SET content_sha256 = ?2, chain_sha256 = ?3 WHERE id = ?1";
    for (row, link) in &links {
        tx.run(update, &[(*row).into(), (&link.content).into(), (&link.chain).into()])?;
    }
    head.chained += i64::try_from(links.len()).unwrap_or(i64::MAX);
    head.chain = previous;
    let update = "UPDATE drafts SET chained = ?2, chain_sha256 = ?3 WHERE id = ?1";
    tx.run(update, &[head.row.into(), head.chained.into(), (&head.chain).into()])?;
    if links.is_empty() {
        return Err(Error::Damaged(format!("{} segments are there, and {} are counted", head.chained, head.segments)));
    }
    Ok(head.chained >= head.segments)
}

/// A segment as it stands in the chain.
#[derive(Debug)]
pub struct StoredLink<'r> {
    /// Position in the draft, from 0.
    pub order: i64,
    /// The segment's id.
    pub segment_id: &'r str,
    /// Of its text, and of it behind those before it; `None` while it is only in the form of an older program.
    pub hashes: Option<(Hash, Hash)>,
    /// Its text, where it was asked for or there are no hashes, unless it was taken out.
    pub text: Option<&'r str>,
}

/// Hands `each` the segments with orders in `from..to`, with their texts if asked.
///
/// # Errors
/// When the store fails.
pub fn links(
    reader: &Reader,
    draft: i64,
    from: i64,
    to: i64,
    texts: bool,
    mut each: impl FnMut(StoredLink<'_>),
) -> Result<(), Error> {
    let sql = "SELECT segment_order, segment_id, content_sha256, chain_sha256, \
               CASE WHEN redacted = 0 AND (?4 = 1 OR chain_sha256 IS NULL) THEN content END FROM draft_segments \
               WHERE draft = ?1 AND segment_order >= ?2 AND segment_order < ?3 ORDER BY segment_order";
    reader.each(sql, &[draft.into(), from.into(), to.into(), texts.into()], |row| {
        let hashes = row.get::<Option<Hash>>(2)?.zip(row.get::<Option<Hash>>(3)?);
        each(StoredLink { order: row.get(0)?, segment_id: row.get(1)?, hashes, text: row.get(4)? });
        Ok(())
    })
}

/// The segment with this order in the chain, if there is one and it has its hashes.
pub fn link(db: &impl Query, draft: i64, order: i64) -> Result<Option<Link>, Error> {
    let sql = "SELECT segment_order, segment_id, content_sha256, chain_sha256 FROM draft_segments \
               WHERE draft = ?1 AND segment_order = ?2 AND chain_sha256 IS NOT NULL";
    db.one(sql, &[draft.into(), order.into()], |row| {
        Ok(Link { order: row.get(0)?, segment_id: row.get(1)?, content: row.get(2)?, chain: row.get(3)? })
    })
}

/// Passes the ring. The head has the new version, and says otherwise how it was.
pub fn pass(tx: &mut Tx<'_>, head: &mut Head, to_user: &str, request_id: &str) -> Result<(), Error> {
    pass_for(tx, head, to_user, None, request_id)
}

/// The same where the holder did not ask for it: the event says why, in a word.
pub fn pass_for(
    tx: &mut Tx<'_>,
    head: &mut Head,
    to_user: &str,
    reason: Option<&'static str>,
    request_id: &str,
) -> Result<(), Error> {
    let insert = "INSERT INTO ring_passes (draft, from_user, to_user, passed_at) VALUES (?1, ?2, ?3, ?4)";
    let now = tx.now();
    tx.run(insert, &[head.row.into(), (&head.holder_id).into(), to_user.into(), now.into()])?;
    head.event_seq += 1;
    let seq = head.event_seq;
    let update = "UPDATE drafts SET holder_id = ?2, pass_count = pass_count + 1, event_seq = ?3, passed_at = ?4, \
                  updated_at = ?4 WHERE id = ?1";
    tx.run(update, &[head.row.into(), to_user.into(), seq.into(), now.into()])?;
    let data = Data::RingPassed {
        draft_id: &head.draft_id,
        from_user_id: &head.holder_id,
        to_user_id: to_user,
        passed_at: now.offset_style(),
        reason,
    };
    record_data(tx, head.row, &head.draft_id, seq, &data, request_id)
}

/// Adds a collaborator who is not a member yet.
pub fn add_collaborator(
    tx: &mut Tx<'_>,
    head: &Head,
    user_id: &str,
    role: &str,
    request_id: &str,
) -> Result<(), Error> {
    insert_member(tx, head.row, user_id, role)?;
    let seq = head.event_seq + 1;
    let update = "UPDATE drafts SET collaborator_count = collaborator_count + 1, event_seq = ?2 WHERE id = ?1";
    tx.run(update, &[head.row.into(), seq.into()])?;
    let data = Data::CollaboratorAdded { draft_id: &head.draft_id, collaborator_id: user_id, role };
    record_data(tx, head.row, &head.draft_id, seq, &data, request_id)
}

/// Notes that a person was taken out of a draft, whose head this is by now.
pub fn record_erasure(tx: &mut Tx<'_>, head: &Head, pseudonym: &str, request_id: &str) -> Result<(), Error> {
    let seq = head.event_seq + 1;
    tx.run("UPDATE drafts SET event_seq = ?2 WHERE id = ?1", &[head.row.into(), seq.into()])?;
    let Head { draft_id, creator_id, holder_id, .. } = head;
    let data = Data::PersonErased { draft_id, pseudonym, creator_id, holder_id };
    record_data(tx, head.row, draft_id, seq, &data, request_id)
}

fn insert_member(tx: &mut Tx<'_>, draft: i64, user_id: &str, role: &str) -> Result<(), Error> {
    let insert = "INSERT INTO draft_collaborators (draft, user_id, role, joined_at) VALUES (?1, ?2, ?3, ?4)";
    tx.run(insert, &[draft.into(), user_id.into(), role.into(), tx.now().into()])
}

fn insert_segment(tx: &mut Tx<'_>, draft: i64, link: &Link, user_id: &str, content: &str) -> Result<(), Error> {
    // Authors are written down when they take turns, and not with each append, which would cost a page more of the log.
    let before = newest_segment(tx, draft)?;
    if before.as_ref().is_none_or(|(author, _)| author != user_id) {
        for (author, at) in before.iter().map(|(author, at)| (author.as_str(), *at)).chain([(user_id, tx.now())]) {
            let wrote = "INSERT INTO draft_authors (draft, user_id, wrote_at) VALUES (?1, ?2, ?3) \
                         ON CONFLICT (draft, user_id) DO UPDATE SET wrote_at = excluded.wrote_at";
            tx.run(wrote, &[draft.into(), author.into(), at.into()])?;
        }
    }
    let insert = "INSERT INTO draft_segments (draft, segment_order, segment_id, user_id, content, created_at, \
                  content_sha256, chain_sha256) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let values = [
        draft.into(),
        link.order.into(),
        (&link.segment_id).into(),
        user_id.into(),
        content.into(),
        tx.now().into(),
        (&link.content).into(),
        (&link.chain).into(),
    ];
    tx.run(insert, &values)
}

/// The details of an event, with the members and the order of contract 01 §2.4.
#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    PersonErased {
        draft_id: &'a str,
        pseudonym: &'a str,
        creator_id: &'a str,
        holder_id: &'a str,
    },
    DraftCreated {
        draft_id: &'a str,
        creator_id: &'a str,
        title: &'a str,
        platform: &'a str,
        created_at: OffsetStyle,
    },
    SegmentAdded {
        draft_id: &'a str,
        segment_id: &'a str,
        user_id: &'a str,
        segment_order: i64,
        created_at: OffsetStyle,
    },
    RingPassed {
        draft_id: &'a str,
        from_user_id: &'a str,
        to_user_id: &'a str,
        passed_at: OffsetStyle,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'static str>,
    },
    CollaboratorAdded {
        draft_id: &'a str,
        collaborator_id: &'a str,
        role: &'a str,
    },
}

pub(super) const COLLABORATOR_REMOVED: &str = "collab.collaborator_removed";
pub(super) const DRAFT_TRANSFERRED: &str = "collab.draft_transferred";
pub(super) const DRAFT_LOCKED: &str = "collab.draft_locked";
pub(super) const DRAFT_UNLOCKED: &str = "collab.draft_unlocked";
pub(super) const LEASE_SET: &str = "collab.lease_set";
pub(super) const SEGMENT_REDACTED: &str = "collab.segment_redacted";
pub(super) const DRAFT_DELETED: &str = "collab.draft_deleted";
const DRAFT_CREATED: &str = "collab.draft_created";
const SEGMENT_ADDED: &str = "collab.segment_added";
const RING_PASSED: &str = "collab.ring_passed";
const COLLABORATOR_ADDED: &str = "collab.collaborator_added";
const PERSON_ERASED: &str = "collab.person_erased";

impl Data<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::PersonErased { .. } => PERSON_ERASED,
            Self::DraftCreated { .. } => DRAFT_CREATED,
            Self::SegmentAdded { .. } => SEGMENT_ADDED,
            Self::RingPassed { .. } => RING_PASSED,
            Self::CollaboratorAdded { .. } => COLLABORATOR_ADDED,
        }
    }
}

/// The type of an event as it was stored, if it is one that this program writes.
pub(super) fn known_kind(stored: &str) -> Option<&'static str> {
    [
        DRAFT_CREATED,
        SEGMENT_ADDED,
        RING_PASSED,
        COLLABORATOR_ADDED,
        PERSON_ERASED,
        COLLABORATOR_REMOVED,
        DRAFT_TRANSFERRED,
        DRAFT_LOCKED,
        DRAFT_UNLOCKED,
        LEASE_SET,
        SEGMENT_REDACTED,
        DRAFT_DELETED,
    ]
    .into_iter()
    .find(|kind| *kind == stored)
}

/// Writes the event that the draft's head counts last, and hands it on.
pub(super) fn record(
    tx: &mut Tx<'_>,
    head: &Head,
    kind: &'static str,
    data: &impl Serialize,
    request_id: &str,
) -> Result<(), Error> {
    write_event(tx, (head.row, &head.draft_id, head.event_seq), kind, data, request_id)
}

fn record_data(
    tx: &mut Tx<'_>,
    draft: i64,
    draft_id: &str,
    seq: i64,
    data: &Data<'_>,
    request_id: &str,
) -> Result<(), Error> {
    write_event(tx, (draft, draft_id, seq), data.kind(), data, request_id)
}

fn write_event(
    tx: &mut Tx<'_>,
    (draft, draft_id, seq): (i64, &str, i64),
    kind: &'static str,
    data: &impl Serialize,
    request_id: &str,
) -> Result<(), Error> {
    let at = tx.now();
    // Texts and numbers always serialise; the error type only has no way to say so.
    let data = serde_json::to_string(data).map_err(|error| Error::Other(error.to_string()))?;
    let insert = "INSERT INTO events (draft, seq, type, data, request_id, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let values = [draft.into(), seq.into(), kind.into(), (&data).into(), request_id.into(), at.into()];
    tx.run(insert, &values)?;
    let (topic, request_id) = (Topic::new(&TOPICS, draft_id), request_id.to_owned());
    tx.publish(Event { topic, seq, kind, data, request_id, at });
    Ok(())
}

/// A segment as stored.
#[derive(Debug)]
pub struct Segment<'r> {
    /// Position in the draft, from 0.
    pub order: i64,
    /// UUID; the same everywhere (R11).
    pub segment_id: &'r str,
    /// Author, and holder at the time.
    pub user_id: &'r str,
    /// Text; of one whose text was taken out, `[redacted]`.
    pub content: &'r str,
    /// When.
    pub created_at: Timestamp,
    /// Whether its text was taken out.
    pub is_redacted: bool,
}

/// Hands `each` the segments with orders in `from..to`.
///
/// # Errors
/// When the store fails.
pub fn segments(
    reader: &Reader,
    draft: i64,
    from: i64,
    to: i64,
    mut each: impl FnMut(Segment<'_>),
) -> Result<(), Error> {
    let sql = "SELECT segment_order, segment_id, user_id, CASE WHEN redacted = 1 THEN '[redacted]' ELSE content END, \
               created_at, redacted FROM draft_segments WHERE draft = ?1 AND segment_order >= ?2 AND segment_order < ?3 \
               ORDER BY segment_order";
    reader.each(sql, &[draft.into(), from.into(), to.into()], |row| {
        each(Segment {
            order: row.get(0)?,
            segment_id: row.get(1)?,
            user_id: row.get(2)?,
            content: row.get(3)?,
            created_at: row.get(4)?,
            is_redacted: row.get(5)?,
        });
        Ok(())
    })
}

/// Hands `each` row id, recipient and time of the passes after row `after`, at most `limit`.
///
/// # Errors
/// When the store fails.
pub fn passes(
    reader: &Reader,
    draft: i64,
    after: i64,
    limit: i64,
    mut each: impl FnMut(i64, &str, Timestamp),
) -> Result<(), Error> {
    let sql = "SELECT id, to_user, passed_at FROM ring_passes WHERE draft = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
    reader.each(sql, &[draft.into(), after.into(), limit.into()], |row| {
        each(row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(())
    })
}

/// A pass as stored.
#[derive(Debug)]
pub struct Pass<'r> {
    /// Its row: they ascend as passes are made.
    pub row: i64,
    /// Who had the ring.
    pub from_user: &'r str,
    /// Who got it.
    pub to_user: &'r str,
    /// When.
    pub passed_at: Timestamp,
}

/// Hands `each` the passes after row `after`, at most `limit`.
///
/// # Errors
/// When the store fails.
pub fn whole_passes(
    reader: &Reader,
    draft: i64,
    after: i64,
    limit: i64,
    mut each: impl FnMut(Pass<'_>),
) -> Result<(), Error> {
    let sql = "SELECT id, from_user, to_user, passed_at FROM ring_passes WHERE draft = ?1 AND id > ?2 \
               ORDER BY id LIMIT ?3";
    reader.each(sql, &[draft.into(), after.into(), limit.into()], |row| {
        each(Pass { row: row.get(0)?, from_user: row.get(1)?, to_user: row.get(2)?, passed_at: row.get(3)? });
        Ok(())
    })
}

/// What happened to a draft, as it is stored.
#[derive(Debug, PartialEq)]
pub struct Happening {
    /// Which event it is.
    pub seq: i64,
    /// Its type.
    pub kind: String,
    /// Its details, JSON.
    pub data: String,
    /// When.
    pub at: Timestamp,
}

/// What happened to a draft, at most `limit`: after event `cursor`, the oldest first, or before it, the newest first.
///
/// # Errors
/// When the store fails.
pub fn happenings(reader: &Reader, draft: i64, order: Order, cursor: i64, limit: i64) -> Result<Vec<Happening>, Error> {
    let sql = match order {
        Order::OldestFirst => {
            "SELECT seq, type, data, created_at FROM events WHERE draft = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3"
        }
        Order::NewestFirst => {
            "SELECT seq, type, data, created_at FROM events WHERE draft = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3"
        }
    };
    reader.all(sql, &[draft.into(), cursor.into(), limit.into()], |row| {
        Ok(Happening { seq: row.get(0)?, kind: row.get(1)?, data: row.get(2)?, at: row.get(3)? })
    })
}

/// The seq of the oldest event of a draft that is left.
///
/// # Errors
/// When the store fails.
pub fn oldest_event(reader: &Reader, draft: i64) -> Result<Option<i64>, Error> {
    let sql = "SELECT seq FROM events WHERE draft = ?1 ORDER BY seq LIMIT 1";
    reader.one(sql, &[draft.into()], |row| row.get(0))
}

/// Hands `each` row id and name of the collaborators, the creator left out, after row `after`, at most `limit`, in order of
/// joining.
///
/// # Errors
/// When the store fails.
pub fn collaborators(
    reader: &Reader,
    draft: i64,
    creator: &str,
    after: i64,
    limit: i64,
    mut each: impl FnMut(i64, &str),
) -> Result<(), Error> {
    let sql = "SELECT id, user_id FROM draft_collaborators WHERE draft = ?1 AND id > ?2 AND user_id <> ?3 \
               ORDER BY id LIMIT ?4";
    reader.each(sql, &[draft.into(), after.into(), creator.into(), limit.into()], |row| {
        each(row.get(0)?, row.get(1)?);
        Ok(())
    })
}

/// Hands `each` every draft with the number of its newest event.
///
/// # Errors
/// When the store fails, or `each` does.
pub fn event_seqs(reader: &Reader, mut each: impl FnMut(&str, i64) -> Result<(), Error>) -> Result<(), Error> {
    reader.each("SELECT draft_id, event_seq FROM drafts ORDER BY id", &[], |row| each(row.get(0)?, row.get(1)?))
}

/// The number of a draft's newest event, if there is or was that draft.
pub fn event_seq(reader: &Reader, draft_id: &str) -> Result<Option<i64>, Error> {
    reader.one("SELECT event_seq FROM drafts WHERE draft_id = ?1", &[draft_id.into()], |row| row.get(0))
}

/// What is left of a draft's event log, with the draft's own columns.
#[derive(Debug)]
pub struct Log {
    /// The newest event's seq.
    pub head: i64,
    /// Who has the ring.
    pub holder_id: String,
    /// In the order asked for.
    pub events: Vec<Event>,
}

/// From which end a log is read.
#[derive(Debug, Clone, Copy)]
pub enum Order {
    /// The newest events, the newest first.
    NewestFirst,
    /// The oldest ones, the oldest first.
    OldestFirst,
}

// `d` is one row or none, so the order is that of the index on (draft, seq) and nothing is sorted. A draft without
// such events is one row of nulls.
const NEWEST: &str = "SELECT d.event_seq, d.holder_id, e.seq, e.type, e.data, e.request_id, e.created_at \
                      FROM drafts AS d LEFT JOIN events AS e ON e.draft = d.id AND e.seq > ?2 \
                      WHERE d.draft_id = ?1 AND d.deleted_at IS NULL ORDER BY e.seq DESC LIMIT ?3";
const OLDEST: &str = "SELECT d.event_seq, d.holder_id, e.seq, e.type, e.data, e.request_id, e.created_at \
                      FROM drafts AS d LEFT JOIN events AS e ON e.draft = d.id AND e.seq > ?2 \
                      WHERE d.draft_id = ?1 AND d.deleted_at IS NULL ORDER BY e.seq LIMIT ?3";

/// Events after `since`, at most `limit`; nothing when there is no such draft. One statement, so all is of one moment.
///
/// # Errors
/// When the store fails, or when an event is stored that this program does not know.
pub fn log(reader: &Reader, order: Order, draft_id: &str, since: i64, limit: i64) -> Result<Option<Log>, Error> {
    let sql = match order {
        Order::NewestFirst => NEWEST,
        Order::OldestFirst => OLDEST,
    };
    let (mut log, topic) = (None, Topic::new(&TOPICS, draft_id));
    reader.each(sql, &[draft_id.into(), since.into(), limit.into()], |row| {
        if log.is_none() {
            log = Some(Log { head: row.get(0)?, holder_id: row.get(1)?, events: Vec::new() });
        }
        if let Some(log) = &mut log {
            log.events.extend(event_of(row, &topic)?);
        }
        Ok(())
    })?;
    Ok(log)
}

/// The event of a row, if it has one.
fn event_of(row: &Row<'_>, topic: &Topic) -> Result<Option<Event>, Error> {
    let Some(seq) = row.get(2)? else { return Ok(None) };
    let stored: &str = row.get(3)?;
    let Some(kind) = known_kind(stored) else {
        return Err(Error::Damaged(format!("event {seq} is of the unknown type {stored:?}")));
    };
    let (data, request_id, at) = (row.get(4)?, row.get(5)?, row.get(6)?);
    Ok(Some(Event { topic: topic.clone(), seq, kind, data, request_id, at }))
}

/// The row of the newest draft; 0 when there is none.
pub fn newest_draft(reader: &Reader) -> Result<i64, Error> {
    Ok(reader.one("SELECT coalesce(max(id), 0) FROM drafts", &[], |row| row.get(0))?.unwrap_or_default())
}

/// The drafts in rows `after < id <= through` that have had more than `kept` events: row, seq of the oldest event that is left,
/// and the seq up to which they are too many. The oldest event of a draft is the first of its entries in the index on
/// (draft, seq).
pub fn long_logs(reader: &Reader, after: i64, through: i64, kept: i64) -> Result<Vec<(i64, Option<i64>, i64)>, Error> {
    let sql = "SELECT d.id, (SELECT min(e.seq) FROM events AS e WHERE e.draft = d.id), d.event_seq - ?3 \
               FROM drafts AS d WHERE d.id > ?1 AND d.id <= ?2 AND d.event_seq > ?3";
    let values = [after.into(), through.into(), kept.into()];
    reader.all(sql, &values, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
}

/// Removes the events of a draft up to a seq. How many it was.
pub fn remove_events(tx: &mut Tx<'_>, draft: i64, through: i64) -> Result<u64, Error> {
    tx.change("DELETE FROM events WHERE draft = ?1 AND seq <= ?2", &[draft.into(), through.into()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Value;

    /// How SQLite would carry this statement out, step by step.
    fn plan(sql: &str, params: &[Value<'_>]) -> Vec<String> {
        let reader = Reader::in_memory(crate::drafts::MIGRATIONS);
        let explain = format!("EXPLAIN QUERY PLAN {sql}").leak();
        let mut steps: Vec<String> = Vec::new();
        let read = reader.each(explain, params, |row| {
            steps.push(row.get(3)?);
            Ok(())
        });
        read.unwrap();
        steps
    }

    #[test]
    fn the_list_of_a_user_walks_an_index_and_sorts_nothing() {
        let steps = plan(NEWEST_OF_USER, &["u".into(), 9.into(), 10.into()]);
        assert_eq!(steps.len(), 2, "{steps:?}");
        assert!(steps[0].contains("draft_collaborators_by_user (user_id=? AND draft<?)"), "{steps:?}");
        assert!(steps[1].contains("PRIMARY KEY (rowid=?)"), "{steps:?}");
    }

    #[test]
    fn who_has_written_when_is_looked_up_and_not_looked_for() {
        let steps = plan(LAST_WRITTEN, &[1.into()]);
        assert_eq!(steps, ["SEARCH draft_authors USING PRIMARY KEY (draft=?)"]);
        let steps = plan(NEWEST_SEGMENT, &[1.into()]);
        assert_eq!(steps.len(), 1, "{steps:?}");
        assert!(
            steps[0].starts_with("SEARCH draft_segments USING INDEX ") && steps[0].ends_with("(draft=?)"),
            "{steps:?}"
        );
    }

    #[test]
    fn the_index_gives_the_order_and_nothing_is_sorted() {
        for sql in [NEWEST, OLDEST] {
            let steps = plan(sql, &["d".into(), 0.into(), 10.into()]);
            assert_eq!(steps.len(), 2, "{steps:?}");
            assert!(steps[0].contains("(draft_id=?)") && steps[1].contains("(draft=? AND seq>?)"), "{steps:?}");
        }
    }
}
