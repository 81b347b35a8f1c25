//! The rules of the ring. Pure: they are given who is who and say who may do what (G3).
//!
//! The fact they rest on, and keep: the holder is the creator or a collaborator. The ring goes to members only, and when its
//! holder leaves, to the creator in the same change.

use std::time::Duration;

/// Who has what part in a draft.
#[derive(Debug, Clone, Copy)]
pub struct Ring<'a> {
    /// Who made the draft.
    pub creator: &'a str,
    /// Who has the ring.
    pub holder: &'a str,
}

/// Why someone may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Append: neither creator nor collaborator.
    NotMember,
    /// Append: a member, but someone else has the ring.
    RingRequired,
    /// Pass: someone else has the ring.
    NotHolder,
    /// Pass: the one to get it is neither creator nor collaborator.
    RecipientNotMember,
    /// Add: only the creator adds.
    NotCreator,
    /// Add: the draft has as many collaborators as it may.
    CollaboratorCap,
    /// Append: the draft has as many segments as it may.
    SegmentCap,
    /// Pass: the ring has been passed as often as it may.
    PassCap,
    /// Append: the draft is locked.
    Locked,
    /// Govern, remove, hand over, reclaim: only the creator does.
    NotGoverning,
    /// Leave, remove: the creator stays, unless the draft is handed over first.
    CreatorStays,
    /// Remove: the one to be removed is no collaborator.
    NotCollaborator,
    /// Hand over: the one to get the draft is no member.
    HeirNotMember,
    /// Reclaim: the creator has the ring.
    RingHeld,
    /// Reclaim: the ring of this draft has no lease.
    NoLease,
    /// Reclaim: the holder has not been silent for long enough.
    LeaseActive {
        /// For so long it may still be.
        left: Duration,
    },
}

/// How a member parts from a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parting {
    /// It has left.
    Left,
    /// The creator, or an operator, has removed it.
    Removed,
}

impl Parting {
    /// In one word, for events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Removed => "removed",
        }
    }
}

/// How much there is of something in a draft, and how much there may be.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// So much there is.
    pub taken: i64,
    /// So much there may be; 0 is no cap.
    pub cap: usize,
}

impl Room {
    fn is_full(self) -> bool {
        self.cap > 0 && usize::try_from(self.taken).is_ok_and(|taken| taken >= self.cap)
    }
}

impl Refusal {
    /// In one word, for the counters.
    pub fn label(self) -> &'static str {
        match self {
            Self::NotMember => "not_member",
            Self::RingRequired => "ring_required",
            Self::NotHolder => "not_holder",
            Self::RecipientNotMember => "recipient_not_member",
            Self::NotCreator => "not_creator",
            Self::CollaboratorCap => "collaborator_cap",
            Self::SegmentCap => "segment_cap",
            Self::PassCap => "pass_cap",
            Self::Locked => "locked",
            Self::NotGoverning => "not_governing",
            Self::CreatorStays => "creator_stays",
            Self::NotCollaborator => "not_collaborator",
            Self::HeirNotMember => "heir_not_member",
            Self::RingHeld => "ring_held",
            Self::NoLease => "no_lease",
            Self::LeaseActive { .. } => "lease_active",
        }
    }
}

/// What adding a collaborator comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addition {
    /// A new member.
    New,
    /// Already a member (or the creator): nothing changes and nothing is told (R15).
    Existing,
}

impl Ring<'_> {
    /// Whether this user is a member by what the ring itself knows; others must be looked up.
    pub fn knows(&self, user: &str) -> bool {
        user == self.holder || user == self.creator
    }
}

/// May `actor` append, where there is so much room for segments? Membership is judged before the ring (contract 01 §1.6), and
/// both before the cap.
///
/// # Errors
/// [`Refusal::NotMember`], [`Refusal::RingRequired`], [`Refusal::SegmentCap`].
pub fn may_append(ring: Ring<'_>, actor: &str, is_member: bool, room: Room) -> Result<(), Refusal> {
    if !is_member {
        return Err(Refusal::NotMember);
    }
    match actor == ring.holder {
        false => Err(Refusal::RingRequired),
        true if room.is_full() => Err(Refusal::SegmentCap),
        true => Ok(()),
    }
}

/// May `actor` pass the ring to someone who is a member or not, where there is so much room for passes? To oneself is allowed
/// (contract 01 §1.7).
///
/// # Errors
/// [`Refusal::NotHolder`], [`Refusal::RecipientNotMember`], [`Refusal::PassCap`].
pub fn may_pass(ring: Ring<'_>, actor: &str, recipient_is_member: bool, room: Room) -> Result<(), Refusal> {
    if actor != ring.holder {
        return Err(Refusal::NotHolder);
    }
    match recipient_is_member {
        false => Err(Refusal::RecipientNotMember),
        true if room.is_full() => Err(Refusal::PassCap),
        true => Ok(()),
    }
}

