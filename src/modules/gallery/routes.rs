//! The gallery over HTTP: uploads, and the files themselves.

use std::rc::Rc;
use std::sync::Arc;

use http::{Method, StatusCode};

use super::super::all_kinds::purged;
use super::super::desk::Desk;
use super::super::options::GALLERY_MOST_BYTES;
use super::super::records::change::fields_of;
use super::super::records::kinds::Kind as RecordKind;
use super::super::records::read::{self, Fields};
use super::super::records::record::RecordContent;
use super::super::records::shown;
use super::super::records::store::{Stored, find};
use super::claims::is_named;
use super::item::{self, Described, address};
use super::keeper::{Awaiting, Gallery};
use super::kind::Kind;
use super::serving::{Serving, shown_name};
use super::shelf::{Name, Part};
use super::store::naming;
use super::upload::{FIELDS_MAX_BYTES, Form, Then, Upload, Uploaded};
use crate::feature::hand_in;
use crate::gate::headers::ASSET;
use crate::gate::validate::Body;
use crate::gate::{ApiError, Call, Code, Conditions, Content, Outcome, Route, Routes};
use crate::net::Response;
use crate::store::{Reader, Tx};

/// What a form may have around its file: its fields, and the heads of its parts.
const FORM_MAX_BYTES: usize = FIELDS_MAX_BYTES + 1024 * 1024;
/// Records of one file that are looked at to find the one that the same upload made before.
pub(in crate::modules) const SAME_MAX_RECORDS: usize = 20;

/// What is served.
pub(in crate::modules) const ROUTES: [Route; 3] = [
    Route::public(&Method::POST, "/api/v1/gallery/upload").streaming(GALLERY_MOST_BYTES + FORM_MAX_BYTES).does(
        "Upload a file and create its record: the part `file` of a form, or the body with its `name` in the \
             query; also `title`, `description`, `tags`, `taken_at` and `source_trace`",
    ),
    Route::public(&Method::GET, "/media/{name}").carrying(&ASSET).does(
        "Serve a gallery file that a record names, whole or in part; with `size=small` or `size=large`, its \
         thumbnail",
    ),
    Route::public(&Method::DELETE, "/api/v1/bin/gallery/{id}")
        .does("Remove a gallery item permanently, with its file if no other record uses it"),
];

/// Adds them for one shard.
pub(in crate::modules) fn add(desk: &Rc<Desk>, gallery: &Arc<Gallery>, to: &mut Routes) {
    let [upload_route, media_route, purge_route] = ROUTES;
    let (uploads, files, purged) = (Arc::clone(gallery), Arc::clone(gallery), Arc::clone(gallery));
    desk.add(to, upload_route, move |desk, call| upload(desk, &uploads, call));
    desk.add_file(to, media_route, move |desk, call| media(desk, &files, call));
    desk.add(to, purge_route, move |desk, call| purge(desk, &purged, call));
}

/// Takes a file and makes its record. The same upload again is the same record, so that one whose answer was lost may be tried
/// again; the same file with other words is another record of it.
fn upload(desk: &Rc<Desk>, gallery: &Arc<Gallery>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    desk.active("gallery")?;
    let kind = RecordKind::of_module("gallery").ok_or_else(|| ApiError::internal("there is no kind of items"))?;
    let header = |name: &str| call.headers.get(name).and_then(|value| std::str::from_utf8(value).ok());
    let announced: u64 = header("content-length").and_then(|length| length.trim().parse().ok()).unwrap_or_default();
    if announced > gallery.most + FORM_MAX_BYTES as u64 {
        let message = format!("The file is over the limit of {} bytes", gallery.most);
        return Err(ApiError::new(Code::PayloadTooLarge, message));
    }
    let name = call.query_value("name").unwrap_or_default();
    let form = Form::of(header("content-type").unwrap_or_default(), &name)?;
    let said: Vec<(String, String)> = form_urlencoded::parse(call.query.as_bytes()).into_owned().collect();
    let (hand, zone, writer) = (desk.hand(call), desk.shared.zone.clone(), desk.parts.writer.clone());
    let (shelf, most, keeper) = (Arc::clone(&gallery.shelf), gallery.most, Arc::clone(gallery));
    let counters = desk.shared.counters.clone();
    let then: Then<(Stored, u64, Arc<Awaiting>)> = Box::new(move |uploaded, reply| {
        let (body, at) = (Described::of(&uploaded, &said).body(), address(&uploaded.held.name));
        let Uploaded { held, bytes, .. } = uploaded;
        let awaiting = keeper.awaiting(held);
        let fields = match read::create(kind, &Body::Json(body), &zone) {
            Ok(fields) => fields,
            Err(error) => return reply.done(Err(error)),
        };
        let content = RecordContent::of(kind, fields);
        hand_in(&writer, reply, move |tx: &mut Tx<'_>| {
            let stored = match same(tx, kind, &at, &content.fields)? {
                Some(stored) => stored,
                None => hand.create(tx, kind, &content)?,
            };
            Ok((stored, bytes, Arc::clone(&awaiting)))
        });
    });
    let open = move || Ok(Upload::new(shelf, form, most, then));
    Ok(desk.parts.receive(call, open, move |(stored, bytes, awaiting)| {
        awaiting.recorded();
        counters.upload(bytes);
        shown(stored)
    }))
}

