//! What is configured of rooms.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::gate::identity::options::TOKEN_KEYS;
use crate::gate::verifies_tokens;
use crate::hub::SeatLimits;
use crate::hub::options::{socket_limits, socket_origins};
use crate::net::{Endpoint, SocketLimits};
use crate::settings::{Kind, Knob, Section, Settings, flag, int, text};

/// The heading of all that belongs to them.
pub(super) static ROOMS: Section = Section { title: "Rooms", after: None };

pub(crate) static ENABLED: Knob = flag(&ROOMS, "ROOMS_ENABLED", "true").refusing().in_status("rooms_enabled").meaning(
    "Serves rooms at /rooms/NAME: documents that stock y-websocket clients edit together. With false, neither rooms \
     nor /signal are served; stored rooms are kept.",
);

pub(crate) static ADDR: Knob =
    Knob::new(&ROOMS, "ROOMS_ADDR", Kind::Endpoint, "off").refusing().only_with(&[&ENABLED]).meaning(
        "An additional address that serves only rooms, with the URLs of a y-websocket server: /NAME, /?room=NAME, \
     /health, /stats and /signal. For clients whose URL cannot be changed. The rooms are the same on both \
     addresses.",
    );

pub(crate) static WS_PORT: Knob =
    text(&ROOMS, "WS_PORT").refusing().ignored_with(&ADDR).only_with(&[&ENABLED]).meaning(
        "The port setting of the original y-websocket server, for migrating from it: if this or WS_HOST is set and \
     ROOMS_ADDR is not, rooms are served there. 1234 if only WS_HOST is set.",
    );

pub(crate) static WS_HOST: Knob = text(&ROOMS, "WS_HOST")
    .refusing()
    .ignored_with(&ADDR)
    .only_with(&[&ENABLED])
    .meaning("The address for WS_PORT: an IP address or localhost. 0.0.0.0 if only WS_PORT is set.");

pub(crate) static REQUIRE_TOKEN: Knob = Knob::new(
    &ROOMS,
    "ROOMS_REQUIRE_TOKEN",
    Kind::Choice(&["auto", "true", "false"]),
    "auto",
)
.refusing()
.reloading()
.only_with(&[&ENABLED])
.meaning(
    "Only identified users may enter rooms. auto means true in production and wherever tokens are verified, otherwise \
         false. With false, clients without credentials may read and write; an invalid token is rejected all the \
         same.",
);

pub(crate) static REQUIRE_GRANT: Knob =
    flag(&ROOMS, "ROOMS_REQUIRE_GRANT", "false").refusing().reloading().only_with(&TOKEN_KEYS).meaning(
        "Requires tokens to name the rooms they are for, in the claim rooms or room. With false, a token that names no \
     room is valid for all of them.",
    );

pub(crate) static MESSAGE_BYTES: Knob = Knob::new(
    &ROOMS,
    "ROOMS_MAX_MESSAGE_BYTES",
    int(1024, 67_108_864, "bytes"),
    "4194304",
)
.reloading()
.at_bound("closed with 1009", "a_message_is_taken_up_to_its_bound_and_closes_the_socket_beyond")
.meaning(
    "Maximum size of a binary message from a room's socket. A client that was offline sends all its changes in one \
     message.",
);

pub(crate) static TEXT_BYTES: Knob = Knob::new(&ROOMS, "ROOMS_MAX_TEXT_BYTES", int(64, 4_194_304, "bytes"), "65536")
    .reloading()
    .at_bound("closed with 1009", "a_message_is_taken_up_to_its_bound_and_closes_the_socket_beyond")
    .only_with(&[&ENABLED])
    .meaning("Maximum size of a text message (JSON) from a room's socket.");

pub(crate) static DOCUMENT_BYTES: Knob =
    Knob::new(&ROOMS, "ROOMS_MAX_DOCUMENT_BYTES", int(1024, DOCUMENT_MAX_BYTES as u64, "bytes"), "16777216")
        .reloading()
        .at_bound("the room becomes read-only", "a_room_that_is_full_is_only_read_and_says_so")
        .meaning(
            "Maximum size of a room's document. Beyond it, the room becomes read-only, and its writers are told why.",
        );

