//! A client of a room that speaks the Yjs wire by hand: what it sends are the bytes that it is told, what it gets is taken apart.

use super::socket::{BINARY, Frame, Sent, Socket};
use super::{Answer, Server};

pub use inkring_testkit::yjs::*;

/// A socket in a room.
pub struct Peer {
    pub socket: Socket,
}

impl Peer {
    /// Opens a socket that is let in, and reads the server's first word, which asks for everything.
    #[track_caller]
    pub fn enter(server: &Server, path: &str) -> Self {
        let mut peer = Self::open(server, path, &[]).1;
        assert_eq!(peer.binary()[..2], [0, 0], "step 1 comes first");
        peer
    }

    #[track_caller]
    pub fn open(server: &Server, path: &str, headers: &[(&str, &str)]) -> (Answer, Self) {
        let (answer, socket) = Socket::open(server, path, headers);
        assert_eq!(answer.status, 101, "{answer:?}");
        let mut peer = Self { socket };
        // A stock provider speaks at once; who says nothing for 2 s is taken for a client that speaks JSON.
        peer.send(KEEP_ALIVE);
        (answer, peer)
    }

    pub fn send(&mut self, message: &[u8]) {
        self.socket.send(&Sent::new(BINARY, message));
    }

    pub fn send_update(&mut self, update: &[u8]) {
        self.send(&sync(2, update));
    }

    /// The next binary frame, keep-alives left out.
    #[track_caller]
    pub fn binary(&mut self) -> Vec<u8> {
        loop {
            match self.socket.next() {
                Frame::Binary(bytes) if bytes == KEEP_ALIVE => {}
                Frame::Binary(bytes) => return bytes,
                other => panic!("{other:?} instead of a binary frame"),
            }
        }
    }

    /// The document as the server has it, as one update.
    #[track_caller]
    pub fn document(&mut self) -> Vec<u8> {
        self.send(&sync(0, EMPTY));
        let frame = self.binary();
        assert_eq!(frame[..2], [0, 1], "step 2: {frame:?}");
        body(&frame).to_vec()
    }

    /// Changes the document and waits until that is on disk.
    #[track_caller]
    pub fn change(&mut self, update: &[u8]) {
        self.send_update(update);
        assert_eq!(self.binary(), sync(2, update), "the echo of an update says that it is kept");
    }
}
