//! Answers whose body comes piece by piece, so that nobody holds a large one whole.
//!
//! An answer's body may be a [`Source`]. What blocks is asked by the blocking pool when most of the last piece has left: a
//! reader who is slow holds no thread, and a shard never touches a file. What waits is then at most [`REFILL_BYTES`] and one
//! piece. What does not block is asked by the shard itself when the last piece has left, within the slice of its connection.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What a source should give at once.
pub const PIECE_BYTES: usize = 64 * 1024;
/// With so much of an answer unsent, the next piece waits.
pub(super) const REFILL_BYTES: usize = 32 * 1024;

/// Gives a body piece by piece.
pub trait Source {
    /// Appends the next piece to `out`, about [`PIECE_BYTES`] of it, or nothing if it has only come closer to it; false when
    /// there are no more. Never called twice at once. Whether it may block is said by its [`Body`].
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

/// Nobody asks it: its answer is to a HEAD.
struct Unasked;

impl Source for Unasked {
    fn next(&mut self, _: &mut Vec<u8>) -> io::Result<bool> {
        Err(io::Error::other("there is nothing beyond what a HEAD is told"))
    }
}

/// The body of an answer.
pub enum Body {
    /// It is here.
    Bytes(Cow<'static, [u8]>),
    /// It is here, and kept for further answers.
    Shared(Arc<[u8]>),
    /// It comes from a source that may block: the pool asks it.
    Source {
        /// How many bytes, if that is known. A source that has more or fewer breaks the connection off.
        length: Option<u64>,
        /// Where they come from.
        source: Box<dyn Source + Send>,
    },
    /// It comes from a source that does not block: the shard asks it. Nobody knows how many bytes it has.
    Made(Box<dyn Source>),
}

impl Body {
    /// What an answer to a HEAD has for a body: nothing will be asked of it, and nothing came of it otherwise.
    pub fn unasked(length: Option<u64>) -> Self {
        Self::Source { length, source: Box::new(Unasked) }
    }

    /// How many bytes it has, if that is known.
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::Shared(bytes) => Some(bytes.len() as u64),
            Self::Source { length, .. } => *length,
            Self::Made(_) => None,
        }
    }

    /// The bytes that are here: all of it, or none of a source.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Shared(bytes) => bytes,
            Self::Source { .. } | Self::Made(_) => &[],
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => f.debug_tuple("Bytes").field(bytes).finish(),
            Self::Shared(bytes) => f.debug_tuple("Shared").field(bytes).finish(),
            Self::Source { length, .. } => f.debug_struct("Source").field("length", length).finish(),
            Self::Made(_) => f.debug_tuple("Made").finish(),
        }
    }
}

/// A source on its way to the pool.
pub(crate) struct Fetch {
    pub(crate) source: Box<dyn Source + Send>,
}

/// What the pool brings back.
pub(crate) struct Piece {
    pub(crate) source: Box<dyn Source + Send>,
    pub(crate) bytes: Vec<u8>,
    /// Whether there are more, or why it broke off.
    pub(crate) more: io::Result<bool>,
}

impl Fetch {
    /// Asks the source; blocks for as long as it does.
    pub(crate) fn run(mut self) -> Piece {
        let (bytes, more) = ask(self.source.as_mut());
        Piece { source: self.source, bytes, more }
    }
}

/// The next piece of a source, and whether there are more, or why it broke off.
pub(super) fn ask(source: &mut dyn Source) -> (Vec<u8>, io::Result<bool>) {
    let mut bytes = Vec::with_capacity(PIECE_BYTES);
    let asked = catch_unwind(AssertUnwindSafe(|| source.next(&mut bytes)));
    (bytes, asked.unwrap_or_else(|_| Err(io::Error::other("the source panicked"))))
}
