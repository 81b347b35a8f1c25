//! What a socket has not yet taken.
//!
//! The shard writes HTTP answers straight to the socket and keeps here only what the kernel refused; frames of a
//! WebSocket gather here during a turn and leave together at its end. Frames are shared, not copied. What is in the
//! outbox counts by bytes, so that the code that fills it can hold it to a bound.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Write};

use super::frame::Frame;

/// Pieces handed to the kernel with one call.
pub(super) const SLICES_MAX: usize = 64;
/// Room for pieces that an empty outbox keeps; more is given back.
const PIECES_KEPT: usize = 16;

/// Unsent bytes of one connection.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pieces: VecDeque<Piece>,
    /// Bytes of the first piece that are sent.
    sent: usize,
    /// Bytes in all pieces that are not.
    bytes: usize,
}

#[derive(Debug)]
enum Piece {
    Own(Vec<u8>),
    Shared(Frame),
}

impl Piece {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(frame) => frame.as_bytes(),
        }
    }
}

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Bytes that wait.
    pub(crate) fn len(&self) -> usize {
        self.bytes
    }

    /// Adds a frame.
    pub(crate) fn push(&mut self, frame: Frame) {
        self.bytes += frame.as_bytes().len();
        self.pieces.push_back(Piece::Shared(frame));
    }

    /// Adds a copy of some bytes.
    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.push_own(bytes.to_vec());
        }
    }

    /// Adds some bytes.
    pub(crate) fn push_own(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.bytes += bytes.len();
            self.pieces.push_back(Piece::Own(bytes));
        }
    }

    /// Drops every piece of which nothing was sent yet, so that what comes next is read next.
    pub(crate) fn drop_unbegun(&mut self) {
        self.pieces.truncate(usize::from(self.sent > 0));
        self.bytes = self.pieces.front().map_or(0, |first| first.as_bytes().len() - self.sent);
    }

    /// Writes `bytes` after what waits; keeps what the socket does not take. Returns how many bytes moved.
    pub(crate) fn send(&mut self, bytes: &[u8], socket: &mut impl Write) -> io::Result<usize> {
        if !self.is_empty() {
            self.push_bytes(bytes);
            return self.flush(socket);
        }
        let mut moved = 0;
        while moved < bytes.len() {
            match write_once(socket, |socket| socket.write(&bytes[moved..]))? {
                Some(written) => moved += written,
                None => break,
            }
        }
        self.push_bytes(&bytes[moved..]);
        Ok(moved)
    }

    /// Writes what waits. Returns how many bytes moved.
    pub(crate) fn flush(&mut self, socket: &mut impl Write) -> io::Result<usize> {
        let mut moved = 0;
        while let Some(first) = self.pieces.front() {
            // Mostly it is one frame for each of many sockets, and the kernel takes it more cheaply without a list.
            let written = match self.pieces.len() {
                1 => write_once(socket, |socket| socket.write(&first.as_bytes()[self.sent..]))?,
                _ => self.write_many(socket)?,
            };
            match written {
                Some(written) => {
                    moved += written;
                    self.advance(written);
                }
                None => break,
            }
        }
        Ok(moved)
    }

    /// Writes pieces with one call.
    fn write_many(&self, socket: &mut impl Write) -> io::Result<Option<usize>> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut skip = self.sent;
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            *slice = IoSlice::new(&piece.as_bytes()[skip..]);
            skip = 0;
            count += 1;
        }
        write_once(socket, |socket| socket.write_vectored(&slices[..count]))
    }

    fn advance(&mut self, written: usize) {
        self.bytes -= written;
        self.sent += written;
        while let Some(first) = self.pieces.front().map(|piece| piece.as_bytes().len())
            && self.sent >= first
        {
            self.sent -= first;
            self.pieces.pop_front();
        }
        if self.pieces.is_empty() {
            self.pieces.shrink_to(PIECES_KEPT);
        }
    }
}

/// One write; `None` when the socket takes nothing more for now.
fn write_once<W: Write>(socket: &mut W, write: impl Fn(&mut W) -> io::Result<usize>) -> io::Result<Option<usize>> {
    loop {
        match write(socket) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => return Ok(Some(written)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `room` bytes, at most `at_once` with each call, then would block.
    struct Socket {
        room: usize,
        at_once: usize,
        taken: Vec<u8>,
    }

    impl Write for Socket {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            let taken = bytes.len().min(self.room).min(self.at_once);
            self.room -= taken;
            self.taken.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            self.write(&bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn socket(room: usize, at_once: usize) -> Socket {
        Socket { room, at_once, taken: Vec::new() }
    }

    #[test]
    fn what_the_socket_refuses_waits_in_order() {
        let (mut outbox, mut socket) = (Outbox::default(), socket(3, 2));
        assert_eq!(outbox.send(b"abcde", &mut socket).unwrap(), 3);
        assert_eq!(outbox.send(b"fg", &mut socket).unwrap(), 0);
        assert_eq!(outbox.len(), 4);
        socket.room = 9;
        assert_eq!(outbox.flush(&mut socket).unwrap(), 4);
        assert!(outbox.is_empty());
        assert_eq!(socket.taken, b"abcdefg");
    }

    #[test]
    fn frames_leave_whole_and_together() {
        let (mut outbox, mut socket) = (Outbox::default(), socket(usize::MAX, 5));
        for _ in 0..SLICES_MAX + 3 {
            outbox.push(Frame::text("hello"));
        }
        outbox.flush(&mut socket).unwrap();
        assert!(outbox.is_empty());
        assert_eq!(socket.taken, Frame::text("hello").as_bytes().repeat(SLICES_MAX + 3));
    }

    #[test]
    fn a_frame_that_was_begun_is_not_dropped() {
        let (mut outbox, mut socket) = (Outbox::default(), socket(1, 1));
        for text in ["first", "second", "third"] {
            outbox.push(Frame::text(text));
        }
        outbox.flush(&mut socket).unwrap();
        outbox.drop_unbegun();
        outbox.push(Frame::text("last"));
        socket.room = usize::MAX;
        outbox.flush(&mut socket).unwrap();
        assert_eq!(socket.taken, [Frame::text("first").as_bytes(), Frame::text("last").as_bytes()].concat());
        outbox.push(Frame::text("more"));
        outbox.drop_unbegun();
        assert!(outbox.is_empty());
    }
}
