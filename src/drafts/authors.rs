//! Who has written how much of a draft.

use std::collections::HashMap;

use super::store::Segment;
use crate::clock::Timestamp;

/// The authors of what was taken so far.
#[derive(Debug, Default)]
pub(super) struct Authors(HashMap<String, Author>);

/// One of them.
#[derive(Debug, PartialEq)]
pub(super) struct Author {
    pub(super) user_id: String,
    /// Segments.
    pub(super) count: i64,
    /// Their ids in their order, each with a line feed behind it: text, and not a list, for there may be very many.
    ids: String,
    pub(super) first_at: Timestamp,
    pub(super) last_at: Timestamp,
}

impl Author {
    /// The ids of the segments, in their order, from this byte of them on: each takes one more than it has.
    pub(super) fn segment_ids(&self, from: usize) -> impl Iterator<Item = &str> {
        self.ids.get(from..).unwrap_or_default().lines()
    }
}

impl Authors {
    /// Takes the next segment.
    pub(super) fn take(&mut self, segment: &Segment<'_>) {
        let (user, at) = (segment.user_id, segment.created_at);
        if !self.0.contains_key(user) {
            let (user_id, ids) = (user.to_owned(), String::new());
            self.0.insert(user.to_owned(), Author { user_id, count: 0, ids, first_at: at, last_at: at });
        }
        if let Some(author) = self.0.get_mut(user) {
            author.count += 1;
            author.ids.push_str(segment.segment_id);
            author.ids.push('\n');
            author.last_at = at;
        }
    }

    /// All of them: who has written most comes first, and of equals who began first.
    pub(super) fn into_list(self) -> Vec<Author> {
        let mut list: Vec<Author> = self.0.into_values().collect();
        list.sort_by(|a, b| (-a.count, a.first_at, &a.user_id).cmp(&(-b.count, b.first_at, &b.user_id)));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_written_most_comes_first() {
        let mut authors = Authors::default();
        for (order, user_id) in ["bob", "alice", "carol", "carol", "alice", "dave"].into_iter().enumerate() {
            let order = i64::try_from(order).unwrap();
            let (segment_id, created_at) = (format!("s{order}"), Timestamp(order));
            authors.take(&Segment {
                order,
                segment_id: &segment_id,
                user_id,
                content: "",
                created_at,
                is_redacted: false,
            });
        }
        let list = authors.into_list();
        let shown: Vec<_> = list.iter().map(|author| (author.user_id.as_str(), author.count)).collect();
        assert_eq!(shown, [("alice", 2), ("carol", 2), ("bob", 1), ("dave", 1)]);
        assert_eq!(list[0].segment_ids(0).collect::<Vec<_>>(), ["s1", "s4"]);
        assert_eq!(list[0].segment_ids(3).collect::<Vec<_>>(), ["s4"]);
        assert_eq!(list[0].segment_ids(6).count(), 0);
        assert_eq!((list[0].first_at, list[0].last_at), (Timestamp(1), Timestamp(4)));
    }
}
