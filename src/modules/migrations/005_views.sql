-- Records under the names of the original's tables and columns, for whoever looks into the database with SQL. The server itself reads
-- none of them. Lists and objects are JSON, as there; what is true is 1. Of each, `key` is where its kind begins, and the id behind it.

CREATE VIEW kazkar_stories AS
SELECT key - 1099511627776 AS id,
       json_extract(json, '$.title') AS title,
       json_extract(json, '$.content') AS content,
       json_extract(json, '$.story_type') AS story_type,
       json_extract(json, '$.participants') AS participants,
       json_extract(json, '$.location') AS location,
       json_extract(json, '$.tags') AS tags,
       json_extract(json, '$.source_trace') AS source_trace,
       json_extract(json, '$.module') AS module,
       json_extract(json, '$.time') AS time,
       json_extract(json, '$.canon_bundle_id') AS canon_bundle_id
  FROM records
 WHERE key BETWEEN 1099511627776 AND 2199023255551;

CREATE VIEW podija_events AS
SELECT key - 2199023255552 AS id,
       json_extract(json, '$.title') AS title,
       json_extract(json, '$.description') AS description,
       json_extract(json, '$.event_date') AS event_date,
       json_extract(json, '$.event_type') AS event_type,
       json_extract(json, '$.is_completed') AS is_completed,
       json_extract(json, '$.participants') AS participants,
       json_extract(json, '$.location') AS location,
       json_extract(json, '$.tags') AS tags,
       json_extract(json, '$.source_trace') AS source_trace,
       json_extract(json, '$.module') AS module,
       json_extract(json, '$.time') AS time,
       json_extract(json, '$.canon_bundle_id') AS canon_bundle_id
  FROM records
 WHERE key BETWEEN 2199023255552 AND 3298534883327;

CREATE VIEW nastrij_emotions AS
SELECT key - 3298534883328 AS id,
       json_extract(json, '$.emotion_state') AS emotion_state,
       json_extract(json, '$.intensity') AS intensity,
       json_extract(json, '$.context') AS context,
       json_extract(json, '$.triggers') AS triggers,
       json_extract(json, '$.notes') AS notes,
       json_extract(json, '$.occurred_at') AS occurred_at,
       json_extract(json, '$.tags') AS tags,
       json_extract(json, '$.source_trace') AS source_trace,
       json_extract(json, '$.module') AS module,
       json_extract(json, '$.time') AS time,
       json_extract(json, '$.canon_bundle_id') AS canon_bundle_id
  FROM records
 WHERE key BETWEEN 3298534883328 AND 4398046511103;

CREATE VIEW malya_ideas AS
SELECT key - 4398046511104 AS id,
       json_extract(json, '$.title') AS title,
       json_extract(json, '$.description') AS description,
       json_extract(json, '$.idea_type') AS idea_type,
       json_extract(json, '$.status') AS status,
       json_extract(json, '$.related_ideas') AS related_ideas,
       json_extract(json, '$.resources') AS resources,
       json_extract(json, '$.priority') AS priority,
       json_extract(json, '$.tags') AS tags,
       json_extract(json, '$.source_trace') AS source_trace,
       json_extract(json, '$.module') AS module,
       json_extract(json, '$.time') AS time,
       json_extract(json, '$.canon_bundle_id') AS canon_bundle_id
  FROM records
 WHERE key BETWEEN 4398046511104 AND 5497558138879;

CREATE VIEW gallery_items AS
SELECT key - 5497558138880 AS id,
       json_extract(json, '$.title') AS title,
       json_extract(json, '$.description') AS description,
       json_extract(json, '$.media_type') AS media_type,
       json_extract(json, '$.url') AS url,
       json_extract(json, '$.thumbnail_url') AS thumbnail_url,
       json_extract(json, '$.file_size') AS file_size,
       json_extract(json, '$.mime_type') AS mime_type,
       json_extract(json, '$.media_metadata') AS media_metadata,
       json_extract(json, '$.taken_at') AS taken_at,
       json_extract(json, '$.tags') AS tags,
       json_extract(json, '$.source_trace') AS source_trace,
       json_extract(json, '$.module') AS module,
       json_extract(json, '$.time') AS time,
       json_extract(json, '$.canon_bundle_id') AS canon_bundle_id
  FROM records
 WHERE key BETWEEN 5497558138880 AND 6597069766655;

CREATE VIEW calendar_entries AS
SELECT key - 6597069766656 AS id,
       json_extract(json, '$.title') AS title,
       json_extract(json, '$.description') AS description,
       json_extract(json, '$.scheduled_at') AS scheduled_at,
       json_extract(json, '$.end_time') AS end_time,
       json_extract(json, '$.entry_type') AS entry_type,
       json_extract(json, '$.is_recurring') AS is_recurring,
       json_extract(json, '$.recurrence_pattern') AS recurrence_pattern,
       json_extract(json, '$.location') AS location,
       json_extract(json, '$.participants') AS participants,
       json_extract(json, '$.reminder_settings') AS reminder_settings,
       json_extract(json, '$.status') AS status,
       json_extract(json, '$.exceptions') AS exceptions,
       json_extract(json, '$.tags') AS tags,
       json_extract(json, '$.source_trace') AS source_trace,
       json_extract(json, '$.module') AS module,
       json_extract(json, '$.time') AS time,
       json_extract(json, '$.canon_bundle_id') AS canon_bundle_id
  FROM records
 WHERE key BETWEEN 6597069766656 AND 7696581394431;
