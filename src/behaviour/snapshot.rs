//! What the ring holds, as JSON (contract 02 §1.2).

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::event::Event;
use super::json::{Blanks, rewrite, write_text};
use super::time::utc;

/// How many events are shown when nobody says.
pub(super) const SHOWN_DEFAULT: usize = 50;
/// Characters of a visitor's id that everyone is shown while there is a token.
pub(super) const SHORT_ID_CHARS: usize = 4;

/// An answer with more than this is made piece by piece.
pub(super) const WHOLE_SNAPSHOT_MAX_BYTES: usize = 256 * 1024;
/// What is made of it at once, and an event more.
const PIECE_BYTES: usize = 64 * 1024;

/// What is shown.
pub(super) struct Snapshot {
    /// Events in the ring.
    pub(super) total: usize,
    /// The last of them, oldest first.
    pub(super) window: Vec<Arc<Event>>,
    /// The size of the file, if there is one.
    pub(super) file_bytes: Option<u64>,
    /// Whether who asks is not to see whole ids of visitors.
    pub(super) shortened: bool,
}

/// The answer as it is made.
pub(super) struct Pieces {
    snapshot: Snapshot,
    /// How many events were told; nothing before the beginning was.
    told: Option<usize>,
}

impl Snapshot {
    /// How large the answer is, about.
    pub(super) fn bytes(&self) -> usize {
        self.window.iter().map(|event| event.bytes()).sum()
    }

    /// The answer piece by piece.
    pub(super) fn pieces(self) -> Pieces {
        Pieces { snapshot: self, told: None }
    }

    /// The whole answer.
    pub(super) fn into_json(self) -> String {
        let mut text = String::with_capacity(self.bytes());
        let mut pieces = self.pieces();
        while pieces.next(&mut text) {}
        text
    }

    fn begin(&self, text: &mut String) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{{\"total\":{},\"by_event\":[", self.total);
        for (nth, (name, count)) in counts(&self.window).into_iter().enumerate() {
            text.push_str(if nth > 0 { ",{\"event\":" } else { "{\"event\":" });
            write_text(name, text);
            let _ = write!(text, ",\"count\":{count}}}");
        }
        text.push_str("],\"last_events\":[");
    }

    fn end(&self, text: &mut String) {
        let bytes = self.file_bytes.map_or_else(|| "null".to_owned(), |bytes| bytes.to_string());
        let _ = write!(text, "],\"file_size_bytes\":{bytes},\"window\":{}}}", self.window.len());
    }

    fn event(&self, event: &Event, text: &mut String) {
        text.push_str("{\"visitor_id\":");
        match event.visitor_id.char_indices().nth(SHORT_ID_CHARS).filter(|_| self.shortened) {
            Some((end, _)) => write_text(&format!("{}…", &event.visitor_id[..end]), text),
            None => write_text(&event.visitor_id, text),
        }
        text.push_str(",\"event\":");
        write_text(&event.name, text);
        let _ = write!(text, ",\"timestamp\":\"{}\",\"metadata\":", utc(event.timestamp));
        rewrite(&event.metadata, Blanks::None, text);
        text.push_str(",\"user_agent\":");
        match &event.user_agent {
            Some(agent) => write_text(agent, text),
            None => text.push_str("null"),
        }
        text.push('}');
    }
}

impl Pieces {
    /// Appends the next piece; false when there are no more.
    pub(super) fn next(&mut self, text: &mut String) -> bool {
        let (snapshot, began) = (&self.snapshot, text.len());
        let told = self.told.unwrap_or_else(|| {
            snapshot.begin(text);
            0
        });
        for (nth, event) in snapshot.window.iter().rev().enumerate().skip(told) {
            if text.len() - began >= PIECE_BYTES {
                self.told = Some(nth);
                return true;
            }
            if nth > 0 {
                text.push(',');
            }
            snapshot.event(event, text);
        }
        snapshot.end(text);
        false
    }
}

