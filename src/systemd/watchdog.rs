//! Tells the service manager that the server still serves, after asking it.
//!
//! A round asks every shard `GET /readyz` through the [`LoopbackClient`]: acceptor, shard, readers, and a commit through the
//! writer. Only if a restart could fix what it finds does the watchdog keep silent ([`judge`]).

use std::env;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Notify;
use crate::clock::Clock;
use crate::net::LoopbackClient;
use crate::net::client::Ask;

/// Rounds in an interval of the watchdog: one may be lost, or come late.
pub(super) const ROUNDS_PER_INTERVAL: u32 = 3;

/// Why a server that says it is not ready should be left alone all the same, if there is a reason. Asked once a round.
pub type Excuse = Box<dyn FnMut() -> Option<&'static str> + Send>;

/// What a round found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Everything works.
    Ready,
    /// Not ready, for this reason, and a restart would fix nothing.
    Excused(String),
    /// Not ready, or without an answer.
    Stuck(String),
}

/// Asks the server how it is.
pub struct Prober {
    client: LoopbackClient,
    excuse: Excuse,
    clock: Clock,
}

impl Prober {
    /// Asks through this client.
    pub fn new(client: LoopbackClient, excuse: Excuse, clock: Clock) -> Self {
        Self { client, excuse, clock }
    }

    /// Asks every shard, all within about this time.
    pub fn round(&mut self, patience: Duration) -> Finding {
        let by = self.clock.instant() + patience;
        let answers: Vec<Answered> = (0..self.client.shards())
            .map(|shard| {
                // Nothing at all is not a time that a socket can wait.
                let left = by.saturating_duration_since(self.clock.instant()).max(Duration::from_millis(1));
                let answer = self.client.ask(shard, &Ask::get("/readyz"), left);
                let answer = answer.map_err(|error| format!("shard {shard} gives no answer: {error}"))?;
                let status = answer.status;
                Ok((status, answer.detail().unwrap_or_else(|| format!("shard {shard} answers {status}"))))
            })
            .collect();
        judge(&answers, (self.excuse)())
    }
}

/// The status of an answer, and what it says; or why there is none.
type Answered = Result<(u16, String), String>;

/// What the answers come to. Who answers 503 knows what is wrong and has said it; no answer, or any other, has no excuse.
fn judge(answers: &[Answered], excuse: Option<&'static str>) -> Finding {
    let mut not_ready = None;
    for answer in answers {
        match answer {
            Ok((200, _)) => {}
            Ok((503, detail)) if excuse.is_some() => not_ready = Some(detail),
            Ok((_, why)) | Err(why) => return Finding::Stuck(why.clone()),
        }
    }
    match (not_ready, excuse) {
        (Some(detail), Some(excuse)) => Finding::Excused(format!("{detail} ({excuse})")),
        _ => Finding::Ready,
    }
}

/// How often to say that all is well, if the service manager wants to hear it from this process: a part of the interval
/// after which it would act.
fn interval(usec: Option<&str>, pid: Option<&str>, own_pid: u32) -> Option<Duration> {
    let usec: u64 = usec?.parse().ok().filter(|usec| *usec > 0)?;
    let for_us = pid.is_none_or(|pid| pid.parse() == Ok(own_pid));
    for_us.then(|| Duration::from_micros(usec) / ROUNDS_PER_INTERVAL)
}

/// The running watchdog.
pub struct Watchdog {
    leaving: Arc<AtomicBool>,
    end: Sender<()>,
    thread: JoinHandle<()>,
}

