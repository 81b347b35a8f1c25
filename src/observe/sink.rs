//! The bounded queue of finished lines and the thread that writes them.
//!
//! Responsibility: keep slow or broken log outputs away from the threads that
//! serve. Threads that log only append to a queue; the `log-writer` thread takes
//! what has gathered and writes it in one go.
//!
//! Invariants: queueing never waits for the output, it takes a lock that is
//! never held across I/O; the queue holds at most `capacity` lines and about
//! [`QUEUE_BYTES`] bytes; what does not fit or cannot be written is counted and
//! the count is written as a line of its own as soon as the queue is empty
//! again; lines come out in the order they went in. Write errors never panic.
//!
//! Threads: any number of producers and flushers, exactly one writer thread,
//! which ends when the [`LineQueue`] is dropped and the rest is written.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use log::LevelFilter;

/// Lines that may wait for the writer.
pub(super) const QUEUE_LINES: usize = 8_192;

/// Bytes that may wait for the writer. Ordinary lines reach the line limit long
/// before; this keeps clients from turning a stuck stderr into hundreds of
/// megabytes by being logged with long fields.
pub(crate) const QUEUE_BYTES: usize = 16 << 20;

/// Most bytes of one write, unless a single line is longer.
pub(super) const WRITE_BYTES: usize = 64 << 10;

/// Part of [`WRITE_BYTES`] kept free for the line about lost lines.
const REPORT_BYTES: usize = 512;

/// Pause before the next attempt on an output that is set to non-blocking.
const RETRY: Duration = Duration::from_millis(5);

/// Makes the line that reports lost lines.
pub(super) type Report = Box<dyn Fn(u64) -> Vec<u8> + Send>;

/// Starts a writer thread on `output`.
///
/// # Errors
/// When the system gives us no thread.
pub(super) fn spawn(
    output: Box<dyn Write + Send>,
    capacity: usize,
    report: Report,
) -> io::Result<(LineQueue, LogHandle)> {
    let handle = LogHandle::default();
    let shared = Arc::clone(&handle.shared);
    thread::Builder::new().name("log-writer".to_owned()).spawn(move || run(&shared, output, &report))?;
    let queue = LineQueue { shared: Arc::clone(&handle.shared), capacity };
    Ok((queue, handle))
}

/// What producers, flushers and the writer share.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// There is something to do for the writer.
    work: Condvar,
    /// `State::settled` has grown.
    progress: Condvar,
    /// Records that were logged, the most severe level first.
    messages: [AtomicU64; 5],
    panics: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Box<[u8]>>,
    /// Bytes in `lines`.
    bytes: usize,
    /// Lines ever queued.
    accepted: u64,
    /// Lines of those that were written, or lost in a write.
    settled: u64,
    /// Lines ever lost.
    dropped: u64,
    /// Lines lost that no written line tells about yet.
    unreported: u64,
    /// The writer sleeps. Waking costs a system call, so only then.
    idle: bool,
    /// No more lines will come.
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics under this lock, and if it did: numbers that are off
        // by one are better than a server that dies of its log.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The producers' end: every `write` is one line, queued or dropped at once.
///
/// Counts on whole lines per call, as `env_logger` makes them: its pipe target
/// gets each record in a single `write_all`, which is a single `write` because
/// this one always takes everything.
#[derive(Debug)]
pub(super) struct LineQueue {
    shared: Arc<Shared>,
    capacity: usize,
}

impl Write for LineQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if line.is_empty() {
            return Ok(0);
        }
        // Copied outside of the lock, even if it may turn out to be in vain.
        let boxed: Box<[u8]> = line.into();
        let mut state = self.shared.lock();
        let full =
            state.lines.len() >= self.capacity || (!state.lines.is_empty() && state.bytes + line.len() > QUEUE_BYTES);
        if full {
            state.dropped += 1;
            state.unreported += 1;
        } else {
            state.bytes += line.len();
            state.accepted += 1;
            state.lines.push_back(boxed);
            if state.idle {
                state.idle = false;
                drop(state);
                self.shared.work.notify_one();
            }
        }
        // A dropped line is no error to the one who logs: nothing to be done.
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // Called after every record; waiting here would be waiting for stderr.
        Ok(())
    }
}

