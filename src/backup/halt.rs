//! Reading what is large, until the word comes to stop.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use crate::store::{Error, Interrupter, Reader};
use crate::text::hex;

/// Bytes read at once of a file.
pub(super) const CHUNK_BYTES: usize = 256 * 1024;

/// The word to stop, for work that takes long.
#[derive(Default)]
pub(super) struct Halt {
    asked: AtomicBool,
    check: Mutex<Option<Interrupter>>,
}

impl Halt {
    /// From now on nothing is carried on with.
    pub(super) fn ask(&self) {
        self.asked.store(true, Ordering::SeqCst);
        if let Some(check) = &*self.check.lock() {
            check.interrupt();
        }
    }

    pub(super) fn asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Reads something through a connection; interrupted when the word comes.
    pub(super) fn reading<T>(&self, reader: &Reader, read: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        *self.check.lock() = Some(reader.interrupter());
        // A stop that came a moment ago found nothing to interrupt.
        let result = if self.asked() { Err(Error::Other("interrupted".to_owned())) } else { read() };
        *self.check.lock() = None;
        result
    }
}

/// Length and SHA-256 of what is left to read; nothing when told to halt.
pub(super) fn checksum(from: &mut dyn Read, halt: &Halt) -> io::Result<Option<(u64, String)>> {
    let mut digest = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut bytes = 0;
    loop {
        match from.read(&mut chunk)? {
            0 => return Ok(Some((bytes, hex(&digest.finalize())))),
            count => {
                bytes += count as u64;
                digest.update(&chunk[..count]);
            }
        }
        if halt.asked() {
            return Ok(None);
        }
    }
}
