//! Backups that a signal asks for: each on a thread of its own, one at a time, so that the thread that hears of the signal does
//! not wait for one.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;

/// What makes a backup, and takes as long as it takes.
pub(super) type Make = Arc<dyn Fn() + Send + Sync>;

/// Begins backups when it is told to.
pub(super) struct OnDemand {
    make: Option<Make>,
    running: Mutex<Option<JoinHandle<()>>>,
}

impl OnDemand {
    /// Made by this, if there is a place for them.
    pub(super) fn new(make: Option<Make>) -> Self {
        Self { make, running: Mutex::default() }
    }

    /// Begins one, or says why not.
    pub(super) fn begin(&self) {
        let Some(make) = &self.make else {
            log::warn!(reason = "BACKUP_DIR is not set: set it and restart"; "backup.not_begun");
            return;
        };
        let mut running = self.running.lock();
        if running.as_ref().is_some_and(|thread| !thread.is_finished()) {
            log::warn!(reason = "the previous one is not finished"; "backup.not_begun");
            return;
        }
        let make = Arc::clone(make);
        match thread::Builder::new().name("backup".into()).spawn(move || make()) {
            Ok(thread) => *running = Some(thread),
            Err(error) => log::error!(reason = error.to_string(); "backup.not_begun"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn backups_are_made_one_at_a_time() {
        let made = Arc::new(AtomicUsize::new(0));
        let (count, (begun, begins), (go, wait)) = (Arc::clone(&made), channel(), channel::<()>());
        let wait = Mutex::new(wait);
        let backups = OnDemand::new(Some(Arc::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
            begun.send(()).unwrap();
            wait.lock().recv().unwrap();
        })));
        backups.begin();
        begins.recv().unwrap();
        backups.begin();
        go.send(()).unwrap();
        backups.running.lock().take().unwrap().join().unwrap();
        assert_eq!(made.load(Ordering::Relaxed), 1);
        backups.begin();
        begins.recv().unwrap();
        go.send(()).unwrap();
        backups.running.lock().take().unwrap().join().unwrap();
        assert_eq!(made.load(Ordering::Relaxed), 2);
        OnDemand::new(None).begin();
    }
}
