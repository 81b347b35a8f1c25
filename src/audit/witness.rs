//! What a feature sees of the audit log: whether to record, and how.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

use super::chain::{self, Content};
use super::entry::{self, Entry, TEXT_MAX_CHARS};
use super::waiting::{Row, Taken, Waiting};
use crate::observe::repeat::Sampler;
use crate::store::{Error, StoreError, Tx};
use crate::text::cut;

static FAILED: Sampler = Sampler::new();

/// What is counted since the start.
#[derive(Debug, Default)]
struct Counts {
    rows: AtomicU64,
    failures: AtomicU64,
}

/// The audit log when it is on. Cheap to clone; clones share the rows that wait.
#[derive(Debug, Clone)]
pub struct Audit {
    rate: f64,
    waiting: Arc<Waiting>,
    counts: Arc<Counts>,
}

impl Audit {
    /// One that records this part of the changes: 1 or more is all of them, 0 or less none.
    #[must_use]
    pub fn new(rate: f64) -> Self {
        Self { rate, waiting: Arc::default(), counts: Arc::default() }
    }

    /// Whoever is to record a change that is asked for from there. None when the dice say that it is not recorded.
    #[must_use]
    pub fn witness(&self, client: IpAddr, user_agent: Option<&[u8]>) -> Option<Witness> {
        if !is_sampled(self.rate, dice()) {
            return None;
        }
        let user_agent = user_agent.filter(|text| !text.is_empty());
        let user_agent = user_agent.map(|text| cut(&String::from_utf8_lossy(text), TEXT_MAX_CHARS).into_owned());
        Some(Witness { audit: self.clone(), ip: client.to_canonical().to_string(), user_agent })
    }

    /// Rows that could not be written yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.rows()
    }

    /// Rows that will never be written, since the start.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.waiting.lost()
    }

    /// Rows that are on disk, since the start.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.counts.rows.load(Ordering::Relaxed)
    }

    /// Attempts to write rows that failed, since the start.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.counts.failures.load(Ordering::Relaxed)
    }

    /// Once it is on disk, `rows` more are, and those that waited no longer do.
    fn settle(&self, tx: &mut Tx<'_>, rows: usize, taken: Option<Taken>) {
        let counts = Arc::clone(&self.counts);
        tx.after_commit(move || {
            // A usize has never more than 64 bits.
            counts.rows.fetch_add(rows as u64, Ordering::Relaxed);
            if let Some(taken) = taken {
                taken.done();
            }
        });
    }

    /// Writes what waits, if that is possible now. Returns how many rows it was.
    ///
    /// # Errors
    /// When the transaction is lost.
    pub fn flush(&self, tx: &mut Tx<'_>) -> Result<usize, Error> {
        if self.waiting() == 0 || self.waiting.is_barred() {
            return Ok(0);
        }
        let flushed = tx.savepoint(|tx| self.write_waiting(tx))?;
        Ok(match flushed {
            Ok(Some(taken)) => {
                let rows = taken.rows();
                self.settle(tx, rows, Some(taken));
                rows
            }
            Ok(None) => 0,
            Err(error) => {
                self.complain(&error, "");
                self.check_damage(&error)?;
                0
            }
        })
    }

    fn write_waiting(&self, tx: &mut Tx<'_>) -> Result<Option<Taken>, Error> {
        self.waiting.take(|rows| chain::append(tx, rows))
    }

    /// Writes what waits and then this row, or neither.
    fn write(&self, tx: &mut Tx<'_>, content: &Content<'_>) -> Result<Option<Taken>, Error> {
        let taken = if self.waiting() == 0 { None } else { self.write_waiting(tx)? };
        chain::append(tx, [*content])?;
        Ok(taken)
    }

    /// SQLite commits nothing any more of a transaction that has met a damaged page, so this one is lost with all that is
    /// in it. The next ones must not be: rows wait from here on, until someone has repaired the file and started the
    /// server again. Reported as a lost transaction, so the caller is not told that its draft is damaged.
    fn check_damage(&self, error: &Error) -> Result<(), Error> {
        if !matches!(error, Error::Damaged(_)) {
            return Ok(());
        }
        self.waiting.bar();
        log::error!(error = error.to_string(); "audit.damaged");
        Err(Error::Lost(format!("the audit log is damaged: {error}")))
    }

    fn complain(&self, error: &Error, request_id: &str) {
        self.counts.failures.fetch_add(1, Ordering::Relaxed);
        if let Some(count) = FAILED.hit() {
            log::warn!(request_id, count, waiting = self.waiting(), lost = self.lost(); "Audit event write failed: {error}");
        }
    }
}

