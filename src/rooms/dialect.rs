//! Who speaks binary and who speaks JSON (contract 03 §2.7). Pure: one machine for each socket, which is told what comes and
//! what time it is.
//!
//! A stock Yjs provider dies of a text frame, and always sends a binary frame as soon as it is open. A client of the original
//! waits for its `init` without a word. So who says nothing for a while is pinged: its pong comes behind all that it has said, so
//! that one who has said nothing by then is no provider that was held up on its way, and is told in JSON. Who says something is
//! answered in kind; whoever has said in the URL what it wants gets that.

use std::time::{Duration, Instant};

/// How long a socket on the original's form is given to show what it speaks.
pub const QUERY_HOLD: Duration = Duration::from_millis(250);

/// How the URL names the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// In the path, as stock providers do.
    Path,
    /// As `?room=`, as the original's clients do.
    Query,
}

/// A subprotocol that is spoken here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Binary and nothing else.
    YWebsocket,
    /// JSON and nothing else.
    Json,
}

impl Protocol {
    /// The first that is spoken here of those that a client offers.
    pub fn of<'o>(offered: impl IntoIterator<Item = &'o str>) -> Option<Self> {
        let known = [Self::YWebsocket, Self::Json];
        offered.into_iter().find_map(|name| known.into_iter().find(|protocol| protocol.name() == name))
    }

    /// As it is offered and answered.
    pub fn name(self) -> &'static str {
        match self {
            Self::YWebsocket => "y-websocket",
            Self::Json => "inkring.rooms.json",
        }
    }
}

/// What a client has asked for in its URL; it stands above everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wish {
    /// `?json=1` or `?json=0`.
    pub json: Option<bool>,
    /// `?yjs=1` or `?yjs=0`.
    pub yjs: Option<bool>,
}

impl Wish {
    /// Out of the values of `json` and `yjs` in the query. Other values than `1` and `0` are no wish.
    pub fn of(json: Option<&str>, yjs: Option<&str>) -> Self {
        let wish = |value: Option<&str>| match value {
            Some("1") => Some(true),
            Some("0") => Some(false),
            _ => None,
        };
        Self { json: wish(json), yjs: wish(yjs) }
    }
}

/// Which of both a socket is spoken to in.
#[derive(Debug)]
pub struct Dialect {
    binary: bool,
    json: Json,
}

#[derive(Debug, PartialEq, Eq)]
enum Json {
    /// Whatever comes.
    Never,
    /// Until it says something in JSON.
    NotYet,
    /// Nothing has come; it is pinged at this moment, if nothing does.
    From { at: Instant },
    /// It was pinged. From its pong on, if nothing comes before.
    Asked,
    /// As nothing has come. A binary frame that is the first of all ends it: a provider was held up on its way.
    Supposed,
    /// For good.
    Spoken,
}

impl Dialect {
    /// Of a socket that opens now. `wait` after that on the path form it is asked, if nothing comes; JSON begins by a text only if
    /// `wait` is zero. If it [speaks JSON](Self::speaks_json) from the beginning, `init` goes out at once.
    pub fn new(form: Form, protocol: Option<Protocol>, wish: Wish, wait: Duration, now: Instant) -> Self {
        let by_protocol = |meant: Protocol| protocol.map(|protocol| protocol == meant);
        let binary = wish.yjs.or(by_protocol(Protocol::YWebsocket)).unwrap_or(true);
        let json = match wish.json.or(by_protocol(Protocol::Json)) {
            Some(true) => Json::Spoken,
            Some(false) => Json::Never,
            // Who wants no binary is left with this.
            None if !binary => Json::Spoken,
            None => match form {
                Form::Query => Json::From { at: now + QUERY_HOLD },
                Form::Path if wait.is_zero() => Json::NotYet,
                Form::Path => Json::From { at: now + wait },
            },
        };
        Self { binary, json }
    }

