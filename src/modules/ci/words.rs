//! Text of people as words, figures and marks: case folded, one spelling of the apostrophe, letters put together. So "П’ЯТНИЦЯ"
//! and "п'ятниця" are one word, whichever keyboard wrote it.

use std::ops::Range;

/// Characters of a text that are looked at; what follows them says nothing.
pub const MAX_CHARS: usize = 10_000;

/// What turns the word behind it into its opposite.
const NOT: &[&str] = &["не", "ні", "not", "no", "never", "isn't", "wasn't", "don't", "didn't", "aren't", "weren't"];

/// What a token is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A word: letters, with apostrophes in its midst.
    Letters,
    /// Digits of ASCII.
    Digits,
    /// One character that is neither, or the end of a line; blanks are left out.
    Mark(char),
}

/// A word, a figure or a mark, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// A word folded, digits as they are; empty for a mark.
    pub text: String,
    /// Its place in the text, in bytes.
    pub span: Range<usize>,
    /// What it is made of.
    pub kind: Kind,
}

impl Token {
    /// The word; empty where it is none.
    #[must_use]
    pub fn word(&self) -> &str {
        if self.kind == Kind::Letters { &self.text } else { "" }
    }
}

/// The tokens of the first [`MAX_CHARS`] characters.
#[must_use]
pub fn tokens(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut letters = text.char_indices().take(MAX_CHARS).peekable();
    while let Some((at, letter)) = letters.next() {
        let end = at + letter.len_utf8();
        let before = tokens.last_mut().filter(|token| token.span.end == at);
        let kind = if letter.is_alphabetic() {
            Kind::Letters
        } else if letter.is_ascii_digit() {
            Kind::Digits
        } else {
            let inside = letters.peek().is_some_and(|(_, next)| next.is_alphabetic());
            if let Some(word) = before.filter(|token| token.kind == Kind::Letters && belongs(letter, inside)) {
                add(&mut word.text, letter);
                word.span.end = end;
            } else if letter == '\n' || !letter.is_whitespace() {
                tokens.push(Token { text: String::new(), span: at..end, kind: Kind::Mark(letter) });
            }
            continue;
        };
        match before.filter(|token| token.kind == kind) {
            Some(token) => {
                add(&mut token.text, letter);
                token.span.end = end;
            }
            None => {
                let mut word = String::new();
                add(&mut word, letter);
                tokens.push(Token { text: word, span: at..end, kind });
            }
        }
    }
    tokens
}

/// A word alone, folded as in [`tokens`]; blanks and marks around it fall away, several words are joined by blanks.
#[must_use]
pub fn folded(text: &str) -> String {
    let words: Vec<String> = tokens(text).into_iter().map(|token| token.text).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// How many places of a text one of these patterns begins at. A pattern is a word, a stem with `*` at its end, which stands for
/// every word that begins so, or a phrase of them with blanks between. What stands right behind "не" or "not" does not count.
#[must_use]
pub fn count(patterns: &[&str], words: &[Token]) -> usize {
    let denied = |at: usize| at > 0 && NOT.contains(&words[at - 1].word());
    // Hardly any pattern begins with the letter of the word at hand: that is seen at a glance.
    let first = |text: &str| text.chars().next();
    let may_begin = |at: usize, pattern: &str| first(words[at].word()) == first(pattern);
    let hit = |at: &usize| {
        let found = patterns.iter().any(|pattern| may_begin(*at, pattern) && begins(pattern, &words[*at..]));
        found && !denied(*at)
    };
    (0..words.len()).filter(hit).count()
}

/// Whether the text goes on with this word, stem or phrase.
fn begins(pattern: &str, words: &[Token]) -> bool {
    let mut words = words.iter();
    pattern.split(' ').all(|part| {
        let Some(word) = words.next().map(Token::word).filter(|word| !word.is_empty()) else { return false };
        part.strip_suffix('*').map_or(word == part, |stem| word.starts_with(stem))
    })
}

/// Whether this character, which is no letter, is part of the word before it.
fn belongs(letter: char, inside: bool) -> bool {
    (is_apostrophe(letter) && inside) || is_accent(letter) || letter == '\u{ad}'
}

/// What keyboards and word processors write for an apostrophe.
fn is_apostrophe(letter: char) -> bool {
    matches!(letter, '\'' | '`' | '´' | 'ʼ' | 'ʹ' | '‘' | '’' | '‛' | '′' | '＇')
}

fn is_accent(letter: char) -> bool {
    matches!(letter, '\u{300}'..='\u{36f}')
}

/// Appends a character of a word. Accents that make another letter are put together with it (a Mac writes й and ї in two
/// pieces), marks of stress fall away.
fn add(word: &mut String, letter: char) {
    // Some letters that count as alphabetic are apostrophes.
    if is_apostrophe(letter) {
        word.push('\'');
    } else if is_accent(letter) {
        let whole = match (word.chars().next_back(), letter) {
            (Some('и'), '\u{306}') => 'й',
            (Some('і'), '\u{308}') => 'ї',
            _ => return,
        };
        word.pop();
        word.push(whole);
    } else if letter != '\u{ad}' {
        word.extend(letter.to_lowercase().filter(|letter| !is_accent(*letter)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_one_whatever_keyboard_wrote_them() {
        for text in ["п'ятниця", "П’ЯТНИЦЯ", "пʼятниця", "П`ятниця!", " «п′ятниця» "]
        {
            assert_eq!(folded(text), "п'ятниця", "{text}");
        }
        assert_eq!(folded("Ки\u{301}їв"), "київ");
        assert_eq!(folded("Киі\u{308}в, мии\u{306}"), "київ мий");
        assert_eq!(folded("don't 'quote'"), "don't quote");
    }

    #[test]
    fn words_figures_and_marks_know_their_places() {
        let text = "о 18:30, 6pm\nÉ";
        let found: Vec<(&str, Kind)> =
            tokens(text).iter().map(|token| (&text[token.span.clone()], token.kind)).collect();
        use Kind::{Digits, Letters, Mark};
        assert_eq!(
            found,
            [
                ("о", Letters),
                ("18", Digits),
                (":", Mark(':')),
                ("30", Digits),
                (",", Mark(',')),
                ("6", Digits),
                ("pm", Letters),
                ("\n", Mark('\n')),
                ("É", Letters)
            ]
        );
    }

    #[test]
    fn patterns_are_words_stems_and_phrases() {
        let counted = |patterns: &[&str], text: &str| count(patterns, &tokens(text));
        assert_eq!(counted(&["рада", "втом*", "не стало"], "Рада, втомлена; радар. НЕ СТАЛО"), 3);
        assert_eq!(counted(&["рада"], "не рада, not рада, рада"), 1);
        assert_eq!(counted(&["passed away"], "passed, away"), 0, "a mark ends a phrase");
        assert_eq!(counted(&["passed away"], "passed"), 0);
    }

    #[test]
    fn no_more_is_looked_at_than_the_bound() {
        assert_eq!(tokens(&"я ".repeat(MAX_CHARS)).len(), MAX_CHARS / 2);
        assert_eq!(tokens(&"й".repeat(MAX_CHARS + 1))[0].text.chars().count(), MAX_CHARS);
    }
}
