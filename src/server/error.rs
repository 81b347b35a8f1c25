//! Why a server does not start, or does not follow another configuration.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use crate::feature;
use crate::gate::PolicyError;
use crate::net::Endpoint;
use crate::store::{OpenError, in_use};

/// What to do about an address that cannot be listened on.
fn remedy(endpoint: &Endpoint, source: &Error) -> &'static str {
    match (endpoint, source.kind()) {
        (Endpoint::Unix(path), ErrorKind::AddrInUse) if !is_socket(path) => {
            "; a file that is not a socket has this path: use another path, or move the file away"
        }
        (_, ErrorKind::AddrInUse) => {
            "; stop the program that listens there, perhaps another inkring, or set another address"
        }
        (Endpoint::Unix(_), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            "; create the directory of the socket, or correct the path"
        }
        (Endpoint::Unix(_), ErrorKind::PermissionDenied) => "; use a path in a directory that inkring can write to",
        (_, ErrorKind::PermissionDenied) => "; use a port from 1024 on, or have systemd pass the socket",
        (_, ErrorKind::AddrNotAvailable) => "; use an address of this machine",
        _ => "",
    }
}

/// Whether the file of a Unix socket is one.
fn is_socket(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.file_type().is_socket())
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The address cannot be listened on.
    #[error("cannot listen on LISTEN_ADDR={endpoint}: {source}{}", remedy(endpoint, source))]
    Listen {
        /// As configured.
        endpoint: Endpoint,
        /// What the system said.
        source: Error,
    },
    /// The address is in use, and so is the database: the server that was to be started runs already.
    #[error(
        "process {pid} already serves {database}, and LISTEN_ADDR={endpoint} is in use; stop it first, or set both \
         LISTEN_ADDR and DATABASE_URL for a second server"
    )]
    Served {
        /// The process that has the database.
        pid: String,
        /// As configured.
        database: String,
        /// As configured.
        endpoint: Endpoint,
    },
    /// A feature's own door cannot be where it should.
    #[error("cannot listen on {setting}={endpoint}: {source}{}", remedy(endpoint, source))]
    ListenOwn {
        /// The name of its setting.
        setting: &'static str,
        /// As configured.
        endpoint: Endpoint,
        /// What the system said.
        source: Error,
    },
    /// The private plane cannot listen where it should.
    #[error(
        "cannot listen on OPS_ADDR={endpoint} for the private plane: {source}; use another address, or disable it \
         with OPS_ADDR=off"
    )]
    ListenPrivately {
        /// As configured, or its default.
        endpoint: Endpoint,
        /// What the system said.
        source: Error,
    },
    /// A socket for the private plane was handed over that other machines can reach, and there is no token.
    #[error(
        "the socket for the private plane at {0} can be reached from other machines, and the plane gives access to \
         the whole database: set OPS_TOKEN, or use an address of this machine in the socket's unit"
    )]
    OpenPlane(SocketAddr),
    /// A socket for plain HTTP was handed over, and there is no TLS.
    #[error(
        "a socket named redirect was handed over, which redirects to TLS, and TLS is not set up: set TLS_CERT_FILE and \
         TLS_KEY_FILE, or disable the socket's unit"
    )]
    NothingToRedirectTo,
    /// The certificate or its key cannot be used.
    #[error("{0}")]
    Tls(String),
    /// The keys cannot be used, or strangers could claim any name.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The system refused a thread or a poll.
    #[error(
        "cannot start the server's threads: {0}; raise the limits of the process: of open files (ulimit -n, or LimitNOFILE= \
         in the unit), or of threads (ulimit -u, or TasksMax=)"
    )]
    Threads(Error),
    /// A feature cannot be used.
    #[error("{name} cannot start: {source}")]
    Feature {
        /// Its name.
        name: &'static str,
        /// What it said.
        source: feature::StartError,
    },
}

impl StartError {
    /// The same, of a server with this database: says which process has it where that is why the address is in use.
    pub(super) fn of(self, database: &Path) -> Self {
        match self {
            Self::Listen { endpoint, source } if source.kind() == ErrorKind::AddrInUse => match in_use(database) {
                Ok(Some(pid)) => Self::Served { pid, database: database.display().to_string(), endpoint },
                _ => Self::Listen { endpoint, source },
            },
            other => other,
        }
    }
}
