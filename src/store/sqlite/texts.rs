//! Search in texts, by SQLite's FTS5: words in any order, each a beginning of a word; and labels, which are found exactly.

use std::borrow::Cow;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

use super::connection::Connection;
use crate::store::error::Error;

/// Words of a search that are looked at; more say nothing that the first ones do not.
pub(crate) const SEARCH_MAX_WORDS: usize = 16;
/// Letters from which on a word stands for all that begin with it: fewer would stand for nearly everything.
const PREFIX_MIN_CHARS: usize = 3;

const ADD: &str = "INSERT INTO texts (rowid, title, body) VALUES (?1, ?2, ?3)";
const REPLACE: &str = "INSERT OR REPLACE INTO texts (rowid, title, body) VALUES (?1, ?2, ?3)";
const REMOVE: &str = "DELETE FROM texts WHERE rowid = ?1";
const NEWEST: &str = "SELECT rowid FROM texts WHERE texts MATCH ?1 ORDER BY rowid";
const OLDEST: &str = "SELECT rowid FROM texts WHERE texts MATCH ?1 ORDER BY rowid DESC";
const LABELS: &str = "SELECT term, doc FROM text_terms WHERE term >= ?1 AND term < ?2 ORDER BY doc DESC, term LIMIT ?3";
/// The row of a text is this less its number. So the newest texts, with which most searches begin, are the first in the index:
/// reading from the other end, FTS5 reads whole pages before it gives one row.
const LAST_ROW: i64 = (1 << 49) - 1;
/// All of them are letters, and none of them combines.
const CYRILLIC: RangeInclusive<char> = '\u{400}'..='\u{481}';
/// What is put above and below letters. Where a letter is not known with it, as those of Cyrillic with the mark of stress, it is left
/// out: few people write it.
const MARKS: RangeInclusive<char> = '\u{300}'..='\u{36f}';

/// Stands in the index before the name of a label and before its value; no word has it.
const LABEL: char = '\u{81}';
/// What the index takes for the first letter that is behind all labels of a name.
const BEHIND_LABEL: char = '\u{82}';
/// Stands in the index before the two digits of a letter that it would change or divide a value at.
const ESCAPE: char = '\u{80}';

/// Texts that can be searched without others, by their number up to 127. Their words are apart in the index, so that those of a small
/// group are not looked for among those of a large one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextGroup(pub u8);

impl TextGroup {
    /// What each of its words begins with in the index, which takes everything that is not ASCII for a letter.
    fn letter(self) -> char {
        char::from(self.0 | 0x80)
    }
}

/// The words of a text as the index has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextWords {
    title: String,
    body: String,
}

impl TextWords {
    /// Those of a text of this group.
    #[must_use]
    pub fn of(group: TextGroup, title: &str, body: &str) -> Self {
        let words = |text: &str| {
            let mut words = String::with_capacity(text.len() * 5 / 4);
            push_words(&mut words, group, &composed(text));
            words
        };
        Self { title: words(title), body: words(body) }
    }

    /// Has a text of this group be found by a label as well: a value of this name, as it is written and as a whole
    /// ([`Search::with_label`]).
    pub fn label(&mut self, group: TextGroup, name: &str, value: &str) {
        self.body.extend([' ', group.letter()]);
        push_label(&mut self.body, name, value);
    }
}

/// Adds a label as the index has it: one word, whatever letters it has.
fn push_label(words: &mut String, name: &str, value: &str) {
    push_escaped(words, LABEL, name);
    push_escaped(words, LABEL, value);
}

/// Adds a part of a label behind what it begins with.
fn push_escaped(words: &mut String, begins: char, part: &str) {
    words.push(begins);
    for letter in part.chars() {
        match u8::try_from(letter) {
            Ok(byte @ ..=0x80) if !byte.is_ascii_lowercase() && !byte.is_ascii_digit() => {
                let digits = [byte >> 4, byte & 0xf].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]));
                words.extend([ESCAPE, digits[0], digits[1]]);
            }
            _ => words.push(letter),
        }
    }
}

/// The value of a label, from what the index has behind its name.
fn label_value(written: &str) -> String {
    let mut pieces = written.split(ESCAPE);
    let mut value = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2).unwrap_or((piece, ""));
        value.extend(u8::from_str_radix(digits, 16).map(char::from));
        value.push_str(rest);
    }
    value
}

