//! Where the server listens: on what it was handed over, or else on what is configured.

use std::net::TcpListener;

use super::StartError;
use crate::net::side_door::Bound;
use crate::net::{self, Endpoint, Listening};
use crate::ops::options::{LISTEN, TOKEN};
use crate::settings::Settings;
use crate::systemd::Inherited;

/// What is listened on.
pub(super) struct Listeners {
    pub(super) public: TcpListener,
    pub(super) private: Option<Bound>,
}

impl Listeners {
    pub(super) fn open(settings: &Settings, inherited: Inherited) -> Result<Self, StartError> {
        let configured = settings.address(&net::options::LISTEN);
        let refused = |source| StartError::Listen { address: configured, source };
        let public = match inherited.http {
            Some(listener) => {
                let address = listener.local_addr().map_err(refused)?.to_string();
                log::info!(name = "http", address, instead_of = configured.to_string(); "socket.inherited");
                listener
            }
            None => net::listen(configured).map_err(refused)?,
        };
        let private = match (inherited.ops, settings.endpoint(&LISTEN)) {
            (Some(listening), _) => {
                if let (Some(Endpoint::Tcp(address)), None) = (listening.endpoint(), settings.text(&TOKEN))
                    && !address.ip().to_canonical().is_loopback()
                {
                    return Err(StartError::OpenPlane(address));
                }
                log::info!(name = "ops"; "socket.inherited");
                Some(Bound { listening, file: None })
            }
            (None, endpoint) => endpoint.map(listen_privately).transpose()?,
        };
        Ok(Self { public, private })
    }
}

/// Binds the private plane's place.
fn listen_privately(endpoint: &Endpoint) -> Result<Bound, StartError> {
    Listening::bind(endpoint).map_err(|source| StartError::ListenPrivately { endpoint: endpoint.clone(), source })
}
