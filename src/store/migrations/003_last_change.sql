-- The same row also says when the last change was made, or at most 100 ms before it (src/store/sqlite/last_change.rs).
ALTER TABLE probe ADD COLUMN last_change INTEGER;
