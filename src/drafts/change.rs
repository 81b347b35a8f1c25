//! What every change to a draft that there is carries to the writer, and what it asks there.

use std::sync::Arc;

use http::HeaderValue;
use http::header::RETRY_AFTER;

use super::access::{missing, not_member};
use super::chain::Link;
use super::counters::Counters;
use super::desk::Desk;
use super::error::{CREATOR_STAYS, DRAFT_LOCKED, LEASE_ACTIVE, LIMIT_EXCEEDED, NO_LEASE, RING_HELD, RING_REQUIRED};
use super::keys::store::{self as keys, Operation, Spent};
use super::model::{CHAINED_MAX_SEGMENTS, Head, IDEMPOTENCY_KEY_MAX_CHARS};
use super::receipt::{self, Made, Receipt};
use super::ring::{self, Refusal, Ring};
use super::store;
use super::version::Expected;
use super::watching::Watching;
use crate::audit::{Entry, Field, Witness};
use crate::gate::validate::{Check, ECHO_CHARS, Length};
use crate::gate::{ApiError, Call, Code};
use crate::observe::metrics::Counter;
use crate::plane::record::{OPERATOR, Operator};
use crate::store::{Error, StoreError, Tx};
use crate::text::{cut, is_deceptive};

/// How long an idempotency key may be.
pub(super) const KEY: Length = Length::between(0, IDEMPOTENCY_KEY_MAX_CHARS);

/// What every change to an existing draft carries to the writer.
pub(super) struct Change {
    pub(super) draft_id: Arc<str>,
    pub(super) actor: String,
    pub(super) request_id: String,
    expected: Expected,
    /// Whether the sender prefers a receipt to the draft.
    minimal: bool,
    /// Who makes it, for the audit log: a `user`, who may do what the rules say, or somebody who is asked for nothing.
    pub(super) by: &'static str,
    /// Those that may have to be told.
    pub(super) sockets: Watching,
    witness: Option<Witness>,
    metrics: Arc<Counters>,
}

impl Change {
    /// By the one who calls, to the draft that the path names.
    pub(super) fn of(desk: &Desk, call: &Call<'_>) -> Self {
        Self {
            draft_id: Arc::from(call.param("draft_id")),
            actor: call.user.to_owned(),
            request_id: call.request_id.as_str().to_owned(),
            expected: Expected::of(call),
            minimal: receipt::is_preferred(&call.headers),
            by: "user",
            sockets: desk.shared.watching.clone(),
            witness: desk.witness(call),
            metrics: Arc::clone(&desk.shared.counters),
        }
    }

    /// By an operator, who is asked for nothing; `sockets` may have to be told.
    pub(super) fn of_operator(draft_id: &str, operator: Operator, sockets: Watching, metrics: Arc<Counters>) -> Self {
        let (witness, request_id) = operator.into_parts();
        Self {
            draft_id: draft_id.into(),
            actor: OPERATOR.to_owned(),
            request_id,
            expected: Expected::anything(),
            minimal: false,
            by: OPERATOR,
            sockets,
            witness,
            metrics,
        }
    }

    /// Has the change counted once it is on disk.
    pub(super) fn count(&self, tx: &mut Tx<'_>, counter: fn(&Counters) -> &Counter) {
        let metrics = Arc::clone(&self.metrics);
        tx.after_commit(move || _ = counter(&metrics).inc());
    }

