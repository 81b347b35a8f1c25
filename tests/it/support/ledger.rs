//! The database as an auditor reads it: past the server, straight from the file.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// What must never be found: a sentence that is always true, and the drafts for which it is not.
const ALWAYS: [(&str, &str); 16] = [
    (
        "segments are counted and ordered from 0 without a gap",
        "SELECT draft_id FROM drafts AS d WHERE segment_count <> (SELECT count(*) FROM draft_segments WHERE draft = d.id)
         OR segment_count <> (SELECT coalesce(max(segment_order) + 1 + min(segment_order), 0) FROM draft_segments
                              WHERE draft = d.id)",
    ),
    (
        "segments have hashes as far as the draft says, and the draft has the last of them",
        "SELECT draft_id FROM drafts AS d WHERE chained NOT IN (0, segment_count)
         OR chained <> (SELECT count(*) FROM draft_segments WHERE draft = d.id AND length(content_sha256) = 32)
         OR chain_sha256 IS NOT (SELECT chain_sha256 FROM draft_segments WHERE draft = d.id AND segment_order = chained - 1)",
    ),
    (
        "passes are counted",
        "SELECT draft_id FROM drafts AS d WHERE pass_count <> (SELECT count(*) FROM ring_passes WHERE draft = d.id)",
    ),
    (
        "collaborators are counted without the creator",
        "SELECT draft_id FROM drafts AS d WHERE collaborator_count <> (SELECT count(*) FROM draft_collaborators
         WHERE draft = d.id AND user_id <> d.creator_id)",
    ),
    (
        "events are numbered from 1 without a gap, and the last number is the draft's version",
        "SELECT draft_id FROM drafts AS d WHERE event_seq <> (SELECT count(*) FROM events WHERE draft = d.id)
         OR event_seq <> (SELECT max(seq) + min(seq) - 1 FROM events WHERE draft = d.id)",
    ),
    (
        "the holder is the creator or a collaborator",
        "SELECT draft_id FROM drafts AS d WHERE NOT EXISTS (SELECT 1 FROM draft_collaborators AS c
         WHERE c.draft = d.id AND c.user_id = d.holder_id AND (c.role <> 'owner' OR c.user_id = d.creator_id))",
    ),
    (
        "the holder is who was passed the ring last",
        "SELECT draft_id FROM drafts AS d WHERE holder_id <> coalesce((SELECT to_user FROM ring_passes
         WHERE draft = d.id ORDER BY id DESC LIMIT 1), founder_id, creator_id)",
    ),
    (
        "only who holds the ring passes it on",
        "SELECT draft_id FROM (SELECT draft_id, from_user, lag(to_user, 1, coalesce(founder_id, creator_id))
         OVER (PARTITION BY p.draft ORDER BY p.id) AS holder FROM ring_passes AS p JOIN drafts AS d ON d.id = p.draft)
         WHERE from_user <> holder",
    ),
    (
        "only who holds the ring at that moment writes",
        "SELECT draft_id FROM events AS e JOIN drafts AS d ON d.id = e.draft WHERE e.type = 'collab.segment_added'
         AND e.data ->> 'user_id' <> coalesce((SELECT p.data ->> 'to_user_id' FROM events AS p
             WHERE p.draft = e.draft AND p.type = 'collab.ring_passed' AND p.seq < e.seq ORDER BY p.seq DESC LIMIT 1),
             d.founder_id, d.creator_id)",
    ),
    (
        "every segment but the one a draft was created with has its event, and every such event its segment",
        "SELECT draft_id FROM drafts AS d WHERE
         (SELECT count(*) FROM events WHERE draft = d.id AND type = 'collab.segment_added') <>
         (SELECT count(*) FROM events AS e JOIN draft_segments AS s ON s.draft = e.draft
          AND s.segment_id = e.data ->> 'segment_id' AND s.segment_order = e.data ->> 'segment_order'
          AND s.user_id = e.data ->> 'user_id' AND s.created_at = e.created_at
          WHERE e.draft = d.id AND e.type = 'collab.segment_added')
         OR segment_count - (SELECT count(*) FROM events WHERE draft = d.id AND type = 'collab.segment_added') NOT IN
            (0, (SELECT count(*) FROM draft_segments
             WHERE draft = d.id AND segment_order = 0 AND created_at = d.created_at))",
    ),
    (
        "every pass has its event, in the same order",
        "SELECT draft_id FROM drafts AS d WHERE
         (SELECT json_group_array(from_user || '>' || to_user || passed_at ORDER BY id) FROM ring_passes
          WHERE draft = d.id) <>
         (SELECT json_group_array((data ->> 'from_user_id') || '>' || (data ->> 'to_user_id') || created_at ORDER BY seq)
          FROM events WHERE draft = d.id AND type = 'collab.ring_passed')",
    ),
    (
        "every collaborator has an event, and every one who parted another",
        "SELECT draft_id FROM drafts AS d WHERE collaborator_count <>
         (SELECT count(*) FROM events WHERE draft = d.id AND type = 'collab.collaborator_added') -
         (SELECT count(*) FROM events WHERE draft = d.id AND type = 'collab.collaborator_removed')",
    ),
    (
        "every append and every pass that somebody asked for spent one key, and no other key is spent on them",
        "SELECT draft_id FROM drafts AS d WHERE
         (SELECT json_group_array(what ORDER BY what) FROM (SELECT actor_id || ' ' || operation AS what
          FROM idempotency_keys WHERE draft = d.id AND operation IN ('append_segment', 'pass_ring'))) <>
         (SELECT json_group_array(what ORDER BY what) FROM (
          SELECT (data ->> 'user_id') || ' append_segment' AS what FROM events
          WHERE draft = d.id AND type = 'collab.segment_added'
          UNION ALL SELECT (data ->> 'from_user_id') || ' pass_ring' FROM events
          WHERE draft = d.id AND type = 'collab.ring_passed' AND data ->> 'reason' IS NULL))",
    ),
    (
        "time does not go back along a draft's events",
        "SELECT draft_id FROM (SELECT draft_id, e.created_at AS at, lag(e.created_at, 1, d.created_at)
         OVER (PARTITION BY e.draft ORDER BY e.seq) AS before FROM events AS e JOIN drafts AS d ON d.id = e.draft)
         WHERE at < before",
    ),
    (
        "a draft was updated at its last append or pass",
        "SELECT draft_id FROM drafts AS d WHERE updated_at <> coalesce((SELECT max(created_at) FROM events
         WHERE draft = d.id AND type IN ('collab.segment_added', 'collab.ring_passed')), created_at)",
    ),
    ("the file is sound", "SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'"),
];

