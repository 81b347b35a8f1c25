//! What a socket has not yet taken.
//!
//! The shard writes straight to the socket and keeps here only what the kernel refused, so an idle or healthy
//! connection holds no buffer. The bound on what can wait is one turn's answers: a connection with a
//! non-empty outbox is not read from, and it is closed when nothing moves for `WRITE_STALL_SECONDS`.

use std::io::{self, ErrorKind, Write};

/// Unsent bytes of one connection.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
}

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes that wait.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Writes `bytes` after what waits; keeps what the socket does not take. Returns how many bytes moved.
    pub(crate) fn send(&mut self, bytes: &[u8], socket: &mut impl Write) -> io::Result<usize> {
        if !self.is_empty() {
            self.bytes.extend_from_slice(bytes);
            return self.flush(socket);
        }
        let moved = write_some(bytes, socket)?;
        self.bytes.extend_from_slice(&bytes[moved..]);
        Ok(moved)
    }

    /// Writes what waits. Returns how many bytes moved.
    pub(crate) fn flush(&mut self, socket: &mut impl Write) -> io::Result<usize> {
        let moved = write_some(&self.bytes[self.sent..], socket)?;
        self.sent += moved;
        if self.sent == self.bytes.len() {
            *self = Self::default();
        }
        Ok(moved)
    }
}

/// Writes until the socket takes no more.
fn write_some(bytes: &[u8], socket: &mut impl Write) -> io::Result<usize> {
    let mut moved = 0;
    while moved < bytes.len() {
        match socket.write(&bytes[moved..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => moved += written,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(moved)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `room` bytes, then would block.
    struct Socket {
        room: usize,
        taken: Vec<u8>,
    }

    impl Write for Socket {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            let taken = bytes.len().min(self.room).min(2);
            self.room -= taken;
            self.taken.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_the_socket_refuses_waits_in_order() {
        let (mut outbox, mut socket) = (Outbox::default(), Socket { room: 3, taken: Vec::new() });
        assert_eq!(outbox.send(b"abcde", &mut socket).unwrap(), 3);
        assert_eq!(outbox.send(b"fg", &mut socket).unwrap(), 0);
        assert!(!outbox.is_empty());
        socket.room = 9;
        assert_eq!(outbox.flush(&mut socket).unwrap(), 4);
        assert!(outbox.is_empty());
        assert_eq!(socket.taken, b"abcdefg");
    }
}
