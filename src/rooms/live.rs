//! A room in memory: its document, who is in it, and the one order of its updates.
//!
//! One lock per room, held for microseconds and never across I/O. Under it an update is checked against the document, gets its
//! number, is handed to the writer and to the hub: so everybody is sent the updates in the order in which they are stored.
//! Others get an update at once. What tells its sender that it is kept (its echo, the answer to type 102, `saved`) leaves
//! after the commit's fsync (contract 03 §4.5, G1).
//!
//! One job of the writer is under way per room; what comes meanwhile waits for the next one. If one fails, the room is given up as a whole:
//! its sockets are closed, the next one to come loads what is on disk, and each client offers again what it has.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::awareness::{Awareness, Refused as BadAwareness, Relay};
use super::json;
use super::message;
use super::name::RoomName;
use super::room::{Applied, Compacted, Document, Snapshot};
use super::shared::Shared;
use super::update::Update;
use super::vector::StateVector;
use crate::gate::{ApiError, Reply};
use crate::hub::SocketAddress;
use crate::net::{Frame, SocketId};
use crate::store::{Space, Topic};

/// What binary sockets of a room listen to. Nothing of it is an event of the store.
pub(super) static YJS: Space = Space { name: "rooms", log_field: "room", encode: |_, _| Frame::ping() };
/// What its JSON sockets listen to.
static JSON: Space = Space { name: "rooms-json", log_field: "room", encode: |_, _| Frame::ping() };

/// How many messages of the largest size may wait for the disk in one room. Above that its writers are closed: they come back
/// with all they have.
pub(super) const UNSAVED_MAX_MESSAGES: usize = 4;
/// How much of the log a snapshot is made for (contract 03 §4.4).
const LOG_MAX_ROWS: i64 = 500;
/// Of a large room the log may have a row for so many bytes of its snapshot: to write megabytes anew for five hundred letters
/// would cost more than all that is done with the letters.
const SNAPSHOT_BYTES_PER_ROW: i64 = 128;
const LOG_MAX_BYTES: i64 = 1024 * 1024;
/// What a document may take in memory beyond twice its bytes.
const SPARSE_MIN_BYTES: usize = 1024 * 1024;
/// From this size on the log may become twice as large as the snapshot.
const LOG_MIN_BYTES: i64 = 64 * 1024;

/// A room in memory.
pub(super) struct Room {
    pub(super) name: RoomName,
    /// What binary sockets listen to.
    pub(super) yjs: Topic,
    /// What JSON sockets listen to.
    pub(super) json: Topic,
    shared: Arc<Shared>,
    state: Mutex<State>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// What is stored is being read. Who is in it waits.
    Loading,
    /// It is served.
    Open,
    /// It is being deleted. Nobody gets in until that is done.
    Closing,
    /// It is forgotten: whoever comes has it loaded anew.
    Gone,
}

impl Phase {
    /// What becomes of a room that is given up. One that is being deleted stays closed: whoever comes would have loaded what is
    /// about to go.
    fn given_up(self) -> Self {
        match self {
            Self::Closing => Self::Closing,
            Self::Loading | Self::Open | Self::Gone => Self::Gone,
        }
    }
}

struct State {
    phase: Phase,
    /// Its number in the database, once it has one.
    row: Option<i64>,
    document: Document,
    /// The number of the last update.
    seq: i64,
    /// The last one that is on disk.
    saved: i64,
    unsaved: VecDeque<Unsaved>,
    unsaved_bytes: usize,
    /// A job of the writer is under way.
    saving: bool,
    compaction: Compaction,
    log: Log,
    /// When the row is to say again what is in the log, and whether it says something else now.
    next_count: Instant,
    is_uncounted: bool,
    /// Why nobody may change it, if nobody may.
    read_only: Option<Arc<str>>,
    awareness: Awareness,
    members: BTreeMap<u64, Member>,
    /// Requests whose update is to be on disk before they are answered.
    awaited: Vec<(i64, Reply<i64>)>,
    /// Since when nobody is here.
    empty_since: Option<Instant>,
}

