//! How the last five minutes were: what the curves of the dashboard are made of, kept in the server, so that who opens it
//! because of something that has happened sees that.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::gate::STATUS_CLASSES;
use crate::observe::metrics::{SECONDS, SPREAD_BUCKETS};

/// From one sample to the next.
pub(super) const RECENT_EVERY: Duration = Duration::from_secs(2);
/// How many are kept: five minutes.
pub(super) const RECENT_MAX_SAMPLES: usize = 150;

/// What is looked at each time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Seen {
    /// Requests that were answered since the start, by the first digit of their status; probes are left out.
    pub(super) answered: [u64; STATUS_CLASSES],
    /// Commits since the start, by how long they took: up to each of [`SECONDS`], and beyond.
    pub(super) commits: [u64; SPREAD_BUCKETS],
    /// Sockets that are open.
    pub(super) sockets: usize,
    /// Drafts that somebody watches.
    pub(super) watched: usize,
    /// Changes that wait for the writer.
    pub(super) queued: usize,
}

/// One sample.
#[derive(Debug, Serialize)]
struct Sample {
    /// Which one since the start.
    nth: u64,
    /// When, in milliseconds since the start.
    at_ms: u64,
    #[serde(flatten)]
    seen: Seen,
}

/// The newest samples.
#[derive(Debug)]
pub(super) struct Recent {
    began: Instant,
    next: u64,
    samples: VecDeque<Sample>,
}

/// The answer of `GET /recent`.
#[derive(Serialize)]
struct Told<'r> {
    every_ms: u64,
    now_ms: u64,
    commit_seconds: &'r [f64],
    samples: Vec<&'r Sample>,
}

impl Recent {
    /// None yet, of a server that began then.
    pub(super) fn new(began: Instant) -> Self {
        Self { began, next: 1, samples: VecDeque::new() }
    }

    /// Keeps what was seen now, and forgets the oldest for it.
    pub(super) fn keep(&mut self, now: Instant, seen: Seen) {
        if self.samples.len() == RECENT_MAX_SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample { nth: self.next, at_ms: self.since(now), seen });
        self.next += 1;
    }

    /// Those after this one, oldest first, as JSON.
    pub(super) fn told(&self, now: Instant, after: u64) -> Vec<u8> {
        let told = Told {
            every_ms: millis(RECENT_EVERY),
            now_ms: self.since(now),
            commit_seconds: SECONDS,
            samples: self.samples.iter().filter(|sample| sample.nth > after).collect(),
        };
        // Numbers always serialise.
        serde_json::to_vec(&told).unwrap_or_default()
    }

    fn since(&self, now: Instant) -> u64 {
        millis(now.saturating_duration_since(self.began))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::clock::{Clock, Timestamp};

    #[test]
    fn five_minutes_are_kept_and_told_from_any_sample_on() {
        let clock = Clock::manual(Timestamp(0));
        let mut recent = Recent::new(clock.instant());
        let told =
            |recent: &Recent, after| -> Value { serde_json::from_slice(&recent.told(clock.instant(), after)).unwrap() };
        assert_eq!(told(&recent, 0)["samples"], json!([]));
        for nth in 0..RECENT_MAX_SAMPLES + 10 {
            clock.advance(2_000_000);
            recent.keep(clock.instant(), Seen { queued: nth, answered: [0, 7, 0, 1, 0], ..Seen::default() });
        }
        let all = told(&recent, 0);
        let samples = all["samples"].as_array().unwrap();
        assert_eq!(samples.len(), RECENT_MAX_SAMPLES, "G5");
        assert_eq!((&samples[0]["nth"], &samples[0]["queued"]), (&json!(11), &json!(10)));
        let (first, last) = (samples[0]["at_ms"].as_u64().unwrap(), samples[149]["at_ms"].as_u64().unwrap());
        assert_eq!((last - first, &all["now_ms"]), (298_000, &json!(last)));
        assert_eq!(samples[0]["answered"], json!([0, 7, 0, 1, 0]));
        assert_eq!(
            samples[0]["commits"].as_array().unwrap().len(),
            all["commit_seconds"].as_array().unwrap().len() + 1
        );
        let newer = told(&recent, 158);
        let newer: Vec<_> = newer["samples"].as_array().unwrap().iter().map(|sample| sample["nth"].clone()).collect();
        assert_eq!(newer, [json!(159), json!(160)]);
        assert_eq!(told(&recent, u64::MAX)["samples"], json!([]));
    }
}
