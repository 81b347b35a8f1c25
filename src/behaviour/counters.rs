//! What is counted of behaviour metrics.

use super::options::BEHAVIOUR;
use crate::observe::metrics::{Counter, Metrics, Row};

pub(crate) static EVENTS: Row = Row::counter(&BEHAVIOUR, "inkring_behaviour_events_total")
    .by(&["outcome"])
    .says("Events received, by outcome; a request refused by the rate limit counts as one", "What happens to events?");

pub(crate) static FILE_BYTES: Row = Row::gauge(&BEHAVIOUR, "inkring_behaviour_file_size_bytes")
    .says("Size of the current event file; 0 if there is none", "How large is the event file?");

pub(crate) static QUEUE: Row = Row::gauge(&BEHAVIOUR, "inkring_behaviour_sink_queue_depth")
    .says("Requests whose events wait to be written", "Can events be written?");

pub(crate) static HEALTHY: Row = Row::gauge(&BEHAVIOUR, "inkring_behaviour_sink_ok")
    .says("1 while events can be written, otherwise 0", "Can events be written?");

pub(crate) static FAILURES: Row = Row::counter(&BEHAVIOUR, "inkring_behaviour_sink_failures_total")
    .says("Failed writes and syncs of events", "Can events be written?");

pub(crate) static DISTURBED: Row =
    Row::counter(&BEHAVIOUR, "inkring_behaviour_file_disturbed_total").by(&["how"]).says(
        "Times the event file was found changed by others: gone, replaced, shorter, longer, torn",
        "Does something else change the event file?",
    );

pub(crate) static FILES: Row = Row::counter(&BEHAVIOUR, "inkring_behaviour_files_total")
    .by(&["step"])
    .says("Event files rotated, compressed or removed, and failed attempts", "Are event files rotated and removed?");

pub(crate) const ROWS: &[&Row] = &[&EVENTS, &FILE_BYTES, &QUEUE, &HEALTHY, &FAILURES, &DISTURBED, &FILES];

/// Events by what became of them.
#[derive(Debug, Clone)]
pub(super) struct Events {
    pub(super) stored: Counter,
    pub(super) sampled: Counter,
    pub(super) rejected: Counter,
    pub(super) do_not_track: Counter,
    pub(super) prefetch: Counter,
    pub(super) limited: Counter,
    pub(super) failed: Counter,
}

/// What the sink counts.
#[derive(Debug, Clone)]
pub(super) struct Disturbed {
    pub(super) gone: Counter,
    pub(super) replaced: Counter,
    pub(super) shorter: Counter,
    pub(super) longer: Counter,
    pub(super) torn: Counter,
}

/// What becomes of files.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) rotated: Counter,
    pub(super) compressed: Counter,
    pub(super) removed: Counter,
    pub(super) failed: Counter,
}

/// All that is counted.
#[derive(Debug, Clone)]
pub(super) struct Counters {
    pub(super) events: Events,
    pub(super) failures: Counter,
    pub(super) disturbed: Disturbed,
    pub(super) files: Files,
}

impl Counters {
    /// Those of a server.
    pub(super) fn new(metrics: &Metrics) -> Self {
        let (events, disturbed) = (metrics.counters(&EVENTS), metrics.counters(&DISTURBED));
        let files = metrics.counters(&FILES);
        Self {
            events: Events {
                stored: events.with(&["stored"]),
                sampled: events.with(&["sampled"]),
                rejected: events.with(&["rejected"]),
                do_not_track: events.with(&["do_not_track"]),
                prefetch: events.with(&["prefetch"]),
                limited: events.with(&["limited"]),
                failed: events.with(&["failed"]),
            },
            failures: metrics.counter(&FAILURES),
            disturbed: Disturbed {
                gone: disturbed.with(&["gone"]),
                replaced: disturbed.with(&["replaced"]),
                shorter: disturbed.with(&["shorter"]),
                longer: disturbed.with(&["longer"]),
                torn: disturbed.with(&["torn"]),
            },
            files: Files {
                rotated: files.with(&["rotated"]),
                compressed: files.with(&["compressed"]),
                removed: files.with(&["removed"]),
                failed: files.with(&["failed"]),
            },
        }
    }
}
