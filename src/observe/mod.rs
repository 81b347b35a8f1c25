//! The structured log of the server.
//!
//! Responsibility: put `log`'s macros, `env_logger`'s filter, our line format
//! and our sink together. Call sites only use the standard macros with
//! key-values: `log::info!(request_id = id, status = 200; "request.complete")`.
//!
//! - [`format`]: record to one line, pure;
//! - [`sink`]: bounded queue and writer thread, so that logging never waits;
//! - [`throttle`]: which occurrences of a repetitive warning to log;
//! - [`sample`]: how many lines a second that strangers cause;
//! - [`metrics`]: what is counted and measured.
//!
//! Invariants: one event is one line on stderr; a thread that logs never waits
//! for stderr. Nothing but the log should write to stderr after [`init`].
//!
//! Threads: [`init`] once, early, on the main thread; the rest from anywhere.

pub(crate) mod bounds;
mod format;
pub mod metrics;
pub mod options;
pub mod sample;
mod sink;
pub mod throttle;

use std::any::Any;
use std::io::{IsTerminal as _, Write as _};
use std::panic::PanicHookInfo;
use std::sync::OnceLock;
use std::time::Duration;
use std::{env, io, panic, thread};

use env_logger::{Target, WriteStyle};
use jiff::Timestamp;
use log::kv::Value;
use log::{Level, LevelFilter, Record, SetLoggerError};

use crate::clock::Clock;
use format::{OWN, Style};
pub use sink::LogHandle;
pub(crate) use sink::QUEUE_BYTES;

/// How long a panic of the main thread waits for its line to be written.
const PANIC_FLUSH: Duration = Duration::from_secs(1);

/// The sink of the installed logger, for the panic hook.
static INSTALLED: OnceLock<LogHandle> = OnceLock::new();

/// Layout of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people: a terminal in development, the journal.
    Pretty,
    /// One JSON object per line, for collectors.
    Json,
}

/// What can be configured about the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Level of our own events to begin with; those of dependencies never go above `warn`.
    pub level: LevelFilter,
    /// Layout of the lines.
    pub format: Format,
}

/// Installs the global logger on stderr and the panic hook.
///
/// Keep the handle and call [`LogHandle::flush`] before the process ends: the
/// writer thread does not outlive `main`.
///
/// # Errors
/// When a global logger is installed already; nothing is changed then.
pub fn init(options: &Options) -> Result<LogHandle, SetLoggerError> {
    let style = style(options.format, env::var_os("JOURNAL_STREAM").is_some(), io::stderr().is_terminal());
    let report = Box::new(move |count| format::dropped_line(style, now(), count));
    let (target, handle) = match sink::spawn(Box::new(io::stderr()), sink::QUEUE_LINES, report) {
        Ok((queue, handle)) => (Target::Pipe(Box::new(queue)), handle),
        // No thread to be had: whatever the server does next will fail as well
        // and should be able to say so, even if that means to write in place.
        Err(_) => (Target::Stderr, LogHandle::default()),
    };
    log::set_boxed_logger(Box::new(logger(style, target, handle.clone())))?;
    handle.set_level(options.level);
    let _ = INSTALLED.set(handle.clone());
    install_panic_hook();
    Ok(handle)
}

/// Logs an event whose fields have names that are not known when this is compiled. Everything else uses the macros.
pub fn event(level: Level, name: &str, fields: &[(&str, Value<'_>)]) {
    if level <= log::max_level() {
        let mut record = Record::builder();
        log::logger().log(&record.level(level).target(OWN).args(format_args!("{name}")).key_values(&fields).build());
    }
}

/// Makes panics `error` events named `panic` with `thread`, `location`, `reason`.
///
/// Part of [`init`]. As long as there is no logger that takes errors, panics go
/// to the hook that was there before, so that none gets lost.
pub fn install_panic_hook() {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if let Some(handle) = INSTALLED.get() {
            handle.count_panic();
        }
        if log::log_enabled!(target: OWN, log::Level::Error) {
            log_panic(info);
        } else {
            previous(info);
        }
    }));
}

