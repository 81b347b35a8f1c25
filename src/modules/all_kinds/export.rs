//! Everything that the household keeps, as JSON Lines: a header, the records of all kinds as they are answered, and the links
//! (contract 04 §5.2). It is read page by page as its client takes it, so that memory does not grow with it; what is changed
//! meanwhile is in it or not.

use http::HeaderValue;
use http::header::CONTENT_DISPOSITION;
use serde_json::{Map, Value, json};

use super::super::desk::Desk;
use super::super::records::kinds::KINDS;
use super::super::records::record::{CANON, Key};
use super::super::records::store::{counts, find};
use super::super::zone::utc_text;
use super::line::FORMAT_VERSION;
use super::store::{self, Link};
use crate::clock::Timestamp;
use crate::gate::{ApiError, Call, Outcome};
use crate::net::Response;
use crate::net::body::PIECE_BYTES;
use crate::store::{Error, Reader};

/// JSON Lines have no type that is registered; this is the one that is used.
pub(super) const JSON_LINES: &str = "application/x-ndjson";
const NAME: HeaderValue = HeaderValue::from_static("attachment; filename=\"household.jsonl\"");

/// What comes next.
enum Next {
    Header(Timestamp),
    /// The records behind this key.
    Records(Key),
    /// The links behind this one, or from the first on.
    Links(Option<Link>),
}

/// Answers with everything, or with nothing while a module is shut down: what is missing in an export, nobody would miss before
/// it is needed.
pub(super) fn give(desk: &Desk, call: &Call<'_>) -> Result<Outcome, ApiError> {
    for kind in &KINDS {
        desk.active(kind.module)?;
    }
    let mut next = Some(Next::Header(call.clock.now()));
    let made = desk.parts.made(move |reader, out| {
        next = match next.take() {
            Some(place) => piece(reader, place, out)?,
            None => None,
        };
        Ok(next.is_some())
    });
    Ok(Outcome::Now(Response { content_type: JSON_LINES, ..made }.with(CONTENT_DISPOSITION, NAME)))
}

/// Appends about a piece, and says what comes behind it.
fn piece(reader: &Reader, next: Next, out: &mut Vec<u8>) -> Result<Option<Next>, Error> {
    match next {
        Next::Header(at) => {
            line(out, &header(reader, at)?);
            Ok(Some(Next::Records(Key(0))))
        }
        Next::Records(after) => {
            let mut last = None;
            store::records_after(reader, after, |key, json| {
                out.extend_from_slice(json.as_bytes());
                out.push(b'\n');
                last = Some(key);
                Ok(out.len() < PIECE_BYTES)
            })?;
            Ok(Some(last.map_or(Next::Links(None), Next::Records)))
        }
        Next::Links(mut last) => {
            let links = store::links_after(reader, last.as_ref())?;
            let is_end = links.is_empty();
            for link in links {
                // One of which an end was deleted since is no link any more.
                if let (Some(from), Some(to)) = (end(reader, link.from)?, end(reader, link.to)?) {
                    let time = utc_text(link.created_at);
                    line(out, &json!({ "link": { "from": from, "to": to, "kind": link.kind, "time": time } }));
                }
                last = Some(link);
            }
            Ok((!is_end).then_some(Next::Links(last)))
        }
    }
}

fn line(out: &mut Vec<u8>, value: &Value) {
    out.extend_from_slice(value.to_string().as_bytes());
    out.push(b'\n');
}

/// The first line: what this is, of when, and how much there was.
fn header(reader: &Reader, at: Timestamp) -> Result<Value, Error> {
    let mut counted = Map::new();
    for kind in &KINDS {
        counted.insert(kind.module.to_owned(), counts(reader, kind)?.records.into());
    }
    counted.insert("links".to_owned(), store::links_counted(reader)?.into());
    let (version, time) = (FORMAT_VERSION, utc_text(at));
    Ok(json!({ "export": { "version": version, "time": time, "counts": counted, "canon_bundle_id": CANON } }))
}

/// A record at an end of a link. With its time it is known in another household, too, where it may have another id.
fn end(reader: &Reader, key: Key) -> Result<Option<Value>, Error> {
    let Some((kind, stored)) = key.kind().zip(find(reader, key)?) else { return Ok(None) };
    Ok(Some(json!({ "module": kind.module, "id": key.id(), "time": utc_text(stored.created_at) })))
}
