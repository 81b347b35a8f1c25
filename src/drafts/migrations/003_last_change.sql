-- Until this version the newest event of a draft told when the last change was made.
INSERT INTO probe (id, probed_at, last_change)
    SELECT 1, created_at, created_at FROM events WHERE TRUE ORDER BY id DESC LIMIT 1
    ON CONFLICT (id) DO UPDATE SET last_change = excluded.last_change;
