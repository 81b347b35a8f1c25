//! Why an update or a state vector is not taken (contract 03 §4.3): what was wrong, its value and the bound.

use super::lib0::Malformed;

/// How deep values may lie in each other: JSON, and lists and maps of values. Clients of every kind read that many.
pub const DEPTH_MAX: usize = 64;

/// The clock that no client may pass: Yjs in Rust counts in 32 bits.
pub const CLOCK_MAX: u32 = u32::MAX;

/// A number of bytes.
fn bytes_of(count: usize) -> String {
    if count == 1 { "1 byte".to_owned() } else { format!("{count} bytes") }
}

/// Why the bytes of a client are not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A value is no value of the wire.
    #[error("{0}")]
    Malformed(#[from] Malformed),
    /// There cannot be so many in the bytes that are left.
    #[error("{count} {what} cannot fit in the remaining {}", bytes_of(*left))]
    Count {
        /// What is counted.
        what: &'static str,
        /// How many there should be.
        count: u64,
        /// What is left.
        left: usize,
    },
    /// A struct or a delete range of no length.
    #[error("{what} of length 0; the minimum is 1")]
    Empty {
        /// Which kind of thing it is.
        what: &'static str,
    },
    /// A clock over [`CLOCK_MAX`], or a length that leads there.
    #[error("clock {clock} of client {client}; the maximum is {CLOCK_MAX}")]
    Clock {
        /// Whose clock.
        client: u64,
        /// What it would be.
        clock: u64,
    },
    /// Values lie deeper in each other than [`DEPTH_MAX`].
    #[error("values nested more than {DEPTH_MAX} levels deep")]
    Depth,
    /// A struct whose first byte no client writes.
    #[error("struct {info:#04x}; expected kind 0 or 10 without flags, or kind 1 to 9")]
    Kind {
        /// The byte: kind and flags.
        info: u8,
    },
    /// A parent that is neither a name nor an id.
    #[error("parent of kind {kind}; expected 0 or 1")]
    Parent {
        /// The number given.
        kind: u64,
    },
    /// A shared type that Yjs 13 does not know.
    #[error("shared type {number}; expected 0 to 6")]
    Type {
        /// The number given.
        number: u64,
    },
    /// A value whose tag is none.
    #[error("value with tag {tag}; expected 116 to 127")]
    Tag {
        /// The tag given.
        tag: u8,
    },
    /// Text that every client would fail to read as JSON.
    #[error("text of {} that is not valid JSON", bytes_of(*bytes))]
    Json {
        /// Its size.
        bytes: usize,
    },
    /// Options of a subdocument that are not a map: clients fail on them.
    #[error("options of a subdocument with tag {tag}; expected 118")]
    Options {
        /// The tag given.
        tag: u8,
    },
    /// The structs of one client in two places: clients read only the last.
    #[error("more than one list of structs for client {client}")]
    Twice {
        /// The client.
        client: u64,
    },
    /// More bytes than the value has.
    #[error("{} left over after the end", bytes_of(*bytes))]
    Trailing {
        /// How many.
        bytes: usize,
    },
}