/// Adds the words of a composed text as the index has them: those that [`words_in`] finds, in small letters.
fn push_words(words: &mut String, group: TextGroup, text: &str) {
    let mut is_within = false;
    for letter in text.chars() {
        // Most letters of most texts are so already.
        let is_small = matches!(letter, 'a'..='z' | 'а'..='џ' | '0'..='9');
        if !is_small && is_seam(letter) {
            is_within = false;
            continue;
        }
        if !is_within {
            words.push(' ');
            words.push(group.letter());
            is_within = true;
        }
        if is_small {
            words.push(letter);
        } else {
            words.extend(small_letter(letter));
        }
    }
}

/// What becomes of a text in the index of words.
pub(in crate::store) enum TextChange {
    /// It is found from now on; there is none of this number.
    Add {
        /// Its number.
        number: i64,
        /// By which it is found.
        words: Arc<TextWords>,
    },
    /// It is found from now on, and the one that had this number no longer.
    Replace {
        /// Its number.
        number: i64,
        /// By which it is found.
        words: Arc<TextWords>,
    },
    /// It is found no longer.
    Remove {
        /// Its number.
        number: i64,
    },
}

impl TextChange {
    fn number(&self) -> i64 {
        match self {
            Self::Add { number, .. } | Self::Replace { number, .. } | Self::Remove { number } => *number,
        }
    }

    /// The bytes of its text.
    pub(in crate::store) fn bytes(&self) -> usize {
        match self {
            Self::Add { words, .. } | Self::Replace { words, .. } => words.title.len() + words.body.len(),
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
    words: Vec<Word>,
    /// The labels that are wanted besides, as the index has them.
    labels: Vec<String>,
    /// Whether a word stands for all that begin with it.
    begins: bool,
    /// Whether titles alone are searched.
    titles: bool,
}

/// A word that is searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    /// Its parts, which apostrophes divide, in small letters.
    parts: Vec<String>,
    /// Whether it is long enough to stand for all that begin with it.
    is_beginning: bool,
}

impl Search {
    /// All of these words, each at the beginning of a word. Nothing where there are no words: that finds nothing.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let word = |(_, word): (usize, &str)| {
            let parts = words_in(word, is_seam)
                .map(|(_, part)| small_letters(part).collect::<String>())
                .filter(|part| !part.is_empty())
                .collect();
            Word { parts, is_beginning: word.chars().nth(PREFIX_MIN_CHARS - 1).is_some() }
        };
        let text = composed(text);
        let words = words_in(&text, is_gap).map(word).filter(|word| !word.parts.is_empty());
        let words: Vec<Word> = words.take(SEARCH_MAX_WORDS).collect();
        (!words.is_empty()).then_some(Self { words, labels: Vec::new(), begins: true, titles: false })
    }

    /// What has this label ([`TextWords::label`]), whatever its words.
    #[must_use]
    pub fn of_label(name: &str, value: &str) -> Self {
        Self { words: Vec::new(), labels: Vec::new(), begins: false, titles: false }.with_label(name, value)
    }

    /// The same of what has this label besides. [`Search::places`] and [`Search::is_in`] know of words alone.
    #[must_use]
    pub fn with_label(mut self, name: &str, value: &str) -> Self {
        let mut label = String::new();
        push_label(&mut label, name, value);
        self.labels.push(label);
        self
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
        let is_wanted = |word| self.parts().any(|part| self.is_found(part, word));
        words_in(text, is_seam).filter(move |(_, word)| is_wanted(word)).map(|(at, word)| at..at + word.len())
    }

    /// Whether a text has all the words.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        let text = composed(text);
        self.parts().all(|part| words_in(&text, is_seam).any(|(_, word)| self.is_found(part, word)))
    }

    /// The parts of the words, each with whether it stands for all that begin with it.
    fn parts(&self) -> impl Iterator<Item = (&str, bool)> {
        self.words.iter().flat_map(|word| word.parts.iter().map(|part| (&**part, self.begins && word.is_beginning)))
    }

    /// Letter by letter, because most words differ in the first.
    fn is_found(&self, (part, is_beginning): (&str, bool), word: &str) -> bool {
        let mut letters = small_letters(word);
        part.chars().all(|wanted| letters.next() == Some(wanted)) && (is_beginning || letters.next().is_none())
    }

    /// In the language of FTS5.
    fn expression(&self, groups: &[TextGroup]) -> String {
        let mut expression = String::new();
        for (index, group) in groups.iter().enumerate() {
            expression.push_str(if index > 0 { " OR (" } else { "(" });
            if !self.words.is_empty() {
                expression.push_str(if self.titles { "title : (" } else { "(" });
                self.words.iter().for_each(|word| self.push_word(&mut expression, *group, word));
                expression.push(')');
            }
            for (index, label) in self.labels.iter().enumerate() {
                expression.push_str(if index > 0 || !self.words.is_empty() { " AND \"" } else { "\"" });
                expression.push(group.letter());
                expression.push_str(label);
                expression.push('"');
            }
            expression.push(')');
        }
        expression
    }

    fn push_word(&self, expression: &mut String, group: TextGroup, word: &Word) {
        for part in &word.parts {
            expression.extend(['"', group.letter()]);
            expression.push_str(part);
            expression.push_str("\" ");
        }
        // It is the last part that may be longer.
        if self.begins && word.is_beginning {
            expression.push_str("* ");
        }
    }
}

