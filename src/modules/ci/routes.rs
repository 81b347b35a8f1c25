//! Captures over HTTP (contract 04 §1.9 and §5.2).

use std::rc::Rc;
use std::time::Duration;

use http::{Method, StatusCode};
use jiff::civil::DateTime;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::desk::Desk;
use super::super::records::answer;
use super::super::records::kinds::Kind;
use super::super::records::record::{Key, RecordContent};
use super::capture::{Moment, listed};
use super::earlier::relatives;
use super::store;
use crate::gate::validate::Check;
use crate::gate::{ApiError, Call, Code, Conditions, Outcome, Route, Routes};
use crate::store::{Reader, Tx};

/// What is served.
pub(in crate::modules) const ROUTES: [Route; 3] = [
    Route::json(&Method::POST, "/api/v1/ci/capture").anyone().does(
        "Capture a moment, and create the records that follow from it; `metadata.url` names a file or page that \
         belongs to it",
    ),
    Route::public(&Method::GET, "/api/v1/ci/captures")
        .does("List captures, newest first (`limit`: default 20, at most 100)"),
    Route::public(&Method::POST, "/api/v1/ci/captures/{event_id}/undo")
        .does("Move the records of a capture to the bin, within a minute of the capture"),
];

/// Captures in one list where nothing is said, and at most.
const PAGE: usize = 20;
pub(in crate::modules) const CAPTURES_PAGE_MAX: usize = 100;
/// How long a capture can be taken back.
const UNDO_WITHIN: Duration = Duration::from_secs(60);

/// Adds them for one shard.
pub(in crate::modules) fn add(desk: &Rc<Desk>, to: &mut Routes) {
    let [capture_route, list_route, undo_route] = ROUTES;
    desk.add(to, capture_route, |desk, call| capture(desk, call));
    desk.add(to, list_route, |desk, call| list(desk, call));
    desk.add(to, undo_route, |desk, call| undo(desk, call));
}

fn capture(desk: &Desk, call: &Call<'_>) -> Result<Outcome, ApiError> {
    desk.active("ci")?;
    let (zone, at) = (desk.shared.zone.clone(), call.clock.now());
    let moment = Moment::read(&call.body, zone.wall(at).unwrap_or(DateTime::MIN))?;
    let id = Uuid::new_v4().to_string();
    let records = moment.records(&format!("ci:{id}"), &zone)?;
    for (kind, _) in &records {
        desk.active(kind.module)?;
    }
    let contents: Vec<(&'static Kind, RecordContent)> =
        records.into_iter().map(|(kind, fields)| (kind, RecordContent::of(kind, fields))).collect();
    let (content, tags, on) = (moment.content().to_owned(), moment.what.tags.clone(), moment.about().date());
    let touched = {
        let zone = zone.clone();
        desk.parts.fetch(move |reader: &Reader| relatives(reader, &content, &tags, on, &zone))?
    };
    let (hand, keeping) = (desk.hand(call), moment.clone());
    let job = move |tx: &mut Tx<'_>| {
        let mut made = Vec::new();
        for (kind, content) in &contents {
            let stored = hand.create(tx, kind, content)?;
            made.push(json!({ "module": kind.module, "id": stored.key.id() }));
        }
        let kept = keeping.kept(&id, at, &made);
        store::add(tx, &kept)?;
        Ok((kept, made))
    };
    desk.parts.change(call, job, move |(kept, made)| Ok(answer(&moment.answer(&kept, &made, &touched, &zone))))
}

fn list(desk: &Desk, call: &Call<'_>) -> Result<Outcome, ApiError> {
    desk.active("ci")?;
    let mut check = Check::new();
    let asked = check.query_number(call.query_value("limit"), "limit", 1..=i64::MAX);
    check.done()?;
    let most = asked.map_or(PAGE, |most| usize::try_from(most).unwrap_or(CAPTURES_PAGE_MAX).min(CAPTURES_PAGE_MAX));
    let zone = desk.shared.zone.clone();
    let fetch = move |reader: &Reader| Ok(store::newest(reader, most)?);
    desk.parts.read(call, fetch, move |captures| {
        Ok(answer(&captures.iter().map(|capture| listed(capture, &zone)).collect::<Vec<Value>>().into()))
    })
}

fn undo(desk: &Desk, call: &Call<'_>) -> Result<Outcome, ApiError> {
    desk.active("ci")?;
    let unknown = || ApiError::new(Code::NotFound, "Capture not found");
    let id = Uuid::parse_str(call.param("event_id")).map_err(|_| unknown())?.to_string();
    let hand = desk.hand(call);
    let job = move |tx: &mut Tx<'_>| {
        let capture = store::find(tx, &id)?.ok_or_else(unknown)?;
        let records: Vec<Value> = serde_json::from_str(&capture.records)
            .map_err(|error| ApiError::internal(format!("the capture {id} cannot be read: {error}")).marked_damage())?;
        if !capture.undone {
            if tx.now().ahead_of(capture.captured_at) > UNDO_WITHIN {
                let said = "A capture can be undone within a minute; delete its records instead";
                return Err(ApiError::new(Code::HttpError, said).with_status(StatusCode::CONFLICT));
            }
            for record in &records {
                let kind = record["module"].as_str().and_then(Kind::of_module);
                let Some(kind) = kind else { continue };
                let Some(key) = record["id"].as_i64().and_then(|id| Key::of(kind, id)) else { continue };
                match hand.delete(tx, kind, key, &Conditions::default()) {
                    // Somebody has deleted it already.
                    Err(error) if error.status() == StatusCode::NOT_FOUND => {}
                    done => done?,
                }
            }
            store::undo(tx, &id)?;
        }
        Ok(json!({ "event_id": id, "undone": true, "records": records }))
    };
    desk.parts.change(call, job, |said| Ok(answer(&said)))
}
