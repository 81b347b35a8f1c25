//! Search in texts, by SQLite's FTS5: words in any order, each a beginning of a word.

use std::ops::RangeInclusive;

use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

use super::connection::Connection;
use crate::store::error::Error;
use crate::store::value::Value;

/// Words of a search that are looked at; more say nothing that the first ones do not.
pub(crate) const SEARCH_MAX_WORDS: usize = 16;
/// Letters from which on a word stands for all that begin with it. A single letter would stand for nearly everything.
const PREFIX_MIN_CHARS: usize = 2;

const PUT: &str = "INSERT INTO texts (rowid, title, body) VALUES (?1, ?2, ?3)";
const REMOVE: &str = "DELETE FROM texts WHERE rowid = ?1";
const OLDEST: &str = "SELECT rowid FROM texts WHERE texts MATCH ?1 AND rowid BETWEEN ?2 AND ?3 ORDER BY rowid";
const NEWEST: &str = "SELECT rowid FROM texts WHERE texts MATCH ?1 AND rowid BETWEEN ?2 AND ?3 ORDER BY rowid DESC";
const SNIPPET: &str =
    "SELECT snippet(texts, -1, char(2), char(3), '…', 24) FROM texts WHERE texts MATCH ?1 AND rowid = ?2";

/// In which order texts are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The smallest number first.
    Oldest,
    /// The largest number first.
    Newest,
}

/// What is searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search(String);

impl Search {
    /// All of these words, each at the beginning of a word. Nothing where there are no words: that finds nothing.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let text = normalised(text);
        let words = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
        let terms: Vec<String> = words.take(SEARCH_MAX_WORDS).map(term).collect();
        (!terms.is_empty()).then(|| Self(terms.join(" ")))
    }

    /// The same in titles alone.
    #[must_use]
    pub fn in_title(&self) -> Self {
        Self(format!("title : ({})", self.0))
    }
}

fn term(word: &str) -> String {
    let prefix = if word.chars().nth(PREFIX_MIN_CHARS - 1).is_some() { "*" } else { "" };
    format!("\"{word}\"{prefix}")
}

/// The text in the one form in which words are compared.
fn normalised(text: &str) -> String {
    if is_nfc_quick(text.chars()) == IsNormalized::Yes { text.to_owned() } else { text.nfc().collect() }
}

impl Connection {
    pub(in crate::store) fn put_text(&self, number: i64, title: &str, body: &str) -> Result<(), Error> {
        let (title, body) = (normalised(title), normalised(body));
        self.change_one(PUT, &[number.into(), (&title).into(), (&body).into()])
    }

    pub(in crate::store) fn remove_text(&self, number: i64) -> Result<(), Error> {
        self.change(REMOVE, &[number.into()]).map(|_| ())
    }

    /// Has `take` see the numbers of what is found until it says false.
    pub(in crate::store) fn search(
        &self,
        search: &Search,
        among: RangeInclusive<i64>,
        order: Order,
        mut take: impl FnMut(i64) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let sql = if order == Order::Oldest { OLDEST } else { NEWEST };
        let values: [Value<'_>; 3] = [(&search.0).into(), (*among.start()).into(), (*among.end()).into()];
        self.until(sql, &values, |row| take(row.get(0)?))
    }

    /// The place in a text where it was found, with its words between U+0002 and U+0003.
    pub(in crate::store) fn snippet(&self, search: &Search, number: i64) -> Result<Option<String>, Error> {
        self.one(SNIPPET, &[(&search.0).into(), number.into()], |row| row.get(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::open;
    use crate::store::testing::schema;

    #[test]
    fn words_are_found_whatever_their_case_their_end_and_their_apostrophe() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory.path().join("a.db"), &schema(&[])).unwrap();
        let connection = &store.connection;
        connection.put_text(7, "Пам'ять про діда", "Ми їздили до Києва навесні").unwrap();
        connection.put_text(8, "Recipe", "Йогурт, ground floor; їжак").unwrap();
        connection.put_text(9, "пам\u{2bc}ять", "Київ").unwrap();
        let found = |text: &str| {
            let mut found = Vec::new();
            let Some(search) = Search::of(text) else { return found };
            connection
                .search(&search, 0..=100, Order::Newest, |number| {
                    found.push(number);
                    Ok(true)
                })
                .unwrap();
            found
        };
        for (text, expected) in [
            ("ПАМ’ЯТЬ", vec![9, 7]),
            ("памʼя", vec![9, 7]),
            ("київ", vec![9]),
            ("киє навес", vec![7]),
            ("навес киє", vec![7]),
            ("киє зима", vec![]),
            ("и\u{306}огурт", vec![8]),
            ("иогурт", vec![]),
            ("їжак", vec![8]),
            ("GROUND", vec![8]),
            ("g", vec![]),
            ("\" OR title:* NEAR(", vec![]),
            ("  ", vec![]),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
        let search = Search::of("пам").unwrap();
        assert_eq!(connection.snippet(&search, 7).unwrap().as_deref(), Some("\u{2}Пам\u{3}'ять про діда"));
        connection.remove_text(7).unwrap();
        assert_eq!(found("пам"), [9]);
        let mut titled = Vec::new();
        for text in ["recipe", "йогурт"] {
            let take = |number| {
                titled.push(number);
                Ok(true)
            };
            connection.search(&Search::of(text).unwrap().in_title(), 0..=100, Order::Oldest, take).unwrap();
        }
        assert_eq!(titled, [8]);
        assert_eq!(Search::of(&"word ".repeat(1000)).unwrap().0.matches('*').count(), SEARCH_MAX_WORDS);
    }
}
