//! The families of the process and of its log.

use super::process;
use super::row::{PROCESS, Row};
use super::{Counter, Gauge, Metrics, raise_to, seconds_since_1970};
use crate::clock::Timestamp;
use crate::observe::LogHandle;

pub(crate) static BUILD_INFO: Row = Row::gauge(&PROCESS, "build_info")
    .by(&["version", "sqlite"])
    .says("Always 1; the labels say which inkring runs on which SQLite", "What runs?");

pub(crate) static START_TIME: Row = Row::gauge(&PROCESS, "start_time_seconds")
    .says("When the server started, in seconds since 1970", "Since when does it run?");

pub(crate) static OPEN_FDS: Row =
    Row::gauge(&PROCESS, "open_fds").says("Open file descriptors", "How far is it from the limit of open files?");

pub(crate) static MAX_FDS: Row = Row::gauge(&PROCESS, "max_fds")
    .says("Limit of open file descriptors", "How far is it from the limit of open files?");

pub(crate) static THREADS: Row =
    Row::gauge(&PROCESS, "threads").says("Threads of the process", "Are there more threads than there were?");

pub(crate) static RESIDENT_BYTES: Row =
    Row::gauge(&PROCESS, "resident_memory_bytes").says("Memory that is resident", "Does memory grow?");

pub(crate) static PANICS: Row = Row::counter(&PROCESS, "panics_total")
    .says("Panics, each of which was caught or ended its thread", "Is there a bug?");

pub(crate) static LOG_MESSAGES: Row = Row::counter(&PROCESS, "log_messages_total")
    .by(&["level"])
    .says("Log lines by level, those of dependencies included", "Does the log complain more than usual?");

pub(crate) static LOG_DROPPED: Row = Row::counter(&PROCESS, "log_lines_dropped_total")
    .says("Log lines lost because stderr did not take them in time", "Is the log complete?");

pub(crate) const ROWS: &[&Row] =
    &[&BUILD_INFO, &START_TIME, &OPEN_FDS, &MAX_FDS, &THREADS, &RESIDENT_BYTES, &PANICS, &LOG_MESSAGES, &LOG_DROPPED];

/// Counts for this process, whose server has `started` now on this version of SQLite, and whose log lines `logs` counts.
pub fn count_process(metrics: &Metrics, sqlite: &str, started: Timestamp, logs: LogHandle) {
    metrics.gauges(&BUILD_INFO).with(&[env!("CARGO_PKG_VERSION"), sqlite]).set(1);
    metrics.fraction(&START_TIME).set(seconds_since_1970(started));
    let (process, log) = (Process::new(metrics), Log::new(metrics, logs));
    metrics.sample_with(move || {
        process.sample();
        log.sample();
    });
}

/// The process, looked at.
#[derive(Debug)]
struct Process {
    open_fds: Gauge,
    max_fds: Gauge,
    threads: Gauge,
    resident_bytes: Gauge,
}

impl Process {
    fn new(metrics: &Metrics) -> Self {
        Self {
            open_fds: metrics.gauge(&OPEN_FDS),
            max_fds: metrics.gauge(&MAX_FDS),
            threads: metrics.gauge(&THREADS),
            resident_bytes: metrics.gauge(&RESIDENT_BYTES),
        }
    }

    fn sample(&self) {
        if let Some(open) = process::open_descriptors() {
            self.open_fds.set(open);
        }
        self.max_fds.set(process::descriptor_limit().unwrap_or(i64::MAX));
        if let Some((threads, bytes)) = process::threads_and_memory() {
            self.threads.set(threads);
            self.resident_bytes.set(bytes);
        }
    }
}

/// The log, which counts by itself: it is there before anything else is.
#[derive(Debug)]
struct Log {
    logs: LogHandle,
    messages: [Counter; 5],
    dropped: Counter,
    panics: Counter,
}

impl Log {
    fn new(metrics: &Metrics, logs: LogHandle) -> Self {
        let messages = metrics.counters(&LOG_MESSAGES);
        Self {
            logs,
            messages: ["error", "warn", "info", "debug", "trace"].map(|level| messages.with(&[level])),
            dropped: metrics.counter(&LOG_DROPPED),
            panics: metrics.counter(&PANICS),
        }
    }

    fn sample(&self) {
        for (counter, count) in self.messages.iter().zip(self.logs.messages()) {
            raise_to(counter, count);
        }
        raise_to(&self.dropped, self.logs.dropped());
        raise_to(&self.panics, self.logs.panics());
    }
}
