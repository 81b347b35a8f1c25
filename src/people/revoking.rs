//! Revoking tokens: what is asked for, and how it is done and shown.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use super::revocation::{CLOCKS, Kept, text};
use super::store;
use crate::audit::{Field, since};
use crate::clock::Timestamp;
use crate::gate::{ApiError, Code, CodeRow, JTI_MAX_CHARS, REVOCATIONS_MAX, Revocation, Revocations, is_user_id};
use crate::plane::record::Operator;
use crate::store::{Error, Query, Tx};
use crate::text::span;

/// Where revocations are made and listed, on the private plane.
pub(super) const REVOCATIONS: &str = "/tokens/revocations";

/// There is no room for another revocation.
pub(super) static REVOCATIONS_FULL: CodeRow = CodeRow::new("revocations_full", &[StatusCode::CONFLICT])
    .meaning("the maximum number of revocations is in force; only the [private plane](OPS_API.md#errors) returns this", "nothing")
    .operator("revoke by `--user` instead of one `jti` each, set `JWT_MAX_LIFE_DAYS` so that revocations expire, or change the key");

/// What is asked for, as the verb sends it and the private plane reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// One token.
    Token { jti: String, expires_at: Option<Timestamp> },
    /// The tokens of a user, before now if no moment is named.
    User { user: String, before: Option<Timestamp> },
}

impl Wanted {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// 422: what is wrong with it.
    pub(super) fn of(body: &Value, now: Timestamp) -> Result<Self, ApiError> {
        let named = |name: &str| match &body[name] {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text.clone())),
            _ => Err(ApiError::malformed(format!("{name} must be a text"))),
        };
        let time = |name: &str| -> Result<Option<Timestamp>, ApiError> {
            let read = |text: String| since(&text, now).map_err(|why| ApiError::malformed(format!("{name}: {why}")));
            named(name)?.map(read).transpose()
        };
        match (named("jti")?, named("user")?) {
            (Some(jti), None) => Self::Token { jti, expires_at: time("expires_at")? }.checked(now),
            (None, Some(user)) => Self::User { user, before: time("before")? }.checked(now),
            _ => Err(ApiError::malformed("The body must have either a jti or a user")),
        }
    }

    /// The same if it can be revoked.
    ///
    /// # Errors
    /// 422: what is wrong with it.
    pub(super) fn checked(self, now: Timestamp) -> Result<Self, ApiError> {
        match &self {
            Self::Token { jti, .. } => {
                jti_of(jti).map_err(ApiError::malformed)?;
            }
            Self::User { user, .. } if !is_user_id(user) => {
                let rules = "user must have 1 to 100 characters, none of them a control character";
                return Err(ApiError::malformed(rules));
            }
            Self::User { before: Some(before), .. } if *before > now.later(CLOCKS) => {
                let ahead = span(before.ahead_of(now).as_secs());
                let message = format!("before is {ahead} from now: tokens that are issued until then would be refused");
                return Err(ApiError::malformed(message));
            }
            Self::User { .. } => {}
        }
        Ok(self)
    }

    /// The body of a request.
    pub(super) fn body(&self) -> Value {
        match self {
            Self::Token { jti, expires_at } => json!({ "jti": jti, "expires_at": expires_at.map(text) }),
            Self::User { user, before } => json!({ "user": user, "before": before.map(text) }),
        }
    }

    fn kept(&self, now: Timestamp) -> Kept {
        let (revocation, expires_at) = match self {
            Self::Token { jti, expires_at } => (Revocation::Token(jti.clone()), *expires_at),
            Self::User { user, before } => {
                (Revocation::User { user: user.clone(), before: before.unwrap_or(now) }, None)
            }
        };
        Kept { revocation, revoked_at: now, expires_at }
    }
}

