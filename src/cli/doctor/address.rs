//! `--url`: how the server is from outside, through whatever stands in front of it.

use std::time::Duration;

use serde_json::Value;

use crate::clock::{DAY, Timestamp};
use crate::feature::doctor::Diagnosis;
use crate::net::base_url::BaseUrl;
use crate::net::client::{Ask, AskError};
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
    answered: Result<Answered, Failed>,
}

/// Why nothing was answered, and what to do about it.
#[derive(Debug)]
struct Failed {
    why: String,
    remedy: &'static str,
}

impl Failed {
    fn asking(error: &AskError) -> Self {
        let remedy = match error {
            AskError::Connect(..) => UNREACHED,
            AskError::Broken(..) => UNANSWERED,
            AskError::NotHttp(_) => "check which program listens there: it should be the proxy, or inkring itself",
            AskError::IsTls(_) => "pass the address with https://",
            AskError::Tls(..) => {
                "fix this in the proxy or at TLS_CERT_FILE; until then, browsers and other clients may refuse this address as well"
            }
        };
        Self { why: error.to_string(), remedy }
    }
}

/// Where nobody takes the call.
const UNREACHED: &str =
    "check that the name resolves to this machine, that the proxy is running, and that the firewall allows its port";
/// Where somebody does and says nothing.
const UNANSWERED: &str = "look for the reason in the log of the proxy (sudo journalctl -u caddy, or /var/log/nginx/error.log) and of the server (sudo journalctl -u inkring)";

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
    let ask = || -> Result<Answered, Failed> {
        let to = base.remote(trust, PATIENCE).map_err(|error| Failed { why: error.to_string(), remedy: UNREACHED })?;
        let answer = Ask::get(&target).send(&to, PATIENCE).map_err(|error| Failed::asking(&error))?;
        let (status, location) = (answer.status, answer.header("location").map(str::to_owned));
        let until = answer.certificate().and_then(good_until);
        let text =
            answer.text(ANSWER_MAX_BYTES).map_err(|error| Failed { why: error.to_string(), remedy: UNANSWERED })?;
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
        Err(Failed { why, remedy }) => return Diagnosis::red(CHECK, format!("{url}: {why}"), *remedy),
    };
    if let Some(location) = &answered.location {
        return Diagnosis::red(
            CHECK,
            format!("{url} redirects to {location}"),
            "pass the final address, or have the proxy forward the request instead of redirecting it",
        );
    }
    if answered.status != 200 || !answered.is_ours {
        return Diagnosis::red(
            CHECK,
            format!("{url} returns {} for /healthz instead of inkring's response", answered.status),
            "check that the proxy forwards this path to LISTEN_ADDR",
        );
    }
    let Some(until) = answered.until else { return Diagnosis::green(CHECK, format!("{url} answers")) };
    let left = until.ahead_of(now);
    if left < DAY {
        let remedy = "renew it, and find out why it was not renewed automatically";
        return Diagnosis::red(
            CHECK,
            format!("{url} answers, and its certificate expires on {}", until.date()),
            remedy,
        );
    }
    let found = format!("{url} answers; its certificate is valid until {}, for {}", until.date(), span(left.as_secs()));
    if left < ENDS_SOON {
        return Diagnosis::yellow(CHECK, found, "find out why it was not renewed automatically");
    }
    Diagnosis::green(CHECK, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::doctor::Colour;
    use crate::settings::Endpoint;

    fn seen(answered: Result<Answered, Failed>) -> Seen {
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
        assert!(of(200, None, false).found.contains("instead of inkring's response"));
        assert!(of(502, None, false).found.contains("returns 502"));
        assert!(
            of(301, Some("https://www.box.example/"), false).found.contains("redirects to https://www.box.example/")
        );
        let at = || Endpoint::Tcp(([127, 0, 0, 1], 443).into());
        let end = || std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        for (error, says, remedy) in [
            (
                AskError::Connect(at(), end()),
                "https://box.example: cannot connect to ",
                "the name resolves to this machine",
            ),
            (AskError::Broken(at(), end()), "https://box.example: no answer from ", "the log of the proxy"),
            (AskError::NotHttp(at()), "https://box.example: the response of ", "which program listens there"),
            (
                AskError::Tls(at(), "its certificate ended".to_owned()),
                "https://box.example: TLS with ",
                "TLS_CERT_FILE",
            ),
        ] {
            let refused = judge(&seen(Err(Failed::asking(&error))), Timestamp(0));
            assert_eq!(refused.colour, Colour::Red);
            assert!(refused.found.starts_with(says) && refused.remedy.unwrap().contains(remedy), "{says}");
        }
    }
}
