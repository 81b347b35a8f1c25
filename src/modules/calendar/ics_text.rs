//! The grammar of `.ics` below events (RFC 5545, section 3.1 to 3.3): lines that are folded, texts that are escaped, and times.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use crate::clock::Timestamp;

/// Octets of one line without its end (RFC 5545, section 3.1).
pub const LINE_MAX_OCTETS: usize = 75;

/// Appends a line and its end; folded where it is longer than a line may be, and never inside a character.
pub(super) fn push_line(out: &mut Vec<u8>, line: &str) {
    let mut rest = line;
    let mut room = LINE_MAX_OCTETS;
    while rest.len() > room {
        let mut cut = room;
        while !rest.is_char_boundary(cut) {
            cut -= 1;
        }
        let (piece, after) = rest.split_at(cut);
        out.extend_from_slice(piece.as_bytes());
        out.extend_from_slice(b"\r\n ");
        rest = after;
        // The blank that begins a folded line is one of its octets.
        room = LINE_MAX_OCTETS - 1;
    }
    out.extend_from_slice(rest.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// A text as a value: with what would end it escaped, line ends as `\n`, and without the control characters that no text may
/// have.
#[must_use]
pub(super) fn escaped(text: &str) -> String {
    let mut value = String::with_capacity(text.len() + 8);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' | ';' | ',' => value.extend(['\\', letter]),
            '\r' if letters.peek() == Some(&'\n') => {}
            '\r' | '\n' => value.push_str("\\n"),
            '\t' => value.push('\t'),
            letter if letter.is_control() => {}
            letter => value.push(letter),
        }
    }
    value
}

/// The text of a value.
#[must_use]
pub(super) fn unescaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('n' | 'N') => text.push('\n'),
                Some(escaped) => text.push(escaped),
                None => {}
            },
            letter => text.push(letter),
        }
    }
    text
}

/// The texts of a value that is a list of them.
#[must_use]
pub(super) fn unescaped_list(value: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut begin = 0;
    let mut escape = false;
    for (at, letter) in value.char_indices() {
        match letter {
            _ if escape => escape = false,
            '\\' => escape = true,
            ',' => {
                texts.push(unescaped(&value[begin..at]));
                begin = at + 1;
            }
            _ => {}
        }
    }
    texts.push(unescaped(&value[begin..]));
    texts.retain(|text| !text.trim().is_empty());
    texts
}

/// `20260731`.
pub(super) fn date_text(day: Date) -> String {
    format!("{:04}{:02}{:02}", day.year(), day.month(), day.day())
}

/// `20260731T180000`; parts of a second are left out.
pub(super) fn time_text(at: DateTime) -> String {
    format!("{}T{:02}{:02}{:02}", date_text(at.date()), at.hour(), at.minute(), at.second())
}

/// `20260731T150000Z`.
pub(super) fn utc_text(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_microsecond(at.0).unwrap_or_default();
    format!("{}Z", time_text(TimeZone::UTC.to_datetime(at)))
}

/// Reads `20260731`.
pub(super) fn civil_date(text: &str) -> Option<Date> {
    if text.len() != 8 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Date::new(text[..4].parse().ok()?, text[4..6].parse().ok()?, text[6..].parse().ok()?).ok()
}

/// Reads `20260731T180000`; a leap second is the one before.
pub(super) fn civil_time(text: &str) -> Option<DateTime> {
    let (day, time) = text.split_once(['T', 't'])?;
    if time.len() != 6 || !time.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let second: i8 = time[4..].parse().ok()?;
    let second = if second == 60 { 59 } else { second };
    let time = Time::new(time[..2].parse().ok()?, time[2..4].parse().ok()?, second, 0).ok()?;
    Some(civil_date(day)?.to_datetime(time))
}

/// Reads `-PT15M`, `P1DT2H` or `P2W` as seconds.
pub(super) fn duration_seconds(text: &str) -> Option<i64> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut seconds: i64 = 0;
    let mut number: Option<i64> = None;
    let mut units = 0;
    let mut in_time = false;
    for letter in text.strip_prefix('P')?.chars() {
        if let Some(digit) = letter.to_digit(10) {
            number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(i64::from(digit))?);
            continue;
        }
        if letter == 'T' && !in_time && number.is_none() {
            in_time = true;
            continue;
        }
        let unit = match (letter, in_time) {
            ('W', false) => 7 * 86_400,
            ('D', false) => 86_400,
            ('H', true) => 3_600,
            ('M', true) => 60,
            ('S', true) => 1,
            _ => return None,
        };
        seconds = seconds.checked_add(number.take()?.checked_mul(unit)?)?;
        units += 1;
    }
    (units > 0 && number.is_none()).then_some(sign * seconds)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unfolded(bytes: &[u8]) -> String {
        String::from_utf8(bytes.to_vec()).unwrap().replace("\r\n ", "")
    }

    proptest! {
        #[test]
        fn a_folded_line_is_whole_characters_in_lines_that_are_short_enough(line in "[^\\x00-\\x1f]{0,300}") {
            let mut out = Vec::new();
            push_line(&mut out, &line);
            for piece in out.strip_suffix(b"\r\n").unwrap().split(|byte| *byte == b'\n') {
                let piece = piece.strip_suffix(b"\r").unwrap_or(piece);
                prop_assert!(piece.len() <= LINE_MAX_OCTETS && std::str::from_utf8(piece).is_ok());
            }
            prop_assert_eq!(unfolded(&out), format!("{line}\r\n"));
        }

        #[test]
        fn a_text_comes_back_out_of_its_value(text in "[^\\x00-\\x09\\x0b-\\x1f\\x7f-\\x9f]{0,80}") {
            prop_assert_eq!(unescaped(&escaped(&text)), text.clone());
            if !text.trim().is_empty() {
                prop_assert_eq!(unescaped_list(&escaped(&text)), [text]);
            }
        }
    }

    #[test]
    fn what_would_end_a_value_is_escaped_and_controls_are_left_out() {
        assert_eq!(escaped("a;b,c\\d\r\ne\rf\ng\th\u{7}\u{85}i"), "a\\;b\\,c\\\\d\\ne\\nf\\ng\thi");
        assert_eq!(unescaped("a\\;b\\,c\\\\d\\Ne\\"), "a;b,c\\d\ne");
        assert_eq!(unescaped_list("a\\,b,,c d, "), ["a,b", "c d"]);
    }

    #[test]
    fn durations_are_seconds() {
        let rows = [
            ("-PT15M", Some(-900)),
            ("P1DT2H", Some(93_600)),
            ("+P2W", Some(1_209_600)),
            ("PT0S", Some(0)),
            ("P1H", None),
            ("PT1D", None),
            ("P", None),
            ("PT", None),
            ("P5", None),
            ("PTM", None),
            ("P99999999999999999999D", None),
        ];
        for (text, seconds) in rows {
            assert_eq!(duration_seconds(text), seconds, "{text}");
        }
    }

    #[test]
    fn times_that_no_clock_shows_are_none() {
        assert_eq!(civil_time("20260731T180000").map(time_text).as_deref(), Some("20260731T180000"));
        assert_eq!(civil_time("20161231T235960").map(time_text).as_deref(), Some("20161231T235959"));
        for text in
            ["20260230T000000", "20260731", "20260731T2400", "20260731T240000", "2026073éT000000", "20260731T18000é"]
        {
            assert_eq!(civil_time(text), None, "{text}");
        }
    }
}
