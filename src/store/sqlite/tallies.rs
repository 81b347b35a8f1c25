//! Rows of numbers that nearly every change of a feature counts in. Each is read once in a transaction and written once at its end,
//! however many changes share that: to write it with every change would cost each a statement and a copy of its page.

use super::connection::Connection;
use crate::store::error::Error;

/// Numbers of a row.
pub const TALLY_NUMBERS: usize = 4;

/// A table of such rows.
pub struct TallyTable {
    /// Gives the numbers of row ?1.
    pub read: &'static str,
    /// Writes row ?1 with the numbers ?2 to ?5, whether it is there or not.
    pub write: &'static str,
}

/// A row that is counted in.
#[derive(Clone, Copy)]
struct Tally {
    table: &'static TallyTable,
    row: i64,
    read: [i64; TALLY_NUMBERS],
    numbers: [i64; TALLY_NUMBERS],
}

/// The rows that the changes of one transaction count in.
#[derive(Default)]
pub(in crate::store) struct Tallies {
    now: Vec<Tally>,
    /// As they were before the change that is being made.
    before: Vec<Tally>,
}

impl Tallies {
    /// The numbers of a row, with what was counted before in this transaction; all 0 where there is no such row.
    pub(in crate::store) fn of(
        &mut self,
        connection: &Connection,
        table: &'static TallyTable,
        row: i64,
    ) -> Result<&mut [i64; TALLY_NUMBERS], Error> {
        let known = self.now.iter().position(|tally| tally.row == row && std::ptr::eq(tally.table, table));
        let index = match known {
            Some(index) => index,
            None => {
                let numbers = connection.one(table.read, &[row.into()], |row| {
                    let mut numbers = [0; TALLY_NUMBERS];
                    for (column, number) in numbers.iter_mut().enumerate() {
                        *number = row.get(column)?;
                    }
                    Ok(numbers)
                })?;
                let read = numbers.unwrap_or_default();
                self.now.push(Tally { table, row, read, numbers: read });
                self.now.len() - 1
            }
        };
        Ok(&mut self.now[index].numbers)
    }

    /// Another change begins.
    pub(in crate::store) fn begin_change(&mut self) {
        self.before.clone_from(&self.now);
    }

    /// What the last change has counted is not counted.
    pub(in crate::store) fn undo_change(&mut self) {
        self.now.clone_from(&self.before);
    }

    /// Writes what was counted.
    pub(in crate::store) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        for Tally { table, row, numbers: [first, second, third, fourth], .. } in self.now.iter().filter(is_changed) {
            connection.0.prepare_cached(table.write)?.execute([row, first, second, third, fourth])?;
        }
        Ok(())
    }

    /// The transaction is over.
    pub(in crate::store) fn clear(&mut self) {
        self.now.clear();
        self.before.clear();
    }
}

fn is_changed(tally: &&Tally) -> bool {
    tally.numbers != tally.read
}
