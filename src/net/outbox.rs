//! What a socket has not yet taken.
//!
//! The shard writes HTTP answers straight to the socket and keeps here only what the kernel refused; frames of a
//! WebSocket gather here during a turn and leave together at its end. Frames are shared, not copied. What is in the
//! outbox counts by the memory that it takes, so that the code that fills it can hold it to a bound.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Write};
use std::ops::RangeInclusive;

use super::frame::Frame;

/// Pieces handed to the kernel with one call.
pub(super) const SLICES_MAX: usize = 64;
/// Room for pieces that an empty outbox keeps; more is given back.
const PIECES_KEPT: usize = 16;
/// What a piece takes beside its bytes: its entry in the queue, which has room to grow, and the allocator's own.
const PIECE_COST: usize = 64;
/// Room of a piece for copied bytes, so that small ones share a piece and large ones are given back as they leave.
const OWN_ROOM: RangeInclusive<usize> = 512..=64 * 1024;

/// Unsent bytes of one connection.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pieces: VecDeque<Piece>,
    /// Bytes of the first piece that are sent.
    sent: usize,
    /// What all pieces take, less what is sent of the first.
    cost: usize,
    /// The socket has left something behind, and not taken it yet.
    stuck: bool,
    /// What was taken by the connection has not left it: with TLS it may be encrypted and wait there.
    unflushed: bool,
    /// How much may wait before passing frames are left out; without it any.
    room: Option<Room>,
    /// More than that waits: no passing frame is added until all has left.
    behind: bool,
    /// Passing frames were left out since all had left.
    left_out: bool,
    /// Where the pong stands that was added since.
    pong: Option<usize>,
}

/// How much may wait for a client that does not read before it gets no passing frames ([`Frame::passing`]).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// The memory that it takes.
    pub(crate) bytes: usize,
    /// Its pieces, which are frames for the most part.
    pub(crate) frames: usize,
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

    fn is_passing(&self) -> bool {
        matches!(self, Self::Shared(frame) if frame.is_passing())
    }

    /// The memory that it takes. A shared frame counts in full wherever it waits: one reader may be all that keeps it.
    fn cost(&self) -> usize {
        PIECE_COST
            + match self {
                Self::Own(bytes) => bytes.capacity(),
                Self::Shared(frame) => frame.as_bytes().len(),
            }
    }
}

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty() && !self.unflushed
    }

    /// The memory, in bytes, that what waits takes; 0 if nothing does.
    pub(crate) fn cost(&self) -> usize {
        self.cost
    }

    /// How many pieces wait. Each frame is one.
    pub(crate) fn pieces(&self) -> usize {
        self.pieces.len()
    }

    /// From now on passing frames are left out where more than this waits.
    pub(crate) fn leave_out_above(&mut self, room: Room) {
        self.room = Some(room);
    }

    /// Adds a frame, unless it is a passing one and too much waits. Returns the memory that it takes.
    pub(crate) fn push(&mut self, frame: Frame) -> usize {
        if self.behind && frame.is_passing() {
            self.left_out = true;
            return 0;
        }
        let piece = Piece::Shared(frame);
        let cost = piece.cost();
        self.add(piece);
        self.leave_out();
        cost
    }

    /// Takes the passing frames out if too much waits for who does not read. The first piece stays: it may have been begun, and
    /// what has waited longest must not begin anew to wait.
    fn leave_out(&mut self) {
        let is_too_much = |room: Room| self.cost > room.bytes || self.pieces.len() > room.frames;
        if !self.stuck || self.behind || !self.room.is_some_and(is_too_much) {
            return;
        }
        self.behind = true;
        let (mut at, mut pong, mut freed) = (0, self.pong, 0);
        self.pieces.retain(|piece| {
            let stays = at == 0 || !piece.is_passing();
            if !stays {
                freed += piece.cost();
                pong = pong.map(|pong| if self.pong > Some(at) { pong - 1 } else { pong });
            }
            at += 1;
            stays
        });
        self.pong = pong;
        self.cost -= freed;
        self.left_out |= freed > 0;
    }

    /// Whether all has left, and passing frames were left out before. Said once.
    pub(crate) fn has_caught_up(&mut self) -> bool {
        self.is_empty() && std::mem::take(&mut self.left_out)
    }

    /// Adds a copy of some bytes.
    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) {
        let room = match self.pieces.back() {
            // A pong may still be replaced, and nothing else with it.
            Some(Piece::Own(last)) if self.pong != Some(self.pieces.len() - 1) => last.capacity() - last.len(),
            _ => 0,
        };
        let (here, rest) = bytes.split_at(room.min(bytes.len()));
        if let Some(Piece::Own(last)) = self.pieces.back_mut() {
            last.extend_from_slice(here);
        }
        for chunk in rest.chunks(*OWN_ROOM.end()) {
            let mut own = Vec::with_capacity(chunk.len().max(*OWN_ROOM.start()));
            own.extend_from_slice(chunk);
            self.add(Piece::Own(own));
        }
    }

    /// Adds some bytes.
    pub(crate) fn push_own(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.add(Piece::Own(bytes));
        }
    }

    /// Adds the answer to a ping. While the client takes nothing, only the newest one waits: RFC 6455 §5.5.3 allows it, and a
    /// client could otherwise have us keep as many as it sends.
    pub(crate) fn push_pong(&mut self, frame: &[u8]) {
        if !self.stuck {
            return self.push_bytes(frame);
        }
        let piece = Piece::Own(frame.to_vec());
        match self.pong {
            Some(at) => {
                self.cost = self.cost - self.pieces[at].cost() + piece.cost();
                self.pieces[at] = piece;
            }
            None => {
                self.pong = Some(self.pieces.len());
                self.add(piece);
            }
        }
    }

    fn add(&mut self, piece: Piece) {
        self.cost += piece.cost();
        self.pieces.push_back(piece);
    }

    /// Drops every piece of which nothing was sent yet, so that what comes next is read next.
    pub(crate) fn drop_unbegun(&mut self) {
        self.pieces.truncate(usize::from(self.sent > 0));
        self.cost = self.pieces.front().map_or(0, |first| first.cost() - self.sent);
        self.pong = None;
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
        self.unflushed = !is_flushed(socket)?;
        self.stuck = !self.is_empty();
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
        self.unflushed = !is_flushed(socket)?;
        self.stuck = !self.is_empty();
        self.behind &= self.stuck;
        self.leave_out();
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
        self.cost -= written;
        self.sent += written;
        while let Some(first) = self.pieces.front()
            && self.sent >= first.as_bytes().len()
        {
            let length = first.as_bytes().len();
            self.cost -= first.cost() - length;
            self.sent -= length;
            self.pieces.pop_front();
            self.pong = self.pong.and_then(|at| at.checked_sub(1));
        }
        // What was begun stays as it is.
        self.pong = self.pong.filter(|at| *at > 0 || self.sent == 0);
        if self.pieces.is_empty() {
            self.pieces.shrink_to(PIECES_KEPT);
        }
    }
}

