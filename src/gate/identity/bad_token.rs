//! Why a token is not taken: one sentence for the client, one for the log, one word for the counters.

use http::StatusCode;

use crate::gate::code::Code;
use crate::gate::error::ApiError;

/// The longest token that is looked at, in bytes.
pub const TOKEN_MAX_BYTES: usize = 8192;

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadToken {
    /// Different tokens were sent at once.
    Several,
    /// There is nothing where it should be.
    Empty,
    /// Over [`TOKEN_MAX_BYTES`].
    TooLong,
    /// It names no key, and there are several.
    NoKeyNamed,
    /// It names a key that there is not.
    UnknownKey,
    /// Not signed by this key with its algorithm, or no token at all.
    NotSigned,
    /// It demands to be read in a way that we do not know (RFC 7515 §4.1.11).
    Critical,
    /// `exp` or `nbf` is no number.
    NoTime,
    /// `nbf` is yet to come.
    NotYet,
    /// `exp` is over.
    Expired,
    /// There is no `exp`, and there has to be one.
    NoExpiry,
    /// It lives longer than a token may, or does not say for how long.
    Life,
    /// Not from the issuer that is asked for.
    Issuer,
    /// Not for the audience that is asked for.
    Audience,
    /// `sub`, or `userId` without one, is no user id.
    Subject,
    /// There is neither of them, or it is empty.
    NoSubject,
    /// The operator has revoked it.
    Revoked,
}

impl BadToken {
    /// For the client.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Expired => "Token expired",
            Self::NoSubject => "Token verification failed",
            Self::Revoked => "Token revoked",
            _ => "Invalid token",
        }
    }

    /// For the counters, in one word.
    fn label(self) -> &'static str {
        match self {
            Self::Several => "several",
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::NoKeyNamed => "no_key_named",
            Self::UnknownKey => "unknown_key",
            Self::NotSigned => "not_signed",
            Self::Critical => "critical",
            Self::NoTime => "no_time",
            Self::NotYet => "not_yet",
            Self::Expired => "expired",
            Self::NoExpiry => "no_expiry",
            Self::Life => "life",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Subject => "subject",
            Self::NoSubject => "no_subject",
            Self::Revoked => "revoked",
        }
    }

    /// For the log.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Several => "different tokens in one request",
            Self::Empty => "the token is empty",
            Self::TooLong => "the token is too long",
            Self::NoKeyNamed => "there is no kid, and there are several keys",
            Self::UnknownKey => "kid is none of the keys",
            Self::NotSigned => "the token is malformed, or not signed with this key and its algorithm",
            Self::Critical => "the token has a crit header",
            Self::NoTime => "exp or nbf is not a number",
            Self::NotYet => "nbf is in the future",
            Self::Expired => "exp is in the past",
            Self::NoExpiry => "exp is missing, and production requires it",
            Self::Life => "from iat to exp it is longer than JWT_MAX_LIFE_DAYS, or it lacks one of them",
            Self::Issuer => "iss is not JWT_ISSUER",
            Self::Audience => "aud is not JWT_AUDIENCE",
            Self::Subject => "sub is not a user id",
            Self::NoSubject => "sub is missing",
            Self::Revoked => "the token was revoked: `inkring token revocations` shows the revocation",
        }
    }

    /// 401, with what to do about it. Why is for the log, so that nobody learns which part to work on.
    pub(super) fn error(self, hint: &'static str) -> ApiError {
        let error = ApiError::new(Code::HttpError, self.sentence()).with_status(StatusCode::UNAUTHORIZED);
        error.with_hint(hint).with_context(self.reason()).marked_auth_failure(self.label())
    }
}

/// 401: a token was sent and is not taken.
impl From<BadToken> for ApiError {
    fn from(bad: BadToken) -> Self {
        bad.error(match bad {
            BadToken::Empty => "The token is empty",
            BadToken::Expired | BadToken::Revoked => "Get a new token",
            _ => {
                "Get a new token; the operator finds the reason in the log (auth.failed), or with inkring token inspect"
            }
        })
    }
}
