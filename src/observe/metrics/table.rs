//! Every family of metrics once, as data: the registry, `docs/METRICS.md` and the Grafana dashboard are made of it.

use Kind::{Counter, Gauge, Histogram};
use Section::{Audit, Backups, Drafts, Http, Limits, Process, Sockets, Storage};

/// Upper bounds of buckets in seconds: from half a millisecond, below which nothing needs to be known, to the ten seconds
/// after which a client has long given up.
pub const SECONDS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Upper bounds of buckets in jobs of one commit; there are never more than 256.
pub const JOBS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// What a family measures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Something that happened, counted since the start.
    Counter,
    /// How something stands.
    Gauge,
    /// How values are spread, up to these upper bounds and beyond.
    Histogram(&'static [f64]),
}

impl Kind {
    /// As in the `# TYPE` line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Counter => "counter",
            Gauge => "gauge",
            Histogram(_) => "histogram",
        }
    }
}

/// What families belong together, on the page and on the dashboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// The process.
    Process,
    /// Requests and connections.
    Http,
    /// Who is turned away.
    Limits,
    /// WebSockets and the events they are told.
    Sockets,
    /// Drafts and their rings.
    Drafts,
    /// The writer and the database.
    Storage,
    /// The audit log.
    Audit,
    /// Copies of the database.
    Backups,
}

impl Section {
    /// All, in the order of the page.
    pub const ALL: [Self; 8] = [Process, Http, Limits, Sockets, Drafts, Storage, Audit, Backups];

    /// The heading.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Process => "Process",
            Http => "HTTP",
            Limits => "Limits and identity",
            Sockets => "Sockets",
            Drafts => "Drafts",
            Storage => "Storage",
            Audit => "Audit log",
            Backups => "Backups",
        }
    }
}

/// One family.
#[derive(Debug)]
pub struct Row {
    /// Where it belongs.
    pub section: Section,
    /// As its samples are named; for a histogram without `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// What it measures.
    pub kind: Kind,
    /// Its labels, in their order. None of them ever names a user or a draft.
    pub labels: &'static [&'static str],
    /// What a sample is, for the `# HELP` line; without a full stop, and without what would have to be escaped there.
    pub help: &'static str,
    /// The question it answers. Families that answer the same one share a panel of the dashboard.
    pub question: &'static str,
}

const fn row(
    section: Section,
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
    question: &'static str,
) -> Row {
    Row { section, name, kind, labels, help, question }
}

/// The family of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.name == name)
}

