//! The errors that only the modules answer.

use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, StatusCode};

use crate::gate::{ApiError, Code, CodeRow};

/// A module was shut down.
pub(crate) static INACTIVE: CodeRow = CodeRow::new("module_inactive", &[StatusCode::SERVICE_UNAVAILABLE])
    .after(Code::StorageReadonly)
    .meaning(
        "the module was shut down by `POST /api/v1/modules/{id}/shutdown`",
        "wait until it is initialized again, or initialize it",
    )
    .operator("`POST /api/v1/modules/{id}/initialize` or a restart brings it back");

/// The chat is switched off.
pub(crate) static CHAT_UNAVAILABLE: CodeRow = CodeRow::new("chat_unavailable", &[StatusCode::SERVICE_UNAVAILABLE])
    .after(Code::Of(&INACTIVE))
    .meaning("the modules' chat is turned off", "read records and search instead")
    .operator("set `CHAT_ENABLED=true`; it needs no key of another service, despite what `detail` says");

/// Nobody has shown that they belong to the household.
pub(crate) static SESSION_REQUIRED: CodeRow = CodeRow::new("session_required", &[StatusCode::UNAUTHORIZED])
    .after(Code::HttpError)
    .meaning(
        "the modules require a session of the household, and the request has no valid one",
        "send the password to `POST /api/session`, and then the cookie, or `Authorization: Bearer` with the token of \
         the response",
    )
    .operator("`HOUSEHOLD_PASSWORD`; in production the modules are closed until it is set");

/// The password is another one.
pub(crate) static WRONG_PASSWORD: CodeRow =
    CodeRow::new("wrong_password", &[StatusCode::UNAUTHORIZED]).after(Code::HttpError).meaning(
        "the password sent to `POST /api/session` is wrong",
        "ask for the right one; ten wrong ones block the address for 15 minutes",
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
