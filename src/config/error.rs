//! What a refused configuration is refused with.

use super::parse::BadValue;

/// A configuration that was refused. Displays one problem per line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.join("\n"))]
pub struct ConfigError {
    /// Everything that is wrong: one sentence each.
    pub problems: Vec<String>,
}

impl From<BadValue> for ConfigError {
    fn from(bad: BadValue) -> Self {
        Self { problems: vec![bad.to_string()] }
    }
}
