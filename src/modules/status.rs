//! How the server is, for those who use the modules (contract 04 §1.4): `/api/status`.

use std::rc::Rc;

use http::Method;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::desk::Desk;
use super::records::answer;
use super::records::record::CANON;
use super::registry::API_VERSION;
use super::zone::utc_text;
use crate::clock::Timestamp;
use crate::gate::{Outcome, Route, Routes};

/// What is served.
pub(super) const ROUTES: [Route; 1] =
    [Route::public(&Method::GET, "/api/status").does("Read the status and load of the server")];

/// Adds it for one shard.
pub(super) fn add(desk: &Rc<Desk>, to: &mut Routes) {
    let [status] = ROUTES;
    desk.add_open(to, status, |desk, call| {
        let (shared, clock) = (&desk.shared, &desk.shared.house.clock);
        let instant = clock.instant();
        let up = instant.saturating_duration_since(shared.began).as_secs();
        let late = shared.house.traffic.of_late(instant);
        let now = call.clock.now();
        Ok(Outcome::Now(answer(&json!({
            "active_persona": "ci",
            "активні_персони": 5,
            "розгортання": "HuggingFace / Docker",
            "статус": "running",
            "версія": API_VERSION,
            "загальна_кількість_взаємодій": shared.house.traffic.total(),
            "uptime": uptime(up),
            "timezone": shared.zone.name(),
            "utc_time": with_offset(now, &TimeZone::UTC),
            "local_time": with_offset(now, shared.zone.rules()),
            "participant_api": {
                "enabled": shared.participant.has_key(), "last_call_at": shared.participant.last_call_at().map(utc_text),
            },
            "requests_last_5m": late.requests,
            "errors_last_5m": late.errors,
        }))))
    });
}

/// What `/health` and `/ready` say besides their own (C2).
pub(super) fn figures() -> Map<String, Value> {
    Map::from_iter([
        ("message".to_owned(), "CIMEIKA FastAPI Backend".into()),
        ("version".to_owned(), API_VERSION.into()),
        ("canon_bundle_id".to_owned(), CANON.into()),
    ])
}

/// `HH:MM:SS`, of which the hours may be more than 99.
fn uptime(seconds: u64) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// A moment on a wall of this zone, always with six digits of a second, and how far that is from UTC.
fn with_offset(at: Timestamp, zone: &TimeZone) -> String {
    let at = jiff::Timestamp::from_microsecond(at.0).unwrap_or(jiff::Timestamp::MAX);
    at.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%.6f%:z").to_string()
}

#[cfg(test)]
mod tests {
    use super::super::zone::Zone;
    use super::*;

    #[test]
    fn times_are_shown_as_the_contract_shows_them() {
        assert_eq!([0, 59, 3661, 360_000].map(uptime), ["00:00:00", "00:00:59", "01:01:01", "100:00:00"]);
        let kyiv = Zone::named("Europe/Kyiv").unwrap();
        assert_eq!(with_offset(Timestamp(1_768_464_000_000_000), kyiv.rules()), "2026-01-15T10:00:00.000000+02:00");
        assert_eq!(with_offset(Timestamp(1_784_098_800_000_001), kyiv.rules()), "2026-07-15T10:00:00.000001+03:00");
        let west = Zone::named("America/New_York").unwrap();
        assert_eq!(with_offset(Timestamp(1_768_464_000_000_000), west.rules()), "2026-01-15T03:00:00.000000-05:00");
    }
}
