//! A client of a room that speaks the Yjs wire by hand: what it sends are the bytes that it is told, what it gets is taken apart.

use super::socket::{BINARY, Frame, Sent, Socket};
use super::{Answer, Server};

/// The state vector of an empty document.
pub const EMPTY: &[u8] = &[0];
/// An awareness message of nobody.
pub const KEEP_ALIVE: &[u8] = &[1, 1, 0];

pub fn put_uint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Bytes after their number.
pub fn buf(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_uint(&mut out, bytes.len() as u64);
    out.extend_from_slice(bytes);
    out
}

/// A sync message: 0 step 1, 1 step 2, 2 update.
pub fn sync(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[0, kind][..], &buf(body)].concat()
}

/// The update by which a client adds text behind its own, which ends at this clock; at 0 it begins the text `t`.
pub fn typed(client: u64, clock: u64, text: &str) -> Vec<u8> {
    let mut out = vec![1, 1];
    put_uint(&mut out, client);
    put_uint(&mut out, clock);
    if clock == 0 {
        out.extend_from_slice(&[4, 1, 1, b't']);
    } else {
        out.push(0x84);
        put_uint(&mut out, client);
        put_uint(&mut out, clock - 1);
    }
    out.extend(buf(text.as_bytes()));
    out.push(0);
    out
}

/// An awareness message with one state.
pub fn present(client: u64, clock: u64, state: &str) -> Vec<u8> {
    let mut payload = vec![1];
    put_uint(&mut payload, client);
    put_uint(&mut payload, clock);
    payload.extend(buf(state.as_bytes()));
    [&[1][..], &buf(&payload)].concat()
}

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

/// What a sync message carries.
pub fn body(frame: &[u8]) -> &[u8] {
    let (mut length, mut at) = (0_usize, 2);
    for shift in 0.. {
        length |= usize::from(frame[at] & 0x7f) << (7 * shift);
        at += 1;
        if frame[at - 1] & 0x80 == 0 {
            break;
        }
    }
    assert_eq!(frame.len(), at + length, "one message in a frame");
    &frame[at..]
}
