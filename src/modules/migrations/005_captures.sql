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
