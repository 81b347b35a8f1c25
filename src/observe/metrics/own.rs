//! The families of the process and of its log.

use std::sync::atomic::Ordering;

use super::process;
use super::row::{Overview, PROCESS, Row};
use super::{Metrics, raise_to, seconds_since_1970};
use crate::clock::{HOUR_MICROS, Timekeeper};
use crate::observe::LogHandle;

pub(crate) static BUILD_INFO: Row = Row::gauge(&PROCESS, "inkring_build_info")
    .by(&["version", "sqlite"])
    .at_the_top(Overview::Figure)
    .says("Always 1; the labels are the versions of inkring and SQLite", "Which version is running?");

pub(crate) static START_TIME: Row = Row::gauge(&PROCESS, "process_start_time_seconds")
    .at_the_top(Overview::Figure)
    .says("When the server started, in seconds since 1970", "How long has it been running?");

pub(crate) static OPEN_FDS: Row = Row::gauge(&PROCESS, "process_open_fds")
    .says("Open file descriptors", "How close is it to the limit of open files?");

pub(crate) static MAX_FDS: Row = Row::gauge(&PROCESS, "process_max_fds")
    .says("Limit of open file descriptors", "How close is it to the limit of open files?");

pub(crate) static THREADS: Row =
    Row::gauge(&PROCESS, "process_threads").says("Threads of the process", "Does the number of threads grow?");

pub(crate) static RESIDENT_BYTES: Row =
    Row::gauge(&PROCESS, "process_resident_memory_bytes").says("Resident memory", "Does memory grow?");

pub(crate) static VIRTUAL_BYTES: Row = Row::gauge(&PROCESS, "process_virtual_memory_bytes")
    .says("Mapped memory, most of which is not resident", "Does memory grow?");

pub(crate) static CPU_SECONDS: Row = Row::counter(&PROCESS, "process_cpu_seconds_total")
    .says("CPU time of all threads, user and system", "How busy is the CPU?");

pub(crate) static PANICS: Row =
    Row::counter(&PROCESS, "inkring_panics_total").says("Panics, caught or not", "Is there a bug?");

pub(crate) static LOG_MESSAGES: Row = Row::counter(&PROCESS, "inkring_log_messages_total")
    .by(&["level"])
    .says("Log lines by level, including those of dependencies", "Are there more warnings and errors than usual?");

pub(crate) static LOG_DROPPED: Row = Row::counter(&PROCESS, "inkring_log_lines_dropped_total")
    .says("Log lines lost because stderr was too slow", "Is the log complete?");

pub(crate) static CLOCK_SUSPECT: Row = Row::gauge(&PROCESS, "inkring_clock_suspect").says(
    "1 while nothing is removed by age, because the wall clock has jumped or cannot be verified yet",
    "Is the clock right?",
);

pub(crate) static CLOCK_AHEAD: Row = Row::gauge(&PROCESS, "inkring_clock_ahead_seconds").says(
    "How far the wall clock is ahead of the elapsed time since the start; negative if behind",
    "Is the clock right?",
);

pub(crate) static STORED_AHEAD: Row = Row::gauge(&PROCESS, "inkring_stored_times_ahead_seconds")
    .says("How far the newest stored time is ahead of the wall clock", "Is the clock right?");

pub(crate) const ROWS: &[&Row] = &[
    &BUILD_INFO,
    &START_TIME,
    &OPEN_FDS,
    &MAX_FDS,
    &THREADS,
    &RESIDENT_BYTES,
    &VIRTUAL_BYTES,
    &CPU_SECONDS,
    &PANICS,
    &LOG_MESSAGES,
    &LOG_DROPPED,
    &CLOCK_SUSPECT,
    &CLOCK_AHEAD,
    &STORED_AHEAD,
];

/// Shows when the server has started, how the clock stands, and how far stored times are ahead of it.
pub fn show_clock(metrics: &Metrics, timekeeper: Timekeeper) {
    let (suspect, ahead) = (metrics.gauge(&CLOCK_SUSPECT), metrics.fraction(&CLOCK_AHEAD));
    let (stored, start) = (metrics.fraction(&STORED_AHEAD), metrics.fraction(&START_TIME));
    let started = timekeeper.look().reading.wall;
    start.set(seconds_since_1970(started));
    metrics.sample_with(move || {
        let standing = timekeeper.look();
        // Or a server that was started by a wrong clock would be young for ever, or never grow old.
        let moved = if standing.ahead_micros.abs() > HOUR_MICROS { standing.ahead_micros } else { 0 };
        start.set(seconds_since_1970(started) + moved as f64 / 1e6);
        suspect.set(standing.suspect.is_some().into());
        ahead.set(standing.ahead_micros as f64 / 1e6);
        stored.set(standing.stored_ahead().as_secs_f64());
    });
}

/// Counts for this process, whose server runs on this version of SQLite, and whose log lines `logs` counts.
pub fn count_process(metrics: &Metrics, sqlite: &str, logs: LogHandle) {
    metrics.gauges(&BUILD_INFO).with(&[crate::version::VERSION, sqlite]).set(1);
    let [open_fds, max_fds, threads, resident, mapped] =
        [&OPEN_FDS, &MAX_FDS, &THREADS, &RESIDENT_BYTES, &VIRTUAL_BYTES].map(|row| metrics.gauge(row));
    let processor = metrics.seconds(&CPU_SECONDS);
    metrics.sample_with(move || {
        if let Some(open) = process::open_descriptors() {
            open_fds.set(open);
        }
        max_fds.set(process::descriptor_limit().unwrap_or(i64::MAX));
        if let Some(memory) = process::memory() {
            threads.set(memory.threads);
            resident.set(memory.resident);
            mapped.set(memory.mapped);
        }
        // Of two who ask at the same time none turns it back: numbers that are not negative are in the order of their bits.
        processor.inner().fetch_max(process::processor_seconds().to_bits(), Ordering::Relaxed);
    });
    // The log counts by itself: it is there before anything else is.
    let messages = metrics.counters(&LOG_MESSAGES);
    let messages = ["error", "warn", "info", "debug", "trace"].map(|level| messages.with(&[level]));
    let (dropped, panics) = (metrics.counter(&LOG_DROPPED), metrics.counter(&PANICS));
    metrics.sample_with(move || {
        for (counter, count) in messages.iter().zip(logs.messages()) {
            raise_to(counter, count);
        }
        raise_to(&dropped, logs.dropped());
        raise_to(&panics, logs.panics());
    });
}
