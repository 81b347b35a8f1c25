//! What the doctor sees of rooms: whether they are damaged, and whether somebody gets in.

use super::options::{ENABLED, Options};
use super::store;
use crate::feature::doctor::{Diagnosis, Examined};
use crate::gate::identity::options::TRUST_HEADER;
use crate::gate::verifies_tokens;
use crate::settings::Settings;
use crate::store::{Error, Reader};

const CHECK: &str = "rooms";

/// Damaged rooms that the doctor names; the rest is counted.
pub(super) const DOCTOR_MAX_ROOMS: usize = 5;

/// How rooms are.
pub(super) fn doctor(examined: &Examined<'_>) -> Vec<Diagnosis> {
    let settings = examined.settings;
    if !settings.flag(&ENABLED) {
        return vec![Diagnosis::green(CHECK, "rooms are off (ROOMS_ENABLED=false)".to_owned())];
    }
    let mut found = Vec::from_iter(entry(settings));
    match examined.reader.map(stored) {
        Some(Ok(stored)) => found.push(stored),
        Some(Err(error)) => found.push(Diagnosis::red(
            CHECK,
            format!("the rooms cannot be read: {error}"),
            "run inkring room verify for details",
        )),
        None => {}
    }
    found
}

/// Where a token is wanted, there has to be a key to verify it with.
fn entry(settings: &Settings) -> Option<Diagnosis> {
    let somebody_is_known = verifies_tokens(settings) || settings.flag(&TRUST_HEADER);
    if somebody_is_known || !Options::of(settings).require_token {
        return None;
    }
    let found = "nobody can enter a room: only identified users may, and no key for verifying tokens is set";
    let remedy = "set JWT_SECRET or another key; or ROOMS_REQUIRE_TOKEN=false if anyone may read and write all rooms; \
        or ROOMS_ENABLED=false";
    Some(Diagnosis::yellow(CHECK, found.to_owned(), remedy))
}

fn stored(reader: &Reader) -> Result<Diagnosis, Error> {
    let (rooms, damaged) = store::counts(reader)?;
    if damaged == 0 {
        return Ok(Diagnosis::green(CHECK, format!("rooms stored: {rooms}, none known to be damaged")));
    }
    let named = store::quarantined(reader, DOCTOR_MAX_ROOMS)?;
    let more = damaged - named.len() as i64;
    let named: Vec<String> = named.iter().map(|(name, reason)| format!("{name} ({reason})")).collect();
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    let found = format!("damaged and therefore read-only: {damaged} of {rooms} rooms: {}{more}", named.join(", "));
    let remedy = "export what is readable with inkring room export NAME, and the same room from a restored backup, delete the \
        room, and import both, as docs/OPERATIONS.md says under \"Rooms quarantined\"; clients that have the room open still \
        have the whole document";
    Ok(Diagnosis::red(CHECK, found, remedy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::doctor::Colour;

    #[test]
    fn damaged_rooms_are_named_up_to_a_number_and_counted_beyond() {
        let reader = Reader::in_memory(crate::rooms::MIGRATIONS);
        assert_eq!(stored(&reader).unwrap().found, "rooms stored: 0, none known to be damaged");
        for room in 0..=DOCTOR_MAX_ROOMS {
            reader.batch(&format!(
                "INSERT INTO rooms (name, creator_id, created_at, used_at, quarantine) \
                 VALUES ('room {room}', 'a', 0, 0, 'update 7: too short')"
            ));
        }
        let found = stored(&reader).unwrap();
        assert_eq!(found.colour, Colour::Red);
        assert!(
            found
                .found
                .starts_with("damaged and therefore read-only: 6 of 6 rooms: room 0 (update 7: too short), room 1 "),
            "{found:?}"
        );
        assert!(found.found.ends_with(", and 1 more"), "{found:?}");
    }
}
