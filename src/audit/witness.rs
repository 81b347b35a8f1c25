//! What a feature sees of the audit log: whether to record, and how.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::chain::Content;
use super::entry::{self, Entry, Field, TEXT_MAX_CHARS};
use super::store;
use crate::observe::throttle::LogThrottle;
use crate::random::{dice, is_sampled};
use crate::store::{Error, Fault, StoreError, Tx};
use crate::text::cut;

static FAILED: LogThrottle = LogThrottle::new();

/// What is counted since the start.
#[derive(Debug, Default)]
struct Counts {
    rows: AtomicU64,
    failures: AtomicU64,
}

/// The audit log when it is on. Cheap to clone; clones count together.
#[derive(Debug, Clone)]
pub struct Audit {
    rate: f64,
    counts: Arc<Counts>,
}

impl Audit {
    /// One that records this part of the changes: 1 or more is all of them, 0 or less none.
    pub fn new(rate: f64) -> Self {
        Self { rate, counts: Arc::default() }
    }

    /// The witness of a change that a request from there asks for. None when the dice say that it is not recorded.
    pub fn witness(&self, client: IpAddr, user_agent: Option<&[u8]>) -> Option<Witness> {
        if !is_sampled(self.rate, dice()) {
            return None;
        }
        let user_agent = user_agent.filter(|text| !text.is_empty());
        let user_agent = user_agent.map(|text| cut(&String::from_utf8_lossy(text), TEXT_MAX_CHARS).into_owned());
        Some(Witness { counts: Arc::clone(&self.counts), ip: client.to_canonical().to_string(), user_agent })
    }

    /// Writes a row about something that nobody asked for: the server does it by itself.
    ///
    /// # Errors
    /// As [`Witness::record`].
    pub fn record_own(
        &self,
        tx: &mut Tx<'_>,
        action: &'static str,
        metadata: &[(&'static str, Field<'_>)],
    ) -> Result<(), StoreError> {
        let texts = [None, None, Some(action.as_bytes()), None, None, None, None];
        self.counts.record(tx, texts, metadata, None)
    }

    /// Which part of the changes is recorded: 1 or more is all of them, 0 or less none.
    pub(super) fn rate(&self) -> f64 {
        self.rate
    }

    /// Rows that are on disk, since the start.
    pub fn rows(&self) -> u64 {
        self.counts.rows.load(Ordering::Relaxed)
    }

    /// Rows that could not be written, since the start; their changes were not made.
    pub fn failures(&self) -> u64 {
        self.counts.failures.load(Ordering::Relaxed)
    }
}

/// Records the one change that a request asks for.
#[derive(Debug)]
pub struct Witness {
    counts: Arc<Counts>,
    ip: String,
    user_agent: Option<String>,
}

impl Witness {
    /// Writes a row in the transaction of the change.
    ///
    /// # Errors
    /// When it cannot be written: then the change is not to be made either. Whatever was wrong, it is not what is changed
    /// that is damaged.
    pub fn record(&self, tx: &mut Tx<'_>, entry: &Entry<'_>) -> Result<(), StoreError> {
        let Entry { request_id, user_id, action, subject, metadata } = *entry;
        let [request, user, action, about] = [request_id, user_id, action, subject].map(|text| Some(text.as_bytes()));
        let agent = self.user_agent.as_deref().map(str::as_bytes);
        let texts = [request, user, action, about, None, Some(self.ip.as_bytes()), agent];
        self.counts.record(tx, texts, metadata, Some(request_id))
    }
}

impl Counts {
    /// Writes a row with these texts, and counts it. The details stand in their place among them.
    fn record(
        self: &Arc<Self>,
        tx: &mut Tx<'_>,
        texts: [Option<&[u8]>; 7],
        metadata: &[(&'static str, Field<'_>)],
        request_id: Option<&str>,
    ) -> Result<(), StoreError> {
        write(tx, texts, metadata).map_err(|error| {
            self.failures.fetch_add(1, Ordering::Relaxed);
            if let Some(count) = FAILED.hit() {
                log::warn!(request_id, count; "Audit event write failed: {error}");
            }
            match error {
                Error::Full(_) => StoreError::ReadOnly(Fault::Full),
                error => StoreError::Undone(error),
            }
        })?;
        let counts = Arc::clone(self);
        tx.after_commit(move || _ = counts.rows.fetch_add(1, Ordering::Relaxed));
        Ok(())
    }
}

fn write(tx: &mut Tx<'_>, texts: [Option<&[u8]>; 7], metadata: &[(&'static str, Field<'_>)]) -> Result<(), Error> {
    // Texts and numbers always serialise; the error type only has no way to say so.
    let metadata = entry::metadata(metadata).map_err(|error| Error::Other(error.to_string()))?;
    let [request_id, user_id, action, subject, _, ip, user_agent] = texts;
    let metadata = metadata.as_deref().map(str::as_bytes);
    let texts = [request_id, user_id, action, subject, metadata, ip, user_agent];
    store::append(tx, &Content { ts: tx.now().0, texts })
}

#[cfg(test)]
mod tests {
    use super::*;

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
