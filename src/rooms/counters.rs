//! What is counted of rooms.

use super::options::ROOMS;
use crate::observe::metrics::{Counter, Gauge, Histogram, Labelled, Metrics, Row, SECONDS, set_usize};

pub(crate) static SOCKETS: Row = Row::gauge(&ROOMS, "inkring_rooms_sockets_open")
    .by(&["dialect"])
    .says("Open sockets of rooms, by dialect: json, or only yjs", "Who is in the rooms?");

pub(crate) static LOADED: Row =
    Row::gauge(&ROOMS, "inkring_rooms_loaded").says("Rooms in memory", "How many rooms are in use?");

pub(crate) static MEMORY: Row = Row::gauge(&ROOMS, "inkring_rooms_memory_bytes")
    .says("Memory used by the documents of loaded rooms", "How much memory do rooms use?");

pub(crate) static LOAD: Row = Row::histogram(&ROOMS, "inkring_room_load_seconds", SECONDS)
    .says("Time to load a room", "Do people wait for a room?");

pub(crate) static UNLOADED: Row = Row::counter(&ROOMS, "inkring_rooms_unloaded_total")
    .says("Rooms unloaded because nobody used them", "How many rooms are in use?");

pub(crate) static FRAMES: Row = Row::counter(&ROOMS, "inkring_rooms_messages_total")
    .by(&["direction", "kind"])
    .says("Messages of rooms by kind; outgoing ones only if sent to a single socket", "What is sent in rooms?");

pub(crate) static BYTES: Row = Row::counter(&ROOMS, "inkring_rooms_received_bytes_total")
    .says("Bytes of messages received", "What is sent in rooms?");

pub(crate) static UPDATES: Row = Row::counter(&ROOMS, "inkring_rooms_updates_total").by(&["result"]).says(
    "Updates received: new, known, gap (requested again), bad (not an update), read_only, busy (closed with 1013)",
    "Are room changes accepted?",
);

pub(crate) static AWARENESS: Row = Row::counter(&ROOMS, "inkring_rooms_awareness_total")
    .by(&["result"])
    .says("Awareness messages: fresh, stale, bad, merged (too many from one socket), denied", "Is presence forwarded?");

pub(crate) static COMMIT: Row = Row::histogram(&ROOMS, "inkring_rooms_save_seconds", SECONDS)
    .says("Time from queuing updates for the writer until they are on disk", "How fast are room changes stored?");

pub(crate) static COMPACTIONS: Row = Row::counter(&ROOMS, "inkring_rooms_compactions_total")
    .says("Snapshots that replaced a log", "Are rooms compacted?");

pub(crate) static COMPACT: Row = Row::histogram(&ROOMS, "inkring_room_compact_seconds", SECONDS)
    .says("Time to make a snapshot", "Are rooms compacted?");

pub(crate) static QUARANTINED: Row = Row::gauge(&ROOMS, "inkring_rooms_quarantined")
    .says("Loaded rooms that are damaged and therefore read-only", "Are rooms damaged?");

pub(crate) static CLOSED: Row = Row::counter(&ROOMS, "inkring_rooms_sockets_closed_total")
    .by(&["code"])
    .says("Closed sockets of rooms by close code", "Why are sockets of rooms closed?");

pub(crate) static REFUSED: Row = Row::counter(&ROOMS, "inkring_rooms_sockets_refused_total")
    .by(&["reason"])
    .says("Sockets refused by rooms", "Why are sockets of rooms refused?");

pub(crate) static KEEP_ALIVES: Row = Row::counter(&ROOMS, "inkring_rooms_keep_alives_total")
    .says("Keep-alive messages, so that stock clients do not leave a silent room", "What is sent in rooms?");

pub(crate) static RESYNCS: Row = Row::counter(&ROOMS, "inkring_rooms_resyncs_total").says(
    "Times a client was asked to send everything again, because its update built on something missing",
    "Are room changes accepted?",
);

pub(crate) static SWITCHES: Row = Row::counter(&ROOMS, "inkring_rooms_dialect_switches_total")
    .by(&["to"])
    .says("Sockets that turned out to speak another dialect than they started with", "Who is in the rooms?");

pub(crate) const ROWS: &[&Row] = &[
    &SOCKETS,
    &SWITCHES,
    &LOADED,
    &UNLOADED,
    &MEMORY,
    &LOAD,
    &FRAMES,
    &BYTES,
    &KEEP_ALIVES,
    &UPDATES,
    &RESYNCS,
    &AWARENESS,
    &COMMIT,
    &COMPACTIONS,
    &COMPACT,
    &QUARANTINED,
    &CLOSED,
    &REFUSED,
];