/// How far the next snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compaction {
    None,
    /// Somebody was told that one is due.
    Asked,
    /// It is being made; this was in the log when it was begun.
    Running(Log),
    /// The last one could not be made or stored; so many rows were in the log then.
    Failed {
        rows: i64,
    },
}

impl Compaction {
    fn is_under_way(self) -> bool {
        matches!(self, Self::Asked | Self::Running(_))
    }

    /// Whether one may be asked for with so many rows in the log.
    fn may_begin(self, rows: i64) -> bool {
        match self {
            Self::None => true,
            Self::Asked | Self::Running(_) => false,
            Self::Failed { rows: then } => rows >= then + LOG_MAX_ROWS,
        }
    }
}

/// How often what a room's row says of its log is brought up to date, while the room changes. With every change it would be two
/// pages more to be written; who asks a server hears of rooms in memory what is so.
const COUNTED_EVERY: Duration = Duration::from_secs(10);

/// What is stored and in no snapshot, and how large that is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Log {
    pub(super) rows: i64,
    pub(super) bytes: i64,
    pub(super) snapshot_bytes: i64,
}

impl Log {
    /// Whether it is time for a snapshot.
    fn is_due(self) -> bool {
        let most = LOG_MAX_ROWS.max(self.snapshot_bytes / SNAPSHOT_BYTES_PER_ROW);
        let is_long = self.rows >= most || self.bytes >= LOG_MAX_BYTES;
        is_long || (self.bytes >= LOG_MIN_BYTES && self.bytes >= 2 * self.snapshot_bytes)
    }
}

/// An update on its way to the disk.
#[derive(Clone)]
pub(super) struct Unsaved {
    pub(super) seq: i64,
    pub(super) user: Arc<str>,
    /// As others were sent it, and its sender will be. The update is the end of it.
    frame: Frame,
    length: usize,
    /// Whose it is; nobody's if it was imported.
    from: Option<u64>,
}

impl Unsaved {
    /// The update itself.
    pub(super) fn bytes(&self) -> &[u8] {
        let frame = self.frame.as_bytes();
        &frame[frame.len() - self.length..]
    }
}

/// A socket in a room.
struct Member {
    address: SocketAddress,
    connection_id: Arc<str>,
    speaks_json: bool,
}

/// What a room tells a socket in it.
pub(super) enum Told {
    /// The room is loaded.
    Loaded,
    /// Updates up to this one are on disk; these are those of this socket.
    Saved { through: i64, echoes: Vec<Frame> },
    /// This is what it has asked for.
    Answer(Frame),
    /// This is for this socket alone.
    Frame(Frame),
    /// It is over.
    Closed { code: u16, reason: Arc<str> },
}

/// What became of an update.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is the one with this number.
    New(i64),
    /// There was nothing in it that was not known. What it repeats is on disk once this number is.
    Known(i64),
    /// It builds on what is not here; this is what is.
    Gap(Vec<u8>),
    /// The room is only read, for this reason.
    ReadOnly(Arc<str>),
    /// It cannot be kept now: come back later.
    Busy(&'static str),
}

/// Who sends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sender<'a> {
    /// Its number.
    pub(super) number: u64,
    pub(super) socket: SocketId,
    pub(super) user: &'a Arc<str>,
}

/// What was stored of a room.
pub(super) struct Loaded {
    pub(super) row: Option<i64>,
    pub(super) document: Document,
    pub(super) seq: i64,
    pub(super) log: Log,
    /// Why it is only read.
    pub(super) quarantine: Option<Arc<str>>,
}

/// What is to be done once updates were saved.
pub(super) struct After {
    /// More wait: somebody has to go on.
    pub(super) has_more: bool,
    /// The log is long: a snapshot is to be made. Said once.
    pub(super) is_due: bool,
}

/// What an operator and `/stats` see of a room.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) name: RoomName,
    pub(super) sockets: usize,
    pub(super) json_sockets: usize,
    pub(super) bytes: usize,
    pub(super) memory: usize,
    /// What it takes on disk, once that is known.
    pub(super) stored_bytes: Option<i64>,
    pub(super) read_only: Option<Arc<str>>,
}

