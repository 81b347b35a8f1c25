//! What a file is answered with besides its bytes, and the name that people see it under.
//!
//! Its path is made of its hash, so it never changes, and a browser need not ask again. `X-Content-Type-Options` and
//! `Cross-Origin-Resource-Policy` are among what every such route has (`ASSET`); what differs from kind to
//! kind is here.

use std::fmt::Write as _;

use http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY};
use http::{HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use unicode_normalization::UnicodeNormalization as _;

use super::kind::{Kind, Use};
use crate::text::is_hidden;

/// What a shown name may have.
pub const NAME_MAX_CHARS: usize = 120;
/// What is looked at of a name that was sent, from its end.
const SENT_MAX_CHARS: usize = 1024;
/// What an end such as `.jpeg` may have to outlive the cut of a name that is too long.
const ENDING_MAX_CHARS: usize = 16;

/// `Cache-Control` of a file: for its household alone, and for ever, since its path is its hash.
const CACHE: &str = "private, max-age=31536000, immutable";
/// The policy of what is only saved. Opened as a page in spite of that, it would be one without scripts and of no origin.
const POLICY_SAVED: &str = "sandbox; default-src 'none'";
/// The policy of what is shown: itself, by what browsers show pictures, films and PDF with, and in frames of ours.
const POLICY_SHOWN: &str = "default-src 'none'; img-src 'self'; media-src 'self'; object-src 'self'; \
                            style-src 'unsafe-inline'; frame-ancestors 'self'";

/// What stands unescaped in `filename*` (`attr-char` of RFC 8187).
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How a file is answered.
#[derive(Debug)]
pub struct Serving {
    /// The `Content-Type`: what the file is, except for what could run.
    pub content_type: &'static str,
    /// The `Cache-Control`.
    pub cache: &'static str,
    /// The rest.
    pub headers: [(HeaderName, HeaderValue); 2],
}

impl Serving {
    /// How a file of this kind is answered, under a name that was made by [`shown_name`].
    #[must_use]
    pub fn of(kind: &'static Kind, name: &str) -> Self {
        let content_type = match kind.allowed {
            Use::SaveUntold => "application/octet-stream",
            _ if kind.mime == "text/plain" => "text/plain; charset=utf-8",
            _ => kind.mime,
        };
        let (way, policy) = match kind.allowed {
            Use::Show => ("inline", POLICY_SHOWN),
            Use::Save | Use::SaveUntold => ("attachment", POLICY_SAVED),
        };
        let policy = HeaderValue::from_static(policy);
        let headers = [(CONTENT_DISPOSITION, disposition(way, name)), (CONTENT_SECURITY_POLICY, policy)];
        Self { content_type, cache: CACHE, headers }
    }
}

/// The name in both spellings of RFC 6266: letters for everybody, and `filename*` for those who read it.
fn disposition(way: &'static str, name: &str) -> HeaderValue {
    let plain = |letter: char| match letter {
        '"' | '\\' | '%' => '_',
        ' '..='~' => letter,
        _ => '_',
    };
    let mut value = format!("{way}; filename=\"{}\"", name.chars().map(plain).collect::<String>());
    // A string takes whatever is written to it.
    let _ = write!(value, "; filename*=UTF-8''{}", utf8_percent_encode(name, NAME));
    HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static(way))
}

