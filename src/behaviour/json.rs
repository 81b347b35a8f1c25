//! JSON that is kept as text: checked more strictly than its parser does, and written again with other blanks.
//!
//! A parser has read the text before, so its syntax is good. What it lets pass and nobody could read back is refused here:
//! numbers beyond every floating-point number, halves of surrogate pairs, and nesting without end (contract 02 R6, R11).
//! Numbers stay the digits that they were, however many.

use memchr::memchr2;

/// How deep arrays and objects may be nested.
pub(super) const NESTING_MAX: usize = 64;

/// Why a text is not kept, and at which of its bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) at: usize,
    pub(super) why: String,
}

/// Blanks behind commas and colons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blanks {
    /// None, as in answers.
    None,
    /// One, as in the file.
    One,
}

/// Checks a text.
///
/// # Errors
/// The first flaw.
pub(super) fn check(text: &str) -> Result<(), Flaw> {
    walk(text, |at, token| check_token(token).map_err(|why| Flaw { at, why }))
}

/// Appends a text that was checked, with these blanks and no others. Strings are written with as few escapes as can be.
pub(super) fn rewrite(text: &str, blanks: Blanks, out: &mut String) {
    // Each token of a checked text can be written.
    let _ = walk(text, |_, token| {
        match token {
            Token::Mark(mark) => {
                out.push(char::from(mark));
                if blanks == Blanks::One && matches!(mark, b',' | b':') {
                    out.push(' ');
                }
            }
            Token::Text { quoted, escapes: true } => write_text(&unquoted(quoted).unwrap_or_default(), out),
            Token::Text { quoted: text, escapes: false } | Token::Word(text) => out.push_str(text),
        }
        Ok(())
    });
}

/// Appends a text in quotes.
pub(super) fn write_text(text: &str, out: &mut String) {
    // Nearly every text is as it is.
    if !text.bytes().any(|byte| byte < b' ' || matches!(byte, b'"' | b'\\')) {
        out.push('"');
        out.push_str(text);
        out.push('"');
        return;
    }
    // Texts always serialise.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

/// What a string in quotes says; none for half of a surrogate pair.
pub(super) fn unquoted(quoted: &str) -> Option<String> {
    serde_json::from_str(quoted).ok()
}

enum Token<'t> {
    /// A bracket, a brace, a comma or a colon.
    Mark(u8),
    /// A string with its quotes, and whether anything in it is escaped.
    Text { quoted: &'t str, escapes: bool },
    /// A number, `true`, `false` or `null`.
    Word(&'t str),
}

fn check_token(token: Token<'_>) -> Result<(), String> {
    match token {
        Token::Text { quoted, escapes: true } if unquoted(quoted).is_none() => {
            Err("a string has half of a surrogate pair".to_owned())
        }
        Token::Word(word) if word.contains(['.', 'e', 'E']) && !is_finite(word) => {
            Err("a number is out of range".to_owned())
        }
        _ => Ok(()),
    }
}

/// Whether a number with a fraction or an exponent is one that there is. The three words have an e as well.
fn is_finite(word: &str) -> bool {
    word.parse::<f64>().is_ok_and(f64::is_finite) || matches!(word, "true" | "false")
}

/// Goes through the tokens of a text that is JSON.
fn walk<'t>(text: &'t str, mut each: impl FnMut(usize, Token<'t>) -> Result<(), Flaw>) -> Result<(), Flaw> {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(&byte) = bytes.get(at) {
        let begin = at;
        at += 1;
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {}
            b'{' | b'[' | b'}' | b']' | b',' | b':' => {
                match byte {
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                if depth > NESTING_MAX {
                    return Err(Flaw { at: begin, why: format!("it is nested deeper than {NESTING_MAX} levels") });
                }
                each(begin, Token::Mark(byte))?;
            }
            b'"' => {
                let mut escapes = false;
                while let Some(found) = memchr2(b'"', b'\\', &bytes[at..]) {
                    at += found + 1;
                    if bytes[at - 1] == b'"' {
                        break;
                    }
                    escapes = true;
                    at += 1;
                }
                each(begin, Token::Text { quoted: &text[begin..at], escapes })?;
            }
            _ => {
                let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-');
                at += bytes[at..].iter().take_while(is_part).count();
                each(begin, Token::Word(&text[begin..at]))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn rewritten(text: &str, blanks: Blanks) -> String {
        assert_eq!(check(text), Ok(()), "{text}");
        let mut out = String::new();
        rewrite(text, blanks, &mut out);
        out
    }

    #[test]
    fn blanks_and_escapes_are_as_wanted_and_numbers_as_they_were() {
        let text = "{\"a\" :[1 ,2.50,\t-0,1E5, 123456789012345678901234567890],\n\"\\u0434\\/\\n\":{ },\"b\":null,\"c\":\"\\u00e9\\ud83d\\udd8b\"}";
        assert_eq!(
            rewritten(text, Blanks::One),
            "{\"a\": [1, 2.50, -0, 1E5, 123456789012345678901234567890], \"д/\\n\": {}, \"b\": null, \"c\": \"é🖋\"}"
        );
        assert_eq!(
            rewritten(text, Blanks::None),
            "{\"a\":[1,2.50,-0,1E5,123456789012345678901234567890],\"д/\\n\":{},\"b\":null,\"c\":\"é🖋\"}"
        );
        assert_eq!(rewritten("[true,false,null]", Blanks::None), "[true,false,null]");
        assert_eq!(rewritten("\"a\\\\\"", Blanks::One), "\"a\\\\\"");
        assert_eq!(rewritten("[\"\u{7f}\\u001F\\u2028,:\"]", Blanks::One), "[\"\u{7f}\\u001f\u{2028},:\"]");
    }

    #[test]
    fn what_nobody_could_read_back_is_refused_with_its_place() {
        for (text, at) in [
            ("{\"a\":1e400}", 5),
            ("[-1.0e309]", 1),
            ("\"\\ud800\"", 0),
            ("[\"a\\udc00\\ud800b\"]", 1),
            ("{\"\\uDFFF\":1}", 1),
        ] {
            assert!(serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok(), "the parser lets {text} pass");
            assert_eq!(check(text).unwrap_err().at, at, "{text}");
        }
        for text in ["1e308", "1e-400", "0.0", "[1E+2]"] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        let digits = "9".repeat(5000);
        assert_eq!(rewritten(&digits, Blanks::One), digits);
    }

    #[test]
    fn nesting_has_an_end() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert_eq!(check(&nested(NESTING_MAX)), Ok(()));
        assert_eq!(check(&nested(NESTING_MAX + 1)).unwrap_err().at, NESTING_MAX);
        assert!(check(&nested(30_000)).is_err());
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            let members = prop::collection::btree_map(any::<String>(), inner.clone(), 0..6);
            prop_oneof![
                prop::collection::vec(inner, 0..6).prop_map(Value::from),
                members.prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_it_is_it_says_the_same(value in json(), pretty: bool) {
            let compact = value.to_string();
            let text = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { compact.clone() };
            prop_assert_eq!(rewritten(&text, Blanks::None), compact.clone());
            let spaced = rewritten(&text, Blanks::One);
            prop_assert!(!spaced.contains('\n'));
            // Digits are kept; a parser may round them, but always alike.
            prop_assert_eq!(serde_json::from_str::<Value>(&spaced).unwrap(), serde_json::from_str::<Value>(&compact).unwrap());
        }
    }
}
