//! How much of each client somebody knows (contract 03 §2.2): a state vector.

use super::lib0::{Decoder, put_uint, uint_bytes};
pub use super::refused::Refused;
use super::structs::{read_clock, read_count};

/// For each client the clock after the last unit that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateVector {
    /// Sorted by client; none has clock 0.
    clocks: Vec<(u64, u32)>,
}

impl StateVector {
    /// Reads one as clients send it. What is said twice holds the second time, as with Yjs.
    ///
    /// # Errors
    /// It is not one, or names a clock over [`CLOCK_MAX`](super::refused::CLOCK_MAX).
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let mut decoder = Decoder::new(bytes);
        let mut clocks = Vec::new();
        for _ in 0..read_count(&mut decoder, "clients")? {
            let client = decoder.uint()?;
            clocks.push((client, read_clock(&mut decoder, client)?));
        }
        if !decoder.is_at_end() {
            return Err(Refused::Trailing { bytes: decoder.left().len() });
        }
        clocks.sort_by_key(|&(client, _)| client);
        clocks.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                earlier.1 = later.1;
            }
            same
        });
        clocks.retain(|&(_, clock)| clock > 0);
        Ok(Self { clocks })
    }

    /// Of clients in ascending order.
    pub(super) fn new(clocks: Vec<(u64, u32)>) -> Self {
        debug_assert!(clocks.is_sorted_by(|a, b| a.0 < b.0));
        Self { clocks }
    }

    /// As clients read it: the highest client first, as Yjs writes it.
    pub fn encode(&self) -> Vec<u8> {
        let sizes = self.clocks.iter().map(|&(client, clock)| uint_bytes(client) + uint_bytes(clock.into()));
        let mut out = Vec::with_capacity(uint_bytes(self.clocks.len() as u64) + sizes.sum::<usize>());
        put_uint(&mut out, self.clocks.len() as u64);
        for &(client, clock) in self.clocks.iter().rev() {
            put_uint(&mut out, client);
            put_uint(&mut out, clock.into());
        }
        out
    }

    /// How much of a client is known: 0 if nothing is.
    pub fn clock(&self, client: u64) -> u32 {
        let at = self.clocks.binary_search_by_key(&client, |&(client, _)| client);
        at.map_or(0, |at| self.clocks[at].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_read_and_written_as_clients_do() {
        let vector = StateVector::parse(&[1, 5, 2]).unwrap();
        assert_eq!((vector.clock(5), vector.clock(6), vector.encode()), (2, 0, vec![1, 5, 2]));
        assert_eq!(StateVector::default().encode(), [0]);
        assert_eq!(StateVector::parse(&[2, 5, 2, 9, 1]).unwrap().encode(), [2, 9, 1, 5, 2]);
        assert_eq!(StateVector::parse(&[3, 5, 2, 9, 0, 5, 1]).unwrap().encode(), [1, 5, 1], "the last word counts");
    }

    #[test]
    fn what_is_no_vector_is_refused() {
        for (bytes, said) in [
            (&[0xff, 0xff, 0xff, 0x7f, 1][..], "268435455 clients cannot fit in the remaining 1 byte"),
            (&[1, 5], "the data ends in the middle of a value"),
            (&[0, 7], "1 byte left over after the end"),
            (&[1, 5, 0x80, 0x80, 0x80, 0x80, 0x10], "clock 4294967296 of client 5; the maximum is 4294967295"),
            (&[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x10, 0], "a number greater than 9007199254740991"),
        ] {
            assert_eq!(StateVector::parse(bytes).unwrap_err().to_string(), said);
        }
    }
}
