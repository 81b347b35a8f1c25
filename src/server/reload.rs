//! What a reload replaces in a running server.

use crate::clock::Clock;
use crate::drafts;
use crate::gate::{KeysError, Live, Policies};
use crate::settings::Settings;

/// Everything that follows the configuration while the server runs; the log's level is its owner's. Clones share it.
#[derive(Clone)]
pub(super) struct LiveConfig {
    pub(super) policies: Policies,
    /// For sockets that are opened from now on.
    pub(super) sockets: Live<drafts::SocketOptions>,
}

impl LiveConfig {
    /// As configured, and what an operator should know.
    pub(super) fn new(settings: &Settings, clock: Clock) -> Result<(Self, Option<String>), KeysError> {
        let (policies, warning) = Policies::new(settings, clock)?;
        let sockets = Live::new(drafts::SocketOptions::of(settings));
        Ok((Self { policies, sockets }, warning))
    }

    /// Follows another configuration: what may fail comes first, so it is all or nothing.
    pub(super) fn follow(&self, settings: &Settings) -> Result<Option<String>, KeysError> {
        let mut policy = self.policies.prepare(settings)?;
        let warning = policy.warning.take();
        self.policies.replace(policy);
        self.sockets.replace(drafts::SocketOptions::of(settings));
        Ok(warning)
    }
}
