//! In which of the two languages a page is shown.

use super::accept::weighted;

/// The languages that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Ukrainian,
    English,
}

/// A text in both languages, Ukrainian first.
pub(super) type Words = (&'static str, &'static str);

/// The cookie in which a browser keeps what was chosen.
pub(super) const COOKIE: &str = "inkring_language";

impl Language {
    /// The one that was chosen; else the one that a browser prefers; else English. Programs that name no language (curl, previews
    /// of links) are not the household's browsers, which do.
    pub(super) fn of(cookie: Option<&[u8]>, accept: Option<&[u8]>) -> Self {
        cookie.and_then(chosen).or_else(|| preferred(accept?)).unwrap_or(Self::English)
    }

    /// As `lang` has it.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Ukrainian => "uk",
            Self::English => "en",
        }
    }

    /// The other one.
    pub(super) fn other(self) -> Self {
        match self {
            Self::Ukrainian => Self::English,
            Self::English => Self::Ukrainian,
        }
    }

    /// What it calls itself.
    pub(super) fn name(self) -> &'static str {
        self.says(("Українська", "English"))
    }

    fn of_code(code: &str) -> Option<Self> {
        [Self::Ukrainian, Self::English].into_iter().find(|language| language.code() == code)
    }

    /// The text in this language.
    pub(super) fn says(self, words: Words) -> &'static str {
        match self {
            Self::Ukrainian => words.0,
            Self::English => words.1,
        }
    }
}

fn chosen(cookie: &[u8]) -> Option<Language> {
    let pairs = str::from_utf8(cookie).ok()?.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == COOKIE).find_map(|(_, value)| Language::of_code(value))
}

/// The first of ours among those of the greatest weight (RFC 9110 §12.5.4).
fn preferred(accept: &[u8]) -> Option<Language> {
    let mut best: Option<(f32, Language)> = None;
    for (tag, weight) in weighted(accept).filter(|(_, weight)| *weight > 0.0) {
        let primary = tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
        let Some(language) = Language::of_code(&primary) else { continue };
        if best.is_none_or(|(most, _)| weight > most) {
            best = Some((weight, language));
        }
    }
    best.map(|(_, language)| language)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_chosen_goes_before_what_a_browser_prefers() {
        let of = |cookie: &str, accept: &str| {
            let some = |text: &'static str| (!text.is_empty()).then_some(text.as_bytes());
            Language::of(some(cookie.to_owned().leak()), some(accept.to_owned().leak())).code()
        };
        for (cookie, accept, code) in [
            ("", "", "en"),
            ("", "*", "en"),
            ("", "uk", "uk"),
            ("", "uk-UA,uk;q=0.9,en;q=0.8", "uk"),
            ("", "en-GB, uk;q=0.5", "en"),
            ("", "en;q=0.5, uk", "uk"),
            ("", "de-DE, de;q=0.9", "en"),
            ("", "de, uk;q=0.1", "uk"),
            ("", "uk;q=0, en;q=0.1", "en"),
            ("", "EN-us", "en"),
            ("", "ukx, q", "en"),
            ("", "en;q=nonsense, uk;q=0.1", "uk"),
            ("inkring_language=en", "uk", "en"),
            ("a=b; inkring_language=uk; c=d", "en", "uk"),
            ("inkring_language=de", "en", "en"),
            ("other=uk", "en", "en"),
        ] {
            assert_eq!(of(cookie, accept), code, "{cookie} {accept}");
        }
        assert_eq!(Language::of(Some(b"\xff"), Some(b"\xff")), Language::English, "rubbish is no language of ours");
    }
}
