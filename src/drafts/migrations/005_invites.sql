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
