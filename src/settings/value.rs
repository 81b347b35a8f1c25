//! What a setting may hold.

use std::fmt;
use std::path::PathBuf;

use super::{Endpoint, Network};

/// What is shown in place of a secret.
pub const MASK: &str = "********";

/// What stands for no endpoint.
pub const OFF: &str = "off";

/// The value of a setting. Its text form is one that parses back to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// From [`Kind::Flag`].
    Flag(bool),
    /// From [`Kind::Integer`], within its bounds.
    Integer(u64),
    /// From [`Kind::Fraction`].
    Fraction(Fraction),
    /// From [`Kind::Choice`], as spelt in its list.
    Choice(&'static str),
    /// From [`Kind::Endpoints`]: at least one.
    Endpoints(Vec<Endpoint>),
    /// From [`Kind::Endpoint`]; nothing when it is off.
    Endpoint(Option<Endpoint>),
    /// From [`Kind::Database`]: the path of the file.
    Database(PathBuf),
    /// From [`Kind::Origins`], in the form browsers send.
    Origins(Vec<String>),
    /// From [`Kind::Networks`].
    Networks(Vec<Network>),
    /// From [`Kind::Text`]; empty when there is none.
    Text(String),
}

impl Value {
    /// Whether it asks for anything: `false`, 0, `off`, nothing, and origins that leave nobody out do not.
    pub fn is_on(&self) -> bool {
        match self {
            Self::Flag(flag) => *flag,
            Self::Integer(number) => *number > 0,
            Self::Fraction(fraction) => fraction.millionths > 0,
            Self::Endpoint(endpoint) => endpoint.is_some(),
            Self::Origins(origins) => !origins.is_empty() && origins.iter().all(|origin| origin != "*"),
            Self::Networks(networks) => !networks.is_empty(),
            Self::Text(text) => !text.is_empty(),
            Self::Choice(_) | Self::Endpoints(_) | Self::Database(_) => true,
        }
    }
}

/// A part of all, to the millionth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fraction {
    millionths: u32,
}

impl Fraction {
    /// One, in millionths.
    const ALL: u32 = 1_000_000;

    /// So many millionths; more than all of them is one.
    pub const fn of_millionths(millionths: u32) -> Self {
        Self { millionths: if millionths > Self::ALL { Self::ALL } else { millionths } }
    }

    /// From 0 for none to 1 for all.
    pub fn as_f64(self) -> f64 {
        f64::from(self.millionths) / f64::from(Self::ALL)
    }
}

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:06}", self.millionths % Self::ALL);
        let digits = digits.trim_end_matches('0');
        write!(f, "{}.{}", self.millionths / Self::ALL, if digits.is_empty() { "0" } else { digits })
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => flag.fmt(f),
            Self::Integer(number) => number.fmt(f),
            Self::Fraction(fraction) => fraction.fmt(f),
            Self::Choice(word) => word.fmt(f),
            Self::Endpoints(endpoints) => {
                let texts: Vec<String> = endpoints.iter().map(Endpoint::to_string).collect();
                texts.join(",").fmt(f)
            }
            Self::Endpoint(None) => f.write_str(OFF),
            Self::Endpoint(Some(endpoint)) => endpoint.fmt(f),
            Self::Database(path) => write!(f, "sqlite:{}", path.display()),
            Self::Origins(origins) => origins.join(",").fmt(f),
            Self::Networks(networks) => {
                let texts: Vec<String> = networks.iter().map(Network::to_string).collect();
                texts.join(",").fmt(f)
            }
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// A text that is never shown, not even by `{:?}` (G7).
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// This text, from now on kept to itself.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for what needs it.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}
