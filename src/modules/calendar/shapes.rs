//! What entries say of their recurrence, their reminders and single occurrences, made canonical: one thing is said in one way,
//! and what is kept is never more than its bounds.

use serde_json::Value;

use super::expand::Exceptions;
use super::reminder::minutes_before;
use super::rule::Rule;
use crate::modules::zone::Zone;

/// `recurrence_pattern`: a rule, or the word for one (contract 04, C7).
///
/// # Errors
/// A sentence about what is wrong.
pub fn recurrence(value: &Value, zone: &Zone) -> Result<Value, String> {
    Rule::from_json(value, zone).map(|rule| rule.to_json())
}

/// `reminder_settings`: `minutes_before` is one number or a list from the earliest; what else a client keeps there stays.
///
/// # Errors
/// A sentence about what is wrong.
pub fn reminders(value: &Value, _: &Zone) -> Result<Value, String> {
    let minutes = minutes_before(value)?;
    let mut settings = value.clone();
    if let Value::Object(members) = &mut settings {
        match minutes[..] {
            [] => drop(members.shift_remove("minutes_before")),
            [one] => drop(members.insert("minutes_before".to_owned(), one.into())),
            _ => drop(members.insert("minutes_before".to_owned(), minutes.into())),
        }
    }
    Ok(settings)
}

/// `exceptions`: what became of single occurrences, in the order of time; null where there are none.
///
/// # Errors
/// A sentence about what is wrong.
pub fn exceptions(value: &Value, zone: &Zone) -> Result<Value, String> {
    let exceptions = Exceptions::from_json(value, zone)?;
    Ok(if exceptions.is_empty() { Value::Null } else { exceptions.to_json() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::modules::records::field::Shape;

    #[test]
    fn one_thing_is_said_in_one_way() {
        let kyiv = Zone::named("Europe/Kyiv").unwrap();
        let rows: [(Shape, Value, &str); 8] = [
            (recurrence, json!("weekly"), r#"{"freq":"weekly"}"#),
            (
                recurrence,
                json!({ "until": "2026-07-01T00:00:00Z", "interval": 1, "freq": "DAILY", "byweekday": "mo" }),
                r#"{"freq":"daily","byweekday":["MO"],"until":"2026-07-01T03:00:00"}"#,
            ),
            (reminders, json!({ "minutes_before": [15], "sound": "bell" }), r#"{"minutes_before":15,"sound":"bell"}"#),
            (reminders, json!({ "minutes_before": [15, 60, 15] }), r#"{"minutes_before":[60,15]}"#),
            (reminders, json!({ "minutes_before": [] }), "{}"),
            (reminders, json!({}), "{}"),
            (
                exceptions,
                json!({ "2026-03-31T06:00:00Z": { "skip": true, "completed": true } }),
                r#"{"2026-03-31T09:00:00":{"skip":true}}"#,
            ),
            (exceptions, json!({ "2026-03-31T06:00:00": { "skip": false } }), "null"),
        ];
        for (shape, sent, kept) in rows {
            let canonical = shape(&sent, &kyiv).unwrap();
            assert_eq!(canonical.to_string(), kept, "{sent}");
            if !canonical.is_null() {
                assert_eq!(shape(&canonical, &kyiv).unwrap(), canonical, "{sent}");
            }
        }
        assert!(recurrence(&json!({}), &kyiv).unwrap_err().contains("has no freq"));
        assert!(reminders(&json!(15), &kyiv).unwrap_err().contains("use an object with minutes_before"));
        assert!(exceptions(&json!({ "soon": {} }), &kyiv).unwrap_err().contains("use the time of an occurrence"));
    }
}
