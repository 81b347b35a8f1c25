//! What becomes of records, within the transaction of one change: they are made, changed, put into the bin and taken out of it,
//! and everything that is derived of them with them.

use std::fmt::Display;

use jiff::civil::DateTime;
use serde_json::Value;

use super::super::all_kinds::store::remove_links;
use super::super::counters::Counters;
use super::super::news::{self, News};
use super::super::zone::Zone;
use super::fact::{Fact, facts, moment, title, wall_micros};
use super::field::{Field, Form};
use super::kinds::Kind;
use super::read::{Change, Fields, text_of};
use super::record::{Key, RecordContent};
use super::store::{self, Stored, WrittenRecord};
use crate::audit::{self, Entry, Witness};
use crate::clock::Timestamp;
use crate::gate::{ApiError, Call, Code, Conditions};
use crate::store::Tx;

/// Who changes records, and where they live.
pub(in crate::modules) struct Hand {
    pub(in crate::modules) zone: Zone,
    witness: Option<Witness>,
    request_id: String,
    user: String,
    written: Counters,
}

/// Where a record is to lie, and of which change of its kind it comes.
struct Place {
    key: Key,
    created_at: Timestamp,
    revision: i64,
}

/// Records that are changed when one is deleted whose id they name.
pub(in crate::modules) const RELATED_CLEARED_MAX: usize = 1000;

/// Whoever is not known by name.
const HOUSEHOLD: &str = "household";

impl Hand {
    /// That of a request.
    pub(in crate::modules) fn of(
        call: &Call<'_>,
        audit: Option<&crate::audit::Audit>,
        zone: &Zone,
        counters: &Counters,
    ) -> Self {
        Self {
            zone: zone.clone(),
            witness: audit.and_then(|audit| audit.witness(call.client, call.headers.get("user-agent"))),
            request_id: call.request_id.as_str().to_owned(),
            user: if call.user.is_empty() { HOUSEHOLD.to_owned() } else { call.user.to_owned() },
            written: counters.clone(),
        }
    }

    /// Makes a record.
    pub(in crate::modules) fn create(
        &self,
        tx: &mut Tx<'_>,
        kind: &'static Kind,
        content: &RecordContent,
    ) -> Result<Stored, ApiError> {
        let (revision, id) = store::counted(tx, kind.number, 1, 1)?;
        let key = Key::of(kind, id).ok_or_else(|| no_number(kind))?;
        let created_at = tx.now();
        let stored = self.put(tx, kind, Place { key, created_at, revision }, content, None)?;
        self.tell(tx, kind, &stored, &content.fields, "created")?;
        Ok(stored)
    }

    /// Changes a record, if it is what `conditions` say.
    pub(in crate::modules) fn update(
        &self,
        tx: &mut Tx<'_>,
        kind: &'static Kind,
        key: Key,
        change: &Change,
        conditions: &Conditions,
    ) -> Result<Stored, ApiError> {
        let old = found(tx, kind, key, conditions)?;
        let old_fields = fields_of(&old)?;
        let fields = change.applied(kind, &old_fields, &self.zone)?;
        self.replaced(tx, kind, &old, &old_fields, &RecordContent::of(kind, fields))
    }

    /// Replaces what a record says.
    pub(in crate::modules) fn replaced(
        &self,
        tx: &mut Tx<'_>,
        kind: &'static Kind,
        old: &Stored,
        old_fields: &Fields,
        content: &RecordContent,
    ) -> Result<Stored, ApiError> {
        let (revision, _) = store::counted(tx, kind.number, 0, 0)?;
        let place = Place { key: old.key, created_at: old.created_at, revision };
        let stored = self.put(tx, kind, place, content, Some(old_fields))?;
        self.tell(tx, kind, &stored, &content.fields, "updated")?;
        Ok(stored)
    }

