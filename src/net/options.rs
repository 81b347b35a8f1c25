//! What is configured of listening, connections and the requests they carry.

use std::time::Duration;

use super::{HeadLimits, Timeouts};
use crate::settings::{CONNECTIONS, Kind, Knob, SERVER, Settings, int, text};

pub(crate) static LISTEN: Knob = Knob::new(&SERVER, "LISTEN_ADDR", Kind::Endpoints, "127.0.0.1:8000").first().refusing().or_port("PORT").meaning(
    "Where to listen: IP addresses with a port, and Unix sockets for a reverse proxy on this machine. Port 0 takes any \
     free port. The file of a Unix socket is made at the start, for this user and group (mode 660), and removed at the \
     stop. A listening socket that systemd hands over counts instead of all of them.",
);

pub(crate) static TLS_CERTIFICATE: Knob = text(&SERVER, "TLS_CERT_FILE").for_production().refusing().meaning(
    "A file with a certificate in PEM, and behind it those that lead to its authority (fullchain.pem). With it and its key, \
     the addresses of LISTEN_ADDR and ROOMS_ADDR speak TLS 1.2 and 1.3, and Unix sockets what they always spoke. The files are \
     looked at every HOUSEKEEPING_SECONDS and at a reload: a new pair is shown from then on, and one that is not good is told to the \
     log and leaves the old one in place. ACME is left to a proxy, or to what writes the files.",
);

pub(crate) static TLS_KEY: Knob = text(&SERVER, "TLS_KEY_FILE")
    .for_production()
    .refusing()
    .private()
    .meaning("The file with the private key of TLS_CERT_FILE in PEM, which only the user of the server may read.");

pub(crate) static TLS_REDIRECT: Knob = Knob::new(&SERVER, "TLS_REDIRECT_ADDR", Kind::Endpoint, "off").refusing().meaning(
    "Where plain HTTP is answered with 308 and the same path at https, such as 0.0.0.0:80; off for nowhere. It leads to the port of \
     the first address of LISTEN_ADDR.",
);

pub(crate) static TLS_HSTS: Knob = Knob::new(&SERVER, "TLS_HSTS_SECONDS", int(0, 63_072_000, "seconds"), "0").meaning(
    "For how many seconds a browser that was here over TLS is to come by TLS alone (Strict-Transport-Security). 0 says nothing. \
     It cannot be taken back sooner; begin with a day.",
);

pub(crate) static SHARDS: Knob = Knob::new(&SERVER, "SHARDS", int(0, 256, "shards"), "0")
    .meaning("How many threads serve connections. 0 means one per processor core.");

pub(crate) static DRAIN: Knob = Knob::new(&SERVER, "DRAIN_SECONDS", int(0, 600, "seconds"), "10")
    .at_bound("what is unfinished is cut off", "a_client_that_is_stuck_does_not_keep_it_beyond_the_drain_time")
    .meaning("How many seconds requests already under way are given to finish when the server stops.");

pub(crate) static CONNECTIONS_MAX: Knob =
    Knob::new(&CONNECTIONS, "MAX_CONNECTIONS", int(0, 1_000_000, "connections"), "0")
        .at_bound("503 and closed", "one_connection_too_many_is_answered_503_until_another_leaves")
        .meaning(
            "How many connections may be open at once. 0 means the descriptor limit of the process minus 128, at most \
             10000.",
        );

pub(crate) static PER_ADDRESS_MAX: Knob = Knob::new(
    &CONNECTIONS,
    "MAX_CONNECTIONS_PER_ADDRESS",
    int(1, 1_000_000, "connections"),
    "256",
)
.at_bound("503 and closed; trusted proxies are exempt", "one_address_cannot_take_every_connection")
.meaning(
    "How many connections one client address may have open at once, and how many sockets and waiting requests one \
             that comes through a trusted proxy. IPv6 addresses are counted together by /64.",
);