    /// Has the change recorded, if it is to be; only then it is asked for its details.
    pub(super) fn record<'a, const N: usize>(
        &self,
        tx: &mut Tx<'_>,
        action: &'static str,
        metadata: impl FnOnce() -> [(&'static str, Field<'a>); N],
    ) -> Result<(), StoreError> {
        let Some(witness) = &self.witness else { return Ok(()) };
        let (request_id, user_id, subject) = (&self.request_id, &self.actor, &self.draft_id);
        witness.record(tx, &Entry { request_id, user_id, action, subject, metadata: &metadata() })
    }

    /// The draft as it is now, to be changed.
    ///
    /// # Errors
    /// 404 when there is none, 410 when it was deleted.
    pub(super) fn head(&self, tx: &mut Tx<'_>) -> Result<Head, ApiError> {
        store::lock_head(tx, &self.draft_id)?.ok_or_else(|| missing(tx, &self.draft_id))
    }

    /// The same as the sender takes it to be, for a change without a key.
    ///
    /// # Errors
    /// Those of [`Change::head`]; 412 when it has another version than the sender names.
    pub(super) fn expected(&self, tx: &mut Tx<'_>) -> Result<Head, ApiError> {
        let head = self.head(tx)?;
        self.is_expected(&head).map(|()| head)
    }

    /// Refuses what is meant for another version of the draft.
    ///
    /// # Errors
    /// 412 when it has another version than the sender names.
    pub(super) fn is_expected(&self, head: &Head) -> Result<(), ApiError> {
        self.expected.check(head.event_seq)
    }

    /// Makes a change once, however often it is sent with its key. `rule` refuses it; `make` makes it, notes in the head that the
    /// version is another one now, and returns the segment that it appended, if it did.
    ///
    /// A key that was spent comes before everything that depends on who the sender is, and on what has become of the draft since; it
    /// is spent last, as a page once touched is written by the commit even if the touch was undone, and a refusal should cost no
    /// fsync. A change that is about hashes is not made while segments of an older program lack theirs: these get them first.
    ///
    /// # Errors
    /// Those of [`Change::expected`], of `rule` and of `make`.
    pub(super) fn once(
        &self,
        tx: &mut Tx<'_>,
        (operation, key): (Operation, Option<&str>),
        rule: impl FnOnce(&Tx<'_>, &Head) -> Result<(), ApiError>,
        make: impl FnOnce(&mut Tx<'_>, &mut Head) -> Result<Option<Link>, ApiError>,
    ) -> Result<Made, ApiError> {
        let mut head = self.head(tx)?;
        let spent = key.map(|key| keys::spent_on(tx, head.row, &self.actor, operation, key)).transpose()?;
        if let Some(spent) = spent.flatten() {
            return Ok(Made::Before(self.past_receipt(tx, &head, spent)?));
        }
        self.is_expected(&head)?;
        rule(tx, &head)?;
        if operation.is_about_hashes() && !store::chain_up(tx, &mut head, CHAINED_MAX_SEGMENTS)? {
            return Ok(Made::NotYet);
        }
        let link = make(tx, &mut head)?;
        let version = head.event_seq;
        if let Some(key) = key {
            let spent = Spent { version: Some(version), segment_order: link.as_ref().map(|link| link.order) };
            keys::spend_key(tx, head.row, &self.actor, operation, key, spent)?;
        }
        Ok(Made::Now(self.minimal.then_some(Receipt { version, link })))
    }

    /// The receipt for what a key was spent on, if one is wanted; a key of an older program has none, and its draft is answered.
    fn past_receipt(&self, tx: &Tx<'_>, head: &Head, spent: Spent) -> Result<Option<Receipt>, ApiError> {
        let Some(version) = spent.version.filter(|_| self.minimal) else { return Ok(None) };
        let link = spent.segment_order.map(|order| store::link(tx, head.row, order)).transpose()?.flatten();
        Ok(Some(Receipt { version, link }))
    }

    /// Looked up only when the ring itself does not know.
    pub(super) fn is_member(&self, tx: &Tx<'_>, head: &Head, user: &str) -> Result<bool, Error> {
        Ok(ring_of(head).knows(user) || store::is_member(tx, head.row, user)?)
    }

    /// Refuses whoever is not the creator.
    ///
    /// # Errors
    /// 403.
    pub(super) fn may_govern(&self, head: &Head) -> Result<(), ApiError> {
        ring::may_govern(ring_of(head), &self.actor).map_err(|refusal| self.refused(refusal, ""))
    }

    /// The words of contract 01 for a refusal; `other` is the user whom the change is about.
    pub(super) fn refused(&self, refusal: Refusal, other: &str) -> ApiError {
        self.metrics.conflicts.with(&[refusal.label()]).inc();
        let [actor, draft_id, other] = [&*self.actor, &*self.draft_id, other].map(|text| cut(text, ECHO_CHARS));
        match refusal {
            Refusal::NotMember => not_member(&self.actor, &self.draft_id),
            Refusal::RingRequired => ApiError::new(
                Code::Of(&RING_REQUIRED),
                format!("User {actor} must hold the ring to append segments to draft {draft_id}"),
            ),
            Refusal::NotHolder => {
                ApiError::new(Code::Forbidden, format!("User {actor} is not ring holder for draft {draft_id}"))
            }
            Refusal::RecipientNotMember => {
                ApiError::new(Code::Forbidden, format!("Cannot pass ring to {other} (not owner or collaborator)"))
                    .logged_as("Cannot pass ring to the recipient (not owner or collaborator)")
            }
            Refusal::NotCreator => ApiError::new(Code::Forbidden, "Only draft creator can add collaborators"),
            Refusal::CollaboratorCap => {
                ApiError::new(Code::Of(&LIMIT_EXCEEDED), format!("Collaborator cap reached for draft {draft_id}"))
            }
            Refusal::SegmentCap => {
                ApiError::new(Code::Of(&LIMIT_EXCEEDED), format!("Segment cap reached for draft {draft_id}"))
            }
            Refusal::Locked => {
                ApiError::new(Code::Of(&DRAFT_LOCKED), format!("Draft {draft_id} is locked and takes no segments"))
            }
            Refusal::NotGoverning => {
                ApiError::new(Code::Forbidden, format!("User {actor} is not the creator of draft {draft_id}"))
            }
            Refusal::CreatorStays => ApiError::new(
                Code::Of(&CREATOR_STAYS),
                format!("The creator cannot leave draft {draft_id}; transfer it first"),
            ),
            Refusal::NotCollaborator => {
                ApiError::new(Code::NotFound, format!("User {other} is not a collaborator of draft {draft_id}"))
            }
            Refusal::HeirNotMember => {
                ApiError::new(Code::Forbidden, format!("Cannot transfer draft to {other} (not owner or collaborator)"))
                    .logged_as("Cannot transfer draft to the recipient (not owner or collaborator)")
            }
            Refusal::RingHeld => {
                ApiError::new(Code::Of(&RING_HELD), format!("The creator of draft {draft_id} has the ring already"))
            }
            Refusal::NoLease => {
                ApiError::new(Code::Of(&NO_LEASE), format!("The ring of draft {draft_id} has no lease"))
            }
            Refusal::LeaseActive { left } => {
                // Told so that who waits for them finds the lease over.
                let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
                let message = format!("The lease of {other} on the ring of draft {draft_id} has {seconds} s left");
                ApiError::new(Code::Of(&LEASE_ACTIVE), message)
                    .with_header(RETRY_AFTER, HeaderValue::from(seconds))
                    .with_member("seconds_left", seconds)
            }
            Refusal::PassCap => {
                ApiError::new(Code::Of(&LIMIT_EXCEEDED), format!("Pass cap reached for draft {draft_id}"))
            }
        }
    }
}

/// Who has what part in this draft.
pub(super) fn ring_of(head: &Head) -> Ring<'_> {
    Ring { creator: &head.creator_id, holder: &head.holder_id }
}

/// Refuses a name that cannot be told from another by looking at it, or shows nothing, unless somebody has it already. Names come
/// into being here and nowhere else; only for one that looks like that anything is looked up.
///
/// # Errors
/// 422.
pub(super) fn check_new_name(
    tx: &Tx<'_>,
    (place, name): (&'static str, &'static str),
    user: &str,
) -> Result<(), ApiError> {
    let mut check = Check::new();
    if is_deceptive(user) && !store::is_known(tx, user)? {
        check.refuse(place, name, user, "String should not be blank or contain invisible characters");
    }
    check.done()
}