/// Removes an item from the bin for good. Its files go at once, unless another record has them.
fn purge(desk: &Desk, gallery: &Arc<Gallery>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let kind = RecordKind::of_module("gallery").ok_or_else(|| ApiError::internal("there is no kind of items"))?;
    let gallery = Arc::clone(gallery);
    purged(desk, call, kind, move |gone| item::named(&gone.json).for_each(|name| gallery.remove_soon(name)))
}

/// The record of a file that says the same.
fn same(tx: &Tx<'_>, kind: &RecordKind, address: &str, fields: &Fields) -> Result<Option<Stored>, ApiError> {
    for key in naming(tx, "url", address, SAME_MAX_RECORDS)? {
        let Some(stored) = find(tx, key)? else { continue };
        let old = fields_of(&stored)?;
        if kind.all_fields().all(|field| old.get(field.name) == fields.get(field.name)) {
            return Ok(Some(stored));
        }
    }
    Ok(None)
}

/// Gives a file that a record names. What is in the bin is not shown.
fn media(desk: &Rc<Desk>, gallery: &Arc<Gallery>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    desk.active("gallery")?;
    let name = Name::parse(call.param("name")).ok_or_else(no_file)?;
    let thumbnail = match call.query_value("size").as_deref() {
        None => None,
        Some("small") => Some(Part::Small),
        Some("large") => Some(Part::Large),
        Some(_) => return Err(no_file()),
    };
    let sent_as = desk.parts.fetch(move |reader: &Reader| sent_as(reader, &name))?.ok_or_else(no_file)?;
    let kind = if thumbnail.is_some() { Kind::named("image/jpeg") } else { name.kind };
    let Serving { content_type, cache, headers } = Serving::of(kind, &shown_name(&sent_as, name.kind));
    let (gallery, conditions) = (Arc::clone(gallery), Conditions::of(call));
    let open = move || {
        let part = thumbnail.unwrap_or_else(|| gallery.served(&name));
        Content::open(&gallery.shelf.path(&name, part), content_type, cache)
    };
    desk.parts.block(call, open, move |content: Content| {
        let response: Response = content.answer(&conditions)?;
        Ok(headers.into_iter().fold(response, |response, (name, value)| response.with(name, value)))
    })
}

/// The name that a file was sent under, as the first record says of which it is the file; empty where none says so. Nothing if none
/// names it at all.
fn sent_as(reader: &Reader, name: &Name) -> Result<Option<String>, ApiError> {
    for key in naming(reader, "url", &address(name), 1)? {
        if let Some(stored) = find(reader, key)? {
            return Ok(Some(item::shown(&stored.json).unwrap_or_default()));
        }
    }
    Ok(is_named(reader, name)?.then(String::new))
}

fn no_file() -> ApiError {
    ApiError::new(Code::NotFound, "There is no such file").with_status(StatusCode::NOT_FOUND)
}

#[cfg(test)]
mod tests {
    use super::super::super::MIGRATIONS;
    use super::super::super::records::record::Key;
    use super::*;
    use crate::clock::Timestamp;
    use crate::store::testing::House;

    #[test]
    fn so_many_records_of_a_file_are_looked_at() {
        let house = House::at(Timestamp(0), MIGRATIONS);
        let kind = RecordKind::of_module("gallery").unwrap();
        let fields = |title: usize| -> Fields {
            kind.all_fields()
                .map(|field| {
                    let value = if field.name == "title" { title.to_string().into() } else { field.default() };
                    (field.name.to_owned(), value)
                })
                .collect()
        };
        house.write(move |tx| {
            for id in 1..=SAME_MAX_RECORDS + 1 {
                let (key, json) = (Key::of(kind, id as i64).unwrap().0, serde_json::Value::Object(fields(id)).to_string());
                let sql = "INSERT INTO records (key, json, moment, created_at, updated_at, revision) VALUES (?1, ?2, 0, 0, 0, 1)";
                tx.run(sql, &[key.into(), (&json).into()]).unwrap();
                let sql = "INSERT INTO record_facts (name, value, key) VALUES ('url', '/media/a.jpg', ?1)";
                tx.run(sql, &[key.into()]).unwrap();
            }
            let found = |title| same(tx, kind, "/media/a.jpg", &fields(title)).unwrap().map(|stored| stored.key.id());
            assert_eq!(found(SAME_MAX_RECORDS), Some(SAME_MAX_RECORDS as i64));
            assert_eq!(found(SAME_MAX_RECORDS + 1), None);
            assert_eq!(found(0), None);
        });
    }
}
