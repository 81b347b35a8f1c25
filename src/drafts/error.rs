//! The errors that only drafts answer.

use http::StatusCode;

use crate::gate::{Code, CodeRow};

/// Only the holder of the ring may.
pub(super) static RING_REQUIRED: CodeRow = CodeRow::new("ring_required", &[StatusCode::FORBIDDEN])
    .after(Code::Forbidden)
    .meaning("a member tried to write without holding the ring", "wait for `collab.ring_passed`, or ask the holder");

/// A locked draft takes no appends.
pub(super) static DRAFT_LOCKED: CodeRow =
    CodeRow::new("draft_locked", &[StatusCode::CONFLICT]).after(Code::NotFound).meaning(
        "the holder of the ring tried to write in a draft that its creator has locked",
        "wait for `collab.draft_unlocked`",
    );

/// The creator is always a member.
pub(super) static CREATOR_STAYS: CodeRow = CodeRow::new("creator_cannot_leave", &[StatusCode::CONFLICT])
    .after(Code::NotFound)
    .meaning("a draft always has its creator", "transfer the draft first (`POST …/transfer`), or delete it");

/// The lease is not over.
pub(super) static LEASE_ACTIVE: CodeRow = CodeRow::new("ring_lease_active", &[StatusCode::CONFLICT])
    .after(Code::NotFound)
    .meaning(
        "the holder of the ring has not been silent long enough for taking it back: `error.seconds_left`",
        "wait for `Retry-After`; any activity of the holder restarts the lease",
    )
    .operator("`RING_LEASE_SECONDS`, unless the draft has its own lease");

/// There is no lease.
pub(super) static NO_LEASE: CodeRow = CodeRow::new("no_ring_lease", &[StatusCode::CONFLICT])
    .after(Code::NotFound)
    .meaning(
        "the ring of this draft has no lease, so it cannot be taken back",
        "set one (`PUT …/lease`), or remove the holder",
    )
    .operator("`RING_LEASE_SECONDS`, unless the draft has its own lease");

/// Nobody takes back what they have.
pub(super) static RING_HELD: CodeRow = CodeRow::new("ring_already_held", &[StatusCode::CONFLICT])
    .after(Code::NotFound)
    .meaning("the creator already has the ring", "nothing");

/// The draft was deleted.
pub(super) static GONE: CodeRow = CodeRow::new("gone", &[StatusCode::GONE])
    .after(Code::NotFound)
    .meaning("this draft was deleted within the last week; later it is 404", "drop it from your lists")
    .operator("`collab.delete_draft` in the audit log says who did");

/// A cap of a draft is reached.
pub(super) static LIMIT_EXCEEDED: CodeRow = CodeRow::new("limit_exceeded", &[StatusCode::TOO_MANY_REQUESTS])
    .after(Code::PayloadTooLarge)
    .meaning("a limit of this draft is reached", "do not retry: waiting does not help")
    .operator(
        "`MAX_SEGMENTS_PER_DRAFT`, `MAX_PASSES_PER_DRAFT`, `MAX_COLLABORATORS_PER_DRAFT`; `MAX_WS_CONNECTIONS_PER_DRAFT`, the \
         older name of `WS_MAX_SOCKETS_PER_DRAFT`",
    );

/// A limit of sockets is met. A socket is told so and closed, so no status ever goes with it.
pub(super) static WS_LIMIT: CodeRow = CodeRow::new("ws_limit", &[])
    .meaning(
        "a socket is over [a limit](PROTOCOL.md#refusals), comes from an origin that is not allowed, or was replaced \
         by a newer one of its user; a frame says so",
        "the `message` says which; do not reconnect immediately",
    )
    .operator(
        "`WS_MAX_SOCKETS_GLOBAL`, `WS_MAX_SOCKETS_PER_DRAFT`, `WS_MAX_SOCKETS_PER_USER`, \
         `WS_MAX_MESSAGES_PER_SECOND`, `WS_ALLOWED_ORIGINS`",
    );

/// The draft has another version than the sender of a change takes it to have.
pub(super) static STALE_VERSION: CodeRow = CodeRow::new("stale_version", &[StatusCode::PRECONDITION_FAILED]).meaning(
    "a change had `If-Match`, but the draft has [another version](PROTOCOL.md#versions), in `ETag` and \
     `error.current_version`",
    "read the draft again, and decide whether the change still applies",
);

/// A rule has nobody to pass the ring to.
pub(super) static NO_CANDIDATES: CodeRow =
    CodeRow::new("no_collaborator_candidates", &[StatusCode::CONFLICT]).after(Code::NotFound).meaning(
        "a rule should choose the next holder of the ring, but the draft has no other member",
        "add or invite someone",
    );

/// An invitation was taken back.
pub(super) static INVITE_REVOKED: CodeRow = CodeRow::new("invite_revoked", &[StatusCode::CONFLICT])
    .after(Code::NotFound)
    .meaning("the invitation was revoked", "ask for a new one");

/// An invitation has waited for too long.
pub(super) static INVITE_EXPIRED: CodeRow = CodeRow::new("invite_expired", &[StatusCode::CONFLICT])
    .after(Code::NotFound)
    .meaning("the invitation was not accepted in time", "ask for a new one");

/// An invitation was accepted.
pub(super) static INVITE_ACCEPTED: CodeRow = CodeRow::new("invite_accepted", &[StatusCode::CONFLICT])
    .after(Code::NotFound)
    .meaning("the invitation to revoke has already been accepted", "nothing: the invited person is a member");

pub(super) const CODES: &[&CodeRow] = &[
    &RING_REQUIRED,
    &NO_CANDIDATES,
    &INVITE_REVOKED,
    &INVITE_EXPIRED,
    &INVITE_ACCEPTED,
    &DRAFT_LOCKED,
    &CREATOR_STAYS,
    &LEASE_ACTIVE,
    &NO_LEASE,
    &RING_HELD,
    &GONE,
    &LIMIT_EXCEEDED,
    &WS_LIMIT,
    &STALE_VERSION,
];
