//! The certificate that the server of these settings shows.

use crate::clock::{DAY, Timestamp};
use crate::feature::doctor::Diagnosis;
use crate::net::tls::server::{Files, Pair, caution};
use crate::settings::Settings;
use crate::text::span;

/// How it is; nothing without TLS.
pub(super) fn found(settings: &Settings, now: Timestamp) -> Option<Diagnosis> {
    const CHECK: &str = "tls";
    let read = Files::of(settings)
        .and_then(|files| files.map(|files| Ok::<_, String>((Pair::read(&files)?, files))).transpose());
    let (pair, files) = match read {
        Ok(read) => read?,
        Err(why) => {
            let remedy = "put a certificate and its key there; a running server keeps using the old pair";
            return Some(Diagnosis::red(CHECK, why, remedy));
        }
    };
    let file = files.certificate().display();
    Some(match (caution(pair.until, now), pair.until) {
        (Some(why), until) => {
            let remedy = "find out why it was not renewed automatically; the server picks up a new one without a \
                restart";
            let is_urgent = until.is_some_and(|until| until.ahead_of(now) < DAY);
            if is_urgent { Diagnosis::red(CHECK, why, remedy) } else { Diagnosis::yellow(CHECK, why, remedy) }
        }
        (None, Some(until)) => {
            let left = span(until.ahead_of(now).as_secs());
            Diagnosis::green(CHECK, format!("{file} is valid until {}, for {left}", until.date()))
        }
        (None, None) => Diagnosis::green(CHECK, format!("the expiry date of {file} cannot be read")),
    })
}
