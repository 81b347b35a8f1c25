//! Requests that nobody is to be counted by: of people who do not want it, and of pages that nobody looks at yet.

/// Why an event is neither kept nor counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quiet {
    /// `DNT: 1` or `Sec-GPC: 1`.
    DoNotTrack,
    /// A browser that loads a page in advance.
    Prefetch,
}

/// Whether this is one of them. `header` says what a header of this name holds.
pub(super) fn reason<'h>(header: impl Fn(&str) -> Option<&'h [u8]>) -> Option<Quiet> {
    let is_one = |name| header(name).is_some_and(|value| value.trim_ascii() == b"1");
    if is_one("sec-gpc") || is_one("dnt") {
        return Some(Quiet::DoNotTrack);
    }
    let prefetches = |name| {
        let words = header(name).unwrap_or_default().split(|byte| matches!(byte, b';' | b','));
        let mut words = words.map(<[u8]>::trim_ascii);
        words.any(|word| word.eq_ignore_ascii_case(b"prefetch") || word.eq_ignore_ascii_case(b"prerender"))
    };
    ["sec-purpose", "purpose", "x-moz"].into_iter().any(prefetches).then_some(Quiet::Prefetch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_and_prefetches_are_heard_and_nothing_near_them() {
        let of = |name: &str, value: &'static str| reason(|asked| (asked == name).then_some(value.as_bytes()));
        for (name, value) in [("sec-gpc", "1"), ("dnt", "1"), ("dnt", " 1 ")] {
            assert_eq!(of(name, value), Some(Quiet::DoNotTrack), "{name}: {value}");
        }
        for (name, value) in [
            ("sec-purpose", "prefetch"),
            ("sec-purpose", "prefetch;prerender"),
            ("sec-purpose", "prefetch;anonymous-client-ip"),
            ("purpose", "Prefetch"),
            ("x-moz", "prefetch"),
        ] {
            assert_eq!(of(name, value), Some(Quiet::Prefetch), "{name}: {value}");
        }
        for (name, value) in [("dnt", "0"), ("dnt", "10"), ("sec-gpc", ""), ("purpose", "x-prefetch"), ("x-dnt", "1")] {
            assert_eq!(of(name, value), None, "{name}: {value}");
        }
    }
}
