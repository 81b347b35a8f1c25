//! The errors that only the modules answer.

use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, StatusCode};

use crate::gate::{ApiError, Code, CodeRow};

/// A module was shut down.
pub(crate) static INACTIVE: CodeRow = CodeRow::new("module_inactive", &[StatusCode::SERVICE_UNAVAILABLE])
    .after(Code::StorageReadonly)
    .meaning(
        "the module was shut down by `POST /api/v1/modules/{id}/shutdown`",
        "wait until it is initialized again, or do so",
    )
    .operator("`POST /api/v1/modules/{id}/initialize` brings it back; a restart does, too");

/// The chat is switched off.
pub(crate) static CHAT_UNAVAILABLE: CodeRow = CodeRow::new("chat_unavailable", &[StatusCode::SERVICE_UNAVAILABLE])
    .after(Code::Of(&INACTIVE))
    .meaning("the chat of the modules is switched off", "ask for records and search instead")
    .operator("`CHAT_ENABLED=true` brings it back; no key of another service is needed, whatever `detail` says");

/// Nobody has shown that they belong to the household.
pub(crate) static SESSION_REQUIRED: CodeRow = CodeRow::new("session_required", &[StatusCode::UNAUTHORIZED])
    .after(Code::HttpError)
    .meaning(
        "the modules ask for a session of the household, and none was shown that is good",
        "give the password at `POST /api/session`, and send the cookie or `Authorization: Bearer` with the token of the answer",
    )
    .operator("`HOUSEHOLD_PASSWORD`; in production nobody comes in while it is not set");

/// The password is another one.
pub(crate) static WRONG_PASSWORD: CodeRow =
    CodeRow::new("wrong_password", &[StatusCode::UNAUTHORIZED]).after(Code::HttpError).meaning(
        "the password given at `POST /api/session` is not the household's",
        "ask for it; ten wrong ones close the door for a quarter of an hour",
    );

pub(super) const CODES: &[&CodeRow] = &[&INACTIVE, &CHAT_UNAVAILABLE, &SESSION_REQUIRED, &WRONG_PASSWORD];

/// 401: a session is needed.
pub(super) fn session_required(says: &str) -> ApiError {
    ApiError::new(Code::Of(&SESSION_REQUIRED), says).with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

/// 503 in the contract's words.
pub(super) fn inactive(module: &str) -> ApiError {
    ApiError::new(Code::Of(&INACTIVE), format!("Module '{module}' is inactive"))
}