impl Drop for LineQueue {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_one();
    }
}

/// View of the sink for the rest of the server. The default one belongs to no
/// sink: it has nothing to flush and never loses anything.
#[derive(Clone, Debug, Default)]
pub struct LogHandle {
    shared: Arc<Shared>,
}

impl LogHandle {
    /// Waits until every line queued before this call has left the queue: is
    /// written, or lost to a write error (see [`LogHandle::dropped`]).
    ///
    /// False when `timeout` was not enough. A zero timeout only asks.
    pub fn flush(&self, timeout: Duration) -> bool {
        let state = self.shared.lock();
        let target = state.accepted;
        let (state, _) = self
            .shared
            .progress
            .wait_timeout_while(state, timeout, |state| state.settled < target)
            .unwrap_or_else(PoisonError::into_inner);
        state.settled >= target
    }

    /// Lets through what is this severe and more from now on, on every thread. It holds for the process, as there is
    /// one log; what dependencies log stays at `warn` and above whatever is asked for.
    pub fn set_level(&self, level: LevelFilter) {
        log::set_max_level(level);
    }

    /// The least severe events that are let through now.
    pub fn level(&self) -> LevelFilter {
        log::max_level()
    }

    /// Number of lines lost since the start, to a full queue or a write error.
    pub fn dropped(&self) -> u64 {
        self.shared.lock().dropped
    }