/// What is counted.
pub(super) struct Counters {
    pub(super) load_seconds: Histogram,
    pub(super) unloaded: Counter,
    pub(super) received: Received,
    pub(super) sent_step1: Counter,
    pub(super) sent_step2: Counter,
    pub(super) sent_echo: Counter,
    pub(super) bytes: Counter,
    pub(super) updates: Updates,
    pub(super) awareness: States,
    pub(super) commit_seconds: Histogram,
    pub(super) compactions: Counter,
    pub(super) compact_seconds: Histogram,
    pub(super) closed: Labelled<Counter>,
    pub(super) refused: Labelled<Counter>,
    pub(super) keep_alives: Counter,
    pub(super) resyncs: Counter,
    pub(super) to_json: Counter,
    pub(super) to_yjs: Counter,
}

/// Messages by kind.
pub(super) struct Received {
    pub(super) step1: Counter,
    pub(super) step2: Counter,
    pub(super) update: Counter,
    pub(super) awareness: Counter,
    pub(super) query: Counter,
    pub(super) echo: Counter,
    pub(super) text: Counter,
    pub(super) other: Counter,
}

/// Updates by what became of them.
pub(super) struct Updates {
    pub(super) new: Counter,
    pub(super) known: Counter,
    pub(super) gap: Counter,
    pub(super) bad: Counter,
    pub(super) read_only: Counter,
    pub(super) busy: Counter,
}

/// Messages with states by what became of them.
pub(super) struct States {
    pub(super) fresh: Counter,
    pub(super) stale: Counter,
    pub(super) bad: Counter,
    pub(super) merged: Counter,
    pub(super) denied: Counter,
}

impl Counters {
    /// With nothing counted.
    pub(super) fn new(metrics: &Metrics) -> Self {
        let (frames, updates, states) =
            (metrics.counters(&FRAMES), metrics.counters(&UPDATES), metrics.counters(&AWARENESS));
        let (received, sent) = (|kind| frames.with(&["in", kind]), |kind| frames.with(&["out", kind]));
        let (switches, update, state) =
            (metrics.counters(&SWITCHES), |result| updates.with(&[result]), |result| states.with(&[result]));
        Self {
            load_seconds: metrics.histogram(&LOAD),
            unloaded: metrics.counter(&UNLOADED),
            received: Received {
                step1: received("step1"),
                step2: received("step2"),
                update: received("update"),
                awareness: received("awareness"),
                query: received("query_awareness"),
                echo: received("sync_status"),
                text: received("json"),
                other: received("unknown"),
            },
            sent_step1: sent("step1"),
            sent_step2: sent("step2"),
            sent_echo: sent("update"),
            bytes: metrics.counter(&BYTES),
            updates: Updates {
                new: update("new"),
                known: update("known"),
                gap: update("gap"),
                bad: update("bad"),
                read_only: update("read_only"),
                busy: update("busy"),
            },
            awareness: States {
                fresh: state("fresh"),
                stale: state("stale"),
                bad: state("bad"),
                merged: state("merged"),
                denied: state("denied"),
            },
            commit_seconds: metrics.histogram(&COMMIT),
            compactions: metrics.counter(&COMPACTIONS),
            compact_seconds: metrics.histogram(&COMPACT),
            closed: metrics.counters(&CLOSED),
            refused: metrics.counters(&REFUSED),
            keep_alives: metrics.counter(&KEEP_ALIVES),
            resyncs: metrics.counter(&RESYNCS),
            to_json: switches.with(&["json"]),
            to_yjs: switches.with(&["yjs"]),
        }
    }
}

/// The gauges of rooms, set whenever metrics are read.
pub(super) struct Gauges {
    loaded: Gauge,
    memory: Gauge,
    quarantined: Gauge,
    yjs: Gauge,
    json: Gauge,
}

impl Gauges {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let sockets = metrics.gauges(&SOCKETS);
        Self {
            loaded: metrics.gauge(&LOADED),
            memory: metrics.gauge(&MEMORY),
            quarantined: metrics.gauge(&QUARANTINED),
            yjs: sockets.with(&["yjs"]),
            json: sockets.with(&["json"]),
        }
    }

    /// Sets them.
    pub(super) fn set(&self, figures: &Figures) {
        set_usize(&self.loaded, figures.rooms);
        set_usize(&self.memory, figures.memory);
        set_usize(&self.quarantined, figures.read_only);
        set_usize(&self.json, figures.json_sockets);
        set_usize(&self.yjs, figures.sockets - figures.json_sockets);
    }
}

/// What there is in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) rooms: usize,
    /// Bytes.
    pub(super) memory: usize,
    /// Rooms that are only read.
    pub(super) read_only: usize,
    pub(super) sockets: usize,
    pub(super) json_sockets: usize,
}
