//! Counting in memory that has an end: how many different visitors there were, and which texts came most often. Each is exact
//! up to a bound, and then says by how much it may be wrong.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher as _;

use datasketches::hll::{HllSketch, HllType};
use foldhash::fast::RandomState;

/// Visitors that are counted one by one, all days of a report together.
pub(super) const VISITORS_EXACT_MAX: usize = 400_000;
/// Different paths, links or hosts that are kept at once.
pub(super) const TEXTS_MAX: usize = 5000;
/// Bytes of one of these.
pub(super) const TEXT_MAX_BYTES: usize = 256;
/// 2^13 registers: 8 KiB, and a standard error of 1.15 %.
const SKETCH_LG: u8 = 13;

/// Different visitors of some days, and of all of them.
pub(super) struct Visitors {
    days: Vec<Distinct>,
    all: Distinct,
    /// How many are counted one by one at present.
    exact: usize,
    hasher: RandomState,
}

enum Distinct {
    Exactly(HashSet<u64, RandomState>),
    /// HyperLogLog.
    About(Box<HllSketch>),
}

impl Visitors {
    /// None yet, of so many days.
    pub(super) fn new(days: usize) -> Self {
        let days = (0..days).map(|_| Distinct::Exactly(HashSet::default())).collect();
        Self { days, all: Distinct::Exactly(HashSet::default()), exact: 0, hasher: RandomState::default() }
    }

    /// One was there on that day.
    pub(super) fn add(&mut self, day: usize, visitor: &str) {
        // Two of all these visitors are taken for one with a probability of 1 : 10^8.
        let hash = self.hasher.hash_one(visitor);
        let Some(of_day) = self.days.get_mut(day) else { return };
        let (was_exact, is_new) = (of_day.is_exact(), of_day.add(hash));
        // Who is known of the day is known of all days.
        if was_exact && !is_new {
            return;
        }
        self.exact += usize::from(is_new);
        self.exact += usize::from(self.all.add(hash));
        while self.exact > VISITORS_EXACT_MAX {
            let largest = self.days.iter_mut().chain([&mut self.all]).max_by_key(|set| set.exact());
            let freed = largest.map_or(0, Distinct::estimate_from_now_on);
            if freed == 0 {
                return;
            }
            self.exact -= freed;
        }
    }

    /// How many there were on a day, and whether that is exact.
    pub(super) fn of_day(&self, day: usize) -> (u64, bool) {
        self.days.get(day).map_or((0, true), Distinct::count)
    }

    /// How many there were in all.
    pub(super) fn of_all(&self) -> (u64, bool) {
        self.all.count()
    }
}

impl Distinct {
    /// Whether one more is counted one by one than before.
    fn add(&mut self, hash: u64) -> bool {
        match self {
            Self::Exactly(known) => known.insert(hash),
            Self::About(sketch) => {
                sketch.update(hash);
                false
            }
        }
    }

    fn is_exact(&self) -> bool {
        matches!(self, Self::Exactly(_))
    }

    fn exact(&self) -> usize {
        if let Self::Exactly(known) = self { known.len() } else { 0 }
    }

    /// Returns how many are not counted one by one any more.
    fn estimate_from_now_on(&mut self) -> usize {
        let Self::Exactly(known) = self else { return 0 };
        let Ok(mut sketch) = HllSketch::new(SKETCH_LG, HllType::Hll8) else { return 0 };
        known.iter().for_each(|hash| sketch.update(hash));
        let freed = known.len();
        *self = Self::About(Box::new(sketch));
        freed
    }

    fn count(&self) -> (u64, bool) {
        match self {
            Self::Exactly(known) => (known.len() as u64, true),
            Self::About(sketch) => (sketch.estimate().round() as u64, false),
        }
    }
}

/// Which texts came most often.
#[derive(Default)]
pub(super) struct Texts {
    counts: HashMap<Box<str>, u64, RandomState>,
    /// By how much a count may be too low.
    missed: u64,
}

