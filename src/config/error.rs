//! What a refused configuration is refused with.

use super::parse::BadValue;

/// A configuration that was refused. Displays one problem per line, and then one warning per line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.lines().join("\n"))]
pub struct ConfigError {
    /// Everything that is wrong: one sentence each.
    pub problems: Vec<String>,
    /// What is worth a look besides, so that a configuration is corrected in one round: what is only replaced or guessed at.
    pub warnings: Vec<String>,
}

impl ConfigError {
    fn lines(&self) -> Vec<String> {
        let warnings = self.warnings.iter().map(|warning| format!("warning: {warning}"));
        self.problems.iter().cloned().chain(warnings).collect()
    }

    /// One problem, with the warnings that had been found.
    #[must_use]
    pub fn of(problem: String, warnings: Vec<String>) -> Self {
        Self { problems: vec![problem], warnings }
    }
}

impl From<BadValue> for ConfigError {
    fn from(bad: BadValue) -> Self {
        Self::of(bad.to_string(), Vec::new())
    }
}