impl Room {
    /// One that has to be loaded.
    pub(super) fn new(name: RoomName, shared: &Arc<Shared>) -> Arc<Self> {
        let state = State {
            phase: Phase::Loading,
            row: None,
            document: Document::default(),
            seq: 0,
            saved: 0,
            unsaved: VecDeque::new(),
            unsaved_bytes: 0,
            saving: false,
            compaction: Compaction::None,
            log: Log::default(),
            next_count: shared.house.clock.instant(),
            is_uncounted: false,
            read_only: None,
            awareness: Awareness::with_grace(shared.times.grace),
            members: BTreeMap::new(),
            awaited: Vec::new(),
            empty_since: Some(shared.house.clock.instant()),
        };
        let [yjs, json] = [&YJS, &JSON].map(|space| Topic::new(space, Arc::clone(name.shared())));
        Arc::new(Self { name, yjs, json, shared: Arc::clone(shared), state: Mutex::new(state) })
    }

    /// Takes a socket in. Whether the room is loaded; if not, it will be [`Told::Loaded`].
    ///
    /// # Errors
    /// The room is on its way out.
    pub(super) fn join(&self, number: u64, address: SocketAddress, connection_id: Arc<str>) -> Result<bool, Leaving> {
        let mut state = self.state.lock();
        match state.phase {
            Phase::Gone => Err(Leaving::Gone),
            Phase::Closing => Err(Leaving::Closing),
            phase => {
                state.members.insert(number, Member { address, connection_id, speaks_json: false });
                state.empty_since = None;
                Ok(phase == Phase::Open)
            }
        }
    }

    /// A socket has left.
    pub(super) fn leave(&self, number: u64) {
        let now = self.shared.house.clock.instant();
        let mut state = self.state.lock();
        let Some(member) = state.members.remove(&number) else { return };
        state.awareness.leave(number, now);
        if state.members.is_empty() {
            state.empty_since = Some(now);
        }
        if member.speaks_json && state.phase == Phase::Open {
            let frame = Frame::text(&json::peer_disconnected(&member.connection_id));
            self.shared.house.hub.send(&self.json, "peer_disconnected", frame, None);
        }
    }

    /// From now on a socket speaks JSON, or no longer. Who else does.
    pub(super) fn speaks_json(&self, number: u64, speaks: bool) -> Vec<Arc<str>> {
        let mut state = self.state.lock();
        if let Some(member) = state.members.get_mut(&number) {
            member.speaks_json = speaks;
        }
        state.peers(number)
    }

    /// Who else speaks JSON, in the order of their coming.
    pub(super) fn peers(&self, number: u64) -> Vec<Arc<str>> {
        self.state.lock().peers(number)
    }

    /// Sends to the JSON socket of this id, if it is here.
    pub(super) fn signal(&self, target: &str, frame: Frame) {
        let address = {
            let state = self.state.lock();
            let mut members = state.members.values().filter(|member| member.speaks_json);
            members.find(|member| &*member.connection_id == target).map(|member| member.address.clone())
        };
        if let Some(address) = address {
            address.tell(Told::Frame(frame));
        }
    }

    /// What asks a client for everything that is missing here, and what shows it the others.
    pub(super) fn greeting(&self) -> (Vec<u8>, Option<Vec<u8>>) {
        let state = self.state.lock();
        (state.document.vector().encode(), state.awareness.all())
    }

    /// The states of everyone.
    pub(super) fn awareness_of_all(&self) -> Option<Vec<u8>> {
        self.state.lock().awareness.all()
    }

    /// The document as it is, to be read outside the lock.
    pub(super) fn snapshot(&self) -> Snapshot {
        self.state.lock().document.snapshot()
    }

    /// The same, if it is served and something of it is on disk; and why it is read-only, if it is.
    pub(super) fn stored(&self) -> Option<(Snapshot, Option<Arc<str>>)> {
        let state = self.state.lock();
        let is_stored = state.phase == Phase::Open && state.row.is_some();
        is_stored.then(|| (state.document.snapshot(), state.read_only.clone()))
    }