/// The small letters of a word.
fn small_letters(word: &str) -> impl Iterator<Item = char> {
    word.chars().flat_map(small_letter)
}

/// The small letters that stand for a letter; none for a mark.
fn small_letter(letter: char) -> impl Iterator<Item = char> {
    letter.to_lowercase().filter(|letter| !MARKS.contains(letter))
}

fn is_gap(letter: char) -> bool {
    // The tables that know of all letters are slow to ask.
    !CYRILLIC.contains(&letter) && !MARKS.contains(&letter) && !letter.is_alphanumeric()
}

/// Words are divided at every apostrophe, of which one is a letter.
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
    // are slow to ask. 0xcc is the first byte of that mark, 0xd0 and 0xd1 are those of Cyrillic.
    let is_plain = |byte: u8| byte < 0xcc || matches!(byte, 0xd0 | 0xd1);
    if text.bytes().all(is_plain) || is_nfc_quick(text.chars()) == IsNormalized::Yes {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.nfc().collect())
}

/// The row of the text of this number; and the number of the text in this row.
fn mirrored(number: i64) -> i64 {
    LAST_ROW.saturating_sub(number)
}

impl Connection {
    /// Makes changes of the index: in the order of their rows, because FTS5 begins another segment at every row that is before the
    /// last one, and of each text in the order in which they came.
    pub(in crate::store) fn index(&self, changes: &mut Vec<TextChange>) -> rusqlite::Result<()> {
        changes.sort_by_key(|change| mirrored(change.number()));
        changes.drain(..).try_for_each(|change| {
            let row = mirrored(change.number());
            match change {
                TextChange::Add { words, .. } => {
                    self.0.prepare_cached(ADD)?.execute((row, &words.title, &words.body))?
                }
                TextChange::Replace { words, .. } => {
                    self.0.prepare_cached(REPLACE)?.execute((row, &words.title, &words.body))?
                }
                TextChange::Remove { .. } => self.0.prepare_cached(REMOVE)?.execute([row])?,
            };
            Ok(())
        })
    }

    /// Has `take` see the numbers of what is found in these groups until it says false.
    pub(in crate::store) fn search(
        &self,
        search: &Search,
        groups: &[TextGroup],
        order: Order,
        mut take: impl FnMut(i64) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        if groups.is_empty() {
            return Ok(());
        }
        let sql = if order == Order::Oldest { OLDEST } else { NEWEST };
        let expression = search.expression(groups);
        self.until(sql, &[(&expression).into()], |row| take(mirrored(row.get(0)?)))
    }

