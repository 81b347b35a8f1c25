//! What is counted of connections, and of sockets as far as they are bytes.

use crate::observe::metrics::{Counter, Gauge, HTTP, Metrics, Row, SOCKETS};

/// Close codes that are counted by themselves. Clients may send almost any, so the rest are one.
const CLOSE_CODES: [u16; 14] = [1000, 1001, 1002, 1003, 1006, 1007, 1008, 1009, 1011, 1012, 1013, 4401, 4403, 4410];

pub(crate) static ACCEPT_ERRORS: Row = Row::counter(&HTTP, "inkring_accept_errors_total").says(
    "Connections that could not be accepted, most likely because the process ran out of file descriptors",
    "Can new connections be accepted?",
);

pub(crate) static CONNECTIONS: Row = Row::gauge(&HTTP, "inkring_connections")
    .says("Open connections, sockets included", "How close is it to the connection limit?");

pub(crate) static CONNECTIONS_LIMIT: Row = Row::gauge(&HTTP, "inkring_connections_limit")
    .says("Maximum number of open connections", "How close is it to the connection limit?");

pub(crate) static REFUSED: Row = Row::counter(&HTTP, "inkring_connections_refused_total").by(&["cap"]).says(
    "Connections refused because of too many in total (connections) or from one address (address)",
    "Are connections refused?",
);

pub(crate) static HANDSHAKES: Row = Row::counter(&HTTP, "inkring_tls_handshakes_total").by(&["outcome"]).says(
    "Finished TLS handshakes; those aborted as too slow, or to make room for others, count as failed",
    "Do TLS handshakes succeed?",
);

pub(crate) static CERTIFICATE_ENDS: Row = Row::gauge(&HTTP, "inkring_tls_certificate_end_timestamp_seconds").says(
    "When the certificate in use expires, in seconds since 1970; absent without a certificate",
    "When does the certificate expire?",
);

pub(crate) static BROKEN_OFF: Row = Row::counter(&HTTP, "inkring_http_answers_broken_off_total").says(
    "Responses cut off in the middle, because their source failed, took too long or had the wrong length",
    "Are responses cut off?",
);

pub(crate) static CLOSED: Row = Row::counter(&SOCKETS, "inkring_ws_closed_total").by(&["code"]).says(
    "Closed sockets by close code, including refused ones; other is a code chosen by the client",
    "Why are sockets closed?",
);

pub(crate) static SLOW_CLOSED: Row = Row::counter(&SOCKETS, "inkring_ws_slow_closed_total")
    .says("Sockets closed because their client did not keep up", "Do clients fail to keep up?");

pub(crate) static RECEIVED: Row = Row::counter(&SOCKETS, "inkring_ws_messages_received_total")
    .says("Messages received from sockets", "How much do clients send?");

pub(crate) static BYTES: Row = Row::counter(&SOCKETS, "inkring_ws_bytes_total")
    .by(&["direction"])
    .says("Bytes sent and received on sockets, from the handshake response on", "How much traffic is on the sockets?");

pub(crate) const ROWS: &[&Row] = &[
    &ACCEPT_ERRORS,
    &CONNECTIONS,
    &CONNECTIONS_LIMIT,
    &REFUSED,
    &HANDSHAKES,
    &CERTIFICATE_ENDS,
    &BROKEN_OFF,
    &CLOSED,
    &SLOW_CLOSED,
    &RECEIVED,
    &BYTES,
];

/// Connections, and sockets as far as they are bytes.
#[derive(Debug)]
pub struct Counters {
    /// Connections that could not be accepted.
    pub accept_errors: Counter,
    /// Open connections.
    pub connections: Gauge,
    /// How many there may be.
    pub connections_limit: Gauge,
    /// Refused because there were too many in all.
    pub refused_connections: Counter,
    /// Refused because there were too many of one address.
    pub refused_address: Counter,
    /// Handshakes of TLS that came to their end.
    pub handshakes_done: Counter,
    /// Those that did not.
    pub handshakes_failed: Counter,
    /// Answers that ended in the middle, because their source failed.
    pub broken_off: Counter,
    /// Messages from sockets.
    pub messages_received: Counter,
    /// Bytes from sockets.
    pub bytes_in: Counter,
    /// Bytes to sockets, from the answer to the handshake on.
    pub bytes_out: Counter,
    /// Sockets closed because their client did not keep up.
    pub slow_closed: Counter,
    closed: [Counter; CLOSE_CODES.len()],
    closed_otherwise: Counter,
}

impl Counters {
    /// With nothing counted.
    pub fn new(metrics: &Metrics) -> Self {
        let refused = metrics.counters(&REFUSED);
        let handshakes = metrics.counters(&HANDSHAKES);
        let bytes = metrics.counters(&BYTES);
        let closed = metrics.counters(&CLOSED);
        Self {
            accept_errors: metrics.counter(&ACCEPT_ERRORS),
            connections: metrics.gauge(&CONNECTIONS),
            connections_limit: metrics.gauge(&CONNECTIONS_LIMIT),
            refused_connections: refused.with(&["connections"]),
            refused_address: refused.with(&["address"]),
            handshakes_done: handshakes.with(&["done"]),
            handshakes_failed: handshakes.with(&["failed"]),
            broken_off: metrics.counter(&BROKEN_OFF),
            messages_received: metrics.counter(&RECEIVED),
            bytes_in: bytes.with(&["in"]),
            bytes_out: bytes.with(&["out"]),
            slow_closed: metrics.counter(&SLOW_CLOSED),
            closed: CLOSE_CODES.map(|code| closed.with(&[&code.to_string()])),
            closed_otherwise: closed.with(&["other"]),
        }
    }

    /// A socket ended with this code.
    pub fn closed(&self, code: u16) {
        let known = CLOSE_CODES.iter().position(|known| *known == code);
        known.map_or(&self.closed_otherwise, |at| &self.closed[at]).inc();
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::new(&Metrics::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_codes_of_the_clients_own_are_one() {
        let metrics = Metrics::default();
        let counters = Counters::new(&metrics);
        (0..1000).for_each(|number| counters.closed(3000 + number));
        let text = metrics.encode();
        assert!(text.contains("\ninkring_ws_closed_total{code=\"other\"} 1000\n"), "{text}");
        assert!(text.lines().count() < 50, "{text}");
    }
}