    /// How large the document is, about.
    pub(super) fn bytes(&self) -> usize {
        self.state.lock().document.bytes()
    }

    /// What a client lacks that knows so much.
    pub(super) fn diff(&self, known: &StateVector) -> Vec<u8> {
        self.snapshot().diff(known)
    }

    /// Takes an update in: stores it and has the others sent it. `bytes` are what `update` was read from.
    ///
    /// The second is true if nobody is storing anything of this room: whoever asks has to begin then.
    pub(super) fn update(
        &self,
        update: &Update<'_>,
        bytes: &[u8],
        user: &Arc<str>,
        sender: Option<Sender<'_>>,
    ) -> (Taken, bool) {
        match self.apply(update, bytes, user, sender) {
            Ok((seq, begins)) => (Taken::New(seq), begins),
            Err(taken) => (taken, false),
        }
    }

    fn apply(
        &self,
        update: &Update<'_>,
        bytes: &[u8],
        user: &Arc<str>,
        sender: Option<Sender<'_>>,
    ) -> Result<(i64, bool), Taken> {
        let options = self.shared.options.now();
        let (most, unsaved) = (options.document_bytes, UNSAVED_MAX_MESSAGES * options.limits.message_bytes);
        // Before the lock, as mostly it will be sent as it came.
        let whole = Frame::binary(&message::update(bytes)).gathering();
        let mut state = self.state.lock();
        if state.phase != Phase::Open {
            return Err(Taken::Busy("The room is being closed"));
        }
        if let Some(reason) = &state.read_only {
            return Err(Taken::ReadOnly(Arc::clone(reason)));
        }
        if state.document.bytes() + bytes.len() > most {
            let reason = format!("The room is full: its document may have {most} bytes");
            return Err(Taken::ReadOnly(reason.into()));
        }
        if state.unsaved_bytes + bytes.len() > unsaved {
            return Err(Taken::Busy("Too many changes wait to be stored"));
        }
        // Whoever changes a room first makes it. What is put in by owners is not counted.
        let is_first = state.row.is_none() && state.seq == 0;
        let mut makers = sender.filter(|_| is_first).map(|_| self.shared.makers.lock());
        let leave = makers
            .as_mut()
            .map(|makers| makers.may_make(user, options.new_per_hour, self.shared.house.clock.instant()));
        let leave = leave.transpose().map_err(|wait| too_many_new(options.new_per_hour, wait))?;
        let (frame, length) = match state.document.apply(update) {
            Applied::Known => return Err(Taken::Known(state.seq)),
            Applied::Gap => return Err(Taken::Gap(state.document.vector().encode())),
            Applied::Whole => (whole, bytes.len()),
            Applied::Reduced(reduced) => (Frame::binary(&message::update(&reduced)).gathering(), reduced.len()),
        };
        if let (Some(makers), Some(leave)) = (&mut makers, leave) {
            makers.made(user, leave);
        }
        drop(makers);
        state.seq += 1;
        let seq = state.seq;
        state.unsaved_bytes += length;
        let (from, user) = (sender.map(|sender| sender.number), Arc::clone(user));
        state.unsaved.push_back(Unsaved { seq, user, frame: frame.clone(), length, from });
        let begins = !std::mem::replace(&mut state.saving, true);
        self.shared.house.hub.send(&self.yjs, "update", frame, sender.map(|sender| sender.socket));
        Ok((seq, begins))
    }

