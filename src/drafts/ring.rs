//! The rules of the ring. Pure: they are given who is who and say who may do what (G3).
//!
//! The fact they rest on, and keep: the holder is the creator or a collaborator. The ring goes to members only, and when its
//! holder leaves, to the creator in the same change.

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

#[cfg(test)]
mod tests {
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
    fn the_ring_knows_creator_and_holder() {
        assert!(RING.knows("alice") && RING.knows("bob") && !RING.knows("carol"));
    }
}
