//! What a reload replaces in a running server. It is made in one place, for the start and for every reload.

use std::net::IpAddr;

use super::policy::{KeysError, OpenedKeys, demands, limiter, open_keys, socket_options, trusted};
use crate::clock::Clock;
use crate::config::Config;
use crate::drafts;
use crate::gate::{Cors, Identity, KeyFile, KeyWatch, Limiter, Live, Policy, Verifier};

/// Everything that follows the configuration while the server runs; the log's level is its owner's. Clones share it.
#[derive(Clone)]
pub(super) struct Changeable {
    pub(super) policy: Live<Policy>,
    /// For sockets that are opened from now on.
    pub(super) sockets: Live<drafts::SocketOptions>,
    pub(super) keys: KeyWatch,
    clock: Clock,
}

impl Changeable {
    /// As configured, and what an operator should know.
    pub(super) fn new(config: &Config, clock: Clock) -> Result<(Self, Option<String>), KeysError> {
        let Made { policy, sockets, file, warning } = Made::of(config, None, &clock)?;
        let (policy, sockets, keys) = (Live::new(policy), Live::new(sockets), KeyWatch::default());
        keys.replace(file);
        Ok((Self { policy, sockets, keys, clock }, warning))
    }

    /// Follows another configuration: everything that may fail comes first, so it is all or nothing.
    pub(super) fn follow(&self, config: &Config) -> Result<Option<String>, KeysError> {
        let Made { policy, sockets, file, warning } =
            Made::of(config, self.policy.now().limiter.as_ref(), &self.clock)?;
        self.policy.replace(policy);
        self.sockets.replace(sockets);
        self.keys.replace(file);
        Ok(warning)
    }

    /// Who is a trusted proxy, at any time.
    pub(super) fn trusts(&self) -> impl Fn(IpAddr) -> bool + Send + Sync + use<> {
        let policy = self.policy.clone();
        move |address| (policy.now().trusted_proxy)(address)
    }
}

/// The parts as made from one configuration.
struct Made {
    policy: Policy,
    sockets: drafts::SocketOptions,
    file: Option<KeyFile>,
    warning: Option<String>,
}

impl Made {
    fn of(config: &Config, counted: Option<&Limiter>, clock: &Clock) -> Result<Self, KeysError> {
        let OpenedKeys { keys, file, warning } = open_keys(config)?;
        let verifier = keys.map(|keys| Verifier::new(keys, demands(config)));
        let policy = Policy {
            cors: Cors::new(config.origins.clone()),
            identity: Identity { trust_user_header: config.trust_user_header, verifier },
            limiter: limiter(config, counted, clock),
            trusted_proxy: Box::new(trusted(config.trusted_proxies.clone())),
        };
        Ok(Self { policy, sockets: socket_options(config), file, warning })
    }
}
