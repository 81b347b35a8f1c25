//! What of a file is answered: all of it, a part, or nothing because the client has it (RFC 9110 §13 and §14). Values in, a
//! value out: it knows no file and no socket.
//!
//! Where the standard leaves a choice: several ranges are answered with the whole, and so is a `Range` that is malformed or in
//! another unit; a date in `If-Range` never counts, because what changed twice within its second would be mixed.

use std::ops::Range;

use crate::net::parse_http_date;

/// What a file is at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its entity tag without quotes: another one whenever a byte is another.
    pub tag: String,
    /// When it was changed, in seconds since 1970, if that is known.
    pub modified: Option<i64>,
    /// How many bytes it has.
    pub length: u64,
}

/// What a `GET` or `HEAD` says of what the client has and wants: values of header fields as they came, those of several lines
/// joined by commas.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Whether it is a `GET`: of nothing else is a part asked for.
    pub is_get: bool,
    /// When it came, in seconds since 1970.
    pub asked_at: i64,
    /// `If-Match`.
    pub if_match: Option<Vec<u8>>,
    /// `If-Unmodified-Since`.
    pub if_unmodified_since: Option<Vec<u8>>,
    /// `If-None-Match`.
    pub if_none_match: Option<Vec<u8>>,
    /// `If-Modified-Since`.
    pub if_modified_since: Option<Vec<u8>>,
    /// `Range`.
    pub range: Option<Vec<u8>>,
    /// `If-Range`.
    pub if_range: Option<Vec<u8>>,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// 200 with all of it.
    Whole,
    /// 206 with these bytes, at least one.
    Part(Range<u64>),
    /// 304: the client has it.
    NotModified,
    /// 412: it is not what the client takes it for.
    PreconditionFailed,
    /// 416: there is nothing of what is asked for.
    Unsatisfiable,
}

impl Conditions {
    /// Whether something with this entity tag (without quotes) is what the client takes it for, where it says so by `If-Match`.
    #[must_use]
    pub fn hold_for(&self, tag: &str) -> bool {
        self.if_match.as_ref().is_none_or(|tags| lists(tags, tag, Comparison::Strong))
    }

    /// Whether the client has it already, by `If-None-Match`.
    #[must_use]
    pub fn have(&self, tag: &str) -> bool {
        self.if_none_match.as_ref().is_some_and(|tags| lists(tags, tag, Comparison::Weak))
    }

    /// What to answer, in the order of RFC 9110 §13.2.2.
    pub fn judge(&self, version: &Version) -> Extent {
        let date = |value: &Option<Vec<u8>>| parse_http_date(value.as_deref()?);
        let is_expected = match (&self.if_match, date(&self.if_unmodified_since), version.modified) {
            (Some(tags), ..) => lists(tags, &version.tag, Comparison::Strong),
            (None, Some(since), Some(modified)) => modified <= since,
            _ => true,
        };
        if !is_expected {
            return Extent::PreconditionFailed;
        }
        let is_known = match (&self.if_none_match, date(&self.if_modified_since), version.modified) {
            (Some(tags), ..) => lists(tags, &version.tag, Comparison::Weak),
            (None, Some(since), Some(modified)) => modified <= since,
            _ => false,
        };
        if is_known {
            return Extent::NotModified;
        }
        let goes_on = |tags: &Vec<u8>| tags != b"*" && lists(tags, &version.tag, Comparison::Strong);
        match &self.range {
            Some(range) if self.is_get && self.if_range.as_ref().is_none_or(goes_on) => part(range, version.length),
            _ => Extent::Whole,
        }
    }
}

/// How entity tags are compared (RFC 9110 §8.8.3.2).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    /// A weak tag is no other's equal.
    Strong,
    /// Weak or not does not matter.
    Weak,
}

/// Whether a list of entity tags has this one; `*` has any. What follows something that is no tag is not read.
fn lists(list: &[u8], tag: &str, comparison: Comparison) -> bool {
    let mut rest = list.trim_ascii();
    if rest == b"*" {
        return true;
    }
    loop {
        rest = rest.trim_ascii_start();
        if let Some(after) = rest.strip_prefix(b",") {
            rest = after;
            continue;
        }
        let (weak, quoted) = rest.strip_prefix(b"W/").map_or((false, rest), |quoted| (true, quoted));
        let Some(inside) = quoted.strip_prefix(b"\"") else { return false };
        let Some(end) = inside.iter().position(|byte| *byte == b'"') else { return false };
        if &inside[..end] == tag.as_bytes() && !(weak && comparison == Comparison::Strong) {
            return true;
        }
        rest = inside[end + 1..].trim_ascii_start();
        if !rest.starts_with(b",") {
            return false;
        }
    }
}

