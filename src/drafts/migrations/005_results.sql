-- What a change has answered beside the draft, where a replay has to say it again: JSON, or an id.
ALTER TABLE idempotency_keys ADD COLUMN result TEXT;
