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
