//! One connection of a shard over TLS, as a stream that never blocks.
//!
//! Nothing is encrypted before what was encrypted earlier has left, so that a client which does not read costs one record here
//! ([`RECORD_BYTES`]) and waits in the outbox like any other. Until its first byte a client costs what a plain connection does.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::{ServerConfig, ServerConnection};

/// The most that is encrypted at once: what one record holds (RFC 8446 §5.1).
pub(crate) const RECORD_BYTES: usize = 16 * 1024;
/// How a handshake begins: the type of its record.
const HANDSHAKE: u8 = 22;

/// A connection to somebody who is to speak TLS.
pub(crate) struct Encrypted {
    socket: TcpStream,
    session: Session,
    /// The socket had less than was asked for when it was last read.
    drained: bool,
}

enum Session {
    /// Nothing has come yet.
    Greeting(Arc<ServerConfig>),
    /// It speaks TLS, or shakes hands.
    Open(Box<ServerConnection>),
    /// It speaks HTTP without TLS, and is told so in the same way.
    Plain,
}

impl fmt::Debug for Encrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Encrypted").field(&self.socket).finish()
    }
}

impl Encrypted {
    pub(crate) fn new(socket: TcpStream, config: Arc<ServerConfig>) -> Self {
        Self { socket, session: Session::Greeting(config), drained: false }
    }

    pub(crate) fn socket(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// Whether nothing of a request can have come yet.
    pub(crate) fn is_handshaking(&self) -> bool {
        match &self.session {
            Session::Greeting(_) => true,
            Session::Open(connection) => connection.is_handshaking(),
            Session::Plain => false,
        }
    }

    /// Whether there may be more to read, though less came than was asked for.
    pub(crate) fn has_more(&self) -> bool {
        !self.drained
    }

    /// Memory, in bytes, of what is encrypted and has not left.
    pub(crate) fn held(&self) -> usize {
        match &self.session {
            Session::Open(connection) if connection.wants_write() => RECORD_BYTES,
            _ => 0,
        }
    }

    /// Sends what is encrypted. False: the socket takes nothing more for now.
    pub(crate) fn push(&mut self) -> io::Result<bool> {
        match &mut self.session {
            Session::Open(connection) => push(connection, &mut self.socket),
            Session::Greeting(_) | Session::Plain => Ok(true),
        }
    }

    /// Says that nothing more comes, which is how a client knows that nobody has cut off the rest.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`] while that cannot be sent.
    pub(crate) fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        if let Session::Open(connection) = &mut self.session {
            connection.send_close_notify();
            if !push(connection, &mut self.socket)? {
                return Err(ErrorKind::WouldBlock.into());
            }
        }
        self.socket.shutdown(how)
    }

    /// Looks at the first byte, if it is there.
    fn greet(&mut self) -> io::Result<()> {
        let Session::Greeting(config) = &self.session else { return Ok(()) };
        let mut first = [0];
        if self.socket.peek(&mut first)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if first[0] != HANDSHAKE && first[0].is_ascii_uppercase() {
            self.session = Session::Plain;
            return Err(ErrorKind::Unsupported.into());
        }
        let mut connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        connection.set_buffer_limit(Some(RECORD_BYTES));
        self.session = Session::Open(Box::new(connection));
        Ok(())
    }
}

fn push(connection: &mut ServerConnection, socket: &mut TcpStream) -> io::Result<bool> {
    while connection.wants_write() {
        match connection.write_tls(socket) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// What has been decrypted. An end without a good-bye is an end: what it cuts off shows in the framing of requests.
fn decrypted(connection: &mut ServerConnection, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    match connection.reader().read(buffer) {
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(Some(0)),
        Err(error) => Err(error),
    }
}

/// Reads the socket, and notes whether that was all.
struct Noting<'a> {
    socket: &'a mut TcpStream,
    drained: &'a mut bool,
}

impl Read for Noting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.socket.read(buffer)?;
        *self.drained = count < buffer.len();
        Ok(count)
    }
}

impl Read for Encrypted {
    /// Reads the socket once at most. [`ErrorKind::Interrupted`]: something came, and nothing of it is for the caller, who comes
    /// again. [`ErrorKind::Unsupported`]: the client speaks HTTP without TLS; from now on this is its plain connection.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.greet()?;
        let connection = match &mut self.session {
            Session::Open(connection) => connection,
            Session::Greeting(_) | Session::Plain => {
                let count = self.socket.read(buffer)?;
                self.drained = count < buffer.len();
                return Ok(count);
            }
        };
        if let Some(count) = decrypted(connection, buffer)? {
            return Ok(count);
        }
        connection.read_tls(&mut Noting { socket: &mut self.socket, drained: &mut self.drained })?;
        if let Err(error) = connection.process_new_packets() {
            // It is told what was wrong, if it can still hear it.
            let _ = push(connection, &mut self.socket);
            return Err(io::Error::new(ErrorKind::InvalidData, error));
        }
        push(connection, &mut self.socket)?;
        decrypted(connection, buffer)?.ok_or_else(|| ErrorKind::Interrupted.into())
    }
}

impl Write for Encrypted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Session::Open(connection) = &mut self.session else { return self.socket.write_vectored(slices) };
        if !push(connection, &mut self.socket)? {
            return Err(ErrorKind::WouldBlock.into());
        }
        let count = connection.writer().write_vectored(slices)?;
        push(connection, &mut self.socket)?;
        Ok(count)
    }

    /// [`ErrorKind::WouldBlock`] while something is encrypted and has not left.
    fn flush(&mut self) -> io::Result<()> {
        if self.push()? { Ok(()) } else { Err(ErrorKind::WouldBlock.into()) }
    }
}
