//! The errors that only the modules answer.

use http::StatusCode;

use crate::gate::{ApiError, Code, CodeRow};

/// A module was shut down.
pub(crate) static INACTIVE: CodeRow = CodeRow::new("module_inactive", &[StatusCode::SERVICE_UNAVAILABLE])
    .after(Code::StorageReadonly)
    .meaning(
        "the module was shut down by `POST /api/v1/modules/{id}/shutdown`",
        "wait until it is initialized again, or do so",
    )
    .operator("`POST /api/v1/modules/{id}/initialize` brings it back; a restart does, too");

pub(super) const CODES: &[&CodeRow] = &[&INACTIVE];

/// 503 in the contract's words.
pub(super) fn inactive(module: &str) -> ApiError {
    ApiError::new(Code::Of(&INACTIVE), format!("Module '{module}' is inactive"))
}
