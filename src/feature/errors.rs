//! What a client is told when the store fails: the one place that knows both.

use http::HeaderValue;
use http::header::RETRY_AFTER;

use crate::gate::{ApiError, Code};
use crate::store::{self, Fault, StoreError};

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let (code, message, retry_after) = match &error {
            StoreError::Panicked => return Self::internal(error.to_string()),
            StoreError::Failed(_) => {
                (Code::StorageUnavailable, "The change could not be stored; retry with the same idempotency key", "1")
            }
            StoreError::Undone(_) => {
                (Code::StorageUnavailable, "The change could not be stored; nothing was changed", "1")
            }
            // About as long as the writer takes to find out that it can write again.
            StoreError::ReadOnly(_) => {
                (Code::StorageReadonly, "The storage takes no changes at present; nothing was changed", "2")
            }
        };
        let retry_after = HeaderValue::from_static(retry_after);
        Self::new(code, message).with_header(RETRY_AFTER, retry_after).with_context(error.to_string())
    }
}

impl From<store::Error> for ApiError {
    fn from(error: store::Error) -> Self {
        // Only a change needs room, and it undoes itself by failing.
        if matches!(error, store::Error::Full(_)) {
            return StoreError::ReadOnly(Fault::Full).into();
        }
        let api = Self::internal(format!("SQLite: {error}"));
        if error.is_damage() { api.marked_damage() } else { api }
    }
}
