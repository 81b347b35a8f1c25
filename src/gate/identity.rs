//! Who is asking.
//!
//! One place for every way of saying so. Today it is `X-User-Id`, taken at its word while `AUTH_TRUST_USER_HEADER`
//! says so (ruling 3). As in contract 01 §0.4, an `Authorization` header means nothing while the server has no key
//! to verify a token with; a verified token will be asked for first, here.

use super::error::ApiError;
use super::validate::{Check, Length};
use crate::net::Request;

/// The longest user id, in code points.
pub const USER_ID_MAX_CHARS: usize = 100;

/// How requests say who is asking.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Whether `X-User-Id` is believed.
    pub trust_user_header: bool,
}

impl Identity {
    /// The user who sent this request.
    ///
    /// # Errors
    /// 401 when nobody is named; 422 when the name is over [`USER_ID_MAX_CHARS`], not UTF-8, or has control characters,
    /// or when there are several: a proxy that adds its own must not be outvoted by its client.
    pub fn establish(&self, request: &Request<'_>) -> Result<String, ApiError> {
        let mut values = request.headers.all("x-user-id").filter(|value| self.trust_user_header && !value.is_empty());
        let value = values.next().ok_or_else(ApiError::unauthorized)?;
        let user = String::from_utf8_lossy(value);
        let mut check = Check::new();
        check.length("header", "X-User-Id", &user, Length::between(1, USER_ID_MAX_CHARS));
        check.user_name("header", "X-User-Id", &user);
        if values.any(|other| other != value) {
            check.refuse("header", "X-User-Id", &user, "Header should not be given with different values");
        }
        check.done()?;
        Ok(user.into_owned())
    }
}
