//! The shelf of a server that runs, and what becomes of files whose record is not made.

use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::options::{self, GALLERY_KEEP_LOCATION, GALLERY_MAX_BYTES};
use super::claims::is_claimed;
use super::orphans;
use super::shelf::{Held, Name, Part, Removal, Shelf};
use crate::feature::{House, StartError};
use crate::housekeeper::Task;
use crate::pool::PoolHandle;
use crate::settings::Settings;
use crate::store::{Reader, Readers};

/// The gallery of a server.
pub(in crate::modules) struct Gallery {
    pub(super) shelf: Arc<Shelf>,
    /// What a file may have, in bytes.
    pub(super) most: u64,
    with_location: bool,
    readers: Readers,
    pool: PoolHandle,
}

impl Gallery {
    /// Opens the shelf; what is left there of uploads that did not end is removed.
    pub(in crate::modules) fn open(settings: &Settings, house: &House) -> Result<Arc<Self>, StartError> {
        let directory = options::gallery_directory(settings);
        let shelf = Shelf::open(&directory).map_err(|error| not_opened(&directory, &error))?;
        Ok(Arc::new(Self {
            shelf: Arc::new(shelf),
            most: settings.count(&GALLERY_MAX_BYTES) as u64,
            with_location: settings.flag(&GALLERY_KEEP_LOCATION),
            readers: house.readers.clone(),
            pool: house.pool.clone(),
        }))
    }

    /// What the housekeeper does for it.
    pub(in crate::modules) fn task(&self, house: &House, reader: &Rc<Reader>) -> Task {
        orphans::task(&self.shelf, &house.timekeeper, reader)
    }

    /// The part of an upload that is served as a whole. Blocks.
    pub(super) fn served(&self, name: &Name) -> Part {
        let has_clean = !self.with_location && self.shelf.path(name, Part::Clean).exists();
        if has_clean { Part::Clean } else { Part::Original }
    }

    /// An upload until its record is there.
    pub(super) fn awaiting(self: &Arc<Self>, held: Held) -> Arc<Awaiting> {
        Arc::new(Awaiting { gallery: Arc::clone(self), held: Some(held), is_recorded: AtomicBool::new(false) })
    }

    /// Has the pool remove a file if no record names it.
    pub(super) fn remove_soon(self: &Arc<Self>, name: Name) {
        let gallery = Arc::clone(self);
        let removal = move || {
            if let Err(error) = gallery.remove(&name) {
                log::warn!(error = error.to_string(); "gallery.removal_put_off");
            }
        };
        // Where the pool has no room for it, it is an orphan that goes with the others.
        drop(self.pool.submit(Box::new(removal)));
    }

    /// Removes a file if no record names it. Blocks.
    fn remove(&self, name: &Name) -> io::Result<Removal> {
        self.shelf.remove(name, || {
            let reader = self.readers.open().map_err(io::Error::other)?;
            is_claimed(&reader, name).map_err(io::Error::other)
        })
    }
}

fn not_opened(directory: &Path, error: &io::Error) -> String {
    let directory = directory.display();
    format!(
        "the files of the gallery cannot be kept in {directory}: {error}; set GALLERY_DIR to a directory that inkring may write to"
    )
}

/// An upload whose record is being made. Where that comes to nothing, the file goes: whoever lets go of this last, the pool looks
/// whether it is named, for a change in doubt may yet have come to pass.
pub(super) struct Awaiting {
    gallery: Arc<Gallery>,
    /// Until this goes.
    held: Option<Held>,
    is_recorded: AtomicBool,
}

impl Awaiting {
    /// The record is on disk.
    pub(super) fn recorded(&self) {
        self.is_recorded.store(true, Ordering::Relaxed);
    }
}

impl Drop for Awaiting {
    fn drop(&mut self) {
        let Some(held) = self.held.take() else { return };
        let (name, is_new) = (held.name, held.is_new);
        drop(held);
        if !is_new || *self.is_recorded.get_mut() {
            return;
        }
        self.gallery.remove_soon(name);
    }
}
