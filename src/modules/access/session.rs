//! A session: what it is known by, how long it is good, and how browsers and programs show it.
//!
//! A token is 256 random bits. It is in the answer that opens its session and nowhere else: at rest there is its SHA-256, from which
//! it cannot be found, as it cannot be guessed.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::clock::Timestamp;
use crate::random;

/// The name of the cookie.
pub const COOKIE: &str = "inkring_session";

/// A session is good for so long after it was last used.
pub const LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// That it was used is written down once in so long, and not with every request.
pub const SEEN_EVERY: Duration = Duration::from_secs(60 * 60);

/// Cookies of a request that are looked at. Browsers keep some 180 for a site, and send this server one of ours.
pub const COOKIES_MAX: usize = 200;

/// The letters of a token.
const TOKEN_CHARS: usize = 43;

/// What a session is known by. Not `Debug`: it is a secret.
#[derive(Clone)]
pub struct Token([u8; 32]);

/// What is kept of a token.
pub type Hash = [u8; 32];

impl Token {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        Self(random::secret())
    }

    /// What it is kept by.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Sha256::digest(self.0).into()
    }

    /// As it is sent: 43 letters, digits, `-` and `_`.
    #[must_use]
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// The token of this text, if it is one in its one spelling.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<Self> {
        if text.len() != TOKEN_CHARS {
            return None;
        }
        Some(Self(URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?))
    }

    /// That of an `Authorization` header of the kind `Bearer`.
    #[must_use]
    pub fn of_authorization(header: Option<&[u8]>) -> Option<Self> {
        let header = header?.trim_ascii();
        let (scheme, token) = header.split_at_checked(memchr::memchr(b' ', header)?)?;
        scheme.eq_ignore_ascii_case(b"bearer").then(|| Self::read(token.trim_ascii()))?
    }

    /// That of the cookies in these lines, as browsers send them. Of several with its name the first that is a token: pages of a
    /// neighbouring name could add others, behind ours or in front, and gain nothing but that somebody has to log in again.
    #[must_use]
    pub fn of_cookies<'h>(lines: impl IntoIterator<Item = &'h [u8]>) -> Option<Self> {
        let cookies = lines.into_iter().flat_map(|line| line.split(|byte| *byte == b';')).take(COOKIES_MAX);
        let ours = cookies.filter_map(|cookie| {
            let (name, value) = cookie.split_at_checked(memchr::memchr(b'=', cookie)?)?;
            (name.trim_ascii() == COOKIE.as_bytes()).then(|| value[1..].trim_ascii())
        });
        ours.filter_map(|value| Self::read(unquoted(value))).next()
    }

    /// `Set-Cookie` for a browser to keep it, `secure` where it came over TLS.
    #[must_use]
    pub fn set_cookie(&self, secure: bool) -> String {
        cookie(&self.text(), LIFE.as_secs(), secure)
    }
}

impl Default for Token {
    fn default() -> Self {
        Self::new()
    }
}

/// `Set-Cookie` for a browser to forget it.
#[must_use]
pub fn clear_cookie(secure: bool) -> String {
    cookie("", 0, secure)
}

fn cookie(value: &str, seconds: u64, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value)
}

/// Whether a request has come over TLS as far as its sender is concerned: the proxy next to us says so, or the page that sends it was
/// loaded so. Whoever makes that up gets a cookie that their own browser does not send back: it need not be trusted.
#[must_use]
pub fn is_over_tls(forwarded_proto: Option<&[u8]>, origin: Option<&[u8]>) -> bool {
    let nearest = forwarded_proto.and_then(|list| list.rsplit(|byte| *byte == b',').next());
    let said = nearest.is_some_and(|proto| proto.trim_ascii().eq_ignore_ascii_case(b"https"));
    said || origin.and_then(|origin| origin.get(..8)).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"https://"))
}

/// When a session was opened and used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// When the password was given.
    pub created_at: Timestamp,
    /// When it was last seen, to [`SEEN_EVERY`].
    pub last_seen_at: Timestamp,
}

impl Times {
    /// Whether it is still good. One that was last seen in the future, which a clock that was wrong can have written, is good for no
    /// longer than one of now.
    #[must_use]
    pub fn is_good(&self, now: Timestamp) -> bool {
        now.ahead_of(self.last_seen_at) < LIFE
    }

