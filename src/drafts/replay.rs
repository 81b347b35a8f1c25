//! The event log as it is read again: what a client missed.
//!
//! Seqs of a draft count from 1 without gaps, and only the oldest events are ever removed. So what is left is the end of
//! the log, and an answer is complete exactly when it begins at the event after the last one that the client knows.
//! Each reading is one statement, so head, holder and events are of one moment.

use rusqlite::{Connection, Row, params};

use super::frame::TOPICS;
use super::store::known_kind;
use crate::clock::Timestamp;
use crate::store::{Event, Topic, damage};

/// Events replayed to one socket that catches up, at most; the newest ones.
pub const REPLAY_MAX_EVENTS: i64 = 1000;

/// What a socket that catches up is sent before it goes on live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// The newest event's seq; 0 when there is no such draft.
    pub head: i64,
    /// Who has the ring; nobody when there is no such draft.
    pub ring_holder: Option<String>,
    /// Events up to the head, in order, without a gap.
    pub events: Vec<Event>,
    /// Whether nothing is missing between what the client knows and the head.
    pub complete: bool,
}

/// A part of the log, for clients that read it in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The newest event's seq.
    pub head: i64,
    /// Events in order, without a gap.
    pub events: Vec<Event>,
    /// Whether nothing is missing between what the client knows and these events.
    pub complete: bool,
    /// Whether there are events after these.
    pub more: bool,
}

// `d` is one row or none, so the order is that of the index on (draft, seq) and nothing is sorted. A draft without
// such events is one row of nulls.
const NEWEST: &str = "SELECT d.event_seq, d.holder_id, e.seq, e.type, e.data, e.request_id, e.created_at \
                      FROM drafts AS d LEFT JOIN events AS e ON e.draft = d.id AND e.seq > ?2 \
                      WHERE d.draft_id = ?1 ORDER BY e.seq DESC LIMIT ?3";
const OLDEST: &str = "SELECT d.event_seq, d.holder_id, e.seq, e.type, e.data, e.request_id, e.created_at \
                      FROM drafts AS d LEFT JOIN events AS e ON e.draft = d.id AND e.seq > ?2 \
                      WHERE d.draft_id = ?1 ORDER BY e.seq LIMIT ?3";

/// The newest events after `since`, at most [`REPLAY_MAX_EVENTS`]. An unknown draft has no events.
///
/// # Errors
/// When SQLite fails, or when an event is stored that this program does not know.
pub fn since(connection: &Connection, draft_id: &str, since: i64) -> rusqlite::Result<Replay> {
    let Some(mut part) = Part::read(connection, NEWEST, draft_id, since, REPLAY_MAX_EVENTS)? else {
        return Ok(Replay { head: 0, ring_holder: None, events: Vec::new(), complete: since == 0 });
    };
    part.events.reverse();
    let complete = part.follows(since);
    Ok(Replay { head: part.head, ring_holder: Some(part.holder_id), events: part.events, complete })
}

/// The oldest events after `since`, at most `limit`. `None` when there is no such draft.
///
/// # Errors
/// When SQLite fails, or when an event is stored that this program does not know.
pub fn page(connection: &Connection, draft_id: &str, since: i64, limit: i64) -> rusqlite::Result<Option<Page>> {
    let Some(part) = Part::read(connection, OLDEST, draft_id, since, limit)? else { return Ok(None) };
    let complete = part.follows(since);
    let more = part.events.last().is_some_and(|last| last.seq < part.head);
    Ok(Some(Page { head: part.head, events: part.events, complete, more }))
}

/// What one statement finds: the draft's own columns, and events in the order of the statement.
struct Part {
    head: i64,
    holder_id: String,
    events: Vec<Event>,
}

