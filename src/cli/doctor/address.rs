//! `--url`: how the server is from outside, through whatever stands in front of it.

use std::time::Duration;

use serde_json::Value;

use crate::clock::{DAY, Timestamp};
use crate::feature::doctor::Diagnosis;
use crate::net::base_url::BaseUrl;
use crate::net::client::Ask;
use crate::net::tls::client::Trust;
use crate::net::tls::{ENDS_SOON, good_until};
use crate::text::span;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// As much is read of it.
const ANSWER_MAX_BYTES: u64 = 65_536;

/// What there is to see at an address.
#[derive(Debug)]
pub(super) struct Seen {
    /// What was asked.
    url: String,
    answered: Result<Answered, String>,
}

#[derive(Debug)]
struct Answered {
    status: u16,
    /// Where it leads to, if anywhere.
    location: Option<String>,
    /// Whether it is a server of this kind.
    is_ours: bool,
    /// Until when its certificate is good, if it has shown one.
    until: Option<Timestamp>,
}

/// Asks `/healthz` there.
pub(super) fn look(base: &BaseUrl, trust: &Trust) -> Seen {
    let target = format!("{}/healthz", base.prefix());
    let ask = || -> Result<Answered, String> {
        let to = base.remote(trust, PATIENCE).map_err(|error| error.to_string())?;
        let answer = Ask::get(&target).send(&to, PATIENCE).map_err(|error| error.to_string())?;
        let (status, location) = (answer.status, answer.header("location").map(str::to_owned));
        let until = answer.certificate().and_then(good_until);
        let text = answer.text(ANSWER_MAX_BYTES).map_err(|error| error.to_string())?;
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        Ok(Answered { status, location, is_ours: body["status"].is_string(), until })
    };
    Seen { url: base.to_string(), answered: ask() }
}

/// What is good of it and what is not.
pub(super) fn judge(seen: &Seen, now: Timestamp) -> Diagnosis {
    const CHECK: &str = "address";
    let url = &seen.url;
    let answered = match &seen.answered {
        Ok(answered) => answered,
        Err(why) => {
            let remedy = "the proxy and its certificate are what stands there; its own log says more";
            return Diagnosis::red(CHECK, format!("{url}: {why}"), remedy);
        }
    };
    if let Some(location) = &answered.location {
        return Diagnosis::red(
            CHECK,
            format!("{url} leads to {location}"),
            "give the address that clients end at, or have the proxy pass on what it redirects",
        );
    }
    if answered.status != 200 || !answered.is_ours {
        return Diagnosis::red(
            CHECK,
            format!("{url} answers {} to /healthz, and not as inkring does", answered.status),
            "see where the proxy passes this path on to: it should be LISTEN_ADDR",
        );
    }
    let Some(until) = answered.until else { return Diagnosis::green(CHECK, format!("{url} answers")) };
    let left = until.ahead_of(now);
    if left < DAY {
        let remedy = "renew it, and see why what should have renewed it has not";
        return Diagnosis::red(CHECK, format!("{url} answers, and its certificate ends on {}", until.date()), remedy);
    }
    let found = format!("{url} answers; its certificate is good until {}, for {}", until.date(), span(left.as_secs()));
    if left < ENDS_SOON {
        return Diagnosis::yellow(CHECK, found, "see why what should have renewed it has not");
    }
    Diagnosis::green(CHECK, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::doctor::Colour;

    fn seen(answered: Result<Answered, String>) -> Seen {
        Seen { url: "https://box.example".to_owned(), answered }
    }

    #[test]
    fn a_certificate_that_ends_soon_is_told_before_it_ends() {
        let now = Timestamp(1_800_000_000_000_000);
        let until = |left: Duration| Some(now.later(left));
        for (until, colour) in [
            (None, Colour::Green),
            (until(ENDS_SOON), Colour::Green),
            (until(ENDS_SOON - Duration::from_secs(1)), Colour::Yellow),
            (until(DAY), Colour::Yellow),
            (until(DAY - Duration::from_secs(1)), Colour::Red),
            (Some(now.earlier(DAY)), Colour::Red),
        ] {
            let found = judge(&seen(Ok(Answered { status: 200, location: None, is_ours: true, until })), now);
            assert_eq!(found.colour, colour, "{found:?}");
        }
    }

    #[test]
    fn what_is_not_inkring_is_told_from_what_is() {
        let of = |status, location: Option<&str>, is_ours| {
            let location = location.map(str::to_owned);
            judge(&seen(Ok(Answered { status, location, is_ours, until: None })), Timestamp(0))
        };
        assert_eq!(of(200, None, true).colour, Colour::Green);
        assert!(of(200, None, false).found.contains("not as inkring does"));
        assert!(of(502, None, false).found.contains("answers 502"));
        assert!(of(301, Some("https://www.box.example/"), false).found.contains("leads to https://www.box.example/"));
        let refused = judge(&seen(Err("no TLS with it".to_owned())), Timestamp(0));
        assert_eq!((refused.colour, refused.found.as_str()), (Colour::Red, "https://box.example: no TLS with it"));
    }
}