    /// Puts a record into the bin, if it is what `conditions` say.
    pub(in crate::modules) fn delete(
        &self,
        tx: &mut Tx<'_>,
        kind: &'static Kind,
        key: Key,
        conditions: &Conditions,
    ) -> Result<(), ApiError> {
        let old = found(tx, kind, key, conditions)?;
        let fields = fields_of(&old)?;
        let (revision, _) = store::counted(tx, kind.number, -1, 0)?;
        store::bin(tx, &old, &facts(kind, &fields))?;
        remove_links(tx, key)?;
        self.tell(tx, kind, &Stored { revision, updated_at: tx.now(), ..old }, &fields, "deleted")?;
        self.forget(tx, kind, key.id())
    }

    /// Takes the id of a record that is gone out of those of its kind that name it.
    fn forget(&self, tx: &mut Tx<'_>, kind: &'static Kind, id: i64) -> Result<(), ApiError> {
        let names_others = |field: &&Field| matches!(field.form, Form::Wholes) && field.filter.is_some();
        for field in kind.all_fields().filter(names_others) {
            let fact = Fact { name: field.name, value: id.to_string() };
            for key in store::having(tx, kind, &fact, RELATED_CLEARED_MAX)? {
                let Some(old) = store::find(tx, key)? else { continue };
                let old_fields = fields_of(&old)?;
                let mut fields = old_fields.clone();
                if let Some(Value::Array(ids)) = fields.get_mut(field.name) {
                    ids.retain(|other| other.as_i64() != Some(id));
                }
                self.replaced(tx, kind, &old, &old_fields, &RecordContent::of(kind, fields))?;
            }
        }
        Ok(())
    }

    /// Takes a record out of the bin.
    pub(in crate::modules) fn restore(
        &self,
        tx: &mut Tx<'_>,
        kind: &'static Kind,
        key: Key,
    ) -> Result<Stored, ApiError> {
        let old = store::deleted(tx, key)?.ok_or_else(|| not_found(kind))?;
        store::unbin(tx, key)?;
        let content = RecordContent::of(kind, fields_of(&old)?);
        let (revision, _) = store::counted(tx, kind.number, 1, 0)?;
        let stored = self.put(tx, kind, Place { key, created_at: old.created_at, revision }, &content, None)?;
        self.tell(tx, kind, &stored, &content.fields, "restored")?;
        Ok(stored)
    }

    /// Removes a record from the bin for good.
    pub(in crate::modules) fn purge(&self, tx: &mut Tx<'_>, kind: &'static Kind, key: Key) -> Result<Stored, ApiError> {
        let gone = store::deleted(tx, key)?.ok_or_else(|| not_found(kind))?;
        store::unbin(tx, key)?;
        self.note(tx, "record.purged", format_args!("{}/{}", kind.module, key.id()), &[])?;
        Ok(gone)
    }

    /// Makes a record that was made elsewhere before: under this key, of which there is no other, or under the next one.
    pub(in crate::modules) fn import(
        &self,
        tx: &mut Tx<'_>,
        kind: &'static Kind,
        key: Option<Key>,
        created_at: Timestamp,
        content: &RecordContent,
    ) -> Result<Stored, ApiError> {
        let (revision, last_id) = store::counted(tx, kind.number, 1, i64::from(key.is_none()))?;
        let key = match key {
            Some(key) => {
                store::reach(tx, kind, key.id())?;
                if store::deleted(tx, key)?.is_some() {
                    store::unbin(tx, key)?;
                }
                key
            }
            None => Key::of(kind, last_id).ok_or_else(|| no_number(kind))?,
        };
        let stored = self.put(tx, kind, Place { key, created_at, revision }, content, None)?;
        self.tell(tx, kind, &stored, &content.fields, "created")?;
        Ok(stored)
    }

