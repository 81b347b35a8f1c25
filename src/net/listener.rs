//! What is listened on, and the connections that come from there: TCP or Unix.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, TcpListener};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mio::event::Source;
use mio::{Interest, Registry, Token};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustls::ServerConfig;

use super::tls::stream::Encrypted;
use crate::settings::Endpoint;

/// Length of the accept queue (capped by net.core.somaxconn). The standard library asks for 128; beyond it SYNs are dropped
/// and clients retry after 1, 2, 4 s.
pub(super) const BACKLOG: i32 = 4096;

/// A place that is listened on.
#[derive(Debug)]
pub enum Listener {
    /// An address.
    Tcp(TcpListener),
    /// A Unix socket. The process that made its file removes it.
    Unix(UnixListener),
}

/// A bound place, and the file that came with it.
#[derive(Debug)]
pub struct Bound {
    /// The listener.
    pub listener: Listener,
    /// The file of a Unix socket that was made here; it goes when this is dropped.
    pub file: Option<SocketFile>,
}

/// The file of a Unix socket. Removes it when dropped, unless somebody else's stands there by now.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

impl Listener {
    /// Listens on an endpoint. The file of a Unix socket has this mode from its first moment on; a file that a server left
    /// behind which was killed is replaced, if it is a socket that nobody answers on.
    ///
    /// # Errors
    /// When the system refuses, most often because somebody listens there.
    pub fn bind(endpoint: &Endpoint, mode: u32) -> io::Result<Bound> {
        match endpoint {
            Endpoint::Tcp(address) => {
                let listener = TcpListener::bind(address)?;
                rustix::net::listen(&listener, BACKLOG)?;
                Ok(Bound { listener: Self::Tcp(listener), file: None })
            }
            Endpoint::Unix(path) => {
                let socket = match bind_unix(path, mode) {
                    Err(error) if error.kind() == ErrorKind::AddrInUse && is_left_behind(path) => {
                        fs::remove_file(path)?;
                        bind_unix(path, mode)?
                    }
                    bound => bound?,
                };
                let file = Some(SocketFile { path: path.clone(), identity: identity(path)? });
                Ok(Bound { listener: Self::Unix(socket), file })
            }
        }
    }

    /// Where it listens, with the port that the system chose if 0 was asked for. None for a Unix socket without a path.
    pub fn endpoint(&self) -> Option<Endpoint> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok().map(Endpoint::Tcp),
            Self::Unix(listener) => {
                let address = listener.local_addr().ok()?;
                address.as_pathname().map(|path| Endpoint::Unix(path.to_owned()))
            }
        }
    }
}

/// Nobody can connect between the birth of the file and its mode, because nobody listens yet.
fn bind_unix(path: &Path, mode: u32) -> io::Result<UnixListener> {
    let address = SocketAddrUnix::new(path)?;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    rustix::net::bind(&socket, &address)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(UnixListener::from(socket))
}

fn is_left_behind(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    is_socket && UnixStream::connect(path).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Peer {
    /// From this address.
    Ip(IpAddr),
    /// Through a Unix socket: from this machine.
    Unix,
}

impl Peer {
    /// As an address: who calls through a Unix socket is on this machine.
    #[must_use]
    pub fn address(self) -> IpAddr {
        match self {
            Self::Ip(address) => address,
            Self::Unix => Ipv4Addr::LOCALHOST.into(),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

/// A listener that a poll knows.
pub(crate) enum Polled {
    Tcp(mio::net::TcpListener),
    Unix(mio::net::UnixListener),
}

impl Polled {
    pub(crate) fn register(listener: Listener, registry: &Registry, token: Token) -> io::Result<Self> {
        match listener {
            Listener::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                let mut listener = mio::net::TcpListener::from_std(listener);
                registry.register(&mut listener, token, Interest::READABLE)?;
                Ok(Self::Tcp(listener))
            }
            Listener::Unix(listener) => {
                listener.set_nonblocking(true)?;
                let mut listener = mio::net::UnixListener::from_std(listener);
                registry.register(&mut listener, token, Interest::READABLE)?;
                Ok(Self::Unix(listener))
            }
        }
    }

    pub(crate) fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                Ok((Stream::Tcp(stream), Peer::Ip(peer.ip())))
            }
            Self::Unix(listener) => Ok((Stream::Unix(listener.accept()?.0), Peer::Unix)),
        }
    }
}

