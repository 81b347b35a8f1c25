//! How many may listen to the modules, and from which pages.

use std::sync::Arc;

use crate::gate::Call;
use crate::hub::options::{may_open_sockets, seats_of_any_topic, socket_limits, socket_origins};
use crate::hub::{Full, Seat, SeatLimits, Seats};
use crate::net::SocketLimits;
use crate::settings::Settings;
use crate::store::Topic;

/// As configured.
pub(super) struct Listeners {
    /// Which pages may open sockets; `None`: any, and clients that are not pages.
    origins: Option<Vec<String>>,
    /// For a known user and for nobody.
    seats: [SeatLimits; 2],
    /// Bounds of each.
    pub(super) limits: Arc<SocketLimits>,
}

impl Listeners {
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            origins: socket_origins(settings),
            seats: seats_of_any_topic(settings),
            limits: Arc::new(socket_limits(settings)),
        }
    }

    /// The seat of who asks for a socket.
    pub(super) fn admit(&self, call: &Call<'_>, seats: &Seats, topic: &Topic) -> Result<Seat, &'static str> {
        if !may_open_sockets(self.origins.as_deref(), call.headers.get("origin")) {
            return Err("Origin not allowed");
        }
        let limits = &self.seats[usize::from(call.user.is_empty())];
        seats.take(topic, call.user, limits).map_err(|full| match full {
            Full::User => "User socket limit exceeded",
            Full::Global | Full::Topic | Full::TopicCap => "Global socket limit exceeded",
        })
    }
}
