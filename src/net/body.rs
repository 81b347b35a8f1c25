//! Answers whose body comes piece by piece, so that nobody holds a large one whole.
//!
//! An answer's body may be a [`Source`]. The connection asks for the next piece when most of the last has left, and the
//! blocking pool fetches it: a reader who is slow holds no thread, and a shard never touches a file. What waits is at most
//! [`REFILL_BYTES`] and one piece.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read};

/// What a source should give at once.
pub const PIECE_BYTES: usize = 64 * 1024;
/// With so much of an answer unsent, the next piece waits.
pub(super) const REFILL_BYTES: usize = 32 * 1024;

/// Gives a body piece by piece.
pub trait Source: Send {
    /// Appends the next piece to `out`, about [`PIECE_BYTES`] of it; false when there are no more. May block: it is called by
    /// the blocking pool, never twice at once.
    ///
    /// # Errors
    /// The connection is then closed, so that nobody takes what there was for the whole.
    fn next(&mut self, out: &mut Vec<u8>) -> io::Result<bool>;
}

/// What a reader has.
pub struct ReadSource<R>(pub R);

impl<R: Read + Send> Source for ReadSource<R> {
    fn next(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let read = self.0.by_ref().take(PIECE_BYTES as u64).read_to_end(out)?;
        Ok(read == PIECE_BYTES)
    }
}

/// The body of an answer.
pub enum Body {
    /// It is here.
    Bytes(Cow<'static, [u8]>),
    /// It comes from a source.
    Source {
        /// How many bytes, if that is known. A source that has more or fewer breaks the connection off.
        length: Option<u64>,
        /// Where they come from.
        source: Box<dyn Source>,
    },
}

impl Body {
    /// How many bytes it has, if that is known.
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::Source { length, .. } => *length,
        }
    }

    /// The bytes that are here: all of it, or none of a source.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Source { .. } => &[],
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => f.debug_tuple("Bytes").field(bytes).finish(),
            Self::Source { length, .. } => f.debug_struct("Source").field("length", length).finish(),
        }
    }
}

/// A source on its way to the pool.
pub(crate) struct Fetch {
    pub(crate) source: Box<dyn Source>,
}

/// What the pool brings back.
pub(crate) struct Piece {
    pub(crate) source: Box<dyn Source>,
    pub(crate) bytes: Vec<u8>,
    /// Whether there are more, or why it broke off.
    pub(crate) more: io::Result<bool>,
}

impl Fetch {
    /// Asks the source; blocks for as long as it does.
    pub(crate) fn run(mut self) -> Piece {
        let mut bytes = Vec::with_capacity(PIECE_BYTES);
        let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.source.next(&mut bytes)));
        let more = asked.unwrap_or_else(|_| Err(io::Error::other("the source panicked")));
        Piece { source: self.source, bytes, more }
    }
}
