//! Where the server listens: on what it was handed over, or else on what is configured.

use super::StartError;
use crate::net::options::LISTEN as PUBLIC;
use crate::net::{Bound, Endpoint, Listener, SocketFile};
use crate::plane::options::{LISTEN, TOKEN};
use crate::settings::Settings;
use crate::systemd::Inherited;

/// A public Unix socket is for a proxy that runs as another user of this group.
const PUBLIC_MODE: u32 = 0o660;
/// The private plane is for its own user.
const PRIVATE_MODE: u32 = 0o600;

/// What is listened on.
pub(super) struct Listeners {
    pub(super) public: Vec<Listener>,
    /// Those of the public Unix sockets.
    pub(super) files: Vec<SocketFile>,
    pub(super) private: Option<Bound>,
}

impl Listeners {
    pub(super) fn open(settings: &Settings, inherited: Inherited) -> Result<Self, StartError> {
        let configured = settings.endpoints(&PUBLIC);
        let public: Vec<Bound> = match inherited.http {
            Some(listener) => {
                let listener = Listener::Tcp(listener);
                let address = listener.endpoint().map(|endpoint| endpoint.to_string());
                log::info!(name = "http", address = address.as_deref(), instead_of = Endpoint::joined(configured); "socket.inherited");
                vec![Bound { listener, file: None }]
            }
            None => configured.iter().map(listen_publicly).collect::<Result<_, _>>()?,
        };
        let private = match (inherited.ops, settings.endpoint(&LISTEN)) {
            (Some(listener), _) => {
                if let (Some(Endpoint::Tcp(address)), None) = (listener.endpoint(), settings.text(&TOKEN))
                    && !address.ip().to_canonical().is_loopback()
                {
                    return Err(StartError::OpenPlane(address));
                }
                log::info!(name = "ops"; "socket.inherited");
                Some(Bound { listener, file: None })
            }
            (None, endpoint) => endpoint.map(listen_privately).transpose()?,
        };
        let mut files = Vec::new();
        let public = public.into_iter().map(|Bound { listener, file }| {
            files.extend(file);
            listener
        });
        Ok(Self { public: public.collect(), files, private })
    }
}

fn listen_publicly(endpoint: &Endpoint) -> Result<Bound, StartError> {
    Listener::bind(endpoint, PUBLIC_MODE).map_err(|source| StartError::Listen { endpoint: endpoint.clone(), source })
}

fn listen_privately(endpoint: &Endpoint) -> Result<Bound, StartError> {
    Listener::bind(endpoint, PRIVATE_MODE)
        .map_err(|source| StartError::ListenPrivately { endpoint: endpoint.clone(), source })
}