/// Whether the connection keeps nothing back.
fn is_flushed(socket: &mut impl Write) -> io::Result<bool> {
    match socket.flush() {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
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

    /// Takes everything, and keeps it back until it is told not to.
    struct Keeping {
        keeps: bool,
        taken: Vec<u8>,
    }

    impl Write for Keeping {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.keeps && !self.taken.is_empty() {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.taken.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            if self.keeps { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
        }
    }

    #[test]
    fn what_the_connection_keeps_back_has_not_left() {
        let (mut outbox, mut socket) = (Outbox::default(), Keeping { keeps: true, taken: Vec::new() });
        assert_eq!(outbox.send(b"abc", &mut socket).unwrap(), 3);
        assert!(!outbox.is_empty() && outbox.pieces() == 0, "it was taken and waits there");
        // Behind it, things go on as with any client that does not read.
        outbox.push_pong(b"\x8a\x01a");
        outbox.push_pong(b"\x8a\x01b");
        assert_eq!((outbox.flush(&mut socket).unwrap(), outbox.pieces()), (0, 1));
        socket.keeps = false;
        assert_eq!(outbox.flush(&mut socket).unwrap(), 3);
        assert!(outbox.is_empty() && socket.taken == b"abc\x8a\x01b", "{:?}", socket.taken);
        // And nothing but what is kept back.
        socket = Keeping { keeps: true, taken: Vec::new() };
        outbox.send(b"d", &mut socket).unwrap();
        socket.keeps = false;
        assert_eq!((outbox.flush(&mut socket).unwrap(), outbox.is_empty()), (0, true));
    }

    #[test]
    fn what_the_socket_refuses_waits_in_order() {
        let (mut outbox, mut socket) = (Outbox::default(), socket(3, 2));
        assert_eq!(outbox.send(b"abcde", &mut socket).unwrap(), 3);
        assert_eq!(outbox.send(b"fg", &mut socket).unwrap(), 0);
        assert_eq!(outbox.cost(), *OWN_ROOM.start() + PIECE_COST, "small bytes share a piece");
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

    #[test]
    fn what_waits_counts_by_the_memory_that_it_takes() {
        let (mut outbox, mut socket) = (Outbox::default(), socket(0, usize::MAX));
        for _ in 0..100_000 {
            outbox.push_bytes(b"\x8a\0");
        }
        assert!((200_000..230_000).contains(&outbox.cost()), "{}", outbox.cost());
        for _ in 0..100 {
            outbox.push(Frame::ping());
        }
        assert!(outbox.cost() > 200_000 + 100 * size_of::<Piece>());
        // As it leaves, it is given back.
        let before = outbox.cost();
        socket.room = 100_000;
        outbox.flush(&mut socket).unwrap();
        assert!(outbox.cost() <= before - 100_000);
        socket.room = usize::MAX;
        outbox.flush(&mut socket).unwrap();
        assert_eq!((outbox.cost(), socket.taken.len()), (0, 200_200));
    }

    #[test]
    fn one_pong_at_most_waits_for_who_does_not_read() {
        let (mut outbox, mut socket) = (Outbox::default(), socket(2, usize::MAX));
        outbox.push_pong(b"\x8a\x01a");
        outbox.flush(&mut socket).unwrap();
        for _ in 0..1000 {
            outbox.push_pong(b"\x8a\x01b");
        }
        outbox.push(Frame::text("news"));
        outbox.push_pong(b"\x8a\x02cc");
        socket.room = 2;
        outbox.flush(&mut socket).unwrap();
        // The one that was begun is finished as it is.
        outbox.push_pong(b"\x8a\x01d");
        socket.room = usize::MAX;
        outbox.flush(&mut socket).unwrap();
        let news = Frame::text("news");
        let expected = [b"\x8a\x01a\x8a\x02cc", news.as_bytes(), b"\x8a\x01d"].concat();
        assert_eq!(socket.taken, expected);
        assert_eq!(outbox.cost(), 0);
        // Who reads is answered each time.
        outbox.push_pong(b"\x8a\x01e");
        outbox.push_pong(b"\x8a\x01f");
        outbox.flush(&mut socket).unwrap();
        assert!(socket.taken.ends_with(b"\x8a\x01e\x8a\x01f"));
    }

    #[test]
    fn what_a_later_frame_makes_needless_is_left_out_for_who_does_not_read() {
        let (mut outbox, mut socket) = (Outbox::default(), socket(1, usize::MAX));
        outbox.leave_out_above(Room { bytes: usize::MAX, frames: 5 });
        let plain = |number: u8| Frame::binary(&[number]);
        let passing = |number: u8| Frame::binary(&[0x80 | number]).passing();
        for number in 0..6 {
            outbox.push(if number % 2 == 0 { passing(number) } else { plain(number) });
        }
        assert_eq!(outbox.pieces(), 6, "nobody knows yet whether it is read");
        outbox.flush(&mut socket).unwrap();
        assert_eq!(outbox.pieces(), 4, "the first was begun");
        outbox.push(passing(6));
        outbox.push_pong(b"\x8a\0");
        outbox.push(passing(7));
        outbox.push(plain(8));
        outbox.push_pong(b"\x8a\x01x");
        assert!(!outbox.has_caught_up());
        socket.room = usize::MAX;
        outbox.flush(&mut socket).unwrap();
        let before = [passing(0), plain(1), plain(3), plain(5)];
        let expected = before.iter().flat_map(Frame::as_bytes).chain(b"\x8a\x01x").copied();
        assert_eq!(socket.taken, expected.chain(plain(8).as_bytes().to_vec()).collect::<Vec<u8>>());
        assert_eq!((outbox.has_caught_up(), outbox.has_caught_up(), outbox.cost()), (true, false, 0));
        // From then on it is as before, and what is plain is never left out.
        outbox.push(passing(9));
        outbox.flush(&mut socket).unwrap();
        assert!(socket.taken.ends_with(passing(9).as_bytes()) && !outbox.has_caught_up());
        socket.room = 1;
        (0..20).for_each(|number| _ = outbox.push(plain(number)));
        outbox.flush(&mut socket).unwrap();
        (20..40).for_each(|number| _ = outbox.push(plain(number)));
        assert_eq!(outbox.pieces(), 40);
        socket.room = usize::MAX;
        outbox.flush(&mut socket).unwrap();
        assert!(!outbox.has_caught_up(), "nothing was left out");
    }

    #[test]
    fn a_pong_that_waits_is_still_replaced_when_frames_before_it_have_gone() {
        let (mut outbox, mut socket) = (Outbox::default(), socket(0, usize::MAX));
        outbox.leave_out_above(Room { bytes: 1000, frames: usize::MAX });
        outbox.push(Frame::text("a"));
        outbox.flush(&mut socket).unwrap();
        outbox.push(Frame::text("b").passing());
        outbox.push_pong(b"\x8a\0");
        outbox.push(Frame::binary(&[0; 1000]));
        outbox.push_pong(b"\x8a\x01x");
        socket.room = usize::MAX;
        outbox.flush(&mut socket).unwrap();
        let expected = [Frame::text("a").as_bytes(), b"\x8a\x01x", Frame::binary(&[0; 1000]).as_bytes()].concat();
        assert_eq!(socket.taken, expected);
        assert_eq!(outbox.cost(), 0);
    }
}
