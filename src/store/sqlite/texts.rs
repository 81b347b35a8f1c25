//! Search in texts, by SQLite's FTS5: words in any order, each a beginning of a word.

use std::borrow::Cow;
use std::ops::{Range, RangeInclusive};

use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

use super::connection::Connection;
use crate::store::error::Error;
use crate::store::value::Value;

/// Words of a search that are looked at; more say nothing that the first ones do not.
pub(crate) const SEARCH_MAX_WORDS: usize = 16;
/// Letters from which on a word stands for all that begin with it: fewer would stand for nearly everything.
const PREFIX_MIN_CHARS: usize = 3;

const PUT: &str = "INSERT OR REPLACE INTO texts (rowid, title, body) VALUES (?1, ?2, ?3)";
const REMOVE: &str = "DELETE FROM texts WHERE rowid = ?1";
const OLDEST: &str = "SELECT rowid FROM texts WHERE texts MATCH ?1 AND rowid BETWEEN ?2 AND ?3 ORDER BY rowid";
const NEWEST: &str = "SELECT rowid FROM texts WHERE texts MATCH ?1 AND rowid BETWEEN ?2 AND ?3 ORDER BY rowid DESC";
/// All of them are letters, and none of them combines.
const CYRILLIC: RangeInclusive<char> = '\u{400}'..='\u{481}';

/// What becomes of a text in the index of words.
pub(in crate::store) enum TextChange {
    /// It is found from now on, in the place of another one of this number.
    Put {
        /// Its number.
        number: i64,
        /// Its title, composed.
        title: String,
        /// The rest of it, composed.
        body: String,
    },
    /// It is found no longer.
    Remove {
        /// Its number.
        number: i64,
    },
}

impl TextChange {
    /// A text that is found from now on.
    pub(in crate::store) fn put(number: i64, title: &str, body: &str) -> Self {
        Self::Put { number, title: composed(title).into_owned(), body: composed(body).into_owned() }
    }

    /// The bytes of its text.
    pub(in crate::store) fn bytes(&self) -> usize {
        match self {
            Self::Put { title, body, .. } => title.len() + body.len(),
            Self::Remove { .. } => 0,
        }
    }
}

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
pub struct Search {
    words: Vec<String>,
    /// The parts of the words as the index has them, in small letters.
    parts: Vec<Part>,
    /// Whether a word stands for all that begin with it.
    begins: bool,
    /// Whether titles alone are searched.
    titles: bool,
}

/// A word as the index has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    small: String,
    /// Whether it is long enough to stand for all that begin with it.
    is_beginning: bool,
}

impl Search {
    /// All of these words, each at the beginning of a word. Nothing where there are no words: that finds nothing.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let text = composed(text);
        let words: Vec<String> =
            words_in(&text, is_gap).take(SEARCH_MAX_WORDS).map(|(_, word)| word.to_owned()).collect();
        let part = |(is_beginning, part): (bool, &str)| Part { small: small(part).collect(), is_beginning };
        let of_word = |word| words_in(word, is_seam).map(move |(_, part)| (is_beginning(word), part)).map(part);
        let parts = words.iter().map(String::as_str).flat_map(of_word).collect();
        (!words.is_empty()).then_some(Self { words, parts, begins: true, titles: false })
    }

    /// The same in titles alone.
    #[must_use]
    pub fn in_title(&self) -> Self {
        Self { titles: true, ..self.clone() }
    }

    /// The same, each a whole word: found without gathering all that begin so, however many there are.
    #[must_use]
    pub fn whole_words(&self) -> Self {
        Self { begins: false, ..self.clone() }
    }

    /// Where in a [`composed`] text words are that are searched for, in bytes.
    pub fn places(&self, text: &str) -> impl Iterator<Item = Range<usize>> {
        let is_wanted = |word| self.parts.iter().any(|part| self.is_found(part, word));
        words_in(text, is_seam).filter(move |(_, word)| is_wanted(word)).map(|(at, word)| at..at + word.len())
    }

    /// Whether a text has all the words.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        let text = composed(text);
        self.parts.iter().all(|part| words_in(&text, is_seam).any(|(_, word)| self.is_found(part, word)))
    }

    /// Letter by letter, because most words differ in the first.
    fn is_found(&self, part: &Part, word: &str) -> bool {
        let mut letters = small(word);
        part.small.chars().all(|wanted| letters.next() == Some(wanted))
            && (self.begins && part.is_beginning || letters.next().is_none())
    }

    /// In the language of FTS5.
    fn expression(&self) -> String {
        let term = |word: &String| {
            let prefix = if self.begins && is_beginning(word) { "*" } else { "" };
            format!("\"{word}\"{prefix}")
        };
        let terms = self.words.iter().map(term).collect::<Vec<_>>().join(" ");
        if self.titles { format!("title : ({terms})") } else { terms }
    }
}

