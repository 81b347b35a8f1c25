//! What the command line says, and what all modes share.

use std::path::PathBuf;
use std::time::Duration;

/// What every server says to `GET /healthz`.
pub const HEALTHY: &str = r#"{"status":"ok"}"#;

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

pub const USAGE: &str = "\
usage: inkring-bench http|append|receipts|events|limits|backup|fanout|idle|rooms|modules|tls|start|versus [options]
  http     GET /healthz against axum and tiny_http, and GET of a draft against our own /healthz
  append   64 clients append segments, against the bare storage engine
  receipts appends that are answered with receipts: 64 clients and one, against the bare engine; to a draft of 10,000
           segments; and what 500 a second cost the server
  events   behaviour events one by one against our own /healthz and against nginx, which writes a line in its log for
           each, 100 in a body, and a report over files of them
  limits   appends with every check on against every check off, the price of a 429, a million addresses
  backup   the same while a database of 1 GB is backed up, against the same without; and a server that idles
  fanout   an append reaches 1,000 subscribers, against a bare loop and axum, and 100 in time
  idle     10,000 sockets with nothing to say: their memory and their pings
  rooms    documents edited together: speed, memory and patience, against y-websocket's servers under Node
  modules  the household's records: a list against our own /healthz, changes against our own appends, and what a search,
           an upload and an export cost
  tls      what TLS costs a request and a connection, against none and against nginx in front
  start    start to first answer, idle memory, 2,000 connections at once
  versus   this build against another one (--before PATH), alternating: a change must not cost speed
options:
  --seconds N    length of one measured round (http and fanout 0.5, events 1, append, receipts, limits and backup 5, rooms 3, modules
                 0.5 to 3, idle 30)
  --rounds N     rounds, of which medians are printed (http 31, events 11, fanout 9 and 21, limits and rooms 5, append and receipts 3,
                 modules 7 to 15, backup 1, start 10, versus 11)
  --megabytes N  backup: the size of the database (1024)
  --millions N   events: how many millions of them the report is over (10), or are sent with --flat (1)
  --flat         events: nothing but whether memory, threads and descriptors stay what they are
  --rows N,N     rooms and modules: only these rows of their tables
  --quick        rooms and modules: less of everything, to see whether it works
  --before PATH  versus: the release build of an inkring to compare with
  --peers-only   http or fanout without inkring, to see what the comparison servers do here
  --unpinned     http, events, fanout or idle with server and load on all cores, as the system places them";

pub struct Window {
    pub warm_up: Duration,
    pub measured: Duration,
    /// How long one answer may take before its connection is given up.
    pub patience: Duration,
}

/// What the command line may change; `None` is the mode's own default.
#[derive(Default)]
pub struct Options {
    pub seconds: Option<f64>,
    pub rounds: Option<usize>,
    pub megabytes: Option<usize>,
    pub millions: Option<f64>,
    pub before: Option<PathBuf>,
    pub rows: Option<Vec<usize>>,
    pub quick: bool,
    pub flat: bool,
    pub peers_only: bool,
    pub unpinned: bool,
}

impl Options {
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self::default();
        while let Some(word) = words.next() {
            if word == "--before" {
                options.before = Some(words.next().ok_or("--before wants a path")?.into());
                continue;
            }
            if word == "--rows" {
                let rows = words.next().ok_or("--rows wants numbers")?;
                options.rows = Some(rows.split(',').map(str::parse).collect::<std::result::Result<_, _>>()?);
                continue;
            }
            let mut number = || words.next().ok_or(format!("{word} wants a number"));
            match word.as_str() {
                "--seconds" => options.seconds = Some(number()?.parse()?),
                "--rounds" => options.rounds = Some(number()?.parse()?),
                "--millions" => options.millions = Some(number()?.parse()?),
                "--megabytes" => options.megabytes = Some(number()?.parse()?),
                "--quick" => options.quick = true,
                "--flat" => options.flat = true,
                "--peers-only" => options.peers_only = true,
                "--unpinned" => options.unpinned = true,
                _ => return Err(format!("unknown option {word}\n{USAGE}").into()),
            }
        }
        if options.rounds == Some(0) || options.seconds.is_some_and(|s| !(0.1..=600.0).contains(&s)) {
            return Err("at least one round, of 0.1 to 600 seconds".into());
        }
        Ok(options)
    }

    pub fn window(&self, seconds: f64) -> Window {
        Window {
            warm_up: Duration::from_millis(100),
            measured: Duration::from_secs_f64(self.seconds.unwrap_or(seconds)),
            patience: Duration::from_secs(2),
        }
    }
}
