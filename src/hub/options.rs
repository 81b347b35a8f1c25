//! What is configured of sockets, no matter whose.

use super::SeatLimits;
use crate::net::SocketLimits;
use crate::net::options::BODY_TIMEOUT;
use crate::settings::{BoundRow, Kind, Knob, SOCKETS, Settings, flag, int};

pub(crate) static LIMITED: Knob = flag(&SOCKETS, "WS_LIMITS_ENABLED", "false")
    .in_production("true")
    .in_status("socket_limits")
    .refusing()
    .reloading()
    .guarding_against("clients can open any number of sockets")
    .meaning(
        "Applies the maximum numbers of sockets (WS_MAX_SOCKETS_PER_USER and the others), WS_MAX_MESSAGE_BYTES, \
         WS_MAX_MESSAGES_PER_SECOND and WS_ALLOWED_ORIGINS.",
    );

pub(crate) static PER_USER: Knob = Knob::new(&SOCKETS, "WS_MAX_SOCKETS_PER_USER", int(1, 1_000_000, "sockets"), "3")
    .reloading()
    .at_bound("refused with 1008", "who_has_all_sockets_gets_another_for_the_oldest_that_owes_a_pong")
    .only_with(&[&LIMITED])
    .meaning(
        "Maximum number of open sockets per user, if the limits are on. A further socket replaces the oldest one \
         that has not answered its last ping; if there is none, it is refused.",
    );

pub(crate) static GLOBAL: Knob = Knob::new(&SOCKETS, "WS_MAX_SOCKETS_GLOBAL", int(1, 1_000_000, "sockets"), "1000")
    .reloading()
    .at_bound("refused with 1008", "limits_are_met_in_their_order_and_seats_given_back")
    .only_with(&[&LIMITED])
    .meaning("Maximum number of open sockets in total, if the limits are on.");

pub(crate) static MESSAGE_BYTES: Knob = Knob::new(&SOCKETS, "WS_MAX_MESSAGE_BYTES", int(1, 1_048_576, "bytes"), "4096")
    .reloading()
    .at_bound("closed with 1008", "with_the_limits_on_a_message_is_taken_up_to_its_bound_and_not_one_byte_further")
    .only_with(&[&LIMITED])
    .meaning("Maximum size of a message from a socket, if the limits are on; otherwise 1048576.");

pub(crate) static MESSAGES_PER_SECOND: Knob =
    Knob::new(&SOCKETS, "WS_MAX_MESSAGES_PER_SECOND", int(1, 1_000_000, "messages"), "20")
        .reloading()
        .at_bound("closed with 1008", "with_the_limits_on_a_socket_may_send_so_many_messages_and_pings_within_a_second")
        .only_with(&[&LIMITED])
        .meaning("Maximum number of messages and pings per second from one socket, if the limits are on.");

pub(crate) static ORIGINS: Knob = Knob::new(&SOCKETS, "WS_ALLOWED_ORIGINS", Kind::Origins, "*")
    .for_production()
    .refusing()
    .reloading()
    .only_with(&[&LIMITED])
    .meaning(
        "The web origins whose pages may open sockets, if the limits are on. * or nothing allows any origin, and \
         clients that send no Origin; a list refuses both other origins and clients that send none. Must be a list \
         in strict production.",
    );

pub(crate) static PING: Knob = Knob::new(&SOCKETS, "WS_PING_SECONDS", int(1, 3600, "seconds"), "25")
    .reloading()
    .at_bound("closed without a close frame", "a_socket_that_answers_no_ping_is_closed_without_a_word")
    .meaning("How often each socket is pinged. A socket that has not answered by the next ping is closed.");

pub(crate) static OUTBOX_BYTES: Knob = Knob::new(&SOCKETS, "WS_OUTBOX_BYTES", int(1024, 67_108_864, "bytes"), "262144")
    .reloading()
    .at_bound("closed with 1013", "who_does_not_keep_up_is_closed_and_the_others_get_everything_in_time")
    .meaning(
        "Maximum amount of memory for messages that a socket's client has not read yet; each message counts as its \
         size plus 64 bytes. Beyond it, the socket is closed as a slow consumer (1013).",
    );

pub(crate) static STALL: Knob = Knob::new(&SOCKETS, "WS_STALL_SECONDS", int(1, 600, "seconds"), "10")
    .reloading()
    .at_bound("closed with 1013", "who_reads_nothing_for_too_long_while_something_waits_is_closed")
    .meaning(
        "How long a socket's client may stop reading pending messages before the socket is closed as a slow \
         consumer.",
    );

