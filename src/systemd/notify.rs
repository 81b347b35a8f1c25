//! What the service manager is told, one datagram each (sd_notify(3)).

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::clock::Clock;
use crate::text::{cut, is_hidden};

/// Where the service manager listens.
const SOCKET: &str = "NOTIFY_SOCKET";
/// How long a datagram may wait for a manager that is busy.
pub(super) const SEND_PATIENCE: Duration = Duration::from_secs(1);
/// A status line is not longer than this; a terminal shows it as one.
pub(super) const STATUS_MAX_CHARS: usize = 200;

/// Tells the service manager how it goes, if there is one that listens. Cheap to clone. What cannot be told is logged once
/// and otherwise no matter.
#[derive(Clone, Default)]
pub struct Notify(Option<Arc<Manager>>);

struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
    failed: AtomicBool,
}

impl Notify {
    /// Tells the socket that `NOTIFY_SOCKET` names.
    pub fn from_environment() -> Self {
        let Some(name) = env::var_os(SOCKET).filter(|name| !name.is_empty()) else { return Self::default() };
        match Self::to(&name) {
            Ok(notify) => notify,
            Err(error) => {
                let name = name.to_string_lossy();
                log::warn!(socket = name, error = error.to_string(); "notify.failed");
                Self::default()
            }
        }
    }

    /// Tells the socket at this path, or at this abstract address if it begins with `@`.
    ///
    /// # Errors
    /// When this is neither, or the system gives us no socket.
    pub fn to(name: &OsStr) -> io::Result<Self> {
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(name)?,
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "it is neither a path nor an abstract address",
                ));
            }
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(SEND_PATIENCE))?;
        Ok(Self(Some(Arc::new(Manager { socket, address, failed: AtomicBool::new(false) }))))
    }

    /// Whether there is anyone to tell.
    pub fn is_heard(&self) -> bool {
        self.0.is_some()
    }

    /// One line for `systemctl status`.
    pub fn status(&self, status: &str) {
        self.send(&status_line(status));
    }

    /// The start is over.
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\n{}", status_line(status)));
    }

    /// The configuration is read again; [`Notify::reloaded`] says that this is over. The status stays what it is.
    pub fn reloading(&self) {
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}", Clock::monotonic_micros()));
    }

    /// The configuration was read again, whatever came of it.
    pub fn reloaded(&self) {
        self.send("READY=1");
    }

    /// The stop has begun.
    pub fn stopping(&self, status: &str) {
        self.send(&format!("STOPPING=1\n{}", status_line(status)));
    }

    /// The watchdog need not bite for another interval.
    pub fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    fn send(&self, message: &str) {
        let Some(manager) = &self.0 else { return };
        if let Err(error) = manager.socket.send_to_addr(message.as_bytes(), &manager.address)
            && !manager.failed.swap(true, Ordering::Relaxed)
        {
            log::warn!(error = error.to_string(); "notify.failed");
        }
    }
}

/// `STATUS=` and the text on one line, however it was.
fn status_line(status: &str) -> String {
    let one_line: String = status.chars().map(|letter| if is_hidden(letter) { ' ' } else { letter }).collect();
    format!("STATUS={}", cut(&one_line, STATUS_MAX_CHARS))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// What arrives when these are told to a manager at a path and at an abstract address.
    fn told(tell: impl Fn(&Notify)) -> [String; 2] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let name = format!("inkring-test-{}", uuid::Uuid::new_v4());
        let listeners = [
            (UnixDatagram::bind(&path).unwrap(), path.into_os_string()),
            (
                UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap(),
                format!("@{name}").into(),
            ),
        ];
        listeners.map(|(manager, address)| {
            tell(&Notify::to(&address).unwrap());
            manager.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut buffer = [0; 1024];
            let length = manager.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..length].to_vec()).unwrap()
        })
    }

    #[test]
    fn each_message_is_one_datagram_to_a_path_or_an_abstract_address() {
        assert_eq!(told(|notify| notify.ready("here")), ["READY=1\nSTATUS=here"; 2]);
        assert_eq!(told(|notify| notify.stopping("going")), ["STOPPING=1\nSTATUS=going"; 2]);
        assert_eq!(told(Notify::alive), ["WATCHDOG=1"; 2]);
        assert_eq!(told(Notify::reloaded), ["READY=1"; 2]);
        for text in told(Notify::reloading) {
            let micros = text.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
            assert!(micros.parse::<u64>().unwrap() > 0, "{text}");
        }
    }

    #[test]
    fn a_status_is_one_line_of_bounded_length() {
        assert_eq!(told(|notify| notify.status("a\nREADY=1\r\u{0}b")), ["STATUS=a READY=1  b"; 2]);
        let cut = told(|notify| notify.status(&"é".repeat(1000)));
        assert_eq!(cut[0], format!("STATUS={}...<truncated>", "é".repeat(STATUS_MAX_CHARS)));
    }

    #[test]
    fn nobody_to_tell_and_nobody_any_more_are_no_errors() {
        assert!(!Notify::default().is_heard());
        Notify::default().ready("here");
        let directory = tempfile::tempdir().unwrap();
        let gone = Notify::to(directory.path().join("gone").as_os_str()).unwrap();
        gone.ready("here");
        gone.alive();
        assert!(gone.0.is_some_and(|manager| manager.failed.load(Ordering::Relaxed)));
        assert!(Notify::to(OsStr::new("vsock:2:1")).is_err());
    }
}