    /// Number of records logged since the start, the most severe level first.
    pub fn messages(&self) -> [u64; 5] {
        self.shared.messages.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    /// Number of panics since the start.
    pub fn panics(&self) -> u64 {
        self.shared.panics.load(Ordering::Relaxed)
    }

    pub(super) fn count_message(&self, level: log::Level) {
        // Levels count from 1.
        self.shared.messages[level as usize - 1].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_panic(&self) {
        self.shared.panics.fetch_add(1, Ordering::Relaxed);
    }
}

/// What the writer takes out of the queue at once.
#[derive(Default)]
struct Batch {
    lines: Vec<Box<[u8]>>,
    /// Lost lines to report behind `lines`.
    lost: u64,
}

/// Waits for lines; `None` at the end.
fn next_batch(shared: &Shared) -> Option<Batch> {
    let mut state = shared.lock();
    while state.lines.is_empty() {
        if state.closed {
            return None;
        }
        state.idle = true;
        state = shared.work.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
    state.idle = false;

    let mut batch = Batch::default();
    let mut bytes = 0;
    while let Some(next) = state.lines.front() {
        if bytes > 0 && bytes + next.len() > WRITE_BYTES - REPORT_BYTES {
            break;
        }
        bytes += next.len();
        batch.lines.extend(state.lines.pop_front());
    }
    state.bytes -= bytes;
    // The queue only overflows while lines wait in it, so a batch that empties
    // it is sure to follow and tells. Losses of a failed write are told together
    // with the next line: there is no use in trying a broken output on its own.
    if state.lines.is_empty() {
        batch.lost = std::mem::take(&mut state.unreported);
    }
    Some(batch)
}

/// The writer thread.
fn run(shared: &Shared, mut output: Box<dyn Write + Send>, report: &Report) {
    let mut buffer = Vec::with_capacity(WRITE_BYTES);
    let mut torn = false;
    while let Some(batch) = next_batch(shared) {
        for line in &batch.lines {
            buffer.extend_from_slice(line);
        }
        if batch.lost > 0 {
            buffer.extend_from_slice(&report(batch.lost));
        }
        // A write that failed half-way left a line without its end; without this
        // the next one would be glued to it.
        if torn && write_all(&mut output, b"\n").is_ok() {
            torn = false;
        }
        let written = write_all(&mut output, &buffer).err().unwrap_or(buffer.len());
        // Nothing to be done if it fails, and stderr does not buffer.
        let _ = output.flush();
        if let Some(last) = written.checked_sub(1).and_then(|last| buffer.get(last)) {
            torn = *last != b'\n';
        }

        let mut state = shared.lock();
        state.settled += batch.lines.len() as u64;
        if written < buffer.len() {
            let mut end = 0;
            let whole = batch
                .lines
                .iter()
                .take_while(|line| {
                    end += line.len();
                    end <= written
                })
                .count();
            let lost = (batch.lines.len() - whole) as u64;
            state.dropped += lost;
            // The report was the end of the buffer, so it is lost as well.
            state.unreported += lost + batch.lost;
        }
        drop(state);
        shared.progress.notify_all();
        // One record with 32 long fields must not cost its size forever.
        buffer.clear();
        buffer.shrink_to(WRITE_BYTES);
    }
}

/// Only the log's own thread waits like this, and nobody waits for it.
#[expect(clippy::disallowed_methods, reason = "a stderr that is full for the moment is no event source we may poll")]
fn pause() {
    thread::sleep(RETRY);
}

/// Like `Write::write_all`, but tells how far it came and sits out an output
/// that is non-blocking (a terminal shared with a program that made it so).
fn write_all(output: &mut dyn Write, bytes: &[u8]) -> Result<(), usize> {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match output.write(rest) {
            Ok(0) => return Err(written),
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => pause(),
            Err(_) => return Err(written),
        }
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    const LONG: Duration = Duration::from_secs(60);

    /// Output one can look into.
    #[derive(Clone, Default)]
    pub(crate) struct Buffer(Arc<Mutex<Vec<Vec<u8>>>>);

    impl Buffer {
        /// The single writes.
        fn writes(&self) -> Vec<Vec<u8>> {
            self.0.lock().unwrap().clone()
        }

        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.writes().concat()).unwrap()
        }
    }

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Output that tells about each write and then waits for what to do with it.
    struct Gate {
        entered: Sender<()>,
        verdict: Receiver<io::Result<usize>>,
        buffer: Buffer,
    }

    struct Keys {
        entered: Receiver<()>,
        verdict: Sender<io::Result<usize>>,
    }

    const ALL: usize = usize::MAX;

    fn gate() -> (Gate, Keys, Buffer) {
        let (entered_tx, entered_rx) = channel();
        let (verdict_tx, verdict_rx) = channel();
        let buffer = Buffer::default();
        (
            Gate { entered: entered_tx, verdict: verdict_rx, buffer: buffer.clone() },
            Keys { entered: entered_rx, verdict: verdict_tx },
            buffer,
        )
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Once the test has let go of the keys everything passes.
            let _ = self.entered.send(());
            let take = self.verdict.recv().unwrap_or(Ok(ALL))?.min(bytes.len());
            self.buffer.write(&bytes[..take])
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn start(output: impl Write + Send + 'static, capacity: usize) -> (LineQueue, LogHandle) {
        let report: Report = Box::new(|count| format!("log.dropped count={count}\n").into_bytes());
        spawn(Box::new(output), capacity, report).unwrap()
    }

    fn push(queue: &mut LineQueue, line: &str) {
        assert_eq!(queue.write(line.as_bytes()).unwrap(), line.len());
    }

    #[test]
    fn lines_come_out_in_order() {
        let buffer = Buffer::default();
        let (mut queue, handle) = start(buffer.clone(), QUEUE_LINES);
        let lines: Vec<String> = (0..5_000).map(|n| format!("line {n}\n")).collect();
        for line in &lines {
            push(&mut queue, line);
        }
        assert!(handle.flush(LONG));
        assert_eq!(buffer.text(), lines.concat());
        assert_eq!(handle.dropped(), 0);
    }

    #[test]
    fn a_blocked_output_never_blocks_the_caller() {
        let (output, keys, buffer) = gate();
        let (mut queue, handle) = start(output, QUEUE_LINES);
        push(&mut queue, "first\n");
        keys.entered.recv().unwrap();
        // The writer hangs in its write now and stays there.
        for _ in 0..QUEUE_LINES {
            push(&mut queue, "queued\n");
        }
        assert_eq!(handle.dropped(), 0);
        for _ in 0..7 {
            push(&mut queue, "too much\n");
        }
        assert_eq!(handle.dropped(), 7);
        assert!(!handle.flush(Duration::ZERO));

        drop(keys);
        assert!(handle.flush(LONG));
        let mut expected = String::from("first\n");
        expected.push_str(&"queued\n".repeat(QUEUE_LINES));
        expected.push_str("log.dropped count=7\n");
        assert_eq!(buffer.text(), expected);

        // Reported once, counted for good.
        push(&mut queue, "after\n");
        assert!(handle.flush(LONG));
        assert_eq!(buffer.text(), expected + "after\n");
        assert_eq!(handle.dropped(), 7);
    }

    #[test]
    fn what_is_queued_goes_out_in_one_write_of_bounded_size() {
        let (output, keys, buffer) = gate();
        let (mut queue, handle) = start(output, QUEUE_LINES);
        push(&mut queue, "first\n");
        keys.entered.recv().unwrap();
        for _ in 0..100 {
            push(&mut queue, "small\n");
        }
        keys.verdict.send(Ok(ALL)).unwrap();
        keys.entered.recv().unwrap();
        let large = "x".repeat(1_023) + "\n";
        for _ in 0..200 {
            push(&mut queue, &large);
        }
        let giant = "y".repeat(2 * WRITE_BYTES) + "\n";
        push(&mut queue, &giant);
        drop(keys);
        assert!(handle.flush(LONG));
        let sizes: Vec<usize> = buffer.writes().iter().map(Vec::len).collect();
        assert_eq!(sizes, [6, 600, 63 << 10, 63 << 10, 63 << 10, 11 << 10, giant.len()]);
    }

    #[test]
    fn bytes_are_bounded_too_but_a_giant_line_fits_an_empty_queue() {
        let (output, keys, _) = gate();
        let (mut queue, handle) = start(output, QUEUE_LINES);
        push(&mut queue, "first\n");
        keys.entered.recv().unwrap();
        push(&mut queue, &"z".repeat(QUEUE_BYTES + 1));
        assert_eq!(handle.dropped(), 0);
        push(&mut queue, "no room\n");
        assert_eq!(handle.dropped(), 1);
        drop(keys);
        assert!(handle.flush(LONG));
    }

    #[test]
    fn flush_waits_for_the_writer() {
        let (output, keys, buffer) = gate();
        let (mut queue, handle) = start(output, QUEUE_LINES);
        assert!(handle.flush(Duration::ZERO), "nothing queued, nothing to wait for");
        push(&mut queue, "line\n");
        keys.entered.recv().unwrap();
        assert!(!handle.flush(Duration::from_millis(1)));
        let waiting = {
            let handle = handle.clone();
            thread::spawn(move || (handle.flush(LONG), buffer.text()))
        };
        assert!(!handle.flush(Duration::ZERO));
        keys.verdict.send(Ok(ALL)).unwrap();
        assert_eq!(waiting.join().unwrap(), (true, "line\n".to_owned()));
    }

    #[test]
    fn flush_does_not_wait_for_later_lines() {
        let (output, keys, _) = gate();
        let (mut queue, handle) = start(output, QUEUE_LINES);
        push(&mut queue, "first\n");
        keys.entered.recv().unwrap();
        keys.verdict.send(Ok(ALL)).unwrap();
        assert!(handle.flush(LONG));
        push(&mut queue, "second\n");
        keys.entered.recv().unwrap();
        assert!(!handle.flush(Duration::ZERO));
        drop(keys);
        assert!(handle.flush(LONG));
    }

    #[test]
    fn a_failing_output_loses_lines_but_nothing_else() {
        let (output, keys, buffer) = gate();
        let (mut queue, handle) = start(output, QUEUE_LINES);
        let mut failed = 0;
        for error in [ErrorKind::BrokenPipe, ErrorKind::StorageFull] {
            push(&mut queue, "lost\n");
            keys.entered.recv().unwrap();
            keys.verdict.send(Err(error.into())).unwrap();
            assert!(handle.flush(LONG), "what failed is not waited for");
            failed += 1;
            assert_eq!(handle.dropped(), failed);
        }
        // The second failure took the report of the first one along.
        drop(keys);
        push(&mut queue, "alive\n");
        assert!(handle.flush(LONG));
        assert_eq!(buffer.text(), "alive\nlog.dropped count=2\n");
    }

    #[test]
    fn a_write_that_fails_half_way_tears_one_line_only() {
        let (output, keys, buffer) = gate();
        let (mut queue, handle) = start(output, QUEUE_LINES);
        push(&mut queue, "first\n");
        keys.entered.recv().unwrap();
        for line in ["one\n", "two\n", "three\n"] {
            push(&mut queue, line);
        }
        for verdict in [Ok(ALL), Ok(6), Err(ErrorKind::BrokenPipe.into())] {
            keys.verdict.send(verdict).unwrap();
        }
        assert!(handle.flush(LONG));
        assert_eq!(handle.dropped(), 2);
        drop(keys);
        push(&mut queue, "four\n");
        assert!(handle.flush(LONG));
        assert_eq!(buffer.text(), "first\none\ntw\nfour\nlog.dropped count=2\n");
    }

    #[test]
    fn short_writes_and_passing_errors_lose_nothing() {
        let (output, keys, buffer) = gate();
        let (mut queue, handle) = start(output, QUEUE_LINES);
        for verdict in [Ok(2), Err(ErrorKind::Interrupted.into()), Ok(1), Err(ErrorKind::WouldBlock.into())] {
            keys.verdict.send(verdict).unwrap();
        }
        push(&mut queue, "whole\n");
        drop(keys);
        assert!(handle.flush(LONG));
        assert_eq!(buffer.text(), "whole\n");
        assert_eq!(handle.dropped(), 0);
    }

    #[test]
    fn the_writer_ends_with_its_queue_and_writes_the_rest() {
        let (output, keys, buffer) = gate();
        let (mut queue, _handle) = start(output, QUEUE_LINES);
        push(&mut queue, "first\n");
        keys.entered.recv().unwrap();
        push(&mut queue, "rest\n");
        drop(queue);
        let Keys { entered, verdict } = keys;
        drop(verdict);
        // The sender lives in the output, the output in the thread.
        assert_eq!(entered.iter().count(), 1);
        assert_eq!(buffer.text(), "first\nrest\n");
    }

    #[test]
    fn many_threads_lose_and_mix_nothing() {
        let buffer = Buffer::default();
        let (queue, handle) = start(buffer.clone(), QUEUE_LINES);
        let queue = Mutex::new(queue);
        thread::scope(|scope| {
            for thread in 0..4 {
                let queue = &queue;
                scope.spawn(move || {
                    for n in 0..500 {
                        push(&mut queue.lock().unwrap(), &format!("{thread} {n}\n"));
                    }
                });
            }
        });
        assert!(handle.flush(LONG));
        let text = buffer.text();
        for thread in 0..4 {
            let prefix = format!("{thread} ");
            let seen: Vec<usize> = text.lines().filter_map(|line| line.strip_prefix(&prefix)?.parse().ok()).collect();
            assert_eq!(seen, (0..500).collect::<Vec<_>>());
        }
        assert_eq!(text.lines().count(), 2_000);
    }
}
