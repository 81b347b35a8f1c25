//! What `/readyz` asks of who knows, and what they have to say where nobody asks whether all is well.

use serde_json::{Map, Value};

/// What a check has found: what to say of it besides its name, or nothing if it does not apply; or, in a sentence, why
/// the server is not ready.
pub type Finding = Result<Option<Map<String, Value>>, String>;

/// Figures that `/health` and `/ready` carry beside their own: known at once and from memory, and nothing is touched for them.
pub type Figures = Box<dyn Fn() -> Map<String, Value> + Send + Sync>;

/// One question, which is answered at once and from memory.
pub struct Check {
    /// As `/readyz?verbose=1` calls it.
    pub name: &'static str,
    /// What `/ready` says of it when it has found nothing to say.
    silent: &'static str,
    look: Box<dyn Fn() -> Finding + Send + Sync>,
}

impl Check {
    /// One that is answered by `look`.
    pub fn new(name: &'static str, look: impl Fn() -> Finding + Send + Sync + 'static) -> Self {
        Self { name, silent: "ok", look: Box::new(look) }
    }

    /// The same, of something that is switched off while the check has nothing to say.
    #[must_use]
    pub fn off_when_silent(self) -> Self {
        Self { silent: "off", ..self }
    }

    /// Asks it.
    ///
    /// # Errors
    /// Why the server is not ready.
    pub fn look(&self) -> Finding {
        (self.look)()
    }

    /// Asks it for one word, as `/ready` has it: `ok`, `off`, `warning` for what only the operator should know, or `failed`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self.look() {
            Err(_) => "failed",
            Ok(Some(said)) if said.contains_key("warning") => "warning",
            Ok(Some(_)) => "ok",
            Ok(None) => self.silent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_tells_what_was_found() {
        let word = |finding: Finding| {
            let look = move || finding.clone();
            (Check::new("a", look.clone()).word(), Check::new("a", look).off_when_silent().word())
        };
        let warned = Map::from_iter([("ok".to_owned(), false.into()), ("warning".to_owned(), "late".into())]);
        assert_eq!(word(Ok(None)), ("ok", "off"));
        assert_eq!(word(Ok(Some(Map::new()))), ("ok", "ok"));
        assert_eq!(word(Ok(Some(warned))), ("warning", "warning"));
        assert_eq!(word(Err("gone".to_owned())), ("failed", "failed"));
    }
}
