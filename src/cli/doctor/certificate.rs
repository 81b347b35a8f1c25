//! The certificate that the server of these settings shows.

use std::path::Path;

use crate::clock::{DAY, Timestamp};
use crate::feature::doctor::Diagnosis;
use crate::net::tls::server::{Files, Pair, caution};
use crate::settings::Settings;
use crate::text::span;

const CHECK: &str = "tls";
/// Where systemd puts the copies that it makes for a service at its start, and takes them away at its end.
const COPIES: &str = "/run/credentials";

/// How it is; nothing without TLS.
pub(super) fn found(settings: &Settings, now: Timestamp) -> Option<Diagnosis> {
    let files = match Files::of(settings) {
        Ok(files) => files?,
        Err(why) => return Some(Diagnosis::red(CHECK, why, "set both, or neither")),
    };
    let until = Pair::read(&files).map(|pair| pair.until);
    Some(judge(files.certificate(), until, now))
}

/// What there is to say of a file whose certificate is good until then, or which cannot be used.
fn judge(file: &Path, until: Result<Option<Timestamp>, String>, now: Timestamp) -> Diagnosis {
    let is_copy = file.starts_with(COPIES);
    let until = match until {
        Ok(until) => until,
        Err(why) => {
            let remedy = match is_copy {
                true => "systemd copies certificate and key there when the service starts: start or restart it",
                false => "put a certificate and its key there; a running server keeps using the old pair",
            };
            return Diagnosis::red(CHECK, why, remedy);
        }
    };
    let Some(why) = caution(until, now) else {
        let file = file.display();
        return Diagnosis::green(
            CHECK,
            match until {
                Some(until) => {
                    format!("{file} is valid until {}, for {}", until.date(), span(until.ahead_of(now).as_secs()))
                }
                None => format!("the expiry date of {file} cannot be read"),
            },
        );
    };
    let remedy = match is_copy {
        true => "find out why it was not renewed automatically; if it was, restart the service, which has a copy",
        false => "find out why it was not renewed automatically; the server picks up a new one without a restart",
    };
    let is_urgent = until.is_some_and(|until| until.ahead_of(now) < DAY);
    if is_urgent { Diagnosis::red(CHECK, why, remedy) } else { Diagnosis::yellow(CHECK, why, remedy) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::doctor::Colour::{self, Green, Red, Yellow};

    /// A certificate that is good for so many days, or none.
    fn seen(file: &str, days: Option<u32>) -> (Colour, String, String) {
        let now = Timestamp(0);
        let until = days.map(|days| Some(now.later(DAY * days))).ok_or_else(|| "none".to_owned());
        let said = judge(Path::new(file), until, now);
        (said.colour, said.found, said.remedy.unwrap_or_default())
    }

    #[test]
    fn a_copy_of_systemd_changes_with_a_restart_and_a_file_without() {
        let (own, copy) = ("tls/cert.pem", "/run/credentials/inkring.service/tls.cert");
        for (file, days, colour, found, remedy) in [
            (own, Some(90), Green, "tls/cert.pem is valid until 1970-04-01, for 90 days", ""),
            (copy, Some(90), Green, "tls.cert is valid until 1970-04-01, for 90 days", ""),
            (own, Some(7), Yellow, "expires on 1970-01-08", "picks up a new one without a restart"),
            (copy, Some(7), Yellow, "expires on 1970-01-08", "restart the service, which has a copy"),
            (copy, Some(0), Red, "expired on 1970-01-01", "restart the service, which has a copy"),
            (own, None, Red, "none", "put a certificate and its key there"),
            (copy, None, Red, "none", "start or restart it"),
        ] {
            let said = seen(file, days);
            assert_eq!(said.0, colour, "{file} {days:?}: {said:?}");
            assert!(said.1.contains(found) && said.2.contains(remedy), "{file} {days:?}: {said:?}");
        }
    }
}
