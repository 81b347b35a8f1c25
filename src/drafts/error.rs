//! The errors that only drafts answer.

use http::StatusCode;

use crate::gate::{Code, CodeRow};

/// Only the holder of the ring may.
pub(super) static RING_REQUIRED: CodeRow =
    CodeRow { word: "ring_required", status: StatusCode::FORBIDDEN, after: Some(Code::Forbidden) };

/// A limit of sockets is met. A socket is told so and closed, so no status ever goes with it.
pub(super) static WS_LIMIT: CodeRow = CodeRow { word: "ws_limit", status: StatusCode::TOO_MANY_REQUESTS, after: None };

pub(super) const CODES: &[&CodeRow] = &[&RING_REQUIRED, &WS_LIMIT];
