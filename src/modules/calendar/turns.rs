//! Whose turn it is to take a calendar file in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::gate::ApiError;

/// Whether somebody takes a file in: one at a time, as it is held whole.
#[derive(Debug, Default, Clone)]
pub(in crate::modules) struct Turns(Arc<AtomicBool>);

impl Turns {
    /// That of who asks first.
    ///
    /// # Errors
    /// 503 while it is somebody else's.
    pub(super) fn take(&self) -> Result<Turn, ApiError> {
        let is_taken = self.0.swap(true, Ordering::AcqRel);
        if is_taken {
            return Err(ApiError::overloaded("Another calendar file is being taken in; send this one again"));
        }
        Ok(Turn(Arc::clone(&self.0)))
    }
}

/// The turn of one import, which ends with it.
pub(super) struct Turn(Arc<AtomicBool>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Code;

    #[test]
    fn one_file_is_taken_in_at_a_time() {
        let turns = Turns::default();
        let turn = turns.take().ok().unwrap();
        let refused = turns.clone().take().err().unwrap();
        assert_eq!(refused.code(), Code::Overloaded);
        drop(turn);
        assert!(turns.take().is_ok());
    }
}