    /// Whether it should be written down that it was seen now.
    #[must_use]
    pub fn is_stale(&self, now: Timestamp) -> bool {
        now.ahead_of(self.last_seen_at) >= SEEN_EVERY || self.last_seen_at.ahead_of(now) >= SEEN_EVERY
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn token(byte: u8) -> Token {
        Token([byte; 32])
    }

    fn text(token: Option<Token>) -> Option<String> {
        token.map(|token| token.text())
    }

    #[test]
    fn tokens_differ_and_are_kept_as_what_does_not_give_them_away() {
        let tokens: BTreeSet<String> = (0..1000).map(|_| Token::new().text()).collect();
        assert_eq!(tokens.len(), 1000);
        assert!(tokens.iter().all(|token| token.len() == TOKEN_CHARS && Token::read(token.as_bytes()).is_some()));
        let token = token(7);
        assert_ne!(token.hash(), token.0);
        assert_eq!(Token::read(token.text().as_bytes()).unwrap().hash(), token.hash());
    }

    #[test]
    fn a_token_has_one_spelling() {
        let good = token(255).text();
        for bad in ["", "x", &good[1..], &format!("{good}A"), &format!("{good}="), &good.replace('_', "/")] {
            assert!(Token::read(bad.as_bytes()).is_none(), "{bad}");
        }
        // The last letter has two bits that mean nothing: they are zero, or it would be another text for the same token.
        let twin = format!("{}9", &good[..TOKEN_CHARS - 1]);
        assert!(good.ends_with('8') && Token::read(twin.as_bytes()).is_none());
    }

    #[test]
    fn cookies_are_found_as_browsers_send_them() {
        let (ours, other) = (token(1).text(), token(2).text());
        let found = |lines: &[&str]| text(Token::of_cookies(lines.iter().map(|line| line.as_bytes())));
        for lines in [
            vec![format!("inkring_session={ours}")],
            vec![format!("theme=night; inkring_session={ours}; a=b=c")],
            vec![format!("a=b;inkring_session={ours}")],
            vec!["a=b".to_owned(), format!(" inkring_session = \"{ours}\" ;")],
            vec![format!("inkring_session=; inkring_session=x; inkring_session={ours}; inkring_session={other}")],
            vec![format!(";;=;novalue; inkring_session={ours}")],
        ] {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            assert_eq!(found(&lines).as_ref(), Some(&ours), "{lines:?}");
        }
        for none in [
            "".to_owned(),
            "inkring_session".to_owned(),
            format!("INKRING_SESSION={ours}"),
            format!("xinkring_session={ours}"),
            format!("inkring_session={ours}x"),
            format!("inkring_session=\"{ours}"),
            format!("a=\"inkring_session={ours}\""),
        ] {
            assert_eq!(found(&[&none]), None, "{none}");
        }
        let many = format!("{}inkring_session={ours}", "a=b;".repeat(COOKIES_MAX));
        assert_eq!(found(&[&many]), None, "nobody's browser sends so many");
        assert_eq!(found(&[&many["a=b;".len()..]]), Some(ours));
    }

    #[test]
    fn a_program_shows_it_as_a_bearer() {
        let ours = token(3).text();
        let found = |header: &str| text(Token::of_authorization(Some(header.as_bytes())));
        assert_eq!(found(&format!("Bearer {ours}")).as_ref(), Some(&ours));
        assert_eq!(found(&format!("bEARER  {ours} ")).as_ref(), Some(&ours));
        for none in ["", "Bearer", "Bearer ", &ours, &format!("Basic {ours}"), "Bearer a.b.c"] {
            assert_eq!(found(none), None, "{none}");
        }
        assert!(Token::of_authorization(None).is_none());
    }

    #[test]
    fn a_cookie_is_for_this_server_alone_and_for_no_script() {
        let ours = token(0);
        let line = "inkring_session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA; Path=/; HttpOnly; SameSite=Strict; \
                    Max-Age=2592000";
        assert_eq!(ours.set_cookie(false), line);
        assert_eq!(ours.set_cookie(true), format!("{line}; Secure"));
        assert_eq!(clear_cookie(true), "inkring_session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0; Secure");
    }

    #[test]
    fn tls_is_what_the_nearest_proxy_or_the_page_says() {
        for (proto, origin, expected) in [
            (None, None, false),
            (Some("https"), None, true),
            (Some(" HTTPS "), None, true),
            (Some("http"), None, false),
            (Some("https, http"), None, false),
            (Some("http, https"), None, true),
            (None, Some("https://home.example"), true),
            (Some("http"), Some("https://home.example"), true),
            (None, Some("http://home.example"), false),
            (None, Some("null"), false),
        ] {
            let found = is_over_tls(proto.map(str::as_bytes), origin.map(str::as_bytes));
            assert_eq!(found, expected, "{proto:?} {origin:?}");
        }
    }

    #[test]
    fn a_session_slides_and_ends_thirty_days_after_it_was_last_seen() {
        let now = Timestamp(1_790_000_000_000_000);
        let seen = |ago: Duration| Times { created_at: Timestamp(0), last_seen_at: now.earlier(ago) };
        let millisecond = Duration::from_millis(1);
        assert!(seen(Duration::ZERO).is_good(now) && seen(LIFE - millisecond).is_good(now));
        assert!(!seen(LIFE).is_good(now));
        assert!(!seen(Duration::ZERO).is_stale(now) && !seen(SEEN_EVERY - millisecond).is_stale(now));
        assert!(seen(SEEN_EVERY).is_stale(now));
        let ahead = Times { created_at: now, last_seen_at: now.later(10 * LIFE) };
        assert!(ahead.is_good(now) && ahead.is_stale(now), "its first use brings it back to what is true");
    }

    proptest! {
        #[test]
        fn nothing_in_headers_is_too_strange(line in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Token::of_cookies([line.as_slice()]);
            let _ = Token::of_authorization(Some(&line));
            let _ = is_over_tls(Some(&line), Some(&line));
        }
    }
}