/// The `jti` of a token that can be revoked.
///
/// # Errors
/// A sentence with the bound.
pub(super) fn jti_of(text: &str) -> Result<String, String> {
    let chars = text.chars().count();
    if (1..=JTI_MAX_CHARS).contains(&chars) && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(format!("a jti has 1 to {JTI_MAX_CHARS} characters, none of them a control character; this one has {chars}"))
}

/// Of two of the same token or user the one that revokes more, and longer.
fn joined(new: Kept, earlier: Option<Kept>) -> Kept {
    let Some(earlier) = earlier else { return new };
    match (&new.revocation, &earlier.revocation) {
        (Revocation::User { before, .. }, Revocation::User { before: known, .. }) if before < known => earlier,
        (Revocation::Token(_), Revocation::Token(_)) => {
            // What is not known is later than all that is.
            let longer = |one: Option<Timestamp>, other: Option<Timestamp>| Some(one?.max(other?));
            Kept { expires_at: longer(new.expires_at, earlier.expires_at), ..new }
        }
        _ => new,
    }
}

/// Revokes, with a row in the audit log, and says what is in force then.
///
/// # Errors
/// 409 where there is no room.
pub(super) fn revoke(
    tx: &mut Tx<'_>,
    wanted: &Wanted,
    life: Option<Duration>,
    operator: &Operator,
) -> Result<Value, ApiError> {
    let new = wanted.kept(tx.now());
    let earlier = store::find(tx, &new.revocation)?;
    if earlier.is_none() && store::count(tx)? >= REVOCATIONS_MAX {
        let message = format!("There are {REVOCATIONS_MAX} revocations in force, which is as many as there may be");
        return Err(ApiError::new(Code::Of(&REVOCATIONS_FULL), message));
    }
    let kept = joined(new, earlier);
    store::keep(tx, &kept)?;
    match &kept.revocation {
        Revocation::Token(jti) => operator.record(tx, "token.revoked", jti, &[("jti", Field::Text(jti))])?,
        Revocation::User { user, before } => {
            let before = text(*before);
            let details = [("user_id", Field::Text(user)), ("before", Field::Text(&before))];
            operator.record(tx, "token.revoked", user, &details)?;
        }
    }
    Ok(json!({ "revocation": kept.to_json(life) }))
}

/// All that is in force, as it is shown.
///
/// # Errors
/// When the store fails.
pub(super) fn list(db: &impl Query, life: Option<Duration>) -> Result<Value, Error> {
    let kept = store::all(db)?;
    Ok(json!({ "revocations": kept.iter().map(|kept| kept.to_json(life)).collect::<Vec<_>>() }))
}

/// All that is in force, as the gate asks it.
///
/// # Errors
/// When the store fails.
pub(super) fn in_force(db: &impl Query) -> Result<Revocations, Error> {
    Ok(store::all(db)?.into_iter().map(|kept| kept.revocation).collect())
}

