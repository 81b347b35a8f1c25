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