impl Part {
    fn read(
        connection: &Connection,
        sql: &str,
        draft_id: &str,
        since: i64,
        limit: i64,
    ) -> rusqlite::Result<Option<Self>> {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![draft_id, since, limit])?;
        let Some(first) = rows.next()? else { return Ok(None) };
        let mut part = Self { head: first.get(0)?, holder_id: first.get(1)?, events: Vec::new() };
        let topic = Topic::new(&TOPICS, draft_id);
        part.events.extend(event_of(first, &topic)?);
        while let Some(row) = rows.next()? {
            part.events.extend(event_of(row, &topic)?);
        }
        part.agree()?;
        Ok(Some(part))
    }

    /// Fails when events are missing that nobody removes: those between others.
    fn agree(&self) -> rusqlite::Result<()> {
        match self.events.windows(2).find(|pair| pair[0].seq.abs_diff(pair[1].seq) != 1) {
            Some(gap) => Err(damage(format!("there is nothing between the events {} and {}", gap[0].seq, gap[1].seq))),
            None => Ok(()),
        }
    }

    /// Whether the first event is the one after `since`; without events, whether there is nothing after it.
    fn follows(&self, since: i64) -> bool {
        self.events.first().map_or(self.head, |event| event.seq - 1) == since
    }
}

/// The event of a row, if it has one.
fn event_of(row: &Row<'_>, topic: &Topic) -> rusqlite::Result<Option<Event>> {
    let Some(seq) = row.get(2)? else { return Ok(None) };
    let stored: String = row.get(3)?;
    let Some(kind) = known_kind(&stored) else {
        let unknown = format!("event {seq} is of the unknown type {stored:?}");
        return Err(damage(unknown));
    };
    let (data, request_id, at) = (row.get(4)?, row.get(5)?, Timestamp(row.get(6)?));
    Ok(Some(Event { topic: topic.clone(), seq, kind, data, request_id, at }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database with one draft, `d`, whose events `seqs` are left of `head`.
    fn database(head: i64, seqs: impl IntoIterator<Item = i64>) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(include_str!("../../schema.sql")).unwrap();
        connection
            .execute(
                "INSERT INTO drafts (draft_id, creator_id, title, platform, holder_id, event_seq, passed_at, \
                 created_at, updated_at) VALUES ('other', 'a', 't', 'x', 'a', 7, 0, 0, 0), \
                 ('d', 'a', 't', 'x', 'bob', ?1, 0, 0, 0)",
                [head],
            )
            .unwrap();
        let event =
            "INSERT INTO events (draft, seq, type, data, request_id, created_at) VALUES (?1, ?2, ?3, ?4, ?5, 0)";
        for seq in 1..=7 {
            connection.execute(event, params![1, seq, "collab.ring_passed", "{}", "other"]).unwrap();
        }
        for seq in seqs {
            let data = format!("{{\"number\":{seq}}}");
            connection.execute(event, params![2, seq, "collab.segment_added", data, "r"]).unwrap();
        }
        connection
    }

    fn seqs(events: &[Event]) -> Vec<i64> {
        assert!(events.iter().all(|event| event.data == format!("{{\"number\":{}}}", event.seq)));
        assert!(events.iter().all(|event| event.topic.name() == "d" && event.kind == "collab.segment_added"));
        events.iter().map(|event| event.seq).collect()
    }

    #[test]
    fn a_replay_is_the_end_of_the_log_and_says_what_is_missing() {
        let replayed = |connection: &Connection, from: i64| {
            let replay = since(connection, "d", from).unwrap();
            assert_eq!(replay.ring_holder.as_deref(), Some("bob"));
            (replay.head, seqs(&replay.events), replay.complete)
        };
        let whole = database(5, 1..=5);
        assert_eq!(replayed(&whole, 0), (5, vec![1, 2, 3, 4, 5], true));
        assert_eq!(replayed(&whole, 3), (5, vec![4, 5], true));
        assert_eq!(replayed(&whole, 5), (5, vec![], true));
        assert_eq!(replayed(&whole, 6), (5, vec![], false));
        assert_eq!(replayed(&whole, i64::MAX), (5, vec![], false));
        let shortened = database(5, 4..=5);
        assert_eq!(replayed(&shortened, 2), (5, vec![4, 5], false));
        assert_eq!(replayed(&shortened, 3), (5, vec![4, 5], true));
        assert_eq!(replayed(&shortened, 5), (5, vec![], true));
        assert_eq!(replayed(&database(5, []), 3), (5, vec![], false));
        let long = database(REPLAY_MAX_EVENTS + 3, 1..=REPLAY_MAX_EVENTS + 3);
        let newest: Vec<i64> = (4..=REPLAY_MAX_EVENTS + 3).collect();
        assert_eq!(replayed(&long, 3), (REPLAY_MAX_EVENTS + 3, newest.clone(), true));
        assert_eq!(replayed(&long, 2), (REPLAY_MAX_EVENTS + 3, newest, false));
    }

    #[test]
    fn an_unknown_draft_has_no_events_and_nobody_missed_one() {
        let connection = database(5, 1..=5);
        let nothing = |complete| Replay { head: 0, ring_holder: None, events: Vec::new(), complete };
        assert_eq!(since(&connection, "nowhere", 0).unwrap(), nothing(true));
        assert_eq!(since(&connection, "nowhere", 1).unwrap(), nothing(false));
        assert_eq!(page(&connection, "nowhere", 0, 10).unwrap(), None);
    }

    #[test]
    fn pages_go_through_the_whole_log() {
        let paged = |connection: &Connection, from: i64, limit: i64| {
            let page = page(connection, "d", from, limit).unwrap().unwrap();
            assert_eq!(page.head, 5);
            (seqs(&page.events), page.complete, page.more)
        };
        let whole = database(5, 1..=5);
        assert_eq!(paged(&whole, 0, 2), (vec![1, 2], true, true));
        assert_eq!(paged(&whole, 2, 2), (vec![3, 4], true, true));
        assert_eq!(paged(&whole, 4, 2), (vec![5], true, false));
        assert_eq!(paged(&whole, 3, 2), (vec![4, 5], true, false));
        assert_eq!(paged(&whole, 5, 2), (vec![], true, false));
        assert_eq!(paged(&whole, 6, 2), (vec![], false, false));
        assert_eq!(paged(&whole, i64::MAX, 2), (vec![], false, false));
        let shortened = database(5, 3..=5);
        assert_eq!(paged(&shortened, 1, 2), (vec![3, 4], false, true));
        assert_eq!(paged(&shortened, 2, 2), (vec![3, 4], true, true));
    }

    #[test]
    fn the_index_gives_the_order_and_nothing_is_sorted() {
        let connection = database(5, 1..=5);
        for sql in [NEWEST, OLDEST] {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let steps = statement.query_map(params!["d", 0, 10], |row| row.get::<_, String>(3)).unwrap();
            let steps: Vec<String> = steps.map(Result::unwrap).collect();
            assert_eq!(steps.len(), 2, "{steps:?}");
            assert!(steps[0].contains("(draft_id=?)") && steps[1].contains("(draft=? AND seq>?)"), "{steps:?}");
        }
    }

    #[test]
    fn a_type_that_nobody_knows_is_an_error_of_its_draft_only() {
        let connection = database(5, 1..=5);
        connection.execute("UPDATE events SET type = 'collab.renamed' WHERE draft = 2 AND seq = 4", ()).unwrap();
        let error = since(&connection, "d", 0).unwrap_err().to_string();
        assert!(error.contains("event 4 is of the unknown type \"collab.renamed\""), "{error}");
        assert!(page(&connection, "d", 0, 10).is_err());
        assert_eq!(seqs(&since(&connection, "d", 4).unwrap().events), [5]);
        assert_eq!(since(&connection, "other", 0).unwrap().events.len(), 7);
    }
}
