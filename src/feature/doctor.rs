//! What `inkring doctor` asks of features, while no server need run: how their part of an installation is.

use crate::clock::Timestamp;
use crate::settings::Settings;
use crate::store::Reader;

/// What a feature may look at. Looking changes nothing that stays, and ends.
pub struct Examined<'a> {
    /// The settings of the server.
    pub settings: &'a Settings,
    /// Reads the database, if it is there and of this version.
    pub reader: Option<&'a Reader>,
    /// The time.
    pub now: Timestamp,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// As it should be, or nothing that the doctor can see.
    Green,
    /// It works, and should be looked at.
    Yellow,
    /// It does not work, or will not, or lets the wrong people in.
    Red,
}

impl Colour {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Yellow => "yellow",
            Self::Red => "red",
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// Which check, in one word.
    pub check: &'static str,
    /// How it came out.
    pub colour: Colour,
    /// What is there, in words.
    pub found: String,
    /// What to do, unless it is green.
    pub remedy: Option<String>,
}

impl Diagnosis {
    /// All is well.
    pub fn green(check: &'static str, found: String) -> Self {
        Self { check, colour: Colour::Green, found, remedy: None }
    }

    /// Something should be looked at.
    pub fn yellow(check: &'static str, found: String, remedy: impl Into<String>) -> Self {
        Self { check, colour: Colour::Yellow, found, remedy: Some(remedy.into()) }
    }

    /// Something is wrong.
    pub fn red(check: &'static str, found: String, remedy: impl Into<String>) -> Self {
        Self { check, colour: Colour::Red, found, remedy: Some(remedy.into()) }
    }
}