    /// The values of labels of this name with how many texts of the group have each, the most frequent first; so many at most.
    pub(in crate::store) fn labels(
        &self,
        group: TextGroup,
        name: &str,
        most: usize,
    ) -> Result<Vec<(String, i64)>, Error> {
        let mut from = String::from(group.letter());
        push_escaped(&mut from, LABEL, name);
        let (from, until) = (format!("{from}{LABEL}"), format!("{from}{BEHIND_LABEL}"));
        let mut labels = Vec::new();
        self.each(LABELS, &[(&from).into(), (&until).into(), most.into()], |row| {
            let term: String = row.get(0)?;
            labels.push((label_value(term.get(from.len()..).unwrap_or_default()), row.get(1)?));
            Ok(())
        })?;
        Ok(labels)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::open;
    use crate::store::testing::schema;

    const GROUP: TextGroup = TextGroup(1);

    fn put(group: TextGroup, number: i64, title: &str, body: &str) -> TextChange {
        TextChange::Replace { number, words: Arc::new(TextWords::of(group, title, body)) }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// The index is written letter by letter, which is quicker: what a word is must be the same there and where it is searched.
        #[test]
        fn the_index_has_the_words_that_are_searched(
            text in prop_oneof![any::<String>(), "[azAZаџїІЁ09 'ʼ’.,\n🎂İΣßÉ\u{300}\u{301}\u{487}]{0,40}"],
        ) {
            let (text, mut words) = (composed(&text), String::new());
            push_words(&mut words, GROUP, &text);
            let searched = words_in(&text, is_seam)
                .map(|(_, word)| format!(" {}{}", GROUP.letter(), small_letters(word).collect::<String>()));
            prop_assert_eq!(&words, &searched.collect::<String>());
        }
    }

    #[test]
    fn each_group_is_searched_by_itself_or_with_others_from_either_end() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory.path().join("a.db"), &schema(&[])).unwrap();
        let [one, other, last] = [1, 2, 127].map(TextGroup);
        let mut changes = vec![
            put(one, 7, "oak", "ash\u{82}"),
            put(last, i64::MAX, "oak", ""),
            put(other, 0, "", "an oak; the oak"),
            put(other, 1 << 50, "oak", "ash"),
            put(other, 5, "elm", "of which nothing is left"),
            put(one, 6, "oaks", "îoak"),
            TextChange::Remove { number: 5 },
        ];
        store.connection.index(&mut changes).unwrap();
        let found = |text: &str, groups: &[TextGroup], order| {
            let (mut found, search) = (Vec::new(), Search::of(text).unwrap().whole_words());
            let take = |number| {
                found.push(number);
                Ok(true)
            };
            store.connection.search(&search, groups, order, take).unwrap();
            found
        };
        assert_eq!(found("oak", &[one, other, last], Order::Oldest), [0, 7, 1 << 50, i64::MAX]);
        assert_eq!(found("oak", &[one, other, last], Order::Newest), [i64::MAX, 1 << 50, 7, 0]);
        assert_eq!(found("oak", &[other], Order::Newest), [1 << 50, 0]);
        assert_eq!(found("oak ash", &[other, last], Order::Oldest), [1 << 50], "both words are in one text");
        let (this, that) = ([TextGroup(0xee & 0x7f)], "a letter of a text is not that of a group");
        assert_eq!(
            (found("îoak", &[one], Order::Oldest), found("oak", &this, Order::Oldest)),
            (vec![6], vec![]),
            "{that}"
        );
        for nowhere in [&[TextGroup(0)][..], &[]] {
            assert_eq!(found("oak", nowhere, Order::Oldest), [0_i64; 0]);
        }
        assert_eq!(found("elm", &[other], Order::Oldest), [0_i64; 0]);
    }

    #[test]
    fn labels_are_found_exactly_and_counted() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory.path().join("a.db"), &schema(&[])).unwrap();
        let connection = &store.connection;
        let odd = [
            "",
            " ",
            "Дім",
            "дім",
            "a",
            "A",
            "a b",
            "a\" OR \"b",
            "0a*",
            "\u{80}41",
            "\u{81}x\u{81}",
            "e\u{301}",
            "\0",
            "🎂",
        ];
        let put = |group, number, labels: &[(&str, &str)]| {
            let mut words = TextWords::of(group, "oak", "ash");
            labels.iter().for_each(|(name, value)| words.label(group, name, value));
            connection.index(&mut vec![TextChange::Replace { number, words: Arc::new(words) }]).unwrap();
        };
        for (number, value) in (1..).zip(odd) {
            put(GROUP, number, &[("the_tags", value), ("the_tags", "all"), ("the_tag", "other"), ("the_tags", value)]);
        }
        put(TextGroup(2), 1000, &[("the_tags", "a")]);
        let found = |search: &Search| {
            let mut found = Vec::new();
            let take = |number| {
                found.push(number);
                Ok(true)
            };
            connection.search(search, &[GROUP], Order::Oldest, take).unwrap();
            found
        };
        let all: Vec<i64> = (1..).take(odd.len()).collect();
        for (number, value) in (1..).zip(odd) {
            assert_eq!(found(&Search::of_label("the_tags", value)), [number], "{value:?}");
            let both = Search::of("oa").unwrap().whole_words().with_label("the_tags", value);
            assert_eq!(found(&both), [0_i64; 0], "a label does not make words of their beginnings");
            let both = Search::of("ASH oak").unwrap().with_label("the_tags", "all").with_label("the_tags", value);
            assert_eq!(found(&both), [number], "{value:?}");
            assert_eq!(found(&Search::of("ash").unwrap().in_title().with_label("the_tags", value)), [0_i64; 0]);
        }
        assert_eq!(found(&Search::of_label("the_tags", "all")), all);
        assert_eq!(found(&Search::of_label("the_tag", "all")), [0_i64; 0]);
        assert_eq!(found(&Search::of("the_tags").unwrap()), [0_i64; 0], "labels are no words of a text");
        let counted = |most| connection.labels(GROUP, "the_tags", most).unwrap();
        assert_eq!(counted(1), [("all".to_owned(), all.len() as i64)]);
        let mut values: Vec<String> = counted(100).into_iter().skip(1).map(|(value, _)| value).collect();
        values.sort_unstable();
        let mut expected = odd.map(str::to_owned);
        expected.sort_unstable();
        assert_eq!(values, expected);
        put(GROUP, 1, &[("the_tags", "a")]);
        connection.index(&mut vec![TextChange::Remove { number: 2 }]).unwrap();
        let counted = counted(100);
        let of = |value: &str| counted.iter().find(|(other, _)| other == value).map(|(_, texts)| *texts);
        assert_eq!([of("all"), of("a"), of(""), of(" ")], [Some(all.len() as i64 - 2), Some(2), None, None]);
    }

    #[test]
    fn words_are_found_whatever_their_case_their_end_and_their_apostrophe() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory.path().join("a.db"), &schema(&[])).unwrap();
        let connection = &store.connection;
        let put = |number, title: &str, body: &str| {
            connection.index(&mut vec![put(GROUP, number, title, body)]).unwrap();
        };
        put(7, "another text", "of which nothing is left");
        put(7, "Пам'ять про діда", "Ми їздили до Києва навесні");
        put(8, "Recipe", "Йогурт, ground floor; їжак");
        put(9, "пам\u{2bc}ять", "Київ");
        put(10, "За\u{301}мок \u{301}", "ÉCOLE İstanbul ΣΟΦΙΑ ҐАНОК");
        let found = |text: &str| {
            let mut found = Vec::new();
            let Some(search) = Search::of(text) else { return found };
            connection
                .search(&search, &[GROUP], Order::Newest, |number| {
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
            ("замок", vec![10]),
            ("ЗАМО\u{301}К", vec![10]),
            ("\u{301}", vec![]),
            ("École istanbul софі", vec![]),
            ("e\u{301}cole istanbul σοφ ґано", vec![10]),
            ("ecole", vec![]),
            ("g", vec![]),
            ("\" OR title:* NEAR(", vec![]),
            ("  ", vec![]),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
        connection.index(&mut vec![TextChange::Remove { number: 7 }]).unwrap();
        assert_eq!(found("пам"), [9]);
        let mut titled = Vec::new();
        for text in ["recipe", "йогурт"] {
            let take = |number| {
                titled.push(number);
                Ok(true)
            };
            connection.search(&Search::of(text).unwrap().in_title(), &[GROUP], Order::Oldest, take).unwrap();
        }
        assert_eq!(titled, [8]);
        let whole = Search::of("recipe йогур").unwrap().whole_words();
        let mut wholly = 0;
        let count = |_| {
            wholly += 1;
            Ok(true)
        };
        connection.search(&whole, &[GROUP], Order::Newest, count).unwrap();
        assert_eq!(wholly, 0, "йогур is only a beginning");
        assert_eq!(
            Search::of(&"word ".repeat(1000)).unwrap().expression(&[GROUP]).matches('*').count(),
            SEARCH_MAX_WORDS
        );
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
        assert_eq!(places("замок", "За\u{301}мок, замо\u{301}к \u{301}"), ["За\u{301}мок", "замо\u{301}к"]);
        assert_eq!(places("слово", ""), [""; 0]);
        let search = Search::of("два сло").unwrap();
        assert!(search.is_in("Слова: ДВА") && !search.is_in("слово") && !search.whole_words().is_in("два слова"));
        assert!(Search::of("й").unwrap().is_in("и\u{306}"));
    }
}
