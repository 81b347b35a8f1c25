//! Who is there: the awareness states of one room (contract 03 §2.9). Pure: it is given what came, from which socket, and the
//! time, and says what the others are told.
//!
//! An entry is fresh when its clock is newer than what is known of its id; or equal, and it removes what is present; or equal,
//! and it brings back what was removed. The last is not in Yjs: a client that reconnects says the same clock again, and would
//! be invisible to newcomers until it next renews it. What is not fresh is passed over before its JSON is looked at: every
//! stock client sends back every change that it is told.
//!
//! An id belongs to the user who brought it, for as long as it is present. The first id that a socket speaks of alone, and that no
//! other socket has, is the socket's own: it leaves when the socket closes. It leaves after a grace, in which a client whose
//! network has blinked comes back; meanwhile newcomers are not told of it, as they would send it back and so keep it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::json::{self, JSON_DEPTH_MAX};
use super::lib0::{Decoder, Malformed, put_buf, put_uint, uint_bytes};

/// The longest frame of states, in bytes.
pub const AWARENESS_MAX_BYTES: usize = 64 * 1024;

/// The most clients in one frame.
pub const AWARENESS_MAX_IDS: usize = 64;

/// The longest state of one client, in bytes of JSON.
pub const AWARENESS_STATE_MAX_BYTES: usize = 16 * 1024;

/// The most clients of a room that have a state.
pub const AWARENESS_LIVE_MAX_IDS: usize = 512;

/// The most clients of a room of which it is remembered that they had a state.
pub const AWARENESS_GONE_MAX_IDS: usize = 1024;

/// How long a client whose socket has closed may take to come back unnoticed.
pub const GRACE: Duration = Duration::from_secs(3);

/// How long a state stays that nobody renews. Clients renew theirs every 15 s.
pub const EXPIRY: Duration = Duration::from_secs(30);

/// The state of a client that is gone.
const NULL: &str = "null";

/// The bounds of one room.
#[derive(Debug, Clone)]
pub struct Limits {
    /// See [`AWARENESS_MAX_BYTES`].
    pub frame_bytes: usize,
    /// See [`AWARENESS_MAX_IDS`].
    pub frame_ids: usize,
    /// See [`AWARENESS_STATE_MAX_BYTES`].
    pub state_bytes: usize,
    /// See [`AWARENESS_LIVE_MAX_IDS`].
    pub live_ids: usize,
    /// See [`GRACE`].
    pub grace: Duration,
    /// See [`EXPIRY`].
    pub expiry: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes: AWARENESS_MAX_BYTES,
            frame_ids: AWARENESS_MAX_IDS,
            state_bytes: AWARENESS_STATE_MAX_BYTES,
            live_ids: AWARENESS_LIVE_MAX_IDS,
            grace: GRACE,
            expiry: EXPIRY,
        }
    }
}

/// What the others are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relay {
    /// The payload as it came: all of it is fresh.
    AsCame,
    /// This payload, which has only what is fresh.
    Rewritten(Vec<u8>),
}

/// Why nothing of a frame was taken. That is no reason to close a socket: a stock client that was told of a full room sends
/// all of it back, in one frame that is over the bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not what it should be.
    #[error("malformed awareness frame: {0}")]
    Malformed(#[from] Malformed),
    /// It is over [`Limits::frame_bytes`].
    #[error("an awareness frame of {bytes} bytes; the maximum is {most}")]
    FrameTooLong {
        /// Its bytes.
        bytes: usize,
        /// The bound.
        most: usize,
    },
    /// It says that it has more clients than [`Limits::frame_ids`].
    #[error("an awareness frame of {ids} clients; the maximum is {most}")]
    TooManyIds {
        /// How many it says.
        ids: u64,
        /// The bound.
        most: usize,
    },
    /// A state is over [`Limits::state_bytes`].
    #[error("an awareness state of {bytes} bytes; the maximum is {most}")]
    StateTooLong {
        /// Its bytes.
        bytes: usize,
        /// The bound.
        most: usize,
    },
    /// A state is neither a JSON object nor null, or is nested deeper than [`JSON_DEPTH_MAX`].
    #[error("an awareness state that is neither null nor a JSON object of at most {JSON_DEPTH_MAX} levels")]
    NotAState,
    /// All that is fresh are clients that are new here, and the room has [`Limits::live_ids`] of them.
    #[error("the room already has {0} clients with a state, which is the maximum")]
    Full(usize),
}

