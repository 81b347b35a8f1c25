//! Has the server do something that writes the files: a verb asks it over its private plane.

use std::time::Duration;

use serde_json::Value;

use crate::net::client::{Ask, AskError};
use crate::plane::{self, PROCESS_HEADER};
use crate::settings::Settings;
use crate::text::visible;

/// How long a server may take for it: files may have to be compressed first.
const ASK_PATIENCE: Duration = Duration::from_secs(3600);
/// Its answer is not read any further.
const ASK_ANSWER_MAX_BYTES: u64 = 65_536;

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotDone {
    #[error(
        "process {pid} writes {file}, and its private plane, which would do it, is off; set OPS_ADDR for both the server and \
         this verb, or stop the server first"
    )]
    NoPlane { pid: String, file: String },
    #[error(
        "process {pid} writes {file}, and its private plane does not answer: {error}; see that OPS_ADDR is what the server was \
         started with, or stop the server first"
    )]
    Silent { pid: String, file: String, error: AskError },
    #[error("the server refused: {status} {message}{}", hint(*.status))]
    Refused { status: u16, message: String },
}

fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => "; set OPS_TOKEN to that of the server",
        404 => "; is OPS_ADDR the private plane of an inkring?",
        412 => "; set OPS_ADDR to that of the server which writes it",
        _ => "",
    }
}

/// Asks the process that writes the file.
pub(super) fn ask(target: &str, body: &[u8], settings: &Settings, pid: &str, file: &str) -> Result<Value, NotDone> {
    let (owner, named) = (pid.to_owned(), file.to_owned());
    let Some(to) = plane::client::place(settings) else { return Err(NotDone::NoPlane { pid: owner, file: named }) };
    // At the address may be the server of another file.
    let headers = [(PROCESS_HEADER, pid)];
    let ask = Ask { method: "POST", headers: &headers, body, ..Ask::get(target) };
    let answered = plane::client::ask(ask, to, settings, ASK_PATIENCE);
    let answer = answered.map_err(|error| NotDone::Silent { pid: owner, file: named, error })?;
    let status = answer.status;
    let text = answer.text(ASK_ANSWER_MAX_BYTES).unwrap_or_default();
    let said: Value = serde_json::from_str(&text).unwrap_or_default();
    if status == 200 {
        return Ok(said);
    }
    let message = said["error"]["message"].as_str().unwrap_or("it does not say why");
    Err(NotDone::Refused { status, message: visible(message).into_owned() })
}
