//! The error that only events know.

use std::io;

use http::StatusCode;

use crate::gate::{ApiError, Code, CodeRow};

/// What the message begins with, as clients of the original know it (contract 02 §1.1).
const PREFIX: &str = "metrics_sink_write_failed";

pub(crate) static SINK_FAILED: CodeRow = CodeRow::new(PREFIX, &[StatusCode::INTERNAL_SERVER_ERROR])
    .after(Code::StorageReadonly)
    .meaning(
        "the events could not be written to their file; they are only in the snapshot",
        "send them again later, or drop them",
    )
    .operator("`/api/metrics/health` has the reason; see [BEHAVIOUR_METRICS.md](BEHAVIOUR_METRICS.md#when-something-is-wrong)");

/// 500: a write that failed.
pub(super) fn sink_failed(error: &io::Error) -> ApiError {
    ApiError::new(Code::Of(&SINK_FAILED), format!("{PREFIX}: {error}"))
}
