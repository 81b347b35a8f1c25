//! One line of the table, and what all of them are measured with.

use std::path::PathBuf;

use crate::options::Options;

/// What a row says.
pub struct Row {
    pub ours: String,
    pub peer: String,
    pub verdict: String,
    /// Answers that were wrong or missing.
    pub failures: u64,
}

/// How rows are measured.
pub struct Setting {
    /// The release build of inkring.
    pub program: PathBuf,
    /// Where the peers are installed; why they are not where they are not.
    pub peers: Result<PathBuf, String>,
    /// Of the server and of the load.
    pub cores: Option<(usize, usize)>,
    pub rounds: usize,
    pub seconds: f64,
    pub quick: bool,
}

impl Setting {
    pub fn of(options: &Options, program: PathBuf, peers: Result<PathBuf, String>) -> crate::options::Result<Self> {
        let quick = options.quick;
        Ok(Self {
            program,
            peers,
            cores: crate::process::two_cores()?.filter(|_| !options.unpinned),
            rounds: options.rounds.unwrap_or(if quick { 2 } else { 5 }),
            seconds: options.seconds.unwrap_or(if quick { 1.0 } else { 3.0 }),
            quick,
        })
    }

    pub fn server_core(&self) -> Option<usize> {
        self.cores.map(|(server, _)| server)
    }

    /// Keeps the load away from the servers, which run by now: one started later would inherit it.
    pub fn pin_the_load(&self) -> crate::options::Result<()> {
        self.cores.map_or(Ok(()), |(_, load)| crate::process::pin_this_thread(load))
    }

    /// So many, or fewer where little is wanted.
    pub fn many(&self, many: usize, few: usize) -> usize {
        if self.quick { few } else { many }
    }
}
