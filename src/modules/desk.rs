//! What the modules' handlers work with on one shard, and what every one of their requests passes first.

use std::cell::{Ref, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::access::door::{Door, Rules, Seen, token_of};
use super::access::store::{self, Session};
use super::calendar::Turns;
use super::counters::Counters;
use super::listeners::Listeners;
use super::module::MODULES;
use super::participant::door::KeyDoor;
use super::records::change::Hand;
use super::records::pages::Pages;
use super::states::States;
use super::zone::Zone;
use crate::feature::{House, ShardParts};
use crate::gate::{ApiError, Call, Following, Outcome, Route, Routes};

/// What all shards share.
pub(super) struct Shared {
    pub(super) house: House,
    pub(super) zone: Zone,
    pub(super) states: States,
    pub(super) listeners: Listeners,
    pub(super) door: Door,
    /// When it was started.
    pub(super) began: Instant,
    /// Whether the chat answers.
    pub(super) chat: bool,
    pub(super) participant: KeyDoor,
    /// Whose turn it is to take a calendar file in.
    pub(super) calendar_files: Turns,
    pub(super) counters: Counters,
}

/// The handlers' table on one shard.
pub(super) struct Desk {
    pub(super) parts: ShardParts,
    pub(super) shared: Arc<Shared>,
    rules: RefCell<Following<Rules>>,
    /// The lists that this shard keeps.
    pub(super) pages: Rc<RefCell<Pages>>,
}

impl Desk {
    /// That of one shard.
    pub(super) fn new(parts: ShardParts, shared: Arc<Shared>) -> Self {
        let rules = RefCell::new(shared.door.follow());
        Self { parts, shared, rules, pages: Rc::default() }
    }

    /// The rules of the door in force. To be let go before anything else of a request is done.
    pub(super) fn rules(&self) -> Ref<'_, Rules> {
        self.rules.borrow_mut().catch_up();
        Ref::map(self.rules.borrow(), |rules| &**rules)
    }

    /// Adds a route whose requests have passed what all of them pass.
    pub(super) fn add(
        self: &Rc<Self>,
        to: &mut Routes,
        route: Route,
        handler: impl Fn(&Rc<Self>, &Call<'_>) -> Result<Outcome, ApiError> + 'static,
    ) {
        self.add_after(to, route, Desk::admitted, handler);
    }

    /// The same for files that pages show, of which one page asks for many at once: they are not counted.
    pub(super) fn add_file(
        self: &Rc<Self>,
        to: &mut Routes,
        route: Route,
        handler: impl Fn(&Rc<Self>, &Call<'_>) -> Result<Outcome, ApiError> + 'static,
    ) {
        let desk = Rc::clone(self);
        to.add(route, move |call| desk.admitted(call).and_then(|()| handler(&desk, call)));
    }

    /// The same for requests that pass without a session: what is no secret of the household, and the door itself.
    pub(super) fn add_open(
        self: &Rc<Self>,
        to: &mut Routes,
        route: Route,
        handler: impl Fn(&Rc<Self>, &Call<'_>) -> Result<Outcome, ApiError> + 'static,
    ) {
        self.add_after(to, route, |_, _| Ok(()), handler);
    }

    /// The same for requests that have a limit of their own: they are not counted by the one of all others.
    pub(super) fn add_limited_by_itself(
        self: &Rc<Self>,
        to: &mut Routes,
        route: Route,
        handler: impl Fn(&Rc<Self>, &Call<'_>) -> Result<Outcome, ApiError> + 'static,
    ) {
        let desk = Rc::clone(self);
        to.add(route, move |call| {
            desk.rules().page(call)?;
            handler(&desk, call)
        });
    }

    /// A route whose requests are counted, asked which page sends them, and asked by `admit` who they are, in this order; only
    /// then what they send has to be JSON (contract 04 §1.1).
    fn add_after(
        self: &Rc<Self>,
        to: &mut Routes,
        route: Route,
        admit: impl Fn(&Self, &Call<'_>) -> Result<(), ApiError> + 'static,
        handler: impl Fn(&Rc<Self>, &Call<'_>) -> Result<Outcome, ApiError> + 'static,
    ) {
        let desk = Rc::clone(self);
        let is_socket = route.is_socket();
        to.add(route.heard_before_json(), move |call| {
            let verdict = desk.rules().count(call.client, desk.shared.house.clock.instant());
            if !verdict.is_allowed() {
                return Ok(Outcome::Now(verdict.refusal()));
            }
            let of_page = desk.rules().page(call);
            let passed = of_page.and_then(|()| admit(&desk, call)).and_then(|()| call.body.is_whole());
            let answer = passed.and_then(|()| handler(&desk, call));
            if is_socket {
                return answer;
            }
            let headers = verdict.headers();
            match answer {
                Ok(outcome) => Ok(outcome.carrying(headers)),
                Err(error) => Err(error.with_headers(headers)),
            }
        });
    }

    /// Whether who sends a request belongs to the household.
    fn admitted(&self, call: &Call<'_>) -> Result<(), ApiError> {
        self.session(call).map(|_| ())
    }

    /// The session of a request; none where none is needed.
    pub(super) fn session(&self, call: &Call<'_>) -> Result<Option<Session>, ApiError> {
        if !self.rules().is_closed() {
            return Ok(None);
        }
        let token = token_of(call).ok_or_else(|| self.rules().refusal())?;
        let now = call.clock.now();
        let hash = token.hash();
        let found = self.parts.fetch(move |reader| store::session(reader, &hash))?;
        let session = found.filter(|session| session.times.is_good(now)).ok_or_else(|| self.rules().refusal())?;
        if session.times.is_stale(now) {
            // Whoever comes meanwhile asks for the same, which harms nothing; without a place for it the next one asks again.
            drop(self.parts.writer.submit(Box::new(Seen(session.id))));
        }
        Ok(Some(session))
    }

    /// Who makes the changes of a request.
    pub(super) fn hand(&self, call: &Call<'_>) -> Hand {
        Hand::of(call, self.shared.house.audit.as_ref(), &self.shared.zone, &self.shared.counters)
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
