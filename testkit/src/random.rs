//! Chance that can be repeated: a generator whose seed is told when its test fails.

/// The seed to use instead of a fresh one.
const SEED: &str = "INKRING_TEST_SEED";

/// SplitMix64.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    /// Seeded by `INKRING_TEST_SEED`, or afresh. What is printed shows only when the test fails.
    pub fn seeded() -> Self {
        let given = std::env::var(SEED).ok().map(|seed| seed.parse().expect("INKRING_TEST_SEED is a number"));
        let seed = given.unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0);
        #[expect(clippy::print_stdout, reason = "the harness keeps it for the report of a failure")]
        {
            println!("to repeat: {SEED}={seed}");
        }
        Self(seed)
    }

    /// The same in every run, for what is measured.
    pub fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator of its own, for a thread.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// True once in `times`.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