/// What a `Range` asks for of so many bytes.
fn part(range: &[u8], length: u64) -> Extent {
    let Some((unit, specs)) = range.trim_ascii().split_at_checked(b"bytes=".len()) else { return Extent::Whole };
    if !unit.eq_ignore_ascii_case(b"bytes=") {
        return Extent::Whole;
    }
    let mut specs = specs.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|spec| !spec.is_empty());
    let (Some(spec), None) = (specs.next(), specs.next()) else { return Extent::Whole };
    let Some(dash) = spec.iter().position(|byte| *byte == b'-') else { return Extent::Whole };
    let (first, last) = (number(&spec[..dash]), number(&spec[dash + 1..]));
    let asked = match (first, last, dash == 0, dash + 1 == spec.len()) {
        // All that there is of the last so many: of nothing that is nothing, which no 206 can say.
        (None, Some(last), true, _) if length == 0 && last > 0 => return Extent::Whole,
        (None, Some(last), true, _) => length.saturating_sub(last)..length,
        (Some(first), None, _, true) => first..length,
        (Some(first), Some(last), ..) if first <= last => first..last.saturating_add(1).min(length),
        _ => return Extent::Whole,
    };
    if asked.is_empty() { Extent::Unsatisfiable } else { Extent::Part(asked) }
}

