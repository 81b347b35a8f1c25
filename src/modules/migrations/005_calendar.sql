-- The feed of the calendar: the SHA-256 of the token that it is read with. One row, or none where there is no feed.
CREATE TABLE calendar_feed (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    token_hash BLOB    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