    /// Takes the states of clients in and has the others sent what is new of them.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn awareness(&self, sender: Sender<'_>, payload: &[u8], now: Instant) -> Result<bool, BadAwareness> {
        let mut state = self.state.lock();
        let frame = match state.awareness.receive(sender.number, sender.user, payload, now)? {
            None => return Ok(false),
            Some(Relay::AsCame) => Frame::binary(&message::awareness(payload)),
            Some(Relay::Rewritten(fresh)) => Frame::binary(&message::awareness(&fresh)),
        };
        self.shared.house.hub.send(&self.yjs, "awareness", frame.passing().gathering(), Some(sender.socket));
        Ok(true)
    }

    /// Hands a JSON message to all other JSON sockets.
    pub(super) fn broadcast(&self, kind: &'static str, frame: Frame, from: SocketId) {
        self.shared.house.hub.send(&self.json, kind, frame, Some(from));
    }

    /// Whether everything up to this update is on disk.
    pub(super) fn is_saved(&self, seq: i64) -> bool {
        self.state.lock().saved >= seq
    }

    /// Answers with the number of this update once it is on disk.
    pub(super) fn when_saved(&self, seq: i64, reply: Reply<i64>) {
        let mut state = self.state.lock();
        if state.saved < seq && !matches!(state.phase, Phase::Closing | Phase::Gone) {
            return state.awaited.push((seq, reply));
        }
        let is_saved = state.saved >= seq;
        drop(state);
        reply.done(if is_saved {
            Ok(seq)
        } else {
            Err(ApiError::overloaded("The change could not be stored; try again"))
        });
    }

    /// Asks everyone for what is missing here: they may have changed something while nothing could be stored.
    pub(super) fn ask_all(&self) {
        let state = self.state.lock();
        if state.phase == Phase::Open {
            let frame = Frame::binary(&message::step1(&state.document.vector().encode()));
            self.shared.house.hub.send(&self.yjs, "step1", frame, None);
        }
    }

    /// Has everyone who waits go on.
    pub(super) fn loaded(&self, loaded: Loaded) {
        let waiting: Vec<_> = {
            let mut state = self.state.lock();
            if state.phase != Phase::Loading {
                return;
            }
            state.phase = Phase::Open;
            state.row = loaded.row;
            state.document = loaded.document;
            (state.seq, state.saved) = (loaded.seq, loaded.seq);
            state.log = loaded.log;
            state.read_only = loaded.quarantine;
            state.members.values().map(|member| member.address.clone()).collect()
        };
        for address in waiting {
            address.tell(Told::Loaded);
        }
    }

    /// Gives the room up and closes its sockets: whoever comes has it loaded anew. What is not on disk its clients offer again.
    pub(super) fn give_up(&self, code: u16, reason: &str) {
        let (members, awaited) = {
            let mut state = self.state.lock();
            state.phase = state.phase.given_up();
            (std::mem::take(&mut state.members), std::mem::take(&mut state.awaited))
        };
        for (_, reply) in awaited {
            reply.done(Err(ApiError::overloaded("The change could not be stored; try again")));
        }
        let reason: Arc<str> = reason.into();
        for member in members.into_values() {
            member.address.tell(Told::Closed { code, reason: Arc::clone(&reason) });
        }
    }

    /// The row of the room, updates that wait to be stored, up to a bound of rows, and whether it is time to count them in the
    /// row. Said once.
    pub(super) fn unsaved(&self, most: usize) -> (Option<i64>, Vec<Unsaved>, bool) {
        let now = self.shared.house.clock.instant();
        let mut state = self.state.lock();
        let counts = state.next_count <= now;
        if counts {
            state.next_count = now + COUNTED_EVERY;
        }
        state.is_uncounted = !counts;
        (state.row, state.unsaved.iter().take(most).cloned().collect(), counts)
    }

    /// Its row, if that says something else of the log than is so.
    pub(super) fn uncounted(&self) -> Option<i64> {
        let state = self.state.lock();
        state.row.filter(|_| state.is_uncounted)
    }

    /// These updates are on disk, the last of which has this number. Tells their senders.
    pub(super) fn saved(&self, row: i64, through: i64) -> After {
        let mut told: Vec<(SocketAddress, Vec<Frame>)> = Vec::new();
        let answered: Vec<_>;
        let (has_more, is_due) = {
            let mut state = self.state.lock();
            let state = &mut *state;
            state.row = Some(row);
            state.saved = through;
            let mut echoes: BTreeMap<u64, Vec<Frame>> = BTreeMap::new();
            while let Some(first) = state.unsaved.front().filter(|first| first.seq <= through) {
                state.unsaved_bytes -= first.length;
                state.log.rows += 1;
                state.log.bytes += first.length as i64;
                if let Some(from) = first.from {
                    echoes.entry(from).or_default().push(first.frame.clone());
                }
                state.unsaved.pop_front();
            }
            for (number, frames) in echoes {
                if let Some(member) = state.members.get(&number) {
                    told.push((member.address.clone(), frames));
                }
            }
            answered = state.awaited.extract_if(.., |(seq, _)| *seq <= through).collect();
            let has_more = !state.unsaved.is_empty();
            state.saving = has_more;
            // Many clients with a word each take far more memory before a snapshot than after.
            let is_sparse = state.document.memory() > 2 * state.document.bytes() + SPARSE_MIN_BYTES;
            let is_due = (state.log.is_due() || is_sparse) && state.compaction.may_begin(state.log.rows);
            let is_due = is_due && state.phase == Phase::Open;
            if is_due {
                state.compaction = Compaction::Asked;
            }
            (has_more, is_due)
        };
        for (address, echoes) in told {
            address.tell(Told::Saved { through, echoes });
        }
        for (seq, reply) in answered {
            reply.done(Ok(seq));
        }
        After { has_more, is_due }
    }

    /// Begins a snapshot, unless there is nothing for it: the room's row, the last update whose row it takes the place of, and
    /// what to make it of.
    pub(super) fn begin_compaction(&self) -> Option<(i64, i64, Snapshot)> {
        let mut state = self.state.lock();
        let row = state.row.filter(|_| state.phase == Phase::Open && state.log.rows > 0);
        let is_running = matches!(state.compaction, Compaction::Running(_));
        match row {
            Some(row) if !is_running => {
                state.compaction = Compaction::Running(state.log);
                // What is not on disk yet is in the snapshot, too, and not counted: should it never get there, its number is
                // given to another update, and that is not to be taken for one that the snapshot has.
                Some((row, state.saved, state.document.snapshot()))
            }
            _ => {
                if !is_running {
                    state.compaction = Compaction::None;
                }
                None
            }
        }
    }

    /// Takes over what compaction made of the document.
    pub(super) fn adopt(&self, compacted: &Compacted) {
        self.state.lock().document.adopt(compacted);
    }

    /// A snapshot of so many bytes is on disk; or, nothing, is not.
    pub(super) fn end_compaction(&self, snapshot_bytes: Option<usize>) {
        let mut state = self.state.lock();
        let before = std::mem::replace(&mut state.compaction, Compaction::None);
        match (snapshot_bytes, before) {
            (Some(bytes), Compaction::Running(before)) => {
                // What came while it was made is in the log, or on its way there.
                let (rows, left) = (state.log.rows - before.rows, state.log.bytes - before.bytes);
                state.log = Log { rows, bytes: left, snapshot_bytes: bytes as i64 };
            }
            // It is tried again when more has come.
            _ => state.compaction = Compaction::Failed { rows: state.log.rows },
        }
    }

    /// Removes the states of who has left or has been silent for too long, and tells the others.
    pub(super) fn sweep(&self, now: Instant) {
        let mut state = self.state.lock();
        if state.awareness.next_sweep().is_none_or(|at| at > now) {
            return;
        }
        if let Some(gone) = state.awareness.sweep(now) {
            let frame = Frame::binary(&message::awareness(&gone)).passing();
            self.shared.house.hub.send(&self.yjs, "awareness", frame, None);
        }
    }

    /// Whether it has been empty for long enough to be unloaded, as far as it goes: with something in the log it wants a
    /// snapshot first.
    pub(super) fn is_idle(&self, now: Instant) -> Idle {
        self.idle(&self.state.lock(), now)
    }

    fn idle(&self, state: &State, now: Instant) -> Idle {
        let is_empty = state.empty_since.is_some_and(|since| since + self.shared.times.unload <= now);
        if !is_empty || state.phase != Phase::Open || state.saving || state.compaction.is_under_way() {
            return Idle::No;
        }
        // One that cannot be compacted is unloaded as it is: its log has everything.
        let has_failed = matches!(state.compaction, Compaction::Failed { .. });
        if state.log.rows > 0 && !has_failed { Idle::Uncompacted } else { Idle::Yes }
    }

    /// Marks it as gone if nobody uses it, and gives its row. Called under the lock of the registry, so that nobody comes
    /// in between.
    pub(super) fn retire(&self, now: Instant) -> Option<Option<i64>> {
        let mut state = self.state.lock();
        if self.idle(&state, now) != Idle::Yes {
            return None;
        }
        state.phase = Phase::Gone;
        Some(state.row)
    }

    /// Whether it was given up.
    pub(super) fn is_gone(&self) -> bool {
        self.state.lock().phase == Phase::Gone
    }

    /// Keeps everybody out until it is deleted; those who are in are closed.
    pub(super) fn close_for_deletion(&self) -> bool {
        let members = {
            let mut state = self.state.lock();
            if !matches!(state.phase, Phase::Open | Phase::Loading) {
                return false;
            }
            state.phase = Phase::Closing;
            std::mem::take(&mut state.members)
        };
        for member in members.into_values() {
            member.address.tell(Told::Closed { code: CLOSED, reason: "The room was deleted".into() });
        }
        true
    }

    /// How it looks from outside.
    pub(super) fn seen(&self) -> Seen {
        let state = self.state.lock();
        Seen {
            name: self.name.clone(),
            sockets: state.members.len(),
            json_sockets: state.members.values().filter(|member| member.speaks_json).count(),
            bytes: state.document.bytes(),
            memory: state.document.memory(),
            stored_bytes: state.row.map(|_| state.log.snapshot_bytes + state.log.bytes),
            read_only: state.read_only.clone(),
        }
    }

    /// What all rooms work with.
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