pub(crate) static HEAD_BYTES: Knob = Knob::new(&CONNECTIONS, "HEAD_MAX_BYTES", int(1024, 1_048_576, "bytes"), "16384")
    .at_bound("431", "a_head_is_read_up_to_its_bounds_and_not_one_further")
    .meaning("The longest request head accepted, in bytes: the request line and all headers.");

pub(crate) static HEAD_HEADERS: Knob = Knob::new(&CONNECTIONS, "HEAD_MAX_HEADERS", int(8, 256, "headers"), "64")
    .at_bound("431", "a_head_is_read_up_to_its_bounds_and_not_one_further")
    .meaning("The most headers accepted in one request.");

pub(crate) static TARGET_BYTES: Knob = Knob::new(&CONNECTIONS, "TARGET_MAX_BYTES", int(256, 65_536, "bytes"), "8192")
    .at_bound("414", "a_head_is_read_up_to_its_bounds_and_not_one_further")
    .meaning("The longest request target accepted, in bytes: the path and the query.");

pub(crate) static HEAD_TIMEOUT: Knob = Knob::new(&CONNECTIONS, "HEAD_TIMEOUT_SECONDS", int(1, 600, "seconds"), "10")
    .at_bound("408; closed if nothing was sent", "a_head_has_its_time_however_its_bytes_are_spread")
    .meaning("How many seconds a client has to send a whole request head, and with TLS for the handshake before it.");

pub(crate) static BODY_BYTES: Knob = Knob::new(&CONNECTIONS, "BODY_MAX_BYTES", int(1024, 67_108_864, "bytes"), "65536")
    .at_bound("413", "a_body_is_read_up_to_its_bound_and_not_one_byte_further")
    .meaning("The longest request body accepted, in bytes.");

pub(crate) static BODY_TIMEOUT: Knob = Knob::new(&CONNECTIONS, "BODY_TIMEOUT_SECONDS", int(1, 3600, "seconds"), "30")
    .at_bound("408", "a_body_has_its_time_however_its_bytes_are_spread")
    .meaning("How many seconds a client has to send a whole request body, or a whole message on a socket.");

pub(crate) static KEEP_ALIVE: Knob = Knob::new(&CONNECTIONS, "KEEP_ALIVE_SECONDS", int(1, 3600, "seconds"), "75")
    .at_bound("closed", "an_idle_connection_is_closed_after_its_time")
    .meaning("How many seconds an idle connection is kept open for the next request.");

pub(crate) static WRITE_STALL: Knob = Knob::new(&CONNECTIONS, "WRITE_STALL_SECONDS", int(1, 600, "seconds"), "30")
    .at_bound("closed", "a_client_that_never_reads_is_cut_off_and_stalls_nobody")
    .meaning("How many seconds a client may read nothing of a pending response before it is disconnected.");

pub(crate) const KNOBS: &[&Knob] = &[
    &LISTEN,
    &TLS_CERTIFICATE,
    &TLS_KEY,
    &TLS_REDIRECT,
    &TLS_HSTS,
    &SHARDS,
    &DRAIN,
    &CONNECTIONS_MAX,
    &PER_ADDRESS_MAX,
    &HEAD_BYTES,
    &HEAD_HEADERS,
    &TARGET_BYTES,
    &HEAD_TIMEOUT,
    &BODY_BYTES,
    &BODY_TIMEOUT,
    &KEEP_ALIVE,
    &WRITE_STALL,
];

impl HeadLimits {
    /// As configured.
    pub fn of(settings: &Settings) -> Self {
        Self {
            head_bytes: settings.count(&HEAD_BYTES),
            headers: settings.count(&HEAD_HEADERS),
            target_bytes: settings.count(&TARGET_BYTES),
        }
    }
}

impl Timeouts {
    /// As configured; how long a request may be `parked` is said by whom it waits for.
    pub fn of(settings: &Settings, parked: Duration) -> Self {
        Self {
            head: settings.seconds(&HEAD_TIMEOUT),
            body: settings.seconds(&BODY_TIMEOUT),
            keep_alive: settings.seconds(&KEEP_ALIVE),
            write_stall: settings.seconds(&WRITE_STALL),
            parked,
        }
    }
}
