//! A record of one module that becomes one of another: an idea an event, an event an entry of the calendar (contract 04 §5.2).
//! What both have is carried over; the new one says where it comes from, and a link leads to it.

use serde_json::{Map, Value};

use super::all_kinds::link;
use super::desk::Desk;
use super::records::change::{Hand, fields_of, not_found};
use super::records::kinds::Kind;
use super::records::read::{self, Fields};
use super::records::record::{Key, RecordContent};
use super::records::{key_of, shown, store};
use super::zone::Zone;
use crate::gate::validate::Body;
use crate::gate::{ApiError, Call, Outcome};
use crate::store::Tx;

/// Fields that mean the same in every kind that has them.
const SHARED: [&str; 5] = ["title", "description", "participants", "location", "tags"];

/// What the link from the old to the new record says.
const PROMOTED: &str = "promoted";

/// Makes a record of `to` out of the one that the path names; `sent` says what is to be otherwise in it, and `carry` what fields of
/// other names become.
pub(super) fn promote(
    desk: &Desk,
    call: &Call<'_>,
    from: &'static Kind,
    to: &'static Kind,
    sent: Map<String, Value>,
    carry: &'static [(&'static str, &'static str)],
) -> Result<Outcome, ApiError> {
    desk.active(from.module)?;
    desk.active(to.module)?;
    let (key, hand) = (key_of(call, from)?, desk.hand(call));
    let job = move |tx: &mut Tx<'_>| made(tx, &hand, (from, key), to, &sent, carry);
    desk.parts.change(call, job, shown)
}

fn made(
    tx: &mut Tx<'_>,
    hand: &Hand,
    (from, key): (&'static Kind, Key),
    to: &'static Kind,
    sent: &Map<String, Value>,
    carry: &[(&'static str, &'static str)],
) -> Result<store::Stored, ApiError> {
    let old = fields_of(&store::find(tx, key)?.ok_or_else(|| not_found(from))?)?;
    let trace = format!("{}:{}", from.module, key.id());
    let fields = carried(&old, to, sent, carry, &trace, &hand.zone)?;
    let new = hand.create(tx, to, &RecordContent::of(to, fields))?;
    link(tx, hand, (from, key), (to, new.key), PROMOTED)?;
    Ok(new)
}

/// The fields of the new record.
fn carried(
    old: &Fields,
    to: &'static Kind,
    sent: &Map<String, Value>,
    carry: &[(&'static str, &'static str)],
    trace: &str,
    zone: &Zone,
) -> Result<Fields, ApiError> {
    let same = SHARED.iter().map(|name| (*name, *name));
    let mut new = Map::new();
    for (from, into) in same.chain(carry.iter().copied()) {
        // What is null there is as if nobody had said it here.
        let value = old.get(from).filter(|value| !value.is_null());
        new.extend(value.map(|value| (into.to_owned(), value.clone())));
    }
    new.extend(sent.iter().map(|(name, value)| (name.clone(), value.clone())));
    new.insert("source_trace".to_owned(), trace.into());
    read::create(to, &Body::Json(Value::Object(new)), zone)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_both_have_is_carried_over_unless_it_is_said_otherwise() {
        let zone = Zone::named("Europe/Kyiv").unwrap();
        let old = json!({
            "title": "T", "description": null, "event_date": "2026-03-01T10:00:00", "event_type": "family", "tags": ["a"],
            "participants": ["Іван"], "location": "Київ", "source_trace": "x",
        });
        let (old, calendar) = (old.as_object().unwrap(), Kind::of_module("calendar").unwrap());
        let carry = [("event_date", "scheduled_at"), ("event_type", "entry_type")];
        let of = |sent: Value| {
            let fields = carried(old, calendar, sent.as_object().unwrap(), &carry, "podija:1", &zone)?;
            Ok::<_, ApiError>(Value::Object(fields))
        };
        let entry = of(json!({ "title": "U", "to": "calendar", "source_trace": "y" })).unwrap();
        assert_eq!((&entry["title"], &entry["description"]), (&json!("U"), &Value::Null));
        assert_eq!((&entry["scheduled_at"], &entry["entry_type"]), (&json!("2026-03-01T10:00:00"), &json!("family")));
        assert_eq!((&entry["participants"], &entry["location"]), (&json!(["Іван"]), &json!("Київ")));
        assert_eq!((&entry["tags"], &entry["source_trace"]), (&json!(["a"]), &json!("podija:1")));
        assert!(of(json!({ "scheduled_at": "soon" })).is_err());
    }
}
