//! What is configured of listening, connections and the requests they carry.

use std::time::Duration;

use super::{HeadLimits, Timeouts};
use crate::settings::{CONNECTIONS, Kind, Knob, SERVER, Settings, int, text};

pub(crate) static LISTEN: Knob =
    Knob::new(&SERVER, "LISTEN_ADDR", Kind::Endpoints, "127.0.0.1:8000").first().refusing().or_port("PORT").meaning(
        "The addresses to listen on: IP addresses with a port, and Unix sockets for a reverse proxy on this machine. \
     Port 0 picks any free port. The file of a Unix socket is created at start for this user and group (mode 660), \
     and removed on stop. Ignored if systemd passes a listening socket.",
    );

pub(crate) static TLS_CERTIFICATE: Knob = text(&SERVER, "TLS_CERT_FILE").for_production().refusing().meaning(
    "A PEM file with the certificate, followed by its intermediate certificates (fullchain.pem). With TLS_KEY_FILE, \
     it makes the addresses of LISTEN_ADDR and ROOMS_ADDR speak TLS 1.2 and 1.3; Unix sockets stay without TLS. The \
     files are checked every HOUSEKEEPING_SECONDS and on reload. A new pair takes effect at once; if it is invalid, \
     the error is logged and the old pair stays in use. The server has no ACME client: a proxy or another program \
     has to renew the files.",
);

pub(crate) static TLS_KEY: Knob = text(&SERVER, "TLS_KEY_FILE")
    .for_production()
    .refusing()
    .private()
    .meaning("A PEM file with the private key of TLS_CERT_FILE. If every user of the machine can read it, the server warns; in strict mode that is fatal.");

pub(crate) static TLS_REDIRECT: Knob =
    Knob::new(&SERVER, "TLS_REDIRECT_ADDR", Kind::Endpoint, "off").refusing().meaning(
        "The address that redirects plain HTTP to https with 308 and the same path, such as 0.0.0.0:80; off for none. \
     It redirects to the port of the first address in LISTEN_ADDR.",
    );

pub(crate) static TLS_HSTS: Knob =
    Knob::new(&SERVER, "TLS_HSTS_SECONDS", int(0, 63_072_000, "seconds"), "0").only_with(&[&TLS_CERTIFICATE]).meaning(
        "How long browsers that connected over TLS must use TLS only (Strict-Transport-Security). 0 sends no such \
     header. Browsers remember the value until it expires, so start with a day.",
    );

pub(crate) static SHARDS: Knob = Knob::new(&SERVER, "SHARDS", int(0, 256, "shards"), "0")
    .meaning("Number of threads that serve connections. 0 means one per CPU core.");

pub(crate) static DRAIN: Knob = Knob::new(&SERVER, "DRAIN_SECONDS", int(0, 600, "seconds"), "10")
    .at_bound("unfinished requests are aborted", "a_client_that_is_stuck_does_not_keep_it_beyond_the_drain_time")
    .meaning("On stop, the time that pending requests have to finish.");

pub(crate) static CONNECTIONS_MAX: Knob =
    Knob::new(&CONNECTIONS, "MAX_CONNECTIONS", int(0, 1_000_000, "connections"), "0")
        .at_bound("503 and closed", "one_connection_too_many_is_answered_503_until_another_leaves")
        .meaning(
            "Maximum number of open connections. 0 means the process's file descriptor limit minus 128, at most \
             10000.",
        );

pub(crate) static PER_ADDRESS_MAX: Knob =
    Knob::new(&CONNECTIONS, "MAX_CONNECTIONS_PER_ADDRESS", int(1, 1_000_000, "connections"), "256")
        .at_bound("503 and closed; trusted proxies are exempt", "one_address_cannot_take_every_connection")
        .meaning(
            "Maximum number of open connections from one client address; for a client behind a trusted proxy, maximum \
     number of sockets and waiting requests. IPv6 addresses count by /64.",
        );

pub(crate) static HEAD_BYTES: Knob = Knob::new(&CONNECTIONS, "HEAD_MAX_BYTES", int(1024, 1_048_576, "bytes"), "16384")
    .at_bound("431", "a_head_is_read_up_to_its_bounds_and_not_one_further")
    .meaning("Maximum size of a request head: the request line and all headers.");

pub(crate) static HEAD_HEADERS: Knob = Knob::new(&CONNECTIONS, "HEAD_MAX_HEADERS", int(8, 256, "headers"), "64")
    .at_bound("431", "a_head_is_read_up_to_its_bounds_and_not_one_further")
    .meaning("Maximum number of headers in a request.");

pub(crate) static TARGET_BYTES: Knob = Knob::new(&CONNECTIONS, "TARGET_MAX_BYTES", int(256, 65_536, "bytes"), "8192")
    .at_bound("414", "a_head_is_read_up_to_its_bounds_and_not_one_further")
    .meaning("Maximum length of a request target: the path and the query.");

pub(crate) static HEAD_TIMEOUT: Knob = Knob::new(&CONNECTIONS, "HEAD_TIMEOUT_SECONDS", int(1, 600, "seconds"), "10")
    .at_bound("408; closed if nothing was sent", "a_head_has_its_time_however_its_bytes_are_spread")
    .meaning("Time for a client to send the whole request head and, with TLS, to complete the handshake before it.");

pub(crate) static BODY_BYTES: Knob = Knob::new(&CONNECTIONS, "BODY_MAX_BYTES", int(1024, 67_108_864, "bytes"), "65536")
    .at_bound("413", "a_body_is_read_up_to_its_bound_and_not_one_byte_further")
    .meaning("Maximum size of a request body.");

pub(crate) static BODY_TIMEOUT: Knob = Knob::new(&CONNECTIONS, "BODY_TIMEOUT_SECONDS", int(1, 3600, "seconds"), "30")
    .at_bound("408", "a_body_has_its_time_however_its_bytes_are_spread")
    .meaning("Time for a client to send a whole request body, or a whole message on a socket.");

pub(crate) static KEEP_ALIVE: Knob = Knob::new(&CONNECTIONS, "KEEP_ALIVE_SECONDS", int(1, 3600, "seconds"), "75")
    .at_bound("closed", "an_idle_connection_is_closed_after_its_time")
    .meaning("How long an idle connection is kept open for the next request.");

pub(crate) static WRITE_STALL: Knob = Knob::new(&CONNECTIONS, "WRITE_STALL_SECONDS", int(1, 600, "seconds"), "30")
    .at_bound("closed", "a_client_that_never_reads_is_cut_off_and_stalls_nobody")
    .meaning("How long a client may stop reading a pending response before it is disconnected.");

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
