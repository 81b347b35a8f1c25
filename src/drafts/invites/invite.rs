//! What an invitation is, and who may do what to it. Pure: times and tokens are given.

use serde::Serialize;
use sha1::{Digest, Sha1};

use super::token::Token;
use crate::clock::{OffsetStyle, Timestamp};
use crate::drafts::model::display_name;
use crate::text::hex;

/// How long an invitation may be good, in hours.
pub(in crate::drafts) const EXPIRES_MAX_HOURS: i64 = 720;
/// How long it is when nothing is said.
pub(super) const EXPIRES_HOURS: i64 = 72;
/// Invitations of one draft that wait for an answer.
pub(in crate::drafts) const PENDING_MAX_INVITES: i64 = 100;
/// Invitations of one draft that are kept: with one more, the oldest that does not wait any more is forgotten.
pub(in crate::drafts) const KEPT_MAX_INVITES: i64 = 500;
/// What an accepted one makes of its user.
pub(super) const ROLE: &str = "collaborator";

/// The longest handle, in characters, the `@` before it not counted.
const HANDLE_MAX_CHARS: usize = 50;

/// An invitation.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::drafts) struct Invite {
    /// UUID.
    pub(super) invite_id: String,
    /// The draft.
    pub(super) draft_id: String,
    /// Who has invited.
    pub(super) created_by: String,
    /// Who is invited.
    pub(super) target_user: String,
    /// By which handle, if by one.
    pub(super) target_handle: Option<String>,
    /// Of its token.
    pub(super) token_hash: Vec<u8>,
    /// The end of its token.
    pub(super) token_hint: String,
    /// When it was made.
    pub(super) created_at: Timestamp,
    /// Until when it is good.
    pub(super) expires_at: Timestamp,
    /// When it was accepted, if it was.
    pub(super) accepted_at: Option<Timestamp>,
    /// When it was revoked, if it was.
    pub(super) revoked_at: Option<Timestamp>,
}

/// What has become of an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// It waits.
    Pending,
    /// Whoever was invited is a member by it.
    Accepted,
    /// It was taken back.
    Revoked,
    /// It waited for too long.
    Expired,
}

/// Why somebody may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denial {
    /// The token is not that of this invitation.
    Token,
    /// It is for somebody else.
    User,
    /// It was revoked.
    Revoked,
    /// It has expired.
    Expired,
    /// It was accepted, and a member is not removed by revoking.
    Accepted,
    /// Only who has made it, or the draft, revokes it.
    NotInviter,
}

/// What accepting comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Acceptance {
    /// A new member, unless they are one already.
    New,
    /// It was accepted before: nothing changes.
    Again,
}

impl Invite {
    /// What has become of it by now.
    pub(super) fn status(&self, now: Timestamp) -> Status {
        match (self.revoked_at, self.accepted_at) {
            (Some(_), _) => Status::Revoked,
            (None, Some(_)) => Status::Accepted,
            (None, None) if now > self.expires_at => Status::Expired,
            (None, None) => Status::Pending,
        }
    }

    /// May this user, with this token, know what it is about? The token is judged first, so that nobody without it learns for
    /// whom it is.
    pub(super) fn may_see(&self, token: &Token, user: &str) -> Result<(), Denial> {
        if !token.is(&self.token_hash) {
            return Err(Denial::Token);
        }
        if user == self.target_user { Ok(()) } else { Err(Denial::User) }
    }

    /// May this user accept it with this token?
    pub(super) fn may_accept(&self, token: &Token, user: &str, now: Timestamp) -> Result<Acceptance, Denial> {
        self.may_see(token, user)?;
        match self.status(now) {
            Status::Pending => Ok(Acceptance::New),
            Status::Accepted => Ok(Acceptance::Again),
            Status::Revoked => Err(Denial::Revoked),
            Status::Expired => Err(Denial::Expired),
        }
    }

    /// May this user revoke it? True if that changes anything.
    pub(super) fn may_revoke(&self, user: &str, draft_creator: &str, now: Timestamp) -> Result<bool, Denial> {
        if user != self.created_by && user != draft_creator {
            return Err(Denial::NotInviter);
        }
        match self.status(now) {
            Status::Accepted => Err(Denial::Accepted),
            Status::Revoked => Ok(false),
            Status::Pending | Status::Expired => Ok(true),
        }
    }

    /// As members of the draft see it, and who was invited.
    pub(super) fn summary(&self, now: Timestamp, message: Option<String>) -> Summary<'_> {
        Summary {
            invite_id: &self.invite_id,
            draft_id: &self.draft_id,
            target_user_id: &self.target_user,
            target_handle: self.target_handle.as_deref(),
            status: self.status(now),
            created_at: self.created_at.offset_style(),
            expires_at: self.expires_at.offset_style(),
            accepted_at: self.accepted_at.map(Timestamp::offset_style),
            token_hint: &self.token_hint,
            created_by_user_id: &self.created_by,
            message,
        }
    }

    /// What is told to who has accepted.
    pub(super) fn welcome(&self) -> String {
        format!("You joined the draft at the invitation of {}", display_name(&self.created_by))
    }
}

/// `InviteSummary` of contract 01 §1.11.
#[derive(Debug, Serialize)]
pub(super) struct Summary<'a> {
    invite_id: &'a str,
    draft_id: &'a str,
    target_user_id: &'a str,
    target_handle: Option<&'a str>,
    status: Status,
    created_at: OffsetStyle,
    expires_at: OffsetStyle,
    accepted_at: Option<OffsetStyle>,
    token_hint: &'a str,
    created_by_user_id: &'a str,
    message: Option<String>,
}

