//! What the connections of a shard work with during a turn.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::date::http_date;
use super::held::{HELD_MAX_BYTES, Held};
use super::http1::HeadLimits;
use super::mailbox::Ticket;
use super::response::{self, Manner, Response};
use super::service::Timeouts;
use crate::clock::Clock;
use crate::net::counters::Counters;
use crate::observe::throttle::LogThrottle;

/// What one connection may take of its shard before the others have theirs. What is begun is finished, so it is one request
/// more at most.
pub(super) const SLICE: Duration = Duration::from_millis(2);
/// Bytes read from a socket at once, into one buffer that all connections of the shard share.
const SCRATCH_BYTES: usize = 16 * 1024;
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
    /// When the clock was last looked at, and until when the connection whose turn it is may go on.
    looked: Instant,
    slice_ends: Instant,
    pub(crate) stopping: bool,
    pub(crate) scratch: Vec<u8>,
    /// Encoded answers of the connection whose turn it is.
    pub(crate) answers: Vec<u8>,
    /// What is held for all connections of the shard.
    pub(crate) held: Held,
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
        let now = clock.instant();
        Self {
            services,
            limits,
            timeouts,
            now,
            looked: now,
            slice_ends: now + SLICE,
            stopping: false,
            scratch: vec![0; SCRATCH_BYTES],
            answers: Vec::new(),
            held: Held::new(HELD_MAX_BYTES),
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

    /// The slice of a connection begins.
    pub(crate) fn begin_slice(&mut self) {
        self.slice_ends = self.until_slice_ends();
    }

    /// Looks at the clock, after something that may have taken long: a request, or what was read at once.
    pub(crate) fn look(&mut self) {
        self.looked = self.clock.instant();
    }

    /// When a slice that begins now ends.
    pub(crate) fn until_slice_ends(&self) -> Instant {
        self.looked + SLICE
    }

    /// Whether that moment had passed when the clock was last looked at.
    pub(crate) fn has_passed(&self, moment: Instant) -> bool {
        self.looked >= moment
    }

    /// Whether the connection has had its time.
    pub(crate) fn is_slice_over(&self) -> bool {
        self.has_passed(self.slice_ends)
    }

    /// Looks at the clock, once a turn.
    pub(crate) fn tick(&mut self) {
        self.now = self.clock.instant();
        self.looked = self.now;
        let seconds = self.clock.now().seconds();
        if seconds != self.date.0 {
            self.date = (seconds, http_date(seconds));
        }
    }
}