impl Texts {
    /// One came. Of a long one only the first [`TEXT_MAX_BYTES`] count.
    pub(super) fn add(&mut self, text: &str) {
        let text = beginning(text);
        if let Some(count) = self.counts.get_mut(text) {
            *count += 1;
            return;
        }
        if self.counts.len() >= TEXTS_MAX {
            self.thin();
        }
        self.counts.insert(text.into(), 1);
    }

    /// Forgets the rarer half.
    fn thin(&mut self) {
        let mut counts: Vec<u64> = self.counts.values().copied().collect();
        let middle = counts.len() / 2;
        let (_, &mut rare, _) = counts.select_nth_unstable(middle);
        self.counts.retain(|_, count| *count > rare);
        self.missed += rare;
    }

    /// The most frequent ones, most frequent first.
    pub(super) fn most(self, count: usize) -> Most {
        let mut rows: Vec<(Box<str>, u64)> = self.counts.into_iter().collect();
        rows.sort_unstable_by(|(one, often), (other, seldom)| seldom.cmp(often).then_with(|| one.cmp(other)));
        rows.truncate(count);
        Most { rows, missed: self.missed }
    }
}

fn beginning(text: &str) -> &str {
    let end = (0..=TEXT_MAX_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// The most frequent texts.
pub(super) struct Most {
    pub(super) rows: Vec<(Box<str>, u64)>,
    /// By how much a count may be too low: 0 as long as there were no more than [`TEXTS_MAX`] of them.
    pub(super) missed: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visitors_are_exact_up_to_a_bound_and_then_nearly_so() {
        let mut visitors = Visitors::new(2);
        for number in 0..1000 {
            visitors.add(0, &format!("v-{number:06}"));
            visitors.add(usize::from(number % 2 == 0), &format!("v-{number:06}"));
            visitors.add(2, "of no day");
        }
        assert_eq!(
            (visitors.of_day(0), visitors.of_day(1), visitors.of_all()),
            ((1000, true), (500, true), (1000, true))
        );
        for number in 0..VISITORS_EXACT_MAX {
            visitors.add(1, &format!("w-{number}"));
            assert!(visitors.exact <= VISITORS_EXACT_MAX);
        }
        assert_eq!(visitors.of_day(0), (1000, true), "a small day stays exact");
        for ((count, is_exact), true_count) in
            [(visitors.of_day(1), VISITORS_EXACT_MAX + 500), (visitors.of_all(), VISITORS_EXACT_MAX + 1000)]
        {
            assert!(!is_exact && count.abs_diff(true_count as u64) < true_count as u64 / 20, "{count} of {true_count}");
        }
    }

    #[test]
    fn the_most_frequent_texts_are_found_among_very_many_and_none_is_counted_too_often() {
        let mut texts = Texts::default();
        for number in 0..20 * TEXTS_MAX {
            texts.add(&format!("/rare/{number}"));
            if number % 10 == 0 {
                texts.add("/often");
            }
            assert!(texts.counts.len() <= TEXTS_MAX);
        }
        let long = "ї".repeat(TEXT_MAX_BYTES);
        texts.add(&long);
        assert!(texts.counts.contains_key(&long[..TEXT_MAX_BYTES]));
        let most = texts.most(1);
        let (name, count) = &most.rows[0];
        let true_count = 2 * TEXTS_MAX as u64;
        assert!(
            &**name == "/often" && *count <= true_count && *count + most.missed >= true_count,
            "{count} {}",
            most.missed
        );
        assert!(most.missed > 0);
        let mut few = Texts::default();
        ["/b", "/a", "/c", "/c"].iter().for_each(|text| few.add(text));
        let most = few.most(2);
        let rows: Vec<(&str, u64)> = most.rows.iter().map(|(text, count)| (&**text, *count)).collect();
        assert_eq!((rows, most.missed), (vec![("/c", 2), ("/a", 1)], 0));
    }
}
