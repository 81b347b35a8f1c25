//! The rooms in memory, by name.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use super::counters::Figures;
use super::live::{Idle, Leaving, Room, Seen};
use super::name::RoomName;
use super::options::LOADED_MAX_ROOMS;
use super::shared::Shared;
use super::{compaction, loading, saving};
use crate::hub::SocketAddress;

/// The rooms in memory. Its lock is held for a look and is taken before that of a room, never after it.
pub(super) struct Registry {
    shared: Arc<Shared>,
    rooms: Mutex<HashMap<RoomName, Arc<Room>>>,
    /// The number of the last socket.
    sockets: AtomicU64,
    /// Whether nothing could be stored when the rooms were last looked after.
    faulted: AtomicBool,
}

/// A socket's place in a room.
pub(super) struct Joined {
    pub(super) room: Arc<Room>,
    pub(super) number: u64,
    pub(super) is_loaded: bool,
}

/// Why a socket gets no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRoom {
    /// It is being deleted.
    Closing,
    /// [`LOADED_MAX_ROOMS`] are in memory.
    TooMany,
    /// Too many wait to be loaded.
    Busy,
}

impl Registry {
    /// None yet.
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            rooms: Mutex::default(),
            sockets: AtomicU64::new(0),
            faulted: AtomicBool::new(false),
        }
    }

    /// Takes a socket into a room, which is loaded if it is not here.
    ///
    /// # Errors
    /// It has to come back later.
    pub(super) fn join(
        &self,
        name: &RoomName,
        address: &SocketAddress,
        connection_id: &Arc<str>,
    ) -> Result<Joined, NoRoom> {
        let number = self.sockets.fetch_add(1, Ordering::Relaxed);
        let ((room, is_loaded), is_new) = self.find_or_make(name, |room| {
            room.join(number, address.clone(), Arc::clone(connection_id)).map(|is_loaded| (room, is_loaded))
        })?;
        if is_new && !loading::ask(&room) {
            self.forget(&room);
            return Err(NoRoom::Busy);
        }
        Ok(Joined { room, number, is_loaded })
    }

    /// The room of this name, and whether it is new and has to be loaded.
    ///
    /// # Errors
    /// As [`Registry::join`].
    pub(super) fn open(&self, name: &RoomName) -> Result<(Arc<Room>, bool), NoRoom> {
        self.find_or_make(name, Ok)
    }

    fn find_or_make<T>(
        &self,
        name: &RoomName,
        enter: impl Fn(Arc<Room>) -> Result<T, Leaving>,
    ) -> Result<(T, bool), NoRoom> {
        let mut rooms = self.rooms.lock();
        if let Some(room) = rooms.get(name).filter(|room| !room.is_gone()) {
            match enter(Arc::clone(room)) {
                Ok(entered) => return Ok((entered, false)),
                Err(Leaving::Closing) => return Err(NoRoom::Closing),
                // It was given up between the two looks.
                Err(Leaving::Gone) => {}
            }
        }
        if rooms.len() >= LOADED_MAX_ROOMS {
            return Err(NoRoom::TooMany);
        }
        let room = Room::new(name.clone(), &self.shared);
        rooms.insert(name.clone(), Arc::clone(&room));
        // A new one takes in whoever comes.
        enter(room).map(|entered| (entered, true)).map_err(|_| NoRoom::Closing)
    }

    /// The room of this name, if it is in memory.
    pub(super) fn find(&self, name: &RoomName) -> Option<Arc<Room>> {
        self.rooms.lock().get(name).cloned()
    }

    /// Forgets this room, unless another has its name by now.
    pub(super) fn forget(&self, room: &Arc<Room>) {
        let mut rooms = self.rooms.lock();
        if rooms.get(&room.name).is_some_and(|known| Arc::ptr_eq(known, room)) {
            rooms.remove(&room.name);
        }
    }

    /// Takes the presence of who has left from the others, forgets rooms that were given up, and unloads those that nobody uses.
    /// Whether there are any rooms.
    pub(super) fn look_after(&self) -> bool {
        let now = self.shared.house.clock.instant();
        let faulted = self.shared.house.writer.view().read_only().is_some();
        let is_mended = self.faulted.swap(faulted, Ordering::Relaxed) && !faulted;
        for room in self.all() {
            if is_mended {
                room.ask_all();
            }
            if room.is_gone() {
                self.forget(&room);
                continue;
            }
            room.sweep(now);
            match room.is_idle(now) {
                Idle::No => {}
                Idle::Uncompacted => compaction::compact(&room),
                Idle::Yes => self.unload(&room, now),
            }
        }
        self.len() > 0
    }

    fn unload(&self, room: &Arc<Room>, now: Instant) {
        let mut rooms = self.rooms.lock();
        let Some(row) = room.retire(now) else { return };
        if rooms.get(&room.name).is_some_and(|known| Arc::ptr_eq(known, room)) {
            rooms.remove(&room.name);
        }
        drop(rooms);
        self.shared.counters.unloaded.inc();
        if let Some(row) = row {
            saving::touch(&self.shared.house.writer, row);
        }
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Arc<Room>> {
        self.rooms.lock().values().cloned().collect()
    }

    /// How they look from outside, by name.
    pub(super) fn seen(&self) -> Vec<Seen> {
        let mut seen: Vec<Seen> = self.all().iter().map(|room| room.seen()).collect();
        seen.sort_by(|one, other| one.name.as_str().cmp(other.name.as_str()));
        seen
    }

    /// All of them together.
    pub(super) fn figures(&self) -> Figures {
        let mut figures = Figures::default();
        for seen in self.all().iter().map(|room| room.seen()) {
            figures.rooms += 1;
            figures.memory += seen.memory;
            figures.read_only += usize::from(seen.read_only.is_some());
            figures.sockets += seen.sockets;
            figures.json_sockets += seen.json_sockets;
        }
        figures
    }

    /// Forgets all of them, at the stop.
    pub(super) fn clear(&self) {
        for (_, room) in self.rooms.lock().drain() {
            if let Some(row) = room.uncounted() {
                saving::touch(&self.shared.house.writer, row);
            }
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.rooms.lock().len()
    }
}
