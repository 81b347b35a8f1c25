//! Rooms of a server that runs, as its private plane shows them to the verbs.

use std::io::{self, Read as _};
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::name::RoomName;
use super::options::DOCUMENT_MAX_BYTES;
use super::owners::PAGE_MAX_ROOMS;
use super::update::Update;
use crate::net::Endpoint;
use crate::net::client::{Answer, Ask, AskError};
use crate::plane::{self, PROCESS_HEADER};
use crate::settings::Settings;
use crate::text::visible;

/// How long a server may take for what it is asked: a large room may have to be loaded first.
const ROOMS_PATIENCE: Duration = Duration::from_secs(600);
/// A page of the list, or what was wrong, is not read any further.
const ROOMS_ANSWER_MAX_BYTES: u64 = 16 * 1024 * 1024;
/// Nor is a document. One has what its structs take when they are not merged, too.
const EXPORT_MAX_BYTES: u64 = 2 * DOCUMENT_MAX_BYTES as u64;

/// Why a server did not do it.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotDone {
    #[error(
        "process {pid} has the database open, and its private plane, which would do it, is off; set OPS_ADDR for both the \
         server and this verb, or stop the server first"
    )]
    NoPlane { pid: String },
    #[error(
        "process {pid} has the database open, and its private plane does not answer: {error}; see that OPS_ADDR is what the \
         server was started with, or stop the server first"
    )]
    Silent { pid: String, error: AskError },
    #[error("the answer of {from} broke off: {error}; nothing was kept")]
    Broken { from: Endpoint, error: io::Error },
    #[error("the server refused: {code}: {message}{}", hint(*.status))]
    Refused { status: u16, code: String, message: String },
    #[error("what {from} sends is not what was asked for: {why}")]
    Strange { from: Endpoint, why: String },
}

fn hint(status: u16) -> &'static str {
    match status {
        401 => "; set OPS_TOKEN to that of the server",
        412 => "; set OPS_ADDR to that of the server which has it",
        _ => "",
    }
}

/// The server that has the database open.
pub(super) struct Server<'a> {
    settings: &'a Settings,
    plane: &'a Endpoint,
    pid: String,
}

impl<'a> Server<'a> {
    /// The process of this number, by its private plane.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn of(settings: &'a Settings, pid: String) -> Result<Self, NotDone> {
        match plane::client::place(settings) {
            Some(plane) => Ok(Self { settings, plane, pid }),
            None => Err(NotDone::NoPlane { pid }),
        }
    }

    /// Shows `see` all rooms by name, a page at a time.
    ///
    /// # Errors
    /// Why there is no whole list.
    pub(super) fn list(&self, mut see: impl FnMut(Vec<Value>)) -> Result<(), NotDone> {
        let mut after = String::new();
        loop {
            let target = format!("/rooms?limit={PAGE_MAX_ROOMS}&after={}", escaped(&after));
            let text = self.text(self.done(self.ask("GET", &target, b"")?)?)?;
            let mut page: Value = serde_json::from_str(&text).map_err(|error| self.strange(error.to_string()))?;
            let Value::Array(rooms) = page["rooms"].take() else {
                return Err(self.strange("it lists no rooms".to_owned()));
            };
            see(rooms);
            match page["next"].take() {
                Value::Null => return Ok(()),
                // It has to come to an end, whoever answers.
                Value::String(next) if next > after => after = next,
                next => return Err(self.strange(format!("the next page begins behind {next}"))),
            }
        }
    }

    /// The document of a room as one update; nothing if there is no such room.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn export(&self, name: &RoomName) -> Result<Option<Vec<u8>>, NotDone> {
        let Some(answer) = self.found(self.ask("GET", &document(name), b"")?)? else { return Ok(None) };
        let mut bytes = Vec::new();
        answer.take(EXPORT_MAX_BYTES).read_to_end(&mut bytes).map_err(|error| self.broken(error))?;
        match Update::parse(&bytes) {
            Ok(_) => Ok(Some(bytes)),
            Err(refused) => Err(self.strange(refused.to_string())),
        }
    }

    /// Has it merge an update into a room. The number of the room's last update.
    ///
    /// # Errors
    /// Why nothing was merged.
    pub(super) fn import(&self, name: &RoomName, update: &[u8]) -> Result<i64, NotDone> {
        let text = self.text(self.done(self.ask("PUT", &document(name), update)?)?)?;
        let said: Value = serde_json::from_str(&text).unwrap_or_default();
        said["seq"].as_i64().ok_or_else(|| self.strange(visible(&text).into_owned()))
    }

    /// Has it delete a room. Whether there was one.
    ///
    /// # Errors
    /// Why nothing was deleted.
    pub(super) fn delete(&self, name: &RoomName) -> Result<bool, NotDone> {
        let target = format!("/rooms/{}", escaped(name.as_str()));
        Ok(self.found(self.ask("DELETE", &target, b"")?)?.is_some())
    }

    fn ask(&self, method: &str, target: &str, body: &[u8]) -> Result<Answer, NotDone> {
        // At the address may be the server of another database. A process that has not told its number cannot be told from it.
        let process = self.pid.parse::<u32>().is_ok().then_some((PROCESS_HEADER, self.pid.as_str()));
        let headers: Vec<_> = process.into_iter().collect();
        let ask = Ask { method, target, headers: &headers, body };
        plane::client::ask(ask, self.plane, self.settings, ROOMS_PATIENCE)
            .map_err(|error| NotDone::Silent { pid: self.pid.clone(), error })
    }

    /// An answer that says yes, or nothing if there is no such room.
    fn found(&self, answer: Answer) -> Result<Option<Answer>, NotDone> {
        match answer.status {
            200..=299 => Ok(Some(answer)),
            status => {
                let refused = self.refused(status, answer);
                let is_absent = matches!(&refused, NotDone::Refused { code, message, .. }
                    if code == "not_found" && message == super::owners::NO_SUCH_ROOM);
                if is_absent { Ok(None) } else { Err(refused) }
            }
        }
    }

    fn done(&self, answer: Answer) -> Result<Answer, NotDone> {
        match answer.status {
            200..=299 => Ok(answer),
            status => Err(self.refused(status, answer)),
        }
    }

    fn refused(&self, status: u16, answer: Answer) -> NotDone {
        let text = match self.text(answer) {
            Ok(text) => text,
            Err(broken) => return broken,
        };
        let error: Value = serde_json::from_str(&text).unwrap_or_default();
        let part = |name: &str| error["error"][name].as_str().map(|text| visible(text).into_owned());
        let code = part("code").unwrap_or_else(|| status.to_string());
        NotDone::Refused { status, code, message: part("message").unwrap_or_else(|| "it does not say why".to_owned()) }
    }

    fn text(&self, answer: Answer) -> Result<String, NotDone> {
        answer.text(ROOMS_ANSWER_MAX_BYTES).map_err(|error| self.broken(error))
    }

    fn broken(&self, error: io::Error) -> NotDone {
        NotDone::Broken { from: self.plane.clone(), error }
    }

    fn strange(&self, why: String) -> NotDone {
        NotDone::Strange { from: self.plane.clone(), why }
    }
}

fn document(name: &RoomName) -> String {
    format!("/rooms/{}/update", escaped(name.as_str()))
}

/// A name as a part of a path or a query: a slash in it, too, is part of the name.
fn escaped(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}
