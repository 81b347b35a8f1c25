//! Every error that a client can meet, and its one shape.
//!
//! Which type where: rules and stores return their own small enums; handlers turn them into an [`ApiError`], which
//! knows status, code and the sentence for the client; `context` is for the log only and never leaves the house.
//!
//! ```json
//! {"error":{"code":"forbidden","message":"…","request_id":"…"},"detail":"…"}
//! ```
//! `detail` is what clients of the original server read (contract 01 §3.1); the `error` object stands beside it on
//! every error of every path (ruling 11).

use http::header::{ACCEPT_ENCODING, ALLOW, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::code::Code;
use super::problem::Problem;
use crate::net::{Reject, Response};
use crate::text::cut;

/// An error on its way to a client. Boxed: answers that succeed should not carry its size around.
#[derive(Debug)]
pub struct ApiError(Box<Facts>);

#[derive(Debug)]
struct Facts {
    status: StatusCode,
    code: Code,
    /// A sentence, or the object that the contract has for a missing identity.
    message: Value,
    /// `detail`, where it is not the message again.
    detail: Option<Value>,
    /// What the log is told instead of the message.
    logged: Option<&'static str>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// What the `error` object has beside what every one has.
    members: Vec<(&'static str, Value)>,
    /// For the log only.
    context: Option<String>,
    /// Whether rows could not be read.
    damage: bool,
    /// Why authentication failed, in one word for the counter, if it did.
    auth_failure: Option<&'static str>,
}

/// The reason of who shows no credentials where there have to be some.
pub(super) const MISSING: &str = "missing";

/// The member that says what to do about an error.
const HINT: &str = "hint";

/// What is said of a path that nobody serves.
pub const NO_ROUTE: &str = "Not Found";

impl ApiError {
    /// An error with the usual status of its code; `detail` repeats the message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let status = code.row().statuses.first().copied().unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let message = Value::String(message.into());
        Self(Box::new(Facts {
            status,
            code,
            message,
            detail: None,
            logged: None,
            headers: Vec::new(),
            members: Vec::new(),
            context: None,
            damage: false,
            auth_failure: None,
        }))
    }

    /// 422: something that is asked for is not of the form that it should have.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(Code::ValidationError, message).with_status(StatusCode::UNPROCESSABLE_ENTITY)
    }

    /// The same error with another status of its code than the usual one.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        debug_assert!(
            self.0.code.row().statuses.contains(&status),
            "{:?} is not documented with {status}",
            self.0.code
        );
        self.0.status = status;
        self
    }

    /// The same error with a header of its own.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// The same error with these headers.
    #[must_use]
    pub fn with_headers(mut self, headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>) -> Self {
        self.0.headers.extend(headers);
        self
    }

    /// The same error with one member more in its `error` object.
    #[must_use]
    pub fn with_member(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.members.push((name, value.into()));
        self
    }

    /// The same error with what to do about it.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        self.with_member(HINT, hint.into())
    }

    /// What to do about it, where it says that.
    pub fn hint(&self) -> Option<&str> {
        self.0.members.iter().find(|(name, _)| *name == HINT).and_then(|(_, hint)| hint.as_str())
    }

    /// The same error with details that only the log is told.
    #[must_use]
    pub fn with_context(mut self, context: impl Into<String>) -> Self {
        self.0.context = Some(context.into());
        self
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The same error under other words in the log: for a message that repeats a part of a body or a query (G7).
    #[must_use]
    pub fn logged_as(mut self, sentence: &'static str) -> Self {
        self.0.logged = Some(sentence);
        self
    }

    /// The sentence for the client, where it is one.
    pub fn message(&self) -> Option<&str> {
        self.0.message.as_str()
    }

    /// The sentence for the log, where there is one.
    pub fn logged(&self) -> Option<&str> {
        self.0.logged.or_else(|| self.message())
    }

    /// What only the log is told.
    pub fn context(&self) -> Option<&str> {
        self.0.context.as_deref()
    }

    /// Whether it comes of rows that are not as they were written.
    pub fn is_damage(&self) -> bool {
        self.0.damage
    }

    /// Marks this as coming of rows that are not as they were written.
    #[must_use]
    pub fn marked_damage(mut self) -> Self {
        self.0.damage = true;
        self
    }

    /// Marks this as an authentication failure, for the counter.
    #[must_use]
    pub fn marked_auth_failure(mut self, reason: &'static str) -> Self {
        self.0.auth_failure = Some(reason);
        self
    }

    /// Why authentication failed, if that is what this error says.
    pub(super) fn auth_failure(&self) -> Option<&'static str> {
        self.0.auth_failure
    }

    /// 401: nobody said who they are (contract 01 §3.1: message and detail are objects here).
    pub fn unauthorized() -> Self {
        let message = json!({
            "error": "unauthorized",
            "message": "Missing Authorization (Bearer JWT) or X-User-Id header",
        });
        let mut error = Self::new(Code::HttpError, "").with_status(StatusCode::UNAUTHORIZED);
        error.0.message = message;
        error.marked_auth_failure(MISSING)
    }

    /// 422: the request has not the right shape. All problems at once, in field order.
    pub fn invalid(problems: &[Problem]) -> Self {
        let sentences: Vec<String> = problems.iter().map(Problem::sentence).collect();
        let mut error =
            Self::new(Code::ValidationError, sentences.join("; ")).with_status(StatusCode::UNPROCESSABLE_ENTITY);
        error.0.detail = Some(Value::Array(problems.iter().map(Problem::to_json).collect()));
        error
    }

    /// 404: no route has this path.
    pub fn no_route() -> Self {
        Self::new(Code::NotFound, NO_ROUTE)
    }

    /// 404: a path for WebSockets was asked for without an upgrade, in the contract's words for clients that read `detail`.
    pub(super) fn no_upgrade() -> Self {
        let message = "This path is a WebSocket, and the request is not a WebSocket handshake: a proxy may have dropped its \
                       Upgrade and Connection headers, or have spoken HTTP/1.0";
        let mut error = Self::new(Code::NotFound, message);
        error.0.detail = Some("Not Found".into());
        error
    }

    /// 415: the body is compressed, or encoded otherwise.
    pub(super) fn encoded(encoding: &[u8]) -> Self {
        let encoding = String::from_utf8_lossy(encoding);
        let message = format!("The body has Content-Encoding {}; only bodies without one are read", cut(&encoding, 40));
        Self::new(Code::HttpError, message)
            .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
            .with_header(ACCEPT_ENCODING, HeaderValue::from_static("identity"))
    }

    /// 421: the name that was asked for is not ours.
    pub fn misdirected(message: &str) -> Self {
        Self::new(Code::HttpError, message).with_status(StatusCode::MISDIRECTED_REQUEST)
    }

    /// 405: the path exists, but not for this method. `allow` lists those it exists for.
    pub fn method_not_allowed(allow: &str) -> Self {
        let error = Self::new(Code::HttpError, "Method Not Allowed").with_status(StatusCode::METHOD_NOT_ALLOWED);
        match HeaderValue::from_str(allow) {
            Ok(allow) => error.with_header(ALLOW, allow),
            Err(_) => error,
        }
    }

    /// 500: our fault. `context` goes to the log.
    pub fn internal(context: impl Into<String>) -> Self {
        Self::new(Code::InternalError, "Unexpected error").with_context(context)
    }

    /// 503: too much at once. Says when to try again.
    pub fn overloaded(message: impl Into<String>) -> Self {
        Self::new(Code::Overloaded, message).with_header(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// The answer for bytes that are not a request; the connection closes after it.
    pub fn rejected(reject: &Reject) -> Self {
        let (status, message) = match reject {
            Reject::Malformed(what) => (StatusCode::BAD_REQUEST, format!("Malformed request: {what}")),
            Reject::HeadTimeout(seconds) => {
                (StatusCode::REQUEST_TIMEOUT, format!("The request head was not complete within {seconds} s"))
            }
            Reject::BodyTimeout(seconds) => {
                (StatusCode::REQUEST_TIMEOUT, format!("The request body was not complete within {seconds} s"))
            }
            Reject::BodyStalled(seconds) => {
                (StatusCode::REQUEST_TIMEOUT, format!("Nothing of the request body came for {seconds} s"))
            }
            Reject::BodyTooSlow(rate) => {
                (StatusCode::REQUEST_TIMEOUT, format!("The request body came with fewer than {rate} bytes a second"))
            }
            Reject::BodyTooLarge(limit) => {
                return Self::new(
                    Code::PayloadTooLarge,
                    format!("The request body is over the limit of {limit} bytes"),
                );
            }
            Reject::TargetTooLong(limit) => {
                (StatusCode::URI_TOO_LONG, format!("The request target is over the limit of {limit} bytes"))
            }
            Reject::Expectation => {
                (StatusCode::EXPECTATION_FAILED, "The only expectation supported is 100-continue".to_owned())
            }
            Reject::HeadTooLarge(limit) => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                format!("The request head is over the limit of {limit} bytes"),
            ),
            Reject::TooManyHeaders(limit) => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                format!("The request has more than the limit of {limit} header lines"),
            ),
            Reject::Method => (StatusCode::NOT_IMPLEMENTED, "CONNECT is not supported: this is not a proxy".to_owned()),
            Reject::Version => {
                (StatusCode::HTTP_VERSION_NOT_SUPPORTED, "Only HTTP/1.1 and HTTP/1.0 are supported".to_owned())
            }
        };
        Self::new(Code::HttpError, message).with_status(status)
    }

    /// The answer's own details; the gate adds what every answer has.
    pub fn to_response(&self, request_id: &str) -> Response {
        let mut response = Response::json(self.0.status, self.body(request_id, None));
        response.headers.clone_from(&self.0.headers);
        response
    }

    /// The body: the envelope, after the members of `before` if an endpoint has its own as well.
    pub fn body(&self, request_id: &str, before: Option<Value>) -> Vec<u8> {
        let mut body = before.unwrap_or_else(|| json!({}));
        body["error"] = json!({ "code": self.0.code.as_str(), "message": self.0.message, "request_id": request_id });
        for (name, value) in &self.0.members {
            body["error"][*name] = value.clone();
        }
        if body.get("detail").is_none() {
            body["detail"] = self.0.detail.clone().unwrap_or_else(|| self.0.message.clone());
        }
        body.to_string().into_bytes()
    }
}
