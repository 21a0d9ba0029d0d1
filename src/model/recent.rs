use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::mem;
use std::num::NonZeroUsize;

/// A bounded memory of values found by a 64-bit hash, which forgets what has not been used lately.
///
/// The caller makes the hash (with a random key, since most of what is hashed comes from outside) and says whether
/// the value found is the one that was meant, so looking up borrowed keys allocates nothing. Two values of one hash
/// replace each other: that costs another look at the source, never a wrong answer.
///
/// It holds two generations of half the capacity each. What is used moves to the younger one; when that is full the
/// older one is forgotten. This is as good as a list of uses for us and costs one hash table access.
#[derive(Debug)]
pub struct Recent<V> {
    young: Generation<V>,
    old: Generation<V>,
    half: usize,
}

type Generation<V> = HashMap<u64, V, BuildHasherDefault<Hashed>>;

impl<V> Recent<V> {
    /// A memory of at most `capacity` values (rounded up to an even number).
    pub fn new(capacity: NonZeroUsize) -> Self {
        Self { young: Generation::default(), old: Generation::default(), half: capacity.get().div_ceil(2) }
    }

    /// The value of a hash, if it `is` the one that is looked for.
    pub fn get(&mut self, hash: u64, is: impl FnOnce(&V) -> bool) -> Option<&V> {
        if let Some(value) = self.old.remove(&hash) {
            self.put(hash, value);
        }
        self.young.get(&hash).filter(|value| is(value))
    }

    /// Remembers a value in place of the one that had the same hash.
    pub fn put(&mut self, hash: u64, value: V) {
        self.old.remove(&hash);
        if self.young.len() >= self.half && !self.young.contains_key(&hash) {
            mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(hash, value);
    }

    /// How many values are remembered.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The keys are hashes already.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_is_forgotten_in_bounds() {
        let mut recent = Recent::new(NonZeroUsize::new(8).unwrap());
        recent.put(1, "used");
        for hash in 100..1000 {
            recent.put(hash, "passing");
            assert_eq!(recent.get(1, |_| true), Some(&"used"), "forgotten at {hash}");
            assert!(recent.len() <= 8);
        }
        assert_eq!(recent.get(100, |_| true), None);
        assert_eq!(recent.get(999, |_| true), Some(&"passing"));
    }

    #[test]
    fn another_value_of_the_same_hash_is_not_taken_for_the_one_meant() {
        let mut recent = Recent::new(NonZeroUsize::MIN);
        recent.put(1, "a");
        assert_eq!(recent.get(1, |value| *value == "b"), None);
        recent.put(1, "b");
        assert_eq!(recent.get(1, |value| *value == "b"), Some(&"b"));
        assert_eq!(recent.len(), 1);
    }
}
