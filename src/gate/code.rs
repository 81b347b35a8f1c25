//! The stable names of errors, and what the documentation says of each: `docs/ERRORS.md` is made of them.

use std::fmt::Write as _;

use http::StatusCode;

/// The page up to its table.
const INTRODUCTION: &str = include_str!("errors.md");

/// The stable name of a kind of error. Its [`CodeRow`] says what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// 422: malformed; 400: well formed, and means nothing.
    ValidationError,
    /// An error of HTTP itself.
    HttpError,
    /// 403: not yours to do.
    Forbidden,
    /// 404: no such thing, or no such path.
    NotFound,
    /// 413: the body is over its limit.
    PayloadTooLarge,
    /// 429: too many requests for now; `Retry-After` says when there may be one more.
    RateLimited,
    /// 500: our fault; the log has the details under the request id.
    InternalError,
    /// 503: more than can be served at this moment; try again.
    Overloaded,
    /// 503: the database took nothing; try again.
    StorageUnavailable,
    /// 503: the storage takes no changes for now; reading goes on.
    StorageReadonly,
    /// One that a feature has for itself.
    Of(&'static CodeRow),
}

/// A code as it is documented.
#[derive(Debug, PartialEq, Eq)]
pub struct CodeRow {
    /// As on the wire.
    pub word: &'static str,
    /// The statuses that it may come with, the usual one first; none if only frames of sockets carry it.
    pub statuses: &'static [StatusCode],
    /// The code behind which it is documented; none for behind all of them.
    pub after: Option<Code>,
    /// What it means.
    pub meaning: &'static str,
    /// What the client does about it.
    pub client: &'static str,
    /// Where the operator looks; empty if it is nothing to them.
    pub operator: &'static str,
}

impl CodeRow {
    /// A code with its statuses. Give it a [`CodeRow::meaning`].
    pub const fn new(word: &'static str, statuses: &'static [StatusCode]) -> Self {
        Self { word, statuses, after: None, meaning: "", client: "", operator: "" }
    }

    /// Documented behind another one.
    #[must_use]
    pub const fn after(self, other: Code) -> Self {
        Self { after: Some(other), ..self }
    }

    /// With what it means, and what a client does about it.
    #[must_use]
    pub const fn meaning(self, meaning: &'static str, client: &'static str) -> Self {
        Self { meaning, client, ..self }
    }

    /// With what an operator does about it.
    #[must_use]
    pub const fn operator(self, operator: &'static str) -> Self {
        Self { operator, ..self }
    }
}

static VALIDATION_ERROR: CodeRow = CodeRow::new(
    "validation_error",
    &[StatusCode::BAD_REQUEST, StatusCode::UNPROCESSABLE_ENTITY],
)
.meaning(
    "422: the request is malformed, and `detail` lists every problem with its location; 400: a value in its query is \
     not a time, or not an existing id",
    "fix the request: repeating it fails again. On a socket: fix the message or `since`",
);

const HTTP_ERRORS: &[StatusCode] = &[
    StatusCode::BAD_REQUEST,
    StatusCode::UNAUTHORIZED,
    StatusCode::METHOD_NOT_ALLOWED,
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::CONFLICT,
    StatusCode::PRECONDITION_FAILED,
    StatusCode::URI_TOO_LONG,
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    StatusCode::RANGE_NOT_SATISFIABLE,
    StatusCode::EXPECTATION_FAILED,
    StatusCode::MISDIRECTED_REQUEST,
    StatusCode::UPGRADE_REQUIRED,
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    StatusCode::NOT_IMPLEMENTED,
    StatusCode::HTTP_VERSION_NOT_SUPPORTED,
];

static HTTP_ERROR: CodeRow = CodeRow::new("http_error", HTTP_ERRORS)
    .meaning(
        "the identity is unknown (401), the path does not have this method (405), or the bytes are [not valid \
         HTTP](PROTOCOL.md#limits); a file differs from the one the request expects (412), or has nothing in the range \
         (416); 409 only comes from the [private plane](OPS_API.md#errors)",
        "401: send a valid token, or get a new one; 405: see `Allow`; 408: send faster; otherwise: fix the request",
    )
    .operator("many 401 after a key change: check that the new key is in use, and the clock");

static FORBIDDEN: CodeRow = CodeRow::new("forbidden", &[StatusCode::FORBIDDEN])
    .meaning("this user may not do this, or a socket has no valid token", "ask the owner; do not repeat")
    .operator("`auth.failed` in the log has the reason why a token was rejected");