/// The states of one room.
#[derive(Debug, Default)]
pub struct Awareness {
    limits: Limits,
    /// At most [`Limits::live_ids`].
    live: BTreeMap<u64, Client>,
    gone: Gone,
    /// Each socket that has sent something, and its own id. Bounded by the sockets of the room.
    sockets: HashMap<u64, Option<u64>>,
    /// The same from the other side: whose own an id is.
    holders: HashMap<u64, Holder>,
}

/// A client that has a state.
#[derive(Debug)]
struct Client {
    clock: u64,
    state: Box<str>,
    user: Arc<str>,
    /// The socket that its clock came from.
    from: u64,
    renewed: Instant,
    /// Its socket has closed: when it is removed.
    leaves: Option<Instant>,
}

/// A socket that has an id of its own.
#[derive(Debug)]
struct Holder {
    socket: u64,
    user: Arc<str>,
}

/// One client in a frame.
#[derive(Debug, Clone, Copy)]
struct Entry<'a> {
    id: u64,
    clock: u64,
    state: &'a [u8],
}

impl Entry<'_> {
    /// Whether it says that the client is gone.
    fn removes(&self) -> bool {
        self.state.trim_ascii() == NULL.as_bytes()
    }
}

impl Awareness {
    /// Nobody is there.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// The same with another grace than [`GRACE`], and the other bounds as they are.
    #[must_use]
    pub fn with_grace(grace: Duration) -> Self {
        Self::new(Limits { grace, ..Limits::default() })
    }

