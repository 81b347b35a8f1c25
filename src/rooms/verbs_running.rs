//! Rooms of a server that runs, as its private plane shows them to the verbs.

use std::io::Read as _;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::name::RoomName;
use super::options::DOCUMENT_MAX_BYTES;
use super::owners::{PAGE_MAX_ROOMS, QUARANTINE_HEADER};
use super::update::Update;
use crate::net::client::Answer;
use crate::plane::door::{NotDone, Server};
use crate::text::visible;

/// The document of a room as one update.
pub(super) struct Export {
    pub(super) bytes: Vec<u8>,
    /// Where the room is damaged, if it is: only what is before that is there.
    pub(super) damage: Option<String>,
}

/// A document is not read any further. One has what its structs take when they are not merged, too.
const EXPORT_MAX_BYTES: u64 = 2 * DOCUMENT_MAX_BYTES as u64;

/// The rooms of the server that has the database open.
pub(super) struct Rooms<'a>(pub(super) Server<'a>);

impl Rooms<'_> {
    /// Shows `see` all rooms by name, a page at a time.
    ///
    /// # Errors
    /// Why there is no whole list.
    pub(super) fn list(&self, mut see: impl FnMut(Vec<Value>)) -> Result<(), NotDone> {
        let mut after = String::new();
        loop {
            let target = format!("/rooms?limit={PAGE_MAX_ROOMS}&after={}", escaped(&after));
            let mut page = self.0.said("GET", &target, b"")?;
            let Value::Array(rooms) = page["rooms"].take() else {
                return Err(self.0.strange("it lists no rooms".to_owned()));
            };
            see(rooms);
            match page["next"].take() {
                Value::Null => return Ok(()),
                // It has to come to an end, whoever answers.
                Value::String(next) if next > after => after = next,
                next => return Err(self.0.strange(format!("the next page begins behind {next}"))),
            }
        }
    }

    /// The document of a room; nothing if there is no such room.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn export(&self, name: &RoomName) -> Result<Option<Export>, NotDone> {
        let Some(answer) = self.found(self.0.ask("GET", &document(name), b"")?)? else { return Ok(None) };
        let damage = answer.header(QUARANTINE_HEADER.as_str()).map(str::to_owned);
        let mut bytes = Vec::new();
        answer.take(EXPORT_MAX_BYTES).read_to_end(&mut bytes).map_err(|error| self.0.broken(error))?;
        match Update::parse(&bytes) {
            Ok(_) => Ok(Some(Export { bytes, damage })),
            Err(refused) => Err(self.0.strange(refused.to_string())),
        }
    }

    /// Has it merge an update into a room. The number of the room's last update.
    ///
    /// # Errors
    /// Why nothing was merged.
    pub(super) fn import(&self, name: &RoomName, update: &[u8]) -> Result<i64, NotDone> {
        let said = self.0.said("PUT", &document(name), update)?;
        said["seq"].as_i64().ok_or_else(|| self.0.strange(visible(&said.to_string()).into_owned()))
    }

    /// Has it delete a room. Whether there was one.
    ///
    /// # Errors
    /// Why nothing was deleted.
    pub(super) fn delete(&self, name: &RoomName) -> Result<bool, NotDone> {
        let target = format!("/rooms/{}", escaped(name.as_str()));
        Ok(self.found(self.0.ask("DELETE", &target, b"")?)?.is_some())
    }

    /// An answer that says yes, or nothing if there is no such room.
    fn found(&self, answer: Answer) -> Result<Option<Answer>, NotDone> {
        match answer.status {
            200..=299 => Ok(Some(answer)),
            status => {
                let refused = self.0.refused(status, answer);
                let is_absent = matches!(&refused, NotDone::Refused { code, message, .. }
                    if code == "not_found" && message == super::owners::NO_SUCH_ROOM);
                if is_absent { Ok(None) } else { Err(refused) }
            }
        }
    }
}

fn document(name: &RoomName) -> String {
    format!("/rooms/{}/update", escaped(name.as_str()))
}

/// A name as a part of a path or a query: a slash in it, too, is part of the name.
fn escaped(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}