/// Every family, in the order of the page.
#[rustfmt::skip]
pub const TABLE: &[Row] = &[
    row(Process, "build_info", Gauge, &["version", "sqlite"],
        "Always 1; the labels say which inkring runs on which SQLite", "What runs?"),
    row(Process, "start_time_seconds", Gauge, &[],
        "When the server started, in seconds since 1970", "Since when does it run?"),
    row(Process, "ready", Gauge, &[],
        "Whether /readyz said yes when it was last asked; 1 until somebody asks", "Is it ready?"),
    row(Process, "readiness_changes_total", Counter, &[],
        "How often the answer of /readyz was another than before", "Does readiness flap?"),
    row(Process, "open_fds", Gauge, &[],
        "Open file descriptors", "How far is it from the limit of open files?"),
    row(Process, "max_fds", Gauge, &[],
        "Limit of open file descriptors", "How far is it from the limit of open files?"),
    row(Process, "threads", Gauge, &[],
        "Threads of the process", "Are there more threads than there were?"),
    row(Process, "resident_memory_bytes", Gauge, &[],
        "Memory that is resident", "Does memory grow?"),
    row(Process, "panics_total", Counter, &[],
        "Panics, each of which was caught or ended its thread", "Is there a bug?"),
    row(Process, "log_messages_total", Counter, &["level"],
        "Log lines by level, those of dependencies included", "Does the log complain more than usual?"),
    row(Process, "log_lines_dropped_total", Counter, &[],
        "Log lines lost because stderr did not take them in time", "Is the log complete?"),

    row(Http, "http_requests_total", Counter, &["method", "path", "status"],
        "Answered requests; path is the route, or unmatched where there is none", "What is asked, and how is it answered?"),
    row(Http, "http_request_duration_seconds", Histogram(SECONDS), &["path"],
        "From the moment that a request is there as a whole to its answer, the wait for the commit included", "How long do answers take?"),
    row(Http, "http_in_flight", Gauge, &[],
        "Requests that were taken and are not answered yet, because their change is still to be committed", "How many requests wait for their answer?"),
    row(Http, "http_rejected_total", Counter, &["status"],
        "What was sent and was no good request, by the status of the refusal; not among http_requests_total", "Who speaks bad HTTP?"),
    row(Http, "accept_errors_total", Counter, &[],
        "Connections that could not be accepted, most likely because open files ran out", "Can new connections be taken?"),
    row(Http, "connections", Gauge, &[],
        "Open connections, sockets included", "How far is it from the limit of connections?"),
    row(Http, "connections_limit", Gauge, &[],
        "Connections that may be open", "How far is it from the limit of connections?"),
    row(Http, "connections_refused_total", Counter, &["cap"],
        "Connections refused because there were too many in all (connections) or of one address (address)", "Are connections turned away?"),

    row(Limits, "ratelimit_block_total", Counter, &["scope"],
        "Requests refused with 429 rate_limited, by route", "Who meets the rate limits, and where?"),
    row(Limits, "ratelimit_keys", Gauge, &[],
        "Users and addresses whose bucket is not full at this moment", "How many does the rate limit count?"),
    row(Limits, "auth_failures_total", Counter, &["reason"],
        "Requests and sockets of which nobody knows who they are, by what was wrong", "Does somebody try tokens?"),

    row(Sockets, "ws_connections_total", Counter, &[],
        "Sockets that were let in", "How many sockets come?"),
    row(Sockets, "ws_active_connections", Gauge, &[],
        "Sockets that are open", "How many watch?"),
    row(Sockets, "drafts_active_rooms", Gauge, &[],
        "Drafts that somebody watches", "How many watch?"),
    row(Sockets, "ws_refused_total", Counter, &["reason"],
        "Sockets that were told why they get nothing, and closed", "Which sockets are turned away?"),
    row(Sockets, "ws_closed_total", Counter, &["code"],
        "Sockets that ended, by close code, those turned away included; other is a code of the client's own", "How do sockets end?"),
    row(Sockets, "ws_slow_closed_total", Counter, &[],
        "Sockets closed because their client did not keep up", "Are there clients that do not keep up?"),
    row(Sockets, "ws_messages_sent_total", Counter, &["event_type"],
        "Events handed to sockets, each delivery once, live or when catching up", "What are watchers told?"),
    row(Sockets, "ws_messages_received_total", Counter, &[],
        "Messages that came from sockets", "How much do clients say?"),
    row(Sockets, "ws_bytes_total", Counter, &["direction"],
        "Bytes of sockets, in from clients and out to them, from the answer to the handshake on", "How much traffic is on the sockets?"),
    row(Sockets, "ws_replay_total", Counter, &["result"],
        "Sockets that caught up: full, nothing is missing; partial, only the newest events were there; none, not one was", "Do returning clients get all they missed?"),
    row(Sockets, "append_to_deliver_seconds", Histogram(SECONDS), &[],
        "From the commit of an event until the last socket of a shard has it to be sent, once per event and shard", "How soon do watchers know?"),

    row(Drafts, "collab_mutations_total", Counter, &["type"],
        "Changes that were committed; a repeated one is none", "What is changed?"),
    row(Drafts, "ring_conflicts_total", Counter, &["code"],
        "Changes that the rules of the ring refused, by rule", "Do clients act out of turn?"),

    row(Storage, "commit_duration_seconds", Histogram(SECONDS), &[],
        "From the beginning of a batch of changes to the end of its fsync", "How fast is the disk?"),
    row(Storage, "commit_batch_jobs", Histogram(JOBS), &[],
        "Changes in one commit", "How many changes share a commit?"),
    row(Storage, "writer_queue_wait_seconds", Histogram(SECONDS), &[],
        "How long a change waits until its batch begins", "Do changes wait for the writer?"),
    row(Storage, "writer_queue_depth", Gauge, &[],
        "Changes that wait for the writer", "How full is the writer's queue?"),
    row(Storage, "writer_queue_limit", Gauge, &[],
        "Changes that may wait for the writer", "How full is the writer's queue?"),
    row(Storage, "storage_readonly", Gauge, &[],
        "1 while the storage takes no changes", "Are changes taken?"),
    row(Storage, "db_size_bytes", Gauge, &[],
        "Size of the database file", "How large is the database?"),
    row(Storage, "wal_size_bytes", Gauge, &[],
        "Size of the write-ahead log beside it", "How large is the database?"),
    row(Storage, "freelist_bytes", Gauge, &[],
        "Unused pages inside the database file, to be used again", "How large is the database?"),
    row(Storage, "disk_free_bytes", Gauge, &[],
        "What the file system of the database has left for us", "How much room is left on the disk?"),
    row(Storage, "checkpoint_duration_seconds", Histogram(SECONDS), &[],
        "How long it takes to move the log into the database, during which changes wait", "Do checkpoints hold changes up?"),
    row(Storage, "checkpoint_busy_total", Counter, &[],
        "Checkpoints that a reader kept from moving everything", "Do checkpoints get through?"),

    row(Audit, "audit_rows_total", Counter, &[],
        "Rows of the audit log that are on disk", "Is everything recorded?"),
    row(Audit, "audit_failures_total", Counter, &[],
        "Attempts to write rows of the audit log that failed", "Is everything recorded?"),
    row(Audit, "audit_lost_total", Counter, &[],
        "Rows of the audit log that were given up", "Is everything recorded?"),
    row(Audit, "audit_waiting", Gauge, &[],
        "Rows of the audit log that could not be written yet", "How many audit rows wait?"),

    row(Backups, "backup_last_success_timestamp_seconds", Gauge, &[],
        "When the last good backup was begun, in seconds since 1970; 0 for none known", "How old is the last backup?"),
    row(Backups, "backup_last_duration_seconds", Gauge, &[],
        "How long it took", "How long does a backup take?"),
    row(Backups, "backup_last_size_bytes", Gauge, &[],
        "How large it is", "How large is a backup?"),
    row(Backups, "backup_failures_total", Counter, &[],
        "Backups that could not be made", "Do backups fail?"),
    row(Backups, "backup_verify_failures_total", Counter, &[],
        "Backups that were made and found bad", "Do backups fail?"),
];
