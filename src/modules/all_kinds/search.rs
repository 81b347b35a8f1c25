//! One search over all modules (contract 04 §5.2).
//!
//! Its work is bounded, so that a word that is everywhere costs about as much as one that is nowhere. Whole words come first,
//! whose places the index gives from the newest on; words that only begin so are asked for where those are not enough. Records
//! that have the words in their titles go before others: all of them while the words are rare enough, and among those that are
//! shown when they are not.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::desk::Desk;
use super::super::records::answer;
use super::super::records::fact::text;
use super::super::records::kinds::{KINDS, Kind};
use super::super::records::record::Key;
use super::item::{Item, opened};
use super::snippet::Snippet;
use super::store;
use crate::gate::validate::Check;
use crate::gate::{ApiError, Call, Outcome};
use crate::store::{Error, Order, Query, Reader, Search, TextGroup};

/// Results of one search.
pub(in crate::modules) const FOUND_MAX: i64 = 50;
const FOUND: i64 = 20;
/// Records of each kind that one search looks at.
pub(in crate::modules) const LOOKED_AT_MAX: usize = 200;
/// Records that have words with the beginnings that are searched for, of which those are taken that are looked at.
const BEGINNINGS_MAX: usize = 10_000;
/// From so many on, words are not looked for in titles alone.
const COMMON_MIN: usize = 1000;

/// Answers with what is found.
pub(super) fn find(desk: &Desk, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let mut check = Check::new();
    let limit = check.query_number(call.query_value("limit"), "limit", 1..=FOUND_MAX).unwrap_or(FOUND);
    let module = call.query_value("module").filter(|module| !module.is_empty());
    if let Some(module) = module.as_deref().filter(|module| Kind::of_module(module).is_none()) {
        let known: Vec<&str> = KINDS.iter().map(|kind| kind.module).collect();
        check.refuse("query", "module", module, &format!("Input should be one of {}", known.join(", ")));
    }
    check.done()?;
    if let Some(module) = &module {
        desk.active(module)?;
    }
    let active = desk.active_modules();
    let is_wanted =
        |kind: &&Kind| active.contains(&kind.module) && module.as_ref().is_none_or(|name| name == kind.module);
    let kinds: Vec<&'static Kind> = KINDS.iter().filter(is_wanted).collect();
    let text = call.query_value("q").unwrap_or_default();
    let search = Search::of(&text);
    let limit = usize::try_from(limit).unwrap_or(1);
    let fetch = move |reader: &Reader| {
        let Some(search) = search else { return Ok((Vec::new(), false)) };
        // One state of them all, which also takes fewer locks than one for each record.
        let mut hits = reader.snapshot(|reader| hits(reader, &search, &kinds, limit + 1))?;
        let has_more = hits.len() > limit;
        hits.truncate(limit);
        Ok((hits.iter().map(|hit| hit.shown(&search)).collect::<Vec<Value>>(), has_more))
    };
    desk.parts.read(call, fetch, move |(results, has_more)| {
        Ok(answer(&json!({ "query": text, "results": results, "more": has_more })))
    })
}

/// A record that was found.
struct Hit {
    is_titled: bool,
    item: Item,
    text: String,
}

impl Hit {
    fn shown(&self, search: &Search) -> Value {
        let snippet = Snippet::of(search, &self.item.title, &self.text);
        let mut shown = self.item.members();
        shown.insert("marks".to_owned(), snippet.marks());
        shown.insert("snippet".to_owned(), snippet.text.into());
        Value::Object(shown)
    }
}

