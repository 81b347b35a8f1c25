//! How much one client behind a trusted proxy holds at once: sockets, and requests that wait for their answer.
//!
//! Without a proxy the cap of connections per address bounds both. A trusted proxy is exempt from it, so for those who come
//! through one the same number is counted here, by the address that the proxy forwards.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use super::error::ApiError;
use crate::net::network_of;

/// The places that are taken, by client. All shards share it. It has no more entries than there are connections: each is of
/// somebody who holds one.
#[derive(Clone)]
pub struct Places {
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
    per_client: usize,
}

/// One place, given back by its drop.
pub(super) struct Place {
    places: Places,
    client: IpAddr,
}

impl Places {
    /// So many for each client, IPv6 by /64.
    #[must_use]
    pub fn new(per_client: usize) -> Self {
        Self { taken: Arc::default(), per_client }
    }

    /// Takes one.
    ///
    /// # Errors
    /// 503 when this client has all of its places.
    pub(super) fn take(&self, client: IpAddr) -> Result<Place, ApiError> {
        let client = network_of(client);
        let mut taken = self.taken.lock();
        let of_client = taken.entry(client).or_insert(0);
        if *of_client >= self.per_client {
            return Err(ApiError::overloaded("Too many open sockets and waiting requests of this client"));
        }
        *of_client += 1;
        drop(taken);
        Ok(Place { places: self.clone(), client })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock();
        if let Some(of_client) = taken.get_mut(&self.client) {
            *of_client -= 1;
            if *of_client == 0 {
                taken.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_client_and_nothing_is_kept_of_who_has_left() {
        let places = Places::new(2);
        let take = |client: &str| places.take(client.parse().unwrap());
        let held = [take("192.0.2.1").unwrap(), take("::ffff:192.0.2.1").unwrap()];
        assert_eq!(take("192.0.2.1").err().unwrap().status().as_u16(), 503);
        let other = take("2001:db8::1").unwrap();
        let household = take("2001:db8::2").unwrap();
        assert!(take("2001:db8::3").is_err());
        drop(held);
        assert!(take("192.0.2.1").is_ok());
        drop((other, household));
        assert!(places.taken.lock().is_empty());
    }
}
