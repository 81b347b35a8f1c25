//! Why the database takes no changes, for all threads to see.
//!
//! [Decision 0009](../../docs/decisions/0009-storage-faults.md) has the table.

use std::sync::atomic::{AtomicU8, Ordering};

/// Why the database takes no changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Fault {
    /// The disk, or what we may use of it, is full.
    Full = 1,
    /// Reading or writing failed.
    Io,
    /// It may not be written to.
    NotWritable,
    /// A file of it cannot be opened.
    NotOpened,
    /// It is no longer a sound database.
    Damaged,
    /// Its files are no longer where they were opened.
    Displaced,
}

impl Fault {
    const ALL: [Self; 6] = [Self::Full, Self::Io, Self::NotWritable, Self::NotOpened, Self::Damaged, Self::Displaced];

    /// In words, for probers and the log.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Full => "the disk is full",
            Self::Io => "reading or writing its files fails",
            Self::NotWritable => "its files may not be written to",
            Self::NotOpened => "one of its files cannot be opened",
            Self::Damaged => "its file is damaged",
            Self::Displaced => "its files were moved, removed or replaced",
        }
    }
}

/// The fault in force, if there is one. All threads read it; the writer alone sets it.
#[derive(Debug, Default)]
pub(super) struct AtomicFault(AtomicU8);

impl AtomicFault {
    pub(super) fn get(&self) -> Option<Fault> {
        let number = self.0.load(Ordering::Acquire);
        Fault::ALL.into_iter().find(|fault| *fault as u8 == number)
    }

    pub(super) fn set(&self, fault: Option<Fault>) {
        self.0.store(fault.map_or(0, |fault| fault as u8), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_atomic_fault_is_what_it_was_set_to() {
        let atomic = AtomicFault::default();
        assert_eq!(atomic.get(), None);
        for fault in Fault::ALL {
            atomic.set(Some(fault));
            assert_eq!(atomic.get(), Some(fault));
        }
        atomic.set(None);
        assert_eq!(atomic.get(), None);
    }
}
