//! Follows the chain from its anchor to its head and says where it breaks first.
//!
//! What a whole chain proves: between the anchor and the head nothing was changed, removed, added or moved after it was
//! written, *if* the head is the one that is known from elsewhere. A program that can rewrite the file can also rewrite
//! the chain, or cut off its end.

use super::chain::{Content, Link, hash};
use super::mark::{Gaps, Mark, RowPlace};
use super::store;
use crate::store::{Error, Reader, Row};
use crate::text::hex;

/// What was found.
#[derive(Debug)]
pub struct Report {
    /// Rows up to the end, or to the first that is wrong.
    pub rows: u64,
    /// Id and time of the first and the last of them.
    pub ends: Option<(RowPlace, RowPlace)>,
    /// What the first row follows.
    pub anchor: Link,
    /// The end of the chain, as far as it holds.
    pub head: Link,
    /// Where it says that not every change was recorded.
    pub gaps: Gaps,
    /// Where it breaks first.
    pub fault: Option<ChainFault>,
}

/// Why the chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// Rows are gone.
    #[error("{} missing: row {before} is the next one", rows(*.first, *.last))]
    Missing {
        /// The first that is gone.
        first: i64,
        /// The last that is gone.
        last: i64,
        /// The one behind them.
        before: i64,
    },
    /// There is a row where the log says that all were removed.
    #[error(
        "row {id} comes before the anchor, which says that all rows up to {anchor} were removed: the anchor was \
         altered, or the row was added"
    )]
    BeforeAnchor {
        /// The row.
        id: i64,
        /// The last row that was removed.
        anchor: i64,
    },
    /// A row is not what it was when it was written.
    #[error("row {id} was altered: its content does not match its hash")]
    Altered {
        /// The row.
        id: i64,
    },
    /// A row stands in place of another.
    #[error("row {id} is out of order: it was written right after what is now row {after}")]
    Moved {
        /// Where it stands.
        id: i64,
        /// What it was written after.
        after: i64,
    },
    /// A row is sound in itself but does not belong behind the one before it.
    #[error("row {id} does not follow {}: one of the two was replaced, with a new hash", previous(*.after))]
    Unlinked {
        /// The row.
        id: i64,
        /// The one before it.
        after: i64,
    },
    /// A head that was noted earlier is not there.
    #[error(
        "no row has the hash {hash}: rows were cut off at the end, or the chain was rewritten after it was noted; or \
         that row was removed by retention"
    )]
    Unknown {
        /// What was asked for.
        hash: String,
    },
}

fn rows(first: i64, last: i64) -> String {
    if first == last { format!("row {first} is") } else { format!("rows {first} to {last} are") }
}

fn previous(id: i64) -> String {
    if id == 0 { "the beginning of the log".to_owned() } else { format!("row {id}") }
}

/// Follows the chain. With `noted`, a hash that was once its head, that must be in it still.
pub fn verify(reader: &Reader, noted: Option<&[u8]>) -> Result<Report, Error> {
    // One view of everything, whatever is written meanwhile.
    reader.snapshot(|reader| follow(reader, noted))
}

fn follow(reader: &Reader, noted: Option<&[u8]>) -> Result<Report, Error> {
    let anchor = store::anchor(reader)?;
    let mut report = Report { rows: 0, ends: None, head: anchor.clone(), anchor, gaps: Gaps::default(), fault: None };
    let mut known = noted.is_none_or(|noted| noted == report.anchor.hash);
    let read = store::rows(reader, |row| {
        report.fault = fault(reader, &report, row)?;
        if report.fault.is_some() {
            return Err(Error::Other("the rest is not checked".to_owned()));
        }
        let place = (row.get(0)?, row.get(1)?);
        let (first, _) = report.ends.unwrap_or((place, place));
        report.ends = Some((first, place));
        report.gaps.see(place, Mark::of(place.1, row.bytes(4)?.unwrap_or_default(), row.bytes(6)?));
        report.rows += 1;
        report.head = Link { id: place.0, hash: row.bytes(10)?.unwrap_or_default().to_vec() };
        known = known || noted == Some(&report.head.hash);
        Ok(())
    });
    if report.fault.is_some() {
        return Ok(report);
    }
    read?;
    if !known {
        report.fault = Some(ChainFault::Unknown { hash: hex(noted.unwrap_or_default()) });
    }
    Ok(report)
}