    /// Takes a payload from a socket of a user, and says what the others are told; nothing, when nothing of it is fresh. No number
    /// of a socket is used again. What it says of a client of another user is passed over.
    ///
    /// # Errors
    /// Nothing was taken, and why.
    pub fn receive(&mut self, socket: u64, user: &str, payload: &[u8], now: Instant) -> Result<Option<Relay>, Refused> {
        let (entries, is_all) = self.entries(payload)?;
        let alone = entries.len() == 1;
        let (mut fresh, mut new, mut is_full): (Vec<(Entry<'_>, Option<&str>)>, _, _) = (Vec::new(), 0, false);
        for &entry in &entries {
            let is_repeated = fresh.iter().any(|(other, _)| other.id == entry.id);
            let may_be_own = alone && self.may_be_own(socket, entry.id);
            if is_repeated || !self.is_fresh(entry, user, may_be_own) {
                continue;
            }
            let state = state_of(entry)?;
            if !self.live.contains_key(&entry.id) {
                if self.live.len() + new >= self.limits.live_ids {
                    is_full = true;
                    continue;
                }
                new += 1;
            }
            fresh.push((entry, state));
        }
        if fresh.is_empty() && is_full {
            return Err(Refused::Full(self.limits.live_ids));
        }
        let own = self.sockets.entry(socket).or_default();
        if let ([entry], None) = (&entries[..], *own)
            && !entry.removes()
            && !self.holders.contains_key(&entry.id)
            // A client begins with the clock 0, which is fresh to nobody.
            && (!fresh.is_empty() || (!self.live.contains_key(&entry.id) && self.gone.of(entry.id).is_none()))
        {
            *own = Some(entry.id);
            self.holders.insert(entry.id, Holder { socket, user: user.into() });
        }
        for &(entry, state) in &fresh {
            self.take(socket, user, entry, state, now);
        }
        Ok(if fresh.is_empty() {
            None
        } else if is_all && fresh.len() == entries.len() {
            Some(Relay::AsCame)
        } else {
            let states = fresh.iter().map(|(entry, state)| (entry.id, entry.clock, state.unwrap_or(NULL)));
            Some(Relay::Rewritten(payload_of(states)))
        })
    }

    /// A payload of everyone's state, for one who has come or asks; none while there is nobody.
    #[must_use]
    pub fn all(&self) -> Option<Vec<u8>> {
        let there = self.live.iter().filter(|(_, client)| client.leaves.is_none());
        let mut there = there.map(|(id, client)| (*id, client.clock, &*client.state)).peekable();
        there.peek()?;
        Some(payload_of(there))
    }

    /// A socket has closed. Its own client is removed after the grace, unless it comes back before; or, if another socket of its
    /// user has spoken for it last and has no client of its own, it is that one's from now on.
    pub fn leave(&mut self, socket: u64, now: Instant) {
        let Some(Some(id)) = self.sockets.remove(&socket) else { return };
        let holder = self.holders.remove(&id);
        let Some(client) = self.live.get_mut(&id) else { return };
        match (self.sockets.get_mut(&client.from), holder) {
            (Some(own @ None), Some(holder)) => {
                *own = Some(id);
                self.holders.insert(id, Holder { socket: client.from, ..holder });
            }
            _ => client.leaves = Some(now + self.limits.grace),
        }
    }

    /// Removes whoever is due: the grace is over, or nobody has renewed the state for [`Limits::expiry`]. A payload that tells the
    /// others, if it was anyone.
    #[must_use]
    pub fn sweep(&mut self, now: Instant) -> Option<Vec<u8>> {
        let expiry = self.limits.expiry;
        let due: Vec<u64> =
            self.live.iter().filter(|(_, client)| client.ends(expiry) <= now).map(|(id, _)| *id).collect();
        if due.is_empty() {
            return None;
        }
        let due: Vec<(u64, Client)> = due.into_iter().filter_map(|id| self.live.remove_entry(&id)).collect();
        let payload = payload_of(due.iter().map(|(id, client)| (*id, client.clock, NULL)));
        for (id, client) in due {
            self.gone.remember(id, client.clock, client.user);
        }
        Some(payload)
    }

    /// When the next is due.
    #[must_use]
    pub fn next_sweep(&self) -> Option<Instant> {
        self.live.values().map(|client| client.ends(self.limits.expiry)).min()
    }

    /// Whether nobody has a state.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// How many have a state, those among them that are about to leave.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// The clients of a frame, and whether they are all of it. No JSON has been looked at.
    fn entries<'a>(&self, payload: &'a [u8]) -> Result<(Vec<Entry<'a>>, bool), Refused> {
        let Limits { frame_bytes, frame_ids, state_bytes, .. } = self.limits;
        if payload.len() > frame_bytes {
            return Err(Refused::FrameTooLong { bytes: payload.len(), most: frame_bytes });
        }
        let mut decoder = Decoder::new(payload);
        let ids = decoder.uint()?;
        if ids > frame_ids as u64 {
            return Err(Refused::TooManyIds { ids, most: frame_ids });
        }
        let mut entries = Vec::new();
        for _ in 0..ids {
            let entry = Entry { id: decoder.uint()?, clock: decoder.uint()?, state: decoder.buf()? };
            if entry.state.len() > state_bytes {
                return Err(Refused::StateTooLong { bytes: entry.state.len(), most: state_bytes });
            }
            entries.push(entry);
        }
        Ok((entries, decoder.is_at_end()))
    }

    /// Whether an id that a socket speaks of alone is its own, or could be.
    fn may_be_own(&self, socket: u64, id: u64) -> bool {
        self.holders.get(&id).map_or_else(
            || self.sockets.get(&socket).copied().flatten().is_none_or(|own| own == id),
            |holder| holder.socket == socket,
        )
    }

    fn is_fresh(&self, entry: Entry<'_>, user: &str, may_be_own: bool) -> bool {
        if self.holders.get(&entry.id).is_some_and(|holder| *holder.user != *user) {
            return false;
        }
        match (self.live.get(&entry.id), self.gone.of(entry.id)) {
            (Some(client), _) => {
                let repeats = entry.clock == client.clock;
                // A client that comes back says again what it said; anyone else who does would keep it here.
                let comes_back = client.leaves.is_some() && may_be_own;
                *client.user == *user && (entry.clock > client.clock || (repeats && (entry.removes() || comes_back)))
            }
            (None, _) if entry.removes() => false,
            (None, Some(gone)) => entry.clock > gone.clock || (entry.clock == gone.clock && *gone.user == *user),
            (None, None) => entry.clock > 0,
        }
    }

    fn take(&mut self, socket: u64, user: &str, entry: Entry<'_>, state: Option<&str>, now: Instant) {
        let Entry { id, clock, .. } = entry;
        let Some(state) = state else {
            self.live.remove(&id);
            self.gone.remember(id, clock, user.into());
            return;
        };
        self.gone.forget(id);
        let (from, renewed, leaves) = (socket, now, None);
        match self.live.get_mut(&id) {
            Some(client) => {
                let user = Arc::clone(&client.user);
                *client = Client { clock, state: state.into(), user, from, renewed, leaves };
            }
            None => {
                let client = Client { clock, state: state.into(), user: user.into(), from, renewed, leaves };
                self.live.insert(id, client);
            }
        }
    }
}

impl Client {
    /// When it is removed, if nothing is heard of it.
    fn ends(&self, expiry: Duration) -> Instant {
        let expires = self.renewed + expiry;
        self.leaves.map_or(expires, |leaves| leaves.min(expires))
    }
}

/// The state that an entry brings; none, if it removes one.
fn state_of(entry: Entry<'_>) -> Result<Option<&str>, Refused> {
    if entry.removes() {
        return Ok(None);
    }
    let state = std::str::from_utf8(entry.state).map_err(|_| Malformed::NotUtf8)?;
    if json::is_object(state) { Ok(Some(state)) } else { Err(Refused::NotAState) }
}

fn payload_of<'a>(states: impl Iterator<Item = (u64, u64, &'a str)>) -> Vec<u8> {
    let (mut count, mut entries) = (0, Vec::new());
    for (id, clock, state) in states {
        count += 1;
        put_uint(&mut entries, id);
        put_uint(&mut entries, clock);
        put_buf(&mut entries, state.as_bytes());
    }
    let mut payload = Vec::with_capacity(uint_bytes(count) + entries.len());
    put_uint(&mut payload, count);
    payload.extend_from_slice(&entries);
    payload
}