    /// Whether it gets binary frames, and its own are looked at.
    pub fn speaks_binary(&self) -> bool {
        self.binary
    }

    /// Whether it gets text frames.
    pub fn speaks_json(&self) -> bool {
        matches!(self.json, Json::Supposed | Json::Spoken)
    }

    /// A text frame has come. True: JSON begins now, and `init` goes out before the frame is handled. A frame of a socket that
    /// [speaks no JSON](Self::speaks_json) after this is passed over.
    pub fn text(&mut self) -> bool {
        if self.json == Json::Never {
            return false;
        }
        let begins = !self.speaks_json();
        self.json = Json::Spoken;
        begins
    }

    /// A binary frame has come. True: it was the first of all, and JSON, which had begun, ends now.
    pub fn binary(&mut self) -> bool {
        match self.json {
            Json::From { .. } | Json::Asked => self.json = Json::NotYet,
            Json::Supposed => {
                self.json = Json::NotYet;
                return true;
            }
            Json::Never | Json::NotYet | Json::Spoken => {}
        }
        false
    }

    /// Looks at the time. True: nothing has come, and the client is to be pinged.
    pub fn tick(&mut self, now: Instant) -> bool {
        let is_due = matches!(self.json, Json::From { at } if at <= now);
        if is_due {
            self.json = Json::Asked;
        }
        is_due
    }

    /// A ping was answered. True: JSON begins now, and `init` goes out.
    pub fn pong(&mut self) -> bool {
        let begins = self.json == Json::Asked;
        if begins {
            self.json = Json::Supposed;
        }
        begins
    }

