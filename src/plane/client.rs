//! The other end: a verb that asks the private plane of a server on this machine.

use std::time::Duration;

use super::options::{LISTEN, TOKEN};
use crate::net::Endpoint;
use crate::net::client::{Answer, Ask, AskError, Remote};
use crate::settings::Settings;

/// Where the private plane of these settings is, if there is one.
pub fn place(settings: &Settings) -> Option<&Endpoint> {
    settings.endpoint(&LISTEN)
}

/// Asks a private plane as somebody who has the token of these settings.
///
/// # Errors
/// When there is no answer.
pub fn ask(ask: Ask<'_>, to: &Endpoint, settings: &Settings, patience: Duration) -> Result<Answer, AskError> {
    let token = settings.secret(&TOKEN);
    let bearer = token.map(|token| format!("Bearer {}", String::from_utf8_lossy(token.bytes())));
    let mut headers = ask.headers.to_vec();
    headers.extend(bearer.iter().map(|bearer| ("Authorization", bearer.as_str())));
    Ask { headers: &headers, ..ask }.send(&Remote::at(to.from_here()), patience)
}