static NOT_FOUND: CodeRow = CodeRow::new("not_found", &[StatusCode::NOT_FOUND])
    .meaning("nothing has this id, or no route has this path", "check the id and the path")
    .operator("after a restore: the backup may be older than what is missing");

static PAYLOAD_TOO_LARGE: CodeRow = CodeRow::new("payload_too_large", &[StatusCode::PAYLOAD_TOO_LARGE])
    .meaning("the body, or a socket's message, is over its limit", "send less")
    .operator("`BODY_MAX_BYTES`, `WS_MAX_MESSAGE_BYTES`");

static RATE_LIMITED: CodeRow = CodeRow::new("rate_limited", &[StatusCode::TOO_MANY_REQUESTS])
    .meaning("[too many requests](PROTOCOL.md#rate-limits)", "wait for `Retry-After`, then go slower")
    .operator("`RATE_LIMIT_PER_MINUTE_DEFAULT`, `RATE_LIMIT_BURST_DEFAULT`; all at once? `TRUSTED_PROXIES`");

static INTERNAL_ERROR: CodeRow = CodeRow::new("internal_error", &[StatusCode::INTERNAL_SERVER_ERROR])
    .meaning("a bug in the server, or damaged rows", "report it with its `request_id`")
    .operator("`unhandled.exception` in the log has the details");

static OVERLOADED: CodeRow = CodeRow::new("overloaded", &[StatusCode::SERVICE_UNAVAILABLE])
    .meaning("the server is overloaded, or not ready", "retry after `Retry-After`, with the same idempotency key")
    .operator("`queue_us` and `commit_us` in the log: is the disk slow? `WRITER_QUEUE_JOBS`, `MAX_CONNECTIONS`");

static STORAGE_UNAVAILABLE: CodeRow = CodeRow::new("storage_unavailable", &[StatusCode::SERVICE_UNAVAILABLE])
    .meaning(
        "this commit failed, or the server is not ready because of the database",
        "retry with the same idempotency key",
    )
    .operator("`store.commit_failed` in the log: is another program locking the file?");

static STORAGE_READONLY: CodeRow = CodeRow::new("storage_readonly", &[StatusCode::SERVICE_UNAVAILABLE])
    .meaning(
        "the disk is full or not writable; nothing was changed, and reads and sockets keep working",
        "keep reading; retry after `Retry-After`",
    )
    .operator("free some space, or fix the disk: `/readyz` has the reason, and the server recovers by itself");

impl Code {
    /// Every code but those of features, in the order of the page.
    pub const ALL: [Self; 10] = [
        Self::ValidationError,
        Self::HttpError,
        Self::Forbidden,
        Self::NotFound,
        Self::PayloadTooLarge,
        Self::RateLimited,
        Self::InternalError,
        Self::Overloaded,
        Self::StorageUnavailable,
        Self::StorageReadonly,
    ];

    /// What there is to know about it.
    pub const fn row(self) -> &'static CodeRow {
        match self {
            Self::ValidationError => &VALIDATION_ERROR,
            Self::HttpError => &HTTP_ERROR,
            Self::Forbidden => &FORBIDDEN,
            Self::NotFound => &NOT_FOUND,
            Self::PayloadTooLarge => &PAYLOAD_TOO_LARGE,
            Self::RateLimited => &RATE_LIMITED,
            Self::InternalError => &INTERNAL_ERROR,
            Self::Overloaded => &OVERLOADED,
            Self::StorageUnavailable => &STORAGE_UNAVAILABLE,
            Self::StorageReadonly => &STORAGE_READONLY,
            Self::Of(row) => row,
        }
    }

    /// As on the wire.
    pub const fn as_str(self) -> &'static str {
        self.row().word
    }
}

/// The text of `docs/ERRORS.md` with these codes.
pub fn markdown(codes: &[&CodeRow]) -> String {
    let mut text = String::from(INTRODUCTION);
    text.push_str("\n| code | status | meaning | client | operator |\n| --- | --- | --- | --- | --- |\n");
    for CodeRow { word, statuses, meaning, client, operator, .. } in codes {
        let statuses: Vec<&str> = statuses.iter().map(StatusCode::as_str).collect();
        let _ = writeln!(text, "| `{word}` | {} | {meaning} | {client} | {operator} |", statuses.join(", "));
    }
    text
}