/// A connection. Never blocks.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(mio::net::TcpStream),
    Unix(mio::net::UnixStream),
    /// TCP with TLS on it.
    Tls(Box<Encrypted>),
}

impl Stream {
    /// Answers leave whole; waiting for an ACK to fill a segment would only delay them.
    pub(crate) fn send_at_once(&self) {
        if let Self::Tcp(stream) = self {
            let _ = stream.set_nodelay(true);
        }
    }

    /// From its first byte on it is to be TLS; a Unix socket stays as it is.
    pub(crate) fn encrypted(self, config: &Arc<ServerConfig>) -> Self {
        match self {
            Self::Tcp(stream) => Self::Tls(Box::new(Encrypted::new(stream, Arc::clone(config)))),
            other => other,
        }
    }

    /// Shuts it down. With TLS that is said before: [`ErrorKind::WouldBlock`] while it cannot be.
    pub(crate) fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(how),
            Self::Unix(stream) => stream.shutdown(how),
            Self::Tls(stream) => stream.shutdown(how),
        }
    }

    /// Before it is dropped with nothing under way: says good-bye, if that is how it is done.
    pub(crate) fn take_leave(&mut self) {
        if let Self::Tls(stream) = self {
            // Who does not hear it sees the connection end.
            let _ = stream.shutdown(Shutdown::Write);
        }
    }

    /// Whether it shakes hands, so that nothing of a request can have come.
    pub(crate) fn is_handshaking(&self) -> bool {
        if let Self::Tls(stream) = self { stream.is_handshaking() } else { false }
    }

    /// Whether there may be more to read than the socket itself has, or knows of.
    pub(crate) fn has_more(&self) -> bool {
        if let Self::Tls(stream) = self { stream.has_more() } else { false }
    }

    /// Memory, in bytes, of what was taken and has not left.
    pub(crate) fn held(&self) -> usize {
        if let Self::Tls(stream) = self { stream.held() } else { 0 }
    }

    /// Sends what the other side is owed before anything of ours.
    pub(crate) fn push(&mut self) -> io::Result<()> {
        if let Self::Tls(stream) = self { stream.push().map(drop) } else { Ok(()) }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write_vectored(slices),
            Self::Unix(stream) => stream.write_vectored(slices),
            Self::Tls(stream) => stream.write_vectored(slices),
        }
    }

    /// [`ErrorKind::WouldBlock`] while something that was taken has not left.
    fn flush(&mut self) -> io::Result<()> {
        // Sockets keep nothing back.
        if let Self::Tls(stream) = self { stream.flush() } else { Ok(()) }
    }
}

impl Source for Stream {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.register(registry, token, interests),
            Self::Unix(stream) => stream.register(registry, token, interests),
            Self::Tls(stream) => stream.socket().register(registry, token, interests),
        }
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.reregister(registry, token, interests),
            Self::Unix(stream) => stream.reregister(registry, token, interests),
            Self::Tls(stream) => stream.socket().reregister(registry, token, interests),
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.deregister(registry),
            Self::Unix(stream) => stream.deregister(registry),
            Self::Tls(stream) => stream.socket().deregister(registry),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_a_socket_has_its_mode_replaces_a_dead_one_and_goes_with_its_server() {
        let directory = tempfile::tempdir().unwrap();
        let endpoint = Endpoint::Unix(directory.path().join("s"));
        let Endpoint::Unix(path) = &endpoint else { panic!() };
        let first = Listener::bind(&endpoint, 0o660).unwrap();
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o660);
        assert_eq!(first.listener.endpoint().as_ref(), Some(&endpoint));
        let taken = Listener::bind(&endpoint, 0o600).unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AddrInUse, "somebody answers on it");
        // As after a kill: nobody listens, and the file is there.
        let Bound { listener, file } = first;
        drop((listener, file));
        drop(bind_unix(path, 0o660).unwrap());
        assert!(path.exists());
        let second = Listener::bind(&endpoint, 0o600).unwrap();
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(second);
        assert!(!path.exists());
        fs::write(path, "not a socket").unwrap();
        assert!(Listener::bind(&endpoint, 0o600).is_err(), "what is no socket is not replaced");
        assert!(path.exists());
    }
}
