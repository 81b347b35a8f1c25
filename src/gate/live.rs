//! A value that is replaced while it is in use.
//!
//! A thread that uses it on every request holds a copy ([`Following`]) and compares one number with that of the shared
//! one, which costs a relaxed load. Only when they differ is a lock taken, for as long as it takes to copy a pointer. A value
//! is replaced as a whole, so that nobody ever sees a half of one and a half of another.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

/// The value in force. Clones share it.
#[derive(Debug)]
pub struct Live<T>(Arc<Shared<T>>);

#[derive(Debug)]
struct Shared<T> {
    /// How often it was replaced; changed only under the lock.
    generation: AtomicU64,
    value: RwLock<Arc<T>>,
}

impl<T> Live<T> {
    /// With this value in force.
    pub fn new(value: T) -> Self {
        Self(Arc::new(Shared { generation: AtomicU64::new(0), value: RwLock::new(Arc::new(value)) }))
    }

    /// The value in force, for who needs it seldom.
    pub fn now(&self) -> Arc<T> {
        Arc::clone(&self.0.value.read())
    }

    /// Puts another one in its place.
    pub fn replace(&self, value: T) {
        let value = Arc::new(value);
        let mut place = self.0.value.write();
        let old = std::mem::replace(&mut *place, value);
        // Relaxed: who sees the new number still takes the lock, and with it sees the value.
        self.0.generation.fetch_add(1, Ordering::Relaxed);
        drop(place);
        // A large one takes its time to go, and nobody shall wait for that.
        drop(old);
    }

    /// A copy that keeps up with it, for who needs it all the time.
    pub fn follow(&self) -> Following<T> {
        let (generation, value) = self.newest();
        Following { live: self.clone(), generation, value }
    }

    fn newest(&self) -> (u64, Arc<T>) {
        let value = self.0.value.read();
        (self.0.generation.load(Ordering::Relaxed), Arc::clone(&value))
    }
}

/// Written by hand: the value itself need not be one that can be copied.
impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// One user's own copy of a [`Live`] value: the one in force when it last caught up.
#[derive(Debug)]
pub struct Following<T> {
    live: Live<T>,
    generation: u64,
    value: Arc<T>,
}

impl<T> Following<T> {
    /// Takes the value that is in force now.
    pub fn catch_up(&mut self) {
        if self.live.0.generation.load(Ordering::Relaxed) != self.generation {
            (self.generation, self.value) = self.live.newest();
        }
    }
}

impl<T> Deref for Following<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_changes_when_it_catches_up_and_not_before() {
        let live = Live::new(1);
        let (mut one, mut other) = (live.follow(), live.clone().follow());
        live.replace(2);
        assert_eq!((*one, *live.now()), (1, 2));
        one.catch_up();
        live.replace(3);
        assert_eq!((*one, *other), (2, 1));
        one.catch_up();
        other.catch_up();
        assert_eq!((*one, *other, *live.follow()), (3, 3, 3));
    }

    #[test]
    fn what_was_replaced_is_gone_when_the_last_copy_has_caught_up() {
        let held = Arc::new(());
        let live = Live::new(Arc::clone(&held));
        let mut copy = live.follow();
        live.replace(Arc::default());
        assert_eq!(Arc::strong_count(&held), 2);
        copy.catch_up();
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[test]
    fn values_are_seen_whole_in_their_order_and_the_last_one_by_everyone() {
        let live = Live::new((0_u64, 0_u64));
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let mut copy = live.follow();
                std::thread::spawn(move || {
                    let mut seen = 0;
                    while copy.0 < 2000 {
                        copy.catch_up();
                        assert_eq!(copy.0 * 2, copy.1);
                        assert!(copy.0 >= seen);
                        seen = copy.0;
                    }
                })
            })
            .collect();
        for number in 1..=2000 {
            live.replace((number, number * 2));
        }
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    }
}
