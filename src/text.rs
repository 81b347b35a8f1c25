//! Text of clients made safe to show: one alphabet for logs, terminals, complaints and error messages, one way to cut, and one
//! for spreadsheets. And figures and lists as people say them, bytes as digits, and how many typing mistakes one word is from
//! another.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Stands behind a text that was cut.
pub const CUT_MARK: &str = "...<truncated>";

/// The text, or its first `max_chars` code points and [`CUT_MARK`].
pub fn cut(text: &str, max_chars: usize) -> Cow<'_, str> {
    // No text has more code points than bytes: short ones need no walk.
    if text.len() <= max_chars {
        return Cow::Borrowed(text);
    }
    match text.char_indices().nth(max_chars) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}{CUT_MARK}", &text[..end])),
    }
}

/// The text with every hidden character escaped as in Rust: `\n`, `\u{1b}`.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if is_hidden(letter) {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    Cow::Owned(shown)
}

/// Whether a character breaks a line, drives a terminal, changes the order or form of what is displayed around it, or is not
/// displayed at all: the general categories Cc, Cf, Zl and Zp, and what Unicode calls default-ignorable.
pub fn is_hidden(letter: char) -> bool {
    if letter.is_ascii() {
        return letter.is_ascii_control();
    }
    matches!(
        letter,
        '\u{80}'..='\u{9f}'
            | '\u{ad}'
            | '\u{34f}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// `a`, `a or b`, `a, b or c`, with this joint.
pub fn listed(words: &[impl AsRef<str>], joint: &str) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match &words[..] {
        [most @ .., last] if !most.is_empty() => format!("{} {joint} {last}", most.join(", ")),
        _ => words.concat(),
    }
}

/// A size as people say it.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} bytes"),
        1000..1_000_000 => format!("{} kB", bytes / 1000),
        1_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes % 1_000_000_000 / 100_000_000),
    }
}

