//! What the connections of a shard work with during a turn.

use std::sync::Arc;
use std::time::Instant;

use super::date::http_date;
use super::http1::HeadLimits;
use super::mailbox::Ticket;
use super::response::{self, Manner, Response};
use super::service::Timeouts;
use crate::clock::Clock;
use crate::net::counters::Counters;
use crate::observe::throttle::LogThrottle;

/// Bytes read from a socket at once, into one buffer that all connections of the shard share.
const SCRATCH_BYTES: usize = 16 * 1024;
/// Answers that the clients of one shard may leave unread, all together; whose answer goes beyond is cut off.
pub(super) const UNSENT_MAX_BYTES: usize = 64 * 1024 * 1024;
/// Answer space kept from turn to turn; more is given back.
const ANSWERS_KEPT_BYTES: usize = 256 * 1024;

/// What every connection of a shard works with.
pub(crate) struct Tools<S> {
    /// One for each door.
    pub(crate) services: Vec<S>,
    pub(crate) limits: HeadLimits,
    pub(crate) timeouts: Timeouts,
    /// The time of this turn.
    pub(crate) now: Instant,
    pub(crate) stopping: bool,
    pub(crate) scratch: Vec<u8>,
    /// Encoded answers of the connection whose turn it is.
    pub(crate) answers: Vec<u8>,
    /// Bytes in all outboxes of the shard, and how many there may be.
    pub(crate) unsent: usize,
    pub(crate) unsent_max: usize,
    /// Clients let go because they do not read.
    pub(crate) cut_off: LogThrottle,
    /// Answers whose source failed.
    pub(crate) broken_off: LogThrottle,
    pub(crate) metrics: Arc<Counters>,
    pub(crate) clock: Clock,
    date: (i64, String),
    serial: u64,
}

impl<S> Tools<S> {
    pub(crate) fn new(
        services: Vec<S>,
        limits: HeadLimits,
        timeouts: Timeouts,
        metrics: Arc<Counters>,
        clock: Clock,
    ) -> Self {
        Self {
            services,
            limits,
            timeouts,
            now: clock.instant(),
            stopping: false,
            scratch: vec![0; SCRATCH_BYTES],
            answers: Vec::new(),
            unsent: 0,
            unsent_max: UNSENT_MAX_BYTES,
            cut_off: LogThrottle::new(),
            broken_off: LogThrottle::new(),
            metrics,
            clock,
            date: (i64::MIN, String::new()),
            serial: 0,
        }
    }

    pub(crate) fn ticket(&mut self, connection: usize) -> Ticket {
        self.serial += 1;
        Ticket { connection, serial: self.serial }
    }

    /// Adds an answer to what leaves with this turn.
    pub(crate) fn encode(&mut self, response: &Response, manner: Manner) {
        response::encode(response, manner, &self.date.1, &mut self.answers);
    }

    pub(crate) fn clear_answers(&mut self) {
        self.answers.clear();
        self.answers.shrink_to(ANSWERS_KEPT_BYTES);
    }

    /// Looks at the clock, once a turn.
    pub(crate) fn tick(&mut self) {
        self.now = self.clock.instant();
        let seconds = self.clock.now().seconds();
        if seconds != self.date.0 {
            self.date = (seconds, http_date(seconds));
        }
    }
}
