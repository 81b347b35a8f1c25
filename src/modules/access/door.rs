//! The household's door: who comes in, from which pages, and how often.

use std::net::IpAddr;
use std::time::Instant;

use http::Method;

use super::origin::Write;
use super::password::Password;
use super::session::Token;
use super::store;
use super::tries::Tries;
use crate::clock::Clock;
use crate::gate::options::ORIGINS;
use crate::gate::{ApiError, Call, Following, Live};
use crate::modules::errors::session_required;
use crate::modules::limits::{CLIENTS_MAX, Limits, Verdict};
use crate::modules::options::{PASSWORD, PER_HOUR, PER_MINUTE};
use crate::settings::Settings;
use crate::store::{Job, JobTimes, StoreError, Tx, Verdict as Kept};

/// What is asked of those who come. Shards share it.
pub(in crate::modules) struct Door {
    tries: Tries,
    live: Live<Rules>,
}

/// What is asked, as configured. A reload may change it.
pub(in crate::modules) struct Rules {
    /// Without one everybody comes in, or in production nobody.
    password: Option<Password>,
    production: bool,
    limits: Limits,
    /// The pages that may write, besides our own.
    origins: Vec<String>,
}

impl Door {
    /// As configured.
    pub(in crate::modules) fn of(settings: &Settings, clock: &Clock) -> Self {
        let now = clock.instant();
        let limits = Limits::new(settings.small(&PER_MINUTE), settings.small(&PER_HOUR), CLIENTS_MAX, now);
        Self { tries: Tries::new(now), live: Live::new(Rules::of(settings, settings.production(), limits)) }
    }

    /// What puts another password, other limits and other pages in force; what was counted stays, and so do sessions.
    pub(in crate::modules) fn prepare(&self, settings: &Settings) -> impl FnOnce() + use<> {
        let now = self.live.now();
        let limits = now.limits.with(settings.small(&PER_MINUTE), settings.small(&PER_HOUR));
        let (live, rules) = (self.live.clone(), Rules::of(settings, now.production, limits));
        move || live.replace(rules)
    }

    /// The rules in force, for a shard.
    pub(in crate::modules) fn follow(&self) -> Following<Rules> {
        self.live.follow()
    }

    /// Whether a password is right; nothing where there is none to compare it with.
    ///
    /// # Errors
    /// Too many were wrong: in so many seconds one may be tried again.
    pub(in crate::modules) fn try_password(
        &self,
        rules: &Rules,
        given: &str,
        client: IpAddr,
        now: Instant,
    ) -> Result<Option<bool>, u64> {
        let Some(password) = &rules.password else { return Ok(None) };
        self.tries.take(client, now)?;
        let is_right = password.is(given);
        if is_right {
            self.tries.right(client);
        }
        Ok(Some(is_right))
    }
}

impl Rules {
    fn of(settings: &Settings, production: bool, limits: Limits) -> Self {
        let password = settings.text(&PASSWORD).map(Password::of);
        Self { password, production, limits, origins: settings.origins(&ORIGINS).to_vec() }
    }

    /// Whether only the household comes in.
    pub(in crate::modules) fn is_closed(&self) -> bool {
        self.password.is_some() || self.production
    }

    /// Counts a request.
    pub(in crate::modules) fn count(&self, client: IpAddr, now: Instant) -> Verdict {
        self.limits.count(client, now)
    }

    /// Whether the page that sends a request may have it done (R23). What only reads may be asked by any page: whether it sees the
    /// answer is for its browser to say.
    pub(in crate::modules) fn page(&self, call: &Call<'_>) -> Result<(), ApiError> {
        if [&Method::GET, &Method::HEAD].contains(&call.method) {
            return Ok(());
        }
        let origin = call.headers.get("origin");
        let is_listed = origin.is_some_and(|origin| {
            self.origins.iter().any(|known| known != "*" && known.as_bytes().eq_ignore_ascii_case(origin))
        });
        let write = Write {
            content_type: call.headers.get("content-type"),
            origin,
            is_listed,
            host: call.headers.get("host"),
            fetch_site: call.headers.get("sec-fetch-site"),
        };
        write.check().map_err(ApiError::from)
    }

    /// What those are told who do not come in.
    pub(in crate::modules) fn refusal(&self) -> ApiError {
        session_required(match self.password {
            Some(_) => {
                "Send the household's password to POST /api/session, then send the cookie or token from the response with \
                 each request"
            }
            None => "The modules cannot be used in production, because HOUSEHOLD_PASSWORD is not set",
        })
    }
}

/// The token that a request shows, as a program or as a browser does.
pub(in crate::modules) fn token_of(call: &Call<'_>) -> Option<Token> {
    let bearer = Token::of_authorization(call.headers.get("authorization"));
    bearer.or_else(|| Token::of_cookies(call.headers.all("cookie")))
}

/// Writes down that a session was seen. Nobody waits for it.
pub(in crate::modules) struct Seen(pub(in crate::modules) i64);

impl Job for Seen {
    fn run(&mut self, tx: &mut Tx<'_>) -> Kept {
        if store::seen(tx, self.0).is_ok() { Kept::Keep } else { Kept::Undo }
    }

    fn settle(self: Box<Self>, _: Result<JobTimes, StoreError>) {}
}
