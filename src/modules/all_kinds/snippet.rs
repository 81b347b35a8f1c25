//! The place in a text where it was found, to be shown with the words that were searched for.

use std::ops::Range;

use serde_json::{Value, json};

use crate::store::{Search, composed};

/// Letters of a text that a result shows.
pub(in crate::modules) const SNIPPET_MAX_CHARS: usize = 160;
/// Letters of them that stand before the first word that was found, at most.
const LEAD_CHARS: usize = 40;
const CUT: char = '…';

/// A piece of a text, and where in it the words are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Snippet {
    pub(super) text: String,
    /// From and until where, in code points.
    pub(super) marks: Vec<[usize; 2]>,
}

impl Snippet {
    /// That of a record: out of its text, or of its title where only that has the words.
    pub(super) fn of(search: &Search, title: &str, text: &str) -> Self {
        let (title, text) = (composed(title), composed(text));
        let first = |text: &str| search.places(text).next();
        match first(&text) {
            Some(first) => Self::around(search, &text, first),
            None => match first(&title) {
                Some(first) => Self::around(search, &title, first),
                None => Self::around(search, &text, 0..0),
            },
        }
    }

    fn around(search: &Search, text: &str, first: Range<usize>) -> Self {
        let begin = beginning(text, first.start);
        let end = end(text, begin, first.end);
        let piece = &text[begin..end];
        let (before, after) = (begin > 0, end < text.len());
        let lead = usize::from(before);
        let chars = |until: usize| lead + piece[..until].chars().count();
        let marks = search.places(piece).map(|place| [chars(place.start), chars(place.end)]).collect();
        // Each letter stays one, so that the marks stay where they are.
        let plain = piece.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
        let text = before.then_some(CUT).into_iter().chain(plain).chain(after.then_some(CUT)).collect();
        Self { text, marks }
    }

    pub(super) fn marks(&self) -> Value {
        json!(self.marks)
    }
}

/// Where a word begins that stands so little before this place.
fn beginning(text: &str, place: usize) -> usize {
    let Some((from, _)) = text[..place].char_indices().rev().nth(LEAD_CHARS - 1) else { return 0 };
    let space = text[from..place].char_indices().find(|(_, letter)| letter.is_whitespace());
    space.map_or(from, |(at, letter)| from + at + letter.len_utf8())
}

/// Where a piece ends that begins here: behind a word, if there is one between this place and what fits.
fn end(text: &str, begin: usize, least: usize) -> usize {
    let Some((fits, _)) = text[begin..].char_indices().nth(SNIPPET_MAX_CHARS) else { return text.len() };
    let fits = begin + fits;
    if least >= fits {
        return fits;
    }
    text[least..fits].rfind(char::is_whitespace).map_or(fits, |at| least + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snippet(words: &str, title: &str, text: &str) -> (String, Vec<String>) {
        let found = Snippet::of(&Search::of(words).unwrap(), title, text);
        let letters: Vec<char> = found.text.chars().collect();
        let marked = found.marks.iter().map(|[from, until]| letters[*from..*until].iter().collect()).collect();
        (found.text, marked)
    }

    #[test]
    fn a_short_text_is_shown_whole_with_its_words_marked() {
        let (text, marked) = snippet("ЇЖА ліс", "Прогулянка", "Їжак у лісі 🦔\nи їжачиха");
        assert_eq!(
            (&*text, marked),
            ("Їжак у лісі 🦔 и їжачиха", vec!["Їжак".into(), "лісі".into(), "їжачиха".into()])
        );
        assert_eq!(snippet("прог", "Прогулянка", "ліс"), ("Прогулянка".to_owned(), vec!["Прогулянка".to_owned()]));
        assert_eq!(snippet("інше", "Т", "ліс"), ("ліс".to_owned(), vec![]));
        assert_eq!(snippet("йогурт", "Т", "и\u{306}огурт").1, ["йогурт"]);
        assert_eq!(snippet("a", "T", "a ab"), ("a ab".to_owned(), vec!["a".to_owned()]));
    }

    #[test]
    fn a_long_text_is_cut_between_words_around_the_first_that_was_found() {
        let text = format!("{}скарб {}", "перед ним ".repeat(50), "за ним ".repeat(50));
        let (shown, marked) = snippet("скарб", "Т", &text);
        assert!(shown.starts_with("…перед") || shown.starts_with("…ним"), "{shown}");
        assert!(shown.ends_with("за…") || shown.ends_with("ним…"), "{shown}");
        assert!(shown.chars().count() <= SNIPPET_MAX_CHARS + 2, "{shown}");
        assert_eq!(marked, ["скарб"]);
        let (shown, marked) = snippet("ї", "Т", &format!("{} ї {}", "х".repeat(500), "у".repeat(500)));
        assert_eq!((shown.chars().count() <= SNIPPET_MAX_CHARS + 2, marked), (true, vec!["ї".to_owned()]));
    }
}
