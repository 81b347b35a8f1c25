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
