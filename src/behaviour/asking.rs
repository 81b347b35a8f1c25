//! Has the server do something that writes the files: a verb asks it over its private plane.

use std::time::Duration;

use serde_json::Value;

use crate::plane::door::{NotDone, Server};
use crate::settings::Settings;

/// How long a server may take for it: files may have to be compressed first.
const ASK_PATIENCE: Duration = Duration::from_secs(3600);

/// Asks the process of this number, which writes the file.
pub(super) fn ask(target: &str, body: &[u8], settings: &Settings, pid: String, file: &str) -> Result<Value, NotDone> {
    Server::of_file(settings, pid, file)?.patiently(ASK_PATIENCE).said("POST", target, body)
}