/// Removes what is over by now. How many there were.
///
/// # Errors
/// When the store fails.
pub(super) fn remove_over(tx: &mut Tx<'_>, life: Option<Duration>, now: Timestamp) -> Result<u64, Error> {
    let over = store::all(tx)?.into_iter().filter(|kept| kept.is_over(life, now));
    over.map(|kept| store::remove(tx, &kept.revocation)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{DAY, SECOND_MICROS};
    use crate::people::MIGRATIONS;
    use crate::people::revocation::SLACK;
    use crate::store::testing::House;

    const NOW: Timestamp = Timestamp(1_766_484_000 * SECOND_MICROS);

    fn token(jti: &str, expires_at: Option<Timestamp>) -> Wanted {
        Wanted::Token { jti: jti.to_owned(), expires_at }
    }

    fn user(before: Option<Timestamp>) -> Wanted {
        Wanted::User { user: "alice".to_owned(), before }
    }

    #[test]
    fn a_revocation_is_over_when_no_token_that_it_concerns_can_be_good() {
        let life = Some(DAY * 30);
        let (said, unsaid) = (token("j", Some(NOW.later(DAY))).kept(NOW), token("j", None).kept(NOW));
        let mass = user(Some(NOW.earlier(DAY))).kept(NOW);
        assert_eq!(said.over_at(None), Some(NOW.later(DAY + CLOCKS)));
        assert_eq!(said.over_at(life), said.over_at(None), "the sooner of the two");
        assert_eq!((unsaid.over_at(None), mass.over_at(None)), (None, None), "tokens may live for ever");
        assert_eq!(unsaid.over_at(life), Some(NOW.later(DAY * 30 + CLOCKS)));
        assert_eq!(mass.over_at(life), Some(NOW.later(DAY * 29 + CLOCKS)));
        let at = NOW.later(DAY * 29 + CLOCKS);
        assert_eq!((mass.is_over(life, at), mass.is_over(life, at.later(SLACK))), (false, true));
        assert!(!unsaid.is_over(None, NOW.later(DAY * 100_000)));
    }

    #[test]
    fn of_two_of_the_same_the_one_that_revokes_more_stays() {
        let at = |seconds| NOW.later(Duration::from_secs(seconds));
        let (early, late) = (user(Some(at(1))).kept(at(9)), user(Some(at(2))).kept(at(8)));
        assert_eq!(joined(early.clone(), Some(late.clone())), late);
        assert_eq!(joined(late.clone(), Some(early)), late);
        let (known, other) = (token("j", Some(at(5))).kept(NOW), token("j", Some(at(7))).kept(NOW));
        assert_eq!(joined(known.clone(), Some(other.clone())).expires_at, other.expires_at);
        assert_eq!(joined(known, Some(token("j", None).kept(NOW))).expires_at, None);
    }

    #[test]
    fn what_cannot_be_revoked_is_refused_with_the_bound() {
        let refused = |body: Value| Wanted::of(&body, NOW).unwrap_err().message().unwrap().to_owned();
        let long = "x".repeat(JTI_MAX_CHARS);
        assert_eq!(Wanted::of(&json!({ "jti": long }), NOW).unwrap(), token(&long, None));
        let too_long = refused(json!({ "jti": format!("{long}x") }));
        assert!(too_long.contains("1 to 255") && too_long.contains("has 256"), "{too_long}");
        assert!(refused(json!({ "user": "x".repeat(101) })).contains("1 to 100"));
        assert!(refused(json!({ "user": "alice", "jti": "j" })).contains("either"));
        assert!(refused(json!({ "user": 7 })).contains("must be a text"));
        assert!(refused(json!({ "user": "alice", "before": "soon" })).contains("2026-01-31"));
        assert!(refused(json!({ "user": "alice", "before": "2100-01-01" })).contains("from now"));
        for wanted in [token("j", Some(NOW)), token("j", None), user(Some(NOW)), user(None)] {
            assert_eq!(Wanted::of(&wanted.body(), NOW).unwrap(), wanted);
        }
    }

    #[test]
    fn so_many_revocations_there_are_and_no_more() {
        let house = House::at(NOW, MIGRATIONS);
        let operator = Operator::unseen();
        house.write(move |tx| {
            for number in 0..REVOCATIONS_MAX {
                store::keep(tx, &token(&number.to_string(), None).kept(NOW)).unwrap();
            }
            let refused = revoke(tx, &token("one more", None), None, &operator).unwrap_err();
            assert_eq!(refused.status(), StatusCode::CONFLICT);
            assert!(refused.message().unwrap().contains("10000"));
            // One that is there already finds its room.
            revoke(tx, &token("7", Some(NOW)), None, &operator).unwrap();
            assert_eq!(store::count(tx).unwrap(), REVOCATIONS_MAX);
            assert_eq!(remove_over(tx, Some(DAY), NOW.later(DAY * 3)).unwrap(), REVOCATIONS_MAX as u64);
        });
        house.end();
    }
}
