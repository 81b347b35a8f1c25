//! All segments and passes of a draft, read page by page: for what is made of all of them, and holds none of them.

use super::model::Head;
use super::store::{self, Pass, Segment};
use crate::store::{Error, Reader};

/// Segments, and as many passes, that are read at once: some milliseconds of a shard.
pub(super) const STEP_ROWS: i64 = 500;

/// What is come upon.
#[derive(Debug)]
pub(super) enum Found<'r> {
    /// The next segment.
    Segment(Segment<'r>),
    /// The next pass.
    Pass(Pass<'r>),
}

/// How far it was read.
#[derive(Debug)]
pub(super) struct Walk {
    /// The draft as it was in the beginning: what comes later is left for the next time.
    pub(super) head: Head,
    segments: i64,
    passes: i64,
    last_pass_row: i64,
}

impl Walk {
    /// Through the draft with this head.
    pub(super) fn new(head: Head) -> Self {
        Self { head, segments: 0, passes: 0, last_pass_row: 0 }
    }

    /// Hands over the next segments and the next passes, each in their order; false when those were all.
    ///
    /// # Errors
    /// When the store fails, or has not what the head counts.
    pub(super) fn step(&mut self, reader: &Reader, mut each: impl FnMut(Found<'_>)) -> Result<bool, Error> {
        self.segments(reader, STEP_ROWS, |segment| each(Found::Segment(segment)))?;
        self.passes(reader, |pass| each(Found::Pass(pass)))?;
        Ok(self.segments < self.head.segments || self.passes < self.head.passes)
    }

    /// Hands over the next segments alone; false when those were all.
    ///
    /// # Errors
    /// As above.
    pub(super) fn segments(
        &mut self,
        reader: &Reader,
        rows: i64,
        mut each: impl FnMut(Segment<'_>),
    ) -> Result<bool, Error> {
        let (from, to) = (self.segments, self.head.segments.min(self.segments + rows));
        if from < to {
            store::segments(reader, self.head.row, from, to, |found| {
                self.segments += 1;
                each(found);
            })?;
            agree("segments", self.segments, to)?;
        }
        Ok(self.segments < self.head.segments)
    }

    fn passes(&mut self, reader: &Reader, mut each: impl FnMut(Pass<'_>)) -> Result<(), Error> {
        let missing = (self.head.passes - self.passes).min(STEP_ROWS);
        if missing <= 0 {
            return Ok(());
        }
        let (to, after) = (self.passes + missing, self.last_pass_row);
        store::whole_passes(reader, self.head.row, after, missing, |found| {
            self.passes += 1;
            self.last_pass_row = found.row;
            each(found);
        })?;
        agree("passes", self.passes, to)
    }
}

/// Fails when not all are there that were counted.
fn agree(what: &str, found: i64, expected: i64) -> Result<(), Error> {
    if found == expected {
        Ok(())
    } else {
        Err(Error::Damaged(format!("{found} {what} are there, and not {expected}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_the_head_counts_comes_once_and_in_order() {
        let reader = Reader::in_memory(crate::drafts::MIGRATIONS);
        let (segments, passes) = (STEP_ROWS + 3, 2 * STEP_ROWS);
        reader.batch(&format!(
            "INSERT INTO drafts (draft_id, creator_id, title, platform, holder_id, segment_count, pass_count, passed_at, \
             created_at, updated_at) VALUES ('d', 'a', 't', 'x', 'a', {segments}, {passes}, 0, 0, 0); \
             WITH RECURSIVE n (at) AS (SELECT 0 UNION ALL SELECT at + 1 FROM n WHERE at < {segments}) \
             INSERT INTO draft_segments (draft, segment_order, segment_id, user_id, content, created_at) \
             SELECT 1, at, 's' || at, 'u', 'c', at FROM n; \
             WITH RECURSIVE n (at) AS (SELECT 0 UNION ALL SELECT at + 1 FROM n WHERE at < {passes}) \
             INSERT INTO ring_passes (draft, from_user, to_user, passed_at) SELECT 1, 'a', 'p' || at, at FROM n"
        ));
        let head = store::head(&reader, "d").unwrap().unwrap();
        let mut walk = Walk::new(head.clone());
        let (mut orders, mut times, mut steps) = (Vec::new(), Vec::new(), 0);
        let mut take = |found: Found<'_>| match found {
            Found::Segment(segment) => orders.push(segment.order),
            Found::Pass(pass) => times.push(pass.passed_at.0),
        };
        while walk.step(&reader, &mut take).unwrap() {
            steps += 1;
        }
        assert_eq!(orders, (0..segments).collect::<Vec<_>>(), "one more row was added meanwhile");
        assert_eq!(times, (0..passes).collect::<Vec<_>>());
        assert_eq!(steps, 1);
        let mut damaged = Walk::new(Head { segments: segments + 9, ..head });
        let step = |walk: &mut Walk| walk.step(&reader, |_| {});
        assert!(step(&mut damaged).unwrap());
        assert!(step(&mut damaged).unwrap_err().is_damage());
    }
}
