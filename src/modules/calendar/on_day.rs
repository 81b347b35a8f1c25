//! What comes again on some day, for those who show a day of all modules: an entry that recurs is on each day of its occurrences,
//! and on its first one only if that is one of them.

use jiff::civil::DateTime;
use serde_json::Value;

use super::entry::Times;
use super::expand::{OCCURRENCES_MAX, beginning};
use super::store::Found;
use crate::gate::ApiError;
use crate::modules::records::fact::title;
use crate::modules::records::kinds::Kind;
use crate::modules::records::read::Fields;
use crate::modules::zone::Zone;
use crate::store::{Error, Query};

/// An occurrence of an entry that recurs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::modules) struct Coming {
    /// The id of the entry.
    pub(in crate::modules) id: i64,
    /// What the entry is called.
    pub(in crate::modules) title: String,
    /// When the occurrence starts.
    pub(in crate::modules) start: DateTime,
    /// When it would start if it had not been moved.
    pub(in crate::modules) original: DateTime,
    /// Whether it is done.
    pub(in crate::modules) completed: bool,
}

/// Whether an entry recurs.
pub(in crate::modules) fn recurs(fields: &Fields) -> bool {
    fields.get("recurrence_pattern").and_then(Value::as_object).is_some_and(|pattern| !pattern.is_empty())
}

/// The entries that recur, to be looked at where that may take its time ([`coming`]).
pub(in crate::modules) fn recurring(query: &impl Query) -> Result<Found, Error> {
    let mut found = Found::default();
    if let Some(kind) = Kind::of_module("calendar") {
        // An occurrence may be moved to before the first one: so all of them.
        found.recurring(query, kind, i64::MAX)?;
    }
    Ok(found)
}

/// Their occurrences that start in [from, until), in the order of their starts, and whether there are more.
pub(in crate::modules) fn coming(
    found: &Found,
    from: DateTime,
    until: DateTime,
    zone: &Zone,
) -> Result<(Vec<Coming>, bool), ApiError> {
    let Some(kind) = Kind::of_module("calendar") else { return Ok((Vec::new(), false)) };
    let (mut all, mut is_cut) = (Vec::new(), found.is_cut);
    for json in &found.entries {
        let fields: Fields = serde_json::from_str(json)
            .map_err(|error| ApiError::internal(format!("an entry cannot be read: {error}")).marked_damage())?;
        let Some(times) = Times::of(&fields, zone) else { continue };
        let expansion = beginning(&times.series(), &times.exceptions, from, until, OCCURRENCES_MAX);
        is_cut |= expansion.capped;
        let id = fields.get("id").and_then(Value::as_i64).unwrap_or_default();
        let title = title(kind, &fields);
        all.extend(expansion.occurrences.into_iter().map(|at| Coming {
            id,
            title: title.to_owned(),
            start: at.start,
            original: at.original,
            completed: at.completed,
        }));
    }
    all.sort_by_key(|coming| (coming.start, coming.id, coming.original));
    Ok((all, is_cut))
}
