//! Where the server listens: on what it was handed over, or else on what is configured.

use std::io::{self, ErrorKind};

use super::StartError;
use crate::feature::Feature;
use crate::net::options::{LISTEN as PUBLIC, TLS_CERTIFICATE, TLS_REDIRECT};
use crate::net::{Bound, Endpoint, Listener, SocketFile};
use crate::plane::options::{LISTEN, TOKEN};
use crate::settings::Settings;
use crate::systemd::Inherited;

/// Where TLS is when no address says so.
const HTTPS_PORT: u16 = 443;
/// A public Unix socket is for a proxy that runs as another user of this group.
const PUBLIC_MODE: u32 = 0o660;
/// The private plane is for its own user.
const PRIVATE_MODE: u32 = 0o600;

/// What is listened on.
pub(super) struct Listeners {
    pub(super) public: Vec<Listener>,
    /// Where plain HTTP is led to TLS.
    pub(super) redirect: Option<Redirect>,
    /// Doors of features.
    pub(super) own: Vec<OwnListeners>,
    /// Those of all Unix sockets but the private one.
    pub(super) files: Vec<SocketFile>,
    pub(super) private: Option<Bound>,
    /// That there is no private plane, because somebody else has its default address.
    pub(super) left_out: Option<String>,
}

/// Where plain HTTP is led to TLS.
pub(super) struct Redirect {
    pub(super) listener: Listener,
    /// The port that it is led to.
    pub(super) port: u16,
}

/// Where a feature's own door is.
pub(super) struct OwnListeners {
    /// Its name.
    pub(super) door: &'static str,
    /// The number of the feature.
    pub(super) owner: usize,
    pub(super) listeners: Vec<Listener>,
}

impl Listeners {
    pub(super) fn open(settings: &Settings, inherited: Inherited, features: &[&Feature]) -> Result<Self, StartError> {
        let configured = settings.endpoints(&PUBLIC);
        let public: Vec<Bound> = match inherited.http {
            Some(listener) => {
                let address = listener.endpoint().map(|endpoint| endpoint.to_string());
                log::info!(name = "http", address = address.as_deref(), instead_of = Endpoint::joined(configured); "socket.inherited");
                vec![Bound { listener, file: None }]
            }
            None => configured.iter().map(listen_publicly).collect::<Result<_, _>>()?,
        };
        let mut left_out = None;
        let private = match (inherited.ops, settings.endpoint(&LISTEN)) {
            (Some(listener), _) => {
                if let (Some(ref place @ Endpoint::Tcp(address)), None) = (listener.endpoint(), settings.text(&TOKEN))
                    && place.reachable().is_some()
                {
                    return Err(StartError::OpenPlane(address));
                }
                log::info!(name = "ops"; "socket.inherited");
                Some(Bound { listener, file: None })
            }
            (None, None) => None,
            (None, Some(endpoint)) => match listen_privately(endpoint) {
                // Nobody has asked for this very address, and the public server is worth more.
                Err(source) if source.kind() == ErrorKind::AddrInUse && !settings.of(&LISTEN).origin.is_given() => {
                    left_out = Some(format!(
                        "the private plane is off, because {endpoint}, the default of {0}, is in use: set {0} to \
                         another address, or to off",
                        LISTEN.name
                    ));
                    None
                }
                bound => {
                    Some(bound.map_err(|source| StartError::ListenPrivately { endpoint: endpoint.clone(), source })?)
                }
            },
        };
        let mut files = Vec::new();
        let mut keep = |Bound { listener, file }| {
            files.extend(file);
            listener
        };
        let public: Vec<Listener> = public.into_iter().map(&mut keep).collect();
        let mut own = Vec::new();
        for (owner, feature) in features.iter().enumerate() {
            for door in feature.doors {
                let places = (door.places)(settings).into_iter();
                let bound = places.map(|place| listen_for(door.knob.name, place)).collect::<Result<Vec<_>, _>>()?;
                if !bound.is_empty() {
                    let listeners = bound.into_iter().map(&mut keep).collect();
                    own.push(OwnListeners { door: door.name, owner, listeners });
                }
            }
        }
        let redirect = match inherited.redirect {
            Some(_) if settings.text(&TLS_CERTIFICATE).is_none() => return Err(StartError::NothingToRedirectTo),
            Some(listener) => {
                log::info!(name = "redirect"; "socket.inherited");
                Some(Bound { listener, file: None })
            }
            None => {
                let place = settings.endpoint(&TLS_REDIRECT).cloned();
                place.map(|place| listen_for(TLS_REDIRECT.name, place)).transpose()?
            }
        };
        let redirect = redirect.map(&mut keep);
        let redirect = redirect.map(|listener| Redirect { listener, port: port_of(&public) });
        Ok(Self { public, redirect, own, files, private, left_out })
    }

    /// Every place where clients are served.
    pub(super) fn places(&self) -> Vec<Endpoint> {
        let own = self.own.iter().flat_map(|own| &own.listeners);
        self.public.iter().chain(own).filter_map(Listener::endpoint).collect()
    }
}

/// The port of the first address.
fn port_of(public: &[Listener]) -> u16 {
    let tcp = |listener: &Listener| match listener.endpoint() {
        Some(Endpoint::Tcp(address)) => Some(address.port()),
        _ => None,
    };
    public.iter().find_map(tcp).unwrap_or(HTTPS_PORT)
}

fn listen_for(setting: &'static str, endpoint: Endpoint) -> Result<Bound, StartError> {
    Listener::bind(&endpoint, PUBLIC_MODE).map_err(|source| StartError::ListenOwn { setting, endpoint, source })
}

fn listen_publicly(endpoint: &Endpoint) -> Result<Bound, StartError> {
    Listener::bind(endpoint, PUBLIC_MODE).map_err(|source| StartError::Listen { endpoint: endpoint.clone(), source })
}

fn listen_privately(endpoint: &Endpoint) -> io::Result<Bound> {
    Listener::bind(endpoint, PRIVATE_MODE)
}