fn is_beginning(word: &str) -> bool {
    word.chars().nth(PREFIX_MIN_CHARS - 1).is_some()
}

/// A word in small letters.
fn small(word: &str) -> impl Iterator<Item = char> {
    word.chars().flat_map(char::to_lowercase)
}

fn is_gap(letter: char) -> bool {
    // The tables that know of all letters are slow to ask.
    !CYRILLIC.contains(&letter) && !letter.is_alphanumeric()
}

/// The index parts words at every apostrophe, of which one is a letter.
fn is_seam(letter: char) -> bool {
    is_gap(letter) || letter == '\u{2bc}'
}

/// The words of a text, with where they begin.
fn words_in(text: &str, is_between: fn(char) -> bool) -> impl Iterator<Item = (usize, &str)> {
    let mut end = 0;
    let pieces = text.split_inclusive(is_between).map(move |piece| {
        let begin = end;
        end += piece.len();
        (begin, piece.trim_end_matches(is_between))
    });
    pieces.filter(|(_, word)| !word.is_empty())
}

/// The text in the one form in which words are compared: letters with their marks are one each.
#[must_use]
pub fn composed(text: &str) -> Cow<'_, str> {
    // Letters below the first mark that combines, and those of Cyrillic, are composed as they are; the tables that know it for all
    // are slow to ask.
    let is_plain = |letter: char| letter < '\u{300}' || CYRILLIC.contains(&letter);
    if text.chars().all(is_plain) || is_nfc_quick(text.chars()) == IsNormalized::Yes {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.nfc().collect())
}

impl Connection {
    /// Makes a change of the index.
    pub(in crate::store) fn index(&self, change: &TextChange) -> rusqlite::Result<()> {
        match change {
            TextChange::Put { number, title, body } => self.0.prepare_cached(PUT)?.execute((number, title, body))?,
            TextChange::Remove { number } => self.0.prepare_cached(REMOVE)?.execute([number])?,
        };
        Ok(())
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
        let expression = search.expression();
        let values: [Value<'_>; 3] = [(&expression).into(), (*among.start()).into(), (*among.end()).into()];
        self.until(sql, &values, |row| take(row.get(0)?))
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
        let put = |number, title: &str, body: &str| connection.index(&TextChange::put(number, title, body)).unwrap();
        put(7, "another text", "of which nothing is left");
        put(7, "Пам'ять про діда", "Ми їздили до Києва навесні");
        put(8, "Recipe", "Йогурт, ground floor; їжак");
        put(9, "пам\u{2bc}ять", "Київ");
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
            ("їжа", vec![8]),
            ("їж", vec![]),
            ("GROUND", vec![8]),
            ("g", vec![]),
            ("\" OR title:* NEAR(", vec![]),
            ("  ", vec![]),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
        connection.index(&TextChange::Remove { number: 7 }).unwrap();
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
        let whole = Search::of("recipe йогур").unwrap().whole_words();
        let mut wholly = 0;
        let count = |_| {
            wholly += 1;
            Ok(true)
        };
        connection.search(&whole, 0..=100, Order::Newest, count).unwrap();
        assert_eq!(wholly, 0, "йогур is only a beginning");
        assert_eq!(Search::of(&"word ".repeat(1000)).unwrap().expression().matches('*').count(), SEARCH_MAX_WORDS);
    }

    #[test]
    fn words_are_found_in_a_text_as_the_index_finds_them() {
        let places = |words: &str, text: &str| -> Vec<String> {
            Search::of(words).unwrap().places(text).map(|place| text[place].to_owned()).collect()
        };
        assert_eq!(places("ЇЖА київ", "Їжак, їжаки; Києві — Київ"), ["Їжак", "їжаки", "Київ"]);
        assert_eq!(places("їж", "Їж їжака"), ["Їж"], "two letters are a whole word");
        assert_eq!(places("п'я", "пʼять пята п я"), ["п", "п", "я"], "an apostrophe parts words");
        assert_eq!(places("п\u{2bc}я", "п’ять пята я"), ["п", "ять", "пята", "я"]);
        assert_eq!(places("слово", ""), [""; 0]);
        let search = Search::of("два сло").unwrap();
        assert!(search.is_in("Слова: ДВА") && !search.is_in("слово") && !search.whole_words().is_in("два слова"));
        assert!(Search::of("й").unwrap().is_in("и\u{306}"));
    }
}
