//! The operator's routes of backups.

use http::header::CONTENT_DISPOSITION;
use http::{HeaderName, HeaderValue, Method, StatusCode};

use super::error::BackupError;
use super::running::{Backups, Streamed};
use crate::feature::ShardParts;
use crate::gate::{ApiError, Call, Code, Outcome, Route, Routes};
use crate::net::body::ReadSource;
use crate::net::{Body, Response};
use crate::plane;

/// The header in which a backup that is sent has its manifest.
pub(super) const MANIFEST_HEADER: &str = "x-backup-manifest";

/// What is served to the operator.
pub(super) const ROUTES: [Route; 2] = [
    Route::public(&Method::GET, "/backup")
        .without_head()
        .does("Make a backup of the database and send it, without files of the gallery; its manifest is the header `X-Backup-Manifest`"),
    Route::public(&Method::POST, "/backup").does("Make a backup in `BACKUP_DIR`; the response is its manifest"),
];

/// Adds them all.
pub(super) fn add(routes: &mut Routes, parts: &ShardParts, backups: &Backups) {
    let with = |handler: fn(&ShardParts, &Backups, &Call<'_>) -> Result<Outcome, ApiError>| {
        let (parts, backups) = (parts.clone(), backups.clone());
        move |call: &Call<'_>| handler(&parts, &backups, call)
    };
    let [to_send, to_make] = ROUTES;
    routes.add(to_send, with(send));
    routes.add(to_make, with(make));
}

fn make(parts: &ShardParts, backups: &Backups, call: &Call<'_>) -> Result<Outcome, ApiError> {
    plane::meant_for_us(call, "database")?;
    plane::log_request(call, "POST");
    let backups = backups.clone();
    parts.block(
        call,
        move || Ok(backups.now().map_err(refusal)?.manifest),
        |manifest| Ok(Response::json(StatusCode::OK, manifest.to_line().into_bytes())),
    )
}

fn send(parts: &ShardParts, backups: &Backups, call: &Call<'_>) -> Result<Outcome, ApiError> {
    plane::meant_for_us(call, "database")?;
    // A backup is the whole database: that it was taken is to be seen.
    plane::log_request(call, "GET");
    let backups = backups.clone();
    parts.block(
        call,
        move || backups.stream().map_err(refusal),
        |Streamed { file, manifest }| {
            let mut response = Response::empty(StatusCode::OK)
                .with(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"inkring-backup.db\""));
            // JSON that holds anything but ASCII is escaped, so that it can be a header.
            if let Ok(value) = HeaderValue::from_str(&in_ascii(&manifest.to_line())) {
                response = response.with(HeaderName::from_static(MANIFEST_HEADER), value);
            }
            response.content_type = "application/vnd.sqlite3";
            response.body = Body::Source { length: Some(manifest.bytes), source: Box::new(ReadSource(file)) };
            Ok(response)
        },
    )
}

/// What the operator is told of a backup that there is not.
fn refusal(error: BackupError) -> ApiError {
    match error {
        BackupError::UnderWay => {
            ApiError::new(Code::HttpError, "another backup is being made").with_status(StatusCode::CONFLICT)
        }
        error @ BackupError::Taken => {
            ApiError::new(Code::HttpError, error.to_string()).with_status(StatusCode::CONFLICT)
        }
        error => ApiError::new(Code::StorageUnavailable, error.to_string()),
    }
}

/// JSON in ASCII: every other character by its number.
fn in_ascii(json: &str) -> String {
    let mut text = String::new();
    for letter in json.chars() {
        if letter.is_ascii() {
            text.push(letter);
        } else {
            let mut units = [0; 2];
            for unit in letter.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_manifest_fits_a_header_and_reads_back() {
        let manifest = json!({ "path": "/srv/Entwürfe/🖋.db", "bytes": 4096 });
        let text = in_ascii(&manifest.to_string());
        assert!(HeaderValue::from_str(&text).is_ok() && text.is_ascii());
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), manifest);
    }

    #[test]
    fn a_backup_that_is_being_made_is_a_conflict_and_one_that_failed_is_not_there() {
        assert_eq!(refusal(BackupError::UnderWay).status(), StatusCode::CONFLICT);
        let failed = refusal(BackupError::Damaged("page 7".to_owned()));
        assert_eq!(failed.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(failed.message().unwrap().contains("page 7"), "{:?}", failed.message());
    }
}