/// What is wrong with the row that comes after everything reported so far.
fn fault(reader: &Reader, report: &Report, row: &Row<'_>) -> Result<Option<ChainFault>, Error> {
    let (id, before) = (row.get::<i64>(0)?, &report.head);
    if id <= report.anchor.id {
        return Ok(Some(ChainFault::BeforeAnchor { id, anchor: report.anchor.id }));
    }
    if id != before.id + 1 {
        return Ok(Some(ChainFault::Missing { first: before.id + 1, last: id - 1, before: id }));
    }
    let mut texts = [None; 7];
    for (at, text) in texts.iter_mut().enumerate() {
        *text = row.bytes(at + 2)?;
    }
    let content = Content { ts: row.get(1)?, texts };
    let prev_hash = row.bytes(9)?.unwrap_or_default();
    let is_sound = row.bytes(10)? == Some(&hash(id, &content, prev_hash));
    let is_linked = prev_hash == before.hash;
    Ok(match (is_sound, is_linked) {
        (true, true) => None,
        (true, false) => Some(ChainFault::Unlinked { id, after: before.id }),
        // Ids are hashed, so a row that was moved no longer comes to its hash; but it still names the one it followed.
        (false, false) => Some(match store::place_of(reader, prev_hash)? {
            Some(after) if after != id => ChainFault::Moved { id, after },
            _ => ChainFault::Altered { id },
        }),
        (false, true) => Some(ChainFault::Altered { id }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::store::Query as _;

    /// A log of so many rows, none of it removed.
    fn log(rows: i64) -> Reader {
        let reader = Reader::in_memory(crate::audit::MIGRATIONS);
        append(&reader, 1..=rows);
        reader
    }

    fn append(reader: &Reader, rows: std::ops::RangeInclusive<i64>) {
        for row in rows {
            let (ts, user) = (row * 1000, format!("user-{row}"));
            let texts = [Some("r"), Some(&user), Some("collab.append_segment"), Some("d"), None, Some("::1"), None];
            let content = Content { ts, texts: texts.map(|text| text.map(str::as_bytes)) };
            reader.write(|tx| store::append(tx, &content)).unwrap();
        }
    }

    fn after(rows: i64, tampering: &str) -> (u64, Option<ChainFault>) {
        let reader = log(rows);
        reader.batch(tampering);
        let report = verify(&reader, None).unwrap();
        (report.rows, report.fault)
    }

    #[test]
    fn a_whole_chain_is_counted_from_end_to_end() {
        let report = verify(&log(0), None).unwrap();
        assert_eq!((report.rows, report.ends, report.fault), (0, None, None));
        assert_eq!((&report.head, &report.anchor), (&Link::beginning(), &Link::beginning()));
        let reader = log(9);
        let report = verify(&reader, None).unwrap();
        assert_eq!((report.rows, report.fault, report.head), (9, None, store::head(&reader).unwrap()));
        assert_eq!(report.ends, Some(((1, Timestamp(1000)), (9, Timestamp(9000)))));
    }

    #[test]
    fn every_column_that_is_altered_is_found() {
        for (column, value) in [
            ("ts", "ts + 1"),
            ("request_id", "'x'"),
            ("request_id", "NULL"),
            ("user_id", "'mallory'"),
            ("action", "'x'"),
            ("draft_id", "''"),
            ("metadata", "''"),
            ("ip", "'::2'"),
            ("user_agent", "'x'"),
            ("user_id", "CAST(x'ff' AS TEXT)"),
            ("prev_hash", "zeroblob(32)"),
            ("prev_hash", "x''"),
            ("hash", "zeroblob(32)"),
            ("hash", "x''"),
        ] {
            for id in [1, 5, 9] {
                if (column, id) == ("prev_hash", 1) && value.starts_with("zero") {
                    continue;
                }
                let found = after(9, &format!("UPDATE audit_events SET {column} = {value} WHERE id = {id}"));
                assert_eq!(found, (id - 1, Some(ChainFault::Altered { id: id as i64 })), "{column} = {value}");
            }
        }
    }

    #[test]
    fn rows_that_are_missing_are_named() {
        let missing = |first, last, before| Some(ChainFault::Missing { first, last, before });
        assert_eq!(after(9, "DELETE FROM audit_events WHERE id = 5"), (4, missing(5, 5, 6)));
        assert_eq!(after(9, "DELETE FROM audit_events WHERE id BETWEEN 3 AND 6"), (2, missing(3, 6, 7)));
        assert_eq!(after(9, "DELETE FROM audit_events WHERE id <= 2"), (0, missing(1, 2, 3)));
        let closed_up = "DELETE FROM audit_events WHERE id = 5; UPDATE audit_events SET id = id - 1 WHERE id > 5";
        assert_eq!(after(9, closed_up), (4, Some(ChainFault::Altered { id: 5 })));
        let says = missing(3, 6, 7).unwrap().to_string();
        assert_eq!(says, "rows 3 to 6 are missing: row 7 is the next one");
    }

    #[test]
    fn rows_that_changed_places_are_named() {
        let swap = "UPDATE audit_events SET id = 100 WHERE id = 3; UPDATE audit_events SET id = 3 WHERE id = 4; \
                    UPDATE audit_events SET id = 4 WHERE id = 100";
        // What stands third now was written after what stands fourth.
        assert_eq!(after(9, swap), (2, Some(ChainFault::Moved { id: 3, after: 4 })));
        let far = swap.replace("= 4", "= 8");
        assert_eq!(after(9, &far), (2, Some(ChainFault::Moved { id: 3, after: 7 })));
    }

    #[test]
    fn a_row_with_a_new_hash_no_longer_carries_the_next() {
        for tampered in [2, 9] {
            let reader = log(9);
            let kept = "SELECT ts, prev_hash FROM audit_events WHERE id = ?1";
            let found = reader.one(kept, &[tampered.into()], |row| Ok((row.get(0)?, row.get(1)?)));
            let (ts, prev): (i64, Vec<u8>) = found.unwrap().unwrap();
            let texts = ["r", "mallory", "collab.append_segment", "d", "", "::1", ""].map(str::as_bytes);
            let [r, user, action, d, _, ip, _] = texts.map(Some);
            let forged = hash(tampered, &Content { ts, texts: [r, user, action, d, None, ip, None] }, &prev);
            let update = "UPDATE audit_events SET user_id = 'mallory', hash = ?2 WHERE id = ?1";
            reader.write(|tx| tx.run(update, &[tampered.into(), (&forged).into()])).unwrap();
            let fault = verify(&reader, None).unwrap().fault;
            if tampered == 2 {
                assert_eq!(fault, Some(ChainFault::Unlinked { id: 3, after: 2 }));
            } else {
                assert_eq!(fault, None, "only a head that was noted shows it");
            }
        }
    }

    #[test]
    fn an_end_cut_off_is_seen_by_who_noted_the_head() {
        let reader = log(9);
        let noted = store::head(&reader).unwrap().hash;
        append(&reader, 10..=12);
        let found = |noted: &[u8]| verify(&reader, Some(noted)).unwrap().fault;
        assert_eq!((found(&noted), found(&[0; 32])), (None, None), "the beginning is always there");
        reader.batch("DELETE FROM audit_events WHERE id > 8");
        assert_eq!(verify(&reader, None).unwrap().fault, None);
        assert_eq!(found(&noted), Some(ChainFault::Unknown { hash: hex(&noted) }));
    }

    #[test]
    fn an_anchor_that_does_not_fit_is_found() {
        let anchor = |id: i64, hash: &str| {
            format!("INSERT INTO audit_anchor SELECT 1, {id}, {hash} FROM audit_events WHERE id = {id}")
        };
        let cut = |at: i64| format!("{}; DELETE FROM audit_events WHERE id <= {at}", anchor(at, "hash"));
        assert_eq!(after(9, &cut(4)), (5, None));
        assert_eq!(after(9, &cut(9)), (0, None));
        assert_eq!(after(9, &anchor(4, "hash")), (0, Some(ChainFault::BeforeAnchor { id: 1, anchor: 4 })));
        let wrong = cut(4).replace(", hash FROM", ", zeroblob(32) FROM");
        assert_eq!(after(9, &wrong), (0, Some(ChainFault::Unlinked { id: 5, after: 4 })));
        let gone = format!("{}; DELETE FROM audit_anchor", cut(4));
        assert_eq!(after(9, &gone), (0, Some(ChainFault::Missing { first: 1, last: 4, before: 5 })));
    }
}