/// The clients that had a state, so that what is said of them late does not bring them back. At most [`AWARENESS_GONE_MAX_IDS`]: the one
/// that went first is forgotten first.
#[derive(Debug, Default)]
struct Gone {
    clients: HashMap<u64, GoneClient>,
    /// In the order in which they went.
    order: BTreeMap<u64, u64>,
    last: u64,
}

#[derive(Debug)]
struct GoneClient {
    clock: u64,
    user: Arc<str>,
    place: u64,
}

impl Gone {
    fn of(&self, id: u64) -> Option<&GoneClient> {
        self.clients.get(&id)
    }

    fn remember(&mut self, id: u64, clock: u64, user: Arc<str>) {
        self.forget(id);
        if self.clients.len() >= AWARENESS_GONE_MAX_IDS
            && let Some((_, first)) = self.order.pop_first()
        {
            self.clients.remove(&first);
        }
        self.last += 1;
        self.order.insert(self.last, id);
        self.clients.insert(id, GoneClient { clock, user, place: self.last });
    }

    fn forget(&mut self, id: u64) {
        if let Some(client) = self.clients.remove(&id) {
            self.order.remove(&client.place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::clock::Clock;

    const SECOND: Duration = Duration::from_secs(1);

    fn room() -> (Awareness, Instant) {
        (Awareness::new(Limits::default()), Clock::system().instant())
    }

    fn payload(states: &[(u64, u64, &str)]) -> Vec<u8> {
        payload_of(states.iter().copied())
    }

    /// What a payload says, in order.
    fn said(payload: &[u8]) -> Vec<(u64, u64, String)> {
        let mut decoder = Decoder::new(payload);
        let count = decoder.uint().unwrap();
        let mut entry = || {
            let (id, clock) = (decoder.uint().unwrap(), decoder.uint().unwrap());
            (id, clock, decoder.str().unwrap().to_owned())
        };
        let states = (0..count).map(|_| entry()).collect();
        assert!(decoder.is_at_end());
        states
    }

    fn owned(states: &[(u64, u64, &str)]) -> Vec<(u64, u64, String)> {
        states.iter().map(|(id, clock, state)| (*id, *clock, (*state).to_owned())).collect()
    }

    #[test]
    fn the_reference_vectors_come_and_go() {
        let (mut room, now) = room();
        let here = b"\x01\x05\x01\x07{\"n\":1}";
        assert_eq!(room.receive(1, "ann", here, now), Ok(Some(Relay::AsCame)));
        assert_eq!((room.all().as_deref(), room.len()), (Some(&here[..]), 1));
        assert_eq!(room.receive(1, "ann", &[0], now), Ok(None), "the keep-alive is of nobody");
        assert_eq!(room.receive(1, "ann", b"\x01\x05\x02\x04null", now), Ok(Some(Relay::AsCame)));
        assert_eq!((room.all(), room.is_empty(), room.next_sweep()), (None, true, None));
    }

    #[test]
    fn what_is_fresh_is_taken_and_what_is_stale_is_not_even_read() {
        let (mut room, now) = room();
        let mut take = |entry: (u64, u64, &str)| room.receive(1, "ann", &payload(&[entry]), now);
        assert_eq!(take((5, 0, "{}")), Ok(None), "0 is newer than nothing");
        assert_eq!(take((5, 3, "{}")), Ok(Some(Relay::AsCame)));
        assert_eq!(take((5, 3, "{\"again\":1}")), Ok(None));
        assert_eq!(take((5, 2, "null")), Ok(None));
        assert_eq!(take((5, 2, "no JSON")), Ok(None));
        assert_eq!(take((5, 4, "no JSON")), Err(Refused::NotAState));
        assert_eq!(take((5, 3, " null ")), Ok(Some(Relay::AsCame)), "equal, and it removes");
        assert_eq!(take((5, 3, "null")), Ok(None), "what is not there");
        assert_eq!(take((5, 4, "null")), Ok(None));
        assert_eq!(take((5, 2, "{}")), Ok(None), "stale as before");
        assert_eq!(take((5, 3, "{}")), Ok(Some(Relay::AsCame)), "equal, and it was removed");
        assert_eq!(take((5, 4, "{}")), Ok(Some(Relay::AsCame)));
    }

    #[test]
    fn of_a_frame_only_what_is_fresh_goes_on() {
        let (mut room, now) = room();
        room.receive(1, "ann", &payload(&[(5, 3, "{}")]), now).unwrap();
        let mixed = payload(&[(5, 3, "{}"), (6, 1, "{\"n\":6}"), (6, 2, "{}"), (7, 0, "{}"), (8, 1, "{}")]);
        let Ok(Some(Relay::Rewritten(fresh))) = room.receive(1, "ann", &mixed, now) else { panic!() };
        assert_eq!(said(&fresh), owned(&[(6, 1, "{\"n\":6}"), (8, 1, "{}")]));
        let trailing = [payload(&[(9, 1, "{}")]), vec![7]].concat();
        let Ok(Some(Relay::Rewritten(fresh))) = room.receive(1, "ann", &trailing, now) else { panic!() };
        assert_eq!(said(&fresh), owned(&[(9, 1, "{}")]));
        let half_bad = payload(&[(10, 1, "{}"), (11, 1, "[]")]);
        assert_eq!(room.receive(1, "ann", &half_bad, now), Err(Refused::NotAState));
        assert_eq!(room.len(), 4, "of a frame that is refused nothing is taken");
    }

    #[test]
    fn no_user_speaks_for_the_client_of_another() {
        let (mut room, now) = room();
        room.receive(1, "ann", &payload(&[(5, 3, "{}")]), now).unwrap();
        for forged in [(5, 4, "{\"forged\":1}"), (5, 3, "null"), (5, u64::from(u32::MAX), "null")] {
            assert_eq!(room.receive(2, "bob", &payload(&[forged]), now), Ok(None));
        }
        assert_eq!(said(&room.all().unwrap()), owned(&[(5, 3, "{}")]));
        assert_eq!(room.receive(3, "ann", &payload(&[(5, 4, "{}")]), now), Ok(Some(Relay::AsCame)), "her other tab");
        room.receive(4, "cid", &payload(&[(6, 0, "{}")]), now).unwrap();
        let early = room.receive(2, "bob", &payload(&[(6, 1, "{}")]), now);
        assert_eq!(early, Ok(None), "nor for one that has said its name and nothing else");
        room.leave(4, now);
        assert_eq!(room.receive(2, "bob", &payload(&[(6, 1, "{}")]), now), Ok(Some(Relay::AsCame)), "now it is free");
    }

    #[test]
    fn a_socket_that_closes_takes_its_own_client_along_after_the_grace() {
        let (mut room, now) = room();
        room.receive(1, "ann", &payload(&[(5, 1, "{}")]), now).unwrap();
        room.receive(2, "ann", &payload(&[(6, 1, "{}")]), now).unwrap();
        // A tab hands on what its neighbour has said, before the neighbour does.
        room.receive(1, "ann", &payload(&[(6, 2, "{}")]), now).unwrap();
        room.leave(1, now);
        assert_eq!(said(&room.all().unwrap()), owned(&[(6, 2, "{}")]), "newcomers are not told of who leaves");
        assert_eq!((room.sweep(now + SECOND * 2), room.len()), (None, 2));
        assert_eq!(room.next_sweep(), Some(now + GRACE));
        assert_eq!(said(&room.sweep(now + GRACE).unwrap()), owned(&[(5, 1, "null")]), "with an unchanged clock");
        room.leave(2, now + GRACE);
        assert_eq!(said(&room.sweep(now + GRACE * 2).unwrap()), owned(&[(6, 2, "null")]));
    }

    #[test]
    fn who_comes_back_within_the_grace_was_never_away() {
        let (mut room, now) = room();
        let same = payload(&[(5, 1, "{}")]);
        room.receive(1, "ann", &same, now).unwrap();
        room.receive(2, "ann", &payload(&[(6, 1, "{}")]), now).unwrap();
        room.leave(1, now);
        assert_eq!(room.receive(2, "ann", &same, now), Ok(None), "a neighbour's late word keeps nobody");
        assert_eq!(room.receive(3, "bob", &same, now), Ok(None));
        assert_eq!(room.receive(4, "ann", &same, now + SECOND), Ok(Some(Relay::AsCame)));
        assert_eq!((room.sweep(now + GRACE), room.len()), (None, 2));
        room.leave(4, now + GRACE);
        assert_eq!(said(&room.sweep(now + GRACE * 2).unwrap()), owned(&[(5, 1, "null")]), "it is its own again");
    }

    #[test]
    fn who_comes_back_before_the_old_socket_is_known_to_be_dead_stays() {
        let (mut room, now) = room();
        room.receive(1, "ann", &payload(&[(5, 1, "{}")]), now).unwrap();
        assert_eq!(room.receive(2, "ann", &payload(&[(5, 1, "{}")]), now), Ok(None));
        room.receive(2, "ann", &payload(&[(5, 2, "{}")]), now).unwrap();
        room.leave(1, now);
        assert_eq!((room.sweep(now + GRACE), room.len()), (None, 1));
        room.leave(2, now + GRACE);
        assert_eq!(said(&room.sweep(now + GRACE * 2).unwrap()), owned(&[(5, 2, "null")]));
    }

    #[test]
    fn a_newcomer_that_gives_back_what_it_was_told_owns_none_of_it() {
        let (mut room, now) = room();
        room.receive(1, "ann", &payload(&[(5, 1, "{}")]), now).unwrap();
        let told = room.all().unwrap();
        assert_eq!(room.receive(2, "ann", &told, now), Ok(None));
        room.leave(2, now);
        assert_eq!((room.sweep(now + GRACE), room.len()), (None, 1));
        room.leave(1, now);
        assert!(room.sweep(now + GRACE).is_some());
    }

    #[test]
    fn what_nobody_renews_goes_after_its_time_and_does_not_come_back_by_a_late_word() {
        let (mut room, now) = room();
        room.receive(1, "ann", &payload(&[(5, 7, "{}"), (6, 1, "{}")]), now).unwrap();
        room.receive(1, "ann", &payload(&[(6, 2, "{}")]), now + SECOND).unwrap();
        assert_eq!(room.sweep(now + EXPIRY - Duration::from_millis(1)), None);
        assert_eq!(said(&room.sweep(now + EXPIRY).unwrap()), owned(&[(5, 7, "null")]));
        let late = now + EXPIRY;
        assert_eq!(room.receive(1, "ann", &payload(&[(5, 6, "{}")]), late), Ok(None));
        assert_eq!(room.receive(2, "bob", &payload(&[(5, 7, "{}")]), late), Ok(None), "no one else announces it again");
        assert_eq!(room.receive(1, "ann", &payload(&[(5, 7, "{}")]), late), Ok(Some(Relay::AsCame)));
    }

    #[test]
    fn frames_and_states_are_taken_up_to_their_bounds_and_not_one_further() {
        let (mut room, now) = room();
        let mut take = |states: &[(u64, u64, &str)]| room.receive(1, "ann", &payload(states), now);
        let filled = |bytes: usize| format!("{{\"n\":\"{}\"}}", "x".repeat(bytes - 8));
        assert_eq!(take(&[(1, 1, &filled(AWARENESS_STATE_MAX_BYTES))]), Ok(Some(Relay::AsCame)));
        let (bytes, most) = (AWARENESS_STATE_MAX_BYTES + 1, AWARENESS_STATE_MAX_BYTES);
        assert_eq!(take(&[(1, 2, &filled(bytes))]), Err(Refused::StateTooLong { bytes, most }));
        let many: Vec<(u64, u64, &str)> = (0..65).map(|id| (id + 2, 1, "{}")).collect();
        assert_eq!(take(&many[..64]), Ok(Some(Relay::AsCame)));
        assert_eq!(take(&many), Err(Refused::TooManyIds { ids: 65, most: AWARENESS_MAX_IDS }));
        let long = filled(AWARENESS_STATE_MAX_BYTES);
        let states = [(1, 3, &*long), (2, 3, &*long), (3, 3, &*long)];
        let rest = AWARENESS_MAX_BYTES - payload(&states).len() - 4;
        let fits = filled(rest);
        assert_eq!(take(&[&states[..], &[(4, 3, &*fits)]].concat()), Ok(Some(Relay::AsCame)));
        let (fits, bytes, most) = (filled(rest + 1), AWARENESS_MAX_BYTES + 1, AWARENESS_MAX_BYTES);
        let refused = take(&[&states[..], &[(4, 4, &*fits)]].concat());
        assert_eq!(refused, Err(Refused::FrameTooLong { bytes, most }));
        let nested = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        assert_eq!(take(&[(5, 5, &nested(JSON_DEPTH_MAX))]), Ok(Some(Relay::AsCame)));
        assert_eq!(take(&[(5, 6, &nested(JSON_DEPTH_MAX + 1))]), Err(Refused::NotAState));
        for no_state in ["", "[]", "1", "\"a\"", "nul", "{", "{}x", "{} {}", "{\"a\":}"] {
            assert_eq!(take(&[(5, 7, no_state)]), Err(Refused::NotAState), "{no_state}");
        }
    }

    #[test]
    fn what_is_malformed_is_refused_whole() {
        let (mut room, now) = room();
        for (payload, malformed) in [
            (&b""[..], Malformed::Short),
            (b"\x01\x05\x01", Malformed::Short),
            (b"\x01\x05\x01\x09{}", Malformed::Short),
            (b"\x02\x05\x01\x02{}", Malformed::Short),
            (b"\x01\xff\xff\xff\xff\xff\xff\xff\x10\x01\x02{}", Malformed::TooLarge),
            (b"\x01\x05\x01\x09{\"a\":\"\xff\"}", Malformed::NotUtf8),
        ] {
            assert_eq!(room.receive(1, "ann", payload, now), Err(Refused::Malformed(malformed)), "{payload:?}");
        }
        assert!(room.is_empty() && room.sockets.is_empty());
    }

    #[test]
    fn a_million_clients_are_not_kept() {
        let (mut room, now) = room();
        let claim = |first: u64, state| {
            let states: Vec<(u64, u64, &str)> = (0..64).map(|at| (first + at, 1, state)).collect();
            payload(&states)
        };
        for first in (0..1_000_000).step_by(64) {
            let taken = room.receive(1, "mallory", &claim(first, "{}"), now);
            let expected =
                if first < 512 { Ok(Some(Relay::AsCame)) } else { Err(Refused::Full(AWARENESS_LIVE_MAX_IDS)) };
            assert_eq!(taken, expected, "{first}");
        }
        assert_eq!((room.len(), room.holders.len(), room.sockets.len()), (AWARENESS_LIVE_MAX_IDS, 0, 1));
        // Nor are those that go again.
        for first in (0..10_000).step_by(64) {
            let _ = room.receive(1, "mallory", &claim(first, "{}"), now);
            let _ = room.receive(1, "mallory", &claim(first, "null"), now);
        }
        assert_eq!((room.gone.clients.len(), room.gone.order.len()), (AWARENESS_GONE_MAX_IDS, AWARENESS_GONE_MAX_IDS));
        assert_eq!(room.receive(2, "ann", &payload(&[(9, 1, "{}")]), now), Ok(Some(Relay::AsCame)));
    }

    #[test]
    fn of_a_frame_as_much_is_taken_as_the_room_has_room_for() {
        let now = Clock::system().instant();
        let mut room = Awareness::new(Limits { live_ids: 2, ..Limits::default() });
        let three = payload(&[(1, 1, "{}"), (2, 1, "{}"), (3, 1, "{}")]);
        let Ok(Some(Relay::Rewritten(fresh))) = room.receive(1, "ann", &three, now) else { panic!() };
        assert_eq!(said(&fresh), owned(&[(1, 1, "{}"), (2, 1, "{}")]));
        assert_eq!(room.receive(1, "ann", &payload(&[(3, 1, "{}")]), now), Err(Refused::Full(2)));
        assert_eq!(room.receive(1, "ann", &payload(&[(2, 2, "{}")]), now), Ok(Some(Relay::AsCame)));
    }

    /// One thing that happens in a room.
    #[derive(Debug, Clone)]
    enum Step {
        Say { socket: u64, entries: Vec<(u64, u64, bool)> },
        Close(u64),
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let entry = (1..6u64, 0..5u64, prop::bool::weighted(0.7));
        prop_oneof![
            6 => (0..4u64, prop::collection::vec(entry, 1..4)).prop_map(|(socket, entries)| Step::Say { socket, entries }),
            1 => (0..4u64).prop_map(Step::Close),
            2 => (1..20u64).prop_map(Step::Wait),
        ]
    }

    proptest! {
        /// Someone who was there from the beginning and takes what it is told word for word agrees with the room; clocks
        /// never go back, no user has changed another's client, and in the end nobody is left.
        #[test]
        fn everyone_is_told_the_same(steps in prop::collection::vec(step(), 0..80)) {
            let (mut room, start) = room();
            let mut now = start;
            // Each place has a new number when a socket was closed there; its user is odd or even.
            let mut numbers = [0, 1, 2, 3];
            let user = |socket: u64| if socket.is_multiple_of(2) { "even" } else { "odd" };
            let mut told: BTreeMap<u64, (u64, String)> = BTreeMap::new();
            let mut clocks: BTreeMap<u64, u64> = BTreeMap::new();
            for step in steps {
                let before: BTreeMap<u64, Arc<str>> =
                    room.live.iter().map(|(id, client)| (*id, Arc::clone(&client.user))).collect();
                let (by, payload) = match step {
                    Step::Say { socket, entries } => {
                        // What is said names who said it.
                        let state = format!("{{\"by\":\"{}\"}}", user(socket));
                        let entries: Vec<_> = entries.iter().map(|(id, clock, here)| {
                            (*id, *clock, if *here { &*state } else { NULL })
                        }).collect();
                        let came = payload(&entries);
                        let relay = room.receive(numbers[socket as usize], user(socket), &came, now).unwrap();
                        let relay = relay.map(|relay| match relay {
                            Relay::AsCame => came,
                            Relay::Rewritten(payload) => payload,
                        });
                        (Some(user(socket)), relay)
                    }
                    Step::Close(socket) => {
                        room.leave(numbers[socket as usize], now);
                        numbers[socket as usize] += 4;
                        (None, None)
                    }
                    Step::Wait(seconds) => {
                        now += SECOND * u32::try_from(seconds).unwrap();
                        (None, room.sweep(now))
                    }
                };
                for (id, clock, state) in payload.as_deref().map(said).unwrap_or_default() {
                    let known = clocks.insert(id, clock).unwrap_or_default();
                    prop_assert!(clock > known || (clock == known && (state == NULL || clock > 0)), "{id}: {clock}, {known}");
                    if let (Some(by), Some(owner)) = (by, before.get(&id)) {
                        prop_assert_eq!(by, &**owner);
                    }
                    if state == NULL {
                        prop_assert!(told.remove(&id).is_some(), "{} was not there", id);
                    } else {
                        told.insert(id, (clock, state));
                    }
                }
                let live: BTreeMap<u64, (u64, String)> =
                    room.live.iter().map(|(id, client)| (*id, (client.clock, client.state.to_string()))).collect();
                prop_assert_eq!(&told, &live);
                let holders: BTreeSet<(u64, u64)> = room.holders.iter().map(|(id, holder)| (holder.socket, *id)).collect();
                let own = room.sockets.iter().filter_map(|(socket, own)| own.map(|own| (*socket, own)));
                prop_assert_eq!(holders, own.collect());
                prop_assert!(room.next_sweep().is_none_or(|at| at <= now + EXPIRY));
                prop_assert_eq!(room.gone.clients.len(), room.gone.order.len());
                prop_assert!(room.live.keys().all(|id| room.gone.of(*id).is_none()));
            }
            numbers.iter().for_each(|number| room.leave(*number, now));
            prop_assert!(room.sockets.is_empty() && room.holders.is_empty());
            let _ = room.sweep(now + EXPIRY);
            prop_assert!(room.is_empty() && room.next_sweep().is_none());
        }
    }
}
