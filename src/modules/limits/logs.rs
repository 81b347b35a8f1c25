//! What each client address has taken of its windows.

use std::net::IpAddr;
use std::time::Instant;

use super::sliding::{Log, Standing, Window};
use crate::gate::limit::addresses::Addresses;

/// A log for each address.
#[derive(Debug)]
pub struct Logs {
    addresses: Addresses<Log>,
    began: Instant,
}

impl Logs {
    /// With nothing taken, for at most so many addresses. `began` is when its time begins.
    #[must_use]
    pub fn new(most: usize, began: Instant) -> Self {
        Self { addresses: Addresses::new(most), began }
    }

    /// Takes one for this address if every window has room for it ([`Log::take`]).
    pub fn take<const N: usize>(&self, client: IpAddr, windows: &[Window; N], now: Instant) -> Standing<N> {
        // 584 million years.
        let now_ms = u64::try_from(now.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX);
        self.addresses.with(client, |log| log.take(windows, now_ms))
    }

    /// Gives back the one that this address has taken last, if any was.
    pub fn give_back(&self, client: IpAddr) {
        self.addresses.with(client, Log::give_back);
    }
}
