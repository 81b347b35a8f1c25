//! Links between any two records of any modules (contract 04 §5.2). One leads from one record to another, and is seen from
//! both. Deleting a record removes its links, which bringing it back does not bring back.

use serde_json::{Map, Value, json};

use super::super::desk::Desk;
use super::super::records::change::{Hand, not_found};
use super::super::records::kinds::{KINDS, Kind};
use super::super::records::record::Key;
use super::super::records::store::find;
use super::super::records::{answer, key_of, kind_of, path_number};
use super::super::zone::utc_text;
use super::item::{item, reference};
use super::store::{self, Link};
use crate::audit::Field;
use crate::gate::validate::{Body, Check, Length, Problem, echo};
use crate::gate::{ApiError, Call, Code, Outcome};
use crate::store::{Query, Reader, Tx};

/// Links that lead from a record or to it.
pub(in crate::modules) const LINKS_MAX: i64 = 100;
/// Letters of what a link says.
pub(in crate::modules) const LINK_KIND_MAX_CHARS: usize = 64;

/// What a client wants linked.
pub(super) struct Wanted {
    pub(super) from: (&'static Kind, Key),
    pub(super) to: (&'static Kind, Key),
    pub(super) kind: String,
}

/// Makes a link, or answers with the one that is there.
pub(super) fn create(desk: &Desk, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let wanted = read(&call.body)?;
    for (kind, _) in [wanted.from, wanted.to] {
        desk.active(kind.module)?;
    }
    let hand = desk.hand(call);
    let job = move |tx: &mut Tx<'_>| link(tx, &hand, wanted.from, wanted.to, &wanted.kind);
    desk.parts.change(call, job, |link| Ok(answer(&shown(&link))))
}

/// Links two records, unless they are linked so already.
pub(in crate::modules) fn link(
    tx: &mut Tx<'_>,
    hand: &Hand,
    from: (&'static Kind, Key),
    to: (&'static Kind, Key),
    kind: &str,
) -> Result<Link, ApiError> {
    for (kind, key) in [from, to] {
        if find(tx, key)?.is_none() {
            return Err(not_found(kind));
        }
    }
    if let Some(link) = store::link_between(tx, from.1, to.1, kind)? {
        return Ok(link);
    }
    for (end, (_, key)) in [("from", from), ("to", to)] {
        if !has_room(tx, key)? {
            return Err(invalid(end, too_many(), &reference(key)));
        }
    }
    let now = tx.now();
    let link = store::add_link(tx, from.1, to.1, kind, now)?;
    hand.note(tx, "record.linked", format_args!("links/{}", link.id), &[("kind", Field::Text(kind))])?;
    Ok(link)
}

/// Whether a record may have one more link.
pub(super) fn has_room(query: &impl Query, key: Key) -> Result<bool, ApiError> {
    Ok(store::count_links(query, key)? < LINKS_MAX)
}

/// What is said where it may not.
pub(super) fn too_many() -> String {
    format!("A record has at most {LINKS_MAX} links")
}

/// Gives the links of a record, with what is at their other ends.
pub(super) fn list(desk: &Desk, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let kind = kind_of(desk, call)?;
    let key = key_of(call, kind)?;
    let active = desk.active_modules();
    let fetch = move |reader: &Reader| {
        find(reader, key)?.ok_or_else(|| not_found(kind))?;
        let mut links = Vec::new();
        for link in store::links_of(reader, key)? {
            let (direction, other) = if link.from == key { ("out", link.to) } else { ("in", link.from) };
            let Some(listed) = store::listed(reader, other)? else { continue };
            let Some(item) = item(&listed)?.filter(|item| active.contains(&item.module)) else { continue };
            links.push(json!({
                "id": link.id, "kind": link.kind, "direction": direction, "time": utc_text(link.created_at),
                "record": item.members(),
            }));
        }
        Ok(json!({ "links": links }))
    };
    desk.parts.read(call, fetch, |links| Ok(answer(&links)))
}

/// Removes a link.
pub(super) fn delete(desk: &Desk, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let id = path_number(call.param("id"), "link_id")?;
    let hand = desk.hand(call);
    let job = move |tx: &mut Tx<'_>| {
        let found = id.map(|id| store::link(tx, id)).transpose()?.flatten();
        let link = found.ok_or_else(|| ApiError::new(Code::NotFound, "Link not found"))?;
        store::remove_link(tx, link.id)?;
        hand.note(tx, "record.unlinked", format_args!("links/{}", link.id), &[("kind", Field::Text(&link.kind))])
    };
    desk.parts.change(call, job, |()| Ok(answer(&json!({ "message": "Link deleted successfully" }))))
}

/// A link as an answer.
fn shown(link: &Link) -> Value {
    let Link { id, from, to, kind, created_at } = link;
    json!({ "id": id, "from": reference(*from), "to": reference(*to), "kind": kind, "time": utc_text(*created_at) })
}

/// What a body wants linked.
fn read(body: &Body) -> Result<Wanted, ApiError> {
    let mut check = Check::new();
    let sent = check.object(body);
    let kind = check.text(sent, "kind", Length::between(1, LINK_KIND_MAX_CHARS));
    check.done()?;
    let sent = sent.ok_or_else(|| ApiError::internal("a body that is not an object passed validation"))?;
    let (from, to) = (end(sent, "from")?, end(sent, "to")?);
    if from.1 == to.1 {
        return Err(invalid("to", "A record is not linked to itself".to_owned(), &reference(to.1)));
    }
    Ok(Wanted { from, to, kind })
}

/// One end of a link: the record that it names, whether it is there or not.
pub(super) fn end(sent: &Map<String, Value>, name: &'static str) -> Result<(&'static Kind, Key), ApiError> {
    let value = sent.get(name).unwrap_or(&Value::Null);
    let module = value.get("module").and_then(Value::as_str).unwrap_or_default();
    let Some(kind) = Kind::of_module(module) else {
        let known: Vec<&str> = KINDS.iter().map(|kind| kind.module).collect();
        return Err(invalid(name, format!("module should be one of {}", known.join(", ")), value));
    };
    let Some(id) = value.get("id").and_then(Value::as_i64) else {
        return Err(invalid(name, "id should be a whole number".to_owned(), value));
    };
    // One beyond all numbers is that of no record.
    let key = Key::of(kind, id).ok_or_else(|| not_found(kind))?;
    Ok((kind, key))
}

fn invalid(end: &'static str, msg: String, input: &Value) -> ApiError {
    let (loc, ctx) = (vec!["body".into(), end.into()], Some(json!({ "error": msg })));
    ApiError::invalid(&[Problem { kind: "value_error", loc, msg, input: echo(input), ctx, hint: "" }])
}