/// How often there is each, most first; of equals the one that came first.
fn counts(window: &[Arc<Event>]) -> Vec<(&str, usize)> {
    let (mut counts, mut places): (Vec<(&str, usize)>, HashMap<&str, usize>) = (Vec::new(), HashMap::new());
    for event in window {
        let place = *places.entry(&event.name).or_insert_with(|| {
            counts.push((&event.name, 0));
            counts.len() - 1
        });
        counts[place].1 += 1;
    }
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::ring::Ring;
    use super::*;
    use crate::clock::Timestamp;

    fn event(name: &str, second: i64) -> Arc<Event> {
        Arc::new(Event {
            visitor_id: "v-abc123".to_owned(),
            name: name.to_owned(),
            timestamp: Timestamp(second * 1_000_000),
            metadata: "{\"path\": \"/\", \"n\": 12345678901234567890123}".to_owned(),
            user_agent: None,
        })
    }

    #[test]
    fn the_answer_is_the_contracts() {
        let window = vec![event("page_view", 0), event("link_click", 1), event("page_view", 2)];
        let snapshot = |shortened| Snapshot { total: 7, window: window.clone(), file_bytes: Some(1099), shortened };
        let shown = |name, second| {
            format!(
                "{{\"visitor_id\":\"v-abc123\",\"event\":\"{name}\",\"timestamp\":\"1970-01-01T00:00:0{second}Z\",\
                 \"metadata\":{{\"path\":\"/\",\"n\":12345678901234567890123}},\"user_agent\":null}}"
            )
        };
        let [last, middle, first] = [shown("page_view", 2), shown("link_click", 1), shown("page_view", 0)];
        assert_eq!(
            snapshot(false).into_json(),
            format!(
                "{{\"total\":7,\"by_event\":[{{\"event\":\"page_view\",\"count\":2}},{{\"event\":\"link_click\",\"count\":1}}],\
                 \"last_events\":[{last},{middle},{first}],\"file_size_bytes\":1099,\"window\":3}}"
            )
        );
        let empty = Snapshot { total: 0, window: Vec::new(), file_bytes: None, shortened: false };
        assert_eq!(
            empty.into_json(),
            "{\"total\":0,\"by_event\":[],\"last_events\":[],\"file_size_bytes\":null,\"window\":0}"
        );
        let hidden = snapshot(true).into_json();
        assert!(hidden.contains("\"visitor_id\":\"v-ab…\"") && !hidden.contains("v-abc123"), "{hidden}");
    }

    #[test]
    fn a_large_one_is_made_in_pieces_and_says_the_same() {
        let window: Vec<_> = (0..2000).map(|second| event("page_view", second)).collect();
        let snapshot = || Snapshot { total: 2000, window: window.clone(), file_bytes: None, shortened: false };
        let (mut pieces, mut whole, mut count) = (snapshot().pieces(), String::new(), 1);
        loop {
            let mut piece = String::new();
            let more = pieces.next(&mut piece);
            assert!(!piece.is_empty() && piece.len() < PIECE_BYTES + 1000, "{}", piece.len());
            whole.push_str(&piece);
            if !more {
                break;
            }
            count += 1;
        }
        assert!(whole == snapshot().into_json() && count > 3, "{count}");
        assert_eq!(serde_json::from_str::<Value>(&whole).unwrap()["last_events"].as_array().unwrap().len(), 2000);
    }

    proptest! {
        /// Against the plainest model: a list of all that was ever pushed.
        #[test]
        fn total_and_by_event_are_those_of_a_model(
            capacity in 1..12_usize,
            names in prop::collection::vec("[a-d]", 0..40),
            limit in 1..15_usize,
        ) {
            let mut ring = Ring::new(capacity);
            names.iter().enumerate().for_each(|(second, name)| ring.push(event(name, second as i64)));
            let window = ring.last(limit);
            let snapshot = Snapshot { total: ring.len(), window, file_bytes: None, shortened: false };
            let shown: Value = serde_json::from_str(&snapshot.into_json()).unwrap();

            let kept = &names[names.len().saturating_sub(capacity)..];
            let seen = &kept[kept.len().saturating_sub(limit)..];
            let mut expected: Vec<(String, usize)> = Vec::new();
            for name in seen {
                match expected.iter_mut().find(|(known, _)| known == name) {
                    Some((_, count)) => *count += 1,
                    None => expected.push((name.clone(), 1)),
                }
            }
            expected.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            let by_event: Vec<Value> =
                expected.iter().map(|(name, count)| json!({ "event": name, "count": count })).collect();
            prop_assert_eq!(&shown["total"], &json!(kept.len()));
            prop_assert_eq!(&shown["by_event"], &json!(by_event));
            prop_assert_eq!(&shown["window"], &json!(seen.len()));
            let last: Vec<&str> =
                shown["last_events"].as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect();
            let newest_first: Vec<&str> = seen.iter().rev().map(String::as_str).collect();
            prop_assert_eq!(last, newest_first);
        }
    }
}