/// What is found, the best first, so many of them at most.
fn hits(query: &impl Query, search: &Search, kinds: &[&'static Kind], most: usize) -> Result<Vec<Hit>, Error> {
    let matches = Matches::of(query, search, kinds, most)?;
    let mut best = Vec::new();
    for key in matches.newest(kinds, most) {
        let created_at = store::created_at(query, key)?;
        best.extend(created_at.map(|at| Reverse((matches.titled.contains(&key), at, key))));
    }
    best.sort_unstable();
    best.truncate(most);
    let mut hits = Vec::new();
    for Reverse((is_titled, _, key)) in best {
        let Some(listed) = store::listed(query, key)? else { continue };
        let Some((kind, fields)) = opened(key, &listed.json)? else { continue };
        let item = Item::of(kind, &fields, key, listed.moment);
        hits.push(Hit { is_titled: is_titled || search.is_in(&item.title), item, text: text(kind, &fields) });
    }
    hits.sort_by_key(|hit| !hit.is_titled);
    Ok(hits)
}

/// The records that have the words.
#[derive(Default)]
struct Matches {
    all: BTreeSet<Key>,
    /// Those that are known to have them in their titles.
    titled: BTreeSet<Key>,
}

impl Matches {
    fn of(query: &impl Query, search: &Search, kinds: &[&'static Kind], most: usize) -> Result<Self, Error> {
        let mut matches = Self::default();
        let (mut search, mut is_common) = (search, false);
        let whole = search.whole_words();
        for kind in kinds {
            // Of common words the newest records of each kind are enough.
            let enough = if is_common { most } else { LOOKED_AT_MAX };
            let mut looked_at = 0;
            query.search(&whole, &[kind.texts()], Order::Newest, |key| {
                matches.all.insert(Key(key));
                looked_at += 1;
                Ok(looked_at < enough)
            })?;
            is_common |= looked_at == LOOKED_AT_MAX;
        }
        let groups: Vec<TextGroup> = kinds.iter().map(|kind| kind.texts()).collect();
        if matches.all.len() < most {
            let mut looked_at = 0;
            let mut taken = [0; KINDS.len() + 1];
            query.search(search, &groups, Order::Newest, |key| {
                looked_at += 1;
                let key = Key(key);
                let number = key.kind().and_then(|kind| usize::try_from(kind.number).ok()).unwrap_or_default();
                if taken[number] < LOOKED_AT_MAX {
                    taken[number] += 1;
                    matches.all.insert(key);
                }
                Ok(looked_at < BEGINNINGS_MAX)
            })?;
            is_common |= looked_at >= COMMON_MIN;
        } else {
            search = &whole;
        }
        // Where all are shown, their titles are read anyway.
        if !is_common && matches.all.len() > most {
            query.search(&search.in_title(), &groups, Order::Newest, |key| {
                matches.titled.insert(Key(key));
                Ok(matches.titled.len() < COMMON_MIN)
            })?;
        }
        Ok(matches)
    }

    /// The newest ones of each kind, so many with the words in their titles and so many others.
    fn newest(&self, kinds: &[&'static Kind], most: usize) -> BTreeSet<Key> {
        let mut newest = BTreeSet::new();
        for kind in kinds {
            let (first, last) = Key::range(kind);
            let range = Key(first)..=Key(last);
            newest.extend(self.titled.range(range.clone()).rev().take(most));
            newest.extend(self.all.range(range).rev().filter(|key| !self.titled.contains(key)).take(most));
        }
        newest
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::Timestamp;
    use crate::modules::MIGRATIONS;
    use crate::store::TextWords;
    use crate::store::testing::House;

    fn put(house: &House, module: &str, id: i64, title: &str, text: &str, created_at: i64) {
        let kind = Kind::of_module(module).unwrap();
        let key = Key::of(kind, id).unwrap();
        let (named, said) = (kind.fields[0].name, if module == "kazkar" { "content" } else { "description" });
        let json = json!({ named: title, said: text }).to_string().replace('\'', "''");
        house.batch(format!(
            "INSERT INTO records (key, json, moment, created_at, updated_at, revision) \
             VALUES ({}, '{json}', {created_at}, {created_at}, 0, 1)",
            key.0
        ));
        let words = Arc::new(TextWords::of(kind.texts(), title, text));
        house.write(move |tx| tx.add_text(key.0, &words));
    }

    fn found(house: &House, words: &str, most: usize) -> Vec<String> {
        let kinds: Vec<&'static Kind> = KINDS.iter().collect();
        let hits = hits(&*house.reader, &Search::of(words).unwrap(), &kinds, most).unwrap();
        hits.iter().map(|hit| format!("{}/{}", hit.item.module, hit.item.id)).collect()
    }

    #[test]
    fn titles_go_first_then_the_newest_of_all_kinds() {
        let house = House::at(Timestamp(0), MIGRATIONS);
        put(&house, "kazkar", 1, "Борщ", "перший", 1);
        put(&house, "malya", 1, "Інше", "борщ, знову борщ", 2);
        put(&house, "kazkar", 2, "Ще", "як варили борщ", 3);
        put(&house, "podija", 1, "Борщова неділя", "усі разом", 4);
        put(&house, "malya", 2, "Без нього", "каша", 5);
        assert_eq!(found(&house, "БОРЩ", 9), ["podija/1", "kazkar/1", "kazkar/2", "malya/1"]);
        assert_eq!(found(&house, "борщ", 2), ["kazkar/1", "kazkar/2"], "whole words are enough");
        assert_eq!(found(&house, "борщо", 9), ["podija/1"]);
        assert_eq!(found(&house, "борщ варили", 9), ["kazkar/2"]);
        assert_eq!(found(&house, "нічого", 9), [""; 0]);
        house.end();
    }

    #[test]
    fn a_word_that_is_everywhere_is_looked_at_so_often() {
        let house = House::at(Timestamp(0), MIGRATIONS);
        let kind = Kind::of_module("kazkar").unwrap();
        house.write(move |tx| {
            for id in 1..=2 * COMMON_MIN as i64 {
                let title = if id == 1 { "слово" } else { "" };
                let words = Arc::new(TextWords::of(kind.texts(), title, "слово"));
                tx.add_text(Key::of(kind, id).unwrap().0, &words);
            }
        });
        let kinds: Vec<&'static Kind> = KINDS.iter().collect();
        let search = Search::of("слово").unwrap();
        let matches = Matches::of(&*house.reader, &search, &kinds, 21).unwrap();
        assert_eq!((matches.all.len(), matches.titled.len()), (LOOKED_AT_MAX, 0));
        assert_eq!(matches.newest(&kinds, 21).len(), 21);
        let beginning = Search::of("сло").unwrap();
        let matches = Matches::of(&*house.reader, &beginning, &kinds, 21).unwrap();
        assert_eq!((matches.all.len(), matches.titled.len()), (LOOKED_AT_MAX, 0));
        house.end();
    }
}