/// The name that people see, of the one that was sent: without the folders before it, without what drives a terminal or turns
/// the order of letters, in NFC, and no longer than [`NAME_MAX_CHARS`]. `../../etc/Фото 1.jpg` is `Фото 1.jpg`. Where nothing
/// is left, it is called by what it is: `photo.jpg`.
#[must_use]
pub fn shown_name(sent: &str, kind: &Kind) -> String {
    let from = sent.char_indices().rev().nth(SENT_MAX_CHARS - 1).map_or(0, |(at, _)| at);
    let clean = |part: &str| -> String {
        let letters: String = part.nfc().filter(|letter| !is_hidden(*letter)).collect();
        let bare = letters.trim_matches(|letter: char| letter.is_whitespace() || letter == '.');
        bare.to_owned()
    };
    // Windows has folders of its own.
    let found = sent[from..].rsplit(['/', '\\']).map(clean).find(|part| !part.is_empty());
    let name = found.unwrap_or_else(|| format!("{}.{}", kind.media.word(), kind.extension));
    let length = name.chars().count();
    if length <= NAME_MAX_CHARS {
        return name;
    }
    let (stem, ending) = match name.rsplit_once('.') {
        Some((stem, ending)) if ending.chars().count() < ENDING_MAX_CHARS => (stem, format!(".{ending}")),
        _ => (&name[..], String::new()),
    };
    let stem: String = stem.chars().take(NAME_MAX_CHARS - ending.chars().count()).collect();
    format!("{}{ending}", stem.trim_end())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kind(mime: &str) -> &'static Kind {
        Kind::named(mime)
    }

    fn served(mime: &str, name: &str) -> (&'static str, String, String) {
        let Serving { content_type, headers: [(_, disposition), (_, policy)], .. } = Serving::of(kind(mime), name);
        (content_type, disposition.to_str().unwrap().to_owned(), policy.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_picture_is_shown_under_its_name() {
        let (content_type, disposition, policy) = served("image/jpeg", "Фото 1.jpg");
        assert_eq!(content_type, "image/jpeg");
        assert_eq!(disposition, "inline; filename=\"____ 1.jpg\"; filename*=UTF-8''%D0%A4%D0%BE%D1%82%D0%BE%201.jpg");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("script"), "{policy}");
    }

    #[test]
    fn what_could_run_is_given_away_untold() {
        for mime in ["image/svg+xml", "text/html", "application/xml", "application/gzip", "application/x-unknown"] {
            let (content_type, disposition, policy) = served(mime, "a.png");
            assert_eq!(content_type, "application/octet-stream", "{mime}");
            assert_eq!(disposition, "attachment; filename=\"a.png\"; filename*=UTF-8''a.png");
            assert_eq!(policy, "sandbox; default-src 'none'");
        }
        for (mime, says) in [("text/plain", "text/plain; charset=utf-8"), ("application/zip", "application/zip")] {
            let (content_type, disposition, policy) = served(mime, "a");
            assert_eq!((content_type, policy.as_str()), (says, POLICY_SAVED));
            assert!(disposition.starts_with("attachment; "), "{disposition}");
        }
    }

    #[test]
    fn nothing_in_a_name_ends_the_header() {
        let (_, disposition, _) = served("image/png", "a\";x=\\%41\r\nSet-Cookie: b.png");
        assert_eq!(
            disposition,
            "inline; filename=\"a_;x=__41__Set-Cookie: b.png\"; \
             filename*=UTF-8''a%22%3Bx%3D%5C%2541%0D%0ASet-Cookie%3A%20b.png"
        );
    }

    #[test]
    fn a_file_is_cached_for_ever_by_its_household_alone() {
        assert_eq!(Serving::of(kind("video/mp4"), "a.mp4").cache, "private, max-age=31536000, immutable");
    }

    #[test]
    fn names_are_made_fit_to_show() {
        let long = "й".repeat(200);
        for (sent, shown) in [
            // A name that a Mac decomposed reads as one that was never decomposed.
            ("../../etc/Фото 1.jpg", "Фото 1.jpg"),
            ("../../etc/\u{418}\u{306}од.jpg", "Йод.jpg"),
            ("Йод.jpg", "Йод.jpg"),
            ("C:\\Users\\me\\cat.png", "cat.png"),
            ("/a/b/", "b"),
            (" .. /.. ", "photo.jpg"),
            ("", "photo.jpg"),
            ("...", "photo.jpg"),
            (".htaccess", "htaccess"),
            ("a\r\n\0\x1b[31m.jpg", "a[31m.jpg"),
            ("gpj\u{202e}.exe", "gpj.exe"),
            ("\u{200b}\u{feff}", "photo.jpg"),
            (&format!("{long}.jpeg"), &format!("{}.jpeg", &long[..115 * 2])),
            (&format!("{long}.{long}"), &long[..120 * 2]),
            (&format!("{}/x.png", "a/".repeat(5000)), "x.png"),
        ] {
            assert_eq!(shown_name(sent, kind("image/jpeg")), shown, "{sent:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_name_becomes_one_that_stays_as_it_is(sent in "\\PC{0,30}|.{0,300}|[./\\\\ а-я\u{300}-\u{310}]{0,300}") {
            let shown = shown_name(&sent, kind("image/jpeg"));
            prop_assert!(!shown.is_empty() && shown.chars().count() <= NAME_MAX_CHARS);
            prop_assert!(!shown.contains(['/', '\\']) && !shown.chars().any(is_hidden));
            let (_, disposition, _) = served("image/jpeg", &shown);
            prop_assert!(disposition.starts_with("inline; filename=\""));
        }
    }
}
