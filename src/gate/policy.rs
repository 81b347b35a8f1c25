//! What the gate decides by, made of the configuration: in one place for the start and for every reload.

use std::sync::Arc;

use super::cors::Cors;
use super::counters::LIMITED_KEYS;
use super::host::Hosts;
use super::identity::options::{KEYS_RELOAD, KeysError, OpenedKeys};
use super::identity::{Demands, Identity, KeyFile, KeyWatch, Tickets, Trust, Verifier, header_trust};
use super::limit::{Limiter, RateLimits};
use super::live::Live;
use super::options::ORIGINS;
use crate::clock::Clock;
use crate::housekeeper::Task;
use crate::net::{Endpoint, Peer};
use crate::observe::metrics::{Metrics, set_usize};
use crate::settings::Settings;

/// What the gate decides by, and what a reload of the configuration replaces, all of it at once. The shards share it.
pub struct Policy {
    /// Which pages may read answers.
    pub cors: Cors,
    /// How requests state their identity.
    pub identity: Identity,
    /// How often who may ask, if that is limited.
    pub limiter: Option<Limiter>,
    /// Which names a request may ask for, if that is looked at.
    pub hosts: Option<Hosts>,
    /// What an operator has to know of it wherever they look: who may claim any name.
    pub caution: Option<String>,
}

/// Why a policy cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The keys cannot be used.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// Strangers could claim any name.
    #[error("{0}")]
    Open(String),
}

/// A policy that was made, and is not in force yet.
pub struct NewPolicy {
    policy: Policy,
    file: Option<KeyFile>,
    /// What an operator should know of it, besides what is said where the configuration is read.
    pub warnings: Vec<String>,
}

impl NewPolicy {
    /// As configured, of a server that listens in these places. What was `counted` so far goes on to count.
    fn of(
        settings: &Settings,
        addresses: &Addresses,
        counted: Option<&Limiter>,
        tickets: &Tickets,
        clock: &Clock,
    ) -> Result<Self, PolicyError> {
        let OpenedKeys { keys, file, warning } = OpenedKeys::of(settings)?;
        // Sockets may have been handed over, of which the configuration knows nothing.
        let configured = header_trust(settings, &(addresses.configured)(settings)).ok().flatten();
        let caution = header_trust(settings, &addresses.bound).map_err(PolicyError::Open)?;
        let unsaid = caution.iter().filter(|caution| configured.as_ref() != Some(caution)).cloned();
        let warnings = warning.into_iter().chain(unsaid).collect();
        let verifier = keys.map(|keys| Verifier::new(keys, Demands::of(settings)));
        let now = clock.instant();
        let limiter = RateLimits::of(settings).map(|limits| match counted {
            None => Limiter::new(limits, now),
            Some(counted) => counted.with(limits, now),
        });
        let policy = Policy {
            cors: Cors::new(settings.origins(&ORIGINS).to_vec()),
            identity: Identity { trust: Trust::of(settings), verifier, tickets: tickets.clone() },
            limiter,
            hosts: Hosts::of(settings),
            caution,
        };
        Ok(Self { policy, file, warnings })
    }
}

/// Where clients are served.
#[derive(Clone)]
pub struct Addresses {
    /// Where the server listens.
    pub bound: Arc<[Endpoint]>,
    /// Where it would by these settings: what is said of that, whoever reads them says.
    pub configured: fn(&Settings) -> Vec<Endpoint>,
}

/// The policy in force, and the file that its keys follow. Clones share it.
#[derive(Clone)]
pub struct Policies {
    /// The policy in force.
    pub policy: Live<Policy>,
    /// What makes tickets for sockets, whatever the policy.
    pub tickets: Tickets,
    addresses: Addresses,
    keys: KeyWatch,
    clock: Clock,
}

impl Policies {
    /// As configured, of a server that serves clients in these places, and what an operator should know.
    ///
    /// # Errors
    /// When the keys cannot be used, or strangers could claim any name.
    pub fn new(settings: &Settings, addresses: Addresses, clock: Clock) -> Result<(Self, Vec<String>), PolicyError> {
        let tickets = Tickets::default();
        let NewPolicy { policy, file, warnings } = NewPolicy::of(settings, &addresses, None, &tickets, &clock)?;
        let keys = KeyWatch::default();
        keys.replace(file);
        Ok((Self { policy: Live::new(policy), tickets, addresses, keys, clock }, warnings))
    }

    /// The policy of another configuration.
    ///
    /// # Errors
    /// When the keys cannot be used, or strangers could claim any name.
    pub fn prepare(&self, settings: &Settings) -> Result<NewPolicy, PolicyError> {
        NewPolicy::of(settings, &self.addresses, self.policy.now().limiter.as_ref(), &self.tickets, &self.clock)
    }

    /// Puts a policy in force.
    pub fn replace(&self, new: NewPolicy) {
        self.policy.replace(new.policy);
        self.keys.replace(new.file);
    }

    /// Who is a trusted proxy, at any time.
    pub fn trusts(&self) -> impl Fn(Peer) -> bool + Send + Sync + use<> {
        let policy = self.policy.clone();
        move |peer| policy.now().identity.trust.is_proxy(peer)
    }

    /// Has metrics show how many buckets of the rate limit are not full.
    pub fn show(&self, metrics: &Metrics) {
        let (policy, clock, keys) = (self.policy.clone(), self.clock.clone(), metrics.gauge(&LIMITED_KEYS));
        metrics.sample_with(move || {
            let (policy, now) = (policy.now(), clock.instant());
            set_usize(&keys, policy.limiter.as_ref().map_or(0, |limiter| limiter.keys(now)));
        });
    }

    /// Has the housekeeper look at the file of the keys.
    pub fn task(&self, settings: &Settings) -> Task {
        self.keys.clone().task(settings.seconds(&KEYS_RELOAD))
    }
}