fn log_panic(info: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let name = thread.name().unwrap_or("unnamed");
    let location = info.location().map(ToString::to_string);
    log::error!(
        target: OWN,
        thread = name,
        location = location.as_deref(),
        reason = reason(info.payload());
        "panic"
    );
    // A panic of the main thread is about to end the process and with it the
    // writer. Other threads are caught or joined, and serving must not wait.
    if name == "main"
        && let Some(handle) = INSTALLED.get()
    {
        handle.flush(PANIC_FLUSH);
    }
}

/// Runs what a thread is for and the server cannot do without. Should it panic, the process ends with code 1, after its
/// log lines have left: a server of which a part is dead serves some and not others, and one that is started again serves
/// all. What was acknowledged is on disk by then, as it is at any instant.
pub fn exit_on_panic(work: impl FnOnce()) {
    if panic::catch_unwind(panic::AssertUnwindSafe(work)).is_err() {
        let thread = thread::current();
        log::error!(target: OWN, thread = thread.name().unwrap_or("unnamed"); "thread.lost");
        if let Some(handle) = INSTALLED.get() {
            handle.flush(PANIC_FLUSH);
        }
        std::process::exit(1);
    }
}

/// Text of a panic; its length is left to the format.
fn reason(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        "non-string payload"
    }
}

fn style(format: Format, journal: bool, terminal: bool) -> Style {
    match format {
        Format::Json => Style::Json,
        // Desktop sessions run under systemd and hand JOURNAL_STREAM down to
        // the shells in their terminals. The journal itself is never a terminal.
        Format::Pretty if journal && !terminal => Style::Journal,
        Format::Pretty => Style::Pretty { colour: terminal },
    }
}

/// The widest there is: what is fixed here is only whose events may go above `warn`. How much of that is let through is up
/// to [`LogHandle::set_level`], which every call site asks first, at the price of one relaxed load.
fn logger(style: Style, target: Target, counts: LogHandle) -> env_logger::Logger {
    env_logger::Builder::new()
        .filter_level(LevelFilter::Warn)
        .filter_module(OWN, LevelFilter::Trace)
        .write_style(WriteStyle::Never)
        .target(target)
        // One write per record: when a Display in a field panics, env_logger's
        // buffer must not keep half a line for the next record of that thread.
        .format(move |out, record| {
            counts.count_message(record.level());
            out.write_all(&format::line(style, now(), record))
        })
        .build()
}

