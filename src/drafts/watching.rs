//! Which sockets watch which draft, so that those can be told to close that may watch no longer.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::hub::SocketAddress;

/// The sockets that watch drafts, of all shards. Clones share it. Bounded by the open sockets.
#[derive(Clone, Default)]
pub(super) struct Watching {
    drafts: Arc<Mutex<HashMap<Arc<str>, Vec<Watcher>>>>,
    /// Whether only members may watch.
    members_only: bool,
}

struct Watcher {
    user: Arc<str>,
    address: SocketAddress,
}

/// Why a socket may watch no longer. It is to say so and close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Farewell {
    /// Its user is no member any more, and only members may read.
    NoMember,
    /// The draft was deleted.
    Deleted,
}

impl Watching {
    /// Nobody watches yet.
    pub(super) fn new(public_read: bool) -> Self {
        Self { drafts: Arc::default(), members_only: !public_read }
    }

    /// A socket of this user begins to watch. [`Watching::end`] has to follow.
    pub(super) fn begin(&self, draft_id: &Arc<str>, user: &str, address: SocketAddress) {
        let watcher = Watcher { user: user.into(), address };
        self.drafts.lock().entry(Arc::clone(draft_id)).or_default().push(watcher);
    }

    /// It has ended.
    pub(super) fn end(&self, draft_id: &str, address: &SocketAddress) {
        let mut drafts = self.drafts.lock();
        let Some(watchers) = drafts.get_mut(draft_id) else { return };
        watchers.retain(|watcher| watcher.address.id() != address.id());
        if watchers.is_empty() {
            drafts.remove(draft_id);
        }
    }

    /// How many drafts are watched.
    pub(super) fn drafts(&self) -> usize {
        self.drafts.lock().len()
    }

    /// This user is no member of the draft any more: where only members may watch, its sockets are told.
    pub(super) fn user_parted(&self, draft_id: &str, user: &str) {
        if self.members_only {
            self.tell(draft_id, |watcher| &*watcher.user == user, Farewell::NoMember);
        }
    }

    /// This user is no member of any draft any more.
    pub(super) fn user_erased(&self, user: &str) {
        let watched: Vec<Arc<str>> = self.drafts.lock().keys().cloned().collect();
        watched.iter().for_each(|draft_id| self.user_parted(draft_id, user));
    }

    /// The draft was deleted: all its sockets are told.
    pub(super) fn draft_deleted(&self, draft_id: &str) {
        self.tell(draft_id, |_| true, Farewell::Deleted);
    }

    fn tell(&self, draft_id: &str, whom: impl Fn(&Watcher) -> bool, farewell: Farewell) {
        let addresses: Vec<SocketAddress> = {
            let drafts = self.drafts.lock();
            let watchers = drafts.get(draft_id).into_iter().flatten();
            watchers.filter(|watcher| whom(watcher)).map(|watcher| watcher.address.clone()).collect()
        };
        // A shard that has no room for notes closes all of its sockets.
        addresses.iter().for_each(|address| _ = address.tell(farewell));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::hub::Mailbox;
    use crate::net::Ticket;

    #[test]
    fn those_are_told_who_may_watch_no_longer_and_nothing_is_kept_of_who_has_left() {
        let poll = mio::Poll::new().unwrap();
        let mailbox = Arc::new(Mailbox::new(poll.registry(), mio::Token(0)).unwrap());
        let address = |connection| mailbox.socket(Ticket { connection, serial: 0 });
        let told =
            || mailbox.take_told::<Farewell>().into_iter().map(|(ticket, farewell)| (ticket.connection, farewell));
        let told = || told().collect::<Vec<_>>();
        let (draft, other): (Arc<str>, Arc<str>) = ("d".into(), "e".into());
        for public_read in [true, false] {
            let watching = Watching::new(public_read);
            watching.begin(&draft, "alice", address(0));
            watching.begin(&draft, "bob", address(1));
            watching.begin(&draft, "bob", address(2));
            watching.begin(&other, "bob", address(3));
            watching.user_parted("d", "bob");
            let parted = [(1, Farewell::NoMember), (2, Farewell::NoMember)];
            assert_eq!(told(), if public_read { vec![] } else { parted.to_vec() });
            watching.end("d", &address(1));
            watching.draft_deleted("d");
            assert_eq!(told(), [(0, Farewell::Deleted), (2, Farewell::Deleted)]);
            watching.end("d", &address(0));
            watching.user_erased("bob");
            let erased = BTreeSet::from([(2, Farewell::NoMember), (3, Farewell::NoMember)]);
            assert_eq!(told().into_iter().collect::<BTreeSet<_>>(), if public_read { BTreeSet::new() } else { erased });
            watching.end("d", &address(2));
            watching.end("e", &address(3));
            watching.draft_deleted("nobody's");
            watching.user_erased("bob");
            assert!(told().is_empty() && watching.drafts.lock().is_empty());
        }
    }
}