/// How long so many seconds are, as people say it.
pub fn span(seconds: u64) -> String {
    let (count, unit) = match seconds {
        1 => (1, "second"),
        0..120 => (seconds, "seconds"),
        120..7200 => (seconds / 60, "minutes"),
        7200..172_800 => (seconds / 3600, "hours"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{count} {unit}")
}

/// Whether a name cannot be told from another by looking at it: it has hidden characters, or shows nothing.
pub fn is_deceptive(name: &str) -> bool {
    // A braille cell without a dot is a letter to Unicode.
    let is_blank = |letter: char| letter.is_whitespace() || letter == '\u{2800}';
    name.contains(is_hidden) || name.chars().all(is_blank)
}

/// Appends a cell of CSV (RFC 4180), always in quotes: where `;` or a tab separates cells, it would be several otherwise. What a
/// spreadsheet would take for a formula gets an apostrophe in front, at the beginning and wherever a cell could begin by
/// somebody's rules, and so does what has one there already: with one taken away from each of these places, the text is as it
/// was.
pub fn csv_cell(text: &str, out: &mut String) {
    const FORMULA: [char; 9] = ['=', '+', '-', '@', '\'', '＝', '＋', '－', '＠'];
    out.push('"');
    let mut before = None;
    for letter in text.chars() {
        let begins = before.is_none_or(|before| matches!(before, ',' | ';' | '\t' | '\r' | '\n'));
        if (begins && FORMULA.contains(&letter)) || (before.is_none() && matches!(letter, '\t' | '\r' | '\n')) {
            out.push('\'');
        }
        out.push(letter);
        if letter == '"' {
            out.push('"');
        }
        before = Some(letter);
    }
    out.push('"');
}

/// Bytes as hexadecimal digits, in lower case.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// How many typing mistakes lead from one word to the other: letters that are added, removed, replaced, or swapped with the next.
pub fn edit_distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    // Each row holds the distances from the letters of `from` read so far to every beginning of `to`. A swap looks two rows back.
    let mut rows: Vec<Vec<usize>> = vec![(0..=to.len()).collect()];
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let replaced = rows[i][j] + usize::from(a != b);
            let mut least = replaced.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_counts_in_the_unit_that_people_would_use() {
        for (seconds, text) in [
            (0, "0 seconds"),
            (1, "1 second"),
            (2, "2 seconds"),
            (120, "2 minutes"),
            (7199, "119 minutes"),
            (7200, "2 hours"),
            (172_800, "2 days"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn a_distance_counts_typing_mistakes() {
        for (from, to, mistakes) in [
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("SHARDS", "SHARDS", 0),
            ("SHRDS", "SHARDS", 1),
            ("SHRADS", "SHARDS", 1),
            ("літо", "лто", 1),
        ] {
            assert_eq!(edit_distance(from, to), mistakes, "{from} {to}");
        }
    }

    #[test]
    fn no_cell_is_a_formula() {
        let written = |text: &str| {
            let mut out = String::new();
            csv_cell(text, &mut out);
            out
        };
        for text in ["=1+1", "+1", "-1", "@x", "\r1", "\nx", "\tx", "'x", "＝1"] {
            assert_eq!(written(text), format!("\"'{text}\""));
        }
        for text in ["", "alice", "a=b", " x", "2001:db8::1", "a;b", "a\tb"] {
            assert_eq!(written(text), format!("\"{text}\""));
        }
        assert_eq!(written("a;=cmd|' /C calc'!A0;b"), "\"a;'=cmd|' /C calc'!A0;b\"");
        assert_eq!(written("a\t+1,@x\n-y;'=z"), "\"a\t'+1,'@x\n'-y;''=z\"");
    }

    #[test]
    fn texts_are_cut_after_a_number_of_characters_whatever_their_bytes() {
        for letter in ["a", "é", "🖋"] {
            assert_eq!(cut(&letter.repeat(500), 500), letter.repeat(500));
            assert_eq!(cut(&letter.repeat(501), 500), letter.repeat(500) + CUT_MARK);
        }
        assert!(matches!(cut("", 0), Cow::Borrowed("")));
        assert_eq!(cut("a", 0), CUT_MARK);
    }

    #[test]
    fn what_is_hidden_is_escaped_and_the_rest_is_left_alone() {
        let plain = "a é 🖋 \"\\' e\u{301} שלום \u{fffd}";
        assert!(matches!(visible(plain), Cow::Borrowed(_)));
        assert_eq!(visible("\0\t\r\n\u{1b}[2J\u{7f}\u{9b}"), r"\u{0}\t\r\n\u{1b}[2J\u{7f}\u{9b}");
        // Bidirectional controls, joiners, separators, a byte-order mark, a tag, a filler.
        let hidden = "\u{61c}\u{200d}\u{200f}\u{2028}\u{202e}\u{2066}\u{2069}\u{feff}\u{e0041}\u{3164}\u{ad}";
        assert!(hidden.chars().all(is_hidden));
        assert!(visible(&format!("a{hidden}b")).is_ascii());
    }

    #[test]
    fn names_with_nothing_to_see_or_more_than_is_seen_are_deceptive() {
        for name in [
            "",
            " ",
            "\u{a0}\u{3000}",
            "\u{2800}",
            "\u{115f}",
            "alice\u{200b}",
            "\u{202e}ecila",
            "a\u{2062}",
            "a\u{e0041}",
            "a\u{61c}b",
        ] {
            assert!(is_deceptive(name), "{name:?}");
        }
        for name in ["alice", "a b", "Léa", "e\u{301}", "שלום", "李", "🖋", "-"] {
            assert!(!is_deceptive(name), "{name:?}");
        }
    }

    #[test]
    fn no_control_is_left_out() {
        assert!(('\0'..=char::MAX).filter(|letter| letter.is_control()).all(is_hidden));
        assert!(('\0'..=char::MAX).filter(|letter| letter.is_alphanumeric() && is_hidden(*letter)).count() < 10);
    }

    #[test]
    fn bytes_are_two_digits_each() {
        assert_eq!(hex(&[0, 0xa5, 0xff]), "00a5ff");
    }

    #[test]
    fn sizes_are_said_as_people_do() {
        let said = [7, 1999, 8_388_608, 1_550_000_000].map(size);
        assert_eq!(said, ["7 bytes", "1 kB", "8 MB", "1.5 GB"]);
    }
}