fn now() -> Timestamp {
    Timestamp::from_microsecond(Clock::system().now().0).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::sink::tests::Buffer;
    use super::*;
    use log::Log as _;
    use serde_json::Value as Json;

    const LONG: Duration = Duration::from_secs(60);

    /// A logger as `init` builds it, but not installed and on a buffer.
    fn start() -> (env_logger::Logger, LogHandle, Buffer) {
        let buffer = Buffer::default();
        let report = Box::new(|_| Vec::new());
        let (queue, handle) = sink::spawn(Box::new(buffer.clone()), sink::QUEUE_LINES, report).unwrap();
        let target = Target::Pipe(Box::new(queue));
        (logger(Style::Json, target, handle.clone()), handle, buffer)
    }

    fn send(logger: &env_logger::Logger, level: Level, target: &str, message: &str) {
        logger.log(
            &Record::builder()
                .level(level)
                .target(target)
                .args(format_args!("{message}"))
                .key_values(&[("n", 1)])
                .build(),
        );
    }

    #[test]
    fn records_go_through_env_logger_as_whole_lines() {
        let (logger, handle, buffer) = start();
        for n in 0..3 {
            send(&logger, Level::Info, "inkring::http", &format!("event.{n}\n"));
        }
        assert!(handle.flush(LONG));
        let lines: Vec<Json> = buffer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(handle.messages(), [0, 0, 3, 0, 0]);
        assert_eq!(lines[2]["message"], "event.2\n");
        assert_eq!(lines[2]["n"], 1);
        let stamp = lines[0]["timestamp"].as_str().unwrap();
        assert!(stamp.parse::<Timestamp>().is_ok() && stamp.ends_with('Z'), "{stamp}");
    }

    #[test]
    fn dependencies_never_go_above_warn() {
        let (logger, handle, buffer) = start();
        for target in ["inkring", "inkring::db", "mio"] {
            for level in Level::iter() {
                send(&logger, level, target, &format!("{target}:{level}"));
            }
        }
        assert!(handle.flush(LONG));
        let text = buffer.text();
        let lines = text.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
        let seen: Vec<String> = lines.map(|line| line["message"].as_str().unwrap().to_owned()).collect();
        let ours = ["inkring", "inkring::db"].into_iter().flat_map(|target| Level::iter().map(move |l| (target, l)));
        let theirs = [("mio", Level::Error), ("mio", Level::Warn)];
        let expected: Vec<String> = ours.chain(theirs).map(|(target, level)| format!("{target}:{level}")).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn the_level_is_one_for_the_whole_process() {
        let (one, other) = (LogHandle::default(), LogHandle::default());
        // No other test of this program looks at it, and none installs a logger.
        for level in [LevelFilter::Trace, LevelFilter::Error, LevelFilter::Off] {
            one.set_level(level);
            assert_eq!(other.level(), level);
        }
    }

    #[test]
    fn a_panicking_display_leaves_no_debris() {
        struct Bad;
        impl std::fmt::Display for Bad {
            fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                // Unlike a panic this does not go through the global hook.
                panic::resume_unwind(Box::new("bad"))
            }
        }
        let (logger, handle, buffer) = start();
        let outcome = panic::catch_unwind(panic::AssertUnwindSafe(|| {
            logger.log(&Record::builder().target(OWN).args(format_args!("{Bad}")).build());
        }));
        assert!(outcome.is_err());
        send(&logger, Level::Info, OWN, "next");
        assert!(handle.flush(LONG));
        let text = buffer.text();
        assert_eq!(text.lines().count(), 1);
        let line: Json = serde_json::from_str(&text).unwrap();
        assert_eq!(line["message"], "next");
    }

    #[test]
    fn styles() {
        let pretty = |journal, terminal| style(Format::Pretty, journal, terminal);
        assert_eq!(pretty(false, false), Style::Pretty { colour: false });
        assert_eq!(pretty(false, true), Style::Pretty { colour: true });
        assert_eq!(pretty(true, false), Style::Journal);
        assert_eq!(pretty(true, true), Style::Pretty { colour: true });
        for journal in [false, true] {
            for terminal in [false, true] {
                assert_eq!(style(Format::Json, journal, terminal), Style::Json);
            }
        }
    }

    /// Runs this test again in a process of its own, with the variable set: there it does what it says.
    fn again(test: &str, does: &str) -> (Option<i32>, String) {
        let mut program = std::process::Command::new(env::current_exe().unwrap());
        program.args(["--exact", test, "--nocapture"]).env("INKRING_TEST_DOES", does);
        let output = program.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    #[test]
    fn a_thread_that_the_server_cannot_do_without_takes_it_along_and_says_so() {
        if let Ok(does) = env::var("INKRING_TEST_DOES") {
            let _ = init(&Options { level: LevelFilter::Info, format: Format::Json }).unwrap();
            let work = move || assert_ne!(does, "panic", "on purpose");
            thread::Builder::new().name("shard-7".into()).spawn(|| exit_on_panic(work)).unwrap().join().unwrap();
            return;
        }
        let test = "observe::tests::a_thread_that_the_server_cannot_do_without_takes_it_along_and_says_so";
        let (code, stderr) = again(test, "panic");
        assert_eq!(code, Some(1), "{stderr}");
        let lines: Vec<Json> = stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let messages: Vec<&str> = lines.iter().filter_map(|line| line["message"].as_str()).collect();
        assert_eq!(messages, ["panic", "thread.lost"], "{stderr}");
        assert_eq!(lines[1]["thread"], "shard-7");
        assert_eq!(again(test, "end").0, Some(0));
    }

    #[test]
    fn reasons_of_panics() {
        assert_eq!(reason(&"literal"), "literal");
        assert_eq!(reason(&String::from("formatted")), "formatted");
        assert_eq!(reason(&7_u8), "non-string payload");
    }
}