/// May `actor` add someone who is a member or not, where there is so much room for collaborators? Membership
/// is looked at before the cap (R15).
///
/// # Errors
/// [`Refusal::NotCreator`], [`Refusal::CollaboratorCap`].
pub fn may_add(ring: Ring<'_>, actor: &str, is_member: bool, room: Room) -> Result<Addition, Refusal> {
    if actor != ring.creator {
        return Err(Refusal::NotCreator);
    }
    may_join(is_member, room)
}

/// May somebody become a member, who is one or not, where there is so much room for collaborators?
///
/// # Errors
/// [`Refusal::CollaboratorCap`].
pub fn may_join(is_member: bool, room: Room) -> Result<Addition, Refusal> {
    match is_member {
        true => Ok(Addition::Existing),
        false if room.is_full() => Err(Refusal::CollaboratorCap),
        false => Ok(Addition::New),
    }
}

/// May `actor` invite others? The creator may, and whoever holds the ring (contract 01 §1.11).
pub fn may_invite(ring: Ring<'_>, actor: &str) -> bool {
    ring.knows(actor)
}

/// Does a draft take appends?
///
/// # Errors
/// [`Refusal::Locked`].
pub fn is_open(is_locked: bool) -> Result<(), Refusal> {
    if is_locked { Err(Refusal::Locked) } else { Ok(()) }
}

/// May `actor` do what only the creator does: lock, set the lease, take texts out, delete?
///
/// # Errors
/// [`Refusal::NotGoverning`].
pub fn may_govern(ring: Ring<'_>, actor: &str) -> Result<(), Refusal> {
    if actor == ring.creator { Ok(()) } else { Err(Refusal::NotGoverning) }
}

/// May `actor` take `whom`, who is a member or not, out of the draft? Everybody may take themselves out but the creator, who may
/// take out everybody else. Where the ring is, does not matter: from who parts it goes to the creator.
///
/// # Errors
/// [`Refusal::NotMember`], [`Refusal::CreatorStays`], [`Refusal::NotGoverning`], [`Refusal::NotCollaborator`].
pub fn may_part(ring: Ring<'_>, actor: &str, whom: &str, is_member: bool) -> Result<Parting, Refusal> {
    if actor == whom {
        return match is_member {
            false => Err(Refusal::NotMember),
            true if whom == ring.creator => Err(Refusal::CreatorStays),
            true => Ok(Parting::Left),
        };
    }
    may_govern(ring, actor)?;
    may_be_removed(ring, whom, is_member)
}

/// Can `whom`, who is a member or not, be removed, by whoever may do that?
///
/// # Errors
/// [`Refusal::NotCollaborator`], [`Refusal::CreatorStays`].
pub fn may_be_removed(ring: Ring<'_>, whom: &str, is_member: bool) -> Result<Parting, Refusal> {
    match is_member {
        false => Err(Refusal::NotCollaborator),
        true if whom == ring.creator => Err(Refusal::CreatorStays),
        true => Ok(Parting::Removed),
    }
}

/// May `actor` hand the draft over to someone who is a member or not?
///
/// # Errors
/// [`Refusal::NotGoverning`], [`Refusal::HeirNotMember`].
pub fn may_transfer(ring: Ring<'_>, actor: &str, heir_is_member: bool) -> Result<(), Refusal> {
    may_govern(ring, actor)?;
    if heir_is_member { Ok(()) } else { Err(Refusal::HeirNotMember) }
}

