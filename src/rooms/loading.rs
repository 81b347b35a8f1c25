//! How a room gets into memory: on the desk, while its sockets wait.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::desk::Desk;
use super::live::Room;
use super::{load, saving};
use crate::net::socket::code;

/// Has the desk load a room. False if too much waits.
pub(super) fn ask(room: &Arc<Room>) -> bool {
    let loaded = Arc::clone(room);
    room.shared().errands.run(move |desk| load_now(desk, &loaded))
}

/// Loads a room. If that fails its sockets are closed: nobody is shown an empty room in its place.
pub(super) fn load_now(desk: &Desk, room: &Arc<Room>) {
    let (clock, counters) = (&room.shared().house.clock, &room.shared().counters);
    let began = clock.instant();
    // Stored bytes are checked like everyone else's; should one of them find a fault of ours, the room is closed and not the
    // server.
    let loaded = desk.reader().map(|reader| catch_unwind(AssertUnwindSafe(|| load::load(reader, room.name.as_str()))));
    let problem = match loaded {
        Some(Ok(Ok(loaded))) => {
            counters.load_seconds.observe((clock.instant() - began).as_secs_f64());
            if let (Some(row), Some(reason)) = (loaded.row, &loaded.quarantine) {
                saving::quarantine(room, row, reason);
            }
            return room.loaded(loaded);
        }
        Some(Ok(Err(error))) => error.to_string(),
        Some(Err(_)) => "loading it panicked".to_owned(),
        None => "the database could not be opened".to_owned(),
    };
    log::error!(room = room.name.as_str(), error = problem; "room.not_loaded");
    room.give_up(code::INTERNAL, "The room could not be loaded");
}
