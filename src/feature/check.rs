//! What `/readyz` asks of who knows.

use serde_json::{Map, Value};

/// What a check has found: what to say of it besides its name, or nothing if it does not apply; or, in a sentence, why
/// the server is not ready.
pub type Finding = Result<Option<Map<String, Value>>, String>;

/// One question, which is answered at once and from memory.
pub struct Check {
    /// As `/readyz?verbose=1` calls it.
    pub name: &'static str,
    look: Box<dyn Fn() -> Finding + Send + Sync>,
}

impl Check {
    /// One that is answered by `look`.
    pub fn new(name: &'static str, look: impl Fn() -> Finding + Send + Sync + 'static) -> Self {
        Self { name, look: Box::new(look) }
    }

    /// Asks it.
    ///
    /// # Errors
    /// Why the server is not ready.
    pub fn look(&self) -> Finding {
        (self.look)()
    }
}