/// Who is to be invited, as it was said.
#[derive(Debug)]
pub(super) struct Wanted {
    /// By a handle.
    pub(super) handle: Option<String>,
    /// By an id.
    pub(super) user_id: Option<String>,
}

impl Wanted {
    /// The user it is; or what is wrong with how it was said, or with inviting them.
    pub(super) fn user(&self, inviter: &str) -> Result<String, &'static str> {
        let user = match (&self.handle, &self.user_id) {
            (Some(_), Some(_)) => return Err("Specify either target_handle or target_user_id, not both"),
            (None, None) => return Err("Must specify target_handle or target_user_id"),
            (None, Some(user)) => user.clone(),
            (Some(handle), None) => {
                user_of_handle(handle).ok_or("Invalid handle: it has 1 to 50 characters after the @")?
            }
        };
        if user == inviter { Err("Cannot invite yourself") } else { Ok(user) }
    }
}

/// The user whom a handle stands for (contract 01 §1.11): `user_` and twelve hex digits of the SHA-1 of the handle, in lower case and
/// without its `@`.
fn user_of_handle(handle: &str) -> Option<String> {
    let name = handle.strip_prefix('@').unwrap_or(handle).to_lowercase();
    let fits = (1..=HANDLE_MAX_CHARS).contains(&name.chars().count());
    fits.then(|| format!("user_{}", hex(&Sha1::digest(name.as_bytes())[..6])))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::token::Tokens;
    use super::*;

    fn invite(token: &Token) -> Invite {
        Invite {
            invite_id: "i".into(),
            draft_id: "d".into(),
            created_by: "bob".into(),
            target_user: "carol".into(),
            target_handle: None,
            token_hash: token.hash().to_vec(),
            token_hint: token.hint().into(),
            created_at: Timestamp(0),
            expires_at: Timestamp(10),
            accepted_at: None,
            revoked_at: None,
        }
    }

    #[test]
    fn a_handle_stands_for_the_user_that_the_contract_names() {
        let by_handle = |handle: &str| Wanted { handle: Some(handle.into()), user_id: None }.user("alice");
        for handle in ["@Dave", "dave", "@dave", "DAVE"] {
            assert_eq!(by_handle(handle).unwrap(), "user_bfcdf3e6ca6c");
        }
        assert!(by_handle(&"ю".repeat(50)).is_ok());
        for handle in ["", "@", &"ю".repeat(51)] {
            assert!(by_handle(handle).unwrap_err().starts_with("Invalid handle"), "{handle}");
        }
        let both = Wanted { handle: Some("a".into()), user_id: Some("b".into()) };
        assert!(both.user("alice").unwrap_err().contains("not both"));
        assert!(Wanted { handle: None, user_id: None }.user("alice").unwrap_err().starts_with("Must specify"));
        let by_id = Wanted { handle: None, user_id: Some("alice".into()) };
        assert_eq!((by_id.user("bob"), by_id.user("alice")), (Ok("alice".into()), Err("Cannot invite yourself")));
        assert_eq!(
            Wanted { handle: Some("dave".into()), user_id: None }.user("user_bfcdf3e6ca6c"),
            Err("Cannot invite yourself")
        );
    }

    #[test]
    fn it_is_good_until_the_moment_it_expires() {
        let token = Tokens::new().of("i");
        let pending = invite(&token);
        assert_eq!((pending.status(Timestamp(10)), pending.status(Timestamp(11))), (Status::Pending, Status::Expired));
        assert_eq!(pending.may_accept(&token, "carol", Timestamp(10)), Ok(Acceptance::New));
        assert_eq!(pending.may_accept(&token, "carol", Timestamp(11)), Err(Denial::Expired));
        let accepted = Invite { accepted_at: Some(Timestamp(3)), ..pending };
        assert_eq!(accepted.may_accept(&token, "carol", Timestamp(11)), Ok(Acceptance::Again), "a retry may be late");
        assert_eq!(accepted.may_revoke("bob", "alice", Timestamp(4)), Err(Denial::Accepted));
        let revoked = Invite { accepted_at: None, revoked_at: Some(Timestamp(3)), ..accepted };
        assert_eq!(revoked.may_accept(&token, "carol", Timestamp(4)), Err(Denial::Revoked));
        assert_eq!(revoked.may_revoke("alice", "alice", Timestamp(4)), Ok(false));
        assert_eq!(revoked.may_revoke("carol", "alice", Timestamp(4)), Err(Denial::NotInviter));
    }

    proptest! {
        /// Without the token and the user that it names, nobody learns or does anything, whatever has become of it.
        #[test]
        fn nobody_comes_in_without_token_and_name(
            user in "[a-z]{1,6}",
            sent in "[0-9a-f]{0,40}",
            (accepted, revoked, now) in any::<(Option<u8>, Option<u8>, u8)>(),
        ) {
            let token = Tokens::new().of("i");
            let [accepted_at, revoked_at] = [accepted, revoked].map(|at| at.map(|at| Timestamp(at.into())));
            let invite = Invite { accepted_at, revoked_at, ..invite(&token) };
            let now = Timestamp(now.into());
            prop_assert_eq!(invite.may_accept(&Token(sent.clone()), "carol", now), Err(Denial::Token));
            prop_assert_eq!(invite.may_see(&Token(sent), &user), Err(Denial::Token));
            prop_assert_eq!(invite.may_accept(&token, &user, now), Err(Denial::User));
            prop_assert_eq!(invite.may_accept(&token, "carol", now).is_ok(), revoked.is_none() && (accepted.is_some() || now.0 <= 10));
        }
    }
}