pub(crate) static SOCKETS_PER_ROOM: Knob =
    Knob::new(&ROOMS, "ROOMS_MAX_SOCKETS_PER_ROOM", int(1, 100_000, "sockets"), "500")
        .reloading()
        .at_bound("refused with 1013", "a_room_that_is_crowded_lets_nobody_else_in")
        .only_with(&[&ENABLED])
        .meaning("Maximum number of sockets in one room.");

pub(crate) static NEW_PER_HOUR: Knob = Knob::new(&ROOMS, "ROOMS_MAX_NEW_PER_HOUR", int(1, 1_000_000, "rooms"), "60")
    .reloading()
    .at_bound("the room is read-only for the client", "a_user_makes_so_many_rooms_and_the_next_one_is_only_read")
    .only_with(&[&ENABLED])
    .meaning(
        "How many new rooms one user may write to at once, and per hour after that; clients without a user count by \
         address. Rooms created by owners and by the operator do not count.",
    );

pub(crate) static UNLOAD_SECONDS: Knob = Knob::new(&ROOMS, "ROOMS_UNLOAD_SECONDS", int(0, 86_400, "seconds"), "30")
    .only_with(&[&ENABLED])
    .meaning("How long a room stays in memory after its last socket has left.");

pub(crate) static RETENTION_DAYS: Knob = Knob::new(&ROOMS, "ROOMS_RETENTION_DAYS", int(0, 36_500, "days"), "0")
    .refusing()
    .only_with(&[&ENABLED])
    .meaning("How long a room may have no socket before it is deleted with its contents. 0 keeps rooms forever.");

pub(crate) static GRACE_SECONDS: Knob =
    Knob::new(&ROOMS, "ROOMS_AWARENESS_GRACE_SECONDS", int(0, 30, "seconds"), "3").only_with(&[&ENABLED]).meaning(
        "How long the presence of a client is still shown after its socket has closed, so that others do not notice \
         a short network interruption.",
    );

pub(crate) static JSON_WAIT_MS: Knob =
    Knob::new(&ROOMS, "ROOMS_JSON_WAIT_MS", int(0, 60_000, "milliseconds"), "2000").only_with(&[&ENABLED]).meaning(
        "How long to wait for the first message of a client at /rooms/NAME before treating it as a JSON client and \
         sending init. Stock providers send one immediately. 0 waits for a text message instead.",
    );

pub(crate) const KNOBS: &[&Knob] = &[
    &ENABLED,
    &ADDR,
    &WS_PORT,
    &WS_HOST,
    &REQUIRE_TOKEN,
    &REQUIRE_GRANT,
    &MESSAGE_BYTES,
    &TEXT_BYTES,
    &DOCUMENT_BYTES,
    &SOCKETS_PER_ROOM,
    &NEW_PER_HOUR,
    &UNLOAD_SECONDS,
    &RETENTION_DAYS,
    &GRACE_SECONDS,
    &JSON_WAIT_MS,
];

/// The largest that a document may be, however it is configured.
pub(super) const DOCUMENT_MAX_BYTES: usize = 256 * 1024 * 1024;
/// Messages that a socket may send within a second. Far above what people type and far below what hurts.
pub(super) const MESSAGES_PER_SECOND_MAX: usize = 1000;
/// What may wait for a socket that does not read.
pub(super) const OUTBOX_MAX_BYTES: usize = 4 * 1024 * 1024;
pub(super) const OUTBOX_MAX_FRAMES: usize = 1024;
/// Sockets of one user, and of one address whose user is not known.
pub(super) const SOCKETS_PER_USER_MAX: usize = 50;
pub(super) const SOCKETS_PER_ADDRESS_MAX: usize = 100;
/// Rooms in memory.
pub(super) const LOADED_MAX_ROOMS: usize = 5000;

/// The port of stock y-websocket servers.
const ORIGINAL_PORT: u16 = 1234;

