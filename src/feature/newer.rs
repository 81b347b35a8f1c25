//! What is lost when a backup takes the place of a database.

use crate::store::{Error, Reader};

/// Of each kind of thing so many are named; the rest is counted.
pub(crate) const LOSSES_NAMED_MAX: usize = 20;

/// Compares a database with a backup of it.
pub type Compare = fn(&Reader, &Reader) -> Result<Newer, Error>;

/// What a database has and its backup has not.
#[derive(Debug, PartialEq, Eq)]
pub struct Newer {
    /// What it is, in the plural.
    pub what: &'static str,
    /// What changes of it are called, in the plural.
    changes: &'static str,
    /// The first of them, each in a line that says how far it is ahead.
    pub lines: Vec<String>,
    /// How many more there are.
    pub more: u64,
}

impl Newer {
    /// Nothing so far, of such things with such changes, both in the plural.
    #[must_use]
    pub fn of(what: &'static str, changes: &'static str) -> Self {
        Self { what, changes, lines: Vec::new(), more: 0 }
    }

    /// Takes down one that has had so many changes, and in the backup as many as it knows of, if it is there.
    pub fn compare(&mut self, name: &str, changes: i64, in_backup: Option<i64>) {
        if in_backup.is_some_and(|known| known >= changes) {
            return;
        }
        if self.lines.len() == LOSSES_NAMED_MAX {
            self.more += 1;
            return;
        }
        let there = in_backup.map_or("not in the backup".to_owned(), |known| format!("{known} in the backup"));
        self.lines.push(format!("{name}  {changes} {}, {there}", self.changes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_newer_is_named_up_to_a_number_and_counted_beyond() {
        let mut newer = Newer::of("drafts", "events");
        newer.compare("same", 2, Some(2));
        newer.compare("older", 2, Some(3));
        assert_eq!(newer, Newer::of("drafts", "events"));
        newer.compare("ahead", 3, Some(2));
        (0..LOSSES_NAMED_MAX + 2).for_each(|_| newer.compare("new", 1, None));
        assert_eq!((newer.lines.len(), newer.more), (LOSSES_NAMED_MAX, 3));
        assert_eq!(newer.lines[..2], ["ahead  3 events, 2 in the backup", "new  1 events, not in the backup"]);
    }
}