pub(crate) const KNOBS: &[&Knob] =
    &[&LIMITED, &PER_USER, &GLOBAL, &MESSAGE_BYTES, &MESSAGES_PER_SECOND, &ORIGINS, &PING, &OUTBOX_BYTES, &STALL];

/// The longest message taken from a socket, whatever the limits.
const SOCKET_MESSAGE_MAX_BYTES: usize = 1024 * 1024;

pub(crate) const BOUNDS: &[BoundRow] =
    &[BoundRow::new(&SOCKETS, "SOCKET_MESSAGE_MAX_BYTES", SOCKET_MESSAGE_MAX_BYTES as u64, "bytes")
        .of("A message from a socket, even if the limits are off.", "closed with 1008")
        .tested_by("with_the_limits_off_a_message_is_taken_up_to_a_mebibyte")];

/// What is no limit while the limits are off.
fn when_on(settings: &Settings, knob: &Knob) -> usize {
    if settings.flag(&LIMITED) { settings.count(knob) } else { usize::MAX }
}

impl SeatLimits {
    /// As configured. What kind of topic it is says how many sockets may be on one of them: while the limits are on, and,
    /// unless it is 0, in any case.
    pub fn of(settings: &Settings, per_topic: &Knob, topic_cap: &Knob) -> Self {
        Self {
            global: when_on(settings, &GLOBAL),
            per_topic: when_on(settings, per_topic),
            per_user: when_on(settings, &PER_USER),
            topic_cap: match settings.count(topic_cap) {
                0 => usize::MAX,
                cap => cap,
            },
        }
    }
}

/// As configured for topics that have no limit of their own: for a known user, and for nobody, of whom there may be many.
pub fn seats_of_any_topic(settings: &Settings) -> [SeatLimits; 2] {
    let seats = |per_user| SeatLimits {
        global: when_on(settings, &GLOBAL),
        per_topic: usize::MAX,
        per_user,
        topic_cap: usize::MAX,
    };
    [seats(when_on(settings, &PER_USER)), seats(usize::MAX)]
}

/// The bounds of each socket.
pub fn socket_limits(settings: &Settings) -> SocketLimits {
    SocketLimits {
        message_bytes: when_on(settings, &MESSAGE_BYTES).min(SOCKET_MESSAGE_MAX_BYTES),
        messages_per_second: when_on(settings, &MESSAGES_PER_SECOND),
        message_time: settings.seconds(&BODY_TIMEOUT),
        outbox_bytes: settings.count(&OUTBOX_BYTES),
        // Each takes memory, which is bounded.
        outbox_frames: usize::MAX,
        stall: settings.seconds(&STALL),
        ping: settings.seconds(&PING),
    }
}

/// The origins whose pages may open sockets; none: any, and clients that are no pages.
pub fn socket_origins(settings: &Settings) -> Option<Vec<String>> {
    let any = !settings.flag(&LIMITED) || any_page_may_open_sockets(settings);
    (!any).then(|| settings.origins(&ORIGINS).to_vec())
}

/// Whether a page of this origin may open a socket; `origins` are those of [`socket_origins`].
pub fn may_open_sockets(origins: Option<&[String]>, origin: Option<&[u8]>) -> bool {
    let listed = |origins: &[String]| origins.iter().any(|known| origin == Some(known.as_bytes()));
    origins.is_none_or(listed)
}

/// Why [`may_open_sockets`] turns an origin away, for a close: a page sees nothing else of a refusal.
pub fn refused_origin(origin: Option<&[u8]>) -> &'static str {
    match origin {
        Some(_) => "Origin not allowed: it is not in WS_ALLOWED_ORIGINS",
        None => "Origin not allowed: none was sent, and WS_ALLOWED_ORIGINS requires one",
    }
}

/// What to do about an origin that [`may_open_sockets`] turns away, for a hint.
pub fn origin_hint(origin: Option<&[u8]>) -> &'static str {
    match origin {
        Some(_) => "This server accepts sockets only from the origins in WS_ALLOWED_ORIGINS",
        None => "Send an Origin header: this server accepts sockets only from the origins in WS_ALLOWED_ORIGINS",
    }
}

/// Whether no origin would be turned away, though the limits be on.
pub(crate) fn any_page_may_open_sockets(settings: &Settings) -> bool {
    let origins = settings.origins(&ORIGINS);
    origins.is_empty() || origins.iter().any(|origin| origin == "*")
}
