//! What the service manager is told of the start.

use std::time::Duration;

use crate::net::Endpoint;
use crate::systemd::{Finding, Notify, Prober, Watchdog};

/// How long the test write at the start may take.
pub(super) const START_PROBE_PATIENCE: Duration = Duration::from_secs(10);

/// Makes a test write by way of all shards, tells the service manager that the start is over, and has it told from now on
/// that all is well. A server that takes no changes has started all the same: it can be read from.
pub(super) fn announce(notify: &Notify, mut prober: Prober, serving: String) -> std::io::Result<Option<Watchdog>> {
    if !notify.is_heard() {
        return Ok(None);
    }
    let finding = prober.round(START_PROBE_PATIENCE);
    match &finding {
        Finding::Ready => notify.ready(&serving),
        Finding::Excused(why) | Finding::Stuck(why) => {
            log::warn!(reason = why; "server.started_not_ready");
            notify.ready(&format!("{serving}, but not ready: {why}"));
        }
    }
    Watchdog::start(notify, prober, serving, finding)
}

pub(super) fn serving_on(endpoints: &[Endpoint]) -> String {
    format!("serving on {}", Endpoint::joined(endpoints))
}
