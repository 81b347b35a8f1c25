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