/// A read-only look at a database, whether its server runs or is dead.
pub struct Ledger(pub Connection);

/// A segment as it lies in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub draft_id: String,
    pub order: i64,
    pub author: String,
    pub content: String,
}

impl Ledger {
    pub fn open(database: &Path) -> Self {
        Self(Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap())
    }

    /// Holds every draft that there is to what is always true of drafts: nothing is half there.
    #[track_caller]
    pub fn audit(&self) {
        let deleted: Vec<String> = self.column("SELECT draft_id FROM drafts WHERE deleted_at IS NOT NULL", []);
        for (sentence, exceptions) in ALWAYS {
            let mut found: Vec<String> = self.column(exceptions, []);
            found.retain(|draft_id| !deleted.contains(draft_id));
            assert!(found.is_empty(), "not so: {sentence}: {found:?}");
        }
    }

    /// Every segment by its id.
    pub fn segments(&self) -> HashMap<String, Written> {
        let sql = "SELECT segment_id, draft_id, segment_order, user_id, content FROM draft_segments AS s \
                   JOIN drafts AS d ON d.id = s.draft";
        let mut statement = self.0.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| {
            let (draft_id, order, author, content) = (row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
            Ok((row.get(0)?, Written { draft_id, order, author, content }))
        });
        let all: Vec<_> = rows.unwrap().map(Result::unwrap).collect();
        let by_id: HashMap<_, _> = all.iter().cloned().collect();
        assert_eq!(by_id.len(), all.len(), "segment ids are unique");
        by_id
    }

    /// The first column of a query.
    pub fn column<T: rusqlite::types::FromSql>(&self, sql: &str, values: impl rusqlite::Params) -> Vec<T> {
        let mut statement = self.0.prepare(sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
        statement.query_map(values, |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }
}