/// May `actor` take the ring back from a holder who has been silent for so long, where the lease is so long? A lease of zero is
/// none. The cap of passes does not count here, nor where somebody parts: nobody shall be stuck because of it.
///
/// # Errors
/// [`Refusal::NotGoverning`], [`Refusal::RingHeld`], [`Refusal::NoLease`], [`Refusal::LeaseActive`].
pub fn may_reclaim(ring: Ring<'_>, actor: &str, lease: Duration, silent: Duration) -> Result<(), Refusal> {
    may_govern(ring, actor)?;
    if ring.holder == ring.creator {
        return Err(Refusal::RingHeld);
    }
    if lease.is_zero() {
        return Err(Refusal::NoLease);
    }
    match lease.checked_sub(silent) {
        Some(left) if !left.is_zero() => Err(Refusal::LeaseActive { left }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const RING: Ring<'_> = Ring { creator: "alice", holder: "bob" };

    const fn room(taken: i64, cap: usize) -> Room {
        Room { taken, cap }
    }

    #[test]
    fn only_the_holder_appends() {
        assert_eq!(may_append(RING, "bob", true, room(7, 0)), Ok(()));
        assert_eq!(may_append(RING, "bob", true, room(6, 7)), Ok(()));
        assert_eq!(may_append(RING, "bob", true, room(7, 7)), Err(Refusal::SegmentCap));
        assert_eq!(may_append(RING, "alice", true, room(7, 7)), Err(Refusal::RingRequired));
        assert_eq!(may_append(RING, "mallory", false, room(7, 7)), Err(Refusal::NotMember));
    }

    #[test]
    fn only_the_holder_passes_and_only_to_members() {
        assert_eq!(may_pass(RING, "bob", true, room(7, 0)), Ok(()));
        assert_eq!(may_pass(RING, "bob", true, room(6, 7)), Ok(()));
        assert_eq!(may_pass(RING, "bob", true, room(7, 7)), Err(Refusal::PassCap));
        assert_eq!(may_pass(RING, "bob", false, room(7, 7)), Err(Refusal::RecipientNotMember));
        assert_eq!(may_pass(RING, "alice", true, room(7, 7)), Err(Refusal::NotHolder));
        assert_eq!(may_pass(RING, "mallory", false, room(0, 7)), Err(Refusal::NotHolder));
    }

    #[test]
    fn only_the_creator_adds_up_to_the_cap() {
        assert_eq!(may_add(RING, "bob", false, room(0, 0)), Err(Refusal::NotCreator));
        assert_eq!(may_add(RING, "alice", false, room(7, 0)), Ok(Addition::New));
        assert_eq!(may_add(RING, "alice", false, room(6, 7)), Ok(Addition::New));
        assert_eq!(may_add(RING, "alice", false, room(7, 7)), Err(Refusal::CollaboratorCap));
        assert_eq!(may_add(RING, "alice", true, room(7, 7)), Ok(Addition::Existing));
        assert_eq!(may_join(false, room(7, 7)), Err(Refusal::CollaboratorCap));
        assert_eq!(may_join(false, room(6, 7)), Ok(Addition::New));
        assert!(may_invite(RING, "alice") && may_invite(RING, "bob") && !may_invite(RING, "carol"));
    }

    #[test]
    fn everybody_leaves_but_the_creator_who_alone_removes() {
        assert_eq!(may_part(RING, "bob", "bob", true), Ok(Parting::Left));
        assert_eq!(may_part(RING, "alice", "bob", true), Ok(Parting::Removed));
        assert_eq!(may_part(RING, "alice", "alice", true), Err(Refusal::CreatorStays));
        assert_eq!(may_part(RING, "mallory", "mallory", false), Err(Refusal::NotMember));
        assert_eq!(may_part(RING, "bob", "carol", true), Err(Refusal::NotGoverning));
        assert_eq!(may_part(RING, "bob", "alice", true), Err(Refusal::NotGoverning));
        assert_eq!(may_part(RING, "alice", "mallory", false), Err(Refusal::NotCollaborator));
        assert_eq!(may_be_removed(RING, "alice", true), Err(Refusal::CreatorStays));
    }

    #[test]
    fn only_the_creator_governs_and_hands_over_to_members() {
        assert_eq!((may_govern(RING, "alice"), may_govern(RING, "bob")), (Ok(()), Err(Refusal::NotGoverning)));
        assert_eq!(may_transfer(RING, "alice", true), Ok(()));
        assert_eq!(may_transfer(RING, "alice", false), Err(Refusal::HeirNotMember));
        assert_eq!(may_transfer(RING, "bob", true), Err(Refusal::NotGoverning));
        assert_eq!((is_open(false), is_open(true)), (Ok(()), Err(Refusal::Locked)));
    }

    #[test]
    fn a_ring_is_taken_back_when_its_lease_is_over_and_not_before() {
        let [lease, second] = [60, 1].map(Duration::from_secs);
        let micro = Duration::from_micros(1);
        assert_eq!(may_reclaim(RING, "alice", lease, lease), Ok(()));
        assert_eq!(may_reclaim(RING, "alice", lease, lease + second), Ok(()));
        assert_eq!(may_reclaim(RING, "alice", lease, lease - micro), Err(Refusal::LeaseActive { left: micro }));
        assert_eq!(may_reclaim(RING, "alice", Duration::ZERO, lease), Err(Refusal::NoLease));
        assert_eq!(may_reclaim(RING, "bob", lease, lease), Err(Refusal::NotGoverning));
        let own = Ring { holder: "alice", ..RING };
        assert_eq!(may_reclaim(own, "alice", lease, lease), Err(Refusal::RingHeld));
    }

    const USERS: usize = 4;
    const NAMES: [&str; USERS] = ["alice", "bob", "carol", "dave"];
    const LEASE: Duration = Duration::from_secs(10);

    /// Somebody tries something.
    #[derive(Debug, Clone)]
    struct Attempt {
        actor: usize,
        whom: usize,
        what: u8,
    }

    /// A draft as the rules alone change it.
    #[derive(Debug, Clone, PartialEq)]
    struct Draft {
        creator: usize,
        holder: usize,
        members: BTreeSet<usize>,
        locked: bool,
        /// When the holder was heard of last.
        heard_at: u64,
        segments: i64,
    }

    impl Draft {
        /// Carries an attempt out if the rules allow it.
        fn take(&mut self, attempt: &Attempt, now: u64) -> bool {
            let ring = Ring { creator: NAMES[self.creator], holder: NAMES[self.holder] };
            let actor = NAMES[attempt.actor];
            let [actor_is_member, whom_is_member] =
                [attempt.actor, attempt.whom].map(|user| self.members.contains(&user));
            let silent = Duration::from_secs(now - self.heard_at);
            match attempt.what {
                0 => {
                    let allowed = may_append(ring, actor, actor_is_member, room(self.segments, 0));
                    let allowed = allowed.and_then(|()| is_open(self.locked)).is_ok();
                    self.segments += i64::from(allowed);
                    self.heard_at = if allowed { now } else { self.heard_at };
                    allowed
                }
                1 => may_pass(ring, actor, whom_is_member, room(0, 0)).map(|()| self.hand(attempt.whom, now)).is_ok(),
                2 => {
                    let added = may_add(ring, actor, whom_is_member, room(0, 0));
                    added == Ok(Addition::New) && self.members.insert(attempt.whom)
                }
                3 | 4 => {
                    let whom = if attempt.what == 3 { attempt.actor } else { attempt.whom };
                    let parted = may_part(ring, actor, NAMES[whom], self.members.contains(&whom)).is_ok();
                    if parted {
                        if self.holder == whom {
                            self.hand(self.creator, now);
                        }
                        self.members.remove(&whom);
                    }
                    parted
                }
                5 => may_transfer(ring, actor, whom_is_member).map(|()| self.creator = attempt.whom).is_ok(),
                6 => may_reclaim(ring, actor, LEASE, silent).map(|()| self.hand(self.creator, now)).is_ok(),
                _ => may_govern(ring, actor).map(|()| self.locked = !self.locked).is_ok(),
            }
        }

        fn hand(&mut self, to: usize, now: u64) {
            self.holder = to;
            self.heard_at = now;
        }
    }

    proptest! {
        #[test]
        fn whatever_happens_in_whatever_order_one_member_holds_the_ring_and_nobody_is_stuck(
            attempts in prop::collection::vec((0..USERS, 0..USERS, 0..8_u8, 0..12_u64), 1..200)
        ) {
            let members = BTreeSet::from([0]);
            let mut draft = Draft { creator: 0, holder: 0, members, locked: false, heard_at: 0, segments: 0 };
            let mut now = 0;
            for (actor, whom, what, after) in attempts {
                now += after;
                let (before, attempt) = (draft.clone(), Attempt { actor, whom, what });
                let taken = draft.take(&attempt, now);
                prop_assert!(taken || draft == before, "a refusal changes nothing: {attempt:?}");
                prop_assert!(draft.members.contains(&draft.holder), "{attempt:?}: {draft:?}");
                prop_assert!(draft.members.contains(&draft.creator), "{attempt:?}: {draft:?}");
                prop_assert!(draft.segments == before.segments || before.holder == actor, "{attempt:?}");
            }
            // Whoever has the ring and never comes back: the creator gets on.
            let creator = draft.creator;
            let alone = |what| Attempt { actor: creator, whom: creator, what };
            now += LEASE.as_secs();
            prop_assert!(draft.holder == creator || draft.take(&alone(6), now));
            prop_assert!(!draft.locked || draft.take(&alone(7), now));
            prop_assert!(draft.take(&alone(0), now));
        }
    }

    #[test]
    fn the_ring_knows_creator_and_holder() {
        assert!(RING.knows("alice") && RING.knows("bob") && !RING.knows("carol"));
    }
}