/// Records the one change that a request asks for.
#[derive(Debug)]
pub struct Witness {
    audit: Audit,
    ip: String,
    user_agent: Option<String>,
}

impl Witness {
    /// Writes a row in the transaction of the change. If only that fails, the change goes on and the row waits.
    ///
    /// # Errors
    /// When the transaction is lost.
    pub fn record(&self, tx: &mut Tx<'_>, entry: &Entry<'_>) -> Result<(), StoreError> {
        // Whatever was wrong, it is not the draft that is damaged, and nothing was changed.
        self.try_record(tx, entry).map_err(StoreError::Undone)
    }

    fn try_record(&self, tx: &mut Tx<'_>, entry: &Entry<'_>) -> Result<(), Error> {
        let Entry { request_id, user_id, action, draft_id, metadata } = *entry;
        // Texts and numbers always serialise; the error type only has no way to say so.
        let metadata = entry::metadata(metadata).map_err(|error| Error::Other(error.to_string()))?;
        let content = Content {
            ts: tx.now().0,
            texts: [
                Some(request_id.as_bytes()),
                Some(user_id.as_bytes()),
                Some(action.as_bytes()),
                Some(draft_id.as_bytes()),
                metadata.as_deref().map(str::as_bytes),
                Some(self.ip.as_bytes()),
                self.user_agent.as_deref().map(str::as_bytes),
            ],
        };
        if self.audit.waiting.is_barred() {
            self.wait(tx, &content);
            return Ok(());
        }
        match tx.savepoint(|tx| self.audit.write(tx, &content))? {
            Ok(taken) => {
                let waited = taken.as_ref().map_or(0, Taken::rows);
                self.audit.settle(tx, waited + 1, taken);
            }
            Err(error) => {
                self.audit.complain(&error, request_id);
                self.audit.check_damage(&error)?;
                self.wait(tx, &content);
            }
        }
        Ok(())
    }

    fn wait(&self, tx: &mut Tx<'_>, content: &Content<'_>) {
        let put = self.audit.waiting.put(Row::from(content));
        tx.after_commit(|| put.keep());
    }
}

/// Whether a throw of the dice, from 0 up to but not 1, falls within the rate.
fn is_sampled(rate: f64, dice: f64) -> bool {
    dice < rate
}

/// A number from 0 up to but not 1: the 53 lowest bits of a random UUID, which are all random.
fn dice() -> f64 {
    const BITS: u32 = 53;
    let (_, low) = Uuid::new_v4().as_u64_pair();
    (low & ((1 << BITS) - 1)) as f64 / (1_u64 << BITS) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_decides_with_the_dice() {
        let least = 0.0;
        let most = 1.0 - f64::EPSILON / 2.0;
        for dice in [least, 0.25, most] {
            assert!(is_sampled(1.0, dice) && is_sampled(7.0, dice), "{dice}");
            assert!(!is_sampled(0.0, dice) && !is_sampled(-1.0, dice), "{dice}");
        }
        assert!(is_sampled(0.5, 0.499) && !is_sampled(0.5, 0.5));
    }

    #[test]
    fn the_dice_are_fair_enough() {
        let throws: Vec<f64> = (0..10_000).map(|_| dice()).collect();
        assert!(throws.iter().all(|dice| (0.0..1.0).contains(dice)));
        // Far beyond six standard deviations, which are 300.
        let below = throws.iter().filter(|dice| is_sampled(0.5, **dice)).count();
        assert!((4_500..5_500).contains(&below), "{below}");
    }

    #[test]
    fn a_witness_knows_where_the_request_came_from() {
        let witness = |rate, ip: &str, agent: Option<&[u8]>| {
            Audit::new(rate).witness(ip.parse().unwrap(), agent).map(|witness| (witness.ip, witness.user_agent))
        };
        assert_eq!(witness(0.0, "192.0.2.1", None), None);
        assert_eq!(witness(1.0, "::ffff:192.0.2.1", Some(b"")), Some(("192.0.2.1".to_owned(), None)));
        let (ip, agent) = witness(1.0, "2001:db8::1", Some(&[b"x\xff".as_slice(), &[b'y'; 600]].concat())).unwrap();
        assert_eq!(
            (ip.as_str(), agent.unwrap()),
            ("2001:db8::1", format!("x\u{fffd}{}...<truncated>", "y".repeat(498)))
        );
    }
}
