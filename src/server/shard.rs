//! What each shard has: the gate with the routes of all features, and who listens to what.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use http::HeaderValue;

use super::listeners::{OwnListeners, Redirect};
use crate::feature::{Check, Figures, House, Running, ShardParts};
use crate::gate::{self, Gate, Live, Parking, Places, Policies, Policy, Routes};
use crate::hub::{Batch, Mailbox, Topics};
use crate::net::options::{PER_ADDRESS_MAX, TLS_CERTIFICATE, TLS_HSTS};
use crate::net::tls::server::Tls;
use crate::net::{self, Caps, Door, Endpoint, Front, Listener};
use crate::settings::Settings;
use crate::store::Reader;
use crate::store::options::COMMIT_TIMEOUT;

/// What the door is called that leads to TLS.
pub const REDIRECT: &str = "redirect to TLS";

/// All that is needed to build a shard's gate on the shard's own thread.
pub(super) struct ShardPlan {
    pub(super) house: House,
    pub(super) running: Arc<[Arc<dyn Running>]>,
    /// Doors of features: whose it is, and its name.
    pub(super) own: Vec<(Arc<dyn Running>, &'static str)>,
    /// The port that the last door leads to, if there is one that does nothing else.
    pub(super) leads_to: Option<u16>,
    /// What is said over TLS of TLS.
    pub(super) hsts: Option<HeaderValue>,
    pub(super) checks: Arc<[Check]>,
    pub(super) figures: Arc<[Figures]>,
    pub(super) policy: Live<Policy>,
    pub(super) body_bytes: usize,
    pub(super) log_addresses: bool,
    pub(super) places: Places,
    pub(super) counters: Arc<gate::Counters>,
}

impl ShardPlan {
    pub(super) fn build(&self, reader: Reader, mailbox: Arc<Mailbox>) -> (Vec<Gate>, Rc<RefCell<Topics>>) {
        let topics = Topics::new(&mailbox, self.house.sockets.deliveries(), self.house.clock.clone());
        let topics = Rc::new(RefCell::new(topics));
        let (writer, pool) = (self.house.writer.clone(), self.house.pool.clone());
        let asked = (Arc::clone(&self.checks), Arc::clone(&self.figures));
        let parts = ShardParts::new(reader, writer, pool, Rc::clone(&topics), Arc::clone(&mailbox), asked);
        let none = || Routes::counted_by(Arc::clone(&self.counters));
        let mut public = none();
        self.running.iter().for_each(|running| running.routes(&parts, &mut public));
        let own = self.own.iter().map(|(owner, door)| {
            let mut routes = none();
            owner.door_routes(door, &parts, &mut routes);
            routes
        });
        let served = [public].into_iter().chain(own).map(|routes| (routes, None));
        let led = self.leads_to.map(|port| (none(), Some(port)));
        let gate = |(routes, leads_to): (Routes, Option<u16>)| Gate {
            routes,
            leads_to,
            hsts: if leads_to.is_none() { self.hsts.clone() } else { None },
            policy: self.policy.follow(),
            revoked: self.house.revoked.follow(),
            body_bytes: self.body_bytes,
            headers: &gate::headers::API,
            guard: None,
            untrusted_proxy: self.house.untrusted_proxy.clone(),
            log_addresses: self.log_addresses,
            places: self.places.clone(),
            parking: Parking::of(Arc::clone(&mailbox) as _),
            clock: self.house.clock.clone(),
            timekeeper: Some(self.house.timekeeper.clone()),
        };
        (served.chain(led).map(gate).collect(), topics)
    }
}

/// The public door.
pub(super) fn front_door(
    listeners: Vec<Listener>,
    settings: &Settings,
    connections: usize,
    policies: &Policies,
    tls: Option<Tls>,
) -> Door {
    let (per_address, exempt) = (settings.count(&PER_ADDRESS_MAX), Box::new(policies.trusts()));
    Door { listeners, caps: Some(Caps { connections, per_address, exempt }), tls }
}

/// All doors of the front, the public one first, and the names of the others, whose connections count with its.
pub(super) fn doors(
    public: Door,
    own: Vec<OwnListeners>,
    redirect: Option<Redirect>,
) -> (Vec<Door>, Vec<&'static str>) {
    let tls = public.tls.clone();
    let own = own.into_iter().map(|own| (own.listeners, tls.clone(), own.door));
    let redirect = redirect.map(|redirect| (vec![redirect.listener], None, REDIRECT));
    let (mut doors, mut names) = (vec![public], Vec::new());
    for (listeners, tls, name) in own.chain(redirect) {
        doors.push(Door { listeners, caps: None, tls });
        names.push(name);
    }
    (doors, names)
}

/// What is said over TLS of TLS, if anything is.
pub(super) fn hsts(settings: &Settings) -> Option<HeaderValue> {
    let seconds = settings.count(&TLS_HSTS);
    let text = (seconds > 0 && settings.text(&TLS_CERTIFICATE).is_some()).then(|| format!("max-age={seconds}"));
    text.and_then(|text| HeaderValue::try_from(text).ok())
}

/// Where the own doors with these names are, which stand behind the public one.
pub(super) fn own_endpoints<'f>(
    front: &'f Front<Batch>,
    names: &'f [&'static str],
) -> impl Iterator<Item = (&'static str, &'f Endpoint)> {
    let each = names.iter().enumerate();
    each.flat_map(|(at, name)| front.endpoints_of(at + 1).iter().map(move |endpoint| (*name, endpoint)))
}

/// How connections are treated.
pub(super) fn front_options(settings: &Settings, house: &House) -> net::Options {
    net::Options {
        name: "",
        limits: net::HeadLimits::of(settings),
        timeouts: net::Timeouts::of(settings, settings.seconds(&COMMIT_TIMEOUT)),
        pool: house.pool.clone(),
        metrics: Arc::new(net::Counters::new(&house.metrics)),
        clock: house.clock.clone(),
    }
}
