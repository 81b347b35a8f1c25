-- The whole of an inkring database, as a new file is made of it in one transaction. This page is printed by
-- `inkring schema`; the statements stand in `src/*/migrations/`, each owner's in its folder.
--
-- Times are integer microseconds since 1970 UTC. Ids of users are text as the client sent it. Rows of a draft refer
-- to its integer row id: indexes stay small, and everything that is appended lands at the right edge of its table.
-- STRICT: a column holds what it says.

-- Version 1

-- One row, rewritten by the readiness probe: proof that a commit reaches the disk.
CREATE TABLE probe (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    probed_at  INTEGER NOT NULL
) STRICT;

-- One draft with everything that decides who may do what. `holder_id` is the ring: a column, changed in the
-- same transaction as the pass that moves it. The counts number the rows that belong to the draft, so that a reader
-- who has seen n of them fetches only the rest; `event_seq` is the head of its event log and its version.
CREATE TABLE drafts (
    id                 INTEGER PRIMARY KEY,
    draft_id           TEXT    NOT NULL UNIQUE,
    creator_id         TEXT    NOT NULL,
    title              TEXT    NOT NULL,
    platform           TEXT    NOT NULL,
    status             TEXT    NOT NULL DEFAULT 'active',
    holder_id          TEXT    NOT NULL,
    segment_count      INTEGER NOT NULL DEFAULT 0,
    pass_count         INTEGER NOT NULL DEFAULT 0,
    collaborator_count INTEGER NOT NULL DEFAULT 0,
    event_seq          INTEGER NOT NULL DEFAULT 0,
    passed_at          INTEGER NOT NULL,
    created_at         INTEGER NOT NULL,
    updated_at         INTEGER NOT NULL
) STRICT;

-- Segments are never changed or removed. The holder at the time of writing is the author.
CREATE TABLE draft_segments (
    id            INTEGER PRIMARY KEY,
    draft         INTEGER NOT NULL REFERENCES drafts (id),
    segment_order INTEGER NOT NULL,
    segment_id    TEXT    NOT NULL,
    user_id       TEXT    NOT NULL,
    content       TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    UNIQUE (draft, segment_order)
) STRICT;

-- Who belongs to a draft, the creator (role `owner`) included; row ids give the order of joining.
CREATE TABLE draft_collaborators (
    id        INTEGER PRIMARY KEY,
    draft     INTEGER NOT NULL REFERENCES drafts (id),
    user_id   TEXT    NOT NULL,
    role      TEXT    NOT NULL,
    joined_at INTEGER NOT NULL,
    UNIQUE (draft, user_id)
) STRICT;
CREATE INDEX draft_collaborators_by_user ON draft_collaborators (user_id, draft);

-- Every pass of every ring; row ids give the order.
CREATE TABLE ring_passes (
    id        INTEGER PRIMARY KEY,
    draft     INTEGER NOT NULL REFERENCES drafts (id),
    from_user TEXT    NOT NULL,
    to_user   TEXT    NOT NULL,
    passed_at INTEGER NOT NULL
) STRICT;
CREATE INDEX ring_passes_by_draft ON ring_passes (draft, id);

-- A key is spent by the change it came with, and removed a day later. Scoped by draft, actor and operation.
CREATE TABLE idempotency_keys (
    draft      INTEGER NOT NULL REFERENCES drafts (id),
    actor_id   TEXT    NOT NULL,
    operation  TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (draft, actor_id, operation, key)
) STRICT, WITHOUT ROWID;

-- What happened to each draft, numbered without gaps from 1, written in the transaction of the change itself.
-- `data` is JSON as subscribers get it.
CREATE TABLE events (
    id         INTEGER PRIMARY KEY,
    draft      INTEGER NOT NULL REFERENCES drafts (id),
    seq        INTEGER NOT NULL,
    type       TEXT    NOT NULL,
    data       TEXT    NOT NULL,
    request_id TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (draft, seq)
) STRICT;

-- Version 2

-- Who changed what, from where, written in the transaction of the change itself when AUDIT_ENABLED is set. Ids have no
-- gaps; each row carries the hash of the one before it and that of its own content (src/audit/chain.rs). `metadata` is
-- a JSON object or null.
CREATE TABLE audit_events (
    id         INTEGER PRIMARY KEY,
    ts         INTEGER NOT NULL,
    request_id TEXT,
    user_id    TEXT,
    action     TEXT    NOT NULL,
    draft_id   TEXT,
    metadata   TEXT,
    ip         TEXT,
    user_agent TEXT,
    prev_hash  BLOB    NOT NULL,
    hash       BLOB    NOT NULL
) STRICT;

