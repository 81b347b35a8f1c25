//! What was read of a list that has no order (contract 04 §1.7): the original gives pages as its database finds them. Pure.

use std::collections::HashSet;

use serde_json::Value;

/// Records of one module that are told apart.
pub(in crate::modules) const RECORDS_MAX: usize = 1_000_000;
/// How often a list is read where a record came twice, so that another one may have been passed over.
const PASSES_MAX: u32 = 5;

/// A list that is being read.
#[derive(Debug, Default)]
pub(super) struct Listing {
    seen: HashSet<i64>,
    /// Records so far, in this pass and the place where the next page begins.
    skip: u64,
    /// Whether one came twice within this pass.
    is_twice: bool,
    of_this_pass: HashSet<i64>,
    passes: u32,
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Read the page that begins behind so many records.
    Page(u64),
    /// All of it was seen.
    Done,
    /// One came twice each time, so that nobody knows.
    Unsure,
}

impl Listing {
    /// Takes a page, and gives those of its records that were not seen before; one without an id is always new.
    ///
    /// # Errors
    /// When there are more than are told apart.
    pub(super) fn take(&mut self, page: Vec<Value>) -> Result<Vec<Value>, String> {
        self.skip += page.len() as u64;
        let mut new = Vec::new();
        for record in page {
            let id = record.get("id").and_then(Value::as_i64);
            let Some(id) = id else {
                // It is refused by whoever takes it, once.
                if self.passes == 0 {
                    new.push(record);
                }
                continue;
            };
            self.is_twice |= !self.of_this_pass.insert(id);
            if self.seen.insert(id) {
                new.push(record);
            }
        }
        if self.seen.len() > RECORDS_MAX {
            return Err(format!("it has more than {RECORDS_MAX} records"));
        }
        Ok(new)
    }

    /// What is next, after a page of so many records.
    pub(super) fn next(&mut self, of_page: usize) -> Next {
        if of_page > 0 {
            return Next::Page(self.skip);
        }
        self.passes += 1;
        let is_twice = std::mem::take(&mut self.is_twice);
        self.of_this_pass.clear();
        self.skip = 0;
        match is_twice {
            false => Next::Done,
            true if self.passes < PASSES_MAX => Next::Page(0),
            true => Next::Unsure,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn page(ids: &[i64]) -> Vec<Value> {
        ids.iter().map(|id| json!({ "id": id })).collect()
    }

    #[test]
    fn a_list_in_order_is_read_once() {
        let mut list = Listing::default();
        assert_eq!(list.take(page(&[1, 2])).unwrap(), page(&[1, 2]));
        assert_eq!(list.next(2), Next::Page(2));
        assert_eq!(list.take(vec![json!({ "title": "T" })]).unwrap().len(), 1);
        assert_eq!(list.next(1), Next::Page(3));
        assert_eq!(list.next(0), Next::Done);
    }

    #[test]
    fn where_a_record_came_twice_another_is_looked_for() {
        let mut list = Listing::default();
        let mut new = Vec::new();
        for pages in [[&[1, 2][..], &[2, 3], &[]], [&[4, 1], &[3, 2], &[]]] {
            for ids in pages {
                new.extend(list.take(page(ids)).unwrap());
                let next = list.next(ids.len());
                if ids.is_empty() {
                    assert_eq!(next, if new.len() == 3 { Next::Page(0) } else { Next::Done });
                }
            }
        }
        assert_eq!(new, page(&[1, 2, 3, 4]), "each once");
    }

    #[test]
    fn a_list_that_never_holds_still_is_given_up() {
        let mut list = Listing::default();
        for pass in 1..=PASSES_MAX {
            list.take(page(&[1, 1])).unwrap();
            assert_eq!(list.next(2), Next::Page(2));
            assert_eq!(list.next(0), if pass < PASSES_MAX { Next::Page(0) } else { Next::Unsure });
        }
    }

    #[test]
    fn so_many_records_are_told_apart() {
        let mut list = Listing::default();
        let ids: Vec<i64> = (0..RECORDS_MAX as i64).collect();
        assert!(list.take(page(&ids)).is_ok());
        assert!(list.take(page(&[-1])).unwrap_err().contains("more than 1000000"));
    }
}
