//! Tickets: how a page opens a socket for somebody who is known by a name alone, as it can send no `X-User-Id` with one.
//!
//! Whoever is trusted in a request asks for a ticket there, and soon offers it in the handshake where a token would be. So a proxy
//! that sets that header, or takes it away, has seen it first: a name in the handshake itself would pass it by.

use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::bad_token::{BadToken, TOKEN_MAX_BYTES};
use super::keys::Keys;
use super::token::subject;
use crate::random;

/// How long a ticket is taken, in seconds. A page asks for one whenever it opens a socket.
pub const TICKET_SECONDS: u64 = 30;

/// What a ticket begins with, and no token does.
const PREFIX: &[u8] = b"ticket.";

/// Makes tickets and knows its own again: the key is drawn at the start and is nowhere else. Clones share it.
#[derive(Debug, Clone)]
pub struct Tickets {
    signs: EncodingKey,
    keys: Keys,
}

impl Default for Tickets {
    fn default() -> Self {
        let secret = random::secret();
        Self { signs: EncodingKey::from_secret(&secret), keys: Keys::secret(&secret) }
    }
}

impl Tickets {
    /// A ticket for this user, `elapsed` being now ([`Reading::elapsed`](crate::clock::steady::Reading::elapsed)): no wall clock
    /// that is wrong or is set makes it longer.
    ///
    /// # Errors
    /// The library's, should it not be able to sign.
    pub fn issue(&self, user: &str, elapsed: Duration) -> Result<String, jsonwebtoken::errors::Error> {
        let claims = json!({ "sub": user, "until_ms": millis(elapsed) + TICKET_SECONDS * 1000 });
        let signed = encode(&Header::default(), &claims, &self.signs)?;
        Ok(format!("{}{signed}", String::from_utf8_lossy(PREFIX)))
    }

    /// What a ticket holds, if this is to be one.
    pub(super) fn within(sent: &[u8]) -> Option<&[u8]> {
        sent.strip_prefix(PREFIX)
    }

    /// The user to whom a ticket was given.
    ///
    /// # Errors
    /// It is not ours, or too old.
    pub(super) fn user(&self, held: &[u8], elapsed: Duration) -> Result<String, BadToken> {
        if held.len() > TOKEN_MAX_BYTES {
            return Err(BadToken::TooLong);
        }
        let claims = self.keys.verify(held)?.claims;
        let until = claims.get("until_ms").and_then(Value::as_u64).ok_or(BadToken::NoTime)?;
        if until <= millis(elapsed) { Err(BadToken::Expired) } else { subject(&claims) }
    }
}

fn millis(elapsed: Duration) -> u64 {
    elapsed.as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_taken_for_its_time_by_whoever_made_it() {
        let (tickets, at) = (Tickets::default(), Duration::from_secs(1000));
        let ticket = tickets.issue("Олена", at).unwrap();
        let held = Tickets::within(ticket.as_bytes()).unwrap();
        let life = Duration::from_secs(TICKET_SECONDS);
        for later in [Duration::ZERO, life - Duration::from_millis(1)] {
            assert_eq!(tickets.user(held, at + later).unwrap(), "Олена");
        }
        assert_eq!(tickets.user(held, at + life), Err(BadToken::Expired));
        assert_eq!(Tickets::default().user(held, at), Err(BadToken::NotSigned));
        assert_eq!(tickets.user(&held[1..], at), Err(BadToken::NotSigned));
        assert_eq!(tickets.user(&[b'a'; TOKEN_MAX_BYTES + 1], at), Err(BadToken::TooLong));
        assert_eq!(Tickets::within(held), None);
    }

    #[test]
    fn a_page_can_offer_it_as_a_protocol() {
        let ticket = Tickets::default().issue(&"Ї".repeat(100), Duration::ZERO).unwrap();
        assert!(ticket.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{ticket}");
    }
}