/// A number of digits only; one that is larger than any file is the largest that there is.
fn number(digits: &[u8]) -> Option<u64> {
    let all = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    all.then(|| digits.iter().fold(0_u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::net::http_date;

    const CHANGED: i64 = 1_000_000_000;

    fn version(length: u64) -> Version {
        Version { tag: "a,b".to_owned(), modified: Some(CHANGED), length }
    }

    fn get() -> Conditions {
        Conditions { is_get: true, ..Conditions::default() }
    }

    fn value(text: &str) -> Option<Vec<u8>> {
        Some(text.as_bytes().to_vec())
    }

    fn ranged(range: &str, length: u64) -> Extent {
        Conditions { range: value(range), ..get() }.judge(&version(length))
    }

    #[test]
    fn one_range_is_answered_and_anything_else_with_the_whole() {
        for (range, extent) in [
            ("bytes=0-4", Extent::Part(0..5)),
            ("bytes=5-", Extent::Part(5..10)),
            ("bytes=-3", Extent::Part(7..10)),
            ("bytes=-10", Extent::Part(0..10)),
            ("bytes=-11", Extent::Part(0..10)),
            ("bytes=9-9", Extent::Part(9..10)),
            ("bytes=0-", Extent::Part(0..10)),
            ("bytes=8-99999999999999999999999999", Extent::Part(8..10)),
            ("BYTES=0-0", Extent::Part(0..1)),
            ("bytes= ,0-4, ,", Extent::Part(0..5)),
            ("bytes=10-", Extent::Unsatisfiable),
            ("bytes=10-20", Extent::Unsatisfiable),
            ("bytes=99999999999999999999999999-", Extent::Unsatisfiable),
            ("bytes=18446744073709551615-18446744073709551615", Extent::Unsatisfiable),
            ("bytes=-0", Extent::Unsatisfiable),
            ("bytes=0-1,3-4", Extent::Whole),
            ("bytes=0-1, bytes=3-4", Extent::Whole),
            ("bytes=4-3", Extent::Whole),
            ("bytes=-", Extent::Whole),
            ("bytes=", Extent::Whole),
            ("bytes=1", Extent::Whole),
            ("bytes=+1-2", Extent::Whole),
            ("bytes=1-2x", Extent::Whole),
            ("bytes=x-2", Extent::Whole),
            ("bytes=--1", Extent::Whole),
            ("bytes 0-4", Extent::Whole),
            ("lines=0-4", Extent::Whole),
            ("", Extent::Whole),
        ] {
            assert_eq!(ranged(range, 10), extent, "{range}");
        }
        assert_eq!(ranged("bytes=0-0", 0), Extent::Unsatisfiable);
        assert_eq!(ranged("bytes=-1", 0), Extent::Whole, "satisfiable, and no 206 could say it");
        let head = Conditions { range: value("bytes=0-4"), ..Conditions::default() };
        assert_eq!(head.judge(&version(10)), Extent::Whole);
    }

    #[test]
    fn tags_are_compared_as_their_header_wants_it() {
        for (list, strong, weak) in [
            (r#""a,b""#, true, true),
            (r#"W/"a,b""#, false, true),
            (r#""x", W/"y" ,,"a,b""#, true, true),
            (r#" "x",  "a,b" , broken"#, true, true),
            ("*", true, true),
            (r#""a", "b""#, false, false),
            (r#"w/"a,b""#, false, false),
            (r#"broken, "a,b""#, false, false),
            (r#""x" "a,b""#, false, false),
            (r#""a,b"#, false, false),
            (r#""""#, false, false),
            ("a,b", false, false),
            (",", false, false),
            ("", false, false),
        ] {
            let matched = Conditions { if_match: value(list), ..get() }.judge(&version(10));
            assert_eq!(matched == Extent::Whole, strong, "If-Match: {list}");
            assert_eq!(matched == Extent::PreconditionFailed, !strong, "If-Match: {list}");
            let known = Conditions { if_none_match: value(list), ..get() }.judge(&version(10));
            assert_eq!(known == Extent::NotModified, weak, "If-None-Match: {list}");
            let part = Conditions { if_range: value(list), range: value("bytes=0-0"), ..get() }.judge(&version(10));
            assert_eq!(part == Extent::Part(0..1), strong && list != "*", "If-Range: {list}");
        }
    }

    #[test]
    fn dates_count_where_there_is_no_tag_and_only_if_they_are_dates() {
        let at = |seconds| value(&http_date(CHANGED + seconds));
        let (before, then, after) = (at(-1), at(0), at(1));
        for (since, changed_later) in [(&before, true), (&then, false), (&after, false)] {
            let conditions = Conditions { if_modified_since: since.clone(), ..get() };
            assert_eq!(conditions.judge(&version(10)) == Extent::Whole, changed_later);
            let other = Conditions { if_none_match: value("\"x\""), ..conditions };
            assert_eq!(other.judge(&version(10)), Extent::Whole, "the tag says more");
            let conditions = Conditions { if_unmodified_since: since.clone(), ..get() };
            assert_eq!(conditions.judge(&version(10)) == Extent::PreconditionFailed, changed_later);
            let other = Conditions { if_match: value("\"a,b\""), ..conditions };
            assert_eq!(other.judge(&version(10)), Extent::Whole, "the tag says more");
            let range = Conditions { if_range: since.clone(), range: value("bytes=0-0"), ..get() };
            assert_eq!(range.judge(&version(10)), Extent::Whole, "not even the very second");
        }
        for dates in [value("yesterday"), value("")] {
            let both = Conditions { if_modified_since: dates.clone(), if_unmodified_since: dates, ..get() };
            assert_eq!(both.judge(&version(10)), Extent::Whole);
        }
        let undated = Version { modified: None, ..version(10) };
        let both = Conditions { if_modified_since: after, if_unmodified_since: before, ..get() };
        assert_eq!(both.judge(&undated), Extent::Whole);
    }

    #[test]
    fn conditions_are_judged_in_the_order_of_the_standard() {
        let all = Conditions {
            if_match: value("\"x\""),
            if_none_match: value("\"a,b\""),
            range: value("bytes=99-"),
            ..get()
        };
        assert_eq!(all.judge(&version(10)), Extent::PreconditionFailed);
        let all = Conditions { if_match: value("*"), ..all };
        assert_eq!(all.judge(&version(10)), Extent::NotModified);
        let all = Conditions { if_none_match: value("\"x\""), ..all };
        assert_eq!(all.judge(&version(10)), Extent::Unsatisfiable);
        let all = Conditions { if_range: value("\"old\""), ..all };
        assert_eq!(all.judge(&version(10)), Extent::Whole);
    }

    proptest! {
        /// The bytes that a range has, one by one, as RFC 9110 §14.1.2 says which those are.
        #[test]
        fn a_part_has_the_bytes_that_were_asked_for(
            first in proptest::option::of(0_u64..40),
            last in proptest::option::of(0_u64..40),
            length in 0_u64..30,
        ) {
            let text = |end: Option<u64>| end.map_or(String::new(), |end| end.to_string());
            let extent = ranged(&format!("bytes={}-{}", text(first), text(last)), length);
            let is_asked_for = |at: &u64| match (first, last) {
                (Some(first), Some(last)) => (first..=last).contains(at),
                (Some(first), None) => *at >= first,
                (None, Some(last)) => at + last >= length,
                (None, None) => true,
            };
            let bytes: Vec<u64> = (0..length).filter(is_asked_for).collect();
            let is_no_range = matches!((first, last), (None, None)) || matches!((first, last), (Some(f), Some(l)) if f > l);
            match extent {
                Extent::Part(part) => prop_assert_eq!(part.collect::<Vec<_>>(), bytes),
                Extent::Unsatisfiable => prop_assert!(bytes.is_empty() && !is_no_range),
                Extent::Whole => prop_assert!(is_no_range || (length == 0 && first.is_none())),
                other => prop_assert!(false, "{other:?}"),
            }
        }

        #[test]
        fn whatever_is_sent_a_part_is_inside(
            range in ".{0,40}",
            tags in ".{0,40}",
            prefix in prop_oneof![Just(""), Just("bytes="), Just("bytes=0"), Just("\"a,b\"")],
            length: u64,
        ) {
            for header in [format!("{prefix}{range}"), format!("{prefix}{tags}")] {
                let of = || value(&header);
                let conditions = [
                    Conditions { range: of(), ..get() },
                    Conditions { if_match: of(), if_none_match: of(), ..get() },
                    Conditions { if_range: of(), if_modified_since: of(), range: of(), ..get() },
                ];
                for conditions in conditions {
                    if let Extent::Part(part) = conditions.judge(&version(length)) {
                        prop_assert!(!part.is_empty() && part.end <= length);
                    }
                }
            }
        }
    }
}