    /// Writes a record in its place: a new one, or one whose fields were `old`.
    fn put(
        &self,
        tx: &mut Tx<'_>,
        kind: &Kind,
        Place { key, created_at, revision }: Place,
        content: &RecordContent,
        old: Option<&Fields>,
    ) -> Result<Stored, ApiError> {
        let (json, updated_at) = (content.json(key, created_at), tx.now());
        let RecordContent { fields, facts: new_facts, words, .. } = content;
        let written = WrittenRecord {
            key,
            json: &json,
            moment: self.moment(kind, fields, created_at),
            source: text_of(fields, "source_trace"),
            created_at,
            updated_at,
            revision,
            facts: new_facts,
            words,
        };
        match old {
            Some(old) => store::replace(tx, &written, &facts(kind, old))?,
            None => store::add(tx, &written)?,
        }
        Ok(Stored { key, json, created_at, updated_at, revision })
    }

    fn moment(&self, kind: &Kind, fields: &Fields, created_at: Timestamp) -> i64 {
        let created = self.zone.wall(created_at).unwrap_or(DateTime::MIN);
        wall_micros(moment(kind, fields, created))
    }

    /// Writes a line of its own into the audit log.
    pub(in crate::modules) fn note(
        &self,
        tx: &mut Tx<'_>,
        action: &'static str,
        subject: impl Display,
        metadata: &[(&'static str, audit::Field<'_>)],
    ) -> Result<(), ApiError> {
        if let Some(witness) = &self.witness {
            let (request_id, user_id, subject) = (self.request_id.as_str(), self.user.as_str(), subject.to_string());
            witness.record(tx, &Entry { request_id, user_id, action, subject: &subject, metadata })?;
        }
        Ok(())
    }

    /// Tells the audit log and those who listen.
    fn tell(
        &self,
        tx: &mut Tx<'_>,
        kind: &'static Kind,
        stored: &Stored,
        fields: &Fields,
        what: &'static str,
    ) -> Result<(), ApiError> {
        let (id, written) = (stored.key.id(), self.written.clone());
        tx.after_commit(move || written.record(kind));
        let action = match what {
            "created" => "record.created",
            "updated" => "record.updated",
            "deleted" => "record.deleted",
            _ => "record.restored",
        };
        let metadata =
            [("module", audit::Field::Text(kind.module)), ("revision", audit::Field::Number(stored.revision))];
        self.note(tx, action, format_args!("{}/{id}", kind.module), &metadata)?;
        let news = News { id, title: title(kind, fields), story_type: fields.get("story_type") };
        news::publish(tx, kind.module, stored.revision, what, &news, &self.request_id);
        Ok(())
    }
}

fn no_number(kind: &Kind) -> ApiError {
    ApiError::overloaded(format!("No {} has a number left", kind.noun))
}

/// 404 in the contract's words.
pub(in crate::modules) fn not_found(kind: &Kind) -> ApiError {
    ApiError::new(Code::NotFound, format!("{} not found", kind.noun))
}

/// The record, if it is there and as the client takes it to be.
fn found(tx: &Tx<'_>, kind: &Kind, key: Key, conditions: &Conditions) -> Result<Stored, ApiError> {
    let stored = store::find(tx, key)?.ok_or_else(|| not_found(kind))?;
    if conditions.hold_for(&tag(&stored)) {
        return Ok(stored);
    }
    let message = format!("The {} was changed since; read it again", kind.noun.to_lowercase());
    Err(ApiError::new(Code::HttpError, message).with_status(http::StatusCode::PRECONDITION_FAILED))
}

/// The entity tag of a record, without quotes: another one after every change.
pub(in crate::modules) fn tag(stored: &Stored) -> String {
    format!("{}-{:x}", stored.revision, stored.updated_at.0)
}

/// The fields of a record as it lies there.
pub(in crate::modules) fn fields_of(stored: &Stored) -> Result<Fields, ApiError> {
    serde_json::from_str(&stored.json).map_err(|error| {
        ApiError::internal(format!("the record {:#x} cannot be read: {error}", stored.key.0)).marked_damage()
    })
}

#[cfg(test)]
mod tests;