/// Where rooms have a door of their own, if they have one.
pub(super) fn places(settings: &Settings) -> Vec<Endpoint> {
    if !settings.flag(&ENABLED) {
        return Vec::new();
    }
    // What is none was refused where the configuration was read.
    let original = || original(settings).ok().flatten().map(Endpoint::Tcp);
    settings.endpoint(&ADDR).cloned().or_else(original).into_iter().collect()
}

/// Where the server listened that this one replaces, if its settings are given.
///
/// # Errors
/// Why one of them is no address or no port.
pub(super) fn original(settings: &Settings) -> Result<Option<SocketAddr>, String> {
    let (host, port) = (settings.text(&WS_HOST), settings.text(&WS_PORT));
    if host.is_none() && port.is_none() {
        return Ok(None);
    }
    let address = match host {
        None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Some("localhost") => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Some(text) => text.parse().map_err(|_| format!("WS_HOST={text} is neither an IP address nor localhost"))?,
    };
    let port = port.map_or(Ok(ORIGINAL_PORT), str::parse);
    let port = port.map_err(|_| {
        format!("WS_PORT={} is not a port: use a number from 0 to 65535", settings.text(&WS_PORT).unwrap_or_default())
    })?;
    Ok(Some(SocketAddr::new(address, port)))
}

/// Whether only users who are known get in.
pub(super) fn requires_token(settings: &Settings) -> bool {
    match settings.word(&REQUIRE_TOKEN) {
        "auto" => settings.production() || verifies_tokens(settings),
        word => word == "true",
    }
}

/// How rooms are served; taken anew by a reload.
#[derive(Debug, Clone)]
pub(super) struct Options {
    /// Which pages may open sockets; none: any, and clients that are not pages.
    pub(super) origins: Option<Vec<String>>,
    /// Whether who shows nothing is let in.
    pub(super) require_token: bool,
    /// Whether a token has to name its rooms.
    pub(super) require_grant: bool,
    pub(super) text_bytes: usize,
    pub(super) document_bytes: usize,
    pub(super) sockets_per_room: usize,
    /// How many rooms one user may make within an hour.
    pub(super) new_per_hour: u32,
    /// Bounds of each socket.
    pub(super) limits: Arc<SocketLimits>,
}

impl Options {
    /// As configured.
    pub(super) fn of(settings: &Settings) -> Self {
        let (message_bytes, text_bytes) = (settings.count(&MESSAGE_BYTES), settings.count(&TEXT_BYTES));
        let limits = SocketLimits {
            message_bytes: message_bytes.max(text_bytes),
            messages_per_second: MESSAGES_PER_SECOND_MAX,
            outbox_bytes: OUTBOX_MAX_BYTES,
            outbox_frames: OUTBOX_MAX_FRAMES,
            ..socket_limits(settings)
        };
        Self {
            origins: socket_origins(settings),
            require_token: requires_token(settings),
            require_grant: settings.flag(&REQUIRE_GRANT),
            text_bytes,
            document_bytes: settings.count(&DOCUMENT_BYTES),
            sockets_per_room: settings.count(&SOCKETS_PER_ROOM),
            new_per_hour: settings.small(&NEW_PER_HOUR),
            limits: Arc::new(limits),
        }
    }

    /// How many sockets there may be: a user is known or is an address.
    pub(super) fn seats(&self, is_known: bool) -> SeatLimits {
        SeatLimits {
            global: usize::MAX,
            per_topic: self.sockets_per_room,
            per_user: if is_known { SOCKETS_PER_USER_MAX } else { SOCKETS_PER_ADDRESS_MAX },
            topic_cap: usize::MAX,
        }
    }
}

/// Times that rooms keep; a reload leaves them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// How long an empty room stays.
    pub(super) unload: Duration,
    /// How long the presence of who has left is shown on.
    pub(super) grace: Duration,
    /// How long a silent client waits for `init`.
    pub(super) json_wait: Duration,
}

impl Times {
    /// As configured.
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            unload: settings.seconds(&UNLOAD_SECONDS),
            grace: settings.seconds(&GRACE_SECONDS),
            json_wait: Duration::from_millis(settings.count(&JSON_WAIT_MS) as u64),
        }
    }
}
