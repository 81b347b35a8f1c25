//! What the modules' handlers work with on one shard, and what every one of their requests passes first.

use std::rc::Rc;
use std::sync::Arc;

use super::listeners::Listeners;
use super::module::MODULES;
use super::records::change::Hand;
use super::states::States;
use super::zone::Zone;
use crate::feature::{House, ShardParts};
use crate::gate::{ApiError, Call, Headers, Outcome, Route, Routes};

/// What answers of the modules carry: those of the API, but how long one may be kept it says itself.
pub(super) static HEADERS: Headers = Headers {
    lines: "content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n\
        referrer-policy: no-referrer\r\n\
        vary: Origin\r\n\
        x-content-type-options: nosniff\r\n\
        x-frame-options: DENY\r\n",
    policy: "",
    cache: "no-store",
};

/// What all shards share.
pub(super) struct Shared {
    pub(super) house: House,
    pub(super) zone: Zone,
    pub(super) states: States,
    pub(super) listeners: Listeners,
}

/// The handlers' table on one shard.
pub(super) struct Desk {
    pub(super) parts: ShardParts,
    pub(super) shared: Arc<Shared>,
}

impl Desk {
    /// Adds a route whose requests have passed what all of them pass.
    pub(super) fn add(
        self: &Rc<Self>,
        to: &mut Routes,
        route: Route,
        handler: impl Fn(&Rc<Self>, &Call<'_>) -> Result<Outcome, ApiError> + 'static,
    ) {
        let desk = Rc::clone(self);
        to.add(route, move |call| handler(&desk, call));
    }

    /// Who makes the changes of a request.
    pub(super) fn hand(&self, call: &Call<'_>) -> Hand {
        Hand::of(call, self.shared.house.audit.as_ref(), &self.shared.zone)
    }

    /// The modules that serve their data.
    pub(super) fn active_modules(&self) -> Vec<&'static str> {
        MODULES.iter().map(|module| module.id).filter(|id| self.shared.states.is_active(id)).collect()
    }

    /// Whether a module serves its data.
    pub(super) fn active(&self, module: &str) -> Result<(), ApiError> {
        self.shared.states.require(module)
    }
}
