//! The revoked tokens of a running server: what its shards ask on every request with a token, and which sockets were opened
//! with one.
//!
//! A shard asks its own copy of the list ([`RevokedHere`]): as long as nothing new is revoked that is one relaxed load a request.
//! A socket that was opened with a token is in one map of all shards, under a lock that is held to add or remove it and, when
//! something is revoked, to look through all of them. There are no more of them than connections.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use parking_lot::Mutex;

use super::identity::{Revocations, TokenId};
use super::live::{Following, Live};
use crate::net::{Resume, Ticket};

/// What is revoked, and who has to be told. Clones share it.
#[derive(Clone)]
pub struct Revoked(Arc<Shared>);

struct Shared {
    list: Live<Revocations>,
    sockets: Mutex<Sockets>,
}

#[derive(Default)]
struct Sockets {
    next: u64,
    open: HashMap<u64, Socket>,
}

struct Socket {
    token: TokenId,
    shard: Arc<dyn Resume>,
    ticket: Ticket,
}

/// Tells a socket that its token is revoked.
pub(super) struct TokenRevoked;

impl Default for Revoked {
    fn default() -> Self {
        Self(Arc::new(Shared { list: Live::new(Revocations::default()), sockets: Mutex::default() }))
    }
}

impl Revoked {
    /// A shard's own copy.
    #[must_use]
    pub fn follow(&self) -> RevokedHere {
        RevokedHere { list: self.0.list.follow(), all: self.clone() }
    }

    /// Has this be revoked from now on, and nothing else. Tells the sockets that it concerns.
    pub fn replace(&self, revocations: Revocations) {
        self.0.list.replace(revocations);
        // In this order: a socket that is opened meanwhile is among those that are told, or finds itself on the list.
        let (list, sockets) = (self.0.list.now(), self.0.sockets.lock());
        for socket in sockets.open.values().filter(|socket| list.revoke_known(&socket.token)) {
            // If it cannot be told, its shard closes all of its sockets.
            socket.shard.tell(socket.ticket, Box::new(TokenRevoked));
        }
    }
}

/// A shard's own copy of what is revoked.
pub struct RevokedHere {
    list: Following<Revocations>,
    all: Revoked,
}

impl RevokedHere {
    /// Takes what is revoked by now.
    pub(super) fn catch_up(&mut self) {
        self.list.catch_up();
    }

    /// What a socket of this shard with this token holds while it is open.
    pub(super) fn watch(&self, token: TokenId, shard: Arc<dyn Resume>) -> Watched {
        Watched { token, shard, all: self.all.clone(), number: None }
    }
}

impl Deref for RevokedHere {
    type Target = Revocations;

    fn deref(&self) -> &Revocations {
        &self.list
    }
}

/// A socket that is told when its token is revoked, from [`Watched::opened`] on until this is dropped.
pub(super) struct Watched {
    token: TokenId,
    shard: Arc<dyn Resume>,
    all: Revoked,
    number: Option<u64>,
}

impl Watched {
    /// It is open. Whether its token was revoked on the way.
    pub(super) fn opened(&mut self, ticket: Ticket) -> bool {
        let mut sockets = self.all.0.sockets.lock();
        let number = sockets.next;
        sockets.next += 1;
        sockets.open.insert(number, Socket { token: self.token.clone(), shard: Arc::clone(&self.shard), ticket });
        self.number = Some(number);
        drop(sockets);
        self.all.0.list.now().revoke_known(&self.token)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.all.0.sockets.lock().open.remove(&number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::*;
    use crate::gate::identity::Revocation;
    use crate::net::SocketNote;

    #[derive(Default)]
    struct Told(AtomicUsize);

    impl Resume for Told {
        fn resume(&self, _: Ticket) {}

        fn tell(&self, _: Ticket, note: SocketNote) -> bool {
            assert!(note.is::<TokenRevoked>());
            self.0.fetch_add(1, Ordering::Relaxed);
            true
        }
    }

    fn token(jti: &str) -> TokenId {
        TokenId::of("alice", json!({ "jti": jti }).as_object().unwrap())
    }

    fn list(jti: &str) -> Revocations {
        [Revocation::Token(jti.to_owned())].into_iter().collect()
    }

    #[test]
    fn sockets_are_told_while_they_are_open_and_nothing_is_kept_of_them_then() {
        let (revoked, shard) = (Revoked::default(), Arc::new(Told::default()));
        let here = revoked.follow();
        let ticket = Ticket { connection: 1, serial: 1 };
        let mut watched = ["a", "b"].map(|jti| here.watch(token(jti), Arc::clone(&shard) as _));
        assert!(watched.iter_mut().all(|one| !one.opened(ticket)));
        revoked.replace(list("b"));
        assert_eq!(shard.0.load(Ordering::Relaxed), 1, "the one that has it");
        let mut late = here.watch(token("b"), Arc::clone(&shard) as _);
        assert!(late.opened(ticket), "its handshake was let in before");
        drop((watched, late));
        revoked.replace(list("a"));
        assert_eq!(shard.0.load(Ordering::Relaxed), 1);
        assert!(revoked.0.sockets.lock().open.is_empty());
    }

    #[test]
    fn a_shard_takes_what_is_revoked_when_it_catches_up() {
        let revoked = Revoked::default();
        let mut here = revoked.follow();
        revoked.replace(list("a"));
        assert!(!here.revoke_known(&token("a")));
        here.catch_up();
        assert!(here.revoke_known(&token("a")));
    }
}
