//! Which paths were asked for most in the last hour, and how long their answers took. A household's server answers a few requests
//! a minute, so anything shorter would show it nothing. Of each minute only the paths are kept that were asked for in it.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::observe::metrics::{SECONDS, SPREAD_BUCKETS};

/// From one step to the next.
const PATHS_EVERY: Duration = Duration::from_secs(60);
/// How many steps are kept: an hour.
pub(super) const PATHS_MAX_MINUTES: usize = 60;
/// How many paths are told, the busiest first.
pub(super) const PATHS_MAX_ROWS: usize = 10;

/// Requests, by how long they took.
type Counts = [u64; SPREAD_BUCKETS];
/// What was counted of each path.
type Counted = Vec<(&'static str, Counts)>;

/// What was counted in the last hour.
#[derive(Debug)]
pub(super) struct Paths {
    /// When the oldest minute began.
    began: Instant,
    /// When the newest ended.
    ended: Instant,
    minutes: VecDeque<(Instant, Counted)>,
    /// What was counted since the start, up to then.
    known: HashMap<&'static str, Counts>,
}

/// The answer of `GET /paths`.
#[derive(Serialize)]
struct Told {
    covers_seconds: u64,
    seconds: &'static [f64],
    paths: Vec<Row>,
}

/// One path.
#[derive(Serialize)]
struct Row {
    path: &'static str,
    requests: u64,
    took: Counts,
}

impl Paths {
    /// Nothing yet, of a server that began then.
    pub(super) fn new(began: Instant) -> Self {
        Self { began, ended: began, minutes: VecDeque::new(), known: HashMap::new() }
    }

    /// Takes what was counted since the start, if a minute has gone by, and forgets the oldest for it.
    pub(super) fn keep(&mut self, now: Instant, seen: impl FnOnce() -> Counted) {
        if now.saturating_duration_since(self.ended) < PATHS_EVERY {
            return;
        }
        let seen = seen();
        if self.minutes.len() == PATHS_MAX_MINUTES
            && let Some((ended, _)) = self.minutes.pop_front()
        {
            self.began = ended;
        }
        self.minutes.push_back((now, self.newer(&seen)));
        self.known.extend(seen);
        self.ended = now;
    }

    /// The busiest paths as JSON, up to what was counted by now.
    pub(super) fn told(&self, now: Instant, seen: &[(&'static str, Counts)]) -> Vec<u8> {
        let mut sums: HashMap<&'static str, Counts> = self.newer(seen).into_iter().collect();
        for (path, counts) in self.minutes.iter().flat_map(|(_, counted)| counted) {
            let sum = sums.entry(path).or_default();
            sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        let row = |(path, took): (_, Counts)| Row { path, requests: took.iter().sum(), took };
        let mut paths: Vec<Row> = sums.into_iter().map(row).collect();
        // By name where they are equal, so that no row jumps about.
        paths.sort_by(|one, other| other.requests.cmp(&one.requests).then_with(|| one.path.cmp(other.path)));
        paths.truncate(PATHS_MAX_ROWS);
        let covers_seconds = now.saturating_duration_since(self.began).as_secs();
        // Texts and numbers always serialise.
        serde_json::to_vec(&Told { covers_seconds, seconds: SECONDS, paths }).unwrap_or_default()
    }

    /// What was counted since the newest minute ended, of the paths that were asked for since.
    fn newer(&self, seen: &[(&'static str, Counts)]) -> Counted {
        let since = |&(path, counts): &(&'static str, Counts)| {
            let known = self.known.get(path).copied().unwrap_or_default();
            let newer: Counts = std::array::from_fn(|at| counts[at].saturating_sub(known[at]));
            newer.iter().any(|count| *count > 0).then_some((path, newer))
        };
        seen.iter().filter_map(since).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::clock::{Clock, Timestamp};

    const MINUTE: i64 = 60_000_000;

    fn counts(at: usize, count: u64) -> Counts {
        let mut counts = Counts::default();
        counts[at] = count;
        counts
    }

    fn told(paths: &Paths, clock: &Clock, seen: &[(&'static str, Counts)]) -> Value {
        serde_json::from_slice(&paths.told(clock.instant(), seen)).unwrap()
    }

    fn requests(told: &Value) -> Vec<(&str, u64)> {
        let row = |row: &'_ Value| row["requests"].as_u64().unwrap();
        told["paths"].as_array().unwrap().iter().map(|path| (path["path"].as_str().unwrap(), row(path))).collect()
    }

    #[test]
    fn an_hour_of_paths_is_kept_and_what_is_older_is_forgotten() {
        let clock = Clock::manual(Timestamp(0));
        let mut paths = Paths::new(clock.instant());
        assert_eq!(told(&paths, &clock, &[])["paths"], json!([]));
        // Of the minute that has just begun, too.
        let mut seen = vec![("/once", counts(2, 5)), ("/each", counts(0, 0)), ("/never", counts(0, 0))];
        clock.advance(MINUTE / 2);
        let first = told(&paths, &clock, &seen);
        assert_eq!((&first["covers_seconds"], requests(&first)), (&json!(30), vec![("/once", 5)]));
        assert_eq!(first["paths"][0]["took"], json!(counts(2, 5)));
        assert_eq!(first["seconds"].as_array().unwrap().len() + 1, SPREAD_BUCKETS);
        clock.advance(MINUTE / 2);
        for minute in 1..=PATHS_MAX_MINUTES as u64 {
            seen[1].1 = counts(0, minute);
            paths.keep(clock.instant(), || seen.clone());
            // Nobody looks again before the next.
            clock.advance(MINUTE / 2);
            paths.keep(clock.instant(), || panic!("too early"));
            clock.advance(MINUTE / 2);
        }
        let full = told(&paths, &clock, &seen);
        assert_eq!((&full["covers_seconds"], requests(&full)), (&json!(3660), vec![("/each", 60), ("/once", 5)]));
        paths.keep(clock.instant(), || seen.clone());
        let next = told(&paths, &clock, &seen);
        assert_eq!((&next["covers_seconds"], requests(&next)), (&json!(3600), vec![("/each", 59)]));
        assert_eq!(paths.minutes.len(), PATHS_MAX_MINUTES, "G5");
        assert_eq!(paths.minutes.back().map(|(_, counted)| counted.len()), Some(0), "nothing was asked for in it");
    }

    #[test]
    fn the_busiest_paths_come_first_and_no_more_than_so_many() {
        const NAMES: [&str; 12] = ["/a", "/b", "/c", "/d", "/e", "/f", "/g", "/h", "/i", "/j", "/k", "/l"];
        let clock = Clock::manual(Timestamp(0));
        let paths = Paths::new(clock.instant());
        let seen: Vec<_> = NAMES.iter().enumerate().map(|(nth, name)| (*name, counts(0, 1 + nth as u64 / 2))).collect();
        let told = told(&paths, &clock, &seen);
        let told = requests(&told);
        assert_eq!(told.len(), PATHS_MAX_ROWS);
        assert_eq!(told[..3], [("/k", 6), ("/l", 6), ("/i", 5)]);
    }
}
