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
