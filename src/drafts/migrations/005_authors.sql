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
