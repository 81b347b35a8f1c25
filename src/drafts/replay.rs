//! The event log as it is read again: what a client missed.
//!
//! Seqs of a draft count from 1 without gaps, and only the oldest events are ever removed. So what is left is the end of
//! the log, and an answer is complete exactly when it begins at the event after the last one that the client knows.
//! Each reading is one statement, so head, holder and events are of one moment.

use super::store::{self, Log, Order};
use crate::store::{Error, Event, Reader};

/// Events replayed to one socket that catches up, at most; the newest ones.
pub(super) const REPLAY_MAX_EVENTS: i64 = 1000;

/// What a socket that catches up is sent before it goes on live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Replay {
    /// The newest event's seq; 0 when there is no such draft.
    pub(super) head: i64,
    /// Who has the ring; nobody when there is no such draft.
    pub(super) ring_holder: Option<String>,
    /// Events up to the head, in order, without a gap.
    pub(super) events: Vec<Event>,
    /// Whether nothing is missing between what the client knows and the head.
    pub(super) complete: bool,
}

/// A part of the log, for clients that read it in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    /// The newest event's seq.
    pub(super) head: i64,
    /// Events in order, without a gap.
    pub(super) events: Vec<Event>,
    /// Whether nothing is missing between what the client knows and these events.
    pub(super) complete: bool,
    /// Whether there are events after these.
    pub(super) more: bool,
}

/// The newest events after `since`, at most [`REPLAY_MAX_EVENTS`]. An unknown draft has no events.
///
/// # Errors
/// When the store fails, or when an event is stored that this program does not know.
pub(super) fn since(reader: &Reader, draft_id: &str, since: i64) -> Result<Replay, Error> {
    let Some(mut part) = Log::read(reader, Order::NewestFirst, draft_id, since, REPLAY_MAX_EVENTS)? else {
        return Ok(Replay { head: 0, ring_holder: None, events: Vec::new(), complete: since == 0 });
    };
    part.events.reverse();
    let complete = part.follows(since);
    Ok(Replay { head: part.head, ring_holder: Some(part.holder_id), events: part.events, complete })
}

/// The oldest events after `since`, at most `limit`. `None` when there is no such draft.
///
/// # Errors
/// When the store fails, or when an event is stored that this program does not know.
pub(super) fn page(reader: &Reader, draft_id: &str, since: i64, limit: i64) -> Result<Option<Page>, Error> {
    let Some(part) = Log::read(reader, Order::OldestFirst, draft_id, since, limit)? else { return Ok(None) };
    let complete = part.follows(since);
    let more = part.events.last().is_some_and(|last| last.seq < part.head);
    Ok(Some(Page { head: part.head, events: part.events, complete, more }))
}

/// A part of a log, and what has to hold for it.
impl Log {
    fn read(reader: &Reader, order: Order, draft_id: &str, since: i64, limit: i64) -> Result<Option<Self>, Error> {
        let log = store::log(reader, order, draft_id, since, limit)?;
        log.iter().try_for_each(Self::agree)?;
        Ok(log)
    }

    /// Fails when events are missing that nobody removes: those between others.
    fn agree(&self) -> Result<(), Error> {
        match self.events.windows(2).find(|pair| pair[0].seq.abs_diff(pair[1].seq) != 1) {
            Some(gap) => {
                Err(Error::Damaged(format!("there is nothing between the events {} and {}", gap[0].seq, gap[1].seq)))
            }
            None => Ok(()),
        }
    }

    /// Whether the first event is the one after `since`; without events, whether there is nothing after it.
    fn follows(&self, since: i64) -> bool {
        self.events.first().map_or(self.head, |event| event.seq - 1) == since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database with one draft, `d`, whose events `seqs` are left of `head`.
    fn database(head: i64, seqs: impl IntoIterator<Item = i64>) -> Reader {
        let reader = Reader::in_memory(crate::drafts::MIGRATIONS);
        reader.batch(&format!(
            "INSERT INTO drafts (draft_id, creator_id, title, platform, holder_id, event_seq, passed_at, \
             created_at, updated_at) VALUES ('other', 'a', 't', 'x', 'a', 7, 0, 0, 0), \
             ('d', 'a', 't', 'x', 'bob', {head}, 0, 0, 0)"
        ));
        let event = "INSERT INTO events (draft, seq, type, data, request_id, created_at) VALUES";
        for seq in 1..=7 {
            reader.batch(&format!("{event} (1, {seq}, 'collab.ring_passed', '{{}}', 'other', 0)"));
        }
        for seq in seqs {
            reader.batch(&format!("{event} (2, {seq}, 'collab.segment_added', '{{\"number\":{seq}}}', 'r', 0)"));
        }
        reader
    }

    fn seqs(events: &[Event]) -> Vec<i64> {
        assert!(events.iter().all(|event| event.data == format!("{{\"number\":{}}}", event.seq)));
        assert!(events.iter().all(|event| event.topic.name() == "d" && event.kind == "collab.segment_added"));
        events.iter().map(|event| event.seq).collect()
    }

    #[test]
    fn a_replay_is_the_end_of_the_log_and_says_what_is_missing() {
        let replayed = |reader: &Reader, from: i64| {
            let replay = since(reader, "d", from).unwrap();
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
        let reader = database(5, 1..=5);
        let nothing = |complete| Replay { head: 0, ring_holder: None, events: Vec::new(), complete };
        assert_eq!(since(&reader, "nowhere", 0).unwrap(), nothing(true));
        assert_eq!(since(&reader, "nowhere", 1).unwrap(), nothing(false));
        assert_eq!(page(&reader, "nowhere", 0, 10).unwrap(), None);
    }

    #[test]
    fn pages_go_through_the_whole_log() {
        let paged = |reader: &Reader, from: i64, limit: i64| {
            let page = page(reader, "d", from, limit).unwrap().unwrap();
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
    fn a_type_that_nobody_knows_is_an_error_of_its_draft_only() {
        let reader = database(5, 1..=5);
        reader.batch("UPDATE events SET type = 'collab.renamed' WHERE draft = 2 AND seq = 4");
        let error = since(&reader, "d", 0).unwrap_err().to_string();
        assert!(error.contains("event 4 is of the unknown type \"collab.renamed\""), "{error}");
        assert!(page(&reader, "d", 0, 10).is_err());
        assert_eq!(seqs(&since(&reader, "d", 4).unwrap().events), [5]);
        assert_eq!(since(&reader, "other", 0).unwrap().events.len(), 7);
    }
}
