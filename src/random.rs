//! Chance: what nobody is to guess, and what is left to the dice. All of it comes out of UUIDs of version 4, that is, of the process's
//! generator, which the system has seeded. (`inkring setup` asks the system itself: its secrets are made once, perhaps at a first boot.)

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// 256 bits that nobody can guess. Three UUIDs have 366 random ones.
#[must_use]
pub fn secret() -> [u8; 32] {
    let mut random = Sha256::new();
    (0..3).for_each(|_| random.update(Uuid::new_v4()));
    random.finalize().into()
}

/// A number from 0 up to but not 1: the 53 lowest bits of a UUID, which are all random.
pub fn dice() -> f64 {
    const BITS: u32 = 53;
    let (_, low) = Uuid::new_v4().as_u64_pair();
    (low & ((1 << BITS) - 1)) as f64 / (1_u64 << BITS) as f64
}

/// Whether a throw of the [`dice`] falls within the rate.
pub fn is_sampled(rate: f64, dice: f64) -> bool {
    dice < rate
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_another() {
        let secrets: Vec<[u8; 32]> = (0..100).map(|_| secret()).collect();
        assert!(secrets.iter().enumerate().all(|(at, one)| !secrets[..at].contains(one)));
        // Far beyond six standard deviations, which are 480.
        let ones: u32 = secrets.as_flattened().iter().map(|byte| byte.count_ones()).sum();
        assert!((12_000..13_600).contains(&ones), "{ones} of 25600");
    }

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
}