    /// When to look at it next.
    pub fn next_tick(&self) -> Option<Instant> {
        match self.json {
            Json::From { at } => Some(at),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    const WAIT: Duration = Duration::from_secs(2);
    const JUST: Duration = Duration::from_millis(1);
    const NO_WISH: Wish = Wish { json: None, yjs: None };

    fn opened(form: Form, protocol: Option<Protocol>, wish: Wish) -> (Dialect, Instant) {
        let now = Clock::system().instant();
        (Dialect::new(form, protocol, wish, WAIT, now), now)
    }

    fn speaks(dialect: &Dialect) -> (bool, bool) {
        (dialect.speaks_binary(), dialect.speaks_json())
    }

    #[test]
    fn a_stock_provider_never_sees_a_text() {
        for form in [Form::Path, Form::Query] {
            let (mut dialect, now) = opened(form, None, NO_WISH);
            assert!(!dialect.binary());
            assert_eq!((dialect.next_tick(), dialect.tick(now + WAIT * 100)), (None, false));
            assert!(!dialect.binary());
            assert_eq!(speaks(&dialect), (true, false), "{form:?}");
        }
    }

    #[test]
    fn who_says_nothing_is_told_in_json_after_a_while() {
        for (form, hold) in [(Form::Path, WAIT), (Form::Query, QUERY_HOLD)] {
            let (mut dialect, now) = opened(form, None, NO_WISH);
            assert_eq!((speaks(&dialect), dialect.next_tick()), ((true, false), Some(now + hold)));
            assert!(!dialect.tick(now + hold - JUST));
            assert!(!dialect.pong(), "it was not asked");
            assert!(dialect.tick(now + hold) && !dialect.tick(now + hold), "it is asked once");
            assert_eq!((speaks(&dialect), dialect.next_tick()), ((true, false), None));
            assert!(dialect.pong());
            assert_eq!((speaks(&dialect), dialect.next_tick()), ((true, true), None));
            assert!(!dialect.pong() && !dialect.text(), "it begins once");
        }
    }

    #[test]
    fn who_speaks_json_is_answered_in_json() {
        for form in [Form::Path, Form::Query] {
            let (mut dialect, _) = opened(form, None, NO_WISH);
            assert!(dialect.text() && !dialect.text());
            assert_eq!((speaks(&dialect), dialect.next_tick()), ((true, true), None));
            assert!(!dialect.binary() && dialect.speaks_json(), "and may speak both");
            let (mut dialect, _) = opened(form, None, NO_WISH);
            assert!(!dialect.binary() && dialect.text() && dialect.speaks_json(), "in whatever order");
        }
    }

    #[test]
    fn a_first_frame_that_is_binary_ends_json_that_had_begun() {
        for (form, hold) in [(Form::Path, WAIT), (Form::Query, QUERY_HOLD)] {
            let (mut dialect, now) = opened(form, None, NO_WISH);
            assert!(dialect.tick(now + hold) && !dialect.binary() && !dialect.pong());
            assert_eq!(speaks(&dialect), (true, false), "{form:?}: what was held up comes before the pong");
            let (mut dialect, now) = opened(form, None, NO_WISH);
            assert!(dialect.tick(now + hold) && dialect.pong() && dialect.binary());
            assert_eq!(speaks(&dialect), (true, false), "{form:?}: it has answered by itself before it said anything");
            assert!(!dialect.binary());
            let (mut dialect, now) = opened(form, None, NO_WISH);
            assert!(dialect.tick(now + hold) && dialect.pong() && !dialect.text() && !dialect.binary());
            assert!(dialect.speaks_json(), "it was not the first");
        }
    }

    #[test]
    fn without_a_wait_json_begins_by_a_text_only() {
        let now = Clock::system().instant();
        let mut dialect = Dialect::new(Form::Path, None, NO_WISH, Duration::ZERO, now);
        assert_eq!((dialect.next_tick(), dialect.tick(now + WAIT)), (None, false));
        assert!(dialect.text());
        let dialect = Dialect::new(Form::Query, None, NO_WISH, Duration::ZERO, now);
        assert_eq!(dialect.next_tick(), Some(now + QUERY_HOLD));
    }

    #[test]
    fn what_was_agreed_on_is_kept_and_an_explicit_wish_stands_above_it() {
        let wish = |json, yjs| Wish { json, yjs };
        let (ours, stock) = (Some(Protocol::Json), Some(Protocol::YWebsocket));
        for form in [Form::Path, Form::Query] {
            for (protocol, wish, spoken) in [
                (None, wish(Some(true), None), (true, true)),
                (None, wish(Some(false), None), (true, false)),
                (None, wish(None, Some(false)), (false, true)),
                (None, wish(Some(true), Some(false)), (false, true)),
                (None, wish(Some(false), Some(false)), (false, false)),
                (stock, NO_WISH, (true, false)),
                (stock, wish(Some(true), None), (true, true)),
                (ours, NO_WISH, (false, true)),
                (ours, wish(None, Some(true)), (true, true)),
                (ours, wish(Some(false), None), (false, false)),
            ] {
                let (mut dialect, now) = opened(form, protocol, wish);
                assert_eq!(speaks(&dialect), spoken, "{form:?} {protocol:?} {wish:?}");
                let changes = dialect.tick(now + WAIT)
                    || dialect.pong()
                    || dialect.binary()
                    || dialect.text()
                    || dialect.binary();
                assert!(!changes && dialect.next_tick().is_none() && speaks(&dialect) == spoken);
            }
        }
    }

    #[test]
    fn wishes_are_read_from_the_query_and_the_first_protocol_that_is_known_is_taken() {
        assert_eq!(Wish::of(Some("1"), Some("0")), Wish { json: Some(true), yjs: Some(false) });
        assert_eq!(Wish::of(Some("yes"), None), NO_WISH);
        assert_eq!(Protocol::of(["bearer.x", "inkring.rooms.json", "y-websocket"]), Some(Protocol::Json));
        assert_eq!(Protocol::of(["y-websocket"]), Some(Protocol::YWebsocket));
        assert_eq!(Protocol::of(["bearer.x", "graphql-ws"]), None);
    }
}