-- Where the rows above begin, once older ones were removed: id and hash of the last that was.
CREATE TABLE audit_anchor (
    id           INTEGER PRIMARY KEY CHECK (id = 1),
    removed_id   INTEGER NOT NULL,
    removed_hash BLOB    NOT NULL
) STRICT;

-- Version 3

-- The same row also says when the last change was made, or at most 100 ms before it (src/store/sqlite/last_change.rs).
ALTER TABLE probe ADD COLUMN last_change INTEGER;

-- Until this version the newest event of a draft told when the last change was made.
INSERT INTO probe (id, probed_at, last_change)
    SELECT 1, created_at, created_at FROM events WHERE TRUE ORDER BY id DESC LIMIT 1
    ON CONFLICT (id) DO UPDATE SET last_change = excluded.last_change;

-- Version 4

-- One room that was ever written to. What is in it is its newest snapshot and the updates behind that. The figures are of the
-- updates that no snapshot has yet, so that a room need not be loaded to be listed. `quarantine` says why it is only read.
CREATE TABLE rooms (
    id             INTEGER PRIMARY KEY,
    name           TEXT    NOT NULL UNIQUE,
    creator_id     TEXT    NOT NULL,
    created_at     INTEGER NOT NULL,
    used_at        INTEGER NOT NULL,
    quarantine     TEXT,
    snapshot_bytes INTEGER NOT NULL DEFAULT 0,
    log_rows       INTEGER NOT NULL DEFAULT 0,
    log_bytes      INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX rooms_by_use ON rooms (used_at);

-- Every accepted update as it came, numbered within its room, until a snapshot has it.
CREATE TABLE room_updates (
    room       INTEGER NOT NULL REFERENCES rooms (id),
    seq        INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    user_id    TEXT    NOT NULL,
    bytes      BLOB    NOT NULL,
    PRIMARY KEY (room, seq)
) STRICT, WITHOUT ROWID;

-- All of a room up to an update, as one update. The last two are kept.
CREATE TABLE room_snapshots (
    room       INTEGER NOT NULL REFERENCES rooms (id),
    seq        INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    format     INTEGER NOT NULL,
    sha256     BLOB    NOT NULL,
    bytes      BLOB    NOT NULL,
    PRIMARY KEY (room, seq)
) STRICT, WITHOUT ROWID;

-- Version 5

-- What is searched of things that have a number, whoever they belong to (src/store/sqlite/texts.rs). Only its words are here, in small
-- letters, each behind the letter of its group, without which a MATCH by hand finds nothing. The text is where it belongs. Where in it
-- a word stands is not kept: nothing asks for it. Labels, by which a text is found exactly, are words as well.
CREATE VIRTUAL TABLE texts USING fts5 (
    title, body, content = '', contentless_delete = 1, tokenize = 'ascii', detail = column
);
-- Pieces of the index are merged sixteen at a time: with four, as is usual, a word is written twice as often. Many more of one size are
-- there only where merging bit by bit has not kept up: then they are merged at once, and everybody waits.
INSERT INTO texts (texts, rank) VALUES ('automerge', 16), ('crisismerge', 64);
-- Each word with how many texts have it: so labels are counted.
CREATE VIRTUAL TABLE text_terms USING fts5vocab (texts, row);

-- What an operator has revoked: the token of a `jti`, or the tokens of a user that were issued before a moment. `expires_at` is
-- when the token expires, if the operator has said so.
CREATE TABLE revocations (
    id         INTEGER PRIMARY KEY,
    jti        TEXT UNIQUE,
    user_id    TEXT UNIQUE,
    before     INTEGER,
    revoked_at INTEGER NOT NULL,
    expires_at INTEGER,
    CHECK ((jti IS NULL) <> (user_id IS NULL) AND (user_id IS NULL) = (before IS NULL))
) STRICT;

-- People leave, drafts change hands, texts are taken out. `rewritten` counts every such change of what was shown before, so
-- that who keeps a rendered draft knows when to begin anew. `founder_id` is who had the ring first, once that is not the
-- creator any more. `lease_seconds` is the draft's own lease of the ring; without one the server's counts. A draft with a
-- `deleted_at` is there for nobody; its row stays, so that neither its number nor its id comes back.
ALTER TABLE drafts ADD COLUMN rewritten INTEGER NOT NULL DEFAULT 0;
ALTER TABLE drafts ADD COLUMN founder_id TEXT;
ALTER TABLE drafts ADD COLUMN lease_seconds INTEGER;
ALTER TABLE drafts ADD COLUMN deleted_at INTEGER;

-- Drafts that were deleted and still have texts.
CREATE INDEX drafts_to_purge ON drafts (id) WHERE deleted_at IS NOT NULL AND creator_id <> '';

-- Whether the text was taken out; `content` is empty then.
ALTER TABLE draft_segments ADD COLUMN redacted INTEGER NOT NULL DEFAULT 0;

-- SHA-256 of each segment's text, and of that together with the hash before it (src/drafts/chain.rs). A segment of an older
-- program has neither until its draft is written in again; `chained` counts those of a draft that have, and `chain_sha256` is
-- the last of them.
ALTER TABLE draft_segments ADD COLUMN content_sha256 BLOB;
ALTER TABLE draft_segments ADD COLUMN chain_sha256 BLOB;
ALTER TABLE drafts ADD COLUMN chained INTEGER NOT NULL DEFAULT 0;
ALTER TABLE drafts ADD COLUMN chain_sha256 BLOB;

-- What a key was spent on: the version that the draft had afterwards, and the order of the segment if it was one.
ALTER TABLE idempotency_keys ADD COLUMN version INTEGER;
ALTER TABLE idempotency_keys ADD COLUMN segment_order INTEGER;

-- What a change has answered beside the draft, where a replay has to say it again: JSON, or an id.
ALTER TABLE idempotency_keys ADD COLUMN result TEXT;

-- Who is invited to which draft, by whom, and what became of it; who accepts is a member by another row. Of the token there is
-- only the SHA-256: the token itself is in the link that was answered, and nowhere here.
CREATE TABLE draft_invites (
    id            INTEGER PRIMARY KEY,
    draft         INTEGER NOT NULL REFERENCES drafts (id),
    invite_id     TEXT    NOT NULL UNIQUE,
    created_by    TEXT    NOT NULL,
    target_user   TEXT    NOT NULL,
    target_handle TEXT,
    token_hash    BLOB    NOT NULL,
    token_hint    TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    accepted_at   INTEGER,
    revoked_at    INTEGER
) STRICT;
CREATE INDEX draft_invites_by_draft ON draft_invites (draft, id);
CREATE INDEX draft_invites_by_expiry ON draft_invites (expires_at);

-- Who has written in which draft, and when last, so that nobody looks through the segments for it: kept whenever another author begins
-- to write. When the author of the newest segment wrote last is in that segment.
CREATE TABLE draft_authors (
    draft    INTEGER NOT NULL REFERENCES drafts (id),
    user_id  TEXT    NOT NULL,
    wrote_at INTEGER NOT NULL,
    PRIMARY KEY (draft, user_id)
) STRICT, WITHOUT ROWID;
INSERT INTO draft_authors (draft, user_id, wrote_at)
    SELECT s.draft, s.user_id, max(s.created_at) FROM draft_segments AS s JOIN drafts AS d ON d.id = s.draft
    WHERE d.deleted_at IS NULL GROUP BY s.draft, s.user_id;

-- What each kind of record counts: the id that the next one gets, how many there are, and the number of its last change.
CREATE TABLE record_kinds (
    kind       INTEGER PRIMARY KEY,
    last_id    INTEGER NOT NULL DEFAULT 0,
    records    INTEGER NOT NULL DEFAULT 0,
    revision   INTEGER NOT NULL DEFAULT 0,
    changed_at INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The household's records of all kinds. `key` is the number of the kind in its upper bits and the id in the lower 40. `json` is
-- the record as it is answered. `moment` is when it is on the household's wall, in microseconds as if that were in UTC.
CREATE TABLE records (
    key          INTEGER PRIMARY KEY,
    json         TEXT    NOT NULL,
    moment       INTEGER NOT NULL,
    source_trace TEXT,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    revision     INTEGER NOT NULL
) STRICT;
CREATE INDEX records_by_moment ON records (moment, key);
CREATE INDEX records_by_source ON records (source_trace, key) WHERE source_trace IS NOT NULL;

-- Of the values by which records are filtered, those that statements look up: ids of other records, addresses of files, and whether there
-- is anything in an object. Those of a record come and go with it. Lists find all values in the index of words, as labels of `texts`.
CREATE TABLE record_facts (
    name  TEXT    NOT NULL,
    value TEXT    NOT NULL,
    key   INTEGER NOT NULL,
    PRIMARY KEY (name, value, key)
) STRICT, WITHOUT ROWID;

-- Records that were deleted, until they are gone for good.
CREATE TABLE record_bin (
    key        INTEGER PRIMARY KEY,
    json       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    deleted_at INTEGER NOT NULL
) STRICT;
CREATE INDEX record_bin_by_age ON record_bin (deleted_at, key);

-- What records have to do with each other: one leads to another, of whatever kinds they are. Their ids are counted in
-- `record_kinds` as those of kind 0, so that none is given twice.
CREATE TABLE record_links (
    id         INTEGER PRIMARY KEY,
    from_key   INTEGER NOT NULL,
    to_key     INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX record_links_by_ends ON record_links (from_key, to_key, kind);
CREATE INDEX record_links_by_target ON record_links (to_key, id);

-- Records of other households that were taken in where their ids were others' already: under which key each is here. It is known by
-- the key that it has there, and by when it was made.
CREATE TABLE record_moved (
    key        INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    moved_to   INTEGER NOT NULL,
    PRIMARY KEY (key, created_at)
) STRICT, WITHOUT ROWID;

-- Sessions of the household. `hash` is the SHA-256 of the token that only its browser has.
CREATE TABLE household_sessions (
    id           INTEGER PRIMARY KEY,
    hash         BLOB    NOT NULL UNIQUE,
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    address      TEXT    NOT NULL,
    agent        TEXT
) STRICT;

-- What people captured, as they said it; rows are added and never changed. `about_at` is the time that it is about on the
-- household's wall, `tags` and `records`, those that were made of it, are JSON.
CREATE TABLE ci_captures (
    number      INTEGER PRIMARY KEY,
    id          TEXT    NOT NULL UNIQUE,
    type        TEXT    NOT NULL,
    content     TEXT    NOT NULL,
    metadata    TEXT,
    captured_at INTEGER NOT NULL,
    about_at    TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    intent      TEXT    NOT NULL,
    module      TEXT    NOT NULL,
    tags        TEXT    NOT NULL,
    records     TEXT    NOT NULL
) STRICT;

-- Which of them were taken back.
CREATE TABLE ci_undos (
    id        TEXT    PRIMARY KEY,
    undone_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The feed of the calendar: the SHA-256 of the token that it is read with. One row, or none where there is no feed.
CREATE TABLE calendar_feed (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    token_hash BLOB    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- Until when those who listen were told of reminders that came due, so that a restart tells nothing twice. One row, or none before the
-- first start that looked.
CREATE TABLE calendar_reminded (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    until INTEGER NOT NULL
) STRICT;

-- Records under the names of the original's tables and columns, for whoever looks into the database with SQL. The server itself reads
-- none of them. Lists and objects are JSON, as there; what is true is 1. Of each, `key` is where its kind begins, and the id behind it.

CREATE VIEW kazkar_stories AS
SELECT key - 1099511627776 AS id,
       json_extract(json, '$.title') AS title,
       json_extract(json, '$.content') AS content,
       json_extract(json, '$.story_type') AS story_type,
       json_extract(json, '$.participants') AS participants,
       json_extract(json, '$.location') AS location,
       json_extract(json, '$.tags') AS tags,
       json_extract(json, '$.source_trace') AS source_trace,
       json_extract(json, '$.module') AS module,
       json_extract(json, '$.time') AS time,
       json_extract(json, '$.canon_bundle_id') AS canon_bundle_id
  FROM records
 WHERE key BETWEEN 1099511627776 AND 2199023255551;

CREATE VIEW podija_events AS
SELECT key - 2199023255552 AS id,
       json_extract(json, '$.title') AS title,
       json_extract(json, '$.description') AS description,
       json_extract(json, '$.event_date') AS event_date,
       json_extract(json, '$.event_type') AS event_type,
       json_extract(json, '$.is_completed') AS is_completed,
       json_extract(json, '$.participants') AS participants,
       json_extract(json, '$.location') AS location,
       json_extract(json, '$.tags') AS tags,
       json_extract(json, '$.source_trace') AS source_trace,
       json_extract(json, '$.module') AS module,
       json_extract(json, '$.time') AS time,
       json_extract(json, '$.canon_bundle_id') AS canon_bundle_id
  FROM records
 WHERE key BETWEEN 2199023255552 AND 3298534883327;

CREATE VIEW nastrij_emotions AS
SELECT key - 3298534883328 AS id,
       json_extract(json, '$.emotion_state') AS emotion_state,
       json_extract(json, '$.intensity') AS intensity,
       json_extract(json, '$.context') AS context,
       json_extract(json, '$.triggers') AS triggers,
       json_extract(json, '$.notes') AS notes,
       json_extract(json, '$.occurred_at') AS occurred_at,
       json_extract(json, '$.tags') AS tags,
       json_extract(json, '$.source_trace') AS source_trace,
       json_extract(json, '$.module') AS module,
       json_extract(json, '$.time') AS time,
       json_extract(json, '$.canon_bundle_id') AS canon_bundle_id
  FROM records
 WHERE key BETWEEN 3298534883328 AND 4398046511103;

CREATE VIEW malya_ideas AS
SELECT key - 4398046511104 AS id,
       json_extract(json, '$.title') AS title,
       json_extract(json, '$.description') AS description,
       json_extract(json, '$.idea_type') AS idea_type,
       json_extract(json, '$.status') AS status,
       json_extract(json, '$.related_ideas') AS related_ideas,
       json_extract(json, '$.resources') AS resources,
       json_extract(json, '$.priority') AS priority,
       json_extract(json, '$.tags') AS tags,
       json_extract(json, '$.source_trace') AS source_trace,
       json_extract(json, '$.module') AS module,
       json_extract(json, '$.time') AS time,
       json_extract(json, '$.canon_bundle_id') AS canon_bundle_id
  FROM records
 WHERE key BETWEEN 4398046511104 AND 5497558138879;

CREATE VIEW gallery_items AS
SELECT key - 5497558138880 AS id,
       json_extract(json, '$.title') AS title,
       json_extract(json, '$.description') AS description,
       json_extract(json, '$.media_type') AS media_type,
       json_extract(json, '$.url') AS url,
       json_extract(json, '$.thumbnail_url') AS thumbnail_url,
       json_extract(json, '$.file_size') AS file_size,
       json_extract(json, '$.mime_type') AS mime_type,
       json_extract(json, '$.media_metadata') AS media_metadata,
       json_extract(json, '$.taken_at') AS taken_at,
       json_extract(json, '$.tags') AS tags,
       json_extract(json, '$.source_trace') AS source_trace,
       json_extract(json, '$.module') AS module,
       json_extract(json, '$.time') AS time,
       json_extract(json, '$.canon_bundle_id') AS canon_bundle_id
  FROM records
 WHERE key BETWEEN 5497558138880 AND 6597069766655;

CREATE VIEW calendar_entries AS
SELECT key - 6597069766656 AS id,
       json_extract(json, '$.title') AS title,
       json_extract(json, '$.description') AS description,
       json_extract(json, '$.scheduled_at') AS scheduled_at,
       json_extract(json, '$.end_time') AS end_time,
       json_extract(json, '$.entry_type') AS entry_type,
       json_extract(json, '$.is_recurring') AS is_recurring,
       json_extract(json, '$.recurrence_pattern') AS recurrence_pattern,
       json_extract(json, '$.location') AS location,
       json_extract(json, '$.participants') AS participants,
       json_extract(json, '$.reminder_settings') AS reminder_settings,
       json_extract(json, '$.status') AS status,
       json_extract(json, '$.exceptions') AS exceptions,
       json_extract(json, '$.tags') AS tags,
       json_extract(json, '$.source_trace') AS source_trace,
       json_extract(json, '$.module') AS module,
       json_extract(json, '$.time') AS time,
       json_extract(json, '$.canon_bundle_id') AS canon_bundle_id
  FROM records
 WHERE key BETWEEN 6597069766656 AND 7696581394431;
