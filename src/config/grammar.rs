//! The grammar of a settings file, as docs/CONFIGURATION.md has it: names, values, quotes and comments. Nothing in it is
//! carried out, and nothing stands for something else.

use std::collections::BTreeMap;
use std::fmt;

/// What separates words on a line.
const BLANKS: [char; 2] = [' ', '\t'];

/// As many malformed lines are told at once: enough to correct a file, and not a book when it is another kind of file.
pub(super) const MALFORMED_MAX: usize = 10;

const NO_ASSIGNMENT: &str = "it must be NAME=value";
const BACKSLASH: &str = "there is a backslash outside quotes: put the value in single quotes";
const QUOTE: &str = "there is a quote inside a value that does not begin with one: put the whole value in quotes";
const UNCLOSED: &str = "the quote is never closed";
const BEHIND: &str = "after the closing quote there may be only a blank and a # comment";
const ESCAPE: &str = "in double quotes a backslash may only precede \", \\, $ and `: put the value in single quotes";
const CONTROL: &str = "there is a control character in the value";

/// A line that does not fit. What stands in it is never shown, since it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// Counted from 1.
    line: usize,
    /// The name that is given a value there.
    name: Option<String>,
    why: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, name, why } = self;
        match name {
            Some(name) => write!(f, "line {line} is malformed ({name}): {why}"),
            None => write!(f, "line {line} is malformed: {why}"),
        }
    }
}

/// The names in this text and their values. Of a name that comes again, the last value counts.
///
/// # Errors
/// The first lines that do not fit, at most [`MALFORMED_MAX`].
pub(crate) fn pairs(text: &str) -> Result<BTreeMap<String, String>, Vec<Malformed>> {
    let (pairs, malformed) = what_fits(text);
    if malformed.is_empty() { Ok(pairs) } else { Err(malformed) }
}

/// The same from the lines that fit, up to the last that is told of the others.
pub(super) fn what_fits(text: &str) -> (BTreeMap<String, String>, Vec<Malformed>) {
    // Some editors put a byte order mark in front; it is no part of a name.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut pairs, mut malformed) = (BTreeMap::new(), Vec::new());
    let mut lines = text.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        let text = line.trim_matches(BLANKS);
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let mut following = lines.by_ref().map(|(line, _)| line);
        match assignment(text, &mut following) {
            Ok((name, value)) => drop(pairs.insert(name.to_owned(), value)),
            Err((name, why)) => malformed.push(Malformed { line: number, name: name.map(str::to_owned), why }),
        }
        if malformed.len() == MALFORMED_MAX {
            break;
        }
    }
    (pairs, malformed)
}

/// The name and value on a line, or the name, if there is one, and what is wrong. A quote may be closed on one of the
/// lines that are `following`.
fn assignment<'t>(
    line: &'t str,
    following: &mut dyn Iterator<Item = &'t str>,
) -> Result<(&'t str, String), (Option<&'t str>, &'static str)> {
    let (name, text) = line.split_once('=').ok_or((None, NO_ASSIGNMENT))?;
    let name = name.trim_end_matches(BLANKS);
    let name = match name.strip_prefix("export") {
        Some(exported) if exported.starts_with(BLANKS) => exported.trim_start_matches(BLANKS),
        _ => name,
    };
    if !is_name(name) {
        return Err((None, NO_ASSIGNMENT));
    }
    let value = match text.trim_start_matches(BLANKS) {
        quoted if quoted.starts_with(['\'', '"']) => in_quotes(quoted, following),
        _ => bare(text).map(str::to_owned),
    };
    value.map(|value| (name, value)).map_err(|why| (Some(name), why))
}

fn is_name(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    text.starts_with(letter) && text.chars().all(|c| letter(c) || c.is_ascii_digit())
}

/// A value without quotes: up to the end of the line, or to a `#` with a blank in front of it.
fn bare(text: &str) -> Result<&str, &'static str> {
    let comment = text.match_indices('#').find(|(at, _)| text[..*at].ends_with(BLANKS));
    let value = comment.map_or(text, |(at, _)| &text[..at]).trim_matches(BLANKS);
    if value.contains('\\') {
        Err(BACKSLASH)
    } else if value.contains(['\'', '"']) {
        Err(QUOTE)
    } else if value.contains(is_forbidden) {
        Err(CONTROL)
    } else {
        Ok(value)
    }
}

