//! To whom the ring goes when a rule chooses (contract 01 §1.9). Pure: it is given the members and what they have written.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::ring::Ring;
use crate::clock::Timestamp;

/// By which rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// Whoever has not written for the longest time; before them, whoever has not written at all.
    MostInactive,
    /// The next one after the holder, in the order of their names, and from the last to the first.
    RoundRobin,
    /// The creator, or the first of the others when the creator holds it.
    BackToCreator,
    /// As [`Strategy::MostInactive`]: it is the name that clients use who leave the choice to the server.
    BestNext,
}

impl Strategy {
    /// All of them, as clients write them.
    pub const WORDS: [&str; 4] = ["most_inactive", "round_robin", "back_to_creator", "best_next"];

    /// The one that this word names.
    pub fn of(word: &str) -> Option<Self> {
        let all = [Self::MostInactive, Self::RoundRobin, Self::BackToCreator, Self::BestNext];
        all.into_iter().find(|strategy| strategy.as_str() == word)
    }

    /// As clients write it.
    pub fn as_str(self) -> &'static str {
        let [most_inactive, round_robin, back_to_creator, best_next] = Self::WORDS;
        match self {
            Self::MostInactive => most_inactive,
            Self::RoundRobin => round_robin,
            Self::BackToCreator => back_to_creator,
            Self::BestNext => best_next,
        }
    }
}

/// What was chosen, as it is answered, and kept for a replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Who gets the ring.
    pub to_user_id: String,
    /// By which rule.
    pub strategy: String,
    /// Why, in one sentence.
    pub reasoning: String,
    /// From among how many.
    pub candidate_count: usize,
}

/// Chooses among the members who do not hold the ring; nobody when there are none. `last_written` says when each of those who
/// have written has done so last. Names are compared by code point.
pub fn select(
    ring: Ring<'_>,
    members: &[String],
    last_written: &HashMap<String, Timestamp>,
    strategy: Strategy,
) -> Option<Selection> {
    let mut candidates: BTreeSet<&str> = members.iter().map(String::as_str).collect();
    candidates.insert(ring.creator);
    candidates.remove(ring.holder);
    let first = candidates.first().copied()?;
    let (to_user, reasoning) = match strategy {
        Strategy::MostInactive | Strategy::BestNext => {
            let written = |user: &str| last_written.get(user).copied();
            // Nothing sorts before any time, and of equals the first in the order of names is taken.
            let user = candidates.iter().copied().min_by_key(|user| (written(user), *user)).unwrap_or(first);
            let why = match written(user) {
                None => "The first, by name, of those who have not written yet.",
                Some(_) => "Everybody has written; this one has waited for the longest time since.",
            };
            (user, why)
        }
        Strategy::RoundRobin => match candidates.iter().copied().find(|user| *user > ring.holder) {
            Some(next) => (next, "The next one after the holder, by name."),
            None => (first, "The holder is the last by name, so it goes to the first."),
        },
        Strategy::BackToCreator if ring.creator != ring.holder => {
            (ring.creator, "The ring goes back to the creator of the draft.")
        }
        Strategy::BackToCreator => {
            (first, "The creator holds the ring already, so it goes to the first of the others, by name.")
        }
    };
    Some(Selection {
        to_user_id: to_user.to_owned(),
        strategy: strategy.as_str().to_owned(),
        reasoning: reasoning.to_owned(),
        candidate_count: candidates.len(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Strategy, *};

    const ALL: [Strategy; 4] =
        [Strategy::MostInactive, Strategy::RoundRobin, Strategy::BackToCreator, Strategy::BestNext];

    fn chosen(holder: &str, members: &[&str], written: &[(&str, i64)], strategy: Strategy) -> Option<String> {
        let members: Vec<String> = members.iter().map(|user| (*user).to_owned()).collect();
        let written = written.iter().map(|(user, at)| ((*user).to_owned(), Timestamp(*at))).collect();
        select(Ring { creator: "bob", holder }, &members, &written, strategy).map(|selection| selection.to_user_id)
    }

    #[test]
    fn each_rule_is_the_contracts() {
        use Strategy::{BackToCreator, BestNext, MostInactive, RoundRobin};
        let members = ["bob", "alice", "dave", "carol"];
        let written = [("alice", 5), ("bob", 3), ("carol", 4), ("dave", 9)];
        let some = |holder, written: &[(&str, i64)], strategy| chosen(holder, &members, written, strategy).unwrap();
        for strategy in [MostInactive, BestNext] {
            assert_eq!(some("bob", &[], strategy), "alice", "nobody has written");
            assert_eq!(some("bob", &written[..2], strategy), "carol", "the first of those who have not");
            assert_eq!(some("dave", &written, strategy), "bob");
            assert_eq!(some("bob", &written, strategy), "carol");
            assert_eq!(
                some("dave", &[("alice", 5), ("bob", 5), ("carol", 5)], strategy),
                "alice",
                "of equals the first"
            );
        }
        let turns = ["alice", "bob", "carol", "dave", "alice"];
        for pair in turns.windows(2) {
            assert_eq!(some(pair[0], &written, RoundRobin), pair[1]);
        }
        assert_eq!(some("carol", &written, BackToCreator), "bob");
        assert_eq!(some("bob", &written, BackToCreator), "alice");
        for strategy in ALL {
            assert_eq!(chosen("bob", &["bob"], &[], strategy), None, "the holder is no candidate");
            assert_eq!(Strategy::of(strategy.as_str()), Some(strategy));
        }
        assert_eq!(Strategy::of("Best_next"), None);
    }

    proptest! {
        /// Whatever there is: the ring goes to a member who does not hold it, if there is one, in whatever order they joined, and a
        /// round robin comes to everybody before it comes to somebody again.
        #[test]
        fn the_ring_goes_to_another_member(
            members in prop::collection::btree_set("[a-dÿß]{1,2}", 1..8),
            written in prop::collection::hash_map("[a-dÿß]{1,2}", 0i64..5, 0..8),
            at in any::<(prop::sample::Index, prop::sample::Index)>(),
            strategy in prop::sample::select(&ALL[..]),
        ) {
            let mut members: Vec<String> = members.into_iter().collect();
            let written: HashMap<String, Timestamp> = written.into_iter().map(|(user, at)| (user, Timestamp(at))).collect();
            let (creator, holder) = (at.0.get(&members).clone(), at.1.get(&members).clone());
            let ring = Ring { creator: &creator, holder: &holder };
            let selection = select(ring, &members, &written, strategy);
            prop_assert_eq!(selection.is_some(), members.len() > 1);
            if let Some(selection) = &selection {
                prop_assert!(members.contains(&selection.to_user_id) && selection.to_user_id != holder);
                prop_assert_eq!(selection.candidate_count, members.len() - 1);
            }
            members.reverse();
            prop_assert_eq!(select(ring, &members, &written, strategy), selection);
            let (mut seen, mut at) = (BTreeSet::from([holder.clone()]), holder.clone());
            for _ in 1..members.len() {
                let ring = Ring { creator: &creator, holder: &at };
                at = select(ring, &members, &written, Strategy::RoundRobin).unwrap().to_user_id;
                prop_assert!(seen.insert(at.clone()));
            }
            prop_assert_eq!(seen.len(), members.len());
        }
    }
}