impl Watchdog {
    /// Starts it, if the environment asks for one and there is anyone to tell. `serving` is the status while all is well, and
    /// `last` what has been told so far.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(notify: &Notify, prober: Prober, serving: String, last: Finding) -> io::Result<Option<Self>> {
        let (usec, pid) = (env::var("WATCHDOG_USEC").ok(), env::var("WATCHDOG_PID").ok());
        let every = interval(usec.as_deref(), pid.as_deref(), std::process::id()).filter(|_| notify.is_heard());
        let Some(every) = every else { return Ok(None) };
        log::info!(every_ms = u64::try_from(every.as_millis()).unwrap_or(u64::MAX); "watchdog.started");
        let (end, ended) = channel();
        let leaving = Arc::new(AtomicBool::new(false));
        let walk = Walk { notify: notify.clone(), prober, serving, leaving: Arc::clone(&leaving), last };
        let thread = std::thread::Builder::new().name("watchdog".into()).spawn(move || walk.run(every, &ended))?;
        Ok(Some(Self { leaving, end, thread }))
    }

    /// From now on the server is on its way out: it answers no more questions, and how long that may take is for the
    /// service manager's time to stop.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Ends the thread.
    pub fn stop(self) {
        drop(self.end);
        if self.thread.join().is_err() {
            log::error!(thread = "watchdog"; "thread.panicked");
        }
    }
}

/// What the thread goes round with.
struct Walk {
    notify: Notify,
    prober: Prober,
    serving: String,
    leaving: Arc<AtomicBool>,
    last: Finding,
}

impl Walk {
    fn run(mut self, every: Duration, ended: &Receiver<()>) {
        while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
            let finding = if self.leaving() { None } else { Some(self.prober.round(every)) };
            match finding {
                // What a server says that was told to stop meanwhile counts for nothing.
                Some(finding) if !self.leaving() => self.tell(finding),
                _ => self.notify.alive(),
            }
        }
    }

    fn leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    fn tell(&mut self, finding: Finding) {
        if !matches!(finding, Finding::Stuck(_)) {
            self.notify.alive();
        }
        if finding == self.last {
            return;
        }
        match &finding {
            Finding::Ready => {
                log::info!("watchdog.ready");
                self.notify.status(&self.serving);
            }
            Finding::Excused(why) => {
                log::warn!(reason = why; "watchdog.not_ready");
                self.notify.status(&format!("not ready: {why}"));
            }
            Finding::Stuck(why) => {
                log::error!(reason = why; "watchdog.stuck");
                self.notify.status(&format!("stuck: {why}"));
            }
        }
        self.last = finding;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_a_third_and_only_for_the_process_it_is_meant_for() {
        let third = Some(Duration::from_secs(10));
        assert_eq!(interval(Some("30000000"), None, 7), third);
        assert_eq!(interval(Some("30000000"), Some("7"), 7), third);
        assert_eq!(interval(Some("30000000"), Some("8"), 7), None);
        for usec in [None, Some(""), Some("0"), Some("-1"), Some("soon")] {
            assert_eq!(interval(usec, None, 7), None, "{usec:?}");
        }
    }

    #[test]
    fn only_a_503_of_every_shard_that_is_not_200_can_be_excused() {
        let ready = || Ok((200, String::new()));
        let full = || Ok((503, "database read-only: disk full".to_owned()));
        let silent = || Err("shard 1 gives no answer".to_owned());
        let stuck = |why: &str| Finding::Stuck(why.to_owned());
        let excuse = Some("a restart would not fix that");
        assert_eq!(judge(&[ready(), ready()], None), Finding::Ready);
        assert_eq!(judge(&[ready(), ready()], excuse), Finding::Ready);
        assert_eq!(judge(&[ready(), full()], None), stuck("database read-only: disk full"));
        let excused = "database read-only: disk full (a restart would not fix that)".to_owned();
        assert_eq!(judge(&[full(), ready()], excuse), Finding::Excused(excused));
        for excuse in [None, excuse] {
            assert_eq!(judge(&[ready(), silent()], excuse), stuck("shard 1 gives no answer"));
            assert_eq!(
                judge(&[full(), silent()], excuse).clone(),
                match excuse {
                    None => stuck("database read-only: disk full"),
                    Some(_) => stuck("shard 1 gives no answer"),
                }
            );
            assert_eq!(judge(&[Ok((404, "shard 0 answers 404".to_owned()))], excuse), stuck("shard 0 answers 404"));
        }
    }
}