/// Why a room is not made.
fn too_many_new(per_hour: u32, wait: Duration) -> Taken {
    let minutes = wait.as_secs().div_ceil(60);
    Taken::ReadOnly(
        format!("One user makes at most {per_hour} rooms within an hour: come back in {minutes} minutes").into(),
    )
}

/// The close code of who cannot come back to this room (contract 03 §3.4).
pub(super) const CLOSED: u16 = 4404;

/// Why a room takes nobody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving {
    /// It is forgotten: have it loaded anew.
    Gone,
    /// It is being deleted: come back later.
    Closing,
}

/// Whether a room can be unloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Idle {
    /// It is in use.
    No,
    /// It could be, once its log is in a snapshot.
    Uncompacted,
    /// It can be.
    Yes,
}

impl State {
    fn peers(&self, number: u64) -> Vec<Arc<str>> {
        let others = self.members.iter().filter(|(other, member)| **other != number && member.speaks_json);
        others.map(|(_, member)| Arc::clone(&member.connection_id)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_that_is_being_deleted_stays_closed_whatever_goes_wrong_meanwhile() {
        assert!(Phase::Closing.given_up() == Phase::Closing);
        for phase in [Phase::Loading, Phase::Open, Phase::Gone] {
            assert!(phase.given_up() == Phase::Gone);
        }
    }

    #[test]
    fn a_snapshot_is_due_when_the_log_is_worth_it() {
        let is_due = |rows, bytes, snapshot_bytes| Log { rows, bytes, snapshot_bytes }.is_due();
        for (rows, bytes, snapshot_bytes, due) in [
            (499, 10_000, 0, false),
            (500, 10_000, 0, true),
            (500, 10_000, 64_000, true),
            // Of 3.3 MB a snapshot for five hundred letters would be two hundred times what they take.
            (500, 10_000, 3_300_000, false),
            (25_781, 900_000, 3_300_000, true),
            (1, LOG_MAX_BYTES, 16_000_000, true),
            (1, LOG_MIN_BYTES, LOG_MIN_BYTES / 2, true),
            (1, LOG_MIN_BYTES - 1, 0, false),
        ] {
            assert_eq!(is_due(rows, bytes, snapshot_bytes), due, "{rows} {bytes} {snapshot_bytes}");
        }
    }
}
