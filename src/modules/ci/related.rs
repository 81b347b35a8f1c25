//! Which earlier records a capture touches: those that share a tag or a word with it, or lie on the same day of an earlier
//! year. Where candidates come from is the store's.

use std::collections::HashSet;

use jiff::civil::Date;

use super::words::{folded, tokens};

/// Related records that are named beside a capture.
pub const RELATED_MAX: usize = 5;
/// Candidates that are looked at; what more there are is left out.
pub const CANDIDATES_MAX: usize = 500;
/// What a shared tag counts.
const TAG: u32 = 3;
/// What the same day of an earlier year counts.
const SAME_DAY: u32 = 2;
/// The most that shared words count together, each of them one: a long text is not related to everything.
const WORDS_MAX: usize = 5;
/// Letters that a word needs to say something.
const WORD_MIN: usize = 4;
/// Letters by which words are compared, so that "бабуся" and "бабусею" are one.
const STEM: usize = 5;

/// Words that stand in every second text.
const COMMON: &[&str] = &[
    "було",
    "були",
    "буде",
    "тому",
    "дуже",
    "якщо",
    "коли",
    "також",
    "після",
    "перед",
    "через",
    "мене",
    "тебе",
    "його",
    "наша",
    "наші",
    "наше",
    "цього",
    "сьогодні",
    "завтра",
    "вчора",
    "може",
    "треба",
    "that",
    "this",
    "with",
    "from",
    "have",
    "been",
    "were",
    "will",
    "they",
    "them",
    "then",
    "when",
    "what",
    "your",
    "today",
    "tomorrow",
    "yesterday",
    "very",
    "about",
    "after",
];

/// A record that may be related. `K` is how the caller knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate<'t, K> {
    /// Which record it is.
    pub key: K,
    /// Its title and text.
    pub text: &'t str,
    /// Its tags.
    pub tags: &'t [String],
    /// The day it is about.
    pub on: Date,
}

/// Up to [`RELATED_MAX`] of the candidates, the closest first, of equal ones the later day, then the order in which they came.
/// `text`, `tags` and `on` are those of the capture.
pub fn related<'t, K>(
    text: &str,
    tags: &[String],
    on: Date,
    candidates: impl IntoIterator<Item = Candidate<'t, K>>,
) -> Vec<K> {
    let (words, tags) = (stems(text), folded_all(tags));
    let score = |candidate: &Candidate<'_, K>| {
        let shared_tags = folded_all(candidate.tags).intersection(&tags).count();
        let shared_words = stems(candidate.text).intersection(&words).count().min(WORDS_MAX);
        let earlier = candidate.on.year() < on.year();
        let same_day = earlier && (candidate.on.month(), candidate.on.day()) == (on.month(), on.day());
        let tags = u32::try_from(shared_tags).unwrap_or(u32::MAX).saturating_mul(TAG);
        let words = u32::try_from(shared_words).unwrap_or(u32::MAX);
        tags.saturating_add(words).saturating_add(if same_day { SAME_DAY } else { 0 })
    };
    let mut scored: Vec<(u32, Date, K)> = candidates
        .into_iter()
        .take(CANDIDATES_MAX)
        .map(|candidate| (score(&candidate), candidate.on, candidate.key))
        .filter(|(score, _, _)| *score > 0)
        .collect();
    // The sort is stable, so equals keep their order.
    scored.sort_by_key(|(score, on, _)| std::cmp::Reverse((*score, *on)));
    scored.into_iter().take(RELATED_MAX).map(|(_, _, key)| key).collect()
}

/// The beginnings of the words that say something, in the order of the text, each once: what candidates are looked for by.
pub fn telling(text: &str) -> Vec<String> {
    let says = |word: &str| word.chars().count() >= WORD_MIN && !COMMON.contains(&word);
    let mut known = HashSet::new();
    let words = tokens(text).into_iter().map(|token| token.word().to_owned()).filter(|word| says(word));
    words.map(|word| word.chars().take(STEM).collect()).filter(|stem: &String| known.insert(stem.clone())).collect()
}

fn stems(text: &str) -> HashSet<String> {
    telling(text).into_iter().collect()
}

fn folded_all(tags: &[String]) -> HashSet<String> {
    tags.iter().map(|tag| folded(tag)).filter(|tag| !tag.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn today() -> Date {
        date(2026, 11, 18)
    }

    fn keys(text: &str, tags: &[&str], candidates: &[(&'static str, &[&str], Date)]) -> Vec<usize> {
        let own = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
        let owned: Vec<Vec<String>> = candidates.iter().map(|(_, tags, _)| own(tags)).collect();
        let candidates = candidates.iter().zip(&owned).enumerate();
        let candidates = candidates.map(|(key, ((text, _, on), tags))| Candidate { key, text, tags, on: *on });
        related(text, &own(tags), today(), candidates)
    }

    #[test]
    fn tags_weigh_more_than_days_and_days_more_than_words() {
        let day = date(2026, 3, 1);
        let candidates: [(&str, &[&str], Date); 5] = [
            ("Пекли пиріг із бабусею", &[], day),
            ("Сніг", &[], date(2020, 11, 18)),
            ("Щось інше", &["РОДИНА"], day),
            ("Нічого спільного", &["робота"], day),
            ("Того самого дня цього року", &[], today()),
        ];
        assert_eq!(keys("Бабуся розповідала казку", &["родина"], &candidates), [2, 1, 0]);
    }

    #[test]
    fn of_equal_ones_the_later_goes_first() {
        let candidates: [(&str, &[&str], Date); 3] =
            [("ялинка", &[], date(2024, 1, 1)), ("ялинку", &[], date(2025, 1, 1)), ("ялинки", &[], date(2025, 1, 1))];
        assert_eq!(keys("Ялинка!", &[], &candidates), [1, 2, 0]);
    }

    #[test]
    fn short_and_common_words_say_nothing() {
        assert_eq!(keys("це було дуже, і я там", &[""], &[("це було дуже, і я там", &[""], today())]), [0; 0]);
        assert_eq!(keys("", &[], &[("", &[], date(2025, 11, 17))]), [0; 0]);
    }

    #[test]
    fn a_long_text_is_not_closer_than_two_tags() {
        let long = "альфа бравоо чарлі дельта екооо фокстрот гольфф готель індія";
        assert_eq!(keys(long, &["x", "y"], &[(long, &[], today()), ("", &["x", "y"], today())]), [1, 0]);
    }

    #[test]
    fn no_more_are_named_or_looked_at_than_the_bounds() {
        let many: Vec<(&str, &[&str], Date)> = vec![("ялинка", &[], today()); 20];
        assert_eq!(keys("ялинка", &[], &many), [0, 1, 2, 3, 4]);
        let mut late: Vec<(&str, &[&str], Date)> = vec![("", &[], today()); CANDIDATES_MAX];
        late.push(("ялинка", &[], today()));
        assert_eq!(keys("ялинка", &[], &late), [0; 0]);
    }
}