/// A value that begins with a quote and goes on to the next one of the same kind.
fn in_quotes<'t>(text: &'t str, following: &mut dyn Iterator<Item = &'t str>) -> Result<String, &'static str> {
    let double = text.starts_with('"');
    let quote = if double { '"' } else { '\'' };
    let mut value = String::new();
    let mut line = &text[1..];
    loop {
        let mut chars = line.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' if double => match chars.next() {
                    Some(c @ ('"' | '\\' | '$' | '`')) => value.push(c),
                    _ => return Err(ESCAPE),
                },
                c if c == quote => return if is_comment(chars.as_str()) { Ok(value) } else { Err(BEHIND) },
                c if is_forbidden(c) => return Err(CONTROL),
                c => value.push(c),
            }
        }
        line = following.next().ok_or(UNCLOSED)?;
        value.push('\n');
    }
}

/// Whether there is nothing behind a closing quote, or a comment.
fn is_comment(text: &str) -> bool {
    let rest = text.trim_start_matches(BLANKS);
    rest.is_empty() || (rest.starts_with('#') && rest.len() < text.len())
}

fn is_forbidden(c: char) -> bool {
    c.is_control() && c != '\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> String {
        let pairs = pairs(text).unwrap_or_else(|malformed| panic!("{text:?}: {}", malformed[0]));
        assert_eq!(pairs.len(), 1, "{text:?}: {pairs:?}");
        pairs["A"].clone()
    }

    fn said(text: &str) -> Vec<String> {
        pairs(text).unwrap_err().iter().map(Malformed::to_string).collect()
    }

    #[test]
    fn a_value_without_quotes_is_what_stands_there() {
        for (text, expected) in [
            ("A=x", "x"),
            ("A=", ""),
            ("A = \t x y  z\t ", "x y  z"),
            ("  export\tA=x", "x"),
            ("A=x$y${z}$(id)`id`~*", "x$y${z}$(id)`id`~*"),
            ("A=a=b==", "a=b=="),
            ("A=x#y # z", "x#y"),
            ("A=#x", "#x"),
            ("A= # x", ""),
            ("A=é🖋", "é🖋"),
            ("\u{feff}# one\r\n\r\n \t\r\nA=x\r\n", "x"),
            ("A=1\nA=2", "2"),
        ] {
            assert_eq!(value(text), expected, "{text:?}");
        }
    }

    #[test]
    fn quotes_keep_everything_but_what_ends_them() {
        for (text, expected) in [
            ("A=''", ""),
            ("A=' x # y\\n$z \"' # one", " x # y\\n$z \""),
            ("A=\"it's $x # y\"", "it's $x # y"),
            (r#"A="\"\\\$\`""#, "\"\\$`"),
            ("A='x\r\n# y'\t", "x\n# y"),
            ("A=\"x\n\ny\"", "x\n\ny"),
        ] {
            assert_eq!(value(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_line_that_does_not_fit_is_told_by_number_and_name_and_never_shown() {
        for (text, expected) in [
            ("hunter2", vec![format!("line 1 is malformed: {NO_ASSIGNMENT}")]),
            ("\n=hunter2", vec![format!("line 2 is malformed: {NO_ASSIGNMENT}")]),
            ("a hunter=2", vec![format!("line 1 is malformed: {NO_ASSIGNMENT}")]),
            ("2A=hunter2", vec![format!("line 1 is malformed: {NO_ASSIGNMENT}")]),
            ("export=x\nexport hunter2", vec![format!("line 2 is malformed: {NO_ASSIGNMENT}")]),
            ("A=hunter\\2", vec![format!("line 1 is malformed (A): {BACKSLASH}")]),
            ("A=hunter\\", vec![format!("line 1 is malformed (A): {BACKSLASH}")]),
            ("A=it's", vec![format!("line 1 is malformed (A): {QUOTE}")]),
            ("A=hunter\"2\"", vec![format!("line 1 is malformed (A): {QUOTE}")]),
            ("A='hunter'2", vec![format!("line 1 is malformed (A): {BEHIND}")]),
            ("A='hunter'#2", vec![format!("line 1 is malformed (A): {BEHIND}")]),
            (r#"A="hunter\n2""#, vec![format!("line 1 is malformed (A): {ESCAPE}")]),
            ("A=\"hunter2\\", vec![format!("line 1 is malformed (A): {ESCAPE}")]),
            ("A=hunter\u{0}2", vec![format!("line 1 is malformed (A): {CONTROL}")]),
            ("A='hunter\r2'", vec![format!("line 1 is malformed (A): {CONTROL}")]),
            ("B=1\nA='hunter2\nC=3\nD=\"x\"", vec![format!("line 2 is malformed (A): {UNCLOSED}")]),
            (
                "A='x\ny'\nB=\\\n# B\\\nC=1\nD",
                vec![format!("line 3 is malformed (B): {BACKSLASH}"), format!("line 6 is malformed: {NO_ASSIGNMENT}")],
            ),
        ] {
            assert_eq!(said(text), expected, "{text:?}");
        }
        assert_eq!(said(&"hunter2\n".repeat(100_000)).len(), MALFORMED_MAX);
    }
}
