//! Where the server listens: on what it was handed over, or else on what is configured.

use std::net::TcpListener;

use super::StartError;
use crate::config::Config;
use crate::net::side_door::Bound;
use crate::net::{self, Endpoint, Listening};
use crate::systemd::Inherited;

/// What is listened on.
pub(super) struct Listeners {
    pub(super) public: TcpListener,
    pub(super) private: Option<Bound>,
}

impl Listeners {
    pub(super) fn open(config: &Config, inherited: Inherited) -> Result<Self, StartError> {
        let refused = |source| StartError::Listen { address: config.listen, source };
        let public = match inherited.http {
            Some(listener) => {
                let address = listener.local_addr().map_err(refused)?.to_string();
                log::info!(name = "http", address, instead_of = config.listen.to_string(); "socket.inherited");
                listener
            }
            None => net::listen(config.listen).map_err(refused)?,
        };
        let private = match (inherited.ops, &config.operations.endpoint) {
            (Some(listening), _) => {
                if let (Some(Endpoint::Tcp(address)), None) = (listening.endpoint(), &config.operations.token)
                    && !address.ip().to_canonical().is_loopback()
                {
                    return Err(StartError::OpenPlane(address));
                }
                log::info!(name = "ops"; "socket.inherited");
                Some(Bound { listening, file: None })
            }
            (None, endpoint) => endpoint.as_ref().map(listen_privately).transpose()?,
        };
        Ok(Self { public, private })
    }
}

/// Binds the private plane's place.
fn listen_privately(endpoint: &Endpoint) -> Result<Bound, StartError> {
    Listening::bind(endpoint).map_err(|source| StartError::ListenPrivately { endpoint: endpoint.clone(), source })
}
