//! Who is let in to the participant: whoever has its key, so many times a minute.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};

use super::super::limits::sliding::{Log, Standing, Window};
use crate::clock::{MINUTE, Timestamp};
use crate::gate::{ApiError, Code, HashedSecret};
use crate::settings;

/// Calls in any minute (contract 04 §1.3).
pub const PARTICIPANT_CALLS_MAX: u32 = 30;

/// The key, and the calls that came with it. One of all shards.
pub struct KeyDoor {
    key: Option<HashedSecret>,
    calls: Mutex<Log>,
    last_call: AtomicI64,
}

/// Before any call.
const NEVER: i64 = i64::MIN;

impl KeyDoor {
    /// One that this key opens; without one nobody is let in.
    #[must_use]
    pub fn new(key: Option<settings::Secret>) -> Self {
        let key = key.map(|key| HashedSecret::new(key.bytes()));
        Self { key, calls: Mutex::default(), last_call: AtomicI64::new(NEVER) }
    }

    /// Whether anybody can be let in.
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Looks at the key that a caller shows.
    ///
    /// # Errors
    /// 500 where there is no key to compare it with, 401 for another one.
    pub fn open(&self, given: &[u8]) -> Result<(), ApiError> {
        let Some(key) = &self.key else {
            let said = "Participant API key is not configured; set CIMEIKA_PARTICIPANT_KEY";
            return Err(ApiError::new(Code::InternalError, said));
        };
        // Compared in a time that says nothing about where they differ (contract 04, R20); nothing opens nothing.
        if key.is(given) && !given.is_empty() {
            return Ok(());
        }
        let error = ApiError::new(Code::HttpError, "Invalid API key").with_status(StatusCode::UNAUTHORIZED);
        Err(error.with_hint("Send the participant's key in X-API-KEY"))
    }

    /// Counts a call that has the key: at this moment, and at this many milliseconds of a clock that nobody sets.
    ///
    /// # Errors
    /// 429 when there were too many.
    pub fn count(&self, now: Timestamp, elapsed_ms: u64) -> Result<(), ApiError> {
        let window = [Window::new(PARTICIPANT_CALLS_MAX, MINUTE)];
        // A log is whole after every call, whoever panicked.
        let Standing { allowed, wait_ms: [wait_ms], .. } =
            self.calls.lock().unwrap_or_else(PoisonError::into_inner).take(&window, elapsed_ms);
        if allowed {
            self.last_call.store(now.0, Ordering::Relaxed);
            return Ok(());
        }
        let said = format!("Rate limit exceeded. Maximum {PARTICIPANT_CALLS_MAX} requests per minute.");
        let wait = HeaderValue::from(wait_ms.div_ceil(1000));
        Err(ApiError::new(Code::RateLimited, said).with_header(RETRY_AFTER, wait))
    }

    /// When a call was last let in, for `/api/status`.
    pub fn last_call_at(&self) -> Option<Timestamp> {
        Some(self.last_call.load(Ordering::Relaxed)).filter(|at| *at != NEVER).map(Timestamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_the_key_is_let_in_thirty_times_a_minute() {
        let door = KeyDoor::new(Some(settings::Secret::new("key")));
        assert_eq!(door.last_call_at(), None);
        assert_eq!(door.open(b"").unwrap_err().status(), StatusCode::UNAUTHORIZED);
        assert_eq!(door.open(b"kez").unwrap_err().message(), Some("Invalid API key"));
        for call in 0..u64::from(PARTICIPANT_CALLS_MAX) {
            door.open(b"key").unwrap();
            door.count(Timestamp(7), call).unwrap();
        }
        assert_eq!(door.count(Timestamp(8), 100).unwrap_err().status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(door.last_call_at(), Some(Timestamp(7)));
        assert!(door.count(Timestamp(9), 60_000).is_ok());
        assert_eq!(KeyDoor::new(None).open(b"key").unwrap_err().status(), StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[test]
    fn only_the_whole_key_opens() {
        let opens = |given: &[u8], key: &str| KeyDoor::new(Some(settings::Secret::new(key))).open(given).is_ok();
        let key = "participant-key";
        assert!(opens(key.as_bytes(), key));
        for given in [&b""[..], b"participant-ke", b"participant-key ", b"Participant-key", b"qarticipant-key"] {
            assert!(!opens(given, key), "{given:?}");
        }
        assert!(!opens(b"", ""), "no key is no key");
    }
}
